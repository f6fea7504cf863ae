"""One layer in one direction over a batch: what is packed, what is allocated, and which kernels run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.elementwise import lanes, padded
from statespace.foundations.panel_product import as_panels, as_transposed_panels
from statespace.foundations.scratch import Pool
from statespace.neural import backpropagation, recurrence
from statespace.neural.cells import GATES
from statespace.protocols import Array, Ints

_pool = Pool()


class Cell(NamedTuple):
    """What a layer is made of."""

    kind: str
    """A key of `GATES`."""
    relu: bool
    """Elman's cell with max(p, 0) in place of tanh(p)."""
    reset: str
    """Of a GRU: "before" or "after" the product."""
    leak: float
    """How much of what came before a unit keeps; 0: nothing."""
    size: int
    """Units."""

    @property
    def n_gates(self) -> int:
        """Blocks of weights below each other."""
        return len(GATES[self.kind])

    @property
    def after(self) -> bool:
        """Whether it is a GRU that resets after the product."""
        return self.kind == "gru" and self.reset == "after"


class Weights(NamedTuple):
    """Of a layer in one direction, transposed: rows belong to what comes in, columns to gates."""

    W: Array
    """Of the inputs, shape (n_inputs, n_gates * size)."""
    U: Array
    """Of the states before, shape (size, n_gates * size)."""
    S: Array | None
    """Of the states at the other end of the skip edge, the same."""
    b_ih: Array | None
    """Shape (n_gates * size,), as b_hh; None for none."""
    b_hh: Array | None


class Packed(NamedTuple):
    """Weights as the kernels take them."""

    W: Array
    U: Array
    S: Array
    bias: Array
    inner: Array


def pack(cell: Cell, weights: Weights) -> Packed:
    """Panels of the weights, and one bias of the two."""
    dtype, H, Hp = weights.W.dtype, cell.size, padded(cell.size, weights.W.dtype)
    bias, inner = np.zeros((cell.n_gates, Hp), dtype), np.zeros(Hp, dtype)
    if weights.b_ih is not None and weights.b_hh is not None:
        bias[:, :H] = (weights.b_ih + weights.b_hh).reshape(-1, H)
        if cell.after:
            bias[2, :H] = weights.b_ih[2 * H :]
            inner[:H] = weights.b_hh[2 * H :]
    S = np.empty(0, dtype) if weights.S is None else as_panels(weights.S, H)
    return Packed(as_panels(weights.W, H), as_panels(weights.U, H), S, bias.reshape(-1), inner)


@dataclass(eq=False)
class LayerRun:
    """What a layer did with a batch, and what the backward pass needs of it; T steps of B rows, time first."""

    cell: Cell
    rows: Ints
    """How many rows go on at each step, shape (T,)."""
    x: Array
    """Inputs, shape (T, B, n_inputs)."""
    back: int
    """States before the first step that Y begins with."""
    P: Array
    """Gates, shape (T, B, n_gates, Hp); (1, ...) where nothing was kept."""
    Y: Array
    """States, shape (back + T, B, Hp)."""
    C: Array | None
    """Cell states of an LSTM before each step, shape (T + 1, B, Hp), or (1, B, Hp)."""
    extra: Array | None
    """Of an LSTM tanh(c), of a GRU r h or U_n h + b_hn: shape (T, B, Hp)."""

    @property
    def states(self) -> Array:
        """H of each step, shape (T, B, size)."""
        return self.Y[self.back :, :, : self.cell.size]

    def release(self) -> None:
        """Nobody looks at this run, or at views of it, any more."""
        _pool.take_back(self.P, self.Y, self.C, self.extra)
        self.P = self.Y = np.empty((0, 0, 0))
        self.C = self.extra = None


def run_layer(
    cell: Cell, packed: Packed, x: Array, rows: Ints, h: Array, c: Array | None, keep: bool = True
) -> LayerRun:
    """Run a layer.

    Parameters
    ----------
    cell, packed
        The layer.
    x : (T, B, n_inputs)
        Inputs, C-contiguous; rows in order of falling length.
    rows : (T,)
        How many rows go on at each step.
    h : (back, B, size)
        The last states before the first step.
    c : (B, size)
        The cell state before it, of an LSTM.
    keep : bool
        Whether what the backward pass needs is kept.

    """
    T, B, inputs = x.shape
    dtype, H = x.dtype, cell.size
    Hp, width, back = padded(H, dtype), lanes(dtype), len(h)
    kept = T if keep else 1
    begun = T if keep else min(recurrence.steps_together(B), T)
    P = _pool.lend((begun, B, cell.n_gates, Hp), dtype)
    Y = _pool.lend((back + T, B, Hp), dtype)
    Y[:back, :, :H], Y[:back, :, H:] = h, 0.0
    C = extra = None
    shared: list[Any] = [rows, B, H, Hp, back, width]
    rest = [x.reshape(-1), inputs, packed.W, packed.U, packed.S, packed.bias]
    ends = [P.reshape(-1), Y.reshape(-1)]
    run: Any = recurrence.run_gated_leaky
    if cell.kind == "rnn":
        run = recurrence.run_elman
        shared += [begun, int(cell.relu)]
    elif cell.kind == "gated_leaky":
        shared.append(begun)
    else:
        shared += [int(keep), begun]
        extra = _pool.lend((kept, B, Hp), dtype)
        if cell.kind == "lstm":
            C = _pool.lend((kept + 1 if keep else 1, B, Hp), dtype)
            C[0] = 0.0
            if c is not None:
                C[0, :, :H] = c
            run = recurrence.run_lstm
            ends.append(C.reshape(-1))
        elif cell.after:
            run = recurrence.run_gru_after
            rest.append(packed.inner)
        else:
            run = recurrence.run_gru_before
        ends.append(extra.reshape(-1))
    run(*shared, cell.leak, *rest, *ends)
    for t in np.flatnonzero(rows < B):
        Y[back + t, rows[t] :] = 0.0
    return LayerRun(cell, rows, x, back, P, Y, C, extra)


