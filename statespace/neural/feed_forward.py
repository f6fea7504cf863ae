"""One layer of a feed-forward network, y = max(0, W x + b), and its derivatives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from statespace.foundations.affine import AffineMap
from statespace.foundations.probability import generator
from statespace.foundations.validation import check_integer
from statespace.protocols import Array


class FeedForward:
    """A layer of rectified units.

    Parameters
    ----------
    input_size, output_size : int
    dtype : float32 or float64
    random_state : None, int, Generator or RandomState
        For the initial W, uniform between -sqrt(6 / input_size) and sqrt(6 / input_size); b begins as 0.

    Attributes
    ----------
    vector : (n_parameters,)
        All weights, to be changed in place.

    References
    ----------
    He et al. (2015), "Delving deep into rectifiers", for the variance of W.

    """

    def __init__(self, input_size: int, output_size: int, dtype: Any = np.float32, random_state: Any = None) -> None:
        self.input_size = check_integer("input_size", input_size, 1)
        self.output_size = check_integer("output_size", output_size, 1)
        self.vector: Array = np.zeros((self.input_size + 1) * self.output_size, dtype)
        bound = math.sqrt(6.0 / self.input_size)
        drawn = generator(random_state).uniform(-bound, bound, (self.input_size, self.output_size))
        self.weights["weight"].T[...] = drawn

    @property
    def n_parameters(self) -> int:
        """Weights, all of them."""
        return len(self.vector)

    def by_name(self, vector: Array) -> dict[str, Array]:
        """Parts of a vector as long as all weights: "weight" (output_size, input_size), "bias" (output_size,)."""
        cut = self.input_size * self.output_size
        return {"weight": vector[:cut].reshape(self.input_size, -1).T, "bias": vector[cut:]}

    @property
    def weights(self) -> Mapping[str, Array]:
        """Weights by name, as torch's Linear has them: views, to be changed in place."""
        return MappingProxyType(self.by_name(self.vector))

    def __call__(self, x: Array) -> FeedForwardRun:
        """Run over rows (n, input_size)."""
        cut = self.input_size * self.output_size
        layer = AffineMap(self.vector[:cut].reshape(self.input_size, -1), self.vector[cut:])
        return FeedForwardRun(layer, np.require(x, self.vector.dtype, ["C", "W"]))


class FeedForwardRun:
    """A layer run over rows.

    Attributes
    ----------
    outputs : (n, output_size)

    """

    def __init__(self, layer: AffineMap, x: Array) -> None:
        self._layer, self._x = layer, x
        self.outputs: Array = np.maximum(layer(x), 0)

    def gradients(self, d_outputs: Array) -> tuple[Array, Array]:
        """Derivatives by the vector of weights, and by the rows that came in."""
        layer = self._layer
        d_y = np.zeros((len(self._x), layer.padded), layer.dtype)
        d_y[:, : layer.n_outputs] = np.where(self.outputs > 0, d_outputs, 0)
        total = layer.zeros()
        layer.add_derivatives(self._x, d_y, total)
        vector = total[: layer.n_inputs + 1, : layer.n_outputs].reshape(-1)  # b follows W in both
        return vector, layer.back(d_y)
