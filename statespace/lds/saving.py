"""A linear dynamical system as a header and arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.archive import Archive
from statespace.foundations.estimator import Estimator
from statespace.foundations.json_values import as_json, from_json
from statespace.lds.system import TIMED
from statespace.protocols import Array

_LEARNT = (*TIMED, "initial_state", "initial_state_cov", "diffuse", "stationary")
_INPUTS = ("obs_exog", "state_exog")


def to_archive(model: Estimator, n_free: int | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a model: its parameters, its matrices, and the number of parameters that it estimated."""
    header = {
        "params": {name: as_json(value) for name, value in model.get_params(deep=False).items()},
        "n_free": n_free,
    }
    names = [*_LEARNT, *(name for name in _INPUTS if getattr(model, f"{name}_") is not None)]
    arrays = {name: np.asarray(getattr(model, f"{name}_")) for name in names}
    return header, {
        name: np.ascontiguousarray(value, dtype=np.bool_ if name in ("diffuse", "stationary") else np.float64)
        for name, value in arrays.items()
    }


def from_archive(archive: Archive) -> tuple[dict[str, Any], dict[str, Array | None], int | None]:
    """Arguments of the constructor, learnt attributes, and the number of parameters that were estimated."""
    params = {name: from_json(value) for name, value in archive.header["params"].items()}
    learnt: dict[str, Array | None] = {f"{name}_": archive.arrays[name] for name in _LEARNT}
    learnt |= {f"{name}_": archive.arrays.get(name) for name in _INPUTS}
    n_free = archive.header["n_free"]
    if not (n_free is None or (isinstance(n_free, int) and n_free >= 0)):
        raise ValueError(f"n_free is {n_free!r:.40}, expected a count")
    return params, learnt, n_free
