r"""Means and covariances in coordinates without bounds, for gradient methods.

A mean is taken in units of the feature's standard deviation s in the data, a variance as log(v - f) above its floor f,
and a matrix by the lower triangle L of

    Sigma = F + diag(s) L L^T diag(s)        F = diag(f), the diagonal of L in logarithms

so that no step leads below the floor, and none depends on the units of the data.
"""

from __future__ import annotations

import numpy as np

from statespace.foundations.linalg import cholesky_factors, raise_to_floor, solve_spd
from statespace.hmm.emissions.gaussian_covariances import expand, is_diagonal
from statespace.protocols import Array, Floats

_LEAST_ABOVE = 1e-10  # of the floor: how close above it a coordinate can be
_FARTHEST = 600.0  # a logarithm whose exponential is a float, with room


def covariance_coordinates(covars: Floats, kind: str, free: Array, floor: Floats, scale: Floats) -> Floats:
    """Coordinates of the free covariances; those at the floor, or below it, count as a hair above it."""
    if is_diagonal(kind):
        least, size = _per_covariance(covars, kind, free, floor, scale)
        above = np.maximum(covars[free] - least, _LEAST_ABOVE * (least + 1e-290))
        return np.log(above / size)
    raised = raise_to_floor(covars[free], (1 + _LEAST_ABOVE) * np.tile(floor, (int(free.sum()), 1)) + 1e-290)
    roots = cholesky_factors((raised - np.diag(floor)) / np.outer(scale, scale))
    D = covars.shape[-1]
    diagonal = np.arange(D)
    roots[:, diagonal, diagonal] = np.log(roots[:, diagonal, diagonal])
    return roots[:, *np.tril_indices(D)].reshape(-1)


def covariances_from(
    coordinates: Floats, covars: Floats, kind: str, free: Array, floor: Floats, scale: Floats
) -> Floats:
    """Covariances at these coordinates; those that are not free as they were."""
    found = covars.copy()
    if is_diagonal(kind):
        least, size = _per_covariance(covars, kind, free, floor, scale)
        found[free] = least + size * np.exp(np.clip(coordinates, -_FARTHEST, _FARTHEST))
        return found
    scaled = _triangles(coordinates, covars.shape[-1]) * scale[:, None]
    found[free] = scaled @ scaled.transpose(0, 2, 1) + np.diag(floor)
    return found


def covariance_gradient(
    coordinates: Floats,
    means: Floats,
    covars: Floats,
    kind: str,
    free: Array,
    scale: Floats,
    floor: Floats,
    counts: Array,
    second: Floats,
) -> Floats:
    """Gradient of -sum (counts log |Sigma| + tr(Sigma^{-1} second)) / 2 in the coordinates of `covars`."""
    if is_diagonal(kind):
        variances = expand(covars, kind, *means.shape)
        slopes = 0.5 * (second / variances - counts) / variances
        slopes = slopes.sum(axis=1) if kind == "spherical" else slopes
        size = _per_covariance(covars, kind, free, floor, scale)[1]
        return np.asarray(slopes[free] * size * np.exp(np.clip(coordinates, -_FARTHEST, _FARTHEST)))
    D = covars.shape[-1]
    Sigma = covars[free]
    counts = np.broadcast_to(counts, (len(covars),))[free]
    roots = cholesky_factors(Sigma)
    left = solve_spd(roots, second[free] - counts[:, None, None] * Sigma)
    slopes = 0.5 * solve_spd(roots, left.transpose(0, 2, 1))
    L = _triangles(coordinates, D)
    by_root = 2 * (scale[:, None] * slopes * scale) @ L
    diagonal = np.arange(D)
    by_root[:, diagonal, diagonal] *= L[:, diagonal, diagonal]
    return by_root[:, *np.tril_indices(D)].reshape(-1)


def _per_covariance(covars: Floats, kind: str, free: Array, floor: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Floor and squared unit of each free variance."""
    if kind == "spherical":
        return np.full(int(free.sum()), floor.mean()), np.full(int(free.sum()), (scale**2).mean())
    return np.broadcast_to(floor, covars.shape)[free], np.broadcast_to(scale**2, covars.shape)[free]


def _triangles(coordinates: Floats, n_features: int) -> Floats:
    """The factors L, with their diagonals out of logarithms."""
    row, column = np.tril_indices(n_features)
    L = np.zeros((coordinates.size // len(row), n_features, n_features))
    L[:, row, column] = coordinates.reshape(len(L), len(row))
    diagonal = np.arange(n_features)
    L[:, diagonal, diagonal] = np.exp(np.clip(L[:, diagonal, diagonal], -_FARTHEST / 2, _FARTHEST / 2))
    return L
