"""The model against every path of states, whatever the emission."""

import logging
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from statespace import HMM, ConvergenceWarning, hmm, load
from statespace.datasets import load_seattle_rain
from statespace.hmm import CategoricalEmission, GaussianEmission, PoissonEmission
from tests import naive_hmm

# USGS; Zucchini and MacDonald (2009), Hidden Markov Models for Time Series, table 1.1: earthquakes of magnitude 7 and
# more in the world, 1900 to 2006
EARTHQUAKES = np.array(
    [
        "13",
        "14",
        "8",
        "10",
        "16",
        "26",
        "32",
        "27",
        "18",
        "32",
        "36",
        "24",
        "22",
        "23",
        "22",
        "18",
        "25",
        "21",
        "21",
        "14",
        "8",
        "11",
        "14",
        "23",
        "18",
        "17",
        "19",
        "20",
        "22",
        "19",
        "13",
        "26",
        "13",
        "14",
        "22",
        "24",
        "21",
        "22",
        "26",
        "21",
        "23",
        "24",
        "27",
        "41",
        "31",
        "27",
        "35",
        "26",
        "28",
        "36",
        "39",
        "21",
        "17",
        "22",
        "17",
        "19",
        "15",
        "34",
        "10",
        "15",
        "22",
        "18",
        "15",
        "20",
        "15",
        "22",
        "19",
        "16",
        "30",
        "27",
        "29",
        "23",
        "20",
        "16",
        "21",
        "21",
        "25",
        "16",
        "18",
        "15",
        "18",
        "14",
        "10",
        "15",
        "8",
        "15",
        "6",
        "11",
        "8",
        "7",
        "18",
        "16",
        "13",
        "12",
        "13",
        "20",
        "15",
        "16",
        "12",
        "18",
        "15",
        "16",
        "13",
        "15",
        "16",
        "11",
        "11",
    ],
    dtype=int,
)


class OwnGeometric:
    """An emission as a user writes it: the four members, and nothing else."""

    support = "counts"

    def __init__(self, stops):
        self.stops = np.array(stops)

    n_parameters = property(lambda self: len(self.stops))

    def log_likelihood(self, X):
        return np.log(self.stops) + X[:, :1] * np.log1p(-self.stops)

    def m_step(self, X, posteriors):
        mass, sums = posteriors.sum(axis=0), X[:, 0] @ posteriors
        self.stops = np.where(mass > 0, mass / (mass + sums + 1e-300), self.stops)

    def sample(self, states, rng):
        return rng.geometric(self.stops[states]) - 1


def by_hand(emission, startprob, transmat, **options):
    model = HMM(len(startprob), emission, **options)
    model.startprob_, model.transmat_, model.emission_ = np.array(startprob), np.array(transmat), emission
    return model


def gaussian(means, covars, kind="diag"):
    emission = GaussianEmission(kind)
    emission.means, emission.covars = np.array(means, float), np.array(covars, float)
    return emission


def categorical(rows):
    emission = CategoricalEmission()
    emission.emissionprob = np.array(rows, float)
    return emission


@st.composite
def models(draw):
    """A model of a random family and a short sequence, with missing observations, and its table of log-likelihoods."""
    K, T = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    startprob, transmat = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K)
    family = draw(st.sampled_from(["categorical", "poisson", "diag", "full"]))
    if family == "categorical":
        emission, x = categorical(rng.dirichlet(np.ones(4), size=K)), rng.integers(4, size=T).astype(float)
        table = np.log(emission.emissionprob)[:, x.astype(int)].T
    elif family == "poisson":
        emission, x = PoissonEmission(), rng.poisson(3, size=T).astype(float)
        emission.lambdas = rng.uniform(0.5, 6, size=(K, 1))
        table = stats.poisson.logpmf(x[:, None], emission.lambdas[:, 0])
    else:
        roots = rng.normal(size=(K, 2, 2)) + 2 * np.eye(2)
        covariances = roots @ roots.transpose(0, 2, 1)
        if family == "diag":
            covariances = covariances * np.eye(2)
        emission = gaussian(
            rng.normal(size=(K, 2)), np.diagonal(covariances, 0, 1, 2) if family == "diag" else covariances, family
        )
        x = rng.normal(size=(T, 2))
        table = np.column_stack(
            [
                np.atleast_1d(stats.multivariate_normal(mean, cov).logpdf(x))
                for mean, cov in zip(emission.means, covariances, strict=True)
            ]
        )
    table = np.reshape(table, (T, K)).copy()
    missing = np.array(draw(st.lists(st.booleans(), min_size=T, max_size=T)))
    missing[0] &= T == 1
    missing &= not missing.all()
    x[missing], table[missing] = np.nan, 0.0
    return by_hand(emission, startprob, transmat), x, table, missing


