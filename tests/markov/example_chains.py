"""Chains to try things on: random ones of every kind, and those of the literature."""

import numpy as np
from hypothesis import strategies as st

from tests import naive

# To a few units of rounding of each entry, however small it is
EXACT = {"rtol": 2e-14, "atol": 0}


@st.composite
def chains(draw, max_states=5, scales=(1.0, 1.0, 1e-6, 1e-12)):
    """Reducible, periodic, absorbing and nearly decomposable chains: any zeros, and entries of very different sizes."""
    K = draw(st.integers(1, max_states))
    entry = st.tuples(st.sampled_from([0, 0, 1, 2]), st.sampled_from(scales))
    weights = np.array([[a * b for a, b in draw(st.tuples(*[entry] * K))] for _ in range(K)])
    for i in np.flatnonzero(weights.sum(axis=1) == 0):
        weights[i, draw(st.integers(0, K - 1))] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


@st.composite
def chains_with_start(draw, **kwargs):
    P = draw(chains(**kwargs))
    weights = np.array(draw(st.tuples(*[st.integers(0, 3)] * len(P))), dtype=float)
    weights[0] += weights.sum() == 0
    return P, weights / weights.sum()


def irreducible_chains(max_states=5):
    return chains(max_states).filter(lambda P: naive.reachable(P).all())


def drifting_walk(up):
    """A walk on a line that steps up with probability up[k], otherwise down, and stays where it cannot step."""
    K = len(up)
    P = np.zeros((K, K))
    for k in range(K):
        P[k, min(k + 1, K - 1)] += up[k]
        P[k, max(k - 1, 0)] += 1 - up[k]
    return P


def gamblers_ruin(up, n_states):
    """One step up with probability `up`, otherwise down, until 0 or the top is reached."""
    P = np.zeros((n_states, n_states))
    P[0, 0] = P[-1, -1] = 1.0
    for k in range(1, n_states - 1):
        P[k, k + 1], P[k, k - 1] = up, 1 - up
    return P


def well(half_width):
    """A walk that is drawn to the middle, between two ends that absorb."""
    P = gamblers_ruin(0.5, 2 * half_width + 1)
    for k in range(1, 2 * half_width):
        up = 0.999 if k < half_width else 1e-3 if k > half_width else 0.5
        P[k, k + 1], P[k, k - 1] = up, 1 - up
    return P


def nearly_decomposable(leak):
    """Three blocks of four states joined by `leak`."""
    n, block = 12, np.arange(12) // 4
    P = np.random.default_rng(7).dirichlet(np.ones(n), size=n)
    P[block[:, None] != block] *= leak
    return P / P.sum(axis=1, keepdims=True)


LAND_OF_OZ = np.array([[1 / 2, 1 / 4, 1 / 4], [1 / 2, 0, 1 / 2], [1 / 4, 1 / 4, 1 / 2]])  # rain, nice, snow
SEVERAL_OF_EACH = np.array(
    # 0 absorbing; 1 and 2 take turns; 3 aperiodic with 4; 5 cannot return; 6 can, for a while
    [
        [1, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0.5, 0.5, 0, 0],
        [0, 0, 0, 1, 0, 0, 0],
        [0.5, 0.25, 0, 0, 0, 0, 0.25],
        [0, 0, 0, 0.5, 0, 0, 0.5],
    ]
)
