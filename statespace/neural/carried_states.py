"""States that are carried on from window to window, and from the end of a stream to the stream that goes on from it."""

from __future__ import annotations

import numpy as np

from statespace.neural.batches import Streams, Window
from statespace.neural.encoder import Encoder, rows_of_state
from statespace.neural.sequence_runs import put_rows
from statespace.neural.trace import NetworkState
from statespace.protocols import Array, Ints


class CarriedStates:
    """Where the streams of a training stand.

    A stream that goes on from another begins where that one ended when it was last read: with the weights of then.
    """

    def __init__(self, encoder: Encoder, streams: Streams) -> None:
        self.encoder, self.streams = encoder, streams
        self._carried: NetworkState | None = None
        self._order: Ints = np.empty(0, np.int64)  # streams of what is carried
        self._sorter: Ints = np.empty(0, np.int64)
        self._last: NetworkState | None = None  # of each stream, where the epoch before left it

    def before(self, window: Window) -> tuple[NetworkState | None, Array | None]:
        """Where the streams of a window go on from, and which of them begin at the start; None, None: all do."""
        if not window.opens:
            assert self._carried is not None
            places = np.searchsorted(self._order, window.streams, sorter=self._sorter)
            return rows_of_state(self._carried, self._sorter[places]), None
        begins = self.streams.begins[window.streams]
        if begins.all():
            return None, None
        if self._last is None:  # in the first epoch nobody has been there
            return self.encoder.initial_state(len(begins)), begins
        return rows_of_state(self._last, np.maximum(window.streams - 1, 0)), begins

    def after(self, window: Window, state: NetworkState) -> None:
        """Remember the states after a window."""
        self._carried, self._order = state, window.streams
        self._sorter = np.argsort(window.streams)
        if not window.closes.any():
            return
        if self._last is None:
            self._last = self.encoder.initial_state(len(self.streams))
        put_rows(self._last, window.streams[window.closes], rows_of_state(state, window.closes))
