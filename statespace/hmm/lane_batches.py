"""Many sequences, or parts of them, a batch of lanes at a time: frames, and the recursions of `lockstep` on them."""

import math

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.register_tile import ROWS
from statespace.foundations.vector_math import exponentiate_in_place
from statespace.hmm.lockstep import EVERY_STEP, LAST_TWO, ZERO, forward_lanes, keep_in_range, lockstep
from statespace.hmm.lockstep_backward import BLOCK, backward_lanes
from statespace.protocols import Floats, Ints

_FAR = -240.0  # below the logarithm of that which follows
_LOST = 1e-100  # of a frame, beside its largest: no state that loses so much at once matters again


@kernel
def exponentiate_scaled(table: Floats, first: int, last: int, E: Floats, place: int, width: int, shift: Floats) -> bool:
    """E = exp(table - shift) for the rows first..last-1, from row `place` on, `width` numbers apart.

    shift is the maximum of each row; what is below 1e-100 becomes 0, and so do the columns that table does not have.
    False if a row is -inf throughout.
    """
    K, n = table.shape[1], last - first
    if K < 8:  # short rows: the long loops go along the columns
        for i in range(n):
            shift[place + i] = table[first + i, 0]
        for j in range(1, K):
            for i in range(n):
                x = table[first + i, j]
                shift[place + i] = x if x > shift[place + i] else shift[place + i]
    else:
        for i in range(n):
            m0 = m1 = m2 = m3 = -math.inf
            for j in range(0, K - 3, 4):
                x0, x1, x2, x3 = (
                    table[first + i, j],
                    table[first + i, j + 1],
                    table[first + i, j + 2],
                    table[first + i, j + 3],
                )
                m0 = x0 if x0 > m0 else m0
                m1 = x1 if x1 > m1 else m1
                m2 = x2 if x2 > m2 else m2
                m3 = x3 if x3 > m3 else m3
            for j in range(K - K % 4, K):
                m0 = max(m0, table[first + i, j])
            shift[place + i] = max(max(m0, m1), max(m2, m3))
    possible = True
    for i in range(n):
        possible &= shift[place + i] > -math.inf
    # What is far down is 0 below; as a number of the smallest size it would take a hundred times as long
    if K < 8:
        for j in range(K):
            for i in range(n):
                x = table[first + i, j] - shift[place + i]
                E[(place + i) * width + j] = x if x > _FAR else _FAR
        for j in range(K, width):
            for i in range(n):
                E[(place + i) * width + j] = _FAR
    else:
        for i in range(n):
            m, at = shift[place + i], (place + i) * width
            for j in range(K):
                x = table[first + i, j] - m
                E[at + j] = x if x > _FAR else _FAR
            for j in range(K, width):
                E[at + j] = _FAR
    values = E[place * width : (place + last - first) * width]
    exponentiate_in_place(values)
    for i in range(values.size):
        values[i] = values[i] if values[i] > _LOST else 0.0
    return possible


@kernel
def starts_are_possible(startprob: Floats, table: Floats, rows: Ints, offsets: Ints) -> bool:
    """Whether some state can both begin each sequence and explain its first step."""
    for s in range(offsets.size - 1):
        r = rows[offsets[s]] if rows.size else offsets[s]
        found = False
        for j in range(startprob.size):
            if startprob[j] > 0.0 and table[r, j] > -math.inf:
                found = True
                break
        if not found:
            return False
    return True


