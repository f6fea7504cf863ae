"""Derivatives of the last state by every state before it, of a cell of your own: through its own `step_back`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from statespace.protocols import Array, Ints


def custom_state_jacobians(
    cell: Any, weights: dict[str, Array], x: Array, states: Array, lengths: Ints
) -> Iterator[tuple[int, Array]]:
    """Steps t and d s_T / d s_t for t = T, T-1, ..., 0, T the length of a row; zeros after its end.

    Each step is run again from the state that the network went through, once for every number of the last state: rows
    of what is known are then derivatives of one number each, and go back through `step_back`.

    Parameters
    ----------
    cell : RecurrentCell
    weights : mapping
        As the cell takes them, float64.
    x : (B, T, n_inputs)
        Inputs in the order in which they are read, float64.
    states : (B, T + 1, n)
        States, that before the first step first.
    lengths : (B,)

    Yields
    ------
    t : int
        Steps read.
    G : (B, n, n)

    """
    B, T, n = x.shape[0], x.shape[1], states.shape[2]
    G = np.zeros((B, n, n))
    for t in range(T, -1, -1):
        G[lengths == t] = np.eye(n)
        yield t, G.copy()
        if t == 0:
            return
        read = lengths >= t
        if not read.any():
            continue
        _, kept = cell.step(weights, np.repeat(x[read, t - 1], n, axis=0), np.repeat(states[read, t - 1], n, axis=0))
        unused = {name: np.zeros(weight.shape) for name, weight in weights.items()}
        _, before = cell.step_back(weights, kept, G[read].reshape(-1, n), unused)
        G[read] = np.asarray(before).reshape(-1, n, n)
