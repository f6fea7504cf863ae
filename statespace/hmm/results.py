"""What the verbs of a hidden Markov model return."""

from __future__ import annotations

from typing import Any, NamedTuple

from statespace.protocols import Floats


class FilterResult(NamedTuple):
    """What the past and the present say of the state."""

    filtered: Any
    """p(z_n = k | x_1..x_n), shape (n_samples, n_components), in the form of the data."""
    predicted: Any
    """p(z_n = k | x_1..x_{n-1}), the same shape."""
    log_likelihood: float
    """log p(x_1..x_N), given the state it went on from."""
    state: Floats
    """p(z_N = k | x_1..x_N), shape (n_components,), or (n_sequences, n_components): hand it to the next `filter`."""


class SmoothResult(NamedTuple):
    """What all the data say of the states."""

    probabilities: Any
    """p(z_n = k | x_1..x_N), shape (n_samples, n_components), in the form of the data."""
    transitions: Floats
    """Expected number of transitions, sum_n p(z_n = i, z_{n+1} = j | x), shape (n_components, n_components)."""
    log_likelihood: float
    """log p(x_1..x_N)."""
