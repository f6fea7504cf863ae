"""How sequences start: frequencies, free laws and stationary ones, and what maximises a likelihood that has them."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from statespace import MarkovChain
from statespace.foundations.contexts import context_matrix
from statespace.markov import tables as tables_module
from tests import naive
from tests.markov.example_sequences import as_function, log_steps, orders_and_sequences, start_function, tables


def learns(case):
    _, order, sequences = case
    return bool(naive.count_words(sequences, order))


def stationary_by_powers(table):
    """Long-run law of the contexts of a chain with one recurrent class, by squaring (I + P) / 2."""
    P = context_matrix(table)
    power = (np.eye(len(P)) + P) / 2
    for _ in range(60):
        power = power @ power
        power /= power.sum(axis=1, keepdims=True)
    return power[0].reshape(table.shape[:-1])


# The law of everything


@given(tables(max_words=27), st.integers(0, 2))
def test_all_sequences_together_have_probability_one(case, more):
    K, order, table, start = case
    chain = MarkovChain.from_matrix(table, initial=start)
    N = order + more
    assume(N)
    total = math.fsum(math.exp(chain.score(list(x))) for x in naive.all_words(K, N))
    assert total == pytest.approx(1.0, rel=1e-12)


@given(tables(max_words=27), st.integers(1, 4))
def test_the_joint_is_the_product_of_conditionals(case, N):
    K, order, table, start = case
    chain = MarkovChain.from_matrix(table, initial=start)
    for x in naive.all_words(K, N)[:30]:
        steps = chain.log_likelihood(list(x), by="step")
        rest = naive.all_words(K, max(order - N, 0))
        joint = math.fsum(
            naive.path_probability((*x, *more), order, start_function(start), as_function(table)) for more in rest
        )
        assert math.exp(steps.sum()) == pytest.approx(joint, rel=1e-12, abs=1e-300)
        assert chain.score(list(x)) == pytest.approx(steps.sum(), rel=1e-12)


@given(orders_and_sequences(max_symbols=3).filter(learns), st.sampled_from(["conditional", "free"]), st.booleans())
def test_steps_are_those_of_the_twin(case, initial, smoothed):
    K, order, sequences = case
    chain = MarkovChain(order, initial=initial, smoothing="laplace" if smoothed else None)
    try:
        chain.fit(sequences, symbols=range(K))
    except ValueError as error:
        if "initial='free' learns from" not in str(error):
            raise
        assume(False)
    start = None if initial == "conditional" else start_function(chain.initial_)
    steps = np.concatenate(chain.log_likelihood(sequences, by="step"))
    expected = log_steps(sequences, K, order, start, as_function(chain.transmat_))
    np.testing.assert_allclose(steps, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(chain.score(sequences), np.nansum(expected), rtol=1e-12, atol=1e-12)


def test_a_start_is_scored_up_to_its_first_gap():
    start = np.array([[0.1, 0.2], [0.3, 0.4]])
    table = np.array([[[0.5, 0.5], [0.2, 0.8]], [[0.9, 0.1], [0.6, 0.4]]])
    chain = MarkovChain.from_matrix(table, initial=start)
    steps = chain.log_likelihood([[1, None, 0, 1, 1], [None, 1, 0], [0], [1, 0, 1], [None]], by="step")
    expected = [[0.7, np.nan, np.nan, np.nan, 0.8], [np.nan] * 3, [0.3], [0.7, 3 / 7, 0.1], [np.nan]]
    for found, probabilities in zip(steps, expected, strict=True):
        np.testing.assert_allclose(found, np.log(probabilities), rtol=1e-14)


# The three kinds


def test_a_conditional_chain_reports_the_frequencies_of_its_contexts():
    chain = MarkovChain(2).fit([[0, 0, 1, 0], [1, None, 0, 1, 1]])
    # Followed contexts: 00, 01 and 01
    np.testing.assert_allclose(chain.initial_, [[1 / 3, 2 / 3], [0, 0]], rtol=1e-15)


def test_a_free_law_is_the_frequencies_of_the_first_contexts():
    chain = MarkovChain(2, initial="free")
    chain.fit([[0, 1, 0], [1, 1, 1], [0, 1, 1], [None, 0, 0, 1], [1]], sample_weight=[1, 2, 0.5, 7, 9])
    np.testing.assert_allclose(chain.initial_, [[0, 1.5 / 3.5], [0, 2 / 3.5]], rtol=1e-15)
    smoothed = MarkovChain(1, initial="free", smoothing="laplace").fit([[0, 1, 0], [1, 1], [0, 0]])
    np.testing.assert_allclose(smoothed.initial_, [3 / 5, 2 / 5], rtol=1e-15)


def test_a_free_law_needs_a_start():
    with pytest.raises(ValueError, match="initial='free' learns from the first 2 observations of each sequence"):
        MarkovChain(2, initial="free").fit([[0, None, 1, 1, 0], [None, 1, 0, 0]])


def test_one_sequence_that_may_start_anywhere_starts_with_certainty():
    chain = MarkovChain(1, initial="free").fit([1, 0, 0, 1, 0])
    assert chain.log_likelihood([1, 0], by="step")[0] == 0.0
    assert chain.score([0, 0]) == -math.inf


@given(tables(zeros=False))
def test_a_stationary_start_is_the_law_that_the_chain_keeps(case):
    _, order, table, _ = case
    chain = MarkovChain.from_matrix(table, initial="stationary")
    expected = stationary_by_powers(table) if order else np.ones(())
    np.testing.assert_allclose(chain.initial_, expected, rtol=1e-10, atol=1e-14)
    # After any number of steps of which nothing is seen
    before, after = chain.predictive([None] * 6 + [0]).probabilities[[0, 6]]
    np.testing.assert_allclose(after, before, rtol=1e-12)
    with_one = chain.log_likelihood([0] * max(order, 1), by="step")[0]
    assert with_one == pytest.approx(math.log(before[0]), rel=1e-12)


def test_a_matrix_without_a_start_is_taken_at_a_usual_moment():
    # 0 leads to the absorbing 1 or 2, one time in four to 1
    P = [[0.2, 0.2, 0.6], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(
        MarkovChain.from_matrix(P).initial_, [0, 1 / 3 + 1 / 12, 1 / 3 + 3 / 12], rtol=1e-14, atol=1e-15
    )


def test_a_large_table_of_known_laws_is_not_squared():
    # 2^17 contexts; a matrix over them would take 128 GB
    order = 17
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(2), size=(2,) * order)
    chain = MarkovChain.from_matrix(table)
    usual = chain.initial_
    following = (usual[..., None] * table).sum(axis=0)
    assert np.abs(following - usual).sum() < 1e-6
    x = [0, 1] * 9
    np.testing.assert_allclose(chain.forecast(x).probabilities[0], table[tuple(x[1:])], rtol=1e-15)
    with pytest.raises(ValueError, match=r"initial='stationary' solves for 2\^17 = 131072 contexts, more than 4096"):
        MarkovChain.from_matrix(table, initial="stationary")


def test_steps_come_close_to_the_law_that_is_solved_for(monkeypatch):
    from statespace.markov import start

    table = np.random.default_rng(1).dirichlet(np.ones(3), size=(3, 3))
    solved = MarkovChain.from_matrix(table).initial_
    monkeypatch.setattr(start, "_FEW_CONTEXTS", 0)
    np.testing.assert_allclose(MarkovChain.from_matrix(table).initial_, solved, rtol=1e-9)
    turns = np.array([[0.0, 1.0], [1.0, 0.0]])  # a period does not keep it from settling
    np.testing.assert_allclose(MarkovChain.from_matrix(turns).initial_, [0.5, 0.5], rtol=1e-12)


def test_a_stationary_start_needs_one_recurrent_class():
    message = "the chain has 2 recurrent classes, each with a stationary law of its own: use initial='free'"
    with pytest.raises(ValueError, match=message):
        MarkovChain.from_matrix(np.eye(2), initial="stationary")


def test_a_sparse_table_starts_as_it_may(monkeypatch):
    monkeypatch.setattr(tables_module, "DENSE_LIMIT", 0)
    for initial in ("free", "stationary"):
        with pytest.raises(ValueError, match=rf"initial='{initial}' needs a table of all 2\^2 words"):
            MarkovChain(initial=initial).fit([0, 1, 1])


@pytest.mark.parametrize(
    ("initial", "error", "message"),
    [
        ([0.5, 0.6], ValueError, r"initial sums to 1\.1, expected 1"),
        ([1.0], ValueError, r"initial has shape \(1,\), expected \(2,\)"),
        ([1.5, -0.5], ValueError, r"initial\[1\] is -0\.5"),
        ([math.nan, 1.0], ValueError, r"initial\[0\] is NaN"),
        ("free", ValueError, "initial is 'free', expected one of 'conditional', 'stationary'"),
    ],
)
def test_a_start_law_that_is_none_is_refused(initial, error, message):
    with pytest.raises(error, match=message):
        MarkovChain.from_matrix([[0.5, 0.5], [0.2, 0.8]], initial=initial)


# The maximum with stationary starts


def likelihood(table, sequences):
    """log L with stationary starts, by the twin."""
    law = start_function(stationary_by_powers(table))
    steps = log_steps(sequences, table.shape[-1], table.ndim - 1, law, as_function(table))
    return np.nansum(steps)


def test_two_states_have_their_maximum_where_the_derivatives_vanish():
    # One sequence from 0; counts 00: 3, 01: 2, 10: 1, 11: 4; pi_0 = b / (a + b) with a = p(1 | 0), b = p(0 | 1):
    # (2 / a - 3 / (1 - a)) - 1 / (a + b) = 0 and (1 / b - 4 / (1 - b)) + 1 / b - 1 / (a + b) = 0
    x = [0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1]
    assert naive.count_words([x], 1) == {(0, 0): 3, (0, 1): 2, (1, 1): 4, (1, 0): 1}
    (_, a), (b, _) = MarkovChain(initial="stationary").fit(x).transmat_
    assert 2 / a - 3 / (1 - a) - 1 / (a + b) == pytest.approx(0, abs=1e-5)
    assert 2 / b - 4 / (1 - b) - 1 / (a + b) == pytest.approx(0, abs=1e-5)


@st.composite
def complete_sequences(draw):
    K, order = draw(st.sampled_from([(2, 1), (3, 1), (2, 2)]))
    sequence = st.lists(st.integers(0, K - 1), min_size=order, max_size=7)
    return K, order, draw(st.lists(sequence, min_size=1, max_size=4))


@settings(max_examples=12)  # each climbs, some several times
@given(complete_sequences().filter(learns), st.integers(0, 2**32 - 1))
def test_no_other_chain_is_more_likely_with_stationary_starts(case, seed):
    K, order, sequences = case
    chain = MarkovChain(order, initial="stationary")
    try:
        chain.fit(sequences, symbols=range(K))
    except ValueError as error:
        if "has no maximum here" not in str(error):
            raise
        assume(False)
    best = chain.transmat_
    top = likelihood(best, sequences)
    assert chain.score(sequences) == pytest.approx(top, rel=1e-6, abs=1e-9)
    rng = np.random.default_rng(seed)
    for nearness in (0.0, 0.5, 0.9, 0.99, 0.999):  # also towards transitions that were never seen
        for _ in range(3):
            other = nearness * best + (1 - nearness) * rng.dirichlet(np.ones(K) / 2, size=(K,) * order)
            assert likelihood(other, sequences) <= top + 1e-7


def climb(sequences, K, rng):
    """The best of some climbs from random places, by a search that knows no derivatives of ours."""
    from scipy.optimize import minimize

    def table(theta):
        rows = np.exp(theta.reshape(K, K))
        return rows / rows.sum(axis=1, keepdims=True)

    found = [
        minimize(lambda theta: -likelihood(table(theta), sequences), rng.normal(size=K * K), method="BFGS")
        for _ in range(2)
    ]
    best = min(found, key=lambda result: result.fun)
    return -best.fun, table(best.x)


@pytest.mark.parametrize(
    ("sequences", "K"),
    [
        ([[0, 1, 1, 1, 1]], 2),  # 0 never comes back in the data: the maximum has a way back all the same
        ([[0, 1, 1, 1], [0, 0, 0, 1, 1, 1]], 2),
        ([[1, 0, 2, 2, 0, 2], [2, 0, 0, 2]], 3),  # 2 was never followed by 1
        ([[1], [1, 0, 0, 0, 2]], 3),  # each was seen to reach 1 or not to go on at all
        ([[0, 1, 2, 0, 2, 1, 0, 0, 1, 2, 2, 0]], 3),
    ],
)
def test_a_general_search_finds_nothing_better(sequences, K):
    chain = MarkovChain(initial="stationary").fit(sequences, symbols=range(K))
    value, table = climb(sequences, K, np.random.default_rng(0))
    assert chain.score(sequences) >= value - 1e-7
    assert chain.score(sequences) == pytest.approx(value, abs=1e-4)
    visited = sorted({symbol for x in sequences for symbol in x[:-1]})
    np.testing.assert_allclose(chain.transmat_[visited], table[visited], atol=2e-3)


def test_a_chain_that_had_better_fall_apart_has_no_maximum_with_stationary_starts():
    message = "has no maximum here: the likelihood grows as the chain falls apart into several recurrent classes"
    chain = MarkovChain(initial="stationary")
    for sequences in ([[0, 0, 0], [1, 1, 1]], [[1, 1], [0]]):
        with pytest.raises(ValueError, match=message):
            chain.fit(sequences)
    with pytest.raises(ValueError, match=message):  # where its equations are singular but for rounding
        MarkovChain(2, initial="stationary").fit([[0, 0], [1, 0], [1, 1, 0, 1], [0, 0]])
    assert not chain.__sklearn_is_fitted__()


def test_many_observations_outweigh_one_start():
    x = np.random.default_rng(0).integers(0, 2, 4000)
    np.testing.assert_allclose(
        MarkovChain(2, initial="stationary").fit(x).transmat_, MarkovChain(2).fit(x).transmat_, atol=5e-3
    )


def test_weights_of_stationary_starts_are_repetitions():
    sequences = [[0, 1, 1, 0, 2], [2, 1, 0, 0, 1], [1, 1, 2, 0]]
    weighted = MarkovChain(initial="stationary").fit(sequences, sample_weight=[3, 0, 2])
    repeated = MarkovChain(initial="stationary").fit([sequences[0]] * 3 + [sequences[2]] * 2)
    np.testing.assert_allclose(weighted.transmat_, repeated.transmat_, atol=1e-6)


def test_smoothed_laws_keep_their_counts_with_a_stationary_start():
    x = [0, 1, 1, 1, 0, 1]
    plain, stationary = (MarkovChain(smoothing="laplace", initial=initial).fit(x) for initial in ("free", "stationary"))
    np.testing.assert_array_equal(plain.transmat_, stationary.transmat_)
    np.testing.assert_allclose(stationary.initial_, stationary_by_powers(plain.transmat_), rtol=1e-10)


def test_too_many_contexts_for_a_stationary_start_are_refused():
    x = np.random.default_rng(0).integers(0, 2, 100)
    with pytest.raises(ValueError, match=r"solves for 2\^11 = 2048 contexts, more than 1024"):
        MarkovChain(11, initial="stationary").fit(x)
    with pytest.raises(ValueError, match=r"solves for 2\^13 = 8192 contexts, more than 4096"):
        MarkovChain(13, initial="stationary", smoothing="laplace").fit(x)
