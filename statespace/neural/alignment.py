r"""What a sequence that is written looks at in one that was read, row by row of a batch, and the way back.

    a_ts = exp(s_ts) / \sum_s' exp(s_ts')       c_t = \sum_s a_ts m_s       s = 1, ..., the length of what was read

with queries q_t, keys k_s and what is remembered m_s, and scores

    dot         s_ts = q_t . k_s
    additive    s_ts = v . tanh(q_t + k_s)

Row b of the queries looks at row which[b] of what is remembered. What lies beyond a length is neither read nor written,
and each number is a sum in the order of its terms: what comes out for a row does not depend on what it is padded with,
nor on its batch.
"""

from __future__ import annotations

import numpy as np

from statespace.foundations.elementwise import elementwise, padded, tanh
from statespace.foundations.kernel import kernel
from statespace.protocols import Array, Ints

_tanh = elementwise(tanh, "a", 1)


def room(n: int, dtype: np.dtype[np.generic]) -> Array:
    """An array for n numbers that are worked on a vector at a time."""
    return np.zeros(padded(n, dtype), dtype)


@kernel
def dot_scores(steps: Ints, which: Ints, lengths: Ints, queries: Array, keys: Array, across: Array, out: Array) -> None:
    """s_ts = q_t . k_s.

    Parameters
    ----------
    steps : (B,)
        How many queries of each row count.
    which : (B,)
    lengths : (M,)
        How many keys of each row count.
    queries, keys : (B, T, A), (M, S, A)
    across : (A S,) or more
        Work space.
    out : (B, T, S)
        Zeros; the scores.

    """
    A = queries.shape[2]
    for b in range(len(steps)):
        m = which[b]
        n = lengths[m]
        for s in range(n):
            for j in range(A):
                across[j * n + s] = keys[m, s, j]
        for t in range(steps[b]):
            for j in range(A):
                q, at = queries[b, t, j], j * n
                for s in range(n):
                    out[b, t, s] += q * across[at + s]


@kernel
def additive_scores(
    steps: Ints,
    which: Ints,
    lengths: Ints,
    queries: Array,
    keys: Array,
    v: Array,
    across: Array,
    sums: Array,
    out: Array,
) -> None:
    """s_ts = v . tanh(q_t + k_s); as `dot_scores`, with v (A,) and a second work space."""
    A = queries.shape[2]
    for b in range(len(steps)):
        m = which[b]
        n = lengths[m]
        for s in range(n):
            for j in range(A):
                across[j * n + s] = keys[m, s, j]
        for t in range(steps[b]):
            for j in range(A):
                q, at = queries[b, t, j], j * n
                for s in range(n):
                    sums[at + s] = q + across[at + s]
            _tanh(A * n, sums, 0, sums, 0)
            for j in range(A):
                weight, at = v[j], j * n
                for s in range(n):
                    out[b, t, s] += weight * sums[at + s]


@kernel
def align(steps: Ints, which: Ints, lengths: Ints, memory: Array, weights: Array, contexts: Array) -> None:
    """From scores to the weights a_ts, in their place (B, T, S), and c_t, added to zeros (B, T, D)."""
    D = memory.shape[2]
    for b in range(len(steps)):
        m = which[b]
        n = lengths[m]
        for t in range(steps[b]):
            most = weights[b, t, 0]
            for s in range(1, n):
                most = max(most, weights[b, t, s])
            total = 0.0
            for s in range(n):
                weights[b, t, s] = np.exp(weights[b, t, s] - most)
                total += weights[b, t, s]
            for s in range(n):
                weights[b, t, s] = weights[b, t, s] / total
                a = weights[b, t, s]
                for d in range(D):
                    contexts[b, t, d] += a * memory[m, s, d]


@kernel
def align_back(
    steps: Ints, lengths: Ints, memory: Array, weights: Array, d_contexts: Array, d_scores: Array, d_memory: Array
) -> None:
    r"""Derivatives of `align` where which[b] is b.

        d m_s = \sum_t a_ts d c_t       d s_ts = a_ts (d c_t . m_s - \sum_s' a_ts' d c_t . m_s')

    d_scores (B, T, S) is set, d_memory (B, S, D) added to.
    """
    D = memory.shape[2]
    for b in range(len(steps)):
        n = lengths[b]
        for t in range(steps[b]):
            mean = 0.0
            for s in range(n):
                a, found = weights[b, t, s], 0.0
                for d in range(D):
                    found += d_contexts[b, t, d] * memory[b, s, d]
                for d in range(D):
                    d_memory[b, s, d] += a * d_contexts[b, t, d]
                d_scores[b, t, s] = found
                mean += a * found
            for s in range(n):
                d_scores[b, t, s] = weights[b, t, s] * (d_scores[b, t, s] - mean)


@kernel
def dot_scores_back(
    steps: Ints, lengths: Ints, queries: Array, keys: Array, d_scores: Array, d_queries: Array, d_keys: Array
) -> None:
    """Derivatives of `dot_scores` where which[b] is b; added to those by queries and keys."""
    A = queries.shape[2]
    for b in range(len(steps)):
        for t in range(steps[b]):
            for s in range(lengths[b]):
                slope = d_scores[b, t, s]
                for j in range(A):
                    d_queries[b, t, j] += slope * keys[b, s, j]
                    d_keys[b, s, j] += slope * queries[b, t, j]


@kernel
def additive_scores_back(
    steps: Ints,
    lengths: Ints,
    queries: Array,
    keys: Array,
    v: Array,
    sums: Array,
    d_scores: Array,
    d_queries: Array,
    d_keys: Array,
    d_v: Array,
) -> None:
    """Derivatives of `additive_scores` where which[b] is b; added to those by queries, keys and v."""
    A = queries.shape[2]
    for b in range(len(steps)):
        n = lengths[b]
        for t in range(steps[b]):
            for s in range(n):
                for j in range(A):
                    sums[s * A + j] = queries[b, t, j] + keys[b, s, j]
            _tanh(A * n, sums, 0, sums, 0)
            for s in range(n):
                slope, at = d_scores[b, t, s], s * A
                for j in range(A):
                    z = sums[at + j]
                    d_v[j] += slope * z
                    rise = slope * v[j]
                    rise -= rise * z * z
                    d_queries[b, t, j] += rise
                    d_keys[b, s, j] += rise
