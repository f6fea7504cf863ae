r"""Variational Bayes for real vectors: each state has a normal-Wishart belief of its mean and precision.

    E log p(x_n | z_n = k) = log N(x_n; m_k, S_k / nu_k) + (E log |Lambda_k| - log |E Lambda_k| - D / beta_k) / 2

Entries that are missing are latent too: what the state and the entries of the same row say of them is part of q(z).
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np

from statespace.foundations.observations import Observations, read_observations
from statespace.foundations.validation import check_choice
from statespace.hmm.emissions import gaussian_covariances as gaussians
from statespace.hmm.emissions.gaussian import GaussianEmission
from statespace.hmm.emissions.gaussian_covariances import COVARIANCE_TYPES, is_diagonal
from statespace.hmm.emissions.gaussian_densities import log_densities, moments
from statespace.hmm.normal_wishart import (
    NormalWishart,
    RowMoments,
    after,
    check_normal_wishart,
    covariances,
    divergence,
    log_density_gap,
)
from statespace.hmm.variational_model import VariationalHMM, as_shape
from statespace.protocols import Array, Floats, Ints

# States a tenth as wide as the data, and means that spread ten of these widths: as the data do, in any unit. Fits of
# drawn series score unseen ones best near these values; beta = 1 loses a nat a step where states lie far apart.
_PRIOR_BETA = 0.01
_PRIOR_SCALE = 0.01  # of each feature's variance


class GaussianBelief:
    """What is believed of means and precisions; an emission for the E-step."""

    marginalises = True

    def __init__(
        self,
        kind: str,
        prior: NormalWishart,
        posterior: NormalWishart,
        learn_means: bool = True,
        learn_precisions: bool = True,
    ) -> None:
        self.kind = kind
        self.prior = prior
        self.posterior = posterior
        self.learn_means = learn_means
        self.learn_precisions = learn_precisions

    @property
    def n_components(self) -> int:
        """How many states there are."""
        return len(self.posterior.means)

    def _covariances(self) -> Floats:
        """Variances (K, n_features), or matrices, that stand for the states."""
        return gaussians.expand(covariances(self.posterior), self.kind, *self.posterior.means.shape)

    def read(self, X: Any, lengths: Any) -> Observations:
        """Rows (n_samples, n_features)."""
        return read_observations(X, lengths, n_features=self.posterior.means.shape[1])

    def log_likelihood(self, X: Floats) -> Floats:
        """E log p(x_n | z_n = k), shape (n_samples, n_components)."""
        found = log_densities(X, self.posterior.means, self._covariances())
        found += log_density_gap(self.posterior, self.kind)
        return found

    def statistics(self, X: Floats, posteriors: Floats) -> tuple[Floats, ...]:
        """Moments of whole rows around the present means, as expected where entries are missing."""
        variances = self._covariances()
        found = moments(X, posteriors, self.posterior.means, variances)
        mass, second = posteriors.sum(axis=0), found.second
        if is_diagonal(self.kind):
            second = second + (mass[:, None] - found.mass) * variances
        return mass, found.first, second

    def maximize(self, statistics: tuple[Floats, ...]) -> None:
        """Believe the prior and these moments."""
        self.posterior = after(
            self.prior, self.posterior, self.kind, RowMoments(*statistics), self.learn_means, self.learn_precisions
        )

    def divergence(self) -> float:
        """KL(q || p), in nats."""
        return divergence(self.posterior, self.prior, self.kind)

    def point_estimate(self) -> GaussianEmission:
        """The emission with the expected means, and the inverses of the expected precisions."""
        emission = GaussianEmission(self.kind)
        covars = covariances(self.posterior)
        emission.means, emission.covars = self.posterior.means, covars[0] if self.kind == "tied" else covars
        return emission

    def reorder(self, order: Ints) -> None:
        """State k becomes what was state order[k]."""
        self.prior, self.posterior = (
            NormalWishart(*(part if len(part) == 1 else np.ascontiguousarray(part[order]) for part in law))
            for law in (self.prior, self.posterior)
        )


class VariationalGaussianHMM(VariationalHMM):
    """Real vectors, with normal-Wishart and Dirichlet priors, fitted by variational Bayes.

    The prior asks each state to earn its place: one that explains nothing falls back to its prior. The lower bound has
    many maxima, so that several starts (`n_init`) pay; `lower_bound` compares numbers of states. With 'diag' and
    'spherical' covariances the precisions are gammas, as the model has them, not Wishart matrices.

    Parameters
    ----------
    n_components : int
        Number of states K, at most.
    covariance_type : {"full", "diag", "spherical", "tied"}
        A whole matrix a state; one variance a feature; one a state; one matrix for all states.
    startprob_prior, transmat_prior : float or array, optional
        Parameters of Dirichlet priors, which count observations made before; None: 1 / K. 0 says that a probability
        is 0.
    means_prior : float or array, optional
        Prior means: a number, (n_features,) or (n_components, n_features); None: the mean of the data.
    beta_prior : float or (n_components,), optional
        How many observations of a state the prior of its mean is worth; None: 0.01, by which means lie within some ten
        of their state's standard deviations of the prior mean.
    dof_prior : float or (n_components,), optional
        How many the prior of its covariance is worth, more than n_features - 1 of matrices; None: n_features of
        matrices and 1 of variances. One number if tied.
    scale_prior : float or array, optional
        Sum of squares of these observations, in the shape of the covariances; a number is that multiple of the
        identity. None: 0.01 of each feature's variance in the data, so that results follow their units.
    algorithm : {"viterbi", "map"}
        How `decode` and `predict` find states.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.
    n_iter, tol, verbose
        As in `HMM`; what is watched is the lower bound.
    params, init_params : str
        What a fit learns, and what it starts anew: s startprob, t transmat, m means and beta, c dof and scale.
    implementation : {"log", "scaling"}
        Accepted; one algorithm serves both.
    n_init : int
        Fits from as many starts, of which the one with the largest lower bound is kept.

    Attributes
    ----------
    startprob_prior_, startprob_posterior_ : (n_components,)
    transmat_prior_, transmat_posterior_ : (n_components, n_components)
    means_prior_, means_posterior_ : (n_components, n_features)
    beta_prior_, beta_posterior_ : (n_components,)
    dof_prior_, dof_posterior_ : (n_components,), or a number if tied
    scale_prior_, scale_posterior_ : array
        Shape (n_components,) if spherical, (n_components, n_features) if diag, (n_components, n_features, n_features)
        if full, (n_features, n_features) if tied. All of these may be set by hand, as a start or to be used.
    startprob_, transmat_, means_ : arrays
        Means of the posteriors, on which `score`, `predict` and the other verbs act.
    covars_ : (n_components, n_features, n_features)
        Inverses of the expected precisions, scale / dof, as matrices.
    monitor_ : ConvergenceMonitor
        Its history is the lower bound.

    References
    ----------
    McGrory and Titterington (2009), Variational Bayesian analysis for hidden Markov models; Gruhl and Sick (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from statespace import hmm
    >>> x = np.random.default_rng(0).normal(np.repeat([0.0, 5.0, 0.0], 40))
    >>> models = [hmm.VariationalGaussianHMM(k, random_state=0).fit(x) for k in (1, 2, 3)]
    >>> [round(model.lower_bound(x)) for model in models]
    [-298, -192, -196]
    >>> models[1].means_.round(1).tolist()
    [[-0.0], [5.3]]

    """

    support = "reals"
    _names: ClassVar = {"s": ("startprob",), "t": ("transmat",), "m": ("means", "beta"), "c": ("dof", "scale")}

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "full",
        startprob_prior: Any = None,
        transmat_prior: Any = None,
        means_prior: Any = None,
        beta_prior: Any = None,
        dof_prior: Any = None,
        scale_prior: Any = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
        implementation: str = "log",
        *,
        n_init: int = 1,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.means_prior = means_prior
        self.beta_prior = beta_prior
        self.dof_prior = dof_prior
        self.scale_prior = scale_prior
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation
        self.n_init = n_init

    @property
    def means_(self) -> Floats:
        """Expected means, shape (n_components, n_features); assigning sets `means_posterior_`."""
        return self._normal_wishart("posterior", vars(self)).means

    @means_.setter
    def means_(self, value: Any) -> None:
        self.means_posterior_ = np.array(value, np.float64)

    @property
    def covars_(self) -> Floats:
        """Matrices (n_components, n_features, n_features); assign these, or in the shape of `scale_posterior_`."""
        law = self._normal_wishart("posterior", vars(self))
        return gaussians.as_matrices(covariances(law), self.covariance_type, *law.means.shape)

    @covars_.setter
    def covars_(self, value: Any) -> None:
        covars = self._as_stored(np.array(value, np.float64))
        n_features = 1 if self.covariance_type == "spherical" else covars.shape[-1]
        dof = vars(self).get("dof_posterior_", self._least_dof(n_features) * np.ones(self._dof_shape()))
        self.dof_posterior_ = float(dof) if np.ndim(dof) == 0 else np.asarray(dof, np.float64)
        self.scale_posterior_ = covars * np.reshape(dof, np.shape(dof) + (1,) * (covars.ndim - np.ndim(dof)))

    def _as_stored(self, covars: Floats) -> Floats:
        """Matrices (n_components, n_features, n_features) in the shape of their type, if they are of that type."""
        kind, K = self.covariance_type, self.n_components
        if kind == "full" or covars.ndim != 3 or len(covars) != K:
            return covars
        stored = gaussians.of_kind(covars, kind, 1)
        alike = np.allclose(gaussians.as_matrices(stored, kind, K, covars.shape[-1]), covars, rtol=1e-12, atol=0)
        return covars if not alike else np.asarray(stored[0]) if kind == "tied" else stored

    # ----------------------------------------------------------------------------------------- beliefs and attributes

    def _dof_shape(self) -> tuple[int, ...]:
        return () if self.covariance_type == "tied" else (self.n_components,)

    def _least_dof(self, n_features: int) -> int:
        """What the default prior counts."""
        return 1 if is_diagonal(self.covariance_type) else n_features

    def _scale_shape(self, D: int) -> tuple[int, ...]:
        K = self.n_components
        return {"spherical": (K,), "diag": (K, D), "full": (K, D, D), "tied": (D, D)}[self.covariance_type]

    def _normal_wishart(self, part: str, known: dict[str, Any]) -> NormalWishart:
        """The prior or the posterior out of attributes, checked."""
        check_choice("covariance_type", self.covariance_type, COVARIANCE_TYPES)
        names = [f"{name}_{part}_" for name in ("means", "beta", "dof", "scale")]
        K = self.n_components
        D = np.shape(known[names[0]])[-1] if names[0] in known and np.ndim(known[names[0]]) else 0
        shapes = [(K, D), (K,), self._dof_shape(), self._scale_shape(D)]
        found = []
        for name, shape in zip(names, shapes, strict=True):
            if name not in known:
                self._require(name)
            value = np.array(known[name], np.float64)
            _check_shape(name, value, shape)
            found.append(value[None] if self.covariance_type == "tied" and name.startswith(("dof", "scale")) else value)
        law = NormalWishart(*found)
        check_normal_wishart(law, self.covariance_type, part)
        return law

    def _reader(self) -> GaussianEmission:
        check_choice("covariance_type", self.covariance_type, COVARIANCE_TYPES)
        emission = GaussianEmission(self.covariance_type)
        means = self._surviving_now("means_posterior_")
        if means is not None:
            emission.means = np.array(means, np.float64, ndmin=2)
        return emission

    def _first_emissions(
        self,
        reader: Any,
        values: Array,
        offsets: Ints,
        weights: Floats,
        rng: np.random.Generator,
        known: dict[str, Any],
    ) -> list[GaussianBelief]:
        K, kind = self.n_components, self.covariance_type
        known = self._prior_defaults(values, weights) | known
        count = weights.sum() / K
        known.setdefault("beta_posterior_", np.asarray(known["beta_prior_"], np.float64) + count)
        more = weights.sum() if kind == "tied" else count
        known.setdefault("dof_posterior_", np.asarray(known["dof_prior_"], np.float64) + more)
        dof = np.asarray(known["dof_posterior_"], np.float64)
        _check_shape("dof_posterior_", dof, self._dof_shape())
        candidates = [known]
        if not {"means_posterior_", "scale_posterior_"} <= known.keys():
            emission = copy.deepcopy(reader)
            others = emission.rivals(values, offsets, K, rng, weights)
            emission.initialize(values, K, rng, weights)
            candidates = []
            for start in [emission, *others]:
                scale = start.covars * dof.reshape(dof.shape + (1,) * (start.covars.ndim - dof.ndim))
                candidates.append({"means_posterior_": start.means, "scale_posterior_": scale} | known)
        return [
            GaussianBelief(
                kind,
                self._normal_wishart("prior", candidate),
                self._normal_wishart("posterior", candidate),
                "m" in self.params,
                "c" in self.params,
            )
            for candidate in candidates
        ]

    def _prior_defaults(self, values: Array, weights: Floats) -> dict[str, Any]:
        """Priors as the constructor has them, or the data where it has none."""
        K, D = self.n_components, values.shape[1]
        variances = gaussians.feature_variances(values, weights)
        seen = ~np.isnan(values) & (weights[:, None] > 0)
        mass = np.where(seen, weights[:, None], 0.0).sum(axis=0)
        centre = np.where(seen, weights[:, None] * values, 0.0).sum(axis=0) / np.where(mass > 0, mass, 1.0)
        scale = self.scale_prior
        shape = self._scale_shape(D)
        if scale is None:
            scale = _PRIOR_SCALE * (variances.mean() if self.covariance_type == "spherical" else variances)
            scale = np.diag(scale) if not is_diagonal(self.covariance_type) else scale
        elif np.ndim(scale) == 0 and not is_diagonal(self.covariance_type):
            scale = scale * np.eye(D)
        return {
            "means_prior_": as_shape("means_prior", centre if self.means_prior is None else self.means_prior, (K, D)),
            "beta_prior_": as_shape("beta_prior", _PRIOR_BETA if self.beta_prior is None else self.beta_prior, (K,)),
            "dof_prior_": as_shape(
                "dof_prior", self._least_dof(D) if self.dof_prior is None else self.dof_prior, self._dof_shape()
            ),
            "scale_prior_": as_shape("scale_prior", scale, shape),
        }

    def _emission_belief(self) -> GaussianBelief:
        known = vars(self)
        posterior = self._normal_wishart("posterior", known)
        prior = posterior
        if all(f"{name}_prior_" in known for name in ("means", "beta", "dof", "scale")):
            prior = self._normal_wishart("prior", known)
        return GaussianBelief(self.covariance_type, prior, posterior)

    def _keep_emission(self, emission: GaussianBelief) -> None:
        tied = self.covariance_type == "tied"
        for part, law in (("prior", emission.prior), ("posterior", emission.posterior)):
            for name, value in law._asdict().items():
                shown = value[0] if tied and name in ("dof", "scale") else value
                setattr(self, f"{name}_{part}_", float(shown) if np.ndim(shown) == 0 else shown)


def _check_shape(name: str, value: Floats, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {value.shape}")
