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
        start = identify([draw_data(rng, M, n, missing=0.0)], np.ones(1), m, centre=False)[-1]
        wanted = autocovariances(M["design"], M["transition"], M["state_cov"], 5)
        found = autocovariances(start.design, start.transition, start.state_cov, 5)
        errors.append(np.abs(found - wanted).max() / np.abs(wanted).max())
    assert errors[1] < 0.12
    poles, true = (np.sort_complex(np.linalg.eigvals(T)) for T in (start.transition, M["transition"]))
    assert np.abs(poles - true).max() < 0.12


def oscillating(rng, m, p):
    """Pairs of states that turn, with the radius 0.95."""
    T = 0.95 * np.eye(m)
    for i in range(0, m - 1, 2):
        w = rng.uniform(0.2, 1.5)
        T[i : i + 2, i : i + 2] = 0.95 * np.array([[np.cos(w), np.sin(w)], [-np.sin(w), np.cos(w)]])
    M = centred(rng, m, p)
    return M | {"transition": T, "state_cov": (1 - 0.95**2) * np.eye(m), "obs_cov": 0.5 * np.eye(p)}


@pytest.mark.parametrize(("m", "p", "seed"), [(4, 2, 0), (4, 6, 1), (6, 3, 2), (3, 1, 3)])
def test_em_from_it_begins_at_the_likelihood_of_the_truth_and_ends_higher_than_from_noise(m, p, seed):
    rng = np.random.default_rng(seed)
    M = oscillating(rng, m, p)
    Y = draw_data(rng, M, 600, missing=0.05)
    names = ("design", "obs_cov", "transition", "state_cov")
    truth = LinearDynamicalSystem.from_matrices(*[M[name] for name in names]).score(Y)
    identified = list(LinearDynamicalSystem(m, initialization="stationary", n_iter=60).fit(Y).monitor_.history)
    drawn = {"design": rng.standard_normal((p, m)), "transition": 0.5 * np.eye(m)}
    drawn |= {"state_cov": np.eye(m), "obs_cov": np.eye(p)}
    blind = LinearDynamicalSystem(m, initialization="stationary", init=drawn, n_iter=60).fit(Y).monitor_.history
    reached, of_blind = (next((k for k, value in enumerate(one) if value > truth), 1000) for one in (identified, blind))
    assert reached < 20
    assert of_blind > 2 * reached
    assert identified[-1] > blind[-1] - 0.05


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
    for start in identify(sequences, rng.uniform(0.1, 2, len(sequences)), m, centre=bool(seed % 2)):
        assert start.design.shape == (p, m)
        assert all(np.isfinite(value).all() for value in start)
        for cov in (start.state_cov, start.obs_cov):
            unit = np.sqrt(np.diagonal(cov))
            assert np.array_equal(cov, cov.T)
            assert np.linalg.eigvalsh(cov / np.outer(unit, unit))[0] > 0


def test_units_of_the_features_change_nothing_but_the_units():
    rng = np.random.default_rng(2)
    Y, unit = draw_data(rng, centred(rng, 2, 3), 200, missing=0.0), np.array([1e12, 1.0, 1e-12])
    plain, scaled = identify([Y], np.ones(1), 2, centre=True)[0], identify([Y * unit], np.ones(1), 2, centre=True)[0]
    assert scaled.transition == pytest.approx(plain.transition, rel=1e-6)
    assert scaled.design / unit[:, None] == pytest.approx(plain.design, rel=1e-6)
    assert scaled.obs_cov / np.outer(unit, unit) == pytest.approx(plain.obs_cov, rel=1e-6)


@pytest.mark.parametrize("n", [4, 80])
def test_a_weight_of_two_is_a_sequence_twice(n):
    rng = np.random.default_rng(5)
    a, b = (draw_data(rng, centred(np.random.default_rng(1), 2, 2), n, missing=0.0) for _ in range(2))
    weighted = identify([a, b], np.array([2.0, 1.0]), 2, centre=True)
    twice = identify([a, a, b], np.ones(3), 2, centre=True)
    for one, other in zip(weighted, twice, strict=True):
        assert np.linalg.eigvals(one.transition) == pytest.approx(np.linalg.eigvals(other.transition), rel=1e-6)
        assert one.obs_cov == pytest.approx(other.obs_cov, rel=1e-6, abs=1e-9)
