import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.lds.expectation_maximisation import expect, improve
from statespace.lds.frames import make_frames
from statespace.lds.free_entries import ESTIMATED, FreeEntries
from statespace.lds.held_entries import covariance_step, regression
from statespace.lds.initialization import make_system
from statespace.lds.likelihood import log_likelihood
from statespace.lds.panel_expectations import expect_panel, panel_log_likelihood
from statespace.lds.parametrisations import at_stationary_start
from statespace.lds.system import TIMED, checked_matrices
from tests.lds.dense_em import draw_data, draw_matrices, em_step, moments
from tests.lds.dense_em import log_likelihood as dense_log_likelihood

seeds = st.integers(0, 2**32 - 1)


def system_of(M):
    matrices = checked_matrices(**{name: M[name] for name in TIMED})
    return make_system(matrices, M["initial_state"], M["initial_state_cov"])


def matrices_of(system):
    return {name: getattr(system, name) if name.startswith("initial") else getattr(system, name)[0] for name in M_NAMES}


M_NAMES = (*TIMED, "initial_state", "initial_state_cov")


def everything_free(system, initialization="free", **changed):
    masks = {}
    for name in ESTIMATED:
        value = getattr(system, name)
        shape = value.shape if name.startswith("initial") else value.shape[1:]
        masks[name] = np.full(shape, initialization == "free" or not name.startswith("initial"))
    masks |= changed
    sizes = {"obs_cov": system.n_features, "state_cov": system.n_disturbances, "initial_state_cov": system.n_states}
    return FreeEntries(masks, {name: np.full(q, 1e-12) for name, q in sizes.items()}, initialization, False)


def expected(system, sequences, weights=None):
    return expect(system, [make_frames(system, Y) for Y in sequences], weights)


def draw(seed, r=None):
    rng = np.random.default_rng(seed)
    m, p = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    M = draw_matrices(rng, m, p, None if r is None else min(r, m))
    sequences = [draw_data(rng, M, int(rng.integers(m + 4, 16))) for _ in range(int(rng.integers(2, 5)))]
    return rng, draw_matrices(rng, m, p, None if r is None else min(r, m)), sequences


def close(a, b, tolerance=1e-9):
    assert np.abs(np.asarray(a) - b).max() <= tolerance * np.abs(b).max()


@given(seeds)
def test_a_step_is_shumway_and_stoffers_on_partly_missing_data(seed):
    rng, M, sequences = draw(seed)
    weights = rng.uniform(0.1, 3.0, len(sequences)) if seed % 2 else None
    system = system_of(M)
    found = matrices_of(improve(system, expected(system, sequences, weights), everything_free(system)))
    wanted = em_step(M, sequences, weights)
    for name in wanted:
        close(found[name], wanted[name], 1e-8)


@given(seeds)
def test_the_expectations_of_the_gradient_are_those_of_the_joint_law(seed):
    _, M, sequences = draw(seed)
    system, E = system_of(M), moments(M, sequences)
    got = expected(system, sequences)
    close(got.states, E["aa"])
    close(got.moved, E["moved"])
    assert got.n_steps == E["steps"] == sum(map(len, sequences))
    total = sum(dense_log_likelihood(M, Y) for Y in sequences)
    assert got.log_likelihood == pytest.approx(total, rel=1e-10)


def random_masks(rng, system):
    masks = {}
    for name in ESTIMATED:
        value = getattr(system, name)
        shape = value.shape if name.startswith("initial") else value.shape[1:]
        free = rng.random(shape) < 0.6
        masks[name] = free & free.T if name.endswith("cov") else free
    return masks


@given(seeds)
def test_no_step_lowers_the_likelihood_whatever_is_held(seed):
    rng, M, sequences = draw(seed, r=int(seed % 3) + 1)
    if seed % 5 == 0:
        M["obs_cov"][...] = np.diag(np.diagonal(M["obs_cov"]))
        M["obs_cov"][0, 0] = 0.0  # a feature without noise
    system = system_of(M)
    free = everything_free(system, **random_masks(rng, system))
    if seed % 5 == 0:
        free.masks["obs_cov"][0] = free.masks["obs_cov"][:, 0] = False
    before = None
    for _ in range(6):
        E = expected(system, sequences)
        if before is not None:
            assert E.log_likelihood >= before - 1e-9 * max(1.0, abs(before))
        before = E.log_likelihood
        moved = improve(system, E, free)
        for name in ESTIMATED:
            old, new = getattr(system, name), getattr(moved, name)
            held = ~free.masks[name] if name.startswith("initial") else ~free.masks[name][None]
            assert np.allclose(old[held], new[held], rtol=1e-9, atol=1e-12)
        for name in ("obs_cov", "state_cov", "initial_state_cov"):
            cov = getattr(moved, name) if name.startswith("initial") else getattr(moved, name)[0]
            assert np.array_equal(cov, cov.T)
            assert np.linalg.eigvalsh(cov)[0] >= -1e-12 * np.abs(cov).max()
        system = moved


