"""What a model of sequences is trained for: the log-likelihood of each observation, given those before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from statespace.neural.batches import Streams, Window, cut_into_streams, n_windows, padded_rows, windows
from statespace.neural.carried_states import CarriedStates
from statespace.neural.encoder import Encoder
from statespace.neural.heads import Head
from statespace.neural.own_history import OwnHistory
from statespace.neural.sequence_runs import log_likelihood_steps, run_over
from statespace.neural.settings import split
from statespace.neural.training import LossGradients
from statespace.protocols import Array, Floats, Ints

_LEAST_TAIL = 20  # steps at the end of sequences that say how a training goes; fewer of short data, and then
_MOST_OF_SHORT = 0.25  # this part of them
_LEAST_OF_SHORT = 4  # steps
_WARM_UP = 16  # times `truncate` steps that lead up to what is held out


class Held(NamedTuple):
    """Stretches that are held out, side by side."""

    begins: Ints
    """Rows from which on they are read, from the start."""
    firsts: Ints
    """Rows from which on they are foretold."""
    lasts: Ints
    """Where each ends: its last row is the one before."""


def held_stretches(starts: Ints, firsts: Ints, ends: Ints, truncate: int | None) -> Held:
    """What is held out of sequences: whole, or with `truncate` in stretches, a warm-up before each of them.

    A network that has read for so long forgets where it began; one that reads a million steps one after the other,
    after each epoch, takes longer for that than for the epoch.
    """
    if truncate is None:
        return Held(starts, firsts, ends)
    before = _WARM_UP * truncate
    found = []
    for start, first, end in zip(starts.tolist(), firsts.tolist(), ends.tolist(), strict=True):
        n = max(-(-(end - first) // (4 * before)), 1)
        cuts = [first + (end - first) * i // n for i in range(n + 1)]
        found += [(max(start, a - before), a, b) for a, b in pairwise(cuts)]
    return Held(*np.array(found, np.int64).reshape(-1, 3).T)


class OwnObjective:
    """Truncated backpropagation through time, in windows whose states are carried on.

    Parameters
    ----------
    encoder, head
    data : OwnHistory
    weights : (n_sequences,)
        How often each sequence counts.
    batch_size, truncate
        As of the models.
    held_out : float
        A part of the sequences; where there are too few of them, the end of each: about 20 steps at least, or a quarter
        of what is shorter than 80. With `truncate` the states from which it is foretold are those after the 16
        `truncate` steps before it, or all there are.
    rng : Generator
        Draws what is held out.

    """

    def __init__(
        self,
        encoder: Encoder,
        head: Head,
        data: OwnHistory,
        weights: Floats,
        batch_size: int,
        truncate: int | None,
        held_out: float,
        rng: np.random.Generator,
    ) -> None:
        self.encoder, self.head, self.data = encoder, head, data
        self.parts: Sequence[Any] = [*encoder.parts, head]
        self.batch_size, self.truncate = batch_size, truncate
        offsets = data.sequences.offsets
        counted = np.flatnonzero(weights > 0)
        if not len(counted):
            raise ValueError("every sample_weight is 0: there is nothing to learn from")
        starts, ends = offsets[:-1][counted], offsets[1:][counted]
        each = np.repeat(weights, np.diff(offsets))
        self.weights: Floats = np.where(data.known, each, 0.0)
        self._held: tuple[Held, Array] | None = None
        if int(held_out * len(counted)):
            kept, out = split(len(counted), held_out, rng)
            self._held = held_stretches(starts[out], starts[out], ends[out], truncate), self.weights > 0
            starts, ends = starts[kept], ends[kept]
        elif held_out:
            n = int((ends - starts).sum())
            share = max(held_out, min(_LEAST_TAIL / n, _MOST_OF_SHORT))
            cuts = ends - (share * (ends - starts)).astype(np.int64)
            if int((ends - cuts).sum()) >= _LEAST_OF_SHORT:
                tail = np.zeros(len(each), np.bool_)
                for a, b in zip(cuts.tolist(), ends.tolist(), strict=True):
                    tail[a:b] = True
                self._held = held_stretches(starts, cuts, ends, truncate), tail & (self.weights > 0)
                ends = cuts
        self.starts, self.ends = starts, ends
        self.streams: Streams = cut_into_streams(starts, ends, batch_size, truncate)
        self._states = CarriedStates(encoder, self.streams)

    def n_batches(self) -> int:
        """Windows of an epoch."""
        return n_windows(self.streams, self.batch_size, self.truncate)

    def batches(self, rng: np.random.Generator) -> Iterator[Window]:
        """All windows once."""
        return windows(self.streams, self.batch_size, self.truncate, rng)

    def whole(self) -> Iterator[Window]:
        """All sequences, whole."""
        for first in range(0, len(self.starts), self.batch_size):
            which = np.arange(first, min(first + self.batch_size, len(self.starts)))
            lengths = self.ends[which] - self.starts[which]
            yield Window(which, self.starts[which], lengths, True, np.zeros(0, np.bool_))

    def gradients(self, batch: Window, rng: np.random.Generator | None) -> LossGradients:
        """Of one window; `whole` ones have an empty `closes`, and carry nothing."""
        carries = len(batch.closes) > 0 and self.truncate is not None
        state, begins = self._states.before(batch) if carries else (None, None)
        run = self.encoder.run(self.data.batch(batch.firsts, batch.lengths), state, rng, begins=begins, keep=True)
        seen = np.concatenate([run.first[:, None], run.outputs[:, :-1]], axis=1)
        inside = np.arange(seen.shape[1])[None, :] < batch.lengths[:, None]
        weights = np.where(inside, padded_rows(self.weights, batch.firsts, batch.lengths), 0.0)
        total = float(weights.sum())
        if carries:
            self._states.after(batch, run.state)
        if not total:
            return LossGradients(0.0, 0.0, [])
        targets = padded_rows(self.data.targets, batch.firsts, batch.lengths)
        found = self.head.gradients(seen, targets, weights / -total)
        d_outputs = np.concatenate([found.outputs[:, 1:], np.zeros_like(found.outputs[:, :1])], axis=1)
        parts, _ = run.gradients(d_outputs, found.outputs[:, 0])
        return LossGradients(found.log_likelihood * total, total, [*parts, found.vector])

    def held_out_loss(self) -> float | None:
        """Mean nats a scored step of what is held out."""
        if self._held is None:
            return None
        held, scored = self._held
        state = run_over(self.encoder, self.data, held.begins, held.firsts, lambda *_: None)
        steps, _ = log_likelihood_steps(self.encoder, self.head, self.data, held.firsts, held.lasts, state)
        chosen = scored & ~np.isnan(steps)
        if not chosen.any():
            return None
        return -float(np.dot(steps[chosen], self.weights[chosen]) / self.weights[chosen].sum())