class LayerGradients(NamedTuple):
    """Derivatives of a loss by what a layer was given, in the shapes of `Weights`; and by what came in."""

    weights: Weights
    x: Array | None
    """Shape (T, B, n_inputs)."""
    h: Array
    """Shape (back, B, size)."""
    c: Array | None
    """Shape (B, size)."""


def derivatives_of_states(T: int, B: int, H: int, dtype: Any) -> Array:
    """Zeros (T, B, Hp) for `back_through_layer`; they are its own afterwards."""
    lent = _pool.lend((T, B, padded(H, dtype)), dtype)
    lent[...] = 0
    return lent


def back_through_layer(
    run: LayerRun, weights: Weights, d_states: Array, d_c: Array | None, inputs_too: bool = True
) -> LayerGradients:
    """Derivatives by weights and inputs; the gates that `run` kept are overwritten.

    d_states : (back + T, B, Hp), of `derivatives_of_states`: by the states as they are shown, 0 beyond the end of a row
    and beyond the size; it is used up. d_c : (B, size), by the cell state after the last step of each row.
    """
    cell = run.cell
    T, B, inputs = run.x.shape
    dtype, H = run.x.dtype, cell.size
    Hp, width, back = padded(H, dtype), lanes(dtype), run.back
    size = cell.n_gates * Hp
    U_back, nothing = as_transposed_panels(weights.U, H), np.empty(0, dtype)
    S_back = nothing if weights.S is None else as_transposed_panels(weights.S, H)
    inputs_p = padded(inputs, dtype)
    W_back = as_transposed_panels(weights.W, H) if inputs_too else nothing
    DX = np.zeros((T, B, inputs_p) if inputs_too else (0, 0, 0), dtype)
    GW, GU = np.zeros((_fours(inputs + 1), size), dtype), np.zeros((_fours(H + int(cell.after)), size), dtype)
    GS = np.zeros((_fours(H), size) if weights.S is not None else (0, size), dtype)
    work = np.empty(backpropagation.work_size(B, inputs, H, size, Hp), dtype)
    shared: list[Any] = [run.rows, B, H, Hp, back, width]
    given = [cell.leak, run.x.reshape(-1), inputs, U_back, S_back, W_back, run.P.reshape(-1), run.Y.reshape(-1)]
    DC = None
    outs = [d_states.reshape(-1)]
    ends: list[Any] = [DX.reshape(-1), inputs_p, GW.reshape(-1), GU.reshape(-1), GS.reshape(-1), work]
    through: Any = backpropagation.back_gated_leaky
    if cell.kind == "rnn":
        through = backpropagation.back_elman
        shared.append(int(cell.relu))
    elif cell.kind == "lstm":
        assert run.C is not None
        through = backpropagation.back_lstm
        DC = np.zeros((B, Hp), dtype)
        if d_c is not None:
            DC[:, :H] = d_c
        given.append(run.C.reshape(-1))
        outs.append(DC.reshape(-1))
    elif cell.kind == "gru":
        through = backpropagation.back_gru_after if cell.after else backpropagation.back_gru_before
    if run.extra is not None:
        given.append(run.extra.reshape(-1))
    through(*shared, *given, *outs, *ends)

    def unpadded(G: Array, n: int) -> Array:
        return G[:n].reshape(n, cell.n_gates, Hp)[:, :, :H].reshape(n, -1)

    d_W, d_U = unpadded(GW, inputs + 1), unpadded(GU, H + int(cell.after))
    b_ih = b_hh = None
    if weights.b_ih is not None:
        b_ih, b_hh = d_W[inputs], d_W[inputs].copy()
        if cell.after:
            b_hh[2 * H :] = d_U[H, 2 * H :]
    d_S = None if weights.S is None else unpadded(GS, H)
    found = Weights(d_W[:inputs], d_U[:H], d_S, b_ih, b_hh)
    d_x = DX[:, :, :inputs] if inputs_too else None
    d_h = d_states[:back, :, :H].copy()
    _pool.take_back(d_states)
    return LayerGradients(found, d_x, d_h, None if DC is None else DC[:, :H])


def _fours(n: int) -> int:
    return -(-n // 4) * 4
