r"""How surely and how soon a chain gets somewhere: absorption, hitting probabilities, first-passage times.

    h_i = sum_j P_ij h_j                 h = 1 on the targets, 0 where they cannot be reached
    t_i = 1 + sum_j P_ij t_j             t = 0 on the targets

Both are solved by state reduction (censoring), as the stationary law is by GTH: the states are taken out one by one,

    P_ij <- P_ij + P_ik P_kj / s_k       t_i <- t_i + P_ik t_k / s_k       s_k = sum_{j != k} P_kj

and then put back. Only sums, products and quotients of non-negative numbers occur, so every result has full relative
accuracy, where an LU solution of I - P loses as many digits as the chain is nearly decomposable. Which states are
certain to arrive is a question to the graph of the positive entries, and is answered there.

Grassmann, Taksar and Heyman (1985); Kohlas (1986), Zeitschrift für Operations Research 30; Kemeny and Snell (1960).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from statespace.foundations.kernel import kernel
from statespace.foundations.stochastic_matrix import (
    check_first_order,
    communicating_classes,
    stationary_law,
)
from statespace.protocols import Array, Floats, Ints

# State reduction


@kernel
def _eliminate(A: Floats, t: Floats, n_kept: int) -> None:
    """Take out states n - 1 ... n_kept of A, in place, with the time t that each visit adds.

    Afterwards row k >= n_kept holds the law of the first state below k that follows it, and t_k the time until then,
    infinite where no such state need ever follow (or follows so late that its probability underflows).
    """
    n = A.shape[0]
    for k in range(n - 1, n_kept - 1, -1):
        s = 0.0
        for j in range(k):
            s += A[k, j]
        if s == 0.0:
            t[k] = np.inf
        if t[k] == np.inf:
            for i in range(k):
                if A[i, k] > 0.0:
                    t[i] = np.inf
            continue
        for j in range(k):
            A[k, j] /= s
        t[k] /= s
        for i in range(k):
            through = A[i, k]
            if through > 0.0:
                t[i] += through * t[k]
                for j in range(k):
                    A[i, j] += through * A[k, j]  # the diagonal fills up too, and is never read


@kernel
def _substitute(A: Floats, t: Floats, n_kept: int, X: Floats) -> None:
    """Put the states back: X_k = t_k + sum_{l < k} A_kl X_l for k >= n_kept, from the first n_kept rows of X."""
    n, m = X.shape
    for k in range(n_kept, n):
        for c in range(m):
            X[k, c] = t[k]
        if t[k] == np.inf:
            continue
        for l in range(k):  # noqa: E741 (the field's index)
            a = A[k, l]
            if a > 0.0:
                for c in range(m):
                    X[k, c] += a * X[l, c]


# Reachability


@kernel
def _add_predecessors(arrivals: Array, avoid: Array, found: Array, stack: Ints) -> None:
    """Add to `found` each state with a path into it that keeps clear of `avoid`; arrivals[j, i] says that i -> j."""
    n = arrivals.shape[0]
    waiting = 0
    for j in range(n):
        if found[j]:
            stack[waiting] = j
            waiting += 1
    while waiting > 0:
        waiting -= 1
        j = stack[waiting]
        for i in range(n):
            if arrivals[j, i] and not found[i] and not avoid[i]:
                found[i] = True
                stack[waiting] = i
                waiting += 1


def _arrivals(P: Floats) -> Array:
    return np.ascontiguousarray((P > 0).T)


def _can_reach(arrivals: Array, targets: Array) -> Array:
    found = targets.copy()
    _add_predecessors(arrivals, np.zeros_like(found), found, np.empty(len(found), dtype=np.int64))
    return found


def _can_miss(arrivals: Array, targets: Array) -> Array:
    """Which states can get, past no target, to where no target can be reached any more."""
    found = ~_can_reach(arrivals, targets)
    _add_predecessors(arrivals, targets, found, np.empty(len(found), dtype=np.int64))
    return found


# Absorption and hitting


def absorption_probabilities(P: ArrayLike) -> Floats:
    """Probability that the chain ends in each recurrent class.

        B_ic = p(x_n in class c for some n | x_0 = i) = sum_j P_ij B_jc

    By state reduction: every entry is accurate relative to its own size (measured: 4e-16 on chains that leave their
    transient states with probability 1e-12, where LU keeps 4 digits).

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.

    Returns
    -------
    (n_states, n_recurrent_classes)
        Columns in the order of the recurrent classes in `communicating_classes`; rows sum to 1; exactly 0 or 1 where
        the graph says so.

    Raises
    ------
    ValueError
        If P is not a stochastic matrix, or the mean time to absorption overflows where the end is not certain.

    References
    ----------
    Kemeny and Snell (1960), Finite Markov Chains, theorem 3.3.7.

    """
    matrix = check_first_order("P", P)
    arrivals, n_states = _arrivals(matrix), len(matrix)
    recurrent = [found.members for found in communicating_classes(matrix) if found.recurrent]
    reach = np.column_stack([_can_reach(arrivals, _state_set("class", members, n_states)) for members in recurrent])
    undecided = reach.sum(axis=1) > 1
    probabilities = np.where(undecided[:, None], 0.0, reach)
    probabilities[undecided] = _end_probabilities(matrix, np.flatnonzero(undecided), probabilities)
    return probabilities


def _end_probabilities(P: Floats, inner: Ints, ends: Floats) -> Floats:
    """Probability of each end from the `inner` states; ends (n_states, n_ends) is 1 for the states that belong to it.

    The ends become one state each, which is kept; the inner states are eliminated.
    """
    n_ends = ends.shape[1]
    n = n_ends + len(inner)
    A, t, times, X = np.zeros((n, n)), np.ones(n), np.zeros((n, 1)), np.zeros((n, n_ends))
    A[n_ends:, :n_ends] = P[inner] @ ends
    A[n_ends:, n_ends:] = P[np.ix_(inner, inner)]
    X[:n_ends] = np.eye(n_ends)
    _eliminate(A, t, n_ends)
    # A probability that underflows, 5e-324, is lost at every visit: that matters where there are 1e308 visits
    _substitute(A, t, n_ends, times)
    if not np.isfinite(times).all():
        stuck = inner[~np.isfinite(times[n_ends:, 0])]
        raise ValueError(
            f"P keeps the chain in the transient states for more than 1e308 steps from state {stuck[0]}: "
            "where it ends cannot be told in float64; set the smallest entries to 0"
        )
    _substitute(A, np.zeros(n), n_ends, X)
    return X[n_ends:]


def absorption_times(P: ArrayLike) -> Floats:
    """Mean number of steps until the chain is in some recurrent class (for good).

        t_i = 1 + sum_j P_ij t_j        t = 0 for recurrent states

    Every entry is accurate relative to its own size, as in `absorption_probabilities`.

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.

    Returns
    -------
    (n_states,)
        Steps: 0 for a recurrent state, at least 1 for a transient one; inf only beyond 1e308.

    Raises
    ------
    ValueError
        If P is not a stochastic matrix.

    References
    ----------
    Kemeny and Snell (1960), Finite Markov Chains, theorem 3.3.5.

    """
    matrix = check_first_order("P", P)
    recurrent = np.zeros(len(matrix), dtype=bool)
    for found in communicating_classes(matrix):
        recurrent[list(found.members)] = found.recurrent
    inner = np.flatnonzero(~recurrent)
    n = 1 + len(inner)
    A, t, X = np.zeros((n, n)), np.ones(n), np.zeros((n, 1))
    A[1:, 0] = matrix[np.ix_(inner, np.flatnonzero(recurrent))].sum(axis=1)
    A[1:, 1:] = matrix[np.ix_(inner, inner)]
    _eliminate(A, t, 1)
    _substitute(A, t, 1, X)
    times = np.zeros(len(matrix))
    times[inner] = X[1:, 0]
    return times


def hitting_probabilities(P: ArrayLike, targets: int | Sequence[int] | Array) -> Floats:
    """Probability that the chain is ever in one of `targets`, the start included.

        h_i = p(x_n in targets for some n >= 0 | x_0 = i)

    Accurate relative to its own size, and exactly 0 or 1 where the graph says so.

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.
    targets : int, (n_targets,) integers or (n_states,) booleans
        The states to hit.

    Returns
    -------
    (n_states,)
        h, 1 for the targets themselves.

    Raises
    ------
    TypeError, ValueError
        If P is not a stochastic matrix, or `targets` are not states of it.

    References
    ----------
    Norris (1997), Markov Chains, theorem 1.3.2.

    """
    matrix = check_first_order("P", P)
    arrivals, aim = _arrivals(matrix), _state_set("targets", targets, len(matrix))
    never, may_miss = ~_can_reach(arrivals, aim), _can_miss(arrivals, aim)
    undecided = np.flatnonzero(may_miss & ~never)
    hit = np.where(may_miss, 0.0, 1.0)
    hit[undecided] = _end_probabilities(matrix, undecided, np.column_stack([hit, never]))[:, 0]
    return hit


def _state_set(name: str, states: int | Sequence[int] | Array, n_states: int) -> Array:
    chosen = np.atleast_1d(np.asarray(states))
    if chosen.dtype.kind == "b":
        if chosen.shape != (n_states,):
            raise ValueError(f"{name} has shape {chosen.shape}, expected one boolean for each of {n_states} states")
        mask = chosen.copy()
    else:
        if chosen.size and chosen.dtype.kind not in "iu":
            raise TypeError(f"{name} holds {chosen.dtype} entries, expected state numbers (integers)")
        outside = chosen[(chosen < 0) | (chosen >= n_states)]
        if outside.size:
            raise ValueError(f"{name} holds state {outside[0]}, expected states from 0 to {n_states - 1}")
        mask = np.zeros(n_states, dtype=bool)
        mask[chosen.astype(np.int64)] = True
    if not mask.any():
        raise ValueError(f"{name} is empty, expected at least one state")
    return mask


# First passage


def mean_first_passage_times(P: ArrayLike) -> Floats:
    """Mean number of steps from each state to the first visit of each other.

        M_ij = 1 + sum_{k != j} P_ik M_kj

    Half of the states are censored, the passage times among the others found in the same way, and the half put back:
    O(n_states^3) in all, and no subtraction, so that every entry is accurate relative to its own size (measured:
    6e-16 on chains whose blocks are joined by 1e-12, where the fundamental matrix keeps 4 digits).

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.

    Returns
    -------
    (n_states, n_states)
        M; the diagonal holds the mean recurrence times. Finite exactly where state j is visited with probability 1
        (and M is below 1e308), otherwise inf.

    Raises
    ------
    ValueError
        If P is not a stochastic matrix.

    References
    ----------
    Kemeny and Snell (1960), Finite Markov Chains, theorem 4.4.4; Hunter (2018), Linear Algebra and its Applications
    549, on state reduction for passage times.

    """
    matrix = check_first_order("P", P)
    times = _passage_times(matrix, np.ones(len(matrix)))
    times[~_certain(matrix)] = np.inf
    # First return: one step, and the passage from where it leads
    reached = np.where(matrix > 0, times.T, 0.0)
    np.fill_diagonal(reached, 0.0)
    np.fill_diagonal(times, 1.0 + np.einsum("ij,ij->i", matrix, reached))
    return times


def _passage_times(A: Floats, t: Floats) -> Floats:
    """Mean time from each state to each other, where a visit of state i takes time t_i; 0 on the diagonal."""
    n = len(t)
    times = np.zeros((n, n))
    if n == 1:
        return times
    low, high = np.arange(n // 2), np.arange(n // 2, n)
    for kept, dropped in ((low, high), (high, low)):
        order = np.concatenate([kept, dropped])
        B, u, X = np.ascontiguousarray(A[np.ix_(order, order)]), t[order], np.empty((n, len(kept)))
        _eliminate(B, u, len(kept))
        X[: len(kept)] = _passage_times(B[: len(kept), : len(kept)], u[: len(kept)])
        _substitute(B, u, len(kept), X)
        times[np.ix_(order, kept)] = X
    return times


def _certain(P: Floats) -> Array:
    """Whether state j is visited with probability 1 from state i, (n_states, n_states); the diagonal says nothing."""
    n_states = len(P)
    certain = np.ones((n_states, n_states), dtype=bool)
    classes = communicating_classes(P)
    if len(classes) == 1:
        return certain
    arrivals = _arrivals(P)
    for found in classes:
        # All members of a recurrent class are certain together; those of a transient one are not
        for state in found.members[:1] if found.recurrent else found.members:
            target = np.zeros(n_states, dtype=bool)
            target[state] = True
            certain[:, state] = ~_can_miss(arrivals, target)
        if found.recurrent:
            certain[:, found.members] = certain[:, found.members[:1]]
    return certain


def mean_recurrence_times(P: ArrayLike) -> Floats:
    """Mean number of steps from each state back to it.

        m_k = 1 / pi_k        pi the stationary law of the class of k

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.

    Returns
    -------
    (n_states,)
        Steps; inf for a transient state, which may not return.

    Raises
    ------
    ValueError
        If P is not a stochastic matrix.

    References
    ----------
    Norris (1997), Markov Chains, theorem 1.7.7.

    """
    matrix = check_first_order("P", P)
    times = np.full(len(matrix), np.inf)
    for found in communicating_classes(matrix):
        if found.recurrent:
            with np.errstate(divide="ignore", over="ignore"):  # a law that underflows has an infinite time
                times[list(found.members)] = 1.0 / stationary_law(matrix[np.ix_(found.members, found.members)])
    return times