@settings(max_examples=80)
@given(models())
def test_verbs_are_sums_over_all_paths(case):
    model, x, table, missing = case
    arguments = (model.startprob_, model.transmat_, table)
    filtered, predicted, steps = naive_hmm.filtered_states(*arguments)
    gamma, xi = naive_hmm.smoothed_states(*arguments)
    exact = {"rtol": 1e-11, "atol": 1e-11}
    np.testing.assert_allclose(model.score(x), naive_hmm.log_likelihood(*arguments), **exact)
    np.testing.assert_allclose(model.log_likelihood(x, by="step"), np.where(missing, np.nan, steps), **exact)
    found = model.filter(x)
    np.testing.assert_allclose(found.filtered, filtered, **exact)
    np.testing.assert_allclose(found.predicted, predicted, **exact)
    np.testing.assert_allclose(model.predict_proba(x), gamma, **exact)
    np.testing.assert_allclose(model.smooth(x).transitions, xi, **exact)
    path, log_joint, second = naive_hmm.best_path(*arguments)
    best = model.decode(x)
    np.testing.assert_allclose(best[0], log_joint, **exact)
    np.testing.assert_allclose(model.log_joint(x, best[1]), log_joint, **exact)
    if log_joint - second > 1e-9:
        np.testing.assert_array_equal(best[1], path)
    likely, states = model.decode(x, algorithm="map")
    np.testing.assert_allclose(gamma[np.arange(len(x)), states], gamma.max(axis=1), **exact)
    np.testing.assert_allclose(likely, naive_hmm.log_joint(*arguments, tuple(states)), **exact)


def test_a_row_known_in_part_counts_with_that_part():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(5, 2))
    x[1, 0] = x[3, 1] = np.nan
    roots = rng.normal(size=(2, 2, 2)) + 2 * np.eye(2)
    covariances = roots @ roots.transpose(0, 2, 1)
    model = by_hand(gaussian([[0, 0], [1, 2]], covariances, "full"), [0.3, 0.7], [[0.7, 0.3], [0.4, 0.6]])
    table = np.zeros((5, 2))
    for k in (0, 1):
        for t, row in enumerate(x):
            seen = ~np.isnan(row)
            law = stats.multivariate_normal(model.emission_.means[k][seen], covariances[k][np.ix_(seen, seen)])
            table[t, k] = law.logpdf(row[seen])
    expected = naive_hmm.log_likelihood(model.startprob_, model.transmat_, table)
    assert model.score(x) == pytest.approx(expected, rel=1e-12)
    fitted = HMM(2, GaussianEmission("full"), random_state=0, tol=0.1).fit(
        np.concatenate([x, rng.normal(size=(60, 2))])
    )
    assert (np.diff(fitted.monitor_.history) >= -1e-9).all()


@settings(max_examples=30)
@given(models(), st.integers(0, 6))
def test_a_stream_goes_on_from_its_state(case, place):
    model, x, _, missing = case
    assume(0 < place < len(x) and not missing[:place].all() and not missing[place:].all())
    whole, first = model.filter(x), model.filter(x[:place])
    rest = model.filter(x[place:], state=first.state)
    np.testing.assert_allclose(np.concatenate([first.filtered, rest.filtered]), whole.filtered, rtol=1e-12)
    np.testing.assert_allclose(first.log_likelihood + rest.log_likelihood, whole.log_likelihood, rtol=1e-12)


