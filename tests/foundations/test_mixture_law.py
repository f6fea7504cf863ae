"""Mixtures against sums over their components in scipy.stats, in fractions, and in fifty digits."""

import copy
import dataclasses
import math
import pickle

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from statespace import PredictiveLaw
from statespace.hmm import GaussianEmission, GaussianMixtureEmission, PoissonEmission

seeds = st.integers(0, 2**32 - 1)
levels = st.floats(0.02, 0.98)


class Rain:
    """Dry with probability dry[k], else an exponential amount: an atom at 0."""

    def __init__(self, dry, scale):
        self.dry, self.scale = np.array(dry, float), np.array(scale, float)

    def log_likelihood(self, X):
        return np.where(X == 0, np.log(self.dry), np.log1p(-self.dry) - np.log(self.scale) - X / self.scale)

    def sample(self, states, rng):
        return np.where(rng.random(len(states)) < self.dry[states], 0.0, rng.exponential(self.scale[states]))

    def cdf(self, x):
        return np.where(x < 0, 0.0, 1 - (1 - self.dry) * np.exp(-x / self.scale))


class Bare:
    """No more than a density and draws."""

    log_likelihood = Rain.log_likelihood
    sample = Rain.sample
    __init__ = Rain.__init__


def gaussians(means, covars, kind="full"):
    emission = GaussianEmission(kind)
    emission.means, emission.covars = np.array(means, float), np.array(covars, float)
    return emission


def poisson(*rates):
    emission = PoissonEmission()
    emission.lambdas = np.array(rates, float).reshape(len(rates), -1)
    return emission


@st.composite
def mixtures(draw, n_features=1):
    """A law of a few rows, and the laws of its components in scipy."""
    rng = np.random.default_rng(draw(seeds))
    n, K = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    scale = 10.0 ** draw(st.integers(-6, 6))
    weights = rng.dirichlet(np.full(K, 0.7), size=n)
    weights[rng.random((n, K)) < 0.2] = 0.0
    weights[weights.sum(axis=1) == 0, 0] = 1.0
    weights /= weights.sum(axis=1, keepdims=True)
    roots = scale * (rng.normal(size=(K, n_features, n_features)) + 2 * np.eye(n_features))
    means, covs = 4 * scale * rng.normal(size=(K, n_features)), roots @ roots.transpose(0, 2, 1)
    parts = [stats.multivariate_normal(mean, cov) for mean, cov in zip(means, covs, strict=True)]
    return PredictiveLaw(weights=weights, components=gaussians(means, covs)), parts, scale


@st.composite
def count_mixtures(draw):
    rng = np.random.default_rng(draw(seeds))
    n, K = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rates = draw(st.lists(st.floats(0, 30), min_size=K, max_size=K))
    weights = rng.dirichlet(np.ones(K), size=n)
    table = np.stack([stats.poisson.pmf(np.arange(200), rate) for rate in rates])
    return PredictiveLaw(weights=weights, components=poisson(*rates)), weights @ table


# ------------------------------------------------------------------------------------------------- real numbers


