"""Tiles in registers against loops over their rows and columns; whatever lies around a tile stays as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from statespace.foundations import register_tile
from tests import naive_tile


@njit
def _add_wide(n, x, x_at, x_row, x_k, a, a_at, a_k, out, out_at, out_row):
    register_tile.add_tile(8, n, x, x_at, x_row, x_k, a, a_at, a_k, out, out_at, out_row)


@njit
def _add_narrow(n, x, x_at, x_row, x_k, a, a_at, a_k, out, out_at, out_row):
    register_tile.add_tile(4, n, x, x_at, x_row, x_k, a, a_at, a_k, out, out_at, out_row)


@njit
def _weigh_wide(n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, out_row):
    register_tile.weigh_tile(8, n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, out_row)


@njit
def _weigh_narrow(n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, out_row):
    register_tile.weigh_tile(4, n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, out_row)


@njit
def _pair_wide_summed(n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, y, y_at, pairs, targets):
    register_tile.weigh_and_pair_tile(
        8, 1, n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, y, y_at, pairs, targets
    )


@njit
def _pair_narrow(n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, y, y_at, pairs, targets):
    register_tile.weigh_and_pair_tile(
        4, 0, n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, y, y_at, pairs, targets
    )


@njit
def _dot(n, x, x_at, y, y_at):
    return register_tile.dot(n, x, x_at, y, y_at)


ADD = {8: _add_wide, 4: _add_narrow}
WEIGH = {8: _weigh_wide, 4: _weigh_narrow}
PAIR = {(8, 1): _pair_wide_summed, (4, 0): _pair_narrow}


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([8, 4]), st.integers(0, 11), st.booleans(), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_a_tile_is_added_to_what_is_there(width, n, transposed, off, seed):
    rng = np.random.default_rng(seed)
    x, a, out = rng.normal(size=200), rng.normal(size=150), rng.normal(size=160)
    x_row, x_k = (1, 9) if transposed else (n + 2, 1)
    expected = out.copy()
    naive_tile.add_tile(width, n, x, off, x_row, x_k, a, off, width + off, expected, off, width + 3)
    ADD[width](n, x, off, x_row, x_k, a, off, width + off, out, off, width + 3)
    agree(out, expected)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([8, 4]), st.integers(0, 11), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_rows_are_weighed_by_those_that_are_looked_up(width, n, off, seed):
    rng = np.random.default_rng(seed)
    x, a, e = rng.normal(size=200), rng.normal(size=150), rng.normal(size=100)
    places, out = rng.integers(0, 80, 8 + off), rng.normal(size=160)
    expected = out.copy()
    naive_tile.weigh_tile(width, n, x, off, n + 1, a, off, e, off, places, off, expected, off, width + 3)
    WEIGH[width](n, x, off, n + 1, a, off, e, off, places, off, out, off, width + 3)
    agree(out, expected)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(8, 1), (4, 0)]), st.integers(0, 11), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_pairs_go_to_the_rows_that_are_looked_up(kind, n, off, seed):
    rng = np.random.default_rng(seed)
    row = 12
    x, a, e, y = (rng.normal(size=size) for size in (200, 150, 100, 200))
    places = rng.integers(0, 4, 8 + off) * 16  # often the same one
    targets = rng.permutation(8 + off) * 8
    out, pairs = rng.normal(size=200), rng.normal(size=100)
    expected_out, expected_pairs = out.copy(), pairs.copy()
    arguments = n, x, off, row, a, off, e, off, places, off
    naive_tile.weigh_and_pair_tile(*kind, *arguments, expected_out, off, y, off, expected_pairs, targets)
    PAIR[kind](*arguments, out, off, y, off, pairs, targets)
    agree(out, expected_out)
    agree(pairs, expected_pairs)


@pytest.mark.parametrize("n", [4, 8, 20])
def test_dot_is_the_sum_of_products(n):
    x, y = np.random.default_rng(n).normal(size=(2, 30))
    assert _dot(n, x, 3, y, 5) == pytest.approx(naive_tile.dot(n, x, 3, y, 5), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("m", [1, 4, 5, 8, 9, 13, 16])
def test_panels_have_the_columns_of_a_matrix_and_zeros(m):
    A = np.random.default_rng(m).normal(size=(3, m))
    panels = np.full(3 * (-(-m // 4) * 4), np.nan)
    register_tile.pack_panels(A, panels)
    wide = -(-m // 4) * 4
    padded = np.concatenate([A, np.zeros((3, wide - m))], axis=1)
    expected = np.concatenate([padded[:, c : min(c + 8, wide)].ravel() for c in range(0, wide, 8)])
    np.testing.assert_array_equal(panels, expected)
