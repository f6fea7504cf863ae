import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.datasets import nile

from statespace.foundations.em import ConvergenceWarning
from statespace.foundations.observations import read_observations
from statespace.lds.estimation import ParametricModel
from statespace.lds.free_entries import ESTIMATED, FreeEntries
from statespace.lds.function_parametrisation import FunctionParametrisation
from statespace.lds.initialization import make_system
from statespace.lds.model import LinearDynamicalSystem
from statespace.lds.objective import Objective
from statespace.lds.parametrisations import MatrixParametrisation, at_stationary_start
from statespace.lds.system import TIMED, checked_matrices
from tests.lds.dense_em import draw_data, draw_matrices
from tests.lds.dense_em import log_likelihood as dense_log_likelihood

seeds = st.integers(0, 2**32 - 1)
NILE = nile.load_pandas().data["volume"].to_numpy()


def local_level(theta):
    return {
        "design": np.ones((1, 1)),
        "transition": np.ones((1, 1)),
        "obs_cov": np.exp(theta[0])[None, None],
        "state_cov": np.exp(theta[1])[None, None],
        "initialization": "diffuse",
    }


def local_level_in_variances(theta):
    return local_level(np.zeros(2)) | {"obs_cov": theta[0][None, None], "state_cov": theta[1][None, None]}


def slope_along(objective, theta, way, step=1e-5):
    """dL/ds at theta + s way, by central differences and one extrapolation."""
    slopes = [(objective.value(theta + h * way) - objective.value(theta - h * way)) / (2 * h) for h in (step, 2 * step)]
    return (4 * slopes[0] - slopes[1]) / 3


def slopes_by_differences(objective, theta):
    return np.array([slope_along(objective, theta, way) for way in np.eye(len(theta))])


# Nile


def test_the_local_level_of_the_nile_is_that_of_the_literature():
    model = LinearDynamicalSystem.from_function(local_level, np.log([NILE.var(), NILE.var()]), ["irregular", "level"])
    model.fit(NILE)
    assert model.monitor_.reason.startswith("converged")
    assert np.exp(model.params_) == pytest.approx([15098.52, 1469.18], rel=1e-4)  # Durbin and Koopman: 15099, 1469.1
    assert model.score(NILE) == pytest.approx(-633.4646, abs=1e-4)


def test_a_theta_in_the_units_of_the_data_is_climbed_as_well():
    model = LinearDynamicalSystem.from_function(local_level_in_variances, [NILE.var() / 2, NILE.var() / 2]).fit(NILE)
    assert model.params_ == pytest.approx([15098.52, 1469.18], rel=1e-4)


@pytest.mark.parametrize("method", ["em", "lbfgs"])
def test_held_matrices_make_a_local_level_of_the_general_model(method):
    one = np.ones((1, 1))
    model = LinearDynamicalSystem(
        1,
        method=method,
        initialization="diffuse",
        fixed={"design": True, "transition": True},
        init={"design": one, "transition": one},
        n_iter=3000,
        tol=1e-10,
    ).fit(NILE)
    assert [model.obs_cov_[0, 0], model.state_cov_[0, 0]] == pytest.approx([15098.52, 1469.18], rel=1e-4)
    assert model.n_parameters == 2


# Gradients


@settings(max_examples=25)
@given(seeds, st.sampled_from(["free", "stationary", "known"]), st.booleans(), st.booleans())
def test_the_slope_in_free_entries_is_the_likelihoods(seed, initialization, stable, whole):
    rng = np.random.default_rng(seed)
    m, p = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    M = draw_matrices(rng, m, p)
    data = read_observations([draw_data(rng, M, int(rng.integers(3, 9))) for _ in range(2)])
    system = make_system(
        checked_matrices(**{name: M[name] for name in TIMED}), M["initial_state"], M["initial_state_cov"]
    )
    masks = {}
    for name in ESTIMATED:
        shape = M[name].shape
        masks[name] = np.ones(shape, dtype=bool)
        if not whole and not name.endswith("cov"):
            masks[name] = rng.random(shape) < 0.6
        if name.startswith("initial") and initialization != "free":
            masks[name][...] = False
    if stable:
        masks["transition"][...] = True
    floors = {"obs_cov": np.full(p, 1e-6), "state_cov": np.full(m, 1e-6), "initial_state_cov": np.full(m, 1e-6)}
    if initialization == "stationary":
        system = at_stationary_start(system)
    parametrisation = MatrixParametrisation(system, FreeEntries(masks, floors, initialization, stable))
    weights = np.array([1.0, 2.5])
    objective = Objective(parametrisation, data, weights)
    theta = parametrisation.start()
    value, slope = objective.value_and_slope(theta)
    dense = sum(
        w * dense_log_likelihood(M if initialization != "stationary" else _stationary(M), Y)
        for w, Y in zip(weights, objective.sequences, strict=True)
    )
    assert value == pytest.approx(dense, rel=1e-8)
    for way in rng.standard_normal((3, len(theta))):
        along = slope_along(objective, theta, way)
        assert abs(slope @ way - along) <= 1e-6 * max(np.abs(slope).max(), 1.0)
    assert len(parametrisation.names) == len(theta) == len(parametrisation.natural(theta))
    moved = theta + 1e-5
    change = parametrisation.natural(moved) - parametrisation.natural(theta)
    predicted = parametrisation.natural_jacobian(theta + 5e-6) @ (moved - theta)
    assert np.abs(change - predicted).max() <= 1e-7 * np.abs(change).max()


