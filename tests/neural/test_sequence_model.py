"""Networks that foretell sequences: log-likelihoods, laws of what is to come, draws, streams, and what they refuse."""

import copy
import itertools
import pickle
import re

import numpy as np
import pytest
from scipy import stats

from statespace import load, scorer
from statespace.foundations.estimator import clone
from statespace.neural import Gaussian, RecurrentSequenceModel, Schedule
from tests.naive_networks import Network, foretold, log_law
from tests.neural.drawn_networks import CELLS, REMEDIES
from tests.neural.own_laws import Exponential

HEADS = ["categorical", "bernoulli", "poisson", "gaussian"]


def drawn(head, lengths, seed=0, n_features=2):
    """Sequences that remember: the next depends on the one before."""
    rng = np.random.default_rng(seed)
    found = []
    for n in lengths:
        level = np.cumsum(rng.normal(size=(n, n_features)), axis=0) if head == "gaussian" else np.arange(n) // 3 % 3
        if head == "gaussian":
            found.append(level * [1.0, 20.0][:n_features] + [0.0, 500.0][:n_features])
        elif head == "poisson":
            found.append(rng.poisson(1.0 + 4 * level))
        else:
            found.append((level + (rng.random(n) < 0.2)) % (2 if head == "bernoulli" else 3))
    return found


def gappy(x, places):
    """The sequence with some observations missing."""
    if np.ndim(x) == 2:
        x = x.copy()
        x[places] = np.nan
        return x
    return np.where(np.isin(np.arange(len(x)), places), np.nan, x)


def quick(cell="gru", hidden_size=4, head="categorical", **options):
    """A network that is fitted in no time; it need not be good."""
    options = {"n_epochs": 3, "held_out": 0, "random_state": 0, "dtype": np.float64, **options}
    return RecurrentSequenceModel(cell, hidden_size, head, **options)


@pytest.fixture(scope="session")
def fitted():
    """A network for each law, copied by those who change it."""
    return {head: quick(head=head, n_epochs=10).fit(drawn(head, [30, 20, 25])) for head in HEADS}


def same_weights(one, other):
    for a, b in zip([*one._encoder.parts, one.head_], [*other._encoder.parts, other.head_], strict=True):
        np.testing.assert_array_equal(a.vector, b.vector)


# --------------------------------------------------------------------------------------------- log-likelihoods


def twin_steps(model, x, train):
    """log p(x_n | x_1..x_{n-1}) by the obvious loops."""
    net, head = model.network_, model.head
    options = ("cell", "input_size", "hidden_size", "num_layers", "reset", "leak", "skip", "remove_short")
    twin = Network(**{name: getattr(net, name) for name in options}, nonlinearity=net.nonlinearity)
    start = model._encoder.initial_state(1)
    x = np.asarray(x, float)
    gone = np.isnan(x)
    if head in ("categorical", "bernoulli"):
        table = model._encoder.embeddings[0].table
        inputs = [table[-1] if missing else table[int(value)] for value, missing in zip(x, gone, strict=True)]
        laws = {}
    else:
        values, seen = (np.log1p(x), np.log1p(train)) if head == "poisson" else (x, train)
        inputs = (values - np.nanmean(seen, axis=0)) / np.nanstd(seen, axis=0)
        inputs = np.where(gone, 0.0, inputs).reshape(len(x), -1)
        if np.isnan(train).any():
            inputs = np.concatenate([inputs, gone.reshape(len(x), -1)], axis=1)
        laws = {"location": np.nanmean(train, axis=0), "scale": np.nanstd(train, axis=0)} if head == "gaussian" else {}
    weights = model.head_.weights
    scores = foretold(twin, net.weights, start, inputs, weights["weight"], weights["bias"])
    return [
        np.nan if missing else log_law(head, score, value, **laws)
        for score, value, missing in zip(scores, x, gone.reshape(len(x), -1).all(axis=1), strict=False)
    ]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("missing", [False, True], ids=["whole", "gappy"])
