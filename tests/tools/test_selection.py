"""Order selection against counts by brute force, published figures, and what chance alone must give."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statespace import MarkovChain, select_order
from statespace.datasets import load_seattle_rain


def runs_of(sequences):
    """The stretches between missing observations, in the plainest way."""
    runs = []
    for sequence in sequences:
        runs.append([])
        for symbol in sequence:
            if symbol is None:
                runs.append([])
            else:
                runs[-1].append(symbol)
    return runs


def brute_force(sequences, M, top):
    """Log-likelihood at its maximum, and the number of steps, of order M on the steps that order `top` predicts."""
    words, contexts = Counter(), Counter()
    for run in runs_of(sequences):
        for t in range(top, len(run)):
            words[tuple(run[t - M : t + 1])] += 1
            contexts[tuple(run[t - M : t])] += 1
    return sum(n * math.log(n / contexts[word[:-1]]) for word, n in words.items()), sum(words.values())


@st.composite
def series(draw, gaps=True):
    K = draw(st.integers(2, 3))
    symbols = st.integers(0, K - 1)
    seen = list(range(K))
    first = seen + draw(st.lists(symbols, min_size=8, max_size=40))
    others = draw(st.lists(st.lists(st.one_of(symbols, st.none()) if gaps else symbols, min_size=1), max_size=3))
    others = [sequence for sequence in others if any(symbol is not None for symbol in sequence)]
    return [first, *others], draw(st.integers(0, 3)), K


@given(series())
def test_every_order_is_scored_on_the_steps_that_the_highest_predicts(drawn):
    sequences, top, K = drawn
    found = select_order(sequences, top)
    expected = [brute_force(sequences, M, top) for M in range(top + 1)]
    np.testing.assert_allclose(found.log_likelihood, [total for total, _ in expected], rtol=1e-12, atol=1e-12)
    assert {found.n_steps} == {n for _, n in expected}
    assert list(found.n_parameters) == [K**M * (K - 1) for M in range(top + 1)]


@given(series())
def test_the_likelihood_ratio_is_referred_to_chi_squared(drawn):
    sequences, top, K = drawn
    found = select_order(sequences, top)
    totals = [brute_force(sequences, M, top)[0] for M in range(top + 1)]
    for M in range(top):
        statistic, freedom = 2 * (totals[M + 1] - totals[M]), K**M * (K - 1) ** 2
        assert found.degrees_of_freedom[M] == freedom
        assert found.likelihood_ratio[M] == pytest.approx(statistic, rel=1e-10, abs=1e-10)
        assert found.p_value[M] == pytest.approx(stats.chi2.sf(max(statistic, 0), freedom), rel=1e-8)
    assert np.isnan(found.likelihood_ratio[-1])
    assert np.isnan(found.p_value[-1])


@given(series())
def test_criteria_are_their_formulas(drawn):
    sequences, top, _ = drawn
    found = select_order(sequences, top)
    for M in range(top + 1):
        L, n = brute_force(sequences, M, top)
        p = found.n_parameters[M]
        assert found.aic[M] == pytest.approx(2 * p - 2 * L)
        assert found.bic[M] == pytest.approx(p * math.log(n) - 2 * L)
        corrected = 2 * p - 2 * L + 2 * p * (p + 1) / (n - p - 1) if n > p + 1 else math.inf
        assert found.aicc[M] == pytest.approx(corrected)
    for name in ("aic", "aicc", "bic"):
        column = getattr(found, name)
        assert column[found.best[name]] == column.min()


@given(series(gaps=False))
def test_sequences_end_to_end_with_lengths_are_the_list_of_them(drawn):
    sequences, top, _ = drawn
    flat = select_order(np.concatenate(sequences), top, lengths=[len(sequence) for sequence in sequences])
    listed = select_order(sequences, top)
    np.testing.assert_array_equal(flat.log_likelihood, listed.log_likelihood)
    assert flat.n_steps == listed.n_steps


@given(series())
def test_splitting_at_a_gap_changes_nothing(drawn):
    sequences, top, K = drawn
    split = [run for run in runs_of(sequences) if run]
    np.testing.assert_array_equal(
        select_order(sequences, top, symbols=range(K)).log_likelihood,
        select_order(split, top, symbols=range(K)).log_likelihood,
    )


def test_orders_of_rain_in_seattle_are_the_published_ones():
    found = select_order(load_seattle_rain().wet, 4)
    expected = [-993.696, -856.568, -835.792, -830.272, -827.248]
    np.testing.assert_allclose(found.log_likelihood, expected, rtol=0, atol=5.1e-4)
    assert found.n_steps == 1457
    assert found.best["bic"] == 2
    assert found.best["aic"] == 3
    assert found.order == 2
    assert found.model.order == 2


@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc", "likelihood_ratio", "held_out"])
def test_the_model_has_the_order_that_the_criterion_picks_and_learnt_from_all_data(criterion):
    wet = load_seattle_rain().wet
    found = select_order(wet, 3, criterion, test=300)
    assert found.order == found.best[criterion] == found.model.order
    alone = MarkovChain(found.order).fit(wet)
    np.testing.assert_array_equal(found.model.counts_, alone.counts_)


def test_the_likelihood_ratio_picks_the_highest_order_that_rejects_the_one_below():
    found = select_order(load_seattle_rain().wet, 4, "likelihood_ratio")
    expected = [-993.696, -856.568, -835.792, -830.272, -827.248]
    p = [stats.chi2.sf(2 * (expected[M + 1] - expected[M]), 2**M) for M in range(4)]
    np.testing.assert_allclose(found.p_value[:-1], p, rtol=1e-2)
    assert found.order == 1 + max(M for M in range(4) if p[M] < 0.05)


def test_p_values_are_uniform_where_there_is_no_memory():
    rng = np.random.default_rng(20)
    p = np.array([select_order(rng.integers(0, 2, 400), 2).p_value[:2] for _ in range(400)])
    assert stats.kstest(p[:, 0], "uniform").pvalue > 1e-4
    assert stats.kstest(p[:, 1], "uniform").pvalue > 1e-4


def test_p_values_tell_a_memory_of_one_step_from_none_and_from_two():
    rng = np.random.default_rng(21)
    chain = MarkovChain.from_matrix([[0.7, 0.3], [0.4, 0.6]])
    p = np.array([select_order(chain.sample(400, rng), 2).p_value[:2] for _ in range(300)])
    assert (p[:, 0] < 1e-3).mean() > 0.9
    assert stats.kstest(p[:, 1], "uniform").pvalue > 1e-4


def test_held_out_equals_a_computation_by_hand():
    days = [0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0]
    n_test, top = 6, 2
    found = select_order(days, top, "held_out", smoothing="laplace", test=n_test)
    train = days[:-n_test]
    losses = []
    for M in range(top + 1):
        logs = []
        for t in range(len(days) - n_test, len(days)):
            context = days[t - M : t]
            follows = [train[i] for i in range(M, len(train)) if train[i - M : i] == context]
            logs.append(math.log((follows.count(days[t]) + 1) / (len(follows) + 2)))
        losses.append(logs)
    means = -np.mean(losses, axis=1)
    np.testing.assert_allclose(found.held_out, means, rtol=1e-12)
    assert found.order == int(np.argmin(means))
    difference = np.array(losses[found.order]) - np.array(losses)
    np.testing.assert_allclose(found.held_out_error, difference.std(axis=1, ddof=1) / math.sqrt(n_test), atol=1e-15)
    assert found.n_test_steps == n_test


def test_held_out_scores_every_order_on_the_same_steps_of_the_test_sequences():
    rng = np.random.default_rng(3)
    train, test = rng.integers(0, 2, 60), [rng.integers(0, 2, 9), rng.integers(0, 2, 2), rng.integers(0, 2, 5)]
    found = select_order(train, 3, test=test)
    assert found.n_test_steps == (9 - 3) + 0 + (5 - 3)
    steps = np.concatenate([part[3:] for part in MarkovChain(1).fit(train).log_likelihood(test, by="step")])
    assert found.held_out[1] == pytest.approx(-steps.mean())


def test_without_test_data_there_is_no_held_out_loss():
    found = select_order([0, 1, 1, 0, 1, 0, 0], 1)
    assert found.held_out is found.held_out_error is found.n_test_steps is None
    assert "held_out" not in found.best


def test_labels_and_integers_select_alike():
    wet = load_seattle_rain().wet[:400]
    whole, labels = select_order(wet.astype(int), 3), select_order(np.where(wet, "wet", "dry"), 3)
    np.testing.assert_array_equal(whole.log_likelihood, labels.log_likelihood)
    assert labels.model.symbols_.tolist() == ["dry", "wet"]


def test_one_symbol_needs_no_parameter_and_no_memory():
    found = select_order(["dry"] * 30, 2, "likelihood_ratio")
    assert found.n_parameters == (0, 0, 0)
    assert found.degrees_of_freedom == (0, 0, 0)
    assert found.p_value[:2].tolist() == [1.0, 1.0]
    assert found.best == {"aic": 0, "aicc": 0, "bic": 0, "likelihood_ratio": 0}


@pytest.mark.parametrize("smoothing", ["laplace", "jeffreys", "witten-bell"])
def test_smoothed_orders_are_scored_by_their_smoothed_chains(smoothing):
    x = np.random.default_rng(4).integers(0, 3, 60)
    found = select_order(x, 2, smoothing=smoothing)
    for M in range(3):
        part = x[2 - M :]
        assert found.log_likelihood[M] == pytest.approx(MarkovChain(M, smoothing=smoothing).fit(part).score(part))
    assert found.model.smoothing == smoothing


def test_alpha_reaches_the_chains():
    x = np.random.default_rng(4).integers(0, 2, 60)
    found = select_order(x, 1, smoothing="dirichlet", alpha=7.0)
    n = np.bincount(x[1:], minlength=2)
    assert found.log_likelihood[0] == pytest.approx(n @ np.log((n + 7) / (n.sum() + 14)))
    assert found.model.alpha == 7.0


def test_symbols_that_never_came_count_as_parameters():
    assert select_order([0, 1, 1, 0, 1, 0, 0], 1, symbols=[0, 1, 2]).n_parameters == (2, 6)


def test_an_order_with_more_parameters_than_memory_still_has_a_row():
    found = select_order(np.random.default_rng(5).integers(0, 2, 50), 25)
    assert found.n_parameters[25] == 2**25
    assert found.aicc[25] == np.inf
    assert found.best["bic"] < 10


def test_views_show_every_order():
    pd = pytest.importorskip("pandas")
    found = select_order(load_seattle_rain().wet, 2, test=100)
    frame = found.to_frame()
    assert frame.index.name == "order"
    assert frame.index.tolist() == [0, 1, 2]
    pd.testing.assert_series_equal(frame["bic"], pd.Series(found.bic, index=frame.index, name="bic"))
    assert {"held_out", "held_out_error"} <= set(frame.columns)
    assert "held_out" not in select_order([0, 1, 1, 0], 1).to_frame().columns
    text, page = str(found), found._repr_html_()
    for M in range(3):
        assert f"{found.log_likelihood[M]:.2f}" in text
        assert f">{found.bic[M]:.2f}<" in page
    assert page.count("<tr>") == 4
    assert repr(found) == text
    widths = {len(line) for line in text.splitlines()[1:2]}
    assert all(len(line) <= max(widths) for line in text.splitlines()[:-1])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1, 0], -1), ValueError, "max_order is -1, expected an integer of at least 0"),
        (([0, 1, 0], 1.0), TypeError, r"max_order is 1\.0, expected an integer"),
        (([0, 1, 0], True), TypeError, "max_order is True, expected an integer"),
        (([0, 1, 0], 1, "hqic"), ValueError, "criterion is 'hqic', expected one of 'aic'"),
        (([0, 1, 0], 1, "held_out"), ValueError, "criterion='held_out' needs test="),
        (([0, 1, 0], 3), ValueError, "max_order 3 needs a run of 4 observations without a gap, and X has none"),
        (([0, 1, None, 0, 1], 2), ValueError, "max_order 2 needs a run of 3 observations without a gap"),
        (([], 1), ValueError, "X is empty"),
        (("abab", 1), TypeError, r"pass list\(text\)"),
        (([0, -1, 1], 1), ValueError, r"X\[1\] is -1: symbols are whole numbers from 0 or labels"),
        (([0, 0.5, 1], 1), ValueError, r"X\[1\] is 0\.5: symbols are whole numbers"),
        ((np.zeros((2, 3, 4), int), 1), ValueError, "a panel .* of 4 features"),
        ((np.random.default_rng(0).integers(0, 2, 90), 63), ValueError, "more than 64 bits can number"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        select_order(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lengths": [3, 3]}, ValueError, "lengths sum to 6 but X has 8 rows"),
        ({"lengths": [4, 4], "test": 2}, ValueError, "test=2 holds out the end of one series, and X is several"),
        ({"smoothing": "kneser-ney"}, ValueError, "smoothing is 'kneser-ney', expected one of None, 'laplace'"),
        ({"smoothing": "laplace", "alpha": 0}, ValueError, "alpha is 0, expected a positive finite number"),
        ({"symbols": [0, 0, 1]}, ValueError, "symbols holds 0 twice"),
        ({"symbols": [0, 2]}, ValueError, r"X\[1\] is 1, which is not among the 2 symbols 0, 2"),
        ({"test": 8}, ValueError, "test=8 leaves nothing to fit of a series of 8 steps"),
        ({"test": [[0, 2, 1]]}, ValueError, r"X\[0\]\[1\] is 2, which is not among the 2 symbols 0, 1"),
        ({"test": [[0, 1]]}, ValueError, "no step of the test data is scored by every model"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        select_order([0, 1, 1, 0, 1, 0, 0, 1], 2, **options)


def test_smoothed_laws_have_no_likelihood_ratio():
    x = np.random.default_rng(0).integers(0, 2, 200)
    found = select_order(x, 2, smoothing="laplace")
    assert np.isnan(found.likelihood_ratio).all()
    assert np.isnan(found.p_value).all()
    assert "likelihood_ratio" not in found.best
    with pytest.raises(ValueError, match="compares maximum likelihoods, and smoothing='laplace' gives none"):
        select_order(x, 2, "likelihood_ratio", smoothing="laplace")


def test_infinite_losses_pick_no_order():
    x = ["a", "b"] * 20 + ["c"]
    assert "held_out" not in select_order(x, 2, test=5).best
    with pytest.raises(ValueError, match=r"every order gives the test data probability 0.*use a smoothing"):
        select_order(x, 2, "held_out", test=5)


def test_one_sequence_with_its_length_is_one_sequence():
    x = np.random.default_rng(3).integers(0, 2, 200)
    one, same = select_order(x, 2, lengths=[200], test=50), select_order(x, 2, test=50)
    np.testing.assert_array_equal(one.held_out, same.held_out)
