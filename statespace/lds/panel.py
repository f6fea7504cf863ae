"""Many sequences of one system: gains are computed once for all that show the same entries, means for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from statespace.foundations.executors import map_pieces
from statespace.lds.dynamics import Dynamics, make_dynamics
from statespace.lds.filtered import Filtered, initial_state
from statespace.lds.filtering import filter_covariance, is_constant, rows_of, tables_of
from statespace.lds.frames import Frames, make_frames
from statespace.lds.gradient import ALL_MATRICES
from statespace.lds.kalman import DIFFUSE, SKIPPED, Tables
from statespace.lds.likelihood import HALF_LOG_2PI, gradient_of, log_likelihoods
from statespace.lds.one_by_one import begin_each, score_numbers
from statespace.lds.results import Gradient, State
from statespace.lds.shared_gains import (
    LANES,
    Shared,
    Sums,
    gradient_lanes,
    log_normalisers,
    score_lanes,
    score_single,
    state_lanes,
)
from statespace.lds.smoother import Backward
from statespace.lds.smoothing import is_lost, pass_backwards
from statespace.lds.system import System
from statespace.protocols import Floats, Ints

_PIECE = 256  # sequences a piece of work
_FEW_STATES = 8  # up to which covariances of many sequences side by side are in the cache
_ROW = cast(int, np.int64(LANES))
_LARGE = 1_000_000  # numbers from which on pieces are shared out
_LONG = 20_000  # numbers from which on a sequence that shares nothing is worth a thread
_FEW = 4  # sequences from which on what is shared pays for being set up
_FLAGS = cast(int, np.int64(0)), cast(int, np.int64(1))  # no literals, for which kernels would be compiled once more


def cut_frames(frames: Frames, first: int, last: int) -> Frames:
    """Some steps."""
    apart = frames.apart[first:last]
    return frames._replace(x=frames.x[first:last], frame=frames.frame[first:last], apart=apart)


def join_frames(frames: list[Frames]) -> tuple[Frames, Ints]:
    """Those of all steps again, of which `frames` were cut, and where each sequence begins."""
    offsets = np.concatenate([[0], np.cumsum([len(one.x) for one in frames])]).astype(np.int64)
    x, frame = np.concatenate([one.x for one in frames]), np.concatenate([one.frame for one in frames])
    return frames[0]._replace(x=x, frame=frame, apart=np.concatenate([one.apart for one in frames])), offsets


# ------------------------------------------------------------------------------------------------------- likelihood


def whole_log_likelihoods(system: System, values: Floats, offsets: Ints, convention: str, form: str) -> Floats | None:
    """Log-likelihood of each sequence of a system that does not change with time, where nothing is missing.

    The numbers are read once, where they lie. None where something is missing or infinite, or where gains cannot be
    shared: a sum that is not finite has found that out.

    Parameters
    ----------
    system : System
    values : (n_samples, n_features)
        Sequence s is values[offsets[s]:offsets[s + 1]].
    offsets : (n_sequences + 1,)
    convention, form
        As of `log_likelihood`.

    """
    starts, lengths = offsets[:-1], np.diff(offsets)
    longest = int(lengths.argmax())
    order = None
    if lengths[longest] > lengths.min():
        order = np.argsort(-lengths, kind="stable")
        starts, lengths, longest = starts[order], lengths[order], int(order[0])
    first, p = values[offsets[longest] : offsets[longest + 1]], system.n_features
    if not np.isfinite(np.add.reduce(first, axis=None)):
        return None
    one = make_frames(system, first)
    if p > 1 and (one.variances == 0).any():  # a number may be implied by others of its step: see frames.py
        return None
    dynamics = make_dynamics(system)
    filtered = filter_covariance(system, dynamics, one)
    if form == "auto" and filtered.lost:
        return None
    shared = _shared(system, one, filtered)._replace(transform=one.transform, centre=system.obs_intercept[0])
    found = _totals_of_group(values, starts, lengths, shared, dynamics, convention)
    if not np.isfinite(found.sum()):
        return None
    if order is not None:
        found[order] = found.copy()
    return found


def panel_log_likelihoods(
    system: System, dynamics: Dynamics, frames: Frames, offsets: Ints, convention: str, form: str
) -> Floats:
    """Log-likelihood of each sequence, shape (n_sequences,); `frames` are those of all of them end to end."""
    totals = np.empty(len(offsets) - 1)
    lengths = np.diff(offsets)
    alone: list[int] = []
    for group in _alike(frames, offsets):
        longest = group[0]
        one = cut_frames(frames, int(offsets[longest]), int(offsets[longest + 1]))
        filtered = filter_covariance(system, dynamics, one) if len(group) > 1 and is_constant(system) else None
        if filtered is None or (form == "auto" and filtered.lost):
            alone += group.tolist()
        else:
            shared = _shared(system, one, filtered)
            totals[group] = _totals_of_group(frames.x, offsets[group], lengths[group], shared, dynamics, convention)
    if alone:
        totals[alone] = _totals_one_by_one(system, dynamics, frames, offsets, np.array(alone), convention, form)
    return totals


def _totals_one_by_one(
    system: System,
    dynamics: Dynamics,
    frames: Frames,
    offsets: Ints,
    members: Ints,
    convention: str,
    form: str,
) -> Floats:
    """Log-likelihoods of sequences that share nothing; where digits are lost, in square-root form."""
    starts, lengths = offsets[members], offsets[members + 1] - offsets[members]
    state, S = initial_state(system), len(members)
    found, determined, lost = np.empty(S), np.zeros(S, np.int64), np.zeros(S, np.bool_)
    rows = rows_of(frames)
    begun = state.mean, state.cov, np.ascontiguousarray(state.loadings.T), _FLAGS[0]

    def room() -> Tables:
        return tables_of(1, system.n_states, frames.x.shape[1], keep=False, state=state)

    def in_lockstep(piece: slice) -> None:
        own, length, n_found = starts[piece], lengths[piece].copy(), len(starts[piece])
        means = np.tile(state.mean, (n_found, 1))
        bad = np.zeros(n_found, np.bool_)
        covs, skipped, diffuse = np.tile(state.cov, (n_found, 1, 1)), np.zeros(n_found, np.int64), np.zeros(n_found)
        if state.loadings.size:
            begin_each(
                rows,
                dynamics,
                room(),
                own,
                length,
                *begun,
                diffuse,
                determined[piece],
                skipped,
                bad,
                means,
                covs,
            )
        length -= skipped
        order = np.argsort(-length, kind="stable")[: np.count_nonzero(length)]
        totals, doubtful = np.zeros(n_found), np.zeros(n_found, np.bool_)
        score_numbers(
            x,
            (own + skipped)[order],
            length[order],
            _ROW,
            frames.design[seen[0], 0],
            float(frames.variances[seen[0], 0]),
            dynamics,
            means[order],
            covs[order],
            totals,
            doubtful,
        )
        found[piece] = diffuse
        found[np.arange(S)[piece][order]] += totals[: len(order)]
        lost[piece] = bad
        lost[np.arange(S)[piece][order]] |= doubtful[: len(order)]

    def alone(number: int) -> None:
        one = cut_frames(frames, int(starts[number]), int(starts[number] + lengths[number]))
        found[number] = log_likelihoods(system, [one], convention, form, dynamics)[0]

    def share_out(work: Callable[[Any], None], pieces: list[Any]) -> None:
        if frames.x.size > _LONG:
            map_pieces(work, pieces)
        else:
            for piece in pieces:
                work(piece)

    rest = np.arange(S)
    seen = np.flatnonzero(frames.n_seen)
    if frames.design.shape[1] == 1 and len(seen) == 1 and S >= _FEW and system.n_states <= _FEW_STATES:
        frames_seen = frames.n_seen[frames.frame] > 0
        x = np.where(frames_seen, frames.x[:, 0], np.nan)
        share_out(in_lockstep, [slice(s, s + _PIECE) for s in range(0, S, _PIECE)])
        rest = np.flatnonzero(lost)
    if convention == "kfas":
        found += determined * HALF_LOG_2PI
    if len(rest):
        share_out(alone, rest.tolist())
    return found


def _alike(frames: Frames, offsets: Ints) -> list[Ints]:
    """Sequences that show the same entries as far as they go together, the longest first."""
    lengths = np.diff(offsets)
    falling = np.argsort(-lengths, kind="stable")
    whole = np.flatnonzero(frames.seen.all(axis=1))
    if len(frames.design) == 1 and len(whole):
        return [falling]
    groups: dict[bytes, list[int]] = {}
    incomplete = np.logical_or.reduceat(frames.frame != (whole[0] if len(whole) else -1), offsets[:-1]).tolist()
    frame, bounds = frames.frame.astype(np.int32), offsets.tolist()
    for s in falling.tolist():
        shown = frame[bounds[s] : bounds[s + 1]].tobytes() if incomplete[s] else b""
        groups.setdefault(shown, []).append(s)
    return [np.array(group) for group in groups.values()]


def _shared(system: System, one: Frames, filtered: Filtered) -> Shared:
    """What sequences with these frames share; `one` has the numbers as frames have them."""
    p = one.x.shape[1]
    transform = np.zeros((len(one.design), p, p))
    transform[:] = np.eye(p)
    return Shared(
        filtered.place[: len(one.x)],
        one.frame,
        filtered.kind,
        filtered.k,
        filtered.F,
        one.design,
        transform,
        one.n_seen,
        np.tile(np.arange(p), (len(one.design), 1)),
        np.zeros(p),
        initial_state(system).mean,
    )


def _normalisers(shared: Shared, convention: str = "durbin-koopman") -> Floats:
    made = np.empty(len(shared.place) + 1)
    log_normalisers(shared.place, shared.kind, shared.F, -2.0 * HALF_LOG_2PI if convention == "kfas" else 0.0, made)
    return made


def _totals_of_group(
    values: Floats,
    starts: Ints,
    lengths: Ints,
    shared: Shared,
    dynamics: Dynamics,
    convention: str,
) -> Floats:
    """Log-likelihoods of sequences that begin at a row of values and have falling lengths."""
    x, normalisers = (values if values.flags.behaved else values.copy()).reshape(-1), _normalisers(shared, convention)
    found = np.empty(len(starts))
    m, p = shared.start.size, shared.centre.size
    single = m == p == 1 and int(shared.n_seen.min()) == 1 and len(dynamics.intercept) == 1

    def score(piece: slice) -> None:
        begun = starts[piece], lengths[piece]
        if single:
            T = float(dynamics.value[0, 0]) if dynamics.value.size else 0.0
            c = float(dynamics.intercept[0, 0])
            score_single(x, *begun, shared, T, c, normalisers, found[piece])
        else:
            score_lanes(x, *begun, shared, dynamics, normalisers, found[piece])

    if x.size > _LARGE:
        map_pieces(score, [slice(s, s + _PIECE) for s in range(0, len(starts), _PIECE)])
    else:
        score(slice(None))
    return found


# ----------------------------------------------------------------------------------------------- gradient, and states


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
        if len(group.members) >= _FEW:
            together = _group_gradient(system, dynamics, frames.x, offsets, group, factors, wanted)
            if together is not None:
                found.append(together)
                weight.append(1.0)
                continue
        cut = [cut_frames(frames, int(offsets[s]), int(offsets[s + 1])) for s in group.members]
        found += map_pieces(single or alone, cut) if frames.x.size > _LONG else list(map(single or alone, cut))
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
    shared, F = _shared(system, one, filtered), len(one.design)
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
            _FLAGS[by_transition],
            sums,
        )
        return sums

    if x.size > _LARGE:
        found = map_pieces(add, [slice(s, s + _PIECE) for s in range(0, len(starts), _PIECE)])
    else:
        found = [add(slice(None))]
    sums = Sums(*(np.asarray(sum(values)).sum(axis=-1) for values in zip(*found, strict=True)))
    weight = float(weights.sum())
    value = -0.5 * (weight * float(_normalisers(shared)[n]) + float(sums.squares))
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
    if len(frames) < _FEW or form == "square_root":
        return made
    joined, offsets = join_frames(frames)
    for group in _equal(joined, offsets):
        if len(group.members) >= _FEW:
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
    shared, means = _shared(system, one, filtered), np.empty((S if smooth else 0, n, m))
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
        _normalisers(shared),
        _FLAGS[smooth],
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
