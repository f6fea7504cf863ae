"""The chain as people use it: published figures, properties on any data, what parameters, files and containers mean."""

import copy
import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from statespace import MarkovChain, load
from statespace.datasets import load_alofi_rain, load_seattle_rain
from statespace.foundations.estimator import NotFittedError
from statespace.markov import tables as tables_module
from tests import naive
from tests.markov.example_sequences import as_table, orders_and_sequences, sequences_of, split_at_gaps


def learns(case):
    _, order, sequences = case
    return bool(naive.count_words(sequences, order))


# Figures


@pytest.mark.parametrize(
    ("order", "expected"), [(0, -993.696), (1, -856.568), (2, -835.792), (3, -830.272), (4, -827.248)]
)
def test_seattle_has_its_log_likelihood_at_every_order(order, expected):
    # Wet: precipitation > 0. Fitted and scored on days 5 to 1461, whatever the order
    wet = load_seattle_rain().wet
    assert len(wet) == 1461
    days = wet[4 - order :]
    chain = MarkovChain(order).fit(days)
    assert chain.score(days) == pytest.approx(expected, abs=5e-4)
    steps = chain.log_likelihood(days, by="step")
    assert np.count_nonzero(~np.isnan(steps)) == 1457
    assert chain.n_parameters == 2**order


def test_seattle_is_of_order_two_by_bic_and_three_by_aic():
    wet = load_seattle_rain().wet
    chains = [(MarkovChain(order).fit(wet[4 - order :]), wet[4 - order :]) for order in range(5)]
    assert int(np.argmin([chain.bic(days) for chain, days in chains])) == 2
    assert int(np.argmin([chain.aic(days) for chain, days in chains])) == 3


def test_alofi_has_its_published_counts():
    classes = load_alofi_rain().classes
    chain = MarkovChain().fit(classes)
    assert chain.counts_.tolist() == [[362, 126, 60], [136, 90, 68], [50, 79, 124]]
    assert chain.score(classes) == pytest.approx(-1040.4185, abs=5e-5)
    np.testing.assert_allclose(chain.transmat_[0], np.array([362, 126, 60]) / 548, rtol=1e-15)


# Properties


@given(orders_and_sequences().filter(learns))
def test_counts_and_laws_are_relative_frequencies(case):
    K, order, sequences = case
    chain = MarkovChain(order).fit(sequences, symbols=range(K))
    counts = as_table(naive.count_words(sequences, order), K, order)
    np.testing.assert_array_equal(chain.counts_, counts)
    assert chain.counts_.dtype == np.int64
    assert chain.n_symbols_ == K
    np.testing.assert_allclose(chain.transmat_.sum(axis=-1), 1.0, rtol=1e-14)
    totals = counts.sum(axis=-1)
    np.testing.assert_allclose(chain.initial_, totals / totals.sum(), rtol=1e-15)


@given(orders_and_sequences(max_symbols=3).filter(learns), st.sampled_from([None, "laplace", "witten-bell"]))
def test_labels_and_integers_agree(case, smoothing):
    K, order, sequences = case
    names = ["a", "bb", "c"][:K]
    labelled = [[None if k is None else names[k] for k in x] for x in sequences]
    numbers = MarkovChain(order, smoothing=smoothing).fit(sequences, symbols=range(K))
    labels = MarkovChain(order, smoothing=smoothing).fit(labelled, symbols=names)
    np.testing.assert_array_equal(numbers.transmat_, labels.transmat_)
    assert numbers.score(sequences) == labels.score(labelled)
    np.testing.assert_array_equal(
        np.array(names)[numbers.sample(20, random_state=1)], labels.sample(20, random_state=1)
    )
    for a, b in zip(numbers.predictive(sequences), labels.predictive(labelled), strict=True):
        np.testing.assert_array_equal(a.probabilities, b.probabilities)


@given(orders_and_sequences().filter(learns))
def test_splitting_a_sequence_at_its_gaps_changes_nothing(case):
    K, order, sequences = case
    runs = [run for x in sequences for run in split_at_gaps(x)]
    whole = MarkovChain(order).fit(sequences, symbols=range(K))
    split = MarkovChain(order).fit(runs, symbols=range(K))
    np.testing.assert_array_equal(whole.counts_, split.counts_)
    np.testing.assert_array_equal(whole.transmat_, split.transmat_)
    assert whole.score(sequences) == split.score(runs)
    steps = np.concatenate(whole.log_likelihood(sequences, by="step"))
    missing = np.array([k is None for x in sequences for k in x])
    assert np.isnan(steps[missing]).all()
    np.testing.assert_array_equal(steps[~missing], np.concatenate(split.log_likelihood(runs, by="step")))


