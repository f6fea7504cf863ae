"""The path of something that moves in the plane: where it was observed, and where it most likely went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.foundations.validation import check_integer, check_probability
from statespace.plotting.axes import ACCENT, BLUE, axes_or_new, finish, plain_frame
from statespace.plotting.bands import draw_dots
from statespace.plotting.series import read_series
from statespace.plotting.smoothed import state_moments
from statespace.protocols import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CORNERS = 48
"""Corners of a drawn ellipse."""


def smoothed_path(
    model_or_result: Any,
    X: Any = None,
    ax: Axes | None = None,
    *,
    states: tuple[int, int] = (0, 1),
    features: tuple[int, int] = (0, 1),
    level: float = 0.9,
    title: str | None = None,
) -> Axes:
    """Draw two states against each other: the path of their means, and around each step the ellipse that holds them.

        {z : (z - m)^T V^-1 (z - m) <= -2 log(1 - level)}

    Observations are dots, and the start of the path is marked. A step's ellipse is wide where nothing was observed.

    Parameters
    ----------
    model_or_result : fitted model, SmoothResult or FilterResult
        A model, of which `smooth(X)` is drawn; or a result, as in `smoothed_states`.
    X : (n_samples, n_features), optional
        What was observed; may be left out beside a result.
    ax : Axes, optional
        Where to draw; a new figure if None.
    states : (int, int)
        The states to the right, and upwards.
    features : (int, int)
        The features of X that observe them.
    level : float
        Probability of the ellipses, in (0, 1).
    title : str, optional

    Returns
    -------
    Axes
        With the same scale in both directions.

    Raises
    ------
    ValueError
        If `X` is several sequences or not as long as the states, or there is no such state or feature.
    TypeError
        If `model_or_result` is neither, a model comes without `X`, or `ax` is no Axes.

    """
    check_probability("level", level)
    mean, cov, _ = state_moments(model_or_result, X)
    across, up = _two("states", states, mean.shape[1])
    mean, cov = mean[:, [across, up]], cov[:, [[across], [up]], [across, up]]
    seen = None if X is None else read_series(X, support="reals").values
    if seen is not None:
        if len(seen) != len(mean):
            raise ValueError(f"there are states of {len(mean)} steps, but X has {len(seen)}")
        seen = seen[:, list(_two("features", features, seen.shape[1]))]

    ax = axes_or_new(ax, (6.0, 5.0))
    from matplotlib.collections import PolyCollection

    known = ~np.isnan(mean).any(axis=1)
    ellipses = _ellipses(mean[known], cov[known], float(np.sqrt(-2.0 * np.log1p(-level))))
    ax.add_collection(PolyCollection(ellipses, facecolor=BLUE, alpha=0.14, linewidth=0, zorder=2, gid="ellipses"))
    ax.plot(mean[:, 0], mean[:, 1], color=BLUE, linewidth=1.6, zorder=3, gid="mean", label="mean")
    if known.any():
        ax.plot(*mean[known][0], "o", color=ACCENT, markersize=7, zorder=5, gid="start", label="start")
    if seen is not None:
        draw_dots(ax, seen[:, 0], seen[:, 1])
    ax.set_aspect("equal", adjustable="datalim")
    ax.autoscale_view()
    plain_frame(ax)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize="small", borderaxespad=0.2)
    return finish(ax, title)


def _two(name: str, places: Any, size: int) -> tuple[int, int]:
    """Two numbers of states or features, checked."""
    if not isinstance(places, list | tuple) or len(places) != 2:
        raise ValueError(f"{name} is {places!r:.60}, expected two numbers: one to the right, and one upwards")
    for place in places:
        if not 0 <= check_integer(name, place) < size:
            raise ValueError(f"{name} names {place}, expected 0..{size - 1}")
    return int(places[0]), int(places[1])


def _ellipses(mean: Floats, cov: Floats, radius: float) -> Floats:
    """Corners of the ellipse around each mean, shape (n, corners, 2); of a singular covariance it is a stroke."""
    variances, axes = np.linalg.eigh(cov)
    turn = np.linspace(0.0, 2.0 * np.pi, _CORNERS, endpoint=False)
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    roots = axes * np.sqrt(np.maximum(variances, 0.0))[:, None, :]
    found: Floats = mean[:, None, :] + radius * circle @ roots.transpose(0, 2, 1)
    return found
