"""Backpropagation through time of the GRU, whose reset comes before the product with the recurrent weights, or after.

Arguments are those of backpropagation.py.
"""

from __future__ import annotations

from statespace.foundations.kernel import bare_kernel
from statespace.foundations.panel_product import (
    add_packed,
    add_product,
    add_short_rows,
    pack_columns,
    pack_rows,
)
from statespace.neural.backpropagation import CHUNK, SHORT, add_gradients, end_step, unleak
from statespace.neural.cells import (
    add_step,
    gru_after_step_back,
    gru_before_step_back,
    gru_reset_step_back,
)
from statespace.protocols import Array, Ints


@bare_kernel
def add_candidate_gradients(
    first: int,
    last: int,
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    size: int,
    width: int,
    A: Array,
    a_at: int,
    ones: int,
    D: Array,
    d_at: int,
    d_row: int,
    GU: Array,
    work: Array,
) -> None:
    """Add what those steps add to the last Hp columns of U: A^T D, of a GRU's candidate."""
    if size <= SHORT * width and rows[last - 1] == B:
        n, begin = (last - first) * B, first * B
        work[0] = 1
        add_short_rows(
            n, A, a_at + begin * Hp, Hp, H, D, d_at + begin * d_row, d_row, Hp // width, width, GU, 2 * Hp, size
        )
        if ones:
            c = H * size + 2 * Hp
            add_short_rows(n, work, 0, 0, 1, D, d_at + begin * d_row, d_row, Hp // width, width, GU, c, size)
        return
    n = pack_rows(first, last, rows, B, D, d_at, d_row, Hp, width, work)
    columns = work[n * Hp :]
    pack_columns(first, last, rows, B, A, a_at, Hp, H, ones, columns)
    add_packed(n, columns, H + ones, work, 0, Hp // width, width, GU, 2 * Hp, size)


@bare_kernel
def back_gru_before(
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
    R: Array,
    DH: Array,
    DX: Array,
    inputs_p: int,
    GW: Array,
    GU: Array,
    GS: Array,
    work: Array,
) -> None:
    """The GRU whose reset comes before the product."""
    size, panels, last, inner = 3 * Hp, Hp // width, rows.shape[0], B * Hp
    for t in range(rows.shape[0] - 1, -1, -1):
        n, first, before, now = rows[t], t * B * size, (back + t - 1) * B * Hp, (back + t) * B * Hp
        if alpha > 0.0:
            unleak(n, Hp, alpha, DH, before, now, work)
        for row in range(n):
            p, h = first + row * size, row * Hp
            gru_before_step_back(
                Hp, P, p + Hp, P, p + 2 * Hp, Y, before + h, DH, now + h, P, p + Hp, P, p + 2 * Hp, work, h
            )
        for j in range(inner, inner + n * Hp):
            work[j] = 0
        add_product(
            n, P, first + 2 * Hp, size, Hp, U_back, 2 * Hp * width, size * width, panels, width, work, inner, Hp
        )
        for row in range(n):
            p, h = first + row * size, row * Hp
            gru_reset_step_back(Hp, P, p, Y, before + h, work, h, work, inner + h, P, p, work, h)
        add_step(n * Hp, DH, before, work, 0, DH, before)
        add_product(n, P, first, size, 2 * Hp, U_back, 0, size * width, panels, width, DH, before, Hp)
        end_step(n, t, B, size, Hp, width, P, first, S_back, W_back, DH, DX, inputs_p)
        if (last - t) * B >= CHUNK or t == 0:
            add_gradients(t, last, rows, B, H, Hp, size, 2 * Hp, back, width, x, inputs, P, Y, GW, GU, GS, work)
            add_candidate_gradients(t, last, rows, B, H, Hp, size, width, R, 0, 0, P, 2 * Hp, size, GU, work)
            last = t


@bare_kernel
def back_gru_after(
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
    Q: Array,
    DH: Array,
    DX: Array,
    inputs_p: int,
    GW: Array,
    GU: Array,
    GS: Array,
    work: Array,
) -> None:
    """The GRU whose reset comes after the product. GU has a row for the bias b_hn, the last: (H + 1, gates)."""
    size, panels, last = 3 * Hp, Hp // width, rows.shape[0]
    for t in range(rows.shape[0] - 1, -1, -1):
        n, first, before, now = rows[t], t * B * size, (back + t - 1) * B * Hp, (back + t) * B * Hp
        q = t * B * Hp
        if alpha > 0.0:
            unleak(n, Hp, alpha, DH, before, now, work)
        for row in range(n):
            p, h = first + row * size, row * Hp
            gru_after_step_back(
                Hp,
                P,
                p,
                P,
                p + Hp,
                P,
                p + 2 * Hp,
                Q,
                q + h,
                Y,
                before + h,
                DH,
                now + h,
                P,
                p,
                P,
                p + Hp,
                P,
                p + 2 * Hp,
                Q,
                q + h,
                work,
                h,
            )
        add_step(n * Hp, DH, before, work, 0, DH, before)
        add_product(n, P, first, size, 2 * Hp, U_back, 0, size * width, panels, width, DH, before, Hp)
        add_product(n, Q, q, Hp, Hp, U_back, 2 * Hp * width, size * width, panels, width, DH, before, Hp)
        end_step(n, t, B, size, Hp, width, P, first, S_back, W_back, DH, DX, inputs_p)
        if (last - t) * B >= CHUNK or t == 0:
            add_gradients(t, last, rows, B, H, Hp, size, 2 * Hp, back, width, x, inputs, P, Y, GW, GU, GS, work)
            before = (back - 1) * B * Hp
            add_candidate_gradients(t, last, rows, B, H, Hp, size, width, Y, before, 1, Q, 0, Hp, GU, work)
            last = t
