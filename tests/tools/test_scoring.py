"""The scoring callable: its mean, and the coin tosses on which totals mislead a grid search."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace import MarkovChain, scorer

HIGHEST = 4


def steps_by_hand(chain, x, first):
    """Log p of the steps from `first` on that have a complete context, from the table itself."""
    table = chain.transmat_
    logs = []
    for t in range(max(first, chain.order), len(x)):
        word = x[t - chain.order : t + 1]
        if None not in word:
            logs.append(np.log(table[tuple(word)]))
    return logs


sequences = st.lists(st.lists(st.integers(0, 1), min_size=5, max_size=12), min_size=1, max_size=4)


@given(sequences, st.integers(0, 2), st.integers(0, 4))
def test_the_score_is_the_mean_of_the_steps_after_the_first(data, order, skip):
    chain = MarkovChain(order, smoothing="laplace").fit([*data, [0, 1, 0, 1]])
    logs = [log for x in data for log in steps_by_hand(chain, x, skip)]
    assert scorer(skip=skip)(chain, data) == pytest.approx(np.mean(logs), rel=1e-12)


def test_missing_steps_and_incomplete_contexts_do_not_count():
    chain = MarkovChain(1).fit([0, 1, 1, 0, 0, 1, 0])
    x = [0, 1, None, 1, 1, 0]
    assert scorer(skip=1)(chain, x) == pytest.approx(np.mean(steps_by_hand(chain, x, 1)))


def test_one_sequence_and_a_list_of_it_score_alike():
    chain, x = MarkovChain(1).fit([0, 1, 1, 0, 0, 1, 0]), [0, 1, 1, 1]
    assert scorer(2)(chain, x) == scorer(2)(chain, [x])


def test_an_impossible_observation_scores_minus_infinity():
    chain = MarkovChain(1).fit([0, 1, 0, 1, 0])
    assert scorer()(chain, [0, 0, 1]) == -np.inf


def test_a_target_is_ignored():
    chain, x = MarkovChain(0).fit([0, 1, 1]), [1, 1, 0]
    assert scorer()(chain, x, [5, 5, 5]) == scorer()(chain, x)


def test_the_scorer_travels_to_other_processes():
    found = pickle.loads(pickle.dumps(scorer(skip=3)))
    assert repr(found) == "scorer(skip=3)"
    assert found.skip == 3


@pytest.mark.parametrize(
    ("skip", "error", "message"),
    [
        (-1, ValueError, "skip is -1, expected an integer of at least 0"),
        (1.5, TypeError, r"skip is 1\.5, expected an integer"),
        (None, TypeError, "skip is None, expected an integer"),
        (True, TypeError, "skip is True, expected an integer"),
    ],
)
def test_bad_skips_are_named(skip, error, message):
    with pytest.raises(error, match=message):
        scorer(skip)


def test_sequences_shorter_than_what_is_skipped_are_refused():
    chain = MarkovChain(0).fit([0, 1, 1])
    with pytest.raises(ValueError, match="no step is scored after the first 3 of each sequence"):
        scorer(skip=3)(chain, [[0, 1, 1], [1, 0]])


def test_an_unfitted_model_is_refused():
    with pytest.raises(ValueError, match="not fitted yet: call fit"):
        scorer()(MarkovChain(), [0, 1])


# ------------------------------------------------------------------------------------------------ with scikit-learn


@pytest.fixture(scope="module")
def model_selection():
    return pytest.importorskip("sklearn.model_selection")


def best_order(model_selection, X, **options):
    grid = {"order": range(HIGHEST + 1)}
    search = model_selection.GridSearchCV(MarkovChain(smoothing="laplace"), grid, cv=4, error_score="raise", **options)
    return search.fit(X).best_params_["order"]


def test_totals_pick_the_longest_memory_of_a_coin_and_the_scorer_none(model_selection):
    # A step of a fair coin costs 0.69 nats and totals of order M leave M of them out of each sequence; what one more
    # order loses by learning noise is less. On the same steps order 0 has the fewest frequencies to get wrong.
    totals, means = [], []
    for run in range(30):
        rng = np.random.default_rng(run)
        tosses = [rng.integers(0, 2, 50) for _ in range(20)]
        totals.append(best_order(model_selection, tosses))
        means.append(best_order(model_selection, tosses, scoring=scorer(skip=HIGHEST)))
    print(totals, means)
    assert totals.count(HIGHEST) >= 29
    assert means.count(0) >= 20
