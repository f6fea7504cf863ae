"""The most likely path: which one where several are, and what it is worth, for few states and for many."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.hmm import recursions
from statespace.hmm.frames import Frames

MANY = (1, 2, 3, 5, 7, 8, 9, 17)


def first_of_the_best(start, A, table):
    """Of all K^T paths, in whole numbers: the last state is the first of the best, and so on backwards."""
    K, T = len(start), len(table)
    best, found = -math.inf, None
    for backwards in itertools.product(range(K), repeat=T):
        path = backwards[::-1]
        total = start[path[0]] + sum(A[t][i][j] for t, (i, j) in enumerate(itertools.pairwise(path)))
        total += sum(table[t][k] for t, k in enumerate(path))
        if total > best:
            best, found = total, path
    return best, found


@st.composite
def tied(draw, K):
    """Weights 0 and 1, whose logarithms are whole, and whole log-likelihoods: equal paths are equal bit by bit."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    longest = {1: 6, 2: 7, 3: 5, 5: 4, 7: 3, 8: 3, 9: 3, 17: 2}[K]
    lengths = draw(st.lists(st.integers(1, longest), min_size=1, max_size=3))
    n, few = sum(lengths), draw(st.sampled_from([0.3, 1.0]))
    shape = (n - 1, K, K) if draw(st.booleans()) else (K, K)
    transmat, startprob = (rng.random(shape) < few) * 1.0, (rng.random(K) < few) * 1.0
    rows = rng.integers(0, 3, n) if draw(st.booleans()) else None
    table = rng.integers(0, 2, (n if rows is None else 3, K)) * 1.0
    table[rng.random(table.shape) < draw(st.sampled_from([0.0, 0.2]))] = -np.inf
    return startprob, transmat, Frames(table, rows), np.concatenate([[0], np.cumsum(lengths)])


@pytest.mark.parametrize("K", MANY)
@settings(max_examples=50)
@given(st.data())
def test_of_equal_paths_the_first_is_found(K, data):
    case = data.draw(tied(K))
    startprob, transmat, frames, offsets = case
    states, totals = recursions.most_likely_paths(*case)
    table = frames.table if frames.rows is None else frames.table[frames.rows]
    with np.errstate(divide="ignore"):
        start, A = np.log(startprob), np.log(transmat)
    for s, (a, b) in enumerate(itertools.pairwise(offsets)):
        steps = A[a : b - 1] if A.ndim == 3 else [A] * (b - a - 1)
        best, path = first_of_the_best(start.tolist(), [step.tolist() for step in steps], table[a:b].tolist())
        assert totals[s] == best
        assert tuple(states[a:b]) == (path or (0,) * (b - a))


def twin(start, A, table):
    """The largest log p(x, z) by the recursion itself, in extended precision."""
    delta = (start + table[0]).astype(np.longdouble)
    for frame in table[1:]:
        delta = (delta[:, None] + A).max(axis=0) + frame
    return float(delta.max())


@settings(max_examples=60)
@given(st.sampled_from(MANY), st.sampled_from([1e-8, 1.0, 100.0]), st.sampled_from([1, 2, 16, 17, 700]), st.data())
def test_a_long_path_is_worth_what_is_said_and_none_is_worth_more(K, scale, n, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    startprob, transmat = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K)
    transmat[rng.random((K, K)) < 0.2 * data.draw(st.booleans())] = 0.0
    transmat[:, 0] += 0.1
    rows = rng.integers(0, 5, 2 * n) if data.draw(st.booleans()) else None
    table = scale * rng.normal(size=(2 * n if rows is None else 5, K))
    found, totals = recursions.most_likely_paths(startprob, transmat, Frames(table, rows), np.array([0, n, 2 * n]))
    with np.errstate(divide="ignore"):
        start, A = np.log(startprob), np.log(transmat)
    whole = table if rows is None else table[rows]
    for s, part in enumerate((slice(0, n), slice(n, 2 * n))):
        z, frames = found[part], whole[part]
        worth = math.fsum([start[z[0]], *A[z[:-1], z[1:]], *frames[np.arange(n), z]])
        size = max(1.0, scale, np.abs(frames[np.arange(n), z]).sum())
        assert totals[s] == pytest.approx(worth, rel=1e-12, abs=1e-12 * size)
        assert totals[s] == pytest.approx(twin(start, A, frames), rel=1e-12, abs=1e-12 * size)


@pytest.mark.parametrize("K", [2, 3, 9])
def test_totals_of_long_sequences_keep_their_last_digits(K):
    rng = np.random.default_rng(K)
    startprob, transmat = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K)
    table = 3.0 * rng.normal(size=(40_000, K)) - 5.0
    z, (total,) = recursions.most_likely_paths(startprob, transmat, Frames(table), np.array([0, len(table)]))
    terms = [math.log(startprob[z[0]]), *np.log(transmat)[z[:-1], z[1:]], *table[np.arange(len(z)), z]]
    assert total == pytest.approx(math.fsum(terms), rel=4e-16)  # summed plainly it is off by ten times as much


@pytest.mark.parametrize("K", MANY)
@pytest.mark.parametrize("bad", [0, 1, 20, 39])
def test_an_impossible_sequence_is_zeros_and_leaves_its_neighbours_alone(K, bad):
    rng = np.random.default_rng(K)
    startprob, transmat = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K)
    table = rng.normal(size=(120, K))
    offsets = np.array([0, 40, 80, 120])
    before, worth = recursions.most_likely_paths(startprob, transmat, Frames(table), offsets)
    table[40 + bad] = -np.inf
    states, totals = recursions.most_likely_paths(startprob, transmat, Frames(table), offsets)
    assert totals[1] == -math.inf
    assert not states[40:80].any()
    np.testing.assert_array_equal(totals[[0, 2]], worth[[0, 2]])
    np.testing.assert_array_equal(np.delete(states, slice(40, 80)), np.delete(before, slice(40, 80)))
