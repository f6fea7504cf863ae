import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import statespace
from statespace.foundations.em import ConvergenceWarning
from statespace.foundations.estimator import NotFittedError, clone
from statespace.foundations.parameter_count import count_parameters
from statespace.lds.expectation_maximisation import expect, improve
from statespace.lds.fitting import value_of
from statespace.lds.frames import make_frames
from statespace.lds.model import LinearDynamicalSystem
from tests.lds.dense_em import draw_data, draw_matrices

NAMES = (
    "design",
    "obs_cov",
    "transition",
    "state_cov",
    "selection",
    "obs_intercept",
    "state_intercept",
    "initial_state",
    "initial_state_cov",
)
ignore_unconverged = pytest.mark.filterwarnings("ignore::statespace.foundations.em.ConvergenceWarning")


def data(seed, m, p, n=60, **options):
    rng = np.random.default_rng(seed)
    M = draw_matrices(rng, m, p)
    return draw_data(rng, M, n, **options)


def given_model(seed=0, m=2, p=3):
    M = draw_matrices(np.random.default_rng(seed), m, p)
    return LinearDynamicalSystem.from_matrices(**M), M


# Matrices that are given


def test_matrices_that_are_given_are_attributes():
    model, M = given_model()
    for name in NAMES:
        assert np.array_equal(getattr(model, f"{name}_"), M[name])
    assert model.n_states == 2
    assert model.n_parameters == 0
    assert not model.diffuse_.any()
    assert not model.stationary_.any()


def test_what_changes_with_time_keeps_its_axis():
    _, M = given_model()
    M["design"] = np.tile(M["design"], (7, 1, 1))
    model = LinearDynamicalSystem.from_matrices(**M)
    assert model.design_.shape == (7, 3, 2)
    assert model.transition_.shape == (2, 2)


def test_a_matrix_assigned_by_hand_is_used_and_checked():
    model, M = given_model()
    Y = data(1, 2, 3)
    before = model.score(Y)
    model.obs_cov_ = 2 * M["obs_cov"]
    other = LinearDynamicalSystem.from_matrices(**(M | {"obs_cov": 2 * M["obs_cov"]}))
    assert model.score(Y) == other.score(Y) != before
    model.obs_cov_[0, 0] *= 3  # in place
    assert model.score(Y) != other.score(Y)
    model.obs_cov_ = -M["obs_cov"]
    with pytest.raises(ValueError, match="the matrices of this LinearDynamicalSystem: obs_cov has the variance"):
        model.score(Y)
    model.obs_cov_ = np.eye(2)
    with pytest.raises(ValueError, match=r"obs_cov has shape \(2, 2\)"):
        model.score(Y)


def test_a_stationary_start_follows_a_transition_assigned_by_hand():
    M = draw_matrices(np.random.default_rng(0), 2, 1)
    del M["initial_state"], M["initial_state_cov"]
    model = LinearDynamicalSystem.from_matrices(**M)
    assert model.stationary_.all()
    model.transition_ = 0.5 * M["transition"]
    again = LinearDynamicalSystem.from_matrices(**(M | {"transition": 0.5 * M["transition"]}))
    Y = data(3, 2, 1)
    assert model.score(Y) == again.score(Y)


def test_coefficients_of_inputs_move_the_intercepts():
    _, M = given_model()
    D, B, x = np.array([[1.0], [2.0], [0.0]]), np.array([[0.5], [-1.0]]), np.sin(np.arange(9.0))[:, None]
    driven = LinearDynamicalSystem.from_matrices(**M, obs_exog=D, state_exog=B)
    moved = M | {"obs_intercept": M["obs_intercept"] + x @ D.T, "state_intercept": M["state_intercept"] + x @ B.T}
    Y = data(2, 2, 3, 9)
    wanted = LinearDynamicalSystem.from_matrices(**moved).score(Y)
    assert driven.log_likelihood(Y, exog=x) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(ValueError, match="obs_exog has shape"):
        LinearDynamicalSystem.from_matrices(**M, obs_exog=np.ones((2, 1)))
    with pytest.raises(ValueError, match="expected the same"):
        LinearDynamicalSystem.from_matrices(**M, obs_exog=np.ones((3, 1)), state_exog=np.ones((2, 2)))


