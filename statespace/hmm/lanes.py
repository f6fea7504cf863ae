"""Which stretches of the data are taken side by side, and whether what they say of each other agrees.

A long sequence is cut into lanes that come in over some steps more, `warm` of them, at both ends. How many are needed
depends on the data: filters with two different starts are followed at four places of the sequence until they agree to
the last digits, and some steps are added. That is a guess. What makes the result right is that each lane's first and
last laws are then compared with those of its neighbours. Neither filter nor backward pass ever moves two positive
vectors further apart in Hilbert's projective metric, so that where all borders agree to 1e-13, nothing that follows
from them is off by more. Where one does not, there are more steps to come in over, or the work is done without cutting.

Birkhoff (1957), Extensions of Jentzsch's theorem; Atar and Zeitouni (1997), Exponential stability for nonlinear
filtering.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np

from statespace.foundations.executors import map_pieces, sum_in_order
from statespace.foundations.register_tile import ROWS, pack_panels
from statespace.foundations.scratch import Scratch
from statespace.hmm.frames import Frames
from statespace.hmm.lane_batches import (
    exponentiate_scaled,
    forgetting_time,
    score_batches,
    smooth_batches,
    starts_are_possible,
)
from statespace.hmm.lockstep import LANES, lockstep
from statespace.protocols import Floats, Ints

R = TypeVar("R")

_log = logging.getLogger("statespace")

_LEAST_WORK = 40_000  # n_samples * (n_components + 8); below, the plain recursions serve, and are sooner compiled
_SMALLEST_ENTRY = 1e-24  # of A, so that eight steps stay in range
_STEPS = 1024  # of a lane, so that what it stores stays in the cache
_SHORT = 256
_AGREE, _NOTICED = 1e-13, 1e-40  # relative to a probability, and to all of them
_PIECE = 2e6  # nanoseconds of work, about, from which another thread pays
_MOST_NUMBERS = 1 << 24  # of all lanes of a batch; what is longer takes less memory by itself
_NO_ROWS: Ints = np.empty(0, np.int64)
_scratch = Scratch()


class Lanes(NamedTuple):
    """Stretches of the data in order of falling length."""

    begin: Ints
    """First step, shape (n_lanes,), as all but the last."""
    length: Ints
    """Number of steps."""
    before: Ints
    """1 where the lane goes on from another."""
    after: Ints
    """1 where another goes on from it."""
    sequence: Ints
    """The sequence it is part of."""
    place: Ints
    """Where the lane is that comes n-th in the data."""
    warm: int
    """Steps to come in over."""

    @property
    def batch(self) -> int:
        """Lanes that are taken together: more of short ones."""
        return LANES * max(min(_SHORT // int(self.length[0]), 4), 1)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What kernels ask for in common."""
        return self.batch, self.warm, self.begin, self.length, self.before, self.after

    def pieces(self, nanoseconds: float) -> list[slice]:
        """Whole batches, with work enough to pay for a thread, at so many nanoseconds a step."""
        heads = np.arange(0, len(self.length), self.batch)
        work = np.cumsum(np.add.reduceat(self.length, heads)) * nanoseconds // _PIECE
        firsts = [0, *heads[1:][np.diff(work) > 0].tolist(), len(self.length)]
        return [slice(a, z) for a, z in pairwise(firsts)]

    def agree(self, left: Floats, right: Floats) -> bool:
        """Whether `left` of each lane that goes on is `right` of the lane that it goes on from."""
        if not self.warm:
            return True
        number = np.flatnonzero(self.before[self.place])
        a, b = left[self.place[number]], right[self.place[number - 1]]
        return bool((np.abs(a - b) <= _AGREE * a + _NOTICED).all())

    def by_sequence(self, totals: Floats, n_sequences: int) -> Floats:
        """Sums over the lanes of each sequence."""
        ordered = totals[self.place]
        if len(totals) == n_sequences:
            return ordered
        summed = np.zeros(n_sequences)
        np.add.at(summed, self.sequence[self.place], ordered)
        return summed


class Scored(NamedTuple):
    """What the forward recursion finds."""

    log_likelihood: Floats
    """Of each sequence, shape (n_sequences,)."""
    final: Floats
    """p(z_T | x_1..x_T) of the last sequence, shape (n_components,)."""


