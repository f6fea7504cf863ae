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
from typing import NamedTuple

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics, left_product, multiply, pull_back
from statespace.lds.kalman import SKIPPED, Rows, Tables
from statespace.protocols import Floats, Ints

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
    """A bound of the products that were added up to a smoothed variance of each state, the largest, shape (m,)."""


@kernel
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


@kernel
def correlate(i: int, z: Floats, k: Floats, w: Floats, c: Floats, D: Floats) -> None:
    """Row and column i of D from number i on; c[j] (m,) becomes Cov(r, u_j) before it, for j >= i."""
    m, q = z.shape[0], c.shape[0]
    for j in range(i + 1, q):
        total = 0.0
        for a in range(m):
            total -= k[a] * c[j, a]
        D[i, j] = D[j, i] = total
        for a in range(m):
            c[j, a] += z[a] * total
    for a in range(m):
        c[i, a] = z[a] * D[i, i] - w[a]


@kernel
def symmetrize(A: Floats) -> None:
    """The mean of a matrix and its transpose, in place."""
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] = A[j, i] = 0.5 * (A[i, j] + A[j, i])


@kernel
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


@kernel
def reach_of(P: Floats, N: Floats) -> float:
    """sum_i (P_ii N_ii)^1/2: sum_jk |P_ij N_jk P_ki| is at most its square times P_ii."""
    total = 0.0
    for i in range(P.shape[0]):
        total += math.sqrt(max(P[i, i] * abs(N[i, i]), 0.0))
    return total


@kernel
def cross_cov(X: Floats, moved: Floats, lag: Floats) -> None:
    """Lag = (I - X) moved, with X = P_{t+1} N and moved = T P_f."""
    multiply(X, moved, lag)
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
    out: Backward,
) -> int:
    """Pass backwards over the steps n-1..first, from out.r[n] and out.N[g].

    moments : whether covariances are wanted; derivatives : whether Z and the diagonal of D are, 2 for all of D;
    by_transition : whether W is. Returns the row of N that leads into step `first`; rows are filled downwards from g.
    """
    n, m = tables.af.shape
    p = rows.variances.shape[1]
    w, s, c = np.empty(m), np.empty(m), np.zeros((p, m))
    moved, X, Pj = np.empty((m, m)), np.zeros((m, m)), np.empty((m, m))
    D, Z, W = np.zeros((p, p)), np.zeros((p, m)), np.zeros((m, m))
    steady, place_before, frame_before, repeated = False, -1, -1, 0.0
    out.place[n] = g
    for t in range(n - 1, first - 1, -1):
        here, f = tables.place[t], rows.frame[t]
        q = rows.n_seen[f]
        same = here == place_before and f == frame_before
        # r
        value = d.value[t if d.value.shape[0] > 1 else 0]
        r, after = out.r[t], out.r[t + 1]
        for j in range(m):
            total = 0.0
            for e in range(d.column_start[j], d.column_start[j + 1]):
                total += value[d.entry[e]] * after[d.row[e]]
            r[j] = total
        for i in range(q - 1, -1, -1):
            u = 0.0
            if tables.kind[here, i] != SKIPPED:
                z, k = rows.design[f, i], tables.k[here, i]
                u = tables.v[t, i] / tables.F[here, i]
                for j in range(m):
                    u -= k[j] * r[j]
                for j in range(m):
                    r[j] += z[j] * u
            out.u[t, i] = u
        P = tables.P[here]
        for i in range(m):
            total = tables.a[t, i]
            for j in range(m):
                total += P[i, j] * r[j]
            out.mean[t, i] = total
        # N, where it still changes
        if steady and same:
            out.place[t] = g
            repeated += 1.0
            continue
        if repeated > 0.0:
            add_repeated(repeated, frame_before, D, Z, W, derivatives, by_transition, out)
            repeated = 0.0
        place_before, frame_before = here, f
        N_after, N = out.N[g], out.N[g - 1]
        N[:, :] = N_after
        if moments or by_transition:
            left_product(t, d, tables.Pf[here], moved)
        if moments and t < n - 1:
            cross_cov(X, moved, out.lag[g - 1])
        if by_transition:
            multiply(N_after, moved, W)
            out.W[t if out.W.shape[0] > 1 else 0, :, :] += W
        pull_back(t, d, N, Pj)
        if derivatives:
            Pj[:, :] = tables.Pf[here]
            D[:, :] = 0.0
            Z[:, :] = 0.0
            c[:, :] = 0.0
        for i in range(q - 1, -1, -1):
            if tables.kind[here, i] == SKIPPED:
                continue
            z, k, F = rows.design[f, i], tables.k[here, i], tables.F[here, i]
            between = 1.0 / F
            for a in range(m):
                total = 0.0
                for b in range(m):
                    total += N[a, b] * k[b]
                w[a] = total
                between += k[a] * total
            if derivatives:
                D[i, i] = between
                for a in range(m):
                    total = k[a]
                    for b in range(m):
                        total -= Pj[a, b] * w[b]
                    Z[i, a] = total
                for a in range(m):
                    factor = F * k[a]
                    for b in range(m):
                        Pj[a, b] += factor * k[b]
                if derivatives == 2:
                    correlate(i, z, k, w, c[:q], D)
            retreat(z, k, w, 1.0 / F, N, s)
        symmetrize(N)
        if derivatives:
            out.D[f, :, :] += D
            out.Z[f, :, :] += Z
        if moments:
            multiply(P, N, X)
            cov = out.cov[g - 1]
            multiply(X, P, cov)
            for i in range(m):
                for j in range(i + 1):
                    cov[i, j] = P[i, j] - 0.5 * (cov[i, j] + cov[j, i])
                    cov[j, i] = cov[i, j]
            spread = reach_of(P, N)
            for i in range(m):
                out.size[i] = max(out.size[i], P[i, i] * (1.0 + spread * spread))
        g -= 1
        out.place[t] = g
        steady = same and unmoved(N, N_after)
    if repeated > 0.0:
        add_repeated(repeated, frame_before, D, Z, W, derivatives, by_transition, out)
    return g


@kernel
def add_repeated(
    times: float, f: int, D: Floats, Z: Floats, W: Floats, derivatives: int, by_transition: int, out: Backward
) -> None:
    """Add what each of some steady steps adds."""
    if derivatives:
        out.D[f, :, :] += times * D
        out.Z[f, :, :] += times * Z
    if by_transition:
        out.W[0, :, :] += times * W
