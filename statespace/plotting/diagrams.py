"""The graphical models of sequences: which variable depends on which (after Bishop, PRML, 2006, chapter 13).

    iid      p(x_1, ..., x_N) = prod_n p(x_n)
    markov   p(x_1, ..., x_N) = prod_n p(x_n | x_{n-M}, ..., x_{n-1})
    hmm      p(x_1, ..., x_N, z_1, ..., z_N) = prod_n p(z_n | z_{n-M}, ..., z_{n-1}) p(x_n | z_n)

A circle is a random variable, shaded where it is observed beside others that are not; an arrow leads to x_n from each
variable that its factor is conditioned on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from statespace.foundations.validation import check_choice, check_integer
from statespace.plotting.arrows import bow, outline, outside
from statespace.plotting.axes import INK, SOFT, axes_or_new, finish, points_per_unit, shortly
from statespace.protocols import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RADIUS = 0.42
_SPACING = 1.5
_DROP = 1.45
_SHADE = "#d3dfeb"
_MARGIN = 0.13
"""Least distance of an arc to a circle that it passes."""


@dataclass(frozen=True)
class _Node:
    """A variable in its place."""

    name: str
    at: tuple[float, float]
    shaded: bool


def graphical_model(
    kind: Literal["iid", "markov", "hmm", "state_space"] = "markov",
    order: int = 1,
    n: int = 4,
    ax: Axes | None = None,
    *,
    ellipsis: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw the graph of a model of x_1, ..., x_n: a circle a variable, an arrow a dependence.

    Parameters
    ----------
    kind : {"iid", "markov", "hmm", "state_space"}
        "iid": no arrows; "markov": arrows to x_n from the `order` variables before it; "hmm" and "state_space": the
        same among hidden z_n, and from each z_n to an observed (shaded) x_n.
    order : int
        Order M of the chain, at least 1; "iid" has none and ignores it.
    n : int
        Number of steps to draw, at least 1.
    ax : Axes, optional
        Where to draw; a new figure if None.
    ellipsis : bool
        Whether dots say that the sequence goes on, with the arrows that lead to its next variable in grey.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `kind` is unknown, or `order` or `n` is below 1.
    TypeError
        If `kind` is no text, `order` or `n` no integer, or `ax` no Axes.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning, Springer 2006, figures 13.2 to 13.5.
    """
    if not isinstance(kind, str):
        raise TypeError(f"kind is {shortly(kind)}, expected 'iid', 'markov', 'hmm' or 'state_space'")
    check_choice("kind", kind, ("iid", "markov", "hmm", "state_space"))
    n = check_integer("n", n, minimum=1)
    order = 0 if kind == "iid" else check_integer("order", order, minimum=1)
    hidden = kind in ("hmm", "state_space")

    chain = [np.array([_SPACING * step, 0.0]) for step in range(n + 1)]  # the last is where the dots stand
    nodes = [_Node(f"{'z' if hidden else 'x'}_{{{i + 1}}}", tuple(chain[i]), shaded=False) for i in range(n)]
    arrows = [(i, j) for j in range(n) for i in range(max(j - order, 0), j)]
    going_on = [(i, n) for i in range(max(n - order, 0), n)] if ellipsis else []
    # lags 2, 4, ... run above and 3, 5, ... below, unless observed variables hang there
    below_too = not hidden
    lines = {(i, j): _arc(chain, i, j, below_too) for i, j in arrows + going_on}
    if hidden:
        for i in range(n):
            below = chain[i] - np.array([0.0, _DROP])
            nodes.append(_Node(f"x_{{{i + 1}}}", tuple(below), shaded=True))

    right = chain[n if ellipsis else n - 1][0] + (0.45 if ellipsis else _RADIUS + 0.08)
    height = max([line[:, 1].max() for line in lines.values()] + [_RADIUS]) + 0.12
    depth = min([line[:, 1].min() for line in lines.values()] + [-_RADIUS - (_DROP if hidden else 0)]) - 0.12
    low, high = (-_RADIUS - 0.08, depth), (right, height)
    unit = 0.62  # inches
    ax = axes_or_new(ax, (unit * (high[0] - low[0]) + 0.2, unit * (high[1] - low[1]) + 0.2))
    ax.set_aspect("equal")
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.axis("off")

    for i, j in going_on:
        _draw_arrow(ax, lines[i, j], "#a9b3bd", "continuation")
    for i, j in arrows:
        _draw_arrow(ax, lines[i, j], INK, "edge")
    for i in range(n if hidden else 0):
        top, bottom = chain[i], chain[i] - np.array([0.0, _DROP])
        _draw_arrow(ax, outside(bow(top, bottom, 0.0), top, _RADIUS, bottom, _RADIUS), INK, "edge")
    _draw_nodes(ax, nodes)
    if ellipsis:
        size = min(0.42 * points_per_unit(ax), 20.0)
        for row in (0.0, -_DROP) if hidden else (0.0,):
            ax.text(chain[n][0], row, r"$\cdots$", ha="center", va="center", color=SOFT, fontsize=size, gid="ellipsis")
    return finish(ax, title)


def _arc(chain: list[Floats], i: int, j: int, below_too: bool) -> Floats:
    """Return the visible way from place i to place j: straight to a neighbour, else past the circles between them.

    The longer the way, the wider its arc; the dots that stand for what follows take the room of a small circle.
    """
    start, end, lag = chain[i], chain[j], j - i
    side = -1 if below_too and lag % 2 else 1
    clearance = _RADIUS + _MARGIN + 0.17 * ((lag - 2) // 2 if below_too else lag - 2)
    points = bow(start, end, 0.0)
    for rise in np.arange(0.0, 2.0 + lag, 0.05) if lag > 1 else ():
        points = bow(start, end, side * float(rise) / float(end[0] - start[0]))
        gaps = np.linalg.norm(points[:, None] - np.array(chain[i + 1 : j])[None], axis=2)
        if gaps.min() > clearance:
            break
    return outside(points, start, _RADIUS, end, 0.3 if j == len(chain) - 1 else _RADIUS)


def _draw_arrow(ax: Axes, line: Floats, color: str, gid: str) -> None:
    """Draw one arrow along its way, from edge to edge of the circles."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    shape = outline(line, width=0.03, head_length=0.2, head_width=0.17)
    ax.add_artist(PathPatch(Path(shape, closed=True), facecolor=color, edgecolor="none", zorder=2, gid=gid))


def _draw_nodes(ax: Axes, nodes: list[_Node]) -> None:
    """Draw the circles and write their names into them."""
    from matplotlib.patches import Circle

    unit = points_per_unit(ax)
    for node in nodes:
        face = _SHADE if node.shaded else "white"
        circle = Circle(node.at, _RADIUS, facecolor=face, edgecolor=INK, linewidth=min(1.2, 0.05 * unit), zorder=3)
        circle.set_gid("observed" if node.shaded else "variable")
        ax.add_artist(circle)
        size = min(0.36 * unit, 18.0)
        ax.text(*node.at, f"${node.name}$", ha="center", va="center", color=INK, fontsize=size, zorder=4, gid="name")
