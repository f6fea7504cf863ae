"""Recurrent networks as deterministic state-space models: cells, gradients, remedies."""

from statespace.neural.gradient_norms import GradientFlow, gradient_flow
from statespace.neural.matrix_powers import Powers, powers
from statespace.neural.network import RecurrentNetwork
from statespace.neural.trace import NetworkState, Trace

__all__ = ["GradientFlow", "NetworkState", "Powers", "RecurrentNetwork", "Trace", "gradient_flow", "powers"]
