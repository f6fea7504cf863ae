"""Sequences that start from the chain's own stationary law: that law, and what it brings to a gradient.

    log L(P) = sum_{c,k} n(c, k) log P(c, k) + sum_s w_s log pi_{c_s}(P)          c_s: first context of sequence s

The counts alone no longer maximise it: a transition that was never seen is part of the maximum where it leads back to a
start that is otherwise hard to reach. The gradient needs, of each start context c, one column of the deviation matrix
D = (I - P + 1 pi)^-1:

    G(i, k) = d log L / d P(i, k) = n(i, k) / P(i, k) + sum_s w_s pi_i D(i k, c_s) / pi_{c_s}     i k: the context after

Schweitzer (1968), Journal of Applied Probability 5 (the derivative of pi).
"""

import numpy as np

from statespace.foundations.contexts import context_matrix
from statespace.foundations.stochastic_matrix import (
    SMALLEST_NORMAL,
    check_first_order,
    communicating_classes,
    reduce_states,
    stationary_law,
)
from statespace.protocols import Floats, Ints

LAW_LIMIT = 1 << 12  # contexts whose stationary law is solved for: 128 MB, some seconds
_WAYS_OUT = {
    "initial": "use initial='free' or 'conditional'",
    "start": "use start='free'",
    "transmat_": "markov.structure.stationary_laws(transmat) has all of them",
}


def recurrent_states(matrix: Floats, argument: str = "initial") -> Ints:
    """The states of the one recurrent class of a chain, in increasing order.

    Raises
    ------
    ValueError
        If the chain has several; `argument` is the model's word for how sequences start.

    """
    recurrent = [found.members for found in communicating_classes(matrix) if found.recurrent]
    if len(recurrent) > 1:
        raise ValueError(
            f"the chain has {len(recurrent)} recurrent classes, each with a stationary law of its own: "
            f"{_WAYS_OUT[argument]}"
        )
    return np.array(recurrent[0], dtype=np.int64)


def unique_stationary_law(transmat: Floats, argument: str = "initial") -> Floats:
    """The stationary law of the contexts of a chain, shape (K^M,).

    Parameters
    ----------
    transmat : (K,) * M + (K,)
        Transition laws.
    argument : {"initial", "start", "transmat_"}
        The model's word for how sequences start, for the messages.

    Raises
    ------
    ValueError
        If the chain has several recurrent classes, so that there are many, or more contexts than can be solved for.

    """
    n_symbols, order = transmat.shape[-1], transmat.ndim - 1
    if n_symbols**order > LAW_LIMIT:
        raise ValueError(too_many_contexts(n_symbols, order, LAW_LIMIT, argument))
    if not order:
        return np.ones(1)
    matrix = check_first_order("P", context_matrix(transmat))
    members = recurrent_states(matrix, argument)
    law = np.zeros(len(matrix))
    law[members] = stationary_law(matrix[np.ix_(members, members)])
    return law


def too_many_contexts(n_symbols: int, order: int, limit: int, argument: str = "initial") -> str:
    """Say that there are more contexts than `limit`, and the way out."""
    return (
        f"{argument}='stationary' solves for {n_symbols}^{order} = {n_symbols**order} contexts, more than {limit}: "
        f"{_WAYS_OUT[argument]}"
    )


def stationary_law_of(transmat: Floats, members: Ints) -> Floats | None:
    """The stationary law of a matrix whose recurrent states are known, shape (n_states,).

    None where it cannot be told, since some of them are joined by probabilities that underflow. As accurate as
    `stationary_law`, without its checks.
    """
    n_members = len(members)
    order, exit_rate, inside = np.empty(n_members, np.int64), np.empty(n_members), np.empty(n_members)
    reduced = np.ascontiguousarray(transmat[np.ix_(members, members)])
    if reduce_states(reduced, order, exit_rate, inside, SMALLEST_NORMAL) > 1:
        return None
    law = np.zeros(len(transmat))
    law[members] = inside
    return law


def start_value_and_slope(start: Floats, transmat: Floats, members: Ints) -> tuple[float, Floats]:
    """sum_k start_k log pi_k(A), and its derivative in A up to a constant for each row.

    Parameters
    ----------
    start : (n_states,)
        How often each state starts, not negative.
    transmat : (n_states, n_states)
        A.
    members : (n_recurrent,)
        Its recurrent states (`recurrent_states`).

    Returns
    -------
    value : float
        -inf where a start has no stationary probability, or none that can be told.
    slope : (n_states, n_states)
        pi_i sum_k D(j, k) start_k / pi_k, with the deviation matrix D = (I - A + 1 pi)^-1.

    """
    n_states = len(transmat)
    law = stationary_law_of(transmat, members)
    if law is None:
        return -np.inf, np.zeros((n_states, n_states))
    started = start > 0
    if not (law[started] > 0).all():
        return -np.inf, np.zeros((n_states, n_states))
    pull = np.zeros(n_states)
    pull[started] = start[started] / law[started]
    try:
        deviation = np.linalg.solve(np.eye(n_states) - transmat + law, pull)
    except np.linalg.LinAlgError:  # parts of the chain are joined by rounding only
        return -np.inf, np.zeros((n_states, n_states))
    return float(start[started] @ np.log(law[started])), law[:, None] * deviation
