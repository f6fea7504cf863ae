r"""What a network can predict: laws of an observation given scores, any real numbers, that the network computes.

    Categorical   a score for each symbol: p(k) = exp(s_k) / \sum_j exp(s_j)
    Bernoulli     one score, the logit of yes
    Poisson       a score for each feature, the logarithm of its rate
    Gaussian      a mean m and a log variance s for each feature, in the units of the data:
                  N(location + scale m, scale^2 (exp(s) + floor))

The variance of the Gaussian is an exponential, not a softplus: then a step in s is the same relative change of the
variance whatever its size, the Fisher information of s is 1/2 everywhere, and the log-likelihood is concave in s.
`location` and `scale` are mean and standard deviation of the data, so that the same weights say the same in any units,
and `floor` keeps the density of repeated values finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.distributions import (
    bernoulli_log_density,
    bernoulli_mean,
    categorical_derivatives,
    categorical_log_density,
    categorical_probabilities,
    draw_poisson,
    gaussian_log_density,
    poisson_log_density,
)
from statespace.foundations.predictive import PredictiveLaw
from statespace.foundations.probability import draw_columns
from statespace.foundations.validation import check_integer, check_positive
from statespace.protocols import Array, Floats, Ints

_HALF = 0.5  # what each symbol is seen more often than it was, so that none is impossible at the start
_SAME = 1e-12  # standard deviation relative to the mean, below which numbers are one number, rounded


class Categorical:
    """One of K symbols; targets are their places 0, ..., K - 1.

    Parameters
    ----------
    symbols : int or (K,)
        How many there are, or what they are called.

    """

    support = "categories"

    def __init__(self, symbols: Any) -> None:
        named = np.ndim(symbols) > 0
        self.symbols: Array = np.asarray(symbols) if named else np.arange(check_integer("symbols", symbols, 1))
        if named and self.symbols.ndim != 1:
            raise ValueError(f"symbols has shape {self.symbols.shape}, expected their number or one list of them")
        self.n_scores = len(self.symbols)
        self.expected = f"the place of one of {self.n_scores} symbols, 0 to {self.n_scores - 1}"

    def wrong(self, targets: Array) -> Array:
        """Where no place of a symbol is."""
        bad = (targets < 0) | (targets >= self.n_scores)
        return np.asarray(bad | (targets != np.floor(targets)) if targets.dtype.kind == "f" else bad)

    def log_likelihood(self, scores: Array, targets: Array) -> Array:
        """Log probability, (n,)."""
        return categorical_log_density(scores, targets[:, 0].astype(np.int64))

    def derivatives(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        """The same, and its derivatives by the scores, (n, K)."""
        return categorical_derivatives(scores, targets[:, 0].astype(np.int64))

    def sample(self, scores: Array, rng: np.random.Generator, temperature: float = 1.0) -> Ints:
        """Places of symbols, (n,)."""
        return draw_columns(categorical_probabilities(scores, temperature), rng)

    def predictive(self, scores: Array, index: Any = None) -> PredictiveLaw:
        """Laws of the symbols."""
        return PredictiveLaw(categorical_probabilities(scores), self.symbols, index=index)

    def start(self, targets: Array, weights: Floats) -> Floats:
        """Logarithms of the frequencies, half a symbol added to each."""
        counts = np.bincount(targets[:, 0].astype(np.int64), weights, self.n_scores) + _HALF
        return np.asarray(np.log(counts / counts.sum()))


class Bernoulli:
    """Yes or no; targets are 1 or 0.

    Parameters
    ----------
    symbols : (2,)
        What no and yes are called.

    """

    support = "categories"
    n_scores = 1
    expected = "0 or 1, False or True"

    def __init__(self, symbols: Any = (0, 1)) -> None:
        self.symbols: Array = np.asarray(symbols)
        if self.symbols.shape != (2,):
            raise ValueError(f"symbols has shape {self.symbols.shape}, expected two: what no and yes are called")

    def wrong(self, targets: Array) -> Array:
        """Where neither 0 nor 1 is."""
        return np.asarray((targets != 0) & (targets != 1))

    def log_likelihood(self, scores: Array, targets: Array) -> Array:
        """Log probability, (n,)."""
        return bernoulli_log_density(scores.astype(np.float64), targets)[:, 0]

    def derivatives(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        """The same, and its derivatives by the logits, (n, 1)."""
        wide = scores.astype(np.float64)
        signs = np.where(targets > 0, 1.0, -1.0)  # y - p(1) = (2 y - 1) p(not y), exact where it is small
        return bernoulli_log_density(wide, targets)[:, 0], signs * bernoulli_mean(-signs * wide)

    def sample(self, scores: Array, rng: np.random.Generator, temperature: float = 1.0) -> Ints:
        """Zeros and ones, (n,)."""
        return draw_columns(categorical_probabilities(0.5 * self._both(scores), temperature), rng)

    def predictive(self, scores: Array, index: Any = None) -> PredictiveLaw:
        """Laws of no and yes."""
        return PredictiveLaw(bernoulli_mean(self._both(scores)), self.symbols, index=index)

    @staticmethod
    def _both(scores: Array) -> Floats:
        """Logits of no and yes."""
        wide = np.asarray(scores, np.float64)
        return np.concatenate([-wide, wide], axis=1)

    def start(self, targets: Array, weights: Floats) -> Floats:
        """The logit of the frequency of yes, half an answer added to each."""
        yes = float(weights[targets[:, 0] > 0].sum())
        return np.asarray(np.log([(yes + _HALF) / (float(weights.sum()) - yes + _HALF)]))


class Poisson:
    """Counts, features independent; single ones may be missing.

    Parameters
    ----------
    n_features : int

    """

    support = "counts"
    marginalises = True
    expected = "a count: a whole number of at least 0, or NaN"

    def __init__(self, n_features: int = 1) -> None:
        self.n_features = self.n_scores = check_integer("n_features", n_features, 1)

    def wrong(self, targets: Array) -> Array:
        """Where no count is."""
        return np.asarray((targets < 0) | (targets != np.floor(targets)) & ~np.isnan(targets) | np.isinf(targets))

    def log_likelihood(self, scores: Array, targets: Array) -> Array:
        """Log probability of what is known, (n,)."""
        return np.asarray(np.nansum(poisson_log_density(scores, targets), axis=1))

    def derivatives(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        """The same, and its derivatives by the logarithms of the rates, (n, n_features)."""
        with np.errstate(over="ignore"):
            slopes = targets - np.exp(scores.astype(np.float64))
        return self.log_likelihood(scores, targets), np.where(np.isnan(targets), 0.0, slopes)

    def _rates(self, scores: Array) -> Floats:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(scores.astype(np.float64)))

    def sample(self, scores: Array, rng: np.random.Generator, temperature: float = 1.0) -> Ints:
        """Counts, (n, n_features)."""
        return draw_poisson(self._rates(scores), rng, temperature)

    def predictive(self, scores: Array, index: Any = None) -> PredictiveLaw:
        """Laws of the counts."""
        return PredictiveLaw(rates=self._rates(scores), index=index)

    def start(self, targets: Array, weights: Floats) -> Floats:
        """Logarithms of the means, half a count added to each sum."""
        known = ~np.isnan(targets)
        sums, n = weights @ np.where(known, targets, 0.0), weights @ known
        return np.asarray(np.log((sums + _HALF) / np.maximum(n, _HALF)))


class Gaussian:
    """Real numbers with a mean and a variance, features independent; single ones may be missing.

    Parameters
    ----------
    n_features : int
    location, scale : float or (n_features,)
        Of the data, in their units: the score 0 is the mean `location`, and the variance scale^2. `start` sets both.
    floor : float
        The least variance, a part of scale^2.

    """

    support = "reals"
    marginalises = True
    expected = "a number, or NaN"

    def __init__(self, n_features: int = 1, location: Any = 0.0, scale: Any = 1.0, floor: float = 1e-6) -> None:
        self.n_features = check_integer("n_features", n_features, 1)
        self.n_scores = 2 * self.n_features
        self.location: Floats = np.broadcast_to(np.asarray(location, np.float64), (self.n_features,))
        self.scale: Floats = np.broadcast_to(np.asarray(scale, np.float64), (self.n_features,))
        if not (np.isfinite(self.scale) & (self.scale > 0)).all():
            raise ValueError(f"scale is {scale!r:.60}, expected positive numbers, in the units of the data")
        self.floor = check_positive("floor", floor)

    def wrong(self, targets: Array) -> Array:
        """Where infinite numbers are."""
        return np.isinf(targets)

    def _moments(self, scores: Array) -> tuple[Floats, Floats]:
        """Means and logarithms of variances, in units of `scale`, both (n, n_features)."""
        wide = scores.astype(np.float64)
        return wide[:, : self.n_features], np.logaddexp(wide[:, self.n_features :], np.log(self.floor))

    def _standard(self, targets: Array) -> Floats:
        return np.asarray((targets - self.location) / self.scale)

    def log_likelihood(self, scores: Array, targets: Array) -> Array:
        """Log density of what is known, (n,)."""
        each = gaussian_log_density(self._standard(targets), *self._moments(scores)) - np.log(self.scale)
        return np.asarray(np.nansum(each, axis=1))

    def derivatives(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        """The same, and its derivatives by means and log variances, (n, 2 n_features)."""
        mean, log_variance = self._moments(scores)
        away = self._standard(targets) - mean
        towards = away * np.exp(-log_variance)
        share = np.exp(scores[:, self.n_features :] - log_variance)  # of the variance that is above the floor
        slopes = np.concatenate([towards, 0.5 * (away * towards - 1.0) * share], axis=1)
        slopes[np.isnan(slopes)] = 0.0
        each = -0.5 * (away * towards + log_variance + np.log(2 * np.pi)) - np.log(self.scale)
        return np.nansum(each, axis=1), slopes

    def sample(self, scores: Array, rng: np.random.Generator, temperature: float = 1.0) -> Floats:
        """Numbers, (n, n_features)."""
        mean, log_variance = self._moments(scores)
        noise = rng.standard_normal(mean.shape) * np.sqrt(temperature)
        return np.asarray(self.location + self.scale * (mean + np.exp(0.5 * log_variance) * noise))

    def predictive(self, scores: Array, index: Any = None) -> PredictiveLaw:
        """Laws of the numbers."""
        mean, variances = self.moments(scores)
        return PredictiveLaw(mean=mean, cov=variances[:, :, None] * np.eye(self.n_features), index=index)

    def moments(self, scores: Array) -> tuple[Floats, Floats]:
        """Means and variances in the units of the data, both (n, n_features)."""
        mean, log_variance = self._moments(scores)
        return self.location + self.scale * mean, self.scale**2 * np.exp(log_variance)

    def start(self, targets: Array, weights: Floats) -> Floats:
        """Take mean and standard deviation of the data as `location` and `scale`, which are these scores."""
        known = ~np.isnan(targets)
        mass = np.maximum(weights @ known, np.finfo(np.float64).tiny)
        location = (weights @ np.where(known, targets, 0.0)) / mass
        spread = np.sqrt((weights @ np.where(known, targets - location, 0.0) ** 2) / mass)
        size = np.abs(location)
        alike = spread <= _SAME * size
        self.location = location
        self.scale = np.where(alike, np.where(size > 0, size, 1.0), spread)
        return np.repeat([0.0, np.log1p(-self.floor)], self.n_features)
