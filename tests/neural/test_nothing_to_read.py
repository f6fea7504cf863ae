"""Batches without steps, without rows, or of rows that are all empty."""

from typing import Any

import numpy as np
import pytest

from statespace.neural import RecurrentNetwork

NETWORKS: list[dict[str, Any]] = [
    {"cell": cell, **remedy}
    for cell in ("rnn", "lstm", "gru", "gated_leaky")
    for remedy in ({}, {"skip": 3}, {"skip": 3, "remove_short": True}, {"leak": 0.5, "bidirectional": True})
]


@pytest.mark.parametrize("options", NETWORKS, ids=lambda options: " ".join(map(str, options.values())))
@pytest.mark.parametrize(("shape", "lengths"), [((2, 0, 4), None), ((0, 5, 4), None), ((2, 5, 4), [0, 0])])
def test_the_state_goes_through_unchanged(options: Any, shape: Any, lengths: Any) -> None:
    net = RecurrentNetwork(input_size=4, hidden_size=3, dtype=np.float64, random_state=0, **options)
    start = net(np.ones((shape[0], 4, 4)))[1]
    X = np.ones(shape)
    outputs, end = net(X, lengths, start)
    np.testing.assert_array_equal(outputs, np.zeros((*shape[:2], net.output_size)))
    found = net.gradients(X, outputs, lengths, start, grad_state=start)
    for before, after, back in zip(start, end, (found["h0"], found.get("c0")), strict=True):
        if before is not None:
            np.testing.assert_array_equal(after, before)
            np.testing.assert_array_equal(back, before)
    assert not any(found[name].any() for name in net.weights)
