"""Every bad argument is answered with what is wrong, where, and what to do; nothing is changed by it."""

import numpy as np
import pytest

from statespace.neural import CustomNetwork, NetworkState, RecurrentNetwork
from tests.neural.own_cells import Elman

X = np.zeros((2, 4, 3))
H = np.zeros((1, 2, 4))


def network(cell="lstm", **options):
    return RecurrentNetwork(cell, 3, 4, random_state=0, **options)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"cell": "LSTM"}, ValueError, "cell is 'LSTM', expected one of 'rnn', 'gated_leaky', 'lstm', 'gru'"),
        ({"input_size": 0}, ValueError, "input_size is 0, expected an integer of at least 1"),
        ({"hidden_size": 2.5}, TypeError, "hidden_size is 2.5, expected an integer"),
        ({"num_layers": True}, TypeError, "num_layers is True, expected an integer"),
        ({"bidirectional": "no"}, TypeError, "bidirectional is 'no', expected True or False"),
        ({"bias": 1}, TypeError, "bias is 1, expected True or False"),
        ({"reset": "torch"}, ValueError, "reset is 'torch', expected one of 'before', 'after'"),
        ({"leak": 1.5}, ValueError, "leak is 1.5, expected a number from 0 to 1"),
        ({"leak": np.nan}, ValueError, "leak is nan, expected a number from 0 to 1"),
        ({"leak": "a"}, TypeError, "leak is 'a', expected a number from 0 to 1"),
        ({"skip": 1}, ValueError, "skip is 1, expected an integer of at least 2"),
        ({"remove_short": True}, ValueError, "say how far back an edge reaches, skip="),
        ({"dtype": np.float16}, ValueError, "dtype is float16, expected float32 or float64"),
        ({"dtype": "nonsense"}, TypeError, "dtype is 'nonsense', expected float32 or float64"),
        ({"random_state": "x"}, TypeError, "random_state is 'x'"),
        ({"nonlinearity": "gelu"}, ValueError, "nonlinearity is 'gelu', expected one of 'tanh', 'relu'"),
        ({"cell": "gru", "nonlinearity": "relu"}, ValueError, "a 'gru' cell has its own: leave it out"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_an_argument_of_a_network(options, error, said):
    with pytest.raises(error) as caught:
        RecurrentNetwork(**{"cell": "rnn", "input_size": 3, "hidden_size": 4, **options})
    assert said in str(caught.value)


def at(place, value):
    changed = X.copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (X[0], ValueError, "X has shape (4, 3), expected (batch, time, 3): one sequence is X[None]"),
        (X[:, :, :2], ValueError, "X has shape (2, 4, 2), expected (batch, time, 3)"),
        ([X[0], X[0, :2]], ValueError, "X has rows of several lengths: pad them with anything, and say lengths="),
        (X.astype(str), TypeError, "expected real numbers"),
        (X + 1j, TypeError, "X has the type complex128, expected real numbers"),
        (at((1, 2, 0), np.nan), ValueError, "X[1, 2, 0] is nan, expected a finite number of float32"),
        (at((0, 3, 2), -np.inf), ValueError, "X[0, 3, 2] is -inf, expected a finite number"),
        (at((0, 0, 1), 1e300), ValueError, "X[0, 0, 1] is 1e+300, expected a finite number of float32"),
    ],
)
def test_inputs(given, error, said):
    for run in (network(), network().trace, network().gates):
        with pytest.raises(error) as caught:
            run(given)
        assert said in str(caught.value)


def test_large_numbers_that_are_finite_are_no_missing_values():
    assert np.isfinite(network()(np.full_like(X, 3e38))[0]).all()


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ([1], "lengths is [1], expected 2 whole numbers: one for each row of X"),
        ([[1, 2]], "expected 2 whole numbers"),
        ([1.0, 2.0], "expected 2 whole numbers"),
        ([True, False], "expected 2 whole numbers"),
        ("ab", "lengths is 'ab', expected 2 whole numbers"),
        ([1, 5], "lengths[1] is 5, expected 0 to 4: X has 4 steps"),
        ([-1, 2], "lengths[0] is -1, expected 0 to 4: X has 4 steps"),
    ],
)
def test_lengths(lengths, said):
    with pytest.raises(ValueError) as caught:
        network()(X, lengths)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "state", "said"),
    [
        ("lstm", H, "state has no c: with 'lstm' cells it is (h, c)"),
        ("lstm", (H, None), "state has no c"),
        ("lstm", (H, H[:, :1]), "state.c has shape (1, 1, 4), expected (1, 2, 4)"),
        ("lstm", (H + np.nan, H), "state.h has entries that are not finite"),
        ("lstm", (H, H + 1e300), "state.c has entries that are not finite numbers of float32"),
        ("gru", NetworkState(H, H), "state has a c, and a network of 'gru' cells has none"),
        ("gru", H[0], "state.h has shape (2, 4), expected (1, 2, 4)"),
    ],
)
def test_states(cell, state, said):
    with pytest.raises(ValueError) as caught:
        network(cell)(X, state=state)
    assert said in str(caught.value)
    with pytest.raises(ValueError) as caught:
        network(cell).gradients(X, np.zeros((2, 4, 4)), grad_state=state)
    assert f"grad_{said}" in str(caught.value)


