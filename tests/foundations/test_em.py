"""The loop of expectation-maximisation and its monitor, on objectives that are made up."""

import math

import pytest

from statespace.foundations.em import ConvergenceMonitor, ConvergenceWarning, maximize


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
