"""The smoother against the joint Gaussian in hundreds of digits."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests import naive_lds
from tests.lds.agreement import Given, check, check_smoother, is_covariance
from tests.lds.systems import (
    hardly_seen_beside_what_is_seen,
    make,
    seasonal_between_gaps,
    shocks_that_are_told_with_growing_errors,
    simulated,
    systems,
    told_one_number_a_step,
    unit_roots,
)


@settings(max_examples=120)
@given(systems())
def test_the_smoother_is_the_conditional_law_of_the_joint_gaussian(case):
    check_smoother(*case)


@settings(max_examples=40)
@given(case=systems(octaves=2))
def test_the_square_root_form_alone_is_right(case):
    check_smoother(*case, form="square_root")


@settings(max_examples=40)
@given(case=systems(octaves=2, starts=("known", "stationary"), obs_kinds=("full", "diagonal")))
def test_the_covariance_form_alone_is_right_where_the_start_is_finite(case):
    check_smoother(*case, form="covariance", tolerance=1e-8)


@settings(max_examples=25)
@given(systems(max_states=4, max_features=4, max_steps=6))
def test_more_features_than_states_are_no_special_case(case):
    check_smoother(*case)


@settings(max_examples=40)
@given(systems(starts=("diffuse", "mixed", "mixed_stationary"), max_states=4, max_features=1, min_steps=4))
def test_all_is_exact_through_a_diffuse_start(case):
    check_smoother(*case)


@pytest.mark.parametrize(
    "case",
    [
        hardly_seen_beside_what_is_seen,
        seasonal_between_gaps,
        shocks_that_are_told_with_growing_errors,
        told_one_number_a_step,
    ],
    ids=lambda case: case.__name__,
)
def test_a_mean_that_no_variance_vouches_for_is_right_in_its_own_unit(case):
    """All states are certain, so that covariances of nothing say nothing of lost digits."""
    system, Y = case()
    found, right = Given(system).smooth(Y), naive_lds.dense(system, Y, filtered=False)
    np.testing.assert_array_equal(right.diffuse_cov, 0.0)
    unit = np.abs(right.mean).max(axis=0)
    assert (np.abs(found.mean - right.mean) <= 1e-10 * unit).all()
    assert np.abs(found.cov).max() <= 1e-20 * (unit**2).max()


def test_steady_steps_are_smoothed_as_all_others():
    """A long series: steps in the middle share their covariances."""
    system = make([[1.0, 0.5]], 1.0, [[0.75, 0.25], [0.0, 0.5]], np.eye(2))
    Y = simulated(system, 400)
    Y[60:63] = Y[200] = np.nan
    found, right = Given(system).smooth(Y), naive_lds.precise_smoother(system, Y, bits=600)
    for name in ("mean", "cov", "lag_one_cov"):
        check(getattr(found, name), right[name], name, tolerance=1e-10)


@pytest.mark.parametrize("form", ["covariance", "square_root"])
def test_both_forms_agree_on_a_long_series(form):
    system, _ = unit_roots()
    Y = simulated(system, 400, seed=2, start=np.ones(5))
    Y[100:110] = Y[250] = np.nan
    found, right = Given(system).smooth(Y, form=form), naive_lds.precise_smoother(system, Y)
    for name in ("mean", "cov", "lag_one_cov"):
        check(getattr(found, name), right[name], name)
    is_covariance(found.cov)


@settings(max_examples=25)
@given(systems(starts=("known", "stationary"), obs_kinds=("full", "diagonal"), state_kinds=("full",), octaves=1))
def test_the_smoother_is_that_of_the_textbook(case):
    system, Y = case
    if max(np.linalg.cond(C) for C in (system.initial_state_cov, *system.disturbance_cov)) > 1e4:
        return
    right, found = naive_lds.textbook_smoother(system, Y), Given(system).smooth(Y)
    for name, value in right.items():
        check(getattr(found, name), value, name, 1.0)


@pytest.mark.parametrize("form", ["auto", "square_root"])
@settings(max_examples=60)
@given(case=systems(octaves=2))
def test_covariances_are_symmetric_and_semidefinite(form, case):
    system, Y = case
    found = Given(system).smooth(Y, form=form)
    is_covariance(found.cov)
    is_covariance(found.obs_disturbance_cov)
    is_covariance(found.state_disturbance_cov)


# Identities between what is returned


def at(values, t):
    return values[t] if len(values) > 1 else values[0]


@settings(max_examples=60)
@given(systems())
def test_disturbances_are_what_states_and_observations_leave(case):
    """y = d + Z a + e and a' = c + T a + R n hold for what is expected given all data."""
    system, Y = case
    found = Given(system).smooth(Y)
    kept = naive_lds.dense(system, Y, smoothed=False, filtered=False).kept
    for t in range(len(Y)):
        d, Z = at(system.obs_intercept, t), at(system.design, t)
        rest = np.where(kept[t], Y[t] - d - Z @ found.mean[t] - found.obs_disturbance[t], 0.0)
        parts = np.abs(d) + np.abs(Z) @ np.abs(found.mean[t]) + np.abs(found.obs_disturbance[t])
        assert (np.abs(rest) <= 1e-8 * parts.max()).all()
        if t + 1 < len(Y):
            c, T, R = (at(M, t) for M in (system.state_intercept, system.transition, system.selection))
            moved = c + T @ found.mean[t] + R @ found.state_disturbance[t]
            parts = np.abs(c) + np.abs(T) @ np.abs(found.mean[t]) + np.abs(R) @ np.abs(found.state_disturbance[t])
            assert (np.abs(moved - found.mean[t + 1]) <= 1e-8 * parts.max()).all()


# Fixed lag


@settings(max_examples=25)
@given(systems(max_steps=6, starts=("known", "stationary", "diffuse"), octaves=2))
def test_a_fixed_lag_is_the_smoother_of_a_shorter_series(case):
    system, Y = case
    model, n = Given(system), len(Y)
    for lag in (0, 1, 3):
        found = model.smooth(Y, lag=lag)
        for t in range(n):
            right = naive_lds.dense(system, Y[: t + lag + 1], filtered=False)
            if right.diffuse_cov[t].any():
                continue
            size = np.abs(system.initial_state_cov).max()
            check(found.mean[t], right.mean[t], "mean", np.abs(right.mean).max())
            check(found.cov[t], right.cov[t], "cov", max(size, np.abs(right.cov).max()))