def test_a_model_without_matrices_says_so():
    with pytest.raises(NotFittedError, match="call fit"):
        LinearDynamicalSystem(2).score([1.0, 2.0])
    assert not hasattr(LinearDynamicalSystem(2), "n_parameters")


# Files and copies


@ignore_unconverged
def test_a_file_brings_back_the_model(tmp_path):
    Y = data(0, 2, 2)
    fitted = LinearDynamicalSystem(
        2, initialization="stationary", n_iter=3, fixed={"obs_intercept": True}, init={"state_cov": np.eye(2)}
    ).fit(Y)
    _, M = given_model(1, 2, 2)
    inputs = {"obs_exog": np.ones((2, 1)), "state_exog": np.ones((2, 1))}
    driven = LinearDynamicalSystem.from_matrices(**M, **inputs)
    for number, model in enumerate((fitted, LinearDynamicalSystem.from_matrices(**M), driven)):
        path = tmp_path / f"{number}.model"
        model.save(path)
        back = statespace.load(path)
        exog = {"exog": np.arange(len(Y))} if model is driven else {}
        assert back.log_likelihood(Y, **exog) == model.log_likelihood(Y, **exog)
        assert back.n_parameters == model.n_parameters
        assert repr(back.get_params()) == repr(model.get_params())
        with pytest.raises(NotFittedError, match="a file keeps no data"):
            back.summary()


@ignore_unconverged
def test_a_fitted_model_can_be_pickled_and_cloned():
    Y = data(0, 1, 2)
    model = LinearDynamicalSystem(1, n_iter=4).fit(Y)
    back = pickle.loads(pickle.dumps(model))
    assert back.score(Y) == model.score(Y)
    assert np.array_equal(back.standard_errors(), model.standard_errors(), equal_nan=True)
    assert not clone(model).__sklearn_is_fitted__()


# Fits


@settings(max_examples=15)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["full", "diag"]),
    st.sampled_from(["free", "stationary"]),
    st.booleans(),
)
@ignore_unconverged
def test_parameters_are_counted_without_what_cannot_be_told(seed, m, p, covariances, start, intercepts):
    model = LinearDynamicalSystem(
        m, covariances=covariances, initialization=start, intercepts=intercepts, n_iter=2, random_state=0
    ).fit([data(seed, m, p, 30), data(seed + 1, m, p, 30)])
    count = count_parameters(
        "lds",
        n_states=m,
        n_observations=p,
        covariances=covariances,
        start=start,
        identifiable=True,
        intercepts=intercepts,
    )
    assert model.n_parameters == count.total


@ignore_unconverged
def test_a_weight_of_two_is_a_sequence_twice():
    a, b = data(0, 2, 2, 40), data(1, 2, 2, 30)
    for method in ("em", "lbfgs"):
        kw = {"method": method, "n_iter": 5, "init": _start(2, 2), "initialization": "stationary"}
        weighted = LinearDynamicalSystem(2, **kw).fit([a, b], sample_weight=[2, 1])
        twice = LinearDynamicalSystem(2, **kw).fit([a, a, b])
        dropped = LinearDynamicalSystem(2, **kw).fit([a, b], sample_weight=[0, 1])
        alone = LinearDynamicalSystem(2, **kw).fit([b])
        assert weighted.score(a) == pytest.approx(twice.score(a), rel=1e-6)
        assert dropped.score(a) == pytest.approx(alone.score(a), rel=1e-6)


def _start(m, p):
    rng = np.random.default_rng(9)
    return {
        "design": rng.standard_normal((p, m)),
        "transition": 0.5 * np.eye(m),
        "state_cov": np.eye(m),
        "obs_cov": np.eye(p),
    }


