r"""Real vectors from a mixture in each state: p(x_n | z_n = k) = \sum_m weights[k, m] N(x_n; mu_km, Sigma_km).

With r_nkm the probability that x_n, if from state k, came from component m, the M-step weighs x_n by gamma_n(k) r_nkm:

    weights[k, m] \propto \sum_n gamma_n(k) r_nkm + weights_prior - 1

and means and covariances as those of one Gaussian. That never lowers the expected log-likelihood, but is no maximiser
of it: an M-step is itself one iteration of EM.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.validation import check_integer
from statespace.hmm.baum_welch import share
from statespace.hmm.emissions import gaussian_covariances as gaussians
from statespace.hmm.emissions.emission import archived, from_archived, reordered_masks
from statespace.hmm.emissions.gaussian_covariances import ConjugatePrior, is_diagonal
from statespace.hmm.emissions.gaussian_densities import Moments
from statespace.hmm.emissions.gaussian_family import GaussianFamily, around, draw
from statespace.hmm.emissions.start_values import Clusters, clusters
from statespace.protocols import Array, Floats, Ints

_OPTIONS = (
    "n_mix",
    "covariance_type",
    "min_covar",
    "weights_prior",
    "means_prior",
    "means_weight",
    "covars_prior",
    "covars_weight",
)
_LEARNT = ("weights", "means", "covars", "data_variance", "data_mean")
_BLOCK = 8192  # rows whose components stay in the cache


@kernel
def subtract_best(joint: Floats, log_weights: Floats, best: Floats) -> None:
    """Add the weights to log-densities (n, K * M), and take the best of each state, (n, K), away from them."""
    n_samples = joint.shape[0]
    K, M = log_weights.shape
    for n in range(n_samples):
        for k in range(K):
            top = -np.inf
            for m in range(M):
                joint[n, k * M + m] += log_weights[k, m]
                top = max(top, joint[n, k * M + m])
            best[n, k] = top
            if top == -np.inf:  # too far from all of them for a float: none is to blame
                for m in range(M):
                    joint[n, k * M + m] = log_weights[k, m]
            else:
                for m in range(M):
                    joint[n, k * M + m] -= top


@kernel
def add_components(joint: Floats, n_mix: int, sums: Floats) -> None:
    """sums[n, k] = sum_m joint[n, k * n_mix + m]."""
    for n in range(sums.shape[0]):
        for k in range(sums.shape[1]):
            total = 0.0
            for m in range(n_mix):
                total += joint[n, k * n_mix + m]
            sums[n, k] = total


@kernel
def scale_components(joint: Floats, n_mix: int, factors: Floats) -> None:
    """joint[n, k * n_mix + m] *= factors[n, k]."""
    for n in range(factors.shape[0]):
        for k in range(factors.shape[1]):
            for m in range(n_mix):
                joint[n, k * n_mix + m] *= factors[n, k]


class GaussianMixtureEmission(GaussianFamily):
    """A mixture of Gaussians in each state.

    Parameters
    ----------
    n_mix : int
        Components of the mixture of each state.
    covariance_type : {"diag", "spherical", "full", "tied"}
        One variance a feature; one a component; a whole matrix a component; one matrix for all components of a state.
    min_covar : float, optional
        The smallest variance in any direction; None: 1e-6 of each feature's variance in the data of the fit.
    weights_prior : float or array (n_components, n_mix)
        Parameters of Dirichlet priors of the weights, at least 1, which is none.
    means_prior, means_weight : float or array, optional
        Means have a normal prior with this mean and `means_weight` times the precision of an observation; a number, one
        for each component (n_components, n_mix), or, of `means_prior`, one for each entry. Weight 0 is none.
    covars_prior, covars_weight : float or array, optional
        For variances the shape and the scale of an inverse gamma prior; for matrices the scale matrix (a number: that
        multiple of the identity) and the degrees of freedom of an inverse Wishart prior; None is none.

    Attributes
    ----------
    weights : (n_components, n_mix)
        Probabilities of the components; may be set by hand, as may the others.
    means : (n_components, n_mix, n_features)
    covars : array
        Shape (n_components, n_mix) if spherical, (n_components, n_mix, n_features) if diag,
        (n_components, n_mix, n_features, n_features) if full, (n_components, n_features, n_features) if tied.

    """

    def __init__(
        self,
        n_mix: int = 1,
        covariance_type: str = "diag",
        min_covar: float | None = None,
        weights_prior: Any = 1.0,
        means_prior: Any = None,
        means_weight: Any = None,
        covars_prior: Any = None,
        covars_weight: Any = None,
    ) -> None:
        self.n_mix = n_mix
        self.covariance_type = covariance_type
        self.min_covar = min_covar
        self.weights_prior = weights_prior
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight
        self.weights: Any = None
        self.means: Any = None
        self.covars: Any = None
        self.fixed: dict[str, Any] = {}
        self.data_variance: Floats | None = None
        self.data_mean: Floats | None = None

    def __repr__(self) -> str:
        shape = "" if self.means is None else f", {'x'.join(map(str, np.shape(self.means)))}"
        return f"<GaussianMixtureEmission of {self.n_mix}, {self.covariance_type}{shape}>"

    def _sharing(self) -> int:
        return self.n_mix

    def _prior(self) -> ConjugatePrior | None:
        options = (self.means_weight, self.covars_prior, self.covars_weight)
        if all(np.ndim(option) == 0 and option in (None, 0) for option in options[:1]) and options[1:] == (None, None):
            return None
        K, M, D = self.means.shape
        if not is_diagonal(self.covariance_type):
            tied = self.covariance_type == "tied"
            leading = 1 if tied else 2
            scatter = self._broadcast("covars_prior", (*(K, M)[:leading], D, D), leading, eye=True)
            freedom = self._broadcast("covars_weight", (K, M)[:leading], leading)
            counts = np.zeros(()) if self.covars_weight is None else freedom + D + 1 + (M if tied else 1)
            return ConjugatePrior(
                self._broadcast("means_prior", (K, M, D), 2).reshape(-1, D),
                self._broadcast("means_weight", (K, M), 2).reshape(-1),
                scatter.reshape(-1, D, D),
                np.broadcast_to(counts, freedom.shape).reshape(-1),
            )
        every = (K, M) if self.covariance_type == "spherical" else (K, M, D)
        n_each = D if self.covariance_type == "spherical" else 1  # of a spherical variance, each feature has its part
        alpha, beta = (self._broadcast(name, every, 2).reshape(K, M, -1) for name in ("covars_prior", "covars_weight"))
        counts = np.zeros(()) if self.covars_prior is None else 1 + 2 * (alpha + 1) / n_each
        return ConjugatePrior(
            self._broadcast("means_prior", (K, M, D), 2).reshape(-1, D),
            self._broadcast("means_weight", (K, M, D), 2).reshape(-1, D),
            np.broadcast_to(2 * beta / n_each, (K, M, D)).reshape(-1, D),
            np.broadcast_to(counts, (K, M, D)).reshape(-1, D),
        )

    def _dirichlet(self) -> Floats:
        """Counts that the prior of the weights adds, (n_components, n_mix)."""
        return np.asarray(self._broadcast("weights_prior", self.weights.shape, 2) - 1.0)

    def _free_weights(self) -> Array:
        """Weights that can change, (n_components, n_mix): neither held nor 0."""
        return np.asarray(self.weights > 0) & ~self._mask("weights", self.weights.shape)

    @property
    def n_parameters(self) -> int:
        """Weights, means, and variances and covariances, that are not held."""
        held_means, held_covars = self._held()
        D = self._n_features
        each = 1 if is_diagonal(self.covariance_type) else D * (D + 1) // 2
        of_weights = np.maximum(self._free_weights().sum(axis=1) - 1, 0).sum()
        return int(of_weights + (~held_means).sum() + each * (~held_covars).sum())

    @property
    def full_covariances(self) -> Floats:
        """Covariances as matrices, (n_components, n_mix, n_features, n_features), whatever their type."""
        C, D = self._flat_means().shape
        matrices = gaussians.as_matrices(self._flat_covars(), self.covariance_type, C, D)
        return matrices.reshape(*self.means.shape, D)

    def _check_options(self) -> None:
        super()._check_options()
        check_integer("n_mix", self.n_mix, 1)

    def initialize(self, X: Floats, n_components: int, rng: np.random.Generator, weights: Floats | None = None) -> None:
        """Weights, means and covariances of clusters within clusters of the data; values set by hand stay."""
        self._check_options()
        K = n_components
        self._measure(X, weights)
        if self.weights is not None and self.means is not None and self.covars is not None:
            return
        self._begin(clusters(X if weights is None else X[weights > 0], K, rng), K, rng)

    def _begin(self, outer: Clusters, n_components: int, rng: np.random.Generator) -> None:
        K, M = n_components, self.n_mix
        found = _nested_clusters(outer, K, M, rng)
        if self.means is None:
            self.means = found.means.reshape(K, M, -1)
        else:
            self.means = np.array(self.means, np.float64)
            assert self.data_variance is not None
            found = around(self.means.reshape(-1, self.means.shape[-1]), found, self.data_variance)
        if self.weights is None:
            counts = 1.0 + np.bincount(found.labels, minlength=K * M).reshape(K, M)
            self.weights = counts / counts.sum(axis=1, keepdims=True)
        if self.covars is None:
            covars = gaussians.of_kind(self._start_covars(found, K * M), self.covariance_type, K)
            leading = (K,) if self.covariance_type == "tied" else (K, M)
            self.covars = np.ascontiguousarray(covars.reshape(leading + covars.shape[1:]))

    def check(self, n_components: int) -> None:
        """Refuse weights, means, covariances, priors and masks that do not fit together, or are none."""
        M = check_integer("n_mix", self.n_mix, 1)
        self._check_gaussians((n_components, M), "(n_components, n_mix, n_features)")
        if self.weights is None:
            raise ValueError("weights is not known yet: fit the model, or assign weights before it is used")
        weights = np.require(self.weights, np.float64, ["C", "W"])
        if weights.shape != (n_components, M):
            raise ValueError(
                f"weights must have shape (n_components, n_mix) = {(n_components, M)}, got {weights.shape}"
            )
        if not (weights >= 0).all():
            raise ValueError(f"weights must be probabilities, found {weights[~(weights >= 0)][0]:g}")
        sums = weights.sum(axis=1)
        wrong = np.flatnonzero(~(np.abs(sums - 1) <= 1e-8))
        if wrong.size:
            raise ValueError(f"weights[{wrong[0]}] sum to {sums[wrong[0]]:.10g}, expected 1 (tolerance 1e-8)")
        self.weights = weights
        if not (self._dirichlet() >= 0).all():
            raise ValueError(
                f"weights_prior is {self.weights_prior!r:.60}, expected numbers of at least 1, which is none"
            )
        self._mask("weights", weights.shape)

    # ------------------------------------------------------------------------------------------------------------ EM

    def _components(self, X: Array) -> tuple[Floats, Floats]:
        """Probabilities of the components given x_n and its state, (n, C), and log p(x_n | z_n), (n, n_components)."""
        K, M = self.weights.shape
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        joint = self._log_densities(X)
        total = np.empty((len(joint), K))
        sums = np.empty((len(joint), K))
        subtract_best(joint, log_weights, total)
        np.exp(joint, out=joint)  # numpy's is vectorised
        add_components(joint, M, sums)
        total += np.log(sums)
        scale_components(joint, M, 1.0 / sums)
        return joint, total

    def log_likelihood(self, X: Floats) -> Floats:
        """Log p(x_n | z_n = k), shape (n_samples, n_components)."""
        out = np.empty((len(X), len(self.weights)))
        for start in range(0, len(X), _BLOCK):
            rows = slice(start, start + _BLOCK)
            out[rows] = self._components(X[rows])[1]
        return out

    def statistics(self, X: Floats, posteriors: Floats) -> tuple[Floats, ...]:
        """Mass of the components (n_components, n_mix), then mass and moments of all Gaussians, to be added."""
        counts: Any = np.zeros(self.weights.shape)
        sums: Any = None
        for start in range(0, max(len(X), 1), _BLOCK):
            rows = slice(start, start + _BLOCK)
            responsibilities, _ = self._components(X[rows])
            scale_components(responsibilities, self.n_mix, np.array(posteriors[rows], np.float64, order="C"))
            counts += responsibilities.sum(axis=0).reshape(counts.shape)
            part = self._moments(X[rows], responsibilities)
            sums = part if sums is None else Moments(*(a + b for a, b in zip(sums, part, strict=True)))
        return (counts, *sums)

    def maximize(self, statistics: tuple[Floats, ...]) -> None:
        """Set weights, means and covariances; a component without mass keeps its own."""
        counts, *sums = statistics
        self._maximize(Moments(*sums))
        held = self._mask("weights", self.weights.shape)
        self.weights = share(self.weights, counts + self._dirichlet(), held)

    def m_step(self, X: Floats, posteriors: Floats) -> None:
        """Set the parameters by one iteration of EM for the expected log-likelihood."""
        self.maximize(self.statistics(X, posteriors))

    def log_prior(self) -> float:
        """Log density, up to a constant, of the priors of weights, means and covariances."""
        dirichlet = self._dirichlet()
        total = super().log_prior()
        if dirichlet.any():
            seen = self.weights > 0
            total += float((dirichlet[seen] * np.log(self.weights[seen])).sum())
        return total

    # ----------------------------------------------------------------------------------- coordinates without bounds

    def _references(self) -> tuple[Array, Ints]:
        """Weights that have a coordinate, and in each state the last free one, which the others are measured by."""
        free = self._free_weights()
        last = self.n_mix - 1 - np.argmax(free[:, ::-1], axis=1)
        has = free.copy()
        has[np.arange(len(free)), last] = False
        return has, last

    def to_vector(self) -> Floats:
        """Free parameters in coordinates without bounds, (p,): log ratios of weights, means, then covariances."""
        has, last = self._references()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.log(self.weights) - np.log(self.weights[np.arange(len(last)), last])[:, None]
        return np.concatenate([ratios[has], self._coordinates()])

    def from_vector(self, v: Floats) -> None:
        """Set the free parameters from their coordinates."""
        v = np.asarray(v, np.float64)
        has, _ = self._references()
        free = self._free_weights()
        ratios = np.where(free, 0.0, -np.inf)
        ratios[has] = np.clip(v[: has.sum()], -300.0, 300.0)  # so that no weight becomes 0, and loses its coordinate
        some = free.any(axis=1)
        top = np.where(some, ratios.max(axis=1), 0.0)
        shares = np.exp(ratios - top[:, None])
        room = 1.0 - np.where(free, 0.0, self.weights).sum(axis=1)
        shares *= (room / np.where(some, shares.sum(axis=1), 1.0))[:, None]
        self.weights = np.where(free, shares, self.weights)
        self._set_coordinates(v[has.sum() :])

    def gradient(self, X: Floats, posteriors: Floats) -> Floats:
        """Gradient of sum_n sum_k posteriors[n, k] log p(x_n | z_n = k) in the coordinates, (p,)."""
        counts, *sums = self.statistics(X, posteriors)
        return np.concatenate([self._weight_slopes(counts), self._gaussian_gradient(Moments(*sums))])

    def prior_gradient(self) -> Floats:
        """Gradient of `log_prior` in the coordinates, (p,)."""
        return np.concatenate([self._weight_slopes(self._dirichlet()), self._gaussian_prior_gradient()])

    def _weight_slopes(self, counts: Floats) -> Floats:
        has, _ = self._references()
        free = self._free_weights()
        counts = np.where(free, counts, 0.0)
        shares = np.where(free, self.weights, 0.0)
        shares = shares / np.where(free.any(axis=1), shares.sum(axis=1), 1.0)[:, None]
        return np.asarray((counts - shares * counts.sum(axis=1, keepdims=True))[has])

    # ------------------------------------------------------------------------------------------------------ the laws

    def sample(self, states: Ints, rng: np.random.Generator) -> Floats:
        """Observations, (n_samples, n_features)."""
        states = np.asarray(states)
        last = self.n_mix - 1 - np.argmax(self.weights[:, ::-1] > 0, axis=1)
        reached = rng.random((len(states), 1)) >= np.cumsum(self.weights, axis=1)[states]
        component = np.minimum(reached.sum(axis=1), last[states])
        return draw(self._flat_means(), self._expanded(), states * self.n_mix + component, rng)

    def cdf(self, x: Floats, feature: int = 0) -> Floats:
        """P(X <= x | z = k) of one feature, for x (n, 1): shape (n, n_components)."""
        return self._mixed(self._normal_cdf(x, feature))

    def sf(self, x: Floats, feature: int = 0) -> Floats:
        """P(X > x | z = k), exact where the cdf is rounded to 1, shape (n, n_components)."""
        return self._mixed(self._normal_cdf(x, feature, upper=True))

    def _mixed(self, of_components: Floats) -> Floats:
        return np.asarray((of_components.reshape(-1, *self.weights.shape) * self.weights).sum(axis=2))

    def mean(self) -> Floats:
        """E(x | z = k), shape (n_components, n_features)."""
        return np.asarray(np.einsum("km,kmd->kd", self.weights, self.means))

    def cov(self) -> Floats:
        """Cov(x | z = k), shape (n_components, n_features, n_features)."""
        away = self.means - self.mean()[:, None]
        within = np.einsum("km,kmij->kij", self.weights, self.full_covariances)
        return np.asarray(within + np.einsum("km,kmi,kmj->kij", self.weights, away, away))

    def reorder(self, order: Ints) -> None:
        """State k becomes what was state order[k]."""
        order = np.asarray(order)
        for name in ("weights", "means", "covars"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[order]))
        self.fixed = reordered_masks(self.fixed, order)

    def to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Options and arrays from which `from_archive` makes the same emission."""
        return archived(self, _OPTIONS, _LEARNT)

    @classmethod
    def from_archive(cls, header: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return the emission that `to_archive` described."""
        return from_archived(cls, header, arrays, _LEARNT)


def _nested_clusters(outer: Clusters, n_states: int, n_mix: int, rng: np.random.Generator) -> Clusters:
    """Clusters of the cluster of each state, (n_states * n_mix) of them, state after state."""
    means, rows, labels = [], [], []
    for k in range(n_states):
        members = np.flatnonzero(outer.labels == k)
        inner = clusters(outer.rows[members] if members.size else outer.rows, n_mix, rng)
        means.append(inner.means)
        if members.size:
            rows.append(inner.rows)  # in an order of their own
            labels.append(k * n_mix + inner.labels)
    return Clusters(np.concatenate(means), np.concatenate(rows), np.concatenate(labels))
