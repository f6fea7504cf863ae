"""Many sequences of one system: what they share changes nothing of what is found of each."""

from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace import LinearDynamicalSystem
from statespace.foundations.observations import read_observations
from statespace.lds import StructuralModel, panel, panel_states
from statespace.lds.estimation import Objective
from statespace.lds.parametrisations import MatrixParametrisation
from statespace.lds.results import Gradient
from tests import naive_lds
from tests.lds import agreement, test_gradient
from tests.lds.agreement import Given, check_filter, check_smoother, contradicted, error
from tests.lds.systems import (
    HARD,
    make,
    nearly_a_unit_root,
    no_observation_noise,
    simulated,
    systems,
    unit_roots,
    vague_prior_one_feature,
)
from tests.lds.test_expectation_maximisation import everything_free
from tests.lds.test_gradient import NAMES, check_gradient, of_steps, with_entries


class InPanel(Given):
    """The verbs on one sequence, which are asked of a panel that holds it."""

    def log_likelihood(self, Y, by="total", **options):
        if by == "step":
            return super().log_likelihood(Y, by=by, **options)
        return super().log_likelihood(around(Y), by="sequence", **options)[2]

    def filter(self, Y, **options):
        return super().filter(around(Y), **options)[2]

    def smooth(self, Y, **options):
        return super().smooth(around(Y), **options)[2]

    def gradient(self, Y, **options):
        found = super().gradient([Y] * 5, **options)
        return Gradient(*(None if value is None else value / 5 for value in found))


def around(Y):
    return [Y, 3.0 * Y, Y, Y[:1], Y, -Y]


@contextmanager
def in_panels():
    with mock.patch.object(agreement, "Given", InPanel), mock.patch.object(test_gradient, "Given", InPanel):
        yield


@settings(max_examples=60)
@given(systems(time_varying=False))
def test_of_a_sequence_in_a_panel_filter_and_smoother_are_the_conditional_laws_of_the_joint_gaussian(case):
    with in_panels():
        right = check_filter(*case)[1]
        check_smoother(*case, right=right)


@settings(max_examples=40)
@given(with_entries(systems(time_varying=False)))
def test_the_gradient_of_a_panel_is_the_derivative_of_the_joint_density(case):
    system, Y, entries = case
    if contradicted(Y, naive_lds.dense(system, Y, smoothed=False)) is False:
        with in_panels():
            check_gradient(system, Y, entries)


@pytest.mark.parametrize("hard", [h for h in HARD if h()[0].n_times is None], ids=lambda hard: hard.__name__)
def test_hard_systems_in_panels(hard):
    system, Y = hard()
    alone = Given(system)
    for own, other in zip(map(alone.filter, around(Y)), alone.filter(around(Y)), strict=True):
        assert own.form_used == other.form_used
        np.testing.assert_allclose(other.filtered_mean, own.filtered_mean, rtol=1e-9, atol=1e-9)
    with in_panels():
        check_filter(system, Y)
        check_smoother(system, Y)


def singles(model, parts):
    """Each sequence by itself, with what is done for few."""
    return [model.log_likelihood(part) for part in parts], [model.gradient(part) for part in parts]


@settings(max_examples=40)
@given(systems(time_varying=False, min_steps=2, starts=("known", "stationary", "diffuse")), st.data())
def test_a_panel_of_many_lengths_and_patterns_is_its_sequences(case, data):
    system, Y = case
    lengths = data.draw(st.lists(st.integers(1, len(Y)), min_size=4, max_size=12))
    rng = np.random.default_rng(len(lengths))
    parts = [Y[:n] * (1.0 if rng.random() < 0.5 else 0.5) for n in lengths]
    model = Given(system)
    values, gradients = singles(model, parts)
    together = model.log_likelihood(parts, by="sequence")
    for one, other in zip(values, together, strict=True):
        assert one == other or error(other, one, len(Y)) < 1e-12
    if not np.isfinite(together).all():
        return
    found = model.gradient(parts)
    sizes = of_steps(system, Y)
    for name in NAMES:
        each = [getattr(one, name) for one in gradients]
        scale = max(sum(np.abs(value) for value in each).max(), 1e-3 * sizes[name], 1e-6 * max(sizes.values()))
        assert np.abs(getattr(found, name) - sum(each)).max() <= 1e-9 * scale, name
    for one, other in zip(model.smooth(parts), map(model.smooth, parts), strict=True):
        assert error(one.mean, other.mean, np.nanmax(np.abs(Y), initial=1.0)) < 1e-9
        assert error(np.nan_to_num(one.cov), np.nan_to_num(other.cov)) < 1e-9


