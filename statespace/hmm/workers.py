"""The pieces of the data where the work is done: sent to the workers of an executor once, and kept there for the fit.

The E-step is a sum over pieces, so that with each iteration only the parameters go out and sufficient statistics come
back. An executor does not say which of its workers takes a task: one that has not had a piece yet says so, and is sent
it. A worker keeps the pieces of a few fits, the latest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

from statespace.foundations.executors import map_pieces
from statespace.hmm.evidence import Evidence, Piece
from statespace.protocols import Floats

_MOST_FITS = 4
"""Fits whose pieces a worker keeps."""


class Task(Protocol):
    """What is done with a piece of the data; picklable."""

    def __call__(self, evidence: Evidence, weights: Floats, piece: Piece) -> Any:
        """Return what the piece gives; not None."""


class _Data(NamedTuple):
    """A piece of the data on its own, and the weights of its sequences."""

    evidence: Evidence
    weights: Floats


class _ByFit:
    """Something for each fit by its token; that of the latest fits only."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, dict[int, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, token: str) -> dict[int, Any]:
        with self._lock:
            entry = self._entries.setdefault(token, {})
            self._entries.move_to_end(token)
            while len(self._entries) > _MOST_FITS:
                self._entries.popitem(last=False)
            return entry


_kept = _ByFit()
"""In a worker: its pieces of the data, by the number of their first sequence."""
_sent = _ByFit()
"""In the process of the fit: the pieces that some worker has had."""


class _Errand:
    """A task on a piece that the worker has, or that comes along."""

    def __init__(self, task: Task, token: str) -> None:
        self.task, self.token = task, token

    def __call__(self, order: tuple[int, _Data | None]) -> Any:
        first, data = order
        pieces = _kept[self.token]
        if data is not None:
            pieces[first] = data
        else:
            data = pieces.get(first)
        if data is None:
            return None
        return self.task(data.evidence, data.weights, Piece(0, data.evidence.observations.n_sequences))


def map_evidence(task: Task, evidence: Evidence, weights: Floats, executor: Executor | None) -> list[Any]:
    """What a task gives of each piece of the data, in their order.

    Parameters
    ----------
    task : callable
        Called with the evidence, or a part of it, the weights of its sequences and the piece to work on.
    evidence : Evidence
    weights : (n_sequences,)
    executor : concurrent.futures.Executor, optional
        As in `map_pieces`. Threads work on the data where they are.

    """
    work = evidence.pieces()
    if executor is None or isinstance(executor, ThreadPoolExecutor):
        return map_pieces(lambda piece: task(evidence, weights, piece), work, executor)

    def packed(piece: Piece) -> tuple[int, _Data]:
        return piece.first, _Data(evidence.part(piece), weights[piece.first : piece.last])

    errand, had = _Errand(task, evidence.token), _sent[evidence.token]
    orders = [(piece.first, None) if piece.first in had else packed(piece) for piece in work]
    found = map_pieces(errand, orders, executor)
    absent = [number for number, result in enumerate(found) if result is None]
    again = map_pieces(errand, [packed(work[number]) for number in absent], executor) if absent else []
    for number, result in zip(absent, again, strict=True):
        found[number] = result
    had.update({piece.first: True for piece in work})
    return found
