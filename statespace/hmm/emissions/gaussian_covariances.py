r"""The four kinds of covariance, their priors, and the M-step that is exact for each of them.

C Gaussians have covariances of one kind, stored in these shapes:

    spherical (C,)    diag (C, n_features)    full (C, n_features, n_features)    tied (G, n_features, n_features)

where tied matrices are shared by C / G Gaussians each. The M-step maximises, over means and covariances,

    -1/2 sum_c (N_c + a_c) log |Sigma_c| + tr(Sigma_c^{-1} (S_c(mu_c) + Psi_c + lambda_c (mu_c - m_c) (mu_c - m_c)^T))

with S_c(mu) the weighted scatter around mu and a conjugate prior (a, Psi, lambda, m), all 0 for maximum likelihood,
under the constraint that no variance, in no direction, is below that of a floor.

References
----------
Gauvain and Lee (1994), Maximum a posteriori estimation for multivariate Gaussian mixture observations.

"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.executors import map_pieces, pieces, sum_in_order
from statespace.foundations.kernel import kernel
from statespace.foundations.linalg import cholesky_factors, raise_to_floor, relative_eigenvalues
from statespace.hmm.emissions.gaussian_densities import Moments, plain
from statespace.protocols import Array, Floats

COVARIANCE_TYPES = ("spherical", "diag", "full", "tied")

RELATIVE_FLOOR = 1e-6  # of each feature's variance: no state of real data is so narrow, rounding is far below
_LEAST_FLOOR = 1e-13  # of each feature's variance: below it the factors of a matrix would be rounding errors
_BESIDE_PRIOR = 1e-7  # of the squared distance of a prior from the data
_TORN = 50.0  # nats an observation and feature: more than any narrower matrix gains on them
_EMPTY = 1e-10  # of all mass: a Gaussian with less has seen nothing to speak of
_BLOCK = 1 << 16
_NEAR = 100.0  # variances: the square of the distance from the mean, from where sums of squares keep their digits
_EPSILON = float(np.finfo(np.float64).eps)


class ConjugatePrior(NamedTuple):
    """A normal-inverse-gamma or normal-inverse-Wishart prior of every Gaussian; zeros are no prior."""

    location: Array
    """m, shape (C, n_features)."""
    mean_weight: Array
    """lambda, shape (C,) of matrices, (C, n_features) of variances."""
    scatter: Array
    """Psi: of variances (C, n_features), where spherical ones sum a row; else (C or G, n_features, n_features)."""
    counts: Array
    """a, of the shape of `scatter` without the last axis of a matrix: (C, n_features), or (C or G,)."""


NO_PRIOR = ConjugatePrior(*[np.zeros(())] * 4)


def check_prior(prior: ConjugatePrior, what: str) -> None:
    """Refuse, under the name `what`, a prior that draws covariances below 0: its density has no maximum."""
    if not np.isfinite(prior.scatter).all() or not np.isfinite(prior.counts).all():
        raise ValueError(f"{what}: the prior of covariances is not finite")
    least, size = prior.scatter.min(), np.abs(prior.scatter).max()
    if prior.scatter.ndim == 3:
        if np.abs(prior.scatter - prior.scatter.transpose(0, 2, 1)).max() > 1e-8 * size:
            raise ValueError(f"{what}: the scale of the prior of covariances is not symmetric")
        least = np.linalg.eigvalsh(prior.scatter).min()
    if least < -1e-10 * size or prior.counts.min() < -1e-10:
        raise ValueError(
            f"{what}: the prior of covariances counts {prior.counts.min():.4g} observations of scale {least:.4g}, "
            "expected at least 0, which is none"
        )


def is_diagonal(kind: str) -> bool:
    """Whether a kind is made of variances rather than of matrices."""
    return kind in ("spherical", "diag")


def expand(covars: Floats, kind: str, n_gaussians: int, n_features: int) -> Floats:
    """Variances (C, n_features), or matrices (C, n_features, n_features), of every Gaussian."""
    if kind == "spherical":
        return np.repeat(covars[:, None], n_features, axis=1)
    if kind == "tied":
        return np.repeat(covars, n_gaussians // len(covars), axis=0)
    return covars


def as_matrices(covars: Floats, kind: str, n_gaussians: int, n_features: int) -> Floats:
    """Matrices (C, n_features, n_features) of every Gaussian, whatever the kind."""
    expanded = expand(covars, kind, n_gaussians, n_features)
    return np.asarray(expanded[:, :, None] * np.eye(n_features)) if is_diagonal(kind) else expanded.copy()


def of_kind(matrices: Floats, kind: str, n_groups: int) -> Floats:
    """The covariances of a kind nearest to matrices (C, n_features, n_features): parts, or means, of them."""
    if kind == "full":
        return matrices
    if kind == "tied":
        return np.asarray(matrices.reshape(n_groups, -1, *matrices.shape[1:]).mean(axis=1))
    variances: Floats = np.einsum("cii->ci", matrices)
    return np.asarray(variances.mean(axis=1)) if kind == "spherical" else variances.copy()


def checked_covariances(covars: Any, kind: str, shape: tuple[int, ...]) -> Floats:
    """Covariances of a kind as a C-contiguous array of the given shape.

    Raises
    ------
    ValueError
        If the shape is another, variances are not positive, or matrices not symmetric and positive-definite.

    """
    values = plain(covars)
    if values.shape != shape:
        raise ValueError(f"'{kind}' covars must have shape {shape}, got {values.shape}")
    if not np.logical_and.reduce(np.isfinite(values), axis=None):
        raise ValueError(f"'{kind}' covars must be finite, found {values[~np.isfinite(values)][0]}")
    if is_diagonal(kind):
        if not np.logical_and.reduce(values > 0, axis=None):
            raise ValueError(f"'{kind}' covars must be positive, found {values.min():g}")
        return values
    matrices = values.reshape(-1, *shape[-2:])
    turned = matrices.transpose(0, 2, 1)
    apart = np.abs(matrices - turned).max(axis=(1, 2))
    crooked = np.flatnonzero(apart > 1e-5 * np.abs(matrices).max(axis=(1, 2)))
    place = "" if len(shape) == 2 else f"[{_place(int(crooked[0]), shape)}]" if crooked.size else ""
    if crooked.size:
        raise ValueError(
            f"'{kind}' covars must be symmetric, positive-definite: covars{place} differs from its transpose by "
            f"{apart[crooked[0]]:g}"
        )
    if apart.any():
        values = (0.5 * (matrices + turned)).reshape(shape)
        matrices = values.reshape(-1, *shape[-2:])
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        lowest = np.linalg.eigvalsh(matrices)[:, 0]
        worst = int(lowest.argmin())
        place = "" if len(shape) == 2 else f"[{_place(worst, shape)}]"
        raise ValueError(
            f"'{kind}' covars must be symmetric, positive-definite: covars{place} has the eigenvalue {lowest[worst]:g}"
        ) from None
    return values


def _place(number: int, shape: tuple[int, ...]) -> str:
    return ", ".join(str(int(i)) for i in np.unravel_index(number, shape[:-2]))


# ------------------------------------------------------------------------------------------------------------- floors


@kernel
def add_feature_sums(X: Floats, weights: Floats, centre: Floats, lanes: Floats) -> None:
    """Add w, w (x - c), w (x - c)^2 of the entries that are there to lanes (n_features, 3, 16), summed in the end."""
    n_samples, D = X.shape
    x, w, g = np.empty(64), np.zeros(64), np.empty(64)
    for start in range(0, n_samples, 64):
        B = min(64, n_samples - start)
        for d in range(D):
            c = centre[d]
            for b in range(B):
                x[b] = X[start + b, d]
                w[b] = weights[start + b]
            for b in range(B, 64):
                w[b] = 0.0
            for b in range(64):
                there = (w[b] > 0.0) & (x[b] == x[b])
                w[b] = w[b] if there else 0.0
                x[b] = x[b] - c if there else 0.0
                g[b] = w[b] * x[b]
            mass, total, squares = lanes[d, 0], lanes[d, 1], lanes[d, 2]
            for i in range(16):
                mass[i] += (w[i] + w[i + 16]) + (w[i + 32] + w[i + 48])
                total[i] += (g[i] + g[i + 16]) + (g[i + 32] + g[i + 48])
                s = g[i] * x[i] + g[i + 16] * x[i + 16]
                squares[i] += s + (g[i + 32] * x[i + 32] + g[i + 48] * x[i + 48])


def feature_variances(X: Array, weights: Floats | None = None) -> Floats:
    """Variance of each feature, positive also where a feature is constant, shape (n_features,).

    A constant feature has the square of its size instead, and one that is always 0 the mean of the others', so that
    all of them follow a change of units.
    """
    if weights is None:
        weights = np.ones(len(X))
    centre = _first_entries(X, weights)
    for _ in range(2):
        sums = partial(_feature_sums, X, weights, centre)
        mass, total, squares = sum_in_order(map_pieces(sums, pieces(len(X), _BLOCK) or [slice(0)])).T
        mass = np.maximum(mass, 5e-324)  # where there is none, the sums are 0
        shift = total / mass
        variances = squares / mass - shift**2
        centre = centre + shift
        if np.logical_and.reduce(shift**2 <= _NEAR * variances):  # otherwise nearly all of the squares cancels
            break
    return positive_variances(variances, np.abs(centre))


def _feature_sums(X: Array, weights: Floats, centre: Floats, rows: slice) -> Floats:
    """Mass, sums and squares of some rows, (n_features, 3)."""
    lanes = np.zeros((X.shape[1], 3, 16))
    add_feature_sums(plain(X[rows]), plain(weights[rows]), centre, lanes)
    return np.asarray(np.add.reduce(lanes, axis=2))


def _first_entries(X: Array, weights: Floats) -> Floats:
    """The first entry of each feature that is there and has a weight, 0 where none is: a constant feature's own."""
    if not len(X):
        return np.zeros(X.shape[1])
    first = np.asarray(X[0], dtype=np.float64)
    if weights[0] > 0 and np.logical_and.reduce(first == first):
        return first
    there = ~np.isnan(X) & (weights > 0)[:, None]
    return np.where(there.any(axis=0), X[there.argmax(axis=0), np.arange(X.shape[1])], 0.0)


