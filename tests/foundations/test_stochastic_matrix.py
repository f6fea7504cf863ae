"""Stochastic matrices: the checks' messages, and the graph and GTH against boolean powers and exact fractions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.special import comb

from statespace.foundations.stochastic_matrix import (
    check_first_order,
    check_law,
    check_stochastic_matrix,
    communicating_classes,
    stationary_law,
)
from tests import naive
from tests.markov.example_chains import LAND_OF_OZ, chains, drifting_walk, irreducible_chains

# Checks


def test_a_good_matrix_comes_back_bit_for_bit_in_a_new_array():
    P = np.array([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [5e-9, 0.0, 1.0]], order="F")
    checked = check_stochastic_matrix("P", P)
    np.testing.assert_array_equal(checked, P)
    assert checked.dtype == np.float64
    assert checked.flags.c_contiguous
    assert not np.shares_memory(checked, P)


@pytest.mark.parametrize(
    "given_as",
    [
        np.ndarray.tolist,
        pd.DataFrame,
        csr_array,
        np.matrix,
        lambda P: P.astype(np.float32),
        lambda P: np.ma.array(P, mask=False),
        lambda P: P.astype(object),
        lambda P: np.broadcast_to(P, (2, 2)),
    ],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_lists_frames_and_other_arrays_are_read(given_as):
    P = np.array([[0.5, 0.5], [0.25, 0.75]])
    np.testing.assert_array_equal(check_stochastic_matrix("P", given_as(P)), P)


def test_a_transition_array_of_higher_order_is_checked_along_its_last_axis():
    P = np.full((3, 3, 3), 1 / 3)
    np.testing.assert_array_equal(check_stochastic_matrix("P", P), P)
    P[2, 1] = [0.5, 0.4, 0.0]
    with pytest.raises(ValueError, match=r"transmat row \(2, 1\) sums to 0\.9, expected 1 \(tolerance 1e-8\)"):
        check_stochastic_matrix("transmat", P)


@pytest.mark.parametrize(
    ("P", "message"),
    [
        ([[0.5, 0.5], [0.9, 0.03]], r"P row 1 sums to 0\.93, expected 1 \(tolerance 1e-8\)$"),
        ([[0.5, 0.5], [0.5, 0.49999998]], r"P row 1 sums to 0\.99999998, expected 1"),
        ([[0.5, 0.6], [0.5, 0.4]], r"P row 0 sums to 1\.1, .*its columns do: pass the transpose"),
        ([[0.5, 0.5], [0.0, 0.0]], r"P row 1 is all zeros, expected a law that sums to 1"),
        ([[0.5, 0.5], [1.2, -0.2]], r"P\[1, 1\] is -0\.2, expected a probability"),
        ([[0.5, np.nan], [0.5, 0.5]], r"P\[0, 1\] is NaN, expected a probability"),
        ([[0.5, None], [0.5, 0.5]], r"P\[0, 1\] is NaN, expected a probability"),
        ([[0.5, 0.5], [np.inf, 0.0]], r"P\[1, 0\] is inf, expected a probability"),
        ([[0.5, 0.5], [1e308, 1e308]], r"P row 1 sums to inf, expected 1"),
        (np.ma.array([[0.5, 0.5], [0.5, 0.5]], mask=[[0, 0], [1, 0]]), r"P\[1, 0\] is NaN"),
        ([[0.5, 0.5]], r"P has shape \(1, 2\), expected \(n_states, n_states\)"),
        ([[0.5, 0.5], [1.0]], r"P has rows of different lengths"),
        (np.empty((0, 0)), r"P has shape \(0, 0\): it needs at least one state"),
        (1.0, r"P has shape \(\), expected \(n_states, n_states\)"),
    ],
)
def test_a_bad_matrix_is_told_what_is_wrong_and_where(P, message):
    with pytest.raises(ValueError, match=message):
        check_stochastic_matrix("P", P)


@pytest.mark.parametrize("P", [[["a", "b"], ["c", "d"]], [["0.5", "0.5"], ["0.5", "0.5"]], [[1j, 0], [0, 1]], [[{}]]])
def test_entries_that_are_no_numbers_are_a_type_error(P):
    with pytest.raises(TypeError, match=r"P holds .* real numbers"):
        check_stochastic_matrix("P", P)


def test_an_expected_shape_and_a_tolerance_are_kept():
    P = np.full((2, 2), 0.5)
    with pytest.raises(ValueError, match=r"P has shape \(2, 2\), expected \(3, 3\)"):
        check_stochastic_matrix("P", P, shape=(3, 3))
    np.testing.assert_array_equal(check_stochastic_matrix("P", [[0.5, 0.501], [0.5, 0.5]], tolerance=0.01)[1], P[1])
    with pytest.raises(ValueError, match=r"sums to 1\.001, expected 1 \(tolerance 0\.0001\)"):
        check_stochastic_matrix("P", [[0.5, 0.501], [0.5, 0.5]], tolerance=1e-4)


@pytest.mark.parametrize("shape", [(2,), (2, 2, 2)])
def test_a_first_order_matrix_has_two_axes(shape):
    with pytest.raises(ValueError, match=r"P has shape .*, expected \(n_states, n_states\): a chain of another order"):
        check_first_order("P", np.full(shape, 0.5))


def test_a_good_law_comes_back_in_a_new_array():
    law = np.array([0.1, 0.2, 0.7])
    checked = check_law("start", law, 3)
    np.testing.assert_array_equal(checked, law)
    assert not np.shares_memory(checked, law)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ([0.5, 0.4], r"start sums to 0\.9, expected 1 \(tolerance 1e-8\)"),
        ([0.0, 0.0], r"start is all zeros"),
        ([0.5, np.nan], r"start\[1\] is NaN"),
        ([-0.5, 1.5], r"start\[0\] is -0\.5"),
        ([1.0], r"start has shape \(1,\), expected \(2,\): one probability for each state"),
        ([[0.5, 0.5]], r"start has shape \(1, 2\), expected \(2,\)"),
        (1.0, r"start has shape \(\), expected \(2,\)"),
    ],
)
def test_a_bad_law_is_told_what_is_wrong_and_where(law, message):
    with pytest.raises(ValueError, match=message):
        check_law("start", law, 2)


# Graph


@given(chains(max_states=7))
def test_classes_agree_with_powers_of_the_graph(P):
    found = communicating_classes(P)
    assert [(c.members, c.recurrent) for c in found] == naive.communicating_classes(P)
    for c in found:
        assert [c.period] * len(c.members) == [naive.period(P, state) for state in c.members]


@given(st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_wheel_of_groups_has_as_many_periods_as_groups(n_groups, size, random):
    """Groups in a ring, each state leading to the whole next group, in shuffled order, beside an absorbing state."""
    K = n_groups * size + 1
    order = random.sample(range(K), K)
    P = np.zeros((K, K))
    for i in range(K - 1):
        following = ((i // size + 1) % n_groups) * size
        P[order[i], [order[j] for j in range(following, following + size)]] = 1 / size
    P[order[-1], order[-1]] = 1.0
    wheel = [c for c in communicating_classes(P) if order[-1] not in c.members]
    assert [(len(c.members), c.recurrent, c.period) for c in wheel] == [(K - 1, True, n_groups)]


def test_an_edge_counts_however_small_it_is():
    P = [[1.0, 5e-324], [0.0, 1.0]]
    assert [c.recurrent for c in communicating_classes(P)] == [False, True]


def test_a_thousand_states_in_a_line_do_not_exhaust_the_stack():
    K = 1000
    P = np.eye(K, k=1)
    P[-1, 0] = 1.0
    (found,) = communicating_classes(P)
    assert found.members == tuple(range(K))
    assert found.period == K


# Stationary law


@given(irreducible_chains())
def test_stationary_law_is_exact_to_a_few_roundings_of_each_entry(P):
    np.testing.assert_allclose(stationary_law(P), np.array(naive.stationary_law(P), dtype=float), rtol=1e-14)


@given(irreducible_chains(), st.randoms(use_true_random=False))
def test_stationary_law_follows_a_new_numbering_of_the_states(P, random):
    order = random.sample(range(len(P)), len(P))
    np.testing.assert_allclose(stationary_law(P[np.ix_(order, order)]), stationary_law(P)[order], rtol=1e-14)


def test_the_weather_in_the_land_of_oz():
    """Kemeny, Snell and Thompson (1974); Grinstead and Snell (1997), Introduction to Probability, chapter 11."""
    np.testing.assert_allclose(stationary_law(LAND_OF_OZ), [0.4, 0.2, 0.4], rtol=1e-15)


def test_ehrenfests_urns_are_binomial_to_the_rarest_state():
    """Period 2, and entries from 1e-1 to 1e-60."""
    n = 200
    k = np.arange(n)
    P = np.diag((n - k) / n, 1) + np.diag((k + 1) / n, -1)
    np.testing.assert_allclose(stationary_law(P), comb(n, np.arange(n + 1), exact=False) * 0.5**n, rtol=1e-12)


@pytest.mark.parametrize("up", [0.001, 0.999])
def test_a_law_that_falls_beyond_the_range_of_floats_neither_overflows_nor_loses_its_bulk(up):
    K = 240
    ratio = up / (1 - up)
    k = np.arange(K) if ratio < 1 else np.arange(K) - (K - 1.0)
    expected = ratio**k * abs(1 - ratio ** (-1 if ratio > 1 else 1))
    pi = stationary_law(drifting_walk(np.full(K, up)))
    visible = expected > 1e-290
    assert 90 < visible.sum() < 100
    np.testing.assert_allclose(pi[visible], expected[visible], rtol=1e-12)
    assert (pi[~visible] < 1e-289).all()


def test_two_wells_behind_a_high_barrier_share_the_law():
    up = np.where(np.arange(100) < 50, 1e-3, 0.999)
    pi = stationary_law(drifting_walk(up))
    np.testing.assert_allclose(pi, pi[::-1], rtol=1e-12)
    np.testing.assert_allclose(pi[1:49] / pi[:48], 1e-3 / 0.999, rtol=1e-12)


def test_wells_whose_exchange_underflows_are_an_error_and_no_silent_guess():
    up = np.where(np.arange(240) < 120, 1e-3, 0.999)
    with pytest.raises(ValueError, match=r"P joins states 0, 239 by probabilities below 2\.2e-308, which underflow"):
        stationary_law(drifting_walk(up))


def test_slow_states_behind_fast_ones_are_told_by_their_own_rates():
    """The same wells, where each state leaves to a fast one of its own, from which it nearly always comes back."""
    for half, underflows in ((50, False), (120, True)):
        K = 2 * half
        walk = drifting_walk(np.where(np.arange(K) < half, 1e-3, 0.999))
        P = np.block([[np.zeros((K, K)), np.eye(K)], [1e-20 * walk + (1 - 1e-20) * np.eye(K), np.zeros((K, K))]])
        if underflows:
            with pytest.raises(ValueError, match=r"P joins states .* by probabilities below"):
                stationary_law(P)
        else:
            pi = stationary_law(P)
            np.testing.assert_allclose(pi[:K], stationary_law(walk) / 2, rtol=1e-11)


def test_a_reducible_chain_has_no_one_stationary_law():
    with pytest.raises(ValueError, match=r"P has 2 communicating classes, expected 1: states 0 and 2 do not reach"):
        stationary_law([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
