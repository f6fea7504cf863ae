r"""Viterbi: the most likely path.

    delta_1(j) = log pi_j + l_1(j)        delta_t(j) = max_i (delta_{t-1}(i) + log A_ij) + l_t(j)

Where states are many, only delta is kept; on the way back, the state before z_t is the first i that maximises
delta_{t-1}(i) + log A_{i,z_t}: K sums a step, in place of K^2 recorded choices. Up to eight states are done as eight,
so that all sources of a step are in registers at once, and what each state chose is a byte. Of two states the choices
are two bits a step, which wait in the place of the state.

Every 16 steps the maximum is taken off delta and added to the total, so that differences between states keep their
digits in long sequences.

Viterbi (1967), IEEE Transactions on Information Theory 13; Rabiner (1989), Proceedings of the IEEE 77, section III.B.
"""

import math

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.protocols import Array, Floats, Ints

FEW = 8  # states that `few_state_paths` is for


@kernel
def log_matrix(A: Floats, first: int, out: Floats) -> None:
    """out_ij = log A[first + i, j], -inf where A is 0."""
    for i in range(A.shape[1]):
        for j in range(A.shape[1]):
            p = A[first + i, j]
            out[i, j] = math.log(p) if p > 0.0 else -math.inf


@kernel
def log_start(startprob: Floats, out: Floats) -> None:
    """out_i = log startprob_i, -inf where it is 0."""
    for i in range(startprob.size):
        out[i] = math.log(startprob[i]) if startprob[i] > 0.0 else -math.inf


@kernel
def take_off(d: Floats, total: Floats) -> None:
    """Take the maximum off d and add it to the total, whose lost digits are total[1]; -inf, and d as it is, if none."""
    m = d[0]
    for j in range(1, d.size):
        m = max(m, d[j])
    if m == -math.inf:
        total[0], total[1] = m, 0.0
        return
    for j in range(d.size):
        d[j] -= m
    x = total[0] + m
    total[1] += (total[0] - x) + m if abs(total[0]) >= abs(m) else (m - x) + total[0]
    total[0] = x


@kernel
def two_state_paths(
    startprob: Floats, A: Floats, table: Floats, rows: Ints, offsets: Ints, states: Ints, totals: Floats
) -> None:
    """`viterbi_sequences` for two states and a constant A."""
    log_A, start = np.empty((2, 2)), np.empty(2)
    log_matrix(A, 0, log_A)
    log_start(startprob, start)
    A00, A01, A10, A11 = log_A[0, 0], log_A[0, 1], log_A[1, 0], log_A[1, 1]
    for s in range(totals.size):
        begin, end = offsets[s], offsets[s + 1]
        r = rows[begin] if rows.size else begin
        d0, d1 = start[0] + table[r, 0], start[1] + table[r, 1]
        total, lost, t = 0.0, 0.0, begin + 1
        while True:
            # What is added does not wait for the step before: a step takes an addition and a comparison
            for u in range(t, min(t + 16, end)):
                r = rows[u] if rows.size else u
                e0, e1 = table[r, 0], table[r, 1]
                x0, x1, y0, y1 = d0 + (A00 + e0), d1 + (A10 + e0), d0 + (A01 + e1), d1 + (A11 + e1)
                states[u] = (x1 > x0) + 2 * (y1 > y0)
                d0 = x1 if x1 > x0 else x0
                d1 = y1 if y1 > y0 else y0
            t += 16
            m = max(d0, d1)
            if t >= end or m == -math.inf:
                break
            d0, d1 = d0 - m, d1 - m
            x = total + m
            lost += (total - x) + m if abs(total) >= abs(m) else (m - x) + total
            total = x
        totals[s] = (total + m) + lost
        if m == -math.inf:
            states[begin:end] = 0
            continue

        # Back along the path
        z = 1 if d1 > d0 else 0
        for u in range(end - 1, begin, -1):
            choices = states[u]
            states[u] = z
            z = (choices >> z) & 1
        states[begin] = z


