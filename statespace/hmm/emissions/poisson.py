r"""Counts: p(x_n | z_n = k) = \prod_d lambda_kd^x_nd exp(-lambda_kd) / x_nd!, features independent given the state."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.foundations.observations import Observations, read_observations
from statespace.hmm.emissions.emission import ByValue, known_arrays
from statespace.hmm.emissions.start_values import cluster_means
from statespace.protocols import Array, Floats, Ints


class PoissonEmission(ByValue):
    """Counts with a rate for each feature in each state.

    Attributes
    ----------
    lambdas : (n_components, n_features)
        Rates; may be set by hand, as a start or to be used as they are.

    """

    support = "counts"

    def __init__(self) -> None:
        self.lambdas: Any = None

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
    def n_parameters(self) -> int:
        """Rates."""
        return int(self.lambdas.size)

    def read(self, X: Any, lengths: Any) -> Observations:
        """Counts (n_samples, n_features); fractions and negative numbers are refused."""
        width = None if self.lambdas is None else np.shape(self.lambdas)[1]
        found = read_observations(X, lengths, n_features=width)
        values = found.values
        seen = ~np.isnan(values)
        wrong = seen & ((values < 0) | (values != np.floor(values)) | (values > 2**53))
        if wrong.any():
            row, column = (int(i[0]) for i in np.nonzero(wrong))
            raise ValueError(
                f"X[{row}, {column}] is {values[row, column]:g}, expected a count: a whole number of at least 0, or NaN"
            )
        if found.partly_missing:
            return found
        counts = np.where(seen, values, 0).astype(np.int64)
        return Observations(counts, found.offsets, found.layout, found.missing)

    def initialize(self, X: Ints, n_components: int, rng: np.random.Generator, weights: Floats | None = None) -> None:
        """Means of clusters of the counts."""
        if weights is not None:
            X = X[weights > 0]
        if self.lambdas is None:
            means = cluster_means(np.sqrt(X), n_components, rng) ** 2
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

    def log_likelihood(self, X: Array) -> Floats:
        """Log p(x_n | z_n = k), shape (n_samples, n_components)."""
        from scipy.special import gammaln, xlogy

        counts = X.astype(np.float64)
        total = -gammaln(counts + 1).sum(axis=1, keepdims=True) - self.lambdas.sum(axis=1)
        for d in range(counts.shape[1]):
            total += xlogy(counts[:, d : d + 1], self.lambdas[:, d])
        return np.asarray(total)

    def statistics(self, X: Array, posteriors: Floats) -> tuple[Floats, Floats]:
        """Mass of each state (n_components,), and expected sums of counts (n_components, n_features)."""
        return posteriors.sum(axis=0), posteriors.T @ X.astype(np.float64)

    def maximize(self, statistics: tuple[Floats, Floats]) -> None:
        """Set the rates to the expected means; a state without mass keeps its own."""
        mass, sums = statistics
        seen = mass > 0
        self.lambdas = self.lambdas.copy()
        self.lambdas[seen] = sums[seen] / mass[seen, None]

    def m_step(self, X: Array, posteriors: Floats) -> None:
        """Set the rates that maximise the expected log-likelihood."""
        self.maximize(self.statistics(X, posteriors))

    def sample(self, states: Ints, rng: np.random.Generator) -> Ints:
        """Counts, (n_samples, n_features)."""
        return np.asarray(rng.poisson(self.lambdas[states]), dtype=np.int64)

    def mean(self) -> Floats:
        """E(x | z = k), shape (n_components, n_features)."""
        return np.array(self.lambdas)

    def reorder(self, order: Ints) -> None:
        """State k becomes what was state order[k]."""
        self.lambdas = np.ascontiguousarray(self.lambdas[order])

    def to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Options and arrays from which `from_archive` makes the same emission."""
        return {}, known_arrays(self, "lambdas")

    @classmethod
    def from_archive(cls, header: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return the emission that `to_archive` described."""
        made = cls(**header)
        made.lambdas = arrays.get("lambdas")
        return made
