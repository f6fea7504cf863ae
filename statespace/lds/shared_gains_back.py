"""Sequences side by side whose gains are the same: their smoothed means, and the sums that a gradient is made of."""

from __future__ import annotations

from typing import cast

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics
from statespace.lds.kalman import DIFFUSE, SKIPPED
from statespace.lds.shared_gains import LANES, Block, Shared, Sums, choose_lanes, filter_block
from statespace.protocols import Floats, Ints

_NO, _YES = cast(int, np.int64(0)), cast(int, np.int64(1))  # no literals, for which kernels would be compiled once more


@kernel
def spread_block(
    first: int,
    width: int,
    shared: Shared,
    kept: Block,
    normalisers: Floats,
    a: Floats,
    af: Floats,
    v: Floats,
    steps: Floats,
) -> None:
    """What a filter of some sequences of the same length found, sequence by sequence.

    a (S, n + 1, m), af (S, n, m), v (S, n, p) and steps (S, n) are those of filtering.py; rows `first` to
    first + width - 1 are filled.
    """
    n, m, p = af.shape[1], af.shape[2], v.shape[2]
    place, frame, kind, n_seen, k, F = shared.place, shared.frame, shared.kind, shared.n_seen, shared.k, shared.F
    all_a, all_v = kept.a, kept.v
    for s in range(width):
        row = first + s
        for t in range(n):
            g, q = place[t], n_seen[frame[t]]
            for j in range(m):
                a[row, t, j] = af[row, t, j] = all_a[t, j, s]
            square = 0.0
            for i in range(q):
                number = all_v[t, i, s]
                v[row, t, i] = number
                if kind[g, i] != SKIPPED:
                    square += 0.0 if kind[g, i] == DIFFUSE else number * number / F[g, i]
                    for j in range(m):
                        af[row, t, j] += k[g, i, j] * number
            for i in range(q, p):
                v[row, t, i] = 0.0
            steps[row, t] = -0.5 * (normalisers[t + 1] - normalisers[t] + square)
        for j in range(m):
            a[row, n, j] = all_a[n, j, s]


@kernel
def smooth_block(
    n: int,
    shared: Shared,
    d: Dynamics,
    P: Floats,
    slow: Floats,
    open_cov: Floats,
    kept: Block,
    weights: Floats,
    derivatives: int,
    by_transition: int,
    sums: Sums,
    first: int,
    width: int,
    means: Floats,
) -> None:
    """Backwards over n steps of LANES sequences: r, and from it smoothed means, and the sums with `derivatives`.

    P : (G, m, m), predicted covariances. slow : (n_diffuse_steps, p, m), K1 of diffuse numbers; open_cov : A A^T of
    these steps, (n_diffuse_steps, m, m); see diffuse_smoother.py. weights : (LANES,). Without `derivatives` the means
    go to means (S, n, m), rows `first` to first + width - 1.
    """
    lanes = weights.shape[0]
    m, p, n_diffuse = shared.start.shape[0], shared.centre.shape[0], slow.shape[0]
    place, frame, kind, k, F = shared.place, shared.frame, shared.kind, shared.k, shared.F
    design, n_seen = shared.design, shared.n_seen
    column_start, at_row, entry, value = d.column_start, d.row, d.entry, d.value
    all_a, all_v = kept.a, kept.v
    sum_u, sum_uu, sum_um, sum_r, sum_rr, sum_rm = sums.u, sums.uu, sums.um, sums.r, sums.rr, sums.rm
    r, r1, out, weighted = np.zeros((m, LANES)), np.zeros((m, LANES)), np.zeros((m, LANES)), np.zeros((m, LANES))
    u, mean, wu = np.zeros((p, LANES)), np.empty(LANES), np.empty(LANES)
    for t in range(n - 1, -1, -1):
        g, f = place[t], frame[t]
        q = n_seen[f]
        T = t if value.shape[0] > 1 else 0
        diffuse_step = t < n_diffuse
        for j in range(m):
            for s in range(lanes):
                out[j, s] = r[j, s]
        if derivatives:
            for j in range(m):
                for s in range(lanes):
                    weighted[j, s] = weights[s] * out[j, s]
                    sum_r[j, s] += weighted[j, s]
                for i in range(j + 1):
                    for s in range(lanes):
                        sum_rr[j, i, s] += weighted[j, s] * out[i, s]
        for j in range(m):
            for s in range(lanes):
                r[j, s] = 0.0
            for e in range(column_start[j], column_start[j + 1]):
                factor, i = value[T, entry[e]], at_row[e]
                for s in range(lanes):
                    r[j, s] += factor * out[i, s]
        if diffuse_step:
            for j in range(m):
                for s in range(lanes):
                    out[j, s] = r1[j, s]
            for j in range(m):
                for s in range(lanes):
                    r1[j, s] = 0.0
                for e in range(column_start[j], column_start[j + 1]):
                    factor, i = value[T, entry[e]], at_row[e]
                    for s in range(lanes):
                        r1[j, s] += factor * out[i, s]
        for i in range(q - 1, -1, -1):
            if kind[g, i] == SKIPPED:
                for s in range(lanes):
                    u[i, s] = 0.0
                continue
            precision = 1.0 / F[g, i]
            determined = kind[g, i] == DIFFUSE
            ordinary = 0.0 if determined else precision
            for s in range(lanes):
                u[i, s] = ordinary * all_v[t, i, s]
            for j in range(m):
                factor = k[g, i, j]
                for s in range(lanes):
                    u[i, s] -= factor * r[j, s]
            if diffuse_step:
                open_ = precision if determined else 0.0
                for s in range(lanes):
                    wu[s] = open_ * all_v[t, i, s]
                for j in range(m):
                    factor, other = k[g, i, j], slow[t, i, j]
                    for s in range(lanes):
                        wu[s] -= factor * r1[j, s] + other * r[j, s]
                for j in range(m):
                    factor = design[f, i, j]
                    for s in range(lanes):
                        r1[j, s] += factor * wu[s]
            for j in range(m):
                factor = design[f, i, j]
                if factor != 0.0:
                    for s in range(lanes):
                        r[j, s] += factor * u[i, s]
        if derivatives:
            for i in range(q):
                for s in range(lanes):
                    wu[s] = weights[s] * u[i, s]
                    sum_u[f, i, s] += wu[s]
                for other in range(i + 1):
                    for s in range(lanes):
                        sum_uu[f, i, other, s] += wu[s] * u[other, s]
        for j in range(m):
            for s in range(lanes):
                mean[s] = all_a[t, j, s]
            for i in range(m):
                factor = P[g, j, i]
                for s in range(lanes):
                    mean[s] += factor * r[i, s]
            if diffuse_step:
                for i in range(m):
                    factor = open_cov[t, j, i]
                    for s in range(lanes):
                        mean[s] += factor * r1[i, s]
            if derivatives:
                for i in range(q):
                    for s in range(lanes):
                        sum_um[f, i, j, s] += weights[s] * u[i, s] * mean[s]
                if by_transition:
                    for i in range(m):
                        for s in range(lanes):
                            sum_rm[i, j, s] += weighted[i, s] * mean[s]
            else:
                for s in range(width):
                    means[first + s, t, j] = mean[s]
    if derivatives:
        for j in range(m):
            for s in range(lanes):
                sums.first[j, s] += weights[s] * r[j, s]
            for i in range(j + 1):
                for s in range(lanes):
                    sums.first_squared[j, i, s] += weights[s] * r[j, s] * r[i, s]


