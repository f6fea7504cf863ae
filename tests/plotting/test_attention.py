"""The picture of an alignment: what is drawn is what was given, under its names."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from statespace import plotting


def axes() -> Any:
    return Figure(figsize=(6, 4)).add_subplot()


WEIGHTS = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])


def test_weights_are_drawn_as_they_are_a_row_for_each_symbol_that_is_written() -> None:
    ax = plotting.attention_weights(WEIGHTS, ["a", " ", "$b"], ["x", "y"], axes())
    (image,) = ax.get_images()
    np.testing.assert_array_equal(image.get_array(), WEIGHTS)
    assert image.get_clim() == (0, 1)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "␣", r"\$b"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["x", "y"]


def test_without_names_steps_are_numbered() -> None:
    ax = plotting.attention_weights(WEIGHTS, ax=axes(), colorbar=False)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2"]
    assert not ax.child_axes


@pytest.mark.parametrize(
    ("weights", "names", "error", "said"),
    [
        ("none", {}, TypeError, "weights is 'none'"),
        ([1.0], {}, ValueError, r"weights has shape \(1,\)"),
        (np.zeros((0, 3)), {}, ValueError, r"weights has shape \(0, 3\)"),
        ([[0.5, 0.2]], {}, ValueError, "row 0 of weights sums to 0.7, expected 1"),
        ([[np.nan, 1.0]], {}, ValueError, "row 0 of weights sums to nan"),
        (WEIGHTS, {"source": "ab"}, ValueError, "source has 2 symbols, and weights 3 columns"),
        (WEIGHTS, {"target": "abc"}, ValueError, "target has 3 symbols, and weights 2 rows"),
    ],
)
def test_what_is_no_alignment_is_refused(weights: Any, names: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        plotting.attention_weights(weights, **names, ax=axes())
