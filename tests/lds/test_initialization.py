"""The law of the first state: what is given, what follows from the matrices, and what nothing is known of."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import block_diag

from statespace.lds.initialization import initial_law, make_system, stationary_cov, stationary_mean, stationary_pullback
from statespace.lds.system import checked_matrices
from tests import naive_lds
from tests.lds.systems import systems

STABLE = checked_matrices([1.0, 0.0], 1.0, [[0.5, 0.25], [0.0, 0.5]], np.eye(2), state_intercept=[1.0, 2.0])
TREND = checked_matrices([1.0, 0.0], 1.0, [[1.0, 1.0], [0.0, 1.0]], np.eye(2))
MIXED = checked_matrices(
    [1.0, 0.0, 1.0],
    1.0,
    [[1.0, 1.0, 0.25], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5]],
    np.eye(3),
    state_intercept=[0.0, 0.0, 2.0],
)
TIMED_T = checked_matrices([1.0, 0.0], 1.0, np.array([np.eye(2) / 2, np.eye(2) / 4]), np.eye(2))


def relative_error(found, right):
    return np.abs(found - right).max() / (np.abs(right).max() or 1.0)


def exact_cov(T, V):
    """The stationary covariance of exactly these matrices."""
    m = len(T)
    system = make_system(checked_matrices(np.ones((1, m)), 1.0, T, V), np.zeros(m), np.eye(m))
    return naive_lds.stationary_law(system)[1]


# Kinds


def test_without_more_a_stable_system_starts_from_its_stationary_law():
    law = initial_law(STABLE)
    mean, cov = naive_lds.stationary_law(make_system(STABLE))
    np.testing.assert_allclose(law.mean, mean, rtol=1e-15)
    np.testing.assert_allclose(law.cov, cov, rtol=1e-14)
    assert law.loadings.shape == (2, 0)


@pytest.mark.parametrize("matrices", [TREND, TIMED_T])
def test_without_more_nothing_is_known_where_there_is_no_stationary_law(matrices):
    law = initial_law(matrices)
    assert not law.mean.any()
    assert not law.cov.any()
    np.testing.assert_array_equal(law.loadings, np.eye(2))


def seasonals():
    """Transitions on the unit circle: dummy and trigonometric seasonals, and with a difference more."""
    for period in range(2, 40):
        dummy = np.eye(period - 1, k=-1)
        dummy[0] = -1.0
        angles = 2 * np.pi * np.arange(1, (period - 1) // 2 + 1) / period
        blocks = [np.array([[np.cos(b), np.sin(b)], [-np.sin(b), np.cos(b)]]) for b in angles]
        if period % 2 == 0:
            blocks.append(np.array([[-1.0]]))
        differenced = np.eye(period + 1, k=-1)
        differenced[0] = -np.convolve(np.eye(period + 1)[0] - np.eye(period + 1)[-1], [1.0, -1.0])[1:]
        yield from (dummy, block_diag(*blocks), differenced)


def test_a_seasonal_is_not_taken_to_be_stationary_for_the_rounding_of_its_eigenvalues():
    for T in seasonals():
        m = len(T)
        law = initial_law(checked_matrices(np.ones(m), 1.0, T, np.eye(m)))
        assert law.loadings.shape == (m, m), T


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_close_to_a_unit_root_is_stationary_still(gap, sign):
    law = initial_law(checked_matrices(1.0, 1.0, sign * (1.0 - gap), 1.0))
    assert law.cov[0, 0] == pytest.approx(0.5 / gap, rel=1e-3)
    assert law.loadings.shape == (1, 0)


@given(st.sampled_from([STABLE, TREND, TIMED_T]), st.booleans())
def test_what_is_given_is_known(matrices, named):
    law = initial_law(matrices, [1.0, -1.0], [[2.0, 0.5], [0.5, 1.0]], initialization="known" if named else None)
    np.testing.assert_array_equal(law.mean, [1.0, -1.0])
    np.testing.assert_array_equal(law.cov, [[2.0, 0.5], [0.5, 1.0]])
    assert law.loadings.shape == (2, 0)


def test_a_covariance_without_a_mean_is_about_zero():
    np.testing.assert_array_equal(initial_law(TREND, initial_state_cov=np.eye(2)).mean, [0.0, 0.0])


def test_approximately_diffuse_is_a_large_variance():
    law = initial_law(TREND, [1.0, 2.0], initialization="approximate_diffuse")
    np.testing.assert_array_equal(law.mean, [1.0, 2.0])
    np.testing.assert_array_equal(law.cov, 1e6 * np.eye(2))
    assert law.loadings.shape == (2, 0)


def test_diffuse_states_beside_known_ones():
    cov = np.array([[9.0, 1.0, 1.0], [1.0, 2.0, 0.5], [1.0, 0.5, 3.0]])
    law = initial_law(MIXED, [7.0, 1.0, 2.0], cov, diffuse=[True, False, False])
    np.testing.assert_array_equal(law.mean, [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(law.cov, [[0, 0, 0], [0, 2.0, 0.5], [0, 0.5, 3.0]])
    np.testing.assert_array_equal(law.loadings, [[1.0], [0.0], [0.0]])


@pytest.mark.parametrize("named", ["stationary", None])
def test_diffuse_states_beside_stationary_ones(named):
    law = initial_law(MIXED, diffuse=[True, True, False], initialization=named)
    np.testing.assert_allclose(law.mean, [0.0, 0.0, 4.0], rtol=1e-15)
    np.testing.assert_allclose(law.cov, np.diag([0.0, 0.0, 4 / 3]), rtol=1e-15)
    np.testing.assert_array_equal(law.loadings, np.eye(3)[:, :2])


def test_all_states_named_diffuse_need_nothing_else():
    np.testing.assert_array_equal(initial_law(STABLE, diffuse=[True, True]).loadings, np.eye(2))
    assert not initial_law(STABLE, diffuse=[True, True]).cov.any()


def test_what_is_given_of_the_start_is_copied():
    mean, cov = np.array([1.0, 2.0]), np.eye(2)
    law = initial_law(TREND, mean, cov)
    mean[0], cov[0, 0] = 5.0, 5.0
    assert law.mean[0] == law.cov[0, 0] == 1.0


@pytest.mark.parametrize(
    ("matrices", "arguments", "error", "message"),
    [
        (STABLE, {"initialization": "exact"}, ValueError, "initialization is 'exact'"),
        (
            STABLE,
            {"initialization": "known"},
            ValueError,
            'initialization="known" needs initial_state_cov, shape (2, 2)',
        ),
        (STABLE, {"initial_state": [1, 2]}, ValueError, "initial_state is given without initial_state_cov"),
        (
            STABLE,
            {"initial_state": [1, 2], "initialization": "stationary"},
            ValueError,
            "initial_state is given, and initialization is 'stationary', which does not read it",
        ),
        (
            STABLE,
            {"initial_state_cov": np.eye(2), "initialization": "diffuse"},
            ValueError,
            "initial_state_cov is given, and initialization is 'diffuse', which does not read it",
        ),
        (TREND, {"initialization": "stationary"}, ValueError, "spectral radius 1, and a stationary law only below 1"),
        (TIMED_T, {"initialization": "stationary"}, ValueError, "that do not change with time"),
        (
            MIXED,
            {"diffuse": [False, True, True], "initialization": "stationary"},
            ValueError,
            "state 0 is to be stationary, and follows state 1, which is diffuse: it is diffuse too",
        ),
        (STABLE, {"diffuse": [True]}, ValueError, "diffuse is [True], expected 2 truth values: one for each state"),
        (STABLE, {"diffuse": [1, 0]}, ValueError, "diffuse is [1, 0], expected 2 truth values"),
        (
            STABLE,
            {"initial_state": [1, 2, 3], "initial_state_cov": np.eye(2)},
            ValueError,
            "initial_state has shape (3,), expected (2,): one number for each state",
        ),
        (
            STABLE,
            {"initial_state": [1, np.nan], "initial_state_cov": np.eye(2)},
            ValueError,
            "expected finite numbers",
        ),
        (
            STABLE,
            {"initial_state": ["a", "b"], "initial_state_cov": np.eye(2)},
            TypeError,
            "initial_state is ['a', 'b'], expected 2 numbers",
        ),
        (STABLE, {"initial_state_cov": np.eye(3)}, ValueError, "initial_state_cov has shape (3, 3), expected (2, 2)"),
        (STABLE, {"initial_state_cov": "x"}, TypeError, "initial_state_cov is 'x', expected an array of shape (2, 2)"),
        (
            STABLE,
            {"initial_state_cov": np.diag([np.inf, 1.0])},
            ValueError,
            "for states of which nothing is known use diffuse=",
        ),
        (STABLE, {"initial_state_cov": [[1, 2], [2, 1]]}, ValueError, "initial_state_cov is not positive-semidefinite"),
        (STABLE, {"initial_state_cov": [[1, 1], [0, 1]]}, ValueError, "initial_state_cov is not symmetric"),
    ],
)
def test_what_does_not_fit_is_named(matrices, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        initial_law(matrices, **arguments)


def test_a_state_that_feeds_a_diffuse_one_without_following_it_is_stationary():
    law = initial_law(MIXED, diffuse=[True, True, False])
    assert law.cov[2, 2] == pytest.approx(4 / 3, rel=1e-15)


# The stationary law


@settings(max_examples=40)
@given(systems(starts=("stationary",), max_states=4, octaves=10))
def test_the_stationary_law_is_the_solution_of_its_equations(case):
    system, _ = case
    mean, cov = naive_lds.stationary_law(system)
    deviations = np.sqrt(np.maximum(np.diag(cov), 0.0))
    size = np.maximum(np.outer(deviations, deviations), 1e-300)
    assert (np.abs(system.initial_state_cov - cov) <= 1e-11 * size).all()
    assert relative_error(system.initial_state, mean) < 1e-11
    np.testing.assert_array_equal(system.initial_state_cov, system.initial_state_cov.T)


def by_units(value, units):
    return value * units[:, None] / units


@given(
    arrays(np.int64, (3, 3), elements=st.integers(-3, 3)),
    arrays(np.int64, (3, 3), elements=st.integers(-3, 3)),
    arrays(np.int64, 3, elements=st.integers(-40, 40)),
)
def test_units_of_the_states_change_the_stationary_law_by_units_alone(T, L, octaves):
    units = 2.0**octaves
    T, V = T / 16.0, L @ L.T / 4.0
    plain = stationary_cov(T, V)
    np.testing.assert_array_equal(
        stationary_cov(by_units(T, units), V * np.outer(units, units)) / np.outer(units, units), plain
    )


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15])
def test_nothing_is_lost_close_to_a_unit_root(gap):
    root = 1.0 - gap
    single, beside = np.array([[root]]), np.diag([root, 0.5])
    for T in (single, -single, beside, np.array([[root, 1.0], [0.0, 0.5]])):
        V = np.eye(len(T))
        assert relative_error(stationary_cov(T, V), exact_cov(T, V)) < 1e-12
    assert stationary_mean(single, np.array([2.0]))[0] == pytest.approx(2.0 / (1.0 - root), rel=1e-14)


def sensitivity(T, V):
    """How far the law moves when the entries of T move by their rounding."""
    right, rng = exact_cov(T, V), np.random.default_rng(0)
    moved = [T * (1 + 2.0**-52 * rng.choice([-1.0, 1.0], T.shape)) for _ in range(4)]
    moved = [relative_error(exact_cov(M, V), right) for M in moved if np.abs(np.linalg.eigvals(M)).max() < 1]
    return max(moved)


@pytest.mark.parametrize("gap", [1e-2, 1e-3, 1e-4, 1e-6, 1e-9])
@pytest.mark.parametrize(
    "transition",
    [
        lambda root: [[root + 0.5, -0.5 * root], [1.0, 0.0]],
        lambda root: [[0.6 * root, 0.8 * root], [-0.8 * root, 0.6 * root]],
        lambda root: [[0.5, 0.5], [root - 0.5, 0.5]],
        lambda root: [[root - 0.5, 1.0, 0.0], [0.5 * root, 0.0, 1.0], [0.0, 0.0, 0.0]],
    ],
    ids=["second order", "rotation", "mixing", "companion"],
)
def test_close_to_a_unit_root_no_more_is_lost_than_by_rounding_the_transition(transition, gap):
    T = np.array(transition(1.0 - gap))
    V = np.zeros_like(T)
    V[0, 0] = 1.0
    lost = relative_error(stationary_cov(T, V), exact_cov(T, V))
    assert lost < 1e-13 + 30 * sensitivity(T, V)


@pytest.mark.parametrize(
    ("order", "gap"), [(2, 1e-2), (2, 1e-3), (2, 1e-5), (3, 1e-2), (3, 1e-3), (4, 1e-1), (4, 1e-2)]
)
def test_equal_roots_close_to_one_do_not_blow_up(order, gap):
    T = np.eye(order, k=-1)
    T[0] = -np.poly(np.full(order, 1.0 - gap))[1:]
    V = np.zeros_like(T)
    V[0, 0] = 1.0
    P = stationary_cov(T, V)
    assert relative_error(P, exact_cov(T, V)) < 1e-13 + 100 * sensitivity(T, V)
    assert np.linalg.eigvalsh(P)[0] > -1e-12 * P.max()


def test_a_transition_without_a_full_set_of_eigenvectors_has_its_law():
    root = 1.0 - 1e-6
    T = np.array([[root, 1.0, 0.0], [0.0, root, 1.0], [0.0, 0.0, root]])
    assert relative_error(stationary_cov(T, np.eye(3)), exact_cov(T, np.eye(3))) < 1e-10


def test_powers_that_grow_before_they_fall_have_their_law():
    T = np.array([[0.5, 1e8], [0.0, 0.5]])
    assert relative_error(stationary_cov(T, np.eye(2)), exact_cov(T, np.eye(2))) < 1e-13


def test_no_noise_leaves_the_stationary_state_certain():
    assert not stationary_cov(np.diag([0.5, 0.25]), np.zeros((2, 2))).any()


# Its derivatives


@settings(max_examples=40)
@given(systems(starts=("stationary",), max_states=3, max_steps=1, octaves=10), st.data())
def test_derivatives_go_through_the_stationary_law(case, data):
    """L = g . a1 + sum_ij G_ij P1_ij, by differences in many digits."""
    system, _ = case
    m = system.n_states
    units = np.sqrt(np.diag(system.initial_state_cov)) + (np.diag(system.initial_state_cov) == 0)
    g = data.draw(arrays(np.int64, m, elements=st.integers(-4, 4))) / units
    G = data.draw(arrays(np.int64, (m, m), elements=st.integers(-4, 4))) * 1.0
    G = (G + G.T) / units[:, None] / units
    T, P1, a1 = system.transition[0], system.initial_state_cov, system.initial_state
    found = stationary_pullback(T, P1, G, a1, g)
    right = naive_lds.stationary_derivatives(system, g, G)
    np.testing.assert_array_equal(found.disturbance_cov, found.disturbance_cov.T)
    with_units = ((found.transition, right[0], 1 / units[:, None] * units),)
    with_units += (
        (found.disturbance_cov, right[1], 1 / np.outer(units, units)),
        (found.state_intercept, right[2], 1 / units),
    )
    for value, exact, unit in with_units:
        assert (np.abs(value - exact) <= 1e-12 * np.abs(exact / unit).max() * unit).all()


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12])
def test_derivatives_lose_nothing_close_to_a_unit_root(gap):
    """P1 = V / (1 - T^2): dP1/dT = 2 T P1 / (1 - T^2), dP1/dV = 1 / (1 - T^2)."""
    root = 1.0 - gap
    rest = (1 - root) * (1 + root)
    for sign in (1.0, -1.0):
        found = stationary_pullback(np.array([[sign * root]]), np.array([[3 / rest]]), np.array([[sign * 5.0]]))
        assert found.transition[0, 0] == pytest.approx(5.0 * 2 * root * 3 / rest**2, rel=1e-14)
        assert found.disturbance_cov[0, 0] == pytest.approx(sign * 5.0 / rest, rel=1e-14)


def test_derivatives_do_not_blow_up_where_roots_are_equal():
    T = np.eye(3, k=-1)
    T[0] = -np.poly(np.full(3, 1.0 - 1e-2))[1:]
    V = np.diag([1.0, 0.0, 0.0])
    system = make_system(checked_matrices(np.ones((1, 3)), 1.0, T, V), initialization="stationary")
    G = np.diag([1.0, -0.5, 0.25]) / system.initial_state_cov[0, 0]
    found = stationary_pullback(T, system.initial_state_cov, G)
    right = naive_lds.stationary_derivatives(system, np.zeros(3), G)
    assert relative_error(found.transition, right[0]) < 1e-6
    assert relative_error(found.disturbance_cov, right[1]) < 1e-6