@kernel
def score_batches(
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
    after: Ints,
    first: int,
    last: int,
    entries: Floats,
    ends: Floats,
    totals: Floats,
) -> bool:
    """Forward recursion of the lanes first..last-1, a batch at a time; see `forward_lanes`.

    Without `rows`, E and shift are empty. False, and nothing of use, if a step is impossible in all states.
    """
    alpha, scaled = np.zeros(4 * batch * width), np.zeros(length[first] // 8 + 1, np.int64)
    own_frames = np.zeros(0 if rows.size else (length[first] + 2 * warm) * batch * width)
    batch_rows, frames, scales, base, first_row = _frames_of_a_batch(rows, E, shift, batch, own_frames, width)
    for a in range(first, last, batch):
        z = min(a + batch, last)
        if not _read_batch(
            table, rows, width, warm, begin, length, before, after, a, z, frames, scales, base, first_row
        ):
            return False
        forward_lanes(
            startprob, panels, table, batch_rows, frames, scales, width, batch, warm, base, length[a:z], before[a:z],
            first_row, alpha, scaled, LAST_TWO, entries[a:z], ends[a:z], totals[a:z],
        )  # fmt: skip
    return True


@kernel
def smooth_batches(
    startprob: Floats,
    panels: Floats,
    panels_back: Floats,
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
    after: Ints,
    weights: Floats,
    first: int,
    last: int,
    entries: Floats,
    ends: Floats,
    heads: Floats,
    exits: Floats,
    totals: Floats,
    start: Floats,
    transitions: Floats,
    by_row: Floats,
    posteriors: Floats,
    alpha: Floats,
    own_frames: Floats,
) -> bool:
    """Both recursions of the lanes first..last-1; see `score_batches` and `backward_lanes`.

    `alpha` ((length[first] + 2) * batch * width,) is scratch, filled with zeros; so is `own_frames`, where there are no
    rows ((length[first] + 2 * warm) * batch * width,), and otherwise empty.
    """
    step = batch * width
    scaled = np.zeros(length[first] // 8 + 1, np.int64)
    w_block, gamma = np.zeros((BLOCK + 1) * step), np.zeros(BLOCK * step)
    batch_rows, frames, scales, base, first_row = _frames_of_a_batch(rows, E, shift, batch, own_frames, width)
    for a in range(first, last, batch):
        z = min(a + batch, last)
        if not _read_batch(
            table, rows, width, warm, begin, length, before, after, a, z, frames, scales, base, first_row
        ):
            return False
        forward_lanes(
            startprob, panels, table, batch_rows, frames, scales, width, batch, warm, base, length[a:z], before[a:z],
            first_row, alpha, scaled, EVERY_STEP, entries[a:z], ends[a:z], totals[a:z],
        )  # fmt: skip
        backward_lanes(
            panels_back, batch_rows, frames, width, batch, warm, base, length[a:z], before[a:z], after[a:z],
            weights[a:z], alpha, scaled, w_block, gamma, heads[a:z], exits[a:z], start, transitions, by_row, posteriors,
            begin[a:z],
        )  # fmt: skip
    return True


@kernel
def _frames_of_a_batch(
    rows: Ints, E: Floats, shift: Floats, batch: int, own_frames: Floats, width: int
) -> tuple[Ints, Floats, Floats, Ints, Ints]:
    """Rows, E and shift as they are, or room for those of a batch; and room for where its lanes begin in them."""
    base, first_row = np.empty(batch, np.int64), np.empty(batch, np.int64)
    if rows.size:
        return rows, E, shift, base, first_row
    n = own_frames.size // width
    return np.arange(n), own_frames, np.zeros(n), base, first_row


@kernel
def _read_batch(
    table: Floats,
    rows: Ints,
    width: int,
    warm: int,
    begin: Ints,
    length: Ints,
    before: Ints,
    after: Ints,
    first: int,
    last: int,
    frames: Floats,
    scales: Floats,
    base: Ints,
    first_row: Ints,
) -> bool:
    """Where the lanes of a batch begin; without rows, exponentiate their steps, and those that they come in over."""
    possible = True
    n = length[first] + 2 * warm
    for w in range(last - first):
        t = begin[first + w]
        if rows.size:
            base[w], first_row[w] = t, rows[t]
        else:
            base[w], first_row[w] = w * n + warm, t
            a, z = t - warm * before[first + w], t + length[first + w] + warm * after[first + w]
            place = base[w] - warm * before[first + w]
            possible &= exponentiate_scaled(table, a, z, frames, place, width, scales)
    return possible


@kernel
def forgetting_time(
    panels: Floats, table: Floats, rows: Ints, E: Floats, shift: Floats, width: int, begin: int, end: int, most: int
) -> int:
    """How many steps make two filters agree that begin with different laws, at the slowest of four places.

    The sequence is that of the steps begin..end-1; `most` + 1 where they do not agree after so many.
    """
    K = table.shape[1]
    padded = (K + 3) // 4 * 4
    x = np.zeros(2 * ROWS * width)
    ones, logs, sums, places = np.ones(padded), np.zeros(ROWS), np.empty(ROWS), np.zeros(ROWS, np.int64)
    frames, scales = E, shift
    if not rows.size:
        frames, scales = np.zeros(ROWS // 2 * width), np.zeros(ROWS // 2)
    for w in range(ROWS):
        for j in range(K):
            x[w * width + j] = 1.0 / K if w & 1 else 1.0 / (1.0 + j * j)
    source = ZERO
    for n in range(1, most + 1):
        for p in range(ROWS // 2):
            t = begin + (end - begin - most) * p // (ROWS // 2) + n - 1
            if rows.size:
                places[2 * p] = places[2 * p + 1] = rows[t] * width
            else:
                exponentiate_scaled(table, t, t + 1, frames, p, width, scales)
                places[2 * p] = places[2 * p + 1] = p * width
        target = ROWS * width - source
        lockstep(panels, K, width, frames, places, places.size, x, source, x, target)
        source = target
        if n % 8 == 0:
            keep_in_range(x, source, width, padded, ones, places.size, math.inf, logs, sums)
            agree = True
            for p in range(ROWS // 2):
                for j in range(K):
                    a, b = x[source + 2 * p * width + j], x[source + (2 * p + 1) * width + j]
                    agree &= abs(a - b) <= 4e-15 * a + 1e-40
            if agree:
                return n
    return most + 1
