"""Verbs of what has not been seen: draws, laws of the next observations, and responses to disturbances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from statespace.foundations.calendar import steps_after
from statespace.foundations.observations import read_observations
from statespace.foundations.predictive import PredictiveLaw
from statespace.foundations.probability import generator
from statespace.foundations.validation import check_choice, check_integer
from statespace.lds.dynamics import make_dynamics
from statespace.lds.filtered import Filtered
from statespace.lds.flat_results import join_draws, join_laws
from statespace.lds.forecasting import laws_ahead, predictive_laws, responses
from statespace.lds.frames import make_frames
from statespace.lds.likelihood import FORMS, filtered_in
from statespace.lds.reading import Series, SystemReader
from statespace.lds.results import State
from statespace.lds.simulation import draw_states, simulate
from statespace.lds.system import System
from statespace.protocols import Floats


class DrawsAndForecasts(SystemReader):
    """Verbs of draws and of the future."""

    def sample(self, n_samples: int = 1, random_state: Any = None, *, exog: Any = None) -> tuple[Floats, Floats]:
        """Draw a sequence of observations and its states.

        Parameters
        ----------
        n_samples : int
            How many steps.
        random_state : None, int, Generator or RandomState
            The same int gives the same draws; the model's own where it is None.
        exog : (n_samples, n_inputs), optional
            Known inputs.

        Returns
        -------
        X : (n_samples, n_features)
        states : (n_samples, n_states)
            A diffuse state begins at 0.

        """
        n = check_integer("n_samples", n_samples)
        system = self._system()
        self._check_times(system, n, "the sample")
        inputs = self._read_inputs(exog, np.array([0, n]), "the sample")
        system, _ = self._moved(system, make_dynamics(system), inputs)
        rng = generator(self.random_state if random_state is None else random_state)
        return simulate(system, n, rng)

    def simulate_smoother(
        self, X: Any, n_draws: int = 1, lengths: Any = None, *, exog: Any = None, random_state: Any = None
    ) -> Any:
        """Paths of states drawn given all the data (Durbin and Koopman 2002).

        Parameters
        ----------
        X, lengths, exog
            As in `log_likelihood`.
        n_draws : int
            How many paths.
        random_state : None, int, Generator or RandomState
            The same int gives the same draws; the model's own where it is None.

        Returns
        -------
        (n_draws, n_samples, n_states)
            A list of them for a list of sequences; of flat data with `lengths` one, whose steps lie end to end.

        """
        draws = check_integer("n_draws", n_draws, 1)
        _, observations, series = self._read(X, lengths, exog)
        rng = generator(self.random_state if random_state is None else random_state)
        paths = [draw_states(one.system, one.dynamics, one.values, draws, rng) for one in series]
        return self._formed(observations, paths, join_draws)

    def predictive(
        self,
        X: Any,
        lengths: Any = None,
        *,
        exog: Any = None,
        state: State | Sequence[State] | None = None,
        form: str = "auto",
    ) -> Any:
        """The law of every observation given those before it, and of the one after the last.

        Parameters
        ----------
        X, lengths, form
            As in `log_likelihood`.
        exog : optional
            Known inputs of the data and of one step more.
        state : State or list of State, optional
            The `state` of an earlier filter, from which `X` goes on, several sequences each from its own.

        Returns
        -------
        PredictiveLaw
            Gaussian, n_samples + 1 rows a sequence; variances are infinite in a diffuse start. A list of laws for a
            list of sequences.

        """
        check_choice("form", form, FORMS)
        return self._ahead(
            X, lengths, exog, state, 1, lambda _, filtered, after: predictive_laws(*after, filtered), form=form
        )

    def forecast(
        self,
        X: Any,
        steps: int = 1,
        lengths: Any = None,
        *,
        exog: Any = None,
        state: State | Sequence[State] | None = None,
    ) -> Any:
        """The laws of the next observations.

        Parameters
        ----------
        X, lengths
            What is known, as in `log_likelihood`; None where `state` says it all.
        steps : int
            How many steps ahead. Matrices that change with time must reach as far.
        exog : optional
            Known inputs of the data and of the steps ahead, one sequence after the other.
        state : State or list of State, optional
            The `state` of an earlier filter, from which `X` goes on, several sequences each from its own.

        Returns
        -------
        PredictiveLaw
            Gaussian, `steps` rows a sequence; a list of laws for a list of sequences, or of states alone.

        """
        ahead = check_integer("steps", steps, 1)
        if X is None:
            system = self._system()
            alone = isinstance(state, State)
            starts = self._states_before(state, system, 1 if alone or state is None else len(state))
            self._check_times(system, ahead, "the forecast")
            inputs = self._read_inputs(exog, ahead * np.arange(len(starts) + 1), "the forecast")
            laws = []
            for s, begun in enumerate(starts):
                if begun is None:
                    raise ValueError("X is None: hand over data, or the state of an earlier filter")
                own, _ = self._moved(
                    system, make_dynamics(system), None if inputs is None else inputs[s * ahead : (s + 1) * ahead]
                )
                laws.append(PredictiveLaw(**laws_ahead(own, begun, 0, ahead)._asdict()))
            return laws[0] if alone else laws
        return self._ahead(
            X,
            lengths,
            exog,
            state,
            ahead,
            lambda one, filtered, after: laws_ahead(after[0], filtered.state, len(one.values), ahead),
            only=True,
        )

    def _ahead(
        self,
        X: Any,
        lengths: Any,
        exog: Any,
        state: Any,
        ahead: int,
        law: Callable[[Series, Filtered, tuple[System, Floats]], Any],
        only: bool = False,
        form: str = "auto",
    ) -> Any:
        system = self._system()
        observations = read_observations(X, lengths, n_features=system.n_features)
        offsets = observations.offsets
        starts = self._states_before(state, system, len(offsets) - 1)
        self._check_times(system, int(np.diff(offsets).max()) + (ahead if only else 0), "this")
        longer = offsets + ahead * np.arange(len(offsets))
        known = self._read_inputs(exog, longer, f"X with the {ahead} steps after each sequence")
        shared = make_dynamics(system)
        laws = []
        for s, (first, last) in enumerate(pairwise(offsets.tolist())):
            values = observations.values[first:last]
            inputs = None if known is None else known[longer[s] : longer[s + 1]]
            own, dynamics = self._moved(system, shared, inputs)
            frames = make_frames(own, values)
            indexes = observations.layout.indexes
            index = indexes[s] if len(indexes) > s else None
            one = Series(own, dynamics, frames, values, inputs, index)
            filtered = filtered_in(form, own, dynamics, frames, starts[s])
            moments = law(one, filtered, (own, values))
            laws.append(PredictiveLaw(**moments._asdict(), index=steps_after(index, ahead, only)))
        return self._formed(observations, laws, join_laws)

    def impulse_response(self, steps: int, *, shocks: Any = None, orthogonalized: bool = False) -> Floats:
        """What one unit of each disturbance of the state does to the observations, now and later.

        Parameters
        ----------
        steps : int
            How many steps.
        shocks : (n_disturbances, n_shocks), optional
            Disturbances in place of the units.
        orthogonalized : bool
            Shocks are the columns of the lower factor of the state covariance: one deviation each, and independent.

        Returns
        -------
        (steps, n_features, n_shocks)
            Z T^j R at j = 0, 1, ... steps after the disturbance has reached the state.

        """
        return responses(self._system(), check_integer("steps", steps, 1), shocks, orthogonalized)
