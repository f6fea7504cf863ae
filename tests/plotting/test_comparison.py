from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from statespace.plotting import growth_of_parameters, held_out_loss, information_criteria

LOSSES = [0.674, 0.601, 0.595, 0.594, 0.597]
ERRORS = [0.025, 0.011, 0.005, 0.0, 0.004]


def axes() -> Any:
    return Figure().add_subplot()


def markers(ax: Any) -> dict[float, float]:
    """Every point that is drawn with a filled marker."""
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    return {float(x): float(y) for line in lines for x, y in zip(*line.get_data(), strict=True)}


def bars(ax: Any) -> dict[float, float]:
    """Half the length of each error bar by its order."""
    found = {}
    for container in ax.containers:
        ((low, high),) = container.lines[2][0].get_segments()
        found[float(low[0])] = float(high[1] - low[1]) / 2
    return found


def test_points_are_the_losses_and_bars_one_standard_error_to_either_side() -> None:
    ax = held_out_loss(losses=LOSSES, errors=ERRORS, ax=axes())
    assert markers(ax) == pytest.approx(dict(enumerate(LOSSES)))
    assert bars(ax) == pytest.approx({0: 0.025, 1: 0.011, 2: 0.005, 4: 0.004})  # none for the best


def test_bits_are_nats_over_log_2() -> None:
    ax = held_out_loss(losses=[np.log(2), 2 * np.log(2)], errors=[0, np.log(2) / 4], unit="bits", ax=axes())
    assert markers(ax) == pytest.approx({0: 1, 1: 2})
    assert bars(ax) == pytest.approx({1: 0.25})
    assert "bits" in ax.get_ylabel()


@pytest.mark.parametrize(("best", "marked"), [(None, 3), (2, 2)])
def test_best_is_marked_and_its_loss_drawn_across(best: int | None, marked: int) -> None:
    ax = held_out_loss(losses=LOSSES, errors=ERRORS, best=best, ax=axes())
    (label,) = [t for t in ax.texts if t.get_text() == "best"]
    assert label.xy == (marked, LOSSES[marked])  # type: ignore[attr-defined]
    assert any(list(line.get_ydata()) == [LOSSES[marked]] * 2 for line in ax.lines)
    assert marked not in bars(ax)


def test_an_order_selection_is_read_as_it_is() -> None:
    selection = SimpleNamespace(
        orders=np.array([0, 1, 2]), held_out=np.array([3.0, 1.0, 2.0]), held_out_error=np.array([0.5, 0.0, 0.25]),
        n_parameters=[1, 2, 4], aic=np.array([9.0, 4.0, 5.0]), bic=np.array([9.0, 4.0, 8.0]),
    )  # fmt: skip
    ax = held_out_loss(selection, axes())
    assert markers(ax) == {0: 3, 1: 1, 2: 2}
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0\n1", "1\n2", "2\n4"]
    ax = information_criteria(selection, axes())
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0\n1", "1\n2", "2\n4"]
    assert {line.get_label(): list(line.get_ydata()) for line in ax.lines if not line.get_label().startswith("_")} == {
        "AIC": [5, 0, 1],
        "BIC": [5, 0, 4],
    }


def test_select_order_can_be_drawn() -> None:
    from statespace.tools.selection import select_order

    x = np.random.default_rng(0).integers(0, 2, 400)
    selection = select_order(x, 2, test=100)
    assert selection.held_out is not None
    ax = held_out_loss(selection, axes())
    assert markers(ax) == pytest.approx(dict(enumerate(selection.held_out)))
    assert len(information_criteria(selection, axes()).get_legend().get_texts()) == 2  # type: ignore[union-attr]


def test_infinite_loss_is_a_sign_and_not_a_point() -> None:
    ax = held_out_loss(losses=[0.7, np.inf, 0.6], errors=[0.1, np.nan, 0.0], ax=axes())
    (sign,) = [t for t in ax.texts if t.get_text() == "\N{INFINITY}"]
    assert sign.get_position()[0] == 1
    assert set(markers(ax)) == {0, 2}
    assert ax.get_ylim()[0] < sign.get_position()[1] < ax.get_ylim()[1]


