"""What a model says of observations to come, against sums over every path of states."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from statespace import HMM, PredictiveLaw, load
from statespace.hmm import CategoricalEmission, GaussianEmission, PoissonEmission
from tests import naive_hmm

halves = st.integers(-4, 18).map(lambda n: n / 2)


class Geometric:
    """An emission of the four members that every emission has, and nothing else."""

    support = "counts"

    def __init__(self, stops):
        self.stops = np.array(stops)

    n_parameters = property(lambda self: len(self.stops))

    def log_likelihood(self, X):
        return np.log(self.stops) + X[:, :1] * np.log1p(-self.stops)

    def m_step(self, X, posteriors):
        self.stops = posteriors.sum(axis=0) / (posteriors.sum(axis=0) + X[:, 0] @ posteriors)

    def sample(self, states, rng):
        return rng.geometric(self.stops[states]) - 1


class GeometricWithCdf(Geometric):
    def cdf(self, x):
        return np.where(x < 0, 0.0, -np.expm1((np.floor(x) + 1) * np.log1p(-self.stops)))


def by_hand(emission, startprob, transmat):
    model = HMM(len(startprob), emission)
    model.startprob_, model.transmat_, model.emission_ = np.array(startprob), np.array(transmat), emission
    return model


@st.composite
def models(draw):
    """A model, a sequence with gaps, its table of log-likelihoods, and the law of an observation in each state."""
    K, T = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    startprob, transmat = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K)
    family = draw(st.sampled_from(["poisson", "gaussian", "own"]))
    if family == "poisson":
        emission = PoissonEmission()
        emission.lambdas = rng.uniform(0.5, 6, size=(K, 1))
        x, parts = rng.poisson(3, size=T).astype(float), [stats.poisson(rate) for rate in emission.lambdas[:, 0]]
        table = np.stack([part.logpmf(x) for part in parts], axis=1)
    elif family == "gaussian":
        emission = GaussianEmission()
        emission.means, emission.covars = rng.normal(size=(K, 1)), rng.uniform(0.5, 3, size=(K, 1))
        x = rng.normal(size=T)
        parts = [stats.norm(m, math.sqrt(v)) for m, v in zip(emission.means[:, 0], emission.covars[:, 0], strict=True)]
        table = np.stack([part.logpdf(x) for part in parts], axis=1)
    else:
        emission = GeometricWithCdf(rng.uniform(0.1, 0.9, size=K))
        x, parts = rng.poisson(3, size=T).astype(float), [stats.geom(stop, loc=-1) for stop in emission.stops]
        table = np.stack([part.logpmf(x) for part in parts], axis=1)
    missing = np.array(draw(st.lists(st.booleans(), min_size=T, max_size=T)))
    x[missing], table[missing] = np.nan, 0.0
    return by_hand(emission, startprob, transmat), x, table, parts


@settings(max_examples=60)
@given(models(), st.integers(1, 3), halves)
def test_forecasts_are_sums_over_all_paths(case, steps, value):
    model, x, table, parts = case
    longer = np.concatenate([table, np.zeros((steps, table.shape[1]))])
    joint = naive_hmm.joint_law(model.startprob_, model.transmat_, longer)
    law = model.forecast(x, steps)
    assert len(law) == steps
    for h in range(steps):
        states = naive_hmm.ratio(naive_hmm.marginal(joint, (len(x) + h,)), joint.sum())
        np.testing.assert_allclose(law.cdf(value)[h], sum(states * [part.cdf(value) for part in parts]), rtol=1e-11)
        mean = sum(states * [part.mean() for part in parts])
        if hasattr(law, "mean"):
            second = sum(states * [part.var() + part.mean() ** 2 for part in parts])
            assert law.mean[h, 0] == pytest.approx(mean, rel=1e-11)
            assert law.cov[h, 0, 0] == pytest.approx(second - mean**2, rel=1e-9)


@settings(max_examples=60)
@given(models(), halves)
def test_predictions_are_sums_over_all_paths(case, value):
    model, x, table, parts = case
    law = model.predictive(x)
    assert len(law) == len(x) + 1
    longer = np.concatenate([table, np.zeros((1, table.shape[1]))])
    _, predicted, _ = naive_hmm.filtered_states(model.startprob_, model.transmat_, longer)
    np.testing.assert_allclose(law.cdf(value), predicted @ [part.cdf(value) for part in parts], rtol=1e-11)
    steps = model.log_likelihood(x, by="step")
    np.testing.assert_allclose(law[:-1].log_density(x), steps, rtol=1e-12, atol=1e-13)


@settings(max_examples=40)
@given(models(), st.integers(1, 4), st.integers(1, 3))
def test_predictions_go_on_from_a_state(case, place, steps):
    model, x, _, _ = case
    assume(place < len(x))
    state = model.filter(x[:place]).state
    rest = model.predictive(x[place:], state=state)
    np.testing.assert_allclose(rest.weights, model.predictive(x)[place:].weights, rtol=1e-11, atol=1e-14)
    whole = model.forecast(x, steps).weights
    np.testing.assert_allclose(model.forecast(x[place:], steps, state=state).weights, whole, rtol=1e-11, atol=1e-14)
    alone = model.forecast(None, steps, state=model.filter(x).state)
    np.testing.assert_allclose(alone.weights, whole, rtol=1e-11, atol=1e-14)


def test_states_of_several_streams_give_a_law_each():
    emission = PoissonEmission()
    emission.lambdas = np.array([[1.0], [9.0]])
    model = by_hand(emission, [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    a, b = np.array([0, 1, 2]), np.array([9, 8])
    found = model.filter([a, b])
    for laws in (model.forecast(None, 2, state=found.state), model.forecast([a, b], 2)):
        assert len(laws) == 2
        for law, x in zip(laws, (a, b), strict=True):
            np.testing.assert_allclose(law.weights, model.forecast(x, 2).weights, rtol=1e-14)
    on = model.predictive([np.array([3]), np.array([7])], state=found.state)
    np.testing.assert_allclose(on[1].weights, model.predictive([*b, 7])[2:].weights, rtol=1e-14)


@pytest.mark.parametrize("state", [[0.5, 0.6], [1.0], [[0.5, 0.5]] * 2, [-0.5, 1.5]])
def test_what_is_no_state_is_refused(state):
    model = by_hand(Geometric([0.2, 0.8]), [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    for verb in (model.filter, model.predictive, model.forecast):
        with pytest.raises(ValueError, match="state"):
            verb([1, 2], state=state)


def test_a_forecast_without_data_needs_a_state():
    model = by_hand(Geometric([0.2, 0.8]), [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(TypeError, match="X is NoneType"):
        model.forecast(None, 2)


# ----------------------------------------------------------------------------------------- an emission of one's own


def test_four_members_are_enough_to_predict():
    model = by_hand(Geometric([0.2, 0.8]), [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    x = [0, 1, np.nan, 12, 9]
    law = model.forecast(x, 2)
    assert isinstance(law, PredictiveLaw)
    assert law.support == "counts"
    expected = law.weights @ [0.2 * 0.8**3, 0.8 * 0.2**3]
    np.testing.assert_allclose(law.probability(3), expected, rtol=1e-13)
    assert law.sample(0).shape == (2,)
    for verb in ("interval", "cdf", "log_event", "mean", "cov", "to_frame"):
        assert not hasattr(law, verb)
    with pytest.raises(AttributeError, match=r"this law has no interval: Geometric lacks cdf\(x\)"):
        law.interval(0.9)


def test_a_cdf_adds_intervals_and_events():
    model = by_hand(GeometricWithCdf([0.2, 0.8]), [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    law = model.forecast([0, 12, 9], 2)
    pmf = law.weights @ np.stack([stats.geom.pmf(np.arange(400), stop, loc=-1) for stop in (0.2, 0.8)])
    found = law.interval(0.9)
    np.testing.assert_array_equal(found.low[:, 0], (np.cumsum(pmf, axis=1) >= 0.05).argmax(axis=1))
    np.testing.assert_array_equal(found.high[:, 0], (np.cumsum(pmf, axis=1) >= 0.95).argmax(axis=1))
    even = pmf[:, ::2].sum(axis=1)
    np.testing.assert_allclose(np.exp(law.log_event(lambda n: n % 2, [4, 2])), even, rtol=1e-12)


def test_a_law_stays_what_it_was_when_the_model_changes():
    emission = PoissonEmission()
    emission.lambdas = np.array([[1.0], [9.0]])
    model = by_hand(emission, [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    law = model.forecast([0, 1], 2)
    before = law.mean
    model.emission_.lambdas[:] = 50.0
    np.testing.assert_array_equal(law.mean, before)


def test_an_own_law_takes_the_place_of_the_mixture():
    emission = CategoricalEmission()
    emission.emissionprob = np.array([[0.9, 0.1], [0.2, 0.8]])
    law = by_hand(emission, [0.5, 0.5], [[0.7, 0.3], [0.4, 0.6]]).forecast([0, 1, 1], 2)
    assert law.symbols.tolist() == [0, 1]
    assert law.mean is None


def test_intervals_hold_as_many_paths_as_they_say():
    emission = GaussianEmission()
    emission.means, emission.covars = np.array([[-3.0], [2.0]]), np.array([[1.0], [2.0]])
    model = by_hand(emission, [0.5, 0.5], [[0.8, 0.2], [0.3, 0.7]])
    x, n = [-3.0, -2.5, 2.0], 4000
    found = model.forecast(x, 3).interval(0.8)
    rng = np.random.default_rng(0)
    last = model.sample_posterior(x, n, random_state=1)[:, -1]
    for h in range(3):
        last = (rng.random(n) < model.transmat_[last, 1]).astype(int)
        drawn = model.emission_.sample(last, rng)[:, 0]
        inside = ((drawn >= found.low[h, 0]) & (drawn <= found.high[h, 0])).mean()
        assert inside == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / n))


def test_dates_go_on_and_features_keep_their_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2)) + 4 * (np.arange(40) // 10 % 2)[:, None]
    x[3, 1] = np.nan
    x[7] = np.nan
    frame = pd.DataFrame(x, index=pd.date_range("2024-01-01", periods=40), columns=["a", "b"])
    model = HMM(2, GaussianEmission("full"), random_state=0, tol=0.01).fit(frame)
    law = model.forecast(frame, 3)
    assert law.index.tolist() == pd.date_range("2024-02-10", periods=3).tolist()
    assert law.to_frame().columns.tolist() == ["mean_0", "standard_deviation_0", "mean_1", "standard_deviation_1"]
    steps = model.log_likelihood(x, by="step")
    np.testing.assert_allclose(model.predictive(frame)[:-1].log_density(frame), steps, rtol=1e-11)
    assert np.isnan(steps).sum() == 1


# ------------------------------------------------------------------------------------------------------------- files


class Everything(Geometric):
    """Attributes of every kind that a file keeps."""

    def __init__(self, stops, **others):
        super().__init__(stops)
        vars(self).update(others)


def test_an_emission_without_an_archive_is_kept_by_its_attributes(tmp_path):
    others = {"number": 3, "share": 0.25, "scalar": np.float64(1.5), "word": "rain", "none": None, "flag": True}
    others |= {"listed": [1, 2.5, "x"], "table": {"a": [1]}, "array": np.arange(6).reshape(2, 3)}
    model = by_hand(Everything([0.2, 0.8], **others), [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    model.save(tmp_path / "model")
    again = load(tmp_path / "model", Everything=Everything)
    assert type(again.emission_) is type(again.emission) is Everything
    for name, value in vars(model.emission_).items():
        np.testing.assert_array_equal(getattr(again.emission_, name), value)
    assert again.score([1, 2, 0]) == model.score([1, 2, 0])


class Archived(Geometric):
    """With an archive of its own."""

    def to_archive(self):
        return {"n": len(self.stops)}, {"go on": 1 - self.stops}

    @classmethod
    def from_archive(cls, header, arrays):
        assert header == {"n": 2}
        return cls(1 - arrays["go on"])


def test_an_archive_of_its_own_is_used(tmp_path):
    model = by_hand(Archived([0.25, 0.5]), [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    model.save(tmp_path / "model")
    again = load(tmp_path / "model", Archived=Archived)
    np.testing.assert_array_equal(again.emission_.stops, [0.25, 0.5])


def test_an_unknown_emission_says_how_to_pass_its_class(tmp_path):
    by_hand(Geometric([0.25, 0.5]), [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"model holds .* emission 'Geometric'.*load\(path, Geometric=Geometric\)"):
        load(tmp_path / "model")


@pytest.mark.parametrize("value", [object(), (1, 2), {1}, math.sin])
def test_what_no_file_can_keep_is_named(tmp_path, value):
    model = by_hand(Everything([0.2, 0.8], odd=value), [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(TypeError, match=r"Everything\.odd is a .*, which no file can keep: make it an array, or give"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


# -------------------------------------------------------------------------------------------------------- comparing


def test_all_paths_agree_with_an_event_by_enumeration():
    model = by_hand(GeometricWithCdf([0.3, 0.7]), [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    x = [0, 3, 1]
    found = model.predictive(x)[:-1].log_event(lambda n: n > 0, x)
    for n in range(3):
        total = here = 0.0
        for path in itertools.product(range(2), repeat=n + 1):
            p = model.startprob_[path[0]]
            for i, j in itertools.pairwise(path):
                p *= model.transmat_[i, j]
            for t in range(n):
                stop = model.emission_.stops[path[t]]
                p *= stop * (1 - stop) ** x[t]
            stop = model.emission_.stops[path[n]]
            total += p
            here += p * ((1 - stop) if x[n] > 0 else stop)
        assert found[n] == pytest.approx(math.log(here / total), rel=1e-12)


def test_after_an_impossible_observation_nothing_is_known():
    emission = PoissonEmission()
    emission.lambdas = np.array([[0.0], [0.0]])
    model = by_hand(emission, [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
    x = [0, 5, 0]
    assert model.filter(x).log_likelihood == model.score(x) == -math.inf
    law = model.predictive(x)
    np.testing.assert_array_equal(np.isnan(law.interval().low[:, 0]), [False, False, True, True])
    np.testing.assert_array_equal(np.isnan(law.mean[:, 0]), [False, False, True, True])
    np.testing.assert_array_equal(law[:2].log_density([0, 5]), [0.0, -math.inf])
