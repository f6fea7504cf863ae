"""Stationary starts of a hidden Markov model: the law and its derivative, and rows with entries that are held."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.foundations.free_rows import FreeRows
from statespace.foundations.stationary_start import (
    recurrent_states,
    start_value_and_slope,
    stationary_law_of,
    unique_stationary_law,
)

seeds = st.integers(0, 2**32 - 1)


def law_by_powers(A):
    power = (np.eye(len(A)) + A) / 2
    for _ in range(60):
        power = power @ power
        power /= power.sum(axis=1, keepdims=True)
    return power[0]


def objective(A, transitions, start):
    seen, started = transitions > 0, start > 0
    with np.errstate(divide="ignore"):
        return transitions[seen] @ np.log(A[seen]) + start[started] @ np.log(law_by_powers(A)[started])


def random_problem(rng, K, starts=1.0):
    transitions = rng.gamma(0.5, size=(K, K)) * 10 + 2 * np.eye(K)
    start = rng.dirichlet(np.ones(K)) * transitions.sum() * starts
    return transitions, start, rng.dirichlet(np.ones(K), size=K)


# The law


@settings(max_examples=30)
@given(seeds, st.integers(1, 5))
def test_the_law_is_the_one_that_the_matrix_keeps(seed, K):
    A = np.random.default_rng(seed).dirichlet(np.ones(K), size=K)
    law = stationary_law_of(A, np.arange(K))
    np.testing.assert_allclose(law, law_by_powers(A), rtol=1e-9)
    np.testing.assert_allclose(law, unique_stationary_law(A, "start"), rtol=1e-13)


def test_transient_states_have_no_share():
    A = np.array([[0.5, 0.25, 0.25], [0.0, 0.2, 0.8], [0.0, 0.6, 0.4]])
    members = recurrent_states(A)
    assert members.tolist() == [1, 2]
    np.testing.assert_allclose(stationary_law_of(A, members), [0, 3 / 7, 4 / 7], rtol=1e-14)


def test_a_law_that_underflows_is_not_told():
    A = np.array([[1.0, 1e-320], [1e-320, 1.0]])
    assert stationary_law_of(A, np.arange(2)) is None
    value, slope = start_value_and_slope(np.ones(2), A, np.arange(2))
    assert value == -np.inf
    assert (slope == 0).all()


def test_several_laws_are_refused_in_the_words_of_the_model():
    message = "the chain has 2 recurrent classes, each with a stationary law of its own: use start='free'"
    with pytest.raises(ValueError, match=message):
        unique_stationary_law(np.eye(2), "start")
    with pytest.raises(ValueError, match="use initial='free' or 'conditional'"):
        unique_stationary_law(np.eye(2))


# Its derivative


@given(seeds, st.integers(2, 4))
def test_the_slope_is_the_derivative_along_every_row(seed, K):
    rng = np.random.default_rng(seed)
    A, start = rng.dirichlet(np.full(K, 2.0), size=K), rng.gamma(1.0, size=K)
    value, slope = start_value_and_slope(start, A, np.arange(K))
    assert value == pytest.approx(start @ np.log(law_by_powers(A)), rel=1e-9)

    def exact(move):
        with mpmath.workdps(40):
            P = mpmath.matrix((A + 0.0).tolist()) + mpmath.matrix(move)
            equations = (mpmath.eye(K) - P).T
            equations[0, :] = mpmath.ones(1, K)
            law = mpmath.lu_solve(equations, mpmath.matrix([1] + [0] * (K - 1)))
            return mpmath.fsum(s * mpmath.log(p) for s, p in zip(start.tolist(), law, strict=True))

    i, j = rng.integers(K), rng.integers(K - 1)
    direction = np.zeros((K, K))
    direction[i, j], direction[i, j + 1] = 1, -1
    h = mpmath.mpf(10) ** -12
    with mpmath.workdps(40):
        up, down = ([[h * sign * int(d) for d in row] for row in direction] for sign in (1, -1))
        expected = float((exact(up) - exact(down)) / (2 * h))
    assert (slope * direction).sum() == pytest.approx(expected, rel=1e-8, abs=1e-9 * start.sum())


# Rows with entries that are held


@given(seeds)
def test_free_rows_come_back_and_keep_what_is_held(seed):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(4), size=3)
    rows[0, 1], rows[0, 2] = 0, rows[0, 1] + rows[0, 2]
    held = rng.random((3, 4)) < 0.3
    space = FreeRows(rows, held)
    np.testing.assert_allclose(space.rows(space.to_vector()), rows, rtol=1e-12)
    moved = space.rows(rng.normal(size=space.size) * 300)
    np.testing.assert_array_equal(moved[~space.free], rows[~space.free])
    np.testing.assert_allclose(moved.sum(axis=1), 1, rtol=1e-12)


@given(seeds)
def test_the_gradient_of_free_rows_is_a_difference(seed):
    rng = np.random.default_rng(seed)
    rows, weights = rng.dirichlet(np.full(3, 2.0), size=2), rng.normal(size=(2, 3))
    space = FreeRows(rows, rng.random((2, 3)) < 0.2)
    theta = space.to_vector() + rng.normal(size=space.size)
    found = space.gradient(space.rows(theta), space.rows(theta) * weights)
    for k, step in enumerate(1e-6 * np.eye(space.size)):
        expected = ((space.rows(theta + step) - space.rows(theta - step)) * weights).sum() / 2e-6
        assert found[k] == pytest.approx(expected, abs=1e-8)
