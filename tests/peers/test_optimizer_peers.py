"""Adam, weight decay and clipping against torch's, step by step."""

import numpy as np
import pytest

from statespace.neural import Adam, clip_global_norm

STEPS = 50


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="torch is not installed: pip install torch")


def run(torch, decay, clip, dtype=np.float64):
    """Weights after each step, torch's and ours, on the same gradients, of very different sizes."""
    rng = np.random.default_rng(0)
    start = [rng.normal(size=n).astype(dtype) for n in (300, 17)]
    theirs = [torch.nn.Parameter(torch.tensor(w)) for w in start]
    ours = [w.copy() for w in start]
    kind = torch.optim.AdamW if decay else torch.optim.Adam
    optimizer = kind(theirs, lr=0.01, **({"weight_decay": decay} if decay else {}))
    adam = Adam(ours, 0.01, weight_decay=decay, clip=clip)
    for _ in range(STEPS):
        gradients = [(10.0 ** rng.uniform(-4, 2) * rng.normal(size=len(w))).astype(dtype) for w in ours]
        for w, g in zip(theirs, gradients, strict=True):
            w.grad = torch.tensor(g)
        norm = float(torch.nn.utils.clip_grad_norm_(theirs, clip)) if clip else None
        optimizer.step()
        found = adam.step(gradients)
        if clip:
            assert found == pytest.approx(norm, rel=1e-13 if dtype == np.float64 else 1e-6)
        yield np.concatenate([w.detach().numpy() for w in theirs]), np.concatenate(ours)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_weights_are_torchs_after_every_step(torch, decay, clip):
    for theirs, ours in run(torch, decay, clip):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_weights_of_float32_are_torchs(torch, clip):
    for theirs, ours in run(torch, 0.1, clip, np.float32):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_clipped_gradients_are_torchs(torch):
    rng = np.random.default_rng(1)
    for scale in (1e-9, 1e-3, 1.0, 1e6):
        parts = [scale * rng.normal(size=n) for n in (5, 40)]
        theirs = [torch.nn.Parameter(torch.zeros(len(p), dtype=torch.float64)) for p in parts]
        for w, g in zip(theirs, parts, strict=True):
            w.grad = torch.tensor(g)
        norm = float(torch.nn.utils.clip_grad_norm_(theirs, 0.7))
        assert clip_global_norm(parts, 0.7) == pytest.approx(norm, rel=1e-14)
        for w, g in zip(theirs, parts, strict=True):
            np.testing.assert_allclose(g, w.grad.numpy(), rtol=1e-14)