def test_large_counts_are_written_by_their_leading_digits() -> None:
    ax = held_out_loss(losses=[1.0, 2.0, 3.0], n_parameters=[64, 65**4 * 64, 65**40], ax=axes())
    written = [t.get_text().split("\n")[1] for t in ax.get_xticklabels()]
    assert written == ["64", r"$1.1\times10^{9}$", r"$3.3\times10^{72}$"]  # 65^4 64 = 1.142e9, 65^40 = 3.28e72


def test_one_order_alone_can_be_drawn() -> None:
    ax = held_out_loss(losses=[0.7], n_parameters=[1])
    ax.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]
    assert markers(ax) == {0: 0.7}


def test_bad_losses_are_refused_with_the_place() -> None:
    with pytest.raises(ValueError, match="no held-out losses: give select_order a test part"):
        held_out_loss(SimpleNamespace(held_out=None))
    with pytest.raises(ValueError, match=r"losses\[1\] is nan"):
        held_out_loss(losses=[1, np.nan])
    with pytest.raises(ValueError, match="losses are all infinite"):
        held_out_loss(losses=[np.inf])
    with pytest.raises(ValueError, match="errors has 1 entries, but there are 2 orders"):
        held_out_loss(losses=[1, 2], errors=[0.1])
    with pytest.raises(ValueError, match=r"errors\[0\] is negative"):
        held_out_loss(losses=[1, 2], errors=[-0.1, 0])
    with pytest.raises(ValueError, match="n_parameters has 3 entries"):
        held_out_loss(losses=[1, 2], n_parameters=[1, 2, 4])
    with pytest.raises(ValueError, match=r"best is order 7, but the orders are \[0, 1\]"):
        held_out_loss(losses=[1, 2], best=7)
    with pytest.raises(ValueError, match="unit is 'decibel', expected 'nats' or 'bits'"):
        held_out_loss(losses=[1, 2], unit="decibel")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"losses has shape \(1, 2\)"):
        held_out_loss(losses=[[1, 2]])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="0 criteria"):
        information_criteria()


def test_what_holds_no_losses_or_criteria_is_refused_by_its_kind() -> None:
    from statespace.markov.chain import MarkovChain

    chain = MarkovChain(1).fit([0, 1, 1, 0, 1])
    with pytest.raises(
        TypeError, match="selection is of type MarkovChain, expected the result of select_order or compare"
    ):
        information_criteria(chain)
    with pytest.raises(
        TypeError, match=r"selection is of type MarkovChain, expected the result of select_order\(..., test"
    ):
        held_out_loss(chain)
    with pytest.raises(TypeError, match="criteria is 3, expected a dict"):
        information_criteria(criteria=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="losses is 'x', expected a list of numbers"):
        held_out_loss(losses="x")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def comparison() -> Any:
    from statespace import MarkovChain, compare

    x = np.random.default_rng(0).integers(0, 3, 300)
    return compare({"i.i.d.": MarkovChain(0), "chain $1": MarkovChain(1), "chain 2": MarkovChain(2)}, x, test=80)


def test_a_comparison_is_drawn_against_the_names_of_its_models(comparison: Any) -> None:
    ax = held_out_loss(comparison, axes())
    assert markers(ax) == pytest.approx(dict(enumerate(comparison.held_out_nats)))
    best = comparison.names.index(comparison.best)
    errors = {i: e for i, e in enumerate(comparison.difference_error) if i != best}
    assert bars(ax) == pytest.approx(errors)
    labels = ["i.i.d.\n2", "chain \\$1\n6", "chain 2\n18"]
    assert [t.get_text() for t in ax.get_xticklabels()] == labels
    ax = information_criteria(comparison, axes())
    assert [t.get_text() for t in ax.get_xticklabels()] == labels
    assert ax.get_ylabel() == "difference to the best model"
    (aic,) = [line for line in ax.lines if line.get_label() == "AIC"]
    assert list(aic.get_ydata()) == pytest.approx(comparison.aic - min(comparison.aic))


def test_a_model_is_marked_by_its_name(comparison: Any) -> None:
    ax = held_out_loss(comparison, axes(), best="chain 2")
    (label,) = [t for t in ax.texts if t.get_text() == "best"]
    assert label.xy == (2, comparison.held_out_nats[2])  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="best is model chain 3, but the models are"):
        held_out_loss(comparison, axes(), best="chain 3")


