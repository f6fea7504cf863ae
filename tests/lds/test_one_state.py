"""The scalar recursions of one state and one number against the joint Gaussian and against filters in many digits."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from statespace.lds.filtered import initial_state
from statespace.lds.frames import make_frames
from statespace.lds.likelihood import log_likelihood_and_gradient
from statespace.lds.one_state import is_one_state
from statespace.lds.system import TIMED
from tests import naive_lds
from tests.lds.agreement import Given, check, check_filter, check_smoother, contradicted
from tests.lds.systems import make, simulated, systems
from tests.lds.test_gradient import NAMES, check_gradient

SCALARS = systems(max_states=1, max_features=1, max_steps=10)


def serves(system, Y):
    return is_one_state(make_frames(system, Y), initial_state(system))


def level(ratio, start=1.0, **known):
    return make(1.0, 1.0, 1.0, ratio, initial_state=[0.0], initial_state_cov=[[start]], **known)


@settings(max_examples=60)
@given(SCALARS)
def test_the_filter_is_the_conditional_law(case):
    check_filter(*case, tolerance=1e-12)


@settings(max_examples=60)
@given(SCALARS)
def test_the_smoother_is_the_conditional_law(case):
    found, _ = check_smoother(*case, tolerance=1e-11)
    assert found.form_used == "covariance" or not serves(*case)


@settings(max_examples=25)
@given(SCALARS)
def test_the_gradient_is_the_derivative(case):
    system, Y = case
    if contradicted(Y, naive_lds.dense(system, Y, smoothed=False)) is False:
        check_gradient(system, Y)


@pytest.mark.parametrize("exponent", [-12, -6, 0, 6, 12])
@pytest.mark.parametrize("start", [0.0, 1.0, 1e12])
def test_no_ratio_of_noises_and_no_vague_start_costs_digits(exponent, start):
    system = level(10.0**exponent, start)
    Y = simulated(system, 9, start=np.array([3.0]))
    Y[[2, 3]] = np.nan
    check_filter(system, Y, tolerance=1e-14)
    check_smoother(system, Y, tolerance=1e-13)
    check_gradient(system, Y, tolerance=1e-11)


@settings(max_examples=60)
@given(systems(max_states=1, max_features=1, max_steps=10, time_varying=False))
def test_the_gradient_of_a_fit_is_that_of_the_verb(case):
    """Sums that a kernel makes, and sums of what the backward pass wrote down."""
    system, Y = case
    right = Given(system._replace(stationary=np.zeros(1, dtype=bool))).gradient(Y)
    total, found = log_likelihood_and_gradient(system, [make_frames(system, Y)])
    assert total == pytest.approx(right.log_likelihood, rel=1e-13, abs=1e-13)
    for name in NAMES:
        value, exact = getattr(found, name), getattr(right, name)
        assert value.shape == getattr(system, name).shape
        if np.isfinite(total):
            check(value.reshape(exact.shape), exact, name, 1e-3 * np.abs(exact).max(), 1e-11)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(60, 150),
    st.sampled_from([0.0, 0.01, 0.5, 4.0]),
    st.sampled_from([1.0, -0.75, 0.5, 0.0]),
    st.lists(st.tuples(st.integers(0, 149), st.integers(1, 40)), max_size=3),
    st.booleans(),
)
@example(150, 0.0, 0.0, [], False)
@example(150, 0.0, 0.5, [(0, 1)], True)
def test_steady_stretches_are_what_all_steps_give(n, noise, T, gaps, diffuse):
    """Gains are kept where they have settled, before, between and after gaps."""
    start = {"initialization": "diffuse"} if diffuse else {"initial_state": [1.0], "initial_state_cov": [[2.0]]}
    system = make(2.0, 0.5, T, noise, obs_intercept=[1.0], state_intercept=[0.25], **start)
    Y = simulated(system, n, seed=n)
    for begin, length in gaps:
        Y[begin : begin + length] = np.nan
    right = naive_lds.precise_filter(system, Y)
    found, smoothed = Given(system).filter(Y), Given(system).smooth(Y)
    for name in ("predicted_cov", "filtered_cov", "predicted_mean", "filtered_mean", "log_likelihood_steps"):
        first = found.n_diffuse_steps - (0 if name.startswith("predicted") else 1)
        first = max(first, 0)  # before, the twin has what is infinite in it
        check(getattr(found, name)[first:], right[name][first:], name, tolerance=1e-12)
    check(found.log_likelihood, right["log_likelihood"], "log_likelihood", tolerance=1e-12)
    check(Given(system).log_likelihood(Y), right["log_likelihood"], "score", tolerance=1e-12)
    if noise and not np.isnan(Y).all():  # the twin inverts covariances
        later = naive_lds.precise_smoother(system, Y)
        for name in ("mean", "cov", "lag_one_cov"):
            check(getattr(smoothed, name), later[name], name, tolerance=1e-11)


def test_a_state_that_is_known_exactly_contradicts():
    system = make(1.0, 0.0, 1.0, 0.0, initial_state=[2.0], initial_state_cov=[[0.0]])
    right, wrong = np.full(400, 2.0), np.full(400, 2.0)
    wrong[300] = 2.5
    assert Given(system).log_likelihood(right) == 0.0
    assert Given(system).log_likelihood(wrong) == -np.inf
    steps = Given(system).filter(wrong).log_likelihood_steps
    assert steps[300] == -np.inf
    assert (np.delete(steps, 300) == 0.0).all()


def test_matrices_that_change_with_time_are_read_at_their_step():
    rng = np.random.default_rng(0)
    n = 50
    timed = {
        "design": rng.normal(size=(n, 1, 1)),
        "obs_cov": rng.uniform(0.5, 2.0, size=(n, 1, 1)),
        "transition": rng.uniform(-1.0, 1.0, size=(n, 1, 1)),
        "state_cov": rng.uniform(0.5, 2.0, size=(n, 1, 1)),
        "obs_intercept": rng.normal(size=(n, 1)),
        "state_intercept": rng.normal(size=(n, 1)),
    }
    assert timed.keys() == set(TIMED) - {"selection"}  # which noise already stands for
    for name in timed:
        system = make(
            **{**{key: value[0] for key, value in timed.items()}, name: timed[name]},
            initial_state=[1.0],
            initial_state_cov=[[1.0]],
        )
        Y = simulated(system, n)
        right, later = naive_lds.textbook_filter(system, Y), naive_lds.textbook_smoother(system, Y)
        found, smoothed = Given(system).filter(Y), Given(system).smooth(Y)
        for key, value in right.items():
            check(getattr(found, key), value, f"{name}: {key}", tolerance=1e-12)
        for key, value in later.items():
            check(getattr(smoothed, key), value, f"{name}: {key}", tolerance=1e-11)
