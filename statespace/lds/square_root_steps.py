r"""The Kalman filter in square-root form: covariances are kept as factors, P = U^T U + k A^T A with k -> infinity.

A number x = z a + noise of variance h meets the rows of the factors in u = U z and b = A z.

    b = 0     a reflection gathers u in one row, (f, w) with f^2 = |u|^2, which alone is changed:
              F = h + f^2,  gain k = f w / F,  w <- w sqrt(h / F)
    b != 0    a reflection gathers b in one row, (beta, w), which is dropped: F_inf = beta^2, K0 = w / beta,
              U <- U (I - z K0^T), and the row sqrt(h) K0^T more
    a step    U <- [U T^T; Q^{1/2} R^T], A <- A T^T, and both are made triangular again

Nothing is subtracted, h may be zero, and what is known exactly stays so. Whether u or b is zero is asked of the
rounding that is carried beside the factors, see square_root_arrays.py; a number that was known before is skipped, and
impossible if it contradicts what was known.

Kailath, Sayed and Hassibi (2000), Linear Estimation, chapter 12; Durbin and Koopman (2012), sections 6.3 and 6.4; the
diffuse start in these arrays is derived here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics, move_mean
from statespace.lds.kalman import CONTRADICTION, DIFFUSE, LOG_2PI, ORDINARY, SKIPPED, Rows, Tables
from statespace.lds.square_root_arrays import (
    EPS,
    SURE,
    ZERO,
    Turns,
    clear_rounding,
    column_squares,
    gather,
    gram,
    independent_rows,
    met_rounding,
    move_rounding,
    move_rows,
    move_sizes,
    project_rounding,
    triangularise,
)
from statespace.protocols import Floats, Ints

_EXACT = 1e-22  # a variance of noise that is so small beside what it is added to lets rounding be seen
_FORGIVEN = 1e4  # times the deviation of rounding of a mean: no contradiction


class Factors(NamedTuple):
    """Where the filter is; changed in place."""

    U: Floats
    """Rows of the factor of P, (m + max(r, 1), m): the first m, and room."""
    A: Floats
    """Rows of the diffuse factor, then of the rotation that leads to them from those of the start, (q, m + q)."""
    lost: Floats
    """Rotations of directions that the transition has forgotten, (q, q)."""
    rounding: Floats
    """Covariances of the rounding in a row of U, in a row of A, and in the mean, (3, m, m)."""
    counts: Ints
    """Rows of A that are left, rows of `lost`, and whether the rounding of U is followed: (3,)."""
    work: Floats
    """(4, m + max(r, m) + q)."""


class Numbers(NamedTuple):
    """What ordinary numbers did to the factor: after turns (n p, 1, m) of their rows, the first was made shorter."""

    turns: Turns
    shrink: Floats
    """By how much, sqrt(h / F), (n p,); 1 where nothing was done."""
    slope: Floats
    """f / F, with f what the first row met, (n p,)."""


class DiffuseNumbers(NamedTuple):
    """What diffuse numbers did; N steps and p numbers in each."""

    mixed: Turns
    """Of the rows of A, (N p, 1, q)."""
    met: Floats
    """beta, (N p,)."""
    u: Floats
    """What the rows of U met, and -sqrt(h) below, (N p, m + 1)."""
    turns: Turns
    """That made m rows of m + 1, (N p, m, m + 1)."""


class Moves(NamedTuple):
    """What a smoother undoes, beside the tables."""

    roots: Floats
    """Filtered rows U of each step, (n, m, m); no steps where nothing is to be kept."""
    predicted: Floats
    """The rows before each step, (n, m, m); no steps where they are not to be kept."""
    turns: Turns
    """From the filtered rows moved, and those of the noise, to the predicted rows, (n, m, m + max(r, 1))."""
    numbers: Numbers


class DiffuseMoves(NamedTuple):
    """The same of N diffuse steps."""

    predicted: Floats
    """Rows A before each step, (N, q, m)."""
    filtered: Floats
    """The same after it."""
    n_left: Ints
    """How many rows these are, (N, 2)."""
    numbers: DiffuseNumbers


@kernel
def _meet(B: Floats, n_rows: int, z: Floats, u: Floats) -> tuple[float, float]:
    """B z into u; returns |u|^2 and the sum of squares of all that was added up."""
    total, size = 0.0, 0.0
    for k in range(n_rows):
        met = 0.0
        for j in range(z.shape[0]):
            part = B[k, j] * z[j]
            met += part
            size += part * part
        u[k] = met
        total += met * met
    return total, size


@kernel
def follow_rounding(s: Factors, mean: Floats) -> None:
    """From here on the rounding of U and of the mean is followed."""
    m = mean.shape[0]
    squares = s.work[2]
    column_squares(s.U, ZERO, m, m, squares)
    for i in range(m):
        for j in range(m):
            s.rounding[0, i, j] = 0.0
            s.rounding[2, i, j] = 0.0
        s.rounding[0, i, i] = EPS * EPS * squares[i]
        s.rounding[2, i, i] = EPS * EPS * mean[i] * mean[i]
    s.counts[2] = 1


@kernel
def _take_ordinary(
    x: float, z: Floats, h: float, met: float, size: float, s: Factors, a: Floats, gain: Floats, at: int, done: Numbers
) -> tuple[int, float, float, float]:
    """A number that meets no diffuse direction; done.turns.vectors[at, 0] is U z, `met` its square.

    Returns kind, v, F, log-likelihood.
    """
    m = a.shape[0]
    w, squares = s.work[1], s.work[2]
    v, reach, doubt = x, abs(x), 0.0
    done.shrink[at], done.slope[at] = 1.0, 0.0
    done.turns.pivots[at, 0], done.turns.scales[at, 0] = 0, 0.0
    for j in range(m):
        gain[j] = 0.0
        v -= z[j] * a[j]
        reach += abs(z[j] * a[j])
    if s.counts[2]:
        doubt = SURE * SURE * (met_rounding(s.rounding[0], z) + EPS * EPS * size)
        if met <= doubt:
            met = 0.0
            if h <= doubt:
                allowed = max(CONTRADICTION * reach, _FORGIVEN * math.sqrt(met_rounding(s.rounding[2], z)))
                return SKIPPED, v, 0.0, (0.0 if abs(v) <= allowed else -np.inf)
        column_squares(s.U, ZERO, m, m, squares)
    F = h + met
    if met > 0.0:
        f, pivot, scale = gather(s.U, ZERO, m, ZERO, m, done.turns.vectors[at, 0], w)
        row = s.U[0]
        slope, shrink = f / F, math.sqrt(h / F)
        for j in range(m):
            gain[j] = row[j] * slope
            row[j] *= shrink
        done.shrink[at], done.slope[at] = shrink, slope
        done.turns.pivots[at, 0], done.turns.scales[at, 0] = pivot, scale
    if s.counts[2]:
        project_rounding(s.rounding[0], gain, z, w)
        project_rounding(s.rounding[2], gain, z, w)
        for j in range(m):
            s.rounding[0, j, j] += EPS * EPS * squares[j]
            moved = gain[j] * v
            amplified = squares[j] * (doubt / F) * (v * v / F) / (SURE * SURE)
            s.rounding[2, j, j] += EPS * EPS * (a[j] * a[j] + moved * moved) + amplified
        column_squares(s.U, ZERO, m, m, squares)
        clear_rounding(s.U, m, s.rounding[0], squares)
    for j in range(m):
        a[j] += gain[j] * v
    return ORDINARY, v, F, -0.5 * (LOG_2PI + math.log(F) + v * v / F)


@kernel
def _take_diffuse(
    x: float, z: Floats, h: float, s: Factors, a: Floats, gain: Floats, at: int, done: DiffuseNumbers
) -> tuple[float, float, float]:
    """A number that meets the diffuse directions in done.mixed.vectors[at, 0]. Returns v, F_inf, log-likelihood."""
    m, q = a.shape[0], s.counts[0]
    u, w, squares, mixed = done.u[at], s.work[1], s.work[2], done.mixed.vectors[at, 0]
    beta, pivot, scale = gather(s.A, ZERO, q, ZERO, s.A.shape[1], mixed, w)
    spread = 0.0
    for k in range(1, q):
        spread += scale * mixed[k] * scale * mixed[k]
    for j in range(m):
        squares[j] = spread * w[j] * w[j] if spread > 0.0 else 0.0  # of what was subtracted from the rows that stay
    done.met[at] = beta
    done.mixed.pivots[at, 0], done.mixed.scales[at, 0] = pivot, scale
    v = x
    for j in range(m):
        gain[j] = s.A[0, j] / beta
        v -= z[j] * a[j]
    for j in range(s.A.shape[1]):
        s.A[0, j] = s.A[q - 1, j]
    s.counts[0] = q - 1
    project_rounding(s.rounding[1], gain, z, w)
    for j in range(m):
        s.rounding[1, j, j] += EPS * EPS * squares[j]
    column_squares(s.A, ZERO, q - 1, m, squares)
    for j in range(m):
        s.rounding[1, j, j] += EPS * EPS * squares[j]
    clear_rounding(s.A, q - 1, s.rounding[1], squares)
    met, _ = _meet(s.U, m, z, u)
    if s.counts[2]:
        column_squares(s.U, ZERO, m, m, squares)
        project_rounding(s.rounding[0], gain, z, w)
        project_rounding(s.rounding[2], gain, z, w)
        for j in range(m):
            moved = gain[j] * v
            s.rounding[0, j, j] += EPS * EPS * (squares[j] + (met + h) * gain[j] * gain[j])
            s.rounding[2, j, j] += EPS * EPS * (a[j] * a[j] + moved * moved)
    u[m] = -math.sqrt(h)
    for j in range(m):
        s.U[m, j] = 0.0
        a[j] += gain[j] * v
    for k in range(m + 1):
        row = s.U[k]
        factor = u[k]
        for j in range(m):
            row[j] -= factor * gain[j]
    triangularise(s.U, m + 1, ZERO, m, at, done.turns, w)
    if s.counts[2]:
        column_squares(s.U, ZERO, m, m, squares)
        clear_rounding(s.U, m, s.rounding[0], squares)
    return v, beta * beta, -0.5 * (LOG_2PI + math.log(beta * beta))


@kernel
def _move_factors(t: int, d: Dynamics, noise: Floats, s: Factors, turns: Turns) -> None:
    """From a filtered step to the next predicted one; the turns are noted as the t-th where there is room for all."""
    m, r = s.U.shape[1], noise.shape[1]
    w, squares, sizes = s.work[1], s.work[2], s.work[3]
    G = noise[t if noise.shape[0] > 1 else 0]
    careful = s.counts[2]
    if careful:
        column_squares(s.U, ZERO, m, m, squares)
        move_sizes(t, d, squares[:m], sizes)
        move_rounding(t, d, s.rounding[0], s.work)
        move_rounding(t, d, s.rounding[2], s.work)
    move_rows(t, d, s.U, m, w)
    for k in range(r):
        for j in range(m):
            s.U[m + k, j] = G[k, j]
    if careful:
        column_squares(s.U, m, m + r, m, squares)
        for j in range(m):
            s.rounding[0, j, j] += EPS * EPS * (sizes[j] * sizes[j] + squares[j])
    triangularise(s.U, m, r, m, t if turns.scales.shape[0] > 1 else ZERO, turns, w)
    if careful:
        column_squares(s.U, ZERO, m, m, squares)
        clear_rounding(s.U, m, s.rounding[0], squares)
    q = s.counts[0]
    if q:
        column_squares(s.A, ZERO, q, m, squares)
        move_sizes(t, d, squares[:m], sizes)
        move_rounding(t, d, s.rounding[1], s.work)
        for j in range(m):
            s.rounding[1, j, j] += EPS * EPS * sizes[j] * sizes[j]
        move_rows(t, d, s.A, q, w)
        drop_forgotten(s)


@kernel
def drop_forgotten(s: Factors) -> None:
    """Rows of A that are rounding, or combinations of others, are dropped, and their rotations noted."""
    m, q, q_start = s.U.shape[1], s.counts[0], s.A.shape[0]
    column_squares(s.A, ZERO, q, m, s.work[2])
    clear_rounding(s.A, q, s.rounding[1], s.work[2])
    tried = s.A.copy()
    left = independent_rows(tried, q, s.rounding[1], s.work[0], s.work[1], s.work[2])
    if left == q:
        return
    for k in range(q):
        for j in range(m + q_start):
            s.A[k, j] = tried[k, j]
    for k in range(left, q):
        for j in range(q_start):
            s.lost[s.counts[1], j] = s.A[k, m + j]
        s.counts[1] += 1
    s.counts[0] = left


@kernel
def filter_root_steps(
    first: int,
    last: int,
    rows: Rows,
    d: Dynamics,
    noise: Floats,
    s: Factors,
    tables: Tables,
    moves: Moves,
    diffuse: DiffuseMoves,
) -> int:
    """Filter the steps from `first` on to `last`, or until no direction is diffuse any more; returns the next step."""
    m, p = s.U.shape[1], rows.variances.shape[1]
    begun_diffuse, keep = s.counts[0] > 0, moves.roots.shape[0] > 0
    t = first
    while t < last and (s.counts[0] > 0 or not begun_diffuse):
        f = rows.frame[t]
        a, af = tables.a[t], tables.af[t]
        for j in range(m):
            af[j] = a[j]
        if moves.predicted.shape[0] > 0:
            for k in range(m):
                for j in range(m):
                    moves.predicted[t, k, j] = s.U[k, j]
        if begun_diffuse:
            diffuse.n_left[t - first, 0] = s.counts[0]
            for k in range(s.counts[0]):
                for j in range(m):
                    diffuse.predicted[t - first, k, j] = s.A[k, j]
        step = 0.0
        for i in range(rows.n_seen[f]):
            x, z, h = rows.x[t, i], rows.design[f, i], rows.variances[f, i]
            at, here = t * p + i if keep else 0, (t - first) * p + i
            kind = ORDINARY
            if s.counts[0]:
                met, size = _meet(s.A, s.counts[0], z, diffuse.numbers.mixed.vectors[here, 0])
                if met > SURE * SURE * (met_rounding(s.rounding[1], z) + EPS * EPS * size):
                    kind = DIFFUSE
            met, size = _meet(s.U, m, z, moves.numbers.turns.vectors[at, 0])
            if not s.counts[2] and h <= _EXACT * size:
                follow_rounding(s, af)
            if kind == DIFFUSE:
                v, F, gained = _take_diffuse(x, z, h, s, af, tables.k[t, i], here, diffuse.numbers)
            else:
                kind, v, F, gained = _take_ordinary(x, z, h, met, size, s, af, tables.k[t, i], at, moves.numbers)
            tables.v[t, i], tables.F[t, i], tables.kind[t, i] = v, F, kind
            step += gained
        tables.steps[t] = step
        gram(s.U, m, ZERO, m, tables.Pf[t])
        if keep:
            for k in range(m):
                for j in range(m):
                    moves.roots[t, k, j] = s.U[k, j]
        if begun_diffuse:
            diffuse.n_left[t - first, 1] = s.counts[0]
            for k in range(s.counts[0]):
                for j in range(m):
                    diffuse.filtered[t - first, k, j] = s.A[k, j]
        move_mean(t, d, af, tables.a[t + 1])
        _move_factors(t, d, noise, s, moves.turns)
        gram(s.U, m, ZERO, m, tables.P[t + 1])
        t += 1
    return t
