r"""Maximum likelihood by L-BFGS on the exact gradient, which one E-step gives.

Fisher's identity says that the gradient is the expected one of the complete data,

    d log p(x) / d theta = \sum_z p(z | x) d log p(x, z) / d theta

so that with a_ij = transmat_ij, and start_k, transitions_ij, gamma_t(k) the expectations of Baum-Welch,

    a_ij d log p(x) / d a_ij = transitions_ij        startprob_k d log p(x) / d startprob_k = start_k

and the emission's gradient is that of \sum_t \sum_k gamma_t(k) log p(x_t | z_t = k). Where sequences start from the
stationary law of the transitions, the start's part is carried through that law to them. The parameters have coordinates
without bounds: laws by their logarithms (`free_rows`), emissions by their own.

Near a maximum EM gains a constant fraction of what is left with each step, often a small one; L-BFGS needs few steps
there. It measures the coordinates in units of 1 / sqrt(curvature) that the complete data would have.

References
----------
Louis (1982), Finding the observed information matrix when using the EM algorithm; Byrd, Lu, Nocedal and Zhu (1995), A
limited memory algorithm for bound constrained optimization.

"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.em import ConvergenceMonitor, say_why
from statespace.foundations.free_rows import FreeRows
from statespace.foundations.stationary_start import recurrent_states, start_value_and_slope, stationary_law_of
from statespace.hmm.baum_welch import Law, Priors, Slopes, impossible_sequence
from statespace.protocols import Floats

_NEEDED = ("to_vector", "from_vector", "gradient")
_MEMORY = 20  # pairs of steps and slopes that L-BFGS keeps
_WORSE = 1.0  # nats an observation below the start, for laws that are impossible: the line search comes back


def check_differentiable(emission: Any) -> None:
    """Refuse an emission without the members that a gradient fit asks for."""
    lacking = [name for name in _NEEDED if not hasattr(emission, name)]
    if hasattr(emission, "log_prior") and not hasattr(emission, "prior_gradient"):
        lacking.append("prior_gradient")
    if lacking:
        raise TypeError(
            f"method='lbfgs' asks {type(emission).__name__} for {', '.join(lacking)}: write to_vector() and "
            "from_vector(v), its free parameters in coordinates without bounds, gradient(X, posteriors), the "
            "derivative of sum posteriors * log_likelihood in them, and prior_gradient() beside a log_prior(); or use "
            "method='em'"
        )


class Coordinates:
    """The free parameters of a law as one vector without bounds: start law, transitions, emission."""

    def __init__(self, law: Law, held: dict[str, Any], *, stationary: bool) -> None:
        self.law = law
        self.start = FreeRows(law.startprob[None], True if stationary else held.get("startprob"))
        self.transmat = FreeRows(law.transmat, held.get("transmat"))
        self.with_emission = held.get("emission") is not True
        self.members = recurrent_states(law.transmat, "start") if stationary else None

    @property
    def vector(self) -> Floats:
        """Coordinates of the law that these were made from."""
        parts = [self.start.to_vector(), self.transmat.to_vector()]
        if self.with_emission:
            parts.append(np.asarray(self.law.emission.to_vector(), np.float64))
        return np.concatenate(parts)

    def units(self, expected: Slopes) -> Floats:
        """1 / sqrt(curvature) of each coordinate that the complete data would have, of mean log-likelihoods."""
        n_steps = expected.mass.sum()
        of_laws = [self.start.curvature(expected.start[None]), self.transmat.curvature(expected.transitions)]
        size = self.vector.size
        n_emission = size - self.start.size - self.transmat.size
        curvature = np.concatenate([*of_laws, np.full(n_emission, n_steps / len(expected.mass))])
        return np.asarray(1 / np.sqrt(curvature / n_steps + 1e-3 / max(size, 1)))

    def law_at(self, v: Floats) -> Law | None:
        """The law of these coordinates; None where its stationary law cannot be told."""
        of_start, of_transmat, of_emission = np.split(v, [self.start.size, self.start.size + self.transmat.size])
        transmat = np.ascontiguousarray(self.transmat.rows(of_transmat))
        startprob: Floats | None
        if self.members is None:
            startprob = np.ascontiguousarray(self.start.rows(of_start)[0])
        else:
            startprob = stationary_law_of(transmat, self.members)
        if startprob is None:
            return None
        emission = self.law.emission
        if self.with_emission:
            emission = copy.deepcopy(emission)
            emission.from_vector(of_emission)
        return Law(startprob, transmat, emission)

    def gradient(self, law: Law, expected: Slopes, priors: Priors) -> tuple[float, Floats]:
        """The objective, log-likelihood and priors, and its gradient; -inf where the law is impossible."""
        value = expected.log_likelihood
        for prior, space, rows in (
            (priors.startprob, self.start, law.startprob[None]),
            (priors.transmat, self.transmat, law.transmat),
        ):
            if ((rows == 0) & space.free & (np.asarray(prior) > 1)).any():  # underflown, where the prior forbids it
                value = -math.inf
        if value == -math.inf:
            return value, np.empty(0)
        value += priors.log_density(law)
        pulled = expected.transitions + (priors.transmat - 1.0)
        started = expected.start + (priors.startprob - 1.0)
        parts = []
        if self.members is not None:
            reached, slope = start_value_and_slope(started, law.transmat, self.members)
            if reached == -math.inf:
                return -math.inf, np.empty(0)
            pulled = pulled + law.transmat * slope
        else:
            parts.append(self.start.gradient(law.startprob[None], started[None]))
        parts.append(self.transmat.gradient(law.transmat, pulled))
        if self.with_emission:
            by_emission = expected.emission
            if hasattr(law.emission, "log_prior"):
                value += law.emission.log_prior()
                by_emission = by_emission + law.emission.prior_gradient()
            parts.append(by_emission)
        return value, np.concatenate(parts)


class _Search:
    """What L-BFGS makes small: minus the mean objective, over moves from the start in units of each coordinate."""

    def __init__(self, coordinates: Coordinates, slopes_at: Callable[[Law], Slopes], priors: Priors) -> None:
        self.coordinates, self.slopes_at, self.priors = coordinates, slopes_at, priors
        self.origin = coordinates.vector
        law = coordinates.law_at(self.origin)
        if law is None:
            raise ValueError("start='stationary' has no stationary law that can be told under the starting values")
        expected = slopes_at(law)
        if expected.impossible >= 0:
            raise ValueError(impossible_sequence(expected.impossible))
        self.units = coordinates.units(expected)
        self.n_steps = float(expected.mass.sum())
        self.value, slope = coordinates.gradient(law, expected, priors)
        self.law: Law = law
        self.mass = expected.mass
        self._first = self.value, slope
        self._worst = self.value - _WORSE * self.n_steps

    def __call__(self, moved: Floats) -> tuple[float, Floats]:
        value, slope = self._at(moved) if moved.any() else self._first
        if not (value > self._worst and np.isfinite(slope).all()):
            return -self._worst / self.n_steps, np.nan_to_num(moved / np.abs(moved).max())
        return -value / self.n_steps, -slope * self.units / self.n_steps

    def _at(self, moved: Floats) -> tuple[float, Floats]:
        here = self.origin + moved * self.units
        law = self.coordinates.law_at(here) if np.isfinite(here).all() else None
        if law is None:
            return -math.inf, np.empty(0)
        try:
            expected = self.slopes_at(law)
            value, slope = self.coordinates.gradient(law, expected, self.priors)
        except (ValueError, np.linalg.LinAlgError):  # parameters too extreme to be used
            return -math.inf, np.empty(0)
        if value > self.value:
            self.value, self.law, self.mass = value, law, expected.mass
        return value, slope


def fit_by_gradient(
    law: Law,
    slopes_at: Callable[[Law], Slopes],
    monitor: ConvergenceMonitor,
    *,
    priors: Priors,
    held: dict[str, Any],
    stationary: bool = False,
) -> tuple[Law, Floats]:
    """Climb from `law` to a maximum of log-likelihood and priors.

    Parameters
    ----------
    law : Law
        Where to begin; it stays as it is, and so do its zeros.
    slopes_at : callable
        The E-step: `baum_welch.slopes` of the data.
    monitor : ConvergenceMonitor
        Told of the objective before each iteration, as by EM; `begin` has been called.
    priors : Priors
    held : dict
        What keeps its values, as in `baum_welch.improve`.
    stationary : bool
        Whether sequences start from the stationary law of the transitions.

    Returns
    -------
    law : Law
        The best that was found.
    mass : (n_components,)
        sum_t gamma_t(k) under it.

    Raises
    ------
    ValueError
        If a sequence is impossible under the starting values.

    """
    from scipy.optimize import minimize

    # scipy's factors of what it keeps are small and shared out all the same; and a line search looks far
    with blas_on_one_thread(), np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        search = _Search(Coordinates(law, held, stationary=stationary), slopes_at, priors)
        monitor.report(search.value)
        told = monitor.converged

        def each(intermediate_result: Any) -> None:
            nonlocal told
            if told:
                raise StopIteration
            monitor.report(-float(intermediate_result.fun) * search.n_steps)
            told = monitor.converged
            if told and monitor.iter < monitor.n_iter:
                raise StopIteration

        if search.origin.size:
            minimize(
                search,
                np.zeros(search.origin.size),
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
    return search.law, search.mass
