"""What a network is trained for that is told what sequences mean: the log-likelihood of labels or numbers.

one for each sequence    p(y_s | x_1..x_T)        many-to-one
one for each step        p(y_t | x_1..x_T), of a network that runs both ways, or p(y_t | x_1..x_t): synced
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from statespace.neural.batches import Streams, Window, cut_into_streams, n_windows, padded_rows, windows
from statespace.neural.carried_states import CarriedStates
from statespace.neural.heads import Head
from statespace.neural.labelled_sequences import Inputs
from statespace.neural.readout import Readout
from statespace.neural.sequence_runs import wide
from statespace.neural.text import UNKNOWN
from statespace.neural.training import LossGradients
from statespace.protocols import Array, Floats, Ints

_ROWS = 128  # sequences that are run side by side where nothing is trained
_NUMBERS = 1 << 22  # outputs that are held at once


class Labelled(NamedTuple):
    """Sequences, and what is to be said of them."""

    inputs: Inputs
    targets: Floats
    """Of each sequence, (n_sequences, n_features), or of each step, (n, n_features); NaN where missing."""
    weights: Floats
    """How much each counts, (n_sequences,) or (n,); 0 where it is missing."""


class LabelledObjective:
    """Mini-batches of sequences of like length, each whole, or in windows whose states are carried on.

    Parameters
    ----------
    readout, head
    data : Labelled
    kept, held_out : (n_kept,), (n_held_out,)
        Sequences to train on, and those that say when to stop.
    batch_size : int
    truncate : int, optional
        Steps of a window, where each step has a target and the network runs forward only; None: sequences are whole.
    word_dropout : float
        Probability with which the first column of symbols is taken for the unknown one.

    """

    def __init__(
        self,
        readout: Readout,
        head: Head,
        data: Labelled,
        kept: Ints,
        held_out: Ints,
        batch_size: int,
        truncate: int | None = None,
        word_dropout: float = 0.0,
    ) -> None:
        self.readout, self.head, self.data = readout, head, data
        self.parts: Sequence[Any] = [*readout.parts, head]
        self.batch_size, self.truncate, self.word_dropout = batch_size, truncate, word_dropout
        offsets, weights = data.inputs.offsets, data.weights
        mass = np.add.reduceat(weights, offsets[:-1]) if self.synced else weights
        self.kept, self.held_out = kept[mass[kept] > 0], held_out[mass[held_out] > 0]
        if not len(self.kept):
            raise ValueError("nothing to learn from: every y is missing, or its weight is 0")
        self.streams: Streams = cut_into_streams(offsets[:-1][self.kept], offsets[1:][self.kept], batch_size, truncate)
        self._states = CarriedStates(readout.encoder, self.streams)

    @property
    def synced(self) -> bool:
        """Whether each step has a target."""
        return self.readout.pooling is None

    def n_batches(self) -> int:
        """Windows of an epoch."""
        return n_windows(self.streams, self.batch_size, self.truncate)

    def batches(self, rng: np.random.Generator) -> Iterator[Window]:
        """All windows once; a stream is a sequence where there is no `truncate`."""
        return windows(self.streams, self.batch_size, self.truncate, rng)

    def whole(self) -> Iterator[Window]:
        """All sequences, by falling length, in windows whose `closes` are empty: they carry nothing."""
        offsets, lengths = self.data.inputs.offsets, self.data.inputs.lengths[self.kept]
        size = self.readout.encoder.network.output_size
        for which in batches_by_length(lengths, np.arange(len(lengths)), size):
            yield Window(which, offsets[self.kept[which]], lengths[which], True, np.zeros(0, np.bool_))

    def gradients(self, batch: Window, rng: np.random.Generator | None) -> LossGradients:
        """Of one window."""
        data, carries = self.data, self.truncate is not None and len(batch.closes) > 0
        read = data.inputs.batch(batch.firsts, batch.lengths)
        if rng is not None and self.word_dropout and read.codes is not None:
            read = read._replace(codes=without_words(read.codes, self.word_dropout, rng))
        state, begins = self._states.before(batch) if carries else (None, None)
        run = self.readout.run(read, state, rng, begins=begins, keep=True)
        if carries:
            self._states.after(batch, run.state)
        targets, weights = data.targets, data.weights
        if self.synced:
            inside = np.arange(run.outputs.shape[1])[None, :] < batch.lengths[:, None]
            targets = padded_rows(targets, batch.firsts, batch.lengths)
            weights = np.where(inside, padded_rows(weights, batch.firsts, batch.lengths), 0.0)
        else:
            sequences = self.kept[batch.streams]
            targets, weights = targets[sequences], weights[sequences]
        total = float(weights.sum())
        if not total:
            return LossGradients(0.0, 0.0, [])
        found = self.head.gradients(run.outputs, targets, weights / -total)
        return LossGradients(found.log_likelihood * total, total, [*run.gradients(found.outputs), found.vector])

    def held_out_loss(self) -> float | None:
        """Mean nats of what is held out."""
        if not len(self.held_out):
            return None
        logs = log_likelihoods(self.readout, self.head, self.data, self.held_out)
        scored = ~np.isnan(logs)
        weights = self.data.weights[scored]
        return -float(np.dot(logs[scored], weights) / weights.sum())


def without_words(codes: Ints, share: float, rng: np.random.Generator) -> Ints:
    """Codes of which a share of the first column is unknown."""
    found = codes.copy()
    gone = (rng.random(codes.shape[:2], np.float32) < share) & (codes[:, :, 0] >= 0)
    found[:, :, 0][gone] = UNKNOWN
    return found


def batches_by_length(lengths: Ints, sequences: Ints, size: int) -> Iterator[Ints]:
    """Sequences by falling length, in batches whose outputs, `size` numbers a step, are held at once."""
    order = sequences[np.argsort(-lengths[sequences], kind="stable")]
    first = 0
    while first < len(order):
        n = min(_ROWS, max(_NUMBERS // max(int(lengths[order[first]]) * size, 1), 1))
        yield order[first : first + n]
        first += n


def visit_outputs(readout: Readout, inputs: Inputs, sequences: Ints, visit: Callable[[Ints, Array], None]) -> None:
    """Run over sequences, in training no longer.

    `visit` is called with the places of targets, (m,), and what a head reads of each, (m, output_size).
    """
    for batch in batches_by_length(inputs.lengths, sequences, readout.encoder.network.output_size):
        read = inputs.batch(inputs.offsets[batch], inputs.lengths[batch])
        outputs = readout.run(read).outputs
        if readout.pooling is not None:
            visit(batch, outputs)
            continue
        steps = np.arange(outputs.shape[1])[None, :]
        inside = steps < read.lengths[:, None]
        visit((inputs.offsets[batch][:, None] + steps)[inside], outputs[inside])


def all_scores(readout: Readout, head: Head, inputs: Inputs) -> Floats:
    """Scores of all targets, (n_sequences, n_scores) or (n, n_scores)."""
    n = len(inputs.offsets) - 1
    found = np.empty((n if readout.pooling is not None else int(inputs.offsets[-1]), head.law.n_scores))

    def visit(places: Ints, outputs: Array) -> None:
        found[places] = head.scores(outputs)

    visit_outputs(readout, inputs, np.arange(n), visit)
    return found


def log_likelihoods(readout: Readout, head: Head, data: Labelled, sequences: Ints) -> Floats:
    """Log p(y | x) of each target of some sequences; NaN of the others, and where it has no weight."""
    found = np.full(len(data.weights), np.nan)

    def visit(places: Ints, outputs: Array) -> None:
        scored = data.weights[places] > 0
        where = places[scored]
        if len(where):
            found[where] = head.law.log_likelihood(wide(head.scores(outputs[scored])), data.targets[where])

    visit_outputs(readout, data.inputs, sequences, visit)
    return found
