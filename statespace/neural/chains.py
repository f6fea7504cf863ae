"""Without edges of length 1, a network whose edges go d steps back is d networks, each of which sees every d-th step.

Step t d + j of row b is step t of row j B + b of a batch of d B rows: a reshape, and rows put in order of falling
length.
"""

from __future__ import annotations

import numpy as np

from statespace.protocols import Array, Ints


def active_rows(lengths: Ints, T: int) -> Ints:
    """How many rows go on at each of T steps; lengths fall."""
    if len(lengths) and lengths[-1] >= T:
        return np.full(T, len(lengths), np.int64)
    return np.ascontiguousarray((lengths[None, :] > np.arange(T)[:, None]).sum(axis=1).astype(np.int64))


class Chains:
    """d interleaved chains of a batch of T steps of B rows.

    Parameters
    ----------
    T, d : int
    lengths : (B,)
        Falling.

    """

    def __init__(self, T: int, lengths: Ints, d: int) -> None:
        self.T, self.B, self.d = T, len(lengths), d
        self.steps = -(-T // d)
        each = np.maximum(-(-(lengths[None, :] - np.arange(d)[:, None]) // d), 0).reshape(-1)
        self.order = np.argsort(-each, kind="stable")
        self.lengths = each[self.order]
        self.rows = active_rows(self.lengths, self.steps)
        self._back = np.argsort(self.order, kind="stable")

    def split(self, x: Array) -> Array:
        """From (T, B, n) to (steps, d B, n)."""
        whole = np.zeros((self.steps * self.d, *x.shape[1:]), x.dtype)
        whole[: self.T] = x
        return np.ascontiguousarray(whole.reshape(self.steps, self.d * self.B, x.shape[-1])[:, self.order])

    def join(self, x: Array) -> Array:
        """From (steps, d B, n) to (T, B, n)."""
        return np.asarray(x[:, self._back].reshape(self.steps * self.d, self.B, x.shape[-1])[: self.T])

    def split_start(self, h: Array) -> Array:
        """From the d states before the first step, (d, B, n), to (d B, n)."""
        return np.ascontiguousarray(h.reshape(self.d * self.B, h.shape[-1])[self.order])

    def join_start(self, h: Array) -> Array:
        """From (d B, n) to (d, B, n)."""
        return np.asarray(h[self._back].reshape(self.d, self.B, h.shape[-1]))
