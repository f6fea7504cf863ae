"""Every cell, remedy and shape against loops over rows and steps; gradients against complex steps of these loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive_networks
from tests.naive_networks import Network, derivative_along
from tests.neural.drawn_networks import CELLS, REMEDIES, TOLERANCE, agree, cases, make_case

ANY_CELL = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def twin_run(case):
    wide = case.wide
    return naive_networks.run_network(wide.twin, wide.weights, wide.X, wide.lengths, wide.h, wide.c)


@DTYPES
@ANY_CELL
@settings(max_examples=15)
@given(data=st.data())
def test_outputs_and_states_are_those_of_loops_over_rows_and_steps(cell, dtype, data):
    case = data.draw(cases(cell, dtype))
    outputs, state = case.net(case.X, case.lengths, case.state)
    assert outputs.dtype == state.h.dtype == dtype
    expected, h, c, _ = twin_run(case)
    agree(outputs, expected, dtype, "outputs")
    agree(state.h, h.reshape(case.h.shape), dtype, "h")
    if case.c is not None:
        agree(state.c, c.reshape(case.c.shape), dtype, "c")
    kept = case.net.trace(case.X, case.lengths, case.state)  # the way that keeps what gradients need
    np.testing.assert_array_equal(kept.outputs, outputs)
    np.testing.assert_array_equal(kept.state.h, state.h)


@DTYPES
@ANY_CELL
@settings(max_examples=12)
@given(data=st.data())
def test_gradients_are_those_of_complex_steps(cell, dtype, data):
    case = data.draw(cases(cell, dtype))
    wide, rng = case.wide, np.random.default_rng(data.draw(st.integers(0, 1000)))
    found = case.net.gradients(case.X, case.d_outputs, case.lengths, case.state, grad_state=case.d_state)
    places = {**wide.weights, "x": wide.X, "h0": wide.h, **({} if wide.c is None else {"c0": wide.c})}
    assert found.keys() == places.keys()
    sent_back = wide.d_outputs, wide.d_h, wide.d_c
    for name, place in places.items():
        assert found[name].shape == place.shape

        def loss(moved, name=name):
            now = {**places, name: moved}
            weights = {k: now[k] for k in wide.weights}
            x, h, c = now["x"], now["h0"], now.get("c0")
            return naive_networks.loss(wide.twin, weights, x, wide.lengths, h, c, *sent_back)

        direction = rng.normal(size=place.shape)
        terms = found[name].astype(float) * direction
        error = abs(terms.sum() - derivative_along(loss, place, direction))
        assert error <= TOLERANCE[dtype] * max(np.abs(terms).sum(), case.unit * np.abs(direction).max(initial=0.0)), (
            name
        )


@pytest.mark.parametrize("remedy", [{}, {"skip": 10, "remove_short": True}], ids=["short edges", "ten chains"])
@ANY_CELL
def test_batches_of_several_pieces_that_are_summed_in_several_chunks_are_no_exception(cell, remedy):
    twin = Network(**cell, **remedy, input_size=3, hidden_size=9, bidirectional=True)
    case = make_case(twin, 37, 40, np.random.default_rng(0).integers(0, 41, 37))
    outputs, state = case.net(case.X, case.lengths, case.state)
    expected, h, _, _ = twin_run(case)
    agree(outputs, expected)
    agree(state.h, h.reshape(case.h.shape))
    found = case.net.gradients(case.X, case.d_outputs, case.lengths, case.state, grad_state=case.d_state)
    for name in case.weights:

        def loss(moved, name=name):
            return naive_networks.loss(case.twin, {**case.weights, name: moved}, case.X, case.lengths, *case[4:])

        direction = np.random.default_rng(1).normal(size=found[name].shape)
        terms = found[name] * direction
        error = abs(terms.sum() - derivative_along(loss, case.weights[name], direction))
        assert error <= 1e-12 * np.abs(terms).sum(), name


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@ANY_CELL
def test_a_leak_of_0_is_none_and_a_leak_of_1_remembers(cell, alpha):
    case = make_case(Network(**cell, input_size=2, hidden_size=5, leak=alpha), 3, 6)
    outputs, _ = case.net(case.X, state=case.state)
    if alpha:
        np.testing.assert_allclose(outputs, np.repeat(case.h[0][:, None], 6, axis=1), rtol=0, atol=1e-14)
        found = case.net.gradients(case.X, case.d_outputs, state=case.state)
        assert max(np.abs(found[name]).max() for name in (*case.weights, "x")) < 1e-14
        agree(found["h0"][0], case.d_outputs.sum(axis=1))
    else:
        plain = case._replace(twin=Network(**cell, input_size=2, hidden_size=5))
        np.testing.assert_array_equal(outputs, plain.net(case.X, state=case.state)[0])


@pytest.mark.parametrize("run", ["l0", "l0_reverse", "l1", "l1_reverse"])
@pytest.mark.parametrize("side", ["ih", "hh"])
@ANY_CELL
def test_each_number_of_each_bias_has_its_derivative(cell, side, run):
    case = make_case(Network(**cell, input_size=2, hidden_size=3, num_layers=2, bidirectional=True), 3, 4, [4, 2, 3])
    name = f"bias_{side}_{run}"
    found = case.net.gradients(case.X, case.d_outputs, case.lengths, case.state, grad_state=case.d_state)[name]

    def loss(bias):
        return naive_networks.loss(case.twin, {**case.weights, name: bias}, case.X, case.lengths, *case[4:])

    agree(found, [derivative_along(loss, case.weights[name], e) for e in np.eye(len(found))], say=name)


def test_the_two_biases_of_a_gru_that_resets_after_differ_in_their_candidate_alone():
    case = make_case(Network("gru", 2, 3, reset="after"), 3, 4)
    found = case.net.gradients(case.X, case.d_outputs)
    np.testing.assert_array_equal(found["bias_ih_l0"][:6], found["bias_hh_l0"][:6])
    assert np.abs(found["bias_ih_l0"][6:] - found["bias_hh_l0"][6:]).min() > 1e-3
    before = make_case(Network("gru", 2, 3, reset="before"), 3, 4)
    found = before.net.gradients(before.X, before.d_outputs)
    np.testing.assert_array_equal(found["bias_ih_l0"], found["bias_hh_l0"])


@pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)
@ANY_CELL
def test_gates_are_those_of_the_loops(cell, remedy):
    twin = Network(**cell, **remedy, input_size=2, hidden_size=3, num_layers=2, bidirectional=True)
    case = make_case(twin, 3, 5, [2, 5, 0])
    gates = case.net.gates(case.X, case.lengths, case.state)
    expected = twin_run(case)[3]
    assert {(run, gate) for run, gate, _, _ in expected} == {(run, gate) for run in gates for gate in gates[run]}
    for run, names in gates.items():
        for gate, values in names.items():
            wanted = np.zeros((3, 5, 3))
            for b in range(3):
                for t in range(case.lengths[b]):
                    wanted[b, t] = expected[run, gate, b, t]
            agree(values, wanted, say=f"{run} {gate}")


@ANY_CELL
def test_a_state_that_is_not_given_is_zeros(cell):
    case = make_case(Network(**cell, input_size=2, hidden_size=5, skip=2), 3, 4, [4, 0, 2])
    zeros = type(case.state)(*(None if part is None else np.zeros_like(part) for part in case.state))
    for found, expected in zip(case.net(case.X, case.lengths), case.net(case.X, case.lengths, zeros), strict=True):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_row_without_steps_keeps_its_state_and_has_the_gradient_of_what_comes_after():
    case = make_case(Network("lstm", 2, 3, bidirectional=True), 2, 4, [0, 3])
    _, state = case.net(case.X, case.lengths, case.state)
    np.testing.assert_array_equal(state.h[:, 0], case.h[:, 0])
    np.testing.assert_array_equal(state.c[:, 0], case.c[:, 0])
    found = case.net.gradients(case.X, case.d_outputs, case.lengths, case.state, grad_state=case.d_state)
    np.testing.assert_array_equal(found["h0"][:, 0], case.d_h[:, 0])
    np.testing.assert_array_equal(found["c0"][:, 0], case.d_c[:, 0])
    assert not found["x"][0].any()
