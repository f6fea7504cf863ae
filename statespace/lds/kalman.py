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

from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics, move_cov, move_mean
from statespace.protocols import Floats, Ints

SKIPPED, ORDINARY, DIFFUSE = 0, 1, 2
"""What became of a number: it was known before; it was taken; it determined a diffuse direction."""

LOG_2PI = math.log(2 * math.pi)
_STEADY = 2e-14  # what is left of the way to the limit of P, relative to P, when it is taken to be there
_STILL = 2e-15  # a change of P that is rounding
_ROUNDING = 64 * 2.0**-52  # of what was summed up to F: less than this is nothing
_LOST = 1e-6  # F, relative to what was subtracted to get it, below which too many digits are gone
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
def take_number(
    x: float, z: Floats, h: float, reach: Floats, a: Floats, P: Floats, gain: Floats
) -> tuple[int, float, float, float, bool]:
    """Update a and P by one number.

    `reach` (m,) is an upper bound of the variances before what came last. Returns what became of the number, v, F, the
    log-likelihood, and whether digits were lost.
    """
    m = a.shape[0]
    v, F, before, size, used = x, h, 0.0, abs(x), 0
    for j in range(m):
        gain[j] = 0.0
    for i in range(m):
        zi = z[i]
        if zi != 0.0:
            used += 1
            v -= zi * a[i]
            size += abs(zi * a[i])
            before += zi * zi * reach[i]
            row = P[i]
            for j in range(m):
                gain[j] += zi * row[j]
    for i in range(m):
        F += z[i] * gain[i]
    before = used * before + h
    if _ROUNDING * before >= F:
        for j in range(m):
            gain[j] = 0.0
        return SKIPPED, v, 0.0, (0.0 if abs(v) <= CONTRADICTION * size else -np.inf), before > h
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
    return ORDINARY, v, F, -0.5 * (LOG_2PI + math.log(F) + v * v / F), _LOST * before > F


@kernel
def change_of(P: Floats, moved: Floats) -> float:
    """The largest change, relative to the deviations that belong to it; inf where a variance was or has become 0."""
    m = P.shape[0]
    largest = 0.0
    for i in range(m):
        change = abs(moved[i, i] - P[i, i])
        if change > 0.0:
            if not P[i, i] > 0.0:
                return np.inf
            largest = max(largest, change / P[i, i])
    if largest > 1e-12:
        return largest
    for i in range(m):
        for j in range(i):
            change = abs(moved[i, j] - P[i, j])
            scale = P[i, i] * P[j, j]
            if change > 0.0:
                if not scale > 0.0:
                    return np.inf
                largest = max(largest, change / math.sqrt(scale))
    return largest


@kernel
def filter_steps(
    first: int, last: int, g: int, rows: Rows, d: Dynamics, keep: int, freeze: int, tables: Tables, work: Floats
) -> tuple[float, int, int, bool, int]:
    """Filter the steps first..last-1 from what tables.a[first] and tables.P[g] hold.

    work : (m + 2, m). Returns the log-likelihood, the row of P after the last step, the first steady step (n: never),
    whether digits were lost, and how many rows of the tables were filled.
    """
    m, p = d.row_start.shape[0] - 1, rows.variances.shape[1]
    reach, earlier, product = work[m], work[m + 1], work[:m]
    total, lost, steady_from, n = 0.0, False, rows.x.shape[0], rows.x.shape[0]
    steady, constant_log, top = False, 0.0, g
    f_before, change_before = -1, np.inf
    frozen_frame = -1
    for i in range(m):
        earlier[i] = tables.P[g, i, i]
    for t in range(first, last):
        now, after = (t, t + 1) if keep else (t & 1, (t + 1) & 1)
        here = t if keep else 0
        f = rows.frame[t]
        q = rows.n_seen[f]
        a, af = tables.a[now], tables.af[here]
        for j in range(m):
            af[j] = a[j]
        if steady and f == frozen_frame:
            # Gains are known
            quadratic = 0.0
            for i in range(q):
                if tables.kind[g, i] == SKIPPED:
                    continue
                z, k = rows.design[f, i], tables.k[g, i]
                v = rows.x[t, i]
                for j in range(m):
                    v -= z[j] * af[j]
                for j in range(m):
                    af[j] += k[j] * v
                quadratic += v * v / tables.F[g, i]
                if keep:
                    tables.v[t, i] = v
            step = constant_log - 0.5 * quadratic
            total += step
            if keep:
                tables.steps[t] = step
                tables.place[t] = g
            move_mean(t, d, af, tables.a[after])
            continue
        if steady:
            # The pattern of what is observed changes: P moves again, in a row of its own
            steady = False
            f_before, change_before = -1, np.inf
            fresh = top + 1 if keep else 1 - g
            tables.P[fresh, :, :] = tables.P[g]
            g = fresh
        top = max(top, g)
        P, Pf = tables.P[g], tables.Pf[g]
        for i in range(m):
            reach[i] = max(earlier[i], P[i, i])
            earlier[i] = P[i, i]
            for j in range(m):
                Pf[i, j] = P[i, j]
        step, logs = 0.0, 0.0
        for i in range(q):
            kind, v, F, gained, bad = take_number(
                rows.x[t, i], rows.design[f, i], rows.variances[f, i], reach, af, Pf, tables.k[g, i]
            )
            tables.kind[g, i] = kind
            tables.F[g, i] = F
            lost = lost or bad
            step += gained
            if kind == ORDINARY:
                logs += math.log(F) + LOG_2PI
            if keep:
                tables.v[t, i] = v
        for i in range(q, p):
            tables.kind[g, i] = SKIPPED
            tables.F[g, i] = 0.0
        total += step
        if keep:
            tables.steps[t] = step
            tables.place[t] = g
        following = top + 1 if keep else 1 - g
        move_mean(t, d, af, tables.a[after])
        move_cov(t, d, Pf, product, tables.P[following])
        if freeze:
            if f == f_before:
                change = change_of(P, tables.P[following])
                rate = change / change_before if change < change_before else 1.0
                if change <= _STILL or (change <= 1e-12 and rate < 1.0 and change * rate / (1.0 - rate) <= _STEADY):
                    steady, frozen_frame, constant_log = True, f, -0.5 * logs
                    if steady_from == n:
                        steady_from = t + 1
                    following = g
                change_before = change
            f_before = f
        g = following
    return total, g, steady_from, lost, max(top, g) + 1
