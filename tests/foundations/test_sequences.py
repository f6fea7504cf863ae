"""One sequence or several, end to end or in a list: the layout is read, kept, and refused in words where it is none."""

import collections
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace import MarkovChain
from statespace.foundations.calendar import CalendarWarning
from statespace.foundations.sequences import SymbolSequences, read_symbols
from statespace.foundations.validation import check_lengths


def objects(values):
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array


SEVERAL = {
    "list of lists": lambda parts: [list(part) for part in parts],
    "tuple of tuples": lambda parts: tuple(tuple(part) for part in parts),
    "list of arrays": lambda parts: [np.array(part) for part in parts],
    "list of columns": lambda parts: [np.array(part)[:, None] for part in parts],
    "array of arrays": lambda parts: objects([np.array(part) for part in parts]),
    "array of lists": lambda parts: objects([list(part) for part in parts]),
    "deque of lists": lambda parts: collections.deque(list(part) for part in parts),
    "list of masked arrays": lambda parts: [np.ma.array(part) for part in parts],
    "list of pandas Series": lambda parts: [pd.Series(part) for part in parts],
    "list of pandas frames": lambda parts: [pd.DataFrame({"x": part}) for part in parts],
    "list of categoricals": lambda parts: [
        pd.Categorical(part, categories=sorted({symbol for each in parts for symbol in each})) for part in parts
    ],
    "list of polars Series": lambda parts: [pl.Series(part) for part in parts],
    "list of polars frames": lambda parts: [pl.DataFrame({"x": part}) for part in parts],
    "mixture of containers": lambda parts: [
        [list, np.array, pd.Series, pl.Series][i % 4](part) for i, part in enumerate(parts)
    ],
}


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=5)
    | st.lists(st.lists(st.text("ab c", max_size=3), min_size=1, max_size=5), min_size=1, max_size=5)
)
def test_several_sequences_are_the_same_in_every_container_and_end_to_end(parts):
    flat = [symbol for part in parts for symbol in part]
    alphabet = sorted(set(flat))
    codes = [alphabet.index(symbol) for symbol in flat]
    found = {name: read_symbols(container(parts)) for name, container in SEVERAL.items()}
    found["end to end"] = read_symbols(flat, [len(part) for part in parts])
    for name, sequences in found.items():
        assert sequences.codes.tolist() == codes, name
        assert sequences.symbols.tolist() == alphabet, name
        assert [b - a for a, b in pairwise(sequences.offsets.tolist())] == [len(part) for part in parts], name
        assert sequences.n_sequences == len(parts), name
        assert not sequences.has_missing, name
        assert sequences.layout.form == ("flat" if name == "end to end" else "list"), name


def test_ranges_in_a_list_are_sequences():
    found = read_symbols([range(2), range(3)])
    assert found.codes.tolist() == [0, 1, 0, 1, 2]
    assert found.offsets.tolist() == [0, 2, 5]


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float64, bool, "U1"])
def test_a_panel_is_a_list_of_its_series(dtype):
    panel = np.array([[0, 1, 1], [1, 1, 0]]).astype(dtype)
    found = read_symbols(panel[:, :, None])
    alone = read_symbols(list(panel))
    assert found.codes.tolist() == alone.codes.tolist() == [0, 1, 1, 1, 1, 0]
    assert found.offsets.tolist() == [0, 3, 6]
    assert found.layout.form == "list"


def test_a_masked_panel_keeps_its_mask():
    panel = np.ma.array([[[3], [4]], [[5], [3]]], mask=[[[False], [True]], [[True], [False]]])
    found = read_symbols(panel)
    assert found.codes.tolist() == [0, -1, -1, 0]
    assert found.symbols.tolist() == [3]


def test_a_sequence_in_which_nothing_was_observed_may_stand_among_others():
    for nothing in ([None, None], np.array([np.nan, np.nan]), pd.Series([None, None], dtype="string")):
        for others in (["wet", "dry"], [3, 1], [True, False], pd.Categorical([7, 5])):
            for parts, expected in (([nothing, others], [-1, -1, 1, 0]), ([others, nothing], [1, 0, -1, -1])):
                found = read_symbols(parts)
                assert found.codes.tolist() == expected
                assert found.symbols.dtype == read_symbols(others).symbols.dtype


def test_each_sequence_keeps_its_index():
    X = [pd.Series([1, 0], index=["x", "y"]), [0, 1], pd.Series([1], index=[7])]
    indexes = read_symbols(X).layout.indexes
    assert indexes[0].tolist() == ["x", "y"]
    assert indexes[1] is None
    assert indexes[2].tolist() == [7]


