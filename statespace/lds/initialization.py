r"""The law of the first state: known, stationary, diffuse, or each of these for some of the states.

    known       a1 and P1 as they are given
    stationary  a1 = (I - T)^{-1} c,   P1 = T P1 T^T + R Q R^T
    diffuse     nothing is known: a1 ~ N(0, k I) with k -> infinity, exactly
    approximate_diffuse   a1 ~ N(0, 10^6 I): what others do; it depends on the units

Durbin and Koopman (2012), chapter 5; the doubling of the sum for P1 is Smith's (1968).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import schur

from statespace.foundations.validation import check_choice
from statespace.lds.system import System, as_numbers, checked_covariances
from statespace.protocols import Array, Floats

KINDS = ("known", "stationary", "diffuse", "approximate_diffuse")
_APPROXIMATE = 1e6
_OUTGROWN = 3.0  # a sum of variances that more than doubles when it is as long again: twice, where no roots are equal
_UNIT_ROOT = 64 * 2.0**-52  # a distance from 1, for each state, that rounding of eigenvalues can make
_MOST_DOUBLINGS = 60  # a spectral radius of 1 - 1e-15 needs 56


class InitialLaw(NamedTuple):
    """N(mean, cov + k loadings loadings^T), k -> infinity."""

    mean: Floats
    """a1, shape (n_states,)."""
    cov: Floats
    """P1, shape (n_states, n_states)."""
    loadings: Floats
    """A, shape (n_states, n_diffuse)."""
    stationary: Array
    """Which states have their stationary law, shape (n_states,), bool."""


def initial_law(
    matrices: dict[str, Floats],
    initial_state: Any = None,
    initial_state_cov: Any = None,
    diffuse: Any = None,
    initialization: str | None = None,
) -> InitialLaw:
    """The law of the first state.

    Parameters
    ----------
    matrices : dict
        As `checked_matrices` gives them.
    initial_state, initial_state_cov : (n_states,), (n_states, n_states), optional
        What is known. Entries of states that `diffuse` names are not read.
    diffuse : (n_states,) of bool, optional
        States of which nothing is known.
    initialization : {"known", "stationary", "diffuse", "approximate_diffuse"}, optional
        Of the states that `diffuse` does not name. None: known where a covariance is given, else stationary if the
        transition is stable, else diffuse.

    Raises
    ------
    TypeError, ValueError
        Where a shape is wrong, what is needed is not given, or there is no stationary law; in words.

    """
    check_choice("initialization", initialization, (*KINDS, None))
    m = matrices["transition"].shape[1]
    mask = _checked_mask(diffuse, m)
    rest = np.flatnonzero(~mask)
    mean = np.zeros(m) if initial_state is None else _vector("initial_state", initial_state, m)
    cov = np.zeros((m, m)) if initial_state_cov is None else _matrix("initial_state_cov", initial_state_cov, m)
    kind = initialization
    if kind is None:
        if initial_state_cov is not None or not rest.size:
            kind = "known"
        elif initial_state is not None:
            raise ValueError("initial_state is given without initial_state_cov: give both, or name the initialization")
        else:
            kind = "stationary" if _is_constant(matrices) and _is_stable(_block(matrices, rest)) else "diffuse"
    if kind == "known":
        if initial_state_cov is None and rest.size and initialization == "known":
            raise ValueError(
                'initialization="known" needs initial_state_cov, shape '
                f"({m}, {m}): zeros say that the first state is known exactly"
            )
    elif initial_state_cov is not None:
        raise ValueError(f"initial_state_cov is given, and initialization is {kind!r}, which does not read it")
    elif initial_state is not None and kind != "approximate_diffuse":
        raise ValueError(f"initial_state is given, and initialization is {kind!r}, which does not read it")
    elif kind == "stationary":
        mean[rest], cov[np.ix_(rest, rest)] = _stationary_part(matrices, mask, rest)
    elif kind == "diffuse":
        mask = np.ones(m, dtype=bool)
    else:
        cov[rest, rest] = _APPROXIMATE
    mean[mask] = 0.0
    cov[mask] = 0.0
    cov[:, mask] = 0.0
    return InitialLaw(mean, cov, np.ascontiguousarray(np.eye(m)[:, mask]), ~mask & (kind == "stationary"))


def make_system(
    matrices: dict[str, Floats],
    initial_state: Any = None,
    initial_state_cov: Any = None,
    diffuse: Any = None,
    initialization: str | None = None,
) -> System:
    """Checked matrices and the law of the first state as one system; arguments as in `initial_law`."""
    law = initial_law(matrices, initial_state, initial_state_cov, diffuse, initialization)
    return System(
        **matrices,
        **dict(zip(("initial_state", "initial_state_cov", "diffuse_loadings", "stationary"), law, strict=True)),
    )


def stationary_mean(transition: Floats, intercept: Floats) -> Floats:
    """(I - T)^{-1} c."""
    if not intercept.any():
        return np.zeros(len(intercept))
    return np.asarray(np.linalg.solve(np.eye(len(intercept)) - transition, intercept))


def stationary_cov(transition: Floats, disturbance_cov: Floats) -> Floats:
    r"""The solution of P = T P T^T + V, by doubling: sum_{j < 2^i} T^j V T^jT for i = 0, 1, ...

    Every term is positive-semidefinite, and I - T^(2^i) is what is kept, so that nothing is lost where T is close to a
    unit root. Where powers of T grow before they fall (roots close to 1 that are equal), rounding grows as they do: a
    Schur decomposition of T solves the equation too, and what leaves less of it is taken. The caller has made sure that
    T is stable.
    """
    P, is_sound = _doubled(transition, disturbance_cov)
    if not is_sound:
        other = _by_schur(transition, disturbance_cov)
        scale = np.sqrt(np.outer(np.diag(other), np.diag(other)))
        scale[scale == 0.0] = 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            left, other_left = (
                (np.abs(X - transition @ X @ transition.T - disturbance_cov) / scale).max() for X in (P, other)
            )
        if not left <= other_left:
            P = other
    return 0.5 * (P + P.T)


class StationaryPullback(NamedTuple):
    """What a stationary law adds to the derivatives in the matrices that it follows from."""

    transition: Floats
    """To dL/dT, shape (n_states, n_states)."""
    disturbance_cov: Floats
    """To dL/d(R Q R^T), shape (n_states, n_states), symmetric."""
    state_intercept: Floats
    """To dL/dc, shape (n_states,)."""


def stationary_pullback(
    transition: Floats,
    initial_state_cov: Floats,
    d_initial_state_cov: Floats,
    initial_state: Floats | None = None,
    d_initial_state: Floats | None = None,
) -> StationaryPullback:
    r"""The chain rule through P1 = T P1 T^T + R Q R^T and a1 = (I - T)^{-1} c.

        S = T^T S T + dL/dP1      w = (I - T)^{-T} dL/da1
        dL/dT += 2 S T P1 + w a1^T      dL/d(R Q R^T) += S      dL/dc += w

    Parameters
    ----------
    transition : (n_states, n_states)
        T, stable.
    initial_state_cov, d_initial_state_cov : (n_states, n_states)
        P1, and dL/dP1, symmetric and not doubled.
    initial_state, d_initial_state : (n_states,), optional
        a1, and dL/da1; without them a1 is 0 whatever the matrices are.

    """
    deviations = np.sqrt(np.diag(initial_state_cov))
    unit = np.where(deviations > 0, deviations, deviations.max(initial=0.0) or 1.0)
    values, vectors = np.linalg.eigh(d_initial_state_cov * unit[:, None] * unit)
    S = np.zeros_like(initial_state_cov)
    for sign in (1.0, -1.0):  # a sum over each, of terms that do not cancel
        part = np.maximum(sign * values, 0.0)
        if part.any():
            S += sign * stationary_cov(transition.T, (vectors * part) @ vectors.T / unit[:, None] / unit)
    d_transition = 2.0 * (S @ (transition @ initial_state_cov))
    w = np.zeros(len(transition))
    if initial_state is not None and d_initial_state is not None:
        w = np.asarray(np.linalg.solve(np.eye(len(transition)) - transition.T, d_initial_state))
        d_transition += np.outer(w, initial_state)
    return StationaryPullback(d_transition, S, w)


def _doubled(transition: Floats, disturbance_cov: Floats) -> tuple[Floats, bool]:
    """The sum, and whether it came to an end without terms that outgrow what was summed before them."""
    m = len(transition)
    identity = np.eye(m)
    P, is_sound = disturbance_cov + transition @ disturbance_cov @ transition.T, True
    rest = (identity - transition) @ (identity + transition)  # small at a root of -1 as well
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(1, _MOST_DOUBLINGS):
            power = identity - rest
            added = power @ P @ power.T
            if 2**i > m:  # by then every state has been reached
                is_sound = is_sound and bool((np.diag(added) <= _OUTGROWN * np.diag(P)).all())
            P = P + added
            if not (np.abs(added) > 1e-17 * np.sqrt(np.outer(np.diag(P), np.diag(P)))).any():
                return P, is_sound
            rest = rest @ (identity + power)
    return P, False


def _by_schur(transition: Floats, disturbance_cov: Floats) -> Floats:
    """The same from T = U S U^H with S upper triangular, entry by entry from the last; negative eigenvalues are 0."""
    m = len(transition)
    S, U = schur(transition, output="complex")
    W = U.conj().T @ disturbance_cov @ U
    X = np.zeros((m, m), dtype=complex)
    for j in range(m - 1, -1, -1):
        later = X[:, j:] @ S[j, j:].conj()
        for i in range(m - 1, -1, -1):
            X[i, j] = (W[i, j] + S[i, i:] @ later[i:]) / (1.0 - S[i, i] * S[j, j].conj())
            later[i] += X[i, j] * S[j, j].conj()
    P = (U @ X @ U.conj().T).real
    values, vectors = np.linalg.eigh(0.5 * (P + P.T))
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _is_constant(matrices: dict[str, Floats]) -> bool:
    return all(len(matrices[name]) == 1 for name in ("transition", "state_intercept", "selection", "state_cov"))


def _is_stable(transition: Floats) -> bool:
    """Whether all eigenvalues are below 1, by more than the rounding that makes those of a seasonal 1 - 3e-16."""
    margin = _UNIT_ROOT * len(transition)
    return bool(np.abs(np.linalg.eigvals(transition)).max(initial=0.0) < 1.0 - margin)


def _block(matrices: dict[str, Floats], rest: Any) -> Floats:
    return np.asarray(matrices["transition"][0][np.ix_(rest, rest)])


def _stationary_part(matrices: dict[str, Floats], mask: Any, rest: Any) -> tuple[Floats, Floats]:
    if not _is_constant(matrices):
        raise ValueError(
            'initialization="stationary" needs a transition, a state intercept, a selection and a state covariance '
            "that do not change with time: give initial_state_cov, or name the states that are diffuse"
        )
    T = matrices["transition"][0]
    block = T[np.ix_(rest, rest)]
    if T[np.ix_(rest, np.flatnonzero(mask))].any():
        i, j = (int(k) for k in np.argwhere(T[np.ix_(rest, np.flatnonzero(mask))])[0])
        raise ValueError(
            f"state {rest[i]} is to be stationary, and follows state {np.flatnonzero(mask)[j]}, which is diffuse: it "
            "is diffuse too"
        )
    if not _is_stable(block):
        raise ValueError(
            f"the transition has the spectral radius {np.abs(np.linalg.eigvals(block)).max():.6g}, and a stationary "
            "law only below 1: name the states that are diffuse, or give initial_state_cov"
        )
    R, Q = matrices["selection"][0], matrices["state_cov"][0]
    moved = (R @ Q @ R.T)[np.ix_(rest, rest)]
    return stationary_mean(block, matrices["state_intercept"][0][rest]), stationary_cov(block, moved)


def _checked_mask(diffuse: Any, m: int) -> Any:
    if diffuse is None:
        return np.zeros(m, dtype=bool)
    mask = np.array(diffuse)
    if mask.dtype != np.bool_ or mask.shape != (m,):
        raise ValueError(f"diffuse is {diffuse!r:.60}, expected {m} truth values: one for each state")
    return mask


def _vector(name: str, value: Any, m: int) -> Floats:
    array = as_numbers(value)
    if array is None:
        raise TypeError(f"{name} is {value!r:.60}, expected {m} numbers")
    if array.ndim == 0 and m == 1:
        array = array[None]
    if array.shape != (m,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({m},): one number for each state")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is {value!r:.60}, expected finite numbers")
    return array


def _matrix(name: str, value: Any, m: int) -> Floats:
    array = as_numbers(value)
    if array is None:
        raise TypeError(f"{name} is {value!r:.60}, expected an array of shape ({m}, {m})")
    if array.ndim == 0 and m == 1:
        array = array[None, None]
    if array.shape != (m, m):
        raise ValueError(f"{name} has shape {array.shape}, expected ({m}, {m})")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has entries that are not finite; for states of which nothing is known use diffuse=")
    return np.asarray(checked_covariances(name, array[None])[0])
