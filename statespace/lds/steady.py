r"""Steps of a steady filter: gains are known, and what is left is one linear recursion of the mean.

    a_{t+1} = L a_t + K x_t + c_t,     v_ti = x_ti - U_i a_t - sum_{j < i} w_ij x_tj

with matrices that follow once from the gains of the numbers. The innovations are off the chain from one mean to the
next, which is then as short as it can be; up to four states and two numbers it stays in registers.
"""

from __future__ import annotations

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import fill
from statespace.protocols import Floats, Ints

SMALL_STATES = 4
SMALL_NUMBERS = 2


@kernel
def closed_form(
    design: Floats, gains: Floats, kind: Ints, q: int, row_start: Ints, column: Ints, value: Floats, out: Floats
) -> None:
    """L, K, U and w of a steady step, padded with zeros to four states and two numbers.

    design : (p, m); gains : (p, m); kind : (p,); value : (n_entries,). out : (9, 4): the rows of L; K^T in rows 4, 5;
    U in rows 6, 7; w_10 at (8, 0).
    """
    m = row_start.shape[0] - 1
    G, kappa, T = np.zeros((4, 4)), np.zeros((2, 4)), np.zeros((4, 4))
    fill(out, 0.0)
    for i in range(m):
        G[i, i] = 1.0
        for e in range(row_start[i], row_start[i + 1]):
            T[i, column[e]] = value[e]
    for i in range(q):
        if kind[i] == 0:
            continue
        for j in range(m):
            for k in range(m):
                out[6 + i, j] += design[i, k] * G[k, j]
        for j in range(i):
            for k in range(m):
                out[8, 0] += design[i, k] * kappa[j, k]
        for k in range(m):
            for j in range(m):
                G[k, j] -= gains[i, k] * out[6 + i, j]
            for j in range(i):
                kappa[j, k] -= gains[i, k] * out[8, 0]
            kappa[i, k] = gains[i, k]
    for i in range(m):
        for k in range(m):
            for j in range(m):
                out[i, j] += T[i, k] * G[k, j]
            for j in range(q):
                out[4 + j, i] += T[i, k] * kappa[j, k]


