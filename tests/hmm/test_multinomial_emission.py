"""Multinomial emissions: against scipy, M-steps against rivals, gradients against differences."""

import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statespace.hmm import CategoricalHMM, MultinomialEmission, MultinomialHMM
from tests.hmm.emission_checks import (
    assert_archive_keeps_everything,
    assert_gradient_is_the_derivative,
    assert_m_step_cannot_be_beaten,
    brute_force_score,
    objective,
)

seeds = st.integers(0, 2**32 - 1)


def drawn(seed, n=12, **options):
    rng = np.random.default_rng(seed)
    K, D = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    emission = MultinomialEmission(**options)
    emission.emissionprob = rng.dirichlet(np.ones(D), size=K)
    emission.check(K)
    totals = rng.integers(0, 9, n)
    X = rng.multinomial(totals, rng.dirichlet(np.ones(D)))
    return rng, emission, X.reshape(n, D), rng.dirichlet(np.ones(K), size=n) * rng.integers(0, 3, (n, 1))


@given(seeds)
def test_log_likelihoods_are_scipys(seed):
    _, emission, X, _ = drawn(seed)
    for k, p in enumerate(emission.emissionprob):
        expected = stats.multinomial.logpmf(X, X.sum(axis=1), p)
        np.testing.assert_allclose(emission.log_likelihood(X)[:, k], expected, rtol=1e-12, atol=1e-12)


def test_an_impossible_count_has_probability_zero():
    emission = MultinomialEmission()
    emission.emissionprob = np.array([[0.5, 0.5, 0.0]])
    emission.check(1)
    X = np.array([[1, 1, 0], [1, 0, 1]])
    np.testing.assert_allclose(emission.log_likelihood(X).ravel(), [np.log(0.5), -np.inf], rtol=1e-14)


@given(seeds, st.sampled_from([1.0, 2.5]))
def test_no_rival_beats_the_m_step(seed, prior):
    rng, emission, X, posteriors = drawn(seed, emissionprob_prior=prior)
    assert_m_step_cannot_be_beaten(emission, X, posteriors, rng)


@given(seeds, st.sampled_from([1.0, 2.5]), st.booleans())
def test_the_gradient_is_the_derivative(seed, prior, held):
    rng, emission, X, posteriors = drawn(seed, emissionprob_prior=prior)
    if held:
        emission.fixed = {"emissionprob": rng.random(emission.emissionprob.shape) < 0.4}
    assert_gradient_is_the_derivative(emission, X, posteriors)


@given(seeds)
def test_zeros_and_held_entries_stay_and_rows_stay_laws(seed):
    rng, emission, X, posteriors = drawn(seed)
    table = emission.emissionprob
    held = rng.random(table.shape) < 0.4
    emission.fixed = {"emissionprob": held}
    emission.m_step(X, posteriors)
    np.testing.assert_array_equal(emission.emissionprob[held], table[held])
    np.testing.assert_allclose(emission.emissionprob.sum(axis=1), 1, rtol=1e-12)
    assert_archive_keeps_everything(emission)


def test_a_fit_finds_the_frequencies_that_one_state_has():
    X = np.array([[3, 1, 0], [2, 2, 0], [0, 4, 4]])
    model = MultinomialHMM(1).fit(X)
    np.testing.assert_allclose(model.emissionprob_[0], X.sum(axis=0) / X.sum(), rtol=1e-12)


@given(seeds)
def test_the_score_is_the_sum_over_all_paths(seed):
    rng = np.random.default_rng(seed)
    model = MultinomialHMM(2)
    model.startprob_, model.transmat_ = rng.dirichlet([1, 1]), rng.dirichlet([1, 1], size=2)
    model.emissionprob_ = rng.dirichlet([1, 1, 1], size=2)
    X = rng.multinomial(4, [0.2, 0.3, 0.5], size=5)
    np.testing.assert_allclose(model.score(X), brute_force_score(model, X), rtol=1e-12)


def test_one_trial_a_step_is_a_categorical_model():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 40)
    one, many = CategoricalHMM(2), MultinomialHMM(2, n_trials=1)
    for model in (one, many):
        model.startprob_, model.transmat_ = [0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]]
        model.emissionprob_ = [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]
    X = np.eye(3, dtype=int)[codes]
    np.testing.assert_allclose(many.score(X), one.score(codes), rtol=1e-13)
    np.testing.assert_allclose(many.predict_proba(X), one.predict_proba(codes), atol=1e-13)


