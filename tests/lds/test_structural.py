import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import statespace
from statespace.foundations.estimator import NotFittedError, clone
from statespace.lds.arima import ARIMA
from statespace.lds.component import Component
from statespace.lds.components import (
    Autoregressive,
    Cycle,
    Irregular,
    Level,
    LocalLinearTrend,
    Regression,
    Seasonal,
    SmoothTrend,
)
from statespace.lds.structural import StructuralModel
from tests.lds.passengers import LOG_PASSENGERS

NILE = sm.datasets.nile.load().data["volume"].to_numpy().astype(float)
INPUTS = np.random.default_rng(0).standard_normal((144, 2))
MOVED = LOG_PASSENGERS + INPUTS @ [0.05, -0.03]


@pytest.fixture(scope="module")
def local_level():
    return (Level() + Irregular()).fit(NILE)


@pytest.fixture(scope="module")
def basic():
    return (LocalLinearTrend() + Seasonal(12)).fit(LOG_PASSENGERS)


def unobserved(y, **options):
    peer = sm.tsa.UnobservedComponents(y, use_exact_diffuse=True, **options)
    peer.tolerance = 0
    return peer


def in_order_of(peer, model):
    value = dict(zip(model.param_names_, model.params_, strict=True))
    return np.array([value["sigma2.seasonal" if "seasonal" in name else name] for name in peer.param_names])


def test_the_local_level_of_the_nile_is_that_of_the_literature(local_level):
    value = dict(zip(local_level.param_names_, local_level.params_, strict=True))
    assert value == {
        "sigma2.level": pytest.approx(1469.18, rel=1e-4),
        "sigma2.irregular": pytest.approx(15098.52, rel=1e-4),
    }
    assert local_level.monitor_.converged
    assert local_level.score(NILE) == pytest.approx(-633.4646, abs=1e-4)
    assert local_level.log_likelihood(NILE, convention="kfas") == pytest.approx(-632.5456, abs=1e-4)


PEERS = [
    (StructuralModel(trend="local linear", seasonal=12), {"level": "lltrend", "seasonal": 12}, None),
    (
        StructuralModel(trend="smooth", seasonal=Seasonal(12, "trigonometric")),
        {"level": "strend", "freq_seasonal": [{"period": 12}]},
        None,
    ),
    (StructuralModel(trend="local linear", autoregressive=2), {"level": "lltrend", "autoregressive": 2}, None),
    (
        StructuralModel(level=True, seasonal=12, exog="states"),
        {"level": "llevel", "seasonal": 12, "exog": INPUTS, "mle_regression": False},
        INPUTS,
    ),
    (
        StructuralModel(level=True, seasonal=12, exog="parameters"),
        {"level": "llevel", "seasonal": 12, "exog": INPUTS},
        INPUTS,
    ),
]


