"""Drawing from a linear dynamical system: from its law, and from the law of the states given data."""

from __future__ import annotations

import math

import numpy as np

from statespace.foundations.executors import map_pieces
from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics, make_dynamics, move_mean
from statespace.lds.filtering import filter_covariance
from statespace.lds.frames import make_frames
from statespace.lds.smoothing import pass_backwards
from statespace.lds.square_root_filter import semidefinite_rows
from statespace.lds.square_root_smoother import smooth_square_root
from statespace.lds.system import System
from statespace.protocols import Floats

_ON_SUPPORT = 1e-7  # of a residual, relative to what it was made of: rounding off the directions that have variance
_RANK = 1e-12  # of the largest eigenvalue of the correlations


@kernel
def walk(d: Dynamics, noise: Floats, states: Floats) -> None:
    """states[t + 1] = c_t + T_t states[t] + noise[t], from states[0]."""
    for t in range(states.shape[0] - 1):
        move_mean(t, d, states[t], states[t + 1])
        for j in range(states.shape[1]):
            states[t + 1, j] += noise[t, j]


def simulate(system: System, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Observations (n, p) and states (n, m); a diffuse state begins at 0."""
    p, m, r = system.n_features, system.n_states, system.n_disturbances
    states = np.zeros((n, m))
    start, steps, noise = rng.standard_normal(m), rng.standard_normal((n, r)), rng.standard_normal((n, p))
    if n:
        states[0] = system.initial_state + start @ semidefinite_rows(system.initial_state_cov[None])[0]
        moved = _drawn(steps, semidefinite_rows(system.state_cov)[:n], system.selection[:n])
        walk(make_dynamics(system), moved, states)
    Z, d = system.design[:n], system.obs_intercept[:n]
    seen = states @ Z[0].T if len(Z) == 1 else np.einsum("tpm,tm->tp", Z, states)
    return d + seen + _drawn(noise, semidefinite_rows(system.obs_cov)[:n], None), states


def _drawn(normals: Floats, rows: Floats, selection: Floats | None) -> Floats:
    """Normal numbers with the covariance U^T U, and then selected."""
    if selection is not None:
        rows = rows @ selection.transpose(0, 2, 1)
    found = normals @ rows[0] if len(rows) == 1 else np.einsum("tr,trm->tm", normals, rows)
    return np.ascontiguousarray(found)


def draw_states(system: System, dynamics: Dynamics, values: Floats, n_draws: int, rng: np.random.Generator) -> Floats:
    """Paths given the data, shape (n_draws, n, m).

    A path drawn from the law of the model, plus what is expected of the difference between it and the data, is one
    (Durbin and Koopman 2002). Whatever a diffuse state began with cancels.
    """
    n = len(values)
    centred = system._replace(
        obs_intercept=np.zeros_like(system.obs_intercept),
        state_intercept=np.zeros_like(system.state_intercept),
        initial_state=np.zeros_like(system.initial_state),
    )
    moves = dynamics._replace(intercept=np.zeros_like(dynamics.intercept))

    def expected(difference: Floats) -> Floats:
        frames = make_frames(centred, difference)
        filtered = filter_covariance(centred, moves, frames)
        if filtered.lost:
            return smooth_square_root(centred, moves, frames)[0].mean
        return pass_backwards(moves, frames, filtered).mean

    drawn = [simulate(system, n, rng) for _ in range(n_draws)]
    added = map_pieces(expected, [values - x for x, _ in drawn])
    return np.array([states + more for (_, states), more in zip(drawn, added, strict=True)]).reshape(n_draws, n, -1)


def log_joint_density(system: System, values: Floats, states: Floats) -> float:
    """Log density of observations (n, p), NaN where missing, and of states (n, m); a diffuse start adds nothing."""
    n = len(values)
    known = ~(system.diffuse_loadings != 0).any(axis=1)
    start = (states[0] - system.initial_state)[known]
    total = _log_normal(start, system.initial_state_cov[np.ix_(known, known)], np.abs(states[0][known]))
    V = system.disturbance_cov
    for t in range(n):
        Z, d, H = (A[t if len(A) > 1 else 0] for A in (system.design, system.obs_intercept, system.obs_cov))
        seen = ~np.isnan(values[t])
        size = np.abs(values[t]) + np.abs(d) + np.abs(Z) @ np.abs(states[t])
        total += _log_normal((values[t] - d - Z @ states[t])[seen], H[np.ix_(seen, seen)], size[seen])
        if t < n - 1:
            T, c, noise = (A[t if len(A) > 1 else 0] for A in (system.transition, system.state_intercept, V))
            size = np.abs(states[t + 1]) + np.abs(c) + np.abs(T) @ np.abs(states[t])
            total += _log_normal(states[t + 1] - c - T @ states[t], noise, size)
    return total


def _log_normal(residual: Floats, cov: Floats, size: Floats) -> float:
    """Log N(residual; 0, cov) on the directions in which cov is not singular; -inf off them."""
    if not len(residual):
        return 0.0
    deviations = np.sqrt(np.diagonal(cov))
    still = deviations == 0
    if (np.abs(residual[still]) > _ON_SUPPORT * size[still]).any():
        return -math.inf
    moving = ~still
    if not moving.any():
        return 0.0
    scale = deviations[moving]
    values, vectors = np.linalg.eigh(cov[np.ix_(moving, moving)] / np.outer(scale, scale))
    along = vectors.T @ (residual[moving] / scale)
    kept = values > _RANK * values[-1]
    if (np.abs(along[~kept]) > _ON_SUPPORT * (np.abs(vectors.T) @ (size[moving] / scale))[~kept]).any():
        return -math.inf
    logs = np.log(values[kept]).sum() + 2.0 * np.log(scale).sum()
    return float(-0.5 * (kept.sum() * math.log(2 * math.pi) + logs + (along[kept] ** 2 / values[kept]).sum()))