def test_log_likelihoods_are_those_of_the_obvious_loops(head, cell, missing):
    X = drawn(head, [14, 9, 11])
    if missing:
        X = [gappy(x, [2, 5]) for x in X]
        if head == "gaussian":
            X[0][7, 1] = np.nan  # one feature of two
    model = quick(head=head, hidden_size=3, num_layers=2, **cell).fit(X)
    for x in [*X, gappy(X[0], [0, 1, 13])]:
        expected = twin_steps(model, x, np.concatenate(X).astype(float))
        np.testing.assert_allclose(model.log_likelihood(x, by="step"), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)
def test_log_likelihoods_of_networks_that_go_back_further_are_those_of_the_obvious_loops(remedy):
    X = drawn("categorical", [14, 9, 11])
    for cell in ("lstm", "rnn"):
        model = quick(cell, 3, **remedy).fit(X)
        np.testing.assert_allclose(model.log_likelihood(X[0], by="step"), twin_steps(model, X[0], None), rtol=1e-10)


@pytest.mark.parametrize("head", HEADS)
def test_rows_have_the_same_bits_in_any_company(fitted, head):
    model, X = fitted[head], drawn(head, [3, 300, 1, 40, 40], seed=1)
    together = model.log_likelihood(X, by="step")
    for x, steps in zip(X, together, strict=True):
        np.testing.assert_array_equal(model.log_likelihood(x, by="step"), steps)


# ------------------------------------------------------------------------------------------------ what is to come


@pytest.mark.parametrize("head", ["categorical", "bernoulli"])
def test_forecasts_are_sums_over_all_paths(fitted, head):
    model, x = fitted[head], drawn(head, [12], seed=2)[0]
    K, n_paths = len(model.symbols_), 20_000
    exact = np.zeros((4, K))
    exact[0] = model.predictive(x).probabilities[-1]
    for n in range(1, 4):
        for path in itertools.product(range(K), repeat=n):
            laws = model.predictive(np.concatenate([x, model.symbols_[list(path)]])).probabilities
            weight = np.prod([laws[len(x) + step, symbol] for step, symbol in enumerate(path)])
            exact[n] += weight * laws[-1]
    found = model.forecast(x, 4, n_paths=n_paths, random_state=1).probabilities
    np.testing.assert_allclose(found[0], exact[0], rtol=1e-12)
    error = np.sqrt(exact * (1 - exact) / n_paths)  # of frequencies; means of laws are nearer
    assert (np.abs(found - exact) < 4.5 * error + 1e-12).all()
    assert np.abs(found - exact)[1:].max() > 0  # the paths are drawn


@pytest.mark.parametrize("head", ["poisson", "gaussian"])
def test_two_steps_ahead_the_mean_and_the_variance_are_those_over_what_may_come_next(fitted, head):
    model, x = fitted[head], drawn(head, [12], seed=2)[0]
    found = model.forecast(x, 2, n_paths=4000)
    rng = np.random.default_rng(5)
    first = model.predictive(x)[len(x) :]
    means, variances = [], []
    for _ in range(600):
        law = model.predictive(np.concatenate([x, first.sample(rng).reshape(1, *x.shape[1:])]))[len(x) + 1 :]
        means.append(law.mean[0])
        variances.append(np.diagonal(law.cov[0]))
    means = np.array(means)
    error = means.std(axis=0) * np.sqrt(1 / 600 + 1 / 4000)
    assert (np.abs(found.mean[1] - means.mean(axis=0)) < 4.5 * error + 1e-9).all()
    np.testing.assert_allclose(np.diagonal(found.cov[1]), np.mean(variances, axis=0) + means.var(axis=0), rtol=0.2)


def test_each_sequence_of_a_list_has_the_forecast_that_it_has_alone(fitted):
    X = drawn("categorical", [5, 9, 2], seed=3)
    for x, law in zip(X, fitted["categorical"].forecast(X, 3), strict=True):
        np.testing.assert_array_equal(law.probabilities, fitted["categorical"].forecast(x, 3).probabilities)


