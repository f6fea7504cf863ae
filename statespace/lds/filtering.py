"""The filter in covariance form over one sequence: what is allocated, and which kernels run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.lds.diffuse_start import DiffuseTables, diffuse_steps
from statespace.lds.dynamics import Dynamics
from statespace.lds.frames import Frames
from statespace.lds.kalman import Rows, Tables, filter_steps
from statespace.lds.results import State
from statespace.lds.system import System
from statespace.protocols import Floats, Ints

_CHUNK = 32  # diffuse steps for which there is room at first


class Filtered(NamedTuple):
    """All that a filter found, of either form; n steps, m states, p features, G rows of the tables."""

    a: Floats
    """Predicted means, shape (n + 1, m)."""
    af: Floats
    """Filtered means, shape (n, m)."""
    v: Floats
    """Innovations of the transformed numbers, shape (n, p)."""
    steps: Floats
    """Log-likelihood of each step, shape (n,), in the convention of Durbin and Koopman."""
    place: Ints
    """The row of the tables that belongs to a step, shape (n + 1,)."""
    P: Floats
    """Predicted covariances, the finite part, shape (G, m, m)."""
    Pf: Floats
    """Filtered covariances, the finite part, shape (G, m, m)."""
    k: Floats
    """Gains of the numbers, shape (G, p, m)."""
    F: Floats
    """Variances of the innovations, shape (G, p); of a diffuse number what multiplies k."""
    kind: Ints
    """What became of each number, shape (G, p)."""
    loadings: list[Floats]
    """A of each diffuse step, predicted, (m, n_left)."""
    state: State
    """The law of the next state."""
    form: str
    """"covariance" or "square_root"."""
    steady_from: int | None
    """The first steady step."""
    lost: bool
    """Whether the covariance form has lost more digits than it should."""

    @property
    def tables(self) -> Tables:
        """The first fields, as the kernels take them."""
        return Tables(self.a, self.af, self.v, self.steps, self.place, self.P, self.Pf, self.k, self.F, self.kind)

    @property
    def n_diffuse_steps(self) -> int:
        """Steps until the data had determined every direction."""
        return len(self.loadings)

    @property
    def n_determined(self) -> int:
        """Numbers that determined a diffuse direction."""
        return int((self.kind[self.place[: self.n_diffuse_steps]] == 2).sum())


def last_step(found: Filtered) -> Filtered:
    """What the last step found, alone."""
    open_ = found.loadings[-1:] if found.n_diffuse_steps == len(found.af) else []
    return found._replace(
        a=found.a[-2:].copy(),
        af=found.af[-1:].copy(),
        v=found.v[-1:].copy(),
        steps=found.steps[-1:].copy(),
        place=found.place[-2:].copy(),
        loadings=open_,
    )


def initial_state(system: System) -> State:
    """The law of the first state."""
    return State(system.initial_state, system.initial_state_cov, system.diffuse_loadings)


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
    (n, p), m = frames.x.shape, system.n_states
    tables = tables_of(n, m, p, True, state)
    rows = rows_of(frames)
    work = np.empty((m + 4, m))
    A, E = _loadings(state)
    q, t, loadings = state.loadings.shape[1], 0, []
    room = _CHUNK
    while q and t < n:
        diffuse = DiffuseTables(np.empty((room, m, m)), np.empty(room, np.int64))
        _, done, q, _ = diffuse_steps(t, min(t + room, n), rows, dynamics, A, E, q, 1, tables, diffuse, work)
        loadings += [diffuse.loadings[s, : diffuse.n_left[s]].T.copy() for s in range(done - t)]
        t, room = done, 2 * room
    g, steady_from, lost, filled = t, n, False, t + 1
    if t < n:
        freezes = int(freeze and is_constant(system))
        _, g, steady_from, lost, filled = filter_steps(t, n, t, rows, dynamics, 1, freezes, tables, work)
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
    (n, p), m = frames.x.shape, system.n_states
    tables = tables_of(n, m, p, False, state)
    rows = rows_of(frames)
    work = np.empty((m + 4, m))
    total, t, q, determined, lost = 0.0, 0, state.loadings.shape[1], 0, False
    if q:
        A, E = _loadings(state)
        nothing = DiffuseTables(np.empty((1, m, m)), np.empty(1, np.int64))
        total, t, q, determined = diffuse_steps(0, n, rows, dynamics, A, E, q, 0, tables, nothing, work)
    if t < n:
        freezes = int(freeze and is_constant(system))
        added, _, _, lost, _ = filter_steps(t, n, t & 1, rows, dynamics, 0, freezes, tables, work)
        total += added
    return total + float(frames.apart.sum()), determined, lost


def _loadings(state: State) -> tuple[Floats, Floats]:
    m, q = state.loadings.shape
    A, E = np.zeros((m, m)), np.zeros((m, m))
    A[:q] = state.loadings.T
    return A, E
