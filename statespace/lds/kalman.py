r"""The Kalman filter in covariance form, one observed number after the other.

With P = Cov(a_t | what came before) and a row z of the design with noise of variance h,

    v = x - z a,   F = z P z^T + h,   k = P z^T / F,   a <- a + k v,   P <- P - F k k^T
    log-likelihood of the number: -1/2 (log 2 pi + log F + v^2 / F)

and between steps a <- c + T a, P <- T P T^T + R Q R^T. Where the matrices and the entries that are observed stay the
same, P stops changing; from then on the filter is steady, and only means are computed.

Durbin and Koopman (2012), sections 4.3 and 6.4; the start in which nothing is known of some states is in
diffuse_start.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from statespace.foundations.kernel import kernel, kernel_part
from statespace.lds.dynamics import Dynamics
from statespace.lds.steady import SMALL_NUMBERS, SMALL_STATES, closed_form, steady_numbers, steady_small
from statespace.protocols import Floats, Ints

SKIPPED, ORDINARY, DIFFUSE = 0, 1, 2
"""What became of a number: it was known before; it was taken; it determined a diffuse direction."""

LOG_2PI = math.log(2 * math.pi)
STEADY = 2e-14  # what is left of the way to the limit of P, relative to P, when it is taken to be there
STILL = 2e-15  # a change of P that is rounding
ROUNDING = 64 * 2.0**-52  # of what was summed up to F: less than this is nothing
LOST = 1e-5  # F, relative to what was subtracted to get it, below which too many digits are gone
EXACT = 1e-10  # noise, relative to F, beside which a state can be known to the last digit
NOTHING = 1e-12  # of a variance, left where something became known exactly: most likely rounding
CONTRADICTION = 1e-8  # an innovation where nothing was left to learn, relative to the numbers it was made of


class Tables(NamedTuple):
    """What the filter writes down; with `keep` 0, the last two rows only."""

    a: Floats
    """Predicted means, shape (n + 1, m)."""
    af: Floats
    """Filtered means, shape (n, m)."""
    v: Floats
    """Innovations of the transformed numbers, shape (n, p)."""
    steps: Floats
    """Log-likelihood of each step, shape (n,)."""
    place: Ints
    """The row of the tables below that belongs to a step, shape (n + 1,)."""
    P: Floats
    """Predicted covariances, shape (G, m, m)."""
    Pf: Floats
    """Filtered covariances, shape (G, m, m)."""
    k: Floats
    """Gains of the numbers, shape (G, p, m)."""
    F: Floats
    """Variances of the innovations, shape (G, p)."""
    kind: Ints
    """SKIPPED, ORDINARY or DIFFUSE, shape (G, p)."""


class Rows(NamedTuple):
    """Frames as the kernels want them; see frames.py."""

    x: Floats
    frame: Ints
    design: Floats
    variances: Floats
    n_seen: Ints


@kernel
def size_of(x: float, z: Floats, span: Floats) -> float:
    """What x - z a was made of, where `span` (m,) is what the mean a was: it and what was added to it in this step."""
    size = abs(x)
    for j in range(z.shape[0]):
        size += abs(z[j]) * span[j]
    return size


@kernel
def take_number(
    x: float, z: Floats, h: float, reach: Floats, span: Floats, a: Floats, P: Floats, gain: Floats
) -> tuple[int, float, float, float, bool]:
    """Update a and P by one number.

    `reach` (m,) is an upper bound of the variances before what came last, `span` (m,) of what the means of this step
    were made of.
    Returns what became of the number, v, F, the log-likelihood, and whether digits were lost.
    """
    m = a.shape[0]
    v, F, before, used = x, h, 0.0, 0
    for j in range(m):
        gain[j] = 0.0
    for i in range(m):
        zi = z[i]
        if zi != 0.0:
            used += 1
            v -= zi * a[i]
            before += zi * zi * reach[i]
            row = P[i]
            for j in range(m):
                gain[j] += zi * row[j]
    for i in range(m):
        F += z[i] * gain[i]
    before = used * before + h
    if ROUNDING * before >= F:
        for j in range(m):
            gain[j] = 0.0
        return SKIPPED, v, 0.0, (0.0 if abs(v) <= CONTRADICTION * size_of(x, z, span) else -np.inf), before > h
    root = 1.0 / math.sqrt(F)
    for j in range(m):
        gain[j] *= root
    for i in range(m):
        factor = gain[i]
        if factor != 0.0:
            row = P[i]
            for j in range(m):
                row[j] -= factor * gain[j]
    for j in range(m):
        gain[j] *= root
        a[j] += gain[j] * v
        span[j] += abs(gain[j] * v)
    bad = LOST * before > F
    for i in range(m):
        if P[i, i] < 0.0 or (h <= EXACT * F and P[i, i] <= NOTHING * reach[i]):
            bad = bad or h > 0.0 or P[i, i] > ROUNDING * reach[i]
            for j in range(m):
                P[i, j] = P[j, i] = 0.0
    return ORDINARY, v, F, -0.5 * (LOG_2PI + math.log(F) + v * v / F), bad


@kernel_part
def change_of(P: Floats, g: int, other: int) -> float:
    """The largest change from P[g] to P[other], relative to the deviations; inf where a variance was or became 0."""
    m = P.shape[1]
    largest = 0.0
    for i in range(m):
        change = abs(P[other, i, i] - P[g, i, i])
        if change > 0.0:
            largest = max(largest, change / P[g, i, i] if P[g, i, i] > 0.0 else np.inf)
    if largest <= 1e-12:
        for i in range(m):
            for j in range(i):
                change = abs(P[other, i, j] - P[g, i, j])
                if change > 0.0:
                    scale = P[g, i, i] * P[g, j, j]
                    largest = max(largest, change / math.sqrt(scale) if scale > 0.0 else np.inf)
    return largest


@kernel
def filter_steps(
    first: int, last: int, g: int, rows: Rows, d: Dynamics, keep: int, freeze: int, tables: Tables, work: Floats
) -> tuple[float, int, int, bool, int]:
    """Filter the steps first..last-1 from what tables.a[first] and tables.P[g] hold.

    work : (m + 4, m). Returns the log-likelihood, the row of P after the last step, the first steady step (n: never),
    whether digits were lost, and how many rows of the tables were filled.
    """
    # Fields are taken out of their tuples once: each time would count references
    x, frame, design, variances, n_seen = rows.x, rows.frame, rows.design, rows.variances, rows.n_seen
    row_start, column, value, intercept, noise = d.row_start, d.column, d.value, d.intercept, d.noise
    all_a, all_af, all_v, steps, place = tables.a, tables.af, tables.v, tables.steps, tables.place
    all_P, all_Pf, gains, all_F, kinds = tables.P, tables.Pf, tables.k, tables.F, tables.kind
    m, p, n = row_start.shape[0] - 1, variances.shape[1], x.shape[0]
    reach, earlier, a, M, P = work[m], work[m + 1], work[m + 2], work[m + 3], work[:m]
    W, closed, precisions, span = np.empty((m, m)), np.empty((9, 4)), np.zeros(2), np.empty(m)
    timed_T, timed_c, timed_V = int(value.shape[0] > 1), int(intercept.shape[0] > 1), int(noise.shape[0] > 1)
    total, product, squares = 0.0, 1.0, 0.0
    lost, steady, steady_from, top = False, False, n, g
    f_before, change_before, frozen_frame, step_log = -1, np.inf, -1, 0.0
    for j in range(m):
        a[j] = all_a[first if keep else first & 1, j]
        earlier[j] = all_P[g, j, j]
    t = first
    while t < last:
        f = frame[t]
        q = n_seen[f]
        # Steady: gains are known
        if steady and f == frozen_frame:
            implied = False
            for i in range(q):
                implied = implied or kinds[g, i] == SKIPPED
            if m <= SMALL_STATES and q <= SMALL_NUMBERS and not implied:
                until = t + 1
                while until < last and frame[until] == f:
                    until += 1
                closed_form(design[f], gains[g], kinds[g], q, row_start, column, value[0], closed)
                for i in range(q):
                    precisions[i] = 1.0 / all_F[g, i] if kinds[g, i] != SKIPPED else 0.0
                squares += steady_small(t, until, x, q, closed, intercept, precisions, keep, all_a, a)
                total += (until - t) * step_log
                if keep:
                    steady_numbers(
                        t, until, x, q, design[f], gains[g], all_F[g], kinds[g], step_log, all_a, all_af, all_v, steps
                    )
                    for at in range(t, until):
                        place[at] = g
                t = until
                continue
            c = timed_c * t
            square = 0.0
            if keep:
                place[t] = g
                for j in range(m):
                    all_a[t, j] = a[j]
            for j in range(m):
                span[j] = abs(a[j])
            for i in range(q):
                v = x[t, i]
                for j in range(m):
                    v -= design[f, i, j] * a[j]
                if keep:
                    all_v[t, i] = v
                if kinds[g, i] == SKIPPED:
                    if abs(v) > CONTRADICTION * size_of(x[t, i], design[f, i], span):
                        square = np.inf
                    continue
                for j in range(m):
                    a[j] += gains[g, i, j] * v
                    span[j] += abs(gains[g, i, j] * v)
                square += v * v / all_F[g, i]
            if keep:
                steps[t] = step_log - 0.5 * square
                for j in range(m):
                    all_af[t, j] = a[j]
            total += step_log
            squares += square
            for i in range(m):
                moved = intercept[c, i]
                for e in range(row_start[i], row_start[i + 1]):
                    moved += value[0, e] * a[column[e]]
                M[i] = moved
            for j in range(m):
                a[j] = M[j]
            t += 1
            continue
        if steady:
            # What is observed changes: P moves again, in a row of its own
            steady, f_before, change_before = False, -1, np.inf
            fresh = top + 1 if keep else 1 - g
            for i in range(m):
                for j in range(m):
                    all_P[fresh, i, j] = all_P[g, i, j]
            g = fresh
        top = max(top, g)
        for i in range(m):
            variance = all_P[g, i, i]
            reach[i] = max(earlier[i], variance)
            earlier[i] = variance
            for j in range(m):
                P[i, j] = all_P[g, i, j]
        if keep:
            place[t] = g
            for j in range(m):
                all_a[t, j] = a[j]
        # The numbers of the step
        step_product, step_logs, square, taken, impossible = 1.0, 0.0, 0.0, 0, False
        for j in range(m):
            span[j] = abs(a[j])
        for i in range(q):
            v, F, before, used = x[t, i], variances[f, i], 0.0, 0.0
            for j in range(m):
                M[j] = 0.0
            for i_state in range(m):
                z = design[f, i, i_state]
                if z != 0.0:
                    used += 1.0
                    v -= z * a[i_state]
                    before += z * z * reach[i_state]
                    for j in range(m):
                        M[j] += z * P[i_state, j]
            before = used * before + F
            for j in range(m):
                F += design[f, i, j] * M[j]
            if keep:
                all_v[t, i] = v
            lost = lost or LOST * before > F
            if ROUNDING * before >= F:
                kinds[g, i], all_F[g, i] = SKIPPED, 0.0
                for j in range(m):
                    gains[g, i, j] = 0.0
                impossible = impossible or abs(v) > CONTRADICTION * size_of(x[t, i], design[f, i], span)
                continue
            precision = 1.0 / F
            root = math.sqrt(precision)
            for j in range(m):
                gains[g, i, j] = M[j] * precision
                a[j] += M[j] * (precision * v)
                span[j] += abs(M[j] * (precision * v))
                M[j] *= root
            for i_state in range(m):
                factor = M[i_state]
                for j in range(m):
                    P[i_state, j] -= factor * M[j]
            exact = variances[f, i] <= EXACT * F
            for i_state in range(m):
                variance = P[i_state, i_state]
                if variance < 0.0 or (exact and variance <= NOTHING * reach[i_state]):
                    # Rounding is no variance; nor is it what little noise leaves
                    lost = lost or variances[f, i] > 0.0 or variance > ROUNDING * reach[i_state]
                    for j in range(m):
                        P[i_state, j] = P[j, i_state] = 0.0
            kinds[g, i], all_F[g, i] = ORDINARY, F
            square += v * v * precision
            taken += 1
            step_product *= F
            if not 1e-100 < step_product < 1e100:
                step_logs += math.log(step_product)
                step_product = 1.0
        for i in range(q, p):
            kinds[g, i], all_F[g, i] = SKIPPED, 0.0
        if keep or freeze:
            step_log = -0.5 * (step_logs + math.log(step_product) + taken * LOG_2PI)
            total += step_log
        else:
            total -= 0.5 * (step_logs + taken * LOG_2PI)
            product *= step_product
            if not 1e-100 < product < 1e100:
                total -= 0.5 * math.log(product)
                product = 1.0
        squares += square
        if impossible:
            squares = np.inf
        following = top + 1 if keep else 1 - g
        if keep:
            steps[t] = -np.inf if impossible else step_log - 0.5 * square
            for i in range(m):
                all_af[t, i] = a[i]
                for j in range(m):
                    all_Pf[g, i, j] = P[i, j]
        # The next step
        T, c, V = timed_T * t, timed_c * t, timed_V * t
        for i in range(m):
            moved = intercept[c, i]
            for j in range(m):
                W[i, j] = 0.0
            for e in range(row_start[i], row_start[i + 1]):
                factor, i_state = value[T, e], column[e]
                moved += factor * a[i_state]
                for j in range(m):
                    W[i, j] += factor * P[i_state, j]
            M[i] = moved
        for i in range(m):
            a[i] = M[i]
            for j in range(i):
                W[i, j], W[j, i] = W[j, i], W[i, j]
            if P[i, i] == 0.0:
                reach[i] = 0.0  # known, not the rest of a difference
        for i in range(m):
            for j in range(i + 1):
                all_P[following, i, j] = noise[V, i, j]
            bound = 0.0
            for e in range(row_start[i], row_start[i + 1]):
                factor, i_state = value[T, e], column[e]
                bound += factor * factor * reach[i_state]
                for j in range(i + 1):
                    all_P[following, i, j] += factor * W[i_state, j]
            bound = (row_start[i + 1] - row_start[i]) * bound + noise[V, i, i]
            if all_P[following, i, i] < LOST * bound:
                lost = True
                if all_P[following, i, i] <= ROUNDING * bound:
                    all_P[following, i, i] = -1.0
        for i in range(m):
            for j in range(i):
                all_P[following, j, i] = all_P[following, i, j]
        for i in range(m):
            if all_P[following, i, i] < 0.0:
                lost = True
                for j in range(m):
                    all_P[following, i, j] = all_P[following, j, i] = 0.0
        if freeze:
            if f == f_before:
                change = change_of(all_P, g, following)
                rate = change / change_before if change < change_before else 1.0
                if change <= STILL or (change <= 1e-12 and rate < 1.0 and change * rate / (1.0 - rate) <= STEADY):
                    steady, frozen_frame, following = True, f, g
                    if steady_from == n:
                        steady_from = t + 1
                change_before = change
            f_before = f
        g = following
        t += 1
    for j in range(m):
        all_a[last if keep else last & 1, j] = a[j]
    total -= 0.5 * (math.log(product) + squares)
    return total, g, steady_from, lost, max(top, g) + 1
