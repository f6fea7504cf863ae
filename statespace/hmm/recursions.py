r"""The classical problems of hidden Markov models, on arrays that are trusted.

| problem | algorithm | function | kernels |
|---|---|---|---|
| likelihood | forward | log_likelihoods | forward_pass.py |
| filtering | forward | filter_states | forward_pass.py |
| smoothing | forward-backward | smooth_states | backward_pass.py |
| expectations of Baum-Welch | forward-backward | expectations | backward_pass.py |
| most likely path | Viterbi | most_likely_paths | viterbi_path.py |
| paths given the data | backward sampling | sample_paths | path_sampling.py |

Common arguments: startprob (n_components,); transmat (n_components, n_components), or one a step, (n_samples - 1,
n_components, n_components), where transmat[t] leads t to t + 1 and those between two sequences are not read; frames,
log-likelihoods of the states (`Frames`); offsets (n_sequences + 1,), sequence s being the steps
offsets[s]..offsets[s + 1] - 1. Rows of transmat may be all zeros: such a state is never left.

A sequence of probability 0 has log-likelihood -inf; its steps are -inf where it becomes impossible and NaN after, its
filtered probabilities NaN from there on, its posteriors NaN, its best path zeros, its sampled paths -1.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from statespace.foundations.executors import map_pieces
from statespace.hmm.backward_pass import smooth_sequences
from statespace.hmm.extended_range import backward_extended, forward_extended, sample_backwards_extended
from statespace.hmm.forward_pass import (
    NO_ZEROS,
    TINY,
    ZEROS,
    exponentiate_rows,
    filter_sequences,
    forward_pass,
    score_sequences,
)
from statespace.hmm.frames import Frames
from statespace.hmm.lanes import side_by_side
from statespace.hmm.path_sampling import sample_backwards
from statespace.hmm.viterbi_path import FEW, few_state_paths, two_state_paths, viterbi_sequences
from statespace.protocols import Floats, Ints


class Filtered(NamedTuple):
    """What the past and the present say of the state."""

    filtered: Floats
    """p(z_t = k | x_1..x_t), shape (n_samples, n_components)."""
    predicted: Floats
    """p(z_t = k | x_1..x_{t-1}), shape (n_samples, n_components)."""
    log_likelihood_steps: Floats
    """log p(x_t | x_1..x_{t-1}), shape (n_samples,); a sequence's steps sum to its log-likelihood."""


class Smoothed(NamedTuple):
    """What all the data say of the state."""

    posteriors: Floats
    """gamma_t(k) = p(z_t = k | x_1..x_T), shape (n_samples, n_components)."""
    log_likelihood: Floats
    """log p(x_1..x_T) of each sequence, shape (n_sequences,)."""


class Expectations(NamedTuple):
    """What the E-step of Baum-Welch hands to the M-step, each sequence s with its weight w_s."""

    log_likelihood: Floats
    """log p(x_1..x_T) of each sequence, without its weight, shape (n_sequences,)."""
    start: Floats
    """sum_s w_s gamma_1(k), shape (n_components,)."""
    transitions: Floats
    """sum_s w_s sum_t p(z_t = i, z_{t+1} = j | x), shape (n_components, n_components)."""
    posteriors: Floats
    """w_s gamma_t(k), shape (n_samples, n_components); where frames have rows, its sums over the steps of each row,
    shape (n_rows, n_components)."""


_NO_ROWS: Ints = np.empty(0, np.int64)


class _Arrays(NamedTuple):
    """The first arguments of every kernel."""

    startprob: Floats
    A: Floats
    stride: int
    kind: int
    table: Floats
    E: Floats
    shift: Floats
    rows: Ints


def log_likelihoods(startprob: Floats, transmat: Floats, frames: Frames, offsets: Ints) -> Floats:
    """Log-likelihood of each sequence, shape (n_sequences,)."""
    lanes = side_by_side(startprob, transmat, frames, offsets)
    found = None if lanes is None else lanes.score()
    if found is not None:
        return found.log_likelihood
    arrays = _arrays(startprob, transmat, frames, keep=False)
    totals = np.empty(len(offsets) - 1)
    score_sequences(*arrays, offsets, totals)
    for s, redone in _lost_sequences(arrays, offsets, totals):
        totals[s] = redone.log_likelihood
    return totals


def final_state(startprob: Floats, transmat: Floats, frames: Frames) -> tuple[float, Floats]:
    """Log-likelihood of one sequence and p(z_T | x_1..x_T), shape (n_components,), with memory for two steps.

    NaN, and anything, where scaled numbers do not suffice.
    """
    n, K = frames.n_samples, len(startprob)
    lanes = side_by_side(startprob, transmat, frames, np.array([0, n]))
    found = None if lanes is None else lanes.score()
    if found is not None:
        return float(found.log_likelihood[0]), found.final
    arrays = _arrays(startprob, transmat, frames, keep=False)
    alpha = np.empty((2, K))
    total = forward_pass(*arrays, 0, n, alpha, -1, np.empty((1, K)), np.empty(0))
    return total, alpha[(n - 1) % 2]


