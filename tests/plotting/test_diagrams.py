from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import Circle, PathPatch

from statespace.plotting import graphical_model
from statespace.protocols import Floats


def axes() -> Any:
    return Figure(figsize=(8, 4)).add_subplot()


def named(ax: Any, gid: str) -> list[Any]:
    return [p for p in ax.patches if p.get_gid() == gid]


def outline(arrow: PathPatch) -> Floats:
    return np.asarray(arrow.get_path().vertices)


def edges(ax: Any) -> set[tuple[str, str]]:
    """The names of the variables that each black arrow joins."""
    names = [t for t in ax.texts if t.get_gid() == "name"]
    places = np.array([t.get_position() for t in names])

    def nearest(point: Floats) -> str:
        return str(names[int(np.linalg.norm(places - point, axis=1).argmin())].get_text().strip("$"))

    shapes = [outline(arrow) for arrow in named(ax, "edge")]
    found = [(nearest((s[0] + s[-2]) / 2), nearest(s[(len(s) - 1) // 2])) for s in shapes]
    assert len(set(found)) == len(found), "an edge is drawn twice"
    return set(found)


@given(n=st.integers(1, 8), order=st.integers(1, 5))
@settings(max_examples=8)
def test_arrows_are_the_factors_of_the_joint_law(n: int, order: int) -> None:
    chain = {(i, j) for j in range(1, n + 1) for i in range(1, n + 1) if 1 <= j - i <= order}
    assert edges(graphical_model("iid", n=n, ax=axes())) == set()
    assert edges(graphical_model("markov", order, n, axes())) == {(f"x_{{{i}}}", f"x_{{{j}}}") for i, j in chain}
    hidden = {(f"z_{{{i}}}", f"z_{{{j}}}") for i, j in chain} | {(f"z_{{{i}}}", f"x_{{{i}}}") for i in range(1, n + 1)}
    assert edges(graphical_model("hmm", order, n, axes())) == hidden
    assert edges(graphical_model("state_space", order, n, axes())) == hidden


@pytest.mark.parametrize("kind", ["markov", "hmm"])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_arrows_end_at_the_edges_of_circles_and_cut_none(kind: Any, order: int) -> None:
    ax = graphical_model(kind, order, 7, axes())
    found = [p for p in ax.patches if isinstance(p, Circle)]
    centres, radius = np.array([p.center for p in found]), found[0].radius
    for arrow in named(ax, "edge"):
        shape = outline(arrow)
        for end in ((shape[0] + shape[-2]) / 2, shape[(len(shape) - 1) // 2]):
            assert np.linalg.norm(centres - end, axis=1).min() == pytest.approx(radius, rel=1e-3)
        assert np.linalg.norm(shape[:, None] - centres, axis=2).min() > 0.97 * radius  # no corner of an arrow inside
        touched = np.count_nonzero(np.linalg.norm(shape[:, None] - centres, axis=2).min(axis=0) < radius + 0.03)
        assert touched == 2


def test_arcs_of_odd_lags_run_below_unless_observed_variables_hang_there() -> None:
    def middles(kind: Any) -> list[float]:
        """Heights of the arrows from the first variable to the second, third and fourth, half-way."""
        ax = graphical_model(kind, 3, 4, axes())
        shapes = [outline(arrow) for arrow in named(ax, "edge")]
        first = [s for s in shapes if s[0, 0] < 0.5 and s[:, 0].max() > 0.6]
        return [float(s[len(s) // 4, 1]) for s in sorted(first, key=lambda s: s[:, 0].max())]

    straight, second, third = middles("markov")
    assert abs(straight) < 0.05
    assert second > 0.5
    assert third < -0.5
    assert [height > 0.5 for height in middles("hmm")] == [False, True, True]


def test_circles_are_round_and_only_what_is_observed_beside_the_hidden_is_shaded() -> None:
    ax = graphical_model("hmm", n=5, ax=axes())
    assert ax.get_aspect() == 1
    observed, hidden = named(ax, "observed"), named(ax, "variable")
    assert (len(observed), len(hidden)) == (5, 5)
    assert {p.get_facecolor() for p in observed}.isdisjoint({p.get_facecolor() for p in hidden})
    assert all(x.center[1] < z.center[1] and x.center[0] == z.center[0] for x, z in zip(observed, hidden, strict=True))
    assert not named(graphical_model("markov", ax=axes()), "observed")


def test_dots_and_grey_arrows_say_that_it_goes_on() -> None:
    def counts(*arguments: Any, **options: Any) -> tuple[int, int]:
        ax = graphical_model(*arguments, ax=axes(), **options)
        return sum(t.get_gid() == "ellipsis" for t in ax.texts), len(named(ax, "continuation"))

    assert counts("iid") == (1, 0)
    assert counts("markov", 3, 5) == (1, 3)
    assert counts("markov", 3, 2) == (1, 2)
    assert counts("hmm") == (2, 1)
    assert counts("hmm", ellipsis=False) == (0, 0)


def test_everything_lies_within_the_limits() -> None:
    for kind, order in (("markov", 1), ("markov", 6), ("hmm", 4)):
        ax = graphical_model(kind, order, 8, axes())  # type: ignore[arg-type]
        for patch in ax.patches:
            box = patch.get_path().get_extents(patch.get_patch_transform())
            assert ax.get_xlim()[0] <= box.x0
            assert box.x1 <= ax.get_xlim()[1]
            assert ax.get_ylim()[0] <= box.y0
            assert box.y1 <= ax.get_ylim()[1]


def test_bad_arguments_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="kind is 'lstm', expected one of 'iid'"):
        graphical_model("lstm")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^kind is of type ndarray, expected 'iid'"):
        graphical_model(np.zeros((50, 50)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="order is 0"):
        graphical_model("markov", 0)
    with pytest.raises(ValueError, match="n is 0"):
        graphical_model("markov", n=0)
    with pytest.raises(TypeError, match=r"n is 2\.5"):
        graphical_model("markov", n=2.5)  # type: ignore[arg-type]
