r"""Numbers without bounds, in which an optimiser can step, for parameters that have bounds.

    variance        x^2: where it is 0 at the maximum, as slopes' and seasons' often are, x gets there
    between         low + (high - low) / (1 + e^-x)
    relative        x times the standard deviation of the model's noise, over that of the input it multiplies
    stationary      coefficients of 1 - phi_1 L - ... - phi_p L^p whose roots lie outside the unit circle
    invertible      the same for 1 + theta_1 L + ... + theta_q L^q, or on it

The last two by partial autocorrelations r and Levinson's recursion (Monahan 1984, Biometrika 71). Those of an
autoregression are x / sqrt(1 + x^2), in (-1, 1): at the ends its likelihood is 0. That of a moving average has a value
there, often its largest, and is the same on both sides, where a root and its inverse are; so x runs to and fro:
r = sin(fold(x)) / sin(w), fold a triangle wave of height w < pi/2. In sin^-1(theta) a likelihood curves everywhere
alike, as far as the data tell theta from the end. `units` are the sizes of steps of each number, so that no step
depends on the units of the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from statespace.protocols import Array, Floats

_SMALLEST_STEP = 1e-8  # of the deviation of all noise together
_LARGEST_PARTIAL = 0.97  # of starting values: further out the coordinates hardly move
_WIDTH = 0.5 * math.pi - 0.1  # w
_VAGUE = 1e-2  # of a unit's information an observation: what is told less of does not run away in the first step
_HEIGHT = math.sin(_WIDTH)


@dataclass(frozen=True)
class Variance:
    """A variance of the noise; all of them together are the model's scale."""


@dataclass(frozen=True)
class Between:
    """A number in (low, high)."""

    low: float
    high: float


@dataclass(frozen=True)
class Relative:
    """A number of any sign, in units of the observations divided by `unit`."""

    unit: float = 1.0


@dataclass(frozen=True)
class Stationary:
    """Coefficients with the roots of 1 - (phi_1 L + ... + phi_p L^p) outside the unit circle."""


@dataclass(frozen=True)
class Invertible:
    """Coefficients with the roots of 1 + theta_1 L + ... + theta_q L^q outside the unit circle, or on it."""


Kind = Variance | Between | Relative | Stationary | Invertible


@dataclass(frozen=True)
class Parameter:
    """One parameter, or several that are bounded together."""

    names: tuple[str, ...]
    kind: Kind


class BoundedParameters:
    """The map between parameters, as they are printed, and numbers without bounds.

    Parameters
    ----------
    parameters : sequence of Parameter
        In the order of their values.

    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.names = [name for parameter in parameters for name in parameter.names]
        variances: list[int] = []
        between: list[tuple[int, float, float]] = []
        relative: list[tuple[int, float]] = []
        self._stationary: list[slice] = []
        self._invertible: list[slice] = []
        at = 0
        for parameter in parameters:
            kind, size = parameter.kind, len(parameter.names)
            if isinstance(kind, Variance):
                variances.extend(range(at, at + size))
            elif isinstance(kind, Between):
                between.extend((k, kind.low, kind.high) for k in range(at, at + size))
            elif isinstance(kind, Relative):
                relative.extend((k, kind.unit) for k in range(at, at + size))
            elif isinstance(kind, Stationary):
                self._stationary.append(slice(at, at + size))
            else:
                self._invertible.append(slice(at, at + size))
            at += size
        self.are_variances = len(variances) == len(self.names)
        """Whether all of them are."""
        self._variances = np.array(variances, dtype=np.int64)
        self._between = np.array([k for k, _, _ in between], dtype=np.int64)
        self._low = np.array([low for _, low, _ in between])
        self._width = np.array([high - low for _, low, high in between])
        self._relative = np.array([k for k, _ in relative], dtype=np.int64)
        self._unit = np.array([unit for _, unit in relative])

    @property
    def variances(self) -> Array:
        """Which of them are variances, shape (n_parameters,)."""
        found = np.zeros(len(self.names), dtype=bool)
        found[self._variances] = True
        return found

    def values(self, theta: Floats) -> Floats:
        """Parameters at theta, both of shape (n_parameters,)."""
        if self.are_variances:
            return np.asarray(theta, dtype=np.float64) ** 2
        values = np.array(theta, dtype=np.float64)
        values[self._variances] **= 2
        if self._between.size:
            values[self._between] = self._low + self._width * _logistic(values[self._between])
        if self._relative.size:
            values[self._relative] *= _deviation(values[self._variances]) / self._unit
        for part in self._stationary:
            x = values[part]
            values[part] = coefficients(x / np.hypot(1.0, x))
        for part in self._invertible:
            values[part] = -coefficients(_wave(values[part])[0])
        return values

    def theta(self, values: Floats) -> Floats:
        """Numbers without bounds for parameters inside theirs; polynomials on the boundary are moved inwards."""
        theta = np.array(values, dtype=np.float64)
        scale = _deviation(theta[self._variances])
        theta[self._variances] = np.sqrt(theta[self._variances])
        share = (theta[self._between] - self._low) / self._width
        theta[self._between] = np.log(share / (1.0 - share))
        theta[self._relative] *= self._unit / scale
        for part in self._stationary:
            partial = np.clip(partial_autocorrelations(theta[part]), -_LARGEST_PARTIAL, _LARGEST_PARTIAL)
            theta[part] = partial / np.sqrt(1.0 - partial * partial)
        for part in self._invertible:
            partial = np.clip(partial_autocorrelations(-theta[part]), -_LARGEST_PARTIAL, _LARGEST_PARTIAL)
            theta[part] = np.arcsin(partial * _HEIGHT)
        return theta

    def pullback(self, theta: Floats, gradient: Floats) -> Floats:
        """dL/dtheta, shape (n_parameters,), of dL/dparameters."""
        if self.are_variances:
            return gradient * (2.0 * theta)
        pulled = np.array(gradient, dtype=np.float64)
        deviations = theta[self._variances]
        pulled[self._variances] *= 2.0 * deviations
        if self._between.size:
            x = theta[self._between]
            pulled[self._between] *= self._width * _logistic(x) * _logistic(-x)
        if self._relative.size:
            scale = _deviation(deviations**2)
            pulled[self._relative] *= scale / self._unit
            pulled[self._variances] += (pulled[self._relative] @ theta[self._relative]) * (deviations / scale**2)
        for part in self._stationary:
            x = theta[part]
            root = np.hypot(1.0, x)
            pulled[part] = coefficients_pullback(x / root, pulled[part]) / root**3
        for part in self._invertible:
            partial, slope = _wave(theta[part])
            pulled[part] = -coefficients_pullback(partial, pulled[part]) * slope
        return pulled

    def units(self, theta: Floats) -> Floats:
        """The size of a sensible step of each number: a deviation's is itself, all others have none."""
        units = np.ones(len(theta))
        deviations = np.abs(theta[self._variances])
        units[self._variances] = np.maximum(deviations, _SMALLEST_STEP * _deviation(deviations**2))
        return units

    def curvature(self, theta: Floats, slope: Floats, information: Floats, n: float) -> Floats:
        """Roughly -d2L / dtheta dtheta^T, shape (n_parameters, n_parameters).

        Parameters
        ----------
        theta, slope : (n_parameters,)
            And dL/dtheta.
        information : (n_parameters, n_parameters)
            -d2L of the parameters as they are printed; with a diagonal of 0 where nothing is known.
        n : float
            Observations.

        """
        J = self.jacobian(theta)
        made = J.T @ information @ J
        at = self._variances
        x = theta[at]
        bent = np.where(x != 0, -slope[at] / np.where(x != 0, x, 1.0), 0.0)  # -2 dL/dsigma2: all that is left at x = 0
        made[at, at] += np.maximum(bent, 0.0)
        diagonal = np.diagonal(made) + np.where(self.variances, 0.0, _VAGUE * n)
        made[np.diag_indices_from(made)] = np.where(diagonal > 0, diagonal, n / self.units(theta) ** 2)
        return np.asarray(made)

    def jacobian(self, theta: Floats) -> Floats:
        """Derivatives d(parameters) / d(theta), shape (n_parameters, n_parameters)."""
        if self.are_variances:
            return np.diag(2.0 * theta)
        return np.array([self.pullback(theta, row) for row in np.eye(len(self.names))]).reshape(2 * (len(theta),))


