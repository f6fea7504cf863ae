"""What an answer may not depend on: padding, order and size of a batch, number of threads, where a stream is cut.

Outputs are the same to the bit: each row's sums are taken in one order. Gradients are sums over rows, so that their
last bits may depend on which rows there are.
"""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.foundations import executors
from statespace.neural import NetworkState
from statespace.neural.layer import lend_vector, take_back_vector
from tests.naive_networks import Network
from tests.neural.drawn_networks import CELLS, REMEDIES, agree, cases, make_case

ANY_CELL = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
ANY_REMEDY = pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def everything(case, **changed):
    """Outputs, states and gradients by name."""
    case = case._replace(**changed)
    outputs, state = case.net(case.X, case.lengths, case.state)
    found = case.net.gradients(case.X, case.d_outputs, case.lengths, case.state, grad_state=case.d_state)
    return {"outputs": outputs, "h": state.h, **({} if state.c is None else {"c": state.c}), **found}


def same_bits(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@DTYPES
@ANY_CELL
@settings(max_examples=10)
@given(data=st.data())
def test_what_stands_beyond_a_length_and_how_long_the_padding_is_change_no_bit(cell, dtype, data):
    case = data.draw(cases(cell, dtype))
    more, rubbish = data.draw(st.integers(0, 3)), data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e30]))
    T = case.X.shape[1]
    longer = [(0, 0), (0, more), (0, 0)]
    X, d_outputs = np.pad(case.X, longer), np.pad(case.d_outputs, longer)
    beyond = np.arange(T + more)[None, :] >= case.lengths[:, None]
    X[beyond] = d_outputs[beyond] = rubbish
    X[:, 1::2][beyond[:, 1::2]] *= -1  # also infinities of both signs
    found, expected = everything(case, X=X, d_outputs=d_outputs), everything(case)
    assert not found["outputs"][beyond].any()
    assert not found["x"][beyond].any()
    found["outputs"], found["x"] = found["outputs"][:, :T], found["x"][:, :T]
    same_bits(found, expected)


def rows_of(case, rows):
    """Some rows of a case's batch."""

    def of_state(part):
        return None if part is None else part[..., rows, :]

    states = {name: of_state(getattr(case, name)) for name in ("h", "c", "d_h", "d_c")}
    return case._replace(X=case.X[rows], lengths=case.lengths[rows], d_outputs=case.d_outputs[rows], **states)


BY_ROW = {"outputs": 0, "x": 0, "h": -2, "c": -2, "h0": -2, "c0": -2}


@DTYPES
@ANY_CELL
@settings(max_examples=10)
@given(data=st.data())
def test_the_order_of_a_batch_changes_no_bit_of_a_row_and_sums_by_rounding(cell, dtype, data):
    case = data.draw(cases(cell, dtype))
    order = np.array(data.draw(st.permutations(range(len(case.X)))), np.int64)
    found, expected = everything(rows_of(case, order)), everything(case)
    for name, values in expected.items():
        if name in BY_ROW:
            np.testing.assert_array_equal(found[name], np.take(values, order, BY_ROW[name]), err_msg=name)
        else:
            agree(found[name], values, dtype, name, case.unit)


@DTYPES
@ANY_REMEDY
@ANY_CELL
def test_a_row_has_the_same_bits_alone_and_among_others(cell, remedy, dtype):
    twin = Network(**cell, **remedy, input_size=3, hidden_size=18, num_layers=2, bidirectional=True)
    case = make_case(twin, 7, 6, [6, 0, 3, 6, 1, 5, 2], dtype)
    whole = everything(case)
    alone = [everything(rows_of(case, [b])) for b in range(7)]
    for name, values in whole.items():
        if name in BY_ROW:
            np.testing.assert_array_equal(np.concatenate([one[name] for one in alone], BY_ROW[name]), values, name)
        else:
            agree(sum(one[name].astype(float) for one in alone), values, dtype, name, case.unit)