def test_a_series_in_gives_labelled_steps_out():
    days = pd.date_range("2024-01-01", periods=5, name="day")
    steps = MarkovChain().fit([0, 1, 1, 0, 1]).log_likelihood(pd.Series([0, 1, 1, 0, 1], index=days), by="step")
    pd.testing.assert_index_equal(steps.index, days)
    assert steps.isna().tolist() == [True, False, False, False, False]


def test_sequences_are_frozen():
    with pytest.raises(AttributeError):
        read_symbols([0, 1]).codes = None
    assert isinstance(read_symbols([0, 1]), SymbolSequences)


# -------------------------------------------------------------------------------------------------------- refusals

MIXED = "pass one sequence of symbols or a list of sequences"
REFUSED = {
    "sequence then symbol": ([[1], 2], TypeError, rf"X mixes sequences and single symbols \(X\[1\] is 2, .*{MIXED}"),
    "symbol then sequence": ([1, 2, [3]], TypeError, rf"X\[2\] is \[3\], X\[0\] is 1\): {MIXED}"),
    "missing then sequence": ([None, [1]], TypeError, rf"X\[1\] is \[1\], X\[0\] is None\): {MIXED}"),
    "symbols and a range": ([range(2), 1], TypeError, rf"X\[1\] is 1, X\[0\] is range\(0, 2\)\): {MIXED}"),
    "two columns": (np.eye(2), ValueError, r"X has shape \(2, 2\); .*pass one column, X\[:, j\], or a list of sequ"),
    "one row": (np.ones((1, 3)), ValueError, r"X has shape \(1, 3\); .*or a list of sequences, list\(X\)"),
    "two columns in the second": ([[1], np.eye(2)], ValueError, r"X\[1\] has shape \(2, 2\)"),
    "masked columns": (np.ma.ones((2, 2)), ValueError, r"X has shape \(2, 2\)"),
    "four dimensions": (np.ones((2, 2, 2, 1)), ValueError, r"X has shape \(2, 2, 2, 1\); .*pass 1-D data"),
    "panel of features": (np.ones((2, 3, 4)), ValueError, r"a panel .* of 4 features; .*: pass X\[:, :, j\]"),
    "frame": (
        pd.DataFrame({"a": [1], "b": [2]}),
        ValueError,
        r"X is a frame of 2 columns \('a', 'b'\): choose one, as",
    ),
    "frame of twins": (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "X is a frame of 2 columns"),
    "polars frame": (pl.DataFrame({"a": [1], "b": [2]}), ValueError, r"frame of 2 columns \('a', 'b'\)"),
    "frame in a list": ([[1], pd.DataFrame({"a": [1], "b": [2]})], ValueError, r"X\[1\] is a frame of 2 columns"),
    "kinds": ([["a"], [1]], TypeError, r"X\[0\] holds text symbols but X\[1\] holds integer symbols: use one kind"),
    "kinds after nothing": ([[None], [True], [1]], TypeError, r"X\[1\] holds bool symbols but X\[2\] holds integer"),
    "categories": (
        [pd.Categorical(["a"]), pd.Categorical(["b"])],
        ValueError,
        "the categories of the sequences differ: give them all the same categories, in one order",
    ),
    "order of categories": (
        [pd.Categorical(["a"], categories=["a", "b"]), pd.Categorical(["a"], categories=["b", "a"])],
        ValueError,
        "the categories of the sequences differ",
    ),
    "categories of nothing": (
        [pd.Categorical([None], categories=["a", "b"]), pd.Categorical(["a"])],
        ValueError,
        "the categories of the sequences differ",
    ),
    "categories then none": ([pd.Categorical(["a"]), ["a"]], ValueError, "the categories of the sequences differ"),
    "none then categories": ([["a"], pd.Categorical(["a"])], ValueError, "the categories of the sequences differ"),
}


