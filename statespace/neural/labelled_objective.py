"""What a network is trained for that is told what sequences mean: the log-likelihood of labels or numbers.

one for each sequence    p(y_s | x_1..x_T)        many-to-one
one for each step        p(y_t | x_1..x_T), of a network that runs both ways, or p(y_t | x_1..x_t): synced
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from statespace.neural.batches import like_lengths, padded_rows
from statespace.neural.encoder import Batch
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
    """Mini-batches of sequences of like length, each whole.

    Parameters
    ----------
    readout, head
    data : Labelled
    kept, held_out : (n_kept,), (n_held_out,)
        Sequences to train on, and those that say when to stop.
    batch_size : int
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
        word_dropout: float = 0.0,
    ) -> None:
        self.readout, self.head, self.data = readout, head, data
        self.parts: Sequence[Any] = [*readout.parts, head]
        self.batch_size, self.word_dropout = batch_size, word_dropout
        mass = self._mass()
        self.kept, self.held_out = kept[mass[kept] > 0], held_out[mass[held_out] > 0]
        if not len(self.kept):
            raise ValueError("nothing to learn from: every y is missing, or its weight is 0")

    @property
    def synced(self) -> bool:
        """Whether each step has a target."""
        return self.readout.pooling is None

    def _mass(self) -> Floats:
        """How much each sequence counts."""
        weights = self.data.weights
        return np.asarray(np.add.reduceat(weights, self.data.inputs.offsets[:-1])) if self.synced else weights

    def n_batches(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.kept) // self.batch_size)

    def batches(self, rng: np.random.Generator) -> Iterator[Ints]:
        """All sequences once."""
        for batch in like_lengths(self.data.inputs.lengths[self.kept], self.batch_size, rng):
            yield self.kept[batch]

    def whole(self) -> Iterator[Ints]:
        """All sequences, by falling length."""
        return batches_by_length(self.data.inputs.lengths, self.kept, self.readout.encoder.network.output_size)

    def gradients(self, batch: Ints, rng: np.random.Generator | None) -> LossGradients:
        """Of some sequences."""
        data = self.data
        read = data.inputs.batch(batch)
        if rng is not None and self.word_dropout and read.codes is not None:
            read = read._replace(codes=without_words(read.codes, self.word_dropout, rng))
        run = self.readout.run(read, rng, keep=True)
        targets, weights = data.targets, data.weights
        if self.synced:
            firsts = data.inputs.offsets[batch]
            inside = np.arange(run.outputs.shape[1])[None, :] < read.lengths[:, None]
            targets = padded_rows(targets, firsts, read.lengths)
            weights = np.where(inside, padded_rows(weights, firsts, read.lengths), 0.0)
        else:
            targets, weights = targets[batch], weights[batch]
        total = float(weights.sum())
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
        read: Batch = inputs.batch(batch)
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
