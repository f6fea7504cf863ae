"""Hidden Markov models of real vectors under hmmlearn's names; those of symbols and counts are in hmmlearn_names.py."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from statespace.hmm.baum_welch import Law
from statespace.hmm.emissions.gaussian import GaussianEmission
from statespace.hmm.emissions.gaussian_covariances import checked_covariances
from statespace.hmm.emissions.gaussian_mixture import GaussianMixtureEmission
from statespace.hmm.named_model import NamedHMM, OfEmission
from statespace.protocols import Floats


class GaussianHMM(NamedHMM):
    """Real vectors: a Gaussian in each state.

    Parameters
    ----------
    n_components : int
        Number of states.
    covariance_type : {"diag", "spherical", "full", "tied"}
        One variance a feature; one a state; a whole matrix a state; one matrix for all states.
    min_covar : float, optional
        The smallest variance in any direction; None: 1e-6 of each feature's variance in the data of the fit.
    startprob_prior, transmat_prior : float or array
        Parameters of Dirichlet priors, at least 1, which is none.
    means_prior, means_weight, covars_prior, covars_weight : float or array, optional
        Priors of means and covariances, as in `GaussianEmission`; none where they are not given.
    algorithm : {"viterbi", "map"}
        How `decode` and `predict` find states.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.
    n_iter, tol, verbose
        As in `HMM`.
    params, init_params : str
        What a fit estimates, and what it starts anew: s startprob, t transmat, m means, c covars.
    implementation : {"log", "scaling"}
        Accepted; one algorithm serves both.
    start, fixed, n_init, method
        As in `HMM`; `fixed` may name "means" and "covars".

    Attributes
    ----------
    startprob_ : (n_components,)
    transmat_ : (n_components, n_components)
    means_ : (n_components, n_features)
    covars_ : (n_components, n_features, n_features)
        Matrices, whatever their type. Set it in the shape of the type: (n_components,) if spherical,
        (n_components, n_features) if diag, (n_features, n_features) if tied; or as it is read.
    monitor_ : ConvergenceMonitor

    """

    _family = GaussianEmission
    _options = ("covariance_type", "min_covar", "means_prior", "means_weight", "covars_prior", "covars_weight")
    _letters: ClassVar[dict[str, str]] = {"m": "means", "c": "covars"}
    means_ = OfEmission("means")

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "diag",
        min_covar: float | None = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        means_prior: Any = 0,
        means_weight: Any = 0,
        covars_prior: Any = None,
        covars_weight: Any = 1,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
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
        self.covariance_type = covariance_type
        self.min_covar = min_covar
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight

    def _law(self) -> Law:
        vars(self).pop("n_features", None)  # hmmlearn's scripts may set it to anything: the means have the last word
        return super()._law()

    @property
    def covars_(self) -> Floats:
        """Covariances as matrices, (n_components, n_features, n_features)."""
        compact = OfEmission("covars").__get__(self)
        if self.covariance_type == "full":
            return np.array(compact)
        if self.covariance_type == "tied":
            return np.tile(compact, (self.n_components, 1, 1))
        return np.asarray(np.reshape(compact, (self.n_components, -1, 1)) * np.eye(self.n_features or 1))

    @covars_.setter
    def covars_(self, covars: Any) -> None:
        self.set_parameter("covars", self._as_stored(covars))

    def _as_stored(self, covars: Any) -> Floats:
        """Covariances in the shape of their type, checked; matrices are taken where they are of that type."""
        values = np.array(covars, np.float64)
        kind, K = self.covariance_type, self.n_components
        if kind == "spherical" and values.size == K:
            values = values.reshape(K)
        D = values.shape[-1] if values.ndim else 0
        if values.shape == (K, D, D):
            variances = np.einsum("kii->ki", values)
            is_diagonal = (values == variances[:, :, None] * np.eye(D)).all()
            if kind == "diag" and is_diagonal:
                values = variances
            elif kind == "spherical" and is_diagonal and (variances == variances[:, :1]).all():
                values = variances[:, 0]
            elif kind == "tied" and (values == values[0]).all():
                values = values[0]
        shapes = {"spherical": (K,), "diag": (K, D), "tied": (D, D), "full": (K, D, D)}
        if kind not in shapes:
            raise ValueError(f"covariance_type is {kind!r}, expected 'spherical', 'diag', 'full' or 'tied'")
        return checked_covariances(np.ascontiguousarray(values), kind, shapes[kind])


class GMMHMM(NamedHMM):
    """Real vectors: a mixture of Gaussians in each state.

    Parameters
    ----------
    n_components : int
        Number of states.
    n_mix : int
        Components of the mixture of each state.
    min_covar : float, optional
        The smallest variance in any direction; None: 1e-6 of each feature's variance in the data of the fit.
    startprob_prior, transmat_prior : float or array
        Parameters of Dirichlet priors, at least 1, which is none.
    weights_prior, means_prior, means_weight, covars_prior, covars_weight : float or array, optional
        Priors of weights, means and covariances, as in `GaussianMixtureEmission`; none where they are not given.
    algorithm : {"viterbi", "map"}
        How `decode` and `predict` find states.
    covariance_type : {"diag", "spherical", "full", "tied"}
        One variance a feature; one a component; a whole matrix a component; one matrix for all components of a state.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.
    n_iter, tol, verbose
        As in `HMM`.
    params, init_params : str
        What a fit estimates, and what it starts anew: s startprob, t transmat, m means, c covars, w weights.
    implementation : {"log", "scaling"}
        Accepted; one algorithm serves both.
    start, fixed, n_init, method
        As in `HMM`; `fixed` may name "weights", "means" and "covars".

    Attributes
    ----------
    startprob_ : (n_components,)
    transmat_ : (n_components, n_components)
    weights_ : (n_components, n_mix)
    means_ : (n_components, n_mix, n_features)
    covars_ : array
        Shape (n_components, n_mix) if spherical, (n_components, n_mix, n_features) if diag,
        (n_components, n_mix, n_features, n_features) if full, (n_components, n_features, n_features) if tied.
    monitor_ : ConvergenceMonitor

    """

    _family = GaussianMixtureEmission
    _options = (
        "n_mix",
        "covariance_type",
        "min_covar",
        "weights_prior",
        "means_prior",
        "means_weight",
        "covars_prior",
        "covars_weight",
    )
    _letters: ClassVar[dict[str, str]] = {"m": "means", "c": "covars", "w": "weights"}
    means_ = OfEmission("means")
    covars_ = OfEmission("covars")
    weights_ = OfEmission("weights")

    def __init__(
        self,
        n_components: int = 1,
        n_mix: int = 1,
        min_covar: float | None = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        weights_prior: Any = 1.0,
        means_prior: Any = 0.0,
        means_weight: Any = 0.0,
        covars_prior: Any = None,
        covars_weight: Any = None,
        algorithm: str = "viterbi",
        covariance_type: str = "diag",
        random_state: Any = None,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        params: str = "stmcw",
        init_params: str = "stmcw",
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
        self.n_mix = n_mix
        self.min_covar = min_covar
        self.weights_prior = weights_prior
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight
        self.covariance_type = covariance_type
