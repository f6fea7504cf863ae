"""Estimates against their twins, dense and sparse, and on the characters of Shakespeare."""

import math
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace import MarkovChain
from statespace.markov import tables as tables_module
from tests import naive
from tests.markov.example_sequences import orders_and_sequences

SHAKESPEARE = Path(__file__).parents[2].parent / "shared" / "data" / "tinyshakespeare" / "input.txt"
SMOOTHINGS = [(None, 1.0), ("laplace", 1.0), ("laplace", 0.25), ("dirichlet", 1e-3), ("jeffreys", 7.0)]


def twin(sequences, K, order, smoothing, alpha, weights=None):
    if smoothing == "witten-bell":
        return naive.witten_bell(sequences, K, order, weights)
    added = {None: 0.0, "jeffreys": 0.5}.get(smoothing, alpha)
    return naive.additive(naive.count_words(sequences, order, weights), K, added)


def has_a_word(case):
    _, order, sequences = case
    return bool(naive.count_words(sequences, order))


@st.composite
def fits(draw):
    K, order, sequences = draw(orders_and_sequences().filter(has_a_word))
    smoothing, alpha = draw(st.sampled_from([*SMOOTHINGS, ("witten-bell", 1.0)]))
    weights = [draw(st.sampled_from([0.5, 1.0, 3.0])) for _ in sequences] if draw(st.booleans()) else None
    return K, order, sequences, smoothing, alpha, weights


@given(fits())
def test_every_probability_is_that_of_the_twin(case):
    K, order, sequences, smoothing, alpha, weights = case
    chain = MarkovChain(order, smoothing=smoothing, alpha=alpha)
    chain.fit(sequences, symbols=range(K), sample_weight=weights)
    probability = twin(sequences, K, order, smoothing, alpha, weights)
    for word in naive.all_words(K, order + 1):
        assert chain.transmat_[word] == pytest.approx(probability(word[:-1], word[-1]), rel=1e-14, abs=0)
    np.testing.assert_allclose(chain.transmat_.sum(axis=-1), 1.0, rtol=1e-14)


