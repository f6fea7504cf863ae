r"""Backward recursion of many stretches of data side by side; the other half of `lockstep`.

    b_t = A w_{t+1}        gamma_t = alpha_t o b_t        w_t = e_t o b_t        xi_t = alpha_t(i) A_ij w_{t+1}(j)

b is on such a scale that gamma sums to the weight of the sequence. Where alpha was divided by its sum, and now and then
for the sake of rounding, b is fitted to that anew; all other steps are one pass over the tiles. xi is summed over
sixteen steps of all lanes at once, without its factor A, as a product of matrices.
"""

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.register_tile import ROWS, add_tile, dot, weigh_and_pair_tile
from statespace.hmm.lockstep import SMALL, ZERO, any_of, keep_in_range, lockstep, look_up
from statespace.protocols import Floats, Ints

BLOCK = 16
"""Steps whose transitions are summed at a time."""


@kernel
def backward_lanes(
    panels: Floats,
    rows: Ints,
    E: Floats,
    width: int,
    batch: int,
    warm: int,
    begin: Ints,
    length: Ints,
    before: Ints,
    after: Ints,
    weights: Floats,
    alpha: Floats,
    scaled: Ints,
    w_block: Floats,
    gamma: Floats,
    heads: Floats,
    exits: Floats,
    start: Floats,
    transitions: Floats,
    by_row: Floats,
    posteriors: Floats,
    place: Ints,
) -> None:
    """Backward recursion of a batch that `forward_lanes` has gone through with mask = EVERY_STEP.

    Parameters
    ----------
    panels : (K * padded,)
        The transpose of A, by `pack_panels`.
    rows, E, width, batch, warm, begin, length, before, alpha, scaled
        As in `forward_lanes`.
    after, weights : (n_lanes,)
        Whether another lane goes on from this one; the weight of its sequence.
    w_block : ((BLOCK + 1) * batch * width,)
        Scratch.
    gamma : (BLOCK * batch * padded,)
        Scratch, lane after lane.
    heads, exits : (n_lanes, K)
        Filled with beta, of sum 1, at the step before a lane that goes on, and at the last of one that is gone on from.
    start : (K,)
        gamma at the first step of sequences is added.
    transitions : (rounded up to 8, width), or (0, 0)
        The sum of alpha_t(i) w_{t+1}(j) is added.
    by_row : (E.size,) or (0,)
        gamma of each step is added to the step's row.
    posteriors, place : (n_samples * K,), (n_lanes,)
        Where there is no by_row, filled with gamma, from row `place` on for each lane.

    """
    K, n_lanes = start.size, length.size
    padded = (K + 3) // 4 * 4
    step = batch * width
    spare = alpha.size - 2 * step
    ones = np.ones(padded)
    places = np.zeros(batch, np.int64)
    unread, sums, targets = np.zeros(batch), np.zeros(batch), np.zeros(batch, np.int64)
    b = np.zeros(step)
    unweighted, still = np.ones(padded), np.zeros(batch, np.int64)
    all_rows = (n_lanes + ROWS - 1) // ROWS * ROWS

    # Coming in
    source = spare
    if any_of(after):
        for w in range(n_lanes):
            for j in range(K):
                alpha[spare + w * width + j] = 1.0 / K if after[w] else 0.0
        for y in range(warm - 1, -1, -1):
            for w in range(n_lanes):
                if after[w]:
                    look_up(rows, length[w] + y, begin, width, w, w + 1, places)
            if y == warm - 1:
                for w in range(n_lanes):
                    for j in range(padded):
                        alpha[source + w * width + j] *= E[places[w] + j]
            else:
                target = spare + step if source == spare else spare
                lockstep(panels, K, width, E, places, all_rows, alpha, source, alpha, target)
                source = target
            if y & 7 == 0:
                keep_in_range(alpha, source, width, padded, ones, all_rows, SMALL, unread, sums)

    # The steps of the lanes
    longest = length[0]
    active = 0
    for i in range(w_block.size):
        w_block[i] = 0.0
    for u in range(longest - 1, -1, -1):
        q = u % BLOCK
        if q == BLOCK - 1 or u == longest - 1:
            # w of the step after the block
            for i in range(step):
                w_block[(q + 1) * step + i] = w_block[i] if u < longest - 1 else 0.0
            for i in range((q + 1) * step):
                w_block[i] = 0.0
        joined = active
        while active < n_lanes and length[active] == u + 1:
            if after[active]:
                for j in range(padded):
                    w_block[(q + 1) * step + active * width + j] = alpha[source + active * width + j]
            active += 1
        n_rows = (active + ROWS - 1) // ROWS * ROWS
        look_up(rows, u, begin, width, ZERO, active, places)
        for w in range(n_rows):
            targets[w] = (w * BLOCK + q) * padded
        here, there = u * step, (q + 1) * step
        fitted = u % 64 == 62 or (u % 8 == 6 and u + 1 < longest and scaled[(u + 1) >> 3])
        if fitted or active > joined or u == 0:
            lockstep(panels, K, width, unweighted, still, n_rows, w_block, there, b, ZERO)
            for w in range(active):
                row, at = w * width, here + w * width
                if w >= joined:
                    if after[w]:
                        c = dot(padded, b, row, ones, 0)
                        for j in range(K):
                            exits[w, j] = b[row + j] / c
                    else:
                        for j in range(padded):
                            b[row + j] = 1.0
                g = dot(padded, alpha, at, b, row)
                f = weights[w] / g if weights[w] > 0.0 else 0.0
                for j in range(padded):
                    w_block[there + row + j] *= f
                    pair = alpha[at + j] * (b[row + j] * f)
                    if by_row.size:
                        by_row[places[w] + j] += pair
                    else:
                        gamma[targets[w] + j] = pair
                    if j < K and u == 0 and not before[w]:
                        start[j] += pair
                    w_block[q * step + row + j] = E[places[w] + j] * (b[row + j] * f)
        else:
            _paired_step(
                panels, K, width, E, places, n_rows, w_block, there, q * step, alpha, here, by_row, gamma, targets
            )
        if q == 0 and transitions.size:
            n = min(BLOCK, longest - u) * batch
            for i in range(0, K, 8):
                for j in range(0, padded - 7, 8):
                    add_tile(
                        8, n, alpha, here + i, 1, width, w_block, step + j, width, transitions, i * width + j, width
                    )
                if padded & 4:
                    j = padded - 4
                    add_tile(
                        4, n, alpha, here + i, 1, width, w_block, step + j, width, transitions, i * width + j, width
                    )
        if q == 0 and by_row.size == 0:
            for w in range(n_lanes):
                n = min(BLOCK, length[w] - u)
                _copy_rows(gamma, w * BLOCK * padded, padded, posteriors, (place[w] + u) * K, K, n)
    going_on = n_lanes if any_of(before) else 0
    lockstep(panels, K, width, unweighted, still, going_on, w_block, ZERO, b, ZERO)
    for w in range(going_on):
        c = dot(padded, b, w * width, ones, 0)
        for j in range(K):
            heads[w, j] = b[w * width + j] / c


