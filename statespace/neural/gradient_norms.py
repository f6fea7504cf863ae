r"""How gradients flow through a network: whether the last state still depends on what came long before.

|d s_T / d s_t|, where it vanishes as t goes back, means that nothing can be learnt about step t from the end; where it
explodes, that a step of learning throws the weights far away. See jacobians.py for what is differentiated by what.

Hochreiter (1991); Bengio, Simard and Frasconi (1994); Pascanu, Mikolov and Bengio (2013).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.validation import check_integer
from statespace.neural.cells import GATES
from statespace.neural.custom_jacobians import custom_state_jacobians
from statespace.neural.custom_network import CustomNetwork
from statespace.neural.jacobians import Path, state_jacobians
from statespace.neural.network import RecurrentNetwork
from statespace.neural.trace import checked_state
from statespace.protocols import Array, Ints


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Norms of derivatives in a layer that reads B rows of up to T steps; n is the length of a row."""

    spectral: Array
    """|d s_n / d s_t|, the largest singular value, by row and t = 0..T, shape (B, T + 1); s is h, of an LSTM (h, c).

    t counts steps read: s_0 is the state before the first, and there is a 1 at t = n. NaN where t > n. Along removed
    edges there is no path, and the norm is 0.
    """
    frobenius: Array
    """The same in the Frobenius norm: the root of the sum of squares, shape (B, T + 1); sqrt(size of s) at t = n."""
    lengths: Ints
    """n of each row, shape (B,)."""
    gates: tuple[str, ...]
    """The order of the gates in what follows; ("h",) of a cell without, or of your own."""
    weight_gradients: Mapping[str, Array]
    """|dL / dW|, Frobenius norms by torch's name and gate, each of shape (n_gates,); L is the loss, of all rows."""
    spectral_radius: Mapping[str, Array]
    """max |lambda_i(U)|, by name of recurrent weights and gate, each of shape (n_gates,).

    Empty of a cell of your own, which does not say which of its weights these are.
    """


def gradient_flow(
    net: RecurrentNetwork,
    X: Any,
    lengths: Any = None,
    state: Any = None,
    *,
    grad_outputs: Any = None,
    layer: int | None = None,
    reverse: bool = False,
) -> GradientFlow:
    """Measure how the last state of a layer depends on all before it, and how large the gradients of the weights are.

    Exact: the Jacobians of the steps are multiplied, in float64, of float32 networks too. It costs T products of a row
    of Jacobians with the recurrent weights and as many singular values: for study, not for training.

    Parameters
    ----------
    net : RecurrentNetwork or CustomNetwork
        Of a cell of your own the steps are run again, and go back through its `step_back`.
    X, lengths, state
        As in a call of the network: (batch, time, input_size), (batch,), and a state to go on from.
    grad_outputs : (batch, time, directions * hidden_size), optional
        Derivatives of the loss by the outputs; None: the loss is the sum of the outputs of the last step of each row.
    layer : int, optional
        Whose states; the last layer if None.
    reverse : bool
        Of a bidirectional network: the direction that reads from the end; t counts as it reads.

    Returns
    -------
    GradientFlow

    Raises
    ------
    ValueError, TypeError
        If there is no such layer or direction, or X, lengths, state or grad_outputs do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from statespace.neural import RecurrentNetwork
    >>> net = RecurrentNetwork("rnn", input_size=1, hidden_size=8, bias=False, dtype=np.float64, random_state=0)
    >>> net.weights["weight_hh_l0"][...] *= 0.9        # orthogonal, times 0.9
    >>> flow = gradient_flow(net, np.zeros((1, 50, 1)))
    >>> flow.spectral[0, [50, 49, 0]].round(4), round(0.9**50, 4)
    (array([1.    , 0.9   , 0.0052]), 0.0052)

    """
    if not isinstance(net, RecurrentNetwork):
        raise TypeError(f"net is of type {type(net).__name__}, expected a RecurrentNetwork")
    chosen = net.num_layers - 1 if layer is None else check_integer("layer", layer, 0)
    if chosen >= net.num_layers:
        raise ValueError(f"layer is {chosen}, expected 0..{net.num_layers - 1}")
    if reverse and not net.bidirectional:
        raise ValueError("reverse is True, but the network reads in one direction: it is not bidirectional")
    trace = net.trace(X, lengths, state)
    B, T = trace.outputs.shape[:2]
    valid: Ints = np.full(B, T) if lengths is None else np.asarray(lengths).astype(np.int64)
    jacobians = _jacobians(net, np.asarray(X), valid, state, trace.gates(), chosen, reverse)
    spectral, frobenius = np.full((B, T + 1), np.nan), np.full((B, T + 1), np.nan)
    # Matrices this small only lose by being shared out among threads; what explodes may reach infinity
    with blas_on_one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for t, G in jacobians:
            inside = valid >= t
            spectral[inside, t], frobenius[inside, t] = _norms(G[inside])
    if grad_outputs is None:
        d_outputs = np.zeros(trace.outputs.shape)
        rows = np.flatnonzero(valid)
        d_outputs[rows, valid[rows] - 1] = 1.0
    else:
        d_outputs = np.asarray(grad_outputs)
        if d_outputs.shape != trace.outputs.shape or d_outputs.dtype.kind not in "fiu":
            raise ValueError(f"grad_outputs has shape {d_outputs.shape}, expected {trace.outputs.shape}, real numbers")
    found = trace.gradients(d_outputs, inputs_too=False)
    gates = ("h",) if isinstance(net, CustomNetwork) else GATES[net.cell]
    n_gates = len(gates)
    return GradientFlow(
        spectral=spectral,
        frobenius=frobenius,
        lengths=valid,
        gates=gates,
        weight_gradients={
            name: np.linalg.norm(found[name].reshape(n_gates, -1).astype(np.float64), axis=1) for name in net.weights
        },
        spectral_radius={
            name: np.abs(np.linalg.eigvals(weight.reshape(n_gates, net.hidden_size, -1).astype(np.float64))).max(axis=1)
            for name, weight in net.weights.items()
            if name.startswith(("weight_hh", "weight_sh")) and not isinstance(net, CustomNetwork)
        },
    )


