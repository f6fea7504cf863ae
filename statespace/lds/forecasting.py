"""From what is known of the state to laws of observations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.lds.disturbances import innovations
from statespace.lds.filtered import Filtered
from statespace.lds.results import State
from statespace.lds.square_root_filter import semidefinite_rows
from statespace.lds.system import System, as_numbers
from statespace.protocols import Floats


class Moments(NamedTuple):
    """Gaussian laws, one a row."""

    mean: Floats
    """Shape (n, n_features)."""
    cov: Floats
    """Shape (n, n_features, n_features); inf on the diagonal where the state is still diffuse."""


def laws_ahead(system: System, state: State, first: int, steps: int) -> Moments:
    """y_{first}, ..., y_{first + steps - 1} given the law of the state at step `first`."""
    p = system.n_features
    mean, cov = np.empty((steps, p)), np.empty((steps, p, p))
    a, P, A = state
    V = system.disturbance_cov
    for h in range(steps):
        t = first + h
        Z, d, H, T, c, noise = (
            matrix[t if len(matrix) > 1 else 0]
            for matrix in (
                system.design,
                system.obs_intercept,
                system.obs_cov,
                system.transition,
                system.state_intercept,
                V,
            )
        )
        mean[h] = d + Z @ a
        cov[h] = _open(Z @ P @ Z.T + H, Z, A)
        a, P, A = c + T @ a, T @ P @ T.T + noise, T @ A
        P = 0.5 * (P + P.T)
    return Moments(mean, cov)


def predictive_laws(system: System, values: Floats, filtered: Filtered) -> Moments:
    """Each observation given those before it, and the one after the last."""
    n = len(values)
    d = system.obs_intercept
    cov = innovations(system, values, filtered)[1]
    Z = system.design
    mean = filtered.a[:n] @ Z[0].T if len(Z) == 1 else np.einsum("tpm,tm->tp", Z[:n], filtered.a[:n])
    mean = mean + (d if len(d) == 1 else d[:n])
    if system.n_times is not None and system.n_times <= n:
        raise ValueError(
            f"the matrices change with time and have {system.n_times} entries, and the law of the observation after "
            f"the data needs {n + 1}"
        )
    last = laws_ahead(system, filtered.state, n, 1)
    return Moments(np.concatenate([mean, last.mean]), np.concatenate([cov, last.cov]))


def _open(cov: Floats, Z: Floats, A: Floats) -> Floats:
    """A covariance of observations, inf where they meet directions of which nothing is known."""
    cov = 0.5 * (cov + cov.T)
    if A.shape[1]:
        met = (np.abs(Z @ A) > 1e-12 * (np.abs(Z) @ np.abs(A))).any(axis=1)
        cov[met] = 0.0
        cov[:, met] = 0.0
        cov[met, met] = np.inf
    return cov


def responses(system: System, steps: int, shocks: Any, orthogonalized: bool) -> Floats:
    """Z T^j R s for each shock s, shape (steps, n_features, n_shocks)."""
    if system.n_times is not None:
        raise ValueError("the matrices change with time, so that a response depends on when the disturbance comes")
    R, Q = system.selection[0], system.state_cov[0]
    r = R.shape[1]
    if shocks is None:
        moved = R @ semidefinite_rows(system.state_cov)[0].T if orthogonalized else R
        if orthogonalized and np.all(np.linalg.eigvalsh(Q) > 0):
            moved = R @ np.linalg.cholesky(Q)
    elif orthogonalized:
        raise ValueError("shocks are given, and orthogonalized=True makes its own: leave one out")
    else:
        given = as_numbers(shocks)
        if given is None:
            raise TypeError(f"shocks is {shocks!r:.60}, expected an array of numbers, a row a disturbance")
        given = given[:, None] if given.ndim == 1 else given
        if given.ndim != 2 or given.shape[0] != r:
            raise ValueError(f"shocks has shape {np.shape(shocks)}, expected ({r}, n_shocks)")
        moved = R @ given
    found = np.empty((steps, system.n_features, moved.shape[1]))
    for j in range(steps):
        found[j] = system.design[0] @ moved
        moved = system.transition[0] @ moved
    return found
