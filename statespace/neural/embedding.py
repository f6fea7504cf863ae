"""Symbols as vectors that are learnt: a row of a table for each of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.probability import generator
from statespace.foundations.validation import check_integer
from statespace.protocols import Array, Ints


class Embedding:
    """A table of one row for each symbol, and one more for what is missing.

    Parameters
    ----------
    n_symbols : int
        Symbols 0, ..., n_symbols - 1; -1 is missing, and the last row is its own.
    size : int
        Numbers that a symbol becomes.
    dtype : float32 or float64
    random_state : None, int, Generator or RandomState
        For the rows at the start, normal with variance 1 / size, so that each is about as long as 1.

    Attributes
    ----------
    vector : ((n_symbols + 1) size,)
        All numbers, to be changed in place.

    Examples
    --------
    >>> import numpy as np
    >>> letters = Embedding(26, size=4, random_state=0)
    >>> letters(np.array([[0, 1], [2, -1]])).shape
    (2, 2, 4)

    """

    def __init__(self, n_symbols: int, size: int, dtype: Any = np.float32, random_state: Any = None) -> None:
        self.n_symbols, self.size = check_integer("n_symbols", n_symbols, 1), check_integer("size", size, 1)
        drawn = generator(random_state).standard_normal((self.n_symbols + 1, self.size)) / math.sqrt(self.size)
        drawn[-1] = 0.0
        self.vector: Array = drawn.astype(dtype).reshape(-1)

    @property
    def table(self) -> Array:
        """Rows of the symbols and of what is missing, (n_symbols + 1, size): a view, to be changed in place."""
        return self.vector.reshape(-1, self.size)

    def __call__(self, codes: Ints) -> Array:
        """Rows of codes (...): shape (..., size)."""
        return np.asarray(self.table[codes])  # -1 is the last row

    def gradient(self, codes: Ints, d_rows: Array) -> Array:
        """Derivatives by the vector, of those (..., size) by the rows that codes (...) became."""
        found = np.zeros_like(self.vector)
        places = np.where(codes < 0, self.n_symbols, codes).reshape(-1).astype(np.int64)
        rows = np.ascontiguousarray(d_rows.reshape(-1, self.size))
        add_rows(places, rows, found.reshape(-1, self.size))
        return found

    def settle(self, codes: Ints) -> None:
        """Where nothing was missing in what was learnt from, what is missing becomes the mean of what was seen."""
        seen = codes[codes >= 0]
        if len(seen) == codes.size and len(seen):
            counts = np.bincount(seen, minlength=self.n_symbols)
            self.table[-1] = counts @ self.table[:-1].astype(np.float64) / counts.sum()


@kernel
def add_rows(places: Ints, rows: Array, table: Array) -> None:
    """table[places[n]] += rows[n] for all n, in their order."""
    for n in range(len(places)):
        k = places[n]
        for j in range(rows.shape[1]):
            table[k, j] += rows[n, j]
