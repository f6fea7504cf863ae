"""Are the innovations what the model says, independent draws of N(0, 1)? Four looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.foundations.validation import check_integer
from statespace.plotting.axes import ACCENT, BLUE, FAINT, INK, SOFT, finish, plain_frame
from statespace.plotting.panels import new_panels, title_of_panels
from statespace.plotting.series import Series, edges, read_series
from statespace.protocols import Array, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_WITHIN = 1.959963984540054  # the normal quantile of 0.975
_FEWEST = 3


def innovations_diagnostics(
    model_or_innovations: Any,
    X: Any = None,
    figure: Figure | SubFigure | None = None,
    *,
    n_lags: int | None = None,
    times: Any = None,
    feature: int = 0,
    title: str | None = None,
) -> list[Axes]:
    """Draw standardised innovations over time, their histogram, their quantiles, and their correlogram.

    Where the model is right they are independent draws of N(0, 1): 95% lie between the lines of the first panel, the
    histogram has the shape of the bell, the quantiles lie on the diagonal, in its band, and no more than one in twenty
    correlations leaves its band.

    Parameters
    ----------
    model_or_innovations : fitted model, Diagnostics, or (n_samples,) or (n_samples, n_features)
        A model, of which `diagnostics(X)` is drawn; what it returned; or (y_t - E(y_t | past)) / sd(y_t | past), NaN
        where missing or diffuse.
    X : sequence of length n_samples, optional
        What was observed; beside innovations only its index is read.
    figure : Figure or SubFigure, optional
        Where to draw, empty; a new one if None.
    n_lags : int, optional
        Lags of the correlogram; by default 10 log10 n, at most half of the steps.
    times : sequence of length n_samples, optional
        Numbers or dates, in the place of X's own index.
    feature : int
        Which feature is drawn, of several.
    title : str, optional

    Returns
    -------
    list of Axes
        Over time, histogram, quantiles, correlogram.

    Raises
    ------
    ValueError
        If there are several sequences, or fewer than 3 innovations, or `feature` is none of the features.
    TypeError
        If `model_or_innovations` is none of these, a model comes without `X`, or `figure` is no Figure.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from statespace import plotting
    >>> innovations = np.random.default_rng(0).standard_normal(200)
    >>> axes = plotting.innovations_diagnostics(innovations, figure=Figure(figsize=(10, 6)), n_lags=20)
    >>> len(axes)
    4

    """
    series = _series(model_or_innovations, X, times)
    if not 0 <= check_integer("feature", feature) < series.values.shape[1]:
        raise ValueError(f"feature is {feature}, expected 0..{series.values.shape[1] - 1}")
    z = series.values[:, feature]
    n_seen = int(np.count_nonzero(~np.isnan(z)))
    if n_seen < _FEWEST:
        raise ValueError(f"innovations are {n_seen} numbers that are not missing, expected at least {_FEWEST}")
    n = len(z)
    if n_lags is None:
        n_lags = max(1, min(int(10 * np.log10(n)), n // 2))
    elif not 1 <= check_integer("n_lags", n_lags) < n:
        raise ValueError(f"n_lags is {n_lags}, expected 1..{n - 1}: there are {n} steps")

    axes = new_panels(figure, 2, 2, (10.0, 5.6))
    _over_time(axes[0], series.times, z)
    _histogram(axes[1], z[~np.isnan(z)])
    _quantiles(axes[2], np.sort(z[~np.isnan(z)]))
    _correlogram(axes[3], z, n_lags)
    for ax in axes:
        plain_frame(ax)
    title_of_panels(axes, title)
    return axes


def _series(model_or_innovations: Any, X: Any, times: Any) -> Series:
    """Standardised innovations of every feature."""
    found = model_or_innovations
    if hasattr(found, "diagnostics"):
        if X is None:
            raise TypeError("a model has innovations of what was observed: give X")
        found = found.diagnostics(X)
    features = found if isinstance(found, list) and found and hasattr(found[0], "ljung_box") else [found]
    if all(hasattr(feature, "ljung_box") for feature in features):  # Diagnostics, one a feature
        found = np.column_stack([feature.innovations for feature in features])
    elif hasattr(found, "innovation_cov"):
        raise TypeError("the innovations of a FilterResult are not standardised: give the model and X, or diagnostics")
    if X is not None:
        seen = read_series(X, times, support="reals")
        if len(seen) != len(found):
            raise ValueError(f"there are innovations of {len(found)} steps, but X has {len(seen)}")
        times = seen.times
    return read_series(found, times, support="reals")


def autocorrelations(z: Floats, n_lags: int) -> tuple[Floats, Floats]:
    r"""Correlations at lags 1..n_lags, and the half-width of the band that holds each with 95% were there none.

        c_k = (n - k) / n * mean of (z_t - m) (z_{t+k} - m) over the pairs that are there,      r_k = c_k / c_0

    which without missing steps is the classical estimate (Parzen 1963); NaN where there is no pair. The variance of r_k
    is ((n - k) / n)^2 / n_pairs. Missing steps before the first and after the last are not counted in n.
    """
    seen = np.flatnonzero(~np.isnan(z))
    z = z[seen[0] : seen[-1] + 1]
    there = ~np.isnan(z)
    centred = np.where(there, z - z[there].mean(), 0.0)
    n = len(z)
    c0 = float(centred @ centred) / np.count_nonzero(there)
    r, half = np.full(n_lags, np.nan), np.full(n_lags, np.nan)
    for k in range(1, n_lags + 1):
        n_pairs = np.count_nonzero(there[:-k] & there[k:])  # none beyond the last
        if n_pairs and c0 > 0:
            shrink = (n - k) / n
            r[k - 1] = shrink * float(centred[:-k] @ centred[k:]) / n_pairs / c0
            half[k - 1] = _WITHIN * shrink / np.sqrt(n_pairs)
    return r, half


def _over_time(ax: Axes, times: Array, z: Floats) -> None:
    ends = edges(times)
    ax.axhspan(-_WITHIN, _WITHIN, color=FAINT, alpha=0.45, linewidth=0, zorder=0, gid="band")
    ax.axhline(0.0, color=SOFT, linewidth=0.8, zorder=1)
    look: dict[str, Any] = {"color": INK, "linewidth": 0.8, "zorder": 3, "marker": "o", "markeredgewidth": 0}
    ax.plot(times, z, markersize=3.0 if len(z) <= 150 else 1.5, gid="innovations", **look)
    ax.set_xlim(ends[0], ends[-1])
    finish(ax, "Over time, and the band of 95%")


def _histogram(ax: Axes, z: Floats) -> None:
    reach = max(3.2, float(np.abs(z).max()) * 1.02)
    ax.hist(z, bins="auto", density=True, color=BLUE, alpha=0.45, edgecolor="white", linewidth=0.6, gid="histogram")
    x = np.linspace(-reach, reach, 201)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    ax.plot(x, density, color=ACCENT, linewidth=1.8, label="N(0, 1)", gid="density")
    ax.set_xlim(-reach, reach)
    ax.set_yticks([])
    ax.legend(frameon=False, fontsize="small")
    finish(ax, "Histogram")


def _quantiles(ax: Axes, z: Floats) -> None:
    """Sorted innovations against the quantiles of N(0, 1), in the band that holds each with 95%."""
    from scipy.special import betaincinv, ndtri

    n = len(z)
    i = np.arange(1, n + 1)
    expected = ndtri(i / (n + 1))
    low, high = (ndtri(betaincinv(i, n + 1 - i, p)) for p in (0.025, 0.975))  # of the i-th smallest of n
    ax.fill_between(expected, low, high, color=FAINT, alpha=0.6, linewidth=0, zorder=0, gid="band")
    ax.plot(expected, expected, color=ACCENT, linewidth=1.4, zorder=2)
    ax.plot(expected, z, "o", color=INK, markersize=2.5, markeredgewidth=0, zorder=3, gid="quantiles")
    ax.set(xlabel="quantile of N(0, 1)", ylabel="innovation")
    finish(ax, "Quantiles")


def _correlogram(ax: Axes, z: Floats, n_lags: int) -> None:
    r, half = autocorrelations(z, n_lags)
    lags = np.arange(1, n_lags + 1)
    ax.fill_between(lags, -half, half, color=FAINT, alpha=0.6, linewidth=0, zorder=0, gid="band")
    ax.axhline(0.0, color=SOFT, linewidth=0.8, zorder=1)
    outside = np.abs(r) > half
    for chosen, colour in ((~outside, BLUE), (outside, ACCENT)):
        ax.vlines(lags[chosen], 0.0, r[chosen], color=colour, linewidth=2.0, zorder=2)
        ax.plot(lags[chosen], r[chosen], "o", color=colour, markersize=3.5, zorder=3, gid="correlations")
    reach = 1.15 * float(np.nanmax(np.maximum(np.abs(r), half), initial=0.1))
    ax.set(xlabel="lag", ylim=(-reach, reach), xlim=(0.4, n_lags + 0.6))
    ax.xaxis.get_major_locator().set_params(integer=True)
    finish(ax, "Correlations")
