"""Jacobians of every cell and remedy against differences and backpropagation; their norms; the known figures."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.neural import NetworkState, RecurrentNetwork, gradient_flow
from statespace.neural.gradient_norms import layer_path
from statespace.neural.jacobians import state_jacobians

CELLS: dict[str, dict[str, Any]] = {
    "tanh": {"cell": "rnn"},
    "relu": {"cell": "rnn", "nonlinearity": "relu"},
    "gated leaky": {"cell": "gated_leaky"},
    "LSTM": {"cell": "lstm"},
    "GRU, reset before": {"cell": "gru"},
    "GRU, reset after": {"cell": "gru", "reset": "after"},
}
REMEDIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "leaky": {"leak": 0.7},
    "nearly only leaks": {"leak": 0.999},
    "skip": {"skip": 3},
    "skip and leak": {"skip": 2, "leak": 0.4},
    "short edges removed": {"skip": 3, "remove_short": True},
    "short edges removed, leaky": {"skip": 2, "remove_short": True, "leak": 0.4},
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
every_remedy = pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)


def network(rng: np.random.Generator, **options: Any) -> RecurrentNetwork:
    """A network whose weights, biases among them, are all large enough to be seen."""
    net = RecurrentNetwork(dtype=np.float64, random_state=rng, **options)
    net.vector[...] += 0.4 * rng.standard_normal(net.n_parameters)
    return net


def random_state(net: RecurrentNetwork, B: int, rng: np.random.Generator) -> NetworkState:
    zeros = net(np.zeros((B, 1, net.input_size)))[1]
    draw = [None if part is None else 0.5 * rng.standard_normal(part.shape) for part in zeros]
    return NetworkState(*draw)  # type: ignore[arg-type]


def jacobians(net: RecurrentNetwork, X: Any, lengths: Any, state: Any, layer: int = 0, reverse: bool = False) -> Any:
    """G_t by t."""
    valid = np.full(len(X), X.shape[1]) if lengths is None else np.asarray(lengths)
    path = layer_path(net, X, valid, state, net.gates(X, lengths, state), layer, reverse)
    return dict(state_jacobians(path, valid))


def last_state(state: NetworkState, number: int) -> Any:
    """The newest h of a layer in a direction, and for an LSTM its c; with an array to change in place for each."""
    h = state.h[number]
    parts = [h if h.ndim == 2 else h[-1]]
    if state.c is not None:
        c = state.c[number]
        parts.append(c if c.ndim == 2 else c[-1])
    return parts


def by_differences(net: RecurrentNetwork, X: Any, state: NetworkState, number: int = 0, step: float = 1e-6) -> Any:
    """d s_T / d s_0 of one row by central differences."""
    columns = []
    for part in range(1 if state.c is None else 2):
        for i in range(net.hidden_size):
            ends = []
            for sign in (1, -1):
                moved = NetworkState(state.h.copy(), None if state.c is None else state.c.copy())
                last_state(moved, number)[part][0, i] += sign * step
                ends.append(np.concatenate(last_state(net(X, state=moved)[1], number), axis=1)[0])
            columns.append((ends[0] - ends[1]) / (2 * step))
    return np.array(columns).T


def by_backpropagation(net: RecurrentNetwork, X: Any, state: NetworkState, number: int = 0) -> Any:
    """d s_T / d s_0 of one row, a row for each number of s_T: backpropagation with unit vectors as a batch."""
    n = net.hidden_size * (1 if state.c is None else 2)
    many = NetworkState(*[None if part is None else np.repeat(part, n, axis=-2) for part in state])  # type: ignore[arg-type]
    unit = NetworkState(*[None if part is None else np.zeros_like(part) for part in many])  # type: ignore[arg-type]
    for part, place in enumerate(last_state(unit, number)):
        for i in range(net.hidden_size):
            place[part * net.hidden_size + i, i] = 1.0
    X = np.repeat(X, n, axis=0)
    found = net.gradients(X, np.zeros((n, X.shape[1], net.output_size)), state=many, grad_state=unit)
    ends = last_state(NetworkState(found["h0"], found.get("c0")), number)
    return np.concatenate(ends, axis=1)


@every_cell
@every_remedy
def test_jacobians_are_those_of_differences_and_of_backpropagation(cell: Any, remedy: Any) -> None:
    rng = np.random.default_rng(5)
    net = network(rng, input_size=2, hidden_size=3, **cell, **remedy)
    T = 7
    X, start = rng.standard_normal((1, T, 2)), random_state(net, 1, rng)
    found = jacobians(net, X, None, start)
    assert sorted(found) == list(range(T + 1))
    for t in range(T):
        state = net(X[:, :t], state=start)[1]
        np.testing.assert_allclose(found[t][0], by_differences(net, X[:, t:], state), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(found[t][0], by_backpropagation(net, X[:, t:], state), rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(found[T][0], np.eye(len(found[T][0])))


@every_cell
@pytest.mark.parametrize("remedy", [{}, {"skip": 2, "leak": 0.3}, {"skip": 2, "remove_short": True}], ids=str)
def test_each_layer_and_direction_of_a_stack_has_its_own(cell: Any, remedy: Any) -> None:
    rng = np.random.default_rng(2)
    net = network(rng, input_size=2, hidden_size=3, num_layers=2, bidirectional=True, **cell, **remedy)
    X, start = rng.standard_normal((1, 5, 2)), random_state(net, 1, rng)
    for number in range(4):
        found = jacobians(net, X, None, start, *divmod(number, 2))
        expected = by_backpropagation(net, X, start, number)
        np.testing.assert_allclose(found[0][0], expected, rtol=1e-11, atol=1e-14)


def test_the_reverse_direction_counts_what_it_has_read() -> None:
    rng = np.random.default_rng(3)
    net = network(rng, cell="gru", input_size=2, hidden_size=3, bidirectional=True)
    X, start = rng.standard_normal((1, 6, 2)), random_state(net, 1, rng)
    found = jacobians(net, X, None, start, 0, True)
    for t in range(6):
        state = NetworkState(np.stack([start.h[0], net(X[:, 6 - t :], state=start)[1].h[1]]))
        np.testing.assert_allclose(found[t][0], by_backpropagation(net, X[:, : 6 - t], state, 1), rtol=1e-11)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=4),
    st.sampled_from(sorted(CELLS)),
    st.sampled_from(sorted(REMEDIES)),
    st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_each_row_ends_where_it_ends_and_knows_nothing_of_the_others(
    lengths: list[int], cell: str, remedy: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    net = network(rng, input_size=1, hidden_size=2, bidirectional=True, **CELLS[cell], **REMEDIES[remedy])
    X = rng.standard_normal((len(lengths), 6, 1))
    for row, n in enumerate(lengths):
        X[row, n:] = np.nan  # not read
    for reverse in (False, True):
        flow = gradient_flow(net, X, lengths, reverse=reverse)
        for row, n in enumerate(lengths):
            alone = gradient_flow(net, X[row : row + 1, :n], reverse=reverse)
            for both, one in ((flow.spectral, alone.spectral), (flow.frobenius, alone.frobenius)):
                np.testing.assert_allclose(both[row, : n + 1], one[0], rtol=1e-12)
                assert np.isnan(both[row, n + 1 :]).all()


def test_norms_are_the_largest_singular_value_and_the_root_of_all_squares() -> None:
    rng = np.random.default_rng(0)
    net = network(rng, cell="lstm", input_size=2, hidden_size=4)
    X = rng.standard_normal((2, 9, 2))
    flow = gradient_flow(net, X)
    for t, G in jacobians(net, X, None, None).items():
        for b in range(2):
            assert flow.spectral[b, t] == pytest.approx(np.linalg.svd(G[b])[1][0], rel=1e-12)
            assert flow.frobenius[b, t] == pytest.approx(np.sqrt((G[b] ** 2).sum()), rel=1e-12)


def test_gradients_of_weights_are_measured_block_by_block() -> None:
    rng = np.random.default_rng(0)
    net = network(rng, cell="gru", input_size=2, hidden_size=4, skip=3, num_layers=2)
    X, lengths = rng.standard_normal((3, 9, 2)), [9, 0, 4]
    last = np.zeros((3, 9, 4))
    last[0, 8] = last[2, 3] = 1.0
    any_loss = rng.standard_normal((3, 9, 4))
    for given_gradient, used in ((None, last), (any_loss, any_loss)):
        flow = gradient_flow(net, X, lengths, grad_outputs=given_gradient)
        expected = net.gradients(X, used, lengths)
        assert flow.gates == ("r", "z", "n")
        assert list(flow.weight_gradients) == list(net.weights)
        for name, norms in flow.weight_gradients.items():
            blocks = [expected[name][4 * g : 4 * g + 4] for g in range(3)]
            np.testing.assert_allclose(norms, [np.sqrt((block**2).sum()) for block in blocks], rtol=1e-12)


def test_spectral_radii_are_those_of_each_gates_recurrent_weights() -> None:
    net = RecurrentNetwork("lstm", 1, 2, skip=2, dtype=np.float64, random_state=0)
    net.weights["weight_hh_l0"][...] = np.concatenate([k * np.array([[0, 1], [-1, 0]]) for k in (1, 2, 0, 3)])
    net.weights["weight_sh_l0"][...] = np.concatenate([[[k, 9], [0, 0.5]] for k in (0, 1, 2, 3)])
    radii = gradient_flow(net, np.zeros((1, 2, 1))).spectral_radius
    assert list(radii) == ["weight_hh_l0", "weight_sh_l0"]
    np.testing.assert_allclose(radii["weight_hh_l0"], [1, 2, 0, 3], rtol=1e-14)
    np.testing.assert_allclose(radii["weight_sh_l0"], [0.5, 1, 2, 3], rtol=1e-14)


def test_networks_of_float32_are_measured_in_float64() -> None:
    wide = RecurrentNetwork("rnn", 1, 8, bias=False, dtype=np.float64, random_state=0)
    wide.weights["weight_hh_l0"][...] *= 0.3
    narrow = RecurrentNetwork("rnn", 1, 8, bias=False)
    narrow.load_weights(wide.weights)
    X = np.zeros((1, 100, 1))
    # 0.3^100 = 5e-53 is no float32
    expected = gradient_flow(wide, X).spectral
    np.testing.assert_allclose(gradient_flow(narrow, X).spectral, expected, rtol=1e-5)  # 100 steps of 6e-8
    assert expected[0, 0] == pytest.approx(0.3**100, rel=1e-12)


def test_norms_keep_their_digits_where_squares_would_not_and_end_at_infinity() -> None:
    net = RecurrentNetwork("rnn", 1, 2, bias=False, dtype=np.float64)
    for gain in (1e-100, 1e100):
        net.weights["weight_hh_l0"][...] = gain * np.eye(2)
        flow = gradient_flow(net, np.zeros((1, 3, 1)))
        np.testing.assert_allclose(flow.spectral[0], gain ** np.arange(3, -1, -1.0), rtol=1e-12)
        np.testing.assert_allclose(flow.frobenius[0], np.sqrt(2) * flow.spectral[0], rtol=1e-12)
    assert gradient_flow(net, np.zeros((1, 4, 1))).spectral[0, 0] == np.inf


# ----------------------------------------------------------------------------- the figures of the vanishing gradient

H, T = 64, 100


def tanh_network(gain: float, seed: int, **remedy: Any) -> RecurrentNetwork:
    """One input a unit, orthogonal recurrent weights times a gain."""
    net = RecurrentNetwork("rnn", H, H, bias=False, dtype=np.float64, random_state=seed, **remedy)
    net.weights["weight_ih_l0"][...] = np.eye(H)
    net.weights["weight_sh_l0" if remedy.get("remove_short") else "weight_hh_l0"][...] *= gain
    return net


def inputs(seed: int) -> Any:
    return 0.1 * np.random.default_rng(seed).standard_normal((1, T, H))


@pytest.mark.parametrize("gain", [0.9, 1.0, 1.1])
def test_without_input_an_orthogonal_network_multiplies_by_its_gain(gain: float) -> None:
    flow = gradient_flow(tanh_network(gain, 0), np.zeros((1, T, H)))
    np.testing.assert_allclose(flow.spectral[0], gain ** np.arange(T, -1, -1.0), rtol=1e-12)
    np.testing.assert_allclose(flow.frobenius[0], np.sqrt(H) * flow.spectral[0], rtol=1e-12)


# Bands hold what a loop in numpy, `h = tanh(U h + u); J = diag(1 - h^2) U J`, gave for 40 other seeds
@pytest.mark.parametrize(
    ("gain", "remedy", "low", "high"),
    [
        (0.9, {}, 1.0e-6, 1.9e-6),
        (1.0, {}, 3e-3, 7.5e-3),
        (1.1, {}, 0.33, 1.3),
        (0.9, {"leak": 0.99}, 0.89, 0.90),
        (0.9, {"skip": 10, "remove_short": True}, 0.29, 0.33),
    ],
    ids=["gain 0.9", "gain 1.0", "gain 1.1", "gain 0.9 with leak", "gain 0.9 with long edges only"],
)
@pytest.mark.parametrize("seed", range(3))
def test_with_input_squashing_shrinks_and_remedies_keep(
    gain: float, remedy: Any, low: float, high: float, seed: int
) -> None:
    found = gradient_flow(tanh_network(gain, seed, **remedy), inputs(seed)).spectral[0, 0]
    assert low < found < high


@pytest.mark.parametrize("seed", range(3))
def test_an_lstm_that_does_not_forget_keeps_its_gradient(seed: int) -> None:
    net = RecurrentNetwork("lstm", H, H, dtype=np.float64, random_state=seed)
    np.testing.assert_array_equal(net.weights["bias_ih_l0"][H : 2 * H], 1.0)
    assert gradient_flow(net, inputs(seed)).spectral[0, 0] > 1e-2


def test_removed_edges_leave_no_path_but_that_of_whole_skips() -> None:
    flow = gradient_flow(tanh_network(0.9, 0, skip=10, remove_short=True), inputs(0))
    t = np.arange(T + 1)
    np.testing.assert_array_equal(flow.spectral[0] > 0, t % 10 == 0)


# ------------------------------------------------------------------------------------------------------------ errors


def test_what_cannot_be_measured_is_refused_in_words() -> None:
    net = RecurrentNetwork("gru", 2, 3, num_layers=2, dtype=np.float64)
    X = np.zeros((1, 4, 2))
    with pytest.raises(TypeError, match="net is of type int, expected a RecurrentNetwork"):
        gradient_flow(3, X)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"layer is 2, expected 0\.\.1"):
        gradient_flow(net, X, layer=2)
    with pytest.raises(ValueError, match="it is not bidirectional"):
        gradient_flow(net, X, reverse=True)
    with pytest.raises(ValueError, match=r"X has shape \(4, 2\), expected \(batch, time, 2\)"):
        gradient_flow(net, X[0])
    with pytest.raises(ValueError, match=r"grad_outputs has shape \(1, 4, 2\), expected \(1, 4, 3\)"):
        gradient_flow(net, X, grad_outputs=X)
    with pytest.raises(ValueError, match=r"lengths\[0\] is 5"):
        gradient_flow(net, X, [5])
