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
from statespace.lds.filtering import Filtered, initial_state, rows_of
from statespace.lds.frames import Frames
from statespace.lds.kalman import CONTRADICTION, DIFFUSE, LOG_2PI, ORDINARY, SKIPPED, Rows, Tables
from statespace.lds.results import State
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
    make_turns,
    met_rounding,
    move_rounding,
    move_rows,
    move_sizes,
    project_rounding,
    semidefinite_roots,
    triangularise,
)
from statespace.lds.system import System
from statespace.protocols import Floats, Ints

_CHUNK = 32  # diffuse steps for which there is room at first
_EXACT = 1e-22  # a variance of noise that is so small beside what it is added to lets rounding be seen
_FORGIVEN = 1e4  # times the deviation of rounding of a mean: no contradiction


class _Factors(NamedTuple):
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
        row = B[k]
        met = 0.0
        for j in range(z.shape[0]):
            part = row[j] * z[j]
            met += part
            size += part * part
        u[k] = met
        total += met * met
    return total, size


@kernel
def _follow_rounding(s: _Factors, mean: Floats) -> None:
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
    x: float, z: Floats, h: float, met: float, size: float, s: _Factors, a: Floats, gain: Floats, at: int, done: Numbers
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
    x: float, z: Floats, h: float, s: _Factors, a: Floats, gain: Floats, at: int, done: DiffuseNumbers
) -> tuple[float, float, float]:
    """A number that meets the diffuse directions in done.mixed.vectors[at, 0]. Returns v, F_inf, log-likelihood."""
    m, q = a.shape[0], s.counts[0]
    u, w, squares, mixed = done.u[at], s.work[1], s.work[2], done.mixed.vectors[at, 0]
    beta, pivot, scale = gather(s.A, ZERO, q, ZERO, s.A.shape[1], mixed, w)
    spread = 0.0
    for k in range(1, q):
        spread += scale * mixed[k] * scale * mixed[k]
    for j in range(m):
        squares[j] = spread * w[j] * w[j]  # of what was subtracted from the rows that stay
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
def _move_factors(t: int, d: Dynamics, noise: Floats, s: _Factors, turns: Turns) -> None:
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
        _forget(s)


@kernel
def _forget(s: _Factors) -> None:
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
def _filter_steps(
    first: int,
    last: int,
    rows: Rows,
    d: Dynamics,
    noise: Floats,
    s: _Factors,
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
                _follow_rounding(s, af)
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


class SquareRootPass(NamedTuple):
    """What the filter found, and what it did."""

    filtered: Filtered
    moves: Moves
    diffuse: list[DiffuseMoves]
    """Of the diffuse steps, block by block."""
    undetermined: Floats
    """Combinations of the diffuse directions of the start of which the data say nothing, orthonormal rows, (., q)."""


def filter_square_root(system: System, dynamics: Dynamics, frames: Frames, start: State | None = None) -> Filtered:
    """Filter one sequence in square-root form, and keep everything.

    Parameters
    ----------
    system, dynamics, frames
        The model, its dynamics, and the observations as frames.
    start : State, optional
        Where an earlier filter ended.

    Returns
    -------
    Filtered
        As of `filter_covariance`; every step has a row of the tables of its own.

    """
    return pass_square_root(system, dynamics, frames, start, keep=False).filtered


def noise_roots(system: System) -> tuple[Floats, Floats]:
    """Rows U with U^T U = Q, shape (1 or n, r, r), and the upper triangles U R^T, shape (1 or n, r, m)."""
    roots = semidefinite_rows(system.state_cov)
    noise = roots @ system.selection.transpose(0, 2, 1)
    if np.tril(noise, -1).any():
        r, m = noise.shape[1:]
        both = np.concatenate([noise, np.broadcast_to(roots, (len(noise), r, r))], axis=2)
        turns, w = make_turns(1, m, r), np.empty(m + r)
        for rows in both:
            triangularise(rows, r, ZERO, m, ZERO, turns, w)
        noise, roots = both[:, :, :m], both[:, :, m:]
    return np.ascontiguousarray(roots), np.ascontiguousarray(noise)


def semidefinite_rows(V: Floats) -> Floats:
    """Rows U with U^T U = V[t], shape (n, m, m); rows that are not needed are zero."""
    roots = np.empty_like(V)
    semidefinite_roots(V, roots, np.empty(V.shape[1:]))
    return roots


def pass_square_root(
    system: System, dynamics: Dynamics, frames: Frames, start: State | None = None, *, keep: bool
) -> SquareRootPass:
    """The filter in square-root form; with `keep`, what a smoother undoes. Arguments as of `filter_square_root`."""
    state = initial_state(system) if start is None else start
    n, m, p = len(frames.x), system.n_states, system.n_features
    q, e = state.loadings.shape[1], max(system.n_disturbances, 1)
    rows = rows_of(frames)
    tables = Tables(
        np.empty((n + 1, m)),
        np.empty((n, m)),
        np.zeros((n, p)),
        np.empty(n),
        np.arange(n + 1),
        np.empty((n + 1, m, m)),
        np.zeros((n + 1, m, m)),
        np.zeros((n + 1, p, m)),
        np.zeros((n + 1, p)),
        np.zeros((n + 1, p), np.int64),
    )
    tables.a[0] = state.mean
    tables.P[0] = state.cov
    s = _Factors(
        np.zeros((m + e, m)),
        np.zeros((q, m + q)),
        np.zeros((q, q)),
        np.zeros((3, m, m)),
        np.array([q, 0, 0]),
        np.empty((4, m + max(e, m) + q)),
    )
    s.U[:m] = semidefinite_rows(np.ascontiguousarray(state.cov[None]))[0]
    s.A[:, :m], s.A[:, m:] = state.loadings.T, np.eye(q)
    _, noise = noise_roots(system)
    if (frames.variances[np.arange(p) < frames.n_seen[:, None]] == 0).any():
        _follow_rounding(s, tables.a[0])
    if q:
        s.rounding[1] = np.diag(EPS * EPS * (state.loadings**2).sum(axis=1))
        _forget(s)
    kept, numbers = (n, n * p) if keep else (0, 1)
    moves = Moves(
        np.empty((kept, m, m)),
        make_turns(max(kept, 1), m, m + e),
        Numbers(make_turns(numbers, 1, m), np.ones(numbers), np.zeros(numbers)),
    )
    blocks: list[DiffuseMoves] = []
    t, room = 0, _CHUNK
    while t < n:
        room = min(room, n - t) if s.counts[0] else 0
        block = DiffuseMoves(
            np.empty((room, q, m)),
            np.empty((room, q, m)),
            np.zeros((room, 2), np.int64),
            DiffuseNumbers(
                make_turns(room * p, 1, q),
                np.empty(room * p),
                np.empty((room * p, m + 1)),
                make_turns(room * p, m, m + 1),
            ),
        )
        done = _filter_steps(t, t + room if room else n, rows, dynamics, noise, s, tables, moves, block)
        if room:
            blocks.append(block._replace(n_left=block.n_left[: done - t]))
        t, room = done, 2 * room
    left = int(s.counts[0])
    loadings = [A[:k].T.copy() for block in blocks for A, (k, _) in zip(block.predicted, block.n_left, strict=False)]
    end = State(tables.a[n].copy(), tables.P[n].copy(), s.A[:left, :m].T.copy())
    undetermined = np.concatenate([s.A[:left, m:], s.lost[: int(s.counts[1])]])
    return SquareRootPass(Filtered(*tables, loadings, end, "square_root", None, False), moves, blocks, undetermined)
