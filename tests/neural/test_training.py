"""Training: when it stops, what is kept, what it says, and that the same seed gives the same bits."""

import copy
import math
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from statespace import load
from statespace.foundations import executors
from statespace.foundations.em import ConvergenceWarning
from statespace.neural import History, TrainingDivergedError
from tests.neural.test_sequence_model import HEADS, drawn, quick, same_weights


def noise(n, seed=0, K=3):
    return np.random.default_rng(seed).integers(0, K, n)


def mean_loss(model, x, part):
    return -np.mean(model.log_likelihood(x, by="step")[part])


def last_gain(losses):
    """The last epoch that was 1e-4 nats better than the one that was so before it."""
    gained = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[gained] - 1e-4:
            gained = epoch
    return gained


# --------------------------------------------------------------------------------------------- stopping, and the best


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_training_stops_where_what_is_held_out_is_no_better_and_keeps_the_best_weights(method):
    x = noise(200)  # nothing to learn but its frequencies: longer training only learns it by heart
    options = {"hidden_size": 12, "held_out": 0.2, "patience": 3, "n_epochs": 200, "method": method}
    model = quick(**options).fit(x)
    history = model.history_
    assert history.converged
    assert "has not been 0.0001 nats better for 3 epochs" in history.reason
    assert history.n_epochs == last_gain(history.held_out_loss) + 4 < 200
    assert history.best_epoch == history.held_out_loss.argmin()
    assert mean_loss(model, x, slice(160, None)) == pytest.approx(history.held_out_loss.min(), rel=1e-9)
    assert history.loss[-1] < history.loss[history.best_epoch]


