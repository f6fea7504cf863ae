"""One fit from one start, by either method; what threads or processes are given where there are several."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.em import ConvergenceMonitor, maximize
from statespace.hmm.baum_welch import Law, Priors, expect, improve, slopes
from statespace.hmm.evidence import Evidence
from statespace.hmm.gradient_fit import fit_by_gradient
from statespace.protocols import Floats


class Fitted(NamedTuple):
    """Where a fit ended."""

    law: Law
    monitor: ConvergenceMonitor
    mass: Floats
    """sum_t gamma_t(k) that the last parameters were learnt from, shape (n_components,)."""


class Fit:
    """From a start, with its monitor, to the end; picklable."""

    def __init__(
        self,
        evidence: Evidence,
        weights: Floats,
        priors: Priors,
        held: dict[str, Any],
        *,
        method: str,
        stationary: bool,
        executor: Executor | None = None,
    ) -> None:
        self.evidence, self.weights, self.priors, self.held = evidence, weights, priors, held
        self.method, self.stationary, self.executor = method, stationary, executor

    def __call__(self, begin: tuple[Law, ConvergenceMonitor]) -> Fitted:
        """Fit; the monitor is told."""
        law, monitor = begin
        with blas_on_one_thread(self.evidence.n_multiplications):
            if self.method == "em" or not monitor.n_iter:
                law, mass = self._by_expectation_maximization(law, monitor)
            else:
                law, mass = fit_by_gradient(
                    law,
                    self._slopes,
                    monitor,
                    priors=self.priors,
                    held=self.held,
                    stationary=self.stationary,
                )
        return Fitted(law, monitor, mass)

    def _slopes(self, law: Law) -> Any:
        emission = self.held.get("emission") is not True
        return slopes(law, self.evidence, self.weights, self.executor, emission=emission)

    def _by_expectation_maximization(self, law: Law, monitor: ConvergenceMonitor) -> tuple[Law, Floats]:
        masses: list[Floats] = []

        def step(law: Law) -> tuple[float, Callable[[], Law]]:
            expected = expect(law, self.evidence, self.weights, self.executor)
            masses[:] = [expected.mass]
            objective = expected.log_likelihood + self.priors.log_density(law)
            if hasattr(law.emission, "log_prior"):
                objective += law.emission.log_prior()
            return objective, lambda: improve(law, expected, self.priors, self.held, stationary=self.stationary)

        found = maximize(step, law, monitor, warn=False)
        return found, masses[0] if masses else np.ones(len(law.startprob))
