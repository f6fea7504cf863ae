"""The log-likelihood of some sequences as a function of a vector, and what a search for its maximum asks of it.

What does not move with the vector is kept: the observations as the recursions see them, and where the transition has
entries.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from statespace.foundations.observations import Observations
from statespace.lds.dynamics import Dynamics, make_dynamics
from statespace.lds.filtered import Filtered
from statespace.lds.frames import Frames, make_frames
from statespace.lds.likelihood import filtered_in, log_likelihood, log_likelihood_and_gradient
from statespace.lds.panel import panel_log_likelihoods, whole_log_likelihoods
from statespace.lds.panel_states import panel_gradient
from statespace.lds.parametrisations import Parametrisation
from statespace.lds.results import Gradient
from statespace.lds.system import MATRICES, TIMED, System
from statespace.protocols import Floats

_PROBE = 1e-4  # of a coordinate: the step by which its curvature is measured
_BENT = 1e-4  # the least eigenvalue of a curvature, scaled to a diagonal of ones, at which it is used as a whole
_OF_FRAMES = frozenset({"design", "obs_intercept", "obs_cov"})
_FLAT = 1e-6  # nats an observation, for a move by the whole of a coordinate: nothing was measured


def sequences_of(observations: Observations) -> list[Floats]:
    """The values of each sequence."""
    return [observations.values[a:b] for a, b in pairwise(observations.offsets.tolist())]


def n_observed(observations: Observations) -> int:
    """Rows of which something was observed."""
    return observations.n_samples - (0 if observations.missing is None else int(observations.missing.sum()))


class Objective:
    """The log-likelihood of some sequences as a function of coordinates, and its exact gradient.

    Parameters
    ----------
    parametrisation : Parametrisation
    observations : Observations
    weights : (n_sequences,), optional

    """

    def __init__(
        self, parametrisation: Parametrisation, observations: Observations, weights: Floats | None = None
    ) -> None:
        self.parametrisation = parametrisation
        self.observations = observations
        self.sequences = sequences_of(observations)
        self.weights = weights
        self._rows = list(pairwise(observations.offsets.tolist()))
        self._by_row = bool(getattr(parametrisation, "by_row", False)) and len(self._rows) > 1
        self._varies = frozenset(getattr(parametrisation, "varies", MATRICES))
        self._kept: tuple[list[System], list[Frames]] | None = None
        self._kept_dynamics: Dynamics | None = None
        if weights is not None and not weights.all():  # what has no weight may even be impossible
            used = np.flatnonzero(weights > 0).tolist()
            self.sequences, self._rows = [self.sequences[s] for s in used], [self._rows[s] for s in used]
            self.weights = weights[used]
        self._end_to_end, self._offsets = observations.values, observations.offsets
        if len(self.sequences) < observations.n_sequences:
            self._end_to_end = np.concatenate(self.sequences)
            self._offsets = np.cumsum([0, *map(len, self.sequences)])

    @cached_property
    def n_observed(self) -> float:
        """Rows of which something was observed, by weight."""
        if self.weights is None:
            return n_observed(self.observations)
        return float(self.weights @ [(~np.isnan(values)).any(axis=1).sum() for values in self.sequences])

    @property
    def n_sequences(self) -> float:
        """Sequences, by weight."""
        return len(self.sequences) if self.weights is None else float(self.weights.sum())

    def _systems(self, system: System) -> list[System]:
        """What each sequence sees of a system."""
        return [_rows_of(system, *rows) for rows in self._rows] if self._by_row else [system] * len(self.sequences)

    def _frames(self, systems: list[System]) -> list[Frames]:
        """The sequences as their systems see them."""
        kept = self._kept
        if kept is not None:
            again = [
                _frames_again(frames, was, system, self._varies)
                for was, frames, system in zip(*kept, systems, strict=True)
            ]
            if all(frames is not None for frames in again):
                return again  # type: ignore[return-value]  # none is None
        made = [make_frames(system, values) for system, values in zip(systems, self.sequences, strict=True)]
        self._kept = systems, made
        return made

    def _dynamics(self, system: System) -> Dynamics:
        kept = self._kept_dynamics
        found = None if kept is None else _dynamics_again(kept, system, self._varies)
        if found is None:
            self._kept_dynamics = found = make_dynamics(system)
        return found

    def value(self, theta: Floats) -> float:
        """L(theta) in nats."""
        system = self.parametrisation.system(theta)
        if self._is_panel(system):
            found = self._log_likelihoods(system)
            return float(found.sum() if self.weights is None else self.weights @ found)
        systems = self._systems(system)
        if self.weights is None and not self._by_row:
            return log_likelihood(systems[0], self._frames(systems))
        parts = [log_likelihood(one, [frames]) for one, frames in zip(systems, self._frames(systems), strict=True)]
        return float(np.sum(parts) if self.weights is None else self.weights @ parts)

    def value_and_slope(self, theta: Floats) -> tuple[float, Floats]:
        """L(theta) and dL/dtheta."""
        system = self.parametrisation.system(theta)
        if self._is_panel(system):
            gradient = panel_gradient(
                system,
                self._dynamics(system),
                make_frames(system, self._end_to_end),
                self._offsets,
                self.weights,
                by_transition="transition" in self._varies,
            )
            return float(gradient.log_likelihood), self.parametrisation.pullback(theta, gradient)
        systems = self._systems(system)
        frames, dynamics = self._frames(systems), self._dynamics(system)
        if self._by_row:
            value, gradient = self._joined(system, systems, frames, dynamics)
        else:
            value, gradient = log_likelihood_and_gradient(
                system, frames, self.weights, dynamics=dynamics, wanted=self._varies
            )
        return value, self.parametrisation.pullback(theta, gradient)

    def _is_panel(self, system: System) -> bool:
        """Whether several sequences see the same matrices, and these do not change with time."""
        return len(self.sequences) > 1 and not self._by_row and system.n_times is None

    def _log_likelihoods(self, system: System) -> Floats:
        """Of each sequence of a panel."""
        how = "durbin-koopman", "auto"
        found = whole_log_likelihoods(system, self._end_to_end, self._offsets, *how)
        if found is not None:
            return found
        frames = make_frames(system, self._end_to_end)
        return panel_log_likelihoods(system, self._dynamics(system), frames, self._offsets, *how)

    def _joined(
        self, system: System, systems: list[System], frames: list[Frames], dynamics: Dynamics
    ) -> tuple[float, Gradient]:
        """L, and derivatives in a system of which each sequence sees rows of its own."""
        total, summed = 0.0, {name: np.zeros_like(getattr(system, name)) for name in MATRICES}
        weights = np.ones(len(systems)) if self.weights is None else self.weights
        for weight, own, seen, (first, last) in zip(weights, systems, frames, self._rows, strict=True):
            value, gradient = log_likelihood_and_gradient(own, [seen], dynamics=dynamics, wanted=self._varies)
            total += weight * value
            for name in self._varies:
                there = summed[name]
                if name in TIMED and len(there) > 1:
                    there = there[first:last]
                there += weight * getattr(gradient, name)
        return float(total), Gradient(**summed, log_likelihood=float(total))

    def steps(self, theta: Floats) -> Floats:
        """Log-likelihoods of all steps, of one sequence after the other, times the root of the sequence's weight."""
        found = [part.steps for part in self._filtered(theta)]
        if self.weights is not None:
            found = [math.sqrt(w) * steps for w, steps in zip(self.weights, found, strict=True)]
        return np.concatenate(found)

    def require_evidence(self, theta: Floats) -> None:
        """Refuse data that the diffuse start takes as a whole: what determines it tells of nothing else.

        Raises
        ------
        ValueError
            Where no number is left, of any sequence, whose density the parameters could move.

        """
        n_diffuse = self.parametrisation.system(theta).n_diffuse
        if not n_diffuse:
            return
        shown = [int(np.count_nonzero(~np.isnan(values))) for values in self.sequences]
        if max(shown) > n_diffuse:
            return
        if all(n == part.n_determined for n, part in zip(shown, self._filtered(theta), strict=True)):
            longest = "" if len(shown) == 1 else " in its longest sequence"
            raise ValueError(
                f"X has {_counted(max(shown), 'number')}{longest}, and nothing is known of the start of "
                f"{_counted(n_diffuse, 'state')}: all that X tells is where these begin, and nothing is left to "
                "estimate parameters from; give longer data, or a model with fewer such states"
            )

    def n_scored(self, theta: Floats) -> int:
        """Steps of which something was observed, after the data had determined all diffuse states."""
        return sum(
            int((~np.isnan(values[part.n_diffuse_steps :])).any(axis=1).sum())
            for values, part in zip(self.sequences, self._filtered(theta), strict=True)
        )

    def _filtered(self, theta: Floats) -> list[Filtered]:
        system = self.parametrisation.system(theta)
        systems, dynamics = self._systems(system), make_dynamics(system)
        return [
            filtered_in("auto", own, dynamics, frames)
            for own, frames in zip(systems, self._frames(systems), strict=True)
        ]

    def natural(self, theta: Floats) -> Floats:
        """The values that the parametrisation's names name."""
        if hasattr(self.parametrisation, "natural"):
            return np.asarray(self.parametrisation.natural(theta), dtype=np.float64)
        return theta

    def units(self, theta: Floats) -> Floats:
        """The size of a sensible step of each coordinate."""
        if hasattr(self.parametrisation, "units"):
            return np.asarray(self.parametrisation.units(theta), dtype=np.float64)
        if getattr(self.parametrisation, "measured_units", False):
            measured = self._measured_curvature(theta, self.value_and_slope(theta)[1])
            return np.asarray(np.sqrt(max(self.n_observed, 1) / np.diagonal(measured)))
        return np.ones(len(theta))

    def advanced(self, theta: Floats, slope: Floats) -> tuple[Floats, float] | None:
        """Where the parametrisation itself would go from theta, and what it would gain; None where it does not know."""
        if not hasattr(self.parametrisation, "advanced"):
            return None
        found: tuple[Floats, float] | None = self.parametrisation.advanced(
            theta, slope, self.n_observed, self.n_sequences
        )
        return found

    def curvature(self, theta: Floats, slope: Floats) -> Floats:
        """Roughly -d2L / dtheta dtheta^T, a matrix or its diagonal, where the slope is known."""
        n = self.n_observed
        if hasattr(self.parametrisation, "curvature"):
            found = self.parametrisation.curvature(theta, slope, n, self.n_sequences)
            if found is not None and np.isfinite(found).all():
                return np.asarray(found, dtype=np.float64)
        if not hasattr(self.parametrisation, "units") and getattr(self.parametrisation, "measured_units", False):
            return self._measured_curvature(theta, slope)
        return np.asarray(max(n, 1.0) / self.units(theta) ** 2)

    def _measured_curvature(self, theta: Floats, slope: Floats) -> Floats:
        """-d2L by differences of slopes, positive on its diagonal."""
        k = len(theta)
        sizes = np.where(theta != 0, np.abs(theta), 1.0)
        columns = np.full((k, k), np.nan)
        for number, size in enumerate(sizes):
            moved = theta.copy()
            moved[number] += _PROBE * size
            with suppress(ValueError, ArithmeticError, np.linalg.LinAlgError):
                columns[number] = (slope - self.value_and_slope(moved)[1]) / (moved[number] - theta[number])
        diagonal = np.abs(np.diagonal(columns))
        n = max(self.n_observed, 1)
        known = np.isfinite(columns).all(axis=1) & (diagonal * sizes**2 > _FLAT * n)
        made = np.diag(np.where(known, diagonal, n / sizes**2))
        both = np.ix_(known, known)
        whole = 0.5 * (columns[both] + columns[both].T)
        root = np.sqrt(diagonal[known])
        if len(root) > 1 and np.linalg.eigvalsh(whole / np.outer(root, root))[0] > _BENT:
            made[both] = whole
        return np.asarray(made)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _rows_of(system: System, first: int, last: int) -> System:
    """The rows first..last-1 of the matrices with a time axis."""
    timed = {name: matrix[first:last] for name in TIMED for matrix in [getattr(system, name)] if len(matrix) > 1}
    return system._replace(**timed)


