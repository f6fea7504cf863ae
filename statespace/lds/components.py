r"""Parts of structural time series models; `Level() + Seasonal(12)` is a model (Harvey 1989; Durbin and Koopman 2012).

    Level              mu' = mu + xi
    LocalLinearTrend   mu' = mu + nu + xi,   nu' = nu + zeta
    SmoothTrend        the same without xi
    Seasonal           dummy: gamma' = -(gamma_1 + ... + gamma_{s-1}) + omega; trigonometric: waves of s/j steps
    Cycle              (psi, psi*)' = rho R(lambda) (psi, psi*) + (kappa, kappa*), R a rotation
    Autoregressive     phi(L) u = epsilon, from its stationary law
    Regression         x_t^T beta
    Irregular          white noise

A prime is the next step. Levels, slopes, seasons and undamped cycles start from nothing known, exactly. Starting values
of variances are shares of what differences of the series leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from statespace.foundations.validation import check_choice, check_integer
from statespace.lds.arma_process import process_pullback, rational_spectrum, write_process
from statespace.lds.bounded_parameters import Parameter, Relative, Stationary, Variance
from statespace.lds.component import Block, Component, Facts, NoisyComponent
from statespace.lds.cycle import Cycle, rotation
from statespace.lds.spectra import Spectrum
from statespace.protocols import Floats

__all__ = [
    "Autoregressive",
    "Component",
    "Cycle",
    "Irregular",
    "Level",
    "LocalLinearTrend",
    "Regression",
    "Seasonal",
    "SmoothTrend",
]

CONSTANT = frozenset([Fraction(0)])
"""The waves of a level."""


@dataclass(frozen=True)
class Level(NoisyComponent):
    """A level that moves as a random walk; not stochastic: a constant."""

    name: ClassVar[str] = "level"
    stochastic: bool = True

    @property
    def variances(self) -> list[tuple[str, float, int]]:
        """sigma2.level."""
        return [("level", 0.5, 1)] if self.stochastic else []

    @property
    def differences(self) -> tuple[int, ...]:
        """A first difference removes it."""
        return (1,)

    @property
    def waves(self) -> frozenset[Fraction]:
        """A constant."""
        return CONSTANT

    def matrices(self) -> tuple[Any, Any, Any]:
        """Z, T and R."""
        return [1.0], [[1.0]], np.eye(1, self.n_disturbances)


@dataclass(frozen=True)
class LocalLinearTrend(NoisyComponent):
    """A level with a slope, each a random walk where it is stochastic."""

    name: ClassVar[str] = "trend"
    stochastic_level: bool = True
    stochastic_slope: bool = True

    @property
    def variances(self) -> list[tuple[str, float, int]]:
        """sigma2.level and sigma2.trend, the slope's."""
        level = [("level", 0.25, 1)] if self.stochastic_level else []
        return level + ([("trend", 0.01, 1)] if self.stochastic_slope else [])

    @property
    def differences(self) -> tuple[int, ...]:
        """A second difference removes both."""
        return (1, 1)

    @property
    def waves(self) -> frozenset[Fraction]:
        """A constant."""
        return CONSTANT

    @property
    def further(self) -> dict[str, tuple[float, ...]]:
        """The slope."""
        return {"slope": (0.0, 1.0)}

    def matrices(self) -> tuple[Any, Any, Any]:
        """Z, T and R."""
        stochastic = [self.stochastic_level, self.stochastic_slope]
        return [1.0, 0.0], [[1.0, 1.0], [0.0, 1.0]], np.eye(2)[:, stochastic]


@dataclass(frozen=True)
class SmoothTrend(LocalLinearTrend):
    """An integrated random walk: only the slope is stochastic."""

    stochastic_level: bool = field(default=False, init=False)
    stochastic_slope: bool = field(default=True, init=False)


