"""What is held out of long sequences is foretold in stretches, each from states that a warm-up before it leads to."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations.em import ConvergenceWarning
from statespace.neural import RecurrentSequenceModel
from statespace.neural.own_objective import held_stretches

truncates = st.one_of(st.none(), st.integers(1, 4))


@given(st.integers(0, 9), st.integers(0, 500), st.integers(0, 900), truncates)
def test_each_row_that_is_held_out_is_in_one_stretch_after_all_that_a_warm_up_has_room_for(start, before, n, truncate):
    first, end = start + before, start + before + n
    held = held_stretches(*(np.array([one]) for one in (start, first, end)), truncate)
    rows = [row for a, b in zip(held.firsts, held.lasts, strict=True) for row in range(a, b)]
    assert rows == list(range(first, end))
    if truncate is None:
        assert held.begins.tolist() == [start]
    else:
        assert (held.firsts - held.begins == np.minimum(held.firsts - start, 16 * truncate)).all()
        assert (held.lasts - held.firsts <= 64 * truncate).all()


@given(st.lists(st.tuples(*[st.integers(0, 300)] * 3), min_size=1, max_size=4), truncates)
def test_stretches_of_several_sequences_are_those_of_each(parts, truncate):
    starts, firsts, ends = np.array(parts).cumsum(axis=1).T
    together = held_stretches(starts, firsts, ends, truncate)
    each = [held_stretches(*(one[i : i + 1] for one in (starts, firsts, ends)), truncate) for i in range(len(parts))]
    for name in together._fields:
        expected = np.concatenate([getattr(one, name) for one in each])
        assert getattr(together, name).tolist() == expected.tolist()


def held_out_loss_and_exact(model, x, n_out):
    model.fit(x)
    exact = -float(model.log_likelihood(x, by="step")[-n_out:].mean())
    return model.history_.held_out_loss[model.history_.best_epoch], exact


@pytest.mark.parametrize("truncate", [13, None])
def test_where_the_warm_up_reaches_back_to_the_start_the_loss_is_exact(truncate):
    x = np.random.default_rng(0).integers(0, 3, 220)  # the cut is after 198 steps, a warm-up has 208
    model = RecurrentSequenceModel("gru", 4, n_epochs=2, truncate=truncate, patience=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found, exact = held_out_loss_and_exact(model, x, 22)
    assert found == pytest.approx(exact, rel=1e-6)


def test_after_a_warm_up_the_loss_is_that_of_the_whole_sequence():
    x = (np.random.default_rng(0).integers(0, 2, 6000).cumsum() // 2) % 4
    model = RecurrentSequenceModel("lstm", 8, n_epochs=2, truncate=16, patience=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found, exact = held_out_loss_and_exact(model, x, 600)
    assert found == pytest.approx(exact, rel=1e-4)
