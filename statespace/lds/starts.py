"""Where fits of a linear dynamical system begin: values that are given, and for the rest what the data suggest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from statespace.foundations.linalg import raise_to_floor
from statespace.lds.free_entries import COVARIANCES, FreeEntries
from statespace.lds.initialization import make_system
from statespace.lds.parametrisations import at_stationary_start
from statespace.lds.subspace import Start, identify, identify_covariances
from statespace.lds.system import System, checked_matrices
from statespace.protocols import Floats

GIVEN = (
    "design",
    "obs_intercept",
    "obs_cov",
    "transition",
    "state_intercept",
    "selection",
    "state_cov",
    "initial_state",
    "initial_state_cov",
    "diffuse",
)
"""What can be given to begin from."""

_OBS_FLOOR = 1e-6  # of a feature's variance, or of half that of its changes where these are smaller
_STATE_FLOOR = 1e-10  # of the variance at the start
_STABLE_START = 0.98


def suggested_starts(
    sequences: Sequence[Floats],
    weights: Floats,
    n_states: int,
    given: Mapping[str, Any],
    number: int,
    rng: np.random.Generator,
    *,
    centre: bool,
) -> list[Start]:
    """Candidates for the start with this number: 0 is identified from the data, the others are drawn."""
    if number == 0:
        shape = (sequences[0].shape[1], n_states)
        known = [np.asarray(given[name]) for name in ("design", "transition") if name in given]
        if [matrix.shape for matrix in known] == [shape, (n_states, n_states)]:
            Z, T = (np.asarray(matrix, dtype=np.float64) for matrix in known)
            return identify_covariances(sequences, weights, Z, T, centre=centre)
        return identify(sequences, weights, n_states, centre=centre)
    stacked, mass = np.concatenate(sequences), _by_row(sequences, weights)
    mean = _mean(stacked, mass)
    size = np.sqrt(_mean((stacked - mean) ** 2 if centre else stacked**2, mass))
    size = np.where(size > 0, size, 1.0)
    p, m = len(size), n_states
    rotation = np.linalg.qr(rng.standard_normal((m, m)))[0]
    T = rotation * rng.uniform(0.3, 0.98, m)
    Z = rng.standard_normal((p, m)) * size[:, None] / np.sqrt(m)
    Q = np.eye(m) - 0.99 * T @ T.T
    return [Start(Z, T, Q, np.diag(0.3 * size**2), mean if centre else np.zeros(p))]


def starting_system(start: Start, given: Mapping[str, Any], initialization: str, *, diagonal: bool) -> System:
    """A checked system: what is given, and the rest from a start, in the basis of what is given.

    Raises
    ------
    TypeError, ValueError
        Where what is given does not fit together, in words.

    """
    Z, T, Q = start.design, start.transition, start.state_cov
    m = len(T)
    S = _basis(start, given)  # a = S a', a' the states of the start
    if S is None:
        T, Q = 0.9 * np.eye(m), np.eye(m)
    else:
        T, Q = S @ np.linalg.solve(S.T, T.T).T, S @ Q @ S.T
        Z = np.asarray(np.linalg.solve(S.T, Z.T).T)
    T = np.asarray(given.get("transition", T), dtype=np.float64)
    matrices: dict[str, Any] = {
        "design": given.get("design", Z),
        "transition": T,
        "obs_cov": given.get("obs_cov", np.diag(np.diagonal(start.obs_cov)) if diagonal else start.obs_cov),
        "obs_intercept": given.get("obs_intercept", start.obs_intercept),
        "state_intercept": given.get("state_intercept"),
    }
    R = given.get("selection")
    if R is not None:
        matrices["selection"] = R
        R = np.asarray(R, dtype=np.float64)
        if R.ndim == 2 and len(R) == m:
            back = np.linalg.pinv(R)
            Q = back @ Q @ back.T
    for name, expected in (("design", (len(start.design), m)), ("transition", (m, m))):
        if np.shape(matrices[name])[-2:] != expected:
            raise ValueError(
                f"init gives a {name} of shape {np.shape(matrices[name])}, expected {expected}: n_states is {m}, and X "
                f"has {len(start.design)} features"
            )
    matrices["state_cov"] = given.get("state_cov", np.diag(np.diagonal(Q)) if diagonal else 0.5 * (Q + Q.T))
    checked = checked_matrices(**matrices)
    timed = [name for name, value in checked.items() if len(value) > 1]
    if timed:
        raise ValueError(f"init gives {timed[0]} a time axis: fit estimates matrices that are constant in time")
    return _with_first_state(checked, given, initialization)


def _with_first_state(checked: dict[str, Floats], given: Mapping[str, Any], initialization: str) -> System:
    a1, P1, diffuse = given.get("initial_state"), given.get("initial_state_cov"), given.get("diffuse")
    m = checked["transition"].shape[1]
    if diffuse is not None and initialization != "diffuse":
        raise ValueError(f"init names diffuse states, and initialization is {initialization!r}: make it 'diffuse'")
    if initialization == "diffuse":
        mask = np.ones(m, dtype=bool) if diffuse is None else diffuse
        if P1 is None and not np.all(mask):
            raise ValueError("init names some states as diffuse: give initial_state_cov for the others")
        return make_system(checked, a1, P1, mask, None if P1 is None else "known")
    if initialization == "stationary":
        if a1 is not None or P1 is not None:
            raise ValueError("init gives an initial state, and initialization='stationary' computes it")
        return make_system(checked, None, np.eye(m))
    if initialization == "known" and P1 is None:
        raise ValueError("initialization='known' needs init={'initial_state_cov': ...}: zeros say that it is exact")
    if initialization == "approximate_diffuse":
        return make_system(checked, a1, P1, None, "approximate_diffuse")
    if P1 is None:
        V = make_system(checked, None, np.eye(m)).disturbance_cov[0]
        P1 = np.diag(np.maximum(1.0, 10.0 * np.diagonal(V)))
    return make_system(checked, a1, P1)


def _basis(start: Start, given: Mapping[str, Any]) -> Floats | None:
    """The change of basis that brings the start nearest to what is given of Z and T; None: there is none."""
    m = len(start.transition)
    if "transition" in given and "design" not in given:
        return None
    if "design" not in given:
        return np.eye(m)
    Z = np.asarray(given["design"], dtype=np.float64)
    T = np.asarray(given.get("transition", np.eye(m)), dtype=np.float64)
    if Z.shape != start.design.shape or T.shape != (m, m):
        return None  # what is wrong is said where shapes are checked
    theirs, ours = [Z], [start.design]
    if "transition" in given:
        for _ in range(m - 1):
            theirs.append(theirs[-1] @ T)
            ours.append(ours[-1] @ start.transition)
    scale = np.concatenate([np.abs(start.design).max(axis=1)] * len(ours))[:, None]
    scale = np.where(scale > 0, scale, 1.0)
    S = np.linalg.lstsq(np.concatenate(theirs) / scale, np.concatenate(ours) / scale, rcond=1e-8)[0]  # Z S = Z_start
    s = np.linalg.svd(S, compute_uv=False)
    return np.asarray(S) if s[-1] > 1e-4 * s[0] else None


def rotated(start: Start) -> Start:
    """The same start, in a basis in which the disturbances of the states are independent."""
    values, U = np.linalg.eigh(start.state_cov)
    variances = np.maximum(values, 1e-9 * values[-1])  # the last is positive: no start is singular
    return start._replace(design=start.design @ U, transition=U.T @ start.transition @ U, state_cov=np.diag(variances))


def floors(sequences: Sequence[Floats], weights: Floats, system: System) -> dict[str, Floats]:
    """The least variances of the covariances that are estimated."""
    stacked, mass = np.concatenate(sequences), _by_row(sequences, weights)
    changes = [values[1:] - values[:-1] for values in sequences]
    variance = _mean((stacked - _mean(stacked, mass)) ** 2, mass)
    halved = 0.5 * _mean(np.concatenate(changes) ** 2, _by_row(changes, weights))
    least = np.where(halved > 0, np.minimum(variance, halved), variance)
    size = _mean(stacked**2, mass)
    least = np.where(least > 1e-20 * size, least, 1e-6 * size)  # a feature that does not change at all
    least = np.where(least > 0, least, 1.0)
    return {
        "obs_cov": _OBS_FLOOR * least,
        "state_cov": _STATE_FLOOR * _sizes(system.state_cov[0]),
        "initial_state_cov": _STATE_FLOOR * _sizes(system.initial_state_cov),
    }


def fitted_in(system: System, free: FreeEntries) -> System:
    """The start, moved to where a fit may be: covariances above their floors, the transition stable if it is to be."""
    changed: dict[str, Floats] = {}
    for name in COVARIANCES:
        mask = free.masks[name]
        if not mask.any():
            continue
        cov = getattr(system, name) if name.startswith("initial") else getattr(system, name)[0]
        low = np.where(np.diagonal(mask), free.floors[name], 0.0)
        if mask.all():
            raised = raise_to_floor(cov[None], low[None])[0]
        else:
            raised = cov + np.diag(np.maximum(low - np.diagonal(cov), 0.0))
        changed[name] = raised if name.startswith("initial") else raised[None]
    stationary = free.initialization == "stationary"
    if free.stable or stationary:
        T = system.transition[0]
        radius = float(np.abs(np.linalg.eigvals(T)).max())
        if radius >= 1.0 or (radius > _STABLE_START and free.masks["transition"].all()):
            if not free.masks["transition"].all():
                asked = "initialization='stationary'" if stationary else "stable=True"
                raise ValueError(
                    f"the transition at the start has the spectral radius {radius:.6g}, and {asked} asks for one below "
                    "1: give one in init, or another initialization"
                )
            changed["transition"] = system.transition * (_STABLE_START / radius)
    system = system._replace(**changed)
    return at_stationary_start(system) if stationary else system


def _sizes(cov: Floats) -> Floats:
    """Variances, with the mean of the others in place of those that are 0."""
    variances = np.diagonal(cov)
    positive = variances[variances > 0]
    return np.where(variances > 0, variances, positive.mean() if positive.size else 1.0)


def _by_row(sequences: Sequence[Floats], weights: Floats) -> Floats:
    """The weight of each row, shape (n_rows, 1)."""
    return np.repeat(weights, [len(values) for values in sequences])[:, None]


def _mean(values: Floats, mass: Floats) -> Floats:
    """Weighted means of what is not missing; 0 where all is."""
    seen = ~np.isnan(values)
    count = (mass * seen).sum(axis=0)
    return np.asarray((mass * np.where(seen, values, 0.0)).sum(axis=0) / np.where(count > 0, count, 1.0))
