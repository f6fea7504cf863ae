"""What a chain says of itself in its own symbols: order by order, against the matrix over its contexts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace import MarkovChain
from statespace.markov import structure
from statespace.markov import tables as tables_module
from tests import naive
from tests.markov.example_sequences import tables

WEATHER = ["dry", "wet"]


def over_contexts(table):
    """The twin: states are tuples, a step forgets the oldest symbol."""
    K, order = table.shape[-1], table.ndim - 1
    states = naive.all_words(K, max(order, 1))
    P = np.zeros((len(states), len(states)))
    for i, state in enumerate(states):
        for k in range(K):
            P[i, states.index((*state[1:], k))] = table[(*(state if order else ()), k)]
    return states, P


@given(tables(max_words=27))
def test_every_method_is_the_function_of_the_matrix_over_contexts(case):
    _, order, table, start = case
    chain = MarkovChain.from_matrix(table, initial=start)
    states, P = over_contexts(table)
    assert chain.states_ == ([state[0] for state in states] if order <= 1 else states)
    np.testing.assert_array_equal(chain.context_matrix(), P)
    for name in ("absorption_probabilities", "absorption_times", "stationary_laws", "mean_recurrence_times"):
        np.testing.assert_array_equal(getattr(chain, name)(), getattr(structure, name)(P))
    for name in ("is_irreducible", "is_aperiodic"):
        assert getattr(chain, name)() == getattr(structure, name)(P)
    for name in ("recurrent_states", "transient_states", "absorbing_states"):
        assert getattr(chain, name)() == [chain.states_[i] for i in getattr(structure, name)(P)]
    np.testing.assert_array_equal(chain.n_step_matrix(5), structure.n_step_matrix(P, 5))
    np.testing.assert_array_equal(chain.mean_first_passage_times(), structure.mean_first_passage_times(P))
    target = len(states) // 2
    np.testing.assert_array_equal(
        chain.hitting_probabilities(chain.states_[target]), structure.hitting_probabilities(P, [target])
    )
    for found, expected in zip(chain.communicating_classes(), structure.communicating_classes(P), strict=True):
        assert found.members == tuple(chain.states_[i] for i in expected.members)
        assert (found.recurrent, found.period) == (expected.recurrent, expected.period)


@given(tables(max_words=81))
def test_the_stationary_law_is_kept_by_a_step(case):
    K, order, table, _ = case
    chain = MarkovChain.from_matrix(table)
    for law in chain.stationary_laws():
        joint = law.reshape(-1, 1) * table.reshape(-1, K) if order else table[None, :]
        following = joint.reshape((K,) * (order + 1)).sum(axis=0).reshape(-1) if order else table
        np.testing.assert_allclose(following, law, rtol=1e-12, atol=1e-14)
        assert law.sum() == pytest.approx(1.0, rel=1e-12)


@given(tables(max_words=81, zeros=False))
def test_the_one_stationary_law_has_an_axis_for_each_symbol_of_the_context(case):
    K, order, table, _ = case
    chain = MarkovChain.from_matrix(table)
    law = chain.stationary_law()
    assert law.shape == (K,) * max(order, 1)
    if order > 1:  # the oldest and the newest symbol of a context have the same law
        np.testing.assert_allclose(
            law.sum(axis=tuple(range(1, order))), law.sum(axis=tuple(range(order - 1))), rtol=1e-10
        )


@given(tables(max_words=81, zeros=False))
def test_the_entropy_rate_is_the_mean_loss_of_the_chain_itself(case):
    K, order, table, _ = case
    law = MarkovChain.from_matrix(table).stationary_law() if order else np.ones(())
    expected = -math.fsum(
        float(law[word[:-1]]) * float(table[word]) * math.log(table[word]) for word in naive.all_words(K, order + 1)
    )
    assert MarkovChain.from_matrix(table).entropy_rate() == pytest.approx(expected, rel=1e-10, abs=1e-14)


@given(tables(max_symbols=3, max_order=3, max_words=27, zeros=False))
def test_run_lengths_are_what_long_sequences_show(case):
    # Runs in a stationary sequence, from the law of the contexts: for a run to go on, the symbol follows itself
    K, _, table, _ = case
    chain = MarkovChain.from_matrix(table)
    lengths = chain.expected_run_lengths()
    assert lengths.shape == (K,)
    if K == 1:
        assert lengths[0] == np.inf
        return
    states, P = over_contexts(table)
    law = chain.stationary_law().reshape(-1)
    for k in range(K):
        inside = np.array([state[-1] == k for state in states])
        # The context at the start of a run: k was entered from another symbol
        entry = (law * ~inside) @ P * inside
        rest = np.linalg.solve(np.eye(inside.sum()) - P[np.ix_(inside, inside)], np.ones(inside.sum()))
        assert lengths[k] == pytest.approx((entry / entry.sum())[inside] @ rest, rel=1e-9)


def test_labels_name_the_states():
    chain = MarkovChain.from_matrix([[1.0, 0.0], [0.25, 0.75]], symbols=WEATHER)
    assert chain.states_ == WEATHER
    assert chain.absorbing_states() == ["dry"]
    assert chain.transient_states() == ["wet"]
    assert [found.members for found in chain.communicating_classes()] == [("dry",), ("wet",)]
    np.testing.assert_allclose(chain.absorption_times(), [0, 4], rtol=1e-14)
    np.testing.assert_allclose(chain.hitting_probabilities("wet"), [0, 1], rtol=1e-14)
    with pytest.raises(ValueError, match="'snow' is not a state; the states are 'dry', 'wet'"):
        chain.hitting_probabilities("wet", "snow")
    with pytest.raises(ValueError, match="no target given; the states are"):
        chain.hitting_probabilities()


def test_states_beyond_order_one_are_tuples_of_labels():
    x = [WEATHER[k] for k in (0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0)]
    chain = MarkovChain(2).fit(x)
    assert chain.states_ == [("dry", "dry"), ("dry", "wet"), ("wet", "dry"), ("wet", "wet")]
    assert chain.is_irreducible()
    assert chain.hitting_probabilities(("wet", "wet")).shape == (4,)
    ending = chain.hitting_probabilities(("dry", "wet"), ("wet", "wet"))
    np.testing.assert_array_equal(chain.hitting_probabilities("wet"), ending)  # every context that ends with it
    with pytest.raises(ValueError, match="'snow' is not a state; the states are \\('dry', 'dry'\\), "):
        chain.hitting_probabilities("snow")


def test_several_recurrent_classes_have_no_one_law():
    chain = MarkovChain.from_matrix(np.eye(3))
    with pytest.raises(ValueError, match=r"the chain has 3 recurrent classes: stationary_laws\(\) has a law for each"):
        chain.stationary_law()


@given(st.integers(2, 5), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_sparse_chains_have_the_structure_of_dense_ones(K, order, seed):
    x = np.random.default_rng(seed).integers(0, K, 60)
    chains = []
    limit = tables_module.DENSE_LIMIT
    try:
        for tables_module.DENSE_LIMIT in (limit, 0):
            chains.append(MarkovChain(order, smoothing="witten-bell").fit(x, symbols=range(K)))
    finally:
        tables_module.DENSE_LIMIT = limit
    dense, sparse = chains
    np.testing.assert_array_equal(sparse.context_matrix(), dense.context_matrix())
    np.testing.assert_allclose(sparse.stationary_law(), dense.stationary_law(), rtol=1e-12)
    assert sparse.entropy_rate() == pytest.approx(dense.entropy_rate(), rel=1e-12)


def test_a_sparse_table_as_wide_as_it_is_long_is_no_square_matrix():
    # 200 contexts of two symbols occurred, and there are 200 symbols; 40 000 contexts could
    x = np.arange(202) % 200
    chain = MarkovChain(2).fit(x)
    assert chain.transmat_.shape == (200, 200)
    with pytest.raises(ValueError, match="order 2 over 200 symbols has too many contexts to study as a matrix"):
        chain.stationary_laws()


def test_an_unfitted_chain_has_no_structure():
    with pytest.raises(ValueError, match="this MarkovChain is not fitted yet"):
        _ = MarkovChain().states_
    for name in ("context_matrix", "stationary_law", "entropy_rate", "communicating_classes"):
        method = getattr(MarkovChain(), name)
        with pytest.raises(ValueError, match="this MarkovChain is not fitted yet"):
            method()
