"""Laws of counts: x_nd ~ Poisson(rates[n, d]), features independent."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from statespace.foundations.distributions import draw_poisson, poisson_cdf, poisson_log_density, poisson_sf
from statespace.foundations.events import LEFT_OUT, Event, between, last_before, last_count
from statespace.foundations.predictive import PredictiveLaw, freeze, moment_columns
from statespace.foundations.probability import generator
from statespace.foundations.quantiles import quantiles
from statespace.protocols import Array, Floats


@dataclass(frozen=True, eq=False, repr=False)
class PoissonLaw(PredictiveLaw):
    """One rate a row and feature."""

    rates: Floats
    """E(x_n | ...), shape (n, n_features)."""
    index: Any = None
    """The time of each row, where the data had an index."""

    probabilities = symbols = None

    def __post_init__(self) -> None:
        freeze(self, "rates")
        if self.rates.ndim != 2:
            raise ValueError(
                f"rates has shape {self.rates.shape}, expected (n, n_features): one feature is rates[:, None]"
            )
        if (self.rates < 0).any():
            raise ValueError(f"rates holds {self.rates[self.rates < 0][0]}: rates are at least 0")
        self._check_index()

    @property
    def mean(self) -> Floats:
        """The rates."""
        return self.rates

    @property
    def cov(self) -> Floats:
        """The rates on the diagonal, shape (n, n_features, n_features)."""
        return np.asarray(self.rates[:, :, None] * np.eye(self.rates.shape[1]))

    @property
    def _rows(self) -> Floats:
        return self.rates

    @property
    def support(self) -> str:
        """What is predicted: "counts"."""
        return "counts"

    def _part(self, key: slice | Array, index: Any) -> Self:
        return type(self)(self.rates[key], index)

    def _what(self) -> str:
        return f"rates of {self.rates.shape[1]} features"

    def log_density(self, x: Any) -> Floats:
        """Log probability of x_n in nats; one x for all rows, or one a row; of what is not missing."""
        values = self._read(x)
        seen = ~np.isnan(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            counts = np.where(seen, values, 0.0)
            logs = np.where(
                self.rates > 0, poisson_log_density(np.log(self.rates), counts), np.where(counts > 0, -np.inf, 0.0)
            )
        return np.where(seen.any(axis=1), np.where(seen, logs, 0.0).sum(axis=1), np.nan)

    def _read(self, x: Any) -> Floats:
        """Counts, of one row or of each, NaN where missing."""
        values = np.asarray(x, np.float64)
        n_features = self.rates.shape[1]
        if values.ndim < 2:
            values = values.reshape((-1, 1) if n_features == 1 else (1, -1))
        if values.ndim != 2 or values.shape[1] != n_features:
            raise ValueError(f"x has shape {np.shape(x)}, expected {n_features} counts, or as many a row")
        self._check_one_or_each(values)
        wrong = ~np.isnan(values) & ((values < 0) | (values != np.floor(values)))
        if wrong.any():
            raise ValueError(f"x holds {values[wrong][0]:g}, expected counts: whole numbers of at least 0, or NaN")
        return values

    def probability(self, symbol: Any) -> Floats:
        """P(x_n = symbol), shape (n,)."""
        return np.asarray(np.exp(self.log_density(symbol)))

    def sample(self, random_state: Any = None) -> Array:
        """One draw a row, shape (n, n_features)."""
        return draw_poisson(self.rates, generator(random_state))

    def _one(self, verb: str) -> Floats:
        if self.rates.shape[1] != 1:
            raise ValueError(
                f"{verb} is for one feature; this law has {self.rates.shape[1]}: look at one, "
                "PredictiveLaw(rates=law.rates[:, [j]])"
            )
        return np.asarray(self.rates[:, 0])

    def cdf(self, x: Any) -> Floats:
        """P(x_n <= x) of one feature, shape (n,); one `x` for all rows, or one a row."""
        rates, values = self._one("cdf"), np.asarray(x, np.float64).reshape(-1)
        self._check_one_or_each(values)
        return poisson_cdf(values, rates)

    def log_between(self, low: Any, high: Any) -> Floats:
        """Log P(low <= x_n < high) of one feature, shape (n,); one of each for all rows, or one a row."""
        rates = self._one("log_between")[:, None]
        edges = last_before(np.column_stack(np.broadcast_arrays(np.ravel(low), np.ravel(high))))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(between(self._below(edges, rates), self._above(edges, rates))[:, 0]))

    @staticmethod
    def _below(x: Floats, rates: Floats) -> Floats:
        return np.where(np.isinf(x), x > 0, poisson_cdf(np.where(np.isinf(x), 0.0, x), rates))

    @staticmethod
    def _above(x: Floats, rates: Floats) -> Floats:
        return np.where(np.isinf(x), x < 0, poisson_sf(np.where(np.isinf(x), 0.0, x), rates))

    def _quantiles(self, probabilities: list[float]) -> list[Array]:
        known = self.rates[~np.isnan(self.rates)]
        found = []
        for level in probabilities:
            out = np.full(self.rates.shape, np.nan)
            high = 2.0 * known + 60.0 * np.sqrt(known) + 1e4  # more than any level below 1 as a float reaches
            least = level * (1 - 1e-14)  # a sum that should be equal may be rounded
            out[~np.isnan(self.rates)] = quantiles(lambda x: poisson_cdf(x, known), least, np.zeros(len(known)), high)
            found.append(out if len(known) < out.size else out.astype(np.int64))
        return found

    def _pieces(self, event: Event, observed: list[Any]) -> tuple[list[Hashable], Floats]:
        rates = self._one("log_event")[:, None]
        highest = PoissonLaw(np.full((1, 1), np.nanmax(rates, initial=0.0)))
        top = float(highest._quantiles([1 - LEFT_OUT])[0][0, 0])
        groups: list[Hashable] = []
        ends = [-1.0]
        for count in range(last_count(top, observed) + 1):  # runs of counts that are the same thing
            group = event(count)
            if groups and group == groups[-1]:
                ends[-1] = float(count)
            else:
                groups.append(group)
                ends.append(float(count))
        numbers = np.array(ends)
        return groups, between(poisson_cdf(numbers, rates), poisson_sf(numbers, rates))

    def _columns(self) -> dict[Any, Floats]:
        return moment_columns(self.mean, self.cov)
