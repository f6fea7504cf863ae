r"""Variational Bayes: hidden Markov models whose parameters are not known but believed.

The posterior of states and parameters is approximated by the best product q(z) q(pi) q(A) q(phi), in the sense that

    log p(x) >= F = E_q log p(x, z, theta) - E_q log q(z, theta)

is as large as it can be. With conjugate priors each factor keeps the family of its prior, and two steps, neither of
which lowers F, are taken in turn:

    q(z) \propto exp E log p(x, z | theta)        the recursions on exp E log pi, exp E log A, E log p(x_n | phi_k)
    q(theta) = prior + expected counts under q(z)

After the first, F = log Z - KL(q(theta) || p(theta)), with Z what the recursions give for the likelihood: the
sub-normalised probabilities exp E log pi and exp E log A do not sum to 1, and the recursions do not ask them to.

References
----------
MacKay (1997), Ensemble learning for hidden Markov models; Beal (2003), Variational algorithms for approximate Bayesian
inference, chapter 3.

"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.em import ConvergenceMonitor, maximize
from statespace.hmm.baum_welch import Expected, Law, expect
from statespace.hmm.dirichlet import Dirichlet
from statespace.hmm.evidence import Evidence
from statespace.hmm.starts import excerpt
from statespace.protocols import Floats

_TRIED = 5  # iterations after which the better start is ahead


class Belief(NamedTuple):
    """What is believed of the parameters: q(pi) q(A) q(phi)."""

    startprob: Dirichlet
    """Shape (1, n_components)."""
    transmat: Dirichlet
    """Shape (n_components, n_components)."""
    emission: Any
    """An emission whose `log_likelihood` is E log p(x_n | phi_k), and `divergence` KL(q || p)."""

    def expected_law(self) -> Law:
        """Exponentials of expected logarithms, which the recursions take for probabilities."""
        startprob, transmat = (np.exp(rows.log_expectation()) for rows in (self.startprob, self.transmat))
        return Law(startprob[0], transmat, self.emission)

    def divergence(self) -> float:
        """KL(q(theta) || p(theta)), in nats."""
        return self.startprob.divergence() + self.transmat.divergence() + float(self.emission.divergence())

    def after(self, expected: Expected, params: str) -> Belief:
        """The best q(theta) given the expectations under q(z), of the parameters that are learnt."""
        emission = copy.copy(self.emission)
        expected.emission(emission)
        return Belief(
            self.startprob.after(expected.start[None]) if "s" in params else self.startprob,
            self.transmat.after(expected.transitions) if "t" in params else self.transmat,
            emission,
        )


class VariationalFit:
    """From a belief, with its monitor, to the best belief nearby; picklable."""

    def __init__(self, evidence: Evidence, weights: Floats, params: str, executor: Executor | None = None) -> None:
        self.evidence, self.weights, self.params, self.executor = evidence, weights, params, executor

    def __call__(self, begin: tuple[Belief, ConvergenceMonitor]) -> tuple[Belief, ConvergenceMonitor]:
        """Take both steps in turn; the monitor is told of the bound."""
        belief, monitor = begin
        with blas_on_one_thread():
            return maximize(self._step, belief, monitor, warn=False), monitor

    def _step(self, belief: Belief) -> tuple[float, Callable[[], Belief]]:
        expected = expect(belief.expected_law(), self.evidence, self.weights, self.executor)
        return expected.log_likelihood - belief.divergence(), lambda: belief.after(expected, self.params)


def most_promising(beliefs: list[Belief], fit: VariationalFit) -> Belief:
    """The belief with the largest bound after a few iterations, on part of the data if they are long."""
    trial = VariationalFit(*excerpt(fit.evidence, fit.weights), fit.params)
    reached = []
    for belief in beliefs:
        monitor = ConvergenceMonitor(-math.inf, _TRIED, verbose=False)
        with contextlib.suppress(ValueError):  # impossible from here
            trial((belief, monitor))
        reached.append(max(monitor.history, default=-math.inf))
    return beliefs[int(np.argmax(reached))]
