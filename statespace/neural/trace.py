"""A network run over a batch: its outputs, its last states, and the way back."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.executors import map_pieces
from statespace.neural.cells import GATES
from statespace.neural.directions import DirectionRun, Ends
from statespace.neural.layer import Cell, Packed, lend_vector, pack, take_back_vector
from statespace.neural.parameters import Layout, sum_of_bits
from statespace.protocols import Array, Ints

_PIECE = 32  # rows that are run together; each piece can have a thread of its own


class NetworkState(NamedTuple):
    """Where a network goes on from; L layers, D directions, H units."""

    h: Array
    """The last states, shape (L D, B, H); with a skip edge of length d the last d of them, shape (L D, d, B, H)."""
    c: Array | None = None
    """Cell states of an LSTM, shape (L D, B, H), or (L D, d, B, H) where edges of length 1 are removed."""


class Structure(NamedTuple):
    """How layers are put together."""

    cell: Cell
    layout: Layout
    input_size: int
    back: int
    """States that a layer looks back to."""
    chains: int
    """1, or the number of interleaved chains."""

    @property
    def n_cells(self) -> int:
        """Cell states that a layer goes on from."""
        return self.chains if self.cell.kind == "lstm" else 0

    @property
    def output_size(self) -> int:
        """Numbers that come out at each step."""
        return self.cell.size * self.layout.directions


class _Piece:
    """Some rows of a batch, run through all layers."""

    def __init__(
        self,
        structure: Structure,
        packed: list[Packed],
        x: Array,
        lengths: Ints,
        starts: list[Ends],
        keep: bool,
        masks: list[Array],
    ) -> None:
        self.structure, self.masks = structure, masks
        directions = structure.layout.directions
        self.runs: list[DirectionRun] = []
        for layer in range(structure.layout.num_layers):
            outputs: list[Array] = []
            for direction in range(directions):
                number = layer * directions + direction
                run = DirectionRun(
                    structure.cell,
                    packed[number],
                    x,
                    lengths,
                    starts[number],
                    bool(direction),
                    structure.chains,
                    keep,
                )
                outputs.append(run.outputs)
                self.runs.append(run)
            last = layer == structure.layout.num_layers - 1
            x = outputs[0] if directions == 1 else np.concatenate(outputs, axis=2)
            if not last:
                x = x * masks[layer] if masks else np.ascontiguousarray(x)
        self.outputs = x

    def gradients(
        self, vector: Array, found: Array, d_outputs: Array, d_ends: list[Ends | None], inputs_too: bool
    ) -> tuple[Array | None, list[Ends]]:
        """Derivatives by the inputs and by the starts; those by all weights are written to `found`."""
        layout, H = self.structure.layout, self.structure.cell.size
        starts = [Ends(np.empty(0), None)] * len(self.runs)
        d_x: Array | None = None
        for layer in reversed(range(layout.num_layers)):
            below: Array | None = None
            for direction in range(layout.directions):
                number = layer * layout.directions + direction
                part = d_outputs[:, :, direction * H : (direction + 1) * H]
                d_x, starts[number] = self.runs[number].gradients(
                    layout.of_run(vector, layer, direction),
                    layout.of_run(found, layer, direction),
                    part,
                    d_ends[number],
                    layer > 0 or inputs_too,
                )
                if d_x is not None:
                    below = d_x if below is None else below + d_x
            if below is not None:
                if layer and self.masks:
                    below *= self.masks[layer - 1]
                d_outputs = d_x = below
        return d_x, starts


class Trace:
    """What a network did with a batch; its `gradients` can be asked for once, before the weights change.

    Attributes
    ----------
    outputs : (batch, time, directions * hidden_size)
        States of the last layer; zeros beyond the length of a row.
    state : NetworkState
        States after the last step of each row.

    """

    def __init__(
        self,
        structure: Structure,
        vector: Array,
        X: Array,
        lengths: Ints,
        state: NetworkState | None,
        keep: bool,
        masks: list[Array] | None = None,
    ) -> None:
        self._structure, self._vector, self._lengths = structure, vector, lengths
        layout, cell = structure.layout, structure.cell
        B, T = X.shape[:2]
        self._shape = B, T
        self._bits = sum_of_bits(vector) if keep else 0
        packed = [pack(cell, layout.of_run(vector, *run)) for run in layout.runs()]
        size = -(-B // max(-(-B // _PIECE), 1)) if B else 1  # as even as can be
        falling = B < 2 or bool((lengths[1:] <= lengths[:-1]).all())
        order = None if falling else np.argsort(-lengths, kind="stable")
        firsts = range(0, B, size)
        self._rows: list[Any] = [
            slice(first, min(first + size, B)) if order is None else order[first : first + size] for first in firsts
        ]

        def run(rows: Any) -> _Piece:
            own = lengths[rows]
            longest = int(own[0])
            x = np.ascontiguousarray(X[rows, :longest].transpose(1, 0, 2))
            if own[-1] < longest:
                for b in np.flatnonzero(own < longest):
                    x[own[b] :, b] = 0.0
            own_masks = [np.ascontiguousarray(mask[rows, :longest].transpose(1, 0, 2)) for mask in masks or []]
            return _Piece(structure, packed, x, own, self._starts(state, rows), keep, own_masks)

        self._pieces: list[_Piece] | None = map_pieces(run, self._rows)
        self.outputs = np.empty((B, T, structure.output_size), vector.dtype)
        for rows, piece in zip(self._rows, self._pieces, strict=True):
            longest = len(piece.outputs)
            self.outputs[rows, :longest] = piece.outputs.transpose(1, 0, 2)
            if longest < T:
                self.outputs[rows, longest:] = 0.0
        self.state = self._gathered([[one.end() for one in piece.runs] for piece in self._pieces])
        if not keep:
            self._release(self._pieces)
            self._pieces = None

    def _starts(self, state: NetworkState | None, rows: Any) -> list[Ends]:
        structure, dtype = self._structure, self._vector.dtype
        H, back, cells = structure.cell.size, structure.back, structure.n_cells
        n = structure.layout.num_layers * structure.layout.directions
        if state is None:
            B = len(self._lengths[rows])
            h, c = np.zeros((n, back, B, H), dtype), np.zeros((n, cells, B, H), dtype)
        else:
            B = self._shape[0]
            h = state.h.reshape(n, back, B, H)[:, :, rows]
            c = h[:, :0] if state.c is None else state.c.reshape(n, cells, B, H)[:, :, rows]
        return [Ends(h[i], c[i] if cells else None) for i in range(n)]

    def _gathered(self, ends: list[list[Ends]]) -> NetworkState:
        """Of all pieces, in the order of the batch."""
        structure, dtype = self._structure, self._vector.dtype
        B, H = self._shape[0], structure.cell.size
        n, back, cells = structure.layout.num_layers * structure.layout.directions, structure.back, structure.n_cells
        if n == len(ends) == 1 and isinstance(self._rows[0], slice):  # nothing to be put together
            end = ends[0][0]
            h, c = end.h[0] if back == 1 else end.h, None if end.c is None else end.c[0] if cells == 1 else end.c
            return NetworkState(np.ascontiguousarray(h)[None], None if c is None else np.ascontiguousarray(c)[None])
        h, c = np.zeros((n, back, B, H), dtype), np.zeros((n, cells, B, H), dtype)
        for rows, piece in zip(self._rows, ends, strict=True):
            for i, end in enumerate(piece):
                h[i][:, rows] = end.h
                if end.c is not None:
                    c[i][:, rows] = end.c
        return NetworkState(h[:, 0] if back == 1 else h, (c[:, 0] if cells == 1 else c) if cells else None)

    def gradients(self, grad_outputs: Any, grad_state: Any = None, inputs_too: bool = True) -> dict[str, Array]:
        """Derivatives of a loss by weights, inputs and the state before, by name.

        Parameters
        ----------
        grad_outputs : (batch, time, directions * hidden_size)
            By the outputs; what lies beyond the length of a row is not read.
        grad_state : NetworkState, optional
            By the state after the last step.
        inputs_too : bool
            Whether the derivative by the inputs, "x", is wanted.

        """
        vector, found_x, starts = self.gradient_vector(grad_outputs, grad_state, inputs_too)
        found = self._structure.layout.outside(vector)
        if found_x is not None:
            found["x"] = found_x
        found["h0"] = starts.h
        if starts.c is not None:
            found["c0"] = starts.c
        return found

    def gradient_vector(
        self, grad_outputs: Any, grad_state: Any = None, inputs_too: bool = False
    ) -> tuple[Array, Array | None, NetworkState]:
        """The same with all weights in one vector, of the length and in the order of the network's own."""
        if self._pieces is None:
            raise ValueError("the gradients of this trace have been asked for: they use up what it kept; trace again")
        structure, vector = self._structure, self._vector
        check_unchanged(vector, self._bits)
        B, T = self._shape
        by_outputs = np.asarray(grad_outputs)
        if by_outputs.shape != self.outputs.shape or by_outputs.dtype.kind not in "fiu":
            raise ValueError(f"grad_outputs has shape {by_outputs.shape}, expected {self.outputs.shape}, real numbers")
        ends: list[list[Ends] | None] = [None] * len(self._rows)
        if grad_state is not None:
            by_state = checked_state(structure, grad_state, B, vector.dtype, "grad_state")
            ends = [self._starts(by_state, rows) for rows in self._rows]
        pieces, self._pieces = self._pieces, None

        def back(number: int) -> tuple[Array, Array | None, list[Ends]]:
            piece, rows = pieces[number], self._rows[number]
            longest = len(piece.outputs)
            d_outputs = by_outputs[rows, :longest].transpose(1, 0, 2)
            given = ends[number]
            d_ends: list[Ends | None] = [None] * len(piece.runs) if given is None else list(given)
            own = np.empty_like(vector) if number == 0 else lend_vector(vector)
            return own, *piece.gradients(vector, own, d_outputs, d_ends, inputs_too)

        found = map_pieces(back, list(range(len(pieces))))
        total = (found[0][0] if found else structure.layout.empty(vector.dtype))[: structure.layout.size]
        for part, _, _ in found[1:]:
            total += part[: len(total)]  # behind them anything may stand
            take_back_vector(part)
        d_x = np.zeros((B, T, structure.input_size), vector.dtype) if inputs_too else None
        for rows, (_, part_x, _) in zip(self._rows, found, strict=True):
            if d_x is not None and part_x is not None:
                d_x[rows, : len(part_x)] = part_x.transpose(1, 0, 2)
        self._release(pieces)
        return total, d_x, self._gathered([starts for _, _, starts in found])

    @staticmethod
    def _release(pieces: list[_Piece]) -> None:
        for piece in pieces:
            piece.outputs = np.empty((0, 0, 0))
            for run in piece.runs:
                run.release()

    def gates(self) -> dict[str, dict[str, Array]]:
        """Activations of every gate, by layer and gate, each (batch, time, hidden_size); before `gradients`."""
        if self._pieces is None:
            raise ValueError("the gradients of this trace have been asked for: they use up what it kept; trace again")
        cell, layout = self._structure.cell, self._structure.layout
        B, T = self._shape
        found: dict[str, dict[str, Array]] = {}
        for number, (layer, direction) in enumerate(layout.runs()):
            names = [name for name in GATES[cell.kind] if name != "h"]
            here = {name: np.zeros((B, T, cell.size), self._vector.dtype) for name in names}
            shown = [*(["c"] if cell.kind == "lstm" else []), "h"]
            here.update({name: np.zeros((B, T, cell.size), self._vector.dtype) for name in shown})
            for rows, piece in zip(self._rows, self._pieces, strict=True):
                one = piece.runs[number]
                of_steps = {name: one.run.P[:, :, i, : cell.size] for i, name in enumerate(names)}
                of_steps = {k: v if one.chains is None else one.chains.join(v) for k, v in of_steps.items()}
                of_steps["h"] = one.states
                if one.cell_states is not None:
                    of_steps["c"] = one.cell_states
                for name, values in of_steps.items():
                    read = one.as_read(np.ascontiguousarray(values))
                    outside = np.arange(len(read))[:, None] >= one.lengths[None, :]
                    read = np.where(outside[:, :, None], 0.0, read)
                    here[name][rows, : len(read)] = read.transpose(1, 0, 2)
            found[f"l{layer}" + ("_reverse" if direction else "")] = here
        return found


