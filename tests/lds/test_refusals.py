"""What cannot be done is said in words: what, where, and what to do."""

import pickle

import numpy as np
import pytest

from statespace import LinearDynamicalSystem
from statespace.datasets import load_nile
from statespace.foundations.estimator import clone
from statespace.lds.diagnostics import heteroskedasticity, jarque_bera, ljung_box

NILE = load_nile().flow
LEVEL = {"design": [[1.0]], "obs_cov": [[15099.0]], "transition": [[1.0]], "state_cov": [[1469.1]]}


def local_level(theta):
    """Of the logarithms of two variances."""
    return LEVEL | {"obs_cov": [[np.exp(theta[0])]], "state_cov": [[np.exp(theta[1])]]}


def its_derivatives(theta):
    changes = {name: np.zeros((1, 1, 2)) for name in ("obs_cov", "state_cov")}
    changes["obs_cov"][0, 0, 0], changes["state_cov"][0, 0, 1] = np.exp(theta)
    return changes


def test_starting_values_that_are_no_numbers():
    with pytest.raises(TypeError, match=r"init\['design'\] is 'a', expected an array of numbers"):
        LinearDynamicalSystem(init={"design": "a"}).fit(NILE)
    held = LinearDynamicalSystem(fixed={"design": False}, initialization="stationary", tol=np.inf).fit(NILE)
    assert held.n_parameters == LinearDynamicalSystem(initialization="stationary", tol=np.inf).fit(NILE).n_parameters


def test_shocks_and_states_that_are_none():
    model = LinearDynamicalSystem.from_matrices(**LEVEL)
    with pytest.raises(TypeError, match="shocks is 'a', expected an array of numbers"):
        model.impulse_response(2, shocks="a")
    with pytest.raises(ValueError, match="shocks has shape"):
        model.impulse_response(2, shocks=1.0)
    with pytest.raises(ValueError, match=r"states\[5, 0\] is missing: log_joint needs every state"):
        model.log_joint(NILE, np.where(np.arange(100) == 5, np.nan, NILE))
    two = LinearDynamicalSystem.from_matrices(np.ones((1, 2)), 1.0, 0.5 * np.eye(2), np.eye(2)).filter(NILE)
    with pytest.raises(ValueError, match=r"state is of 2 states, expected .* of a model with 1 states"):
        model.filter(NILE, state=two.state)


def test_tests_are_of_one_series_of_numbers():
    for test in (ljung_box, jarque_bera, heteroskedasticity):
        with pytest.raises(TypeError, match="x is 'abc', expected a series of numbers"):
            test("abc")
        with pytest.raises(ValueError, match=r"x has shape \(5, 2\), expected one series"):
            test(np.ones((5, 2)))


def test_functions_that_give_no_system():
    model = LinearDynamicalSystem.from_function
    with pytest.raises(ValueError, match="start is 'a', expected a vector of finite numbers"):
        model(local_level, "a")
    with pytest.raises(TypeError, match="the function gave no transition, state_cov: every system has these"):
        model(lambda theta: {"design": [[1.0]], "obs_cov": [[np.exp(theta[0])]]}, [1.0]).fit(NILE)
    with pytest.raises(TypeError, match="the function gave observation_cov; it can give design, "):
        model(lambda theta: local_level(theta) | {"observation_cov": 1.0}, [9.0, 7.0]).fit(NILE)


def test_derivatives_that_do_not_fit_the_matrices():
    model = LinearDynamicalSystem.from_function
    with pytest.raises(TypeError, match="jacobian is 3, expected a function"):
        model(local_level, [9.0, 7.0], jacobian=3)
    with pytest.raises(TypeError, match="jacobian gave list, expected a dict"):
        model(local_level, [9.0, 7.0], jacobian=lambda _: []).fit(NILE)
    with pytest.raises(ValueError, match=r"jacobian gives 'obs_cov' the shape \(1, 1\), expected \(1, 1, 2\)"):
        model(local_level, [9.0, 7.0], jacobian=lambda _: {"obs_cov": np.ones((1, 1))}).fit(NILE)
    with pytest.raises(ValueError, match="jacobian names 'H', and the matrices of the function are design, "):
        model(local_level, [9.0, 7.0], jacobian=lambda _: {"H": np.ones((1, 1, 2))}).fit(NILE)
    right = model(local_level, [9.0, 7.0], jacobian=its_derivatives).fit(NILE)
    assert np.exp(right.params_) == pytest.approx([15098.52, 1469.18], rel=1e-4)


def test_a_fit_of_a_function_is_pickled_copied_and_cloned_and_no_file_keeps_it(tmp_path):
    model = LinearDynamicalSystem.from_function(local_level, [9.0, 7.0], ["noise", "walk"]).fit(NILE)
    again = pickle.loads(pickle.dumps(model))
    assert again.score(NILE) == model.score(NILE)
    assert np.array_equal(again.standard_errors(), model.standard_errors())
    assert str(again.summary()) == str(model.summary())
    fresh = clone(model)
    assert not hasattr(fresh, "params_")
    assert np.array_equal(fresh.fit(NILE).params_, model.params_)
    assert repr(model) == "ParametricModel(parametrisation=FunctionParametrisation(local_level, start=[9. 7.]))"
    with pytest.raises(TypeError, match="or pickle it, if the function belongs to a module"):
        model.save(tmp_path / "model")
    kept = LinearDynamicalSystem.from_matrices(**local_level(model.params_))
    kept.save(tmp_path / "model")
    assert kept.score(NILE) == pytest.approx(model.score(NILE), rel=1e-12)


def test_fits_of_matrices_and_parts_are_pickled_with_what_they_know_of_their_data():
    x = np.sin(np.arange(100.0))
    matrices = LinearDynamicalSystem(method="lbfgs", initialization="stationary", intercepts=True).fit(NILE, exog=x)
    again = pickle.loads(pickle.dumps(matrices))
    assert again.score(NILE, exog=x) == matrices.score(NILE, exog=x)
    np.testing.assert_array_equal(again.standard_errors(), matrices.standard_errors())
    for result in (matrices.filter(NILE, exog=x), matrices.filter(NILE, [60, 40], exog=x)):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(result)).innovations, result.innovations)
    for result in (matrices.smooth(NILE, exog=x), matrices.smooth(NILE, [60, 40], exog=x)):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(result)).obs_disturbance, result.obs_disturbance)
