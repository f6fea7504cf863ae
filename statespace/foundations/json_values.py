"""Arguments of a constructor as JSON has them, for the header of a file, and back."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_json(value: Any) -> Any:
    """A parameter as JSON has it; a generator is not kept.

    Raises
    ------
    TypeError
        If it is a function or an object, which no file can keep.

    """
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, dict):
        return {"dict": {name: as_json(inner) for name, inner in value.items()}}
    if isinstance(value, np.random.Generator | np.random.RandomState):
        return None
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    if isinstance(value, tuple):
        return {"tuple": [as_json(inner) for inner in value]}
    if isinstance(value, type) and issubclass(value, np.generic):
        return np.dtype(value).name
    if isinstance(value, np.dtype):
        return value.name
    if value is None or isinstance(value, bool | int | float | str | np.generic):
        return value.item() if isinstance(value, np.generic) else value
    raise TypeError(f"{value!r:.60} is a {type(value).__name__}, which no file can keep")


def from_json(value: Any) -> Any:
    """What `as_json` was given."""
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], dtype=value["dtype"])
    if isinstance(value, dict) and "tuple" in value:
        return tuple(from_json(inner) for inner in value["tuple"])
    if isinstance(value, dict):
        return {name: from_json(inner) for name, inner in value["dict"].items()}
    if isinstance(value, list):
        return [from_json(inner) for inner in value]
    return value
