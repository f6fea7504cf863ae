"""Laws of symbols against counting by hand, laws of numbers against scipy.stats."""

import dataclasses
import math
from fractions import Fraction

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from statespace import PredictiveLaw

seeds = st.integers(0, 2**32 - 1)
levels = st.floats(0.01, 0.99)


@st.composite
def symbol_laws(draw, max_rows=4, max_symbols=5):
    """Probabilities in whole hundredths, some of them zero, over integers that need not follow each other."""
    n, K = draw(st.integers(1, max_rows)), draw(st.integers(1, max_symbols))
    hundredths = []
    for _ in range(n):
        cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=K - 1, max_size=K - 1)))
        hundredths.append(np.diff([0, *cuts, 100]).tolist())
    symbols = sorted(draw(st.sets(st.integers(0, 40), min_size=K, max_size=K)))
    return PredictiveLaw(np.array(hundredths) / 100, np.array(symbols)), hundredths, symbols


@st.composite
def gaussian_laws(draw, max_rows=4, max_features=3, min_features=1):
    n, d = draw(st.integers(1, max_rows)), draw(st.integers(min_features, max_features))
    rng = np.random.default_rng(draw(seeds))
    scale = 10.0 ** draw(st.integers(-6, 6))
    roots = rng.normal(size=(n, d, d)) + 2 * np.eye(d)
    return PredictiveLaw(mean=scale * rng.normal(size=(n, d)), cov=scale**2 * roots @ roots.transpose(0, 2, 1)), rng


def one_feature(mean, deviation):
    mean, deviation = np.broadcast_arrays(np.atleast_1d(np.asarray(mean, float)), deviation)
    return PredictiveLaw(mean=mean[:, None], cov=(deviation**2)[:, None, None])


WEATHER = PredictiveLaw(np.array([[0.5, 0.25, 0.25], [0.1, 0.0, 0.9]]), np.array(["dry", "rain", "snow"]))


# ------------------------------------------------------------------------------------------------- laws of symbols


@given(symbol_laws(), st.integers(1, 99))
def test_the_interval_of_symbols_leaves_at_most_half_the_rest_on_either_side(drawn, percent):
    law, hundredths, symbols = drawn
    tail = Fraction(100 - percent, 2)
    low, high = law.interval(percent / 100)
    for row, weights in enumerate(hundredths):
        cumulative = [sum(weights[: k + 1]) for k in range(len(weights))]
        assert low[row] == next(s for s, c in zip(symbols, cumulative, strict=True) if c >= tail)
        assert high[row] == next(s for s, c in zip(symbols, cumulative, strict=True) if c >= 100 - tail)
        below = sum(w for s, w in zip(symbols, weights, strict=True) if s < low[row])
        above = sum(w for s, w in zip(symbols, weights, strict=True) if s > high[row])
        assert below <= tail
        assert above <= tail


@given(symbol_laws(), st.floats(-21, 21))
def test_cdf_of_symbols_adds_up_those_not_beyond(drawn, x):
    law, hundredths, symbols = drawn
    for value in (x, *symbols):
        expected = [sum(w for s, w in zip(symbols, row, strict=True) if s <= value) / 100 for row in hundredths]
        np.testing.assert_allclose(law.cdf(value), expected, atol=1e-15)


@given(symbol_laws(), st.data())
def test_cdf_and_probability_take_one_symbol_a_row(drawn, data):
    law, hundredths, symbols = drawn
    each = data.draw(st.lists(st.sampled_from(symbols), min_size=len(law), max_size=len(law)))
    cumulative = [
        sum(w for s, w in zip(symbols, row, strict=True) if s <= x) / 100
        for row, x in zip(hundredths, each, strict=True)
    ]
    weights = [row[symbols.index(x)] for row, x in zip(hundredths, each, strict=True)]
    for x in (each, tuple(each), np.array(each), pd.Series(each), pl.Series(each)):
        np.testing.assert_allclose(law.cdf(x), cumulative, atol=1e-15)
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(law.log_density(x), np.log(np.array(weights) / 100), rtol=1e-14)


