r"""Factors of covariances as arrays of rows, U with P = U^T U, and the reflections that keep them such.

Rows have no units: each is a piece of the uncertainty that is independent of the others, and any rotation of rows is
a factor of the same covariance. Columns are states. Everything is done by reflections of Householder, so that P is
never formed, never subtracted from, and cannot lose its sign.

What is left of a column after a rotation may be rounding. How large that can be is carried beside the factor as N, a
covariance of the errors of a row: it moves as the factor does, so that it shrinks where the data say something and
does not grow for ever, and it has the units of the states. Whether something is zero is asked of N.

Golub and Van Loan (2013), sections 5.1 and 5.2; Kailath, Sayed and Hassibi (2000), chapter 12.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics
from statespace.protocols import Floats, Ints

EPS = 2.0**-52
ZERO, ONE = cast(int, np.int64(0)), cast(int, np.int64(1))  # a literal has its own type, and kernels one more version
SURE = 64.0  # times the deviation of rounding: what is larger is not zero


class Turns(NamedTuple):
    """Reflections that were made, so that they can be undone; for each array of N, one after the other."""

    vectors: Floats
    """(N, n_turns, n_rows)."""
    pivots: Ints
    """The row that was exchanged with the first, (N, n_turns)."""
    scales: Floats
    """1 / half the square of the vector, 0 where nothing but an exchange was needed; (N, n_turns)."""


def make_turns(N: int, n_turns: int, n_rows: int) -> Turns:
    """Room for them."""
    return Turns(np.zeros((N, n_turns, n_rows)), np.zeros((N, n_turns), np.int64), np.zeros((N, n_turns)))


@kernel
def gather(B: Floats, first: int, last: int, left: int, right: int, u: Floats, w: Floats) -> tuple[float, int, float]:
    """Rotate the rows first..last-1 of B so that their combination u is in row `first` alone.

    Parameters
    ----------
    left, right : int
        The columns that are there.
    u : (n_rows,)
        What each row meets; becomes the vector of the reflection.
    w : (n_columns,)
        Work.

    Returns
    -------
    (float, int, float)
        What row `first` then meets, and the pivot and scale of the reflection: see `Turns`.

    """
    n = right - left
    pivot, largest = first, abs(u[first])
    for i in range(first + 1, last):
        if abs(u[i]) > largest:
            pivot, largest = i, abs(u[i])
    if not largest > 0.0:
        return 0.0, first, 0.0
    if pivot != first:
        u[pivot], u[first] = u[first], u[pivot]
        top, other = B[first, left:right], B[pivot, left:right]
        for j in range(n):
            top[j], other[j] = other[j], top[j]
    head = u[first]
    squared = 0.0
    for i in range(first + 1, last):
        u[i] /= head
        squared += u[i] * u[i]
    if squared == 0.0:
        return head, pivot, 0.0
    norm = math.sqrt(1.0 + squared)
    u[first] = 1.0 + norm
    top = B[first, left:right]
    for j in range(n):
        w[j] = u[first] * top[j]
    for i in range(first + 1, last):
        factor = u[i]
        if factor != 0.0:
            row = B[i, left:right]
            for j in range(n):
                w[j] += factor * row[j]
    scale = 1.0 / (norm * (1.0 + norm))
    for i in range(first, last):
        factor = scale * u[i]
        if factor != 0.0:
            row = B[i, left:right]
            for j in range(n):
                row[j] -= factor * w[j]
    return -norm * head, pivot, scale


@kernel
def undo(C: Floats, n_rows: int, offset: int, first: int, last: int, u: Floats, pivot: int, scale: float) -> None:
    """Turn the columns of C back: rows that were gathered from first..last-1 are its columns offset + first, ..."""
    n, other, vector = last - first, pivot - first, u[first:last]
    for k in range(n_rows):
        row = C[k, offset + first : offset + last]
        if scale != 0.0:
            total = 0.0
            for i in range(n):
                total += vector[i] * row[i]
            if total != 0.0:
                total *= scale
                for i in range(n):
                    row[i] -= total * vector[i]
        if other:
            row[0], row[other] = row[other], row[0]


@kernel
def triangularise(B: Floats, n_full: int, n_more: int, n_columns: int, t: int, turns: Turns, w: Floats) -> None:
    """Rotate rows of B into an upper triangle above zeros: n_full rows, and n_more that are a triangle already.

    The triangle has n_columns; columns beyond are turned with them. The turns are noted as the t-th.
    """
    for j in range(min(n_full + n_more - 1, n_columns)):
        last = n_full + min(n_more, j + 1)
        u = turns.vectors[t, j]
        for i in range(j, last):
            u[i] = B[i, j]
        met, pivot, scale = gather(B, j, last, j + 1, B.shape[1], u, w)
        turns.pivots[t, j] = pivot
        turns.scales[t, j] = scale
        B[j, j] = met
        for i in range(j + 1, last):
            B[i, j] = 0.0


@kernel
def undo_triangle(C: Floats, n_rows: int, n_full: int, n_more: int, n_columns: int, t: int, turns: Turns) -> None:
    """Turn the first n_full + n_more columns of C back to the rows from which `triangularise` started."""
    for j in range(min(n_full + n_more - 1, n_columns) - 1, -1, -1):
        undo(
            C, n_rows, ZERO, j, n_full + min(n_more, j + 1), turns.vectors[t, j], turns.pivots[t, j], turns.scales[t, j]
        )


@kernel
def gram(U: Floats, n_rows: int, left: int, right: int, P: Floats) -> None:
    """P = U^T U of some columns, one triangle computed and mirrored."""
    for i in range(right - left):
        for j in range(i + 1):
            P[i, j] = 0.0
    for k in range(n_rows):
        row = U[k, left:right]
        for i in range(right - left):
            factor = row[i]
            if factor != 0.0:
                for j in range(i + 1):
                    P[i, j] += factor * row[j]
    for i in range(right - left):
        for j in range(i):
            P[j, i] = P[i, j]


@kernel
def column_squares(B: Floats, first: int, last: int, n_columns: int, squares: Floats) -> None:
    """Sums of squares of the columns, over the rows first..last-1."""
    for j in range(n_columns):
        squares[j] = 0.0
    for i in range(first, last):
        for j in range(n_columns):
            squares[j] += B[i, j] * B[i, j]


@kernel
def semidefinite_roots(V: Floats, roots: Floats, left: Floats) -> None:
    """Rows U with U^T U = V[t] for positive-semidefinite V (n, m, m), by Cholesky's method with pivots.

    Pivots are chosen, and found to be nothing, among the correlations: units do not count. left : (m, m) work.
    """
    n, m, _ = V.shape
    for t in range(n):
        for i in range(m):
            for j in range(m):
                scale = math.sqrt(V[t, i, i]) * math.sqrt(V[t, j, j])
                left[i, j] = V[t, i, j] / scale if scale > 0.0 else 0.0
                roots[t, i, j] = 0.0
        for k in range(m):
            pivot, largest = -1, 8.0 * m * EPS
            for i in range(m):
                if left[i, i] > largest:
                    pivot, largest = i, left[i, i]
            if pivot < 0:
                break
            scale = 1.0 / math.sqrt(largest)
            row = roots[t, k]
            for j in range(m):
                row[j] = left[pivot, j] * scale
            for i in range(m):
                for j in range(m):
                    left[i, j] -= row[i] * row[j]
            for j in range(m):
                left[pivot, j] = 0.0
                left[j, pivot] = 0.0
                row[j] *= math.sqrt(V[t, j, j])


@kernel
def move_rows(t: int, d: Dynamics, B: Floats, n_rows: int, w: Floats) -> None:
    """Each of the first rows b of B becomes T_t b."""
    value = d.value[t if d.value.shape[0] > 1 else 0]
    m = d.row_start.shape[0] - 1
    for k in range(n_rows):
        for i in range(m):
            total = 0.0
            for e in range(d.row_start[i], d.row_start[i + 1]):
                total += value[e] * B[k, d.column[e]]
            w[i] = total
        for i in range(m):
            B[k, i] = w[i]


@kernel
def move_sizes(t: int, d: Dynamics, squares: Floats, moved: Floats) -> None:
    """Moved_i = sum_j |T_ij| sqrt(squares_j): what the products with the rows are sums of."""
    value = d.value[t if d.value.shape[0] > 1 else 0]
    for i in range(squares.shape[0]):
        total = 0.0
        for e in range(d.row_start[i], d.row_start[i + 1]):
            total += abs(value[e]) * math.sqrt(squares[d.column[e]])
        moved[i] = total


@kernel
def move_rounding(t: int, d: Dynamics, N: Floats, work: Floats) -> None:
    """N <- T_t N T_t^T. work : a row of m at least."""
    m, w = N.shape[0], work[0]
    for _ in range(2):
        move_rows(t, d, N, m, w)
        for i in range(m):
            for j in range(i):
                kept = N[i, j]
                N[i, j] = N[j, i]
                N[j, i] = kept


@kernel
def project_rounding(N: Floats, gain: Floats, z: Floats, w: Floats) -> None:
    """N <- (I - k z) N (I - k z)^T."""
    m = N.shape[0]
    met = 0.0
    for i in range(m):
        w[i] = 0.0
    for i in range(m):
        if z[i] != 0.0:
            row = N[i]
            for j in range(m):
                w[j] += z[i] * row[j]
    for i in range(m):
        met += z[i] * w[i]
    for i in range(m):
        row = N[i]
        for j in range(m):
            row[j] += gain[i] * gain[j] * met - gain[i] * w[j] - w[i] * gain[j]


@kernel
def met_rounding(N: Floats, z: Floats) -> float:
    """The variance of z a where a has the covariance N, at least 0."""
    met = 0.0
    for i in range(z.shape[0]):
        if z[i] != 0.0:
            row = N[i]
            for j in range(z.shape[0]):
                met += z[i] * z[j] * row[j]
    return max(met, 0.0)


@kernel
def clear_rounding(B: Floats, n_rows: int, N: Floats, squares: Floats) -> None:
    """Columns of B that are nothing but rounding become zero; `squares` are their sums of squares."""
    for j in range(N.shape[0]):
        if 0.0 < squares[j] <= SURE * SURE * N[j, j]:
            squares[j] = 0.0
            for i in range(n_rows):
                B[i, j] = 0.0


@kernel
def independent_rows(B: Floats, n_rows: int, N: Floats, u: Floats, w: Floats, squares: Floats) -> int:
    """Rotate rows until those that are combinations of the others, but for rounding, come last; how many are not.

    The first m columns of B are states with the rounding N; the others are carried along.
    """
    m = N.shape[0]
    for done in range(n_rows):
        column_squares(B, done, n_rows, m, squares)
        pivot, best = -1, SURE * SURE
        for j in range(m):
            if squares[j] > best * N[j, j]:
                pivot = j
                best = squares[j] / N[j, j] if N[j, j] > 0.0 else np.inf
        if pivot < 0:
            return done
        for i in range(done, n_rows):
            u[i] = B[i, pivot]
        gather(B, done, n_rows, ZERO, B.shape[1], u, w)
        for i in range(done + 1, n_rows):
            B[i, pivot] = 0.0
    return n_rows