@given(mixtures(), st.floats(-6, 6))
def test_the_cdf_is_the_weighted_sum(drawn, place):
    law, parts, scale = drawn
    x = place * scale
    each = [stats.norm.cdf(x, part.mean[0], math.sqrt(part.cov[0, 0])) for part in parts]
    np.testing.assert_allclose(law.cdf(x), law.weights @ each, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(law.cdf(np.full((len(law), 1), x)), law.weights @ each, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(law.cdf(np.inf), np.ones(len(law)), rtol=1e-15)
    np.testing.assert_array_equal(law.cdf(-np.inf), np.zeros(len(law)))
    assert np.isnan(law.cdf(np.nan)).all()


@given(mixtures(), levels)
def test_intervals_are_roots_of_the_cdf(drawn, level):
    law, parts, scale = drawn
    found = law.interval(level)
    assert found.low.shape == found.high.shape == (len(law), 1)
    sds = [math.sqrt(part.cov[0, 0]) for part in parts]
    for row, weights in enumerate(law.weights):

        def beyond(x, p, weights=weights):
            cdf = sum(w * stats.norm.cdf(x, part.mean[0], sd) for w, part, sd in zip(weights, parts, sds, strict=True))
            return cdf - p

        for bound, p in ((found.low[row, 0], (1 - level) / 2), (found.high[row, 0], (1 + level) / 2)):
            root = optimize.brentq(beyond, -1e3 * scale, 1e3 * scale, (p,), xtol=1e-14 * scale, rtol=1e-14)
            assert beyond(bound, p) == pytest.approx(0.0, abs=1e-13)
            if beyond(root + 1e-3 * scale, p) - beyond(root - 1e-3 * scale, p) > 1e-9:  # not in a gap between modes
                assert bound == pytest.approx(root, abs=1e-4 * scale)


@given(mixtures(n_features=2), levels)
def test_intervals_of_several_features_are_those_of_each(drawn, level):
    law, parts, _ = drawn
    found = law.interval(level)
    for d in range(2):
        marginal = gaussians([[p.mean[d]] for p in parts], [[[p.cov[d, d]]] for p in parts])
        alone = PredictiveLaw(weights=law.weights, components=marginal).interval(level)
        np.testing.assert_allclose(found.low[:, d], alone.low[:, 0], rtol=1e-12)
        np.testing.assert_allclose(found.high[:, d], alone.high[:, 0], rtol=1e-12)


@given(st.integers(1, 3).flatmap(lambda d: mixtures(n_features=d)))
def test_moments_are_those_of_the_mixture(drawn):
    law, parts, scale = drawn
    with mpmath.workdps(50):
        for row, weights in enumerate(law.weights):
            w = [mpmath.mpf(float(weight)) for weight in weights]
            means = [[mpmath.mpf(float(value)) for value in part.mean] for part in parts]
            D = len(means[0])
            mean = [sum(w[k] * means[k][d] for k in range(len(w))) for d in range(D)]
            cov = [
                [
                    sum(
                        w[k]
                        * (mpmath.mpf(float(parts[k].cov[i, j])) + (means[k][i] - mean[i]) * (means[k][j] - mean[j]))
                        for k in range(len(w))
                    )
                    for j in range(D)
                ]
                for i in range(D)
            ]
            np.testing.assert_allclose(law.mean[row], np.array(mean, float), rtol=1e-12, atol=1e-12 * scale)
            np.testing.assert_allclose(law.cov[row], np.array(cov, float), rtol=1e-12, atol=1e-11 * scale**2)


def test_the_variance_of_one_component_is_kept_beside_another_far_away():
    law = PredictiveLaw(weights=[[1.0, 0.0], [0.0, 1.0]], components=gaussians([[0.0], [1e9]], [[[1.0]], [[2.0]]]))
    np.testing.assert_allclose(law.cov[:, 0, 0], [1.0, 2.0], rtol=1e-15)


@given(st.integers(1, 3).flatmap(lambda d: mixtures(n_features=d)), seeds, st.data())
def test_densities_are_sums_with_missing_features_integrated_out(drawn, seed, data):
    law, parts, _ = drawn
    rng = np.random.default_rng(seed)
    x = np.stack([np.atleast_1d(parts[rng.integers(len(parts))].rvs(random_state=rng)) for _ in range(len(law))])
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=x.size, max_size=x.size))).reshape(x.shape)
    x[gone] = np.nan
    expected = np.full(len(law), np.nan)
    for row, value in enumerate(x):
        seen = ~np.isnan(value)
        if seen.any():
            logs = [
                stats.multivariate_normal.logpdf(value[seen], part.mean[seen], part.cov[np.ix_(seen, seen)])
                for part in parts
            ]
            with np.errstate(divide="ignore"):
                terms = [mpmath.exp(float(log)) * float(w) for log, w in zip(logs, law.weights[row], strict=True)]
            expected[row] = float(mpmath.log(sum(terms)))
    np.testing.assert_allclose(law.log_density(x), expected, rtol=1e-8, atol=1e-8)


def test_a_density_is_not_lost_beside_a_component_of_weight_zero():
    law = PredictiveLaw(weights=[[0.0, 1.0]], components=gaussians([[0.0], [100.0]], [[[1.0]], [[1.0]]]))
    assert law.log_density([0.0])[0] == pytest.approx(stats.norm.logpdf(100.0))


