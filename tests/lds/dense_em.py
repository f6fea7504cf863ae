"""The obvious twin of the EM step: one big Gaussian of all states and observations, conditioned on what was seen."""

import numpy as np


def draw_matrices(rng, m, p, r=None):
    """Matrices of a well-behaved random system, without time axes."""
    r = m if r is None else r
    T = rng.standard_normal((m, m))
    T *= rng.uniform(0.3, 0.95) / np.abs(np.linalg.eigvals(T)).max()
    A, B, C = rng.standard_normal((p, p)), rng.standard_normal((r, r)), rng.standard_normal((m, m))
    return {
        "design": rng.standard_normal((p, m)),
        "obs_intercept": rng.standard_normal(p),
        "obs_cov": A @ A.T + 0.3 * np.eye(p),
        "transition": T,
        "state_intercept": rng.standard_normal(m),
        "selection": np.eye(m)[:, :r],
        "state_cov": B @ B.T + 0.3 * np.eye(r),
        "initial_state": rng.standard_normal(m),
        "initial_state_cov": C @ C.T + 0.3 * np.eye(m),
    }


def draw_data(rng, M, n, missing=0.2):
    """A sequence of the system, with entries and one whole row missing."""
    m, p = len(M["transition"]), len(M["design"])
    a = rng.multivariate_normal(M["initial_state"], M["initial_state_cov"])
    Y = np.empty((n, p))
    for t in range(n):
        Y[t] = M["obs_intercept"] + M["design"] @ a + rng.multivariate_normal(np.zeros(p), M["obs_cov"])
        w = M["selection"] @ rng.multivariate_normal(np.zeros(len(M["state_cov"])), M["state_cov"])
        a = M["state_intercept"] + M["transition"] @ a + w
    assert a.shape == (m,)
    Y[rng.random((n, p)) < missing] = np.nan
    if n > 3 and missing:
        Y[n // 2] = np.nan
    return Y


def joint_law(M, n):
    """Mean and covariance of (a_1..a_n, y_1..y_n)."""
    m, p = len(M["transition"]), len(M["design"])
    T, Z = M["transition"], M["design"]
    V = M["selection"] @ M["state_cov"] @ M["selection"].T
    mean, cov = np.zeros(n * (m + p)), np.zeros((n * (m + p), n * (m + p)))
    at = [slice(t * m, (t + 1) * m) for t in range(n)]
    mean[at[0]], cov[at[0], at[0]] = M["initial_state"], M["initial_state_cov"]
    for t in range(1, n):
        mean[at[t]] = M["state_intercept"] + T @ mean[at[t - 1]]
        before = slice(0, t * m)
        cov[at[t], before] = T @ cov[at[t - 1], before]
        cov[before, at[t]] = cov[at[t], before].T
        cov[at[t], at[t]] = T @ cov[at[t - 1], at[t - 1]] @ T.T + V
    states, seen = slice(0, n * m), slice(n * m, n * (m + p))
    big = np.kron(np.eye(n), Z)
    mean[seen] = big @ mean[states] + np.tile(M["obs_intercept"], n)
    cov[seen, states] = big @ cov[states, states]
    cov[states, seen] = cov[seen, states].T
    cov[seen, seen] = big @ cov[states, states] @ big.T + np.kron(np.eye(n), M["obs_cov"])
    return mean, cov


def log_likelihood(M, Y):
    mean, cov = joint_law(M, len(Y))
    y = Y.ravel()
    seen = np.flatnonzero(~np.isnan(y))
    start = len(mean) - len(y)
    v, F = y[seen] - mean[start + seen], cov[np.ix_(start + seen, start + seen)]
    return -0.5 * (len(seen) * np.log(2 * np.pi) + np.linalg.slogdet(F)[1] + v @ np.linalg.solve(F, v))


def moments(M, sequences, weights=None):
    """Sums of E[x x^T] that the textbook's maximisation step needs, for x = (a, 1), y and the next a."""
    m, p = len(M["transition"]), len(M["design"])
    sums = {"aa": np.zeros((m + 1, m + 1)), "ya": np.zeros((p, m + 1)), "yy": np.zeros((p, p)), "steps": 0.0}
    sums |= {"moved": np.zeros((m + 1, m + 1)), "next": np.zeros((m, m + 1)), "nn": np.zeros((m, m)), "moves": 0.0}
    sums |= {"first": np.zeros(m), "ff": np.zeros((m, m)), "sequences": 0.0}
    for s, Y in enumerate(sequences):
        n, w = len(Y), 1.0 if weights is None else weights[s]
        mean, cov = joint_law(M, n)
        y = Y.ravel()
        seen = n * m + np.flatnonzero(~np.isnan(y))
        gain = np.linalg.solve(cov[np.ix_(seen, seen)], cov[seen]).T
        mu = mean + gain @ (y[seen - n * m] - mean[seen])
        C = cov - gain @ cov[seen]
        second = C + np.outer(mu, mu)
        for t in range(n):
            a, o = slice(t * m, (t + 1) * m), slice(n * m + t * p, n * m + (t + 1) * p)
            aa = np.block([[second[a, a], mu[a, None]], [mu[None, a], np.ones((1, 1))]])
            sums["aa"] += w * aa
            sums["ya"] += w * np.column_stack([second[o, a], mu[o]])
            sums["yy"] += w * second[o, o]
            sums["steps"] += w
            if t + 1 < n:
                b = slice((t + 1) * m, (t + 2) * m)
                sums["moved"] += w * aa
                sums["next"] += w * np.column_stack([second[b, a], mu[b]])
                sums["nn"] += w * second[b, b]
                sums["moves"] += w
        sums["first"] += w * mu[:m]
        sums["ff"] += w * second[:m, :m]
        sums["sequences"] += w
    return sums


def em_step(M, sequences, weights=None):
    """Shumway and Stoffer's step for all matrices and both intercepts, selection = I; a new dict."""
    E = moments(M, sequences, weights)
    new = dict(M)
    Zd = np.linalg.solve(E["aa"], E["ya"].T).T
    new["design"], new["obs_intercept"] = Zd[:, :-1], Zd[:, -1]
    new["obs_cov"] = (E["yy"] - Zd @ E["ya"].T - E["ya"] @ Zd.T + Zd @ E["aa"] @ Zd.T) / E["steps"]
    Tc = np.linalg.solve(E["moved"], E["next"].T).T
    new["transition"], new["state_intercept"] = Tc[:, :-1], Tc[:, -1]
    new["state_cov"] = (E["nn"] - Tc @ E["next"].T - E["next"] @ Tc.T + Tc @ E["moved"] @ Tc.T) / E["moves"]
    new["initial_state"] = E["first"] / E["sequences"]
    new["initial_state_cov"] = E["ff"] / E["sequences"] - np.outer(new["initial_state"], new["initial_state"])
    return new
