"""Adam against its formulas written out, its error when a training fails, and going on from a saved state."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.neural import Adam, RecurrentNetwork, Schedule, TrainingDivergedError, clip_global_norm, global_norm

seeds = st.integers(0, 2**32 - 1)


def written_out(w, gradients, rate, beta1, beta2, epsilon, decay):
    """Kingma and Ba's algorithm 1 in their own order, with sums in place of running means."""
    w = w.copy()
    for t in range(1, len(gradients) + 1):
        powers = np.arange(t)[::-1]
        m = sum((1 - beta1) * beta1**k * g for k, g in zip(powers, gradients[:t], strict=True)) / (1 - beta1**t)
        v = sum((1 - beta2) * beta2**k * g**2 for k, g in zip(powers, gradients[:t], strict=True)) / (1 - beta2**t)
        w = w - rate(t - 1) * decay * w - rate(t - 1) * m / (np.sqrt(v) + epsilon)
    return w


@given(seeds, st.integers(1, 40), st.integers(1, 12), st.sampled_from([0.0, 0.3]), st.floats(1e-3, 1e3))
def test_steps_are_those_of_the_published_algorithm(seed, n, steps, decay, scale):
    rng = np.random.default_rng(seed)
    w, gradients = rng.normal(size=n), scale * rng.normal(size=(steps, n))
    rate = Schedule(0.05, "cosine", steps=20, warm_up=3)
    expected = written_out(w, gradients, rate, 0.8, 0.95, 1e-7, decay)
    adam = Adam(w, rate, beta1=0.8, beta2=0.95, epsilon=1e-7, weight_decay=decay)
    for g in gradients:
        assert adam.step(g) == pytest.approx(np.linalg.norm(g), rel=1e-14)
    np.testing.assert_allclose(w, expected, rtol=1e-11, atol=1e-13)


def test_long_vectors_are_updated_as_short_ones_are():
    rng = np.random.default_rng(0)
    w, g = rng.normal(size=70_000), rng.normal(size=(3, 70_000))
    apart = [w[i : i + 10_000].copy() for i in range(0, 70_000, 10_000)]
    adam, others = Adam(w), Adam(apart)
    for one in g:
        adam.step(one)
        others.step([one[i : i + 10_000].copy() for i in range(0, 70_000, 10_000)])
    np.testing.assert_array_equal(w, np.concatenate(apart))


def test_a_step_needs_no_memory():
    rng = np.random.default_rng(0)
    w, g = rng.normal(size=200_000), rng.normal(size=200_000)
    adam = Adam(w, Schedule(0.1, "cosine", steps=9), weight_decay=0.1, clip=1.0)
    adam.step(g, 1.0)
    tracemalloc.start()
    adam.step(g, 1.0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10_000  # bytes: views, not 1.6 MB of numbers


@given(seeds, st.floats(0.01, 10.0))
def test_clipping_leaves_the_direction_and_bounds_the_norm_over_all_parts(seed, most):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=3), rng.normal(size=(2, 4)), np.zeros(0)]
    flat = np.concatenate([p.ravel() for p in parts])
    norm = clip_global_norm(parts, most)
    assert norm == pytest.approx(np.linalg.norm(flat), rel=1e-14)
    clipped = np.concatenate([p.ravel() for p in parts])
    if norm <= most:
        np.testing.assert_array_equal(clipped, flat)
    else:
        np.testing.assert_allclose(clipped * norm / most, flat, rtol=2e-6 / min(norm, 1))
        assert np.linalg.norm(clipped) <= most


