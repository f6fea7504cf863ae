"""Quantiles by bisection, against scipy's and by definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statespace.foundations.quantiles import quantiles

LARGEST = np.finfo(float).max
levels = st.floats(0.001, 0.999)
powers = st.integers(-250, 250).map(lambda power: 10.0**power)


def everywhere(n):
    return -np.full(n, LARGEST), np.full(n, LARGEST)


@given(st.lists(levels, min_size=1, max_size=5), st.floats(-5, 5), powers)
def test_quantiles_of_a_normal_law_are_scipys_in_any_units(level, mean, scale):
    found = quantiles(lambda x: stats.norm.cdf(x / scale, mean), np.array(level), *everywhere(len(level)))
    np.testing.assert_allclose(found, stats.norm.ppf(level, mean) * scale, rtol=1e-9, atol=1e-9 * scale)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), levels)
def test_a_quantile_is_the_smallest_number_that_reaches_the_level(atoms, level):
    def cdf(x):
        return (np.array(atoms) <= x[:, None]).mean(axis=1)

    found = quantiles(cdf, level, *everywhere(1))
    assert cdf(found)[0] >= level
    assert cdf(np.nextafter(found, -np.inf))[0] < level
    assert found[0] in atoms


@pytest.mark.parametrize("atom", [0.0, -0.0, 5e-324, -5e-324, 1.0, -1.0, LARGEST, -LARGEST, math.pi])
def test_an_atom_is_met_exactly(atom):
    found = quantiles(lambda x: np.where(x < atom, 0.0, 1.0), np.array([0.1, 0.5, 0.9]), *everywhere(3))
    assert found.tolist() == [atom] * 3


def test_bounds_that_touch_the_quantile_are_kept():
    assert quantiles(lambda x: (x >= 2).astype(float), 0.5, np.array([2.0, 1.0]), np.array([2.0, 2.0])).tolist() == [
        2,
        2,
    ]
