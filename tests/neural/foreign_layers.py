"""Layers of Keras and operators of ONNX as their documentation writes them, in their own layouts, one row at a time.

Keras 3, layers SimpleRNN, LSTM, GRU (https://keras.io/api/layers/recurrent_layers/); ONNX operators RNN, LSTM and GRU,
version 22 (https://onnx.ai/onnx/operators/). tests/peers holds these against the libraries themselves.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}


def keras_rows(kind, xs, weights, reset_after=True, activation="tanh"):
    """States (time, units) of one layer in one direction over the inputs (time, n_inputs)."""
    kernel, recurrent, *bias = weights
    units = len(recurrent)
    h, c, found = np.zeros(units), np.zeros(units), []
    bias = bias[0] if bias else np.zeros((2, 3 * units) if kind == "gru" and reset_after else kernel.shape[1])
    for x in xs:
        if kind == "rnn":
            h = ACTIVATIONS[activation](x @ kernel + bias + h @ recurrent)
        elif kind == "lstm":
            i, f, candidate, o = np.split(x @ kernel + h @ recurrent + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
            h = sigmoid(o) * np.tanh(c)
        elif reset_after:
            x_z, x_r, x_h = np.split(x @ kernel + bias[0], 3)
            inner_z, inner_r, inner_h = np.split(h @ recurrent + bias[1], 3)
            z, r = sigmoid(x_z + inner_z), sigmoid(x_r + inner_r)
            h = z * h + (1 - z) * np.tanh(x_h + r * inner_h)
        else:
            x_z, x_r, x_h = np.split(x @ kernel + bias, 3)
            U_z, U_r, U_h = np.split(recurrent, 3, axis=1)
            z, r = sigmoid(x_z + h @ U_z), sigmoid(x_r + h @ U_r)
            h = z * h + (1 - z) * np.tanh(x_h + (r * h) @ U_h)
        found.append(h)
    return np.array(found)


def keras_network(kind, X, layers, **options):
    """Outputs (batch, time, units) of layers, of lists of arrays for each, both directions of a Bidirectional."""
    rows = []
    for row in X:
        xs = row
        for arrays in layers:
            each = 2 if len(arrays) in (2, 4) else 3
            shown = [keras_rows(kind, xs, arrays[:each], **options)]
            if len(arrays) > each:
                shown.append(keras_rows(kind, xs[::-1], arrays[each:], **options)[::-1])
            xs = np.concatenate(shown, axis=1)
        rows.append(xs)
    return np.array(rows)


def onnx_rows(op, xs, W, R, B, attributes):
    """States (time, H) of one direction: W (gates H, n_inputs), R (gates H, H), B (2 gates H,)."""
    H = R.shape[1]
    Wb, Rb = np.split(np.zeros(2 * len(W)) if B is None else B, 2)
    h, c, found = np.zeros(H), np.zeros(H), []
    for x in xs:
        if op == "RNN":
            h = ACTIVATIONS[attributes["activations"][0].lower()](W @ x + R @ h + Wb + Rb)
        elif op == "LSTM":
            i, o, f, candidate = np.split(W @ x + R @ h + Wb + Rb, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
            h = sigmoid(o) * np.tanh(c)
        else:
            (Wz, Wr, Wh), (Rz, Rr, Rh) = np.split(W, 3), np.split(R, 3)
            (Wbz, Wbr, Wbh), (Rbz, Rbr, Rbh) = np.split(Wb, 3), np.split(Rb, 3)
            z, r = sigmoid(Wz @ x + Rz @ h + Wbz + Rbz), sigmoid(Wr @ x + Rr @ h + Wbr + Rbr)
            if attributes.get("linear_before_reset", 0):
                candidate = np.tanh(Wh @ x + r * (Rh @ h + Rbh) + Wbh)
            else:
                candidate = np.tanh(Wh @ x + Rh @ (r * h) + Rbh + Wbh)
            h = (1 - z) * candidate + z * h
        found.append(h)
    return np.array(found)


def onnx_network(X, layers):
    """Outputs (batch, time, directions * H) of operators on top of each other."""
    rows = []
    for row in X:
        xs = row
        for op, W, R, B, attributes in layers:
            shown = []
            for direction in range(len(W)):
                read = xs[::-1] if direction else xs
                bias = None if B is None else B[direction]
                found = onnx_rows(op, read, W[direction], R[direction], bias, attributes)
                shown.append(found[::-1] if direction else found)
            xs = np.concatenate(shown, axis=1)
        rows.append(xs)
    return np.array(rows)