def test_missing_rows_add_no_evidence():
    model = MultinomialHMM(2, n_trials=3)
    model.startprob_, model.transmat_ = [0.5, 0.5], np.array([[0.9, 0.1], [0.2, 0.8]])
    model.emissionprob_ = [[0.7, 0.3], [0.2, 0.8]]
    X = np.array([[3.0, 0.0], [np.nan, np.nan], [1.0, 2.0]])
    b = model.emission_.log_likelihood(X[[0, 2]])
    paths = np.exp(b[0])[:, None] * 0.5 * np.linalg.matrix_power(model.transmat_, 2) * np.exp(b[1])
    np.testing.assert_allclose(model.score(X), np.log(paths.sum()), rtol=1e-12)


def marginal(x, total, p):
    """P of a row that is known in part: the sum over all that the missing counts may be."""
    unknown = np.flatnonzero(np.isnan(x))
    rest = int(total - np.nansum(x))
    found = 0.0
    for filling in product(range(rest + 1), repeat=len(unknown)):
        if sum(filling) == rest:
            whole = x.copy()
            whole[unknown] = filling
            found += stats.multinomial.pmf(whole, total, p)
    return found


@st.composite
def partly_known(draw):
    seed, D, total = draw(seeds), draw(st.integers(2, 4)), draw(st.integers(1, 5))
    rng = np.random.default_rng(seed)
    X = rng.multinomial(total, rng.dirichlet(np.ones(D)), size=7).astype(float)
    X[rng.random(X.shape) < 0.4] = np.nan
    emission = MultinomialEmission(n_trials=total)
    emission.emissionprob = rng.dirichlet(np.ones(D), size=2)
    emission.check(2)
    return rng, emission, X


@given(partly_known())
def test_rows_known_in_part_have_the_sum_over_what_is_missing(case):
    _, emission, X = case
    expected = [[marginal(x, emission.n_trials, p) for p in emission.emissionprob] for x in X]
    np.testing.assert_allclose(np.exp(emission.log_likelihood(X)), expected, rtol=1e-11)


@given(partly_known(), st.sampled_from([1.0, 2.5]))
def test_with_rows_known_in_part_no_m_step_lowers_the_objective(case, prior):
    rng, emission, X = case
    emission.emissionprob_prior = prior
    posteriors = rng.dirichlet([1, 1], size=len(X))
    assert_gradient_is_the_derivative(emission, X, posteriors)
    for _ in range(3):
        before = objective(emission, X, posteriors)
        emission.m_step(X, posteriors)
        assert objective(emission, X, posteriors) >= before - 1e-9 * (1 + abs(before))


@given(partly_known())
def test_a_model_of_rows_known_in_part_is_that_of_all_their_fillings(case):
    rng, emission, X = case
    model = MultinomialHMM(2, n_trials=emission.n_trials)
    model.startprob_, model.transmat_ = rng.dirichlet([1, 1]), rng.dirichlet([1, 1], size=2)
    model.emissionprob_ = emission.emissionprob
    b = np.array([[marginal(x, emission.n_trials, p) for p in emission.emissionprob] for x in X])
    total = 0.0
    for path in product(range(2), repeat=len(X)):
        moves = np.prod(model.transmat_[list(path[:-1]), list(path[1:])])
        total += model.startprob_[path[0]] * moves * np.prod(b[np.arange(len(X)), path])
    np.testing.assert_allclose(model.score(X), np.log(total), rtol=1e-10, atol=1e-12)


def test_a_single_missing_count_is_what_the_others_leave():
    rng = np.random.default_rng(3)
    whole = rng.multinomial(6, [0.2, 0.3, 0.5], size=60).astype(float)
    holes = whole.copy()
    holes[np.arange(60), rng.integers(0, 3, 60)] = np.nan
    for method in ("em", "lbfgs"):
        fits = [MultinomialHMM(2, n_trials=6, init_params="", n_iter=3, tol=-np.inf, method=method) for _ in range(2)]
        for model, X in zip(fits, (whole, holes), strict=True):
            model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.array([[0.8, 0.2], [0.3, 0.7]])
            model.emissionprob_ = np.array([[0.3, 0.3, 0.4], [0.1, 0.2, 0.7]])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(X)
        np.testing.assert_allclose(fits[1].emissionprob_, fits[0].emissionprob_, rtol=1e-9)


