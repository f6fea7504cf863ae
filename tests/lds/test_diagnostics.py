import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.stats.stattools import jarque_bera as peer_jarque_bera
from statsmodels.tsa.stattools import breakvar_heteroskedasticity_test

from statespace.lds.diagnostics import diagnostics, heteroskedasticity, jarque_bera, ljung_box, standardised_innovations
from statespace.lds.results import FilterResult, State


def series(seed, n=90):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n) * rng.uniform(0.5, 2, n) + rng.uniform(-0.3, 0.3)


@given(st.integers(0, 10**6), st.integers(10, 200), st.integers(0, 3))
def test_statistics_are_those_of_statsmodels(seed, n, n_parameters):
    x = series(seed, n)
    found = ljung_box(x, 8, n_parameters)
    expected = acorr_ljungbox(x, lags=8, model_df=n_parameters)
    np.testing.assert_allclose(found.statistic, expected["lb_stat"], rtol=1e-9)
    np.testing.assert_allclose(found.p_value, expected["lb_pvalue"], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(jarque_bera(x), peer_jarque_bera(x), rtol=1e-9)
    peer = breakvar_heteroskedasticity_test(x, subset_length=round(n / 3))
    np.testing.assert_allclose(heteroskedasticity(x), peer, rtol=1e-9)


@given(st.integers(0, 10**6))
def test_missing_observations_leave_the_variance_ratio_of_statsmodels(seed):
    x = series(seed)
    x[[5, 6, 20, 70, 71, 72, 88]] = np.nan
    np.testing.assert_allclose(heteroskedasticity(x), breakvar_heteroskedasticity_test(x, subset_length=30), rtol=1e-9)
    np.testing.assert_allclose(jarque_bera(x), peer_jarque_bera(x[~np.isnan(x)]), rtol=1e-9)


def test_missing_observations_keep_the_level_of_the_ljung_box_test():
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(2000):
        x = rng.standard_normal(120)
        x[rng.random(120) < 0.3] = np.nan
        rejected += ljung_box(x, 6).p_value[-1] < 0.05
    assert 0.035 < rejected / 2000 < 0.075


@given(st.integers(0, 1000), st.floats(1e-8, 1e8))
def test_no_statistic_depends_on_the_units(seed, unit):
    x = series(seed)
    for test in (ljung_box, jarque_bera, heteroskedasticity):
        for a, b in zip(test(x), test(unit * x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def filter_result(innovations, cov, n_diffuse_steps=0):
    n = len(innovations)
    nothing = np.zeros((n, 1))
    state = State(np.zeros(1), np.zeros((1, 1)), np.zeros((1, 0)))
    values = dict.fromkeys(FilterResult.__dataclass_fields__, nothing)
    values |= {"moved": lambda: (innovations, cov), "state": state, "n_diffuse_steps": n_diffuse_steps}
    return FilterResult(**values)


def test_standardised_innovations_are_white():
    rng = np.random.default_rng(0)
    covs = np.array([(lambda A: A @ A.T)(rng.standard_normal((3, 3))) for _ in range(4000)])
    v = np.einsum("tij,tj->ti", np.linalg.cholesky(covs), rng.standard_normal((4000, 3)))
    v[::7, 1] = np.nan
    found = standardised_innovations(filter_result(v, covs, 2))
    assert np.isnan(found[:2]).all()
    assert np.array_equal(np.isnan(found[2:]), np.isnan(v[2:]))
    rows = found[~np.isnan(found).any(axis=1)]
    np.testing.assert_allclose(rows.T @ rows / len(rows), np.eye(3), atol=0.06)
    seen = [0, 2]
    expected = np.linalg.solve(np.linalg.cholesky(covs[7][np.ix_(seen, seen)]), v[7, seen])
    np.testing.assert_allclose(found[7, seen], expected, rtol=1e-9)


def test_an_innovation_without_variance_is_none():
    v, F = np.ones((5, 1)), np.ones((5, 1, 1))
    F[3] = 0.0
    assert np.isnan(standardised_innovations(filter_result(v, F))[3, 0])


def test_the_summary_is_a_table():
    x = series(0, 60)[:, None]
    (found,) = diagnostics(filter_result(x, np.ones((60, 1, 1)), 1))
    assert found.n_innovations == 59
    assert found.ljung_box.lags[-1] == 10
    text = str(found)
    assert "59 standardised innovations" in text
    assert "Jarque-Bera" in text
    assert f"{found.heteroskedasticity.p_value:.4f}" in text


def test_too_little_data_gives_no_statistic_instead_of_an_error():
    assert np.isnan(heteroskedasticity([1.0, 2.0])).all()
    assert np.isnan(jarque_bera([1.0])).all()
    assert np.isnan(jarque_bera([2.0, 2.0, 2.0])).all()


@pytest.mark.parametrize("lags", [0, [0, 3], 60, []])
def test_lags_that_are_not_there_are_refused(lags):
    with pytest.raises(ValueError, match="lags"):
        ljung_box(series(0, 50), lags)
