from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from statespace.plotting import transition_matrix
from statespace.protocols import Floats


@dataclass
class Fitted:
    transmat_: Any
    symbols_: Any


def rows(K: int, n: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).dirichlet(np.ones(K), size=n)


def axes() -> Any:
    return Figure(figsize=(6, 6)).add_subplot()


def luminance(colour: Any) -> float:
    """WCAG 2.1 relative luminance."""
    c = np.array(to_rgb(colour))
    c = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(c @ [0.2126, 0.7152, 0.0722])


@given(K=st.integers(1, 9), order=st.integers(0, 2), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_every_cell_of_a_small_table_has_its_number(K: int, order: int, seed: int) -> None:
    P = rows(K, K**order, seed)
    ax = transition_matrix(P.reshape((K,) * (order + 1)), ax=axes())
    image = ax.images[0].get_array()
    assert image is not None
    np.testing.assert_array_equal(image, P)
    if K**order <= 32:
        written = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in ax.texts}
        assert set(written) == set(product(range(K**order), range(K)))
        for place, text in written.items():
            assert abs(float(text.strip("<>")) - P[place]) <= 0.01
    else:
        assert not ax.texts


def test_numbers_call_only_the_impossible_0_and_only_the_certain_1() -> None:
    P = [[1.0, 0.0], [0.001, 0.999]]
    texts = [t.get_text() for t in transition_matrix(P, ax=axes()).texts]
    assert texts == ["1", "0", "<0.01", ">0.99"]


def test_numbers_contrast_with_their_cells() -> None:
    p = np.linspace(0, 1, 12)
    P = np.column_stack([p, 1 - p])
    for cmap in ("Blues", "cividis", "Greys"):
        ax = transition_matrix(np.vstack([P, P[:4]]), ax=axes(), cmap=cmap)
        image = ax.images[0]
        for text in ax.texts:
            column, row = (round(x) for x in text.get_position())
            cell = image.to_rgba(np.array([np.vstack([P, P[:4]])[row, column]]))[0]
            pair = sorted([luminance(text.get_color()), luminance(cell[:3])])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3.5, (cmap, row, column)


def test_rows_of_order_two_are_named_by_their_contexts_most_recent_last() -> None:
    P = rows(2, 4).reshape(2, 2, 2)
    ax = transition_matrix(P, ["dry", "wet"], axes())
    assert [t.get_text() for t in ax.get_yticklabels()] == ["dry dry", "dry wet", "wet dry", "wet wet"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["dry", "wet"]
    assert ax.get_xlabel() == "to"
    assert ax.get_ylabel().startswith("from")


def test_tensor_one_row_a_context_and_model_are_one_picture() -> None:
    P = rows(3, 9)
    names = ["a", "b", "c"]
    drawn = [
        transition_matrix(P, names, axes()),
        transition_matrix(P.reshape(3, 3, 3), names, axes()),
        transition_matrix(Fitted(P.reshape(3, 3, 3), np.array(names)), None, axes()),
    ]
    for ax in drawn:
        np.testing.assert_array_equal(ax.images[0].get_array(), P)  # type: ignore[arg-type]
        assert [t.get_text() for t in ax.get_yticklabels()][5] == "b c"


def test_fitted_chain_is_drawn_with_its_symbols() -> None:
    from statespace.markov.chain import MarkovChain

    chain = MarkovChain(order=1).fit(["dry", "wet", "wet", "dry", "dry", "wet"])
    ax = transition_matrix(chain, ax=axes())
    # by hand: dry -> wet, wet, dry: 1 of 3 dry; wet -> wet, dry
    np.testing.assert_allclose(ax.images[0].get_array(), [[1 / 3, 2 / 3], [1 / 2, 1 / 2]])  # type: ignore[arg-type]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["dry", "wet"]


def test_sparse_chain_has_a_row_for_each_context_that_occurred() -> None:
    class Sparse:
        order = 3
        transmat_ = np.array([[0.5, 0.5], [1.0, 0.0]])
        symbols_ = np.array(["a", "b"])
        contexts_ = np.array([["a", "b", "b"], ["b", "a", "b"]])

    ax = transition_matrix(Sparse(), ax=axes())
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a b b", "b a b"]


def test_contexts_never_seen_have_no_numbers() -> None:
    ax = transition_matrix([[0.5, 0.5], [np.nan, np.nan]], ax=axes())
    assert {t.get_position()[1] for t in ax.texts} == {0}


@pytest.mark.parametrize("K", [13, 65])
def test_many_columns_get_a_colour_bar_and_few_ticks(K: int) -> None:
    ax = transition_matrix(rows(K, K), ax=axes())
    assert not ax.texts
    assert len(ax.get_xticks()) <= 26
    assert len(ax.get_yticks()) <= 26
    assert len(ax.child_axes) == 1
    assert not transition_matrix(rows(3, 3), ax=axes()).child_axes


def test_numbers_and_colour_bar_can_be_asked_for_and_refused() -> None:
    assert len(transition_matrix(rows(13, 13), ax=axes(), numbers=True).texts) == 169
    ax = transition_matrix(rows(3, 3), ax=axes(), numbers=False, colorbar=False)
    assert not ax.texts
    assert not ax.child_axes


def test_symbols_that_would_vanish_or_turn_into_mathematics_are_written_out() -> None:
    ax = transition_matrix(rows(4, 4), ["\n", " ", "$a$", "b"], axes())
    assert [t.get_text() for t in ax.get_xticklabels()] == [r"'\n'", "' '", r"\$a\$", "b"]


def test_probabilities_that_are_no_chain_are_refused_with_the_place() -> None:
    with pytest.raises(ValueError, match=r"row 1 \(wet\) sums to 0\.93, expected 1"):
        transition_matrix([[0.5, 0.5], [0.9, 0.03]], ["dry", "wet"])
    with pytest.raises(ValueError, match=r"row 0 \(0\) holds -0\.5"):
        transition_matrix([[1.5, -0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match="holds nan"):
        transition_matrix([[np.nan, 0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match=r"shape \(3, 2\), expected \(K, K\)"):
        transition_matrix(np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match=r"shape \(2, 3, 2\)"):
        transition_matrix(np.full((2, 3, 2), 0.5))
    for no_numbers, said in (
        ("x", "'x'"),
        ([["a", "b"], ["c", "d"]], "of type list"),
        ([[1], [0.5, 0.5]], "of type list"),
    ):
        with pytest.raises(TypeError, match=f"model_or_matrix is {said}, expected a fitted model, or"):
            transition_matrix(no_numbers)
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        transition_matrix([])
    with pytest.raises(ValueError, match="symbols has 3 names, but the matrix has 2 columns"):
        transition_matrix(np.full((2, 2), 0.5), ["a", "b", "c"])


def test_model_that_was_not_fitted_is_refused() -> None:
    from statespace.markov.chain import MarkovChain

    with pytest.raises(TypeError, match="MarkovChain has no transmat_: call fit first"):
        transition_matrix(MarkovChain())


def test_a_context_that_a_chain_never_saw_is_grey_and_not_a_guess() -> None:
    from statespace import MarkovChain

    x = ["dry", "wet", "dry", "wet", "wet", "snow"]  # nothing followed the snow
    ax = transition_matrix(MarkovChain().fit(x))
    shown = ax.images[0].get_array().reshape(3, 3)
    assert np.ma.getmaskarray(shown)[1].all() or np.isnan(np.asarray(shown)[1]).all()
    smoothed = transition_matrix(MarkovChain(smoothing="laplace").fit(x)).images[0].get_array()
    assert np.isfinite(np.asarray(smoothed)).all()
