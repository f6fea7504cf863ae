"""Lanes side by side, against sums over paths, numbers of extended range, and the plain recursions."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statespace.foundations import executors
from statespace.hmm import lanes, recursions
from statespace.hmm.frames import Frames
from tests import naive_hmm


class Case(NamedTuple):
    startprob: np.ndarray
    transmat: np.ndarray
    frames: Frames
    offsets: np.ndarray
    weights: np.ndarray
    scale: float

    @property
    def arguments(self):
        return self.startprob, self.transmat, self.frames, self.offsets


@pytest.fixture
def small(monkeypatch):
    """Lanes for what is otherwise too little work."""
    monkeypatch.setattr(lanes, "_LEAST_WORK", 0)
    monkeypatch.setattr(lanes, "_STEPS", 64)


def plain(function, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recursions, "side_by_side", lambda *_: None)
        return function(*arguments)


def make(rng, K, lengths, *, scale=1.0, with_rows=False, stay=0.0, holes=0.0):
    n = int(sum(lengths))
    transmat = stay * np.eye(K) + (1 - stay) * rng.dirichlet(np.full(K, 0.5), size=K)
    transmat = np.maximum(transmat, 1e-24)
    startprob = rng.dirichlet(np.ones(K))
    startprob[rng.random(K) < 0.3] = 0.0
    startprob[rng.integers(K)] += 0.5
    startprob /= startprob.sum()
    table = scale * rng.normal(size=(5 if with_rows else n, K)) - scale
    hole = rng.random(table.shape) < holes
    hole[np.arange(len(table)), rng.integers(0, K, len(table))] = False
    table[hole] = -np.inf
    table[rng.random(len(table)) < 0.2] = 0.0
    table[:, startprob == startprob.max()] = np.maximum(table[:, startprob == startprob.max()], -500.0)
    rows = rng.integers(0, 5, n) if with_rows else None
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], len(lengths))
    return Case(startprob, transmat / transmat.sum(axis=1, keepdims=True), Frames(table, rows), offsets, weights, scale)


@st.composite
def cases(draw, most=12):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    K = draw(st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 17]))
    lengths = draw(st.lists(st.integers(1, most), min_size=4, max_size=37)) * draw(st.sampled_from([1, 1, 4]))
    lengths = [min(length, 4 * sum(lengths) // lanes.LANES + 1) for length in lengths]
    return make(
        rng,
        K,
        lengths,
        scale=draw(st.sampled_from([1e-8, 1.0, 100.0])),
        with_rows=draw(st.booleans()),
        holes=draw(st.sampled_from([0.0, 0.3])),
    )


def assert_agree(found, expected, scale=1.0):
    tolerance = 1e-12 * max(1.0, scale)
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-12, atol=tolerance)
    np.testing.assert_allclose(found.posteriors, expected.posteriors, rtol=1e-12, atol=1e-12)


# Many sequences


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases())
def test_sequences_side_by_side_are_as_one_after_the_other(small, case):
    fast = lanes.side_by_side(*case.arguments)
    assert (np.diff(case.offsets).max() * lanes.LANES <= 4 * case.offsets[-1]) == (fast.score() is not None)
    found = recursions.expectations(*case.arguments, case.weights)
    expected = plain(recursions.expectations, *case.arguments, case.weights)
    assert_agree(found, expected, case.scale)
    np.testing.assert_allclose(found.start, expected.start, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.transitions, expected.transitions, rtol=1e-12, atol=1e-12)
    assert_agree(
        recursions.smooth_states(*case.arguments), plain(recursions.smooth_states, *case.arguments), case.scale
    )
    totals = recursions.log_likelihoods(*case.arguments)
    np.testing.assert_allclose(totals, expected.log_likelihood, rtol=1e-12, atol=1e-12 * max(1.0, case.scale))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.booleans())
def test_sequences_side_by_side_are_sums_over_all_paths(small, seed, K, with_rows):
    rng = np.random.default_rng(seed)
    case = make(rng, K, rng.integers(2, 5, 10).tolist(), with_rows=with_rows, holes=0.2)
    found = lanes.side_by_side(*case.arguments).smooth(case.weights, summed=True)
    table = case.frames.table if case.frames.rows is None else case.frames.table[case.frames.rows]
    start, transitions = np.zeros(K), np.zeros((K, K))
    for s, (a, b) in enumerate(zip(case.offsets[:-1], case.offsets[1:], strict=True)):
        twin = case.startprob, case.transmat, table[a:b]
        assert found.log_likelihood[s] == pytest.approx(naive_hmm.log_likelihood(*twin), rel=1e-12, abs=1e-12)
        gamma, xi = naive_hmm.smoothed_states(*twin)
        start += case.weights[s] * gamma[0]
        transitions += case.weights[s] * xi
        if not with_rows:
            np.testing.assert_allclose(found.posteriors[a:b], case.weights[s] * gamma, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.start, start, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.transitions * case.transmat, transitions, rtol=1e-12, atol=1e-12)


# One long sequence


@pytest.mark.parametrize("with_rows", [False, True])
@pytest.mark.parametrize(("K", "stay"), [(2, 0.0), (2, 0.9), (3, 0.5), (8, 0.0), (9, 0.5), (64, 0.0)])
def test_a_long_sequence_in_parts_is_as_from_end_to_end(small, K, stay, with_rows):
    case = make(np.random.default_rng(K), K, [9001, 3, 4000, 1], with_rows=with_rows, stay=stay)
    fast = lanes.side_by_side(*case.arguments)
    cut = fast._lanes(0)
    assert cut.warm
    assert cut.before.sum() > 10
    assert fast.score() is not None
    one = np.ones(4)
    assert_agree(fast.smooth(one, summed=False), plain(recursions.smooth_states, *case.arguments))
    found = fast.smooth(case.weights, summed=True)
    expected = plain(recursions.expectations, *case.arguments, case.weights)
    np.testing.assert_allclose(found.posteriors, expected.posteriors, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.start, expected.start, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.transitions * case.transmat, expected.transitions, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("with_rows", [False, True])
def test_the_last_state_of_a_long_sequence_is_that_of_the_filter(small, with_rows):
    case = make(np.random.default_rng(5), 3, [5000], with_rows=with_rows, stay=0.5)
    total, law = recursions.final_state(*case.arguments[:3])
    filtered = recursions.filter_states(*case.arguments)
    assert total == pytest.approx(math.fsum(filtered.log_likelihood_steps), rel=1e-13)
    np.testing.assert_allclose(law, filtered.filtered[-1], rtol=1e-12, atol=1e-14)


def test_parts_that_do_not_agree_are_noticed(small, monkeypatch):
    """With too few steps to come in over the result is wrong; it is never handed out."""
    case = make(np.random.default_rng(1), 3, [4000], stay=0.7)
    expected = plain(recursions.log_likelihoods, *case.arguments)
    tried = []
    warm = lanes.SideBySide._warm
    monkeypatch.setattr(lanes.SideBySide, "_warm", lambda *_: 2)
    agree = lanes.Lanes.agree
    monkeypatch.setattr(lanes.Lanes, "agree", lambda *_: True)
    trusting = lanes.side_by_side(*case.arguments).score().log_likelihood
    assert abs(trusting - expected)[0] > 1e-6

    def remembered(self, *borders):
        tried.append((self.warm, agree(self, *borders)))
        return tried[-1][1]

    monkeypatch.setattr(lanes.Lanes, "agree", remembered)
    np.testing.assert_allclose(recursions.log_likelihoods(*case.arguments), expected, rtol=1e-13)
    assert tried[0] == (2, False)
    monkeypatch.setattr(lanes.SideBySide, "_warm", warm)
    np.testing.assert_allclose(recursions.log_likelihoods(*case.arguments), expected, rtol=1e-13)
    assert tried[-1][1]


def test_backward_parts_that_do_not_agree_are_noticed(small, monkeypatch):
    """The filter forgets at once, the backward pass not."""
    K, n = 2, 4000
    table = np.zeros((n, K))
    case = make(np.random.default_rng(1), K, [n])
    transmat = np.array([[0.5, 0.5], [0.5, 0.5]])
    monkeypatch.setattr(lanes.SideBySide, "_warm", lambda *_: 2)
    fast = lanes.side_by_side(case.startprob, transmat, Frames(table), case.offsets)
    cut = fast._lanes(0)
    sums, agreed = fast._smooth(cut, np.ones(1), False)
    assert agreed
    np.testing.assert_allclose(sums.posteriors[1:], 0.5, atol=1e-13)
    slow = lanes.side_by_side(
        case.startprob, np.array([[0.9, 0.1], [0.1, 0.9]]), Frames(table - np.array([0.0, 1.0])), case.offsets
    )
    assert not slow._smooth(slow._lanes(0), np.ones(1), False)[1]


def test_a_chain_that_hardly_moves_is_not_cut(small):
    case = make(np.random.default_rng(1), 2, [6000], scale=1e-8)
    slow = np.array([[1 - 1e-9, 1e-9], [1e-9, 1 - 1e-9]])
    arguments = case.startprob, slow, case.frames, case.offsets
    assert lanes.side_by_side(*arguments).score() is None
    expected = plain(recursions.log_likelihoods, *arguments)
    np.testing.assert_allclose(recursions.log_likelihoods(*arguments), expected, rtol=1e-13)


# Where scaled numbers come to their limits


@pytest.mark.parametrize("with_rows", [False, True])
def test_steps_of_the_least_probability_do_not_underflow(small, with_rows):
    """Each step has to take the transition of 1e-24, and a state that is e^-700 as likely comes back."""
    A = np.array([[1.0 - 1e-24, 1e-24], [1e-24, 1.0 - 1e-24]])
    table = np.array([[0.0, -700.0], [-700.0, 0.0], [0.0, -50.0], [-1000.0, -1000.3]])
    rows = np.concatenate([np.tile([0, 1], 20), np.repeat(2, 7), np.tile([1, 3, 0], 4)])
    frames = Frames(table, rows) if with_rows else Frames(np.tile(table[rows], (6, 1)))
    n = len(rows)
    if with_rows:
        frames = Frames(table, np.tile(rows, 6))
    offsets = np.arange(7) * n
    startprob = np.array([0.0, 1.0])
    fast = lanes.side_by_side(startprob, A, frames, offsets)
    found = fast.smooth(np.ones(6), summed=False)
    total, gamma, _ = naive_hmm.forward_backward(startprob, A, table[rows])
    np.testing.assert_allclose(found.log_likelihood, total, rtol=1e-13)
    np.testing.assert_allclose(found.posteriors, np.tile(gamma, (6, 1)), atol=1e-12)
    np.testing.assert_allclose(fast.score().log_likelihood, total, rtol=1e-13)


def test_a_start_that_explains_its_first_observation_badly_is_kept(small):
    table = np.tile([[0.0, -900.0], [-1.0, 0.0]], (5, 1))
    startprob, A = np.array([0.0, 1.0]), np.array([[0.9, 0.1], [0.2, 0.8]])
    offsets = np.arange(0, 11, 2)
    found = lanes.side_by_side(startprob, A, Frames(table), offsets).score().log_likelihood
    expected = naive_hmm.log_likelihood(startprob, A, table[:2])
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("with_rows", [False, True])
@pytest.mark.parametrize("place", ["start", "middle"])
def test_what_is_impossible_is_left_to_the_careful(small, with_rows, place):
    case = make(np.random.default_rng(3), 3, [5, 7, 6, 8, 9, 5, 5, 8], with_rows=with_rows)
    table = case.frames.table.copy()
    startprob = case.startprob
    if place == "middle":
        table[2 if with_rows else 8] = -np.inf
    else:
        startprob = np.array([1.0, 0.0, 0.0])
        table[case.frames.rows[5] if with_rows else 5, 0] = -np.inf
    arguments = startprob, case.transmat, Frames(table, case.frames.rows), case.offsets
    assert lanes.side_by_side(*arguments).score() is None
    assert lanes.side_by_side(*arguments).smooth(case.weights, summed=True) is None
    found = recursions.log_likelihoods(*arguments)
    assert found[1] == -math.inf if place == "start" or not with_rows else (found == -math.inf).any()


def test_a_row_that_no_step_has_may_be_impossible(small):
    case = make(np.random.default_rng(3), 3, [5, 7, 6, 8, 9, 5, 5, 8], with_rows=True)
    table = np.concatenate([case.frames.table, np.full((1, 3), -np.inf)])
    arguments = *case.arguments[:2], Frames(table, case.frames.rows), case.offsets
    found = lanes.side_by_side(*arguments).smooth(case.weights, summed=True)
    expected = plain(recursions.expectations, *arguments, case.weights)
    assert_agree(found, expected)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 100.0])
def test_posteriors_of_a_long_sequence_sum_to_one(scale):
    case = make(np.random.default_rng(3), 8, [100_000], scale=scale)
    assert lanes.side_by_side(*case.arguments) is not None
    posteriors = recursions.smooth_states(*case.arguments).posteriors
    assert np.isfinite(posteriors).all()
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0, rtol=0, atol=1e-12)


# Threads, and when not


def test_any_number_of_threads_gives_the_same_bits(small, monkeypatch):
    monkeypatch.setattr(lanes, "_PIECE", 2000.0)
    case = make(np.random.default_rng(3), 5, [4000, *([30] * 400)], with_rows=True)
    assert len(lanes.side_by_side(*case.arguments)._lanes(0).pieces(1.0)) > 2
    results = []
    for n in (1, 2, 5):
        monkeypatch.setattr(executors, "_n_processors", lambda n=n: n)
        found = recursions.expectations(*case.arguments, case.weights)
        results.append([*found, recursions.smooth_states(*case.arguments).posteriors])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_compiler_that_cannot_build_tiles_is_survived(small, monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("no such instruction")

    case = make(np.random.default_rng(3), 3, [50] * 20)
    expected = recursions.log_likelihoods(*case.arguments)
    monkeypatch.setattr(lanes, "lockstep", fails)
    lanes._tiles_can_be_built.cache_clear()
    try:
        assert lanes.side_by_side(*case.arguments) is None
        np.testing.assert_allclose(recursions.log_likelihoods(*case.arguments), expected, rtol=1e-13)
    finally:
        lanes._tiles_can_be_built.cache_clear()
    assert "no such instruction" in caplog.text


def test_little_work_and_changing_or_impossible_transitions_are_done_as_before():
    rng = np.random.default_rng(0)
    case = make(rng, 3, [100])
    assert lanes.side_by_side(*case.arguments) is None
    many = make(rng, 3, [50] * 100)
    assert lanes.side_by_side(*many.arguments) is not None
    zeros = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    assert lanes.side_by_side(many.startprob, zeros, *many.arguments[2:]) is None
    changing = np.broadcast_to(many.transmat, (4999, 3, 3))
    assert lanes.side_by_side(many.startprob, changing, *many.arguments[2:]) is None
