"""The loop of expectation-maximisation and its monitor, on objectives that are made up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations.em import ConvergenceMonitor, ConvergenceWarning, maximize, maximize_by_leaps


def climbed(objectives, **options):
    """Parameters 0, 1, 2, ... with these objectives."""
    monitor = ConvergenceMonitor(options.pop("tol", 1e-3), options.pop("n_iter", 20), verbose=False)
    monitor.begin(10)
    found = maximize(lambda number: (objectives[number], lambda: number + 1), 0, monitor, **options)
    return found, monitor


def test_it_stops_where_little_is_gained():
    found, monitor = climbed([-9.0, -5.0, -4.9999, -1.0])
    assert found == 3
    assert list(monitor.history) == [-9.0, -5.0, -4.9999]
    assert monitor.reason.startswith("converged: the last gain, 0.0001 nats")


@pytest.mark.parametrize(
    ("worse", "how"),
    [(-6.0, "fell by 1"), (math.nan, "became nan"), (math.inf, "became inf"), (-math.inf, "became -inf")],
)
def test_what_is_worse_or_no_number_is_not_kept(worse, how):
    found, monitor = climbed([-9.0, -5.0, worse, -1.0])
    assert found == 1
    assert monitor.reason == f"the objective {how}: the parameters before it were kept"


def test_a_fall_by_rounding_is_none():
    found, monitor = climbed([-9.0, -5.0, -5.0 - 1e-13, -1.0])
    assert found == 3
    assert monitor.reason.startswith("converged")


def test_too_few_iterations_warn():
    with pytest.warns(ConvergenceWarning, match="n_iter = 2 reached, the last gain was 4 nats"):
        found, _ = climbed([-9.0, -5.0, -1.0], n_iter=2)
    assert found == 2


# Leaps: on -x^T A x / 2, of which a step goes to (I - A) x, as slowly as A is small in a direction


def by_leaps(A, start, parameters_at=lambda x: x, **options):
    monitor = ConvergenceMonitor(options.pop("tol", 1e-12), options.pop("n_iter", 5000), verbose=False)
    monitor.begin(1)
    found = maximize_by_leaps(
        lambda x: (float(-0.5 * x @ A @ x), lambda: x - A @ x), start, monitor, lambda x: x, parameters_at, **options
    )
    return found, monitor


@given(st.integers(0, 2**32 - 1))
def test_leaps_never_fall_and_end_where_steps_end(seed):
    rng = np.random.default_rng(seed)
    q = int(rng.integers(1, 5))
    basis = np.linalg.qr(rng.standard_normal((q, q)))[0]
    A = (basis * 10.0 ** rng.uniform(-2.5, -0.1, q)) @ basis.T
    start = rng.standard_normal(q) * 10
    found, monitor = by_leaps(A, start)
    assert (np.diff(monitor.history) >= -1e-10 * np.abs(np.array(monitor.history)[1:]).clip(1.0)).all()
    assert monitor.reason.startswith("converged")
    plain = ConvergenceMonitor(1e-12, 20_000, verbose=False)
    plain.begin(1)
    maximize(lambda x: (float(-0.5 * x @ A @ x), lambda: x - A @ x), start, plain)
    assert monitor.history[-1] >= plain.history[-1] - 1e-9
    assert found @ A @ found <= 1e-8


def test_leaps_save_most_of_the_steps_of_a_slow_climb():
    A, start = np.diag([0.5, 0.003]), np.array([3.0, 5.0])
    plain = ConvergenceMonitor(1e-12, 20_000, verbose=False)
    plain.begin(1)
    maximize(lambda x: (float(-0.5 * x @ A @ x), lambda: x - A @ x), start, plain)
    _, monitor = by_leaps(A, start)
    assert plain.iter > 1000
    assert monitor.iter < plain.iter / 20


def test_a_leap_to_where_there_is_nothing_is_not_made():
    A, start = np.diag([0.5, 0.003]), np.array([3.0, 5.0])
    asked = []

    def nowhere(x):
        asked.append(x)
        raise ValueError("no parameters there")

    found, monitor = by_leaps(A, start, nowhere, n_iter=101, warn=False)
    assert asked
    assert monitor.iter == 101
    assert found == pytest.approx(np.linalg.matrix_power(np.eye(2) - A, 101) @ start)


def test_a_leap_that_loses_counts_as_an_iteration_and_the_second_step_goes_on():
    A, start = np.diag([0.5, 0.003]), np.array([3.0, 5.0])
    found, monitor = by_leaps(A, start, lambda x: 1e3 * x, n_iter=90, warn=False)  # every leap lands far out
    assert monitor.iter == 90
    assert len(monitor.history) < 90
    assert (np.diff(monitor.history) >= 0).all()
    assert found == pytest.approx(np.linalg.matrix_power(np.eye(2) - A, 60) @ start)


def test_the_end_of_the_iterations_before_a_leap_was_judged_returns_the_second_step():
    A, start = np.diag([0.5, 0.003]), np.array([3.0, 5.0])
    with pytest.warns(ConvergenceWarning, match="n_iter = 2 reached"):
        found, _ = by_leaps(A, start, n_iter=2)
    assert found == pytest.approx(np.linalg.matrix_power(np.eye(2) - A, 2) @ start)
