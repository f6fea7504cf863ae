"""What docs/from-statsmodels.md says of others: each claim, run against a dense solve of the joint Gaussian.

Our own answers are held against the same solve. With statsmodels 0.15.0, pykalman 0.11.2 and filterpy 2.0.0; those that
are not installed are skipped.
"""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from statespace import LinearDynamicalSystem
from statespace.datasets import load_nile
from statespace.lds import ARIMA, StructuralModel

pytestmark = pytest.mark.filterwarnings("ignore")  # the others' own
FLOW = load_nile().flow
VARIANCES = np.array([15099.0, 1469.1])  # of a year about the level, of the level's step

# two states, two features, everything full
Z = np.array([[1.0, 0.0], [0.5, 1.0]])
H = np.array([[1.0, 0.6], [0.6, 2.0]])
T = np.array([[0.8, 0.1], [0.0, 0.7]])
Q = np.diag([0.5, 0.3])
A1, P1 = np.array([0.3, -0.2]), 2.0 * np.eye(2)
Y = np.random.default_rng(0).normal(size=(6, 2))


def with_gap(*places: Any) -> Any:
    y = Y.copy()
    for place in places:
        y[place] = np.nan
    return y


def dense(y: Any, transitions: Any = None) -> tuple[float, Any, Any, Any]:
    """Log-likelihood, smoothed states, smoothed observation disturbances and their covariances, by one big solve."""
    n, m = len(y), 2
    steps = [T] * (n - 1) if transitions is None else transitions
    paths = np.zeros((n * m, n * m))
    for s in range(n):
        block = np.eye(m)
        for t in range(s, n):
            paths[t * m : (t + 1) * m, s * m : (s + 1) * m] = block
            if t < n - 1:
                block = steps[t] @ block
    V = np.kron(np.eye(n), Q)
    V[:m, :m] = P1
    V = paths @ V @ paths.T
    mean = paths @ np.concatenate([A1, np.zeros(m * (n - 1))])
    ZZ, HH = np.kron(np.eye(n), Z), np.kron(np.eye(n), H)
    seen = ~np.isnan(y.ravel())
    F = (ZZ @ V @ ZZ.T + HH)[np.ix_(seen, seen)]
    v = (y.ravel() - ZZ @ mean)[seen]
    states = mean + (V @ ZZ.T)[:, seen] @ np.linalg.solve(F, v)
    noise = HH[:, seen] @ np.linalg.solve(F, v)
    left = HH - HH[:, seen] @ np.linalg.solve(F, HH[seen])
    covs = np.stack([left[2 * t : 2 * t + 2, 2 * t : 2 * t + 2] for t in range(n)])
    log_likelihood = float(multivariate_normal.logpdf(v, np.zeros(len(v)), F))
    return log_likelihood, states.reshape(n, m), noise.reshape(n, 2), covs


@cache
def exact_nile() -> tuple[float, float]:
    """E(level of 1871 | all years) and Cov(level of 1872, level of 1871 | all years), by generalised least squares."""
    n = len(FLOW)
    since = VARIANCES[1] * np.arange(n)
    walk = np.minimum.outer(since, since)
    F = walk + VARIANCES[0] * np.eye(n)
    ones = np.ones(n)
    weights = np.linalg.solve(F, ones)
    first = float(weights @ FLOW / weights.sum())
    left = ones - walk @ weights  # what a unit of the first level moves each level by, beyond the data
    cov = walk - walk @ np.linalg.solve(F, walk) + np.outer(left, left) / weights.sum()
    return first, float(cov[1, 0])


# ------------------------------------------------------------------------------------------------------------- ours


def our_level(factor: float = 1.0) -> LinearDynamicalSystem:
    scatter, step = VARIANCES * factor**2
    return LinearDynamicalSystem.from_matrices(
        design=1.0, obs_cov=scatter, transition=1.0, state_cov=step, initialization="diffuse"
    )


def ours(transitions: Any = T) -> LinearDynamicalSystem:
    return LinearDynamicalSystem.from_matrices(
        design=Z, obs_cov=H, transition=transitions, state_cov=Q, initial_state=A1, initial_state_cov=P1
    )


@pytest.mark.parametrize("places", [[], [(2, 0)], [(1, 0), 3]])
def test_we_agree_with_the_dense_solve_where_rows_are_missing_in_part(places: list[Any]) -> None:
    y = with_gap(*places)
    log_likelihood, states, noise, covs = dense(y)
    found = ours().smooth(y)
    assert ours().score(y) == pytest.approx(log_likelihood, rel=1e-12)
    np.testing.assert_allclose(found.mean, states, rtol=1e-9)
    np.testing.assert_allclose(found.obs_disturbance, noise, atol=1e-12)
    np.testing.assert_allclose(found.obs_disturbance_cov, covs, atol=1e-12)


