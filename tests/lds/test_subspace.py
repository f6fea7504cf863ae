import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.lds.model import LinearDynamicalSystem
from statespace.lds.subspace import identify
from tests.lds.dense_em import draw_data, draw_matrices

pytestmark = pytest.mark.filterwarnings("ignore::statespace.foundations.em.ConvergenceWarning")


def centred(rng, m, p):
    M = draw_matrices(rng, m, p)
    return M | {"obs_intercept": np.zeros(p), "state_intercept": np.zeros(m)}


def autocovariances(Z, T, Q, lags):
    P = np.linalg.solve(np.eye(T.size) - np.kron(T, T), Q.ravel()).reshape(T.shape)
    return np.array([Z @ np.linalg.matrix_power(T, k) @ P @ Z.T for k in range(1, lags)])


@pytest.mark.parametrize(("m", "p"), [(1, 1), (2, 3), (4, 3)])
def test_poles_and_autocovariances_of_a_system_are_found_to_sampling_error(m, p):
    rng = np.random.default_rng(m + 10 * p)
    M = centred(rng, m, p)
    errors = []
    for n in (1000, 16000):
        start = identify([draw_data(rng, M, n, missing=0.0)], m, centre=False)[-1]
        wanted = autocovariances(M["design"], M["transition"], M["state_cov"], 5)
        found = autocovariances(start.design, start.transition, start.state_cov, 5)
        errors.append(np.abs(found - wanted).max() / np.abs(wanted).max())
    assert errors[1] < 0.12
    poles, true = (np.sort_complex(np.linalg.eigvals(T)) for T in (start.transition, M["transition"]))
    assert np.abs(poles - true).max() < 0.12


@pytest.mark.parametrize("seed", range(3))
def test_em_from_it_needs_fewer_iterations_than_from_random_values(seed):
    rng = np.random.default_rng(seed)
    M = centred(rng, 3, 4)
    Y = draw_data(rng, M, 300, missing=0.05)
    identified = LinearDynamicalSystem(3, initialization="stationary", n_iter=25).fit(Y)
    drawn = {
        "design": rng.standard_normal((4, 3)),
        "transition": 0.5 * np.eye(3),
        "state_cov": np.eye(3),
        "obs_cov": np.eye(4),
    }
    blind = LinearDynamicalSystem(3, initialization="stationary", init=drawn, n_iter=100).fit(Y)
    first, last = identified.monitor_.history[0], identified.monitor_.history[-1]
    begun = list(blind.monitor_.history)
    assert first > begun[0] + 100
    assert last > begun[50] - 0.5  # 25 iterations are worth 50 from noise, or more


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 4), st.integers(1, 5))
def test_any_data_have_a_start(seed, n, p, m):
    rng = np.random.default_rng(seed)
    sequences = [rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-9, 9, p) for _ in range(int(rng.integers(1, 4)))]
    if seed % 3 == 0:
        for Y in sequences:
            Y[rng.random(Y.shape) < 0.5] = np.nan
    if seed % 4 == 0:
        for Y in sequences:
            Y[:, 0] = seed % 5
    for start in identify(sequences, m, centre=bool(seed % 2)):
        assert start.design.shape == (p, m)
        assert all(np.isfinite(value).all() for value in start)
        for cov in (start.state_cov, start.obs_cov):
            unit = np.sqrt(np.diagonal(cov))
            assert np.array_equal(cov, cov.T)
            assert np.linalg.eigvalsh(cov / np.outer(unit, unit))[0] > 0


def test_units_of_the_features_change_nothing_but_the_units():
    rng = np.random.default_rng(2)
    Y, unit = draw_data(rng, centred(rng, 2, 3), 200, missing=0.0), np.array([1e12, 1.0, 1e-12])
    plain, scaled = identify([Y], 2, centre=True)[0], identify([Y * unit], 2, centre=True)[0]
    assert scaled.transition == pytest.approx(plain.transition, rel=1e-6)
    assert scaled.design / unit[:, None] == pytest.approx(plain.design, rel=1e-6)
    assert scaled.obs_cov / np.outer(unit, unit) == pytest.approx(plain.obs_cov, rel=1e-6)
