"""Recurrent networks as deterministic state-space models: cells, gradients, remedies."""

from statespace.neural.custom_network import CustomNetwork
from statespace.neural.custom_trace import CustomTrace
from statespace.neural.gradient_check import check_gradients, check_head_gradients
from statespace.neural.heads import Head, HeadGradients
from statespace.neural.keras_weights import from_keras, to_keras
from statespace.neural.laws import Bernoulli, Categorical, Gaussian, Poisson
from statespace.neural.network import RecurrentNetwork
from statespace.neural.onnx_weights import OnnxLayer, from_onnx, to_onnx
from statespace.neural.optimizers import Adam, TrainingDivergedError, clip_global_norm, global_norm
from statespace.neural.schedules import Schedule
from statespace.neural.trace import NetworkState, Trace
from statespace.neural.weight_formats import (
    from_lecture_gru,
    from_torch,
    load_safetensors,
    save_safetensors,
    to_torch,
)

__all__ = [
    "Adam",
    "Bernoulli",
    "Categorical",
    "CustomNetwork",
    "CustomTrace",
    "Gaussian",
    "Head",
    "HeadGradients",
    "NetworkState",
    "OnnxLayer",
    "Poisson",
    "RecurrentNetwork",
    "Schedule",
    "Trace",
    "TrainingDivergedError",
    "check_gradients",
    "check_head_gradients",
    "clip_global_norm",
    "from_keras",
    "from_lecture_gru",
    "from_onnx",
    "from_torch",
    "global_norm",
    "load_safetensors",
    "save_safetensors",
    "to_keras",
    "to_onnx",
    "to_torch",
]
