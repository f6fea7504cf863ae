"""Maximum likelihood when sequences start from the chain's own stationary law.

    log L(P) = sum_{c,k} n(c, k) log P(c, k) + sum_s w_s log pi_{c_s}(P)          c_s: first context of sequence s

`maximise_with_stationary_start` finds the maximum for a Markov chain whose transitions were counted;
`maximize_stationary` climbs towards it from a present matrix, for the M-step of a hidden Markov model, whose counts and
starts are expectations.

The counts alone no longer maximise it: a transition that was never seen is part of the maximum where it leads back to a
start that is otherwise hard to reach. The gradient needs, of each start context c, one column of the deviation matrix
D = (I - P + 1 pi)^-1:

    G(i, k) = d log L / d P(i, k) = n(i, k) / P(i, k) + sum_s w_s pi_i D(i k, c_s) / pi_{c_s}     i k: the context after

At the maximum G(i, k) = sum_j P(i, j) G(i, j) where P(i, k) > 0, and at most that where P(i, k) = 0 (Karush, Kuhn and
Tucker). The set of transitions with P > 0 is changed until that holds; on it, rows P(i, .) = softmax(theta_i) are
climbed by L-BFGS.

Where the matrix is close to the maximum already, or sequences are long, the growth transformation is cheaper:

    P(i, k) <- P(i, k) (G(i, k) + a_i) / sum_j P(i, j) (G(i, j) + a_i)      a_i >= 0 so large that G + a_i > 0

Its direction is uphill, with slope sum_i Var_i(G) / (mean_i(G) + a_i), and it keeps zeros. Without starts it is the
M-step of Baum and Welch.

Baum and Sell (1968), Pacific Journal of Mathematics 27; Schweitzer (1968), Journal of Applied Probability 5 (the
derivative of pi).
"""

import numpy as np

from statespace.foundations.contexts import context_matrix
from statespace.foundations.free_rows import FreeRows
from statespace.foundations.stochastic_matrix import (
    SMALLEST_NORMAL,
    _reduce_states,
    check_first_order,
    communicating_classes,
    stationary_law,
)
from statespace.protocols import Array, Floats, Ints

