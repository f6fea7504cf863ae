"""Linear dynamical systems beside statsmodels, pykalman, filterpy, simdkalman and dynamax."""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.comparison import COMPARED, Call, Peer, compare
from benchmarks.report import Table, duration, verdict
from benchmarks.timing import one_core, timed
from statespace import LinearDynamicalSystem
from statespace.lds import ARIMA, StructuralModel

_FEW = 500  # steps for a peer that takes tens of microseconds for each
# States, features, steps; statsmodels' time to ours: its default against ours, its tolerance 0 against the full
# recursion, and its default smoother against ours
_SIZES = [
    (1, 1, 10_000, 27.0, 12.8, 44.0),
    (2, 1, 10_000, 25.5, 8.5, 41.0),
    (4, 2, 10_000, 29.8, 6.0, 39.0),
    (10, 5, 10_000, 16.0, 2.1, 22.0),
    (40, 10, 2_000, 3.1, 1.5, 8.1),
]


def tables(quick: bool) -> Iterator[Table]:
    """Every table, as it is measured."""
    n_rounds, shrink = (1, 50) if quick else (5, 1)
    with one_core(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield likelihoods(shrink, n_rounds)
        yield smoothers(shrink, n_rounds)
        yield whole_fits(shrink, n_rounds)
        yield panels(shrink, n_rounds)
        yield long_season(4 if quick else 365)


def _system(m: int, p: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(m)
    T = np.eye(1) if m == 1 else 0.95 * np.linalg.qr(rng.normal(size=(m, m)))[0]
    return {
        "design": rng.normal(size=(p, m)),
        "obs_cov": 0.8 * np.eye(p),
        "transition": T,
        "state_cov": 0.5 * np.eye(m),
        "initial_state": np.zeros(m),
        "initial_state_cov": 2.0 * np.eye(m),
    }


def _data(p: int, n: int) -> np.ndarray:
    return 2.0 * np.random.default_rng(0).normal(size=(n, p))


def _statsmodels(given: dict[str, np.ndarray], y: np.ndarray, tolerance: float) -> Any:
    from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother

    p, m = given["design"].shape
    made = KalmanSmoother(k_endog=p, k_states=m, k_posdef=m)
    made.bind(np.ascontiguousarray(y))
    for name in ("design", "obs_cov", "transition", "state_cov"):
        made[name] = given[name]
    made["selection"] = np.eye(m)
    made.initialize_known(given["initial_state"], given["initial_state_cov"])
    made.tolerance = tolerance
    return made


def likelihoods(shrink: int, n_rounds: int) -> Table:
    """The log-likelihood."""
    table = Table(
        "Likelihood: score(X)",
        COMPARED,
        '"Every step" is the full recursion: the covariance of the disturbances has a time axis: no gain is kept.',
    )
    for m, p, n, bar, full_bar, _ in _SIZES:
        n = max(n // shrink, 40)
        given, y = _system(m, p), _data(p, n)
        model = LinearDynamicalSystem.from_matrices(**given)
        timed_model = LinearDynamicalSystem.from_matrices(
            **{**given, "state_cov": np.tile(given["state_cov"], (n, 1, 1))}
        )

        def default(given=given, y=y) -> Call:
            return _statsmodels(given, y, 1e-19).loglike

        def exact(given=given, y=y) -> Call:
            return _statsmodels(given, y, 0.0).loglike

        few = y[:_FEW]
        peers = [Peer("statsmodels, default", default, bar, f"{bar:g}")]
        if m <= 10:
            peers += [
                Peer("filterpy", partial(_filterpy, given, few), scale=n / len(few)),
                Peer("pykalman", partial(_pykalman, given, few, "loglikelihood"), scale=n / len(few)),
                Peer("dynamax", partial(_dynamax, given, y, "marginal_log_prob"), 1.0, "1"),
            ]
        compare(table, f"{m} states, {p} features, {n:,}", lambda model=model, y=y: model.score(y), peers, n_rounds)
        compare(
            table,
            f"every step, {m} states, {p} features, {n:,}",
            lambda model=timed_model, y=y: model.score(y),
            [Peer("statsmodels, tolerance=0", exact, full_bar, f"{full_bar:g}")],
            n_rounds,
        )
    return table


def smoothers(shrink: int, n_rounds: int) -> Table:
    """Smoothed means and covariances."""
    table = Table(
        "Smoothing: smooth(X), its mean and cov",
        COMPARED,
        "The default of statsmodels also smooths disturbances; ours are computed when they are asked for.",
    )
    for m, p, n, _, _, bar in _SIZES:
        n = max(n // shrink, 40)
        given, y = _system(m, p), _data(p, n)
        model = LinearDynamicalSystem.from_matrices(**given)

        def ours(model=model, y=y) -> None:
            found = model.smooth(y)
            assert len(found.mean) == len(found.cov)

        def default(given=given, y=y) -> Call:
            return _statsmodels(given, y, 1e-19).smooth

        def states_only(given=given, y=y) -> Call:
            from statsmodels.tsa.statespace.kalman_smoother import SMOOTHER_STATE, SMOOTHER_STATE_COV

            made = _statsmodels(given, y, 1e-19)
            made.smoother_output = SMOOTHER_STATE | SMOOTHER_STATE_COV
            return made.smooth

        few = y[:_FEW]
        peers = [
            Peer("statsmodels, default", default, bar, f"{bar:g}"),
            Peer("statsmodels, states alone", states_only),
        ]
        if m <= 10:
            peers += [
                Peer("pykalman", partial(_pykalman, given, few, "smooth"), scale=n / len(few)),
                Peer("simdkalman", partial(_simdkalman, given, few), scale=n / len(few)),
                Peer("dynamax", partial(_dynamax, given, y, "smoother"), 1.0, "1"),
            ]
        compare(table, f"{m} states, {p} features, {n:,}", ours, peers, n_rounds)
    return table


def _pykalman(given: dict[str, np.ndarray], y: np.ndarray, verb: str) -> Call:
    from pykalman import KalmanFilter

    made = KalmanFilter(
        transition_matrices=given["transition"],
        observation_matrices=given["design"],
        transition_covariance=given["state_cov"],
        observation_covariance=given["obs_cov"],
        initial_state_mean=given["initial_state"],
        initial_state_covariance=given["initial_state_cov"],
    )
    return lambda: getattr(made, verb)(y)


def _filterpy(given: dict[str, np.ndarray], y: np.ndarray) -> Call:
    from filterpy.kalman import KalmanFilter

    p, m = given["design"].shape

    def walk() -> float:
        made = KalmanFilter(dim_x=m, dim_z=p)
        made.F, made.H, made.Q, made.R = (given[k] for k in ("transition", "design", "state_cov", "obs_cov"))
        made.x, made.P = given["initial_state"][:, None], given["initial_state_cov"]
        total = 0.0
        for row in y:
            made.update(row[:, None])
            total += made.log_likelihood
            made.predict()
        return total

    return walk


def _simdkalman(given: dict[str, np.ndarray], y: np.ndarray) -> Call:
    import simdkalman

    made = simdkalman.KalmanFilter(
        state_transition=given["transition"],
        process_noise=given["state_cov"],
        observation_model=given["design"],
        observation_noise=given["obs_cov"],
    )
    return lambda: made.smooth(
        y[None], initial_value=given["initial_state"], initial_covariance=given["initial_state_cov"]
    )


def _dynamax(given: dict[str, np.ndarray], y: np.ndarray, verb: str) -> Call:
    import jax
    from dynamax.linear_gaussian_ssm import LinearGaussianSSM

    jax.config.update("jax_enable_x64", True)
    p, m = given["design"].shape
    model = LinearGaussianSSM(m, p)
    params, _ = model.initialize(
        jax.random.PRNGKey(0),
        initial_mean=jax.numpy.asarray(given["initial_state"]),
        initial_covariance=jax.numpy.asarray(given["initial_state_cov"]),
        dynamics_weights=jax.numpy.asarray(given["transition"]),
        dynamics_covariance=jax.numpy.asarray(given["state_cov"]),
        emission_weights=jax.numpy.asarray(given["design"]),
        emission_covariance=jax.numpy.asarray(given["obs_cov"]),
    )
    compiled, data = jax.jit(partial(getattr(model, verb), params)), jax.numpy.asarray(y)
    return lambda: jax.block_until_ready(compiled(data))


def _monthly(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    season = np.tile(np.sin(np.arange(12) * np.pi / 6) * 0.2, n // 12 + 1)[:n]
    return np.cumsum(0.01 + 0.03 * rng.normal(size=n)) + season + 0.02 * rng.normal(size=n)


def whole_fits(shrink: int, n_rounds: int) -> Table:
    """Maximum likelihood from each one's own start."""
    table = Table(
        "A whole fit by maximum likelihood",
        ("case", "ours", "peer", "peer's", "peer / ours", "bar", "holds", "our log-likelihood", "the peer's"),
        "Both with an exact diffuse start, whose log-likelihoods can be compared; statsmodels as it stops by default.",
    )
    n = max(10_000 // shrink, 200)
    level = np.cumsum(np.random.default_rng(1).normal(size=n)) + 2.0 * np.random.default_rng(2).normal(size=n)
    month = _monthly(144)

    def unobserved(y: np.ndarray, **parts: Any) -> Any:
        from statsmodels.tsa.statespace.structural import UnobservedComponents

        return UnobservedComponents(y, use_exact_diffuse=True, **parts).fit(disp=False).llf

    def sarimax(y: np.ndarray) -> Any:
        from statsmodels.tsa.statespace.sarimax import SARIMAX

        made = SARIMAX(y, order=(0, 1, 1), seasonal_order=(0, 1, 1, 12), use_exact_diffuse=True)
        return made.fit(disp=False).llf

    cases: list[tuple[str, Any, np.ndarray, Call, float | None]] = [
        (f"local level, {n:,}", StructuralModel(level=True), level, partial(unobserved, level, level="llevel"), 100.0),
        (
            "trend and season of 12, 144",
            StructuralModel(trend="local linear", seasonal=12),
            month,
            partial(unobserved, month, level="lltrend", seasonal=12),
            None,
        ),
        ("airline, 144", ARIMA((0, 1, 1), (0, 1, 1, 12)), month, partial(sarimax, month), None),
    ]
    for case, model, y, theirs, bar in cases:
        kept: dict[str, Any] = {}

        def ours(model=model, y=y, kept=kept) -> None:
            kept["ours"] = model.fit(y)

        ours()
        mine = [timed(ours).cpu for _ in range(n_rounds)]
        reached = f"{kept['ours'].score(y):.4f}"
        took = float(np.median(mine))
        try:
            found = theirs()
            times = [timed(theirs).cpu for _ in range(min(n_rounds, 3))]
        except ImportError as error:
            table.add(case, duration(took), "statsmodels", f"skipped: {error.name} is not installed", *[""] * 5)
            continue
        ratio = float(np.median(times)) / took
        shown = ("", "") if bar is None else (f"{bar:g}", verdict(ratio >= bar))
        other = f"{float(found):.4f}"
        table.add(
            case,
            duration(took),
            "statsmodels",
            duration(float(np.median(times))),
            f"{ratio:.3g}",
            *shown,
            reached,
            other,
        )
    return table


def panels(shrink: int, n_rounds: int) -> Table:
    """Many series of one model."""
    series, n = max(1000 // shrink, 4), 200
    table = Table(f"A panel of {series:,} series of {n}: a local level", COMPARED)
    rng = np.random.default_rng(0)
    Y = np.cumsum(rng.normal(size=(series, n, 1)), axis=1) + rng.normal(size=(series, n, 1))
    given = {
        "design": np.eye(1),
        "obs_cov": np.eye(1),
        "transition": np.eye(1),
        "state_cov": np.eye(1),
        "initial_state": np.zeros(1),
        "initial_state_cov": np.eye(1),
    }
    model = LinearDynamicalSystem.from_matrices(**given)
    as_list = list(Y)

    def loop() -> Call:
        made = [_statsmodels(given, y, 1e-19) for y in Y]
        return lambda: [one.loglike() for one in made]

    compare(
        table,
        "score of the array",
        lambda: model.score(Y),
        [Peer("statsmodels, one by one", loop, 500.0, "500")],
        n_rounds,
    )
    compare(
        table,
        "score of the list",
        lambda: model.score(as_list),
        [Peer("statsmodels, one by one", loop, 100.0, "100")],
        n_rounds,
    )
    few = as_list[: max(series // 20, 2)]

    def fits() -> Call:
        from statsmodels.tsa.statespace.structural import UnobservedComponents

        return lambda: [UnobservedComponents(y[:, 0], "llevel").fit(disp=False) for y in few[:5]]

    compare(
        table,
        f"fit_each of {len(few)}",
        lambda: StructuralModel(level=True).fit_each(few),
        [Peer("statsmodels, one by one", fits, scale=len(few) / len(few[:5]))],
        min(n_rounds, 3),
    )
    return table


def long_season(period: int) -> Table:
    """A season of as many states as days of a year."""
    table = Table(
        f"A season of {period}: score(X) of a level and a season, four periods",
        ("who", "CPU", "memory beyond the data"),
        "Memory as Python's allocator counts it.",
    )
    n = 4 * period
    y = np.random.default_rng(0).normal(size=n) + np.tile(np.random.default_rng(1).normal(size=period), 4)
    model = StructuralModel(level=True, seasonal=period, n_iter=1).fit(y)

    def theirs() -> Call:
        from statsmodels.tsa.statespace.structural import UnobservedComponents

        made = UnobservedComponents(y, "llevel", seasonal=period)
        made.ssm.memory_conserve = 0x1F
        return partial(made.loglike, np.ones(3))

    for who, prepare in (("ours", lambda: partial(model.score, y)), ("statsmodels, memory conserved", theirs)):
        try:
            call = prepare()
        except ImportError as error:
            table.add(who, f"skipped: {error.name} is not installed", "")
            continue
        call()
        began = time.process_time()
        call()
        seconds = time.process_time() - began
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        table.add(who, duration(seconds), f"{peak / 1e6:,.1f} MB")
    return table
