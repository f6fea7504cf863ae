"""Weights go to torch, Keras, ONNX and safetensors files and come back; what would be another function is refused."""

import json
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.neural import (
    OnnxLayer,
    RecurrentNetwork,
    from_keras,
    from_lecture_gru,
    from_onnx,
    from_torch,
    load_safetensors,
    save_safetensors,
    to_keras,
    to_onnx,
    to_torch,
)
from tests.naive_networks import Network
from tests.neural.drawn_networks import CELLS, REMEDIES, agree, make_case
from tests.neural.foreign_layers import keras_network, onnx_network, sigmoid

PLAIN = {name: cell for name, cell in CELLS.items() if name != "gated leaky"}
ANY_PLAIN = pytest.mark.parametrize("cell", PLAIN.values(), ids=PLAIN)


@st.composite
def plain_cases(draw, cell, dtype=np.float64):
    twin = Network(
        **cell,
        input_size=draw(st.integers(1, 4)),
        hidden_size=draw(st.integers(1, 6)),
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
    )
    return make_case(twin, 2, 4, dtype=dtype, seed=draw(st.integers(0, 2**32 - 1)))


def activation(cell):
    return {"nonlinearity": cell["nonlinearity"]} if "nonlinearity" in cell else {}


def same_network(found, expected):
    for name in ("cell", "input_size", "hidden_size", "num_layers", "bidirectional", "bias", "reset", "nonlinearity"):
        assert getattr(found, name) == getattr(expected, name), name
    assert (found.leak, found.skip, found.remove_short) == (expected.leak, expected.skip, expected.remove_short)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.vector, expected.vector)


@ANY_PLAIN
@settings(max_examples=10)
@given(data=st.data())
def test_weights_come_back_from_torch_as_they_went(cell, data):
    dtype = data.draw(st.sampled_from([np.float64, np.float32]))
    net = data.draw(plain_cases(cell, dtype)).net
    if cell.get("reset") == "before":
        with pytest.raises(ValueError, match="torch's GRU resets after the product"):
            to_torch(net)
        return
    prefix = data.draw(st.sampled_from(["", "rnn.", "model.encoder."]))
    state_dict = {**to_torch(net, prefix=prefix), **({"head.weight": np.zeros(3)} if prefix else {})}
    same_network(from_torch(state_dict, prefix=prefix, **activation(cell)), net)


def test_what_torch_gets_is_a_copy():
    net = RecurrentNetwork("lstm", 2, 3)
    to_torch(net)["weight_ih_l0"][:] = 7.0
    assert (net.weights["weight_ih_l0"] != 7.0).all()


@ANY_PLAIN
@settings(max_examples=10)
@given(data=st.data())
def test_keras_computes_the_same_with_the_weights_and_they_come_back(cell, data):
    case = data.draw(plain_cases(cell))
    layers = to_keras(case.net)
    outputs, _ = case.net(case.X)
    after = cell.get("reset") == "after"
    options = {"activation": cell.get("nonlinearity", "tanh"), "reset_after": after}
    agree(keras_network(cell["cell"], case.X, layers, **options), outputs)
    said = {} if case.twin.bias or cell["cell"] != "gru" else {"reset_after": after}
    back = from_keras(layers, **said, **activation(cell))
    agree(back(case.X)[0], outputs)
    assert (back.cell, back.reset) == (case.net.cell, case.net.reset)
    for ours, theirs in zip(to_keras(back), layers, strict=True):
        for found, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(found, expected)
    if case.twin.num_layers == 1:
        np.testing.assert_array_equal(from_keras(layers[0], **said, **activation(cell)).vector, back.vector)


@ANY_PLAIN
@settings(max_examples=10)
@given(data=st.data())
def test_onnx_computes_the_same_with_the_weights_and_they_come_back(cell, data):
    case = data.draw(plain_cases(cell))
    layers = to_onnx(case.net)
    agree(onnx_network(case.X, layers), case.net(case.X)[0])
    same_network(from_onnx(layers), case.net)
    if case.twin.num_layers == 1:
        same_network(from_onnx(layers[0]), case.net)


