import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.statespace.initialization import Initialization

import statespace
from statespace.lds.arima import ARIMA
from statespace.lds.arima_process import ArimaProcess
from statespace.lds.arma_process import differencing, product
from statespace.lds.components import Regression
from statespace.lds.composition import Composition
from tests.lds.dense_series import filtered_log_likelihood
from tests.lds.passengers import LOG_PASSENGERS

AIRLINE = ((0, 1, 1), (0, 1, 1, 12))
ORDERS = [
    (*AIRLINE, "n"),
    ((1, 1, 1), (1, 0, 1, 4), "n"),
    ((2, 0, 1), (0, 0, 0, 0), "c"),
    ((0, 0, 2), (1, 0, 0, 12), "c"),
    ((1, 1, 0), (0, 0, 0, 0), "c"),
    ((1, 0, 0), (2, 1, 0, 4), "n"),
    ((0, 1, 0), (0, 0, 0, 0), "n"),
    ((0, 0, 0), (0, 0, 0, 0), "c"),
    ((3, 2, 1), (0, 0, 0, 0), "n"),
]


def peer_of(y, order, seasonal_order, trend, **options):
    peer = sm.tsa.SARIMAX(y, order=order, seasonal_order=seasonal_order, trend=trend, use_exact_diffuse=True, **options)
    peer.tolerance = 0
    return peer


@pytest.mark.parametrize(("order", "seasonal_order", "trend"), ORDERS)
@pytest.mark.parametrize("gaps", [False, True])
def test_likelihoods_are_those_of_statsmodels(order, seasonal_order, trend, gaps):
    y = LOG_PASSENGERS[:40].copy()
    if gaps:
        y[[20, 33, 34]] = np.nan
    composition = Composition([ArimaProcess(order, seasonal_order, trend)])
    theta = composition.start(y)
    peer = peer_of(y, order, seasonal_order, trend)
    assert composition.names == peer.param_names
    expected = peer.loglike(composition.natural(theta))
    assert filtered_log_likelihood(composition.system(theta), y) == pytest.approx(expected, abs=1e-8, rel=1e-9)


def test_inputs_are_regression_with_arima_errors():
    y, x = LOG_PASSENGERS[:60], np.random.default_rng(0).standard_normal((60, 2))
    composition = Composition([ArimaProcess((1, 1, 1)), Regression("parameters")], x)
    theta = composition.start(y)
    value = dict(zip(composition.names, composition.natural(theta), strict=True))
    peer = peer_of(y, (1, 1, 1), (0, 0, 0, 0), "n", exog=x)
    expected = peer.loglike(
        [value[name.replace("x1", "beta.x1").replace("x2", "beta.x2")] for name in peer.param_names]
    )
    assert filtered_log_likelihood(composition.system(theta), y) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("trend", ["t", "ct"])
@pytest.mark.parametrize("d", [0, 1])
def test_a_drift_starts_from_the_mean_that_has_always_drifted(trend, d):
    """statsmodels takes the mean of the first intercept for stationary; this one follows a line."""
    y = LOG_PASSENGERS[:50]
    composition = Composition([ArimaProcess((2, d, 1), trend=trend)])
    intercept = [0.3] if "c" in trend else []
    values = np.array([*intercept, 0.05, 0.5, 0.2, 0.4, 0.01])
    system = composition.system_of(values)
    peer = peer_of(y, (2, d, 1), (0, 0, 0, 0), trend)
    peer.update(values)
    process = Initialization(2 + d)
    if d:
        process.set(0, "diffuse")
    process.set((d, d + 2), "known", constant=system.initial_state[:2], stationary_cov=system.initial_state_cov[:2, :2])
    peer.ssm.initialization = process
    assert filtered_log_likelihood(system, y) == pytest.approx(peer.ssm.loglike(), abs=1e-8)
    phi, c, slope = values[-4:-2], sum(intercept), 0.05
    mean = system.initial_state  # a long run from anywhere ends on the same line
    w = np.zeros(4000)
    for t in range(2, 4000):
        w[t] = c + slope * t + phi @ w[t - 2 : t][::-1]
    line = np.polyfit(np.arange(3000, 4000), w[3000:], 1)
    assert mean[0] == pytest.approx(line[1], rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1), st.just(4)),
    st.integers(0, 100),
)
def test_differencing_loses_the_diffuse_steps_and_nothing_else(order, seasonal_order, seed):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(40).cumsum()
    (p, d, q), (P, D, Q, s) = order, seasonal_order
    composition = Composition([ArimaProcess(order, seasonal_order)])
    stationary = Composition([ArimaProcess((p, 0, q), (P, 0, Q, s))])
    theta = rng.uniform(-1, 1, len(composition.names))
    k = d + D * s
    w = np.convolve(y, np.r_[1.0, -differencing(d, D, s)], "valid")
    expected = filtered_log_likelihood(stationary.system(theta), w) - 0.5 * k * np.log(2 * np.pi)
    assert filtered_log_likelihood(composition.system(theta), y) == pytest.approx(expected, rel=1e-9, abs=1e-8)


