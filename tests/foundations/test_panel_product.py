"""Packed products of matrices against those of numpy; whatever lies around a result stays as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.foundations.elementwise import lanes, padded
from statespace.foundations.panel_product import (
    add_packed,
    add_product,
    add_short_rows,
    as_panels,
    as_transposed_panels,
    pack_columns,
    pack_rows,
)

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
TOLERANCE = {np.float64: 1e-13, np.float32: 1e-5}


def draws(dtype, seed):
    rng = np.random.default_rng(seed)
    return lambda *shape: rng.normal(size=shape).astype(dtype)


def filled_up(W, gates, H):
    """Columns of zeros after the H of each gate, up to whole vectors."""
    Hp = padded(H, W.dtype)
    return np.pad(W.reshape(len(W), gates, H), ((0, 0), (0, 0), (0, Hp - H))).reshape(len(W), gates * Hp)


def agree(found, expected, dtype):
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * 10)


@DTYPES
@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 35))
def test_panels_hold_some_columns_of_all_rows_gate_after_gate(dtype, K, gates, H):
    W, width = draws(dtype, K)(K, gates * H), lanes(dtype)
    whole = filled_up(W, gates, H)
    expected = [whole[:, first : first + width].ravel() for first in range(0, whole.shape[1], width)]
    np.testing.assert_array_equal(as_panels(W, H), np.concatenate(expected))


@DTYPES
@given(st.integers(1, 35), st.integers(1, 4), st.integers(1, 35))
def test_transposed_panels_are_those_of_the_transpose(dtype, K, gates, H):
    W = draws(dtype, K)(K, gates * H)
    np.testing.assert_array_equal(
        as_transposed_panels(W, H), as_panels(np.ascontiguousarray(filled_up(W, gates, H).T), K)
    )


@DTYPES
@given(
    rows=st.integers(0, 11) | st.sampled_from([128, 129, 261]),
    K=st.integers(0, 40),
    gates=st.integers(1, 5),
    H=st.integers(1, 20),
    off=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_product_is_added_to_what_is_there(dtype, rows, K, gates, H, off, seed):
    draw, width = draws(dtype, seed), lanes(dtype)
    W = draw(K, gates * H)
    columns = gates * padded(H, dtype)
    A, C = draw(off + rows * (K + 2)), draw(off + rows * (columns + 1) + 5)
    expected = C.copy()
    product = A[off:].reshape(rows, K + 2)[:, :K].astype(float) @ filled_up(W, gates, H)
    expected[off : off + rows * (columns + 1)].reshape(rows, columns + 1)[:, :columns] += product.astype(dtype)
    panels = columns // width
    add_product(rows, A, off, K + 2, K, as_panels(W, H), 0, K * width, panels, width, C, off, columns + 1)
    agree(C, expected, dtype)
    around = np.ones(C.size, bool)
    around[off : off + rows * (columns + 1)].reshape(rows, columns + 1)[:, :columns] = False
    np.testing.assert_array_equal(C[around], expected[around])


@DTYPES
@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_a_row_comes_out_the_same_to_the_last_bit_alone_and_among_others(dtype, rows, K, N, seed):
    draw, width = draws(dtype, seed), lanes(dtype)
    A, panels, columns = draw(rows, K), as_panels(draw(K, N), N), padded(N, dtype)
    together, alone = np.zeros((2, rows, columns), dtype)
    place = 0, K * width, columns // width, width
    add_product(rows, A.reshape(-1), 0, K, K, panels, *place, together.reshape(-1), 0, columns)
    for row in range(rows):
        add_product(1, A[row].copy(), 0, K, K, panels, *place, alone[row], 0, columns)
    np.testing.assert_array_equal(together, alone)


@DTYPES
@settings(max_examples=80)
@given(data=st.data())
def test_packed_rows_add_the_product_of_the_columns_that_go_on(dtype, data):
    B, T = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 5))
    rows = np.array(sorted(data.draw(st.lists(st.integers(0, B), min_size=T, max_size=T)), reverse=True), np.int64)
    first = data.draw(st.integers(0, T))
    last = data.draw(st.integers(first, T))
    K, N, ones = data.draw(st.integers(1, 11)), data.draw(st.integers(1, 35)), data.draw(st.integers(0, 1))
    draw, width = draws(dtype, data.draw(st.integers(0, 2**32 - 1))), lanes(dtype)
    columns, places = padded(N, dtype), 1 + T * B
    A, D = draw(places, K + 3), draw(places, columns + 2)
    of_rows = sum(rows[first:last].tolist())
    fours = -(-(K + ones) // 4) * 4
    packed, beside = np.full(of_rows * columns, np.nan, dtype), np.full(of_rows * fours, np.nan, dtype)
    n = pack_rows(first, last, rows, B, D.reshape(-1), 2, columns + 2, columns, width, packed)
    pack_columns(first, last, rows, B, A.reshape(-1), 1, K + 3, K, ones, beside)
    assert n == of_rows
    C = draw(fours, columns + 1)
    expected = C.astype(float)
    for t in range(first, last):
        for row in range(rows[t]):
            left = np.zeros(fours)
            left[:K] = A[t * B + row, 1 : 1 + K]
            left[K : K + ones] = 1
            expected[:, :columns] += np.outer(left, D[t * B + row, 2:])
    add_packed(n, beside, K + ones, packed, 0, columns // width, width, C.reshape(-1), 0, columns + 1)
    agree(C, expected.astype(dtype), dtype)


@DTYPES
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 20), K=st.integers(1, 11), panels=st.integers(1, 3))
def test_rows_as_they_lie_add_to_the_bit_what_packed_ones_add(dtype, seed, n, K, panels):
    draw, width = draws(dtype, seed), lanes(dtype)
    columns, fours = panels * width, -(-K // 4) * 4
    A, D, rows = draw(n, K + 3), draw(n, columns + 2), np.ones(n, np.int64)
    packed, beside = np.empty(n * columns, dtype), np.empty(n * fours, dtype)
    pack_rows(0, n, rows, 1, D.reshape(-1), 2, columns + 2, columns, width, packed)
    pack_columns(0, n, rows, 1, A.reshape(-1), 1, K + 3, K, 0, beside)
    expected = draw(fours, columns + 1)
    C = expected.copy()
    add_packed(n, beside, K, packed, 0, panels, width, expected.reshape(-1), 0, columns + 1)
    add_short_rows(
        n, A.reshape(-1), 1, K + 3, K, D.reshape(-1), 2, columns + 2, panels, width, C.reshape(-1), 0, columns + 1
    )
    np.testing.assert_array_equal(C[:K, :columns], expected[:K, :columns])
    one, sums = np.ones(1, dtype), np.zeros((1, columns), dtype)
    add_short_rows(n, one, 0, 0, 1, D.reshape(-1), 2, columns + 2, panels, width, sums.reshape(-1), 0, columns)
    agree(sums[0], D[:, 2:].astype(float).sum(axis=0).astype(dtype), dtype)
