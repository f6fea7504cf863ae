"""Kernels: one number, or one step, of the square-root smoother; see square_root_smoother.py."""

from __future__ import annotations

from typing import NamedTuple

from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics
from statespace.lds.kalman import ORDINARY, SKIPPED, Tables
from statespace.lds.square_root_arrays import (
    ONE,
    ZERO,
    Turns,
    undo,
    undo_triangle,
)
from statespace.lds.square_root_steps import DiffuseMoves, DiffuseNumbers, Moves
from statespace.protocols import Floats


class BackwardPieces(NamedTuple):
    """What is known of the pieces, and room; e = max(r, 1), q diffuse directions of the start.

    Below the rows of a factor lie b more: the means of the pieces, and where scores are wanted the m rows of G and the
    p rows c.
    """

    C: Floats
    """The factor, (m + q + e + b, m + q): columns are the pieces xi, then delta."""
    D: Floats
    """The same with e columns between these for pieces that come and go, (m + q + e + b, m + e + q)."""
    X: Floats
    """The factor of Cov(a_{t+1} | all), (m + q + 1, m)."""
    Y: Floats
    """That of (a_t, n_t), from the same rows, (m + q + e + 1, m + e)."""
    turns: Turns
    w: Floats
    """(m + e + q,)."""
    entering: Floats
    """What the innovation of a number adds to each row below, (b,)."""


@kernel
def apply(C: Floats, n_rows: int, left: int, n_pieces: int, U: Floats, add: int, out: Floats, to: int) -> None:
    """C[:, left : left + n_pieces] U into the columns of `out` from `to` on; added with `add` 1."""
    n = U.shape[1]
    for i in range(n_rows):
        row, made = C[i], out[i, to : to + n]
        if add == 0:
            for j in range(n):
                made[j] = 0.0
        for k in range(n_pieces):
            factor = row[left + k]
            if factor != 0.0:
                other = U[k]
                for j in range(n):
                    made[j] += factor * other[j]


@kernel
def widen(b: BackwardPieces, n_rows: int, q: int, extra: int) -> None:
    """C into D, with `extra` pieces more that are independent of the others, of mean 0 and variance 1."""
    m = b.X.shape[1]
    e = b.D.shape[1] - b.C.shape[1]
    for i in range(n_rows + extra + b.entering.shape[0]):
        row = b.D[i]
        for j in range(row.shape[0]):
            row[j] = 0.0
        if n_rows <= i < n_rows + extra:
            row[m + i - n_rows] = 1.0
            continue
        source = b.C[i if i < n_rows else i - extra]
        for j in range(m):
            row[j] = source[j]
        for j in range(q):
            row[m + e + j] = source[m + j]


@kernel
def narrow(b: BackwardPieces, n_rows: int, q: int) -> None:
    """D without the pieces between, into C."""
    m = b.X.shape[1]
    e = b.D.shape[1] - b.C.shape[1]
    for i in range(n_rows + b.entering.shape[0]):
        row, source = b.C[i], b.D[i]
        for j in range(m):
            row[j] = source[j]
        for j in range(q):
            row[m + j] = source[m + e + j]


@kernel
def undo_diffuse(at: int, q: int, done: DiffuseNumbers, b: BackwardPieces) -> None:
    """Back over a number that determined one of q + 1 diffuse directions; C has m + q rows, then those below."""
    m = b.X.shape[1]
    e = b.D.shape[1] - b.C.shape[1]
    n_rows = m + q + 1
    n_all = n_rows + b.entering.shape[0]
    widen(b, m + q, q, ONE)
    undo_triangle(b.D, n_all, m + 1, ZERO, m, at, done.turns)
    beta, u, delta = done.met[at], done.u[at], m + e
    for i in range(n_all):
        row = b.D[i]
        met = 0.0 if i < n_rows else b.entering[i - n_rows]
        for k in range(m + 1):
            met -= u[k] * row[k]
        row[delta + q] = row[delta]
        row[delta] = met / beta
    pivot, scale = done.mixed.pivots[at, 0], done.mixed.scales[at, 0]
    undo(b.D, n_all, delta, ZERO, q + 1, done.mixed.vectors[at, 0], pivot, scale)
    narrow(b, n_rows, q + 1)


@kernel
def enter(i: int, z: Floats, k: Floats, v: float, n_rows: int, b: BackwardPieces) -> None:
    """Before number i is undone: G and c over it, and what its innovation adds to the rows below the first n_rows."""
    m, n_below = b.X.shape[1], b.entering.shape[0]
    b.entering[0] = v
    if n_below == 1:
        return
    for j in range(1, n_below):
        b.entering[j] = z[j - 1] if j <= m else 0.0
    b.entering[1 + m + i] = 1.0
    c = b.C[n_rows + 1 + m + i]
    for a in range(m):
        if k[a] != 0.0:
            row = b.C[n_rows + 1 + a]
            for j in range(c.shape[0]):
                c[j] -= k[a] * row[j]
    for a in range(m):
        if z[a] != 0.0:
            row = b.C[n_rows + 1 + a]
            for j in range(c.shape[0]):
                row[j] += z[a] * c[j]


@kernel
def undo_numbers(
    t: int, q: int, design: Floats, tables: Tables, moves: Moves, s: int, diffuse: DiffuseMoves, b: BackwardPieces
) -> int:
    """From the filtered pieces of step t, q of them diffuse, to the predicted ones; s counts diffuse steps.

    Returns how many are diffuse then.
    """
    m, p, n_below = b.X.shape[1], tables.v.shape[1], b.entering.shape[0]
    turns = moves.numbers.turns
    for i in range(n_below - 1 - m):
        row = b.C[m + q + 1 + m + i]
        for j in range(row.shape[0]):
            row[j] = 0.0
    for i in range(p - 1, -1, -1):
        at = t * p + i
        if tables.kind[t, i] == SKIPPED:
            continue
        enter(i, design[i], tables.k[t, i], tables.v[t, i], m + q, b)
        if tables.kind[t, i] == ORDINARY:
            for k in range(m + q + n_below):
                b.C[k, 0] *= moves.numbers.shrink[at]
            for k in range(n_below):
                b.C[m + q + k, 0] += moves.numbers.slope[at] * b.entering[k]
            undo(b.C, m + q + n_below, ZERO, ZERO, m, turns.vectors[at, 0], turns.pivots[at, 0], turns.scales[at, 0])
        else:
            undo_diffuse(s * p + i, q, diffuse.numbers, b)
            q += 1
    return q


@kernel
def add_products(C: Floats, first: int, n_rows: int, left: int, n_pieces: int, U: Floats, out: Floats) -> None:
    """Out += C[first : first + n_rows, left : left + n_pieces] U."""
    for i in range(n_rows):
        for k in range(n_pieces):
            factor = C[first + i, left + k]
            if factor != 0.0:
                for j in range(U.shape[1]):
                    out[i, j] += factor * U[k, j]


@kernel
def pull_scores(t: int, d: Dynamics, first: int, b: BackwardPieces) -> None:
    """G <- T_t^T G; its rows are those of C from `first` on."""
    T, m = t if d.value.shape[0] > 1 else 0, b.X.shape[1]
    for j in range(b.C.shape[1]):
        for i in range(m):
            total = 0.0
            for e in range(d.column_start[i], d.column_start[i + 1]):
                total += d.value[T, d.entry[e]] * b.C[first + d.row[e], j]
            b.w[i] = total
        for i in range(m):
            b.C[first + i, j] = b.w[i]