def _norms(G: Array) -> tuple[Array, Array]:
    """The spectral and the Frobenius norm of matrices, inf where they have overflowed."""
    fits = np.isfinite(G).all(axis=(1, 2))
    spectral, frobenius = np.full(len(G), np.inf), np.full(len(G), np.inf)
    largest = np.abs(G[fits]).max(axis=(1, 2), initial=0.0)
    scale = np.where(largest > 0.0, largest, 1.0)  # squares of small entries would underflow
    scaled = G[fits] / scale[:, None, None]
    spectral[fits] = np.linalg.norm(scaled, 2, axis=(1, 2)) * scale
    frobenius[fits] = np.linalg.norm(scaled, axis=(1, 2)) * scale
    return spectral, frobenius


def _jacobians(
    net: RecurrentNetwork,
    X: Array,
    lengths: Ints,
    state: Any,
    gates: dict[str, dict[str, Array]],
    layer: int,
    reverse: bool,
) -> Iterator[tuple[int, Array]]:
    """Steps and derivatives of the last state, of whichever cell."""
    if not isinstance(net, CustomNetwork):
        return state_jacobians(layer_path(net, X, lengths, state, gates, layer, reverse), lengths)
    structure: Any = net._structure
    number = layer * structure.layout.directions + int(reverse)
    weights = {
        name: weight.astype(np.float64)
        for name, weight in structure.layout.of_cell(net._vector, (layer, int(reverse))).items()
    }
    start = np.zeros((len(X), 1, structure.cell.size))
    if state is not None:
        start[:, 0] = checked_state(structure, state, len(X), net.dtype).h[number]
    h = _as_read(gates[_suffix(layer, reverse)]["h"], lengths, reverse)
    x = _inputs(net, X, lengths, gates, layer, reverse)
    return custom_state_jacobians(net.cell, weights, x, np.concatenate([start, h], axis=1), lengths)


def _suffix(layer: int, reverse: bool) -> str:
    return f"l{layer}" + ("_reverse" if reverse else "")


def _as_read(of_steps: Array, lengths: Ints, reverse: bool) -> Array:
    """What belongs to the steps, (B, T, n), in the order in which it is read, with zeros beyond the end of each row."""
    steps = np.arange(of_steps.shape[1])[None, :]
    inside = steps < lengths[:, None]
    order = np.where(inside, lengths[:, None] - 1 - steps, steps) if reverse else steps
    kept = np.where(inside[:, :, None], of_steps, 0.0).astype(np.float64)
    return np.take_along_axis(kept, order[:, :, None], axis=1)


def _inputs(
    net: RecurrentNetwork, X: Array, lengths: Ints, gates: dict[str, dict[str, Array]], layer: int, reverse: bool
) -> Array:
    """What a layer reads, as it reads it."""
    below = [f"l{layer - 1}"] + [f"l{layer - 1}_reverse"] * net.bidirectional
    shown = X if layer == 0 else np.concatenate([gates[name]["h"][:, :, : net.hidden_size] for name in below], axis=2)
    return _as_read(shown, lengths, reverse)


def layer_path(
    net: RecurrentNetwork,
    X: Array,
    lengths: Ints,
    state: Any,
    gates: dict[str, dict[str, Array]],
    layer: int,
    reverse: bool,
) -> Path:
    """Where a layer went in one direction."""
    structure, H = net._structure, net.hidden_size
    cell, suffix = structure.cell, _suffix(layer, reverse)
    B = len(X)

    def weight(name: str) -> Array | None:
        found = net.weights.get(f"{name}_{suffix}")
        return None if found is None else found.astype(np.float64)

    x = _inputs(net, X, lengths, gates, layer, reverse)
    W, U, S, b_ih, b_hh = map(weight, ("weight_ih", "weight_hh", "weight_sh", "bias_ih", "bias_hh"))
    if U is None:  # without short edges the skip edge is the edge
        U, S = S, None
    assert W is not None
    assert U is not None
    p, inner = x @ W.T, np.zeros(H)
    if b_ih is not None and b_hh is not None:
        if cell.after:
            b_hh, inner = np.concatenate([b_hh[: 2 * H], np.zeros(H)]), b_hh[2 * H :]
        p += b_ih + b_hh
    back, cells = structure.back, structure.n_cells
    number = layer * structure.layout.directions + int(reverse)
    runs = structure.layout.num_layers * structure.layout.directions
    h_start, c_start = np.zeros((back, B, H)), np.zeros((cells, B, H))
    if state is not None:
        given = checked_state(structure, state, B, net.dtype)
        h_start = given.h.reshape(runs, back, B, H)[number]
        c_start = c_start if given.c is None else given.c.reshape(runs, cells, B, H)[number]
    h = np.concatenate([h_start.transpose(1, 0, 2), _as_read(gates[suffix]["h"], lengths, reverse)], axis=1)
    c = None
    if cells:
        c = np.concatenate([c_start.transpose(1, 0, 2), _as_read(gates[suffix]["c"], lengths, reverse)], axis=1)
    return Path(cell, structure.chains, 0 if S is None else back, U, S, p, inner, h, c)
