"""Weights from and to the recurrent operators of ONNX.

W, R and B have an axis for directions; the gates of an LSTM are i, o, f, c, those of a GRU z, r, h; B has the biases of
the inputs and of the states side by side. linear_before_reset says where a GRU resets: 0, before the product, is what
ONNX takes where it is not set; what comes from torch has 1.

ONNX operators RNN, LSTM and GRU, version 22.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from statespace.neural.cells import GATES
from statespace.neural.network import RecurrentNetwork
from statespace.neural.parameters import as_array
from statespace.neural.weight_formats import Run, blocks, built, check_plain, layers_of, named
from statespace.protocols import Array

_FROM_ONNX = {"rnn": [0], "lstm": [0, 2, 3, 1], "gru": [1, 0, 2]}  # where torch's blocks lie among those of ONNX
_OPERATORS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
_ACTIVATIONS = {"gru": ["sigmoid", "tanh"], "lstm": ["sigmoid", "tanh", "tanh"]}


class OnnxLayer(NamedTuple):
    """An operator of ONNX and its weights; `onnx.helper.make_node(op, inputs, outputs, **attributes)`."""

    op: str
    """RNN, LSTM or GRU."""
    W: Array
    """Of the inputs, shape (directions, n_gates * H, n_inputs)."""
    R: Array
    """Of the states before, shape (directions, n_gates * H, H)."""
    B: Array | None
    """Biases of both, side by side, shape (directions, 2 * n_gates * H); None for none."""
    attributes: Mapping[str, Any]
    """hidden_size, direction; of a GRU linear_before_reset; of an RNN activations."""


def to_onnx(net: RecurrentNetwork) -> list[OnnxLayer]:
    """Weights for ONNX: an operator a layer. Its outputs are (time, directions, batch, H).

    Raises
    ------
    ValueError
        Where ONNX has no such operator: gated leaky cells, leaks and skips.

    """
    check_plain(net, "ONNX")
    order, found = np.argsort(_FROM_ONNX[net.cell]), []
    for layer in layers_of(net):
        runs = [[None if w is None else blocks(w, net.hidden_size, order) for w in run] for run in layer]
        W, R = (np.stack([weight for run in runs if (weight := run[i]) is not None]) for i in (0, 1))
        biases = [np.concatenate([b for b in run[2:] if b is not None]) for run in runs] if net.bias else []
        B = np.stack(biases) if net.bias else None
        attributes: dict[str, Any] = {
            "hidden_size": net.hidden_size,
            "direction": "bidirectional" if net.bidirectional else "forward",
        }
        if net.cell == "gru":
            attributes["linear_before_reset"] = int(net.reset == "after")
        if net.cell == "rnn":
            attributes["activations"] = [net.nonlinearity.capitalize()] * len(layer)
        found.append(OnnxLayer(_OPERATORS[net.cell], W, R, B, attributes))
    return found


def from_onnx(layers: Iterable[OnnxLayer], **options: Any) -> RecurrentNetwork:
    """Build a network from operators of ONNX, one a layer.

    Parameters
    ----------
    layers : OnnxLayer, or several
        `attributes` as the node has them: where linear_before_reset is not among them it is 0, as ONNX says.
    **options
        Arguments of `RecurrentNetwork`; those that the operators show have to agree.

    Raises
    ------
    ValueError
        Where an operator is something else than a layer of this network, or layers do not fit together.

    """
    given = [layers] if isinstance(layers, OnnxLayer) else list(layers)
    resets, activations = set(), set()
    found: list[list[Run]] = []
    for number, layer in enumerate(given):
        where = f"layers[{number}]"
        cell = {op: name for name, op in _OPERATORS.items()}.get(layer.op)
        if cell is None:
            raise ValueError(f"{where} is {layer.op!r}, expected one of {', '.join(_OPERATORS.values())}")
        gates, W, R = len(GATES[cell]), as_array(layer.W), as_array(layer.R)
        H = R.shape[-1] if R.ndim == 3 else 0
        if W.ndim != 3 or R.shape != (len(W), gates * H, H) or W.shape[1] != gates * H or len(W) not in (1, 2):
            raise ValueError(
                f"{where} has W and R of shapes {W.shape} and {R.shape}, expected (directions, {gates} * H, n_inputs) "
                f"and (directions, {gates} * H, H)"
            )
        B = None if layer.B is None else as_array(layer.B)
        if B is not None and B.shape != (len(W), 2 * gates * H):
            raise ValueError(f"{where} has a B of shape {B.shape}, expected {(len(W), 2 * gates * H)}")
        activations.add(_checked_attributes(where, layer.attributes, cell, len(W), H))
        if cell == "gru":
            resets.add("after" if layer.attributes.get("linear_before_reset", 0) else "before")
        found.append([])
        for direction in range(len(W)):
            b_ih, b_hh = (None, None) if B is None else np.split(B[direction], 2)
            parts = (W[direction], R[direction], b_ih, b_hh)
            found[-1].append(Run(*(None if w is None else blocks(w, H, _FROM_ONNX[cell]) for w in parts)))  # type: ignore[arg-type]
    if len(resets) > 1 or len(activations) > 1:
        raise ValueError("the layers differ in linear_before_reset or in activations: a network has one for all")
    if activations == {"relu"}:
        options = {"nonlinearity": "relu", **options}
    known = {"gru": resets.pop()} if resets else {}
    return built(named(found), known, options, "linear_before_reset says so")


def _checked_attributes(where: str, attributes: Mapping[str, Any], cell: str, directions: int, H: int) -> str:
    """The activation of an RNN; attributes that would make another function of the same weights are refused."""
    expected: dict[str, Any] = {"hidden_size": H, "input_forget": 0, "clip": None}
    expected["direction"] = "bidirectional" if directions == 2 else "forward"
    for name, value in expected.items():
        found = attributes.get(name, value)
        found = found.decode() if isinstance(found, bytes) else found
        if found != value:
            raise ValueError(f"{where} has {name}={found!r}, and this network has {value!r}")
    listed = [name.decode() if isinstance(name, bytes) else name for name in attributes.get("activations", [])]
    listed = [name.lower() for name in listed] or _ACTIVATIONS.get(cell, ["tanh"]) * directions
    allowed = [_ACTIVATIONS[cell]] if cell in _ACTIVATIONS else [["tanh"], ["relu"]]
    if listed not in [one * directions for one in allowed]:
        raise ValueError(f"{where} has the activations {listed}, expected {' or '.join(map(str, allowed))} a direction")
    return listed[0] if cell == "rnn" else ""
