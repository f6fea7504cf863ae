"""Intervals against the posterior in 40 digits, and their coverage counted over every outcome."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace import MarkovChain
from statespace.markov import forecast_interval, transition_intervals


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.5, 0.95, 0.999]))
def test_bounds_cut_equal_tails_off_the_posterior(hits, misses, level):
    low, high = (bound[0] for bound in transition_intervals(np.array([hits, misses]), level))
    with mpmath.workdps(40):
        a, b = mpmath.mpf(hits) + 0.5, mpmath.mpf(misses) + 0.5
        below = mpmath.betainc(a, b, 0, mpmath.mpf(float(low)), regularized=True)
        above = mpmath.betainc(a, b, mpmath.mpf(float(high)), 1, regularized=True)
    assert float(below) == pytest.approx((1 - level) / 2, rel=1e-9) if hits else low == 0.0
    assert float(above) == pytest.approx((1 - level) / 2, rel=1e-6) if misses else high == 1.0


@given(st.lists(st.integers(0, 50), min_size=2, max_size=5))
def test_the_interval_holds_the_estimate(counts):
    low, high = transition_intervals(np.array(counts))
    share = np.array(counts) / max(sum(counts), 1)
    if sum(counts):
        assert (low <= share).all()
        assert (share <= high).all()
    else:
        np.testing.assert_array_equal((low, high), [[0.0] * len(counts), [1.0] * len(counts)])


@pytest.mark.parametrize("n", [10, 50])
def test_coverage_is_close_to_the_level_also_for_few_trials(n):
    # Summed over every outcome of n trials, for probabilities on a grid (Brown, Cai and DasGupta 2001, figure 4)
    low, high = (bound[:, 0] for bound in transition_intervals(np.array([[k, n - k] for k in range(n + 1)])))
    share = np.arange(n + 1) / n
    usual = 1.96 * np.sqrt(share * (1 - share) / n)
    grid = np.linspace(0.1, 0.9, 81)
    outcomes = np.array([[math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)] for p in grid])

    def coverage(low, high):
        return (outcomes * ((low <= grid[:, None]) & (grid[:, None] <= high))).sum(axis=1)

    assert coverage(low, high).mean() == pytest.approx(0.95, abs=0.012)
    assert coverage(low, high).min() > coverage(share - usual, share + usual).min() + 0.02
    assert coverage(share - usual, share + usual).mean() != pytest.approx(0.95, abs=0.012)  # the test can fail


def test_a_chain_has_an_interval_for_every_transition():
    chain = MarkovChain(2).fit([0, 1, 1, 0, 2, 1, 0, 1, 2, 0, 1])
    low, high = chain.confidence_intervals(0.9)
    assert low.shape == high.shape == (3, 3, 3)
    np.testing.assert_array_equal((low[0, 1], high[0, 1]), transition_intervals(chain.counts_[0, 1], 0.9))


def test_a_higher_level_is_wider_and_more_trials_are_narrower():
    def width(counts, level=0.95):
        low, high = transition_intervals(np.array(counts), level)
        return (high - low)[0]

    assert width([5, 7], 0.5) < width([5, 7], 0.95) < width([5, 7], 0.99)
    assert width([500, 700]) < width([50, 70]) < width([5, 7])


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, math.nan])
def test_a_level_that_is_no_probability_is_named(level):
    with pytest.raises(ValueError, match=f"level is {level}, expected a number between 0 and 1"):
        transition_intervals(np.array([1, 2]), level)


@pytest.mark.parametrize("counts", [[-1, 2], [math.nan, 2], [math.inf, 2]])
def test_counts_that_are_none_are_refused(counts):
    with pytest.raises(ValueError, match="counts must be finite and not negative"):
        transition_intervals(np.array(counts))


def test_a_chain_without_counts_has_no_intervals():
    with pytest.raises(ValueError, match="made from a matrix: it has no counts"):
        MarkovChain.from_matrix([[0.5, 0.5], [0.5, 0.5]]).confidence_intervals()


def test_a_forecast_one_step_from_a_known_context_has_nearly_the_exact_interval():
    x = np.random.default_rng(4).integers(0, 2, 400)
    chain = MarkovChain(1).fit(x)
    low, high = forecast_interval(chain, x, n_draws=20_000)
    exact_low, exact_high = chain.confidence_intervals()
    np.testing.assert_allclose(low[0], exact_low[x[-1]], atol=3e-3)
    np.testing.assert_allclose(high[0], exact_high[x[-1]], atol=3e-3)


def test_a_forecast_after_missing_observations_holds_the_forecast_and_narrows_with_data():
    rng = np.random.default_rng(5)
    widths = []
    for n in (100, 10_000):
        x = rng.integers(0, 2, n).astype(float)
        chain = MarkovChain(2).fit(x)
        x[-2:] = np.nan
        low, high = forecast_interval(chain, x, steps=3)
        law = chain.forecast(x, 3).probabilities
        assert ((low < law) & (law < high)).all()
        widths.append((high - low).mean())
    assert widths[1] < widths[0] / 5  # the root of a hundred, less for chance


def test_forecast_intervals_are_the_same_for_the_same_seed_and_refuse_what_they_cannot_do():
    chain = MarkovChain(1).fit([0, 1, 1, 0, 1])
    again = [forecast_interval(chain, [0], random_state=3).low for _ in range(2)]
    np.testing.assert_array_equal(*again)
    with pytest.raises(ValueError, match="X is 2 sequences: pass one"):
        forecast_interval(chain, [[0], [1]])
    with pytest.raises(ValueError, match="made from a matrix: it has no counts"):
        forecast_interval(MarkovChain.from_matrix([[0.5, 0.5], [0.5, 0.5]]), [0])
