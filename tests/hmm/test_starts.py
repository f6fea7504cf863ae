"""Which start a fit takes: as good as the truth where only variances differ, whatever the order and the units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace import HMM
from statespace.hmm import CategoricalEmission, GaussianEmission, GaussianMixtureEmission, restarts, starts
from statespace.hmm.emissions.gaussian_mixture import _nested_clusters
from statespace.hmm.emissions.start_values import clusters, rival_clusters
from statespace.hmm.evidence import read_evidence
from statespace.hmm.starts import excerpt, known_rows

seeds = st.integers(0, 2**32 - 1)


def regimes(rng, n, deviations, means=None, stay=0.97):
    """A series in lasting states, and the states."""
    K = len(deviations)
    means = np.zeros(K) if means is None else np.asarray(means)
    states = np.zeros(n, int)
    for t in range(1, n):
        states[t] = states[t - 1] if rng.random() < stay else rng.integers(K)
    return means[states] + np.asarray(deviations)[states] * rng.normal(size=n), states


def from_the_truth(x, states, K):
    truth = GaussianEmission()
    truth.means = np.array([[x[states == k].mean()] for k in range(K)])
    truth.covars = np.array([[x[states == k].var()] for k in range(K)])
    return HMM(K, truth, n_iter=1000, random_state=0).fit(x).score(x)


def from_values_alone(x, K):
    emission = GaussianEmission()
    emission.initialize(x[:, None], K, np.random.default_rng(0))
    return HMM(K, emission, n_iter=3000, random_state=0).fit(x).score(x)


@pytest.mark.parametrize("means", [[0.0, 0.0], [0.3, -0.3]])
@pytest.mark.parametrize("stay", [0.9, 0.97])
def test_a_fit_finds_states_that_differ_in_variance_as_from_the_truth(means, stay):
    for seed in range(8):
        x, states = regimes(np.random.default_rng(seed), 744, [0.6, 2.0], means, stay)
        best = from_the_truth(x, states, 2)
        assert HMM(2, GaussianEmission(), n_iter=1000, random_state=seed).fit(x).score(x) > best - 1e-2


def test_clusters_of_values_alone_miss_more():
    lost, lost_alone = 0.0, 0.0
    for seed in range(8):
        x, states = regimes(np.random.default_rng(seed), 744, [0.5, 2.0, 0.5, 2.0], [-2, -2, 2, 2])
        best = from_the_truth(x, states, 4)
        lost += max(best - HMM(4, GaussianEmission(), n_iter=1000, random_state=seed).fit(x).score(x), 0.0)
        lost_alone += max(best - from_values_alone(x, 4), 0.0)
    assert lost < lost_alone / 3
    x, states = regimes(np.random.default_rng(3), 744, [0.7, 2.0], [0.3, -0.3])
    assert from_values_alone(x, 2) < from_the_truth(x, states, 2) - 50


@settings(max_examples=25)
@given(st.sampled_from(["diag", "full", "mixture"]), st.integers(1, 3), seeds)
def test_the_order_of_sequences_does_not_matter(family, K, seed):
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(n, 2)) * rng.choice([0.5, 2.0]) for n in rng.integers(1, 30, size=5)]
    emission = GaussianMixtureEmission(2) if family == "mixture" else GaussianEmission(family)
    made = []
    for order in (np.arange(5), rng.permutation(5)):
        model = HMM(K, emission, n_iter=1, random_state=0).fit([sequences[i] for i in order])
        made.append(model.monitor_.history[0])
    assert made[1] == pytest.approx(made[0], rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("emission", [GaussianEmission(), GaussianEmission("full"), GaussianMixtureEmission(2)])
def test_units_do_not_matter(emission):
    x, _ = regimes(np.random.default_rng(3), 300, [0.5, 2.0], [0.0, 0.4])
    score = HMM(2, emission, n_iter=2000, random_state=1).fit(x).score(x)
    for c in (2.0**-30, 2.0**9, 0.01, 1e5):
        moved = HMM(2, emission, n_iter=2000, random_state=1).fit(c * x).score(c * x)
        exact = np.log2(c) % 1 == 0
        assert moved == pytest.approx(score - len(x) * np.log(c), rel=1e-14 if exact else 1e-9)


@pytest.mark.parametrize("flaw", ["constant", "constant with gaps", "whole numbers", "signs"])
@pytest.mark.parametrize("emission", [GaussianEmission(), GaussianEmission("full"), GaussianMixtureEmission(2)])
def test_rounding_in_other_units_does_not_decide_where_a_fit_begins(emission, flaw):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(80, 2)) * rng.choice([1.0, 2.2], size=(80, 1)) + rng.choice([0.0, 3.0], size=(80, 1))
        if flaw.startswith("constant"):
            x[:, 0] = x[0, 0]
        else:
            x = np.round(x) + 100 if flaw == "whole numbers" else np.sign(x)
        if flaw.endswith("gaps"):
            x[rng.random(x.shape) < 0.2] = np.nan
        n, start = np.sum(~np.isnan(x)), {}
        for c in (1.0, 0.01, 3.7, 1e5):
            start[c] = HMM(3, emission, n_iter=1, random_state=seed).fit(c * x).monitor_.history[0] + n * np.log(c)
        np.testing.assert_allclose(list(start.values()), start[1.0], rtol=1e-9, atol=1e-6)


def test_what_is_given_by_hand_is_neither_tried_nor_replaced(monkeypatch):
    x, _ = regimes(np.random.default_rng(4), 100, [0.5, 2.0])
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return expect(*arguments)

    expect = restarts.expect
    monkeypatch.setattr(restarts, "expect", counted)
    given_by_hand = GaussianEmission()
    given_by_hand.means, given_by_hand.covars = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    model = HMM(2, given_by_hand, init={"startprob": [0.5, 0.5], "transmat": np.full((2, 2), 0.5)}, n_iter=1).fit(x)
    assert len(calls) == 1
    assert model.monitor_.history[0] == pytest.approx(
        HMM(2, given_by_hand, init={"transmat": np.full((2, 2), 0.5)}, n_iter=1).fit(x).monitor_.history[0], rel=1e-14
    )
    calls.clear()
    half = GaussianEmission()
    half.means = given_by_hand.means
    HMM(2, half, n_iter=1, random_state=0).fit(x)
    HMM(1, GaussianEmission(), n_iter=1).fit(x)
    HMM(2, CategoricalEmission(), n_iter=1, random_state=0).fit((x > 0).astype(int))
    assert len(calls) == 3
    HMM(2, GaussianEmission(), n_iter=1, random_state=0).fit(x)
    assert len(calls) > 4


def test_a_start_that_makes_the_data_impossible_does_not_win():
    class Rivalled(CategoricalEmission):
        def rivals(self, X, offsets, n_components, rng, weights=None):
            rival = CategoricalEmission(2)
            rival.emissionprob = np.array([[1.0, 0.0]] * n_components)
            return [rival]

    model = HMM(2, Rivalled(2), random_state=0, n_iter=3, tol=np.inf).fit([0, 1, 1, 0])
    assert isinstance(model.emission_, Rivalled)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 3), seeds)
def test_an_excerpt_is_made_of_parts_and_no_order_of_sequences_changes_it(lengths, width, seed):
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(n, width)) for n in lengths]
    weights = rng.random(len(lengths))
    before = starts._MOST, starts._CUT
    starts._MOST, starts._CUT = 20, 7
    try:
        found = []
        for order in (np.arange(len(lengths)), rng.permutation(len(lengths))):
            listed = [sequences[i] for i in order]
            whole = read_evidence(GaussianEmission(), listed, None, None, 2)
            part, part_weights = excerpt(whole, weights[order])
            offsets = part.observations.offsets
            rows = part.observations.values
            assert len(part_weights) == len(offsets) - 1
            if sum(lengths) <= 20:
                assert part is whole
            else:
                assert np.diff(offsets).max() <= 7
            for a, b, w in zip(offsets, offsets[1:], part_weights, strict=False):
                (source,) = [i for i, s in enumerate(sequences) if (s == rows[a]).all(axis=1).any()]
                at = int(np.flatnonzero((sequences[source] == rows[a]).all(axis=1))[0])
                np.testing.assert_array_equal(rows[a:b], sequences[source][at : at + b - a])
                assert w == weights[source]
            found.append(sorted(map(tuple, rows.tolist())))
        assert found[0] == found[1]
    finally:
        starts._MOST, starts._CUT = before


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), seeds)
def test_known_rows_are_those_that_were_observed_in_sequences_that_count(lengths, seed):
    rng = np.random.default_rng(seed)
    sequences = [np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)) for n in lengths]
    weights = rng.choice([0.0, 1.0, 2.5], size=len(lengths))
    values, offsets, by_row = known_rows(read_evidence(GaussianEmission(), sequences, None, None, 2), weights)
    wanted = [s[~np.isnan(s)] if w > 0 else s[:0] for s, w in zip(sequences, weights, strict=True)]
    np.testing.assert_array_equal(values[:, 0], np.concatenate(wanted))
    np.testing.assert_array_equal(np.diff(offsets), [len(part) for part in wanted])
    np.testing.assert_array_equal(by_row, np.repeat(weights, np.diff(offsets)))


@given(st.integers(1, 4), st.integers(1, 3), st.lists(st.integers(0, 12), min_size=1, max_size=6), seeds)
def test_rival_clusters_have_the_means_of_their_rows(K, width, lengths, seed):
    rng = np.random.default_rng(seed)
    n = sum(lengths) + 1
    X = rng.normal(size=(n, width))
    offsets = np.concatenate([[0], np.cumsum(lengths), [n]])
    for found in rival_clusters(X, offsets, K, rng):
        assert sorted(map(tuple, found.rows.tolist())) == sorted(map(tuple, X.tolist()))
        assert found.means.shape == (K, width)
        for k in np.unique(found.labels):
            np.testing.assert_allclose(found.means[k], found.rows[found.labels == k].mean(axis=0), atol=1e-12)


def test_rivals_are_told_by_distance_and_by_stretches():
    rng = np.random.default_rng(5)
    states = np.repeat(np.arange(20) % 2, 25)
    X = (1.6 * states + rng.normal(size=500))[:, None]
    by_distance, by_stretch = rival_clusters(X, np.array([0, 250, 500]), 2, rng)
    distance = np.abs(by_distance.rows[:, 0] - X.mean())
    assert distance[by_distance.labels == 0].max() < distance[by_distance.labels == 1].min()

    def agreement(found):
        labels = found.labels[np.argsort(found.rows[:, 0])]
        right = (labels == states[np.argsort(X[:, 0])]).mean()
        return max(right, 1 - right)

    assert agreement(by_stretch) > agreement(clusters(X, 2, rng)) + 0.1


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 30), seeds)
def test_clusters_within_clusters_have_the_means_of_their_rows(K, M, n, seed):
    rng = np.random.default_rng(seed)
    outer = clusters(rng.normal(size=(n, 2)), K, rng)
    found = _nested_clusters(outer, K, M, rng)
    assert found.means.shape == (K * M, 2)
    assert sorted(map(tuple, found.rows.tolist())) == sorted(map(tuple, outer.rows.tolist()))
    for c in np.unique(found.labels):
        members = found.rows[found.labels == c]
        np.testing.assert_allclose(found.means[c], members.mean(axis=0), atol=1e-12)
        of_outer = {outer.labels[np.flatnonzero((outer.rows == row).all(axis=1))[0]] for row in members}
        assert of_outer == {c // M}