def long_panel(system, n_sequences, n, seed=0):
    return np.stack([simulated(system, n, seed=seed + s) for s in range(n_sequences)])


def level(**options):
    """One state and one number, with intercepts and a gain that is not that of a random walk."""
    return make(0.5, 2.0, 0.9, 0.3, obs_intercept=[3.0], state_intercept=[0.2], **options)


def trends():
    """Two features of three states, noise between them."""
    return make(
        [[1.0, 0.0, 0.5], [0.0, 1.0, -0.5]],
        [[1.0, 0.4], [0.4, 0.5]],
        [[1.0, 0.2, 0.0], [0.0, 0.8, 0.1], [0.0, 0.0, 0.5]],
        np.diag([0.1, 0.2, 0.3]),
        obs_intercept=[1.0, -2.0],
        state_intercept=[0.0, 0.1, 0.0],
        initialization="known",
        initial_state=[1.0, 0.0, 2.0],
        initial_state_cov=np.eye(3),
    )


MANY = {
    "level": level(initialization="stationary"),
    "diffuse level": level(initialization="diffuse"),
    "known level": make(1.0, 0.0, 1.0, 1.0, initial_state=[0.0], initial_state_cov=[[0.0]]),
    "trends": trends(),
    "seasonal": unit_roots()[0],
    "noiseless": no_observation_noise()[0],
}


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("n", [1, 7, 8, 9, 61])
def test_more_sequences_than_lanes_are_each_as_it_is_alone(name, n):
    """Lengths beside and at multiples of a block; the last lanes are filled in part."""
    system = MANY[name]
    Y = long_panel(system, 37, n)
    model = Given(system)
    values = [model.log_likelihood(y) for y in Y]
    np.testing.assert_allclose(model.log_likelihood(Y, by="sequence"), values, rtol=1e-12)
    gradients, sizes = [model.gradient(y) for y in Y], of_steps(system, Y[0])
    found = model.gradient(Y)
    assert found.log_likelihood == pytest.approx(sum(values), rel=1e-12)
    for field in NAMES:
        each = [getattr(one, field) for one in gradients]
        size = max(sum(np.abs(value) for value in each).max(), sizes[field], 1e-3 * max(sizes.values()))
        assert np.abs(getattr(found, field) - sum(each)).max() <= 1e-11 * size, field
    for one, other in zip(model.filter(Y), map(model.filter, Y), strict=True):
        for field in ("predicted_mean", "filtered_mean", "log_likelihood_steps", "innovations", "predicted_cov"):
            assert error(getattr(one, field), getattr(other, field), 1.0) < 1e-12, field
        np.testing.assert_allclose(one.state.mean, other.state.mean, rtol=1e-11, atol=1e-12)
    for one, other in zip(model.smooth(Y), map(model.smooth, Y), strict=True):
        for field in ("mean", "cov", "lag_one_cov", "obs_disturbance", "state_disturbance_cov"):
            pair = (np.nan_to_num(getattr(result, field), posinf=0.0) for result in (one, other))
            assert error(*pair, 1.0) < 1e-11, field


@pytest.mark.parametrize("name", ["level", "trends"])
def test_unequal_lengths(name):
    system = MANY[name]
    parts = [simulated(system, n, seed=n) for n in (3, 50, 8, 8, 120, 1, 50, 49, 17)] * 5
    model = Given(system)
    found = model.log_likelihood(parts, by="sequence")
    np.testing.assert_allclose(found, [model.log_likelihood(part) for part in parts], rtol=1e-12)


def test_a_panel_is_read_in_whatever_form_it_comes():
    system = MANY["trends"]
    Y = long_panel(system, 6, 20)
    model = Given(system)
    expected = model.log_likelihood(Y, by="sequence")
    frozen = Y.copy()
    frozen.flags.writeable = False
    flat = Y.reshape(-1, 2)
    for other in (list(Y), tuple(Y), frozen, list(frozen), Y[:, :, ::-1][:, :, ::-1], np.asfortranarray(Y)):
        np.testing.assert_array_equal(model.log_likelihood(other, by="sequence"), expected)
    np.testing.assert_array_equal(model.log_likelihood(flat, [20] * 6, by="sequence"), expected)
    whole = np.round(4 * Y)
    np.testing.assert_array_equal(
        model.log_likelihood(whole.astype(np.int64), by="sequence"), model.log_likelihood(whole, by="sequence")
    )
    np.testing.assert_array_equal(frozen, Y)


