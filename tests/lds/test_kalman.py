"""The filter against the joint Gaussian in hundreds of digits, against itself, and against printed figures."""

import numpy as np
import pytest
import statsmodels.datasets.nile
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.lds.dynamics import make_dynamics
from statespace.lds.few_states import FILTERS
from statespace.lds.filtering import filter_covariance, likelihood_covariance
from statespace.lds.frames import make_frames
from tests import naive_lds
from tests.lds.agreement import Given, check, check_filter, error, is_covariance
from tests.lds.systems import make, simulated, systems


def nile():
    return statsmodels.datasets.nile.load_pandas().data["volume"].to_numpy(dtype=float, copy=True)


def local_level(obs_variance, state_variance):
    return make(1.0, obs_variance, 1.0, state_variance, initialization="diffuse")


@settings(max_examples=120)
@given(systems())
def test_the_filter_is_the_conditional_law_of_the_joint_gaussian(case):
    check_filter(*case)


@pytest.mark.parametrize("form", ["covariance", "square_root"])
@settings(max_examples=40)
@given(case=systems(octaves=2))
def test_either_form_alone_is_right(form, case):
    """The covariance form where it says that it has not lost digits."""
    system, Y = case
    if not Given(system).filter(Y, form=form).digits_lost:
        check_filter(system, Y, form=form)


@settings(max_examples=25)
@given(systems(max_states=4, max_features=4, max_steps=6))
def test_more_features_than_states_are_no_special_case(case):
    check_filter(*case)


@settings(max_examples=25)
@given(systems(starts=("known", "stationary"), obs_kinds=("full", "diagonal"), octaves=2))
def test_the_filter_is_that_of_the_textbook(case):
    system, Y = case
    right, found = naive_lds.textbook_filter(system, Y), Given(system).filter(Y)
    for name, value in right.items():
        check(getattr(found, name), value, name, 1.0)


@pytest.mark.parametrize("form", ["auto", "covariance", "square_root"])
@settings(max_examples=60)
@given(case=systems(octaves=2))
def test_covariances_are_symmetric_and_semidefinite(form, case):
    system, Y = case
    found = Given(system).filter(Y, form=form)
    is_covariance(found.predicted_cov[found.n_diffuse_steps :])
    is_covariance(found.filtered_cov[found.n_diffuse_steps :])
    is_covariance(found.innovation_cov)


# Printed figures


@pytest.mark.parametrize("form", ["auto", "covariance", "square_root"])
def test_nile_has_the_likelihood_that_is_printed(form):
    model = Given(local_level(15099.0, 1469.1))
    missing = nile()
    missing[20:40] = missing[60:80] = np.nan
    for data, durbin_koopman, kfas in ((nile(), -633.4646, -632.5456), (missing, -381.5060, -380.5871)):
        assert model.log_likelihood(data, form=form) == pytest.approx(durbin_koopman, abs=5e-5)
        assert model.log_likelihood(data, form=form, convention="kfas") == pytest.approx(kfas, abs=5e-5)
        assert model.filter(data, form=form).log_likelihood == pytest.approx(durbin_koopman, abs=5e-5)


@pytest.mark.parametrize("gaps", [False, True])
def test_nile_to_all_digits(gaps):
    data = nile()
    if gaps:
        data[20:40] = data[60:80] = np.nan
    system = local_level(15099.0, 1469.1)
    right = naive_lds.precise_filter(system, data[:, None])
    found = Given(system).filter(data)
    for name in ("log_likelihood", "log_likelihood_steps", "filtered_mean", "filtered_cov"):
        check(getattr(found, name), right[name], name, tolerance=1e-13)
    check(found.predicted_mean[1:], right["predicted_mean"][1:], "predicted_mean", tolerance=1e-13)


# Steps