@kernel
def steady_small(
    first: int,
    last: int,
    x: Floats,
    q: int,
    closed: Floats,
    intercept: Floats,
    precisions: Floats,
    keep: int,
    means: Floats,
    a: Floats,
) -> float:
    """Steps first..last-1 of at most four states and two numbers, from a, which becomes the mean after them.

    closed : as of `closed_form`; precisions : (2,), 1 / F of each number. With `keep` the predicted means are written
    to means (n + 1, m). Returns the sum of v^2 / F.
    """
    m = a.shape[0]
    timed = int(intercept.shape[0] > 1)
    a0, a1, a2, a3 = a[0], 0.0, 0.0, 0.0
    if m > 1:
        a1 = a[1]
    if m > 2:
        a2 = a[2]
    if m > 3:
        a3 = a[3]
    L00, L01, L02, L03 = closed[0, 0], closed[0, 1], closed[0, 2], closed[0, 3]
    L10, L11, L12, L13 = closed[1, 0], closed[1, 1], closed[1, 2], closed[1, 3]
    L20, L21, L22, L23 = closed[2, 0], closed[2, 1], closed[2, 2], closed[2, 3]
    L30, L31, L32, L33 = closed[3, 0], closed[3, 1], closed[3, 2], closed[3, 3]
    K0, K1, K2, K3 = closed[4, 0], closed[4, 1], closed[4, 2], closed[4, 3]
    J0, J1, J2, J3 = closed[5, 0], closed[5, 1], closed[5, 2], closed[5, 3]
    U0, U1, U2, U3 = closed[6, 0], closed[6, 1], closed[6, 2], closed[6, 3]
    V0, V1, V2, V3 = closed[7, 0], closed[7, 1], closed[7, 2], closed[7, 3]
    w, weight_0, weight_1 = closed[8, 0], precisions[0], precisions[1]
    c = intercept[0]
    c0, c1, c2, c3 = c[0], 0.0, 0.0, 0.0
    if m > 1:
        c1 = c[1]
    if m > 2:
        c2 = c[2]
    if m > 3:
        c3 = c[3]
    squares_0: float = 0.0
    squares_1: float = 0.0
    for t in range(first, last):
        if keep:
            means[t, 0] = a0
            if m > 1:
                means[t, 1] = a1
            if m > 2:
                means[t, 2] = a2
            if m > 3:
                means[t, 3] = a3
        if timed:
            c0 = intercept[t, 0]
            if m > 1:
                c1 = intercept[t, 1]
            if m > 2:
                c2 = intercept[t, 2]
            if m > 3:
                c3 = intercept[t, 3]
        x0, x1 = (x[t, 0] if q > 0 else 0.0), (x[t, 1] if q > 1 else 0.0)
        if m == 1:
            v = x0 - U0 * a0
            squares_0 += v * v
            if q > 1:
                v = x1 - w * x0 - V0 * a0
                squares_1 += v * v
            a0 = L00 * a0 + (K0 * x0 + J0 * x1 + c0)
        elif m == 2:
            v = x0 - (U0 * a0 + U1 * a1)
            squares_0 += v * v
            if q > 1:
                v = x1 - w * x0 - (V0 * a0 + V1 * a1)
                squares_1 += v * v
            b0 = L00 * a0 + (L01 * a1 + (K0 * x0 + J0 * x1 + c0))
            a1 = L10 * a0 + (L11 * a1 + (K1 * x0 + J1 * x1 + c1))
            a0 = b0
        else:
            v = x0 - (U0 * a0 + U1 * a1 + (U2 * a2 + U3 * a3))
            squares_0 += v * v
            if q > 1:
                v = x1 - w * x0 - (V0 * a0 + V1 * a1 + (V2 * a2 + V3 * a3))
                squares_1 += v * v
            b0 = (L00 * a0 + L01 * a1) + (L02 * a2 + L03 * a3) + (K0 * x0 + J0 * x1 + c0)
            b1 = (L10 * a0 + L11 * a1) + (L12 * a2 + L13 * a3) + (K1 * x0 + J1 * x1 + c1)
            b2 = (L20 * a0 + L21 * a1) + (L22 * a2 + L23 * a3) + (K2 * x0 + J2 * x1 + c2)
            a3 = (L30 * a0 + L31 * a1) + (L32 * a2 + L33 * a3) + (K3 * x0 + J3 * x1 + c3)
            a0, a1, a2 = b0, b1, b2
    a[0] = a0
    if m > 1:
        a[1] = a1
    if m > 2:
        a[2] = a2
    if m > 3:
        a[3] = a3
    return float(squares_0 * weight_0 + squares_1 * weight_1)


@kernel
def steady_numbers(
    first: int,
    last: int,
    x: Floats,
    q: int,
    design: Floats,
    gains: Floats,
    F: Floats,
    step_log: float,
    means: Floats,
    filtered: Floats,
    innovations: Floats,
    steps: Floats,
) -> None:
    """Filtered means, innovations and log-likelihoods of steady steps whose predicted means are known.

    None of their numbers is skipped.
    """
    m = means.shape[1]
    for t in range(first, last):
        for j in range(m):
            filtered[t, j] = means[t, j]
        square = 0.0
        for i in range(q):
            v = x[t, i]
            for j in range(m):
                v -= design[i, j] * filtered[t, j]
            for j in range(m):
                filtered[t, j] += gains[i, j] * v
            innovations[t, i] = v
            square += v * v / F[i]
        steps[t] = step_log - 0.5 * square


