import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.lds.arima_process import ArimaProcess
from statespace.lds.bounded_parameters import coefficients, partial_autocorrelations
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
from statespace.lds.composition import Composition, noise_variance
from statespace.lds.frames import make_frames
from statespace.lds.likelihood import log_likelihood_and_gradient, log_likelihoods
from statespace.lds.moment_starts import variances_by_moments
from statespace.lds.simulation import simulate
from statespace.lds.system import System, checked_covariances
from tests.lds.dense_series import filtered_log_likelihood, log_likelihood
from tests.lds.passengers import LOG_PASSENGERS
from tests.lds.pulled_back import chain_rule_error, differences

INPUTS = np.random.default_rng(3).standard_normal((60, 2)) + 1.0

trends = st.one_of(
    st.builds(Level, st.booleans()),
    st.builds(LocalLinearTrend, st.booleans(), st.booleans()),
    st.just(SmoothTrend()),
)
seasonals = st.one_of(
    st.builds(Seasonal, st.integers(2, 7), st.just("dummy"), st.none(), st.booleans()),
    st.integers(2, 7).flatmap(
        lambda s: st.builds(
            Seasonal, st.just(s), st.just("trigonometric"), st.none() | st.integers(1, s // 2), st.booleans()
        )
    ),
)
cycles = st.one_of(
    st.builds(Cycle, st.floats(2, 5), st.floats(6, 50) | st.just(np.inf), st.booleans()),
    st.just(Cycle(damped=False, stochastic=False)),
)
inputs = st.builds(Regression, st.sampled_from(["states", "parameters"]))
others = st.one_of(st.builds(Autoregressive, st.integers(1, 4)), inputs, st.just(Irregular()))
arimas = st.builds(
    ArimaProcess,
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    st.one_of(
        st.just((0, 0, 0, 0)), st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 2), st.integers(3, 5))
    ),
    st.sampled_from(["n", "c", "t", "ct"]),
)


@st.composite
def compositions(draw):
    parts = [draw(trends)]
    for kind in (seasonals, cycles, others):
        parts += draw(st.lists(kind, max_size=1))
    return Composition(parts, INPUTS)


def coordinates_of(composition, seed):
    return np.random.default_rng(seed).uniform(-1.5, 1.5, len(composition.names))


@settings(max_examples=80)
@given(compositions(), st.integers(0, 1000))
def test_derivatives_of_the_matrices_go_back_to_all_parameters(composition, seed):
    theta = coordinates_of(composition, seed)
    if len(theta):
        assert chain_rule_error(composition, theta, seed) < 1e-8


@settings(max_examples=40)
@given(arimas, st.integers(0, 1000))
def test_derivatives_of_the_matrices_go_back_through_arima_processes(process, seed):
    """Where the diffuse directions depend on parameters only a likelihood has a chain rule: it is tested below."""
    without = ArimaProcess((0, *process.order[1:]), (0, *process.seasonal_order[1:]), process.trend)
    stationary = ArimaProcess((process.order[0], 0, 1), (process.seasonal_order[0], 0, 1, 5), process.trend)
    for part in (without, stationary):
        composition = Composition([part])
        assert chain_rule_error(composition, coordinates_of(composition, seed), seed) < 1e-8


@settings(max_examples=80)
@given(compositions(), st.integers(0, 1000))
def test_every_composition_is_a_system(composition, seed):
    theta = coordinates_of(composition, seed)
    system = composition.system(theta)
    m, r = system.n_states, system.n_disturbances
    shapes = [(1, m), (1,), (1, 1), (m, m), (m,), (m, r), (r, r)]
    for name, shape in zip(System._fields, shapes, strict=False):
        value = getattr(system, name)
        assert value.shape[1:] == shape
        assert value.dtype == np.float64
        assert value.flags.c_contiguous
        assert np.isfinite(value).all()
    checked_covariances("state_cov", system.state_cov)
    checked_covariances("initial_state_cov", system.initial_state_cov[None])
    assert not (system.initial_state_cov @ system.diffuse_loadings).any()
    assert len(composition.names) == len(set(composition.names)) == len(theta)


