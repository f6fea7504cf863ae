r"""Baum-Welch: maximum likelihood, or maximum a posteriori, by expectation-maximisation.

E-step, with gamma_t(k) = p(z_t = k | x) and xi_t(i, j) = p(z_t = i, z_{t+1} = j | x):

    start_k = \sum_s w_s gamma_1(k)        transitions_ij = \sum_s w_s \sum_t xi_t(i, j)

M-step, with Dirichlet priors of parameters a (1: none):

    startprob_k \propto start_k + a_k - 1        transmat_ij \propto transitions_ij + a_ij - 1

and the emission maximises \sum_t \sum_k gamma_t(k) log p(x_t | z_t = k). Entries that are held, or zero, stay as they
are, and the others of their row share what is left. A row without any count keeps its values.

References
----------
Baum, Petrie, Soules and Weiss (1970); Bishop (2006), section 13.2.1.

"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.executors import map_pieces, sum_in_order
from statespace.foundations.stationary_start import unique_stationary_law
from statespace.hmm.blocks import expectations_by_blocks
from statespace.hmm.evidence import Evidence, Piece, shares, shifted
from statespace.hmm.recursions import expectations
from statespace.hmm.stationary_step import maximize_stationary
from statespace.hmm.workers import map_evidence
from statespace.protocols import Array, Floats

_FEW_ROWS = 1000


class Law(NamedTuple):
    """The parameters of a hidden Markov model."""

    startprob: Floats
    """p(z_1 = k), shape (n_components,)."""
    transmat: Floats
    """p(z_{t+1} = j | z_t = i), shape (n_components, n_components)."""
    emission: Any
    """p(x_t | z_t)."""


class Priors(NamedTuple):
    """Dirichlet priors of both laws; 1 everywhere is none."""

    startprob: Any
    transmat: Any

    def log_density(self, law: Law) -> float:
        """Up to a constant, at entries that are not zero."""
        total = 0.0
        for prior, values in zip(self, law[:2], strict=True):
            if np.ndim(prior) == 0 and prior == 1:
                continue
            weights = np.broadcast_to(np.asarray(prior, np.float64) - 1.0, values.shape)
            if weights.any():
                seen = values > 0
                total += float((weights[seen] * np.log(values[seen])).sum())
        return total


class Expected(NamedTuple):
    """What the E-step found."""

    log_likelihood: float
    """sum_s w_s log p(X_s)."""
    start: Floats
    transitions: Floats
    emission: Callable[[Any], None]
    """Gives the emission, a copy of the one before, its M-step."""
    mass: Floats
    """sum_t gamma_t(k), shape (n_components,)."""


class Slopes(NamedTuple):
    """What the E-step says of the derivatives of the log-likelihood (Fisher's identity)."""

    log_likelihood: float
    """sum_s w_s log p(X_s); -inf where a sequence is impossible, and the others then say nothing."""
    start: Floats
    """startprob_k d log L / d startprob_k, shape (n_components,)."""
    transitions: Floats
    """transmat_ij d log L / d transmat_ij, shape (n_components, n_components)."""
    emission: Floats
    """d log L in the coordinates of the emission, (p,); empty where it is not asked for."""
    mass: Floats
    """sum_t gamma_t(k), shape (n_components,)."""
    impossible: int
    """The first impossible sequence; -1 where there is none."""


def _of_piece(law: Law, summary: str, evidence: Evidence, weights: Floats, piece: Piece) -> Any:
    """The E-step of one piece."""
    return _Piece(law, evidence, weights, summary)(piece)


class _Piece:
    """The E-step of one piece.

    Of the emission it brings what `summary` names: "statistics" for the M-step, its "gradient", or "nothing".
    """

    def __init__(self, law: Law, evidence: Evidence, weights: Floats, summary: str) -> None:
        self.law, self.evidence, self.weights, self.summary = law, evidence, weights, summary

    def __call__(self, piece: Piece) -> Any:
        with blas_on_one_thread(self.evidence.n_multiplications):  # in a process of its own too
            return (self._is_cut(piece) and self._by_blocks(piece)) or self._as_a_whole(piece)

    def _as_a_whole(self, piece: Piece) -> Any:
        law, evidence = self.law, self.evidence
        found = expectations(
            law.startprob,
            law.transmat,
            evidence.frames(law.emission, piece),
            evidence.offsets(piece),
            self.weights[piece.first : piece.last],
        )
        statistics, mass = self._sums(evidence.steps(piece), found.posteriors)
        return found.log_likelihood, found.start, found.transitions, statistics, mass

    def _are_sums(self) -> bool:
        """Whether what is asked for may be added up over parts of the data."""
        return (
            self.evidence.rows is not None or self.summary != "statistics" or hasattr(self.law.emission, "statistics")
        )

    def _is_cut(self, piece: Piece) -> bool:
        """Whether the piece is too long to have all its numbers in memory, and its statistics are sums."""
        return self._are_sums() and self.evidence.is_long(piece, self.law.transmat)

    def _sums(self, steps: slice, posteriors: Floats) -> tuple[Any, Floats]:
        """`_statistics`, of many steps shared out."""
        cuts = shares(steps.stop - steps.start)
        if len(cuts) == 1 or self.evidence.rows is not None or not self._are_sums():
            return self._statistics(steps, posteriors)
        return sum_in_order(map_pieces(lambda cut: self._statistics(shifted(cut, steps.start), posteriors[cut]), cuts))

    def _by_blocks(self, piece: Piece) -> Any:
        law, evidence, steps = self.law, self.evidence, self.evidence.steps(piece)
        sums: list[tuple[Any, Floats]] = []

        def collect(cut: slice, posteriors: Floats) -> None:
            sums.append(self._statistics(shifted(cut, steps.start), posteriors))
            sums[:] = [sum_in_order(sums)]

        found = expectations_by_blocks(
            law.startprob,
            law.transmat,
            lambda cut: evidence.frames_of(law.emission, shifted(cut, steps.start)),
            steps.stop - steps.start,
            float(self.weights[piece.first]),
            collect,
        )
        if found is None:
            return None
        return np.array([found.log_likelihood]), found.start, found.transitions, *sums[0]

    def _statistics(self, steps: slice, posteriors: Floats) -> tuple[Any, Floats]:
        """What is asked of some steps, and the posterior mass of each state."""
        if len(posteriors) < _FEW_ROWS:
            mass = np.add.reduce(posteriors, axis=0)
        else:  # many rows of few numbers: a product is quicker
            mass = np.ones(len(posteriors)) @ posteriors
        if self.evidence.rows is not None:
            return posteriors[:-1], mass - posteriors[-1]
        values, seen = self.evidence.known(steps)
        if seen is not None:
            posteriors = posteriors[seen]
        emission = self.law.emission
        if self.summary == "nothing":
            return np.empty(0), mass
        if self.summary == "gradient":
            return np.asarray(emission.gradient(values, posteriors), np.float64), mass
        found = emission.statistics(values, posteriors) if hasattr(emission, "statistics") else posteriors
        return (tuple(found) if isinstance(found, list) else found), mass


def expect(law: Law, evidence: Evidence, weights: Floats, executor: Executor | None = None) -> Expected:
    """Run the E-step on all pieces, for the M-step.

    Raises
    ------
    ValueError
        If a sequence is impossible under the parameters.

    """
    work = evidence.pieces()
    results = map_evidence(partial(_of_piece, law, "statistics"), evidence, weights, executor)
    by_sequence = np.where(weights > 0, np.concatenate([result[0] for result in results]), 0.0)
    if not np.minimum.reduce(by_sequence) > -math.inf:
        impossible = np.flatnonzero(~(by_sequence > -math.inf))
        raise ValueError(impossible_sequence(int(impossible[0])))
    start, transitions, mass = (sum_in_order(result[i] for result in results) for i in (1, 2, 4))

    def emission_step(emission: Any) -> None:
        if evidence.rows is not None:
            emission.m_step(evidence.distinct, sum_in_order(result[3] for result in results))
        elif hasattr(law.emission, "statistics"):
            total = results[0][3]
            for result in results[1:]:
                total = tuple(a + b for a, b in zip(total, result[3], strict=True))
            emission.maximize(total)
        else:
            known = [evidence.known(evidence.steps(piece))[0] for piece in work]
            emission.m_step(np.concatenate(known), np.concatenate([result[3] for result in results]))

    return Expected(float(weights @ by_sequence), start, transitions, emission_step, mass)


def impossible_sequence(number: int) -> str:
    """Say that, and why, a fit cannot begin."""
    return (
        f"sequence {number} of X is impossible under the starting values (its likelihood is 0): some observation, or "
        "transition, has probability 0 in every state that can be reached"
    )


def slopes(
    law: Law, evidence: Evidence, weights: Floats, executor: Executor | None = None, *, emission: bool = True
) -> Slopes:
    """Run the E-step on all pieces, for the derivatives; those of the emission where it is asked for."""
    summary = "gradient" if emission else "nothing"
    results = map_evidence(partial(_of_piece, law, summary), evidence, weights, executor)
    by_sequence = np.where(weights > 0, np.concatenate([result[0] for result in results]), 0.0)
    impossible = np.flatnonzero(~(by_sequence > -math.inf))
    by_emission = np.empty(0)
    if emission:
        by_emission = sum(result[3] for result in results)
        if evidence.rows is not None:
            by_emission = np.asarray(law.emission.gradient(evidence.distinct, by_emission), np.float64)
    start, transitions, mass = (sum(result[i] for result in results) for i in (1, 2, 4))
    return Slopes(
        -math.inf if impossible.size else float(weights @ by_sequence),
        start,
        transitions,
        by_emission,
        mass,
        int(impossible[0]) if impossible.size else -1,
    )


def improve(law: Law, expected: Expected, priors: Priors, held: dict[str, Any], *, stationary: bool = False) -> Law:
    """Run the M-step; the law handed in stays as it is.

    Where sequences start from the stationary law of the transitions, both are improved together.
    """
    emission = law.emission
    if held.get("emission") is not True:
        emission = copy.deepcopy(emission)
        expected.emission(emission)
    if stationary:
        transmat = law.transmat
        if held.get("transmat") is not True:
            transitions, start = (
                expected.transitions + (priors.transmat - 1.0),
                expected.start + (priors.startprob - 1.0),
            )
            transmat = maximize_stationary(transitions, start, transmat, held.get("transmat"))
        return Law(unique_stationary_law(transmat, "start"), transmat, emission)
    return Law(
        share(law.startprob[None], expected.start[None] + (priors.startprob - 1.0), held.get("startprob"))[0],
        share(law.transmat, expected.transitions + (priors.transmat - 1.0), held.get("transmat")),
        emission,
    )


def share(before: Floats, counts: Floats, held: Array | bool | None = None) -> Floats:
    """Rows in proportion to `counts`, but zeros and held entries as they were; a row without counts as it was."""
    if held is True:
        return before
    if held is None and np.minimum.reduce(counts, axis=None) > 0 and np.minimum.reduce(before, axis=None) > 0:
        return np.asarray(counts / np.add.reduce(counts, axis=1, keepdims=True))
    free = before > 0
    if held is not None:
        free &= ~np.broadcast_to(np.asarray(held, np.bool_), before.shape)
    counts = np.where(free, np.maximum(counts, 0.0), 0.0)
    totals = counts.sum(axis=1, keepdims=True)
    room = 1.0 - np.where(free, 0.0, before).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = counts / totals * room
    return np.ascontiguousarray(np.where((totals > 0) & free, shared, before))
