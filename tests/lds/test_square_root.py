"""The square-root form against one dense Gaussian in hundreds of digits, and against itself in other units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.lds.dynamics import make_dynamics
from statespace.lds.filtering import filter_covariance
from statespace.lds.frames import make_frames
from statespace.lds.square_root_arrays import gather, make_turns, triangularise, undo_triangle
from statespace.lds.square_root_filter import filter_square_root, semidefinite_rows
from statespace.lds.square_root_smoother import smooth_square_root
from tests.lds.systems import HARD, make, simulated, systems, unit_roots, vague_prior, vague_prior_one_feature
from tests.naive_lds import dense, precise_filter

TIGHT = 1e-9  # of the largest entry of an array


def both(system, Y, start=None):
    frames = make_frames(system, Y)
    return smooth_square_root(system, make_dynamics(system), frames, start)


def close(found, expected, tolerance=TIGHT, name="", size=0.0):
    """The same infinities, and finite entries that differ by `tolerance` of the largest, or of a little of `size`."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, name
    infinite = np.isinf(expected)
    np.testing.assert_array_equal(found[infinite], expected[infinite], err_msg=name)
    largest = np.abs(expected[~infinite]).max(initial=1e-6 * size)
    if largest == 0:  # nothing at all is right: some roundings of numbers of the size that is drawn
        largest = 1e-5
    np.testing.assert_allclose(
        found[~infinite], expected[~infinite], rtol=0, atol=tolerance * largest + 1e-60, err_msg=name
    )


def infinite(finite, diffuse):
    return np.where(diffuse != 0, np.copysign(np.inf, diffuse), finite)


def are_covariances(C):
    """Symmetric to the last bit, and no correlation matrix with an eigenvalue below 0 by more than rounding."""
    np.testing.assert_array_equal(C, C.transpose(0, 2, 1))
    C = C[np.isfinite(C).all(axis=(1, 2))]
    deviations = np.sqrt(np.diagonal(C, axis1=1, axis2=2))
    scale = np.where(deviations > 0, deviations, 1.0)
    correlations = C / scale[:, :, None] / scale[:, None, :]
    assert (np.linalg.eigvalsh(correlations) >= -1e-14 * C.shape[1]).all()


def digits_left(system, Y, filtered, exact):
    """What rounding of P alone does where F is next to nothing beside the terms that it is the square of a sum of."""
    frames = make_frames(system, Y)
    deviations = np.sqrt(np.diagonal(exact.predicted_cov, axis1=1, axis2=2))[: len(Y)]
    size = np.einsum("tij,tj->ti", np.abs(frames.design[frames.frame]), deviations)
    F = filtered.F[: len(Y)]
    lost = np.sqrt(size[filtered.kind[: len(Y)] == 1] ** 2 / F[filtered.kind[: len(Y)] == 1]).max(initial=0.0)
    return max(TIGHT, 1000 * 2.0**-52 * lost)


def agree(system, Y, tolerance=None):
    smoothed, filtered = both(system, Y)
    exact = dense(system, Y)
    n = len(Y)
    if tolerance is None:
        tolerance = digits_left(system, Y, filtered, exact)
    contradicts = (exact.contradiction != 0).any(axis=1)
    impossible = np.isneginf(filtered.steps)
    assert not (impossible & ~contradicts).any()
    close(filtered.steps[~impossible], exact.log_likelihood_steps[~impossible], tolerance, "steps")
    if not contradicts.any():
        assert filtered.steps.sum() == pytest.approx(exact.log_likelihood, rel=tolerance, abs=tolerance)
    diffuse = np.zeros_like(filtered.P)
    for t, A in enumerate([*filtered.loadings, filtered.state.loadings]):
        diffuse[t] = A @ A.T
    assert filtered.n_diffuse_steps == exact.n_diffuse_steps
    assert filtered.n_determined == exact.n_determined
    np.testing.assert_array_equal(np.sort(filtered.kind[:n] > 0, axis=1), np.sort(exact.kept, axis=1))
    for name, found, expected in (
        ("predicted mean", filtered.a, exact.predicted_mean),
        ("predicted cov", filtered.P, exact.predicted_cov),
        ("predicted diffuse cov", diffuse, exact.predicted_diffuse_cov),
        ("filtered mean", filtered.af, exact.filtered_mean),
        ("filtered cov", filtered.Pf[:n], exact.filtered_cov),
        ("mean", smoothed.mean, exact.mean),
        ("cov", smoothed.cov, infinite(exact.cov, exact.diffuse_cov)),
        ("state disturbance", smoothed.state_disturbance, exact.state_disturbance),
        ("state disturbance cov", smoothed.state_disturbance_cov, exact.state_disturbance_cov),
    ):
        close(found, expected, tolerance, name)
    lag_one = np.where(np.isinf(smoothed.lag_one_cov), 0.0, smoothed.lag_one_cov)
    expected = np.where(np.isinf(smoothed.lag_one_cov), 0.0, exact.lag_one_cov)
    close(lag_one, expected, tolerance, "lag one")
    if not exact.diffuse_cov.any():
        assert np.isfinite(smoothed.lag_one_cov).all()
    for C in (filtered.P, filtered.Pf, smoothed.cov, smoothed.state_disturbance_cov):
        are_covariances(C)


