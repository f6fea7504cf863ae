"""Models on one scale, by hand: the same steps, the same units, the same events."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statespace import HMM, MarkovChain, PredictiveLaw, compare
from statespace.datasets import load_seattle_rain
from statespace.hmm import CategoricalEmission, GaussianEmission, GaussianMixtureEmission, PoissonEmission
from statespace.neural import RecurrentSequenceModel


class Verbs:
    """What `compare` asks of a model, and nothing of this package: get_params, fit, log_likelihood, predictive."""

    fits = 0

    def get_params(self, deep=True):
        return {}

    def fit(self, X):
        Verbs.fits += 1
        self.learn(np.concatenate([self.read(x) for x in self.listed(X)]))
        return self

    def listed(self, X):
        many = isinstance(X, list) and hasattr(X[0], "__len__")
        return X if many else [X]

    def read(self, x):
        return np.asarray(x, dtype=float).reshape(-1)

    def log_likelihood(self, X, lengths=None, by="total"):
        steps = [self.log_density(self.read(x)) for x in self.listed(X)]
        assert by == "step"
        return steps if X is self.listed(X) else steps[0]

    def predictive(self, X, lengths=None):
        laws = [self.law(len(self.read(x)) + 1) for x in self.listed(X)]
        return laws if X is self.listed(X) else laws[0]


class Gaussian(Verbs):
    """Independent draws of a normal law."""

    support = "reals"
    n_parameters = 2

    def learn(self, x):
        self.mean, self.sd = np.nanmean(x), np.nanstd(x)

    def log_density(self, x):
        return stats.norm.logpdf(x, self.mean, self.sd)

    def law(self, n):
        return PredictiveLaw(mean=np.full((n, 1), self.mean), cov=np.full((n, 1, 1), self.sd**2))


class Poisson(Verbs):
    """Independent counts."""

    support = "counts"
    n_parameters = 1

    def learn(self, x):
        self.rate = x.mean()

    def log_density(self, x):
        return stats.poisson.logpmf(x, self.rate)

    def law(self, n):
        symbols = np.arange(200)
        return PredictiveLaw(np.tile(stats.poisson.pmf(symbols, self.rate), (n, 1)), symbols)


SEATTLE = [-993.696, -856.568, -835.792, -830.272, -827.248]  # log-likelihoods of orders 0 to 4 on days 5 to 1461


def i_i_d_and_first_order():
    return {"i.i.d.": MarkovChain(0), "order 1": MarkovChain(1)}


def log_steps(train, whole, order):
    """Log relative frequencies of the plainest kind; NaN where the context is incomplete."""
    train, whole = list(train), list(whole)
    steps = []
    for t in range(len(whole)):
        context = whole[max(t - order, 0) : t]
        if len(context) < order or None in [*context, whole[t]]:
            steps.append(math.nan)
            continue
        words = [train[i - order : i + 1] for i in range(order, len(train)) if None not in train[i - order : i + 1]]
        follows = [word[-1] for word in words if word[:-1] == context]
        share = follows.count(whole[t]) / len(follows) if follows else 1 / 2
        steps.append(math.log(share) if share else -math.inf)
    return np.array(steps)


# ------------------------------------------------------------------------------------------------------ the steps

symbol = st.sampled_from([0, 1, 0, 1, 0, 1, None])


@given(st.lists(symbol, min_size=4, max_size=30), st.integers(1, 12), st.integers(0, 3))
def test_the_last_steps_are_predicted_by_a_fit_to_the_steps_before_them(middle, n_test, skip):
    x = [0, 0, 1, 1, 0, 1, 0, 0, *middle, 0, *([0, 1, 1, 0] * 3)[:n_test]]
    cut = len(x) - n_test
    found = compare(i_i_d_and_first_order(), x, test=n_test, skip=skip)
    steps = np.array([log_steps(x[:cut], x, order) for order in (0, 1)])
    common = ~np.isnan(steps).any(axis=0)
    common[:skip] = False
    train, test = common.copy(), common.copy()
    train[cut:], test[:cut] = False, False
    L, losses = steps[:, train].sum(axis=1), -steps[:, test].mean(axis=1)
    np.testing.assert_allclose(found.log_likelihood, L, rtol=1e-12)
    np.testing.assert_allclose(found.held_out_nats, losses, rtol=1e-12)
    np.testing.assert_allclose(found.held_out_bits, losses / math.log(2), rtol=1e-12)
    assert (found.n_train_steps, found.n_test_steps) == (train.sum(), test.sum())
    np.testing.assert_allclose(found.aic, 2 * np.array([1, 2]) - 2 * L)
    np.testing.assert_allclose(found.bic, math.log(train.sum()) * np.array([1, 2]) - 2 * L)


@given(st.lists(st.lists(symbol, min_size=1, max_size=9), min_size=1, max_size=4), st.integers(0, 3))
def test_other_sequences_start_without_a_past(drawn, skip):
    train, test = [0, 0, 1, 1, 0, 1, 0, 0], [x for x in drawn if x.count(None) < len(x)] + [[0, 1, 1, 0, 0, 1]]
    found = compare(i_i_d_and_first_order(), train, test=test, skip=skip)
    steps = np.array([np.concatenate([log_steps(train, x, order)[skip:] for x in test]) for order in (0, 1)])
    steps = steps[:, ~np.isnan(steps).any(axis=0)]
    np.testing.assert_allclose(found.held_out_nats, -steps.mean(axis=1), rtol=1e-12)
    assert found.n_test_steps == steps.shape[1]
    fitted = np.array([log_steps(train, train, order)[max(skip, 1) :] for order in (0, 1)])
    np.testing.assert_allclose(found.log_likelihood, fitted.sum(axis=1), rtol=1e-12)


def test_several_sequences_can_be_fitted_to():
    train, test = [[0, 1, 1, 0], [1, 1], [0, 0, 1]], [[0, 1, 0], [1, 0, 0, 1]]
    found = compare({"one": MarkovChain(1, smoothing="laplace")}, train, test=test)
    chain = MarkovChain(1, smoothing="laplace").fit(train)
    assert found.log_likelihood[0] == pytest.approx(chain.score(train))
    assert found.held_out_nats[0] == pytest.approx(-chain.score(test) / 5)


def test_a_step_that_one_model_does_not_score_is_dropped_for_all():
    x = load_seattle_rain().wet
    models = {"i.i.d.": MarkovChain(0), "order 4": MarkovChain(4), "free start": MarkovChain(2, initial="free")}
    found = compare(models, x, test=[x[:50], x[60:70], x[80:83]])
    assert found.n_train_steps == len(x) - 4
    assert found.n_test_steps == 46 + 6
    wet = np.concatenate([x[4:50], x[64:70]])
    assert found.held_out_nats[0] == pytest.approx(stats.bernoulli.logpmf(wet, x.mean()).mean() * -1)


@pytest.mark.parametrize(("order", "published"), list(enumerate(SEATTLE)))
def test_rain_in_seattle_costs_its_published_likelihood(order, published):
    wet = load_seattle_rain().wet[4 - order :]
    found = compare({"chain": MarkovChain(order)}, wet, test=[wet])
    assert found.log_likelihood[0] == pytest.approx(published, abs=5.1e-4)
    assert found.held_out_nats[0] == pytest.approx(-published / 1457, abs=1e-6)


def test_the_standard_error_is_that_of_paired_differences():
    x = load_seattle_rain().wet
    models = {str(M): MarkovChain(M) for M in range(4)}
    found = compare(models, x, test=365)
    steps = np.array([MarkovChain(M).fit(x[:-365]).log_likelihood(x, by="step")[-365:] for M in range(4)])
    best = np.argmax(steps.mean(axis=1))
    assert found.best == str(best)
    np.testing.assert_allclose(found.difference, (steps[best] - steps).mean(axis=1), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.difference_error, stats.sem(steps[best] - steps, axis=1), rtol=1e-9, atol=1e-15)
    assert found.difference[best] == found.difference_error[best] == 0


def test_one_test_step_has_no_standard_error():
    found = compare(i_i_d_and_first_order(), [0, 1, 1, 0, 1, 0, 0, 1], test=1)
    assert np.isnan(found.difference_error).all()
    assert "nan" in str(found)


def test_an_impossible_observation_costs_infinity_and_the_table_still_prints():
    x = [0, 1, 0, 1, 0, 1, 0, 0]
    found = compare({"never": MarkovChain(1), "sometimes": MarkovChain(0)}, x, test=1)
    assert found.held_out_nats[0] == found.held_out_bits[0] == found.difference[0] == np.inf
    assert found.best == "sometimes"
    assert "inf" in str(found)
    assert "inf" in found._repr_html_()
    everywhere = compare({"never": MarkovChain(1)}, x, test=1)
    assert everywhere.held_out_nats[0] == np.inf
    assert everywhere.best is None
    assert "never *" not in str(everywhere)


def test_symbols_declare_what_the_fitted_part_does_not_show():
    x = [0, 1, 1, 0, 0, 1, 2]
    found = compare({"smoothed": MarkovChain(0, smoothing="laplace")}, x, test=1, symbols=[0, 1, 2])
    assert found.held_out_nats[0] == pytest.approx(math.log(9))
    assert found.n_parameters == (2,)


# -------------------------------------------------------------------------------------------------- the estimators


def test_clones_are_fitted_and_the_callers_models_left_alone():
    mine = MarkovChain(1).fit([0, 1, 1, 0, 1])
    fresh = MarkovChain(2)
    before = mine.transmat_.copy()
    found = compare({"mine": mine, "fresh": fresh}, [0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1], test=3)
    np.testing.assert_array_equal(mine.transmat_, before)
    assert not fresh.__sklearn_is_fitted__()
    assert found.models[0] is not mine
    np.testing.assert_array_equal(found.models[0].counts_, [[4, 2], [1, 1]])


def test_models_are_named_in_the_order_given_and_timed():
    models = {"b": MarkovChain(1), "a": MarkovChain(0), 3: MarkovChain(2)}
    found = compare(models, [0, 1, 1, 0, 1, 0, 0, 1, 1], test=3)
    assert found.names == ("b", "a", "3")
    assert [model.order for model in found.models] == [1, 0, 2]
    assert found.n_parameters == (2, 1, 4)
    assert found.fit_seconds.shape == (3,)
    assert (found.fit_seconds > 0).all()


def test_frames_and_labels_are_compared_like_plain_numbers():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    wet = load_seattle_rain().wet[:300]
    dates = pd.date_range("2012-01-01", periods=300)
    expected = compare(i_i_d_and_first_order(), wet.astype(int), test=50).held_out_nats
    label = np.where(wet, "wet", "dry")
    for x in (
        pd.Series(wet, index=dates),
        pl.Series(wet),
        label,
        label.tolist(),
        wet[:, None],
        pd.DataFrame({"x": wet}),
    ):
        np.testing.assert_array_equal(compare(i_i_d_and_first_order(), x, test=50).held_out_nats, expected)
    parts = [pd.Series(label[:100]), pd.Series(label[100:250])]
    found = compare(i_i_d_and_first_order(), parts, test=[pd.Series(label[250:])])
    plain = compare(i_i_d_and_first_order(), [wet[:100], wet[100:250]], test=[wet[250:]])
    np.testing.assert_array_equal(found.held_out_nats, plain.held_out_nats)


# ---------------------------------------------------------------------------------------------- units and events


def test_a_model_is_known_by_its_verbs_alone():
    x = np.random.default_rng(0).normal(3.0, 2.0, 90)
    found = compare({"normal": Gaussian(), "again": Gaussian()}, x, test=30)
    expected = -stats.norm.logpdf(x[60:], x[:60].mean(), x[:60].std()).mean()
    np.testing.assert_allclose(found.held_out_nats, [expected] * 2)
    assert found.n_parameters == (2, 2)


def test_probabilities_and_densities_are_refused_together_and_both_named():
    x = np.random.default_rng(1).poisson(2.0, 60)
    with pytest.raises(ValueError, match=r"'chain' .* of categories, 'bell' of reals: .* pass event= or bins="):
        compare({"chain": MarkovChain(0), "bell": Gaussian()}, x, test=10, symbols=range(20))
    with pytest.raises(ValueError, match=r"'bell' .* of reals, 'drops' of counts"):
        compare({"bell": Gaussian(), "drops": Poisson()}, x, test=10)


def test_a_model_that_does_not_say_what_it_describes_is_not_taken_for_either():
    class Silent(Gaussian):
        support = property(lambda self: getattr(self, "nothing"))  # noqa: B009  # absent, not None

    x = np.random.default_rng(1).normal(size=40)
    with pytest.raises(ValueError, match=r"'quiet' .* of mixed, 'bell' of reals"):
        compare({"quiet": Silent(), "bell": Gaussian()}, x, test=10)


def test_counts_and_categories_are_both_probabilities():
    x = np.random.default_rng(2).poisson(1.0, 200)
    found = compare({"chain": MarkovChain(0), "drops": Poisson()}, x, test=50, symbols=range(10))
    assert found.held_out_nats[1] == pytest.approx(-stats.poisson.logpmf(x[150:], x[:150].mean()).mean())
    shares = np.bincount(x[:150], minlength=10) / 150
    assert found.held_out_nats[0] == pytest.approx(-np.log(shares[x[150:]]).mean())


def test_an_event_has_the_probability_that_the_law_gives_it():
    x = np.random.default_rng(3).poisson(2.0, 120)
    models = {"bell": Gaussian(), "drops": Poisson(), "chain": MarkovChain(0)}
    found = compare(models, x, test=40, event=lambda value: value > 1.5, symbols=range(15))
    train, wet = x[:80], x[80:] > 1.5
    above = [
        stats.norm.sf(1.5, train.mean(), train.std()),
        stats.poisson.sf(1, train.mean()),
        (train > 1.5).mean(),
    ]
    expected = [-stats.bernoulli.logpmf(wet, p).mean() for p in above]
    np.testing.assert_allclose(found.held_out_nats, expected, rtol=1e-9)
    inside = [stats.bernoulli.logpmf(train > 1.5, p).sum() for p in above]
    np.testing.assert_allclose(found.log_likelihood, inside, rtol=1e-9)


def test_bins_have_the_probability_of_their_intervals():
    x = np.random.default_rng(4).poisson(2.0, 120)
    edges = [0.5, 2, 4]
    found = compare({"bell": Gaussian(), "drops": Poisson()}, x, test=40, bins=edges)
    train = x[:80]
    bounds = [-np.inf, *edges, np.inf]
    bell = np.diff(stats.norm.cdf(bounds, train.mean(), train.std()))
    drops = [
        sum(stats.poisson.pmf(count, train.mean()) for count in range(200) if a <= count < b)
        for a, b in itertools.pairwise(bounds)
    ]
    at = [sum(value >= edge for edge in edges) for value in x[80:]]
    np.testing.assert_allclose(found.held_out_nats[0], -np.log(bell[at]).mean(), rtol=1e-9)
    np.testing.assert_allclose(found.held_out_nats[1], -np.log(np.array(drops)[at]).mean(), rtol=1e-9)


@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
    st.floats(-12, 12),
    st.floats(-5, 1).map(lambda power: 10.0**power),
)
def test_bins_of_a_gaussian_are_exact_however_narrow_or_remote(mean, sd, place, width):
    train = np.array([mean - sd, mean + sd])  # their maximum-likelihood law has exactly this mean and sd
    m, s = train.mean(), train.std()
    low = m + place * s
    high = low + width * s
    z = (np.array([low, high]) - m) / s
    z = -z[::-1] if z[0] > 0 else z
    probability = np.diff(stats.norm.cdf(z))[0]
    found = compare({"bell": Gaussian()}, np.append(train, low), test=1, bins=[low, high])
    rounding = 1e-12 * stats.norm.cdf(z[1]) / probability  # a difference of two probabilities loses digits
    np.testing.assert_allclose(found.held_out_nats, -math.log(probability), rtol=1e-9, atol=1e-8 + rounding)


def test_an_event_of_symbols_adds_up_their_probabilities():
    x = np.random.default_rng(5).integers(0, 4, 200)
    found = compare({"chain": MarkovChain(1)}, x, test=60, event=lambda value: value % 2, symbols=range(4))
    chain = MarkovChain(1).fit(x[:140], symbols=range(4))
    p = [chain.transmat_[x[t - 1], x[t] % 2 :: 2].sum() for t in range(140, 200)]
    assert found.held_out_nats[0] == pytest.approx(-np.log(p).mean())


def test_events_reach_lists_of_sequences_and_leave_gaps_out():
    train = [[0, 1, None, 1, 0], [1, 1, 0]]
    test = [[0, 1, 1], [None, 0, 0, 1]]
    found = compare({"chain": MarkovChain(1, smoothing="laplace")}, train, test=test, event=lambda value: value == 1)
    plain = compare({"chain": MarkovChain(1, smoothing="laplace")}, train, test=test)
    assert found.held_out_nats == pytest.approx(plain.held_out_nats)
    assert found.n_test_steps == 4


@pytest.mark.parametrize("form", ["column", "Series", "frame", "polars Series", "polars frame", "list"])
def test_events_and_bins_see_numbers_whatever_holds_them(form):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    x = np.random.default_rng(6).integers(0, 3, 60)
    make = {
        "column": lambda: x[:, None],
        "Series": lambda: pd.Series(x, index=pd.date_range("2020-01-01", periods=60)),
        "frame": lambda: pd.DataFrame({"mm": x}),
        "polars Series": lambda: pl.Series(x),
        "polars frame": lambda: pl.DataFrame({"mm": x}),
        "list": x.tolist,
    }
    for question in ({"event": lambda mm: mm > 0}, {"bins": [0.5]}):
        expected = compare({"chain": MarkovChain(1)}, x, test=20, **question)
        found = compare({"chain": MarkovChain(1)}, make[form](), test=20, **question)
        np.testing.assert_array_equal(found.held_out_nats, expected.held_out_nats)


# ---------------------------------------------------------------------------------------------------------- views


def test_views_show_the_same_table():
    pd = pytest.importorskip("pandas")
    found = compare({"<b>i.i.d.</b>": MarkovChain(0), "order & 1": MarkovChain(1)}, load_seattle_rain().wet, test=365)
    frame = found.to_frame()
    assert frame.index.name == "model"
    assert frame.index.tolist() == list(found.names)
    pd.testing.assert_series_equal(
        frame["held_out_nats"], pd.Series(found.held_out_nats, index=frame.index, name="held_out_nats")
    )
    columns = ["n_parameters", "log_likelihood", "aic", "bic", "held_out_nats", "held_out_bits", "difference"]
    assert frame.columns.tolist() == [*columns, "difference_error", "fit_seconds"]
    page, text = found._repr_html_(), str(found)
    assert repr(found) == text
    assert "&lt;b&gt;i.i.d.&lt;/b&gt;" in page
    assert "order &amp; 1 *" in page
    assert "<b>" not in page
    for i in range(2):
        for shown in (f"{found.aic[i]:.2f}", f"{found.bic[i]:.2f}", f"{found.held_out_nats[i]:.4f}"):
            assert shown in text
            assert shown in page
    assert "<b>i.i.d.</b>" in text
    assert text.splitlines()[3].startswith("order & 1 *")
    assert "i.i.d.</b> *" not in text
    assert "on 1095 steps, held-out loss a step on 365" in text


def test_a_comparison_cannot_be_written_to():
    found = compare(i_i_d_and_first_order(), [0, 1, 1, 0, 1, 0], test=2)
    with pytest.raises(AttributeError):
        found.aic = None


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("models", "error", "message"),
    [
        ([MarkovChain()], TypeError, "models must map names to unfitted estimators"),
        ({}, TypeError, "models must map names to unfitted estimators"),
        (MarkovChain(), TypeError, "models must map names to unfitted estimators"),
        ({"a": MarkovChain}, TypeError, "cannot clone .*: pass an instance, not the class"),
        ({"a": 3}, TypeError, "cannot clone 3: an estimator has get_params"),
        ({"a": MarkovChain(-1)}, ValueError, "order is -1, expected an integer of at least 0"),
    ],
)
def test_bad_models_are_named(models, error, message):
    with pytest.raises(error, match=message):
        compare(models, [0, 1, 1, 0, 1, 0], test=2)


@pytest.mark.parametrize(
    ("test", "error", "message"),
    [
        (0, ValueError, "test is 0, expected an integer of at least 1"),
        (-3, ValueError, "test is -3, expected an integer of at least 1"),
        (2.5, TypeError, r"test is 2\.5, expected an integer of at least 1"),
        (True, TypeError, "test is True, expected an integer"),
        (None, TypeError, "test is None, expected an integer"),
        (6, ValueError, "test=6 leaves nothing to fit of a series of 6 steps"),
        ([], TypeError, "test must be the number of last steps to hold out, or a list of sequences"),
        ([0, 1, 1], TypeError, "test must be the number of last steps to hold out, or a list of sequences"),
        (["ab"], TypeError, "test must be the number of last steps to hold out, or a list of sequences"),
        (np.array([0, 1, 1]), TypeError, r"test is one ndarray: .* \[test\] for one"),
        ("abc", TypeError, "test is one str: .* a list of sequences"),
        ([[0, 3, 1]], ValueError, r"X\[0\]\[1\] is 3, which is not among the 2 symbols 0, 1: .*symbols="),
        ([[0, 1], []], ValueError, r"X\[1\] is empty"),
        ([[0], [1]], ValueError, "no step of the test data is scored by every model"),
    ],
)
def test_bad_test_data_are_named(test, error, message):
    with pytest.raises(error, match=message):
        compare(i_i_d_and_first_order(), [0, 1, 1, 0, 1, 0], test=test)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("aabbab", TypeError, r"pass list\(text\)"),
        (7, TypeError, "X is int 7, expected one series"),
        (iter([0, 1, 0, 1]), TypeError, "X is list_iterator .*, expected one series"),
        ([[0, 1, 1], [1, 0]], ValueError, "test=1 holds out the end of one series, and X is several"),
        (np.zeros((4, 5, 1), int), ValueError, "test=1 holds out the end of one series, and X is several"),
        (np.array([[0, 1], [1]], dtype=object), ValueError, "test=1 holds out the end of one series, and X is several"),
        ([0, -1, 1], ValueError, r"X\[1\] is -1: symbols are whole numbers from 0"),
        ([0, np.inf, 1], ValueError, r"X\[1\] is inf: symbols are whole numbers"),
        ([None, None, 1], ValueError, "X has no observation"),
        (np.zeros((4, 2), int), ValueError, r"X has shape \(3, 2\); a sequence of symbols has one a step"),
    ],
)
def test_bad_data_are_named(X, error, message):
    with pytest.raises(error, match=message):
        compare({"a": MarkovChain(0)}, X, test=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"skip": -1}, ValueError, "skip is -1, expected an integer of at least 0"),
        ({"skip": 1.0}, TypeError, r"skip is 1\.0, expected an integer"),
        ({"skip": 4}, ValueError, "no step of the data fitted to is scored by every model"),
        ({"event": str, "bins": [0]}, ValueError, "give event= or bins=, not both"),
        ({"event": 3}, TypeError, "event is 3, expected a function of an observation"),
        ({"bins": [1, 0]}, ValueError, r"bins must be increasing edges, got \[1, 0\]"),
        ({"bins": [0, 0]}, ValueError, "bins must be increasing edges"),
        ({"bins": [0, math.nan]}, ValueError, "bins must be increasing edges"),
        ({"bins": []}, ValueError, "bins must be increasing edges"),
        ({"bins": 3}, ValueError, "bins must be increasing edges, got 3"),
        ({"bins": ["a"]}, ValueError, r"bins must be increasing edges, got \['a'\]"),
        ({"symbols": [0]}, ValueError, r"X\[1\] is 1, which is not among the 1 symbols 0"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        compare(i_i_d_and_first_order(), [0, 1, 1, 0, 1, 0], test=2, **options)


def test_bins_of_labels_are_refused():
    with pytest.raises(TypeError, match="bins= needs observations that are numbers, got 'dry': pass event="):
        compare({"a": MarkovChain(0)}, ["dry", "wet", "dry", "dry"], test=1, bins=[0.5])


def test_hidden_states_are_compared_with_chains_on_the_same_steps():
    wet = load_seattle_rain().wet
    models = {
        "iid": MarkovChain(0),
        "one state": HMM(1, CategoricalEmission(), random_state=0),
        "two states": HMM(2, CategoricalEmission(), random_state=0, tol=0.1),
    }
    found = compare(models, wet, test=365)
    assert found.held_out_nats[1] == pytest.approx(found.held_out_nats[0], rel=1e-12)  # the same model
    assert found.held_out_nats[2] < found.held_out_nats[0]
    assert list(found.n_parameters) == [1, 1, 5]


# ------------------------------------------------------------------------------------------- views of the same steps


class Rain:
    """Dry with probability dry[k], else an exponential amount of mean scale[k]."""

    def __init__(self, dry, scale):
        self.dry, self.scale = np.array(dry), np.array(scale)

    n_parameters = property(lambda self: 2 * len(self.dry))

    def log_likelihood(self, X):
        wet = np.log1p(-self.dry) - np.log(self.scale) - X / self.scale
        return np.where(X == 0, np.log(self.dry), wet)

    def m_step(self, X, posteriors):
        wet = ((X > 0).T @ posteriors)[0]
        self.dry, self.scale = 1 - wet / posteriors.sum(axis=0), (X.T @ posteriors)[0] / wet

    def sample(self, states, rng):
        return np.where(rng.random(len(states)) < self.dry[states], 0.0, rng.exponential(self.scale[states]))

    def cdf(self, x):
        return np.where(x < 0, 0.0, 1 - (1 - self.dry) * np.exp(-x / self.scale))


class RainWithoutCdf(Rain):
    cdf = property(lambda self: getattr(self, "nothing"))  # noqa: B009  # absent


def rain_models(kind=Rain):
    return {
        "chain": MarkovChain(1),
        "one": HMM(1, kind([0.5], [5.0])),
        "two": HMM(2, kind([0.8, 0.2], [2.0, 9.0]), random_state=0),
    }


def rain_views():
    mm = load_seattle_rain().precipitation
    return {"chain": mm > 0, "one": mm, "two": mm}


def test_rainy_days_and_millimetres_are_compared_on_the_same_event():
    views, models = rain_views(), rain_models()
    found = compare(models, views, test=365, event=lambda seen: seen > 0)
    mm = views["two"]
    chain = MarkovChain(1).fit(mm[:-365] > 0).log_likelihood(mm > 0, by="step")[-365:]
    wet = (mm[:-365] > 0).mean()
    two = HMM(2, Rain([0.8, 0.2], [2.0, 9.0]), random_state=0).fit(mm[:-365])
    dry = (two.predictive(mm)[:-1].weights @ two.emission_.dry)[-365:]
    expected = [
        -chain.mean(),
        -stats.bernoulli.logpmf(mm[-365:] > 0, wet).mean(),
        -np.log(np.where(mm[-365:] > 0, 1 - dry, dry)).mean(),
    ]
    np.testing.assert_allclose(found.held_out_nats, expected, rtol=1e-9)
    assert list(found.n_parameters) == [2, 2, 7]
    in_bins = compare(models, views, test=365, bins=[1e-6])  # two bins, which say dry or wet
    np.testing.assert_allclose(in_bins.held_out_nats, expected, rtol=1e-5)


def test_bins_of_millimetres_are_integrated():
    mm = load_seattle_rain().precipitation
    found = compare({"one": HMM(1, Rain([0.5], [5.0]))}, mm, test=365, bins=[0.0, 1.0, 10.0])
    dry, scale = (mm[:-365] == 0).mean(), mm[:-365][mm[:-365] > 0].mean()
    tail = (1 - dry) * np.exp(-np.array([0.0, 1.0, 10.0]) / scale)
    masses = np.array([1 - tail[1], tail[1] - tail[2], tail[2]])
    at = np.digitize(mm[-365:], [1.0, 10.0])
    np.testing.assert_allclose(found.held_out_nats, [-np.log(masses[at]).mean()], rtol=1e-9)


def test_views_of_several_sequences_are_compared():
    views = rain_views()
    parts = {name: [view[:700], view[700:1000]] for name, view in views.items()}
    later = {name: [view[1000:]] for name, view in views.items()}
    found = compare(rain_models(), parts, test=later, event=lambda seen: seen > 0)
    mm = views["one"]
    fitted = MarkovChain(1).fit([mm[:700] > 0, mm[700:1000] > 0])
    assert found.held_out_nats[0] == pytest.approx(-fitted.score(mm[1000:] > 0) / (len(mm) - 1001))


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {}, ValueError, "X maps models to views of their own.*: pass event= or bins="),
        ({"two": None}, {"event": bool}, ValueError, "X has no data for 'two'"),
        (
            {"chain": np.zeros(1461, bool)},
            {"event": lambda mm: mm > 0},
            ValueError,
            "at step 1 of sequence 0 the event",
        ),
        ({}, {"event": lambda mm: mm > 2}, ValueError, "the event is False for 'chain' and True for 'one': each view"),
        ({"chain": np.zeros(100, bool)}, {"event": bool}, ValueError, r"sequences of \[80\] steps, 'one' of \[1441\]"),
        ({}, {"event": bool, "test": [[0, 1]]}, TypeError, "test must do so too, or be a number of last steps"),
        ({}, {"event": bool, "test": {"chain": []}}, ValueError, "test has no data for 'one'"),
    ],
)
def test_views_that_do_not_fit_together_are_refused(change, options, error, message):
    views = {name: view for name, view in {**rain_views(), **change}.items() if view is not None}
    with pytest.raises(error, match=message):
        compare(rain_models(), views, **{"test": 20, **options})


def test_a_law_without_a_cdf_says_what_an_event_needs():
    with pytest.raises(AttributeError, match=r"this law has no log_event: RainWithoutCdf lacks cdf\(x\)"):
        compare(rain_models(RainWithoutCdf), rain_views(), test=20, event=bool)


def test_models_of_counts_and_of_categories_are_compared_with_events_and_without():
    x = np.random.default_rng(0).poisson(np.where(np.arange(300) // 30 % 2, 9.0, 2.0))
    models = {
        "one": HMM(1, PoissonEmission()),
        "two": HMM(2, PoissonEmission(), random_state=0),
        "chain": MarkovChain(0),
    }
    found = compare(models, x, test=60, symbols=np.arange(40))
    rate = x[:240].mean()
    assert found.held_out_nats[0] == pytest.approx(-stats.poisson.logpmf(x[240:], rate).mean())
    assert found.held_out_nats[1] < found.held_out_nats[0]
    for question in ({"event": lambda count: count > 4}, {"bins": [5]}):
        events = compare(models, x, test=60, symbols=np.arange(40), **question)
        expected = -stats.bernoulli.logpmf(x[240:] > 4, stats.poisson.sf(4, rate)).mean()
        assert events.held_out_nats[0] == pytest.approx(expected)
        assert events.held_out_nats[1] < expected


def test_real_vectors_and_their_mixtures_are_compared_on_densities_and_events():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300) + 4 * (np.arange(300) // 30 % 2)
    models = {"one": HMM(1, GaussianEmission()), "mixed": HMM(2, GaussianMixtureEmission(2), random_state=0, tol=0.1)}
    found = compare(models, x, test=60)
    law = stats.norm(x[:240].mean(), x[:240].std())
    assert found.held_out_nats[0] == pytest.approx(-law.logpdf(x[240:]).mean())
    assert found.best == "mixed"
    events = compare(models, x, test=60, event=lambda value: value > 2)
    assert events.held_out_nats[0] == pytest.approx(-stats.bernoulli.logpmf(x[240:] > 2, law.sf(2)).mean())
    assert events.best == "mixed"


def test_an_alphabet_is_for_models_of_symbols_only():
    numbers = np.random.default_rng(0).integers(0, 3, 60).astype(float)
    models = {
        "chain": MarkovChain(1, smoothing="jeffreys"),
        "network": RecurrentSequenceModel("rnn", 2, "gaussian", n_epochs=2, held_out=0, random_state=0),
    }
    found = compare(models, numbers, test=10, bins=[0.5, 1.5, 2.5], symbols=[0, 1, 2, 3])
    assert found.models[0].symbols_.tolist() == [0, 1, 2, 3]
    assert np.isfinite(found.held_out_nats).all()
