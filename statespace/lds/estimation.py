r"""Maximum likelihood on the exact gradient, for any parametrisation of the matrices.

    minimise -L(theta) / n over theta = theta_0 + u x        by L-BFGS in x, u the units of the coordinates

The gradient costs one filter and one smoother pass, whatever the number of parameters. Byrd, Lu, Nocedal and Zhu
(1995); Koopman and Shephard (1992) for the score.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Self

import numpy as np

from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.em import ConvergenceMonitor, say_why, warn_not_converged
from statespace.foundations.estimator import NotFittedError, unchanged_on_failure
from statespace.foundations.observations import Observations, read_observations
from statespace.foundations.validation import check_integer, check_sample_weight, check_tolerance
from statespace.lds.dynamics import make_dynamics
from statespace.lds.filtering import Filtered
from statespace.lds.frames import Frames, make_frames
from statespace.lds.likelihood import filtered_in, log_likelihood, log_likelihood_and_gradient
from statespace.lds.panel import panel_gradient, panel_log_likelihoods, whole_log_likelihoods
from statespace.lds.parametrisations import Parametrisation
from statespace.lds.summary import Summarised
from statespace.lds.system import System
from statespace.lds.verbs import SystemVerbs
from statespace.protocols import Floats

_PROBE = 1e-4  # of a coordinate: the step by which its curvature is measured
_FLAT = 1e-6  # nats an observation, for a move by the whole of a coordinate: nothing was measured
_MEMORY = 20  # pairs of steps and slopes that L-BFGS keeps
_WORSE = 1.0  # nats an observation below the start, for matrices that are impossible: the line search comes back
NATS_PER_OBSERVATION = 1e-10  # near a maximum L-BFGS gains many digits a step: it may as well take the last


def sequences_of(observations: Observations) -> list[Floats]:
    """The values of each sequence."""
    return [observations.values[a:b] for a, b in pairwise(observations.offsets.tolist())]


def n_observed(observations: Observations) -> int:
    """Rows of which something was observed."""
    return observations.n_samples - (0 if observations.missing is None else int(observations.missing.sum()))


class Objective:
    """The log-likelihood of some sequences as a function of coordinates, and its exact gradient.

    Parameters
    ----------
    parametrisation : Parametrisation
    observations : Observations
    weights : (n_sequences,), optional

    """

    def __init__(
        self, parametrisation: Parametrisation, observations: Observations, weights: Floats | None = None
    ) -> None:
        self.parametrisation = parametrisation
        self.observations = observations
        self.sequences = sequences_of(observations)
        self.weights = weights
        if weights is not None and not weights.all():  # what has no weight may even be impossible
            self.sequences = [values for values, w in zip(self.sequences, weights, strict=True) if w > 0]
            self.weights = weights[weights > 0]
        self._end_to_end, self._offsets = observations.values, observations.offsets
        if len(self.sequences) < observations.n_sequences:
            self._end_to_end = np.concatenate(self.sequences)
            self._offsets = np.cumsum([0, *map(len, self.sequences)])

    @property
    def n_observed(self) -> int:
        """Rows of which something was observed."""
        return n_observed(self.observations)

    def frames(self, system: System) -> list[Frames]:
        """The sequences as a system sees them."""
        return [make_frames(system, values) for values in self.sequences]

    def value(self, theta: Floats) -> float:
        """L(theta) in nats."""
        system = self.parametrisation.system(theta)
        if len(self.sequences) > 1 and system.n_times is None:
            found = self._log_likelihoods(system)
            return float(found.sum() if self.weights is None else self.weights @ found)
        if self.weights is None:
            return log_likelihood(system, self.frames(system))
        parts = [log_likelihood(system, [frames]) for frames in self.frames(system)]
        return float(self.weights @ parts)

    def value_and_slope(self, theta: Floats) -> tuple[float, Floats]:
        """L(theta) and dL/dtheta."""
        system = self.parametrisation.system(theta)
        moving = "transition" in getattr(self.parametrisation, "varies", ("transition",))
        if len(self.sequences) > 1 and system.n_times is None:
            frames = make_frames(system, self._end_to_end)
            gradient = panel_gradient(
                system, make_dynamics(system), frames, self._offsets, self.weights, by_transition=moving
            )
            return float(gradient.log_likelihood), self.parametrisation.pullback(theta, gradient)
        value, gradient = log_likelihood_and_gradient(
            system, self.frames(system), self.weights, transition_gradient=moving
        )
        return value, self.parametrisation.pullback(theta, gradient)

    def _log_likelihoods(self, system: System) -> Floats:
        """Of each sequence, of matrices that do not change with time."""
        how = "durbin-koopman", "auto"
        found = whole_log_likelihoods(system, self._end_to_end, self._offsets, *how)
        if found is not None:
            return found
        frames = make_frames(system, self._end_to_end)
        return panel_log_likelihoods(system, make_dynamics(system), frames, self._offsets, *how)

    def steps(self, theta: Floats) -> Floats:
        """Log-likelihoods of all steps, of one sequence after the other, times the root of the sequence's weight."""
        found = [part.steps for part in self._filtered(theta)]
        if self.weights is not None:
            found = [math.sqrt(w) * steps for w, steps in zip(self.weights, found, strict=True)]
        return np.concatenate(found)

    def n_scored(self, theta: Floats) -> int:
        """Steps of which something was observed, after the data had determined all diffuse states."""
        return sum(
            int((~np.isnan(values[part.n_diffuse_steps :])).any(axis=1).sum())
            for values, part in zip(self.sequences, self._filtered(theta), strict=True)
        )

    def _filtered(self, theta: Floats) -> list[Filtered]:
        system = self.parametrisation.system(theta)
        dynamics = make_dynamics(system)
        return [filtered_in("auto", system, dynamics, frames) for frames in self.frames(system)]

    def natural(self, theta: Floats) -> Floats:
        """The values that the parametrisation's names name."""
        if hasattr(self.parametrisation, "natural"):
            return np.asarray(self.parametrisation.natural(theta), dtype=np.float64)
        return theta

    def units(self, theta: Floats) -> Floats:
        """The size of a sensible step of each coordinate."""
        if hasattr(self.parametrisation, "units"):
            return np.asarray(self.parametrisation.units(theta), dtype=np.float64)
        if getattr(self.parametrisation, "measured_units", False):
            return self._measured_units(theta)
        return np.ones(len(theta))

    def _measured_units(self, theta: Floats) -> Floats:
        """1 / sqrt(curvature of the mean log-likelihood) of each coordinate, as far as it can be measured."""
        sizes = np.where(theta != 0, np.abs(theta), 1.0)
        units = sizes.copy()
        for k, size in enumerate(sizes):
            above, below = theta.copy(), theta.copy()
            above[k] += _PROBE * size
            below[k] -= _PROBE * size
            try:
                change = self.value_and_slope(above)[1][k] - self.value_and_slope(below)[1][k]
            except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                continue
            curvature = abs(change) / (above[k] - below[k]) / max(self.n_observed, 1)
            if np.isfinite(curvature) and curvature * size**2 > _FLAT:
                units[k] = 1.0 / math.sqrt(curvature)
        return units