def test_declared_symbols_are_in_their_own_order_and_not_that_of_the_alphabet():
    law = PredictiveLaw(np.array([[0.2, 0.3, 0.5]]), np.array(["low", "mid", "high"]))
    np.testing.assert_allclose(law.cdf("mid"), [0.5])
    np.testing.assert_allclose(law.cdf("high"), [1.0])
    assert law.interval(0.5) == (["mid"], ["high"])
    with pytest.raises(ValueError, match=r"'middle' is not one of the symbols .*, whose order is not that of their"):
        law.cdf("middle")


@pytest.mark.parametrize("symbols", [["a", "b"], [False, True], [3, 7]])
@pytest.mark.parametrize("foreign", [None, object(), "x"])
def test_what_cannot_be_compared_with_the_symbols_is_named(symbols, foreign):
    if isinstance(symbols[0], str) and foreign == "x":
        foreign = 3
    with pytest.raises(TypeError, match="cannot be compared with the symbols"):
        PredictiveLaw(np.array([[0.5, 0.5]]), np.array(symbols)).cdf(foreign)


def test_probabilities_of_one_symbol_for_all_rows():
    np.testing.assert_allclose(WEATHER.log_density("dry"), np.log([0.5, 0.1]))
    np.testing.assert_array_equal(WEATHER.log_density("rain"), [math.log(0.25), -math.inf])


@given(symbol_laws())
def test_the_probability_of_a_symbol_is_its_column(drawn):
    law, hundredths, symbols = drawn
    for k, symbol in enumerate(symbols):
        np.testing.assert_array_equal(law.probability(symbol), np.array(hundredths)[:, k] / 100)
    with pytest.raises(ValueError, match=rf"41 is not among the {len(symbols)} symbols "):
        law.probability(41)


def test_a_single_number_has_no_probability_where_numbers_have_a_density():
    with pytest.raises(TypeError, match="a Gaussian law gives no single value a probability"):
        one_feature(0, 1).probability(0.0)


@pytest.mark.parametrize("missing", [None, math.nan, pd.NA])
def test_a_missing_observation_has_no_probability(missing):
    np.testing.assert_array_equal(WEATHER.log_density(missing), [np.nan, np.nan])
    np.testing.assert_array_equal(WEATHER.log_density(["dry", missing]), [math.log(0.5), np.nan])
    np.testing.assert_array_equal(one_feature([0, 0], 1).log_density(np.nan), [np.nan, np.nan])


def test_a_symbol_the_law_does_not_know_is_named():
    with pytest.raises(ValueError, match="'hail', which is not among the 3 symbols 'dry', 'rain', 'snow'"):
        WEATHER.log_density("hail")


@pytest.mark.parametrize("verb", ["cdf", "log_density"])
@pytest.mark.parametrize("law", [WEATHER, one_feature([0, 1], 1)], ids=["symbols", "numbers"])
def test_neither_one_observation_nor_one_a_row_is_refused(law, verb):
    x = ["dry", "dry", "snow"] if law is WEATHER else [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match=r"x has (3 observations|shape \(3,\)), the law has 2 rows"):
        getattr(law, verb)(x)


def test_draws_of_symbols_come_as_often_as_they_should():
    n = 40_000
    law = PredictiveLaw(np.tile([0.2, 0.0, 0.5, 0.3], (n, 1)), np.array(["a", "b", "c", "d"]))
    names, counts = np.unique(law.sample(1), return_counts=True)
    assert names.tolist() == ["a", "c", "d"]
    assert stats.chisquare(counts, [0.2 * n, 0.5 * n, 0.3 * n]).pvalue > 1e-3