def _stationary(M):
    T, V = M["transition"], M["state_cov"]
    P = np.linalg.solve(np.eye(T.size) - np.kron(T, T), V.ravel()).reshape(T.shape)
    return M | {
        "initial_state": np.linalg.solve(np.eye(len(T)) - T, M["state_intercept"]),
        "initial_state_cov": (P + P.T) / 2,
    }


def _arma(theta):
    """An ARMA(1, 1) around a mean; analytic."""
    phi, psi = np.tanh(theta[0]), theta[1]
    return {
        "design": np.array([[1.0, psi]]),
        "transition": np.array([[phi, 0.0], [1.0, 0.0]]),
        "selection": np.array([[1.0], [0.0]]),
        "state_cov": np.exp(theta[2])[None, None],
        "obs_cov": np.zeros((1, 1)),
        "obs_intercept": theta[3][None],
        "state_intercept": np.array([theta[4], 0.0 * theta[4]]),
    }


def _arma_with_abs(theta):
    return _arma(np.array([theta[0], np.abs(theta[1]), theta[2], theta[3], theta[4]]))


def _arma_jacobian(theta):
    t = np.tanh(theta[0])
    made = {name: np.zeros((*np.shape(value), 5)) for name, value in _arma(theta).items()}
    made["transition"][0, 0, 0] = 1 - t**2
    made["design"][0, 1, 1] = 1.0
    made["state_cov"][0, 0, 2] = np.exp(theta[2])
    made["obs_intercept"][0, 3] = made["state_intercept"][0, 4] = 1.0
    return made


@pytest.mark.parametrize(
    ("function", "jacobian", "complex_steps"),
    [(_arma, None, True), (_arma_with_abs, None, False), (_arma, _arma_jacobian, None)],
)
def test_the_slope_in_a_functions_parameters_is_the_likelihoods(function, jacobian, complex_steps):
    rng = np.random.default_rng(1)
    theta = np.array([0.4, 0.7, 0.2, 1.0, 0.3])
    parametrisation = FunctionParametrisation(function, theta, None, jacobian)
    objective = Objective(parametrisation, read_observations(rng.standard_normal(30).cumsum() * 0.3))
    _, slope = objective.value_and_slope(theta)
    assert parametrisation._complex is complex_steps
    assert slope == pytest.approx(slopes_by_differences(objective, theta), rel=1e-6)


def test_a_start_that_is_partly_diffuse_and_partly_stationary_is_differentiated():
    def function(theta):
        return {
            "design": np.array([[1.0, 1.0]]),
            "transition": np.array([[1.0, 0.0], [0.0, 1.0]]) * np.array([[1.0, 0.0], [0.0, np.tanh(theta[0])]]),
            "state_cov": np.diag([1.0, 1.0]) * np.exp(theta[1]),
            "obs_cov": np.exp(theta[2])[None, None],
            "diffuse": np.array([True, False]),
        }

    theta = np.array([0.8, 0.1, -0.3])
    objective = Objective(FunctionParametrisation(function, theta), read_observations(NILE[:40] / 100))
    assert objective.value_and_slope(theta)[1] == pytest.approx(slopes_by_differences(objective, theta), rel=1e-5)


# Climbing


def test_units_change_nothing_but_the_units():
    rng = np.random.default_rng(0)
    M = draw_matrices(rng, 2, 2)
    Y = draw_data(rng, M, 80)
    unit = np.array([1e6, 1e-6])
    kw = {"method": "lbfgs", "initialization": "stationary", "random_state": 0}
    plain, scaled = LinearDynamicalSystem(2, **kw).fit(Y), LinearDynamicalSystem(2, **kw).fit(Y * unit)
    assert scaled.obs_cov_ / np.outer(unit, unit) == pytest.approx(plain.obs_cov_, rel=1e-3)
    jacobian = (~np.isnan(Y)).sum(axis=0) @ np.log(unit)
    assert scaled.score(Y * unit) + jacobian == pytest.approx(plain.score(Y), abs=1e-6)


