r"""Forward recursion: what the observations so far say of the state, and how likely each new one was.

    predicted_t(j) = sum_i alpha_{t-1}(i) A_ij            alpha_t(j) = predicted_t(j) e_t(j) / c_t
    e_t(j) = exp(l_t(j) - m_t)        m_t = max_j l_t(j)        log p(x_t | x_1..x_{t-1}) = m_t + log c_t

with l_t(j) = log p(x_t | z_t = j), predicted_1 = pi, and c_t such that alpha_t sums to 1.

Scaled numbers lose what falls some 700 nats below the rest, and where A has zeros a state so lost can turn out to be
the only one that explains what follows. The pass below therefore looks for such losses and gives up, rather than
answer wrongly; `extended_range` then redoes the sequence. A lost state is harmless where every state that may follow
it may as well follow the likeliest one: always so where no entry of A is below 1e-30.

Bishop (2006), Pattern Recognition and Machine Learning, section 13.2.4.
"""

import math
from typing import cast

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats, Ints

_FIRST = cast(int, np.int64(0))  # no literal, or what is called with it would be compiled for it
NO_ZEROS, ZEROS, TINY = 0, 1, 2
"""What A holds: entries of 1e-30 and more; some below; some between 0 and 1e-50."""


@kernel
def exponentiate(table: Floats, row: int, E: Floats, place: int) -> float:
    """Write exp(table[row] - m) to E[place] and return m = max table[row]; 0 is written for the impossible only."""
    K = table.shape[1]
    m = -math.inf
    for j in range(K):
        if table[row, j] > m:
            m = table[row, j]
    if m == -math.inf:
        m = 0.0
    for j in range(K):
        e = 0.0
        if table[row, j] > -math.inf:
            e = max(math.exp(table[row, j] - m), 1e-300)
        E[place, j] = e
    return m


@kernel
def exponentiate_rows(table: Floats, E: Floats, shift: Floats) -> None:
    """E = exp(table - shift), with the maximum of each row as its shift."""
    for row in range(table.shape[0]):
        shift[row] = exponentiate(table, row, E, row)


@kernel
def times_matrix(x: Floats, row: int, A: Floats, first: int, out: Floats, place: int) -> None:
    """out[place] = x[row] times the matrix whose rows begin at A[first]."""
    K = A.shape[1]
    y = out[place]
    for j in range(K):
        y[j] = 0.0
    i = 0
    while i + 4 <= K:
        x0, x1, x2, x3 = x[row, i], x[row, i + 1], x[row, i + 2], x[row, i + 3]
        A0, A1, A2, A3 = A[first + i], A[first + i + 1], A[first + i + 2], A[first + i + 3]
        for j in range(K):
            y[j] += (x0 * A0[j] + x1 * A1[j]) + (x2 * A2[j] + x3 * A3[j])
        i += 4
    while i < K:
        x0 = x[row, i]
        A0 = A[first + i]
        for j in range(K):
            y[j] += x0 * A0[j]
        i += 1


