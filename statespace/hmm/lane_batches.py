"""Many sequences, or parts of them, a batch of lanes at a time: frames, and the recursions of `lockstep` on them."""

import math

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.register_tile import ROWS
from statespace.hmm.lockstep import BLOCK, LANES, SMALL, backward_lanes, forward_lanes, keep_in_range, lockstep
from statespace.protocols import Floats, Ints

_LOST = 1e-100  # of a frame, beside its largest: no state that loses so much at once matters again


@kernel
def exponentiate_scaled(table: Floats, first: int, last: int, E: Floats, place: int, width: int, shift: Floats) -> bool:
    """E = exp(table - shift) for the rows first..last-1, from row `place` on, `width` numbers apart.

    shift is the maximum of each row; what is below 1e-100 becomes 0. False if a row is -inf throughout.
    """
    K = table.shape[1]
    possible = True
    for row in range(first, last):
        m = -math.inf
        for j in range(K):
            m = max(m, table[row, j])
        shift[place] = m
        if m == -math.inf:
            possible = False
            m = 0.0
        for j in range(K):
            e = math.exp(table[row, j] - m)
            E[place * width + j] = e if e > _LOST else 0.0
        place += 1
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
    alpha = np.zeros(4 * LANES * width)
    frames, scales, base = _room_for_frames(rows, E, shift, width, warm, length[first])
    for a in range(first, last, LANES):
        z = min(a + LANES, last)
        if not rows.size and not _read_frames(
            table, width, warm, begin, length, before, after, a, z, frames, scales, base
        ):
            return False
        forward_lanes(
            startprob, panels, table, rows, frames, scales, width, warm, begin[a:z], length[a:z], base, before[a:z],
            alpha, 1, entries[a:z], ends[a:z], totals[a:z],
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
) -> bool:
    """Both recursions of the lanes first..last-1; see `score_batches` and `backward_lanes`."""
    step = LANES * width
    alpha = np.zeros((length[first] + 2) * step)
    w_block = np.zeros((BLOCK + 1) * step)
    gamma = np.zeros(BLOCK * step)
    frames, scales, base = _room_for_frames(rows, E, shift, width, warm, length[first])
    for a in range(first, last, LANES):
        z = min(a + LANES, last)
        if not rows.size and not _read_frames(
            table, width, warm, begin, length, before, after, a, z, frames, scales, base
        ):
            return False
        forward_lanes(
            startprob, panels, table, rows, frames, scales, width, warm, begin[a:z], length[a:z], base, before[a:z],
            alpha, -1, entries[a:z], ends[a:z], totals[a:z],
        )  # fmt: skip
        backward_lanes(
            panels_back, rows, frames, width, warm, begin[a:z], length[a:z], base, before[a:z], after[a:z],
            weights[a:z], alpha, w_block, gamma, heads[a:z], exits[a:z], start, transitions, by_row, posteriors,
        )  # fmt: skip
    return True


@kernel
def _room_for_frames(
    rows: Ints, E: Floats, shift: Floats, width: int, warm: int, longest: int
) -> tuple[Floats, Floats, Ints]:
    """E and shift as they are, or room for those of a batch; and the frame at which each lane begins."""
    n = longest + 2 * warm
    base = np.empty(LANES, np.int64)
    for w in range(LANES):
        base[w] = w * n + warm
    if rows.size:
        return E, shift, base
    return np.zeros(LANES * n * width), np.zeros(LANES * n), base


@kernel
def _read_frames(
    table: Floats,
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
) -> bool:
    """Exponentiate the steps of a batch, and those that its lanes come in over."""
    possible = True
    for w in range(first, last):
        a, z = begin[w] - warm * before[w], begin[w] + length[w] + warm * after[w]
        place = base[w - first] - warm * before[w]
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
    ones, logs, places = np.ones(padded), np.zeros(ROWS), np.zeros(ROWS, np.int64)
    frame, scale = (np.empty(0), np.empty(0)) if rows.size else (np.zeros(ROWS // 2 * width), np.empty(ROWS // 2))
    for w in range(ROWS):
        for j in range(K):
            x[w * width + j] = 1.0 / K if w & 1 else 1.0 / (1.0 + j * j)
    source = 0
    for n in range(1, most + 1):
        for p in range(ROWS // 2):
            t = begin + (end - begin - most) * p // (ROWS // 2) + n - 1
            if rows.size:
                places[2 * p] = places[2 * p + 1] = rows[t] * width
            else:
                exponentiate_scaled(table, t, t + 1, frame, p, width, scale)
                places[2 * p] = places[2 * p + 1] = p * width
        target = ROWS * width - source
        lockstep(panels, K, width, E if rows.size else frame, places, ROWS, x, source, x, target)
        source = target
        if n % 8 == 0:
            keep_in_range(x, source, width, padded, ones, ROWS, math.inf, logs)
            agree = True
            for p in range(ROWS // 2):
                for j in range(K):
                    a, b = x[source + 2 * p * width + j], x[source + (2 * p + 1) * width + j]
                    agree &= abs(a - b) <= 4e-15 * a + 1e-40
            if agree:
                return n
    return most + 1
