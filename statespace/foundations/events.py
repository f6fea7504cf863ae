"""Events: observations that count as the same thing, and the pieces of the line on which they do."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from statespace.protocols import Floats

Event: TypeAlias = Callable[[Any], Hashable]

GRID = 4097  # points on which an event is first looked at, along the range that the laws can reach
LEFT_OUT = 1e-15  # tails that a sum over counts does without
_MOST_COUNTS = 1 << 24
_UNKNOWN = object()  # an outcome that no observation has


def constant_pieces(event: Event, points: Sequence[float]) -> tuple[list[Hashable], list[float]]:
    """Values of `event` along the line, and the last number of every piece but the last.

    Changes are looked for between ascending finite `points`, and found by bisection; what happens between two points
    with the same outcome is overlooked.
    """
    groups: list[Hashable] = [event(points[0])]
    edges = []
    for left, right in pairwise(points):
        before, after = groups[-1], event(right)
        if after == before:
            continue
        last, following = _turn(event, before, left, right)
        edges.append(last)  # the last number of its piece, which matters where a law has an atom
        if event(following) != after:  # several pieces between two points: those at the points are known
            groups.append(_UNKNOWN)
            edges.append(_turn(event, after, right, following)[1])
        groups.append(after)
    return groups, edges


def _turn(event: Event, group: Hashable, a: float, b: float) -> tuple[float, float]:
    """Between `a`, of whose `group` `b` is not, the last number of that group and the one after it."""
    while (middle := (a + b) / 2) not in (a, b):
        a, b = (middle, b) if event(middle) == group else (a, middle)
    return a, b


def last_count(top: float, observed: Sequence[Any]) -> int:
    """The last count of which an event is asked, where a law leaves next to nothing above `top`.

    Raises
    ------
    ValueError
        Where there are too many.

    """
    most = max((float(value) for value in observed if np.isfinite(value)), default=0.0)
    if most > top:
        top = 2 * most + 64  # so far out that what is left is little beside what was seen
    if top > _MOST_COUNTS:
        raise ValueError(
            f"the counts of this law reach to {top:.3g}, too many to ask the event of each: log_between (bins= in "
            "compare) needs no more than the ends of an interval"
        )
    return int(top)


def last_before(x: Floats) -> Floats:
    """The last number before each of `x`; infinity stays."""
    return np.asarray(np.where(np.isinf(x), x, np.nextafter(x, -np.inf)))


def between(below: Floats, above: Floats) -> Floats:
    """P(a < x <= b) of neighbouring numbers along the last axis, from P(x <= .) and P(x > .), each exact if small."""
    return np.asarray(np.where(below[..., :-1] > 0.5, -np.diff(above, axis=-1), np.diff(below, axis=-1)))
