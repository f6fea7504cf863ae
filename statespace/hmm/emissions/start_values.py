"""Where the states of a fit begin: clusters of the observations."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import numpy as np

from statespace.protocols import Array, Floats, Ints

_MOST_SORTED = 1 << 17  # rows that are sorted, so that their order does not matter; of more, evenly spaced ones
_MOST = 20_000  # of these, rows that are looked at, evenly spaced again
_TRIES = 3  # starts of k-means, of which the best is kept
_TRIED = 2_000  # rows on which they are tried, or 20 for each cluster
_ITERATIONS = 15  # of each; what is left to improve, EM improves
_POLISH = 4  # iterations of the best on all rows
_STRETCH = 5  # rows of a stretch of time
_ROUNDED = 2.0**-42  # of the size of a feature: a thousand times what is lost where its numbers are rounded


class Clusters(NamedTuple):
    """Clusters of rows, in ascending order of their means."""

    means: Floats
    """Shape (n_clusters, n_features); where there are fewer distinct rows than clusters, rows recur."""
    rows: Floats
    """The rows that were looked at, missing entries filled with the feature's mean, shape (n_rows, n_features)."""
    labels: Ints
    """The cluster of each of them, shape (n_rows,)."""


def cluster_means(X: Array, n_components: int, rng: np.random.Generator) -> Floats:
    """Means of k-means clusters, shape (n_components, n_features), in ascending order."""
    return clusters(X, n_components, rng).means


def clusters(X: Array, n_clusters: int, rng: np.random.Generator) -> Clusters:
    """Group rows by k-means; features count in units of their standard deviation.

    Data in units that are a power of two apart give exactly the same clusters, and so do rows in another order.

    Parameters
    ----------
    X : (n_samples, n_features)
        NaN where missing: rows that are complete are taken alone where they are most of the data.
    n_clusters : int
    rng : numpy.random.Generator

    References
    ----------
    Arthur and Vassilvitskii (2007), k-means++: the advantages of careful seeding.

    """
    rows = _whole_rows(np.asarray(X[_evenly_spaced(X)], dtype=np.float64))
    return _grouped(rows, n_clusters, rng)