@ignore_unconverged
@pytest.mark.parametrize("method", ["em", "lbfgs"])
@pytest.mark.parametrize("initialization", [None, "stationary", "known", "diffuse", "approximate_diffuse"])
def test_held_entries_stay_and_the_likelihood_rises(method, initialization):
    Y = [data(5, 2, 3, 50), data(6, 2, 3, 20)]
    Z = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    T = np.array([[0.9, 0.1], [0.0, 0.8]])
    held = np.array([[True, True], [True, True], [False, False]])
    init = {"design": Z, "transition": T, "obs_cov": np.diag([1.0, 2.0, 3.0])}
    if initialization == "known":
        init |= {"initial_state": [1.0, 2.0], "initial_state_cov": np.eye(2)}
    model = LinearDynamicalSystem(
        2,
        method=method,
        initialization=initialization,
        covariances="diag",
        init=init,
        fixed={"design": held, "transition": np.array([[False, False], [True, True]]), "obs_cov": np.diag([True] * 3)},
        n_iter=15,
    ).fit(Y)
    assert np.array_equal(model.design_[:2], Z[:2])
    assert np.array_equal(model.transition_[1], T[1])
    assert np.array_equal(model.obs_cov_, init["obs_cov"])
    assert not np.array_equal(model.design_[2], Z[2])
    assert not model.obs_intercept_.any()
    history = np.array(model.monitor_.history)
    assert (np.diff(history) >= -1e-9 * np.abs(history[1:])).all()
    assert history[-1] > history[0] + 0.1
    assert model.diffuse_.all() == (initialization == "diffuse")


@ignore_unconverged
def test_the_first_state_is_taken_as_the_start_allows():
    Y, walk = data(0, 1, 1, 50), {"design": [[1.0]], "transition": [[1.0]]}
    exploding = np.exp(0.05 * np.arange(60.0)) + np.random.default_rng(0).standard_normal(60)

    def fitted(X, **options):
        return LinearDynamicalSystem(1, n_iter=3, **options).fit(X)

    assert fitted(Y).stationary_.all()
    assert fitted(Y, init=walk, fixed={"design": True, "transition": True}).diffuse_.all()
    free = fitted(exploding)
    assert not free.stationary_.any()
    assert not free.diffuse_.any()
    known = fitted(Y, init={"initial_state": [3.0], "initial_state_cov": [[2.0]]})
    assert (known.initial_state_, known.initial_state_cov_) == (np.array([3.0]), np.array([[2.0]]))
    assert fitted(Y).filter(Y).log_likelihood == pytest.approx(fitted(Y).score(Y))


@ignore_unconverged
@pytest.mark.parametrize("method", ["em", "lbfgs"])
def test_a_transition_that_is_to_be_stable_is(method):
    Y = np.exp(0.05 * np.arange(60.0)) + np.random.default_rng(0).standard_normal(60)
    loose = LinearDynamicalSystem(1, method=method, n_iter=40).fit(Y)
    kept = LinearDynamicalSystem(1, method=method, stable=True, n_iter=40).fit(Y)
    assert loose.transition_[0, 0] > 1
    assert kept.transition_[0, 0] < 1
    assert kept.score(Y) < loose.score(Y)


@ignore_unconverged
def test_intercepts_are_estimated_only_when_asked():
    Y = data(0, 1, 2, 80) + 100.0
    without = LinearDynamicalSystem(1, initialization="stationary", n_iter=20).fit(Y)
    with_them = LinearDynamicalSystem(1, initialization="stationary", n_iter=20, intercepts=True).fit(Y)
    assert not without.obs_intercept_.any()
    assert with_them.obs_intercept_.min() > 50
    assert with_them.score(Y) > without.score(Y) + 10


@ignore_unconverged
def test_more_starts_are_never_worse_and_repeat():
    Y = data(8, 2, 2, 60)
    one, three, again = (LinearDynamicalSystem(2, n_iter=10, n_init=k, random_state=1).fit(Y) for k in (1, 3, 3))
    assert three.monitor_.history[-1] >= one.monitor_.history[-1]
    assert np.array_equal(three.transition_, again.transition_)


@ignore_unconverged
def test_fit_each_is_a_fit_of_each():
    series = [data(seed, 1, 1, 40, missing=0.1) for seed in range(4)]
    model = LinearDynamicalSystem(1, n_iter=6)
    for fitted, Y in zip(model.fit_each(series), series, strict=True):
        assert np.array_equal(fitted.transition_, clone(model).fit(Y).transition_)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["em", "lbfgs"]))
