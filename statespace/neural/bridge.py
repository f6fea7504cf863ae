"""From the last states of an encoder that runs both ways to the state in which a decoder begins.

    h = W [forward h; reverse h] + b        c of an LSTM likewise, with weights of its own

one map for each layer. It begins as the mean of both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.affine import AffineMap
from statespace.neural.trace import NetworkState
from statespace.protocols import Array


class Bridge:
    """An affine map for each layer, and each of h and c.

    Parameters
    ----------
    num_layers, hidden_size : int
    has_cells : bool
        Whether there is a c.
    dtype : float32 or float64

    Attributes
    ----------
    vector : (n_parameters,)
        All weights, to be changed in place.

    """

    def __init__(self, num_layers: int, hidden_size: int, has_cells: bool, dtype: Any = np.float32) -> None:
        self.num_layers, self.hidden_size, self.has_cells = num_layers, hidden_size, has_cells
        H, n = hidden_size, num_layers * (2 if has_cells else 1)
        one = np.concatenate([np.eye(H) / 2, np.eye(H) / 2, np.zeros((1, H))])
        self.vector: Array = np.tile(one.reshape(-1), n).astype(dtype)

    def by_name(self, vector: Array) -> dict[str, Array]:
        """Parts of a vector as long as all weights, (numbers out, numbers in), views."""
        found: dict[str, Array] = {}
        H = self.hidden_size
        for i, part in enumerate(vector.reshape(-1, 2 * H + 1, H)):
            name = f"{'h' if i < self.num_layers else 'c'}_l{i % self.num_layers}"
            found |= {f"weight_{name}": part[: 2 * H].T, f"bias_{name}": part[2 * H]}
        return found

    def __call__(self, state: NetworkState) -> NetworkState:
        """The state of a decoder from that of an encoder, of all rows."""
        h = self._mapped(state.h, 0)
        return NetworkState(h, None if state.c is None else self._mapped(state.c, self.num_layers))

    def gradients(self, state: NetworkState, d_begun: NetworkState) -> tuple[Array, NetworkState]:
        """Derivatives by the vector and by the encoder's state, of those by the decoder's."""
        found = np.zeros_like(self.vector)
        d_h = self._back(state.h, d_begun.h, 0, found)
        d_c = None
        if state.c is not None:
            assert d_begun.c is not None
            d_c = self._back(state.c, d_begun.c, self.num_layers, found)
        return found, NetworkState(d_h, d_c)

    def _layer(self, number: int) -> AffineMap:
        H = self.hidden_size
        part = self.vector.reshape(-1, 2 * H + 1, H)[number]
        return AffineMap(part[: 2 * H], part[2 * H])

    def _rows(self, part: Array) -> Array:
        """Both directions of h or c, (L 2, ..., H), beside each other: (L, n, 2 H)."""
        both = part.reshape(self.num_layers, 2, -1, self.hidden_size)
        return np.ascontiguousarray(both.transpose(0, 2, 1, 3)).reshape(self.num_layers, -1, 2 * self.hidden_size)

    def _mapped(self, part: Array, first: int) -> Array:
        rows = self._rows(part)
        found = np.stack([self._layer(first + i)(one) for i, one in enumerate(rows)])
        return np.ascontiguousarray(found).reshape(self.num_layers, *part.shape[1:])

    def _back(self, part: Array, d_part: Array, first: int, found: Array) -> Array:
        L, H = self.num_layers, self.hidden_size
        rows, weights = self._rows(part), found.reshape(-1, 2 * H + 1, H)
        d_rows = []
        for i, (x, d_y) in enumerate(zip(rows, d_part.reshape(L, -1, H), strict=True)):
            d_x, weights[first + i] = self._layer(first + i).gradients(x, d_y)
            d_rows.append(d_x.reshape(-1, 2, H))
        return np.ascontiguousarray(np.stack(d_rows).transpose(0, 2, 1, 3)).reshape(part.shape)
