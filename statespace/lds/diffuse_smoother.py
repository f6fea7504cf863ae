r"""The backward pass through a diffuse start: r and N as series in 1 / k, k -> infinity.

With P + k A A^T before a step, r = r0 + r1 / k and N = N0 + N1 / k + N2 / k^2. A number that determines a direction has
F = k F_inf + F_0 and the gain K0 + K1 / k with K1 = (P z^T - K0 F_0) / F_inf, so that with L0 = I - K0 z, L1 = -K1 z

    r1 <- z v / F_inf + L0^T r1 + L1^T r0                                    r0 <- L0^T r0
    N2 <- L0^T N2 L0 + L0^T N1 L1 + L1^T N1 L0 + L1^T N0 L1 - z z^T F_0 / F_inf^2
    N1 <- L0^T N1 L0 + L1^T N0 L0 + L0^T N0 L1 + z z^T / F_inf               N0 <- L0^T N0 L0

and with B = A A^T the terms that k would multiply vanish, B r0 = 0 and B N0 = 0, and what is left is

    E(a_t | all) = a + P r0 + B r1
    Cov(a_t | all) = P - P N0 P - B N1 P - P N1 B - B N2 B
    Cov(a_{t+1}, a_t | all) = (I - P N0 - B N1) T P_f - (P N1 + B N2) T B_f      (P, B of the step after)

What k multiplies also vanishes in B - B N1 B, so that A^T N1 A is the identity where each direction is determined
later: free of all units, it tells how many digits N1 has; see smoothed_digits.py.

Koopman and Durbin (2003); Durbin and Koopman (2012), section 5.3.
"""

from __future__ import annotations

import math

import numpy as np

from statespace.foundations.kernel import bare_kernel, kernel
from statespace.lds.dynamics import Dynamics, add_to, copy_to, fill, left_product, multiply, pull_back, times
from statespace.lds.kalman import DIFFUSE, SKIPPED, Rows, Tables
from statespace.lds.smoothed_digits import WHOLE, beside_identity, bound_mean, doubt_means
from statespace.lds.smoother import Backward, correlate, reach_of, retreat, symmetrize
from statespace.protocols import Floats, Ints

_SERIES = 2.0  # roundings of sums of three series, for one of an ordinary step


@kernel
def meet_last(z: Floats, A: Floats, q: int) -> float:
    """Rotate the rows A[:q] so that the last alone meets z; what it meets."""
    m = A.shape[1]
    b = np.zeros(q)
    norm = 0.0
    for j in range(q):
        for i in range(m):
            b[j] += z[i] * A[j, i]
        norm += b[j] * b[j]
    norm = math.sqrt(norm)
    met = -norm if b[q - 1] > 0 else norm
    b[q - 1] -= met
    squared = 0.0
    for j in range(q):
        squared += b[j] * b[j]
    for i in range(m):
        total = 0.0
        for j in range(q):
            total += b[j] * A[j, i]
        total *= 2.0 / squared
        for j in range(q):
            A[j, i] -= b[j] * total
    return met


@bare_kernel
def outer_of(A: Floats, q: int, B: Floats) -> None:
    """B = A[:q]^T A[:q]."""
    m = A.shape[1]
    for i in range(m):
        for j in range(i + 1):
            total = 0.0
            for k in range(q):
                total += A[k, i] * A[k, j]
            B[i, j] = B[j, i] = total


@bare_kernel
def add_crossed(z: Floats, w: Floats, factor: float, N: Floats) -> None:
    """N <- N - z w^T - w z^T + factor z z^T, the same bits on both sides of the diagonal."""
    for i in range(z.shape[0]):
        for j in range(i + 1):
            N[i, j] = N[j, i] = N[i, j] - (z[i] * w[j] + w[i] * z[j]) + factor * z[i] * z[j]


@bare_kernel
def retreat_diffuse(
    z: Floats,
    K0: Floats,
    K1: Floats,
    F_inf: float,
    F_0: float,
    N0: Floats,
    N1: Floats,
    N2: Floats,
    w: Floats,
    work: Floats,
    first: Floats,
    second: Floats,
) -> None:
    """N0, N1 and N2 before a number that determined a direction; the last four (m,) are for work.

    L0 and L1 are the identity and nothing but for a product of two vectors, so that no product of matrices is needed:
    L0^T N L1 = -(N K1 - z K0^T N K1) z^T.
    """
    m = z.shape[0]
    times(N0, K1, first)
    times(N1, K1, second)
    both, crossed_0, crossed_1 = 0.0, 0.0, 0.0
    for i in range(m):
        both += K1[i] * first[i]
        crossed_0 += K0[i] * first[i]
        crossed_1 += K0[i] * second[i]
    for i in range(m):
        first[i] -= z[i] * crossed_0
        second[i] -= z[i] * crossed_1
    retreat_all(z, K0, 0.0, N2, w, work)
    add_crossed(z, second, both - F_0 / (F_inf * F_inf), N2)
    retreat_all(z, K0, 0.0, N1, w, work)
    add_crossed(z, first, 1.0 / F_inf, N1)
    retreat_all(z, K0, 0.0, N0, w, work)


