"""Square matrices in rows that are padded with zeros to whole vectors, for the products of register_rows.py.

A matrix of m rows lies at a place of a flat array, its rows `wide` numbers apart, with `wide` the next multiple of 8;
there are `wide` rows, too.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from statespace.foundations.kernel import bare_kernel, kept_apart, kernel_part
from statespace.foundations.register_rows import (
    combine,
    combine_chosen,
    copy_run,
    mirror_tile,
    set_product,
    turn_tile,
)
from statespace.lds.dynamics import Dynamics
from statespace.protocols import Floats, Ints

# No literals, for which kernels would be compiled once more
WHOLE = NOWHERE = SAME = cast(int, np.int64(0))
LOWER = NEXT = cast(int, np.int64(1))
_SPARSE = 3  # an entry of a sparse transition costs as much as so many of a full one


def zeros(n: int) -> Floats:
    """Zeros that begin where a line of the cache does."""
    whole = np.zeros(n + 8)
    first = -(whole.ctypes.data // 8) % 8
    return whole[first : first + n]


def is_full(dynamics: Dynamics) -> bool:
    """Whether products with the transition are cheaper with its zeros."""
    m = len(dynamics.row_start) - 1
    return _SPARSE * len(dynamics.column) > m * m


@bare_kernel
def read_rows(n: int, m: int, A: Floats, A_at: int, wide: int, out: Floats, at: int) -> None:
    """Copy n rows of m numbers to rows that are padded."""
    kept_apart()
    for i in range(n):
        copy_run(m, A, A_at + i * m, out, at + i * wide)


@bare_kernel
def write_rows(n: int, m: int, wide: int, A: Floats, at: int, out: Floats, out_at: int) -> None:
    """Copy n rows that are padded to rows of m numbers."""
    kept_apart()
    for i in range(n):
        copy_run(m, A, at + i * wide, out, out_at + i * m)


@kernel_part
def read_transition(
    row_start: Ints, column: Ints, value: Floats, wide: int, out: Floats, at: int, transposed_at: int
) -> None:
    """T and its transpose from the entries of T."""
    for i in range(row_start.shape[0] - 1):
        for e in range(row_start[i], row_start[i + 1]):
            out[at + i * wide + column[e]] = value[e]
            out[transposed_at + column[e] * wide + i] = value[e]


@bare_kernel
def clear_variance(j: int, m: int, wide: int, A: Floats, at: int) -> None:
    """Zeros in row and column j."""
    kept_apart()
    for k in range(m):
        A[at + j * wide + k] = 0.0
        A[at + k * wide + j] = 0.0


@bare_kernel
def mirror(wide: int, A: Floats, at: int) -> None:
    """The lower triangle over the diagonal."""
    kept_apart()
    for r in range(0, wide, 8):
        for c in range(0, r, 8):
            turn_tile(A, at + r * wide + c, wide, A, at + c * wide + r, wide)
        mirror_tile(A, at + r * wide + r, wide)


@bare_kernel
def turn(wide: int, A: Floats, at: int, out: int) -> None:
    """The transpose of a matrix, elsewhere in the same array."""
    kept_apart()
    for r in range(0, wide, 8):
        for c in range(0, wide, 8):
            turn_tile(A, at + r * wide + c, wide, A, out + c * wide + r, wide)


@bare_kernel
def congruence(
    m: int,
    wide: int,
    A: Floats,
    left: int,
    turned: int,
    P: int,
    zero: int,
    product: int,
    start: int,
    start_row: int,
    out: int,
) -> None:
    """Out = start + T P T^T of a symmetric P, of which the lower triangle is computed and mirrored.

    T and T^T lie in A, and so does all else: `zero` is a row of zeros, and `start` a matrix whose rows are `start_row`
    apart; of 0 it is one row for all.
    """
    kept_apart()
    set_product(wide, wide, m, A, left, wide, NEXT, A, P, wide, A, zero, SAME, A, product, wide, WHOLE)
    set_product(wide, wide, m, A, product, wide, NEXT, A, turned, wide, A, start, start_row, A, out, wide, LOWER)
    mirror(wide, A, out)


@bare_kernel
def sparse_congruence(
    first: Ints,
    chosen: Ints,
    value: Floats,
    wide: int,
    A: Floats,
    P: int,
    zero: int,
    product: int,
    start: int,
    start_row: int,
    out: int,
) -> None:
    """As `congruence`, by the entries of T, whose row i has those from first[i] to first[i + 1]."""
    kept_apart()
    sparse_product(first, chosen, value, wide, A, P, zero, SAME, WHOLE, out)
    turn(wide, A, out, product)
    sparse_product(first, chosen, value, wide, A, product, start, start_row, LOWER, out)
    mirror(wide, A, out)


@bare_kernel
def sparse_product(
    first: Ints,
    chosen: Ints,
    value: Floats,
    wide: int,
    A: Floats,
    B: int,
    start: int,
    start_row: int,
    lower: int,
    out: int,
) -> None:
    """Out = start + T B by the entries of T; with `lower` its lower triangle, with a `start_row` of 0 one row."""
    kept_apart()
    for i in range(first.shape[0] - 1):
        at, n = first[i], first[i + 1] - first[i]
        for c in range(0, i + 1 if lower else wide, 8):
            begun, place = start + i * start_row + c, out + i * wide + c
            if n:
                combine_chosen(n, value, at, chosen, at, A, B + c, wide, A, begun, A, place)
            else:
                copy_run(8, A, begun, A, place)


@bare_kernel
def combine_rows(n: int, wide: int, A: Floats, x: int, rows: int, start: int, out: int) -> None:
    """Out = start + x^T A of n rows, a multiple of 4."""
    kept_apart()
    for c in range(0, wide, 8):
        combine(n, A, x, A, rows + c, wide, A, start + c, A, out + c)


@kernel_part
def change_between(m: int, wide: int, A: Floats, P: int, other: int) -> float:
    """The largest change from P to another, relative to the deviations; inf where a variance was or became 0."""
    largest = 0.0
    for i in range(m):
        variance = A[P + i * wide + i]
        change = abs(A[other + i * wide + i] - variance)
        if change > 0.0:
            largest = max(largest, change / variance if variance > 0.0 else np.inf)
    if largest <= 1e-12:
        for i in range(m):
            for j in range(i):
                change = abs(A[other + i * wide + j] - A[P + i * wide + j])
                if change > 0.0:
                    scale = A[P + i * wide + i] * A[P + j * wide + j]
                    largest = max(largest, change / math.sqrt(scale) if scale > 0.0 else np.inf)
    return largest
