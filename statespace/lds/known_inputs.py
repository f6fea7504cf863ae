r"""Known inputs x_t: what they add to observations and states, and derivatives by their coefficients.

    y_t = d + D x_t + Z a_t + e_t          a_{t+1} = c + B x_t + T a_t + R n_t

A fit takes D x_t off the data and leaves d as it is, and moves the intercepts of the states, so that covariances and
gains are those of the system without inputs. With u_t = dL/d(d_t) and r_t = dL/d(c_t),

    dL/dD = sum_t u_t x_t^T          dL/dB = sum_t r_t x_t^T

The log-likelihood is quadratic in the coefficients, given the other matrices, so that differences of the gradient give
generalised least squares exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.executors import map_pieces
from statespace.foundations.observations import Observations, read_observations
from statespace.lds.dynamics import Dynamics, make_dynamics
from statespace.lds.filtered import Filtered
from statespace.lds.frames import Frames, make_frames, steps_of_frames
from statespace.lds.free_entries import FreeEntries
from statespace.lds.likelihood import filtered_in, gradient_of, log_likelihoods
from statespace.lds.objective import Objective
from statespace.lds.parametrisations import Parametrisation
from statespace.lds.reading import check_inputs, checked_coefficients
from statespace.lds.results import Gradient
from statespace.lds.smoother import Backward
from statespace.lds.system import COEFFICIENTS, System
from statespace.protocols import Array, Floats

_DEPENDENT = 1e-10  # of a column: what the others leave of it, below which it says nothing that they do not
_LONG = 20_000  # numbers from which on sequences are worth threads
_MOST_COEFFICIENTS = 100  # that generalised least squares are solved for at a start: a backward pass each
LINEAR = ("obs_intercept", "obs_exog", "state_exog")
"""In which the log-likelihood is quadratic, given the others and the law of the first state."""


class KnownInputs(NamedTuple):
    """The known inputs of some sequences."""

    values: Floats
    """Laid end to end, shape (n_samples, n_inputs)."""
    sequences: list[Floats]
    """Of each sequence."""

    @property
    def sizes(self) -> Floats:
        """Root mean squares, shape (n_inputs,)."""
        return np.asarray(np.sqrt((self.values**2).mean(axis=0)))


def read_inputs(exog: Any, observations: Observations) -> KnownInputs | None:
    """The inputs that came with data, checked.

    Raises
    ------
    TypeError, ValueError
        Where they are not as many as the data, where one is missing, or where their index is another.

    """
    if exog is None:
        return None
    read = read_observations(exog, name="exog")
    check_inputs(read, observations.offsets, "X")
    for ours, theirs in zip(observations.layout.indexes, read.layout.indexes, strict=False):
        if ours is not None and theirs is not None and len(ours) == len(theirs) and not ours.equals(theirs):
            raise ValueError("exog has another index than X: align them, a row of inputs for each row of X")
    return KnownInputs(read.values, [read.values[a:b] for a, b in pairwise(observations.offsets.tolist())])


def check_independent(inputs: KnownInputs, *, beside_constant: bool) -> None:
    """Refuse an input that the others, or an intercept or a level that stands beside them, say already.

    Raises
    ------
    ValueError
        Names the column.

    """
    X = inputs.values
    sizes = np.where(inputs.sizes > 0, inputs.sizes, 1.0) * math.sqrt(len(X))
    before = [np.full((len(X), 1), 1.0 / math.sqrt(len(X)))] if beside_constant else []
    for k in range(X.shape[1]):
        column = X[:, k : k + 1] / sizes[k]
        left = column
        if before:
            others = np.column_stack(before)
            left = column - others @ np.linalg.lstsq(others, column, rcond=None)[0]
        if np.linalg.norm(left) <= _DEPENDENT:
            of = "a combination of the columns before it"
            if not column.any():
                of = "0 at every step"
            elif beside_constant and np.ptp(column) == 0:
                of = "constant, as the intercept or the level beside it"
            raise ValueError(f"exog[:, {k}] is {of}: its coefficient cannot be told apart; leave it out")
        before.append(column)


def without_inputs(system: System, values: Floats, inputs: Floats | None) -> Floats:
    """Observations less D x_t."""
    if inputs is None or system.obs_exog is None:
        return values
    return np.ascontiguousarray(values - inputs @ system.obs_exog.T)


def moved_dynamics(system: System, shared: Dynamics, inputs: Floats | None) -> Dynamics:
    """The dynamics of a system with the intercepts c + B x_t."""
    if inputs is None or system.state_exog is None:
        return shared
    moved = system.state_intercept + inputs @ system.state_exog.T
    return shared._replace(intercept=np.ascontiguousarray(moved))


def gradient_by_inputs(system: System, frames: Frames, found: Gradient, backward: Backward, inputs: Floats) -> Gradient:
    """The gradient of one sequence with the derivatives by coefficients of known inputs."""
    obs = state = None
    if system.obs_exog is not None:
        obs = np.zeros_like(system.obs_exog)
        for steps, B in zip(steps_of_frames(frames), frames.transform, strict=True):
            obs += (backward.u[steps] @ B).T @ inputs[steps]
    if system.state_exog is not None:
        state = backward.r[1:].T @ inputs
    return found._replace(obs_exog=obs, state_exog=state)


class ObjectiveWithInputs(Objective):
    """The log-likelihood of some sequences with known inputs as a function of coordinates, and its exact gradient."""

    def __init__(
        self, parametrisation: Parametrisation, observations: Observations, weights: Floats | None, inputs: KnownInputs
    ) -> None:
        super().__init__(parametrisation, observations, weights)
        self.inputs = of_weight(inputs.sequences, weights)

    def frames(self, system: System) -> list[Frames]:
        """The sequences as a system sees them."""
        return frames_of(system, self.sequences, self.inputs)

    def value(self, theta: Floats) -> float:
        """L(theta) in nats."""
        return weighted_log_likelihood(self.parametrisation.system(theta), self.sequences, self.weights, self.inputs)

    def value_and_slope(self, theta: Floats) -> tuple[float, Floats]:
        """L(theta) and dL/dtheta."""
        system = self.parametrisation.system(theta)
        found = gradient_with_inputs(system, self.sequences, self.weights, self.inputs)
        return float(found.log_likelihood), self.parametrisation.pullback(theta, found)

    def _filtered(self, theta: Floats) -> list[Filtered]:
        system = self.parametrisation.system(theta)
        shared = make_dynamics(system)
        return [
            filtered_in("auto", system, moved_dynamics(system, shared, inputs), frames)
            for frames, inputs in zip(self.frames(system), self.inputs, strict=True)
        ]


def objective_of(
    parametrisation: Parametrisation, observations: Observations, weights: Floats | None, inputs: KnownInputs | None
) -> Objective:
    """The objective of data with or without known inputs."""
    if inputs is None:
        return Objective(parametrisation, observations, weights)
    return ObjectiveWithInputs(parametrisation, observations, weights, inputs)


def of_weight(parts: Sequence[Floats], weights: Floats | None) -> list[Floats]:
    """The parts of sequences that have a weight."""
    return [part for part, w in zip(parts, weights, strict=True) if w > 0] if weights is not None else list(parts)


def frames_of(system: System, sequences: Sequence[Floats], inputs: Sequence[Floats] | None) -> list[Frames]:
    """Sequences as a system sees them, less what known inputs add to them."""
    if inputs is None:
        return [make_frames(system, values) for values in sequences]
    return [make_frames(system, without_inputs(system, v, x)) for v, x in zip(sequences, inputs, strict=True)]


def weighted_log_likelihood(
    system: System, sequences: Sequence[Floats], weights: Floats | None, inputs: Sequence[Floats]
) -> float:
    """The log-likelihood of sequences with known inputs, weighted."""
    shared = make_dynamics(system)

    def of(one: tuple[Floats, Floats]) -> float:
        frames = make_frames(system, without_inputs(system, *one))
        return float(log_likelihoods(system, [frames], dynamics=moved_dynamics(system, shared, one[1]))[0])

    parts = _each(of, sequences, inputs)
    return float(sum(parts) if weights is None else weights @ np.array(parts))


def gradient_with_inputs(
    system: System,
    sequences: Sequence[Floats],
    weights: Floats | None,
    inputs: Sequence[Floats],
) -> Gradient:
    """The gradient of the weighted log-likelihood of sequences with known inputs; that by a1 and P1 as if free."""
    shared = make_dynamics(system)

    def of(one: tuple[Floats, Floats]) -> Gradient:
        frames = make_frames(system, without_inputs(system, *one))
        dynamics = moved_dynamics(system, shared, one[1])
        found, _, backward = gradient_of(system, dynamics, frames)
        return gradient_by_inputs(system, frames, found, backward, one[1])

    found = _each(of, sequences, inputs)
    factors = np.ones(len(found)) if weights is None else weights
    sums: list[Any] = [
        None if values[0] is None else sum(w * value for w, value in zip(factors, values, strict=True))
        for values in zip(*found, strict=True)
    ]
    return Gradient(*sums)


def _each(of: Callable[[tuple[Floats, Floats]], Any], sequences: Sequence[Floats], inputs: Sequence[Floats]) -> Any:
    pairs = list(zip(sequences, inputs, strict=True))
    if sum(values.size for values in sequences) < _LONG or len(pairs) == 1:
        return [of(pair) for pair in pairs]
    return map_pieces(of, pairs)


# ------------------------------------------------------------------------------------------------ where fits begin


def first_coefficients(
    given: Mapping[str, Any],
    enter: Sequence[str],
    n_states: int,
    sequences: Sequence[Floats],
    weights: Floats,
    inputs: Sequence[Floats] | None,
) -> dict[str, Floats | None]:
    """Coefficients to begin from: given, else of the observations by least squares, 0 in the states.

    Parameters
    ----------
    given : mapping
        Values by name.
    enter : list of {"obs_exog", "state_exog"}
        Which there are.
    n_states : int
    sequences, weights, inputs
        The data, the weight of each sequence, and its inputs.

    """
    found: dict[str, Floats | None] = dict.fromkeys(COEFFICIENTS)
    if inputs is None:
        return found
    width = inputs[0].shape[1]
    n_rows = {"obs_exog": sequences[0].shape[1], "state_exog": n_states}
    for name in enter:
        if name in given:
            value = checked_coefficients(f"init[{name!r}]", given[name], n_rows[name])
            if value.shape[1] != width:
                raise ValueError(f"init[{name!r}] has {value.shape[1]} columns, and exog has {width}")
            found[name] = value
        elif name == "obs_exog":
            found[name] = regressed(sequences, weights, inputs)
        else:
            found[name] = np.zeros((n_states, width))
    return found


def regressed(sequences: Sequence[Floats], weights: Floats, inputs: Sequence[Floats]) -> Floats:
    """Coefficients of inputs by least squares with an intercept, of what was observed; shape (n_features, n_inputs)."""
    Y, X = np.concatenate(sequences), np.concatenate(inputs)
    mass = np.sqrt(np.repeat(weights, [len(values) for values in sequences]))[:, None]
    X = np.column_stack([X, np.ones(len(X))])
    unit = np.sqrt((X**2).mean(axis=0))
    X = X / np.where(unit > 0, unit, 1.0)
    found = np.zeros((Y.shape[1], X.shape[1]))
    for i, y in enumerate(Y.T):
        seen = ~np.isnan(y)
        if seen.any():
            found[i] = np.linalg.lstsq(mass[seen] * X[seen], mass[seen, 0] * y[seen], rcond=None)[0]
    return np.ascontiguousarray((found / np.where(unit > 0, unit, 1.0))[:, :-1])


def settled(
    system: System, free: FreeEntries, sequences: Sequence[Floats], weights: Floats | None, inputs: Sequence[Floats]
) -> System:
    """The system with the free coefficients of inputs, and intercepts of observations, that are likeliest beside it."""
    names = [name for name in LINEAR if free.any(name)]
    size = sum(int(free.masks[name].sum()) for name in names)
    if not size or size > _MOST_COEFFICIENTS:
        return system

    def at(coordinates: Floats) -> System:
        parts = np.split(coordinates, np.cumsum([int(free.masks[name].sum()) for name in names])[:-1])
        changed = {}
        for name, part in zip(names, parts, strict=True):
            entries = getattr(system, name).copy()
            entries.reshape(free.masks[name].shape)[free.masks[name]] += part
            changed[name] = entries
        return system._replace(**changed)

    def slope(there: System) -> tuple[float, Floats]:
        found = gradient_with_inputs(there, sequences, weights, inputs)
        parts = [np.reshape(getattr(found, name), free.masks[name].shape)[free.masks[name]] for name in names]
        return float(found.log_likelihood), np.concatenate(parts)

    try:
        value, here = slope(system)
        units = _units(system, free.masks, names, inputs)
        curvature = np.array([here - slope(at(way))[1] for way in np.diag(units)])  # a row is a step's change
        scaled = 0.5 * (curvature * units + (curvature * units).T)
        step = units * np.linalg.lstsq(scaled, here * units, rcond=1e-12)[0]
        reached = at(step)
        better = weighted_log_likelihood(reached, sequences, weights, inputs) >= value
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return system
    return reached if better else system


def _units(system: System, masks: dict[str, Array], names: Sequence[str], inputs: Sequence[Floats]) -> Floats:
    """Sizes of coefficients that matter."""
    X = np.concatenate(inputs)
    sizes = np.sqrt((X**2).mean(axis=0))
    sizes = np.where(sizes > 0, sizes, 1.0)
    moved = np.sqrt(np.diagonal(system.disturbance_cov[0]) + np.diagonal(system.initial_state_cov))
    moved = np.where(moved > 0, moved, 1.0)
    noise = np.sqrt(np.diagonal(system.obs_cov[0]) + (system.design[0] ** 2) @ moved**2)
    noise = np.where(noise > 0, noise, 1.0)
    of = {"obs_intercept": noise, "obs_exog": noise[:, None] / sizes, "state_exog": moved[:, None] / sizes}
    return np.concatenate([of[name][masks[name]] for name in names])
