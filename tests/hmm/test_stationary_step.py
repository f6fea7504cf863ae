"""The M-step of transitions that also say how sequences start."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.hmm.stationary_step import maximize_stationary

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


def test_without_starts_it_is_the_m_step_of_baum_and_welch():
    transitions = np.array([[3.0, 1.0, 0.0], [2.0, 2.0, 4.0], [1.0, 0.5, 0.5]])
    found = maximize_stationary(transitions, np.zeros(3), np.full((3, 3), 1 / 3))
    np.testing.assert_allclose(found, transitions / transitions.sum(axis=1, keepdims=True), rtol=1e-12)


def test_two_states_have_their_maximum_where_the_derivatives_vanish():
    # A start in 0; pi_0 = b / (a + b) with a = A_01, b = A_10
    found = maximize_stationary(np.array([[3.0, 2.0], [1.0, 4.0]]), np.array([1.0, 0.0]), np.full((2, 2), 0.5))
    (_, a), (b, _) = found
    assert 2 / a - 3 / (1 - a) - 1 / (a + b) == pytest.approx(0, abs=1e-5)
    assert 1 / b - 4 / (1 - b) + 1 / b - 1 / (a + b) == pytest.approx(0, abs=1e-5)


@settings(max_examples=20)
@given(seeds, st.integers(2, 6), st.sampled_from([0.0, 0.01, 1.0, 30.0]))
def test_it_never_lowers_the_objective(seed, K, starts):
    rng = np.random.default_rng(seed)
    transitions, start, A = random_problem(rng, K, starts)
    transitions *= rng.random((K, K)) < 0.8
    transitions[rng.integers(K)] *= rng.integers(2)  # a state that is never left
    before = objective(A, transitions, start)
    found = maximize_stationary(transitions, start, A)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    assert (found >= 0).all()
    assert objective(found, transitions, start) >= before - 1e-10 * abs(before)


@settings(max_examples=15)
@given(seeds, st.integers(2, 4), st.sampled_from([0.01, 1.0]))
def test_no_other_matrix_is_better(seed, K, starts):
    rng = np.random.default_rng(seed)
    transitions, start, A = random_problem(rng, K, starts)
    best = maximize_stationary(transitions, start, A)
    top = objective(best, transitions, start)
    for nearness in (0.0, 0.9, 0.999):
        for _ in range(3):
            other = nearness * best + (1 - nearness) * rng.dirichlet(np.ones(K), size=K)
            assert objective(other, transitions, start) <= top + 1e-6


@pytest.mark.parametrize("starts", [0.01, 3.0])
def test_a_general_search_finds_nothing_better(starts):
    from scipy.optimize import minimize

    transitions, start, A = random_problem(np.random.default_rng(5), 3, starts)

    def table(theta):
        rows = np.exp(theta.reshape(3, 3))
        return rows / rows.sum(axis=1, keepdims=True)

    searched = minimize(lambda theta: -objective(table(theta), transitions, start), np.zeros(9), method="BFGS")
    found = maximize_stationary(transitions, start, A)
    assert objective(found, transitions, start) >= -searched.fun - 1e-8
    np.testing.assert_allclose(found, table(searched.x), atol=1e-4)


@settings(max_examples=20)
@given(seeds)
def test_zeros_and_held_entries_stay_and_the_others_find_their_best(seed):
    rng = np.random.default_rng(seed)
    transitions, start, _ = random_problem(rng, 3)
    A = np.array([[0.5, 0.3, 0.2], [0.0, 0.6, 0.4], [0.3, 0.3, 0.4]])
    transitions[1, 0] = 0
    held = np.zeros((3, 3), dtype=bool)
    held[0, 2] = held[2] = True
    found = maximize_stationary(transitions, start, A, held)
    assert found[1, 0] == 0
    np.testing.assert_array_equal(found[held], A[held])
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    top = objective(found, transitions, start)
    for share in np.linspace(0.01, 0.99, 15):
        for row in (0, 1):
            other = found.copy()
            free = [0, 1] if row == 0 else [1, 2]
            other[row, free] = found[row, free].sum() * np.array([share, 1 - share])
            assert objective(other, transitions, start) <= top + 1e-7
    assert maximize_stationary(transitions, start, A, True) is A


def test_a_state_that_nothing_leads_to_keeps_its_row():
    A = np.array([[0.2, 0.3, 0.5], [0.0, 0.5, 0.5], [0.0, 0.5, 0.5]])
    transitions, start = np.array([[0.0, 0, 0], [0, 1, 3], [0, 2, 2]]), np.array([0.0, 1, 0])
    found = maximize_stationary(transitions, start, A)
    np.testing.assert_allclose(found[0], A[0], rtol=1e-12)
    assert objective(found[1:, 1:], transitions[1:, 1:], start[1:]) > objective(
        A[1:, 1:], transitions[1:, 1:], start[1:]
    )


# Rows as free parameters
