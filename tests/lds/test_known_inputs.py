import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.datasets import nile

import statespace
from statespace import LinearDynamicalSystem
from statespace.foundations.observations import read_observations
from statespace.lds.expectation_maximisation import expect, improve
from statespace.lds.free_entries import COVARIANCES, ESTIMATED, FreeEntries, count_parameters
from statespace.lds.initialization import make_system
from statespace.lds.known_inputs import ObjectiveWithInputs, frames_of, read_inputs, settled, weighted_log_likelihood
from statespace.lds.parametrisations import MatrixParametrisation, at_stationary_start
from statespace.lds.system import COEFFICIENTS, TIMED, checked_matrices
from tests.lds.dense_em import draw_data, draw_matrices, joint_law
from tests.lds.dense_em import log_likelihood as dense_log_likelihood

seeds = st.integers(0, 2**32 - 1)
NILE = nile.load_pandas().data["volume"].to_numpy()
EVERY = (*ESTIMATED, *COEFFICIENTS)


def draw(seed, where="both"):
    """Matrices, coefficients, sequences that have them, and inputs."""
    rng = np.random.default_rng(seed)
    m, p, k = (int(rng.integers(1, 4)) for _ in range(3))
    M = draw_matrices(rng, m, p)
    M["obs_exog"] = rng.standard_normal((p, k)) if where != "state" else None
    M["state_exog"] = rng.standard_normal((m, k)) if where != "obs" else None
    sequences, inputs = [], []
    for _ in range(int(rng.integers(2, 4))):
        n = int(rng.integers(m + k + 4, 18))
        x = rng.standard_normal((n, k)) * rng.uniform(0.1, 10.0, k) + rng.standard_normal(k)
        inputs.append(x)
        sequences.append(draw_data(rng, M, n) + offsets(M, x)[1])
    return rng, M, sequences, inputs


def offsets(M, x):
    """What inputs add to the states and to the observations."""
    moved = np.zeros((len(x), len(M["transition"])))
    if M["state_exog"] is not None:
        for t in range(1, len(x)):
            moved[t] = M["transition"] @ moved[t - 1] + M["state_exog"] @ x[t - 1]
    seen = moved @ M["design"].T
    return moved, seen if M["obs_exog"] is None else seen + x @ M["obs_exog"].T


def dense_value(M, sequences, inputs):
    return sum(dense_log_likelihood(M, Y - offsets(M, x)[1]) for Y, x in zip(sequences, inputs, strict=True))


def system_of(M):
    system = make_system(
        checked_matrices(**{name: M[name] for name in TIMED}), M["initial_state"], M["initial_state_cov"]
    )
    return system._replace(obs_exog=M["obs_exog"], state_exog=M["state_exog"])


def entries(system, name):
    value = getattr(system, name)
    return value if name.startswith("initial") or name in COEFFICIENTS else value[0]


def everything_free(system, share=1.0, rng=None, initialization="free"):
    masks = {}
    for name in EVERY:
        if getattr(system, name) is not None:
            shape = entries(system, name).shape
            free = np.ones(shape, dtype=bool) if rng is None else rng.random(shape) < share
            masks[name] = free & free.T if name in COVARIANCES else free
            if name.startswith("initial") and initialization != "free":
                masks[name][...] = False
    floors = {name: np.full(len(entries(system, name)), 1e-9) for name in COVARIANCES}
    return FreeEntries(masks, floors, initialization, False)