class _Search:
    """What L-BFGS makes small; it remembers the best that it has seen."""

    def __init__(self, value_and_slope: Callable[[Floats], tuple[float, Floats]], start: Floats, units: Floats) -> None:
        self._value_and_slope = value_and_slope
        self.origin, self.units = start, units
        self.value, slope = value_and_slope(start)
        self.theta = start
        self._first = self.value, slope

    def begin(self, n: int) -> None:
        self.n = max(n, 1)
        self._worst = self.value - _WORSE * self.n

    def __call__(self, moved: Floats) -> tuple[float, Floats]:
        value, slope = self._at(moved) if moved.any() else self._first
        if not (value > self._worst and np.isfinite(slope).all()):
            return -self._worst / self.n, np.nan_to_num(moved / np.abs(moved).max())
        return -value / self.n, -slope * self.units / self.n

    def _at(self, moved: Floats) -> tuple[float, Floats]:
        here = self.origin + moved * self.units
        try:
            value, slope = self._value_and_slope(here)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):  # too extreme to be used
            return -math.inf, np.empty(0)
        if value > self.value and np.isfinite(slope).all():
            self.value, self.theta = value, here
        return value, slope


def climb(
    value_and_slope: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    units: Floats,
    n_observed: int,
    monitor: ConvergenceMonitor,
) -> tuple[Floats, float]:
    """Climb from `start` to a maximum, by L-BFGS.

    Parameters
    ----------
    value_and_slope : callable
        From coordinates to L in nats and dL/dtheta; it may raise where the coordinates are too extreme.
    start : (n_coordinates,)
    units : (n_coordinates,)
        The size of a sensible step of each coordinate.
    n_observed : int
        Observations, so that the objective is of order 1.
    monitor : ConvergenceMonitor
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
        search = _Search(value_and_slope, start, units)
        if not math.isfinite(search.value):
            raise ValueError(
                "the data are impossible under the starting values (their log-likelihood is "
                f"{search.value}): give others"
            )
        search.begin(n_observed)
        monitor.report(search.value)
        told = monitor.converged

        def each(intermediate_result: Any) -> None:
            nonlocal told
            if told:
                raise StopIteration
            monitor.report(-float(intermediate_result.fun) * search.n)
            told = monitor.converged
            if told and monitor.iter < monitor.n_iter:
                raise StopIteration

        if start.size and monitor.n_iter:
            minimize(
                search,
                np.zeros(start.size),
                jac=True,
                method="L-BFGS-B",
                callback=each,
                options={
                    "maxiter": monitor.n_iter,
                    "maxfun": 20 * monitor.n_iter,
                    "maxcor": _MEMORY,
                    "ftol": 0,
                    "gtol": 0,
                },
            )
    say_why(monitor)
    if not told:
        monitor.reason = "converged: no step along the gradient gains anything"
    return search.theta, search.value


def gradient_monitor(tol: float | None, n_iter: int, n_observed: int) -> ConvergenceMonitor:
    """A monitor for `climb`; without a tolerance, 1e-10 nats an observation."""
    monitor = ConvergenceMonitor(NATS_PER_OBSERVATION * max(n_observed, 1) if tol is None else tol, n_iter, False)
    monitor.begin(n_observed)
    return monitor


class ParametricModel(Summarised, SystemVerbs):
    """A linear dynamical system whose matrices are functions of a few parameters, fitted by maximum likelihood.

    Parameters
    ----------
    parametrisation : object
        From coordinates to matrices and back: see `statespace.lds.parametrisations.Parametrisation`.
    n_iter : int
        The largest number of iterations.
    tol : float, optional
        The fit has converged when an iteration gains less, in nats in total; None: 1e-10 nats an observation.
    random_state : None, int, Generator or RandomState
        For `sample` and `simulate_smoother`.

    Attributes
    ----------
    params_ : (n_parameters,)
        The estimates, as `param_names_` names them.
    param_names_ : list of str
    monitor_ : ConvergenceMonitor
        The history of the fit, and why it stopped.

    Examples
    --------
    A function of your own, here of the logarithms of two variances, and how sure they are:

    >>> import numpy as np
    >>> from statespace import LinearDynamicalSystem
    >>> from statespace.datasets import load_nile
    >>> def random_walk_and_noise(theta):
    ...     noise, walk = np.exp(theta)
    ...     return {"design": [[1.0]], "obs_cov": [[noise]], "transition": [[1.0]], "state_cov": [[walk]]}
    >>> model = LinearDynamicalSystem.from_function(random_walk_and_noise, [9.0, 9.0], ["log noise", "log walk"])
    >>> print(model.fit(load_nile().flow).summary())  # doctest: +ELLIPSIS
    ParametricModel: 99 steps, log-likelihood -633.4646, aic 1270.9291, bic 1276.1194
    converged: ...
    parameter      estimate    std. error         z               0.95 interval
    log noise       9.6223...      0.20833...    46.18...       9.214...       10.030...
    log walk        7.2924...      0.8714...     8.36...       5.584...       9.000...
    standard errors: observed

    """

    def __init__(
        self, parametrisation: Any = None, *, n_iter: int = 500, tol: float | None = None, random_state: Any = None
    ) -> None:
        self.parametrisation = parametrisation
        self.n_iter = n_iter
        self.tol = tol
        self.random_state = random_state

    def _make_parametrisation(self, observations: Observations, exog: Any) -> Parametrisation:
        """The parametrisation for these data; subclasses make their own."""
        del observations
        if exog is not None:
            raise ValueError(f"this {type(self).__name__} takes no exog")
        lacking = [name for name in ("names", "start", "system", "pullback") if not hasattr(self.parametrisation, name)]
        if lacking:
            raise TypeError(
                f"parametrisation is {self.parametrisation!r:.60}, expected an object with names, start, system and "
                f"pullback: it lacks {', '.join(lacking)}"
            )
        made: Parametrisation = self.parametrisation
        return made

    @unchanged_on_failure
    def fit(self, X: Any, lengths: Any = None, *, exog: Any = None, sample_weight: Any = None) -> Self:
        """Learn the parameters by maximum likelihood.

        Parameters
        ----------
        X : sequence or list of sequences
            Observations, NaN where missing.
        lengths : (n_sequences,), optional
            Lengths of the sequences laid end to end in a flat `X`.
        exog : optional
            Known inputs, for the models that take them.
        sample_weight : (n_sequences,), optional
            A weight for each sequence; 2 is as if it were there twice.

        Raises
        ------
        TypeError, ValueError
            Where the data are not what they should be; the model then is as it was before.

        Warns
        -----
        ConvergenceWarning
            If `n_iter` iterations did not suffice.

        """
        check_integer("n_iter", self.n_iter)
        check_tolerance("tol", self.tol)
        observations = read_observations(X, lengths)
        weights = check_sample_weight(sample_weight, observations.n_sequences)
        parametrisation = self._make_parametrisation(observations, exog)
        objective = Objective(parametrisation, observations, weights)
        if not objective.n_observed:
            raise ValueError("X has no observation: every value is missing")
        monitor = gradient_monitor(self.tol, self.n_iter, objective.n_observed)
        with blas_on_one_thread():
            start = np.array(parametrisation.start(observations), dtype=np.float64)
            units = objective.units(start)
            theta, value = climb(objective.value_and_slope, start, units, objective.n_observed, monitor)
        if monitor.reason.startswith("not converged") and monitor.n_iter > 1:
            warn_not_converged(monitor)
        self.monitor_ = monitor
        self._remember(objective, theta, value)
        return self

    def _remember(self, objective: Objective, theta: Floats, value: float) -> None:
        """Keep what a fit has found."""
        self.theta_ = theta
        self.params_ = objective.natural(theta)
        self.param_names_ = list(objective.parametrisation.names)
        self._fitted_system = objective.parametrisation.system(theta)
        self._record(objective, theta, value)

    def _system(self) -> System:
        """The system of the estimates."""
        if not hasattr(self, "_fitted_system"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first")
        return self._fitted_system

    def _to_archive(self) -> Any:
        """A function is code, which no file keeps; subclasses that are made of settings write these."""
        raise TypeError(
            f"a {type(self).__name__} holds code of yours, which no file keeps: save its params_, or its matrices as a "
            "LinearDynamicalSystem.from_matrices(...)"
        )

    @property
    def n_parameters(self) -> int:
        """Parameters that were estimated."""
        if not hasattr(self, "theta_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first")
        return len(self.theta_)
