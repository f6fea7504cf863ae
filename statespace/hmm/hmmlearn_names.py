"""Hidden Markov models of symbols and counts under hmmlearn's names; hmmlearn_gaussians.py has those of real vectors.

Each is an `HMM` with one family of emissions; what they share is in named_model.py, and where numbers or defaults
differ from hmmlearn's, docs/from-hmmlearn.md says why. Arguments after `implementation` are ours.
"""

from __future__ import annotations

from typing import Any, ClassVar

from statespace.hmm.emissions.bernoulli import BernoulliEmission
from statespace.hmm.emissions.categorical import CategoricalEmission
from statespace.hmm.emissions.multinomial import MultinomialEmission
from statespace.hmm.emissions.poisson import PoissonEmission
from statespace.hmm.named_model import NamedHMM, OfEmission


class CategoricalHMM(NamedHMM):
    """Symbols: one of n_features a step, with a law of its own in each state.

    Parameters
    ----------
    n_components : int
        Number of states.
    startprob_prior, transmat_prior, emissionprob_prior : float or array
        Parameters of Dirichlet priors, at least 1, which is none.
    n_features : int, optional
        Number of symbols, where the data are whole numbers and may not show the last of them.
    algorithm : {"viterbi", "map"}
        How `decode` and `predict` find states.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.
    n_iter, tol, verbose
        As in `HMM`.
    params, init_params : str
        What a fit estimates, and what it starts anew: s startprob, t transmat, e emissionprob.
    implementation : {"log", "scaling"}
        Accepted; one algorithm serves both.
    symbols : (n_symbols,), optional
        All symbols that may come, of any kind.
    start, fixed, n_init, method
        As in `HMM`; `fixed` may name "emissionprob".

    Attributes
    ----------
    startprob_ : (n_components,)
    transmat_ : (n_components, n_components)
    emissionprob_ : (n_components, n_features)
        p(x_n = s | z_n = k).
    symbols_ : (n_features,)
        What the columns of `emissionprob_` stand for.
    monitor_ : ConvergenceMonitor

    Examples
    --------
    >>> from statespace import hmm
    >>> model = hmm.CategoricalHMM(2)
    >>> model.startprob_ = [0.6, 0.4]
    >>> model.transmat_ = [[0.7, 0.3], [0.4, 0.6]]
    >>> model.emissionprob_ = [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]
    >>> model.predict([[0], [1], [2]]).tolist()
    [1, 0, 0]

    """

    _family = CategoricalEmission
    _options = ("n_features", "emissionprob_prior")
    _letters: ClassVar[dict[str, str]] = {"e": "emissionprob"}
    emissionprob_ = OfEmission("emissionprob")
    symbols_ = OfEmission("symbols")

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        *,
        emissionprob_prior: Any = 1.0,
        n_features: int | None = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
        symbols: Any = None,
        start: str = "free",
        fixed: dict[str, Any] | None = None,
        n_init: int = 1,
        method: str = "em",
    ) -> None:
        super().__init__(
            n_components,
            startprob_prior=startprob_prior,
            transmat_prior=transmat_prior,
            algorithm=algorithm,
            random_state=random_state,
            n_iter=n_iter,
            tol=tol,
            verbose=verbose,
            params=params,
            init_params=init_params,
            implementation=implementation,
            start=start,
            fixed=fixed,
            n_init=n_init,
            method=method,
        )
        self.emissionprob_prior = emissionprob_prior
        self.n_features = n_features
        self.symbols = symbols

    @property
    def emission(self) -> CategoricalEmission:
        """A new emission as the constructor's arguments describe it."""
        return CategoricalEmission(symbols=self.symbols, **self._emission_options())

    def _new_emission(self) -> CategoricalEmission:
        emission: CategoricalEmission = super()._new_emission()
        if emission.emissionprob is not None:  # its columns keep their meaning
            emission.symbols = self._emission.symbols
        return emission


class MultinomialHMM(NamedHMM):
    """Counts of categories: how often each of n_features came in n_trials.

    Likelihoods are given the totals of the rows: they do not compare with those of a law of the counts themselves.

    Parameters
    ----------
    n_components : int
        Number of states.
    n_trials : int or (n_samples,), optional
        The total of every row, or of each row of the data; a fit refuses rows with others. None: any totals.
    startprob_prior, transmat_prior : float or array
        Parameters of Dirichlet priors, at least 1, which is none.
    algorithm : {"viterbi", "map"}
        How `decode` and `predict` find states.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.
    n_iter, tol, verbose
        As in `HMM`.
    params, init_params : str
        What a fit estimates, and what it starts anew: s startprob, t transmat, e emissionprob.
    implementation : {"log", "scaling"}
        Accepted; one algorithm serves both.
    emissionprob_prior : float or array
        Parameters of Dirichlet priors of the rows of `emissionprob_`, at least 1, which is none.
    start, fixed, n_init, method
        As in `HMM`; `fixed` may name "emissionprob".

    Attributes
    ----------
    startprob_ : (n_components,)
    transmat_ : (n_components, n_components)
    emissionprob_ : (n_components, n_features)
        Probabilities of the categories.
    monitor_ : ConvergenceMonitor

    """

    _family = MultinomialEmission
    _options = ("n_trials", "emissionprob_prior")
    _letters: ClassVar[dict[str, str]] = {"e": "emissionprob"}
    emissionprob_ = OfEmission("emissionprob")

    def __init__(
        self,
        n_components: int = 1,
        n_trials: Any = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
        *,
        emissionprob_prior: Any = 1.0,
        start: str = "free",
        fixed: dict[str, Any] | None = None,
        n_init: int = 1,
        method: str = "em",
    ) -> None:
        super().__init__(
            n_components,
            startprob_prior=startprob_prior,
            transmat_prior=transmat_prior,
            algorithm=algorithm,
            random_state=random_state,
            n_iter=n_iter,
            tol=tol,
            verbose=verbose,
            params=params,
            init_params=init_params,
            implementation=implementation,
            start=start,
            fixed=fixed,
            n_init=n_init,
            method=method,
        )
        self.n_trials = n_trials
        self.emissionprob_prior = emissionprob_prior

    @property
    def n_trials(self) -> Any:
        """The totals that were given, or the one that all rows of the data of the fit have; None where they differ."""
        given = vars(self)["n_trials"]
        return getattr(vars(self).get("_emission"), "total", None) if given is None else given

    @n_trials.setter
    def n_trials(self, n_trials: Any) -> None:
        vars(self)["n_trials"] = n_trials