@dataclass(frozen=True)
class Seasonal(NoisyComponent):
    """A pattern of a period that sums to zero, and changes slowly where it is stochastic.

    Parameters
    ----------
    period : int
        Steps of a season, at least 2.
    kind : {"dummy", "trigonometric"}
        One number a step of the season, or waves; with all harmonics both are the same pattern, and differ in how it
        changes.
    harmonics : int, optional
        Waves of period / 1, ..., period / harmonics steps; all of them, period // 2, where it is not given.
    stochastic : bool

    """

    name: ClassVar[str] = "seasonal"
    period: int
    kind: str = "dummy"
    harmonics: int | None = None
    stochastic: bool = True

    def __post_init__(self) -> None:
        check_integer("period", self.period, 2)
        check_choice("kind", self.kind, ("dummy", "trigonometric"))
        if self.harmonics is None:
            return
        if self.kind == "dummy":
            raise ValueError(f'harmonics is {self.harmonics!r}, which only kind="trigonometric" has')
        if check_integer("harmonics", self.harmonics, 1) > self.period // 2:
            raise ValueError(f"harmonics is {self.harmonics}, expected at most period // 2 = {self.period // 2}")

    @property
    def label(self) -> str:
        """The period tells one from another."""
        return str(self.period)

    @property
    def n_states(self) -> int:
        """One less than the period, or two a wave; the wave of two steps has one."""
        if self.kind == "dummy":
            return self.period - 1
        waves = self.harmonics or self.period // 2
        return 2 * waves - (2 * waves == self.period)

    @property
    def variances(self) -> list[tuple[str, float, int]]:
        """sigma2.seasonal, of all waves the same."""
        return [("", 0.02, 1 if self.kind == "dummy" else self.n_states)] if self.stochastic else []

    @property
    def differences(self) -> tuple[int, ...]:
        """A seasonal difference removes it."""
        return (self.period,)

    @property
    def waves(self) -> frozenset[Fraction]:
        """Those of period / 1, period / 2, ... steps."""
        return frozenset(Fraction(j, self.period) for j in range(1, (self.harmonics or self.period // 2) + 1))

    def matrices(self) -> tuple[Any, Any, Any]:
        """Z, T and R."""
        m = self.n_states
        if self.kind == "dummy":
            transition = np.eye(m, k=-1)
            transition[0] = -1.0
            return np.eye(1, m)[0], transition, np.eye(m, self.n_disturbances)
        transition = np.zeros((m + 1, m + 1))
        for wave in range((m + 1) // 2):
            pair = slice(2 * wave, 2 * wave + 2)
            transition[pair, pair] = rotation(2.0 * np.pi * (wave + 1) / self.period)
        return np.arange(m) % 2 == 0, transition[:m, :m], np.eye(m, self.n_disturbances)


@dataclass(frozen=True)
class Autoregressive(Component):
    """An autoregression of an order, stationary."""

    name: ClassVar[str] = "autoregressive"
    order: int = 1

    def __post_init__(self) -> None:
        check_integer("order", self.order, 1)

    @property
    def n_states(self) -> int:
        """One a lag."""
        return self.order

    @property
    def n_disturbances(self) -> int:
        """Its innovation."""
        return 1

    def parameters(self, name: str) -> list[Parameter]:
        """sigma2.ar, ar.L1, ..., ar.Lp."""
        suffix = name.removeprefix(self.name)
        lags = tuple(f"ar{suffix}.L{lag}" for lag in range(1, self.order + 1))
        return [Parameter((f"sigma2.ar{suffix}",), Variance()), Parameter(lags, Stationary())]

    def start(self, facts: Facts) -> list[float]:
        """A first lag of one half."""
        return [0.3 * facts.noise, 0.5, *[0.0] * (self.order - 1)]

    @property
    def varies(self) -> tuple[str, ...]:
        """T, Q and the start."""
        return ("transition", "state_cov", "initial_state_cov")

    def spectrum(self, values: Floats, frequencies: Floats) -> Spectrum | None:
        """sigma2 / |phi(z)|^2."""
        z = np.exp(-1j * frequencies)
        density, (by_phi,) = rational_spectrum(float(values[0]), [], [(values[1:], z)])
        return density, np.concatenate([[density / values[0]] if values[0] else [0 * density], by_phi])

    def write(self, block: Block, values: Floats) -> None:
        """The companion form."""
        write_process(block, values[1:], np.empty(0), float(values[0]))

    def pullback(self, gradient: Block, block: Block, values: Floats) -> Any:
        """The chain rule through T, Q and P1."""
        d_phi, _, d_sigma2 = process_pullback(gradient, block, values[1:], np.empty(0), float(values[0]))
        return np.concatenate([[d_sigma2], d_phi])


@dataclass(frozen=True)
class Regression(Component):
    """Inputs with coefficients that do not change; the inputs come with the data, as `exog`.

    Parameters
    ----------
    coefficients : {"states", "parameters"}
        "states": the coefficients are states without disturbances of which nothing is known at the start. This is
        exact: the likelihood has them integrated out, smoothing gives generalised least squares and its covariance,
        and forecasts have the uncertainty of the coefficients in them. "parameters": maximum likelihood, with
        standard errors beside those of the other parameters; forecasts take them for known.

    """

    name: ClassVar[str] = "regression"
    coefficients: str = "states"
    exog: Any = field(default=None, repr=False, compare=False)
    exog_names: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        check_choice("coefficients", self.coefficients, ("states", "parameters"))

    @property
    def _inputs(self) -> Floats:
        if self.exog is None:
            raise ValueError("the model has a regression, and no inputs are given: pass exog=, one row an observation")
        return np.asarray(self.exog, dtype=np.float64)

    @property
    def takes_exog(self) -> bool:
        """It does."""
        return True

    @property
    def varies(self) -> tuple[str, ...]:
        """The intercept, where coefficients are parameters."""
        return () if self.coefficients == "states" else ("obs_intercept",)

    def spectrum(self, values: Floats, frequencies: Floats) -> Spectrum | None:
        """None of the noise is its own."""
        return np.zeros(len(frequencies)), np.zeros((len(values), len(frequencies)))

    def with_exog(self, exog: Floats | None, names: tuple[str, ...] = ()) -> Component:
        """With inputs (n, n_inputs)."""
        return Regression(self.coefficients, exog, names)

    @property
    def n_states(self) -> int:
        """One a coefficient, where they are states."""
        return self._inputs.shape[1] if self.coefficients == "states" else 0

    @property
    def n_diffuse(self) -> int:
        """All states."""
        return self.n_states

    @property
    def n_disturbances(self) -> int:
        """None."""
        return 0

    def parameters(self, name: str) -> list[Parameter]:
        """beta.x1, ..., where they are parameters."""
        del name
        if self.coefficients == "states":
            return []
        units = np.sqrt(np.mean(self._inputs**2, axis=0))
        names = self.exog_names or tuple(f"x{number}" for number in range(1, len(units) + 1))
        return [
            Parameter((f"beta.{word}",), Relative(float(unit) or 1.0)) for word, unit in zip(names, units, strict=True)
        ]

    def start(self, facts: Facts) -> list[float]:
        """Least squares in first differences."""
        if self.coefficients == "states":
            return []
        inputs = self._inputs
        ends = np.cumsum([len(y) for y in facts.series])
        dx = np.concatenate([np.diff(part, axis=0) for part in np.split(inputs[: ends[-1]], ends[:-1])])
        dy = np.concatenate([np.diff(y) for y in facts.series])
        seen = ~np.isnan(dy)
        units = np.sqrt(np.mean(inputs**2, axis=0))
        units[units == 0] = 1.0
        return list(np.linalg.lstsq(dx[seen] / units, dy[seen], rcond=None)[0] / units)

    def write(self, block: Block, values: Floats) -> None:
        """Inputs in Z, or in the observations' intercept."""
        if self.coefficients == "states":
            block.design[:] = self._inputs
            block.transition[:] = block.loadings[:] = np.eye(self.n_states)
        else:
            block.obs_intercept[:] += self._inputs @ values

    def pullback(self, gradient: Block, block: Block, values: Floats) -> Any:
        """X^T dL/dd."""
        del block
        return gradient.obs_intercept @ self._inputs if len(values) else np.empty(0)


@dataclass(frozen=True)
class Irregular(Component):
    """White noise of the observations."""

    name: ClassVar[str] = "irregular"

    @property
    def n_states(self) -> int:
        """None: it is H."""
        return 0

    @property
    def varies(self) -> tuple[str, ...]:
        """H alone."""
        return ("obs_cov",)

    def spectrum(self, values: Floats, frequencies: Floats) -> Spectrum | None:
        """The same at all frequencies."""
        return np.full(len(frequencies), values[0]), np.ones((1, len(frequencies)))

    @property
    def n_disturbances(self) -> int:
        """None."""
        return 0

    def parameters(self, name: str) -> list[Parameter]:
        """sigma2.irregular."""
        return [Parameter((f"sigma2.{name}",), Variance())]

    def start(self, facts: Facts) -> list[float]:
        """Half of the noise."""
        return [0.5 * facts.noise]

    def write(self, block: Block, values: Floats) -> None:
        """H."""
        block.obs_cov[:] += values[0]

    def pullback(self, gradient: Block, block: Block, values: Floats) -> Any:
        """dL/dH."""
        del block, values
        return gradient.obs_cov[0]


PARTS: dict[str, type[Component]] = {
    part.__name__: part
    for part in (Autoregressive, Cycle, Irregular, Level, LocalLinearTrend, Regression, Seasonal, SmoothTrend)
}
"""The parts by their names."""
