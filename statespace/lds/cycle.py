r"""A cycle: a wave of a period that is estimated (Harvey 1989, section 2.3.3).

    (psi, psi*)' = rho R(lambda) (psi, psi*) + (kappa, kappa*),    Var kappa = Var kappa* = sigma2

R(lambda) rotates by the frequency lambda = 2 pi / period; with rho < 1 the cycle is damped, and starts from its
stationary law, with the variance sigma2 / (1 - rho^2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from statespace.lds.bounded_parameters import Between, Parameter, Variance
from statespace.lds.component import Block, Component, Facts
from statespace.protocols import Floats


def rotation(angle: float) -> Floats:
    """By an angle in radians, clockwise."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, sine], [-sine, cosine]])


@dataclass(frozen=True)
class Cycle(Component):
    """Waves of a period that is estimated.

    Parameters
    ----------
    shortest, longest : float
        Bounds of the period in steps, 2 <= shortest < longest; inf is allowed.
    damped : bool
        Whether it would die out without new disturbances: then it has a stationary law, from which it starts.
    stochastic : bool
        Whether it has disturbances; a damped cycle has.

    """

    name: ClassVar[str] = "cycle"
    shortest: float = 2.0
    longest: float = math.inf
    damped: bool = True
    stochastic: bool = True

    def __post_init__(self) -> None:
        if not 2.0 <= self.shortest < self.longest:
            raise ValueError(
                f"the period of a cycle is to lie between {self.shortest!r} and {self.longest!r}, expected "
                "2 <= shortest < longest, in steps"
            )
        if self.damped and not self.stochastic:
            raise ValueError("a damped cycle without disturbances is zero: damped=False, or stochastic=True")

    @property
    def n_states(self) -> int:
        """The wave, and the same a quarter of a period away."""
        return 2

    @property
    def n_disturbances(self) -> int:
        """One for each state, with the same variance."""
        return 2 if self.stochastic else 0

    @property
    def n_diffuse(self) -> int:
        """Both states, where it is not damped and has no stationary law."""
        return 0 if self.damped else 2

    def parameters(self, name: str) -> list[Parameter]:
        """sigma2.cycle, frequency.cycle in radians a step, damping.cycle."""
        variance = [Parameter((f"sigma2.{name}",), Variance())] if self.stochastic else []
        bounds = Between(2.0 * np.pi / self.longest, 2.0 * np.pi / self.shortest)
        damping = [Parameter((f"damping.{name}",), Between(0.0, 1.0))] if self.damped else []
        return [*variance, Parameter((f"frequency.{name}",), bounds), *damping]

    def start(self, facts: Facts) -> list[float]:
        """The strongest wave within the bounds of what a straight line and the waves of other parts leave."""
        bounds = 2.0 * np.pi / self.longest, 2.0 * np.pi / self.shortest
        frequency = _strongest_frequency(facts.series, *bounds, facts.frequencies)
        facts.frequencies.append(frequency)
        return [*([0.3 * facts.noise] if self.stochastic else []), frequency, *([0.9] if self.damped else [])]

    def _split(self, values: Floats) -> tuple[float, float, float]:
        variance = float(values[0]) if self.stochastic else 0.0
        return variance, float(values[int(self.stochastic)]), float(values[-1]) if self.damped else 1.0

    def write(self, block: Block, values: Floats) -> None:
        """T = rho R(lambda), Q = sigma2 I, and P1 = sigma2 / (1 - rho^2) I of a damped one."""
        variance, frequency, damping = self._split(values)
        block.design[:, 0] = 1.0
        block.transition[:] = damping * rotation(frequency)
        if self.stochastic:
            block.selection[:] = np.eye(2)
            block.state_cov[:] = variance * np.eye(2)
        np.fill_diagonal(block.loadings, 1.0)
        if self.damped:
            block.initial_state_cov[:] = variance / ((1.0 - damping) * (1.0 + damping)) * np.eye(2)

    @property
    def varies(self) -> tuple[str, ...]:
        """T, Q and the start."""
        return ("transition", "state_cov", "initial_state_cov")

    def pullback(self, gradient: Block, block: Block, values: Floats) -> Any:
        """The chain rule through T, Q and P1."""
        del block
        variance, frequency, damping = self._split(values)
        turn = rotation(frequency)
        quarter = rotation(frequency + 0.5 * np.pi)  # the derivative of a rotation
        pulled = [damping * float((gradient.transition * quarter).sum())]
        d_variance = float(np.trace(gradient.state_cov))
        if self.damped:
            left = (1.0 - damping) * (1.0 + damping)
            start = float(np.trace(gradient.initial_state_cov))
            d_variance += start / left
            pulled.append(float((gradient.transition * turn).sum()) + start * 2.0 * variance * damping / left**2)
        return np.array([*([d_variance] if self.stochastic else []), *pulled])


def _strongest_frequency(series: list[Floats], low: float, high: float, others: list[float]) -> float:
    """The peak of the periodogram between two frequencies, a little inside them, of what other waves leave."""
    grid = low + (high - low) * np.linspace(0.02, 0.98, 97)
    power = np.zeros(len(grid))
    for y in series:
        seen = np.flatnonzero(~np.isnan(y))
        if len(seen) < 4:
            continue
        turns = np.outer(seen, others)
        line = np.column_stack([np.vander(seen / len(y), 2), np.cos(turns), np.sin(turns)])
        left = y[seen] - line @ np.linalg.lstsq(line, y[seen], rcond=None)[0]
        power += np.abs(np.exp(-1j * np.outer(grid, seen)) @ left) ** 2
    return float(grid[np.argmax(power)])
