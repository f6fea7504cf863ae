"""Every recursion against all K^T paths in 50 digits, and where scaled numbers would lose what matters."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from statespace.hmm import extended_range, forward_pass, recursions
from statespace.hmm.frames import Frames
from tests import naive_hmm


class Case(NamedTuple):
    startprob: np.ndarray
    transmat: np.ndarray
    frames: Frames
    offsets: np.ndarray
    scale: float

    @property
    def arguments(self):
        return self.startprob, self.transmat, self.frames, self.offsets

    def sequences(self):
        """What the twin takes, and the place, of each sequence."""
        table = self.frames.table if self.frames.rows is None else self.frames.table[self.frames.rows]
        for a, b in itertools.pairwise(self.offsets):
            A = self.transmat[a : b - 1] if self.transmat.ndim == 3 else self.transmat
            yield slice(a, b), (self.startprob, A, table[a:b])

    @property
    def tolerance(self):
        """1e-12 of the largest number that log-likelihoods are made of."""
        return 1e-12 * max(1.0, self.scale)


def laws(rng, shape, zeros, tiny):
    law = rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])
    if zeros:
        law[rng.random(shape) < zeros] = 0.0
    if tiny:
        law[rng.random(shape) < 0.2] *= 10.0 ** -rng.choice([20, 60, 250])
    keep = rng.integers(0, shape[-1], shape[:-1])
    np.put_along_axis(law, keep[..., None], np.maximum(np.take_along_axis(law, keep[..., None], -1), 0.1), -1)
    return law / law.sum(axis=-1, keepdims=True)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    K = draw(st.integers(1, 4))
    longest = {1: 6, 2: 6, 3: 5, 4: 4}[K]
    lengths = draw(st.lists(st.integers(1, longest), min_size=1, max_size=3))
    n, zeros, tiny = sum(lengths), draw(st.sampled_from([0.0, 0.0, 0.4])), draw(st.booleans())
    varying = draw(st.booleans())
    transmat = laws(rng, (n - 1, K, K) if varying else (K, K), zeros, tiny)
    if zeros and draw(st.booleans()) and not varying:
        transmat[rng.integers(K)] = 0.0  # a state that is never left
    startprob = laws(rng, (K,), zeros, tiny)
    scale = draw(st.sampled_from([1e-8, 1.0, 100.0, 1000.0]))
    rows = rng.integers(0, 4, n) if draw(st.booleans()) else None
    table = scale * rng.normal(size=(n if rows is None else 4, K))
    table[rng.random(table.shape) < draw(st.sampled_from([0.0, 0.3]))] = -np.inf
    table[rng.random(len(table)) < 0.2] = 0.0
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if varying:
        transmat[offsets[1:-1] - 1] = np.nan  # never read
    return Case(startprob, transmat, Frames(table, rows), offsets, scale)


# All K^T paths


@settings(max_examples=60)
@given(cases())
def test_log_likelihoods_are_sums_over_all_paths(case):
    found = recursions.log_likelihoods(*case.arguments)
    expected = [naive_hmm.log_likelihood(*twin) for _, twin in case.sequences()]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=case.tolerance)


@settings(max_examples=60)
@given(cases())
def test_filtered_and_predicted_probabilities_are_sums_over_all_paths(case):
    found = recursions.filter_states(*case.arguments)
    for place, twin in case.sequences():
        filtered, predicted, steps = naive_hmm.filtered_states(*twin)
        np.testing.assert_allclose(found.filtered[place], filtered, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.predicted[place], predicted, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.log_likelihood_steps[place], steps, rtol=1e-12, atol=case.tolerance)


@settings(max_examples=60)
@given(cases())
def test_posteriors_are_sums_over_all_paths(case):
    found = recursions.smooth_states(*case.arguments)
    for place, twin in case.sequences():
        np.testing.assert_allclose(found.posteriors[place], naive_hmm.smoothed_states(*twin)[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.log_likelihood, recursions.log_likelihoods(*case.arguments), rtol=1e-14)


@settings(max_examples=60)
@given(cases(), st.integers(0, 100))
def test_expectations_are_weighted_sums_over_all_paths(case, seed):
    weights = np.random.default_rng(seed).choice([0.0, 0.5, 1.0, 3.0], len(case.offsets) - 1)
    found = recursions.expectations(*case.arguments, weights)
    K = len(case.startprob)
    start, transitions, posteriors = np.zeros(K), np.zeros((K, K)), np.zeros(found.posteriors.shape)
    for (place, twin), weight, total in zip(case.sequences(), weights, found.log_likelihood, strict=True):
        assert total == pytest.approx(naive_hmm.log_likelihood(*twin), rel=1e-12, abs=case.tolerance)
        if total == -math.inf:
            continue  # adds nothing
        gamma, xi = naive_hmm.smoothed_states(*twin)
        start += weight * gamma[0]
        transitions += weight * xi
        rows = np.arange(place.start, place.stop) if case.frames.rows is None else case.frames.rows[place]
        np.add.at(posteriors, rows, weight * gamma)
    np.testing.assert_allclose(found.start, start, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.transitions, transitions, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.posteriors, posteriors, rtol=1e-12, atol=1e-12)


@settings(max_examples=60)
@given(cases())
def test_no_path_is_likelier_than_the_best(case):
    states, log_joint = recursions.most_likely_paths(*case.arguments)
    for s, (place, twin) in enumerate(case.sequences()):
        path, best, second = naive_hmm.best_path(*twin)
        assert log_joint[s] == pytest.approx(best, rel=1e-12, abs=case.tolerance)
        if best == -math.inf:
            assert (states[place] == 0).all()
        elif best - second > 1e-9 * max(1.0, case.scale):
            assert tuple(states[place]) == path
        else:
            assert naive_hmm.log_joint(*twin, states[place]) == pytest.approx(best, rel=1e-12, abs=case.tolerance)


@settings(max_examples=40)
@given(cases(), st.integers(0, 100))
def test_drawn_paths_are_possible(case, seed):
    uniforms = np.random.default_rng(seed).random((3, case.frames.n_samples))
    uniforms[0], uniforms[1] = 0.0, np.nextafter(1.0, 0.0)
    states = recursions.sample_paths(*case.arguments, uniforms)
    for place, twin in case.sequences():
        joint = naive_hmm.joint_law(*twin)
        if joint.sum() == 0:
            assert (states[:, place] == -1).all()
        else:
            assert all(joint[tuple(path)] > 0 for path in states[:, place])


@settings(max_examples=40)
@given(cases())
def test_numbers_of_extended_range_say_the_same_of_every_sequence(case):
    """What is used for few sequences, on all; also relative to the size of each probability."""
    A, stride = case.transmat.reshape(-1, len(case.startprob)), len(case.startprob) * (case.transmat.ndim == 3)
    rows = np.empty(0, np.int64) if case.frames.rows is None else case.frames.rows
    for place, twin in case.sequences():
        shape = place.stop - place.start, len(case.startprob)
        m, e, filtered, predicted = (np.empty(shape) for _ in range(4))
        steps = np.empty(shape[0])
        table, between = case.frames.table, (int(place.start), int(place.stop))
        forward_arguments = (case.startprob, A, stride, table, rows, *between, m, e, filtered, predicted, steps)
        total = extended_range.forward_extended(*forward_arguments)
        assert total == pytest.approx(naive_hmm.log_likelihood(*twin), rel=1e-13, abs=1e-14)
        expected = naive_hmm.filtered_states(*twin)
        for found, exact in zip((filtered, predicted, steps), expected, strict=True):
            np.testing.assert_allclose(found, exact, rtol=1e-13, atol=1e-300 if found.ndim == 2 else 1e-14)
        if total > -math.inf:
            gamma, xi = np.empty(shape), np.zeros(A.shape[1:] * 2)
            extended_range.backward_extended(A, stride, table, rows, *between, m, e, gamma, xi)
            for found, exact in zip((gamma, xi), naive_hmm.smoothed_states(*twin), strict=True):
                np.testing.assert_allclose(found, exact, rtol=1e-13, atol=1e-300)


# Literature


def of_symbols(startprob, transmat, emissionprob, observations):
    table = np.log(np.ascontiguousarray(np.transpose(emissionprob)))
    frames = Frames(table, np.array(observations))
    return np.array(startprob), np.array(transmat), frames, np.array([0, len(observations)])


WEATHER = of_symbols([0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]], [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]], [0, 1, 2])
UMBRELLA = of_symbols([0.5, 0.5], [[0.7, 0.3], [0.3, 0.7]], [[0.9, 0.1], [0.2, 0.8]], [0, 0, 1, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "probability", "best", "path"),
    [(WEATHER, 0.033612, 0.01344, [1, 0, 0]), (UMBRELLA, 0.0343037, 0.0115736, [0, 0, 1, 0, 0])],
)
def test_known_examples_come_out(arguments, probability, best, path):
    assert np.exp(recursions.log_likelihoods(*arguments)[0]) == pytest.approx(probability, rel=2e-6)
    states, log_joint = recursions.most_likely_paths(*arguments)
    assert np.exp(log_joint[0]) == pytest.approx(best, rel=5e-6)
    assert states.tolist() == path


def test_the_umbrella_filters_and_smooths_as_in_the_textbook():
    # Russell and Norvig, section 14.2: two days with umbrella; 0.818, 0.883, and 0.883 for day one in hindsight
    arguments = (*UMBRELLA[:2], Frames(UMBRELLA[2].table, np.array([0, 0])), np.array([0, 2]))
    np.testing.assert_allclose(recursions.filter_states(*arguments).filtered[:, 0], [0.818, 0.883], atol=5e-4)
    np.testing.assert_allclose(recursions.smooth_states(*arguments).posteriors[:, 0], [0.883, 0.883], atol=5e-4)


# Where scaled numbers alone are wrong


LEFT_RIGHT = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])


def scaled_alone(startprob, transmat, table, kind):
    totals = np.empty(1)
    E, shift = np.empty(table.shape), np.empty(len(table))
    forward_pass.exponentiate_rows(table, E, shift)
    rows = np.empty(0, np.int64)
    offsets = np.array([0, len(table)])
    forward_pass.score_sequences(startprob, transmat, 0, kind, table, E, shift, rows, offsets, totals)
    return totals[0]


@pytest.mark.parametrize(
    "table",
    [
        # The state that has all but vanished comes back as the only one that explains the rest
        [[0.0, 0.0, -5.0], [-2000.0, 0.0, -3.0], [0.0, -3000.0, -4000.0]],
        [[0.0, -5.0, 0.0], [-400.0, 0.0, 0.0], [-400.0, 0.0, 0.0], [0.0, -np.inf, -np.inf]],
        # Other states, that are not to be reached yet, explain the data better
        [[-1500.0, -800.0, 0.0], [-900.0, 0.0, 0.0], [0.0, -700.0, -1900.0]],
    ],
)
def test_a_state_that_has_vanished_may_be_right_after_all(table):
    table = np.array(table)
    startprob, offsets = np.array([1.0, 0.0, 0.0]), np.array([0, len(table)])
    arguments = startprob, LEFT_RIGHT, Frames(table), offsets
    twin = startprob, LEFT_RIGHT, table
    expected = naive_hmm.log_likelihood(*twin)
    # Careless of zeros, the scaled pass is off by many nats, or finds nothing
    careless = scaled_alone(*twin, forward_pass.NO_ZEROS)
    assert not abs(careless - expected) < 1.0
    assert math.isnan(scaled_alone(*twin, forward_pass.ZEROS))
    assert recursions.log_likelihoods(*arguments)[0] == pytest.approx(expected, rel=1e-12)
    gamma, xi = naive_hmm.smoothed_states(*twin)
    np.testing.assert_allclose(recursions.smooth_states(*arguments).posteriors, gamma, atol=1e-12)
    found = recursions.expectations(*arguments, np.array([2.0]))
    np.testing.assert_allclose(found.transitions, 2 * xi, atol=1e-12)
    path, best, _ = naive_hmm.best_path(*twin)
    states, log_joint = recursions.most_likely_paths(*arguments)
    assert tuple(states) == path
    assert log_joint[0] == pytest.approx(best, rel=1e-12)
    uniforms = np.random.default_rng(0).random((20, len(table)))
    assert (recursions.sample_paths(*arguments, uniforms) == path).all()  # all others are e^-400 times as likely


def test_a_state_reached_by_a_tiny_step_alone_is_not_taken_for_impossible():
    A = np.array([[1.0, 1e-200], [0.0, 1.0]])
    startprob = np.array([1.0, 0.0])
    table = np.array([[0.0, 0.0], [0.0, -300.0], [-np.inf, 0.0]])
    found = recursions.log_likelihoods(startprob, A, Frames(table), np.array([0, 3]))
    assert found[0] == pytest.approx(naive_hmm.log_likelihood(startprob, A, table), rel=1e-12)
    both = np.array([[1e-200, 1e-200], [1.0, 0.0]])  # twice a tiny step underflows
    found = recursions.log_likelihoods(startprob, both, Frames(np.zeros((4, 2))), np.array([0, 4]))
    assert found[0] == pytest.approx(naive_hmm.log_likelihood(startprob, both, np.zeros((4, 2))), rel=1e-12)


@pytest.mark.parametrize(
    ("transmat", "table"),
    [
        # 2000 nats lost in one step, and won back 50 nats at a time
        ([[0.5, 0.5], [0.0, 1.0]], [[0, 0], [-2000, 0], *[[0, -50]] * 60, [0, -np.inf]]),
        ([[0.5, 0.5], [0.0, 1.0]], [*[[-50, 0]] * 30, *[[0, -50]] * 45]),
        # Each tiny step can be seen, two of them underflow
        ([[1, 1e-200, 0], [0, 1, 1e-200], [0, 0, 1]], [*[[0, 0, 0]] * 4, *[[-60, -60, 0]] * 30]),
    ],
)
def test_a_state_may_be_vindicated_little_by_little(transmat, table):
    """No single step is then so unlikely that it would show."""
    transmat, table = np.array(transmat, dtype=float), np.array(table, dtype=float)
    startprob = np.eye(len(transmat))[0]
    arguments = startprob, transmat, Frames(table), np.array([0, len(table)])
    expected, gamma, xi = naive_hmm.forward_backward(startprob, transmat, table)
    assert not abs(scaled_alone(startprob, transmat, table, forward_pass.NO_ZEROS) - expected) < 1.0
    assert recursions.log_likelihoods(*arguments)[0] == pytest.approx(expected, rel=1e-12)
    found = recursions.expectations(*arguments, np.ones(1))
    np.testing.assert_allclose(found.posteriors, gamma, atol=1e-12)
    np.testing.assert_allclose(found.transitions, xi, atol=1e-11)
    assert math.fsum(recursions.filter_states(*arguments).log_likelihood_steps) == pytest.approx(expected, rel=1e-12)


def test_a_state_that_is_never_reached_may_explain_the_data_ever_better():
    table = np.array([[0.0, 30.0]] * 100)
    arguments = np.array([1.0, 0.0]), np.eye(2), Frames(table), np.array([0, 100])
    found = recursions.expectations(*arguments, np.ones(1))
    assert found.log_likelihood[0] == pytest.approx(0.0, abs=1e-10)
    np.testing.assert_allclose(found.posteriors, [[1.0, 0.0]] * 100, atol=1e-15)
    np.testing.assert_allclose(found.transitions, [[99.0, 0.0], [0.0, 0.0]], rtol=1e-14)


def test_a_sequence_that_needs_more_range_leaves_the_others_alone():
    table = np.array([[0.0, 0.0, -5.0], [-2000.0, 0.0, -3.0], [0.0, -3000.0, -4000.0]])
    other = np.random.default_rng(0).normal(size=(4, 3))
    frames = Frames(np.concatenate([other, table, other, np.full((1, 3), -np.inf)]))
    offsets = np.array([0, 4, 7, 11, 12])
    startprob = np.array([1.0, 0.0, 0.0])
    totals = recursions.log_likelihoods(startprob, LEFT_RIGHT, frames, offsets)
    alone = recursions.log_likelihoods(startprob, LEFT_RIGHT, Frames(other), np.array([0, 4]))
    assert totals[0] == totals[2] == alone[0]
    assert totals[3] == -math.inf
    smoothed = recursions.smooth_states(startprob, LEFT_RIGHT, frames, offsets).posteriors
    np.testing.assert_array_equal(smoothed[:4], smoothed[7:11])
    np.testing.assert_array_equal(np.isnan(smoothed).any(axis=1), np.arange(12) == 11)


def test_log_likelihoods_of_any_finite_size_are_finite():
    # Some write log 0 as the least float
    least = np.finfo(float).min
    table = np.array([[0.0, least], [least, 0.0], [least, least], [1e200, -1e200]])
    A, startprob = np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0.5, 0.5])
    for transmat in (A, np.array([[1.0, 0.0], [0.0, 1.0]])):
        found = recursions.log_likelihoods(startprob, transmat, Frames(table[:3]), np.array([0, 3]))
        assert found[0] <= least
        smoothed = recursions.smooth_states(startprob, A, Frames(table), np.array([0, 2, 3, 4])).posteriors
        np.testing.assert_allclose(smoothed, [[1, 0], [0, 1], [0.5, 0.5], [1, 0]], atol=1e-15)


# Size


def rows_of_a_long_sequence(T, K, scale, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.dirichlet(np.ones(K), size=K)
    table = scale * rng.normal(size=(T, K))
    return np.full(K, 1 / K), A, Frames(table), np.array([0, T])


@pytest.mark.parametrize("scale", [100.0, 1e-8])
def test_many_steps_of_many_states_stay_stable(scale):
    T = 100_000
    arguments = rows_of_a_long_sequence(T, 100, scale)
    found = recursions.expectations(*arguments, np.ones(1))
    assert np.isfinite(found.log_likelihood[0])
    totals = found.posteriors.sum(axis=1)
    assert np.abs(totals - 1).max() < 1e-12
    assert found.transitions.sum() == pytest.approx(T - 1, rel=1e-12)
    # Arrivals: the posterior of every step but the first
    arrivals = found.posteriors[1:].sum(axis=0)
    np.testing.assert_allclose(found.transitions.sum(axis=0), arrivals, rtol=1e-11, atol=1e-9)


def test_a_million_steps_lose_nothing_visible():
    # Independent draws: the likelihood is a product of one factor a step
    T = 1_000_000
    rng = np.random.default_rng(1)
    pi = np.array([0.3, 0.7])
    table = 30.0 * rng.normal(size=(T, 2))
    arguments = pi, np.array([pi, pi]), Frames(table), np.array([0, T])
    expected = math.fsum(np.logaddexp(table[:, 0] + math.log(0.3), table[:, 1] + math.log(0.7)))
    assert recursions.log_likelihoods(*arguments)[0] == pytest.approx(expected, rel=1e-12)
    steps = recursions.filter_states(*arguments).log_likelihood_steps
    assert math.fsum(steps) == pytest.approx(expected, rel=1e-12)
    _, log_joint = recursions.most_likely_paths(*arguments)
    best = math.fsum((table + np.log(pi)).max(axis=1))
    assert log_joint[0] == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("K", [5, 8, 11])
def test_blocks_of_four_states_and_steps_have_their_rest(K):
    """Against plain matrix products, in as many steps as a block has, more and less."""
    rng = np.random.default_rng(K)
    for T in range(1, 10):
        pi, A, table = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K), rng.normal(size=(T, K))
        E = np.exp(table)
        alpha, beta = [pi * E[0]], [np.ones(K)]
        for t in range(1, T):
            alpha.append((alpha[-1] @ A) * E[t])
            beta.insert(0, A @ (E[T - t] * beta[0]))
        total = alpha[-1].sum()
        xi = sum((np.outer(alpha[t], E[t + 1] * beta[t + 1]) * A / total for t in range(T - 1)), np.zeros((K, K)))
        found = recursions.expectations(pi, A, Frames(table), np.array([0, T]), np.ones(1))
        np.testing.assert_allclose(found.transitions, xi, rtol=1e-12)
        np.testing.assert_allclose(found.posteriors, np.array(alpha) * np.array(beta) / total, rtol=1e-12)
        delta = np.log(pi) + table[0]
        for t in range(1, T):
            delta = (delta[:, None] + np.log(A)).max(axis=0) + table[t]
        path, best = recursions.most_likely_paths(pi, A, Frames(table), np.array([0, T]))
        assert best[0] == pytest.approx(delta.max(), rel=1e-12)
        steps = np.log(pi[path[0]]) + np.log(A[path[:-1], path[1:]]).sum() + table[np.arange(T), path].sum()
        assert steps == pytest.approx(best[0], rel=1e-12)


def test_ties_go_to_the_lowest_state():
    K = 9
    uniform = np.full(K, 1 / K)
    arguments = uniform, np.full((K, K), 1 / K), Frames(np.zeros((40, K))), np.array([0, 25, 40])
    assert not recursions.most_likely_paths(*arguments)[0].any()


# Draws


@pytest.mark.parametrize("transmat", [[[0.7, 0.3], [0.4, 0.6]], [[0.0, 1.0], [0.5, 0.5]]])
@pytest.mark.parametrize("fall", [0.0, 1800.0])
def test_drawn_paths_follow_their_law(transmat, fall):
    startprob, transmat = np.array([0.4, 0.6]), np.array(transmat)
    table = np.array([[-0.5, -1.0], [-0.2, -2.0], [-1.0, -0.3], [0.0, 0.0]])
    if fall:
        # State 0 falls far behind, and all is made up for when only it remains: left to right, with an end
        startprob = np.array([1.0, 0.0])
        transmat = np.array([[0.6, 0.4], [0.0, 1.0]])
        table[1:3] += [[-fall, 0.0], [0.0, -fall]]
    law = naive_hmm.path_law(startprob, transmat, table)
    n_draws = 20_000
    uniforms = np.random.default_rng(7).random((n_draws, len(table)))
    states = recursions.sample_paths(startprob, transmat, Frames(table), np.array([0, len(table)]), uniforms)
    counts = np.zeros(law.shape)
    np.add.at(counts, tuple(states.T), 1)
    likely = law * n_draws > 5
    assert likely.sum() > 1
    assert counts[law == 0].sum() == 0
    observed = np.append(counts[likely], counts[~likely].sum())
    expected = np.append(law[likely], law[~likely].sum()) * n_draws
    kept = expected > 1e-9
    assert observed[~kept].sum() == 0
    assert chisquare(observed[kept], expected[kept], sum_check=False).pvalue > 1e-3
