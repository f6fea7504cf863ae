"""Backpropagation through time: what each cell does at each step, backwards.

Arrays are those of recurrence.py, written with `keep` 1; gates are overwritten by the derivatives by pre-activations.
DH, of the shape of Y, holds the derivatives of the loss by the states as they are shown, and is added to; its first
`back` blocks end as those by the states before the first step. U^T, S^T and W^T are panels of transposed weights. GW
(inputs + 1, gates), GU and GS (H, gates) are added to, their rows rounded up to fours: the derivatives by W, with the
bias below, by U and by S. A chunk of steps at a time is summed, while it is near. work : see `work_size`.

Rumelhart, Hinton and Williams (1986); Werbos (1990).
"""

from __future__ import annotations

from statespace.foundations.kernel import bare_kernel
from statespace.foundations.panel_product import (
    add_packed,
    add_product,
    add_short_rows,
    call_add_product,
    pack_columns,
    pack_rows,
)
from statespace.neural.cells import (
    add_step,
    elman_relu_step_back,
    elman_step_back,
    gated_leaky_step_back,
    leak_step_back,
    lstm_step_back,
)
from statespace.protocols import Array, Ints

CHUNK = 192
"""Rows that are summed together."""
SHORT = 8
"""Vectors of a row that is not packed."""


def work_size(B: int, inputs: int, H: int, size: int, Hp: int) -> int:
    """Numbers of work memory for B rows."""
    rows = CHUNK + B
    return rows * (size + Hp + max(inputs, H) + 8) + 2 * B * Hp


@bare_kernel
def unleak(n: int, Hp: int, alpha: float, DH: Array, before: int, now: int, work: Array) -> None:
    """Derivatives by the states before they were mixed; what goes to those before is added there."""
    leak_step_back(n * Hp, DH, now, alpha, DH, now, work, 0)
    add_step(n * Hp, DH, before, work, 0, DH, before)


