"""A hidden Markov model as a header and arrays, and back; an emission is found by the name of its class."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.archive import Archive
from statespace.foundations.estimator import Estimator
from statespace.hmm.baum_welch import Law
from statespace.protocols import Array


def to_archive(model: Estimator, law: Law, n_free: int | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a model: its parameters, its law, and the number of parameters that it estimated.

    Raises
    ------
    TypeError
        If the emission has no to_archive.

    """
    params = model.get_params(deep=False)
    header: dict[str, Any] = {"params": {}, "n_free": n_free}
    arrays = {"startprob": law.startprob, "transmat": law.transmat}
    emissions = {"learnt": law.emission}
    if "emission" in params:  # of models with a family of their own it follows from the other parameters
        emissions["given"] = params.pop("emission")
    for name, emission in emissions.items():
        if not hasattr(emission, "to_archive"):
            raise TypeError(f"{type(emission).__name__} has no to_archive() -> (header, arrays): it cannot be saved")
        options, values = emission.to_archive()
        header[name] = {"class": type(emission).__name__, "options": options}
        arrays |= {f"{name}_{key}": value for key, value in values.items()}
    header["params"] = {name: _as_json(value) for name, value in params.items()}
    return header, arrays


def from_archive(archive: Archive) -> tuple[dict[str, Any], Law, int | None]:
    """Arguments of the constructor, the law, and the number of parameters that were estimated."""
    from statespace.hmm import emissions

    header, arrays = archive.header, archive.arrays
    found = {}
    for name in ("learnt", "given") if "given" in header else ("learnt",):
        kind = header[name]["class"]
        if kind not in emissions.__all__:
            raise ValueError(f"an emission {kind!r} that statespace does not have")
        values = {key.removeprefix(f"{name}_"): a for key, a in arrays.items() if key.startswith(f"{name}_")}
        found[name] = getattr(emissions, kind).from_archive(header[name]["options"], values)
    params = {name: _from_json(value) for name, value in header["params"].items()}
    law = Law(arrays["startprob"], arrays["transmat"], found["learnt"])
    if "given" in found:
        params["emission"] = found["given"]
    return params, law, header["n_free"]


def _as_json(value: Any) -> Any:
    """A parameter as JSON has it; a generator is not kept."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, dict):
        return {"dict": {name: _as_json(inner) for name, inner in value.items()}}
    if isinstance(value, np.random.Generator | np.random.RandomState):
        return None
    if isinstance(value, list | tuple):
        return _as_json(np.asarray(value))
    return value.item() if isinstance(value, np.generic) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], dtype=value["dtype"])
    if isinstance(value, dict):
        return {name: _from_json(inner) for name, inner in value["dict"].items()}
    return value
