r"""The start in which nothing is known of some states, exactly: covariances P + k A A^T, k -> infinity.

The loadings A have a column for each direction of which nothing is known. A row z of the design meets them in
b = A^T z. Where b is not zero, A is rotated so that its first column alone meets z; the number x determines that
direction, and the column is gone:

    K0 = A_1 / (z A_1),   F_inf = |b|^2,   a <- a + K0 v,   P <- (I - K0 z) P (I - K0 z)^T + h K0 K0^T
    log-likelihood of the number: -1/2 (log 2 pi + log F_inf)

Where b is zero the number is an ordinary one. Whether it is zero is asked of the rounding in A, of which a covariance N
is carried along: rotations do not change it, and it moves with the states, so that it does not grow where they do not
(bounds of absolute values would), nor depend on the units of states or of data. A rank falls by one exactly, and never
by subtraction.

The recursions are those of Koopman (1997) and Durbin and Koopman (2012, chapter 5), in loadings instead of A A^T.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import numpy as np

from statespace.foundations.kernel import bare_kernel
from statespace.lds.dynamics import Dynamics, copy_to, move_cov, move_mean
from statespace.lds.kalman import DIFFUSE, LOG_2PI, ROUNDING, SKIPPED, SUM_LOST, Rows, Tables, take_number
from statespace.lds.square_root_arrays import (
    EPS,
    SURE,
    clear_rounding,
    column_squares,
    met_rounding,
    move_rounding,
    project_rounding,
)
from statespace.protocols import Floats, Ints

_MANY = 16  # directions of which it is not asked at every step whether the transition has forgotten one
_FIRST = cast(int, np.int64(0))  # no literal, for which a kernel would be compiled once more


class DiffuseTables(NamedTuple):
    """What the backward pass needs of the diffuse steps."""

    loadings: Floats
    """Predicted A^T of each step, shape (n_kept, m, m); rows beyond n_left are not set."""
    n_left: Ints
    """Columns of A before each step, shape (n_kept,)."""


@bare_kernel
def determine(z: Floats, A: Floats, N: Floats, q: int, b: Floats) -> float:
    """Rotate the rows A[:q] so that the last alone meets z, and return what it meets; 0.0 where none does.

    A : (m, m), loadings as rows, N the covariance of rounding in a row of them; both are changed. b : (m,), for work.
    """
    m = A.shape[1]
    for j in range(q):
        b[j] = 0.0
    norm, fresh, largest, pivot = 0.0, 0.0, 0.0, 0
    for i in range(m):
        if z[i] != 0.0:
            for j in range(q):
                b[j] += z[i] * A[j, i]
                fresh += (z[i] * A[j, i]) ** 2
    for j in range(q):
        norm += b[j] * b[j]
        if abs(b[j]) > largest:
            largest, pivot = abs(b[j]), j
    if not norm > SURE * SURE * (met_rounding(N, z) + EPS * EPS * fresh):
        return 0.0
    # The pivot takes the last place
    last = q - 1
    if pivot != last:
        for i in range(m):
            A[pivot, i], A[last, i] = A[last, i], A[pivot, i]
        b[pivot], b[last] = b[last], b[pivot]
    norm = math.sqrt(norm)
    met = -norm if b[last] > 0 else norm
    b[last] -= met
    _reflect(A, N, b, _FIRST, q)
    return met


@bare_kernel
def _reflect(A: Floats, N: Floats, u: Floats, first: int, last: int) -> None:
    """Reflect the rows first..last-1 of A in the plane that u is normal to."""
    squared = 0.0
    for j in range(first, last):
        squared += u[j] * u[j]
    if squared == 0.0:
        return
    for i in range(A.shape[1]):
        total, size = 0.0, 0.0
        for j in range(first, last):
            total += u[j] * A[j, i]
            size += A[j, i] * A[j, i]
        if total != 0.0:
            total *= 2.0 / squared
            for j in range(first, last):
                A[j, i] -= u[j] * total
            N[i, i] += EPS * EPS * size


@bare_kernel
def forget_directions(A: Floats, N: Floats, q: int, w: Floats) -> int:
    """Rotate the rows A[:q] until no more of them are other than zero than there must be; how many are left.

    w : (m,), for work.
    """
    m = A.shape[1]
    for j in range(q):
        best, pivot = SURE * SURE, -1
        for i in range(m):
            size, whole = 0.0, 0.0
            for k in range(q):
                whole += A[k, i] * A[k, i]
                if k >= j:
                    size += A[k, i] * A[k, i]
            doubt = N[i, i] + EPS * EPS * whole
            if size > best * doubt:
                best, pivot = size / doubt, i
        if pivot < 0:
            return j
        norm = 0.0
        for k in range(j, q):
            w[k] = A[k, pivot]
            norm += w[k] * w[k]
        w[j] += math.sqrt(norm) if w[j] > 0 else -math.sqrt(norm)
        if q - j > 1:
            _reflect(A, N, w, j, q)
            for k in range(j + 1, q):
                A[k, pivot] = 0.0
    return q


@bare_kernel
def move_loadings(t: int, d: Dynamics, A: Floats, N: Floats, q: int, work: Floats) -> None:
    """A <- A T^T in rows, with its rounding. work : (m + 2, m)."""
    value = d.value[t if d.value.shape[0] > 1 else 0]
    m = A.shape[1]
    move_rounding(t, d, N, work[:m])
    sizes, moved = work[m], work[m + 1]
    for i in range(m):
        sizes[i] = 0.0
        for j in range(q):
            sizes[i] += A[j, i] * A[j, i]
    for i in range(m):
        fresh = 0.0
        for e in range(d.row_start[i], d.row_start[i + 1]):
            fresh += value[e] * value[e] * sizes[d.column[e]]
        if d.row_start[i + 1] - d.row_start[i] > 1 or (fresh > 0.0 and abs(value[d.row_start[i]]) != 1.0):
            N[i, i] += EPS * EPS * fresh
    for j in range(q):
        for i in range(m):
            total = 0.0
            for e in range(d.row_start[i], d.row_start[i + 1]):
                total += value[e] * A[j, d.column[e]]
            moved[i] = total
        for i in range(m):
            A[j, i] = moved[i]


@bare_kernel
def take_diffuse_number(
    x: float, z: Floats, h: float, a: Floats, P: Floats, A: Floats, met: float, gain: Floats, meets: Floats
) -> tuple[float, float, float, float]:
    """Update a and P by a number that determines the direction A (m,), of which z meets `met`.

    `gain` becomes K0 and `meets` P z^T. Returns v, F_inf, z P z^T + h, and the log-likelihood.
    """
    m = a.shape[0]
    v, F = x, h
    for j in range(m):
        meets[j] = 0.0
    for i in range(m):
        zi = z[i]
        if zi != 0.0:
            v -= zi * a[i]
            for j in range(m):
                meets[j] += zi * P[i, j]
    for i in range(m):
        F += z[i] * meets[i]
    for i in range(m):
        gain[i] = A[i] / met
    for i in range(m):
        for j in range(i + 1):
            P[i, j] += gain[i] * gain[j] * F - gain[i] * meets[j] - meets[i] * gain[j]
            P[j, i] = P[i, j]
        a[i] += gain[i] * v
    return v, met * met, F, -0.5 * (LOG_2PI + math.log(met * met))


@bare_kernel
def differences_left(t: int, d: Dynamics, reach: Floats, Pf: Floats, P: Floats) -> bool:
    """Whether a variance of P = T_t Pf T_t^T + V_t is so little of what was added up to it that digits were lost.

    `reach` (m,) is a bound of the variances of Pf before numbers were taken. What is rounding becomes 0.
    """
    value = d.value[t if d.value.shape[0] > 1 else 0]
    V = d.noise[t if d.noise.shape[0] > 1 else 0]
    lost = False
    for i in range(P.shape[0]):
        bound = 0.0
        for e in range(d.row_start[i], d.row_start[i + 1]):
            j = d.column[e]
            if Pf[j, j] != 0.0:
                bound += value[e] * value[e] * reach[j]
        if P[i, i] < SUM_LOST * (bound + V[i, i]):  # roundings of many terms do not all add up
            lost = True
            if P[i, i] <= ROUNDING * ((d.row_start[i + 1] - d.row_start[i]) * bound + V[i, i]):
                for j in range(P.shape[0]):
                    P[i, j] = P[j, i] = 0.0
    return lost


@bare_kernel
def diffuse_steps(
    first: int,
    last: int,
    rows: Rows,
    d: Dynamics,
    A: Floats,
    E: Floats,
    q: int,
    keep: int,
    tables: Tables,
    diffuse: DiffuseTables,
    work: Floats,
) -> tuple[float, int, int, int, bool]:
    """Filter the steps from `first` on while there are diffuse directions, at most to `last`.

    A, E : (m, m), loadings as rows, of which q are left, and the covariance of their rounding. work : (m + 4, m).
    tables.P[first] (the last two rows with `keep` 0) is what begins. Returns the log-likelihood, the next step, how
    many directions are left, how many numbers determined one, and whether digits were lost.
    """
    m, p = A.shape[1], rows.variances.shape[1]
    reach, meets, span, turned, product = work[m], work[m + 1], work[m + 2], work[m + 3], work[:m]
    total, determined, lost, t = 0.0, 0, False, first
    while t < last and q > 0:
        now, after = (t, t + 1) if keep else (t & 1, (t + 1) & 1)
        here = t if keep else 0
        f = rows.frame[t]
        a, af = tables.a[now], tables.af[here]
        P, Pf = tables.P[now], tables.Pf[now]
        if keep:
            diffuse.n_left[t - first] = q
            copy_to(A, diffuse.loadings[t - first])
        for i in range(m):
            af[i] = a[i]
            span[i] = abs(a[i])
            reach[i] = P[i, i]
            for j in range(m):
                Pf[i, j] = P[i, j]
        step = 0.0
        for i in range(p):
            tables.kind[now, i] = SKIPPED
            tables.F[now, i] = 0.0
        for i in range(rows.n_seen[f]):
            z, h, x = rows.design[f, i], rows.variances[f, i], rows.x[t, i]
            met = determine(z, A, E, q, turned) if q else 0.0
            if met != 0.0:
                q -= 1
                v, F, _, gained = take_diffuse_number(x, z, h, af, Pf, A[q], met, tables.k[now, i], meets)
                project_rounding(E, tables.k[now, i], z, meets)
                for j in range(m):  # the reflection has rounded what the projection takes to be gone
                    whole = 0.0
                    for r in range(q + 1):
                        whole += A[r, j] * A[r, j]
                    E[j, j] += EPS * EPS * whole
                kind = DIFFUSE
                determined += 1
                for j in range(m):
                    reach[j] = max(reach[j], Pf[j, j])
                    span[j] += abs(tables.k[now, i, j] * v)
            else:
                kind, v, F, gained, bad = take_number(x, z, h, reach, span, af, Pf, tables.k[now, i])
                lost = lost or bad
            tables.kind[now, i] = kind
            tables.F[now, i] = F
            if keep:
                tables.v[t, i] = v
            step += gained
        total += step
        if keep:
            tables.steps[t] = step
            tables.place[t] = t
        move_mean(t, d, af, tables.a[after])
        move_cov(t, d, Pf, product, tables.P[after])
        bad = differences_left(t, d, reach, Pf, tables.P[after])
        lost = lost or bad
        if q:
            move_loadings(t, d, A, E, q, work)
            column_squares(A, _FIRST, q, m, meets)
            clear_rounding(A, q, E, meets)
            if q < _MANY or t % (q // 8) == 0:  # what is forgotten delays the end of the start, no more
                q = forget_directions(A, E, q, turned)
        t += 1
    return total, t, q, determined, lost
