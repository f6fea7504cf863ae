"""Recurrent networks as deterministic state-space models: cells, gradients, remedies."""

from statespace.neural.attention import Attention
from statespace.neural.classifier import RecurrentClassifier
from statespace.neural.custom_network import CustomNetwork
from statespace.neural.custom_trace import CustomTrace
from statespace.neural.encoder_decoder import SequenceToSequence
from statespace.neural.gradient_check import check_gradients, check_head_gradients
from statespace.neural.gradient_norms import GradientFlow, gradient_flow
from statespace.neural.heads import Head, HeadGradients
from statespace.neural.keras_weights import from_keras, to_keras
from statespace.neural.laws import Bernoulli, Categorical, Gaussian, Poisson
from statespace.neural.matrix_powers import Powers, powers
from statespace.neural.network import RecurrentNetwork
from statespace.neural.onnx_weights import OnnxLayer, from_onnx, to_onnx
from statespace.neural.optimizers import Adam, TrainingDivergedError, clip_global_norm, global_norm
from statespace.neural.regressor import RecurrentRegressor
from statespace.neural.schedules import Schedule
from statespace.neural.sequence_model import RecurrentSequenceModel
from statespace.neural.sequence_verbs import NetworkFilterResult
from statespace.neural.tagger import RecurrentTagger
from statespace.neural.text import TokenFeatures, characters, word_shape, words
from statespace.neural.trace import NetworkState, Trace
from statespace.neural.training import History
from statespace.neural.weight_formats import (
    from_lecture_gru,
    from_torch,
    load_safetensors,
    save_safetensors,
    to_torch,
)

__all__ = [
    "Adam",
    "Attention",
    "Bernoulli",
    "Categorical",
    "CustomNetwork",
    "CustomTrace",
    "Gaussian",
    "GradientFlow",
    "Head",
    "HeadGradients",
    "History",
    "NetworkFilterResult",
    "NetworkState",
    "OnnxLayer",
    "Poisson",
    "Powers",
    "RecurrentClassifier",
    "RecurrentNetwork",
    "RecurrentRegressor",
    "RecurrentSequenceModel",
    "RecurrentTagger",
    "Schedule",
    "SequenceToSequence",
    "TokenFeatures",
    "Trace",
    "TrainingDivergedError",
    "characters",
    "check_gradients",
    "check_head_gradients",
    "clip_global_norm",
    "from_keras",
    "from_lecture_gru",
    "from_onnx",
    "from_torch",
    "global_norm",
    "gradient_flow",
    "load_safetensors",
    "powers",
    "save_safetensors",
    "to_keras",
    "to_onnx",
    "to_torch",
    "word_shape",
    "words",
]
