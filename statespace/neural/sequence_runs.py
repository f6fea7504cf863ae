"""A network run over sequences of any length, in batches and windows that fit in the cache: what it foretells, and why.

Rows come out the same to the last bit whatever they are batched with and wherever a window ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from statespace.neural.encoder import Encoder, each_part, newest, rows_of_state
from statespace.neural.own_history import OwnHistory
from statespace.neural.trace import NetworkState
from statespace.protocols import Array, Floats, Ints

_ROWS = 128  # sequences that are run side by side
_NUMBERS = 1 << 21  # outputs of a window

Visit = Callable[[Ints, Array, Array], None]


def run_over(
    encoder: Encoder,
    data: OwnHistory,
    firsts: Ints,
    lasts: Ints,
    visit: Visit,
    state: NetworkState | None = None,
) -> NetworkState:
    """Run over sequences, the rows firsts[s], ..., lasts[s] - 1 of the data; the states after them.

    Parameters
    ----------
    encoder, data, firsts, lasts
    visit : function of (places, before, after)
        Called for each window, with the rows of the data that it has, (m,), and the outputs before and after each of
        them, both (m, hidden_size).
    state : NetworkState, optional
        Where the sequences go on from; the start where it is not given.

    """
    lengths = lasts - firsts
    begun = encoder.initial_state(len(firsts)) if state is None else state
    ends = each_part(np.copy, begun)
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), _ROWS):
        rows = order[start : start + _ROWS]
        size = max(_NUMBERS // (len(rows) * encoder.network.output_size), 16)
        present = rows_of_state(begun, rows)
        for first in range(0, int(lengths[rows].max(initial=0)), size):
            left = lengths[rows] - first
            going = left > 0
            if not going.all():  # rows are by falling length
                rows, left = rows[going], left[going]
                present = rows_of_state(present, going)
            here = np.minimum(left, size)
            run = encoder.run(data.batch(firsts[rows] + first, here), present)
            before = np.concatenate([run.first[:, None], run.outputs[:, :-1]], axis=1)
            inside = np.arange(run.outputs.shape[1])[None, :] < here[:, None]
            places = (firsts[rows] + first)[:, None] + np.arange(run.outputs.shape[1])
            visit(places[inside], before[inside], run.outputs[inside])
            present = run.state
            put_rows(ends, rows, present)
    return ends


def put_rows(into: NetworkState, rows: Ints, state: NetworkState) -> None:
    """States take the place of those of some rows."""
    into.h[..., rows, :] = state.h
    if into.c is not None:
        into.c[..., rows, :] = state.c


def log_likelihood_steps(
    encoder: Encoder, head: Any, data: OwnHistory, firsts: Ints, lasts: Ints, state: NetworkState | None = None
) -> tuple[Floats, NetworkState]:
    """Log p(x_n | x_1..x_{n-1}) of all rows of the data, NaN where not scored, and the states after the sequences."""
    steps = np.full(len(data.targets), np.nan)

    def visit(places: Ints, before: Array, _: Array) -> None:
        known = data.known[places]
        where = places[known]
        if len(where):
            steps[where] = head.law.log_likelihood(wide(head.scores(before[known])), data.targets[where])

    return steps, run_over(encoder, data, firsts, lasts, visit, state)


def outputs_before_and_after(
    encoder: Encoder, data: OwnHistory, firsts: Ints, lasts: Ints, state: NetworkState | None = None
) -> tuple[Array, Array, NetworkState]:
    """Outputs of the network before and after each row of the data, (n, hidden_size), and the states at the end."""
    shape = (len(data.targets), encoder.network.output_size)
    before, after = np.empty(shape, encoder.network.dtype), np.empty(shape, encoder.network.dtype)

    def visit(places: Ints, seen: Array, then: Array) -> None:
        before[places], after[places] = seen, then

    return before, after, run_over(encoder, data, firsts, lasts, visit, state)


def last_outputs(state: NetworkState) -> Array:
    """What a network foretells from, after its last step, (n_sequences, hidden_size)."""
    return newest(state)


def wide(scores: Array) -> Floats:
    """Scores as laws are to be given in: what is said of probabilities then does not depend on the network's type."""
    return np.asarray(scores, np.float64)