@kernel
def steady_small_back(
    first: int,
    last: int,
    q: int,
    closed: Floats,
    v: Floats,
    precisions: Floats,
    P: Floats,
    means: Floats,
    r: Floats,
    smoothed: Floats,
) -> None:
    """The backward recursion r <- L^T r + sum_i U_i^T v_i / F_i over steps last-1..first, and means a + P r.

    Of at most four states and two numbers; r (n + 1, m) is read at `last` and written before it; v (n, p) are
    innovations, P (m, m) the steady covariance, means (n + 1, m) predicted ones.
    """
    m = P.shape[0]
    L, U, C = np.zeros((4, 4)), np.zeros((2, 4)), np.zeros((4, 4))
    for i in range(m):
        for j in range(m):
            L[j, i] = closed[i, j]
            C[i, j] = P[i, j]
        for i_number in range(q):
            U[i_number, i] = closed[6 + i_number, i] * precisions[i_number]
    L00, L01, L02, L03 = L[0, 0], L[0, 1], L[0, 2], L[0, 3]
    L10, L11, L12, L13 = L[1, 0], L[1, 1], L[1, 2], L[1, 3]
    L20, L21, L22, L23 = L[2, 0], L[2, 1], L[2, 2], L[2, 3]
    L30, L31, L32, L33 = L[3, 0], L[3, 1], L[3, 2], L[3, 3]
    U0, U1, U2, U3 = U[0, 0], U[0, 1], U[0, 2], U[0, 3]
    V0, V1, V2, V3 = U[1, 0], U[1, 1], U[1, 2], U[1, 3]
    r0, r1, r2, r3 = r[last, 0], 0.0, 0.0, 0.0
    if m > 1:
        r1 = r[last, 1]
    if m > 2:
        r2 = r[last, 2]
    if m > 3:
        r3 = r[last, 3]
    for t in range(last - 1, first - 1, -1):
        x0, x1 = (v[t, 0] if q > 0 else 0.0), (v[t, 1] if q > 1 else 0.0)
        if m == 1:
            r0 = L00 * r0 + (U0 * x0 + V0 * x1)
            r[t, 0] = r0
            smoothed[t, 0] = means[t, 0] + C[0, 0] * r0
        elif m == 2:
            b0 = L00 * r0 + (L01 * r1 + (U0 * x0 + V0 * x1))
            r1 = L10 * r0 + (L11 * r1 + (U1 * x0 + V1 * x1))
            r0 = b0
            r[t, 0], r[t, 1] = r0, r1
            smoothed[t, 0] = means[t, 0] + (C[0, 0] * r0 + C[0, 1] * r1)
            smoothed[t, 1] = means[t, 1] + (C[1, 0] * r0 + C[1, 1] * r1)
        else:
            b0 = (L00 * r0 + L01 * r1) + (L02 * r2 + L03 * r3) + (U0 * x0 + V0 * x1)
            b1 = (L10 * r0 + L11 * r1) + (L12 * r2 + L13 * r3) + (U1 * x0 + V1 * x1)
            b2 = (L20 * r0 + L21 * r1) + (L22 * r2 + L23 * r3) + (U2 * x0 + V2 * x1)
            r3 = (L30 * r0 + L31 * r1) + (L32 * r2 + L33 * r3) + (U3 * x0 + V3 * x1)
            r0, r1, r2 = b0, b1, b2
            r[t, 0], r[t, 1], r[t, 2] = r0, r1, r2
            for i in range(3):
                smoothed[t, i] = means[t, i] + (C[i, 0] * r0 + C[i, 1] * r1) + (C[i, 2] * r2 + C[i, 3] * r3)
            if m > 3:
                r[t, 3] = r3
                smoothed[t, 3] = means[t, 3] + (C[3, 0] * r0 + C[3, 1] * r1) + (C[3, 2] * r2 + C[3, 3] * r3)


@kernel
def steady_smoothing_errors(
    first: int,
    last: int,
    q: int,
    design: Floats,
    gains: Floats,
    F: Floats,
    kind: Ints,
    column_start: Ints,
    row: Ints,
    entry: Ints,
    value: Floats,
    v: Floats,
    r: Floats,
    u: Floats,
) -> None:
    """U = v / F - k r of each number of steady steps whose r are known."""
    m = r.shape[1]
    back = np.empty(m)
    for t in range(first, last):
        for j in range(m):
            total = 0.0
            for e in range(column_start[j], column_start[j + 1]):
                total += value[entry[e]] * r[t + 1, row[e]]
            back[j] = total
        for i in range(q - 1, -1, -1):
            error = 0.0
            if kind[i] != 0:
                error = v[t, i] / F[i]
                for j in range(m):
                    error -= gains[i, j] * back[j]
                for j in range(m):
                    back[j] += design[i, j] * error
            u[t, i] = error