@settings(max_examples=40)
@given(systems(), st.data())
def test_a_stream_goes_on_where_it_stopped(case, data):
    system, Y = case
    if system.n_times is not None:
        return
    cut = data.draw(st.integers(1, len(Y)))
    model, whole = Given(system), Given(system).filter(Y)
    first = model.filter(Y[:cut])
    parts = [first]
    if cut < len(Y):
        parts.append(model.filter(Y[cut:], state=first.state))
    if not np.isfinite(whole.log_likelihood):
        assert sum(part.log_likelihood for part in parts) == -np.inf
    else:
        check(sum(part.log_likelihood for part in parts), whole.log_likelihood, "log_likelihood", len(Y), 1e-10)
    for name, keep in (("predicted_mean", slice(1, None)), ("predicted_cov", slice(1, None)), ("filtered_mean", ...)):
        joined = np.concatenate([getattr(part, name)[keep] for part in parts])
        size = np.abs(getattr(whole, "predicted_cov" if name.endswith("cov") else "predicted_mean")).max()
        check(joined, getattr(whole, name)[keep], name, size, 1e-10)


@settings(max_examples=60)
@given(systems())
def test_steps_sum_to_the_total(case):
    system, Y = case
    model = Given(system)
    for convention in ("durbin-koopman", "kfas"):
        total = model.log_likelihood(Y, convention=convention)
        steps = model.log_likelihood(Y, by="step", convention=convention)
        np.testing.assert_array_equal(np.isnan(steps), np.isnan(Y).all(axis=1))
        assert np.nansum(steps) == pytest.approx(total, rel=1e-12, abs=1e-12) or total == -np.inf


def test_the_last_step_alone_may_be_kept():
    system, Y = local_level(2.0, 1.0), np.arange(5.0)[:, None]
    full, last = Given(system).filter(Y), Given(system).filter(Y, memory="last")
    for name in ("predicted_mean", "predicted_cov", "filtered_mean", "filtered_cov"):
        np.testing.assert_array_equal(getattr(last, name)[-1], getattr(full, name)[-1])
    assert last.log_likelihood == full.log_likelihood


# Contradictions


@pytest.mark.parametrize("form", ["auto", "covariance", "square_root"])
def test_what_cannot_be_is_impossible(form):
    system = make([[1.0], [2.0]], np.zeros((2, 2)), 0.5, 1.0, initial_state=[0.0], initial_state_cov=[[1.0]])
    model = Given(system)
    agrees = np.array([[1.0, 2.0], [0.25, 0.5]])
    assert np.isfinite(model.log_likelihood(agrees, form=form))
    agrees[1, 1] += 1e-3
    assert model.log_likelihood(agrees, form=form) == -np.inf
    steps = model.filter(agrees, form=form).log_likelihood_steps
    assert np.isfinite(steps[0])
    assert steps[1] == -np.inf


@pytest.mark.parametrize("form", ["auto", "covariance", "square_root"])
@pytest.mark.parametrize("m", [1, 2, 6])
def test_what_cannot_be_is_impossible_where_gains_are_steady(form, m):
    """The second feature is twice the first, and all others are noise; alone and beside another sequence."""
    system = make(
        np.vstack([np.ones(m), 2 * np.ones(m)]),
        np.zeros((2, 2)),
        0.5 * np.eye(m),
        np.eye(m),
        initial_state=np.zeros(m),
        initial_state_cov=np.eye(m),
    )
    model, Y = Given(system), simulated(system, 80)
    Y[:, 1] = 2 * Y[:, 0]
    agrees, Y = Y, Y.copy()
    Y[60, 1] += 1e-3
    if form == "covariance":
        assert model.filter(Y, form=form).steady_from < 60
    assert np.isfinite(model.log_likelihood(agrees, form=form))
    assert model.log_likelihood(Y, form=form) == -np.inf
    steps = model.filter(Y, form=form).log_likelihood_steps
    assert np.isneginf(steps).tolist() == [t == 60 for t in range(80)]
    both = model.log_likelihood([agrees, Y], by="sequence", form=form)
    assert np.isfinite(both).tolist() == [True, False]


