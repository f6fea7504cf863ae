"""How sure the counts are of a transition probability.

With Jeffreys' prior Beta(1/2, 1/2), a probability of which n(c, k) of n(c) trials speak has the posterior
Beta(n(c, k) + 1/2, n(c) - n(c, k) + 1/2); its quantiles are the interval, whose coverage is close to its level also for
few trials. The lower bound is 0 where k was never seen, the upper bound 1 where nothing else was
(Brown, Cai and DasGupta 2001, section 4.3).
"""

import numpy as np

from statespace.foundations.predictive import Interval
from statespace.foundations.validation import check_probability
from statespace.protocols import Array


def transition_intervals(counts: Array, level: float = 0.95) -> Interval:
    """Jeffreys intervals of the transition probabilities that `counts` estimate.

    Parameters
    ----------
    counts : (..., n_symbols)
        n(c, k): how often each symbol followed each context.
    level : float
        Probability that each interval is to hold, between 0 and 1.

    Returns
    -------
    Interval
        `low` and `high`, each of the shape of `counts`.

    """
    from scipy.special import betaincinv

    tail = (1 - check_probability("level", level)) / 2
    hits = np.asarray(counts, dtype=np.float64)
    if (hits < 0).any() or not np.isfinite(hits).all():
        raise ValueError("counts must be finite and not negative")
    misses = hits.sum(axis=-1, keepdims=True) - hits
    low = np.where(hits > 0, betaincinv(hits + 0.5, misses + 0.5, tail), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 0.5, misses + 0.5, 1 - tail), 1.0)
    return Interval(low, high)
