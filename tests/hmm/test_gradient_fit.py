"""Fits by gradient: the gradient against differences over all paths, the maxima against the literature and EM."""

import itertools
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from threadpoolctl import threadpool_info, threadpool_limits

from statespace import HMM, ConvergenceWarning
from statespace.hmm import (
    CategoricalEmission,
    ConvergenceMonitor,
    GaussianEmission,
    GaussianMixtureEmission,
    PoissonEmission,
    evidence,
)
from statespace.hmm.baum_welch import Law, Priors, slopes
from statespace.hmm.evidence import read_evidence
from statespace.hmm.gradient_fit import Coordinates

DATA = Path(__file__).parents[3] / "shared" / "data"
FAMILIES = ("categorical", "poisson", "spherical", "diag", "full", "tied", "mixture diag", "mixture full")
seeds = st.integers(0, 2**32 - 1)


def earthquakes():
    path = DATA / "earthquakes" / "earthquakes.csv"
    if not path.exists():
        pytest.skip(f"the earthquakes are not at {path}")
    return np.loadtxt(path, delimiter=",", skiprows=1, dtype=int)[:, -1]


def new_emission(family, rng, K, with_priors):
    """An emission with parameters, and data for it."""
    if family == "categorical":
        emission = CategoricalEmission(4, emissionprob_prior=1.7 if with_priors else 1.0)
        emission.emissionprob = rng.dirichlet(np.ones(4), size=K)
        if K > 1:
            emission.emissionprob[0] = [0.25, 0.75, 0.0, 0.0]
        return emission, lambda n: rng.integers(0, 4, size=n).astype(float)
    if family == "poisson":
        emission = PoissonEmission()
        emission.lambdas = rng.gamma(2.0, size=(K, 1))
        return emission, lambda n: rng.poisson(2.0, size=n).astype(float)
    options = (
        {"means_prior": 0.3, "means_weight": 1.5, "covars_prior": 0.7, "covars_weight": 4.0} if with_priors else {}
    )
    D = 2
    shape, kind = (K,), family
    if family.startswith("mixture"):
        shape, kind = (K, 2), family.split()[1]
        emission = GaussianMixtureEmission(2, kind, weights_prior=1.5 if with_priors else 1.0, **options)
        emission.weights = rng.dirichlet(np.ones(2), size=K)
    else:
        emission = GaussianEmission(kind, **options)
    emission.means = rng.normal(size=(*shape, D))
    roots = rng.normal(size=(*shape, D, D))
    matrices = roots @ np.swapaxes(roots, -1, -2) + 0.5 * np.eye(D)
    variances = np.einsum("...ii->...i", matrices)
    emission.covars = {
        "spherical": variances.mean(axis=-1),
        "diag": variances,
        "full": matrices,
        "tied": matrices.mean(axis=0),
    }[kind].copy()
    return emission, lambda n: rng.normal(size=(n, D))


def log_sum_over_paths(law, frames):
    """Log p(x) as a sum over every path of states, of log-likelihoods (T, K)."""
    T, K = frames.shape
    paths = np.array(list(itertools.product(range(K), repeat=T)))
    with np.errstate(divide="ignore"):
        terms = np.log(law.startprob)[paths[:, 0]] + frames[np.arange(T), paths].sum(axis=1)
        for t in range(T - 1):
            terms = terms + np.log(law.transmat)[paths[:, t], paths[:, t + 1]]
    return logsumexp(terms)


def stationary(transmat):
    K = len(transmat)
    return np.linalg.lstsq(np.vstack([transmat.T - np.eye(K), np.ones(K)]), np.append(np.zeros(K), 1.0))[0]


def differences(f, v):
    """Derivatives by central differences of the fourth order."""
    h = 1e-3
    steps = h * np.eye(len(v))
    return np.array([8 * (f(v + e) - f(v - e)) - (f(v + 2 * e) - f(v - 2 * e)) for e in steps]) / (12 * h)


