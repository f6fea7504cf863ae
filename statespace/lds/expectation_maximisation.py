r"""Expectation-maximisation for all matrices, on what the exact gradient already knows.

The gradient of the log-likelihood is the expected gradient of the complete data's (Fisher's identity), so that it holds
the expectations that the maximisation step asks for, of disturbances and of entries that were never seen:

    sum_t E[e_t a_t^T]  = H dL/dZ      sum_t E[e_t e_t^T] = n H + 2 H dL/dH H          sum_t E[e_t] = H dL/dd
    sum_t E[n_t a_t^T]  = Q R^T dL/dT  sum_t E[n_t n_t^T] = (n - 1) Q + 2 Q dL/dQ Q    sum_t E[n_t] = Q R^T dL/dc
    E[a_1] = a1 + P1 dL/da1            E[(a_1 - a1)(a_1 - a1)^T] = P1 + 2 P1 dL/dP1 P1

All are given all the data, under the present parameters; only sum_t E[a_t a_t^T] is computed besides. Known inputs x_t
stand beside the states: sum_t E[e_t] x_t^T = H dL/dD, sum_t E[n_t] x_t^T = Q R^T dL/dB. The maximisation
step is a regression of the disturbances on the states, Z <- Z + B with B = (sum E[e a^T]) (sum E[a a^T])^{-1} where all
of Z is free, and the covariance of what it leaves. No inverse of H or Q is taken there, and nothing cancels when the
noise is small. Where entries are held, the free ones solve the generalised least squares problem with the weights
H^{-1} or Q^{-1}; then one maximisation is conditional on the other (Meng and Rubin 1993), and the objective still never
falls. A start from the stationary law joins the transition to the first state: there the step is that of the
regression on the whole gradient, shortened until the log-likelihood does not fall.

References
----------
Shumway and Stoffer (1982); Koopman (1993), Disturbance smoother for state space models; Bishop (2006), section 13.3.2.

"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from statespace.lds.dynamics import make_dynamics
from statespace.lds.frames import Frames
from statespace.lds.free_entries import FreeEntries
from statespace.lds.gradient import through_stationary_start
from statespace.lds.held_entries import covariance_step, regression
from statespace.lds.known_inputs import gradient_by_inputs, moved_dynamics
from statespace.lds.likelihood import gradient_of
from statespace.lds.parametrisations import INITIAL, at_stationary_start
from statespace.lds.results import Gradient
from statespace.lds.smoother import Backward
from statespace.lds.smoothing import is_lost
from statespace.lds.system import COEFFICIENTS, TIMED, System
from statespace.protocols import Floats

_FIELDS = (*TIMED, *INITIAL, "log_likelihood")
_SHORTEST = 2.0**-20


class Expectations(NamedTuple):
    """What is expected of states and disturbances under the present parameters; weighted sums over sequences."""

    log_likelihood: float
    """In nats."""
    gradient: Gradient
    """Of the log-likelihood, in every matrix."""
    states: Floats
    """sum_t E[(a_t, 1, x_t) (a_t, 1, x_t)^T] over all steps, x_t the known inputs where there are any; shape
    (n_states + 1 + n_inputs,) twice."""
    moved: Floats
    """The same over all steps but the last of each sequence."""
    n_sequences: float
    """Number, or weight, of the sequences."""
    n_steps: float
    """Number, or weight, of the steps."""


def expect(
    system: System,
    sequences: Sequence[Frames],
    weights: Floats | None = None,
    inputs: Sequence[Floats] | None = None,
) -> Expectations:
    """The expectation step, of sequences as the system sees them.

    Parameters
    ----------
    system : System
    sequences : list of Frames
        Less what known inputs add to them.
    weights : (n_sequences,), optional
    inputs : list of (n_samples, n_inputs), optional
        Known inputs of each sequence.

    """
    shared = make_dynamics(system)
    factors = [1.0] * len(sequences) if weights is None else [float(w) for w in weights]
    fields = [*_FIELDS, *(name for name in COEFFICIENTS if getattr(system, name) is not None)]
    parts = []
    every_input: Sequence[Floats | None] = [None] * len(sequences) if inputs is None else inputs
    for frames, weight, known in zip(sequences, factors, every_input, strict=True):
        if weight:
            dynamics = moved_dynamics(system, shared, known)
            gradient, filtered, backward = gradient_of(system, dynamics, frames, moments=True)
            if filtered.form == "covariance" and is_lost(filtered, backward):
                gradient, _, backward = gradient_of(system, dynamics, frames, moments=True, form="square_root")
            if known is not None:
                gradient = gradient_by_inputs(system, frames, gradient, backward, known)
            values = [getattr(gradient, name) for name in fields]
            parts.append([weight * np.asarray(value) for value in (*values, *second_moments(backward, known))])
    *sums, every, last = (sum(values[1:], values[0]) for values in zip(*parts, strict=True))
    summed = Gradient(**dict(zip(fields, sums, strict=True)))
    value, one = float(summed.log_likelihood), system.n_states
    return Expectations(value, summed, every, every - last, float(last[one, one]), float(every[one, one]))


def second_moments(backward: Backward, inputs: Floats | None = None) -> tuple[Floats, Floats]:
    """Sums of E[(a_t, 1, x_t) (a_t, 1, x_t)^T], over all steps, and of the last one."""
    found = _state_moments(backward)
    if inputs is None:
        return found
    n, k = len(backward.mean), inputs.shape[1]
    made = []
    for of_states, rows in zip(found, (slice(None), slice(n - 1, n)), strict=True):
        size = len(of_states)
        sums = np.empty((size + k, size + k))
        sums[:size, :size] = of_states
        known = inputs[rows]
        sums[: size - 1, size:] = backward.mean[rows].T @ known
        sums[size - 1, size:] = known.sum(axis=0)
        sums[size:, :size] = sums[:size, size:].T
        sums[size:, size:] = known.T @ known
        made.append(sums)
    return made[0], made[1]


def _state_moments(backward: Backward) -> tuple[Floats, Floats]:
    """Sums of E[(a_t, 1) (a_t, 1)^T], shape (n_states + 1, n_states + 1): over all steps, and of the last one."""
    n, m = backward.mean.shape
    counts = np.bincount(backward.place[:n], minlength=len(backward.cov)).astype(np.float64)
    used = np.flatnonzero(counts)
    found = []
    for mean, cov in (
        (backward.mean, np.tensordot(counts[used], backward.cov[used], axes=1)),
        (backward.mean[-1:], backward.cov[backward.place[n - 1]]),
    ):
        sums = np.empty((m + 1, m + 1))
        sums[:m, :m] = mean.T @ mean + cov
        sums[:m, m] = sums[m, :m] = mean.sum(axis=0)
        sums[m, m] = len(mean)
        found.append(sums)
    return found[0], found[1]


def improve(
    system: System, expected: Expectations, free: FreeEntries, value: Callable[[System], float] | None = None
) -> System:
    """The maximisation step: a system whose log-likelihood is at least that of `system`.

    Parameters
    ----------
    system : System
        Present parameters, constant in time; it is not changed.
    expected : Expectations
        Under these parameters.
    free : FreeEntries
    value : callable, optional
        The log-likelihood of a system: asked for where the start is stationary.

    """
    observed = _observation_step(system, expected, free)
    if free.initialization == "stationary":
        assert value is not None
        return _stationary_step(system, observed, expected, free, value)
    changed = _transition_step(observed, expected, free, expected.gradient, expected.n_steps - expected.n_sequences)
    return _initial_step(changed, expected, free)


def _observation_step(system: System, expected: Expectations, free: FreeEntries) -> System:
    g, H, n = expected.gradient, system.obs_cov[0], expected.n_steps
    m = system.n_states
    beside = [] if g.obs_exog is None else [g.obs_exog]
    with_states = H @ np.column_stack([g.design[0], g.obs_intercept[0], *beside])
    squares = n * H + 2.0 * H @ g.obs_cov[0] @ H
    held = ~np.column_stack([free.masks[name] for name in ("design", "obs_intercept", "obs_exog")[: 2 + len(beside)]])
    states = expected.states[: held.shape[1], : held.shape[1]]
    B = np.where(held, 0.0, regression(with_states, states, H, np.eye(len(H)), held))
    left = _left_over(squares, with_states, states, B)
    cov = covariance_step(left / n, H, free.masks["obs_cov"], free.floors["obs_cov"])
    return system._replace(
        design=system.design + B[:, :m],
        obs_intercept=system.obs_intercept + B[:, m],
        obs_cov=cov[None],
        obs_exog=None if system.obs_exog is None else system.obs_exog + B[:, m + 1 :],
    )


def _transition_step(system: System, expected: Expectations, free: FreeEntries, g: Gradient, n_moves: float) -> System:
    """The transition and the state covariance that maximise what is expected; `g` may hold more than it does."""
    if n_moves <= 0:
        return system
    Q, R = system.state_cov[0], system.selection[0]
    m = system.n_states
    beside = [] if g.state_exog is None else [g.state_exog]
    with_states = Q @ (R.T @ np.column_stack([g.transition[0], g.state_intercept[0], *beside]))
    squares = n_moves * Q + 2.0 * Q @ g.state_cov[0] @ Q
    names = ("transition", "state_intercept", "state_exog")[: 2 + len(beside)]
    held = ~np.column_stack([free.masks[name] for name in names])
    moved = expected.moved[: held.shape[1], : held.shape[1]]
    B = regression(with_states, moved, Q, R, held)
    if free.stable:
        B = B * _stable_part(system.transition[0], R @ B[:, :m])
    left = _left_over(squares, with_states, moved, B)
    cov = covariance_step(left / n_moves, Q, free.masks["state_cov"], free.floors["state_cov"])
    step = np.where(held, 0.0, R @ B)
    return system._replace(
        transition=system.transition + step[:, :m],
        state_intercept=system.state_intercept + step[:, m],
        state_cov=cov[None],
        state_exog=None if system.state_exog is None else system.state_exog + step[:, m + 1 :],
    )


def _stable_part(T: Floats, step: Floats) -> float:
    """The largest of 1, 1/2, 1/4, ... of a step that leaves the transition stable."""
    part = 1.0
    while part > _SHORTEST and not np.abs(np.linalg.eigvals(T + part * step)).max() < 1.0:
        part *= 0.5
    return part if part > _SHORTEST else 0.0


def _initial_step(system: System, expected: Expectations, free: FreeEntries) -> System:
    if free.initialization != "free" or not (free.any("initial_state") or free.any("initial_state_cov")):
        return system
    g, P, n = expected.gradient, system.initial_state_cov, expected.n_sequences
    mean = (P @ g.initial_state / n)[:, None]
    squares = P + 2.0 * P @ g.initial_state_cov @ P / n
    step = regression(mean, np.ones((1, 1)), P, np.eye(len(P)), ~free.masks["initial_state"][:, None])
    left = _left_over(squares, mean, np.ones((1, 1)), step)
    cov = covariance_step(left, P, free.masks["initial_state_cov"], free.floors["initial_state_cov"])
    return system._replace(initial_state=system.initial_state + step[:, 0], initial_state_cov=cov)


def _stationary_step(
    before: System, system: System, expected: Expectations, free: FreeEntries, value: Callable[[System], float]
) -> System:
    """A step of the transition, its intercept and its covariance that does not lower the log-likelihood."""
    beside = () if system.state_exog is None else ("state_exog",)
    names = ("transition", "state_intercept", "state_cov", *beside)
    if not any(free.any(name) for name in names):
        return at_stationary_start(system)
    whole = through_stationary_start(before, expected.gradient)
    target = _transition_step(system, expected, free, whole, expected.n_steps)
    part = 1.0
    while part > _SHORTEST:
        blended = {name: (1 - part) * getattr(system, name) + part * getattr(target, name) for name in names}
        proposed = system._replace(**blended)
        if np.abs(np.linalg.eigvals(proposed.transition[0])).max() < 1.0:
            proposed = at_stationary_start(proposed)
            if value(proposed) >= expected.log_likelihood:
                return proposed
        part *= 0.5
    return system


def _left_over(squares: Floats, with_states: Floats, states: Floats, B: Floats) -> Floats:
    """Sum E[(e - B a)(e - B a)^T]."""
    cross = with_states @ B.T
    left: Floats = squares - cross - cross.T + B @ states @ B.T
    return 0.5 * (left + left.T)
