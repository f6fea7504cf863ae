"""Observations as a hidden Markov model sees them: read once, turned into frames piece by piece."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from statespace.foundations.executors import map_pieces, pieces
from statespace.foundations.observations import Observations, read_observations
from statespace.foundations.sequences import Layout
from statespace.hmm.blocks import can_be_cut
from statespace.hmm.frames import Frames
from statespace.protocols import Array, Floats, Ints

PIECE = 1 << 16  # steps from which a piece of work on its own pays; a constant, so that sums keep their order
SHARE = 1 << 16  # steps of a piece whose densities and sums are worth a thread; a constant too
_MOST_NUMBERS = 1 << 23  # 64 MB: what a long sequence may fill before it is done block by block
_MOST_DISTINCT = 4096  # rows of a table of log-likelihoods that stays in the cache


class Piece(NamedTuple):
    """Neighbouring sequences that are worked on together."""

    first: int
    """Its first sequence."""
    last: int
    """The sequence after its last."""


@dataclass(frozen=True)
class Evidence:
    """Observations, and what they say of the states."""

    observations: Observations
    """The data."""
    distinct: Array | None
    """Where observations are small whole numbers, all that can occur, (n_rows, 1)."""
    rows: Ints | None
    """Then the row of each observation, n_rows where it is missing, (n_samples,); many may be narrow integers."""
    states: Ints | None
    """States that are known, -1 where not, (n_samples,); None where none is."""
    n_components: int
    """How many states there are; 0: as the emission says."""

    def n_observations(self, weights: Floats) -> float:
        """How many observations there are that are not missing, each as often as its sequence weighs."""
        offsets, missing = self.observations.offsets, self.observations.missing
        known = np.diff(offsets)
        if missing is not None:
            known = known - np.diff(np.concatenate([[0], np.cumsum(missing)])[offsets])
        return float(weights @ known)

    @property
    def n_multiplications(self) -> int:
        """In products of what there is for each observation, about; see `blas_on_one_thread`."""
        n_samples, n_features = self.observations.values.shape
        return int(n_samples * (n_features + self.n_components) ** 2)

    def pieces(self) -> list[Piece]:
        """Cut between sequences, at least PIECE steps each but the last; four times as many where frames have rows."""
        size = PIECE if self.rows is None else 4 * PIECE
        offsets = self.observations.offsets
        if offsets[-1] <= size:
            return [Piece(0, len(offsets) - 1)]
        found, first = [], 0
        while first < len(offsets) - 1:
            last = min(int(np.searchsorted(offsets, offsets[first] + size)), len(offsets) - 1)
            found.append(Piece(first, last))
            first = last
        return found

    @cached_property
    def token(self) -> str:
        """A name that no other evidence has, anywhere."""
        return uuid4().hex

    def part(self, piece: Piece) -> Evidence:
        """A piece on its own, as if there were no others."""
        steps, whole = self.steps(piece), self.observations
        return Evidence(
            Observations(
                whole.values[steps],
                self.offsets(piece),
                Layout("flat", (None,)),
                None if whole.missing is None else whole.missing[steps],
                whole.partly_missing,
            ),
            self.distinct,
            None if self.rows is None else self.rows[steps],
            None if self.states is None else self.states[steps],
            self.n_components,
        )

    def parts(self) -> list[Piece]:
        """The pieces, or all data at once where frames take no more memory for that."""
        return self.pieces() if self.rows is None else [Piece(0, self.observations.n_sequences)]

    def offsets(self, piece: Piece) -> Ints:
        """Offsets of the sequences of a piece, from 0."""
        part = self.observations.offsets[piece.first : piece.last + 1]
        local: Ints = part - part[0]
        return local

    def steps(self, piece: Piece) -> slice:
        """The steps of a piece."""
        return slice(int(self.observations.offsets[piece.first]), int(self.observations.offsets[piece.last]))

    def is_long(self, piece: Piece, transmat: Floats) -> bool:
        """Whether a piece is one sequence that would fill too much memory at once, and can be done block by block."""
        steps = self.steps(piece)
        many = (steps.stop - steps.start) * len(transmat) > _MOST_NUMBERS
        return many and piece.last == piece.first + 1 and can_be_cut(transmat)

    def known(self, steps: slice) -> tuple[Array, Array | None]:
        """Rows of which something is known, and which these are (None: all)."""
        values, missing = self.observations.values[steps], self.observations.missing
        if missing is None or not missing[steps].any():
            return values, None
        seen = ~missing[steps]
        return values[seen], seen

    def table(self, emission: Any) -> Floats:
        """Log-likelihoods of all that can occur, and of nothing, (n_rows + 1, n_components)."""
        assert self.distinct is not None
        found = checked_log_likelihood(emission, self.distinct, "an observation")
        return np.concatenate([found, np.zeros((1, found.shape[1]))])

    def frames(self, emission: Any, piece: Piece) -> Frames:
        """Log-likelihoods of a piece's steps in each state."""
        return self.frames_of(emission, self.steps(piece))

    def frames_of(self, emission: Any, steps: slice) -> Frames:
        """Log-likelihoods of some steps in each state."""
        if self.rows is not None:
            rows = self.rows[steps]
            if rows.dtype != np.int64 or not rows.flags.writeable:
                rows = rows.astype(np.int64)
            return Frames(self.table(emission), rows)
        values, seen = self.known(steps)
        if not len(values):
            table = np.zeros((steps.stop - steps.start, self.n_components or int(emission.n_components)))
        else:
            table = _table_of(emission, values, f"an observation of X[{steps.start}:{steps.stop}]")
            if self.n_components and table.shape[1] != self.n_components:  # the recursions trust its width
                raise ValueError(
                    f"{type(emission).__name__}.log_likelihood returned {table.shape[1]} columns, expected one "
                    f"for each of the {self.n_components} states"
                )
            if seen is not None:
                everything = np.zeros((len(seen), table.shape[1]))
                everything[seen] = table
                table = everything
        if self.states is not None:
            labels = self.states[steps]
            others = (labels >= 0)[:, None] & (labels[:, None] != np.arange(table.shape[1]))
            table[others] = -math.inf
        return Frames(table)