@pytest.mark.parametrize("n_models", [1, 3, 12])
@pytest.mark.parametrize("length", [3, 20, 45])
def test_names_of_models_neither_run_into_each_other_nor_off_the_paper(n_models: int, length: int) -> None:
    selection = SimpleNamespace(
        names=[f"{n} smoothed chain of order seven, by Witten-Bell"[:length] for n in range(n_models)],
        held_out_nats=np.linspace(1, 2, n_models), difference_error=np.full(n_models, 0.1),
        n_parameters=[12345] * n_models,
    )  # fmt: skip
    ax = held_out_loss(selection)
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()  # type: ignore[union-attr]
    labels = [label for label in ax.get_xticklabels() if label.get_text()]
    assert len(labels) == n_models
    if not labels[0].get_rotation():
        boxes = [label.get_window_extent() for label in labels]
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert all(label.get_window_extent().x0 >= -1 and label.get_window_extent().y0 >= -1 for label in labels)
    assert ax.get_window_extent().height > 0.4 * figure.bbox.height  # type: ignore[union-attr]


def brute_force_parameters(K: int, order: int) -> int:
    """A law over K symbols, K - 1 free entries, for every context of that many symbols."""
    contexts = [()]
    for _ in range(order):
        contexts = [(*c, k) for c in contexts for k in range(K)]  # type: ignore[misc]
    return len(contexts) * (K - 1)


def test_growth_draws_the_number_of_parameters_of_each_order() -> None:
    ax = growth_of_parameters([2, 5], 4, axes(), n_samples=100)
    lines = [line for line in ax.lines if line.get_gid() == "growth"]
    for K, line in zip([2, 5], lines, strict=True):
        assert list(line.get_ydata()) == [brute_force_parameters(K, order) for order in range(5)]
    assert ax.get_yscale() == "log"
    assert [t.get_text() for t in ax.texts] == ["K = 2", "K = 5", "100 observations"]
    assert len([line for line in growth_of_parameters(3, 2, axes()).lines if line.get_gid() == "growth"]) == 1


def test_growth_refuses_what_has_no_parameters_to_grow() -> None:
    with pytest.raises(ValueError, match="n_states is 1"):
        growth_of_parameters(1)
    with pytest.raises(ValueError, match=r"n_states\[1\] is 1"):
        growth_of_parameters([2, 1])
    with pytest.raises(ValueError, match="n_states is empty"):
        growth_of_parameters([])
    with pytest.raises(TypeError, match="n_states is None, expected an integer of at least 2"):
        growth_of_parameters(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="max_order is None"):
        growth_of_parameters(2, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_order is 0"):
        growth_of_parameters(2, 0)
    with pytest.raises(ValueError, match="n_samples is 0"):
        growth_of_parameters(2, n_samples=0)


def test_numbers_of_states_stand_where_orders_do() -> None:
    selection = SimpleNamespace(
        components=np.array([1, 2, 3]),
        n_parameters=(1, 5, 11),
        aic=np.array([785.8, 693.8, 679.1]),
        bic=np.array([788.5, 707.1, 708.5]),
        held_out=np.array([3.1, 2.9, 3.0]),
        held_out_error=np.array([0.1, 0.0, 0.05]),
    )
    ax = held_out_loss(selection, axes())
    assert markers(ax) == pytest.approx({1: 3.1, 2: 2.9, 3: 3.0})
    assert "states\nparameters" in [text.get_text() for text in ax.texts]
    assert information_criteria(selection, axes()).get_ylabel() == "difference to the best number of states"
    with pytest.raises(ValueError, match=r"best is number of states 4, but the numbers of states are \[1, 2, 3\]"):
        held_out_loss(selection, axes(), best=4)


def test_models_may_be_named_in_the_place_of_orders() -> None:
    ax = held_out_loss(losses=[0.6, 0.58], errors=[0.01, 0.0], orders=["2nd order", "3 states"], ax=axes())
    assert markers(ax) == pytest.approx({0: 0.6, 1: 0.58})
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2nd order", "3 states"]