def test_em_and_the_gradient_climb_to_the_same_maximum():
    rng = np.random.default_rng(4)
    M = draw_matrices(rng, 1, 2)
    Y = draw_data(rng, M | {"obs_intercept": np.zeros(2), "state_intercept": np.zeros(1)}, 120)
    kw = {"initialization": "stationary", "n_iter": 3000}
    em = LinearDynamicalSystem(1, tol=1e-9, **kw).fit(Y)
    gradient = LinearDynamicalSystem(1, method="lbfgs", **kw).fit(Y)
    assert em.score(Y) == pytest.approx(gradient.score(Y), abs=1e-5)
    assert em.transition_ == pytest.approx(gradient.transition_, abs=1e-3)


@pytest.mark.parametrize("covariances", ["full", "diag"])
def test_leaps_of_em_end_at_the_same_maximum_in_fewer_steps_and_never_fall(covariances):
    rng = np.random.default_rng(1)
    T = np.linalg.qr(rng.standard_normal((2, 2)))[0] * 0.95
    Z, a, Y = rng.standard_normal((3, 2)), np.zeros(2), np.empty((100, 3))
    for t in range(100):
        Y[t] = Z @ a + 0.05 * rng.standard_normal(3)  # of small noise single steps are short
        a = T @ a + rng.standard_normal(2)
    Y[10:14, 1] = np.nan
    kw = {"covariances": covariances, "initialization": "stationary", "n_iter": 5000, "tol": 1e-4}
    plain = LinearDynamicalSystem(2, **kw).fit(Y)
    leaps = LinearDynamicalSystem(2, acceleration="squarem", **kw).fit(Y)
    assert leaps.monitor_.reason.startswith("converged")
    assert leaps.score(Y) >= plain.score(Y) - 1e-2
    assert leaps.monitor_.iter < plain.monitor_.iter / 2
    assert (np.diff(leaps.monitor_.history) >= -1e-8).all()


def test_what_acceleration_cannot_do_is_said():
    with pytest.raises(ValueError, match="acceleration is 'squarem', of method='em', and method is 'lbfgs'"):
        LinearDynamicalSystem(method="lbfgs", acceleration="squarem").fit(NILE)
    with pytest.raises(ValueError, match="acceleration is 'anderson', expected"):
        LinearDynamicalSystem(acceleration="anderson").fit(NILE)


def test_a_fit_that_is_stopped_says_so():
    model = LinearDynamicalSystem.from_function(local_level, [3.0, 3.0], n_iter=2)
    with pytest.warns(ConvergenceWarning, match="n_iter = 2"):
        model.fit(NILE)
    assert not model.summary().converged
    assert "not converged" in str(model.summary())


def test_what_cannot_be_fitted_is_refused_in_words():
    with pytest.raises(TypeError, match="lacks names"):
        ParametricModel(object()).fit(NILE)
    with pytest.raises(ValueError, match="takes no exog"):
        LinearDynamicalSystem.from_function(local_level, [9.0, 7.0]).fit(NILE, exog=NILE)
    with pytest.raises(ValueError, match="every value is missing"):
        LinearDynamicalSystem.from_function(local_level, [9.0, 7.0]).fit(np.full(5, np.nan))
    with pytest.raises(TypeError, match="the function gave list"):
        LinearDynamicalSystem.from_function(lambda theta: [1], [9.0]).fit(NILE)
    with pytest.raises(TypeError, match="function is 3"):
        LinearDynamicalSystem.from_function(3, [9.0])
    with pytest.raises(ValueError, match="2 names"):
        LinearDynamicalSystem.from_function(local_level, [9.0], ["a", "b"])


def test_a_function_of_yours_is_saved_by_no_file(tmp_path):
    model = LinearDynamicalSystem.from_function(local_level, [9.5, 7.0]).fit(NILE)
    with pytest.raises(TypeError, match="no file keeps"):
        model.save(tmp_path / "model")


def test_sequences_share_their_parameters_and_count_by_their_weights():
    parts = [NILE[:60], NILE[60:]]
    weighted = LinearDynamicalSystem.from_function(local_level, [9.5, 7.0]).fit(parts, sample_weight=[2, 1])
    twice = LinearDynamicalSystem.from_function(local_level, [9.5, 7.0]).fit([parts[0], *parts])
    flat = LinearDynamicalSystem.from_function(local_level, [9.5, 7.0]).fit(
        np.concatenate([parts[0], *parts]), [60, 60, 40]
    )
    assert weighted.params_ == pytest.approx(twice.params_, rel=1e-5)
    assert flat.params_ == pytest.approx(twice.params_, rel=1e-6)
    assert weighted.standard_errors("robust") == pytest.approx(twice.standard_errors("robust"), rel=1e-3)
