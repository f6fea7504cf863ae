r"""The order of the states: one that means something, or the one that known labels have.

The likelihood of a hidden Markov model does not change when its states are renumbered, so that two fits of the same
data may number them differently. An order is an array of the present numbers: new state k is what was state order[k].

| problem | algorithm | function |
|---|---|---|
| states by a key, ascending | stable sort | order_by |
| states as in known labels | linear assignment | align_states |
| starting values as in known labels | linear assignment | order_of_labels |
| their parameters, and decoded states | indexing | reorder_laws, relabel_states |

Kuhn (1955), Naval Research Logistics Quarterly 2 (assignment); Redner and Walker (1984), SIAM Review 26 (mixtures whose
components can be renumbered).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from statespace.protocols import Array, Floats, Ints


def order_by(by: Any, n_components: int, keys: Mapping[str, Callable[[], ArrayLike]], model: Any = None) -> Ints:
    """The states in ascending order of a key.

    Parameters
    ----------
    by : str, callable, (n_components,) or (n_components, n_features)
        The key of each state: a name in `keys`; a function of `model`; or numbers. Where a key has several columns, the
        first decides, then the second, and so on; equal states keep their order.
    n_components : int
        Number of states.
    keys : mapping
        What the names stand for.
    model : object, optional
        What a callable is called with.

    Returns
    -------
    (n_components,)
        New state k is what was state order[k].

    Raises
    ------
    TypeError
        If the keys are no numbers.
    ValueError
        If there is no such name, the keys have another shape, or one of them is NaN.

    """
    if isinstance(by, str):
        if by not in keys:
            raise ValueError(
                f"by is {by!r}, expected {', '.join(map(repr, keys))}, a function of the model, or one number a state"
            )
        try:
            given: Any = keys[by]()
        except AttributeError:
            others = [name for name in keys if name != by]
            raise ValueError(
                f"the states have no {by}, by which to sort them: by={', by='.join(map(repr, others))}, or a function "
                "of the model, say lambda model: model.emissionprob_[:, 0]"
            ) from None
    else:
        given = by(model) if callable(by) else by
    try:
        values: Array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"by gives {given!r:.60}, expected one number for each of {n_components} states") from None
    if values.ndim not in (1, 2) or len(values) != n_components or not values.size:
        raise ValueError(
            f"by gives shape {values.shape}, expected ({n_components},): one number for each state, or a row of them"
        )
    wrong = np.argwhere(np.isnan(values))
    if len(wrong):
        raise ValueError(f"by gives NaN for state {wrong[0, 0]}, which has no place in an order")
    columns = values.reshape(n_components, -1)
    return np.lexsort(columns.T[::-1]).astype(np.int64)


def align_states(states: ArrayLike, reference: ArrayLike, n_components: int) -> Ints:
    """The order in which decoded states agree with known labels most often.

        order = argmax sum_k n(k, order[k])        n(k, j): steps of label k that were decoded as state j

    Labels that never occur take the states that are left, in ascending order; among equally good orders states keep
    their numbers where they can.

    Parameters
    ----------
    states : (n_samples,)
        Decoded states, 0 to n_components - 1.
    reference : (n_samples,)
        Known labels, 0 to n_components - 1; -1 where unknown.
    n_components : int
        Number of states.

    Returns
    -------
    (n_components,)
        New state k, which label k stands for, is what was state order[k].

    Raises
    ------
    TypeError
        If either are not integers.
    ValueError
        If their lengths differ, one lies outside its range, or no label is known.

    """
    found = _whole_numbers("states", states, n_components, 0)
    labels = _whole_numbers("reference", reference, n_components, -1)
    if len(found) != len(labels):
        raise ValueError(f"reference has {len(labels)} labels for {len(found)} states: expected one for each step")
    known = labels >= 0
    if not known.any():
        raise ValueError("reference has no known label: every one is -1")
    counts = np.zeros((n_components, n_components), dtype=np.int64)
    np.add.at(counts, (labels[known], found[known]), 1)
    # Agreement decides; of n_components kept numbers all together are worth less than one step
    worth = counts * (n_components + 1) + np.eye(n_components, dtype=np.int64)
    return _best_assignment(worth, np.asarray(counts.any(axis=1)))


def order_of_labels(log_likelihood: Floats, labels: Ints, weights: Floats) -> Ints:
    """The order in which states explain the observations that are labelled with them.

        order = argmax sum_k sum_{n: label k} weights_n log p(x_n | z_n = order[k])

    As few observations as can be are impossible; labels that never occur take the states that are left.

    Parameters
    ----------
    log_likelihood : (n_samples, n_components)
        Log p(x_n | z_n = k), -inf where impossible.
    labels : (n_samples,)
        Known labels, 0 to n_components - 1.
    weights : (n_samples,)
        What each observation counts.

    Returns
    -------
    (n_components,)
        New state k, which label k stands for, is what was state order[k].

    """
    K = log_likelihood.shape[1]
    possible = log_likelihood > -np.inf
    of_label = (labels[:, None] == np.arange(K)).astype(np.float64) * weights[:, None]
    explained = of_label.T @ np.where(possible, log_likelihood, 0.0)
    impossible = of_label.T @ (~possible).astype(np.float64)
    smallest = impossible[impossible > 0].min(initial=np.inf)
    worth = explained - impossible / smallest * (1.0 + K * np.ptp(explained))
    return _best_assignment(worth, np.bincount(labels, weights, minlength=K) > 0)


def _best_assignment(worth: Array, occurring: Array) -> Ints:
    """For each label (row) that occurs the state that makes the sum largest, for the others those that are left."""
    from scipy.optimize import linear_sum_assignment

    labels = np.flatnonzero(occurring)
    _, taken = linear_sum_assignment(worth[labels], maximize=True)
    order = np.full(len(worth), -1, dtype=np.int64)
    order[labels] = taken
    order[order < 0] = np.setdiff1d(np.arange(len(worth)), taken)
    return order


def _whole_numbers(name: str, values: ArrayLike, n_components: int, least: int) -> Ints:
    array: Array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has shape {array.shape} and dtype {array.dtype}, expected integers, one for each step"
            + ("; -1 where unknown" if least < 0 else "")
        )
    wrong = np.flatnonzero((array < least) | (array >= n_components))
    if wrong.size:
        raise ValueError(
            f"{name}[{wrong[0]}] is {array[wrong[0]]}, expected {least} to {n_components - 1} for {n_components} states"
        )
    return array.astype(np.int64)


def reorder_laws(startprob: Floats, transmat: Floats, order: Ints) -> tuple[Floats, Floats]:
    """The laws of the states in their new order; transmat (K, K), or (n, K, K) one a step."""
    moved = transmat[..., order, :][..., order]
    return np.ascontiguousarray(startprob[order]), np.ascontiguousarray(moved)


def relabel_states(states: Ints, order: Ints) -> Ints:
    """Decoded states under their new numbers; -1 stays -1."""
    new_number = np.full(len(order) + 1, -1, dtype=np.int64)
    new_number[order] = np.arange(len(order))
    return new_number[states]