def test_missing_numbers_in_a_panel():
    """Some sequences share a pattern, some have their own, and some are whole."""
    system = MANY["trends"]
    Y = long_panel(system, 24, 30)
    Y[:8, 4, 0] = Y[:8, 10:13] = np.nan
    for s in range(8, 12):
        Y[s, s, 1] = np.nan
    model = Given(system)
    values = [model.log_likelihood(y) for y in Y]
    np.testing.assert_allclose(model.log_likelihood(Y, by="sequence"), values, rtol=1e-12)
    gradients, found = [model.gradient(y) for y in Y], model.gradient(Y)
    for field in NAMES:
        each = [getattr(one, field) for one in gradients]
        assert np.abs(getattr(found, field) - sum(each)).max() <= 1e-11 * sum(np.abs(v) for v in each).max(), field
    for one, other in zip(model.smooth(Y), map(model.smooth, Y), strict=True):
        assert error(one.mean, other.mean) < 1e-12
        assert error(one.cov, other.cov) < 1e-12


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("convention", ["durbin-koopman", "kfas"])
def test_sequences_whose_gaps_are_their_own(name, convention):
    """More than lanes, of many lengths; one is missing as a whole, one but for its last number."""
    system = MANY[name]
    rng = np.random.default_rng(3)
    parts = [simulated(system, int(n), seed=i) for i, n in enumerate(rng.integers(1, 60, 41))]
    parts = [np.where(rng.random(part.shape) < 0.2, np.nan, part) for part in parts]
    parts[3][:] = np.nan
    parts[4][:-1] = np.nan
    model = Given(system)
    found = model.log_likelihood(parts, by="sequence", convention=convention)
    expected = np.array([model.log_likelihood(part, convention=convention) for part in parts])
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_sequences_in_lockstep_whose_digits_go_are_taken_by_themselves():
    """A prior of 1e12 times the noise, and units far from 1: some move to the square-root form."""
    rng = np.random.default_rng(4)
    for hard in (vague_prior_one_feature, nearly_a_unit_root, unit_roots, explosive_level):
        system, Y = hard()
        parts = [np.where(rng.random(Y.shape) < 0.3, np.nan, Y * scale) for scale in (1.0, 2.0, 1e6, 1e-6, 3.0, 1.0)]
        model = Given(system)
        for form in ("auto", "covariance"):
            found = model.log_likelihood(parts, by="sequence", form=form)
            expected = [model.log_likelihood(part, form=form) for part in parts]
            np.testing.assert_allclose(found, expected, rtol=1e-11)


def explosive_level():
    """A state that grows a thousandfold at each step."""
    system = make(1.0, 1e-3, 1e3, 1e-6, initial_state=[1.0], initial_state_cov=[[1.0]])
    return system, simulated(system, 20)


@settings(max_examples=40)
@given(systems(time_varying=False, max_features=1, max_states=4, min_steps=2), st.integers(0, 2**32 - 1))
def test_single_numbers_with_gaps_of_their_own(case, seed):
    system, Y = case
    rng = np.random.default_rng(seed)
    parts = [np.where(rng.random(Y.shape) < 0.3, np.nan, Y)[: rng.integers(1, len(Y) + 1)] for _ in range(9)]
    model = Given(system)
    for one, part in zip(model.log_likelihood(parts, by="sequence"), parts, strict=True):
        alone = model.log_likelihood(part)
        assert one == alone or error(one, alone, len(Y)) < 1e-11


@pytest.mark.parametrize("name", ["level", "trends"])
def test_an_infinite_number_is_named(name):
    system = MANY[name]
    Y = long_panel(system, 5, 12)
    Y[3, 7, 0] = np.inf
    for X in (Y, list(Y)):
        with pytest.raises(ValueError, match=r"X\[3\]\[7\] is infinite"):
            Given(system).log_likelihood(X)
    Y[3, 7, 0] = np.nan
    assert np.isfinite(Given(system).log_likelihood(Y))


