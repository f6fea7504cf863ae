"""Mixtures of Gaussians in each state: densities and EM steps against dense algebra, scipy, and hmmlearn."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.optimize import approx_fprime

from statespace.hmm import GMMHMM
from statespace.hmm.emissions.gaussian import GaussianEmission
from statespace.hmm.emissions.gaussian_mixture import GaussianMixtureEmission
from tests import naive_gaussian as naive

KINDS = ("spherical", "diag", "full", "tied")
kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**32)
cases = st.tuples(kinds, st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.booleans(), seeds)


def random_emission(rng, kind, K, M, D, **options):
    emission = GaussianMixtureEmission(M, kind, **options)
    emission.weights = rng.dirichlet(np.ones(M), size=K)
    emission.means = 2 * rng.normal(size=(K, M, D))
    A = rng.normal(size=(K, M, D, D))
    full = A @ A.swapaxes(-1, -2) + 0.3 * np.eye(D)
    emission.covars = {
        "spherical": np.exp(rng.normal(size=(K, M))),
        "diag": np.exp(rng.normal(size=(K, M, D))),
        "full": full,
        "tied": full[:, 0],
    }[kind]
    emission.check(K)
    return emission


def drawn(case, n=20, **options):
    kind, K, M, D, missing, seed = case
    rng = np.random.default_rng(seed)
    emission = random_emission(rng, kind, K, M, D, **options)
    X = 2 * rng.normal(size=(n, D))
    if missing:
        X[rng.random((n, D)) < 0.3] = np.nan
        X[np.isnan(X).all(axis=1), 0] = 0.5
    return rng, emission, X, rng.dirichlet(np.ones(K), size=n) * rng.integers(1, 3, size=(n, 1))


def responsibilities(emission, X, posteriors):
    """posteriors[n, k] times the probability of each component, (n, K, M)."""
    densities = np.stack(
        [
            naive.log_densities(X, means, covs) + np.log(weights)
            for weights, means, covs in zip(emission.weights, emission.means, emission.full_covariances, strict=True)
        ],
        axis=1,
    )
    return posteriors[:, :, None] * np.exp(densities - np.logaddexp.reduce(densities, axis=2, keepdims=True))


@given(cases)
def test_densities_are_sums_over_components(case):
    _, emission, X, _ = drawn(case)
    X[2] = np.nan
    expected = naive.mixture_log_densities(X, emission.weights, emission.means, emission.full_covariances)
    np.testing.assert_allclose(emission.log_likelihood(X), expected, rtol=1e-10, atol=1e-10)


def test_a_weight_of_zero_takes_its_component_out():
    emission = random_emission(np.random.default_rng(0), "diag", 1, 2, 1)
    emission.weights = np.array([[0.0, 1.0]])
    x = np.array([[0.3], [1e200]])
    alone = stats.norm.logpdf(x[0], emission.means[0, 1], np.sqrt(emission.covars[0, 1]))
    found = emission.log_likelihood(x)
    np.testing.assert_allclose(found[0], alone)
    assert found[1] == -np.inf
    emission.m_step(x[:1], np.ones((1, 1)))
    np.testing.assert_array_equal(emission.weights, [[0.0, 1.0]])


@given(cases)
def test_an_m_step_weighs_rows_by_component(case):
    _, emission, X, posteriors = drawn(case, n=40, min_covar=0.0)
    K, _M, _D = emission.means.shape
    r = responsibilities(emission, X, posteriors)
    kind, covs = emission.covariance_type, emission.full_covariances
    expected = [naive.m_step(X, r[:, k], kind, emission.means[k], covs[k]) for k in range(K)]
    seen = r.sum(axis=0) > 1e-8 * r.sum()  # a component with next to no mass keeps what it has
    means, covars = (np.array(found) for found in zip(*expected, strict=True))
    emission.m_step(X, posteriors)
    np.testing.assert_allclose(emission.weights, r.sum(axis=0) / r.sum(axis=(0, 2))[:, None], rtol=1e-9)
    np.testing.assert_allclose(emission.means[seen], means[seen], rtol=1e-6, atol=1e-8)
    which = ... if kind == "tied" else seen
    np.testing.assert_allclose(emission.covars[which], covars[which], rtol=1e-6, atol=1e-8)


@given(st.tuples(kinds, st.integers(1, 3), st.integers(1, 3), seeds))
def test_a_mixture_of_one_is_a_gaussian(case):
    kind, K, D, seed = case
    if kind == "tied":
        K = 1  # a Gaussian ties its matrix over states, a mixture over components
    _, mixture, X, posteriors = drawn((kind, K, 1, D, False, seed))
    one = GaussianEmission(kind)
    one.means, one.covars = mixture.means[:, 0], mixture.covars[0] if kind == "tied" else mixture.covars[:, 0]
    one.check(K)
    np.testing.assert_allclose(mixture.log_likelihood(X), one.log_likelihood(X), rtol=1e-12, atol=1e-12)
    assert mixture.n_parameters == one.n_parameters
    mixture.m_step(X, posteriors)
    one.m_step(X, posteriors)
    np.testing.assert_allclose(mixture.means[:, 0], one.means, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mixture.full_covariances[:, 0], one.full_covariances, rtol=1e-9, atol=1e-12)


PRIORS = {
    "spherical": {"covars_prior": 1.5, "covars_weight": 0.8},
    "diag": {"covars_prior": 1.5, "covars_weight": 0.8},
    "full": {"covars_prior": 0.7, "covars_weight": 6.0},
    "tied": {"covars_prior": 0.7, "covars_weight": 6.0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_at_a_fixed_point_of_the_m_step_the_objective_is_flat(kind):
    options = PRIORS[kind] | {"weights_prior": 2.0, "means_prior": 0.4, "means_weight": 1.5}
    _rng, emission, X, posteriors = drawn((kind, 2, 2, 2, False, 3), n=40, **options)
    start = emission.gradient(X, posteriors) + emission.prior_gradient()
    before = (posteriors * emission.log_likelihood(X)).sum() + emission.log_prior()
    for _ in range(400):
        emission.m_step(X, posteriors)
        now = (posteriors * emission.log_likelihood(X)).sum() + emission.log_prior()
        assert now >= before - 1e-9 * abs(before)
        before = now
    slopes = emission.gradient(X, posteriors) + emission.prior_gradient()
    assert np.abs(slopes).max() < 1e-3 < np.abs(start).max()


@pytest.mark.parametrize("kind", KINDS)
def test_with_its_priors_the_m_step_is_hmmlearns(kind):
    from hmmlearn.hmm import GMMHMM

    K, M, D = 2, 2, 3
    options = PRIORS[kind] | {"weights_prior": 2.0, "means_prior": 0.4, "means_weight": 1.5}
    _, emission, X, posteriors = drawn((kind, K, M, D, False, 3), n=40, **options)
    if kind in ("full", "tied"):
        options["covars_prior"] = options["covars_prior"] * np.eye(D)  # a number would go to every entry there
    peer = GMMHMM(K, M, covariance_type=kind, **options, init_params="")
    peer.n_features = D
    peer.startprob_, peer.transmat_ = np.full(K, 1 / K), np.full((K, K), 1 / K)
    peer.weights_, peer.means_, peer.covars_ = emission.weights.copy(), emission.means.copy(), emission.covars.copy()
    peer._check()
    r = responsibilities(emission, X, posteriors)
    emission.m_step(X, posteriors)
    sums = peer._initialize_sufficient_statistics()
    away = X[:, None, None, :] - emission.means  # it takes them around the means before, which maximises nothing
    scatter = np.einsum("nkm,nkmi,nkmj->kmij", r, away, away)
    sums["post_mix_sum"], sums["post_sum"] = r.sum(axis=0), posteriors.sum(axis=0)
    sums["m_n"] += np.einsum("nkm,ni->kmi", r, X)
    sums["c_n"] += {
        "full": scatter,
        "tied": scatter.sum(axis=1),
        "diag": np.einsum("kmii->kmi", scatter),
        "spherical": np.einsum("kmii->km", scatter),
    }[kind]
    sums |= {"start": np.ones(K), "trans": np.ones((K, K))}
    peer._do_mstep(sums)
    np.testing.assert_allclose(emission.weights, peer.weights_, rtol=1e-10)
    np.testing.assert_allclose(emission.means, peer.means_, rtol=1e-10)
    np.testing.assert_allclose(emission.covars, peer.covars_, rtol=1e-9, atol=1e-12)


degenerate = arrays(
    np.float64, st.tuples(st.integers(1, 10), st.integers(1, 2)), elements=st.sampled_from([0.0, 1.0, 1e-9, -3e4])
)


@settings(max_examples=60)
@given(kinds, st.integers(1, 3), st.integers(1, 3), degenerate, st.booleans(), st.sampled_from([1.0, 1.5]), seeds)
def test_no_m_step_lowers_the_objective(kind, K, M, X, missing, prior, seed):
    rng = np.random.default_rng(seed)
    if missing:
        X = np.where(rng.random(X.shape) < 0.3, np.nan, X)
        X = X[~np.isnan(X).all(axis=1)]
        if not len(X):
            return
    emission = GaussianMixtureEmission(M, kind, weights_prior=prior)
    emission.initialize(X, K, rng)
    emission.check(K)
    posteriors = rng.dirichlet(np.full(K, 0.3), size=len(X))
    posteriors[:, rng.random(K) < 0.2] = 0.0
    values = []
    for _ in range(6):
        values.append((posteriors * emission.log_likelihood(X)).sum() + emission.log_prior())
        emission.m_step(X, posteriors)
        emission.check(K)
    assert (np.diff(values) >= -1e-7 * np.maximum(1.0, np.abs(values[1:]))).all()


@given(cases)
def test_gradients_are_differences(case):
    rng, emission, X, posteriors = drawn(case, n=10, weights_prior=1.7, means_prior=0.3, means_weight=2.0)
    K, M, D = emission.means.shape
    emission.initialize(X, K, rng)
    emission.fixed = {"means": rng.random((K, M, D)) < 0.2, "weights": rng.random((K, M)) < 0.2}

    def at(v):
        rival = copy.deepcopy(emission)
        rival.from_vector(v)
        return np.array([(posteriors * rival.log_likelihood(X)).sum(), rival.log_prior()])

    v = emission.to_vector()
    assert v.size == emission.n_parameters
    slopes = (approx_fprime(v, at, 1e-6) - approx_fprime(v, lambda u: at(2 * v - u), 1e-6)) / 2  # to both sides
    scale = np.abs(slopes).max() + 1.0
    np.testing.assert_allclose(emission.gradient(X, posteriors), slopes[0], atol=2e-5 * scale)
    np.testing.assert_allclose(emission.prior_gradient(), slopes[1], atol=2e-5 * scale)


@given(cases)
def test_coordinates_lead_back(case):
    _, emission, _, _ = drawn(case)
    v = emission.to_vector()
    twin = copy.deepcopy(emission)
    twin.from_vector(v - 0.5)
    twin.check(len(twin.weights))
    twin.from_vector(v)
    for name in ("weights", "means", "covars"):
        np.testing.assert_allclose(getattr(twin, name), getattr(emission, name), rtol=1e-8, atol=1e-10)


@given(cases)
def test_statistics_add_over_pieces(case):
    _, emission, X, posteriors = drawn(case)
    parts = [emission.statistics(X[rows], posteriors[rows]) for rows in (slice(0, 7), slice(7, 20))]
    for total, a, b in zip(emission.statistics(X, posteriors), *parts, strict=True):
        np.testing.assert_allclose(a + b, total, rtol=1e-12, atol=1e-12 * np.abs(total).max())


def test_more_rows_than_a_block_are_all_seen(monkeypatch):
    _, emission, X, posteriors = drawn(("full", 2, 2, 2, True, 5))
    densities, sums = emission.log_likelihood(X), emission.statistics(X, posteriors)
    monkeypatch.setattr("statespace.hmm.emissions.gaussian_mixture._BLOCK", 7)
    np.testing.assert_allclose(emission.log_likelihood(X), densities, rtol=1e-13)
    for again, before in zip(emission.statistics(X, posteriors), sums, strict=True):
        np.testing.assert_allclose(again, before, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("kind", "expected"), [("spherical", 6), ("diag", 24), ("full", 60), ("tied", 20)])
def test_free_parameters_are_counted(kind, expected):
    emission = random_emission(np.random.default_rng(0), kind, 2, 3, 4)
    assert emission.n_parameters == 2 * (3 - 1) + 24 + expected
    emission.fixed = {"weights": np.array([[True, False, False], [False] * 3]), "means": True, "covars": True}
    assert emission.n_parameters == 1 + 2


def test_held_weights_stay_and_the_others_share_what_is_left():
    _, emission, X, posteriors = drawn(("diag", 1, 3, 1, False, 1))
    held = emission.weights[0, 0]
    r = responsibilities(emission, X, posteriors).sum(axis=0)[0]
    emission.fixed = {"weights": np.array([[True, False, False]])}
    emission.m_step(X, posteriors)
    assert emission.weights[0, 0] == held
    np.testing.assert_allclose(emission.weights[0, 1:], (1 - held) * r[1:] / r[1:].sum(), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_means_and_covariances(kind):
    rng = np.random.default_rng(8)
    emission = random_emission(rng, kind, 2, 3, 2)
    states = np.repeat([0, 1], 40_000)
    X = emission.sample(states, rng)
    for k in range(2):
        cov = emission.cov()[k]
        error = np.sqrt(np.diag(cov) / 40_000)
        assert (np.abs(X[states == k].mean(axis=0) - emission.mean()[k]) < 5 * error).all()
        np.testing.assert_allclose(np.cov(X[states == k].T), cov, atol=0.05 * np.diag(cov).max())


def test_the_cdf_is_scipys():
    emission = random_emission(np.random.default_rng(0), "spherical", 2, 3, 1)
    x = np.linspace(-5, 5, 11)
    parts = stats.norm.cdf(x[:, None, None], emission.means[:, :, 0], np.sqrt(emission.covars))
    np.testing.assert_allclose(emission.cdf(x), (parts * emission.weights).sum(axis=2), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("power", [-30, 7])
def test_units_a_power_of_two_apart_begin_at_exactly_the_same_place(kind, power):
    X = np.random.default_rng(0).normal(size=(100, 2))
    here, there = GaussianMixtureEmission(2, kind), GaussianMixtureEmission(2, kind)
    here.initialize(X, 3, np.random.default_rng(1))
    there.initialize(X * 2.0**power, 3, np.random.default_rng(1))
    np.testing.assert_array_equal(there.weights, here.weights)
    np.testing.assert_array_equal(there.means, here.means * 2.0**power)
    np.testing.assert_array_equal(there.covars, here.covars * 4.0**power)


def test_clusters_within_clusters_are_found():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0], [3.0], [100.0], [104.0]])
    X = centres[rng.integers(4, size=300)] + 0.1 * rng.normal(size=(300, 1))
    emission = GaussianMixtureEmission(2)
    emission.initialize(X, 2, rng)
    np.testing.assert_allclose(emission.means.reshape(-1), centres[:, 0], atol=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_reordered_states_are_the_same_states(kind):
    _, emission, X, _ = drawn((kind, 2, 2, 2, False, 6))
    before = emission.log_likelihood(X)
    emission.reorder(np.array([1, 0]))
    np.testing.assert_array_equal(emission.log_likelihood(X), before[:, ::-1])


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_gives_the_emission_back(kind):
    rng, emission, X, _ = drawn((kind, 2, 2, 2, False, 6), means_prior=np.zeros((2, 2, 2)), weights_prior=2)
    emission.initialize(X, 2, rng)
    emission.fixed = {"weights": True}
    header, values = emission.to_archive()
    assert GaussianMixtureEmission.from_archive(json.loads(json.dumps(header)), values) == emission
    empty = GaussianMixtureEmission(3, kind)
    assert GaussianMixtureEmission.from_archive(*empty.to_archive()) == empty


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", [[0.5, 0.6], [0.5, 0.5]], r"weights\[0\] sum to 1.1, expected 1"),
        ("weights", [[1.5, -0.5], [0.5, 0.5]], "must be probabilities, found -0.5"),
        ("weights", [[1.0], [1.0]], r"weights must have shape \(n_components, n_mix\) = \(2, 2\)"),
        ("means", np.zeros((2, 3, 1)), r"means must have shape \(n_components, n_mix, n_features\)"),
        ("covars", np.zeros((2, 2, 1)), "'diag' covars must be positive"),
        ("covars", np.ones((2, 2)), r"'diag' covars must have shape \(2, 2, 1\)"),
        ("weights_prior", 0.5, "weights_prior is 0.5, expected numbers of at least 1"),
        ("means_weight", np.ones(5), r"means_weight has shape \(5,\): expected a number"),
        ("n_mix", 0, "n_mix is 0"),
        ("min_covar", "full", "min_covar is 'full', expected a number of at least 0, or None"),
        ("min_covar", [0.1], r"min_covar is \[0.1\], expected a number"),
        ("min_covar", -0.1, "min_covar is -0.1, expected a number"),
        ("min_covar", np.nan, "min_covar is nan, expected a number"),
        ("weights", None, "weights is not known yet"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(name, value, message):
    emission = random_emission(np.random.default_rng(0), "diag", 2, 2, 1)
    setattr(emission, name, value)
    with pytest.raises(ValueError, match=message):
        emission.check(2)


@pytest.mark.parametrize("n_mix", [0, -1, 1.5, "two", None])
def test_a_fit_refuses_a_number_of_components_that_is_none(n_mix):
    with pytest.raises((TypeError, ValueError), match=f"n_mix is {n_mix!r}, expected an integer of at least 1"):
        GMMHMM(2, n_mix, random_state=0).fit([0.0, 1.0, 5.0, 6.0])


@given(st.integers(0, 2**32 - 1))
def test_no_start_depends_on_the_order_of_the_sequences(seed):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(n, 2)) * rng.gamma(2.0) + rng.normal(size=2) for n in (20, 5, 35)]
    made = []
    for order in ([0, 1, 2], [2, 0, 1]):
        X = np.concatenate([parts[i] for i in order])
        offsets = np.cumsum([0, *(len(parts[i]) for i in order)])
        first = GaussianMixtureEmission(2, "full")
        first.initialize(X, 2, np.random.default_rng(seed))
        rivals = GaussianMixtureEmission(2, "full").rivals(X, offsets, 2, np.random.default_rng(seed))
        made.append([first, *rivals])
    for one, other in zip(*made, strict=True):
        np.testing.assert_allclose(other.means, one.means, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(other.covars, one.covars, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(other.weights, one.weights)