@pytest.mark.parametrize("form", ["auto", "covariance", "square_root"])
@pytest.mark.parametrize("diffuse", [False, True])
@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_a_contradiction_is_one_whatever_the_unit_of_other_features(form, diffuse, unit):
    system = make(
        [[unit, 0.0], [0.0, 1.0], [0.0, 3.0]],
        np.diag([unit**2, 0.0, 0.0]),
        0.5 * np.eye(2),
        np.eye(2),
        initial_state=np.zeros(2),
        initial_state_cov=np.eye(2),
        diffuse=np.full(2, diffuse),
    )
    model, Y = Given(system), simulated(system, 5, start=np.ones(2))
    Y[:, 2] = 3 * Y[:, 1]
    for X in (Y, [Y, Y[:4]]):
        assert np.isfinite(model.log_likelihood(X, form=form))
    for t in (0, 3):
        wrong = Y.copy()
        wrong[t, 2] += 1e-3
        assert model.log_likelihood(wrong, form=form) == -np.inf
        assert model.log_likelihood([wrong, Y], form=form) == -np.inf


# The steady state


def in_both_ways(system, Y):
    dynamics, frames = make_dynamics(system), make_frames(system, Y)
    return [filter_covariance(system, dynamics, frames, freeze=freeze) for freeze in (True, False)]


@settings(max_examples=40)
@given(
    systems(
        max_steps=1,
        time_varying=False,
        missing=False,
        obs_kinds=("full", "diagonal"),
        state_kinds=("full", "diagonal", "singular"),
        starts=("stationary", "mixed_stationary"),
    ),
    st.integers(0, 10),
    st.booleans(),
)
def test_frozen_gains_change_nothing(case, seed, gaps):
    system, _ = case
    n = 150
    Y = simulated(system, n, seed)
    if gaps:
        Y[40:43] = np.nan
        Y[80:, 0] = np.nan
    frozen, full = in_both_ways(system, Y)
    assert full.steady_from is None
    check(frozen.steps, full.steps, "steps", 1.0, 1e-10)
    n_steps = len(Y)
    for name in ("a", "af"):
        check(getattr(frozen, name), getattr(full, name), name, np.abs(full.a).max(), 1e-10)
    for name, length in (("P", n_steps + 1), ("Pf", n_steps)):
        tables = [getattr(one, name)[one.place[:length]] for one in (frozen, full)]
        check(*tables, name, np.abs(full.P).max(), 1e-10)


def test_the_result_says_from_where_on_gains_are_steady():
    system = local_level(2.0, 1.0)
    Y = simulated(system, 300)
    steady = Given(system).filter(Y).steady_from
    assert 5 < steady < 60
    P = Given(system).filter(Y).predicted_cov[:, 0, 0]
    limit = 0.5 * (1.0 + np.sqrt(1.0 + 8.0))  # P^2 = P + 2 of P = P - P^2 / (P + 2) + 1
    assert P[-1] == pytest.approx(limit, rel=1e-13)
    assert abs(P[steady] - limit) < 1e-13
    assert Given(system).filter(Y[:5]).steady_from is None


@pytest.mark.parametrize("gap", [1e-2, 1e-3])
def test_what_settles_slowly_is_not_taken_to_be_steady_too_soon(gap):
    """A variance that comes within 1e-10 of its limit after thousands of steps."""
    system = make(1.0, 1.0, 1.0, gap**2, initial_state=[0.0], initial_state_cov=[[1.0]])
    Y = simulated(system, 3000)
    right = naive_lds.precise_filter(system, Y, bits=300)
    found = Given(system).filter(Y)
    for name in ("predicted_cov", "filtered_cov", "filtered_mean", "log_likelihood_steps"):
        check(getattr(found, name), right[name], name, tolerance=1e-10)