def test_rows_known_in_part_need_the_total():
    X = np.array([[1.0, np.nan], [1.0, 2.0], [0.0, 3.0]])
    with pytest.raises(ValueError, match="missing in part, and n_trials is None: give the one total"):
        MultinomialHMM(2).fit(X)
    with pytest.raises(ValueError, match=r"row 0 of X, .* adds up to 4, and n_trials is 3"):
        MultinomialHMM(2, n_trials=3).fit([[4.0, np.nan], [1.0, 2.0], [0.0, 3.0]])
    model = MultinomialHMM(1, n_trials=3).fit(X)
    assert model.score([[4.0, np.nan]]) == -np.inf
    assert model.n_trials == 3


def test_draws_have_the_totals_and_the_moments_of_the_law():
    emission = MultinomialEmission(n_trials=6)
    emission.emissionprob = np.array([[0.2, 0.3, 0.5]])
    X = emission.sample(np.zeros(40_000, int), np.random.default_rng(1))
    assert (X.sum(axis=1) == 6).all()
    np.testing.assert_allclose(X.mean(axis=0), emission.mean()[0], atol=5 * np.sqrt(1.5 / 40_000))
    np.testing.assert_allclose(np.cov(X.T), emission.cov()[0], atol=0.05)
    expected = stats.multinomial(6, [0.2, 0.3, 0.5])
    np.testing.assert_allclose(emission.cov()[0], expected.cov(), rtol=1e-14)


@pytest.mark.parametrize(
    ("options", "X", "message"),
    [
        ({"n_trials": 5}, [[2, 3], [2, 2]], "row 1 of X, of those that are known, adds up to 4, and n_trials is 5"),
        ({"n_trials": [5, 4, 3]}, [[2, 3], [2, 2]], "n_trials holds 3 totals and X has 2 rows"),
        ({"n_trials": 2.5}, [[2, 3]], "expected whole numbers"),
        ({}, [[2, -3]], "expected a count"),
        ({}, [[2, 0.5]], "expected a count"),
        ({"emissionprob_prior": 0.5}, [[2, 3], [2, 2]], "at least 1"),
        ({"emissionprob_prior": np.ones(3)}, [[2, 3], [2, 2]], r"shape \(3,\)"),
    ],
)
def test_what_does_not_fit_is_refused(options, X, message):
    with pytest.raises(ValueError, match=message):
        MultinomialHMM(2, random_state=0, **options).fit(X)


def test_totals_of_each_row_may_be_declared():
    X = np.array([[2, 3], [2, 2], [0, 1], [9, 0]])
    model = MultinomialHMM(1, n_trials=[5, 4, 1, 9]).fit(X)
    np.testing.assert_allclose(model.score(X), MultinomialHMM(1).fit(X).score(X), rtol=1e-12)


def test_a_sample_needs_one_total():
    model = MultinomialHMM(1, random_state=0).fit(np.array([[2, 3], [4, 1], [5, 0]]))
    assert model.n_trials == 5
    assert model.get_params()["n_trials"] is None
    assert (model.sample(4)[0].sum(axis=1) == 5).all()
    model.fit(np.array([[2, 3], [4, 1], [7, 0]]))
    assert model.n_trials is None
    with pytest.raises(ValueError, match="one total"):
        model.sample(4)


def test_other_totals_than_those_of_the_fit_can_be_scored():
    X = np.array([[2, 3], [4, 1], [5, 0]])
    model = MultinomialHMM(1, n_trials=5).fit(X)
    other = np.array([[1, 1], [7, 2]])
    expected = stats.multinomial.logpmf(other, other.sum(axis=1), model.emissionprob_[0]).sum()
    np.testing.assert_allclose(model.score(other), expected, rtol=1e-12)


def test_a_category_has_a_binomial_law_given_the_total():
    emission = MultinomialEmission(n_trials=6)
    emission.emissionprob = np.array([[0.2, 0.3, 0.5], [0.0, 0.9, 0.1]])
    x = np.array([-1.0, 0.0, 2.5, 6.0, 9.0])[:, None]
    for d in range(3):
        law = stats.binom(6, emission.emissionprob[:, d])
        np.testing.assert_allclose(emission.cdf(x, d), law.cdf(x), rtol=1e-13)
        np.testing.assert_allclose(emission.sf(x, d), law.sf(x), rtol=1e-12)
    emission.n_trials = None
    with pytest.raises(ValueError, match="one total"):
        emission.cdf(x)


def test_forecasts_have_intervals_of_each_category():
    X = np.array([[5, 1], [4, 2], [5, 1], [3, 3]])
    model = MultinomialHMM(1).fit(X)
    low, high = model.forecast(X, 1).interval(0.9)
    expected = stats.binom(6, model.emissionprob_[0]).interval(0.9)
    np.testing.assert_array_equal(low[0], expected[0])
    np.testing.assert_array_equal(high[0], expected[1])