@bare_kernel
def times_outer(A: Floats, q: int, x: Floats, out: Floats) -> None:
    """Out = A[:q]^T A[:q] x."""
    m = A.shape[1]
    for j in range(m):
        out[j] = 0.0
    for k in range(q):
        met = 0.0
        for j in range(m):
            met += A[k, j] * x[j]
        for j in range(m):
            out[j] += met * A[k, j]


@bare_kernel
def retreat_all(z: Floats, k: Floats, precision: float, N: Floats, w: Floats, work: Floats) -> None:
    """`retreat` with w = N k, and the same bits on both sides of the diagonal."""
    times(N, k, w)
    retreat(z, k, w, precision, N, work)
    symmetrize(N)


@bare_kernel
def pull_back_mean(t: int, d: Dynamics, r: Floats, size: Floats, work: Floats) -> None:
    """R <- T_t^T r, and the sums of the magnitudes that are added up to it."""
    T = t if d.value.shape[0] > 1 else 0
    for j in range(r.shape[0]):
        total = 0.0
        size[j] = 0.0
        for e in range(d.column_start[j], d.column_start[j + 1]):
            term = d.value[T, d.entry[e]] * r[d.row[e]]
            total += term
            size[j] += abs(term)
        work[j] = total
    for j in range(r.shape[0]):
        r[j] = work[j]


@bare_kernel
def add_number(z: Floats, k: Floats, level: float, slow: float, r: Floats, size: Floats) -> float:
    """R <- r + z u with u = level - slow - k^T r, and what it adds to the sizes of r; u."""
    u, reached = level - slow, abs(level) + abs(slow)
    for a in range(z.shape[0]):
        u -= k[a] * r[a]
        reached += abs(k[a] * r[a])
    for a in range(z.shape[0]):
        r[a] += z[a] * u
        size[a] += abs(z[a]) * reached
    return u