class Sums(NamedTuple):
    """What the lanes say together; see `recursions.Expectations`."""

    log_likelihood: Floats
    start: Floats
    transitions: Floats
    """Without the factor A."""
    posteriors: Floats


class SideBySide:
    """The recursions on lanes, for one call."""

    def __init__(self, startprob: Floats, transmat: Floats, frames: Frames, offsets: Ints) -> None:
        self.startprob, self.table, self.offsets = startprob, frames.table, offsets
        n_rows, self.K = frames.table.shape
        self.n_samples = frames.n_samples
        self.padded = (self.K + 3) // 4 * 4
        self.width = self.padded + (8 if self.padded % 64 == 0 else 0)  # neighbours at different places of the cache
        self.panels, self.panels_back = np.empty(self.K * self.padded), np.empty(self.K * self.padded)
        pack_panels(transmat, self.panels)
        pack_panels(np.ascontiguousarray(transmat.T), self.panels_back)
        self.rows, self.E, self.shift = _NO_ROWS, np.empty(0), np.empty(0)
        self.possible = True
        if frames.rows is not None:
            self.rows, self.E, self.shift = frames.rows, np.zeros(n_rows * self.width), np.empty(n_rows)
            if not exponentiate_scaled(frames.table, 0, n_rows, self.E, 0, self.width, self.shift):
                self.possible = not (self.shift == -np.inf)[frames.rows].any()
        self.possible = self.possible and starts_are_possible(startprob, frames.table, self.rows, offsets)

    def score(self) -> Scored | None:
        """Log-likelihoods; None where they have to be found otherwise."""
        return self._attempt(self._score)

    def smooth(self, weights: Floats, *, summed: bool) -> Sums | None:
        """All that Baum-Welch needs, or without `summed` the posteriors alone; None as in `score`."""
        return self._attempt(lambda lanes: self._smooth(lanes, weights, summed))

    def _attempt(self, solve: Callable[[Lanes], tuple[R, bool] | None]) -> R | None:
        lanes = self._lanes(0) if self.possible else None
        while lanes is not None:
            found = solve(lanes)
            if found is None or found[1]:
                return None if found is None else found[0]
            lanes = self._lanes(4 * lanes.warm)
        return None

    def _lanes(self, least_warm: int) -> Lanes | None:
        """Lanes with at least so many steps to come in over; None where there are too few of them."""
        offsets, lengths = self.offsets, np.diff(self.offsets)
        total, longest = int(offsets[-1]), int(lengths.max())
        parts, warm = np.ones(len(lengths), np.int64), 0
        steps = min(_STEPS, total // LANES)
        if longest > 1.5 * steps:
            s = int(lengths.argmax())
            warm = max(least_warm, self._warm(int(offsets[s]), int(offsets[s + 1])))
            steps = max(steps, 8 * warm)
            if warm and longest > 1.5 * steps:
                parts = -(-lengths // steps)
                if longest > total // 2:  # full batches
                    batches = max((int(parts[s]) + LANES // 2) // LANES, 1)
                    parts[s] = min(batches * LANES, longest // (4 * warm))
            else:
                warm = 0
        n_lanes = int(parts.sum())
        if n_lanes < LANES // 4:
            return None
        if warm == 0 and (longest * LANES > 4 * total or longest * LANES * self.width > _MOST_NUMBERS):
            return None
        if n_lanes == len(lengths):
            begin, length = offsets[:-1], lengths
            before = after = np.zeros(n_lanes, np.int64)
            sequence = np.arange(n_lanes)
        else:
            sequence = np.repeat(np.arange(len(lengths)), parts)
            number, of = np.arange(n_lanes) - np.repeat(np.cumsum(parts) - parts, parts), parts[sequence]
            begin = offsets[sequence] + lengths[sequence] * number // of
            length = offsets[sequence] + lengths[sequence] * (number + 1) // of - begin
            before, after = (number > 0).astype(np.int64), (number + 1 < of).astype(np.int64)
        if length.min() == longest:
            return Lanes(begin, length, before, after, sequence, sequence, warm)
        order = np.argsort(-length, kind="stable")
        place = np.empty(n_lanes, np.int64)
        place[order] = np.arange(n_lanes)
        return Lanes(begin[order], length[order], before[order], after[order], sequence[order], place, warm)

    def _warm(self, begin: int, end: int) -> int:
        """Steps to come in over, by what a few places of a sequence say; 0 where it is better not cut."""
        most = (end - begin) // 32
        frames = self.table, self.rows, self.E, self.shift, self.width
        found = forgetting_time(self.panels, *frames, begin, end, most)
        return 5 * found // 4 if found <= most else 0

    def _score(self, lanes: Lanes) -> tuple[Scored, bool] | None:
        totals = np.empty(len(lanes.begin))
        entries, ends = (np.empty((len(totals), self.K)) for _ in range(2))

        def run(part: slice) -> bool:
            arguments: tuple[Any, ...] = (
                *(self.startprob, self.panels, self.table, self.rows, self.E, self.shift, self.width),
                *(*lanes.arguments, part.start, part.stop, entries, ends, totals),
            )
            return score_batches(*arguments)

        if not all(map_pieces(run, lanes.pieces(2.5 + 0.03 * self.K**2))):
            return None
        scored = Scored(lanes.by_sequence(totals, len(self.offsets) - 1), ends[lanes.place[-1]])
        return scored, lanes.agree(entries, ends)

    def _smooth(self, lanes: Lanes, weights: Floats, summed: bool) -> tuple[Sums, bool] | None:
        K = self.K
        totals = np.empty(len(lanes.begin))
        entries, ends, heads, exits = (np.empty((len(totals), K)) for _ in range(4))
        by_row = summed and self.rows.size > 0
        posteriors = np.empty(0 if by_row else self.n_samples * K)
        lane_weights = weights[lanes.sequence]

        def run(part: slice) -> tuple[bool, Floats, Floats, Floats]:
            start = np.zeros(K)
            transitions = np.zeros(((K + 7) // 8 * 8, self.width) if summed else (0, 0))
            rows = np.zeros(self.E.size if by_row else 0)
            step, longest = lanes.batch * self.width, int(lanes.length[part.start])
            alpha = _scratch.zeros("alpha", (longest + 2) * step)
            frames = _scratch.zeros("frames", 0 if self.rows.size else (longest + 2 * lanes.warm) * step)
            arguments: tuple[Any, ...] = (
                *(self.startprob, self.panels, self.panels_back, self.table, self.rows, self.E, self.shift),
                *(self.width, *lanes.arguments, lane_weights, part.start, part.stop),
                *(entries, ends, heads, exits, totals, start, transitions, rows, posteriors, alpha, frames),
            )
            done = smooth_batches(*arguments)
            return done, start, transitions, rows

        found = map_pieces(run, lanes.pieces(8.0 + 0.11 * K**2))
        if not all(done for done, *_ in found):
            return None
        _, start, transitions, rows = sum_in_order(found)
        heads[lane_weights == 0] = exits[lane_weights == 0] = 0.0  # nothing was followed
        table = rows.reshape(-1, self.width) if by_row else posteriors.reshape(-1, K)
        sums = Sums(
            lanes.by_sequence(totals, len(self.offsets) - 1),
            start,
            transitions[:K, :K],
            np.ascontiguousarray(table[:, :K]),
        )
        return sums, lanes.agree(entries, ends) and lanes.agree(heads, exits)


def side_by_side(startprob: Floats, transmat: Floats, frames: Frames, offsets: Ints) -> SideBySide | None:
    """Return the recursions on lanes, where these are faster: enough work, and A constant and without zeros."""
    K = len(startprob)
    if transmat.ndim != 2 or frames.n_samples * (K + 8) < _LEAST_WORK or not transmat.min() >= _SMALLEST_ENTRY:
        return None
    return SideBySide(startprob, transmat, frames, offsets) if _tiles_can_be_built() else None


@functools.cache
def _tiles_can_be_built() -> bool:
    """Whether this version of the compiler takes the instructions of `register_tile`; the kernel is needed anyway."""
    x = np.ones(2 * ROWS * 4)
    try:
        lockstep(np.ones(4), 1, 4, np.ones(4), np.zeros(ROWS, np.int64), ROWS, x, 0, x, ROWS * 4)
    except Exception as failure:  # whatever a compiler raises: the plain recursions serve too
        _log.warning("Recursions are done one sequence at a time, which is slower: %s", failure)
        return False
    return True
