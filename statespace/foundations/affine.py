r"""An affine map of many rows, y = x W + b, and its derivatives, on the products of panel_product.py.

A row comes out the same to the last bit alone and among others. W is (n_inputs, n_outputs).
"""

from __future__ import annotations

import functools

import numpy as np

from statespace.foundations.elementwise import lanes, padded
from statespace.foundations.panel_product import (
    add_packed,
    add_product,
    as_panels,
    as_transposed_panels,
    pack_columns,
    pack_rows,
)
from statespace.protocols import Array

_CHUNK = 512  # rows that are summed together, while they are near


class AffineMap:
    """W and b in the form in which they are multiplied; the arrays are read once, here.

    Parameters
    ----------
    W : (n_inputs, n_outputs)
    b : (n_outputs,)
        Of the same type, float32 or float64.

    """

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b, self.dtype = W, b, W.dtype
        self.n_inputs, self.n_outputs = W.shape
        self.width, self.padded = lanes(W.dtype), padded(self.n_outputs, W.dtype)
        self._panels = as_panels(W, self.n_outputs)

    def __call__(self, x: Array) -> Array:
        """Y of x (n, n_inputs), C-contiguous and writeable: (n, n_outputs), rows `padded` numbers apart."""
        n, width = len(x), self.width
        y = np.zeros((n, self.padded), self.dtype)
        y[:, : self.n_outputs] = self.b
        panels = self.padded // width
        add_product(
            n,
            x.reshape(-1),
            0,
            self.n_inputs,
            self.n_inputs,
            self._panels,
            0,
            self.n_inputs * width,
            panels,
            width,
            y.reshape(-1),
            0,
            self.padded,
        )
        return y[:, : self.n_outputs]

    def back(self, d_y: Array) -> Array:
        """Derivatives by x of those by y, (n, padded) with zeros beyond n_outputs: (n, n_inputs)."""
        n, wide = len(d_y), padded(self.n_inputs, self.dtype)
        d_x = np.zeros((n, wide), self.dtype)
        add_product(
            n,
            d_y.reshape(-1),
            0,
            self.padded,
            self.n_outputs,
            self._panels_back,
            0,
            self.padded * self.width,
            wide // self.width,
            self.width,
            d_x.reshape(-1),
            0,
            wide,
        )
        return d_x[:, : self.n_inputs]

    def gradients(self, x: Array, d_y: Array) -> tuple[Array, Array]:
        """Derivatives by x, (n, n_inputs), and by W and below it b, (n_inputs + 1, n_outputs), of those by y.

        Parameters
        ----------
        x : (n, n_inputs), C-contiguous and writeable
        d_y : (n, n_outputs)

        """
        wide, total = np.zeros((len(x), self.padded), self.dtype), self.zeros()
        wide[:, : self.n_outputs] = d_y
        self.add_derivatives(x, wide, total)
        return self.back(wide), total[: self.n_inputs + 1, : self.n_outputs]

    @functools.cached_property
    def _panels_back(self) -> Array:
        return as_transposed_panels(self.W, self.n_outputs)

    def zeros(self) -> Array:
        """What `add_derivatives` adds to: n_inputs + 1 rows, rounded up to fours, of `padded` numbers."""
        return np.zeros((-(-(self.n_inputs + 1) // 4) * 4, self.padded), self.dtype)

    def add_derivatives(self, x: Array, d_y: Array, total: Array) -> None:
        """Add those by W, and below them those by b, to `total`: n_inputs + 1 rows, n_outputs columns, of its own."""
        n, inputs, width, wide = len(x), self.n_inputs, self.width, self.padded
        size = min(n, _CHUNK)
        packed, columns = np.empty(size * wide, self.dtype), np.empty(size * len(total), self.dtype)
        flat_x, flat_d, flat_total = x.reshape(-1), d_y.reshape(-1), total.reshape(-1)
        for first in range(0, n, _CHUNK):
            rows = np.array([min(_CHUNK, n - first)])
            here = int(rows[0])
            pack_rows(0, 1, rows, here, flat_d, first * wide, wide, wide, width, packed)
            pack_columns(0, 1, rows, here, flat_x, first * inputs, inputs, inputs, 1, columns)
            add_packed(here, columns, inputs + 1, packed, 0, wide // width, width, flat_total, 0, wide)
