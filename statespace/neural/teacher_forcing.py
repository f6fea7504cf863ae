r"""An encoder and a decoder, and what they are trained for: each symbol of a target, given the source and those before.

    m_1..m_S, state = encoder(x_1..x_S)             the decoder begins in that state, or in what a bridge makes of it
    h_t = decoder(h_{t-1}, y_{t-1})                 y_0 is the mark that a target begins
    out_t = h_t, or attention's, looking at m       y_t ~ softmax(W out_t + b)

The targets themselves go into the decoder (teacher forcing, Williams and Zipser 1989), so that it runs over whole rows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from statespace.neural.attention import Attention, AttentionRun
from statespace.neural.batches import like_lengths
from statespace.neural.bridge import Bridge
from statespace.neural.encoder import Batch, Encoder, EncoderRun, dropout_mask
from statespace.neural.heads import Head
from statespace.neural.own_history import OwnHistory
from statespace.neural.pairs import Written
from statespace.neural.settings import split
from statespace.neural.trace import NetworkState
from statespace.neural.training import LossGradients
from statespace.protocols import Array, Floats, Ints

_ROWS = 128  # pairs that are run side by side, where nothing is learnt


class EncoderDecoder:
    """All that turns sources into laws of targets.

    Parameters
    ----------
    encoder, decoder : Encoder
    bridge : Bridge, optional
        Where the encoder runs both ways.
    attention : Attention, optional
    head : Head
    dropout : float
        Of what the head reads.

    Attributes
    ----------
    parts : list
        What is trained.

    """

    def __init__(
        self,
        encoder: Encoder,
        bridge: Bridge | None,
        decoder: Encoder,
        attention: Attention | None,
        head: Head,
        dropout: float = 0.0,
    ) -> None:
        self.encoder, self.bridge, self.decoder = encoder, bridge, decoder
        self.attention, self.head, self.dropout = attention, head, dropout
        found = [*encoder.parts, bridge, *decoder.parts, attention, head]
        self.parts: Sequence[Any] = [part for part in found if part is not None]

    def copy(self) -> EncoderDecoder:
        """Another with weights of its own."""
        return copy.deepcopy(self)

    def begun(self, run: EncoderRun) -> NetworkState:
        """The state in which the decoder begins."""
        return run.state if self.bridge is None else self.bridge(run.state)

    def run(
        self, sources: Batch, given: Batch, rng: np.random.Generator | None = None, *, keep: bool = False
    ) -> EncoderDecoderRun:
        """Run over sources, and over the targets that they are to become."""
        return EncoderDecoderRun(self, sources, given, rng, keep)


class EncoderDecoderRun:
    """An encoder and a decoder run over a batch of pairs.

    Attributes
    ----------
    outputs : (B, T, H)
        What the head reads.
    look : AttentionRun, optional
        What was looked at.

    """

    def __init__(
        self, model: EncoderDecoder, sources: Batch, given: Batch, rng: np.random.Generator | None, keep: bool
    ) -> None:
        self._model = model
        self._read = model.encoder.run(sources, None, rng, keep=keep)
        self._write = model.decoder.run(given, model.begun(self._read), rng, keep=keep)
        self.look: AttentionRun | None = None
        outputs = self._write.outputs
        if model.attention is not None:
            memory = model.attention.remember(self._read.outputs, sources.lengths)
            self.look = model.attention.run(outputs, given.lengths, memory, keep=keep)
            outputs = self.look.outputs
        self._mask = dropout_mask(outputs.shape, model.dropout, rng, outputs.dtype)
        self.outputs: Array = outputs if self._mask is None else outputs * self._mask

    def gradients(self, d_outputs: Array) -> list[Array]:
        """Derivatives by the vector of each part but the head, of those by `outputs`, 0 beyond a length."""
        model = self._model
        if self._mask is not None:
            d_outputs = d_outputs * self._mask
        own: list[Array] = []
        if self.look is None:
            d_memory = np.zeros_like(self._read.outputs)
        else:
            vector, d_outputs, d_memory = self.look.gradients(d_outputs)
            own = [vector]
        of_decoder, d_state = self._write.gradients(d_outputs)
        across: list[Array] = []
        if model.bridge is not None:
            vector, d_state = model.bridge.gradients(self._read.state, d_state)
            across = [vector]
        of_encoder, _ = self._read.gradients(d_memory, d_state=d_state)
        return [*of_encoder, *across, *of_decoder, *own]


class PairObjective:
    """Mean nats a symbol of the targets, their ends among them.

    Parameters
    ----------
    model : EncoderDecoder
    sources : OwnHistory
    targets : Written
    weights : (n_pairs,)
        How often each pair counts.
    batch_size : int
    held_out : float
        A part of the pairs.
    rng : Generator
        Draws what is held out.

    """

    def __init__(
        self,
        model: EncoderDecoder,
        sources: OwnHistory,
        targets: Written,
        weights: Floats,
        batch_size: int,
        held_out: float,
        rng: np.random.Generator,
    ) -> None:
        self.model, self.parts = model, model.parts
        self.sources, self.targets, self.weights, self.batch_size = sources, targets, weights, batch_size
        counted = np.flatnonzero(weights > 0)
        if not len(counted):
            raise ValueError("every sample_weight is 0: there is nothing to learn from")
        kept, out = split(len(counted), held_out, rng)
        self.trained, self.held_out = counted[kept], counted[out]
        self._sizes: Ints = np.diff(sources.sequences.offsets) + targets.lengths

    def n_batches(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.trained) // self.batch_size)

    def batches(self, rng: np.random.Generator) -> Iterator[Ints]:
        """Pairs of like lengths together."""
        for batch in like_lengths(self._sizes[self.trained], self.batch_size, rng):
            yield self.trained[batch]

    def whole(self) -> Iterator[Ints]:
        """All pairs."""
        for first in range(0, len(self.trained), _ROWS):
            yield self.trained[first : first + _ROWS]

    def gradients(self, batch: Ints, rng: np.random.Generator | None) -> LossGradients:
        """Loss and derivatives of some pairs."""
        given, wanted, inside = self.targets.batch(batch)
        run = self.model.run(batch_of(self.sources, batch), given, rng, keep=True)
        weights = np.where(inside, self.weights[batch][:, None], 0.0)
        total = float(weights.sum())
        found = self.model.head.gradients(run.outputs, wanted, weights / -total)
        return LossGradients(found.log_likelihood * total, total, [*run.gradients(found.outputs), found.vector])

    def held_out_loss(self) -> float | None:
        """Mean nats a symbol of the pairs that are held out."""
        if not len(self.held_out):
            return None
        lengths = self.targets.lengths[self.held_out]
        weights = np.repeat(self.weights[self.held_out], lengths)
        steps = np.concatenate(log_likelihood_steps(self.model, self.sources, self.targets, self.held_out))
        return -float(np.dot(steps, weights) / weights.sum())


def batch_of(sources: OwnHistory, which: Ints) -> Batch:
    """Some sources, padded."""
    offsets = sources.sequences.offsets
    return sources.batch(offsets[which], np.diff(offsets)[which])


def chunks(sizes: Ints, rows: int = _ROWS) -> list[Ints]:
    """Places of what is run together, the longest first."""
    order = np.argsort(-sizes, kind="stable")
    return [order[first : first + rows] for first in range(0, len(order), rows)]


def log_likelihood_steps(
    model: EncoderDecoder, sources: OwnHistory, targets: Written, which: Ints | None = None
) -> list[Floats]:
    """Log p(y_t | y_1..y_{t-1}, x) of some pairs, all if not given; the last of each is of its end."""
    chosen = np.arange(len(targets.offsets) - 1) if which is None else which
    lengths = targets.lengths[chosen]
    found: list[Floats] = [np.empty(0)] * len(chosen)
    for places in chunks(np.diff(sources.sequences.offsets)[chosen] + lengths):
        rows = chosen[places]
        given, wanted, inside = targets.batch(rows)
        outputs = model.run(batch_of(sources, rows), given).outputs
        # As laws are to be given scores: what is said of probabilities then does not depend on the network's type
        scores = model.head.scores(outputs[inside]).astype(np.float64)
        steps = np.asarray(model.head.law.log_likelihood(scores, wanted[inside][:, None]))
        for place, part in zip(places, np.split(steps, np.cumsum(lengths[places])[:-1]), strict=True):
            found[place] = part
    return found
