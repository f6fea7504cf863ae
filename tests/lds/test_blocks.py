"""The kernels for more than a few states, which are right for any number of them: on padded matrices, by tiles."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.lds import filtering, smoothing
from statespace.lds.dynamics import make_dynamics
from statespace.lds.filtering import filter_covariance
from statespace.lds.frames import make_frames
from statespace.lds.initialization import make_system
from statespace.lds.steady_blocks import close, closed_size
from tests import naive_lds
from tests.lds.agreement import Given, check, check_filter, check_smoother, contradicted, is_covariance, sizes
from tests.lds.systems import HARD, make, simulated, systems


@contextmanager
def by_blocks(full=None, closed=None):
    """All systems by these kernels, their transition taken as full or by its entries, steady runs in closed form."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filtering, "FILTERS", {})
        patch.setattr(smoothing, "SMALL_STATES", 0)
        for module in (filtering, smoothing):
            if full is not None:
                patch.setattr(module, "is_full", lambda _: full)
            if closed is not None:
                patch.setattr(module, "closes", lambda *_: closed)
        yield


@settings(max_examples=60)
@given(systems(), st.booleans())
def test_filter_and_smoother_are_the_conditional_law_of_the_joint_gaussian(case, full):
    with by_blocks(full):
        check_filter(*case)
        check_smoother(*case)


@settings(max_examples=25)
@given(systems(max_states=4, max_features=6, max_steps=6, starts=("known", "stationary")), st.booleans())
def test_more_features_than_states_are_no_special_case(case, full):
    with by_blocks(full):
        check_filter(*case)
        check_smoother(*case)


@settings(max_examples=15)
@given(systems(max_states=10, max_features=3, max_steps=5, octaves=2, starts=("known", "stationary")))
def test_more_states_than_a_vector_has_numbers(case):
    with by_blocks():
        check_filter(*case)
        check_smoother(*case)


@pytest.mark.parametrize("hard", HARD, ids=lambda hard: hard.__name__)
@pytest.mark.parametrize("full", [True, False])
def test_hard_systems(hard, full):
    system, Y = hard()
    right = naive_lds.dense(system, Y)
    with by_blocks(full):
        check_filter(system, Y, right=right)
        check_smoother(system, Y, right=right)
        found = Given(system).filter(Y, form="covariance")
    is_covariance(found.predicted_cov[found.n_diffuse_steps :])
    is_covariance(found.filtered_cov[found.n_diffuse_steps :])


def beside(system, m, noise):
    """The system with states up to the m-th that nothing is seen of: each moves alone, or is known where noise is 0."""
    more = m - system.n_states

    def below(A, B):
        n, i, j = A.shape
        made = np.zeros((n, i + B.shape[0], j + B.shape[1]))
        made[:, :i, :j], made[:, i:, j:] = A, B
        return made

    own = noise * np.eye(more)
    matrices = {
        "design": below(system.design, np.zeros((0, more))),
        "obs_intercept": system.obs_intercept,
        "obs_cov": system.obs_cov,
        "transition": below(system.transition, 0.5 * np.eye(more)),
        "state_intercept": np.pad(system.state_intercept, ((0, 0), (0, more)), constant_values=0.5),
        "selection": below(system.selection, np.eye(more)),
        "state_cov": below(system.state_cov, own),
    }
    made = make_system(
        {name: np.ascontiguousarray(matrix) for name, matrix in matrices.items()},
        np.pad(system.initial_state, (0, more), constant_values=1.0),
        below(system.initial_state_cov[None], own)[0],
        initialization="known",
    )
    return made._replace(diffuse_loadings=np.pad(system.diffuse_loadings, ((0, more), (0, 0))))


def check_beside(system, Y, form, noise, right):
    """Log-likelihood and moments of the states are what they are without those beside them."""
    m = system.n_states
    for wider in (5, 6):
        found = Given(beside(system, wider, noise)).filter(Y, form=form)
        if form == "covariance" and found.digits_lost:
            return
        mean, cov = sizes(system, Y, right)
        for name, size in (("predicted_mean", mean), ("filtered_mean", mean)):
            check(getattr(found, name)[:, :m], getattr(right, name), name, size)
        for name, size in (("predicted_cov", cov), ("filtered_cov", cov)):
            check(getattr(found, name)[:, :m, :m], getattr(right, name), name, size)
        off = contradicted(Y, right)
        if off is False:
            check(found.log_likelihood, right.log_likelihood, "log_likelihood", len(Y))
            total = Given(beside(system, wider, noise)).log_likelihood(Y, form=form)
            check(total, right.log_likelihood, "without the rest", len(Y))
        elif off:
            assert found.log_likelihood == -np.inf


@pytest.mark.parametrize("form", ["auto", "covariance"])
@settings(max_examples=60)
@given(case=systems(), noise=st.sampled_from([0.0, 1.0]), full=st.booleans())
def test_states_beside_the_others_change_nothing(form, case, noise, full):
    with by_blocks(full):
        check_beside(*case, form, noise, naive_lds.dense(*case, smoothed=False))


@pytest.mark.parametrize("hard", [hard for hard in HARD if hard()[0].n_states < 5], ids=lambda hard: hard.__name__)
@pytest.mark.parametrize("form", ["auto", "covariance"])
def test_states_beside_those_of_hard_systems_change_nothing(hard, form):
    system, Y = hard()
    right = naive_lds.dense(system, Y, smoothed=False)
    for noise in (0.0, 1.0):
        for full in (True, False):
            with by_blocks(full):
                check_beside(system, Y, form, noise, right)


