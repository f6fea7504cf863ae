"""The obvious twin of the recursions: every path of states, in 50 digits.

Log-likelihoods are (T, K), transition matrices (K, K) or (T - 1, K, K). The joint law of the states and the data is one
table with an axis for each step, of mpmath's numbers; all else is sums over it.
"""

import itertools

import mpmath
import numpy as np

_DIGITS = 50


def _exact(values):
    values = np.asarray(values, dtype=float)
    made = np.empty(values.shape, dtype=object)
    for place, value in np.ndenumerate(values):
        made[place] = mpmath.mpf(float(value))
    return made


def _exp(values):
    values = np.asarray(values, dtype=float)
    made = np.empty(values.shape, dtype=object)
    for place, value in np.ndenumerate(values):
        made[place] = mpmath.exp(mpmath.mpf(float(value)))
    return made


def step_matrix(transmat, t):
    """What leads t to t + 1."""
    return transmat[t] if np.ndim(transmat) == 3 else transmat


def joints(startprob, transmat, log_likelihood):
    """p(z_1..z_t, x_1..x_{t-1}) and p(z_1..z_t, x_1..x_t), axes z_1..z_t, for t = 1..T."""
    with mpmath.workdps(_DIGITS):
        before, after = [], []
        joint = _exact(startprob)
        for t, row in enumerate(log_likelihood):
            if t:
                joint = joint[..., None] * _exact(step_matrix(transmat, t - 1))
            before.append(joint)
            joint = joint * _exp(row)
            after.append(joint)
        return before, after


def joint_law(startprob, transmat, log_likelihood):
    """p(z_1..z_T, x_1..x_T), axes z_1..z_T."""
    return joints(startprob, transmat, log_likelihood)[1][-1]


def marginal(joint, axes):
    """Sum over all axes but these."""
    with mpmath.workdps(_DIGITS):
        others = tuple(axis for axis in range(joint.ndim) if axis not in axes)
        return joint.sum(axis=others) if others else joint


def ratio(table, total):
    """A table over a number, as floats; NaN over 0."""
    with mpmath.workdps(_DIGITS):
        values = [float(value / total) if total else np.nan for value in np.ravel(table)]
        return np.array(values).reshape(np.shape(table))


def log(value):
    with mpmath.workdps(_DIGITS):
        return float(mpmath.log(value)) if value else -np.inf


def log_likelihood(startprob, transmat, table):
    return log(joint_law(startprob, transmat, table).sum())


def filtered_states(startprob, transmat, table):
    """Filtered, predicted, and the log-likelihood of each step."""
    before, after = joints(startprob, transmat, table)
    filtered, predicted, steps = [], [], []
    total = mpmath.mpf(1)
    for t in range(len(table)):
        with mpmath.workdps(_DIGITS):
            now = after[t].sum()
            predicted.append(ratio(marginal(before[t], (t,)), total))
            filtered.append(ratio(marginal(after[t], (t,)), now))
            steps.append(log(now / total) if total else np.nan)
            total = now
    return np.array(filtered), np.array(predicted), np.array(steps)


def smoothed_states(startprob, transmat, table):
    """gamma (T, K) and the sum of xi (K, K)."""
    joint = joint_law(startprob, transmat, table)
    total, T, K = joint.sum(), len(table), len(startprob)
    gamma = np.array([ratio(marginal(joint, (t,)), total) for t in range(T)])
    xi = sum((ratio(marginal(joint, (t, t + 1)), total) for t in range(T - 1)), np.zeros((K, K)))
    return gamma, xi


def best_path(startprob, transmat, table):
    """A most likely path, its joint log-probability, and that of the best path that differs from it."""
    joint = joint_law(startprob, transmat, table)
    order = sorted(itertools.product(*map(range, joint.shape)), key=lambda path: -joint[path])
    second = log(joint[order[1]]) if len(order) > 1 else -np.inf
    return order[0], log(joint[order[0]]), second


def log_joint(startprob, transmat, table, path):
    return log(joint_law(startprob, transmat, table)[tuple(path)])


def path_law(startprob, transmat, table):
    """p(z_1..z_T | x_1..x_T), axes z_1..z_T."""
    joint = joint_law(startprob, transmat, table)
    return ratio(joint, joint.sum())


def later_likelihoods(transmat, table):
    """log p(x_{t+1}..x_T | z_t = i), shape (T, K)."""
    T, K = np.shape(table)
    made = np.zeros((T, K))
    for t in range(T - 1):
        rest = table[t:].copy()
        rest[0] = 0.0
        for i in range(K):
            here = np.eye(K)[i]
            A = transmat[t:] if np.ndim(transmat) == 3 else transmat
            made[t, i] = log_likelihood(here, A, rest)
    return made


def forward_backward(startprob, transmat, table):
    """Log-likelihood, gamma (T, K) and the sum of xi (K, K) by the two recursions as they stand in books, unscaled.

    For sequences with too many paths to list.
    """
    with mpmath.workdps(_DIGITS):
        T, K = np.shape(table)
        A, e = [_exact(step_matrix(transmat, t)) for t in range(T - 1)], [_exp(row) for row in table]
        alpha, beta = [_exact(startprob) * e[0]], [_exact(np.ones(K))]
        for t in range(1, T):
            alpha.append((alpha[-1] @ A[t - 1]) * e[t])
            beta.insert(0, A[T - 1 - t] @ (e[T - t] * beta[0]))
        total = alpha[-1].sum()
        gamma = np.array([ratio(a * b, total) for a, b in zip(alpha, beta, strict=True)])
        xi = np.zeros((K, K))
        for t in range(T - 1):
            xi += ratio(alpha[t][:, None] * A[t] * (e[t + 1] * beta[t + 1]), total)
        return log(total), gamma, xi
