r"""Derivatives of the last state of a layer by every state before it, exactly: products of the Jacobians of the steps.

The state s_t of a layer is h_t, of an LSTM (h_t, c_t). G_t = d s_T / d s_t says how the last state moves when s_t is
moved, whatever was before t is left alone, and all that comes after t follows, on every path there is:

    G_T = 1,    G_t = G_{t+1} A_{t+1} + G_{t+d} B_{t+d}

A is the derivative of a step by the state before it, B that by the state at the other end of a skip edge of length d.
Without short edges A is not there, and G_t is 0 but where d divides T - t. In terms of the larger state that such a
layer goes on from, its last d states, G_t is the block from h_t to h_T of the product of their Jacobians.

Rows of G are derivatives of one number each, and go back through the derivatives of cells.py as in backpropagation;
the gates are computed again, in float64, from the states that the network went through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from statespace.neural import cells
from statespace.neural.layer import Cell
from statespace.protocols import Array, Ints


class Path(NamedTuple):
    """A layer in one direction, and where it went, all float64, in the order in which it read; T steps of B rows."""

    cell: Cell
    short: int
    """How far back the state that a step goes on from lies: 1, or the skip edge's length without short edges."""
    skip: int
    """Length of the skip edge beside the short one; 0 for none."""
    U: Array
    """Weights of the state that a step goes on from, shape (n_gates * size, size)."""
    S: Array | None
    """Weights of the skip edge beside it, the same."""
    p: Array
    """W x + b of every gate, without a GRU's inner bias where it resets after, shape (B, T, n_gates * size)."""
    inner: Array
    """That inner bias, shape (size,)."""
    h: Array
    """States, those before the first step first, shape (B, back + T, size)."""
    c: Array | None
    """Cell states, the same, shape (B, short + T, size)."""

    @property
    def n_steps(self) -> int:
        """T."""
        return int(self.p.shape[1])

    def before(self, far: int) -> Array:
        """States `far` steps before each step, shape (B, T, size)."""
        first = self.h.shape[1] - self.n_steps - far
        return self.h[:, first : first + self.n_steps]


def state_jacobians(path: Path, lengths: Ints) -> Iterator[tuple[int, Array]]:
    """Steps t and G_t for t = T, T-1, ..., 0; after the end of a row they are zeros.

    Yields
    ------
    t : int
        Steps read.
    G : (B, n, n)
        d s_T / d s_t, T the length of the row; n is the size of the layer, twice the size for an LSTM.

    """
    back = _GoBack(path)
    H, lstm = path.cell.size, path.cell.kind == "lstm"
    n = 2 * H if lstm else H
    B = len(lengths)
    waiting: dict[int, Array] = {}
    for t in range(path.n_steps, -1, -1):
        G = waiting.pop(t, None)
        if G is None:
            G = np.zeros((B, n, n))
        G[lengths == t] = np.eye(n)
        yield t, G.copy()
        if t == 0:
            return
        dh, dc = G[:, :, :H], G[:, :, H:]
        d_before, d_cell, d_skipped = back.step(t - 1, dh, dc)
        short = np.concatenate([d_before, d_cell], axis=2) if d_cell is not None else d_before
        _add(waiting, t - path.short, short)
        if d_skipped is not None:
            _add(waiting, t - path.skip, np.concatenate([d_skipped, np.zeros((B, n, n - H))], axis=2))


def _add(waiting: dict[int, Array], t: int, part: Array) -> None:
    if t >= 0:
        waiting[t] = part if t not in waiting else waiting[t] + part


class _GoBack:
    """The gates of all steps, and what a step does to derivatives on their way back."""

    def __init__(self, path: Path) -> None:
        cell, H, U = path.cell, path.cell.size, path.U
        self.path, self.h = path, path.before(path.short)
        p = path.p if path.S is None else path.p + path.before(path.skip) @ path.S.T
        own = U if cell.kind != "gru" else U[: 2 * H]  # a GRU's candidate has a way of its own
        p = p.copy()
        p[:, :, : len(own)] += self.h @ own.T
        part = np.split(p, cell.n_gates, axis=2)
        self.gates: list[Array]
        if cell.kind == "rnn":
            self.gates = [(cells.elman_relu if cell.relu else cells.elman)(part[0])]
        elif cell.kind == "gated_leaky":
            self.gates = list(cells.gated_leaky(part[0], part[1], self.h)[:2])
        elif cell.kind == "lstm":
            assert path.c is not None
            c = path.c[:, : path.n_steps]
            i, f, g, o, _, shown, _ = cells.lstm(part[0], part[1], part[2], part[3], c)
            self.gates = [i, f, g, o, c, shown]
        elif cell.after:
            q = self.h @ U[2 * H :].T + path.inner
            r, z, n, _ = cells.gru_after(part[0], part[1], part[2], q, self.h)
            self.gates = [r, z, n, q]
        else:
            r, z, kept = cells.gru_reset(part[0], part[1], self.h)
            n, _ = cells.gru_before(z, part[2] + kept @ U[2 * H :].T, self.h)
            self.gates = [r, z, n]

    def step(self, at: int, dh: Array, dc: Array) -> tuple[Array, Array | None, Array | None]:
        """From derivatives by the state after a step to those by h and c before it, and by h across the skip edge."""
        cell, H, U, S = self.path.cell, self.path.cell.size, self.path.U, self.path.S
        gates = [gate[:, at, None, :] for gate in self.gates]
        h = self.h[:, at, None, :]
        kept = None
        if cell.leak > 0.0:
            dh, kept = cells.leak_back(dh, cell.leak)
        d_cell = None
        if cell.kind == "rnn":
            dp = [(cells.elman_relu_back if cell.relu else cells.elman_back)(gates[0], dh)]
            d_before = dp[0] @ U
        elif cell.kind == "gated_leaky":
            u, n = gates
            *dp, d_before = cells.gated_leaky_back(u, n, h, dh)
            d_before = d_before + np.concatenate(dp, axis=2) @ U
        elif cell.kind == "lstm":
            i, f, g, o, c, shown = gates
            *dp, d_cell = cells.lstm_back(i, f, g, o, c, shown, dh, dc)
            d_before = np.concatenate(dp, axis=2) @ U
        elif cell.after:
            r, z, n, q = gates
            *dp, dq, d_before = cells.gru_after_back(r, z, n, q, h, dh)
            d_before = d_before + np.concatenate([*dp[:2], dq], axis=2) @ U
        else:
            r, z, n = gates
            d_z, d_n, d_before = cells.gru_before_back(z, n, h, dh)
            d_r, d_before = cells.gru_reset_back(r, h, d_before, d_n @ U[2 * H :])
            dp = [d_r, d_z, d_n]
            d_before = d_before + np.concatenate(dp[:2], axis=2) @ U[: 2 * H]
        if kept is not None:
            d_before = d_before + kept
        return d_before, d_cell, None if S is None else np.concatenate(dp, axis=2) @ S