@given(seeds)
def test_no_step_from_a_stationary_start_lowers_the_likelihood(seed):
    rng, M, sequences = draw(seed)
    system = at_stationary_start(system_of(M))
    changed = {} if seed % 2 else {"transition": rng.random(M["transition"].shape) < 0.5}
    free = everything_free(system, "stationary", **changed)

    def value(system):
        return log_likelihood(system, [make_frames(system, Y) for Y in sequences])

    before = -np.inf
    for _ in range(6):
        E = expected(system, sequences)
        assert E.log_likelihood >= before - 1e-9 * max(1.0, abs(before))
        before = E.log_likelihood
        system = improve(system, E, free, value)
        T, P = system.transition[0], system.initial_state_cov
        assert np.abs(np.linalg.eigvals(T)).max() < 1
        close(T @ P @ T.T + system.disturbance_cov[0], P, 1e-8)


@given(seeds, st.integers(1, 4), st.integers(1, 4))
def test_a_held_regression_solves_the_generalised_least_squares_problem(seed, q, k):
    rng = np.random.default_rng(seed)
    a, e = rng.standard_normal((30, k)), rng.standard_normal((30, q)) @ rng.standard_normal((q, q))
    e += a @ rng.standard_normal((k, q))
    A = rng.standard_normal((q, q))
    cov, held = A @ A.T + 0.2 * np.eye(q), rng.random((q, k)) < 0.4
    found = regression(e.T @ a, a.T @ a, cov, np.eye(q), held)
    free = np.flatnonzero(~held.ravel())
    precision = np.linalg.inv(cov)
    normal = np.kron(precision, a.T @ a)[np.ix_(free, free)]
    wanted = np.zeros(q * k)
    wanted[free] = np.linalg.solve(normal, (precision @ e.T @ a).ravel()[free])
    assert np.abs(found.ravel() - wanted).max() <= 1e-9 * max(np.abs(wanted).max(), 1e-300)


def test_a_regression_through_a_selection_moves_within_it():
    rng = np.random.default_rng(3)
    a, e = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    R, cov = np.array([[1.0, 0.5], [0.0, 1.0], [0.0, 0.0]]), np.array([[1.0, 0.3], [0.3, 0.5]])
    held = np.zeros((3, 3), dtype=bool)
    held[0, 1] = held[1, 2] = True
    B = regression(e.T @ a, a.T @ a, cov, R, held)
    step = R @ B
    assert np.abs(step[held]).max() < 1e-12
    assert np.abs(step[2]).max() == 0

    def loss(B):
        left = e - a @ B.T
        return np.trace(np.linalg.solve(cov, left.T @ left))

    rows = np.kron(R, np.eye(3))[held.ravel()]
    ways = np.linalg.svd(rows)[2][2:]
    for way in ways:  # nothing is gained in any direction that is left
        assert loss(B) <= min(loss(B + s * way.reshape(2, 3)) for s in (1e-3, -1e-3))


@given(seeds, st.integers(2, 4))
def test_a_covariance_with_held_entries_is_where_the_slope_of_the_free_ones_is_nothing(seed, q):
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((q, q)), rng.standard_normal((q, q))
    S, cov = A @ A.T + 0.3 * np.eye(q), B @ B.T + np.eye(q)
    free = rng.random((q, q)) < 0.5
    free = free & free.T
    found = covariance_step(S, cov, free, np.full(q, 1e-9))
    assert np.array_equal(found[~free], cov[~free])

    def value(C):
        return -np.linalg.slogdet(C)[1] - np.trace(np.linalg.solve(C, S))

    assert value(found) >= value(cov) - 1e-12 * abs(value(cov))
    precision = np.linalg.inv(found)
    slope = precision @ (S - found) @ precision
    if free.any():
        assert np.abs(slope[free]).max() <= 1e-5 * np.abs(precision).max()


@given(seed=st.integers(0, 2**32 - 1), weighted=st.booleans(), gaps=st.booleans())
@settings(max_examples=15)
def test_sequences_that_share_gains_expect_what_each_expects_alone(seed, weighted, gaps):
    rng = np.random.default_rng(seed)
    system = system_of(draw_matrices(rng, 2, 2))
    lengths = [6] * 5 + [9] * 4 + [3]
    sequences = [rng.normal(size=(n, 2)) for n in lengths]
    if gaps:
        sequences[0][2, 0] = sequences[7][1] = np.nan
        for Y in sequences[1:5]:
            Y[4, 1] = np.nan
    weights = np.where(np.arange(10) == 2, 0.0, rng.uniform(0.1, 3.0, 10)) if weighted else None
    alone = expected(system, sequences, weights)
    offsets = np.cumsum([0, *lengths])
    together = expect_panel(system, make_frames(system, np.concatenate(sequences)), offsets, weights)
    assert together.log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-10)
    for name in ("states", "moved", "n_sequences", "n_steps"):
        wanted = getattr(alone, name)
        np.testing.assert_allclose(getattr(together, name), wanted, atol=1e-10 * np.abs(wanted).max())
    for name in (*TIMED, "initial_state", "initial_state_cov"):
        wanted = getattr(alone.gradient, name)
        np.testing.assert_allclose(getattr(together.gradient, name), wanted, atol=1e-9 * max(np.abs(wanted).max(), 1.0))
    positive = np.ones(10) if weights is None else weights[weights > 0]
    used = sequences if weights is None else [Y for Y, w in zip(sequences, weights, strict=True) if w > 0]
    total = panel_log_likelihood(system, np.concatenate(used), np.cumsum([0, *map(len, used)]), positive)
    assert total == pytest.approx(alone.log_likelihood, rel=1e-10)
