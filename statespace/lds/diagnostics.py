r"""Whether one-step forecast errors look like white noise: what is left to learn from them.

    e_t = D_t^{-1/2} L_t^{-1} v_t,   F_t = L_t D_t L_t^T      standardised innovations, independent N(0, 1) in theory
    Ljung-Box       Q(k) = n (n + 2) sum_{j=1..k} r_j^2 / (n - j) ~ chi2(k)      no autocorrelation r_j (1978)
    Jarque-Bera     n / 6 (S^2 + (K - 3)^2 / 4) ~ chi2(2)                        skewness 0 and kurtosis 3 (1980)
    H(h)            sum of the last h e_t^2 / sum of the first h ~ F(h, h)       the same variance (Harvey 1989, 5.4)

Steps of a diffuse start and missing observations have no innovation and are left out; statistics are those of
statsmodels. With missing observations Q is of pairs that are both there, r_j^2 weighted by n^2 over their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.validation import check_integer
from statespace.lds.frames import decorrelate
from statespace.lds.results import FilterResult
from statespace.lds.system import as_numbers
from statespace.protocols import Floats, Ints


class Statistic(NamedTuple):
    """A statistic, and how likely one at least as extreme is if the model holds."""

    statistic: float
    p_value: float


class JarqueBera(NamedTuple):
    """The test of normality, and what it is made of."""

    statistic: float
    p_value: float
    skewness: float
    """S, 0 under normality."""
    kurtosis: float
    """K, 3 under normality."""


class LjungBox(NamedTuple):
    """The test of autocorrelation at several numbers of lags."""

    lags: Ints
    """k, shape (n_tests,)."""
    statistic: Floats
    """Q(k), shape (n_tests,)."""
    p_value: Floats
    """Shape (n_tests,)."""


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """Tests of the standardised innovations of one feature."""

    innovations: Floats
    """Standardised innovations, shape (n,); NaN where there is none."""
    n_innovations: int
    """How many there are."""
    ljung_box: LjungBox
    """No autocorrelation."""
    jarque_bera: JarqueBera
    """Normality."""
    heteroskedasticity: Statistic
    """The variance of the first third is that of the last; the p-value is two-sided."""

    def __str__(self) -> str:
        rows = [
            (f"Ljung-Box, {self.ljung_box.lags[-1]} lags", self.ljung_box.statistic[-1], self.ljung_box.p_value[-1]),
            ("Jarque-Bera", self.jarque_bera.statistic, self.jarque_bera.p_value),
            ("heteroskedasticity H", self.heteroskedasticity.statistic, self.heteroskedasticity.p_value),
        ]
        width = max(len(name) for name, _, _ in rows)
        lines = [f"{name:<{width}}  {statistic:10.4f}  p = {p_value:.4f}" for name, statistic, p_value in rows]
        shape = f"skewness {self.jarque_bera.skewness:.4f}, kurtosis {self.jarque_bera.kurtosis:.4f}"
        return "\n".join([f"{self.n_innovations} standardised innovations, {shape}", *lines])


def diagnostics(filtered: FilterResult, lags: Any = None, n_parameters: int = 0) -> list[Diagnostics]:
    """Tests of the innovations of each feature.

    Parameters
    ----------
    filtered : FilterResult
    lags : int or (n_tests,) of int, optional
        Lags of the Ljung-Box test; an int stands for all from 1 to it. None: 1 to min(10, n // 5).
    n_parameters : int
        What the Ljung-Box test takes off its degrees of freedom: p + q for an ARMA(p, q); with no more lags than that
        there is no p-value.

    """
    standardised = standardised_innovations(filtered)
    return [
        Diagnostics(
            column,
            int((~np.isnan(column)).sum()),
            ljung_box(column, lags, n_parameters),
            jarque_bera(column),
            heteroskedasticity(column),
        )
        for column in standardised.T
    ]


def standardised_innovations(filtered: FilterResult) -> Floats:
    """Innovations with variance one, independent of each other, shape (n, n_features); NaN where there is none."""
    if isinstance(filtered.n_diffuse_steps, tuple):
        raise ValueError(
            "the result is of several sequences laid end to end, and tests are of one series: filter a list of them, "
            "and test each"
        )
    v, F = filtered.innovations, filtered.innovation_cov
    standardised = np.full(v.shape, np.nan)
    from_there = slice(filtered.n_diffuse_steps, None)
    if v.shape[1] == 1:
        variance = F[from_there, 0, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            standardised[from_there, 0] = np.where(variance > 0, v[from_there, 0] / np.sqrt(variance), np.nan)
        return standardised
    for t in range(filtered.n_diffuse_steps, len(v)):
        seen = np.flatnonzero(~np.isnan(v[t]))
        B, h = decorrelate(F[t][np.ix_(seen, seen)])
        with np.errstate(divide="ignore", invalid="ignore"):
            standardised[t, seen] = np.where(h > 0, B @ v[t, seen] / np.sqrt(h), np.nan)
    return standardised


def ljung_box(x: Any, lags: Any = None, n_parameters: int = 0) -> LjungBox:
    """The Ljung-Box test of a series (n,), NaN where missing; arguments as in `diagnostics`."""
    from scipy.special import chdtrc

    x = _without_start(_one_series(x))
    seen = ~np.isnan(x)
    n = int(seen.sum())
    wanted = _checked_lags(lags, len(x))
    centred = np.where(seen, x - (x[seen].mean() if n else 0.0), 0.0)
    total = float(centred @ centred)
    last = int(wanted.max())
    terms = np.zeros(last)
    for lag in range(1, last + 1):
        pairs = int((seen[lag:] & seen[:-lag]).sum())
        r = float(centred[lag:] @ centred[:-lag]) / total if total > 0 else math.nan
        terms[lag - 1] = n * (n + 2) * r * r / pairs if pairs else 0.0
    statistic = np.cumsum(terms)[wanted - 1]
    freedom = wanted - check_integer("n_parameters", n_parameters)
    p_value = np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), statistic), np.nan)
    return LjungBox(wanted, statistic, p_value)


def jarque_bera(x: Any) -> JarqueBera:
    """The Jarque-Bera test of a series (n,); NaN where missing."""
    x = _one_series(x)
    x = x[~np.isnan(x)]
    if len(x) < 2:
        return JarqueBera(math.nan, math.nan, math.nan, math.nan)
    centred = x - x.mean()
    variance = float(np.mean(centred**2))
    if not variance > 0:
        return JarqueBera(math.nan, math.nan, math.nan, math.nan)
    z = centred / math.sqrt(variance)
    skewness, kurtosis = float(np.mean(z**3)), float(np.mean(z**4))
    statistic = len(x) / 6.0 * (skewness**2 + 0.25 * (kurtosis - 3.0) ** 2)
    return JarqueBera(statistic, math.exp(-0.5 * statistic), skewness, kurtosis)


def heteroskedasticity(x: Any, h: int | None = None) -> Statistic:
    """The variance of the last h of a series (n,) against that of the first, two-sided; NaN where missing.

    Parameters
    ----------
    x : (n,)
        Mean 0; NaN at the beginning is left out.
    h : int, optional
        A third of the series where it is not given.

    """
    from scipy.special import fdtr, fdtrc

    x = _without_start(_one_series(x))
    h = round(len(x) / 3) if h is None else check_integer("h", h, 2)
    first, last = x[:h], x[max(len(x) - h, 0) :]
    n_first, n_last = int((~np.isnan(first)).sum()), int((~np.isnan(last)).sum())
    below = float(np.nansum(first**2))
    if min(n_first, n_last) < 2 or not below > 0:
        return Statistic(math.nan, math.nan)
    statistic = float(np.nansum(last**2)) / below
    ratio = statistic * n_first / n_last
    return Statistic(statistic, float(2.0 * min(fdtr(n_last, n_first, ratio), fdtrc(n_last, n_first, ratio))))


def _one_series(x: Any) -> Floats:
    values = as_numbers(x)
    if values is None:
        raise TypeError(f"x is {x!r:.60}, expected a series of numbers, NaN where missing")
    if values.ndim != 1:
        raise ValueError(f"x has shape {values.shape}, expected one series, shape (n,): test each column")
    return values


def _without_start(x: Floats) -> Floats:
    seen = np.flatnonzero(~np.isnan(x))
    return np.asarray(x[seen[0] :] if seen.size else x[:0])


def _checked_lags(lags: Any, n: int) -> Ints:
    most = max(n - 1, 1)
    if lags is None:
        return np.arange(1, max(1, min(10, n // 5)) + 1)
    if np.ndim(lags) == 0:
        wanted = np.arange(1, check_integer("lags", lags, 1) + 1)
    else:
        wanted = np.array([check_integer("lags", lag, 1) for lag in lags], dtype=np.int64)
    if not wanted.size or wanted.max() > most:
        raise ValueError(f"lags is {lags!r:.60}, expected lags from 1 to {most}, of {n} innovations")
    return np.asarray(wanted)