def test_gradients_of_outputs():
    net = network()
    for run in (net.gradients, lambda X, grad_outputs: net.trace(X).gradients(grad_outputs)):
        with pytest.raises(ValueError, match=r"grad_outputs has shape \(2, 4, 3\), expected \(2, 4, 4\), real numbers"):
            run(X, np.zeros((2, 4, 3)))


def test_a_trace_that_was_used_up():
    trace = network().trace(X)
    with pytest.raises(ValueError, match="grad_outputs"):
        trace.gradients(np.zeros(3))
    trace.gradients(trace.outputs)  # what was refused used nothing up
    for again in (trace.gates, lambda: trace.gradients(trace.outputs)):
        with pytest.raises(ValueError, match="trace again"):
            again()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda w: list(w.values()), TypeError, "weights are list, expected a mapping from names to arrays"),
        (lambda w: {k: v for k, v in w.items() if k != "bias_hh_l0"}, ValueError, "the weights lack bias_hh_l0"),
        (lambda w: {**w, "weight_hr_l0": H}, ValueError, "have weight_hr_l0: this network has weight_ih_l0,"),
        (lambda w: {**w, "bias_ih_l0": H}, ValueError, "bias_ih_l0 has shape (1, 2, 4), expected (16,)"),
        (lambda w: {**w, "bias_ih_l0": np.full(16, np.nan)}, ValueError, "bias_ih_l0 has entries that are not finite"),
        (lambda w: {**w, "bias_ih_l0": np.full(16, 1e300)}, ValueError, "not finite numbers of float32"),
        (lambda w: {**w, "bias_ih_l0": ["a"] * 16}, TypeError, "bias_ih_l0 has the type <U1, expected real numbers"),
    ],
)
def test_weights(change, error, said):
    net = network()
    before = net.vector.copy()
    with pytest.raises(error) as caught:
        net.load_weights(change({name: w + 1 for name, w in net.weights.items()}))
    assert said in str(caught.value)
    np.testing.assert_array_equal(net.vector, before)


def test_weights_of_a_network_are_changed_in_place_and_its_mapping_is_not():
    net = network()
    net.weights["bias_ih_l0"][:] = 3.0
    assert (net.weights["bias_ih_l0"] == 3.0).all()
    with pytest.raises(TypeError):
        net.weights["bias_ih_l0"] = np.zeros(16)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradients_at_weights_that_were_changed_after_trace_are_refused(dtype):
    X = np.random.default_rng(0).normal(size=(2, 4, 3))
    net, own = RecurrentNetwork("rnn", 3, 5, dtype=dtype), CustomNetwork(Elman(), 3, 5, dtype=dtype)
    for each in (net, own):
        for name, weight in each.weights.items():
            trace = each.trace(X)
            weight.flat[-1] += 1e-3
            with pytest.raises(ValueError, match=r"weights were changed after trace.*trace again"):
                trace.gradients(np.ones((2, 4, 5)))
            weight.flat[-1] -= 1e-3
            assert name in each.trace(X).gradients(np.ones((2, 4, 5)))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_of_steps_that_have_become_infinite_are_refused_and_read_only_ones_are_taken(cell):
    net, x = network(cell), np.ones(3, np.float32)
    _, state = net.step(x)
    for part in state:
        if part is not None:
            part.flags.writeable = False
    expected, after = net.step(x, state)
    np.testing.assert_array_equal(net.step(x, [np.array(p) for p in state] if cell == "lstm" else state.h)[0], expected)
    for name, part in zip("hc", after, strict=True):
        if part is not None:
            kept, part[0, 0, 1] = part[0, 0, 1], np.inf
            with pytest.raises(ValueError, match=rf"state\.{name} has entries that are not finite"):
                net.step(x, after)
            part[0, 0, 1] = kept