def test_a_forecast_is_drawn_by_its_seed(fitted):
    model, x = fitted["categorical"], drawn("categorical", [9])[0]
    found = [model.forecast(x, 3, n_paths=50, random_state=seed).probabilities[2] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


# ---------------------------------------------------------------------------------------------------------- draws


@pytest.mark.parametrize("head", HEADS)
def test_draws_have_the_laws_that_the_model_gives_them(fitted, head):
    model = fitted[head]
    x = model.sample(1500, random_state=4)
    law = model.predictive(x)[: len(x)]
    if head in ("categorical", "bernoulli"):
        seen = x[:, None] == model.symbols_
        mean, variance = law.probabilities, law.probabilities * (1 - law.probabilities)
    else:
        seen, mean = x.reshape(len(x), -1), law.mean
        variance = np.diagonal(law.cov, axis1=1, axis2=2)
    assert (np.abs((seen - mean).sum(axis=0)) < 4.5 * np.sqrt(variance.sum(axis=0))).all()
    spread = ((seen - mean) ** 2 / variance).mean(axis=0)
    np.testing.assert_allclose(spread, 1.0, atol=0.2)
    if head == "gaussian":
        residuals = (seen - mean) / np.sqrt(variance)
        assert stats.kstest(residuals.reshape(-1), "norm").pvalue > 1e-4


def test_a_draw_at_temperature_0_is_always_the_most_probable(fitted):
    for head in HEADS:
        model, start = fitted[head], drawn(head, [6], seed=5)[0]
        x = model.sample(20, random_state=1, start=start, temperature=0)
        np.testing.assert_array_equal(x, model.sample(20, random_state=2, start=start, temperature=0))
        law = model.predictive(np.concatenate([start, x]))[6:26]
        if head in ("categorical", "bernoulli"):
            np.testing.assert_array_equal(x, model.symbols_[law.probabilities.argmax(axis=1)])
        elif head == "gaussian":
            np.testing.assert_allclose(x, law.mean, rtol=1e-9)
        else:
            np.testing.assert_array_equal(x, np.floor(law.mean[:, 0]))  # the mode of a Poisson law


def test_a_draw_at_temperature_2_is_of_the_roots_of_probabilities(fitted):
    model = fitted["categorical"]
    x = model.sample(3000, random_state=4, temperature=2)
    flat = np.sqrt(model.predictive(x).probabilities[:-1])
    flat /= flat.sum(axis=1, keepdims=True)
    away = np.abs(((x[:, None] == model.symbols_) - flat).sum(axis=0))
    assert (away < 4.5 * np.sqrt((flat * (1 - flat)).sum(axis=0))).all()


@pytest.mark.parametrize("head", HEADS)
def test_a_draw_goes_on_from_its_start(fitted, head):
    model, start = fitted[head], drawn(head, [8], seed=6)[0]
    state = model.filter(start).state
    x = model.sample(5, random_state=3, start=start)
    rng = np.random.default_rng(3)
    for value in x:
        law_draw = model._drawn(state, rng, 1.0)
        expected = model.symbols_[law_draw] if head in ("categorical", "bernoulli") else law_draw
        np.testing.assert_array_equal(np.ravel(value), np.ravel(expected))
        state = model.filter([value] if np.ndim(value) == 0 else value[None], state=state).state
    assert len(model.sample(0, start=start)) == 0


# -------------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("cut", [1, 5, 11])
def test_a_stream_goes_on_exactly(fitted, head, cut):
    model, x = fitted[head], gappy(drawn(head, [12], seed=7)[0], [3, 6])
    whole, first = model.filter(x), model.filter(x[:cut])
    rest = model.filter(x[cut:], state=first.state)
    np.testing.assert_array_equal(np.concatenate([first.filtered, rest.filtered]), whole.filtered)
    np.testing.assert_array_equal(np.concatenate([first.predicted, rest.predicted]), whole.predicted)
    np.testing.assert_array_equal(rest.state.h, whole.state.h)
    assert first.log_likelihood + rest.log_likelihood == pytest.approx(model.score(x), rel=1e-12)
    assert whole.log_likelihood == pytest.approx(model.score(x), rel=1e-12)
    law, ahead = model.predictive(x), model.forecast(x, 3)
    np.testing.assert_array_equal(model.predictive(x[cut:], state=first.state)._rows, law._rows[cut:])
    np.testing.assert_array_equal(model.forecast(x[cut:], 3, state=first.state)._rows, ahead._rows)
    np.testing.assert_array_equal(model.forecast(None, 3, state=whole.state)._rows, ahead._rows)


@pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)
def test_a_stream_of_several_goes_on_exactly_where_networks_go_back_further(remedy):
    X = drawn("categorical", [12, 7, 9])
    model = quick("lstm", 3, num_layers=2, **remedy).fit(X)
    whole = model.filter(X)
    first = model.filter([x[:4] for x in X])
    rest = model.filter([x[4:] for x in X], state=first.state)
    for s in range(3):
        np.testing.assert_array_equal(
            np.concatenate([first.filtered[s], rest.filtered[s]]), whole.filtered[s], err_msg=str(s)
        )
    np.testing.assert_array_equal(rest.state.h, whole.state.h)
    np.testing.assert_array_equal(rest.state.c, whole.state.c)
    laws = model.forecast(None, 2, state=rest.state)
    np.testing.assert_array_equal(laws[1].probabilities, model.forecast(X[1], 2).probabilities)


