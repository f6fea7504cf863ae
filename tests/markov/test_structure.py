"""Classes, long-run laws and n steps: against the graph's powers, exact fractions, and 60 digits."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations import stochastic_matrix
from statespace.markov import passage_times, structure
from tests import naive
from tests.markov.example_chains import (
    EXACT,
    LAND_OF_OZ,
    SEVERAL_OF_EACH,
    chains,
    chains_with_start,
    nearly_decomposable,
)

# Classes


@given(chains())
def test_kinds_of_states_agree_with_powers_of_the_graph(P):
    classes = naive.communicating_classes(P)
    recurrent = sorted(state for members, closed in classes if closed for state in members)
    assert structure.recurrent_states(P).tolist() == recurrent
    assert structure.transient_states(P).tolist() == [i for i in range(len(P)) if i not in recurrent]
    assert structure.absorbing_states(P).tolist() == [i for i in range(len(P)) if (np.delete(P[i], i) == 0).all()]
    assert structure.periods(P).tolist() == [naive.period(P, i) for i in range(len(P))]
    assert structure.is_irreducible(P) == naive.reachable(P).all()
    assert structure.is_aperiodic(P) == all(naive.period(P, i) == 1 for i in recurrent)


def test_a_chain_with_something_of_everything_is_sorted_out():
    P = SEVERAL_OF_EACH
    classes = [(c.members, c.recurrent, c.period) for c in structure.communicating_classes(P)]
    assert classes == [
        ((0,), True, 1),
        ((1, 2), True, 2),
        ((3, 4), True, 1),
        ((5,), False, 0),
        ((6,), False, 1),
    ]
    assert not structure.is_irreducible(P)
    assert not structure.is_aperiodic(P)
    assert structure.absorbing_states(P).tolist() == [0]
    assert structure.transient_states(P).tolist() == [5, 6]


@pytest.mark.parametrize("n_states", [3, 4, 9, 10])
def test_a_walk_on_a_cycle_has_period_2_where_the_cycle_is_even(n_states):
    P = (np.roll(np.eye(n_states), 1, axis=1) + np.roll(np.eye(n_states), -1, axis=1)) / 2
    period = 2 if n_states % 2 == 0 else 1
    assert structure.periods(P).tolist() == [period] * n_states
    assert structure.is_aperiodic(P) == (period == 1)


# The long run


@given(chains())
def test_stationary_laws_are_one_exact_law_for_each_recurrent_class(P):
    expected = [naive.stationary_law(P, members) for members in naive.recurrent_classes(P)]
    np.testing.assert_allclose(structure.stationary_laws(P), np.array(expected, dtype=float), **EXACT)


@given(chains())
def test_stationary_laws_are_invariant(P):
    laws = structure.stationary_laws(P)
    np.testing.assert_allclose(laws @ P, laws, rtol=0, atol=1e-15)
    np.testing.assert_allclose(laws.sum(axis=1), 1, rtol=1e-15)


@given(chains_with_start(scales=(1.0,)))
def test_limiting_law_is_the_average_over_time(chain):
    P, start = chain
    np.testing.assert_allclose(structure.limiting_law(P, start), naive.time_average(P, start), rtol=0, atol=1e-12)


@given(chains_with_start())
def test_limiting_law_is_a_law_that_a_step_does_not_change(chain):
    P, start = chain
    law = structure.limiting_law(P, start)
    np.testing.assert_allclose(law.sum(), 1, rtol=1e-14)
    np.testing.assert_allclose(law @ P, law, rtol=0, atol=1e-14)
    np.testing.assert_allclose(structure.limiting_law(P, start @ P), law, rtol=1e-12)


@given(chains_with_start())
def test_entropy_rates_agree_with_their_formula_in_60_digits(chain):
    P, start = chain
    ends = [sum(p * float(s) for p, s in zip(B, start, strict=True)) for B in naive.absorption_probabilities(P).T]
    with mpmath.workdps(60):
        rows = []
        for law in P:
            others = [mpmath.mpf(p) for p in np.delete(law, law.argmax())]
            exact = [1 - mpmath.fsum(others), *others]
            rows.append(-mpmath.fsum(p * mpmath.log(p) for p in exact if p > 0))
        expected = [
            float(mpmath.fsum(mpmath.mpf(p.numerator) / p.denominator * h for p, h in zip(pi, rows, strict=True)))
            for pi in (naive.stationary_law(P, members) for members in naive.recurrent_classes(P))
        ]
    np.testing.assert_allclose(structure.entropy_rates(P), expected, rtol=1e-13)
    mixed = sum(float(w) * h for w, h in zip(ends, expected, strict=True))
    assert structure.entropy_rate(P, start) == pytest.approx(mixed, rel=1e-13, abs=0)
    if len(expected) == 1:
        assert structure.entropy_rate(P) == pytest.approx(expected[0], rel=1e-13, abs=0)


def test_entropy_rate_runs_from_certainty_to_equal_chances():
    assert structure.entropy_rate([[0, 1], [1, 0]]) == 0.0
    assert structure.entropy_rate(np.full((5, 5), 0.2)) == pytest.approx(math.log(5), rel=1e-15)


def test_entropy_of_a_nearly_certain_row_keeps_its_digits():
    leaves = 1e-12
    with mpmath.workdps(60):
        e = mpmath.mpf(leaves)
        expected = float(-e * mpmath.log(e) - (1 - e) * mpmath.log(1 - e))
    P = [[1 - leaves, leaves], [leaves, 1 - leaves]]
    assert structure.entropy_rate(P) == pytest.approx(expected, rel=1e-15, abs=0)


@pytest.mark.parametrize("leak", [1e-3, 1e-12])
def test_nearly_decomposable_chains_keep_all_digits(leak):
    P = nearly_decomposable(leak)
    n = len(P)
    with mpmath.workdps(60):
        balance = naive.rates_in_digits(P).T
        balance[n - 1, :] = mpmath.ones(1, n)
        law = np.array([float(p) for p in mpmath.lu_solve(balance, [0] * (n - 1) + [1])])
        many = [float(p) for p in (naive.rates_in_digits(P) + mpmath.eye(n)) ** (10**12)]
    np.testing.assert_allclose(structure.stationary_laws(P)[0], law, rtol=5e-15)
    np.testing.assert_allclose(structure.mean_recurrence_times(P), 1 / law, rtol=5e-15)
    np.testing.assert_allclose(structure.n_step_matrix(P, 10**12).ravel(), many, rtol=2e-14)


# Steps and runs


@given(chains(), st.integers(0, 6))
def test_n_steps_are_n_single_steps(P, n):
    np.testing.assert_allclose(structure.n_step_matrix(P, n), np.array(naive.n_step_matrix(P, n), float), **EXACT)


@given(chains(), st.integers(0, 10**6), st.integers(0, 10**6))
def test_steps_add_up(P, m, n):
    """Chapman and Kolmogorov."""
    both = structure.n_step_matrix(P, m) @ structure.n_step_matrix(P, n)
    np.testing.assert_allclose(structure.n_step_matrix(P, m + n), both, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(both.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.6), (1.0, 1.0), (1e-12, 3e-12), (0.25, 1e-9)])
def test_two_states_have_their_closed_forms(a, b):
    """pi = (b, a) / (a + b); P^n = pi + (1 - a - b)^n (I - pi)."""
    P = np.array([[1 - a, a], [b, 1 - b]])
    np.testing.assert_allclose(structure.stationary_laws(P), [[b / (a + b), a / (a + b)]], rtol=1e-15)
    np.testing.assert_allclose(
        structure.mean_first_passage_times(P), [[1 + a / b, 1 / a], [1 / b, 1 + b / a]], rtol=1e-15
    )
    np.testing.assert_allclose(structure.expected_run_lengths(P), [1 / a, 1 / b], rtol=1e-15)
    for n in (1, 2, 1001, 10**12, 10**30):
        with mpmath.workdps(60):
            e = (1 - mpmath.mpf(a) - mpmath.mpf(b)) ** n
            leaves = float(mpmath.mpf(a) / (mpmath.mpf(a) + mpmath.mpf(b)) * (1 - e))
        assert structure.n_step_matrix(P, n)[0, 1] == pytest.approx(leaves, rel=1e-13, abs=0)


def test_one_step_is_the_matrix_itself_and_none_the_identity():
    P = np.array([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [0.3, 0.3, 0.4]])
    np.testing.assert_array_equal(structure.n_step_matrix(P, 1), P)
    np.testing.assert_array_equal(structure.n_step_matrix(P, 0), np.eye(3))


@given(chains())
def test_run_lengths_are_the_mean_of_the_geometric_law(P):
    expected = [float(-1 / g[k]) if g[k] else np.inf for k, g in enumerate(naive.rates(P))]
    np.testing.assert_allclose(structure.expected_run_lengths(P), expected, rtol=1e-15)


# Bad input

EVERY_FUNCTION = [
    structure.communicating_classes,
    structure.is_irreducible,
    structure.is_aperiodic,
    structure.periods,
    structure.recurrent_states,
    structure.transient_states,
    structure.absorbing_states,
    structure.stationary_laws,
    structure.entropy_rate,
    structure.entropy_rates,
    structure.expected_run_lengths,
    structure.absorption_probabilities,
    structure.absorption_times,
    structure.mean_first_passage_times,
    structure.mean_recurrence_times,
    lambda P: structure.n_step_matrix(P, 2),
    lambda P: structure.limiting_law(P, [1.0, 0.0]),
    lambda P: structure.hitting_probabilities(P, 0),
]


@pytest.mark.parametrize("function", EVERY_FUNCTION)
def test_every_function_names_the_row_that_is_no_law(function):
    with pytest.raises(ValueError, match=r"P row 1 sums to 0\.93, expected 1 \(tolerance 1e-8\)"):
        function([[0.5, 0.5], [0.9, 0.03]])
    with pytest.raises(ValueError, match=r"P has shape \(2, 2, 2\), expected \(n_states, n_states\)"):
        function(np.full((2, 2, 2), 0.5))


@pytest.mark.parametrize("function", EVERY_FUNCTION)
def test_no_function_writes_into_its_argument(function):
    P = np.array([[0.5, 0.5], [0.25, 0.75]])
    P.flags.writeable = False
    function(P)


@pytest.mark.parametrize(("n", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError), ("2", TypeError)])
def test_a_bad_number_of_steps_is_named(n, error):
    with pytest.raises(error, match=rf"n is {n!r}, expected an integer of at least 0"):
        structure.n_step_matrix(LAND_OF_OZ, n)


def test_a_bad_start_is_named():
    for function in (structure.limiting_law, structure.entropy_rate):
        with pytest.raises(ValueError, match=r"start sums to 0\.9, expected 1"):
            function(LAND_OF_OZ, [0.5, 0.4, 0.0])
        with pytest.raises(ValueError, match=r"start has shape \(2,\), expected \(3,\)"):
            function(LAND_OF_OZ, [0.5, 0.5])


def test_an_entropy_rate_that_depends_on_the_start_asks_for_it():
    with pytest.raises(ValueError, match=r"P has 3 recurrent classes, so its entropy rate depends on where it starts"):
        structure.entropy_rate(SEVERAL_OF_EACH)


def test_each_kernel_is_compiled_for_one_type():
    for given_as in (np.asarray, np.asfortranarray, np.ndarray.tolist, lambda P: np.broadcast_to(P, P.shape)):
        for function in EVERY_FUNCTION:
            function(given_as(np.array([[0.5, 0.5], [0.0, 1.0]])))
    for kernel in (
        stochastic_matrix.reduce_states,
        passage_times._eliminate,
        passage_times._substitute,
        passage_times._add_predecessors,
    ):
        assert len(kernel.signatures) == 1
