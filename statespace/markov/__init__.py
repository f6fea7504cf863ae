"""Markov chains of any order, and what a transition matrix says about its chain."""

import importlib
from typing import Any

_HOME = {
    "MarkovChain": "chain",
    "CommunicatingClass": "structure",
    "absorbing_states": "structure",
    "absorption_probabilities": "structure",
    "absorption_times": "structure",
    "communicating_classes": "structure",
    "entropy_rate": "structure",
    "entropy_rates": "structure",
    "expected_run_lengths": "structure",
    "hitting_probabilities": "structure",
    "is_aperiodic": "structure",
    "is_irreducible": "structure",
    "limiting_law": "structure",
    "mean_first_passage_times": "structure",
    "mean_recurrence_times": "structure",
    "n_step_matrix": "structure",
    "periods": "structure",
    "recurrent_states": "structure",
    "stationary_laws": "structure",
    "transient_states": "structure",
    "forecast_interval": "intervals",
    "transition_intervals": "intervals",
}

__all__ = list(_HOME)  # the table above is the list


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'statespace.markov' has no attribute {name!r}")
    return getattr(importlib.import_module(f"statespace.markov.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
