"""Networks against torch 2.13: outputs, states and every gradient of its layers; remedies against its autograd.

Torch computes in float64, with the very numbers of a case: a case of float32 is then held against what is right, and
not against another rounding of it.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.neural import NetworkState, RecurrentNetwork
from tests.naive_networks import Network
from tests.neural.drawn_networks import CELLS, REMEDIES, agree, make_case

torch = pytest.importorskip("torch", reason="torch is an optional peer: pip install torch==2.13.0")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
THEIRS = ["tanh", "relu", "lstm", "gru after"]


def tensor(array):
    return torch.tensor(array, requires_grad=True)


def layer_of(case):
    """torch's layer with the weights of a case."""
    twin = case.twin
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[twin.cell]
    extra = {"nonlinearity": twin.nonlinearity} if twin.cell == "rnn" else {}
    options = {"batch_first": True, "bias": twin.bias, "bidirectional": twin.bidirectional, **extra}
    layer = kind(twin.input_size, twin.hidden_size, twin.num_layers, **options)
    layer = layer.double() if case.X.dtype == np.float64 else layer
    layer.load_state_dict({name: torch.from_numpy(w) for name, w in case.weights.items()})
    return layer


def torch_run(case, begun):
    """Outputs, states and gradients of torch's layer; `begun`: whether the state before is given."""
    layer, X, given = layer_of(case), tensor(case.X), [tensor(part) for part in (case.h, case.c) if part is not None]
    state = (given[0] if len(given) == 1 else tuple(given)) if begun else None
    if (case.lengths == case.X.shape[1]).all():
        outputs, end = layer(X, state)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            X, torch.from_numpy(case.lengths), batch_first=True, enforce_sorted=False
        )
        packed, end = layer(packed, state)
        outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=case.X.shape[1])
    ends = end if isinstance(end, tuple) else (end,)
    loss = (outputs * torch.from_numpy(case.d_outputs)).sum()
    for part, weight in zip(ends, (case.d_h, case.d_c), strict=False):
        loss = loss + (part * torch.from_numpy(weight)).sum()
    loss.backward()
    gradients = {name: w.grad.numpy() for name, w in layer.named_parameters()}
    gradients["x"] = X.grad.numpy()
    if begun:
        gradients |= {name: part.grad.numpy() for name, part in zip(("h0", "c0"), given, strict=False)}
    return outputs.detach().numpy(), [part.detach().numpy() for part in ends], gradients


@DTYPES
@pytest.mark.parametrize("cell", THEIRS)
@settings(max_examples=15)
@given(data=st.data())
def test_outputs_and_every_gradient_are_torchs(cell, dtype, data):
    twin = Network(
        **CELLS[cell],
        input_size=data.draw(st.integers(1, 5)),
        hidden_size=data.draw(st.integers(1, 19)),
        num_layers=data.draw(st.integers(1, 3)),
        bidirectional=data.draw(st.booleans()),
        bias=data.draw(st.booleans()),
    )
    B, T = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 7))
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))  # torch refuses 0
    case = make_case(twin, B, T, lengths, dtype, data.draw(st.integers(0, 2**32 - 1)))
    begun = data.draw(st.booleans())
    outputs, ends, gradients = torch_run(case.wide, begun)
    state = case.state if begun else None
    ours, end = case.net(case.X, case.lengths, state)
    agree(ours, outputs, dtype, "outputs")
    for name, part in zip(("h", "c"), ends, strict=False):
        agree(getattr(end, name), part, dtype, name)
    found = case.net.gradients(case.X, case.d_outputs, case.lengths, state, grad_state=case.d_state)
    for name, expected in gradients.items():
        agree(found[name], expected, dtype, name, case.unit)


@DTYPES
@pytest.mark.parametrize("cell", THEIRS)
def test_large_batches_and_long_sequences_are_torchs(cell, dtype):
    twin = Network(**CELLS[cell], input_size=8, hidden_size=33, num_layers=2, bidirectional=True)
    case = make_case(twin, 50, 60, np.random.default_rng(0).integers(1, 61, 50), dtype)
    outputs, _, gradients = torch_run(case.wide, True)
    agree(case.net(case.X, case.lengths, case.state)[0], outputs, dtype, "outputs")
    found = case.net.gradients(case.X, case.d_outputs, case.lengths, case.state, grad_state=case.d_state)
    for name, expected in gradients.items():
        agree(found[name], expected, dtype, name, case.unit)


