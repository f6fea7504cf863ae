"""The matrices of a model as its attributes, which may be assigned by hand: checked when they are used."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.estimator import NotFittedError
from statespace.lds.initialization import make_system
from statespace.lds.reading import Inputs, checked_coefficients
from statespace.lds.system import TIMED, System, checked_matrices

_SMALL = 4096  # bytes of an array that are kept to see whether it was changed; of a larger one a copy is
_PIECE = 1 << 14  # numbers that are compared at once


class KeptMatrices:
    """Attributes `design_`, ..., and the system that they make, which is made again when one has changed."""

    initial_state_: Any
    initial_state_cov_: Any
    diffuse_: Any
    stationary_: Any
    obs_exog_: Any
    state_exog_: Any
    _checked: tuple[list[Any], System] | None = None
    """The attributes that were checked last, and the system that they made."""

    def _learn(self, system: System) -> None:
        for name in TIMED:
            value = getattr(system, name)
            setattr(self, f"{name}_", (value[0] if len(value) == 1 else value).copy())
        self.initial_state_ = system.initial_state.copy()
        self.initial_state_cov_ = system.initial_state_cov.copy()
        self.diffuse_ = system.diffuse_loadings.any(axis=1)
        self.stationary_ = system.stationary.copy()
        self.obs_exog_ = None if system.obs_exog is None else system.obs_exog.copy()
        self.state_exog_ = None if system.state_exog is None else system.state_exog.copy()
        self._checked = None
        for name in ("_n_free", "_fit_data", "_fit_record"):
            vars(self).pop(name, None)

    def _system(self) -> System:
        """The present parameters, checked: they may have been assigned by hand."""
        names = [f"{name}_" for name in (*TIMED, "initial_state", "initial_state_cov", "diffuse", "stationary")]
        if not all(hasattr(self, name) for name in names):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first, or from_matrices")
        present = [getattr(self, name) for name in names]
        if self._checked is not None:
            before, known = self._checked
            if all(_is_still(value, was) for value, was in zip(present, before, strict=True)):
                return known
        try:
            matrices = checked_matrices(**{name: getattr(self, f"{name}_") for name in TIMED})
            if np.any(self.stationary_):
                system = make_system(matrices, None, None, self.diffuse_, "stationary")
            else:
                system = make_system(matrices, self.initial_state_, self.initial_state_cov_, self.diffuse_, "known")
        except (TypeError, ValueError) as error:
            raise type(error)(f"the matrices of this {type(self).__name__}: {error}") from None
        self._checked = ([_content(value) for value in present], system)
        return system

    def _inputs(self) -> Inputs:
        """Coefficients of known inputs, checked."""
        if getattr(self, "obs_exog_", None) is None and getattr(self, "state_exog_", None) is None:
            return Inputs(None, None)
        system = self._system()
        coefficients = []
        for name, n_rows in (("obs_exog", system.n_features), ("state_exog", system.n_states)):
            value = getattr(self, f"{name}_")
            coefficients.append(None if value is None else checked_coefficients(name, value, n_rows))
        widths = {value.shape[1] for value in coefficients if value is not None}
        if len(widths) > 1:
            raise ValueError(f"obs_exog and state_exog have {widths} columns, expected the same: one for each input")
        return Inputs(*coefficients)


def _content(value: Any) -> Any:
    """What an array can be compared with later; anything else is itself."""
    if not isinstance(value, np.ndarray):
        return value
    return value.copy() if value.nbytes > _SMALL else (value.shape, value.dtype, value.tobytes())


def _is_still(value: Any, before: Any) -> bool:
    """Whether an array holds what it held when `_content` was asked."""
    if not isinstance(value, np.ndarray):
        return value is before
    if not isinstance(before, np.ndarray):
        return bool(_content(value) == before)
    if value.shape != before.shape or value.dtype != before.dtype:
        return False
    a, b = value.reshape(-1), before.reshape(-1)  # by pieces: no large array is made
    return all((a[i : i + _PIECE] == b[i : i + _PIECE]).all() for i in range(0, a.size, _PIECE))
