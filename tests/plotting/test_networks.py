"""Gradient flow, powers of a matrix, and gates: what is drawn is what was computed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from statespace import plotting
from statespace.neural import RecurrentNetwork, powers
from statespace.plotting.networks import _spread


def axes() -> Any:
    return Figure(figsize=(6, 4)).add_subplot()


def of(ax: Any, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def flow(*rows: Any) -> Any:
    """A result whose rows have these norms, from the last step back."""
    T = max(map(len, rows))
    norms = np.full((len(rows), T), np.nan)
    for b, row in enumerate(rows):
        norms[b, : len(row)] = row[::-1]
    return SimpleNamespace(spectral=norms, frobenius=2 * norms, lengths=np.array([len(row) - 1 for row in rows]))


# ------------------------------------------------------------------------------------------------------ gradient flow


def test_norms_are_drawn_from_the_last_step_back() -> None:
    ax = plotting.gradient_flow(flow([1.0, 0.5, 0.2, 0.1]), axes())
    (line,) = of(ax, "flow")
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 3])
    np.testing.assert_allclose(line.get_ydata(), [1.0, 0.5, 0.2, 0.1], rtol=1e-12)
    assert ax.get_yscale() == "log"
    assert not of(ax, "name")
    (line,) = of(plotting.gradient_flow(flow([1.0, 0.5]), axes(), norm="frobenius"), "flow")
    np.testing.assert_allclose(line.get_ydata(), [2.0, 1.0], rtol=1e-12)


def test_rows_of_any_length_are_a_geometric_mean_in_their_range() -> None:
    ax = plotting.gradient_flow(flow([1.0, 0.1, 0.01], [1.0, 0.4]), axes())
    (line,), (band,) = of(ax, "flow"), of(ax, "range")
    np.testing.assert_allclose(line.get_ydata(), [1.0, 0.2, 0.01], rtol=1e-12)
    at_1 = band.get_paths()[0].vertices
    at_1 = at_1[at_1[:, 0] == 1, 1]
    np.testing.assert_allclose([at_1.min(), at_1.max()], [0.1, 0.4], rtol=1e-12)


def test_steps_without_a_path_or_beyond_all_numbers_are_left_out() -> None:
    (line,) = of(plotting.gradient_flow(flow([1.0, 0.0, 0.5, 0.0, np.inf]), axes()), "flow")
    np.testing.assert_array_equal(line.get_xdata(), [0, 2])
    assert line.get_marker() == "o"


def test_several_networks_are_named_at_the_ends_of_their_lines() -> None:
    ax = plotting.gradient_flow({"plain": flow([1.0, 0.1]), "kept": flow([1.0, 1.0]), "$": flow([1.0, 0.99])}, axes())
    names = of(ax, "name")
    assert [name.get_text() for name in names] == ["plain", "kept", r"\$"]
    np.testing.assert_allclose([name.xy[1] for name in names], [0.1, 1.0, 0.99])


@given(st.lists(st.floats(-300, 300), min_size=1, max_size=8))
def test_names_are_apart_and_in_the_order_of_their_lines(heights: list[float]) -> None:
    given_heights = np.array(heights)
    moved = _spread(given_heights, 12.0)
    order = np.argsort(given_heights, kind="stable")
    assert (np.diff(moved[order]) >= 12 - 1e-9).all()
    if len(heights) == 1 or np.diff(np.sort(given_heights)).min() >= 12:
        np.testing.assert_allclose(moved, given_heights)


# ------------------------------------------------------------------------------------------------------------- powers


@pytest.mark.parametrize(("show", "field"), [("norm", "norms"), ("derivative", "derivatives")])
def test_powers_are_drawn_by_step(show: str, field: str) -> None:
    found = {"0.9": powers(0.9, 2.0, 12), "turn": powers([[0, -2], [2, 0]], [1, 0], 8, "tanh")}
    ax = plotting.powers(found, axes(), show=show)
    for line, one in zip(of(ax, show), found.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), getattr(one, field))
    assert [name.get_text() for name in of(ax, "name")] == ["0.9", "turn"]


def test_what_is_zero_is_nowhere_on_a_logarithmic_scale() -> None:
    (line,) = of(plotting.powers(powers(0.0, 1.0, 3), axes()), "norm")
    np.testing.assert_array_equal(line.get_xdata(), [0])
    plotting.powers({"nothing": powers(1.0, 0.0, 3)}, axes())


def test_two_numbers_have_a_path_in_the_plane() -> None:
    found = powers([[0, -1], [1, 0]], [1, 2], 3)
    ax = plotting.powers(found, axes(), show="plane")
    np.testing.assert_array_equal(np.column_stack(of(ax, "path")[0].get_data()), found.x)
    np.testing.assert_array_equal(np.ravel(of(ax, "start")[0].get_data()), [1, 2])
    assert ax.get_aspect() == 1.0
    with pytest.raises(ValueError, match="a plane has room for 2 numbers, but x has 1"):
        plotting.powers(powers(1, 1, 1), show="plane")


# -------------------------------------------------------------------------------------------------------------- gates


def test_a_panel_holds_the_activations_of_its_gate() -> None:
    net = RecurrentNetwork("gru", 1, 3, num_layers=2, dtype=np.float64, random_state=0)
    X = np.random.default_rng(0).normal(size=(2, 7, 1))
    found = net.gates(X)
    for drawn, options in ((net, {}), (found, {}), (found["l1"], {})):
        panels = plotting.gates(drawn, X, Figure(), layer="l1", row=1, **options)
        np.testing.assert_array_equal(of(panels[0], "input")[0].get_ydata(), X[1, :, 0])
        for ax, (name, values) in zip(panels[1:], found["l1"].items(), strict=True):
            (image,) = of(ax, "gate")
            np.testing.assert_array_equal(image.get_array(), values[1].T)
            assert ax.get_title(loc="left").startswith(name)
            assert image.get_clim() == ((0.0, 1.0) if name in "rz" else (-1.0, 1.0))


def test_a_cell_state_beyond_1_has_a_scale_that_holds_it_and_many_inputs_are_a_heat_map() -> None:
    inputs, ax = plotting.gates({"c": np.array([[3.0, -5.0]])}, np.ones((1, 9)), Figure())
    assert of(ax, "gate")[0].get_clim() == (-5.0, 5.0)
    np.testing.assert_array_equal(of(inputs, "gate")[0].get_array(), np.ones((9, 1)))


def test_gates_are_chosen_and_ordered_by_name() -> None:
    net = RecurrentNetwork("lstm", 1, 3, dtype=np.float64, random_state=0)
    panels = plotting.gates(net.gates(np.zeros((1, 4, 1))), figure=Figure(), names=["c", "f"])
    assert [ax.get_title(loc="left")[0] for ax in panels] == ["c", "f"]
    with pytest.raises(ValueError, match=r"names is \['z'\], but the gates are \['i', 'f', 'g', 'o', 'c', 'h'\]"):
        plotting.gates(net, np.zeros((4, 1)), names=["z"])


def test_what_cannot_be_drawn_is_refused_in_words() -> None:
    net = RecurrentNetwork("gru", 1, 3, dtype=np.float64, random_state=0)
    for nothing in (3, {}, [1.0], {"a": 3}):
        with pytest.raises(TypeError, match=r"flows (has|is)"):
            plotting.gradient_flow(nothing)
        with pytest.raises(TypeError, match=r"results (has|is)"):
            plotting.powers(nothing)
    with pytest.raises(TypeError, match="a network has gates of what comes in: give X"):
        plotting.gates(net)
    with pytest.raises(TypeError, match="network_or_gates is 3"):
        plotting.gates(3)
    with pytest.raises(ValueError, match="layer is 'l1', expected one of l0"):
        plotting.gates(net, np.zeros((1, 2, 1)), layer="l1")
    with pytest.raises(ValueError, match=r"row is 1, expected 0\.\.0"):
        plotting.gates(net, np.zeros((1, 2, 1)), row=1)
    with pytest.raises(ValueError, match=r"X has shape \(2,\)"):
        plotting.gates(net, np.zeros(2))
    with pytest.raises(ValueError, match=r"c has shape \(2,\)"):
        plotting.gates({"c": np.zeros(2)})