def _frames_again(before: Frames, was: System, system: System, varies: frozenset[str]) -> Frames | None:
    """The frames of another system, made of those of an earlier one; None where they have to be made anew.

    The transform stays where the covariance of the noise does, and where it is diagonal as it was.
    """
    moved = varies & _OF_FRAMES
    if not moved:
        return before
    if "obs_intercept" in moved or max(len(system.obs_cov), len(was.obs_cov)) > 1:
        return None
    p = system.n_features
    if p > 1 and ("design" in moved or _off_diagonal(was.obs_cov[0]) or _off_diagonal(system.obs_cov[0])):
        return None
    changed: dict[str, Any] = {}
    if "obs_cov" in moved:
        variances = before.seen * np.diagonal(system.obs_cov[0])
        if p > 1 and not before.seen.all():
            variances = np.take_along_axis(variances, np.argsort(~before.seen, axis=1, kind="stable"), axis=1)
        changed["variances"] = variances
    if "design" in moved:
        Z = system.design if len(system.design) == 1 else system.design[before.at]
        changed["design"] = np.ascontiguousarray(Z * before.seen[:, :, None])
    return before._replace(**changed)


def _off_diagonal(cov: Floats) -> bool:
    return bool(np.count_nonzero(cov) > np.count_nonzero(np.diagonal(cov)))


def _dynamics_again(before: Dynamics, system: System, varies: frozenset[str]) -> Dynamics | None:
    """The dynamics of another system whose transition has its entries where an earlier one had them."""
    changed: dict[str, Any] = {"intercept": system.state_intercept}
    if varies & {"selection", "state_cov"}:
        changed["noise"] = system.disturbance_cov
    if "transition" in varies:
        if len(system.transition) > 1:
            return None
        T = system.transition[0]
        m = len(T)
        if len(before.column) < m * m:
            rows = np.repeat(np.arange(m), np.diff(before.row_start))
            value = T[rows, before.column]
            if np.count_nonzero(T) != np.count_nonzero(value):
                return None
        else:
            value = T.ravel()
        changed["value"] = np.ascontiguousarray(value)[None]
    return before._replace(**changed)
