"""Predictions against sums over every path that agrees with what is known, at starts, after gaps, and ahead."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from statespace import MarkovChain
from statespace.markov import prediction
from statespace.markov.prediction import BELIEF_LIMIT, BeliefTooWideError
from statespace.markov.tables import DENSE_LIMIT
from tests import naive
from tests.markov.example_sequences import as_function, sequences_of, start_function, tables


@st.composite
def chains_and_series(draw, zeros=True):
    """A chain of known law with its start law, and a series with gaps that it can have produced."""
    K, order, table, start = draw(tables(max_words=27, zeros=zeros))
    x = draw(sequences_of(K, max_sequences=1, max_length=5))[0]
    return K, order, table, start, x


def possible(x, K, order, table, start):
    """Whether some path that agrees with x has positive probability."""
    return any(
        naive.path_probability(path, order, start_function(start), as_function(table)) > 0
        for path in naive.all_words(K, max(len(x), order))
        if all(seen is None or seen == symbol for seen, symbol in zip(x, path, strict=False))
    )


@given(chains_and_series(), st.integers(1, 3))
def test_forecasts_are_sums_over_all_paths(case, ahead):
    K, order, table, start, x = case
    assume(possible(x, K, order, table, start))
    chain = MarkovChain.from_matrix(table, initial=start)
    expected = naive.laws_by_paths(x, K, order, start_function(start), as_function(table), ahead)
    np.testing.assert_allclose(chain.forecast(x, ahead).probabilities, expected, rtol=1e-12, atol=1e-14)


@given(chains_and_series())
def test_every_law_given_the_past_is_a_sum_over_all_paths(case):
    K, order, table, start, x = case
    chain = MarkovChain.from_matrix(table, initial=start)
    laws = chain.predictive(x).probabilities
    assert laws.shape == (len(x) + 1, K)
    for n in range(len(x) + 1):
        if possible(x[:n], K, order, table, start):
            (expected,) = naive.laws_by_paths(x[:n], K, order, start_function(start), as_function(table))
            np.testing.assert_allclose(laws[n], expected, rtol=1e-12, atol=1e-14)


@given(chains_and_series())
def test_predictions_are_laws_whatever_was_seen(case):
    # Also after what the model thinks impossible
    _, _, table, start, x = case
    chain = MarkovChain.from_matrix(table, initial=start)
    for law in (chain.predictive(x), chain.forecast(x, 4)):
        np.testing.assert_allclose(law.probabilities.sum(axis=1), 1.0, rtol=1e-12)
        assert (law.probabilities >= 0).all()


@given(chains_and_series())
def test_a_known_context_decides_alone(case):
    _, order, table, start, x = case
    chain = MarkovChain.from_matrix(table, initial=start)
    last = x[len(x) - order :]
    assume(len(last) == order and None not in last)
    np.testing.assert_allclose(chain.forecast(x).probabilities[0], table[tuple(last)], rtol=1e-15)
    np.testing.assert_array_equal(chain.predictive(x).probabilities[-1], table[tuple(last)])


@given(chains_and_series(), st.integers(1, 4))
def test_forecasting_is_predicting_with_the_next_observations_missing(case, ahead):
    _, _, table, start, x = case
    chain = MarkovChain.from_matrix(table, initial=start)
    np.testing.assert_allclose(
        chain.forecast(x, ahead).probabilities,
        chain.predictive(x + [None] * (ahead - 1)).probabilities[len(x) :],
        rtol=1e-13,
        atol=1e-15,
    )


def test_forecasts_of_order_one_are_rows_of_powers():
    P = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.0, 0.25, 0.75]])
    law = MarkovChain.from_matrix(P).forecast([2], 40)
    np.testing.assert_allclose(law.probabilities[11], np.linalg.matrix_power(P, 12)[2], rtol=1e-13)


def test_an_impossible_observation_leaves_the_context_that_it_makes():
    # From dry only dry can follow; a wet day came all the same, and what follows it is known
    chain = MarkovChain.from_matrix([[1.0, 0.0], [0.3, 0.7]], initial=[1.0, 0.0])
    np.testing.assert_array_equal(chain.predictive([0, 1]).probabilities, [[1.0, 0.0], [1.0, 0.0], [0.3, 0.7]])


def test_a_start_of_a_conditional_chain_is_a_usual_moment():
    # Contexts 0, 0, 1, 1, 1, 0 come before the six steps: half and half
    x = [0, 0, 1, 1, 1, 0, 1]
    chain = MarkovChain().fit(x)
    np.testing.assert_allclose(chain.initial_, [0.5, 0.5], rtol=1e-15)
    np.testing.assert_allclose(chain.predictive(x).probabilities[0], [0.5, 0.5], rtol=1e-15)
    np.testing.assert_allclose(chain.predictive([None, 1]).probabilities[1], [0.5, 0.5] @ chain.transmat_, rtol=1e-15)


# Where too much is unknown


def long_sparse_chain():
    rng = np.random.default_rng(0)
    return MarkovChain(3, smoothing="witten-bell").fit(rng.integers(0, 60, 3000), symbols=range(60))


def test_a_sparse_forecast_of_too_many_steps_says_what_to_do(monkeypatch):
    monkeypatch.setattr(prediction, "BELIEF_LIMIT", 60**2)
    chain = long_sparse_chain()
    assert chain.transmat_.ndim == 2
    with pytest.raises(BeliefTooWideError, match=r"3600 contexts of order 3 over 60 symbols.*forecast fewer steps"):
        chain.forecast([1, 2, 3], 10)
    np.testing.assert_allclose(chain.forecast([1, 2, 3], 2).probabilities.sum(axis=1), 1.0, rtol=1e-12)


def test_rows_of_which_too_much_is_unknown_are_nan_and_the_others_are_not(monkeypatch):
    monkeypatch.setattr(prediction, "BELIEF_LIMIT", 60**2)
    law = long_sparse_chain().predictive([1, 2, 3, None, None, None, 4, 5, 6, None, 7])
    # Row 4 knows two of the last three symbols, row 5 only one; from row 9 on, at most one is unknown
    unknown = np.isnan(law.probabilities).any(axis=1)
    assert unknown.tolist() == [False] * 5 + [True] * 4 + [False] * 3


def test_a_dense_chain_forecasts_whatever_is_unknown():
    # Every context is possible from step 10 on: as many words as a dense table has
    assert BELIEF_LIMIT >= DENSE_LIMIT == 4**11
    x = np.random.default_rng(0).integers(0, 4, 40)
    chain = MarkovChain(10, smoothing="laplace").fit(x)
    assert chain.transmat_.ndim == 11
    law = chain.forecast(x, 12)
    np.testing.assert_allclose(law.probabilities.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(law.probabilities[11], 1 / 4, atol=1e-4)  # 40 observations in 4^10 contexts
