"""Steps with more numbers than states: fewer say as much."""

import copy
import pickle
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings

from statespace import LinearDynamicalSystem
from statespace.lds import frames
from statespace.lds.frames import collapse, make_frames
from statespace.lds.system import TIMED
from tests import naive_lds
from tests.lds.agreement import Given, check_filter, check_smoother, error
from tests.lds.systems import HARD, make, simulated, systems, wide
from tests.lds.test_panel import in_panels


@contextmanager
def always():
    """Collapse whatever can be, however little it saves."""
    with (
        mock.patch.object(frames, "_SHARED_BY", 0),
        mock.patch.object(frames, "_SAVED", 0),
        mock.patch.object(frames, "_SAVED_MEANS", (0, 1.0)),
    ):
        yield


WIDE = {"max_states": 2, "max_features": 6, "max_steps": 6}


@settings(max_examples=80)
@given(systems(**WIDE, obs_kinds=("full", "diagonal", "full", "singular")))
def test_filter_and_smoother_are_the_conditional_laws_of_the_joint_gaussian(case):
    with always():
        right = check_filter(*case)[1]
        check_smoother(*case, right=right)


@pytest.mark.parametrize("form", ["covariance", "square_root"])
@settings(max_examples=25)
@given(case=systems(**WIDE, octaves=2, obs_kinds=("full", "diagonal")))
def test_either_form_alone_is_right(form, case):
    with always():
        right = check_filter(*case, form=form)[1]
        check_smoother(*case, form=form, right=right)


@settings(max_examples=30)
@given(systems(**WIDE, time_varying=False, obs_kinds=("full", "diagonal")))
def test_panels_of_collapsed_steps(case):
    with always(), in_panels():
        right = check_filter(*case)[1]
        check_smoother(*case, right=right)


@pytest.mark.parametrize("hard", HARD, ids=lambda hard: hard.__name__)
def test_hard_systems(hard):
    with always():
        system, Y = hard()
        right = check_filter(system, Y)[1]
        check_smoother(system, Y, right=right)


@settings(max_examples=60)
@given(systems(**WIDE, obs_kinds=("full", "diagonal")))
def test_what_is_kept_and_what_is_left_have_the_density_of_all(case):
    """Given any states, log p(y | a) is that of the numbers that are kept plus what is left."""
    system, Y = case
    whole = make_frames(system, Y)
    with always():
        found = collapse(whole, steady=True)
    if not found.apart.size:
        return
    for a in (np.zeros(system.n_states), np.arange(1.0, system.n_states + 1)):
        for t in range(len(Y)):
            densities = []
            for each in (whole, found):
                f = each.frame[t]
                q = each.n_seen[f]
                v, h = each.x[t, :q] - each.design[f, :q] @ a, each.variances[f, :q]
                densities.append(-0.5 * (np.log(2 * np.pi * h) + v * v / h))
            size = max(np.abs(densities[0]).sum(), 1.0) + np.abs(found.apart[t])
            size += (whole.x[t, : whole.n_seen[f]] ** 2 / whole.variances[f, : whole.n_seen[f]]).sum()
            assert abs(densities[0].sum() - densities[1].sum() - found.apart[t]) <= 1e-11 * size
    assert (found.n_seen <= system.n_states).any()


def test_frames_are_collapsed_where_it_pays():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(20, 2))
    system = make(Z, np.eye(20), 0.5 * np.eye(2), np.eye(2), initialization="stationary")
    Y = simulated(system, 200)
    assert Given(system).filter(Y).treatment == "collapsed"
    assert Given(system).filter(Y[:3]).treatment == "univariate"
    assert collapse(make_frames(system, Y), steady=True).x.shape == (200, 2)
    timed = system._replace(design=np.repeat(system.design, 200, axis=0))
    assert Given(timed).filter(Y).treatment == "univariate"
    exact = system._replace(obs_cov=np.zeros((1, 20, 20)))
    assert not collapse(make_frames(exact, Y), steady=True).apart.size
    blind = system._replace(design=np.zeros((1, 20, 2)))
    assert not collapse(make_frames(blind, Y), steady=True).apart.size
    nearly = Z.copy()
    nearly[:, 1] = Z[:, 0] * (1 + 1e-9 * rng.normal(size=20))
    same = system._replace(design=nearly[None])
    assert not collapse(make_frames(same, Y), steady=True).apart.size