@settings(max_examples=120)
@given(st.sampled_from(FAMILIES), st.integers(1, 3), st.booleans(), st.booleans(), st.booleans(), st.booleans(), seeds)
def test_the_gradient_is_that_of_the_sum_over_all_paths(
    family, K, start_stationary, with_priors, masked, labelled, seed
):
    rng = np.random.default_rng(seed)
    emission, draw = new_emission(family, rng, K, with_priors)
    lengths = [4, 1, 3]
    X = draw(8)
    X[rng.random(8) < 0.2] = np.nan
    if X.ndim == 2:
        X[rng.random(X.shape) < 0.1] = np.nan
    if np.isnan(X).all():
        X[0] = 1.0
    labels = np.where(rng.random(8) < 0.3, rng.integers(0, K, size=8), -1) if labelled else None
    if family == "categorical":  # a symbol that the labelled state never shows is impossible
        emission.emissionprob = (emission.emissionprob + 0.1) / 1.4 if labelled else emission.emissionprob
    weights = rng.choice([0.5, 1.0, 3.0], size=3)
    transmat = rng.dirichlet(np.ones(K), size=K)
    held = {}
    if masked:
        held = {"transmat": rng.random((K, K)) < 0.3, "startprob": rng.random(K) < 0.3}
        if family in ("diag", "full", "spherical", "tied"):
            emission.fixed = {"means": rng.random(emission.means.shape) < 0.3}
    if K > 2 and not labelled:  # where labels would demand it, the data were impossible
        transmat[0] = [0.4, 0.6, 0.0]
    startprob = stationary(transmat) if start_stationary else rng.dirichlet(np.ones(K))
    priors = Priors(np.full(K, 1.4), np.full((K, K), 1.2)) if with_priors else Priors(1.0, 1.0)
    read = read_evidence(emission, X, lengths, labels, K)
    if hasattr(emission, "data_variance"):
        seen = read.observations.values[~np.isnan(read.observations.values).all(axis=1)]
        emission.initialize(seen, K, rng)
    coordinates = Coordinates(Law(startprob, transmat, emission), held, stationary=start_stationary)

    def objective(v):
        law = coordinates.law_at(v)
        if start_stationary:
            law = law._replace(startprob=stationary(law.transmat))
        rows = read.observations.values
        missing = read.observations.missing
        frames = np.zeros((8, K))
        seen = np.full(8, True) if missing is None else ~missing
        frames[seen] = law.emission.log_likelihood(rows[seen])
        if labels is not None:
            frames[(labels >= 0)[:, None] & (labels[:, None] != np.arange(K))] = -np.inf
        parts = np.split(frames, np.cumsum(lengths)[:-1])
        total = sum(w * log_sum_over_paths(law, part) for w, part in zip(weights, parts, strict=True))
        if with_priors:
            total += 0.4 * np.log(law.startprob).sum() + 0.2 * np.log(law.transmat[law.transmat > 0]).sum()
            total += law.emission.log_prior() if hasattr(law.emission, "log_prior") else 0.0
        return total

    v = coordinates.vector
    law = coordinates.law_at(v)
    expected = slopes(law, read, weights)
    value, gradient = coordinates.gradient(law, expected, priors)
    assert value == pytest.approx(objective(v), rel=1e-11, abs=1e-11)
    wanted = differences(objective, v)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-7, atol=1e-8 * (1 + np.abs(wanted).max(initial=0)))


@pytest.mark.parametrize(
    ("start", "K", "expected"),
    [
        ("free", 2, 341.8787),
        ("free", 3, 328.5275),
        ("stationary", 1, 391.9189),
        ("stationary", 2, 342.3183),
        ("stationary", 3, 329.4603),
        ("stationary", 4, 327.8316),
    ],
)
@pytest.mark.parametrize("method", ["em", "lbfgs"])
def test_earthquakes_are_fitted_as_in_the_literature(method, start, K, expected):
    # Zucchini and MacDonald (2009), tables 3.3 and 4.2
    x = earthquakes()
    model = HMM(K, PoissonEmission(), start=start, method=method, n_init=6, n_iter=1000, random_state=0).fit(x)
    assert -model.score(x) == pytest.approx(expected, abs=1e-4)
    assert model.monitor_.reason.startswith("converged")
    if start == "stationary":
        np.testing.assert_allclose(model.startprob_, model.get_stationary_distribution(), rtol=1e-12)
        if K == 3:
            rates = model.sort_states().emission_.lambdas[:, 0]
            np.testing.assert_allclose(rates, [13.146, 19.721, 29.714], atol=5e-3)