@given(st.integers(1, 3).flatmap(lambda K: st.tuples(st.just(K), sequences_of(K))), st.permutations(range(3)))
def test_the_order_of_the_alphabet_only_orders_the_table(case, permutation):
    K, sequences = case
    assume(naive.count_words(sequences, 1))
    alphabet = [k for k in permutation if k < K]
    usual, other = (MarkovChain().fit(sequences, symbols=symbols) for symbols in (range(K), alphabet))
    np.testing.assert_array_equal(other.transmat_, usual.transmat_[np.ix_(alphabet, alphabet)])
    assert other.score(sequences) == pytest.approx(usual.score(sequences), rel=1e-13)


@given(st.lists(st.integers(0, 3), min_size=3, max_size=30), st.lists(st.floats(0.01, 10), min_size=2, max_size=2))
def test_only_the_ratio_of_weights_matters_without_smoothing(x, weights):
    sequences = [x, x[::-1][:2]]
    assume(len(x) > 1)
    one, many = (
        MarkovChain().fit(sequences, sample_weight=scale * np.array(weights), symbols=range(4)) for scale in (1.0, 64.0)
    )
    np.testing.assert_array_equal(one.transmat_, many.transmat_)
    np.testing.assert_array_equal(64 * one.counts_, many.counts_)
    assert one.counts_.dtype == np.float64


def test_order_zero_is_a_law_without_memory():
    x = ["wet", "dry", "dry", None, "dry", "wet"]
    chain = MarkovChain(0).fit(x)
    np.testing.assert_allclose(chain.transmat_, [3 / 5, 2 / 5], rtol=1e-15)
    assert chain.counts_.tolist() == [3, 2]
    assert chain.initial_.shape == ()
    assert chain.n_parameters == 1
    assert chain.score(x) == pytest.approx(3 * math.log(3 / 5) + 2 * math.log(2 / 5), rel=1e-15)
    assert np.isnan(chain.log_likelihood(x, by="step")).tolist() == [False, False, False, True, False, False]
    for initial in ("free", "stationary"):
        assert MarkovChain(0, initial=initial).fit(x).score(x) == chain.score(x)
    np.testing.assert_allclose(chain.forecast(["wet"], 3).probabilities, [[3 / 5, 2 / 5]] * 3, rtol=1e-15)


@pytest.mark.parametrize("order", [0, 1, 4])
@pytest.mark.parametrize("initial", ["conditional", "free", "stationary"])
@pytest.mark.parametrize("smoothing", [None, "laplace", "witten-bell"])
def test_a_series_that_never_changes_is_certain(order, initial, smoothing):
    x = [7] * 9
    chain = MarkovChain(order, initial=initial, smoothing=smoothing).fit(x)
    assert chain.symbols_.tolist() == [7]
    assert chain.transmat_.shape == (1,) * (order + 1)
    assert chain.transmat_.item() == 1.0
    assert chain.n_parameters == 0
    assert chain.score(x) == 0.0
    assert chain.bic(x) == 0.0
    assert chain.sample(12, random_state=0).tolist() == [7] * 12
    np.testing.assert_array_equal(chain.forecast(x, 3).probabilities, np.ones((3, 1)))
    assert chain.entropy_rate() == 0.0


def test_what_the_fit_never_saw_is_impossible_without_smoothing():
    chain = MarkovChain().fit([0, 1, 0, 1, 0], symbols=[0, 1, 2])
    assert chain.log_likelihood([0, 1, 1, 0], by="step")[1:].tolist() == [0.0, -math.inf, 0.0]
    assert chain.score([0, 1, 1, 0]) == -math.inf
    np.testing.assert_allclose(chain.score([2, 0]), math.log(1 / 3), rtol=1e-15)  # a context never seen: uniform
    assert chain.aic([0, 0]) == math.inf


def test_sequences_too_short_to_score_have_no_bic():
    chain = MarkovChain(2).fit([0, 1, 1, 0, 1])
    assert chain.score([0, 1]) == 0.0
    assert np.isnan(chain.log_likelihood([0, 1], by="step")).all()
    assert chain.log_likelihood([[0, 1], [0, 1, 1]], by="sequence").tolist()[0] == 0.0
    with pytest.raises(ValueError, match="no step of X is scored, so bic has no n"):
        chain.bic([[0, 1], [1]])


def test_a_sequence_shorter_than_the_order_says_so():
    with pytest.raises(ValueError, match="order 3 learns from runs of 4 observations without a gap, and X has none"):
        MarkovChain(3).fit([0, 1, 0])
    with pytest.raises(ValueError, match="runs of 3 observations without a gap, and X has none: lower the order"):
        MarkovChain(2).fit([[0, 1, None, 0, 1], [1], [0, 0]])
    with pytest.raises(ValueError, match="runs of 2 observations"):
        MarkovChain().fit([1])


