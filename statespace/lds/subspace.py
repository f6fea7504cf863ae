r"""Starting values from the data alone: stochastic subspace identification (N4SID).

The rows of block Hankel matrices are i observations after each other, the past Y_p and the future Y_f. The projection
of the future on the past has the rank of the system, and its column space is that of the observability matrix

    O = Y_f / Y_p = Gamma X,      Gamma = (Z; Z T; ...; Z T^{i-1})

so that a singular value decomposition gives states X, and least squares on them T and Z. Singular vectors are taken in
the metric of the future's covariance (canonical variates). Covariances follow in two ways, of which the caller takes
the likelier: from what least squares leave, and from the autocovariances of the data, in which they are linear,

    Cov(y_{t+k}, y_t) = Z T^k Sigma Z^T + [k = 0] H,      Sigma = T Sigma T^T + Q

The data are scaled to unit variance, missing values interpolated, for this alone. Too few rows for that many states:
principal components of the observations and of their past.

References
----------
Van Overschee and De Moor (1996), Subspace identification for linear systems, chapter 3; Larimore (1990) for the
metric; Odelson, Rajamani and Rawlings (2006) for the covariances.

"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as pairs_of
from typing import NamedTuple

import numpy as np

from statespace.protocols import Floats

_MOST_ROWS = 12  # blocks of the past: more add noise
_LARGEST_RADIUS = 0.995  # of a transition whose covariances are matched
_FAR_OUT = 1.05
_LAGS = 5
_MOST_DOUBLINGS = 60
_LEAST = 1e-3  # of a variance: no start is closer to singular
_RANK = 1e-10  # singular values, relative to the largest


class Start(NamedTuple):
    """Matrices to begin from."""

    design: Floats
    """Z, shape (n_features, n_states)."""
    transition: Floats
    """T, shape (n_states, n_states)."""
    state_cov: Floats
    """Q, shape (n_states, n_states)."""
    obs_cov: Floats
    """H, shape (n_features, n_features)."""
    obs_intercept: Floats
    """d, shape (n_features,): the means if they were taken off, else zeros."""


def identify(sequences: Sequence[Floats], weights: Floats, n_states: int, *, centre: bool) -> list[Start]:
    """Starting values, at least one, with states of unit size.

    Parameters
    ----------
    sequences : list of (n_samples, n_features)
        Observations, NaN where missing.
    weights : (n_sequences,)
        Positive; 2 is as if a sequence were there twice.
    n_states : int
    centre : bool
        Whether the means are taken off, for a model with intercepts.

    """
    filled, mean, unit = _prepare(sequences, weights, centre)
    p = len(unit)
    found = [_subspace(filled, weights, n_states, i) for i in _block_rows(filled, n_states, p)]
    systems = [system for system in found if system is not None]
    starts = []
    for Z, T, Q, H in systems or [_principal_components(filled, weights, n_states)]:
        starts.append(_rescaled(Z, T, Q, H))
        matched = _matched_covariances(filled, weights, Z, T)
        if matched is not None:
            starts.append(_rescaled(Z, T, *matched))
    return [
        Start(Z * unit[:, None], T, Q, H * np.outer(unit, unit), mean if centre else np.zeros(len(unit)))
        for Z, T, Q, H in starts
    ]


def identify_covariances(
    sequences: Sequence[Floats], weights: Floats, Z: Floats, T: Floats, *, centre: bool
) -> list[Start]:
    """Starting values for a design and a transition that are given; arguments as in `identify`."""
    filled, mean, unit = _prepare(sequences, weights, centre)
    scaled = Z / unit[:, None]
    p, m = scaled.shape
    changes = sum(w * ((v[1:] - v[:-1]) ** 2).sum(axis=0) for v, w in zip(filled, weights, strict=True))
    n_changes = sum(w * (len(v) - 1) for v, w in zip(filled, weights, strict=True))
    changed = changes / n_changes if n_changes else np.ones(p)
    spread = np.maximum(np.minimum(0.5 * changed, 1.0), _LEAST)
    size = (scaled**2).sum(axis=1)  # what states of unit variance add to a feature
    Q = np.eye(m) * (0.3 * float(spread.mean()) / max(float(size.mean()), 1e-300))
    found = [(Q, np.diag(0.7 * spread))]
    matched = _matched_covariances(filled, weights, scaled, T)
    if matched is not None:
        total = _mean_size(matched[0])
        if total > 0:
            found.append((_positive(matched[0], np.full(m, total)), _positive(matched[1], spread)))
    return [Start(Z, T, Q, H * np.outer(unit, unit), mean if centre else np.zeros(p)) for Q, H in found]


def _prepare(sequences: Sequence[Floats], weights: Floats, centre: bool) -> tuple[list[Floats], Floats, Floats]:
    """Sequences without gaps, of unit variance (mean square where not centred), their means and units."""
    stacked = np.concatenate(sequences)
    seen = ~np.isnan(stacked)
    mass = np.repeat(weights, [len(values) for values in sequences])[:, None] * seen
    count = mass.sum(axis=0)
    count = np.where(count > 0, count, 1.0)
    mean = (mass * np.where(seen, stacked, 0.0)).sum(axis=0) / count
    deviations = np.where(seen, stacked - mean, 0.0)
    spread = np.sqrt((mass * deviations**2).sum(axis=0) / count)
    size = np.abs(mean)
    unit = np.where(spread > 1e-12 * size, spread, np.where(size > 0, size, 1.0))
    unit = unit if centre else np.hypot(unit, mean)
    filled = []
    for values in sequences:
        made = np.empty_like(values)
        steps = np.arange(len(values))
        for j in range(values.shape[1]):
            known = ~np.isnan(values[:, j])
            made[:, j] = np.interp(steps, steps[known], values[known, j]) if known.any() else mean[j]
        filled.append((made - mean if centre else made) / unit)
    return filled, mean, unit


def _block_rows(sequences: list[Floats], m: int, p: int) -> list[int]:
    """Numbers i of observations in the past for which there are columns enough: the largest, and half of it."""
    fewest = -(-m // p) + 1
    for i in range(max(min(_MOST_ROWS, 2 * fewest + 2), fewest), fewest - 1, -1):
        if sum(max(len(values) - 2 * i + 1, 0) for values in sequences) >= 2 * (2 * i * p):
            return [i, i // 2] if i // 2 >= fewest else [i]
    return []


def _subspace(sequences: list[Floats], weights: Floats, m: int, i: int) -> tuple[Floats, Floats, Floats, Floats] | None:
    """Z, T and the covariances of what they leave; None where the data do not have that many states."""
    p = sequences[0].shape[1]
    used = [(v, float(w)) for v, w in zip(sequences, weights, strict=True) if len(v) >= 2 * i]
    hankel = np.concatenate([np.sqrt(w) * _hankel(v, 2 * i) for v, w in used], axis=1)
    n_columns = sum(w * (len(v) - 2 * i + 1) for v, w in used)
    hankel = np.asarray(np.linalg.qr(hankel.T, mode="r")).T  # what follows needs products of rows only
    past, future = hankel[: i * p], hankel[i * p :]
    projected = _projection(future, past)
    metric = np.linalg.cholesky(future @ future.T / n_columns + 1e-8 * np.eye(i * p))
    U, s, _ = np.linalg.svd(np.linalg.solve(metric, projected), full_matrices=False)
    if not s[m - 1] > _RANK * s[0]:
        return None
    gamma = metric @ (U[:, :m] * np.sqrt(s[:m]))
    later = _projection(future[p:], np.concatenate([past, future[:p]]))
    X = np.linalg.lstsq(gamma, projected, rcond=None)[0]
    Y = np.linalg.lstsq(gamma[:-p], later, rcond=None)[0]
    both = np.concatenate([Y, future[:p]])
    matrices = np.linalg.lstsq(X.T, both.T, rcond=None)[0].T
    left = both - matrices @ X
    cov = left @ left.T / n_columns
    return matrices[m:], _bounded(matrices[:m]), cov[:m, :m], cov[m:, m:]


def _bounded(T: Floats) -> Floats:
    """T with roots far outside of the unit circle, which are estimates gone astray, mirrored at the circle."""
    values, vectors = np.linalg.eig(T)
    sizes = np.abs(values)
    if not sizes.max() > _FAR_OUT:
        return T
    if np.linalg.cond(vectors) < 1e6:
        moved = vectors * np.where(sizes > _FAR_OUT, values / np.where(sizes > 0, sizes, 1.0) ** 2, values)
        return np.ascontiguousarray(np.linalg.solve(vectors.T, moved.T).T.real)
    return np.asarray(T / sizes.max())


def _hankel(values: Floats, rows: int) -> Floats:
    """Column t holds values[t : t + rows], one after the other."""
    columns = len(values) - rows + 1
    return np.concatenate([values[k : k + columns].T for k in range(rows)])


def _projection(A: Floats, B: Floats) -> Floats:
    """The rows of A, projected on those of B."""
    return np.asarray(np.linalg.lstsq(B.T, A.T, rcond=None)[0].T @ B)


def _principal_components(sequences: list[Floats], weights: Floats, m: int) -> tuple[Floats, Floats, Floats, Floats]:
    """States that are principal components of the observations and of as much of their past as is needed."""
    p = sequences[0].shape[1]
    delays = -(-m // p)
    parts = [np.concatenate([values[:1].repeat(delays - 1, axis=0), values]) for values in sequences]
    parts = [_hankel(part, delays)[::-1].T for part in parts]  # the present last in time is first in the row
    roots = np.sqrt(np.repeat(weights, [len(part) for part in parts]))[:, None]
    stacked = roots * np.concatenate(parts)
    U, s, _ = np.linalg.svd(stacked, full_matrices=False)
    n, mass = len(stacked), float((roots**2).sum())
    X = np.zeros((n, m))
    rank = min(m, int((s > _RANK * s.max(initial=0.0)).sum()))
    X[:, :rank] = U[:, :rank] * np.sqrt(mass)
    y = roots * np.concatenate(sequences)
    Z = np.linalg.lstsq(X, y, rcond=None)[0].T
    Z[:, rank:] = 0.1
    ends = np.cumsum([len(part) for part in parts])
    before = np.setdiff1d(np.arange(n), ends - 1)
    T = 0.5 * np.eye(m)
    if before.size > 2 * m:
        A, B = X[before], X[before + 1]
        T = np.linalg.solve(A.T @ A + 0.1 * float((roots[before] ** 2).sum()) * np.eye(m), A.T @ B).T
    radius = float(np.abs(np.linalg.eigvals(T)).max())
    T = np.asarray(T * min(1.0, 0.95 / max(radius, 1e-300)))
    left = y - X @ Z.T
    return np.asarray(Z), T, np.eye(m) - T @ T.T * 0.5, left.T @ left / mass


def _matched_covariances(
    sequences: list[Floats], weights: Floats, Z: Floats, T: Floats
) -> tuple[Floats, Floats] | None:
    """Q and H that give the autocovariances of the data, as far as covariances can."""
    p, m = Z.shape
    radius = float(np.abs(np.linalg.eigvals(T)).max())
    if not radius > 0:
        return None
    T = T * min(1.0, _LARGEST_RADIUS / radius)
    lags = min(_LAGS, min(len(values) for values in sequences) - 1)
    if lags < 1:
        return None
    weighted = list(zip(sequences, weights, strict=True))
    n = sum(w * len(v) for v, w in weighted)
    observed = [
        sum((w * v[k:].T @ v[: len(v) - k] for v, w in weighted), np.zeros((p, p))) / n for k in range(lags + 1)
    ]
    columns, of_state = [], [(i, j) for i in range(m) for j in range(i + 1)]
    for i, j in of_state:
        V = np.zeros((m, m))
        V[i, j] = V[j, i] = 1.0
        sigma = solve_stein(T, V)
        moved, parts = sigma @ Z.T, []
        for _ in range(lags + 1):
            parts.append((Z @ moved).ravel())
            moved = T @ moved
        columns.append(np.concatenate(parts))
    for i, j in pairs_of(range(p), range(p)):
        if j <= i:
            part = np.zeros((p, p))
            part[i, j] = part[j, i] = 1.0
            columns.append(np.concatenate([part.ravel(), np.zeros(lags * p * p)]))
    design = np.stack(columns, axis=1)
    scale = np.sqrt((design**2).sum(axis=0))
    scale[scale == 0] = 1.0
    solution = np.linalg.lstsq(design / scale, np.concatenate([c.ravel() for c in observed]), rcond=1e-6)[0] / scale
    Q, H = np.zeros((m, m)), np.zeros((p, p))
    for (i, j), value in zip(of_state, solution, strict=False):
        Q[i, j] = Q[j, i] = value
    places = [(i, j) for i in range(p) for j in range(i + 1)]
    for (i, j), value in zip(places, solution[len(of_state) :], strict=True):
        H[i, j] = H[j, i] = value
    if not (np.isfinite(Q).all() and np.isfinite(H).all()):
        return None
    return Q, H


def _mean_size(Q: Floats) -> float:
    """The mean of the eigenvalues of a symmetric matrix, negative ones counted as 0."""
    return float(np.maximum(np.linalg.eigvalsh(Q), 0.0).mean())


def _positive(cov: Floats, size: Floats) -> Floats:
    """The nearest covariance that is at least a thousandth of `size` in every direction, in units of `size`."""
    unit = np.sqrt(size)
    values, vectors = np.linalg.eigh(0.5 * (cov + cov.T) / np.outer(unit, unit))
    lifted = (vectors * np.maximum(values, _LEAST)) @ vectors.T
    return np.asarray(0.5 * (lifted + lifted.T) * np.outer(unit, unit))


def _rescaled(Z: Floats, T: Floats, Q: Floats, H: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The same system with states of about unit variance, and covariances that are none too small."""
    m, p = len(T), len(Z)
    Q = _positive(Q, np.full(m, max(_mean_size(Q), 1e-12)))
    radius = float(np.abs(np.linalg.eigvals(T)).max())
    damped = T * min(1.0, 0.99 / max(radius, 1e-300))
    unit = np.sqrt(np.diagonal(solve_stein(damped, Q)))
    Q, T, Z = Q / np.outer(unit, unit), T * unit / unit[:, None], Z * unit
    return Z, T, Q, _positive(H, np.ones(p))


def solve_stein(A: Floats, V: Floats) -> Floats:
    """X = A X A^T + V of a symmetric V, which may have either sign, and a stable A, by doubling (Smith 1968)."""
    X, power = V.copy(), A
    for _ in range(_MOST_DOUBLINGS):
        added = power @ X @ power.T
        X = X + added
        if not np.abs(added).max(initial=0.0) > 1e-17 * np.abs(X).max(initial=0.0):
            break
        power = power @ power
    return np.asarray(0.5 * (X + X.T))
