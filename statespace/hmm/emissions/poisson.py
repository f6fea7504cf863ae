r"""Counts: p(x_n | z_n = k) = \prod_d lambda_kd^x_nd exp(-lambda_kd) / x_nd!, features independent given the state."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.foundations.distributions import poisson_cdf, poisson_sf
from statespace.foundations.observations import Observations
from statespace.hmm.emissions.counts import known_width, mass_and_sums, read_counts, seen_and_filled
from statespace.hmm.emissions.emission import ByValue, archived, check_masks, from_archived, reordered_masks
from statespace.hmm.emissions.start_values import cluster_means
from statespace.protocols import Array, Floats, Ints

_OPTIONS = ("lambdas_prior", "lambdas_weight")
_LEARNT = ("lambdas",)
_FARTHEST = 600.0  # a logarithm whose exponential is a float, with room


class PoissonEmission(ByValue):
    """Counts with a rate for each feature in each state.

    Parameters
    ----------
    lambdas_prior, lambdas_weight : float or array (n_components,) or (n_components, n_features)
        Rates have a gamma prior: `lambdas_prior` is added to the sum of the counts, and `lambdas_weight` to their
        number, which is the density lambda^lambdas_prior exp(-lambdas_weight lambda) up to a constant; 0 is none.

    Attributes
    ----------
    lambdas : (n_components, n_features)
        Rates; may be set by hand, as a start or to be used as they are.
    fixed : dict
        "lambdas" -> True or a mask of entries that keep their values.

    """

    support = "counts"
    marginalises = True

    def __init__(self, lambdas_prior: Any = 0.0, lambdas_weight: Any = 0.0) -> None:
        self.lambdas_prior = lambdas_prior
        self.lambdas_weight = lambdas_weight
        self.lambdas: Any = None
        self.fixed: dict[str, Any] = {}

    def __repr__(self) -> str:
        return (
            "<PoissonEmission"
            + ("" if self.lambdas is None else f" of rates {np.round(self.lambdas, 4).tolist()}")
            + ">"
        )

    @property
    def n_components(self) -> int:
        """How many states have rates."""
        return len(self.lambdas)

    @property
    def draws_no_start(self) -> bool:
        """Whether there is nothing to draw for a start."""
        return self.lambdas is not None

    @property
    def n_parameters(self) -> int:
        """Rates that are not held."""
        return int((~self._held()).sum())

    def _held(self) -> Array:
        return np.broadcast_to(np.asarray(self.fixed.get("lambdas", False)), self.lambdas.shape)

    def _prior(self) -> tuple[Floats, Floats]:
        """What the prior adds to the sums and to the mass, both (n_components, n_features)."""
        K, D = self.lambdas.shape
        added = []
        for name in _OPTIONS:
            value = np.asarray(getattr(self, name), np.float64)
            wanted = value[:, None] if value.shape == (K,) and value.shape != (D,) else value
            try:
                added.append(np.broadcast_to(wanted, (K, D)))
            except ValueError:
                raise ValueError(
                    f"{name} has shape {value.shape}, expected a number, shape {(K,)} or shape {(K, D)}"
                ) from None
            if not (np.isfinite(value) & (value >= 0)).all():
                raise ValueError(
                    f"{name} is {getattr(self, name)!r:.60}, expected numbers of at least 0, which is none"
                )
        return added[0], added[1]

    def read(self, X: Any, lengths: Any) -> Observations:
        """Counts (n_samples, n_features), NaN where missing; fractions and negative numbers are refused."""
        return read_counts(X, lengths, known_width(self.lambdas))

    def initialize(self, X: Ints, n_components: int, rng: np.random.Generator, weights: Floats | None = None) -> None:
        """Means of clusters of the counts."""
        if self.lambdas is None:
            rows = X if weights is None else X[weights > 0]
            means = cluster_means(np.sqrt(rows), n_components, rng) ** 2
            moved = means * np.exp(0.05 * rng.standard_normal(means.shape))  # equal states would stay equal
            self.lambdas = moved + 0.05 * rng.random(means.shape)

    def check(self, n_components: int) -> None:
        """Refuse rates that are negative, or of another shape."""
        rates = np.asarray(self.lambdas, dtype=np.float64)
        if rates.ndim == 1:
            rates = rates[:, None]
        if rates.ndim != 2 or len(rates) != n_components:
            raise ValueError(
                f"lambdas has shape {rates.shape}, expected (n_components, n_features), {n_components} rows"
            )
        if not (np.isfinite(rates) & (rates >= 0)).all():
            raise ValueError(f"lambdas holds {rates[~(np.isfinite(rates) & (rates >= 0))][0]}: rates are at least 0")
        self.lambdas = np.ascontiguousarray(rates)
        check_masks(self.fixed, {"lambdas": rates.shape})
        self._prior()

    def log_likelihood(self, X: Array) -> Floats:
        """Log p(x_n | z_n = k), shape (n_samples, n_components)."""
        from scipy.special import gammaln, xlogy

        seen, counts = seen_and_filled(X)
        total = -gammaln(counts + 1).sum(axis=1, keepdims=True)
        total = total - (self.lambdas.sum(axis=1) if seen is None else seen @ self.lambdas.T)
        for d in range(counts.shape[1]):
            total += xlogy(counts[:, d : d + 1], self.lambdas[:, d])
        return np.asarray(total)

    def statistics(self, X: Array, posteriors: Floats) -> tuple[Floats, Floats]:
        """Expected numbers of known entries and sums of them, both (n_components, n_features)."""
        return mass_and_sums(X, posteriors)

    def maximize(self, statistics: tuple[Floats, Floats]) -> None:
        """Set the rates to the expected means, drawn to the prior; a state without mass keeps its own."""
        mass, sums = statistics
        more, weight = self._prior()
        total = mass + weight
        free = (mass > 0) & ~self._held()
        rates = (sums + more) / np.where(total > 0, total, 1.0)
        self.lambdas = np.where(free, rates, self.lambdas)

    def m_step(self, X: Array, posteriors: Floats) -> None:
        """Set the rates that maximise the expected log-likelihood."""
        self.maximize(self.statistics(X, posteriors))

    def log_prior(self) -> float:
        """Log density of the gamma prior, up to a constant."""
        from scipy.special import xlogy

        more, weight = self._prior()
        if not (more.any() or weight.any()):
            return 0.0
        return float((xlogy(more, self.lambdas) - weight * self.lambdas).sum())

    def _free(self) -> Array:
        """Rates that have a coordinate: neither 0 nor held."""
        return np.asarray((self.lambdas > 0) & ~self._held())

    def to_vector(self) -> Floats:
        """Logarithms of the free rates that are not 0, (p,)."""
        return np.asarray(np.log(self.lambdas[self._free()]))

    def from_vector(self, v: Floats) -> None:
        """Set the free rates that are not 0 from their logarithms."""
        free = self._free()
        self.lambdas = self.lambdas.copy()
        self.lambdas[free] = np.exp(np.clip(v, -_FARTHEST, _FARTHEST))

    def gradient(self, X: Array, posteriors: Floats) -> Floats:
        """Gradient of sum_n sum_k posteriors[n, k] log p(x_n | z_n = k) in the logarithms, (p,)."""
        mass, sums = self.statistics(X, posteriors)
        return np.asarray((sums - mass * self.lambdas)[self._free()])

    def prior_gradient(self) -> Floats:
        """Gradient of `log_prior` in the logarithms, (p,)."""
        more, weight = self._prior()
        return np.asarray((more - weight * self.lambdas)[self._free()])

    def sample(self, states: Ints, rng: np.random.Generator) -> Ints:
        """Counts, (n_samples, n_features)."""
        return np.asarray(rng.poisson(self.lambdas[states]), dtype=np.int64)

    def cdf(self, x: Floats, feature: int = 0) -> Floats:
        """P(X <= x | z = k) of one feature, for x (n, 1): shape (n, n_components)."""
        return poisson_cdf(x, self.lambdas[:, feature])

    def sf(self, x: Floats, feature: int = 0) -> Floats:
        """P(X > x | z = k), exact where the cdf is rounded to 1, shape (n, n_components)."""
        return poisson_sf(x, self.lambdas[:, feature])

    def mean(self) -> Floats:
        """E(x | z = k), shape (n_components, n_features)."""
        return np.array(self.lambdas)

    def cov(self) -> Floats:
        """Cov(x | z = k), shape (n_components, n_features, n_features)."""
        return np.asarray(self.lambdas[:, :, None] * np.eye(self.lambdas.shape[1]))

    def reorder(self, order: Ints) -> None:
        """State k becomes what was state order[k]."""
        self.lambdas = np.ascontiguousarray(self.lambdas[order])
        self.fixed = reordered_masks(self.fixed, order)

    def to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Options and arrays from which `from_archive` makes the same emission."""
        return archived(self, _OPTIONS, _LEARNT)

    @classmethod
    def from_archive(cls, header: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return the emission that `to_archive` described."""
        return from_archived(cls, header, arrays, _LEARNT)