@pytest.mark.parametrize(("X", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_layout_that_is_none_is_refused_with_the_place_and_a_way_out(X, error, message):
    with pytest.raises(error, match=message):
        read_symbols(X)


def test_categories_may_differ_where_the_caller_gives_the_alphabet():
    found = read_symbols([pd.Categorical(["a"]), pd.Categorical(["b"]), ["c"]], symbols=["c", "b", "a"])
    assert found.codes.tolist() == [2, 1, 0]


LENGTHS = {
    "sum too large": ([3, 2], ValueError, "lengths sum to 5 but X has 4 rows; .*pass a list of sequences instead"),
    "sum too small": ([3], ValueError, "lengths sum to 3 but X has 4 rows"),
    "sum that wraps round": ([2**62, 2**62, 2**62, 2**62, 4], ValueError, "lengths sum to 18446744073709551620 but"),
    "zero": ([2, 0, 2], ValueError, r"lengths\[1\] is 0, expected at least 1: leave empty sequences out"),
    "negative": ([2, 3, -1], ValueError, r"lengths\[2\] is -1, expected at least 1"),
    "floats": ([2.0, 2.0], TypeError, r"lengths must be a list of positive integers, .*\(got \[2.0, 2.0\]\)"),
    "fractions": ([1.5, 2.5], TypeError, "lengths must be a list of positive integers"),
    "matrix": ([[2, 2]], TypeError, r"lengths must be a list of positive integers.*\(got \[\[2, 2\]\]\)"),
    "ragged": ([[2], [1, 1]], TypeError, "lengths must be a list of positive integers"),
    "number": (4, TypeError, r"lengths must be a list of positive integers.*\(got 4\)"),
    "text": ("4", TypeError, r"lengths must be a list of positive integers.*\(got '4'\)"),
    "none of them": ([], TypeError, r"lengths must be a list of positive integers.*\(got \[\]\)"),
    "truth values": ([True] * 4, TypeError, "lengths must be a list of positive integers"),
    "y of texts": (["a", "b", "a", "b"], TypeError, "a y of labels does not belong here"),
    "y of numbers": ([0.5, 1.5, 0.1, 0.2], TypeError, "a y of labels does not belong here"),
    "y of classes": ([0, 1, 1, 0], TypeError, "lengths has a number for each of the 4 rows of X.* are a keyword, y="),
    "y of classes from 1": (np.array([1, 2, 2, 1]), TypeError, "lengths has a number for each of the 4 rows of X"),
}


@pytest.mark.parametrize(("lengths", "error", "message"), LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("X", [[1, 2, 1, 2], np.array(["a", "b", "a", "b"])], ids=["list", "array"])
def test_wrong_lengths_are_refused_with_what_they_are_and_should_be(X, lengths, error, message):
    with pytest.raises(error, match=message):
        read_symbols(X, lengths)


@pytest.mark.parametrize("X", [[[1], [2]], [np.array([1, 2])], np.zeros((2, 2, 1))], ids=["lists", "arrays", "panel"])
def test_lengths_beside_sequences_that_have_their_own_are_refused_and_y_is_named(X):
    with pytest.raises(ValueError, match=r"lengths is for sequences laid end to end.*have their own; a y of labels"):
        read_symbols(X, [1, 1])


@pytest.mark.parametrize(
    "lengths",
    [[3, 1], (3, 1), np.array([3, 1], dtype=np.uint8), np.array([3, 1], dtype=">u8"), pd.Series([3, 1], index=[9, 8])],
    ids=["list", "tuple", "uint8", "big-endian", "series"],
)
def test_lengths_come_in_every_container(lengths):
    offsets = check_lengths(lengths, 4)
    assert offsets.tolist() == [0, 3, 4]
    assert offsets.dtype == np.int64


def test_a_sequence_each_row_is_a_layout_too():
    assert check_lengths([1, 1, 1], 3).tolist() == [0, 1, 2, 3]
    assert check_lengths([1], 1).tolist() == [0, 1]


def test_a_place_in_flat_data_is_its_row():
    with pytest.raises(ValueError, match=r"X\[3\] is 9, which is not among"):
        read_symbols([0, 1, 1, 9], [2, 2], symbols=[0, 1])


# ---------------------------------------------------------------------------------------------------- the calendar


def with_dates(*dates):
    return pd.Series(range(len(dates)), index=pd.DatetimeIndex(dates))


def test_a_hole_in_the_dates_warns_once_and_names_the_sequence():
    X = [[0, 1, 2], with_dates("2024-01-01", "2024-01-02", "2024-01-05")]
    with pytest.warns(CalendarWarning, match=r"X\[1\] has no rows between 2024-01-02.* and 2024-01-05") as caught:
        MarkovChain(smoothing="laplace").fit(X)
    assert len(caught) == 1


def test_dates_out_of_order_are_refused_and_name_the_sequence():
    with pytest.raises(ValueError, match=r"the date of X\[1\]\[1\], 2024-01-01.*, comes before the one above it"):
        read_symbols([[0, 1], with_dates("2024-01-02", "2024-01-01")])


def test_messages_call_the_data_by_their_name():
    with pytest.raises(TypeError, match=r"^y is the text 'ab'"):
        read_symbols("ab", name="y")
    with pytest.raises(ValueError, match=r"^y\[1\] is empty"):
        read_symbols([["a"], []], name="y")
    with pytest.raises(ValueError, match=r"^y\[1\]\[0\] is 'c', which is not among"):
        read_symbols([["a"], ["c"]], symbols=["a", "b"], name="y")


def test_sequences_of_several_may_be_empty_where_that_is_said():
    found = read_symbols([[], ["b", "a"], [], ["a"]], may_be_empty=True)
    assert found.offsets.tolist() == [0, 0, 2, 2, 3]
    assert found.codes.tolist() == [1, 0, 0]
    assert read_symbols([[], [3, 0]], may_be_empty=True).symbols.tolist() == [0, 3]
