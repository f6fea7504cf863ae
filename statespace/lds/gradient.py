r"""The exact gradient of the log-likelihood by every matrix, from one filter and one backward pass.

With u and r of the backward pass, smoothed means a, D and N as in smoother.py, at each step

    dL/dd = u           dL/dZ = u a^T - (k - P N k)^T        dL/dH = 1/2 (u u^T - D)
    dL/dc = r           dL/dT = r a^T - N T P_f              G = 1/2 (r r^T - N)
    dL/dQ = R^T G R     dL/dR = 2 G R Q                      dL/da1 = r_0,   dL/dP1 = 1/2 (r_0 r_0^T - N_0)

where r and N lead out of the step, into the one after it. Those of d, Z and H are of the transformed numbers x = B y,
and go back with B: u -> B^T u, dL/dZ -> B^T dL/dZ, dL/dH -> B^T dL/dH B. In a diffuse start they are the limits.
Where P is large beside what the data leave of it, k - P N k and N T P_f lose digits as written; the square-root form
has them as products in which nothing cancels, see square_root_smoother.py.

Segal and Weinstein (1989); Koopman and Shephard (1992).
"""

from __future__ import annotations

import numpy as np

from statespace.lds.filtered import Filtered
from statespace.lds.frames import Frames, steps_of_frames
from statespace.lds.initialization import stationary_pullback
from statespace.lds.results import Gradient
from statespace.lds.smoother import Backward
from statespace.lds.system import MATRICES, System
from statespace.protocols import Array, Floats

ALL_MATRICES = frozenset(MATRICES)
_SMALL = 4096  # numbers: zeros of as many are no work


def gradient(
    system: System,
    frames: Frames,
    filtered: Filtered,
    backward: Backward,
    wanted: frozenset[str] = ALL_MATRICES,
) -> Gradient:
    """Derivatives of the log-likelihood of one sequence.

    `backward` has been made with `derivatives`; with 1, dL/dH is right on its diagonal only, and without
    `by_transition` dL/dT is not. Those in matrices that are not wanted are 0. Those of a1 and P1 do not yet go on to
    what a stationary start depends on.
    """
    n = len(frames.x)
    by_frame = steps_of_frames(frames)
    r, u, mean = backward.r[1:], backward.u, backward.mean
    found: dict[str, Floats] = {}
    if "obs_intercept" in wanted:
        found["obs_intercept"] = _obs_intercept(system, frames, by_frame, u)
    if "design" in wanted or "obs_cov" in wanted:
        found |= _design_and_obs_cov(system, frames, by_frame, backward, wanted)
    if "transition" in wanted:
        if len(system.transition) == 1:
            found["transition"] = (r.T @ mean)[None] - backward.W
        else:
            found["transition"] = r[:, :, None] * mean[:, None, :] - backward.W
    if "state_intercept" in wanted:
        found["state_intercept"] = r
    if "state_cov" in wanted or "selection" in wanted:
        if len(system.selection) == 1 and len(system.state_cov) == 1:
            counts = np.bincount(backward.place[1:], minlength=len(backward.N))
            used = np.flatnonzero(counts)
            together = used[-1] - used[0] + 1 == len(used)
            N = backward.N[used[0] : used[-1] + 1] if together else backward.N[used]
            total = np.dot(counts[used].astype(np.float64), N.reshape(len(used), -1)).reshape(N.shape[1:])
            G = 0.5 * (r.T @ r - total)[None]
        else:
            G = 0.5 * (r[:, :, None] * r[:, None, :] - backward.N[backward.place[1:]])
        R, Q = (A if len(A) == 1 else A[:n] for A in (system.selection, system.state_cov))
        if "state_cov" in wanted:
            found["state_cov"] = R.transpose(0, 2, 1) @ G @ R
        if "selection" in wanted:
            found["selection"] = 2.0 * G @ R @ Q
    if "initial_state" in wanted:
        found["initial_state"] = backward.r[0].copy()
    if "initial_state_cov" in wanted:
        r0 = backward.r[0]
        found["initial_state_cov"] = 0.5 * (r0[:, None] * r0 - backward.N[backward.place[0]])
    for name in ALL_MATRICES:
        given: Floats = getattr(system, name)
        if name not in found:
            found[name] = np.zeros(given.shape) if given.size < _SMALL else np.broadcast_to(0.0, given.shape)
        elif not name.startswith("initial"):
            found[name] = _as_given(found[name], given, n)
    return Gradient(**found, log_likelihood=float(filtered.steps.sum()))


def through_stationary_start(system: System, found: Gradient) -> Gradient:
    """The gradient with what a stationary start adds to it: a1 and P1 follow from the other matrices there."""
    rest = np.flatnonzero(system.stationary)
    if not rest.size:
        return found
    block = np.ix_(rest, rest)
    R, Q = system.selection[0], system.state_cov[0]
    added = stationary_pullback(
        system.transition[0][block],
        system.initial_state_cov[block],
        found.initial_state_cov[block],
        system.initial_state[rest],
        found.initial_state[rest],
    )
    d_transition, d_intercept = found.transition.copy(), found.state_intercept.copy()
    d_transition[0][block] += added.transition
    d_intercept[0, rest] += added.state_intercept
    S = np.zeros_like(found.initial_state_cov)
    S[block] = added.disturbance_cov
    return found._replace(
        transition=d_transition,
        state_intercept=d_intercept,
        selection=found.selection + 2.0 * S @ R @ Q,
        state_cov=found.state_cov + R.T @ S @ R,
    )


def _obs_intercept(system: System, frames: Frames, by_frame: list[Array | slice], u: Floats) -> Floats:
    n, p = u.shape
    if len(system.obs_intercept) == 1:
        return np.asarray(
            sum(u[steps].sum(axis=0) @ B for steps, B in zip(by_frame, frames.transform, strict=True))
        ).reshape(1, p)
    found = np.empty((n, p))
    for steps, B in zip(by_frame, frames.transform, strict=True):
        found[steps] = u[steps] @ B
    return found


def _design_and_obs_cov(
    system: System, frames: Frames, by_frame: list[Array | slice], backward: Backward, wanted: frozenset[str]
) -> dict[str, Floats]:
    u, mean, found = backward.u, backward.mean, {}
    if "design" in wanted:
        designs = np.empty_like(frames.design)
        for f, (steps, B) in enumerate(zip(by_frame, frames.transform, strict=True)):
            designs[f] = B.T @ (u[steps].T @ mean[steps] - backward.Z[f])
        found["design"] = designs if len(system.design) > 1 else designs.sum(axis=0)[None]
    if "obs_cov" in wanted:
        covs = np.empty_like(frames.transform)
        for f, (steps, B) in enumerate(zip(by_frame, frames.transform, strict=True)):
            covs[f] = B.T @ (0.5 * (u[steps].T @ u[steps] - backward.D[f])) @ B
        covs = 0.5 * (covs + covs.transpose(0, 2, 1))
        found["obs_cov"] = covs if len(system.obs_cov) > 1 else covs.sum(axis=0)[None]
    return found


def _as_given(found: Floats, matrix: Floats, n: int) -> Floats:
    """A sum over the steps where the matrix is constant; else a step an entry, and zeros beyond the data."""
    if len(matrix) == 1:
        return np.asarray(found if len(found) == 1 else found.sum(axis=0)[None])
    whole = np.zeros_like(matrix)
    whole[:n] = found
    return whole
