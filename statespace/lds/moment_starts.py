r"""Variances to start from: those whose differenced series would have the autocovariances that the data have.

    w_t = delta(L) y_t with delta(L) = (1 - L)^d prod_s (1 + L + ... + L^{s-1}) is a sum of finite moving averages
    gamma_w(k) = sum_i sigma2_i g_i(k),     g_i(k) = sum_l c_il c_{i,l+k},     c_i = delta * (Z T^j R_i)_j

Least squares over sigma2 >= 0, lag 0 with half the weight of the others, as in the sum over all lags. Harvey (1989),
section 2.4 (the autocovariances); Lawson and Hanson (1974).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from statespace.lds.component import Component, NoisyComponent
from statespace.lds.components import Irregular
from statespace.protocols import Floats


def variances_by_moments(components: Sequence[Component], series: Sequence[Floats]) -> Floats | None:
    """Variances of all parts in their order; None where a part has other parameters, or the series are too short."""
    if not all(isinstance(part, NoisyComponent | Irregular) for part in components):
        return None
    delta = differencing_polynomial(components)
    G = np.array([g for part in components for g in _autocovariances(part, delta)]).T
    gamma = _sample_autocovariances(series, delta)
    if gamma is None or not gamma[0] > 0 or not G.size:
        return None
    from scipy.optimize import nnls

    weights = np.full(len(gamma), np.sqrt(2.0))
    weights[0] = 1.0
    return np.asarray(nnls(G * weights[:, None], gamma / gamma[0] * weights)[0] * gamma[0])


def differencing_polynomial(components: Sequence[Component]) -> Floats:
    """The coefficients of delta(L) = 1 + ..., in which all parts are stationary."""
    polynomial = np.ones(1)
    for _ in range(max(part.differences.count(1) for part in components)):
        polynomial = np.convolve(polynomial, [1.0, -1.0])
    for part in components:
        for lag in part.differences:
            if lag > 1:
                polynomial = np.convolve(polynomial, np.ones(lag))
    return polynomial


def _autocovariances(part: Component, delta: Floats) -> list[Floats]:
    """Of each variance of a part, those that it alone would give the differenced series, were it 1."""
    n = len(delta)
    if not isinstance(part, NoisyComponent):
        return [_products(delta[None])]
    design, transition, selection, owner = part.known
    response, state = np.empty((n, selection.shape[1])), selection
    for step in range(n):
        response[step] = design @ state
        state = transition @ state
    weights = np.array([np.convolve(column, delta)[:n] for column in response.T]).reshape(-1, n)
    return [_products(weights[owner == number]) for number in range(len(part.variances))]


def _products(weights: Floats) -> Floats:
    """sum_l c_l c_{l+k} for all k, summed over rows c."""
    n = weights.shape[1]
    found = np.zeros(n)
    for row in weights:
        found += np.correlate(row, row, "full")[n - 1 :]
    return found


def _sample_autocovariances(series: Sequence[Floats], delta: Floats) -> Floats | None:
    """Mean products of the differenced series at lags 0, ..., len(delta) - 1, of pairs that are both there."""
    n = len(delta)
    totals, counts = np.zeros(n), np.zeros(n)
    for y in series:
        if len(y) < n:
            continue
        w = np.convolve(y, delta, "valid")
        lags = np.arange(min(n, len(w)))
        seen = ~np.isnan(w)
        if seen.all():
            totals[lags] += [w[lag:] @ w[: len(w) - lag] for lag in lags]
            counts[lags] += len(w) - lags
            continue
        there, w = seen.astype(np.float64), np.where(seen, w, 0.0)
        totals[lags] += [w[lag:] @ w[: len(w) - lag] for lag in lags]
        counts[lags] += [there[lag:] @ there[: len(w) - lag] for lag in lags]
    if (counts < 2).any():
        return None
    return np.asarray(totals / counts)