def lecture_gru(W_z, W_r, W_n, xs):
    h, found = np.zeros(len(W_z)), []
    for x in xs:
        both = np.concatenate([h, x])
        z, r = sigmoid(W_z @ both), sigmoid(W_r @ both)
        n = np.tanh(W_n @ np.concatenate([r * h, x]))
        h = (1 - z) * h + z * n
        found.append(h)
    return np.array(found)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_lectures_gru_is_keras_before_with_the_columns_of_z_negated(H, n_inputs, seed):
    rng = np.random.default_rng(seed)
    W_z, W_r, W_n = rng.normal(size=(3, H, H + n_inputs))
    xs = rng.normal(size=(6, n_inputs))
    net = from_lecture_gru(W_z, W_r, W_n)
    expected = lecture_gru(W_z, W_r, W_n, xs)
    agree(net(xs[None])[0][0], expected)
    kernel = np.concatenate([-W_z[:, H:], W_r[:, H:], W_n[:, H:]]).T
    recurrent = np.concatenate([-W_z[:, :H], W_r[:, :H], W_n[:, :H]]).T
    agree(keras_network("gru", xs[None], [[kernel, recurrent]], reset_after=False)[0], expected)
    for found, wanted in zip(to_keras(net)[0], (kernel, recurrent), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_safetensors_file_keeps_all_of_a_network(cell, remedy, dtype, tmp_path):
    net = make_case(Network(**cell, **remedy, input_size=3, hidden_size=2, bidirectional=True), 1, 1, dtype=dtype).net
    for prefix in ("", "rnn."):
        save_safetensors(net, tmp_path / "net.safetensors", prefix=prefix)
        same_network(load_safetensors(tmp_path / "net.safetensors", prefix=prefix), net)


def read_by_hand(path):
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write_by_hand(path, header, numbers=b""):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + numbers)
    return path


def test_a_safetensors_file_is_a_length_a_header_and_numbers(tmp_path):
    net = RecurrentNetwork("gru", 2, 3, reset="after", dtype=np.float64, random_state=0)
    save_safetensors(net, tmp_path / "net")
    header, numbers = read_by_hand(tmp_path / "net")
    metadata = {"cell": "gru", "reset": "after", "dtype": "float64"}
    assert header.pop("__metadata__") == metadata
    assert (len((tmp_path / "net").read_bytes()) - len(numbers)) % 8 == 0
    assert header.keys() == net.weights.keys()
    for name, weight in net.weights.items():
        first, last = header[name]["data_offsets"]
        assert header[name]["dtype"] == "F64"
        read = np.frombuffer(numbers[first:last]).reshape(header[name]["shape"])
        np.testing.assert_array_equal(read, weight)