@bare_kernel
def end_step(
    n: int,
    t: int,
    B: int,
    size: int,
    Hp: int,
    width: int,
    P: Array,
    p: int,
    S_back: Array,
    W_back: Array,
    DH: Array,
    DX: Array,
    inputs_p: int,
) -> None:
    """What goes through the skip edge and to the inputs."""
    if S_back.size:
        call_add_product(n, P, p, size, size, S_back, 0, size * width, Hp // width, width, DH, t * B * Hp, Hp)
    if W_back.size:
        panels = inputs_p // width
        call_add_product(n, P, p, size, size, W_back, 0, size * width, panels, width, DX, t * B * inputs_p, inputs_p)


@bare_kernel
def add_gradients(
    first: int,
    last: int,
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    size: int,
    shared: int,
    back: int,
    width: int,
    x: Array,
    inputs: int,
    P: Array,
    Y: Array,
    GW: Array,
    GU: Array,
    GS: Array,
    work: Array,
) -> None:
    """Add what the steps first..last-1 add; of U only the first `shared` columns."""
    before = (back - 1) * B * Hp
    if size <= SHORT * width and rows[last - 1] == B:
        n, begin, p = (last - first) * B, first * B, first * B * size
        work[0] = 1
        add_short_rows(n, x, begin * inputs, inputs, inputs, P, p, size, size // width, width, GW, 0, size)
        add_short_rows(n, work, 0, 0, 1, P, p, size, size // width, width, GW, inputs * size, size)
        add_short_rows(n, Y, before + begin * Hp, Hp, H, P, p, size, shared // width, width, GU, 0, size)
        if GS.size:
            add_short_rows(n, Y, begin * Hp, Hp, H, P, p, size, size // width, width, GS, 0, size)
        return
    n = pack_rows(first, last, rows, B, P, 0, size, size, width, work)
    columns = work[n * size :]
    pack_columns(first, last, rows, B, x, 0, inputs, inputs, 1, columns)
    add_packed(n, columns, inputs + 1, work, 0, size // width, width, GW, 0, size)
    pack_columns(first, last, rows, B, Y, before, Hp, H, 0, columns)
    add_packed(n, columns, H, work, 0, shared // width, width, GU, 0, size)
    if GS.size:
        pack_columns(first, last, rows, B, Y, 0, Hp, H, 0, columns)
        add_packed(n, columns, H, work, 0, size // width, width, GS, 0, size)


@bare_kernel
def back_elman(
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    back: int,
    width: int,
    relu: int,
    alpha: float,
    x: Array,
    inputs: int,
    U_back: Array,
    S_back: Array,
    W_back: Array,
    P: Array,
    Y: Array,
    DH: Array,
    DX: Array,
    inputs_p: int,
    GW: Array,
    GU: Array,
    GS: Array,
    work: Array,
) -> None:
    """Elman's cell."""
    last = rows.shape[0]
    for t in range(rows.shape[0] - 1, -1, -1):
        n, p, before, now = rows[t], t * B * Hp, (back + t - 1) * B * Hp, (back + t) * B * Hp
        if alpha > 0.0:
            unleak(n, Hp, alpha, DH, before, now, work)
        if relu:
            elman_relu_step_back(n * Hp, P, p, DH, now, P, p)
        else:
            elman_step_back(n * Hp, P, p, DH, now, P, p)
        add_product(n, P, p, Hp, Hp, U_back, 0, Hp * width, Hp // width, width, DH, before, Hp)
        end_step(n, t, B, Hp, Hp, width, P, p, S_back, W_back, DH, DX, inputs_p)
        if (last - t) * B >= CHUNK or t == 0:
            add_gradients(t, last, rows, B, H, Hp, Hp, Hp, back, width, x, inputs, P, Y, GW, GU, GS, work)
            last = t


@bare_kernel
def back_gated_leaky(
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    back: int,
    width: int,
    alpha: float,
    x: Array,
    inputs: int,
    U_back: Array,
    S_back: Array,
    W_back: Array,
    P: Array,
    Y: Array,
    DH: Array,
    DX: Array,
    inputs_p: int,
    GW: Array,
    GU: Array,
    GS: Array,
    work: Array,
) -> None:
    """The gated leaky cell."""
    size, last = 2 * Hp, rows.shape[0]
    for t in range(rows.shape[0] - 1, -1, -1):
        n, first, before, now = rows[t], t * B * size, (back + t - 1) * B * Hp, (back + t) * B * Hp
        if alpha > 0.0:
            unleak(n, Hp, alpha, DH, before, now, work)
        for row in range(n):
            p, h = first + row * size, row * Hp
            gated_leaky_step_back(Hp, P, p, P, p + Hp, Y, before + h, DH, now + h, P, p, P, p + Hp, work, h)
        add_step(n * Hp, DH, before, work, 0, DH, before)
        add_product(n, P, first, size, size, U_back, 0, size * width, Hp // width, width, DH, before, Hp)
        end_step(n, t, B, size, Hp, width, P, first, S_back, W_back, DH, DX, inputs_p)
        if (last - t) * B >= CHUNK or t == 0:
            add_gradients(t, last, rows, B, H, Hp, size, size, back, width, x, inputs, P, Y, GW, GU, GS, work)
            last = t


@bare_kernel
def back_lstm(
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    back: int,
    width: int,
    alpha: float,
    x: Array,
    inputs: int,
    U_back: Array,
    S_back: Array,
    W_back: Array,
    P: Array,
    Y: Array,
    C: Array,
    shown: Array,
    DH: Array,
    DC: Array,
    DX: Array,
    inputs_p: int,
    GW: Array,
    GU: Array,
    GS: Array,
    work: Array,
) -> None:
    """The LSTM. DC : (B, Hp), derivatives by c after the last step of each row, and then by c before the first."""
    size, last = 4 * Hp, rows.shape[0]
    for t in range(rows.shape[0] - 1, -1, -1):
        n, first, before, now = rows[t], t * B * size, (back + t - 1) * B * Hp, (back + t) * B * Hp
        c = t * B * Hp
        if alpha > 0.0:
            unleak(n, Hp, alpha, DH, before, now, work)
        for row in range(n):
            p, h = first + row * size, row * Hp
            lstm_step_back(
                Hp,
                P,
                p,
                P,
                p + Hp,
                P,
                p + 2 * Hp,
                P,
                p + 3 * Hp,
                C,
                c + h,
                shown,
                c + h,
                DH,
                now + h,
                DC,
                h,
                P,
                p,
                P,
                p + Hp,
                P,
                p + 2 * Hp,
                P,
                p + 3 * Hp,
                DC,
                h,
            )
        add_product(n, P, first, size, size, U_back, 0, size * width, Hp // width, width, DH, before, Hp)
        end_step(n, t, B, size, Hp, width, P, first, S_back, W_back, DH, DX, inputs_p)
        if (last - t) * B >= CHUNK or t == 0:
            add_gradients(t, last, rows, B, H, Hp, size, size, back, width, x, inputs, P, Y, GW, GU, GS, work)
            last = t