def positive_variances(variances: Floats, size: Floats) -> Floats:
    """Variances that are 0, or rounding, replaced as `feature_variances` says; `size` is how large values are."""
    distinct = variances > (_EPSILON * size) ** 2
    if np.logical_and.reduce(distinct & (variances < np.inf)):
        return variances
    found = np.where(distinct, variances, size**2)
    positive = (found > 0) & np.isfinite(found)
    return np.asarray(np.where(positive, found, found[positive].mean() if positive.any() else 1.0))


def floors(min_covar: float | None, variances: Floats) -> Floats:
    """The smallest variance that each feature may have, shape (n_features,)."""
    if min_covar is None:
        return RELATIVE_FLOOR * variances
    return np.asarray(np.maximum(float(min_covar), _LEAST_FLOOR * variances))


def floor_beside(prior: ConjugatePrior, centre: Floats) -> Floats:
    """The floor of matrices whose means have a prior far from the data, shape (n_features,).

    It makes them so wide in its direction that the likelihood of narrower ones could not be told beside rounding.
    """
    pulled = _by_feature(np.asarray(prior.mean_weight)) > 0
    distance = np.where(pulled, np.abs(prior.location - centre), 0.0)
    return np.asarray(_BESIDE_PRIOR * distance.max(axis=0) ** 2)


