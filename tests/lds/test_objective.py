import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.foundations.observations import read_observations
from statespace.lds.arima_process import ArimaProcess
from statespace.lds.components import Autoregressive, Cycle, Irregular, Level, LocalLinearTrend, Regression, Seasonal
from statespace.lds.composition import Composition
from statespace.lds.free_entries import ESTIMATED, FreeEntries
from statespace.lds.initialization import make_system
from statespace.lds.likelihood import log_likelihood_and_gradient
from statespace.lds.objective import Objective
from statespace.lds.parametrisations import MatrixParametrisation
from statespace.lds.system import TIMED, checked_matrices
from tests.lds.dense_em import draw_data, draw_matrices

seeds = st.integers(0, 2**32 - 1)
COMPOSITIONS = [
    [Level(), Irregular()],
    [LocalLinearTrend(), Seasonal(4), Irregular()],
    [Level(), Cycle(), Irregular()],
    [Level(), Autoregressive(2)],
    [ArimaProcess((0, 1, 1), (0, 1, 1, 4))],
    [ArimaProcess((2, 1, 1), trend="c")],
    [Level(), Regression("states"), Irregular()],
    [Level(), Regression("parameters"), Irregular()],
]


def series(rng, *lengths):
    made = [np.cumsum(rng.standard_normal(n)) for n in lengths]
    for y in made:
        y[1:][rng.random(len(y) - 1) < 0.15] = np.nan
    return made


def agree(objective, fresh, theta):
    value, slope = objective.value_and_slope(theta)
    wanted, by_theta = fresh.value_and_slope(theta)
    assert value == pytest.approx(wanted, rel=1e-12)
    assert slope == pytest.approx(by_theta, rel=1e-9, abs=1e-10 * np.abs(by_theta).max(initial=0.0))


@settings(max_examples=30)
@given(st.sampled_from(COMPOSITIONS), seeds)
def test_what_is_kept_between_two_points_changes_nothing_of_a_composition(parts, seed):
    rng = np.random.default_rng(seed)
    exog = rng.standard_normal((45, 2)) if any(part.takes_exog for part in parts) else None
    data = read_observations(series(rng, 25, 20))
    objective = Objective(Composition(parts, exog), data)
    for _ in range(3):
        theta = rng.uniform(-1.2, 1.2, len(objective.parametrisation.names))
        agree(objective, Objective(Composition(parts, exog), data), theta)


@settings(max_examples=30)
@given(seeds, st.booleans(), st.booleans())
def test_what_is_kept_between_two_points_changes_nothing_of_free_matrices(seed, diagonal, intercepts):
    rng = np.random.default_rng(seed)
    m, p = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    M = draw_matrices(rng, m, p)
    data = read_observations([draw_data(rng, M, int(rng.integers(3, 9))) for _ in range(2)])
    system = make_system(
        checked_matrices(**{name: M[name] for name in TIMED}), M["initial_state"], M["initial_state_cov"]
    )
    if diagonal:
        system = system._replace(obs_cov=system.obs_cov * np.eye(p))
    masks = {name: np.full(M[name].shape, rng.random() < 0.6) for name in ESTIMATED}
    if diagonal:
        masks["obs_cov"] = np.diag(np.full(p, True))
    if not intercepts:
        masks["obs_intercept"][...] = False
    floors = {"obs_cov": np.full(p, 1e-6), "state_cov": np.full(m, 1e-6), "initial_state_cov": np.full(m, 1e-6)}
    made = MatrixParametrisation(system, FreeEntries(masks, floors, "free", False))
    objective = Objective(made, data)
    for _ in range(3):
        theta = made.start() + 0.1 * rng.standard_normal(len(made.names))
        fresh = Objective(MatrixParametrisation(system, FreeEntries(masks, floors, "free", False)), data)
        agree(objective, fresh, theta)


@settings(max_examples=20)
@given(st.sampled_from(COMPOSITIONS), seeds)
def test_derivatives_that_are_not_wanted_are_not_missed(parts, seed):
    rng = np.random.default_rng(seed)
    exog = rng.standard_normal((30, 2)) if any(part.takes_exog for part in parts) else None
    composition = Composition(parts, exog)
    objective = Objective(composition, read_observations(series(rng, 30)[0]))
    theta = rng.uniform(-1.2, 1.2, len(composition.names))
    system = composition.system(theta)
    _, every = log_likelihood_and_gradient(system, objective._frames([system]))
    expected = composition.pullback(theta, every)
    found = objective.value_and_slope(theta)[1]
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-9 * np.abs(expected).max(initial=0.0))


@settings(max_examples=20)
@given(st.sampled_from(["states", "parameters"]), seeds, st.booleans())
def test_each_sequence_has_inputs_of_its_own(coefficients, seed, weighted):
    rng = np.random.default_rng(seed)
    parts = [Level(), Regression(coefficients), Irregular()]
    data, inputs = series(rng, 12, 1, 17), [rng.standard_normal((n, 2)) for n in (12, 1, 17)]
    weights = np.array([2.0, 0.0, 0.5]) if weighted else None
    composition = Composition(parts, np.concatenate(inputs))
    theta = rng.uniform(0.3, 1.2, len(composition.names))
    value, slope = Objective(composition, read_observations(data), weights).value_and_slope(theta)
    alone = []
    for y, x, weight in zip(data, inputs, np.ones(3) if weights is None else weights, strict=True):
        one = Composition(parts, x)
        found = Objective(one, read_observations(y)).value_and_slope(_in_units_of(one, composition, theta))
        alone.append((weight * found[0], weight * found[1] * _unit_ratio(one, composition)))
    assert value == pytest.approx(sum(v for v, _ in alone), rel=1e-10)
    expected = sum(s for _, s in alone)
    assert slope == pytest.approx(expected, rel=1e-7, abs=1e-8 * np.abs(expected).max())


def _unit_ratio(one, other):
    """Coefficients of inputs have coordinates in units of these: d(one's) / d(other's)."""
    ratio = np.ones(len(one.names))
    ratio[one.bounds._relative] = one.bounds._unit / other.bounds._unit
    return ratio


def _in_units_of(one, other, theta):
    return theta * _unit_ratio(one, other)
