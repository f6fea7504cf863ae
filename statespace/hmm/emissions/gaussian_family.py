"""What emissions made of Gaussians have in common."""

from __future__ import annotations

import copy
from numbers import Real
from typing import Any, Self

import numpy as np

from statespace.foundations.linalg import cholesky_factors, raise_to_floor, solve_spd
from statespace.foundations.observations import Observations, read_observations
from statespace.foundations.validation import check_choice
from statespace.hmm.emissions import gaussian_coordinates as coordinates
from statespace.hmm.emissions import gaussian_covariances as gaussians
from statespace.hmm.emissions.emission import ByValue
from statespace.hmm.emissions.gaussian_covariances import COVARIANCE_TYPES, NO_PRIOR, ConjugatePrior, is_diagonal
from statespace.hmm.emissions.gaussian_densities import Moments, log_densities, moments, plain
from statespace.hmm.emissions.start_values import Clusters, rival_clusters
from statespace.protocols import Array, Floats, Ints

_START_FLOOR = 1e-3  # of a feature's variance: a start should rather be too wide than too narrow


class GaussianFamily(ByValue):
    """What emissions made of Gaussians share: C of them, with means (C, n_features) and covariances of one kind.

    A subclass says how many Gaussians share a tied matrix, and which prior they have.
    """

    support = "reals"
    marginalises = True
    covariance_type: str
    min_covar: float | None
    means: Any
    covars: Any
    fixed: dict[str, Any]
    data_variance: Floats | None
    data_mean: Floats | None
    means_prior: Any
    means_weight: Any
    covars_prior: Any
    covars_weight: Any

    def _sharing(self) -> int:
        """How many Gaussians share a tied matrix."""
        raise TypeError(f"{type(self).__name__} does not say how many Gaussians share a matrix")

    def _prior(self) -> ConjugatePrior | None:
        """The prior of the Gaussians; None where there is none."""

    # --------------------------------------------------------------------------------------------------- flat views

    @property
    def n_components(self) -> int:
        """How many states have parameters."""
        return len(self.means)

    @property
    def _n_features(self) -> int:
        return int(self.means.shape[-1])

    @property
    def _n_groups(self) -> int:
        """How many covariances there are."""
        C = len(self._flat_means())
        return C // self._sharing() if self.covariance_type == "tied" else C

    def _flat_means(self) -> Floats:
        means: Floats = self.means.reshape(-1, self._n_features)
        return means

    def _flat_covars(self) -> Floats:
        tail = {"spherical": (), "diag": (self._n_features,)}.get(self.covariance_type, (self._n_features,) * 2)
        flat: Floats = self.covars.reshape(-1, *tail)
        return flat

    def _expanded(self) -> Floats:
        """Variances (C, n_features), or matrices, of all Gaussians."""
        return gaussians.expand(self._flat_covars(), self.covariance_type, *self._flat_means().shape)

    def _set_flat(self, means: Floats, covars: Floats) -> None:
        self.means = np.ascontiguousarray(means.reshape(self.means.shape))
        self.covars = np.ascontiguousarray(covars.reshape(self.covars.shape))

    def _held(self) -> tuple[Array, Array]:
        """Masks of held means (C, n_features), and of held covariances as stored, whole matrices each."""
        C, D = self._flat_means().shape
        if not self.fixed:
            stored = self._flat_covars().shape
            each = stored if is_diagonal(self.covariance_type) else stored[:1]
            return np.zeros((C, D), np.bool_), np.zeros(each, np.bool_)
        held_means = self._mask("means", self.means.shape).reshape(C, D)
        if is_diagonal(self.covariance_type):
            return held_means, self._mask("covars", self.covars.shape).reshape(self._flat_covars().shape)
        mask = self.fixed.get("covars", False)
        stored = self.covars.shape[:-2]
        if np.shape(mask) == stored:
            return held_means, np.array(mask, np.bool_).reshape(-1)
        entries = self._mask("covars", self.covars.shape).reshape(-1, D * D)
        if (entries.any(axis=1) != entries.all(axis=1)).any():
            raise ValueError(
                f"fixed['covars'] holds single entries of a '{self.covariance_type}' matrix: hold whole matrices, or "
                "use covariance_type='diag'"
            )
        return held_means, np.asarray(entries.all(axis=1))

    def _mask(self, name: str, shape: tuple[int, ...]) -> Array:
        mask = self.fixed.get(name, False)
        if mask is True or mask is False:
            return np.full(shape, mask)
        mask = np.asarray(mask)
        if mask.dtype != np.bool_ or mask.shape != shape:
            raise ValueError(f"fixed[{name!r}] must be True or a boolean mask of shape {shape}, got {mask.shape}")
        return mask

    # -------------------------------------------------------------------------------------------------------- floors

    def floor(self) -> Floats:
        """The smallest variance of each feature, shape (n_features,); 0 while no data have been seen."""
        if self.data_variance is None:
            return np.full(self._n_features, float(self.min_covar or 0.0))
        floor = gaussians.floors(self.min_covar, self.data_variance)
        prior = None if self.data_mean is None or is_diagonal(self.covariance_type) else self._prior()
        if prior is None or self.data_mean is None:
            return floor
        return np.maximum(floor, gaussians.floor_beside(prior, self.data_mean))

    def _measure(self, X: Floats, weights: Floats | None) -> None:
        """Learn the scale of the data, and, where means have a prior, their place."""
        self.data_variance = gaussians.feature_variances(X, weights)
        weight = self.means_weight
        if weight if isinstance(weight, int | float) else np.any(weight):
            rows = X if weights is None else X[weights > 0]
            seen = ~np.isnan(rows)
            self.data_mean = np.where(seen, rows, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)

    def _start_covars(self, found: Clusters, n_gaussians: int) -> Floats:
        """Covariances of clusters, drawn towards their mean where they have few rows, shape (C, D, D)."""
        assert self.data_variance is not None
        D = found.rows.shape[1]
        away = found.rows - found.means[found.labels]
        within = away.T @ away / len(away)
        covariances = np.tile(within, (n_gaussians, 1, 1))
        for k in range(n_gaussians):
            members = away[found.labels == k]
            covariances[k] = (members.T @ members + (D + 1) * within) / (len(members) + D + 1)
        least = np.maximum(_START_FLOOR * self.data_variance, self.floor())
        return raise_to_floor(covariances, np.tile(least, (n_gaussians, 1)))

    # -------------------------------------------------------------------------------------------------------- starts

    def _begin(self, found: Clusters, n_components: int, rng: np.random.Generator) -> None:  # noqa: ARG002  # a seam
        """Set what is not known yet to the values of a cluster for each state."""
        raise TypeError(f"{type(self).__name__} does not say how it begins")

    def rivals(
        self,
        X: Floats,
        offsets: Ints,
        n_components: int,
        rng: np.random.Generator,
        weights: Floats | None = None,
    ) -> list[Self]:
        """Other starts than that of `initialize`, where no mean and no covariance is given, in this order.

        From groups by distance from the mean, for states that differ in their variance; from groups of short stretches
        of time, for states that last.
        """
        self._check_options()
        if n_components == 1 or self.means is not None or self.covars is not None:
            return []
        made = []
        for found in rival_clusters(X, offsets, n_components, rng):
            rival = copy.deepcopy(self)
            rival._measure(X, weights)
            rival._begin(found, n_components, rng)
            made.append(rival)
        return made

    # ------------------------------------------------------------------------------------------------------ checking

    def read(self, X: Any, lengths: Any) -> Observations:
        """Rows (n_samples, n_features), as many features as the means have."""
        return read_observations(X, lengths, n_features=None if self.means is None else np.shape(self.means)[-1])

    def _check_options(self) -> None:
        check_choice("covariance_type", self.covariance_type, COVARIANCE_TYPES)
        if self.min_covar is not None and not (isinstance(self.min_covar, Real) and 0 <= self.min_covar < np.inf):
            raise ValueError(f"min_covar is {self.min_covar!r}, expected a number of at least 0, or None")
        weight = self.means_weight
        usual = weight is None or (isinstance(weight, int | float) and weight >= 0)
        if not usual and not (np.asarray(weight, np.float64) >= 0).all():
            raise ValueError(f"means_weight is {self.means_weight!r:.60}, expected numbers of at least 0")

    def _check_gaussians(self, leading: tuple[int, ...], spelt: str) -> None:
        """Check means (*leading, n_features), covariances, masks and priors."""
        self._check_options()
        for name in ("means", "covars"):
            if getattr(self, name) is None:
                raise ValueError(f"{name} is not known yet: fit the model, or assign {name} before it is used")
        means = plain(self.means)
        if means.ndim != len(leading) + 1 or means.shape[:-1] != leading or not means.shape[-1]:
            raise ValueError(f"means must have shape {spelt}, {leading} and the number of features; got {means.shape}")
        if not np.logical_and.reduce(np.isfinite(means), axis=None):
            raise ValueError(f"means must be finite, found {means[~np.isfinite(means)][0]}")
        D = means.shape[-1]
        tails: dict[str, tuple[int, ...]] = {"spherical": (), "diag": (D,), "full": (D, D), "tied": (D, D)}
        first = leading[:-1] if self.covariance_type == "tied" else leading
        covars = gaussians.checked_covariances(self.covars, self.covariance_type, first + tails[self.covariance_type])
        self.means, self.covars = means, covars
        if self.fixed:
            self._held()
        if np.ndim(self.means_prior):
            self._broadcast("means_prior", means.shape, len(leading))
        prior = self._prior()
        if prior is not None:
            gaussians.check_prior(
                prior, f"covars_prior={self.covars_prior!r:.60}, covars_weight={self.covars_weight!r:.60}"
            )

    def _broadcast(self, name: str, shape: tuple[int, ...], leading: int, eye: bool = False) -> Array:
        """A prior's parameter as an array: a number, one for each Gaussian (the first axes), or one for each entry."""
        value = getattr(self, name)
        value = np.asarray(0.0 if value is None else value, dtype=np.float64)
        try:
            if value.ndim and value.shape == shape[:leading] and leading < len(shape):
                value = value.reshape(value.shape + (1,) * (len(shape) - leading))
                value = value * np.eye(shape[-1]) if eye else value
            elif eye and value.ndim == 0:
                value = value * np.eye(shape[-1])
            return np.broadcast_to(value, shape)
        except ValueError:
            raise ValueError(
                f"{name} has shape {value.shape}: expected a number, shape {shape[:leading]} or shape {shape}"
            ) from None

    # ------------------------------------------------------------------------------------------------------------ EM

    def _log_densities(self, X: Array) -> Floats:
        return log_densities(X, self._flat_means(), self._expanded())

    def _moments(self, X: Array, weights: Floats) -> Moments:
        return moments(X, weights, self._flat_means(), self._expanded())

    def _maximize(self, sums: Moments) -> None:
        means, covars = self._flat_means(), self._flat_covars()
        if self.data_variance is None:  # parameters by hand, and no data before these
            self.data_variance = pooled_variance(means, sums)
        held_means, held_covars = self._held()
        found = gaussians.maximum(
            means,
            covars,
            self.covariance_type,
            sums,
            self._prior() or NO_PRIOR,
            self.floor(),
            held_means,
            held_covars,
        )
        self._set_flat(np.where(held_means, means, found[0]), found[1])

    def log_prior(self) -> float:
        """Log density, up to a constant, of the priors of means and covariances."""
        prior = self._prior()
        if prior is None:
            return 0.0
        return gaussians.log_prior(self._flat_means(), self._flat_covars(), self.covariance_type, prior)

    def _normal_cdf(self, x: Floats, feature: int, *, upper: bool = False) -> Floats:
        """P(X <= x), or P(X > x), of one feature under each Gaussian, shape (n, C)."""
        from scipy.special import ndtr

        covariances = self._expanded()
        variances = (covariances if covariances.ndim == 2 else np.einsum("cii->ci", covariances))[:, feature]
        scores = (np.asarray(x, np.float64).reshape(-1, 1) - self._flat_means()[:, feature]) / np.sqrt(variances)
        return np.asarray(ndtr(-scores if upper else scores))

    # ----------------------------------------------------------------------------------- coordinates without bounds

    def _scale(self) -> Floats:
        """The units of coordinates, (n_features,)."""
        return np.ones(self._n_features) if self.data_variance is None else np.sqrt(self.data_variance)

    def _coordinates(self) -> Floats:
        held_means, held_covars = self._held()
        of_means = (self._flat_means() / self._scale())[~held_means]
        return np.concatenate([of_means, self._covariance_coordinates(~held_covars)])

    def _covariance_coordinates(self, free: Array) -> Floats:
        return coordinates.covariance_coordinates(
            self._flat_covars(), self.covariance_type, free, self.floor(), self._scale()
        )

    def _set_coordinates(self, values: Floats) -> None:
        held_means, held_covars = self._held()
        n_means = int((~held_means).sum())
        means = self._flat_means().copy()
        means[~held_means] = values[:n_means] * np.broadcast_to(self._scale(), means.shape)[~held_means]
        covars = coordinates.covariances_from(
            values[n_means:], self._flat_covars(), self.covariance_type, ~held_covars, self.floor(), self._scale()
        )
        self._set_flat(means, covars)

    def _slopes(self, counts: Array, first: Floats, second: Floats) -> Floats:
        """Gradient in the coordinates, of sums (or a prior that acts like them) around the present means."""
        held_means, held_covars = self._held()
        covariances = self._expanded()
        if is_diagonal(self.covariance_type):
            by_mean = first / covariances
        else:
            by_mean = solve_spd(cholesky_factors(covariances), first[:, :, None])[:, :, 0]
        free = ~held_covars
        by_covariance = coordinates.covariance_gradient(
            self._covariance_coordinates(free),
            self._flat_means(),
            self._flat_covars(),
            self.covariance_type,
            free,
            self._scale(),
            self.floor(),
            counts,
            second,
        )
        return np.concatenate([(by_mean * self._scale())[~held_means], by_covariance])

    def _gaussian_gradient(self, sums: Moments) -> Floats:
        return self._slopes(*gaussians.group_moments(sums, self.covariance_type, self._n_groups))

    def _gaussian_prior_gradient(self) -> Floats:
        prior = self._prior() or NO_PRIOR
        means = self._flat_means()
        shape = self._flat_covars().shape if not is_diagonal(self.covariance_type) else means.shape
        counts, first, second = gaussians.prior_moments(means, self.covariance_type, prior, self._n_groups)
        return self._slopes(counts, np.broadcast_to(first, means.shape), np.broadcast_to(second, shape))


