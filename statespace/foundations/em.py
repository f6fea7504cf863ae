"""Expectation-maximisation: the loop, and the monitor that watches it.

Each iteration computes the expectations under the present parameters, which gives their objective (the log-likelihood,
plus the log density of the priors if there are any), and then the parameters that maximise what was expected. The
objective never falls (Dempster, Laird and Rubin 1977); where it does all the same, the better parameters are kept.
Where single steps are short, two of them tell how far more of them would go (Varadhan and Roland 2008).
"""

from __future__ import annotations

import logging
import math
import sys
import warnings
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from statespace.protocols import Floats

_log = logging.getLogger("statespace")

NATS_PER_OBSERVATION = 1e-7  # where no tol is given: a gain below it changes nothing that anyone would see
_ROUNDING = 1e-10  # a fall of the objective, relative to its size, that sums of many logarithms can make
_FIRST_LEAP = 4.0  # steps in one, at first; more where such a leap has gained
_LONGER, _SHORTER = 4.0, 4.0

T = TypeVar("T")


class ConvergenceWarning(UserWarning):
    """A fit stopped before it converged."""


class ConvergenceMonitor:
    """Watches an iterative fit: its history, when it stops, and why.

    A model has one as `monitor_`. For a criterion of your own, subclass it, override `converged`, and assign an
    instance to the model's `monitor_` before `fit`.

    Parameters
    ----------
    tol : float or None
        The fit has converged when an iteration gains less than this, in nats in total; None: less than 1e-7 nats an
        observation, which `tol` is set to, in total, when a fit begins.
    n_iter : int
        The largest number of iterations.
    verbose : bool
        Whether each iteration is printed to standard error: its number, the objective and its gain.

    Examples
    --------
    >>> from statespace.hmm import ConvergenceMonitor
    >>> monitor = ConvergenceMonitor(tol=0.01, n_iter=100, verbose=False)
    >>> for objective in (-20.0, -15.0, -14.999):
    ...     monitor.report(objective)
    >>> monitor.converged, monitor.iter, list(monitor.history)
    (True, 3, [-20.0, -15.0, -14.999])

    """

    def __init__(self, tol: float | None, n_iter: int, verbose: bool) -> None:
        self.tol = tol
        self._by_observation = tol is None
        self.n_iter = n_iter
        self.verbose = verbose
        self.history: deque[float] = deque()
        """The objective under the parameters of each iteration, before they were improved."""
        self.iter = 0
        """Iterations made."""
        self.reason = "not begun"
        """Why the fit stopped."""

    def __repr__(self) -> str:
        last = f", objective {self.history[-1]:.6g}" if self.history else ""
        return (
            f"{type(self).__name__}(tol={self.tol}, n_iter={self.n_iter}): {self.iter} iterations{last}; {self.reason}"
        )

    def begin(self, n_observations: float) -> None:
        """Forget what was, and learn how many observations there are, by weight."""
        self.history.clear()
        self.iter = 0
        if self._by_observation:
            self.tol = NATS_PER_OBSERVATION * (n_observations or 1)
        self.reason = "not begun"

    def report(self, log_prob: float) -> None:
        """Take down the objective of an iteration."""
        gain = log_prob - self.history[-1] if self.history else float("nan")
        if self.verbose:
            print(f"{self.iter + 1:>10d} {log_prob:>16.8f} {gain:>+16.8f}", file=sys.stderr)  # noqa: T201  # as asked
        if gain < -_ROUNDING * max(1.0, abs(log_prob)):
            _log.warning(
                "Model is not converging.  Current: %s is not greater than %s. Delta is %s",
                log_prob,
                self.history[-1],
                gain,
            )
        self.history.append(log_prob)
        self.iter += 1

    @property
    def threshold(self) -> float:
        """The gain in nats below which the fit has converged."""
        return NATS_PER_OBSERVATION if self.tol is None else self.tol

    @property
    def gain(self) -> float:
        """What the last iteration gained, in nats; NaN before the second."""
        return self.history[-1] - self.history[-2] if len(self.history) > 1 else float("nan")

    @property
    def converged(self) -> bool:
        """Whether to stop: the last gain was below `tol`, or `n_iter` is reached (`reason` says which)."""
        return self.iter == self.n_iter or self.gain < self.threshold


def maximize(
    step: Callable[[T], tuple[float, Callable[[], T]]], start: T, monitor: ConvergenceMonitor, *, warn: bool = True
) -> T:
    """Iterate until the monitor stops it, and return the best parameters.

    Parameters
    ----------
    step : callable
        From parameters to their objective (the expectation step) and to a function that improves them (the
        maximisation step). It must not write into the parameters it is given.
    start : parameters
        Anything; it is passed to `step` and back.
    monitor : ConvergenceMonitor
        Told of every iteration; `begin` has been called.
    warn : bool
        Whether to warn when `n_iter` came first.

    Warns
    -----
    ConvergenceWarning
        If `n_iter` iterations did not suffice.

    """
    parameters = previous = start
    for _ in range(monitor.n_iter):
        objective, improve = step(parameters)
        fell = bool(monitor.history) and not (
            monitor.history[-1] - _ROUNDING * max(1.0, abs(monitor.history[-1])) <= objective < math.inf
        )  # NaN has fallen too
        monitor.report(objective)
        if fell:
            how = f"fell by {-monitor.gain:.3g}" if math.isfinite(objective) else f"became {objective}"
            monitor.reason = f"the objective {how}: the parameters before it were kept"
            return previous
        previous, parameters = parameters, improve()
        if monitor.converged:
            break
    say_why(monitor)
    if warn and monitor.n_iter > 1 and monitor.reason.startswith("not converged"):
        warn_not_converged(monitor)
    return parameters


