"""What happens inside recurrent networks: how gradients flow through time, powers of a matrix, gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.foundations.validation import check_choice, check_integer
from statespace.plotting.axes import (
    ACCENT,
    BLUE,
    FAINT,
    INK,
    SOFT,
    axes_or_new,
    finish,
    plain_frame,
    plain_text,
    shortly,
)
from statespace.plotting.panels import new_panels, title_of_panels
from statespace.plotting.states import state_colours
from statespace.protocols import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_GATES = {
    "i": "i, input gate: how much is written",
    "f": "f, forget gate: how much of c is kept",
    "g": "g, candidate: what is written",
    "o": "o, output gate: how much of c is shown",
    "r": "r, reset gate: how much of h the candidate sees",
    "z": "z, update gate: how much of h is kept",
    "u": "u, leak: how much of h is kept",
    "n": "n, candidate: what is new",
    "c": "c, cell state",
    "h": "h, state",
}
_BETWEEN_0_AND_1 = ("i", "f", "o", "r", "z", "u")
_LINES = 4
"""Up to so many inputs are drawn as lines, more as a heat map."""


def gradient_flow(flows: Any, ax: Axes | None = None, *, norm: str = "spectral", title: str | None = None) -> Axes:
    """Draw how much the last state of networks depends on the states before it, on a logarithmic scale.

        |d s_T / d s_t|  against  T - t

    Of several rows the geometric mean is drawn, and the range in which all lie. Steps from which no path leads to the
    end are left out.

    Parameters
    ----------
    flows : GradientFlow, or mapping of name to GradientFlow
        What `neural.gradient_flow` returned; of several each is a line.
    ax : Axes, optional
        Where to draw; a new figure if None.
    norm : {"spectral", "frobenius"}
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If `flows` is neither, or `ax` is no Axes.

    """
    check_choice("norm", norm, ("spectral", "frobenius"))
    named = _by_name(flows, "flows", ("spectral", "frobenius", "lengths"), "GradientFlow")
    ax = axes_or_new(ax, (7.0, 4.0))
    ax.axhline(1.0, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1, gid="one")
    ends = []
    for (name, flow), colour in zip(named.items(), _colours(len(named)), strict=True):
        logs = _from_the_end(getattr(flow, norm), flow.lengths)
        steps = np.flatnonzero(~np.isnan(logs).all(axis=0))
        middle, low, high = (of(logs[:, steps], axis=0) for of in (np.nanmean, np.nanmin, np.nanmax))
        if len(logs) > 1:
            ax.fill_between(steps, 10.0**low, 10.0**high, color=colour, alpha=0.15, linewidth=0, gid="range")
        marker = "o" if len(steps) < len(logs[0]) and len(steps) <= 40 else ""
        ax.plot(steps, 10.0**middle, color=colour, marker=marker, markersize=3.5, linewidth=1.6, gid="flow")
        ends.append((name, float(steps[-1]), float(middle[-1]), colour))
    ax.set_yscale("log")
    ax.set(xlabel="steps back from the last, T - t", ylabel=r"$|\,\partial s_T / \partial s_t\,|$")
    _frame_of_lines(ax, ends)
    return finish(ax, title)


def powers(results: Any, ax: Axes | None = None, *, show: str = "norm", title: str | None = None) -> Axes:
    """Draw what became of a vector that a matrix was applied to again and again.

    Parameters
    ----------
    results : Powers, or mapping of name to Powers
        What `neural.powers` returned; of several each is a line.
    ax : Axes, optional
        Where to draw; a new figure if None.
    show : {"norm", "derivative", "plane"}
        |x_k| or |d x_k / d x_0| against k, on a logarithmic scale; or, of two numbers, the path of x_k in the plane.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a plane is wanted of what is not two numbers.
    TypeError
        If `results` is neither, or `ax` is no Axes.

    """
    check_choice("show", show, ("norm", "derivative", "plane"))
    named = _by_name(results, "results", ("x", "norms", "derivatives"), "Powers")
    if show == "plane":
        return _plane(named, ax, title)
    ax = axes_or_new(ax, (6.0, 3.6))
    ax.axhline(1.0, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1, gid="one")
    ends = []
    for (name, found), colour in zip(named.items(), _colours(len(named)), strict=True):
        values = found.norms if show == "norm" else found.derivatives
        k = np.flatnonzero(values > 0)  # zero is nowhere on a logarithmic scale
        marker = "o" if len(values) <= 30 else ""
        ax.plot(k, values[k], color=colour, marker=marker, markersize=3.5, linewidth=1.6, gid=show)
        if len(k):
            ends.append((name, float(k[-1]), float(np.log10(values[k[-1]])), colour))
    ax.set_yscale("log")
    label = {"norm": "$|x_k|$", "derivative": r"$|\,\partial x_k / \partial x_0\,|$"}[show]
    ax.set(xlabel="step k", ylabel=label)
    ax.xaxis.get_major_locator().set_params(integer=True)
    _frame_of_lines(ax, ends)
    return finish(ax, title)


def gates(
    network_or_gates: Any,
    X: Any = None,
    figure: Figure | SubFigure | None = None,
    *,
    layer: str = "l0",
    row: int = 0,
    names: Any = None,
    title: str | None = None,
) -> list[Axes]:
    """Draw the gates of a layer over time as heat maps, a panel each, units upwards, under what came in.

    Gates between 0, shut, and 1, open, go from white to blue; what can be negative from vermilion over white to blue.

    Parameters
    ----------
    network_or_gates : RecurrentNetwork, or mapping
        A network, whose gates for `X` are drawn; or what its `gates` returned, or one layer of that.
    X : (batch, time, input_size) or (time, input_size), optional
        What comes in; beside a mapping only drawn.
    figure : Figure, optional
        Where to draw; a new one if None.
    layer : str
        "l0", "l0_reverse", "l1", ...
    row : int
        Which row of the batch.
    names : sequence of str, optional
        Which gates, in which order; all if None.
    title : str, optional

    Returns
    -------
    list of Axes
        That of the inputs, if `X` is given, and one for each gate.

    Raises
    ------
    ValueError
        If there is no such layer, row or gate.
    TypeError
        If `network_or_gates` is neither, a network comes without `X`, or `figure` is no Figure.

    """
    inputs = None if X is None else _inputs(X, row)
    found = network_or_gates
    if hasattr(found, "gates"):
        if inputs is None:
            raise TypeError("a network has gates of what comes in: give X")
        found, row = found.gates(inputs[None]), 0
    if not isinstance(found, Mapping) or not found:
        raise TypeError(
            f"network_or_gates is {shortly(network_or_gates)}, expected a network, or what its gates(X) returned"
        )
    if isinstance(next(iter(found.values())), Mapping):
        if layer not in found:
            raise ValueError(f"layer is {layer!r}, expected one of {', '.join(found)}")
        found = found[layer]
    chosen = list(found) if names is None else list(names)
    if not chosen or not set(chosen) <= set(found):
        raise ValueError(f"names is {chosen}, but the gates are {list(found)}")
    panels = {name: _row(name, found[name], row) for name in chosen}

    count = len(panels) + (inputs is not None)
    axes = new_panels(figure, count, 1, (9.0, 0.6 + 1.05 * count), sharex=True)
    rest = list(axes)
    if inputs is not None:
        _draw_inputs(rest.pop(0), inputs)
    for ax, (name, values) in zip(rest, panels.items(), strict=True):
        _heat_map(ax, values, name in _BETWEEN_0_AND_1)
        finish(ax, _GATES.get(name, plain_text(name))).title.set_fontsize("medium")
    steps = len(next(iter(panels.values())))
    axes[-1].set_xlim(-0.5, steps - 0.5)
    axes[-1].set_xlabel("step")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    title_of_panels(axes, title)
    return axes


# --------------------------------------------------------------------------------------------------------------- lines


def _by_name(given: Any, name: str, fields: tuple[str, ...], kind: str) -> dict[str, Any]:
    """One result, or several by name."""
    several = given if isinstance(given, Mapping) else {"": given}
    if not several:
        raise TypeError(f"{name} is empty, expected a {kind} or a mapping of names to these")
    for one in several.values():
        if not all(hasattr(one, field) for field in fields):
            raise TypeError(f"{name} has {shortly(one)}, expected a {kind}, or a mapping of names to these")
    return {str(key): one for key, one in several.items()}


def _colours(n: int) -> list[Any]:
    return [BLUE] if n == 1 else state_colours(n)


def _from_the_end(norms: Array, lengths: Array) -> Array:
    """log10 by row and steps back, NaN where there are none, where the norm is 0 and where it has overflowed."""
    logs = np.full(norms.shape, np.nan)
    for row, n in enumerate(lengths):
        own = norms[row, : n + 1][::-1]
        there = (own > 0) & np.isfinite(own)
        logs[row, : n + 1][there] = np.log10(own[there])
    return logs


def _frame_of_lines(ax: Axes, ends: list[tuple[str, float, float, Any]]) -> None:
    """Name each line at its end; ends : name, place, log10 of the height, colour."""
    ax.grid(axis="y", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.minorticks_off()
    ax.margins(x=0.0)
    low, high = ax.get_ylim()
    if np.log10(high / low) < 2:  # too few powers of ten to read from
        middle = np.sqrt(high * low)
        ax.set_ylim(middle / 10, middle * 10)
    plain_frame(ax)
    named = [end for end in ends if end[0]]
    if not named:
        return
    bottom, top = np.log10(ax.get_ylim())
    points = 72 * ax.bbox.height / ax.figure.dpi / (top - bottom)  # of paper, for a power of ten
    heights = np.array([end[2] for end in named]) * points
    apart = _spread(heights, 12.0)
    crowded = bool((np.abs(apart - heights) > 3).any())
    for (name, place, height, colour), shift in zip(named, apart - heights, strict=True):
        text: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": "small"}
        if crowded:
            line = {"arrowstyle": "-", "color": colour, "linewidth": 0.8, "relpos": (0.0, 0.5)}
            text["arrowprops"] = {**line, "shrinkA": 0, "shrinkB": 1}
        where = (18 if crowded else 6, float(shift))
        ax.annotate(plain_text(name), (place, 10.0**height), where, gid="name", color=_darker(colour), **text)


def _darker(colour: Any) -> Any:
    """The colour of a line, dark enough for text."""
    from matplotlib.colors import to_rgb

    return tuple(0.7 * part for part in to_rgb(colour))


def _spread(heights: Array, gap: float) -> Array:
    """Heights moved as little as it takes to be `gap` apart, in the same order."""
    order = np.argsort(heights, kind="stable")
    groups: list[tuple[float, int]] = []  # middle and number of labels that touch
    for height in heights[order]:
        groups.append((float(height), 1))
        while len(groups) > 1:
            (below, m), (above, n) = groups[-2], groups[-1]
            if above - below >= gap * (m + n) / 2:
                break
            groups[-2:] = [((below * m + above * n) / (m + n), m + n)]
    moved = np.concatenate([middle + gap * (np.arange(n) - (n - 1) / 2) for middle, n in groups])
    found = np.empty(len(heights))
    found[order] = moved
    return found


def _plane(named: dict[str, Any], ax: Axes | None, title: str | None) -> Axes:
    for found in named.values():
        if found.x.shape[1] != 2:
            raise ValueError(f"a plane has room for 2 numbers, but x has {found.x.shape[1]}: show='norm'")
    ax = axes_or_new(ax, (4.6, 4.6))
    for (name, found), colour in zip(named.items(), _colours(len(named)), strict=True):
        label = plain_text(name) if name else None
        ax.plot(*found.x.T, "o-", color=colour, markersize=3.5, linewidth=1.0, gid="path", label=label)
    start = next(iter(named.values())).x[0]
    ax.plot(*start, "o", color=ACCENT, markersize=7, zorder=5, gid="start")
    beside: dict[str, Any] = {"textcoords": "offset points", "color": ACCENT, "fontsize": "small"}
    ax.annotate("$x_0$", tuple(start), (7, 5), **beside)
    ax.axhline(0.0, color=FAINT, linewidth=0.8, zorder=0)
    ax.axvline(0.0, color=FAINT, linewidth=0.8, zorder=0)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(xlabel="first number", ylabel="second number")
    plain_frame(ax)
    if len(named) > 1:
        ax.legend(frameon=False, fontsize="small")
    return finish(ax, title)


# --------------------------------------------------------------------------------------------------------------- gates


def _inputs(X: Any, row: int) -> Array:
    """One row of what comes in, shape (time, input_size)."""
    x = np.asarray(X, dtype=np.float64)
    if x.ndim not in (2, 3):
        raise ValueError(f"X has shape {x.shape}, expected (batch, time, input_size) or (time, input_size)")
    return x if x.ndim == 2 else _row("X", x, row)


def _row(name: str, values: Any, row: int) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 2:
        return array
    if array.ndim != 3:
        raise ValueError(f"{name} has shape {array.shape}, expected (batch, time, units) or (time, units)")
    if not 0 <= check_integer("row", row) < len(array):
        raise ValueError(f"row is {row}, expected 0..{len(array) - 1}")
    found: Array = array[row]
    return found


def _heat_map(ax: Axes, values: Array, between_0_and_1: bool) -> None:
    """Units upwards, steps to the right, with the scale beside."""
    from matplotlib.colors import LinearSegmentedColormap

    if between_0_and_1:
        low, high, colours = 0.0, 1.0, ["white", BLUE]
    else:
        high = max(1.0, float(np.abs(values).max(initial=0.0)))
        low, colours = -high, [ACCENT, "white", BLUE]
    cmap = LinearSegmentedColormap.from_list("gate", colours)
    steps, units = values.shape
    at: Any = (-0.5, steps - 0.5, -0.5, units - 0.5)
    image = ax.imshow(
        values.T,
        cmap=cmap,
        vmin=low,
        vmax=high,
        aspect="auto",
        origin="lower",
        extent=at,
        interpolation="nearest",
        gid="gate",
    )
    beside = ax.inset_axes((1.01, 0.0, 0.012, 1.0))
    bar = ax.figure.colorbar(image, cax=beside, ticks=[low, (low + high) / 2, high])
    bar.ax.tick_params(labelsize="small", labelcolor=INK, color=SOFT, length=2)
    bar.ax.set_yticklabels([f"{value:.3g}" for value in (low, (low + high) / 2, high)])
    bar.outline.set_visible(False)
    ax.set_ylabel("unit", fontsize="small")
    ax.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    plain_frame(ax)


def _draw_inputs(ax: Axes, inputs: Array) -> None:
    if inputs.shape[1] > _LINES:
        _heat_map(ax, inputs, False)
        ax.set_ylabel("input", fontsize="small")
    else:
        for j, colour in enumerate(_colours(inputs.shape[1])):
            style: dict[str, Any] = {"color": colour, "linewidth": 1.4, "label": f"x[{j}]", "gid": "input"}
            ax.step(np.arange(len(inputs)), inputs[:, j], where="mid", **style)
        plain_frame(ax)
        if inputs.shape[1] > 1:
            at: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.1}
            ax.legend(ncols=inputs.shape[1], frameon=False, fontsize="small", **at)
    finish(ax, "x, what comes in").title.set_fontsize("medium")
