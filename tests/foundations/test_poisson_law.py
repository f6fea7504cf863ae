"""Laws of counts against scipy.stats and sums by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statespace import PredictiveLaw
from statespace.foundations.distributions import draw_poisson

rates = st.lists(st.floats(0, 200), min_size=1, max_size=4).map(np.array)
levels = st.floats(0.01, 0.99)


@given(rates, st.integers(0, 300))
def test_densities_tails_and_moments_are_those_of_scipy(rate, count):
    law, their = PredictiveLaw(rates=rate[:, None]), stats.poisson(rate)
    assert law.support == "counts"
    np.testing.assert_allclose(law.log_density(count), their.logpmf(count), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(law.probability(count), their.pmf(count), rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(law.cdf(count + 0.5), their.cdf(count), rtol=1e-10)
    np.testing.assert_array_equal(law.mean[:, 0], rate)
    np.testing.assert_array_equal(law.cov[:, 0, 0], rate)


@given(rates, levels)
def test_intervals_are_the_first_counts_that_reach_the_level(rate, level):
    low, high = PredictiveLaw(rates=rate[:, None]).interval(level)
    for bound, p in ((low[:, 0], (1 - level) / 2), (high[:, 0], (1 + level) / 2)):
        assert bound.dtype == np.int64
        assert (stats.poisson.cdf(bound, rate) >= p * (1 - 1e-12)).all()
        assert (stats.poisson.cdf(bound - 1, rate) < p * (1 + 1e-12)).all()


@given(rates, st.integers(0, 50), st.integers(1, 40))
def test_events_are_sums_of_counts(rate, low, width):
    law = PredictiveLaw(rates=rate[:, None])
    inside = stats.poisson.pmf(np.arange(low, low + width)[:, None], rate).sum(axis=0)
    np.testing.assert_allclose(np.exp(law.log_between(low, low + width)), inside, rtol=1e-9, atol=1e-14)
    observed = [low + width // 2] * len(rate)
    within = law.log_event(lambda count: low <= count < low + width, observed)
    np.testing.assert_allclose(np.exp(within), inside, rtol=1e-9, atol=1e-14)
    even = law.log_event(lambda count: count % 2, [0] * len(rate))
    np.testing.assert_allclose(np.exp(even), (1 + np.exp(-2 * rate)) / 2, rtol=1e-9)


def test_several_features_are_independent_and_single_ones_may_be_missing():
    law = PredictiveLaw(rates=[[1.0, 5.0], [2.0, 0.0]])
    both = stats.poisson.logpmf([3, 0], [[1.0, 5.0], [2.0, 0.0]])
    np.testing.assert_allclose(law.log_density([3, 0]), both.sum(axis=1))
    np.testing.assert_allclose(law.log_density([[np.nan, 0], [np.nan, np.nan]]), [both[0, 1], np.nan])
    assert law.sample(0).shape == (2, 2)
    assert list(law.to_frame()) == ["mean_0", "standard_deviation_0", "mean_1", "standard_deviation_1"]
    with pytest.raises(ValueError, match="cdf is for one feature; this law has 2"):
        law.cdf(1)
    np.testing.assert_array_equal(law[1].rates, [[2.0, 0.0]])


def test_rates_that_are_none_are_refused_in_words():
    for given_rates, message in (([1.0], r"rates has shape \(1,\)"), ([[-1.0]], "rates holds -1.0")):
        with pytest.raises(ValueError, match=message):
            PredictiveLaw(rates=given_rates)
    with pytest.raises(TypeError, match="with rates has no cov"):
        PredictiveLaw(rates=[[1.0]], cov=[[[1.0]]])
    law = PredictiveLaw(rates=[[1.0], [2.0]])
    for x, message in ((0.5, "x holds 0.5"), (-1, "x holds -1"), ([1, 2, 3], "x has 3 observations")):
        with pytest.raises(ValueError, match=message):
            law.log_density(x)
    with pytest.raises(ValueError, match="a rate is 1e\\+19"):
        draw_poisson(np.array([1e19]), np.random.default_rng(0))
    with pytest.raises(ValueError, match="spreads over more than"):
        draw_poisson(np.array([1e14]), np.random.default_rng(0), 0.5)
