"""Recurrent networks as deterministic state-space models: cells, gradients, remedies."""

from statespace.neural.network import RecurrentNetwork
from statespace.neural.trace import NetworkState, Trace

__all__ = ["NetworkState", "RecurrentNetwork", "Trace"]
