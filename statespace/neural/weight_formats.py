r"""Weights from and to torch and safetensors files, and what all formats share; arrays alone: no library is needed.

Blocks of gates lie below each other in the order of torch. Others have another order, or other shapes:

    torch    (gates H, n_inputs)   LSTM i,f,g,o   GRU r,z,n   two biases                  GRU resets after the product
    Keras    (n_inputs, gates H)   LSTM i,f,c,o   GRU z,r,h   one bias, or (2, 3 H)       before or after
    ONNX     (directions, gates H, n_inputs)   LSTM i,o,f,c   GRU z,r,h   two biases      before or after

The same weights of a GRU mean another function with the other reset: what says which is always compared, and where
nothing says it, it has to be said. In all three h' = z h + (1 - z) n; the lecture has its gate the other way round.

PyTorch 2.13, torch.nn.RNN, LSTM and GRU; safetensors 0.8, Format.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from statespace.neural.cells import GATES
from statespace.neural.network import RecurrentNetwork
from statespace.neural.parameters import as_array
from statespace.neural.safetensors_file import read_safetensors, write_safetensors
from statespace.protocols import Array

CELLS = {len(gates): cell for cell, gates in GATES.items()}
"""Cells by their number of gates."""


class Run(NamedTuple):
    """A layer in one direction, in torch's order and shapes."""

    W: Array
    U: Array
    b_ih: Array | None
    b_hh: Array | None


def to_torch(net: RecurrentNetwork, *, prefix: str = "") -> dict[str, Array]:
    """Weights as a state dict of torch.nn.RNN, LSTM or GRU: copies, by torch's names after a prefix.

    Raises
    ------
    ValueError
        Where torch has no such layer: a GRU that resets before the product, gated leaky cells, leaks and skips.

    Examples
    --------
    >>> net = RecurrentNetwork("lstm", input_size=2, hidden_size=3)
    >>> list(to_torch(net, prefix="rnn."))
    ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'rnn.bias_ih_l0', 'rnn.bias_hh_l0']

    """
    check_plain(net, "torch")
    if net.cell == "gru" and net.reset != "after":
        raise ValueError(
            "reset is 'before', and torch's GRU resets after the product: with these weights it is another function"
        )
    return {prefix + name: weight.copy() for name, weight in net.weights.items()}