# --------------------------------------------------------------------------------------------------- what is missing


def test_what_is_missing_is_learnt_where_it_was_seen_and_is_the_mean_of_all_where_it_was_not():
    X = drawn("categorical", [30, 20])
    whole, with_gaps = quick().fit(X), quick().fit([gappy(x, [3, 9]) for x in X])
    table, counts = whole._encoder.embeddings[0].table, np.bincount(np.concatenate(X))
    np.testing.assert_allclose(table[-1], counts @ table[:-1] / counts.sum(), rtol=1e-12)
    assert with_gaps.n_parameters == whole.n_parameters + table.shape[1]
    seen = with_gaps._encoder.embeddings[0].table
    assert not np.allclose(seen[-1], counts @ seen[:-1] / counts.sum(), rtol=1e-3)


def test_a_series_of_which_nothing_is_there_says_nothing_and_is_foretold_all_the_same(fitted):
    for head in HEADS:
        x = gappy(drawn(head, [4])[0], [0, 1, 2, 3])
        if head in ("categorical", "bernoulli"):
            x = [None] * 4
        assert fitted[head].score(x) == 0.0
        assert np.isnan(fitted[head].log_likelihood(x, by="step")).all()
        assert np.isfinite(fitted[head].predictive(x)._rows).all()


# ------------------------------------------------------------------------------------------------------ own laws


class ExponentialLaw(Exponential):
    """The mean is all that this law says of what is to come."""

    def predictive(self, scores, index=None):
        from statespace.foundations.predictive import PredictiveLaw

        mean = np.exp(-scores)
        return PredictiveLaw(mean=mean, cov=mean[:, :, None] ** 2, index=index)


