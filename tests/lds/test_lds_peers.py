"""Against statsmodels without its convergence shortcut, where it is right.

Left out, and compared with the joint Gaussian elsewhere: its lag-one covariances are zero in a diffuse start, its
smoothed states there are wrong where the transition is singular (the last test), and its smoothed disturbances of
observations are wrong for partly missing rows with correlated noise.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother

from statespace.lds.system import TIMED
from tests import naive_lds
from tests.lds.agreement import Given, check
from tests.lds.systems import make, systems


def statsmodels_of(system, Y):
    """The smoother of statsmodels on the same matrices; T and what goes with it lead from t to t + 1 there too."""
    peer = KalmanSmoother(k_endog=system.n_features, k_states=system.n_states, k_posdef=system.n_disturbances)
    peer.bind(np.ascontiguousarray(Y.copy()))
    for name in TIMED:
        matrix = getattr(system, name)
        moved = np.moveaxis(matrix, 0, -1)
        if len(matrix) == 1:
            moved = moved if name.endswith("intercept") else moved[..., 0]
        peer[name] = np.asfortranarray(moved)
    peer.tolerance = 0
    if system.n_diffuse:
        peer.initialize_diffuse()
    else:
        peer.initialize_known(system.initial_state, system.initial_state_cov)
    return peer.smooth()


REGULAR = {"obs_kinds": ("full", "diagonal"), "state_kinds": ("full", "diagonal"), "octaves": 1}


@settings(max_examples=25)
@given(systems(starts=("known", "stationary"), **REGULAR))
def test_states_and_likelihood_are_those_of_statsmodels(case):
    system, Y = case
    if system.n_disturbances > system.n_states:  # which statsmodels refuses
        return
    peer, model = statsmodels_of(system, Y), Given(system)
    found, smoothed = model.filter(Y), model.smooth(Y)
    check(found.log_likelihood_steps, peer.llf_obs, "log_likelihood_steps", 1.0)
    for ours, theirs in (
        (found.predicted_mean, peer.predicted_state),
        (found.filtered_mean, peer.filtered_state),
        (smoothed.mean, peer.smoothed_state),
        (smoothed.state_disturbance, peer.smoothed_state_disturbance),
    ):
        check(ours, theirs.T, "means", np.abs(peer.predicted_state).max() + 1.0)
    for ours, theirs in (
        (found.predicted_cov, peer.predicted_state_cov),
        (found.filtered_cov, peer.filtered_state_cov),
        (smoothed.cov, peer.smoothed_state_cov),
        (smoothed.state_disturbance_cov, peer.smoothed_state_disturbance_cov),
    ):
        check(ours, np.moveaxis(theirs, -1, 0), "covariances", np.abs(peer.predicted_state_cov).max())
    if not np.isnan(Y).any():
        check(smoothed.obs_disturbance, peer.smoothed_measurement_disturbance.T, "obs_disturbance", 1.0)


@settings(max_examples=15)
@given(systems(starts=("diffuse",), max_features=1, min_steps=5, missing=False, **REGULAR), st.integers(0, 3))
def test_a_diffuse_start_is_that_of_statsmodels(case, seed):
    system, Y = case
    right = naive_lds.dense(system, Y, smoothed=False)
    strength = [M[np.triu_indices(system.n_states)] for M in right.predicted_diffuse_cov[: right.n_diffuse_steps]]
    weak = any(np.abs(values[values != 0]).min(initial=np.inf) < 1e-4 for values in strength)
    refused = system.n_disturbances > system.n_states
    if refused or right.n_determined < system.n_diffuse or weak:  # its decisions on ranks are absolute
        return
    if min(np.linalg.svd(T)[1].min() / np.linalg.svd(T)[1].max(initial=1e-300) for T in system.transition) < 1e-3:
        return
    peer = statsmodels_of(system, Y)
    if peer.nobs_diffuse != right.n_diffuse_steps:
        return
    cov = naive_lds.dense(system, Y, filtered=False).cov.astype(float)
    if np.abs(np.moveaxis(peer.smoothed_state_cov, -1, 0) - cov).max() > 1e-6 * np.abs(cov).max():
        return  # it is wrong where a transition turns what is diffuse; ours is held against the joint law elsewhere
    found = Given(system).smooth(Y)
    check(found.log_likelihood, peer.llf, "log_likelihood", len(Y), 1e-8)
    check(found.mean, peer.smoothed_state.T, "mean", tolerance=1e-7)
    check(found.cov, np.moveaxis(peer.smoothed_state_cov, -1, 0), "cov", tolerance=1e-6)


@pytest.mark.parametrize("gaps", [False, True])
def test_nile_is_smoothed_as_statsmodels_does(gaps):
    from tests.lds.test_kalman import local_level, nile

    data = nile()
    if gaps:
        data[20:40] = data[60:80] = np.nan
    system = local_level(15099.0, 1469.1)
    peer, found = statsmodels_of(system, data[:, None]), Given(system).smooth(data)
    check(found.log_likelihood, peer.llf, "log_likelihood", tolerance=1e-12)
    check(found.mean, peer.smoothed_state.T, "mean", tolerance=1e-11)
    check(found.cov, np.moveaxis(peer.smoothed_state_cov, -1, 0), "cov", tolerance=1e-10)


def test_a_singular_transition_in_a_diffuse_start_is_where_statsmodels_is_not_followed():
    """The second state is forgotten at once, and yet the first row and what the next ones say of a_1 determine it."""
    T = np.zeros((3, 2, 2))
    T[0, 0, 0] = 0.75
    system = make([[-2.0, 0.25]], 0.25, T, np.eye(2) / 2, initialization="diffuse")
    Y = np.array([[2.5], [3.0], [1.0]])
    found, right, peer = Given(system).smooth(Y), naive_lds.dense(system, Y), statsmodels_of(system, Y)
    check(found.mean, right.mean, "mean")
    assert (
        np.abs(peer.smoothed_state.T[0] - right.mean[0]).max() > 0.5
    )  # where this fails, the page on it has to change
