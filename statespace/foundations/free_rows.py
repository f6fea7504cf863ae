r"""Rows of probabilities as parameters without bounds, where zeros and held entries stay as they are.

    P(i, k) = room_i exp(theta(i, k)) / \sum_j exp(theta(i, j))      over the free entries k, j of row i

    d f / d theta(i, k) = q(i, k) - P(i, k) / room_i \sum_j q(i, j)      q(i, k) = P(i, k) d f / d P(i, k)

One theta of each row is redundant: adding a constant to a row changes nothing.
"""

import numpy as np

from statespace.protocols import Array, Floats


class FreeRows:
    """The free entries of a table of probabilities.

    Parameters
    ----------
    rows : (n_rows, n_columns)
        Probabilities; zeros are not free, nor is an entry that is the only one left of its row.
    held : True or (n_rows, n_columns) of bool, optional
        Entries that keep their values.

    """

    def __init__(self, rows: Floats, held: Array | bool | None = None) -> None:
        self.start = rows
        free = rows > 0
        if held is not None:
            free &= ~np.broadcast_to(np.asarray(held, np.bool_), rows.shape)
        free &= free.sum(axis=1, keepdims=True) > 1
        self.free: Array = free
        """Which entries are free, shape (n_rows, n_columns)."""
        self.room: Floats = np.where(free, rows, 0.0).sum(axis=1, keepdims=True)
        """What the free entries of a row share, shape (n_rows, 1)."""

    @property
    def size(self) -> int:
        """How many entries are free."""
        return int(self.free.sum())

    def to_vector(self) -> Floats:
        """Theta of the rows that it was made from, shape (size,)."""
        theta: Floats = np.log(self.start[self.free])
        return theta

    def log_rows(self, theta: Floats) -> Floats:
        """Log P; finite at free entries even where P is too small for a number of its own."""
        logits = np.full(self.free.shape, -np.inf)
        logits[self.free] = theta
        some = self.free.any(axis=1)
        logits[some] -= logits[some].max(axis=1, keepdims=True)
        logits[some] += np.log(self.room[some] / np.exp(logits[some]).sum(axis=1, keepdims=True))
        with np.errstate(divide="ignore"):
            held: Floats = np.log(self.start)
        return np.where(self.free, logits, held)

    def rows(self, theta: Floats) -> Floats:
        """P, shape (n_rows, n_columns)."""
        return np.where(self.free, np.exp(self.log_rows(theta)), self.start)

    def gradient(self, rows: Floats, pulled: Floats) -> Floats:
        """D f / d theta, shape (size,), from q = P d f / d P, shape (n_rows, n_columns)."""
        pulled = np.where(self.free, pulled, 0.0)
        shares = np.divide(rows, self.room, out=np.zeros(rows.shape), where=self.free)
        slope: Floats = (pulled - shares * pulled.sum(axis=1, keepdims=True))[self.free]
        return slope

    def curvature(self, counts: Floats) -> Floats:
        """How fast sum counts log P bends in each theta, shape (size,): its scale for a search."""
        counts = np.where(self.free, np.maximum(counts, 0.0), 0.0)
        totals = counts.sum(axis=1, keepdims=True)
        shares = np.divide(self.start, self.room, out=np.zeros(counts.shape), where=self.free)
        bend: Floats = ((counts + shares * totals) / 2)[self.free]
        return bend