CONTEXT_LIMIT = 1 << 10
LAW_LIMIT = 1 << 12  # contexts whose stationary law is solved for: 128 MB, some seconds
_ROUNDS = 30  # changes of the set of possible transitions
_FARTHEST = 10.0  # of theta from 0: what is still falling then is below 1e-8, and set to 0
_SLACK = 1e-6  # of G, relative to the row's: less is rounding
_WAYS_OUT = {"initial": "use initial='free' or 'conditional'", "start": "use start='free'"}


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
    argument : {"initial", "start"}
        The model's word for how sequences start, for the messages.

    Raises
    ------
    ValueError
        If the chain has several recurrent classes, so that there are many, or more contexts than can be solved for.

    """
    n_symbols, order = transmat.shape[-1], transmat.ndim - 1
    if n_symbols**order > LAW_LIMIT:
        raise ValueError(_too_large(n_symbols, order, LAW_LIMIT, argument))
    if not order:
        return np.ones(1)
    matrix = check_first_order("P", context_matrix(transmat))
    members = recurrent_states(matrix, argument)
    law = np.zeros(len(matrix))
    law[members] = stationary_law(matrix[np.ix_(members, members)])
    return law


def _too_large(n_symbols: int, order: int, limit: int, argument: str = "initial") -> str:
    return (
        f"{argument}='stationary' solves for {n_symbols}^{order} = {n_symbols**order} contexts, more than {limit}: "
        f"{_WAYS_OUT[argument]}"
    )


# A Markov chain, from its counts


class _Likelihood:
    """The likelihood of transition counts and stationary starts together."""

    def __init__(self, counts: Array, starts: Ints, weights: Floats) -> None:
        self.shape, self.n_symbols = counts.shape, counts.shape[-1]
        self.counts = np.asarray(counts, dtype=np.float64).reshape(-1, self.n_symbols)
        self.starts, self.weights = starts, weights
        n_contexts = len(self.counts)
        self._following = (np.arange(n_contexts)[:, None] * self.n_symbols + np.arange(self.n_symbols)) % n_contexts

    def stationary_law(self, rows: Floats) -> Floats:
        """The law of the contexts, shape (K^M,)."""
        return unique_stationary_law(rows.reshape(self.shape))

    def reaches_starts(self, rows: Floats) -> bool:
        """Whether every start has a positive stationary probability."""
        matrix = context_matrix(rows.reshape(self.shape))
        if sum(found.recurrent for found in communicating_classes(matrix)) > 1:
            return False
        return bool((self.stationary_law(rows)[self.starts] > 0).all())

    def value_and_slope(self, rows: Floats, log_rows: Floats) -> tuple[float, Floats]:
        """Log L, and the part of G that the starts bring, shape (K^M, K)."""
        law = self.stationary_law(rows)
        n_contexts = len(law)
        counted = self.counts > 0
        value = float(self.counts[counted] @ log_rows[counted] + self.weights @ np.log(law[self.starts]))
        pull = np.bincount(self.starts, weights=self.weights / law[self.starts], minlength=n_contexts)
        matrix = context_matrix(rows.reshape(self.shape))
        deviation = np.linalg.solve(np.eye(n_contexts) - matrix + law[None, :], pull)
        slope: Floats = law[:, None] * deviation[self._following]
        return value, slope


def maximise_with_stationary_start(counts: Array, starts: Ints, weights: Floats) -> Floats:
    """The transition laws that maximise the likelihood of transitions and stationary starts together.

    Parameters
    ----------
    counts : (K,) * M + (K,)
        n(c, k), M at least 1.
    starts : (n_starts,)
        First contexts, numbered as in contexts.py.
    weights : (n_starts,)
        How often each is counted.

    Raises
    ------
    ValueError
        If there are too many contexts, or no maximum: the likelihood then grows as the chain falls apart into classes
        that each have a stationary law.

    """
    n_symbols, order = counts.shape[-1], counts.ndim - 1
    if n_symbols**order > CONTEXT_LIMIT:
        raise ValueError(_too_large(n_symbols, order, CONTEXT_LIMIT))
    likelihood = _Likelihood(counts, starts[weights > 0], weights[weights > 0])
    table = likelihood.counts
    possible = table > 0
    possible[~possible.any(axis=1)] = True
    if not likelihood.reaches_starts(_rescaled(possible)):
        possible[:] = True
    rows = _rescaled(np.where(possible, table + 0.5, 0.0))
    for _ in range(_ROUNDS):
        try:
            rows, excess = _climb(likelihood, rows)
        except np.linalg.LinAlgError:  # no passage from one part to another is left but for rounding
            raise _no_maximum() from None
        slack = _SLACK * np.maximum(table.sum(axis=1, keepdims=True), likelihood.weights.sum())
        gone = (table == 0) & (rows > 0) & (rows < 1e-3) & (excess < -slack)
        missed = (rows == 0) & (excess > slack)
        if not (gone.any() or missed.any()):
            break
        rows = _rescaled(np.where(gone, 0.0, np.where(missed, 1e-2, rows)))
        if not likelihood.reaches_starts(rows):
            raise _no_maximum()
    return rows.reshape(counts.shape)


def _no_maximum() -> ValueError:
    return ValueError(
        "initial='stationary' has no maximum here: the likelihood grows as the chain falls apart into several "
        "recurrent classes, each with a stationary law of its own; use initial='free' or 'conditional', or a smoothing"
    )


def _climb(likelihood: _Likelihood, rows: Floats) -> tuple[Floats, Floats]:
    """The best rows with the same zeros; and G(i, k) - sum_j P(i, j) G(i, j) there, 0 where P > 0 but for rounding."""
    from scipy.optimize import minimize

    possible = rows > 0
    table = likelihood.counts
    scale = table.sum() + likelihood.weights.sum()

    def log_rows_of(theta: Floats) -> Floats:
        logits = np.full(table.shape, -np.inf)
        logits[possible] = theta
        logits -= logits.max(axis=1, keepdims=True)
        logs: Floats = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logs

    def objective(theta: Floats) -> tuple[float, Floats]:
        log_rows = log_rows_of(theta)
        rows = np.exp(log_rows)
        value, slope = likelihood.value_and_slope(rows, log_rows)
        pulled = table + rows * slope
        gradient = pulled - rows * pulled.sum(axis=1, keepdims=True)
        return -value / scale, -gradient[possible] / scale

    logs = np.log(np.where(possible, rows, 1.0))
    middle = (np.where(possible, logs, np.inf).min(axis=1) + np.where(possible, logs, -np.inf).max(axis=1)) / 2
    centred = (logs - middle[:, None])[possible]
    found = minimize(
        objective,
        np.clip(centred, -_FARTHEST, _FARTHEST),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_FARTHEST, _FARTHEST)] * len(centred),
        options={"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-10},
    )
    log_rows = log_rows_of(found.x)
    best = np.exp(log_rows)
    slope = likelihood.value_and_slope(best, log_rows)[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        G = slope + np.where(table > 0, table / best, 0.0)
    return best, G - (table + best * slope).sum(axis=1, keepdims=True)


def _rescaled(rows: Array) -> Floats:
    scaled: Floats = rows / rows.sum(axis=1, keepdims=True)
    return scaled


# A hidden Markov model, from expectations

_GROWTHS = 12  # then L-BFGS: it needs fewer steps where starts outweigh transitions
_CLIMBS = 60  # of L-BFGS; the next iteration of EM goes on from there
_GAIN = 1e-12  # of the objective, relative to its size: less is rounding
_LEAST = 0.01  # of what it was, for the entry that falls most; of a whole step, for the smallest that is tried


def stationary_law_of(transmat: Floats, members: Ints) -> Floats | None:
    """The stationary law of a matrix whose recurrent states are known, shape (n_states,).

    None where it cannot be told, since some of them are joined by probabilities that underflow. As accurate as
    `stationary_law`, without its checks.
    """
    n_members = len(members)
    order, exit_rate, inside = np.empty(n_members, np.int64), np.empty(n_members), np.empty(n_members)
    reduced = np.ascontiguousarray(transmat[np.ix_(members, members)])
    if _reduce_states(reduced, order, exit_rate, inside, SMALLEST_NORMAL) > 1:
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


class _Expected:
    """Expected transitions and stationary starts: the objective of the M-step."""

    def __init__(self, transitions: Floats, start: Floats, transmat: Floats) -> None:
        self.transitions, self.start = transitions, start
        self.members = recurrent_states(transmat, "start")
        self._counted = transitions > 0

    def __call__(self, rows: Floats, log_rows: Floats | None = None) -> tuple[float, Floats]:
        """The objective, and P(i, k) G(i, k)."""
        value, slope = start_value_and_slope(self.start, rows, self.members)
        if log_rows is None:
            with np.errstate(divide="ignore"):
                log_rows = np.log(rows)
        value += float(self.transitions[self._counted] @ log_rows[self._counted])
        return value, self.transitions + rows * slope


def maximize_stationary(
    transitions: Floats, start: Floats, transmat: Floats, held: Array | bool | None = None
) -> Floats:
    """Transition laws that raise sum_ij transitions_ij log A_ij + sum_k start_k log pi_k(A), to its maximum nearby.

    The M-step of a hidden Markov model that starts from its stationary law. It never lowers the objective, so that
    expectation-maximisation with it never lowers the likelihood, even where it stops short of the maximum because
    starts outweigh transitions.

    Parameters
    ----------
    transitions : (n_components, n_components)
        Expected transitions, plus what priors add; not negative.
    start : (n_components,)
        Expected starts; not negative.
    transmat : (n_components, n_components)
        Where to begin. Zeros stay zero.
    held : True or (n_components, n_components) of bool, optional
        Entries that keep their values.

    Returns
    -------
    (n_components, n_components)
        A new array, or `transmat` itself where nothing better was found.

    Raises
    ------
    ValueError
        If the chain has several recurrent classes, so that there are many stationary laws.

    """
    objective = _Expected(transitions, start, transmat)
    space = FreeRows(transmat, held)
    if not space.size:
        return transmat
    best = transmat
    value, pulled = objective(best)
    for _ in range(_GROWTHS):
        target = _grown(best, pulled, space)
        step = 1.0
        while step > _LEAST:
            rows = target if step == 1.0 else best + step * (target - best)
            found, found_pulled = objective(rows)
            if found >= value:
                break
            step /= 2
        else:
            break
        gain = found - value
        best, value, pulled = rows, found, found_pulled
        if gain <= _GAIN * max(1.0, abs(value)):
            return best
    rows, found = _climb_expected(objective, best, held)
    return rows if found >= value else best


def _grown(rows: Floats, pulled: Floats, space: FreeRows) -> Floats:
    """The growth transformation; a_i > 0 where G < 0 somewhere, so that this entry falls to _LEAST times itself."""
    shares = np.where(space.free, rows, 0.0) / np.where(space.room > 0, space.room, 1.0)
    G = np.divide(pulled, rows, out=np.zeros(rows.shape), where=space.free & (rows > 0))
    mean = (shares * G).sum(axis=1, keepdims=True)
    least = np.where(shares > 0, G, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    added = np.where(least < 0, (_LEAST * mean - least) / (1 - _LEAST), 0.0)
    total = mean + added
    factor = np.divide(G + added, total, out=np.ones(rows.shape), where=space.free & (total > 0))
    grown: Floats = rows * factor
    return grown


def _climb_expected(objective: _Expected, rows: Floats, held: Array | bool | None) -> tuple[Floats, float]:
    """The best rows of some steps of L-BFGS, and their objective."""
    from scipy.optimize import minimize

    space = FreeRows(rows, held)
    scale = objective.transitions.sum() + objective.start.sum()
    # Rows that are often left bend far more than others: in these units all bend alike
    unit = 1 / np.sqrt(space.curvature(objective.transitions) / scale + 1e-3 / space.size)
    centre = space.to_vector()
    worst = objective(rows)[0] - scale

    def descend(moved: Floats) -> tuple[float, Floats]:
        theta = centre + moved * unit
        here = space.rows(theta)
        value, pulled = objective(here, space.log_rows(theta))
        if not value > worst:  # impossible, or so far that the search shall come back
            return -worst / scale, moved / max(float(np.abs(moved).max()), 1e-300)
        return -value / scale, -space.gradient(here, pulled) * unit / scale

    found = minimize(
        descend,
        np.zeros(space.size),
        jac=True,
        method="L-BFGS-B",
        bounds=np.column_stack([-_FARTHEST / unit, _FARTHEST / unit]),
        options={"maxiter": _CLIMBS, "ftol": 1e-15, "gtol": 1e-10},
    )
    climbed = space.rows(centre + found.x * unit)
    return climbed, objective(climbed)[0]