def filter_states(startprob: Floats, transmat: Floats, frames: Frames, offsets: Ints) -> Filtered:
    """Filtered and predicted probabilities, and the log-likelihood of each step."""
    arrays = _arrays(startprob, transmat, frames, keep=False)
    shape = frames.n_samples, len(startprob)
    filtered, predicted, steps = np.empty(shape), np.empty(shape), np.empty(shape[0])
    totals = np.empty(len(offsets) - 1)
    filter_sequences(*arrays, offsets, filtered, predicted, steps, totals)
    for _, redone in _lost_sequences(arrays, offsets, totals):
        part = slice(redone.begin, redone.end)
        filtered[part], predicted[part], steps[part] = redone.filtered, redone.predicted, redone.steps
    return Filtered(filtered, predicted, steps)


def smooth_states(startprob: Floats, transmat: Floats, frames: Frames, offsets: Ints) -> Smoothed:
    """Posterior probabilities of the states, and the log-likelihood of each sequence."""
    weights = np.ones(len(offsets) - 1)
    lanes = side_by_side(startprob, transmat, frames, offsets)
    found = None if lanes is None else lanes.smooth(weights, summed=False)
    if found is not None:
        return Smoothed(found.posteriors, found.log_likelihood)
    arrays = _arrays(startprob, transmat, frames, keep=True)
    K = len(startprob)
    posteriors, totals = np.empty((frames.n_samples, K)), np.empty(len(offsets) - 1)
    nothing = np.empty((0, K))
    smooth_sequences(*arrays, offsets, weights, posteriors, np.zeros(K), np.empty((0, 0)), nothing, totals)
    for s, redone in _lost_sequences(arrays, offsets, totals):
        totals[s] = redone.log_likelihood
        posteriors[redone.begin : redone.end] = redone.smooth(np.zeros((K, K)))
    return Smoothed(posteriors, totals)


def expectations(startprob: Floats, transmat: Floats, frames: Frames, offsets: Ints, weights: Floats) -> Expectations:
    """All that Baum-Welch needs, with `weights` (n_sequences,); what it says of impossible sequences is zeros."""
    lanes = side_by_side(startprob, transmat, frames, offsets)
    found = None if lanes is None else lanes.smooth(weights, summed=True)
    if found is not None:
        return Expectations(found.log_likelihood, found.start, found.transitions * transmat, found.posteriors)
    arrays = _arrays(startprob, transmat, frames, keep=True)
    K = len(startprob)
    totals, start, transitions = np.empty(len(offsets) - 1), np.zeros(K), np.zeros((K, K))
    if frames.rows is None:
        posteriors, by_row = np.empty((frames.n_samples, K)), np.empty((0, K))
        alpha = posteriors
    else:
        posteriors = by_row = np.zeros((len(frames.table), K))
        alpha = np.empty((_longest(offsets), K))
    smooth_sequences(*arrays, offsets, weights, alpha, start, transitions, by_row, totals)
    if transmat.ndim == 2:
        transitions *= transmat
    for s, redone in _lost_sequences(arrays, offsets, totals):
        totals[s] = redone.log_likelihood
        summed = np.zeros((K, K))
        gamma = redone.smooth(summed)
        if totals[s] == -math.inf:
            gamma = np.zeros_like(gamma)
        gamma *= weights[s]
        start += gamma[0]
        transitions += weights[s] * summed
        if frames.rows is None:
            posteriors[redone.begin : redone.end] = gamma
        else:
            np.add.at(posteriors, frames.rows[redone.begin : redone.end], gamma)
    return Expectations(totals, start, transitions, posteriors)


