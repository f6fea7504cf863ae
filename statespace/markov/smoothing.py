"""Transition laws from counts.

    none             p(k | c) = n(c, k) / n(c)
    Dirichlet        p(k | c) = (n(c, k) + alpha) / (n(c) + K alpha)       alpha = 1: Laplace; alpha = 1/2: Jeffreys

A context without counts has the uniform law, the limit of the second line for alpha -> 0. Witten and Bell's estimate,
which backs off to shorter contexts instead, is in backoff.py.

Each estimator gives single probabilities (for words) and whole laws (for contexts) from the same formula.
"""

from functools import cached_property
from typing import Protocol

import numpy as np

from statespace.markov.tables import CountTable, Tables
from statespace.protocols import Floats, Ints

SMOOTHINGS = (None, "laplace", "dirichlet", "jeffreys", "witten-bell")


class TransitionLaw(Protocol):
    """p(k | c), by word or by context."""

    def of_words(self, words: Ints) -> Floats:
        """p(k | c) for words c K + k, shape (n_words,)."""

    def of_contexts(self, contexts: Ints) -> Floats:
        """The law that follows each context, shape (n_contexts, n_symbols)."""


class AdditiveLaw:
    """Relative frequencies after adding `alpha` to every count."""

    def __init__(self, table: CountTable, alpha: float) -> None:
        self._table, self._alpha = table, alpha

    def of_words(self, words: Ints) -> Floats:
        """p(k | c) for each word."""
        counts = self._table.word_counts(words)
        return self._estimate(counts, self._table.context_totals(words // self._table.n_symbols))

    def of_contexts(self, contexts: Ints) -> Floats:
        """The law that follows each context."""
        return self._estimate(self._table.rows(contexts), self._table.context_totals(contexts)[:, None])

    def _estimate(self, counts: Ints, totals: Ints) -> Floats:
        alpha, n_symbols = self._alpha, self._table.n_symbols
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(totals + alpha > 0, (counts + alpha) / (totals + n_symbols * alpha), 1 / n_symbols)


class MatrixLaw:
    """A table of all laws, however it was estimated."""

    def __init__(self, rows: Floats) -> None:
        self.rows = rows

    @cached_property
    def log_rows(self) -> Floats:
        """Their logarithms, -inf where impossible, the same shape."""
        with np.errstate(divide="ignore"):
            logs: Floats = np.log(self.rows)
        return logs

    def of_words(self, words: Ints) -> Floats:
        """p(k | c) for each word."""
        found: Floats = self.rows.reshape(-1)[words]
        return found

    def of_contexts(self, contexts: Ints) -> Floats:
        """The law that follows each context."""
        found: Floats = self.rows[contexts]
        return found


def estimate(tables: Tables, smoothing: str | None, alpha: float) -> TransitionLaw:
    """The estimator that `smoothing` names, on these counts."""
    if smoothing == "witten-bell":
        from statespace.markov.backoff import WittenBell

        return WittenBell((*tables.shorter, tables.longest))
    added = {None: 0.0, "laplace": alpha, "dirichlet": alpha, "jeffreys": 0.5}[smoothing]
    return AdditiveLaw(tables.longest, added)
