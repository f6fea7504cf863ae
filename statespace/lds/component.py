r"""What a part of a model is: a block of states of its own, and the chain rule through it.

The blocks of a model's parts lie along the diagonals of T, R, Q and P1 and side by side in Z: each part is written
without knowing of the others, and the model is their sum.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from statespace.lds.bounded_parameters import Parameter, Variance
from statespace.lds.spectra import Spectrum, polynomial_at, power, spectrum_by_differences
from statespace.lds.system import MATRICES
from statespace.protocols import Floats, Ints


class Block(NamedTuple):
    """A part's share of a system's matrices, or of the derivatives in them: views that can be written to."""

    design: Floats
    """(1 or n, m)."""
    transition: Floats
    """(m, m)."""
    selection: Floats
    """(m, r)."""
    state_cov: Floats
    """(r, r)."""
    state_intercept: Floats
    """(m,)."""
    initial_state: Floats
    """(m,), zero where not written."""
    initial_state_cov: Floats
    """(m, m), the part that is finite; zero where not written."""
    loadings: Floats
    """(m, n_diffuse), of what nothing is known at the start; empty in a block of derivatives."""
    obs_cov: Floats
    """(1, 1), shared by all parts: add to it."""
    obs_intercept: Floats
    """(1 or n,), shared by all parts: add to it."""


@dataclass(frozen=True)
class Facts:
    """What starting values are taken from: nothing of it has a scale of its own."""

    series: list[Floats]
    """Observations of each sequence, shape (n,), NaN where missing."""
    noise: float
    """Variance that white noise would have, were it all that differences of the series leave."""
    frequencies: list[float] = field(default_factory=list)
    """In radians a step, of the waves that parts before it begin with; a part that begins with one adds its own."""


class Component(ABC):
    """A part of a structural model; parts compose with `+`.

    A user's own part is a subclass with these attributes and methods.
    """

    name: ClassVar[str]

    @property
    def label(self) -> str:
        """What tells it from others of its name."""
        return ""

    @property
    @abstractmethod
    def n_states(self) -> int:
        """m, the states it brings."""

    @property
    @abstractmethod
    def n_disturbances(self) -> int:
        """r, the disturbances of these states."""

    @property
    def n_diffuse(self) -> int:
        """Directions of the first states of which nothing is known."""
        return 0

    @property
    def differences(self) -> tuple[int, ...]:
        """Lags at which differences have to be taken of the series to remove it."""
        return ()

    @property
    def waves(self) -> frozenset[Fraction]:
        """Turns a step of the waves, 0 for a constant, that it makes by itself and of which nothing is known at first.

        Two parts of a model have none in common: no data tell whose such a wave is.
        """
        return frozenset()

    @property
    def holds_constant(self) -> bool:
        """Whether a constant is among what it makes, so that a constant input says nothing beside it."""
        return 0 in self.waves

    @property
    def takes_exog(self) -> bool:
        """Whether it is a function of known inputs."""
        return False

    @property
    def further(self) -> dict[str, tuple[float, ...]]:
        """Paths that describe it and are not what it adds to an observation: by name, the weights of its states."""
        return {}

    @abstractmethod
    def parameters(self, name: str) -> list[Parameter]:
        """Names and bounds of what is estimated; `name` is the part's name in the model."""

    @abstractmethod
    def start(self, facts: Facts) -> list[float]:
        """Values of the parameters to start from."""

    @abstractmethod
    def write(self, block: Block, values: Floats) -> None:
        """Fill a block of zeros."""

    @abstractmethod
    def pullback(self, gradient: Block, block: Block, values: Floats) -> Any:
        """dL/d(values), shape (n_parameters,), of dL/d(block)."""

    def with_exog(self, exog: Floats | None, names: tuple[str, ...] = ()) -> Component:
        """The part with known inputs (n, n_inputs), where it takes any."""
        del exog, names
        return self

    @property
    def varies(self) -> tuple[str, ...]:
        """Names of the matrices that depend on its parameters: derivatives in no others are computed."""
        return MATRICES

    def spectrum(self, values: Floats, frequencies: Floats) -> Spectrum | None:
        """Its spectral density and the derivatives in its parameters, where it has one; it speeds up fits.

        Parameters
        ----------
        values : (n_parameters,)
        frequencies : (n_frequencies,)
            In radians a step, none of them one at which the density is infinite.

        Returns
        -------
        density : (n_frequencies,)
            sum_ij |Z (I - z T)^{-1} R|_i Q_ij |...|_j, z = e^{-iw}: of unit noise it is 1.
        derivatives : (n_parameters, n_frequencies)

        """
        return spectrum_by_differences(self, values, frequencies)

    def settings(self) -> dict[str, Any]:
        """Arguments that make it again."""
        if not is_dataclass(self):
            return {}
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init and one.compare}

    def __add__(self, other: Any) -> Any:
        from statespace.lds.structural import StructuralModel  # the sum is a model, which knows its parts

        return StructuralModel.of(self) + other