def test_one_observation_serves_all_rows_in_every_shape():
    one = PredictiveLaw(weights=np.full((3, 2), 0.5), components=gaussians([[0.0], [0.0]], [[[1.0]], [[1.0]]]))
    for x in (1.0, [1.0], [[1.0]], [1.0] * 3, np.ones((3, 1)), pd.Series([1.0] * 3), pl.Series([1.0] * 3)):
        np.testing.assert_allclose(one.log_density(x), [stats.norm.logpdf(1.0)] * 3)
    two = PredictiveLaw(weights=np.ones((3, 1)), components=gaussians([[0.0, 0.0]], [np.eye(2)]))
    for x in ([1.0, 2.0], [[1.0, 2.0]], np.array([[1.0, 2.0]] * 3), pd.DataFrame([[1.0, 2.0]] * 3)):
        np.testing.assert_allclose(two.log_density(x), [stats.norm.logpdf([1.0, 2.0]).sum()] * 3)
    assert np.isnan(one.log_density(None)).all()
    assert np.isnan(one.log_density([1.0, np.nan, 1.0])).tolist() == [False, True, False]


def test_draws_follow_the_mixture():
    n = 20_000
    law = PredictiveLaw(weights=np.tile([0.3, 0.7], (n, 1)), components=gaussians([[-2.0], [3.0]], [[[1.0]], [[4.0]]]))
    draws = law.sample(1)
    assert draws.shape == (n, 1)
    assert (
        stats.kstest(draws[:, 0], lambda x: 0.3 * stats.norm.cdf(x, -2) + 0.7 * stats.norm.cdf(x, 3, 2)).pvalue > 1e-3
    )
    inside = law[0].interval(0.9)
    share = ((draws >= inside.low) & (draws <= inside.high)).mean()
    assert share == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / n))


def test_components_may_be_mixtures_themselves():
    emission = GaussianMixtureEmission(2, "spherical")
    emission.weights = np.array([[0.25, 0.75], [0.5, 0.5]])
    emission.means = np.array([[[0.0], [4.0]], [[-3.0], [9.0]]])
    emission.covars = np.array([[1.0, 4.0], [9.0, 0.25]])
    law = PredictiveLaw(weights=[[0.4, 0.6]], components=emission)
    flat = gaussians([[0.0], [4.0], [-3.0], [9.0]], np.array([1.0, 4.0, 9.0, 0.25])[:, None, None])
    same = PredictiveLaw(weights=[[0.1, 0.3, 0.3, 0.3]], components=flat)
    np.testing.assert_allclose(law.mean, same.mean, rtol=1e-14)
    np.testing.assert_allclose(law.cov, same.cov, rtol=1e-14)
    np.testing.assert_allclose(law.log_density(1.3), same.log_density(1.3), rtol=1e-13)
    for mine, other in zip(law.interval(0.8), same.interval(0.8), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)
    for event in (lambda v: v > 2, lambda v: math.floor(v) % 3):
        np.testing.assert_allclose(law.log_event(event, [1.3]), same.log_event(event, [1.3]), rtol=1e-9)


# ---------------------------------------------------------------------------------------------------------- counts


@given(count_mixtures(), st.integers(1, 99))
def test_intervals_of_counts_are_the_smallest_integers(drawn, percent):
    law, table = drawn
    cumulative = np.cumsum(table, axis=1)
    tail = (1 - percent / 100) / 2
    assume((abs(cumulative - tail) > 1e-12).all() and (abs(cumulative - (1 - tail)) > 1e-12).all())
    found = law.interval(percent / 100)
    assert found.low.dtype == np.int64
    np.testing.assert_array_equal(found.low[:, 0], (cumulative >= tail).argmax(axis=1))
    np.testing.assert_array_equal(found.high[:, 0], (cumulative >= 1 - tail).argmax(axis=1))


