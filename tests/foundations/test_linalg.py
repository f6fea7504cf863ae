"""Small matrices by the batch, against numpy and scipy, and the constrained maximum against random rivals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_triangular

from statespace.foundations.linalg import (
    back_substitute,
    cholesky_factors,
    forward_substitute,
    raise_to_floor,
    relative_eigenvalues,
    solve_spd,
)


def random_spd(rng, n, D, rank=None):
    A = rng.normal(size=(n, D, D if rank is None else rank))
    return A @ A.transpose(0, 2, 1)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3), st.integers(0, 2**32))
def test_triangular_solves_are_scipys(n, D, m, seed):
    rng = np.random.default_rng(seed)
    roots = cholesky_factors(random_spd(rng, n, D) + np.eye(D))
    B = rng.normal(size=(n, D, m))
    forward, back = B.copy(), B.copy()
    forward_substitute(roots, forward)
    back_substitute(roots, back)
    for c in range(n):
        np.testing.assert_allclose(forward[c], solve_triangular(roots[c], B[c], lower=True), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(
            back[c], solve_triangular(roots[c], B[c], lower=True, trans="T"), rtol=1e-9, atol=1e-11
        )
    Sigma = roots @ roots.transpose(0, 2, 1)
    np.testing.assert_allclose(Sigma @ solve_spd(roots, B), B, rtol=1e-9, atol=1e-9)


def test_a_matrix_that_has_no_factor_is_named_by_its_number():
    with pytest.raises(np.linalg.LinAlgError, match="matrix 1 is not positive-definite"):
        cholesky_factors(np.array([np.eye(2), [[1.0, 2.0], [2.0, 1.0]]]))


def objective(Sigma, S):
    return -np.linalg.slogdet(Sigma)[1] - np.trace(np.linalg.solve(Sigma, S))


@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 2**32))
def test_nothing_above_the_floor_is_better_than_the_raised_matrix(D, rank, seed):
    rng = np.random.default_rng(seed)
    S = random_spd(rng, 1, D, rank) * np.exp(rng.normal(scale=2))
    floor = np.exp(rng.normal(size=D))
    raised = raise_to_floor(S, floor[None])
    assert relative_eigenvalues(raised, floor).min() >= 1 - 1e-12
    best = objective(raised[0], S[0])
    root = np.sqrt(floor)
    for size in (1e-3, 0.1, 1.0):  # rivals beside it and far from it, all above the floor
        for _ in range(10):
            other = raised[0] + size * random_spd(rng, 1, D, 1)[0] * rng.choice([-1, 1]) * np.outer(root, root)
            if np.linalg.eigvalsh(other / np.outer(root, root)).min() >= 1:
                assert objective(other, S[0]) <= best + 1e-9 * abs(best)


@given(st.integers(1, 4), st.integers(0, 2**32))
def test_a_matrix_above_the_floor_stays_as_it_is(D, seed):
    rng = np.random.default_rng(seed)
    floor = np.exp(rng.normal(size=(2, D)))
    S = random_spd(rng, 2, D) + 1.01 * floor[:, :, None] * np.eye(D)
    np.testing.assert_array_equal(raise_to_floor(S, floor), 0.5 * (S + S.transpose(0, 2, 1)))


@given(st.integers(1, 4), st.integers(-20, 20), st.integers(0, 2**32))
def test_units_a_power_of_two_apart_are_raised_to_exactly_the_same(D, power, seed):
    rng = np.random.default_rng(seed)
    S, floor = random_spd(rng, 3, D, 1), np.exp(rng.normal(size=(3, D)))
    np.testing.assert_array_equal(
        raise_to_floor(S * 4.0**power, floor * 4.0**power), raise_to_floor(S, floor) * 4.0**power
    )
