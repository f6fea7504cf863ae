"""A step of all layers of a network."""

from __future__ import annotations

import numpy as np

from statespace.foundations.elementwise import lanes, padded
from statespace.neural import streaming
from statespace.neural.layer import Cell
from statespace.neural.trace import NetworkState, Structure
from statespace.protocols import Array


def _number(cell: Cell) -> int:
    if cell.kind == "rnn":
        return streaming.RELU if cell.relu else streaming.ELMAN
    if cell.kind == "gru":
        return streaming.GRU_AFTER if cell.after else streaming.GRU_BEFORE
    return streaming.LSTM if cell.kind == "lstm" else streaming.GATED_LEAKY


class Stepper:
    """What the steps of a network share."""

    def __init__(self, structure: Structure) -> None:
        cell, layout = structure.cell, structure.layout
        removed, names, rows = structure.chains > 1, layout.places, []
        for layer in range(layout.num_layers):
            recurrent = names[f"weight_{'sh' if removed else 'hh'}_l{layer}"][0]
            far = names[f"weight_sh_l{layer}"][0] if structure.back > 1 and not removed else -1
            bias = names[f"bias_ih_l{layer}"][0] if layout.bias else -1
            rows.append([names[f"weight_ih_l{layer}"][0], recurrent, far, bias])
        self._places = np.array(rows, np.int64)
        self._structure, self._kind, self._removed = structure, _number(cell), int(removed)
        self._h = (layout.num_layers,) if structure.back == 1 else (layout.num_layers, structure.back)
        self._c = self._h if removed else (layout.num_layers,)

    def step(self, vector: Array, x: Array, B: int, state: NetworkState | None) -> tuple[Array, NetworkState] | None:
        """Outputs (B, H) and the state after inputs x, flat (B * input_size,); None where one is not finite."""
        structure, dtype = self._structure, vector.dtype
        cell = structure.cell
        H, width = cell.size, lanes(dtype)
        Hp = padded(H, dtype)
        shape = (*self._h, B, H)
        h, h_out = np.zeros(shape, dtype) if state is None else state.h, np.empty(shape, dtype)
        c = c_out = None
        if structure.n_cells:
            shape = (*self._c, B, H)
            c, c_out = np.zeros(shape, dtype) if state is None else state.c, np.empty(shape, dtype)
        finite = streaming.step_layers(
            self._kind,
            B,
            structure.input_size,
            H,
            Hp,
            width,
            structure.back,
            self._removed,
            vector,
            self._places,
            cell.leak,
            x,
            h.reshape(-1),
            h_out.reshape(-1) if c is None else c.reshape(-1),
            h_out.reshape(-1),
            h_out.reshape(-1) if c_out is None else c_out.reshape(-1),
            np.empty(15 * Hp + 6 * width, dtype),
        )
        if not finite:
            return None
        return h_out[-1].copy() if structure.back == 1 else h_out[-1, -1].copy(), NetworkState(h_out, c_out)
