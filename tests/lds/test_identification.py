"""Parts that no data tell apart, and data that tell of no parameter, are refused; what can be told apart is fitted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import statespace
from statespace import LinearDynamicalSystem
from statespace.datasets import load_nile
from statespace.lds import (
    ARIMA,
    ArimaProcess,
    Autoregressive,
    Cycle,
    Irregular,
    Level,
    LocalLinearTrend,
    Regression,
    Seasonal,
    SmoothTrend,
    StructuralModel,
)
from statespace.lds.component import empty_block
from statespace.lds.composition import Composition
from statespace.lds.identification import check_told_apart

NILE = load_nile().flow
WALK = {"design": [[1.0]], "transition": [[1.0]]}
DIFFUSE = st.one_of(
    st.builds(Level, st.booleans()),
    st.builds(LocalLinearTrend, st.booleans(), st.booleans()),
    st.just(SmoothTrend()),
    st.builds(Seasonal, st.integers(2, 9)),
    st.integers(3, 9).flatmap(
        lambda s: st.builds(Seasonal, st.just(s), st.just("trigonometric"), st.integers(1, s // 2))
    ),
    st.builds(
        lambda d, D, s: ArimaProcess((0, d, 1), (0, D, 0, s)), st.integers(0, 1), st.integers(0, 1), st.integers(2, 6)
    ),
)


def _paths(part, n):
    """What each direction of the first state of which nothing is known adds to n observations, shape (n, n_diffuse)."""
    block = empty_block(part)
    values = np.array(
        [0.5 if name.startswith("ma") else 1.0 for one in part.parameters(part.name) for name in one.names]
    )
    part.write(block, values)
    state, rows = block.loadings, []
    for _ in range(n):
        rows.append(block.design[0] @ state)
        state = block.transition @ state
    return np.array(rows)


@given(DIFFUSE, DIFFUSE)
def test_parts_are_refused_where_a_path_could_be_of_either(one, other):
    both = np.column_stack([_paths(one, 40), _paths(other, 40)])
    separate = np.linalg.matrix_rank(both, tol=1e-8 * max(1.0, np.abs(both).max(initial=0.0))) == both.shape[1]
    if separate and one != other:
        check_told_apart([one, other])
    else:
        with pytest.raises(ValueError, match="leave one out"):
            check_told_apart([one, other])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Level() + Level(),
        lambda: Level() + LocalLinearTrend(),
        lambda: LocalLinearTrend() + Seasonal(4) + LocalLinearTrend(),
        lambda: StructuralModel(level=True) + StructuralModel(level=True),
        lambda: StructuralModel(level=[Level(), Level()]).fit(NILE),
        lambda: StructuralModel(level=True, others=[Level()]).fit(NILE),
        lambda: StructuralModel(level=True, irregular=[True, True]).fit(NILE),
        lambda: StructuralModel(level=True, others=[ArimaProcess((0, 1, 1))]).fit(NILE),
        lambda: StructuralModel(level=True, seasonal=[24, 168]).fit(NILE),
        lambda: Level() + Regression() + Regression("parameters"),
        lambda: Level() + Autoregressive(2) + Autoregressive(2),
    ],
)
def test_sums_of_what_cannot_be_told_apart_are_refused_at_once(make):
    with pytest.raises(ValueError, match=r"the model has the parts .*leave one out"):
        make()


def test_an_irregular_is_there_once():
    assert (Level() + Irregular() + Irregular()).components() == [Level(), Irregular()]


def test_several_parts_of_a_kind_that_can_be_told_apart_are_named_apart():
    model = (Level() + Seasonal(4) + Seasonal(7) + Cycle(9, 12) + Cycle(20, 40)).fit(NILE)
    assert model.param_names_ == [
        *("sigma2.level", "sigma2.seasonal4", "sigma2.seasonal7"),
        *("sigma2.cycle1", "frequency.cycle1", "damping.cycle1", "sigma2.cycle2", "frequency.cycle2", "damping.cycle2"),
        "sigma2.irregular",
    ]
    assert model.scored_steps(NILE).sum() == len(NILE) - 10
    assert np.isfinite(model.forecast(NILE, 12).cov).all()
    weekly = Composition([Level(), Seasonal(24), Seasonal(168, "trigonometric", harmonics=6)])
    assert weekly.names == ["sigma2.level", "sigma2.seasonal24", "sigma2.seasonal168"]
    pair = Level() + Autoregressive(1) + Autoregressive(2)
    assert pair.autoregressive == [Autoregressive(1), Autoregressive(2)]
    two = Composition([Level(), *pair.autoregressive])
    assert two.names == ["sigma2.level", "sigma2.ar1", "ar1.L1", "sigma2.ar2", "ar2.L1", "ar2.L2"]
    processes = Composition([ArimaProcess((1, 0, 1), trend="c"), ArimaProcess((2, 1, 0))])
    assert processes.names == [
        *("intercept1", "ar1.L1", "ma1.L1", "sigma2.1"),
        *("ar2.L1", "ar2.L2", "sigma2.2"),
    ]


def test_two_cycles_of_the_same_bounds_find_two_waves():
    t = np.arange(400.0)
    noise = np.random.default_rng(3).normal(size=400)
    y = 5.0 * np.sin(2.0 * np.pi * t / 20.0) + 3.0 * np.cos(2.0 * np.pi * t / 47.0) + noise
    cycle = Cycle(5, 100, damped=False, stochastic=False)
    model = (Level(stochastic=False) + cycle + cycle).fit(y)
    frequencies = [
        value for name, value in zip(model.param_names_, model.params_, strict=True) if name.startswith("frequency")
    ]
    np.testing.assert_allclose(np.sort(2.0 * np.pi / np.array(frequencies)), [20.0, 47.0], rtol=0.01)


def test_a_process_among_the_parts_is_kept_in_a_file(tmp_path):
    model = StructuralModel(level=True, others=[ArimaProcess((1, 0, 0))]).fit(NILE)
    model.save(tmp_path / "model")
    assert statespace.load(tmp_path / "model").score(NILE) == model.score(NILE)


# ------------------------------------------------------------------------------------------------ too little data


@pytest.mark.parametrize(
    ("model", "n"),
    [
        (StructuralModel(level=True), 1),
        (LocalLinearTrend() + Seasonal(12), 13),
        (ARIMA((0, 1, 1), (0, 1, 1, 12)), 13),
        (LinearDynamicalSystem(init=WALK, fixed=dict.fromkeys(WALK, True), initialization="diffuse"), 1),
        (
            LinearDynamicalSystem(method="lbfgs", init=WALK, fixed=dict.fromkeys(WALK, True), initialization="diffuse"),
            1,
        ),
    ],
)
def test_data_that_the_diffuse_start_takes_as_a_whole_fit_nothing(model, n):
    for data in (NILE[:n], [NILE[:n], NILE[50 : 50 + n]], np.concatenate([NILE[:n], np.full(20, np.nan)])):
        with pytest.raises(ValueError, match="nothing is left to estimate"):
            model.fit(data)
    with pytest.raises(statespace.foundations.estimator.NotFittedError):  # it is as it was before
        model.score(NILE)
    statespace.foundations.estimator.clone(model).set_params(n_iter=1).fit(NILE[: n + 1])
    statespace.foundations.estimator.clone(model).set_params(n_iter=1).fit([NILE[:n], NILE[:40]])


@given(st.integers(0, 12), st.floats(0.01, 100.0), st.floats(0.01, 100.0))
def test_what_the_diffuse_start_takes_says_nothing_of_variances(n, q, h):
    """Its log-likelihood is the same whatever they are, no step of it counts, and its derivative is 0."""
    composition = Composition([LocalLinearTrend(), Seasonal(12), Irregular()])
    y, parameters = NILE[: n + 1], composition.vector(np.array([q, q, q, h]))
    system = composition.system(parameters)
    model = LinearDynamicalSystem.from_matrices(
        system.design, system.obs_cov, system.transition, system.state_cov, system.selection, initialization="diffuse"
    )
    assert not model.scored_steps(y).any()
    gradient = model.gradient(y)
    np.testing.assert_array_equal(gradient.obs_cov, 0.0)
    np.testing.assert_array_equal(gradient.state_cov, 0.0)
    with pytest.raises(ValueError, match="no step of X is scored"):
        model.bic(y)
    if n < 12:
        assert np.isinf(model.smooth(y).cov[-1]).any()
        assert np.isinf(model.forecast(y, 14).cov[-1]).all()


# ------------------------------------------------------------------------------------------------- known inputs


@pytest.mark.parametrize(
    "model",
    [ARIMA((1, 0, 0)), StructuralModel(level=True), LinearDynamicalSystem(n_iter=2)],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore:.*not converged")
def test_inputs_that_do_not_fit_the_data_are_refused_by_name(model):
    x = np.column_stack([np.sin(np.arange(103.0)), np.cos(np.arange(103.0))])
    holes, endless = x[:100].copy(), x[:100].copy()
    holes[3, 1], endless[3, 1] = np.nan, np.inf
    for exog, message in [
        (x[:50], "exog has 50 rows, X 100: give one for each"),
        (x[:100].T, "exog has 2 rows, X 100"),
        (holes, r"exog has a missing entry at \[3, 1\]"),
        (endless, r"exog\[3\] is infinite"),
        (np.empty((100, 0)), r"exog is empty \(shape \(100, 0\)\)"),
        (["wet"] * 100, "exog holds .* data, expected numbers"),
        ("wet", "exog is the text 'wet'"),
        (x[:100, [0, 0]], r"exog\[:, 1\] is a combination of the columns before it"),
        (np.zeros(100), r"exog\[:, 0\] is 0 at every step"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            model.fit(NILE, exog=exog)
    times = pd.date_range("1871", periods=101, freq="YS")
    with pytest.raises(ValueError, match="exog has another index than X"):
        model.fit(pd.Series(NILE, times[:100]), exog=pd.DataFrame(x[:100], times[1:]))
    fitted = statespace.foundations.estimator.clone(model).fit(NILE, exog=x[:100])
    for exog, message in [
        (None, "coefficients of 2 known inputs: hand them over, exog= with 103 rows"),
        (
            x[:100],
            "exog has 100 rows, X with the 3 steps after each sequence 103: .* those of X and then those to come",
        ),
        (x[100:], "exog has 3 rows, X with the 3 steps after each sequence 103"),
        (x[:, :1], "exog has 1 columns, and the model has coefficients of 2 known inputs"),
        (np.full((103, 2), np.nan), r"exog has a missing entry at \[0, 0\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted.forecast(NILE, 3, exog=exog)
    assert fitted.forecast(NILE, 3, exog=x).mean.shape == (3, 1)
    with pytest.raises(ValueError, match="hand them over, exog= with 100 rows"):
        fitted.score(NILE)


@pytest.mark.parametrize(
    "model",
    [StructuralModel(level=True), SmoothTrend() + Irregular(), ARIMA((0, 1, 1)), ARIMA((1, 0, 0), trend="c")],
)
@pytest.mark.parametrize("coefficients", ["states", "parameters"])
def test_a_constant_beside_a_level_is_refused(model, coefficients):
    model = statespace.foundations.estimator.clone(model).set_params(exog=coefficients)
    with pytest.raises(ValueError, match=r"exog\[:, 0\] is constant, as the intercept or the level"):
        model.fit(NILE, exog=np.ones(100))


def test_a_constant_is_the_mean_of_a_model_without_one():
    model = ARIMA((0, 0, 0)).fit(NILE, exog=np.ones(100))
    np.testing.assert_allclose(model.params_, [NILE.var(), NILE.mean()], rtol=1e-5)


def test_what_exog_is_in_the_constructor_is_checked_without_inputs_too():
    for wrong in ("x", np.ones(100), None):
        with pytest.raises(ValueError, match="expected 'parameters' or 'states': how coefficients are treated"):
            ARIMA(exog=wrong).fit(NILE)


@pytest.mark.parametrize("make", [lambda: ARIMA(NILE, (0, 1, 1)), lambda: StructuralModel(NILE, "smooth")])
def test_data_in_the_constructor_are_answered_with_where_they_belong(make):
    with pytest.raises(TypeError, match=r"the data come with fit\(X\)"):
        make().fit(NILE)
