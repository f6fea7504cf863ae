"""The order of states: by keys, and as known labels have it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace import hmm
from statespace.hmm.state_order import align_states, order_by, relabel_states, reorder_laws


@st.composite
def labelled(draw):
    K = draw(st.integers(1, 4))
    n = draw(st.integers(1, 12))
    states = draw(st.lists(st.integers(0, K - 1), min_size=n, max_size=n))
    labels = draw(st.lists(st.integers(-1, K - 1), min_size=n, max_size=n))
    labels[0] = max(labels[0], 0)
    return K, np.array(states), np.array(labels)


def agreement(order, states, labels):
    return sum(state == order[label] for state, label in zip(states, labels, strict=True) if label >= 0)


@given(labelled())
def test_no_other_numbering_agrees_more_often(case):
    K, states, labels = case
    order = align_states(states, labels, K)
    assert sorted(order) == list(range(K))
    best = max(agreement(other, states, labels) for other in itertools.permutations(range(K)))
    assert agreement(order, states, labels) == best
    known = labels >= 0
    assert (relabel_states(states, order)[known] == labels[known]).sum() == best


@given(labelled())
def test_states_that_agree_already_keep_their_numbers(case):
    K, states, labels = case
    agreeing = np.where(labels < 0, -1, states)
    assert align_states(states, agreeing, K).tolist() == list(range(K))


@given(labelled(), st.randoms())
def test_a_renumbering_is_found_again(case, random):
    K, states, _ = case
    if len(set(states.tolist())) < K:
        states = np.concatenate([states, np.arange(K)])
    new_number = np.array(random.sample(range(K), K))
    order = align_states(new_number[states], states, K)
    np.testing.assert_array_equal(relabel_states(new_number[states], order), states)


def test_labels_that_never_occur_take_what_is_left():
    assert align_states([0, 0, 2], [1, 1, -1], 4).tolist() == [1, 0, 2, 3]


@pytest.mark.parametrize(
    ("states", "reference", "error", "message"),
    [
        ([0, 1], [0], ValueError, "reference has 1 labels for 2 states"),
        ([0, 1], [-1, -1], ValueError, "no known label"),
        ([0, 1], [0, 3], ValueError, r"reference\[1\] is 3, expected -1 to 1 for 2 states"),
        ([0, -1], [0, 1], ValueError, r"states\[1\] is -1, expected 0 to 1"),
        ([0, 1], [0.0, 1.0], TypeError, "reference has shape .* expected integers, one for each step; -1 where"),
        ([[0, 1]], [0, 1], TypeError, r"states has shape \(1, 2\)"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused(states, reference, error, message):
    with pytest.raises(error, match=message):
        align_states(states, reference, 2)


def test_keys_order_states_from_small_to_large():
    keys = {"mean": lambda: np.array([[2.0, 1.0], [1.0, 5.0], [2.0, 0.0]])}
    assert order_by("mean", 3, keys).tolist() == [1, 2, 0]  # the second column where the first is equal
    assert order_by([0.3, -np.inf, np.inf], 3, keys).tolist() == [1, 0, 2]
    assert order_by(lambda model: -model, 3, keys, np.array([1, 5, 3])).tolist() == [1, 2, 0]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_equal_states_keep_their_order(key):
    assert order_by(key, len(key), {}).tolist() == [k for _, k in sorted(zip(key, range(len(key)), strict=True))]


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        ("median", ValueError, "by is 'median', expected 'mean', a function of the model, or one number a state"),
        ([1.0], ValueError, r"by gives shape \(1,\), expected \(2,\)"),
        (lambda model: np.ones((2, 2, 2)), ValueError, r"by gives shape \(2, 2, 2\)"),
        ([1.0, np.nan], ValueError, "by gives NaN for state 1"),
        (["a", "b"], TypeError, "expected one number for each of 2 states"),
        (None, ValueError, r"by gives shape \(\)"),
    ],
)
def test_keys_that_order_nothing_are_refused(by, error, message):
    with pytest.raises(error, match=message):
        order_by(by, 2, {"mean": lambda: [1.0, 2.0]})


@given(st.integers(1, 5), st.randoms())
def test_laws_and_states_move_together(K, random):
    rng = np.random.default_rng(random.randrange(2**32))
    order = rng.permutation(K)
    startprob, transmat = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=(3, K))
    states = rng.integers(K, size=4)
    moved_start, moved_transmat = reorder_laws(startprob, transmat, order)
    moved = relabel_states(states, order)
    assert moved_start[moved[0]] == startprob[states[0]]
    for t in range(3):
        assert moved_transmat[t, moved[t], moved[t + 1]] == transmat[t, states[t], states[t + 1]]
    np.testing.assert_array_equal(relabel_states(np.array([-1]), order), [-1])


def test_states_of_symbols_have_no_mean_and_the_message_says_what_there_is():
    model = hmm.CategoricalHMM(2, random_state=0, tol=1).fit(["a", "b", "b", "a", "a", "b"])
    with pytest.raises(ValueError, match=r"have no mean, .* by='stationary', by='startprob', or a function"):
        model.sort_states()
    assert (np.diff(model.sort_states(by=lambda fitted: fitted.emissionprob_[:, 1]).emissionprob_[:, 1]) >= 0).all()
