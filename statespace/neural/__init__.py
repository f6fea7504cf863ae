"""Recurrent networks as deterministic state-space models: cells, gradients, remedies."""

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
    "Gaussian",
    "Head",
    "HeadGradients",
    "NetworkState",
    "Poisson",
    "RecurrentNetwork",
    "Schedule",
    "Trace",
    "TrainingDivergedError",
    "clip_global_norm",
    "global_norm",
]