@settings(max_examples=80)
@given(compositions(), st.integers(0, 1000))
def test_parameters_and_coordinates_are_the_same_thing_twice(composition, seed):
    theta = coordinates_of(composition, seed)
    values = composition.natural(theta)
    back = composition.vector(values)
    np.testing.assert_allclose(composition.natural(back), values, rtol=1e-10)
    variance = [name.startswith("sigma2") for name in composition.names]
    np.testing.assert_allclose(back, np.where(variance, np.abs(theta), theta), rtol=1e-10, atol=1e-12)
    if len(theta):
        jacobian = composition.natural_jacobian(theta)
        for k in range(len(theta)):
            expected = differences(lambda at, k=k: composition.natural(at)[k], theta)
            np.testing.assert_allclose(jacobian[k], expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())


@settings(max_examples=40)
@given(compositions(), st.floats(1e-6, 1e6), st.integers(0, 100))
def test_starting_values_have_the_units_of_the_data_and_no_others(composition, unit, seed):
    y = np.cumsum(np.random.default_rng(seed).standard_normal(60))
    start, rescaled = composition.start(y), composition.start(unit * y)
    values, scaled = composition.natural(start), composition.natural(rescaled)
    assert np.isfinite(start).all()
    for name, value, other in zip(composition.names, values, scaled, strict=True):
        power = 2 if name.startswith("sigma2") else 1 if name.split(".")[0] in ("beta", "intercept", "drift") else 0
        assert other == pytest.approx(value * unit**power, rel=1e-6, abs=1e-9 * unit**power)


