"""Where a decoder looks: the alignment of what is written with what was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.plotting.axes import FAINT, INK, SOFT, axes_or_new, finish, no_frame, plain_text, shortly
from statespace.protocols import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL = 0.3  # inches
_MOST_TICKS = 40


def attention_weights(
    weights: Any,
    source: Sequence[Any] | None = None,
    target: Sequence[Any] | None = None,
    ax: Axes | None = None,
    *,
    colorbar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw attention as a heat map: a row for each symbol that is written, a column for each step that was read.

    Colour runs from 0 to 1 in every picture; rows sum to 1.

    Parameters
    ----------
    weights : (target length, source length)
        One of those that `SequenceToSequence.attention_weights` returned.
    source, target : sequences, optional
        What was read and what is written, symbol by symbol; numbers of the steps if None.
    ax : Axes, optional
        Where to draw; a new figure if None.
    colorbar : bool
        Whether to add a colour bar.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If `weights` holds no numbers, or `ax` is no Axes.
    ValueError
        If its shape is not that of the symbols, or rows do not sum to 1.

    """
    a = _checked(weights)
    rows, columns = _names("target", target, a.shape[0]), _names("source", source, a.shape[1])
    width, height = (min(max(_CELL * n, 1.5), 8.0) for n in (len(columns), len(rows)))
    margins = [0.07 * max(map(len, names)) for names in (rows, columns)]
    ax = axes_or_new(ax, (width + 0.7 + margins[0] + 0.9 * colorbar, height + 0.7 + margins[1]))
    square = max(a.shape) * _CELL <= 8.0
    image = ax.imshow(
        a, cmap="Blues", vmin=0, vmax=1, aspect="equal" if square else "auto", interpolation="nearest", gid="weights"
    )
    if max(a.shape) <= _MOST_TICKS:  # guides between cells
        ax.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
        ax.grid(which="minor", color=FAINT, linewidth=0.4)
    no_frame(ax)
    ax.xaxis.set_ticks_position("top")
    ax.xaxis.set_label_position("top")
    ax.tick_params(which="both", length=0)
    across, down = (range(0, len(names), -(-len(names) // _MOST_TICKS)) for names in (columns, rows))
    upright = max(map(len, columns)) > 2
    ax.set_xticks(list(across), [columns[s] for s in across], rotation=90 if upright else 0)
    ax.set_yticks(list(down), [rows[t] for t in down])
    ax.set_xlabel("read", color=SOFT)
    ax.set_ylabel("written", color=SOFT)
    if colorbar:
        beside = ax.inset_axes((1.03, 0.0, 0.03, 1.0))
        bar = ax.figure.colorbar(image, cax=beside, ticks=[0, 0.5, 1])
        bar.set_label("attention", color=SOFT)
        bar.outline.set_visible(False)
        beside.tick_params(color=SOFT, labelcolor=INK, labelsize="small")
    return finish(ax, title)


def _checked(weights: Any) -> Floats:
    try:
        a = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"weights is {shortly(weights)}, expected numbers, (target length, source length)") from None
    if a.ndim != 2 or not a.size:
        raise ValueError(f"weights has shape {a.shape}, expected (target length, source length), neither of them 0")
    sums = a.sum(axis=1)
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= 1e-3))
    if len(wrong):
        raise ValueError(f"row {wrong[0]} of weights sums to {sums[wrong[0]]:.4g}, expected 1")
    return a


def _names(name: str, given: Sequence[Any] | None, n: int) -> list[str]:
    if given is None:
        return [str(i) for i in range(n)]
    if len(given) != n:
        at = "rows" if name == "target" else "columns"
        raise ValueError(f"{name} has {len(given)} symbols, and weights {n} {at}: one for each")
    return ["␣" if symbol == " " else plain_text(symbol) for symbol in given]
