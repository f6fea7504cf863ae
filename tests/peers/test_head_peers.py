"""Log-likelihoods and derivatives of heads against torch's losses and autograd."""

import numpy as np
import pytest

from statespace.neural import Bernoulli, Categorical, Gaussian, Head, Poisson

N, H = 300, 9


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="torch is not installed: pip install torch")


def losses(torch, rng):
    """A law, its targets, and torch's negative log-likelihood of the scores."""
    functional = torch.nn.functional
    codes, answers = rng.integers(0, 6, N), rng.integers(0, 2, N)
    counts, numbers = rng.poisson(5.0, (N, 2)), 3 + 2 * rng.normal(size=(N, 2))
    of_numbers = Gaussian(2, 3.0, 2.0)

    def gaussian(s):
        law = torch.distributions.Normal(3 + 2 * s[:, :2], 2 * torch.sqrt(torch.exp(s[:, 2:]) + of_numbers.floor))
        return -law.log_prob(torch.tensor(numbers)).sum()

    return [
        (Categorical(6), codes, lambda s: functional.cross_entropy(s, torch.tensor(codes), reduction="sum")),
        (
            Bernoulli(),
            answers,
            lambda s: functional.binary_cross_entropy_with_logits(
                s[:, 0], torch.tensor(answers, dtype=s.dtype), reduction="sum"
            ),
        ),
        (
            Poisson(2),
            counts,
            lambda s: -torch.distributions.Poisson(torch.exp(s)).log_prob(torch.tensor(counts, dtype=s.dtype)).sum(),
        ),
        (of_numbers, numbers, gaussian),
    ]


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float64, 1e-12), (np.float32, 2e-6)])
@pytest.mark.parametrize("which", range(4))
def test_losses_and_derivatives_are_torchs(torch, which, dtype, rounding):
    rng = np.random.default_rng(which)
    law, targets, loss = losses(torch, rng)[which]
    head, outputs = Head(law, H, dtype), rng.normal(size=(N, H)).astype(dtype)
    head.vector[...] = 0.3 * rng.normal(size=head.vector.size)
    layer = torch.nn.Linear(H, law.n_scores, dtype=torch.tensor(outputs).dtype)
    layer.load_state_dict({name: torch.tensor(np.ascontiguousarray(w)) for name, w in head.weights.items()})
    x = torch.tensor(outputs, requires_grad=True)
    total = loss(layer(x))
    total.backward()
    found = head.gradients(outputs, targets, np.full(N, -1.0))
    assert found.log_likelihood == pytest.approx(total.item(), rel=10 * rounding)
    by_name = head.by_name(found.vector)
    for ours, theirs in (
        (found.outputs, x.grad),
        (by_name["weight"], layer.weight.grad),
        (by_name["bias"], layer.bias.grad),
    ):
        size = float(np.abs(theirs.numpy()).max())
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=rounding * size)
