"""Absorption, hitting and first passage: against exact fractions, the literature's answers, and closed forms."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.markov import structure
from tests import naive
from tests.markov.example_chains import (
    EXACT,
    LAND_OF_OZ,
    chains,
    gamblers_ruin,
    nearly_decomposable,
    well,
)

# Against exact fractions


@given(chains())
def test_absorption_agrees_with_exact_fractions(P):
    np.testing.assert_allclose(
        structure.absorption_probabilities(P), naive.absorption_probabilities(P).astype(float), **EXACT
    )
    np.testing.assert_allclose(structure.absorption_times(P), np.array(naive.absorption_times(P), dtype=float), **EXACT)


@given(chains(), st.data())
def test_hitting_probabilities_agree_with_exact_fractions(P, data):
    targets = data.draw(st.lists(st.integers(0, len(P) - 1), min_size=1))
    h = structure.hitting_probabilities(P, targets)
    expected = naive.hitting_probabilities(P, set(targets))
    np.testing.assert_allclose(h, np.array(expected, dtype=float), **EXACT)
    certain = [p == 1 for p in expected]
    assert (h[certain] == 1).all(), "what is certain must be exactly 1"
    mask = np.isin(np.arange(len(P)), targets)
    np.testing.assert_array_equal(structure.hitting_probabilities(P, mask), h)


@given(chains())
def test_first_passage_times_agree_with_exact_fractions_and_are_finite_where_arrival_is_certain(P):
    np.testing.assert_allclose(structure.mean_first_passage_times(P), naive.mean_first_passage_times(P), **EXACT)


@given(chains())
def test_two_ways_to_the_mean_recurrence_times(P):
    np.testing.assert_allclose(
        structure.mean_recurrence_times(P), structure.mean_first_passage_times(P).diagonal(), rtol=1e-13
    )


@given(chains(max_states=8).filter(structure.is_irreducible))
def test_the_mean_time_to_a_state_drawn_from_the_stationary_law_is_the_same_from_everywhere(P):
    """Kemeny's constant (Kemeny and Snell 1960, theorem 4.4.10)."""
    M, pi = structure.mean_first_passage_times(P), structure.stationary_laws(P)[0]
    constant = (M - np.diag(M.diagonal())) @ pi
    np.testing.assert_allclose(constant, constant[0], rtol=1e-13)


def test_weather_in_the_land_of_oz():
    """Grinstead and Snell (1997), Introduction to Probability, section 11.5."""
    np.testing.assert_allclose(
        structure.mean_first_passage_times(LAND_OF_OZ),
        [[5 / 2, 4, 10 / 3], [8 / 3, 5, 8 / 3], [10 / 3, 4, 5 / 2]],
        rtol=1e-15,
    )


def test_the_drunkards_walk():
    """Grinstead and Snell (1997), section 11.2: five corners, of which home and the bar absorb."""
    P = gamblers_ruin(0.5, 5)
    np.testing.assert_allclose(
        structure.absorption_probabilities(P), [[1, 0], [3 / 4, 1 / 4], [1 / 2, 1 / 2], [1 / 4, 3 / 4], [0, 1]]
    )
    np.testing.assert_allclose(structure.absorption_times(P), [0, 3, 4, 3, 0])


@pytest.mark.parametrize("up", [0.5, 0.3, 0.6, 0.9])
def test_gamblers_ruin_has_its_closed_form(up):
    """Feller (1968), volume 1, chapter XIV, equations 2.4, 2.5, 3.4 and 3.5."""
    n = 40
    P, i = gamblers_ruin(up, n + 1), np.arange(n + 1)
    if up == 0.5:
        wins, steps = i / n, i * (n - i)
    else:
        with mpmath.workdps(60):
            r = (1 - mpmath.mpf(up)) / mpmath.mpf(up)
            exact = [(1 - r**k) / (1 - r**n) for k in range(n + 1)]
            steps = np.array([float((k - n * w) / (1 - 2 * mpmath.mpf(up))) for k, w in enumerate(exact)])
            wins = np.array([float(w) for w in exact])
    np.testing.assert_allclose(structure.absorption_probabilities(P)[:, 1], wins, rtol=1e-13)
    np.testing.assert_allclose(structure.hitting_probabilities(P, n), wins, rtol=1e-13)
    np.testing.assert_allclose(structure.absorption_times(P), steps, rtol=1e-13)


@pytest.mark.parametrize("top", [1, 399])
def test_an_end_too_unlikely_for_a_float_still_makes_all_else_uncertain(top):
    """The top is reached before the bottom with probability 9^-399: also where it is numbered state 1."""
    order = np.insert(np.arange(399), top, 399)
    M = structure.mean_first_passage_times(gamblers_ruin(0.1, 400)[np.ix_(order, order)])
    ends = np.isin(order, [0, 399])
    assert (M[ends, ends] == 1).all()
    M[ends, ends] = np.inf
    assert np.isinf(M).all()