def test_several_sequences_come_back_in_the_form_they_went_in():
    model = by_hand(categorical([[0.9, 0.1], [0.2, 0.8]]), [0.5, 0.5], [[0.7, 0.3], [0.3, 0.7]])
    a, b = np.array([0, 0, 1]), np.array([1, 0])
    both = np.concatenate([a, b])
    for verb in (model.predict, model.predict_proba):
        parts = verb([a, b])
        assert [len(part) for part in parts] == [3, 2]
        np.testing.assert_array_equal(np.concatenate(parts), verb(both, lengths=[3, 2]))
        np.testing.assert_array_equal(parts[0], verb(a))
    np.testing.assert_allclose(model.log_likelihood([a, b], by="sequence"), [model.score(a), model.score(b)])


# ------------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize(("K", "expected"), [(1, 391.9189), (2, 341.8787), (3, 328.5275)])
def test_earthquakes_are_fitted_as_in_the_literature(K, expected):
    # Zucchini and MacDonald (2009), tables 4.2 and 3.3
    model = HMM(K, PoissonEmission(), n_init=4, random_state=0).fit(EARTHQUAKES)
    assert -model.score(EARTHQUAKES) == pytest.approx(expected, abs=1e-4)
    assert model.monitor_.reason.startswith("converged")


@pytest.mark.parametrize(("K", "expected"), [(1, 391.9189), (2, 342.3183), (3, 329.4603)])
def test_stationary_starts_are_fitted_as_in_the_literature(K, expected):
    # Zucchini and MacDonald (2009), chapter 3
    model = HMM(K, PoissonEmission(), start="stationary", n_init=4, n_iter=1000, random_state=0).fit(EARTHQUAKES)
    assert -model.score(EARTHQUAKES) == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(model.startprob_, model.get_stationary_distribution(), rtol=1e-12)
    assert model.n_parameters == K * (K - 1) + K
    assert np.all(np.diff(model.monitor_.history) >= -1e-9)
    if K == 3:
        rates = model.sort_states().emission_.lambdas[:, 0]
        np.testing.assert_allclose(rates, [13.146, 19.721, 29.714], atol=5e-3)


def test_old_faithful_is_fitted_as_in_the_literature():
    # Zucchini and MacDonald (2009), chapter 10: long eruptions, a stationary Bernoulli model of two states
    path = Path(__file__).parents[3] / "shared" / "data" / "old_faithful" / "geyser.csv"
    if not path.exists():
        pytest.skip(f"the eruptions are not at {path}")
    long = np.loadtxt(path, delimiter=",", skiprows=1, usecols=2) >= 3
    model = HMM(2, CategoricalEmission(), start="stationary", n_init=6, n_iter=2000, random_state=0).fit(long)
    assert -model.score(long) == pytest.approx(127.3110, abs=2e-3)


def test_states_can_be_numbered_anew():
    model = HMM(3, PoissonEmission(), random_state=0).fit(EARTHQUAKES).sort_states()
    score, decoded = model.score(EARTHQUAKES), model.predict(EARTHQUAKES)
    assert (np.diff(model.emission_.lambdas[:, 0]) > 0).all()
    turned = model.sort_states(by=[2, 1, 0])
    assert turned.score(EARTHQUAKES) == pytest.approx(score, rel=1e-13)
    np.testing.assert_array_equal(turned.predict(EARTHQUAKES), 2 - decoded)
    known = np.where(np.arange(len(decoded)) % 3 == 0, decoded, -1)
    np.testing.assert_array_equal(turned.align_to(EARTHQUAKES, known).predict(EARTHQUAKES), decoded)


def emissions(family):
    return {"categorical": CategoricalEmission, "poisson": PoissonEmission}.get(
        family, lambda: GaussianEmission(family)
    )()