def from_torch(state_dict: Mapping[str, Any], *, prefix: str = "", **options: Any) -> RecurrentNetwork:
    """Build a network from a state dict of torch.nn.RNN, LSTM or GRU.

    Parameters
    ----------
    state_dict : mapping from names to tensors or arrays
    prefix : str
        "rnn." where the layer is the attribute `rnn` of a model; all else in the model is left out.
    **options
        Arguments of `RecurrentNetwork` that arrays do not show: nonlinearity="relu" where the layer has it.

    Raises
    ------
    ValueError
        Where an option contradicts the weights, names are missing or unknown, or reset="before" is asked for: torch's
        GRU resets after the product.

    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict is {type(state_dict).__name__}, expected a mapping: pass layer.state_dict()")
    weights = {name[len(prefix) :]: value for name, value in state_dict.items() if name.startswith(prefix)}
    if "weight_ih_l0" not in weights:
        seen = sorted({name[: -len("weight_ih_l0")] for name in state_dict if name.endswith("weight_ih_l0")})
        hint = f": say prefix={' or '.join(map(repr, seen))}" if seen else f": it has {', '.join(state_dict)[:200]}"
        raise ValueError(f"state_dict has no {prefix}weight_ih_l0{hint}")
    if any(name.startswith("weight_hr") for name in weights):
        raise ValueError("the LSTM projects its states (proj_size): this network has no such layer")
    return built(weights, {"gru": "after"}, options, "torch's GRU resets after the product")


def from_lecture_gru(W_z: Any, W_r: Any, W_n: Any, *, dtype: Any = np.float64) -> RecurrentNetwork:
    r"""Build the GRU as the lecture writes it.

        z = sigmoid(W_z [h, x]), r = sigmoid(W_r [h, x]), n = tanh(W_n [r h, x]), h' = (1 - z) h + z n

    Its z is 1 - z of torch, Keras and ONNX, so that W_z changes its sign; the reset comes before the product, and there
    are no biases. It is Keras's GRU with reset_after=False whose columns of z are negated.

    Parameters
    ----------
    W_z, W_r, W_n : (H, H + n_inputs)
        Columns of h first, then those of x.
    dtype : float32 or float64

    """
    parts = [np.asarray(W) for W in (W_r, W_z, W_n)]
    H = len(parts[0]) if parts[0].ndim == 2 else 0
    if not H or any(W.shape != parts[0].shape for W in parts) or parts[0].shape[1] <= H:
        shapes = ", ".join(str(np.shape(W)) for W in (W_z, W_r, W_n))
        raise ValueError(f"W_z, W_r and W_n have shapes {shapes}, expected (H, H + n_inputs) of all three")
    whole = np.concatenate([parts[0], -parts[1], parts[2]])
    net = RecurrentNetwork("gru", whole.shape[1] - H, H, bias=False, reset="before", dtype=dtype)
    net.load_weights({"weight_hh_l0": whole[:, :H], "weight_ih_l0": whole[:, H:]})
    return net


def save_safetensors(net: RecurrentNetwork, path: str | os.PathLike[str], *, prefix: str = "") -> None:
    """Write the weights by torch's names to a safetensors file, with what the cell and its remedies are as metadata."""
    said = {"cell": net.cell, "dtype": str(net.dtype)}
    if net.cell == "gru":
        said["reset"] = net.reset
    if net.cell == "rnn":
        said["nonlinearity"] = net.nonlinearity
    for name in ("leak", "skip", "remove_short"):
        if value := getattr(net, name):
            said[name] = json.dumps(value)
    write_safetensors(path, {prefix + name: weight for name, weight in net.weights.items()}, said)


def load_safetensors(path: str | os.PathLike[str], *, prefix: str = "", **options: Any) -> RecurrentNetwork:
    """Build a network from a safetensors file with weights by torch's names.

    Parameters
    ----------
    path : str or path
    prefix : str
        As in `from_torch`.
    **options
        Arguments of `RecurrentNetwork`. Those that the file's metadata say have to agree; where they do not say which
        reset a GRU has it has to be said: "after" for a file that comes from torch.

    Raises
    ------
    ValueError
        If the file is damaged or something else, or an option contradicts what it says.

    """
    arrays, metadata = read_safetensors(path)
    weights = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
    if "weight_ih_l0" not in weights:
        raise ValueError(f"{os.fspath(path)} has no {prefix}weight_ih_l0: it has {', '.join(arrays)[:200]}")
    said: dict[str, Any] = {}
    for name in ("cell", "reset", "nonlinearity", "leak", "skip", "remove_short"):
        if name in metadata:
            try:
                word = name in ("cell", "reset", "nonlinearity")
                said[name] = metadata[name] if word else json.loads(metadata[name])
            except ValueError:
                raise ValueError(
                    f"{os.fspath(path)} says that {name} is {metadata[name]!r:.80}: it is damaged"
                ) from None
    known = {said["cell"]: said["reset"]} if said.keys() >= {"cell", "reset"} else {}
    for name, value in said.items():
        if options.setdefault(name, value) != value:
            raise ValueError(
                f"{name} is {options[name]!r}, and {os.fspath(path)} says {value!r}: the function would be another"
            )
    return built(weights, known, options, f"{os.fspath(path)} says so")


