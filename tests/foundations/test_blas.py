import threading

import numpy as np
import scipy.linalg  # noqa: F401  # brings a BLAS of its own
from threadpoolctl import threadpool_info, threadpool_limits

from statespace.foundations.blas import blas_on_one_thread


def threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_has_one_thread_inside_and_its_own_number_outside():
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        assert before
        assert set(before) == {2}
        with blas_on_one_thread():
            assert set(threads()) == {1}
            with blas_on_one_thread():
                assert set(threads()) == {1}
            assert set(threads()) == {1}
        assert threads() == before


def test_blas_is_left_alone_where_products_are_small():
    with threadpool_limits(2, user_api="blas"):
        with blas_on_one_thread(1000):
            assert set(threads()) == {2}
        with blas_on_one_thread(10**6):
            assert set(threads()) == {1}


def test_the_number_comes_back_after_an_error_and_after_calls_that_overlap():
    with threadpool_limits(2, user_api="blas"):
        try:
            with blas_on_one_thread():
                raise KeyError
        except KeyError:
            pass
        assert set(threads()) == {2}

        entered, leave = threading.Event(), threading.Event()

        def other():
            with blas_on_one_thread():
                entered.set()
                leave.wait(5)

        worker = threading.Thread(target=other)
        with blas_on_one_thread():
            worker.start()
            entered.wait(5)
        assert set(threads()) == {1}  # the other is still inside
        leave.set()
        worker.join()
        assert set(threads()) == {2}


def test_products_have_the_same_bits_whatever_the_threads_outside():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(300, 4000)), rng.normal(size=(4000, 300))
    found = []
    for n in (1, 2):
        with threadpool_limits(n, user_api="blas"), blas_on_one_thread():
            found.append(a @ b)
    np.testing.assert_array_equal(*found)
