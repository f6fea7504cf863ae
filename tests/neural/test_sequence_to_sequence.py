"""Encoder and decoder: derivatives, likelihoods that sum to one, beams against all targets there are, files, words."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import statespace
from statespace.foundations import executors
from statespace.foundations.estimator import clone
from statespace.neural import SequenceToSequence
from statespace.neural.teacher_forcing import log_likelihood_steps
from tests.naive_attention import log_likelihood_steps as naive_steps

ATTENTION = pytest.mark.parametrize("attention", [None, "dot", "general", "additive"])
SHAPES = {
    "gru": {"cell": "gru"},
    "lstm, two layers": {"cell": "lstm", "num_layers": 2},
    "both ways": {"cell": "gru", "bidirectional": True},
    "lstm, both ways, two layers": {"cell": "lstm", "num_layers": 2, "bidirectional": True},
    "a skip, both ways": {"cell": "rnn", "skip": 2, "bidirectional": True},
    "lstm, edges removed, both ways": {"cell": "lstm", "skip": 2, "remove_short": True, "bidirectional": True},
    "leaky, no start": {"cell": "gated_leaky", "learn_start": False},
}
SHAPE = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def pairs(n, seed=0, letters="abc", longest=5):
    """Sources, and the same without their first letter the other way round: some of these are empty."""
    rng = np.random.default_rng(seed)
    X = [rng.choice(list(letters), rng.integers(1, longest + 1)).tolist() for _ in range(n)]
    return X, [x[:0:-1] for x in X]


def untrained(X, y, seed=0, sample_weight=None, **options):
    """A model with drawn weights, and what it would be trained for."""
    model = SequenceToSequence(**{"hidden_size": 5, "dtype": np.float64, "random_state": 0} | options)
    rng = np.random.default_rng(seed)
    sources, targets = model._begin(X, y, None, None, rng)
    for part in model._model.parts:
        part.vector[...] += 0.7 * rng.normal(size=part.vector.size)
    model._settle(sources, targets)
    model.history_ = None
    return model, model._objective(sources, targets, sample_weight, 0.0, rng)


# -------------------------------------------------------------------------------------------------- what is trained


def slope_of(objective, vector, i, batch, e=2e-4):
    values, kept = [], vector[i]
    for k in (1, -1, 2, -2):
        vector[i] = kept + k * e
        found = objective.gradients(batch, None)
        values.append(found.loss / found.weight)
    vector[i] = kept
    return (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * e)


def held_to_differences(objective, n_entries=6):
    batch = np.arange(len(objective.trained))
    found = objective.gradients(batch, None)
    rng = np.random.default_rng(0)
    for part, slopes in zip(objective.parts, found.gradients, strict=True):
        largest = np.abs(slopes).max()
        assert largest > 0, type(part)
        steepest = np.argsort(-np.abs(slopes))[:2]
        for i in {*steepest.tolist(), *rng.permutation(len(slopes))[:n_entries].tolist()}:
            difference = slope_of(objective, part.vector, i, batch)
            assert abs(slopes[i] - difference) <= 1e-7 * max(largest, 1e-2), (type(part).__name__, i)


@SHAPE
@ATTENTION
def test_derivatives_of_all_parts_are_those_of_differences(shape, attention):
    X, y = pairs(7)
    X[2][0] = None  # what is missing is learnt too
    held_to_differences(untrained(X, y, attention=attention, **shape)[1])


@ATTENTION
def test_derivatives_are_those_of_differences_where_numbers_are_read_and_pairs_are_weighted(attention):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in (4, 1, 3)]
    X[0][1, 0] = np.nan
    weights = [1.0, 0.5, 2.0]
    y = [["a", "b"], [], ["c"]]
    held_to_differences(untrained(X, y, 0, weights, attention=attention, source="numbers", bidirectional=True)[1])


@ATTENTION
def test_dropout_has_the_derivatives_of_what_was_left(attention):
    X, y = pairs(6)
    _, objective = untrained(X, y, attention=attention, dropout=(0.3, 0.3, 0.3), num_layers=2)
    batch = np.arange(6)

    def loss():
        found = objective.gradients(batch, np.random.default_rng(3))
        return found.loss / found.weight

    found = objective.gradients(batch, np.random.default_rng(3)).gradients
    for part, slopes in zip(objective.parts, found, strict=True):
        i = int(np.abs(slopes).argmax())
        kept, values = part.vector[i], []
        for k in (1, -1, 2, -2):
            part.vector[i] = kept + k * 1e-3
            values.append(loss())
        part.vector[i] = kept
        difference = (8 * (values[0] - values[1]) - (values[2] - values[3])) / 12e-3
        assert abs(slopes[i] - difference) <= 1e-7 * max(abs(slopes[i]), 1e-2), type(part).__name__


@SHAPE
@ATTENTION
def test_log_likelihoods_are_those_of_one_pair_and_one_step_at_a_time(shape, attention):
    X, y = pairs(8, seed=1)
    model, objective = untrained(X, y, attention=attention, **shape)
    steps = model.log_likelihood(X, y, by="step")
    source_codes = [[model.symbols_.tolist().index(s) for s in x] for x in X]
    target_codes = [[model.target_symbols_.tolist().index(s) for s in t] for t in y]
    for found, source, target in zip(steps, source_codes, target_codes, strict=True):
        np.testing.assert_allclose(found, naive_steps(model._model, source, target), rtol=1e-10, atol=1e-12)
    loss = objective.gradients(np.arange(8), None)
    assert loss.weight == sum(map(len, y)) + len(y)
    np.testing.assert_allclose(-loss.loss, model.score(X, y), rtol=1e-12)


def test_a_weight_of_two_is_as_a_pair_that_is_there_twice():
    X, y = pairs(4)
    _, once = untrained(X, y, 0, [1, 2, 1, 1], attention="dot")
    _, twice = untrained([*X, X[1]], [*y, y[1]], attention="dot")
    a, b = once.gradients(np.arange(4), None), twice.gradients(np.arange(5), None)
    np.testing.assert_allclose([a.loss, a.weight], [b.loss, b.weight], rtol=1e-12)
    for one, other in zip(a.gradients, b.gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-14)


# ------------------------------------------------------------------------------------------------- what does not count


@SHAPE
@ATTENTION
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pair_has_the_same_bits_alone_and_among_others_in_any_order(shape, attention, dtype):
    X, y = pairs(150, seed=2)
    model, _ = untrained(X, y, attention=attention, dtype=dtype, **shape)
    together = model.log_likelihood(X, y, by="step")
    order = np.random.default_rng(0).permutation(150)
    mixed = model.log_likelihood([X[i] for i in order], [y[i] for i in order], by="step")
    assert all(np.array_equal(together[i], one) for i, one in zip(order, mixed, strict=True))
    for i in range(0, 150, 30):
        assert np.array_equal(model.log_likelihood([X[i]], [y[i]], by="step")[0], together[i])
    for beam in (1, 3):
        predicted = model.predict(X, beam, 8)
        assert [model.predict([X[i]], beam, 8)[0] for i in range(0, 150, 30)] == predicted[::30]


@pytest.mark.parametrize("shape", [{}, {"bidirectional": True, "attention": "additive"}, {"attention": "dot"}])
def test_the_number_of_threads_changes_no_bit_of_a_fit(shape, monkeypatch):
    X, y = pairs(90)
    found = []
    for n in (1, 2, 2):
        monkeypatch.setattr(executors, "_n_processors", lambda n=n: n)
        model = SequenceToSequence(
            "lstm", 8, batch_size=80, n_epochs=3, dropout=0.2, held_out=0, random_state=1, **shape
        ).fit(X, y)
        found.append([part.vector.copy() for part in model._model.parts] + [model.log_likelihood(X, y, by="sequence")])
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


# ---------------------------------------------------------------------------------------------------- probabilities


def all_targets(letters, longest):
    return [list(one) for n in range(longest + 1) for one in itertools.product(letters, repeat=n)]


@ATTENTION
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_probabilities_of_all_targets_and_of_those_that_are_longer_sum_to_one(attention, seed):
    model, _ = untrained(*pairs(5), seed, attention=attention)
    targets = all_targets("abc"[: len(model.target_symbols_)], 3)
    targets = [t for t in targets if set(t) <= set(model.target_symbols_.tolist())]
    steps = model.log_likelihood([["a", "c"]] * len(targets), targets, by="step")
    ended = sum(np.exp(one.sum()) for one in steps)
    longer = sum(
        np.exp(one[:-1].sum()) * -np.expm1(one[-1]) for t, one in zip(targets, steps, strict=True) if len(t) == 3
    )
    np.testing.assert_allclose(ended + longer, 1.0, rtol=1e-12)


@ATTENTION
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_a_beam_of_all_beginnings_finds_the_most_probable_of_all_targets(attention, seed):
    X, y = pairs(5)
    model, _ = untrained(X, y, seed, attention=attention)
    letters = model.target_symbols_.tolist()
    targets = all_targets(letters, 3)
    sources = [["a", "c"], ["b"], ["c", "c", "a"]]
    for source, found in zip(sources, model.predict(sources, len(letters) ** 2 * (len(letters) + 1), 3), strict=True):
        best = model.log_likelihood([source] * len(targets), targets, by="sequence").max()
        np.testing.assert_allclose(model.score([source], [found]), best, rtol=1e-10)


@SHAPE
@ATTENTION
def test_a_beam_of_one_is_the_most_probable_symbol_each_time(shape, attention):
    X, y = pairs(60, seed=3)
    model, _ = untrained(X, y, attention=attention, **shape)
    greedy = model.predict(X, 1, 6)
    from statespace.neural.decoding import beam_search

    found = beam_search(model._model, model._read_sources(X), 6, 1)
    assert [model._pairs.target(one) for one in found] == greedy
    assert model.sample(X, 0, temperature=0, max_length=6) == greedy
    # And by the likelihoods: no other symbol, or end, would have been more probable at any step
    letters = model.target_symbols_.tolist()
    for source, target in list(zip(X, greedy, strict=True))[:10]:
        for t in range(len(target) + 1):
            if t == 6:
                continue
            after = [[*target[:t], s] for s in letters]
            logs = [one[t] for one in model.log_likelihood([source] * len(after), after, by="step")]
            logs.append(model.log_likelihood([source], [target[:t]], by="step")[0][t])
            assert logs[letters.index(target[t]) if t < len(target) else -1] == max(logs)


def test_a_wider_beam_may_miss_what_a_narrow_one_finds_but_never_all_of_them():
    """Of many models the mean of what is found rises with the beam; of a single source it need not."""
    worse, means = 0, []
    X, y = pairs(5)
    sources = [["a"], ["b", "a"], ["c", "b", "b"]]
    logs = {beam: [] for beam in (1, 2, 4, 81)}
    for seed in range(30):
        model, _ = untrained(X, y, seed)
        for beam, found in logs.items():
            found += model.log_likelihood(sources, model.predict(sources, beam, 4), by="sequence").tolist()
    best = np.array(logs[81])
    for beam in (1, 2, 4):
        found = np.array(logs[beam])
        worse += int((found < best - 1e-9).sum())
        assert (found <= best + 1e-9).all()
        means.append(found.mean())
    assert means[0] < means[1] < means[2] < best.mean()
    assert worse > 0  # the control: a narrow beam does not find them all


def test_draws_are_as_frequent_as_their_probabilities():
    X, y = pairs(5)
    model, _ = untrained(X, y, 4, attention="general")
    n = 20_000
    drawn = ["".join(one) for one in model.sample([["a", "b"]] * n, 0, max_length=20)]
    targets = all_targets(model.target_symbols_.tolist(), 2)
    p = np.exp(model.log_likelihood([["a", "b"]] * len(targets), targets, by="sequence"))
    for target, share in zip(targets, p, strict=True):
        found = drawn.count("".join(target)) / n
        assert abs(found - share) <= 5 * np.sqrt(share * (1 - share) / n) + 1e-12, target
    assert model.sample(X, 7) == model.sample(X, 7)


# ------------------------------------------------------------------------------------------------------- what is learnt


@ATTENTION
def test_short_sequences_are_learnt_to_be_turned_round(attention):
    X, y = pairs(400, longest=4)
    model = SequenceToSequence("gru", 32, attention=attention, n_epochs=30, held_out=0, random_state=0).fit(X, y)
    other, wanted = pairs(100, seed=9, longest=4)
    right = np.mean([a == b for a, b in zip(model.predict(other), wanted, strict=True)])
    before = SequenceToSequence("gru", 32, attention=attention, n_epochs=1, held_out=0, random_state=0).fit(
        X[:8], y[:8]
    )
    assert np.mean([a == b for a, b in zip(before.predict(other), wanted, strict=True)]) < 0.5  # the control
    assert right >= 0.95


def test_one_symbol_and_one_row_of_numbers_become_sequences():
    names = {"one": [1], "two": [2, 2], "none": []}
    X = list(names) * 20
    y = [names[x] for x in X]
    model = SequenceToSequence("gru", 12, n_epochs=60, held_out=0, random_state=0).fit(X, y)
    assert model.predict(["two", "none", "one"]) == [[2, 2], [], [1]]
    rows = np.repeat(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), 20, axis=0)
    targets = [names[("one", "two", "none")[i // 20]] for i in range(60)]
    model = SequenceToSequence("lstm", 12, source="numbers", n_epochs=80, held_out=0, random_state=0).fit(rows, targets)
    assert model.predict(rows[::20]) == [[1], [2, 2], []]
    assert not hasattr(model, "symbols_")


def test_one_to_many_by_lbfgs_needs_few_iterations():
    X, y = ["a", "b", "c"], [list("xy"), list("yyx"), []]
    model = SequenceToSequence("gru", 8, method="lbfgs", n_epochs=200, held_out=0, random_state=0, patience=None)
    model.fit(X, y)
    assert model.predict(X) == y
    assert model.history_.converged


def test_texts_go_in_and_come_out_as_texts():
    X, y = ["ab", "ba", "aab"] * 30, ["x y", "y x", "x x y"] * 30
    model = SequenceToSequence("gru", 16, tokens="characters", n_epochs=40, held_out=0, random_state=0).fit(X, y)
    assert model.predict(["ab", "aab"]) == ["x y", "x x y"]
    assert set(model.target_symbols_) == {"x", "y", " "}
    model = SequenceToSequence("gru", 16, tokens="words", n_epochs=40, held_out=0, random_state=0).fit(y, y)
    assert model.predict(["y x"]) == ["y x"]
    assert model.target_symbols_.tolist() == ["x", "y"]


def test_targets_come_out_as_they_came_in():
    X, y = pairs(30)
    options = {"n_epochs": 2, "held_out": 0, "random_state": 0}
    as_lists = SequenceToSequence("gru", 4, **options).fit(X, y).predict(X)
    as_arrays = SequenceToSequence("gru", 4, **options).fit(X, [np.array(one, "U1") for one in y]).predict(X)
    assert all(isinstance(one, list) for one in as_lists)
    assert all(isinstance(one, np.ndarray) for one in as_arrays)
    assert [one.tolist() for one in as_arrays] == as_lists


# --------------------------------------------------------------------------------------------------- where it looks


@pytest.mark.parametrize("attention", ["dot", "general", "additive"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_attention_weights_have_a_row_for_each_symbol_and_sum_to_one(attention, bidirectional):
    X, y = pairs(140)
    model, _ = untrained(X, y, attention=attention, bidirectional=bidirectional)
    for x, t, weights in zip(X, y, model.attention_weights(X, y), strict=True):
        assert weights.shape == (len(t), len(x))
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
        assert (weights > 0).all()
    predicted = model.predict(X)
    found, given = model.attention_weights(X), model.attention_weights(X, predicted)
    assert all(np.array_equal(a, b) for a, b in zip(found, given, strict=True))


def test_a_model_without_attention_says_so():
    X, y = pairs(10)
    model, _ = untrained(X, y)
    with pytest.raises(ValueError, match="attention is None"):
        model.attention_weights(X)


# ------------------------------------------------------------------------------------------------------ estimators


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "additive", "bidirectional": True, "cell": "lstm", "num_layers": 2, "dropout": (0.1, 0.0, 0.2)},
        {"attention": "dot", "skip": 2},
        {"bidirectional": True, "embedding_size": (3, 2)},
    ],
)
def test_a_saved_model_is_the_same_and_goes_on_the_same(options, tmp_path):
    X, y = pairs(40)
    model = SequenceToSequence(**{"hidden_size": 6, "random_state": 0} | options)
    model.partial_fit(X, y, symbols=list("abcd"))
    model.partial_fit(X, y)
    model.save(tmp_path / "model")
    other = statespace.load(tmp_path / "model")
    assert other.get_params() == model.get_params()
    assert other.predict(X) == model.predict(X)
    assert np.array_equal(other.log_likelihood(X, y, by="sequence"), model.log_likelihood(X, y, by="sequence"))
    assert other.n_parameters == model.n_parameters
    assert other.symbols_.tolist() == list("abcd")
    for one in (model, other):
        one.partial_fit(X, y)
    assert np.array_equal(other.log_likelihood(X, y, by="sequence"), model.log_likelihood(X, y, by="sequence"))


def test_a_saved_model_of_numbers_is_the_same(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), [["a"], []] * 10
    model = SequenceToSequence("gru", 4, source="numbers", n_epochs=2, held_out=0, random_state=0).fit(X, y)
    model.save(tmp_path / "model")
    other = statespace.load(tmp_path / "model")
    assert other.predict(X) == model.predict(X)
    assert other.score(X, y) == model.score(X, y)


def test_a_clone_is_unfitted_and_fits_to_the_same():
    X, y = pairs(30)
    model = SequenceToSequence("gru", 5, attention="dot", n_epochs=2, held_out=0, random_state=3).fit(X, y)
    again = clone(model)
    assert not again.__sklearn_is_fitted__()
    assert again.fit(X, y).score(X, y) == model.score(X, y)


def test_it_is_an_estimator_to_scikit_learn():
    sklearn = pytest.importorskip("sklearn.model_selection")
    X, y = pairs(60)
    model = SequenceToSequence("gru", 4, n_epochs=2, held_out=0, random_state=0)
    search = sklearn.GridSearchCV(model, {"attention": [None, "dot"]}, cv=2).fit(X, y)
    assert search.best_params_["attention"] in (None, "dot")


def test_the_number_of_parameters_is_that_of_all_weights_that_were_learnt():
    X, y = pairs(20)
    model, _ = untrained(X, y, attention="additive", bidirectional=True, hidden_size=4, embedding_size=(2, 3))
    K_x, K_y, H = 3, len(model.target_symbols_), 4
    gru = lambda inputs: 3 * H * (inputs + H + 2)  # noqa: E731  # input and recurrent weights, with a bias each
    networks = 2 * gru(2) + gru(3)
    expected = K_x * 2 + (K_y + 1) * 3 + networks + 2 * H + (2 * H + 1) * H  # embeddings, networks, start, bridge
    expected += (2 * H + 1) * H + H * H + H + (3 * H + 1) * H  # keys, queries, v, the layer after
    expected += (H + 1) * K_y  # head: scores of all symbols and the end, one of which is free
    assert model.n_parameters == expected


def test_a_failed_fit_leaves_the_model_as_it_was():
    X, y = pairs(20)
    model = SequenceToSequence("gru", 4, n_epochs=1, held_out=0, random_state=0).fit(X, y)
    before = model.score(X, y)
    with pytest.raises(ValueError, match="y has 19 targets and X 20 sources"):
        model.fit(X, y[:-1])
    assert model.score(X, y) == before


def test_what_is_held_out_says_when_to_stop_and_the_best_weights_are_kept():
    X, y = pairs(60)
    model = SequenceToSequence("gru", 16, n_epochs=200, patience=2, held_out=0.3, random_state=0).fit(X, y)
    assert model.history_.converged
    assert model.history_.best_epoch == np.argmin(model.history_.held_out_loss)
    assert model.history_.n_epochs < 200


@pytest.mark.parametrize(
    ("X", "y", "options", "said"),
    [
        ("abc", ["x"], {}, "X is the text 'abc'"),
        ([], [], {}, "X is empty: there is no source"),
        ([["a"]], "x", {}, "y is 'x', expected a list of targets"),
        ([["a"], ["b"]], ["xy", "z"], {}, "y[0] is 'xy', expected a sequence of symbols: pass list(text)"),
        ([["a"], []], [["x"], ["y"]], {}, "X[1] is empty"),
        ([["a"], ["b"]], [["x"], ["y", None]], {}, "y[1][1] is missing"),
        ([["a"], ["b"]], [[], []], {}, "every target is empty"),
        ([["a"], ["b"]], [["x"], [1]], {}, "y[0] holds text symbols but y[1] holds integer symbols"),
        ([["a"], "b"], [["x"], ["y"]], {}, "X mixes sequences and single symbols (X[1] is 'b'"),
        ([["a"]], [["x"]], {"attention": "luong"}, "attention is 'luong'"),
        ([["a"]], [["x"]], {"source": "letters"}, "source is 'letters'"),
        ([["a"]], [["x"]], {"source": "numbers"}, "X[0]"),
        ([["a"]], [["x"]], {"tokens": "bytes"}, "tokens is 'bytes'"),
        ([[1.0]], [["x"]], {"tokens": "words", "source": "numbers"}, "tokens is for text"),
        ([["a"]], [["x"]], {"bidirectional": 1}, "bidirectional"),
        ([["a"]], [["x"]], {"dropout": 1.0}, "dropout is 1"),
        ([["a"]], [["x"]], {"embedding_size": (1, 2, 3)}, "embedding_size is (1, 2, 3), expected 2"),
    ],
)
def test_bad_input_is_refused_in_words(X, y, options, said):
    with pytest.raises((ValueError, TypeError), match=re.escape(said)):
        SequenceToSequence(**{"hidden_size": 3} | options).fit(X, y)


def test_what_a_fitted_model_does_not_know_is_refused_in_words():
    X, y = pairs(20)
    model = SequenceToSequence("gru", 4, n_epochs=1, held_out=0, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=re.escape("X[0][1] is 'z', which is not among the 3 symbols")):
        model.predict([["a", "z"]])
    with pytest.raises(ValueError, match=re.escape("y[0][0] is 'z'")):
        model.score([["a"]], [["z"]])
    with pytest.raises(ValueError, match="X has single symbols or rows, and the model was fitted to sequences"):
        model.predict(["a", "b"])
    with pytest.raises(ValueError, match="beam is 0"):
        model.predict(X, 0)
    with pytest.raises(ValueError, match="max_length is 0"):
        model.predict(X, max_length=0)
    with pytest.raises(ValueError, match="temperature is -1"):
        model.sample(X, temperature=-1)
    with pytest.raises(ValueError, match="not fitted yet"):
        SequenceToSequence().predict(X)


def test_nothing_that_is_handed_in_is_written_to():
    X, y = pairs(20)
    kept = [list(x) for x in X], [list(t) for t in y]
    model = SequenceToSequence("gru", 4, attention="dot", n_epochs=1, held_out=0, random_state=0).fit(X, y)
    model.predict(X, 2)
    assert (X, y) == kept
    steps = log_likelihood_steps(model._model, *model._read(X, y))
    assert len(steps) == 20


def test_any_container_will_do():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    X, y = [list("ab"), list("ba"), list("aa")], [list("xy"), list("yx"), list("xx")]
    options = {"hidden_size": 3, "n_epochs": 1, "held_out": 0, "random_state": 0}
    expected = SequenceToSequence(**options).fit(X, y)
    rows = np.array(X), np.array(y)
    objects = np.fromiter(X, object, 3), np.fromiter(y, object, 3)
    series = [pd.Series(x) for x in X], [pl.Series(t) for t in y]
    tuples = list(map(tuple, X)), list(map(tuple, y))
    for read, wanted in (rows, objects, series, tuples, (pd.Series(X), pd.Series(y))):
        assert SequenceToSequence(**options).fit(read, wanted).score(read, wanted) == expected.score(X, y)
    assert SequenceToSequence(tokens="characters", **options).fit(
        np.array(["ab", "ba", "aa"]), pd.Series(["xy", "yx", "xx"])
    ).score(["ab"], ["xy"]) == expected.score(X[:1], y[:1])
    numbers = np.random.default_rng(0).normal(size=(3, 2, 2))
    expected = SequenceToSequence(source="numbers", **options).fit(numbers, y)
    frames = [pd.DataFrame(one) for one in numbers]
    for read in (list(numbers), numbers.tolist(), frames, [pl.DataFrame(one) for one in numbers]):
        assert SequenceToSequence(source="numbers", **options).fit(read, y).score(read, y) == expected.score(numbers, y)
    expected = SequenceToSequence(source="numbers", **options).fit(numbers[:, 0], y)
    frame = pd.DataFrame(numbers[:, 0])
    assert SequenceToSequence(source="numbers", **options).fit(frame, y).score(frame, y) == expected.score(
        numbers[:, 0], y
    )


def test_numbers_taken_for_symbols_are_refused_in_words():
    X, y = [np.array([0.5, 1.5])], [["a"]]
    with pytest.raises(TypeError, match="say source='numbers'"):
        SequenceToSequence().fit(X, y)
