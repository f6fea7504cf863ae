"""Formulas as vector instructions: sigmoid and tanh against high precision, and which numbers are read and written."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from statespace.foundations.elementwise import elementwise, lanes, padded, relu, sigmoid, step_of, tanh

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def weighed(x, weight, y):
    """A sum and a difference."""
    return x + weight * y, 2.0 - x / y


_sigmoid, _tanh = elementwise(sigmoid, "a", 1), elementwise(tanh, "a", 1)
_relu, _step_of = elementwise(relu, "a", 1), elementwise(step_of, "a", 1)
_weighed = elementwise(weighed, "asa", 2)


@njit
def _run_sigmoid(n, x, x_at, out, out_at):
    _sigmoid(n, x, x_at, out, out_at)


@njit
def _run_tanh(n, x, x_at, out, out_at):
    _tanh(n, x, x_at, out, out_at)


@njit
def _run_relu(n, x, x_at, out, out_at):
    _relu(n, x, x_at, out, out_at)


@njit
def _run_step_of(n, x, x_at, out, out_at):
    _step_of(n, x, x_at, out, out_at)


@njit
def _run_weighed(n, x, x_at, weight, y, y_at, out, out_at, other, other_at):
    _weighed(n, x, x_at, weight, y, y_at, out, out_at, other, other_at)


def applied(run, x, dtype):
    x = np.asarray(x, dtype)
    given, out = np.zeros(padded(x.size, dtype), dtype), np.full(padded(x.size, dtype), np.nan, dtype)
    given[: x.size] = x
    run(x.size, given, 0, out, 0)
    return out[: x.size]


def units_of_the_last_place(found, exact):
    return float(abs(mpmath.mpf(float(found)) - exact) / float(np.spacing(abs(found.dtype.type(exact)))))


def worst_error(run, exact, x, dtype):
    x = np.asarray(x, dtype)
    with mpmath.workdps(40):
        return max(
            units_of_the_last_place(found, exact(mpmath.mpf(float(argument))))
            for argument, found in zip(x, applied(run, x, dtype), strict=True)
        )


def exact_sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


@DTYPES
@given(data=st.data())
def test_sigmoid_is_right_to_three_units_of_the_last_place(dtype, data):
    bits, least = (64, -707.0) if dtype == np.float64 else (32, -86.0)  # below, it leaves the normal numbers
    x = data.draw(st.lists(st.floats(least, 2.0**100, width=bits), min_size=1, max_size=20))
    assert worst_error(_run_sigmoid, exact_sigmoid, x, dtype) <= 3.0


@DTYPES
@given(data=st.data())
def test_tanh_is_right_to_three_units_of_the_last_place(dtype, data):
    any_number = st.floats(allow_nan=False, allow_infinity=False, width=64 if dtype == np.float64 else 32)
    near = st.floats(-20.0, 20.0, width=32)
    x = data.draw(st.lists(any_number | near, min_size=1, max_size=20))
    assert worst_error(_run_tanh, mpmath.tanh, x, dtype) <= 3.0


@DTYPES
def test_sigmoid_and_tanh_are_as_good_where_their_arguments_are_reduced(dtype):
    n = np.arange(-40, 41)
    x = np.concatenate([(n + 0.5) * np.log(2.0), (n + 0.5) * np.log(2.0) / 2, n * np.log(2.0), np.linspace(-3, 3, 500)])
    assert worst_error(_run_sigmoid, exact_sigmoid, x, dtype) <= 3.0
    assert worst_error(_run_tanh, mpmath.tanh, x, dtype) <= 3.0


@DTYPES
def test_what_is_no_number_stays_none_and_the_ends_are_reached(dtype):
    x = [np.nan, np.inf, -np.inf, 0.0, 1e30, -1e30]
    np.testing.assert_array_equal(applied(_run_tanh, x, dtype), [np.nan, 1, -1, 0, 1, -1])
    np.testing.assert_array_equal(applied(_run_relu, x, dtype), np.array([np.nan, np.inf, 0, 0, 1e30, 0], dtype))
    np.testing.assert_array_equal(applied(_run_step_of, x, dtype)[1:], [1, 0, 0, 1, 0])
    found = applied(_run_sigmoid, x, dtype)
    np.testing.assert_array_equal(found[[0, 1, 3, 4]], [np.nan, 1, 0.5, 1])
    assert (found[[2, 5]] >= 0).all()
    assert found[[2, 5]].max() <= 2 * np.finfo(dtype).tiny  # the least that it gives
    assert not np.signbit(applied(_run_tanh, [0.0], dtype)[0])


@DTYPES
def test_of_numpy_arrays_the_formulas_are_numpys(dtype):
    x = np.linspace(-6, 6, 41).astype(dtype)
    for run, formula in ((_run_sigmoid, sigmoid), (_run_tanh, tanh), (_run_relu, relu), (_run_step_of, step_of)):
        np.testing.assert_allclose(applied(run, x, dtype), formula(x), rtol=4 * np.finfo(dtype).eps)


@DTYPES
@given(st.integers(0, 40), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_whole_vectors_are_read_and_written_from_their_places_on_and_nothing_else(dtype, n, x_at, out_at, seed):
    rng = np.random.default_rng(seed)
    x, y, out, other = rng.normal(size=(4, 80)).astype(dtype)
    y += np.sign(y)
    whole = padded(n, dtype)
    expected, expected_other = out.copy(), other.copy()
    a, b = x[x_at : x_at + whole], y[3 : 3 + whole]
    expected[out_at : out_at + whole], expected_other[1 : 1 + whole] = weighed(a, dtype(0.5), b)
    _run_weighed(n, x, x_at, 0.5, y, 3, out, out_at, other, 1)
    np.testing.assert_allclose(out, expected, rtol=1e-5 if dtype == np.float32 else 1e-14, atol=1e-6)
    np.testing.assert_allclose(other, expected_other, rtol=1e-5 if dtype == np.float32 else 1e-14, atol=1e-6)
    outside = np.r_[0:out_at, out_at + whole : 80]
    np.testing.assert_array_equal(out[outside], expected[outside])


@DTYPES
def test_a_result_may_lie_where_its_input_lay(dtype):
    x = np.linspace(-2, 2, 3 * lanes(dtype)).astype(dtype)
    expected = applied(_run_tanh, x, dtype)
    _run_tanh(x.size, x, 0, x, 0)
    np.testing.assert_array_equal(x, expected)