def check_plain(net: RecurrentNetwork, library: str) -> None:
    """Refuse a network of which a library has no layers."""
    what = [f"{name}={getattr(net, name)!r}" for name in ("leak", "skip") if getattr(net, name)]
    if net.cell == "gated_leaky" or what:
        what = ["'gated_leaky' cells"] * (net.cell == "gated_leaky") + what
        raise ValueError(f"{library} has no layer with {', '.join(what)}: save_safetensors keeps all of a network")


def blocks(weight: Array, H: int, order: Any) -> Array:
    """Blocks of H rows in another order."""
    return np.asarray(weight.reshape(-1, H, *weight.shape[1:])[order].reshape(weight.shape))


def layers_of(net: RecurrentNetwork) -> list[list[Run]]:
    """Weights of each layer, of each direction."""
    found = []
    for layer in range(net.num_layers):
        ends = [f"l{layer}", f"l{layer}_reverse"][: 2 if net.bidirectional else 1]
        get = net.weights.get
        found.append(
            [
                Run(
                    net.weights[f"weight_ih_{end}"],
                    net.weights[f"weight_hh_{end}"],
                    get(f"bias_ih_{end}"),
                    get(f"bias_hh_{end}"),
                )
                for end in ends
            ]
        )
    return found


def named(layers: list[list[Run]]) -> dict[str, Array]:
    """What `layers_of` gives, by torch's names."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return {
        f"{name}_l{k}{'_reverse' if direction else ''}": weight
        for k, layer in enumerate(layers)
        for direction, run in enumerate(layer)
        for name, weight in zip(names, run, strict=True)
        if weight is not None
    }


def built(
    given: Mapping[str, Any], resets: Mapping[str, str], options: dict[str, Any], why: str, how: str = ""
) -> RecurrentNetwork:
    """Build a network from weights by torch's names; `resets` : of a GRU what is known of its reset, and `why`."""
    weights = {name: as_array(value) for name, value in given.items()}
    first = weights.get("weight_hh_l0", weights.get("weight_sh_l0"))
    if first is None or first.ndim != 2 or weights["weight_ih_l0"].ndim != 2:
        raise ValueError(
            f"the weights have {', '.join(weights)[:200]}: expected matrices weight_ih_l0 and weight_hh_l0"
        )
    H = first.shape[1]
    cell = CELLS.get(first.shape[0] // max(H, 1))
    if cell is None or len(GATES[cell]) * H != first.shape[0]:
        raise ValueError(
            f"the recurrent weights have shape {first.shape}: no cell has {first.shape[0]} rows for {H} units"
        )
    for name, weight in weights.items():
        if name.startswith("weight_hh") and weight.shape != first.shape:
            raise ValueError(
                f"{name} has shape {weight.shape} and weight_hh_l0 {first.shape}: layers of this network are alike"
            )
    known: dict[str, Any] = {
        "cell": cell,
        "input_size": weights["weight_ih_l0"].shape[1],
        "hidden_size": H,
        "num_layers": sum(name.startswith("weight_ih") and "reverse" not in name for name in weights),
        "bidirectional": "weight_ih_l0_reverse" in weights,
        "bias": "bias_ih_l0" in weights,
    }
    for name, value in known.items():
        if options.get(name, value) != value:
            raise ValueError(f"{name} is {options[name]!r}, and the weights are those of {value!r}")
    if cell == "gru":
        reset = options.get("reset", resets.get("gru"))
        if reset is None:
            raise ValueError(
                "nothing says whether this GRU resets before or after the product, and the same weights mean another "
                f"function with the other: say {how or 'reset='}"
            )
        if reset != resets.get("gru", reset):
            raise ValueError(f"reset is {reset!r}, expected {resets['gru']!r}: {why}; the function would be another")
        known["reset"] = reset
    wide = any(weight.dtype.itemsize == 8 and weight.dtype.kind == "f" for weight in weights.values())
    net = RecurrentNetwork(**{"dtype": np.float64 if wide else np.float32, **options, **known})
    net.load_weights(weights)
    return net
