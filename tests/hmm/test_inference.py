"""The recursions as users call them: laws that must hold, forms of the data, and answers in words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.hmm.inference import backward, forward, forward_backward, sample_posterior, viterbi
from tests import naive_hmm

PI = np.array([0.6, 0.4])
A = np.array([[0.7, 0.3], [0.4, 0.6]])
TABLE = np.log([[0.1, 0.6], [0.4, 0.3], [0.5, 0.1]])


@st.composite
def models(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    K, T = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    varying, zeros = draw(st.booleans()), draw(st.booleans())
    transmat = rng.dirichlet(np.ones(K), size=(T - 1, K) if varying else K)
    if zeros:
        transmat = np.where(rng.random(transmat.shape) < 0.4, 0.0, transmat) + 1e-3 * np.eye(K)
        transmat /= transmat.sum(axis=-1, keepdims=True)
    table = rng.normal(size=(T, K)) * draw(st.sampled_from([1.0, 500.0]))
    table[rng.random((T, K)) < 0.15] = -np.inf
    table[rng.random(T) < 0.2] = 0.0
    return rng.dirichlet(np.ones(K)), transmat, table


@settings(max_examples=30)
@given(models())
def test_filtering_and_smoothing_are_sums_over_all_paths(model):
    found, smoothed = forward(*model), forward_backward(*model)
    filtered, predicted, steps = naive_hmm.filtered_states(*model)
    np.testing.assert_allclose(found.filtered, filtered, atol=1e-12)
    np.testing.assert_allclose(found.predicted, predicted, atol=1e-12)
    np.testing.assert_allclose(found.log_likelihood_steps, steps, rtol=1e-12, atol=1e-12)
    gamma, xi = naive_hmm.smoothed_states(*model)
    np.testing.assert_allclose(smoothed.posteriors, gamma, atol=1e-12)
    np.testing.assert_allclose(smoothed.transitions, xi if gamma.sum() > 0 else np.full_like(xi, np.nan), atol=1e-12)
    np.testing.assert_allclose(smoothed.start, gamma[0], atol=1e-12)
    total = naive_hmm.log_likelihood(*model)
    for result in (found, smoothed):
        assert isinstance(result.log_likelihood, float)
        assert result.log_likelihood == pytest.approx(total, rel=1e-12, abs=1e-12)


@settings(max_examples=30)
@given(models())
def test_what_is_to_come_is_a_sum_over_all_paths(model):
    _, transmat, table = model
    found = backward(transmat, table)
    expected = naive_hmm.later_likelihoods(transmat, table)
    with np.errstate(divide="ignore"):
        later = np.log(found.beta) + found.log_scale[:, None]
    likely = expected > expected.max(axis=1, keepdims=True) - 700  # beyond, beta underflows
    np.testing.assert_allclose(later[likely], expected[likely], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(found.log_scale == -np.inf, np.isneginf(expected).all(axis=1))
    np.testing.assert_array_equal(found.beta.max(axis=1), ~np.isneginf(found.log_scale))


@settings(max_examples=30)
@given(models())
def test_both_directions_meet_in_the_posterior(model):
    past, future, smoothed = forward(*model), backward(*model[1:]), forward_backward(*model)
    if past.log_likelihood == -np.inf:
        assert np.isnan(smoothed.posteriors).all()
        return
    joint = past.filtered * future.beta
    evidence = joint.sum(axis=1, keepdims=True)
    seen = evidence[:, 0] > 1e-290  # past and future may disagree by more than a float can say
    np.testing.assert_allclose(smoothed.posteriors[seen], joint[seen] / evidence[seen], atol=1e-12)
    with np.errstate(invalid="ignore"):  # what is not seen may be NaN
        totals = np.cumsum(past.log_likelihood_steps) + np.log(evidence[:, 0], where=seen, out=np.zeros(len(seen)))
    np.testing.assert_allclose((totals + future.log_scale)[seen], past.log_likelihood, rtol=1e-12, atol=1e-12)


@settings(max_examples=30)
@given(st.lists(models(), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_weights_multiply_what_a_sequence_adds_to_the_sums(parts, seed):
    """Posteriors and log-likelihoods are those of each sequence alone."""
    startprob, transmat, _ = parts[0]
    K = len(startprob)
    transmat = transmat if transmat.ndim == 2 else np.full((K, K), 1 / K)
    tables = [table for _, _, table in parts if table.shape[1] == K]
    weights = np.random.default_rng(seed).choice([0.0, 0.5, 1.0, 3.0], size=len(tables))
    weights[0] = 2.0
    alone = [forward_backward(startprob, transmat, table) for table in tables]
    found = forward_backward(startprob, transmat, tables, sample_weight=weights)
    for one, posteriors, total in zip(alone, found.posteriors, found.log_likelihood, strict=True):
        np.testing.assert_allclose(posteriors, one.posteriors, atol=1e-13)
        assert total == pytest.approx(one.log_likelihood, rel=1e-13)
    counted = [(w, one) for w, one in zip(weights, alone, strict=True) if w > 0]
    np.testing.assert_allclose(found.transitions, sum(w * one.transitions for w, one in counted), atol=1e-12)
    np.testing.assert_allclose(found.start, sum(w * one.start for w, one in counted), atol=1e-12)


def test_weights_are_one_for_each_sequence():
    with pytest.raises(ValueError, match="one weight for each sequence"):
        forward_backward(PI, A, TABLE, sample_weight=[1.0, 2.0])
    with pytest.raises(ValueError, match="at least 0"):
        forward_backward(PI, A, TABLE, sample_weight=[-1.0])


def test_a_known_example_comes_out():
    assert np.exp(forward(PI, A, TABLE).log_likelihood) == pytest.approx(0.033612, rel=1e-12)
    best = viterbi(PI, A, TABLE)
    assert best.states.tolist() == [1, 0, 0]
    assert np.exp(best.log_joint) == pytest.approx(0.01344, rel=1e-12)


# Forms of the data


def test_several_sequences_answer_each_for_itself():
    parts = [TABLE, TABLE[:1], TABLE[1:]]
    alone = [forward_backward(PI, A, part) for part in parts]
    laid, lengths = np.concatenate(parts), [3, 1, 2]
    flat, listed = forward_backward(PI, A, laid, lengths), forward_backward(PI, A, parts)
    np.testing.assert_array_equal(flat.posteriors, np.concatenate(listed.posteriors))
    for s, one in enumerate(alone):
        np.testing.assert_allclose(listed.posteriors[s], one.posteriors, rtol=1e-14)
        assert flat.log_likelihood[s] == listed.log_likelihood[s] == pytest.approx(one.log_likelihood, rel=1e-14)
    for result in (flat, listed):
        np.testing.assert_allclose(result.transitions, sum(one.transitions for one in alone), rtol=1e-13)
        np.testing.assert_allclose(result.start, sum(one.start for one in alone), rtol=1e-13)
    assert [states.tolist() for states in viterbi(PI, A, parts).states] == [
        viterbi(PI, A, part).states.tolist() for part in parts
    ]
    assert [len(beta) for beta in backward(A, parts).beta] == lengths
    np.testing.assert_array_equal(backward(A, laid, lengths).log_scale[[2, 3, 5]], 0)
    np.testing.assert_allclose(forward(PI, A, parts).log_likelihood, listed.log_likelihood, rtol=1e-14)
    draws = sample_posterior(PI, A, parts, n_draws=5, random_state=0)
    assert [draw.shape for draw in draws] == [(5, 3), (5, 1), (5, 2)]
    np.testing.assert_array_equal(
        sample_posterior(PI, A, laid, lengths, n_draws=5, random_state=0), np.concatenate(draws, axis=1)
    )


def test_a_matrix_a_step_is_not_read_between_sequences():
    parts = [TABLE, TABLE[1:]]
    each = np.stack([A, A[::-1], np.full((2, 2), np.nan), A])
    found = forward(PI, each, parts)
    for s, matrices in enumerate([each[:2], each[3:]]):
        np.testing.assert_allclose(found.filtered[s], forward(PI, matrices, parts[s]).filtered, rtol=1e-14)
    assert forward(PI, np.empty((0, 2, 2)), TABLE[:1]).predicted.tolist() == [PI.tolist()]


def test_a_missing_row_is_zeros_or_nan():
    zeros, unknown = TABLE.copy(), TABLE.copy()
    zeros[1], unknown[1] = 0.0, np.nan
    for found, expected in zip(forward(PI, A, unknown), forward(PI, A, zeros), strict=True):
        np.testing.assert_array_equal(found, expected)
    masked = np.ma.array(TABLE, mask=np.isnan(unknown))
    assert forward(PI, A, masked).log_likelihood == forward(PI, A, zeros).log_likelihood
    assert np.isnan(unknown[1]).all()  # the caller's own array stays as it was


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_callers_arrays_may_be_of_any_kind(order):
    expected = forward_backward(PI, A, TABLE)
    frozen = np.array(TABLE, order=order)
    frozen.flags.writeable = False
    before = frozen.copy()
    for table in (frozen, TABLE.tolist(), np.repeat(frozen, 2, axis=0)[::2], frozen.astype(">f8")):
        for found, value in zip(forward_backward(PI.tolist(), np.asfortranarray(A), table), expected, strict=True):
            np.testing.assert_array_equal(found, value)
    np.testing.assert_array_equal(frozen, before)


def test_a_state_may_never_be_left():
    never = np.array([[0.5, 0.5], [0.0, 0.0]])
    assert forward([0.5, 0.5], never, [[0.0, 0.0]]).log_likelihood == pytest.approx(0.0, abs=1e-15)
    found = forward([0.0, 1.0], never, [[0.0, 0.0]] * 3)
    assert found.log_likelihood_steps[:2].tolist() == [0.0, -np.inf]
    assert np.isnan(found.log_likelihood_steps[2])
    assert found.predicted[1].tolist() == [0.0, 0.0]
    assert found.log_likelihood == -np.inf


def test_an_impossible_sequence_is_told_apart():
    parts = [TABLE, np.array([[0.0, 0.0], [-np.inf, -np.inf], [0.0, 0.0]])]
    found = forward(PI, A, parts)
    assert found.log_likelihood[1] == -np.inf
    np.testing.assert_array_equal(np.isnan(found.filtered[1]).all(axis=1), [False, True, True])
    smoothed = forward_backward(PI, A, parts)
    assert np.isfinite(smoothed.posteriors[0]).all()
    assert np.isnan(smoothed.posteriors[1]).all()
    assert np.isnan(smoothed.transitions).all()
    best = viterbi(PI, A, parts)
    assert best.states[1].tolist() == [0, 0, 0]
    assert best.log_joint[1] == -np.inf
    with pytest.raises(ValueError, match="sequence 1 has probability 0: no path of states explains it"):
        sample_posterior(PI, A, parts)


def test_the_same_seed_draws_the_same_paths():
    first = sample_posterior(PI, A, TABLE, n_draws=50, random_state=3)
    np.testing.assert_array_equal(first, sample_posterior(PI, A, TABLE, n_draws=50, random_state=3))
    assert (first != sample_posterior(PI, A, TABLE, n_draws=50, random_state=4)).any()


# Answers in words


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0.5, 0.6], A, TABLE), ValueError, r"startprob sums to 1\.1, expected 1"),
        (([1.0], A, TABLE), ValueError, r"startprob has shape \(1,\), expected \(2,\)"),
        ((PI, [[0.7, 0.2], [0.4, 0.6]], TABLE), ValueError, r"transmat row 0 sums to 0\.9, expected 1"),
        ((PI, [[1.1, -0.1], [0.4, 0.6]], TABLE), ValueError, r"transmat\[0, 1\] is -0\.1"),
        ((PI, [[0.5, np.nan], [0.4, 0.6]], TABLE), ValueError, r"transmat\[0, 1\] is NaN"),
        ((PI, np.eye(3), TABLE), ValueError, r"transmat has shape \(3, 3\), expected \(2, 2\), or \(2, 2, 2\)"),
        ((PI, [A, A, A], TABLE), ValueError, r"transmat has shape \(3, 2, 2\), expected \(2, 2\), or \(2, 2, 2\)"),
        ((PI, [A, 2 * A], TABLE), ValueError, r"transmat row \(1, 0\) sums to 2, expected 1"),
        ((PI, [["a", "b"]], TABLE), TypeError, "transmat holds <U1 entries, expected real numbers"),
        ((PI, A, [0.0, 0.0]), ValueError, r"log_likelihood has shape \(2,\), expected \(n_samples, n_components\)"),
        ((PI, A, np.empty((0, 2))), ValueError, r"log_likelihood has shape \(0, 2\), .* at least one each"),
        ((PI, A, [[0.0, np.inf]]), ValueError, r"log_likelihood\[0, 1\] is infinite"),
        ((PI, A, [[0.0, 0.0], [np.nan, 0.0]]), ValueError, r"log_likelihood\[1, 0\] is NaN and other states have"),
        ((PI, A, [["x", "y"]]), TypeError, "log_likelihood is not an array of real numbers"),
        ((PI, A, [TABLE, [[np.inf, 0.0]]]), ValueError, r"log_likelihood\[1\]\[0, 0\] is infinite"),
        (
            (PI, A, [TABLE, np.zeros((2, 3))]),
            ValueError,
            r"log_likelihood\[1\] has 3 columns, log_likelihood\[0\] has 2",
        ),
        ((PI, A, TABLE, [2, 2]), ValueError, "lengths sum to 4 but"),
        ((PI, A, [TABLE], [3]), ValueError, "lengths is for sequences laid end to end"),
    ],
)
def test_what_is_wrong_is_said(arguments, error, message):
    with pytest.raises(error, match=message):
        forward(*arguments)


def test_a_number_of_draws_is_at_least_one():
    with pytest.raises(ValueError, match="n_draws is 0"):
        sample_posterior(PI, A, TABLE, n_draws=0)