@ignore_unconverged
def test_the_shortest_data_are_survived(seed, n, p, m, method):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-6, 6)
    Y[rng.random(Y.shape) < 0.2] = np.nan
    Y[0, 0] = 1.0
    if seed % 3 == 0:
        Y[:, 0] = 5.0
    model = LinearDynamicalSystem(m, method=method, n_iter=5).fit(Y)
    assert np.isfinite(model.score(Y))
    for name in ("obs_cov_", "state_cov_", "initial_state_cov_"):
        cov = getattr(model, name)
        unit = np.sqrt(np.diagonal(cov))
        assert np.linalg.eigvalsh(cov / np.outer(unit, unit))[0] > 0


@settings(max_examples=20)
@given(st.data())
@ignore_unconverged
def test_no_fit_of_whatever_data_falls(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**9)))
    p, kind = data.draw(st.integers(1, 3)), data.draw(st.sampled_from(["noise", "walk", "trend", "ties"]))
    sequences = []
    for n in data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3)):
        Y = rng.standard_normal((n, p))
        if kind == "walk":
            Y = Y.cumsum(axis=0)
        if kind == "trend":
            Y = np.arange(n)[:, None] + 1e-3 * Y
        if kind == "ties":
            Y = Y.round()
        Y *= 10.0 ** rng.uniform(-8, 8, p)
        Y[rng.random(Y.shape) < data.draw(st.sampled_from([0.0, 0.1, 0.5]))] = np.nan
        Y[0, 0] = 1.0
        sequences.append(Y)
    model = LinearDynamicalSystem(
        data.draw(st.integers(1, 3)),
        method=data.draw(st.sampled_from(["em", "lbfgs"])),
        covariances=data.draw(st.sampled_from(["full", "diag"])),
        initialization=data.draw(st.sampled_from(["free", "stationary"])),
        intercepts=data.draw(st.booleans()),
        stable=data.draw(st.booleans()),
        n_iter=15,
    ).fit(sequences)
    history = np.array(model.monitor_.history)
    assert np.isfinite(history).all()
    assert (np.diff(history) >= -1e-9 * np.maximum(1.0, np.abs(history[1:]))).all()
    for name in ("obs_cov_", "state_cov_", "initial_state_cov_"):
        cov = getattr(model, name)
        unit = np.sqrt(np.diagonal(cov))
        assert np.linalg.eigvalsh(cov / np.outer(unit, unit))[0] > 0


@ignore_unconverged
@pytest.mark.parametrize("initialization", ["free", "stationary"])
def test_em_does_not_see_the_units(initialization):
    Y, unit = data(11, 2, 2, 60), np.array([1e12, 1e-12])
    kw = {"initialization": initialization, "n_iter": 8, "intercepts": True}
    plain, scaled = LinearDynamicalSystem(2, **kw).fit(Y), LinearDynamicalSystem(2, **kw).fit(Y * unit)
    assert scaled.obs_cov_ / np.outer(unit, unit) == pytest.approx(plain.obs_cov_, rel=1e-5)
    assert scaled.design_ / unit[:, None] == pytest.approx(plain.design_, rel=1e-5)
    assert scaled.obs_intercept_ / unit == pytest.approx(plain.obs_intercept_, rel=1e-5)
    assert scaled.transition_ == pytest.approx(plain.transition_, rel=1e-5)


def test_a_fit_that_fails_leaves_the_model_as_it_was():
    model, M = given_model()
    with pytest.raises(ValueError, match="every value is missing"):
        model.fit(np.full((5, 3), np.nan))
    assert np.array_equal(model.design_, M["design"])


