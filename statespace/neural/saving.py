"""Estimators with a network as a header and arrays, and back; the state of the optimiser and the generator besides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.archive import Archive, UnknownClassError
from statespace.foundations.json_values import as_json, from_json
from statespace.neural.embedding import Embedding
from statespace.neural.encoder import Dropout, Encoder
from statespace.neural.heads import Head
from statespace.neural.laws import Bernoulli, Categorical, Gaussian, Poisson
from statespace.neural.network import RecurrentNetwork
from statespace.neural.text import TokenFeatures
from statespace.neural.training import BY_EPOCH, History
from statespace.protocols import Array

_NETWORK = (
    "cell",
    "input_size",
    "hidden_size",
    "num_layers",
    "bidirectional",
    "bias",
    "reset",
    "leak",
    "skip",
    "remove_short",
    "nonlinearity",
)
_LAWS: dict[str, Any] = {"Bernoulli": Bernoulli, "Categorical": Categorical, "Gaussian": Gaussian, "Poisson": Poisson}


class Loaded(NamedTuple):
    """What a file holds of an estimator."""

    model: Any
    """With its parameters and its history."""
    encoder: Encoder
    head: Head
    drawing: np.random.Generator
    """Where the draws of the training were."""
    adam: dict[str, Array] | None
    """State of the optimiser, where `partial_fit` goes on from it."""


def model_to_archive(
    model: Any, encoder: Encoder, head: Head, drawing: np.random.Generator, adam: dict[str, Array] | None
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays.

    Raises
    ------
    TypeError
        Where a parameter is a function or an object, or symbols are neither numbers nor text.

    """
    params = model.get_params(deep=False)
    given = params.get("head")
    own_law = given is not None and not isinstance(given, str)
    if own_law:
        params["head"] = None  # it follows from the law that was learnt
    if callable(params.get("learning_rate")):
        params["learning_rate"] = None  # no file keeps a function
    if isinstance(params.get("tokens"), TokenFeatures):
        params["tokens"] = params["tokens"].get_params()
    if isinstance(params.get("class_weight"), dict):
        params["class_weight"] = [list(pair) for pair in params["class_weight"].items()]  # labels stay what they are
    header: dict[str, Any] = {
        "params": {name: as_json(value) for name, value in params.items()},
        "own_law": own_law,
        "drawing": drawing.bit_generator.state,
        "encoder": encoder_header(encoder),
        "head": head_header(head),
        "history": {name: getattr(model.history_, name) for name in ("best_epoch", "converged", "reason")},
    }
    arrays = {f"encoder_{i}": part.vector for i, part in enumerate(encoder.parts)}
    arrays |= {f"history_{name}": getattr(model.history_, name) for name in BY_EPOCH}
    arrays |= head_arrays(head)
    arrays |= {f"adam_{name}": np.asarray(value) for name, value in (adam or {}).items()}
    return header, arrays


def model_from_archive(cls: type, archive: Archive) -> Loaded:
    """What `model_to_archive` was given."""
    header, arrays = archive.header, archive.arrays
    encoder = encoder_from(header["encoder"], [arrays[f"encoder_{i}"] for i in range(header["encoder"]["n_parts"])])
    head = head_from(header["head"], arrays, archive)
    params = {name: from_json(value) for name, value in header["params"].items()}
    if header["own_law"]:
        params["head"] = head.law
    if params.get("learning_rate", 1.0) is None:
        params.pop("learning_rate")
    if isinstance(params.get("tokens"), dict):
        params["tokens"] = TokenFeatures(**params["tokens"])
    if isinstance(params.get("class_weight"), list):
        params["class_weight"] = dict(params["class_weight"])
    model = cls(**params)
    history = header["history"]
    model.history_ = History(
        **{name: arrays[f"history_{name}"] for name in BY_EPOCH},
        best_epoch=int(history["best_epoch"]),
        converged=bool(history["converged"]),
        reason=str(history["reason"]),
    )
    drawing = np.random.default_rng()
    drawing.bit_generator.state = header["drawing"]
    adam = {name.removeprefix("adam_"): value for name, value in arrays.items() if name.startswith("adam_")}
    return Loaded(model, encoder, head, drawing, adam or None)


# ------------------------------------------------------------------------------------------------------- parts


def encoder_header(encoder: Encoder) -> dict[str, Any]:
    """What an encoder is made of, but for its weights."""
    network = encoder.network
    return {
        "network": {name: getattr(network, name) for name in _NETWORK} | {"dtype": network.dtype.name},
        "embeddings": [[embedding.n_symbols, embedding.size] for embedding in encoder.embeddings],
        "n_numbers": encoder.n_numbers,
        "learn_start": encoder.start is not None,
        "dropout": list(encoder.dropout),
        "n_parts": len(encoder.parts),
    }


def encoder_from(header: dict[str, Any], weights: list[Array]) -> Encoder:
    """The encoder, with its weights."""
    network = RecurrentNetwork(**header["network"])
    embeddings = [Embedding(int(K), int(size), network.dtype) for K, size in header["embeddings"]]
    encoder = Encoder(
        network,
        embeddings,
        int(header["n_numbers"]),
        learn_start=bool(header["learn_start"]),
        dropout=Dropout(*header["dropout"]),
    )
    take(encoder.parts, weights)
    return encoder


def head_header(head: Head) -> dict[str, Any]:
    """The law of a head, and its size."""
    return {"law": type(head.law).__name__, "input_size": head.input_size, "dtype": head.dtype.name}


def head_arrays(head: Head, name: str = "head") -> dict[str, Array]:
    """Weights of a head, and the attributes of its law."""
    found = {f"{name}_vector": head.vector}
    for key, value in vars(head.law).items():
        array = np.asarray(value)
        if array.dtype.kind == "O":
            raise TypeError(f"{key} of {type(head.law).__name__} cannot be saved: use strings or numbers")
        found[f"{name}_law_{key}"] = array
    return found


def head_from(header: dict[str, Any], arrays: dict[str, Array], archive: Archive, name: str = "head") -> Head:
    """The head, with its weights and its law."""
    kind = header["law"]
    if kind not in archive.classes and kind not in _LAWS:
        raise UnknownClassError("a model with the law", kind)
    law = object.__new__(archive.classes.get(kind) or _LAWS[kind])
    prefix = f"{name}_law_"
    for key, value in arrays.items():
        if key.startswith(prefix):
            setattr(law, key.removeprefix(prefix), value.item() if value.ndim == 0 else value)
    head = Head(law, header["input_size"], header["dtype"])
    take([head], [arrays[f"{name}_vector"]])
    return head


def take(parts: Sequence[Any], weights: Sequence[Array]) -> None:
    """Weights into the parts that they are of."""
    if len(parts) != len(weights):
        raise ValueError(f"there are weights for {len(weights)} parts, expected {len(parts)}")
    for part, vector in zip(parts, weights, strict=True):
        if vector.shape != part.vector.shape or vector.dtype != part.vector.dtype:
            raise ValueError(f"weights have shape {vector.shape} of {vector.dtype}, expected {part.vector.shape}")
        part.vector[...] = vector
