"""What a head reads of a sequence: outputs of a network at each step, or one vector of all of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from statespace.neural.encoder import Batch, Encoder, dropout_mask
from statespace.neural.feed_forward import FeedForward
from statespace.neural.pooling import Pooled
from statespace.neural.trace import NetworkState
from statespace.protocols import Array


class Readout:
    """An encoder; what is made of its outputs; and a feed-forward layer, where there is one.

    Parameters
    ----------
    encoder : Encoder
    pooling : {None, "last", "mean", "max"}
        None: outputs of each step.
    feed_forward : FeedForward, optional
    dropout : float
        Of pooled outputs; those of each step drop out in the encoder.

    Attributes
    ----------
    parts : list
        What is trained.

    """

    def __init__(
        self,
        encoder: Encoder,
        pooling: str | None = None,
        feed_forward: FeedForward | None = None,
        dropout: float = 0.0,
    ) -> None:
        self.encoder, self.pooling, self.feed_forward, self.dropout = encoder, pooling, feed_forward, dropout
        self.parts: Sequence[Any] = [*encoder.parts, *([] if feed_forward is None else [feed_forward])]

    @property
    def output_size(self) -> int:
        """Numbers that a head reads."""
        return self.encoder.network.output_size if self.feed_forward is None else self.feed_forward.output_size

    def copy(self) -> Readout:
        """Another with weights of its own."""
        return copy.deepcopy(self)

    def run(
        self,
        batch: Batch,
        state: NetworkState | None = None,
        rng: np.random.Generator | None = None,
        *,
        begins: Array | None = None,
        keep: bool = False,
    ) -> ReadoutRun:
        """Run over a batch, as `Encoder.run` does."""
        return ReadoutRun(self, batch, state, rng, begins, keep)


class ReadoutRun:
    """A readout run over a batch.

    Attributes
    ----------
    outputs : (B, T, output_size) or, pooled, (B, output_size)
    state : NetworkState
        After the last step of each row.

    """

    def __init__(
        self,
        readout: Readout,
        batch: Batch,
        state: NetworkState | None,
        rng: np.random.Generator | None,
        begins: Array | None,
        keep: bool,
    ) -> None:
        network = readout.encoder.network
        self._run = readout.encoder.run(batch, state, rng, begins=begins, keep=keep)
        self.state = self._run.state
        self._pooled: Pooled | None = None
        self._mask: Array | None = None
        outputs = self._run.outputs
        if readout.pooling is not None:
            self._pooled = Pooled(outputs, batch.lengths, readout.pooling, network.hidden_size)
            outputs = self._pooled.values
            self._mask = dropout_mask(outputs.shape, readout.dropout, rng, network.dtype)
            if self._mask is not None:
                outputs = outputs * self._mask
        self._layer: Any = None
        if readout.feed_forward is not None:
            self._layer = readout.feed_forward(outputs.reshape(-1, network.output_size))
            outputs = self._layer.outputs.reshape(*outputs.shape[:-1], -1)
        self.outputs: Array = outputs

    def gradients(self, d_outputs: Array) -> list[Array]:
        """Derivatives by the vector of each part, of those by the outputs."""
        own: list[Array] = []
        if self._layer is not None:
            vector, d_rows = self._layer.gradients(d_outputs.reshape(-1, d_outputs.shape[-1]))
            own.append(vector)
            d_outputs = d_rows.reshape(*d_outputs.shape[:-1], -1)
        if self._mask is not None:
            d_outputs = d_outputs * self._mask
        if self._pooled is not None:
            d_outputs = self._pooled.gradients(d_outputs)
        found, _ = self._run.gradients(d_outputs)
        return [*found, *own]