def test_states_that_are_not_seen_need_no_number():
    """A factor and its lag, of which the first alone loads on twelve features: one number is kept."""
    rng = np.random.default_rng(1)
    Z = np.column_stack([rng.normal(size=12), np.zeros(12)])
    system = make(Z, np.diag(rng.uniform(0.5, 2.0, 12)), [[0.5, 0.3], [1.0, 0.0]], np.diag([1.0, 0.0]))
    Y = simulated(system, 120)
    Y[30:60, :3] = np.nan
    found = collapse(make_frames(system, Y), steady=True)
    assert found.x.shape[1] == 1
    right = naive_lds.textbook_filter(system, Y)
    assert Given(system).log_likelihood(Y) == pytest.approx(right["log_likelihood"], rel=1e-11)


@pytest.mark.parametrize("missing", [False, True])
def test_collapsed_results_are_those_of_all_numbers(missing):
    """Every field, in a long series with steady steps, and of the gradient that takes all numbers."""
    rng = np.random.default_rng(2)
    L = np.tril(0.3 * rng.normal(size=(15, 15))) + np.eye(15)
    system = make(
        rng.normal(size=(15, 2)),
        L @ L.T,
        [[0.9, 0.1], [0.0, 1.0]],
        np.eye(2),
        obs_intercept=rng.normal(size=15),
        initialization="diffuse",
    )
    Y = simulated(system, 300, start=np.array([1.0, 2.0]))
    if missing:
        Y[20:120, ::4] = np.nan
        Y[200:210] = np.nan
    model = Given(system)
    found, smoothed, gradient = model.filter(Y), model.smooth(Y), model.gradient(Y)
    steps = model.log_likelihood(Y, by="step")
    with mock.patch.object(frames, "_SHARED_BY", np.inf):
        whole, all_smoothed = model.filter(Y), model.smooth(Y)
        all_steps = model.log_likelihood(Y, by="step")
        kfas = model.log_likelihood(Y, convention="kfas")
    assert (found.treatment, whole.treatment) == ("collapsed", "univariate")
    assert model.log_likelihood(Y, convention="kfas") == pytest.approx(kfas, rel=1e-12)
    assert gradient.log_likelihood == pytest.approx(found.log_likelihood, rel=1e-12)
    assert error(np.nan_to_num(steps), np.nan_to_num(all_steps)) < 1e-11
    np.testing.assert_array_equal(np.isnan(steps), np.isnan(all_steps))
    for one, other, names in (
        (found, whole, ("predicted_mean", "filtered_mean", "log_likelihood_steps", "filtered_cov", "predicted_cov")),
        (smoothed, all_smoothed, ("mean", "cov", "lag_one_cov", "obs_disturbance", "obs_disturbance_cov")),
        (smoothed, all_smoothed, ("state_disturbance", "state_disturbance_cov")),
    ):
        for name in names:
            assert error(getattr(one, name), getattr(other, name)) < 1e-11, name
    seen = ~np.isnan(found.innovations)
    assert error(found.innovations[seen], whole.innovations[seen]) < 1e-11
    again = pickle.loads(pickle.dumps(smoothed))
    np.testing.assert_array_equal(again.obs_disturbance, smoothed.obs_disturbance)


def test_a_filter_goes_on_from_collapsed_steps():
    system, _ = wide()
    Y = simulated(system, 400)
    model = Given(system)
    whole, first = model.filter(Y), model.filter(Y[:200])
    rest = model.filter(Y[200:], state=first.state)
    assert whole.treatment == first.treatment == rest.treatment == "collapsed"
    assert error(rest.filtered_mean, whole.filtered_mean[200:]) < 1e-12
    assert first.log_likelihood + rest.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)


def test_fixed_lag_smoothing_and_scored_steps_see_all_numbers():
    system, _ = wide()
    Y = simulated(system, 120)
    Y[50] = np.nan
    matrices = {name: getattr(system, name)[0] for name in TIMED}
    model = LinearDynamicalSystem.from_matrices(**matrices, initialization="stationary")
    found = model.smooth(Y, lag=2)
    with mock.patch.object(frames, "_SHARED_BY", np.inf):
        other = model.smooth(Y, lag=2)
    assert error(found.mean, other.mean) < 1e-11
    assert model.scored_steps(Y).sum() == 119
    assert copy.deepcopy(model.filter(Y)).treatment == "collapsed"
