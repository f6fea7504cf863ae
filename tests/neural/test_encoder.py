"""Networks with what stands around them: derivatives, dropout, starts, and what embeddings make of what is missing."""

import copy

import numpy as np
import pytest

from statespace.neural.embedding import Embedding
from statespace.neural.encoder import Batch, Dropout, Encoder, each_part
from statespace.neural.network import RecurrentNetwork
from tests.neural.drawn_networks import CELLS

LENGTHS = np.array([4, 1, 6])


def encoder_of(cell, bidirectional=False, dropout=(0.0, 0.0, 0.0), num_layers=2, seed=0):
    """Two embeddings and a number, all weights drawn."""
    rng = np.random.default_rng(seed)
    network = RecurrentNetwork(
        input_size=6, hidden_size=3, num_layers=num_layers, bidirectional=bidirectional, dtype=np.float64, **cell
    )
    embeddings = [Embedding(4, 2, np.float64), Embedding(3, 3, np.float64)]
    encoder = Encoder(network, embeddings, 1, learn_start=True, dropout=Dropout(*dropout))
    for part in encoder.parts:
        part.vector[...] = 0.6 * rng.normal(size=part.vector.shape)
    codes = np.stack([rng.integers(-1, 4, (3, 6)), rng.integers(-1, 3, (3, 6))], axis=2)
    return encoder, Batch(LENGTHS, codes, rng.normal(size=(3, 6, 1)))


@pytest.mark.parametrize("cell", [cell for name, cell in CELLS.items() if name != "relu"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dropout", [(0.0, 0.0, 0.0), (0.3, 0.2, 0.4)])
@pytest.mark.parametrize("given", ["nothing", "a state", "a state for some"])
def test_derivatives_are_those_of_all_that_comes_out(cell, bidirectional, dropout, given):
    encoder, batch = encoder_of(cell, bidirectional, dropout)
    rng = np.random.default_rng(1)
    state = each_part(lambda part: 0.5 * rng.normal(size=part.shape), encoder.network.initial_state(3))
    begins = np.array([True, False, False]) if given == "a state for some" else None
    options = {"state": None if given == "nothing" else state, "begins": begins, "keep": True}
    run = encoder.run(batch, rng=np.random.default_rng(2), **options)
    inside = np.arange(6)[None, :, None] < LENGTHS[:, None, None]
    d_outputs = np.where(inside, rng.normal(size=run.outputs.shape), 0.0)
    d_first = None if bidirectional else rng.normal(size=run.first.shape)
    d_state = each_part(lambda part: rng.normal(size=part.shape), run.state)

    def total(encoder, start):
        more = options | ({} if given == "nothing" else {"state": start})
        found = encoder.run(batch, rng=np.random.default_rng(2), **more)
        value = (found.outputs * d_outputs).sum() + (found.state.h * d_state.h).sum()
        value += 0.0 if d_first is None else (found.first * d_first).sum()
        return value + (0.0 if d_state.c is None else (found.state.c * d_state.c).sum())

    def slope(value):
        return (8 * (value(1e-3) - value(-1e-3)) - (value(2e-3) - value(-2e-3))) / 12e-3

    gradients, d_begun = run.gradients(d_outputs, d_first, d_state)
    assert len(gradients) == len(encoder.parts)
    for place, gradient in enumerate(gradients):
        direction = rng.normal(size=gradient.shape) / np.sqrt(len(gradient))

        def along(step, place=place, direction=direction):
            other = copy.deepcopy(encoder)
            other.parts[place].vector[...] += step * direction
            return total(other, state)

        assert gradient @ direction == pytest.approx(slope(along), rel=1e-6, abs=1e-8)
    if given == "a state":
        direction = rng.normal(size=state.h.shape)
        expected = slope(lambda step: total(encoder, state._replace(h=state.h + step * direction)))
        assert (d_begun.h * direction).sum() == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_what_drops_out_is_drawn_and_keeps_the_mean():
    encoder, _ = encoder_of(CELLS["tanh"], dropout=(0.0, 0.0, 0.25), num_layers=1)
    rng = np.random.default_rng(0)
    batch = Batch(np.full(200, 5), rng.integers(0, 3, (200, 5, 2)), rng.normal(size=(200, 5, 1)))
    plain, dropped = encoder.run(batch), encoder.run(batch, rng=np.random.default_rng(1))
    kept = dropped.outputs != 0
    assert abs(kept.mean() - 0.75) < 4.5 * np.sqrt(0.75 * 0.25 / kept.size)
    np.testing.assert_allclose(dropped.outputs[kept], plain.outputs[kept] / 0.75, rtol=1e-12)
    assert (dropped.first == 0).any()
    np.testing.assert_array_equal(encoder.run(batch, rng=np.random.default_rng(1)).outputs, dropped.outputs)
    assert (encoder.run(batch, rng=np.random.default_rng(2)).outputs != dropped.outputs).any()


def test_a_copy_has_weights_of_its_own():
    encoder, batch = encoder_of(CELLS["lstm"])
    before = encoder.run(batch).outputs
    other = encoder.copy()
    for part in other.parts:
        part.vector[...] += 1.0
    np.testing.assert_array_equal(encoder.run(batch).outputs, before)
    assert (other.run(batch).outputs != before).any()


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="the network has input_size 4, and its inputs are 3 numbers"):
        Encoder(RecurrentNetwork("gru", 4, 2), [Embedding(5, 2)], 1)


def test_rows_of_embeddings_are_added_up_in_their_order():
    embedding = Embedding(3, 2, np.float64, random_state=0)
    codes = np.array([[0, 2, -1], [2, 2, 0]])
    d_rows = np.random.default_rng(0).normal(size=(2, 3, 2))
    expected = np.zeros((4, 2))
    for code, row in zip(codes.reshape(-1), d_rows.reshape(-1, 2), strict=True):
        expected[code] += row
    np.testing.assert_array_equal(embedding.gradient(codes, d_rows), expected.reshape(-1))
    assert not embedding.table[-1].any()
