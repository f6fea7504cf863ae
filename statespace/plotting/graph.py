"""A Markov chain as a graph: states, or contexts of several symbols, on a circle, and an arrow for each transition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.plotting.arrows import bow, loop, outline, outside, share_of_way
from statespace.plotting.axes import BLUE, INK, axes_or_new, finish, points_per_unit
from statespace.plotting.markov import TransitionTable, transition_table, written
from statespace.protocols import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CIRCLES = 16
_MOST_ARROWS_WITH_NUMBERS = 20
_RADIUS = 0.5
"""Of a state's circle, in data units; everything else is measured against it."""
_LOOP_DISTANCE, _LOOP_RADIUS = 0.68, 0.36
_BEND = 0.34
"""How far an arrow bows to its left, in data units."""
_CLEARANCE = 0.1
"""Least distance of an arrow to a circle that is neither its first nor its last."""


def transition_graph(
    model_or_matrix: Any,
    symbols: Sequence[Any] | None = None,
    ax: Axes | None = None,
    *,
    threshold: float = 0.01,
    numbers: bool | None = None,
    color: str = BLUE,
    title: str | None = None,
) -> Axes:
    """Draw a chain as a graph: states are circles, transitions are arrows, wider and darker the more probable.

    Arrows of probability below `threshold` (0.01 unless told otherwise) are left out, so an absent arrow does not say
    that a transition is impossible; `threshold=0` draws all of positive probability. For order M > 1 the circles
    are contexts of M symbols, the most recent last, in the order of a de Bruijn sequence: from each circle to the
    next there is a possible transition. A chain of order 0 is drawn as the chain of order 1 that forgets its past.

    Parameters
    ----------
    model_or_matrix : fitted model or array_like
        An object with `transmat_`, or probabilities of shape (K, K), (K,) * order + (K,) or (K**order, K).
    symbols : sequence of length K, optional
        Names of the symbols, in the place of the model's `symbols_`.
    ax : Axes, optional
        Where to draw; a new figure if None.
    threshold : float
        Smallest probability that gets an arrow, in [0, 1].
    numbers : bool, optional
        Whether to write probabilities beside the arrows; by default up to 20 arrows.
    color : str
        Colour of the arrows.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If the model was not fitted, the matrix holds no numbers, or `ax` is no Axes.
    ValueError
        If there are more than 16 circles to draw, `threshold` is not in [0, 1], or the probabilities are no chain's.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}, expected a probability in [0, 1]")
    table = transition_table(model_or_matrix, symbols)
    if table.order == 0:
        K = len(table.symbols)
        table = TransitionTable(np.repeat(table.probabilities, K, axis=0), np.arange(K)[:, None], table.symbols)
    n = len(table.contexts)
    if n > _MOST_CIRCLES:
        what = "states" if table.order == 1 else f"contexts of {table.order} symbols"
        raise ValueError(
            f"the chain has {n} {what}, more than the {_MOST_CIRCLES} circles that can be read: draw transition_matrix"
        )
    size = {1: (2.2, 2.6), 2: (4.8, 2.3), 3: (5.2, 5.2), 4: (5.2, 5.2)}.get(n, (3.0 + 0.45 * n,) * 2)
    ax = axes_or_new(ax, size)

    from matplotlib.patches import Circle, PathPatch
    from matplotlib.path import Path

    order = _around_the_circle(table)
    centres, outward = _positions(n)
    place = {tuple(table.contexts[c]): position for position, c in enumerate(order)}
    edges = []
    for position, c in enumerate(order):
        for k in range(len(table.symbols)):
            target = place.get((*table.contexts[c][1:].tolist(), k))
            p = table.probabilities[c, k]
            if target is not None and p > 0 and p >= threshold:
                edges.append((float(p), position, target))
    edges.sort()  # the most probable lie on top
    _fit(ax, centres)
    lines = _centre_lines(centres, outward, [(i, j) for _, i, j in edges])
    for (p, _, _), line in zip(edges, lines, strict=True):
        width = 0.015 + 0.1 * p
        shape = outline(line, width, head_length=0.14 + 0.8 * width, head_width=0.11 + 1.3 * width)
        arrow = PathPatch(Path(shape, closed=True), facecolor=color, edgecolor="none", alpha=0.3 + 0.7 * p, zorder=2)
        arrow.set_gid("transition")
        ax.add_artist(arrow)
    for centre in centres:
        ax.add_artist(Circle(tuple(centre), _RADIUS, facecolor="#eef3f8", edgecolor=INK, linewidth=1.1, zorder=3))
    _write_in_circles(ax, [[table.symbols[k] for k in table.contexts[c]] for c in order], centres)
    if numbers is None:
        numbers = len(edges) <= _MOST_ARROWS_WITH_NUMBERS
    if numbers:
        loops = [i == j for _, i, j in edges]
        _write_beside(ax, [written(p) for p, _, _ in edges], lines, loops, centres)
    return finish(ax, title)


def _around_the_circle(table: TransitionTable) -> list[int]:
    """Return the rows in the order of their places: as they are, or along a de Bruijn sequence of all contexts."""
    K, M = len(table.symbols), table.order
    if M == 1 or len(table.contexts) != K**M:
        return list(range(len(table.contexts)))
    row = {tuple(context): c for c, context in enumerate(table.contexts.tolist())}
    cycle = _de_bruijn(K, M)
    return [row[tuple(cycle[(start + lag) % len(cycle)] for lag in range(M))] for start in range(len(cycle))]


def _de_bruijn(K: int, M: int) -> list[int]:
    """Return the cycle that holds every word of M symbols once: the Lyndon words whose length divides M, joined."""
    cycle: list[int] = []
    word = [-1]
    while word:  # Duval's algorithm: Lyndon words up to length M, in lexicographic order
        word[-1] += 1
        if M % len(word) == 0:
            cycle += word
        word = [word[i % len(word)] for i in range(M)]
        while word and word[-1] == K - 1:
            word.pop()
    return cycle


def _positions(n: int) -> tuple[Floats, Floats]:
    """Return centres on a circle, clockwise from the top (two side by side), and directions away from its middle."""
    if n == 1:
        return np.zeros((1, 2)), np.array([[0.0, 1.0]])
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n + (np.pi / 2 if n == 2 else 0)
    outward = np.column_stack([np.cos(angle), np.sin(angle)])
    gap = {2: 2.6, 3: 3.6, 4: 2.6}.get(n, 2.1 if n < 6 else 1.75)
    return outward * gap / (2 * np.sin(np.pi / n)), outward


def _centre_lines(centres: Floats, outward: Floats, pairs: list[tuple[int, int]]) -> list[Floats]:
    """Return the visible part of the way from circle i to circle j for each pair.

    An arrow bows to its left, so that the two of a pair stay apart; it bows less, or to its right, where it would run
    behind a third circle or on top of the arrow that comes back.
    """
    lines: dict[tuple[int, int], Floats] = {}
    for i, j in pairs:
        if i == j:
            points = loop(centres[i], outward[i], _LOOP_DISTANCE, _LOOP_RADIUS)
        else:
            chord = float(np.linalg.norm(centres[j] - centres[i]))
            others = np.delete(centres, [i, j], axis=0)
            back = lines.get((j, i), np.zeros((0, 2)))
            for bend in (_BEND, *sorted(np.linspace(-1, 1, 21), key=lambda b: abs(b - _BEND)), _BEND):
                points = bow(centres[i], centres[j], bend / chord)
                if _gap(points, others) > _RADIUS + _CLEARANCE and _gap(points[len(points) // 2, None], back) > 0.2:
                    break
        lines[i, j] = outside(points, centres[i], _RADIUS + 0.02, centres[j], _RADIUS + 0.03)
    return [lines[pair] for pair in pairs]


def _gap(points: Floats, others: Floats) -> float:
    """Return the least distance between two sets of points; infinite if one is empty."""
    return float(np.linalg.norm(points[:, None] - others[None], axis=2).min(initial=np.inf))


def _fit(ax: Axes, centres: Floats) -> None:
    """Set the limits around the circles and their loops, with equal units on both axes."""
    room = _LOOP_DISTANCE + _LOOP_RADIUS + 0.45
    low, high = centres.min(axis=0) - room, centres.max(axis=0) + room
    ax.set_aspect("equal")
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.axis("off")


def _write_in_circles(ax: Axes, names: list[list[str]], centres: Floats) -> None:
    """Write each context into its circle, all in one size that fits; a very long name runs over the edge on a halo."""
    from matplotlib.patheffects import withStroke

    labels, widths = zip(*(_in_rows(symbols) for symbols in names), strict=True)
    fits = 0.88 * 2 * _RADIUS * points_per_unit(ax) / max(*widths, 2.0)
    size = min(max(fits, 8.5), 13.0)
    for label, centre in zip(labels, centres, strict=True):
        text = ax.text(
            centre[0],
            centre[1],
            label,
            ha="center",
            va="center",
            color=INK,
            fontsize=size,
            linespacing=1.1,
            zorder=5,
            gid="state",
        )
        if fits < size:
            text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _in_rows(symbols: list[str]) -> tuple[str, float]:
    """Break a context into the rows that fit a circle best; return it with its diameter in sizes of its letters."""
    choices = []
    for a_row in range(len(symbols), 0, -1):
        rows = [" ".join(symbols[i : i + a_row]) for i in range(0, len(symbols), a_row)]
        choices.append((float(np.hypot(0.62 * max(map(len, rows)), 1.1 * (len(rows) - 0.4))), "\n".join(rows)))
    diameter, label = min(choices)
    return label, diameter


def _write_beside(ax: Axes, texts: list[str], lines: list[Floats], loops: list[bool], centres: Floats) -> None:
    """Write a number beside each arrow, where it covers nothing and no other arrow is nearer than its own."""
    unit = points_per_unit(ax)
    size = min(max(0.22 * unit, 7.0), 10.0)
    taken: list[tuple[Floats, Floats]] = []
    for index, (text, line) in enumerate(zip(texts, lines, strict=True)):
        half = np.array([0.31 * len(text), 0.5]) * size / unit
        foreign = np.concatenate([np.zeros((0, 2)), *lines[:index], *lines[index + 1 :]])
        choices = []
        for share in (0.5, 0.44, 0.56, 0.38, 0.62, 0.32, 0.68, 0.26, 0.74, 0.2, 0.8):
            at, left = share_of_way(line, share)
            for side in (1, -1):
                # as far from the arrow as the box of the number reaches in that direction
                centre = at + side * left * (0.08 + abs(left) @ half)
                cost = abs(share - 0.5) + (side < 0) * 0.1 if not loops[index] else abs(share - 0.5) + (side > 0) * 2
                cost += _covered(centre, half, centres, taken) + _closeness(centre, half, line, foreign)
                choices.append((cost, tuple(centre)))
        best = np.array(min(choices)[1])
        taken.append((best, half))
        ax.text(best[0], best[1], text, ha="center", va="center", color=INK, fontsize=size, zorder=6, gid="probability")


def _covered(centre: Floats, half: Floats, circles: Floats, boxes: list[tuple[Floats, Floats]]) -> float:
    """Return the price of the circles and numbers that a box at `centre` of half width and height `half` covers."""
    nearest = np.clip(circles, centre - half, centre + half)
    on_circles = np.count_nonzero(np.linalg.norm(nearest - circles, axis=1) < _RADIUS)
    on_boxes = sum(bool(np.all(np.abs(centre - other) < half + size + 0.12)) for other, size in boxes)
    return 100.0 * (int(on_circles) + on_boxes)


def _closeness(centre: Floats, half: Floats, line: Floats, foreign: Floats) -> float:
    """Return the price of standing on an arrow, or not clearly nearer to one's own than to another's."""
    own, other = (
        float(np.linalg.norm(points - np.clip(points, centre - half, centre + half), axis=1).min(initial=np.inf))
        for points in (line, foreign)
    )
    return 20.0 * (own < 0.02) + 20.0 * (other < 0.02) + 5.0 * max(0.0, 2.0 - other / max(own, 0.02))