@DTYPES
@ANY_CELL
def test_the_number_of_threads_changes_no_bit(cell, dtype, monkeypatch):
    twin = Network(**cell, input_size=2, hidden_size=5, num_layers=2, bidirectional=True, skip=2)
    B = 101  # several pieces
    case = make_case(twin, B, 5, np.random.default_rng(0).integers(0, 6, B), dtype)
    found = {}
    for n_threads in (1, 2, 4):
        monkeypatch.setattr(executors, "_n_processors", lambda n=n_threads: n)
        with ThreadPoolExecutor(n_threads) as threads:
            monkeypatch.setattr(executors, "_shared_threads", lambda threads=threads: threads)
            found[n_threads] = everything(case)
    same_bits(found[2], found[1])
    same_bits(found[4], found[1])
    few = everything(rows_of(case, np.arange(5)))  # in another piece, among others
    np.testing.assert_array_equal(few["outputs"], found[1]["outputs"][:5])


@ANY_CELL
def test_a_network_that_several_threads_use_at_once_gives_each_its_own_answer(cell):
    twin = Network(**cell, input_size=2, hidden_size=5, num_layers=2, bidirectional=True)
    several = [make_case(twin, B, T, seed=B) for B, T in ((3, 4), (40, 7), (1, 20), (70, 3))]
    net = several[0].net

    def run(case):
        outputs, _ = net(case.X)
        return outputs, net.gradients(case.X, case.d_outputs)["x"]

    expected = [run(case) for case in several]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(run, several * 10))
    for n, pair in enumerate(found):
        for values, wanted in zip(pair, expected[n % 4], strict=True):
            np.testing.assert_array_equal(values, wanted)


@DTYPES
def test_memory_that_is_used_again_leaves_nothing_behind(dtype):
    case = make_case(Network("lstm", 3, 5, 2), 50, 6, np.full(50, 6), dtype)  # two pieces, one in borrowed memory
    expected = everything(case)
    borrowed = [lend_vector(case.net._vector) for _ in range(3)]
    for vector in borrowed:
        vector[:] = np.nan
        take_back_vector(vector)
    same_bits(everything(case), expected)


def test_a_trace_is_not_changed_by_what_runs_after_it():
    case = make_case(Network("lstm", 2, 5, num_layers=2, bidirectional=True), 5, 6, [6, 1, 4, 0, 6])
    net = case.net
    expected = net.gradients(case.X, case.d_outputs, case.lengths, case.state)
    trace = net.trace(case.X, case.lengths, case.state)
    outputs, h = trace.outputs.copy(), trace.state.h.copy()
    for seed in range(3):  # memory that is given back is lent again
        other = make_case(case.twin, 5, 6, seed=seed)
        net(other.X)
        net.gradients(other.X, other.d_outputs)
    np.testing.assert_array_equal(trace.outputs, outputs)
    same_bits(trace.gradients(case.d_outputs), expected)
    net.gradients(other.X, other.d_outputs)
    np.testing.assert_array_equal(trace.outputs, outputs)
    np.testing.assert_array_equal(trace.state.h, h)


@DTYPES
@ANY_REMEDY
@ANY_CELL
def test_a_stream_in_pieces_is_the_same_to_the_bit_as_in_one_go(cell, remedy, dtype):
    case = make_case(Network(**cell, **remedy, input_size=3, hidden_size=9, num_layers=2), 3, 8, [8, 5, 0], dtype)
    net = case.net
    outputs, end = net(case.X, case.lengths, case.state)
    for cuts in ([0, 8], [0, 0, 8], [0, 1, 4, 8], list(range(9))):
        state = case.state
        for first, last in pairwise(cuts):
            here = np.clip(case.lengths - first, 0, last - first)
            part, state = net(case.X[:, first:last], here, state)
            np.testing.assert_array_equal(part, outputs[:, first:last])
        for found, expected in zip(state, end, strict=True):
            np.testing.assert_array_equal(found, expected)


