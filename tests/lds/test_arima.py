import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.statespace.initialization import Initialization

from statespace.lds.arima_process import ArimaProcess
from statespace.lds.arma_process import differencing, product
from statespace.lds.components import Regression
from statespace.lds.composition import Composition
from tests.lds.dense_series import log_likelihood
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
    assert log_likelihood(composition.system(theta), y) == pytest.approx(expected, abs=1e-8, rel=1e-9)


def test_inputs_are_regression_with_arima_errors():
    y, x = LOG_PASSENGERS[:60], np.random.default_rng(0).standard_normal((60, 2))
    composition = Composition([ArimaProcess((1, 1, 1)), Regression("parameters")], x)
    theta = composition.start(y)
    value = dict(zip(composition.names, composition.natural(theta), strict=True))
    peer = peer_of(y, (1, 1, 1), (0, 0, 0, 0), "n", exog=x)
    expected = peer.loglike(
        [value[name.replace("x1", "beta.x1").replace("x2", "beta.x2")] for name in peer.param_names]
    )
    assert log_likelihood(composition.system(theta), y) == pytest.approx(expected, abs=1e-8)


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
    assert log_likelihood(system, y) == pytest.approx(peer.ssm.loglike(), abs=1e-8)
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
    expected = log_likelihood(stationary.system(theta), w) - 0.5 * k * np.log(2 * np.pi)
    assert log_likelihood(composition.system(theta), y) == pytest.approx(expected, rel=1e-6, abs=1e-6)


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
