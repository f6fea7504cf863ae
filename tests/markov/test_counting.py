"""Counts of words against their twin: with gaps and borders, dense and sparse, up to the last bit of a code."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace import MarkovChain
from statespace.foundations.contexts import (
    check_codes_fit,
    context_codes,
    context_matrix,
    context_symbols,
    decode_contexts,
)
from statespace.foundations.sequences import read_symbols
from statespace.markov import counting
from statespace.markov.counting import count_dense, count_sparse, word_codes
from statespace.markov.tables import DenseCounts, SparseCounts
from tests import naive
from tests.markov.example_sequences import as_table, coded, orders_and_sequences, split_at_gaps, tables


@st.composite
def weighted(draw):
    K, order, sequences = draw(orders_and_sequences())
    weight = st.sampled_from([None, 0.0, 0.5, 1.0, 3.0])
    weights = draw(st.lists(weight, min_size=len(sequences), max_size=len(sequences)))
    return K, order, sequences, None if None in weights else np.array(weights)


# Words


@given(weighted())
def test_dense_counts_are_those_of_the_twin(case):
    K, order, sequences, weights = case
    counts = count_dense(coded(sequences, K), order, weights)
    expected = as_table(naive.count_words(sequences, order, weights), K, order, counts.dtype)
    np.testing.assert_array_equal(counts.reshape(expected.shape), expected)
    assert counts.dtype == (np.int64 if weights is None else np.float64)


@given(weighted())
def test_sparse_counts_are_those_of_the_twin(case):
    K, order, sequences, weights = case
    words, counts = count_sparse(coded(sequences, K), order, weights)
    expected = {naive.code(word, K): count for word, count in naive.count_words(sequences, order, weights).items()}
    assert dict(zip(words.tolist(), counts.tolist(), strict=True)) == expected
    assert words.tolist() == sorted(expected)


@given(orders_and_sequences())
def test_a_gap_counts_as_the_border_of_two_sequences(case):
    K, order, sequences = case
    runs = [run for sequence in sequences for run in split_at_gaps(sequence)]
    np.testing.assert_array_equal(count_dense(coded(sequences, K), order), count_dense(coded(runs, K), order))


@given(orders_and_sequences(), st.data())
def test_an_integer_weight_counts_as_repetition(case, data):
    K, order, sequences = case
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(sequences), max_size=len(sequences)).filter(any))
    repeated = [x for x, weight in zip(sequences, weights, strict=True) for _ in range(weight)]
    np.testing.assert_array_equal(
        count_dense(coded(sequences, K), order, np.array(weights, dtype=float)), count_dense(coded(repeated, K), order)
    )


@given(st.integers(1, 5), st.data())
def test_long_pairs_are_counted_whatever_the_pieces(K, data):
    # The kernels for one long sequence work on quarters of pieces: every remainder, every border
    x = data.draw(st.lists(st.integers(0, K - 1), min_size=1, max_size=40))
    expected = as_table(naive.count_words([x], 1), K, 1).reshape(-1)
    whole = counting._PIECE
    try:
        for counting._PIECE in (1, 3, 8, whole):
            np.testing.assert_array_equal(count_dense(coded([x], K), 1), expected)
    finally:
        counting._PIECE = whole


@pytest.mark.parametrize("K", [2, 3, 256, 257])  # bits, quarters, the largest table kept four times, one beyond
def test_millions_of_pairs_are_counted_as_by_bincount(K):
    x = np.random.default_rng(K).integers(0, K, 3_000_001)
    np.testing.assert_array_equal(
        count_dense(read_symbols(x, symbols=np.arange(K)), 1), np.bincount(x[:-1] * K + x[1:], minlength=K * K)
    )


# Codes


@given(orders_and_sequences())
def test_contexts_are_numbered_as_the_twin_numbers_them(case):
    K, order, sequences = case
    data = coded(sequences, K)
    contexts = np.empty(len(data.codes) + len(sequences), np.int64)
    context_codes(data.codes, data.offsets, K, order, contexts)
    assert contexts.tolist() == [code for x in sequences for code in naive.context_codes(x, K, order)]


@given(st.integers(1, 6), st.integers(0, 4), st.data())
def test_decoding_a_context_gives_its_symbols_back(K, order, data):
    contexts = data.draw(st.lists(st.lists(st.integers(0, K - 1), min_size=order, max_size=order), max_size=5))
    codes = np.array([naive.code(context, K) for context in contexts], dtype=np.int64)
    assert decode_contexts(codes, K, order).tolist() == contexts


def test_contexts_are_listed_as_tuples_of_symbols_in_the_order_of_their_codes():
    assert context_symbols(2, 2, np.array(["dry", "wet"])) == [
        ("dry", "dry"),
        ("dry", "wet"),
        ("wet", "dry"),
        ("wet", "wet"),
    ]


@given(tables())
def test_the_chain_over_contexts_moves_as_the_chain_over_symbols(case):
    K, order, table, _ = case
    contexts = naive.all_words(K, max(order, 1))
    expected = np.zeros((len(contexts), len(contexts)))
    for i, context in enumerate(contexts):
        for k in range(K):
            past = context if order else ()
            expected[i, contexts.index((*context, k)[1:])] += table[(*past, k)]
    np.testing.assert_array_equal(context_matrix(table), expected)


@pytest.mark.parametrize(("K", "order"), [(2, 61), (3, 38), (7, 21), (65, 9), (3_037_000_499, 1)])
def test_the_last_word_that_64_bits_can_number_is_numbered_right(K, order):
    assert K ** (order + 1) < 2**63 <= K ** (order + 2)
    check_codes_fit(K, order)
    x = np.full(order + 3, K - 1)
    x[0] = 0
    words, owners = np.empty((2, len(x)), np.int64)
    found = word_codes(x, np.array([0, len(x)]), K, order, words, owners)
    highest = K ** (order + 1) - 1
    assert words[:found].tolist() == [highest - (K - 1) * K**order, highest, highest]
    contexts = np.empty(len(x) + 1, np.int64)
    context_codes(x, np.array([0, len(x)]), K, order, contexts)
    assert contexts[-1] == K**order - 1


@pytest.mark.parametrize(("K", "largest"), [(2, 61), (3, 38), (65, 9), (2**31, 1), (2**40, 0)])
def test_an_order_beyond_64_bits_is_refused_and_the_largest_named(K, largest):
    check_codes_fit(K, largest)
    with pytest.raises(
        ValueError,
        match=rf"order {largest + 1} over {K} symbols has {K}\^{largest + 2} words .* the largest order is {largest}",
    ):
        check_codes_fit(K, largest + 1)


def test_a_chain_of_such_an_order_says_so():
    with pytest.raises(ValueError, match=r"order 62 over 2 symbols has 2\^63 words .* the largest order is 61"):
        MarkovChain(62).fit([0, 1] * 50)
    with pytest.raises(ValueError, match=r"order 64 needs a table of 65 axes.*the largest order is 63"):
        MarkovChain(64).fit([0] * 100)
    assert MarkovChain(63).fit([0] * 100).transmat_.ndim == 64


def test_the_highest_order_of_two_symbols_learns_and_predicts():
    rng = np.random.default_rng(0)
    x = np.tile(rng.integers(0, 2, 100), 3)
    chain = MarkovChain(61).fit(x)
    assert chain.score(x) == 0.0  # every context of 61 is followed by one symbol only
    np.testing.assert_array_equal(chain.forecast(x, 30).probabilities[np.arange(30), x[:30]], 1.0)


# Tables


@given(weighted(), st.data())
def test_both_kinds_of_table_give_the_same_answers(case, data):
    K, order, sequences, weights = case
    read = coded(sequences, K)
    dense = DenseCounts(count_dense(read, order, weights), K, order)
    sparse = SparseCounts(*count_sparse(read, order, weights), K, order)
    words = np.array(data.draw(st.lists(st.integers(0, K ** (order + 1) - 1), max_size=10)), dtype=np.int64)
    contexts = words // K
    np.testing.assert_array_equal(dense.word_counts(words), sparse.word_counts(words))
    np.testing.assert_array_equal(dense.rows(contexts), sparse.rows(contexts))
    np.testing.assert_array_equal(dense.context_types(contexts), sparse.context_types(contexts))
    np.testing.assert_array_equal(dense.context_totals(contexts), sparse.context_totals(contexts))


@given(orders_and_sequences())
def test_every_complete_word_is_counted_once(case):
    K, order, sequences = case
    complete = sum(max(len(run) - order, 0) for x in sequences for run in split_at_gaps(x))
    assert count_dense(coded(sequences, K), order).sum() == math.fsum(count_sparse(coded(sequences, K), order)[1])
    assert count_dense(coded(sequences, K), order).sum() == complete
