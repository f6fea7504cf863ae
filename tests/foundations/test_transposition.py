"""Stretches that are turned in registers against a transpose; what lies around them stays as it was."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from statespace.foundations.transposition import SIDE, transpose_stretches


@njit
def _transpose(x, starts, first, beyond, out, place, apart):
    transpose_stretches(x, starts, first, beyond, out, place, apart)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_numbers_of_one_time_lie_side_by_side(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=200)
    first, beyond, place, apart = (int(rng.integers(0, most)) for most in (4, 9, 20, 5))
    apart += SIDE
    starts = rng.integers(0, len(x) - beyond - SIDE + 1, first + SIDE)
    out = rng.normal(size=place + SIDE * apart + 3)
    expected = out.copy()
    for j in range(SIDE):
        for s in range(SIDE):
            expected[place + apart * j + s] = x[starts[first + s] + beyond + j]
    _transpose(x, starts, first, beyond, out, place, apart)
    np.testing.assert_array_equal(out, expected)
