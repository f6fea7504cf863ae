r"""Variational Bayes for symbols: each state has a Dirichlet belief of its law.

E log p(x_n = s | z_n = k) = psi(b_ks) - psi(\sum_s b_ks)        b_ks = prior + expected count of s in state k
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from statespace.foundations.observations import Observations
from statespace.hmm.dirichlet import Dirichlet
from statespace.hmm.emissions.categorical import CategoricalEmission
from statespace.hmm.variational_model import VariationalHMM
from statespace.protocols import Array, Floats, Ints


class CategoricalBelief:
    """What is believed of the laws of symbols; an emission for the E-step."""

    def __init__(self, table: Dirichlet, symbols: Array, learnt: bool = True) -> None:
        self.table = table
        self.symbols = symbols
        self.learnt = learnt

    @property
    def n_components(self) -> int:
        """How many states have a law."""
        return len(self.table.posterior)

    @property
    def n_distinct(self) -> int:
        """How many symbols there are."""
        return len(self.symbols)

    @property
    def prior(self) -> tuple[Floats]:
        """Parameters of the prior, (n_components, n_symbols)."""
        return (self.table.prior,)

    def read(self, X: Any, lengths: Any) -> Observations:
        """Codes of the symbols, (n_samples, 1)."""
        return CategoricalEmission(symbols=self.symbols).read(X, lengths)

    def log_likelihood(self, X: Ints) -> Floats:
        """E log p(x_n | z_n = k) of codes (n_samples, 1), shape (n_samples, n_components)."""
        return np.ascontiguousarray(self.table.log_expectation().T[X[:, 0]])

    def statistics(self, X: Ints, posteriors: Floats) -> tuple[Floats]:
        """Expected counts of the symbols, (n_components, n_symbols)."""
        return (np.array([np.bincount(X[:, 0], column, self.n_distinct) for column in posteriors.T]),)

    def maximize(self, statistics: tuple[Floats]) -> None:
        """Believe the prior and these counts."""
        if self.learnt:
            self.table = self.table.after(statistics[0])

    def m_step(self, X: Ints, posteriors: Floats) -> None:
        """Believe the prior and these observations."""
        self.maximize(self.statistics(X, posteriors))

    def divergence(self) -> float:
        """KL(q || p), in nats."""
        return self.table.divergence()

    def point_estimate(self) -> CategoricalEmission:
        """The emission with the means of the laws."""
        emission = CategoricalEmission(symbols=self.symbols)
        emission.emissionprob = self.table.mean()
        return emission

    def reorder(self, order: Ints) -> None:
        """State k becomes what was state order[k]."""
        self.table = Dirichlet(*(np.ascontiguousarray(rows[order]) for rows in self.table))


class VariationalCategoricalHMM(VariationalHMM):
    """Symbols, with Dirichlet priors on all probabilities, fitted by variational Bayes.

    The prior asks each state to earn its place: one that explains nothing falls back to its prior. The lower bound has
    many maxima, so that several starts (`n_init`) pay; `lower_bound` compares numbers of states.

    Parameters
    ----------
    n_components : int
        Number of states K, at most.
    startprob_prior, transmat_prior, emissionprob_prior : float or array, optional
        Parameters of the Dirichlet priors, which count observations made before: a number, or an array of the shape of
        the probabilities. None: 1 / K for the first two, 1 / n_features for the third, one observation a row in all,
        which favours few states. 0 says that a probability is 0.
    n_features : int, optional
        Number of symbols, where the data are whole numbers and may not show the last of them.
    algorithm : {"viterbi", "map"}
        How `decode` and `predict` find states.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.
    n_iter, tol, verbose
        As in `HMM`; what is watched is the lower bound.
    params, init_params : str
        What a fit learns, and what it starts anew: s startprob, t transmat, e emissionprob.
    implementation : {"log", "scaling"}
        Accepted; one algorithm serves both.
    symbols : (n_symbols,), optional
        All symbols that may come, of any kind.
    n_init : int
        Fits from as many starts, of which the one with the largest lower bound is kept.

    Attributes
    ----------
    startprob_prior_, startprob_posterior_ : (n_components,)
    transmat_prior_, transmat_posterior_ : (n_components, n_components)
    emissionprob_prior_, emissionprob_posterior_ : (n_components, n_features)
        Parameters of Dirichlet distributions before and after the data; may be set by hand, as a start or to be used.
    startprob_, transmat_, emissionprob_ : arrays
        Means of the posteriors, on which `score`, `predict` and the other verbs act.
    symbols_ : (n_features,)
        What the columns of `emissionprob_` stand for.
    monitor_ : ConvergenceMonitor
        Its history is the lower bound.

    References
    ----------
    Beal (2003), Variational algorithms for approximate Bayesian inference, chapter 3.

    Examples
    --------
    Two of four states are enough for a series that alternates:

    >>> from statespace import hmm
    >>> model = hmm.VariationalCategoricalHMM(4, random_state=0, n_init=5).fit([0, 1] * 50)
    >>> int((model.transmat_posterior_.sum(axis=1) > 2).sum())
    2

    """

    support = "categories"
    _names: ClassVar = {"s": ("startprob",), "t": ("transmat",), "e": ("emissionprob",)}

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = None,
        transmat_prior: Any = None,
        emissionprob_prior: Any = None,
        n_features: int | None = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
        *,
        symbols: Any = None,
        n_init: int = 1,
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.emissionprob_prior = emissionprob_prior
        self.n_features = n_features
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation
        self.symbols = symbols
        self.n_init = n_init

    @property
    def emissionprob_(self) -> Floats:
        """Mean of the posterior, shape (n_components, n_features); assigning to it keeps what the posterior counts."""
        return self._emission_belief().table.mean()

    @emissionprob_.setter
    def emissionprob_(self, value: Any) -> None:
        self._assign_mean("emissionprob", value, (self.n_components, np.shape(value)[-1] if np.ndim(value) else 0))

    def _reader(self) -> CategoricalEmission:
        known, symbols = self._surviving_now("emissionprob_posterior_"), self.symbols
        if known is not None:
            symbols = self._known_symbols(np.shape(known)[-1])
        return CategoricalEmission(vars(self)["n_features"], symbols=symbols)

    def _known_symbols(self, n_symbols: int) -> Array:
        symbols = vars(self).get("symbols_", self.symbols)
        return np.arange(n_symbols) if symbols is None else np.asarray(symbols)

    def _first_emissions(
        self,
        reader: Any,
        values: Array,
        offsets: Ints,  # noqa: ARG002  # of use to other emissions
        weights: Floats,
        rng: np.random.Generator,
        known: dict[str, Any],
    ) -> list[CategoricalBelief]:
        K, n_symbols = self.n_components, len(reader.symbols)
        seen = np.bincount(values[:, 0], weights, minlength=n_symbols) + 0.5
        moved = seen * rng.gamma(2.0, size=(K, n_symbols))
        law = moved / moved.sum(axis=1, keepdims=True)
        table = self._first_rows("emissionprob", known, law, weights.sum() / K)
        return [CategoricalBelief(table, reader.symbols, "e" in self.params)]

    def _emission_belief(self) -> CategoricalBelief:
        n_symbols = self.n_features
        if n_symbols is None:
            self._require("emissionprob_posterior_")
        table = self._present_rows("emissionprob", (self.n_components, n_symbols or 0))
        symbols = self._known_symbols(table.prior.shape[1])
        if len(symbols) != table.prior.shape[1]:
            raise ValueError(f"emissionprob_posterior_ has {table.prior.shape[1]} columns for {len(symbols)} symbols")
        return CategoricalBelief(table, symbols)

    def _keep_emission(self, emission: CategoricalBelief) -> None:
        self.emissionprob_prior_, self.emissionprob_posterior_ = emission.table
        self.symbols_ = emission.symbols