@given(count_mixtures(), st.integers(0, 60))
def test_probabilities_of_counts_are_sums(drawn, count):
    law, table = drawn
    np.testing.assert_allclose(law.probability(count), table[:, count], rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(law.cdf(count + 0.5), table[:, : count + 1].sum(axis=1), rtol=1e-12)
    logs = stats.poisson.logpmf(count, law.components.lambdas[:, 0])
    with np.errstate(divide="ignore"):
        expected = special.logsumexp(logs, axis=1, b=law.weights)
    np.testing.assert_allclose(law.log_density(count), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(law.cdf(-0.5), np.zeros(len(law)))


@given(count_mixtures(), st.integers(1, 6), st.data())
def test_events_of_counts_are_sums(drawn, modulus, data):
    law, table = drawn
    x = data.draw(st.lists(st.integers(0, 40), min_size=len(law), max_size=len(law)))
    expected = [row[np.arange(200) % modulus == seen % modulus].sum() for row, seen in zip(table, x, strict=True)]
    with np.errstate(divide="ignore"):
        found = np.exp(law.log_event(lambda count: count % modulus, x))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("seen", [60, 90, 400])
def test_remote_counts_keep_their_small_probability(seen):
    law = PredictiveLaw(weights=[[0.5, 0.5]], components=poisson(3.0, 10.0))
    with mpmath.workdps(60):

        def tail(rate):
            return mpmath.nsum(
                lambda n: mpmath.exp(n * mpmath.log(rate) - rate - mpmath.loggamma(n + 1)), [55, mpmath.inf]
            )

        expected = float(mpmath.log((tail(3) + tail(10)) / 2))
    np.testing.assert_allclose(law.log_event(lambda count: count >= 55, [seen]), [expected], rtol=1e-9)


def test_counts_of_several_features_have_intervals_of_each():
    law = PredictiveLaw(weights=[[1.0]], components=poisson([2.0, 50.0]))
    found = law.interval(0.9)
    np.testing.assert_array_equal(found.low[0], stats.poisson.ppf(0.05, [2, 50]))
    np.testing.assert_array_equal(found.high[0], stats.poisson.ppf(0.95, [2, 50]))
    np.testing.assert_allclose(law.log_density([3, 40]), stats.poisson.logpmf([3, 40], [2, 50]).sum())


@pytest.mark.parametrize("wrong", [-1, 2.5])
def test_what_is_no_count_is_refused(wrong):
    with pytest.raises(ValueError, match="expected a count"):
        PredictiveLaw(weights=[[1.0]], components=poisson(2.0)).log_density(wrong)


# ----------------------------------------------------------------------------------------------------------- atoms


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0, 1), levels, st.integers(-200, 200))
def test_quantiles_of_a_law_with_an_atom_are_its_closed_form(dry, other, weight, level, power):
    scale = 10.0**power
    law = PredictiveLaw(weights=[[weight, 1 - weight]], components=Rain([dry, other], [scale, scale]))
    atom = weight * dry + (1 - weight) * other  # with one scale the mixture is of the same family
    for bound, p in zip(law.interval(level), ((1 - level) / 2, 1 - (1 - level) / 2), strict=True):
        assume(abs(p - atom) > 1e-9)
        expected = 0.0 if p <= atom else -scale * math.log((1 - p) / (1 - atom))
        assert bound[0, 0] == pytest.approx(expected, rel=1e-9, abs=1e-14 * scale)
        assert (bound[0, 0] == 0) == (expected == 0)


EVENTS = {
    "wet": (lambda mm: mm > 0, lambda dry, scale: 1 - dry, 3.0),
    "dry": (lambda mm: mm > 0, lambda dry, scale: dry, 0.0),
    "exactly nothing": (lambda mm: mm == 0, lambda dry, scale: dry, 0.0),
    "something": (lambda mm: mm == 0, lambda dry, scale: 1 - dry, 2.0),
    "at least one": (lambda mm: mm >= 1, lambda dry, scale: (1 - dry) * math.exp(-1 / scale), 3.0),
    "a little": (
        lambda mm: 0 < mm <= 0.5,
        lambda dry, scale: (1 - dry) * -math.expm1(-0.5 / scale),
        0.25,
    ),
    "whole millimetres": (
        math.floor,
        lambda dry, scale: (1 - dry) * (math.exp(-2 / scale) - math.exp(-3 / scale)),
        2.5,
    ),
    "the first millimetre": (math.floor, lambda dry, scale: 1 - (1 - dry) * math.exp(-1 / scale), 0.3),
}


