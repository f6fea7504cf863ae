"""The backward pass in covariance form over one sequence: what is allocated, and which kernels run."""

from __future__ import annotations

import numpy as np

from statespace.lds.diffuse_smoother import smooth_diffuse_steps
from statespace.lds.dynamics import Dynamics
from statespace.lds.filtered import Filtered
from statespace.lds.filtering import rows_of
from statespace.lds.frames import Frames
from statespace.lds.kalman_blocks import closes
from statespace.lds.one_state import is_of_one_state, pass_backwards_one_state
from statespace.lds.padded import is_full
from statespace.lds.smoother import Backward, smooth_steps
from statespace.lds.smoother_blocks import backward_work_of, smooth_blocks
from statespace.lds.steady import SMALL_STATES

LOST = 1e5  # roundings of what a smoothed variance was added up from, relative to roundings of itself


def pass_backwards(
    dynamics: Dynamics,
    frames: Frames,
    filtered: Filtered,
    *,
    moments: bool = False,
    derivatives: int = 0,
    by_transition: bool = False,
    errors: bool = True,
) -> Backward:
    """What the observations after each step say of it.

    Parameters
    ----------
    dynamics, frames, filtered
        The model, the observations, and what the filter found in them.
    moments : bool
        Whether smoothed covariances are wanted.
    derivatives : {0, 1, 2}
        Whether the sums Z and D are, of D only the diagonal with 1.
    by_transition : bool
        Whether the sum W is.
    errors : bool
        Whether u is.

    """
    n, m = filtered.af.shape
    p = frames.x.shape[1]
    if is_of_one_state(filtered):
        return pass_backwards_one_state(dynamics, frames, filtered)
    rows = rows_of(frames)
    tables = filtered.tables
    G, timed = n + 1, len(dynamics.value) > 1
    n_frames = len(frames.design)
    out = Backward(
        np.empty((n + 1, m)),
        np.zeros((n, p)),
        np.empty((n, m)),
        np.empty(n + 1, np.int64),
        np.empty((G, m, m)),
        np.empty((G, m, m) if moments else (1, m, m)),
        np.empty((G, m, m) if moments else (1, m, m)),
        np.zeros((n_frames, p, p)),
        np.zeros((n_frames, p, m)),
        np.zeros((n if timed and by_transition else 1, m, m)),
        np.zeros(m),
    )
    out.r[n] = 0.0
    out.N[n] = 0.0
    out.place[n] = n
    first = filtered.n_diffuse_steps
    flags = int(moments), derivatives, int(by_transition)
    if first < n:
        if m <= SMALL_STATES:
            smooth_steps(first, rows, dynamics, tables, n, *flags, int(errors), out)
        else:
            full = is_full(dynamics)
            steady = filtered.steady_from is not None and closes(dynamics, full)
            memory = backward_work_of(m, p, len(dynamics.entry), full, steady)
            smooth_blocks(first, int(full), rows, dynamics, tables, n, *flags, int(errors), out, memory)
    if first:
        loadings = np.zeros((first + 1, m, m))
        left = [*filtered.loadings, filtered.state.loadings if first == n else np.empty((m, 0))]
        for t, A in enumerate(left):
            loadings[t, : A.shape[1]] = A.T
        n_left = np.array([A.shape[1] for A in left], np.int64)
        smooth_diffuse_steps(first, rows, dynamics, tables, loadings, n_left, *flags, out)
    return out


def is_lost(filtered: Filtered, backward: Backward) -> bool:
    """Whether smoothed covariances are so small a rest of what they were taken from that too few digits are left."""
    used = backward.cov[int(backward.place[0]) : len(filtered.af)]
    largest = np.abs(np.diagonal(used, axis1=1, axis2=2)).max(axis=0)
    return filtered.lost or bool((backward.size > LOST * largest).any())
