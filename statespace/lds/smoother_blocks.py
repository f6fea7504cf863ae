"""The backward pass of smoother.py for more than a few states: the same recursion on padded matrices, by tiles."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from statespace.foundations.kernel import bare_kernel, kept_apart, kernel_part
from statespace.foundations.register_rows import add_scaled, copy_run, scale_run, set_product, subtract_outer
from statespace.foundations.register_tile import dot
from statespace.lds.dynamics import Dynamics
from statespace.lds.kalman import SKIPPED, Rows, Tables
from statespace.lds.number_blocks import used_columns
from statespace.lds.padded import (
    LOWER,
    NEXT,
    NOWHERE,
    SAME,
    WHOLE,
    clear_variance,
    combine_rows,
    congruence,
    mirror,
    read_rows,
    read_transition,
    sparse_congruence,
    sparse_product,
    turn,
    write_rows,
    zeros,
)
from statespace.lds.smoother import _NONE, _STILL, MEAN_LOST, Backward, correlate
from statespace.lds.steady_blocks import close, closed_size, run_size, steady_run_back
from statespace.protocols import Floats, Ints

# Matrices in the work array, and rows of `wide` numbers behind them
_N, _OTHER, _P, _PF, _LEFT, _MOVED, _PRODUCT, _ROOM, _W, _N_MATRICES = range(10)
_ZERO, _R, _BACK, _MEAN, _NK, _S, _SCALED, _N_ROWS = range(8)


class BackwardWork(NamedTuple):
    """Memory that the backward pass works with."""

    numbers: Floats
    """Matrices, rows of vectors, the design, the gains, Z, T and its transpose."""
    closed: Floats
    """A closed form, as long as `closed_size` says."""
    run: Floats
    """For runs of steady steps, as long as `run_size` says."""
    columns: Ints
    """First used column and the one behind the last, of each number, shape (2, p)."""
    used: Floats
    """How many columns are used, shape (p,)."""
    values: Floats
    """The entries of T by columns, shape (n_entries,)."""
    c: Floats
    """Cov(r, u) of the numbers, shape (p, m)."""
    D: Floats
    """D of a step, shape (p, p)."""


def backward_work_of(m: int, p: int, n_entries: int, full: bool, closes: bool) -> BackwardWork:
    """Memory for m states and p features; full : as of `is_full`; closes : whether steady runs have a closed form."""
    wide = (m + 7) // 8 * 8
    return BackwardWork(
        zeros((_N_MATRICES + 2 * full) * wide * wide + (_N_ROWS + 3 * p) * wide),
        zeros(closed_size(m, p) if closes else 0),
        zeros(run_size(m, p) if closes else 0),
        np.empty((2, p), np.int64),
        np.empty(p),
        np.empty(n_entries),
        np.zeros((p, m)),
        np.zeros((p, p)),
    )


@kernel_part
def smoothed_cov(
    m: int, wide: int, work: Floats, N: int, P: int, Pf: int, left: int, room: int, zero: int, size: Floats
) -> None:
    """Left = -P N and room = P - P N P, and the largest bounds so far of what is subtracted; Pf as filtered."""
    scale_run(wide * wide, -1.0, work, N, work, room)
    set_product(wide, wide, m, work, P, wide, NEXT, work, room, wide, work, zero, SAME, work, left, wide, WHOLE)
    set_product(wide, wide, m, work, left, wide, NEXT, work, P, wide, work, P, wide, work, room, wide, LOWER)
    mirror(wide, work, room)
    spread = 0.0
    for i in range(m):
        at = i * wide + i
        spread += math.sqrt(max(work[P + at] * abs(work[N + at]), 0.0))
    for i in range(m):
        at = i * wide + i
        if work[Pf + at] > 0.0:
            size[i] = max(size[i], work[P + at] * (1.0 + spread * spread))
        elif work[P + at] > 0.0 and not spread <= MEAN_LOST:  # no variance tells what the mean was added up from
            size[i] = np.inf
        if not (work[Pf + at] > 0.0 and work[room + at] > 0.0):  # known exactly when it was seen, or to rounding
            clear_variance(i, m, wide, work, room)


@kernel_part
def is_unmoved(m: int, wide: int, work: Floats, N: int, before: int) -> bool:
    """Whether two symmetric matrices differ by rounding alone."""
    for i in range(m):
        variance = work[N + i * wide + i]
        if abs(variance - work[before + i * wide + i]) > _STILL * variance:
            return False
    for i in range(m):
        for j in range(i):
            change = abs(work[N + i * wide + j] - work[before + i * wide + j])
            if change > 0.0 and change > _STILL * math.sqrt(work[N + i * wide + i] * work[N + j * wide + j]):
                return False
    return True


@kernel_part
def pull_back_padded(
    full: int,
    column_start: Ints,
    row: Ints,
    values: Floats,
    wide: int,
    work: Floats,
    T: int,
    zero: int,
    r: int,
    out: int,
) -> None:
    """Out = T^T r; values : the entries of T by columns."""
    m = column_start.shape[0] - 1
    if full:
        combine_rows((m + 3) // 4 * 4, wide, work, r, T, zero, out)
        return
    for j in range(m):
        total = 0.0
        for e in range(column_start[j], column_start[j + 1]):
            total += values[e] * work[r + row[e]]
        work[out + j] = total


@kernel_part
def pull_back_numbers(
    t: int,
    here: int,
    q: int,
    wide: int,
    work: Floats,
    Z: int,
    gains: int,
    r: int,
    all_v: Floats,
    all_F: Floats,
    kinds: Ints,
    all_u: Floats,
) -> None:
    """The numbers of a step in r: u = v / F - k^T r and r <- r + z u, from the last."""
    for i in range(q - 1, -1, -1):
        u = 0.0
        if kinds[here, i] != SKIPPED:
            u = all_v[t, i] / all_F[here, i] - dot(wide, work, gains + i * wide, work, r)
            add_scaled(wide, u, work, Z + i * wide, work, r, work, r)
        all_u[t, i] = u


@bare_kernel
def retreat_numbers(
    f: int,
    here: int,
    q: int,
    m: int,
    wide: int,
    work: Floats,
    N: int,
    product: int,
    vectors: int,
    derivatives: int,
    low: Ints,
    high: Ints,
    design: Floats,
    gains: Floats,
    all_F: Floats,
    kinds: Ints,
    c: Floats,
    D: Floats,
) -> None:
    """The numbers of a step in N, from the last: N <- (I - k z)^T N (I - k z) + z z^T / F, one factor after the other.

    With `derivatives` D and k - P N k, the latter in the rows behind the gains; P after all numbers is at `product`.
    """
    kept_apart()
    p = all_F.shape[1]
    zero, moved, s, scaled = (
        vectors + _ZERO * wide,
        vectors + _NK * wide,
        vectors + _S * wide,
        vectors + _SCALED * wide,
    )
    whole = (m + 3) // 4 * 4
    for i in range(q - 1, -1, -1):
        if kinds[here, i] == SKIPPED:
            continue
        F, z, k = all_F[here, i], vectors + (_N_ROWS + i) * wide, vectors + (_N_ROWS + p + i) * wide
        combine_rows(whole, wide, work, k, N, zero, moved)
        precision = 1.0 / F
        if derivatives:
            D[i, i] = precision + dot(wide, work, k, work, moved)
            scale_run(wide, -1.0, work, moved, work, scaled)
            combine_rows(whole, wide, work, scaled, product, k, vectors + (_N_ROWS + 2 * p + i) * wide)
            scale_run(wide, -F, work, k, work, scaled)
            for at in range(0, wide, 8):
                subtract_outer(whole, work, scaled, work, k + at, work, product + at, work, product + at, wide)
            if derivatives == 2:
                correlate(i, design[f, i], gains[here, i], work[moved : moved + m], c, D)
        scale_run(wide, -precision, work, z, work, s)
        for at in range(0, wide, 8):
            subtract_outer(whole, work, moved, work, z + at, work, N + at, work, N + at, wide)
        combine_rows(whole, wide, work, k, N, s, s)
        first, rows = low[i], high[i] - low[i]
        for at in range(0, wide, 8):
            place = N + first * wide + at
            subtract_outer(rows, work, z + first, work, s + at, work, place, work, place, wide)


@bare_kernel
def add_steps(
    times: float,
    f: int,
    q: int,
    m: int,
    wide: int,
    work: Floats,
    Z: int,
    W: int,
    D: Floats,
    derivatives: int,
    by_transition: int,
    out_D: Floats,
    out_Z: Floats,
    out_W: Floats,
    t: int,
) -> None:
    """Add what each of some steps that are the same adds to the sums of a frame, and to W of a step."""
    kept_apart()
    if derivatives:
        for i in range(q):
            for j in range(q):
                out_D[f, i, j] += times * D[i, j]
            for j in range(m):
                out_Z[f, i, j] += times * work[Z + i * wide + j]
    if by_transition:
        for i in range(m):
            for j in range(m):
                out_W[t, i, j] += times * work[W + i * wide + j]


@bare_kernel
def smooth_blocks(
    first: int,
    full: int,
    rows: Rows,
    d: Dynamics,
    tables: Tables,
    g: int,
    moments: int,
    derivatives: int,
    by_transition: int,
    errors: int,
    out: Backward,
    memory: BackwardWork,
) -> int:
    """Pass backwards over the steps n-1..first, from out.r[n] and out.N[g]; full : as of `is_full`.

    Flags, rows of the tables and what is returned as of `smooth_steps`.
    """
    frame, design, n_seen = rows.frame, rows.design, rows.n_seen
    row_start, column, value, column_start, row = d.row_start, d.column, d.value, d.column_start, d.row
    entry = d.entry
    all_a, all_v, place = tables.a, tables.v, tables.place
    all_P, all_Pf, gains, all_F, kinds = tables.P, tables.Pf, tables.k, tables.F, tables.kind
    all_r, all_u, all_mean, out_place, all_N = out.r, out.u, out.mean, out.place, out.N
    all_D, all_Z, all_W = out.D, out.Z, out.W
    work, closed, run, low, high = memory.numbers, memory.closed, memory.run, memory.columns[0], memory.columns[1]
    used, values, c, D = memory.used, memory.values, memory.c, memory.D
    n, m = tables.af.shape
    p = rows.variances.shape[1]
    wide = (m + 7) // 8 * 8
    size = wide * wide
    N, other, P, Pf, left = _N * size, _OTHER * size, _P * size, _PF * size, _LEFT * size
    moved, product, room, W = _MOVED * size, _PRODUCT * size, _ROOM * size, _W * size
    vectors = _N_MATRICES * size
    zero, r, back, mean = vectors, vectors + _R * wide, vectors + _BACK * wide, vectors + _MEAN * wide
    design_at = vectors + _N_ROWS * wide
    gains_at, Z = design_at + p * wide, design_at + 2 * p * wide
    T_at = design_at + 3 * p * wide
    turned = T_at + full * size
    timed, timed_W = int(value.shape[0] > 1), int(out.W.shape[0] > 1)
    by_blocks = run.shape[0] > 0
    steady, place_before, frame_before, f_loaded, here_loaded, T_loaded, repeated = False, _NONE, _NONE, -1, -1, -1, 0.0
    read_rows(m, m, all_N, g * m * m, wide, work, N)
    out_place[n] = g
    t = n - 1
    while t >= first:
        here, f, T = place[t], frame[t], timed * t
        q = n_seen[f]
        same = here == place_before and f == frame_before
        if steady and same and by_blocks:
            # A run of steps that differ in their means alone
            begin = t
            while begin > first and place[begin - 1] == here and frame[begin - 1] == f:
                begin -= 1
            close(q, design[f], gains[here], kinds[here], all_F[here], row_start, column, value[0], closed)
            steady_run_back(begin, t + 1, q, closed, all_v, work, P, all_a, errors, run, all_r, all_mean, all_u)
            for at in range(begin, t + 1):
                out_place[at] = g
            repeated += t + 1.0 - begin
            t = begin - 1
            continue
        if f != f_loaded:
            read_rows(q, m, design, f * p * m, wide, work, design_at)
            used_columns(design[f], q, low, high, used)
            f_loaded = f
        if here != here_loaded:
            read_rows(q, m, gains, here * p * m, wide, work, gains_at)
            read_rows(m, m, all_P, here * m * m, wide, work, P)
            here_loaded = here
        if T_loaded != T:
            for e in range(entry.shape[0]):
                values[e] = value[T, entry[e]]
            if full:
                read_transition(row_start, column, value[T], wide, work, T_at, turned)
            T_loaded = T
        copy_run(m, all_r, (t + 1) * m, work, back)
        pull_back_padded(full, column_start, row, values, wide, work, T_at, zero, back, r)
        pull_back_numbers(t, here, q, wide, work, design_at, gains_at, r, all_v, all_F, kinds, all_u)
        copy_run(m, work, r, all_r, t * m)
        copy_run(m, all_a, t * m, work, mean)
        combine_rows((m + 3) // 4 * 4, wide, work, r, P, mean, mean)
        copy_run(m, work, mean, all_mean, t * m)
        if steady and same:
            out_place[t] = g
            repeated += 1.0
            t -= 1
            continue
        if repeated > 0.0:
            add_steps(
                repeated,
                frame_before,
                p,
                m,
                wide,
                work,
                Z,
                W,
                D,
                derivatives,
                by_transition,
                out.D,
                out.Z,
                out.W,
                NOWHERE,
            )
            repeated = 0.0
        place_before, frame_before = here, f
        read_rows(m, m, all_Pf, here * m * m, wide, work, Pf)
        if moments or by_transition:
            if full:
                set_product(
                    wide, wide, m, work, T_at, wide, NEXT, work, Pf, wide, work, zero, SAME, work, moved, wide, WHOLE
                )
            else:
                sparse_product(row_start, column, value[T], wide, work, Pf, zero, SAME, WHOLE, moved)
        if moments and t < n - 1:
            # Lag = (I - P N) moved, of the step after
            set_product(
                wide, wide, m, work, left, wide, NEXT, work, moved, wide, work, moved, wide, work, product, wide, WHOLE
            )
            write_rows(m, m, wide, work, product, out.lag, (g - 1) * m * m)
        if by_transition:
            set_product(wide, wide, m, work, N, wide, NEXT, work, moved, wide, work, zero, SAME, work, W, wide, WHOLE)
        # N between the steps: T^T N T
        if full:
            congruence(m, wide, work, turned, T_at, N, zero, product, zero, SAME, other)
        else:
            sparse_congruence(column_start, row, values, wide, work, N, zero, product, zero, SAME, other)
        if derivatives:
            copy_run(size, work, Pf, work, product)
            for i in range(p):
                copy_run(wide, work, zero, work, Z + i * wide)
                for j in range(p):
                    D[i, j] = 0.0
                for j in range(m):
                    c[i, j] = 0.0
        retreat_numbers(
            f,
            here,
            q,
            m,
            wide,
            work,
            other,
            product,
            vectors,
            derivatives,
            low,
            high,
            design,
            gains,
            all_F,
            kinds,
            c,
            D,
        )
        turn(wide, work, other, room)
        scale_run(size, 0.5, work, other, work, other)
        add_scaled(size, 0.5, work, room, work, other, work, other)
        add_steps(1.0, f, q, m, wide, work, Z, W, D, derivatives, by_transition, all_D, all_Z, all_W, timed_W * t)
        if moments:
            smoothed_cov(m, wide, work, other, P, Pf, left, room, zero, out.size)
            write_rows(m, m, wide, work, room, out.cov, (g - 1) * m * m)
        g -= 1
        write_rows(m, m, wide, work, other, all_N, g * m * m)
        out_place[t] = g
        steady = same and is_unmoved(m, wide, work, other, N)
        N, other = other, N
        t -= 1
    if repeated > 0.0:
        add_steps(
            repeated,
            frame_before,
            p,
            m,
            wide,
            work,
            Z,
            W,
            D,
            derivatives,
            by_transition,
            all_D,
            all_Z,
            all_W,
            NOWHERE,
        )
    return g
