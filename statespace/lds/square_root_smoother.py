r"""The smoother in square-root form, in the manner of Rauch, Tung and Striebel: covariances are only ever added.

Given y_1..y_t the rows

    [ U_f T^T            U_f    0       ]
    [ Q^{1/2} R^T        0      Q^{1/2} ]        and, with k -> infinity,        [ A_f T^T   A_f   0 ]

are a factor of the joint law of (a_{t+1}, a_t, n_t). Conditioned on a_{t+1}, one component after the other as if it
were observed without noise, the likeliest to be known last, the rows that remain are a factor W, and the gains make
the regression J of (a_t, n_t) on a_{t+1}. Then, with V = X^T X for Cov(a_{t+1} | all),

    E(a_t | all) = a_f + J (E(a_{t+1} | all) - a_{t+1|t}),   Cov(a_t, n_t | all) = W^T W + (X J^T)^T (X J^T)
    Cov(a_{t+1}, a_t | all) = X^T (X J^T)

A component with nothing left of its variance but rounding is implied by the others and is left out of the regression,
so that singular T, Q and P_f need no special case. A diffuse start is the same with rows that k multiplies.

Directions of the start of which the data say nothing are independent of the data: they are taken out of the start, and
what they add to the states is added as an infinite variance.

Rauch, Tung and Striebel (1965); Park and Kailath (1995) for arrays of this kind; the diffuse start is derived here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics
from statespace.lds.filtering import Filtered, initial_state
from statespace.lds.frames import Frames
from statespace.lds.results import State
from statespace.lds.square_root_arrays import (
    EPS,
    SURE,
    clear_rounding,
    column_squares,
    gather,
    gram,
    move_rounding,
    move_rows,
    move_sizes,
    triangularise,
)
from statespace.lds.square_root_filter import noise_roots, pass_square_root
from statespace.lds.system import System
from statespace.protocols import Floats, Ints


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


class _Work(NamedTuple):
    """Arrays of one step of the smoother; columns are a_{t+1}, a_t, n_t."""

    finite: Floats
    """(m + r, 2 m + r)."""
    diffuse: Floats
    """(q, 2 m + r)."""
    gains: Floats
    """What each component that was taken says of all columns, (m, 2 m + r)."""
    regression: Floats
    """J^T, (m, m + r)."""
    X: Floats
    """Rows of the factor of Cov(a_{t+1} | all), (2 m + r, m): the first m, and room."""
    XJ: Floats
    """X J^T, (m, m + r)."""
    vectors: Floats
    """(4, 2 m + r + q)."""
    taken: Ints
    """Which component was taken when, then whether each was, (2, m)."""


@kernel
def _take_components(n_rows: int, q: int, sizes: Floats, b: _Work) -> tuple[int, int]:
    """Condition the rows on a_{t+1}; returns how many components were taken, and the first row of W.

    sizes : (2, m), what the columns of the diffuse and of the finite rows were sums of; the second is changed.
    """
    m, width = b.X.shape[1], b.finite.shape[1]
    u, w = b.vectors[0], b.vectors[1]
    for i in range(m):
        b.taken[1, i] = 0
    n_taken, first = 0, 0
    for c in range(q):
        pivot, best = -1, 0.0
        for i in range(m):
            if not b.taken[1, i] and sizes[0, i] > 0.0:
                square = 0.0
                for k in range(c, q):
                    part = b.diffuse[k, i] / sizes[0, i]
                    square += part * part
                if square > best:
                    pivot, best = i, square
        if pivot < 0:
            break
        for k in range(c, q):
            u[k] = b.diffuse[k, pivot]
        met = gather(b.diffuse, c, q, 0, width, u, w)
        for k in range(c + 1, q):
            b.diffuse[k, pivot] = 0.0
        gain = b.gains[c]
        for j in range(width):
            gain[j] = b.diffuse[c, j] / met
        square = 0.0
        for k in range(n_rows):
            row = b.finite[k]
            factor = row[pivot]
            square += factor * factor
            if factor != 0.0:
                for j in range(width):
                    row[j] -= factor * gain[j]
                row[pivot] = 0.0
        for j in range(m):
            sizes[1, j] += np.sqrt(square) * abs(gain[j])
        b.taken[0, c] = pivot
        b.taken[1, pivot] = 1
        n_taken += 1
    for c in range(n_taken, m):
        pivot, best = -1, (SURE * EPS) ** 2
        for i in range(m):
            if not b.taken[1, i] and sizes[1, i] > 0.0:
                square = 0.0
                for k in range(first, n_rows):
                    square += b.finite[k, i] * b.finite[k, i]
                square /= sizes[1, i] * sizes[1, i]
                if square > best:
                    pivot, best = i, square
        if pivot < 0:
            return c, first
        for k in range(first, n_rows):
            u[k] = b.finite[k, pivot]
        met = gather(b.finite, first, n_rows, 0, width, u, w)
        for k in range(first + 1, n_rows):
            b.finite[k, pivot] = 0.0
        for j in range(width):
            b.gains[c, j] = b.finite[first, j] / met
        b.taken[0, c] = pivot
        b.taken[1, pivot] = 1
        first += 1
    return m, first


@kernel
def _regress(n_taken: int, b: _Work) -> None:
    """J^T from the gains of one component after the other."""
    m, width = b.X.shape[1], b.finite.shape[1]
    for i in range(m):
        for j in range(width - m):
            b.regression[i, j] = 0.0
    for c in range(n_taken - 1, -1, -1):
        gain = b.gains[c]
        row = b.regression[b.taken[0, c]]
        for j in range(width - m):
            row[j] = gain[m + j]
        for later in range(c + 1, n_taken):
            factor = gain[b.taken[0, later]]
            if factor != 0.0:
                other = b.regression[b.taken[0, later]]
                for j in range(width - m):
                    row[j] -= factor * other[j]


@kernel
def _smooth_steps(
    n: int,
    d: Dynamics,
    Q_roots: Floats,
    noise: Floats,
    k: Floats,
    v: Floats,
    af: Floats,
    roots: Floats,
    loadings: Floats,
    n_left: Ints,
    b: _Work,
    mean: Floats,
    cov: Floats,
    lag_one: Floats,
    disturbance: Floats,
    disturbance_cov: Floats,
) -> None:
    """Steps n - 2, ..., 0; b.X holds the factor of the last filtered covariance.

    loadings : (n_diffuse, q, m), filtered, of which n_left rows are there.
    """
    m, p, r = b.X.shape[1], k.shape[1], noise.shape[1]
    squares, ahead = b.vectors[2], b.vectors[3]
    sizes = np.zeros((2, m))
    for j in range(m):
        ahead[j] = 0.0
        for i in range(p):
            ahead[j] += k[n - 1, i, j] * v[n - 1, i]
    for t in range(n - 2, -1, -1):
        Qr, G = Q_roots[t if Q_roots.shape[0] > 1 else 0], noise[t if noise.shape[0] > 1 else 0]
        q = n_left[t] if t < n_left.shape[0] else 0
        # The joint factor
        for i in range(m):
            row = b.finite[i]
            for j in range(m):
                row[j] = roots[t, i, j]
                row[m + j] = row[j]
            for j in range(r):
                row[2 * m + j] = 0.0
        column_squares(b.finite, 0, m, m, squares)
        move_sizes(t, d, squares[:m], sizes[1])
        move_rows(t, d, b.finite, m, b.vectors[1])
        for i in range(r):
            row = b.finite[m + i]
            for j in range(m):
                row[j] = G[i, j]
                row[m + j] = 0.0
            for j in range(r):
                row[2 * m + j] = Qr[i, j]
        column_squares(b.finite, m, m + r, m, squares)
        for j in range(m):
            sizes[1, j] += np.sqrt(squares[j])
        if q:
            for i in range(q):
                row = b.diffuse[i]
                for j in range(m):
                    row[j] = loadings[t, i, j]
                    row[m + j] = row[j]
                for j in range(r):
                    row[2 * m + j] = 0.0
            column_squares(b.diffuse, 0, q, m, squares)
            move_sizes(t, d, squares[:m], sizes[0])
            move_rows(t, d, b.diffuse, q, b.vectors[1])
        n_taken, first = _take_components(m + r, q, sizes, b)
        _regress(n_taken, b)
        # Means
        for j in range(m):
            mean[t, j] = 0.0
        for j in range(r):
            disturbance[t, j] = 0.0
        for i in range(m):
            row = b.regression[i]
            for j in range(m):
                mean[t, j] += ahead[i] * row[j]
            for j in range(r):
                disturbance[t, j] += ahead[i] * row[m + j]
        for j in range(m):
            ahead[j] = mean[t, j]
            for i in range(p):
                ahead[j] += k[t, i, j] * v[t, i]
            mean[t, j] += af[t, j]
        # Covariances
        for i in range(m):
            row = b.XJ[i]
            for j in range(m + r):
                row[j] = 0.0
            for h in range(m):
                factor = b.X[i, h]
                if factor != 0.0:
                    other = b.regression[h]
                    for j in range(m + r):
                        row[j] += factor * other[j]
        for i in range(m):
            out = lag_one[t, i]
            for j in range(m):
                out[j] = 0.0
            for h in range(m):
                factor = b.X[h, i]
                if factor != 0.0:
                    for j in range(m):
                        out[j] += factor * b.XJ[h, j]
        rows = m + r - first
        for i in range(rows):
            for j in range(m):
                b.X[i, j] = b.finite[first + i, m + j]
        for i in range(m):
            for j in range(m):
                b.X[rows + i, j] = b.XJ[i, j]
        triangularise(b.X, rows + m, m, b.vectors[0], b.vectors[1])
        gram(b.X, m, 0, m, cov[t])
        for i in range(r):
            for j in range(i + 1):
                total = 0.0
                for h in range(rows):
                    total += b.finite[first + h, 2 * m + i] * b.finite[first + h, 2 * m + j]
                for h in range(m):
                    total += b.XJ[h, m + i] * b.XJ[h, m + j]
                disturbance_cov[t, i, j] = total
                disturbance_cov[t, j, i] = total


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
    passed = pass_square_root(system, dynamics, frames, begun, keep_roots=True)
    filtered = passed.filtered
    free = passed.undetermined
    if len(free):
        rest = np.linalg.qr(free.T, mode="complete")[0][:, len(free) :]
        determined = State(begun.mean, begun.cov, np.ascontiguousarray(begun.loadings @ rest))
        passed = pass_square_root(system, dynamics, frames, determined, keep_roots=True)
    n, m = filtered.af.shape
    r, q = system.n_disturbances, passed.filtered.loadings[0].shape[1] if passed.filtered.loadings else 0
    Q_roots, noise = noise_roots(system)
    loadings = np.zeros((len(passed.loadings), q, m))
    for t, left in enumerate(passed.loadings):
        loadings[t, : len(left)] = left
    n_left = np.array([len(left) for left in passed.loadings], np.int64)
    work = _Work(
        np.empty((m + r, 2 * m + r)),
        np.empty((q, 2 * m + r)),
        np.empty((m, 2 * m + r)),
        np.empty((m, m + r)),
        np.empty((2 * m + r, m)),
        np.empty((m, m + r)),
        np.empty((4, 2 * m + r + q)),
        np.empty((2, m), np.int64),
    )
    smoothed = Smoothed(
        np.empty((n, m)), np.empty((n, m, m)), np.empty((max(n - 1, 0), m, m)), np.empty((n, r)), np.empty((n, r, r))
    )
    if n:
        work.X[:m] = passed.roots[n - 1]
        smoothed.mean[n - 1] = passed.filtered.af[n - 1]
        smoothed.cov[n - 1] = passed.filtered.Pf[n - 1]
        smoothed.state_disturbance[n - 1] = 0.0
        smoothed.state_disturbance_cov[n - 1] = system.state_cov[n - 1 if len(system.state_cov) > 1 else 0]
        made = passed.filtered
        _smooth_steps(
            n, dynamics, Q_roots, noise, made.k, made.v, made.af, passed.roots, loadings, n_left, work, *smoothed
        )
    if len(free):
        _add_undetermined(dynamics, begun.loadings, free, smoothed)
    return smoothed, filtered


def _add_undetermined(dynamics: Dynamics, start: Floats, free: Floats, smoothed: Smoothed) -> None:
    """Infinite entries of the covariances where the directions `free` of the start move the states."""
    n, m = smoothed.mean.shape
    B = np.ascontiguousarray((start @ free.T).T)
    rounding = np.diag(EPS * EPS * (start**2).sum(axis=1))
    work, squares, sizes = np.empty((m, m)), np.empty(m), np.empty(m)
    before = B
    for t in range(n):
        column_squares(B, 0, len(B), m, squares)
        clear_rounding(B, len(B), rounding, squares)
        _raise_to_infinity(smoothed.cov[t], B, B)
        if t:
            _raise_to_infinity(smoothed.lag_one_cov[t - 1], B, before)
        before = B.copy()
        move_sizes(t, dynamics, squares, sizes)
        move_rounding(t, dynamics, rounding, work)
        rounding[np.diag_indices(m)] += EPS * EPS * sizes * sizes
        move_rows(t, dynamics, B, len(B), work[0])


def _raise_to_infinity(cov: Floats, left: Floats, right: Floats) -> None:
    product, size = left.T @ right, np.abs(left).T @ np.abs(right)
    moved = np.abs(product) > SURE * EPS * size
    cov[moved] = np.copysign(np.inf, product[moved])
