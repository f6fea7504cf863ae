"""Tables of word counts: every context while they are few, only those that occurred beyond.

Both kinds answer the same questions about words (numbered as in contexts.py) and contexts, for estimators to build on:

    n(w) = count of word w        n(c) = sum_k n(c, k)        t(c) = #{k : n(c, k) > 0}   (types)
"""

from typing import NamedTuple, Protocol

import numpy as np

from statespace.foundations.sequences import SymbolSequences
from statespace.markov.counting import count_dense, count_sparse
from statespace.protocols import Array, Floats, Ints

DENSE_LIMIT = 1 << 22  # words; 32 MB of counts


class CountTable(Protocol):
    """What an estimator asks of the counts of words of order + 1 symbols."""

    n_symbols: int
    order: int

    def word_counts(self, words: Ints) -> Array:
        """n(w) of each word, shape (n_words,)."""

    def context_totals(self, contexts: Ints) -> Array:
        """n(c) of each context, shape (n_contexts,)."""

    def context_types(self, contexts: Ints) -> Ints:
        """t(c) of each context, shape (n_contexts,)."""

    def rows(self, contexts: Ints) -> Array:
        """n(c, k) of each context, shape (n_contexts, n_symbols)."""


class DenseCounts:
    """Counts of all K^(M+1) words."""

    def __init__(self, counts: Array, n_symbols: int, order: int) -> None:
        self.n_symbols, self.order = n_symbols, order
        self.counts = counts.reshape(n_symbols**order, n_symbols)

    def word_counts(self, words: Ints) -> Array:
        """n(w) of each word."""
        found: Array = self.counts.reshape(-1)[words]
        return found

    def context_totals(self, contexts: Ints) -> Array:
        """n(c) of each context."""
        totals: Array = self.rows(contexts).sum(axis=1)
        return totals

    def context_types(self, contexts: Ints) -> Ints:
        """t(c) of each context."""
        types: Ints = np.count_nonzero(self.rows(contexts), axis=1)
        return types

    def rows(self, contexts: Ints) -> Array:
        """n(c, k) of each context."""
        found: Array = self.counts[contexts]
        return found


class SparseCounts:
    """Counts of the words that occurred, found by bisection."""

    def __init__(self, words: Ints, counts: Array, n_symbols: int, order: int) -> None:
        self.n_symbols, self.order = n_symbols, order
        self.words, self.counts = words, counts
        self.contexts, starts = np.unique(words // n_symbols, return_index=True)
        self.starts = np.append(starts, len(words)).astype(np.int64)
        self._totals = np.add.reduceat(counts, starts) if len(words) else counts
        self._types = np.diff(self.starts)

    def word_counts(self, words: Ints) -> Array:
        """n(w) of each word."""
        return _look_up(self.words, self.counts, words)

    def context_totals(self, contexts: Ints) -> Array:
        """n(c) of each context."""
        return _look_up(self.contexts, self._totals, contexts)

    def context_types(self, contexts: Ints) -> Ints:
        """t(c) of each context."""
        return _look_up(self.contexts, self._types, contexts)

    def rows(self, contexts: Ints) -> Array:
        """n(c, k) of each context."""
        rows = np.zeros((len(contexts), self.n_symbols), self.counts.dtype)
        if not len(self.contexts):
            return rows
        place = np.minimum(np.searchsorted(self.contexts, contexts), len(self.contexts) - 1)
        found = np.flatnonzero(self.contexts[place] == contexts)
        lengths = self._types[place[found]]
        before = np.cumsum(lengths) - lengths
        at = np.repeat(self.starts[place[found]] - before, lengths) + np.arange(lengths.sum())
        rows[np.repeat(found, lengths), self.words[at] % self.n_symbols] = self.counts[at]
        return rows


def _look_up(keys: Ints, values: Array, wanted: Ints) -> Array:
    if not len(keys):
        return np.zeros(len(wanted), values.dtype)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)


def count_table(sequences: SymbolSequences, order: int, weights: Floats | None = None) -> DenseCounts | SparseCounts:
    """Count the words of `sequences`, densely while there are few."""
    n_symbols = len(sequences.symbols)
    if is_dense(n_symbols, order):
        return DenseCounts(count_dense(sequences, order, weights), n_symbols, order)
    return SparseCounts(*count_sparse(sequences, order, weights), n_symbols, order)


def is_dense(n_symbols: int, order: int) -> bool:
    """Whether all words of order + 1 symbols have a place in memory."""
    return bool(n_symbols ** (order + 1) <= DENSE_LIMIT)


class Tables(NamedTuple):
    """The counts an estimator needs: of order M, and for back-off of all shorter ones."""

    longest: DenseCounts | SparseCounts
    """Words of M + 1 symbols."""
    shorter: tuple[DenseCounts | SparseCounts, ...]
    """Words of 1, 2, ..., M symbols; empty where the smoothing needs none."""
