r"""Backward recursion: what comes later says of the state, and all that Baum-Welch needs.

    beta_t(i) = sum_j A_ij w_{t+1}(j)        w_t(j) = e_t(j) beta_t(j) / g_t        g_t = sum_i alpha_t(i) beta_t(i)
    gamma_t(i) = alpha_t(i) beta_t(i) / g_t        xi_t(i, j) = alpha_t(i) A_ij w_{t+1}(j) / g_t

with beta_T = 1. Dividing by g makes the next one c_t of the forward pass, so that nothing grows or vanishes however
long the sequence, and makes each row of gamma sum to 1 by itself.

beta is set to 0 where alpha is 0. Whatever the backward pass then loses lies on paths of posterior probability below
1e-58, as no alpha that matters is below 1e-250.

Where A is constant, alpha_t(i) w_{t+1}(j) / g_t is summed over t, four steps at a time, and multiplied by A_ij once.

Bishop (2006), Pattern Recognition and Machine Learning, section 13.2.4.
"""

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.hmm.forward_pass import forward_pass, times_matrix
from statespace.protocols import Floats, Ints


@kernel
def transpose(A: Floats, first: int, out: Floats) -> None:
    """`out` (K, K) is the transpose of the matrix whose rows begin at A[first]."""
    K = A.shape[1]
    for i in range(K):
        for j in range(K):
            out[j, i] = A[first + i, j]


@kernel
def add_products(x: Floats, y: Floats, out: Floats) -> None:
    """out_ij += sum_s x_si y_sj over the four rows of x and y."""
    K = x.shape[1]
    y0, y1, y2, y3 = y[0], y[1], y[2], y[3]
    for i in range(K):
        x0, x1, x2, x3 = x[0, i], x[1, i], x[2, i], x[3, i]
        o = out[i]
        for j in range(K):
            o[j] += (x0 * y0[j] + x1 * y1[j]) + (x2 * y2[j] + x3 * y3[j])


@kernel
def backward_pass(
    A: Floats,
    stride: int,
    E: Floats,
    rows: Ints,
    begin: int,
    end: int,
    weight: float,
    alpha: Floats,
    first: int,
    start: Floats,
    transitions: Floats,
    by_row: Floats,
) -> None:
    """Turn alpha into weight * gamma, in place, and add up what Baum-Welch needs.

    Parameters
    ----------
    A, stride, E, rows, begin, end, alpha, first
        As in `forward_pass`, which has filled alpha; E has a row for each row of the table.
    weight : float
        Of this sequence.
    start : (n_components,)
        weight * gamma of the first step is added.
    transitions : (n_components, n_components) or (0, 0)
        weight * sum_t xi_t is added, without the factor A where A is constant.
    by_row : (n_rows, n_components) or (0, n_components)
        weight * gamma of each step is added to the step's row.

    """
    K = A.shape[1]
    AT = np.empty((K, K))
    if stride == 0:
        transpose(A, 0, AT)
    beta = np.ones((1, K))
    w = np.empty((1, K))
    # Four steps' alpha / g and w
    x, y = np.zeros((4, K)), np.zeros((4, K))
    slot = 0
    for t in range(end - begin - 1, -1, -1):
        a, b = alpha[first + t], beta[0]
        if t < end - begin - 1:
            if stride:
                transpose(A, (begin + t) * stride, AT)
            times_matrix(w, 0, AT, 0, beta, 0)
        g = 0.0
        for i in range(K):
            if a[i] == 0.0:
                b[i] = 0.0
            g += a[i] * b[i]
        inverse = 1.0 / g

        # Transitions from t to t + 1
        if transitions.size and t < end - begin - 1:
            if stride:
                for i in range(K):
                    f = weight * inverse * a[i]
                    for j in range(K):
                        transitions[i, j] += f * A[(begin + t) * stride + i, j] * w[0, j]
            else:
                f = weight * inverse
                for i in range(K):
                    x[slot, i] = f * a[i]
                    y[slot, i] = w[0, i]
                slot += 1
                if slot == 4:
                    add_products(x, y, transitions)
                    slot = 0

        # Posterior, and w for the step before
        r = rows[begin + t] if rows.size else begin + t
        e = E[r]
        for i in range(K):
            b[i] *= inverse
            a[i] = weight * (a[i] * b[i])
            w[0, i] = e[i] * b[i]
        if by_row.shape[0]:
            for i in range(K):
                by_row[r, i] += a[i]
    if slot:
        for s in range(slot, 4):
            for i in range(K):
                x[s, i] = 0.0
        add_products(x, y, transitions)
    for i in range(K):
        start[i] += alpha[first, i]


@kernel
def smooth_sequences(
    startprob: Floats,
    A: Floats,
    stride: int,
    kind: int,
    table: Floats,
    E: Floats,
    shift: Floats,
    rows: Ints,
    offsets: Ints,
    weights: Floats,
    alpha: Floats,
    start: Floats,
    transitions: Floats,
    by_row: Floats,
    totals: Floats,
) -> None:
    """Forward and backward over every sequence; its total is NaN, and nothing of it added, where that may be wrong.

    alpha (n_samples, n_components) becomes weight * gamma; or it is a buffer for the longest sequence where `by_row`
    takes the posteriors. What else is asked for is as in `backward_pass`.
    """
    predicted, steps = np.empty((1, A.shape[1])), np.empty(0)
    for s in range(totals.size):
        begin, end = offsets[s], offsets[s + 1]
        first = 0 if by_row.shape[0] else begin
        totals[s] = forward_pass(
            startprob, A, stride, kind, table, E, shift, rows, begin, end, alpha, first, predicted, steps
        )
        if totals[s] == totals[s]:
            backward_pass(A, stride, E, rows, begin, end, weights[s], alpha, first, start, transitions, by_row)
