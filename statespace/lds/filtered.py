"""What a filter found, of either form."""

from __future__ import annotations

from typing import NamedTuple

from statespace.lds.kalman import Tables
from statespace.lds.results import State
from statespace.lds.system import System
from statespace.protocols import Floats, Ints


class Filtered(NamedTuple):
    """All that a filter found, of either form; n steps, m states, p features, G rows of the tables."""

    a: Floats
    """Predicted means, shape (n + 1, m)."""
    af: Floats
    """Filtered means, shape (n, m)."""
    v: Floats
    """Innovations of the transformed numbers, shape (n, p)."""
    steps: Floats
    """Log-likelihood of each step, shape (n,), in the convention of Durbin and Koopman."""
    place: Ints
    """The row of the tables that belongs to a step, shape (n + 1,)."""
    P: Floats
    """Predicted covariances, the finite part, shape (G, m, m)."""
    Pf: Floats
    """Filtered covariances, the finite part, shape (G, m, m)."""
    k: Floats
    """Gains of the numbers, shape (G, p, m)."""
    F: Floats
    """Variances of the innovations, shape (G, p); of a diffuse number what multiplies k."""
    kind: Ints
    """What became of each number, shape (G, p)."""
    loadings: list[Floats]
    """A of each diffuse step, predicted, (m, n_left)."""
    state: State
    """The law of the next state."""
    form: str
    """"covariance" or "square_root"."""
    steady_from: int | None
    """The first steady step."""
    lost: bool
    """Whether the covariance form has lost more digits than it should."""

    @property
    def tables(self) -> Tables:
        """The first fields, as the kernels take them."""
        return Tables(self.a, self.af, self.v, self.steps, self.place, self.P, self.Pf, self.k, self.F, self.kind)

    @property
    def n_diffuse_steps(self) -> int:
        """Steps until the data had determined every direction."""
        return len(self.loadings)

    @property
    def n_determined(self) -> int:
        """Numbers that determined a diffuse direction."""
        return int((self.kind[self.place[: self.n_diffuse_steps]] == 2).sum())


def last_step(found: Filtered) -> Filtered:
    """What the last step found, alone."""
    open_ = found.loadings[-1:] if found.n_diffuse_steps == len(found.af) else []
    return found._replace(
        a=found.a[-2:].copy(),
        af=found.af[-1:].copy(),
        v=found.v[-1:].copy(),
        steps=found.steps[-1:].copy(),
        place=found.place[-2:].copy(),
        loadings=open_,
    )


def initial_state(system: System) -> State:
    """The law of the first state."""
    return State(system.initial_state, system.initial_state_cov, system.diffuse_loadings)
