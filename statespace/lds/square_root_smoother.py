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

The gradient asks for covariances, over all data that could come, of mu with r and with u of the backward pass (see
gradient.py). They move as mu does: a turn of pieces turns their columns, and v comes in with Cov(r, v) = z and
Cov(u, v) = 1. With G = Cov(r, mu) and c = Cov(u, mu), back over a number c = -k^T G and G <- G + z c before the turn,
and

    N T P_f = G [U; A] of the filtered step         k - P N k = c [U; A] of the predicted one

What the rows of U are large in, G and c are small in, so that a vague start costs no digits.

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
from statespace.lds.filtering import rows_of
from statespace.lds.frames import Frames
from statespace.lds.kalman import ORDINARY, SKIPPED, Rows, Tables
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
    roots: Floats
    """Rows X with X^T X the part of cov that is finite, shape (n, m + q, m)."""


class Scores(NamedTuple):
    """What the gradient by the transition and by the design subtracts; added to."""

    W: Floats
    """N T P_f, summed over the steps, shape (1, m, m), or of each step, shape (n, m, m)."""
    Z: Floats
    """Sums over the steps of a frame of k - P N k, shape (n_frames, p, m)."""


class _Work(NamedTuple):
    """What is known of the pieces, and room; e = max(r, 1), q diffuse directions of the start.

    Below the rows of a factor lie b more: the means of the pieces, and where scores are wanted the m rows of G and the
    p rows c.
    """

    C: Floats
    """The factor, (m + q + e + b, m + q): columns are the pieces xi, then delta."""
    D: Floats
    """The same with e columns between these for pieces that come and go, (m + q + e + b, m + e + q)."""
    X: Floats
    """The factor of Cov(a_{t+1} | all), (m + q + 1, m)."""
    Y: Floats
    """That of (a_t, n_t), from the same rows, (m + q + e + 1, m + e)."""
    turns: Turns
    w: Floats
    """(m + e + q,)."""
    entering: Floats
    """What the innovation of a number adds to each row below, (b,)."""


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
    for i in range(n_rows + extra + b.entering.shape[0]):
        row = b.D[i]
        for j in range(row.shape[0]):
            row[j] = 0.0
        if n_rows <= i < n_rows + extra:
            row[m + i - n_rows] = 1.0
            continue
        source = b.C[i if i < n_rows else i - extra]
        for j in range(m):
            row[j] = source[j]
        for j in range(q):
            row[m + e + j] = source[m + j]


@kernel
def _narrow(b: _Work, n_rows: int, q: int) -> None:
    """D without the pieces between, into C."""
    m = b.X.shape[1]
    e = b.D.shape[1] - b.C.shape[1]
    for i in range(n_rows + b.entering.shape[0]):
        row, source = b.C[i], b.D[i]
        for j in range(m):
            row[j] = source[j]
        for j in range(q):
            row[m + j] = source[m + e + j]


@kernel
def _undo_diffuse(at: int, q: int, done: DiffuseNumbers, b: _Work) -> None:
    """Back over a number that determined one of q + 1 diffuse directions; C has m + q rows, then those below."""
    m = b.X.shape[1]
    e = b.D.shape[1] - b.C.shape[1]
    n_rows = m + q + 1
    n_all = n_rows + b.entering.shape[0]
    _widen(b, m + q, q, ONE)
    undo_triangle(b.D, n_all, m + 1, ZERO, m, at, done.turns)
    beta, u, delta = done.met[at], done.u[at], m + e
    for i in range(n_all):
        row = b.D[i]
        met = 0.0 if i < n_rows else b.entering[i - n_rows]
        for k in range(m + 1):
            met -= u[k] * row[k]
        row[delta + q] = row[delta]
        row[delta] = met / beta
    pivot, scale = done.mixed.pivots[at, 0], done.mixed.scales[at, 0]
    undo(b.D, n_all, delta, ZERO, q + 1, done.mixed.vectors[at, 0], pivot, scale)
    _narrow(b, n_rows, q + 1)


