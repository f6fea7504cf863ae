"""Mini-batches: streams of like length together, each read in windows of steps that are trained on at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from statespace.protocols import Array, Ints

_WINDOWS = 8  # a sequence is cut only into streams of at least so many windows


class Streams(NamedTuple):
    """Stretches of sequences that are read side by side; rows are those of data laid end to end."""

    firsts: Ints
    """Where each begins, (S,)."""
    lasts: Ints
    """Where each ends: its last row is the one before, (S,)."""
    begins: Array
    """Whether it begins its sequence, (S,); otherwise it goes on from the stream before."""

    def __len__(self) -> int:
        return len(self.firsts)


class Window(NamedTuple):
    """Some steps of some streams."""

    streams: Ints
    """Which, (B,)."""
    firsts: Ints
    """Row at which each begins, (B,)."""
    lengths: Ints
    """Steps of each, at least 1, (B,)."""
    opens: bool
    """Whether the streams begin here; otherwise they go on from the window before."""
    closes: Array
    """Whether a stream ends here, (B,)."""


def cut_into_streams(starts: Ints, ends: Ints, batch_size: int, truncate: int | None) -> Streams:
    """Streams of sequences: one each, but that long ones are cut to fill a batch.

    Parameters
    ----------
    starts, ends : (n_sequences,)
        Sequence s has the rows starts[s], ..., ends[s] - 1.
    batch_size : int
        Streams that are read side by side.
    truncate : int, optional
        Steps of a window; None: sequences stay whole.

    """
    if truncate is None:
        return Streams(starts, ends, np.ones(len(starts), np.bool_))
    share = max(-(-int((ends - starts).sum()) // batch_size), _WINDOWS * truncate)
    firsts, lasts, begins = [], [], []
    for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
        n = -(-(b - a) // share)
        cuts = [a + (b - a) * i // n for i in range(n + 1)] if n else [a, b]
        for i, (first, last) in enumerate(pairwise(cuts)):
            firsts.append(first)
            lasts.append(last)
            begins.append(i == 0)
    return Streams(np.array(firsts, np.int64), np.array(lasts, np.int64), np.array(begins, np.bool_))


def like_lengths(lengths: Ints, batch_size: int, rng: np.random.Generator) -> list[Ints]:
    """Batches of places, of like lengths; who is with whom, and the order of the batches, are drawn."""
    order = np.lexsort((rng.random(len(lengths)), lengths))
    batches = [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def windows(streams: Streams, batch_size: int, truncate: int | None, rng: np.random.Generator) -> Iterator[Window]:
    """All steps of all streams once, a batch of streams after the other, window by window."""
    lengths = streams.lasts - streams.firsts
    for batch in like_lengths(lengths, batch_size, rng):
        longest = int(lengths[batch].max(initial=0))
        size = max(longest, 1) if truncate is None else truncate
        for first in range(0, longest, size):
            left = lengths[batch] - first
            here, left = batch[left > 0], left[left > 0]
            yield Window(here, streams.firsts[here] + first, np.minimum(left, size), first == 0, left <= size)


def n_windows(streams: Streams, batch_size: int, truncate: int | None) -> int:
    """How many there are."""
    lengths = np.sort(streams.lasts - streams.firsts)
    longest = [int(lengths[i : i + batch_size].max()) for i in range(0, len(lengths), batch_size)]
    return sum(1 if truncate is None else -(-n // truncate) for n in longest if n)


def padded_rows(values: Array, firsts: Ints, lengths: Ints) -> Array:
    """Rows of data laid end to end as (B, T, ...), T the longest; beyond a length is a copy of anything."""
    steps = np.arange(int(lengths.max(initial=0)))
    places = firsts[:, None] + np.minimum(steps[None, :], np.maximum(lengths[:, None] - 1, 0))
    return np.asarray(values[np.minimum(places, len(values) - 1)])
