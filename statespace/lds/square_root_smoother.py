r"""The smoother in square-root form: the turns of the filter are undone, and nothing is subtracted or inverted.

The filter writes the state as a sum of independent standard pieces, a_t = a_f + U^T xi + A^T delta, and everything that
it does between two such sums is a rotation of pieces:

    a step    (xi_{t+1}, zeta) = O (xi_t, w_t),   with U_{t+1} above the zeros that O [U_t T^T; Q^{1/2} R^T] leaves
    a number  (xi_1, eps) turned by an angle: v = sqrt(F) times one of the new pieces, which is thereby known; the other
              is the new xi_1
    a diffuse number   delta_1 = (v - u^T xi - sqrt(h) eps) / beta, and (xi', zeta) = O (xi, eps)

What the data say of the pieces of the last step is their law, N(0, I). Backwards, a turn of (xi, zeta) with zeta still
N(0, I) and independent of all that follows is the law of the pieces before. With the rows of C a factor of the
covariance of (xi, delta) given all data and mu their mean,

    E(a_t | all) = a_f + [U; A]^T mu,     Cov(a_t | all) = X^T X,  X = C [U; A]

and lag-one covariances and disturbances are likewise products of such factors. C is I where the data that follow say
nothing, and small where they say much; what rounds in it is relative to 1, whatever T, Q, P and their ranks are.

Directions of the start of which the data say nothing are independent of the data: they are taken out of the start, and
what they add to the states is added as an infinite variance.

The smoothers of Bierman (1977), chapter X, and of Kailath, Sayed and Hassibi (2000), chapter 12, keep such rotations
too; the form with normed pieces, and with diffuse ones, is derived here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics
from statespace.lds.filtered import Filtered, initial_state
from statespace.lds.frames import Frames
from statespace.lds.kalman import DIFFUSE, ORDINARY, Tables
from statespace.lds.results import State
from statespace.lds.square_root_arrays import (
    EPS,
    ONE,
    SURE,
    ZERO,
    Turns,
    clear_rounding,
    column_squares,
    gram,
    make_turns,
    move_rounding,
    move_rows,
    move_sizes,
    triangularise,
    undo,
    undo_triangle,
)
from statespace.lds.square_root_filter import noise_roots, pass_square_root
from statespace.lds.square_root_steps import DiffuseMoves, DiffuseNumbers, Moves
from statespace.lds.system import System
from statespace.protocols import Floats


class Smoothed(NamedTuple):
    """What all the data say of states and of their disturbances; n steps, m states, r disturbances.

    Where the data never determine a direction, the variances of states that it moves are inf, and so are, with their
    signs, covariances of two of them.
    """

    mean: Floats
    """E(a_t | all), shape (n, m)."""
    cov: Floats
    """Cov(a_t | all), shape (n, m, m)."""
    lag_one_cov: Floats
    """Cov(a_{t+1}, a_t | all), shape (n - 1, m, m)."""
    state_disturbance: Floats
    """E(n_t | all), shape (n, r)."""
    state_disturbance_cov: Floats
    """Cov(n_t | all), shape (n, r, r)."""
    finite_cov: Floats
    """The part of cov that is finite, shape (n, m, m)."""


class _Work(NamedTuple):
    """What is known of the pieces, and room; e = max(r, 1), q diffuse directions of the start.

    Below the rows of a factor lies one more row: the means of the pieces.
    """

    C: Floats
    """The factor, (m + q + e + 1, m + q): columns are the pieces xi, then delta."""
    D: Floats
    """The same with e columns between these for pieces that come and go, (m + q + e + 1, m + e + q)."""
    X: Floats
    """The factor of Cov(a_{t+1} | all), (m + q + 1, m)."""
    Y: Floats
    """That of (a_t, n_t), from the same rows, (m + q + e + 1, m + e)."""
    turns: Turns
    w: Floats
    """(m + e + q,)."""


@kernel
def _apply(C: Floats, n_rows: int, left: int, n_pieces: int, U: Floats, add: int, out: Floats, to: int) -> None:
    """C[:, left : left + n_pieces] U into the columns of `out` from `to` on; added with `add` 1."""
    n = U.shape[1]
    for i in range(n_rows):
        row, made = C[i], out[i, to : to + n]
        if add == 0:
            for j in range(n):
                made[j] = 0.0
        for k in range(n_pieces):
            factor = row[left + k]
            if factor != 0.0:
                other = U[k]
                for j in range(n):
                    made[j] += factor * other[j]


@kernel
def _widen(b: _Work, n_rows: int, q: int, extra: int) -> None:
    """C into D, with `extra` pieces more that are independent of the others, of mean 0 and variance 1."""
    m = b.X.shape[1]
    e = b.D.shape[1] - b.C.shape[1]
    for i in range(n_rows + extra + 1):
        row = b.D[i]
        for j in range(row.shape[0]):
            row[j] = 0.0
        if n_rows <= i < n_rows + extra:
            row[m + i - n_rows] = 1.0
            continue
        source = b.C[i if i < n_rows else n_rows]
        for j in range(m):
            row[j] = source[j]
        for j in range(q):
            row[m + e + j] = source[m + j]


@kernel
def _narrow(b: _Work, n_rows: int, q: int) -> None:
    """D without the pieces between, into C."""
    m = b.X.shape[1]
    e = b.D.shape[1] - b.C.shape[1]
    for i in range(n_rows + 1):
        row, source = b.C[i], b.D[i]
        for j in range(m):
            row[j] = source[j]
        for j in range(q):
            row[m + j] = source[m + e + j]


@kernel
def _undo_diffuse(at: int, v: float, q: int, done: DiffuseNumbers, b: _Work) -> None:
    """Back over a number that determined one of q + 1 diffuse directions; C has m + q rows, then one more."""
    m = b.X.shape[1]
    e = b.D.shape[1] - b.C.shape[1]
    n_rows = m + q + 1
    _widen(b, m + q, q, ONE)
    undo_triangle(b.D, n_rows + 1, m + 1, ZERO, m, at, done.turns)
    beta, u, delta = done.met[at], done.u[at], m + e
    for i in range(n_rows + 1):
        row = b.D[i]
        met = 0.0 if i < n_rows else v
        for k in range(m + 1):
            met -= u[k] * row[k]
        row[delta + q] = row[delta]
        row[delta] = met / beta
    pivot, scale = done.mixed.pivots[at, 0], done.mixed.scales[at, 0]
    undo(b.D, n_rows + 1, delta, ZERO, q + 1, done.mixed.vectors[at, 0], pivot, scale)
    _narrow(b, n_rows, q + 1)


@kernel
def _undo_numbers(t: int, q: int, tables: Tables, moves: Moves, s: int, diffuse: DiffuseMoves, b: _Work) -> None:
    """From the filtered pieces of step t, q of them diffuse, to the predicted ones; s counts diffuse steps."""
    m, p = b.X.shape[1], tables.v.shape[1]
    turns = moves.numbers.turns
    for i in range(p - 1, -1, -1):
        at = t * p + i
        if tables.kind[t, i] == ORDINARY:
            for k in range(m + q + 1):
                b.C[k, 0] *= moves.numbers.shrink[at]
            b.C[m + q, 0] += moves.numbers.slope[at] * tables.v[t, i]
            undo(b.C, m + q + 1, ZERO, ZERO, m, turns.vectors[at, 0], turns.pivots[at, 0], turns.scales[at, 0])
        elif tables.kind[t, i] == DIFFUSE:
            _undo_diffuse(s * p + i, tables.v[t, i], q, diffuse.numbers, b)
            q += 1


@kernel
def _smooth_steps(
    first: int,
    last: int,
    Q_roots: Floats,
    tables: Tables,
    moves: Moves,
    diffuse: DiffuseMoves,
    b: _Work,
    out: Smoothed,
) -> None:
    """The steps last - 1, ..., first; `diffuse` begins at `first`. Where `last` is not n, b holds the step after."""
    n, m, r = tables.af.shape[0], b.X.shape[1], Q_roots.shape[1]
    e = b.D.shape[1] - b.C.shape[1]
    for t in range(last - 1, first - 1, -1):
        s = t - first
        q = diffuse.n_left[s, 1] if s < diffuse.n_left.shape[0] else 0
        Qr, U = Q_roots[t if Q_roots.shape[0] > 1 else 0], moves.roots[t]
        n_rows = m + q
        if t < n - 1:
            # Pieces before the step, and the disturbance
            _widen(b, n_rows, q, r)
            undo_triangle(b.D, n_rows + r + 1, m, r, m, t, moves.turns)
            _apply(b.D, n_rows, ZERO, m, U, ZERO, b.Y, ZERO)
            if q:
                _apply(b.D, n_rows, m + e, q, diffuse.filtered[s], ONE, b.Y, ZERO)
            lag_one = out.lag_one_cov[t]
            for i in range(m):
                for j in range(m):
                    lag_one[i, j] = 0.0
            for k in range(n_rows):
                for i in range(m):
                    factor = b.X[k, i]
                    if factor != 0.0:
                        for j in range(m):
                            lag_one[i, j] += factor * b.Y[k, j]
            _apply(b.D, n_rows + r + 1, m, r, Qr, ZERO, b.Y, m)
            gram(b.Y, n_rows + r, m, m + r, out.state_disturbance_cov[t])
            for j in range(r):
                out.state_disturbance[t, j] = b.Y[n_rows + r, m + j]
            # Without the disturbance
            _narrow(b, n_rows + r, q)
            triangularise(b.C, n_rows + r, ZERO, n_rows, ZERO, b.turns, b.w)
            for j in range(n_rows):
                b.C[n_rows, j] = b.C[n_rows + r, j]
        else:
            for i in range(n_rows + 1):
                for j in range(n_rows):
                    b.C[i, j] = 1.0 if i == j else 0.0
            gram(Qr, r, ZERO, r, out.state_disturbance_cov[t])
            for j in range(r):
                out.state_disturbance[t, j] = 0.0
        # The state
        _apply(b.C, n_rows + 1, ZERO, m, U, ZERO, b.X, ZERO)
        if q:
            _apply(b.C, n_rows + 1, m, q, diffuse.filtered[s], ONE, b.X, ZERO)
        gram(b.X, n_rows, ZERO, m, out.cov[t])
        for j in range(m):
            out.mean[t, j] = tables.af[t, j] + b.X[n_rows, j]
        _undo_numbers(t, q, tables, moves, s, diffuse, b)
        for k in range(n_rows, b.X.shape[0]):
            for j in range(m):
                b.X[k, j] = 0.0


def smooth_square_root(
    system: System, dynamics: Dynamics, frames: Frames, start: State | None = None
) -> tuple[Smoothed, Filtered]:
    """Smooth one sequence in square-root form.

    Parameters
    ----------
    system, dynamics, frames
        The model, its dynamics, and the observations as frames.
    start : State, optional
        Where an earlier filter ended.

    Returns
    -------
    (Smoothed, Filtered)
        The second is the filter that was run.

    """
    begun = initial_state(system) if start is None else start
    passed = pass_square_root(system, dynamics, frames, begun, keep=True)
    filtered, kept = passed.filtered, np.eye(begun.loadings.shape[1])
    while len(passed.undetermined):
        kept = kept @ _complement(passed.undetermined)
        determined = begun._replace(loadings=np.ascontiguousarray(begun.loadings @ kept))
        passed = pass_square_root(system, dynamics, frames, determined, keep=True)
    n, m = filtered.af.shape
    r, q = system.n_disturbances, kept.shape[1]
    e = max(r, 1)
    Q_roots, _ = noise_roots(system)
    rows = m + q + e + 1
    work = _Work(
        np.zeros((rows, m + q)),
        np.zeros((rows, m + e + q)),
        np.zeros((m + q + 1, m)),
        np.zeros((rows, m + e)),
        make_turns(1, m + q, rows),
        np.empty(m + e + q),
    )
    cov = np.empty((n, m, m))
    smoothed = Smoothed(
        np.empty((n, m)), cov, np.empty((max(n - 1, 0), m, m)), np.empty((n, r)), np.empty((n, r, r)), cov
    )
    tables = passed.filtered.tables
    nothing = DiffuseMoves(
        np.empty((0, q, m)),
        np.empty((0, q, m)),
        np.empty((0, 2), np.int64),
        DiffuseNumbers(make_turns(0, 1, q), np.empty(0), np.empty((0, m + 1)), make_turns(0, m, m + 1)),
    )
    ends = np.cumsum([len(block.n_left) for block in passed.diffuse], dtype=np.int64).tolist()
    parts = zip([0, *ends], [*ends, n], [*passed.diffuse, nothing], strict=True)
    for first, last, block in reversed(list(parts)):
        _smooth_steps(first, last, Q_roots, tables, passed.moves, block, work, smoothed)
    if q < len(kept):
        smoothed = smoothed._replace(finite_cov=cov.copy())
        _add_undetermined(dynamics, begun.loadings, _complement(kept.T), smoothed)
    return smoothed, filtered


def _complement(rows: Floats) -> Floats:
    """Orthonormal columns, all that are orthogonal to orthonormal rows (k, q): shape (q, q - k)."""
    k, q = rows.shape
    return np.asarray(np.linalg.qr(rows.T, mode="complete")[0][:, k:]) if k else np.eye(q)


def _add_undetermined(dynamics: Dynamics, start: Floats, free: Floats, smoothed: Smoothed) -> None:
    """Infinite entries of the covariances where the combinations `free` of the loadings of the start move states."""
    n, m = smoothed.mean.shape
    B = np.ascontiguousarray((start @ free).T)
    rounding = np.diag(EPS * EPS * (start**2).sum(axis=1))
    work, squares, sizes = np.empty((1, m)), np.empty(m), np.empty(m)
    before, doubt_before = B, squares
    for t in range(n):
        column_squares(B, ZERO, len(B), m, squares)
        clear_rounding(B, len(B), rounding, squares)
        doubt = SURE * np.sqrt(np.diagonal(rounding))
        _raise_to_infinity(smoothed.cov[t], B, doubt, B, doubt)
        if t:
            _raise_to_infinity(smoothed.lag_one_cov[t - 1], B, doubt, before, doubt_before)
        before, doubt_before = B.copy(), doubt
        move_sizes(t, dynamics, squares, sizes)
        move_rounding(t, dynamics, rounding, work)
        rounding[np.diag_indices(m)] += EPS * EPS * sizes * sizes
        move_rows(t, dynamics, B, len(B), work[0])


def _raise_to_infinity(cov: Floats, left: Floats, left_doubt: Floats, right: Floats, right_doubt: Floats) -> None:
    product = left.T @ right
    left_size, right_size = np.sqrt((left**2).sum(axis=0)), np.sqrt((right**2).sum(axis=0))
    moved = np.abs(product) > np.outer(left_doubt, right_size) + np.outer(left_size, right_doubt)
    cov[moved] = np.copysign(np.inf, product[moved])
