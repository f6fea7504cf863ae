import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.lds.coordinates import CovarianceCoordinates, StableTransition, factor_pullback
from statespace.lds.free_entries import blocks
from statespace.lds.subspace import solve_stein

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)


def central(function, theta, step=1e-6):
    columns = []
    for k in range(len(theta)):
        h = step * max(1.0, abs(theta[k]))
        above, below = theta.copy(), theta.copy()
        above[k] += h
        below[k] -= h
        columns.append((function(above) - function(below)) / (2 * h))
    return np.array(columns)


def covariance(rng, q, scale=1.0):
    A = rng.standard_normal((q, q))
    unit = scale ** rng.uniform(-1, 1, q)
    return (A @ A.T + 0.1 * np.eye(q)) * np.outer(unit, unit)


@given(seeds, sizes)
def test_a_covariance_comes_back_from_its_coordinates(seed, q):
    rng = np.random.default_rng(seed)
    cov, floor = covariance(rng, q, 1e6), np.zeros(q)
    made = CovarianceCoordinates(covariance(rng, q, 1e6), [np.arange(q)], floor)
    scale = np.sqrt(np.outer(np.diagonal(cov), np.diagonal(cov)))
    assert (np.abs(made.matrix(made.vector(cov)) - cov) / scale).max() < 1e-9


@given(seeds, sizes)
def test_every_vector_is_a_covariance_above_the_floor(seed, q):
    rng = np.random.default_rng(seed)
    cov = covariance(rng, q)
    made = CovarianceCoordinates(cov, [np.arange(q)], 1e-3 * np.diagonal(cov))
    found = made.matrix(rng.normal(0, 4, made.size))
    assert np.array_equal(found, found.T)
    assert np.linalg.eigvalsh(found - np.diag(1e-3 * np.diagonal(cov)))[0] >= -1e-12 * np.abs(found).max()


@given(seeds, sizes)
def test_derivatives_of_a_covariance_are_pulled_back(seed, q):
    rng = np.random.default_rng(seed)
    cov = np.diag(rng.uniform(0.5, 2, q + 2))
    blocks = [np.array([0]), np.arange(1, q + 1)]  # the last is held
    made = CovarianceCoordinates(cov, blocks, 0.01 * np.diagonal(cov))
    theta, G = rng.standard_normal(made.size), rng.standard_normal(cov.shape)
    G = G + G.T
    slope = central(lambda theta: (G * made.matrix(theta)).sum(), theta)
    assert made.pullback(theta, G) == pytest.approx(slope, rel=1e-6, abs=1e-6 * np.abs(slope).max())


def partly_held(rng, size):
    """A covariance and a mask of what of it is free, without a free covariance of two variances that are held."""
    cov = covariance(rng, size, 1e3)
    zeros = np.tril(rng.random((size, size)) < 0.3, -1)
    zeros = zeros | zeros.T
    cov[zeros] = 0.0
    cov += np.diag(np.abs(cov).sum(axis=1))  # still a covariance
    free = np.tril(rng.random((size, size)) < 0.6)
    free = free | free.T
    held = ~np.diagonal(free)
    return cov, free & ~(held & held[:, None])


@given(seeds, st.integers(2, 6))
def test_held_entries_of_a_covariance_stay_and_all_others_move_without_bounds(seed, size):
    rng = np.random.default_rng(seed)
    cov, free = partly_held(rng, size)
    made = CovarianceCoordinates(cov, blocks("obs_cov", cov, free), np.full(size, 1e-9), free)
    assert made.size == np.tril(free).sum() == len(made.places)
    theta = made.vector(cov)
    scale = np.sqrt(np.outer(np.diagonal(cov), np.diagonal(cov)))
    assert (np.abs(made.matrix(theta) - cov) / scale).max() < 1e-9
    moved = made.matrix(theta + rng.normal(0, 1.5, made.size))
    assert np.array_equal(moved, moved.T)
    assert np.array_equal(moved[~free], cov[~free])
    root = np.sqrt(np.diagonal(moved))
    assert np.linalg.eigvalsh(moved / np.outer(root, root))[0] > -1e-12
    assert (np.abs(made.matrix(made.vector(moved)) - moved) / np.outer(root, root)).max() < 1e-6
    G = rng.standard_normal(cov.shape) / scale
    G = G + G.T
    slope = central(lambda theta: (G * made.matrix(theta)).sum(), theta)
    assert made.pullback(theta, G) == pytest.approx(slope, rel=1e-6, abs=1e-6 * np.abs(slope).max(initial=0.0))


