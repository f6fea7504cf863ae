r"""Viterbi: the most likely path.

    delta_1(j) = log pi_j + l_1(j)        delta_t(j) = max_i (delta_{t-1}(i) + log A_ij) + l_t(j)

Only delta is kept; on the way back, the state before z_t is the first i that maximises delta_{t-1}(i) + log A_{i,z_t}:
K sums a step, in place of K^2 recorded choices. Every 16 steps the maximum is taken off delta and added to the total,
so that differences between states keep their digits in long sequences.

Viterbi (1967), IEEE Transactions on Information Theory 13; Rabiner (1989), Proceedings of the IEEE 77, section III.B.
"""

import math

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats, Ints


@kernel
def best_predecessors(delta: Floats, row: int, log_A: Floats, first: int, out: Floats) -> None:
    """out_j = max_i (delta[row, i] + log_A[first + i, j])."""
    K = log_A.shape[1]
    for j in range(K):
        out[j] = -math.inf
    i = 0
    while i + 4 <= K:
        d0, d1, d2, d3 = delta[row, i], delta[row, i + 1], delta[row, i + 2], delta[row, i + 3]
        A0, A1, A2, A3 = log_A[first + i], log_A[first + i + 1], log_A[first + i + 2], log_A[first + i + 3]
        for j in range(K):
            x0, x1, x2, x3 = d0 + A0[j], d1 + A1[j], d2 + A2[j], d3 + A3[j]
            y0 = x0 if x0 > x1 else x1
            y1 = x2 if x2 > x3 else x3
            y = y0 if y0 > y1 else y1
            out[j] = y if y > out[j] else out[j]
        i += 4
    while i < K:
        d0 = delta[row, i]
        A0 = log_A[first + i]
        for j in range(K):
            x0 = d0 + A0[j]
            out[j] = x0 if x0 > out[j] else out[j]
        i += 1


@kernel
def viterbi_sequences(
    startprob: Floats,
    A: Floats,
    stride: int,
    table: Floats,
    rows: Ints,
    offsets: Ints,
    delta: Floats,
    states: Ints,
    totals: Floats,
) -> None:
    """Fill `states` (n_samples,) and their joint log-probabilities (n_sequences,); zeros where none is possible.

    delta : (length of the longest sequence, n_components), scratch. The others are as in `forward_pass`.
    """
    K = A.shape[1]
    log_A = np.empty((K, K))
    best = np.empty(K)
    if stride == 0:
        for i in range(K):
            for j in range(K):
                log_A[i, j] = math.log(A[i, j]) if A[i, j] > 0.0 else -math.inf
    for s in range(totals.size):
        begin, end = offsets[s], offsets[s + 1]
        total, lost = 0.0, 0.0
        last = end - begin - 1
        for t in range(last + 1):
            r = rows[begin + t] if rows.size else begin + t
            d, frame = delta[t], table[r]
            if t:
                if stride:
                    for i in range(K):
                        for j in range(K):
                            p = A[(begin + t - 1) * stride + i, j]
                            log_A[i, j] = math.log(p) if p > 0.0 else -math.inf
                best_predecessors(delta, t - 1, log_A, 0, best)
                for j in range(K):
                    d[j] = best[j] + frame[j]
            else:
                for j in range(K):
                    d[j] = (math.log(startprob[j]) if startprob[j] > 0.0 else -math.inf) + frame[j]
            if t % 16 == 15 or t == last:
                m = d[0]
                for j in range(1, K):
                    m = max(m, d[j])
                if m == -math.inf:
                    total, lost = m, 0.0
                    break
                for j in range(K):
                    d[j] -= m
                x = total + m
                lost += (total - x) + m if abs(total) >= abs(m) else (m - x) + total
                total = x
        totals[s] = total + lost

        # Back along the path
        z = 0
        if total > -math.inf:
            d = delta[last]
            for j in range(1, K):
                if d[j] > d[z]:
                    z = j
        states[end - 1] = z
        for t in range(last - 1, -1, -1):
            if total == -math.inf:
                states[begin + t] = 0
                continue
            d = delta[t]
            source = (begin + t) * stride
            found, m = 0, -math.inf
            for i in range(K):
                if stride:
                    p = A[source + i, z]
                    x = d[i] + (math.log(p) if p > 0.0 else -math.inf)
                else:
                    x = d[i] + log_A[i, z]
                if x > m:
                    found, m = i, x
            z = found
            states[begin + t] = z