def most_likely_paths(startprob: Floats, transmat: Floats, frames: Frames, offsets: Ints) -> tuple[Ints, Floats]:
    """Path z that maximises p(x, z), shape (n_samples,), and log p(x, z), shape (n_sequences,).

    Where several do, the last state is the first of them, and so on backwards.
    """
    K = len(startprob)
    states, totals = np.empty(frames.n_samples, np.int64), np.empty(len(offsets) - 1)
    A, stride = _stacked(transmat)

    def find(part: slice) -> None:
        """Fill in the states of some sequences."""
        own = offsets[part.start : part.stop + 1]
        observed = frames.table, _rows(frames), own
        if K == 2 and not stride:
            two_state_paths(startprob, A, *observed, states, totals[part])
        elif K <= FEW and not stride:
            few_state_paths(startprob, A, *observed, np.empty((_longest(own), FEW), np.uint8), states, totals[part])
        else:
            viterbi_sequences(startprob, A, stride, *observed, np.empty((_longest(own), K)), states, totals[part])

    # A thread of its own pays from a millisecond on
    nanoseconds = K * K / 6 + 10  # a step, about
    firsts = [0, len(totals)]
    if frames.n_samples * nanoseconds > 2e6:
        shares = (offsets[:-1] * nanoseconds // 1e6).astype(np.int64)
        firsts[1:1] = (np.flatnonzero(np.diff(shares)) + 1).tolist()
    map_pieces(find, [slice(first, last) for first, last in pairwise(firsts)])
    return states, totals


def sample_paths(startprob: Floats, transmat: Floats, frames: Frames, offsets: Ints, uniforms: Floats) -> Ints:
    """Paths drawn from p(z | x), shape (n_draws, n_samples), one for each row of uniform numbers in [0, 1)."""
    arrays = _arrays(startprob, transmat, frames, keep=False)
    n_samples, K = frames.n_samples, len(startprob)
    filtered, totals, states = np.empty((n_samples, K)), np.empty(len(offsets) - 1), np.empty(uniforms.shape, np.int64)
    filter_sequences(*arrays, offsets, filtered, np.empty((1, K)), np.empty(0), totals)
    for s in range(len(totals)):
        if not math.isnan(totals[s]):
            sample_backwards(arrays.A, arrays.stride, filtered, offsets[s], offsets[s + 1], uniforms, states)
    for _, redone in _lost_sequences(arrays, offsets, totals):
        redone.sample(uniforms, states)
    return states


class _Redone:
    """One sequence in numbers of extended range; see `extended_range`."""

    def __init__(self, arrays: _Arrays, begin: int, end: int) -> None:
        self.arrays, self.begin, self.end = arrays, begin, end
        self.shape = end - begin, len(arrays.startprob)
        self.alpha = np.empty(self.shape), np.empty(self.shape)
        self.filtered, self.predicted, self.steps = np.empty(self.shape), np.empty(self.shape), np.empty(end - begin)
        self.log_likelihood = forward_extended(
            *(arrays.startprob, arrays.A, arrays.stride, arrays.table, arrays.rows, begin, end),
            *self.alpha,
            *(self.filtered, self.predicted, self.steps),
        )

    def smooth(self, transitions: Floats) -> Floats:
        """Return gamma (n_steps, n_components), NaN where the sequence is impossible; sum_t xi_t is added."""
        a = self.arrays
        gamma = np.full(self.shape, np.nan)
        if self.log_likelihood > -math.inf:
            backward_extended(a.A, a.stride, a.table, a.rows, self.begin, self.end, *self.alpha, gamma, transitions)
        return gamma

    def sample(self, uniforms: Floats, states: Ints) -> None:
        """Fill the sequence's columns of `states`, with -1 where it is impossible."""
        a = self.arrays
        if self.log_likelihood == -math.inf:
            states[:, self.begin : self.end] = -1
        else:
            sample_backwards_extended(a.A, a.stride, *self.alpha, self.begin, self.end, uniforms, states)


def _lost_sequences(arrays: _Arrays, offsets: Ints, totals: Floats) -> Iterator[tuple[int, _Redone]]:
    """Sequences that the scaled pass gave up, or found impossible, one at a time."""
    for s in np.flatnonzero(np.isnan(totals)).tolist():
        yield s, _Redone(arrays, int(offsets[s]), int(offsets[s + 1]))


def _arrays(startprob: Floats, transmat: Floats, frames: Frames, *, keep: bool) -> _Arrays:
    """`keep`: exponentials of all frames are wanted at once, as the backward pass reads them again."""
    A, stride = _stacked(transmat)
    kind = NO_ZEROS
    if not np.minimum.reduce(A, axis=None, initial=1.0) >= 1e-30:
        kind = TINY if ((A > 0) & (A < 1e-50)).any() else ZEROS
    table = frames.table
    n_rows, K = table.shape
    if frames.rows is None and not keep and n_rows > 1:
        E, shift = np.empty((1, K)), np.empty(1)
    else:
        E, shift = np.empty((n_rows, K)), np.empty(n_rows)
        exponentiate_rows(table, E, shift)
    return _Arrays(startprob, A, stride, kind, table, E, shift, _rows(frames))


def _stacked(transmat: Floats) -> tuple[Floats, int]:
    """Matrices below each other, (n_matrices * n_components, n_components), and the rows from one step's to the next.

    One sample has no transition, and no matrix where there is one a step.
    """
    K = transmat.shape[-1]
    return transmat.reshape(-1, K), K if transmat.ndim == 3 else 0


def _rows(frames: Frames) -> Ints:
    return _NO_ROWS if frames.rows is None else frames.rows


def _longest(offsets: Ints) -> int:
    return int(offsets[1] if len(offsets) == 2 else np.diff(offsets).max())
