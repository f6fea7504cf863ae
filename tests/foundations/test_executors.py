"""Fixed pieces, ordered results, on every kind of executor and nested, without deadlock."""

import os
import threading
import time
from collections import namedtuple
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations import executors
from statespace.foundations.executors import map_pieces, pieces, sum_in_order


class Immediately:
    """The least an executor can be: `submit`, and futures that are not concurrent.futures.Future."""

    class Done:
        def __init__(self, call):
            self.call = call

        def result(self):
            return self.call()

        def cancel(self):
            return False

    def submit(self, function, /, *args):
        return self.Done(lambda: function(*args))


class Delayed:
    """An executor that starts nothing by itself, so that a test can see what was cancelled."""

    def __init__(self):
        self.futures = []

    def submit(self, function, /, *args):
        future = Future()
        self.futures.append(future)
        if len(self.futures) == 3:
            future.set_exception(RuntimeError("third"))
        return future


@pytest.fixture(params=["shared threads", "one thread", "three threads", "immediately"])
def executor(request, monkeypatch):
    # As on a machine with two processors, whatever this one has
    monkeypatch.setattr(executors, "_n_processors", lambda: 2)
    if request.param == "shared threads":
        yield None
    elif request.param == "immediately":
        yield Immediately()
    else:
        with ThreadPoolExecutor(1 if request.param == "one thread" else 3) as threads:
            yield threads


@given(n=st.integers(0, 500), size=st.integers(1, 600))
def test_pieces_cover_everything_once_and_in_order(n, size):
    cut = pieces(n, size)
    assert [i for piece in cut for i in range(n)[piece]] == list(range(n))
    assert all(piece.stop - piece.start == size for piece in cut[:-1])
    assert all(0 < piece.stop - piece.start <= size for piece in cut)


@pytest.mark.parametrize(("n", "size"), [(-1, 3), (3, 0), (3, -2)])
def test_impossible_pieces_are_refused(n, size):
    with pytest.raises(ValueError, match=f"cannot cut {n} items into pieces of {size}"):
        pieces(n, size)


def test_results_come_in_the_order_of_the_pieces(executor):
    def slow_first(i):
        time.sleep(0.002 * (5 - i))
        return i * i

    assert map_pieces(slow_first, range(6), executor) == [0, 1, 4, 9, 16, 25]
    assert map_pieces(slow_first, iter([5]), executor) == [25]
    assert map_pieces(slow_first, [], executor) == []


def test_processes_are_an_executor_too():
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        assert map_pieces(Fraction, [1, 2, 3], processes) == [1, 2, 3]
        with pytest.raises(ValueError, match="Invalid literal"):
            map_pieces(Fraction, ["1", "x"], processes)


def test_one_piece_stays_on_the_calling_thread():
    assert map_pieces(lambda _: threading.get_ident(), [0]) == [threading.get_ident()]


def test_the_calling_thread_works_along_and_so_does_another(monkeypatch):
    monkeypatch.setattr(executors, "_n_processors", lambda: 2)
    both_here = threading.Barrier(2, timeout=10)  # passes only if two pieces run at the same time

    def meet(_):
        both_here.wait()
        return threading.get_ident()

    threads = map_pieces(meet, range(2))
    assert threading.get_ident() in threads
    assert len(set(threads)) == 2


def test_no_more_threads_work_than_there_are_processors(monkeypatch):
    monkeypatch.setattr(executors, "_n_processors", lambda: 2)
    running, most, lock = 0, 0, threading.Lock()

    def count(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.001)
        with lock:
            running -= 1

    map_pieces(count, range(20))
    assert most <= 2


def test_nested_calls_do_not_wait_for_each_other(executor):
    def tree(depth):
        if depth == 0:
            return 1
        return sum(map_pieces(tree, [depth - 1] * 3, executor))

    result = []
    worker = threading.Thread(target=lambda: result.append(tree(5)), daemon=True)
    worker.start()
    worker.join(timeout=60)
    assert result == [3**5]


