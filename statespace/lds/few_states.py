"""The Kalman filter of up to four states, in loops whose lengths the compiler knows.

There is a kernel for each number of states, compiled when it is first needed. What it computes, and what its results
are called, kalman.py says.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.lds.kalman import (
    CONTRADICTION,
    EXACT,
    LOG_2PI,
    LOST,
    NOTHING,
    ORDINARY,
    ROUNDING,
    SKIPPED,
    STEADY,
    STILL,
    Rows,
    Tables,
    size_of,
)
from statespace.lds.steady import SMALL_NUMBERS, SMALL_STATES, closed_form, steady_numbers, steady_small
from statespace.protocols import Floats, Ints


def _filter_of(m: int) -> Any:
    @kernel
    def filter_few(
        first: int,
        last: int,
        g: int,
        rows: Rows,
        csr: tuple[Ints, Ints, Floats],
        transition: Floats,
        intercept: Floats,
        noise: Floats,
        keep: int,
        freeze: int,
        tables: Tables,
    ) -> tuple[float, int, int, bool, int]:
        """Filter the steps first..last-1 from what tables.a[first] and tables.P[g] hold.

        csr : row_start, column and value of `Dynamics`; transition (1 or n, m, m); intercept and noise as there.
        Returns the log-likelihood, the row of P after the last step, the first steady step (n: never), whether digits
        were lost, and how many rows of the tables were filled.
        """
        x, frame, design, variances, n_seen = rows.x, rows.frame, rows.design, rows.variances, rows.n_seen
        all_a, all_af, all_v, steps, place = tables.a, tables.af, tables.v, tables.steps, tables.place
        all_P, all_Pf, gains, all_F, kinds = tables.P, tables.Pf, tables.k, tables.F, tables.kind
        p, n = variances.shape[1], x.shape[0]
        a, M, z, span = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
        reach, earlier = np.empty(m), np.empty(m)
        P, W, T, before = np.empty((m, m)), np.empty((m, m)), np.empty((m, m)), np.empty((m, m))
        closed, precisions = np.empty((9, 4)), np.zeros(2)
        timed_T, timed_c, timed_V = int(transition.shape[0] > 1), int(intercept.shape[0] > 1), int(noise.shape[0] > 1)
        total, product, squares = 0.0, 1.0, 0.0
        lost, steady, steady_from, top = False, False, n, g
        last_frame, last_change, frozen_frame, step_log = -1, np.inf, -1, 0.0
        for i in range(m):
            a[i] = all_a[first if keep else first & 1, i]
            earlier[i] = all_P[g, i, i]
            for j in range(m):
                P[i, j] = all_P[g, i, j]
                T[i, j] = transition[0, i, j]
        t = first
        while t < last:
            f = frame[t]
            q = n_seen[f]
            implied = False
            if steady and f == frozen_frame:
                for i in range(q):
                    implied = implied or kinds[g, i] == SKIPPED
            if steady and f == frozen_frame and q <= SMALL_NUMBERS and not implied:
                until = t + 1
                while until < last and frame[until] == f:
                    until += 1
                closed_form(design[f], gains[g], kinds[g], q, csr[0], csr[1], csr[2][0], closed)
                for i in range(q):
                    precisions[i] = 1.0 / all_F[g, i]
                squares += steady_small(t, until, x, q, closed, intercept, precisions, keep, all_a, a)
                total += (until - t) * step_log
                if keep:
                    steady_numbers(t, until, x, q, design[f], gains[g], all_F[g], step_log, all_a, all_af, all_v, steps)
                    for at in range(t, until):
                        place[at] = g
                t = until
                continue
            frozen = steady and f == frozen_frame
            if not frozen:
                if steady:  # what is observed changes: P moves again, in a row of its own
                    steady, last_frame, last_change = False, -1, np.inf
                    g = top + 1 if keep else 1 - g
                top = max(top, g)
                for i in range(m):
                    reach[i] = max(earlier[i], P[i, i])
                    earlier[i] = P[i, i]
                    for j in range(m):
                        before[i, j] = P[i, j]
                        all_P[g, i, j] = P[i, j]
            if keep:
                place[t] = g
                for i in range(m):
                    all_a[t, i] = a[i]
            step_product, step_logs, square, taken, impossible = 1.0, 0.0, 0.0, 0, False
            for i in range(m):
                span[i] = abs(a[i])
            for i in range(q):
                v, F, used, reached = x[t, i], variances[f, i], 0.0, 0.0
                for j in range(m):
                    z[j] = design[f, i, j]
                for j in range(m):
                    v -= z[j] * a[j]
                if keep:
                    all_v[t, i] = v
                if frozen:
                    if kinds[g, i] == SKIPPED:
                        impossible = impossible or abs(v) > CONTRADICTION * size_of(x[t, i], z, span)
                        continue
                    for j in range(m):
                        a[j] += gains[g, i, j] * v
                        span[j] += abs(gains[g, i, j] * v)
                    square += v * v / all_F[g, i]
                    continue
                for j in range(m):
                    M[j] = 0.0
                for r in range(m):
                    factor = z[r]
                    used += 1.0 if factor != 0.0 else 0.0
                    reached += factor * factor * reach[r]
                    for j in range(m):
                        M[j] += factor * P[r, j]
                for j in range(m):
                    F += z[j] * M[j]
                reached = used * reached + variances[f, i]
                lost = lost or LOST * reached > F
                if ROUNDING * reached >= F:
                    kinds[g, i], all_F[g, i] = SKIPPED, 0.0
                    for j in range(m):
                        gains[g, i, j] = 0.0
                    impossible = impossible or abs(v) > CONTRADICTION * size_of(x[t, i], z, span)
                    continue
                precision = 1.0 / F
                root = math.sqrt(precision)
                for j in range(m):
                    gains[g, i, j] = M[j] * precision
                    a[j] += M[j] * (precision * v)
                    span[j] += abs(M[j] * (precision * v))
                    M[j] *= root
                for r in range(m):
                    factor = M[r]
                    for j in range(m):
                        P[r, j] -= factor * M[j]
                exact = variances[f, i] <= EXACT * F
                for r in range(m):
                    variance = P[r, r]
                    if variance < 0.0 or (exact and variance <= NOTHING * reach[r]):
                        # Rounding is no variance; nor is it what little noise leaves
                        lost = lost or variances[f, i] > 0.0 or variance > ROUNDING * reach[r]
                        for j in range(m):
                            P[r, j] = 0.0
                            P[j, r] = 0.0
                kinds[g, i], all_F[g, i] = ORDINARY, F
                square += v * v * precision
                taken += 1
                step_product *= F
                if not 1e-100 < step_product < 1e100:
                    step_logs += math.log(step_product)
                    step_product = 1.0
            if not frozen:
                for i in range(q, p):
                    kinds[g, i], all_F[g, i] = SKIPPED, 0.0
                if keep or freeze:
                    step_log = -0.5 * (step_logs + math.log(step_product) + taken * LOG_2PI)
                else:
                    total -= 0.5 * (step_logs + taken * LOG_2PI)
                    product *= step_product
                    if not 1e-100 < product < 1e100:
                        total -= 0.5 * math.log(product)
                        product = 1.0
            if keep or freeze:
                total += step_log
            squares += np.inf if impossible else square
            if keep:
                steps[t] = -np.inf if impossible else step_log - 0.5 * square
                for i in range(m):
                    all_af[t, i] = a[i]
                    if not frozen:
                        for j in range(m):
                            all_Pf[g, i, j] = P[i, j]
            # The next step
            if timed_T:
                for i in range(m):
                    for j in range(m):
                        T[i, j] = transition[t, i, j]
            for i in range(m):
                M[i] = intercept[timed_c * t, i]
                for j in range(m):
                    M[i] += T[i, j] * a[j]
            for i in range(m):
                a[i] = M[i]
            t += 1
            if frozen:
                continue
            for i in range(m):
                reach[i] = reach[i] if P[i, i] != 0.0 else 0.0  # known, not the rest of a difference
            for i in range(m):
                bound = 0.0
                for j in range(m):
                    bound += T[i, j] * T[i, j] * reach[j]
                    total_W = 0.0
                    for r in range(m):
                        total_W += T[i, r] * P[r, j]
                    W[i, j] = total_W
                M[i] = m * bound + noise[timed_V * (t - 1), i, i]
            for i in range(m):
                for j in range(i + 1):
                    following = noise[timed_V * (t - 1), i, j]
                    for r in range(m):
                        following += W[i, r] * T[j, r]
                    P[i, j] = following
                    P[j, i] = following
            for i in range(m):
                if P[i, i] < LOST * M[i]:
                    lost = True
                if P[i, i] < 0.0 or P[i, i] < ROUNDING * M[i]:
                    lost = True
                    for j in range(m):
                        P[i, j] = 0.0
                        P[j, i] = 0.0
            if freeze:
                if f == last_frame:
                    change = 0.0
                    for i in range(m):
                        moved = abs(P[i, i] - before[i, i])
                        if moved > 0.0:
                            change = max(change, moved / before[i, i] if before[i, i] > 0.0 else np.inf)
                    if change <= 1e-12:
                        for i in range(m):
                            for j in range(i):
                                moved = abs(P[i, j] - before[i, j])
                                if moved > 0.0:
                                    scale = before[i, i] * before[j, j]
                                    change = max(change, moved / math.sqrt(scale) if scale > 0.0 else np.inf)
                    rate = change / last_change if change < last_change else 1.0
                    steady = change <= STILL or (rate < 1.0 and change <= STEADY * (1.0 - rate))
                    last_change = change
                last_frame = f
                if steady:
                    frozen_frame = f
                    steady_from = min(steady_from, t)
                    for i in range(m):
                        for j in range(m):
                            P[i, j] = before[i, j]
                    continue
            g = top + 1 if keep else 1 - g
        for i in range(m):
            all_a[last if keep else last & 1, i] = a[i]
            for j in range(m):
                all_P[g, i, j] = P[i, j]
        total -= 0.5 * (math.log(product) + squares)
        return total, g, steady_from, lost, max(top, g) + 1

    return filter_few


FILTERS = {m: _filter_of(m) for m in range(1, SMALL_STATES + 1)}
"""The kernel for each number of states."""