def test_a_hundred_thousand_steps():
    """A local level as three lines of arithmetic."""
    n, h, q = 100_000, 2.0, 0.5
    system = make(1.0, h, 1.0, q, initial_state=[0.0], initial_state_cov=[[3.0]])
    y = simulated(system, n)[:, 0]
    y[5000:5010] = np.nan
    a, P, total = 0.0, 3.0, 0.0
    for value in y.tolist():
        if value == value:
            F = P + h
            total -= 0.5 * (np.log(2 * np.pi * F) + (value - a) ** 2 / F)
            a, P = a + P / F * (value - a), P * h / F
        P += q
    found = Given(system).filter(y)
    assert found.log_likelihood == pytest.approx(total, rel=1e-11)
    assert found.predicted_mean[-1, 0] == pytest.approx(a, rel=1e-11)
    assert found.predicted_cov[-1, 0, 0] == pytest.approx(P, rel=1e-13)
    assert Given(system).log_likelihood(y) == pytest.approx(total, rel=1e-11)


# Several sequences


@settings(max_examples=25)
@given(systems(time_varying=False, min_steps=2), st.data())
def test_a_panel_is_its_sequences(case, data):
    system, Y = case
    model = Given(system)
    parts = [Y[: data.draw(st.integers(1, len(Y)))] for _ in range(data.draw(st.integers(1, 4)))]
    singles = [model.log_likelihood(part) for part in parts]
    together = model.log_likelihood(parts, by="sequence")
    for one, other in zip(singles, together, strict=True):
        assert one == other or error(other, one, len(Y)) < 1e-12
    for part, found in zip(parts, model.filter(parts), strict=True):
        check(found.filtered_mean, model.filter(part).filtered_mean, "filtered_mean", 0.0, 1e-14)


# Kernels for so many states


@settings(max_examples=80)
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(["obs_cov", "transition", "state_cov", "state_intercept", "design", ""]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_kernels_of_few_states_do_what_the_one_for_any_number_does(m, p, timed, gaps, seed):
    """Every table, the log-likelihood with and without them, and where the steps are steady."""
    rng = np.random.default_rng(seed)
    n = 90
    L, K = rng.normal(size=(p, p)), rng.normal(size=(m, m)) * (rng.random(m) < 0.7)
    matrices = {
        "design": rng.normal(size=(p, m)),
        "obs_cov": L @ L.T,
        "transition": rng.uniform(0.3, 1.0) * np.linalg.qr(rng.normal(size=(m, m)))[0],
        "state_cov": K @ K.T,
        "state_intercept": rng.normal(size=m),
    }
    if timed:
        shape = (n,) + (1,) * np.ndim(matrices[timed])
        matrices[timed] = matrices[timed] * rng.choice([0.5, 1.0], shape)
    system = make(**matrices, initial_state=rng.normal(size=m), initial_state_cov=np.eye(m))
    Y = simulated(system, n, seed=seed)
    if gaps:
        Y[40:44] = np.nan
        Y[rng.random((n, p)) < 0.02] = np.nan
    arguments = system, make_dynamics(system), make_frames(system, Y)
    found, total = filter_covariance(*arguments), likelihood_covariance(*arguments)
    few = FILTERS.pop(m)
    try:
        right, right_total = filter_covariance(*arguments), likelihood_covariance(*arguments)
    finally:
        FILTERS[m] = few
    check(total[0], right_total[0], "log_likelihood", n, 1e-12)
    assert total[1:] == right_total[1:]
    for name in ("a", "af", "v", "steps"):
        check(getattr(found, name), getattr(right, name), name, tolerance=1e-11)
    for name in ("P", "Pf", "k", "F", "kind"):
        spread = [getattr(one, name)[one.place[:n]] for one in (found, right)]
        if name == "k":  # without a number there is no gain
            spread = [gain[right.kind[right.place[:n]] != 0] for gain in spread]
        check(*spread, name, tolerance=1e-11)
    assert (found.steady_from is None) == (right.steady_from is None)
    assert found.lost == right.lost
