r"""Mixtures of a law for each of several paths that the past may have taken: p(x_n) = 1 / S \sum_s p_s(x_n).

Where what comes in between has been drawn, S times, the law of x_n is the mean over the draws of its law given each of
them: it is smooth, and nearer to the truth than the frequencies of S draws of x_n.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from statespace.foundations.events import Event
from statespace.foundations.predictive import PredictiveLaw, moment_columns
from statespace.foundations.probability import generator
from statespace.foundations.quantiles import quantiles
from statespace.foundations.validation import check_integer
from statespace.protocols import Array, Floats


def mixture_of_paths(laws: PredictiveLaw, n_paths: int, index: Any = None) -> PredictiveLaw:
    """One law for each `n_paths` rows that follow each other: their mixture with equal weights.

    Parameters
    ----------
    laws : PredictiveLaw
        Of symbols, Gaussians or Poisson laws, n * n_paths rows: all paths of the first step, then all of the second.
    n_paths : int
    index : optional
        The time of each of the n rows.

    Raises
    ------
    ValueError
        Where the rows are no multiple of `n_paths`.

    """
    n_paths = check_integer("n_paths", n_paths, 1)
    if len(laws) % n_paths:
        raise ValueError(f"there are {len(laws)} laws, expected a multiple of n_paths, {n_paths}")
    if laws.probabilities is not None:
        mixed = laws.probabilities.reshape(-1, n_paths, laws.probabilities.shape[1]).mean(axis=1)
        return PredictiveLaw(mixed, laws.symbols, index=index)
    return PathMixtureLaw(laws, n_paths, index)


@dataclass(frozen=True, eq=False, repr=False)
class PathMixtureLaw(PredictiveLaw):
    """As many laws a row as there are paths, mixed with equal weights."""

    paths: Any
    """The laws that are mixed, n * n_paths of them, row after row."""
    n_paths: int
    """How many there are for each row."""
    index: Any = None
    """The time of each row, where the data had an index."""

    probabilities = symbols = None

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Of this kind, whatever it is called with by name."""
        return object.__new__(cls)

    def __post_init__(self) -> None:
        self._check_index()

    def _of_rows(self, values: Floats) -> Floats:
        """What belongs to the paths, (n * n_paths, ...), as (n, n_paths, ...)."""
        return values.reshape(len(self), self.n_paths, *values.shape[1:])

    def _for_paths(self, x: Any, n_features: int | None = None) -> Floats:
        """One observation for all rows, or one a row, once for each path."""
        values = np.asarray(x, np.float64)
        if n_features is None:
            values = values.reshape(-1)
        elif values.ndim < 2:
            values = values.reshape((-1, 1) if n_features == 1 else (1, -1))
        self._check_one_or_each(values)
        return values if len(values) == 1 else np.repeat(values, self.n_paths, axis=0)

    def __len__(self) -> int:
        return len(self.paths) // self.n_paths

    @property
    def mean(self) -> Floats:
        """E(x_n | ...), shape (n, n_features)."""
        return np.asarray(self._of_rows(self.paths.mean).mean(axis=1))

    @property
    def cov(self) -> Floats:
        """Cov(x_n | ...), shape (n, n_features, n_features): the mean covariance and that of the means."""
        away = self._of_rows(self.paths.mean) - self.mean[:, None]
        between = away.transpose(0, 2, 1) @ away / self.n_paths
        return np.asarray(self._of_rows(self.paths.cov).mean(axis=1) + between)

    @property
    def _rows(self) -> Floats:
        return self.mean

    @property
    def support(self) -> str:
        """What is predicted: "counts" or "reals"."""
        return str(self.paths.support)

    def _part(self, key: slice | Array, index: Any) -> Self:
        places = np.arange(len(self.paths)).reshape(-1, self.n_paths)[key].reshape(-1)
        return type(self)(self.paths[places], self.n_paths, index)

    def _what(self) -> str:
        return f"means of mixtures of {self.n_paths} laws of {self.mean.shape[1]} features"

    def _log_mean(self, logs: Floats) -> Floats:
        """Logarithm of the mean over the paths of exp(logs), shape (n,)."""
        each = self._of_rows(logs)
        top = each.max(axis=1)
        far = np.where(np.isfinite(top), top, 0.0)  # all impossible, or missing
        with np.errstate(divide="ignore"):
            return np.asarray(far + np.log(np.exp(each - far[:, None]).mean(axis=1)))

    def log_density(self, x: Any) -> Floats:
        """Log probability or log density of x_n in nats; one x for all rows, or one a row; NaN where x is missing."""
        return self._log_mean(self.paths.log_density(self._for_paths(x, self.mean.shape[1])))

    def probability(self, symbol: Any) -> Floats:
        """P(x_n = symbol) of counts, shape (n,)."""
        return np.asarray(self._of_rows(self.paths.probability(symbol)).mean(axis=1))

    def cdf(self, x: Any) -> Floats:
        """P(x_n <= x) of one feature, shape (n,); one `x` for all rows, or one a row."""
        return np.asarray(self._of_rows(self.paths.cdf(self._for_paths(x))).mean(axis=1))

    def log_between(self, low: Any, high: Any) -> Floats:
        """Log P(low <= x_n < high) of one feature, shape (n,); one of each for all rows, or one a row."""
        return self._log_mean(self.paths.log_between(self._for_paths(low), self._for_paths(high)))

    def sample(self, random_state: Any = None) -> Array:
        """One draw a row, shape (n, n_features)."""
        rng = generator(random_state)
        chosen = rng.integers(0, self.n_paths, len(self)) + self.n_paths * np.arange(len(self))
        return self.paths[chosen].sample(rng) if len(self) else np.empty(self.mean.shape)

    def _quantiles(self, probabilities: list[float]) -> list[Array]:
        counts = self.support == "counts"
        ends = self.paths._quantiles(probabilities)
        found = []
        for level, of_paths in zip(probabilities, ends, strict=True):
            n_features = self.mean.shape[1]
            out = np.empty((len(self), n_features))
            for feature in range(n_features):
                one = self._of_feature(feature)
                each = self._of_rows(np.asarray(of_paths, np.float64)[:, feature])
                least = level * (1 - 1e-14 * counts)  # a sum that should be equal may be rounded
                out[:, feature] = quantiles(one.cdf, least, each.min(axis=1), each.max(axis=1))
            found.append(out.astype(np.int64) if counts else out)
        return found

    def _of_feature(self, feature: int) -> PathMixtureLaw:
        """The law of one feature."""
        one, mean = [feature], self.paths.mean
        if self.support == "counts":
            return PathMixtureLaw(PredictiveLaw(rates=mean[:, one]), self.n_paths)
        cov = self.paths.cov[:, one][:, :, one]
        return PathMixtureLaw(PredictiveLaw(mean=mean[:, one], cov=cov), self.n_paths)

    def _pieces(self, event: Event, observed: list[Any]) -> tuple[list[Hashable], Floats]:
        groups, masses = self.paths._pieces(event, observed)
        return groups, self._of_rows(masses).mean(axis=1)

    def _columns(self) -> dict[Any, Floats]:
        return moment_columns(self.mean, self.cov)
