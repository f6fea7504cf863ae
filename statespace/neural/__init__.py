"""Recurrent networks as deterministic state-space models: cells, gradients, remedies."""

from statespace.neural.network import RecurrentNetwork
from statespace.neural.optimizers import Adam, TrainingDivergedError, clip_global_norm, global_norm
from statespace.neural.schedules import Schedule
from statespace.neural.trace import NetworkState, Trace

__all__ = [
    "Adam",
    "NetworkState",
    "RecurrentNetwork",
    "Schedule",
    "Trace",
    "TrainingDivergedError",
    "clip_global_norm",
    "global_norm",
]