@settings(max_examples=150)
@given(
    st.sampled_from(["categorical", "poisson", "diag", "full", "tied", "spherical"]),
    st.integers(1, 4),
    st.integers(1, 12),
    st.sampled_from(["plain", "duplicated", "constant", "gaps", "huge", "tiny"]),
    st.integers(0, 2**32),
)
def test_the_likelihood_never_falls_and_nothing_becomes_nan(family, K, n, kind, seed):
    rng = np.random.default_rng(seed)
    counts = family in ("categorical", "poisson")
    x = rng.integers(0, 4, size=n).astype(float) if counts else rng.normal(size=(n, 2))
    if kind == "duplicated":
        x = np.concatenate([x[:1]] * n)
    elif kind == "constant" and x.ndim == 2:
        x[:, 1] = 3.0
    elif kind == "gaps":
        x[rng.random(n) < 0.3] = np.nan
    elif kind in ("huge", "tiny") and x.ndim == 2:
        x = x * (2.0**40 if kind == "huge" else 2.0**-40)
    assume(not np.isnan(x).all())
    model = HMM(K, emissions(family), n_iter=15, tol=-math.inf, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it runs to the end, on purpose
        lengths = [2, n - 2] if n > 3 else None
        model.fit(x, lengths)
    history = np.array(model.monitor_.history)
    assert (np.diff(history) >= -1e-9 * np.maximum(1.0, np.abs(history[:-1]))).all()
    assert "fell" not in model.monitor_.reason
    for values in (model.startprob_, model.transmat_, *model.emission_.to_archive()[1].values()):
        assert np.isfinite(np.asarray(values, float)).all()
    np.testing.assert_allclose(model.transmat_.sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(model.score(x, lengths))


@pytest.mark.parametrize("kind", ["diag", "full", "tied", "spherical"])
def test_other_units_give_the_same_fit(kind):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 2)) + 3 * np.repeat([0, 1, 0], 100)[:, None]
    fitted = HMM(2, GaussianEmission(kind), random_state=1).fit(x)
    for c in (2.0**-7, 2.0**30):
        moved = HMM(2, GaussianEmission(kind), random_state=1).fit(c * x).score(c * x)
        assert moved == pytest.approx(fitted.score(x) - x.size * math.log(c), rel=1e-12)


def test_a_fit_is_the_fit_of_hmmlearn_from_the_same_start():
    hmmlearn = pytest.importorskip("hmmlearn.hmm")
    rng = np.random.default_rng(5)
    x = rng.normal(size=(200, 2)) + 2 * np.repeat([0, 1, 0, 1], 50)[:, None]
    start, transmat = [0.4, 0.6], [[0.8, 0.2], [0.3, 0.7]]
    means, covars = [[0.0, 0.5], [1.5, 2.0]], [[1.0, 2.0], [1.5, 1.0]]
    ours = HMM(2, gaussian(means, covars), init={"startprob": start, "transmat": transmat}, n_iter=5, tol=-math.inf)
    with pytest.warns(ConvergenceWarning):
        ours.fit(x, lengths=[120, 80])
    theirs = hmmlearn.GaussianHMM(2, covars_prior=0.0, covars_weight=1.0, n_iter=5, tol=-math.inf, init_params="")
    theirs.startprob_, theirs.transmat_ = np.array(start), np.array(transmat)
    theirs.means_, theirs.covars_ = np.array(means), np.array(covars)
    theirs.fit(x, lengths=[120, 80])
    np.testing.assert_allclose(list(ours.monitor_.history), list(theirs.monitor_.history), rtol=1e-10)
    np.testing.assert_allclose(ours.transmat_, theirs.transmat_, rtol=1e-8)
    np.testing.assert_allclose(ours.emission_.means, theirs.means_, rtol=1e-8)


