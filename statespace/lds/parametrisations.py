r"""From a vector of coordinates without bounds to the matrices of a system, and derivatives back.

    theta -> matrices -> log-likelihood,      dL/dtheta_k = sum over matrices M, entries ij of dL/dM_ij dM_ij/dtheta_k

The gradient in the matrices costs one pass of the smoother, however many coordinates there are; the rest is cheap.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from statespace.foundations.observations import Observations
from statespace.lds.coordinates import CovarianceCoordinates, StableTransition
from statespace.lds.free_entries import COVARIANCES, FreeEntries, blocks
from statespace.lds.gradient import through_stationary_start
from statespace.lds.initialization import stationary_cov, stationary_mean
from statespace.lds.results import Gradient
from statespace.lds.system import COEFFICIENTS, TIMED, System
from statespace.protocols import Floats

INITIAL = ("initial_state", "initial_state_cov")


class Parametrisation(Protocol):
    """What `ParametricModel` asks of the object that it holds.

    More members are used where they are: `natural(theta)`, the values that `names` name where these are not the
    coordinates themselves, and `natural_jacobian(theta)`, their derivatives; `units(theta)`, the size of a sensible
    step of each coordinate, which is 1 otherwise (or measured, with a true `measured_units`); `curvature(theta, slope,
    n_observed, n_sequences)`, roughly -d2L / dtheta dtheta^T where dL/dtheta is `slope`, or None; and `varies`, the
    names of the matrices that depend on theta: the others stay as they are, and derivatives in them are not computed;
    `advanced(theta, slope, n_observed, n_sequences)`, a better point than theta and roughly what it gains, or None;
    `variances`, which of the parameters are, so that their intervals are positive; and `by_row`, true where matrices
    with a time axis have an entry for each row of all sequences, one after the other, and not for each of the longest.
    """

    names: list[str]
    """Names of the parameters, in their order."""

    def start(self, data: Observations) -> Floats:
        """Coordinates to begin from."""

    def system(self, theta: Floats) -> System:
        """The system of these coordinates."""

    def pullback(self, theta: Floats, gradient: Gradient) -> Floats:
        """dL/dtheta from dL/d(matrices)."""


class MatrixParametrisation:
    """The free entries of the matrices of a linear dynamical system.

    Parameters
    ----------
    system : System
        Where to begin, constant in time, and what is held.
    free : FreeEntries
    input_sizes : (n_inputs,), optional
        Root mean squares of the known inputs, where there are any.

    """

    def __init__(self, system: System, free: FreeEntries, input_sizes: Floats | None = None) -> None:
        self._system = system
        self._free = free
        self._input_sizes = np.ones(1) if input_sizes is None else np.where(input_sizes > 0, input_sizes, 1.0)
        self._matrices = free.matrices
        stationary = free.initialization == "stationary"
        self._stationary = stationary
        self._stable: StableTransition | None = None
        if free.any("transition") and (free.stable or (stationary and free.masks["transition"].all())):
            self._stable = StableTransition(_state_units(system))
        self._covariances = {
            name: CovarianceCoordinates(
                _entry(system, name),
                blocks(name, _entry(system, name), free.masks[name]),
                free.floors[name],
                free.masks[name],
            )
            for name in COVARIANCES
        }
        self._sizes = [
            self._covariances[name].size if name in COVARIANCES else int(free.masks[name].sum())
            for name in self._matrices
        ]
        self.varies = {name for name in self._matrices if free.any(name)} | (set(INITIAL) if stationary else set())
        self._last: tuple[Floats, System] = np.empty(0), system
        self._places = [(name, place) for name in self._matrices for place in self._named(name)]
        self.names = [f"{name}[{', '.join(map(str, place))}]" for name, place in self._places]
        self.variances = np.array([name in COVARIANCES and len(set(place)) == 1 for name, place in self._places])
        """Which parameters are variances, shape (n_parameters,), bool."""

    def _named(self, name: str) -> list[tuple[int, ...]]:
        """Places of the parameters of a matrix, a pair of a covariance once."""
        if name not in COVARIANCES:
            return [tuple(int(i) for i in place) for place in np.argwhere(self._free.masks[name])]
        return [*self._covariances[name].places]

    def _split(self, theta: Floats) -> dict[str, Floats]:
        return dict(zip(self._matrices, np.split(theta, np.cumsum(self._sizes)[:-1]), strict=True))

    def start(self, data: Observations | None = None) -> Floats:  # noqa: ARG002  # the system is the start
        """Coordinates of the system that this was made from."""
        return self.vector(self._system)

    def vector(self, system: System) -> Floats:
        """Coordinates of a system that has the held entries."""
        parts = []
        for name in self._matrices:
            value = _entry(system, name)
            if name in COVARIANCES:
                parts.append(self._covariances[name].vector(value))
            elif name == "transition" and self._stable is not None:
                parts.append(self._stable.vector(value))
            else:
                parts.append(value[self._free.masks[name]])
        return np.concatenate(parts)

    def system(self, theta: Floats) -> System:
        """The system of these coordinates.

        Raises
        ------
        ValueError
            If a stationary start is asked of a transition that is not stable.

        """
        before, known = self._last  # a gradient is pulled back through the system that it was computed at
        if before.shape == theta.shape and np.array_equal(before, theta):
            return known
        made: dict[str, Floats] = {}
        for name, part in self._split(theta).items():
            if name in COVARIANCES:
                value = self._covariances[name].matrix(part)
            elif name == "transition" and self._stable is not None:
                value = self._stable.matrix(part)
            else:
                value = _entry(self._system, name).copy()
                value[self._free.masks[name]] = part
            made[name] = value if _is_untimed(name) else value[None]
        system = self._system._replace(**made)
        if self._stationary:
            system = at_stationary_start(system)
        self._last = theta.copy(), system
        return system

    def pullback(self, theta: Floats, gradient: Gradient) -> Floats:
        """dL/dtheta from dL/d(matrices)."""
        if self._stationary:
            gradient = through_stationary_start(self.system(theta), gradient)
        slopes = {name: _sum_of(gradient, name) for name in self._matrices}
        parts = []
        for name, part in self._split(theta).items():
            if name in COVARIANCES:
                parts.append(self._covariances[name].pullback(part, slopes[name]))
            elif name == "transition" and self._stable is not None:
                parts.append(self._stable.pullback(part, slopes[name]))
            else:
                parts.append(slopes[name][self._free.masks[name]])
        return np.concatenate(parts)

    def natural(self, theta: Floats) -> Floats:
        """The free entries themselves, in the order of `names`."""
        system = self.system(theta)
        return np.array([_entry(system, name)[place] for name, place in self._places])

    def natural_jacobian(self, theta: Floats) -> Floats:
        """D natural / d theta, shape (n_parameters, n_coordinates)."""
        rows = []
        for name, place in self._places:
            fields = {*TIMED, *INITIAL, *self._matrices}
            nothing = {field: np.zeros_like(getattr(self._system, field)) for field in fields}
            of = nothing[name] if _is_untimed(name) else nothing[name][0]
            of[place] += 0.5 if name in COVARIANCES else 1.0
            if name in COVARIANCES:
                of[place[::-1]] += 0.5
            rows.append(self.pullback(theta, Gradient(**nothing, log_likelihood=0.0)))
        return np.array(rows).reshape(len(self.names), len(theta))

    def units(self, theta: Floats, second_moments: Floats | None = None) -> Floats:
        """1 / sqrt(curvature) that each coordinate would have, of the log-likelihood of an observation and its states.

        Parameters
        ----------
        theta : (n_coordinates,)
        second_moments : (n_states,), optional
            Mean squares of the states; of the stationary law, or else 1, where they are not given.

        """
        system = self.system(theta)
        states = np.sqrt(_state_units(system) ** 2 if second_moments is None else second_moments)
        states = np.where(states > 0, states, 1.0)
        noise = np.sqrt(np.diagonal(system.obs_cov[0]))
        noise = np.where(noise > 0, noise, np.abs(system.design[0]) @ states + 1e-300)
        moved = np.sqrt(np.diagonal(system.disturbance_cov[0]))
        moved = np.where(moved > 0, moved, states)
        first = np.sqrt(np.diagonal(system.initial_state_cov))
        units = {
            "design": noise[:, None] / states,
            "obs_intercept": noise,
            "transition": moved[:, None] / states,
            "state_intercept": moved,
            "initial_state": np.where(first > 0, first, states),
            "obs_exog": noise[:, None] / self._input_sizes,
            "state_exog": moved[:, None] / self._input_sizes,
        }
        parts = []
        for name, size in zip(self._matrices, self._sizes, strict=True):
            if name in COVARIANCES:
                parts.append(np.full(size, 0.7))
            elif name == "transition" and self._stable is not None:
                parts.append(np.full(size, 1.0))
            else:
                parts.append(units[name][self._free.masks[name]])
        return np.concatenate(parts)


def at_stationary_start(system: System) -> System:
    """The system, started from its own stationary law.

    Raises
    ------
    ValueError
        If there is none.

    """
    T = system.transition[0]
    if not np.abs(np.linalg.eigvals(T)).max() < 1.0:
        raise ValueError("the transition is not stable: there is no stationary law to start from")
    mean = stationary_mean(T, system.state_intercept[0])
    cov = stationary_cov(T, system.disturbance_cov[0])
    return system._replace(initial_state=mean, initial_state_cov=cov, stationary=np.ones(len(T), dtype=bool))


def _is_untimed(name: str) -> bool:
    """Whether a matrix has no time axis."""
    return name.startswith("initial") or name in COEFFICIENTS


def _entry(system: System, name: str) -> Floats:
    value: Floats = getattr(system, name)
    return value if _is_untimed(name) else value[0]


def _sum_of(gradient: Gradient, name: str) -> Floats:
    value: Floats = getattr(gradient, name)
    return value if _is_untimed(name) else value[0]


def _state_units(system: System) -> Floats:
    """Deviations of the states: of the stationary law where there is one, else of what a step adds."""
    T, V = system.transition[0], system.disturbance_cov[0]
    if np.abs(np.linalg.eigvals(T)).max() < 1.0:
        variances = np.diagonal(stationary_cov(T, V))
    else:
        variances = np.diagonal(V) + np.diagonal(system.initial_state_cov)
    return np.sqrt(np.where(variances > 0, variances, 1.0))
