"""BLAS on one thread while our own threads do the parallel work, so that results have the same bits on any machine.

A product of matrices changes its last bits with the number of threads that BLAS shares it out to.
"""

from __future__ import annotations

import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

_lock = threading.Lock()
_inside = 0
_libraries: list[Any] = []
_threads: list[int] = []
_known: tuple[bool, ...] = ()
_FEW = 8192  # multiplications: a product of no more is shared out by no library


def blas_on_one_thread(n_multiplications: int = sys.maxsize) -> AbstractContextManager[None]:
    """Hold the BLAS libraries of this process to one thread; the last to leave gives them back what they had.

    For a whole fit or a large call, never for a step: entering takes some microseconds.

    Parameters
    ----------
    n_multiplications : int
        In the largest product to come; where they are so few that it is not shared out anyway, nothing is done.

    """
    return nullcontext() if n_multiplications <= _FEW else _ONE_THREAD


class _OneThread(AbstractContextManager[None]):
    def __enter__(self) -> None:
        global _inside
        with _lock:
            if not _inside:
                _find_libraries()
                _threads[:] = [library.get_num_threads() for library in _libraries]
                _set_threads([1] * len(_libraries))
            _inside += 1

    def __exit__(self, *_: object) -> None:
        global _inside
        with _lock:
            _inside -= 1
            if not _inside:
                _set_threads(_threads)


_ONE_THREAD = _OneThread()


def _find_libraries() -> None:
    """Look for BLAS libraries, once, and again when scipy has brought its own."""
    global _known
    loaded = "numpy" in sys.modules, "scipy.linalg" in sys.modules
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