@pytest.mark.parametrize(("event", "probability", "x"), EVENTS.values(), ids=EVENTS.keys())
def test_events_of_a_law_with_an_atom_have_their_probability(event, probability, x):
    dry, scale, weights = [0.9, 0.3], [0.7, 6.0], [0.35, 0.65]
    law = PredictiveLaw(weights=[weights], components=Rain(dry, scale))
    expected = sum(w * probability(d, s) for w, d, s in zip(weights, dry, scale, strict=True))
    np.testing.assert_allclose(np.exp(law.log_event(event, [x])), [expected], rtol=1e-11)


@given(st.floats(0.01, 0.99), st.floats(0.1, 10), st.lists(st.floats(0, 30), min_size=2, max_size=2, unique=True))
def test_bins_are_closed_below_and_open_above(dry, scale, edges):
    low, high = sorted(edges)
    law = PredictiveLaw(weights=[[1.0]], components=Rain([dry], [scale]))
    tail = [(1 - dry) * math.exp(-edge / scale) for edge in (low, high)]
    expected = tail[0] - tail[1] + (dry if low == 0 else 0.0)
    np.testing.assert_allclose(np.exp(law.log_between(low, high)), [expected], rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(np.exp(law.log_between(-np.inf, 0.0)), [0.0], atol=1e-300)
    np.testing.assert_allclose(law.log_between(-np.inf, np.inf), [0.0], atol=1e-15)


@pytest.mark.parametrize("score", [-30.0, -9.0, -5.0, 5.0, 9.0, 30.0])
def test_events_far_out_on_either_side_keep_their_small_probability(score):
    law = PredictiveLaw(weights=[[1.0, 0.0]], components=gaussians([[5.0], [5.0]], [[[4.0]], [[4.0]]]))
    threshold = 5.0 + 2.0 * score
    expected = float(stats.norm.logsf(abs(score)))
    x = threshold + math.copysign(0.5, score)
    np.testing.assert_allclose(law.log_event(lambda v: v > threshold, [x]), [expected], rtol=1e-9)
    ends = (threshold, np.inf) if score > 0 else (-np.inf, threshold)
    np.testing.assert_allclose(law.log_between(*ends), [expected], rtol=1e-9)


@settings(max_examples=15)
@given(mixtures(), st.floats(-2, 2))
def test_the_outcomes_of_an_event_share_all_probability(drawn, place):
    law, _, scale = drawn
    edges = np.sort(np.array([place, place + 0.3, place + 2.0]) * scale)
    inside = [edges[0] - scale, *((edges[1:] + edges[:-1]) / 2), edges[-1] + scale]
    with np.errstate(divide="ignore"):
        total = sum(np.exp(law.log_event(lambda v: int(np.searchsorted(edges, v)), [x] * len(law))) for x in inside)
    np.testing.assert_allclose(total, np.ones(len(law)), atol=1e-12)


def test_a_missing_observation_has_no_event():
    law = PredictiveLaw(weights=[[1.0]] * 2, components=Rain([0.5], [1.0]))
    found = law.log_event(lambda mm: mm > 0, [None, 2.0])
    assert np.isnan(found).tolist() == [True, False]
    assert np.isnan(law.log_event(lambda mm: mm > 0, [None, np.nan])).all()


# ------------------------------------------------------------------------------------------------- what is absent


ABSENT = {"interval": "cdf(x)", "cdf": "cdf(x)", "log_event": "cdf(x)", "log_between": "cdf(x)"}
ABSENT |= {"mean": "mean()", "cov": "mean(), cov()", "to_frame": "mean(), cov()"}


@pytest.mark.parametrize(("verb", "member"), ABSENT.items())
def test_what_needs_more_than_the_components_have_is_absent_and_says_why(verb, member):
    law = PredictiveLaw(weights=[[0.5, 0.5]], components=Bare([0.9, 0.3], [1.0, 4.0]))
    assert not hasattr(law, verb)
    with pytest.raises(AttributeError) as caught:
        getattr(law, verb)
    assert str(caught.value) == f"this law has no {verb}: Bare lacks {member}"
    assert hasattr(PredictiveLaw(weights=[[1.0]], components=gaussians([[0.0]], [[[1.0]]])), verb)


def test_densities_and_draws_need_nothing_more():
    law = PredictiveLaw(weights=[[0.5, 0.5]] * 2, components=Bare([0.9, 0.3], [1.0, 4.0]))
    expected = math.log(0.5 * 0.1 * math.exp(-2) + 0.5 * 0.7 / 4 * math.exp(-0.5))
    np.testing.assert_allclose(law.log_density([0.0, 2.0]), [math.log(0.6), expected], rtol=1e-14)
    assert law.sample(0).shape == (2,)
    assert law.support == "reals"


def test_one_number_has_a_probability_only_where_it_may_be_a_count():
    with pytest.raises(TypeError, match="gives no single value a probability"):
        PredictiveLaw(weights=[[1.0]], components=Rain([0.5], [1.0])).probability(0.0)


def test_several_features_have_no_cdf_and_no_event():
    law = PredictiveLaw(weights=[[1.0]], components=gaussians([[0.0, 0.0]], [np.eye(2)]))
    for verb, arguments in (("cdf", (0.0,)), ("log_event", (bool, [0.0])), ("log_between", (0.0, 1.0))):
        with pytest.raises(ValueError, match=f"{verb} is for one feature; this law has 2"):
            getattr(law, verb)(*arguments)


class WrongShape(Rain):
    def cdf(self, x):
        return super().cdf(x).sum(axis=1)


class NotEverywhere(Rain):
    def cdf(self, x):
        return np.where(abs(x) > 1e100, np.nan, super().cdf(x))


@pytest.mark.parametrize(("kind", "what"), [(WrongShape, "shape"), (NotEverywhere, "NaN")])
def test_a_cdf_that_is_none_is_named(kind, what):
    law = PredictiveLaw(weights=[[0.5, 0.5]], components=kind([0.9, 0.3], [1.0, 4.0]))
    with pytest.raises(ValueError, match=rf"{kind.__name__}\.cdf returned {what}.* from .* to .*, expected"):
        law.interval()


class NeverOne(Rain):
    def cdf(self, x):
        return 0.9 * super().cdf(x)


def test_a_cdf_that_does_not_reach_one_is_named():
    law = PredictiveLaw(weights=[[0.5, 0.5]], components=NeverOne([0.9, 0.3], [1.0, 4.0]))
    with pytest.raises(ValueError, match=r"NeverOne\.cdf reaches 0\.975 at no number: it must go from 0 to 1"):
        law.interval()


def test_a_density_of_another_number_of_components_is_named():
    law = PredictiveLaw(weights=[[0.5, 0.3, 0.2]], components=Rain([0.9, 0.3], [1.0, 4.0]))
    with pytest.raises(ValueError, match=r"Rain\.log_likelihood returned shape \(1, 2\) .* shape \(1, 3\)"):
        law.log_density(1.0)


def test_events_of_very_large_counts_are_asked_by_their_ends():
    law = PredictiveLaw(weights=[[0.5, 0.5]], components=poisson(1e9, 1.001e9))
    with pytest.raises(ValueError, match=r"reach to 1e\+09, too many .*: log_between"):
        law.log_event(lambda count: count > 10**9, [10**9])
    expected = stats.poisson.sf(1_000_500_000 - 1, [1e9, 1.001e9]).mean()
    np.testing.assert_allclose(np.exp(law.log_between(1_000_500_000, np.inf)), [expected], rtol=1e-9)


def test_intervals_of_counts_by_their_ends_are_sums():
    law = PredictiveLaw(weights=[[0.25, 0.75]], components=poisson(2.0, 7.0))
    pmf = law.weights[0] @ stats.poisson.pmf(np.arange(200), [[2.0], [7.0]])
    for low, high in ((3, 6), (0, 1), (2.5, 40), (30, np.inf), (-np.inf, 4)):
        chosen = (np.arange(200) >= low) & (np.arange(200) < high)
        np.testing.assert_allclose(np.exp(law.log_between(low, high)), [pmf[chosen].sum()], rtol=1e-9)


def test_rows_known_in_part_need_components_that_say_they_can():
    class Two(Rain):
        def mean(self):
            return np.zeros((1, 2))

    law = PredictiveLaw(weights=[[1.0]], components=Two([0.5], [1.0]))
    with pytest.raises(ValueError, match="missing in part, and Two does not say"):
        law.log_density([1.0, np.nan])


# ------------------------------------------------------------------------------------------------------ container


DATED = PredictiveLaw(
    weights=[[0.5, 0.5], [0.2, 0.8], [1.0, 0.0]],
    components=poisson(1.0, 5.0),
    index=pd.date_range("2024-01-01", periods=3, name="day"),
)


@pytest.mark.parametrize("key", [0, -1, slice(1, None), np.array([2, 0]), np.array([True, False, True])])
def test_rows_are_chosen_as_of_an_array(key):
    part = DATED[key]
    assert isinstance(part, PredictiveLaw)
    np.testing.assert_array_equal(part.weights, np.atleast_2d(DATED.weights[key]))
    assert part.index.tolist() == np.atleast_1d(DATED.index[key]).tolist()


def test_a_law_says_what_it_is_and_is_not_changed():
    assert (DATED.support, DATED.probabilities, DATED.symbols) == ("counts", None, None)
    assert repr(DATED).startswith("PredictiveLaw of 3 rows, counts: probabilities of the 2 components of <Poisson")
    with pytest.raises(dataclasses.FrozenInstanceError):
        DATED.weights = None
    assert [len(row) for row in DATED] == [1, 1, 1]


def test_a_frame_has_mean_and_deviation_and_the_dates():
    frame = DATED.to_frame()
    pd.testing.assert_index_equal(frame.index, DATED.index)
    np.testing.assert_allclose(frame["mean"], [3.0, 4.2, 1.0])
    np.testing.assert_allclose(frame["standard_deviation"] ** 2, [3 + 4, 4.2 + 0.16 * 16, 1.0])


def test_an_impossible_past_has_no_interval():
    law = PredictiveLaw(weights=[[np.nan, np.nan], [0.5, 0.5]], components=poisson(1.0, 5.0))
    assert np.isnan(law.interval().high[:, 0]).tolist() == [True, False]


MISUSES = [
    ({"weights": [[1.0]]}, TypeError, "with weights needs components"),
    ({"weights": [[1.0]], "components": Rain([0.5], [1.0]), "cov": [[[1.0]]]}, TypeError, "and has no cov"),
    ({"weights": [1.0], "components": Rain([0.5], [1.0])}, ValueError, r"weights has shape \(1,\), expected \(n, n_co"),
    ({"weights": [[1.0]], "components": 1, "index": [1, 2]}, ValueError, "index has 2 times for a law of 1 rows"),
    ({"weights": [[1.0]], "components": 1, "mean": [[1.0]]}, TypeError, "either probabilities and symbols"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), MISUSES)
def test_what_makes_no_law_is_refused_in_words(arguments, error, message):
    with pytest.raises(error, match=message):
        PredictiveLaw(**arguments)


@pytest.mark.parametrize("verb", ["cdf", "log_density"])
def test_neither_one_observation_nor_one_a_row_is_refused(verb):
    with pytest.raises(ValueError, match=r"x has 2 observations, the law has 3 rows: give one, or one a row"):
        getattr(DATED, verb)([1, 2])


LAWS = [
    PredictiveLaw([[0.5, 0.5]], ["a", "b"]),
    PredictiveLaw(mean=[[0.5]], cov=[[[2.0]]]),
    PredictiveLaw(weights=[[0.5, 0.5]], components=poisson(1.0, 5.0)),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda law: pickle.loads(pickle.dumps(law)), dataclasses.replace, lambda law: law[0]],
)
def test_a_law_is_copied_and_sent_to_other_processes(law, again):
    other = again(law)
    assert type(other) is type(law)
    assert isinstance(other, PredictiveLaw)
    assert other.interval(0.8).high.tolist() == law.interval(0.8).high.tolist()
    assert repr(other) == repr(law)