# What parameters and files mean


def test_parameters_set_after_a_fit_speak_of_the_next_fit(tmp_path):
    x = [0, 1, 1, 0, 0, 1, 1, 1, 0]
    chain = MarkovChain(1).fit(x)
    score, steps = chain.score(x), chain.log_likelihood(x, by="step")
    chain.set_params(order=2, initial="free", smoothing="laplace")
    assert chain.score(x) == score
    assert chain.n_parameters == 2
    np.testing.assert_array_equal(chain.log_likelihood(x, by="step"), steps)
    assert chain.context_matrix().shape == (2, 2)
    chain.save(tmp_path / "chain")
    assert load(tmp_path / "chain").score(x) == score
    assert chain.fit(x).n_parameters == 7


def test_a_sparse_chain_is_loaded_with_the_smoothing_it_was_fitted_with(tmp_path, monkeypatch):
    monkeypatch.setattr(tables_module, "DENSE_LIMIT", 0)
    x = np.random.default_rng(0).integers(0, 3, 100)
    for smoothing in (None, "dirichlet", "witten-bell"):
        chain = MarkovChain(2, smoothing=smoothing, alpha=0.25).fit(x)
        expected, score = chain.transmat_, chain.score(x)
        chain.set_params(smoothing="jeffreys", alpha=3.0)
        chain.save(tmp_path / "chain")
        again = load(tmp_path / "chain")
        np.testing.assert_array_equal(again.transmat_, expected)
        np.testing.assert_array_equal(again.contexts_, chain.contexts_)
        assert again.score(x) == score
        np.testing.assert_array_equal(again.sample(20, random_state=1), chain.sample(20, random_state=1))


def test_numbers_of_numpy_as_parameters_are_saved(tmp_path):
    # As a search over np.arange(4) hands them over
    x = [0, 1, 1, 0, 0]
    chain = MarkovChain(np.int64(1), smoothing=np.str_("dirichlet"), alpha=np.float32(0.5)).fit(x)
    chain.save(tmp_path / "chain")
    again = load(tmp_path / "chain")
    assert again.score(x) == chain.score(x)
    assert (again.order, again.smoothing, again.alpha) == (1, "dirichlet", 0.5)


@pytest.mark.parametrize("x", [[True, False, True], ["b", "a", "b"], [5, 3, 5], [b"b", b"a", b"b"]])
def test_the_alphabet_is_saved_as_it_is(x, tmp_path):
    chain = MarkovChain().fit(x)
    if chain.symbols_.dtype.kind == "O":
        with pytest.raises(TypeError, match=r"symbols such as .* cannot be saved: use strings or numbers"):
            chain.save(tmp_path / "chain")
        return
    chain.save(tmp_path / "chain")
    again = load(tmp_path / "chain")
    assert again.symbols_.dtype == chain.symbols_.dtype
    assert again.sample(5, random_state=0).tolist() == chain.sample(5, random_state=0).tolist()


def test_a_chain_from_a_matrix_has_no_counts_until_it_is_fitted():
    chain = MarkovChain.from_matrix([[0.5, 0.5], [0.2, 0.8]])
    with pytest.raises(NotFittedError, match=r"made from a matrix: it has no counts until fit\(X\)"):
        _ = chain.counts_
    assert not hasattr(chain, "counts_")
    assert not hasattr(chain, "contexts_")
    assert chain.fit([0, 1, 1]).counts_.tolist() == [[0, 1], [0, 1]]


def test_contexts_are_listed_only_where_the_table_is_sparse():
    with pytest.raises(AttributeError, match="contexts_ exists where the table is sparse"):
        _ = MarkovChain().fit([0, 1, 1]).contexts_
    x = list("to be or not to be")
    chain = MarkovChain(9).fit(x)
    assert len(chain.symbols_) ** 10 > tables_module.DENSE_LIMIT
    assert sorted("".join(context) for context in chain.contexts_) == sorted(
        {"".join(x[n : n + 9]) for n in range(len(x) - 9)}
    )


def test_a_chain_is_copied_and_pickled_whole():
    chain = MarkovChain(2, smoothing="witten-bell").fit([0, 1, 1, 0, 0, 1])
    for again in (copy.deepcopy(chain), pickle.loads(pickle.dumps(chain))):
        assert again.score([0, 1, 1, 1]) == chain.score([0, 1, 1, 1])
        np.testing.assert_array_equal(again.counts_, chain.counts_)


def test_a_representation_shows_what_was_chosen():
    assert repr(MarkovChain(2, smoothing="laplace")) == "MarkovChain(order=2, smoothing='laplace')"
    assert repr(MarkovChain()) == "MarkovChain()"