@kernel
def forward_pass(
    startprob: Floats,
    A: Floats,
    stride: int,
    kind: int,
    table: Floats,
    E: Floats,
    shift: Floats,
    rows: Ints,
    begin: int,
    end: int,
    alpha: Floats,
    first: int,
    predicted: Floats,
    steps: Floats,
) -> float:
    """Log-likelihood of the sequence of the steps begin..end-1; NaN where scaled numbers may have lost something.

    Parameters
    ----------
    startprob : (n_components,)
        pi.
    A : (n_matrices * n_components, n_components)
        One transition matrix, or one a step below each other.
    stride : int
        0 or n_components: how far the rows of the next step's matrix are.
    kind : int
        NO_ZEROS, ZEROS or TINY.
    table : (n_rows, n_components)
        l, log-likelihoods.
    E, shift : (n_rows, n_components), (n_rows,)
        e and m; with one row where each step is to be exponentiated as it comes.
    rows : (n_samples,)
        The row of each step; empty where step t has row t.
    begin, end : int
        The sequence.
    alpha : (at least first + end - begin, n_components)
        Filled with the filtered probabilities, from row `first` on; with first = -1, rows 0 and 1 take turns.
    first : int
        See alpha.
    predicted : (n_samples, n_components) or (1, n_components)
        Filled with the predicted probabilities, or scratch.
    steps : (n_samples,) or (0,)
        Filled with the log-likelihood of each step.

    """
    K = A.shape[1]
    n_steps = end - begin
    total, lost, product = 0.0, 0.0, 1.0
    for t in range(n_steps):
        # Frame
        if rows.size:
            r = rows[begin + t]
        elif E.shape[0] == table.shape[0]:
            r = begin + t
        else:
            r = _FIRST
            shift[r] = exponentiate(table, begin + t, E, r)
        m = shift[r]

        # Prediction and update
        p = begin + t if predicted.shape[0] > 1 else 0
        here = first + t if first >= 0 else t & 1
        if t:
            before = here - 1 if first >= 0 else 1 - here
            times_matrix(alpha, before, A, (begin + t - 1) * stride, predicted, p)
        else:
            for j in range(K):
                predicted[p, j] = startprob[j]
        a, e, q = alpha[here], E[r], predicted[p]
        c = 0.0
        for j in range(K):
            a[j] = q[j] * e[j]
            c += a[j]
        if not c >= 1e-40:
            # At the start this is common, the likeliest state being one that no sequence starts in, and soon mended
            if t:
                return math.nan
            row = r if rows.size else begin
            m = -math.inf
            for j in range(K):
                if startprob[j] > 0.0:
                    m = max(m, math.log(startprob[j]) + table[row, j])
            if m == -math.inf:
                return math.nan
            c = 0.0
            for j in range(K):
                a[j] = 0.0
                if startprob[j] > 0.0:
                    a[j] = math.exp(math.log(startprob[j]) + table[row, j] - m)
                c += a[j]
        inverse = 1.0 / c
        for j in range(K):
            a[j] *= inverse
        if kind and t + 1 < n_steps and _is_lost(alpha, here, E[r], predicted, p, A, begin + t, stride, kind, t):
            return math.nan

        # Totals: one logarithm for many steps, and a compensated sum, as shifts can be large and of both signs
        if steps.size:
            steps[begin + t] = m + math.log(c)
        product *= c
        if product < 1e-200 or t + 1 == n_steps:
            m += math.log(product)
            product = 1.0
        s = total + m
        lost += (total - s) + m if abs(total) >= abs(m) else (m - s) + total
        total = s
    return total + lost


@kernel
def _is_lost(
    alpha: Floats,
    here: int,
    e: Floats,
    predicted: Floats,
    p: int,
    A: Floats,
    step: int,
    stride: int,
    kind: int,
    t: int,
) -> bool:
    """Whether a state that is possible has all but vanished, and may follow where the likeliest state may not."""
    K = A.shape[1]
    best = -1
    for j in range(K):
        if alpha[here, j] >= 1e-250 or e[j] == 0.0:
            continue
        possible = predicted[p, j] > 0.0
        if kind == TINY and not possible and t > 0:
            # The product with a tiny entry may be 0 for a state that can be reached all the same
            before = here - 1 if alpha.shape[0] > 2 or here else 1
            i = 0
            while i < K and not possible:
                possible = alpha[before, i] > 0.0 and A[(step - 1) * stride + i, j] > 0.0
                i += 1
        if not possible:
            continue
        if best < 0:
            best = 0
            for i in range(1, K):
                if alpha[here, i] > alpha[here, best]:
                    best = i
        first = step * stride
        for k in range(K):
            if A[first + best, k] < 1e-30 * A[first + j, k]:
                return True
    return False


@kernel
def score_sequences(
    startprob: Floats,
    A: Floats,
    stride: int,
    kind: int,
    table: Floats,
    E: Floats,
    shift: Floats,
    rows: Ints,
    offsets: Ints,
    totals: Floats,
) -> None:
    """Log-likelihood of every sequence, with memory for two steps; NaN where it has to be found otherwise."""
    K = A.shape[1]
    alpha, predicted, steps = np.empty((2, K)), np.empty((1, K)), np.empty(0)
    for s in range(totals.size):
        totals[s] = forward_pass(
            startprob, A, stride, kind, table, E, shift, rows, offsets[s], offsets[s + 1], alpha, -1, predicted, steps
        )


@kernel
def filter_sequences(
    startprob: Floats,
    A: Floats,
    stride: int,
    kind: int,
    table: Floats,
    E: Floats,
    shift: Floats,
    rows: Ints,
    offsets: Ints,
    filtered: Floats,
    predicted: Floats,
    steps: Floats,
    totals: Floats,
) -> None:
    """As score_sequences, with everything kept: (n_samples, n_components) twice, and the steps (n_samples,)."""
    for s in range(totals.size):
        begin = offsets[s]
        totals[s] = forward_pass(
            startprob,
            A,
            stride,
            kind,
            table,
            E,
            shift,
            rows,
            begin,
            offsets[s + 1],
            filtered,
            begin,
            predicted,
            steps,
        )
