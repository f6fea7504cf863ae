"""A hidden Markov model as a header and arrays, and back; an emission is found by the name of its class.

An emission without to_archive and from_archive is kept by its attributes, where these are numbers, strings, arrays and
lists and dicts of numbers and strings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.archive import Archive, UnknownClassError
from statespace.foundations.estimator import Estimator
from statespace.foundations.json_values import as_json, from_json
from statespace.hmm.baum_welch import Law
from statespace.protocols import Array


def to_archive(model: Estimator, law: Law, n_free: int | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a model: its parameters, its law, and the number of parameters that it estimated.

    Raises
    ------
    TypeError
        If the emission has no to_archive, and attributes that no file can keep.

    """
    params = model.get_params(deep=False)
    header: dict[str, Any] = {"params": {}, "n_free": n_free}
    arrays = {"startprob": law.startprob, "transmat": law.transmat}
    emissions = {"learnt": law.emission}
    if "emission" in params:  # of models with a family of their own it follows from the other parameters
        emissions["given"] = params.pop("emission")
    for name, emission in emissions.items():
        options, values = emission.to_archive() if hasattr(emission, "to_archive") else _attributes(emission)
        header[name] = {"class": type(emission).__name__, "options": options}
        arrays |= {f"{name}_{key}": value for key, value in values.items()}
    header["params"] = {name: as_json(value) for name, value in params.items()}
    return header, arrays


def from_archive(archive: Archive) -> tuple[dict[str, Any], Law, int | None]:
    """Arguments of the constructor, the law, and the number of parameters that were estimated."""
    from statespace.hmm import emissions

    header, arrays = archive.header, archive.arrays
    found = {}
    for name in ("learnt", "given") if "given" in header else ("learnt",):
        kind = header[name]["class"]
        if kind not in archive.classes and kind not in emissions.__all__:
            raise UnknownClassError("a model with the emission", kind)
        emission_class = archive.classes[kind] if kind in archive.classes else getattr(emissions, kind)
        values = {key.removeprefix(f"{name}_"): a for key, a in arrays.items() if key.startswith(f"{name}_")}
        found[name] = _emission(emission_class, header[name]["options"], values)
    params = {name: from_json(value) for name, value in header["params"].items()}
    law = Law(arrays["startprob"], arrays["transmat"], found["learnt"])
    if "given" in found:
        params["emission"] = found["given"]
    return params, law, header["n_free"]


def _attributes(emission: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """Attributes of an emission for the header, and those that are arrays."""
    options, arrays = {}, {}
    for name, value in vars(emission).items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif value is None or isinstance(value, bool | int | float | str | list | dict | np.generic):
            options[name] = value.item() if isinstance(value, np.generic) else value
        else:
            raise TypeError(
                f"{type(emission).__name__}.{name} is a {type(value).__name__}, which no file can keep: make it an "
                "array, or give the emission to_archive() -> (header, arrays) and from_archive(header, arrays)"
            )
    return options, arrays


def _emission(kind: Any, options: dict[str, Any], arrays: dict[str, Array]) -> Any:
    if hasattr(kind, "from_archive"):
        return kind.from_archive(options, arrays)
    made = object.__new__(kind)
    vars(made).update(options | arrays)
    return made
