"""Networks of any shape, their twins, and batches for them."""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from statespace.neural import NetworkState, RecurrentNetwork
from tests.naive_networks import Network

CELLS = {
    "tanh": {"cell": "rnn"},
    "relu": {"cell": "rnn", "nonlinearity": "relu"},
    "gated leaky": {"cell": "gated_leaky"},
    "lstm": {"cell": "lstm"},
    "gru before": {"cell": "gru", "reset": "before"},
    "gru after": {"cell": "gru", "reset": "after"},
}
REMEDIES = {
    "none": {},
    "leak": {"leak": 0.7},
    "skip": {"skip": 3},
    "skip and leak": {"skip": 2, "leak": 0.4},
    "removed": {"skip": 3, "remove_short": True},
    "removed and leak": {"skip": 2, "remove_short": True, "leak": 0.6},
}
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-6}


class Case(NamedTuple):
    twin: Network
    weights: dict[str, Any]
    X: Any
    lengths: Any
    h: Any
    c: Any
    d_outputs: Any
    d_h: Any
    d_c: Any

    @property
    def net(self):
        net = RecurrentNetwork(**vars(self.twin), dtype=self.X.dtype, random_state=0)
        net.load_weights(self.weights)
        return net

    @property
    def state(self):
        return NetworkState(self.h, self.c)

    @property
    def d_state(self):
        return NetworkState(self.d_h, self.d_c)

    @property
    def unit(self):
        """The largest derivative that is sent back."""
        return max(np.abs(part).max(initial=0.0) for part in (self.d_outputs, self.d_h, self.d_c) if part is not None)

    @property
    def wide(self):
        """The same numbers in float64."""
        arrays = [None if a is None else np.asarray(a, float) for a in self[4:]]
        weights = {name: w.astype(float) for name, w in self.weights.items()}
        return Case(self.twin, weights, self.X.astype(float), self.lengths, *arrays)


def make_case(twin, B, T, lengths=None, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)

    def draw(shape, scale=1.0):
        return (scale * rng.normal(size=shape)).astype(dtype)

    shapes = {k: tuple(B if n is None else n for n in shape) for k, shape in twin.state_shapes.items()}
    weights = {name: draw(shape, twin.hidden_size**-0.5) for name, shape in twin.shapes.items()}
    lengths = np.full(B, T) if lengths is None else np.asarray(lengths)
    outputs = (B, T, (1 + twin.bidirectional) * twin.hidden_size)
    states = [draw(shapes[k]) if k in shapes else None for k in ("h", "c")]
    d_states = [draw(shapes[k]) if k in shapes else None for k in ("h", "c")]
    return Case(twin, weights, draw((B, T, twin.input_size)), lengths, *states, draw(outputs), *d_states)


@st.composite
def cases(draw, cell, dtype=np.float64):
    twin = Network(
        **cell,
        **draw(st.sampled_from(list(REMEDIES.values()))),
        input_size=draw(st.integers(1, 5)),
        hidden_size=draw(st.integers(1, 19)),
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
    )
    B, T = draw(st.integers(0, 5)), draw(st.integers(0, 7))
    lengths = np.array(draw(st.lists(st.integers(0, T), min_size=B, max_size=B)), dtype=np.int64)
    return make_case(twin, B, T, lengths, dtype, draw(st.integers(0, 2**32 - 1)))


def agree(found, expected, dtype=np.float64, say="", unit=0.0):
    """To within the dtype's tolerance of the largest number, or of `unit` where that is larger.

    Of gradients the unit is the largest derivative that is sent back: of a saturated cell 1 - h^2, which scales them,
    has lost its digits before, by as much as h is rounded.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{say}: {found.shape} and not {expected.shape}"
    if expected.size:
        scale = max(np.abs(expected).max(), unit)
        worst = np.abs(found - expected).max()
        assert worst <= TOLERANCE[dtype] * scale, f"{say}: {worst} beside {scale}"
