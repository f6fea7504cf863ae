"""The weights of a network in one vector, under torch's names and in torch's shapes.

    weight_ih_l{k}  (n_gates H, n_inputs)     weight_hh_l{k}  (n_gates H, H)     weight_sh_l{k}  (n_gates H, H)
    bias_ih_l{k}    (n_gates H,)              bias_hh_l{k}    (n_gates H,)       + "_reverse" for the other direction

Matrices are kept transposed, as the kernels read them; what is seen from outside are views of these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from statespace.foundations.elementwise import lanes
from statespace.neural.layer import Cell, Weights
from statespace.protocols import Array


class Layout:
    """Names, places and shapes.

    Parameters
    ----------
    cell : Cell
    input_size : int
    num_layers : int
    directions : int
        1, or 2 with the reverse one.
    bias : bool
    short, skip : bool
        Whether there are edges from the state before, and from one further back.

    """

    def __init__(
        self, cell: Cell, input_size: int, num_layers: int, directions: int, bias: bool, short: bool, skip: bool
    ) -> None:
        self.cell, self.num_layers, self.directions, self.bias = cell, num_layers, directions, bias
        gates, H = cell.n_gates * cell.size, cell.size
        self.places: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._known_parts: dict[tuple[int, int], Any] = {}
        at = 0
        for layer, direction in self.runs():
            inputs = input_size if layer == 0 else directions * H
            suffix = f"l{layer}" + ("_reverse" if direction else "")
            shapes: list[tuple[str, tuple[int, ...]]] = [("weight_ih", (inputs, gates))]
            if short:
                shapes.append(("weight_hh", (H, gates)))
            if skip:
                shapes.append(("weight_sh", (H, gates)))
            if bias:
                shapes += [("bias_ih", (gates,)), ("bias_hh", (gates,))]
            for name, shape in shapes:
                self.places[f"{name}_{suffix}"] = at, shape
                at += math.prod(shape)
        self.size = at

    def runs(self) -> Iterator[tuple[int, int]]:
        """Layers and directions in torch's order."""
        return ((layer, direction) for layer in range(self.num_layers) for direction in range(self.directions))

    def empty(self, dtype: Any) -> Array:
        """A vector of zeros for all weights; behind it, room for the last vector that a kernel reads."""
        return np.zeros(self.size + 4 * lanes(dtype), dtype)

    def inside(self, vector: Array, name: str) -> Array:
        """A weight as the kernels read it: a matrix transposed."""
        at, shape = self.places[name]
        return vector[at : at + math.prod(shape)].reshape(shape)

    def outside(self, vector: Array) -> dict[str, Array]:
        """All weights by name, in torch's shapes: views of the vector."""
        return {name: self.inside(vector, name).T for name in self.places}

    def of_run(self, vector: Array, layer: int, direction: int) -> Weights:
        """The weights of a layer in a direction."""
        parts: list[Any] = [
            None if part is None else vector[part[0] : part[1]].reshape(part[2])
            for part in self._parts(layer, direction)
        ]
        return Weights(*parts)

    def _parts(self, layer: int, direction: int) -> tuple[tuple[int, int, tuple[int, ...]] | None, ...]:
        """Where each of `Weights` begins and ends, and its shape."""
        known = self._known_parts.get((layer, direction))
        if known is None:
            suffix = f"l{layer}" + ("_reverse" if direction else "")

            def get(name: str) -> tuple[int, int, tuple[int, ...]] | None:
                found = self.places.get(f"{name}_{suffix}")
                return None if found is None else (found[0], found[0] + math.prod(found[1]), found[1])

            W, U, S = get("weight_ih"), get("weight_hh"), get("weight_sh")
            if U is None:  # of chains that go d steps at a time, the skip edge is the edge
                U, S = S, None
            known = self._known_parts[layer, direction] = (W, U, S, get("bias_ih"), get("bias_hh"))
        return known

    def initial(self, dtype: Any, rng: np.random.Generator) -> Array:
        """Glorot's uniform law for what comes in, orthogonal blocks for what comes back, a forget bias of 1."""
        vector, H = self.empty(dtype), self.cell.size
        for name in self.places:
            weight = self.inside(vector, name)
            if name.startswith("weight_ih"):
                bound = np.sqrt(6.0 / (weight.shape[0] + H))
                weight[...] = rng.uniform(-bound, bound, weight.shape)
            elif name.startswith("weight"):
                for gate in range(self.cell.n_gates):
                    weight[:, gate * H : (gate + 1) * H] = _orthogonal(H, rng)
            elif self.cell.kind == "lstm" and name.startswith("bias_ih"):
                weight[H : 2 * H] = 1.0
        return vector


def sum_of_bits(vector: Array) -> int:
    """A number that changes when weights do, soon found."""
    pairs = 8 // vector.itemsize
    return int(np.add.reduce(vector[: len(vector) // pairs * pairs].view(np.int64)))  # behind the last weight is room


def _orthogonal(n: int, rng: np.random.Generator) -> Array:
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    return np.asarray(Q * np.sign(np.diagonal(R)))


def as_array(value: Any) -> Array:
    """A weight as it was given: an array, or a torch tensor, also of bfloat16, which numpy has not."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    return np.asarray(value)


def checked_weights(layout: Layout, given: Any, dtype: Any) -> Array:
    """A vector of the weights that a mapping holds under the layout's names.

    Raises
    ------
    TypeError, ValueError
        Where a name is missing or unknown, or an array has another shape or is not finite.

    """
    if not isinstance(given, Mapping):
        raise TypeError(f"weights are {type(given).__name__}, expected a mapping from names to arrays")
    missing, unknown = (
        sorted(layout.places.keys() - given.keys()),
        sorted(map(str, given.keys() - layout.places.keys())),
    )
    if missing or unknown:
        said = [f"lack {', '.join(missing)}"] * bool(missing) + [f"have {', '.join(unknown)}"] * bool(unknown)
        raise ValueError(f"the weights {' and '.join(said)}: this network has {', '.join(layout.places)}")
    vector = layout.empty(dtype)
    for name, (_, shape) in layout.places.items():
        value = as_array(given[name])
        if value.shape != shape[::-1]:
            raise ValueError(f"{name} has shape {value.shape}, expected {shape[::-1]}")
        if value.dtype.kind not in "fiu":
            raise TypeError(f"{name} has the type {value.dtype}, expected real numbers")
        with np.errstate(over="ignore"):
            layout.inside(vector, name)[...] = value.T
        if not np.isfinite(layout.inside(vector, name)).all():
            raise ValueError(f"{name} has entries that are not finite numbers of {np.dtype(dtype)}")
    return vector
