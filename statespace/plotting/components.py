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
    decomposition: Any,
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
    decomposition : Decomposition or mapping of name to component
        What `decompose` returns; or components that have `mean` (n_samples,) and `interval(level)`.
    X : sequence of length n_samples, optional
        What was observed.
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
        If `decomposition` has no components, or `figure` is no Figure.

    """
    check_probability("level", level)
    parts = _parts(decomposition)
    if names is not None:
        strange = [name for name in names if name not in parts]
        if strange or not len(names):
            raise ValueError(f"names has {strange or 'nothing'}, but the components are {list(parts)}")
        parts = {name: parts[name] for name in names}
    means = {name: np.asarray(part.mean, dtype=np.float64) for name, part in parts.items()}
    n = len(next(iter(means.values())))
    seen = None if X is None else read_series(X, times, support="reals")
    if seen is not None and len(seen) != n:
        raise ValueError(f"the components have {n} steps, but X has {len(seen)}")
    at = read_times(getattr(decomposition, "index", None) if times is None else times, n, given=times is not None)
    if seen is not None:
        at = seen.times

    axes = new_panels(figure, len(parts), 1, (9.0, 0.4 + _PANEL * len(parts)), sharex=True)
    ends = edges(at)
    for number, (ax, (name, part)) in enumerate(zip(axes, parts.items(), strict=True)):
        low, high = (np.asarray(bound, dtype=np.float64).reshape(n) for bound in part.interval(level))
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


def _parts(decomposition: Any) -> dict[str, Any]:
    """Components by name."""
    found = getattr(decomposition, "components", decomposition)
    if not isinstance(found, Mapping) or not all(
        hasattr(part, "mean") and hasattr(part, "interval") for part in found.values()
    ):
        raise TypeError(
            f"decomposition is {shortly(decomposition)}, expected what decompose returned: components by name, each "
            "with mean and interval"
        )
    if not found:
        raise ValueError("the decomposition has no components")
    return {str(name): part for name, part in found.items()}
