"""The law of an observation that has not been seen yet.

Every model answers `predictive` and `forecast` with the same type: probabilities of symbols, or the mean and covariance
of a Gaussian; one law a row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.probability import generator
from statespace.foundations.validation import check_probability
from statespace.protocols import Array, Floats

_GRID = 4097  # points on which an event is first looked at, along the range that the laws can reach
_REACH = 9.0  # standard deviations; a Gaussian leaves 2e-19 outside


class Interval(NamedTuple):
    """Bounds that hold the observation with the asked probability."""

    low: Array
    """Lower bounds, shape (n,) or (n, n_features)."""
    high: Array
    """Upper bounds, the same shape."""


@dataclass(frozen=True, eq=False)
class PredictiveLaw:
    """One law a row, of symbols or of Gaussian observations.

    Examples
    --------
    >>> from statespace import MarkovChain
    >>> law = MarkovChain().fit(["dry", "wet", "wet", "dry", "dry", "wet"]).forecast(["dry"], 2)
    >>> law.symbols.tolist(), law.probabilities.shape
    (['dry', 'wet'], (2, 2))

    """

    probabilities: Floats | None = None
    """p(x_n = symbols[k] | ...), shape (n, n_symbols); None for Gaussian laws."""
    symbols: Array | None = None
    """What the columns of `probabilities` stand for, shape (n_symbols,)."""
    mean: Floats | None = None
    """E(x_n | ...), shape (n, n_features); None for laws of symbols."""
    cov: Floats | None = None
    """Cov(x_n | ...), shape (n, n_features, n_features)."""
    index: Any = None
    """The time of each row, where the data had an index."""

    def __post_init__(self) -> None:
        if (self.probabilities is None) == (self.mean is None):
            raise TypeError("a PredictiveLaw has either probabilities and symbols, or mean and cov")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: int | slice | Array) -> PredictiveLaw:
        """Rows of the law; a single row stays a law of one row."""
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"row {key} of a law of {len(self)} rows")
            key = slice(int(key), int(key) + 1 or None)
        part = {
            name: None if (value := getattr(self, name)) is None else value[key]
            for name in ("probabilities", "mean", "cov")
        }
        return PredictiveLaw(symbols=self.symbols, index=None if self.index is None else self.index[key], **part)

    def __iter__(self) -> Iterator[PredictiveLaw]:
        return (self[row] for row in range(len(self)))

    @property
    def support(self) -> str:
        """What is predicted: "categories" or "reals"."""
        return "reals" if self.probabilities is None else "categories"

    @property
    def _rows(self) -> Floats:
        rows = self.mean if self.probabilities is None else self.probabilities
        assert rows is not None
        return rows

    def interval(self, level: float = 0.95) -> Interval:
        """The central interval: at most (1 - level) / 2 beyond either bound.

        For symbols, in their order, the bounds are the symbols at which the cumulative probability reaches
        (1 - level) / 2 and (1 + level) / 2.
        """
        tail = (1 - check_probability("level", level)) / 2
        if self.probabilities is None:
            from scipy.special import ndtri

            mean, spread = self._marginals()
            half = ndtri(1 - tail) * spread
            return Interval(mean - half, mean + half)
        return Interval(self._quantile(tail), self._quantile(1 - tail))

    def _quantile(self, probability: float) -> Array:
        assert self.probabilities is not None
        assert self.symbols is not None
        cumulative = np.cumsum(self.probabilities, axis=1)
        reached = cumulative >= probability * cumulative[:, -1:] * (1 - 1e-14)
        found: Array = self.symbols[np.argmax(reached, axis=1)]
        return found

    def cdf(self, x: Any) -> Floats:
        """P(x_n <= x), shape (n,); for symbols in their order, which `x` must be one of or comparable with."""
        if self.probabilities is None:
            from scipy.special import ndtr

            mean, spread = self._marginals()
            if mean.shape[1] != 1:
                raise ValueError(f"cdf is for one feature; this law has {mean.shape[1]}: look at one, law.mean[:, j]")
            values = np.broadcast_to(np.asarray(x, dtype=np.float64).reshape(-1), (len(self),))
            below: Floats = np.where(
                spread[:, 0] > 0,
                ndtr((values - mean[:, 0]) / np.where(spread[:, 0] > 0, spread[:, 0], 1.0)),
                (values >= mean[:, 0]).astype(np.float64),
            )
            return below
        assert self.symbols is not None
        try:
            reached = np.asarray(self.symbols <= x, dtype=np.bool_)
        except (TypeError, ValueError, np.exceptions.DTypePromotionError):
            raise TypeError(f"{x!r} cannot be compared with the symbols {self.symbols[:5].tolist()}") from None
        total: Floats = self.probabilities @ reached
        return total

    def log_density(self, x: Any) -> Floats:
        """Log probability or log density of x_n, in nats; one x for all rows, or one a row; NaN where x is missing."""
        if self.probabilities is not None:
            return self._log_probability(x)
        from scipy.linalg import solve_triangular

        assert self.mean is not None
        assert self.cov is not None
        values = np.asarray(x, dtype=np.float64)
        values = np.broadcast_to(values.reshape(-1, self.mean.shape[1]) if values.ndim else values, self.mean.shape)
        logs = np.empty(len(self))
        for row, (value, mean, cov) in enumerate(zip(values, self.mean, self.cov, strict=True)):
            seen = ~np.isnan(value)
            if not seen.any():
                logs[row] = np.nan
                continue
            root = np.linalg.cholesky(cov[np.ix_(seen, seen)])
            scaled = solve_triangular(root, (value - mean)[seen], lower=True)
            logs[row] = -0.5 * (scaled @ scaled + seen.sum() * np.log(2 * np.pi)) - np.log(np.diag(root)).sum()
        return logs

    def _log_probability(self, x: Any) -> Floats:
        from statespace.foundations.sequences import read_symbols

        assert self.probabilities is not None
        many = isinstance(x, list | tuple | np.ndarray) or hasattr(x, "iloc")
        codes = read_symbols(x if many else [x], symbols=self.symbols).codes
        if len(codes) not in (1, len(self)):
            raise ValueError(f"x has {len(codes)} observations, the law has {len(self)} rows: give one, or one a row")
        picked = self.probabilities[np.arange(len(self)), np.broadcast_to(codes, (len(self),))]
        with np.errstate(divide="ignore"):
            return np.where(np.broadcast_to(codes, (len(self),)) < 0, np.nan, np.log(picked))

    def log_event(self, event: Callable[[Any], Hashable], x: Any) -> Floats:
        """Log P(event(x_n) = event(observed x_n)) in nats, shape (n,): different laws on the same events.

        `event` maps an observation to what counts as the same thing (for example `lambda mm: mm > 0`). A Gaussian is
        integrated over the pieces of the line on which `event` is constant: they are looked for on a grid, and their
        ends found by bisection, so pieces narrower than 1 / 4000 of the range that the laws reach can be overlooked.
        """
        observed = [event(value) for value in (x.tolist() if isinstance(x, np.ndarray) else list(x))]
        if len(observed) != len(self):
            raise ValueError(f"x has {len(observed)} observations, the law has {len(self)} rows: give one a row")
        if self.probabilities is not None:
            assert self.symbols is not None
            groups = [event(symbol) for symbol in self.symbols.tolist()]
            same = np.array([[group == outcome for group in groups] for outcome in observed])
            probability = (self.probabilities * same).sum(axis=1)
        else:
            edges, groups = self._constant_pieces(event)
            cumulative = np.stack(
                [np.zeros(len(self)), *(self.cdf(edge) for edge in edges), np.ones(len(self))], axis=1
            )
            same = np.array([[group == outcome for group in groups] for outcome in observed])
            probability = (np.diff(cumulative, axis=1) * same).sum(axis=1)
        with np.errstate(divide="ignore"):
            logs: Floats = np.log(np.minimum(probability, 1.0))
        return logs

    def _constant_pieces(self, event: Callable[[Any], Hashable]) -> tuple[list[float], list[Hashable]]:
        mean, spread = self._marginals()
        low, high = float((mean - _REACH * spread).min()), float((mean + _REACH * spread).max())
        points = np.linspace(low, high, _GRID).tolist()
        groups: list[Hashable] = [event(points[0])]
        edges = []
        for left, right in pairwise(points):
            a, b = left, right
            if event(b) == groups[-1]:
                continue
            while a < (middle := (a + b) / 2) < b:
                a, b = (middle, b) if event(middle) == groups[-1] else (a, middle)
            edges.append(b)
            groups.append(event(right))
        return edges, groups

    def _marginals(self) -> tuple[Floats, Floats]:
        assert self.mean is not None
        assert self.cov is not None
        return self.mean, np.sqrt(np.diagonal(self.cov, axis1=1, axis2=2))

    def sample(self, random_state: Any = None) -> Array:
        """One draw a row, shape (n,) of symbols or (n, n_features)."""
        rng = generator(random_state)
        if self.probabilities is not None:
            assert self.symbols is not None
            cumulative = np.cumsum(self.probabilities, axis=1)
            drawn = (rng.random((len(self), 1)) * cumulative[:, -1:] >= cumulative).sum(axis=1)
            last = self.probabilities.shape[1] - 1 - np.argmax(self.probabilities[:, ::-1] > 0, axis=1)
            symbols: Array = self.symbols[
                np.minimum(drawn, last)
            ]  # rounding never reaches beyond the last possible one
            return symbols
        assert self.mean is not None
        assert self.cov is not None
        roots = np.linalg.cholesky(self.cov)
        draws: Floats = self.mean + (roots @ rng.standard_normal((*self.mean.shape, 1)))[..., 0]
        return draws

    def to_frame(self) -> Any:
        """A pandas frame: a column a symbol, or mean and standard deviation of every feature."""
        try:
            import pandas as pd
        except ImportError:
            raise ImportError('to_frame needs pandas: pip install "statespace-models[frames]"') from None
        if self.probabilities is not None:
            assert self.symbols is not None
            return pd.DataFrame(self.probabilities, index=self.index, columns=pd.Index(self.symbols.tolist()))
        mean, spread = self._marginals()
        columns = {}
        for feature in range(mean.shape[1]):
            suffix = "" if mean.shape[1] == 1 else f"_{feature}"
            columns[f"mean{suffix}"] = mean[:, feature]
            columns[f"standard_deviation{suffix}"] = spread[:, feature]
        return pd.DataFrame(columns, index=self.index)
