"""The log-likelihood of several sequences, alone or with its gradient, in whichever form holds its digits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from statespace.foundations.executors import map_pieces
from statespace.lds.dynamics import Dynamics, make_dynamics
from statespace.lds.filtered import Filtered, initial_state
from statespace.lds.filtering import filter_covariance, likelihood_covariance
from statespace.lds.frames import Frames
from statespace.lds.gradient import ALL_MATRICES, gradient
from statespace.lds.one_state import gradient_one_state, is_one_state
from statespace.lds.results import Gradient, State
from statespace.lds.smoother import Backward
from statespace.lds.smoothing import pass_backwards
from statespace.lds.square_root_filter import filter_square_root
from statespace.lds.square_root_smoother import Scores, smooth_square_root
from statespace.lds.system import System
from statespace.protocols import Floats

FORMS = ("auto", "covariance", "square_root")
CONVENTIONS = ("durbin-koopman", "kfas")
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LONG = 20_000  # numbers from which on a sequence is worth a thread


def filtered_in(
    form: str, system: System, dynamics: Dynamics, frames: Frames, start: State | None = None, *, freeze: bool = True
) -> Filtered:
    """The filter of one sequence; "auto" moves to the square-root form where the other has lost digits."""
    if form != "square_root":
        found = filter_covariance(system, dynamics, frames, start, freeze=freeze)
        if form == "covariance" or not found.lost:
            return found
    return filter_square_root(system, dynamics, frames, start)


def log_likelihoods(
    system: System,
    frames: Sequence[Frames],
    convention: str = "durbin-koopman",
    form: str = "auto",
    dynamics: Dynamics | None = None,
    start: State | None = None,
) -> Floats:
    """Log-likelihood of each sequence in nats, shape (n_sequences,)."""
    shared = make_dynamics(system) if dynamics is None else dynamics

    def of(one: Frames) -> float:
        if form != "square_root":
            total, determined, lost = likelihood_covariance(system, shared, one, start)
            if form == "covariance" or not lost:
                return total + (determined * HALF_LOG_2PI if convention == "kfas" else 0.0)
        found = filter_square_root(system, shared, one, start)
        return float(found.steps.sum()) + (found.n_determined * HALF_LOG_2PI if convention == "kfas" else 0.0)

    if sum(one.x.size for one in frames) < _LONG or len(frames) == 1:
        return np.array([of(one) for one in frames])
    return np.array(map_pieces(of, list(frames)))


def log_likelihood(system: System, frames: Sequence[Frames], convention: str = "durbin-koopman") -> float:
    """Log-likelihood of all sequences in nats."""
    return float(log_likelihoods(system, frames, convention).sum())


def gradient_of(
    system: System,
    dynamics: Dynamics,
    frames: Frames,
    *,
    full: bool = True,
    wanted: frozenset[str] = ALL_MATRICES,
    form: str = "auto",
    moments: bool = False,
) -> tuple[Gradient, Filtered, Backward]:
    """The gradient of one sequence by matrices that are free, and what it was made of.

    full : whether dL/dH is wanted off its diagonal; wanted : names of the matrices in which derivatives are; moments :
    whether the backward pass is to have smoothed covariances.
    """
    filtered = filtered_in(form, system, dynamics, frames)
    by_observation = bool(wanted & {"design", "obs_cov"})
    covariances = filtered.form == "covariance"
    backward = pass_backwards(
        dynamics,
        frames,
        filtered,
        derivatives=(2 if full and system.n_features > 1 else 1) if by_observation else 0,
        by_transition="transition" in wanted and covariances,
        moments=moments,
    )
    if not covariances:
        n, m = filtered.af.shape
        scores = Scores(np.zeros((n if len(system.transition) > 1 else 1, m, m)), np.zeros(backward.Z.shape))
        smoothed, _ = smooth_square_root(system, dynamics, frames, scores=scores)
        backward = backward._replace(mean=smoothed.mean, W=scores.W, Z=scores.Z)
    return gradient(system, frames, filtered, backward, wanted), filtered, backward


def log_likelihood_and_gradient(
    system: System,
    frames: Sequence[Frames],
    weights: Floats | None = None,
    full: bool = True,
    wanted: frozenset[str] = ALL_MATRICES,
    dynamics: Dynamics | None = None,
) -> tuple[float, Gradient]:
    """Of all sequences, each with its weight; the gradient by a1 and P1 as if they were free, and 0 if not wanted."""
    shared = make_dynamics(system) if dynamics is None else dynamics
    state, constant = initial_state(system), system.n_times is None

    def of(one: Frames) -> Gradient:
        if constant and is_one_state(one, state):
            return gradient_one_state(system, shared, one, state)
        return gradient_of(system, shared, one, full=full, wanted=wanted)[0]

    if sum(one.x.size for one in frames) < _LONG or len(frames) == 1:
        found = [of(one) for one in frames]
    else:
        found = map_pieces(of, list(frames))
    if len(found) == 1 and weights is None:
        return found[0].log_likelihood, found[0]
    factors = np.ones(len(found)) if weights is None else weights
    sums: list[Any] = [
        None if values[0] is None else sum(w * value for w, value in zip(factors, values, strict=True))
        for values in zip(*found, strict=True)
    ]
    total = Gradient(*sums)
    return float(total.log_likelihood), total


def expected_states(system: System, frames: Frames) -> tuple[Floats, Floats]:
    """Sums of E((a_t, 1) (a_t, 1)^T | all), shape (m + 1, m + 1): over all steps, and of the last one."""
    dynamics = make_dynamics(system)
    filtered = filtered_in("auto", system, dynamics, frames)
    backward = pass_backwards(dynamics, frames, filtered, moments=True)
    n, m = backward.mean.shape
    counts = np.bincount(backward.place[:n], minlength=len(backward.cov)).astype(np.float64)
    used = np.flatnonzero(counts)
    total, last = np.empty((m + 1, m + 1)), np.empty((m + 1, m + 1))
    for sums, mean, cov, size in (
        (total, backward.mean, np.tensordot(counts[used], backward.cov[used], axes=1), n),
        (last, backward.mean[-1:], backward.cov[backward.place[n - 1]], 1),
    ):
        sums[:m, :m] = mean.T @ mean + cov
        sums[:m, m] = sums[m, :m] = mean.sum(axis=0)
        sums[m, m] = size
    return total, last