def check_unchanged(vector: Array, bits: int) -> None:
    """Refuse to go back through weights that are not those of the way there."""
    if sum_of_bits(vector) != bits:
        raise ValueError(
            "weights were changed after trace: what it kept belongs to those before. "
            "Ask for the gradients first, or trace again"
        )


def checked_state(structure: Structure, state: Any, B: int, dtype: Any, said: str = "state") -> NetworkState:
    """A state as it was given, checked; torch's h, or (h, c), is one too."""
    H, back, cells = structure.cell.size, structure.back, structure.n_cells
    n = structure.layout.num_layers * structure.layout.directions
    if isinstance(state, tuple | list) and len(state) == 2 and (cells or isinstance(state, NetworkState)):
        h, c = state
    else:
        h, c = state, None
    if not cells and c is not None:
        raise ValueError(f"{said} has a c, and a network of {structure.cell.kind!r} cells has none")
    if cells and c is None:
        raise ValueError(f"{said} has no c: with {structure.cell.kind!r} cells it is (h, c)")
    shape = (n, B, H) if back == 1 else (n, back, B, H)
    checked = _checked_part(f"{said}.h", h, shape, dtype)
    if not cells:
        return NetworkState(checked, None)
    return NetworkState(checked, _checked_part(f"{said}.c", c, (n, B, H) if cells == 1 else shape, dtype))


def _checked_part(name: str, value: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    array: Array = np.asarray(value)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has the type {array.dtype}, expected real numbers")
    if array.dtype != dtype:
        with np.errstate(over="ignore"):
            array = array.astype(dtype)
    flat = array.reshape(-1)
    if not math.isfinite(flat @ flat) and not np.isfinite(flat).all():  # the first is sooner done
        raise ValueError(f"{name} has entries that are not finite numbers of {dtype}")
    return np.ascontiguousarray(array)