def test_any_emission_of_four_members_can_be_fitted():
    rng = np.random.default_rng(0)
    x = rng.geometric(np.repeat([0.7, 0.1, 0.7], 60)) - 1
    own = OwnGeometric([0.6, 0.2])
    model = HMM(2, own, random_state=0, tol=1e-6).fit(x)
    assert own.stops.tolist() == [0.6, 0.2]  # handed over, not changed
    assert np.all(np.diff(model.monitor_.history) >= -1e-9)
    assert model.n_parameters == 1 + 2 + 2
    drawn, states = model.sample(2000, random_state=0)
    for k in (0, 1):
        assert (drawn[states == k] == 0).mean() == pytest.approx(model.emission_.stops[k], abs=0.06)


def test_known_states_are_kept_and_only_they_are_counted():
    x, states = np.array([0, 0, 5, 6, 0, 5]), np.array([0, 0, 1, 1, 0, 1])
    model = HMM(2, PoissonEmission(), random_state=0).fit(x, states=states)
    np.testing.assert_allclose(model.emission_.lambdas[:, 0], [0.0, 16 / 3], atol=1e-12)
    np.testing.assert_allclose(model.transmat_, [[1 / 3, 2 / 3], [1 / 2, 1 / 2]], rtol=1e-12)
    some = HMM(2, PoissonEmission(), random_state=0).fit(x, states=np.where([1, 0, 0, 1, 0, 0], states, -1))
    assert some.predict(x)[0] == 0
    assert some.predict(x)[3] == 1


