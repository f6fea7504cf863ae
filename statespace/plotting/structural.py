"""A series taken apart: what each component adds, each in a panel of its own, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.foundations.validation import check_probability
from statespace.plotting.axes import BLUE, SOFT, finish, plain_frame, plain_text, shortly
from statespace.plotting.bands import draw_band, draw_dots, shade_missing
from statespace.plotting.panels import new_panels, title_of_panels
from statespace.plotting.series import edges, read_series, read_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_PANEL = 1.7
"""Inches of height that a panel takes."""


def components(
    model_or_decomposition: Any,
    X: Any = None,
    figure: Figure | SubFigure | None = None,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.9,
    times: Any = None,
    title: str | None = None,
) -> list[Axes]:
    """Draw each component of a series in a panel: its mean in the band that holds it with probability `level`.

    The observations are dots in the panel of the first component, which is the level where there is one; stretches
    without any are shaded in all panels.

    Parameters
    ----------
    model_or_decomposition : fitted model or Decomposition
        A model, of which `decompose(X)` is drawn; or what it returned: an object that has `mean`, arrays (n_samples,)
        by name, and `interval(name, level)`.
    X : sequence of length n_samples, optional
        What was observed; may be left out beside a decomposition.
    figure : Figure or SubFigure, optional
        Where to draw, empty; a new one if None.
    names : sequence of str, optional
        Which components, in which order; by default all.
    level : float
        Probability of the bands, in (0, 1).
    times : sequence of length n_samples, optional
        Numbers or dates, in the place of X's own index.
    title : str, optional

    Returns
    -------
    list of Axes
        One for each component.

    Raises
    ------
    ValueError
        If there is no component of one of the names, or X is several sequences or not as long as the components.
    TypeError
        If `model_or_decomposition` is neither, a model comes without `X`, or `figure` is no Figure.

    """
    check_probability("level", level)
    found = _decomposition(model_or_decomposition, X)
    if names is None:
        names = list(found.mean)
    elif not len(names) or not set(names) <= set(found.mean):
        raise ValueError(f"names is {list(names)}, but the components are {list(found.mean)}")
    means = {name: np.asarray(found.mean[name], dtype=np.float64) for name in names}
    n = len(next(iter(means.values())))
    seen = None if X is None else read_series(X, times, support="reals")
    if seen is not None and len(seen) != n:
        raise ValueError(f"the components have {n} steps, but X has {len(seen)}")
    at = read_times(getattr(found, "index", None) if times is None else times, n, given=times is not None)
    if seen is not None:
        at = seen.times

    axes = new_panels(figure, len(names), 1, (9.0, 0.4 + _PANEL * len(names)), sharex=True)
    ends = edges(at)
    for number, (ax, name) in enumerate(zip(axes, names, strict=True)):
        low, high = (np.asarray(bound, dtype=np.float64).reshape(n) for bound in found.interval(name, level))
        draw_band(ax, at, means[name], low, high, colour=BLUE)
        if seen is not None:
            shade_missing(ax, at, seen.values[:, 0])
            if number == 0:
                draw_dots(ax, at, seen.values[:, 0])
        bottom, top = ax.get_ylim()
        if bottom < 0 < top:
            ax.axhline(0.0, color=SOFT, linewidth=0.7, zorder=1)
        ax.set_xlim(ends[0], ends[-1])
        ax.set_ylim(bottom, top)
        plain_frame(ax)
        finish(ax, plain_text(name))
    title_of_panels(axes, title)
    return axes


def _decomposition(model_or_decomposition: Any, X: Any) -> Any:
    """What has a mean and an interval of each component."""
    found = model_or_decomposition
    if hasattr(found, "decompose"):
        if X is None:
            raise TypeError("a model takes apart what was observed: give X")
        found = found.decompose(X)
        if isinstance(found, list):
            raise ValueError(f"X is {len(found)} sequences, and a picture has room for one: draw X[0]")
    if not (hasattr(found, "interval") and isinstance(getattr(found, "mean", None), Mapping)):
        raise TypeError(
            f"model_or_decomposition is {shortly(found)}, expected a fitted model with decompose, or what it returned"
        )
    if not found.mean:
        raise ValueError("the decomposition has no components")
    return found
