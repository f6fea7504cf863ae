"""How sure the counts are of a transition probability.

With Jeffreys' prior Beta(1/2, 1/2), a probability of which n(c, k) of n(c) trials speak has the posterior
Beta(n(c, k) + 1/2, n(c) - n(c, k) + 1/2); its quantiles are the interval, whose coverage is close to its level also for
few trials. The lower bound is 0 where k was never seen, the upper bound 1 where nothing else was
(Brown, Cai and DasGupta 2001, section 4.3).

Further ahead, or where today is missing, a forecast mixes several contexts: its interval holds the middle of the
forecasts by transition laws drawn from the posterior, each row from a Dirichlet law with parameters n(c, .) + 1/2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.foundations.predictive import Interval
from statespace.foundations.probability import generator
from statespace.foundations.sequences import read_symbols
from statespace.foundations.validation import check_integer, check_probability
from statespace.markov.prediction import all_contexts, forecast_laws
from statespace.markov.smoothing import MatrixLaw
from statespace.protocols import Array

if TYPE_CHECKING:
    from statespace.markov.chain import MarkovChain


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


def forecast_interval(
    chain: MarkovChain, X: Any, steps: int = 1, level: float = 0.95, *, n_draws: int = 1000, random_state: Any = 0
) -> Interval:
    """Intervals of the probabilities that `chain.forecast(X, steps)` gives: how sure the counts are of them.

    Parameters
    ----------
    chain : MarkovChain
        Fitted, with a dense table.
    X : sequence of symbols
        What is known, one sequence; it may end with missing observations.
    steps : int
        How many observations ahead.
    level : float
        Probability that each interval is to hold, between 0 and 1.
    n_draws : int
        Transition tables drawn from the posterior.
    random_state : None, int, Generator or RandomState
        The same int gives the same interval.

    Returns
    -------
    Interval
        `low` and `high`, each (steps, n_symbols).

    """
    tail = (1 - check_probability("level", level)) / 2
    n_steps, n = check_integer("steps", steps, 1), check_integer("n_draws", n_draws, 2)
    rng = generator(random_state)
    counts = chain.counts_.reshape(-1, len(chain.symbols_))
    law = chain._fitted()
    if not isinstance(law.transition, MatrixLaw):
        raise ValueError("a sparse chain has too many contexts to draw tables of them: fit a lower order")
    sequence = read_symbols(X, symbols=chain.symbols_)
    if sequence.n_sequences > 1:
        raise ValueError(f"X is {sequence.n_sequences} sequences: pass one")
    contexts = all_contexts(law, sequence)
    forecasts = np.empty((n, n_steps, law.n_symbols))
    for draw in range(n):
        weights = rng.standard_gamma(counts + 0.5)
        rows = MatrixLaw(weights / weights.sum(axis=1, keepdims=True))
        forecasts[draw] = forecast_laws(law._replace(transition=rows), sequence.codes, contexts, n_steps)
    low, high = np.quantile(forecasts, [tail, 1 - tail], axis=0)
    return Interval(low, high)
