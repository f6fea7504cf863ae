"""Recurrent networks as deterministic state-space models: cells, gradients, remedies."""

from statespace.neural.keras_weights import from_keras, to_keras
from statespace.neural.network import RecurrentNetwork
from statespace.neural.onnx_weights import OnnxLayer, from_onnx, to_onnx
from statespace.neural.trace import NetworkState, Trace
from statespace.neural.weight_formats import (
    from_lecture_gru,
    from_torch,
    load_safetensors,
    save_safetensors,
    to_torch,
)

__all__ = [
    "NetworkState",
    "OnnxLayer",
    "RecurrentNetwork",
    "Trace",
    "from_keras",
    "from_lecture_gru",
    "from_onnx",
    "from_torch",
    "load_safetensors",
    "save_safetensors",
    "to_keras",
    "to_onnx",
    "to_torch",
]
