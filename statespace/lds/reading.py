"""What a linear dynamical system reads: data, known inputs, states to go on from, and its own matrices."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.observations import Observations, read_observations
from statespace.foundations.sequence_model import SequenceModel
from statespace.lds.dynamics import Dynamics, make_dynamics
from statespace.lds.filtering import is_constant
from statespace.lds.frames import Frames, collapse, make_frames
from statespace.lds.panel import cut_frames
from statespace.lds.results import State
from statespace.lds.system import System
from statespace.protocols import Floats, Ints


class Inputs(NamedTuple):
    """Coefficients of known inputs; None where there are none."""

    obs: Floats | None
    """D of y_t = d_t + D x_t + Z a_t + e_t, shape (n_features, n_inputs)."""
    state: Floats | None
    """B of a_{t+1} = c_t + B x_t + T a_t + R n_t, shape (n_states, n_inputs)."""


class Series(NamedTuple):
    """One sequence, as the recursions want it."""

    system: System
    """With the intercepts that known inputs have moved."""
    dynamics: Dynamics
    frames: Frames
    values: Floats
    inputs: Floats | None
    index: Any


def checked_coefficients(name: str, value: Any, n_rows: int) -> Floats:
    """Coefficients of known inputs, a row for each feature or state.

    Raises
    ------
    TypeError, ValueError
        Where they are not.

    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r:.60}, expected an array of numbers") from None
    if array.ndim != 2 or len(array) != n_rows or not array.shape[1] or not np.isfinite(array).all():
        raise ValueError(f"{name} has shape {array.shape}, expected finite numbers of the shape ({n_rows}, n_inputs)")
    return array


def check_inputs(read: Observations, offsets: Ints, name: str) -> None:
    """Refuse known inputs that are not a row for each row of the data, or of which one is missing."""
    if len(read.values) != int(offsets[-1]):
        ahead = ", those of X and then those to come" if name != "X" and name.startswith("X") else ""
        raise ValueError(f"exog has {len(read.values)} rows, {name} {int(offsets[-1])}: give one for each{ahead}")
    if read.n_sequences > 1 and not np.array_equal(read.offsets, offsets):
        raise ValueError(f"exog has other lengths than {name}: give a row of inputs for each row of each sequence")
    missing = np.isnan(read.values)
    if missing.any():
        row, column = (int(i) for i in np.argwhere(missing)[0])
        raise ValueError(f"exog has a missing entry at [{row}, {column}]: known inputs are known at every step")


def _collapsed_frames(system: System, values: Floats) -> Frames:
    return collapse(make_frames(system, values), steady=is_constant(system))


def alike(series: list[Series]) -> bool:
    """Whether several sequences have the same matrices, and these do not change with time."""
    first = series[0]
    return len(series) > 1 and first.system.n_times is None and all(one.system is first.system for one in series)


