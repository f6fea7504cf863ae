"""The matrices of a linear system: one shape for all, and words for what does not fit."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from statespace.lds.initialization import make_system
from statespace.lds.system import TIMED, checked_covariances, checked_matrices
from tests.lds.systems import systems

GOOD = {
    "design": [[1.0, 0.5], [0.0, 2.0], [1.0, 1.0]],
    "obs_cov": np.diag([1.0, 2.0, 3.0]),
    "transition": [[0.5, 0.25], [0.0, 0.5]],
    "state_cov": [[2.0]],
    "selection": [[1.0], [0.5]],
    "obs_intercept": [1.0, 2.0, 3.0],
    "state_intercept": [0.5, -0.5],
}


def test_constant_matrices_get_a_time_axis_of_length_one():
    made = checked_matrices(**GOOD)
    assert tuple(made) == TIMED
    for name, value in GOOD.items():
        np.testing.assert_array_equal(made[name], np.asarray(value, dtype=float)[None])


@pytest.mark.parametrize("timed", TIMED)
def test_each_matrix_may_change_with_time(timed):
    each = np.stack([np.asarray(GOOD[timed], dtype=float) * (1 + t) for t in range(4)])
    made = checked_matrices(**{**GOOD, timed: each})
    np.testing.assert_array_equal(made[timed], each)
    assert make_system(made, [0, 0], np.eye(2)).n_times == 4


def test_numbers_of_constant_systems_have_no_number_of_times():
    system = make_system(checked_matrices(**GOOD), [0, 0], np.eye(2))
    assert system.n_times is None
    assert (system.n_features, system.n_states, system.n_disturbances, system.n_diffuse) == (3, 2, 1, 0)


def test_what_is_not_given_is_the_identity_or_zero():
    made = checked_matrices([[1.0, 0.0]], [[1.0]], np.eye(2), np.eye(2))
    np.testing.assert_array_equal(made["selection"], np.eye(2)[None])
    np.testing.assert_array_equal(made["obs_intercept"], [[0.0]])
    np.testing.assert_array_equal(made["state_intercept"], [[0.0, 0.0]])


def test_numbers_and_rows_stand_for_matrices_of_one_feature():
    made = checked_matrices([1.0, 0.5], 2, np.eye(2), 3.0, [[1.0], [0.0]], obs_intercept=4)
    assert made["design"].tolist() == [[[1.0, 0.5]]]
    assert made["obs_cov"].tolist() == [[[2.0]]]
    assert made["state_cov"].tolist() == [[[3.0]]]
    assert made["obs_intercept"].tolist() == [[4.0]]


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.astype(np.float32),
        lambda value: value.astype(">f8"),
        np.asfortranarray,
        lambda value: value.tolist(),
        lambda value: np.ascontiguousarray(value[::-1])[::-1],
        lambda value: value.astype(object),
    ],
)
def test_all_arrays_of_numbers_come_out_as_contiguous_floats(change):
    given_as = {name: change(np.asarray(value, dtype=float)) for name, value in GOOD.items()}
    for name, value in checked_matrices(**given_as).items():
        assert value.dtype == np.float64
        assert value.dtype.isnative
        assert value.flags.c_contiguous
        assert value.flags.writeable
        np.testing.assert_array_equal(value[0], np.asarray(GOOD[name], dtype=float))


@pytest.mark.parametrize("name", TIMED)
def test_what_is_given_is_copied(name):
    given_as = {key: np.array(value, dtype=float) for key, value in GOOD.items()}
    made = checked_matrices(**given_as)
    before = made[name].copy()
    given_as[name][...] = 7.0
    np.testing.assert_array_equal(made[name], before)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"transition": np.ones((2, 3))}, ValueError, "transition has shape (2, 3), expected (n_states, n_states)"),
        ({"transition": np.ones((0, 0))}, ValueError, "transition is empty"),
        ({"transition": np.ones((1, 2, 2, 2))}, ValueError, "expected two axes, or one more in front for time"),
        ({"transition": "abc"}, TypeError, "transition is 'abc', expected an array of numbers"),
        ({"transition": [["1", "0"], ["0", "1"]]}, TypeError, "expected an array of numbers"),
        ({"transition": np.eye(2) * 1j}, TypeError, "expected an array of numbers"),
        ({"transition": [[1.0, 0.0], [1.0]]}, TypeError, "transition is [[1.0, 0.0], [1.0]], expected an array"),
        ({"transition": [[1.0, np.nan], [0.0, 1.0]]}, ValueError, "transition[0, 1] is nan, expected finite numbers"),
        ({"transition": np.full((2, 2, 2), np.inf)}, ValueError, "transition[0, 0, 0] is inf"),
        ({"transition": None}, ValueError, "transition[0, 0] is nan"),
        ({"transition": np.empty((0, 2, 2))}, ValueError, "a time axis of length 0"),
        ({"design": np.ones((3, 3))}, ValueError, "design has shape (3, 3), expected (n_features, 2)"),
        ({"design": np.ones((0, 2))}, ValueError, "design has shape (0, 2)"),
        ({"obs_cov": np.eye(2)}, ValueError, "obs_cov has shape (2, 2), expected (3, 3): design has 3 features"),
        ({"state_cov": np.eye(2)}, ValueError, "state_cov has shape (2, 2), expected (1, 1): selection has 1 columns"),
        ({"state_cov": np.eye(3), "selection": None}, ValueError, "expected (2, 2): transition has 2 states"),
        ({"selection": np.ones((3, 1))}, ValueError, "selection has shape (3, 1), expected (2, n_disturbances)"),
        ({"obs_intercept": [1.0, 2.0]}, ValueError, "obs_intercept has shape (2,), expected (3,) or (n, 3)"),
        ({"state_intercept": np.ones((5, 1))}, ValueError, "state_intercept has shape (5, 1), expected (2,) or (n, 2)"),
        ({"obs_cov": -np.eye(3)}, ValueError, "obs_cov has the variance -1.0 at (0, 0)"),
        (
            {"obs_cov": [[1, 0.5, 0], [0.25, 1, 0], [0, 0, 1]]},
            ValueError,
            "obs_cov is not symmetric: entry (0, 1) is 0.5, (1, 0) 0.25",
        ),
        (
            {"obs_cov": [[1, 2, 0], [2, 1, 0], [0, 0, 1]]},
            ValueError,
            "obs_cov is not positive-semidefinite: its correlations have the eigenvalue -1",
        ),
        (
            {"obs_cov": [[0, 1, 0], [1, 1, 0], [0, 0, 1]]},
            ValueError,
            "obs_cov is no covariance: entry (0, 1) is 1.0 beside a variance of 0",
        ),
        (
            {"obs_cov": np.array([np.eye(3), -np.eye(3)])},
            ValueError,
            "obs_cov[1] has the variance -1.0 at (0, 0)",
        ),
        (
            {"obs_intercept": np.ones((4, 3)), "state_intercept": np.ones((5, 2))},
            ValueError,
            "obs_intercept has 4, state_intercept has 5",
        ),
    ],
)
def test_what_does_not_fit_is_named(change, error, message):
    with pytest.raises(error, match=re.escape(message)):
        checked_matrices(**{**GOOD, **change})


factors = st.integers(1, 4).flatmap(
    lambda size: arrays(np.int64, (size, size), elements=st.integers(-3, 3)).map(lambda L: L / 2.0)
)


@given(factors, st.data())
def test_units_do_not_decide_what_is_a_covariance(L, data):
    size = len(L)
    units = 10.0 ** data.draw(arrays(np.int64, size, elements=st.integers(-9, 9)))
    C = (L @ L.T) * units[:, None] * units
    made = checked_covariances("obs_cov", C[None])
    np.testing.assert_allclose(made, C[None], rtol=1e-15)
    np.testing.assert_array_equal(made, made.transpose(0, 2, 1))
    if size > 1 and (L @ L.T)[0, 0] > 0 and (L @ L.T)[1, 1] > 0:
        wrong = C.copy()
        wrong[0, 1] += 1e-3 * np.sqrt(C[0, 0] * C[1, 1])
        with pytest.raises(ValueError, match="not symmetric"):
            checked_covariances("obs_cov", wrong[None])
        wrong[0, 1] = wrong[1, 0] = 1.001 * np.sqrt(C[0, 0] * C[1, 1])
        with pytest.raises(ValueError, match="not positive-semidefinite"):
            checked_covariances("obs_cov", wrong[None])


@given(factors)
def test_figures_printed_to_nine_digits_are_covariances_still(L):
    C = L @ L.T / 3.0
    scale = np.abs(C).max() or 1.0
    printed = np.round(C / scale, 9) * scale
    checked_covariances("state_cov", printed[None])


@given(systems())
def test_the_noise_of_the_state_is_symmetric_to_the_last_bit(case):
    system, _ = case
    V = system.disturbance_cov
    np.testing.assert_array_equal(V, V.transpose(0, 2, 1))
    for t in range(len(V)):
        R, Q = (M[t] if len(M) > 1 else M[0] for M in (system.selection, system.state_cov))
        np.testing.assert_allclose(V[t], R @ Q @ R.T, rtol=1e-13, atol=1e-14 * np.abs(V[t]).max())
