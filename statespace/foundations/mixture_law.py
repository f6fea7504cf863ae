r"""Mixtures: x_n comes from component k with probability weights[n, k], as when a hidden state chooses the law.

    p(x_n) = \sum_k weights[n, k] p(x_n | k)        P(x_n <= x) = \sum_k weights[n, k] F_k(x)
    E x_n = \sum_k weights[n, k] mu_k        Cov x_n = \sum_k weights[n, k] (Sigma_k + (mu_k - E x_n) (mu_k - E x_n)^T)

Quantiles solve F(x) = level by bisection between those of the components. Of the components it takes log_likelihood and
sample; what needs more than they have is absent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from types import MethodType
from typing import Any, Self, TypeVar, cast

import numpy as np

from statespace.foundations.events import GRID, LEFT_OUT, Event, between, constant_pieces, last_before, last_count
from statespace.foundations.observations import read_observations
from statespace.foundations.predictive import Interval, PredictiveLaw, freeze, moment_columns
from statespace.foundations.probability import draw_columns, generator
from statespace.foundations.quantiles import quantiles
from statespace.protocols import Array, Floats

_Method = TypeVar("_Method", bound=Callable[..., Any])

_LARGEST = np.finfo(np.float64).max
_LEVELS = 512  # quantiles of each component at which an event is looked at: they meet every atom of more than 1 / 512
_WHAT = {"cdf": "cdf(x)", "mean": "mean()", "cov": "cov()"}


class _Needing:
    """A method, or property, that is absent where the components lack what it needs."""

    def __init__(self, function: Callable[..., Any], members: tuple[str, ...], *, computed: bool) -> None:
        self.function, self.members, self.computed = function, members, computed
        self.__doc__ = function.__doc__

    def __get__(self, law: MixtureLaw | None, kind: type | None = None) -> Any:
        if law is None:
            return self if self.computed else self.function
        lacking = [_WHAT[name] for name in self.members if not hasattr(law.components, name)]
        if lacking:
            raise AttributeError(
                f"this law has no {self.function.__name__}: {type(law.components).__name__} lacks {', '.join(lacking)}"
            )
        return self.function(law) if self.computed else MethodType(self.function, law)


def _needing(*members: str) -> Callable[[_Method], _Method]:
    def absent_without(function: _Method) -> _Method:
        return cast(_Method, _Needing(function, members, computed=False))

    return absent_without


def _computed_from(*members: str) -> Callable[[Callable[[Any], Floats]], property]:
    return lambda function: cast(property, _Needing(function, members, computed=True))


@dataclass(frozen=True, eq=False, repr=False)
class MixtureLaw(PredictiveLaw):
    """One mixture of the same components a row."""

    weights: Floats
    """P(x_n comes from component k | ...), shape (n, n_components)."""
    components: Any
    """The laws that are mixed: an emission."""
    index: Any = None
    """The time of each row, where the data had an index."""

    probabilities = symbols = None

    def __post_init__(self) -> None:
        freeze(self, "weights")
        if self.weights.ndim != 2:
            raise ValueError(f"weights has shape {self.weights.shape}, expected (n, n_components)")
        self._check_index()

    @property
    def _rows(self) -> Floats:
        return self.weights

    @property
    def support(self) -> str:
        """What is predicted, as the components say: "counts", "reals" or "mixed"."""
        return str(getattr(self.components, "support", "reals"))

    def _part(self, key: slice | Array, index: Any) -> Self:
        return type(self)(self.weights[key], self.components, index)

    def _what(self) -> str:
        return f"{self.support}: probabilities of the {self.weights.shape[1]} components of {self.components!r:.60}"

    # -------------------------------------------------------------------------------------------------- the moments

    @_computed_from("mean")
    def mean(self) -> Floats:
        """E(x_n | ...), shape (n, n_features)."""
        return np.asarray(self.weights @ self._means())

    @_computed_from("mean", "cov")
    def cov(self) -> Floats:
        """Cov(x_n | ...), shape (n, n_features, n_features)."""
        means, mean = self._means(), self.mean
        K, D = means.shape
        within = np.asarray(self.components.cov(), np.float64).reshape(K, D, D)
        total = np.zeros((len(self), D, D))
        for k in range(K):
            away = means[k] - mean
            total += self.weights[:, k, None, None] * (within[k] + away[:, :, None] * away[:, None, :])
        return total

    def _means(self) -> Floats:
        return np.asarray(self.components.mean(), np.float64).reshape(self.weights.shape[1], -1)

    @functools.cached_property
    def _n_features(self) -> int:
        return self._means().shape[1] if hasattr(self.components, "mean") else 1

    # ----------------------------------------------------------------------------------------------------- densities

    def log_density(self, x: Any) -> Floats:
        """Log density, or of counts log probability, of x_n in nats; one x for all rows, or one a row.

        NaN where x is missing; of rows known in part, the density of what is known, where the components can.
        """
        values = self._read(x)
        if len(values) not in (1, len(self)):
            raise ValueError(f"x has {len(values)} observations, the law has {len(self)} rows: give one, or one a row")
        logs = np.full((len(values), self.weights.shape[1]), np.nan)
        unknown = np.isnan(values)
        seen = ~unknown.all(axis=1)
        if unknown[seen].any() and not getattr(self.components, "marginalises", False):
            raise ValueError(
                f"x has rows that are missing in part, and {type(self.components).__name__} does not say that it can "
                "leave out single features (marginalises = True): make the whole row NaN, or fill it"
            )
        if seen.any():
            logs[seen] = self._checked("log_likelihood", values[seen], self.components.log_likelihood(values[seen]))
        with np.errstate(divide="ignore", invalid="ignore"):
            joint = np.log(self.weights) + logs
            top = joint.max(axis=1)
            far = np.where(np.isfinite(top), top, 0.0)  # all impossible, or missing
            return np.asarray(far + np.log(np.exp(joint - far[:, None]).sum(axis=1)))

    def _read(self, x: Any) -> Floats:
        """Observations (m, n_features), checked as the components check theirs."""
        values = x.to_numpy() if hasattr(x, "to_numpy") else x
        if np.ndim(values) == 0:
            values = [values]
        if np.ndim(values) == 1 and self._n_features > 1:
            values = np.asarray(values)[None]
        read = getattr(self.components, "read", None)
        found = read_observations(values) if read is None else read(values, None)
        floats = np.asarray(found.values, np.float64)
        return floats if found.missing is None else np.where(found.missing[:, None], np.nan, floats)

    def probability(self, symbol: Any) -> Floats:
        """P(x_n = symbol) of counts, shape (n,)."""
        if self.support == "reals":
            raise TypeError("a law of real numbers gives no single value a probability: use log_density or log_event")
        return np.asarray(np.exp(self.log_density(symbol)))

    def sample(self, random_state: Any = None) -> Array:
        """One draw a row, shape (n, n_features), or as the components draw."""
        rng = generator(random_state)
        return np.asarray(self.components.sample(draw_columns(self.weights, rng), rng))

    # -------------------------------------------------------------------------------------- cumulative probabilities

    @_needing("cdf")
    def cdf(self, x: Any) -> Floats:
        """P(x_n <= x) of one feature, shape (n,); one `x` for all rows, or one a row."""
        self._check_one_feature("cdf")
        values = np.asarray(x, dtype=np.float64).reshape(-1)
        self._check_one_or_each(values)
        return np.asarray((self.weights * self._below(values)).sum(axis=1))

    @_needing("cdf")
    def interval(self, level: float = 0.95) -> Interval:
        """The central interval of each feature: at most (1 - level) / 2 beyond either bound."""
        return super().interval(level)

    @_needing("cdf")
    def log_between(self, low: Any, high: Any) -> Floats:
        """Log P(low <= x_n < high) of one feature, shape (n,); one of each for all rows, or one a row."""
        self._check_one_feature("log_between")
        edges = np.column_stack(np.broadcast_arrays(np.ravel(low), np.ravel(high)))
        before = last_before(edges).ravel()
        shape = (len(edges), 2, -1)
        below, above = (part.reshape(shape).transpose(0, 2, 1) for part in (self._below(before), self._above(before)))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log((self.weights * between(below, above)[:, :, 0]).sum(axis=1)))

    @_needing("cdf")
    def log_event(self, event: Event, x: Any) -> Floats:
        """Log P(event(x_n) = event(observed x_n)) in nats, shape (n,); as of every PredictiveLaw."""
        self._check_one_feature("log_event")
        return super().log_event(event, x)

    def _check_one_feature(self, verb: str) -> None:
        if self._n_features != 1:
            raise ValueError(f"{verb} is for one feature; this law has {self._n_features}")

    def _tail(self, member: str, x: Floats, least: float, feature: int) -> Floats:
        """The components' cdf or sf of finite and infinite numbers (m,), shape (m, n_components)."""
        finite = np.isfinite(x)
        out = np.where(np.isnan(x), np.nan, np.where(x > 0, 1.0 - least, least))[:, None]
        out = np.repeat(out, self.weights.shape[1], axis=1)
        if finite.any():
            column = x[finite, None]
            with np.errstate(all="ignore"):  # a tail may overflow on its way to 0
                function = getattr(self.components, member)
                found = function(column) if self._n_features == 1 else function(column, feature)
            out[finite] = self._checked(member, column, found)
        return out

    def _checked(self, member: str, x: Floats, found: Any) -> Floats:
        """What a member of the components returned for `x` (m, n_features): a number for each component."""
        values = np.asarray(found, np.float64)
        expected = (len(x), self.weights.shape[1])
        if values.shape != expected or np.isnan(values).any():
            raise ValueError(
                f"{type(self.components).__name__}.{member} returned "
                f"{'NaN' if values.shape == expected else f'shape {values.shape}'} for numbers of shape {x.shape} from "
                f"{np.nanmin(x):g} to {np.nanmax(x):g}, expected a number for each row and component, shape {expected}"
            )
        return values

    def _below(self, x: Floats, feature: int = 0) -> Floats:
        return self._tail("cdf", x, 0.0, feature)

    def _above(self, x: Floats, feature: int = 0) -> Floats:
        if hasattr(self.components, "sf"):
            return self._tail("sf", x, 1.0, feature)
        return np.asarray(1.0 - self._below(x, feature))

    def _component_quantiles(self, levels: Floats, feature: int = 0) -> Floats:
        """Quantiles (n_levels, n_components) of each component."""
        K = self.weights.shape[1]
        each = np.repeat(levels, K)
        columns = np.tile(np.arange(K), len(levels))

        def cdf(x: Floats) -> Floats:
            return self._below(x, feature)[np.arange(len(x)), columns]

        ends = np.full(len(each), _LARGEST)
        found = quantiles(cdf, each, -ends, ends)
        lost = np.abs(found) == _LARGEST
        if lost.any():
            raise ValueError(
                f"{type(self.components).__name__}.cdf reaches {each[lost][0]:g} at no number: it must go from 0 to 1"
            )
        return found.reshape(len(levels), K)

    def _quantiles(self, probabilities: list[float]) -> list[Array]:
        counts = self.support == "counts"
        levels = np.array(probabilities) * (1 - 1e-14 * counts)  # a sum that should be equal may be rounded
        known = ~np.isnan(self.weights).any(axis=1)
        weights = np.tile(self.weights[known], (len(levels), 1))
        found = np.full((len(levels), len(self), self._n_features), np.nan)
        for feature in range(self._n_features):
            ends = np.repeat(self._component_quantiles(levels, feature), known.sum(), axis=0)
            low = np.where(weights > 0, ends, np.inf).min(axis=1)
            high = np.where(weights > 0, ends, -np.inf).max(axis=1)

            def cdf(x: Floats, feature: int = feature) -> Floats:
                return np.asarray((weights * self._below(x, feature)).sum(axis=1))

            of_all = quantiles(cdf, np.repeat(levels, known.sum()), low, high)
            found[:, known, feature] = of_all.reshape(len(levels), -1)
        return list(found.astype(np.int64) if counts and known.all() else found)

    # -------------------------------------------------------------------------------------------------------- events

    def _pieces(self, event: Event, observed: list[Any]) -> tuple[list[Hashable], Floats]:
        seen = [float(value) for value in observed if np.isfinite(value)]
        if self.support == "counts":
            top = float(self._component_quantiles(np.array([1 - LEFT_OUT])).max())
            counts = np.arange(last_count(top, observed) + 1)
            masses = np.exp(self.components.log_likelihood(counts[:, None]))
            return [event(count) for count in counts.tolist()], np.ascontiguousarray(masses.T)
        inner = self._component_quantiles((np.arange(_LEVELS) + 0.5) / _LEVELS)
        ends = self._component_quantiles(np.array([1e-19, 1 - 1e-14]))
        grid = np.linspace(ends.min(), ends.max(), GRID)
        points = np.unique(np.concatenate([grid, inner.ravel(), ends.ravel(), seen])).tolist()
        groups, edges = constant_pieces(event, points)
        numbers = np.array([-np.inf, *edges, np.inf])
        return groups, between(self._below(numbers).T, self._above(numbers).T)

    def _mass(self, masses: Floats, rows: list[int], chosen: list[bool]) -> Floats:
        return np.asarray(self.weights[rows] @ masses[:, chosen].sum(axis=1))

    @_needing("mean", "cov")
    def to_frame(self) -> Any:
        """A pandas frame: mean and standard deviation of every feature."""
        return super().to_frame()

    def _columns(self) -> dict[Any, Floats]:
        return moment_columns(self.mean, self.cov)
