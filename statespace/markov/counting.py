"""Counting words: how often each run of M + 1 symbols occurs.

    n(c, k) = #{t : (x_{t-M}, ..., x_{t-1}) = c, x_t = k}

A word that would reach across a missing observation or the border of two sequences does not count. A word is numbered
as contexts are (see contexts.py): word = code(c) K + k.
"""

import numpy as np

from statespace.foundations.executors import map_pieces, pieces
from statespace.foundations.kernel import kernel
from statespace.foundations.sequences import SymbolSequences
from statespace.protocols import Array, Ints

_PIECE = 1 << 18  # symbols a piece: long enough that a thread is worth it
_SMALL_TABLE = 1 << 12
_FAST_TABLE = 1 << 16  # largest table kept four times, so that they stay in a near cache


@kernel
def count_binary_pairs(x: Ints, table: Ints) -> None:
    """Pairs of zeros and ones: sums and products, which the compiler vectorises."""
    ones = 0
    both = 0
    n = x.size
    for t in range(n - 1):
        ones += x[t]
        both += x[t] & x[t + 1]
    second = ones - x[0] + x[n - 1]  # ones among x[1:]
    table[3] += both
    table[2] += ones - both
    table[1] += second - both
    table[0] += n - 1 - ones - second + both


@kernel
def count_pairs(x: Ints, n_symbols: int, tables: Array) -> None:
    """Pairs of symbols, in four quarters at once.

    Each quarter counts into its own row of `tables` (4, K^2): equal neighbours would otherwise wait for each other's
    sum.
    """
    n = x.size - 1
    quarter = n // 4
    first, second, third, fourth = tables[0], tables[1], tables[2], tables[3]
    a, b, c, d = x[0], x[quarter], x[2 * quarter], x[3 * quarter]
    for t in range(quarter):
        a1 = x[t + 1]
        b1 = x[quarter + t + 1]
        c1 = x[2 * quarter + t + 1]
        d1 = x[3 * quarter + t + 1]
        first[a * n_symbols + a1] += 1
        second[b * n_symbols + b1] += 1
        third[c * n_symbols + c1] += 1
        fourth[d * n_symbols + d1] += 1
        a, b, c, d = a1, b1, c1, d1
    for t in range(4 * quarter, n):
        first[x[t] * n_symbols + x[t + 1]] += 1


@kernel
def count_words(x: Ints, offsets: Ints, weights: Array, n_symbols: int, order: int, table: Array) -> None:
    """Words of any order, with gaps (-1), each counted with the weight of its sequence."""
    n_contexts = 1
    for _ in range(order):
        n_contexts *= n_symbols
    for s in range(offsets.size - 1):
        known = 0
        context = 0
        weight = weights[s]
        for t in range(offsets[s], offsets[s + 1]):
            if x[t] < 0:
                known = 0
                context = 0
                continue
            word = context * n_symbols + x[t]
            if known >= order:
                table[word] += weight
                context = (
                    word - x[t - order] * n_contexts
                )  # forget the oldest; a division would cost four times as much
            else:
                context = word
            known += 1


@kernel
def word_codes(x: Ints, offsets: Ints, n_symbols: int, order: int, words: Ints, owners: Ints) -> int:
    """List the words that occur, and the sequence each is of; returns how many there are."""
    n_contexts = 1
    for _ in range(order):
        n_contexts *= n_symbols
    found = 0
    for s in range(offsets.size - 1):
        known = 0
        context = 0
        for t in range(offsets[s], offsets[s + 1]):
            if x[t] < 0:
                known = 0
                context = 0
                continue
            word = context * n_symbols + x[t]
            if known >= order:
                words[found] = word
                owners[found] = s
                found += 1
                context = word - x[t - order] * n_contexts
            else:
                context = word
            known += 1
    return found


def count_dense(sequences: SymbolSequences, order: int, weights: Array | None = None) -> Array:
    """Counts of all K^(M+1) words, flat: int64, or float64 where the sequences are weighted."""
    n_symbols = len(sequences.symbols)
    x, offsets = sequences.codes, sequences.offsets
    size = n_symbols ** (order + 1)
    if (
        weights is None
        and order == 1
        and size <= _FAST_TABLE
        and not sequences.has_missing
        and sequences.n_sequences == 1
    ):
        return _count_long_pairs(x, n_symbols)
    table = np.zeros(size, np.int64 if weights is None else np.float64)
    each = np.ones(sequences.n_sequences, np.int64) if weights is None else weights
    count_words(x, offsets, each, n_symbols, order, table)
    return table


def _count_long_pairs(x: Ints, n_symbols: int) -> Ints:
    total = np.zeros(n_symbols * n_symbols, np.int64)
    if len(x) < 2:
        return total
    if n_symbols == 2:  # as fast as memory: threads would only wait for it together
        count_binary_pairs(x, total)
        return total

    def count(piece: slice) -> Ints:
        values = x[piece.start : piece.stop + 1]  # a pair belongs to the piece of its first symbol
        tables = np.zeros((4, n_symbols * n_symbols), np.uint32)  # half the cache; a piece is shorter than 2^32
        count_pairs(values, n_symbols, tables)
        counted: Ints = tables.sum(axis=0, dtype=np.int64)
        return counted

    size = _PIECE if len(total) <= _SMALL_TABLE else 4 * _PIECE  # large tables are cleared and added up less often
    for table in map_pieces(count, pieces(len(x) - 1, size)):
        total += table
    return total


def count_sparse(sequences: SymbolSequences, order: int, weights: Array | None = None) -> tuple[Ints, Array]:
    """The words that occur, in increasing order, and their counts."""
    words = np.empty(len(sequences.codes), np.int64)
    owners = np.empty(len(sequences.codes), np.int64)
    found = word_codes(sequences.codes, sequences.offsets, len(sequences.symbols), order, words, owners)
    if weights is None:
        distinct, counts = np.unique(words[:found], return_counts=True)
        return distinct, counts.astype(np.int64)
    counted = weights[owners[:found]] > 0  # a word of weight 0 did not occur
    distinct, places = np.unique(words[:found][counted], return_inverse=True)
    return distinct, np.bincount(places, weights=weights[owners[:found][counted]], minlength=len(distinct))