@given(fits(), st.integers(1, 6))
def test_dense_and_sparse_tables_give_identical_results(case, steps):
    K, order, sequences, smoothing, alpha, weights = case

    def fit():
        chain = MarkovChain(order, smoothing=smoothing, alpha=alpha)
        return chain.fit(sequences, symbols=range(K), sample_weight=weights)

    dense = fit()
    limit = tables_module.DENSE_LIMIT
    try:
        tables_module.DENSE_LIMIT = 0
        sparse = fit()
        assert sparse.score(sequences) == pytest.approx(dense.score(sequences), rel=1e-12)
    finally:
        tables_module.DENSE_LIMIT = limit
    assert dense.transmat_.shape == (K,) * (order + 1)
    assert sparse.transmat_.shape == (len(sparse.contexts_), K)
    places = [naive.code(context, K) for context in sparse.contexts_.tolist()]
    np.testing.assert_array_equal(sparse.transmat_, dense.transmat_.reshape(-1, K)[places])
    np.testing.assert_array_equal(sparse.counts_, dense.counts_.reshape(-1, K)[places])
    np.testing.assert_array_equal(sparse.initial_, dense.initial_.reshape(-1)[places])
    assert sparse.counts_.dtype == dense.counts_.dtype
    assert dense.counts_.sum() == sparse.counts_.sum()
    for a, b in zip(
        sparse.log_likelihood(sequences, by="step"), dense.log_likelihood(sequences, by="step"), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    for verb in (lambda chain: chain.predictive(sequences), lambda chain: chain.forecast(sequences, steps)):
        for a, b in zip(verb(sparse), verb(dense), strict=True):
            np.testing.assert_array_equal(a.probabilities, b.probabilities)
    np.testing.assert_array_equal(sparse.sample(30, random_state=1), dense.sample(30, random_state=1))


def test_a_sequence_of_weight_zero_is_as_if_it_were_not_there(monkeypatch):
    # Its words are no types for Witten and Bell, and its contexts are not listed, in tables of either kind
    seen, unseen = [0, 1, 0, 0, 1, 1], [2, 0, 2, 1, 2]
    for limit in (tables_module.DENSE_LIMIT, 0):
        monkeypatch.setattr(tables_module, "DENSE_LIMIT", limit)
        for smoothing in (None, "laplace", "witten-bell"):
            chain = MarkovChain(1, smoothing=smoothing)
            with_it = MarkovChain(1, smoothing=smoothing).fit([seen, unseen], symbols=range(3), sample_weight=[1, 0])
            without = chain.fit([seen], symbols=range(3))
            np.testing.assert_array_equal(with_it.transmat_, without.transmat_)
            np.testing.assert_array_equal(with_it.initial_, without.initial_)


def test_witten_and_bell_by_hand():
    # After 0: 0 once and 1 twice, n = 3, t = 2. Of one symbol: 0 three times, 1 four times, n = 7, t = 2, base 1/3
    chain = MarkovChain(1, smoothing="witten-bell").fit([0, 0, 1, 1, 0, 1, 1], symbols=[0, 1, 2])
    order_0 = [(Fraction(count) + 2 * Fraction(1, 3)) / 9 for count in (3, 4, 0)]
    after_0 = [(count + 2 * shorter) / 5 for count, shorter in zip((1, 2, 0), order_0, strict=True)]
    assert sum(after_0) == 1
    np.testing.assert_allclose(chain.transmat_[0], [float(p) for p in after_0], rtol=1e-15)
    np.testing.assert_allclose(chain.transmat_[2], [float(p) for p in order_0], rtol=1e-15)  # 2 never came


def test_a_context_that_never_occurred_has_the_uniform_law():
    for smoothing in (None, "laplace", "jeffreys"):
        chain = MarkovChain(1, smoothing=smoothing).fit([0, 1, 0, 1], symbols=[0, 1, 2])
        np.testing.assert_array_equal(chain.transmat_[2], [1 / 3] * 3)


def test_less_and_less_smoothing_tends_to_none():
    x = np.random.default_rng(0).integers(0, 3, 200)
    exact = MarkovChain(2).fit(x).transmat_
    distances = [
        np.abs(MarkovChain(2, smoothing="dirichlet", alpha=alpha).fit(x).transmat_ - exact).max()
        for alpha in (1.0, 1e-2, 1e-4, 1e-6)
    ]
    assert distances == sorted(distances, reverse=True)
    assert 0 < distances[-1] < 1e-5


@given(fits())
def test_without_smoothing_no_other_laws_are_more_likely(case):
    K, order, sequences, _, _, weights = case
    weighted = naive.count_words(sequences, order, weights)
    best = MarkovChain(order).fit(sequences, symbols=range(K), sample_weight=weights).transmat_
    rng = np.random.default_rng(0)

    def log_likelihood(table):
        return math.fsum(n * math.log(table[word]) for word, n in weighted.items())

    for nearness in (0.9, 0.5, 0.0):
        other = nearness * best + (1 - nearness) * rng.dirichlet(np.ones(K), size=(K,) * order)
        assert log_likelihood(best) >= log_likelihood(other) - 1e-12


# Characters


@pytest.fixture(scope="module")
def characters():
    if not SHAKESPEARE.exists():
        pytest.skip(f"the text of tiny shakespeare is not at {SHAKESPEARE}")
    return list(SHAKESPEARE.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_characters_cost_no_more_bits_than_the_reference(characters):
    # 2.4076 bits a character: uniform base over 65 characters, weight types / (n + types), scored from its fifth on
    cut = len(characters) * 9 // 10
    symbols = sorted(set(characters))
    assert len(symbols) == 65
    chain = MarkovChain(4, smoothing="witten-bell").fit(characters[:cut], symbols=symbols)
    held_out = chain.log_likelihood(characters[cut:], by="step")
    assert np.flatnonzero(np.isnan(held_out)).tolist() == [0, 1, 2, 3]
    bits = -np.nanmean(held_out) / math.log(2)
    assert bits <= 2.41
    assert bits == pytest.approx(2.4076, abs=1e-4)
    assert chain.score(characters[cut:]) == pytest.approx(np.nansum(held_out), rel=1e-12)


@pytest.mark.slow
def test_order_eight_over_sixty_five_characters_fits_predicts_and_samples(characters):
    chain = MarkovChain(8, smoothing="witten-bell").fit(characters)
    assert chain.n_parameters == 65**8 * 64
    assert chain.contexts_.shape[1] == 8
    text = "".join(characters)
    followers = Counter(text[i + 8] for i in range(len(text) - 8) if text.startswith("First Ci", i))
    law = chain.forecast(list("First Ci"), 3)
    np.testing.assert_allclose(law.probabilities.sum(axis=1), 1.0, rtol=1e-12)
    kept = sum(followers.values()) / (sum(followers.values()) + len(followers))  # the rest comes from shorter contexts
    for character, count in followers.items():
        share = count / sum(followers.values())
        assert kept * share <= law.probabilities[0, law.symbols == character].item() <= kept * share + (1 - kept)
    assert "".join(law.symbols[law.probabilities.argmax(axis=1)]) == "tiz"
    drawn = chain.sample(60, random_state=0, start=list("First Citizen:"))
    assert set(drawn) <= set(chain.symbols_)
    np.testing.assert_array_equal(drawn, chain.sample(60, random_state=0, start=list("First Citizen:")))
    steps = chain.log_likelihood(list("First Citizen:\n"), by="step")
    assert np.isfinite(steps[8:]).all()
    assert np.isnan(steps[:8]).all()