def rival_clusters(X: Array, offsets: Ints, n_clusters: int, rng: np.random.Generator) -> list[Clusters]:
    """Group rows in other ways, for states that differ in more than their means.

    By the distance of a row from the mean, in standard deviations, which finds states of different variance; and
    stretches of time by their mean distance and their means, which finds states that last, however much they overlap.

    Parameters
    ----------
    X : (n_samples, n_features)
        NaN where missing.
    offsets : (n_sequences + 1,)
        Sequence s is rows offsets[s]..offsets[s + 1] - 1.
    n_clusters : int
    rng : numpy.random.Generator

    Returns
    -------
    list of Clusters
        In ascending order of the distance.

    """
    found = []
    for length in (1, _STRETCH):
        begins = _stretches(offsets, length)
        begins = begins[:: -(-len(begins) * length // _MOST_SORTED)]
        ends = np.minimum(begins + length, offsets[np.searchsorted(offsets, begins, side="right")])
        rows, stretch = _rows_between(begins, ends)
        values = _filled(np.asarray(X[rows], dtype=np.float64))
        away = values - _feature_means(values)
        deviation = np.sqrt(np.square(away).mean(axis=0))
        away /= np.where(deviation > 0, deviation, 1.0)
        features = np.sqrt(np.square(away).sum(axis=1, keepdims=True))
        if length > 1:
            features = np.concatenate([features, away], axis=1)
            features = np.add.reduceat(features, np.flatnonzero(np.diff(stretch, prepend=-1)), axis=0)
            features /= (ends - begins)[:, None]
        chosen = _evenly_spaced(features, _MOST // length)
        labels = np.full(len(begins), -1)
        labels[chosen] = _grouped(features[chosen], n_clusters, rng).labels
        of_rows = labels[stretch]
        seen = of_rows >= 0
        found.append(_from_labels(values[seen], of_rows[seen], n_clusters))
    return found


def _from_labels(rows: Floats, labels: Ints, n_clusters: int) -> Clusters:
    counts = np.bincount(labels, minlength=n_clusters)
    sums = np.stack([np.bincount(labels, column, n_clusters) for column in rows.T], axis=1)
    means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], rows.mean(axis=0))
    return Clusters(np.ascontiguousarray(means), rows, labels)


def _stretches(offsets: Ints, length: int) -> Ints:
    """Where stretches of so many rows begin; the last of a sequence is shorter."""
    numbers = -(-np.diff(offsets) // length)
    first = np.repeat(np.cumsum(numbers) - numbers, numbers)
    begins: Ints = np.repeat(offsets[:-1], numbers) + (np.arange(numbers.sum()) - first) * length
    return begins


def _rows_between(begins: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Rows of all stretches, and the number of the stretch of each."""
    sizes = ends - begins
    stretch = np.repeat(np.arange(len(begins)), sizes)
    rows: Ints = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes - begins, sizes)
    return rows, stretch


def _evenly_spaced(X: Array, most: int = _MOST) -> Ints:
    """Numbers of at most so many rows, from all parts of their sorted order."""
    step = -(-len(X) // _MOST_SORTED)
    rows = np.asarray(X[::step])
    order = np.argsort(rows[:, 0], kind="stable")
    first = rows[order, 0]
    if not (first[1:] > first[:-1]).all():  # where rows have equals, the other features decide
        order = np.lexsort(rows.T[::-1])
    return np.asarray(order[:: -(-len(order) // most)] * step)


def _grouped(rows: Floats, n_clusters: int, rng: np.random.Generator) -> Clusters:
    """Clusters of whole rows by k-means."""
    from scipy.cluster.vq import vq

    centre = _feature_means(rows)
    away = rows - centre
    deviation = np.sqrt(np.square(away).mean(axis=0))
    deviation = np.where(deviation > 0, deviation, 1.0)
    scaled = _on_grid(away / deviation, np.abs(rows).max(axis=0) / deviation)
    few = scaled[:: -(-len(scaled) // max(_TRIED, 20 * n_clusters))]
    centres, lacking = _best_of_tries(few, n_clusters, rng)
    if lacking and len(few) < len(scaled):
        few = scaled
        centres, lacking = _best_of_tries(few, n_clusters, rng)
    if len(few) < len(scaled):
        centres = _improved(scaled, centres, _POLISH)
    labels = vq(scaled, centres)[0].astype(np.int64)
    counts = np.bincount(labels, minlength=n_clusters)
    sums = np.stack([np.bincount(labels, column, n_clusters) for column in rows.T], axis=1)
    nearest = vq(centres, scaled)[0]  # of a centre without rows, which is a row itself
    means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], rows[nearest])
    means = np.clip(means, rows.min(axis=0), rows.max(axis=0))  # of a constant feature no rounding is left
    order = np.lexsort(np.round((means - centre) / deviation, 9).T[::-1])  # no rounding decides between equal means
    rank = np.empty_like(order)
    rank[order] = np.arange(n_clusters)
    return Clusters(np.ascontiguousarray(means[order]), rows, rank[labels])


def _on_grid(scaled: Floats, size: Floats) -> Floats:
    """Numbers without the digits that rounding in other units makes; `size` is how large those of a feature were.

    A row as far from one centre as from another is so in any units then.
    """
    step = np.exp2(np.ceil(np.log2(np.where(size > 0, size, 1.0)))) * _ROUNDED
    return np.asarray(np.round(scaled / step) * step)


def _best_of_tries(rows: Floats, n: int, rng: np.random.Generator) -> tuple[Floats, bool]:
    """Centres of `n` clusters, and whether there were fewer distinct rows."""
    from scipy.cluster.vq import vq

    found, squares = [], []
    for _ in range(1 if n == 1 else _TRIES):
        centres, n_distinct = _spread_rows(rows, n, rng)
        if n_distinct < n:
            return centres, True
        centres = _improved(rows, centres, _ITERATIONS)
        found.append(centres)
        squares.append(float(np.square(vq(rows, centres)[1]).sum()))
    best = next(i for i, total in enumerate(squares) if total <= (1 + 1e-9) * min(squares))  # equals: the first of them
    return found[best], False


def _improved(rows: Floats, centres: Floats, n_iter: int) -> Floats:
    """Centres after some iterations of k-means; as they were where a cluster lost all its rows."""
    from scipy.cluster.vq import ClusterError, kmeans2

    with contextlib.suppress(ClusterError):
        centres = kmeans2(rows, centres, iter=n_iter, minit="matrix", missing="raise")[0]
    return centres


def _whole_rows(rows: Floats) -> Floats:
    """Complete rows, if they are most; otherwise all of them, filled with the means of the features."""
    unknown = np.isnan(rows)
    if not unknown.any():
        return rows
    complete = ~unknown.any(axis=1)
    if 2 * complete.sum() >= len(rows):
        return rows[complete]
    return _filled(rows)


def _filled(rows: Floats) -> Floats:
    """Rows with the means of the features where they are missing."""
    unknown = np.isnan(rows)
    if not unknown.any():
        return rows
    seen = (~unknown).sum(axis=0)
    first = np.where(seen > 0, rows[(~unknown).argmax(axis=0), np.arange(rows.shape[1])], 0.0)
    means = first + np.where(unknown, 0.0, rows - first).sum(axis=0) / np.maximum(seen, 1)  # a constant stays constant
    return np.where(unknown, means, rows)


def _feature_means(rows: Floats) -> Floats:
    """Mean of each feature; that of a constant one is its value exactly, in any units."""
    return np.asarray(np.clip(rows.mean(axis=0), rows.min(axis=0), rows.max(axis=0)))


def _spread_rows(rows: Floats, n: int, rng: np.random.Generator) -> tuple[Floats, int]:
    """Return `n` rows far apart, as k-means++ draws them, and how many of them are distinct."""
    chosen = [int(rng.integers(len(rows)))]
    distances = np.square(rows - rows[chosen[0]]).sum(axis=1)
    while len(chosen) < n and distances.max() > 0:
        reached = np.cumsum(distances)
        at = int(np.searchsorted(reached, rng.random() * reached[-1], side="right"))
        if at == len(rows) or distances[at] == 0:  # the draw was rounded up to the end
            at = int(distances.argmax())
        chosen.append(at)
        distances = np.minimum(distances, np.square(rows - rows[at]).sum(axis=1))
    n_distinct = len(chosen)
    chosen += [chosen[i % n_distinct] for i in range(n - n_distinct)]
    return rows[chosen], n_distinct
