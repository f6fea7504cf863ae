"""Laws of symbols: p(x_n = symbols[k]) = probabilities[n, k]."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from statespace.foundations.events import Event
from statespace.foundations.predictive import PredictiveLaw, freeze, is_many
from statespace.foundations.probability import draw_columns, generator
from statespace.protocols import Array, Floats

_SHOWN = 6  # symbols that a message lists


@dataclass(frozen=True, eq=False, repr=False)
class SymbolLaw(PredictiveLaw):
    """One law of symbols a row."""

    probabilities: Floats
    """p(x_n = symbols[k] | ...), shape (n, n_symbols)."""
    symbols: Array
    """What the columns of `probabilities` stand for, shape (n_symbols,)."""
    index: Any = None
    """The time of each row, where the data had an index."""

    mean = cov = None

    def __post_init__(self) -> None:
        freeze(self, "probabilities")
        object.__setattr__(self, "symbols", np.asarray(self.symbols))
        if self.probabilities.ndim != 2 or self.symbols.shape != self.probabilities.shape[1:]:
            raise ValueError(
                f"probabilities has shape {self.probabilities.shape} and symbols {self.symbols.shape}, expected "
                "(n, n_symbols) and (n_symbols,): a column for each symbol"
            )
        self._check_index()

    @property
    def _rows(self) -> Floats:
        return self.probabilities

    @property
    def support(self) -> str:
        """What is predicted: "categories"."""
        return "categories"

    def _part(self, key: slice | Array, index: Any) -> Self:
        return type(self)(self.probabilities[key], self.symbols, index)

    def _listed(self) -> str:
        return ", ".join(map(repr, self.symbols[:_SHOWN].tolist())) + ", ..." * (len(self.symbols) > _SHOWN)

    def _what(self) -> str:
        return f"{len(self.symbols)} symbols: {self._listed()}"

    def probability(self, symbol: Any) -> Floats:
        """P(x_n = symbol), shape (n,); `symbol` must be one of the symbols, so that a slip is not read as never."""
        matches = [bool(known == symbol) for known in self.symbols.tolist()]
        if not any(matches):
            raise ValueError(f"{symbol!r:.40} is not among the {len(self.symbols)} symbols {self._listed()}")
        return np.asarray(self.probabilities[:, matches].sum(axis=1))

    def _quantiles(self, probabilities: list[float]) -> list[Array]:
        cumulative = np.cumsum(self.probabilities, axis=1)
        least = cumulative[:, -1:] * (1 - 1e-14)  # a sum that should be equal may be rounded
        return [self.symbols[np.argmax(cumulative >= p * least, axis=1)] for p in probabilities]

    def cdf(self, x: Any) -> Floats:
        """P(x_n <= x), shape (n,); one `x` for all rows, or one a row.

        Symbols are in the order of `symbols`; an `x` that is not one of them must be comparable with them.
        """
        if not is_many(x):
            return np.asarray(self.probabilities @ self._not_beyond(x))
        each = list(x)
        self._check_one_or_each(each)
        reached = {value: self._not_beyond(value) for value in each}
        return np.asarray((self.probabilities * [reached[value] for value in each]).sum(axis=1))

    def _not_beyond(self, x: Any) -> Array:
        """Which symbols are `x` or come before it, shape (n_symbols,)."""
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

    def log_density(self, x: Any) -> Floats:
        """Log probability of x_n in nats; one x for all rows, or one a row; NaN where x is missing."""
        from statespace.foundations.sequences import read_symbols

        codes = read_symbols(x if is_many(x) else [x], symbols=self.symbols).codes
        self._check_one_or_each(codes)
        codes = np.broadcast_to(codes, (len(self),))
        with np.errstate(divide="ignore"):
            return np.where(codes < 0, np.nan, np.log(self.probabilities[np.arange(len(self)), codes]))

    def sample(self, random_state: Any = None) -> Array:
        """One symbol a row, shape (n,)."""
        return np.asarray(self.symbols[draw_columns(self.probabilities, generator(random_state))])

    def _pieces(self, event: Event, observed: list[Any]) -> tuple[list[Hashable], Floats]:  # noqa: ARG002
        return [event(symbol) for symbol in self.symbols.tolist()], self.probabilities

    def _columns(self) -> dict[Any, Floats]:
        return dict(zip(self.symbols.tolist(), self.probabilities.T, strict=True))
