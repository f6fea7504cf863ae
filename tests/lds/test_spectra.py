import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.lds.arima_process import ArimaProcess
from statespace.lds.components import Autoregressive, Cycle, Irregular, Level, LocalLinearTrend, Seasonal, SmoothTrend
from statespace.lds.composition import Composition
from statespace.lds.spectra import density, frequencies_for, information, scored, spectrum_by_differences

seeds = st.integers(0, 2**32 - 1)
parts = st.sampled_from(
    [
        Level(),
        Level(stochastic=False),
        LocalLinearTrend(),
        SmoothTrend(),
        Seasonal(4),
        Seasonal(5, "trigonometric"),
        Seasonal(7, "trigonometric", harmonics=2),
        Autoregressive(2),
        Irregular(),
        ArimaProcess((0, 1, 1), (0, 1, 1, 3)),
        ArimaProcess((2, 0, 1)),
        ArimaProcess((1, 1, 1), (1, 0, 1, 2), "c"),
        ArimaProcess((0, 1, 2), trend="t"),
    ]
)


@given(parts, seeds)
def test_densities_of_parts_are_those_of_their_matrices(part, seed):
    composition = Composition([part] if part.n_states else [part, Level(stochastic=False)])
    theta = np.random.default_rng(seed).uniform(-1.2, 1.2, len(composition.names))
    values = composition.natural(theta)[composition.own_values(0)]
    frequencies = frequencies_for([part], 60)
    found, slopes = part.spectrum(values, frequencies)
    expected, differences = spectrum_by_differences(part, values, frequencies)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())
    assert slopes.shape == differences.shape == (len(values), len(frequencies))
    np.testing.assert_allclose(slopes, differences, rtol=1e-5, atol=1e-6 * np.abs(differences).max(initial=0.0))


def test_the_information_of_textbook_processes_is_theirs():
    phi, sigma2, n = 0.6, 2.5, 1000
    part = Autoregressive(1)
    found = information(*density([part], [np.array([sigma2, phi])], frequencies_for([part], n)), n)
    wanted = np.diag([n / (2 * sigma2**2), n / (1 - phi**2)])  # Box and Jenkins (1976), section 7.2
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * n)


def test_the_information_of_a_local_level_is_that_of_its_differences():
    n, values = 400, np.array([0.3, 1.2])
    by = [np.eye(n), 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)]
    V = values[0] * by[0] + values[1] * by[1]
    W = [np.linalg.solve(V, one) for one in by]
    exact = np.array([[0.5 * np.trace(a @ b) for b in W] for a in W])
    components = [Level(), Irregular()]
    found = information(*density(components, [values[:1], values[1:]], frequencies_for(components, n)), n)
    np.testing.assert_allclose(found, exact, rtol=0.02)


def test_what_has_no_density_has_no_information():
    assert density([Cycle(), ArimaProcess((0, 1, 1), (0, 1, 1, 12))], [np.array([1.0, 0.5, 0.9])] * 2, np.ones(3))
    assert information(np.zeros(3), np.ones((1, 3)), 10) is None

    class Wide(Cycle):
        n_states = 9

    assert density([Wide()], [np.array([1.0, 0.5, 0.9])], np.ones(3)) is None


@settings(max_examples=60)
@given(seeds, st.integers(1, 4))
def test_scoring_goes_to_the_best_of_all_variances(seed, k):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k, k + 1)) * 10.0 ** rng.uniform(-3, 3, (k, 1))
    J, values = A @ A.T, 10.0 ** rng.uniform(-2, 2, k)
    slope = J @ (rng.standard_normal(k) * values)
    root = np.sqrt(np.diagonal(J))
    J = J + 1e-9 * np.diag(root**2)

    def gain(new):
        return slope @ (new - values) - 0.5 * (new - values) @ J @ (new - values)

    best = -np.inf, values
    for free in itertools.product([False, True], repeat=k):  # all faces of the positive orthant
        rows, new = np.flatnonzero(free), np.zeros(k)
        if rows.size:
            new[rows] = np.linalg.solve(J[np.ix_(rows, rows)], (slope + J @ values)[rows])
        if (new >= 0).all() and gain(new) > best[0]:
            best = gain(new), new
    found, promised = scored(values, slope, A @ A.T)
    assert (found >= 1e-2 * values).all()
    wanted = np.maximum(best[1], 1e-2 * values)
    np.testing.assert_allclose(found * root, wanted * root, rtol=1e-5, atol=1e-6 * (values * root).max())
    assert promised == pytest.approx(0.5 * slope @ (wanted - values), rel=1e-4, abs=1e-6 * (np.abs(slope) @ values))
