"""The obvious twin of the filter for one series: the joint law of all observations, and generalised least squares."""

import numpy as np
import scipy.linalg

from statespace.lds.frames import make_frames
from statespace.lds.likelihood import log_likelihoods


def joint_law(system, n):
    """Mean (n,), covariance (n, n) and the design of the diffuse directions (n, k) of y_1..y_n."""
    at = lambda M, t: M[t if len(M) > 1 else 0]  # noqa: E731
    m = system.n_states
    mean, cov, loadings = system.initial_state, system.initial_state_cov, system.diffuse_loadings
    means, designs, powers, covs = [], [], [], []
    for t in range(n):
        Z = at(system.design, t)[0]
        means.append(at(system.obs_intercept, t)[0] + Z @ mean)
        designs.append(Z @ loadings)
        covs.append(cov)
        T, R, Q = (at(getattr(system, name), t) for name in ("transition", "selection", "state_cov"))
        powers.append(T)
        mean = at(system.state_intercept, t) + T @ mean
        cov, loadings = T @ cov @ T.T + R @ Q @ R.T, T @ loadings
    V = np.zeros((n, n))
    for t in range(n):
        carried = covs[t] @ at(system.design, t)[0]
        V[t, t] = at(system.design, t)[0] @ carried + at(system.obs_cov, t)[0, 0]
        for u in range(t + 1, n):
            carried = powers[u - 1] @ carried
            V[t, u] = V[u, t] = at(system.design, u)[0] @ carried
    assert m == len(carried if n > 1 else mean)
    return np.array(means), V, np.array(designs).reshape(n, -1)


def log_likelihood(system, y):
    """Exact diffuse log-likelihood in Durbin and Koopman's convention; NaN is missing."""
    mean, V, X = joint_law(system, len(y))
    seen = ~np.isnan(y)
    left, X = (y - mean)[seen], X[seen]
    V = V[np.ix_(seen, seen)]
    try:
        L = scipy.linalg.cholesky(V, lower=True)
    except np.linalg.LinAlgError:  # what lies along the diffuse directions makes no difference
        L = scipy.linalg.cholesky(V + X @ X.T, lower=True)
    left, X = scipy.linalg.solve_triangular(L, left, lower=True), scipy.linalg.solve_triangular(L, X, lower=True)
    value = -np.log(np.diag(L)).sum() - 0.5 * seen.sum() * np.log(2 * np.pi)
    if X.shape[1]:
        q, r = np.linalg.qr(X)
        value -= np.log(np.abs(np.diag(r))).sum()
        left = left - q @ (q.T @ left)
    return value - 0.5 * left @ left


def filtered_log_likelihood(system, y):
    """The same from the filter of the package."""
    return log_likelihoods(system, [make_frames(system, y[:, None])])[0]
