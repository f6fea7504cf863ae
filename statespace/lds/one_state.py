"""One state and one observed number: what is allocated, and what of the scalar recursions goes where."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.scratch import Scratch
from statespace.lds.dynamics import Dynamics
from statespace.lds.filtered import Filtered
from statespace.lds.frames import Frames
from statespace.lds.kalman import DIFFUSE
from statespace.lds.one_state_steps import filter_one, smooth_one
from statespace.lds.results import Gradient, State
from statespace.lds.smoother import Backward
from statespace.lds.system import System
from statespace.protocols import Floats, Ints

_scratch = Scratch()
_NONE: Floats = np.zeros(1)
_NO_KINDS: Ints = np.zeros(1, np.int64)


class SmoothedState(NamedTuple):
    """What all the data say of the state."""

    mean: Floats
    """Shape (n, 1)."""
    cov: Floats
    """Shape (n, 1, 1)."""
    lag_one_cov: Floats
    """Cov(a_{t+1}, a_t | all), shape (n - 1, 1, 1)."""
    log_likelihood: float
    """In nats."""


def is_one_state(frames: Frames, state: State) -> bool:
    """Whether the scalar recursions serve: one state, one number, and nothing unknown beyond the first step."""
    if frames.design.shape[1:] != (1, 1):
        return False
    if not state.loadings.shape[1]:
        return True
    f = int(frames.frame[0]) if len(frames.frame) else 0
    return bool(len(frames.frame) and frames.n_seen[f] and frames.design[f, 0, 0] != 0 and state.loadings[0, 0] != 0)


def is_of_one_state(filtered: Filtered) -> bool:
    """Whether `pass_backwards_one_state` can go back over what a filter found: each step has a row of its own."""
    n = len(filtered.af)
    shapes = filtered.k.shape[1:] == (1, 1) and filtered.form == "covariance" and filtered.place[n] == n
    first = filtered.n_diffuse_steps
    return bool(shapes and (first == 0 or (first == 1 and filtered.kind[0, 0] == DIFFUSE)))


def likelihood_one_state(dynamics: Dynamics, frames: Frames, state: State, freeze: bool) -> tuple[float, int]:
    """Log-likelihood of one sequence, and how many numbers determined a direction."""
    law = np.array([state.mean[0], state.cov[0, 0]])
    total, _ = _forth(dynamics, frames, state, freeze, 0, law, *[_NONE] * 7, _NO_KINDS, _NONE)
    return total + float(frames.apart.sum()), state.loadings.shape[1]


def filter_one_state(dynamics: Dynamics, frames: Frames, state: State, freeze: bool) -> Filtered:
    """Filter one sequence, and keep everything."""
    n = len(frames.x)
    a, P = np.empty(n + 1), np.empty(n + 1)
    v, af, Pf, k, F, steps = (np.empty(n) for _ in range(6))
    kind = np.empty(n, np.int64)
    law = np.array([state.mean[0], state.cov[0, 0]])
    _, steady_from = _forth(dynamics, frames, state, freeze, 2, law, a, P, v, af, Pf, k, F, kind, steps)
    a[n], P[n] = law
    if frames.apart.size:
        steps += frames.apart
    return Filtered(
        a[:, None],
        af[:, None],
        v[:, None],
        steps,
        np.arange(n + 1),
        P[:, None, None],
        Pf[:, None, None],
        k[:, None, None],
        F[:, None],
        kind[:, None],
        [state.loadings.copy()] if state.loadings.shape[1] else [],
        State(law[:1].copy(), law[1:, None].copy(), np.empty((1, 0))),
        "covariance",
        steady_from if steady_from < n else None,
        False,
    )


def smooth_one_state(dynamics: Dynamics, frames: Frames, state: State, freeze: bool) -> SmoothedState:
    """Smoothed means and covariances, without what disturbances and derivatives need."""
    n, n_frames = len(frames.x), len(frames.design)
    mean, cov, lag = np.empty(n), np.empty(n), np.empty(max(n - 1, 0))
    a, P, v = (_scratch.empty(name, n) for name in "aPv")
    law = np.array([state.mean[0], state.cov[0, 0]])
    total, _ = _forth(dynamics, frames, state, freeze, 1, law, a, P, v, *[_NONE] * 4, _NO_KINDS, _NONE)
    sums = np.zeros((3, max(n_frames, 10)))
    _back(
        dynamics,
        frames,
        state.loadings.shape[1],
        a,
        P,
        v,
        1,
        0,
        mean,
        cov,
        lag,
        *[_NONE] * 3,
        *sums[:2],
        _NONE.copy(),
        sums[2],
    )
    return SmoothedState(mean[:, None], cov[:, None, None], lag[:, None, None], total + float(frames.apart.sum()))


def pass_backwards_one_state(dynamics: Dynamics, frames: Frames, filtered: Filtered) -> Backward:
    """All of the backward pass."""
    n, n_frames = len(frames.x), len(frames.design)
    mean, u = np.empty(n), np.empty(n)
    cov, lag, r, N = (np.zeros(n + 1) for _ in range(4))
    D, Z, W = np.zeros(n_frames), np.zeros(n_frames), np.zeros(len(dynamics.value))
    a, P, v = filtered.a.reshape(-1), filtered.P.reshape(-1), filtered.v.reshape(-1)
    _back(dynamics, frames, filtered.n_diffuse_steps, a, P, v, 1, 1, mean, cov, lag, r, u, N, D, Z, W, np.empty(10))
    return Backward(
        r[:, None],
        u[:, None],
        mean[:, None],
        np.arange(n + 1),
        N[:, None, None],
        cov[:, None, None],
        lag[:, None, None],
        D[:, None, None],
        Z[:, None, None],
        W[:, None, None],
        np.zeros(1),
    )


def gradient_one_state(system: System, dynamics: Dynamics, frames: Frames, state: State) -> Gradient:
    """The gradient of one sequence by matrices that do not change with time, without a table of the steps."""
    n, n_frames = len(frames.x), len(frames.design)
    a, P, v = (_scratch.empty(name, n) for name in "aPv")
    law = np.array([state.mean[0], state.cov[0, 0]])
    total, _ = _forth(dynamics, frames, state, True, 1, law, a, P, v, *[_NONE] * 4, _NO_KINDS, _NONE)
    D, Z, W, sums = np.zeros(n_frames), np.zeros(n_frames), np.zeros(1), np.empty(10)
    _back(dynamics, frames, state.loadings.shape[1], a, P, v, 0, 0, *[_NONE] * 6, D, Z, W, sums)
    u, ua, uu, r, ra, rr, N, r_first, N_first, _ = sums.tolist()
    R, Q = system.selection, system.state_cov
    by_noise = 0.5 * (rr - N)

    def shaped(number: float, n_axes: int) -> Floats:
        return np.array(number, ndmin=n_axes)

    return Gradient(
        shaped(ua - float(Z.sum()), 3),
        shaped(u, 2),
        shaped(0.5 * (uu - float(D.sum())), 3),
        shaped(ra - float(W[0]), 3),
        shaped(r, 2),
        2.0 * by_noise * R @ Q,
        by_noise * R.transpose(0, 2, 1) @ R,
        shaped(r_first, 1),
        shaped(0.5 * (r_first * r_first - N_first), 2),
        total,
    )


def _forth(dynamics: Dynamics, frames: Frames, state: State, freeze: bool, keep: int, *out: Any) -> tuple[float, int]:
    loading = float(state.loadings[0, 0]) if state.loadings.shape[1] else 0.0
    return filter_one(
        loading,
        frames.x,
        frames.frame,
        frames.design,
        frames.variances,
        frames.n_seen,
        *_moves(dynamics),
        int(freeze),
        keep,
        *out,
    )


def _back(dynamics: Dynamics, frames: Frames, diffuse: int, *rest: Any) -> None:
    smooth_one(
        diffuse, frames.frame, frames.design, frames.variances, frames.n_seen, *_moves(dynamics), *rest
    )  # fmt: skip


def _moves(dynamics: Dynamics) -> tuple[Floats, Floats, Floats]:
    """T, c and V, each (1 or n,)."""
    T = dynamics.value
    if not T.shape[1]:
        T = np.zeros(len(T))
    return T.reshape(-1), dynamics.intercept.reshape(-1), dynamics.noise.reshape(-1)