def maximize_by_leaps(
    step: Callable[[T], tuple[float, Callable[[], T]]],
    start: T,
    monitor: ConvergenceMonitor,
    coordinates: Callable[[T], Floats],
    parameters_at: Callable[[Floats], T],
    *,
    warn: bool = True,
) -> T:
    r"""Iterate as `maximize` does, and after two steps leap as far as they say that many more would go (SQUAREM).

        r = x1 - x0,   v = (x2 - x1) - r,   a = -|r| / |v|,   x = x0 - 2 a r + a^2 v

    x in coordinates of the parameters. A leap to where the objective is less than before it, or is none, is not made:
    the second step then counts, and the longest leap is shortened, so that the objective never falls.

    Parameters
    ----------
    step, start, monitor, warn
        As in `maximize`. Every evaluation of `step` counts as an iteration.
    coordinates : callable
        From parameters to a vector without bounds, of which equal changes are of equal weight.
    parameters_at : callable
        Back; it may raise ValueError, ArithmeticError or LinAlgError where there are none.

    References
    ----------
    Varadhan and Roland (2008), Simple and globally convergent methods for accelerating the convergence of any EM
    algorithm, Scandinavian Journal of Statistics 35, scheme S3.

    """
    here, before = start, start
    passed: list[Floats] = []
    longest, tried = _FIRST_LEAP, None  # how far a leap may go, and the one that is being tried
    second = start  # where the second step led
    for _ in range(monitor.n_iter):
        try:
            objective, improve = step(here)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):
            if tried is None:
                raise
            objective = -math.inf
        least = monitor.history[-1] if monitor.history else -math.inf
        if tried is not None and not least <= objective < math.inf:  # too far
            longest = max(_FIRST_LEAP, longest / _SHORTER)
            here, tried = second, None
            monitor.iter += 1
            if monitor.iter >= monitor.n_iter:
                break
            continue
        leapt = tried is not None
        if tried is not None and tried >= longest:
            longest *= _LONGER
        fell = not least - _ROUNDING * max(1.0, abs(least)) <= objective < math.inf if monitor.history else False
        monitor.report(objective)
        if fell:
            how = f"fell by {-monitor.gain:.3g}" if math.isfinite(objective) else f"became {objective}"
            monitor.reason = f"the objective {how}: the parameters before it were kept"
            return before
        passed.append(coordinates(here))
        before, here, tried = here, improve(), None
        if monitor.iter >= monitor.n_iter or (monitor.converged and not leapt):  # a leap may gain nothing by chance
            break
        if len(passed) == 2:
            second = here
            leap = _leap(passed[0], passed[1], coordinates(second), longest)
            passed = []
            if leap is not None:
                there, reach = leap
                try:
                    here, tried = parameters_at(there), reach
                except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                    longest = max(_FIRST_LEAP, longest / _SHORTER)
    say_why(monitor)
    if warn and monitor.n_iter > 1 and monitor.reason.startswith("not converged"):
        warn_not_converged(monitor)
    return second if tried is not None else here


def _leap(x0: Floats, x1: Floats, x2: Floats, longest: float) -> tuple[Floats, float] | None:
    """Where two steps lead if more of them follow, and -a; None where they say no more than the second step."""
    r = x1 - x0
    v = (x2 - x1) - r
    size, bend = float(np.linalg.norm(r)), float(np.linalg.norm(v))
    if not (size > 0 and bend > 0 and math.isfinite(size) and math.isfinite(bend)):
        return None
    reach = min(size / bend, longest)
    if reach <= 1.0:
        return None
    return x0 + 2.0 * reach * r + reach**2 * v, reach


def say_why(monitor: ConvergenceMonitor) -> None:
    """Set the monitor's `reason` when it has ended a fit."""
    if monitor.gain < monitor.threshold:
        monitor.reason = f"converged: the last gain, {monitor.gain:.3g} nats, is below {monitor.threshold:.3g}"
    elif monitor.iter >= monitor.n_iter:
        monitor.reason = f"not converged: n_iter = {monitor.n_iter} reached, the last gain was {monitor.gain:.3g} nats"
    else:
        monitor.reason = f"{type(monitor).__name__} said so"


def warn_not_converged(monitor: ConvergenceMonitor) -> None:
    """Say, as a warning, that and why a fit has not converged."""
    warnings.warn(
        f"the fit has {monitor.reason}; more iterations (n_iter=), or a larger tol=, end this warning",
        ConvergenceWarning,
        stacklevel=levels_to_the_caller(),
    )


def levels_to_the_caller() -> int:
    """The `stacklevel` of a warning that names the first line outside of this package: the one that fitted."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "statespace":
        level, frame = level + 1, frame.f_back
    return level
