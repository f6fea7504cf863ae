"""What a linear dynamical system can be asked: verbs on top of its matrices, whichever way they came about."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from statespace.foundations.observations import lay_end_to_end, mark_missing, read_observations
from statespace.foundations.sequences import by_step
from statespace.foundations.validation import check_choice
from statespace.lds.dynamics import Dynamics, make_dynamics
from statespace.lds.filtered import Filtered
from statespace.lds.frames import Frames, collapse, make_frames
from statespace.lds.gradient import through_stationary_start
from statespace.lds.likelihood import CONVENTIONS, FORMS, HALF_LOG_2PI, filtered_in, gradient_of, log_likelihoods
from statespace.lds.panel import cut_frames, panel_log_likelihoods, whole_log_likelihoods
from statespace.lds.panel_states import add_gradients, panel_gradient
from statespace.lds.reading import Series
from statespace.lds.results import Gradient
from statespace.lds.smoothing import is_lost
from statespace.lds.state_verbs import StateVerbs
from statespace.lds.system import System
from statespace.protocols import Array, Floats


class SystemVerbs(StateVerbs):
    """The verbs, on the system that a subclass brings."""

    # ------------------------------------------------------------------------------------------------ likelihood

    def log_likelihood(
        self,
        X: Any,
        lengths: Any = None,
        by: str = "total",
        *,
        exog: Any = None,
        convention: str = "durbin-koopman",
        form: str = "auto",
    ) -> Any:
        """Log-likelihood in nats.

        Parameters
        ----------
        X : sequence or list of sequences
            Observations (n_samples, n_features), NaN where missing; a row may be missing in part.
        lengths : (n_sequences,), optional
            Lengths of the sequences laid end to end in a flat `X`.
        by : {"total", "sequence", "step"}
            One number; one a sequence, shape (n_sequences,); or log p(y_t | y_1..y_{t-1}) of every step, in the form in
            which `X` came, NaN where all is missing.
        exog : known inputs, optional
            A row for each row of `X`, shape (n_samples, n_inputs).
        convention : {"durbin-koopman", "kfas"}
            What an observation adds that determines a diffuse direction: -1/2 (log F_inf + log 2 pi), or the same
            without log 2 pi.
        form : {"auto", "covariance", "square_root"}
            Which recursions run; "auto" takes the second where the first has lost digits. With "covariance" these are
            gone, and results of `filter` and `smooth` say so in `digits_lost`.

        Notes
        -----
        Of data that the diffuse start takes as a whole (a single observation of a random walk) the log-likelihood is
        what the convention says of a direction that is determined, whatever the variances: it tells of no parameter.
        `scored_steps` then is False throughout, `bic` raises, and so does `fit`; what is not determined has an infinite
        variance in `smooth` and `forecast`.

        """
        check_choice("by", by, ("total", "sequence", "step"))
        check_choice("convention", convention, CONVENTIONS)
        check_choice("form", form, FORMS)
        if by != "step":
            totals = self._totals(X, lengths, exog, convention, form)
            return totals if by == "sequence" else float(totals.sum())
        _, observations, series = self._read(X, lengths, exog, collapsed=True)
        parts = []
        for one in series:
            filtered = filtered_in(form, one.system, one.dynamics, one.frames)
            steps = filtered.steps.copy()
            if convention == "kfas":
                steps[: filtered.n_diffuse_steps] += HALF_LOG_2PI * _determined(filtered)
            steps[one.frames.n_seen[one.frames.frame] == 0] = np.nan
            parts.append(steps)
        return by_step(np.concatenate(parts), observations)

    def _totals(self, X: Any, lengths: Any, exog: Any, convention: str, form: str) -> Floats:
        """Log-likelihood of each sequence."""
        system = self._system()
        if self._is_plain(system, exog):
            laid = lay_end_to_end(X, lengths, n_features=system.n_features)
            offsets, several = laid.offsets, len(laid.offsets) > 2 and form != "square_root"
            found = whole_log_likelihoods(system, laid.values, offsets, convention, form) if several else None
            if found is not None:
                return found
            frames = make_frames(system, mark_missing(*laid).values)
            if several:
                return panel_log_likelihoods(system, make_dynamics(system), frames, offsets, convention, form)
            frames = collapse(frames, steady=True)
            cut = [cut_frames(frames, first, last) for first, last in pairwise(offsets.tolist())]
            return log_likelihoods(system, cut, convention, form)
        _, _, series = self._read(X, lengths, exog, collapsed=True)
        return np.concatenate(
            [log_likelihoods(one.system, [one.frames], convention, form, one.dynamics) for one in series]
        )

    def score(self, X: Any, lengths: Any = None, *, exog: Any = None) -> float:
        """Total log-likelihood of `X` in nats."""
        return float(self.log_likelihood(X, lengths, exog=exog))

    def aic(self, X: Any, lengths: Any = None, *, exog: Any = None) -> float:
        """Akaike's information criterion, 2 n_parameters - 2 log L; less is better (Akaike 1974)."""
        return 2 * self.n_parameters - 2 * self.score(X, lengths, exog=exog)

    def bic(self, X: Any, lengths: Any = None, *, exog: Any = None) -> float:
        """Schwarz's criterion, log(n) n_parameters - 2 log L; n does not count diffuse steps (Schwarz 1978)."""
        scored = self.scored_steps(X, lengths, exog=exog)
        n_steps = sum(int(np.count_nonzero(part)) for part in (scored if isinstance(scored, list) else [scored]))
        if not n_steps:
            raise ValueError("no step of X is scored, so bic has no n: the diffuse start takes all observations")
        return math.log(n_steps) * self.n_parameters - 2 * self.score(X, lengths, exog=exog)

    def scored_steps(self, X: Any, lengths: Any = None, *, exog: Any = None) -> Any:
        """Which steps `compare` and `bic` count, in the form of `X`: neither missing nor part of a diffuse start."""
        _, observations, series = self._read(X, lengths, exog)
        parts = []
        for one in series:
            scored = one.frames.n_seen[one.frames.frame] > 0
            scored[: filtered_in("auto", one.system, one.dynamics, one.frames).n_diffuse_steps] = False
            parts.append(scored)
        return by_step(np.concatenate(parts), observations)

    def gradient(self, X: Any, lengths: Any = None, *, exog: Any = None, form: str = "auto") -> Gradient:
        """The exact derivative of the log-likelihood by every matrix, of all sequences together.

        One filter and one backward pass, whatever the number of entries. A field has the shape of the matrix as it was
        given: of a constant matrix the sum over the steps, else a step an entry. Entries are taken as free:
        dL = sum_ij G_ij dM_ij, and those of a covariance are not doubled. Where the start is stationary, what a1 and P1
        pass on to the other matrices is in their derivatives.

        Parameters
        ----------
        X, lengths, exog, form
            As in `log_likelihood`.

        """
        check_choice("form", form, FORMS)
        system = self._system()
        observations = read_observations(X, lengths, n_features=system.n_features)
        if form != "square_root" and observations.n_sequences > 1 and self._is_plain(system, exog):
            frames, dynamics = make_frames(system, observations.values), make_dynamics(system)
            own = partial(self._gradient_of_one, system, dynamics, form)
            summed = panel_gradient(system, dynamics, frames, observations.offsets, form=form, moments=True, single=own)
            summed = through_stationary_start(system, summed)
        else:
            series = self._series(observations, exog)[2]
            summed = add_gradients([self._gradient_with_inputs(one, form) for one in series])
        shapes = self._given_shapes()
        coefficients = self._inputs()
        fields = {name: getattr(summed, name).reshape(shape) for name, shape in shapes.items()}
        return summed._replace(
            **fields,
            log_likelihood=float(summed.log_likelihood),
            obs_exog=None if coefficients.obs is None else summed.obs_exog,
            state_exog=None if coefficients.state is None else summed.state_exog,
        )

    @staticmethod
    def _gradient_of_one(
        system: System, dynamics: Dynamics, form: str, frames: Frames, errors: list[Floats] | None = None
    ) -> Gradient:
        """Of one sequence, a1 and P1 taken as free; r that leads out of each step is appended to `errors`."""
        found, filtered, backward = gradient_of(system, dynamics, frames, form=form, moments=True)
        if form == "auto" and filtered.form == "covariance" and is_lost(filtered, backward):
            found, _, backward = gradient_of(system, dynamics, frames, form="square_root")
        if errors is not None:
            errors.append(backward.r[1:])
        return found

    def _gradient_with_inputs(self, one: Series, form: str) -> Gradient:
        errors: list[Floats] = []
        found = self._gradient_of_one(one.system, one.dynamics, form, one.frames, errors)
        found = through_stationary_start(one.system, found)
        return found if one.inputs is None else self._by_inputs(one, found, errors[0])

    def _given_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the matrices without a time axis of length 1."""
        system = self._system()
        names = ("design", "obs_intercept", "obs_cov", "transition", "state_intercept", "selection", "state_cov")
        return {
            name: matrix.shape[1:] if len(matrix) == 1 else matrix.shape
            for name in names
            for matrix in [getattr(system, name)]
        }

    def _by_inputs(self, one: Series, found: Gradient, r: Floats) -> Gradient:
        """Derivatives by the coefficients of known inputs, and intercepts summed to the shape they were given in."""
        coefficients, system = self._inputs(), self._system()
        assert one.inputs is not None
        obs = state = None
        d, c = found.obs_intercept, found.state_intercept
        if coefficients.obs is not None:
            obs = d[: len(one.inputs)].T @ one.inputs
            d = d if len(system.obs_intercept) > 1 else d.sum(axis=0)[None]
        if coefficients.state is not None:
            state = r.T @ one.inputs
            c = c if len(system.state_intercept) > 1 else c.sum(axis=0)[None]
        return found._replace(obs_intercept=d, state_intercept=c, obs_exog=obs, state_exog=state)


def _determined(filtered: Filtered) -> Array:
    """How many numbers determined a direction, of each diffuse step."""
    places = filtered.place[: filtered.n_diffuse_steps]
    return np.asarray((filtered.kind[places] == 2).sum(axis=1), dtype=np.float64)
