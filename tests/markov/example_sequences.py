"""Sequences with gaps and transition tables with zeros, to try chains on."""

import itertools

import numpy as np
from hypothesis import strategies as st

from statespace.foundations.sequences import read_symbols
from tests import naive


@st.composite
def sequences_of(draw, K, gaps=True, max_sequences=4, max_length=9, min_length=1):
    """A list of sequences over 0, ..., K - 1, with None where an observation is missing; the first one has a symbol."""
    symbol = st.integers(0, K - 1)
    entry = st.one_of(symbol, symbol, symbol, st.none()) if gaps else symbol
    many = draw(st.lists(st.lists(entry, min_size=min_length, max_size=max_length), min_size=1, max_size=max_sequences))
    many[0][0] = draw(symbol)
    return many


@st.composite
def orders_and_sequences(draw, max_symbols=4, max_order=3, **kwargs):
    K, order = draw(st.integers(1, max_symbols)), draw(st.integers(0, max_order))
    return K, order, draw(sequences_of(K, **kwargs))


@st.composite
def laws(draw, size, zeros=True):
    """A probability law, often with zeros."""
    weights = draw(st.lists(st.integers(0 if zeros else 1, 4), min_size=size, max_size=size))
    weights[draw(st.integers(0, size - 1))] += 1
    return [weight / sum(weights) for weight in weights]


@st.composite
def tables(draw, max_symbols=3, max_order=3, max_words=81, zeros=True):
    """(K, order, transition laws (K,) * order + (K,), start law (K,) * order)."""
    K = draw(st.integers(1, max_symbols))
    order = draw(st.integers(0, max_order).filter(lambda order: K ** (order + 1) <= max_words))
    rows = [draw(laws(K, zeros)) for _ in range(K**order)]
    start = draw(laws(K**order, zeros))
    return K, order, np.array(rows).reshape((K,) * (order + 1)), np.array(start).reshape((K,) * order)


def coded(sequences, K):
    """As the package's own reading of the sequences."""
    return read_symbols(sequences, symbols=list(range(K)))


def as_function(table):
    """p(k | context) from a table, for the twins."""
    return lambda context, k: float(table[(*context, k)])


def start_function(table):
    return lambda context: float(table[tuple(context)])


def as_table(counts, K, order, dtype=np.int64):
    """A dictionary of words as the array (K,) * order + (K,)."""
    table = np.zeros((K,) * (order + 1), dtype)
    for word, count in counts.items():
        table[word] = count
    return table


def split_at_gaps(sequence):
    """The runs without a missing observation."""
    return [list(run) for missing, run in itertools.groupby(sequence, lambda symbol: symbol is None) if not missing]


def log_steps(sequences, K, order, start, transition):
    """The twin's steps of several sequences, end to end, NaN where not scored."""
    steps = [naive.log_steps(x, K, order, start, transition) for x in sequences]
    return np.array([np.nan if step is None else step for part in steps for step in part])