def test_our_transition_of_a_step_leads_from_it() -> None:
    transitions = np.stack([T * (1 + 0.1 * t) for t in range(6)])
    log_likelihood, states, _, _ = dense(Y, transitions[:5])
    assert ours(transitions).score(Y) == pytest.approx(log_likelihood, rel=1e-12)
    np.testing.assert_allclose(ours(transitions).smooth(Y).mean, states, rtol=1e-9)


@pytest.mark.parametrize("factor", [1.0, 100.0, 1e-8])
def test_our_diffuse_start_is_exact_in_any_units(factor: float) -> None:
    found = our_level(factor).smooth(FLOW * factor)
    assert found.mean[0, 0] / factor == pytest.approx(exact_nile()[0], rel=1e-10)
    assert found.lag_one_cov[0, 0, 0] / factor**2 == pytest.approx(exact_nile()[1], rel=1e-10)
    assert our_level(factor).score(FLOW * factor) + 99 * math.log(factor) == pytest.approx(-633.4646, abs=5e-5)


@pytest.mark.parametrize("factor", [1.0, 1e4])
def test_our_fit_is_the_maximum_in_any_units(factor: float) -> None:
    model = StructuralModel(level=True).fit(FLOW * factor)
    found = dict(zip(model.param_names_, model.params_ / factor**2, strict=True))
    assert found["sigma2.irregular"] == pytest.approx(15098.52, rel=1e-4)
    assert found["sigma2.level"] == pytest.approx(1469.18, rel=1e-4)


# ------------------------------------------------------------------------------------------------------ statsmodels


def their_level(factor: float = 1.0, **options: Any) -> Any:
    structural = pytest.importorskip("statsmodels.tsa.statespace.structural")
    return structural.UnobservedComponents(FLOW * factor, "llevel", **options)


def test_statsmodels_exact_log_likelihood_has_the_convention_of_durbin_and_koopman() -> None:
    assert their_level(use_exact_diffuse=True).loglike(VARIANCES) == pytest.approx(-633.4646, abs=5e-5)


def test_statsmodels_default_leaves_the_first_step_out_and_starts_from_a_variance_of_a_million() -> None:
    model = their_level()
    assert model.loglike(VARIANCES) == pytest.approx(-632.5377, abs=5e-5)
    assert model.ssm.loglikelihood_burn == 1
    assert model.smooth(VARIANCES).smoothed_state[0, 0] == pytest.approx(1107.2, abs=0.05)
    assert exact_nile()[0] == pytest.approx(1111.7, abs=0.05)
    exact = their_level(use_exact_diffuse=True).smooth(VARIANCES)
    assert exact.smoothed_state[0, 0] == pytest.approx(exact_nile()[0], rel=1e-10)


def test_statsmodels_default_start_depends_on_the_units() -> None:
    hundredth = their_level(100.0).smooth(VARIANCES * 100.0**2)
    assert hundredth.smoothed_state[0, 0] / 100.0 == pytest.approx(26.9, abs=0.05)


def test_statsmodels_fit_depends_on_the_units_and_stops_before_the_maximum() -> None:
    best = np.array([15098.52, 1469.18])  # Durbin and Koopman (2012), chapter 2, print 15099 and 1469.1
    for factor, off in ((1.0, 1e-3), (1e4, 0.1)):  # with 0.15.0: 15067.6, 1484.8; 17040.7, 10156.7
        theirs = their_level(factor, use_exact_diffuse=True).fit(disp=0)
        assert theirs.mle_retvals["converged"]
        assert (np.abs(theirs.params / factor**2 / best - 1) > off).all()


def test_statsmodels_tolerance_is_absolute_so_that_small_units_freeze_the_gain_too_early() -> None:
    small = VARIANCES * 1e-16
    frozen = their_level(1e-8, use_exact_diffuse=True).smooth(small)
    full = their_level(1e-8, use_exact_diffuse=True, tolerance=0).smooth(small)
    assert full.llf + 99 * math.log(1e-8) == pytest.approx(-633.4646, abs=5e-5)  # the diffuse step has no unit
    assert frozen.llf - full.llf == pytest.approx(-0.949, abs=5e-4)
    off = np.abs(frozen.smoothed_state - full.smoothed_state).max() / np.abs(full.smoothed_state).max()
    assert off == pytest.approx(0.043, abs=5e-4)
    assert frozen.filter_results.period_converged == 2


