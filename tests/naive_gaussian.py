"""Obvious twins of the Gaussian emissions: loops over rows, dense matrix algebra, formulas as they are printed."""

import math

import numpy as np


def log_density(x, mean, cov):
    """Log N(x; mean, cov) of the entries of x that are there; 0 where none is."""
    seen = ~np.isnan(x)
    if not seen.any():
        return 0.0
    away, block = (x - mean)[seen], cov[np.ix_(seen, seen)]
    sign, log_determinant = np.linalg.slogdet(block)
    assert sign > 0
    return -0.5 * (seen.sum() * math.log(2 * math.pi) + log_determinant + away @ np.linalg.solve(block, away))


def log_densities(X, means, covs):
    return np.array([[log_density(x, mean, cov) for mean, cov in zip(means, covs, strict=True)] for x in X])


def completed(x, mean, cov):
    """Conditional mean, and conditional covariance (0 where seen), of a row given what is seen of it."""
    u = np.isnan(x)
    o = ~u
    whole, left = np.where(u, mean, x), np.zeros_like(cov)
    if u.any():
        B = cov[np.ix_(u, o)] @ np.linalg.inv(cov[np.ix_(o, o)])
        whole[u] = mean[u] + B @ (x[o] - mean[o])
        left[np.ix_(u, u)] = cov[np.ix_(u, u)] - B @ cov[np.ix_(o, u)]
    return whole, left


def weighted_mean_and_covariance(X, w, mean, cov):
    """Mean and covariance of one Gaussian after an EM step from (mean, cov), and the weight of all rows."""
    rows = [completed(x, mean, cov) for x in X]
    new = sum(wn * whole for wn, (whole, _) in zip(w, rows, strict=True)) / w.sum()
    scatter = sum(wn * (np.outer(whole - new, whole - new) + left) for wn, (whole, left) in zip(w, rows, strict=True))
    return new, scatter / w.sum(), w.sum()


def m_step(X, posteriors, kind, means, covs):
    """Means, and covariances as stored, of one M-step without floor or prior; variances see what is there alone."""
    K, D = means.shape
    if kind in ("spherical", "diag"):
        new, variances, masses = np.empty((K, D)), np.empty((K, D)), np.empty((K, D))
        for k in range(K):
            for d in range(D):
                seen = ~np.isnan(X[:, d])
                w, x = posteriors[seen, k], X[seen, d]
                masses[k, d] = w.sum()
                new[k, d] = (w * x).sum() / w.sum()
                variances[k, d] = (w * (x - new[k, d]) ** 2).sum() / w.sum()
        return new, variances if kind == "diag" else (masses * variances).sum(axis=1) / masses.sum(axis=1)
    found = [weighted_mean_and_covariance(X, posteriors[:, k], means[k], covs[k]) for k in range(K)]
    new, full = np.array([mean for mean, _, _ in found]), np.array([cov for _, cov, _ in found])
    if kind == "full":
        return new, full
    masses = np.array([mass for _, _, mass in found])
    return new, np.einsum("k,kij->ij", masses, full) / masses.sum()


def expected_log_likelihood(X, posteriors, means, covs):
    return float((posteriors * log_densities(X, means, covs)).sum())


def mixture_log_densities(X, weights, means, covs):
    """Log sum_m weights[k, m] N(x; means[k, m], covs[k, m]), (n, K)."""
    with np.errstate(divide="ignore"):
        return np.stack(
            [
                np.logaddexp.reduce(log_densities(X, means[k], covs[k]) + np.log(weights[k]), axis=1)
                for k in range(len(means))
            ],
            axis=1,
        )