@kernel
def smooth_diffuse_steps(
    last: int,
    rows: Rows,
    d: Dynamics,
    tables: Tables,
    loadings: Floats,
    n_left: Ints,
    moments: int,
    derivatives: int,
    by_transition: int,
    out: Backward,
) -> None:
    """Pass backwards over the diffuse steps last-1..0, from what leads into step `last`.

    loadings : (last + 1, m, m), A^T of each step and of the one after; n_left : (last + 1,), how many of its rows
    count. Flags as in smooth_steps; rows of N below out.place[last] are filled.
    """
    n, m = tables.af.shape
    p = rows.variances.shape[1]
    g = out.place[last]
    N0, N1, N2 = np.empty((m, m)), np.zeros((m, m)), np.zeros((m, m))
    copy_to(out.N[g], N0)
    r0, r1, w = np.empty(m), np.zeros(m), np.empty(m)
    for j in range(m):
        r0[j] = out.r[last, j]
    B, B_after, moved, moved_B = np.empty((m, m)), np.empty((m, m)), np.empty((m, m)), np.empty((m, m))
    X, Y, one, two = np.empty((m, m)), np.empty((m, m)), np.empty((m, m)), np.empty((m, m))
    # After each number of a step, from the first
    Ps, As, left = np.empty((p + 1, m, m)), np.empty((p + 1, m, m)), np.zeros(p + 1, np.int64)
    first, second, reached = np.empty(m), np.empty(m), np.empty(m)
    size_0, size_1, terms = np.empty(m), np.empty(m), np.zeros(m)
    K1, F_0, meets, c, D = np.zeros((p, m)), np.zeros(p), np.empty(m), np.zeros((p, m)), np.zeros((p, p))
    for t in range(last - 1, -1, -1):
        here, f = tables.place[t], rows.frame[t]
        P, Pf = tables.P[here], tables.Pf[here]
        q_seen = rows.n_seen[f]
        # Forward over the numbers once more
        left[0] = n_left[t]
        copy_to(loadings[t], As[0])
        copy_to(P, Ps[0])
        for i in range(q_seen):
            z, k = rows.design[f, i], tables.k[here, i]
            copy_to(Ps[i], Ps[i + 1])
            copy_to(As[i], As[i + 1])
            left[i + 1] = left[i]
            if tables.kind[here, i] == SKIPPED:
                continue
            F = tables.F[here, i]
            if tables.kind[here, i] == DIFFUSE:
                meet_last(z, As[i + 1], left[i])
                left[i + 1] -= 1
                times(Ps[i], z, meets)
                F_0[i] = rows.variances[f, i]
                for a in range(m):
                    F_0[i] += z[a] * meets[a]
                for a in range(m):
                    K1[i, a] = (meets[a] - k[a] * F_0[i]) / F
                    for b in range(m):
                        Ps[i + 1, a, b] += k[a] * k[b] * F_0[i] - k[a] * meets[b] - meets[a] * k[b]
            else:
                for a in range(m):
                    for b in range(m):
                        Ps[i + 1, a, b] -= F * k[a] * k[b]
        # Between the steps
        if moments or by_transition:
            outer_of(loadings[t + 1], n_left[t + 1], B_after)
            outer_of(As[q_seen], left[q_seen], B)
            left_product(t, d, Pf, moved)
            left_product(t, d, B, moved_B)
        P_after = tables.P[tables.place[t + 1]]
        if moments and t < n - 1:
            # lag = moved - (P N0 + B N1) moved - (P N1 + B N2) moved_B
            lag = out.lag[g - 1]
            multiply(P_after, N0, X)
            multiply(B_after, N1, Y)
            add_to(Y, 1.0, X)
            multiply(X, moved, one)
            multiply(P_after, N1, X)
            multiply(B_after, N2, Y)
            add_to(Y, 1.0, X)
            multiply(X, moved_B, two)
            for i in range(m):
                for j in range(m):
                    lag[i, j] = moved[i, j] - one[i, j] - two[i, j]
        if by_transition:
            multiply(N0, moved, one)
            multiply(N1, moved_B, two)
            for i in range(m):
                for j in range(m):
                    out.W[t if out.W.shape[0] > 1 else 0, i, j] += one[i, j] + two[i, j]
        pull_back(t, d, N0, X)
        pull_back(t, d, N1, X)
        pull_back(t, d, N2, X)
        pull_back_mean(t, d, r0, size_0, w)
        pull_back_mean(t, d, r1, size_1, w)
        # Back over the numbers
        fill(D, 0.0)
        fill(c, 0.0)
        for i in range(q_seen - 1, -1, -1):
            out.u[t, i] = 0.0
            if tables.kind[here, i] == SKIPPED:
                continue
            z, k, F, v = rows.design[f, i], tables.k[here, i], tables.F[here, i], tables.v[t, i]
            diffuse = tables.kind[here, i] == DIFFUSE
            times(N0, k, w)
            between = 0.0 if diffuse else 1.0 / F
            slow = 0.0
            for a in range(m):
                between += k[a] * w[a]
                if diffuse:
                    slow += K1[i, a] * r0[a]
            out.u[t, i] = add_number(z, k, 0.0 if diffuse else v / F, 0.0, r0, size_0)
            add_number(z, k, v / F if diffuse else 0.0, slow, r1, size_1)
            if derivatives:
                D[i, i] = between
                if derivatives == 2:
                    correlate(i, z, k, w, c, D)
                for a in range(m):
                    total = k[a]
                    for b in range(m):
                        total -= Ps[i + 1, a, b] * w[b]
                    out.Z[f, i, a] += total
                times(N1, k, meets)
                times_outer(As[i + 1], left[i + 1], meets, reached)
                for a in range(m):
                    out.Z[f, i, a] -= reached[a]
            if diffuse:
                retreat_diffuse(z, k, K1[i], F, F_0[i], N0, N1, N2, w, meets, first, second)
            else:
                retreat_all(z, k, 1.0 / F, N0, w, meets)
                retreat_all(z, k, 0.0, N1, w, meets)
                retreat_all(z, k, 0.0, N2, w, meets)
        if derivatives:
            add_to(D, 1.0, out.D[f])
        # The state
        times_outer(As[0], left[0], r1, reached)
        for i in range(m):
            total = tables.a[t, i] + reached[i]
            out.r[t, i] = r0[i]
            for j in range(m):
                total += P[i, j] * r0[j]
            out.mean[t, i] = total
        g -= 1
        copy_to(N0, out.N[g])
        out.place[t] = g
        if moments:
            outer_of(As[0], left[0], B)
            # P - P N0 P - (B N1 P + .') - B N2 B
            multiply(P, N0, X)
            multiply(X, P, one)
            multiply(B, N1, X)
            multiply(X, P, two)
            multiply(B, N2, X)
            multiply(X, B, Y)
            for i in range(m):
                for j in range(i + 1):
                    total = 0.5 * (one[i, j] + one[j, i] + Y[i, j] + Y[j, i]) + two[i, j] + two[j, i]
                    out.cov[g, i, j] = out.cov[g, j, i] = P[i, j] - total
            for i in range(m):
                if out.cov[g, i, i] < 0.0:
                    for j in range(m):
                        out.cov[g, i, j] = out.cov[g, j, i] = 0.0
            bound_mean(tables.a[t], P, As[0], left[0], size_0, size_1, meets, terms)
            doubted = not beside_identity(As[0], left[0], N1, meets) <= WHOLE
            s0, s1, s2, s3 = reach_of(P, N0), reach_of(P, N1), reach_of(B, N1), reach_of(B, N2)
            for i in range(m):
                crossed = 2.0 * math.sqrt(P[i, i] * B[i, i]) * s1 * s2
                size = P[i, i] * (1.0 + s0 * s0) + crossed + B[i, i] * s3 * s3
                for a in range(q_seen):
                    size = max(size, Ps[a + 1, i, i])
                out.size[i] = np.inf if doubted else max(out.size[i], _SERIES * size)
    if moments:
        doubt_means(terms, g, out)
