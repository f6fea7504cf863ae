import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.datasets import nile

from statespace.lds.model import LinearDynamicalSystem
from statespace.lds.standard_errors import (
    coordinate_covariance,
    delta_method,
    inverse_information,
    jacobian_by_differences,
)
from tests.lds.dense_em import draw_data, draw_matrices

NILE = nile.load_pandas().data["volume"].to_numpy()
seeds = st.integers(0, 2**32 - 1)


def local_level(theta):
    return local_level_in_variances(np.exp(theta))


def local_level_in_variances(theta):
    return {
        "design": np.ones((1, 1)),
        "transition": np.ones((1, 1)),
        "obs_cov": theta[0][None, None],
        "state_cov": theta[1][None, None],
        "initialization": "diffuse",
    }


def _information_of_differences(theta):
    """Exact: the local level's diffuse likelihood is that of the differences of the series, whose law is Gaussian."""
    v, n = np.diff(NILE), len(NILE) - 1
    by = [2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1), np.eye(n)]
    F = theta[0] * by[0] + theta[1] * by[1]
    u, W = np.linalg.solve(F, v), [np.linalg.solve(F, one) for one in by]
    return np.array([[u @ A @ W[j] @ u - 0.5 * np.trace(W[i] @ W[j]) for j in range(2)] for i, A in enumerate(by)])


def _scores_by_complex_steps(theta):
    scores = []
    for k in range(2):
        moved = theta.astype(complex)
        moved[k] += 1e-20j
        H, Q = moved
        a, P, steps = NILE[0] + 0j, H + Q, [0.0]
        for y in NILE[1:]:
            v, F = y - a, P + H
            steps.append((-0.5 * (np.log(2 * np.pi * F) + v**2 / F)).imag / 1e-20)
            a, P = a + P / F * v, P - P**2 / F + Q
        scores.append(steps)
    return np.array(scores).T


def test_standard_errors_and_criteria_of_the_nile():
    model = LinearDynamicalSystem.from_function(local_level_in_variances, [15000.0, 1500.0], ["irregular", "level"])
    model.fit(NILE)
    J, scores = _information_of_differences(model.params_), _scores_by_complex_steps(model.params_)
    S, C = scores.T @ scores, np.linalg.inv(J)
    for kind, wanted in (("observed", C), ("opg", np.linalg.inv(S)), ("robust", C @ S @ C)):
        assert model.covariance(kind) == pytest.approx(wanted, rel=1e-5)
    by_logs = LinearDynamicalSystem.from_function(local_level, [9.5, 7.0]).fit(NILE)
    assert by_logs.standard_errors() * np.exp(by_logs.params_) == pytest.approx(model.standard_errors(), rel=1e-4)
    table = model.summary()
    assert table.n_steps == 99
    assert table.log_likelihood == pytest.approx(-633.4646, abs=1e-4)
    assert table.aic == pytest.approx(2 * 2 + 2 * 633.4646, abs=1e-3)
    assert table.bic == pytest.approx(np.log(99) * 2 + 2 * 633.4646, abs=1e-3)
    assert table.bic == pytest.approx(model.bic(NILE))
    assert table.z == pytest.approx(table.estimates / table.standard_errors)
    assert table.intervals[:, 1] - table.intervals[:, 0] == pytest.approx(2 * 1.959964 * table.standard_errors)
    assert table.converged
    for word in ("irregular", "level", "converged", "bic"):
        assert word in str(table)


def test_a_parameter_that_the_data_say_nothing_of_has_no_standard_error():
    def function(theta):
        return local_level(theta[:2] + 0.0 * theta[2])

    model = LinearDynamicalSystem.from_function(function, [9.0, 7.0, 1.0]).fit(NILE)
    errors = model.standard_errors()
    assert np.isnan(errors[2])
    assert np.isfinite(errors[:2]).all()
    assert "nan" in str(model.summary())


