"""A mean with the interval around it, the dots of what was observed, and the stretches where nothing was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.plotting.axes import FAINT, INK
from statespace.plotting.series import edges
from statespace.protocols import Array, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SMALL = 150
"""Steps from which dots are drawn smaller."""


def draw_band(
    ax: Axes, times: Array, mean: Floats, low: Floats, high: Floats, *, colour: str, label: str | None = None
) -> None:
    """Draw a mean as a line, and from low to high a tint of its colour; both break where they are NaN."""
    look: dict[str, Any] = {"color": colour, "alpha": 0.25, "linewidth": 0, "zorder": 2, "gid": "interval"}
    ax.fill_between(times, low, high, **look)
    ax.plot(times, mean, color=colour, linewidth=1.6, zorder=3, label=label, gid="mean")


def draw_dots(ax: Axes, times: Array, values: Floats, *, label: str | None = "observed") -> None:
    """Draw observations as dots, which do not hide the line through them."""
    size = 3.5 if len(values) <= _SMALL else 1.6
    look: dict[str, Any] = {"color": INK, "markersize": size, "markeredgewidth": 0, "alpha": 0.75, "zorder": 4}
    ax.plot(times, values, "o", label=label, gid="observations", **look)


def shade_missing(ax: Axes, times: Array, values: Floats) -> None:
    """Shade the stretches in which nothing was observed."""
    missing = np.concatenate([[False], np.isnan(values), [False]])
    starts, ends = np.flatnonzero(missing[1:] & ~missing[:-1]), np.flatnonzero(missing[:-1] & ~missing[1:])
    border = edges(times)
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        ax.axvspan(border[first], border[last], color=FAINT, alpha=0.45, linewidth=0, zorder=0, gid="missing")
