r"""Parts side by side as one system, and the chain rule from its matrices back to all parameters.

    T = diag(T_1, T_2, ...),   R, Q and P1 alike,   Z = (Z_1, Z_2, ...)

What it is to an estimator: names, start(data) -> theta, system(theta), pullback(theta, gradient), and natural(theta),
the parameters as they are printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from statespace.foundations.observations import Observations
from statespace.lds.bounded_parameters import BoundedParameters
from statespace.lds.component import Block, Component, Facts, NoisyComponent
from statespace.lds.components import Irregular
from statespace.lds.identification import check_told_apart
from statespace.lds.moment_starts import variances_by_moments
from statespace.lds.results import Gradient
from statespace.lds.spectra import density, frequencies_for, information, scored
from statespace.lds.system import System
from statespace.protocols import Floats, Ints

_LEAST_SHARE = 0.1  # of what a variance would otherwise start from: one of 0 would stay there


class Composition:
    """A model of one series by its parts.

    Parameters
    ----------
    components : sequence of Component
    exog : (n, n_inputs), optional
        Known inputs, one row for each step that the system is asked for, of one sequence after the other.
    exog_names : tuple of str
        Names of the inputs; x1, x2, ... where there are none.

    """

    def __init__(
        self, components: Sequence[Component], exog: Floats | None = None, exog_names: tuple[str, ...] = ()
    ) -> None:
        self.exog = exog
        self.exog_names = exog_names
        check_told_apart(components)
        self.components = [component.with_exog(exog, exog_names) for component in components]
        self.part_names = _distinct_names(self.components)
        groups = [component.parameters(name) for component, name in zip(self.components, self.part_names, strict=True)]
        self.bounds = BoundedParameters([parameter for group in groups for parameter in group])
        self.names = self.bounds.names
        self.variances = self.bounds.variances
        self.by_row = exog is not None
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise ValueError(
                f"the model has two parameters with the name {twice[0]!r}: an ARIMA process and an autoregression are "
                "parts of one process, ArimaProcess((p, d, q)); parts of your own have the name that parameters(name) "
                "is given in theirs"
            )
        self._values = _slices(sum(len(parameter.names) for parameter in group) for group in groups)
        self.states = _slices(component.n_states for component in self.components)
        self._disturbances = _slices(component.n_disturbances for component in self.components)
        self._m = self.states[-1].stop if self.states else 0
        self._r = max(1, self._disturbances[-1].stop if self.states else 0)
        if not self._m:
            raise ValueError("the model has no states: white noise alone is no state-space model; add a Level")
        self._directions = _slices(component.n_diffuse for component in self.components)
        takes = [component for component in self.components if component.takes_exog]
        self.varies = {name for part in self.components for name in part.varies}
        self._last: tuple[Floats, Floats, System] | None = None
        self._moved = self._moved_variances()
        self._template: System | None = None
        self._shares: Floats | None = None
        self._n_design = _n_rows(exog) if any(part.n_states for part in takes) else 1
        self._n_intercept = _n_rows(exog) if any(not part.n_states for part in takes) else 1

    def natural(self, theta: Floats) -> Floats:
        """Parameters as they are printed, shape (n_parameters,)."""
        return self.bounds.values(theta)

    def natural_jacobian(self, theta: Floats) -> Floats:
        """Derivatives d natural / d theta, shape (n_parameters, n_parameters)."""
        return self.bounds.jacobian(theta)

    def units(self, theta: Floats) -> Floats:
        """The size of a sensible step of each coordinate."""
        return self.bounds.units(theta)

    def advanced(self, theta: Floats, slope: Floats, n: float, n_sequences: float = 1) -> tuple[Floats, float] | None:
        """Where Fisher's scoring goes from theta, and roughly what it gains; None where not all are variances.

        In the variances a likelihood is closer to a parabola than in their roots, where one of them belongs at 0.
        """
        if not (self.bounds.are_variances and theta.all()):
            return None
        values = self.natural(theta)
        found = self._information(values, n, n_sequences)
        if found is None or not np.diagonal(found).all():
            return None
        try:
            new, gain = scored(values, slope / (2.0 * theta), found)
        except (np.linalg.LinAlgError, RuntimeError):  # parts that cannot be told apart
            return None
        return self.vector(new), gain

    def _information(self, values: Floats, n: float, n_sequences: float) -> Floats | None:
        beyond = max(n - n_sequences * self._directions[-1].stop, 1.0)
        if self._moved is not None and self._shares is not None:
            return information(values @ self._shares, self._shares, beyond)
        parts = [values[own] for own in self._values]
        found = density(self.components, parts, frequencies_for(self.components, beyond))
        if found is None:
            return None
        self._shares = found[1]  # of parts that are linear in their variances, always the same
        return information(*found, beyond)

    def curvature(self, theta: Floats, slope: Floats, n: float, n_sequences: float = 1) -> Floats | None:
        """Roughly -d2L / dtheta dtheta^T of n observations, where dL/dtheta is `slope`; None where nothing tells it."""
        found = self._information(self.natural(theta), n, n_sequences)
        return None if found is None else self.bounds.curvature(theta, slope, found, n)

    def vector(self, values: Floats) -> Floats:
        """Numbers without bounds for parameters."""
        return self.bounds.theta(values)

    def own_values(self, number: int) -> slice:
        """Which parameters are those of a part."""
        return self._values[number]

    def start(self, data: Any) -> Floats:
        """Numbers without bounds to start from, of a sequence or a list of them; NaN is missing."""
        series = as_series(data)
        lags = [lag for component in self.components for lag in component.differences]
        facts = Facts(series, noise_variance(series, _one_trend(lags)))
        values = np.array([value for component in self.components for value in component.start(facts)])
        found = variances_by_moments(self.components, series)
        return self.vector(values if found is None else np.maximum(found, _LEAST_SHARE * values))

    def system(self, theta: Floats) -> System:
        """The system at theta."""
        values = self.natural(theta)
        system = self.system_of(values)
        self._last = np.array(theta), values, system  # what a gradient there will be pulled back through
        return system

    def _moved_variances(self) -> tuple[Ints, Ints] | None:
        """Which parameter each disturbance's variance is, and which add up to H; None where parameters do more."""
        owners, noises = [], []
        for part, own in zip(self.components, self._values, strict=True):
            if type(part).write is NoisyComponent.write and type(part).pullback is NoisyComponent.pullback:
                owners.append(own.start + part.known[3])  # type: ignore[attr-defined]  # it is one
            elif type(part) is Irregular:
                noises.append(own.start)
            elif part.varies or len(part.parameters("")) or part.n_disturbances:
                return None
        if not any(len(owner) for owner in owners):
            return None
        return np.concatenate(owners), np.array(noises, np.int64)

    def system_of(self, values: Floats) -> System:
        """The system at parameters as they are printed."""
        if self._moved is None or self._template is None:
            self._template = self._written(values)
            return self._template
        owners, noises = self._moved
        Q = np.zeros((1, self._r, self._r))
        Q[0, range(self._r), range(self._r)] = values[owners]
        H = np.full((1, 1, 1), values[noises].sum())
        return self._template._replace(state_cov=Q, obs_cov=H)

    def _written(self, values: Floats) -> System:
        m, r = self._m, self._r
        whole = System(
            design=np.zeros((self._n_design, 1, m)),
            obs_intercept=np.zeros((self._n_intercept, 1)),
            obs_cov=np.zeros((1, 1, 1)),
            transition=np.zeros((1, m, m)),
            state_intercept=np.zeros((1, m)),
            selection=np.zeros((1, m, r)),
            state_cov=np.zeros((1, r, r)),
            initial_state=np.zeros(m),
            initial_state_cov=np.zeros((m, m)),
            diffuse_loadings=np.zeros((m, self._directions[-1].stop)),
            stationary=np.zeros(m, dtype=bool),  # what follows from what, the parts know
        )
        for number, component in enumerate(self.components):
            component.write(self._block(whole, number), values[self._values[number]])
        return whole

    def pullback(self, theta: Floats, gradient: Gradient) -> Floats:
        """Return dL/dtheta, shape (n_parameters,), of the derivatives in the matrices of `system(theta)`."""
        if self._moved is not None:
            owners, noises = self._moved
            by_values: Floats = np.bincount(owners, np.diagonal(gradient.state_cov[0]), len(theta)).astype(np.float64)
            by_values[noises] += gradient.obs_cov[0, 0, 0]
            return self.bounds.pullback(theta, by_values)
        last = self._last
        if last is None or not np.array_equal(last[0], theta):
            values = self.natural(theta)
            last = theta, values, self.system_of(values)
        _, values, whole = last
        pulled = [
            component.pullback(self._block(gradient, number), self._block(whole, number), values[self._values[number]])
            for number, component in enumerate(self.components)
        ]
        return self.bounds.pullback(theta, np.concatenate([np.asarray(part, dtype=np.float64) for part in pulled]))

    def _block(self, whole: System | Gradient, number: int) -> Block:
        s, w = self.states[number], self._disturbances[number]
        loadings = whole.diffuse_loadings[s, self._directions[number]] if isinstance(whole, System) else np.empty(0)
        return Block(
            design=whole.design[:, 0, s],
            transition=whole.transition[0, s, s],
            selection=whole.selection[0, s, w],
            state_cov=whole.state_cov[0, w, w],
            state_intercept=whole.state_intercept[0, s],
            initial_state=whole.initial_state[s],
            initial_state_cov=whole.initial_state_cov[s, s],
            loadings=loadings,
            obs_cov=whole.obs_cov[0],
            obs_intercept=whole.obs_intercept[:, 0],
        )


