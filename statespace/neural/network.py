"""Recurrent networks: h_n = f(h_{n-1}, x_n), a deterministic counterpart of the latent states of the other families."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from statespace.foundations.probability import generator
from statespace.foundations.validation import check_choice, check_flag, check_integer, check_share
from statespace.neural.cells import GATES
from statespace.neural.layer import Cell
from statespace.neural.parameters import Layout, checked_weights
from statespace.neural.stepping import Stepper
from statespace.neural.trace import NetworkState, Structure, Trace, checked_state
from statespace.protocols import Array, Ints

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


class RecurrentNetwork:
    """A recurrent network and its gradients, and nothing else: no loss, no training.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru", "gated_leaky"}
        Elman's cell, the LSTM, the GRU, and the gated leaky cell, whose one gate a step says how much it keeps.
    input_size, hidden_size : int
        Numbers that come in at each step; units of a layer.
    num_layers : int
        Layers on top of each other.
    bidirectional : bool
        Whether each layer is also run from the end of each row.
    bias : bool
    reset : {"before", "after"}
        Of a GRU: whether the reset gate comes before the product with the recurrent weights, as in Cho et al. (2014),
        or after it, as torch and cuDNN have it. The same weights mean another function.
    leak : float, optional
        Leaky units: h = leak h_{n-1} + (1 - leak) f(h_{n-1}, x_n); 1 remembers. The mixture is what feeds back; an
        LSTM's c is left as it is.
    skip : int, optional
        An edge from h_{n - skip} to the pre-activations of all gates, with weights of its own, `weight_sh`.
    remove_short : bool
        With `skip`: the edges of length 1 and their weights are gone, so that what is left is `skip` interleaved
        networks.
    dtype : float32 or float64
    random_state : None, int, Generator or RandomState
        For the initial weights: orthogonal recurrent blocks, a forget bias of 1.
    nonlinearity : {"tanh", "relu"}
        Of Elman's cell.

    Examples
    --------
    >>> import numpy as np
    >>> net = RecurrentNetwork("gru", input_size=3, hidden_size=4, dtype=np.float64, random_state=0)
    >>> X = np.random.default_rng(0).normal(size=(2, 5, 3))
    >>> outputs, state = net(X, lengths=[5, 3])
    >>> outputs.shape, state.h.shape
    ((2, 5, 4), (1, 2, 4))
    >>> found = net.gradients(X, np.ones_like(outputs), lengths=[5, 3])
    >>> found["weight_hh_l0"].shape, found["x"].shape
    ((12, 4), (2, 5, 3))

    References
    ----------
    Elman (1990); Hochreiter and Schmidhuber (1997); Cho et al. (2014); El Hihi and Bengio (1996) for skips and leaks.

    """

    _kind_of_trace = Trace

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        bias: bool = True,
        reset: str = "before",
        leak: float | None = None,
        skip: int | None = None,
        remove_short: bool = False,
        dtype: Any = np.float32,
        random_state: Any = None,
        *,
        nonlinearity: str = "tanh",
    ) -> None:
        check_choice("cell", cell, GATES)
        check_choice("reset", reset, ("before", "after"))
        check_choice("nonlinearity", nonlinearity, ("tanh", "relu"))
        self.cell, self.reset, self.nonlinearity = cell, reset, nonlinearity
        self.input_size = check_integer("input_size", input_size, 1)
        self.hidden_size = check_integer("hidden_size", hidden_size, 1)
        self.num_layers = check_integer("num_layers", num_layers, 1)
        self.bidirectional = check_flag("bidirectional", bidirectional)
        self.bias, self.remove_short = check_flag("bias", bias), check_flag("remove_short", remove_short)
        if nonlinearity != "tanh" and cell != "rnn":
            raise ValueError(f"nonlinearity is {nonlinearity!r}, and a {cell!r} cell has its own: leave it out")
        self.leak = None if leak is None else check_share("leak", leak)
        self.skip = None if skip is None else check_integer("skip", skip, 2)
        if remove_short and skip is None:
            raise ValueError("remove_short leaves no edge without skip: say how far back an edge reaches, skip=")
        try:
            self.dtype = np.dtype(dtype)
        except TypeError:
            raise TypeError(f"dtype is {dtype!r}, expected float32 or float64") from None
        if self.dtype not in _DTYPES:
            raise ValueError(f"dtype is {self.dtype}, expected float32 or float64")
        made = Cell(cell, nonlinearity == "relu", reset, self.leak or 0.0, self.hidden_size)
        layout = Layout(
            made,
            self.input_size,
            self.num_layers,
            2 if bidirectional else 1,
            self.bias,
            not remove_short,
            self.skip is not None,
        )
        chains = self.skip if remove_short and self.skip is not None else 1
        self._structure = Structure(made, layout, self.input_size, self.skip or 1, chains)
        self._stepper: Stepper | None = None
        self._vector = layout.initial(self.dtype, generator(random_state))

    @property
    def output_size(self) -> int:
        """Numbers that come out at each step."""
        return self._structure.output_size

    @property
    def n_parameters(self) -> int:
        """Weights, all of them."""
        return self._structure.layout.size

    # ------------------------------------------------------------------------------------------------- the weights

    @property
    def vector(self) -> Array:
        """All weights, one after the other, shape (n_parameters,): a view, to be changed in place."""
        return self._vector[: self.n_parameters]

    @property
    def weights(self) -> Mapping[str, Array]:
        """Weights by torch's names, in torch's shapes: views, to be changed in place."""
        return MappingProxyType(self._structure.layout.outside(self._vector))

    def load_weights(self, weights: Any) -> None:
        """Take weights from a mapping with the names and shapes of `weights`; a torch state dict is one.

        Raises
        ------
        TypeError, ValueError
            Where a name is missing or unknown, or an array has another shape or is not finite; or tensors of torch come
            to a GRU that resets before the product, which torch's does not. Nothing is changed.

        """
        tensors = isinstance(weights, Mapping) and any(hasattr(value, "detach") for value in weights.values())
        if tensors and self.cell == "gru" and self.reset == "before":
            raise ValueError(
                "the weights are torch's, whose GRU resets after the product, and reset is 'before' here: the function "
                "would be another. Build the network with reset='after', or by from_torch; if the tensors belong to "
                "a GRU that resets before, hand over arrays"
            )
        self._vector[...] = checked_weights(self._structure.layout, weights, self.dtype)

    def by_name(self, vector: Array) -> dict[str, Array]:
        """Parts of a vector as long as all weights, such as `Trace.gradient_vector` gives, by name."""
        return self._structure.layout.outside(vector)

    # ---------------------------------------------------------------------------------------------------- running

    def __call__(self, X: Any, lengths: Any = None, state: Any = None) -> tuple[Array, NetworkState]:
        """Run.

        Parameters
        ----------
        X : (batch, time, input_size)
            Padded rows; what lies beyond the length of a row is not read.
        lengths : (batch,), optional
            How many steps of each row count, 0 to time; None: all.
        state : NetworkState, optional
            To go on from; zeros where it is not given. torch's h, or (h, c), will do.

        Returns
        -------
        outputs : (batch, time, directions * hidden_size)
            Zeros beyond the length of a row.
        state : NetworkState
            After the last step of each row.

        """
        found = self._trace(X, lengths, state, False)
        return found.outputs, found.state

    def trace(self, X: Any, lengths: Any = None, state: Any = None, *, masks: Any = None) -> Trace:
        """Run, and keep what the way back needs: `outputs`, `state`, `gates()`, `gradients(grad_outputs)`.

        Parameters
        ----------
        X, lengths, state
            As in a call.
        masks : list of (batch, time, directions * hidden_size), optional
            What the outputs of each layer but the last are multiplied by on their way to the next: dropout.

        """
        return self._trace(X, lengths, state, True, masks)

    def gradients(
        self, X: Any, grad_outputs: Any, lengths: Any = None, state: Any = None, *, grad_state: Any = None
    ) -> dict[str, Array]:
        """Derivatives of a loss by every weight, the inputs and the state before, by backpropagation through time.

        Parameters
        ----------
        X, lengths, state
            As in a call.
        grad_outputs : (batch, time, directions * hidden_size)
            Derivatives of the loss by the outputs; what lies beyond the length of a row is not read.
        grad_state : NetworkState, optional
            By the state after the last step.

        Returns
        -------
        dict
            By torch's names; "x" for the inputs, "h0" and, of an LSTM, "c0" for the state before.

        """
        found = self._trace(X, lengths, state, True)
        return found.gradients(grad_outputs, grad_state)

    def initial_state(self, batch: int = 1) -> NetworkState:
        """The state of some rows before their first step where none is given: zeros."""
        structure, n = self._structure, self.num_layers * (2 if self.bidirectional else 1)
        B, H = check_integer("batch", batch), self.hidden_size
        h = np.zeros((n, B, H) if structure.back == 1 else (n, structure.back, B, H), self.dtype)
        if not structure.n_cells:
            return NetworkState(h)
        return NetworkState(h, np.zeros((n, B, H) if structure.n_cells == 1 else h.shape, self.dtype))

    def checked_state(self, state: Any, batch: int) -> NetworkState:
        """A state of some rows as a NetworkState in the type of the network; refused, in words, where it is none."""
        return checked_state(self._structure, state, batch, self.dtype)

    def step(self, x: Any, state: NetworkState | None = None) -> tuple[Array, NetworkState]:
        """Run one step, for streams; as calling with a time axis of length 1, and sooner.

        Parameters
        ----------
        x : (input_size,) or (batch, input_size)
        state : NetworkState, optional
            That of the step before; zeros where it is not given.

        Returns
        -------
        output : (hidden_size,) or (batch, hidden_size)
            h of the last layer.
        state : NetworkState
            To be handed to the next step.

        """
        if self.bidirectional:
            raise ValueError("step goes forward, and this network is bidirectional: it needs whole rows")
        given = np.asarray(x)
        rows = given.ndim == 2
        if given.shape[rows:] != (self.input_size,) or given.dtype.kind not in "fiub":
            wanted = f"({self.input_size},) or (batch, {self.input_size})"
            raise ValueError(f"x has shape {given.shape} and type {given.dtype}, expected {wanted}, real numbers")
        stepper = self._stepper
        if stepper is None:
            stepper = self._stepper = Stepper(self._structure, self.dtype)
        B, flat = (len(given), given.astype(self.dtype).reshape(-1)) if rows else (1, given.astype(self.dtype))
        found = stepper.step(self._vector, flat, B, state)
        if found is None:
            raise ValueError("x has an entry that is not finite: a network has no missing values")
        return (found[0].reshape(B, self.hidden_size), found[1]) if rows else found

    def gates(self, X: Any, lengths: Any = None, state: Any = None) -> dict[str, dict[str, Array]]:
        """Activations for study, by layer ("l0", "l0_reverse") and by gate.

        i, f, g, o and c of an LSTM, r, z, n of a GRU, u, n of a gated leaky cell, and h of all: each of shape (batch,
        time, hidden_size).
        """
        return self._trace(X, lengths, state, True).gates()

    def _trace(self, X: Any, lengths: Any, state: Any, keep: bool, masks: Any = None) -> Trace:
        try:
            given = np.asarray(X)
        except ValueError:
            raise ValueError("X has rows of several lengths: pad them with anything, and say lengths=") from None
        x = given
        if x.ndim != 3 or x.shape[2] != self.input_size:
            hint = ": one sequence is X[None]" if x.ndim == 2 else ""
            raise ValueError(f"X has shape {x.shape}, expected (batch, time, {self.input_size}){hint}")
        if x.dtype.kind not in "fiub":
            raise TypeError(f"X has the type {x.dtype}, expected real numbers")
        valid = self._lengths(lengths, *x.shape[:2])
        with np.errstate(over="ignore", invalid="ignore"):  # beyond a length anything may stand
            x = x.astype(self.dtype, copy=False)
            total = np.add.reduce(x, axis=None)
        if not math.isfinite(total):
            inside = np.arange(x.shape[1])[None, :] < valid[:, None]
            bad = np.argwhere(~np.isfinite(x) & inside[:, :, None])
            if len(bad):
                place = tuple(int(i) for i in bad[0])
                raise ValueError(
                    f"X[{', '.join(map(str, place))}] is {given[place]}, expected a finite number of {self.dtype}: "
                    "a network has no missing values"
                )
        begun = None if state is None else checked_state(self._structure, state, len(x), self.dtype)
        if masks is None:
            return self._kind_of_trace(self._structure, self._vector, x, valid, begun, keep)
        shapes = [(*x.shape[:2], self.output_size)] * (self.num_layers - 1)
        if [np.shape(mask) for mask in masks] != shapes:
            raise ValueError(f"masks has the shapes {[np.shape(mask) for mask in masks]}, expected {shapes}")
        given_masks = [np.asarray(mask, self.dtype) for mask in masks]
        return self._kind_of_trace(self._structure, self._vector, x, valid, begun, keep, given_masks)

    @staticmethod
    def _lengths(lengths: Any, B: int, T: int) -> Ints:
        if lengths is None:
            return np.full(B, T, np.int64)
        given = np.asarray(lengths)
        if given.shape != (B,) or (B and given.dtype.kind not in "iu"):
            raise ValueError(f"lengths is {lengths!r:.60}, expected {B} whole numbers: one for each row of X")
        if ((given < 0) | (given > T)).any():
            b = int(np.flatnonzero((given < 0) | (given > T))[0])
            raise ValueError(f"lengths[{b}] is {given[b]}, expected 0 to {T}: X has {T} steps")
        return given.astype(np.int64)
