r"""One vector of a whole sequence, from the outputs h_1..h_T of a network, and derivatives by these.

last    h_T of what runs forward, h_1 of what runs back: each has then read all
mean    \sum_t h_t / T
max     max_t h_t, unit by unit
"""

from __future__ import annotations

import numpy as np

from statespace.protocols import Array, Ints

POOLINGS = ("last", "mean", "max")


class Pooled:
    """Outputs of padded rows, pooled.

    Parameters
    ----------
    outputs : (B, T, D)
    lengths : (B,)
        Steps of each row that count, at least 1.
    pooling : {"last", "mean", "max"}
    n_forward : int
        How many of the D units run forward, the first; the others run back.

    Attributes
    ----------
    values : (B, D)

    """

    def __init__(self, outputs: Array, lengths: Ints, pooling: str, n_forward: int) -> None:
        self._shape, self._dtype, self._lengths = outputs.shape, outputs.dtype, lengths
        self._pooling, self._n_forward = pooling, n_forward
        B, T, _ = outputs.shape
        rows, H = np.arange(B), n_forward
        if pooling == "last":
            self.values: Array = outputs[:, 0].copy()
            self.values[:, :H] = outputs[rows, lengths - 1, :H]
        elif pooling == "mean":
            total = np.zeros((B, outputs.shape[2]), outputs.dtype)
            for t in range(T):  # in this order, so that a row is the same whatever it is padded to
                total += outputs[:, t]
            self.values = total / lengths[:, None].astype(outputs.dtype)
        else:
            inside = np.arange(T)[None, :, None] < lengths[:, None, None]
            self._places = np.where(inside, outputs, -np.inf).argmax(axis=1)[:, None]
            self.values = np.take_along_axis(outputs, self._places, 1)[:, 0]

    def gradients(self, d_values: Array) -> Array:
        """Derivatives by the outputs, of those by the values."""
        B, T, _ = self._shape
        found = np.zeros(self._shape, self._dtype)
        if self._pooling == "last":
            H = self._n_forward
            found[np.arange(B), self._lengths - 1, :H] = d_values[:, :H]
            found[:, 0, H:] = d_values[:, H:]
        elif self._pooling == "mean":
            inside = np.arange(T)[None, :] < self._lengths[:, None]
            shares = inside / self._lengths[:, None]
            np.multiply(d_values[:, None, :], shares[:, :, None].astype(self._dtype), out=found)
        else:
            np.put_along_axis(found, self._places, d_values[:, None, :].astype(self._dtype), 1)
        return found
