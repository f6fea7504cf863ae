"""A step of all layers of a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.elementwise import lanes, padded
from statespace.neural import streaming
from statespace.neural.layer import Cell
from statespace.neural.trace import NetworkState, Structure, checked_state
from statespace.protocols import Array


def _number(cell: Cell) -> int:
    if cell.kind == "rnn":
        return streaming.RELU if cell.relu else streaming.ELMAN
    if cell.kind == "gru":
        return streaming.GRU_AFTER if cell.after else streaming.GRU_BEFORE
    return streaming.LSTM if cell.kind == "lstm" else streaming.GATED_LEAKY


class Stepper:
    """What the steps of a network share, found out once."""

    def __init__(self, structure: Structure, dtype: Any) -> None:
        cell, layout = structure.cell, structure.layout
        removed, names, H = structure.chains > 1, layout.places, structure.cell.size
        Hp, width = padded(H, dtype), lanes(dtype)
        sizes = [_number(cell), structure.input_size, H, Hp, width, structure.back, int(removed), layout.num_layers]
        for layer in range(layout.num_layers):
            recurrent = names[f"weight_{'sh' if removed else 'hh'}_l{layer}"][0]
            far = names[f"weight_sh_l{layer}"][0] if structure.back > 1 and not removed else -1
            bias = names[f"bias_ih_l{layer}"][0] if layout.bias else -1
            sizes += [names[f"weight_ih_l{layer}"][0], recurrent, far, bias]
        self._sizes = np.array(sizes, np.int64)
        self._structure, self._dtype, self._leak = structure, np.dtype(dtype), float(cell.leak)
        self._H, self._has_c, self._room = H, bool(structure.n_cells), 15 * Hp + 6 * width
        self._free: list[Array] = []
        self._h = (layout.num_layers,) if structure.back == 1 else (layout.num_layers, structure.back)
        self._c = self._h if removed else (layout.num_layers,)

    def _fits(self, array: Any, shape: tuple[int, ...]) -> bool:
        return type(array) is np.ndarray and array.shape == shape and array.dtype == self._dtype and array.flags.carray

    def _begun(self, state: Any, B: int, h_shape: tuple[int, ...], c_shape: tuple[int, ...]) -> tuple[Array, Array]:
        """What to go on from, as the kernel takes it; a state that `step` gave is taken as it is."""
        if state is None:
            h = np.zeros(h_shape, self._dtype)
            return h, np.zeros(c_shape, self._dtype) if self._has_c else h
        if type(state) is NetworkState and self._fits(state.h, h_shape):
            if self._has_c:
                if self._fits(state.c, c_shape):
                    return state.h, state.c  # type: ignore[return-value]  # it is an array
            elif state.c is None:
                return state.h, state.h
        given = checked_state(self._structure, state, B, self._dtype)
        h = np.require(given.h, requirements=("C", "W"))
        return h, h if given.c is None else np.require(given.c, requirements=("C", "W"))

    def step(self, vector: Array, x: Array, B: int, state: Any) -> tuple[Array, NetworkState] | None:
        """Outputs, flat (B * H,), and the state after inputs x, flat (B * n_inputs,); None where one is not finite."""
        H, dtype = self._H, self._dtype
        h_shape, c_shape = (*self._h, B, H), (*self._c, B, H)
        h, c = self._begun(state, B, h_shape, c_shape)
        h_out = np.empty(h_shape, dtype)
        c_out = np.empty(c_shape, dtype) if self._has_c else None
        out = np.empty(B * H, dtype)
        try:
            work = self._free.pop()  # a list is safe from other threads
        except IndexError:
            work = np.empty(self._room, dtype)
        flat = h_out.reshape(-1)
        wrong = streaming.step_layers(
            B,
            self._sizes,
            self._leak,
            vector,
            x,
            h.reshape(-1),
            c.reshape(-1),
            flat,
            flat if c_out is None else c_out.reshape(-1),
            out,
            work,
        )
        self._free.append(work)
        if wrong == 1:
            return None
        if wrong:
            checked_state(self._structure, state, B, dtype)  # says which entry
        return out, NetworkState(h_out, c_out)