def test_states_behind_which_everything_lies_are_certain_though_transient():
    line = [[0.5, 0.5, 0, 0], [0, 0.75, 0.25, 0], [0, 0, 0.9, 0.1], [0, 0, 0, 1.0]]
    inf = np.inf
    np.testing.assert_allclose(
        structure.mean_first_passage_times(line),
        [[inf, 2, 6, 16], [inf, inf, 4, 14], [inf, inf, inf, 10], [inf, inf, inf, 1]],
        rtol=1e-15,
    )


def test_a_mean_beyond_the_range_of_floats_reads_infinite_and_spoils_no_other():
    K, up = 240, 1e-3
    P = gamblers_ruin(up, K)
    P[0, :2], P[-1, -2:] = [1 - up, up], [1 - up, up]
    M = structure.mean_first_passage_times(P)
    assert np.isinf(M[0, -1])
    k = np.arange(1, K)
    descent = (1 - (up / (1 - up)) ** (K - k)) / (1 - 2 * up)  # one step down from k
    np.testing.assert_allclose(M[k, k - 1], descent, rtol=1e-12)
    assert M[0, 1] == pytest.approx(1000, rel=1e-14)


def test_a_deep_well_is_left_at_both_ends_alike():
    B = structure.absorption_probabilities(well(80))
    np.testing.assert_allclose(B, B[::-1, ::-1], rtol=1e-12)
    np.testing.assert_allclose(B[2:-2], 0.5, rtol=1e-3)


def test_a_well_that_is_left_too_rarely_for_floats_is_an_error_and_no_silent_guess():
    P = well(120)
    with pytest.raises(ValueError, match=r"P keeps the chain in the transient states for more than 1e308 steps from"):
        structure.absorption_probabilities(P)
    with pytest.raises(ValueError, match=r"where it ends cannot be told in float64"):
        structure.hitting_probabilities(P, 0)
    assert np.isinf(structure.absorption_times(P)[1:-1]).all()


def test_a_certain_end_needs_no_float_to_say_so():
    P = [[1.0, 5e-324, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5]]
    np.testing.assert_array_equal(structure.absorption_probabilities(P), [[1], [1], [1]])
    np.testing.assert_array_equal(structure.hitting_probabilities(P, 1), [1, 1, 1])
    np.testing.assert_array_equal(structure.absorption_times(P), [np.inf, 0, 2])


# Accuracy


@pytest.mark.parametrize("leak", [1e-3, 1e-12])
def test_nearly_decomposable_chains_keep_all_digits(leak):
    """Blocks joined by `leak`, alone and with two ends that are reached with probabilities of that size."""
    P = nearly_decomposable(leak)
    n = len(P)
    exits = leak * np.random.default_rng(8).random((n, 2))
    ending = np.block([[np.eye(2), np.zeros((2, n))], [exits, P * (1 - exits.sum(axis=1, keepdims=True))]])
    with mpmath.workdps(60):
        inner = -naive.rates_in_digits(ending)[2:, 2:]
        first_end = mpmath.lu_solve(inner, naive.rates_in_digits(ending)[2:, 0])
        steps = mpmath.lu_solve(inner, [1] * n)
        to_first = mpmath.lu_solve(-naive.rates_in_digits(P)[1:, 1:], [1] * (n - 1))
        expected = [np.array([float(value) for value in result]) for result in (first_end, steps, to_first)]
    tight = {"rtol": 5e-15, "atol": 0}
    np.testing.assert_allclose(structure.absorption_probabilities(ending)[2:, 0], expected[0], **tight)
    np.testing.assert_allclose(structure.hitting_probabilities(ending, 0)[2:], expected[0], **tight)
    np.testing.assert_allclose(structure.absorption_times(ending)[2:], expected[1], **tight)
    np.testing.assert_allclose(structure.mean_first_passage_times(P)[1:, 0], expected[2], **tight)


# Bad input


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (3, ValueError, r"targets holds state 3, expected states from 0 to 2"),
        ([0, -1], ValueError, r"targets holds state -1, expected states from 0 to 2"),
        ([], ValueError, r"targets is empty, expected at least one state"),
        ([False, False, False], ValueError, r"targets is empty"),
        ([True, False], ValueError, r"targets has shape \(2,\), expected one boolean for each of 3 states"),
        ([0.5], TypeError, r"targets holds float64 entries, expected state numbers"),
        (["rain"], TypeError, r"targets holds <U4 entries, expected state numbers"),
    ],
)
def test_bad_targets_are_named(targets, error, message):
    with pytest.raises(error, match=message):
        structure.hitting_probabilities(LAND_OF_OZ, targets)
