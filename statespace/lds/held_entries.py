r"""What maximises an expected log-likelihood, given moments: coefficients and covariances of which entries are held.

    B = (sum E[e a^T]) (sum E[a a^T])^{-1}          S = 1/n sum E[(e - B a)(e - B a)^T]

where nothing is held; else the free entries of B solve the generalised least squares problem with the weights S^{-1},
and those of a covariance are climbed by scoring (Anderson 1973).
"""

from __future__ import annotations

import numpy as np

from statespace.foundations.linalg import raise_to_floor
from statespace.protocols import Array, Floats

_RANK = 1e-13  # of the largest eigenvalue, scaled to ones on the diagonal: what lies below says nothing
_SHORTEST = 2.0**-20  # part of a step
_SCORING = 50  # iterations of a covariance of which single entries are held


def regression(with_states: Floats, states: Floats, cov: Floats, loadings: Floats, held: Array) -> Floats:
    r"""B that minimises tr(cov^{-1} sum E[(e - B a)(e - B a)^T]), with the entries of `loadings` B that are held at 0.

    Parameters
    ----------
    with_states : (q, k)
        sum E[e a^T].
    states : (k, k)
        sum E[a a^T].
    cov : (q, q)
        Of e; where it is singular, B moves within its range.
    loadings : (s, q)
        The identity where B itself has entries that are held.
    held : (s, k) of bool

    """
    if held.all():
        return np.zeros_like(with_states)
    if not held.any():
        return solve_moments(states, with_states.T).T
    diagonal = not (cov - np.diag(np.diagonal(cov))).any() and np.array_equal(loadings, np.eye(len(cov)))
    B = np.zeros_like(with_states)
    if diagonal or np.array_equal(held, np.broadcast_to(held[:1], held.shape)):
        patterns, of = np.unique(held, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            rows, used = np.flatnonzero(of.ravel() == number), np.flatnonzero(~pattern)
            rows = rows if diagonal else np.arange(len(B))
            if used.size:
                B[np.ix_(rows, used)] = solve_moments(states[np.ix_(used, used)], with_states[np.ix_(rows, used)].T).T
        return B
    # Directions of e that have a variance, then the combinations of entries that leave the held ones alone
    values, vectors = np.linalg.eigh(_scaled(cov)[0])
    unit = _scaled(cov)[1]
    good = values > _RANK * max(float(values[-1]), 0.0)
    basis = unit[:, None] * vectors[:, good]  # cov = basis diag(values) basis^T
    k = len(states)
    constraints = np.kron(loadings @ basis, np.eye(k))[held.ravel()]
    scale = np.abs(constraints).max(axis=1, initial=0.0)
    constraints = constraints[scale > 0] / scale[scale > 0, None]
    _, s, Vt = np.linalg.svd(constraints) if len(constraints) else (None, np.empty(0), np.eye(basis.shape[1] * k))
    ways = Vt[int((s > 1e-12 * s.max(initial=0.0)).sum()) :].T
    if not ways.shape[1]:
        return B
    # basis^T cov^{-1} = diag(1 / values) times the coordinates of what it is applied to
    coordinates = vectors[:, good].T @ (with_states / np.where(unit > 0, unit, 1.0)[:, None])
    right = ways.T @ (coordinates / values[good, None]).ravel()
    left = ways.T @ np.kron(np.diag(1.0 / values[good]), states) @ ways
    free = ways @ solve_moments(left, right[:, None])[:, 0]
    return np.asarray(basis @ free.reshape(basis.shape[1], k))


def _scaled(cov: Floats) -> tuple[Floats, Floats]:
    """Correlations and deviations."""
    unit = np.sqrt(np.maximum(np.diagonal(cov), 0.0))
    safe = np.where(unit > 0, unit, 1.0)
    return cov / np.outer(safe, safe), unit


def solve_moments(A: Floats, B: Floats) -> Floats:
    """A^{-1} B of a sum of squares A; directions in which there is nothing to rounding get nothing."""
    scaled, unit = _scaled(A)
    safe = np.where(unit > 0, unit, 1.0)
    values, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
    good = values > _RANK * max(float(values[-1]), 0.0)
    kept = vectors[:, good]
    return np.asarray((kept @ ((kept / values[good]).T @ (B / safe[:, None]))) / safe[:, None])


def covariance_step(moments: Floats, cov: Floats, free: Array, floor: Floats) -> Floats:
    """The covariance that maximises -log |S| - tr(S^{-1} moments) over its free entries, or one that is better.

    Parameters
    ----------
    moments : (size, size)
        Mean squares.
    cov : (size, size)
        The present one, whose other entries are held.
    free : (size, size) of bool
    floor : (size,)
        Free blocks are nowhere below diag(floor).

    """
    if not free.any():
        return cov
    if free.all():
        return np.asarray(raise_to_floor(moments[None], floor[None])[0])
    new = cov.copy()
    variable = np.flatnonzero(np.diagonal(free))
    inner = free[np.ix_(variable, variable)]
    connected = _components(inner)
    whole = all(inner[np.ix_(rows, rows)].all() for rows in connected)
    others = cov * ~free
    if whole and inner.sum() == free.sum() and not others[variable].any():
        for rows in connected:
            place = np.ix_(variable[rows], variable[rows])
            new[place] = raise_to_floor(moments[place][None], floor[variable[rows]][None])[0]
        return new
    return _scoring(moments, cov, free, floor)


def _components(linked: Array) -> list[Array]:
    """Sets of rows that are joined by entries, directly or not."""
    left, found = set(range(len(linked))), []
    while left:
        block: set[int] = set()
        grown = {min(left)}
        while grown:
            block |= grown
            grown = {int(j) for i in grown for j in np.flatnonzero(linked[i])} - block
        left -= block
        found.append(np.array(sorted(block)))
    return found


def _scoring(moments: Floats, cov: Floats, free: Array, floor: Floats) -> Floats:
    """Newton's method, or Fisher's scoring, for a covariance that is linear in its free entries (Anderson 1973)."""
    used = np.flatnonzero((cov != 0).any(axis=0) | free.any(axis=0))
    both = np.ix_(used, used)
    S, here, mask, least = moments[both], cov[both], free[both], floor[used]
    pairs = [(i, j) for i in range(len(used)) for j in range(i + 1) if mask[i, j]]
    basis = np.zeros((len(pairs), *here.shape))
    for number, (i, j) in enumerate(pairs):
        basis[number, i, j] = basis[number, j, i] = 1.0
    low = np.where(np.diagonal(mask), np.minimum(least, np.diagonal(here)), 0.0)

    def objective(C: Floats) -> float:
        try:
            L = np.linalg.cholesky(C)
        except np.linalg.LinAlgError:
            return -np.inf
        if not (np.diagonal(L) ** 2 >= low * (1 - 1e-12)).all():
            return -np.inf
        half = np.linalg.solve(L, S)
        return float(-2.0 * np.log(np.diagonal(L)).sum() - np.trace(np.linalg.solve(L, half.T)))

    best = objective(here)
    if not np.isfinite(best):
        return cov
    for _ in range(_SCORING):
        weighted, left = np.linalg.solve(here, basis), np.linalg.solve(here, S - here)  # C^{-1} B, C^{-1} S - I
        slope = np.einsum("kij,ji->k", weighted, left)
        information = np.einsum("kij,lji->kl", weighted, weighted)
        bent = np.einsum("kij,ljh,hi->kl", weighted, weighted, left)
        newton = information + bent + bent.T  # minus the second derivative; scoring leaves out what is 0 on average
        if np.linalg.eigvalsh(newton)[0] > 1e-8 * np.trace(information) / len(information):
            information = newton
        step = np.tensordot(solve_moments(information, slope[:, None])[:, 0], basis, axes=1)
        part, before = 1.0, best
        while part > _SHORTEST:
            there = here + part * step
            reached = objective(there)
            if reached > best:
                here, best = there, reached
                break
            part *= 0.5
        if not best > before + 1e-14 * abs(before):
            break
    found = cov.copy()
    found[both] = here
    return found
