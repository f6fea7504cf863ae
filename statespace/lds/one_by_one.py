"""Log-likelihoods of many sequences that share no gains.

Those of one number a step are moved in lockstep, each with covariances of its own.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.transposition import SIDE
from statespace.lds.diffuse_start import DiffuseTables, diffuse_steps
from statespace.lds.dynamics import Dynamics, copy_to, fill
from statespace.lds.kalman import LOG_2PI, Rows, Tables
from statespace.lds.shared_gains import read_steps
from statespace.protocols import Array, Floats, Ints

_ONE = cast(int, np.int64(1))  # no literal, for which a kernel would be compiled once more
_DOUBT = 1e-4  # F, relative to what the largest variances so far would make of it, below which kalman.py is asked
_RARE = 1e-11  # of a variance: as little left of it is rounding, or all there is to know


@kernel
def begin_each(
    rows: Rows,
    d: Dynamics,
    tables: Tables,
    starts: Ints,
    lengths: Ints,
    mean: Floats,
    cov: Floats,
    loadings: Floats,
    none: int,
    totals: Floats,
    determined: Ints,
    begun: Ints,
    lost: Array,
    means: Floats,
    covs: Floats,
) -> None:
    """What a diffuse start makes of sequences, and at which step the ordinary recursion begins.

    rows : of all sequences end to end. tables : of two rows, as the kernels want them with `keep` 0. mean (m,), cov
    (m, m) and loadings (n_diffuse, m), as rows, are those of the first state; none : 0. totals, determined, begun and
    lost (S,) are filled with log-likelihoods, the numbers that determined a direction, the steps, and whether digits
    were lost; means (S, m) and covs (S, m, m) with the law of the state there.
    """
    m, q = mean.shape[0], loadings.shape[0]
    A, E, work = np.empty((m, m)), np.empty((m, m)), np.empty((m + 4, m))
    nothing = DiffuseTables(np.empty((1, m, m)), np.empty(1, np.int64))
    a, P = tables.a, tables.P
    x, frame, design, variances, n_seen = rows.x, rows.frame, rows.design, rows.variances, rows.n_seen
    for s in range(starts.shape[0]):
        first, n = starts[s], lengths[s]
        own = Rows(x[first : first + n], frame[first : first + n], design, variances, n_seen)
        for j in range(m):
            a[0, j] = mean[j]
        copy_to(cov, P[0])
        fill(A, 0.0)
        fill(E, 0.0)
        for i in range(q):
            for j in range(m):
                A[i, j] = loadings[i, j]
        totals[s], begun[s], _, determined[s], lost[s] = diffuse_steps(
            none, n, own, d, A, E, q, none, tables, nothing, work
        )
        now = begun[s] & 1
        for j in range(m):
            means[s, j] = a[now, j]
        copy_to(P[now], covs[s])


@kernel
def score_numbers(
    x: Floats,
    starts: Ints,
    lengths: Ints,
    lanes: int,
    z: Floats,
    h: float,
    d: Dynamics,
    means: Floats,
    covs: Floats,
    totals: Floats,
    doubtful: Array,
) -> None:
    """Log-likelihoods of sequences of one number a step, in lockstep, each with covariances of its own.

    x : (n_numbers,), NaN where missing, of which a sequence begins at starts[s] and has lengths[s], in falling order.
    lanes : LANES. z (m,), h : design and noise. means (S, m), covs (S, m, m) : laws of the first states.
    `doubtful` is set where a number is known before it is seen, or F is small beside the largest variances so far:
    there the recursion of kalman.py has to decide.
    """
    S, m = means.shape
    row_start, column, value, intercept, noise = d.row_start, d.column, d.value, d.intercept, d.noise
    a, M, moved = np.empty((m, lanes)), np.empty((m, lanes)), np.empty((m, lanes))
    P, W, earlier = np.empty((m, m, lanes)), np.empty((m, m, lanes)), np.empty((m, lanes))
    v, F, seen, before, bad = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    quadratic, logs, product, count = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    at, length, flat = np.empty(lanes, np.int64), np.empty(lanes, np.int64), np.empty(SIDE * lanes)
    block = flat.reshape(SIDE, lanes)
    used = 0.0
    for j in range(m):
        used += 1.0 if z[j] != 0.0 else 0.0
    for first in range(0, S, lanes):
        for s in range(lanes):
            chosen = min(first + s, S - 1)
            at[s], length[s] = starts[chosen], lengths[chosen]
            for i in range(m):
                a[i, s] = means[chosen, i]
                earlier[i, s] = covs[chosen, i, i]
                for j in range(m):
                    P[i, j, s] = covs[chosen, i, j]
            quadratic[s], logs[s], product[s], count[s], bad[s] = 0.0, 0.0, 1.0, 0.0, 0.0
        n = length[0]
        for t in range(n):
            if t % SIDE == 0:
                read_steps(x, at, length, t, n, _ONE, flat)
                for s in range(lanes):
                    bad[s] += 0.0 if 1e-300 < product[s] < 1e300 else 1.0
                    logs[s] += math.log(product[s])
                    product[s] = 1.0
            row = t % SIDE
            for s in range(lanes):
                number = block[row, s]
                there = number == number and t < length[s]  # what is not itself is NaN
                seen[s] = 1.0 if there else 0.0
                v[s] = number if there else 0.0
                F[s], before[s] = h, 0.0
            for j in range(m):
                for s in range(lanes):
                    M[j, s] = 0.0
            for i in range(m):
                factor = z[i]
                if factor != 0.0:
                    for s in range(lanes):
                        v[s] -= factor * a[i, s]
                        before[s] += factor * factor * max(earlier[i, s], P[i, i, s])
                    for j in range(m):
                        for s in range(lanes):
                            M[j, s] += factor * P[i, j, s]
            for i in range(m):
                factor = z[i]
                if factor != 0.0:
                    for s in range(lanes):
                        F[s] += factor * M[i, s]
            for s in range(lanes):
                bad[s] += seen[s] if not _DOUBT * (used * before[s] + h) <= F[s] else 0.0
                v[s] *= seen[s]
                precision = 1.0 / F[s] if seen[s] > 0.0 else 0.0
                quadratic[s] += precision * v[s] * v[s]
                product[s] *= F[s] if seen[s] > 0.0 else 1.0
                count[s] += seen[s]
                F[s] = precision
            for i in range(m):
                for s in range(lanes):
                    a[i, s] += M[i, s] * (F[s] * v[s])
                for j in range(i + 1):
                    for s in range(lanes):
                        P[i, j, s] -= M[i, s] * M[j, s] * F[s]
                for s in range(lanes):
                    reach = max(earlier[i, s], P[i, i, s] + M[i, s] * M[i, s] * F[s])
                    low = P[i, i, s] < 0.0 or (P[i, i, s] <= _RARE * reach and reach > 0.0)
                    bad[s] += seen[s] if low else 0.0
                    earlier[i, s] = reach
            for i in range(m):
                for j in range(i):
                    for s in range(lanes):
                        P[j, i, s] = P[i, j, s]
            # The next step
            for i in range(m):
                number = intercept[0, i]
                for s in range(lanes):
                    moved[i, s] = number
                for j in range(m):
                    for s in range(lanes):
                        W[i, j, s] = 0.0
                for e in range(row_start[i], row_start[i + 1]):
                    factor, k = value[0, e], column[e]
                    for s in range(lanes):
                        moved[i, s] += factor * a[k, s]
                    for j in range(m):
                        for s in range(lanes):
                            W[i, j, s] += factor * P[k, j, s]
            for i in range(m):
                for s in range(lanes):
                    a[i, s] = moved[i, s]
                for j in range(i + 1):
                    number = noise[0, i, j]
                    for s in range(lanes):
                        P[i, j, s] = number
                    for e in range(row_start[j], row_start[j + 1]):
                        factor, k = value[0, e], column[e]
                        for s in range(lanes):
                            P[i, j, s] += factor * W[i, k, s]
                    if i != j:
                        for s in range(lanes):
                            P[j, i, s] = P[i, j, s]
                for s in range(lanes):
                    bad[s] += 1.0 if P[i, i, s] < 0.0 else 0.0
            if t + 1 >= length[lanes - 1]:
                for s in range(min(lanes, S - first)):
                    if length[s] == t + 1:
                        doubtful[first + s] = bad[s] > 0.0 or not 1e-300 < product[s] < 1e300
                        whole = logs[s] + math.log(product[s]) + count[s] * LOG_2PI
                        totals[first + s] = -0.5 * (whole + quadratic[s])
