"""From what is known of the state to the laws of observations: p(x) = sum_k p(z = k) p(x | z = k)."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.predictive import PredictiveLaw
from statespace.foundations.stochastic_matrix import check_law
from statespace.protocols import Floats


def check_states(state: Any, n_sequences: int, n_components: int) -> Floats:
    """Laws of the state, one for each sequence, shape (n_sequences, n_components)."""
    known = np.asarray(state, dtype=np.float64)
    expected = (n_sequences, n_components)
    if known.shape != expected and not (known.shape == (n_components,) and n_sequences == 1):
        raise ValueError(
            f"state has shape {known.shape}, expected the state of an earlier filter of {n_sequences} "
            f"sequence{'s' * (n_sequences != 1)}, {expected}"
        )
    known = known.reshape(expected)
    return np.stack([check_law(f"state[{s}]", law, n_components) for s, law in enumerate(known)])


def states_ahead(state: Floats, transmat: Floats, steps: int) -> Floats:
    """p(z_{N+h} = k | x_1..x_N) for h = 1..steps, shape (steps, n_components)."""
    ahead = [state @ transmat]
    while len(ahead) < steps:
        ahead.append(ahead[-1] @ transmat)
    return np.array(ahead)


def observation_law(emission: Any, weights: Floats, index: Any = None) -> PredictiveLaw:
    """The laws of the observation when the states have the probabilities `weights` (n, n_components)."""
    weights = weights / weights.sum(axis=1, keepdims=True)
    if hasattr(emission, "law"):
        law: PredictiveLaw = emission.law(weights, index)
        return law
    return PredictiveLaw(weights=weights, components=emission, index=index)