def test_what_is_known_by_heart_is_learnt_no_further_and_nothing_is_warned_of():
    x = np.tile([0, 1, 2], 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = quick(hidden_size=8, held_out=0.2, patience=10, n_epochs=1000, learning_rate=0.1).fit(x).history_
    assert history.converged
    assert history.n_epochs == last_gain(history.held_out_loss) + 11 < 1000
    assert history.best_epoch > last_gain(history.held_out_loss)  # ever a little better, and the best is kept
    assert history.held_out_loss[-1] < 0.01


def test_without_patience_all_epochs_are_made_and_the_last_weights_kept():
    x = noise(200)
    model = quick(hidden_size=12, held_out=0.2, patience=None, n_epochs=30, learning_rate=0.05).fit(x)
    history = model.history_
    assert history.n_epochs == 30
    assert mean_loss(model, x, slice(160, None)) == pytest.approx(history.held_out_loss[-1], rel=1e-9)
    assert history.held_out_loss[-1] > history.held_out_loss.min()


@pytest.mark.parametrize("head", HEADS)
def test_training_lowers_the_loss(head):
    X = drawn(head, [40, 40, 30])
    first = quick(head=head, n_epochs=1).fit(X).score(X)
    model = quick(head=head, n_epochs=60, learning_rate=0.03).fit(X)
    assert model.score(X) > first + 5
    assert model.history_.loss[-1] < model.history_.loss[0]
    assert np.isnan(model.history_.held_out_loss).all()
    assert (model.history_.gradient_norm > 0).all()
    assert (model.history_.seconds > 0).all()


def test_a_training_that_could_have_gone_on_says_so():
    x = drawn("categorical", [300])[0]
    with pytest.warns(ConvergenceWarning, match="stopped after 3 epochs.*still falling.*raise n_epochs") as said:
        quick(held_out=0.2).fit(x)
    assert said[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="n_epochs=2 iterations were made"):
        quick(method="lbfgs", n_epochs=2).fit(x)


def test_lbfgs_that_is_done_is_silent():
    model = quick("rnn", 1, method="lbfgs", n_epochs=500, weight_decay=0.1).fit(drawn("categorical", [40]))
    assert model.history_.converged
    assert model.history_.n_epochs < 500
    assert model.history_.gradient_norm[-1] < 1e-3


def test_weight_decay_of_lbfgs_is_a_penalty_that_biases_are_free_of():
    X = drawn("categorical", [40])
    options = {"method": "lbfgs", "n_epochs": 40}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = quick("rnn", 2, weight_decay=0.05, **options).fit(X)
    decaying = [model._encoder.embeddings[0].table[:-1], model.head_.weights["weight"]]
    decaying += [weight for name, weight in model.network_.weights.items() if name.startswith("weight")]
    penalty = 0.5 * 0.05 * sum(float((part**2).sum()) for part in decaying)
    assert model.history_.loss[-1] == pytest.approx(-model.score(X) / 40 + penalty, rel=1e-6)


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_a_training_that_diverges_leaves_the_model_as_it_was(method):
    x = np.random.default_rng(0).normal(size=60)
    model = quick("rnn", 4, "gaussian").fit(x)
    before, kept = copy.deepcopy(model), dict(vars(model))
    options = {"nonlinearity": "relu", "clip": None, "learning_rate": 1e30, "truncate": None, "n_epochs": 50}
    model.set_params(**options, method=method)
    if method == "lbfgs":  # it never goes far, so it begins beyond what is finite
        x = x * 1e-3
        x[7] = 1e200
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(TrainingDivergedError, match=r"clip=1.0"):
            model.fit(x)
    assert {name for name in vars(model) if vars(model)[name] is not kept.get(name)} <= {*options, "method"}
    same_weights(model, before)


def test_a_failed_partial_fit_draws_nothing():
    X = drawn("categorical", [30, 20, 9] * 3)
    one, other = (quick(dropout=0.3, batch_size=2).partial_fit(X) for _ in range(2))
    with pytest.raises(ValueError, match="nothing to learn from"):
        one.partial_fit([[None, None]])
    same_weights(one.partial_fit(X), other.partial_fit(X))


# ------------------------------------------------------------------------------------------------------------- seeds


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(head, dtype, monkeypatch):
    X = drawn(head, [130, 40, 60, 9, 200])
    found = []
    for n_threads in (1, 2, 4):
        monkeypatch.setattr(executors, "_n_processors", lambda n=n_threads: n)
        with ThreadPoolExecutor(n_threads) as threads, threadpool_limits(n_threads):
            monkeypatch.setattr(executors, "_shared_threads", lambda threads=threads: threads)
            model = quick("lstm", 24, head, num_layers=2, dropout=0.2, batch_size=3, truncate=8, dtype=dtype).fit(X)
            found.append((model, model.log_likelihood(X, by="step")))
    for model, steps in found[1:]:
        same_weights(model, found[0][0])
        np.testing.assert_array_equal(np.concatenate(steps), np.concatenate(found[0][1]))


def test_another_seed_gives_other_weights_and_a_generator_goes_on():
    X = drawn("categorical", [30, 20])
    assert quick(random_state=1).fit(X).score(X) != quick(random_state=2).fit(X).score(X)
    rng = np.random.default_rng(3)
    one, other = (quick(random_state=rng).fit(X).score(X) for _ in range(2))
    assert one != other
    assert one == quick(random_state=np.random.default_rng(3)).fit(X).score(X)


def test_a_second_fit_begins_afresh():
    X = drawn("categorical", [30, 20])
    model = quick().fit(X)
    same_weights(copy.deepcopy(model).fit(X), model)


# ------------------------------------------------------------------------------------------------------- partial fit


@pytest.mark.parametrize("head", HEADS)
def test_partial_fit_goes_on_where_a_saved_model_does(tmp_path, head):
    X = drawn(head, [30, 20, 25, 12])
    options = {"dropout": 0.2, "batch_size": 2, "decay": "linear", "n_epochs": 9, "truncate": 5, "weight_decay": 0.01}
    model = quick(head=head, **options).partial_fit(X).partial_fit(X[:2])
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    for part in (X, X[1:], X):
        same_weights(model.partial_fit(part), again.partial_fit(part))
    assert again.history_.n_epochs == 5
    np.testing.assert_array_equal(again.history_.loss, model.history_.loss)


def test_epochs_of_partial_fit_are_those_of_fit():
    X = drawn("categorical", [30, 20, 25, 12])
    options = {"batch_size": 2, "dropout": 0.2}
    whole, by_epoch = quick(n_epochs=3, **options).fit(X), quick(n_epochs=3, **options)
    for _ in range(3):
        by_epoch.partial_fit(X)
    same_weights(by_epoch, whole)
    np.testing.assert_array_equal(by_epoch.history_.loss, whole.history_.loss)


def test_partial_fit_counts_weights_from_the_first_call():
    X = drawn("gaussian", [30, 20])
    weighted, alone = quick(head="gaussian"), quick(head="gaussian")
    weighted.partial_fit(X, sample_weight=[1, 0])
    np.testing.assert_allclose(weighted.head_.law.location, X[0].mean(axis=0), rtol=1e-12)
    same_weights(weighted, alone.partial_fit(X[:1]))


def test_partial_fit_learns_an_alphabet_once():
    model = quick().partial_fit(list("abab"), symbols=list("abc"))
    model.partial_fit(list("cab"))
    assert model.symbols_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="'d'"):
        model.partial_fit(list("dad"))
    with pytest.raises(ValueError, match="method is 'lbfgs': use 'adam'"):
        quick(method="lbfgs").partial_fit(list("abab"))


# ------------------------------------------------------------------------------------------------------ what is shown


def test_the_bar_shows_the_losses(capsys):
    pytest.importorskip("tqdm", reason="the bar is tqdm's")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        quick(progress=True, held_out=0.2).fit(drawn("categorical", [120]))
    shown = capsys.readouterr()
    assert "3/3" in shown.err
    assert "loss=" in shown.err
    assert "held out=" in shown.err
    quick().fit(drawn("categorical", [120]))
    assert not any(capsys.readouterr())


def test_histories_follow_one_another():
    one, other = History.of_one(2.0, 0.5), History.of_one(1.0, 0.25)
    both = other.after(one)
    assert both.loss.tolist() == [2.0, 1.0]
    assert both.best_epoch == 1
    assert one.after(None) is one
    assert repr(both) == "<History of 2 epochs, best 1, loss 1: partial_fit goes on where it is called again>"
    assert math.isnan(both.held_out_loss[0])
