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
from statespace.lds.kalman import Rows, Tables
from statespace.lds.results import State
from statespace.lds.square_root_arrays import (
    EPS,
    ONE,
    SURE,
    ZERO,
    clear_rounding,
    column_squares,
    gram,
    make_turns,
    move_rounding,
    move_rows,
    move_sizes,
    triangularise,
    undo_triangle,
)
from statespace.lds.square_root_back_steps import (
    BackwardPieces,
    add_products,
    apply,
    narrow,
    pull_scores,
    undo_numbers,
    widen,
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
    b: BackwardPieces,
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
            widen(b, n_rows, q, r)
            undo_triangle(b.D, n_rows + r + n_below, m, r, m, t, moves.turns)
            apply(b.D, n_rows, ZERO, m, U, ZERO, b.Y, ZERO)
            if q:
                apply(b.D, n_rows, m + e, q, diffuse.filtered[s], ONE, b.Y, ZERO)
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
            apply(b.D, n_rows + r + 1, m, r, Qr, ZERO, b.Y, m)
            gram(b.Y, n_rows + r, m, m + r, out.state_disturbance_cov[t])
            for j in range(r):
                out.state_disturbance[t, j] = b.Y[n_rows + r, m + j]
            if n_below > 1:
                W = scores.W[t if scores.W.shape[0] > 1 else 0]
                add_products(b.D, n_rows + r + 1, m, ZERO, m, U, W)
                if q:
                    add_products(b.D, n_rows + r + 1, m, m + e, q, diffuse.filtered[s], W)
            # Without the disturbance
            narrow(b, n_rows + r, q)
            triangularise(b.C, n_rows + r, ZERO, n_rows, ZERO, b.turns, b.w)
            for i in range(n_below):
                for j in range(n_rows):
                    b.C[n_rows + i, j] = b.C[n_rows + r + i, j]
            if n_below > 1:
                pull_scores(t, d, n_rows + 1, b)
        else:
            for i in range(n_rows + n_below):
                for j in range(n_rows):
                    b.C[i, j] = 1.0 if i == j else 0.0
            gram(Qr, r, ZERO, r, out.state_disturbance_cov[t])
            for j in range(r):
                out.state_disturbance[t, j] = 0.0
        # The state
        apply(b.C, n_rows + 1, ZERO, m, U, ZERO, b.X, ZERO)
        if q:
            apply(b.C, n_rows + 1, m, q, diffuse.filtered[s], ONE, b.X, ZERO)
        gram(b.X, n_rows, ZERO, m, out.cov[t])
        for k in range(out.roots.shape[1]):
            for j in range(m):
                out.roots[t, k, j] = b.X[k, j] if k < n_rows else 0.0
        for j in range(m):
            out.mean[t, j] = tables.af[t, j] + b.X[n_rows, j]
        f = rows.frame[t]
        q_before = undo_numbers(t, q, rows.design[f], tables, moves, s, diffuse, b)
        if n_below > 1:
            at, p = m + q_before + 1 + m, rows.design.shape[1]
            add_products(b.C, at, p, ZERO, m, moves.predicted[t], scores.Z[f])
            if q_before:
                add_products(b.C, at, p, m, q_before, diffuse.predicted[s], scores.Z[f])
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
    work = BackwardPieces(
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
