"""Maximum likelihood of a Markov chain whose sequences start from its own stationary law.

The objective and its gradient G are those of `foundations.stationary_start`. At the maximum

    G(i, k) = sum_j P(i, j) G(i, j) where P(i, k) > 0, and at most that where P(i, k) = 0

(Karush, Kuhn and Tucker). The set of transitions with P > 0 is changed until that holds; on it, rows
P(i, .) = softmax(theta_i) are climbed by L-BFGS.
"""

import numpy as np

from statespace.foundations.contexts import context_matrix
from statespace.foundations.stationary_start import too_many_contexts, unique_stationary_law
from statespace.foundations.stochastic_matrix import communicating_classes
from statespace.protocols import Array, Floats, Ints

CONTEXT_LIMIT = 1 << 10
_ROUNDS = 30  # changes of the set of possible transitions
_FARTHEST = 10.0  # of theta from 0: what is still falling then is below 1e-8, and set to 0
_SLACK = 1e-6  # of G, relative to the row's: less is rounding


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
        raise ValueError(too_many_contexts(n_symbols, order, CONTEXT_LIMIT))
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