def em_step(M, sequences, inputs):
    """The textbook's step for all matrices, on regressors (a, 1, x), by the joint law of all states and data."""
    m, p = len(M["transition"]), len(M["design"])
    k = inputs[0].shape[1]
    used = [k if M[name] is not None else 0 for name in COEFFICIENTS]
    obs = {"aa": 0.0, "ya": 0.0, "yy": 0.0, "n": 0}
    states = {"aa": 0.0, "ya": 0.0, "yy": 0.0, "n": 0}
    first, squares = 0.0, 0.0
    for Y, x in zip(sequences, inputs, strict=True):
        n = len(Y)
        mean, cov = joint_law(M, n)
        moved, seen_offset = offsets(M, x)
        mean = mean + np.concatenate([moved.ravel(), seen_offset.ravel()])
        y = Y.ravel()
        seen = n * m + np.flatnonzero(~np.isnan(y))
        gain = np.linalg.solve(cov[np.ix_(seen, seen)], cov[seen]).T
        mu = mean + gain @ (y[seen - n * m] - mean[seen])
        second = cov - gain @ cov[seen] + np.outer(mu, mu)
        for t in range(n):
            a, o = slice(t * m, (t + 1) * m), slice(n * m + t * p, n * m + (t + 1) * p)
            pairs = [(obs, o, used[0])] + ([(states, slice((t + 1) * m, (t + 2) * m), used[1])] if t + 1 < n else [])
            for sums, left, width in pairs:
                beside = np.concatenate([[1.0], x[t, :width]])
                aa = np.block(
                    [[second[a, a], np.outer(mu[a], beside)], [np.outer(beside, mu[a]), np.outer(beside, beside)]]
                )
                sums["aa"] += aa
                sums["ya"] += np.column_stack([second[left, a], np.outer(mu[left], beside)])
                sums["yy"] += second[left, left]
                sums["n"] += 1
        first += mu[:m]
        squares += second[:m, :m]
    new = dict(M)
    for sums, (A, c, B), cov in (
        (obs, ("design", "obs_intercept", "obs_exog"), "obs_cov"),
        (states, ("transition", "state_intercept", "state_exog"), "state_cov"),
    ):
        solved = np.linalg.solve(sums["aa"], sums["ya"].T).T
        new[A], new[c] = solved[:, :m], solved[:, m]
        new[B] = solved[:, m + 1 :] if solved.shape[1] > m + 1 else None
        new[cov] = (sums["yy"] - solved @ sums["ya"].T - sums["ya"] @ solved.T + solved @ sums["aa"] @ solved.T) / sums[
            "n"
        ]
    new["initial_state"] = first / len(sequences)
    new["initial_state_cov"] = squares / len(sequences) - np.outer(new["initial_state"], new["initial_state"])
    return new


# The likelihood, its gradient, and the steps


@settings(max_examples=25)
@given(seeds, st.sampled_from(["obs", "state", "both"]), st.sampled_from(["free", "stationary"]))
def test_the_slope_in_the_coefficients_is_the_likelihoods(seed, where, initialization):
    rng, M, sequences, inputs = draw(seed, where)
    system = system_of(M)
    if initialization == "stationary":
        system = at_stationary_start(system)
        M = M | {"initial_state": system.initial_state, "initial_state_cov": system.initial_state_cov}
    parametrisation = MatrixParametrisation(system, everything_free(system, initialization=initialization))
    data = read_observations(sequences)
    objective = ObjectiveWithInputs(parametrisation, data, None, read_inputs(inputs, data))
    theta = parametrisation.start()
    value, slope = objective.value_and_slope(theta)
    assert value == pytest.approx(dense_value(M, sequences, inputs), rel=1e-9)
    assert objective.value(theta) == pytest.approx(value, rel=1e-12)
    for way in rng.standard_normal((3, len(theta))):
        rises = [objective.value(theta + h * way) - objective.value(theta - h * way) for h in (1e-5, 2e-5)]
        along = (4 * rises[0] / 2e-5 - rises[1] / 4e-5) / 3
        assert abs(slope @ way - along) <= 1e-6 * max(np.abs(slope).max(), 1.0)
    assert sum(name.startswith(COEFFICIENTS) for name in parametrisation.names) == sum(
        M[name].size for name in COEFFICIENTS if M[name] is not None
    )