class SystemReader(SequenceModel):
    """What all verbs begin with, on the system that a subclass brings."""

    support = "reals"
    random_state: Any = None

    def _system(self) -> System:
        """The present matrices, checked."""
        raise AttributeError("_system")

    def _inputs(self) -> Inputs:
        """Coefficients of known inputs."""
        return Inputs(None, None)

    def _read(
        self, X: Any, lengths: Any, exog: Any, *, collapsed: bool = False
    ) -> tuple[System, Observations, list[Series]]:
        observations = read_observations(X, lengths, n_features=self._system().n_features)
        return self._series(observations, exog, collapsed=collapsed)

    def _is_plain(self, system: System, exog: Any) -> bool:
        """Whether the matrices, intercepts too, are the same for all steps of all sequences."""
        return exog is None and system.n_times is None and not any(A is not None for A in self._inputs())

    def _series(
        self, observations: Observations, exog: Any, *, collapsed: bool = False
    ) -> tuple[System, Observations, list[Series]]:
        """Each sequence; `collapsed` where all that is asked of it is of the states, or its log-likelihood."""
        system = self._system()
        offsets, indexes = observations.offsets, observations.layout.indexes
        longest = int(np.diff(offsets).max())
        self._check_times(system, longest, "X")
        known = self._read_inputs(exog, offsets, "X")
        shared = make_dynamics(system)
        prepare = _collapsed_frames if collapsed else make_frames
        joined = prepare(system, observations.values) if known is None and system.n_times is None else None
        made = []
        for s, (first, last) in enumerate(pairwise(offsets.tolist())):
            values = observations.values[first:last]
            inputs = None if known is None else known[first:last]
            own, dynamics = self._moved(system, shared, inputs)
            index = indexes[s] if len(indexes) > s else None
            frames = prepare(own, values) if joined is None else cut_frames(joined, first, last)
            made.append(Series(own, dynamics, frames, values, inputs, index))
        return system, observations, made

    def _moved(self, system: System, shared: Dynamics, inputs: Floats | None) -> tuple[System, Dynamics]:
        """The system and its dynamics with the intercepts that known inputs make."""
        if inputs is None:
            return system, shared
        coefficients = self._inputs()
        if coefficients.obs is not None:
            moved = system.obs_intercept[: len(inputs)] + inputs @ coefficients.obs.T
            system = system._replace(obs_intercept=np.ascontiguousarray(moved))
        if coefficients.state is not None:
            moved = np.ascontiguousarray(system.state_intercept[: len(inputs)] + inputs @ coefficients.state.T)
            system, shared = system._replace(state_intercept=moved), shared._replace(intercept=moved)
        return system, shared

    def _read_inputs(self, exog: Any, offsets: Any, name: str) -> Floats | None:
        coefficients = self._inputs()
        widths = {A.shape[1] for A in coefficients if A is not None}
        if not widths:
            if exog is not None:
                raise ValueError(
                    "exog is given, and the model has no coefficients of known inputs: fit with exog=, or leave it out"
                )
            return None
        width = widths.pop()
        if exog is None:
            raise ValueError(
                f"the model has coefficients of {width} known inputs: hand them over, exog= with {int(offsets[-1])} "
                f"rows, as {name} has"
            )
        read = read_observations(exog, name="exog")
        if read.values.shape[1] != width:
            raise ValueError(
                f"exog has {read.values.shape[1]} columns, and the model has coefficients of {width} known inputs: "
                "give a column for each"
            )
        check_inputs(read, offsets, name)
        return read.values

    @staticmethod
    def _check_times(system: System, n: int, name: str) -> None:
        if system.n_times is not None and system.n_times < n:
            raise ValueError(f"the matrices change with time and have {system.n_times} entries, {name} needs {n}")

    @staticmethod
    def _formed(observations: Observations, results: list[Any], join: Callable[[list[Any], Any], Any]) -> Any:
        """One result for one sequence, joined ones for flat data, a list for a list."""
        layout = observations.layout
        if layout.form == "flat":
            return join(results, layout.indexes[0])
        return results[0] if layout.form == "single" else results

    @staticmethod
    def _states_before(state: Any, system: System, n_sequences: int) -> list[State | None]:
        """Where each sequence goes on from, of a state or a sequence of states."""
        if state is None:
            return [None] * n_sequences
        states = [state] if isinstance(state, State) else state
        if not isinstance(states, list | tuple) or not all(
            isinstance(one, State) and np.shape(one.mean) == (system.n_states,) for one in states
        ):
            what = f"of {len(state.mean)} states" if isinstance(state, State) else type(state).__name__
            raise ValueError(
                f"state is {what}, expected the `state` of an earlier filter, or a list of these, one "
                f"for each sequence, of a model with {system.n_states} states"
            )
        if len(states) != n_sequences:
            count = "that of one sequence" if len(states) == 1 else f"those of {len(states)} sequences"
            raise ValueError(f"state is {count}, and X has {n_sequences}: give a list of states, one for each")
        return [State(*(np.array(part, dtype=np.float64, order="C") for part in one)) for one in states]