def test_what_is_held_of_a_covariance_may_allow_none():
    cov = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 1.0], [0.0, 1.0, 1.0]])  # the first two are the same
    free = np.zeros((3, 3), dtype=bool)
    free[2, 2] = True
    with pytest.raises(ValueError, match="singular"):
        CovarianceCoordinates(cov, blocks("obs_cov", cov, free), np.zeros(3), free).vector(cov)


@given(seeds, sizes)
def test_every_matrix_is_a_stable_transition_and_every_stable_transition_a_matrix(seed, m):
    rng = np.random.default_rng(seed)
    made = StableTransition(10.0 ** rng.uniform(-6, 6, m))
    T = made.matrix(rng.normal(0, 3, m * m))
    assert np.abs(np.linalg.eigvals(T)).max() < 1
    T = rng.standard_normal((m, m))
    T *= rng.uniform(0, 0.999) / np.abs(np.linalg.eigvals(T)).max() * made.unit[:, None] / made.unit
    scale = made.unit[:, None] / made.unit
    assert (np.abs(made.matrix(made.vector(T)) - T) / scale).max() <= 1e-6 * (np.abs(T) / scale).max()


@given(seeds, sizes)
def test_derivatives_of_a_stable_transition_are_pulled_back(seed, m):
    rng = np.random.default_rng(seed)
    made = StableTransition(rng.uniform(0.1, 10, m))
    theta, G = rng.standard_normal(m * m), rng.standard_normal((m, m))
    slope = central(lambda theta: (G * made.matrix(theta)).sum(), theta)
    assert made.pullback(theta, G) == pytest.approx(slope, rel=1e-6, abs=1e-6 * np.abs(slope).max())


def test_the_derivative_of_a_stable_transition_has_all_its_digits():
    m, rng = 3, np.random.default_rng(5)
    made, theta, G = StableTransition(np.ones(m)), rng.standard_normal(9), rng.standard_normal((3, 3))

    def value(*numbers):
        A = mpmath.matrix(3, 3)
        for k, number in enumerate(numbers):
            A[k // 3, k % 3] = number
        B = mpmath.cholesky(mpmath.eye(3) + A * A.T)
        T = A * mpmath.inverse(B)
        return sum(mpmath.mpf(G[i, j]) * T[i, j] for i in range(3) for j in range(3))

    with mpmath.workdps(50):
        wanted = [mpmath.diff(value, tuple(theta), tuple(int(k == j) for j in range(9))) for k in range(9)]
    assert made.pullback(theta, G) == pytest.approx([float(x) for x in wanted], rel=1e-12)


@given(seeds, sizes)
def test_derivatives_of_a_factor_are_pulled_back_to_the_matrix(seed, q):
    rng = np.random.default_rng(seed)
    S, G, D = covariance(rng, q), np.tril(rng.standard_normal((q, q))), rng.standard_normal((q, q))
    D = D + D.T
    slope = central(lambda s: np.array([(G * np.linalg.cholesky(S + s[0] * D)).sum()]), np.zeros(1), 1e-6)
    found = (factor_pullback(np.linalg.cholesky(S), G) * D).sum()
    assert found == pytest.approx(float(slope[0, 0]), rel=1e-5, abs=1e-5 * np.abs(G).max())


@given(seeds, sizes)
def test_steins_equation_is_solved(seed, m):
    rng = np.random.default_rng(seed)
    T, V = rng.standard_normal((m, m)), rng.standard_normal((m, m))
    T *= 0.97 / np.abs(np.linalg.eigvals(T)).max()
    V = V + V.T  # neither positive nor negative
    X = solve_stein(T, V)
    assert np.abs(X - T @ X @ T.T - V).max() <= 1e-11 * np.abs(X).max()
