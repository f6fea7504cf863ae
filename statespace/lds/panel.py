"""Many sequences of one system: gains are computed once for all that show the same entries, means for each."""

from __future__ import annotations

import numpy as np

from statespace.foundations.executors import map_pieces
from statespace.foundations.kernel import kernel
from statespace.lds.dynamics import Dynamics
from statespace.lds.filtered import Filtered, initial_state
from statespace.lds.filtering import filter_covariance, is_constant, rows_of
from statespace.lds.frames import Frames
from statespace.lds.kalman import CONTRADICTION, DIFFUSE, LOG_2PI, SKIPPED, Rows, Tables
from statespace.lds.likelihood import HALF_LOG_2PI, log_likelihoods
from statespace.lds.system import System
from statespace.protocols import Array, Floats, Ints

_LANES = 16  # sequences side by side
_PIECE = 256  # sequences a piece of work


@kernel
def filter_lanes(
    rows: Rows, d: Dynamics, tables: Tables, starts: Ints, lengths: Ints, base: Floats, start: Floats, totals: Floats
) -> None:
    """Log-likelihoods of sequences that share the gains of `tables`, which are those of the first and longest.

    rows.x : all numbers, (n_numbers, p), of which a sequence begins at starts[s] and has lengths[s], in falling order;
    rows.frame is that of the first. base : log F and log 2 pi up to each step, (n + 1,). start : (m,).
    """
    S, m = starts.shape[0], start.shape[0]
    a, moved, span = np.empty((m, _LANES)), np.empty((m, _LANES)), np.empty((m, _LANES))
    v, quadratic = np.empty(_LANES), np.empty(_LANES)
    for first in range(0, S, _LANES):
        width = min(_LANES, S - first)
        for s in range(width):
            quadratic[s] = 0.0
            for j in range(m):
                a[j, s] = start[j]
        for t in range(lengths[first]):
            while lengths[first + width - 1] <= t:
                width -= 1
            g, f = tables.place[t], rows.frame[t]
            implied = False  # what the means of a step were made of is asked for by numbers that they imply alone
            for i in range(rows.n_seen[f]):
                implied = implied or tables.kind[g, i] == SKIPPED
            if implied:
                for j in range(m):
                    for s in range(width):
                        span[j, s] = abs(a[j, s])
            for i in range(rows.n_seen[f]):
                kind = tables.kind[g, i]
                z = rows.design[f, i]
                for s in range(width):
                    v[s] = rows.x[starts[first + s] + t, i]
                for j in range(m):
                    factor = z[j]
                    if factor != 0.0:
                        for s in range(width):
                            v[s] -= factor * a[j, s]
                if kind == SKIPPED:
                    for s in range(width):
                        size = abs(rows.x[starts[first + s] + t, i])
                        for j in range(m):
                            size += abs(z[j]) * span[j, s]
                        if abs(v[s]) > CONTRADICTION * size:
                            quadratic[s] = np.inf
                    continue
                k = tables.k[g, i]
                for j in range(m):
                    factor = k[j]
                    for s in range(width):
                        a[j, s] += factor * v[s]
                    if implied:
                        for s in range(width):
                            span[j, s] += abs(factor * v[s])
                if kind != DIFFUSE:
                    factor = 1.0 / tables.F[g, i]
                    for s in range(width):
                        quadratic[s] += v[s] * v[s] * factor
            value = d.value[t if d.value.shape[0] > 1 else 0]
            c = d.intercept[t if d.intercept.shape[0] > 1 else 0]
            for i in range(m):
                for s in range(width):
                    moved[i, s] = c[i]
                for e in range(d.row_start[i], d.row_start[i + 1]):
                    factor, column = value[e], d.column[e]
                    for s in range(width):
                        moved[i, s] += factor * a[column, s]
            for i in range(m):
                for s in range(width):
                    a[i, s] = moved[i, s]
        for s in range(min(_LANES, S - first)):
            totals[first + s] = -0.5 * (base[lengths[first + s]] + quadratic[s])


def cut_frames(frames: Frames, first: int, last: int) -> Frames:
    """Some steps."""
    return frames._replace(x=frames.x[first:last], frame=frames.frame[first:last])


def panel_log_likelihoods(
    system: System, dynamics: Dynamics, frames: Frames, offsets: Ints, convention: str, form: str
) -> Floats:
    """Log-likelihood of each sequence, shape (n_sequences,); `frames` are those of all of them end to end."""
    totals = np.empty(len(offsets) - 1)
    lengths = np.diff(offsets)
    for group in _alike(frames, offsets):
        longest = group[0]
        one = cut_frames(frames, int(offsets[longest]), int(offsets[longest + 1]))
        filtered = filter_covariance(system, dynamics, one) if len(group) > 1 and is_constant(system) else None
        if filtered is None or (form == "auto" and filtered.lost):
            cut = [cut_frames(frames, int(offsets[s]), int(offsets[s + 1])) for s in group]
            totals[group] = log_likelihoods(system, cut, convention, form, dynamics)
        else:
            totals[group] = _of_group(
                system, dynamics, frames, one, filtered, offsets[group], lengths[group], convention
            )
    return totals


def _alike(frames: Frames, offsets: Ints) -> list[Ints]:
    """Sequences that show the same entries as far as they go together, the longest first."""
    n_sequences = len(offsets) - 1
    lengths = np.diff(offsets)
    falling = np.argsort(-lengths, kind="stable")
    whole = np.flatnonzero(frames.seen.all(axis=1))
    if len(frames.design) == 1 and len(whole):
        return [falling]
    groups: dict[bytes, list[int]] = {}
    for s in falling.tolist():
        shown = frames.frame[offsets[s] : offsets[s + 1]]
        complete = len(whole) and bool((shown == whole[0]).all())
        groups.setdefault(b"" if complete else shown.tobytes(), []).append(s)
    assert sum(map(len, groups.values())) == n_sequences
    return [np.array(group) for group in groups.values()]


def _of_group(
    system: System,
    dynamics: Dynamics,
    frames: Frames,
    one: Frames,
    filtered: Filtered,
    starts: Ints,
    lengths: Ints,
    convention: str,
) -> Floats:
    n = len(one.x)
    places = filtered.place[:n]
    kind, F = filtered.kind, filtered.F
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(kind != SKIPPED, np.log(F) + LOG_2PI, 0.0)
    if convention == "kfas":
        logs -= 2.0 * HALF_LOG_2PI * (kind == DIFFUSE)
    base = np.concatenate([[0.0], np.cumsum(logs.sum(axis=1)[places])])
    rows = rows_of(one)._replace(x=frames.x)
    start = initial_state(system).mean

    def lanes(piece: slice) -> Array:
        found = np.empty(len(starts[piece]))
        filter_lanes(rows, dynamics, filtered.tables, starts[piece].copy(), lengths[piece].copy(), base, start, found)
        return found

    cut = [slice(s, s + _PIECE) for s in range(0, len(starts), _PIECE)]
    work = map_pieces(lanes, cut) if frames.x.size > 1e6 else [lanes(piece) for piece in cut]
    return np.concatenate(work)
