"""Weights from and to layers of Keras.

A kernel has the shape (n_inputs, gates * units), so that it is torch's transposed; the gates of an LSTM have torch's
order, those of a GRU are z, r, h. There is one bias, but a GRU with reset_after=True has two, (2, 3 * units).

Keras 3, layers.SimpleRNN, layers.LSTM, layers.GRU and layers.Bidirectional.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from statespace.neural.network import RecurrentNetwork
from statespace.neural.parameters import as_array
from statespace.neural.weight_formats import CELLS, Run, blocks, built, check_plain, layers_of, named
from statespace.protocols import Array

_FROM_KERAS = {"rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}  # where torch's blocks lie among Keras's


def to_keras(net: RecurrentNetwork) -> list[list[Array]]:
    """Weights for Keras: of each layer what `layer.set_weights` takes, of a Bidirectional both directions.

    The layers are SimpleRNN, LSTM or GRU with return_sequences=True, use_bias=net.bias and, of a GRU,
    reset_after=(net.reset == "after"); without biases nothing in the arrays says which of the two it is.

    Raises
    ------
    ValueError
        Where Keras has no such layer: gated leaky cells, leaks and skips.

    """
    check_plain(net, "Keras")
    order = np.argsort(_FROM_KERAS[net.cell])
    found: list[list[Array]] = []
    for layer in layers_of(net):
        found.append([])
        for run in layer:
            kernel, recurrent, b_ih, b_hh = (None if w is None else blocks(w, net.hidden_size, order) for w in run)
            assert kernel is not None
            assert recurrent is not None
            found[-1] += [np.ascontiguousarray(kernel.T), np.ascontiguousarray(recurrent.T)]
            if b_ih is not None and b_hh is not None:
                two = net.cell == "gru" and net.reset == "after"
                found[-1].append(np.stack([b_ih, b_hh]) if two else b_ih + b_hh)
    return found


def from_keras(layers: Sequence[Any], *, reset_after: bool | None = None, **options: Any) -> RecurrentNetwork:
    """Build a network from the weights of Keras layers.

    Parameters
    ----------
    layers : list of lists of arrays
        `[layer.get_weights() for layer in ...]`: kernel, recurrent kernel and bias of each layer, of a Bidirectional
        those of both directions. The weights of one layer alone will do.
    reset_after : bool, optional
        Of a GRU, as Keras has it. Its bias shows it, and has to agree; without a bias it has to be said.
    **options
        Arguments of `RecurrentNetwork` that arrays do not show: nonlinearity="relu" for activation="relu".

    Raises
    ------
    ValueError
        Where layers differ in size, shapes are not Keras's, or `reset_after` or an option contradicts the weights.

    """
    given = [list(layers)] if len(layers) and hasattr(layers[0], "shape") else [list(layer) for layer in layers]
    resets = set() if reset_after is None else {"after" if reset_after else "before"}
    found: list[list[Run]] = []
    for number, arrays in enumerate(given):
        arrays = [as_array(array) for array in arrays]
        if len(arrays) not in (2, 3, 4, 6):
            raise ValueError(
                f"layers[{number}] has {len(arrays)} arrays, expected 2 or 3, or 4 or 6 of both directions"
            )
        each = 2 if len(arrays) in (2, 4) else 3
        runs = [_run(f"layers[{number}]", *arrays[i : i + each]) for i in range(0, len(arrays), each)]
        found.append([run for run, _ in runs])
        resets.update(reset for _, reset in runs if reset is not None)
    if len(resets) > 1:
        raise ValueError(
            f"reset_after is {reset_after}, and the biases of the layers say otherwise, or not all the same: (2, 3 * "
            "units) belongs to reset_after=True, (3 * units,) to False; with the other the function is another"
        )
    known = {"gru": resets.pop()} if resets else {}
    return built(named(found), known, options, "so say the biases or reset_after", "reset_after=True or False")


def _run(where: str, kernel: Array, recurrent: Array, bias: Array | None = None) -> tuple[Run, str | None]:
    """A layer in one direction, in torch's order; of a GRU with a bias, whether it resets before or after."""
    if kernel.ndim != 2 or recurrent.ndim != 2 or recurrent.shape[1] != kernel.shape[1]:
        raise ValueError(
            f"{where} has kernels of shapes {kernel.shape} and {recurrent.shape}, expected (n_inputs, gates * units) "
            "and (units, gates * units)"
        )
    H, columns = recurrent.shape
    gates = columns // max(H, 1)
    order = _FROM_KERAS.get(CELLS.get(gates, ""))
    if order is None or gates * H != columns:
        raise ValueError(f"{where} has kernels of {columns} columns for {H} units: no layer of Keras has")
    W, U = blocks(kernel.T, H, order), blocks(recurrent.T, H, order)
    if bias is None:
        return Run(W, U, None, None), None
    two = gates == 3 and bias.shape == (2, columns)
    if not two and bias.shape != (columns,):
        also = f" or (2, {columns})" if gates == 3 else ""
        raise ValueError(f"{where} has a bias of shape {bias.shape}, expected ({columns},){also}")
    b_ih, b_hh = bias if two else (bias, np.zeros_like(bias))
    reset = ("after" if two else "before") if gates == 3 else None
    return Run(W, U, blocks(b_ih, H, order), blocks(b_hh, H, order)), reset