@pytest.mark.parametrize(("model", "options", "exog"), PEERS)
def test_fits_reach_the_optimum_of_statsmodels(model, options, exog):
    y = LOG_PASSENGERS if exog is None else MOVED
    model = clone(model).fit(y, exog=exog)
    peer = unobserved(y, **options)
    at = in_order_of(peer, model)
    reached = model.score(y, exog=exog)
    assert model.monitor_.converged
    assert reached == pytest.approx(peer.loglike(at), abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may not converge, and still tell whether there is more to gain
        best = peer.fit(start_params=at, disp=0, maxiter=300)
    assert reached > best.llf - 1e-5


def test_forecasts_and_their_intervals_are_those_of_statsmodels(basic):
    peer = unobserved(LOG_PASSENGERS, level="lltrend", seasonal=12)
    result = peer.smooth(in_order_of(peer, basic)).get_forecast(24)
    law = basic.forecast(LOG_PASSENGERS, 24)
    np.testing.assert_allclose(law.mean[:, 0], result.predicted_mean, rtol=1e-8)
    low, high = law.interval(0.9)
    np.testing.assert_allclose(np.column_stack([np.ravel(low), np.ravel(high)]), result.conf_int(alpha=0.1), rtol=1e-7)


@pytest.mark.parametrize("gaps", [False, True])
def test_components_are_those_of_statsmodels(basic, gaps):
    y = LOG_PASSENGERS.copy()
    if gaps:
        y[[5, 40, 41, 100]] = np.nan
    peer = unobserved(y, level="lltrend", seasonal=12)
    result = peer.smooth(in_order_of(peer, basic))
    parts = basic.decompose(y)
    assert parts.names == ("trend", "slope", "seasonal", "irregular")
    assert parts.further == ("slope",)
    for name, theirs in (("trend", result.level), ("slope", result.trend), ("seasonal", result.seasonal)):
        scale = np.abs(theirs.smoothed).max()
        np.testing.assert_allclose(parts.mean[name], theirs.smoothed, atol=1e-8 * scale)
        np.testing.assert_allclose(parts.variance[name], theirs.smoothed_cov, rtol=1e-5, atol=1e-12)
    seen = ~np.isnan(y)
    total = sum(parts.mean[name] for name in parts.names if name not in parts.further)
    np.testing.assert_allclose(total[seen], y[seen], rtol=1e-9)
    low, high = parts.interval("trend", 0.5)
    np.testing.assert_allclose(high - low, 2 * 0.6744897501960817 * np.sqrt(parts.variance["trend"]), rtol=1e-12)


def test_components_of_a_frame_keep_its_index(basic):
    index = pd.period_range("1949-01", periods=144, freq="M").to_timestamp()
    frame = basic.decompose(pd.Series(LOG_PASSENGERS, index)).to_frame(0.9)
    assert frame.index.equals(index)
    assert list(frame.columns[:3]) == ["trend", "trend_low", "trend_high"]
    assert (frame["trend_low"] < frame["trend"]).all()
    with pytest.raises(KeyError, match="there is no part 'cycle'; there are trend"):
        basic.decompose(LOG_PASSENGERS).interval("cycle")


@pytest.mark.parametrize("coefficients", ["states", "parameters"])
def test_the_part_of_a_regression_is_what_its_inputs_do(coefficients):
    model = StructuralModel(level=True, seasonal=12, exog=coefficients).fit(MOVED, exog=INPUTS)
    parts = model.decompose(MOVED, exog=INPUTS)
    if coefficients == "parameters":
        beta = model.params_[[model.param_names_.index(f"beta.x{k}") for k in (1, 2)]]
        assert not parts.variance["regression"].any()
    else:
        smoothed = model.smooth(MOVED, exog=INPUTS)
        beta = smoothed.mean[-1, -2:]
        np.testing.assert_allclose(smoothed.mean[:, -2:], np.tile(beta, (144, 1)), rtol=1e-8)
        assert (parts.variance["regression"] > 0).all()
    np.testing.assert_allclose(parts.mean["regression"], INPUTS @ beta, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(beta, [0.05, -0.03], atol=0.02)
    total = sum(parts.mean.values())
    np.testing.assert_allclose(total, MOVED, rtol=1e-8)
    ahead = np.vstack([INPUTS, [[1.0, 0.0], [0.0, 1.0]]])
    law, flat = (model.forecast(MOVED, 2, exog=x) for x in (ahead, np.vstack([INPUTS, np.zeros((2, 2))])))
    np.testing.assert_allclose(law.mean[:, 0] - flat.mean[:, 0], beta, rtol=1e-6)


@pytest.mark.parametrize("coefficients", ["states", "parameters"])
def test_several_series_have_inputs_of_their_own(coefficients):
    model = StructuralModel(level=True, seasonal=4, exog=coefficients)
    parts, inputs = [MOVED[:70], MOVED[70:]], [INPUTS[:70], INPUTS[70:]]
    several = clone(model).fit(parts, exog=inputs)
    for X, lengths, exog in (
        (parts, None, INPUTS),
        (MOVED, [70, 74], INPUTS),
        (parts, None, [pd.DataFrame(x, columns=["x1", "x2"]) for x in inputs]),
    ):
        other = clone(model).fit(X, lengths, exog=exog)
        np.testing.assert_array_equal(other.params_, several.params_)
        assert other.param_names_ == several.param_names_
    alone = [several.score(y, exog=x) for y, x in zip(parts, inputs, strict=True)]
    assert several.summary().log_likelihood == pytest.approx(sum(alone), rel=1e-12)
    assert several.score(parts, exog=inputs) == pytest.approx(sum(alone), rel=1e-12)
    one, weighted = (
        clone(model).fit(parts[1], exog=inputs[1]),
        clone(model).fit(parts, exog=inputs, sample_weight=[0, 1]),
    )
    assert weighted.score(parts[1], exog=inputs[1]) == pytest.approx(one.score(parts[1], exog=inputs[1]), abs=1e-6)
    assert weighted.params_ == pytest.approx(one.params_, rel=1e-3, abs=1e-8)


def test_panels_have_inputs_of_their_own():
    X, exog = MOVED.reshape(2, 72, 1), INPUTS.reshape(2, 72, 2)
    model = StructuralModel(level=True, exog="parameters").fit(X, exog=exog)
    assert model.params_ == pytest.approx(clone(model).fit(list(X), exog=list(exog)).params_)


def test_inputs_have_the_names_of_their_columns():
    frame = pd.DataFrame(INPUTS, columns=["rain", "sun"])
    model = StructuralModel(level=True, exog="parameters").fit(MOVED, exog=frame)
    assert model.param_names_ == ["sigma2.level", "beta.rain", "beta.sun", "sigma2.irregular"]


def test_known_inputs_come_with_the_data_or_not_at_all():
    model = StructuralModel(level=True, n_iter=5)
    fitted = clone(model).set_params(n_iter=100).fit(MOVED, exog=INPUTS)
    with pytest.raises(ValueError, match="hand them over, exog="):
        fitted.score(MOVED)
    with pytest.raises(ValueError, match="no inputs are given: pass exog="):
        StructuralModel(level=True, exog="states").fit(MOVED)
    with pytest.raises(ValueError, match="exog has 3 rows, X 144"):
        model.fit(MOVED, exog=INPUTS[:3])
    with pytest.raises(ValueError, match="exog has a missing entry"):
        model.fit(MOVED, exog=np.where(np.arange(144)[:, None] == 3, np.nan, INPUTS))
    with pytest.raises(ValueError, match="exog has other lengths than X"):
        model.fit([MOVED[:70], MOVED[70:]], exog=[INPUTS[:71], INPUTS[71:]])
    with pytest.raises(ValueError, match="X has 2 columns, and StructuralModel is a model of one feature"):
        model.fit(INPUTS)


def test_parts_and_words_spell_the_same_models():
    level, season = Level(), Seasonal(12)
    assert (level + season).components() == [level, season, Irregular()]
    assert StructuralModel(level=True, seasonal=12).components() == (level + season).components()
    longer = Seasonal(30, "trigonometric", 2) + SmoothTrend() + (Cycle(40, 90) + season) + Autoregressive(2)
    expected = [SmoothTrend(), longer.seasonal[0], season, Cycle(40, 90), Autoregressive(2), Irregular()]
    assert longer.components() == expected
    spelled = StructuralModel(trend="smooth", seasonal=[longer.seasonal[0], 12], cycle=(40, 90), autoregressive=2)
    assert spelled.components() == expected
    assert (level + Regression()).components() == StructuralModel(level=True, exog="states").components()
    assert (StructuralModel(level=True, irregular=False) + season).components() == [level, season]
    assert (StructuralModel(level=True, irregular=False) + Irregular()).components() == [level, Irregular()]
    assert (level + season).set_params(n_iter=7).__add__(Cycle()).n_iter == 7
    assert "irregular" not in repr(level + season)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Level() + Level(False), ValueError, "a constant belongs to the one as well as"),
        (lambda: (Level() + SmoothTrend()).components(), ValueError, "a constant belongs to the one as well as"),
        (lambda: Level() + 3, TypeError, "unsupported operand"),
        (lambda: StructuralModel(seasonal="monthly").components(), TypeError, "seasonal is 'monthly', expected a per"),
        (lambda: StructuralModel(trend="cubic").components(), TypeError, "trend is 'cubic', expected 'local linear'"),
        (lambda: StructuralModel(cycle=(2, 3, 4)).components(), TypeError, "expected True, a pair"),
        (lambda: StructuralModel.of("level"), TypeError, "'level' is no part of a structural model"),
        (lambda: StructuralModel().fit(NILE), ValueError, "the model has no states"),
    ],
)
def test_what_is_no_model_is_refused_in_words(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_criteria_count_parameters_and_scored_steps(basic):
    assert basic.n_parameters == 4
    total = basic.score(LOG_PASSENGERS)
    assert basic.aic(LOG_PASSENGERS) == pytest.approx(8 - 2 * total)
    assert basic.bic(LOG_PASSENGERS) == pytest.approx(4 * np.log(144 - 13) - 2 * total)
    summary = basic.summary()
    assert (summary.aic, summary.bic) == pytest.approx((basic.aic(LOG_PASSENGERS), basic.bic(LOG_PASSENGERS)))


def test_an_unfitted_model_says_so():
    model = Level() + Seasonal(4)
    with pytest.raises(NotFittedError, match="StructuralModel is not fitted yet"):
        model.forecast(NILE, 3)


def test_the_units_change_nothing_but_the_units():
    one = StructuralModel(trend="local linear", seasonal=12).fit(LOG_PASSENGERS)
    other = StructuralModel(trend="local linear", seasonal=12).fit(1e6 * LOG_PASSENGERS)
    large = one.params_ > 1e-8
    np.testing.assert_allclose(other.params_[large], 1e12 * one.params_[large], rtol=1e-5)
    assert other.score(1e6 * LOG_PASSENGERS) == pytest.approx(one.score(LOG_PASSENGERS) - 131 * np.log(1e6), abs=1e-5)


def test_several_series_share_one_model():
    model = (Level() + Irregular()).fit([NILE, NILE + 500.0])
    alone = (Level() + Irregular()).fit(NILE)
    np.testing.assert_allclose(model.params_, alone.params_, rtol=1e-4)
    parts = model.decompose([NILE, NILE + 500.0])
    np.testing.assert_allclose(parts[1].mean["level"] - parts[0].mean["level"], 500.0, rtol=1e-9)


def test_files_keep_all_that_a_model_says(tmp_path, basic):
    basic.save(tmp_path / "model")
    back = statespace.load(tmp_path / "model")
    assert repr(back) == repr(basic)
    assert back.score(LOG_PASSENGERS) == basic.score(LOG_PASSENGERS)
    rich = StructuralModel(level=True, seasonal=[Seasonal(7), 12], cycle=Cycle(20, np.inf), exog="parameters", n_iter=3)
    with pytest.warns(match="not converged"):
        rich.fit(MOVED, exog=pd.DataFrame(INPUTS, columns=["a", "b"]))
    rich.save(tmp_path / "rich")
    back = statespace.load(tmp_path / "rich")
    assert back.param_names_ == rich.param_names_
    assert back.score(MOVED, exog=INPUTS) == rich.score(MOVED, exog=INPUTS)
    ahead = np.vstack([INPUTS, INPUTS[:3]])
    np.testing.assert_array_equal(back.forecast(MOVED, 3, exog=ahead).mean, rich.forecast(MOVED, 3, exog=ahead).mean)


def test_a_part_of_ones_own_is_a_part():
    class Drift(Component):
        """A line through time with known slope, from a level of which nothing is known."""

        name = "drift"
        n_states, n_disturbances, n_diffuse = 1, 0, 1

        def parameters(self, name):
            return []

        def start(self, facts):
            return []

        def write(self, block, values):
            block.design[:] = block.transition[:] = block.loadings[:] = 1.0
            block.state_intercept[:] = 2.0

        def pullback(self, gradient, block, values):
            return []

    y = 5 + 2.0 * np.arange(50) + np.random.default_rng(0).standard_normal(50)
    model = (Drift() + Irregular()).fit(y)
    level = model.decompose(y).mean["drift"]
    np.testing.assert_allclose(level, level[0] + 2.0 * np.arange(50), rtol=1e-9)
    left = y - 2.0 * np.arange(50)
    assert model.params_ == pytest.approx([left.var(ddof=1)], rel=1e-5)


def test_few_gradients_lead_to_the_maximum(local_level, basic):
    """Newton's first step and two of Fisher's scoring; without them these took 12 and 30."""
    assert len(local_level.monitor_.history) <= 10
    assert len(basic.monitor_.history) <= 15


def test_intervals_of_variances_are_those_of_their_logarithms(local_level):
    def by_logarithms(theta):
        level, noise = np.exp(theta)
        return {"design": [[1.0]], "obs_cov": [[noise]], "transition": [[1.0]], "state_cov": [[level]]}

    logs = statespace.LinearDynamicalSystem.from_function(by_logarithms, [7.0, 9.0]).fit(NILE)
    found = local_level.confidence_intervals(0.9)
    np.testing.assert_allclose(found, np.exp(logs.confidence_intervals(0.9)), rtol=2e-3)
    assert (found[:, 0] > 0).all()
    at_zero = StructuralModel(trend="local linear").fit(np.arange(30.0) + np.random.default_rng(0).standard_normal(30))
    intervals = at_zero.confidence_intervals()
    assert not (intervals < 0).any()
    assert np.array_equal(np.isnan(intervals[:, 0]), np.isnan(at_zero.standard_errors()))


def test_diagnostics_are_those_of_statsmodels(basic):
    y = LOG_PASSENGERS
    peer = unobserved(y, level="lltrend", seasonal=12)
    result = peer.smooth(in_order_of(peer, basic))
    found = basic.diagnostics(y, lags=12)
    assert found.n_innovations == 144 - 13
    np.testing.assert_allclose(
        found.innovations[13:], result.filter_results.standardized_forecasts_error[0, 13:], rtol=1e-6, atol=1e-8
    )
    (serial,) = result.test_serial_correlation("ljungbox", lags=12)
    np.testing.assert_allclose([found.ljung_box.statistic, found.ljung_box.p_value], serial, rtol=1e-5)
    np.testing.assert_allclose(found.jarque_bera, result.test_normality("jarquebera")[0], rtol=1e-5)
    np.testing.assert_allclose(found.heteroskedasticity, result.test_heteroskedasticity("breakvar")[0], rtol=1e-5)


EDGES = [
    np.full(20, 3.0),
    np.zeros(20),
    np.array([2.0, 3.0]),
    np.arange(30.0),
    1e9 + NILE,
    1e-12 * NILE,
    np.where(np.arange(100) % 2, np.nan, NILE),
    1.1 ** np.arange(100.0),
]


@pytest.mark.parametrize("y", EDGES)
@pytest.mark.parametrize(
    "model",
    [
        StructuralModel(level=True),
        StructuralModel(trend="local linear", seasonal=4),
        StructuralModel(level=True, cycle=(3, 12), autoregressive=1),
        ARIMA((1, 0, 1), trend="c"),
        ARIMA((2, 0, 0)),
        ARIMA((1, 1, 1), (0, 1, 1, 4)),
    ],
)
def test_fits_end_at_numbers_whatever_the_data(model, y):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not converged")
        if len(y) == 2 and any(part.n_diffuse > 1 for part in model.components()):
            with pytest.raises(ValueError, match="nothing is known of the start"):
                clone(model).fit(y)
            return
        fitted = clone(model).fit(y)
    assert np.isfinite(fitted.params_).all()
    assert np.isfinite(fitted.score(y))
    assert fitted.score(y) > -1e4
    assert (fitted.params_[[name.startswith("sigma2") for name in fitted.param_names_]] >= 0).all()


@pytest.mark.parametrize("coefficients", ["states", "parameters"])
def test_gradients_are_taken_with_inputs_too(coefficients):
    model = StructuralModel(level=True, exog=coefficients).fit(MOVED, exog=INPUTS)
    found = model.gradient(MOVED, exog=INPUTS)
    assert found.log_likelihood == pytest.approx(model.score(MOVED, exog=INPUTS))
    if coefficients == "parameters":
        np.testing.assert_allclose(found.obs_exog, 0.0, atol=1e-2)
