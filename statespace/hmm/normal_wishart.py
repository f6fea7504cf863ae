r"""Gaussians that are not known but believed: normal-Wishart distributions of means and precisions.

    mu_k | Lambda_k ~ N(m_k, (beta_k Lambda_k)^{-1})        Lambda_k ~ Wishart(nu_k, S_k^{-1})

so that beta_k and nu_k count observations, E Lambda_k = nu_k S_k^{-1}, and S_k / nu_k is the covariance that stands for
the state. The four kinds of covariance are models of their own:

| kind | precision | shape of S | shape of nu |
|---|---|---|---|
| full | Lambda_k | (K, n_features, n_features) | (K,) |
| tied | one Lambda for all states | (1, n_features, n_features) | (1,) |
| diag | lambda_kd ~ Gamma(nu_k / 2, S_kd / 2) | (K, n_features) | (K,) |
| spherical | lambda_k ~ Gamma(D nu_k / 2, D S_k / 2) | (K,) | (K,) |

The gammas are written so that nu counts rows of D features, and S / nu is a variance, for every kind.

References
----------
Bishop (2006), sections 10.2 and B; Gruhl and Sick (2016), Variational Bayesian inference for hidden Markov models with
multivariate Gaussian output distributions.

"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.foundations.linalg import cholesky_factors, solve_spd
from statespace.hmm.emissions.gaussian_covariances import checked_covariances, expand, is_diagonal
from statespace.protocols import Floats


class NormalWishart(NamedTuple):
    """The distributions of K means and their precisions."""

    means: Floats
    """m, shape (K, n_features)."""
    beta: Floats
    """Shape (K,)."""
    dof: Floats
    """nu, shape (K,), or (1,) if tied."""
    scale: Floats
    """S; see above."""


class RowMoments(NamedTuple):
    """Weighted sums over rows, with deviations d from the present means m."""

    mass: Floats
    """sum_n gamma_n(k), shape (K,)."""
    first: Floats
    """sum_n gamma_n(k) E d_n, shape (K, n_features)."""
    second: Floats
    """sum_n gamma_n(k) E d_n d_n^T, shape (K, n_features, n_features), or its diagonal (K, n_features)."""


def covariances(law: NormalWishart) -> Floats:
    """The inverse of the expected precision, S / nu, in the shape of `scale`."""
    found: Floats = law.scale / law.dof.reshape(-1, *(1,) * (law.scale.ndim - 1))
    return found


def log_density_gap(law: NormalWishart, kind: str) -> Floats:
    """E log N(x; mu_k, Lambda_k^{-1}) - log N(x; m_k, S_k / nu_k), the same for every x, shape (K,)."""
    D = law.means.shape[1]
    return np.asarray(0.5 * (_log_determinant_gap(law.dof, kind, D) - D / law.beta))


def after(
    prior: NormalWishart, present: NormalWishart, kind: str, moments: RowMoments, means: bool, precisions: bool
) -> NormalWishart:
    """The best distributions given expected moments; `means` or `precisions` that are not learnt stay at present."""
    mass, first, second = moments
    m, beta, dof, scale = present
    shift = np.zeros_like(m)
    if means:
        beta = prior.beta + mass
        shift = (first + prior.beta[:, None] * (prior.means - m)) / beta[:, None]
        m = m + shift
    if precisions:
        away = m - prior.means
        if is_diagonal(kind):
            scatter = np.maximum(second - 2 * shift * first + mass[:, None] * shift**2, 0.0)
            scatter += prior.beta[:, None] * away**2
            scale = prior.scale + (scatter.mean(axis=1) if kind == "spherical" else scatter)
        else:
            cross = shift[:, :, None] * first[:, None, :]
            scatter = second - cross - cross.transpose(0, 2, 1) + mass[:, None, None] * _outer(shift)
            scatter = scatter + prior.beta[:, None, None] * _outer(away)
            scale = prior.scale + (scatter.sum(axis=0, keepdims=True) if kind == "tied" else scatter)
        dof = prior.dof + (mass.sum(keepdims=True) if kind == "tied" else mass)
    return NormalWishart(m, beta, dof, scale)


def divergence(q: NormalWishart, p: NormalWishart, kind: str) -> float:
    """KL(q || p), summed over the states, in nats."""
    K, D = q.means.shape
    away = q.means - p.means
    ratio = p.beta / q.beta
    expanded = expand(covariances(q), kind, K, D)
    if is_diagonal(kind):
        distances = (away**2 / expanded).sum(axis=1)
    else:
        distances = np.einsum("kd,kd->k", away, solve_spd(cholesky_factors(expanded), away[:, :, None])[:, :, 0])
    of_means = 0.5 * (D * (ratio - 1 - np.log(ratio)) + p.beta * distances)
    if is_diagonal(kind):
        of_precisions = _kl_gamma(_gamma_shapes(q, kind), q.scale, _gamma_shapes(p, kind), p.scale)
    else:
        of_precisions = _kl_wishart(q.dof, q.scale, p.dof, p.scale)
    return float(of_means.sum() + of_precisions.sum())


def _gamma_shapes(law: NormalWishart, kind: str) -> Floats:
    """Shape parameters of the gammas of single precisions, (K,) or (K, 1)."""
    return law.dof * (law.means.shape[1] / 2) if kind == "spherical" else law.dof[:, None] / 2


def _kl_gamma(shape_q: Floats, rate_q: Floats, shape_p: Floats, rate_p: Floats) -> Floats:
    """KL of gamma distributions; of the rates only their ratio matters."""
    from scipy.special import digamma, gammaln

    return np.asarray(
        (shape_q - shape_p) * digamma(shape_q)
        - gammaln(shape_q)
        + gammaln(shape_p)
        + shape_p * np.log(rate_q / rate_p)
        + shape_q * (rate_p / rate_q - 1)
    )


def _kl_wishart(dof_q: Floats, scale_q: Floats, dof_p: Floats, scale_p: Floats) -> Floats:
    """KL of Wishart distributions with inverse scales (n, D, D)."""
    from scipy.special import digamma, multigammaln

    D = scale_q.shape[-1]
    roots_q, roots_p = cholesky_factors(scale_q), cholesky_factors(scale_p)
    log_ratio = 2 * np.log(np.einsum("nii->ni", roots_q) / np.einsum("nii->ni", roots_p)).sum(axis=1)
    trace = np.einsum("nii->n", solve_spd(roots_q, scale_p))
    of_dofs = digamma((dof_q[:, None] - np.arange(D)) / 2).sum(axis=1)
    return np.asarray(
        0.5 * ((dof_q - dof_p) * of_dofs + dof_p * log_ratio + dof_q * (trace - D))
        + multigammaln(dof_p / 2, D)
        - multigammaln(dof_q / 2, D)
    )


def _outer(rows: Floats) -> Floats:
    return rows[:, :, None] * rows[:, None, :]


def _log_determinant_gap(dof: Floats, kind: str, D: int) -> Floats:
    """E log |Lambda| - log |E Lambda|, shape of `dof`."""
    from scipy.special import digamma

    if is_diagonal(kind):
        shape = dof * (D if kind == "spherical" else 1) / 2
        return np.asarray(D * (digamma(shape) - np.log(shape)))
    return np.asarray(digamma((dof[:, None] - np.arange(D)) / 2).sum(axis=1) - D * np.log(dof / 2))


def check_normal_wishart(law: NormalWishart, kind: str, part: str) -> None:
    """Refuse parameters, of the right shapes, that are no distribution."""
    D = law.means.shape[1]
    least = 0 if is_diagonal(kind) else D - 1
    if not np.isfinite(law.means).all():
        raise ValueError(f"means_{part}_ must be finite, found {law.means[~np.isfinite(law.means)][0]}")
    for name, values, above in (("beta", law.beta, 0), ("dof", law.dof, least)):
        wrong = ~(np.isfinite(values) & (values > above))
        if wrong.any():
            more = " (n_features - 1)" if above else ""
            raise ValueError(f"{name}_{part}_ is {values[wrong][0]:g}, expected a finite number above {above}{more}")
    try:
        checked_covariances(law.scale, "full" if kind == "tied" else kind, law.scale.shape)
    except ValueError as error:
        raise ValueError(f"scale_{part}_: {error}") from None