@given(st.integers(1, 6), st.integers(0, 1000))
def test_partial_autocorrelations_give_stationary_coefficients(p, seed):
    partial = np.random.default_rng(seed).uniform(-0.99, 0.99, p)
    phi = coefficients(partial)
    companion = np.eye(p, k=1)
    companion[:, 0] = phi
    assert np.abs(np.linalg.eigvals(companion)).max() < 1
    np.testing.assert_allclose(partial_autocorrelations(phi), partial, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(partial[-1], sm.tsa.ArmaProcess(np.r_[1, -phi]).pacf(p + 1)[-1], rtol=1e-6, atol=1e-8)


UNOBSERVED = [
    ([LocalLinearTrend(), Seasonal(12), Irregular()], {"level": "lltrend", "seasonal": 12}),
    (
        [SmoothTrend(), Seasonal(12, "trigonometric"), Irregular()],
        {"level": "strend", "freq_seasonal": [{"period": 12}]},
    ),
    (
        [Level(), Seasonal(12, "trigonometric", 4), Autoregressive(2), Irregular()],
        {"level": "llevel", "freq_seasonal": [{"period": 12, "harmonics": 4}], "autoregressive": 2},
    ),
    (
        [LocalLinearTrend(True, False), Cycle(damped=False), Irregular()],
        {
            "irregular": True,
            "level": True,
            "stochastic_level": True,
            "trend": True,
            "cycle": True,
            "stochastic_cycle": True,
        },
    ),
    (
        [Level(False), Seasonal(4, stochastic=False), Irregular()],
        {"irregular": True, "level": True, "seasonal": 4, "stochastic_seasonal": False},
    ),
    ([Level(), Regression(), Irregular()], {"level": "llevel", "exog": INPUTS, "mle_regression": False}),
    ([Level(), Regression("parameters"), Irregular()], {"level": "llevel", "exog": INPUTS}),
]


@pytest.mark.parametrize(("parts", "options"), UNOBSERVED)
@pytest.mark.parametrize("gaps", [False, True])
def test_likelihoods_are_those_of_statsmodels(parts, options, gaps):
    y = LOG_PASSENGERS[:60].copy()
    if gaps:
        y[[3, 17, 18, 40]] = np.nan
    composition = Composition(parts, INPUTS)
    theta = composition.start(y)
    value = dict(zip(composition.names, composition.natural(theta), strict=True))
    peer = sm.tsa.UnobservedComponents(y, use_exact_diffuse=True, **options)
    peer.tolerance = 0
    params = [value["sigma2.seasonal" if "seasonal" in name else name] for name in peer.param_names]
    assert len(params) == len(value)
    assert filtered_log_likelihood(composition.system(theta), y) == pytest.approx(peer.loglike(params), abs=1e-8)


def test_a_damped_cycle_starts_from_its_stationary_law():
    composition = Composition([Cycle(2, 30)])
    system = composition.system(composition.vector(np.array([0.7, 0.4, 0.9])))
    T, V = system.transition[0], system.disturbance_cov[0]
    P = system.initial_state_cov
    np.testing.assert_allclose(T @ P @ T.T + V, P, rtol=1e-14, atol=1e-15)
    assert not system.n_diffuse


def test_dummy_and_trigonometric_seasons_are_the_same_pattern_when_they_do_not_change():
    y = LOG_PASSENGERS[:40]
    theta = np.log([0.3])
    dummy, waves = (
        Composition([Seasonal(6, kind, stochastic=False), Irregular()]) for kind in ("dummy", "trigonometric")
    )

    def projected(composition):
        system = composition.system(theta)
        Z, T = system.design[0, 0], system.transition[0]
        rows = np.array([Z @ np.linalg.matrix_power(T, t) for t in range(len(y))])
        q, _ = np.linalg.qr(rows)
        return q @ (q.T @ y)

    np.testing.assert_allclose(projected(dummy), projected(waves), rtol=1e-10)


def test_noise_is_what_differences_leave():
    rng = np.random.default_rng(0)
    t = np.arange(4000)
    y = 5 + 0.3 * t + 40 * np.sin(2 * np.pi * t / 12) + 0.5 * rng.standard_normal(len(t))
    assert noise_variance([y], [1, 12]) == pytest.approx(0.25, rel=0.1)
    assert noise_variance([np.zeros(9)], [1]) == 1.0
    assert noise_variance([np.full(9, 3.0)], [1]) == 9.0
    assert noise_variance([y[:8]], [1, 12]) > 0


def test_a_cycle_starts_at_the_strongest_wave():
    t = np.arange(120)
    y = 0.1 * t + np.cos(2 * np.pi * t / 17) + 0.1 * np.random.default_rng(0).standard_normal(len(t))
    y[30:35] = np.nan
    composition = Composition([Level(), Cycle(5, 60), Irregular()])
    frequency = composition.natural(composition.start(y))[composition.names.index("frequency.cycle")]
    assert 2 * np.pi / frequency == pytest.approx(17, abs=0.6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Seasonal(1), "period is 1, expected an integer of at least 2"),
        (lambda: Seasonal(12, "waves"), "kind is 'waves', expected one of 'dummy', 'trigonometric'"),
        (lambda: Seasonal(12, harmonics=3), "harmonics is 3, which only kind="),
        (lambda: Seasonal(12, "trigonometric", 7), "harmonics is 7, expected at most period // 2 = 6"),
        (lambda: Cycle(10, 5), "between 10 and 5, expected 2 <= shortest < longest"),
        (lambda: Cycle(stochastic=False), "a damped cycle without disturbances is zero"),
        (lambda: Autoregressive(0), "order is 0"),
        (lambda: Regression("fixed"), "coefficients is 'fixed'"),
        (lambda: Composition([Irregular()]), "the model has no states"),
        (lambda: Composition([Level(), Regression()]), "no inputs are given: pass exog="),
        (lambda: Composition([Seasonal(4), Seasonal(4)]), "a wave of 4 steps belongs to the one as"),
    ],
)
def test_impossible_parts_are_refused_in_words(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_parts_of_one_name_are_told_apart():
    composition = Composition([Seasonal(7), Seasonal(30, "trigonometric", 2), Cycle(2, 5), Cycle(50, 90)])
    assert composition.names[:3] == ["sigma2.seasonal7", "sigma2.seasonal30", "sigma2.cycle1"]
    assert "damping.cycle2" in composition.names


@pytest.mark.parametrize("form", ["covariance", "square_root"])
@pytest.mark.parametrize(
    "parts",
    [
        [Seasonal(14), Irregular()],
        [LocalLinearTrend(), Seasonal(12), Irregular()],
        [Level(), Seasonal(52), Irregular()],
        [Level(), Seasonal(24, "trigonometric"), Irregular()],
        [ArimaProcess((1, 1, 1), (1, 1, 1, 12))],
    ],
)
def test_long_diffuse_starts_are_exact(parts, form):
    y = np.resize(LOG_PASSENGERS, 110) + 0.1 * np.random.default_rng(0).standard_normal(110)
    composition = Composition(parts)
    system = composition.system(composition.start(y))
    found = log_likelihoods(system, [make_frames(system, y[:, None])], form=form)[0]
    assert found == pytest.approx(log_likelihood(system, y), rel=1e-7)


LIKELIHOODS = [
    [Level(), Autoregressive(2), Irregular()],
    [LocalLinearTrend(), Seasonal(4), Irregular()],
    [Level(False), Cycle(2, 30), Regression(), Irregular()],
    [Level(), Cycle(2, 30, damped=False), Regression("parameters"), Irregular()],
    [ArimaProcess((1, 1, 1))],
    [ArimaProcess((2, 1, 1), trend="c"), Seasonal(2)],
    [ArimaProcess((1, 2, 0), trend="t")],
    [ArimaProcess((1, 0, 1), trend="ct"), Regression("parameters")],
    [ArimaProcess((1, 1, 1), (1, 1, 0, 2))],
    [ArimaProcess((0, 1, 1), (1, 1, 1, 4), "ct")],
    [ArimaProcess((1, 1, 1), (1, 1, 1, 12))],
]


@pytest.mark.parametrize("parts", LIKELIHOODS)
def test_the_gradient_of_a_likelihood_goes_back_to_the_parameters(parts):
    y = LOG_PASSENGERS[:60].copy()
    y[[2, 7, 31]] = np.nan
    composition = Composition(parts, INPUTS)
    theta = coordinates_of(composition, 5) * 0.5

    def value(at):
        return filtered_log_likelihood(composition.system(at), y)

    system = composition.system(theta)
    found, gradient = log_likelihood_and_gradient(system, [make_frames(system, y[:, None])])
    assert found == pytest.approx(log_likelihood(system, y), rel=1e-7)
    expected = differences(value, theta)
    np.testing.assert_allclose(composition.pullback(theta, gradient), expected, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("parts", "variances"),
    [
        ([Level(), Irregular()], [0.5, 2.0]),
        ([LocalLinearTrend(), Irregular()], [1.0, 0.3, 2.0]),
        ([Level(), Seasonal(4), Irregular()], [1.0, 0.4, 2.0]),
        ([Level(), Seasonal(6, "trigonometric", 2), Irregular()], [1.0, 0.2, 2.0]),
    ],
)
@pytest.mark.parametrize("gaps", [False, True])
def test_moments_of_a_long_series_tell_its_variances(parts, variances, gaps):
    composition = Composition(parts)
    y = simulate(composition.system_of(np.array(variances)), 60000, np.random.default_rng(1))[0][:, 0]
    if gaps:
        y[np.random.default_rng(2).random(len(y)) < 0.05] = np.nan
    np.testing.assert_allclose(variances_by_moments(parts, [y[:20000], y[20000:]]), variances, rtol=0.3, atol=0.1)


def test_parts_without_finite_moments_start_otherwise():
    y = LOG_PASSENGERS
    assert variances_by_moments([Level(), Autoregressive(1)], [y]) is None
    assert variances_by_moments([Level(), Seasonal(12), Irregular()], [y[:12]]) is None
    assert variances_by_moments([Level(), Irregular()], [np.zeros(20)]) is None
