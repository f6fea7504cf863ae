"""Which parts of a model no data tell apart: they are refused before anything is fitted.

A part of whose start nothing is known follows any path that its transition can make by itself. Where two parts can make
the same path, a constant or a wave of some period, only their sum is determined: of neither a mean or a variance can be
given, and forecasts that should be finite have infinite variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

from statespace.lds.component import Component
from statespace.lds.components import Cycle, Irregular, Regression

_NOISES = "white noise twice is white noise: leave one out"
_ONCE = {
    Irregular: _NOISES,
    Regression: "both are of the same inputs: leave one out, and give exog= all the columns",
}


def check_told_apart(parts: Sequence[Component]) -> None:
    """Refuse parts that are the same, or that can make the same path.

    Raises
    ------
    ValueError
        Names both parts, what they share, and what to do.

    """
    for one, other in combinations(parts, 2):
        both = f"the model has the parts {one!r} and {other!r}"
        for kind, why in _ONCE.items():
            if isinstance(one, kind) and isinstance(other, kind):
                raise ValueError(f"{both}: {why}")
        shared = one.waves & other.waves
        if 0 in shared:
            raise ValueError(f"{both}: a constant belongs to the one as well as to the other, leave one out")
        if shared:
            raise ValueError(
                f"{both}: a wave of {_steps(min(shared))} steps belongs to the one as well as to the other; leave one "
                'out, or give each its own waves (kind="trigonometric", harmonics=)'
            )
        if not isinstance(one, Cycle) and _same(one, other):  # cycles begin with different waves
            raise ValueError(f"{both}, two parts that are the same: they would begin alike and stay so; leave one out")


def _same(one: Component, other: Component) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except ValueError:  # arrays in a part of the user's own
        return False


def _steps(frequency: Fraction) -> str:
    return f"{float(1 / frequency):g}"
