"""Tokens of texts, their spelling, and the codes of a vocabulary."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace import load
from statespace.foundations.estimator import clone
from statespace.neural import RecurrentClassifier, TokenFeatures, characters, word_shape, words
from statespace.neural.labelled_objective import without_words
from statespace.neural.text import UNKNOWN, Vocabulary

texts = st.text(max_size=40)
tokens = st.lists(st.one_of(st.none(), st.text(alphabet="abAB1.", min_size=1, max_size=3)), min_size=1, max_size=30)


@given(texts)
def test_words_hold_all_of_a_text_but_blanks(text):
    found = words(text, lower=False)
    assert "".join(found) == re.sub(r"\s", "", text)
    assert all(found)


@given(texts)
def test_characters_hold_all_of_a_text(text):
    assert "".join(characters(text, lower=False)) == text
    assert "".join(characters(text)) == text.lower()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What time is it?", ["what", "time", "is", "it", "?"]),
        ("don't (wait)...", ["don't", "(", "wait", ")", ".", ".", "."]),
        ("at 10:30, 3.5%", ["at", "10:30", ",", "3.5", "%"]),
        ("hello,world", ["hello", ",", "world"]),
        ("naïve café", ["naïve", "café"]),
        ("  ", []),
    ],
)
def test_punctuation_stands_apart(text, expected):
    assert words(text) == expected


@given(texts)
def test_a_shape_has_no_letter_or_run_of_its_own(text):
    shape = word_shape(text)
    assert all(a != b for a, b in pairwise(shape))
    assert not any(c.isalpha() and c not in "Xxd" for c in shape)
    assert word_shape(text + text[-1:]) == shape


@given(tokens, st.integers(1, 4))
def test_codes_are_those_of_counting_by_hand(column, least):
    vocabulary = Vocabulary.learn([column], least)
    codes = vocabulary.codes([column])[:, 0]
    for token, code in zip(column, codes, strict=True):
        if token is None:
            assert code == -1
        elif column.count(token) < least:
            assert code == UNKNOWN
        else:
            assert vocabulary.symbols[0][code - 1] == token
    counts = [column.count(symbol) for symbol in vocabulary.symbols[0]]
    assert counts == sorted(counts, reverse=True)
    assert len(set(vocabulary.symbols[0])) == vocabulary.sizes[0] - 1
    assert vocabulary.codes([["never seen", None]]).tolist() == [[UNKNOWN], [-1]]


@given(tokens, st.booleans(), st.one_of(st.none(), st.integers(1, 3)), st.booleans())
def test_columns_are_word_suffix_and_shape(given_tokens, lower, suffix, shape):
    found = TokenFeatures(lower=lower, suffix=suffix, shape=shape).columns(given_tokens)
    assert len(found) == 1 + (suffix is not None) + shape
    for n, token in enumerate(given_tokens):
        row = [column[n] for column in found]
        if token is None:
            assert row == [None] * len(row)
            continue
        word = token.lower() if lower else token
        expected = [word]
        if suffix is not None:
            expected.append(word[max(len(word) - suffix, 0) :])
        if shape:
            expected.append(word_shape(token))
        assert row == expected


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_words_that_drop_out_are_unknown_and_their_spelling_stays(seed, share):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-1, 4, (20, 50, 3))
    found = without_words(codes, share, rng)
    np.testing.assert_array_equal(found[:, :, 1:], codes[:, :, 1:])
    changed = found[:, :, 0] != codes[:, :, 0]
    assert (found[:, :, 0][changed] == UNKNOWN).all()
    assert (found[:, :, 0][codes[:, :, 0] < 0] == -1).all()
    could = codes[:, :, 0] > UNKNOWN
    assert abs(changed.sum() - share * could.sum()) < 6 * np.sqrt(could.sum() * share * (1 - share)) + 1


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"tokens": "sentences"}, ValueError, "tokens is 'sentences', expected one of None, 'words', 'characters'"),
        ({"lower": 1}, TypeError, "lower is 1, expected True or False"),
        ({"min_count": 0}, ValueError, "min_count is 0, expected an integer of at least 1"),
        ({"suffix": 0}, ValueError, "suffix is 0, expected an integer of at least 1"),
        ({"shape": "Xx"}, TypeError, "shape is 'Xx', expected True or False"),
        ({"word_dropout": 1}, ValueError, "word_dropout is 1, and no word would be left"),
        ({"word_dropout": 1.5}, ValueError, "word_dropout is 1.5, expected a number from 0 to 1"),
    ],
)
def test_what_is_no_option_is_refused_when_it_is_used(options, error, said):
    model = RecurrentClassifier(hidden_size=2, tokens=TokenFeatures(**{"tokens": "words"} | options))
    with pytest.raises(error, match=re.escape(said)):
        model.fit(["a b", "b a"], [0, 1])


@pytest.mark.parametrize(
    ("X", "tokens", "error", "said"),
    [
        ("what time is it", "words", TypeError, "X is the one text 'what time is it': pass a list of texts, [X]"),
        (["a b", ""], "words", ValueError, "X[1] is '', which has no token"),
        (["a b", []], "words", ValueError, "X[1] is [], which has no token"),
        (["a b", None], "words", TypeError, "X[1] is None, expected a text, or a list of tokens"),
        (["a b", "b"], None, TypeError, "X[0] is the text 'a b', and tokens is None: say tokens='words'"),
        ([["a", 1.5], ["b"]], None, TypeError, "X[0][1] is 1.5, expected a token"),
        ([["a", "b"], "b a"], None, TypeError, "X[1] is the text 'b a', and tokens is None"),
        ([["a"], ["b"]], 3, TypeError, "tokens is 3, expected None, 'words', 'characters' or TokenFeatures"),
        ([["a"], ["b"]], "Words", ValueError, "tokens is 'Words', expected one of None, 'words', 'characters'"),
        ([], "words", ValueError, "X is empty"),
        ({"a": 1}, "words", TypeError, "X is dict"),
    ],
)
def test_what_is_no_text_is_refused_by_place(X, tokens, error, said):
    with pytest.raises(error, match=re.escape(said)):
        RecurrentClassifier(hidden_size=2, tokens=tokens).fit(X, [0, 1])


@pytest.mark.filterwarnings("ignore:the training stopped")
def test_the_vocabulary_is_learnt_from_what_is_trained_on_alone():
    texts = [f"word{i} common" for i in range(40)]
    features = TokenFeatures("words", min_count=1)
    model = RecurrentClassifier(hidden_size=2, tokens=features, held_out=0.25, n_epochs=1, patience=None)
    model.fit(texts, [i % 2 for i in range(40)])
    assert len(model.vocabulary_) == 31
    assert model.vocabulary_[0] == "common"


def test_a_word_that_was_never_seen_stands_where_all_others_have_their_middle():
    texts, y = ["a a b", "b c", "c a"], [0, 1, 1]
    model = RecurrentClassifier(hidden_size=2, tokens=TokenFeatures("words", min_count=1), held_out=0, n_epochs=2)
    model.fit(texts, y)
    table = model._readout.encoder.embeddings[0].table
    by_word = {word: table[1 + k] for k, word in enumerate(model.vocabulary_)}
    middle = (3 * by_word["a"] + 2 * by_word["b"] + 2 * by_word["c"]) / 7
    np.testing.assert_allclose(table[UNKNOWN], middle, rtol=1e-5)
    np.testing.assert_allclose(table[-1], middle, rtol=1e-5)
    features = TokenFeatures("words", min_count=3)
    learnt = RecurrentClassifier(
        hidden_size=2, tokens=features, held_out=0, n_epochs=2, embedding_size=4, learn_start=False
    ).fit(texts, y)
    assert learnt.vocabulary_ == ["a"]
    gates, head = 3 * 2 * (4 + 2 + 2), 2 + 1  # of two classes one is free
    assert learnt.n_parameters == 2 * 4 + gates + head  # "a" and the unknown word, of four numbers each


def test_features_are_parameters_that_copies_and_files_keep(tmp_path):
    features = TokenFeatures("words", suffix=2, shape=True, word_dropout=0.1, min_count=1)
    model = RecurrentClassifier(hidden_size=3, tokens=features, n_epochs=2, held_out=0, random_state=1)
    assert clone(model).get_params()["tokens__suffix"] == 2
    model.set_params(tokens__suffix=1)
    assert features.suffix == 1
    texts = ["The duck", "a Duck ducks", "to duck", "they duck"]
    model.fit(texts, ["n", "n", "v", "v"])
    features.suffix = 3  # too late for what was learnt
    before = model.predict_proba([*texts, "never seen"])
    model.save(tmp_path / "model")
    found = load(tmp_path / "model")
    np.testing.assert_array_equal(found.predict_proba([*texts, "never seen"]), before)
    assert found.get_params()["tokens__word_dropout"] == 0.1
    assert found.vocabulary_ == model.vocabulary_
