r"""How sure the estimates are.

    observed   J^{-1}          J = -d^2 L / d theta d theta^T, by central differences of the exact gradient
    opg        S^{-1}          S = sum_t s_t s_t^T, s_t = d log p(y_t | y_1..y_{t-1}) / d theta
    robust     J^{-1} S J^{-1} right for the maximum of a likelihood that is not quite the data's

and from coordinates to the parameters that have names, eta = f(theta): Cov(eta) = (df/dtheta) Cov(theta) (df/dtheta)^T.
The scores s_t of the steps are central differences of the log-likelihoods of the steps: the exact gradient comes as one
sum. Steps are relative to the units of the coordinates.

References
----------
Berndt, Hall, Hall and Hausman (1974); White (1982); Harvey (1989), section 3.4.6.

"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from statespace.protocols import Floats

KINDS = ("observed", "opg", "robust")
_STEP = 1e-4  # of a unit: a truncation of 1e-8, and a rounding of the gradient of as much
_FLAT = 1e-9  # an eigenvalue of the information, scaled to a diagonal of ones, that rounding can make
_NO_INFORMATION = 1e-6  # nats, for a move by a whole unit: nothing is known of the coordinate
_LOADING = 1e-5  # the share of a flat direction that makes a parameter's variance infinite


def observed_information(slope: Callable[[Floats], Floats], theta: Floats, units: Floats) -> Floats:
    """J, shape (n_coordinates, n_coordinates).

    Parameters
    ----------
    slope : callable
        dL/dtheta at a theta.
    theta : (n_coordinates,)
    units : (n_coordinates,)
        The size of a sensible step of each coordinate.

    """
    columns = np.empty((len(theta), len(theta)))
    for k, unit in enumerate(units):
        above, below = theta.copy(), theta.copy()
        above[k] += _STEP * unit
        below[k] -= _STEP * unit
        columns[k] = (slope(below) - slope(above)) / (above[k] - below[k])
    return np.asarray(0.5 * (columns + columns.T))


def step_scores(steps: Callable[[Floats], Floats], theta: Floats, units: Floats) -> Floats:
    """s_t of every step, shape (n_steps, n_coordinates), from the log-likelihoods of the steps at a theta."""
    columns = []
    for k, unit in enumerate(units):
        above, below = theta.copy(), theta.copy()
        above[k] += _STEP * unit
        below[k] -= _STEP * unit
        columns.append((steps(above) - steps(below)) / (above[k] - below[k]))
    return np.stack(columns, axis=1)


def inverse_information(information: Floats, units: Floats) -> Floats:
    """The inverse, where there is one; NaN in the rows and columns of what the data say nothing of.

    Parameters
    ----------
    information : (n_coordinates, n_coordinates)
    units : (n_coordinates,)

    """
    diagonal = np.diagonal(information)
    known = diagonal * units**2 > _NO_INFORMATION
    found = np.full(information.shape, np.nan)
    rows = np.flatnonzero(known)
    if not rows.size:
        return found
    root = np.sqrt(diagonal[rows])
    values, vectors = np.linalg.eigh(information[np.ix_(rows, rows)] / np.outer(root, root))
    good = values > max(_FLAT * float(values[-1]), 0.0)
    kept = vectors[:, good]
    inverse = (kept / values[good]) @ kept.T / np.outer(root, root)
    lost = (vectors[:, ~good] ** 2).sum(axis=1) > _LOADING
    inverse[lost] = np.nan
    inverse[:, lost] = np.nan
    found[np.ix_(rows, rows)] = inverse
    return found


def coordinate_covariance(
    kind: str,
    theta: Floats,
    units: Floats,
    slope: Callable[[Floats], Floats],
    steps: Callable[[Floats], Floats],
) -> Floats:
    """Covariance of the estimates of the coordinates.

    Parameters
    ----------
    kind : {"observed", "opg", "robust"}
    theta, units : (n_coordinates,)
    slope, steps : callable
        dL/dtheta, and the log-likelihood of every step, at a theta.

    """
    J = observed_information(slope, theta, units) if kind != "opg" else np.empty(0)
    if kind == "observed":
        return inverse_information(J, units)
    scores = step_scores(steps, theta, units)
    S = scores.T @ scores
    if kind == "opg":
        return inverse_information(S, units)
    bread = inverse_information(J, units)
    known = np.flatnonzero(~np.isnan(np.diagonal(bread)))
    found = np.full(bread.shape, np.nan)
    both = np.ix_(known, known)
    found[both] = bread[both] @ S[both] @ bread[both]
    return found


def delta_method(covariance: Floats, jacobian: Floats) -> Floats:
    """J C J^T, in which a coordinate without a variance spoils only what depends on it."""
    unknown = np.isnan(np.diagonal(covariance))
    filled = np.where(np.isnan(covariance), 0.0, covariance)
    found: Floats = jacobian @ filled @ jacobian.T
    size = np.abs(jacobian) * np.where(unknown, 0.0, 1.0)
    spoilt = (np.abs(jacobian[:, unknown]) > 1e-12 * size.max(axis=1, initial=0.0)[:, None]).any(axis=1)
    found[spoilt] = np.nan
    found[:, spoilt] = np.nan
    return found


def jacobian_by_differences(function: Callable[[Floats], Floats], theta: Floats, units: Floats) -> Floats:
    """df/dtheta, shape (n_values, n_coordinates), by central differences and one step of extrapolation."""
    columns = []
    for k, unit in enumerate(units):
        slopes = []
        for step in (_STEP, 2 * _STEP):
            above, below = theta.copy(), theta.copy()
            above[k] += step * unit
            below[k] -= step * unit
            slopes.append((function(above) - function(below)) / (above[k] - below[k]))
        columns.append((4 * slopes[0] - slopes[1]) / 3)
    return np.stack(columns, axis=1)
