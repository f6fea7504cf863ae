"""The days after the last as a fan: intervals that widen as the present is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.foundations.validation import check_integer, check_probability
from statespace.plotting.axes import ACCENT, BLUE, FAINT, axes_or_new, finish, plain_frame, plain_text, shortly
from statespace.plotting.series import Series, draw_series, edges, name_symbols, read_series, read_times, times_ahead
from statespace.protocols import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def forecast_fan(
    model_or_law: Any,
    X: Any = None,
    steps: int = 12,
    ax: Axes | None = None,
    *,
    levels: Sequence[float] = (0.5, 0.8, 0.95),
    times: Any = None,
    feature: int = 0,
    n_history: int | None = None,
    title: str | None = None,
) -> Axes:
    """Draw what was observed, and after it the central intervals of the forecast, the darker the narrower.

    A forecast of symbols has no intervals: it is drawn as tiles in the rows of the symbols, the darker the more
    probable.

    Parameters
    ----------
    model_or_law : fitted model or PredictiveLaw
        A model, of which `forecast(X, steps)` is drawn; or such a law.
    X : sequence, optional
        What was observed; may be left out beside a law.
    steps : int
        How many steps ahead; a law has its own number.
    ax : Axes, optional
        Where to draw; a new figure if None.
    levels : sequence of float
        Probabilities of the intervals, in (0, 1).
    times : sequence, optional
        Numbers or dates of X, in the place of its own index; the forecast goes on at the last distance.
    feature : int
        Which feature is drawn, of several.
    n_history : int, optional
        How many of the last observations to show; None for all.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `X` is several sequences, a level is no probability, or `feature` is none of the features.
    TypeError
        If `model_or_law` is neither, a model comes without `X`, or `ax` is no Axes.
    """
    law = _law(model_or_law, X, steps)
    shares = sorted((check_probability("levels", level) for level in levels), reverse=True)
    symbolic = law.symbols is not None  # several answers a step have none, and are drawn one by one
    past = None
    if X is not None:
        past = read_series(X, times, support="categories" if symbolic else "reals", symbols=law.symbols)
    ahead = _times(law, past, times)
    if not symbolic:
        n_features = np.asarray(law.interval(0.5).low).reshape(len(law), -1).shape[1]
        if not 0 <= check_integer("feature", feature) < n_features:
            raise ValueError(f"feature is {feature}, expected 0..{n_features - 1}")
        if past is not None:
            past = Series(past.values[:, [feature]], past.times, None, past.features[feature : feature + 1])
    if past is not None and n_history is not None:
        keep = check_integer("n_history", n_history, 1)
        past = Series(past.values[-keep:], past.times[-keep:], past.symbols, past.features)

    ax = axes_or_new(ax, (9.0, 3.0))
    if past is not None:
        draw_series(ax, past)
        border = (edges(past.times)[-1] + edges(ahead)[0]) / 2
        ax.axvline(border, color=FAINT, linewidth=1.2, zorder=0, gid="now")
    if symbolic:
        _draw_tiles(ax, law, ahead)
    else:
        _draw_bands(ax, law, ahead, shares, feature)
        if n_features > 1:
            ax.set_ylabel(f"feature {feature}" if past is None else past.features[0])
    plain_frame(ax)
    ax.margins(x=0.02)
    return finish(ax, title)


def _law(model_or_law: Any, X: Any, steps: int) -> Any:
    if hasattr(model_or_law, "interval") and hasattr(model_or_law, "support"):
        return model_or_law
    if not hasattr(model_or_law, "forecast"):
        raise TypeError(
            f"model_or_law is {shortly(model_or_law)}, expected a fitted model with forecast, or the law it returned"
        )
    if X is None:
        raise TypeError("a model's forecast goes on from what was observed: give X")
    found = model_or_law.forecast(X, steps)
    if isinstance(found, list):
        raise ValueError(f"X is {len(found)} sequences, and a picture has room for one: draw X[0]")
    return found


def _times(law: Any, past: Series | None, times: Any) -> Array:
    """The times of the forecast: its own, or those that follow."""
    if past is not None and (times is not None or law.index is None):
        return times_ahead(past.times, len(law))
    found = read_times(law.index, len(law), given=False)
    if past is not None and found.dtype.kind != past.times.dtype.kind:
        return times_ahead(past.times, len(law))
    return found


def _draw_bands(ax: Axes, law: Any, ahead: Array, shares: list[float], feature: int) -> None:
    x = np.repeat(edges(ahead), 2)[1:-1]
    for number, level in enumerate(shares):
        low, high = (np.asarray(bound).reshape(len(law), -1)[:, feature] for bound in law.interval(level))
        strength = 0.18 + 0.42 * (number + 1) / len(shares)
        look: dict[str, Any] = {"color": _tint(strength), "linewidth": 0, "zorder": 1 + number / 10, "gid": "interval"}
        ax.fill_between(x, np.repeat(low, 2), np.repeat(high, 2), label=f"{100 * level:g}%", **look)
    try:
        mean = np.asarray(law.mean)[:, feature]
    except AttributeError:  # the emission is a user's own, and has none
        pass
    else:
        ax.plot(ahead, mean, color=ACCENT, linewidth=1.8, zorder=3, label="mean", gid="mean")
    _explain(ax)


def _tint(strength: float) -> tuple[float, float, float]:
    """Blue on white paper, opaque, so that one band does not darken the next."""
    from matplotlib.colors import to_rgb

    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(BLUE))
    return red, green, blue


def _draw_tiles(ax: Axes, law: Any, ahead: Array) -> None:
    """A tile a step in the row of each symbol, the darker the more probable."""
    symbols = [plain_text(symbol) for symbol in law.symbols.tolist()]
    x = edges(ahead)
    for k in range(len(symbols)):
        colours = [_tint(p) for p in np.clip(law.probabilities[:, k], 0.0, 1.0)]
        look: dict[str, Any] = {"height": 0.8, "color": colours, "zorder": 2, "align": "edge", "gid": "probability"}
        ax.bar(x[:-1], bottom=k - 0.4, width=np.diff(x), **look)
    for p in (0.1, 0.5, 0.9):
        ax.fill_between([], [], color=_tint(p), label=f"{100 * p:.0f}%")
    _explain(ax)
    name_symbols(ax, symbols)


def _explain(ax: Axes) -> None:
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=5, frameon=False, fontsize="small", borderaxespad=0.2)