def _deviation(variances: Floats) -> float:
    """Of all the noise together; 1 in a model without any."""
    return math.sqrt(variances.sum()) if len(variances) else 1.0


def _wave(x: Floats) -> tuple[Floats, Floats]:
    """Partial autocorrelations in [-1, 1] that run to the ends and back, and their slopes."""
    partial, slopes = [], []
    for one in x.tolist():
        along = (one + _WIDTH) % (4.0 * _WIDTH) if math.isfinite(one) else math.nan
        folded = _WIDTH - abs(along - 2.0 * _WIDTH)
        partial.append(min(max(math.sin(folded) / _HEIGHT, -1.0), 1.0))
        slopes.append(math.copysign(math.cos(folded), 2.0 * _WIDTH - along) / _HEIGHT)
    return np.array(partial), np.array(slopes)


def _logistic(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def coefficients(partial: Floats) -> Floats:
    r"""Coefficients of an autoregression with given partial autocorrelations r, shape (p,).

    phi^(k)_j = phi^(k-1)_j - r_k phi^(k-1)_{k-j},  phi^(k)_k = r_k
    """
    phi = partial[:1]
    for r in partial[1:]:
        phi = np.append(phi - r * phi[::-1], r)
    return phi


def coefficients_pullback(partial: Floats, gradient: Floats) -> Floats:
    """dL/dr, shape (p,), of dL/dphi: Levinson's recursion backwards."""
    if len(partial) < 2:
        return gradient
    stages = [partial[:0], partial[:1]]
    for r in partial[1:]:
        stages.append(np.append(stages[-1] - r * stages[-1][::-1], r))
    pulled, g = np.empty(len(partial)), np.asarray(gradient, dtype=np.float64)
    for k in range(len(partial), 0, -1):
        last, before = g[-1], g[:-1]
        pulled[k - 1] = last - before @ stages[k - 1][::-1]
        g = before - partial[k - 1] * before[::-1]
    return pulled


def is_inside(phi: Floats) -> bool:
    """Whether an autoregression is stationary, and not so close to the bound that a start is moved inwards."""
    partial = partial_autocorrelations(phi)
    return bool((np.abs(partial) <= _LARGEST_PARTIAL).all() and partial.any() == phi.any())


def partial_autocorrelations(phi: Floats) -> Floats:
    """Partial autocorrelations of an autoregression, shape (p,); all of them 0 where it is not stationary."""
    left = np.array(phi, dtype=np.float64)
    partial = np.zeros(len(left))
    for k in range(len(left), 0, -1):
        r = left[-1]
        if not abs(r) < 1.0:
            return np.zeros(len(partial))
        partial[k - 1] = r
        before = left[:-1]
        left = (before + r * before[::-1]) / (1.0 - r * r)
    return partial