def test_clipped_steps_are_steps_on_clipped_gradients_and_leave_the_gradients_alone():
    rng = np.random.default_rng(1)
    w = rng.normal(size=50)
    ws = w.copy()
    clipping, plain = Adam(w, clip=0.5), Adam(ws)
    for scale in (0.01, 1.0, 30.0):
        g = scale * rng.normal(size=50)
        kept, other = g.copy(), g.copy()
        clip_global_norm([other], 0.5)
        clipping.step(g)
        plain.step(other)
        np.testing.assert_array_equal(g, kept)
    np.testing.assert_allclose(w, ws, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_norm_of_numbers_whose_squares_overflow_is_still_found(dtype):
    size = np.finfo(dtype).max / 16
    found = global_norm([np.array([3.0, 0.0], dtype) * size, np.array([4.0], dtype) * size])
    assert found == pytest.approx(5.0 * float(size), rel=1e-6)
    assert math.isinf(global_norm([np.array([np.inf], dtype)]))
    assert math.isnan(global_norm([np.array([np.nan], dtype), np.array([np.inf], dtype)]))


@pytest.mark.parametrize(
    ("loss", "bad"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (None, math.inf), (None, math.nan)]
)
def test_what_is_not_finite_stops_with_the_step_and_the_norm_and_the_last_good_weights(loss, bad):
    w = np.array([1.0, 2.0])
    adam = Adam(w, 0.1)
    adam.step(np.array([1.0, 1.0]), 5.0)
    good = w.copy()
    adam.step(np.array([1.0, -1.0]), 4.0)
    with pytest.raises(
        TrainingDivergedError, match=r"step 2: the (loss|gradient) is not finite .* norm of the"
    ) as caught:
        adam.step(np.array([bad, 0.0]), loss)
    assert caught.value.step == 2
    assert f"the norm of the gradient {caught.value.norm:g}" in str(caught.value)
    np.testing.assert_array_equal(w, good)  # those after step 1 are where the loss was not finite
    adam.step(np.array([1.0, -1.0]), 4.0)
    assert np.isfinite(w).all()


def test_a_gradient_whose_square_overflows_is_refused_unless_it_is_clipped():
    w = np.zeros(2, np.float32)
    with pytest.raises(TrainingDivergedError, match="no float32: clip it"):
        Adam(w).step(np.full(2, 1e30, np.float32))
    Adam(w, clip=1.0).step(np.full(2, 1e30, np.float32))
    np.testing.assert_allclose(w, -1e-3, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_saved_state_goes_on_to_the_same_bits(dtype):
    rng = np.random.default_rng(2)
    g = rng.normal(size=(10, 30)).astype(dtype)
    w = rng.normal(size=30).astype(dtype)
    adam = Adam(w, Schedule(0.1, "linear", steps=10), weight_decay=0.1)
    for one in g[:4]:
        adam.step(one)
    other, state = w.copy(), adam.state()
    for one in g[4:]:
        adam.step(one)
    resumed = Adam(other, Schedule(0.1, "linear", steps=10), weight_decay=0.1)
    resumed.load_state(state)
    for one in g[4:]:
        resumed.step(one)
    np.testing.assert_array_equal(w, other)
    assert resumed.n_steps == 10
    with pytest.raises(ValueError, match=r"first_moment_0 has shape \(30,\), expected shape \(3,\)"):
        Adam(np.zeros(3)).load_state(state)
    with pytest.raises(ValueError, match="second_moment_0 is missing"):
        resumed.load_state({k: v for k, v in state.items() if k != "second_moment_0"})


@pytest.mark.parametrize("decay_biases", [False, True])
def test_biases_decay_only_if_asked(decay_biases):
    net = RecurrentNetwork("lstm", 2, 3, num_layers=2, bidirectional=True, dtype=np.float64, random_state=0)
    net.vector[...] = 1.0
    Adam(net, 0.1, weight_decay=0.5, decay_biases=decay_biases).step(np.zeros(net.n_parameters))
    for name, weight in net.weights.items():
        np.testing.assert_allclose(weight, 1.0 if name.startswith("bias") and not decay_biases else 0.95)


def test_a_network_is_trained_in_place():
    net = RecurrentNetwork("gru", 2, 4, dtype=np.float64, random_state=0)
    X = np.random.default_rng(0).normal(size=(8, 6, 2))
    adam = Adam(net, 0.02, clip=1.0)
    losses = []
    for _ in range(30):
        trace = net.trace(X)
        away = trace.outputs - 0.3
        losses.append(float((away**2).mean()))
        adam.step(trace.gradient_vector(2 * away / away.size)[0], losses[-1])
    assert losses[-1] < 0.2 * losses[0]


@given(st.integers(0, 5), st.integers(6, 30), st.sampled_from(["linear", "cosine"]), st.floats(0, 1))
def test_schedules_rise_in_a_line_and_fall_to_what_is_left(warm_up, steps, decay, last):
    rates = [Schedule(2.0, decay, steps=steps, warm_up=warm_up, last=last)(n) for n in range(steps + 5)]
    np.testing.assert_allclose(rates[:warm_up], 2.0 * (np.arange(warm_up) + 1) / max(warm_up, 1))
    assert rates[warm_up] == 2.0
    assert (np.diff(rates[warm_up:]) <= 1e-15).all()
    np.testing.assert_allclose(rates[steps:], 2.0 * last, atol=1e-15)
    half = warm_up + (steps - warm_up) / 2
    if half == int(half):
        assert rates[int(half)] == pytest.approx(2.0 * (1 + last) / 2)


def test_what_cannot_be_meant_is_refused_in_words():
    w = np.zeros(3)
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    cases = [
        (lambda: Adam([1.0, 2.0]), TypeError, "nothing to train"),
        (lambda: Adam(np.zeros((2, 2))), TypeError, "nothing to train"),
        (lambda: Adam(np.zeros(3, int)), TypeError, "nothing to train"),
        (lambda: Adam(frozen), ValueError, "read-only"),
        (lambda: Adam([w, np.zeros(2, np.float32)]), ValueError, "float32.*float64.*one for all"),
        (lambda: Adam(w, -0.1), ValueError, "learning_rate is -0.1"),
        (lambda: Adam(w, beta1=1.0), ValueError, "beta1 is 1.0"),
        (lambda: Adam(w, clip=0), ValueError, "clip is 0"),
        (lambda: Adam(w).step(np.zeros(4)), ValueError, r"gradients\[0\] has shape \(4,\).*expected \(3,\)"),
        (lambda: Adam(w).step([np.zeros(3), np.zeros(3)]), ValueError, "2 gradients for 1 parts"),
        (lambda: Schedule(0.1, "cosine"), ValueError, "needs steps"),
        (lambda: Schedule(0.1, "fast"), ValueError, "decay is 'fast'"),
        (lambda: Schedule(0.1, "cosine", steps=3, warm_up=3), ValueError, "warm_up is 3 of 3 steps"),
        (lambda: Schedule(0.1, last=2.0), ValueError, "last is 2.0"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()
