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
_SHOWN = 6  # symbols that a repr lists
_UNKNOWN = object()  # an outcome that no observation has
_REACH = 9.0  # standard deviations; a Gaussian leaves 2e-19 outside


class Interval(NamedTuple):
    """Bounds that hold the observation with the asked probability."""

    low: Array
    """Lower bounds, shape (n,) or (n, n_features)."""
    high: Array
    """Upper bounds, the same shape."""


@dataclass(frozen=True, eq=False, repr=False)
class PredictiveLaw:
    """One law a row, of symbols or of Gaussian observations.

    Examples
    --------
    >>> from statespace import MarkovChain
    >>> law = MarkovChain().fit(["dry", "wet", "wet", "dry", "dry", "wet"]).forecast(["dry"], 2)
    >>> law.probability("wet").round(3).tolist()
    [0.667, 0.556]

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
        first, second, *foreign = (
            ("probabilities", "symbols", "cov") if self.mean is None else ("mean", "cov", "symbols")
        )
        if getattr(self, second) is None or getattr(self, foreign[0]) is not None:
            raise TypeError(f"a PredictiveLaw with {first} needs {second}, and has no {foreign[0]}")
        for name in (first, second):
            value = np.asarray(getattr(self, name), dtype=None if name == "symbols" else np.float64)
            object.__setattr__(self, name, value)
        rows, beside = getattr(self, first), getattr(self, second)
        if first == "probabilities" and (rows.ndim != 2 or beside.shape != rows.shape[1:]):
            raise ValueError(
                f"probabilities has shape {rows.shape} and symbols {beside.shape}, expected (n, n_symbols) and "
                "(n_symbols,): a column for each symbol"
            )
        if first == "mean" and (rows.ndim != 2 or beside.shape != (*rows.shape, rows.shape[1])):
            raise ValueError(
                f"mean has shape {rows.shape} and cov {beside.shape}, expected (n, n_features) and "
                "(n, n_features, n_features): one feature is mean[:, None], cov[:, None, None]"
            )
        if self.index is not None and len(self.index) != len(rows):
            raise ValueError(f"index has {len(self.index)} times for a law of {len(rows)} rows: give one for each")

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

    def __repr__(self) -> str:
        what = "symbol" if self.probabilities is not None else "feature"
        names = [] if self.symbols is None else [repr(symbol) for symbol in self.symbols[:_SHOWN].tolist()]
        listed = ", ".join([*names, "..."] if self.symbols is not None and len(self.symbols) > _SHOWN else names)
        head = f"PredictiveLaw of {len(self)} rows, {self._rows.shape[1]} {what}s" + (f": {listed}" if listed else "")
        numbers = np.array2string(self._rows, precision=4, suppress_small=True, threshold=60, edgeitems=3)
        return f"{head}\n{numbers}"

    def probability(self, symbol: Any) -> Floats:
        """P(x_n = symbol), shape (n,); `symbol` must be one of the symbols, so that a slip is not read as never."""
        if self.probabilities is None or self.symbols is None:
            raise TypeError(
                "a Gaussian law gives no single value a probability: use log_density, or differences of cdf"
            )
        matches = [bool(known == symbol) for known in self.symbols.tolist()]
        if not any(matches):
            listed = ", ".join(map(repr, self.symbols[:_SHOWN].tolist())) + ", ..." * (len(self.symbols) > _SHOWN)
            raise ValueError(f"{symbol!r:.40} is not among the {len(self.symbols)} symbols {listed}")
        found: Floats = self.probabilities[:, matches].sum(axis=1)
        return found

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
        """P(x_n <= x), shape (n,); one `x` for all rows, or one a row.

        Symbols are in the order of `symbols`; an `x` that is not one of them must be comparable with them.
        """
        if self.probabilities is None:
            from scipy.special import ndtr

            if self._rows.shape[1] != 1:
                raise ValueError(
                    f"cdf is for one feature; this law has {self._rows.shape[1]}: look at one, law.mean[:, j]"
                )
            values = np.asarray(x, dtype=np.float64).reshape(-1, 1)
            self._check_one_or_each(values)
            below: Floats = ndtr(self._standard_scores(values))[:, 0]
            return below
        if not _is_many(x):
            total: Floats = self.probabilities @ self._not_beyond(x)
            return total
        each = list(x)
        self._check_one_or_each(each)
        reached = {value: self._not_beyond(value) for value in each}
        return np.asarray((self.probabilities * [reached[value] for value in each]).sum(axis=1))

    def _not_beyond(self, x: Any) -> Array:
        """Which symbols are `x` or come before it, shape (n_symbols,)."""
        assert self.symbols is not None
        place = next((k for k, symbol in enumerate(self.symbols.tolist()) if symbol == x), None)
        if place is not None:
            return np.arange(len(self.symbols)) <= place
        try:
            reached = np.asarray(self.symbols <= x, dtype=np.bool_)
        except (TypeError, ValueError, np.exceptions.DTypePromotionError):
            raise TypeError(f"{x!r} cannot be compared with the symbols {self.symbols[:5].tolist()}") from None
        if (self.symbols[1:] < self.symbols[:-1]).any():
            raise ValueError(
                f"{x!r} is not one of the symbols {self.symbols[:5].tolist()}, whose order is not that of their values"
            )
        return reached

    def _standard_scores(self, values: Floats) -> Floats:
        """(x - mean) / standard deviation of one feature for x (n, m) or (1, m); a law without spread is a step."""
        mean, spread = self._marginals()
        with np.errstate(divide="ignore", invalid="ignore"):
            scores: Floats = np.where((spread == 0) & (values == mean), np.inf, (values - mean) / spread)
        return scores

    def _check_one_or_each(self, values: Any) -> None:
        if len(values) not in (1, len(self)):
            raise ValueError(f"x has {len(values)} observations, the law has {len(self)} rows: give one, or one a row")

    def log_density(self, x: Any) -> Floats:
        """Log probability or log density of x_n, in nats; one x for all rows, or one a row; NaN where x is missing."""
        if self.probabilities is not None:
            return self._log_probability(x)
        from scipy.linalg import solve_triangular

        assert self.mean is not None
        assert self.cov is not None
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

    def _log_probability(self, x: Any) -> Floats:
        from statespace.foundations.sequences import read_symbols

        assert self.probabilities is not None
        codes = read_symbols(x if _is_many(x) else [x], symbols=self.symbols).codes
        self._check_one_or_each(codes)
        picked = self.probabilities[np.arange(len(self)), np.broadcast_to(codes, (len(self),))]
        with np.errstate(divide="ignore"):
            return np.where(np.broadcast_to(codes, (len(self),)) < 0, np.nan, np.log(picked))

    def log_event(self, event: Callable[[Any], Hashable], x: Any) -> Floats:
        """Log P(event(x_n) = event(observed x_n)) in nats, shape (n,): different laws on the same events.

        `event` maps an observation to what counts as the same thing (for example `lambda mm: mm > 0`). A Gaussian is
        integrated over the pieces of the line on which `event` is constant: they are looked for on a grid and at the
        observations, and their ends found by bisection. So pieces narrower than 1 / 4000 of the range that the laws
        reach can be overlooked, except those in which an observation lies. NaN where x is missing.
        """
        from statespace.foundations.symbols import is_missing

        values = np.ravel(x).tolist() if isinstance(x, np.ndarray) else list(x)
        if len(values) != len(self):
            raise ValueError(f"x has {len(values)} observations, the law has {len(self)} rows: give one a row")
        rows_of: dict[Hashable, list[int]] = {}
        for row, value in enumerate(values):
            if not is_missing(value):
                rows_of.setdefault(event(value), []).append(row)
        if self.probabilities is not None:
            assert self.symbols is not None
            groups, masses = [event(symbol) for symbol in self.symbols.tolist()], self.probabilities
        else:
            groups, masses = self._constant_pieces(event, [value for value in values if not is_missing(value)])
        logs = np.full(len(self), np.nan)
        for outcome, rows in rows_of.items():
            probability = masses[rows][:, [group == outcome for group in groups]].sum(axis=1)
            with np.errstate(divide="ignore"):
                logs[rows] = np.log(np.minimum(probability, 1.0))
        return logs

    def _constant_pieces(
        self, event: Callable[[Any], Hashable], observed: list[float]
    ) -> tuple[list[Hashable], Floats]:
        """The values of `event` along the line, and each law's probability of each piece, shape (n, n_pieces)."""
        from scipy.special import ndtr

        mean, spread = self._marginals()
        if mean.shape[1] != 1:
            raise ValueError(f"log_event is for one feature; this law has {mean.shape[1]}")
        low, high = float((mean - _REACH * spread).min()), float((mean + _REACH * spread).max())
        certain = mean[spread == 0]
        seen = [value for value in observed if np.isfinite(value)]
        points = np.unique(np.concatenate([np.linspace(low, high, _GRID), certain, seen])).tolist()
        groups: list[Hashable] = [event(points[0])]
        edges = []
        for left, right in pairwise(points):
            before, after = groups[-1], event(right)
            if after == before:
                continue
            last, following = _turn(event, before, left, right)
            edges.append(last)  # the last number of its piece, which matters where a law has no spread
            if event(following) != after:  # several pieces between two points: those at the points are known
                groups.append(_UNKNOWN)
                edges.append(_turn(event, after, right, following)[1])
            groups.append(after)
        scores = self._standard_scores(np.array([[-np.inf, *edges, np.inf]]))
        below, above = ndtr(scores), ndtr(-scores)  # each exact where it is small
        return groups, np.where(scores[:, :-1] > 0, -np.diff(above, axis=1), np.diff(below, axis=1))

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
            symbols: Array = self.symbols[np.minimum(drawn, last)]  # rounding may reach beyond the last possible one
            return symbols
        assert self.mean is not None
        assert self.cov is not None
        try:
            roots = np.linalg.cholesky(self.cov)
        except np.linalg.LinAlgError:  # some features are certain, or tied to each other
            variances, directions = np.linalg.eigh(self.cov)
            roots = directions * np.sqrt(np.maximum(variances, 0.0))[:, None, :]
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
            return pd.DataFrame(
                self.probabilities, index=self.index, columns=pd.Index(self.symbols.tolist(), tupleize_cols=False)
            )
        mean, spread = self._marginals()
        columns = {}
        for feature in range(mean.shape[1]):
            suffix = "" if mean.shape[1] == 1 else f"_{feature}"
            columns[f"mean{suffix}"] = mean[:, feature]
            columns[f"standard_deviation{suffix}"] = spread[:, feature]
        return pd.DataFrame(columns, index=self.index)


def _turn(event: Callable[[Any], Hashable], group: Hashable, a: float, b: float) -> tuple[float, float]:
    """Between `a`, of whose `group` `b` is not, the last number of that group and the one after it."""
    while (middle := (a + b) / 2) not in (a, b):
        a, b = (middle, b) if event(middle) == group else (a, middle)
    return a, b


def _is_many(x: Any) -> bool:
    """Whether `x` is several observations."""
    return isinstance(x, list | tuple | np.ndarray) or hasattr(x, "iloc") or hasattr(x, "to_list")
