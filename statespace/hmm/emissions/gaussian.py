r"""Real vectors: p(x_n | z_n = k) = N(x_n; mu_k, Sigma_k).

The M-step, with N_k = \sum_n gamma_n(k), is the weighted mean and the weighted covariance

    mu_k = \sum_n gamma_n(k) x_n / N_k        S_k = \sum_n gamma_n(k) (x_n - mu_k) (x_n - mu_k)^T / N_k

of which each kind of covariance takes its part, subject to a floor: no variance, in no direction, is smaller than that
of the floor, a diagonal matrix F. The maximiser under that constraint has, in the metric of F, the eigenvalues of S_k
raised to 1 where they are smaller.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.observations import Observations, read_observations
from statespace.foundations.validation import check_choice
from statespace.hmm.emissions.emission import ByValue, known_arrays
from statespace.hmm.emissions.start_values import cluster_means
from statespace.protocols import Array, Floats, Ints

COVARIANCE_TYPES = ("spherical", "diag", "full", "tied")
_FLOOR = 1e-6  # of each feature's variance: far below what data can tell, far above rounding


@kernel
def diagonal_log_densities(X: Floats, means: Floats, precisions: Floats, constants: Floats, out: Floats) -> None:
    """out[n, k] = constants[k] - sum_d precisions[d, k] (X[n, d] - means[d, k])^2 / 2.

    X (n_samples, n_features); means, precisions (n_features, n_components); constants (n_components,).
    """
    n_samples, n_features = X.shape
    K = constants.shape[0]
    for n in range(n_samples):
        for k in range(K):
            out[n, k] = constants[k]
        for d in range(n_features):
            x = X[n, d]
            for k in range(K):
                z = x - means[d, k]
                out[n, k] -= 0.5 * precisions[d, k] * z * z


@kernel
def diagonal_moments(X: Floats, posteriors: Floats, means: Floats, first: Floats, second: Floats) -> None:
    """Add sum_n posteriors[n, k] (X[n, d] - means[d, k])^p to first (p = 1) and second (p = 2).

    X (n_samples, n_features); posteriors (n_samples, n_components); the others (n_features, n_components).
    """
    n_samples, n_features = X.shape
    K = posteriors.shape[1]
    for n in range(n_samples):
        for d in range(n_features):
            x = X[n, d]
            for k in range(K):
                z = x - means[d, k]
                g = posteriors[n, k] * z
                first[d, k] += g
                second[d, k] += g * z


class GaussianEmission(ByValue):
    """Gaussian vectors with a mean and a covariance in each state.

    Parameters
    ----------
    covariance_type : {"diag", "spherical", "full", "tied"}
        One variance a feature; one a state; a whole matrix a state; one matrix for all states.
    min_covar : float, optional
        The smallest variance in any direction; None: 1e-6 of each feature's variance in the data of the fit.

    Attributes
    ----------
    means : (n_components, n_features)
        May be set by hand, as a start or to be used as they are; so may `covars`.
    covars : array
        Shape (n_components,) if spherical, (n_components, n_features) if diag, (n_components, n_features, n_features)
        if full, (n_features, n_features) if tied.

    """

    support = "reals"

    def __init__(self, covariance_type: str = "diag", min_covar: float | None = None) -> None:
        self.covariance_type = covariance_type
        self.min_covar = min_covar
        self.means: Any = None
        self.covars: Any = None
        self._floor: Floats | None = None

    def __repr__(self) -> str:
        shape = "" if self.means is None else f", {'x'.join(map(str, np.shape(self.means)))}"
        return f"<GaussianEmission {self.covariance_type}{shape}>"

    @property
    def n_components(self) -> int:
        """How many states have a mean."""
        return len(self.means)

    @property
    def n_parameters(self) -> int:
        """Means, and variances and covariances."""
        K, D = self.means.shape
        covariances = {"spherical": K, "diag": K * D, "full": K * D * (D + 1) // 2, "tied": D * (D + 1) // 2}
        return int(K * D + covariances[self.covariance_type])

    def read(self, X: Any, lengths: Any) -> Observations:
        """Rows (n_samples, n_features), as many features as the means have."""
        return read_observations(X, lengths, n_features=None if self.means is None else np.shape(self.means)[1])

    def initialize(self, X: Floats, n_components: int, rng: np.random.Generator, weights: Floats | None = None) -> None:
        """Means of clusters, and for each state the variance of the data around the nearest of them."""
        check_choice("covariance_type", self.covariance_type, COVARIANCE_TYPES)
        if weights is not None:
            X = X[weights > 0]
        D = X.shape[1]
        if self.min_covar is None:
            variance = X.var(axis=0)
            size = np.square(X).mean(axis=0)  # a constant feature has no variance but a scale
            variance = np.where(variance > 1e-20 * size, variance, 1e-6 * size)
            self._floor = _FLOOR * np.where(variance > 0, variance, 1.0)
        if self.means is None:
            self.means = cluster_means(X, n_components, rng)
        if self.covars is not None:
            self.check(n_components)
            if self._floor is not None:  # a start below the floor lowers it, or the first step would fall
                root = np.sqrt(self._floor)
                smallest = np.linalg.eigvalsh(self.full_covariances / np.outer(root, root)).min()
                self._floor = self._floor * min(1.0, float(smallest))
        else:
            sample = X[:: -(-len(X) // 20_000)]
            means = np.asarray(self.means, np.float64)
            nearest = ((sample[:, None] - means) ** 2 / (X.var(axis=0) + self._floors(D))).sum(axis=2).argmin(axis=1)
            around = np.square(sample - means[nearest]).mean(axis=0)
            around = np.maximum(around, self._floors(D))
            self.covars = {
                "spherical": np.full(n_components, around.mean()),
                "diag": np.tile(around, (n_components, 1)),
                "full": np.tile(np.diag(around), (n_components, 1, 1)),
                "tied": np.diag(around),
            }[self.covariance_type]

    def _floors(self, n_features: int) -> Floats:
        """The smallest variance of each feature, (n_features,)."""
        if self.min_covar is not None:
            return np.full(n_features, float(self.min_covar))
        return np.zeros(n_features) if self._floor is None else self._floor

    def check(self, n_components: int) -> None:
        """Refuse means and covariances that do not fit together, or are none."""
        check_choice("covariance_type", self.covariance_type, COVARIANCE_TYPES)
        means = np.ascontiguousarray(self.means, dtype=np.float64)
        if means.ndim != 2 or len(means) != n_components:
            raise ValueError(
                f"means has shape {means.shape}, expected (n_components, n_features) with n_components = {n_components}"
            )
        D = means.shape[1]
        shape = {
            "spherical": (n_components,),
            "diag": (n_components, D),
            "full": (n_components, D, D),
            "tied": (D, D),
        }[self.covariance_type]
        covars = np.ascontiguousarray(self.covars, dtype=np.float64)
        if covars.shape != shape:
            raise ValueError(f"'{self.covariance_type}' covars must have shape {shape}, got {covars.shape}")
        if not (np.isfinite(means).all() and np.isfinite(covars).all()):
            raise ValueError("means and covars must be finite")
        if self.covariance_type in ("spherical", "diag"):
            if (covars <= 0).any():
                raise ValueError(f"'{self.covariance_type}' covars must be positive, found {covars.min():g}")
        else:
            for k, matrix in enumerate(covars.reshape(-1, D, D)):
                if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=0.0):
                    raise ValueError(f"covars[{k}] must be symmetric")
                try:
                    np.linalg.cholesky(matrix)
                except np.linalg.LinAlgError:
                    raise ValueError(f"covars[{k}] must be positive-definite") from None
        self.means, self.covars = means, covars

    @property
    def full_covariances(self) -> Floats:
        """Covariances as matrices, (n_components, n_features, n_features), whatever their type."""
        K, D = self.means.shape
        if self.covariance_type == "spherical":
            return np.asarray(self.covars)[:, None, None] * np.eye(D)
        if self.covariance_type == "diag":
            return np.asarray(self.covars)[:, :, None] * np.eye(D)
        return np.broadcast_to(self.covars, (K, D, D)).copy()

    def log_likelihood(self, X: Floats) -> Floats:
        """Log N(x_n; mu_k, Sigma_k), shape (n_samples, n_components)."""
        K, D = self.means.shape
        out = np.empty((len(X), K))
        constant = -0.5 * D * math.log(2 * math.pi)
        if self.covariance_type in ("spherical", "diag"):
            variances = np.ascontiguousarray(np.broadcast_to(np.reshape(self.covars, (K, -1)), (K, D)))
            constants = constant - 0.5 * np.log(variances).sum(axis=1)
            rows = X if X.flags.writeable else X.copy()
            diagonal_log_densities(rows, self.means.T.copy(), (1.0 / variances).T.copy(), constants, out)
            return out
        from scipy.linalg import solve_triangular

        roots = np.linalg.cholesky(self.covars)
        for k in range(K):
            root = roots if roots.ndim == 2 else roots[k]
            scaled = solve_triangular(root, (X - self.means[k]).T, lower=True, check_finite=False)
            out[:, k] = constant - np.log(np.diag(root)).sum() - 0.5 * np.einsum("dn,dn->n", scaled, scaled)
        return out

    def statistics(self, X: Floats, posteriors: Floats) -> tuple[Floats, ...]:
        """Mass (n_components,), and first and second moments around the present means, to be added over pieces."""
        K, D = self.means.shape
        mass = posteriors.sum(axis=0)
        if self.covariance_type in ("spherical", "diag"):
            first, second = np.zeros((D, K)), np.zeros((D, K))
            rows = X if X.flags.writeable else X.copy()
            diagonal_moments(rows, np.ascontiguousarray(posteriors), self.means.T.copy(), first, second)
            return mass, first.T.copy(), second.T.copy()
        first, second = np.empty((K, D)), np.empty((K, D, D))
        for k in range(K):
            away = X - self.means[k]
            weighted = posteriors[:, k, None] * away
            first[k], second[k] = weighted.sum(axis=0), weighted.T @ away
        return mass, first, second

    def maximize(self, statistics: tuple[Floats, ...]) -> None:
        """Set means and covariances to the moments; a state without mass keeps its own."""
        mass, first, second = statistics
        seen = mass > 0
        share = np.where(seen, mass, 1.0)
        move = np.where(seen[:, None], first / share[:, None], 0.0)
        means, floor = self.means + move, self._floors(self.means.shape[1])
        if self.covariance_type in ("spherical", "diag"):
            spread = np.maximum(second / share[:, None] - move**2, 0.0)
            if self.covariance_type == "spherical":
                covars = np.maximum(spread.mean(axis=1), floor.mean())
            else:
                covars = np.maximum(spread, floor)
            covars = np.where(seen.reshape(-1, *[1] * (covars.ndim - 1)), covars, self.covars)
        elif self.covariance_type == "full":
            covars = np.array(self.covars)
            for k in np.flatnonzero(seen):
                covars[k] = raised(second[k] / mass[k] - np.outer(move[k], move[k]), floor)
        else:
            total = (second - mass[:, None, None] * move[:, :, None] * move[:, None, :]).sum(axis=0)
            covars = raised(total / mass.sum(), floor) if mass.sum() > 0 else self.covars
        if (covars > 0).any(axis=None) and self._are_covariances(covars):
            self.means, self.covars = means, covars

    def _are_covariances(self, covars: Floats) -> bool:
        """Whether they have densities: without a floor, a state of one observation would have none."""
        if self.covariance_type in ("spherical", "diag"):
            return bool((covars > 0).all())
        try:
            np.linalg.cholesky(covars)
        except np.linalg.LinAlgError:
            return False
        return True

    def m_step(self, X: Floats, posteriors: Floats) -> None:
        """Set the means and covariances that maximise the expected log-likelihood."""
        self.maximize(self.statistics(X, posteriors))

    def sample(self, states: Ints, rng: np.random.Generator) -> Floats:
        """Observations, (n_samples, n_features)."""
        roots = np.linalg.cholesky(self.full_covariances)
        draws = rng.standard_normal((len(states), self.means.shape[1]))
        return np.asarray(self.means[states] + np.einsum("nij,nj->ni", roots[states], draws))

    def cdf(self, x: Floats) -> Floats:
        """P(X <= x | z = k) of one feature, shape (n, n_components)."""
        from scipy.special import ndtr

        if self.means.shape[1] != 1:
            raise ValueError(f"cdf is for one feature; this emission has {self.means.shape[1]}")
        deviations = np.sqrt(self.full_covariances[:, 0, 0])
        return np.asarray(ndtr((np.asarray(x)[:, None] - self.means[:, 0]) / deviations))

    def mean(self) -> Floats:
        """E(x | z = k), shape (n_components, n_features)."""
        return np.array(self.means)

    def cov(self) -> Floats:
        """Cov(x | z = k), shape (n_components, n_features, n_features)."""
        return self.full_covariances

    def reorder(self, order: Ints) -> None:
        """State k becomes what was state order[k]."""
        self.means = np.ascontiguousarray(self.means[order])
        if self.covariance_type != "tied":
            self.covars = np.ascontiguousarray(self.covars[order])

    def to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Options and arrays from which `from_archive` makes the same emission."""
        return {"covariance_type": self.covariance_type, "min_covar": self.min_covar}, known_arrays(
            self, "means", "covars"
        )

    @classmethod
    def from_archive(cls, header: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return the emission that `to_archive` described."""
        made = cls(**header)
        made.means = arrays.get("means")
        made.covars = arrays.get("covars")
        return made


def raised(S: Floats, floor: Floats) -> Floats:
    """The covariance closest in likelihood to the moments `S` that is nowhere below diag(floor).

    That is F^(1/2) U max(d, 1) U^T F^(1/2), where F^(-1/2) S F^(-1/2) = U d U^T.
    """
    S = 0.5 * (S + S.T)
    if not (floor > 0).all():
        return S
    root = np.sqrt(floor)
    values, vectors = np.linalg.eigh(S / np.outer(root, root))
    if values[0] >= 1.0:
        return S
    lifted = (vectors * np.maximum(values, 1.0)) @ vectors.T * np.outer(root, root)
    return np.asarray(0.5 * (lifted + lifted.T))
