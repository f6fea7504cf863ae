"""Bernoulli emissions: against scipy, M-steps against rivals, gradients against differences, eruptions of a geyser."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statespace import MarkovChain
from statespace.hmm import BernoulliEmission, BernoulliHMM
from tests.hmm.emission_checks import (
    assert_archive_keeps_everything,
    assert_gradient_is_the_derivative,
    assert_m_step_cannot_be_beaten,
    brute_force_score,
)

seeds = st.integers(0, 2**32 - 1)
GEYSER = Path(__file__).parents[3] / "shared" / "data" / "old_faithful" / "geyser.csv"


def drawn(seed, n=15, missing=False, **options):
    rng = np.random.default_rng(seed)
    K, D = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    emission = BernoulliEmission(**options)
    emission.probs = rng.beta(1, 1, size=(K, D))
    emission.check(K)
    X = (rng.random((n, D)) < 0.4).astype(np.int64)
    if missing:
        X = np.where(rng.random((n, D)) < 0.3, np.nan, X)
    return rng, emission, X, rng.dirichlet(np.ones(K), size=n) * rng.integers(0, 3, (n, 1))


@given(seeds)
def test_log_likelihoods_are_scipys(seed):
    _, emission, X, _ = drawn(seed)
    expected = stats.bernoulli.logpmf(X[:, None], emission.probs).sum(axis=2)
    np.testing.assert_allclose(emission.log_likelihood(X), expected, rtol=1e-12, atol=1e-13)


@given(seeds)
def test_a_missing_answer_is_summed_over(seed):
    rng, emission, X, _ = drawn(seed)
    d = int(rng.integers(X.shape[1]))
    known = X.astype(float)
    known[:, d] = np.nan
    both = []
    for value in (0, 1):
        filled = X.copy()
        filled[:, d] = value
        both.append(emission.log_likelihood(filled))
    np.testing.assert_allclose(emission.log_likelihood(known), np.logaddexp(*both), rtol=1e-11, atol=1e-12)


@given(seeds, st.sampled_from([1.0, 2.5]), st.booleans())
def test_no_rival_beats_the_m_step(seed, prior, missing):
    rng, emission, X, posteriors = drawn(seed, missing=missing, probs_prior=prior)
    assert_m_step_cannot_be_beaten(emission, X, posteriors, rng)


@given(seeds, st.sampled_from([1.0, 2.5]), st.booleans(), st.booleans())
def test_the_gradient_is_the_derivative(seed, prior, missing, held):
    rng, emission, X, posteriors = drawn(seed, missing=missing, probs_prior=prior)
    if held:
        emission.fixed = {"probs": rng.random(emission.probs.shape) < 0.4}
    assert_gradient_is_the_derivative(emission, X, posteriors)


@given(seeds)
def test_certain_and_held_answers_stay(seed):
    rng, emission, X, posteriors = drawn(seed, probs_prior=2.0)
    emission.probs[0, 0] = 0.0
    held = rng.random(emission.probs.shape) < 0.4
    before = emission.probs.copy()
    emission.fixed = {"probs": held}
    emission.m_step(X, posteriors)
    assert emission.probs[0, 0] == 0.0
    np.testing.assert_array_equal(emission.probs[held], before[held])
    assert emission.n_parameters == (~held & (before > 0)).sum()
    assert_archive_keeps_everything(emission)


@given(seeds)
def test_the_score_is_the_sum_over_all_paths(seed):
    rng = np.random.default_rng(seed)
    model = BernoulliHMM(3)
    model.startprob_, model.transmat_ = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), size=3)
    model.probs_ = rng.random((3, 2))
    X = rng.integers(0, 2, (5, 2))
    np.testing.assert_allclose(model.score(X), brute_force_score(model, X), rtol=1e-12)


def test_the_cdf_and_the_moments_are_those_of_the_law():
    emission = BernoulliEmission()
    emission.probs = np.array([[0.2], [0.7]])
    x = np.array([-0.1, 0.0, 0.5, 1.0, 3.0])[:, None]
    np.testing.assert_allclose(emission.cdf(x), stats.bernoulli.cdf(x, [0.2, 0.7]), rtol=1e-15)
    np.testing.assert_allclose(emission.mean().ravel(), [0.2, 0.7])
    np.testing.assert_allclose(emission.cov().ravel(), stats.bernoulli.var([0.2, 0.7]), rtol=1e-15)


@pytest.mark.parametrize(
    ("x", "symbols"),
    [
        ([True, False, True, True, False, True], [False, True]),
        (np.array([1, 0, 1, 1, 0, 1]), [0, 1]),
        ([None, False, True, True, False, True], [False, True]),
        ([[True], [False], [True]], [False, True]),
    ],
)
def test_forecasts_name_the_answers_as_the_data_do(x, symbols):
    model = BernoulliHMM(1).fit(x)
    law = model.forecast(x, 2)
    assert law.symbols.tolist() == symbols
    assert model.sample(3)[0].dtype == np.asarray(symbols).dtype
    answers = np.array([value for value in np.ravel(np.array(x, dtype=object)) if value is not None], float)
    np.testing.assert_allclose(law.probabilities[:, 1], answers.mean(), rtol=1e-12)


def test_one_state_is_the_chain_of_order_zero():
    x = np.random.default_rng(3).random(50) < 0.3
    model = BernoulliHMM(1).fit(x)
    np.testing.assert_allclose(model.score(x), MarkovChain(0, smoothing=None).fit(x).score(x), rtol=1e-12)
    assert model.support == "categories"


@pytest.mark.parametrize("x", [[0, 1, 2], [0, -1], [0.5, 1]])
def test_other_answers_are_refused(x):
    with pytest.raises(ValueError, match="expected 0 or 1, False or True, or NaN"):
        BernoulliHMM(2).fit(x)


@pytest.mark.parametrize(
    ("probs", "message"), [([[0.5]], "2 rows"), ([[0.5], [1.5]], "0 to 1"), ([[np.nan], [0.5]], "0 to 1")]
)
def test_what_is_no_probability_is_refused(probs, message):
    model = BernoulliHMM(2)
    model.startprob_, model.transmat_, model.probs_ = [0.5, 0.5], np.full((2, 2), 0.5), probs
    with pytest.raises(ValueError, match=message):
        model.score([0, 1])


@pytest.mark.skipif(not GEYSER.exists(), reason=f"the eruptions are not at {GEYSER}")
def test_two_states_of_long_and_short_eruptions_have_the_published_likelihood():
    # Zucchini and MacDonald (2009), chapter 10
    x = np.loadtxt(GEYSER, delimiter=",", skiprows=1, usecols=2) >= 3
    model = BernoulliHMM(2, start="stationary", n_init=6, n_iter=2000, random_state=0).fit(x)
    assert -model.score(x) == pytest.approx(127.3110, abs=2e-3)
