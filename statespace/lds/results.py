"""What a linear dynamical system answers; shapes are (n_samples, ...), with n samples, p features, m states.

Of flat data with `lengths` the rows of all sequences lie end to end, those of what has n + 1 or n - 1 rows for each
sequence too; what belongs to a sequence as a whole is a tuple then, with one entry a sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from statespace.protocols import Floats, Ints


class State(NamedTuple):
    """Where a filter goes on from: the law of the next state given all that was seen, N(mean, cov + k A A^T)."""

    mean: Floats
    """E(a_{n+1} | y_1..y_n), shape (m,)."""
    cov: Floats
    """Its covariance, the finite part, shape (m, m)."""
    loadings: Floats
    """A, shape (m, n_diffuse): directions of which still nothing is known; no columns once all are determined."""


@dataclass(frozen=True, eq=False)
class Repeated:
    """Matrices of which steps share some: the matrix of step t is table[place[t]], or table[t] without `place`."""

    table: Floats
    """Shape (n_distinct, ...)."""
    place: Ints | None = None
    """Shape (n,)."""

    def expanded(self) -> Floats:
        """One for each step, shape (n, ...)."""
        return self.table if self.place is None else np.asarray(self.table.take(self.place, axis=0))


@dataclass(frozen=True, eq=False)
class FilterResult:
    """What the past and the present say of the states; covariances are spread out when they are asked for."""

    predicted_mean: Floats
    """E(a_t | y_1..y_{t-1}), shape (n + 1, m): the last row is of the step after the data."""
    filtered_mean: Floats
    """E(a_t | y_1..y_t), shape (n, m)."""
    log_likelihood: float
    """log p(y_1..y_n) in nats."""
    log_likelihood_steps: Floats
    """log p(y_t | y_1..y_{t-1}), shape (n,); 0 where all is missing."""
    state: State | tuple[State, ...]
    """The law of the next state, to go on from: `filter(more, state=...)`."""
    form_used: str | tuple[str, ...]
    """"covariance" or "square_root"."""
    steady_from: int | tuple[int | None, ...] | None
    """The first step from which on gains are the same to rounding and were not computed again; None: never."""
    n_diffuse_steps: int | tuple[int, ...]
    """Steps until the data had determined all diffuse states."""
    treatment: str
    """How observations were taken: "univariate", a number at a time; "collapsed", where steps have more numbers than
    there are states, those numbers that say something of the states."""
    index: Any
    """The times of the data, where they came with an index."""
    predicted_diffuse_cov: Floats
    """What k multiplies in predicted covariances, shape (n_diffuse_steps + 1, m, m); zero from there on."""
    shared_predicted_cov: Repeated = field(repr=False)
    shared_filtered_cov: Repeated = field(repr=False)
    moved: Callable[[], tuple[Floats, Floats]] = field(repr=False)
    """Computes innovations and their covariances."""
    digits_lost: bool = False
    """Whether fewer digits than nine may be right: only where form="covariance" was asked for."""

    @cached_property
    def predicted_cov(self) -> Floats:
        """Cov(a_t | y_1..y_{t-1}), shape (n + 1, m, m); in a diffuse start its finite part."""
        return self.shared_predicted_cov.expanded()

    @cached_property
    def filtered_cov(self) -> Floats:
        """Cov(a_t | y_1..y_t), shape (n, m, m); in a diffuse start its finite part."""
        return self.shared_filtered_cov.expanded()

    @cached_property
    def _innovations(self) -> tuple[Floats, Floats]:
        return self.moved()

    @property
    def innovations(self) -> Floats:
        """y_t - E(y_t | y_1..y_{t-1}), shape (n, p); NaN where missing."""
        return self._innovations[0]

    @property
    def innovation_cov(self) -> Floats:
        """Cov(y_t | y_1..y_{t-1}), shape (n, p, p), of missing entries too; inf on the diagonal where diffuse."""
        return self._innovations[1]


@dataclass(frozen=True, eq=False)
class SmoothResult:
    """What all the data say of the states and the disturbances; what is large is computed when it is asked for."""

    mean: Floats
    """E(a_t | y_1..y_n), shape (n, m)."""
    log_likelihood: float
    """log p(y_1..y_n) in nats."""
    form_used: str | tuple[str, ...]
    """"covariance" or "square_root"."""
    index: Any
    """The times of the data, where they came with an index."""
    shared_cov: Repeated = field(repr=False)
    shared_lag_one_cov: Repeated = field(repr=False)
    disturbances: Callable[[Floats], Disturbances] = field(repr=False)
    """Computes those of observations and states from smoothed covariances."""
    digits_lost: bool = False
    """Whether fewer digits than nine of the states may be right: only where form="covariance" was asked for."""

    @cached_property
    def cov(self) -> Floats:
        """Cov(a_t | y_1..y_n), shape (n, m, m); inf where the data do not determine a diffuse state."""
        return self.shared_cov.expanded()

    @cached_property
    def lag_one_cov(self) -> Floats:
        """Cov(a_{t+1}, a_t | y_1..y_n), shape (n - 1, m, m)."""
        return self.shared_lag_one_cov.expanded()

    @cached_property
    def _disturbances(self) -> Disturbances:
        return self.disturbances(self.cov)

    @property
    def obs_disturbance(self) -> Floats:
        """E(e_t | y_1..y_n), shape (n, p), of missing entries too."""
        return self._disturbances.obs

    @property
    def obs_disturbance_cov(self) -> Floats:
        """Cov(e_t | y_1..y_n), shape (n, p, p)."""
        return self._disturbances.obs_cov

    @property
    def state_disturbance(self) -> Floats:
        """E(n_t | y_1..y_n), shape (n, r): the last leads out of the data."""
        return self._disturbances.state

    @property
    def state_disturbance_cov(self) -> Floats:
        """Cov(n_t | y_1..y_n), shape (n, r, r)."""
        return self._disturbances.state_cov


class Disturbances(NamedTuple):
    """Of observations and of states, given all the data."""

    obs: Floats
    obs_cov: Floats
    state: Floats
    state_cov: Floats


class Gradient(NamedTuple):
    """Derivatives of the log-likelihood, each of the shape of the matrix as it was given.

    A field is dL/d(entry) with all entries free, symmetric for covariances and not doubled: dL = sum_ij G_ij dM_ij.
    """

    design: Floats
    obs_intercept: Floats
    obs_cov: Floats
    transition: Floats
    state_intercept: Floats
    selection: Floats
    state_cov: Floats
    initial_state: Floats
    initial_state_cov: Floats
    log_likelihood: float
    """The log-likelihood itself, which comes with it."""
    obs_exog: Floats | None = None
    """By the coefficients of known inputs in the observations, shape (p, n_inputs); None where there are none."""
    state_exog: Floats | None = None
    """By those in the states, shape (m, n_inputs)."""
