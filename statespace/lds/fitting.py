"""From a start to a maximum of the likelihood, by expectation-maximisation or by the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from statespace.foundations.em import ConvergenceMonitor, maximize, maximize_by_leaps
from statespace.foundations.observations import Observations
from statespace.lds.ascent import climb, gradient_monitor
from statespace.lds.expectation_maximisation import expect, improve
from statespace.lds.frames import make_frames
from statespace.lds.free_entries import FreeEntries
from statespace.lds.known_inputs import KnownInputs, frames_of, objective_of, of_weight, weighted_log_likelihood
from statespace.lds.likelihood import log_likelihood
from statespace.lds.objective import n_observed, sequences_of
from statespace.lds.panel import FEW
from statespace.lds.panel_expectations import expect_panel, panel_log_likelihood
from statespace.lds.parametrisations import MatrixParametrisation
from statespace.lds.system import System
from statespace.protocols import Floats


class Begun(NamedTuple):
    """Where a fit begins."""

    system: System
    free: FreeEntries


class Ended(NamedTuple):
    """Where a fit has ended."""

    system: System
    free: FreeEntries
    monitor: ConvergenceMonitor


class Climb:
    """A fit from a start to a maximum; picklable, so that processes can do it too."""

    def __init__(
        self,
        observations: Observations,
        inputs: KnownInputs | None,
        weights: Floats | None,
        method: str,
        n_iter: int,
        tol: float | None,
        acceleration: str | None,
    ) -> None:
        self.observations, self.inputs, self.weights = observations, inputs, weights
        self.method, self.n_iter, self.tol, self.acceleration = method, n_iter, tol, acceleration

    def __call__(self, begun: Begun) -> Ended:
        """Climb from one start."""
        if self.method == "lbfgs":
            return self._by_gradient(begun)
        sequences = sequences_of(self.observations)
        inputs = None if self.inputs is None else self.inputs.sequences
        monitor = ConvergenceMonitor(self.tol, self.n_iter, False)
        monitor.begin(n_observed(self.observations))

        values, offsets = self.observations.values, self.observations.offsets
        is_panel = inputs is None and len(sequences) >= FEW

        def value(system: System) -> float:
            if is_panel and (self.weights is None or self.weights.all()):
                return panel_log_likelihood(system, values, offsets, self.weights)
            return value_of(system, sequences, self.weights, inputs)

        def step(system: System) -> tuple[float, Callable[[], System]]:
            if is_panel:
                expected = expect_panel(system, make_frames(system, values), offsets, self.weights)
            else:
                expected = expect(system, frames_of(system, sequences, inputs), self.weights, inputs)
            return expected.log_likelihood, lambda: improve(system, expected, begun.free, value)

        if self.acceleration is None:
            return Ended(maximize(step, begun.system, monitor, warn=False), begun.free, monitor)
        within = self._parametrisation(begun)
        found = maximize_by_leaps(step, begun.system, monitor, within.vector, within.system, warn=False)
        return Ended(found, begun.free, monitor)

    def require_evidence(self, begun: Begun) -> None:
        """Refuse data that the diffuse start takes as a whole; see `Objective.require_evidence`."""
        if begun.system.n_diffuse:
            parametrisation = self._parametrisation(begun)
            objective = objective_of(parametrisation, self.observations, self.weights, self.inputs)
            objective.require_evidence(parametrisation.start())

    def _parametrisation(self, begun: Begun) -> MatrixParametrisation:
        return MatrixParametrisation(*begun, None if self.inputs is None else self.inputs.sizes)

    def _by_gradient(self, begun: Begun) -> Ended:
        parametrisation = self._parametrisation(begun)
        objective = objective_of(parametrisation, self.observations, self.weights, self.inputs)
        start = parametrisation.start(self.observations)
        monitor = gradient_monitor(self.tol, self.n_iter, objective.n_observed)
        theta, _ = climb(objective, start, monitor)
        return Ended(parametrisation.system(theta), begun.free, monitor)


def value_of(
    system: System, sequences: list[Floats], weights: Floats | None, inputs: list[Floats] | None = None
) -> float:
    """The log-likelihood of sequences, weighted."""
    if inputs is not None:
        if weights is not None and not weights.all():
            sequences, inputs = of_weight(sequences, weights), of_weight(inputs, weights)
            weights = weights[weights > 0]
        return weighted_log_likelihood(system, sequences, weights, inputs)
    frames = [make_frames(system, values) for values in sequences]
    if weights is None:
        return float(log_likelihood(system, frames))
    return float(sum(w * log_likelihood(system, [one]) for w, one in zip(weights, frames, strict=True) if w > 0))
