"""Loops over rows of vectors against loops over numbers; whatever lies around stays as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from statespace.foundations import register_rows, register_tile
from tests import naive_tile


@njit
def _set_tile(n, x, x_at, x_row, x_k, a, a_at, a_k, start, start_at, start_row, out, out_at, out_row):
    register_tile.set_tile(n, x, x_at, x_row, x_k, a, a_at, a_k, start, start_at, start_row, out, out_at, out_row)


@njit
def _combine(n, x, x_at, a, a_at, a_k, start, start_at, out, out_at):
    register_rows.combine(n, x, x_at, a, a_at, a_k, start, start_at, out, out_at)


@njit
def _combine_chosen(n, x, x_at, chosen, chosen_at, a, a_at, a_row, start, start_at, out, out_at):
    register_rows.combine_chosen(n, x, x_at, chosen, chosen_at, a, a_at, a_row, start, start_at, out, out_at)


@njit
def _subtract_outer(n, x, x_at, y, y_at, a, a_at, out, out_at, row):
    register_rows.subtract_outer(n, x, x_at, y, y_at, a, a_at, out, out_at, row)


@njit
def _three_sums(n, x, x_at, y, y_at, z, z_at):
    return register_rows.three_sums(n, x, x_at, y, y_at, z, z_at)


@njit
def _copy_run(n, a, a_at, out, out_at):
    register_rows.copy_run(n, a, a_at, out, out_at)


@njit
def _add_scaled(n, factor, x, x_at, start, start_at, out, out_at):
    register_rows.add_scaled(n, factor, x, x_at, start, start_at, out, out_at)


@njit
def _scale_run(n, factor, x, x_at, out, out_at):
    register_rows.scale_run(n, factor, x, x_at, out, out_at)


@njit
def _take_row(n, data, row, root, moved, mean_at, left_at, bound, bound_at, k_at, scaled_at, taken_at):
    return register_rows.take_row(
        n, data, row, root, moved, mean_at, left_at, bound, bound_at, k_at, scaled_at, taken_at
    )


@njit
def _turn_tile(a, a_at, a_row, out, out_at, out_row):
    register_rows.turn_tile(a, a_at, a_row, out, out_at, out_row)


@njit
def _mirror_tile(a, a_at, a_row):
    register_rows.mirror_tile(a, a_at, a_row)


def agree(fast, naive, *arguments):
    """Both leave the same arrays behind, and return the same; numbers beside what is written are untouched."""
    copies = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]
    expected, found = naive(*copies), fast(*arguments)
    for one, other in zip(arguments, copies, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)
    if expected is not None:
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


offsets, seeds, fours = st.integers(0, 3), st.integers(0, 2**32 - 1), st.integers(1, 4).map(lambda k: 4 * k)
eights = st.integers(1, 3).map(lambda k: 8 * k)


def numbers(seed, size=400):
    return np.random.default_rng(seed).normal(size=size)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 11), st.booleans(), st.booleans(), offsets, seeds)
def test_a_tile_begins_with_what_it_is_given(n, turned, one_row, off, seed):
    x, a, start, out = (numbers([seed, i]) for i in range(4))
    row, along = (1, 9) if turned else (n + 2, 1)
    shape = n, x, off, row, along, a, off, 11, start, off, 0 if one_row else 10, out, off, 13
    agree(_set_tile, naive_tile.set_tile, *shape)


@settings(max_examples=25, deadline=None)
@given(eights, eights, st.integers(0, 9), st.booleans(), offsets, seeds)
def test_a_product_is_put_together_from_tiles(rows, columns, n, lower, off, seed):
    x, a, start, out = (numbers([seed, i], 1000) for i in range(4))
    shape = rows, columns, n, x, off, n + 1, 1, a, off, 27, start, off, 26, out, off, 25, int(lower)
    agree(register_rows.set_product, naive_tile.set_product, *shape)


@settings(max_examples=25, deadline=None)
@given(fours, offsets, seeds)
def test_rows_are_combined(n, off, seed):
    x, a, start, out = (numbers([seed, i]) for i in range(4))
    agree(_combine, naive_tile.combine, n, x, off, a, off, 11, start, off, out, off)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), offsets, seeds)
def test_rows_that_are_chosen_are_combined(n, off, seed):
    x, a, start, out = (numbers([seed, i]) for i in range(4))
    chosen = np.random.default_rng(seed).integers(0, 20, 12)
    agree(_combine_chosen, naive_tile.combine_chosen, n, x, off, chosen, off, a, off, 11, start, off, out, off)


@settings(max_examples=25, deadline=None)
@given(fours, st.booleans(), offsets, seeds)
def test_an_outer_product_is_subtracted(n, in_place, off, seed):
    x, y, a, other = (numbers([seed, i]) for i in range(4))
    agree(_subtract_outer, naive_tile.subtract_outer, n, x, off, y, off, a, off, other, off, 13)
    if in_place:
        expected = a.copy()
        naive_tile.subtract_outer(n, x, off, y, off, expected, off, expected, off, 13)
        _subtract_outer(n, x, off, y, off, a, off, a, off, 13)
        np.testing.assert_allclose(a, expected, rtol=1e-13, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(eights, offsets, seeds)
def test_three_sums_are_those_of_the_products(n, off, seed):
    agree(_three_sums, naive_tile.three_sums, n, *(v for i in range(3) for v in (numbers([seed, i]), off)))


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 19])
def test_a_run_is_copied_and_no_more(n):
    agree(_copy_run, naive_tile.copy_run, n, numbers(0), 3, numbers(1), 5)
    cube = numbers(2, 60).reshape(3, 4, 5)
    out = np.zeros(30)
    _copy_run(n, cube, 20, out, 1)  # of several axes by the place in all of it
    np.testing.assert_array_equal(out[1 : n + 1], cube.ravel()[20 : 20 + n])
    assert not out[n + 1 :].any()


@settings(max_examples=25, deadline=None)
@given(eights, st.floats(-3, 3), offsets, seeds)
def test_runs_are_scaled_and_added(n, factor, off, seed):
    x, start, out = (numbers([seed, i]) for i in range(3))
    agree(_add_scaled, naive_tile.add_scaled, n, factor, x, off, start, off, out, off)
    agree(_scale_run, naive_tile.scale_run, n, factor, x, off, out, off)


@settings(max_examples=25, deadline=None)
@given(eights, st.floats(0, 2), st.floats(-2, 2), st.floats(0, 1), seeds)
def test_a_row_is_taken(n, root, moved, bound, seed):
    places = [30 * i for i in range(7)]
    mean, left, limit, k, scaled, taken = places[1:]
    arguments = n, numbers(seed), places[0], root, moved, mean, left, bound, limit, k, scaled, taken
    agree(_take_row, naive_tile.take_row, *arguments)


@settings(max_examples=25, deadline=None)
@given(offsets, seeds)
def test_tiles_are_turned_and_mirrored(off, seed):
    a, out = numbers([seed, 0]), numbers([seed, 1])
    agree(_turn_tile, naive_tile.turn_tile, a, off, 11, out, off, 9)
    expected = a.copy()
    naive_tile.turn_tile(expected, off, 11, expected, off, 11)
    _turn_tile(a, off, 11, a, off, 11)
    np.testing.assert_array_equal(a, expected)
    agree(_mirror_tile, naive_tile.mirror_tile, a, off, 11)
