"""The filter in covariance form over one sequence: what is allocated, and which kernels run."""

from __future__ import annotations

import numpy as np

from statespace.lds.diffuse_start import DiffuseTables, diffuse_steps
from statespace.lds.dynamics import Dynamics
from statespace.lds.few_states import FILTERS
from statespace.lds.filtered import Filtered, initial_state
from statespace.lds.frames import Frames
from statespace.lds.kalman import Rows, Tables
from statespace.lds.kalman_blocks import closes, filter_blocks, work_of
from statespace.lds.one_state import filter_one_state, is_one_state, likelihood_one_state
from statespace.lds.padded import is_full
from statespace.lds.results import State
from statespace.lds.system import System
from statespace.protocols import Floats

_CHUNK = 32  # diffuse steps for which there is room at first


def is_constant(system: System) -> bool:
    """Whether covariances can become steady: the transition and its noise do not change with time."""
    return len(system.transition) == 1 and len(system.selection) == 1 and len(system.state_cov) == 1


def rows_of(frames: Frames) -> Rows:
    """What the kernels read of frames."""
    return Rows(frames.x, frames.frame, frames.design, frames.variances, frames.n_seen)


def tables_of(n: int, m: int, p: int, keep: bool, state: State) -> Tables:
    """Room for what the kernels write down, and the first state in it; with `keep` of all steps, else of two."""
    long, short = (n + 1, n) if keep else (2, 1)
    made = Tables(
        np.empty((long, m)),
        np.empty((short, m)),
        np.zeros((short, p)),
        np.empty(short),
        np.empty(long, np.int64),
        np.empty((long, m, m)),
        np.empty((long, m, m)),
        np.empty((long, p, m)),
        np.empty((long, p)),
        np.empty((long, p), np.int64),
    )
    made.a[0] = state.mean
    made.P[0] = state.cov
    return made


def filter_covariance(
    system: System, dynamics: Dynamics, frames: Frames, start: State | None = None, *, freeze: bool = True
) -> Filtered:
    """Filter one sequence, and keep everything.

    Parameters
    ----------
    system, dynamics, frames
        The model, its dynamics, and the observations as frames.
    start : State, optional
        Where an earlier filter ended.
    freeze : bool
        Whether gains that have become steady are kept.

    """
    state = initial_state(system) if start is None else start
    if is_one_state(frames, state):
        return filter_one_state(dynamics, frames, state, freeze and is_constant(system))
    (n, p), m = frames.x.shape, system.n_states
    tables = tables_of(n, m, p, True, state)
    rows = rows_of(frames)
    work = np.empty((m + 4, m))
    A, E = _loadings(state)
    q, t, loadings, lost = state.loadings.shape[1], 0, [], False
    room = _CHUNK
    while q and t < n:
        diffuse = DiffuseTables(np.empty((room, m, m)), np.empty(room, np.int64))
        arguments = rows, dynamics, A, E, q, 1, tables, diffuse, work
        _, done, q, _, bad = diffuse_steps(t, min(t + room, n), *arguments)
        lost = lost or bad
        loadings += [diffuse.loadings[s, : diffuse.n_left[s]].T.copy() for s in range(done - t)]
        t, room = done, 2 * room
    g, steady_from, filled = t, n, t + 1
    if t < n:
        freezes = int(freeze and is_constant(system))
        _, g, steady_from, bad, filled = _ordinary(t, t, system, dynamics, rows, 1, freezes, tables)
        lost = lost or bad
    tables.place[n] = g
    if frames.apart.size:
        tables.steps[:] += frames.apart
    filled = max(filled, g + 1)
    return Filtered(
        tables.a,
        tables.af,
        tables.v,
        tables.steps,
        tables.place,
        tables.P[:filled],
        tables.Pf[:filled],
        tables.k[:filled],
        tables.F[:filled],
        tables.kind[:filled],
        loadings,
        State(tables.a[n].copy(), tables.P[g].copy(), A[:q].T.copy()),
        "covariance",
        steady_from if steady_from < n else None,
        lost,
    )


def likelihood_covariance(
    system: System, dynamics: Dynamics, frames: Frames, start: State | None = None, *, freeze: bool = True
) -> tuple[float, int, bool]:
    """Log-likelihood of one sequence, the numbers that determined a direction, and whether digits were lost.

    In memory that does not grow with the sequence.
    """
    state = initial_state(system) if start is None else start
    if is_one_state(frames, state):
        return *likelihood_one_state(dynamics, frames, state, freeze and is_constant(system)), False
    (n, p), m = frames.x.shape, system.n_states
    tables = tables_of(n, m, p, False, state)
    rows = rows_of(frames)
    work = np.empty((m + 4, m))
    total, t, q, determined, lost = 0.0, 0, state.loadings.shape[1], 0, False
    if q:
        A, E = _loadings(state)
        nothing = DiffuseTables(np.empty((1, m, m)), np.empty(1, np.int64))
        total, t, q, determined, lost = diffuse_steps(0, n, rows, dynamics, A, E, q, 0, tables, nothing, work)
    if t < n:
        freezes = int(freeze and is_constant(system))
        added, _, _, bad, _ = _ordinary(t, t & 1, system, dynamics, rows, 0, freezes, tables)
        total, lost = total + added, lost or bad
    return total + float(frames.apart.sum()), determined, lost


def _ordinary(
    first: int,
    g: int,
    system: System,
    dynamics: Dynamics,
    rows: Rows,
    keep: int,
    freeze: int,
    tables: Tables,
) -> tuple[float, int, int, bool, int]:
    """The steps after a diffuse start, by the kernel for so many states."""
    n, few = len(rows.x), FILTERS.get(system.n_states)
    if few is None:
        full = is_full(dynamics)
        memory = work_of(system.n_states, rows.design.shape[1], full, bool(freeze) and closes(dynamics, full))
        return filter_blocks(first, n, g, int(full), rows, dynamics, keep, freeze, tables, memory)
    csr = dynamics.row_start, dynamics.column, dynamics.value
    moves = system.transition, dynamics.intercept, dynamics.noise
    found: tuple[float, int, int, bool, int] = few(first, n, g, rows, csr, *moves, keep, freeze, tables)
    return found


def _loadings(state: State) -> tuple[Floats, Floats]:
    m, q = state.loadings.shape
    A, E = np.zeros((m, m)), np.zeros((m, m))
    A[:q] = state.loadings.T
    return A, E
