"""A recurrent network and what stands around it: embeddings, known numbers, dropout, a start that is learnt.

    x_n = [embedding of each column of codes, numbers]      dropout
    h_n = f(h_{n-1}, x_n), from a start of zeros or one that is learnt; dropout between the layers
    outputs h_n of the last layer                           dropout

Dropout (Srivastava et al. 2014) multiplies each number by 0, with its probability p, or else by 1 / (1 - p), and only
where a generator is handed over: in training.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from statespace.neural.embedding import Embedding
from statespace.neural.network import RecurrentNetwork
from statespace.neural.trace import NetworkState
from statespace.protocols import Array, Ints


class Batch(NamedTuple):
    """Padded rows; B of them, T steps."""

    lengths: Ints
    """Steps of each row that count, (B,)."""
    codes: Ints | None = None
    """Places of symbols, one column for each embedding, -1 where missing, (B, T, n_embeddings)."""
    numbers: Array | None = None
    """Inputs that are numbers, (B, T, n_numbers), finite; in the type of the network."""

    @property
    def shape(self) -> tuple[int, int]:
        """B and T."""
        given = self.numbers if self.codes is None else self.codes
        assert given is not None
        return int(given.shape[0]), int(given.shape[1])


class Dropout(NamedTuple):
    """Probabilities with which a number becomes 0 in training."""

    inputs: float = 0.0
    """Of the embeddings and numbers."""
    layers: float = 0.0
    """Of what one layer hands to the next."""
    outputs: float = 0.0
    """Of what the last layer hands on."""


class Start:
    """The state before the first step, learnt; zeros at first.

    Attributes
    ----------
    vector : (n_parameters,)
        h and, of an LSTM, c of every layer and direction, to be changed in place.

    """

    def __init__(self, network: RecurrentNetwork) -> None:
        zero = network.initial_state(1)
        self._h_shape = zero.h.shape
        self._c_shape = None if zero.c is None else zero.c.shape
        size = zero.h.size + (0 if zero.c is None else zero.c.size)
        self.vector: Array = np.zeros(size, network.dtype)

    def state(self, n_rows: int) -> NetworkState:
        """The same start for each of some rows."""
        return each_part(lambda part: np.repeat(part, n_rows, -2), NetworkState(*self._parts()))

    def _parts(self) -> tuple[Array, Array | None]:
        cut = int(np.prod(self._h_shape))
        h = self.vector[:cut].reshape(self._h_shape)
        return h, None if self._c_shape is None else self.vector[cut:].reshape(self._c_shape)

    def gradient(self, d_state: NetworkState) -> Array:
        """Derivatives by the vector of those by the states of some rows."""
        parts = [d_state.h] if d_state.c is None else [d_state.h, d_state.c]
        return np.concatenate([part.sum(axis=-2).reshape(-1) for part in parts])

    def by_name(self, vector: Array) -> dict[str, Array]:
        """No part of it is a bias, and none decays."""
        return {"bias_start": vector}


class Encoder:
    """From batches of symbols and numbers to the outputs of a network, and back.

    Parameters
    ----------
    network : RecurrentNetwork
        Its `input_size` is that of all embeddings, and `n_numbers`.
    embeddings : list of Embedding
    n_numbers : int
    learn_start : bool
    dropout : Dropout

    Attributes
    ----------
    parts : list
        What is trained: embeddings, network, start.

    """

    def __init__(
        self,
        network: RecurrentNetwork,
        embeddings: Sequence[Embedding] = (),
        n_numbers: int = 0,
        *,
        learn_start: bool = False,
        dropout: Dropout | None = None,
    ) -> None:
        expected = sum(embedding.size for embedding in embeddings) + n_numbers
        if network.input_size != expected:
            raise ValueError(f"the network has input_size {network.input_size}, and its inputs are {expected} numbers")
        self.network, self.embeddings, self.n_numbers = network, list(embeddings), n_numbers
        self.start = Start(network) if learn_start else None
        self.dropout = Dropout() if dropout is None else dropout
        self.parts: Sequence[Any] = [*self.embeddings, network, *([self.start] if self.start is not None else [])]

    def copy(self) -> Encoder:
        """Another with weights of its own."""
        return copy.deepcopy(self)

    def initial_state(self, n_rows: int) -> NetworkState:
        """Where rows begin."""
        return self.network.initial_state(n_rows) if self.start is None else self.start.state(n_rows)

    def run(
        self,
        batch: Batch,
        state: NetworkState | None = None,
        rng: np.random.Generator | None = None,
        *,
        begins: Array | None = None,
        keep: bool = False,
    ) -> EncoderRun:
        """Run over a batch.

        Parameters
        ----------
        batch : Batch
        state : NetworkState, optional
            To go on from; the start of all rows where it is not given.
        rng : Generator, optional
            Draws what drops out; None: nothing does.
        begins : (B,), optional
            Of a given state, which rows all the same begin at the start.
        keep : bool
            Whether derivatives will be asked for.

        """
        return EncoderRun(self, batch, state, rng, begins, keep)

    def inputs(self, batch: Batch) -> Array:
        """What goes into the network, (B, T, input_size)."""
        found = np.empty((*batch.shape, self.network.input_size), self.network.dtype)
        first = 0
        for column, embedding in enumerate(self.embeddings):
            assert batch.codes is not None
            found[:, :, first : first + embedding.size] = embedding(batch.codes[:, :, column])
            first += embedding.size
        if self.n_numbers:
            found[:, :, first:] = batch.numbers
        return found


class EncoderRun:
    """An encoder run over a batch.

    Attributes
    ----------
    outputs : (B, T, output_size)
        Of the last layer, zeros beyond the length of a row; after dropout.
    first : (B, output_size)
        What the outputs were before the first step, the newest h of the start's last layer, after dropout; of networks
        that run forward only.
    state : NetworkState
        After the last step of each row.

    """

    def __init__(
        self,
        encoder: Encoder,
        batch: Batch,
        state: NetworkState | None,
        rng: np.random.Generator | None,
        begins: Array | None,
        keep: bool,
    ) -> None:
        network, p = encoder.network, encoder.dropout
        B, T = batch.shape
        self._encoder, self._batch = encoder, batch
        self._begins = np.full(B, state is None) if begins is None else begins
        begun = encoder.initial_state(B) if state is None else state
        if state is not None and self._begins.any():
            begun = mixed_states(self._begins, encoder.initial_state(B), state)
        x = encoder.inputs(batch)
        self._input_mask = dropout_mask(x.shape, p.inputs, rng, network.dtype)
        if self._input_mask is not None:
            x *= self._input_mask
        between = [
            dropout_mask((B, T, network.output_size), p.layers, rng, network.dtype)
            for _ in range(network.num_layers - 1)
        ]
        masks = [mask for mask in between if mask is not None] or None
        self._trace: Any = None
        if keep:
            self._trace = network.trace(x, batch.lengths, begun, masks=masks)
            raw, self.state = self._trace.outputs, self._trace.state
        else:
            raw, self.state = network(x, batch.lengths, begun)
        self._output_mask = dropout_mask((B, T + 1, network.output_size), p.outputs, rng, network.dtype)
        first: Any = None if network.bidirectional else newest(begun)
        if self._output_mask is not None:
            raw = raw * self._output_mask[:, 1:]
            first = None if first is None else first * self._output_mask[:, 0]
        self.outputs, self.first = raw, first

    def gradients(
        self, d_outputs: Array, d_first: Array | None = None, d_state: NetworkState | None = None
    ) -> tuple[list[Array], NetworkState]:
        """Derivatives by the vector of each of the encoder's parts, and by the state before.

        Parameters
        ----------
        d_outputs : (B, T, output_size)
            Those by `outputs`.
        d_first : (B, output_size), optional
            Those by `first`.
        d_state : NetworkState, optional
            Those by `state`.

        """
        encoder, batch = self._encoder, self._batch
        if self._output_mask is not None:
            d_outputs = d_outputs * self._output_mask[:, 1:]
            d_first = None if d_first is None else d_first * self._output_mask[:, 0]
        wanted = bool(encoder.embeddings)
        weights, d_x, d_begun = self._trace.gradient_vector(d_outputs, d_state, wanted)
        if d_first is not None:
            newest(d_begun)[...] += d_first
        found: list[Array] = []
        if wanted:
            if self._input_mask is not None:
                d_x *= self._input_mask
            first = 0
            for column, embedding in enumerate(encoder.embeddings):
                assert batch.codes is not None
                codes, rows = batch.codes[:, :, column], d_x[:, :, first : first + embedding.size]
                found.append(embedding.gradient(codes, rows))
                first += embedding.size
        found.append(weights)
        if encoder.start is not None:
            begins = self._begins
            own = d_begun if begins.all() else each_part(lambda part: part[..., begins, :], d_begun)
            found.append(encoder.start.gradient(own))
        return found, d_begun


def each_part(function: Callable[..., Array], *states: NetworkState) -> NetworkState:
    """A function of the h of some states, and of their c where they have one."""
    h = function(*(state.h for state in states))
    return NetworkState(h, None if states[0].c is None else function(*(state.c for state in states)))


def mixed_states(which: Array, one: NetworkState, other: NetworkState) -> NetworkState:
    """The states of one where `which`, (B,), and else those of the other."""

    def mixed(a: Array, b: Array) -> Array:
        return np.where(which[:, None], a, b)

    return each_part(mixed, one, other)


def rows_of_state(state: NetworkState, rows: Any) -> NetworkState:
    """The states of some rows, a copy."""
    return each_part(lambda part: np.ascontiguousarray(part[..., rows, :]), state)


def newest(state: NetworkState) -> Array:
    """The last h of the last layer, (B, H), a view; of a network that runs forward only."""
    newest_h: Array = state.h[-1] if state.h.ndim == 3 else state.h[-1, -1]
    return newest_h


def dropout_mask(shape: tuple[int, ...], p: float, rng: np.random.Generator | None, dtype: Any) -> Array | None:
    """What numbers are multiplied by in training; None where nothing drops out."""
    if rng is None or not p:
        return None
    kept = rng.random(shape, np.float32) >= p
    return np.multiply(kept, 1.0 / (1.0 - p), dtype=dtype)
