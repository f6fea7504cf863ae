"""One layer in one direction over a batch: what is packed, what is allocated, and which kernels run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.elementwise import lanes, padded
from statespace.foundations.panel_product import as_panels, pack_transposed
from statespace.foundations.scratch import Pool
from statespace.neural import backpropagation, gru_backpropagation, recurrence
from statespace.neural.cells import GATES
from statespace.protocols import Array, Ints

_pool = Pool()
_NOTHING = np.empty((0, 0, 0))


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
        np.add(weights.b_ih.reshape(-1, H), weights.b_hh.reshape(-1, H), out=bias[:, :H])
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
    room: Array
    """The memory in which P, Y, C and extra lie."""

    @property
    def states(self) -> Array:
        """H of each step, shape (T, B, size)."""
        return self.Y[self.back :, :, : self.cell.size]

    def release(self) -> None:
        """Nobody looks at this run, or at views of it, any more."""
        _pool.take_back(self.room)
        self.P = self.Y = self.room = _NOTHING
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
    block, lstm = B * Hp, cell.kind == "lstm"
    sizes = [begun * cell.n_gates * block, (back + T) * block, 0, 0]
    if cell.kind in ("lstm", "gru"):
        sizes[2] = (kept + 1 if keep else 1) * block if lstm else 0
        sizes[3] = kept * block
    room = _pool.lend((sum(sizes),), dtype)
    ends = [room[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(4)]
    P, Y = ends[0].reshape(begun, B, cell.n_gates, Hp), ends[1].reshape(back + T, B, Hp)
    Y[:back, :, :H] = h
    if Hp > H:
        Y[:back, :, H:] = 0.0
    C = extra = None
    shared: list[Any] = [rows, B, H, Hp, back, width]
    rest = [x.reshape(-1), inputs, packed.W, packed.U, packed.S, packed.bias]
    run: Any = recurrence.run_gated_leaky
    if cell.kind == "rnn":
        run = recurrence.run_elman
        shared += [begun, int(cell.relu)]
    elif cell.kind == "gated_leaky":
        shared.append(begun)
    else:
        shared += [int(keep), begun]
        extra = ends[3].reshape(kept, B, Hp)
        if lstm:
            C = ends[2].reshape(kept + 1 if keep else 1, B, Hp)
            C[0] = 0.0
            if c is not None:
                C[0, :, :H] = c
            run = recurrence.run_lstm
        elif cell.after:
            run = recurrence.run_gru_after
            rest.append(packed.inner)
        else:
            run = recurrence.run_gru_before
    outs = [*ends[:2], *ends[2 : 2 + lstm], *ends[3 : 3 + (extra is not None)]]
    run(*shared, cell.leak, *rest, *outs)
    if T and rows[-1] < B:
        for t in np.flatnonzero(rows < B):
            Y[back + t, rows[t] :] = 0.0
    return LayerRun(cell, rows, x, back, P, Y, C, extra, room)


class Before(NamedTuple):
    """Derivatives of a loss by what came into a layer."""

    x: Array | None
    """Shape (T, B, n_inputs)."""
    h: Array
    """Shape (back, B, size)."""
    c: Array | None
    """Shape (B, size)."""


def derivatives_of_states(back: int, of_steps: Array) -> Array:
    """Zeros for the states before the first step, and what belongs to the steps (T, B, H); shape (back + T, B, Hp).

    For `back_through_layer`, whose own it is afterwards.
    """
    T, B, H = of_steps.shape
    Hp = padded(H, of_steps.dtype)
    lent = _pool.lend((back + T, B, Hp), of_steps.dtype)
    lent[:back] = 0
    if Hp > H:
        lent[back:, :, H:] = 0
    lent[back:, :, :H] = of_steps
    return lent


def back_through_layer(
    run: LayerRun, weights: Weights, found: Weights, d_states: Array, d_c: Array | None, inputs_too: bool = True
) -> Before:
    """Derivatives by weights, written to `found`, and by what came in; the gates that `run` kept are overwritten.

    d_states : (back + T, B, Hp), of `derivatives_of_states`: by the states as they are shown, 0 beyond the end of a row
    and beyond the size; it is used up. d_c : (B, size), by the cell state after the last step of each row.
    """
    cell = run.cell
    T, B, inputs = run.x.shape
    dtype, H = run.x.dtype, cell.size
    Hp, width, back = padded(H, dtype), lanes(dtype), run.back
    size = cell.n_gates * Hp
    inputs_p, panels = padded(inputs, dtype), Hp * size
    cuts = [_fours(inputs + 1) * size, _fours(H + int(cell.after)) * size, 0, panels, 0, 0, 0]  # what lies in the room
    if weights.S is not None:
        cuts[2], cuts[4] = _fours(H) * size, panels
    if inputs_too:
        cuts[5] = inputs_p * size
    cuts[6] = backpropagation.work_size(B, inputs, H, size, Hp)
    room, parts, at = _pool.lend((sum(cuts),), dtype), [], 0
    for cut in cuts:
        parts.append(room[at : at + cut])
        at += cut
    GW, GU, GS, U_back, S_back, W_back, work = parts
    room[: sum(cuts[:3])] = 0
    pack_transposed(weights.U, H, Hp, width, U_back)
    if weights.S is not None:
        pack_transposed(weights.S, H, Hp, width, S_back)
    if inputs_too:
        pack_transposed(weights.W, H, Hp, width, W_back)
    DX = np.zeros((T, B, inputs_p) if inputs_too else (0, 0, 0), dtype)
    shared: list[Any] = [run.rows, B, H, Hp, back, width]
    given = [cell.leak, run.x.reshape(-1), inputs, U_back, S_back, W_back, run.P.reshape(-1), run.Y.reshape(-1)]
    DC = None
    outs = [d_states.reshape(-1)]
    ends: list[Any] = [DX.reshape(-1), inputs_p, GW, GU, GS, work]
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
        through = gru_backpropagation.back_gru_after if cell.after else gru_backpropagation.back_gru_before
    if run.extra is not None:
        given.append(run.extra.reshape(-1))
    through(*shared, *given, *outs, *ends)

    def shown(G: Array, first: int, n: int) -> Array:
        return G[first * size : (first + n) * size].reshape(n, cell.n_gates, Hp)[:, :, :H]

    def write(into: Array | None, G: Array, first: int, n: int) -> None:
        if into is not None:
            into.reshape(n, cell.n_gates, H)[...] = shown(G, first, n)

    write(found.W, GW, 0, inputs)
    write(found.U, GU, 0, H)
    write(found.S, GS, 0, H)
    write(found.b_ih, GW, inputs, 1)
    write(found.b_hh, GW, inputs, 1)
    if found.b_hh is not None and cell.after:
        found.b_hh[2 * H :] = shown(GU, H, 1)[0, 2]
    d_h = d_states[:back, :, :H].copy()
    _pool.take_back(d_states, room)
    return Before(DX[:, :, :inputs] if inputs_too else None, d_h, None if DC is None else DC[:, :H])


def lend_vector(like: Array) -> Array:
    """Room for derivatives by all weights, to be given back by `take_back_vector`."""
    return _pool.lend(like.shape, like.dtype)


def take_back_vector(vector: Array) -> None:
    """Nobody looks at it any more."""
    _pool.take_back(vector)


def _fours(n: int) -> int:
    return -(-n // 4) * 4