def test_statsmodels_lag_one_covariance_is_zero_in_the_diffuse_period() -> None:
    theirs = their_level(use_exact_diffuse=True, tolerance=0).smooth(VARIANCES).smoothed_state_autocov
    assert theirs[0, 0, 0] == 0.0
    assert exact_nile()[1] == pytest.approx(2955.378, abs=5e-4)


def their_smoother(y: Any, *, univariate: bool = False) -> Any:
    kalman_smoother = pytest.importorskip("statsmodels.tsa.statespace.kalman_smoother")
    model = kalman_smoother.KalmanSmoother(2, 2, 2)
    model.bind(np.asfortranarray(y.T))
    for name, matrix in {"design": Z, "obs_cov": H, "transition": T, "selection": np.eye(2), "state_cov": Q}.items():
        model[name] = matrix
    model.initialize_known(A1, P1)
    model.tolerance = 0
    model.filter_univariate = univariate
    return model.smooth()


@pytest.mark.parametrize("univariate", [False, True])
def test_statsmodels_disturbance_of_a_missing_entry_forgets_that_noise_is_correlated(univariate: bool) -> None:
    y = with_gap((1, 0))
    log_likelihood, states, noise, covs = dense(y)
    theirs = their_smoother(y, univariate=univariate)
    assert theirs.llf == pytest.approx(log_likelihood, rel=1e-12)
    np.testing.assert_allclose(theirs.smoothed_state.T, states, rtol=1e-10)
    assert theirs.smoothed_measurement_disturbance[0, 1] == 0.0
    assert abs(noise[1, 0]) > 0.02
    assert theirs.smoothed_measurement_disturbance_cov[0, 0, 1] == pytest.approx(1.0)
    assert covs[1, 0, 0] == pytest.approx(0.87, abs=0.01)


def test_statsmodels_disturbance_covariances_are_of_others_in_the_univariate_form() -> None:
    _, _, _, covs = dense(Y)
    np.testing.assert_allclose(their_smoother(Y).smoothed_measurement_disturbance_cov[:, :, 0], covs[0], rtol=1e-9)
    univariate = their_smoother(Y, univariate=True).smoothed_measurement_disturbance_cov[:, :, 0]
    assert univariate[0, 1] == 0.0
    assert covs[0, 0, 1] > 0.1


def test_statsmodels_damped_cycle_starts_diffuse_and_ours_from_its_stationary_law() -> None:
    structural = pytest.importorskip("statsmodels.tsa.statespace.structural")
    initialization = pytest.importorskip("statsmodels.tsa.statespace.initialization").Initialization
    model = StructuralModel(level=True, cycle=(18, 144)).fit(FLOW)
    theirs = structural.UnobservedComponents(
        *(FLOW, "llevel"),
        **{"cycle": True, "stochastic_cycle": True, "damped_cycle": True, "use_exact_diffuse": True, "tolerance": 0},
    )
    values = dict(zip(model.param_names_, model.params_, strict=True))
    result = theirs.smooth([values[name] for name in theirs.param_names])
    assert result.nobs_diffuse == 3
    assert model.filter(FLOW).n_diffuse_steps == 1
    start = initialization(3)
    start.set((0, 1), "diffuse")
    start.set((1, 3), "stationary")
    theirs.ssm.initialize(start)
    assert theirs.ssm.loglike() == pytest.approx(model.score(FLOW), rel=1e-9)


def test_statsmodels_first_mean_of_a_drifting_autoregression_is_that_of_a_constant() -> None:
    SARIMAX = pytest.importorskip("statsmodels.tsa.statespace.sarimax").SARIMAX
    y = np.cumsum(0.02 * np.arange(40) + np.random.default_rng(0).normal(size=40))
    for order, same in (((0, 1, 1), True), ((1, 1, 1), False)):
        model = ARIMA(order, trend="t").fit(y)
        theirs = SARIMAX(y, order=order, trend="t", use_exact_diffuse=True, tolerance=0).loglike(model.params_)
        assert (abs(theirs - model.score(y)) < 1e-8 * abs(theirs)) == same


# --------------------------------------------------------------------------------------------------------- pykalman


def pykalman(transitions: Any = T) -> Any:
    found = pytest.importorskip("pykalman")
    return found.KalmanFilter(
        transition_matrices=transitions,
        observation_matrices=Z,
        transition_covariance=Q,
        observation_covariance=H,
        initial_state_mean=A1,
        initial_state_covariance=P1,
    )


