r"""Sequences side by side whose gains are the same: what is left to compute of each are means.

Gains follow from the matrices and from which entries are observed, not from the numbers. Where these agree, P, F and k
of kalman.py and N of smoother.py are computed once, and the means of `LANES` sequences are moved in lockstep: every
loop below whose index is `s` is over them, and is a few vector instructions long.

Observations are read where they lie. Those of a step are x = B (y - d), with B that of its frame (frames.py).
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.transposition import SIDE, transpose_stretches
from statespace.lds.dynamics import Dynamics
from statespace.lds.kalman import CONTRADICTION, DIFFUSE, LOG_2PI, SKIPPED
from statespace.protocols import Floats, Ints

LANES = 32
"""Sequences that are moved in lockstep."""
_NO, _YES = cast(int, np.int64(0)), cast(int, np.int64(1))  # no literals, for which kernels would be compiled once more
_LANES_OF_ONE = 32  # where state and observation are a single number


class Shared(NamedTuple):
    """What sequences share; n steps, the first so many of which are those of a shorter sequence."""

    place: Ints
    """The row of the tables that belongs to a step, shape (n,)."""
    frame: Ints
    """Which frame each step has, shape (n,)."""
    kind: Ints
    """What became of each number, shape (G, p)."""
    k: Floats
    """Gains of the numbers, shape (G, p, m)."""
    F: Floats
    """Variances of the innovations, shape (G, p)."""
    design: Floats
    """B Z of each frame, shape (n_frames, p, m)."""
    transform: Floats
    """B of each frame, shape (n_frames, p, p)."""
    n_seen: Ints
    """How many numbers are observed in each frame, shape (n_frames,)."""
    last_seen: Ints
    """The feature whose column of B has the 1 of a number, shape (n_frames, p)."""
    centre: Floats
    """d, shape (p,)."""
    start: Floats
    """a1, shape (m,)."""


@kernel
def log_normalisers(place: Ints, kind: Ints, F: Floats, diffuse: float, out: Floats) -> None:
    """Sums over the steps before each one of log F + log 2 pi, shape (n + 1,); `diffuse` is added for numbers that are.

    log F of a diffuse number is that of F_inf.
    """
    G, p = F.shape
    logs = np.zeros(G)
    for g in range(G):
        for i in range(p):
            if kind[g, i] != SKIPPED:
                logs[g] += np.log(F[g, i]) + LOG_2PI + (diffuse if kind[g, i] == DIFFUSE else 0.0)
    total = 0.0
    for t in range(place.shape[0]):
        out[t] = total
        total += logs[place[t]]
    out[place.shape[0]] = total


@kernel
def score_single(
    x: Floats,
    starts: Ints,
    lengths: Ints,
    shared: Shared,
    transition: float,
    intercept: float,
    normalisers: Floats,
    totals: Floats,
) -> None:
    """Log-likelihoods of sequences of one number a step, of one state, all observed.

    x : (n_numbers,), of which a sequence begins at starts[s] and has lengths[s], in falling order. normalisers : as of
    `log_normalisers`, (n + 1,). What is moved on is u = z a, of which v = (y - d) - u, and z k is its gain.
    """
    S, n = starts.shape[0], lengths[0]
    z, d = shared.design[0, 0, 0], shared.centre[0]
    gain, precision, known = np.empty(n), np.empty(n), np.empty(n)
    place, kind, k, F = shared.place, shared.kind, shared.k, shared.F
    implied = False
    for t in range(n):
        g = place[t]
        gain[t] = transition * z * k[g, 0, 0] if kind[g, 0] != SKIPPED else 0.0
        precision[t] = 0.0 if kind[g, 0] != 1 else 1.0 / F[g, 0]
        implied = implied or kind[g, 0] == SKIPPED
        known[t] = 1.0 if kind[g, 0] == SKIPPED else 0.0
    u, quadratic, at = np.empty(_LANES_OF_ONE), np.empty(_LANES_OF_ONE), np.empty(_LANES_OF_ONE, np.int64)
    block = np.empty(SIDE * _LANES_OF_ONE)
    moved = z * intercept
    for first in range(0, S, _LANES_OF_ONE):
        longest, shortest = lengths[first], lengths[min(first + _LANES_OF_ONE, S) - 1]
        for s in range(_LANES_OF_ONE):
            at[s] = starts[min(first + s, S - 1)]
            u[s] = z * shared.start[0]
            quadratic[s] = 0.0
        for t in range(0, longest, SIDE):
            steps = min(SIDE, longest - t)
            if t + SIDE <= shortest:
                for s in range(0, _LANES_OF_ONE, SIDE):
                    transpose_stretches(x, at, s, t, block, s, _LANES_OF_ONE)
            else:
                for s in range(_LANES_OF_ONE):
                    last = lengths[min(first + s, S - 1)] - 1
                    for j in range(steps):
                        block[j * _LANES_OF_ONE + s] = x[at[s] + min(t + j, last)]
            if t + SIDE < shortest and not implied:
                for j in range(0, SIDE, 4):  # four steps at once: means and sums stay in registers
                    g0, g1, g2, g3 = gain[t + j], gain[t + j + 1], gain[t + j + 2], gain[t + j + 3]
                    w0, w1, w2, w3 = precision[t + j], precision[t + j + 1], precision[t + j + 2], precision[t + j + 3]
                    row = j * _LANES_OF_ONE
                    for s in range(_LANES_OF_ONE):
                        mean = u[s]
                        v = (block[row + s] - d) - mean
                        total = w0 * v * v
                        mean = transition * mean + (g0 * v + moved)
                        v = (block[row + _LANES_OF_ONE + s] - d) - mean
                        total += w1 * v * v
                        mean = transition * mean + (g1 * v + moved)
                        v = (block[row + 2 * _LANES_OF_ONE + s] - d) - mean
                        total += w2 * v * v
                        mean = transition * mean + (g2 * v + moved)
                        v = (block[row + 3 * _LANES_OF_ONE + s] - d) - mean
                        u[s] = transition * mean + (g3 * v + moved)
                        quadratic[s] += total + w3 * v * v
            else:
                for j in range(steps):
                    K, weight, row = gain[t + j], precision[t + j], j * _LANES_OF_ONE
                    if known[t + j] > 0.0:
                        for s in range(_LANES_OF_ONE):
                            y = block[row + s] - d
                            size = abs(y) + abs(u[s])
                            quadratic[s] += np.inf if abs(y - u[s]) > CONTRADICTION * size else 0.0 * y
                            u[s] = transition * u[s] + moved
                    else:
                        for s in range(_LANES_OF_ONE):
                            v = (block[row + s] - d) - u[s]
                            quadratic[s] += weight * v * v
                            u[s] = transition * u[s] + (K * v + moved)
                    if t + j + 1 >= shortest:
                        for s in range(min(_LANES_OF_ONE, S - first)):
                            if lengths[first + s] == t + j + 1:
                                totals[first + s] = -0.5 * (normalisers[t + j + 1] + quadratic[s])


class Block(NamedTuple):
    """What the filter keeps of `LANES` sequences for the way back."""

    a: Floats
    """Predicted means, shape (n + 1, m, LANES)."""
    v: Floats
    """Innovations, shape (n, p, LANES); those beyond n_seen are not set."""


class Sums(NamedTuple):
    """Weighted sums over steps and sequences, still lane by lane, of which derivatives are made; see gradient.py."""

    u: Floats
    """u by the frame of the step, shape (n_frames, p, LANES)."""
    uu: Floats
    """u u^T, shape (n_frames, p, p, LANES)."""
    um: Floats
    """u a^T, with a the smoothed mean, shape (n_frames, p, m, LANES)."""
    r: Floats
    """r that leads out of a step, shape (m, LANES)."""
    rr: Floats
    """r r^T, shape (m, m, LANES)."""
    rm: Floats
    """r a^T, shape (m, m, LANES)."""
    first: Floats
    """r that leads into the first step, shape (m, LANES)."""
    first_squared: Floats
    """Its r r^T, shape (m, m, LANES)."""
    squares: Floats
    """Of v^2 / F, shape (LANES,)."""


@kernel
def read_steps(x: Floats, at: Ints, lengths: Ints, t: int, n: int, p: int, block: Floats) -> None:
    """Numbers of the eight steps from t on, a row of LANES for each; of a sequence that has ended, its last ones."""
    if t + SIDE <= lengths[LANES - 1]:
        for k in range(0, SIDE * p, SIDE):
            for s in range(0, LANES, SIDE):
                transpose_stretches(x, at, s, t * p + k, block, k * LANES + s, LANES)
        return
    for s in range(LANES):
        for j in range(min(SIDE, n - t)):
            step = min(t + j, lengths[s] - 1)
            for i in range(p):
                block[(j * p + i) * LANES + s] = x[at[s] + step * p + i]


@kernel
def filter_block(
    x: Floats,
    at: Ints,
    lengths: Ints,
    shared: Shared,
    d: Dynamics,
    keep: int,
    kept: Block,
    ends: Floats,
) -> None:
    """Filter LANES sequences that begin at x[at[s]] and have lengths[s], in falling order.

    ends : (LANES,), filled with the sums of v^2 / F of each sequence.
    """
    lanes = lengths.shape[0]  # LANES; a number known to the compiler would have loops unrolled, and not vectorised
    n, m, p = lengths[0], shared.start.shape[0], shared.centre.shape[0]
    place, frame, kind, k, F = shared.place, shared.frame, shared.kind, shared.k, shared.F
    design, transform, n_seen, centre = shared.design, shared.transform, shared.n_seen, shared.centre
    last_seen = shared.last_seen
    row_start, column, value, intercept = d.row_start, d.column, d.value, d.intercept
    all_a, all_v = kept.a, kept.v
    means, v, span = np.empty((2, m, LANES)), np.empty(LANES), np.empty((m, LANES))
    quadratic, size = np.zeros(LANES), np.empty(LANES)
    flat = np.empty(SIDE * p * LANES)
    block = flat.reshape(SIDE * p, LANES)
    shortest = lengths[LANES - 1]
    for j in range(m):
        for s in range(lanes):
            means[0, j, s] = shared.start[j]
    for t in range(n):
        if t % SIDE == 0:
            read_steps(x, at, lengths, t, n, p, flat)
        g, f, first, now, after = place[t], frame[t], t % SIDE * p, t & 1, 1 - (t & 1)
        if keep:
            for j in range(m):
                for s in range(lanes):
                    all_a[t, j, s] = means[now, j, s]
        implied = False  # what means were made of is asked for by numbers that others imply, alone
        for i in range(n_seen[f]):
            implied = implied or kind[g, i] == SKIPPED
        if implied:
            for j in range(m):
                for s in range(lanes):
                    span[j, s] = abs(means[now, j, s])
        for i in range(n_seen[f]):
            seen = last_seen[f, i]  # of which this number is, plus what the ones before say of it
            row, middle = first + seen, centre[seen]
            for s in range(lanes):
                v[s] = block[row, s] - middle
            for other in range(seen):
                factor = transform[f, i, other]
                if factor != 0.0:
                    row, middle = first + other, centre[other]
                    for s in range(lanes):
                        v[s] += factor * (block[row, s] - middle)
            if implied:
                for s in range(lanes):
                    size[s] = abs(v[s])
            for j in range(m):
                factor = design[f, i, j]
                if factor != 0.0:
                    for s in range(lanes):
                        v[s] -= factor * means[now, j, s]
            if keep:
                for s in range(lanes):
                    all_v[t, i, s] = v[s]
            if kind[g, i] == SKIPPED:
                for j in range(m):
                    factor = abs(design[f, i, j])
                    for s in range(lanes):
                        size[s] += factor * span[j, s]
                for s in range(lanes):  # what is not finite stays so
                    quadratic[s] += np.inf if abs(v[s]) > CONTRADICTION * size[s] else 0.0 * v[s]
                continue
            precision = 0.0 if kind[g, i] == DIFFUSE else 1.0 / F[g, i]
            for s in range(lanes):
                quadratic[s] += precision * v[s] * v[s]
            for j in range(m):
                factor = k[g, i, j]
                for s in range(lanes):
                    means[now, j, s] += factor * v[s]
                if implied:
                    for s in range(lanes):
                        span[j, s] += abs(factor * v[s])
        T, c = (t if value.shape[0] > 1 else 0), (t if intercept.shape[0] > 1 else 0)
        for i in range(m):
            number = intercept[c, i]
            begin, end = row_start[i], row_start[i + 1]
            factor, j = (value[T, begin], column[begin]) if begin < end else (0.0, 0)
            for s in range(lanes):
                means[after, i, s] = number + factor * means[now, j, s]
            for e in range(begin + 1, end):
                factor, j = value[T, e], column[e]
                for s in range(lanes):
                    means[after, i, s] += factor * means[now, j, s]
        if t + 1 >= shortest:
            for s in range(lanes):
                if lengths[s] == t + 1:
                    ends[s] = quadratic[s]
    if keep:
        for j in range(m):
            for s in range(lanes):
                all_a[n, j, s] = means[n & 1, j, s]


@kernel
def choose_lanes(first: int, p: int, starts: Ints, lengths: Ints, at: Ints, length: Ints) -> int:
    """Places and lengths of the LANES sequences from `first` on, the last repeated; how many there are."""
    S = starts.shape[0]
    for s in range(LANES):
        chosen = min(first + s, S - 1)
        at[s], length[s] = starts[chosen] * p, lengths[chosen]
    return int(min(LANES, S - first))


@kernel
def score_lanes(
    x: Floats, starts: Ints, lengths: Ints, shared: Shared, d: Dynamics, normalisers: Floats, totals: Floats
) -> None:
    """Log-likelihoods of sequences that begin at row starts[s] of x (flat) and have lengths[s], in falling order."""
    p, m = shared.centre.shape[0], shared.start.shape[0]
    at, length, ends = np.empty(LANES, np.int64), np.empty(LANES, np.int64), np.empty(LANES)
    kept = Block(np.empty((1, m, LANES)), np.empty((1, p, LANES)))
    for first in range(0, starts.shape[0], LANES):
        width = choose_lanes(first, p, starts, lengths, at, length)
        filter_block(x, at, length, shared, d, _NO, kept, ends)
        for s in range(width):
            totals[first + s] = -0.5 * (normalisers[length[s]] + ends[s])
