"""Memory that is kept from one call to the next: fresh memory costs as much as what is done in it."""

from __future__ import annotations

import math
import os
import threading
from typing import Any

import numpy as np

from statespace.protocols import Array, Floats

_MOST_HELD = 1 << 20  # numbers that are kept under a name, 8 MB
_MOST_POOLED = 1 << 26  # bytes that are kept in a pool
_WASTE = 2  # times what is asked for an array of a pool may be


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


class Pool:
    """Arrays that are lent, and given back by whoever knows that nobody looks at them any more; for all threads.

    A forked child begins with an empty pool: a thread that it does not have may have held the lock.
    """

    def __init__(self) -> None:
        self._begin()
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._free: dict[Any, list[Array]] = {}
        self._bytes = 0

    def lend(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array of numbers left from before."""
        n, kind = math.prod(shape), np.dtype(dtype)
        with self._lock:
            free = self._free.get(kind, [])
            fitting = [i for i, one in enumerate(free) if n <= one.size <= _WASTE * n]
            if fitting:
                whole = free.pop(min(fitting, key=lambda i: free[i].size))
                self._bytes -= whole.nbytes
                return whole[:n].reshape(shape)
        return np.empty(n, kind).reshape(shape)

    def take_back(self, *arrays: Array | None) -> None:
        """Arrays that `lend` gave, as it gave them."""
        with self._lock:
            for array in arrays:
                if array is None or not array.size:
                    continue
                whole = array if array.base is None else array.base
                if self._bytes + whole.nbytes <= _MOST_POOLED:
                    self._free.setdefault(whole.dtype, []).append(whole)
                    self._bytes += whole.nbytes