def equations(twin, weights, X, lengths, h0, c0):
    """Outputs and last states of one layer in one direction, from its equations in torch, row after row."""
    H, d = twin.hidden_size, twin.skip
    back = d if twin.remove_short else 1
    U = weights["weight_sh_l0" if twin.remove_short else "weight_hh_l0"]
    outputs, last_h, last_c = [], [], []
    for b, length in enumerate(lengths):
        hs = list((h0[0, :, b] if d else h0[:, b]).unbind(0))
        cs = [] if c0 is None else list((c0[0, :, b] if twin.remove_short else c0[:, b]).unbind(0))
        n_h, n_c = len(hs), len(cs)
        for t in range(length):
            h = hs[-back]
            inputs = weights["weight_ih_l0"] @ X[b, t] + weights["bias_ih_l0"]
            if d and not twin.remove_short:
                inputs = inputs + weights["weight_sh_l0"] @ hs[-d]
            own = U @ h + weights["bias_hh_l0"]
            if twin.cell == "gru":
                r = torch.sigmoid(inputs[:H] + own[:H])
                z = torch.sigmoid(inputs[H : 2 * H] + own[H : 2 * H])
                if twin.reset == "before":
                    inner = U[2 * H :] @ (r * h) + weights["bias_hh_l0"][2 * H :]
                else:
                    inner = r * own[2 * H :]
                new = z * h + (1 - z) * torch.tanh(inputs[2 * H :] + inner)
            elif twin.cell == "lstm":
                i, f, g, o = (inputs + own).split(H)
                cs.append(torch.sigmoid(f) * cs[-back] + torch.sigmoid(i) * torch.tanh(g))
                new = torch.sigmoid(o) * torch.tanh(cs[-1])
            elif twin.cell == "gated_leaky":
                u, n = (inputs + own).split(H)
                u = torch.sigmoid(u)
                new = u * h + (1 - u) * torch.tanh(n)
            else:
                new = torch.tanh(inputs + own) if twin.nonlinearity == "tanh" else torch.relu(inputs + own)
            hs.append(new if twin.leak is None else twin.leak * h + (1 - twin.leak) * new)
        shown = torch.stack(hs[n_h:]) if length else X.new_zeros(0, H)
        outputs.append(torch.cat([shown, X.new_zeros(X.shape[1] - length, H)]))
        last_h.append(torch.stack(hs[-n_h:]))
        if n_c:
            last_c.append(torch.stack(cs[-n_c:]))
    return torch.stack(outputs), torch.stack(last_h, 1), torch.stack(last_c, 1) if last_c else None


@DTYPES
@pytest.mark.parametrize("remedy", REMEDIES)
@pytest.mark.parametrize("cell", CELLS)
def test_cells_and_remedies_that_torch_has_not_agree_with_autograd_of_their_equations(cell, remedy, dtype):
    twin = Network(**CELLS[cell], **REMEDIES[remedy], input_size=3, hidden_size=5)
    case = make_case(twin, 4, 6, [6, 3, 0, 5], dtype)
    wide = case.wide
    weights, X = {name: tensor(w) for name, w in wide.weights.items()}, tensor(wide.X)
    given = {name: tensor(part) for name, part in (("h0", wide.h), ("c0", wide.c)) if part is not None}
    outputs, h, c = equations(twin, weights, X, case.lengths, given["h0"], given.get("c0"))
    loss = (outputs * torch.from_numpy(wide.d_outputs)).sum() + (h * torch.from_numpy(wide.d_h).view_as(h)).sum()
    if c is not None:
        loss = loss + (c * torch.from_numpy(wide.d_c).view_as(c)).sum()
    loss.backward()
    ours, end = case.net(case.X, case.lengths, case.state)
    agree(ours, outputs.detach().numpy(), dtype, "outputs")
    agree(end.h, h.detach().numpy().reshape(end.h.shape), dtype, "h")
    if c is not None:
        agree(end.c, c.detach().numpy().reshape(end.c.shape), dtype, "c")
    found = case.net.gradients(case.X, case.d_outputs, case.lengths, case.state, grad_state=case.d_state)
    for name, place in {**weights, "x": X, **given}.items():
        agree(found[name], place.grad.numpy(), dtype, name, case.unit)


def test_a_state_dict_of_torch_is_loaded_as_it_is_and_its_state_is_gone_on_from():
    case = make_case(Network("lstm", 3, 4, num_layers=2, bidirectional=True), 2, 5)
    layer = layer_of(case)
    net = case.net
    net.load_weights(layer.state_dict())
    with torch.no_grad():
        first, state = layer(torch.from_numpy(case.X[:, :3]))
        ours, _ = net(case.X[:, 3:], state=tuple(part.numpy() for part in state))
        theirs, _ = layer(torch.from_numpy(case.X[:, 3:]), state)
    assert first.shape == (2, 3, 8)
    agree(ours, theirs.numpy())
    assert isinstance(net(case.X)[1], NetworkState)


def test_weights_of_torchs_gru_are_refused_where_the_reset_comes_before():
    case = make_case(Network("gru", 3, 4, reset="after"), 2, 5)
    tensors = layer_of(case).state_dict()
    net = RecurrentNetwork("gru", 3, 4, dtype=np.float64)
    before = net.vector.copy()
    with pytest.raises(ValueError, match=r"torch's, whose GRU resets after .* reset='after', or by from_torch"):
        net.load_weights(tensors)
    np.testing.assert_array_equal(net.vector, before)
    net.load_weights({name: w.numpy() for name, w in tensors.items()})  # whoever says arrays means it
    case.net.load_weights(tensors)
