"""What a model of sequences is trained for: windows, states that are carried on, derivatives, and what is held out."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.neural.batches import cut_into_streams, n_windows, windows
from statespace.neural.embedding import Embedding
from statespace.neural.encoder import Dropout, Encoder
from statespace.neural.heads import Head
from statespace.neural.network import RecurrentNetwork
from statespace.neural.own_history import learn_reader, weights_of
from statespace.neural.own_objective import OwnObjective
from statespace.neural.sequence_runs import log_likelihood_steps
from tests.neural.drawn_networks import CELLS, REMEDIES


def drawn_sequences(head, lengths, share_missing, rng):
    """Sequences of what a head is for, some of it missing."""
    drawn = []
    for n in lengths:
        if head == "gaussian":
            x = rng.normal(size=(n, 2)) * [1.0, 30.0] + [0.0, 100.0]
        else:
            x = (
                rng.poisson(3.0, n) if head == "poisson" else rng.integers(0, 2 if head == "bernoulli" else 3, n)
            ) * 1.0
        x[rng.random(x.shape) < share_missing] = np.nan
        drawn.append(x)
    return drawn


def objective_of(
    X,
    head="categorical",
    cell=CELLS["gru before"],
    remedy=REMEDIES["none"],
    *,
    weights=None,
    num_layers=1,
    hidden_size=3,
    learn_start=True,
    dropout=0.0,
    batch_size=32,
    truncate=None,
    held_out=0.0,
    seed=0,
    spread=0.5,
    symbols=None,
):
    """An objective whose weights are all drawn, also those that begin as zeros."""
    rng = np.random.default_rng(seed)
    law, reader, data = learn_reader(head, X, None, symbols, np.float64, weights)
    each = weights_of(data.sequences, weights)
    embeddings = [] if reader.symbols is None else [Embedding(len(reader.symbols), 2, np.float64)]
    network = RecurrentNetwork(
        input_size=2 * len(embeddings) + reader.n_numbers,
        hidden_size=hidden_size,
        num_layers=num_layers,
        dtype=np.float64,
        **cell,
        **remedy,
    )
    encoder = Encoder(network, embeddings, reader.n_numbers, learn_start=learn_start, dropout=Dropout(*[dropout] * 3))
    top = Head(law, network.output_size, np.float64)
    objective = OwnObjective(encoder, top, data, each, batch_size, truncate, held_out, rng)
    top.start(data.targets, objective.weights)
    for part in objective.parts:
        part.vector[...] = spread * rng.normal(size=part.vector.shape)
    return objective


def mean_loss(objective, batch, seed):
    """Of a copy, so that it carries nothing on."""
    found = copy.deepcopy(objective).gradients(batch, None if seed is None else np.random.default_rng(seed))
    return found.loss / found.weight


def moved(objective, place, step):
    other = copy.deepcopy(objective)
    other.parts[place].vector[...] += step
    return other


def check_derivatives(objective, batches, seed):
    """Against central differences, part by part along a drawn direction; states that are carried on are constants."""
    rng = np.random.default_rng(1)
    for batch in batches:
        before = copy.deepcopy(objective)
        found = objective.gradients(batch, None if seed is None else np.random.default_rng(seed))
        if not found.weight:
            assert not found.gradients
            continue
        assert len(found.gradients) == len(objective.parts)
        for place, gradient in enumerate(found.gradients):
            direction = rng.normal(size=gradient.shape)
            steps = [1e-4 * direction, 2e-4 * direction]
            slopes = [
                (
                    mean_loss(moved(before, place, step), batch, seed)
                    - mean_loss(moved(before, place, -step), batch, seed)
                )
                for step in steps
            ]
            expected = (8 * slopes[0] - slopes[1]) / 12e-4  # the error is of the fourth order
            assert float(gradient @ direction) == pytest.approx(expected, rel=1e-6, abs=1e-8)


SETTINGS = {
    "cell": st.sampled_from([cell for name, cell in CELLS.items() if name != "relu"]),  # which has a kink
    "remedy": st.sampled_from(list(REMEDIES.values())),
    "num_layers": st.integers(1, 2),
    "learn_start": st.booleans(),
    "dropout": st.sampled_from([0.0, 0.4]),
    "batch_size": st.integers(1, 3),
    "seed": st.integers(0, 1000),
}


@pytest.mark.parametrize("head", ["categorical", "bernoulli", "poisson", "gaussian"])
@settings(max_examples=12)
@given(data=st.data())
def test_derivatives_are_those_of_the_mean_loss(head, data):
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    X = drawn_sequences(head, lengths, data.draw(st.sampled_from([0.0, 0.3])), rng)
    X[0][0] = 1.0  # something is there
    weights = np.concatenate([[1.0], rng.integers(0, 3, len(lengths) - 1)]) if data.draw(st.booleans()) else None
    chosen = {name: data.draw(strategy, label=name) for name, strategy in SETTINGS.items()}
    truncate = data.draw(st.sampled_from([None, 1, 3]))
    symbols = {"categorical": [0, 1, 2], "bernoulli": [0, 1]}.get(head)
    objective = objective_of(X, head, weights=weights, truncate=truncate, symbols=symbols, **chosen)
    total_loss(
        objective, objective.batches(rng)
    )  # so that cut sequences go on from what was carried, not from the start
    check_derivatives(objective, objective.batches(rng), 3 if chosen["dropout"] else None)
    check_derivatives(objective, objective.whole(), None)


def test_derivatives_of_long_sequences_that_are_cut_into_streams():
    rng = np.random.default_rng(0)
    X = drawn_sequences("categorical", [70, 5], 0.1, rng)
    objective = objective_of(X, batch_size=4, truncate=2)
    assert len(objective.streams) > 3
    assert not objective.streams.begins.all()
    total_loss(objective, objective.batches(rng))
    check_derivatives(objective, list(objective.batches(rng)), None)  # they go on from where the one before them ended


# ----------------------------------------------------------------------------------------------------- windows


LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@given(LENGTHS, st.integers(1, 5), st.sampled_from([None, 1, 2, 5]), st.integers(0, 99))
def test_windows_hold_each_row_once_and_each_stream_in_its_order(lengths, batch_size, truncate, seed):
    ends = np.cumsum(lengths)
    streams = cut_into_streams(ends - lengths, ends, batch_size, truncate)
    seen, place, closed, n = [], {}, set(), 0
    for window in windows(streams, batch_size, truncate, np.random.default_rng(seed)):
        n += 1
        assert 1 <= len(window.streams) <= batch_size
        assert truncate is None or window.lengths.max() <= truncate
        for stream, first, length, closes in zip(
            window.streams.tolist(),
            window.firsts.tolist(),
            window.lengths.tolist(),
            window.closes.tolist(),
            strict=True,
        ):
            assert window.opens == (stream not in place)
            assert first == place.get(stream, streams.firsts[stream])
            place[stream] = first + length
            assert closes == (place[stream] == streams.lasts[stream])
            closed |= {stream} if closes else set()
            seen.extend(range(first, first + length))
    assert sorted(seen) == list(range(ends[-1]))
    assert closed == set(range(len(streams)))
    assert n == n_windows(streams, batch_size, truncate)


@given(LENGTHS, st.integers(1, 5), st.integers(1, 4))
def test_streams_are_sequences_or_long_ones_cut_in_their_order(lengths, batch_size, truncate):
    ends = np.cumsum(lengths)
    streams = cut_into_streams(ends - lengths, ends, batch_size, truncate)
    assert streams.firsts[streams.begins].tolist() == (ends - lengths).tolist()
    np.testing.assert_array_equal(streams.firsts[1:], streams.lasts[:-1])
    assert (streams.lasts > streams.firsts).all()
    whole = cut_into_streams(ends - lengths, ends, batch_size, None)
    assert whole.firsts.tolist() == (ends - lengths).tolist()
    assert whole.begins.all()


def total_loss(objective, batches):
    return math.fsum(objective.gradients(batch, None).loss for batch in batches)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("remedy", ["none", "skip and leak", "removed"])
def test_windows_say_what_whole_sequences_say(cell, remedy):
    rng = np.random.default_rng(0)
    X = drawn_sequences("categorical", [7, 1, 12, 12, 3, 9], 0.1, rng)
    objective = objective_of(X, cell=cell, remedy=REMEDIES[remedy], batch_size=4, truncate=3, num_layers=2)
    assert objective.streams.begins.all()
    whole = total_loss(objective, objective.whole())
    for _ in range(2):
        assert total_loss(objective, objective.batches(rng)) == pytest.approx(whole, rel=1e-12)
    steps, _ = log_likelihood_steps(objective.encoder, objective.head, objective.data, objective.starts, objective.ends)
    assert whole == pytest.approx(-np.nansum(steps), rel=1e-12)


def test_cut_sequences_say_what_whole_ones_say_once_states_have_come_through():
    rng = np.random.default_rng(0)
    objective = objective_of(drawn_sequences("categorical", [100, 4], 0.0, rng), batch_size=4, truncate=3)
    assert len(objective.streams) > 3
    for _ in range(len(objective.streams)):
        found = total_loss(objective, objective.batches(rng))
    assert found == pytest.approx(total_loss(objective, objective.whole()), rel=1e-12)


def test_a_weight_is_repetition_in_each_window_that_is_whole():
    rng = np.random.default_rng(0)
    X = drawn_sequences("gaussian", [5, 5, 5], 0.2, rng)
    weighted = objective_of(X, "gaussian", weights=[2, 0, 1])
    repeated = objective_of([X[0], X[0], X[2]], "gaussian")
    one, other = (objective.gradients(next(iter(objective.whole())), None) for objective in (weighted, repeated))
    assert one.loss == pytest.approx(other.loss, rel=1e-12)
    assert one.weight == other.weight
    for a, b in zip(one.gradients, other.gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------------------------------------------- held out


def rows_between(starts, ends):
    return [row for a, b in zip(starts.tolist(), ends.tolist(), strict=True) for row in range(a, b)]


def test_of_many_sequences_some_are_held_out_whole():
    X = drawn_sequences("categorical", [4, 5, 6, 7, 8] * 4, 0.0, np.random.default_rng(0))
    objective = objective_of(X, held_out=0.3)
    held, _ = objective._held
    starts, ends = held.begins, held.lasts
    assert len(starts) == 6
    assert sorted(rows_between(starts, ends) + rows_between(objective.starts, objective.ends)) == list(range(120))
    steps, _ = log_likelihood_steps(objective.encoder, objective.head, objective.data, starts, ends)
    assert objective.held_out_loss() == pytest.approx(-np.nanmean(steps), rel=1e-12)
    assert (objective_of(X, held_out=0.3)._held[0].begins == starts).all()
    assert any((objective_of(X, held_out=0.3, seed=seed)._held[0].begins != starts).any() for seed in (1, 2))


def test_of_few_sequences_the_ends_are_held_out_and_foretold_from_all_before():
    X = drawn_sequences("categorical", [100, 150], 0.05, np.random.default_rng(0))
    objective = objective_of(X, held_out=0.2)
    assert objective.ends.tolist() == [80, 220]
    offsets = np.array([0, 100, 250])
    steps, _ = log_likelihood_steps(objective.encoder, objective.head, objective.data, offsets[:-1], offsets[1:])
    tail = np.concatenate([steps[80:100], steps[220:250]])
    assert objective.held_out_loss() == pytest.approx(-np.nanmean(tail), rel=1e-12)


def test_weights_count_in_what_is_held_out_and_what_weighs_nothing_is_not_drawn():
    X = drawn_sequences("categorical", [100, 30, 150], 0.0, np.random.default_rng(0))
    objective = objective_of(X, held_out=0.2, weights=[3, 0, 1])
    assert objective.starts.tolist() == [0, 130]
    offsets = np.array([0, 100, 130, 280])
    steps, _ = log_likelihood_steps(objective.encoder, objective.head, objective.data, offsets[:-1], offsets[1:])
    expected = -(3 * steps[80:100].sum() + steps[250:].sum()) / (3 * 20 + 30)
    assert objective.held_out_loss() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("lengths", "held_out", "kept"),
    [([100], 0.1, [80]), ([400], 0.1, [360]), ([60], 0.1, [45]), ([16], 0.1, [12]), ([40, 40], 0.1, [30, 30])],
)
def test_of_short_data_at_least_twenty_steps_are_held_out_or_a_quarter(lengths, held_out, kept):
    objective = objective_of(drawn_sequences("categorical", lengths, 0.0, np.random.default_rng(0)), held_out=held_out)
    assert (objective.ends - objective.starts).tolist() == kept
    assert objective.held_out_loss() is not None


@pytest.mark.parametrize(("lengths", "held_out"), [([100], 0.0), ([15], 0.2), ([3, 3], 0.4)])
def test_nothing_is_held_out_where_nothing_is_asked_for_or_too_little_is_there(lengths, held_out):
    objective = objective_of(drawn_sequences("categorical", lengths, 0.0, np.random.default_rng(0)), held_out=held_out)
    assert objective.held_out_loss() is None
    assert rows_between(objective.starts, objective.ends) == list(range(sum(lengths)))