def floor_now(covars: Floats, kind: str, floor: Floats) -> Floats:
    """The floor as far as present covariances keep to it, so that an M-step never has to leave better ones.

    Shape (C,) if spherical, otherwise (C or G, n_features). It is lower only where covariances were set by hand.
    """
    if kind == "spherical":
        return np.asarray(np.minimum(covars, floor.mean()))
    if kind == "diag":
        return np.asarray(np.minimum(covars, floor))
    share = np.ones(len(covars))
    try:
        np.linalg.cholesky(covars - (1 - 1e-9) * np.diag(floor))
    except np.linalg.LinAlgError:
        lowest = relative_eigenvalues(covars, floor)[:, 0]
        share = np.where(lowest >= 1 - 1e-9, 1.0, np.maximum(lowest, _EPSILON))
    return share[:, None] * floor


# ------------------------------------------------------------------------------------------------------------- M-step


def maximum(
    means: Floats,
    covars: Floats,
    kind: str,
    moments: Moments,
    prior: ConjugatePrior,
    floor: Floats,
    held_means: Array,
    held_covars: Array,
) -> tuple[Floats, Floats]:
    """Means and covariances that maximise the expected log-likelihood plus the log prior.

    A Gaussian without mass keeps its own. Held entries are kept exactly; where only some means of a Gaussian with a
    matrix are held, the free ones are maximised under the present matrix, and then the matrix, so that the objective
    does not fall.

    Parameters
    ----------
    means, covars
        At present, shapes (C, n_features) and as stored.
    moments : Moments
        Around the present means.
    floor : (n_features,)
    held_means : (C, n_features) of bool
    held_covars : of bool
        (C,), (C, n_features) or (C or G,): variances or whole matrices.

    """
    mass, first, second = moments
    weight, pull, alive = mass, first, mass > _EMPTY * np.add.reduce(mass, axis=0)
    if prior is not NO_PRIOR:
        weight = mass + prior.mean_weight
        pull = first + _by_feature(prior.mean_weight) * (prior.location - means)
        alive = alive & (weight > 0)
    shift = _by_feature(alive) * pull / _by_feature(np.where(alive, weight, 1.0))
    if np.logical_or.reduce(held_means, axis=None):
        shift = _without_held(shift, held_means, None if is_diagonal(kind) else expand(covars, kind, *means.shape))
    away = means + shift - prior.location
    if is_diagonal(kind):
        scatter, counts = np.maximum(second - 2 * shift * first + mass * shift**2, 0.0), mass
        if prior is not NO_PRIOR:
            scatter += prior.scatter + prior.mean_weight * away**2
            counts = mass + prior.counts
        if kind == "spherical":
            scatter, counts, alive = scatter.sum(axis=1), counts.sum(axis=1), alive.any(axis=1)
    else:
        cross = shift[:, :, None] * first[:, None, :]
        scatter = second - cross - cross.transpose(0, 2, 1) + mass[:, None, None] * _outer(shift)
        scatter = scatter + np.reshape(prior.mean_weight, (-1, 1, 1)) * _outer(away)
        counts = mass
        if kind == "tied":
            scatter, counts = _by_group(scatter, len(covars)), _by_group(mass, len(covars))
            alive = counts > _EMPTY * mass.sum()
        scatter, counts = scatter + prior.scatter, counts + prior.counts
    known = alive & (counts > 0) & ~held_covars
    share = scatter / np.where(known, counts, 1.0).reshape(counts.shape + (1,) * (scatter.ndim - counts.ndim))
    least = floor_now(covars, kind, floor)
    if is_diagonal(kind):
        return means + shift, np.where(known, np.maximum(share, least), covars)
    if np.any(prior.mean_weight):
        least[_torn(means, covars, kind, prior, counts)] = floor
    found = covars.copy()
    found[known] = raise_to_floor(share[known], least[known])
    return means + shift, found


