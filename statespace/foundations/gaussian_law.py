"""Gaussian laws: x_n ~ N(mean[n], cov[n])."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from statespace.foundations.events import GRID, Event, between, constant_pieces, last_before
from statespace.foundations.predictive import PredictiveLaw, freeze, moment_columns, standard_deviations
from statespace.foundations.probability import generator
from statespace.protocols import Array, Floats

_REACH = 9.0  # standard deviations; a Gaussian leaves 2e-19 outside


@dataclass(frozen=True, eq=False, repr=False)
class GaussianLaw(PredictiveLaw):
    """One Gaussian a row."""

    mean: Floats
    """E(x_n | ...), shape (n, n_features)."""
    cov: Floats
    """Cov(x_n | ...), shape (n, n_features, n_features)."""
    index: Any = None
    """The time of each row, where the data had an index."""

    probabilities = symbols = None

    def __post_init__(self) -> None:
        freeze(self, "mean", "cov")
        if self.mean.ndim != 2 or self.cov.shape != (*self.mean.shape, self.mean.shape[1]):
            raise ValueError(
                f"mean has shape {self.mean.shape} and cov {self.cov.shape}, expected (n, n_features) and "
                "(n, n_features, n_features): one feature is mean[:, None], cov[:, None, None]"
            )
        self._check_index()

    @property
    def _rows(self) -> Floats:
        return self.mean

    @property
    def support(self) -> str:
        """What is predicted: "reals"."""
        return "reals"

    def _part(self, key: slice | Array, index: Any) -> Self:
        return type(self)(self.mean[key], self.cov[key], index)

    def _what(self) -> str:
        return f"{self.mean.shape[1]} features"

    def probability(self, symbol: Any) -> Floats:  # noqa: ARG002
        """Refuse: a single number has none."""
        raise TypeError("a Gaussian law gives no single value a probability: use log_density, or differences of cdf")

    def _quantiles(self, probabilities: list[float]) -> list[Array]:
        from scipy.special import ndtri

        spread = standard_deviations(self.cov)
        return [self.mean + ndtri(p) * spread for p in probabilities]

    def cdf(self, x: Any) -> Floats:
        """P(x_n <= x) of one feature, shape (n,); one `x` for all rows, or one a row."""
        from scipy.special import ndtr

        if self.mean.shape[1] != 1:
            raise ValueError(f"cdf is for one feature; this law has {self.mean.shape[1]}: look at one, law.mean[:, j]")
        values = np.asarray(x, dtype=np.float64).reshape(-1, 1)
        self._check_one_or_each(values)
        return np.asarray(ndtr(self._standard_scores(values))[:, 0])

    def _standard_scores(self, values: Floats) -> Floats:
        """(x - mean) / standard deviation of one feature for x (n, m) or (1, m); a law without spread is a step."""
        spread = standard_deviations(self.cov)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = np.where((spread == 0) & (values == self.mean), np.inf, (values - self.mean) / spread)
        return np.asarray(scores)

    def log_between(self, low: Any, high: Any) -> Floats:
        """Log P(low <= x_n < high) of one feature, shape (n,); one of each for all rows, or one a row."""
        from scipy.special import ndtr

        edges = np.column_stack(np.broadcast_arrays(np.ravel(low), np.ravel(high)))
        spread = standard_deviations(self.cov)
        scores = self._standard_scores(np.where(spread == 0, last_before(edges), edges))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(between(ndtr(scores), ndtr(-scores))[:, 0]))

    def log_density(self, x: Any) -> Floats:
        """Log density of x_n in nats; one x for all rows, or one a row; the density of what is not missing."""
        from scipy.linalg import solve_triangular

        values = np.asarray(x, dtype=np.float64)
        n_features = self.mean.shape[1]
        if values.ndim == 1:
            values = values.reshape((-1, 1) if n_features == 1 else (1, -1))
        if values.ndim and values.shape not in ((1, n_features), self.mean.shape):
            raise ValueError(
                f"x has shape {np.shape(x)}, the law has {len(self)} rows of {n_features} features: give one "
                f"observation, shape ({n_features},), or one a row, shape {self.mean.shape}"
            )
        values = np.broadcast_to(values, self.mean.shape)
        logs = np.empty(len(self))
        for row, (value, mean, cov) in enumerate(zip(values, self.mean, self.cov, strict=True)):
            seen = ~np.isnan(value)
            if not seen.any():
                logs[row] = np.nan
                continue
            try:
                root = np.linalg.cholesky(cov[np.ix_(seen, seen)])
            except np.linalg.LinAlgError:
                raise ValueError(
                    f"the covariance of row {row} is singular, so that x has no density there: leave out the features "
                    "that are known exactly (NaN), or ask for the probability of an event (log_event)"
                ) from None
            scaled = solve_triangular(root, (value - mean)[seen], lower=True)
            logs[row] = -0.5 * (scaled @ scaled + seen.sum() * np.log(2 * np.pi)) - np.log(np.diag(root)).sum()
        return logs

    def sample(self, random_state: Any = None) -> Array:
        """One draw a row, shape (n, n_features)."""
        rng = generator(random_state)
        try:
            roots = np.linalg.cholesky(self.cov)
        except np.linalg.LinAlgError:  # some features are certain, or tied to each other
            variances, directions = np.linalg.eigh(self.cov)
            roots = directions * np.sqrt(np.maximum(variances, 0.0))[:, None, :]
        return np.asarray(self.mean + (roots @ rng.standard_normal((*self.mean.shape, 1)))[..., 0])

    def _pieces(self, event: Event, observed: list[Any]) -> tuple[list[Hashable], Floats]:
        from scipy.special import ndtr

        mean, spread = self.mean, standard_deviations(self.cov)
        if mean.shape[1] != 1:
            raise ValueError(f"log_event is for one feature; this law has {mean.shape[1]}")
        low, high = float((mean - _REACH * spread).min()), float((mean + _REACH * spread).max())
        certain = mean[spread == 0]
        seen = [value for value in observed if np.isfinite(value)]
        points = np.unique(np.concatenate([np.linspace(low, high, GRID), certain, seen])).tolist()
        groups, edges = constant_pieces(event, points)
        scores = self._standard_scores(np.array([[-np.inf, *edges, np.inf]]))
        return groups, between(ndtr(scores), ndtr(-scores))

    def _columns(self) -> dict[Any, Floats]:
        return moment_columns(self.mean, self.cov)
