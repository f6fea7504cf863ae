"""Observations as rows of independent noise: the same density, whatever is missing."""

import numpy as np
from hypothesis import given, settings

from statespace.lds.frames import make_frames
from tests import naive_lds
from tests.lds.systems import make, noise_of_few_sources, redundant_and_rounded, systems, units_apart, wide


def at(values, t):
    return values[t] if len(values) > 1 else values[0]


def check_frames(system, Y):
    frames = make_frames(system, Y)
    n, p = Y.shape
    assert frames.x.shape == (n, p)
    assert frames.frame.shape == (n,)
    assert np.isfinite(frames.x).all()
    for array in frames:
        assert array.flags.c_contiguous
    for t in range(n):
        f = frames.frame[t]
        seen = ~np.isnan(Y[t])
        q = seen.sum()
        np.testing.assert_array_equal(frames.seen[f], seen)
        assert frames.n_seen[f] == q
        B, h = frames.transform[f], frames.variances[f]
        assert not B[:, ~seen].any()
        assert not B[q:].any()
        assert not frames.x[t, q:].any()
        assert not frames.design[f][q:].any()
        assert (h >= 0).all()
        block = B[:q][:, seen]
        np.testing.assert_array_equal(block, np.tril(block))
        np.testing.assert_array_equal(np.diag(block), np.ones(q))
        H = at(system.obs_cov, t)[np.ix_(seen, seen)]
        with naive_lds._bits(300):
            exact = naive_lds.floats(
                naive_lds.product(naive_lds.product(*map(naive_lds.exact, (block, H))), naive_lds.exact(block.T))
            )
        size = np.abs(block) @ np.sqrt(np.diag(H))
        assert (np.abs(exact - np.diag(h[:q])) <= 1e-12 * np.outer(size, size)).all()
        centred, Z = (Y[t] - at(system.obs_intercept, t))[seen], at(system.design, t)[seen]
        assert (np.abs(frames.design[f][:q] - block @ Z) <= 2e-13 * (np.abs(block) @ np.abs(Z))).all()
        empty = (h[:q] == 0) & ~frames.design[f][:q].any(axis=1)
        size = np.abs(block) @ np.abs(centred)
        off = np.abs(frames.x[t, :q] - block @ centred)
        assert (off[~empty] <= 1e-14 * size[~empty]).all()
        assert (
            (off[empty] <= 1e-14 * size[empty]) | (frames.x[t, :q][empty] == 0) & (off[empty] <= 1e-8 * size[empty])
        ).all()
    return frames


@given(systems(max_features=4, octaves=10))
def test_frames_are_unit_triangular_transforms_with_independent_noise(case):
    check_frames(*case)


def test_frames_of_hard_systems():
    for hard in (redundant_and_rounded, noise_of_few_sources, units_apart, wide):
        check_frames(*hard())


@settings(max_examples=30)
@given(systems(max_features=4, obs_kinds=("full", "diagonal")))
def test_the_density_of_what_is_observed_is_kept(case):
    """log N(y - d; 0, H) over the observed entries is the sum over the rows of log N(x_i; 0, h_i)."""
    system, Y = case
    frames = make_frames(system, Y)
    for t in range(len(Y)):
        seen = ~np.isnan(Y[t])
        f, q = frames.frame[t], seen.sum()
        with naive_lds._bits(300):
            H = naive_lds.exact(at(system.obs_cov, t))[np.ix_(seen, seen)]
            centred = naive_lds.exact(Y[t, seen]) - naive_lds.exact(at(system.obs_intercept, t)[seen])
            right = float(naive_lds._log_density(H, centred)[0])
        x, h = frames.x[t, :q], frames.variances[f, :q]
        terms = np.concatenate([np.log(2 * np.pi * h), x**2 / h])
        assert abs(-0.5 * terms.sum() - right) <= 1e-11 * max(np.abs(terms).sum(), 1.0)


def test_noise_of_fewer_sources_than_features_leaves_rows_without_noise():
    for hard, rank in ((noise_of_few_sources, 2), (redundant_and_rounded, 2)):
        system, Y = hard()
        frames = make_frames(system, Y)
        whole = np.flatnonzero(frames.n_seen == system.n_features)
        assert ((frames.variances[whole] > 0).sum(axis=1) == rank).all()
        assert (frames.variances[whole][:, rank:] == 0).all()


def test_rows_that_others_imply_see_nothing():
    """L and Z have 20 bits, so that B Z is zero in exact numbers, and 1e-16 in rounded ones."""
    system, Y = redundant_and_rounded()
    frames = make_frames(system, Y)
    for t in range(len(Y)):
        f = frames.frame[t]
        assert not frames.design[f][2:].any()
        assert not frames.x[t, 2:].any()
    contradicting = Y.copy()
    contradicting[0, 3] += 1e-3
    x = make_frames(system, contradicting).x
    assert abs(x[0, 3]) > 0.9e-3
    assert not x[0, 2]


@given(systems(max_features=3, time_varying=False))
def test_steps_share_a_frame_if_and_only_if_they_have_the_same_pattern(case):
    system, Y = case
    frames = make_frames(system, Y)
    patterns = [tuple(row) for row in np.isnan(Y)]
    assert len(frames.design) == len(set(patterns))
    for t, pattern in enumerate(patterns):
        assert frames.frame[t] == frames.frame[patterns.index(pattern)]
        assert tuple(~frames.seen[frames.frame[t]]) == pattern
    for f, step in enumerate(frames.at):
        assert frames.frame[step] == f
    order = [patterns.index(pattern) for pattern in dict.fromkeys(patterns)]
    assert list(frames.frame[order]) == sorted(frames.frame[order])


def test_intercepts_may_be_given_in_place_of_those_of_the_system():
    system = make(np.eye(2), np.array([[2.0, 1.0], [1.0, 2.0]]), np.eye(2), np.eye(2), obs_intercept=[5.0, 5.0])
    Y = np.arange(6.0).reshape(3, 2)
    other = np.arange(6.0).reshape(3, 2)[::-1] / 2
    frames = make_frames(system, Y, other)
    np.testing.assert_allclose(frames.x, (Y - other) @ frames.transform[0].T, rtol=1e-15)


def test_matrices_that_reach_beyond_the_data_are_cut():
    Z = np.arange(1.0, 11.0).reshape(5, 2, 1)
    system = make(Z, np.eye(2), 0.5, 1.0, obs_intercept=np.ones((5, 2)))
    frames = make_frames(system, np.ones((3, 2)))
    assert frames.design.shape == (3, 2, 1)
    np.testing.assert_array_equal(frames.design, Z[:3])


def test_infinite_observations_are_not_missing():
    """Callers refuse them; here they are at least not dropped in silence."""
    system = make(1.0, 1.0, 0.5, 1.0)
    assert make_frames(system, np.array([[1.0], [np.inf]])).n_seen.tolist() == [1]
