"""One vector of a sequence against loops, its derivatives against differences, and a feed-forward layer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.neural.feed_forward import FeedForward
from statespace.neural.pooling import POOLINGS, Pooled

seeds = st.integers(0, 2**32 - 1)


@st.composite
def batches(draw):
    B, T, D = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(seeds))
    lengths = rng.integers(1, T + 1, B)
    outputs = rng.normal(size=(B, T, D))
    outputs[np.arange(T)[None, :] >= lengths[:, None]] = 0.0
    return outputs, lengths, draw(st.integers(0, D))


def by_hand(outputs, lengths, pooling, n_forward):
    found = np.empty((len(outputs), outputs.shape[2]))
    for b, n in enumerate(lengths):
        for d in range(outputs.shape[2]):
            row = outputs[b, :n, d]
            last = row[-1] if d < n_forward else row[0]
            found[b, d] = {"last": last, "mean": sum(row) / n, "max": max(row)}[pooling]
    return found


@pytest.mark.parametrize("pooling", POOLINGS)
@given(batches())
def test_it_is_what_loops_find(pooling, case):
    outputs, lengths, n_forward = case
    found = Pooled(outputs, lengths, pooling, n_forward).values
    np.testing.assert_allclose(found, by_hand(outputs, lengths, pooling, n_forward), rtol=1e-14)


@pytest.mark.parametrize("pooling", POOLINGS)
@given(batches())
def test_a_row_is_the_same_to_the_bit_whatever_it_is_padded_to(pooling, case):
    outputs, lengths, n_forward = case
    found = Pooled(outputs, lengths, pooling, n_forward).values
    wider = np.concatenate([outputs, np.zeros_like(outputs), np.zeros_like(outputs)], axis=1)
    np.testing.assert_array_equal(Pooled(wider, lengths, pooling, n_forward).values, found)


@pytest.mark.parametrize("pooling", POOLINGS)
@given(batches(), seeds)
def test_derivatives_are_those_of_differences(pooling, case, seed):
    outputs, lengths, n_forward = case
    rng = np.random.default_rng(seed)
    d_values = rng.normal(size=(len(outputs), outputs.shape[2]))
    found = Pooled(outputs, lengths, pooling, n_forward).gradients(d_values)
    away = rng.normal(size=outputs.shape) * (np.arange(outputs.shape[1])[None, :] < lengths[:, None])[:, :, None]
    h = 1e-7
    up, down = (Pooled(outputs + sign * h * away, lengths, pooling, n_forward).values for sign in (1, -1))
    np.testing.assert_allclose((found * away).sum(), (d_values * (up - down)).sum() / (2 * h), rtol=1e-6, atol=1e-7)
    assert not found[np.arange(outputs.shape[1])[None, :] >= lengths[:, None]].any()


@given(seeds, st.integers(1, 6), st.integers(1, 5), st.integers(1, 9))
def test_a_layer_is_its_formula_and_so_are_its_derivatives(seed, n, inputs, outputs):
    rng = np.random.default_rng(seed)
    layer = FeedForward(inputs, outputs, np.float64, rng)
    layer.weights["bias"][...] = rng.normal(size=outputs)
    x, d_y = rng.normal(size=(n, inputs)), rng.normal(size=(n, outputs))
    run = layer(x)
    W, b = layer.weights["weight"], layer.weights["bias"]
    y = x @ W.T + b
    np.testing.assert_allclose(run.outputs, np.maximum(y, 0), rtol=1e-12, atol=1e-13)
    vector, d_x = run.gradients(d_y)
    through = d_y * (y > 0)
    found = layer.by_name(vector)
    np.testing.assert_allclose(found["weight"], through.T @ x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found["bias"], through.sum(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(d_x, through @ W, rtol=1e-12, atol=1e-12)
