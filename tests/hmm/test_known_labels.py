"""Fits with labels of some states: the numbers of the states are those of the labels, in every family."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace import hmm
from statespace.hmm.state_order import order_of_labels

LAST = 20  # steps that a state stays for

FAMILIES = {
    "categorical": (hmm.CategoricalHMM, lambda counts: (counts > 4).astype(int)),
    "Bernoulli": (hmm.BernoulliHMM, lambda counts: counts > 4),
    "Poisson": (hmm.PoissonHMM, lambda counts: counts),
    "multinomial": (
        hmm.MultinomialHMM,
        lambda counts: np.column_stack([np.minimum(counts, 20), 20 - np.minimum(counts, 20)]),
    ),
    "Gaussian": (hmm.GaussianHMM, lambda counts: counts.astype(float)),
    "Gaussian mixture": (hmm.GMMHMM, lambda counts: counts.astype(float)),
    "variational categorical": (hmm.VariationalCategoricalHMM, lambda counts: (counts > 4).astype(int)),
    "variational Gaussian": (hmm.VariationalGaussianHMM, lambda counts: counts.astype(float)),
}


def regimes(seed, first):
    """Counts of two rates far apart, their states, and labels of seven and of five steps."""
    rng = np.random.default_rng(seed)
    states = np.repeat([first, 1 - first, first, 1 - first], LAST)
    labels = np.full(len(states), -1)
    labels[3:10], labels[25:30] = states[3:10], states[25:30]
    return rng.poisson(np.array([2.0, 9.0])[states if first == 0 else 1 - states]), states, labels


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_few_labels_decide_the_numbers_of_all_states(family, first, seed):
    counts, states, labels = regimes(seed, first)
    make, seen = FAMILIES[family]
    model = make(2, tol=0.01, random_state=seed).fit(seen(counts), states=labels)
    assert (model.predict(seen(counts)) == states).mean() > 0.75


def test_states_that_are_set_by_hand_are_not_renumbered():
    counts, _, labels = regimes(0, 1)
    model = hmm.PoissonHMM(2, init_params="st", params="st", random_state=0)
    model.lambdas_ = np.array([[2.0], [9.0]])  # as no label has them
    model.fit(counts, states=labels)
    assert model.lambdas_.ravel().tolist() == [2.0, 9.0]
    held = hmm.PoissonHMM(2, fixed={"lambdas": np.array([[True], [False]])}, random_state=0)
    held.lambdas_ = np.array([[2.0], [9.0]])
    assert held.fit(counts, states=labels).lambdas_[0] == 2.0


@given(st.data())
def test_no_other_numbering_explains_what_is_labelled_better(data):
    K, n = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 8))
    numbers = st.one_of(st.floats(-1e3, 1e3), st.just(-np.inf))
    table = np.array(data.draw(st.lists(st.lists(numbers, min_size=K, max_size=K), min_size=n, max_size=n)))
    labels = np.array(data.draw(st.lists(st.integers(0, K - 1), min_size=n, max_size=n)))

    def explained(order):
        of_label = table[np.arange(n), np.asarray(order)[labels]]
        return -int(np.isinf(of_label).sum()), float(of_label[np.isfinite(of_label)].sum())

    order = order_of_labels(table, labels, np.ones(n))
    assert sorted(order) == list(range(K))
    impossible, total = explained(order)
    best = max(explained(other) for other in itertools.permutations(range(K)))
    assert impossible == best[0]
    assert total == pytest.approx(best[1], abs=1e-6)


def test_labels_in_the_place_of_lengths_are_told_where_they_belong():
    with pytest.raises(TypeError, match="a keyword, y= or, of a hidden Markov model, states="):
        hmm.PoissonHMM(2).fit([1, 2, 3, 2], [0, 1, 1, 0])


def test_ragged_lists_of_numbers_are_told_how_sequences_are_written():
    with pytest.raises(ValueError, match="several sequences are a list of arrays"):
        hmm.PoissonHMM(2).fit([[1, 2], [3]])
