"""Many sequences of one system: gains are computed once for all that show the same entries, means for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from statespace.foundations.executors import map_pieces
from statespace.lds.dynamics import Dynamics, make_dynamics
from statespace.lds.filtered import Filtered, initial_state
from statespace.lds.filtering import filter_covariance, is_constant, rows_of, tables_of
from statespace.lds.frames import Frames, make_frames
from statespace.lds.kalman import Tables
from statespace.lds.likelihood import HALF_LOG_2PI, log_likelihoods
from statespace.lds.one_by_one import begin_each, score_numbers
from statespace.lds.shared_gains import LANES, Shared, log_normalisers, score_lanes, score_single
from statespace.lds.system import System
from statespace.protocols import Floats, Ints

PIECE = 256  # sequences a piece of work
_FEW_STATES = 8  # up to which covariances of many sequences side by side are in the cache
_ROW = cast(int, np.int64(LANES))
LARGE = 1_000_000  # numbers from which on pieces are shared out
LONG = 20_000  # numbers from which on a sequence that shares nothing is worth a thread
FEW = 4  # sequences from which on what is shared pays for being set up
FLAGS = cast(int, np.int64(0)), cast(int, np.int64(1))  # no literals, for which kernels would be compiled once more


def cut_frames(frames: Frames, first: int, last: int) -> Frames:
    """Some steps."""
    apart = frames.apart[first:last]
    return frames._replace(x=frames.x[first:last], frame=frames.frame[first:last], apart=apart)


def join_frames(frames: list[Frames]) -> tuple[Frames, Ints]:
    """Those of all steps again, of which `frames` were cut, and where each sequence begins."""
    offsets = np.concatenate([[0], np.cumsum([len(one.x) for one in frames])]).astype(np.int64)
    x, frame = np.concatenate([one.x for one in frames]), np.concatenate([one.frame for one in frames])
    return frames[0]._replace(x=x, frame=frame, apart=np.concatenate([one.apart for one in frames])), offsets


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
    shared = shared_by(system, one, filtered)._replace(transform=one.transform, centre=system.obs_intercept[0])
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
            shared = shared_by(system, one, filtered)
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
    begun = state.mean, state.cov, np.ascontiguousarray(state.loadings.T), FLAGS[0]

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
        if frames.x.size > LONG:
            map_pieces(work, pieces)
        else:
            for piece in pieces:
                work(piece)

    rest = np.arange(S)
    seen = np.flatnonzero(frames.n_seen)
    if frames.design.shape[1] == 1 and len(seen) == 1 and S >= FEW and system.n_states <= _FEW_STATES:
        frames_seen = frames.n_seen[frames.frame] > 0
        x = np.where(frames_seen, frames.x[:, 0], np.nan)
        share_out(in_lockstep, [slice(s, s + PIECE) for s in range(0, S, PIECE)])
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


def shared_by(system: System, one: Frames, filtered: Filtered) -> Shared:
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


def normalisers_of(shared: Shared, convention: str = "durbin-koopman") -> Floats:
    """Log F and log 2 pi of the numbers up to each step, shape (n + 1,)."""
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
    x, normalisers = (values if values.flags.behaved else values.copy()).reshape(-1), normalisers_of(shared, convention)
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

    if x.size > LARGE:
        map_pieces(score, [slice(s, s + PIECE) for s in range(0, len(starts), PIECE)])
    else:
        score(slice(None))
    return found
