r"""The recursions as functions, for those who bring their own law of the observations.

All that a hidden Markov model has to say of a sequence follows from three tables: the law pi of the first state, the
transition matrix A, and the log-likelihoods l_t(k) = log p(x_t | z_t = k) of each step under each state, wherever these
come from. A missing observation is a row of zeros (it says nothing), or of NaN; an impossible one is -inf.

Bishop (2006), Pattern Recognition and Machine Learning, section 13.2.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from statespace.foundations.probability import generator
from statespace.foundations.stochastic_matrix import check_law, check_stochastic_matrix
from statespace.foundations.validation import check_integer, check_lengths, check_sample_weight
from statespace.hmm import recursions
from statespace.hmm.extended_range import backward_messages
from statespace.hmm.frames import Frames
from statespace.protocols import Array, Floats, Ints


class Forward(NamedTuple):
    """Result of `forward`; a list with one array a sequence, in each field but the last, where a list came in."""

    filtered: Any
    """p(z_t = k | x_1..x_t), shape (n_samples, n_components)."""
    predicted: Any
    """p(z_t = k | x_1..x_{t-1}), shape (n_samples, n_components)."""
    log_likelihood_steps: Any
    """log p(x_t | x_1..x_{t-1}), shape (n_samples,)."""
    log_likelihood: Any
    """log p(x_1..x_T) = sum_t log p(x_t | x_1..x_{t-1}), a float; of several sequences, shape (n_sequences,)."""


class Backward(NamedTuple):
    """Result of `backward`; a list with one array a sequence, in each field, where a list came in."""

    beta: Any
    """beta_t(i) = p(x_{t+1}..x_T | z_t = i) / exp(log_scale_t), the largest of each row 1, shape (n_samples,
    n_components)."""
    log_scale: Any
    """log max_i p(x_{t+1}..x_T | z_t = i), shape (n_samples,)."""


class ForwardBackward(NamedTuple):
    """Result of `forward_backward`; posteriors are a list with one array a sequence where a list came in."""

    posteriors: Any
    """gamma_t(k) = p(z_t = k | x_1..x_T), shape (n_samples, n_components)."""
    transitions: Floats
    """sum_s w_s sum_t p(z_t = i, z_{t+1} = j | x_1..x_T), over all sequences, shape (n_components, n_components)."""
    start: Floats
    """sum_s w_s gamma_1(k), over all sequences, shape (n_components,)."""
    log_likelihood: Any
    """log p(x_1..x_T), a float; of several sequences, shape (n_sequences,)."""


class Viterbi(NamedTuple):
    """Result of `viterbi`; states are a list with one array a sequence where a list came in."""

    states: Any
    """The path z_1..z_T that maximises p(x, z), shape (n_samples,)."""
    log_joint: Any
    """log p(x, z) of that path, a float; of several sequences, shape (n_sequences,)."""


def forward(startprob: ArrayLike, transmat: ArrayLike, log_likelihood: Any, lengths: Any = None) -> Forward:
    """Filter: what past and present say of the state, and how likely each observation was when it came.

        alpha_t(j) = p(z_t = j | x_1..x_t)  proportional to  exp(l_t(j)) sum_i alpha_{t-1}(i) A_ij

    Parameters
    ----------
    startprob : (n_components,)
        pi_k = p(z_1 = k).
    transmat : (n_components, n_components), or (n_samples - 1, n_components, n_components)
        A_ij = p(z_{t+1} = j | z_t = i), constant, or transmat[t] from t to t + 1; those between two sequences are not
        read. A row may be all zeros: its state is never left.
    log_likelihood : (n_samples, n_components), or a list of such arrays
        log p(x_t | z_t = k), nats; a row of zeros or of NaN where x_t is missing.
    lengths : (n_sequences,), optional
        Lengths of sequences laid end to end in one array.

    Returns
    -------
    Forward
        Of an impossible sequence, log_likelihood is -inf, the step where it becomes impossible -inf, and what follows
        NaN.

    Raises
    ------
    TypeError, ValueError
        If a law does not sum to 1 (tolerance 1e-8), a shape is wrong, or log_likelihood holds +inf or a row that is NaN
        in part.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, section 13.2.4.

    """
    case = _read(startprob, transmat, log_likelihood, lengths)
    filtered, predicted, steps = recursions.filter_states(*case.model, case.frames, case.offsets)
    totals = np.array([np.nansum(steps[a:b]) for a, b in pairwise(case.offsets.tolist())])
    return Forward(case.split(filtered), case.split(predicted), case.split(steps), case.total(totals))


def backward(transmat: ArrayLike, log_likelihood: Any, lengths: Any = None) -> Backward:
    """What the observations to come say of the state now; no law of the first state is needed.

        p(x_{t+1}..x_T | z_t = i) = sum_j A_ij exp(l_{t+1}(j)) p(x_{t+2}..x_T | z_{t+1} = j)

    Parameters
    ----------
    transmat, log_likelihood, lengths
        As in `forward`.

    Returns
    -------
    Backward
        Where no state explains what follows, beta is 0 and log_scale -inf.

    Raises
    ------
    TypeError, ValueError
        As in `forward`.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, section 13.2.4.

    """
    case = _read(None, transmat, log_likelihood, lengths)
    A = case.model[1]
    K = A.shape[-1]
    beta, log_scale = np.empty((case.frames.n_samples, K)), np.empty(case.frames.n_samples)
    for a, b in pairwise(case.offsets.tolist()):
        backward_messages(A.reshape(-1, K), K if A.ndim == 3 else 0, case.frames.table, a, b, beta, log_scale)
    return Backward(case.split(beta), case.split(log_scale))


def forward_backward(
    startprob: ArrayLike,
    transmat: ArrayLike,
    log_likelihood: Any,
    lengths: Any = None,
    *,
    sample_weight: Any = None,
) -> ForwardBackward:
    """Smooth: what all observations say of the state, and the expected number of each transition.

        gamma_t(i) = alpha_t(i) beta_t(i) / g_t        xi_t(i, j) = alpha_t(i) A_ij exp(l_{t+1}(j)) beta_{t+1}(j) / h_t

    with g and h such that each gamma_t and each xi_t sums to 1.

    Parameters
    ----------
    startprob, transmat, log_likelihood, lengths
        As in `forward`.
    sample_weight : (n_sequences,), optional
        What each sequence counts in the sums, `transitions` and `start`; its posteriors and log-likelihood are its own.

    Returns
    -------
    ForwardBackward
        Posteriors of an impossible sequence are NaN, and so are then, if it counts, the sums, `transitions` and
        `start`.

    Raises
    ------
    TypeError, ValueError
        As in `forward`, and if weights are negative, or not one for each sequence.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, section 13.2.2.

    """
    case = _read(startprob, transmat, log_likelihood, lengths)
    weights = check_sample_weight(sample_weight, len(case.offsets) - 1)
    counted = np.ones(len(case.offsets) - 1) if weights is None else weights
    found = recursions.expectations(*case.model, case.frames, case.offsets, counted)
    posteriors = found.posteriors
    if weights is not None:  # those are times the weights, which may be 0
        posteriors = recursions.smooth_states(*case.model, case.frames, case.offsets).posteriors
    impossible = np.isneginf(found.log_likelihood)
    if impossible.any():
        posteriors[np.repeat(impossible, np.diff(case.offsets))] = np.nan
        if (counted[impossible] > 0).any():
            found.transitions[:] = np.nan
            found.start[:] = np.nan
    return ForwardBackward(case.split(posteriors), found.transitions, found.start, case.total(found.log_likelihood))


def viterbi(startprob: ArrayLike, transmat: ArrayLike, log_likelihood: Any, lengths: Any = None) -> Viterbi:
    """Most likely path of states given the data.

        max over z of   log pi_{z_1} + l_1(z_1) + sum_t (log A_{z_{t-1} z_t} + l_t(z_t))

    Parameters
    ----------
    startprob, transmat, log_likelihood, lengths
        As in `forward`.

    Returns
    -------
    Viterbi
        Of several best paths, the one whose last state is the first, and so on backwards. Of an impossible sequence,
        log_joint is -inf and the states are 0.

    Raises
    ------
    TypeError, ValueError
        As in `forward`.

    References
    ----------
    Viterbi (1967), IEEE Transactions on Information Theory 13.

    """
    case = _read(startprob, transmat, log_likelihood, lengths)
    states, log_joint = recursions.most_likely_paths(*case.model, case.frames, case.offsets)
    return Viterbi(case.split(states), case.total(log_joint))


def sample_posterior(
    startprob: ArrayLike,
    transmat: ArrayLike,
    log_likelihood: Any,
    lengths: Any = None,
    *,
    n_draws: int = 1,
    random_state: Any = None,
) -> Any:
    """Whole paths of states drawn from p(z_1..z_T | x_1..x_T).

    Parameters
    ----------
    startprob, transmat, log_likelihood, lengths
        As in `forward`.
    n_draws : int
        How many paths, each independent of the others.
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        Where the random numbers come from.

    Returns
    -------
    (n_draws, n_samples), or a list of such arrays, one a sequence, where a list came in
        States.

    Raises
    ------
    TypeError, ValueError
        As in `forward`, and if a sequence is impossible: no path explains it.

    References
    ----------
    Scott (2002), Bayesian Methods for Hidden Markov Models, JASA 97.

    """
    case = _read(startprob, transmat, log_likelihood, lengths)
    n_draws = check_integer("n_draws", n_draws, 1)
    uniforms = generator(random_state).random((n_draws, case.frames.n_samples))
    states = recursions.sample_paths(*case.model, case.frames, case.offsets, uniforms)
    wrong = np.flatnonzero(states[0, case.offsets[:-1]] < 0)
    if wrong.size:
        which = "the sequence" if len(case.offsets) == 2 else f"sequence {wrong[0]}"
        raise ValueError(
            f"{which} has probability 0: no path of states explains it; see the log_likelihood_steps of forward"
        )
    return case.split(states)


class _Case(NamedTuple):
    """Checked input."""

    model: tuple[Floats, Floats]
    frames: Frames
    offsets: Ints
    several: bool
    listed: bool

    def split(self, values: Array) -> Any:
        """Values of the steps (along the last axis but for tables by state) in the form of the data."""
        if not self.listed:
            return values
        axis = 1 if values.dtype.kind == "i" and values.ndim == 2 else 0
        return np.split(values, self.offsets[1:-1], axis=axis)

    def total(self, values: Floats) -> Any:
        return values if self.several else float(values[0])


def _read(startprob: ArrayLike | None, transmat: ArrayLike, log_likelihood: Any, lengths: Any) -> _Case:
    table, offsets, listed = _log_likelihood(log_likelihood, lengths)
    n_samples, K = table.shape
    law = np.empty(0) if startprob is None else check_law("startprob", startprob, K)
    A = _transmat(transmat, n_samples, K, offsets)
    return _Case((law, A), Frames(table), offsets, listed or lengths is not None, listed)


def _log_likelihood(value: Any, lengths: Any) -> tuple[Floats, Ints, bool]:
    listed = isinstance(value, list | tuple) and len(value) > 0 and all(np.ndim(item) == 2 for item in value)
    if listed and lengths is not None:
        raise ValueError(
            "lengths is for sequences laid end to end in one array, and log_likelihood is a list of arrays, which have "
            "their own"
        )
    tables = [
        _table(f"log_likelihood[{i}]" if listed else "log_likelihood", item)
        for i, item in enumerate(value if listed else [value])
    ]
    for i, table in enumerate(tables):
        if table.shape[1] != tables[0].shape[1]:
            raise ValueError(
                f"log_likelihood[{i}] has {table.shape[1]} columns, log_likelihood[0] has {tables[0].shape[1]}: "
                "one for each state"
            )
    table = np.concatenate(tables)  # also a copy
    if listed or lengths is None:
        offsets = np.concatenate([[0], np.cumsum([len(table) for table in tables])]).astype(np.int64)
    else:
        offsets = check_lengths(lengths, len(table))
    return table, offsets, listed


def _table(name: str, value: Any) -> Floats:
    try:
        table = np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise TypeError(f"{name} is not an array of real numbers, expected (n_samples, n_components)") from None
    if isinstance(value, np.ma.MaskedArray):
        table[np.ma.getmaskarray(value)] = np.nan
    if table.ndim != 2 or not table.size:
        raise ValueError(f"{name} has shape {table.shape}, expected (n_samples, n_components), of at least one each")
    if (table == np.inf).any():
        t, k = np.argwhere(table == np.inf)[0].tolist()
        raise ValueError(f"{name}[{t}, {k}] is infinite: a density that is infinite at x_t has no log-likelihood")
    unknown = np.isnan(table)
    if unknown.any():
        missing = unknown.all(axis=1)
        partly = np.flatnonzero(unknown.any(axis=1) & ~missing)
        if partly.size:
            k = int(np.flatnonzero(unknown[partly[0]])[0])
            raise ValueError(
                f"{name}[{partly[0]}, {k}] is NaN and other states have numbers there: where an observation is missing "
                "the whole row is zeros, or NaN; where a state cannot explain it the entry is -inf"
            )
        table[missing] = 0.0
    return table


def _transmat(value: ArrayLike, n_samples: int, K: int, offsets: Ints) -> Floats:
    """Checked, with rows of zeros for states that are never left, and anything between two sequences."""
    try:
        A = np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        return check_stochastic_matrix("transmat", value, shape=(K, K))  # says what is wrong
    checked = A.copy()
    if A.ndim == 3:
        shape: tuple[int, ...] = (n_samples - 1, K, K)
        if A.shape == shape:
            borders = offsets[1:-1] - 1
            checked[borders] = np.eye(K)
            A[borders] = np.eye(K)  # what is not read has no say in which kernel runs
    else:
        shape = (K, K)
    if A.shape != shape:
        raise ValueError(
            f"transmat has shape {A.shape}, expected ({K}, {K}), or ({n_samples - 1}, {K}, {K}) where it changes: "
            f"log_likelihood has {n_samples} rows of {K} states"
        )
    if checked.size:
        checked[(checked == 0).all(axis=-1)] = np.eye(K)[0]
        check_stochastic_matrix("transmat", checked, shape=shape)
    return A