def _torn(means: Floats, covars: Floats, kind: str, prior: ConjugatePrior, counts: Floats) -> Array:
    """Which present matrices are so narrow beside the distance of a prior that those of the floor are far likelier."""
    away = means - prior.location
    solved = np.linalg.solve(expand(covars, kind, *means.shape), away[:, :, None])[:, :, 0]
    pull = _by_group(prior.mean_weight * (away * solved).sum(axis=1), len(covars))
    return np.asarray(pull > _TORN * means.shape[1] * counts)


def _without_held(shift: Floats, held: Array, covariances: Floats | None) -> Floats:
    shift = np.where(held & (covariances is None), 0.0, shift)
    if covariances is None:
        return shift
    for c in np.flatnonzero(held.any(axis=1)):
        h, f = np.flatnonzero(held[c]), np.flatnonzero(~held[c])
        Sigma = covariances[c]
        shift[c, f] -= Sigma[np.ix_(f, h)] @ np.linalg.solve(Sigma[np.ix_(h, h)], shift[c, h])
        shift[c, h] = 0.0
    return shift


def log_prior(means: Floats, covars: Floats, kind: str, prior: ConjugatePrior) -> float:
    """Log density of the prior, up to a constant."""
    away = means - prior.location
    if is_diagonal(kind):
        variances = expand(covars, kind, *means.shape)
        scatter = prior.scatter + prior.mean_weight * away**2
        return float(-0.5 * (prior.counts * np.log(variances) + scatter / variances).sum())
    G = len(covars)
    scatter = _by_group(np.reshape(prior.mean_weight, (-1, 1, 1)) * _outer(away), G) + prior.scatter
    log_determinants = 2 * np.log(np.einsum("gii->gi", cholesky_factors(covars))).sum(axis=1)
    traces = np.einsum("gii->g", np.linalg.solve(covars, scatter))
    return float(-0.5 * (prior.counts * log_determinants + traces).sum())


def prior_moments(means: Floats, kind: str, prior: ConjugatePrior, n_groups: int) -> tuple[Array, Floats, Floats]:
    """Counts of the covariances, first and second moments that act on a gradient as the prior does."""
    away = np.broadcast_to(means - prior.location, means.shape)
    first = -_by_feature(prior.mean_weight) * away
    if is_diagonal(kind):
        return prior.counts, first, prior.scatter + prior.mean_weight * away**2
    second = np.reshape(prior.mean_weight, (-1, 1, 1)) * _outer(away)
    return prior.counts, first, _by_group(second, n_groups) + prior.scatter


def group_moments(moments: Moments, kind: str, n_groups: int) -> tuple[Floats, Floats, Floats]:
    """Counts and second moments summed over Gaussians that share a matrix, and first moments."""
    if is_diagonal(kind):
        return moments
    return _by_group(moments.mass, n_groups), moments.first, _by_group(moments.second, n_groups)


def _by_group(values: Floats, n_groups: int) -> Floats:
    if len(values) == n_groups:
        return values
    summed: Floats = values.reshape(n_groups, -1, *values.shape[1:]).sum(axis=1)
    return summed


def _by_feature(values: Array) -> Array:
    """A value of each Gaussian, (C,), as a column beside (C, n_features)."""
    return values[:, None] if np.ndim(values) == 1 else values


def _outer(rows: Floats) -> Floats:
    return rows[:, :, None] * rows[:, None, :]
