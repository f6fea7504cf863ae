"""A layer of cells over the steps of some sequences in one direction: what each cell does at each step.

Arrays are flat and time-major: T steps of B rows, in order of falling length, of which rows[t] go on at step t. A row
of gates has n_gates * Hp numbers, Hp the size of the layer rounded up to whole vectors, and one of states Hp; what is
beyond the size is and stays 0. Y begins with the last `back` states before the first step. With `keep` 0 only few steps
of what the backward pass needs are held: `kept` of the gates, one of the rest.
"""

from __future__ import annotations

from statespace.foundations.kernel import bare_kernel, inlined_kernel
from statespace.foundations.panel_product import add_product, call_add_product, copy_step
from statespace.neural.cells import (
    elman_relu_step,
    elman_step,
    gated_leaky_step,
    gru_after_step,
    gru_before_step,
    gru_reset_step,
    leak_step,
    lstm_step,
)
from statespace.protocols import Array, Ints

_ROWS_TOGETHER = 128


@inlined_kernel
def steps_together(B: int) -> int:
    """How many steps of B rows are begun together."""
    return max(_ROWS_TOGETHER // max(B, 1), 1)


@inlined_kernel
def begin_step(
    rows: Ints,
    t: int,
    B: int,
    size: int,
    Hp: int,
    kept: int,
    x: Array,
    inputs: int,
    W: Array,
    S: Array,
    bias: Array,
    width: int,
    P: Array,
    Y: Array,
) -> int:
    """P = bias + x_t W, and h_{t - d} S where there is a skip edge; the place of step t in P.

    kept : steps that P has room for, as many as are begun together, so that W is read once for them, or all.
    """
    together, panels, n = steps_together(B), size // width, rows[t]
    place = (t % kept) * B * size
    if t % together == 0:
        last = min(t + together, rows.shape[0])
        whole = rows[last - 1] == B
        for row in range((last - t) * B):
            copy_step(size, bias, 0, P, place + row * size)
        for s in range(t, t + 1 if whole else last):
            m, p = (last - t) * B if whole else rows[s], place + (s - t) * B * size
            call_add_product(m, x, s * B * inputs, inputs, inputs, W, 0, inputs * width, panels, width, P, p, size)
    if S.size:
        H = S.size // size
        call_add_product(n, Y, t * B * Hp, Hp, H, S, 0, H * width, panels, width, P, place, size)
    return place


@inlined_kernel
def mix(n: int, Hp: int, alpha: float, Y: Array, before: int, now: int) -> None:
    """Leaky units: the states at place `now` keep alpha of those at place `before`."""
    leak_step(n * Hp, Y, now, Y, before, alpha, Y, now)


@bare_kernel
def run_elman(
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    back: int,
    width: int,
    kept: int,
    relu: int,
    alpha: float,
    x: Array,
    inputs: int,
    W: Array,
    U: Array,
    S: Array,
    bias: Array,
    P: Array,
    Y: Array,
) -> None:
    """Elman's cell. P : (T or 1, B, Hp), h' before a leak; Y : (back + T, B, Hp)."""
    for t in range(rows.shape[0]):
        n, before, now = rows[t], (back + t - 1) * B * Hp, (back + t) * B * Hp
        p = begin_step(rows, t, B, Hp, Hp, kept, x, inputs, W, S, bias, width, P, Y)
        add_product(n, Y, before, Hp, H, U, 0, H * width, Hp // width, width, P, p, Hp)
        if relu:
            elman_relu_step(n * Hp, P, p, P, p, Y, now)
        else:
            elman_step(n * Hp, P, p, P, p, Y, now)
        if alpha > 0.0:
            mix(n, Hp, alpha, Y, before, now)


@bare_kernel
def run_gated_leaky(
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    back: int,
    width: int,
    kept: int,
    alpha: float,
    x: Array,
    inputs: int,
    W: Array,
    U: Array,
    S: Array,
    bias: Array,
    P: Array,
    Y: Array,
) -> None:
    """The gated leaky cell. P : (T or 1, B, 2 Hp), u and n."""
    size = 2 * Hp
    for t in range(rows.shape[0]):
        n, before, now = rows[t], (back + t - 1) * B * Hp, (back + t) * B * Hp
        first = begin_step(rows, t, B, size, Hp, kept, x, inputs, W, S, bias, width, P, Y)
        add_product(n, Y, before, Hp, H, U, 0, H * width, size // width, width, P, first, size)
        for row in range(n):
            p, h = first + row * size, row * Hp
            gated_leaky_step(Hp, P, p, P, p + Hp, Y, before + h, P, p, P, p + Hp, Y, now + h)
        if alpha > 0.0:
            mix(n, Hp, alpha, Y, before, now)


@bare_kernel
def run_lstm(
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    back: int,
    width: int,
    keep: int,
    kept: int,
    alpha: float,
    x: Array,
    inputs: int,
    W: Array,
    U: Array,
    S: Array,
    bias: Array,
    P: Array,
    Y: Array,
    C: Array,
    shown: Array,
) -> None:
    """The LSTM. P : (T or 1, B, 4 Hp), i, f, g, o; C : (T + 1 or 1, B, Hp), c; shown : (T or 1, B, Hp), tanh(c)."""
    size = 4 * Hp
    for t in range(rows.shape[0]):
        n, before, now = rows[t], (back + t - 1) * B * Hp, (back + t) * B * Hp
        first = begin_step(rows, t, B, size, Hp, kept, x, inputs, W, S, bias, width, P, Y)
        add_product(n, Y, before, Hp, H, U, 0, H * width, size // width, width, P, first, size)
        c, after = keep * t * B * Hp, keep * (t + 1) * B * Hp
        for row in range(n):
            p, h = first + row * size, row * Hp
            lstm_step(
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
                P,
                p,
                P,
                p + Hp,
                P,
                p + 2 * Hp,
                P,
                p + 3 * Hp,
                C,
                after + h,
                shown,
                c + h,
                Y,
                now + h,
            )
        if alpha > 0.0:
            mix(n, Hp, alpha, Y, before, now)


@bare_kernel
def run_gru_before(
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    back: int,
    width: int,
    keep: int,
    kept: int,
    alpha: float,
    x: Array,
    inputs: int,
    W: Array,
    U: Array,
    S: Array,
    bias: Array,
    P: Array,
    Y: Array,
    R: Array,
) -> None:
    """The GRU whose reset comes before the product. P : (T or 1, B, 3 Hp), r, z, n; R : (T or 1, B, Hp), r h."""
    size, panels = 3 * Hp, Hp // width
    for t in range(rows.shape[0]):
        n, before, now = rows[t], (back + t - 1) * B * Hp, (back + t) * B * Hp
        reset = keep * t * B * Hp
        first = begin_step(rows, t, B, size, Hp, kept, x, inputs, W, S, bias, width, P, Y)
        add_product(n, Y, before, Hp, H, U, 0, H * width, 2 * panels, width, P, first, size)
        for row in range(n):
            p, h = first + row * size, row * Hp
            gru_reset_step(Hp, P, p, P, p + Hp, Y, before + h, P, p, P, p + Hp, R, reset + h)
        add_product(n, R, reset, Hp, H, U, 2 * panels * H * width, H * width, panels, width, P, first + 2 * Hp, size)
        for row in range(n):
            p, h = first + row * size, row * Hp
            gru_before_step(Hp, P, p + Hp, P, p + 2 * Hp, Y, before + h, P, p + 2 * Hp, Y, now + h)
        if alpha > 0.0:
            mix(n, Hp, alpha, Y, before, now)


@bare_kernel
def run_gru_after(
    rows: Ints,
    B: int,
    H: int,
    Hp: int,
    back: int,
    width: int,
    keep: int,
    kept: int,
    alpha: float,
    x: Array,
    inputs: int,
    W: Array,
    U: Array,
    S: Array,
    bias: Array,
    inner: Array,
    P: Array,
    Y: Array,
    Q: Array,
) -> None:
    """The GRU whose reset comes after the product. P as above; Q : (T or 1, B, Hp), U_n h + b_hn; inner : b_hn."""
    size, panels = 3 * Hp, Hp // width
    for t in range(rows.shape[0]):
        n, before, now = rows[t], (back + t - 1) * B * Hp, (back + t) * B * Hp
        q = keep * t * B * Hp
        first = begin_step(rows, t, B, size, Hp, kept, x, inputs, W, S, bias, width, P, Y)
        add_product(n, Y, before, Hp, H, U, 0, H * width, 2 * panels, width, P, first, size)
        for row in range(n):
            copy_step(Hp, inner, 0, Q, q + row * Hp)
        add_product(n, Y, before, Hp, H, U, 2 * panels * H * width, H * width, panels, width, Q, q, Hp)
        for row in range(n):
            p, h = first + row * size, row * Hp
            gru_after_step(
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
                P,
                p,
                P,
                p + Hp,
                P,
                p + 2 * Hp,
                Y,
                now + h,
            )
        if alpha > 0.0:
            mix(n, Hp, alpha, Y, before, now)
