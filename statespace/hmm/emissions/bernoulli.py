r"""Yes or no: p(x_n | z_n = k) = \prod_d probs[k, d]^x_nd (1 - probs[k, d])^(1 - x_nd), features independent.

The M-step is probs[k, d] = (\sum_n gamma_n(k) x_nd + a - 1) / (\sum_n gamma_n(k) + 2 (a - 1)), with a the prior's
parameter; 0 and 1 stay. Single features may be missing.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.foundations.observations import Observations
from statespace.foundations.predictive import PredictiveLaw
from statespace.hmm.emissions.counts import known_width, mass_and_sums, read_counts, seen_and_filled
from statespace.hmm.emissions.emission import ByValue, archived, check_masks, from_archived, reordered_masks
from statespace.hmm.emissions.start_values import cluster_means
from statespace.protocols import Array, Floats, Ints

_OPTIONS = ("probs_prior",)
_LEARNT = ("probs", "symbols")
_FARTHEST = 36.0  # a logit whose probability is neither 0 nor 1 as a float


class BernoulliEmission(ByValue):
    """Yes or no, one answer or several a step, with probabilities of yes in each state.

    Parameters
    ----------
    probs_prior : float or array (n_components, n_features)
        Parameter of a symmetric beta prior, at least 1, which is maximum likelihood.

    Attributes
    ----------
    probs : (n_components, n_features)
        Probabilities of 1, or True; may be set by hand, as a start or to be used as they are.
    symbols : (2,)
        What no and yes are called: False and True, or 0 and 1, as in the first data.
    fixed : dict
        "probs" -> True or a mask of entries that keep their values.

    """

    support = "categories"
    marginalises = True

    def __init__(self, probs_prior: Any = 1.0) -> None:
        self.probs_prior = probs_prior
        self.probs: Any = None
        self.symbols: Any = None
        self.fixed: dict[str, Any] = {}

    def __repr__(self) -> str:
        shown = "" if self.probs is None else f" of probabilities {np.round(self.probs, 4).tolist()}"
        return f"<BernoulliEmission{shown}>"

    @property
    def n_components(self) -> int:
        """How many states have probabilities."""
        return len(self.probs)

    @property
    def n_parameters(self) -> int:
        """Probabilities that are free: neither held nor 0 nor 1."""
        return int(self._free().sum())

    def _free(self) -> Array:
        held = np.broadcast_to(np.asarray(self.fixed.get("probs", False)), self.probs.shape)
        return np.asarray((self.probs > 0) & (self.probs < 1) & ~held)

    def _pseudo_counts(self) -> Floats:
        """What the prior adds to the counts of yes, and of no, shape (n_components, n_features)."""
        prior = np.asarray(self.probs_prior, np.float64)
        try:
            counts: Floats = np.broadcast_to(prior, self.probs.shape) - 1.0
        except ValueError:
            raise ValueError(
                f"probs_prior has shape {prior.shape}, expected a number or shape {self.probs.shape}"
            ) from None
        if not (np.isfinite(counts) & (counts >= 0)).all():
            raise ValueError(f"probs_prior is {self.probs_prior!r:.60}, expected numbers of at least 1, which is none")
        return counts

    def read(self, X: Any, lengths: Any) -> Observations:
        """Zeros and ones, (n_samples, n_features), NaN where missing; truth values count as those."""
        found = read_counts(X, lengths, known_width(self.probs), largest=1)
        if self.symbols is None:
            self.symbols = np.array([False, True]) if _are_truths(X) else np.array([0, 1])
        return found

    @property
    def n_distinct(self) -> int:
        """How many answers there are."""
        return 2

    def initialize(self, X: Array, n_components: int, rng: np.random.Generator, weights: Floats | None = None) -> None:
        """Frequencies in clusters of the rows, away from 0 and 1 and moved at random so that the states differ."""
        if self.probs is None:
            rows = X if weights is None else X[weights > 0]
            frequencies = 0.05 + 0.9 * cluster_means(rows, n_components, rng)
            moved = np.log(frequencies / (1 - frequencies)) + 0.2 * rng.standard_normal(frequencies.shape)
            self.probs = 1 / (1 + np.exp(-moved))

    def check(self, n_components: int) -> None:
        """Refuse probabilities outside 0 to 1, or of another shape, and a prior and masks that do not fit them."""
        if self.probs is None:
            raise ValueError("probs is not known yet: fit the model, or assign probs before it is used")
        probs = np.asarray(self.probs, dtype=np.float64)
        if probs.ndim == 1:
            probs = probs[:, None]
        if probs.ndim != 2 or len(probs) != n_components or not probs.size:
            raise ValueError(f"probs has shape {probs.shape}, expected (n_components, n_features), {n_components} rows")
        wrong = ~((probs >= 0) & (probs <= 1))
        if wrong.any():
            raise ValueError(f"probs holds {probs[wrong][0]}: probabilities are 0 to 1")
        self.probs = np.ascontiguousarray(probs)
        self._pseudo_counts()
        check_masks(self.fixed, {"probs": probs.shape})

    def log_likelihood(self, X: Array) -> Floats:
        """Log p(x_n | z_n = k), shape (n_samples, n_components)."""
        with np.errstate(divide="ignore"):
            of_yes, of_no = np.log(self.probs), np.log1p(-self.probs)
        seen, answers = seen_and_filled(X)
        total = np.zeros((len(X), self.n_components))
        for d in range(X.shape[1]):
            part = np.where(answers[:, d : d + 1] > 0, of_yes[:, d], of_no[:, d])
            total += part if seen is None else np.where(seen[:, d : d + 1] > 0, part, 0.0)
        return total

    def statistics(self, X: Array, posteriors: Floats) -> tuple[Floats, Floats]:
        """Expected numbers of known answers and of yes, both (n_components, n_features)."""
        return mass_and_sums(X, posteriors)

    def maximize(self, statistics: tuple[Floats, Floats]) -> None:
        """Set the probabilities to the expected frequencies, drawn to 1/2 by the prior; without mass they stay."""
        mass, sums = statistics
        more = self._pseudo_counts()
        total = mass + 2 * more
        found = np.minimum((sums + more) / np.where(total > 0, total, 1.0), 1.0)
        self.probs = np.where(self._free() & (mass > 0), found, self.probs)

    def m_step(self, X: Array, posteriors: Floats) -> None:
        """Set the probabilities that maximise the expected log-likelihood."""
        self.maximize(self.statistics(X, posteriors))

    def log_prior(self) -> float:
        """Log density of the beta prior, up to a constant, at probabilities that are neither 0 nor 1."""
        more = self._pseudo_counts()
        inside = (self.probs > 0) & (self.probs < 1)
        p = self.probs[inside]
        return float((more[inside] * (np.log(p) + np.log1p(-p))).sum()) if more.any() else 0.0

    def to_vector(self) -> Floats:
        """Logits of the free probabilities, (p,)."""
        p = self.probs[self._free()]
        return np.asarray(np.log(p) - np.log1p(-p))

    def from_vector(self, v: Floats) -> None:
        """Set the free probabilities from their logits."""
        free = self._free()
        self.probs = self.probs.copy()
        self.probs[free] = 1 / (1 + np.exp(-np.clip(v, -_FARTHEST, _FARTHEST)))

    def gradient(self, X: Array, posteriors: Floats) -> Floats:
        """Gradient of sum_n sum_k posteriors[n, k] log p(x_n | z_n = k) in the logits, (p,)."""
        mass, sums = self.statistics(X, posteriors)
        return np.asarray((sums - mass * self.probs)[self._free()])

    def prior_gradient(self) -> Floats:
        """Gradient of `log_prior` in the logits, (p,)."""
        return np.asarray((self._pseudo_counts() * (1 - 2 * self.probs))[self._free()])

    def sample(self, states: Ints, rng: np.random.Generator) -> Ints:
        """Zeros and ones, (n_samples, n_features)."""
        probs = self.probs[states]
        return np.asarray(rng.random(probs.shape) < probs, dtype=np.int64)

    def law(self, weights: Floats, index: Any = None) -> PredictiveLaw:
        """The law of the answers when the states have the probabilities `weights` (n, n_components)."""
        if self.probs.shape[1] > 1:
            return PredictiveLaw(weights=weights, components=self, index=index)
        of_yes = weights @ self.probs[:, 0]
        symbols = np.array([0, 1]) if self.symbols is None else self.symbols
        return PredictiveLaw(np.column_stack([1 - of_yes, of_yes]), symbols, index=index)

    def cdf(self, x: Floats, feature: int = 0) -> Floats:
        """P(X <= x | z = k) of one feature, for x (n, 1): shape (n, n_components)."""
        x = np.asarray(x, np.float64).reshape(-1, 1)
        return np.where(x < 0, 0.0, np.where(x < 1, 1 - self.probs[:, feature], 1.0))

    def mean(self) -> Floats:
        """E(x | z = k), shape (n_components, n_features)."""
        return np.array(self.probs)

    def cov(self) -> Floats:
        """Cov(x | z = k), shape (n_components, n_features, n_features)."""
        return np.asarray((self.probs * (1 - self.probs))[:, :, None] * np.eye(self.probs.shape[1]))

    def reorder(self, order: Ints) -> None:
        """State k becomes what was state order[k]."""
        self.probs = np.ascontiguousarray(self.probs[order])
        self.fixed = reordered_masks(self.fixed, order)

    def to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Options and arrays from which `from_archive` makes the same emission."""
        return archived(self, _OPTIONS, _LEARNT)

    @classmethod
    def from_archive(cls, header: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return the emission that `to_archive` described."""
        return from_archived(cls, header, arrays, _LEARNT)


def _are_truths(X: Any) -> bool:
    """Whether the answers are truth values; of a list of sequences, those of the first."""
    while isinstance(X, list | tuple) and X and not np.isscalar(X[0]) and X[0] is not None:
        X = X[0]
    if isinstance(X, list | tuple):
        return any(isinstance(value, bool | np.bool_) for value in X)
    return str(getattr(X, "dtype", "")).lower() in ("bool", "boolean")
