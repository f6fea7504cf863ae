r"""From a start to a maximum of a likelihood, by L-BFGS in coordinates in which it curves like a sphere.

    theta = theta_0 + s M x,   M M^T = C^{-1},   s^2 = g^T C^{-1} g

with g the slope at the start and C the curvature there, as far as it is known: the first step, of length 1, is
Newton's. Byrd, Lu, Nocedal and Zhu (1995).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from statespace.foundations.em import ConvergenceMonitor, say_why
from statespace.protocols import Floats

_MEMORY = 20  # pairs of steps and slopes that L-BFGS keeps
_WORSE = 1.0  # nats an observation below the start, for matrices that are impossible: the line search comes back
_LEAST = 1e-6  # of the largest curvature, in units of each coordinate: less is taken for as much
_STEPS = 2  # of the objective's own, before L-BFGS takes over
_SHRUNK = 0.02  # of what the step before promised: the objective's own go on
_SURE = 1e-2  # of a tolerance: what the slope still promises, by the curvature of the start
NATS_PER_OBSERVATION = 1e-10  # near a maximum L-BFGS gains many digits a step: it may as well take the last


class Ascended(Protocol):
    """What is climbed."""

    @property
    def n_observed(self) -> float:
        """Observations, by weight."""

    def value_and_slope(self, theta: Floats) -> tuple[float, Floats]:
        """L in nats, and dL/dtheta."""

    def advanced(self, theta: Floats, slope: Floats) -> tuple[Floats, float] | None:
        """A better point than theta, and roughly what it gains; None where nothing is known."""

    def curvature(self, theta: Floats, slope: Floats) -> Floats:
        """Roughly -d2L / dtheta dtheta^T, a matrix or its diagonal."""


class AscentMonitor(ConvergenceMonitor):
    """A monitor that also knows what the slope still promises.

    Parameters
    ----------
    tol : float or None
        The fit has converged when an iteration gains less, in nats in total; None: 1e-10 nats an observation.
    n_iter : int

    """

    def __init__(self, tol: float | None, n_iter: int, n_observed: float) -> None:
        super().__init__(NATS_PER_OBSERVATION * max(n_observed, 1) if tol is None else tol, n_iter, False)
        self.left = math.inf
        """What is left to gain, in nats, if the likelihood curves as it did at the start."""

    @property
    def promised(self) -> bool:
        """Whether what is left is next to nothing, even if the curvature is another by now."""
        return self.left < _SURE * self.threshold

    @property
    def converged(self) -> bool:
        """Whether to stop: the last gain was below `tol`, or the next would be, or `n_iter` is reached."""
        return super().converged or self.promised


class _Search:
    """What L-BFGS makes small; it remembers the best that it has seen."""

    def __init__(self, value_and_slope: Callable[[Floats], tuple[float, Floats]], start: Floats) -> None:
        self._value_and_slope = value_and_slope
        self.origin = self.theta = start
        self.value, self.slope = value_and_slope(start)

    def try_first(self, here: Floats) -> bool:
        """Begin at another point instead, if it is better."""
        value, slope = self._evaluated(here)
        if not (value > self.value and math.isfinite(slope.sum())):
            return False
        self.origin, self.theta, self.value, self.slope = here, here, value, slope
        return True

    def _evaluated(self, here: Floats) -> tuple[float, Floats]:
        try:
            return self._value_and_slope(here)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):  # too extreme to be used
            return -math.inf, np.empty(0)

    def begin(self, curvature: Floats, n: float) -> None:
        """Take the coordinates from a curvature."""
        self._first, self._worst = self.value, self.value - _WORSE * max(n, 1)
        self._moves = whitened(curvature)
        self.scale = 1.0
        slope = self._pulled(self.slope)
        size = math.sqrt(slope @ slope)
        self.scale = size if 0.0 < size < math.inf else 1.0
        self._first_slope = slope / self.scale
        self.left = 0.5 * size**2

    def _pulled(self, slope: Floats) -> Floats:
        moves = self._moves
        return (slope @ moves if moves.ndim == 2 else slope * moves) / self.scale

    def at(self, fallen: float) -> float:
        """L where L-BFGS sees `fallen`."""
        return self._first - fallen * self.scale**2

    def __call__(self, moved: Floats) -> tuple[float, Floats]:
        if not moved.any():
            return 0.0, -self._first_slope
        step = self._moves @ moved if self._moves.ndim == 2 else self._moves * moved
        here = self.origin + self.scale * step
        value, slope = self._evaluated(here)
        if not (value > self._worst and math.isfinite(slope.sum())):
            return (self._first - self._worst) / self.scale**2, np.nan_to_num(moved / np.abs(moved).max())
        if value > self.value:
            self.value, self.theta = value, here
        pulled = self._pulled(slope)
        self.left = 0.5 * self.scale**2 * float(pulled @ pulled)
        return (self._first - value) / self.scale**2, -pulled


def whitened(curvature: Floats) -> Floats:
    """M with M M^T = C^{-1}, or as near to it as a C allows that is not positive; a vector is a diagonal."""
    if curvature.ndim == 1:
        return np.asarray(1.0 / np.sqrt(curvature))
    root = np.sqrt(np.diagonal(curvature))
    values, vectors = np.linalg.eigh(curvature / (root[:, None] * root))
    values = np.maximum(values, _LEAST * values[-1])
    return np.asarray(vectors / np.sqrt(values) / root[:, None])


def climb(objective: Ascended, start: Floats, monitor: AscentMonitor) -> tuple[Floats, float]:
    """Climb from `start` to a maximum, by L-BFGS, after as many steps as the objective itself knows.

    Parameters
    ----------
    objective : Objective
        It may raise where the coordinates are too extreme.
    start : (n_coordinates,)
    monitor : AscentMonitor
        Told of the objective before each iteration; `begin` has been called.

    Returns
    -------
    theta : (n_coordinates,)
        The best that was found.
    value : float
        L there.

    Raises
    ------
    ValueError
        If the data are impossible under the start.

    """
    from scipy.optimize import minimize

    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # a line search looks far
        search = _Search(objective.value_and_slope, start)
        if not math.isfinite(search.value):
            raise ValueError(
                "the data are impossible under the starting values (their log-likelihood is "
                f"{search.value}): give others"
            )
        told = False

        def tell(value: float, left: float) -> None:
            nonlocal told
            monitor.left = left
            monitor.report(value)
            told = monitor.converged

        def each(intermediate_result: Any) -> None:
            if told:
                raise StopIteration
            tell(search.at(float(intermediate_result.fun)), search.left)
            if told and monitor.iter < monitor.n_iter:
                raise StopIteration

        n_steps, before = 0, math.inf
        while not told:
            step = objective.advanced(search.origin, search.slope) if n_steps < monitor.n_iter - 1 else None
            if step is not None and (n_steps < _STEPS or step[1] < _SHRUNK * before):
                tell(search.value, step[1])
                n_steps, before = n_steps + 1, step[1]
                if told or search.try_first(step[0]):
                    continue
            else:
                step = None
            search.begin(
                objective.curvature(search.origin, search.slope) if start.size else start, objective.n_observed
            )
            if step is None:
                tell(search.value, search.left)
            break
        if start.size and monitor.n_iter and not (told and monitor.iter < monitor.n_iter) and not monitor.promised:
            minimize(
                search,
                np.zeros(start.size),
                jac=True,
                method="L-BFGS-B",
                callback=each,
                options={
                    "maxiter": monitor.n_iter - monitor.iter + 1,
                    "maxfun": 20 * monitor.n_iter,
                    "maxcor": _MEMORY,
                    "ftol": 0,
                    "gtol": 0,
                },
            )
    say_why(monitor)
    if monitor.promised:
        monitor.reason = f"converged: the slope promises {monitor.left:.3g} nats, next to nothing"
    elif not told:
        monitor.reason = "converged: no step along the gradient gains anything"
    return search.theta, search.value


def gradient_monitor(tol: float | None, n_iter: int, n_observed: float) -> AscentMonitor:
    """A monitor for `climb`."""
    monitor = AscentMonitor(tol, n_iter, n_observed)
    monitor.begin(n_observed)
    return monitor
