"""A network of cells that its user writes in plain NumPy, run over a batch: the layers, directions and ragged rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from statespace.neural.chains import active_rows
from statespace.neural.directions import reversed_rows
from statespace.neural.parameters import Layout, sum_of_bits
from statespace.neural.trace import NetworkState, check_unchanged
from statespace.protocols import Array, Ints


class _State(NamedTuple):
    """What the checks of a state ask of a cell."""

    kind: str
    size: int


class CustomLayout(Layout):
    """Names and places of the weights that `initial_weights` of a cell gives, "name_l0" and so on, and their start."""

    def __init__(
        self,
        cell: Any,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        directions: int,
        rng: np.random.Generator,
    ) -> None:
        self.cell: Any = _State(type(cell).__name__, hidden_size * int(getattr(cell, "states_per_unit", 1)))
        self.num_layers, self.directions = num_layers, directions
        self.places = {}
        self.begun: dict[str, Array] = {}
        self.names: list[str] = []
        at = 0
        for run in self.runs():
            drawn = cell.initial_weights(input_size if run[0] == 0 else directions * hidden_size, hidden_size, rng)
            self.names = list(drawn)
            for name, value in drawn.items():
                weight = np.asarray(value, np.float64)
                full = self.full_name(name, run)
                self.places[full] = at, weight.shape[::-1]  # kept transposed, as those of other networks
                self.begun[full] = weight
                at += weight.size
        self.size = at

    @staticmethod
    def full_name(name: str, run: tuple[int, int]) -> str:
        """The name of a weight of a layer in a direction."""
        return f"{name}_l{run[0]}" + ("_reverse" if run[1] else "")

    def initial(self, dtype: Any, rng: Any = None) -> Array:  # noqa: ARG002  # drawn when the shapes were asked for
        """A vector of the weights that the cell drew."""
        vector = self.empty(dtype)
        for name, weight in self.outside(vector).items():
            weight[...] = self.begun[name]
        return vector

    def of_cell(self, vector: Array, run: tuple[int, int]) -> dict[str, Array]:
        """The weights of a layer in a direction by the names that the cell gave them."""
        found = self.outside(vector)
        return {name: found[self.full_name(name, run)] for name in self.names}


class CustomStructure(NamedTuple):
    """How layers are put together, as `trace.Structure`."""

    own: Any
    layout: CustomLayout
    input_size: int
    hidden_size: int
    back: int = 1
    n_cells: int = 0

    @property
    def cell(self) -> Any:
        """Kind and size of a state."""
        return self.layout.cell

    @property
    def output_size(self) -> int:
        """Numbers that come out at each step."""
        return self.hidden_size * self.layout.directions


class CustomTrace:
    """What a network of your own cells did with a batch, as `Trace`.

    Attributes
    ----------
    outputs : (batch, time, directions * hidden_size)
        Zeros beyond the length of a row.
    state : NetworkState
        States after the last step of each row.

    """

    def __init__(
        self,
        structure: CustomStructure,
        vector: Array,
        X: Array,
        lengths: Ints,
        state: NetworkState | None,
        keep: bool,
    ) -> None:
        self._structure, self._vector = structure, vector
        layout, H, size = structure.layout, structure.hidden_size, structure.cell.size
        B, T = X.shape[:2]
        self._order = np.argsort(-lengths, kind="stable")
        self._lengths = lengths[self._order]
        self._rows = active_rows(self._lengths, T)
        x = np.where(np.arange(T)[:, None, None] < self._lengths[:, None], X[self._order].transpose(1, 0, 2), 0)
        runs = list(layout.runs())
        self._states: list[Array] = []
        self._kept: list[list[Any]] | None = [[] for _ in runs] if keep else None
        self._bits = sum_of_bits(vector) if keep else 0
        last = np.zeros((len(runs), B, size), vector.dtype)
        if state is not None:
            last[...] = state.h[:, self._order]
        for number, run in enumerate(runs):
            states = self._run(number, run, x, last[number])
            self._states.append(states)
            if run[1] == layout.directions - 1:
                x = np.concatenate([one[:, :, :H] for one in self._states[-layout.directions :]], axis=2)
        self.outputs = np.zeros((B, T, structure.output_size), vector.dtype)
        self.outputs[self._order] = x.transpose(1, 0, 2)
        self.state = NetworkState(self._unsorted(last))

    def _unsorted(self, h: Array) -> Array:
        found = np.empty_like(h)
        found[:, self._order] = h
        return found

    def _run(self, number: int, run: tuple[int, int], x: Array, h: Array) -> Array:
        """States (T, B, size) of a layer in a direction, in the order of the inputs; h becomes the last."""
        cell, weights = self._structure.own, self._structure.layout.of_cell(self._vector, run)
        inputs = reversed_rows(x, self._lengths) if run[1] else x
        states = np.zeros((*x.shape[:2], h.shape[1]), h.dtype)
        before = h.copy()
        for t, n in enumerate(self._rows):
            if not n:
                break
            after, kept = cell.step(weights, inputs[t, :n], before[:n])
            self._check("step", "state", after, (n, h.shape[1]))
            states[t, :n] = after
            before = states[t] if n == len(h) else np.concatenate([states[t, :n], before[n:]])
            if self._kept is not None:
                self._kept[number].append(kept)
        h[...] = before
        return reversed_rows(states, self._lengths) if run[1] else states

    def _check(self, function: str, what: str, value: Any, shape: tuple[int, int]) -> None:
        if np.shape(value) != shape:
            raise ValueError(
                f"{function} of {type(self._structure.own).__name__} gave a {what} of shape {np.shape(value)}, "
                f"expected {shape}"
            )

    def gradients(self, grad_outputs: Any, grad_state: Any = None, inputs_too: bool = True) -> dict[str, Array]:
        """Derivatives of a loss by weights, inputs and the state before, by name; as `Trace.gradients`."""
        vector, found_x, starts = self.gradient_vector(grad_outputs, grad_state, inputs_too)
        found = self._structure.layout.outside(vector)
        if found_x is not None:
            found["x"] = found_x
        found["h0"] = starts.h
        return found

    def gradient_vector(
        self, grad_outputs: Any, grad_state: Any = None, inputs_too: bool = False
    ) -> tuple[Array, Array | None, NetworkState]:
        """The same with all weights in one vector, of the length and in the order of the network's own."""
        if self._kept is None:
            raise ValueError("the gradients of this trace have been asked for, and use up what it kept: trace again")
        given = np.asarray(grad_outputs)
        if given.shape != self.outputs.shape or given.dtype.kind not in "fiu":
            raise ValueError(f"grad_outputs has shape {given.shape}, expected {self.outputs.shape}, real numbers")
        check_unchanged(self._vector, self._bits)
        all_kept, self._kept = self._kept, None
        layout, dtype = self._structure.layout, self._vector.dtype
        inside = np.arange(len(self._rows))[:, None, None] < self._lengths[:, None]
        d_y = np.where(inside, given[self._order].transpose(1, 0, 2), 0).astype(dtype)
        d_last = np.zeros((len(all_kept), len(self._order), self._structure.cell.size), dtype)
        if grad_state is not None:
            d_last[...] = np.asarray(getattr(grad_state, "h", grad_state))[:, self._order]
        total = layout.empty(dtype)
        for number, run in reversed(list(enumerate(layout.runs()))):
            if run[1] == layout.directions - 1:
                d_above, d_y = d_y, np.zeros(0)
            d_x = self._back(run, all_kept[number], d_above, d_last[number], layout.of_cell(total, run))
            d_y = d_x if not d_y.size else d_y + d_x
        found_x = np.zeros((*given.shape[:2], self._structure.input_size), dtype)
        found_x[self._order] = d_y.transpose(1, 0, 2)
        return total[: layout.size], found_x if inputs_too else None, NetworkState(self._unsorted(d_last))

    def _back(self, run: tuple[int, int], kept: list[Any], d_y: Array, d_h: Array, into: Mapping[str, Array]) -> Array:
        """Derivatives by the inputs (T, B, n) of a layer in a direction; d_h becomes those by the state before."""
        structure = self._structure
        cell, weights, H = structure.own, structure.layout.of_cell(self._vector, run), structure.hidden_size
        inputs = structure.input_size if run[0] == 0 else structure.output_size
        d_states = d_y[:, :, run[1] * H : (run[1] + 1) * H]
        if run[1]:
            d_states = reversed_rows(d_states, self._lengths)
        d_x = np.zeros((*d_y.shape[:2], inputs), d_y.dtype)
        for t in reversed(range(len(kept))):
            n = int(self._rows[t])
            d_h[:n, :H] += d_states[t, :n]
            by_x, before = cell.step_back(weights, kept[t], d_h[:n].copy(), into)
            self._check("step_back", "derivative by x", by_x, (n, inputs))
            self._check("step_back", "derivative by the state", before, (n, d_h.shape[1]))
            d_x[t, :n], d_h[:n] = by_x, before
        return reversed_rows(d_x, self._lengths) if run[1] else d_x

    def gates(self) -> dict[str, dict[str, Array]]:
        """States of each layer, h, by layer: a cell of your own says no more of itself."""
        found = {}
        for run, states in zip(self._structure.layout.runs(), self._states, strict=True):
            h = np.zeros((len(self._order), len(self._rows), states.shape[2]), states.dtype)
            h[self._order] = states.transpose(1, 0, 2)
            found[CustomLayout.full_name("", run)[1:]] = {"h": h}
        return found
