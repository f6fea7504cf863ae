"""What classifiers, taggers and regressors have in common: seeds, files, copies, forms of data, failures."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from statespace import load
from statespace.foundations import executors
from statespace.foundations.estimator import NotFittedError, clone
from statespace.neural import (
    RecurrentClassifier,
    RecurrentRegressor,
    RecurrentTagger,
    TokenFeatures,
)
from tests.neural.labelled_cases import FEATURES, MODELS, meaning, sequences

pytestmark = pytest.mark.filterwarnings("ignore:the training stopped")

EVERY = pytest.mark.parametrize("name", MODELS)
SOME = pytest.mark.parametrize("name", ["classifier, maximum, a layer between", "tagger, both ways", "regressor, each"])


def made(name, n=12, kind="numbers", seed=0, **options):
    options = {"n_epochs": 2, "held_out": 0.2, "batch_size": 8, "random_state": 3} | options
    if kind == "tokens":
        options = {"tokens": FEATURES} | options
    X = sequences(kind, n, seed)
    return MODELS[name](**options), X, meaning(name, X, seed)


def said(model, X):
    if hasattr(model, "predict_proba"):
        found = model.predict_proba(X)
    else:
        mean, std = model.predict(X, return_std=True)
        found = [*mean, *std]
    return np.concatenate([np.ravel(part) for part in found])


@EVERY
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(name, monkeypatch):
    kind = "tokens" if "tagger" in name else "numbers"
    found = []
    for n_threads in (1, 2, 2):
        model, X, y = made(name, 90, kind, dropout=0.2, batch_size=70)
        monkeypatch.setattr(executors, "_n_processors", lambda n=n_threads: n)
        with ThreadPoolExecutor(n_threads) as threads:
            monkeypatch.setattr(executors, "_shared_threads", lambda threads=threads: threads)
            model.fit(X, y)
            found.append(np.concatenate([*(part.vector for part in model._readout.parts), said(model, X)]))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@EVERY
@pytest.mark.parametrize("kind", ["missing", "tokens"])
def test_a_file_holds_all_that_was_learnt_and_what_is_needed_to_go_on(name, kind, tmp_path):
    model, X, y = made(name, kind=kind)
    model.partial_fit(X, y)
    model.save(tmp_path / "model")
    other = load(tmp_path / "model")
    assert type(other) is type(model)
    assert repr(other) == repr(model)
    np.testing.assert_array_equal(said(other, X), said(model, X))
    assert other.n_parameters == model.n_parameters
    for one in (model, other):
        one.partial_fit(X[:5], y[:5])
    np.testing.assert_array_equal(said(other, X), said(model, X))
    assert other.history_.n_epochs == 2


@EVERY
def test_a_copy_has_the_same_parameters_and_has_learnt_nothing(name):
    model, X, y = made(name)
    model.fit(X, y)
    copy = clone(model)
    assert repr(copy) == repr(model)
    assert copy.get_params().keys() == model.get_params().keys()
    with pytest.raises(NotFittedError, match="call fit"):
        copy.predict(X)
    np.testing.assert_array_equal(said(copy.fit(X, y), X), said(model, X))


@SOME
def test_a_grid_search_over_lists_of_sequences_works(name):
    from sklearn.model_selection import GridSearchCV

    model, X, y = made(name, n=24)
    y = meaning(name, X, missing=False)
    search = GridSearchCV(model, {"hidden_size": [2, 3]}, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_["hidden_size"] in (2, 3)
    assert len(search.predict(X)) == 24


def test_a_grid_search_reaches_how_text_is_read():
    from sklearn.base import is_classifier
    from sklearn.model_selection import GridSearchCV

    texts, y = ["wake me", "what time", "time is", "wake up"] * 4, ["alarm", "time", "time", "alarm"] * 4
    model = RecurrentClassifier(hidden_size=4, tokens=TokenFeatures("words"), held_out=0, n_epochs=5, random_state=0)
    assert is_classifier(model)
    search = GridSearchCV(model, {"tokens__tokens": ["words", "characters"]}, cv=2, error_score="raise")
    assert search.fit(texts, y).best_score_ > 0.9


@EVERY
def test_sequences_that_weigh_nothing_are_as_if_they_were_not_there(name):
    model, X, y = made(name, n=15, kind="tokens")
    weights = np.where(np.arange(15) % 4 == 3, 0.0, np.linspace(1, 2, 15))
    with_them = clone(model).fit(X, y, sample_weight=weights)
    kept = np.flatnonzero(weights)
    without = clone(model).fit([X[i] for i in kept], [y[i] for i in kept], sample_weight=weights[kept])
    np.testing.assert_array_equal(said(with_them, X), said(without, X))


@EVERY
def test_every_form_of_the_data_says_the_same(name):
    model, X, y = made(name, n=10, held_out=0)
    model.fit(X, y)
    lengths = [len(x) for x in X]
    flat_y = y if model._pooling() else np.concatenate(y)
    flat = clone(model).fit(np.concatenate(X), flat_y, lengths=lengths)
    np.testing.assert_array_equal(said(flat, X), said(model, X))
    found, expected = flat.predict(np.concatenate(X), lengths=lengths), model.predict(X)
    np.testing.assert_array_equal(found, expected if model._pooling() else np.concatenate(expected))
    assert model.score(X, y) == pytest.approx(flat.score(np.concatenate(X), flat_y, lengths=lengths), rel=1e-12)
    panel = np.stack([x[:1] for x in X])
    one_step = clone(model).fit(panel, y if model._pooling() else [one[:1] for one in y])
    np.testing.assert_array_equal(said(one_step, panel), said(one_step, list(panel)))
    single = model.predict(X[0])
    np.testing.assert_array_equal(single if not model._pooling() else single[0], expected[0])


@EVERY
def test_a_failed_fit_leaves_the_model_as_it_was(name):
    model, X, y = made(name)
    model.fit(X, y)
    before, params, history = said(model, X), model.n_parameters, model.history_
    with pytest.raises((ValueError, TypeError)):
        model.fit(X, y[:-1])
    for fit in (model.fit, model.partial_fit):
        for step in (0, 2):
            model.set_params(learning_rate=Breaks(step), batch_size=4, hidden_size=2)
            with pytest.raises(ArithmeticError, match="broken"):
                fit(X, y)
            np.testing.assert_array_equal(said(model, X), before)
            assert model.n_parameters == params
            assert model.history_ is history


class Breaks:
    """A learning rate that fails in the midst of a training."""

    def __init__(self, at):
        self.at = at

    def __call__(self, step):
        if step == self.at:
            raise ArithmeticError("broken")
        return 0.1


@EVERY
def test_learning_goes_on_without_changing_what_others_hold(name):
    model, X, y = made(name)
    model.fit(X, y)
    network, head = model.network_, model.head_
    before = [network.vector.copy(), head.vector.copy()]
    model.partial_fit(X, y)
    np.testing.assert_array_equal(network.vector, before[0])
    np.testing.assert_array_equal(head.vector, before[1])
    assert (model.network_.vector != before[0]).any()


@EVERY
def test_all_data_at_once_lower_the_loss(name):
    model, X, y = made(name, method="lbfgs", n_epochs=15, held_out=0, kind="tokens")
    model.fit(X, y)
    assert model.network_.dtype == np.float64
    assert model.history_.loss[-1] < model.history_.loss[0]


BAD = [
    ({"hidden_size": 0}, ValueError, "hidden_size is 0"),
    ({"cell": "grru"}, ValueError, "cell is 'grru'"),
    ({"dropout": 1.0}, ValueError, "dropout is 1"),
    ({"held_out": 1}, ValueError, "held_out is 1"),
    ({"bidirectional": "yes"}, TypeError, "bidirectional is 'yes', expected True or False"),
    ({"embedding_size": (3, 4)}, ValueError, "expected 3: one for each column"),
    ({"batch_size": 0}, ValueError, "batch_size is 0"),
    ({"method": "sgd"}, ValueError, "method is 'sgd'"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
@SOME
def test_what_is_no_option_is_refused(name, options, error, message):
    base, X, y = made(name, kind="tokens")
    model = base.set_params(**options)
    with pytest.raises(error, match=re.escape(message)):
        model.fit(X, y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pooling": "sum"}, ValueError, "pooling is 'sum', expected one of 'last', 'mean', 'max'"),
        ({"feed_forward": 0}, ValueError, "feed_forward is 0, expected an integer of at least 1"),
        ({"class_weight": "even"}, ValueError, "class_weight is 'even', expected None, 'balanced' or a dict"),
        ({"class_weight": {7: 1.0}}, ValueError, "class_weight has 7, which is none of the classes"),
        ({"class_weight": {0: -1.0}}, ValueError, "class_weight[0] is -1.0, expected a number of at least 0"),
        ({"class_weight": [1, 2]}, TypeError, "class_weight is [1, 2], expected"),
    ],
)
def test_what_is_no_option_of_a_classifier_is_refused(options, error, message):
    X = sequences("numbers")
    with pytest.raises(error, match=re.escape(message)):
        RecurrentClassifier(hidden_size=2, **options).fit(X, [0, 1, 2] * 3)


X3 = [np.zeros((2, 1)), np.ones((3, 1)), np.ones((1, 1))]


@pytest.mark.parametrize(
    ("model", "X", "y", "error", "message"),
    [
        (RecurrentClassifier, X3, [0, 1], ValueError, "y has 2 labels, and X has 3 sequences"),
        (RecurrentClassifier, X3, [0, 0, 0], ValueError, "y has the one class 0: at least two are needed"),
        (RecurrentClassifier, X3, [None, None, np.nan], ValueError, "y has no label"),
        (RecurrentClassifier, X3, [0.5, 1, 2], ValueError, "y[0] is 0.5"),
        (RecurrentClassifier, X3, [[0], [1], [2]], ValueError, "y is a list of lists"),
        (RecurrentClassifier, X3, "abc", TypeError, "y is 'abc', expected a list of labels"),
        (RecurrentClassifier, X3, [(1, 2), 3, 4], ValueError, "y is a list of lists"),
        (RecurrentClassifier, np.zeros((6, 1)), [0, 1], ValueError, "X has 1 sequences: one for each is needed"),
        (RecurrentClassifier, [np.full((2, 1), np.nan)] * 2, [0, 1], ValueError, "column 0 of X has no observation"),
        (RecurrentClassifier, [np.full((2, 1), np.inf), np.zeros((1, 1))], [0, 1], ValueError, "X[0][0] is infinite"),
        (RecurrentTagger, X3, [[0, 1], [1, 1, 1]], ValueError, "y has 2 sequences, and X has 3"),
        (RecurrentTagger, X3, [[0, 1], [1, 1], [0]], ValueError, "y[1] has 2 entries, and X[1] has 3 steps"),
        (RecurrentTagger, X3, [[0, 1], "aaa", [0]], TypeError, "y[1] is 'aaa', expected 3 entries"),
        (RecurrentTagger, X3, [[0, 1], list("aab"), [0]], TypeError, "use one kind of labels"),
        (RecurrentTagger, X3, [[0, 1], 3, [0]], TypeError, "y[1] is 3, expected 3 entries"),
        (RecurrentRegressor, X3, [0.0, 1.0], ValueError, "y has 2 entries, and X has 3 sequences"),
        (RecurrentRegressor, X3, [0.0, np.inf, 1.0], ValueError, "y[1] is infinite"),
        (RecurrentRegressor, X3, ["a", "b", "c"], TypeError, "expected numbers"),
        (RecurrentRegressor, X3, [np.nan] * 3, ValueError, "column 0 of y has no number"),
    ],
)
def test_what_fits_no_sequence_is_refused_by_place(model, X, y, error, message):
    with pytest.raises(error, match=re.escape(message)):
        model(hidden_size=2).fit(X, y)


@SOME
def test_sequences_of_another_kind_are_refused_after_a_fit(name):
    model, X, y = made(name)
    model.fit(X, y)
    with pytest.raises(ValueError, match=r"has 3 columns, the model has 2"):
        model.predict([np.zeros((2, 3)), np.zeros((1, 3))])
    with pytest.raises(TypeError, match="X holds text, and the model was fitted to numbers"):
        model.predict([["a", "b"], ["c"]])
    of_text, texts, y = made(name, kind="tokens")
    of_text.fit(texts, y)
    with pytest.raises(TypeError, match="expected a token"):
        of_text.predict([[0.5, 1.5], [2.5]])