def draw(means: Floats, covariances: Floats, chosen: Ints, rng: np.random.Generator) -> Floats:
    """A draw from the Gaussian chosen for each row, shape (n, n_features)."""
    noise = rng.standard_normal((len(chosen), means.shape[1]))
    if covariances.ndim == 2:
        return np.asarray(means[chosen] + np.sqrt(covariances)[chosen] * noise)
    roots = cholesky_factors(covariances)
    drawn = np.empty_like(noise)
    for c in np.unique(chosen):
        rows = chosen == c
        drawn[rows] = means[c] + noise[rows] @ roots[c].T
    return drawn


def around(means: Floats, found: Clusters, variances: Floats) -> Clusters:
    """The same rows, with the nearest of given means."""
    apart = np.stack([(np.square(found.rows - mean) / variances).sum(axis=1) for mean in means], axis=1)
    return Clusters(means, found.rows, apart.argmin(axis=1))


def pooled_variance(means: Floats, sums: Moments) -> Floats:
    """Variance of each feature over all Gaussians, from moments around their means."""
    mass = sums.mass if sums.mass.ndim == 2 else np.repeat(sums.mass[:, None], means.shape[1], axis=1)
    second = sums.second if sums.second.ndim == 2 else np.einsum("cii->ci", sums.second)
    total = mass.sum(axis=0)
    share = mass / np.where(total > 0, total, 1.0)
    centre = (share * means).sum(axis=0) + sums.first.sum(axis=0) / np.where(total > 0, total, 1.0)
    apart = means - centre
    squares = (second + 2 * apart * sums.first + mass * apart**2).sum(axis=0)
    return gaussians.positive_variances(np.maximum(squares, 0.0) / np.where(total > 0, total, 1.0), np.abs(centre))