class LargestDraw(np.random.Generator):
    """Always the largest number below 1."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))

    def random(self, size=None):
        return np.full(size, np.nextafter(1.0, 0.0))


def test_rounding_never_draws_an_impossible_symbol():
    probabilities = np.array([[*[0.1] * 10, 0.0], [1.0, *[0.0] * 10], [*[1 / 11] * 11]])
    probabilities[2, -1] = 0.0
    probabilities[2] /= probabilities[2].sum()
    drawn = PredictiveLaw(probabilities, np.arange(11)).sample(LargestDraw())
    assert drawn.tolist() == [9, 0, 9]


@given(symbol_laws(), seeds)
def test_only_possible_symbols_are_drawn(drawn, seed):
    law, hundredths, symbols = drawn
    for row, symbol in enumerate(law.sample(seed).tolist()):
        assert hundredths[row][symbols.index(symbol)] > 0


# ------------------------------------------------------------------------------------------------- laws of numbers


@given(gaussian_laws(), levels)
def test_gaussian_intervals_are_those_of_each_feature(drawn, level):
    law, _ = drawn
    deviations = np.sqrt(np.diagonal(law.cov, axis1=1, axis2=2))
    low, high = stats.norm.interval(level, law.mean, deviations)
    interval = law.interval(level)
    np.testing.assert_allclose(interval.low, low, rtol=1e-9, atol=1e-12 * deviations.max())
    np.testing.assert_allclose(interval.high, high, rtol=1e-9, atol=1e-12 * deviations.max())


@given(gaussian_laws(max_features=1), st.floats(-8, 8))
def test_gaussian_cdf_is_that_of_scipy(drawn, scores):
    law, _ = drawn
    deviations = np.sqrt(law.cov[:, 0, 0])
    x = law.mean[:, 0] + scores * deviations
    expected = stats.norm.cdf(x, law.mean[:, 0], deviations)
    np.testing.assert_allclose(law.cdf(x), expected, rtol=1e-12)
    np.testing.assert_allclose(law.cdf(x[:, None]), expected, rtol=1e-12)
    np.testing.assert_allclose(law.cdf(x[0]), stats.norm.cdf(x[0], law.mean[:, 0], deviations), rtol=1e-12)


def test_a_law_without_spread_is_a_step():
    law = one_feature([2.0, 2.0, 2.0, 2.0], 0.0)
    np.testing.assert_array_equal(law.cdf([1.9, 2.0, 2.1, np.nan]), [0, 1, 1, np.nan])
    assert law.interval(0.9).low.tolist() == law.interval(0.9).high.tolist() == [[2.0]] * 4
    np.testing.assert_array_equal(law.sample(1), law.mean)


@given(gaussian_laws(), st.data())
def test_log_density_is_that_of_scipy_with_missing_features_integrated_out(drawn, data):
    law, rng = drawn
    x = np.array([rng.multivariate_normal(mean, cov) for mean, cov in zip(law.mean, law.cov, strict=True)])
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=x.size, max_size=x.size))).reshape(x.shape)
    x[gone] = np.nan
    expected = [
        np.nan
        if np.isnan(value).all()
        else stats.multivariate_normal.logpdf(
            value[~np.isnan(value)], mean[~np.isnan(value)], cov[np.ix_(~np.isnan(value), ~np.isnan(value))]
        )
        for value, mean, cov in zip(x, law.mean, law.cov, strict=True)
    ]
    np.testing.assert_allclose(law.log_density(x), expected, rtol=1e-8, atol=1e-8)


@given(gaussian_laws(), st.integers(-5, 5))
def test_a_change_of_units_only_shifts_log_densities(drawn, power):
    law, rng = drawn
    scale = 10.0**power
    x = law.mean + rng.normal(size=law.mean.shape) * np.sqrt(np.diagonal(law.cov, axis1=1, axis2=2))
    scaled = PredictiveLaw(mean=scale * law.mean, cov=scale**2 * law.cov)
    shift = law.mean.shape[1] * math.log(scale)
    np.testing.assert_allclose(scaled.log_density(scale * x), law.log_density(x) - shift, rtol=1e-9, atol=1e-9)


def test_one_observation_serves_all_rows_in_every_shape():
    two = PredictiveLaw(mean=np.zeros((3, 2)), cov=np.tile(np.eye(2), (3, 1, 1)))
    expected = [stats.multivariate_normal.logpdf([1.0, 2.0], [0, 0])] * 3
    for x in ([1.0, 2.0], np.array([[1.0, 2.0]]), pd.Series([1.0, 2.0]), pd.DataFrame([[1.0, 2.0]] * 3)):
        np.testing.assert_allclose(two.log_density(x), expected)
    one = one_feature([0.0, 0.0, 0.0], 1.0)
    for x in (1.0, [1.0], [[1.0]], [1.0] * 3, np.ones((3, 1)), pl.Series([1.0] * 3)):
        np.testing.assert_allclose(one.log_density(x), [stats.norm.logpdf(1.0)] * 3)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 3), (4, 2), (8,), (1, 2, 2)])
def test_observations_of_another_shape_are_refused_with_both_shapes(shape):
    law = PredictiveLaw(mean=np.zeros((2, 2)), cov=np.tile(np.eye(2), (2, 1, 1)))
    with pytest.raises(ValueError, match=r"x has shape \(.*\), the law has 2 rows of 2 features: give one"):
        law.log_density(np.zeros(shape))


def test_a_density_at_a_certain_feature_is_refused_and_its_row_named():
    law = PredictiveLaw(mean=np.zeros((2, 2)), cov=np.array([np.eye(2), np.diag([1.0, 0.0])]))
    with pytest.raises(ValueError, match="the covariance of row 1 is singular, so that x has no density there"):
        law.log_density([0.0, 0.0])
    np.testing.assert_allclose(law.log_density([0.5, np.nan]), [stats.norm.logpdf(0.5)] * 2)


def test_draws_have_the_mean_and_covariance_of_the_law():
    n, mean, cov = 20_000, np.array([1.0, -2.0]), np.array([[2.0, 0.9], [0.9, 0.5]])
    draws = PredictiveLaw(mean=np.tile(mean, (n, 1)), cov=np.tile(cov, (n, 1, 1))).sample(1)
    white = np.linalg.solve(np.linalg.cholesky(cov), (draws - mean).T)
    assert (abs(white.mean(axis=1)) < 4 / math.sqrt(n)).all()
    np.testing.assert_allclose(white @ white.T / n, np.eye(2), atol=4 * math.sqrt(2 / n))
    assert stats.kstest(white[0], "norm").pvalue > 1e-3


def test_draws_keep_what_ties_the_features_together():
    n, direction = 4000, np.array([3.0, 4.0])
    law = PredictiveLaw(mean=np.tile([1.0, 1.0], (n, 1)), cov=np.tile(np.outer(direction, direction), (n, 1, 1)))
    along = (law.sample(1) - 1) / direction
    np.testing.assert_allclose(along[:, 0], along[:, 1], atol=1e-6)
    assert abs(along[:, 0].var() - 1) < 4 * math.sqrt(2 / n)


def test_cdf_is_refused_for_several_features():
    law = PredictiveLaw(mean=np.zeros((2, 3)), cov=np.tile(np.eye(3), (2, 1, 1)))
    with pytest.raises(ValueError, match=r"cdf is for one feature; this law has 3: look at one, law.mean\[:, j\]"):
        law.cdf(0.0)


# ----------------------------------------------------------------------------------------------------------- events


@given(symbol_laws(), st.integers(1, 5), st.data())
def test_the_event_of_a_symbol_has_the_probability_of_all_that_count_as_the_same(drawn, modulus, data):
    law, hundredths, symbols = drawn
    x = data.draw(st.lists(st.sampled_from(symbols), min_size=len(law), max_size=len(law)))
    expected = [
        sum(w for s, w in zip(symbols, row, strict=True) if s % modulus == seen % modulus) / 100
        for row, seen in zip(hundredths, x, strict=True)
    ]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(law.log_event(lambda s: s % modulus, x), np.log(expected), rtol=1e-13, atol=1e-15)


def log_between(low, high, mean, deviation):
    """Log P(low < x <= high), with fifty digits."""
    with mpmath.workdps(50):
        lower, upper = (mpmath.ncdf((mpmath.mpf(edge) - mean) / deviation) for edge in (low, high))
        return float(mpmath.log(upper - lower))


@given(gaussian_laws(max_features=1), st.floats(-3, 3))
def test_a_threshold_splits_a_gaussian_as_scipy_does(drawn, score):
    law, rng = drawn
    mean, deviation = law.mean[:, 0], np.sqrt(law.cov[:, 0, 0])
    threshold = mean[0] + score * deviation[0]
    x = rng.normal(mean, 2 * deviation)
    expected = np.where(
        x > threshold, stats.norm.logsf(threshold, mean, deviation), stats.norm.logcdf(threshold, mean, deviation)
    )
    found = law.log_event(lambda value: value > threshold, x)
    possible = expected > -600  # ndtr underflows to impossible
    np.testing.assert_allclose(found[possible], expected[possible], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("x", [-7.5, -2.0, -0.3, 0.4, 1.0, 6.9])
def test_an_event_of_several_pieces_is_the_sum_of_them(x):
    def event(value):  # on for 1 < |x| <= 2, and beyond 6
        return 1 < abs(value) <= 2 or value > 6

    pieces = [(-2, -1), (1, 2), (6, mpmath.inf)] if event(x) else [(-mpmath.inf, -2), (-1, 1), (2, 6)]
    mean, deviation = 0.3, 1.7
    with mpmath.workdps(50):
        expected = float(mpmath.log(sum(mpmath.e ** log_between(a, b, mean, deviation) for a, b in pieces)))
    np.testing.assert_allclose(one_feature(mean, deviation).log_event(event, [x]), expected, rtol=1e-12)


@pytest.mark.parametrize("score", [-12.0, -10.0, -9.0, -6.0, 6.0, 9.0, 10.0, 12.0])
def test_events_far_out_on_either_side_keep_their_small_probability(score):
    law = one_feature(5.0, 2.0)
    threshold = 5.0 + 2.0 * score
    x = threshold + math.copysign(0.5, score)
    expected = float(stats.norm.logsf(abs(score)))
    np.testing.assert_allclose(law.log_event(lambda value: value > threshold, [x]), [expected], rtol=1e-9)


def test_rows_far_apart_do_not_hide_the_pieces_at_their_observations():
    law = one_feature([0.0, 1e7], 1.0)
    expected = [log_between(0, 1, 0.0, 1.0), log_between(0, 1, 0.5, 1.0)]
    np.testing.assert_allclose(law.log_event(math.floor, [0.5, 1e7 + 0.5])[0], expected[0], rtol=1e-9)


def test_a_certain_number_is_in_the_piece_that_holds_it():
    law = one_feature([0.0, 0.0, 1.0, -1.0, 0.0], 0.0)
    x = [0.0, 3.0, 3.0, 3.0, -3.0]
    np.testing.assert_array_equal(law.log_event(lambda v: v >= 0, x), [0, 0, 0, -math.inf, -math.inf])
    np.testing.assert_array_equal(law.log_event(lambda v: v > 0, x), [0, -math.inf, 0, -math.inf, 0])
    np.testing.assert_array_equal(law.log_event(lambda v: v == 0, x), [0, -math.inf, 0, 0, -math.inf])


@settings(max_examples=15)
@given(gaussian_laws(max_features=1), st.sets(st.integers(-30, 30), min_size=1, max_size=4))
def test_the_probabilities_of_all_outcomes_sum_to_one(drawn, tenths):
    law, _ = drawn
    deviation = math.sqrt(law.cov[0, 0, 0])
    edges = law.mean[0, 0] + np.array(sorted(tenths)) / 10 * deviation
    inside = [edges[0] - deviation, *((edges[1:] + edges[:-1]) / 2), edges[-1] + deviation]
    total = sum(np.exp(law[0].log_event(lambda value: int(np.searchsorted(edges, value)), [x])[0]) for x in inside)
    assert total == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("missing", [None, math.nan, pd.NA])
def test_a_missing_observation_has_no_event(missing):
    for law, x, event in ((WEATHER, "dry", len), (one_feature([0, 0], 1), 1.0, lambda value: value > 0)):
        found = law.log_event(event, [missing, x])
        assert np.isnan(found).tolist() == [True, False]


def test_events_take_observations_in_every_container():
    law = one_feature([0.0, 1.0], 1.0)
    expected = [math.log(0.5), stats.norm.logcdf(-1.0)]
    x = [0.5, -0.5]
    for values in (x, np.array(x), np.array(x)[:, None], pd.Series(x, index=["p", "q"]), pl.Series(x)):
        np.testing.assert_allclose(law.log_event(lambda value: value > 0, values), expected, rtol=1e-12)


def test_one_observation_for_many_rows_has_no_event():
    for law, x in ((WEATHER, ["dry"]), (one_feature([0, 1], 1), [0.5])):
        with pytest.raises(ValueError, match="x has 1 observations, the law has 2 rows: give one a row"):
            law.log_event(lambda value: value, x)


def test_events_are_refused_for_several_features():
    law = PredictiveLaw(mean=np.zeros((2, 3)), cov=np.tile(np.eye(3), (2, 1, 1)))
    with pytest.raises(ValueError, match="log_event is for one feature; this law has 3"):
        law.log_event(lambda value: value > 0, [0.0, 1.0])


# ------------------------------------------------------------------------------------------------------- container


DATED = PredictiveLaw(
    np.array([[0.5, 0.5], [0.2, 0.8], [1.0, 0.0]]),
    np.array([False, True]),
    index=pd.date_range("2024-01-01", periods=3, name="day"),
)


@pytest.mark.parametrize("key", [0, 2, -1, -3, np.int64(1)])
def test_a_single_row_stays_a_law(key):
    row = DATED[key]
    assert isinstance(row, PredictiveLaw)
    assert len(row) == 1
    assert row.probabilities[0].tolist() == DATED.probabilities[key].tolist()
    assert row.index[0] == DATED.index[key]
    assert row.symbols is DATED.symbols


@pytest.mark.parametrize(
    "key", [slice(1, None), slice(None, None, -1), slice(0, 0), np.array([2, 0]), [0, 0], np.array([True, False, True])]
)
def test_rows_are_chosen_as_of_an_array(key):
    part = DATED[key]
    np.testing.assert_array_equal(part.probabilities, DATED.probabilities[key])
    assert part.index.tolist() == DATED.index[key].tolist()
    assert len(part) == len(DATED.probabilities[key])


@pytest.mark.parametrize("key", [3, -4, 100])
def test_a_row_that_is_not_there_is_named(key):
    with pytest.raises(IndexError, match=f"row {key} of a law of 3 rows"):
        DATED[key]


def test_iteration_gives_each_row_as_a_law():
    assert [row.probabilities[0].tolist() for row in DATED] == DATED.probabilities.tolist()
    gaussian = one_feature([1.0, 2.0], 3.0)
    assert [(row.mean.item(), row.cov.item()) for row in gaussian] == [(1.0, 9.0), (2.0, 9.0)]


def test_what_is_predicted_is_named():
    assert DATED.support == "categories"
    assert one_feature(0, 1).support == "reals"


def test_a_law_shows_what_it_is_of():
    assert "2 rows" in repr(WEATHER)
    assert "'rain'" in repr(WEATHER)
    assert "1 features" in repr(one_feature([0.0, 1.0], 1.0))
    assert len(repr(PredictiveLaw(np.full((5000, 50), 0.02), np.arange(50)))) < 1000


def test_a_law_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DATED.probabilities = None


def test_a_frame_has_a_column_a_symbol_and_the_dates():
    frame = DATED.to_frame()
    assert frame.columns.tolist() == [False, True]
    pd.testing.assert_index_equal(frame.index, DATED.index)
    np.testing.assert_array_equal(frame.to_numpy(), DATED.probabilities)
    assert WEATHER.to_frame().columns.tolist() == ["dry", "rain", "snow"]


def test_a_frame_has_mean_and_deviation_of_each_feature():
    assert one_feature([1.0, 2.0], 3.0).to_frame().to_dict("list") == {
        "mean": [1.0, 2.0],
        "standard_deviation": [3.0, 3.0],
    }
    two = PredictiveLaw(mean=[[1.0, 2.0]], cov=[np.diag([4.0, 9.0])]).to_frame()
    assert two.to_dict("list") == {
        "mean_0": [1.0],
        "standard_deviation_0": [2.0],
        "mean_1": [2.0],
        "standard_deviation_1": [3.0],
    }


def test_lists_make_a_law_too():
    law = PredictiveLaw([[0.5, 0.5]], ["a", "b"])
    assert law.probabilities.dtype == np.float64
    assert law.interval(0.5).low.tolist() == ["a"]


MISUSES = {
    "nothing": ({}, TypeError, "either probabilities and symbols, or mean and cov"),
    "both": ({"probabilities": [[1.0]], "mean": [[1.0]]}, TypeError, "either probabilities and symbols, or mean"),
    "no symbols": ({"probabilities": [[1.0]]}, TypeError, "with probabilities needs symbols"),
    "no cov": ({"mean": [[1.0]]}, TypeError, "with mean needs cov"),
    "cov of symbols": ({"probabilities": [[1.0]], "symbols": [0], "cov": [[[1.0]]]}, TypeError, "and has no cov"),
    "symbols of numbers": ({"mean": [[1.0]], "cov": [[[1.0]]], "symbols": [0]}, TypeError, "and has no symbols"),
    "one symbol too many": (
        {"probabilities": [[0.5, 0.5]], "symbols": [0, 1, 2]},
        ValueError,
        r"probabilities has shape \(1, 2\) and symbols \(3,\), expected \(n, n_symbols\) and \(n_symbols,\)",
    ),
    "one row as a vector": ({"probabilities": [0.5, 0.5], "symbols": [0, 1]}, ValueError, r"has shape \(2,\) and"),
    "mean as a vector": ({"mean": [0.5], "cov": [[[1.0]]]}, ValueError, r"mean has shape \(1,\) and cov \(1, 1, 1\)"),
    "variances": (
        {"mean": [[0.5]], "cov": [1.0]},
        ValueError,
        r"mean has shape \(1, 1\) and cov \(1,\), .*: one feature is mean\[:, None\], cov\[:, None, None\]",
    ),
    "one cov for all": ({"mean": [[0.5], [1]], "cov": [[[1.0]]]}, ValueError, r"mean has shape \(2, 1\) and cov \(1,"),
    "short index": (
        {"probabilities": [[1.0]], "symbols": [0], "index": [1, 2]},
        ValueError,
        "index has 2 times for a law of 1 rows: give one for each",
    ),
}


@pytest.mark.parametrize(("arguments", "error", "message"), MISUSES.values(), ids=MISUSES.keys())
def test_what_makes_no_law_is_refused_in_words(arguments, error, message):
    with pytest.raises(error, match=message):
        PredictiveLaw(**arguments)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(ValueError, match=r"level is .*, expected a number between 0 and 1"):
        DATED.interval(level)
