r"""Stochastic matrices: their checks, their stationary law, and the graph of their positive entries.

    P_jk = p(x_{n+1} = k | x_n = j) >= 0        sum_k P_jk = 1

An edge j -> k is an entry P_jk > 0, exactly: no tolerance decides what can be reached. Two states communicate when
each can be reached from the other; a class that no edge leaves is closed, and in a finite chain exactly the closed
classes are recurrent. The period of a class is the greatest common divisor of the lengths of its cycles.

The stationary law pi = pi P comes from state reduction: state n is taken out, and the paths through it are added to
those between the others,

    P_ij <- P_ij + P_in P_nj / s_n        s_n = sum_{j != n} P_nj

until one state is left. Nothing is ever subtracted (s_n stands where elimination writes 1 - P_nn), so each pi_k has
full relative accuracy, in nearly decomposable chains too.

Grassmann, Taksar and Heyman (1985), Operations Research 33; Kemeny and Snell (1960), chapter 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from statespace.foundations.kernel import kernel
from statespace.protocols import Array, Floats, Ints

_FEW = 100  # numbers

SMALLEST_NORMAL = float(np.finfo(np.float64).tiny)
"""The smallest positive number with full relative accuracy, 2.2e-308."""


@dataclass(frozen=True)
class CommunicatingClass:
    """States that can all be reached from each other."""

    members: tuple[int, ...]
    """The states, in increasing order."""
    recurrent: bool
    """Whether no edge leaves the class; a class that is left is transient, and left for ever."""
    period: int
    """gcd of the lengths of the cycles through any member; 0 where there is no cycle (one state, P_kk = 0)."""


# Checks


def check_law(name: str, value: ArrayLike, n_states: int, tolerance: float = 1e-8) -> Floats:
    """Check that `value` is a probability law over `n_states` states.

    Parameters
    ----------
    name : str
        What the messages call it.
    value : (n_states,)
        Probabilities.
    tolerance : float
        How far from 1 the sum may be. Within it the entries stay as they are.

    Returns
    -------
    (n_states,)
        A new C-contiguous float64 array.

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If the shape is another, an entry is NaN, infinite or negative, or the sum is not 1.

    """
    law = _real_numbers(name, value)
    if law.shape != (n_states,):
        raise ValueError(f"{name} has shape {law.shape}, expected ({n_states},): one probability for each state")
    _check_rows(name, law, tolerance)
    return law


def check_stochastic_matrix(
    name: str, P: ArrayLike, tolerance: float = 1e-8, shape: tuple[int, ...] | None = None
) -> Floats:
    """Check that `P` holds a probability law in each row.

    Parameters
    ----------
    name : str
        What the messages call it.
    P : (n_states, n_states), or (n_states,) * order + (n_states,)
        Row j, or [j_1, ..., j_order], is the law of what follows; a list, an array, a frame or a sparse matrix.
    tolerance : float
        How far from 1 a row may sum. Within it the entries stay as they are: what goes in comes out, bit for bit,
        and the functions that follow read a diagonal entry as what the others leave over.
    shape : tuple of int, optional
        The shape that is expected; by default any number of axes, all of one length.

    Returns
    -------
    same shape
        A new C-contiguous float64 array.

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If the shape is wrong, an entry is NaN, infinite or negative, or a row does not sum to 1; the message names
        the row.

    """
    matrix = _real_numbers(name, P)
    if shape is not None and matrix.shape != shape:
        raise ValueError(f"{name} has shape {matrix.shape}, expected {shape}")
    if shape is None and len(set(matrix.shape)) != 1:
        raise ValueError(
            f"{name} has shape {matrix.shape}, expected (n_states, n_states): one row and one column for each state"
        )
    if matrix.size == 0:
        raise ValueError(f"{name} has shape {matrix.shape}: it needs at least one state")
    _check_rows(name, matrix, tolerance)
    return matrix


def check_first_order(name: str, P: ArrayLike) -> Floats:
    """Check that `P` is a stochastic matrix with two axes, (n_states, n_states); as `check_stochastic_matrix`."""
    matrix = check_stochastic_matrix(name, P)
    if matrix.ndim != 2:
        raise ValueError(
            f"{name} has shape {matrix.shape}, expected (n_states, n_states): "
            "a chain of another order has such a matrix over its contexts"
        )
    return matrix


def _real_numbers(name: str, value: ArrayLike) -> Floats:
    if type(value) is np.ndarray and value.dtype == np.float64:
        return value.copy()
    if hasattr(value, "toarray"):  # scipy's sparse matrices
        value = value.toarray()
    try:
        array: Array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths, expected a rectangular array") from None
    if array.dtype.kind not in "biufO":
        raise TypeError(f"{name} holds {array.dtype} entries, expected real numbers")
    try:
        numbers = np.array(array, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise TypeError(f"{name} holds entries that are not real numbers") from None
    if isinstance(value, np.ma.MaskedArray):  # a masked probability is unknown, whatever number lies under the mask
        numbers[np.ma.getmaskarray(value)] = np.nan
    return numbers


def _are_laws(laws: Floats, tolerance: float) -> bool:
    """Whether all is well, in few passes, since small calls ask it often; NaN says no."""
    if 0 < laws.size <= _FEW:  # Python's own numbers are through before NumPy has begun
        rows = laws.reshape(-1, laws.shape[-1]).tolist()
        return all(min(row) >= 0 and abs(sum(row) - 1) <= tolerance for row in rows)
    if not (
        laws.size and np.minimum.reduce(laws, axis=None) >= 0 and np.maximum.reduce(laws, axis=None) <= 1 + tolerance
    ):
        return False
    totals = np.add.reduce(laws, axis=-1)
    return bool(
        np.maximum.reduce(totals, axis=None) - 1 <= tolerance and 1 - np.minimum.reduce(totals, axis=None) <= tolerance
    )


def _check_rows(name: str, laws: Floats, tolerance: float) -> None:
    if _are_laws(laws, tolerance):
        return
    good = (laws >= 0) & (laws < np.inf)  # False for NaN
    if not good.all():
        place = tuple(int(i) for i in np.argwhere(~good)[0])
        entry = float(laws[place])
        shown = "NaN" if np.isnan(entry) else f"{entry:.10g}"
        raise ValueError(
            f"{name}[{', '.join(map(str, place))}] is {shown}, expected a probability (a number from 0 to 1)"
        )
    with np.errstate(over="ignore"):
        totals = laws.sum(axis=-1)
    wrong = np.abs(totals - 1) > tolerance
    if not wrong.any():
        return
    row = tuple(int(i) for i in np.argwhere(np.atleast_1d(wrong))[0]) if laws.ndim > 1 else ()
    total = float(totals[row])
    where = f"{name} row {row[0] if len(row) == 1 else row}" if row else name
    if total == 0:
        raise ValueError(f"{where} is all zeros, expected a law that sums to 1: say what follows it")
    message = f"{where} sums to {total:.10g}, expected 1 (tolerance {f'{tolerance:g}'.replace('e-0', 'e-')})"
    if laws.ndim == 2 and laws.shape[0] == laws.shape[1] and (np.abs(laws.sum(axis=0) - 1) <= tolerance).all():
        message += "; its columns do: pass the transpose, row j is the law of what follows state j"
    raise ValueError(message)


# Graph


def communicating_classes(P: ArrayLike) -> list[CommunicatingClass]:
    """Communicating classes of a chain, each with its period and whether it is recurrent.

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.

    Returns
    -------
    list of CommunicatingClass
        In the order of their smallest members; every state is in exactly one.

    Raises
    ------
    ValueError
        If P is not a stochastic matrix; the message names the row.

    References
    ----------
    Kemeny and Snell (1960), Finite Markov Chains, sections 2.1 to 2.4.

    """
    edges = check_first_order("P", P) > 0
    n_classes, labels = _strong_components(edges)
    closed = np.ones(n_classes, dtype=bool)
    source, target = np.nonzero(edges)
    leaving = labels[source] != labels[target]
    closed[labels[source[leaving]]] = False

    by_label = np.argsort(labels, kind="stable")
    groups = np.split(by_label, np.cumsum(np.bincount(labels, minlength=n_classes))[:-1])
    classes = [
        CommunicatingClass(tuple(members.tolist()), bool(closed[label]), _period(edges[np.ix_(members, members)]))
        for label, members in enumerate(groups)
    ]
    return sorted(classes, key=lambda found: found.members)


def _strong_components(edges: Array) -> tuple[int, Ints]:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    n_classes, labels = connected_components(csr_array(edges), directed=True, connection="strong")
    return int(n_classes), labels.astype(np.int64)


def _period(edges: Array) -> int:
    """Period of a strongly connected graph, 0 if it has no cycle.

    With breadth-first levels from any state, the period is the gcd of level_i + 1 - level_j over the edges i -> j
    (Denardo 1977, Mathematics of Operations Research 2).
    """
    level = np.full(len(edges), -1, dtype=np.int64)
    level[0] = 0
    period, depth, front = 0, 0, np.array([0])
    while front.size:
        followers = np.flatnonzero(edges[front].any(axis=0))
        front = followers[level[followers] < 0]
        level[front] = depth + 1
        period = int(np.gcd.reduce(depth + 1 - level[followers], initial=period))
        depth += 1
    return period


# Stationary law


@kernel
def reduce_states(A: Floats, order: Ints, exit_rate: Floats, pi: Floats, smallest: float) -> int:
    """GTH elimination of A in place, from the states that leave fast to those that leave slowly.

    In that order (within a factor of 2) no pi is more than twice the sum of those found before it, so that none
    overflows, and what underflows is negligible. Returns the number of states that were left when the next rate fell
    below `smallest` (1: success).
    """
    n = A.shape[0]
    for i in range(n):
        order[i] = i
        exit_rate[i] = 1.0

    # Reduction
    for k in range(n - 1, 0, -1):
        # Reduction only lowers exit rates, so those once computed bound them until they are computed again
        while True:
            fastest = 0
            for i in range(1, k + 1):
                if exit_rate[i] > exit_rate[fastest]:
                    fastest = i
            s = 0.0
            for j in range(k + 1):
                if j != fastest:
                    s += A[fastest, j]
            if s >= 0.5 * exit_rate[fastest]:
                break
            exit_rate[fastest] = s
        if s < smallest:
            return k + 1
        for j in range(n):
            A[k, j], A[fastest, j] = A[fastest, j], A[k, j]
        for i in range(n):
            A[i, k], A[i, fastest] = A[i, fastest], A[i, k]
        order[k], order[fastest] = order[fastest], order[k]
        exit_rate[fastest] = exit_rate[k]
        exit_rate[k] = s

        for j in range(k):
            A[k, j] /= s
        for i in range(k):
            through = A[i, k]
            if through > 0.0:
                for j in range(k):
                    A[i, j] += through * A[k, j]  # the diagonal fills up too, and is never read

    # Backward substitution
    pi[order[0]] = 1.0
    total = 1.0
    for k in range(1, n):
        flow = 0.0
        for i in range(k):
            flow += pi[order[i]] * A[i, k]
        pi[order[k]] = flow / exit_rate[k]
        total += pi[order[k]]

    # Normalization
    for k in range(n):
        pi[k] /= total
    return 1


def stationary_law(P: ArrayLike) -> Floats:
    """Stationary law of an irreducible chain, periodic or not.

        pi = pi P        sum_k pi_k = 1        pi_k = 1 / (mean recurrence time of k)

    By GTH elimination: every entry above 1e-300 is accurate relative to its own size (measured: 7e-16 on chains whose
    blocks are joined by 1e-12, where LU keeps 4 digits).

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j; every state reaches every other.

    Returns
    -------
    (n_states,)
        pi, all entries positive (or, below 1e-308, zero).

    Raises
    ------
    ValueError
        If P is not a stochastic matrix, has more than one communicating class, or has parts joined only by
        probabilities that underflow.

    References
    ----------
    Grassmann, Taksar and Heyman (1985), Regenerative analysis and steady state distributions for Markov chains.

    """
    A = check_first_order("P", P)
    n_classes, labels = _strong_components(A > 0)
    if n_classes > 1:
        other = int(np.flatnonzero(labels != labels[0])[0])
        raise ValueError(
            f"P has {n_classes} communicating classes, expected 1: states 0 and {other} do not reach each other both "
            "ways; markov.structure.stationary_laws gives one law for each recurrent class"
        )
    n = len(A)
    order, exit_rate, pi = np.empty(n, dtype=np.int64), np.empty(n), np.empty(n)
    left = reduce_states(A, order, exit_rate, pi, SMALLEST_NORMAL)
    if left > 1:
        raise ValueError(
            f"P joins states {_listed(order[:left].tolist())} by probabilities below {SMALLEST_NORMAL:.2g}, which "
            "underflow: their weights cannot be told; set the smallest entries to 0 and take one law for each class"
        )
    return pi


def _listed(states: Sequence[int], most: int = 6) -> str:
    states = sorted(states)
    return ", ".join(map(str, states[:most])) + (" ..." if len(states) > most else "")
