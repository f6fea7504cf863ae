"""Long sequences, block by block, against the same sequence as a whole and against every path of states."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace import HMM, ConvergenceWarning
from statespace.hmm import CategoricalEmission, GaussianEmission, PoissonEmission, blocks, evidence
from statespace.hmm.emissions import categorical
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

    gathered = np.zeros(frames.table.shape)

    def collect(cut, posteriors):
        if frames.rows is None:
            gathered[cut] = posteriors
        else:
            gathered[:] += posteriors

    found = blocks.expectations_by_blocks(startprob, A, frames_of, frames.n_samples, weight, collect)
    total = blocks.log_likelihood_by_blocks(startprob, A, frames_of, frames.n_samples)
    if found is None:
        assert math.isnan(total)
        return math.nan, None, None, None
    assert total == found.log_likelihood
    return *found, gathered


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


@pytest.mark.parametrize(
    "emission", [CategoricalEmission(), PoissonEmission(), GaussianEmission("full"), GaussianEmission("diag")], ids=repr
)
@pytest.mark.parametrize("missing", [False, True])
def test_a_long_sequence_is_fitted_and_scored_as_a_short_one(emission, missing, monkeypatch):
    rng = np.random.default_rng(5)
    x = rng.poisson(3.0 + 4.0 * (np.arange(300) % 70 > 30)).astype(float)
    if missing:
        x[rng.integers(300, size=20)] = np.nan
    x = [x[:250], x[250:]]
    whole = HMM(3, emission, random_state=0, n_iter=5, tol=0.0)
    with pytest.warns(ConvergenceWarning):
        whole.fit(x, sample_weight=[2.0, 1.0])
    monkeypatch.setattr(blocks, "BLOCK", 32)
    monkeypatch.setattr(evidence, "_MOST_NUMBERS", 150)
    monkeypatch.setattr(evidence, "PIECE", 40)
    cut = HMM(3, emission, random_state=0, n_iter=5, tol=0.0)
    with pytest.warns(ConvergenceWarning):
        cut.fit(x, sample_weight=[2.0, 1.0])
    assert cut.log_likelihood(x, by="sequence") == pytest.approx(whole.log_likelihood(x, by="sequence"), rel=1e-12)
    np.testing.assert_allclose(cut.transmat_, whole.transmat_, rtol=1e-9)
    np.testing.assert_allclose(cut.monitor_.history, whole.monitor_.history, rtol=1e-12)


def test_what_cannot_be_cut_is_done_as_a_whole(monkeypatch):
    monkeypatch.setattr(evidence, "_MOST_NUMBERS", 10)
    monkeypatch.setattr(blocks, "BLOCK", 8)
    x = np.tile([0, 0, 1, 1, 2], 10)
    left_right = HMM(2, CategoricalEmission(), init={"startprob": [1, 0], "transmat": [[0.9, 0.1], [0, 1]]})
    left_right.fit(x)
    np.testing.assert_array_equal(left_right.transmat_[1], [0, 1])
    model = HMM(2, CategoricalEmission(), random_state=0).fit(x)
    model.emission_.emissionprob = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]])
    assert model.score(x) == -math.inf


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64])
def test_symbols_of_a_mapped_file_stay_as_narrow_as_they_are(dtype, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, size=500).astype(dtype)
    x.tofile(tmp_path / "symbols")
    mapped = np.memmap(tmp_path / "symbols", dtype, "r")
    emission = CategoricalEmission(n_features=3)
    whole = HMM(2, emission, random_state=0, tol=0.1).fit(x)
    monkeypatch.setattr(categorical, "_MANY", 10)
    monkeypatch.setattr(categorical, "_ROWS", 64)
    monkeypatch.setattr(blocks, "BLOCK", 32)
    monkeypatch.setattr(evidence, "_MOST_NUMBERS", 100)
    cut = HMM(2, emission, random_state=0, tol=0.1).fit(mapped)
    assert cut.score(mapped) == pytest.approx(whole.score(x), rel=1e-9)
    read = evidence.read_evidence(cut.emission_, mapped, None, None, 2)
    assert read.rows.dtype == dtype
    assert read.rows.base is not None
    np.testing.assert_array_equal(cut.predict(mapped), whole.predict(x))


@pytest.mark.parametrize(("wrong", "message"), [([0, 3, 1], r"X\[1\] is 3"), ([0, -1, 1], r"X\[1\] is -1")])
def test_symbols_beyond_the_known_are_refused_whatever_the_container(wrong, message):
    model = HMM(2, CategoricalEmission(n_features=3), random_state=0).fit([0, 1, 2, 0, 0, 1])
    for container in (np.array(wrong), np.array(wrong, np.int8), np.array(wrong)[:, None], wrong):
        with pytest.raises(ValueError, match=message):
            model.score(container)
