r"""The matrices of a linear dynamical system, checked, in one shape.

    y_t = d_t + Z_t a_t + e_t,          e_t ~ N(0, H_t)
    a_{t+1} = c_t + T_t a_t + R_t n_t,  n_t ~ N(0, Q_t)         a_1 ~ N(a1, P1 + k A A^T), k -> infinity

Words outside, the letters of Durbin and Koopman (2012, chapter 4) inside. Every matrix has a leading time axis here:
of length 1 where it is constant, else at least one entry for each observation, of which `transition[t]` leads from t
to t + 1.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from statespace.protocols import Array, Floats

_ASYMMETRY = 1e-8  # relative to the deviations that belong to the entry
_INDEFINITE = 1e-8  # a negative eigenvalue of the correlations that rounding of printed figures can make


class _Matrices(NamedTuple):
    """Arrays of float64, C-contiguous, each of the first seven with a time axis."""

    design: Floats
    """Z, shape (1 or n, n_features, n_states)."""
    obs_intercept: Floats
    """d, shape (1 or n, n_features)."""
    obs_cov: Floats
    """H, shape (1 or n, n_features, n_features)."""
    transition: Floats
    """T, shape (1 or n, n_states, n_states)."""
    state_intercept: Floats
    """c, shape (1 or n, n_states)."""
    selection: Floats
    """R, shape (1 or n, n_states, n_disturbances)."""
    state_cov: Floats
    """Q, shape (1 or n, n_disturbances, n_disturbances)."""
    initial_state: Floats
    """a1, shape (n_states,)."""
    initial_state_cov: Floats
    """P1, shape (n_states, n_states): the part that is finite."""
    diffuse_loadings: Floats
    """A, shape (n_states, n_diffuse): the part of the covariance that is infinite is proportional to A A^T."""
    stationary: Array
    """Which states begin with their stationary law, so that a1 and P1 follow from the other matrices, shape
    (n_states,), bool."""
    obs_exog: Floats | None = None
    """D of y_t = d + D x_t + ..., shape (n_features, n_inputs), where a fit estimates it; x comes with the data."""
    state_exog: Floats | None = None
    """B of a_{t+1} = c + B x_t + ..., shape (n_states, n_inputs)."""


class System(_Matrices):
    """A linear dynamical system; nothing changes its arrays, so that what follows from them is computed once."""

    @cached_property
    def derived(self) -> dict[str, Any]:
        """What others made of the matrices, by their own names."""
        return {}

    @property
    def n_features(self) -> int:
        """Observed numbers at each step."""
        return int(self.design.shape[1])

    @property
    def n_states(self) -> int:
        """Length of the state vector."""
        return int(self.design.shape[2])

    @property
    def n_disturbances(self) -> int:
        """Length of the disturbance of the state."""
        return int(self.state_cov.shape[1])

    @property
    def n_diffuse(self) -> int:
        """Directions of the first state of which nothing is known."""
        return int(self.diffuse_loadings.shape[1])

    @property
    def n_times(self) -> int | None:
        """Steps for which there are matrices; None where all of them are constant."""
        lengths = [len(getattr(self, name)) for name in TIMED if len(getattr(self, name)) > 1]
        return min(lengths) if lengths else None

    @cached_property
    def disturbance_cov(self) -> Floats:
        """R Q R^T, shape (1 or n, n_states, n_states), symmetric to the last bit; Q itself where R is the identity."""
        R = self.selection
        if (
            len(R) == 1
            and R.shape[1] == R.shape[2]
            and np.count_nonzero(R) == R.shape[1]
            and (R[0].diagonal() == 1).all()
        ):
            return self.state_cov
        product = self.selection @ self.state_cov @ self.selection.transpose(0, 2, 1)
        return np.ascontiguousarray(0.5 * (product + product.transpose(0, 2, 1)))


TIMED = ("design", "obs_intercept", "obs_cov", "transition", "state_intercept", "selection", "state_cov")
"""The matrices that may change with time."""
COEFFICIENTS = ("obs_exog", "state_exog")
"""Those of known inputs, without a time axis."""

MATRICES = (*TIMED, "initial_state", "initial_state_cov")
"""All of them."""


def last_matrices(system: System, n: int) -> System:
    """The system at the last of n steps."""
    return system._replace(
        **{name: matrix[n - 1 : n] for name in TIMED for matrix in [getattr(system, name)] if len(matrix) > 1}
    )


def checked_matrices(
    design: Any,
    obs_cov: Any,
    transition: Any,
    state_cov: Any,
    selection: Any = None,
    obs_intercept: Any = None,
    state_intercept: Any = None,
) -> dict[str, Floats]:
    """Matrices by name, each with its time axis; what is not given is the identity (selection) or zero (intercepts).

    Parameters
    ----------
    design : (n_features, n_states) or (n, n_features, n_states)
        One row of numbers, shape (n_states,), is the design of one feature.
    obs_cov : (n_features, n_features) or (n, n_features, n_features)
        A number is the variance of one feature.
    transition : (n_states, n_states) or (n, n_states, n_states)
    state_cov : (n_disturbances, n_disturbances) or (n, n_disturbances, n_disturbances)
    selection : (n_states, n_disturbances) or (n, n_states, n_disturbances), optional
    obs_intercept : (n_features,) or (n, n_features), optional
    state_intercept : (n_states,) or (n, n_states), optional

    Raises
    ------
    TypeError, ValueError
        Where a matrix has not the shape that the others ask for, is not finite, or is no covariance; in words.

    """
    T = _timed("transition", transition, 2)
    m = T.shape[2]
    if T.shape[1] != m:
        raise ValueError(f"transition has shape {np.shape(transition)}, expected (n_states, n_states) or a time axis")
    if not m:
        raise ValueError("transition is empty: a system has at least one state")
    if np.ndim(design) == 1 and np.shape(design) == (m,):
        design = np.reshape(design, (1, m))
    Z = _timed("design", design, 2)
    p = Z.shape[1]
    if Z.shape[2] != m or not p:
        raise ValueError(f"design has shape {np.shape(design)}, expected (n_features, {m}): transition has {m} states")
    H = _covariance("obs_cov", obs_cov, p, "design has", "features")
    if selection is None:
        R = np.eye(m)[None]
    else:
        R = _timed("selection", selection, 2)
        if R.shape[1] != m:
            raise ValueError(f"selection has shape {np.shape(selection)}, expected ({m}, n_disturbances)")
    r = R.shape[2]
    owner = "transition has" if selection is None else "selection has"
    Q = _covariance("state_cov", state_cov, r, owner, "states" if selection is None else "columns")
    d = np.zeros((1, p)) if obs_intercept is None else _timed("obs_intercept", obs_intercept, 1, p)
    c = np.zeros((1, m)) if state_intercept is None else _timed("state_intercept", state_intercept, 1, m)
    matrices = {
        "design": Z,
        "obs_intercept": d,
        "obs_cov": H,
        "transition": T,
        "state_intercept": c,
        "selection": R,
        "state_cov": Q,
    }
    lengths = {name: len(value) for name, value in matrices.items() if len(value) > 1}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"matrices that change with time have as many entries as each other: {said}")
    return matrices


def _timed(name: str, value: Any, n_axes: int, size: int | None = None) -> Floats:
    """A matrix or vector with a leading time axis, finite."""
    array = as_numbers(value)
    if array is None:
        raise TypeError(f"{name} is {value!r:.60}, expected an array of numbers")
    if array.ndim == 0 and (n_axes == 2 or size == 1):
        array = array.reshape((1,) * n_axes)
    if array.ndim == n_axes:
        array = array[None]
    if array.ndim != n_axes + 1:
        axes = "two axes" if n_axes == 2 else "one axis"
        raise ValueError(f"{name} has shape {np.shape(value)}, expected {axes}, or one more in front for time")
    if not len(array):
        raise ValueError(f"{name} has a time axis of length 0: give one entry for each observation")
    if size is not None and array.shape[1] != size:
        raise ValueError(f"{name} has shape {np.shape(value)}, expected ({size},) or (n, {size})")
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        shown = place if np.ndim(value) == n_axes + 1 else place[1:]
        raise ValueError(f"{name}[{', '.join(map(str, shown))}] is {array[place]}, expected finite numbers")
    return np.ascontiguousarray(array)


def as_numbers(value: Any) -> Floats | None:
    """A copy as float64, or None where something else than real numbers is in it."""
    try:
        array = np.asarray(value)
        return None if array.dtype.kind in "cSUmM" else np.array(array, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        return None


def _covariance(name: str, value: Any, size: int, owner: str, what: str) -> Floats:
    array = _timed(name, value, 2)
    if array.shape[1:] != (size, size):
        raise ValueError(f"{name} has shape {np.shape(value)}, expected ({size}, {size}): {owner} {size} {what}")
    return checked_covariances(name, array)


def checked_covariances(name: str, array: Floats) -> Floats:
    """Covariances (n, size, size), made symmetric to the last bit.

    Raises
    ------
    ValueError
        Where one is not symmetric or not positive-semidefinite, beyond what printed figures lose to rounding.

    """
    transposed = array.transpose(0, 2, 1)
    variances = np.diagonal(array, axis1=1, axis2=2)
    if (variances < 0).any():
        t, i = (int(k) for k in np.argwhere(variances < 0)[0])
        at = f"{name}[{t}]" if len(array) > 1 else name
        raise ValueError(f"{at} has the variance {variances[t, i]} at ({i}, {i}), expected numbers of at least 0")
    if array.shape[1] > 1:
        deviations = np.sqrt(variances)
        skew = np.abs(array - transposed) > _ASYMMETRY * deviations[:, :, None] * deviations[:, None, :]
        if skew.any():
            t, i, j = (int(k) for k in np.argwhere(skew)[0])
            at = f"{name}[{t}]" if len(array) > 1 else name
            pair = f"entry ({i}, {j}) is {array[t, i, j]}, ({j}, {i}) {array[t, j, i]}"
            raise ValueError(f"{at} is not symmetric: {pair}")
        with np.errstate(divide="ignore", invalid="ignore"):  # correlations do not depend on units
            correlations = array / deviations[:, :, None] / deviations[:, None, :]
        nothing = ~(deviations > 0)
        zero = nothing[:, :, None] | nothing[:, None, :]
        stray = zero & (array != 0)
        if stray.any():
            t, i, j = (int(k) for k in np.argwhere(stray)[0])
            at = f"{name}[{t}]" if len(array) > 1 else name
            raise ValueError(f"{at} is no covariance: entry ({i}, {j}) is {array[t, i, j]} beside a variance of 0")
        lowest = np.linalg.eigvalsh(np.where(zero, 0.0, correlations))[:, 0]
        wrong = np.flatnonzero(lowest < -_INDEFINITE)
        if wrong.size:
            t = int(wrong[0])
            at = f"{name}[{t}]" if len(array) > 1 else name
            raise ValueError(f"{at} is not positive-semidefinite: its correlations have the eigenvalue {lowest[t]:.3g}")
    return np.ascontiguousarray(0.5 * (array + transposed))