def test_zeros_and_held_entries_stay():
    x = np.random.default_rng(0).poisson(np.repeat([1, 8, 20], 40))
    start, transmat = np.array([1.0, 0, 0]), np.array([[0.9, 0.1, 0], [0, 0.7, 0.3], [0, 0, 1.0]])
    model = HMM(3, PoissonEmission(), init={"startprob": start, "transmat": transmat}, random_state=0).fit(x)
    assert ((model.transmat_ > 0) == (transmat > 0)).all()
    assert model.n_parameters == 2 + 3
    mask = np.zeros((3, 3), bool)
    mask[0, 0] = True
    free = np.array([[0.5, 0.3, 0.2]] * 3)
    held = HMM(
        3, PoissonEmission(), init={"transmat": free}, fixed={"transmat": mask, "startprob": True}, random_state=0
    ).fit(x)
    assert held.transmat_[0, 0] == 0.5
    np.testing.assert_allclose(held.transmat_.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(held.startprob_, np.full(3, 1 / 3))
    assert held.n_parameters == (1 + 2 + 2) + 3


def test_one_thread_and_many_give_the_same_bits(monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    from statespace.hmm import evidence

    monkeypatch.setattr(evidence, "PIECE", 50)
    x = np.random.default_rng(1).poisson(5, size=400)
    fits = []
    for workers in (1, 3):
        with ThreadPoolExecutor(workers) as executor:
            model = HMM(2, PoissonEmission(), random_state=0, tol=0.01)
            fits.append(model.fit(x, lengths=[40] * 10, executor=executor))
    np.testing.assert_array_equal(fits[0].transmat_, fits[1].transmat_)
    np.testing.assert_array_equal(fits[0].emission_.lambdas, fits[1].emission_.lambdas)


def test_a_fit_that_did_not_converge_says_so():
    with pytest.warns(ConvergenceWarning, match="n_iter = 3 reached"):
        model = HMM(2, PoissonEmission(), n_iter=3, random_state=0).fit(EARTHQUAKES)
    assert model.monitor_.reason.startswith("not converged")
    assert len(model.monitor_.history) == model.monitor_.iter == 3


def test_too_many_parameters_are_logged(caplog):
    with caplog.at_level(logging.WARNING, "statespace"):
        HMM(3, PoissonEmission(), random_state=0).fit([1, 2, 3])
    assert "degenerate solution" in caplog.text


def test_forecasts_are_powers_of_the_transition_matrix():
    model = by_hand(categorical([[0.9, 0.1], [0.2, 0.8]]), [0.5, 0.5], [[0.7, 0.3], [0.4, 0.6]])
    x = [0, 1, 1]
    law = model.forecast(x, 3)
    for h in range(3):
        states = model.filter(x).state @ np.linalg.matrix_power(model.transmat_, h + 1)
        np.testing.assert_allclose(law.probabilities[h], states @ model.emission_.emissionprob, rtol=1e-14)


def test_draws_from_the_posterior_have_its_frequencies():
    model = by_hand(categorical([[0.9, 0.1], [0.2, 0.8]]), [0.5, 0.5], [[0.7, 0.3], [0.4, 0.6]])
    x = [0, 1, np.nan, 0]
    draws = model.sample_posterior(x, 20_000, random_state=0)
    np.testing.assert_allclose((draws == 1).mean(axis=0), model.predict_proba(x)[:, 1], atol=0.015)


def test_labels_go_in_and_come_out(tmp_path):
    wet = load_seattle_rain().wet
    model = HMM(2, CategoricalEmission(), random_state=0, tol=0.1).fit(wet)
    assert model.emission_.symbols.tolist() == [False, True]
    model.save(tmp_path / "rain")
    again = load(tmp_path / "rain")
    assert again.score(wet) == model.score(wet)
    assert again.n_parameters == model.n_parameters == 1 + 2 + 2
    with pytest.raises(ValueError, match="'hail'"):
        HMM(2, CategoricalEmission(), random_state=0, tol=0.1).fit(list("abba")).score(["a", "hail"])


# ------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"startprob_": [0.5, 0.4]}, "startprob_ sums to 0.9"),
        ({"startprob_": [1.0]}, r"startprob_ has shape \(1,\)"),
        ({"transmat_": [[0.5, 0.5], [0.5, 0.6]]}, "transmat_"),
        ({"transmat_": [[1.0]]}, "transmat_"),
        ({"emission_": categorical([[0.5, 0.6], [0.5, 0.5]])}, "emissionprob row 0 sums to 1.1"),
        ({"emission_": categorical([[0.5, 0.5]])}, "emissionprob has shape"),
        ({"emission_": gaussian([[0.0], [1.0]], [[1.0], [-1.0]])}, "must be positive"),
        ({"emission_": gaussian([[0.0], [1.0]], [[[1.0]], [[-1.0]]], "full")}, "positive-definite"),
    ],
)
def test_what_is_assigned_by_hand_is_checked_on_use(change, message):
    model = by_hand(categorical([[0.9, 0.1], [0.2, 0.8]]), [0.5, 0.5], [[0.7, 0.3], [0.4, 0.6]])
    for name, value in change.items():
        setattr(model, name, value)
    with pytest.raises(ValueError, match=message):
        model.score([0, 1, 1])


