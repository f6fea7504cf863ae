"""The law of an observation that has not been seen yet.

Every model answers `predictive` and `forecast` with the same type, one law a row: probabilities of symbols, Gaussians,
rates of counts, or mixtures of the laws that a hidden state chooses between.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from statespace.foundations.events import Event
from statespace.foundations.validation import check_probability
from statespace.protocols import Array, Floats

_KINDS: dict[str, tuple[str | None, str, str]] = {  # a file each, of which only that of the kind that is made is read
    "probabilities": ("symbols", "symbol_law", "SymbolLaw"),
    "mean": ("cov", "gaussian_law", "GaussianLaw"),
    "weights": ("components", "mixture_law", "MixtureLaw"),
    "rates": (None, "poisson_law", "PoissonLaw"),
}


class Interval(NamedTuple):
    """Bounds that hold the observation with the asked probability."""

    low: Array
    """Lower bounds, shape (n,) of symbols or (n, n_features) of numbers."""
    high: Array
    """Upper bounds, the same shape."""


class PredictiveLaw:
    """One law a row: what is handed over decides of what.

    Laws of every kind have `interval`, `cdf`, `probability`, `log_density`, `log_event`, `sample` and `to_frame`, and
    those of numbers `log_between`; of mixtures those are there for which the components suffice.

    Parameters
    ----------
    probabilities, symbols : (n, n_symbols), (n_symbols,)
        Laws of symbols: p(x_n = symbols[k]).
    mean, cov : (n, n_features), (n, n_features, n_features)
        Gaussian laws.
    rates : (n, n_features)
        Poisson laws of counts.
    index : optional
        The time of each row.
    weights, components : (n, n_components), object
        Mixtures: weights[n, k] is the probability that x_n comes from component k, and `components` is the emission of
        a hidden Markov model, or whatever has its `log_likelihood`, `sample` and, where it can, `cdf`, `mean`, `cov`.

    Examples
    --------
    >>> from statespace import MarkovChain
    >>> law = MarkovChain().fit(["dry", "wet", "wet", "dry", "dry", "wet"]).forecast(["dry"], 2)
    >>> law.probability("wet").round(3).tolist()
    [0.667, 0.556]

    """

    index: Any
    """The time of each row, where the data had an index."""

    if TYPE_CHECKING:  # what every kind brings

        @property
        def probabilities(self) -> Floats | None:
            """p(x_n = symbols[k] | ...), shape (n, n_symbols); None for laws of numbers."""

        @property
        def symbols(self) -> Array | None:
            """What the columns of `probabilities` stand for, shape (n_symbols,)."""

        @property
        def mean(self) -> Floats | None:
            """E(x_n | ...), shape (n, n_features); None for laws of symbols."""

        @property
        def cov(self) -> Floats | None:
            """Cov(x_n | ...), shape (n, n_features, n_features)."""

        @property
        def _rows(self) -> Floats:
            """The numbers that say which law each row has, shape (n, ...)."""

        @property
        def support(self) -> str:
            """What is predicted: "categories", "counts", "reals" or "mixed"."""

        def _part(self, key: slice | Array, index: Any) -> Self:
            """Some rows."""

        def _what(self) -> str:
            """What the columns of a repr are."""

        def cdf(self, x: Any) -> Floats:
            """P(x_n <= x), shape (n,); one `x` for all rows, or one a row."""

        def log_density(self, x: Any) -> Floats:
            """Log probability or log density of x_n, in nats; one x for all rows, or one a row; NaN where missing."""

        def log_between(self, low: Any, high: Any) -> Floats:
            """Log P(low <= x_n < high) of one feature, shape (n,); absent from laws of symbols."""

        def sample(self, random_state: Any = None) -> Array:
            """One draw a row, shape (n,) of symbols or (n, n_features)."""

        def probability(self, symbol: Any) -> Floats:
            """P(x_n = symbol), shape (n,)."""

        def _quantiles(self, probabilities: list[float]) -> list[Array]:
            """The smallest values at which the cumulative probability reaches each of `probabilities`."""

        def _pieces(self, event: Event, observed: list[Any]) -> tuple[list[Hashable], Floats]:
            """Values of `event`, and the masses (..., n_pieces) of the pieces on which it has them."""

        def _columns(self) -> dict[Any, Floats]:
            """Columns of a frame by name."""

    def __new__(
        cls,
        probabilities: Any = None,
        symbols: Any = None,
        index: Any = None,  # noqa: ARG004  # __init__ of the kind that is made takes it
        *,
        mean: Any = None,
        cov: Any = None,
        weights: Any = None,
        components: Any = None,
        rates: Any = None,
    ) -> Self:
        """Make the kind of law that the arguments describe."""
        if cls is not PredictiveLaw:
            return object.__new__(cls)
        given = {"probabilities": probabilities, "symbols": symbols, "mean": mean, "cov": cov}
        given |= {"weights": weights, "components": components, "rates": rates}
        heads = [name for name in _KINDS if given[name] is not None]
        if len(heads) != 1:
            raise TypeError(
                "a PredictiveLaw has either probabilities and symbols, or mean and cov, or weights and components, or "
                "rates"
            )
        first = heads[0]
        second, module, kind = _KINDS[first]
        foreign = [name for name, value in given.items() if value is not None and name not in (first, second)]
        lacking = second is not None and given[second] is None
        if lacking or foreign:
            said = [f"needs {second}"] * (second is not None) + [f"has no {' and no '.join(foreign)}"] * bool(foreign)
            raise TypeError(f"a PredictiveLaw with {first} {', and '.join(said)}")
        made: Self = object.__new__(getattr(import_module(f"statespace.foundations.{module}"), kind))
        return made

    # -------------------------------------------------------------------------------------------------- a row a law

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: int | slice | Array) -> Self:
        """Rows of the law; a single row stays a law of one row."""
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"row {key} of a law of {len(self)} rows")
            key = slice(int(key), int(key) + 1 or None)
        return self._part(key, None if self.index is None else self.index[key])

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        numbers = np.array2string(self._rows, precision=4, suppress_small=True, threshold=60, edgeitems=3)
        return f"PredictiveLaw of {len(self)} rows, {self._what()}\n{numbers}"

    def _check_index(self) -> None:
        if self.index is not None and len(self.index) != len(self):
            raise ValueError(f"index has {len(self.index)} times for a law of {len(self)} rows: give one for each")

    def _check_one_or_each(self, values: Any) -> None:
        if len(values) not in (1, len(self)):
            raise ValueError(f"x has {len(values)} observations, the law has {len(self)} rows: give one, or one a row")

    # ---------------------------------------------------------------------------------------------------- the verbs

    def interval(self, level: float = 0.95) -> Interval:
        """The central interval: at most (1 - level) / 2 beyond either bound.

        The bounds are where the cumulative probability reaches (1 - level) / 2 and (1 + level) / 2: of numbers for each
        feature, of symbols in their order.
        """
        tail = (1 - check_probability("level", level)) / 2
        return Interval(*self._quantiles([tail, 1 - tail]))

    def log_event(self, event: Event, x: Any) -> Floats:
        """Log P(event(x_n) = event(observed x_n)) in nats, shape (n,): different laws on the same events.

        `event` maps an observation to what counts as the same thing (for example `lambda mm: mm > 0`). Symbols and
        counts are summed. Laws of real numbers are integrated over the pieces of the line on which `event` is constant:
        they are looked for on a grid, at atoms and at the observations, and their ends found by bisection. So pieces
        narrower than 1 / 4000 of the range that the laws reach can be overlooked, except those in which an observation
        lies. NaN where x is missing.
        """
        from statespace.foundations.symbols import is_missing

        values = np.ravel(x).tolist() if isinstance(x, np.ndarray) else list(x)
        if len(values) != len(self):
            raise ValueError(f"x has {len(values)} observations, the law has {len(self)} rows: give one a row")
        rows_of: dict[Hashable, list[int]] = {}
        for row, value in enumerate(values):
            if not is_missing(value):
                rows_of.setdefault(event(value), []).append(row)
        logs = np.full(len(self), np.nan)
        if not rows_of:
            return logs
        groups, masses = self._pieces(event, [value for value in values if not is_missing(value)])
        for outcome, rows in rows_of.items():
            probability = self._mass(masses, rows, [group == outcome for group in groups])
            with np.errstate(divide="ignore"):
                logs[rows] = np.log(np.minimum(probability, 1.0))
        return logs

    def _mass(self, masses: Floats, rows: list[int], chosen: list[bool]) -> Floats:
        """Probability of the chosen pieces in some rows."""
        return np.asarray(masses[rows][:, chosen].sum(axis=1))

    def to_frame(self) -> Any:
        """A pandas frame: a column a symbol, or mean and standard deviation of every feature."""
        columns = self._columns()
        try:
            import pandas as pd
        except ImportError:
            raise ImportError('to_frame needs pandas: pip install "statespace-models[frames]"') from None
        names = pd.Index(list(columns), tupleize_cols=False)
        return pd.DataFrame(dict(enumerate(columns.values())), index=self.index).set_axis(names, axis=1)


def moment_columns(mean: Floats, cov: Floats) -> dict[Any, Floats]:
    """Mean and standard deviation of every feature, by name."""
    spread = standard_deviations(cov)
    columns = {}
    for feature in range(mean.shape[1]):
        suffix = "" if mean.shape[1] == 1 else f"_{feature}"
        columns[f"mean{suffix}"] = mean[:, feature]
        columns[f"standard_deviation{suffix}"] = spread[:, feature]
    return columns


def standard_deviations(cov: Floats) -> Floats:
    """Square roots of the diagonals, shape (n, n_features)."""
    return np.asarray(np.sqrt(np.diagonal(cov, axis1=1, axis2=2)))


def freeze(law: PredictiveLaw, *names: str) -> None:
    """Turn fields of a law into arrays of floats."""
    for name in names:
        object.__setattr__(law, name, np.asarray(getattr(law, name), dtype=np.float64))


def is_many(x: Any) -> bool:
    """Whether `x` is several observations."""
    return isinstance(x, list | tuple | np.ndarray) or hasattr(x, "iloc") or hasattr(x, "to_list")
