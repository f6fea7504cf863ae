"""Weights handed to Keras, onnxruntime and safetensors themselves, and taken from them; each skipped where missing.

Held with keras 3.15 on torch, onnx 1.23 with onnxruntime 1.32 and its reference evaluator, safetensors 0.8.
"""

import os

import numpy as np
import pytest

from statespace.neural import (
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
from tests.neural.drawn_networks import CELLS, agree, make_case
from tests.neural.foreign_layers import keras_network, onnx_network

pytestmark = pytest.mark.filterwarnings("ignore")  # the others' own
PLAIN = {name: cell for name, cell in CELLS.items() if name != "gated leaky"}
ANY_PLAIN = pytest.mark.parametrize("cell", PLAIN.values(), ids=PLAIN)
SHAPES = pytest.mark.parametrize(
    ("num_layers", "bidirectional", "bias"), [(1, False, True), (2, True, True), (2, False, False), (1, True, False)]
)


def case_of(cell, num_layers, bidirectional, bias, dtype=np.float32):
    twin = Network(**cell, input_size=3, hidden_size=4, num_layers=num_layers, bidirectional=bidirectional, bias=bias)
    return make_case(twin, 2, 5, dtype=dtype)


def torch_layer(case):
    torch = pytest.importorskip("torch", reason="torch is an optional peer: pip install torch==2.13.0")
    twin = case.twin
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[twin.cell]
    options = {"nonlinearity": twin.nonlinearity} if twin.cell == "rnn" else {}
    layer = kind(
        twin.input_size,
        twin.hidden_size,
        twin.num_layers,
        batch_first=True,
        bias=twin.bias,
        bidirectional=twin.bidirectional,
        dtype=torch.float64,
        **options,
    )
    return torch, layer


@SHAPES
@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru after"])
def test_torch_takes_the_weights_and_gives_them_back(cell, num_layers, bidirectional, bias):
    case = case_of(PLAIN[cell], num_layers, bidirectional, bias, np.float64)
    torch, layer = torch_layer(case)
    options = {"nonlinearity": case.twin.nonlinearity} if case.twin.cell == "rnn" else {}
    net = from_torch(layer.state_dict(), **options)
    with torch.no_grad():
        agree(net(case.X)[0], layer(torch.from_numpy(case.X))[0].numpy())
        layer.load_state_dict({name: torch.from_numpy(weight) for name, weight in to_torch(case.net).items()})
        agree(case.net(case.X)[0], layer(torch.from_numpy(case.X))[0].numpy())


def test_torch_weights_of_half_precision_and_of_a_part_of_a_model_are_taken():
    case = case_of(PLAIN["lstm"], 1, False, True)
    torch, layer = torch_layer(case)
    model = torch.nn.ModuleDict({"rnn": layer.to(torch.bfloat16), "head": torch.nn.Linear(4, 2)})
    net = from_torch(model.state_dict(), prefix="rnn.")
    assert net.dtype == np.float32
    np.testing.assert_array_equal(net.weights["weight_hh_l0"], layer.weight_hh_l0.detach().float().numpy())


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", reason="keras is an optional peer: pip install keras, and torch for it")


def keras_layers(keras, net):
    kind = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[net.cell]
    options = {"return_sequences": True, "use_bias": net.bias}  # Keras multiplies in float32, in layers of float64 too
    if net.cell == "gru":
        options["reset_after"] = net.reset == "after"
    if net.cell == "rnn":
        options["activation"] = net.nonlinearity
    layers = [kind(net.hidden_size, **options) for _ in range(net.num_layers)]
    return [keras.layers.Bidirectional(layer) for layer in layers] if net.bidirectional else layers


def run_keras(keras, layers, X):
    for layer in layers:
        X = layer(X)
    return keras.ops.convert_to_numpy(X)


@SHAPES
@ANY_PLAIN
def test_keras_takes_the_weights_and_gives_them_back(keras, cell, num_layers, bidirectional, bias):
    case = case_of(cell, num_layers, bidirectional, bias)
    layers = keras_layers(keras, case.net)
    run_keras(keras, layers, case.X)  # makes its own weights
    said = {} if bias or cell["cell"] != "gru" else {"reset_after": case.twin.reset == "after"}
    activation = {"nonlinearity": case.twin.nonlinearity} if cell["cell"] == "rnn" else {}
    theirs = from_keras([layer.get_weights() for layer in layers], **said, **activation)
    agree(theirs(case.X)[0], run_keras(keras, layers, case.X), np.float32)
    for layer, weights in zip(layers, to_keras(case.net), strict=True):
        layer.set_weights(weights)
    expected = run_keras(keras, layers, case.X)
    agree(case.net(case.X)[0], expected, np.float32)
    options = {"activation": case.twin.nonlinearity, "reset_after": case.twin.reset == "after"}
    agree(keras_network(cell["cell"], case.X, to_keras(case.net), **options), expected, np.float32)  # as documented


def test_the_lectures_gru_is_one_of_keras(keras):
    W_z, W_r, W_n = np.random.default_rng(0).normal(size=(3, 4, 7)).astype(np.float32)
    X = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    layer = keras.layers.GRU(4, return_sequences=True, use_bias=False, reset_after=False)
    run_keras(keras, [layer], X)
    whole = np.concatenate([-W_z, W_r, W_n]).T
    layer.set_weights([whole[4:], whole[:4]])
    agree(from_lecture_gru(W_z, W_r, W_n)(X)[0], run_keras(keras, [layer], X), np.float32)


def onnx_model(layers, n_inputs, type_of_numbers):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = getattr(TensorProto, type_of_numbers)
    nodes, weights, read = [], [], "X"
    for k, (op, W, R, B, attributes) in enumerate(layers):
        arrays = {f"W{k}": W, f"R{k}": R, **({} if B is None else {f"B{k}": B})}
        weights += [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
        nodes.append(helper.make_node(op, [read, *arrays], [f"Y{k}"], **attributes))
        # (time, directions, batch, H) to (time, batch, directions * H)
        nodes.append(helper.make_node("Transpose", [f"Y{k}"], [f"T{k}"], perm=[0, 2, 1, 3]))
        weights.append(numpy_helper.from_array(np.array([0, 0, -1]), f"S{k}"))
        nodes.append(helper.make_node("Reshape", [f"T{k}", f"S{k}"], [f"Z{k}"]))
        read = f"Z{k}"
    inputs = [helper.make_tensor_value_info("X", kind, [None, None, n_inputs])]
    outputs = [helper.make_tensor_value_info(read, kind, [None, None, None])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, weights)
    return onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@SHAPES
@ANY_PLAIN
def test_onnxruntime_takes_the_weights_and_a_model_gives_them_back(cell, num_layers, bidirectional, bias):
    onnx = pytest.importorskip("onnx", reason="onnx is an optional peer: pip install onnx onnxruntime")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is an optional peer: pip install onnxruntime")
    case = case_of(cell, num_layers, bidirectional, bias)
    model = onnx_model(to_onnx(case.net), 3, "FLOAT")
    onnx.checker.check_model(model)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"X": np.ascontiguousarray(case.X.swapaxes(0, 1))})
    agree(case.net(case.X)[0], found.swapaxes(0, 1), np.float32)
    agree(onnx_network(case.X.astype(float), to_onnx(case.wide.net)), found.swapaxes(0, 1), np.float32)
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    layers = []
    for node in model.graph.node:
        if node.op_type in ("RNN", "LSTM", "GRU"):
            attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            W, R, B = (arrays.get(name) for name in (*node.input[1:], "none")[:3])
            layers.append(to_onnx(case.net)[0]._replace(op=node.op_type, W=W, R=R, B=B, attributes=attributes))
    np.testing.assert_array_equal(from_onnx(layers).vector, case.net.vector)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_safetensors_reads_our_files_and_we_read_its(cell, dtype, tmp_path):
    safetensors = pytest.importorskip("safetensors", reason="safetensors is an optional peer: pip install safetensors")
    from safetensors.numpy import load_file, save_file

    net = case_of(cell, 2, True, True, dtype).net
    save_safetensors(net, tmp_path / "ours")
    found = load_file(tmp_path / "ours")
    assert found.keys() == net.weights.keys()
    for name, weight in net.weights.items():
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], weight)
    with safetensors.safe_open(tmp_path / "ours", "np") as file:
        assert file.metadata()["cell"] == net.cell
    weights = {name: np.ascontiguousarray(weight) for name, weight in net.weights.items()}
    save_file(weights, tmp_path / "theirs")
    said = {"reset": net.reset} if net.cell == "gru" else {}
    said |= {"nonlinearity": net.nonlinearity} if net.cell == "rnn" else {}
    back = load_safetensors(tmp_path / "theirs", **said)
    assert back.cell == net.cell
    np.testing.assert_array_equal(back.vector, net.vector)
