"""A label for each step."""

import numpy as np
import pandas as pd
import pytest

from statespace.neural import RecurrentTagger, TokenFeatures

pytestmark = pytest.mark.filterwarnings("ignore:the training stopped")


def neighbours(n=80, seed=0):
    """Steps whose label is the number that comes next, and "end"."""
    rng = np.random.default_rng(seed)
    X = [rng.integers(0, 2, rng.integers(2, 9)).astype(float) for _ in range(n)]
    return X, [[*map(str, x[1:].astype(int)), "end"] for x in X]


def test_a_network_that_runs_both_ways_knows_what_follows_and_one_that_runs_forward_does_not():
    X, y = neighbours()
    both = RecurrentTagger("gru", 8, held_out=0, n_epochs=30, random_state=0).fit(X, y)
    forward = RecurrentTagger("gru", 8, bidirectional=False, held_out=0, n_epochs=30, random_state=0).fit(X, y)
    X, y = neighbours(seed=1)
    assert both.score(X, y) > 0.99
    assert forward.score(X, y) < 0.7


def test_the_score_is_the_share_of_labelled_steps_that_are_right():
    X, y = neighbours(20)
    model = RecurrentTagger("gru", 4, held_out=0, n_epochs=3, random_state=0).fit(X, y)
    with_gaps = [[None if (i + t) % 3 == 0 else label for t, label in enumerate(one)] for i, one in enumerate(y)]
    predicted = model.predict(X)
    pairs = [
        (label, said)
        for one, row in zip(with_gaps, predicted, strict=True)
        for label, said in zip(one, row, strict=True)
        if label is not None
    ]
    assert model.score(X, with_gaps) == pytest.approx(np.mean([a == b for a, b in pairs]), rel=1e-12)
    steps = model.log_likelihood(X, with_gaps, by="step")
    for one, row, p in zip(with_gaps, steps, model.predict_proba(X), strict=True):
        places = np.searchsorted(model.classes_, [label or "end" for label in one])
        expected = np.log(p[np.arange(len(one)), places])
        expected[[label is None for label in one]] = np.nan
        np.testing.assert_allclose(row, expected, rtol=1e-9)
    assert model.log_likelihood(X, with_gaps) == pytest.approx(np.nansum(np.concatenate(steps)), rel=1e-12)


def test_a_frame_in_gives_its_index_back():
    rng = np.random.default_rng(0)
    X = [pd.DataFrame(rng.normal(size=(n, 2)), index=pd.date_range("2024-01-01", periods=n)) for n in (4, 6)]
    y = [pd.Series((x[0] > 0).map({True: "up", False: "down"})) for x in X]
    model = RecurrentTagger("rnn", 4, held_out=0, n_epochs=60, random_state=0).fit(X, y)
    for x, found, label in zip(X, model.predict(X), y, strict=True):
        pd.testing.assert_index_equal(found.index, x.index)
        assert found.tolist() == label.tolist()
    assert model.predict_proba(X)[1].shape == (6, 2)


def test_what_was_never_seen_is_told_by_its_suffix_and_its_neighbours():
    rng = np.random.default_rng(0)
    stems = [a + b + c for a in "bdfg" for b in "aeiou" for c in "klmnprst"]

    def draw(stems, n):
        nouns, verbs = rng.choice(stems, n), rng.choice(stems, n)
        return [["the", f"{a}ness", f"{b}ize"] for a, b in zip(nouns, verbs, strict=True)]

    train, test = draw(stems[:80], 200), draw(stems[80:], 50)
    y = [["DET", "NOUN", "VERB"]]
    features = TokenFeatures(suffix=3, min_count=2)
    model = RecurrentTagger("gru", 8, tokens=features, held_out=0, n_epochs=5, random_state=0).fit(train, y * 200)
    assert model.score(test, y * 50) == 1.0
    assert model.score([["the", "thing", "bakize"]], y) == 1.0  # by its place


def test_labels_that_are_yet_to_come_are_named_at_the_first_call():
    X, y = neighbours(10)
    model = RecurrentTagger("gru", 4, random_state=0)
    model.partial_fit(X, y, classes=["0", "1", "2", "end"]).partial_fit(X, y)
    assert model.predict_proba(X)[0].shape[1] == 4
    with pytest.raises(ValueError, match="classes are others"):
        model.partial_fit(X, y, classes=["0", "1"])
    with pytest.raises(ValueError, match="'x', which is none of the classes"):
        model.log_likelihood(X[:1], [["x"] * len(X[0])])
