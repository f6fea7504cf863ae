"""What breaks filters elsewhere, each case against the joint Gaussian in hundreds of digits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests import naive_lds
from tests.lds import systems as hard_systems
from tests.lds.agreement import Given, check, check_filter, check_smoother, is_covariance
from tests.lds.systems import HARD, make, simulated, systems


@pytest.mark.parametrize("hard", HARD, ids=lambda hard: hard.__name__)
@pytest.mark.parametrize("form", ["auto", "square_root"])
def test_hard_systems_are_filtered_and_smoothed(hard, form):
    system, Y = hard()
    right = naive_lds.dense(system, Y)
    check_filter(system, Y, form, right)
    check_smoother(system, Y, form, right)


@pytest.mark.parametrize("hard", HARD, ids=lambda hard: hard.__name__)
@pytest.mark.parametrize("form", ["auto", "covariance", "square_root"])
def test_hard_systems_have_covariances(hard, form):
    system, Y = hard()
    found = Given(system).filter(Y, form=form)
    is_covariance(found.predicted_cov[found.n_diffuse_steps :])
    is_covariance(found.filtered_cov[found.n_diffuse_steps :])
    is_covariance(found.innovation_cov)
    if form != "covariance":
        smoothed = Given(system).smooth(Y, form=form)
        is_covariance(smoothed.cov)
        is_covariance(smoothed.obs_disturbance_cov)
        is_covariance(smoothed.state_disturbance_cov)


@pytest.mark.parametrize("ratio", [1e3, 1e6, 1e9, 1e12, 1e15])
@pytest.mark.parametrize("hard", [hard_systems.vague_prior, hard_systems.vague_prior_one_feature])
def test_the_wider_the_prior_the_closer_is_a_diffuse_start(hard, ratio):
    system, Y = hard(ratio)
    right = naive_lds.dense(system, Y)
    check_filter(system, Y, right=right)
    check_smoother(system, Y, right=right)


@pytest.mark.parametrize("noise", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-18])
def test_little_noise_is_not_taken_for_none(noise):
    system, Y = hard_systems.nearly_noiseless(noise)
    right = naive_lds.dense(system, Y)
    check_filter(system, Y, right=right)
    check_smoother(system, Y, right=right)


@pytest.mark.parametrize("excess", [2.0**-10, 2.0**-20, 2.0**-30, 2.0**-40])
def test_nearly_redundant_observations_are_used_for_what_they_say(excess):
    system, Y = hard_systems.nearly_redundant(excess)
    right = naive_lds.dense(system, Y)
    check_filter(system, Y, right=right)
    check_smoother(system, Y, right=right)


@pytest.mark.parametrize("ratio", [1e-12, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize(
    "hard",
    [hard_systems.units_apart, hard_systems.units_of_states_apart, hard_systems.units_apart_from_nothing],
)
def test_units_that_lie_far_apart(hard, ratio):
    """Each state and each feature is compared in its own unit."""
    system, Y = hard(ratio)
    right, found, smoothed = naive_lds.dense(system, Y), Given(system).filter(Y), Given(system).smooth(Y)
    for state in range(system.n_states):
        for name in ("predicted_mean", "filtered_mean"):
            check(getattr(found, name)[:, state], getattr(right, name)[:, state], name)
        for name in ("predicted_cov", "filtered_cov"):
            check(getattr(found, name)[:, state, state], getattr(right, name)[:, state, state], name)
        check(smoothed.mean[:, state], right.mean[:, state], "mean")
        check(smoothed.cov[:, state, state], right.cov[:, state, state], "cov")
        check(smoothed.lag_one_cov[:, state, state], right.lag_one_cov[:, state, state], "lag_one_cov")
    for feature in range(system.n_features):
        check(smoothed.obs_disturbance[:, feature], right.obs_disturbance[:, feature], "obs_disturbance")
    check(found.log_likelihood, right.log_likelihood, "log_likelihood")


def in_other_units(system, Y, feature, state):
    """The same system, with every number of a feature or state multiplied."""
    outer = feature[:, None] * feature, state[:, None] * state
    moved = system._replace(
        design=system.design * feature[:, None] / state,
        obs_intercept=system.obs_intercept * feature,
        obs_cov=system.obs_cov * outer[0],
        transition=system.transition * state[:, None] / state,
        state_intercept=system.state_intercept * state,
        selection=system.selection * state[:, None],
        initial_state=system.initial_state * state,
        initial_state_cov=system.initial_state_cov * outer[1],
        diffuse_loadings=system.diffuse_loadings * state[:, None],
    )
    return moved, Y * feature


@settings(max_examples=80)
@given(systems(), st.data())
def test_units_change_nothing_but_the_units(case, data):
    """Powers of two of up to 1e12 are exact: all numbers are the same to the last bit, and all decisions."""
    system, Y = case
    feature = 2.0 ** data.draw(arrays(np.int64, system.n_features, elements=st.integers(-40, 40)))
    state = 2.0 ** data.draw(arrays(np.int64, system.n_states, elements=st.integers(-40, 40)))
    moved, moved_Y = in_other_units(system, Y, feature, state)
    found, other = Given(system).filter(Y), Given(moved).filter(moved_Y)
    assert found.form_used == other.form_used
    assert found.steady_from == other.steady_from
    assert found.n_diffuse_steps == other.n_diffuse_steps
    scale = 1 / state
    right = naive_lds.dense(system, Y, smoothed=False)
    if system.n_diffuse == 0:
        shift = -np.log(feature) * right.kept
        for name, value in (
            ("log_likelihood_steps", other.log_likelihood_steps - shift.sum(axis=1)),
            ("predicted_mean", other.predicted_mean * scale),
            ("predicted_cov", other.predicted_cov * scale[:, None] * scale),
        ):
            size = np.abs(found.log_likelihood_steps).max() if "steps" in name else np.abs(getattr(right, name)).max()
            if np.isfinite(value).all():
                check(value, getattr(found, name), name, max(size, 1.0), 1e-10)
            else:
                np.testing.assert_array_equal(np.isfinite(value), np.isfinite(getattr(found, name)))
    smoothed, other = Given(system).smooth(Y), Given(moved).smooth(moved_Y)
    size = np.abs(smoothed.mean).max()
    check(other.mean * scale, smoothed.mean, "mean", size, 1e-8)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_units_of_the_whole_shift_the_likelihood_by_their_logarithm(factor):
    system, Y = hard_systems.unit_roots()
    moved, moved_Y = in_other_units(system, Y, np.full(1, factor), np.full(5, factor))
    shift = np.log(factor) * np.count_nonzero(~np.isnan(Y))
    # loadings are in units of the states: k means another variance
    moved = moved._replace(diffuse_loadings=system.diffuse_loadings)
    determined = system.n_diffuse * np.log(factor)
    found = Given(moved).log_likelihood(moved_Y)
    assert found == pytest.approx(Given(system).log_likelihood(Y) - shift + determined, rel=1e-12)


# The result says which form ran


def test_an_easy_system_is_filtered_in_covariance_form():
    system = make(1.0, 1.0, 0.5, 1.0)
    Y = simulated(system, 50)
    model = Given(system)
    for verb in (model.filter, model.smooth):
        assert verb(Y).form_used == "covariance"
        assert not verb(Y, form="covariance").digits_lost
        assert verb(Y, form="covariance").form_used == "covariance"
        assert verb(Y, form="square_root").form_used == "square_root"


def test_a_hard_system_is_moved_to_the_square_root_form_and_the_result_says_so():
    system, Y = hard_systems.vague_prior()
    for verb in (Given(system).filter, Given(system).smooth):
        assert verb(Y).form_used == "square_root"
        assert not verb(Y).digits_lost
        assert verb(Y, form="covariance").form_used == "covariance"
        assert verb(Y, form="covariance").digits_lost


@settings(max_examples=25)
@given(systems(octaves=20, max_steps=5))
def test_units_that_are_drawn_far_apart_do_not_matter(case):
    """The likelihood has no units: it is right whatever those of states and features are."""
    system, Y = case
    right = naive_lds.dense(system, Y, smoothed=False)
    if not right.contradiction.any():
        check(Given(system).log_likelihood(Y), right.log_likelihood, "log_likelihood", len(Y))
        assert Given(system).filter(Y).n_diffuse_steps == right.n_diffuse_steps


@pytest.mark.parametrize("form", ["auto", "covariance", "square_root"])
def test_a_redundant_number_beside_a_diffuse_one_is_judged_by_the_size_of_the_data(form):
    system = make([[0.3], [0.7], [0.9]], np.diag([1.0, 0.0, 0.0]), 0.5, 1.0, diffuse=[True])
    Y = np.array([[3e8, 0.0, 0.0]])
    right = naive_lds.dense(system, Y).log_likelihood
    assert Given(system).log_likelihood(Y, form=form) == pytest.approx(float(right), rel=1e-9)


@pytest.mark.parametrize("hard", HARD, ids=lambda hard: hard.__name__)
def test_nothing_depends_on_what_memory_held(hard):
    system, Y = hard()
    rng = np.random.default_rng(0)
    found = set()
    for _ in range(25):
        garbage = [np.full(int(rng.integers(1, 200)), rng.choice([np.nan, 1e300, -3.0])) for _ in range(20)]
        del garbage
        results = [Given(system).smooth(Y, form=form) for form in ("covariance", "square_root")]
        found.add(tuple(array.tobytes() for r in results for array in (r.mean, r.cov, np.array(r.log_likelihood))))
    assert len(found) == 1
