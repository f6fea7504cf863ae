"""Where the states of a fit begin: the means of clusters of the observations."""

import numpy as np

from statespace.protocols import Array, Floats

_MOST = 20_000  # rows that are looked at; of more, evenly spaced ones


def cluster_means(X: Array, n_components: int, rng: np.random.Generator) -> Floats:
    """Means of k-means clusters, shape (n_components, n_features), in ascending order.

    Features count in units of their standard deviation. Where there are fewer distinct rows than states, rows recur.
    """
    from scipy.cluster.vq import ClusterError, kmeans2

    rows = np.asarray(X[:: -(-len(X) // _MOST)], dtype=np.float64)
    distinct = np.unique(rows, axis=0)
    if len(distinct) <= n_components:
        means = distinct[np.arange(n_components) * len(distinct) // n_components]
    else:
        # A power of two, so that data in other units give the same clusters
        spread = rows.std(axis=0)
        scale = np.exp2(np.round(np.log2(np.where(spread > 0, spread, 1.0))))
        first = distinct[rng.choice(len(distinct), n_components, replace=False)] / scale
        try:
            found, labels = kmeans2(rows / scale, first, iter=20, minit="matrix", missing="raise")
            if len(np.unique(labels)) == n_components:
                first = found
        except ClusterError:  # a cluster lost all its rows: distinct rows are a start too
            pass
        means = first * scale
    return np.ascontiguousarray(means[np.lexsort(means.T[::-1])])
