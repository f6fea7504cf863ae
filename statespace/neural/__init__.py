"""Recurrent networks as deterministic state-space models: cells, gradients, remedies."""

from statespace.neural.custom_network import CustomNetwork
from statespace.neural.custom_trace import CustomTrace
from statespace.neural.gradient_check import check_gradients, check_head_gradients
from statespace.neural.heads import Head, HeadGradients
from statespace.neural.laws import Bernoulli, Categorical, Gaussian, Poisson
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
    "Head",
    "HeadGradients",
    "NetworkState",
    "Poisson",
    "RecurrentNetwork",
    "Schedule",
    "Trace",
    "TrainingDivergedError",
    "check_gradients",
    "check_head_gradients",
    "clip_global_norm",
    "global_norm",
]