@given(seeds, st.integers(1, 4))
def test_the_information_of_a_normal_sample_gives_its_textbook_covariances(seed, k):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k, k))
    precision = A @ A.T + 0.3 * np.eye(k)
    X = rng.standard_normal((50, k)) @ np.linalg.inv(np.linalg.cholesky(precision))
    theta, units = X.mean(axis=0), np.ones(k)

    def slope(theta):
        return precision @ (X - theta).sum(axis=0)

    def steps(theta):
        return -0.5 * np.einsum("ti,ij,tj->t", X - theta, precision, X - theta)

    scores = (X - theta) @ precision
    J, S = 50 * precision, scores.T @ scores
    for kind, wanted in (
        ("observed", np.linalg.inv(J)),
        ("opg", np.linalg.inv(S)),
        ("robust", np.linalg.inv(J) @ S @ np.linalg.inv(J)),
    ):
        found = coordinate_covariance(kind, theta, units, slope, steps)
        assert np.abs(found - wanted).max() <= 1e-6 * np.abs(wanted).max()


def test_what_the_data_do_not_tell_apart_has_no_variance_and_the_rest_keeps_its_own():
    J = np.array([[2.0, 2.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    found = inverse_information(J, np.ones(4))
    assert np.isnan(np.diagonal(found)[[0, 1, 3]]).all()
    assert found[2, 2] == pytest.approx(0.25)


def test_a_parameter_spoils_only_what_depends_on_it():
    C = np.array([[np.nan, np.nan], [np.nan, 4.0]])
    found = delta_method(C, np.array([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]]))
    assert np.isnan(np.diagonal(found)).tolist() == [True, False, True]
    assert found[1, 1] == 36.0


def test_a_jacobian_by_differences_has_ten_digits():
    theta = np.array([0.3, -2.0])
    found = jacobian_by_differences(lambda x: np.array([np.exp(x[0]) * x[1], np.sin(x[1])]), theta, np.ones(2))
    wanted = [[np.exp(0.3) * -2.0, np.exp(0.3)], [0.0, np.cos(-2.0)]]
    assert found == pytest.approx(np.array(wanted), rel=1e-9, abs=1e-10)


def test_an_identified_system_has_standard_errors_and_an_unidentified_one_says_that_it_has_none():
    rng = np.random.default_rng(0)
    M = draw_matrices(rng, 1, 2)
    Y = draw_data(rng, M | {"obs_intercept": np.zeros(2), "state_intercept": np.zeros(1)}, 400)
    kw = {"initialization": "stationary", "method": "lbfgs", "covariances": "diag"}
    unit = LinearDynamicalSystem(1, init={"state_cov": np.eye(1)}, fixed={"state_cov": True}, **kw).fit(Y)
    errors = dict(zip(unit.summary().names, unit.standard_errors(), strict=True))
    assert all(np.isfinite(list(errors.values())))
    assert abs(unit.transition_[0, 0] - M["transition"][0, 0]) < 4 * errors["transition[0, 0]"]
    free = LinearDynamicalSystem(1, **kw).fit(Y)
    loose = dict(zip(free.summary().names, free.standard_errors(), strict=True))
    assert np.isnan([loose["design[0, 0]"], loose["design[1, 0]"], loose["state_cov[0, 0]"]]).all()
    assert loose["transition[0, 0]"] == pytest.approx(errors["transition[0, 0]"], rel=1e-3)
    assert loose["obs_cov[1, 1]"] == pytest.approx(errors["obs_cov[1, 1]"], rel=1e-3)
    low, high = unit.confidence_intervals(0.5)[0]
    assert high - low == pytest.approx(2 * 0.6744898 * unit.standard_errors()[0])


def test_kinds_and_levels_that_are_none_are_refused():
    model = LinearDynamicalSystem.from_function(local_level, [9.5, 7.0]).fit(NILE)
    with pytest.raises(ValueError, match="kind is 'hessian'"):
        model.standard_errors("hessian")
    with pytest.raises(ValueError, match="level is 95"):
        model.confidence_intervals(95)
