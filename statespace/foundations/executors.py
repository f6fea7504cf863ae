"""Work in fixed pieces, on threads or any executor, and sums in a fixed order.

The pieces of a piece of work depend on its size alone, never on how many workers there are, and their results are
added from the first to the last: the same data give the same bits on one core and on a cluster.

    sum_in_order(map_pieces(count, pieces(n_samples, 100_000)))
"""

import contextvars
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar, cast

P = TypeVar("P")
R = TypeVar("R")


def pieces(n: int, size: int) -> list[slice]:
    """Cut `range(n)` into slices of `size`; the last may be shorter.

    Parameters
    ----------
    n : int
        Number of items, 0 or more.
    size : int
        Items a piece, 1 or more. A constant of the algorithm: a size that followed the number of workers would change
        the order of the sums, and so the last bits of their results.

    """
    if n < 0 or size < 1:
        raise ValueError(f"cannot cut {n} items into pieces of {size}: n must be 0 or more, size 1 or more")
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def map_pieces(
    function: Callable[[P], R],
    pieces: Iterable[P],
    executor: Executor | None = None,
    *,
    done: Callable[[], object] | None = None,
) -> list[R]:
    """Call `function` on every piece; the results come in the order of the pieces.

    On threads the calling thread takes pieces too, so that a piece may itself call `map_pieces`: nobody ever waits
    for work that no thread has begun. Pieces run in the context (`numpy.errstate` and the like) of the caller.

    Parameters
    ----------
    function : callable
        What a process or a cluster is to run must be picklable, and so must the pieces.
    pieces : iterable
    executor : concurrent.futures.Executor, optional
        None: a single piece runs where it is, several on threads that the whole process shares, as many at a time as
        there are processors. Otherwise any object with the `submit` of `concurrent.futures.Executor`: threads,
        processes, `dask.distributed.Client(...).get_executor()`, `mpi4py.futures`.
    done : callable, optional
        Called here, in this process, after each piece that is through, for a progress bar.

    Raises
    ------
    TypeError
        If `executor` has no `submit`.
    Exception
        What `function` raised on the first of the pieces that failed; pieces that had not begun never do, and
        threads have left those that had.

    """
    work = list(pieces)
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"executor is {executor!r} ({type(executor).__name__}): expected None or a concurrent.futures.Executor, "
            "an object with submit(function, ...)"
        )
    if executor is None:
        if len(work) < 2 or _n_processors() == 1:
            return [_reported(function, done)(piece) for piece in work]
        return _on_threads(_reported(function, done), work, _shared_threads(), _n_processors() - 1)
    if isinstance(executor, ThreadPoolExecutor):
        return _on_threads(_reported(function, done), work, executor, len(work))
    return _elsewhere(function, work, executor, done)


def _reported(function: Callable[[P], R], done: Callable[[], object] | None) -> Callable[[P], R]:
    if done is None:
        return function

    def reporting(piece: P) -> R:
        result = function(piece)
        done()
        return result

    return reporting


def sum_in_order(results: Iterable[R]) -> R:
    """Add from the first to the last: numbers, arrays, or tuples of them field by field.

    The arrays handed in are not written to.

    Raises
    ------
    ValueError
        If there is nothing to add, or tuples differ in length.
    TypeError
        If a result is a list, whose `+` means something else.

    """
    remaining = iter(results)
    try:
        total = next(remaining)
    except StopIteration:
        raise ValueError("no results to sum: the work had no pieces") from None
    for result in remaining:
        total = _add(total, result)
    return total


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, tuple):
        fields = [_add(a, b) for a, b in zip(left, right, strict=True)]
        return type(left)(*fields) if hasattr(left, "_fields") else tuple(fields)
    if isinstance(left, list):
        raise TypeError("results are lists, whose sum would join them: return arrays or tuples of arrays")
    return left + right


class _Share(Generic[P, R]):
    """One call's pieces, taken one at a time by whichever thread is free, and their results."""

    def __init__(self, function: Callable[[P], R], work: list[P]) -> None:
        self.function = function
        self.work = work
        self.results: list[R | None] = [None] * len(work)
        self.failures: dict[int, BaseException] = {}
        self.next = 0
        self.running = 0
        self.changed = threading.Condition()

    def take(self) -> None:
        """Work until no piece is left, or one has failed."""
        while True:
            with self.changed:
                if self.next == len(self.work) or self.failures:
                    return
                number = self.next
                self.next += 1
                self.running += 1
            try:
                self.results[number] = self.function(self.work[number])
            except BaseException as failure:
                self.failures[number] = failure
            finally:
                with self.changed:
                    self.running -= 1
                    self.changed.notify_all()

    def finish(self) -> list[R]:
        """Work along, wait for the pieces that others have begun, and hand over."""
        try:
            self.take()
        finally:
            with self.changed:
                self.next = len(self.work)  # an interrupt ends the work too
                self.changed.wait_for(lambda: self.running == 0)
        if self.failures:
            raise self.failures[min(self.failures)]
        return cast(list[R], self.results)


def _on_threads(function: Callable[[P], R], work: list[P], threads: Executor, n_helpers: int) -> list[R]:
    share = _Share(function, work)
    helpers: list[Future[None]] = []
    try:
        for _ in range(min(n_helpers, len(work) - 1)):
            helpers.append(threads.submit(contextvars.copy_context().run, share.take))  # noqa: PERF401  # kept if one fails
        return share.finish()
    finally:
        for helper in helpers:
            helper.cancel()


def _elsewhere(
    function: Callable[[P], R], work: list[P], executor: Executor, done: Callable[[], object] | None
) -> list[R]:
    futures: list[Future[R]] = []
    try:
        for piece in work:
            futures.append(executor.submit(function, piece))
            if done is not None:
                futures[-1].add_done_callback(lambda _: done())
        if all(isinstance(future, Future) for future in futures):
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()  # raises what failed before the rest is through
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()


_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()


def _shared_threads() -> ThreadPoolExecutor:
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max_workers=_n_processors(), thread_name_prefix="statespace")
        return _pool


def _forget_threads() -> None:
    """Start afresh in a forked child, which has the pool but none of its threads."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_threads)


def _n_processors() -> int:
    """Count the processors this process may use, which a container or `taskset` can make fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
