import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.lds.ascent import climb, gradient_monitor, whitened

seeds = st.integers(0, 2**32 - 1)


class Hill:
    """A function with one maximum, and what it tells of its curvature and of better points."""

    n_observed = 100

    def __init__(self, C, top, bend=0.0, known=1.0, steps=()):
        self.C, self.top, self.bend, self.known, self.steps = C, top, bend, known, list(steps)
        self.n = 0

    def value_and_slope(self, theta):
        self.n += 1
        d = theta - self.top
        if np.abs(d).max(initial=0.0) > 1e6:
            raise ValueError("too extreme")
        s = d @ self.C @ d
        return -0.5 * s - self.bend * s**2, -(1.0 + 4.0 * self.bend * s) * (self.C @ d)

    def advanced(self, theta, slope):
        return self.steps.pop(0) if self.steps else None

    def curvature(self, theta, slope):
        return self.known * self.C


def hill(seed, k, **options):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k, k + 1)) * 10.0 ** rng.uniform(-4, 4, (k, 1))
    return Hill(A @ A.T, rng.standard_normal(k), **options)


@given(seeds, st.integers(1, 6))
def test_a_curvature_is_made_a_sphere(seed, k):
    C = hill(seed, k).C
    M = whitened(C)
    root = np.sqrt(np.diagonal(C))
    if np.linalg.cond(C / np.outer(root, root)) < 1e5:
        assert pytest.approx(np.eye(k), abs=1e-8) == M.T @ C @ M
    assert whitened(np.diagonal(C)) == pytest.approx(1 / root)
    assert np.isfinite(whitened(C - 0.9 * np.diag(np.diagonal(C)))).all()  # may be indefinite


@given(seeds, st.integers(1, 6))
def test_the_first_step_is_newtons(seed, k):
    found = hill(seed, k)
    root = np.sqrt(np.diagonal(found.C))
    monitor = gradient_monitor(None, 50, 100)
    theta, value = climb(found, found.top + 3.0 / root, monitor)
    if np.linalg.cond(found.C / np.outer(root, root)) < 1e5:
        assert found.n == 2
        assert (theta - found.top) * root == pytest.approx(0.0, abs=1e-6)
        assert value == pytest.approx(0.0, abs=1e-8)
        assert monitor.converged
        assert monitor.reason.startswith("converged: the slope promises")


@given(seeds, st.integers(1, 4), st.sampled_from([1e-3, 0.1, 10.0, 1e3]))
def test_a_curvature_that_is_wrong_costs_steps_and_no_digits(seed, k, known):
    found = hill(seed, k, bend=0.05, known=known)
    root = np.sqrt(np.diagonal(found.C))
    monitor = gradient_monitor(1e-9, 500, 100)
    _, value = climb(found, found.top + 3.0 / root, monitor)
    assert value == pytest.approx(0.0, abs=1e-6)
    assert monitor.reason.startswith("converged")


def test_steps_of_the_objectives_own_are_taken_while_they_are_better():
    start, better = np.array([5.0]), np.array([1.0])
    for second, left in ((np.array([9.0]), 1), (np.array([0.5]), 0)):  # worse: none is asked for again
        found = Hill(np.eye(1), np.zeros(1), steps=[(better, 12.0), (second, 1.0), (start, 1.0)])
        monitor = gradient_monitor(None, 50, 100)
        theta, value = climb(found, start, monitor)
        assert found.n == 4
        assert len(found.steps) == left  # what promises as much as the last is not taken
        assert value == theta[0] == pytest.approx(0.0, abs=1e-9)
        history = list(monitor.history)
        assert history[:2] == [-12.5, -0.5]
        assert len(set(history)) == len(history)
        assert (np.diff(history) > 0).all()


@pytest.mark.parametrize("n_iter", [0, 1, 2, 3])
def test_no_more_iterations_are_made_than_are_allowed(n_iter):
    found = hill(3, 3, bend=10.0, known=0.01)
    monitor = gradient_monitor(None, n_iter, 100)
    climb(found, found.top + 3.0 / np.sqrt(np.diagonal(found.C)), monitor)
    assert monitor.iter == max(n_iter, 1)
    if n_iter:
        assert monitor.reason.startswith(f"not converged: n_iter = {n_iter}")


def test_an_impossible_start_is_refused():
    class Impossible(Hill):
        def value_and_slope(self, theta):
            return -np.inf, theta

    with pytest.raises(ValueError, match="impossible under the starting values"):
        climb(Impossible(np.eye(1), np.zeros(1)), np.ones(1), gradient_monitor(None, 5, 10))