@pytest.mark.parametrize(
    ("options", "x", "message"),
    [
        ({"start": "cold"}, [1, 2], "start is 'cold'"),
        ({"n_components": 0}, [1, 2], "n_components is 0"),
        ({"tol": "small"}, [1, 2], "tol is 'small', expected a number of nats, or None"),
        ({"tol": math.nan}, [1, 2], "tol is nan, expected a number of nats, or None"),
        ({"tol": [0.1]}, [1, 2], r"tol is \[0.1\], expected a number of nats, or None"),
        ({"emission": None}, [1, 2], "emission is None"),
        ({"emission": object()}, [1, 2], "lacks log_likelihood"),
        ({}, [1, -2], "expected a count"),
        ({}, [1, 2.5], "expected a count"),
        ({}, [np.nan, np.nan], "every value is missing"),
        ({}, [1, np.inf], "infinite"),
        ({}, "text", "text"),
        ({"init": {"transmat": [[0.5, 0.5], [0.5, 0.4]]}}, [1, 2], "transmat"),
        ({"init": {"speed": 1}}, [1, 2], "speed"),
        ({"transmat_prior": 0.5}, [1, 2], "at least 1"),
        ({"fixed": {"transmat": [True]}}, [1, 2], "boolean mask"),
        ({"fixed": {"speed": True}}, [1, 2], "expected lambdas, or of a model startprob, transmat"),
        ({"fixed": "transmat"}, [1, 2], "fixed is 'transmat', expected a dict"),
        ({"fixed": ["transmat"]}, [1, 2], r"fixed is \['transmat'\], expected a dict"),
        ({"fixed": True}, [1, 2], "fixed is True, expected a dict"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, x, message):
    with pytest.raises((TypeError, ValueError), match=message):
        HMM(**{"n_components": 2, "emission": PoissonEmission(), "random_state": 0, **options}).fit(x)


@pytest.mark.parametrize("width", [1, 3])
def test_an_emission_of_another_number_of_states_is_refused(width):
    class Flat:
        n_parameters = 0

        def log_likelihood(self, X):
            return np.zeros((len(X), width))

        def m_step(self, X, posteriors):
            """Nothing to learn."""

        def sample(self, states, rng):
            return np.zeros(len(states))

    with pytest.raises(ValueError, match=f"Flat.log_likelihood returned {width} columns, .* 2 states"):
        HMM(2, Flat(), random_state=0).fit([1.0, 2.0, 3.0, 2.0, 4.0, 1.0])


@pytest.mark.parametrize("states", [[0, 1], [0, 1, 2], [0, 1, -2], [0.5, 1, 1], "abc"])
def test_labels_that_are_none_are_refused(states):
    with pytest.raises((TypeError, ValueError), match="states"):
        HMM(2, PoissonEmission(), random_state=0).fit([1, 2, 3], states=states)


@pytest.mark.parametrize("method", ["em", "lbfgs"])
def test_a_sequence_without_weight_may_be_impossible(method):
    emission = CategoricalEmission(n_features=3)
    emission.emissionprob = np.array([[0.5, 0.5, 0.0], [0.2, 0.8, 0.0]])
    model = HMM(2, emission, method=method, random_state=0, tol=0.01)
    model.fit([[0, 1, 0, 0, 1, 1], [2, 0]], sample_weight=[1, 0])
    alone = HMM(2, emission, method=method, random_state=0, tol=0.01).fit([[0, 1, 0, 0, 1, 1]])
    np.testing.assert_allclose(model.transmat_, alone.transmat_, rtol=1e-10)
    with pytest.raises(ValueError, match="sequence 1 of X is impossible"):
        model.fit([[0, 1, 0, 0, 1, 1], [2, 0]], sample_weight=[1, 0.1])


@pytest.mark.parametrize("method", ["em", "lbfgs"])
@pytest.mark.parametrize("family", [hmm.PoissonHMM, hmm.GaussianHMM])
def test_all_weights_times_a_number_are_the_same_fit(family, method):
    rng = np.random.default_rng(3)
    x = [rng.poisson(np.repeat([2.0, 9.0, 2.0], 20)).astype(float) for _ in range(3)]
    x[1][7:12] = np.nan
    fits = [
        family(2, method=method, random_state=0).fit(x, sample_weight=np.array([1.0, 3.0, 2.0]) * unit)
        for unit in (1.0, 2.0**-40, 2.0**40)
    ]
    for fit in fits[1:]:
        assert fit.monitor_.iter == fits[0].monitor_.iter
        np.testing.assert_allclose(fit.transmat_, fits[0].transmat_, rtol=1e-12)
        np.testing.assert_allclose(fit.score(x), fits[0].score(x), rtol=1e-14)


def test_a_weight_of_two_stops_where_the_sequence_twice_does():
    rng = np.random.default_rng(4)
    a, b = (rng.poisson(np.repeat([2.0, 9.0], 20)) for _ in range(2))
    weighted = hmm.PoissonHMM(2, random_state=0).fit([a, b], sample_weight=[2, 1]).monitor_
    repeated = hmm.PoissonHMM(2, random_state=0).fit([a, a, b]).monitor_
    assert (weighted.iter, weighted.tol) == (repeated.iter, repeated.tol)
