"""The gradient against differences of the joint Gaussian's density in hundreds of digits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.lds.system import TIMED
from tests import naive_lds
from tests.lds.agreement import TOLERANCE, Given, check, contradicted
from tests.lds.systems import HARD, make, systems, unit_roots, vague_prior, vague_prior_one_feature

NAMES = (*TIMED, "initial_state", "initial_state_cov")


def with_time_axes(system, n):
    """The same system, each matrix with an entry for each step; the start does not move with them."""
    wide = {name: np.repeat(getattr(system, name)[:1], n, axis=0) for name in TIMED if len(getattr(system, name)) == 1}
    return system._replace(**wide, stationary=np.zeros(system.n_states, dtype=bool))


def of_steps(system, Y, form="auto"):
    """What each step adds to the gradient: sums of these can be nothing but their rounding."""
    found = Given(with_time_axes(system, len(Y))).gradient(Y, form=form)
    sizes = {name: np.abs(getattr(found, name)).max(initial=0.0) for name in NAMES}
    plain = system._replace(selection=np.eye(system.n_states)[None], state_cov=system.disturbance_cov)
    moved = np.abs(Given(with_time_axes(plain, len(Y))).gradient(Y, form=form).state_cov).max()
    Z, T = np.abs(system.design).max(), np.abs(system.transition).max()
    sizes["initial_state"] = Z * sizes["obs_intercept"] + T * sizes["state_intercept"]
    sizes["initial_state_cov"] = Z * Z * sizes["obs_cov"] + T * T * moved
    return sizes


def check_gradient(system, Y, entries=None, form="auto", tolerance=TOLERANCE):
    found = Given(system).gradient(Y, form=form)
    right = naive_lds.gradient(system, Y, entries)
    sizes = of_steps(system, Y, form)
    for name in NAMES:
        value, exact = np.reshape(getattr(found, name), right[name].shape), right[name]
        known = ~np.isnan(exact)
        scale = max(np.abs(exact[known]).max(initial=0.0), np.abs(value).max(initial=0.0), 1e-3 * sizes[name])
        scale = max(scale, 1e-6 * max(sizes.values()))  # what is nothing is a difference of these
        worst = np.abs(value - exact)[known].max(initial=0.0)
        assert worst <= tolerance * scale, f"{name}: {worst / scale:.1e}\nfound {value}\nright {exact}"
    for name in ("obs_cov", "state_cov", "initial_state_cov"):
        value = getattr(found, name)
        check(value, np.swapaxes(value, -1, -2), name, tolerance=1e-13)
    return found


@st.composite
def with_entries(draw, cases, most=10):
    """A case, and some entries of its matrices."""
    system, Y = draw(cases)
    entries = [(name, place) for name in NAMES for place in np.ndindex(getattr(system, name).shape)]
    chosen = draw(st.lists(st.sampled_from(range(len(entries))), min_size=min(most, len(entries)), max_size=most))
    return system, Y, [entries[i] for i in chosen]


@settings(max_examples=60)
@given(with_entries(systems()))
def test_the_gradient_is_the_derivative_of_the_joint_density(case):
    system, Y, entries = case
    if contradicted(Y, naive_lds.dense(system, Y, smoothed=False)) is False:
        check_gradient(system, Y, entries)


@pytest.mark.parametrize("form", ["covariance", "square_root"])
@settings(max_examples=15)
@given(case=with_entries(systems(octaves=1, obs_kinds=("full", "diagonal"))))
def test_either_form_has_the_gradient(form, case):
    check_gradient(*case, form=form)


@settings(max_examples=15)
@given(with_entries(systems(starts=("stationary", "mixed_stationary"), time_varying=False, min_steps=3), most=20))
def test_a_stationary_start_passes_its_derivatives_on(case):
    system, Y, entries = case
    if contradicted(Y, naive_lds.dense(system, Y, smoothed=False)) is False:
        check_gradient(system, Y, entries)


@settings(max_examples=15)
@given(with_entries(systems(starts=("diffuse",), max_features=1, min_steps=4), most=20))
def test_a_diffuse_start_has_the_limit_of_the_gradients(case):
    system, Y, entries = case
    if contradicted(Y, naive_lds.dense(system, Y, smoothed=False)) is False:
        check_gradient(system, Y, entries)


def some_entries(system):
    """Three of each matrix."""
    rng = np.random.default_rng(0)
    entries = []
    for name in NAMES:
        places = list(np.ndindex(getattr(system, name).shape))
        entries += [(name, places[i]) for i in rng.permutation(len(places))[:3]]
    return entries


@pytest.mark.parametrize("hard", HARD, ids=lambda hard: hard.__name__)
@pytest.mark.parametrize("form", ["auto", "square_root"])
def test_hard_systems_have_their_gradient(hard, form):
    system, Y = hard()
    check_gradient(system, Y, some_entries(system), form)


@pytest.mark.parametrize("ratio", [1e4, 1e8, 1e15])
@pytest.mark.parametrize("hard", [vague_prior, vague_prior_one_feature], ids=lambda hard: hard.__name__)
def test_a_vague_prior_costs_no_digits(hard, ratio):
    system, Y = hard(ratio)
    check_gradient(system, Y, tolerance=1e-11)
    check_gradient(
        with_time_axes(system, len(Y)), Y, [("transition", (0, 0, 1)), ("design", (0, 0, 1))], tolerance=1e-11
    )


@settings(max_examples=40)
@given(systems(starts=("known", "diffuse", "mixed")))
def test_the_gradient_by_a_constant_matrix_is_the_sum_over_the_steps(case):
    system, Y = case
    n = len(Y)
    found, by_step = Given(system).gradient(Y), Given(with_time_axes(system, n)).gradient(Y)
    for name in NAMES:
        value, steps = getattr(found, name), getattr(by_step, name)
        if np.ndim(value) < np.ndim(steps):
            size = np.abs(steps).sum(axis=0)
            assert (np.abs(value - steps.sum(axis=0)) <= 1e-10 * size.max()).all(), name


@settings(max_examples=40)
@given(systems())
def test_its_log_likelihood_comes_with_it(case):
    system, Y = case
    model = Given(system)
    total = model.log_likelihood(Y)
    found = model.gradient(Y)
    assert found.log_likelihood == total or found.log_likelihood == pytest.approx(total, rel=1e-10, abs=1e-10)
    for name in NAMES:
        matrix = getattr(system, name)
        given_as = matrix.shape[1:] if name in TIMED and len(matrix) == 1 else matrix.shape
        assert getattr(found, name).shape == given_as


@settings(max_examples=15)
@given(systems(time_varying=False, min_steps=2))
def test_several_sequences_add_their_gradients(case):
    system, Y = case
    model = Given(system)
    parts = [Y, Y[:1], Y[1:]]
    found, singles = model.gradient(parts), [model.gradient(part) for part in parts]
    for name in NAMES:
        each = [getattr(one, name) for one in singles]
        size = sum(np.abs(value) for value in each)
        assert (np.abs(getattr(found, name) - sum(each)) <= 1e-13 * size.max(initial=0.0)).all()


def test_matrices_beyond_the_data_have_no_gradient():
    system = make(np.ones((6, 1, 1)), 1.0, 0.5, 1.0)
    found = Given(system).gradient(np.arange(4.0))
    assert found.design.shape == (6, 1, 1)
    assert found.design[:4].all()
    assert not found.design[4:].any()


def test_a_long_series_with_steady_steps_has_the_gradient_of_all_its_steps():
    """Against central differences of the filter in many digits."""
    system, _ = unit_roots()
    rng = np.random.default_rng(1)
    Y = np.cumsum(rng.standard_normal((150, 1)), axis=0)
    Y[100:104] = np.nan
    found = Given(system).gradient(Y)
    for name, place in (("obs_cov", (0, 0)), ("state_cov", (0, 0)), ("state_cov", (2, 2)), ("transition", (0, 1))):
        levels = []
        step = 2.0**-30  # exact in float64; Richardson's rule takes h^2 away
        for h in (step, -step, 2 * step, -2 * step):
            moved = getattr(system, name).copy()
            moved[0][place] += h
            levels.append(naive_lds.precise_filter(system._replace(**{name: moved}), Y, exact_total=True))
        with naive_lds._bits(1000):
            near, far = (levels[0] - levels[1]) / (2 * step), (levels[2] - levels[3]) / (4 * step)
            right = float((4 * near - far) / 3)
        assert getattr(found, name)[place] == pytest.approx(right, rel=1e-9)
