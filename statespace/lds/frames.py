r"""What the recursions see of the observations: rows whose noise is independent.

At each step the observed part of y_t = d_t + Z_t a_t + e_t is transformed so that its numbers can be taken one at a
time, each a scalar with noise of its own:

    x_t = B (y_t - d_t) = (B Z_t) a_t + B e_t,      B H_t B^T = diag(h),      B unit lower triangular

B is the inverse of the factor of H_t = L diag(h) L^T; a variance h_i may be zero. Steps with the same matrices and the
same entries observed share a frame. The density of x_t is that of y_t, since |B| = 1. Durbin and Koopman (2012),
section 6.4.

Where a step has more numbers than states and all of them have noise, what they say of the states is less numbers. With
diag(h)^{-1/2} B Z = Q R, Q orthonormal, these are

    x* = Q^T diag(h)^{-1/2} B (y - d) = R a_t + noise of variance 1,

and what is left, the part of diag(h)^{-1/2} B (y - d) that is orthogonal to Q, is noise alone: it goes into the
log-likelihood and no further. Jungbacker and Koopman (2008); Durbin and Koopman (2012), section 6.5.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from statespace.lds.system import System
from statespace.protocols import Array, Floats, Ints

_REDUNDANT = 1e-13  # of a variance: what is left of it by the observations before, below which it is rounding

_SHARED_BY = 50  # steps, on average, that a frame must have to be worth collapsing
_SAVED = 4  # numbers that collapsing must save, where covariances are computed at each step
_SAVED_MEANS = 4, 2.0  # numbers, beyond so many times those that are kept, where gains are steady
_REGULAR = 1e-4  # of the directions that are seen, scaled: the least to the largest, for Q R to hold their digits

_AGREES = 1e-8  # of the numbers that an implied observation is made of: how far it may be from what they imply


class Frames(NamedTuple):
    """Transformed observations, and the matrices that go with them."""

    x: Floats
    """Transformed observations, shape (n, n_features): the first n_seen[frame[t]] of row t, 0 beyond."""
    frame: Ints
    """Which frame each step has, shape (n,)."""
    design: Floats
    """B Z of each frame, shape (n_frames, n_features, n_states); rows beyond n_seen are 0."""
    variances: Floats
    """h of each frame, shape (n_frames, n_features)."""
    n_seen: Ints
    """How many numbers are observed in each frame, shape (n_frames,)."""
    seen: Array
    """Which features these are, shape (n_frames, n_features), bool."""
    transform: Floats
    """B of each frame from all features, shape (n_frames, n_features, n_features): columns of unseen ones are 0."""
    at: Ints
    """A step that has the frame, shape (n_frames,): which entry of matrices that change with time it stands for."""
    apart: Floats = np.empty(0)
    """Where steps are collapsed, what the rest of their numbers add to the log-likelihood of each, shape (n,); of them
    x, design, variances and n_seen are of the numbers x*, transform and seen as before. Else shape (0,)."""


def make_frames(system: System, values: Floats, obs_intercept: Floats | None = None) -> Frames:
    """Frames of one sequence.

    Parameters
    ----------
    system : System
    values : (n, n_features)
        Observations, NaN where missing.
    obs_intercept : (1 or n, n_features), optional
        In place of the system's.

    """
    n, p = values.shape
    d = (system.obs_intercept if obs_intercept is None else obs_intercept)[:n]
    total = np.add.reduce(values, axis=None)
    whole = bool(np.isfinite(total))
    seen = np.ones((1, p), dtype=bool) if whole else ~np.isnan(values)
    timed = max(len(system.design), len(system.obs_cov)) > 1
    if p == 1 and not timed:
        return _of_single_numbers(system, values, d, whole)
    if timed:
        frame, at = np.arange(n), np.arange(n)
        seen = np.ascontiguousarray(np.broadcast_to(seen, (n, p)))
    elif len(seen) == 1:
        frame, at = np.zeros(n, np.int64), np.zeros(1, np.int64)
    else:
        frame, at, seen = _patterns(seen)
    H, Z = system.obs_cov, system.design
    transform, variances = _transforms(H if len(H) == 1 else H[at], seen)
    design = _without_rounding(transform, Z if len(Z) == 1 else Z[at])
    centred = values - d if d.any() or not values.flags.behaved else values
    if not whole:
        centred = np.where(np.isnan(values), 0.0, centred)
    if len(transform) == 1:
        same = np.array_equal(transform[0], np.eye(p))
        x = centred if same else centred @ transform[0].T
    else:
        x = np.einsum("tij,tj->ti", transform[frame], centred) if timed else _by_frame(transform, frame, centred)
    _settle(x, frame, transform, design, variances, centred)
    n_seen = seen.sum(axis=1).astype(np.int64)
    return Frames(np.ascontiguousarray(x), frame, design, variances, n_seen, seen, transform, at)


def _of_single_numbers(system: System, values: Floats, d: Floats, whole: bool) -> Frames:
    """Where a step has one number, there is nothing to transform; it is there or not."""
    n = len(values)
    x = values if len(d) == 1 and d[0, 0] == 0.0 and values.flags.behaved else values - d
    missing = np.zeros(n, np.bool_) if whole else np.isnan(values[:, 0])
    unlike_first = missing != missing[0]
    other = int(unlike_first.argmax())
    at = np.array([0, other] if other else [0])
    seen = ~missing[at, None]
    there = seen[:, :, None]
    return Frames(
        np.where(missing[:, None], 0.0, x) if missing.any() else x,
        unlike_first.astype(np.int64),
        np.where(there, system.design, 0.0),
        np.where(seen, system.obs_cov[:, 0], 0.0),
        seen[:, 0].astype(np.int64),
        seen,
        there.astype(np.float64),
        at,
    )


def collapse(frames: Frames, *, steady: bool) -> Frames:
    """The frames with less numbers at each step, where there are more than states and it pays; else as they are.

    The states have the same law given either. Derivatives by design and noise, and disturbances of the observations,
    are made of all numbers: they want the frames as they are.

    Parameters
    ----------
    frames : Frames
    steady : bool
        Whether gains become steady where all steps have the same frame: then there is less to be saved.

    """
    n_frames = len(frames.design)
    if len(frames.x) < _SHARED_BY * n_frames or int(frames.n_seen.max()) <= _SAVED:
        return frames
    more, times = _SAVED_MEANS if steady and n_frames == 1 else (_SAVED, 1.0)
    found = [_collapsed(frames, f, more, times) for f in range(n_frames)]
    if not any(found):
        return frames
    n, m = len(frames.x), frames.design.shape[2]
    n_seen = np.array([len(one[1]) if one else q for one, q in zip(found, frames.n_seen.tolist(), strict=True)])
    p = max(int(n_seen.max()), 1)
    x, apart = np.zeros((n, p)), np.zeros(n)
    design, variances = np.zeros((len(found), p, m)), np.zeros((len(found), p))
    for f, (one, steps) in enumerate(zip(found, steps_of_frames(frames), strict=True)):
        q, r = int(frames.n_seen[f]), int(n_seen[f])
        if one is None:
            x[steps, :q], design[f, :q], variances[f, :q] = (
                frames.x[steps, :q],
                frames.design[f, :q],
                frames.variances[f, :q],
            )
            continue
        Q, R = one
        h = frames.variances[f, :q]
        scaled = frames.x[steps, :q] / np.sqrt(h)
        kept = scaled @ Q
        rest = scaled - kept @ Q.T
        x[steps, :r], design[f, :r], variances[f, :r] = kept, R, 1.0
        apart[steps] = -0.5 * (np.einsum("ti,ti->t", rest, rest) + np.log(h).sum() + (q - r) * math.log(2 * math.pi))
    return frames._replace(x=x, design=design, variances=variances, n_seen=n_seen.astype(np.int64), apart=apart)


def _collapsed(frames: Frames, f: int, more: int, times: float) -> tuple[Floats, Floats] | None:
    """Q (q, r) and R (r, m) of a frame of q numbers; None where it is as well left as it is."""
    q = int(frames.n_seen[f])
    h = frames.variances[f, :q]
    used = np.flatnonzero(frames.design[f, :q].any(axis=0))
    if not used.size or q < more + times * used.size or not (h > 0).all():
        return None
    Q, R = np.linalg.qr(frames.design[f, :q, used].T / np.sqrt(h)[:, None])
    values = np.linalg.svd(R / np.sqrt((R * R).sum(axis=0)), compute_uv=False)
    if not values[-1] > _REGULAR * values[0]:
        return None
    whole = np.zeros((used.size, frames.design.shape[2]))
    whole[:, used] = R
    return Q, whole


def _without_rounding(transform: Floats, Z: Floats) -> Floats:
    """B Z with entries of 0 where all that is left of a sum is its rounding: a row may see nothing new of the state."""
    design = np.asarray(transform @ Z)
    if len(transform) > 1 or np.count_nonzero(transform[0]) > len(transform[0]):
        design[np.abs(design) <= _REDUNDANT * (np.abs(transform) @ np.abs(Z))] = 0.0
    return np.ascontiguousarray(design)


def _settle(x: Floats, frame: Ints, transform: Floats, design: Floats, variances: Floats, centred: Floats) -> None:
    """Rows that see neither state nor noise are 0, where they are no more than the figures of the data are good for."""
    empty = (variances == 0) & ~design.any(axis=2) & (np.count_nonzero(transform, axis=2) > 1)
    if empty.any():
        size = np.einsum("tij,tj->ti", np.abs(transform[frame]), np.abs(centred))
        x[empty[frame] & (np.abs(x) <= _AGREES * size)] = 0.0


def steps_of_frames(frames: Frames) -> list[Array | slice]:
    """The steps of each frame."""
    F = len(frames.design)
    if F == 1:
        return [slice(None)]
    order = np.argsort(frames.frame, kind="stable")
    bounds = np.searchsorted(frames.frame[order], np.arange(F + 1))
    return [order[bounds[f] : bounds[f + 1]] for f in range(F)]


def _patterns(seen: Array) -> tuple[Ints, Ints, Array]:
    """The distinct rows of a mask in the order in which they come: the number of each row, a row of each, the rows."""
    packed = np.packbits(seen, axis=1)
    keys: Array = packed[:, 0]
    if packed.shape[1] > 1:
        keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    at = first[order].astype(np.int64)
    return rank[number.ravel()], at, seen[at]


def _by_frame(transform: Floats, frame: Ints, centred: Floats) -> Floats:
    x = np.empty_like(centred)
    for f, B in enumerate(transform):
        steps = np.flatnonzero(frame == f)
        x[steps] = centred[steps] @ B.T
    return x


def _transforms(H: Floats, seen: Array) -> tuple[Floats, Floats]:
    """B and h of each frame; H has one entry, or one a frame."""
    F, p = seen.shape
    transform, variances = np.zeros((F, p, p)), np.zeros((F, p))
    off_diagonal = bool((H * (1 - np.eye(p))).any())
    for f in range(F):
        rows = np.flatnonzero(seen[f])
        q = len(rows)
        block = H[f if len(H) > 1 else 0][np.ix_(rows, rows)]
        if off_diagonal and q > 1:
            B, h = decorrelate(block)
        else:
            B, h = np.eye(q), np.diagonal(block)
        transform[f][np.ix_(np.arange(q), rows)] = B
        variances[f, :q] = h
    return transform, variances


def decorrelate(block: Floats) -> tuple[Floats, Floats]:
    """B = L^{-1} and h of H = L diag(h) L^T; where nothing is left of a variance, h is 0 and its column of L empty."""
    q = len(block)
    L, h = np.eye(q), np.zeros(q)
    for j in range(q):
        left = block[j, j] - (L[j, :j] ** 2 * h[:j]).sum()
        if left <= _REDUNDANT * block[j, j]:
            continue
        h[j] = left
        L[j + 1 :, j] = (block[j + 1 :, j] - (L[j + 1 :, :j] * L[j, :j] * h[:j]).sum(axis=1)) / left
    B = np.eye(q)
    for i in range(q):
        B[i] -= L[i, :i] @ B[:i]
    return B, h
