"""Checks that every model shares: what passes comes out as one type, what does not is named with its value."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations.validation import (
    check_choice,
    check_flag,
    check_integer,
    check_lengths,
    check_positive,
    check_probability,
    check_share,
)

HUGE = 10**400  # beyond the largest float


def str_of(value):
    return f"{value:.0e}" if abs(value) != HUGE else "huge"


class Index:
    def __index__(self):
        return 7


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_integers_of_at_least_the_minimum_pass(value, minimum):
    if value >= minimum:
        assert check_integer("order", value, minimum) == value
    else:
        with pytest.raises(ValueError, match=f"order is {value}, expected an integer of at least {minimum}"):
            check_integer("order", value, minimum)


@pytest.mark.parametrize("seven", [7, np.int8(7), np.uint64(7), np.array(7), Index()])
def test_whatever_is_an_integer_comes_out_as_one(seven):
    assert check_integer("order", seven) == 7
    assert type(check_integer("order", seven)) is int


@pytest.mark.parametrize("wrong", [True, np.bool_(False), 1.0, np.float64(2), "1", None, [1], np.array([1, 2]), 1j])
def test_what_is_no_integer_is_named(wrong):
    with pytest.raises(TypeError, match=r"order is .*, expected an integer of at least 0$"):
        check_integer("order", wrong)


@pytest.mark.parametrize("half", [0.5, np.float32(0.5), np.float64(0.5), Fraction(1, 2), Decimal("0.5"), np.array(0.5)])
@pytest.mark.parametrize("check", [check_positive, check_probability])
def test_whatever_is_a_number_comes_out_as_a_float(check, half):
    assert check("alpha", half) == 0.5
    assert type(check("alpha", half)) is float


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_every_finite_number_above_zero_is_positive(value):
    assert check_positive("alpha", value) == value


@pytest.mark.parametrize("wrong", [0, -0.0, -1e-300, math.inf, -math.inf, math.nan, HUGE, -HUGE], ids=str_of)
def test_what_is_not_positive_or_not_finite_is_named(wrong):
    with pytest.raises(ValueError, match=r"alpha is .*, expected a positive finite number$"):
        check_positive("alpha", wrong)


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_every_number_between_0_and_1_is_a_probability(value):
    assert check_probability("level", value) == value


@pytest.mark.parametrize("wrong", [0, 1, -0.1, 95, math.inf, math.nan, HUGE], ids=str_of)
def test_what_is_not_between_0_and_1_is_named(wrong):
    with pytest.raises(ValueError, match=r"level is .*, expected a number between 0 and 1$"):
        check_probability("level", wrong)


@pytest.mark.parametrize("wrong", [None, "0.5", b"0.5", True, np.bool_(True), [0.5], np.array([0.1, 0.2]), 1j, {}])
@pytest.mark.parametrize("check", [check_positive, check_probability])
def test_what_is_no_number_is_named(check, wrong):
    with pytest.raises(TypeError, match=r"alpha is .*, expected a (positive )?number"):
        check("alpha", wrong)


@pytest.mark.parametrize("share", [0, 1, 0.5, np.float32(0.25)])
def test_a_share_is_a_number_from_0_to_1_and_both_are(share):
    assert check_share("leak", share) == float(share)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [(-0.1, ValueError), (1.5, ValueError), (math.nan, ValueError), ("1", TypeError), (True, TypeError)],
)
def test_what_is_no_share_is_named(wrong, error):
    with pytest.raises(error, match=f"leak is {wrong!r}, expected a number from 0 to 1"):
        check_share("leak", wrong)


def test_a_flag_is_true_or_false_and_nothing_that_only_counts_as_one():
    assert check_flag("bias", np.bool_(True)) is True
    assert check_flag("bias", False) is False
    for wrong in (1, 0, "no", None, []):
        with pytest.raises(TypeError, match=r"bias is .*, expected True or False"):
            check_flag("bias", wrong)


@pytest.mark.parametrize("choice", [None, "laplace", np.str_("laplace")])
def test_a_choice_among_the_named_ones_passes(choice):
    check_choice("smoothing", choice, (None, "laplace"))


@pytest.mark.parametrize("wrong", ["Laplace", "", 1, True, ["laplace"], np.array(["laplace", None]), math.nan])
def test_a_choice_that_is_not_offered_is_named_with_those_that_are(wrong):
    with pytest.raises(ValueError, match=r"smoothing is .*, expected one of None, 'laplace'$"):
        check_choice("smoothing", wrong, iter([None, "laplace"]))


def test_none_is_a_choice_only_where_it_is_offered():
    with pytest.raises(ValueError, match="by is None, expected one of 'total', 'step'"):
        check_choice("by", None, ("total", "step"))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_lengths_become_the_places_where_sequences_begin_and_end(lengths):
    offsets = check_lengths(lengths, sum(lengths))
    assert offsets.tolist() == [sum(lengths[:s]) for s in range(len(lengths) + 1)]
    assert offsets.dtype == np.int64


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(-50, 50).filter(bool))
def test_lengths_that_do_not_fill_the_rows_name_both_numbers(lengths, more):
    rows = sum(lengths) + more
    if rows != len(lengths):  # one number a row would be taken for a target
        with pytest.raises(ValueError, match=f"lengths sum to {sum(lengths)} but X has {rows} rows"):
            check_lengths(lengths, rows)