@given(seeds, st.sampled_from(["obs", "state", "both"]))
def test_a_step_is_the_textbooks_regression_on_states_and_inputs(seed, where):
    _, M, sequences, inputs = draw(seed, where)
    system = system_of(M)
    E = expect(system, frames_of(system, sequences, inputs), None, inputs)
    found = improve(system, E, everything_free(system))
    for name, wanted in em_step(M, sequences, inputs).items():
        if name in COEFFICIENTS and wanted is None:
            assert getattr(found, name) is None
        elif name != "selection":
            assert np.abs(entries(found, name) - wanted).max() <= 1e-7 * np.abs(wanted).max()


@given(seeds, st.sampled_from(["free", "stationary"]))
def test_no_step_lowers_the_likelihood_and_what_is_held_stays(seed, initialization):
    rng, M, sequences, inputs = draw(seed)
    system = system_of(M)
    if initialization == "stationary":
        system = at_stationary_start(system)
    free = everything_free(system, 0.6, rng, initialization)
    before = -np.inf

    def value(system):
        return weighted_log_likelihood(system, sequences, None, inputs)

    for _ in range(5):
        E = expect(system, frames_of(system, sequences, inputs), None, inputs)
        assert E.log_likelihood >= before - 1e-9 * max(1.0, abs(before))
        before = E.log_likelihood
        moved = improve(system, E, free, value)
        for name in COEFFICIENTS:
            old, new = getattr(system, name), getattr(moved, name)
            assert np.array_equal(old[~free.masks[name]], new[~free.masks[name]])
        system = moved


@given(seeds, st.sampled_from(["obs", "state", "both"]))
def test_a_start_has_the_coefficients_of_generalised_least_squares(seed, where):
    _, M, sequences, inputs = draw(seed, where)
    system = system_of(M)
    blank = {name: np.zeros_like(M[name]) for name in COEFFICIENTS if M[name] is not None}
    free = everything_free(system)
    found = settled(system._replace(**blank), free, sequences, None, inputs)
    # the obvious way: the data are linear in the coefficients, with a covariance that all sequences know
    names = ["obs_intercept", *blank]
    left, right = 0.0, 0.0
    for Y, x in zip(sequences, inputs, strict=True):
        mean, cov = joint_law(M, len(Y))
        seen = np.flatnonzero(~np.isnan(Y.ravel()))
        start = len(mean) - Y.size
        F = cov[np.ix_(start + seen, start + seen)]
        base = M | dict.fromkeys(COEFFICIENTS) | blank
        base = base | {"obs_intercept": np.zeros(len(M["design"]))}
        columns = []
        for name in names:
            for place in np.ndindex(np.shape(base[name])):
                one = base[name].copy()
                one[place] = 1.0
                changed = base | {name: one}
                columns.append((np.tile(changed["obs_intercept"], len(Y)) + offsets(changed, x)[1].ravel())[seen])
        A = np.array(columns).T
        y = (Y - (mean[start:].reshape(Y.shape) - M["obs_intercept"])).ravel()[seen]
        left = left + A.T @ np.linalg.solve(F, A)
        right = right + A.T @ np.linalg.solve(F, y)
    wanted = np.linalg.lstsq(left, right, rcond=None)[0]
    got = np.concatenate([np.ravel(getattr(found, name)) for name in names])
    scale = np.sqrt(np.diagonal(left))
    assert np.abs((got - wanted) * scale).max() <= 1e-6 * np.abs(wanted * scale).max()


# Fits


