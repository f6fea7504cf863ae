r"""The same recursions in numbers that neither underflow nor lose digits, for the few sequences that need them.

A number is a pair (m, e) that means m 2^e, with m in [1/2, 1) and a whole number e held as a float; 0 is (0, -inf).
exp(x) is taken apart as 2^n exp(x - n log 2), so that the digits of x are kept whatever its size; sums bring their
terms to the largest exponent. States may thus lie millions of nats apart: no state that is possible is ever taken for
impossible, and each probability has the relative accuracy of a float. That costs some five times the scaled recursions.
"""

import math

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats, Ints

_LOG2 = math.log(2.0)
_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # exact times any n below 2^20


@kernel
def split_exp(x: float, m: Floats, e: Floats, j: int) -> None:
    """Write exp(x) to m[j] and e[j], with m in [0.7, 1.5)."""
    if x == -math.inf:
        m[j], e[j] = 0.0, -math.inf
        return
    n = math.floor(x / _LOG2 + 0.5)
    remainder = (x - n * _LOG2_HIGH) - n * _LOG2_LOW
    m[j] = math.exp(remainder) if abs(n) < 2.0**50 else 1.0  # beyond, x itself is no better known
    e[j] = n


@kernel
def split(x: float, m: Floats, e: Floats, j: int) -> None:
    """Write x >= 0 to m[j] and e[j]."""
    if x > 0.0:
        fraction, exponent = math.frexp(x)
        m[j], e[j] = fraction, float(exponent)
    else:
        m[j], e[j] = 0.0, -math.inf


@kernel
def joined(m: float, e: float) -> float:
    """M 2^e as a float, 0 where it underflows."""
    return math.ldexp(m, int(e)) if e > -1100.0 else 0.0


@kernel
def total_of(m: Floats, e: Floats) -> tuple[float, float]:
    """Sum of the numbers (m_j, e_j), as a number."""
    largest = -math.inf
    for j in range(m.size):
        largest = max(largest, e[j])
    s = 0.0
    if largest > -math.inf:
        for j in range(m.size):
            if e[j] - largest > -1000.0:
                s += math.ldexp(m[j], int(e[j] - largest))
    return s, largest


@kernel
def powers_of_a_half() -> Floats:
    """As far as a sum can feel them, and further."""
    powers = np.empty(128)
    powers[0] = 1.0
    for d in range(1, 128):
        powers[d] = 0.5 * powers[d - 1]
    return powers


@kernel
def times_matrix_extended(
    xm: Floats, xe: Floats, Am: Floats, Ae: Floats, ym: Floats, ye: Floats, powers: Floats
) -> None:
    """y_j = sum_i x_i A_ij; powers[d] is 2^-d."""
    K = xm.size
    for j in range(K):
        ym[j], ye[j] = 0.0, -math.inf
    for i in range(K):
        x, A = xe[i], Ae[i]
        for j in range(K):
            ye[j] = max(ye[j], x + A[j])
    for i in range(K):
        if xm[i] > 0.0:
            for j in range(K):
                d = ye[j] - xe[i] - Ae[i, j]
                if d < powers.size:
                    ym[j] += xm[i] * Am[i, j] * powers[int(max(d, 0.0))]
    for j in range(K):
        if ym[j] > 0.0:
            fraction, exponent = math.frexp(ym[j])
            ym[j] = fraction
            ye[j] += exponent


@kernel
def forward_extended(
    startprob: Floats,
    A: Floats,
    stride: int,
    table: Floats,
    rows: Ints,
    begin: int,
    end: int,
    alpha_m: Floats,
    alpha_e: Floats,
    filtered: Floats,
    predicted: Floats,
    steps: Floats,
) -> float:
    """Log-likelihood of the sequence of the steps begin..end-1, -inf where it is impossible.

    alpha_m, alpha_e, filtered, predicted (end - begin, n_components) and steps (end - begin,) are filled, as in
    `forward_pass`; from the step on that is impossible, filtered is NaN, and the later steps and predictions too.
    """
    K = A.shape[1]
    Am, Ae = np.empty((K, K)), np.empty((K, K))
    qm, qe = np.empty(K), np.empty(K)
    fm, fe = np.empty(1), np.empty(1)
    powers = powers_of_a_half()
    n_steps = end - begin
    whole, total, lost = 0.0, 0.0, 0.0
    for t in range(n_steps):
        am, ae = alpha_m[t], alpha_e[t]
        if t:
            if stride or t == 1:
                for i in range(K):
                    for j in range(K):
                        split(A[(begin + t - 1) * stride + i, j], Am[i], Ae[i], j)
            times_matrix_extended(alpha_m[t - 1], alpha_e[t - 1], Am, Ae, qm, qe, powers)
        else:
            for j in range(K):
                split(startprob[j], qm, qe, j)
        r = rows[begin + t] if rows.size else begin + t
        for j in range(K):
            predicted[t, j] = joined(qm[j], qe[j])
            split_exp(table[r, j], fm, fe, 0)
            am[j], ae[j] = qm[j] * fm[0], qe[j] + fe[0]
        c, largest = total_of(am, ae)
        if c == 0.0:
            steps[t] = -math.inf
            for u in range(t, n_steps):
                for j in range(K):
                    filtered[u, j] = math.nan
                    if u > t:
                        predicted[u, j] = math.nan
                if u > t:
                    steps[u] = math.nan
            return -math.inf
        for j in range(K):
            am[j] /= c
            ae[j] -= largest
            filtered[t, j] = joined(am[j], ae[j])
        x = math.log(c)
        steps[t] = x + largest * _LOG2
        whole += largest
        s = total + x
        lost += (total - s) + x if abs(total) >= abs(x) else (x - s) + total
        total = s
    return (total + lost) + whole * _LOG2


