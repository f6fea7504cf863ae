"""Memory that is kept: what is lent belongs to one at a time."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations import scratch
from statespace.foundations.scratch import Pool, Scratch

SHAPES = st.tuples(st.integers(0, 5), st.integers(0, 5))


@given(st.lists(st.tuples(SHAPES, st.sampled_from([np.float64, np.float32]), st.booleans()), max_size=30))
def test_arrays_that_are_lent_at_the_same_time_have_no_number_in_common(requests):
    pool, lent = Pool(), []
    for number, (shape, dtype, give_back) in enumerate(requests):
        found = pool.lend(shape, dtype)
        assert (found.shape, found.dtype) == (shape, dtype)
        assert found.flags.c_contiguous
        assert found.flags.writeable
        found[...] = number
        lent.append((number, found))
        if give_back:
            pool.take_back(lent.pop(0)[1], None)
        for expected, array in lent:
            assert (array == expected).all()


def test_memory_that_was_given_back_is_lent_again_where_it_fits():
    pool = Pool()
    first = pool.lend((4, 5), np.float64)
    place = first.ctypes.data
    pool.take_back(first)
    assert pool.lend((3, 5), np.float32).ctypes.data != place  # of another type
    assert pool.lend((1, 2), np.float64).ctypes.data != place  # ten times what is asked for
    assert pool.lend((3, 5), np.float64).ctypes.data == place
    assert pool.lend((3, 5), np.float64).ctypes.data != place  # lent already


def test_a_pool_keeps_no_more_than_it_may(monkeypatch):
    monkeypatch.setattr(scratch, "_MOST_POOLED", 100)
    pool = Pool()
    large, small = pool.lend((13,), np.float64), pool.lend((12,), np.float64)
    places = large.ctypes.data, small.ctypes.data
    pool.take_back(large, small)
    assert pool.lend((13,), np.float64).ctypes.data != places[0]
    assert pool.lend((12,), np.float64).ctypes.data == places[1]


def test_threads_that_borrow_at_once_get_memory_of_their_own():
    pool = Pool()

    def borrow(number):
        for _ in range(200):
            array = pool.lend((8,), np.float64)
            array[:] = number
            if not (array == number).all():
                return False
            pool.take_back(array)
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(borrow, range(8)))


def borrow_in_child(pool, answer):
    array = pool.lend((8,), np.float64)
    array[:] = 1.0
    pool.take_back(array)
    answer.send(bool((pool.lend((8,), np.float64) == 1.0).all()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # that is what is tested
def test_a_forked_child_borrows_though_a_thread_of_its_parent_was_borrowing():
    pool, fork = Pool(), multiprocessing.get_context("fork")
    held, done = threading.Event(), threading.Event()

    def hold():
        with pool._lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    ours, theirs = fork.Pipe()
    child = fork.Process(target=borrow_in_child, args=(pool, theirs))
    child.start()
    try:
        assert ours.poll(30)  # the lock of the parent is nobody's in the child
        assert ours.recv()
    finally:
        child.kill()
        child.join()
        done.set()
        thread.join()
    pool.take_back(pool.lend((8,), np.float64))


@pytest.mark.parametrize("n", [0, 3, scratch._MOST_HELD + 1])
def test_scratch_of_a_thread_has_the_room_that_is_asked_for(n):
    own = Scratch()
    assert own.zeros("a", n).shape == (n,)
    assert not own.zeros("a", n).any()
    assert own.empty("b", n).size == n


def test_scratch_of_threads_is_not_shared():
    own = Scratch()
    here = own.zeros("a", 5)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: own.empty("a", 5).fill(7.0)).result()
    assert not here.any()
    assert np.shares_memory(own.empty("a", 3), here)