@pytest.mark.parametrize("method", ["em", "lbfgs"])
def test_without_dynamics_the_fit_is_ordinary_least_squares(method):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 3)) * [1.0, 1e3, 1e-3] + [0.0, 5e3, 0.0]
    y = x @ [2.0, -1e-3, 500.0] + 4.0 + rng.standard_normal(80)
    y[10:15] = np.nan
    nothing = {"design": [[0.0]], "transition": [[0.0]], "state_cov": [[0.0]], "initial_state_cov": [[0.0]]}
    model = LinearDynamicalSystem(
        method=method,
        init=nothing | {"state_intercept": [0.0], "initial_state": [0.0]},
        fixed=dict.fromkeys([*nothing, "state_intercept", "initial_state"], True),
        initialization="known",
        intercepts=True,
        tol=1e-11,
    ).fit(y, exog=x)
    ols = sm.OLS(y, np.column_stack([np.ones(80), x]), missing="drop").fit()
    got = np.concatenate([model.obs_intercept_, model.obs_exog_[0]])
    assert got == pytest.approx(ols.params, rel=1e-6)
    assert model.obs_cov_[0, 0] == pytest.approx(ols.ssr / ols.nobs, rel=1e-6)
    assert model.score(y, exog=x) == pytest.approx(ols.llf, rel=1e-9)
    assert model.n_parameters == 5
    errors = dict(zip(model.summary().names, model.standard_errors(), strict=True))
    scale = np.sqrt(ols.df_resid / ols.nobs)  # of the likelihood, not unbiased
    wanted = dict(zip(["obs_intercept[0]", *(f"obs_exog[0, {k}]" for k in range(3))], ols.bse * scale, strict=True))
    for name, error in wanted.items():
        assert errors[name] == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("method", ["em", "lbfgs"])
def test_a_level_with_an_input_is_that_of_statsmodels(method):
    rng = np.random.default_rng(1)
    x = np.column_stack([np.sin(np.arange(100.0)), rng.standard_normal(100)])
    y = NILE + x @ [100.0, 30.0]
    y[40:50] = np.nan
    walk = {"design": [[1.0]], "transition": [[1.0]]}
    model = LinearDynamicalSystem(
        method=method,
        initialization="diffuse",
        init=walk,
        fixed=dict.fromkeys(walk, True),
        acceleration="squarem" if method == "em" else None,
        tol=1e-9,
    ).fit(y, exog=x)
    theirs = sm.tsa.UnobservedComponents(y, "llevel", exog=x, mle_regression=True, use_exact_diffuse=True)
    at = [model.obs_cov_[0, 0], model.state_cov_[0, 0], *model.obs_exog_[0]]
    assert model.score(y, exog=x) == pytest.approx(theirs.loglike(at), abs=1e-6)
    best = theirs.fit(at, disp=0, method="nm", maxiter=5000, xtol=1e-10, ftol=1e-12)
    assert model.score(y, exog=x) >= best.llf - 1e-6
    assert model.obs_exog_[0] == pytest.approx(best.params[2:], rel=1e-3)


def test_an_autoregression_with_inputs_and_noise_is_sarimax():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((150, 2))
    a = np.zeros(150)
    for t in range(1, 150):
        a[t] = 0.8 * a[t - 1] + rng.standard_normal()
    y = x @ [1.5, -2.0] + a + 0.5 * rng.standard_normal(150)
    y[30:34] = np.nan
    model = LinearDynamicalSystem(
        method="lbfgs", initialization="stationary", init={"design": [[1.0]]}, fixed={"design": True}
    ).fit(y, exog=x)
    theirs = sm.tsa.SARIMAX(y, exog=x, order=(1, 0, 0), measurement_error=True)
    at = [*model.obs_exog_[0], model.transition_[0, 0], model.obs_cov_[0, 0], model.state_cov_[0, 0]]
    assert model.score(y, exog=x) == pytest.approx(theirs.loglike(at), abs=1e-6)
    assert model.score(y, exog=x) >= theirs.fit(disp=0).llf - 1e-6
    ahead = rng.standard_normal((3, 2))
    law = model.forecast(y, 3, exog=np.concatenate([x, ahead]))
    assert law.mean[:, 0] == pytest.approx(theirs.smooth(at).forecast(3, exog=ahead), rel=1e-6)