@kernel
def _enter(i: int, z: Floats, k: Floats, v: float, n_rows: int, b: _Work) -> None:
    """Before number i is undone: G and c over it, and what its innovation adds to the rows below the first n_rows."""
    m, n_below = b.X.shape[1], b.entering.shape[0]
    b.entering[0] = v
    if n_below == 1:
        return
    for j in range(1, n_below):
        b.entering[j] = z[j - 1] if j <= m else 0.0
    b.entering[1 + m + i] = 1.0
    c = b.C[n_rows + 1 + m + i]
    for a in range(m):
        if k[a] != 0.0:
            row = b.C[n_rows + 1 + a]
            for j in range(c.shape[0]):
                c[j] -= k[a] * row[j]
    for a in range(m):
        if z[a] != 0.0:
            row = b.C[n_rows + 1 + a]
            for j in range(c.shape[0]):
                row[j] += z[a] * c[j]


@kernel
def _undo_numbers(
    t: int, q: int, design: Floats, tables: Tables, moves: Moves, s: int, diffuse: DiffuseMoves, b: _Work
) -> int:
    """From the filtered pieces of step t, q of them diffuse, to the predicted ones; s counts diffuse steps.

    Returns how many are diffuse then.
    """
    m, p, n_below = b.X.shape[1], tables.v.shape[1], b.entering.shape[0]
    turns = moves.numbers.turns
    for i in range(n_below - 1 - m):
        row = b.C[m + q + 1 + m + i]
        for j in range(row.shape[0]):
            row[j] = 0.0
    for i in range(p - 1, -1, -1):
        at = t * p + i
        if tables.kind[t, i] == SKIPPED:
            continue
        _enter(i, design[i], tables.k[t, i], tables.v[t, i], m + q, b)
        if tables.kind[t, i] == ORDINARY:
            for k in range(m + q + n_below):
                b.C[k, 0] *= moves.numbers.shrink[at]
            for k in range(n_below):
                b.C[m + q + k, 0] += moves.numbers.slope[at] * b.entering[k]
            undo(b.C, m + q + n_below, ZERO, ZERO, m, turns.vectors[at, 0], turns.pivots[at, 0], turns.scales[at, 0])
        else:
            _undo_diffuse(s * p + i, q, diffuse.numbers, b)
            q += 1
    return q


@kernel
def _add_products(C: Floats, first: int, n_rows: int, left: int, n_pieces: int, U: Floats, out: Floats) -> None:
    """Out += C[first : first + n_rows, left : left + n_pieces] U."""
    for i in range(n_rows):
        for k in range(n_pieces):
            factor = C[first + i, left + k]
            if factor != 0.0:
                for j in range(U.shape[1]):
                    out[i, j] += factor * U[k, j]


@kernel
def _pull_scores(t: int, d: Dynamics, first: int, b: _Work) -> None:
    """G <- T_t^T G; its rows are those of C from `first` on."""
    T, m = t if d.value.shape[0] > 1 else 0, b.X.shape[1]
    for j in range(b.C.shape[1]):
        for i in range(m):
            total = 0.0
            for e in range(d.column_start[i], d.column_start[i + 1]):
                total += d.value[T, d.entry[e]] * b.C[first + d.row[e], j]
            b.w[i] = total
        for i in range(m):
            b.C[first + i, j] = b.w[i]


