"""Mixtures over paths against sums of scipy's laws, and against a MixtureLaw of the same components."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statespace import PredictiveLaw
from statespace.foundations.path_mixture import mixture_of_paths

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 4)


def gaussian(seed, n, S, D=1):
    rng = np.random.default_rng(seed)
    mean, variance = rng.normal(scale=3, size=(n, S, D)), rng.uniform(0.1, 4, (n, S, D))
    cov = variance.reshape(n * S, D, 1) * np.eye(D)
    law = mixture_of_paths(PredictiveLaw(mean=mean.reshape(-1, D), cov=cov), S)
    return law, stats.norm(mean, np.sqrt(variance)), rng


def poisson(seed, n, S):
    rng = np.random.default_rng(seed)
    rates = rng.gamma(1.0, 5.0, (n, S, 1))
    return mixture_of_paths(PredictiveLaw(rates=rates.reshape(-1, 1)), S), stats.poisson(rates), rng


@given(seeds, sizes, sizes)
def test_densities_and_tails_are_means_over_the_paths(seed, n, S):
    law, their, rng = gaussian(seed, n, S)
    x, y = rng.normal(scale=3, size=(2, n))
    assert (len(law), law.support) == (n, "reals")
    np.testing.assert_allclose(law.log_density(x), np.log(their.pdf(x[:, None, None]).mean(axis=1))[:, 0], rtol=1e-9)
    np.testing.assert_allclose(law.cdf(x), their.cdf(x[:, None, None]).mean(axis=1)[:, 0], rtol=1e-9)
    np.testing.assert_allclose(law.cdf(0.3), their.cdf(0.3).mean(axis=1)[:, 0], rtol=1e-9)
    low, high = np.minimum(x, y), np.maximum(x, y)
    inside = (their.cdf(high[:, None, None]) - their.cdf(low[:, None, None])).mean(axis=1)[:, 0]
    np.testing.assert_allclose(np.exp(law.log_between(low, high)), inside, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(np.exp(law.log_event(lambda v: v > 0.5, [1.0] * n)), their.sf(0.5).mean(axis=1)[:, 0])
    counts, their, _ = poisson(seed, n, S)
    assert counts.support == "counts"
    np.testing.assert_allclose(np.exp(counts.log_density(3)), their.pmf(3).mean(axis=1)[:, 0], rtol=1e-9)
    np.testing.assert_allclose(counts.probability(3), their.pmf(3).mean(axis=1)[:, 0], rtol=1e-9)
    even = counts.log_event(lambda v: v == 2, [2] * n)
    np.testing.assert_allclose(np.exp(even), their.pmf(2).mean(axis=1)[:, 0], rtol=1e-9)


@given(seeds, sizes, sizes, st.floats(0.05, 0.95))
def test_quantiles_are_where_the_mean_of_the_cdfs_is(seed, n, S, level):
    law, their, _ = gaussian(seed, n, S, 2)
    for bound, p in zip(law.interval(level), ((1 - level) / 2, (1 + level) / 2), strict=True):
        np.testing.assert_allclose(their.cdf(bound[:, None]).mean(axis=1), p, rtol=1e-9)
    law, their, _ = poisson(seed, n, S)
    for bound, p in zip(law.interval(level), ((1 - level) / 2, (1 + level) / 2), strict=True):
        assert (their.cdf(bound[:, None]).mean(axis=1) >= p * (1 - 1e-12)).all()
        assert (their.cdf(bound[:, None] - 1).mean(axis=1) < p * (1 + 1e-12)).all()


@given(seeds, sizes, sizes)
def test_moments_are_those_of_the_mixture(seed, n, S):
    law, their, _ = gaussian(seed, n, S, 2)
    second = (their.var() + their.mean() ** 2).mean(axis=1)
    np.testing.assert_allclose(law.mean, their.mean().mean(axis=1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.diagonal(law.cov, axis1=1, axis2=2), second - law.mean**2, rtol=1e-9)
    product = their.mean().prod(axis=2).mean(axis=1)
    np.testing.assert_allclose(law.cov[:, 0, 1], product - law.mean.prod(axis=1), rtol=1e-9, atol=1e-9)


def test_draws_come_from_all_paths():
    mean = np.tile([[-10.0], [10.0]], (5000, 1))
    law = mixture_of_paths(PredictiveLaw(mean=mean, cov=np.ones((10_000, 1, 1))), 2)
    drawn = law.sample(0)[:, 0]
    both = stats.kstest(drawn, lambda x: (stats.norm.cdf(x, -10) + stats.norm.cdf(x, 10)) / 2)
    assert both.pvalue > 1e-3
    np.testing.assert_array_equal(law.sample(0), law.sample(0))


def test_symbols_have_mean_probabilities_and_rows_keep_their_times():
    symbols = PredictiveLaw([[1.0, 0.0], [0.5, 0.5]], ["a", "b"])
    np.testing.assert_array_equal(mixture_of_paths(symbols, 2).probabilities, [[0.75, 0.25]])
    days = pd.date_range("2024-01-01", periods=3)
    law = mixture_of_paths(PredictiveLaw(rates=np.arange(1.0, 7)[:, None]), 2, index=days)
    assert law[1:].index[0] == days[1]
    np.testing.assert_array_equal(law[1:].mean[:, 0], [3.5, 5.5])
    np.testing.assert_array_equal(law.to_frame()["mean"], [1.5, 3.5, 5.5])
    assert "mixtures of 2 laws" in repr(law)
    assert np.isnan(law.log_density([1, np.nan, 2])).tolist() == [False, True, False]
    with pytest.raises(ValueError, match="there are 2 laws, expected a multiple of n_paths, 3"):
        mixture_of_paths(symbols, 3)
    with pytest.raises(ValueError, match="x has 2 observations, the law has 3 rows"):
        law.cdf([1, 2])
