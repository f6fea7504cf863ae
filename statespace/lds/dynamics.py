"""The transition as the kernels want it: its nonzero entries by rows and by columns, and products with them.

Structural models and ARIMA have transitions of which a few entries in each row are not zero, and a product with one
costs as much as they are many; a full matrix costs what loops over a full matrix cost.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.foundations.kernel import bare_kernel, kernel
from statespace.lds.system import System
from statespace.protocols import Floats, Ints

BLAS_FROM = 16  # rows from which on a call of BLAS is cheaper than loops


class Dynamics(NamedTuple):
    """a_{t+1} = c_t + T_t a_t + w_t, w_t ~ N(0, V_t); a time axis of length 1 is a constant."""

    row_start: Ints
    """Row i of T has the entries row_start[i]:row_start[i + 1], shape (m + 1,)."""
    column: Ints
    """Their columns, shape (n_entries,)."""
    value: Floats
    """The entries, shape (1 or n, n_entries)."""
    column_start: Ints
    """The same by columns: column j has entry[column_start[j]:column_start[j + 1]], shape (m + 1,)."""
    row: Ints
    """Their rows, shape (n_entries,)."""
    entry: Ints
    """Where in `value` they lie, shape (n_entries,)."""
    intercept: Floats
    """c, shape (1 or n, m)."""
    noise: Floats
    """V = R Q R^T, shape (1 or n, m, m)."""


def make_dynamics(system: System) -> Dynamics:
    """The dynamics of a system."""
    made: Dynamics | None = system.derived.get("dynamics")
    if made is None:
        T = system.transition
        used = (T != 0).any(axis=0)
        rows, columns = np.nonzero(used)
        by_column = np.lexsort((rows, columns))
        made = system.derived["dynamics"] = Dynamics(
            np.concatenate([[0], np.cumsum(used.sum(axis=1))]).astype(np.int64),
            columns.astype(np.int64),
            np.ascontiguousarray(T[:, rows, columns]),
            np.concatenate([[0], np.cumsum(used.sum(axis=0))]).astype(np.int64),
            rows[by_column].astype(np.int64),
            by_column.astype(np.int64),
            system.state_intercept,
            system.disturbance_cov,
        )
    return made


@kernel
def multiply(A: Floats, B: Floats, out: Floats) -> None:
    """Matrix product of square matrices; `out` is neither of them."""
    if A.shape[0] >= BLAS_FROM:
        np.dot(A, B, out)
    else:
        multiply_few(A, B, out)


@bare_kernel
def multiply_few(A: Floats, B: Floats, out: Floats) -> None:
    """As `multiply`, of few rows."""
    m = A.shape[0]
    for i in range(m):
        row = out[i]
        for j in range(m):
            row[j] = 0.0
        for k in range(m):
            factor = A[i, k]
            other = B[k]
            for j in range(m):
                row[j] += factor * other[j]


@bare_kernel
def fill(A: Floats, number: float) -> None:
    """Set every entry of a matrix; a loop compiles in a fraction of the time of a slice that is set."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] = number


@bare_kernel
def copy_to(A: Floats, out: Floats) -> None:
    """Out = A, matrices."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            out[i, j] = A[i, j]


@bare_kernel
def add_to(A: Floats, factor: float, out: Floats) -> None:
    """Out += factor A, matrices."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            out[i, j] += factor * A[i, j]


@bare_kernel
def move_mean(t: int, d: Dynamics, mean: Floats, moved: Floats) -> None:
    """Moved = c_t + T_t mean."""
    value = d.value[t if d.value.shape[0] > 1 else 0]
    c = d.intercept[t if d.intercept.shape[0] > 1 else 0]
    for i in range(mean.shape[0]):
        total = c[i]
        for e in range(d.row_start[i], d.row_start[i + 1]):
            total += value[e] * mean[d.column[e]]
        moved[i] = total


@bare_kernel
def left_product(t: int, d: Dynamics, A: Floats, out: Floats) -> None:
    """Out = T_t A; `out` is not A."""
    value = d.value[t if d.value.shape[0] > 1 else 0]
    m, n = A.shape
    for i in range(m):
        row = out[i]
        for j in range(n):
            row[j] = 0.0
        for e in range(d.row_start[i], d.row_start[i + 1]):
            factor = value[e]
            other = A[d.column[e]]
            for j in range(n):
                row[j] += factor * other[j]


@bare_kernel
def left_product_transposed(t: int, d: Dynamics, A: Floats, out: Floats) -> None:
    """Out = T_t^T A; `out` is not A."""
    value = d.value[t if d.value.shape[0] > 1 else 0]
    m, n = A.shape
    for i in range(m):
        row = out[i]
        for j in range(n):
            row[j] = 0.0
        for e in range(d.column_start[i], d.column_start[i + 1]):
            factor = value[d.entry[e]]
            other = A[d.row[e]]
            for j in range(n):
                row[j] += factor * other[j]


@bare_kernel
def transpose(A: Floats) -> None:
    """In place, of a square matrix."""
    for i in range(A.shape[0]):
        for j in range(i):
            kept = A[i, j]
            A[i, j] = A[j, i]
            A[j, i] = kept


@bare_kernel
def move_cov(t: int, d: Dynamics, P: Floats, work: Floats, moved: Floats) -> None:
    """Moved = T_t P T_t^T + V_t of a symmetric P, one triangle computed and mirrored."""
    left_product(t, d, P, work)
    transpose(work)  # P T^T
    value = d.value[t if d.value.shape[0] > 1 else 0]
    V = d.noise[t if d.noise.shape[0] > 1 else 0]
    m = P.shape[0]
    for i in range(m):
        row = moved[i]
        for j in range(i + 1):
            row[j] = V[i, j]
        for e in range(d.row_start[i], d.row_start[i + 1]):
            factor = value[e]
            other = work[d.column[e]]
            for j in range(i + 1):
                row[j] += factor * other[j]
        for j in range(i):
            moved[j, i] = row[j]


@bare_kernel
def pull_back(t: int, d: Dynamics, N: Floats, work: Floats) -> None:
    """N <- T_t^T N T_t of a symmetric N, one triangle computed and mirrored."""
    left_product_transposed(t, d, N, work)
    transpose(work)  # N T
    value = d.value[t if d.value.shape[0] > 1 else 0]
    m = N.shape[0]
    for i in range(m):
        row = N[i]
        for j in range(i + 1):
            row[j] = 0.0
        for e in range(d.column_start[i], d.column_start[i + 1]):
            factor = value[d.entry[e]]
            other = work[d.row[e]]
            for j in range(i + 1):
                row[j] += factor * other[j]
        for j in range(i):
            N[j, i] = row[j]


@bare_kernel
def times(A: Floats, x: Floats, out: Floats) -> None:
    """Out = A x."""
    for i in range(A.shape[0]):
        total = 0.0
        for j in range(A.shape[1]):
            total += A[i, j] * x[j]
        out[i] = total
