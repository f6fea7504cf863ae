r"""Forward and backward recursions of many stretches of data side by side, where A is constant and has no zeros.

Sixteen stretches or more, the lanes, take their n-th step together, so that one step of all is a product of matrices,

    alpha_t = (alpha_{t-1} A) o e_t        w_t = e_t o (A w_{t+1})        gamma_t = alpha_t o (A w_{t+1})

with a row for each lane. A lane is a sequence, or a part of a long one. Such a part has to know what is before and
after it: both recursions come in over `warm` steps more, starting from an even law, whose traces fade as A has no
zeros. How far they faded is not assumed but returned: `entries` and `exits` are what a lane began with, `ends` and
`heads` what its neighbours arrived at, and the caller compares them.

alpha is divided by its sum every eighth step if that is below 1e-30. With entries of A of 1e-24 and more, and the
largest of each e_t being 1, it cannot come down to 1e-240 in between, and what is lost by 1e-100 beside the largest
cannot matter later (see `forward_pass`).

Lanes of a batch lie in order of falling length, and come from row 0 on; the rows of a batch that no lane uses hold
zeros or what an earlier lane left there. States are padded with zeros to a multiple of 4.
"""

import math
from typing import cast

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.register_tile import ROWS, dot, weigh_tile
from statespace.protocols import Floats, Ints

LANES = 16
"""Stretches in a batch of long ones; there are a few times as many in one of short ones."""
ZERO, EVERY_STEP, LAST_TWO = cast(int, np.int64(0)), cast(int, np.int64(-1)), cast(int, np.int64(1))
"""No literals: a kernel that is called with a literal number is compiled for that number."""
SMALL = 1e-30
"""What a sum is not left below."""


@kernel
def _start(startprob: Floats, E: Floats, e_at: int, alpha: Floats, at: int) -> float:
    """Write pi o e_1, and return its sum."""
    c = 0.0
    for j in range(startprob.size):
        a = startprob[j] * E[e_at + j]
        alpha[at + j] = a
        c += a
    return c


@kernel
def _start_from_logarithms(startprob: Floats, table: Floats, row: int, alpha: Floats, at: int) -> float:
    """Write pi o exp(l_1 - m), where the largest is 1, and return m."""
    m = -math.inf
    for j in range(startprob.size):
        if startprob[j] > 0.0:
            m = max(m, math.log(startprob[j]) + table[row, j])
    for j in range(startprob.size):
        alpha[at + j] = math.exp(math.log(startprob[j]) + table[row, j] - m) if startprob[j] > 0.0 else 0.0
    return m


@kernel
def lockstep(
    panels: Floats, K: int, width: int, E: Floats, places: Ints, n_rows: int, x: Floats, x_at: int, out: Floats, to: int
) -> None:
    """Set out = e o (x times the matrix of the panels), in rows 0..n_rows-1."""
    padded = (K + 3) // 4 * 4
    for c in range(0, padded - 7, 8):
        for r in range(0, n_rows, ROWS):
            weigh_tile(8, K, x, x_at + r * width, width, panels, c * K, E, c, places, r, out, to + r * width + c, width)
    if padded & 4:
        c = padded - 4
        for r in range(0, n_rows, ROWS):
            weigh_tile(4, K, x, x_at + r * width, width, panels, c * K, E, c, places, r, out, to + r * width + c, width)


@kernel
def keep_in_range(
    x: Floats, at: int, width: int, padded: int, ones: Floats, n_rows: int, threshold: float, logs: Floats, sums: Floats
) -> bool:
    """Divide all rows by their sums where one of these is below the threshold, and add their logarithms to logs."""
    small = False
    for w in range(n_rows):
        sums[w] = dot(padded, x, at + w * width, ones, 0)
        small |= 0.0 < sums[w] < threshold
    divided = n_rows if small else 0
    for w in range(divided):
        if sums[w] > 0.0:
            logs[w] += math.log(sums[w])
            factor = 1.0 / sums[w]
            for j in range(padded):
                x[at + w * width + j] *= factor
    return small


@kernel
def look_up(rows: Ints, v: int, begin: Ints, width: int, first: int, last: int, places: Ints) -> None:
    """Places in E of the step v of the lanes first..last-1."""
    for w in range(first, last):
        places[w] = rows[begin[w] + v] * width


@kernel
def any_of(flags: Ints) -> bool:
    """Whether one of them is not 0."""
    found = False
    for w in range(flags.size):
        found |= flags[w] != 0
    return found


