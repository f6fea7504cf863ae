"""Attention against torch's tensors: outputs, weights, and every derivative by its autograd."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.neural.test_attention import drawn

torch = pytest.importorskip("torch", reason="torch is an optional peer: pip install torch==2.13.0")


@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
@given(st.integers(0, 2**32 - 1))
def test_attention_and_its_derivatives_are_those_of_torch(kind, seed):
    attention, outputs, steps, read, lengths = drawn(kind, seed)
    counts = np.arange(outputs.shape[1])[None, :] < steps[:, None]
    towards = np.random.default_rng(seed).normal(size=outputs.shape) * counts[:, :, None]
    run = attention.run(outputs, steps, attention.remember(read, lengths), keep=True)
    d_vector, d_outputs, d_read = run.gradients(towards)

    w = {
        name: torch.tensor(np.ascontiguousarray(value), requires_grad=True) for name, value in attention.weights.items()
    }
    h, m = torch.tensor(outputs, requires_grad=True), torch.tensor(read, requires_grad=True)
    if kind == "additive":
        keys = torch.nn.functional.linear(m, w["weight_key"], w["bias_key"])
        both = torch.nn.functional.linear(h, w["weight_query"])[:, :, None] + keys[:, None]
        scores = torch.tanh(both) @ w["weight_score"]
    else:
        scores = h @ (m if kind == "dot" else m @ w["weight_key"].T).transpose(1, 2)
    beyond = torch.tensor(np.arange(read.shape[1])[None, None, :] >= lengths[:, None, None])
    shares = torch.softmax(scores.masked_fill(beyond, -torch.inf), dim=2)
    both = torch.cat([h, shares @ m], dim=2)
    found = torch.tanh(torch.nn.functional.linear(both, w["weight_combine"], w["bias_combine"]))
    (found * torch.tensor(towards)).sum().backward()

    close = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(run.outputs[counts], found.detach().numpy()[counts], **close)
    np.testing.assert_allclose(run.weights[counts], shares.detach().numpy()[counts], **close)
    np.testing.assert_allclose(d_outputs, h.grad.numpy(), **close)
    np.testing.assert_allclose(d_read, m.grad.numpy(), **close)
    for name, slope in attention.by_name(d_vector).items():
        np.testing.assert_allclose(slope, w[name].grad.numpy(), **close, err_msg=name)