class NoisyComponent(Component):
    """A part whose Z, T and R are known and whose variances are to be estimated, each shared by some disturbances."""

    @abstractmethod
    def matrices(self) -> tuple[Any, Any, Any]:
        """Z, T and R."""

    @property
    @abstractmethod
    def variances(self) -> list[tuple[str, float, int]]:
        """Of each variance the parameter's word, the start relative to the noise, and how many disturbances have it."""

    @property
    def n_states(self) -> int:
        """m, the states it brings."""
        return int(self.known[0].size)

    @property
    def n_diffuse(self) -> int:
        """All states."""
        return self.n_states

    @property
    def n_disturbances(self) -> int:
        """r, the disturbances of these states."""
        return sum(count for _, _, count in self.variances)

    def parameters(self, name: str) -> list[Parameter]:
        """One variance each."""
        words = [word or name for word, _, _ in self.variances]
        return [Parameter((f"sigma2.{word}",), Variance()) for word in words]

    def start(self, facts: Facts) -> list[float]:
        """Shares of the noise."""
        return [share * facts.noise for _, share, _ in self.variances]

    @property
    def varies(self) -> tuple[str, ...]:
        """Q alone."""
        return ("state_cov",)

    @cached_property
    def responses(self) -> tuple[Floats, Floats]:
        """What each disturbance adds to the series in which differences have removed all but a few steps of it.

        The weights of these steps, shape (n_disturbances, n_steps), and the polynomial of the differences.
        """
        delta = np.ones(1)
        for lag in self.differences:
            delta = np.convolve(delta, [1.0, -1.0] if lag == 1 else np.ones(lag))
        design, transition, selection, _ = self.known
        response, state = np.empty((len(delta), selection.shape[1])), selection
        for step in range(len(delta)):
            response[step] = design @ state
            state = transition @ state
        weights = [np.convolve(column, delta)[: len(delta)] for column in response.T]
        return np.array(weights).reshape(-1, len(delta)), delta

    def spectrum(self, values: Floats, frequencies: Floats) -> Spectrum | None:
        """A sum of its variances times what they add to the density."""
        if not len(values):
            return np.zeros(len(frequencies)), np.empty((0, len(frequencies)))
        weights, delta = self.responses
        z = np.exp(-1j * frequencies)
        over = power(polynomial_at(delta, z))
        shares = np.zeros((len(values), len(frequencies)))
        for number, own in zip(self.known[3], weights, strict=True):
            shares[number] += power(polynomial_at(own, z)) / over
        return values @ shares, shares

    @cached_property
    def known(self) -> tuple[Floats, Floats, Floats, Ints]:
        """Z, T, R, and of each disturbance the number of its variance."""
        design, transition, selection = (np.asarray(matrix, dtype=np.float64) for matrix in self.matrices())
        owner = np.repeat(np.arange(len(self.variances)), [count for _, _, count in self.variances])
        return design, transition, selection, owner.astype(np.int64)

    def write(self, block: Block, values: Floats) -> None:
        """Z, T, R, and the variances on Q's diagonal."""
        design, transition, selection, owner = self.known
        block.design[:] = design
        block.transition[:] = transition
        block.selection[:] = selection
        np.fill_diagonal(block.loadings, 1.0)
        np.fill_diagonal(block.state_cov, values[owner])

    def pullback(self, gradient: Block, block: Block, values: Floats) -> Any:
        """Sums along the diagonal of dL/dQ."""
        del block
        return np.bincount(self.known[3], np.diagonal(gradient.state_cov), len(values))


def empty_block(part: Component) -> Block:
    """Zeros for a part to write to."""
    m, r = part.n_states, part.n_disturbances
    return Block(
        np.zeros((1, m)),
        np.zeros((m, m)),
        np.zeros((m, r)),
        np.zeros((r, r)),
        np.zeros(m),
        np.zeros(m),
        np.zeros((m, m)),
        np.zeros((m, part.n_diffuse)),
        np.zeros((1, 1)),
        np.zeros(1),
    )
