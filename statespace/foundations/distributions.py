r"""Log densities, their derivatives, draws and tails of laws whose parameters are any real numbers: scores.

    categorical   p(k) = exp(s_k) / \sum_j exp(s_j)
    Bernoulli     p(1) = 1 / (1 + exp(-s))
    Poisson       p(x) = exp(s x - exp(s)) / x!
    Gaussian      N(m, v), v given by its logarithm

A temperature T draws from the law proportional to p^(1/T): 1 is the law itself, 0 its most probable value.

Loader (2000), "Fast and accurate computation of binomial probabilities", for the Poisson law of large counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.probability import draw_columns
from statespace.protocols import Array, Floats, Ints

_LOG_2PI = float(np.log(2 * np.pi))
_SERIES_FROM = 16.0  # counts from which five terms of Stirling's series have all digits
_MOST_RATE = 9e18  # what numpy draws, and an int64 holds
_MOST_TABLE = 1 << 20  # probabilities that are tabulated at once


def categorical_log_density(scores: Array, codes: Ints) -> Array:
    """Log p(codes[n]) of scores (n, K), shape (n,)."""
    top = scores.max(axis=1, keepdims=True)
    away = scores - top
    rows = np.arange(len(codes))
    chosen = away[rows, codes]
    np.exp(away, out=away)
    return np.asarray(chosen - np.log(away.sum(axis=1)))


def categorical_derivatives(scores: Array, codes: Ints) -> tuple[Array, Array]:
    """The same, and its derivatives by the scores, [k = codes[n]] - p(k), shape (n, K)."""
    away = scores - scores.max(axis=1, keepdims=True)
    rows = np.arange(len(codes))
    chosen = away[rows, codes]
    np.exp(away, out=away)
    total = away.sum(axis=1)
    away /= -total[:, None]
    away[rows, codes] += 1
    return chosen - np.log(total), away


def categorical_probabilities(scores: Array, temperature: float = 1.0) -> Floats:
    """p(k) at a temperature, shape (n, K); at temperature 0 all of it lies on the first of the most probable."""
    away = np.asarray(scores, np.float64) - scores.max(axis=1, keepdims=True)
    if temperature == 0:
        return np.asarray(np.arange(scores.shape[1]) == away.argmax(axis=1)[:, None], np.float64)
    away = np.exp(away / temperature)
    return np.asarray(away / away.sum(axis=1, keepdims=True))


def bernoulli_log_density(scores: Array, answers: Array) -> Floats:
    """Log p(answers) of answers 0 or 1, in the shape of both."""
    signed = np.where(answers > 0, -1.0, 1.0) * scores
    return np.asarray(-np.logaddexp(0.0, signed))


def bernoulli_mean(scores: Array) -> Floats:
    """p(1), exact where it is small."""
    from scipy.special import expit

    return np.asarray(expit(np.asarray(scores, np.float64)))


def poisson_log_density(scores: Array, counts: Array) -> Floats:
    r"""Log p(counts) of logarithms of rates, in the shape of both.

    With x the count and d = s - log x it is x d - x (exp(d) - 1) less the error of Stirling's formula for x!: no large
    numbers are subtracted from each other.
    """
    s, x = np.broadcast_arrays(np.asarray(scores, np.float64), np.asarray(counts, np.float64))
    some = np.maximum(x, 1.0)
    with np.errstate(over="ignore"):
        d = s - np.log(some)
        found = some * (d - np.expm1(d)) - _stirling_error(some)
        return np.asarray(np.where(x == 0, -np.exp(s), found))


def _stirling_error(x: Floats) -> Floats:
    """Log x! - (x log x - x) for x >= 1."""
    from scipy.special import gammaln

    small, large = np.minimum(x, _SERIES_FROM), np.maximum(x, _SERIES_FROM)
    q = 1.0 / (large * large)
    series = (1 / 12 - q * (1 / 360 - q * (1 / 1260 - q * (1 / 1680 - q / 1188)))) / large
    return np.where(
        x < _SERIES_FROM,
        gammaln(small + 1.0) - small * np.log(small) + small,
        0.5 * (_LOG_2PI + np.log(large)) + series,
    )


def poisson_cdf(x: Any, rates: Floats) -> Floats:
    """P(X <= x), broadcast."""
    from scipy.special import pdtr

    return np.where(np.asarray(x) < 0, 0.0, pdtr(np.floor(np.maximum(x, 0.0)), rates))


def poisson_sf(x: Any, rates: Floats) -> Floats:
    """P(X > x), exact where the cdf is rounded to 1, broadcast."""
    from scipy.special import pdtrc

    return np.where(np.asarray(x) < 0, 1.0, pdtrc(np.floor(np.maximum(x, 0.0)), rates))


def draw_poisson(rates: Floats, rng: np.random.Generator, temperature: float = 1.0) -> Ints:
    """Counts, in the shape of the rates.

    Raises
    ------
    ValueError
        Where a rate is beyond 9e18, or at another temperature than 1 so large that its law does not fit a table.

    """
    most = float(np.max(rates, initial=0.0))
    if not most <= _MOST_RATE:
        raise ValueError(f"a rate is {most:g}: counts can be drawn of rates up to {_MOST_RATE:g}")
    if temperature == 1:
        return np.asarray(rng.poisson(rates), np.int64)
    mode = np.floor(rates)
    if temperature == 0:
        return mode.astype(np.int64)
    reach = 10.0 * np.sqrt(most * temperature) + 40.0 * max(temperature, 1.0)
    if reach > _MOST_TABLE:
        raise ValueError(
            f"a rate of {most:g} at temperature {temperature:g} spreads over more than {_MOST_TABLE} counts: draw at "
            "temperature 1 or 0"
        )
    offsets = np.arange(-np.ceil(reach), np.ceil(reach) + 1)
    flat, found = mode.ravel(), np.empty(mode.size, np.int64)
    with np.errstate(divide="ignore"):
        scores = np.log(np.asarray(rates, np.float64)).ravel()
    step = max(_MOST_TABLE // len(offsets), 1)
    for rows in (slice(first, first + step) for first in range(0, flat.size, step)):
        counts = flat[rows, None] + offsets
        known = counts >= 0
        logs = np.full(counts.shape, -np.inf)
        finite = np.maximum(scores[rows], -700.0)  # of a rate of 0 every draw is 0
        logs[known] = poisson_log_density(np.broadcast_to(finite[:, None], counts.shape)[known], counts[known])
        found[rows] = counts[np.arange(len(counts)), draw_columns(categorical_probabilities(logs, temperature), rng)]
    return found.reshape(mode.shape)


def gaussian_log_density(x: Array, mean: Array, log_variance: Array) -> Floats:
    """Log N(x | mean, exp(log_variance)), broadcast."""
    away = x - mean
    return np.asarray(-0.5 * (away * away * np.exp(-log_variance) + log_variance + _LOG_2PI))
