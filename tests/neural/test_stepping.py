"""One step at a time is the same as whole rows: every cell and remedy, any number of rows and layers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.neural import NetworkState, RecurrentNetwork
from tests.naive_networks import Network
from tests.neural.drawn_networks import CELLS, REMEDIES, agree, make_case

ANY_CELL = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@DTYPES
@ANY_CELL
@settings(max_examples=20)
@given(data=st.data())
def test_steps_give_what_a_call_gives(cell, dtype, data):
    twin = Network(
        **cell,
        **data.draw(st.sampled_from(list(REMEDIES.values()))),
        input_size=data.draw(st.integers(1, 5)),
        hidden_size=data.draw(st.integers(1, 40)),
        num_layers=data.draw(st.integers(1, 3)),
        bias=data.draw(st.booleans()),
    )
    case = make_case(twin, data.draw(st.integers(0, 5)), 7, dtype=dtype, seed=data.draw(st.integers(0, 2**32 - 1)))
    net = case.net
    begun = data.draw(st.booleans())
    outputs, end = net(case.X, state=case.state if begun else None)
    state = case.state if begun else None
    for t in range(7):
        found, state = net.step(case.X[:, t], state)
        np.testing.assert_array_equal(found, outputs[:, t])
    np.testing.assert_array_equal(state.h, end.h)
    if case.c is not None:
        np.testing.assert_array_equal(state.c, end.c)


@ANY_CELL
def test_one_row_may_be_a_vector_and_the_state_goes_on_in_a_call(cell):
    case = make_case(Network(**cell, input_size=3, hidden_size=5, num_layers=2, skip=2), 1, 6)
    net = case.net
    outputs, _ = net(case.X)
    state = None
    for t in range(3):
        found, state = net.step(case.X[0, t], state)
        np.testing.assert_array_equal(found, outputs[0, t])
    assert isinstance(state, NetworkState)
    np.testing.assert_array_equal(net(case.X[:, 3:], state=state)[0], outputs[:, 3:])


def test_weights_that_change_are_noticed_and_states_that_were_given_stay():
    case = make_case(Network("lstm", 3, 5), 2, 1)
    net, (h, c) = case.net, (case.h.copy(), case.c.copy())
    first, state = net.step(case.X[:, 0], case.state)
    again, _ = net.step(case.X[:, 0], case.state)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(case.h, h)
    np.testing.assert_array_equal(case.c, c)
    kept = state.h.copy()
    first[:] = 0.0
    np.testing.assert_array_equal(state.h, kept)
    net.vector[:] *= 0.5
    agree(net.step(case.X[:, 0], case.state)[0], net(case.X, state=case.state)[0][:, 0])
    assert (net.step(case.X[:, 0], case.state)[0] != again).all()


@pytest.mark.parametrize(
    ("x", "state", "said"),
    [
        (np.zeros(2), None, "x has shape (2,) and type float64, expected (3,) or (batch, 3), real numbers"),
        (np.zeros((1, 1, 3)), None, "x has shape (1, 1, 3)"),
        (np.array(["a"] * 3), None, "expected (3,) or (batch, 3), real numbers"),
        (np.array([0.0, np.nan, 0.0]), None, "x has an entry that is not finite: a network has no missing values"),
        (np.array([0.0, np.inf, -np.inf]), None, "x has an entry that is not finite"),
        (np.zeros(3), np.zeros((1, 1, 5)), "state has no c: with 'lstm' cells it is (h, c)"),
        (np.zeros(3), (np.zeros((1, 2, 5)), np.zeros((1, 1, 5))), "state.h has shape (1, 2, 5), expected (1, 1, 5)"),
    ],
    ids=range(7),
)
def test_what_is_no_step_is_said(x, state, said):
    with pytest.raises(ValueError) as caught:
        RecurrentNetwork("lstm", 3, 5).step(x, state)
    assert said in str(caught.value)


def test_a_network_that_reads_from_both_ends_has_no_steps():
    with pytest.raises(ValueError, match="step goes forward, and this network is bidirectional"):
        RecurrentNetwork("lstm", 3, 5, bidirectional=True).step(np.zeros(3))