@ANY_REMEDY
@ANY_CELL
def test_gradients_through_pieces_of_a_stream_are_those_of_one_go(cell, remedy):
    case = make_case(Network(**cell, **remedy, input_size=2, hidden_size=5, num_layers=2), 3, 8, [8, 6, 2])
    expected = case.net.gradients(case.X, case.d_outputs, case.lengths, case.state, grad_state=case.d_state)
    _, middle = case.net(case.X[:, :5], np.minimum(case.lengths, 5), case.state)
    rest = np.maximum(case.lengths - 5, 0)
    late = case.net.gradients(case.X[:, 5:], case.d_outputs[:, 5:], rest, middle, grad_state=case.d_state)
    through = NetworkState(late["h0"], late.get("c0"))
    early = case.net.gradients(
        case.X[:, :5], case.d_outputs[:, :5], np.minimum(case.lengths, 5), case.state, grad_state=through
    )
    for name, values in expected.items():
        if name == "x":
            agree(np.concatenate([early["x"], late["x"]], 1), values, say=name)
        else:
            agree(early[name] if name in ("h0", "c0") else early[name] + late[name], values, say=name)


@ANY_CELL
def test_a_pickled_and_a_deeply_copied_network_are_the_same_and_stand_alone(cell):
    case = make_case(Network(**cell, input_size=3, hidden_size=5, num_layers=2, bidirectional=True, skip=2), 3, 4)
    net, expected = case.net, everything(case)["outputs"]
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        np.testing.assert_array_equal(other(case.X, state=case.state)[0], expected)
        found = other.gradients(case.X, case.d_outputs, state=case.state)
        wanted = net.gradients(case.X, case.d_outputs, state=case.state)
        same_bits(found, wanted)
        other.vector[:] = 0.0
        np.testing.assert_array_equal(net(case.X, state=case.state)[0], expected)


def test_nothing_that_is_handed_in_is_written_to():
    case = make_case(Network("lstm", 3, 5, num_layers=2, bidirectional=True, skip=2, leak=0.5), 4, 5, [5, 3, 0, 4])
    arrays = [case.X, case.lengths, *case.state, case.d_outputs, *case.d_state]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    weights = case.net.vector.copy()
    net = case.net
    net(case.X, case.lengths, case.state)
    net.gradients(case.X, case.d_outputs, case.lengths, case.state, grad_state=case.d_state)
    for array, was in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, was)
    np.testing.assert_array_equal(net.vector, weights)


@DTYPES
def test_any_layout_and_type_of_an_array_will_do(dtype):
    case = make_case(Network("gru", 3, 5), 4, 5, dtype=dtype)
    expected, _ = case.net(case.X)
    swapped = case.X.astype(case.X.dtype.newbyteorder())
    for X in (np.asfortranarray(case.X), np.repeat(case.X, 2, axis=1)[:, ::2], swapped, case.X.tolist()):
        np.testing.assert_array_equal(case.net(X)[0], expected)
    whole = np.random.default_rng(0).integers(-2, 3, (4, 5, 3))
    np.testing.assert_array_equal(case.net(whole)[0], case.net(whole.astype(dtype))[0])


def test_the_same_seed_gives_the_same_weights_and_starts_orthogonal_with_a_forget_bias_of_one():
    from statespace.neural import RecurrentNetwork

    nets = [RecurrentNetwork("lstm", 3, 6, 2, True, skip=2, dtype=np.float64, random_state=s) for s in (1, 1, 2)]
    np.testing.assert_array_equal(nets[0].vector, nets[1].vector)
    assert (nets[0].vector != nets[2].vector).any()
    assert sum(w.size for w in nets[0].weights.values()) == nets[0].n_parameters == nets[0].vector.size
    for name, weight in nets[0].weights.items():
        if name.startswith(("weight_hh", "weight_sh")):
            for block in weight.reshape(4, 6, 6):
                np.testing.assert_allclose(block @ block.T, np.eye(6), atol=1e-14)
        elif name.startswith("bias"):
            expected = np.zeros(24)
            expected[6:12] = name.startswith("bias_ih")
            np.testing.assert_array_equal(weight, expected)
