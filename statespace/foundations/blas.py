"""BLAS on one thread while our own threads do the parallel work, so that results have the same bits on any machine.

A product of matrices changes its last bits with the number of threads that BLAS shares it out to.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_inside = 0
_libraries: list[Any] = []
_threads: list[int] = []
_known: tuple[bool, ...] = ()


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Hold the BLAS libraries of this process to one thread; the last to leave gives them back what they had.

    For a whole fit or a large call, never for a step: entering takes some microseconds.
    """
    global _inside
    with _lock:
        if not _inside:
            _find_libraries()
            _threads[:] = [library.get_num_threads() for library in _libraries]
            _set_threads([1] * len(_libraries))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _set_threads(_threads)


def _find_libraries() -> None:
    """Look for BLAS libraries, once, and again when scipy has brought its own."""
    global _known
    loaded = tuple(name in sys.modules for name in ("numpy", "scipy.linalg"))
    if loaded != _known:
        from threadpoolctl import ThreadpoolController

        _libraries[:] = ThreadpoolController().select(user_api="blas").lib_controllers
        _known = loaded


def _set_threads(numbers: list[int]) -> None:
    for library, number in zip(_libraries, numbers, strict=True):
        if library.get_num_threads() != number:
            # New versions listen to one thread only, and here the last one out may not be the first one in
            release = getattr(library, "clear_controlling_thread", None)
            if release is not None:
                release(force=True)
            library.set_num_threads(number)
            if release is not None:
                release(force=True)
