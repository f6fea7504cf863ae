"""How an iterative fit went: the log-likelihood after each iteration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.plotting.axes import ACCENT, BLUE, FAINT, axes_or_new, finish, plain_frame, plain_text, shortly
from statespace.plotting.states import state_colours
from statespace.protocols import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def likelihood_history(
    model_or_monitor: Any, ax: Axes | None = None, *, gains: bool = False, title: str | None = None
) -> Axes:
    """Draw the objective of a fit, the log-likelihood unless there is a prior, against the iteration.

    Parameters
    ----------
    model_or_monitor : fitted model, ConvergenceMonitor, sequence of numbers, or mapping of name to one of these
        What has a history; of several each is a line.
    ax : Axes, optional
        Where to draw; a new figure if None.
    gains : bool
        Draw what each iteration gained instead, on a logarithmic scale, with the threshold below which a fit has
        converged: it shows how fast, and whether at all, it does.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If there is no history, as before a fit, or `ax` is no Axes.
    """
    fits = model_or_monitor if isinstance(model_or_monitor, Mapping) else {"": model_or_monitor}
    if not fits:
        raise TypeError("there is no fit to draw: the mapping is empty")
    histories = {str(name): _history(fit) for name, fit in fits.items()}

    ax = axes_or_new(ax, (5.4, 3.2))
    ax.grid(axis="y", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    colours = [BLUE] if len(fits) == 1 else state_colours(len(fits))
    for (name, history), colour in zip(histories.items(), colours, strict=True):
        first, line = (2, np.maximum(np.diff(history), 0.0)) if gains else (1, history)
        marker = "o" if len(line) <= 40 else ""
        numbers = np.arange(first, first + len(line))
        label = plain_text(name) if name else None
        style: dict[str, Any] = {"linewidth": 1.4, "markersize": 4, "color": colour, "label": label}
        ax.plot(numbers, np.where(line > 0, line, np.nan) if gains else line, marker=marker, gid="history", **style)
    if gains:
        ax.set_yscale("log")
        ax.set_ylabel("gain (nats)")
        _threshold(ax, fits)
    else:
        ax.set_ylabel("log-likelihood (nats)")
        ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel("iteration")
    ax.xaxis.get_major_locator().set_params(integer=True)
    plain_frame(ax)
    if len(fits) > 1:
        ax.legend(frameon=False, fontsize="small")
    return finish(ax, title)


def _threshold(ax: Axes, fits: Mapping[Any, Any]) -> None:
    """Mark the gain at which the one fit, or all, have converged."""
    found = {getattr(getattr(fit, "monitor_", fit), "threshold", None) for fit in fits.values()}
    threshold = found.pop() if len(found) == 1 else None
    if not threshold or threshold < 0:
        return
    ax.axhline(threshold, color=ACCENT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    above: dict[str, Any] = {"textcoords": "offset points", "ha": "left", "va": "bottom", "fontsize": "small"}
    place = (0.0, threshold)
    said = f"converged below {threshold:.2g}"
    ax.annotate(said, place, (2, 2), xycoords=("axes fraction", "data"), color=ACCENT, **above)


def _history(fit: Any) -> Floats:
    monitor = getattr(fit, "monitor_", fit)
    values = getattr(monitor, "history", monitor)
    try:
        found = np.array([float(value) for value in values])
    except (TypeError, ValueError):
        found = np.empty(0)
    if not found.size:
        raise TypeError(
            f"model_or_monitor is {shortly(fit)} without a history: give a model after fit, its monitor_, or numbers"
        )
    return found
