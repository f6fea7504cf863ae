r"""Attention: at each step of what is written, a look at all of what was read.

    h_t the state of the decoder, m_s the outputs of the encoder; M their number of units, H that of the decoder's

    dot         s_ts = h_t . m_s
    general     s_ts = h_t . W_k m_s
    additive    s_ts = v . tanh(W_q h_t + W_k m_s + b_k)

    a_ts = softmax of s_ts over s       c_t = \sum_s a_ts m_s       out_t = tanh(W_c [h_t; c_t] + b_c)

Dot, general and the last line are those of Luong, Pham and Manning (2015): attention comes after the recurrence, which
therefore runs over whole rows; additive scores are those of Bahdanau, Cho and Bengio (2015), who take h_{t-1} for h_t.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.affine import AffineMap
from statespace.foundations.executors import map_pieces, pieces, sum_in_order
from statespace.foundations.probability import generator
from statespace.foundations.validation import check_choice, check_integer
from statespace.neural.alignment import (
    additive_scores,
    additive_scores_back,
    align,
    align_back,
    dot_scores,
    dot_scores_back,
    room,
)
from statespace.protocols import Array, Ints

KINDS = ("dot", "general", "additive")
_PIECE = 32  # rows that are looked at together; each piece can have a thread of its own


class Memory(NamedTuple):
    """What was read, to be looked at."""

    outputs: Array
    """m_s, (B, S, M)."""
    keys: Array
    """What scores are made of, (B, S, A); the outputs themselves with "dot"."""
    lengths: Ints
    """Steps of each row, at least 1, (B,)."""


class Attention:
    """Weights of attention, and what is done with them.

    Parameters
    ----------
    kind : {"dot", "general", "additive"}
    size : int
        H, and the numbers of a key too.
    memory_size : int
        M; with "dot" it is `size`.
    dtype : float32 or float64
    random_state : None, int, Generator or RandomState
        Matrices begin uniform between -1 / sqrt(n) and 1 / sqrt(n), of n numbers that go in; biases are 0.

    Attributes
    ----------
    vector : (n_parameters,)
        All weights, to be changed in place; by name in `weights`: weight_combine (H, H + M) and bias_combine (H,), but
        with "dot" weight_key (H, M), and with "additive" bias_key (H,), weight_query (H, H) and weight_score (H,).

    Examples
    --------
    >>> import numpy as np
    >>> look = Attention("additive", size=4, memory_size=6, dtype=np.float64, random_state=0)
    >>> rng = np.random.default_rng(0)
    >>> memory = look.remember(rng.normal(size=(2, 5, 6)), np.array([5, 3]))
    >>> found = look.run(rng.normal(size=(2, 3, 4)), np.array([3, 2]), memory)
    >>> found.outputs.shape, found.weights.shape
    ((2, 3, 4), (2, 3, 5))
    >>> found.weights[1, 0].round(2)  # the second row has three steps
    array([0.32, 0.36, 0.32, 0.  , 0.  ])

    """

    def __init__(
        self, kind: str, size: int, memory_size: int, dtype: Any = np.float32, random_state: Any = None
    ) -> None:
        check_choice("kind", kind, KINDS)
        self.kind, self.size = kind, check_integer("size", size, 1)
        self.memory_size = check_integer("memory_size", memory_size, 1)
        if kind == "dot" and size != memory_size:
            raise ValueError(
                f"a dot product needs as many numbers on both sides, and there are {size} and {memory_size}: "
                'use "general", which has a matrix between them'
            )
        H, M = self.size, self.memory_size
        self._shapes: dict[str, tuple[int, ...]] = {}
        if kind != "dot":
            self._shapes["weight_key"] = M, H
        if kind == "additive":
            self._shapes |= {"bias_key": (H,), "weight_query": (H, H), "weight_score": (H,)}
        self._shapes |= {"weight_combine": (H + M, H), "bias_combine": (H,)}
        rng = generator(random_state)
        drawn = [
            np.zeros(shape) if name.startswith("bias") else rng.uniform(-1, 1, shape) / math.sqrt(shape[0])
            for name, shape in self._shapes.items()
        ]
        self.vector: Array = np.concatenate([part.reshape(-1) for part in drawn]).astype(dtype)

    @property
    def n_parameters(self) -> int:
        """Weights, all of them."""
        return len(self.vector)

    def by_name(self, vector: Array) -> dict[str, Array]:
        """Parts of a vector as long as all weights: matrices (numbers out, numbers in), views."""
        return {name: part.T for name, part in self._parts(vector).items()}

    @property
    def weights(self) -> Mapping[str, Array]:
        """Weights by name: views, to be changed in place."""
        return MappingProxyType(self.by_name(self.vector))

    def remember(self, outputs: Array, lengths: Ints) -> Memory:
        """What was read, (B, S, M), and how much of each row counts, (B,)."""
        key, read = self._layers().key, np.require(outputs, self.vector.dtype, ["C", "W"])
        return Memory(read, read if key is None else _rowwise(key, read), np.require(lengths, np.int64, ["C", "W"]))

    def run(
        self, outputs: Array, steps: Ints, memory: Memory, which: Ints | None = None, *, keep: bool = False
    ) -> AttentionRun:
        """Look.

        Parameters
        ----------
        outputs : (B, T, H)
            Of the decoder.
        steps : (B,)
            How many of each row count.
        memory : Memory
        which : (B,), optional
            The row of the memory that each row looks at; its own where it is not given.
        keep : bool
            Whether derivatives will be asked for.

        """
        return AttentionRun(self, outputs, steps, memory, which, keep)

    def _parts(self, vector: Array) -> dict[str, Array]:
        found, first = {}, 0
        for name, shape in self._shapes.items():
            size = math.prod(shape)
            found[name] = vector[first : first + size].reshape(shape)
            first += size
        return found

    def _layers(self) -> _Layers:
        parts = self._parts(self.vector)
        none = np.zeros(self.size, self.vector.dtype)
        return _Layers(
            AffineMap(parts["weight_key"], parts.get("bias_key", none)) if "weight_key" in parts else None,
            AffineMap(parts["weight_query"], none) if "weight_query" in parts else None,
            parts.get("weight_score", none),
            AffineMap(parts["weight_combine"], parts["bias_combine"]),
        )


class _Layers(NamedTuple):
    key: AffineMap | None
    query: AffineMap | None
    v: Array
    combine: AffineMap


class _Kept(NamedTuple):
    """What the way back of a piece needs."""

    queries: Array
    both: Array
    mixed: Array


class AttentionRun:
    """A look.

    Attributes
    ----------
    outputs : (B, T, H)
        out_t; what it is beyond a length says nothing.
    weights : (B, T, S)
        a_ts, which sum to 1 over s; zeros beyond a length.

    """

    def __init__(
        self, attention: Attention, outputs: Array, steps: Ints, memory: Memory, which: Ints | None, keep: bool
    ) -> None:
        self._attention, self._memory = attention, memory
        self._given = np.require(outputs, attention.vector.dtype, ["C", "W"])
        self._steps = np.require(steps, np.int64, ["C", "W"])
        self._layers = attention._layers()
        B, T, H = outputs.shape
        self._which = np.arange(B) if which is None else np.require(which, np.int64, ["C", "W"])
        self._rows = pieces(B, _PIECE)
        self.weights: Array = np.zeros((B, T, memory.outputs.shape[1]), attention.vector.dtype)
        found = map_pieces(self._look, self._rows)
        parts = [kept.mixed.reshape(-1, T, H) for kept in found]
        self.outputs: Array = np.concatenate(parts) if parts else np.zeros((0, T, H), attention.vector.dtype)
        self._kept = found if keep else []

    def _look(self, rows: slice) -> _Kept:
        layers, memory, h = self._layers, self._memory, self._given[rows]
        queries = h if layers.query is None else _rowwise(layers.query, h)
        n, T, H = h.shape
        S, M = memory.outputs.shape[1:]
        weights, contexts = self.weights[rows], np.zeros((n, T, M), h.dtype)
        where = self._steps[rows], self._which[rows], memory.lengths
        across = room(S * H, h.dtype)
        if layers.query is None:
            dot_scores(*where, queries, memory.keys, across, weights)
        else:
            additive_scores(*where, queries, memory.keys, layers.v, across, room(S * H, h.dtype), weights)
        align(*where, memory.outputs, weights, contexts)
        both = np.concatenate([h, contexts], axis=2).reshape(n * T, H + M)
        return _Kept(queries, both, np.tanh(layers.combine(both)))

    def gradients(self, d_outputs: Array) -> tuple[Array, Array, Array]:
        """Derivatives by the vector, by the outputs of the decoder and by those of the encoder.

        Parameters
        ----------
        d_outputs : (B, T, H)
            Those by `outputs`, 0 beyond a length; where each row looks at its own.

        """
        found = map_pieces(functools.partial(self._back, d_outputs), list(zip(self._rows, self._kept, strict=True)))
        vector = sum_in_order(part for part, _, _ in found)
        return vector, np.concatenate([d_h for _, d_h, _ in found]), np.concatenate([d_m for _, _, d_m in found])

    def _back(self, d_outputs: Array, piece: tuple[slice, _Kept]) -> tuple[Array, Array, Array]:
        (rows, kept), layers, attention = piece, self._layers, self._attention
        outputs, keys = self._memory.outputs[rows], self._memory.keys[rows]
        n, T, H = self._given[rows].shape
        S, M = outputs.shape[1:]
        found = np.zeros_like(attention.vector)
        by_name = attention._parts(found)
        d_both = _back_through(
            layers.combine,
            kept.both,
            d_outputs[rows].reshape(n * T, H) * (1 - np.square(kept.mixed)),
            by_name["weight_combine"],
            by_name["bias_combine"],
        )
        d_h = d_both[:, :H].reshape(n, T, H)
        d_contexts = np.ascontiguousarray(d_both[:, H:]).reshape(n, T, M)
        d_scores, d_memory = np.zeros((n, T, S), found.dtype), np.zeros((n, S, M), found.dtype)
        d_queries, d_keys = np.zeros((n, T, H), found.dtype), np.zeros((n, S, H), found.dtype)
        counts = self._steps[rows], self._memory.lengths[rows]
        align_back(*counts, outputs, self.weights[rows], d_contexts, d_scores, d_memory)
        if layers.query is None:
            dot_scores_back(*counts, kept.queries, keys, d_scores, d_queries, d_keys)
        else:
            sums = room(S * H, found.dtype)
            additive_scores_back(
                *counts, kept.queries, keys, layers.v, sums, d_scores, d_queries, d_keys, by_name["weight_score"]
            )
            h = self._given[rows].reshape(n * T, H)
            d_flat = d_queries.reshape(n * T, H)
            d_queries = _back_through(layers.query, h, d_flat, by_name["weight_query"]).reshape(n, T, H)
        if layers.key is None:
            d_memory += d_keys
        else:
            d_through = _back_through(
                layers.key,
                outputs.reshape(n * S, M),
                d_keys.reshape(n * S, H),
                by_name["weight_key"],
                by_name.get("bias_key"),
            )
            d_memory += d_through.reshape(n, S, M)
        return found, d_h + d_queries, d_memory


def _rowwise(layer: AffineMap, x: Array) -> Array:
    """An affine map of the last axis."""
    found = layer(np.ascontiguousarray(x).reshape(-1, layer.n_inputs))
    return np.ascontiguousarray(found).reshape(*x.shape[:-1], layer.n_outputs)


def _back_through(layer: AffineMap, x: Array, d_y: Array, d_weight: Array, d_bias: Array | None = None) -> Array:
    """Derivatives by x (n, n_inputs) of those by y (n, n_outputs); those by W and b go where they are wanted."""
    d_x, d_layer = layer.gradients(x, d_y)
    d_weight[...] = d_layer[:-1]
    if d_bias is not None:
        d_bias[...] = d_layer[-1]
    return d_x
