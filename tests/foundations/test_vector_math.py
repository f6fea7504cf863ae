"""exp against high precision."""

import mpmath
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.foundations.vector_math import exponentiate_in_place


def exponential(x):
    values = np.array(x, dtype=np.float64)
    exponentiate_in_place(values)
    return values


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-708.0, 709.0), min_size=1, max_size=20))
def test_exp_is_right_to_one_unit_in_the_last_place(x):
    with mpmath.workdps(40):
        for argument, found in zip(x, exponential(x).tolist(), strict=True):
            exact = mpmath.exp(mpmath.mpf(argument))
            assert abs(mpmath.mpf(found) - exact) <= float(np.spacing(float(exact)))


def test_exp_is_right_where_the_series_is_farthest_from_its_centre():
    n = np.arange(-1000, 1000)
    x = (n + 0.5) * np.log(2.0)
    x = np.concatenate([np.nextafter(x, -np.inf), x, np.nextafter(x, np.inf)])
    np.testing.assert_array_max_ulp(exponential(x), np.exp(x), maxulp=1)


def test_exp_below_the_smallest_normal_number_is_rounded_once():
    x = np.linspace(-745.2, -707.0, 4001)
    assert np.abs(exponential(x) - np.exp(x)).max() <= 5e-324 * 1.5


def test_exp_of_what_is_no_number():
    x = [-np.inf, np.inf, np.nan, -746.0, -1e308, 710.0, 1e308, 0.0, -0.0]
    expected = [0.0, np.inf, np.nan, 0.0, 0.0, np.inf, np.inf, 1.0, 1.0]
    np.testing.assert_array_equal(exponential(x), expected)