def test_a_number_that_is_implied_is_held_to_it_in_a_panel():
    system = make(1.0, 0.0, 1.0, 0.0, initial_state=[2.0], initial_state_cov=[[0.0]])
    Y = np.full((6, 10, 1), 2.0)
    model = Given(system)
    np.testing.assert_array_equal(model.log_likelihood(Y, by="sequence"), np.zeros(6))
    Y[4, 9] = 2.5
    np.testing.assert_array_equal(model.log_likelihood(Y, by="sequence"), [0.0, 0.0, 0.0, 0.0, -np.inf, 0.0])
    Y[4, 9] = np.nan
    np.testing.assert_array_equal(model.log_likelihood(Y, by="sequence"), np.zeros(6))


@pytest.mark.parametrize("name", ["level", "trends"])
def test_an_objective_over_a_panel_weighs_its_sequences(name):
    """A weight of 2 is as if a sequence were there twice, one of 0 as if it were not there, however impossible."""
    system = MANY[name]
    parts = list(long_panel(system, 6, 15))
    weights = np.array([1.0, 2.0, 1.0, 0.0, 3.0, 1.0])
    parametrisation = MatrixParametrisation(system, everything_free(system, "known"))
    theta = parametrisation.start()
    found = Objective(parametrisation, read_observations(parts), weights)
    alone = [Objective(parametrisation, read_observations(part)).value_and_slope(theta) for part in parts]
    value, slope = found.value_and_slope(theta)
    right = sum(weight * one for weight, (one, _) in zip(weights, alone, strict=True))
    assert value == pytest.approx(right, rel=1e-12)
    assert found.value(theta) == pytest.approx(right, rel=1e-12)
    slopes = [weight * one for weight, (_, one) in zip(weights, alone, strict=True)]
    assert np.abs(slope - sum(slopes)).max() <= 1e-12 * sum(np.abs(one) for one in slopes).max()


def test_a_fit_to_a_panel_is_the_fit_to_its_sequences():
    """The maximum that is found without sharing."""
    rng = np.random.default_rng(0)
    Y = np.cumsum(rng.normal(size=(12, 60, 1)), axis=1) + 2.0 * rng.normal(size=(12, 60, 1))
    found = StructuralModel(level=True).fit(Y)
    with mock.patch.object(panel, "FEW", 10**6), mock.patch.object(panel_states, "FEW", 10**6):
        alone = StructuralModel(level=True).fit(Y)
    np.testing.assert_allclose(found.params_, alone.params_, rtol=1e-5)
    assert found.score(Y) == pytest.approx(alone.score(Y), rel=1e-11)


def test_covariances_are_shared_by_the_results():
    Y = long_panel(MANY["trends"], 6, 25)
    found = Given(MANY["trends"]).smooth(Y)
    assert all(np.shares_memory(one.shared_cov.table, found[0].shared_cov.table) for one in found)


def test_work_in_pieces_is_the_work():
    """Enough numbers that pieces are shared out."""
    Y = long_panel(MANY["level"], 40, 30)
    model = Given(MANY["level"])
    values, found = model.log_likelihood(Y, by="sequence"), model.gradient(Y)
    small = {"LARGE": 100, "PIECE": 32}
    with mock.patch.multiple(panel, **small), mock.patch.multiple(panel_states, **small):
        np.testing.assert_array_equal(model.log_likelihood(Y, by="sequence"), values)
        np.testing.assert_allclose(model.gradient(Y).transition, found.transition, rtol=1e-12)


def test_sequences_that_change_with_time_share_nothing_and_are_right():
    system = make(np.arange(1.0, 21.0).reshape(20, 1, 1), 1.0, 0.5, 1.0, initialization="stationary")
    Y = long_panel(system, 5, 20)
    model = Given(system)
    np.testing.assert_allclose(model.log_likelihood(Y, by="sequence"), [model.log_likelihood(y) for y in Y], rtol=1e-13)


def test_known_inputs_move_each_sequence_by_itself():
    rng = np.random.default_rng(1)
    model = LinearDynamicalSystem.from_matrices(1.0, 1.0, 0.5, 1.0, obs_exog=[[2.0]])
    Y, U = rng.normal(size=(5, 12, 1)), rng.normal(size=(5, 12, 1))
    together = model.log_likelihood(Y, by="sequence", exog=U)
    np.testing.assert_allclose(together, [model.log_likelihood(y, exog=u) for y, u in zip(Y, U, strict=True)])
    found = model.gradient(Y, exog=U)
    each = [model.gradient(y, exog=u) for y, u in zip(Y, U, strict=True)]
    np.testing.assert_allclose(found.obs_exog, sum(one.obs_exog for one in each), rtol=1e-12)
