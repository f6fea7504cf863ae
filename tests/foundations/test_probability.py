"""What a random_state may be, and that it is left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations.probability import generator


@given(st.integers(0, 2**100))
def test_a_seed_means_numpys_own_stream(seed):
    assert generator(seed).random() == np.random.default_rng(seed).random()


@pytest.mark.parametrize("integer", [np.int64(7), np.uint8(7), np.int32(7)])
def test_numpy_integers_are_seeds_too(integer):
    assert generator(integer).random() == generator(7).random()


def test_a_generator_is_itself():
    rng = np.random.default_rng(1)
    assert generator(rng) is rng


def test_none_ignores_the_global_seed():
    draws = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002  # what a script may have done
        draws.append(generator(None).random())
    assert draws[0] != draws[1]


def test_a_random_state_repeats_from_its_seed_and_goes_on_between_calls():
    one, two = np.random.RandomState(3), np.random.RandomState(3)
    first = generator(one).random()
    assert generator(two).random() == first
    assert generator(one).random() != first


@pytest.mark.parametrize("wrong", ["7", 1.0, True, np.bool_(False), [1, 2], np.random, np.array([1])])
def test_anything_else_is_refused_with_what_is_expected(wrong):
    with pytest.raises(TypeError, match="expected None, an int"):
        generator(wrong)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="random_state is -1: a seed must not be negative"):
        generator(-1)
