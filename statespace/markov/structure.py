r"""What a transition matrix says of its chain, for reducible and periodic chains as for the easy one.

    P_jk = p(x_{n+1} = k | x_n = j)        (P^n)_jk = p(x_{m+n} = k | x_m = j)

The states fall into communicating classes, in the order of their smallest members. Each recurrent class c has one
stationary law pi^c; a chain that starts from the law p ends in class c with probability (p B)_c, so that its long-run
averages are those of the law (p B) pi.

| problem | algorithm | function |
|---|---|---|
| classes | strong components of the graph | `communicating_classes`, `is_irreducible` |
| periods | breadth-first levels | `periods`, `is_aperiodic` |
| kinds of states | closed classes | `recurrent_states`, `transient_states`, `absorbing_states` |
| long run | GTH elimination | `stationary_laws`, `limiting_law`, `entropy_rates`, `entropy_rate` |
| n steps; runs | repeated squaring; geometric law | `n_step_matrix`; `expected_run_lengths` |
| where it ends | state reduction (passage_times.py) | `absorption_probabilities`, `absorption_times` |
| arrivals | state reduction (passage_times.py) | `hitting_probabilities`, `mean_first_passage_times` |
| returns | GTH elimination (passage_times.py) | `mean_recurrence_times` |

Every function checks that P is a stochastic matrix: each row sums to 1 within 1e-8 (ValueError names the row). A
diagonal entry (for entropies, the largest entry) is read as what the others leave over, so that a row like
(1 - 1e-12, 1e-12) keeps its digits.

Kemeny and Snell (1960), Finite Markov Chains; Norris (1997), Markov Chains.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from statespace.foundations.stochastic_matrix import (
    CommunicatingClass,
    check_first_order,
    check_law,
    communicating_classes,
    stationary_law,
)
from statespace.foundations.validation import check_integer
from statespace.markov.passage_times import (
    absorption_probabilities,
    absorption_times,
    hitting_probabilities,
    mean_first_passage_times,
    mean_recurrence_times,
)
from statespace.protocols import Floats, Ints

__all__ = [
    "CommunicatingClass",
    "absorbing_states",
    "absorption_probabilities",
    "absorption_times",
    "communicating_classes",
    "entropy_rate",
    "entropy_rates",
    "expected_run_lengths",
    "hitting_probabilities",
    "is_aperiodic",
    "is_irreducible",
    "limiting_law",
    "mean_first_passage_times",
    "mean_recurrence_times",
    "n_step_matrix",
    "periods",
    "recurrent_states",
    "stationary_laws",
    "transient_states",
]


# Classes


def is_irreducible(P: ArrayLike) -> bool:
    """Whether every state can be reached from every other: one communicating class."""
    return len(communicating_classes(P)) == 1


def is_aperiodic(P: ArrayLike) -> bool:
    """Whether every recurrent class has period 1, which is when P^n converges (Norris 1997, theorem 1.8.3)."""
    return all(found.period == 1 for found in communicating_classes(P) if found.recurrent)


def periods(P: ArrayLike) -> Ints:
    """Period of each state, (n_states,): the gcd of the numbers of steps after which it may return.

    Members of a class share one period. A state that cannot return has period 0, the gcd of nothing.
    """
    classes = communicating_classes(P)
    result = np.zeros(sum(len(found.members) for found in classes), dtype=np.int64)
    for found in classes:
        result[list(found.members)] = found.period
    return result


def recurrent_states(P: ArrayLike) -> Ints:
    """States that are returned to with probability 1, in increasing order: the members of closed classes."""
    return _members(found for found in communicating_classes(P) if found.recurrent)


def transient_states(P: ArrayLike) -> Ints:
    """States that are left for ever sooner or later, in increasing order."""
    return _members(found for found in communicating_classes(P) if not found.recurrent)


def absorbing_states(P: ArrayLike) -> Ints:
    """States that are never left, in increasing order: recurrent classes of one member."""
    return _members(found for found in communicating_classes(P) if found.recurrent and len(found.members) == 1)


def _members(classes: Iterable[CommunicatingClass]) -> Ints:
    return np.array(sorted(state for found in classes for state in found.members), dtype=np.int64)


# The long run


def stationary_laws(P: ArrayLike) -> Floats:
    """Stationary law of each recurrent class.

        pi^c = pi^c P        sum_k pi^c_k = 1        pi^c_k = 0 outside class c

    Every stationary law of the chain is a mixture of these. By GTH elimination inside each class: accurate relative
    to the size of each entry (see `stationary_law`).

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.

    Returns
    -------
    (n_recurrent_classes, n_states)
        Rows in the order of the recurrent classes in `communicating_classes`.

    Raises
    ------
    ValueError
        If P is not a stochastic matrix; the message names the row.

    References
    ----------
    Grassmann, Taksar and Heyman (1985), Operations Research 33.

    """
    matrix = check_first_order("P", P)
    recurrent = [found for found in communicating_classes(matrix) if found.recurrent]
    laws = np.zeros((len(recurrent), len(matrix)))
    for law, found in zip(laws, recurrent, strict=True):
        law[list(found.members)] = stationary_law(matrix[np.ix_(found.members, found.members)])
    return laws


def limiting_law(P: ArrayLike, start: ArrayLike) -> Floats:
    """Long-run share of the time in each state, for a chain that starts from the law `start`.

        lim_{N -> inf} 1/N sum_{n < N} start P^n = (start B) pi

    with the absorption probabilities B and the stationary laws pi. This limit (Cesaro's) exists for every chain; where
    the recurrent classes are aperiodic it is also the limit of the law of x_n.

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.
    start : (n_states,)
        The law of x_0.

    Returns
    -------
    (n_states,)
        A law; 0 for transient states.

    Raises
    ------
    ValueError
        If P is not a stochastic matrix, or `start` not a law over its states.

    References
    ----------
    Puterman (1994), Markov Decision Processes, appendix A.4.

    """
    matrix = check_first_order("P", P)
    law: Floats = check_law("start", start, len(matrix)) @ absorption_probabilities(matrix) @ stationary_laws(matrix)
    return law


def entropy_rates(P: ArrayLike) -> Floats:
    """Entropy rate of each recurrent class, in nats a step.

        H_c = - sum_j pi^c_j sum_k P_jk log P_jk

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.

    Returns
    -------
    (n_recurrent_classes,)
        In the order of the recurrent classes in `communicating_classes`.

    Raises
    ------
    ValueError
        If P is not a stochastic matrix.

    References
    ----------
    Cover and Thomas (2006), Elements of Information Theory, theorem 4.2.4.

    """
    matrix = check_first_order("P", P)
    rates: Floats = stationary_laws(matrix) @ _row_entropies(matrix)
    return rates


def entropy_rate(P: ArrayLike, start: ArrayLike | None = None) -> float:
    """Entropy rate of the chain, in nats a step: the long-run average of -log p(x_n | x_{n-1}).

        H = sum_c (start B)_c H_c

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.
    start : (n_states,), optional
        The law of x_0. It only matters where there are several recurrent classes, and must be given there.

    Returns
    -------
    float
        From 0 (each state has one follower) to log n_states (all are equally likely).

    Raises
    ------
    ValueError
        If P is not a stochastic matrix, `start` not a law, or the answer depends on a start that is not given.

    References
    ----------
    Cover and Thomas (2006), Elements of Information Theory, section 4.2.

    """
    matrix = check_first_order("P", P)
    rates = entropy_rates(matrix)
    if start is not None:
        return float(check_law("start", start, len(matrix)) @ absorption_probabilities(matrix) @ rates)
    if len(rates) > 1:
        raise ValueError(
            f"P has {len(rates)} recurrent classes, so its entropy rate depends on where it starts: "
            "give start=, or take entropy_rates for each class"
        )
    return float(rates[0])


def _row_entropies(P: Floats) -> Floats:
    """- sum_k P_jk log P_jk for each row j, with the logarithm of the largest entry taken from what it leaves over."""
    rows = np.arange(len(P))
    largest = P.argmax(axis=1)
    others = P.copy()
    others[rows, largest] = 0.0
    left_over = others.sum(axis=1)
    entropies: Floats = -(others * np.log(np.where(others > 0, others, 1.0))).sum(axis=1)
    # log(1 - left_over) keeps the digits of a row like (1 - 1e-12, 1e-12)
    entropies -= (1 - left_over) * np.log1p(-left_over)
    return entropies


# Steps


def n_step_matrix(P: ArrayLike, n: int) -> Floats:
    """Transition matrix of n steps, P^n.

    By repeated squaring. Each product's rows are divided by their sums, which are 1 but for rounding: left alone, that
    rounding would double with every squaring (measured at n = 1e12, on blocks joined by 1e-12: 4e-15 relative, where
    plain powers reach 5e-5).

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.
    n : int
        Number of steps, 0 or more, as large as you like.

    Returns
    -------
    (n_states, n_states)
        Row j is the law of x_{m+n} given x_m = j; the identity for n = 0, P itself for n = 1.

    Raises
    ------
    TypeError, ValueError
        If P is not a stochastic matrix, or n not an integer of at least 0.

    References
    ----------
    Norris (1997), Markov Chains, theorem 1.1.3.

    """
    matrix = check_first_order("P", P)
    steps = check_integer("n", n)
    if steps == 0:
        return np.eye(len(matrix))
    result = matrix
    for bit in f"{steps:b}"[1:]:
        result = _law_product(result, result)
        if bit == "1":
            result = _law_product(result, matrix)
    return result


def _law_product(P: Floats, Q: Floats) -> Floats:
    product: Floats = P @ Q
    product /= product.sum(axis=1, keepdims=True)
    return product


def expected_run_lengths(P: ArrayLike) -> Floats:
    """Mean number of steps that the chain stays in each state once it is there.

        E[run of k] = 1 / (1 - P_kk) = 1 + P_kk / sum_{j != k} P_kj

    The length of a run is geometric: p(run = n) = P_kk^(n-1) (1 - P_kk).

    Parameters
    ----------
    P : (n_states, n_states)
        Row j is the law of what follows state j.

    Returns
    -------
    (n_states,)
        Steps, at least 1; inf for an absorbing state.

    Raises
    ------
    ValueError
        If P is not a stochastic matrix.

    References
    ----------
    Rabiner (1989), Proceedings of the IEEE 77, equation 5.

    """
    matrix = check_first_order("P", P)
    stays = matrix.diagonal().copy()
    np.fill_diagonal(matrix, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        lengths: Floats = 1.0 + stays / matrix.sum(axis=1)
    return lengths
