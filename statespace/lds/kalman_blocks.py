"""The filter of kalman.py for more than a few states: the same recursion on padded matrices, by whole vectors.

    P <- P - F k k^T of a number is one pass over the rows of P; T P T^T is two products by tiles, or by the entries of
    a sparse T; of the second the lower triangle is computed and mirrored.

A run of steady steps is the linear recursion of steady_blocks.py, unless T is so sparse that a step costs less.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from statespace.foundations.kernel import bare_kernel, kept_apart, kernel_part
from statespace.foundations.register_rows import (
    combine_squares,
    copy_run,
)
from statespace.foundations.register_tile import dot
from statespace.lds.dynamics import Dynamics
from statespace.lds.kalman import (
    LOG_2PI,
    ROUNDING,
    SKIPPED,
    STEADY,
    STILL,
    SUM_LOST,
    Rows,
    Tables,
)
from statespace.lds.number_blocks import (
    BEGUN,
    EARLIER,
    GAIN,
    LEFT,
    MEAN,
    MOVED,
    REACH,
    ZERO,
    contradicts,
    design_at,
    number_size,
    take_numbers,
    used_columns,
)
from statespace.lds.padded import (
    NOWHERE,
    change_between,
    clear_variance,
    combine_rows,
    congruence,
    read_rows,
    read_transition,
    sparse_congruence,
    write_rows,
    zeros,
)
from statespace.lds.steady_blocks import close, closed_size, run_size, steady_run
from statespace.protocols import Floats, Ints


class Work(NamedTuple):
    """Memory that the filter works with."""

    numbers: Floats
    """P, the following P, P_f, T P, V, rows of vectors, what belongs to numbers, T and its transpose."""
    closed: Floats
    """A closed form, as long as `closed_size` says."""
    run: Floats
    """For runs of steady steps, as long as `run_size` says."""
    columns: Ints
    """First used column and the one behind the last, of each number, shape (2, p)."""
    sums: Floats
    """Of each number how many columns are used, and the sum of z^2 with bounds of variances, shape (2, p)."""


def work_of(m: int, p: int, full: bool, closes: bool) -> Work:
    """Memory for m states and p features; full : as of `is_full`; closes : whether runs may be steady."""
    wide = (m + 7) // 8 * 8
    return Work(
        zeros((5 + 2 * full) * wide * wide + design_at(0, m, p) + number_size(m, p)),
        zeros(closed_size(m, p) if closes else 0),
        zeros(run_size(m, p) if closes else 0),
        np.empty((2, p), np.int64),
        np.empty((2, p)),
    )


def closes(dynamics: Dynamics, full: bool) -> bool:
    """Whether the closed form of steady steps is cheaper than the steps."""
    m = len(dynamics.row_start) - 1
    return full or m * m <= 32 * (len(dynamics.column) + 2 * m)


@kernel_part
def begin_step(m: int, wide: int, work: Floats, P: int, vectors: int) -> None:
    """The mean that the step begins with, bounds of the variances before what came last, and the variances."""
    reach, earlier, left = vectors + REACH * wide, vectors + EARLIER * wide, vectors + LEFT * wide
    copy_run(m, work, vectors + MEAN * wide, work, vectors + BEGUN * wide)
    for j in range(m):
        variance = work[P + j * wide + j]
        work[reach + j] = max(work[earlier + j], variance)
        work[earlier + j] = variance
        work[left + j] = variance


@bare_kernel
def without_rounding(
    full: int,
    row_start: Ints,
    column: Ints,
    value: Floats,
    wide: int,
    work: Floats,
    transposed: int,
    V: int,
    filtered: int,
    P: int,
    vectors: int,
) -> bool:
    """Zeros for variances of P = T P_f T^T + V, and beside them, that are rounding; whether digits were lost.

    Against what they can have been a rest of: T^2 with the bounds of variances before the numbers of the step.
    """
    kept_apart()
    m, reach, bounds, lost = row_start.shape[0] - 1, vectors + REACH * wide, vectors + GAIN * wide, False
    for i in range(m):
        if work[filtered + i * wide + i] == 0.0:
            work[reach + i] = 0.0  # known, not the rest of a difference
    if full:
        for c in range(0, wide, 8):
            combine_squares((m + 3) // 4 * 4, work, reach, work, transposed + c, wide, work, bounds + c)
    else:
        for i in range(m):
            bound = 0.0
            for e in range(row_start[i], row_start[i + 1]):
                bound += value[e] * value[e] * work[reach + column[e]]
            work[bounds + i] = bound
    for i in range(m):
        at = i * wide + i
        bound = (row_start[i + 1] - row_start[i]) * work[bounds + i] + work[V + at]
        if work[P + at] < SUM_LOST * (work[bounds + i] + work[V + at]):  # roundings of many terms do not all add up
            lost = True
            if work[P + at] <= ROUNDING * bound:
                clear_variance(i, m, wide, work, P)
    return lost


@bare_kernel
def move_padded_mean(
    full: int,
    row_start: Ints,
    column: Ints,
    value: Floats,
    c: Floats,
    wide: int,
    work: Floats,
    transposed: int,
    mean: int,
    moved: int,
) -> None:
    """Mean <- c + T mean, with a row to work in."""
    kept_apart()
    m = row_start.shape[0] - 1
    if full:
        copy_run(m, c, NOWHERE, work, moved)
        combine_rows((m + 3) // 4 * 4, wide, work, mean, transposed, moved, moved)
    else:
        for i in range(m):
            total = c[i]
            for e in range(row_start[i], row_start[i + 1]):
                total += value[e] * work[mean + column[e]]
            work[moved + i] = total
    copy_run(m, work, moved, work, mean)


@bare_kernel
def steady_step(
    t: int,
    g: int,
    q: int,
    x: Floats,
    gains: Floats,
    F: Floats,
    kinds: Ints,
    wide: int,
    work: Floats,
    vectors: int,
    innovations: Floats,
) -> float:
    """The numbers of a steady step; the mean becomes the filtered one. Returns the sum of v^2 / F, or infinity."""
    kept_apart()
    m = gains.shape[2]
    mean, design = vectors + MEAN * wide, design_at(vectors, m, gains.shape[1])
    copy_run(m, work, mean, work, vectors + BEGUN * wide)
    square = 0.0
    for i in range(q):
        v = x[t, i] - dot(wide, work, design + i * wide, work, mean)
        innovations[i] = v
        if kinds[g, i] != SKIPPED:
            for j in range(m):
                work[mean + j] += gains[g, i, j] * v
            square += v * v / F[g, i]
        elif contradicts(i, x[t, i], m, wide, work, vectors, g, gains, kinds, innovations):
            square = np.inf
    return square


@bare_kernel
def filter_blocks(
    first: int,
    last: int,
    g: int,
    full: int,
    rows: Rows,
    d: Dynamics,
    keep: int,
    freeze: int,
    tables: Tables,
    memory: Work,
) -> tuple[float, int, int, bool, int]:
    """Filter the steps first..last-1 from what tables.a[first] and tables.P[g] hold; full : as of `is_full`.

    Returns the log-likelihood, the row of P after the last step, the first steady step (n: never), whether digits were
    lost, and how many rows of the tables were filled.
    """
    x, frame, design, variances, n_seen = rows.x, rows.frame, rows.design, rows.variances, rows.n_seen
    row_start, column, value, intercept, noise = d.row_start, d.column, d.value, d.intercept, d.noise
    all_a, all_af, all_v, steps, place = tables.a, tables.af, tables.v, tables.steps, tables.place
    all_P, all_Pf, gains, all_F, kinds = tables.P, tables.Pf, tables.k, tables.F, tables.kind
    m, p, n = row_start.shape[0] - 1, variances.shape[1], x.shape[0]
    wide = (m + 7) // 8 * 8
    size = wide * wide
    P, other, filtered, product, V_at, vectors = NOWHERE, size, 2 * size, 3 * size, 4 * size, 5 * size
    Z = design_at(vectors, m, p)
    T_at = Z + number_size(m, p)
    transposed = T_at + full * size
    mean, earlier, moved = vectors, vectors + EARLIER * wide, vectors + MOVED * wide
    zero, turned, across = vectors + ZERO * wide, Z + (p + 7) // 8 * 8 * wide, (p + 8) // 8 * 8
    work, closed, run, low, high = memory.numbers, memory.closed, memory.run, memory.columns[0], memory.columns[1]
    used, spreads = memory.sums[0], memory.sums[1]
    by_blocks = run.shape[0] > 0
    timed_T, timed_c, timed_V = int(value.shape[0] > 1), int(intercept.shape[0] > 1), int(noise.shape[0] > 1)
    total, likelihood, squares = 0.0, 1.0, 0.0
    lost, steady, steady_from, top = False, False, n, g
    f_loaded, f_before, change_before, frozen_frame, step_log = -1, -1, np.inf, -1, 0.0
    if full and not timed_T:
        read_transition(row_start, column, value[0], wide, work, T_at, transposed)
    if not timed_V:
        read_rows(m, m, noise, NOWHERE, wide, work, V_at)
    read_rows(m, m, all_P, g * m * m, wide, work, P)
    for j in range(m, wide):
        work[vectors + LEFT * wide + j] = 1.0
    for j in range(m):
        work[mean + j] = all_a[first if keep else first & 1, j]
        work[earlier + j] = all_P[g, j, j]
    t = first
    while t < last:
        f = frame[t]
        q = n_seen[f]
        if f != f_loaded:
            read_rows(q, m, design, f * p * m, wide, work, Z)
            for i in range(q, (p + 7) // 8 * 8):
                copy_run(wide, work, zero, work, Z + i * wide)
            for i in range(p):
                for j in range(m):
                    work[turned + j * across + i] = work[Z + i * wide + j]
            used_columns(design[f], q, low, high, used)
            f_loaded = f
        T, c, V = timed_T * t, timed_c * t, timed_V * t
        # Steady: gains are known
        if steady and f == frozen_frame:
            implied = False
            for i in range(q):
                implied = implied or kinds[g, i] == SKIPPED
            if by_blocks and not implied:
                until = t + 1
                while until < last and frame[until] == f:
                    until += 1
                close(q, design[f], gains[g], kinds[g], all_F[g], row_start, column, value[0], closed)
                square = steady_run(
                    t, until, q, x, closed, intercept, keep, work, mean, step_log, run, all_a, all_af, all_v, steps
                )
                total += (until - t) * step_log
                squares += square
                if keep:
                    for at in range(t, until):
                        place[at] = g
                t = until
                continue
            if keep:
                place[t] = g
                copy_run(m, work, mean, all_a, t * m)
            square = steady_step(t, g, q, x, gains, all_F, kinds, wide, work, vectors, all_v[keep * t])
            if keep:
                steps[t] = step_log - 0.5 * square
                copy_run(m, work, mean, all_af, t * m)
            total += step_log
            squares += square
            move_padded_mean(full, row_start, column, value[0], intercept[c], wide, work, transposed, mean, moved)
            t += 1
            continue
        if steady:
            # What is observed changes: P moves again, in a row of its own
            steady, f_before, change_before = False, -1, np.inf
            fresh = top + 1 if keep else g
            write_rows(m, m, wide, work, P, all_P, fresh * m * m)
            g = fresh
        top = max(top, g)
        begin_step(m, wide, work, P, vectors)
        if keep:
            place[t] = g
            copy_run(m, work, mean, all_a, t * m)
        # The numbers of the step
        step_product, step_logs, square, taken, impossible, bad = take_numbers(
            t,
            g,
            q,
            x,
            variances[f],
            low,
            high,
            used,
            m,
            wide,
            work,
            P,
            filtered,
            vectors,
            spreads,
            all_v[keep * t],
            gains,
            all_F,
            kinds,
        )
        lost = lost or bad
        if keep or freeze:
            step_log = -0.5 * (step_logs + math.log(step_product) + taken * LOG_2PI)
            total += step_log
        else:
            total -= 0.5 * (step_logs + taken * LOG_2PI)
            likelihood *= step_product
            if not 1e-100 < likelihood < 1e100:
                total -= 0.5 * math.log(likelihood)
                likelihood = 1.0
        squares += square
        if impossible:
            squares = np.inf
        if keep:
            steps[t] = -np.inf if impossible else step_log - 0.5 * square
            copy_run(m, work, mean, all_af, t * m)
            write_rows(m, m, wide, work, filtered, all_Pf, g * m * m)
        # The next step
        if full and timed_T:
            read_transition(row_start, column, value[T], wide, work, T_at, transposed)
        move_padded_mean(full, row_start, column, value[T], intercept[c], wide, work, transposed, mean, moved)
        if timed_V:
            read_rows(m, m, noise, V * m * m, wide, work, V_at)
        if full:
            congruence(m, wide, work, T_at, transposed, filtered, zero, product, V_at, wide, other)
        else:
            sparse_congruence(row_start, column, value[T], wide, work, filtered, zero, product, V_at, wide, other)
        arguments = transposed, V_at, filtered, other, vectors
        lost = without_rounding(full, row_start, column, value[T], wide, work, *arguments) or lost
        if freeze:
            if f == f_before:
                change = change_between(m, wide, work, P, other)
                rate = change / change_before if change < change_before else 1.0
                if change <= STILL or (rate < 1.0 and change <= STEADY * (1.0 - rate)):
                    steady, frozen_frame = True, f
                    if steady_from == n:
                        steady_from = t + 1
                change_before = change
            f_before = f
        if not steady:
            P, other = other, P
            if keep:
                g = top + 1
                write_rows(m, m, wide, work, P, all_P, g * m * m)
        t += 1
    copy_run(m, work, mean, all_a, (last if keep else last & 1) * m)
    if not keep:
        write_rows(m, m, wide, work, P, all_P, g * m * m)
    total -= 0.5 * (math.log(likelihood) + squares)
    return total, g, steady_from, lost, max(top, g) + 1
