r"""Real vectors: p(x_n | z_n = k) = N(x_n; mu_k, Sigma_k).

The M-step, with N_k = \sum_n gamma_n(k), is the weighted mean and the weighted covariance

    mu_k = \sum_n gamma_n(k) x_n / N_k        S_k = \sum_n gamma_n(k) (x_n - mu_k) (x_n - mu_k)^T / N_k

of which each kind of covariance takes its part, subject to a floor: no variance, in no direction, is smaller than that
of the floor, a diagonal matrix F. The maximiser under that constraint has, in the metric of F, the eigenvalues of S_k
raised to 1 where they are smaller. Entries that are missing are marginalised.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.hmm.emissions import gaussian_covariances as gaussians
from statespace.hmm.emissions.emission import archived, from_archived, reordered_masks
from statespace.hmm.emissions.gaussian_covariances import ConjugatePrior, is_diagonal
from statespace.hmm.emissions.gaussian_densities import Moments
from statespace.hmm.emissions.gaussian_family import GaussianFamily, around, draw
from statespace.hmm.emissions.start_values import Clusters, clusters
from statespace.protocols import Array, Floats, Ints

_OPTIONS = ("covariance_type", "min_covar", "means_prior", "means_weight", "covars_prior", "covars_weight")
_LEARNT = ("means", "covars", "data_variance", "data_mean")


class GaussianEmission(GaussianFamily):
    """Gaussian vectors with a mean and a covariance in each state.

    Parameters
    ----------
    covariance_type : {"diag", "spherical", "full", "tied"}
        One variance a feature; one a state; a whole matrix a state; one matrix for all states.
    min_covar : float, optional
        The smallest variance in any direction; None: 1e-6 of each feature's variance in the data of the fit.
    means_prior, means_weight : float or array
        Means have a normal prior with this mean and `means_weight` times the precision of an observation; a number, one
        for each state (n_components,), or, of `means_prior`, (n_components, n_features). Weight 0 is none.
    covars_prior, covars_weight : float or array, optional
        Covariances have an inverse gamma, or inverse Wishart, prior: `covars_prior` is added to the sum of squares, and
        max(covars_weight - 1, 0), of matrices max(covars_weight - n_features, 0), to the number of observations. A
        number stands for that multiple of the identity. None and 1 are none.

    Attributes
    ----------
    means : (n_components, n_features)
        May be set by hand, as a start or to be used as they are; so may `covars`.
    covars : array
        Shape (n_components,) if spherical, (n_components, n_features) if diag, (n_components, n_features, n_features)
        if full, (n_features, n_features) if tied.

    Examples
    --------
    >>> import numpy as np
    >>> from statespace.hmm import GaussianEmission
    >>> emission = GaussianEmission()
    >>> emission.means, emission.covars = np.array([[0.0], [3.0]]), np.array([[1.0], [4.0]])
    >>> emission.log_likelihood(np.array([[1.0]])).round(3).tolist()
    [[-1.419, -2.112]]

    """

    def __init__(
        self,
        covariance_type: str = "diag",
        min_covar: float | None = None,
        means_prior: Any = 0,
        means_weight: Any = 0,
        covars_prior: Any = None,
        covars_weight: Any = 1,
    ) -> None:
        self.covariance_type = covariance_type
        self.min_covar = min_covar
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight
        self.means: Any = None
        self.covars: Any = None
        self.fixed: dict[str, Any] = {}
        self.data_variance: Floats | None = None
        self.data_mean: Floats | None = None

    def __repr__(self) -> str:
        shape = "" if self.means is None else f", {'x'.join(map(str, np.shape(self.means)))}"
        return f"<GaussianEmission {self.covariance_type}{shape}>"

    def _sharing(self) -> int:
        return len(self.means)

    def _prior(self) -> ConjugatePrior | None:
        options = (self.means_weight, self.covars_prior, self.covars_weight)
        if all(
            option is None or (isinstance(option, int | float) and option == plain)
            for option, plain in zip(options, (0, 0, 1), strict=True)
        ):
            return None
        K, D = self.means.shape
        diagonal, tied = is_diagonal(self.covariance_type), self.covariance_type == "tied"
        leading = 0 if tied else 1
        of_counts = (K, D) if diagonal else (K,)[:leading]
        counts = self._broadcast("covars_weight", of_counts, leading) - (1 if diagonal else D)
        scatter = self._broadcast(
            "covars_prior", (K, D) if diagonal else (K, D, D)[1 - leading :], leading, not diagonal
        )
        return ConjugatePrior(
            self._broadcast("means_prior", (K, D), 1),
            self._broadcast("means_weight", (K, D) if diagonal else (K,), 1),
            scatter.reshape(-1, *scatter.shape[-2 + diagonal :]),
            np.maximum(counts, 0.0).reshape((K, D) if diagonal else (-1,)),
        )

    @property
    def draws_no_start(self) -> bool:
        """Whether there is nothing to draw for a start."""
        return self.means is not None and self.covars is not None

    @property
    def n_parameters(self) -> int:
        """Means, and variances and covariances, that are not held."""
        held_means, held_covars = self._held()
        D = self.means.shape[1]
        each = 1 if is_diagonal(self.covariance_type) else D * (D + 1) // 2
        free = held_means.size - np.count_nonzero(held_means)
        return int(free + each * (held_covars.size - np.count_nonzero(held_covars)))

    @property
    def full_covariances(self) -> Floats:
        """Covariances as matrices, (n_components, n_features, n_features), whatever their type."""
        return gaussians.as_matrices(self._flat_covars(), self.covariance_type, *self.means.shape)

    def initialize(self, X: Floats, n_components: int, rng: np.random.Generator, weights: Floats | None = None) -> None:
        """Means and covariances of clusters of the data; values set by hand stay."""
        self._check_options()
        self._measure(X, weights)
        if self.means is not None and self.covars is not None:
            return
        rows = X if weights is None else X[weights > 0]
        self._begin(clusters(rows, n_components, rng), n_components, rng)

    def _begin(self, found: Clusters, n_components: int, rng: np.random.Generator) -> None:  # noqa: ARG002  # as others
        if self.means is None:
            self.means = found.means
        else:
            self.means = np.array(self.means, np.float64, ndmin=2)
            assert self.data_variance is not None
            found = around(self.means, found, self.data_variance)
        if self.covars is None:
            covars = gaussians.of_kind(self._start_covars(found, n_components), self.covariance_type, 1)
            self.covars = np.ascontiguousarray(covars[0] if self.covariance_type == "tied" else covars)

    def check(self, n_components: int) -> None:
        """Refuse means, covariances, priors and masks that do not fit together, or are none."""
        self._check_gaussians((n_components,), "(n_components, n_features)")

    def log_likelihood(self, X: Floats) -> Floats:
        """Log N(x_n; mu_k, Sigma_k), shape (n_samples, n_components)."""
        return self._log_densities(X)

    def statistics(self, X: Floats, posteriors: Floats) -> tuple[Floats, ...]:
        """Mass of the states, and first and second moments around the present means, to be added over pieces."""
        return tuple(self._moments(X, posteriors))

    def maximize(self, statistics: tuple[Floats, ...]) -> None:
        """Set means and covariances to what maximises; a state without mass keeps its own."""
        self._maximize(Moments(*statistics))

    def m_step(self, X: Floats, posteriors: Floats) -> None:
        """Set the means and covariances that maximise the expected log-likelihood."""
        self.maximize(self.statistics(X, posteriors))

    def to_vector(self) -> Floats:
        """Free parameters in coordinates without bounds, (p,): means, then covariances."""
        return self._coordinates()

    def from_vector(self, v: Floats) -> None:
        """Set the free parameters from their coordinates."""
        self._set_coordinates(np.asarray(v, np.float64))

    def gradient(self, X: Floats, posteriors: Floats) -> Floats:
        """Gradient of sum_n sum_k posteriors[n, k] log p(x_n | z_n = k) in the coordinates, (p,)."""
        return self._gaussian_gradient(self._moments(X, posteriors))

    def prior_gradient(self) -> Floats:
        """Gradient of `log_prior` in the coordinates, (p,)."""
        return self._gaussian_prior_gradient()

    def sample(self, states: Ints, rng: np.random.Generator) -> Floats:
        """Observations, (n_samples, n_features)."""
        return draw(self.means, self._expanded(), np.asarray(states), rng)

    def cdf(self, x: Floats, feature: int = 0) -> Floats:
        """P(X <= x | z = k) of one feature, for x (n, 1): shape (n, n_components)."""
        return self._normal_cdf(x, feature)

    def sf(self, x: Floats, feature: int = 0) -> Floats:
        """P(X > x | z = k), exact where the cdf is rounded to 1, shape (n, n_components)."""
        return self._normal_cdf(x, feature, upper=True)

    def mean(self) -> Floats:
        """E(x | z = k), shape (n_components, n_features)."""
        return np.array(self.means)

    def cov(self) -> Floats:
        """Cov(x | z = k), shape (n_components, n_features, n_features)."""
        return self.full_covariances

    def reorder(self, order: Ints) -> None:
        """State k becomes what was state order[k]."""
        order = np.asarray(order)
        self.means = np.ascontiguousarray(self.means[order])
        if self.covariance_type != "tied":
            self.covars = np.ascontiguousarray(self.covars[order])
        self.fixed = reordered_masks(self.fixed, order, whole=("covars",) if self.covariance_type == "tied" else ())

    def to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Options and arrays from which `from_archive` makes the same emission."""
        return archived(self, _OPTIONS, _LEARNT)

    @classmethod
    def from_archive(cls, header: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return the emission that `to_archive` described."""
        return from_archived(cls, header, arrays, _LEARNT)