# Against the dense law


@given(systems(max_steps=10, max_states=4, max_features=3))
def test_filter_and_smoother_are_the_joint_law_conditioned(case):
    agree(*case)


@pytest.mark.parametrize("case", HARD, ids=lambda case: case.__name__)
def test_hard_cases_are_exact(case):
    agree(*case())


@pytest.mark.parametrize("case", [vague_prior, vague_prior_one_feature], ids=lambda case: case.__name__)
@pytest.mark.parametrize("ratio", [1e4, 1e8, 1e12, 1e15])
def test_a_vague_prior_costs_no_digits(case, ratio):
    agree(*case(ratio))


@pytest.mark.parametrize("noise", [0.0, 1e-30, 1e-16, 1e-12])
def test_small_noise_costs_no_digits(noise):
    T = [[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5]]
    system = make([[1.0, 0.0, 1.0]], noise, T, np.diag([0.0, noise, 1.0]), initialization="diffuse")
    agree(system, simulated(system, 9, start=np.array([1.0, 0.5, 0.0])))


@pytest.mark.parametrize("excess", [1e-6, 1e-9, 1e-12])
def test_nearly_singular_innovations_are_told_from_singular_ones(excess):
    # Two numbers without noise that differ in a direction of which the prior says next to nothing
    root = np.sqrt(excess)
    system = make(
        [[1.0, 0.0], [1.0, root]],
        np.zeros((2, 2)),
        [[0.5, 0.25], [0.125, 0.5]],
        np.eye(2),
        initial_state=[0.0, 0.0],
        initial_state_cov=np.eye(2),
    )
    agree(system, simulated(system, 6), tolerance=4e-16 / root + 1e-12)


@pytest.mark.parametrize(
    ("apart", "scale"), [(1e-3, 1.0), (1e-6, 1.0), (1e-9, 1.0), (1e-6, 2.0**10), (1e-3, 2.0**20), (1e-3, 2.0**27)]
)
def test_inputs_that_are_nearly_collinear_are_told_from_collinear_ones(apart, scale):
    rng = np.random.default_rng(1)
    n, k = 12, 4
    Z = np.ones((n, 1, k))
    Z[:, 0, 1:] = rng.standard_normal((n, k - 1)) * [1 / scale, 1.0, scale]
    Z[:, 0, 2] = Z[:, 0, 1] * scale * (1 + apart * rng.standard_normal(n))
    system = make(Z, 0.25, np.eye(k), np.zeros((k, k)), initialization="diffuse")
    Y = simulated(system, n, start=np.array([1.0, scale, 1.0, 1 / scale]))
    agree(system, Y, tolerance=1e-13 / apart)
    Z[:, 0, 2] = Z[:, 0, 1] * scale
    same = system._replace(design=Z)
    agree(same, Y)
    assert both(same, Y)[1].state.loadings.shape[1] == 1


def test_states_that_forget_their_start_without_noise_are_smoothed_to_the_last_step():
    # Regressions of a state on the next one would multiply rounding by 1 / 0.02 at every step
    rotation = np.array([[0.8, 0.6], [-0.6, 0.8]])
    T = rotation @ np.diag([1.25, 0.02]) @ rotation.T
    system = make([[1.0, 0.5]], 1.0, T, np.zeros((2, 2)), initial_state=[1.0, -1.0], initial_state_cov=np.eye(2))
    agree(system, simulated(system, 20), tolerance=1e-12)


