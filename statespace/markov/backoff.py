"""Back-off to shorter contexts, for orders whose contexts are mostly rare.

Witten and Bell (1991), method C, interpolated; c' is c without its oldest symbol:

    p(k | c) = (n(c, k) + t(c) p(k | c')) / (n(c) + t(c))        p(k) below order 0 = 1 / K

The weight t / (n + t) of the shorter context is the rate at which new symbols have been turning up after c: t of n were
new when they came. A context that never occurred passes everything on.
"""

from collections.abc import Sequence

import numpy as np

from statespace.markov.tables import CountTable
from statespace.protocols import Array, Floats, Ints


class WittenBell:
    """Interpolated back-off through the tables of orders 0, 1, ..., M."""

    def __init__(self, tables: Sequence[CountTable]) -> None:
        self._tables = tables
        self._n_symbols = tables[0].n_symbols

    def of_words(self, words: Ints) -> Floats:
        """p(k | c) for each word."""
        law = np.full(len(words), 1 / self._n_symbols)
        for table in self._tables:
            suffixes = words % self._n_symbols ** (table.order + 1)
            law = self._interpolate(table, table.word_counts(suffixes), suffixes // self._n_symbols, law)
        return law

    def of_contexts(self, contexts: Ints) -> Floats:
        """The law that follows each context."""
        law = np.full((len(contexts), self._n_symbols), 1 / self._n_symbols)
        for table in self._tables:
            suffixes = contexts % self._n_symbols**table.order
            law = self._interpolate(table, table.rows(suffixes), suffixes, law)
        return law

    @staticmethod
    def _interpolate(table: CountTable, counts: Array, contexts: Ints, shorter: Floats) -> Floats:
        totals, types = table.context_totals(contexts), table.context_types(contexts)
        if counts.ndim == 2:
            totals, types = totals[:, None], types[:, None]
        seen = totals > 0
        return np.where(seen, (counts + types * shorter) / np.where(seen, totals + types, 1), shorter)
