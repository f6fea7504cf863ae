"""Strings of the embedded Reber grammar, and what the grammar says of them."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.datasets import REBER_SYMBOLS, draw_reber, reber_log_likelihood

# The grammar as regular expressions of its two loops, written down from the picture
WALK = re.compile(
    r"""B(?:
        T S* X (?: S | X T* V (?: P X T* V )* (?: V | P S ) )
      | P T* V (?: P X T* V )* (?: V | P S )
    )E""",
    re.VERBOSE,
)
EMBEDDED = re.compile(rf"B(?:T{WALK.pattern}T|P{WALK.pattern}P)E", re.VERBOSE)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_strings_are_of_the_grammar(seed, embedded):
    for letters in draw_reber(5, embedded=embedded, random_state=seed):
        assert (EMBEDDED if embedded else WALK).fullmatch("".join(letters))
        assert np.isin(letters, REBER_SYMBOLS).all()
        assert np.isfinite(reber_log_likelihood(letters, embedded=embedded))


@pytest.mark.parametrize("embedded", [False, True])
def test_a_string_is_drawn_as_often_as_its_probability_says(embedded):
    drawn = ["".join(letters) for letters in draw_reber(20_000, embedded=embedded, random_state=0)]
    for text in set(drawn):
        p = np.exp(reber_log_likelihood(text, embedded=embedded))
        if p * len(drawn) > 50:
            assert drawn.count(text) / len(drawn) == pytest.approx(p, abs=5 * np.sqrt(p / len(drawn)))


@given(st.text("BEPSTVX", max_size=14), st.booleans())
def test_what_the_grammar_does_not_make_is_impossible(text, embedded):
    possible = (EMBEDDED if embedded else WALK).fullmatch(text) is not None
    assert np.isfinite(reber_log_likelihood(text, embedded=embedded)) == possible


def test_one_wrong_letter_makes_a_string_impossible():
    text = "BTBPVVETE"
    assert reber_log_likelihood(text) == pytest.approx(-4 * np.log(2.0))
    assert reber_log_likelihood("BTBPVVEPE") == -np.inf
    changed = [text[:i] + letter + text[i + 1 :] for i in range(len(text)) for letter in REBER_SYMBOLS]
    for other in changed:
        assert np.isfinite(reber_log_likelihood(other)) == (EMBEDDED.fullmatch(other) is not None)


def test_the_same_seed_draws_the_same_strings():
    first, second = draw_reber(10, random_state=3), draw_reber(10, random_state=3)
    assert ["".join(row) for row in first] == ["".join(row) for row in second]
    assert draw_reber(0, random_state=0) == []