def test_pykalman_has_the_law_of_the_first_state_and_the_timing_of_transitions_that_we_have() -> None:
    transitions = np.stack([T * (1 + 0.1 * t) for t in range(5)])
    log_likelihood, states, _, _ = dense(Y, transitions)
    assert pykalman(transitions).loglikelihood(Y) == pytest.approx(log_likelihood, rel=1e-12)
    np.testing.assert_allclose(pykalman(transitions).smooth(Y)[0], states, rtol=1e-10)


def test_pykalman_takes_a_partly_missing_row_for_a_missing_one() -> None:
    y = with_gap((2, 0))
    theirs = pykalman().loglikelihood(np.ma.masked_invalid(y))
    assert theirs == pytest.approx(dense(with_gap(2))[0], rel=1e-12)
    assert abs(theirs - dense(y)[0]) > 0.5


def test_pykalman_makes_nan_of_nan_that_is_not_masked() -> None:
    means, _ = pykalman().smooth(with_gap(2))
    assert np.isnan(means[-1]).all()


def test_pykalman_learns_covariances_and_the_first_state_unless_told_otherwise() -> None:
    found = pytest.importorskip("pykalman").KalmanFilter(n_dim_state=2, n_dim_obs=2)
    assert set(found._em_vars) == {
        *("transition_covariance", "observation_covariance"),
        *("initial_state_mean", "initial_state_covariance"),
    }


# --------------------------------------------------------------------------------------------------------- filterpy


def filterpy() -> Any:
    found = pytest.importorskip("filterpy.kalman").KalmanFilter(2, 2)
    found.x, found.P = A1.copy(), P1.copy()
    found.F, found.Q, found.H, found.R = T, Q, Z, H
    return found


def test_filterpy_predicts_before_the_first_observation_unless_told_otherwise() -> None:
    updated_first, *_ = filterpy().batch_filter(Y, update_first=True)
    F1 = Z @ P1 @ Z.T + H
    first = A1 + P1 @ Z.T @ np.linalg.solve(F1, Y[0] - Z @ A1)
    np.testing.assert_allclose(updated_first[0], first, rtol=1e-12)
    predicted_first, *_ = filterpy().batch_filter(Y)
    a, P = T @ A1, T @ P1 @ T.T + Q
    first = a + P @ Z.T @ np.linalg.solve(Z @ P @ Z.T + H, Y[0] - Z @ a)
    np.testing.assert_allclose(predicted_first[0], first, rtol=1e-12)


def test_filterpy_transition_of_a_step_leads_to_it() -> None:
    transitions = [T * (1 + 0.1 * t) for t in range(6)]
    theirs, *_ = filterpy().batch_filter(Y, Fs=transitions)
    a, P = A1, P1
    for y, F in zip(Y, transitions, strict=True):
        a, P = F @ a, F @ P @ F.T + Q
        K = P @ Z.T @ np.linalg.inv(Z @ P @ Z.T + H)
        a, P = a + K @ (y - Z @ a), P - K @ Z @ P
    np.testing.assert_allclose(theirs[-1], a, rtol=1e-10)


def test_filterpy_input_of_a_prediction_is_ours_of_the_step_before() -> None:
    pytest.importorskip("filterpy.kalman")
    B = np.array([[1.0], [-0.5]])
    u = np.random.default_rng(1).normal(size=(6, 1))
    model = LinearDynamicalSystem.from_matrices(
        design=Z, obs_cov=H, transition=T, state_cov=Q, initial_state=A1, initial_state_cov=P1, state_exog=B
    )
    theirs = filterpy()
    theirs.update(Y[0])
    for t in range(1, 6):
        theirs.predict(u=u[t - 1], B=B)
        theirs.update(Y[t])
    np.testing.assert_allclose(model.filter(Y, exog=u).filtered_mean[-1], theirs.x, rtol=1e-10)


def test_filterpy_takes_none_for_missing_and_makes_nan_of_nan() -> None:
    missing, *_ = filterpy().batch_filter([None if t == 2 else y for t, y in enumerate(Y)], update_first=True)
    np.testing.assert_allclose(missing[-1], dense(with_gap(2))[1][-1], rtol=1e-10)
    poisoned, *_ = filterpy().batch_filter(with_gap(2))
    assert np.isnan(poisoned[-1]).all()


def test_filterpy_log_likelihood_is_of_the_last_observation() -> None:
    found = filterpy()
    found.batch_filter(Y, update_first=True)
    assert found.log_likelihood == pytest.approx(float(multivariate_normal.logpdf(found.y, np.zeros(2), found.S)))
    last = dense(Y)[0] - dense(Y[:-1])[0]
    assert found.log_likelihood == pytest.approx(last, rel=1e-10)
