r"""Symbols: p(x_n = s | z_n = k) = emissionprob[k, s].

The expected counts of the M-step are \sum_n gamma_n(k) [x_n = s].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.observations import Observations
from statespace.foundations.predictive import PredictiveLaw
from statespace.foundations.sequences import Layout, read_symbols
from statespace.foundations.validation import check_integer, check_lengths
from statespace.hmm.emissions.probability_table import ProbabilityTable
from statespace.protocols import Array, Floats, Ints

_MANY = 1 << 23  # numbers that stay as narrow as they came, since a mapped file of them would not fit otherwise
_ROWS = 1 << 20  # that are counted at once


class CategoricalEmission(ProbabilityTable):
    """One symbol a step, with a law of its own in each state.

    Parameters
    ----------
    n_features : int, optional
        How many symbols there are, where the data are whole numbers and may not show the last of them.
    emissionprob_prior : float or array (n_components, n_symbols)
        Parameters of a Dirichlet prior, at least 1, which is maximum likelihood.
    symbols : (n_symbols,), optional
        All symbols that may come, where the data may not show every one; without it, those of the first data.

    Attributes
    ----------
    emissionprob : (n_components, n_symbols)
        Probabilities of the symbols; may be set by hand, as a start or to be used as they are.
    fixed : dict
        "emissionprob" -> True or a mask of entries that keep their values.

    """

    support = "categories"
    _archived = (("n_features", "emissionprob_prior"), ("emissionprob", "symbols"))

    def __init__(self, n_features: int | None = None, emissionprob_prior: Any = 1.0, symbols: Any = None) -> None:
        self.n_features = n_features
        self.emissionprob_prior = emissionprob_prior
        self.symbols = symbols
        self.emissionprob: Any = None
        self.fixed: dict[str, Any] = {}

    @property
    def n_distinct(self) -> int | None:
        """How many symbols there are."""
        return None if self.symbols is None else len(self.symbols)

    def read(self, X: Any, lengths: Any) -> Observations:
        """Codes of the symbols, (n_samples, 1); a symbol that is not among those known is refused by its name.

        A list of symbols in lists of their own, [[0], [1], [2]], is one sequence as a column.
        """
        symbols, counted = self.symbols, self.symbols is None
        X = _flattened(X)
        if symbols is None and self.n_features is not None:
            symbols = np.arange(check_integer("n_features", self.n_features, 1))
        elif symbols is None and self.emissionprob is not None:
            symbols = np.arange(np.shape(self.emissionprob)[1])
        if symbols is not None and _are_codes(X, np.asarray(symbols), counted):
            self.symbols = np.asarray(symbols)
            codes = X if X.itemsize < 8 and X.size > _MANY else X.astype(np.int64, copy=False)
            offsets = np.array([0, X.size]) if lengths is None else check_lengths(lengths, X.size)
            layout = Layout("single" if lengths is None else "flat", (None,))
            return Observations(codes.reshape(-1, 1), offsets, layout)
        found = read_symbols(X, lengths, symbols)
        codes = found.codes
        if symbols is None and found.symbols.dtype.kind in "iu":  # whole numbers count from 0, also those not seen
            symbols = np.arange(int(found.symbols[-1]) + 1)
            if len(symbols) != len(found.symbols):
                codes = np.where(codes < 0, -1, found.symbols[codes])
        self.symbols = found.symbols if symbols is None else symbols
        missing = codes < 0 if found.has_missing else None
        return Observations(codes[:, None], found.offsets, found.layout, missing)

    def initialize(self, X: Ints, n_components: int, rng: np.random.Generator, weights: Floats | None = None) -> None:
        """Frequencies of the symbols, moved at random so that the states differ."""
        if self.emissionprob is None:
            n_symbols = len(self.symbols)
            counts = np.full(n_symbols, 0.5)
            for part in (slice(a, a + _ROWS) for a in range(0, len(X), _ROWS)):
                counts += np.bincount(X[part, 0], None if weights is None else weights[part], n_symbols)
            moved = counts * rng.gamma(2.0, size=(n_components, len(counts)))
            self.emissionprob = moved / moved.sum(axis=1, keepdims=True)

    def check(self, n_components: int) -> None:
        """Refuse an emissionprob that is no law over the symbols in each row."""
        super().check(n_components)
        expected = self.n_features if self.symbols is None else len(self.symbols)
        if expected is not None and self.emissionprob.shape[1] != expected:
            raise ValueError(f"emissionprob has {self.emissionprob.shape[1]} columns, and there are {expected} symbols")

    def log_likelihood(self, X: Ints) -> Floats:
        """Log p(x_n | z_n = k) of codes (n_samples, 1), shape (n_samples, n_components)."""
        with np.errstate(divide="ignore"):
            return np.ascontiguousarray(np.log(self.emissionprob).T[X[:, 0]])

    def statistics(self, X: Ints, posteriors: Floats) -> tuple[Floats]:
        """Expected counts of the symbols, (n_components, n_symbols)."""
        n_symbols = self.emissionprob.shape[1]
        return (np.array([np.bincount(X[:, 0], column, n_symbols) for column in posteriors.T]),)

    def m_step(self, X: Ints, posteriors: Floats) -> None:
        """Set the probabilities that maximise the expected log-likelihood."""
        self.maximize(self.statistics(X, posteriors))

    def gradient(self, X: Ints, posteriors: Floats) -> Floats:
        """Gradient of sum_n sum_k posteriors[n, k] log p(x_n | z_n = k) in the logarithms, (p,)."""
        return self._slope(*self.statistics(X, posteriors))

    def sample(self, states: Ints, rng: np.random.Generator) -> Ints:
        """Codes of symbols, (n_samples,)."""
        last = self.emissionprob.shape[1] - 1 - np.argmax(self.emissionprob[:, ::-1] > 0, axis=1)
        reached = rng.random((len(states), 1)) >= np.cumsum(self.emissionprob, axis=1)[states]
        codes: Ints = np.minimum(reached.sum(axis=1), last[states])
        return codes

    def law(self, weights: Floats, index: Any = None) -> PredictiveLaw:
        """The law of the symbol when the states have the probabilities `weights` (n, n_components)."""
        symbols = np.arange(self.emissionprob.shape[1]) if self.symbols is None else self.symbols
        return PredictiveLaw(weights @ self.emissionprob, symbols, index=index)


def _are_codes(X: Any, symbols: Array, counted: bool) -> bool:
    """Whether `X` is one array of whole numbers, each its own place among the symbols (0, 1, ... if `counted`)."""
    if not isinstance(X, np.ndarray) or isinstance(X, np.ma.MaskedArray) or X.dtype.kind not in "iu" or not X.size:
        return False
    if X.ndim > 2 or X.size != len(X) or (X.dtype.kind == "u" and X.itemsize == 8):
        return False
    n = len(symbols)
    if not counted and (symbols.dtype.kind not in "iu" or symbols[-1] != n - 1 or (symbols != np.arange(n)).any()):
        return False
    if X.dtype.kind == "i":  # as a number without sign, a negative one is larger than all others: one pass tells
        n = min(n, 2 ** (8 * X.itemsize - 1))
        X = X.view(X.dtype.str.replace("i", "u"))
    return bool(np.maximum.reduce(X, axis=None) < n)


def _flattened(X: Any) -> Any:
    """A column in nested lists as the list of its symbols, and a list of such columns as a list of lists."""
    if _is_column(X):
        return [row[0] for row in X]
    if isinstance(X, list | tuple) and X and all(_is_column(part) for part in X):
        return [[row[0] for row in part] for part in X]
    return X


def _is_column(X: Any) -> bool:
    return (
        isinstance(X, list | tuple)
        and len(X) > 0
        and all(isinstance(row, list | tuple) and len(row) == 1 and np.ndim(row[0]) == 0 for row in X)
    )
