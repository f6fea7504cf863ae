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

from statespace.foundations.kernel import bare_kernel
from statespace.protocols import Floats, Ints

SKIPPED, ORDINARY, DIFFUSE = 0, 1, 2
"""What became of a number: it was known before; it was taken; it determined a diffuse direction."""

LOG_2PI = math.log(2 * math.pi)
STEADY = 2e-14  # what is left of the way to the limit of P, relative to P, when it is taken to be there
STILL = 2e-15  # a change of P that is rounding
ROUNDING = 64 * 2.0**-52  # of what was summed up to F: less than this is nothing
LOST = 1e-5  # F, relative to what was subtracted to get it, below which too many digits are gone
SUM_LOST = 1e-6  # a variance after the transition, relative to those that were added up to it, for the same
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


@bare_kernel
def size_of(x: float, z: Floats, span: Floats) -> float:
    """What x - z a was made of, where `span` (m,) is what the mean a was: it and what was added to it in this step."""
    size = abs(x)
    for j in range(z.shape[0]):
        size += abs(z[j]) * span[j]
    return size


@bare_kernel
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