def test_diffuse_directions_that_the_transition_forgets_end_the_diffuse_phase():
    T = np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 1.0, 0.0]])
    system = make([[0.0, 0.0, 1.0]], 0.5, T, np.diag([0.0, 1.0, 1.0]), initialization="diffuse")
    Y = simulated(system, 8, start=np.array([1.0, 2.0, 3.0]))
    Y[:3] = np.nan
    agree(system, Y)
    assert np.isinf(both(system, Y)[0].cov[0]).any()


def test_a_long_gap_leaves_diffuse_directions_that_turn_as_they_are():
    # Bounds of rounding by absolute values would grow as 1.4^n here
    c, s = np.cos(1.0), np.sin(1.0)
    T = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    system = make([[1.0, 0.0, 1.0]], 1.0, T, 0.01 * np.eye(3), initialization="diffuse")
    Y = simulated(system, 330, start=np.array([3.0, 0.0, 1.0]))
    Y[2:320] = np.nan
    smoothed, filtered = both(system, Y)
    assert filtered.n_diffuse_steps == 321
    exact = precise_filter(system, Y)
    close(filtered.steps, exact["log_likelihood_steps"], TIGHT)
    for name in ("predicted", "filtered"):
        mean, C = (filtered.a, filtered.P) if name == "predicted" else (filtered.af, filtered.Pf[:-1])
        first = filtered.n_diffuse_steps
        close(mean[first:], exact[f"{name}_mean"][first:], TIGHT)
        close(C[first:], exact[f"{name}_cov"][first:], TIGHT)
    are_covariances(smoothed.cov)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_digits_last_over_hundreds_of_steps(noise):
    system, _ = unit_roots()
    system = system._replace(obs_cov=np.array([[[noise]]]))
    Y = simulated(system, 400, start=np.array([10.0, 1.0, 2.0, -1.0, 0.5]))
    Y[50:60] = np.nan
    _, filtered = both(system, Y)
    exact = precise_filter(system, Y, bits=2000)
    assert filtered.steps.sum() == pytest.approx(exact["log_likelihood"], rel=1e-12)
    first = filtered.n_diffuse_steps
    close(filtered.a[first:], exact["predicted_mean"][first:], 1e-12)
    close(filtered.P[first:], exact["predicted_cov"][first:], 1e-12)


# Properties


@given(systems(max_steps=8, max_states=3, max_features=3), st.data())
def test_units_change_nothing_but_the_units(case, data):
    system, Y = case
    m, p = system.n_states, system.n_features
    octaves = st.integers(-60, 60).map(float)
    a = 2.0 ** np.array(data.draw(st.lists(octaves, min_size=m, max_size=m)))
    y = 2.0 ** np.array(data.draw(st.lists(octaves, min_size=p, max_size=p)))
    other = system._replace(
        design=system.design * y[:, None] / a,
        obs_intercept=system.obs_intercept * y,
        obs_cov=system.obs_cov * np.outer(y, y),
        transition=system.transition * a[:, None] / a,
        state_intercept=system.state_intercept * a,
        selection=system.selection * a[:, None],
        initial_state=system.initial_state * a,
        initial_state_cov=system.initial_state_cov * np.outer(a, a),
        diffuse_loadings=system.diffuse_loadings * a[:, None],
    )
    smoothed, filtered = both(system, Y)
    smoothed_there, filtered_there = both(other, Y * y)
    np.testing.assert_array_equal(filtered_there.kind, filtered.kind)
    np.testing.assert_array_equal(filtered_there.a, filtered.a * a)
    np.testing.assert_array_equal(filtered_there.P, filtered.P * np.outer(a, a))
    np.testing.assert_array_equal(smoothed_there.mean, smoothed.mean * a)
    np.testing.assert_array_equal(smoothed_there.cov, smoothed.cov * np.outer(a, a))
    np.testing.assert_array_equal(smoothed_there.state_disturbance, smoothed.state_disturbance)


@given(systems(max_steps=8, max_states=3, max_features=2, time_varying=False), st.integers(1, 7))
def test_a_stream_goes_on_where_it_was_cut(case, cut):
    system, Y = case
    dynamics = make_dynamics(system)
    whole = filter_square_root(system, dynamics, make_frames(system, Y))
    first = filter_square_root(system, dynamics, make_frames(system, Y[:cut]))
    if cut >= len(Y):
        return
    rest = filter_square_root(system, dynamics, make_frames(system, Y[cut:]), first.state)
    close(rest.a, whole.a[cut:], TIGHT, size=max(np.abs(whole.a).max(), np.abs(whole.af).max()))
    close(rest.P, whole.P[cut:], TIGHT)
    close(rest.state.loadings @ rest.state.loadings.T, whole.state.loadings @ whole.state.loadings.T, TIGHT)


