r"""Log-densities of Gaussians, and the weighted moments that their M-step needs, with and without missing entries.

    log N(x; mu, Sigma) = -(D log(2 pi) + log |Sigma| + |L^{-1} (x - mu)|^2) / 2        with Sigma = L L^T

Moments are taken around the means m_c of the present parameters, so that they can be added over pieces of the data and
nothing cancels. Where entries are missing, the density is that of the entries that are there; the moments of a
covariance matrix are those expected given them,

    E(x_u | x_o) = m_u + Sigma_uo Sigma_oo^{-1} (x_o - m_o)
    Cov(x_u | x_o) = Sigma_uu - Sigma_uo Sigma_oo^{-1} Sigma_ou

and single variances need no more than the entries that are there.

Here C counts Gaussians: states, or components of their mixtures.

References
----------
Little and Rubin (2019), Statistical Analysis with Missing Data, section 11.2.

"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.linalg import back_substitute, cholesky_factors, forward_substitute
from statespace.protocols import Array, Floats, Ints

_LOG_2PI = math.log(2 * math.pi)


class Moments(NamedTuple):
    """Weighted sums over rows, with deviations d = x - m_c from the present means."""

    mass: Floats
    """sum_n w_nc: shape (C,) of covariance matrices; of variances (C, n_features), where x_nd is there."""
    first: Floats
    """sum_n w_nc d_n, shape (C, n_features)."""
    second: Floats
    """sum_n w_nc d_n d_n^T, shape (C, n_features, n_features); of variances its diagonal, (C, n_features)."""


# ------------------------------------------------------------------------------------------------------------ kernels


@kernel
def diagonal_log_densities(X: Floats, means: Floats, deviations: Floats, constants: Floats, out: Floats) -> None:
    """out[n, c] = constants[c] - sum_d ((X[n, d] - means[c, d]) / deviations[c, d])^2 / 2.

    Blocks of rows are turned, so that the inner loops run over rows whatever the number of Gaussians.
    """
    n_samples, D = X.shape
    C = constants.shape[0]
    x = np.empty((D, 64))
    total = np.empty(64)
    for start in range(0, n_samples, 64):
        B = min(64, n_samples - start)
        for d in range(D):
            for b in range(B):
                x[d, b] = X[start + b, d]
        for c in range(C):
            for b in range(B):
                total[b] = constants[c]
            for d in range(D):
                mean = means[c, d]
                scale = math.sqrt(0.5) / deviations[c, d]
                row = x[d]
                for b in range(B):
                    z = (row[b] - mean) * scale
                    total[b] -= z * z
            for b in range(B):
                out[start + b, c] = total[b]


@kernel
def full_log_densities(X: Floats, means: Floats, roots: Floats, constants: Floats, out: Floats) -> None:
    """out[n, c] = constants[c] - |roots[c]^{-1} (X[n] - means[c])|^2 / 2, with lower triangles `roots` (C, D, D)."""
    n_samples, D = X.shape
    C = constants.shape[0]
    x = np.empty((D, 64))
    y = np.empty((D, 64))
    total = np.empty(64)
    for start in range(0, n_samples, 64):
        B = min(64, n_samples - start)
        for d in range(D):
            for b in range(B):
                x[d, b] = X[start + b, d]
        for c in range(C):
            for b in range(B):
                total[b] = 0.0
            for i in range(D):
                mean = means[c, i]
                row = x[i]
                solved = y[i]
                for b in range(B):
                    solved[b] = row[b] - mean
                for j in range(i):
                    before = y[j]
                    factor = roots[c, i, j]
                    for b in range(B):
                        solved[b] -= factor * before[b]
                reciprocal = 1.0 / roots[c, i, i]
                for b in range(B):
                    solved[b] *= reciprocal
                    total[b] += solved[b] * solved[b]
            for b in range(B):
                out[start + b, c] = constants[c] - 0.5 * total[b]


@kernel
def add_moments(X: Floats, W: Floats, means: Floats, pairs: bool, mass: Floats, first: Floats, second: Floats) -> None:
    """Add weighted moments around `means` to lanes that are summed in the end.

    mass (C, 16); first (C, D, 16); second (C, P, 16) has the pairs j <= i of features, row after row,
    P = D (D + 1) / 2, or, without `pairs`, the squares alone, P = D.
    """
    n_samples, D = X.shape
    C = W.shape[1]
    x = np.empty((D, 64))
    d = np.empty((D, 64))
    w = np.empty(64)
    g = np.empty(64)
    for start in range(0, n_samples, 64):
        B = min(64, n_samples - start)
        for i in range(D):
            for b in range(B):
                x[i, b] = X[start + b, i]
            for b in range(B, 64):
                x[i, b] = X[start, i]  # any number: its weight is 0
        for c in range(C):
            for b in range(B):
                w[b] = W[start + b, c]
            for b in range(B, 64):
                w[b] = 0.0
            lanes = mass[c]
            for b in range(16):
                lanes[b] += (w[b] + w[b + 16]) + (w[b + 32] + w[b + 48])
            pair = 0
            for i in range(D):
                mean = means[c, i]
                row = x[i]
                away = d[i]
                for b in range(64):
                    away[b] = row[b] - mean
                    g[b] = w[b] * away[b]
                lanes = first[c, i]
                for b in range(16):
                    lanes[b] += (g[b] + g[b + 16]) + (g[b + 32] + g[b + 48])
                for j in range(0 if pairs else i, i + 1):
                    other = d[j]
                    lanes = second[c, pair]
                    for b in range(16):
                        s = g[b] * other[b] + g[b + 16] * other[b + 16]
                        lanes[b] += s + (g[b + 32] * other[b + 32] + g[b + 48] * other[b + 48])
                    pair += 1


# ---------------------------------------------------------------------------------------------------- complete or not


def log_densities(X: Array, means: Floats, covariances: Floats) -> Floats:
    """Log N(x_n; mu_c, Sigma_c), shape (n_samples, C).

    Parameters
    ----------
    X : (n_samples, n_features)
        NaN where missing; a row without any entry has log-density 0.
    means : (C, n_features)
    covariances : (C, n_features) or (C, n_features, n_features)
        Variances, or matrices.

    """
    X, means = plain(X), plain(means)
    if is_complete(X):
        return _complete_log_densities(X, means, covariances)
    out = np.zeros((len(X), len(means)))
    if covariances.ndim == 2:
        for d in range(X.shape[1]):
            rows = np.flatnonzero(~np.isnan(X[:, d]))
            column = slice(d, d + 1)
            out[rows] += _complete_log_densities(X[rows, column], plain(means[:, column]), covariances[:, column])
        return out
    for rows, seen in patterns(X):
        if seen.size:
            block = np.ascontiguousarray(covariances[:, seen[:, None], seen])
            out[rows] = _complete_log_densities(X[rows[:, None], seen], means[:, seen], block)
    return out


def _complete_log_densities(X: Floats, means: Floats, covariances: Floats) -> Floats:
    out = np.empty((len(X), len(means)))
    constant = -0.5 * X.shape[1] * _LOG_2PI
    X, means = np.ascontiguousarray(X), np.ascontiguousarray(means)
    if covariances.ndim == 2:
        variances = np.ascontiguousarray(covariances)
        constants = constant - 0.5 * np.add.reduce(np.log(variances), axis=1)
        diagonal_log_densities(X, means, np.sqrt(variances), constants, out)
    else:
        roots = cholesky_factors(covariances)
        constants = constant - np.log(np.einsum("cii->ci", roots)).sum(axis=1)
        full_log_densities(X, means, roots, constants, out)
    return out


def moments(X: Array, weights: Array, means: Floats, covariances: Floats) -> Moments:
    """Weighted moments around the present means, as expected where entries are missing.

    Parameters
    ----------
    X : (n_samples, n_features)
        NaN where missing.
    weights : (n_samples, C)
        At least 0.
    means, covariances
        As in `log_densities`.

    """
    X, weights, means = plain(X), plain(weights), plain(means)
    pairs = covariances.ndim == 3
    if is_complete(X):
        mass, first, second = _complete_moments(X, weights, means, pairs)
        return Moments(mass if pairs else mass[:, None] * np.ones(X.shape[1]), first, second)
    C, D = means.shape
    if not pairs:
        found = Moments(np.zeros((C, D)), np.zeros((C, D)), np.zeros((C, D)))
        for d in range(D):
            rows = np.flatnonzero(~np.isnan(X[:, d]))
            column = slice(d, d + 1)
            part = _complete_moments(
                np.ascontiguousarray(X[rows, column]), weights[rows], plain(means[:, column]), False
            )
            for total, of_column in zip(found, part, strict=True):
                total[:, d] = of_column.reshape(C)
        return found
    found = Moments(np.zeros(C), np.zeros((C, D)), np.zeros((C, D, D)))
    for rows, seen in patterns(X):
        if seen.size:
            of_seen = np.ascontiguousarray(X[rows[:, None], seen])
            part = _complete_moments(of_seen, weights[rows], np.ascontiguousarray(means[:, seen]), True)
            for total, added in zip(found, _expected_moments(part, covariances, seen), strict=True):
                total += added
    return found


def _complete_moments(X: Floats, weights: Floats, means: Floats, pairs: bool) -> Moments:
    C, D = means.shape
    lanes = [np.zeros((C, 16)), np.zeros((C, D, 16)), np.zeros((C, D * (D + 1) // 2 if pairs else D, 16))]
    add_moments(X, weights, means, pairs, *lanes)
    mass, first, second = (np.add.reduce(part, axis=-1) for part in lanes)
    if pairs:
        row, column = np.tril_indices(D)
        matrices = np.empty((C, D, D))
        matrices[:, row, column] = matrices[:, column, row] = second
        second = matrices
    return Moments(mass, first, second)


def _expected_moments(seen_moments: Moments, covariances: Floats, seen: Ints) -> Moments:
    """Moments of whole rows, given those of the features that were seen."""
    mass, first, second = seen_moments
    C, D = covariances.shape[:2]
    if len(seen) == D:
        return seen_moments
    unseen = np.setdiff1d(np.arange(D), seen)
    root = cholesky_factors(np.ascontiguousarray(covariances[:, seen[:, None], seen]))
    half = np.ascontiguousarray(covariances[:, seen[:, None], unseen])
    forward_substitute(root, half)  # L^{-1} Sigma_ou
    left = covariances[:, unseen[:, None], unseen] - half.transpose(0, 2, 1) @ half
    back_substitute(root, half)  # Sigma_oo^{-1} Sigma_ou
    completion = np.zeros((C, D, len(seen)))
    completion[:, seen, np.arange(len(seen))] = 1.0
    completion[:, unseen] = half.transpose(0, 2, 1)
    second = completion @ second @ completion.transpose(0, 2, 1)
    second[:, unseen[:, None], unseen] += mass[:, None, None] * left
    return Moments(mass, np.einsum("cij,cj->ci", completion, first), second)


def patterns(X: Floats) -> list[tuple[Ints, Ints]]:
    """Rows that have the same entries, and the features they have; in a fixed order."""
    seen = ~np.isnan(X)
    packed = np.packbits(seen, axis=1)
    keys = np.zeros((len(X), -(-packed.shape[1] // 8) * 8), np.uint8)
    keys[:, : packed.shape[1]] = packed
    words = keys.view(np.uint64)
    order = np.lexsort(words.T)
    ordered = words[order]
    begins = np.flatnonzero(np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)]))
    return [(np.sort(rows), np.flatnonzero(seen[rows[0]])) for rows in np.split(order, begins[1:])]


def is_complete(X: Floats) -> bool:
    """Whether no entry is NaN; nearly always one pass tells."""
    return not (np.isnan(np.add.reduce(X, axis=None)) and np.isnan(X).any())


def plain(values: Array) -> Floats:
    """C-contiguous, float64 and writable, as kernels are compiled for; copied only where it must be."""
    if type(values) is np.ndarray and values.dtype == np.float64 and values.flags.carray:
        return values  # np.require would find the same, at the price of a hundred rows
    return np.require(values, np.float64, ["C", "W"])