@kernel
def _finish(
    alpha: Floats,
    at: int,
    width: int,
    K: int,
    ones: Floats,
    first: int,
    last: int,
    shifts: Floats,
    logs: Floats,
    ends: Floats,
    totals: Floats,
) -> None:
    """Log-probabilities and last laws of the lanes first..last-1, whose last alpha is at `at`."""
    for w in range(first, last):
        c = dot(ones.size, alpha, at + w * width, ones, 0)
        totals[w] = shifts[w] + (logs[w] + math.log(c))
        inverse = 1.0 / c
        for j in range(K):
            ends[w, j] = alpha[at + w * width + j] * inverse


@kernel
def forward_lanes(
    startprob: Floats,
    panels: Floats,
    table: Floats,
    rows: Ints,
    E: Floats,
    shift: Floats,
    width: int,
    batch: int,
    warm: int,
    begin: Ints,
    length: Ints,
    before: Ints,
    first_row: Ints,
    alpha: Floats,
    scaled: Ints,
    mask: int,
    entries: Floats,
    ends: Floats,
    totals: Floats,
) -> None:
    """Forward recursion of one batch.

    Parameters
    ----------
    startprob : (K,)
        pi.
    panels : (K * padded,)
        A, by `pack_panels`.
    table : (n_rows, K)
        Log-likelihoods.
    rows : (n_steps,)
        The row of E for each step.
    E, shift : (n_frames * width,), (n_frames,)
        By `exponentiate_scaled`.
    width : int
        Numbers from one row to the next in E and in alpha.
    batch : int
        Lanes there is room for, a multiple of 8.
    warm : int
        Steps to come in over.
    begin, length, before, first_row : (n_lanes,)
        The first step of each lane, its number of steps, whether it goes on from another, and its first row of table.
    alpha : ((n_steps or 2, and 2) * batch * width,)
        Filled with alpha: step v in row block `v & mask`; the last two blocks are scratch.
    scaled : (at least n_steps / 8,)
        Filled with whether alpha was divided in each eight steps.
    mask : int
        EVERY_STEP, or LAST_TWO where only two steps are kept.
    entries, ends : (n_lanes, K)
        Filled with the law before the first step of a lane that goes on, and at the last.
    totals : (n_lanes,)
        Filled with the log-probability of the lane given what is before it.

    """
    K, n_lanes = startprob.size, length.size
    padded = (K + 3) // 4 * 4
    step = batch * width
    spare = alpha.size - 2 * step
    ones = np.ones(padded)
    places = np.zeros(batch, np.int64)
    logs, shifts, sums = np.zeros(batch), np.zeros(batch), np.zeros(batch)
    n_rows = (n_lanes + ROWS - 1) // ROWS * ROWS
    goes_on = any_of(before)
    source = spare

    # Coming in
    if goes_on:
        for w in range(n_lanes):
            for j in range(K):
                alpha[spare + w * width + j] = 1.0 / K
        for v in range(-warm, 0):
            for w in range(n_lanes):
                if before[w]:
                    look_up(rows, v, begin, width, w, w + 1, places)
            target = spare + step if source == spare else spare
            lockstep(panels, K, width, E, places, n_rows, alpha, source, alpha, target)
            source = target
            if v & 7 == 7:
                keep_in_range(alpha, source, width, padded, ones, n_rows, SMALL, logs, sums)
        keep_in_range(alpha, source, width, padded, ones, n_rows, math.inf, logs, sums)
        for w in range(n_lanes):
            logs[w] = 0.0
            for j in range(K):
                entries[w, j] = alpha[source + w * width + j]

    # The steps of the lanes
    active = n_lanes
    longest = length[0]
    for v in range(longest):
        last = ((v - 1) & mask) * step
        shorter = active
        while length[active - 1] == v:
            active -= 1
        _finish(alpha, last, width, K, ones, active, shorter, shifts, logs, ends, totals)
        here = (v & mask) * step
        n_rows = (active + ROWS - 1) // ROWS * ROWS
        for w in range(active):
            r = rows[begin[w] + v]
            places[w] = r * width
            shifts[w] += shift[r]
        if v or goes_on:
            from_here = last if v else source
            lockstep(panels, K, width, E, places, n_rows, alpha, from_here, alpha, here)
        if v == 0:
            for w in range(n_lanes):
                # The likeliest state may be one that no sequence starts in
                if not before[w] and _start(startprob, E, places[w], alpha, here + w * width) < 1e-40:
                    shifts[w] = _start_from_logarithms(startprob, table, first_row[w], alpha, here + w * width)
        if v & 7 == 7:
            scaled[v >> 3] = keep_in_range(alpha, here, width, padded, ones, n_rows, SMALL, logs, sums)
    _finish(alpha, ((longest - 1) & mask) * step, width, K, ones, ZERO, active, shifts, logs, ends, totals)