def test_a_number_that_was_known_is_skipped_and_one_that_contradicts_is_impossible():
    system = make([[1.0], [3.0]], np.zeros((2, 2)), 0.9, 0.0, initial_state=[0.3], initial_state_cov=2.0)
    a = 0.7 * 0.9 ** np.arange(6)
    Y = np.column_stack([a, 3.0 * a])
    _, filtered = both(system, Y)
    np.testing.assert_array_equal(filtered.kind[:6].ravel(), [1] + 11 * [0])
    assert np.isfinite(filtered.steps).all()
    assert not filtered.steps[1:].any()
    assert not filtered.Pf.any()
    Y[4, 1] += 1e-6
    assert np.isneginf(both(system, Y)[1].steps).tolist() == [False] * 4 + [True, False]


def test_a_hundred_thousand_steps_stay_covariances():
    system = make([[1.0, 0.5]], 0.5, [[1.0, 1.0], [0.0, 1.0]], np.diag([0.5, 1e-6]), initialization="diffuse")
    Y = simulated(system, 100_000, start=np.array([1.0, 0.01]))
    Y[40_000:41_000] = np.nan
    smoothed, filtered = both(system, Y)
    for C in (filtered.P, filtered.Pf, smoothed.cov, smoothed.state_disturbance_cov):
        are_covariances(C)
    assert np.isfinite(smoothed.mean).all()
    other = filter_covariance(system, make_dynamics(system), make_frames(system, Y), freeze=False)
    close(filtered.a, other.a)
    close(filtered.P, other.P[other.place])
    assert filtered.steps.sum() == pytest.approx(other.steps.sum(), rel=1e-12)


# Factors


@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 10**6))
def test_rows_of_a_semidefinite_matrix_have_it_as_their_product(m, rank, seed):
    rng = np.random.default_rng(seed)
    L = rng.integers(-4, 5, (m, min(rank, m)))
    units = 2.0 ** rng.integers(-40, 41, m)
    V = (L @ L.T) * np.outer(units, units)
    U = semidefinite_rows(V[None])[0]
    size = np.sqrt(np.outer(np.diag(V), np.diag(V)))
    assert (np.abs(U.T @ U - V) <= 1e-14 * m * size).all()
    assert np.count_nonzero(U.any(axis=1)) == np.linalg.matrix_rank(L @ L.T)


@given(st.integers(1, 6), st.integers(0, 6), st.integers(1, 6), st.integers(0, 10**6))
def test_triangles_have_the_products_of_their_rows_and_are_undone(n_full, n_more, m, seed):
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(n_full + n_more, m)) * 10.0 ** rng.integers(-6, 7, (n_full + n_more, 1))
    B[n_full:] = np.triu(B[n_full:])
    B[rng.random(len(B)) < 0.2] = 0.0
    R, turns = B.copy(), make_turns(1, m, len(B))
    triangularise(R, n_full, n_more, m, 0, turns, np.empty(m))
    np.testing.assert_array_equal(R, np.triu(R))
    np.testing.assert_allclose(R.T @ R, B.T @ B, rtol=0, atol=1e-14 * np.abs(B.T @ B).max())
    C = np.eye(len(B))
    undo_triangle(C, len(B), n_full, n_more, m, 0, turns)
    np.testing.assert_allclose(C @ C.T, np.eye(len(B)), rtol=0, atol=1e-14)
    np.testing.assert_allclose(C @ B, R, rtol=0, atol=1e-13 * np.abs(B).max())


def test_a_combination_of_rows_is_gathered_in_one():
    rng = np.random.default_rng(0)
    B, z = rng.normal(size=(5, 3)), rng.normal(size=3)
    made, u = B.copy(), B @ z
    norm = np.linalg.norm(u[1:4])
    met, _, _ = gather(made, 1, 4, 0, 3, u, np.empty(3))
    np.testing.assert_allclose(made @ z, [B[0] @ z, met, 0.0, 0.0, B[4] @ z], atol=1e-15)
    assert abs(met) == pytest.approx(norm, rel=1e-15)
