"""Draws against the inverse cumulative law, one by one, and against the chain's own law, all together."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statespace import MarkovChain
from statespace.foundations.paths import draw_path, draw_thresholds
from statespace.markov import sampling
from tests import naive
from tests.markov.example_sequences import as_function, tables

TENTHS = np.array([0.1] * 10 + [0.0, 0.0])  # their running sum stays below 1


def draws(table, uniforms, context=()):
    """The kernel's symbols for these uniforms."""
    K = table.shape[-1]
    thresholds = draw_thresholds(table.reshape(-1, K))
    drawn = np.empty(len(uniforms), np.int64)
    draw_path(np.asarray(uniforms, dtype=float), thresholds, naive.code(context, K), drawn)
    return drawn.tolist()


uniforms_below_one = st.one_of(
    st.floats(0, 1, exclude_max=True), st.sampled_from([0.0, 0.25, 0.5, 0.75, np.nextafter(1.0, 0.0)])
)


@given(tables(max_symbols=4), st.lists(uniforms_below_one, max_size=20), st.data())
def test_every_draw_inverts_the_cumulative_law(case, uniforms, data):
    K, order, table, _ = case
    context = tuple(data.draw(st.lists(st.integers(0, K - 1), min_size=order, max_size=order)))
    assert draws(table, uniforms, context) == naive.draw_path(uniforms, K, order, context, as_function(table))