@kernel
def backward_extended(
    A: Floats,
    stride: int,
    table: Floats,
    rows: Ints,
    begin: int,
    end: int,
    alpha_m: Floats,
    alpha_e: Floats,
    gamma: Floats,
    transitions: Floats,
) -> None:
    """Fill gamma (end - begin, n_components) and add sum_t xi_t to transitions (n_components, n_components)."""
    K = A.shape[1]
    ATm, ATe = np.empty((K, K)), np.empty((K, K))
    bm, be = np.empty(K), np.zeros(K)
    wm, we = np.empty(K), np.empty(K)
    gm, ge = np.empty(K), np.empty(K)
    fm, fe = np.empty(1), np.empty(1)
    powers = powers_of_a_half()
    for j in range(K):
        bm[j] = 1.0
    n_steps = end - begin
    for t in range(n_steps - 1, -1, -1):
        am, ae = alpha_m[t], alpha_e[t]
        if t + 1 < n_steps:
            if stride or t + 2 == n_steps:
                for i in range(K):
                    for j in range(K):
                        split(A[(begin + t) * stride + i, j], ATm[j], ATe[j], i)
            times_matrix_extended(wm, we, ATm, ATe, bm, be, powers)
        for i in range(K):
            gm[i], ge[i] = am[i] * bm[i], ae[i] + be[i]
        g, largest = total_of(gm, ge)
        for i in range(K):
            gamma[t, i] = joined(gm[i] / g, ge[i] - largest)
        if t + 1 < n_steps:
            for i in range(K):
                for j in range(K):
                    e = ae[i] + ATe[j, i] + we[j] - largest
                    if e > -1100.0:
                        transitions[i, j] += math.ldexp(am[i] * ATm[j, i] * wm[j] / g, int(e))
        r = rows[begin + t] if rows.size else begin + t
        for j in range(K):
            split_exp(table[r, j], fm, fe, 0)
            wm[j], we[j] = fm[0] * bm[j] / g, fe[0] + be[j] - largest


@kernel
def sample_backwards_extended(
    A: Floats, stride: int, alpha_m: Floats, alpha_e: Floats, begin: int, end: int, uniforms: Floats, states: Ints
) -> None:
    """As `sample_backwards`, from the alpha of `forward_extended`."""
    K = A.shape[1]
    pm, pe = np.empty(K), np.empty(K)
    for draw in range(states.shape[0]):
        z = 0
        for t in range(end - 1, begin - 1, -1):
            for i in range(K):
                if t < end - 1:
                    split(A[t * stride + i, z], pm, pe, i)
                    pm[i] *= alpha_m[t - begin, i]
                    pe[i] += alpha_e[t - begin, i]
                else:
                    pm[i], pe[i] = alpha_m[t - begin, i], alpha_e[t - begin, i]
            total, largest = total_of(pm, pe)
            threshold = uniforms[draw, t] * total
            running = 0.0
            for i in range(K):
                p = joined(pm[i], pe[i] - largest)
                if p > 0.0:
                    z = i
                    running += p
                    if running > threshold:
                        break
            states[draw, t] = z


@kernel
def backward_messages(
    A: Floats, stride: int, table: Floats, begin: int, end: int, beta: Floats, log_scale: Floats
) -> None:
    """Fill rows begin..end-1: log p(x_{t+1}..x_T | z_t = i) = log beta[t, i] + log_scale[t], with max_i beta[t, i] = 1.

    beta (n_samples, n_components), log_scale (n_samples,); zeros and -inf where no state explains what follows.
    """
    K = A.shape[1]
    ATm, ATe = np.empty((K, K)), np.empty((K, K))
    bm, be = np.empty(K), np.zeros(K)
    wm, we = np.empty(K), np.empty(K)
    fm, fe = np.empty(1), np.empty(1)
    powers = powers_of_a_half()
    for j in range(K):
        bm[j] = 1.0
    whole, total = 0.0, 0.0
    for t in range(end - 1, begin - 1, -1):
        if t + 1 < end:
            for j in range(K):
                split_exp(table[t + 1, j], fm, fe, 0)
                wm[j], we[j] = fm[0] * bm[j], fe[0] + be[j]
            if stride or t + 2 == end:
                for i in range(K):
                    for j in range(K):
                        split(A[t * stride + i, j], ATm[j], ATe[j], i)
            times_matrix_extended(wm, we, ATm, ATe, bm, be, powers)
        largest = -math.inf
        for i in range(K):
            largest = max(largest, be[i])
        if largest == -math.inf:
            for u in range(begin, t + 1):
                log_scale[u] = -math.inf
                for i in range(K):
                    beta[u, i] = 0.0
            return
        m = 0.0
        for i in range(K):
            be[i] -= largest
            if be[i] > -2.0:
                m = max(m, bm[i] * math.ldexp(1.0, int(be[i])))
        for i in range(K):
            bm[i] /= m
            beta[t, i] = joined(bm[i], be[i])
        whole += largest
        total += math.log(m)
        log_scale[t] = total + whole * _LOG2
