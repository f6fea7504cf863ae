r"""A user's own function from parameters to matrices, differentiated by the chain rule.

    dL/dtheta_k = sum over matrices M, entries ij of dL/dM_ij dM_ij/dtheta_k

Only the function is differentiated in the parameters, by complex steps f(theta + ih)/h, exact to rounding, where it
lets them through, else by central differences; the likelihood is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from statespace.foundations.observations import Observations
from statespace.lds.gradient import through_stationary_start
from statespace.lds.initialization import make_system
from statespace.lds.parametrisations import INITIAL
from statespace.lds.results import Gradient
from statespace.lds.system import TIMED, System, as_numbers, checked_matrices
from statespace.protocols import Floats

_UNIT_LOSS = 1e-30  # a complex step so small that its square is nothing
_STEP = np.finfo(np.float64).eps ** (1 / 3)
_AGREE = 1e-5  # complex steps and differences, relative to the largest derivative of a matrix


class FunctionParametrisation:
    """A user's function from parameters to matrices.

    Parameters
    ----------
    function : callable
        From theta, shape (n_parameters,), to a dict of the arguments of `LinearDynamicalSystem.from_matrices`, or to a
        System.
    start : (n_parameters,)
    names : list of str, optional
    jacobian : callable, optional
        From theta to a dict of the derivatives of the matrices, each with a last axis for the parameters. Without it,
        complex steps where the function carries complex numbers through, else central differences.

    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        start: Any,
        names: Sequence[str] | None = None,
        jacobian: Callable[[Any], Any] | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"function is {function!r:.60}, expected a function from parameters to matrices")
        if not (jacobian is None or callable(jacobian)):
            raise TypeError(f"jacobian is {jacobian!r:.60}, expected a function from parameters to derivatives")
        given = as_numbers(start)
        theta = None if given is None else np.atleast_1d(given)
        if theta is None or theta.ndim != 1 or not np.isfinite(theta).all():
            raise ValueError(f"start is {start!r:.60}, expected a vector of finite numbers")
        self.names = [f"theta[{i}]" for i in range(len(theta))] if names is None else [str(name) for name in names]
        if len(self.names) != len(theta):
            raise ValueError(f"names has {len(self.names)} names, and start {len(theta)} numbers")
        self._function, self._start, self._jacobian = function, theta, jacobian
        self.measured_units = True
        self._complex: bool | None = None

    def __repr__(self) -> str:
        name = getattr(self._function, "__qualname__", type(self._function).__name__)
        return f"FunctionParametrisation({name}, start={np.array2string(self._start, threshold=10)})"

    def start(self, data: Observations | None = None) -> Floats:  # noqa: ARG002  # given beforehand
        """The parameters that were given to begin from."""
        return self._start.copy()

    def system(self, theta: Floats) -> System:
        """The system of these parameters, checked."""
        return _read_system(self._function(theta.copy()))

    def pullback(self, theta: Floats, gradient: Gradient) -> Floats:
        """dL/dtheta from dL/d(matrices)."""
        made = self._function(theta.copy())
        system = _read_system(made)
        if not isinstance(made, System):
            gradient = through_stationary_start(system, gradient)
        slopes = {name: np.asarray(getattr(gradient, name)) for name in (*TIMED, *INITIAL)}
        by_theta = np.zeros(len(theta))
        for name, change in self._derivatives(theta, made).items():
            slope = slopes[name]
            if change.shape[:-1] != slope.shape:
                slope = slope.reshape(change.shape[:-1])
            by_theta += np.tensordot(slope, change, axes=slope.ndim)
        return by_theta

    def _derivatives(self, theta: Floats, made: Any) -> dict[str, Floats]:
        """Derivatives of what the function gives, each with a last axis for the parameters."""
        values = _as_arrays(made)
        if self._jacobian is not None:
            return self._given(self._jacobian(theta.copy()), values)
        if self._complex is None:
            self._complex = self._carries_complex(theta, values)
        steps = self._by_complex_steps(theta, values) if self._complex else None
        return self._by_differences(theta, values) if steps is None else steps

    def _given(self, made: Any, values: dict[str, Floats]) -> dict[str, Floats]:
        """Derivatives as the user's function has them, checked."""
        if not isinstance(made, dict):
            raise TypeError(f"jacobian gave {type(made).__name__}, expected a dict from names to derivatives")
        found = {}
        for name, change in made.items():
            if name not in values:
                raise ValueError(f"jacobian names {name!r}, and the matrices of the function are {', '.join(values)}")
            shape = (*values[name].shape, len(self._start))
            array = as_numbers(change)
            if array is None or array.shape != shape:
                raise ValueError(
                    f"jacobian gives {name!r} the shape {np.shape(change)}, expected {shape}: that of the matrix, and "
                    "a last axis for the parameters"
                )
            found[name] = array
        return found

    def _carries_complex(self, theta: Floats, values: dict[str, Floats]) -> bool:
        """Whether complex steps agree with differences: abs, real, conj and comparisons would spoil them."""
        exact = self._by_complex_steps(theta, values)
        if exact is None:
            return False
        rough = self._by_differences(theta, values)
        return all(
            np.abs(exact[name] - rough[name]).max(initial=0.0)
            <= _AGREE * max(np.abs(rough[name]).max(initial=0.0), 1e-4 * np.abs(values[name]).max(initial=0.0))
            for name in values
        )

    def _by_complex_steps(self, theta: Floats, values: dict[str, Floats]) -> dict[str, Floats] | None:
        found = {name: np.zeros((*value.shape, len(theta))) for name, value in values.items()}
        for k in range(len(theta)):
            moved = theta.astype(np.complex128)
            moved[k] += 1j * _UNIT_LOSS
            try:
                with np.errstate(all="ignore"):
                    made = self._function(moved)
            except (TypeError, ValueError, ArithmeticError, np.linalg.LinAlgError, Warning):
                return None
            if not isinstance(made, dict):
                return None
            for name in values:
                change = np.imag(np.asarray(made[name])) / _UNIT_LOSS
                if change.shape != values[name].shape or not np.isfinite(change).all():
                    return None
                found[name][..., k] = change
        return found

    def _by_differences(self, theta: Floats, values: dict[str, Floats]) -> dict[str, Floats]:
        found = {name: np.zeros((*value.shape, len(theta))) for name, value in values.items()}
        for k in range(len(theta)):
            h = _STEP * (max(abs(theta[k]), abs(self._start[k])) or 1.0)
            above, below = theta.copy(), theta.copy()
            above[k] += h
            below[k] -= h
            up, down = _as_arrays(self._function(above)), _as_arrays(self._function(below))
            for name in values:
                found[name][..., k] = (up[name] - down[name]) / (above[k] - below[k])
        return found


def _as_arrays(made: Any) -> dict[str, Floats]:
    """The matrices of what a user's function gave."""
    fields = made._asdict() if isinstance(made, System) else made
    return {
        name: np.asarray(fields[name], dtype=np.float64) for name in (*TIMED, *INITIAL) if fields.get(name) is not None
    }


def _read_system(made: Any) -> System:
    """The checked system."""
    if isinstance(made, System):
        return made
    if not isinstance(made, dict):
        raise TypeError(f"the function gave {type(made).__name__}, expected a dict of matrices, or a System")
    given = dict(made)
    start = {name: given.pop(name, None) for name in (*INITIAL, "diffuse", "initialization")}
    lacking = [name for name in ("design", "obs_cov", "transition", "state_cov") if name not in given]
    if lacking:
        raise TypeError(f"the function gave no {', '.join(lacking)}: every system has these")
    unknown = sorted(str(name) for name in given.keys() - set(TIMED))
    if unknown:
        raise TypeError(f"the function gave {', '.join(unknown)}; it can give {', '.join((*TIMED, *start))}")
    return make_system(checked_matrices(**given), **start)