@given(st.integers(17, 40), st.lists(uniforms_below_one, min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_many_symbols_are_searched_as_few_are_counted(K, uniforms, seed):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.ones(K), size=K) * (rng.random((K, K)) < 0.5)
    table[:, 0] += table.sum(axis=1) == 0
    table /= table.sum(axis=1, keepdims=True)
    assert draws(table, uniforms, (0,)) == naive.draw_path(uniforms, K, 1, (0,), as_function(table))


@pytest.mark.parametrize("more_symbols", [0, 20])  # counted and searched
def test_a_draw_falls_back_to_the_last_symbol_of_positive_probability(more_symbols):
    law = np.concatenate([TENTHS, np.zeros(more_symbols)])
    beyond = np.nextafter(1.0, 0.0)
    assert np.cumsum(law)[-1] <= beyond < 1  # so that no symbol's running sum passes it
    assert draws(law, [beyond]) == [9]
    assert draws(np.tile(law, (len(law), 1)), [beyond, 0.05, beyond], (0,)) == [9, 0, 9]


def test_a_symbol_without_probability_is_never_drawn_by_a_uniform_on_its_border():
    assert draws(np.array([0.0, 0.5, 0.0, 0.5]), [0.0, 0.5, 0.25, 0.75]) == [1, 3, 1, 3]


@given(tables(), st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_impossible_words_are_never_drawn(case, seed, n):
    _, order, table, start = case
    x = MarkovChain.from_matrix(table, initial=start).sample(n, random_state=seed).tolist()
    assert len(x) == n
    for _, _, word in naive.words([x], order):
        assert table[word] > 0
    if n >= order:
        assert start[tuple(x[:order])] > 0


# The laws of draws, at fixed seeds; a right sampler fails each bound with probability 1e-6


def p_value(counts, table):
    """Of a chi-square test that the transitions counted were drawn from `table`."""
    K = table.shape[-1]
    observed, expected = counts.reshape(-1, K), counts.reshape(-1, K).sum(axis=1, keepdims=True) * table.reshape(-1, K)
    possible = expected > 0
    assert not observed[~possible].any()
    statistic = ((observed - expected)[possible] ** 2 / expected[possible]).sum()
    rows = counts.reshape(-1, K).sum(axis=1) > 0
    return stats.chi2.sf(statistic, possible.sum() - rows.sum())


@pytest.mark.parametrize(("K", "order"), [(2, 0), (2, 1), (3, 2), (2, 5), (20, 1), (30, 0)])
def test_fitting_a_sample_recovers_the_laws_that_it_was_drawn_from(K, order):
    rng = np.random.default_rng(K + order)
    table = rng.dirichlet(np.ones(K) * 2, size=(K,) * order)
    x = MarkovChain.from_matrix(table).sample(400_000, random_state=17)
    fitted = MarkovChain(order).fit(x)
    assert p_value(fitted.counts_, table) > 1e-6
    assert p_value(fitted.counts_, rng.dirichlet(np.ones(K) * 2, size=(K,) * order)) < 1e-6  # the test can fail


def test_first_symbols_follow_the_start_law():
    start = np.array([[0.1, 0.2], [0.3, 0.4]])
    chain = MarkovChain.from_matrix(np.full((2, 2, 2), 0.5), initial=start)
    rng = np.random.default_rng(3)
    firsts = [tuple(chain.sample(2, random_state=rng).tolist()) for _ in range(4000)]
    observed = [firsts.count(context) for context in naive.all_words(2, 2)]
    assert stats.chisquare(observed, 4000 * start.ravel()).pvalue > 1e-6
    assert stats.chisquare(observed).pvalue < 1e-6


def test_a_conditional_chain_starts_as_its_contexts_are_spread():
    x = [0] * 9 + [1] * 3
    chain = MarkovChain().fit([x])
    np.testing.assert_allclose(chain.initial_, [9 / 11, 2 / 11], rtol=1e-15)
    rng = np.random.default_rng(4)
    ones = sum(int(chain.sample(1, random_state=rng)[0]) for _ in range(2000))
    assert stats.binomtest(ones, 2000, 2 / 11).pvalue > 1e-6


def test_millions_of_symbols_are_drawn_in_a_second():
    # A tenth of the rate that the benchmark asks for, so that only a change of kind is noticed
    chain = MarkovChain.from_matrix([[0.7, 0.3], [0.4, 0.6]])
    chain.sample(10)
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        chain.sample(2_000_000, random_state=0)
        times.append(time.perf_counter() - begun)
    assert min(times) < 1.0


# Seeds, lengths and starts


def example(order=2):
    return MarkovChain(order, smoothing="laplace").fit(np.random.default_rng(0).integers(0, 3, 500))


def test_a_longer_sample_goes_on_where_a_shorter_one_stops():
    block = sampling._BLOCK
    long = example().sample(2 * block + 7, random_state=5)
    for n in (0, 1, 2, 3, block, block + 2, block + 3, 2 * block):
        np.testing.assert_array_equal(example().sample(n, random_state=5), long[:n])


def test_a_generator_goes_on_with_its_stream():
    rng = np.random.default_rng(8)
    first, second = example().sample(100, random_state=rng), example().sample(100, random_state=rng)
    assert (first != second).any()
    np.testing.assert_array_equal(first, example().sample(100, random_state=8))


def test_a_sample_goes_on_from_what_has_been_seen():
    P = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])  # round and round
    chain = MarkovChain.from_matrix(P, symbols=["a", "b", "c"])
    assert chain.sample(4, start=["c", None, "b"]).tolist() == ["c", "a", "b", "c"]
    assert chain.sample(0, start=["b"]).tolist() == []


def test_a_start_that_does_not_end_with_a_known_context_is_refused():
    for start in ([1], [1, None], [[0, 1], [1, 1]]):
        with pytest.raises(ValueError, match="start must be one sequence that ends with 2 known symbols"):
            example().sample(3, start=start)
    with pytest.raises(ValueError, match="is 7, which is not among the 3 symbols"):
        example().sample(3, start=[1, 7])


def test_a_wrong_number_of_samples_is_named():
    with pytest.raises(ValueError, match="n_samples is -1, expected an integer of at least 0"):
        example().sample(-1)
    with pytest.raises(TypeError, match=r"n_samples is 2\.0, expected an integer"):
        example().sample(2.0)
    with pytest.raises(TypeError, match="random_state is 'seed'"):
        example().sample(3, random_state="seed")
