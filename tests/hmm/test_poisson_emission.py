"""Poisson emissions: against scipy, M-steps against rivals, gradients against differences, priors and gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statespace.hmm import HMM, PoissonEmission, PoissonHMM
from tests.hmm.emission_checks import (
    assert_archive_keeps_everything,
    assert_gradient_is_the_derivative,
    assert_m_step_cannot_be_beaten,
)

seeds = st.integers(0, 2**32 - 1)
PRIOR = {"lambdas_prior": 2.5, "lambdas_weight": 1.5}


def drawn(seed, n=15, missing=False, **options):
    rng = np.random.default_rng(seed)
    K, D = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    emission = PoissonEmission(**options)
    emission.lambdas = rng.gamma(2, size=(K, D))
    emission.check(K)
    X = rng.poisson(3, (n, D))
    if missing:
        X = np.where(rng.random((n, D)) < 0.3, np.nan, X)
    return rng, emission, X, rng.dirichlet(np.ones(K), size=n) * rng.integers(0, 3, (n, 1))


@given(seeds, st.booleans())
def test_log_likelihoods_are_scipys_of_what_is_known(seed, missing):
    _, emission, X, _ = drawn(seed, missing=missing)
    by_feature = stats.poisson.logpmf(np.nan_to_num(X)[:, None], emission.lambdas)
    expected = np.where(np.isnan(X)[:, None], 0.0, by_feature).sum(axis=2)
    np.testing.assert_allclose(emission.log_likelihood(X), expected, rtol=1e-12, atol=1e-12)


@given(seeds, st.sampled_from([{}, PRIOR]), st.booleans())
def test_no_rival_beats_the_m_step(seed, prior, missing):
    rng, emission, X, posteriors = drawn(seed, missing=missing, **prior)
    assert_m_step_cannot_be_beaten(emission, X, posteriors, rng)


@given(seeds, st.sampled_from([{}, PRIOR]), st.booleans(), st.booleans())
def test_the_gradient_is_the_derivative(seed, prior, missing, held):
    rng, emission, X, posteriors = drawn(seed, missing=missing, **prior)
    if held:
        emission.fixed = {"lambdas": rng.random(emission.lambdas.shape) < 0.4}
    assert_gradient_is_the_derivative(emission, X, posteriors)


@given(seeds)
def test_held_rates_stay_and_the_others_are_the_weighted_means(seed):
    rng, emission, X, posteriors = drawn(seed)
    held, before = rng.random(emission.lambdas.shape) < 0.4, emission.lambdas.copy()
    emission.fixed = {"lambdas": held}
    emission.m_step(X, posteriors)
    np.testing.assert_array_equal(emission.lambdas[held], before[held])
    for k, weights in enumerate(posteriors.T):
        if weights.sum():
            expected = np.average(X, axis=0, weights=weights)
            np.testing.assert_allclose(emission.lambdas[k][~held[k]], expected[~held[k]], rtol=1e-12)
    assert emission.n_parameters == (~held).sum()
    assert_archive_keeps_everything(emission)


def test_the_prior_is_the_gamma_law_whose_mean_stands_for_more_counts():
    # lambda^a exp(-b lambda) times the likelihood has its maximum at (a + sum x) / (b + n)
    x = np.array([3, 5, 4])
    model = PoissonHMM(1, lambdas_prior=10.0, lambdas_weight=2.0).fit(x)
    assert model.lambdas_[0, 0] == pytest.approx(22 / 5, rel=1e-12)


def test_a_prior_may_be_given_for_each_state_or_entry():
    X = np.random.default_rng(0).poisson(4, (40, 2))
    start = np.array([[2.0, 3.0], [6.0, 5.0]])
    fitted = []
    for weight in (np.array([1.0, 4.0]), np.array([[1.0, 1.0], [4.0, 4.0]])):
        emission = PoissonEmission(lambdas_prior=3.0, lambdas_weight=weight[:, None] if weight.ndim == 1 else weight)
        emission.lambdas = start.copy()
        init = {"startprob": [0.5, 0.5], "transmat": [[0.8, 0.2], [0.2, 0.8]]}
        fitted.append(HMM(2, emission, init=init, n_iter=1).fit(X).emission_.lambdas)
    np.testing.assert_array_equal(*fitted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lambdas_prior": -1.0}, "lambdas_prior is -1.0, expected numbers of at least 0"),
        ({"lambdas_weight": np.ones(5)}, r"lambdas_weight has shape \(5,\)"),
    ],
)
def test_priors_that_are_none_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PoissonHMM(2, random_state=0, **options).fit([1, 2, 3, 4])
