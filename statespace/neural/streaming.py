"""One step at a time: weights are read where they lie, nothing is packed."""

from __future__ import annotations

import numpy as np

from statespace.foundations.kernel import bare_kernel, inlined_kernel
from statespace.foundations.panel_product import add_tile, copy_step
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

ELMAN, RELU, GATED_LEAKY, LSTM, GRU_BEFORE, GRU_AFTER = range(6)
"""Numbers of the cells."""


@inlined_kernel
def add_row(x: Array, x_at: int, K: int, W: Array, w_at: int, row: int, columns: int, width: int, out: Array) -> None:
    """Out += x W of one row of K numbers; rows of W lie `row` apart. Whole vectors of W and of out are touched."""
    c = 0
    while c + 4 * width <= columns:
        add_tile(1, 4, K, x, x_at, 0, 1, W, w_at + c, row, width, out, c, 0)
        c += 4 * width
    while c < columns:
        add_tile(1, 1, K, x, x_at, 0, 1, W, w_at + c, row, 0, out, c, 0)
        c += width


@inlined_kernel
def spread(gates: int, H: int, Hp: int, width: int, P: Array, out: Array) -> None:
    """Gates beside each other, each in whole vectors."""
    for gate in range(gates):
        for j in range(0, Hp, width):
            copy_step(width, P, gate * H + j, out, gate * Hp + j)


@inlined_kernel
def all_finite(n: int, x: Array) -> bool:
    """Whether n numbers are."""
    for j in range(n):  # noqa: SIM110  # kernels have no generators
        if not abs(x[j]) < np.inf:
            return False
    return True


@bare_kernel
def step_layers(
    B: int,
    sizes: Ints,
    alpha: float,
    weights: Array,
    x: Array,
    h: Array,
    c: Array,
    h_out: Array,
    c_out: Array,
    out: Array,
    work: Array,
) -> int:
    """A step of all layers for B rows; 0, or 1, 2, 3 where x, h or c is not finite.

    sizes : kind, inputs, H, Hp, numbers in a vector, back, removed, layers; and of each layer where in `weights` its W,
    U, S and b_ih begin, b_hh behind b_ih; -1 where there is none. x (B, inputs); h, h_out (layers, back, B, H), of
    which the last is the state before, with `removed` the first; c, c_out the same, but for (layers, 1, B, H) without.
    out (B, H) : h of the last layer. work : (15 Hp + 6 vectors,).
    """
    kind, inputs, H, Hp, width, back, removed = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6]
    layers = sizes[7]
    gates = 4 if kind == LSTM else 3 if kind >= GRU_BEFORE else 2 if kind == GATED_LEAKY else 1
    columns, room = gates * H, 4 * Hp + 2 * width
    P, Q, R = work[:room], work[room : 2 * room], work[2 * room : 3 * room]
    old, new, cell = work[3 * room :], work[3 * room + Hp :], work[3 * room + 2 * Hp :]
    cells = (back if removed else 1) if kind == LSTM else 0
    block = B * H
    if not all_finite(B * inputs, x):
        return 1
    if not all_finite(layers * back * block, h):
        return 2
    if not all_finite(layers * cells * block, c):
        return 3
    for layer in range(layers):
        place = 8 + 4 * layer
        w_at, u_at, s_at, b_at = sizes[place], sizes[place + 1], sizes[place + 2], sizes[place + 3]
        first, c_first = layer * back * block, layer * cells * block
        last, c_last = first + (back - 1) * block, c_first + (cells - 1) * block
        for j in range((back - 1) * block):
            h_out[first + j] = h[first + block + j]
        for j in range((cells - 1) * block):
            c_out[c_first + j] = c[c_first + block + j]
        before = first if removed else last
        for row in range(B):
            for j in range(columns):
                P[j] = 0
                if b_at >= 0:
                    P[j] = weights[b_at + j]
                    if kind != GRU_AFTER or j < 2 * H:
                        P[j] += weights[b_at + columns + j]
            for j in range(columns, room):
                P[j] = 0
            for j in range(Hp):
                old[j] = h[before + row * H + j] if j < H else 0
                cell[j] = c[c_first + row * H + j] if kind == LSTM and j < H else 0
            if layer:
                add_row(h_out, first - block + row * H, H, weights, w_at, columns, columns, width, P)
            else:
                add_row(x, row * inputs, inputs, weights, w_at, columns, columns, width, P)
            if s_at >= 0:
                add_row(h, first + row * H, H, weights, s_at, columns, columns, width, P)
            if kind < GRU_BEFORE:
                add_row(old, 0, H, weights, u_at, columns, columns, width, P)
                spread(gates, H, Hp, width, P, Q)
                if kind == ELMAN:
                    elman_step(Hp, Q, 0, Q, 0, new, 0)
                elif kind == RELU:
                    elman_relu_step(Hp, Q, 0, Q, 0, new, 0)
                elif kind == GATED_LEAKY:
                    gated_leaky_step(Hp, Q, 0, Q, Hp, old, 0, Q, 0, Q, Hp, new, 0)
                else:
                    lstm_step(
                        Hp,
                        Q,
                        0,
                        Q,
                        Hp,
                        Q,
                        2 * Hp,
                        Q,
                        3 * Hp,
                        cell,
                        0,
                        Q,
                        0,
                        Q,
                        Hp,
                        Q,
                        2 * Hp,
                        Q,
                        3 * Hp,
                        cell,
                        0,
                        R,
                        0,
                        new,
                        0,
                    )
                    for j in range(H):
                        c_out[c_last + row * H + j] = cell[j]
            elif kind == GRU_BEFORE:
                for j in range(2 * H, room):
                    R[j - 2 * H] = P[j]
                add_row(old, 0, H, weights, u_at, columns, 2 * H, width, P)
                spread(2, H, Hp, width, P, Q)
                gru_reset_step(Hp, Q, 0, Q, Hp, old, 0, Q, 0, Q, Hp, new, 0)
                add_row(new, 0, H, weights, u_at + 2 * H, columns, H, width, R)
                gru_before_step(Hp, Q, Hp, R, 0, old, 0, R, 0, new, 0)
            else:
                for j in range(Hp + width):
                    R[j] = weights[b_at + columns + 2 * H + j] if b_at >= 0 and j < H else 0
                add_row(old, 0, H, weights, u_at + 2 * H, columns, H, width, R)
                spread(3, H, Hp, width, P, Q)
                add_row(old, 0, H, weights, u_at, columns, 2 * H, width, P)
                spread(2, H, Hp, width, P, Q)
                gru_after_step(Hp, Q, 0, Q, Hp, Q, 2 * Hp, R, 0, old, 0, Q, 0, Q, Hp, Q, 2 * Hp, new, 0)
            if alpha > 0.0:
                leak_step(Hp, new, 0, old, 0, alpha, new, 0)
            for j in range(H):
                h_out[last + row * H + j] = new[j]
    last = ((layers - 1) * back + back - 1) * block
    for j in range(block):
        out[j] = h_out[last + j]
    return 0