@pytest.mark.parametrize("where", ["state", "both"])
def test_em_and_the_gradient_find_the_same_coefficients_of_states(where):
    rng = np.random.default_rng(3)
    sequences, inputs = [], []
    for n in (60, 80):
        x, a, y = rng.standard_normal((n, 1)), np.zeros(n), np.zeros(n)
        for t in range(n):
            y[t] = a[t] + 0.7 * rng.standard_normal()
            if t + 1 < n:
                a[t + 1] = 0.6 * a[t] + 2.0 * x[t, 0] + 0.5 * rng.standard_normal()
        sequences.append(y)
        inputs.append(x)
    sequences[0][5] = np.nan
    kw = {"init": {"design": [[1.0]]}, "fixed": {"design": True}, "initialization": "stationary", "exog": where}
    em = LinearDynamicalSystem(tol=1e-10, n_iter=3000, **kw).fit(sequences, exog=inputs)
    leaps = LinearDynamicalSystem(tol=1e-10, acceleration="squarem", **kw).fit(sequences, exog=inputs)
    gradient = LinearDynamicalSystem(method="lbfgs", **kw).fit(sequences, exog=inputs)
    flat = LinearDynamicalSystem(method="lbfgs", **kw).fit(
        np.concatenate(sequences), [60, 80], exog=np.concatenate(inputs)
    )
    value = gradient.score(sequences, exog=inputs)
    for other in (em, leaps):
        assert other.score(sequences, exog=inputs) == pytest.approx(value, abs=1e-6)
        assert other.state_exog_ == pytest.approx(gradient.state_exog_, rel=1e-3)
    assert flat.state_exog_ == pytest.approx(gradient.state_exog_, rel=1e-9)
    assert gradient.state_exog_[0, 0] == pytest.approx(2.0, abs=0.3)
    assert (gradient.obs_exog_ is None) == (where == "state")
    assert gradient.n_parameters == 4 + (where == "both")


def test_a_weight_of_two_is_a_sequence_twice_and_none_is_none():
    rng = np.random.default_rng(4)
    inputs = [rng.standard_normal((n, 2)) for n in (40, 50, 30)]
    sequences = [x @ [1.0, 2.0] + rng.standard_normal(len(x)).cumsum() * 0.3 for x in inputs]
    kw = {"method": "lbfgs", "initialization": "stationary", "random_state": 0}
    weighted = LinearDynamicalSystem(**kw).fit(sequences, exog=inputs, sample_weight=[2, 1, 0])
    twice = LinearDynamicalSystem(**kw).fit([sequences[0], *sequences[:2]], exog=[inputs[0], *inputs[:2]])
    assert weighted.obs_exog_ == pytest.approx(twice.obs_exog_, rel=1e-4)
    em = LinearDynamicalSystem(n_iter=20, initialization="stationary", tol=np.inf)
    assert em.fit(sequences, exog=inputs, sample_weight=[2, 1, 0]).obs_exog_.shape == (1, 2)


def test_coefficients_that_are_held_stay_and_are_not_counted():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((60, 2))
    Y = np.column_stack([x @ [1.0, 0.0], x @ [0.0, -3.0]]) + rng.standard_normal((60, 2))
    only = np.array([[False, True], [True, False]])
    kw = {"init": {"obs_exog": np.zeros((2, 2))}, "fixed": {"obs_exog": only}, "initialization": "stationary"}
    for method in ("em", "lbfgs"):
        model = LinearDynamicalSystem(method=method, tol=1e-6, **kw).fit(Y, exog=x)
        assert (model.obs_exog_[only] == 0).all()
        assert model.obs_exog_[~only] == pytest.approx([1.0, -3.0], abs=0.5)
        plain = LinearDynamicalSystem(method=method, tol=1e-6, initialization="stationary").fit(Y)
        assert model.n_parameters == plain.n_parameters + 2
        assert [name for name in model.summary().names if "exog" in name] == ["obs_exog[0, 0]", "obs_exog[1, 1]"]