@kernel
def _copy_rows(x: Floats, x_at: int, padded: int, out: Floats, out_at: int, K: int, n: int) -> None:
    """Copy the first K numbers of n rows."""
    if padded == K:
        for i in range(n * K):
            out[out_at + i] = x[x_at + i]
    else:
        for i in range(n):
            for j in range(K):
                out[out_at + i * K + j] = x[x_at + i * padded + j]


@kernel
def _paired_step(
    panels: Floats,
    K: int,
    width: int,
    E: Floats,
    places: Ints,
    n_rows: int,
    w_block: Floats,
    there: int,
    here: int,
    alpha: Floats,
    at: int,
    by_row: Floats,
    gamma: Floats,
    targets: Ints,
) -> None:
    """Find w and gamma from the w of the step after; gamma is added to by_row, or stored where there is none."""
    padded = (K + 3) // 4 * 4
    summed = by_row.size > 0
    for c in range(0, padded, 8):
        wide = padded - c >= 8
        for r in range(0, n_rows, ROWS):
            d = r * width
            x, o, y = there + d, here + d + c, at + d + c
            if summed and wide:
                weigh_and_pair_tile(
                    8, 1, K, w_block, x, width, panels, c * K, E, c, places, r, w_block, o, alpha, y, by_row, targets
                )
            elif summed:
                weigh_and_pair_tile(
                    4, 1, K, w_block, x, width, panels, c * K, E, c, places, r, w_block, o, alpha, y, by_row, targets
                )
            elif wide:
                weigh_and_pair_tile(
                    8,
                    0,
                    K,
                    w_block,
                    x,
                    width,
                    panels,
                    c * K,
                    E,
                    c,
                    places,
                    r,
                    w_block,
                    o,
                    alpha,
                    y,
                    gamma,
                    targets,
                )
            else:
                weigh_and_pair_tile(
                    4,
                    0,
                    K,
                    w_block,
                    x,
                    width,
                    panels,
                    c * K,
                    E,
                    c,
                    places,
                    r,
                    w_block,
                    o,
                    alpha,
                    y,
                    gamma,
                    targets,
                )