def test_many_callers_share_the_threads_without_deadlock():
    def outer(i):
        return sum(map_pieces(lambda j: i * j, range(10)))

    results = {}
    callers = [threading.Thread(target=lambda i=i: results.update({i: map_pieces(outer, [i] * 4)})) for i in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert results == {i: [45 * i] * 4 for i in range(8)}


def test_an_exception_reaches_the_caller_and_later_pieces_never_begin(executor):
    begun = []

    def fail_early(i):
        begun.append(i)
        if i == 1:
            raise ZeroDivisionError(f"piece {i}")
        time.sleep(0.001)

    with pytest.raises(ZeroDivisionError, match="piece 1"):
        map_pieces(fail_early, range(200), executor)
    assert len(begun) < 50


def test_nothing_runs_on_after_the_exception(executor):
    begun, ended = [], []

    def fail_or_be_slow(i):
        begun.append(i)
        try:
            if i == 0:
                time.sleep(0.01)
                raise ValueError("first")
            time.sleep(0.05)
        finally:
            ended.append(i)

    with pytest.raises(ValueError, match="first"):
        map_pieces(fail_or_be_slow, range(4), executor)
    assert sorted(begun) == sorted(ended)


def test_the_first_of_several_failures_is_the_one_that_is_raised(monkeypatch):
    monkeypatch.setattr(executors, "_n_processors", lambda: 2)
    both_here = threading.Barrier(2, timeout=10)

    def fail(i):
        both_here.wait()
        time.sleep(0.02 * (1 - i))  # the later piece fails first
        raise ValueError(f"piece {i}")

    with pytest.raises(ValueError, match="piece 0"):
        map_pieces(fail, range(2))


def test_the_threads_survive_an_exception():
    with pytest.raises(ZeroDivisionError):
        map_pieces(lambda i: 1 // i, range(4))
    assert map_pieces(lambda i: i + 1, range(4)) == [1, 2, 3, 4]


def test_an_executor_elsewhere_is_asked_to_cancel_what_is_pending():
    delayed = Delayed()
    with pytest.raises(RuntimeError, match="third"):
        map_pieces(abs, range(5), delayed)
    assert [future.cancelled() for future in delayed.futures] == [True, True, False, True, True]


def test_pieces_run_in_the_callers_context(executor):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        map_pieces(lambda i: np.float64(1.0) / i, [np.float64(1.0)] * 30 + [np.float64(0.0)], executor)


@pytest.mark.parametrize("wrong", [4, "threads", map, object()])
def test_what_cannot_submit_is_refused(wrong):
    with pytest.raises(TypeError, match=r"expected None or a concurrent\.futures\.Executor"):
        map_pieces(abs, [1], wrong)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forking is for POSIX systems")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # that threads and forks are risky is the point
def test_a_forked_child_starts_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(executors, "_n_processors", lambda: 2)
    assert map_pieces(abs, [-1, -2, -3]) == [1, 2, 3]  # the parent has its threads
    both_here = threading.Barrier(2, timeout=10)
    child = os.fork()
    if child == 0:
        try:
            map_pieces(lambda _: both_here.wait(), range(2))  # the caller alone would wait in vain
        except threading.BrokenBarrierError:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_nothing_is_left_in_the_queue_of_threads_that_were_busy():
    queued = []

    class Watched(ThreadPoolExecutor):
        def submit(self, function, /, *args):
            queued.append(super().submit(function, *args))
            return queued[-1]

    release = threading.Event()
    with Watched(1) as threads:
        busy = ThreadPoolExecutor.submit(threads, release.wait, 30)
        assert map_pieces(abs, [-1, -2, -3], threads) == [1, 2, 3]
        assert len(queued) == 2
        assert all(future.cancelled() for future in queued)
        release.set()
        assert busy.result()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_sums_go_from_the_first_to_the_last(values):
    total = 0.0
    for value in values:
        total += value
    assert sum_in_order(values) == total
    assert sum_in_order([np.array([value]) for value in values])[0] == total


@given(data=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300))
def test_the_number_of_workers_does_not_change_a_bit(data):
    X = np.array(data)
    with ThreadPoolExecutor(3) as threads:
        sums = [
            sum_in_order(map_pieces(lambda piece: X[piece].sum(), pieces(len(X), 7), executor))
            for executor in (None, threads, Immediately())
        ]
    assert sums[0] == sums[1] == sums[2]


def test_tuples_are_summed_field_by_field():
    Statistics = namedtuple("Statistics", "counts weight")
    total = sum_in_order([Statistics(np.array([1, 2]), 0.5), Statistics(np.array([3, 4]), 0.25)])
    assert isinstance(total, Statistics)
    np.testing.assert_array_equal(total.counts, [4, 6])
    assert total.weight == 0.75
    assert sum_in_order([(1, (2.0, 3)), (10, (20.0, 30))]) == (11, (22.0, 33))


def test_what_was_handed_in_is_not_written_to():
    first, second = np.array([1.0]), np.array([2.0])
    sum_in_order([first, second])
    assert first[0] == 1.0


def test_sums_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="no results to sum"):
        sum_in_order([])
    with pytest.raises(TypeError, match="return arrays"):
        sum_in_order([[1], [2]])
    with pytest.raises(ValueError, match="shorter"):
        sum_in_order([(1, 2), (1,)])


@pytest.mark.parametrize("make", [lambda: None, lambda: ThreadPoolExecutor(2), lambda: _Inline()])
def test_every_piece_that_is_through_is_reported_once(make):
    seen = []
    assert map_pieces(lambda piece: piece * 2, range(5), make(), done=lambda: seen.append(1)) == [0, 2, 4, 6, 8]
    assert len(seen) == 5


class _Inline:
    """An executor that is no thread pool: it does the work at once."""

    def submit(self, function, piece):
        future = Future()
        future.set_result(function(piece))
        return future