def shifted(steps: slice, by: int) -> slice:
    """The same steps, counted from elsewhere."""
    return slice(steps.start + by, steps.stop + by)


def checked_log_likelihood(emission: Any, values: Array, what: str) -> Floats:
    """The emission's log-likelihoods, float64 and C-contiguous; NaN and +inf are refused."""
    found = np.ascontiguousarray(emission.log_likelihood(values), dtype=np.float64)
    if found.ndim != 2 or len(found) != len(values):
        raise ValueError(
            f"{type(emission).__name__}.log_likelihood returned shape {found.shape} for {len(values)} observations, "
            "expected (n_samples, n_components)"
        )
    if not np.maximum.reduce(found, axis=None, initial=-math.inf) < math.inf:
        raise ValueError(
            f"{type(emission).__name__}.log_likelihood is NaN or infinite for {what}: a density must be finite, and "
            "-inf where the observation is impossible; are its parameters valid?"
        )
    return found


def shares(n_steps: int) -> list[slice]:
    """Cut what is done for many steps into pieces of work."""
    return pieces(n_steps, SHARE)


def _table_of(emission: Any, values: Array, what: str) -> Floats:
    """`checked_log_likelihood` of observations, many of which are shared out."""
    cuts = shares(len(values))
    if len(cuts) == 1:
        return checked_log_likelihood(emission, values, what)
    first = checked_log_likelihood(emission, values[cuts[0]], what)
    table = np.empty((len(values), first.shape[1]))
    table[cuts[0]] = first

    def fill(cut: slice) -> None:
        table[cut] = checked_log_likelihood(emission, values[cut], what)

    map_pieces(fill, cuts[1:])
    return table


def read_evidence(emission: Any, X: Any, lengths: Any, states: Any = None, n_components: int = 0) -> Evidence:
    """Read data in the way of the emission, and labels of states beside them."""
    reader = getattr(emission, "read", None)
    observations = read_observations(X, lengths) if reader is None else reader(X, lengths)
    if observations.partly_missing and not getattr(emission, "marginalises", False):
        raise ValueError(
            f"X has rows that are missing in part, and {type(emission).__name__} does not say that it can leave out "
            "single features (marginalises = True): make the whole row NaN, or fill it"
        )
    labels = None if states is None else _read_states(states, observations, n_components)
    values = observations.values
    distinct = rows = None
    if values.dtype.kind in "iu" and values.shape[1] == 1 and labels is None:
        n_rows = getattr(emission, "n_distinct", None) or int(values.max(initial=0)) + 1
        if n_rows <= _MOST_DISTINCT:
            distinct = np.arange(n_rows, dtype=np.int64)[:, None]
            rows = np.ascontiguousarray(values[:, 0])
            if observations.missing is not None:
                rows = np.where(observations.missing, n_rows, rows)
            elif not rows.flags.writeable and rows.size <= _MOST_NUMBERS:
                rows = rows.copy()  # kernels want their own; of a file that is mapped, block by block
    return Evidence(observations, distinct, rows, labels, n_components)


def _read_states(states: Any, observations: Observations, n_components: int) -> Ints:
    parts = states if observations.layout.form == "list" else [states]
    offsets = observations.offsets
    try:
        arrays = [np.asarray(part) for part in parts]
    except (TypeError, ValueError):
        raise TypeError("states must hold one integer for each observation, -1 where unknown") from None
    if any(part.ndim != 1 or part.dtype.kind not in "iu" for part in arrays):
        raise TypeError("states must hold one integer for each observation, -1 where unknown, in the form of X")
    sizes = [len(part) for part in arrays]
    expected = np.diff(offsets).tolist() if observations.layout.form == "list" else [observations.n_samples]
    if sizes != expected:
        raise ValueError(f"states has {sizes} labels and X {expected} observations: give one for each, -1 if unknown")
    labels = np.concatenate(arrays).astype(np.int64)
    wrong = np.flatnonzero((labels < -1) | (labels >= n_components))
    if wrong.size:
        raise ValueError(
            f"states[{wrong[0]}] is {labels[wrong[0]]}, expected 0..{n_components - 1}, or -1 where it is unknown"
        )
    return labels
