"""The filter in square-root form over one sequence: what is allocated, and which kernels run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.lds.dynamics import Dynamics
from statespace.lds.filtered import Filtered, initial_state
from statespace.lds.filtering import rows_of
from statespace.lds.frames import Frames
from statespace.lds.kalman import Tables
from statespace.lds.results import State
from statespace.lds.square_root_arrays import EPS, ZERO, make_turns, semidefinite_roots, triangularise
from statespace.lds.square_root_steps import (
    DiffuseMoves,
    DiffuseNumbers,
    Factors,
    Moves,
    Numbers,
    drop_forgotten,
    filter_root_steps,
    follow_rounding,
)
from statespace.lds.system import System
from statespace.protocols import Floats

_CHUNK = 32  # diffuse steps for which there is room at first


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
    system: System,
    dynamics: Dynamics,
    frames: Frames,
    start: State | None = None,
    *,
    keep: bool,
    predicted: bool = False,
) -> SquareRootPass:
    """The filter in square-root form. Arguments as of `filter_square_root`.

    keep : whether what a smoother undoes is kept; predicted : whether the rows before each step are, too.
    """
    state = initial_state(system) if start is None else start
    (n, p), m = frames.x.shape, system.n_states
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
    s = Factors(
        np.zeros((m + e, m)),
        np.zeros((q, m + q)),
        np.zeros((q, q)),
        np.zeros((3, m, m)),
        np.array([q, 0, 0]),
        np.zeros((4, m + max(e, m) + q)),
    )
    s.U[:m] = semidefinite_rows(np.ascontiguousarray(state.cov[None]))[0]
    s.A[:, :m], s.A[:, m:] = state.loadings.T, np.eye(q)
    _, noise = noise_roots(system)
    if (frames.variances[np.arange(p) < frames.n_seen[:, None]] == 0).any():
        follow_rounding(s, tables.a[0])
    if q:
        s.rounding[1] = np.diag(EPS * EPS * (state.loadings**2).sum(axis=1))
        drop_forgotten(s)
    kept, numbers = (n, n * p) if keep else (0, 1)
    moves = Moves(
        np.empty((kept, m, m)),
        np.empty((kept if predicted else 0, m, m)),
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
        done = filter_root_steps(t, t + room if room else n, rows, dynamics, noise, s, tables, moves, block)
        if room:
            blocks.append(block._replace(n_left=block.n_left[: done - t]))
        t, room = done, 2 * room
    if frames.apart.size:
        tables.steps[:] += frames.apart
    left = int(s.counts[0])
    loadings = [A[:k].T.copy() for block in blocks for A, (k, _) in zip(block.predicted, block.n_left, strict=False)]
    end = State(tables.a[n].copy(), tables.P[n].copy(), s.A[:left, :m].T.copy())
    undetermined = np.concatenate([s.A[:left, m:], s.lost[: int(s.counts[1])]])
    return SquareRootPass(Filtered(*tables, loadings, end, "square_root", None, False), moves, blocks, undetermined)