def test_old_faithful_is_fitted_as_in_the_literature():
    # Zucchini and MacDonald (2009), chapter 10
    path = DATA / "old_faithful" / "geyser.csv"
    if not path.exists():
        pytest.skip(f"the eruptions are not at {path}")
    long = np.loadtxt(path, delimiter=",", skiprows=1, usecols=2) >= 3
    model = HMM(2, CategoricalEmission(), start="stationary", method="lbfgs", n_init=6, random_state=0).fit(long)
    assert -model.score(long) == pytest.approx(127.3110, abs=1e-4)


def regimes(seed, n=400):
    rng = np.random.default_rng(seed)
    states = np.repeat(rng.permutation(np.arange(8) % 2), n // 8)
    return states, rng


@pytest.mark.parametrize("kind", ["spherical", "diag", "full", "tied"])
def test_both_methods_find_the_same_maximum(kind):
    states, rng = regimes(1)
    x = rng.normal(size=(400, 2)) * (1 + states[:, None]) + 1.5 * states[:, None]
    x[::17] = np.nan
    x[5::23, 0] = np.nan
    fits = [
        HMM(2, GaussianEmission(kind), method=m, tol=1e-8, n_iter=2000, random_state=0).fit(x) for m in ("em", "lbfgs")
    ]
    assert fits[1].score(x) == pytest.approx(fits[0].score(x), abs=1e-5)
    np.testing.assert_allclose(fits[1].sort_states().emission_.means, fits[0].sort_states().emission_.means, atol=1e-3)


def test_at_a_maximum_of_em_the_gradient_is_zero():
    states, rng = regimes(2)
    x = rng.poisson(2 + 3 * states)
    model = HMM(2, PoissonEmission(), tol=1e-11, n_iter=5000, random_state=0).fit(x)
    law = Law(model.startprob_, model.transmat_, model.emission_)
    coordinates = Coordinates(law, {}, stationary=False)
    expected = slopes(law, read_evidence(law.emission, x, None, None, len(law.startprob)), np.ones(1))
    gradient = coordinates.gradient(law, expected, Priors(1.0, 1.0))[1]
    assert np.abs(gradient).max() < 1e-4


def test_zeros_held_entries_and_weights_are_as_with_em():
    rng = np.random.default_rng(0)
    x = rng.poisson(np.repeat([1, 8, 20], 40))
    start, transmat = np.array([1.0, 0, 0]), np.array([[0.9, 0.1, 0], [0, 0.7, 0.3], [0, 0, 1.0]])
    mask = np.zeros((3, 3), bool)
    mask[0, 1] = True
    options = {"init": {"startprob": start, "transmat": transmat}, "random_state": 0, "tol": 1e-9}
    by_em = HMM(3, PoissonEmission(), **options).fit(x)
    model = HMM(3, PoissonEmission(), method="lbfgs", **options).fit(x)
    assert ((model.transmat_ > 0) == (transmat > 0)).all()
    assert model.score(x) == pytest.approx(by_em.score(x), abs=1e-6)
    held = HMM(3, PoissonEmission(), method="lbfgs", fixed={"transmat": mask}, **options).fit(x)
    assert held.transmat_[0, 1] == 0.1
    whole = HMM(3, PoissonEmission(), method="lbfgs", fixed={"transmat": True, "startprob": True}, **options).fit(x)
    np.testing.assert_array_equal(whole.transmat_, transmat)
    kept = by_em.emission_
    only = HMM(3, kept, method="lbfgs", fixed={"emission": True}, **options).fit(x)
    np.testing.assert_array_equal(only.emission_.lambdas, kept.lambdas)
    twice = HMM(3, PoissonEmission(), method="lbfgs", **options).fit(np.concatenate([x, x]), lengths=[120, 120])
    weighted = HMM(3, PoissonEmission(), method="lbfgs", **options).fit(x, sample_weight=[2.0])
    np.testing.assert_allclose(weighted.emission_.lambdas, twice.emission_.lambdas, rtol=1e-4)


def test_nothing_free_is_no_fit():
    emission = PoissonEmission()
    emission.lambdas = np.array([[1.0], [4.0]])
    model = HMM(2, emission, method="lbfgs", fixed=dict.fromkeys(("startprob", "transmat", "emission"), True))
    model.fit([1, 0, 3, 5])
    np.testing.assert_array_equal(model.emission_.lambdas, emission.lambdas)
    assert model.monitor_.iter == 1


@pytest.mark.parametrize("start", ["free", "stationary"])
def test_a_rate_of_zero_and_a_variance_at_its_floor_stay_numbers(start):
    emission = PoissonEmission()
    emission.lambdas = np.array([[0.0], [3.0]])
    x = np.array([0, 0, 4, 2, 0, 0, 3, 0, 2])
    model = HMM(2, emission, start=start, method="lbfgs", random_state=0).fit(x)
    by_em = HMM(2, emission, start=start, random_state=0, n_iter=2000, tol=1e-9).fit(x)
    assert model.emission_.lambdas[0, 0] == 0.0
    assert model.score(x) == pytest.approx(by_em.score(x), abs=1e-4)
    y = np.concatenate([np.zeros(20), np.random.default_rng(0).normal(size=20)])
    for kind in ("diag", "full", "tied", "spherical"):
        narrow = HMM(2, GaussianEmission(kind), start=start, method="lbfgs", n_init=3, random_state=0).fit(y)
        assert np.isfinite(narrow.score(y))
        assert np.isfinite(narrow.emission_.covars).all()
        assert narrow.emission_.full_covariances.min() >= narrow.emission_.floor() * (1 - 1e-12)


@settings(max_examples=40)
@given(st.sampled_from(FAMILIES), st.integers(1, 4), st.integers(1, 10), st.booleans(), seeds)
def test_no_fit_ends_below_its_start_or_in_nan(family, K, n, start_stationary, seed):
    rng = np.random.default_rng(seed)
    x = new_emission(family, rng, K, False)[1](n)
    fresh = {"categorical": CategoricalEmission(4), "poisson": PoissonEmission()}.get(family)
    if fresh is None:
        fresh = GaussianMixtureEmission(2, family.split()[1]) if " " in family else GaussianEmission(family)
    start = "stationary" if start_stationary else "free"
    model = HMM(K, fresh, start=start, method="lbfgs", n_iter=12, tol=0.0, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, [1, n - 1] if n > 1 else None)
    history = list(model.monitor_.history)
    assert (np.diff(history) >= -1e-9 * np.abs(history[:-1])).all()
    assert model.score(x, [1, n - 1] if n > 1 else None) >= history[-1] - 1e-9 * abs(history[-1])
    for values in (model.startprob_, model.transmat_, *model.emission_.to_archive()[1].values()):
        assert np.isfinite(np.asarray(values, float)).all()
    np.testing.assert_allclose(model.transmat_.sum(axis=1), 1.0, rtol=1e-12)


def test_iterations_are_counted_as_those_of_em():
    x = np.random.default_rng(0).poisson(np.repeat([2, 6], 50))
    with pytest.warns(ConvergenceWarning, match="n_iter = 3 reached"):
        model = HMM(2, PoissonEmission(), method="lbfgs", n_iter=3, tol=0.0, random_state=0).fit(x)
    assert len(model.monitor_.history) == model.monitor_.iter == 3
    assert model.score(x) > model.monitor_.history[-1]
    one = HMM(2, PoissonEmission(), method="lbfgs", n_iter=1, random_state=0).fit(x)
    assert one.score(x) > one.monitor_.history[0]
    assert one.monitor_.history[0] == pytest.approx(
        HMM(2, PoissonEmission(), n_iter=1, random_state=0).fit(x).monitor_.history[0], rel=1e-13
    )


def test_impossible_starts_are_refused_as_by_em():
    emission = CategoricalEmission(3)
    emission.emissionprob = np.array([[0.5, 0.5, 0.0], [0.3, 0.7, 0.0]])
    for method in ("em", "lbfgs"):
        with pytest.raises(ValueError, match="sequence 1 of X is impossible under the starting values"):
            HMM(2, emission, method=method, random_state=0).fit([[0, 1], [2, 0]])


class OwnGeometric:
    """p(x) = stop (1 - stop)^x, with what a gradient fit asks for."""

    support = "counts"
    n_parameters = 2

    def __init__(self, stops):
        self.stops = np.array(stops)

    def log_likelihood(self, X):
        return np.log(self.stops) + X[:, :1] * np.log1p(-self.stops)

    def m_step(self, X, posteriors):
        self.stops = 1 / (1 + posteriors.T @ X[:, 0] / posteriors.sum(axis=0))

    def sample(self, states, rng):
        return rng.geometric(self.stops[states]) - 1

    def to_vector(self):
        return np.log(self.stops) - np.log1p(-self.stops)

    def from_vector(self, v):
        self.stops = 1 / (1 + np.exp(-v))

    def gradient(self, X, posteriors):
        return posteriors.sum(axis=0) * (1 - self.stops) - (posteriors.T @ X[:, 0]) * self.stops


class WithoutGradient(OwnGeometric):
    gradient = property()


def test_any_emission_that_has_a_gradient_can_be_fitted():
    x = np.random.default_rng(0).geometric(np.repeat([0.7, 0.1, 0.7], 60)) - 1
    fits = [
        HMM(2, OwnGeometric([0.6, 0.2]), method=m, tol=1e-9, n_iter=500, random_state=0).fit(x) for m in ("em", "lbfgs")
    ]
    assert fits[1].score(x) == pytest.approx(fits[0].score(x), abs=1e-6)
    np.testing.assert_allclose(fits[1].emission_.stops, fits[0].emission_.stops, rtol=1e-4)


def test_an_emission_without_a_gradient_is_told_what_it_lacks():
    with pytest.raises(TypeError, match=r"asks WithoutGradient for gradient: write .*method='em'"):
        HMM(2, WithoutGradient([0.6, 0.2]), method="lbfgs").fit([1, 2, 0])
    with pytest.raises(ValueError, match="method is 'newton'"):
        HMM(2, PoissonEmission(), method="newton").fit([1, 2, 0])


def test_a_long_sequence_has_the_same_gradient_block_by_block(monkeypatch):
    rng = np.random.default_rng(0)
    emission, draw = new_emission("full", rng, 3, False)
    x = draw(3000)
    law = Law(np.full(3, 1 / 3), rng.dirichlet(np.ones(3), size=3), emission)
    read = read_evidence(emission, x, None, None, 3)
    whole = slopes(law, read, np.ones(1))
    monkeypatch.setattr(evidence, "_MOST_NUMBERS", 100)
    for found, wanted in zip(slopes(law, read, np.ones(1)), whole, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_a_monitor_of_ones_own_stops_it():
    class AtOnce(ConvergenceMonitor):
        @property
        def converged(self):
            return True

    x = np.random.default_rng(0).poisson(np.repeat([2, 6], 50))
    model = HMM(2, PoissonEmission(), method="lbfgs", random_state=0)
    model._new_monitor = lambda *_: AtOnce(0.0, 100, False)
    model.fit(x)
    assert model.monitor_.iter == 1
    assert model.monitor_.reason == "AtOnce said so"
    assert not math.isnan(model.score(x))


def test_the_search_holds_blas_to_one_thread_however_short_the_data():
    # Two threads that wait for each other over twenty numbers take ten times as long where other work wants the cores
    found = []

    class Watching(ConvergenceMonitor):
        def report(self, value):
            found.append({library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"})
            super().report(value)

    model = HMM(2, PoissonEmission(), method="lbfgs", random_state=0)
    model._new_monitor = lambda *_: Watching(1e-4, 100, False)
    with threadpool_limits(2, user_api="blas"):
        model.fit(np.random.default_rng(0).poisson(np.repeat([2, 6], 10)))
    assert len(found) > 1
    assert all(threads == {1} for threads in found)
