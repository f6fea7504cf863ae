from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import Circle, PathPatch

from statespace.plotting import transition_graph
from statespace.plotting.arrows import bow, loop, outline, outside, share_of_way
from statespace.protocols import Floats


def rows(K: int, n: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).dirichlet(np.full(K, 2.0), size=n)


def axes() -> Any:
    return Figure(figsize=(6, 6)).add_subplot()


def arrows(ax: Any) -> list[Floats]:
    return [np.asarray(p.get_path().vertices) for p in ax.patches if isinstance(p, PathPatch)]


def circles(ax: Any) -> tuple[Floats, float]:
    found = [p for p in ax.patches if isinstance(p, Circle)]
    return np.array([p.center for p in found]), found[0].radius


def tip(arrow: Floats) -> Floats:
    """An outline is symmetric: left side, barb, tip, barb, right side, first point again."""
    return np.asarray(arrow[(len(arrow) - 1) // 2])


def tail(arrow: Floats) -> Floats:
    return np.asarray((arrow[0] + arrow[-2]) / 2)


def ends(ax: Any) -> list[tuple[int, int]]:
    """The circles that each arrow leaves and enters: the nearest to its tail and to its tip."""
    centres, _ = circles(ax)

    def nearest(point: Floats) -> int:
        return int(np.linalg.norm(centres - point, axis=1).argmin())

    return [(nearest(tail(arrow)), nearest(tip(arrow))) for arrow in arrows(ax)]


@given(K=st.integers(1, 9), seed=st.integers(0, 99))
@settings(max_examples=12)
def test_one_circle_a_state_and_one_arrow_a_transition_above_the_threshold(K: int, seed: int) -> None:
    P = rows(K, K, seed)
    threshold = 0.1
    ax = transition_graph(P, ax=axes(), threshold=threshold)
    assert len(circles(ax)[0]) == K
    assert sorted(ends(ax)) == [(i, j) for i, j in product(range(K), repeat=2) if P[i, j] >= threshold]


@pytest.mark.parametrize(("K", "order"), [(2, 2), (2, 3), (2, 4), (3, 2), (4, 2)])
def test_contexts_lead_to_the_contexts_that_follow_them(K: int, order: int) -> None:
    ax = transition_graph(rows(K, K**order).reshape((K,) * (order + 1)), ax=axes(), threshold=0)
    labels = [t.get_text().split() for t in ax.texts if t.get_gid() == "state"]
    assert sorted(labels) == sorted([list(map(str, c)) for c in product(range(K), repeat=order)])
    found = ends(ax)
    assert len(found) == K ** (order + 1)
    assert len(set(found)) == len(found)
    for i, j in found:
        assert labels[i][1:] == labels[j][:-1]
    n = K**order
    assert {(i, (i + 1) % n) for i in range(n)} <= set(found)  # a de Bruijn sequence: neighbours are transitions


@pytest.mark.parametrize(("K", "order"), [*((K, 1) for K in range(1, 9)), (2, 2), (2, 3), (2, 4), (3, 2)])
def test_arrows_touch_the_circles_they_join_and_no_other(K: int, order: int) -> None:
    ax = transition_graph(rows(K, K**order).reshape((K,) * (order + 1)), ax=axes(), threshold=0)
    centres, radius = circles(ax)
    for arrow, (i, j) in zip(arrows(ax), ends(ax), strict=True):
        assert radius <= np.linalg.norm(tail(arrow) - centres[i]) <= radius + 0.05
        assert radius <= np.linalg.norm(tip(arrow) - centres[j]) <= radius + 0.05
        others = np.delete(centres, [i, j], axis=0)
        if len(others):
            assert np.linalg.norm(arrow[:, None] - others, axis=2).min() > radius


@pytest.mark.parametrize("K", range(2, 9))
def test_the_two_arrows_of_a_pair_stay_apart(K: int) -> None:
    ax = transition_graph(np.full((K, K), 1 / K), ax=axes())
    by_pair = dict(zip(ends(ax), arrows(ax), strict=True))
    for i, j in combinations(range(K), 2):
        there, back = by_pair[i, j], by_pair[j, i]
        middle = len(there) // 4  # of the left side of the outline
        assert np.linalg.norm(back - there[middle], axis=1).min() > 0.05


@pytest.mark.parametrize(("K", "order"), [(2, 1), (3, 1), (4, 1), (2, 2), (2, 3)])
def test_labels_lie_on_no_other_label_and_on_no_circle(K: int, order: int) -> None:
    ax = transition_graph(rows(K, K**order).reshape((K,) * (order + 1)), threshold=0)
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in ax.texts if t.get_gid() == "probability"]
    assert len(boxes) == K ** (order + 1)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    centres, radius = circles(ax)
    pixel = np.linalg.norm(ax.transData.transform((1, 0)) - ax.transData.transform((0, 0)))
    for box, centre in product(boxes, ax.transData.transform(centres)):
        nearest = np.clip(centre, box.min, box.max)
        assert np.linalg.norm(nearest - centre) > 0.95 * radius * pixel


@given(p=st.floats(0.02, 0.9), more=st.floats(0.02, 0.08))
@settings(max_examples=15)
def test_the_more_probable_is_wider_and_more_opaque(p: float, more: float) -> None:
    q = p + more
    ax = transition_graph([[1 - p, p], [q, 1 - q]], ax=axes())
    width = {e: float(np.linalg.norm(a[0] - a[-2])) for e, a in zip(ends(ax), arrows(ax), strict=True)}
    alpha = dict(zip(ends(ax), [a.get_alpha() for a in ax.patches if isinstance(a, PathPatch)], strict=True))
    assert width[1, 0] > width[0, 1]
    assert alpha[1, 0] > alpha[0, 1]  # type: ignore[operator]


def test_impossible_transitions_have_no_arrow_at_any_threshold() -> None:
    assert sorted(ends(transition_graph(np.eye(3)[[1, 2, 0]], ax=axes(), threshold=0))) == [(0, 1), (1, 2), (2, 0)]


def test_context_never_seen_leads_nowhere() -> None:
    P = [[0.5, 0.5], [np.nan, np.nan]]
    assert {i for i, _ in ends(transition_graph(P, ax=axes()))} == {0}


def test_chain_of_order_zero_goes_everywhere_by_the_same_law() -> None:
    ax = transition_graph([0.25, 0.75], ["dry", "wet"], axes())
    assert sorted(ends(ax)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert sorted(t.get_text() for t in ax.texts if t.get_gid() == "probability") == ["0.25", "0.25", "0.75", "0.75"]


def test_numbers_are_left_out_where_there_are_too_many() -> None:
    def count(**options: Any) -> int:
        ax = transition_graph(rows(6, 6), ax=axes(), threshold=0, **options)
        return sum(t.get_gid() == "probability" for t in ax.texts)

    assert count() == 0
    assert count(numbers=True) == 36


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match=r"27 contexts of 3 symbols, more than the 16 .* draw transition_matrix"):
        transition_graph(rows(3, 27).reshape(3, 3, 3, 3))
    with pytest.raises(ValueError, match="17 states"):
        transition_graph(rows(17, 17))
    with pytest.raises(ValueError, match=r"threshold is 1\.5"):
        transition_graph(rows(2, 2), threshold=1.5)
    with pytest.raises(ValueError, match="sums to"):
        transition_graph([[0.5, 0.4], [0.5, 0.5]])


points = st.tuples(st.floats(-5, 5), st.floats(-5, 5)).map(np.array)


@given(start=points, end=points, bend=st.floats(-0.4, 0.4))
def test_a_bow_leaves_its_chord_by_bend_times_its_length_to_the_left(start: Floats, end: Floats, bend: float) -> None:
    chord = np.linalg.norm(end - start)
    assume(chord >= 0.1)
    line = bow(start, end, bend)
    along = (end - start) / chord
    distance = (line - start) @ np.array([-along[1], along[0]])
    extreme = distance[np.abs(distance).argmax()]
    assert extreme == pytest.approx(bend * chord, abs=1e-9 * chord)
    np.testing.assert_allclose(line[[0, -1]], [start, end], atol=1e-12)


@given(radius=st.floats(0.1, 1.0), other=st.floats(0.1, 1.0), bend=st.floats(-0.3, 0.3))
def test_a_centre_line_is_cut_at_the_edges_of_both_circles(radius: float, other: float, bend: float) -> None:
    a, b = np.array([0.0, 0.0]), np.array([4.0, 1.0])
    line = outside(bow(a, b, bend), a, radius, b, other)
    assert np.linalg.norm(line[0] - a) == pytest.approx(radius, rel=1e-3)
    assert np.linalg.norm(line[-1] - b) == pytest.approx(other, rel=1e-3)
    assert np.linalg.norm(line[1:] - a, axis=1).min() > radius


def test_a_loop_begins_and_ends_at_the_edge_of_its_own_circle() -> None:
    centre = np.array([1.0, 2.0])
    line = outside(loop(centre, np.array([0.0, 1.0]), 0.7, 0.4), centre, 0.5, centre, 0.5)
    np.testing.assert_allclose(np.linalg.norm(line[[0, -1]] - centre, axis=1), 0.5, rtol=1e-3)
    assert line[:, 1].max() == pytest.approx(2 + 0.7 + 0.4, abs=1e-3)


def test_an_outline_has_its_tip_at_the_end_and_the_width_it_was_given() -> None:
    line = np.column_stack([np.linspace(0, 10, 50), np.zeros(50)])
    shape = outline(line, width=0.5, head_length=2.0, head_width=1.5)
    np.testing.assert_allclose(shape[0], shape[-1])
    np.testing.assert_allclose(tip(shape), [10, 0])
    # area by the shoelace formula: a shaft of 8 x 0.5 and a triangle of base 1.5 and height 2
    x, y = shape.T
    assert abs(x[:-1] @ y[1:] - y[:-1] @ x[1:]) / 2 == pytest.approx(8 * 0.5 + 1.5 * 2 / 2)


def test_the_place_after_a_share_of_the_way_measures_length_not_steps() -> None:
    line = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0]])
    at, left = share_of_way(line, 0.5)
    np.testing.assert_allclose(at, [5, 0])
    np.testing.assert_allclose(left, [0, 1])


def test_a_hidden_markov_model_is_drawn_by_its_states_whatever_its_symbols() -> None:
    class Hidden:
        startprob_ = np.array([1.0, 0.0])
        transmat_ = np.array([[0.9, 0.1], [0.0, 1.0]])
        symbols_ = np.array(["a", "c", "g", "t"])

    ax = transition_graph(Hidden(), ax=axes())
    assert sorted(ends(ax)) == [(0, 0), (0, 1), (1, 1)]
    assert [t.get_text() for t in ax.texts if t.get_gid() == "state"] == ["0", "1"]
    named = transition_graph(Hidden(), ["burn-in", "steady"], axes())
    assert [t.get_text() for t in named.texts if t.get_gid() == "state"] == ["burn-in", "steady"]
