"""How many digits the backward pass through a diffuse start leaves to what is smoothed.

Of N1 an identity tells: A^T N1 A = I where each direction is determined later. Of the means none does, and where all is
certain no variance does either: what is left is what they are sums of. With s0 and s1 the sums of the magnitudes that
one step added up to r0 and r1,

    |a| + P s0 + |A| |A|^T s1

beside the largest smoothed mean or deviation of the state. Magnitudes that are carried over all steps would bound the
error, and are no measure of it: those of a monthly seasonal come to 1e12 times what is lost.
"""

from __future__ import annotations

import math

import numpy as np

from statespace.foundations.kernel import bare_kernel
from statespace.lds.dynamics import times
from statespace.lds.smoother import MEAN_LOST, Backward
from statespace.protocols import Floats

WHOLE = 1e-14  # entries of A^T N1 A, beside those of the identity that it is, from which on N1 has lost digits


@bare_kernel
def beside_identity(A: Floats, q: int, N: Floats, work: Floats) -> float:
    """The largest entry of A[:q] N A[:q]^T - I; work : (m,)."""
    largest = 0.0
    for j in range(q):
        times(N, A[j], work)
        for k in range(q):
            total = -1.0 if k == j else 0.0
            for i in range(A.shape[1]):
                total += A[k, i] * work[i]
            largest = max(largest, abs(total))
    return largest


@bare_kernel
def bound_mean(
    a: Floats, P: Floats, A: Floats, q: int, size_0: Floats, size_1: Floats, work: Floats, largest: Floats
) -> None:
    """The largest so far of |a| + P size_0 + |A[:q]|^T |A[:q]| size_1; work : (m,)."""
    m = a.shape[0]
    for i in range(m):
        work[i] = abs(a[i])
        for j in range(m):
            work[i] += abs(P[i, j]) * size_0[j]
    for k in range(q):
        met = 0.0
        for j in range(m):
            met += abs(A[k, j]) * size_1[j]
        for j in range(m):
            work[j] += abs(A[k, j]) * met
    for i in range(m):
        largest[i] = max(largest[i], work[i])


@bare_kernel
def doubt_means(terms: Floats, first: int, out: Backward) -> None:
    """Infinite sizes of states whose means are small rests of `terms`, rows of covariances from `first` on."""
    n, m = out.mean.shape
    for i in range(m):
        unit = 0.0
        for t in range(n):
            unit = max(unit, abs(out.mean[t, i]))
        for g in range(first, out.cov.shape[0] - 1):
            unit = max(unit, math.sqrt(out.cov[g, i, i]))
        if not terms[i] <= MEAN_LOST * unit:
            out.size[i] = np.inf