@kernel
def gradient_lanes(
    x: Floats,
    starts: Ints,
    lengths: Ints,
    weights: Floats,
    shared: Shared,
    d: Dynamics,
    P: Floats,
    slow: Floats,
    open_cov: Floats,
    by_transition: int,
    sums: Sums,
) -> None:
    """Add to `sums` those of sequences of the same length; arguments as of score_lanes and smooth_block."""
    p, m, n = shared.centre.shape[0], shared.start.shape[0], lengths[0]
    at, length, ends, weight = np.empty(LANES, np.int64), np.empty(LANES, np.int64), np.empty(LANES), np.empty(LANES)
    kept = Block(np.empty((n + 1, m, LANES)), np.empty((n, p, LANES)))
    means = np.empty((0, 0, 0))
    for first in range(0, starts.shape[0], LANES):
        width = choose_lanes(first, p, starts, lengths, at, length)
        for s in range(LANES):
            weight[s] = weights[first + s] if s < width else 0.0
        filter_block(x, at, length, shared, d, _YES, kept, ends)
        for s in range(width):
            sums.squares[s] += weight[s] * ends[s]
        smooth_block(n, shared, d, P, slow, open_cov, kept, weight, _YES, by_transition, sums, _NO, _NO, means)


@kernel
def state_lanes(
    x: Floats,
    starts: Ints,
    lengths: Ints,
    shared: Shared,
    d: Dynamics,
    P: Floats,
    slow: Floats,
    open_cov: Floats,
    normalisers: Floats,
    smooth: int,
    a: Floats,
    af: Floats,
    v: Floats,
    steps: Floats,
    means: Floats,
) -> bool:
    """Filtered, and with `smooth` smoothed, means of sequences of the same length; arguments as of the parts.

    Returns whether all numbers agree with those that imply them.
    """
    p, m, n = shared.centre.shape[0], shared.start.shape[0], lengths[0]
    at, length, ends, weight = np.empty(LANES, np.int64), np.empty(LANES, np.int64), np.empty(LANES), np.zeros(LANES)
    kept = Block(np.empty((n + 1, m, LANES)), np.empty((n, p, LANES)))
    empty, flat, cube, row = np.empty((0, 0)), np.empty((0, 0, 0)), np.empty((0, 0, 0, 0)), np.empty(0)
    sums = Sums(flat, cube, cube, empty, flat, flat, empty, flat, row)
    for first in range(0, starts.shape[0], LANES):
        width = choose_lanes(first, p, starts, lengths, at, length)
        filter_block(x, at, length, shared, d, _YES, kept, ends)
        for s in range(width):
            if not ends[s] < np.inf:
                return False
        spread_block(first, width, shared, kept, normalisers, a, af, v, steps)
        if smooth:
            smooth_block(n, shared, d, P, slow, open_cov, kept, weight, _NO, _NO, sums, first, width, means)
    return True