@kernel
def few_state_choices(
    start: Floats, log_A: Floats, table: Floats, rows: Ints, begin: int, end: int, d: Floats, choices: Array
) -> float:
    """Fill d (8,), up to a constant delta of the last step, and the choices that led there; return the total.

    log_A : (64,)
        -inf, like d at the end, for the states up to eight that there are not.
    choices : (end - begin, 8), uint8
        choices[t, j] is the best state before j; the first row is not written.
    """
    K = table.shape[1]
    last = end - begin - 1
    d[:] = -math.inf
    frame = table[rows[begin] if rows.size else begin]
    for j in range(K):
        d[j] = start[j] + frame[j]
    total, lost = 0.0, 0.0
    for t in range(1, last + 1):
        choice, frame = choices[t], table[rows[begin + t] if rows.size else begin + t]
        b0, b1, b2, b3, b4, b5, b6, b7 = d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]
        for j in range(K):
            x0, x1, x2, x3 = b0 + log_A[j], b1 + log_A[8 + j], b2 + log_A[16 + j], b3 + log_A[24 + j]
            x4, x5, x6, x7 = b4 + log_A[32 + j], b5 + log_A[40 + j], b6 + log_A[48 + j], b7 + log_A[56 + j]
            # Of two that are equal the earlier wins
            z0 = 1 if x1 > x0 else 0
            z2 = 3 if x3 > x2 else 2
            z4 = 5 if x5 > x4 else 4
            z6 = 7 if x7 > x6 else 6
            x0 = x1 if x1 > x0 else x0
            x2 = x3 if x3 > x2 else x2
            x4 = x5 if x5 > x4 else x4
            x6 = x7 if x7 > x6 else x6
            z0 = z2 if x2 > x0 else z0
            z4 = z6 if x6 > x4 else z4
            x0 = x2 if x2 > x0 else x0
            x4 = x6 if x6 > x4 else x4
            choice[j] = z4 if x4 > x0 else z0
            d[j] = (x4 if x4 > x0 else x0) + frame[j]
        if t % 16 == 15:
            m = d[0]
            for j in range(1, 8):
                m = max(m, d[j])
            if m == -math.inf:
                return -math.inf
            for j in range(8):
                d[j] -= m
            x = total + m
            lost += (total - x) + m if abs(total) >= abs(m) else (m - x) + total
            total = x
    m = d[0]
    for j in range(1, 8):
        m = max(m, d[j])
    found: float = (total + m) + lost
    return found


@kernel
def few_state_paths(
    startprob: Floats, A: Floats, table: Floats, rows: Ints, offsets: Ints, choices: Array, states: Ints, totals: Floats
) -> None:
    """`viterbi_sequences` for at most eight states and a constant A.

    choices : (length of the longest sequence, 8), uint8, scratch.
    """
    K = A.shape[1]
    log_A, start, d = np.full((8, 8), -math.inf), np.empty(K), np.empty(8)
    log_matrix(A, 0, log_A)
    log_start(startprob, start)
    for s in range(totals.size):
        begin, end = offsets[s], offsets[s + 1]
        totals[s] = few_state_choices(start, log_A.reshape(64), table, rows, begin, end, d, choices)
        if totals[s] == -math.inf:
            states[begin:end] = 0
            continue
        z = 0
        for j in range(1, K):
            z = j if d[j] > d[z] else z
        for t in range(end - begin - 1, 0, -1):
            states[begin + t] = z
            z = choices[t, z]
        states[begin] = z


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
    log_A, turned = np.empty((K, K)), np.empty((K, K))
    best, start, total = np.empty(K), np.empty(K), np.empty(2)
    log_start(startprob, start)
    if stride == 0:
        log_matrix(A, 0, log_A)
        for i in range(K):
            for j in range(K):
                turned[j, i] = log_A[i, j]
    for s in range(totals.size):
        begin, end = offsets[s], offsets[s + 1]
        last = end - begin - 1
        total[:] = 0.0
        for t in range(last + 1):
            d, frame = delta[t], table[rows[begin + t] if rows.size else begin + t]
            if t:
                if stride:
                    log_matrix(A, (begin + t - 1) * stride, log_A)
                best_predecessors(delta, t - 1, log_A, 0, best)
                for j in range(K):
                    d[j] = best[j] + frame[j]
            else:
                for j in range(K):
                    d[j] = start[j] + frame[j]
            if t % 16 == 15 or t == last:
                take_off(d, total)
                if total[0] == -math.inf:
                    break
        totals[s] = total[0] + total[1]
        if total[0] == -math.inf:
            states[begin:end] = 0
            continue

        # Back along the path
        z = 0
        for j in range(1, K):
            if delta[last, j] > delta[last, z]:
                z = j
        states[end - 1] = z
        for t in range(last - 1, -1, -1):
            if stride:
                for i in range(K):
                    p = A[(begin + t) * stride + i, z]
                    turned[z, i] = math.log(p) if p > 0.0 else -math.inf
            d, column = delta[t], turned[z]
            z = 0
            m = d[0] + column[0]
            for i in range(1, K):
                x = d[i] + column[i]
                if x > m:
                    z, m = i, x
            states[begin + t] = z
