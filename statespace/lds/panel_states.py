"""Gradients, and what filter and smoother find, of many sequences of one system that share their gains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.executors import map_pieces
from statespace.lds.dynamics import Dynamics
from statespace.lds.filtered import Filtered
from statespace.lds.filtering import filter_covariance
from statespace.lds.frames import Frames
from statespace.lds.gradient import ALL_MATRICES
from statespace.lds.kalman import DIFFUSE, SKIPPED
from statespace.lds.likelihood import gradient_of
from statespace.lds.panel import FEW, FLAGS, LARGE, LONG, PIECE, cut_frames, join_frames, normalisers_of, shared_by
from statespace.lds.results import Gradient, State
from statespace.lds.shared_gains import LANES, Sums
from statespace.lds.shared_gains_back import gradient_lanes, state_lanes
from statespace.lds.smoother import Backward
from statespace.lds.smoothing import is_lost, pass_backwards
from statespace.lds.system import System
from statespace.protocols import Floats, Ints


class _Group(NamedTuple):
    """Sequences of the same length that show the same entries."""

    members: Ints
    one: Frames
    """Frames of the first of them, none but those that it has."""


def _equal(frames: Frames, offsets: Ints) -> list[_Group]:
    groups: dict[tuple[int, bytes], list[int]] = {}
    lengths, alone = np.diff(offsets), len(frames.design) == 1
    bounds = offsets.tolist()
    for s, n in enumerate(lengths.tolist()):
        shown = b"" if alone else frames.frame[bounds[s] : bounds[s + 1]].tobytes()
        groups.setdefault((n, shown), []).append(s)
    made = []
    for members in groups.values():
        first = members[0]
        one = cut_frames(frames, bounds[first], bounds[first + 1])
        if not alone:
            used, frame = np.unique(one.frame, return_inverse=True)
            kept = {name: getattr(one, name)[used] for name in ("design", "variances", "n_seen", "seen", "transform")}
            one = one._replace(frame=frame.ravel(), at=one.at[used], **kept)
        made.append(_Group(np.array(members), one))
    return made


def _diffuse_tables(one: Frames, filtered: Filtered) -> tuple[Floats, Floats]:
    """K1 of the numbers of a diffuse start, and A A^T before each of its steps; see diffuse_smoother.py."""
    p, m = one.design.shape[1:]
    slow, open_cov = np.zeros((len(filtered.loadings), p, m)), np.zeros((len(filtered.loadings), m, m))
    for t, A in enumerate(filtered.loadings):
        open_cov[t] = A @ A.T
        f, g = one.frame[t], filtered.place[t]
        P = filtered.P[g].copy()
        for i in range(int(one.n_seen[f])):
            z, k, F, kind = one.design[f, i], filtered.k[g, i], filtered.F[g, i], filtered.kind[g, i]
            if kind == DIFFUSE:
                meets = P @ z
                F_0 = one.variances[f, i] + z @ meets
                slow[t, i] = (meets - k * F_0) / F
                P += np.outer(k, k) * F_0 - np.outer(k, meets) - np.outer(meets, k)
            elif kind != SKIPPED:
                P -= F * np.outer(k, k)
    return slow, open_cov


def panel_gradient(
    system: System,
    dynamics: Dynamics,
    frames: Frames,
    offsets: Ints,
    weights: Floats | None = None,
    *,
    full: bool = True,
    by_transition: bool = True,
    form: str = "auto",
    moments: bool = False,
    single: Callable[[Frames], Gradient] | None = None,
) -> Gradient:
    """The log-likelihood of sequences, each with its weight, and its gradient by a1 and P1 as if they were free.

    Parameters
    ----------
    system, dynamics
        That do not change with time.
    frames : Frames
        Those of all sequences end to end.
    offsets : (n_sequences + 1,)
    weights : (n_sequences,), optional
    full, by_transition
        As of `gradient_of`.
    form : {"auto", "covariance"}
        Whether to leave sequences whose covariances have lost digits to `single`.
    moments : bool
        Whether smoothed covariances are asked that too.
    single : callable, optional
        The gradient of one sequence that shares nothing; `gradient_of` without it.

    """

    def alone(one: Frames) -> Gradient:
        return gradient_of(system, dynamics, one, full=full, wanted=names)[0]

    names = ALL_MATRICES if by_transition else ALL_MATRICES - {"transition"}
    wanted = _Wanted(full, by_transition, form == "auto", moments)
    factors = np.ones(len(offsets) - 1) if weights is None else weights
    found, weight = [], []
    for group in _equal(frames, offsets):
        if len(group.members) >= FEW:
            together = _group_gradient(system, dynamics, frames.x, offsets, group, factors, wanted)
            if together is not None:
                found.append(together)
                weight.append(1.0)
                continue
        cut = [cut_frames(frames, int(offsets[s]), int(offsets[s + 1])) for s in group.members]
        found += map_pieces(single or alone, cut) if frames.x.size > LONG else list(map(single or alone, cut))
        weight += factors[group.members].tolist()
    return add_gradients(found, None if weights is None else weight)


def add_gradients(found: Sequence[Gradient], weights: Sequence[float] | None = None) -> Gradient:
    """The sum, each with its weight."""
    if len(found) == 1 and weights is None:
        return found[0]
    factors = [1.0] * len(found) if weights is None else weights
    sums: list[Any] = [
        None if values[0] is None else sum(w * value for w, value in zip(factors, values, strict=True))
        for values in zip(*found, strict=True)
    ]
    return Gradient(*sums)


class _Wanted(NamedTuple):
    """What is asked of a gradient; see `panel_gradient`."""

    full: bool
    by_transition: bool
    digits: bool
    moments: bool


def _group_gradient(
    system: System,
    dynamics: Dynamics,
    x: Floats,
    offsets: Ints,
    group: _Group,
    factors: Floats,
    wanted: _Wanted,
) -> Gradient | None:
    """The sum over a group; None where its covariances are better computed in another form."""
    one, n, p, m = group.one, len(group.one.x), system.n_features, system.n_states
    filtered = filter_covariance(system, dynamics, one)
    if wanted.digits and filtered.lost:
        return None
    derivatives, by_transition = 2 if wanted.full and p > 1 else 1, wanted.by_transition
    backward = pass_backwards(
        dynamics, one, filtered, derivatives=derivatives, by_transition=by_transition, moments=wanted.moments
    )
    if wanted.moments and wanted.digits and is_lost(filtered, backward):
        return None
    shared, F = shared_by(system, one, filtered), len(one.design)
    slow, open_cov = _diffuse_tables(one, filtered)
    starts, weights = offsets[group.members], factors[group.members]
    lengths = np.full(len(starts), n)

    def add(piece: slice) -> Sums:
        shapes = (F, p), (F, p, p), (F, p, m), (m,), (m, m), (m, m), (m,), (m, m), ()
        sums = Sums(*(np.zeros((*shape, LANES)) for shape in shapes))
        gradient_lanes(
            x.reshape(-1),
            starts[piece],
            lengths[piece],
            weights[piece],
            shared,
            dynamics,
            filtered.P,
            slow,
            open_cov,
            FLAGS[by_transition],
            sums,
        )
        return sums

    if x.size > LARGE:
        found = map_pieces(add, [slice(s, s + PIECE) for s in range(0, len(starts), PIECE)])
    else:
        found = [add(slice(None))]
    sums = Sums(*(np.asarray(sum(values)).sum(axis=-1) for values in zip(*found, strict=True)))
    weight = float(weights.sum())
    value = -0.5 * (weight * float(normalisers_of(shared)[n]) + float(sums.squares))
    if not np.isfinite(value):
        return None
    return _assembled(system, one, sums, backward, weight, value)


def _assembled(system: System, one: Frames, sums: Sums, backward: Backward, weight: float, value: float) -> Gradient:
    """The formulas of gradient.py, from sums over sequences and what these share."""
    design, cov = np.zeros(system.design.shape[1:]), np.zeros(system.obs_cov.shape[1:])
    intercept = np.zeros(system.n_features)
    for f, B in enumerate(one.transform):
        intercept += sums.u[f] @ B
        design += B.T @ (sums.um[f] - weight * backward.Z[f])
        cov += B.T @ (0.5 * (_mirrored(sums.uu[f]) - weight * backward.D[f])) @ B
    counts = np.bincount(backward.place[1:], minlength=len(backward.N)).astype(np.float64)
    used = np.flatnonzero(counts)
    N = np.tensordot(counts[used], backward.N[used], axes=1)
    G = 0.5 * (_mirrored(sums.rr) - weight * N)
    R, Q = system.selection[0], system.state_cov[0]
    return Gradient(
        design[None],
        intercept[None],
        0.5 * (cov + cov.T)[None],
        (sums.rm - weight * backward.W[0])[None],
        sums.r[None],
        (2.0 * G @ R @ Q)[None],
        (R.T @ G @ R)[None],
        sums.first,
        0.5 * (_mirrored(sums.first_squared) - weight * backward.N[backward.place[0]]),
        value,
    )


def _mirrored(lower: Floats) -> Floats:
    """A symmetric matrix of which the lower triangle was computed, and the rest is 0."""
    return lower + np.tril(lower, -1).T


def states_together(
    system: System, dynamics: Dynamics, frames: list[Frames], smooth: bool, form: str
) -> list[tuple[Filtered, Backward | None] | None]:
    """What the filter, and with `smooth` the smoother, find of sequences that share gains; None of the others.

    Covariances are shared by the results. `frames` are cut from those of all sequences end to end.
    """
    made: list[tuple[Filtered, Backward | None] | None] = [None] * len(frames)
    if len(frames) < FEW or form == "square_root":
        return made
    joined, offsets = join_frames(frames)
    for group in _equal(joined, offsets):
        if len(group.members) >= FEW:
            found = _group_states(system, dynamics, joined, offsets, group, smooth, form)
            for s, one in zip(group.members.tolist(), found, strict=False):
                made[s] = one
    return made


def _group_states(
    system: System, dynamics: Dynamics, frames: Frames, offsets: Ints, group: _Group, smooth: bool, form: str
) -> list[tuple[Filtered, Backward | None]]:
    one, S, (n, p), m = group.one, len(group.members), group.one.x.shape, system.n_states
    filtered = filter_covariance(system, dynamics, one)
    backward = None
    if form == "auto" and filtered.lost:
        return []
    if smooth:
        if filtered.n_determined < system.n_diffuse:
            return []
        backward = pass_backwards(dynamics, one, filtered, moments=True, errors=False)
        if form == "auto" and is_lost(filtered, backward):
            return []
    shared, means = shared_by(system, one, filtered), np.empty((S if smooth else 0, n, m))
    a, af, v, steps = np.empty((S, n + 1, m)), np.empty((S, n, m)), np.empty((S, n, p)), np.empty((S, n))
    slow, open_cov = _diffuse_tables(one, filtered)
    agrees = state_lanes(
        frames.x.reshape(-1),
        offsets[group.members],
        np.full(S, n),
        shared,
        dynamics,
        filtered.P,
        slow,
        open_cov,
        normalisers_of(shared),
        FLAGS[smooth],
        a,
        af,
        v,
        steps,
        means,
    )
    found: list[tuple[Filtered, Backward | None]] = []
    if not agrees:
        return found
    if frames.apart.size:
        for s, start in enumerate(offsets[group.members].tolist()):
            steps[s] += frames.apart[start : start + n]
    for s in range(S):
        state = State(a[s, n].copy(), filtered.state.cov, filtered.state.loadings)
        own = filtered._replace(a=a[s], af=af[s], v=v[s], steps=steps[s], state=state)
        found.append((own, None if backward is None else backward._replace(mean=means[s])))
    return found