def test_a_grid_search_over_lists_of_sequences_works():
    from sklearn.model_selection import GridSearchCV, cross_val_score

    from statespace import scorer

    rng = np.random.default_rng(0)
    X = [MarkovChain.from_matrix([[0.9, 0.1], [0.3, 0.7]]).sample(n, random_state=rng) for n in (80, 120, 100, 90)]
    search = GridSearchCV(MarkovChain(smoothing="laplace"), {"order": np.arange(3)}, cv=2, scoring=scorer(skip=2))
    assert search.fit(X).best_params_["order"] == 1
    assert cross_val_score(MarkovChain(smoothing="laplace"), X, cv=2).shape == (2,)
    y = [0, 1, 0, 1]  # a target has no place here
    with pytest.raises((ValueError, TypeError), match="lengths"):
        MarkovChain().fit(X, y)


# Kinds of data


def test_every_container_and_kind_of_missing_is_read():
    expected = np.array([[1, 2], [1, 1]])  # of 0 0 1 . 0 1 1 0
    x = [0, 0, 1, None, 0, 1, 1, 0]
    floats = np.array([math.nan if k is None else k for k in x], dtype=float)
    mask = [k is None for k in x]
    ways = {
        "list": x,
        "tuple": tuple(x),
        "NaN in a list": [math.nan if k is None else k for k in x],
        "floats": floats,
        "float32": floats.astype(np.float32),
        "objects": np.array(x, dtype=object),
        "masked": np.ma.array([0 if k is None else k for k in x], mask=mask),
        "masked nonsense": np.ma.array([-9 if k is None else k for k in x], mask=mask),
        "column": floats[:, None],
        "pandas": pd.Series(floats),
        "nullable": pd.Series(x, dtype="Int8"),
        "one column": pd.DataFrame({"wet": floats}),
        "polars": pl.Series(x),
        "polars frame": pl.DataFrame({"wet": x}),
        "booleans": [None if k is None else bool(k) for k in x],
        "labels": [None if k is None else "dw"[k] for k in x],
        "categories": pd.Series(["dw"[k] if k is not None else None for k in x], dtype="category"),
        "NA": [pd.NA if k is None else k for k in x],
        "panel": floats[None, :, None],
        "list of one": [x],
    }
    for name, way in ways.items():
        np.testing.assert_array_equal(MarkovChain().fit(way).counts_, expected, err_msg=name)


def test_from_nothing_known_the_usual_moment_moves_on():
    chain = MarkovChain().fit([0, 1, 1, 0, 0, 1])
    law = chain.forecast([None, math.nan], 2)
    expected = [chain.initial_ @ np.linalg.matrix_power(chain.transmat_, n) for n in (2, 3)]
    np.testing.assert_allclose(law.probabilities, expected, rtol=1e-14)
    assert chain.score([None]) == 0.0
    np.testing.assert_array_equal(chain.predictive([None, 1]).probabilities[2], chain.transmat_[1])


def test_a_frame_of_probabilities_brings_its_symbols_and_must_agree_with_itself():
    P = pd.DataFrame([[0.9, 0.1], [0.5, 0.5]], index=["dry", "wet"], columns=["dry", "wet"])
    chain = MarkovChain.from_matrix(P)
    assert chain.symbols_.tolist() == ["dry", "wet"]
    np.testing.assert_array_equal(chain.forecast(["dry"], 1).probability("wet"), [0.1])
    with pytest.raises(ValueError, match=r"the rows of P are \['dry', 'wet'\], its columns \['wet', 'dry'\]"):
        MarkovChain.from_matrix(P[["wet", "dry"]])


def test_dates_of_sequences_end_to_end_are_looked_at_one_sequence_at_a_time():
    days = pd.date_range("2020-01-01", periods=3).append(pd.date_range("2020-01-01", periods=3))
    x = pd.Series([0, 1, 0, 1, 1, 0], index=days)
    together = MarkovChain().fit(x, [3, 3])
    np.testing.assert_array_equal(together.counts_, MarkovChain().fit([x[:3], x[3:]]).counts_)
    with pytest.raises(ValueError, match=r"the date of X\[2:6\]\[1\].*comes before"):
        MarkovChain().fit(x, [2, 4])


def test_one_model_a_series_and_a_frame_has_a_series_a_column():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.integers(0, 2, 30), "b": rng.integers(0, 3, 30)})
    fitted = MarkovChain().fit_each(frame)
    for chain, column in zip(fitted, frame, strict=True):
        np.testing.assert_array_equal(chain.counts_, MarkovChain().fit(frame[column]).counts_)


def test_a_progress_bar_counts_the_series(capfd):
    pytest.importorskip("tqdm", reason="the bar is tqdm's")
    MarkovChain().fit_each([[0, 1, 1]] * 7, progress=True)
    assert "7/7" in capfd.readouterr().err