def test_a_change_of_basis_of_the_states_is_no_parameter_of_their_inputs():
    rng = np.random.default_rng(6)
    M = draw_matrices(rng, 2, 3) | {"obs_exog": None, "state_exog": rng.standard_normal((2, 1))}
    system = system_of(M)
    free = everything_free(system)
    with_inputs = count_parameters(system, free)
    del free.masks["state_exog"]
    assert with_inputs == count_parameters(system._replace(state_exog=None), free) + 2


def test_a_fit_with_inputs_comes_back_from_its_file(tmp_path):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((50, 1))
    y = 2 * x[:, 0] + rng.standard_normal(50)
    model = LinearDynamicalSystem(exog="both", initialization="stationary", tol=1e-3).fit(y, exog=x)
    model.save(tmp_path / "model")
    again = statespace.load(tmp_path / "model")
    assert again.exog == "both"
    assert np.array_equal(again.obs_exog_, model.obs_exog_)
    assert np.array_equal(again.state_exog_, model.state_exog_)
    assert again.n_parameters == model.n_parameters
    assert again.bic(y, exog=x) == model.bic(y, exog=x)
    model.fit(y)
    assert model.obs_exog_ is None


def test_the_inputs_of_a_simulation_are_found_again():
    rng = np.random.default_rng(8)
    M = draw_matrices(rng, 2, 2)
    D, x = np.array([[1.0, -2.0], [0.5, 3.0]]), rng.standard_normal((400, 2))
    truth = LinearDynamicalSystem.from_matrices(**M, obs_exog=D)
    Y, _ = truth.sample(400, 0, exog=x)
    model = LinearDynamicalSystem(2, method="lbfgs", intercepts=True, initialization="stationary").fit(Y, exog=x)
    assert model.obs_exog_ == pytest.approx(D, abs=0.5)
    assert model.score(Y, exog=x) > truth.score(Y, exog=x)


def test_what_is_wrong_with_inputs_is_said_in_words():
    import pandas as pd

    y, x = NILE, np.random.default_rng(9).standard_normal((100, 2))
    model = LinearDynamicalSystem(initialization="stationary")
    with pytest.raises(ValueError, match="exog has 99 rows, X 100"):
        model.fit(y, exog=x[1:])
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"exog has a missing entry at \[3, 1\]"):
        model.fit(y, exog=x)
    x[:, 1] = 1.0
    with pytest.raises(ValueError, match=r"exog\[:, 1\] is constant, as the intercept or the level"):
        LinearDynamicalSystem(intercepts=True).fit(y, exog=x)
    with pytest.raises(ValueError, match=r"exog\[:, 2\] is a combination of the columns before it"):
        model.fit(y, exog=np.column_stack([x, x.sum(axis=1)]))
    with pytest.raises(ValueError, match=r"exog\[:, 0\] is 0 at every step"):
        model.fit(y, exog=np.zeros(100))
    with pytest.raises(ValueError, match="exog is 'states', expected"):
        LinearDynamicalSystem(exog="states").fit(y, exog=x)
    with pytest.raises(ValueError, match="'state' or 'both' has state_exog"):
        LinearDynamicalSystem(init={"state_exog": [[1.0, 1.0]]}).fit(y, exog=x)
    with pytest.raises(ValueError, match="fit has no exog"):
        LinearDynamicalSystem(fixed={"obs_exog": True}).fit(y)
    with pytest.raises(ValueError, match="has 3 columns, and exog has 2"):
        LinearDynamicalSystem(init={"obs_exog": np.zeros((1, 3))}).fit(y, exog=x)
    with pytest.raises(ValueError, match="exog has other lengths than X"):
        model.fit([y[:50], y[50:]], exog=[x[:40], x[40:]])
    with pytest.raises(ValueError, match="exog has another index than X"):
        model.fit(pd.Series(y, index=range(100)), exog=pd.DataFrame(x, index=range(1, 101)))
    assert not hasattr(model, "design_")