def long_system(kind, m=7, p=3):
    rng = np.random.default_rng(m)
    T = 0.8 * np.linalg.qr(rng.normal(size=(m, m)))[0]
    if kind == "sparse":
        T = 0.8 * np.eye(m, k=-1)
        T[0] = -0.2
    return make(rng.normal(size=(p, m)), np.eye(p) + 0.3, T, np.eye(m), initialization="stationary")


@pytest.mark.parametrize("kind", ["full", "sparse"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_long_series_with_gaps_is_filtered_and_smoothed_as_in_many_digits(kind, closed):
    system = long_system(kind)
    Y = simulated(system, 300)
    Y[120:123] = np.nan
    Y[200, 1] = np.nan
    with by_blocks(kind == "full", closed):
        filtered, smoothed = Given(system).filter(Y), Given(system).smooth(Y)
        total = Given(system).log_likelihood(Y)
    assert filtered.steady_from is not None
    right = naive_lds.precise_filter(system, Y, bits=300)
    assert total == pytest.approx(right["log_likelihood"], rel=1e-12)
    for name in ("log_likelihood_steps", "predicted_mean", "predicted_cov", "filtered_mean", "filtered_cov"):
        check(getattr(filtered, name), right[name], name, tolerance=1e-11)
    right = naive_lds.precise_smoother(system, Y, bits=600)
    for name in ("mean", "cov", "lag_one_cov"):
        check(getattr(smoothed, name), right[name], name, tolerance=1e-10)
    is_covariance(smoothed.cov)


@pytest.mark.parametrize("kind", ["full", "sparse"])
def test_gradient_and_disturbances_are_those_of_the_kernels_for_few_states(kind):
    system = long_system(kind, m=4, p=2)
    Y = simulated(system, 200)
    Y[100, 0] = np.nan
    one = Given(system)
    expected, smoothed = one.gradient(Y), one.smooth(Y).obs_disturbance
    with by_blocks(kind == "full"):
        found, others = one.gradient(Y), one.smooth(Y).obs_disturbance
    for name, value in expected._asdict().items():
        if value is not None:
            check(getattr(found, name), value, name, tolerance=1e-11)
    check(others, smoothed, "obs_disturbance", tolerance=1e-11)


def test_a_state_that_is_seen_without_noise_is_known_and_stays_so():
    m = 6
    Z = np.eye(m)[:3]
    Z[2] = [1.0, 1.0, 0, 0, 0, 1.0]
    system = make(Z, np.diag([0.0, 1.0, 0.0]), 0.5 * np.eye(m) + 0.05, np.eye(m), initialization="stationary")
    Y = simulated(system, 4)
    check_filter(system, Y)
    check_smoother(system, Y)
    found = Given(system).filter(Y)
    assert not found.filtered_cov[:, 0].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 10), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_the_closed_form_is_the_step(m, p, seed):
    rng = np.random.default_rng(seed)
    system = make(rng.normal(size=(p, m)), np.eye(p), 0.5 * rng.normal(size=(m, m)) / m, np.eye(m))
    Y = rng.normal(size=(1, p))
    dynamics, frames = make_dynamics(system), make_frames(system, Y)
    with by_blocks():
        filtered = filter_covariance(system, dynamics, frames)
    closed = np.zeros(closed_size(m, p))
    given_ = (filtered.k[0], filtered.kind[0], filtered.F[0])
    close(p, frames.design[0], *given_, dynamics.row_start, dynamics.column, dynamics.value[0], closed)
    wide, across = -(-m // 8) * 8, -(-p // 8) * 8
    # One number after the other
    T, left, gains = system.transition[0], np.eye(m), np.zeros((m, p))
    for i in range(p):
        z, k = frames.design[0, i], filtered.k[0, i]
        gains -= np.outer(k, z @ gains)
        gains[:, i] += k
        left -= np.outer(k, z @ left)
    turned = closed[: wide * wide].reshape(wide, wide)[:m, :m]
    np.testing.assert_allclose(turned.T, T @ left, rtol=0, atol=1e-13)
    K = closed[2 * wide * wide :][: across * wide].reshape(across, wide)[:p, :m]
    np.testing.assert_allclose(K.T, T @ gains, rtol=0, atol=1e-13)


def test_disturbances_have_the_covariance_of_the_noise_where_nothing_selects():
    system = long_system("full")
    np.testing.assert_array_equal(system.disturbance_cov, system.state_cov)
    R = np.eye(7)[:, [1, 0, 2, 3, 4, 5, 6]]
    other = system._replace(selection=np.ascontiguousarray(R)[None], state_cov=np.diag(np.arange(7.0))[None])
    np.testing.assert_array_equal(other.disturbance_cov[0], R @ other.state_cov[0] @ R.T)


def test_a_long_season_keeps_its_digits_in_covariance_form():
    """A sum of 59 states that nearly cancels is a small rest, and has its digits all the same."""
    period = 60
    T = np.zeros((period, period))
    T[0, 0], T[1, 1:] = 1.0, -1.0
    T[np.arange(2, period), np.arange(1, period - 1)] = 1.0
    Z, R = np.eye(1, period) + np.eye(1, period, 1), np.eye(period, 2)
    system = make(Z, 0.75, T, np.diag([0.02, 0.003]), R, initialization="diffuse")
    rng = np.random.default_rng(0)
    Y = (np.tile(rng.normal(size=period), 3) + rng.normal(size=3 * period))[:, None]
    found, right = Given(system).filter(Y), Given(system).filter(Y, form="square_root")
    assert found.form_used == "covariance"
    check(found.log_likelihood, right.log_likelihood, "log_likelihood", tolerance=1e-12)
    for name in ("filtered_mean", "filtered_cov"):
        check(getattr(found, name)[period:], getattr(right, name)[period:], name, tolerance=1e-11)
