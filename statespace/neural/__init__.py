"""Recurrent networks as deterministic state-space models: cells, gradients, remedies."""

from statespace.neural.custom_network import CustomNetwork
from statespace.neural.custom_trace import CustomTrace
from statespace.neural.gradient_check import check_gradients, check_head_gradients
from statespace.neural.gradient_norms import GradientFlow, gradient_flow
from statespace.neural.heads import Head, HeadGradients
from statespace.neural.laws import Bernoulli, Categorical, Gaussian, Poisson
from statespace.neural.matrix_powers import Powers, powers
from statespace.neural.network import RecurrentNetwork
from statespace.neural.optimizers import Adam, TrainingDivergedError, clip_global_norm, global_norm
from statespace.neural.schedules import Schedule
from statespace.neural.trace import NetworkState, Trace

__all__ = [
    "Adam",
    "Bernoulli",
    "Categorical",
    "CustomNetwork",
    "CustomTrace",
    "Gaussian",
    "GradientFlow",
    "Head",
    "HeadGradients",
    "NetworkState",
    "Poisson",
    "Powers",
    "RecurrentNetwork",
    "Schedule",
    "Trace",
    "TrainingDivergedError",
    "check_gradients",
    "check_head_gradients",
    "clip_global_norm",
    "global_norm",
    "gradient_flow",
    "powers",
]
