"""A class for each sequence."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.neural import RecurrentClassifier
from statespace.neural.label_rule import log_probabilities

pytestmark = pytest.mark.filterwarnings("ignore:the training stopped")


def by_first_symbol(n=120, seed=0, longest=12):
    """Sequences whose first symbol is their class: all the way to the end it is to be kept."""
    rng = np.random.default_rng(seed)
    X = [list(rng.choice(list("abc"), rng.integers(2, longest))) for _ in range(n)]
    return X, [x[0] for x in X]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_the_first_symbol_is_kept_to_the_end(cell, pooling):
    X, y = by_first_symbol()
    model = RecurrentClassifier(cell, 12, pooling=pooling, held_out=0, n_epochs=25, random_state=0).fit(X, y)
    assert model.score(*by_first_symbol(seed=1)) > 0.97


def test_sequences_of_one_step_are_one_to_one():
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (200, 2)) + 0.1 * rng.normal(size=(200, 2))
    y = np.sign(x[:, 0] * x[:, 1]).astype(int)  # no line parts these
    model = RecurrentClassifier("rnn", 8, feed_forward=8, held_out=0, n_epochs=40, random_state=0)
    model.fit(x, y, lengths=np.ones(200, int))
    assert model.score(x[:, None, :], y) == 1.0
    np.testing.assert_array_equal(model.classes_, [-1, 1])


@pytest.mark.parametrize(
    "y",
    [
        ["b", "a"] * 6,
        [3, -1] * 6,
        [True, False] * 6,
        np.array(["b", "a"] * 6, object),
        pd.Series(["b", "a"] * 6).astype("category"),
        [1.0, 0.0] * 5 + [np.nan, None],
        np.array(["b", "a"] * 6),
    ],
)
def test_labels_of_every_kind_come_back_as_they_are(y):
    X = [np.full((3, 1), float(n % 2)) for n in range(12)]
    model = RecurrentClassifier(hidden_size=3, held_out=0, n_epochs=30, random_state=0).fit(X, y)
    predicted = model.predict(X)
    assert predicted.tolist()[:10] == list(y)[:10]
    assert model.score(X, y) == 1.0
    np.testing.assert_array_equal(model.predict_proba(X).argmax(axis=1), np.searchsorted(model.classes_, predicted))


def test_probabilities_are_a_distribution_and_their_logarithms_are_theirs():
    X, y = by_first_symbol(30)
    model = RecurrentClassifier(hidden_size=4, held_out=0, n_epochs=2, random_state=0).fit(X, y)
    p, logs = model.predict_proba(X), model.predict_log_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.log(p), logs, rtol=1e-9, atol=1e-12)
    places = np.searchsorted(model.classes_, y)
    np.testing.assert_allclose(model.log_likelihood(X, y, by="sequence"), logs[np.arange(30), places], rtol=1e-12)
    assert model.log_likelihood(X, y) == pytest.approx(logs[np.arange(30), places].sum(), rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 500))
def test_log_probabilities_are_precise_where_they_are_small(seed, size):
    scores = size * np.random.default_rng(seed).normal(size=(3, 4))
    found = log_probabilities(scores)
    for row, expected in zip(found, scores, strict=True):
        for k in range(4):
            assert row[k] == pytest.approx(-np.logaddexp.reduce(expected - expected[k]), rel=1e-12, abs=1e-14)


def test_classes_that_are_yet_to_come_are_named_at_the_first_call():
    X, y = by_first_symbol(60)
    two = [i for i, label in enumerate(y) if label != "c"]
    model = RecurrentClassifier(hidden_size=6, n_epochs=10, random_state=0)
    model.partial_fit([X[i] for i in two], [y[i] for i in two], classes=["a", "b", "c"])
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])
    for _ in range(60):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.history_.n_epochs == 61
    with pytest.raises(ValueError, match="'d', which is none of the classes 'a', 'b', 'c'"):
        model.partial_fit(X[:2], ["a", "d"])
    with pytest.raises(ValueError, match="classes are others"):
        model.partial_fit(X, y, classes=["a", "b"])


def test_balanced_weights_make_a_rare_class_count_as_much():
    rng = np.random.default_rng(0)
    y = np.array([0] * 90 + [1] * 10)
    X = [rng.normal(size=(2, 1)) for _ in y]  # says nothing of y
    for class_weight, expected in (("balanced", 0.5), ({0: 1.0, 1: 27.0}, 0.75), (None, 0.1)):
        model = RecurrentClassifier(
            "rnn", 2, class_weight=class_weight, held_out=0, n_epochs=1, learning_rate=1e-9, random_state=0
        ).fit(X, y)
        bias = model.head_.weights["bias"]  # begins at the frequencies as they are weighed, half a case added
        assert np.exp(bias[1] - bias[0]) == pytest.approx(expected / (1 - expected), rel=0.05)


def test_what_is_scored_has_labels():
    X, y = by_first_symbol(12)
    model = RecurrentClassifier(hidden_size=2, held_out=0, n_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="y has no label: there is nothing to score"):
        model.score(X, [None] * 12)
    with pytest.raises(ValueError, match="'z', which is none of the classes"):
        model.log_likelihood(X, ["z"] * 12)
    assert model.score(X, ["z"] * 12) == 0.0
    weights = np.zeros(12)
    weights[3] = 1.0
    assert model.score(X, y, sample_weight=weights) in (0.0, 1.0)