class PoissonHMM(NamedHMM):
    """Counts: a Poisson rate for each feature in each state.

    Parameters
    ----------
    n_components : int
        Number of states.
    startprob_prior, transmat_prior : float or array
        Parameters of Dirichlet priors, at least 1, which is none.
    lambdas_prior, lambdas_weight : float or array
        Gamma prior of the rates: what it adds to the sum of the counts, and to their number; 0 is none.
    algorithm : {"viterbi", "map"}
        How `decode` and `predict` find states.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.
    n_iter, tol, verbose
        As in `HMM`.
    params, init_params : str
        What a fit estimates, and what it starts anew: s startprob, t transmat, l lambdas.
    implementation : {"log", "scaling"}
        Accepted; one algorithm serves both.
    start, fixed, n_init, method
        As in `HMM`; `fixed` may name "lambdas".

    Attributes
    ----------
    startprob_ : (n_components,)
    transmat_ : (n_components, n_components)
    lambdas_ : (n_components, n_features)
        Rates.
    monitor_ : ConvergenceMonitor

    """

    _family = PoissonEmission
    _options = ("lambdas_prior", "lambdas_weight")
    _letters: ClassVar[dict[str, str]] = {"l": "lambdas"}
    lambdas_ = OfEmission("lambdas")

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        lambdas_prior: Any = 0.0,
        lambdas_weight: Any = 0.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        params: str = "stl",
        init_params: str = "stl",
        implementation: str = "log",
        *,
        start: str = "free",
        fixed: dict[str, Any] | None = None,
        n_init: int = 1,
        method: str = "em",
    ) -> None:
        super().__init__(
            n_components,
            startprob_prior=startprob_prior,
            transmat_prior=transmat_prior,
            algorithm=algorithm,
            random_state=random_state,
            n_iter=n_iter,
            tol=tol,
            verbose=verbose,
            params=params,
            init_params=init_params,
            implementation=implementation,
            start=start,
            fixed=fixed,
            n_init=n_init,
            method=method,
        )
        self.lambdas_prior = lambdas_prior
        self.lambdas_weight = lambdas_weight


class BernoulliHMM(NamedHMM):
    """Yes or no: a probability of 1, or True, for each feature in each state. hmmlearn has no such class.

    Parameters
    ----------
    n_components : int
        Number of states.
    startprob_prior, transmat_prior : float or array
        Parameters of Dirichlet priors, at least 1, which is none.
    probs_prior : float or array
        Parameter of symmetric beta priors, at least 1, which is none.
    algorithm : {"viterbi", "map"}
        How `decode` and `predict` find states.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.
    n_iter, tol, verbose
        As in `HMM`.
    params, init_params : str
        What a fit estimates, and what it starts anew: s startprob, t transmat, p probs.
    implementation : {"log", "scaling"}
        Accepted; one algorithm serves both.
    start, fixed, n_init, method
        As in `HMM`; `fixed` may name "probs".

    Attributes
    ----------
    startprob_ : (n_components,)
    transmat_ : (n_components, n_components)
    probs_ : (n_components, n_features)
        Probabilities of 1, or True.
    monitor_ : ConvergenceMonitor

    """

    _family = BernoulliEmission
    _options = ("probs_prior",)
    _letters: ClassVar[dict[str, str]] = {"p": "probs"}
    probs_ = OfEmission("probs")

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        probs_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        params: str = "stp",
        init_params: str = "stp",
        implementation: str = "log",
        *,
        start: str = "free",
        fixed: dict[str, Any] | None = None,
        n_init: int = 1,
        method: str = "em",
    ) -> None:
        super().__init__(
            n_components,
            startprob_prior=startprob_prior,
            transmat_prior=transmat_prior,
            algorithm=algorithm,
            random_state=random_state,
            n_iter=n_iter,
            tol=tol,
            verbose=verbose,
            params=params,
            init_params=init_params,
            implementation=implementation,
            start=start,
            fixed=fixed,
            n_init=n_init,
            method=method,
        )
        self.probs_prior = probs_prior