def test_polynomials_multiply():
    first, second = np.array([0.5, -0.2]), np.array([0.3, 0.1])
    spread = np.r_[1, 0, 0, 0.3, 0, 0, 0.1]
    np.testing.assert_allclose(product(first, second, 3), np.polymul([1, 0.5, -0.2], spread)[1:])
    np.testing.assert_allclose(product(first, np.empty(0), 0), first)
    np.testing.assert_array_equal(differencing(1, 1, 4), [1, 0, 0, 1, -1])


def test_starting_values_are_near_the_truth_of_a_long_series():
    rng = np.random.default_rng(1)
    e = rng.standard_normal(5000) * 3
    y = np.zeros(5000)
    for t in range(1, 5000):
        y[t] = 2.0 + 0.7 * y[t - 1] + e[t] + 0.4 * e[t - 1]
    composition = Composition([ArimaProcess((1, 0, 1), trend="c")])
    found = composition.natural(composition.start(y))
    np.testing.assert_allclose(found, [2.0, 0.7, 0.4, 9.0], rtol=0.12)


@pytest.mark.parametrize("n", [1, 2, 5, 14])
def test_short_series_have_starting_values_too(n):
    composition = Composition([ArimaProcess(*AIRLINE)])
    assert np.isfinite(composition.start(LOG_PASSENGERS[:n])).all()
    gone = LOG_PASSENGERS[:14].copy()
    gone[1::2] = np.nan
    assert np.isfinite(composition.start(gone)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ArimaProcess((1, 0)), r"order is \(1, 0\), expected \(p, d, q\)"),
        (lambda: ArimaProcess((1, -1, 0)), "d of order is -1"),
        (lambda: ArimaProcess((1, 0, 0), (1, 0, 0, 1)), "expected a season s of at least 2 steps"),
        (lambda: ArimaProcess((4, 0, 0), (1, 0, 0, 4)), "p of order is 4 and the season 4"),
        (lambda: ArimaProcess((1, 0, 0), trend="linear"), "trend is 'linear', expected one of 'n', 'c', 't', 'ct'"),
    ],
)
def test_impossible_orders_are_refused_in_words(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


SUNSPOTS = sm.datasets.sunspots.load().data["SUNACTIVITY"].to_numpy().astype(float)
INPUTS = np.random.default_rng(0).standard_normal((144, 2))
FITS = [
    (LOG_PASSENGERS, (0, 1, 1), (0, 1, 1, 12), "n", None),
    (LOG_PASSENGERS, (1, 1, 1), (0, 1, 1, 12), "n", None),
    (LOG_PASSENGERS, (1, 1, 0), (1, 0, 0, 12), "c", None),
    (LOG_PASSENGERS + INPUTS @ [0.05, -0.03], (0, 1, 1), (0, 1, 1, 12), "n", INPUTS),
    (SUNSPOTS, (2, 0, 1), (0, 0, 0, 0), "c", None),
    (SUNSPOTS, (9, 0, 0), (0, 0, 0, 0), "c", None),
]


@pytest.mark.filterwarnings("ignore:Maximum Likelihood optimization failed")  # the peer's, which begins at the top
@pytest.mark.parametrize(("y", "order", "seasonal_order", "trend", "exog"), FITS)
def test_fits_reach_the_optimum_of_statsmodels(y, order, seasonal_order, trend, exog):
    model = ARIMA(order, seasonal_order, trend).fit(y, exog=exog)
    peer = peer_of(y, order, seasonal_order, trend, exog=exog)
    value = dict(zip(model.param_names_, model.params_, strict=True))
    at = [value[f"beta.{name}" if name.startswith("x") else name] for name in peer.param_names]
    reached = model.score(y, exog=exog)
    assert model.monitor_.converged
    assert reached == pytest.approx(peer.loglike(at), abs=1e-7)
    assert reached > peer.fit(start_params=at, disp=0).llf - 1e-6


def test_a_moving_average_on_the_unit_circle_is_reached():
    """Noise that was differenced once too often: MA coefficients -1, where the exact likelihood has its maximum."""
    y = np.random.default_rng(3).standard_normal(120)
    model = ARIMA((0, 1, 1), (0, 1, 1, 4)).fit(y)
    assert model.params_[:2] == pytest.approx([-1.0, -1.0], abs=1e-5)
    assert (np.abs(model.params_[:2]) <= 1.0).all()
    assert len(model.monitor_.history) <= 25
    assert model.monitor_.converged
    peer = peer_of(y, (0, 1, 1), (0, 1, 1, 4), "n")
    for inside in (1.0, 0.999, 0.99, 0.9):
        assert model.score(y) > peer.loglike(model.params_ * [inside, inside, 1.0]) - 1e-6


def test_the_airline_model_is_that_of_the_literature():
    """The estimates of the exact likelihood, as printed since Box and Jenkins: 0.40, 0.56 and 0.00135."""
    model = ARIMA(*AIRLINE).fit(LOG_PASSENGERS)
    np.testing.assert_allclose(model.params_, [-0.4018, -0.5569, 0.001348], rtol=3e-4)
    assert model.n_parameters == 3
    assert model.aic(LOG_PASSENGERS) == pytest.approx(6 - 2 * model.score(LOG_PASSENGERS))
    assert model.bic(LOG_PASSENGERS) == pytest.approx(3 * np.log(131) - 2 * model.score(LOG_PASSENGERS))
    np.testing.assert_allclose(model.standard_errors(), [0.0896, 0.0731, 0.000167], rtol=0.01)


@pytest.mark.parametrize(("order", "seasonal_order", "trend"), [(*AIRLINE, "n"), ((2, 1, 0), (0, 0, 0, 0), "ct")])
def test_forecasts_are_those_of_statsmodels(order, seasonal_order, trend):
    y = LOG_PASSENGERS.copy()
    y[[30, 31, 90]] = np.nan
    model = ARIMA(order, seasonal_order, trend).fit(y)
    peer = peer_of(y, order, seasonal_order, trend)
    assert model.param_names_ == peer.param_names
    result = peer.smooth(model.params_).get_forecast(18)
    law = model.forecast(y, 18)
    tolerance = 1e-8 if "t" not in trend else 1e-3  # statsmodels starts a drift elsewhere
    np.testing.assert_allclose(law.mean[:, 0], result.predicted_mean, rtol=tolerance)
    np.testing.assert_allclose(law.cov[:, 0, 0], result.var_pred_mean, rtol=tolerance)
    bounds = np.column_stack([np.ravel(bound) for bound in law.interval(0.9)])
    np.testing.assert_allclose(bounds, result.conf_int(alpha=0.1), rtol=tolerance)


def test_files_keep_arima_models(tmp_path):
    model = ARIMA((1, 1, 1), (0, 1, 1, 12)).fit(LOG_PASSENGERS)
    model.save(tmp_path / "model")
    back = statespace.load(tmp_path / "model")
    assert repr(back) == repr(model)
    assert back.score(LOG_PASSENGERS) == model.score(LOG_PASSENGERS)


def test_innovations_of_the_right_model_are_white():
    found = ARIMA(*AIRLINE).fit(LOG_PASSENGERS).diagnostics(LOG_PASSENGERS, lags=24, n_parameters=2)
    assert found.n_innovations == 131
    assert found.ljung_box.p_value[-1] > 0.05
    wrong = ARIMA((0, 1, 1)).fit(LOG_PASSENGERS).diagnostics(LOG_PASSENGERS, lags=24)
    assert wrong.ljung_box.p_value[-1] < 1e-6


def test_an_arma_process_comes_back_from_its_own_data():
    truth = ARIMA((2, 0, 1), trend="c")
    truth.fit(SUNSPOTS)
    drawn, _ = truth.sample(4000, random_state=0)
    found = ARIMA((2, 0, 1), trend="c").fit(drawn)
    np.testing.assert_array_less(np.abs(found.params_ - truth.params_), 4 * found.standard_errors())