def _n_rows(exog: Floats | None) -> int:
    return 1 if exog is None else len(exog)


def _slices(sizes: Iterable[int]) -> list[slice]:
    slices, at = [], 0
    for size in sizes:
        slices.append(slice(at, at + size))
        at += size
    return slices


def _distinct_names(components: Sequence[Component]) -> list[str]:
    """Each part's name; where several have it, with what tells them apart."""
    often = Counter(component.name for component in components)
    names, seen = [], Counter[str]()
    for component in components:
        name = component.name
        if often[name] > 1:
            seen[component.name] += 1
            name += component.label or str(seen[component.name])
            if name in names:
                raise ValueError(f"the model has two parts that are the same: {component!r}")
        names.append(name)
    return names


def as_series(data: Any) -> list[Floats]:
    """Sequences of one number a step, each of shape (n,)."""
    if isinstance(data, Observations):
        return [data.values[a:b, 0] for a, b in pairwise(data.offsets.tolist())]
    sequences = data if isinstance(data, list | tuple) and len(data) and np.ndim(data[0]) else [data]
    return [np.asarray(sequence, dtype=np.float64).reshape(-1) for sequence in sequences]


def _one_trend(lags: list[int]) -> list[int]:
    """A first difference once, and a seasonal one for each season."""
    return ([1] if 1 in lags else []) + [lag for lag in lags if lag > 1]


def noise_variance(series: list[Floats], lags: Sequence[int]) -> float:
    """Variance of white noise whose differences at all the lags would be as large as those of the series.

    Differences that the series are too short for are not taken.
    """
    for taken in range(len(lags), -1, -1):
        polynomial = np.ones(1)
        for lag in lags[:taken]:
            polynomial = np.convolve(polynomial, np.concatenate([[1.0], np.zeros(lag - 1), [-1.0]]))
        left = [np.convolve(y, polynomial, "valid") for y in series if len(y) > len(polynomial) + 1]
        numbers = np.concatenate([part[~np.isnan(part)] for part in left]) if left else np.empty(0)
        if len(numbers) > 2:
            variance = float(np.var(numbers)) / float(polynomial @ polynomial)
            if variance > 0:
                return variance
    seen = np.concatenate([y[~np.isnan(y)] for y in series])
    return float(np.mean(seen**2)) if seen.any() else 1.0  # nothing has a scale: any will do
