r"""Counts of categories: p(x_n | z_n = k) = (N_n! / \prod_d x_nd!) \prod_d emissionprob[k, d]^x_nd, N_n = \sum_d x_nd.

The expected counts of the M-step are \sum_n gamma_n(k) x_nd. The law is given the totals N_n, which may differ.

Where single counts of a row are missing and its total N is known, the rest r = N - \sum_{d known} x_nd lies in the
missing categories, together one of probability s_k = \sum_{d missing} emissionprob[k, d]; of it category d is expected
to have r emissionprob[k, d] / s_k (Little and Rubin, Statistical analysis with missing data, section 13.2).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.observations import Observations
from statespace.hmm.emissions.counts import read_counts, seen_and_filled
from statespace.hmm.emissions.probability_table import ProbabilityTable
from statespace.hmm.emissions.start_values import cluster_means
from statespace.protocols import Array, Floats, Ints


class MultinomialEmission(ProbabilityTable):
    """How often each of several categories occurred in a number of trials.

    Likelihoods are given the totals of the rows: they do not compare with those of a law of the counts themselves.

    Parameters
    ----------
    n_trials : int or (n_samples,), optional
        The total of every row, or of each row of the data; a fit refuses rows with others. None: any totals. Where it
        is one number, single counts of a row may be missing.
    emissionprob_prior : float or array (n_components, n_features)
        Parameters of a Dirichlet prior, at least 1, which is maximum likelihood.

    Attributes
    ----------
    emissionprob : (n_components, n_features)
        Probabilities of the categories; may be set by hand, as a start or to be used as they are.
    common_total : int or None
        The total of all rows of the data of the fit, where it is the same.
    fixed : dict
        "emissionprob" -> True or a mask of entries that keep their values.

    """

    support = "mixed"  # the law of the counts given their total is not on the scale of laws of counts
    _archived = (("n_trials", "emissionprob_prior"), ("emissionprob", "common_total"))

    def __init__(self, n_trials: Any = None, emissionprob_prior: Any = 1.0) -> None:
        self.n_trials = n_trials
        self.emissionprob_prior = emissionprob_prior
        self.emissionprob: Any = None
        self.common_total: Any = None
        self.fixed: dict[str, Any] = {}

    @property
    def marginalises(self) -> bool:
        """Whether single counts may be missing: what is known says how many are not where every total is known."""
        return self.n_trials is not None and np.ndim(self.n_trials) == 0

    @property
    def total(self) -> int | None:
        """The one total of the rows, by n_trials or of the data of the fit; None where it differs or is unknown."""
        given = self.common_total if self.n_trials is None else self.n_trials
        totals = np.unique([] if given is None else given)
        return int(totals[0]) if totals.size == 1 else None

    def read(self, X: Any, lengths: Any) -> Observations:
        """Counts (n_samples, n_features), NaN where missing; fractions and negative numbers are refused."""
        found = read_counts(X, lengths, None if self.emissionprob is None else np.shape(self.emissionprob)[-1])
        if found.partly_missing and not self.marginalises:
            raise ValueError(
                f"X has rows that are missing in part, and n_trials is {self.n_trials!r:.60}: give the one total that "
                "every row has, which says how many the missing counts are together, or make the whole row NaN"
            )
        return found

    def _rest(self, X: Array) -> tuple[Floats, Array | None, Floats]:
        """The counts, 0 where missing; which are missing (None: none); how many these are in each row, (n_samples,)."""
        seen, counts = seen_and_filled(X)
        if seen is None:
            return counts, None, np.zeros(len(counts))
        unknown = seen == 0
        return counts, unknown, np.where(unknown.any(axis=1), float(self.n_trials) - counts.sum(axis=1), 0.0)

    def _check_totals(self, X: Array) -> None:
        if self.n_trials is None:
            return
        expected = np.asarray(self.n_trials)
        if expected.dtype.kind not in "iu" or expected.ndim > 1 or (expected < 0).any():
            raise ValueError(f"n_trials is {self.n_trials!r:.60}, expected whole numbers, one or one for each row of X")
        if expected.ndim and len(expected) != len(X):
            raise ValueError(
                f"n_trials holds {len(expected)} totals and X has {len(X)} rows that are known: give one for each, or "
                "None for any"
            )
        sums = np.nansum(X, axis=1)
        wrong = np.where(np.isnan(X).any(axis=1), sums > expected, sums != expected)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"row {row} of X, of those that are known, adds up to {sums[row]:g}, and n_trials is "
                f"{np.broadcast_to(expected, wrong.shape)[row]}: give rows with that total, or n_trials=None for any"
            )

    def initialize(self, X: Array, n_components: int, rng: np.random.Generator, weights: Floats | None = None) -> None:
        """Mean proportions of clusters of the rows, moved at random so that equal states differ."""
        self._check_totals(X)
        rows, unknown, rest = self._rest(X)
        if unknown is not None:  # in equal parts, for a start
            rows = rows + unknown * (rest / np.maximum(unknown.sum(axis=1), 1))[:, None]
        totals = rows.sum(axis=1)
        self.common_total = round(totals[0]) if np.allclose(totals, totals[0], rtol=1e-9) else None
        if self.emissionprob is None:
            rows = rows if weights is None else rows[weights > 0]
            overall = (rows.sum(axis=0) + 0.5) / (rows.sum() + 0.5 * X.shape[1])
            shares = (rows + overall) / (rows.sum(axis=1, keepdims=True) + 1.0)
            moved = cluster_means(shares, n_components, rng)
            moved = np.maximum(moved, 1e-6) * np.exp(0.05 * rng.standard_normal(moved.shape))
            self.emissionprob = moved / moved.sum(axis=1, keepdims=True)

    def log_likelihood(self, X: Array) -> Floats:
        """Log p(x_n | z_n = k) given the totals, shape (n_samples, n_components)."""
        from scipy.special import gammaln, xlogy

        counts, unknown, rest = self._rest(X)
        ways = gammaln(counts.sum(axis=1) + rest + 1) - gammaln(counts + 1).sum(axis=1)
        total = np.repeat(ways[:, None], self.n_components, axis=1)
        if unknown is not None:
            together = unknown @ self.emissionprob.T
            total += xlogy(rest[:, None], together) - gammaln(np.maximum(rest, 0.0) + 1)[:, None]
            total[rest < 0] = -np.inf
        for d in range(counts.shape[1]):
            total += xlogy(counts[:, d : d + 1], self.emissionprob[:, d])
        return total

    def statistics(self, X: Array, posteriors: Floats) -> tuple[Floats]:
        """Expected counts of the categories, (n_components, n_features); of the missing ones under the present law."""
        counts, unknown, rest = self._rest(X)
        found = posteriors.T @ counts
        if unknown is not None:
            together = unknown @ self.emissionprob.T
            each = posteriors * np.maximum(rest, 0.0)[:, None] / np.where(together > 0, together, 1.0)
            found += self.emissionprob * (each.T @ unknown)
        return (found,)

    def m_step(self, X: Array, posteriors: Floats) -> None:
        """Set the probabilities that maximise the expected log-likelihood."""
        self.maximize(self.statistics(X, posteriors))

    def gradient(self, X: Array, posteriors: Floats) -> Floats:
        """Gradient of sum_n sum_k posteriors[n, k] log p(x_n | z_n = k) in the logarithms, (p,)."""
        return self._slope(*self.statistics(X, posteriors))

    def sample(self, states: Ints, rng: np.random.Generator) -> Ints:
        """Counts, (n_samples, n_features), of the one total that n_trials, or the data of the fit, have."""
        if self.total is None:
            raise ValueError(
                f"n_trials is {self.n_trials!r:.60}: to draw, give the one total that every row shall have"
            )
        drawn = rng.multinomial(self.total, self.emissionprob[states])
        return np.asarray(drawn, dtype=np.int64).reshape(len(states), self.emissionprob.shape[1])

    def cdf(self, x: Floats, feature: int = 0) -> Floats:
        """P(X <= x | z = k) of one category, for x (n, 1), given the total: binomial, shape (n, n_components)."""
        from scipy.special import bdtr

        return self._binomial(bdtr, x, feature, 0.0, 1.0)

    def sf(self, x: Floats, feature: int = 0) -> Floats:
        """P(X > x | z = k), exact where the cdf is rounded to 1, shape (n, n_components)."""
        from scipy.special import bdtrc

        return self._binomial(bdtrc, x, feature, 1.0, 0.0)

    def _binomial(self, function: Any, x: Floats, feature: int, below: float, above: float) -> Floats:
        if self.total is None:
            raise ValueError(f"n_trials is {self.n_trials!r:.60}: the law of a count needs one total of every row")
        at = np.floor(np.asarray(x, np.float64).reshape(-1, 1))
        inside = function(np.clip(at, 0, self.total), self.total, self.emissionprob[:, feature])
        return np.where(at < 0, below, np.where(at >= self.total, above, inside))

    def mean(self) -> Floats:
        """E(x | z = k), shape (n_components, n_features); of one trial where totals differ."""
        return np.asarray((self.total or 1) * self.emissionprob)

    def cov(self) -> Floats:
        """Cov(x | z = k), shape (n_components, n_features, n_features); of one trial where totals differ."""
        p = self.emissionprob
        return np.asarray((self.total or 1) * (p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]))
