"""Attention against its formulas in plain loops, and its derivatives against differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations import executors
from statespace.neural import Attention
from tests.naive_attention import look

KINDS = pytest.mark.parametrize("kind", ["dot", "general", "additive"])
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
seeds = st.integers(0, 2**32 - 1)


def drawn(kind, seed, dtype=np.float64, n=None):
    """An attention, a batch of outputs with their lengths, and what was read."""
    rng = np.random.default_rng(seed)
    H, M = int(rng.integers(1, 20)), int(rng.integers(1, 20))
    M = H if kind == "dot" else M
    B, T, S = int(rng.integers(1, 6)) if n is None else n, int(rng.integers(1, 6)), int(rng.integers(1, 8))
    attention = Attention(kind, H, M, dtype, 0)
    attention.vector[...] = rng.normal(size=attention.n_parameters)
    outputs, read = (rng.normal(size=shape).astype(dtype) for shape in ((B, T, H), (B, S, M)))
    return attention, outputs, rng.integers(1, T + 1, B), read, rng.integers(1, S + 1, B)


@KINDS
@DTYPES
@given(seeds)
def test_attention_is_what_its_formulas_say(kind, dtype, seed):
    attention, outputs, steps, read, lengths = drawn(kind, seed, dtype)
    found = attention.run(outputs, steps, attention.remember(read, lengths))
    tolerance = 1e-12 if dtype is np.float64 else 1e-4  # scores are sums of squares of up to 20 numbers
    weights = {name: value.astype(float) for name, value in attention.weights.items()}
    for b, (t, s) in enumerate(zip(steps, lengths, strict=True)):
        expected, looked = look(kind, weights, outputs[b, :t].astype(float), read[b, :s].astype(float))
        np.testing.assert_allclose(found.outputs[b, :t], expected, rtol=0, atol=tolerance)
        np.testing.assert_allclose(found.weights[b, :t, :s], looked, rtol=0, atol=tolerance)


@KINDS
@DTYPES
@given(seeds)
def test_weights_sum_to_one_and_are_zero_where_there_is_nothing(kind, dtype, seed):
    attention, outputs, steps, read, lengths = drawn(kind, seed, dtype)
    weights = attention.run(outputs, steps, attention.remember(read, lengths)).weights
    counts = np.arange(outputs.shape[1])[None, :] < steps[:, None]
    np.testing.assert_allclose(weights.sum(axis=2), counts, rtol=0, atol=1e-5 if dtype is np.float32 else 1e-14)
    assert (weights >= 0).all()
    beyond = np.arange(read.shape[1])[None, None, :] >= lengths[:, None, None]
    assert not weights[np.broadcast_to(beyond, weights.shape)].any()


@KINDS
@given(seeds)
def test_derivatives_are_those_of_differences(kind, seed):
    attention, outputs, steps, read, lengths = drawn(kind, seed)
    towards = np.random.default_rng(seed).normal(size=outputs.shape)
    towards[np.arange(outputs.shape[1])[None, :] >= steps[:, None]] = 0.0

    def loss():
        return float((attention.run(outputs, steps, attention.remember(read, lengths)).outputs * towards).sum())

    slopes = attention.run(outputs, steps, attention.remember(read, lengths), keep=True).gradients(towards)
    for place, slope in zip((attention.vector, outputs, read), slopes, strict=True):
        flat, entries = place.reshape(-1), np.random.default_rng(0).permutation(place.size)[:10]
        largest = np.abs(slope).max(initial=1e-3)
        for i in entries:
            e = 1e-3
            kept = flat[i]
            values = []
            for k in (1, -1, 2, -2):
                flat[i] = kept + k * e
                values.append(loss())
            flat[i] = kept
            difference = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * e)
            # The formula leaves out a fifth derivative times e^4, which scores of size 20 make large
            assert abs(slope.reshape(-1)[i] - difference) <= 1e-5 * max(largest, 1.0), (kind, place.shape, i)


@KINDS
@DTYPES
def test_a_row_has_the_same_bits_alone_and_among_others_and_however_it_is_padded(kind, dtype):
    attention, outputs, steps, read, lengths = drawn(kind, 5, dtype, n=70)
    found = attention.run(outputs, steps, attention.remember(read, lengths))
    for b in range(0, 70, 7):
        t, s = steps[b], lengths[b]
        wide = np.full((1, s + 3, read.shape[2]), np.nan, dtype)
        wide[0, :s] = read[b, :s]
        alone = attention.run(outputs[b : b + 1, :t], steps[b : b + 1], attention.remember(wide, lengths[b : b + 1]))
        assert np.array_equal(alone.outputs[0], found.outputs[b, :t])
        assert np.array_equal(alone.weights[0, :, :s], found.weights[b, :t, :s])


@KINDS
@DTYPES
def test_the_number_of_threads_changes_no_bit(kind, dtype, monkeypatch):
    attention, outputs, steps, read, lengths = drawn(kind, 6, dtype, n=200)
    found = []
    for n in (1, 2, 5):
        monkeypatch.setattr(executors, "_n_processors", lambda n=n: n)
        run = attention.run(outputs, steps, attention.remember(read, lengths), keep=True)
        found.append((run.outputs, run.weights, *run.gradients(outputs)))
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


@KINDS
def test_a_row_may_look_at_what_another_read(kind):
    attention, outputs, steps, read, lengths = drawn(kind, 7, n=4)
    which = np.array([2, 0, 0, 3])
    found = attention.run(outputs, steps, attention.remember(read, lengths), which)
    expected = attention.run(outputs, steps, attention.remember(read[which], lengths[which]))
    assert np.array_equal(found.outputs, expected.outputs)


def test_huge_scores_do_not_overflow():
    attention = Attention("dot", 1, 1, np.float64, 0)
    read = np.array([[[1e200], [-1e200]]])
    found = attention.run(np.array([[[1e100]]]), np.array([1]), attention.remember(read, np.array([2])))
    assert found.weights.tolist() == [[[1.0, 0.0]]]


def test_a_dot_product_of_unequal_sizes_is_refused_in_words():
    with pytest.raises(ValueError, match='there are 4 and 8: use "general"'):
        Attention("dot", 4, 8)
    with pytest.raises(ValueError, match="kind is 'cosine'"):
        Attention("cosine", 4, 4)