def test_a_fit_that_is_stopped_warns():
    with pytest.warns(ConvergenceWarning, match="n_iter = 3 reached"):
        LinearDynamicalSystem(1, n_iter=3).fit(data(0, 1, 1))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"method": "newton"}, ValueError, "method is 'newton'"),
        ({"n_states": 0}, ValueError, "n_states is 0"),
        ({"covariances": "tied"}, ValueError, "covariances is 'tied'"),
        ({"initialization": "random"}, ValueError, "initialization is 'random'"),
        ({"initialization": "known"}, ValueError, "initial_state_cov"),
        ({"fixed": {"transition": True}}, ValueError, "init has no transition"),
        ({"fixed": {"trans": True}}, ValueError, r"fixed names \['trans'\]"),
        ({"fixed": ["transition"]}, TypeError, "expected a dict"),
        ({"init": {"trans": 1}}, ValueError, r"init names \['trans'\]"),
        ({"init": {"transition": np.eye(3)}}, ValueError, "n_states is 1"),
        ({"init": {"design": np.eye(3, 1)}}, ValueError, "X has 2 features"),
        ({"init": {"obs_cov": np.ones((4, 2, 2))}}, ValueError, "obs_cov a time axis"),
        ({"initialization": "diffuse"}, ValueError, "grows without bound"),
        ({"stable": 1}, TypeError, "stable is 1"),
        (
            {"init": {"transition": [[2.0]]}, "fixed": {"transition": True}, "initialization": "stationary"},
            ValueError,
            "spectral radius 2",
        ),
        (
            {"init": {"obs_cov": np.eye(2)}, "fixed": {"obs_cov": np.array([[True, True], [False, False]])}},
            ValueError,
            "not symmetric",
        ),
        ({"init": {"obs_cov": np.eye(2)}, "fixed": {"obs_cov": np.ones(3, dtype=bool)}}, ValueError, r"shape \(2, 2\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(options, error, match):
    with pytest.raises(error, match=match):
        LinearDynamicalSystem(**options).fit(data(0, 1, 2))


@ignore_unconverged
@pytest.mark.parametrize("held", [(0, 0), (0, 1), (1, 2)])
def test_single_entries_of_a_covariance_are_held_by_both_methods(held):
    Y = data(0, 1, 3, 60)
    mask = np.zeros((3, 3), dtype=bool)
    mask[held] = mask[held[::-1]] = True
    init = {"obs_cov": np.diag([3.0, 1.0, 2.0]) + 0.4 * mask * ~np.eye(3, dtype=bool)}
    kw = {"init": init, "fixed": {"obs_cov": mask}, "initialization": "stationary"}
    gradient = LinearDynamicalSystem(1, method="lbfgs", **kw).fit(Y)
    em = LinearDynamicalSystem(1, n_iter=20, **kw).fit(Y)
    for model in (em, gradient):
        assert np.array_equal(model.obs_cov_[mask], init["obs_cov"][mask])
        assert (model.obs_cov_[~mask] != init["obs_cov"][~mask]).all()
    assert em.score(Y) < gradient.score(Y)
    best, observations, _ = gradient._fit_data  # a maximum of the one is a fixed point of the other

    def value(system):
        return value_of(system, [observations.values], None)

    expected = expect(best.system, [make_frames(best.system, observations.values)])
    again = improve(best.system, expected, best.free, value)
    assert value(again) == pytest.approx(value(best.system), abs=1e-7)
    assert again.obs_cov[0] == pytest.approx(best.system.obs_cov[0], abs=1e-3)
    names = gradient.summary().names
    assert f"obs_cov[{held[1]}, {held[0]}]" not in names
    assert sum(name.startswith("obs_cov") for name in names) == 5


def test_a_covariance_of_two_held_variances_is_estimated_by_em_alone():
    Y = data(0, 1, 2, 50)
    held = np.eye(2, dtype=bool)
    init = {"obs_cov": np.array([[3.0, 0.0], [0.0, 1.0]])}
    kw = {"init": init, "fixed": {"obs_cov": held}, "initialization": "stationary", "n_iter": 1000, "tol": 1e-3}
    model = LinearDynamicalSystem(1, **kw).fit(Y)
    assert np.array_equal(np.diagonal(model.obs_cov_), [3.0, 1.0])
    assert model.obs_cov_[0, 1] != 0
    with pytest.raises(ValueError, match="method='em' estimates it"):
        LinearDynamicalSystem(1, method="lbfgs", **kw).fit(Y)
