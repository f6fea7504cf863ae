"""Memory that a thread keeps from one call to the next: fresh memory costs as much as what is done in it."""

from __future__ import annotations

import threading

import numpy as np

from statespace.protocols import Floats

_MOST_HELD = 1 << 20  # numbers that are kept under a name, 8 MB


class Scratch(threading.local):
    """Arrays by name, each thread's own until it asks for the name again."""

    def __init__(self) -> None:
        self._arrays: dict[str, Floats] = {}

    def empty(self, name: str, n: int) -> Floats:
        """An array (n,) of numbers left from before."""
        if n > _MOST_HELD:
            return np.empty(n)
        held = self._arrays.get(name)
        if held is None or held.size < n:
            held = self._arrays[name] = np.empty(n)
        return held[:n]

    def zeros(self, name: str, n: int) -> Floats:
        """An array (n,) of zeros."""
        found = self.empty(name, n)
        found[:] = 0.0
        return found
