r"""The recursions on a sequence of any length, block by block: only one block's numbers are in memory at a time.

Going forward, the law of the state after each block is kept, K numbers. Going backward, what is to come says of the
last state of a block

    beta(i) \propto \sum_j A_ij gamma(j) / predicted(j)

with gamma and predicted those of the first step of the next block; multiplied into the likelihood of the block's last
step, it lets the block be smoothed as if it stood alone, and the transition across the border has the expectation
alpha(i) A_ij gamma(j) / predicted(j). That is exact: nothing is cut off.

Bishop (2006), Pattern Recognition and Machine Learning, section 13.2.4, gives the recursions; keeping every so many
steps and doing the others again is checkpointing (Griewank 1992).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from statespace.hmm.frames import Frames
from statespace.hmm.recursions import expectations, final_state
from statespace.protocols import Floats

BLOCK = 1 << 16
"""Steps a block."""
_POSITIVE = 1e-24  # so that what is divided by stays far from the smallest numbers

FramesOf = Callable[[slice], Frames]


class LongExpectations(NamedTuple):
    """What Baum-Welch needs of one sequence, but for the posteriors."""

    log_likelihood: float
    """log p(x_1..x_T)."""
    start: Floats
    """w gamma_1(k), shape (n_components,)."""
    transitions: Floats
    """w sum_t p(z_t = i, z_{t+1} = j | x), shape (n_components, n_components)."""


class _Passed(NamedTuple):
    """What the forward pass keeps."""

    log_likelihood: float
    predicted: Floats
    """p(z | what came before) of the first step of each block, shape (n_blocks, n_components)."""
    filtered: Floats
    """p(z | what came so far) of the last step of each block, shape (n_blocks, n_components)."""


def can_be_cut(transmat: Floats) -> bool:
    """Whether a sequence may be done in blocks: for constant transitions that are all possible."""
    return transmat.ndim == 2 and bool((transmat >= _POSITIVE).all())


def log_likelihood_by_blocks(startprob: Floats, transmat: Floats, frames_of: FramesOf, n_samples: int) -> float:
    """Log-likelihood of one sequence; NaN where scaled numbers do not suffice and it has to be done as a whole."""
    return _pass_forward(startprob, transmat, frames_of, _blocks(n_samples)).log_likelihood


def _blocks(n_samples: int) -> list[slice]:
    return [slice(a, min(a + BLOCK, n_samples)) for a in range(0, n_samples, BLOCK)]


def _pass_forward(startprob: Floats, transmat: Floats, frames_of: FramesOf, cuts: list[slice]) -> _Passed:
    K = len(startprob)
    predicted, filtered, totals = np.empty((len(cuts), K)), np.empty((len(cuts), K)), []
    ahead = startprob
    for number, cut in enumerate(cuts):
        predicted[number] = ahead
        total, filtered[number] = final_state(ahead, transmat, frames_of(cut))
        totals.append(total)
        if math.isnan(total):
            break
        ahead = filtered[number] @ transmat
    return _Passed(math.fsum(totals), predicted, filtered)


def expectations_by_blocks(
    startprob: Floats,
    transmat: Floats,
    frames_of: FramesOf,
    n_samples: int,
    weight: float,
    collect: Callable[[slice, Floats], None],
) -> LongExpectations | None:
    """What Baum-Welch needs of one sequence with its weight; None where it has to be done as a whole.

    `collect` is given each block and its weighted posteriors, from the last block to the first: of the steps, or, where
    frames have rows, summed over the steps of each row.
    """
    cuts = _blocks(n_samples)
    passed = _pass_forward(startprob, transmat, frames_of, cuts)
    if math.isnan(passed.log_likelihood):
        return None
    K = len(startprob)
    transitions = np.zeros((K, K))
    start, beta = np.zeros(K), np.ones(K)
    for number in range(len(cuts) - 1, -1, -1):
        frames = frames_of(cuts[number])
        n_rows, n_steps = len(frames.table), frames.n_samples
        later = frames.table[-1 if frames.rows is None else frames.rows[-1]] + np.log(beta)
        if frames.rows is None:
            folded = Frames(np.concatenate([frames.table[:-1], later[None]]))
        else:
            rows = frames.rows.copy()
            rows[-1] = n_rows
            folded = Frames(np.concatenate([frames.table, later[None]]), rows)
        found = expectations(passed.predicted[number], transmat, folded, np.array([0, n_steps]), np.array([1.0]))
        posteriors = found.posteriors
        if frames.rows is not None:
            posteriors[frames.rows[-1]] += posteriors[n_rows]
            posteriors = posteriors[:n_rows]
        collect(cuts[number], weight * posteriors)
        transitions += weight * found.transitions
        start = found.start
        ratio = np.divide(start, passed.predicted[number], out=np.zeros(K), where=passed.predicted[number] > 0)
        beta = transmat @ ratio
        beta /= beta.max()
        if number:
            transitions += weight * passed.filtered[number - 1][:, None] * transmat * ratio
    return LongExpectations(passed.log_likelihood, weight * start, transitions)
