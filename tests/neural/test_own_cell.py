"""Networks of a user's own cells: against the compiled ones, and their derivatives against differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.neural import (
    Adam,
    Categorical,
    CustomNetwork,
    Gaussian,
    Head,
    NetworkState,
    Poisson,
    RecurrentNetwork,
    check_gradients,
    check_head_gradients,
    gradient_flow,
)
from tests.neural.own_cells import Elman, LongShortTermMemory

seeds = st.integers(0, 2**32 - 1)


@st.composite
def networks(draw, cell):
    layers, both = draw(st.integers(1, 3)), draw(st.booleans())
    n, H, seed = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(seeds)
    net = CustomNetwork(cell(), n, H, layers, both, random_state=seed)
    rng = np.random.default_rng(seed)
    B, T = draw(st.integers(1, 5)), draw(st.integers(0, 6))
    lengths = rng.integers(0, T + 1, B)
    return net, rng.normal(size=(B, T, n)), lengths, rng


def towards(net, X, rng):
    outputs, state = net(X)
    return rng.normal(size=outputs.shape), rng.normal(size=state.h.shape)


@given(networks(LongShortTermMemory))
@settings(max_examples=25)
def test_an_lstm_in_numpy_is_the_compiled_one(drawn):
    net, X, lengths, rng = drawn
    compiled = RecurrentNetwork(
        "lstm", net.input_size, net.hidden_size, net.num_layers, net.bidirectional, dtype=np.float64
    )
    compiled.load_weights(net.weights)
    assert net.n_parameters == compiled.n_parameters
    assert net.output_size == compiled.output_size
    H = net.hidden_size
    d_outputs, d_state = towards(net, X, rng)
    start = rng.normal(size=d_state.shape)
    parts = NetworkState(start[..., :H], start[..., H:])
    outputs, state = net(X, lengths, start)
    expected, end = compiled(X, lengths, parts)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(state.h, np.concatenate(end, axis=2), rtol=1e-12, atol=1e-12)
    found = net.gradients(X, d_outputs, lengths, start, grad_state=d_state)
    wanted = compiled.gradients(
        X, d_outputs, lengths, parts, grad_state=NetworkState(d_state[..., :H], d_state[..., H:])
    )
    wanted["h0"] = np.concatenate([wanted["h0"], wanted.pop("c0")], axis=2)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        size = np.abs(value).max(initial=1.0)
        np.testing.assert_allclose(found[name], value, rtol=1e-11, atol=1e-12 * size, err_msg=name)


def test_steps_of_own_cells_give_what_a_call_gives():
    net, X = CustomNetwork(Elman(), 2, 3, 2, random_state=0), np.random.default_rng(0).normal(size=(4, 5, 2))
    outputs, end = net(X)
    state, one = None, None
    for t in range(5):
        found, state = net.step(X[:, t], state)
        np.testing.assert_allclose(found, outputs[:, t], rtol=1e-13, atol=1e-15)
        alone, one = net.step(X[0, t], one)
        np.testing.assert_allclose(alone, outputs[0, t], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(state.h, end.h, rtol=1e-13, atol=1e-15)
    with pytest.raises(ValueError, match=r"x has shape \(\), expected \(2,\) or \(batch, 2\)"):
        net.step(1.0)
    with pytest.raises(ValueError, match="it needs whole rows"):
        CustomNetwork(Elman(), 2, 3, bidirectional=True).step(X[0, 0])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("layer", [0, 1])
def test_the_gradient_flow_of_an_lstm_in_numpy_is_that_of_the_compiled_one(layer, reverse):
    rng = np.random.default_rng(layer)
    net = CustomNetwork(LongShortTermMemory(), 2, 3, 2, True, random_state=1)
    compiled = RecurrentNetwork("lstm", 2, 3, 2, True, dtype=np.float64)
    compiled.load_weights(net.weights)
    X, lengths, start = rng.normal(size=(4, 6, 2)), [6, 0, 3, 1], rng.normal(size=(4, 4, 6))
    found = gradient_flow(net, X, lengths, start, layer=layer, reverse=reverse)
    parts = NetworkState(start[..., :3], start[..., 3:])
    expected = gradient_flow(compiled, X, lengths, parts, layer=layer, reverse=reverse)
    np.testing.assert_allclose(found.spectral, expected.spectral, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.frobenius, expected.frobenius, rtol=1e-11, atol=1e-13)
    assert found.gates == ("h",)
    assert not found.spectral_radius
    for name, norms in expected.weight_gradients.items():
        np.testing.assert_allclose(found.weight_gradients[name], [np.linalg.norm(norms)], rtol=1e-11)


@given(networks(Elman))
@settings(max_examples=25)
def test_derivatives_are_central_differences(drawn):
    net, X, lengths, _ = drawn
    assert max(check_gradients(net, X, lengths, n_entries=4).values()) < 1e-8


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "gated_leaky"])
def test_the_check_passes_the_networks_that_come_with_the_package(cell):
    net = RecurrentNetwork(cell, 2, 3, 2, True, dtype=np.float64, random_state=0)
    before = net.vector.copy()
    X = np.random.default_rng(0).normal(size=(3, 4, 2))
    X[1, 3] = np.nan
    worst = check_gradients(net, X, [4, 3, 0], n_entries=4)
    assert max(worst.values()) < 1e-8
    assert {"weight_hh_l1_reverse", "bias_ih_l0", "x", "h0"} <= worst.keys()
    np.testing.assert_array_equal(net.vector, before)


class WrongBias(Elman):
    def step_back(self, weights, kept, d_h, gradients):
        found = super().step_back(weights, kept, d_h, gradients)
        gradients["bias"] += 0.01 * d_h.sum(axis=0)
        return found


class Forgetful(Elman):
    def step_back(self, weights, kept, d_h, gradients):
        d_x, before = super().step_back(weights, kept, d_h, gradients)
        return d_x, 0 * before


def test_the_check_says_which_weight_is_wrong():
    X = np.random.default_rng(0).normal(size=(2, 4, 2))
    with pytest.raises(
        AssertionError, match=r"^a derivative is wrong: by bias_l0\[\d\] it is .*, and differences say"
    ) as caught:
        check_gradients(CustomNetwork(WrongBias(), 2, 3, random_state=0), X)
    assert "weight" not in str(caught.value)
    with pytest.raises(AssertionError, match=r"weight_hh_l0.*h0"):
        check_gradients(CustomNetwork(Forgetful(), 2, 3, random_state=0), X)
    with pytest.raises(ValueError, match="the network is float32"):
        check_gradients(CustomNetwork(Elman(), 2, 3, dtype=np.float32), X)


def test_the_check_passes_right_heads_and_names_what_is_wrong_in_others():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(20, 3))
    for law, targets in (
        (Categorical(4), rng.integers(0, 4, 20)),
        (Gaussian(2), rng.normal(size=(20, 2))),
        (Poisson(), np.where(rng.random(20) < 0.3, np.nan, 3.0)),
    ):
        head = Head(law, 3, np.float64)
        head.vector[...] = 0.3 * rng.normal(size=head.vector.size)
        assert max(check_head_gradients(head, outputs, targets).values()) < 1e-9

    class Doubled(Poisson):
        def derivatives(self, scores, targets):
            logs, slopes = super().derivatives(scores, targets)
            return logs, 2 * slopes

    wrong = Head(Doubled(), 3, np.float64)
    wrong.vector[...] = 0.1
    with pytest.raises(AssertionError, match=r"by weight\[.*by bias\[.*by outputs\["):
        check_head_gradients(wrong, outputs, rng.poisson(3.0, 20))


@given(networks(Elman), st.integers(1, 3))
@settings(max_examples=20)
def test_what_lies_beyond_a_length_is_not_read_and_rows_do_not_meet(drawn, more):
    net, X, lengths, rng = drawn
    d_outputs, _ = towards(net, X, rng)
    outputs, state = net(X, lengths)
    found = net.gradients(X, d_outputs, lengths)
    B, T, n = X.shape
    wide = np.full((B, T + more, n), np.nan)
    inside = np.arange(T)[None, :] < lengths[:, None]
    wide[:, :T][inside] = X[inside]
    d_wide = np.full((B, T + more, net.output_size), np.nan)
    d_wide[:, :T] = d_outputs
    padded, end = net(wide, lengths)
    np.testing.assert_array_equal(padded[:, :T], outputs)
    assert not padded[:, T:].any()
    np.testing.assert_array_equal(end.h, state.h)
    for name, value in net.gradients(wide, d_wide, lengths).items():
        np.testing.assert_array_equal(value[:, :T] if name == "x" else value, found[name])
    for b in range(B):
        alone, last = net(X[b : b + 1], lengths[b : b + 1])
        np.testing.assert_allclose(alone[0], outputs[b], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(last.h[:, 0], state.h[:, b], rtol=1e-12, atol=1e-13)


def test_a_run_goes_on_from_its_state():
    net = CustomNetwork(LongShortTermMemory(), 2, 3, 2, random_state=0)
    X = np.random.default_rng(0).normal(size=(2, 6, 2))
    whole, end = net(X)
    first, state = net(X[:, :4])
    second, last = net(X[:, 4:], state=state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-14)
    np.testing.assert_allclose(last.h, end.h, rtol=1e-14)
    np.testing.assert_array_equal(net.gates(X)["l1"]["h"][..., :3], whole)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_and_a_head_learn_together(dtype):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (32, 8)).astype(dtype)
    targets = np.concatenate([np.full((32, 1), np.nan), X[:, :-1]], axis=1)  # what was said a step ago
    net = CustomNetwork(Elman(), 1, 6, dtype=dtype, random_state=0)
    head = Head(Categorical(2), 6, dtype, random_state=0)
    head.start(targets)
    adam = Adam([net, head], 0.03, clip=1.0)
    n, losses = 32 * 7, []
    for _ in range(120):
        trace = net.trace(X[:, :, None])
        found = head.gradients(trace.outputs, targets, np.full(X.shape, -1 / n))
        losses.append(found.log_likelihood)
        adam.step([trace.gradient_vector(found.outputs)[0], found.vector], losses[-1])
    assert losses[0] == pytest.approx(np.log(2), abs=0.1)
    assert losses[-1] < 0.05


class Misshapen(Elman):
    def step(self, weights, x, h):
        return h[:, :1], None


class MisshapenBack(Elman):
    def step_back(self, weights, kept, d_h, gradients):
        return d_h, d_h


def test_what_is_wrong_with_a_cell_is_said_in_words():
    X = np.zeros((2, 3, 2))
    net = CustomNetwork(Elman(), 2, 3, random_state=0)
    used = net.trace(X)
    used.gradients(used.outputs)
    cases = [
        (lambda: CustomNetwork("lstm", 2, 3), TypeError, "'lstm' is no recurrent cell: it has no initial_weights"),
        (lambda: CustomNetwork(Elman(), 0, 3), ValueError, "input_size is 0"),
        (lambda: CustomNetwork(Elman(), 2, 3, dtype=np.float16), ValueError, "dtype is float16"),
        (
            lambda: CustomNetwork(Misshapen(), 2, 3)(X),
            ValueError,
            r"step of Misshapen gave a state of shape \(2, 1\), exp",
        ),
        (
            lambda: CustomNetwork(MisshapenBack(), 2, 3).gradients(X, np.zeros((2, 3, 3))),
            ValueError,
            r"step_back of MisshapenBack gave a derivative by x of shape \(2, 3\), expected \(2, 2\)",
        ),
        (lambda: net(np.zeros((2, 3, 4))), ValueError, "X has shape"),
        (lambda: net(X, [4, 1]), ValueError, r"lengths\[0\] is 4"),
        (lambda: net(X, state=np.zeros((1, 2, 4))), ValueError, "state.h has shape"),
        (lambda: net.gradients(X, np.zeros((2, 3, 4))), ValueError, "grad_outputs has shape"),
        (lambda: used.gradients(used.outputs), ValueError, "trace again"),
        (lambda: net.load_weights({"weight_ih_l0": 0}), ValueError, "the weights lack bias_l0"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()