def test_a_law_of_ones_own_is_learnt_saved_and_drawn_from(tmp_path):
    rng = np.random.default_rng(0)
    X = [rng.exponential(np.where(np.arange(60) // 5 % 2, 9.0, 1.0)) for _ in range(3)]
    model = quick(head=ExponentialLaw(), n_epochs=150, learning_rate=0.03).fit(X)
    mean = np.mean(np.concatenate(X))
    assert -model.score(X) / 180 < 1 + np.log(mean) - 0.1  # better than one rate for all
    assert model.support == "reals"
    model.save(tmp_path / "model")
    again = load(tmp_path / "model", ExponentialLaw=ExponentialLaw)
    assert again.score(X) == model.score(X)
    np.testing.assert_array_equal(again.sample(9, random_state=1), model.sample(9, random_state=1))
    assert model.forecast(X[0], 3).mean.shape == (3, 1)


def test_a_law_that_says_nothing_of_what_is_to_come_says_so():
    x = np.random.default_rng(0).exponential(size=40)
    model = quick(head=Exponential()).fit(x)
    assert np.isfinite(model.score(x))
    with pytest.raises(TypeError, match=r"Exponential has no predictive\(scores, index\).*add it"):
        model.predictive(x)


def test_a_law_that_is_handed_over_is_not_changed():
    law = Gaussian(2)
    model = quick(head=law).fit(drawn("gaussian", [20, 20]))
    assert law.location.tolist() == [0.0, 0.0]
    assert model.head_.law.location[1] > 100
    assert model.get_params()["head"] is law
    assert model.n_parameters == quick(head="gaussian").fit(drawn("gaussian", [20, 20])).n_parameters


# ------------------------------------------------------------------------------------------------- copies and files


@pytest.mark.parametrize("head", HEADS)
def test_models_are_copied_pickled_and_cloned(fitted, head):
    model, X = fitted[head], drawn(head, [9, 4], seed=8)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.score(X) == model.score(X)
        again.partial_fit(X)
        assert again.score(X) != model.score(X)
    assert not clone(model).__sklearn_is_fitted__()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("options", [{}, {"cell": "lstm", "num_layers": 2, "skip": 2, "dropout": (0.1, 0.2, 0.0)}])
def test_a_model_comes_back_from_its_file(tmp_path, head, options):
    X = drawn(head, [14, 9])
    labels = np.array(["no", "yes", "perhaps"])
    if head in ("categorical", "bernoulli"):
        X = [labels[x].astype(object) for x in X]
    X[0][3] = None if X[0].dtype == object else X[0][3]
    options = {"cell": "gru", "dtype": None, "decay": "cosine", **options}
    model = quick(hidden_size=3, head=head, **options).fit(X)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.log_likelihood(X[1], by="step"), model.log_likelihood(X[1], by="step"))
    np.testing.assert_array_equal(again.forecast(X[0], 3)._rows, model.forecast(X[0], 3)._rows)
    np.testing.assert_array_equal(again.sample(9, random_state=3), model.sample(9, random_state=3))
    assert again.n_parameters == model.n_parameters
    assert again.support == model.support
    assert again.network_.dtype == np.float32
    np.testing.assert_array_equal(again.history_.loss, model.history_.loss)
    same_weights(again, model)
    same_weights(again.fit(X), model)  # and learns the same


def test_what_no_file_keeps_is_said_or_left_out(tmp_path):
    x = drawn("categorical", [30])[0]
    scheduled = quick(learning_rate=lambda step: 0.01 / (1 + step)).fit(x)
    scheduled.save(tmp_path / "model")
    assert load(tmp_path / "model").score(x) == scheduled.score(x)
    model = quick(head=Exponential()).fit(x + 0.5)
    model.save(tmp_path / "own")
    with pytest.raises(ValueError, match="Exponential"):
        load(tmp_path / "own")


def test_sizes_are_searched_by_cross_validation():
    selection = pytest.importorskip("sklearn.model_selection", reason="its search is what is tried")
    X = drawn("categorical", [12, 15, 11, 9])
    found = selection.GridSearchCV(quick(), {"hidden_size": [1, 3]}, scoring=scorer(), cv=2).fit(X)
    assert found.best_params_["hidden_size"] in (1, 3)
    assert found.best_estimator_.network_.hidden_size == found.best_params_["hidden_size"]


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "grue"}, "cell is 'grue', expected one of"),
        ({"hidden_size": 0}, "hidden_size is 0, expected an integer of at least 1"),
        ({"hidden_size": 2.5}, "hidden_size is 2.5"),
        ({"head": "normal"}, "head is 'normal', expected one of 'categorical'"),
        ({"head": 3}, "3 is no law of a head"),
        ({"num_layers": 0}, "num_layers is 0"),
        ({"embedding_size": 0}, "embedding_size is 0"),
        ({"embedding_size": [2, 3]}, r"embedding_size is \[2, 3\], expected 1"),
        ({"reset": "never"}, "reset is 'never'"),
        ({"leak": 2.0}, "leak is 2.0"),
        ({"skip": 1}, "skip is 1"),
        ({"remove_short": True}, "remove_short"),
        ({"cell": "rnn", "nonlinearity": "sine"}, "nonlinearity is 'sine'"),
        ({"learn_start": 1}, "learn_start is 1, expected True or False"),
        ({"dropout": 1.0}, "dropout is 1, and nothing would be left"),
        ({"dropout": -0.1}, "dropout is -0.1, expected a number from 0 to 1"),
        ({"dropout": (0.1, 0.2)}, r"dropout is \(0.1, 0.2\), expected one number, or three"),
        ({"method": "sgd"}, "method is 'sgd', expected one of 'adam', 'lbfgs'"),
        ({"n_epochs": 0}, "n_epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"truncate": 0}, "truncate is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"decay": "exponential"}, "decay is 'exponential', expected one of None, 'linear', 'cosine'"),
        ({"decay": "linear", "learning_rate": Schedule(0.1)}, "leave one out"),
        ({"clip": 0.0}, "clip is 0.0"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
        ({"held_out": 1}, "held_out is 1, and nothing would be left to train on"),
        ({"held_out": -0.5}, "held_out is -0.5"),
        ({"patience": 0}, "patience is 0"),
        ({"dtype": np.float16}, "float16"),
        ({"progress": "yes"}, "progress is 'yes', expected True or False"),
        ({"random_state": -1}, "random_state is -1"),
        ({"random_state": "luck"}, "random_state is 'luck'"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_answered(options, message):
    model = quick(**options)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(drawn("categorical", [20]))
    assert not model.__sklearn_is_fitted__()


@pytest.mark.parametrize(
    ("head", "X", "more", "message"),
    [
        ("bernoulli", ["a", "b", "c"], {}, "head is 'bernoulli', and the data have 3 symbols.*use 'categorical'"),
        ("poisson", [1.0, 2.5], {}, r"row 1 of X is \[2.5\]: counts are whole numbers"),
        ("poisson", [1.0, -1.0], {}, r"row 1 of X is \[-1.\]: counts"),
        ("gaussian", [[1.0, np.nan]] * 3, {}, "column 1 of X has no observation"),
        ("gaussian", [1.0, 2.0], {"symbols": [1.0, 2.0]}, "symbols is for laws of symbols, and head is 'gaussian'"),
        ("gaussian", ["a", "b"], {}, "X"),
        (Gaussian(3), [[1.0, 2.0]] * 3, {}, "X has 2 columns, and head is a law of 3"),
        ("categorical", [None, None], {}, "missing"),
        ("categorical", ["a", "b"], {"sample_weight": [0]}, "sample_weight is 0 for every sequence"),
        ("categorical", ["a", "b"], {"sample_weight": [1, 1]}, "one weight for each sequence"),
        ("gaussian", [[1.0], [2.0]], {"sample_weight": [-1]}, r"sample_weight\[0\] is -1.0"),
    ],
)
def test_data_that_make_no_sense_are_answered(head, X, more, message):
    model = quick(head=head)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, **more)
    assert not model.__sklearn_is_fitted__()


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (lambda m, x: m.log_likelihood(x, by="day"), "by is 'day', expected one of"),
        (lambda m, x: m.log_likelihood([9, 9]), "9"),
        (lambda m, x: m.forecast(x, 0), "steps is 0"),
        (lambda m, x: m.forecast(x, n_paths=0), "n_paths is 0"),
        (lambda m, x: m.forecast(x, random_state="luck"), "random_state is 'luck'"),
        (lambda m, x: m.forecast(None), "X"),
        (lambda m, x: m.sample(-1), "n_samples is -1"),
        (lambda m, x: m.sample(3, temperature=-1), "temperature is -1"),
        (lambda m, x: m.sample(3, start=[x, x]), "start holds several sequences"),
        (lambda m, x: m.sample(3, start=[7]), "7"),
        (lambda m, x: m.filter(x, state=3), "state"),
        (lambda m, x: m.filter([x, x], state=m.filter(x).state), "state"),
        (lambda m, x: m.predictive(x, state=m.filter([x, x]).state), "state"),
    ],
)
def test_questions_that_make_no_sense_are_answered(fitted, verb, message):
    with pytest.raises((ValueError, TypeError), match=re.compile(message)):
        verb(fitted["categorical"], drawn("categorical", [5])[0])


def test_models_of_numbers_have_no_symbols(fitted):
    with pytest.raises(AttributeError, match="a model of numbers has no symbols_"):
        _ = fitted["gaussian"].symbols_
    with pytest.raises(ValueError, match="columns"):
        fitted["gaussian"].score(np.zeros((3, 3)))
