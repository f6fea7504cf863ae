"""Maximum likelihood when the first symbols come from the chain's own stationary law.

    log L(P) = sum_{c,k} n(c, k) log P(c, k) + sum_s w_s log pi_{c_s}(P)          c_s: first context of sequence s

The counts alone no longer maximise it. With rows P(c, .) = softmax(theta_c) over the transitions that were seen, the
gradient needs, of each start context c, one column of the deviation matrix D = (I - P + 1 pi)^-1:

    d log pi_c / d P(i, k) = pi_i D(i k, c) / pi_c          i k: the context after i and k
"""

import numpy as np

from statespace.foundations.contexts import context_matrix
from statespace.markov.structure import stationary_laws
from statespace.protocols import Array, Floats, Ints

CONTEXT_LIMIT = 1 << 10


def unique_stationary_law(transmat: Floats) -> Floats:
    """The stationary law of the contexts of a chain, shape (K^M,).

    Raises
    ------
    ValueError
        If the chain has several recurrent classes, so that there are many.

    """
    laws = stationary_laws(context_matrix(transmat)) if transmat.ndim > 1 else np.ones((1, 1))
    if len(laws) > 1:
        raise ValueError(
            f"the chain has {len(laws)} recurrent classes, each with a stationary law of its own: "
            "use initial='free' or 'conditional'"
        )
    law: Floats = laws[0]
    return law


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

    """
    from scipy.optimize import minimize

    n_symbols, order = counts.shape[-1], counts.ndim - 1
    n_contexts = n_symbols**order
    if n_contexts > CONTEXT_LIMIT:
        raise ValueError(
            f"initial='stationary' solves for {n_symbols}^{order} = {n_contexts} contexts, more than {CONTEXT_LIMIT}: "
            "use initial='free' or 'conditional'"
        )
    table = np.asarray(counts, dtype=np.float64).reshape(n_contexts, n_symbols)
    seen = table > 0
    seen[~seen.any(axis=1)] = True
    following = (np.arange(n_contexts)[:, None] * n_symbols + np.arange(n_symbols)) % n_contexts
    # Contexts that nothing can return to are outside the stationary law, whatever the probabilities
    first_law = unique_stationary_law((seen / seen.sum(axis=1, keepdims=True)).reshape(counts.shape))
    if (first_law[starts] == 0).any():
        raise ValueError(
            "a sequence starts in a context that the fitted chain never returns to, so a stationary start gives it "
            "probability 0: use initial='free', or a smoothing"
        )

    def rows_of(theta: Floats) -> Floats:
        logits = np.full((n_contexts, n_symbols), -np.inf)
        logits[seen] = theta
        rows = np.exp(logits - logits.max(axis=1, keepdims=True))
        scaled: Floats = rows / rows.sum(axis=1, keepdims=True)
        return scaled

    scale = table.sum() + weights.sum()

    def objective(theta: Floats) -> tuple[float, Floats]:
        rows = rows_of(theta)
        law = unique_stationary_law(rows.reshape(counts.shape))
        matrix = context_matrix(rows.reshape(counts.shape))
        value = float((table[seen] * np.log(rows[seen])).sum() + weights @ np.log(law[starts]))
        pull = np.zeros(n_contexts)
        np.add.at(pull, starts, weights / law[starts])
        deviation = np.linalg.solve(np.eye(n_contexts) - matrix + law[None, :], pull)
        slope = law[:, None] * deviation[following]
        centred = table + rows * slope
        gradient = centred - rows * centred.sum(axis=1, keepdims=True)
        return -value / scale, -gradient[seen] / scale

    smoothed = np.where(seen, table + 0.5, 0.0)
    start = np.log((smoothed / smoothed.sum(axis=1, keepdims=True))[seen])
    limits = {"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-10}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=limits)
    return rows_of(found.x).reshape(counts.shape)
