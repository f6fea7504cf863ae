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
    # A toss costs 0.69 nats, and the total of order M leaves M of them out of each sequence, more than a higher order
    # loses by learning noise. On the same steps order 0 has the fewest frequencies to get wrong: over 200 runs,
    # these among them, it won 143, so that fewer than 16 of 30 come once in a hundred times.
    totals, means = [], []
    for run in range(30):
        rng = np.random.default_rng(run)
        tosses = [rng.integers(0, 2, 50) for _ in range(20)]
        totals.append(best_order(model_selection, tosses))
        means.append(best_order(model_selection, tosses, scoring=scorer(skip=HIGHEST)))
    assert totals.count(HIGHEST) >= 29
    assert means.count(0) >= 16
    assert means.count(HIGHEST) <= 2


def test_the_scorer_finds_a_memory_that_is_there(model_selection):
    chain = MarkovChain.from_matrix([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.1, 0.9]]])
    data = [chain.sample(80, seed) for seed in range(16)]
    assert best_order(model_selection, data, scoring=scorer(skip=HIGHEST)) == 2


def folds_by_hand(data, order, n_folds, skip):
    """Contiguous folds, as KFold cuts them when they divide evenly."""
    size = len(data) // n_folds
    scores = []
    for fold in range(n_folds):
        held = data[fold * size : (fold + 1) * size]
        chain = MarkovChain(order, smoothing="laplace").fit(data[: fold * size] + data[(fold + 1) * size :])
        scores.append(np.mean([log for x in held for log in steps_by_hand(chain, list(x), skip)]))
    return scores


@pytest.mark.parametrize("form", ["ragged arrays", "equal arrays", "Series", "lists", "labels"])
def test_cross_validation_cuts_between_sequences(model_selection, form):
    rng = np.random.default_rng(7)
    lengths = [20] * 8 if form == "equal arrays" else range(12, 28, 2)
    whole = [rng.integers(0, 2, n) for n in lengths]
    data = list(whole)
    if form == "Series":
        pd = pytest.importorskip("pandas")
        data = [pd.Series(x, index=pd.date_range("2020-01-01", periods=len(x))) for x in whole]
    if form == "lists":
        data = [x.tolist() for x in whole]
    if form == "labels":
        data = [np.where(x == 1, "wet", "dry").tolist() for x in whole]
    model = MarkovChain(1, smoothing="laplace")
    scores = model_selection.cross_val_score(model, data, scoring=scorer(skip=3), cv=4, error_score="raise")
    np.testing.assert_allclose(scores, folds_by_hand(whole, 1, 4, 3), rtol=1e-12)


def test_an_impossible_fold_is_minus_infinity_not_an_error(model_selection):
    data = [[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's own, of scores that are not finite
        scores = model_selection.cross_val_score(MarkovChain(1), data, scoring=scorer(), cv=4, error_score="raise")
    assert scores[0] == -np.inf  # nothing else turns from 0 to 1
    assert np.isfinite(scores[1:]).all()


def test_a_flat_array_with_lengths_cannot_be_cut(model_selection):
    x = np.random.default_rng(8).integers(0, 2, 100)
    search = model_selection.GridSearchCV(
        MarkovChain(), {"order": [0, 1]}, scoring=scorer(skip=1), cv=5, error_score="raise"
    )
    with pytest.raises(ValueError, match=r"lengths sum to 100 but X has 80 rows; .* pass a list of sequences"):
        search.fit(x, lengths=[50, 50])


def test_a_target_that_lands_in_lengths_is_refused_by_name(model_selection):
    data = [np.array([0, 1, 1, 0, 1])] * 6
    with pytest.raises(ValueError, match="lengths is for sequences laid end to end"):
        model_selection.cross_val_score(MarkovChain(), data, [0, 1, 0, 1, 0, 1], cv=3, error_score="raise")


def test_a_search_on_threads_gives_the_same_scores(model_selection):
    joblib = pytest.importorskip("joblib")
    rng = np.random.default_rng(9)
    data = [rng.integers(0, 2, 30) for _ in range(12)]

    def scores(n_jobs):
        return model_selection.cross_val_score(
            MarkovChain(smoothing="laplace"), data, scoring=scorer(skip=2), cv=3, n_jobs=n_jobs, error_score="raise"
        )

    with joblib.parallel_config(backend="threading"):
        np.testing.assert_array_equal(scores(2), scores(1))
