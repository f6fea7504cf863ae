r"""The backward pass: r and N, from which follow smoothed states, disturbances and the exact gradient.

With z, v, F, k of a number as in kalman.py, and r = 0, N = 0 after the last step, backwards over the numbers of a step

    w = N k,   D = 1 / F + k^T w,   u = v / F - k^T r
    r <- r + z u,   N <- (I - k z)^T N (I - k z) + z z^T / F = N - z w^T - w z^T + D z z^T

and between the steps r <- T^T r, N <- T^T N T. Then

    E(a_t | all) = a + P r          Cov(a_t | all) = P - P N P          Cov(a_{t+1}, a_t | all) = (I - P_{t+1} N) T P_f

where r and N are those that lead into the step, and in the last formula into the one after it. Derivatives of the
log-likelihood by the rows of the design and by the covariance of the noise take D between any two numbers of a step,
D_ij = -k_i^T c_j with c_j = Cov(r, u_j), and k - P N k, with P after the number; see gradient.py.

de Jong (1989); Durbin and Koopman (2012), sections 4.4, 4.5 and 6.4; Koopman and Shephard (1992).
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import numpy as np

from statespace.foundations.kernel import bare_kernel, kernel
from statespace.lds.dynamics import Dynamics, add_to, fill, left_product, multiply_few
from statespace.lds.kalman import SKIPPED, Rows, Tables
from statespace.lds.steady import SMALL_NUMBERS, closed_form, steady_small_back, steady_smoothing_errors
from statespace.protocols import Floats, Ints

_NONE = cast(int, np.int64(-1))  # no literal, for which kernels would be compiled once more
MEAN_LOST = 1e6  # roundings of what a smoothed mean was added up from, relative to roundings of its own unit
_STILL = 4e-15  # a change of N, relative to the deviations that belong to it, that is rounding


class Backward(NamedTuple):
    """What the backward pass writes down; G rows of covariances, which steady steps share."""

    r: Floats
    """r that leads into a step, shape (n + 1, m)."""
    u: Floats
    """u of the transformed numbers, shape (n, p)."""
    mean: Floats
    """Smoothed means, shape (n, m)."""
    place: Ints
    """The row of N, cov and lag that belongs to a step, shape (n + 1,)."""
    N: Floats
    """N that leads into a step, shape (G, m, m)."""
    cov: Floats
    """Smoothed covariances, shape (G, m, m), or (1, m, m) where they are not asked for."""
    lag: Floats
    """Cov(a_{t+1}, a_t | all), shape as cov."""
    D: Floats
    """Sums over the steps of a frame of D, shape (n_frames, p, p)."""
    Z: Floats
    """Sums over the steps of a frame of k - P N k, shape (n_frames, p, m)."""
    W: Floats
    """N T P_f, summed over the steps, shape (1, m, m), or of each step, shape (n, m, m)."""
    size: Floats
    """A bound of the products that were added up to a smoothed variance of each state, the largest, shape (m,).

    inf where what tells of lost digits is none of these sums.
    """


@bare_kernel
def retreat(z: Floats, k: Floats, w: Floats, precision: float, N: Floats, work: Floats) -> None:
    """N <- (I - k z)^T N (I - k z) + precision z z^T, with w = N k.

    One factor after the other: where k z is close to 1, a sum of all terms would lose the digits of what is left.
    """
    m = z.shape[0]
    for i in range(m):
        row, factor = N[i], w[i]
        for j in range(m):
            row[j] -= factor * z[j]
    for j in range(m):
        work[j] = 0.0
    for i in range(m):
        row, factor = N[i], k[i]
        for j in range(m):
            work[j] += factor * row[j]
    for j in range(m):
        work[j] -= precision * z[j]
    for i in range(m):
        if z[i] != 0.0:
            row, factor = N[i], z[i]
            for j in range(m):
                row[j] -= factor * work[j]


@bare_kernel
def correlate(i: int, z: Floats, k: Floats, w: Floats, c: Floats, D: Floats) -> None:
    """Row and column i of D from number i on; c[j] (m,) becomes Cov(r, u_j) before it, for j >= i."""
    m, q = z.shape[0], c.shape[0]  # rows of c beyond the numbers of the step are 0
    for j in range(i + 1, q):
        total = 0.0
        for a in range(m):
            total -= k[a] * c[j, a]
        D[i, j] = D[j, i] = total
        for a in range(m):
            c[j, a] += z[a] * total
    for a in range(m):
        c[i, a] = z[a] * D[i, i] - w[a]


@bare_kernel
def symmetrize(A: Floats) -> None:
    """The mean of a matrix and its transpose, in place."""
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] = A[j, i] = 0.5 * (A[i, j] + A[j, i])


@bare_kernel
def unmoved(N: Floats, before: Floats) -> bool:
    """Whether two symmetric matrices differ by rounding alone."""
    m = N.shape[0]
    for i in range(m):
        if abs(N[i, i] - before[i, i]) > _STILL * N[i, i]:
            return False
    for i in range(m):
        for j in range(i):
            change = abs(N[i, j] - before[i, j])
            if change > 0.0 and change > _STILL * math.sqrt(N[i, i] * N[j, j]):
                return False
    return True


@bare_kernel
def reach_of(P: Floats, N: Floats) -> float:
    """sum_i (P_ii N_ii)^1/2: sum_jk |P_ij N_jk P_ki| is at most its square times P_ii."""
    total = 0.0
    for i in range(P.shape[0]):
        total += math.sqrt(max(P[i, i] * abs(N[i, i]), 0.0))
    return total


@bare_kernel
def cross_cov(X: Floats, moved: Floats, lag: Floats) -> None:
    """Lag = (I - X) moved, with X = P_{t+1} N and moved = T P_f."""
    multiply_few(X, moved, lag)
    for i in range(lag.shape[0]):
        for j in range(lag.shape[0]):
            lag[i, j] = moved[i, j] - lag[i, j]


@kernel
def smooth_steps(
    first: int,
    rows: Rows,
    d: Dynamics,
    tables: Tables,
    g: int,
    moments: int,
    derivatives: int,
    by_transition: int,
    errors: int,
    out: Backward,
) -> int:
    """Pass backwards over the steps n-1..first of at most four states, from out.r[n] and out.N[g].

    moments : whether covariances are wanted; derivatives : whether Z and the diagonal of D are, 2 for all of D;
    by_transition : whether W is; errors : whether u is. Returns the row of N that leads into step `first`; rows are
    filled downwards from g.
    """
    frame, design, n_seen = rows.frame, rows.design, rows.n_seen
    column_start, row, entry, value = d.column_start, d.row, d.entry, d.value
    all_a, all_v, place = tables.a, tables.v, tables.place
    all_P, all_Pf, gains, all_F, kinds = tables.P, tables.Pf, tables.k, tables.F, tables.kind
    all_r, all_u, all_mean, out_place, all_N = out.r, out.u, out.mean, out.place, out.N
    n, m = tables.af.shape
    p = rows.variances.shape[1]
    timed = int(value.shape[0] > 1)
    r, w, s, c = np.empty(m), np.empty(m), np.empty(m), np.zeros((p, m))
    moved, X, Pj, N, before = np.empty((m, m)), np.zeros((m, m)), np.empty((m, m)), np.empty((m, m)), np.empty((m, m))
    D, Z, W = np.zeros((p, p)), np.zeros((p, m)), np.zeros((m, m))
    closed, precisions = np.empty((9, 4)), np.zeros(2)
    steady, place_before, frame_before, repeated = False, _NONE, _NONE, 0.0
    out_place[n] = g
    t = n - 1
    while t >= first:
        here, f = place[t], frame[t]
        q = n_seen[f]
        same = here == place_before and f == frame_before
        if steady and same and q <= SMALL_NUMBERS:
            # A run of steps that differ in their means alone
            begin = t
            while begin > first and place[begin - 1] == here and frame[begin - 1] == f:
                begin -= 1
            closed_form(design[f], gains[here], kinds[here], q, d.row_start, d.column, value[0], closed)
            for i in range(q):
                precisions[i] = 1.0 / all_F[here, i] if kinds[here, i] != SKIPPED else 0.0
            steady_small_back(begin, t + 1, q, closed, all_v, precisions, all_P[here], all_a, all_r, all_mean)
            if errors:
                steady_smoothing_errors(
                    begin,
                    t + 1,
                    q,
                    design[f],
                    gains[here],
                    all_F[here],
                    kinds[here],
                    column_start,
                    row,
                    entry,
                    value[0],
                    all_v,
                    all_r,
                    all_u,
                )
            for b in range(begin, t + 1):
                out_place[b] = g
            repeated += t + 1.0 - begin
            t = begin - 1
            continue
        T = timed * t
        for j in range(m):
            total = 0.0
            for e in range(column_start[j], column_start[j + 1]):
                total += value[T, entry[e]] * all_r[t + 1, row[e]]
            r[j] = total
        for i in range(q - 1, -1, -1):
            u = 0.0
            if kinds[here, i] != SKIPPED:
                u = all_v[t, i] / all_F[here, i]
                for j in range(m):
                    u -= gains[here, i, j] * r[j]
                for j in range(m):
                    r[j] += design[f, i, j] * u
            all_u[t, i] = u
        for i in range(m):
            all_r[t, i] = r[i]
            total = all_a[t, i]
            for j in range(m):
                total += all_P[here, i, j] * r[j]
            all_mean[t, i] = total
        if steady and same:
            out_place[t] = g
            repeated += 1.0
            t -= 1
            continue
        if repeated > 0.0:
            add_repeated(repeated, frame_before, D, Z, W, derivatives, by_transition, out)
            repeated = 0.0
        place_before, frame_before = here, f
        for i in range(m):
            for j in range(m):
                before[i, j] = all_N[g, i, j]
                N[i, j] = before[i, j]
        if moments or by_transition:
            left_product(t, d, all_Pf[here], moved)
        if moments and t < n - 1:
            cross_cov(X, moved, out.lag[g - 1])
        if by_transition:
            multiply_few(before, moved, W)
            for i in range(m):
                for j in range(m):
                    out.W[t if out.W.shape[0] > 1 else 0, i, j] += W[i, j]
        # N between the steps: T^T N T, one triangle and its mirror
        for i in range(m):
            for j in range(m):
                Pj[i, j] = 0.0
            for e in range(column_start[i], column_start[i + 1]):
                factor, other = value[T, entry[e]], row[e]
                for j in range(m):
                    Pj[i, j] += factor * N[other, j]
        for i in range(m):
            for j in range(i):
                Pj[i, j], Pj[j, i] = Pj[j, i], Pj[i, j]
        for i in range(m):
            for j in range(i + 1):
                N[i, j] = 0.0
            for e in range(column_start[i], column_start[i + 1]):
                factor, other = value[T, entry[e]], row[e]
                for j in range(i + 1):
                    N[i, j] += factor * Pj[other, j]
        for i in range(m):
            for j in range(i):
                N[j, i] = N[i, j]
        if derivatives:
            for i in range(m):
                for j in range(m):
                    Pj[i, j] = all_Pf[here, i, j]
            fill(D, 0.0)
            fill(Z, 0.0)
            fill(c, 0.0)
        for i in range(q - 1, -1, -1):
            if kinds[here, i] == SKIPPED:
                continue
            F = all_F[here, i]
            between = 1.0 / F
            for a in range(m):
                total = 0.0
                for b in range(m):
                    total += N[a, b] * gains[here, i, b]
                w[a] = total
                between += gains[here, i, a] * total
            if derivatives:
                D[i, i] = between
                for a in range(m):
                    total = gains[here, i, a]
                    for b in range(m):
                        total -= Pj[a, b] * w[b]
                    Z[i, a] = total
                for a in range(m):
                    factor = F * gains[here, i, a]
                    for b in range(m):
                        Pj[a, b] += factor * gains[here, i, b]
                if derivatives == 2:
                    correlate(i, design[f, i], gains[here, i], w, c, D)
            # One factor after the other, as in `retreat`
            precision = 1.0 / F
            for a in range(m):
                factor = w[a]
                for b in range(m):
                    N[a, b] -= factor * design[f, i, b]
            for b in range(m):
                s[b] = -precision * design[f, i, b]
            for a in range(m):
                factor = gains[here, i, a]
                for b in range(m):
                    s[b] += factor * N[a, b]
            for a in range(m):
                factor = design[f, i, a]
                if factor != 0.0:
                    for b in range(m):
                        N[a, b] -= factor * s[b]
        for i in range(m):
            for j in range(i):
                N[i, j] = N[j, i] = 0.5 * (N[i, j] + N[j, i])
        if derivatives:
            for i in range(q):
                for j in range(q):
                    out.D[f, i, j] += D[i, j]
                for j in range(m):
                    out.Z[f, i, j] += Z[i, j]
        if moments:
            subtract_products(all_P[here], all_Pf[here], N, X, moved, out.cov[g - 1], out.size)
        g -= 1
        for i in range(m):
            for j in range(m):
                all_N[g, i, j] = N[i, j]
        out_place[t] = g
        steady = same and unmoved(N, before)
        t -= 1
    if repeated > 0.0:
        add_repeated(repeated, frame_before, D, Z, W, derivatives, by_transition, out)
    return g


@bare_kernel
def subtract_products(P: Floats, Pf: Floats, N: Floats, X: Floats, work: Floats, cov: Floats, size: Floats) -> None:
    """Cov = P - P N P, with X = P N, and the largest bounds so far of what is subtracted; Pf as filtered."""
    m = P.shape[0]
    multiply_few(P, N, X)
    multiply_few(X, P, work)
    spread = reach_of(P, N)
    for i in range(m):
        for j in range(i + 1):
            cov[i, j] = cov[j, i] = P[i, j] - 0.5 * (work[i, j] + work[j, i])
        if Pf[i, i] > 0.0:
            size[i] = max(size[i], P[i, i] * (1.0 + spread * spread))
        elif P[i, i] > 0.0 and not spread <= MEAN_LOST:  # no variance tells what the mean was added up from
            size[i] = np.inf
    for i in range(m):
        if not (Pf[i, i] > 0.0 and cov[i, i] > 0.0):  # known exactly when it was seen, or to rounding
            for j in range(m):
                cov[i, j] = cov[j, i] = 0.0


@bare_kernel
def add_repeated(
    times: float, f: int, D: Floats, Z: Floats, W: Floats, derivatives: int, by_transition: int, out: Backward
) -> None:
    """Add what each of some steady steps adds."""
    if derivatives:
        add_to(D, times, out.D[f])
        add_to(Z, times, out.Z[f])
    if by_transition:
        add_to(W, times, out.W[0])
