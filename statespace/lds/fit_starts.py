"""Where the fit of a linear dynamical system begins: its parameters read, and starts by the rules of its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from statespace.foundations.observations import Observations
from statespace.foundations.probability import generator
from statespace.foundations.validation import check_choice, check_integer
from statespace.lds.fitting import Begun, value_of
from statespace.lds.free_entries import FreeEntries, free_entries, states_without_unit
from statespace.lds.known_inputs import KnownInputs, check_independent, first_coefficients, of_weight, settled
from statespace.lds.objective import sequences_of
from statespace.lds.starts import GIVEN, fitted_in, floors, rotated, starting_system, suggested_starts
from statespace.lds.subspace import Start
from statespace.lds.system import COEFFICIENTS, TIMED, System, as_numbers
from statespace.protocols import Floats

_INITIALIZATIONS = ("free", "known", "stationary", "diffuse", "approximate_diffuse")
_WHERE_INPUTS_ENTER = {"obs": ("obs_exog",), "state": ("state_exog",), "both": COEFFICIENTS}


class FitStarts:
    """The starts of a fit, by the parameters of the model; see `statespace.LinearDynamicalSystem`."""

    n_states: int
    covariances: str
    initialization: str | None
    fixed: dict[str, Any] | None
    init: dict[str, Any] | None
    intercepts: bool
    stable: bool
    exog: str
    random_state: Any

    def _starts(
        self, observations: Observations, inputs: KnownInputs | None, weights: Floats | None, n_init: int
    ) -> list[Begun]:
        m = check_integer("n_states", self.n_states, 1)
        check_choice("covariances", self.covariances, ("full", "diag"))
        check_choice("initialization", self.initialization, (*_INITIALIZATIONS, None))
        for name in ("intercepts", "stable"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise TypeError(f"{name} is {getattr(self, name)!r}, expected True or False")
        check_choice("exog", self.exog, tuple(_WHERE_INPUTS_ENTER))
        enter = () if inputs is None else _WHERE_INPUTS_ENTER[self.exog]
        given = self._given(enter)
        if inputs is not None:
            check_independent(inputs, beside_constant=bool(self.intercepts))
        rng = generator(self.random_state)
        seeds = rng.integers(2**63, size=n_init)
        sequences = of_weight(sequences_of(observations), weights)
        positive = np.ones(len(sequences)) if weights is None else weights[weights > 0]
        found = []
        known = None if inputs is None else of_weight(inputs.sequences, weights)
        coefficients = first_coefficients(given, enter, m, sequences, positive, known)
        left = sequences
        D = coefficients["obs_exog"]
        if known is not None and D is not None:
            left = [values - x @ D.T for values, x in zip(sequences, known, strict=True)]
        for number, seed in enumerate(seeds):
            drawn = np.random.default_rng(seed)
            candidates = []
            for start in suggested_starts(left, positive, m, given, number, drawn, centre=bool(self.intercepts)):
                begun = rotated(start) if self.covariances == "diag" and "design" not in given else start
                kind = self.initialization or self._suggested_kind(begun, given, left, positive, coefficients)
                system, free = self._begin(begun, given, kind, left, positive, coefficients)
                system = fitted_in(system, free)
                if known is not None:
                    system = settled(system, free, sequences, None if weights is None else positive, known)
                candidates.append(Begun(system, free))
            if len(candidates) > 1:
                heaviness = None if weights is None else positive
                candidates.sort(key=lambda one: value_of(one.system, sequences, heaviness, known), reverse=True)
            found.append(candidates[0])
        return found

    def _begin(
        self,
        begun: Start,
        given: dict[str, Any],
        kind: str,
        sequences: list[Floats],
        weights: Floats,
        coefficients: Mapping[str, Floats | None],
    ) -> tuple[System, FreeEntries]:
        system = starting_system(begun, given, kind, diagonal=self.covariances == "diag")
        system = system._replace(obs_exog=coefficients["obs_exog"], state_exog=coefficients["state_exog"])
        return system, free_entries(
            system,
            covariances=self.covariances,
            initialization="known" if kind == "approximate_diffuse" else kind,
            fixed=self.fixed,
            intercepts=bool(self.intercepts),
            stable=bool(self.stable),
            floors=floors(sequences, weights, system),
        )

    def _suggested_kind(
        self,
        begun: Start,
        given: dict[str, Any],
        sequences: list[Floats],
        weights: Floats,
        coefficients: Mapping[str, Floats | None],
    ) -> str:
        """How the first state is taken where `initialization` does not say."""
        if "diffuse" in given:
            return "diffuse"
        if "initial_state" in given or "initial_state_cov" in given:
            return "known"
        system, free = self._begin(begun, given, "free", sequences, weights, coefficients)
        if np.abs(np.linalg.eigvals(system.transition[0])).max() < 1.0:
            return "stationary"
        return "free" if states_without_unit(system, free.masks).any() else "diffuse"

    def _given(self, enter: tuple[str, ...] = ()) -> dict[str, Any]:
        """Starting values by name; `enter`: coefficients of known inputs that there are."""
        if not isinstance(self.init, Mapping | None):
            raise TypeError(f"init is {self.init!r:.60}, expected a dict from names of matrices to values")
        given = {name: value for name, value in (self.init or {}).items() if value is not None}
        held = self.fixed if isinstance(self.fixed, Mapping) else {}
        for name in COEFFICIENTS:
            if (name in given or name in held) and name not in enter:
                asked = "fit has no exog" if not enter else f"exog is {self.exog!r}: 'state' or 'both' has state_exog"
                raise ValueError(f"init or fixed names {name}, and {asked}")
        unknown = given.keys() - {*GIVEN, *enter}
        if unknown:
            raise ValueError(f"init names {sorted(unknown)}; it can give {', '.join([*GIVEN, *enter])}")
        for name, value in given.items():
            if as_numbers(value) is None:
                raise TypeError(f"init[{name!r}] is {value!r:.60}, expected an array of numbers")
        for name in (name for name, value in held.items() if value is not False):
            needs = name in TIMED or name.startswith("initial")
            if needs and not name.endswith("intercept") and name != "initial_state" and name not in given:
                raise ValueError(f"fixed holds {name}, and init has no {name} to hold it at")
        return given