@pytest.mark.parametrize("half", ["F16", "BF16"])
def test_numbers_of_half_precision_are_read(half, tmp_path):
    values = np.array([[1.5, -2.0], [0.25, 0.0]], np.float32)
    raw = (
        values.astype(np.float16).tobytes() if half == "F16" else (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    )
    header = {
        name: {"dtype": half, "shape": [2, 2], "data_offsets": [8 * i, 8 * i + 8]}
        for i, name in enumerate(("weight_ih_l0", "weight_hh_l0"))
    }
    net = load_safetensors(write_by_hand(tmp_path / "half", header, raw + raw))
    assert net.dtype == np.float32
    np.testing.assert_array_equal(net.weights["weight_hh_l0"], values)


ONE = {"weight_ih_l0": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}


@pytest.mark.parametrize(
    ("header", "numbers", "said"),
    [
        (b"{", b"", "its header has 1 bytes"),
        (b"[1]", b"", "its header is not a table of arrays"),
        (b"{nonsense", b"", "its header is not a table of arrays"),
        (b"[" * 100_000, b"", "its header is not a table of arrays"),
        ({"w": 3}, b"", "its header is not a table of arrays"),
        ({"w": {"dtype": "F32", "shape": [1]}}, b"", "its header is not a table of arrays"),
        ({"__metadata__": {"cell": 3}, **ONE}, b"0000", "its metadata are not strings"),
        ({"w": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}, b"0" * 8, "'w' is of the type 'C64'"),
        ({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"0000", "'w' has the shape [-1]"),
        ({"w": {"dtype": "F32", "shape": "1", "data_offsets": [0, 4]}}, b"0000", "'w' has the shape '1'"),
        ({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"0000", "expected 8 bytes from 0 on"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [1, 5]}}, b"00000", "expected 4 bytes from 0 on"),
        ({"w": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}, b"0000", "expected 4000000000"),
        (ONE, b"000", "expected 4 bytes from 0 on"),
        (ONE, b"00000", "1 bytes follow its last array"),
    ],
    ids=range(15),
)
def test_a_damaged_safetensors_file_is_refused(header, numbers, said, tmp_path):
    path = write_by_hand(tmp_path / "damaged", header, numbers)
    with pytest.raises(ValueError, match="is not a safetensors file that can be read, or is damaged") as caught:
        load_safetensors(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_safetensors_file_with_another_byte_is_read_or_refused(tmp_path_factory, place, byte):
    path = tmp_path_factory.mktemp("bytes") / "net"
    save_safetensors(RecurrentNetwork("rnn", 1, 2, random_state=0), path)
    raw = bytearray(path.read_bytes())
    raw[place % len(raw)] = byte
    path.write_bytes(raw)
    with suppress(ValueError, TypeError):
        assert isinstance(load_safetensors(path), RecurrentNetwork)


def test_an_empty_or_missing_file_is_said_to_be_one(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="and has 0 itself"):
        load_safetensors(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        load_safetensors(tmp_path / "none")


def gru(reset, **options):
    return RecurrentNetwork("gru", 2, 3, reset=reset, random_state=0, **options)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_a_gru_with_the_other_reset_is_refused_everywhere(reset, tmp_path):
    net, other = gru(reset), {"before": "after", "after": "before"}[reset]
    save_safetensors(net, tmp_path / "net")
    for load in (
        lambda **options: load_safetensors(tmp_path / "net", **options),
        lambda **options: from_keras(to_keras(net), **options),
        lambda **options: from_onnx(to_onnx(net), **options),
    ):
        assert load().reset == load(reset=reset).reset == reset
        with pytest.raises(ValueError, match=f"reset is '{other}'.*the function would be another"):
            load(reset=other)
    with pytest.raises(ValueError, match="the biases of the layers say otherwise"):
        from_keras(to_keras(net), reset_after=reset == "before")
    with pytest.raises(ValueError, match=r"reset is 'before', expected 'after': torch's GRU resets after"):
        from_torch(to_torch(gru("after")), reset="before")


def test_where_nothing_says_which_reset_a_gru_has_it_has_to_be_said(tmp_path):
    bare = to_keras(gru("before", bias=False))
    with pytest.raises(ValueError, match="say reset_after=True or False"):
        from_keras(bare)
    assert from_keras(bare, reset_after=False).reset == "before"
    assert from_keras(bare, reset_after=True).reset == "after"
    header = {
        "weight_ih_l0": {"dtype": "F32", "shape": [3, 1], "data_offsets": [0, 12]},
        "weight_hh_l0": {"dtype": "F32", "shape": [3, 1], "data_offsets": [12, 24]},
    }
    path = write_by_hand(tmp_path / "net", header, bytes(24))
    with pytest.raises(ValueError, match="say reset="):
        load_safetensors(path)
    assert load_safetensors(path, reset="after").reset == "after"
    assert load_safetensors(path, reset="before").reset == "before"
    without = [layer._replace(attributes={"hidden_size": 3}) for layer in to_onnx(gru("before"))]
    assert from_onnx(without).reset == "before"  # what ONNX takes


@pytest.mark.parametrize("export", [to_torch, to_keras, to_onnx])
@pytest.mark.parametrize(
    ("net", "said"),
    [
        (RecurrentNetwork("gated_leaky", 2, 3), "'gated_leaky' cells"),
        (RecurrentNetwork("lstm", 2, 3, leak=0.5), "leak=0.5"),
        (RecurrentNetwork("rnn", 2, 3, skip=2), "skip=2"),
    ],
    ids=["gated leaky", "leak", "skip"],
)
def test_what_a_library_has_not_is_not_handed_to_it(export, net, said):
    with pytest.raises(ValueError, match=f"has no layer with {said}: save_safetensors keeps all of a network"):
        export(net)


LSTM = RecurrentNetwork("lstm", 2, 3, 2, random_state=0)


def changed_onnx(number=0, **changes):
    layers = to_onnx(LSTM)
    layers[number] = layers[number]._replace(**changes)
    return layers


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (lambda: from_torch({"rnn.weight_ih_l0": 0}), "state_dict has no weight_ih_l0: say prefix='rnn.'"),
        (lambda: from_torch({"head.weight": 0}), "state_dict has no weight_ih_l0: it has head.weight"),
        (lambda: from_torch({**to_torch(LSTM), "weight_hr_l0": np.ones(1)}), "projects its states (proj_size)"),
        (lambda: from_torch({**to_torch(LSTM), "more": np.ones(1)}), "the weights have more: this network has"),
        (lambda: from_torch(to_torch(LSTM), hidden_size=4), "hidden_size is 4, and the weights are those of 3"),
        (lambda: from_torch(to_torch(LSTM), cell="gru"), "cell is 'gru', and the weights are those of 'lstm'"),
        (lambda: from_torch({**to_torch(LSTM), "weight_hh_l1": np.ones((8, 2))}), "layers of this network are alike"),
        (lambda: from_torch({"weight_ih_l0": np.ones((5, 1)), "weight_hh_l0": np.ones((5, 1))}), "no cell has 5 rows"),
        (lambda: from_torch({"weight_ih_l0": np.ones((5, 1))}), "expected matrices weight_ih_l0 and weight_hh_l0"),
        (lambda: from_keras([[np.ones((2, 3))]]), "layers[0] has 1 arrays, expected 2 or 3"),
        (lambda: from_keras([np.ones((2, 3)), np.ones((3, 6))]), "layers[0] has kernels of shapes (2, 3) and (3, 6)"),
        (lambda: from_keras([np.ones((2, 6)), np.ones((3, 6))]), "layers[0] has kernels of 6 columns for 3 units"),
        (
            lambda: from_keras([np.ones((2, 9)), np.ones((3, 9)), np.ones(8)]),
            "layers[0] has a bias of shape (8,), expected (9,) or (2, 9)",
        ),
        (lambda: from_keras([]), "expected matrices weight_ih_l0 and weight_hh_l0"),
        (lambda: from_onnx([]), "expected matrices weight_ih_l0 and weight_hh_l0"),
        (lambda: from_onnx(changed_onnx(op="Conv")), "layers[0] is 'Conv', expected one of RNN, LSTM, GRU"),
        (lambda: from_onnx(changed_onnx(1, op="GRU")), "layers[1] has W and R of shapes (1, 12, 3) and (1, 12, 3)"),
        (lambda: from_onnx(changed_onnx(B=np.ones((1, 12)))), "layers[0] has a B of shape (1, 12), expected (1, 24)"),
        (lambda: from_onnx(changed_onnx(attributes={"direction": "reverse"})), "layers[0] has direction='reverse'"),
        (
            lambda: from_onnx(changed_onnx(attributes={"clip": 3.0})),
            "layers[0] has clip=3.0, and this network has None",
        ),
        (lambda: from_onnx(changed_onnx(attributes={"input_forget": 1})), "layers[0] has input_forget=1"),
        (
            lambda: from_onnx(changed_onnx(attributes={"activations": ["Sigmoid", "Relu", "Tanh"]})),
            "layers[0] has the activations ['sigmoid', 'relu', 'tanh']",
        ),
        (lambda: from_onnx([to_onnx(gru("before"))[0], to_onnx(gru("after", bias=False))[0]]), "the layers differ in"),
        (lambda: from_lecture_gru(np.ones((3, 3)), np.ones((3, 3)), np.ones((3, 3))), "expected (H, H + n_inputs)"),
    ],
    ids=range(24),
)
def test_what_does_not_fit_is_said(load, said):
    with pytest.raises(ValueError) as caught:
        load()
    assert said in str(caught.value)


def test_a_state_dict_is_a_mapping():
    with pytest.raises(TypeError, match=r"state_dict is SimpleNamespace.*pass layer.state_dict\(\)"):
        from_torch(SimpleNamespace())


def test_attributes_of_a_node_may_be_bytes_as_onnx_gives_them():
    net = RecurrentNetwork("rnn", 2, 3, nonlinearity="relu", bidirectional=True, random_state=0)
    (layer,) = to_onnx(net)
    given = OnnxLayer(*layer[:4], {"direction": b"bidirectional", "activations": [b"Relu", b"Relu"], "hidden_size": 3})
    same_network(from_onnx([given]), net)
