"""Networks of a cell of your own."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from statespace.foundations.probability import generator
from statespace.foundations.validation import check_integer
from statespace.neural.custom_trace import CustomLayout, CustomStructure, CustomTrace
from statespace.neural.network import RecurrentNetwork
from statespace.neural.trace import NetworkState, Structure, Trace
from statespace.protocols import Array, RecurrentCell


class CustomNetwork(RecurrentNetwork):
    """A recurrent network of a cell of your own, with the verbs of `RecurrentNetwork`.

    It runs at the speed of NumPy, a call a step: to try out what a cell does, not to train it for days.

    Parameters
    ----------
    cell : RecurrentCell
        Three functions; see `statespace.protocols.RecurrentCell`. It holds no weights.
    input_size, hidden_size, num_layers, bidirectional, dtype, random_state
        As of `RecurrentNetwork`; dtype is float64 if not given.

    Examples
    --------
    The minimal gated unit has one gate, f = sigmoid(a), h' = (1 - f) h + f tanh(b), where a and b are affine in x and
    h, and b sees h through the gate:

    >>> import numpy as np
    >>> class MinimalGatedUnit:
    ...     def initial_weights(self, input_size, hidden_size, rng):
    ...         def draw(n):
    ...             return rng.normal(size=(hidden_size, n)) / np.sqrt(n)
    ...
    ...         gate = {"weight_f": draw(input_size + hidden_size), "bias_f": np.zeros(hidden_size)}
    ...         return gate | {"weight_n": draw(input_size + hidden_size), "bias_n": np.zeros(hidden_size)}
    ...
    ...     def step(self, weights, x, h):
    ...         both = np.hstack([x, h])
    ...         f = 1 / (1 + np.exp(-both @ weights["weight_f"].T - weights["bias_f"]))
    ...         gated = np.hstack([x, f * h])
    ...         n = np.tanh(gated @ weights["weight_n"].T + weights["bias_n"])
    ...         return h + f * (n - h), (both, gated, f, n, h)
    ...
    ...     def step_back(self, weights, kept, d_h, gradients):
    ...         both, gated, f, n, h = kept
    ...         d_b = d_h * f * (1 - n**2)
    ...         d_gated = d_b @ weights["weight_n"]
    ...         d_fh = d_gated[:, -h.shape[1] :]
    ...         d_a = (d_h * (n - h) + d_fh * h) * f * (1 - f)
    ...         for name, d, inputs in (("f", d_a, both), ("n", d_b, gated)):
    ...             gradients[f"weight_{name}"] += d.T @ inputs
    ...             gradients[f"bias_{name}"] += d.sum(axis=0)
    ...         d_both = d_a @ weights["weight_f"]
    ...         d_x = d_both[:, : -h.shape[1]] + d_gated[:, : -h.shape[1]]
    ...         return d_x, d_both[:, -h.shape[1] :] + d_fh * f + d_h * (1 - f)
    >>> net = CustomNetwork(MinimalGatedUnit(), input_size=3, hidden_size=4, num_layers=2, random_state=0)
    >>> X = np.random.default_rng(0).normal(size=(2, 5, 3))
    >>> outputs, state = net(X, lengths=[5, 3])
    >>> outputs.shape, list(net.weights)[:4]
    ((2, 5, 4), ['weight_f_l0', 'bias_f_l0', 'weight_n_l0', 'bias_n_l0'])

    Whether the derivatives are right is asked of differences, which name the weight that is wrong:

    >>> from statespace.neural import check_gradients
    >>> worst = check_gradients(net, X, lengths=[5, 3])
    >>> max(worst.values()) < 1e-8
    True

    References
    ----------
    Zhou, Wu, Zhang and Zhou (2016), "Minimal gated unit for recurrent neural networks".

    """

    _kind_of_trace = cast(type[Trace], CustomTrace)

    def __init__(
        self,
        cell: RecurrentCell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dtype: Any = np.float64,
        random_state: Any = None,
    ) -> None:
        lacking = [name for name in ("initial_weights", "step", "step_back") if not callable(getattr(cell, name, None))]
        if lacking:
            raise TypeError(f"{cell!r:.60} is no recurrent cell: it has no {' and no '.join(lacking)}")
        self.cell: Any = cell
        self.input_size = check_integer("input_size", input_size, 1)
        self.hidden_size = check_integer("hidden_size", hidden_size, 1)
        self.num_layers = check_integer("num_layers", num_layers, 1)
        self.bidirectional = bool(bidirectional)
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(f"dtype is {self.dtype}, expected float32 or float64")
        directions = 2 if bidirectional else 1
        rng = generator(random_state)
        layout = CustomLayout(cell, self.input_size, self.hidden_size, self.num_layers, directions, rng)
        self._structure = cast(Structure, CustomStructure(cell, layout, self.input_size, self.hidden_size))
        self._vector = layout.initial(self.dtype)

    def step(self, x: Any, state: NetworkState | None = None) -> tuple[Array, NetworkState]:
        """Run one step, for streams, as calling with a time axis of length 1; as `RecurrentNetwork.step`."""
        if self.bidirectional:
            raise ValueError("step goes forward, and this network is bidirectional: it needs whole rows")
        given = np.asarray(x)
        if given.ndim not in (1, 2):
            wanted = f"({self.input_size},) or (batch, {self.input_size})"
            raise ValueError(f"x has shape {given.shape}, expected {wanted}")
        outputs, after = self(given.reshape(-1, 1, given.shape[-1]), state=state)
        return (outputs[:, 0] if given.ndim == 2 else outputs[0, 0]), after
