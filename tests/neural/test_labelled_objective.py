"""The loss of labelled sequences and its derivatives, the whole of it, against differences and against one by one."""

import numpy as np
import pytest

from tests.neural.labelled_cases import MODELS, in_training


def loss_of(objective, batch, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    found = objective.gradients(batch, rng)
    return found.loss / found.weight, found.gradients


@pytest.mark.parametrize("kind", ["numbers", "missing", "tokens"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dropped", [0.0, 0.3])
def test_derivatives_are_those_of_differences(name, kind, dropped):
    _, objective, _, _ = in_training(name, kind, dropout=dropped)
    seed = 5 if dropped else None
    objective.word_dropout = dropped
    (batch,) = objective.whole()
    _, gradients = loss_of(objective, batch, seed)
    assert [g.shape for g in gradients] == [part.vector.shape for part in objective.parts]
    rng = np.random.default_rng(1)
    for part, gradient in zip(objective.parts, gradients, strict=True):
        kept = part.vector.copy()
        for _ in range(3):
            away = rng.normal(size=kept.size)
            h, both = 1e-5, []
            for sign in (1, -1):
                part.vector[...] = kept + sign * h * away
                both.append(loss_of(objective, batch, seed)[0])
            part.vector[...] = kept
            expected = (both[0] - both[1]) / (2 * h)
            assert gradient @ away == pytest.approx(expected, rel=1e-5, abs=1e-8), type(part).__name__


@pytest.mark.parametrize("kind", ["numbers", "missing", "tokens"])
@pytest.mark.parametrize("name", MODELS)
def test_the_loss_is_what_sequences_say_one_by_one(name, kind):
    model, objective, X, y = in_training(name, kind)
    weights = objective.data.weights
    if objective.synced:
        logs = np.concatenate([model.log_likelihood([x], [one], by="step")[0] for x, one in zip(X, y, strict=True)])
    else:
        logs = np.array([model.log_likelihood([x], [one]) for x, one in zip(X, y, strict=True)])
    known = ~np.isnan(logs)
    expected = -(weights[known] @ logs[known]) / weights[known].sum()
    loss, _ = loss_of(objective, next(objective.whole()), None)
    assert loss == pytest.approx(expected, rel=1e-11)
    parts = [objective.gradients(batch, None) for batch in objective.whole()]
    assert sum(p.loss for p in parts) / sum(p.weight for p in parts) == pytest.approx(expected, rel=1e-11)
    shuffled = list(objective.batches(np.random.default_rng(0)))
    assert len(shuffled) == objective.n_batches()
    np.testing.assert_array_equal(np.sort(np.concatenate([one.streams for one in shuffled])), np.arange(len(X)))
    parts = [objective.gradients(batch, None) for batch in shuffled]
    assert sum(p.loss for p in parts) / sum(p.weight for p in parts) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_said_of_a_sequence_does_not_depend_on_its_neighbours(name):
    model, _, X, y = in_training(name, "tokens")
    together = model.log_likelihood(X, y, by="sequence")
    alone = [model.log_likelihood([x], [one]) for x, one in zip(X, y, strict=True)]
    np.testing.assert_array_equal(model.log_likelihood(X[::-1], y[::-1], by="sequence")[::-1], together)
    np.testing.assert_allclose(together, alone, rtol=1e-13)


@pytest.mark.parametrize("name", ["tagger, both ways", "regressor, each"])
def test_what_has_no_label_weighs_nothing(name):
    model, objective, X, y = in_training(name, "numbers")
    weights = objective.data.weights
    last = objective.data.inputs.offsets[-1] - 1
    assert weights[last] == 0
    changed = [np.array(one) for one in y]
    changed[0] = np.full_like(changed[0], np.nan)
    total = model.log_likelihood(X, y) - model.log_likelihood(X[:1], y[:1])
    assert model.log_likelihood(X, changed) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("name", ["tagger, forward", "regressor, each"])
@pytest.mark.parametrize("truncate", [1, 3, 100])
def test_windows_say_together_what_whole_sequences_say(name, truncate):
    model, whole, X, _ = in_training(name, "numbers")
    model.truncate = truncate
    cut = model._objective(whole.data, np.arange(len(X)), np.arange(0))
    (everything,) = whole.whole()
    expected = whole.gradients(everything, None)
    for _ in range(2):  # streams that go on from others know in the second epoch where these end
        parts = [cut.gradients(window, None) for window in cut.batches(np.random.default_rng(0))]
    assert len(parts) == cut.n_batches()
    assert sum(p.loss for p in parts) == pytest.approx(expected.loss, rel=1e-11)
    if truncate == 100:
        found = [
            sum(p.weight * g for p, g in zip(parts, all_of_one, strict=True))
            for all_of_one in zip(*(p.gradients for p in parts), strict=True)
        ]
        for one, other in zip(found, expected.gradients, strict=True):
            np.testing.assert_allclose(one, expected.weight * other, rtol=1e-9, atol=1e-10)
