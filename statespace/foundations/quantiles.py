"""Quantiles of laws that have no more than a cumulative distribution function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from statespace.protocols import Floats, Ints

_SIGN = np.iinfo(np.int64).min


def quantiles(cdf: Callable[[Floats], Floats], level: float | Floats, low: Floats, high: Floats) -> Floats:
    """The smallest numbers at which distribution functions reach a level.

    Bisection on the floats in their order, so that it takes at most 64 steps in any units, and an atom is met exactly.

    Parameters
    ----------
    cdf : callable
        P(X <= x) of numbers (n,), one for each law; ascending.
    level : float or (n,)
        Between 0 and 1.
    low, high : (n,)
        No quantile is below `low`, and all are at most `high`.

    """
    below, reached = _rank(low) - 1, _rank(high)
    for _ in range(64):
        middle = (below >> 1) + (reached >> 1) + (below & reached & 1)
        if (middle == below).all():
            break
        enough = cdf(_float(middle)) >= level
        reached = np.where(enough, middle, reached)
        below = np.where(enough, below, middle)
    return _float(reached)


def _rank(x: Floats) -> Ints:
    """Place of each float among all of them, 0 for zero."""
    bits = np.ascontiguousarray(x, np.float64).view(np.int64)
    return np.asarray(np.where(bits >= 0, bits, _SIGN - bits))


def _float(rank: Ints) -> Floats:
    return np.where(rank >= 0, rank, _SIGN - rank).view(np.float64)
