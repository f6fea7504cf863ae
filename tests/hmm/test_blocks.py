"""Long sequences, block by block, against the same sequence as a whole and against every path of states."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.hmm import blocks
from statespace.hmm.frames import Frames
from statespace.hmm.recursions import expectations, log_likelihoods
from tests import naive_hmm


@st.composite
def cases(draw, most_steps=40, most_states=5):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, K = draw(st.integers(1, most_steps)), draw(st.integers(1, most_states))
    A = rng.dirichlet(np.full(K, draw(st.sampled_from([0.1, 1.0, 5.0]))), size=K)
    A = np.maximum(A, draw(st.sampled_from([1e-3, 1e-20])))
    A /= A.sum(axis=1, keepdims=True)
    startprob = rng.dirichlet(np.ones(K))
    if K > 1 and draw(st.booleans()):
        startprob[rng.integers(K)] = 0.0
        startprob /= startprob.sum()
    scale = draw(st.sampled_from([1e-8, 1.0, 30.0]))
    if draw(st.booleans()):
        n_rows = draw(st.integers(1, 4))
        table = np.concatenate([scale * rng.normal(size=(n_rows, K)), np.zeros((1, K))])
        frames = Frames(table, rng.integers(n_rows + 1, size=n))
    else:
        table = scale * rng.normal(size=(n, K))
        table[rng.random((n, K)) < draw(st.sampled_from([0.0, 0.2]))] = -math.inf
        table[np.isneginf(table).all(axis=1)] = 0.0
        frames = Frames(table)
    return startprob, A, frames, draw(st.integers(1, 7)), draw(st.sampled_from([1.0, 2.5, 0.0]))


def by_blocks(startprob, A, frames, weight):
    def frames_of(cut):
        return Frames(frames.table[cut]) if frames.rows is None else Frames(frames.table, frames.rows[cut].copy())

    cuts = blocks.blocks(frames.n_samples)
    passed = blocks.pass_forward(startprob, A, frames_of, cuts)
    if math.isnan(passed.log_likelihood):
        return math.nan, None, None, None
    gathered = np.zeros(frames.table.shape)

    def collect(cut, posteriors):
        if frames.rows is None:
            gathered[cut] = posteriors
        else:
            gathered[:] += posteriors

    start, transitions = blocks.expectations_by_blocks(passed, A, frames_of, cuts, weight, collect)
    return passed.log_likelihood, start, transitions, gathered


@settings(max_examples=150)
@given(cases())
def test_blocks_give_what_the_whole_sequence_gives(case):
    startprob, A, frames, size, weight = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", size)
        total, start, transitions, posteriors = by_blocks(startprob, A, frames, weight)
    if math.isnan(total):  # it cannot start as it must
        assert log_likelihoods(startprob, A, frames, np.array([0, frames.n_samples]))[0] == -math.inf
        return
    offsets = np.array([0, frames.n_samples])
    whole = expectations(startprob, A, frames, offsets, np.array([weight]))
    np.testing.assert_allclose(total, whole.log_likelihood[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(total, log_likelihoods(startprob, A, frames, offsets)[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(start, whole.start, atol=1e-12)
    np.testing.assert_allclose(transitions, whole.transitions, atol=1e-11)
    np.testing.assert_allclose(posteriors, whole.posteriors, atol=1e-11)


@settings(max_examples=30)
@given(cases(most_steps=6, most_states=3))
def test_blocks_agree_with_every_path_of_states(case):
    startprob, A, frames, size, _ = case
    table = frames.table if frames.rows is None else frames.table[frames.rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", size)
        total, start, transitions, _ = by_blocks(startprob, A, frames, 1.0)
    if naive_hmm.log_likelihood(startprob, A, table) == -math.inf:
        assert math.isnan(total) or total == -math.inf
        return
    log_likelihood, gamma, xi = naive_hmm.forward_backward(startprob, A, table)
    np.testing.assert_allclose(total, log_likelihood, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(start, gamma[0], atol=1e-12)
    np.testing.assert_allclose(transitions, xi, atol=1e-12)
