"""Gaussian emissions: densities and M-steps against dense algebra, scipy, hmmlearn, and rivals that must not win."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.optimize import approx_fprime, minimize

from statespace.hmm.emissions.gaussian import GaussianEmission
from statespace.hmm.emissions.gaussian_covariances import feature_variances
from tests import naive_gaussian as naive

KINDS = ("spherical", "diag", "full", "tied")
PRIOR = {"means_prior": 0.7, "means_weight": 1.5, "covars_prior": 0.8, "covars_weight": 5.0}
kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**32)


def random_covars(rng, kind, K, D):
    A = rng.normal(size=(K, D, D))
    full = A @ A.transpose(0, 2, 1) + 0.3 * np.eye(D)
    return {
        "spherical": np.exp(rng.normal(size=K)),
        "diag": np.exp(rng.normal(size=(K, D))),
        "full": full,
        "tied": full[0],
    }[kind]


def random_emission(rng, kind, K, D, **options):
    emission = GaussianEmission(kind, **options)
    emission.means, emission.covars = 2 * rng.normal(size=(K, D)), random_covars(rng, kind, K, D)
    emission.check(K)
    return emission


def random_data(rng, n, D, missing):
    X = 2 * rng.normal(size=(n, D))
    if missing:
        X[rng.random((n, D)) < 0.3] = np.nan
        X[np.isnan(X).all(axis=1), 0] = 0.5
    return X


def random_posteriors(rng, n, K):
    return rng.dirichlet(np.ones(K), size=n) * rng.integers(1, 3, size=(n, 1))


cases = st.tuples(kinds, st.integers(1, 3), st.integers(1, 4), st.booleans(), seeds)


def drawn(case, n=25, **options):
    kind, K, D, missing, seed = case
    rng = np.random.default_rng(seed)
    emission = random_emission(rng, kind, K, D, **options)
    return rng, emission, random_data(rng, n, D, missing), random_posteriors(rng, n, K)


# Densities


@given(kinds, st.integers(1, 5), st.integers(1, 5), st.integers(1, 140), seeds)
def test_densities_are_scipys(kind, K, D, n, seed):
    rng = np.random.default_rng(seed)
    emission = random_emission(rng, kind, K, D)
    X = random_data(rng, n, D, False)
    expected = [stats.multivariate_normal(m, S).logpdf(X) for m, S in zip(emission.means, emission.cov(), strict=True)]
    np.testing.assert_allclose(emission.log_likelihood(X), np.reshape(expected, (K, n)).T, rtol=1e-10, atol=1e-10)


@given(cases)
def test_densities_with_gaps_are_those_of_the_entries_that_are_there(case):
    _, emission, X, _ = drawn(case)
    X[3] = np.nan
    found = emission.log_likelihood(X)
    np.testing.assert_allclose(found, naive.log_densities(X, emission.means, emission.cov()), rtol=1e-10, atol=1e-10)
    assert not found[3].any()


def test_far_from_the_origin_nothing_cancels():
    rng = np.random.default_rng(0)
    emission = random_emission(rng, "full", 3, 3)
    X = random_data(rng, 50, 3, False)
    near = emission.log_likelihood(X)
    emission.means = emission.means + 2.0**20
    np.testing.assert_allclose(emission.log_likelihood(X + 2.0**20), near, rtol=1e-8)


def test_data_that_may_not_be_written_to_are_read():
    emission = random_emission(np.random.default_rng(0), "full", 2, 2)
    X = np.broadcast_to(np.array([[0.5, 1.0]]), (4, 2))
    np.testing.assert_allclose(emission.log_likelihood(X), emission.log_likelihood(X.copy()), rtol=0)


# M-step


@given(cases)
def test_an_m_step_is_the_weighted_mean_and_covariance(case):
    _, emission, X, posteriors = drawn(case, n=40, min_covar=0.0)
    means, covars = naive.m_step(X, posteriors, emission.covariance_type, emission.means, emission.cov())
    emission.m_step(X, posteriors)
    np.testing.assert_allclose(emission.means, means, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(emission.covars, covars, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "prior", [{}, {"means_prior": 0.7, "means_weight": 1.5, "covars_prior": 0.8, "covars_weight": 5.0}]
)
def test_no_optimiser_finds_better_parameters(kind, prior):
    rng = np.random.default_rng(3)
    emission = random_emission(rng, kind, 2, 2, **prior)
    X, posteriors = random_data(rng, 30, 2, False), random_posteriors(rng, 30, 2)
    emission.m_step(X, posteriors)

    def loss(v):
        rival = copy.deepcopy(emission)
        rival.from_vector(v)
        return -(posteriors * rival.log_likelihood(X)).sum() - rival.log_prior()

    found = emission.to_vector()
    best = minimize(loss, found + 0.1 * rng.normal(size=found.size))
    assert loss(found) <= best.fun + 1e-9
    np.testing.assert_allclose(found, best.x, atol=2e-3)  # and the optimiser comes back to them


@pytest.mark.parametrize("kind", KINDS)
def test_the_m_step_is_the_best_that_keeps_to_the_floor(kind):
    rng = np.random.default_rng(5)
    X, posteriors = random_data(rng, 20, 2, False) * [1.0, 0.2], random_posteriors(rng, 20, 2)
    emission = random_emission(rng, kind, 2, 2, min_covar=1.5)
    emission.covars = emission.covars * 10
    emission.m_step(X, posteriors)
    best = naive.expected_log_likelihood(X, posteriors, emission.means, emission.cov())
    assert np.linalg.eigvalsh(emission.cov()).min() >= 1.5 - 1e-12
    n_above = 0
    for _ in range(300):
        rival = copy.deepcopy(emission)
        rival.means = rival.means + 0.1 * rng.normal(size=(2, 2))
        steps = 0.3 * rng.normal(size=rival.covars.shape)
        rival.covars = rival.covars + (steps + steps.swapaxes(-1, -2) if kind in ("full", "tied") else steps)
        if np.linalg.eigvalsh(rival.cov()).min() < 1.5:
            continue
        n_above += 1
        assert naive.expected_log_likelihood(X, posteriors, rival.means, rival.cov()) < best
    assert n_above > 10


degenerate = st.one_of(
    arrays(
        np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.sampled_from([0.0, 1.0, 1e-9, -3e4])
    ),
    arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.floats(-1e3, 1e3)),
)
priors = st.sampled_from(
    [{}, {"min_covar": 1e-3}, {"min_covar": 0.0}, {"covars_prior": 1e-2}, {"means_prior": 1.0, "means_weight": 2.0}]
)


@settings(max_examples=150)
@given(kinds, st.integers(1, 4), degenerate, priors, st.booleans(), seeds)
def test_no_m_step_lowers_the_objective(kind, K, X, options, missing, seed):
    rng = np.random.default_rng(seed)
    if missing:
        X = np.where(rng.random(X.shape) < 0.3, np.nan, X)
        X = X[~np.isnan(X).all(axis=1)]
        if not len(X):
            return
    emission = GaussianEmission(kind, **options)
    emission.initialize(X, K, rng)
    emission.check(K)

    def objective(log_weights):
        joint = emission.log_likelihood(X) + log_weights
        total = np.logaddexp.reduce(joint, axis=1)
        return total.sum() + emission.log_prior(), np.exp(joint - total[:, None])

    log_weights = np.log(rng.dirichlet(np.ones(K), size=len(X)))
    log_weights[:, rng.random(K) < 0.2] = -800.0  # states that die
    before, posteriors = objective(log_weights)
    for _ in range(6):
        emission.m_step(X, posteriors)
        emission.check(K)
        now, posteriors = objective(log_weights)
        assert now >= before - 1e-7 * max(1.0, abs(before))
        before = now


@pytest.mark.parametrize("kind", KINDS)
def test_variances_set_by_hand_below_the_floor_are_no_reason_to_fall(kind):
    rng = np.random.default_rng(2)
    X = np.concatenate([np.zeros((20, 2)) + 1e-7 * rng.normal(size=(20, 2)), 5 + rng.normal(size=(20, 2))])
    emission = random_emission(rng, kind, 2, 2)
    emission.means, emission.covars = np.array([[0.0, 0.0], [5.0, 5.0]]), emission.covars * 1e-12
    emission.initialize(X, 2, rng)
    posteriors = np.repeat(np.eye(2), 20, axis=0)
    before = (posteriors * emission.log_likelihood(X)).sum()
    emission.m_step(X, posteriors)
    assert (posteriors * emission.log_likelihood(X)).sum() >= before


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_without_mass_keeps_its_parameters_to_the_bit(kind):
    _rng, emission, X, posteriors = drawn((kind, 3, 2, False, 1))
    before = copy.deepcopy(emission)
    posteriors[:, 1] = 0.0
    emission.m_step(X, posteriors)
    np.testing.assert_array_equal(emission.means[1], before.means[1])
    if kind != "tied":
        np.testing.assert_array_equal(emission.covars[1], before.covars[1])
    assert (emission.means[0] != before.means[0]).all()
    emission.m_step(X, np.zeros_like(posteriors))
    assert np.isfinite(emission.log_likelihood(X)).all()


@given(cases)
def test_statistics_add_over_pieces(case):
    _, emission, X, posteriors = drawn(case)
    whole = emission.statistics(X, posteriors)
    parts = [emission.statistics(X[rows], posteriors[rows]) for rows in (slice(0, 7), slice(7, 25))]
    again = [emission.statistics(X[rows], posteriors[rows]) for rows in (slice(0, 7), slice(7, 25))]
    for total, a, b, c, d in zip(whole, *parts, *again, strict=True):
        np.testing.assert_allclose(a + b, total, rtol=1e-12, atol=1e-12 * np.abs(total).max())
        assert (a + b).tobytes() == (c + d).tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_with_its_priors_the_m_step_is_hmmlearns(kind, weight):
    from hmmlearn.hmm import GaussianHMM

    rng = np.random.default_rng(7)
    K, D = 2, 3
    X, posteriors = random_data(rng, 30, D, False), random_posteriors(rng, 30, K)
    prior = 0.4 if kind in ("spherical", "diag") else 0.4 * np.eye(D)  # a number would go to every entry there
    options = {"means_prior": 0.3, "means_weight": weight, "covars_prior": prior, "covars_weight": 6.0}
    peer = GaussianHMM(K, kind, **options, init_params="")
    peer.n_features, peer.means_ = D, np.zeros((K, D))
    peer.startprob_, peer.transmat_ = np.full(K, 1 / K), np.full((K, K), 1 / K)
    sums = peer._initialize_sufficient_statistics()
    sums |= {"post": posteriors.sum(axis=0), "obs": posteriors.T @ X, "obs**2": posteriors.T @ X**2}
    sums |= {"start": np.ones(K), "trans": np.ones((K, K)), "obs*obs.T": np.einsum("nk,ni,nj->kij", posteriors, X, X)}
    peer._do_mstep(sums)
    emission = random_emission(rng, kind, K, D, **options)
    emission.m_step(X, posteriors)
    np.testing.assert_allclose(emission.means, peer.means_, rtol=1e-10)
    theirs = peer._covars_[:, 0] if kind == "spherical" else peer._covars_
    np.testing.assert_allclose(emission.covars, theirs, rtol=1e-9, atol=1e-12)


# Held entries


@pytest.mark.parametrize("kind", KINDS)
def test_held_entries_stay_and_the_others_do_not_make_it_worse(kind):
    _rng, emission, X, posteriors = drawn((kind, 2, 3, False, 4))
    mask = np.array([[True, False, False], [False, True, True]])
    emission.fixed = {"means": mask, "covars": True}
    before = copy.deepcopy(emission)
    free = emission.n_parameters
    emission.m_step(X, posteriors)
    assert free == 3
    np.testing.assert_array_equal(emission.means[mask], before.means[mask])
    np.testing.assert_array_equal(emission.covars, before.covars)
    best = (posteriors * emission.log_likelihood(X)).sum()

    def loss(v):
        rival = copy.deepcopy(emission)
        rival.from_vector(v)
        return -(posteriors * rival.log_likelihood(X)).sum()

    assert -minimize(loss, before.to_vector()).fun == pytest.approx(best, rel=1e-9)


def test_single_entries_of_a_matrix_cannot_be_held():
    emission = random_emission(np.random.default_rng(0), "full", 2, 2)
    emission.fixed = {"covars": np.array([[[True, False], [False, True]]] * 2)}
    with pytest.raises(ValueError, match="hold whole matrices"):
        emission.check(2)
    emission.fixed = {"covars": np.array([True, False])}
    emission.check(2)
    assert emission.n_parameters == 4 + 3


@pytest.mark.parametrize(("kind", "expected"), [("spherical", 3), ("diag", 12), ("full", 30), ("tied", 10)])
def test_free_parameters_are_counted(kind, expected):
    emission = random_emission(np.random.default_rng(0), kind, 3, 4)
    assert emission.n_parameters == 12 + expected


# Coordinates and gradients


@given(cases)
def test_coordinates_lead_back(case):
    rng, emission, X, _ = drawn(case)
    for known in (False, True):
        if known:
            emission.initialize(X, len(emission.means), rng)  # the scale and the floor of the data
        v = emission.to_vector()
        assert v.size == emission.n_parameters
        twin = copy.deepcopy(emission)
        twin.from_vector(v + 1.0)
        twin.from_vector(v)
        np.testing.assert_allclose(twin.means, emission.means, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(twin.covars, emission.covars, rtol=1e-7, atol=1e-10)
        twin.check(len(twin.means))


@given(cases, st.booleans())
def test_gradients_are_differences(case, prior):
    options = PRIOR if prior else {}
    rng, emission, X, posteriors = drawn(case, n=10, **options)
    K = len(emission.means)
    emission.initialize(X, K, rng)
    emission.fixed = {"means": rng.random(emission.means.shape) < 0.2}

    def at(v):
        rival = copy.deepcopy(emission)
        rival.from_vector(v)
        return np.array([(posteriors * rival.log_likelihood(X)).sum(), rival.log_prior()])

    v = emission.to_vector()
    slopes = (approx_fprime(v, at, 1e-6) - approx_fprime(v, lambda u: at(2 * v - u), 1e-6)) / 2  # to both sides
    scale = np.abs(slopes).max() + 1.0
    np.testing.assert_allclose(emission.gradient(X, posteriors), slopes[0], atol=2e-5 * scale)
    np.testing.assert_allclose(emission.prior_gradient(), slopes[1], atol=2e-5 * scale)


def test_coordinates_never_lead_below_the_floor():
    rng = np.random.default_rng(0)
    X = random_data(rng, 50, 2, False)
    for kind in KINDS:
        emission = GaussianEmission(kind)
        emission.initialize(X, 3, rng)
        emission.from_vector(emission.to_vector() - 50.0)
        emission.check(3)
        floor = emission.floor() if kind != "spherical" else np.full(2, emission.floor().mean())
        assert (np.einsum("kii->ki", emission.cov()) >= floor * (1 - 1e-12)).all()


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_narrow_matrices_set_by_hand_beside_a_far_prior_are_widened(kind):
    X = np.random.default_rng(0).normal(size=(7, 2)) + 1e6
    emission = GaussianEmission(kind, means_prior=0.4, means_weight=0.7, covars_prior=0.5, covars_weight=3.5)
    emission.means, emission.covars = np.array([[1e6, 1e6]]), np.eye(2) if kind == "tied" else np.eye(2)[None]
    emission.initialize(X, 1, np.random.default_rng(1))
    history = []
    for _ in range(8):
        history.append(emission.log_likelihood(X).sum() + emission.log_prior())
        emission.m_step(X, np.ones((7, 1)))
    assert (np.diff(history) >= -1e-8 * np.abs(history[1:])).all()


# Units and starts


@settings(max_examples=40)
@given(kinds, st.integers(1, 3), st.integers(1, 3), st.integers(-30, 30), st.booleans(), seeds)
def test_units_change_the_likelihood_by_their_logarithm_alone(kind, K, D, power, missing, seed):
    rng = np.random.default_rng(seed)
    X, c = random_data(rng, 30, D, missing), 2.0**power
    X[:, -1] = 3.0 if seed % 3 == 0 else X[:, -1]
    totals = []
    for data in (X, X * c):
        emission = GaussianEmission(kind)
        emission.initialize(data, K, np.random.default_rng(1))
        for _ in range(4):
            joint = emission.log_likelihood(data)
            total = np.logaddexp.reduce(joint, axis=1)
            emission.m_step(data, np.exp(joint - total[:, None]))
        totals.append(total.sum())
    n = (~np.isnan(X)).sum()
    assert totals[1] == pytest.approx(totals[0] - n * np.log(c), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("power", [-40, 3, 50])
def test_units_a_power_of_two_apart_begin_at_exactly_the_same_place(power):
    X = random_data(np.random.default_rng(0), 200, 2, False)
    for kind in KINDS:
        here, there = GaussianEmission(kind), GaussianEmission(kind)
        here.initialize(X, 3, np.random.default_rng(1))
        there.initialize(X * 2.0**power, 3, np.random.default_rng(1))
        np.testing.assert_array_equal(there.means, here.means * 2.0**power)
        np.testing.assert_array_equal(there.covars, here.covars * 4.0**power)


def test_weights_of_zero_leave_rows_out_of_the_start():
    X = np.array([[0.0], [1.0], [900.0], [0.5]])
    emission, other = GaussianEmission(), GaussianEmission()
    emission.initialize(X, 1, np.random.default_rng(0), np.array([1.0, 1.0, 0.0, 1.0]))
    other.initialize(X[[0, 1, 3]], 1, np.random.default_rng(0))
    assert emission == other


def test_values_set_by_hand_survive_the_start():
    emission = GaussianEmission("diag")
    emission.means = [[0.0], [5.0]]
    emission.initialize(np.array([[0.0], [1.0], [5.0], [7.0], [6.0]]), 2, np.random.default_rng(0))
    np.testing.assert_array_equal(emission.means, [[0.0], [5.0]])
    assert emission.covars[1, 0] > emission.covars[0, 0] > 0


# The laws, order, files, messages


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_means_and_covariances(kind):
    rng = np.random.default_rng(8)
    emission = random_emission(rng, kind, 2, 2)
    states = np.repeat([0, 1], 40_000)
    X = emission.sample(states, rng)
    for k in range(2):
        cov = emission.cov()[k]
        error = np.sqrt(np.diag(cov) / 40_000)
        assert (np.abs(X[states == k].mean(axis=0) - emission.mean()[k]) < 5 * error).all()
        np.testing.assert_allclose(np.cov(X[states == k].T), cov, atol=0.05 * np.diag(cov).max())


def test_the_cdf_is_scipys():
    emission = random_emission(np.random.default_rng(0), "full", 3, 1)
    x = np.linspace(-5, 5, 11)
    expected = stats.norm.cdf(x[:, None], emission.means[:, 0], np.sqrt(emission.covars[:, 0, 0]))
    np.testing.assert_allclose(emission.cdf(x), expected, rtol=1e-12)
    np.testing.assert_allclose(
        emission.sf(x), stats.norm.sf(x[:, None], emission.means[:, 0], np.sqrt(emission.covars[:, 0, 0])), rtol=1e-12
    )


@pytest.mark.parametrize("kind", ["diag", "full", "tied", "spherical"])
def test_the_cdf_of_one_feature_of_several_is_that_of_its_marginal(kind):
    emission = random_emission(np.random.default_rng(1), kind, 2, 3)
    x = np.linspace(-5, 5, 7)[:, None]
    for d in range(3):
        marginal = stats.norm(emission.means[:, d], np.sqrt(emission.full_covariances[:, d, d]))
        np.testing.assert_allclose(emission.cdf(x, d), marginal.cdf(x), rtol=1e-12)
        np.testing.assert_allclose(emission.sf(x, d), marginal.sf(x), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_reordered_states_are_the_same_states(kind):
    _rng, emission, X, _ = drawn((kind, 3, 2, False, 6))
    before = emission.log_likelihood(X)
    emission.fixed = {"means": np.arange(6).reshape(3, 2) < 2}
    emission.reorder(np.array([2, 0, 1]))
    np.testing.assert_array_equal(emission.log_likelihood(X), before[:, [2, 0, 1]])
    np.testing.assert_array_equal(emission.fixed["means"], [[False] * 2, [True] * 2, [False] * 2])


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_gives_the_emission_back(kind):
    rng, emission, X, _ = drawn((kind, 3, 2, False, 6), means_prior=np.zeros(3), min_covar=1e-3)
    emission.initialize(X, 3, rng)
    emission.fixed = {"means": np.eye(3, 2, dtype=bool), "covars": True}
    header, values = emission.to_archive()
    again = GaussianEmission.from_archive(json.loads(json.dumps(header)), values)
    assert vars(again).keys() == vars(emission).keys()
    for name, value in vars(emission).items():
        if name == "fixed":
            assert again.fixed["covars"] is True
            np.testing.assert_array_equal(again.fixed["means"], value["means"])
        else:
            np.testing.assert_array_equal(getattr(again, name), value)
    empty = GaussianEmission(kind)
    assert GaussianEmission.from_archive(*empty.to_archive()) == empty


@pytest.mark.parametrize(
    ("kind", "means", "covars", "message"),
    [
        ("diag", [[0.0], [1.0]], [[1.0], [0.0]], "'diag' covars must be positive"),
        ("diag", [[0.0], [1.0]], [1.0, 1.0], r"'diag' covars must have shape \(2, 1\)"),
        ("spherical", [[0.0], [1.0]], [1.0, -1.0], "'spherical' covars must be positive, found -1"),
        ("full", [[0.0, 0.0], [1.0, 0.0]], [np.eye(2), [[1.0, 0.5], [0.2, 1.0]]], r"covars\[1\] differs from its tr"),
        ("tied", [[0.0, 0.0], [1.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]], "symmetric, positive-definite.*eigenvalue -1"),
        ("diag", [[0.0]], [[1.0]], r"means must have shape \(n_components, n_features\)"),
        ("diag", [[0.0], [np.nan]], [[1.0], [1.0]], "means must be finite"),
        ("diag", None, None, "means is not known yet"),
        ("round", [[0.0], [1.0]], [[1.0], [1.0]], "covariance_type is 'round', expected one of"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(kind, means, covars, message):
    emission = GaussianEmission(kind)
    emission.means, emission.covars = means, covars
    with pytest.raises(ValueError, match=message):
        emission.check(2)


@settings(max_examples=60)
@given(st.sampled_from([1, 2, 5, 64, 65, 300]), st.sampled_from([0.0, 1e3, -1e6]), st.booleans(), st.booleans(), seeds)
def test_variances_of_features_are_those_of_the_entries_that_are_there(n, distance, missing, weighted, seed):
    rng = np.random.default_rng(seed)
    X = distance + rng.normal(size=(n, 3)) * [1.0, 1e-2, 100.0]
    X[rng.random(X.shape) < 0.3 * missing] = np.nan
    weights = rng.choice([0.0, 0.5, 2.0], n) if weighted else None
    w = np.ones(n) if weights is None else weights
    found = feature_variances(X, weights)
    for x, variance in zip(X.T, found, strict=True):
        seen = ~np.isnan(x) & (w > 0)
        if np.unique(x[seen]).size > 1:
            expected = np.cov(x[seen], aweights=w[seen], ddof=0)
            # Rounding of the data themselves is all that is allowed to tell
            assert variance == pytest.approx(expected, rel=1e-12 + 1e-15 * abs(distance) / np.sqrt(expected))
        elif seen.any():
            assert variance == pytest.approx(x[seen][0] ** 2, rel=1e-12)
    if (~np.isnan(X) & (w > 0)[:, None]).any():  # where nothing was seen there are no units
        np.testing.assert_array_equal(feature_variances(1024.0 * X, weights), 1024.0**2 * found)