@kernel
def _smooth_steps(
    first: int,
    last: int,
    rows: Rows,
    d: Dynamics,
    Q_roots: Floats,
    tables: Tables,
    moves: Moves,
    diffuse: DiffuseMoves,
    b: _Work,
    out: Smoothed,
    scores: Scores,
) -> None:
    """The steps last - 1, ..., first; `diffuse` begins at `first`. Where `last` is not n, b holds the step after."""
    n, m, r = tables.af.shape[0], b.X.shape[1], Q_roots.shape[1]
    e, n_below = b.D.shape[1] - b.C.shape[1], b.entering.shape[0]
    for t in range(last - 1, first - 1, -1):
        s = t - first
        q = diffuse.n_left[s, 1] if s < diffuse.n_left.shape[0] else 0
        Qr, U = Q_roots[t if Q_roots.shape[0] > 1 else 0], moves.roots[t]
        n_rows = m + q
        if t < n - 1:
            # Pieces before the step, and the disturbance
            _widen(b, n_rows, q, r)
            undo_triangle(b.D, n_rows + r + n_below, m, r, m, t, moves.turns)
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
            if n_below > 1:
                W = scores.W[t if scores.W.shape[0] > 1 else 0]
                _add_products(b.D, n_rows + r + 1, m, ZERO, m, U, W)
                if q:
                    _add_products(b.D, n_rows + r + 1, m, m + e, q, diffuse.filtered[s], W)
            # Without the disturbance
            _narrow(b, n_rows + r, q)
            triangularise(b.C, n_rows + r, ZERO, n_rows, ZERO, b.turns, b.w)
            for i in range(n_below):
                for j in range(n_rows):
                    b.C[n_rows + i, j] = b.C[n_rows + r + i, j]
            if n_below > 1:
                _pull_scores(t, d, n_rows + 1, b)
        else:
            for i in range(n_rows + n_below):
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
        for k in range(out.roots.shape[1]):
            for j in range(m):
                out.roots[t, k, j] = b.X[k, j] if k < n_rows else 0.0
        for j in range(m):
            out.mean[t, j] = tables.af[t, j] + b.X[n_rows, j]
        f = rows.frame[t]
        q_before = _undo_numbers(t, q, rows.design[f], tables, moves, s, diffuse, b)
        if n_below > 1:
            at, p = m + q_before + 1 + m, rows.design.shape[1]
            _add_products(b.C, at, p, ZERO, m, moves.predicted[t], scores.Z[f])
            if q_before:
                _add_products(b.C, at, p, m, q_before, diffuse.predicted[s], scores.Z[f])
        for k in range(n_rows, b.X.shape[0]):
            for j in range(m):
                b.X[k, j] = 0.0


def smooth_square_root(
    system: System, dynamics: Dynamics, frames: Frames, start: State | None = None, scores: Scores | None = None
) -> tuple[Smoothed, Filtered]:
    """Smooth one sequence in square-root form.

    Parameters
    ----------
    system, dynamics, frames
        The model, its dynamics, and the observations as frames.
    start : State, optional
        Where an earlier filter ended.
    scores : Scores, optional
        Where what the gradient subtracts is to be added.

    Returns
    -------
    (Smoothed, Filtered)
        The second is the filter that was run.

    """
    begun, wanted = initial_state(system) if start is None else start, scores is not None
    passed = pass_square_root(system, dynamics, frames, begun, keep=True, predicted=wanted)
    filtered, kept = passed.filtered, np.eye(begun.loadings.shape[1])
    while len(passed.undetermined):
        kept = kept @ _complement(passed.undetermined)
        determined = begun._replace(loadings=np.ascontiguousarray(begun.loadings @ kept))
        passed = pass_square_root(system, dynamics, frames, determined, keep=True, predicted=wanted)
    n, m = filtered.af.shape
    r, q = system.n_disturbances, kept.shape[1]
    e = max(r, 1)
    Q_roots, _ = noise_roots(system)
    n_below = 1 + m + system.n_features if wanted else 1
    n_rows = m + q + e + n_below
    work = _Work(
        np.zeros((n_rows, m + q)),
        np.zeros((n_rows, m + e + q)),
        np.zeros((m + q + 1, m)),
        np.zeros((n_rows, m + e)),
        make_turns(1, m + q, n_rows),
        np.empty(m + e + q),
        np.empty(n_below),
    )
    added = Scores(np.empty((1, 0, 0)), np.empty((1, 0, 0))) if scores is None else scores
    smoothed = Smoothed(
        np.empty((n, m)),
        np.empty((n, m, m)),
        np.empty((max(n - 1, 0), m, m)),
        np.empty((n, r)),
        np.empty((n, r, r)),
        np.empty((n, m + q, m)),
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
        _smooth_steps(
            first, last, rows_of(frames), dynamics, Q_roots, tables, passed.moves, block, work, smoothed, added
        )
    if q < len(kept):
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
