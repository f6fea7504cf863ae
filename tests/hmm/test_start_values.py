"""Clusters that a fit begins with."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from statespace.hmm.emissions.start_values import cluster_means, clusters

few_rows = arrays(np.float64, st.tuples(st.integers(1, 5), st.just(2)), elements=st.sampled_from([0.0, 1.0]))


def test_clusters_far_apart_are_found():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [100.0, 1.0], [0.0, 5.0], [100.0, -4.0]])
    labels = rng.integers(4, size=400)
    X = centres[labels] + [1.0, 0.05] * rng.normal(size=(400, 2))
    found = clusters(X, 4, rng)
    assert (np.diff(found.means[:, 0]) >= 0).all()
    for k in range(4):
        nearest = np.abs((found.rows[found.labels == k, None] - centres) / [1.0, 0.05]).sum(axis=2).argmin(axis=1)
        (label,) = np.unique(nearest)
        np.testing.assert_allclose(found.means[k], X[labels == label].mean(axis=0))


def test_rows_with_gaps_are_left_out_of_clusters_unless_they_are_most():
    X = np.array([[0.0, 0.0], [0.0, np.nan], [8.0, 8.0], [0.5, 0.0]])
    np.testing.assert_allclose(cluster_means(X, 2, np.random.default_rng(0)), [[0.25, 0.0], [8.0, 8.0]])
    X = np.array([[0.0, np.nan], [0.2, np.nan], [8.0, 1.0]])
    np.testing.assert_allclose(cluster_means(X, 2, np.random.default_rng(0)), [[0.1, 1.0], [8.0, 1.0]])


@given(st.integers(1, 5), few_rows)
def test_clusters_of_few_distinct_rows_are_these_rows(K, X):
    means = cluster_means(X, K, np.random.default_rng(0))
    distinct = np.unique(X, axis=0)
    assert means.shape == (K, 2)
    if len(distinct) <= K:
        np.testing.assert_array_equal(np.unique(means, axis=0), distinct)


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_the_same_seed_finds_the_same_clusters_with_the_means_of_their_rows(K, seed):
    X = np.random.default_rng(seed).normal(size=(30, 2))
    one, two = (clusters(X, K, np.random.default_rng(seed)) for _ in range(2))
    assert one.means.tobytes() == two.means.tobytes()
    assert one.labels.tobytes() == two.labels.tobytes()
    for k in np.unique(one.labels):
        np.testing.assert_allclose(one.means[k], one.rows[one.labels == k].mean(axis=0))
    np.testing.assert_array_equal(np.sort(one.rows, axis=0), np.sort(X, axis=0))


def test_of_very_many_rows_evenly_spaced_ones_are_looked_at():
    X = np.repeat([[0.0], [10.0]], 50_000, axis=0)
    found = clusters(X, 2, np.random.default_rng(0))
    assert len(found.rows) <= 20_000
    np.testing.assert_array_equal(found.means, [[0.0], [10.0]])
