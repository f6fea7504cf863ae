"""What a linear dynamical system can be asked: verbs on top of its matrices, whichever way they came about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from statespace.foundations.observations import lay_end_to_end, mark_missing, read_observations
from statespace.foundations.sequences import by_step
from statespace.foundations.validation import check_choice, check_integer
from statespace.lds.disturbances import Innovations, OfCovariance, OfSquareRoot
from statespace.lds.draws_and_forecasts import DrawsAndForecasts
from statespace.lds.dynamics import Dynamics, make_dynamics
from statespace.lds.filtered import Filtered, initial_state, last_step
from statespace.lds.filtering import is_constant
from statespace.lds.flat_results import join_filters, join_smooths
from statespace.lds.frames import Frames, collapse, make_frames
from statespace.lds.gradient import through_stationary_start
from statespace.lds.likelihood import CONVENTIONS, FORMS, HALF_LOG_2PI, filtered_in, gradient_of, log_likelihoods
from statespace.lds.one_state import is_one_state, smooth_one_state
from statespace.lds.panel import (
    add_gradients,
    cut_frames,
    panel_gradient,
    panel_log_likelihoods,
    states_together,
    whole_log_likelihoods,
)
from statespace.lds.reading import Series, alike
from statespace.lds.results import Disturbances, FilterResult, Gradient, Repeated, SmoothResult, State
from statespace.lds.simulation import log_joint_density
from statespace.lds.smoother import Backward
from statespace.lds.smoothing import is_lost, pass_backwards
from statespace.lds.square_root_smoother import smooth_square_root
from statespace.lds.system import System, last_matrices
from statespace.protocols import Array, Floats

MEMORIES = ("full", "last")


class SystemVerbs(DrawsAndForecasts):
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

    # ---------------------------------------------------------------------------------------------------- states

    def filter(
        self,
        X: Any,
        lengths: Any = None,
        *,
        state: State | Sequence[State] | None = None,
        exog: Any = None,
        form: str = "auto",
        memory: str = "full",
    ) -> Any:
        """What the past and the present say of the states at each step.

        Parameters
        ----------
        X, lengths, exog, form
            As in `log_likelihood`.
        state : State or list of State, optional
            The `state` of an earlier result: the sequence goes on from there, several sequences each from its own.
            Matrices that change with time begin with the first row of `X`.
        memory : {"full", "last"}
            Whether all steps are kept, or only what the last one leaves.

        Returns
        -------
        FilterResult
            A list of them for a list of sequences; of flat data with `lengths` one, whose rows lie end to end.

        """
        check_choice("form", form, FORMS)
        check_choice("memory", memory, MEMORIES)
        system, observations, series = self._read(X, lengths, exog, collapsed=True)
        before = self._states_before(state, system, len(series))
        together = self._together(series, form, smooth=False) if state is None else [None] * len(series)
        results = []
        for one, begun, shared in zip(series, before, together, strict=True):
            filtered = shared[0] if shared else filtered_in(form, one.system, one.dynamics, one.frames, begun)
            results.append(self._filter_result(one, filtered, memory))
        return self._formed(observations, results, join_filters)

    def _filter_each(self, X: Any, lengths: Any, exog: Any) -> tuple[bool, list[FilterResult]]:
        """Whether there are several sequences, and the result of each."""
        _, observations, series = self._read(X, lengths, exog)
        found = [
            self._filter_result(one, filtered_in("auto", one.system, one.dynamics, one.frames), "full")
            for one in series
        ]
        return observations.layout.form != "single", found

    @staticmethod
    def _together(
        series: list[Series], form: str, *, smooth: bool
    ) -> Sequence[tuple[Filtered, Backward | None] | None]:
        """What is found of sequences that share their gains; None of the others."""
        if form == "square_root" or not alike(series):
            return [None] * len(series)
        frames = [one.frames for one in series]
        return states_together(series[0].system, series[0].dynamics, frames, smooth, form)

    @staticmethod
    def _filter_result(one: Series, filtered: Filtered, memory: str) -> FilterResult:
        n, m = filtered.af.shape
        diffuse = [A @ A.T for A in [*filtered.loadings, filtered.state.loadings]]
        last = filtered if memory == "full" else last_step(filtered)
        own, values = (one.system, one.values) if memory == "full" else (last_matrices(one.system, n), one.values[-1:])
        return FilterResult(
            last.a,
            last.af,
            float(filtered.steps.sum()),
            last.steps,
            filtered.state,
            filtered.form,
            filtered.steady_from,
            filtered.n_diffuse_steps,
            "collapsed" if one.frames.apart.size else "univariate",
            one.index,
            np.array(diffuse).reshape(-1, m, m),
            Repeated(filtered.P, last.place),
            Repeated(filtered.Pf, last.place[:-1]),
            Innovations(own, values, last),
            filtered.lost,
        )

    def smooth(
        self, X: Any, lengths: Any = None, *, exog: Any = None, form: str = "auto", lag: int | None = None
    ) -> Any:
        """What all the data say of the states, and of the disturbances.

        Parameters
        ----------
        X, lengths, exog, form
            As in `log_likelihood`.
        lag : int, optional
            Fixed-lag smoothing: each step is given the data up to `lag` steps later only.

        Returns
        -------
        SmoothResult
            A list of them for a list of sequences; of flat data with `lengths` one, whose rows lie end to end.

        """
        check_choice("form", form, FORMS)
        _, observations, series = self._read(X, lengths, exog, collapsed=True)
        if lag is not None:
            behind = check_integer("lag", lag)
            return self._formed(observations, [self._fixed_lag(one, behind, form) for one in series], join_smooths)
        together = self._together(series, form, smooth=True)
        found = []
        for one, shared in zip(series, together, strict=True):
            filtered, backward = shared or (None, None)
            if filtered is None or backward is None:
                found.append(self._smooth_one(one, form))
            else:
                lost = form == "covariance" and is_lost(filtered, backward)  # "auto" shares what has its digits
                found.append(self._smooth_result(one, filtered, backward, form, lost))
        return self._formed(observations, found, join_smooths)

    @staticmethod
    def _smooth_result(one: Series, filtered: Filtered, backward: Backward, form: str, lost: bool) -> SmoothResult:
        """What the covariance form has found."""
        n = len(one.values)
        lowest = int(backward.place[0])
        places = backward.place[:n] - lowest
        size = None if form == "covariance" else backward.size
        return SmoothResult(
            backward.mean,
            float(filtered.steps.sum()),
            "covariance",
            one.index,
            Repeated(backward.cov[lowest:n], places),
            Repeated(backward.lag[lowest:n], places[:-1]),
            partial(_disturbances, one, form)
            if one.frames.apart.size
            else OfCovariance(one.system, one.dynamics, one.frames, filtered, size),
            lost,
        )

    @classmethod
    def _smooth_one(cls, one: Series, form: str) -> SmoothResult:
        n, start = len(one.values), initial_state(one.system)
        if form != "square_root" and is_one_state(one.frames, start):
            alone = smooth_one_state(one.dynamics, one.frames, start, is_constant(one.system))
            return SmoothResult(
                alone.mean,
                alone.log_likelihood,
                "covariance",
                one.index,
                Repeated(alone.cov),
                Repeated(alone.lag_one_cov),
                partial(_disturbances, one, form)
                if one.frames.apart.size
                else OfCovariance(one.system, one.dynamics, one.frames),
            )
        filtered = filtered_in(form, one.system, one.dynamics, one.frames)
        determined = filtered.n_determined == one.system.n_diffuse
        if filtered.form == "covariance" and determined:
            backward = pass_backwards(one.dynamics, one.frames, filtered, moments=True, errors=False)
            lost = is_lost(filtered, backward)
            if form == "covariance" or not lost:
                return cls._smooth_result(one, filtered, backward, form, lost)
        smoothed, filtered = smooth_square_root(one.system, one.dynamics, one.frames)
        every = np.arange(n)
        return SmoothResult(
            smoothed.mean,
            float(filtered.steps.sum()),
            "square_root",
            one.index,
            Repeated(smoothed.cov, every),
            Repeated(smoothed.lag_one_cov, every[:-1]),
            partial(_disturbances, one, form)
            if one.frames.apart.size
            else OfSquareRoot(
                one.system,
                one.dynamics,
                one.frames,
                filtered,
                smoothed.roots,
                smoothed.state_disturbance,
                smoothed.state_disturbance_cov,
            ),
        )

    def _fixed_lag(self, one: Series, lag: int, form: str) -> SmoothResult:
        """Each step from the window that ends `lag` steps later, which goes on from what came before it."""
        n, m = len(one.values), one.system.n_states
        mean, cov, lagged = np.empty((n, m)), np.empty((n, m, m)), np.empty((max(n - 1, 0), m, m))
        filtered = filtered_in(form, one.system, one.dynamics, one.frames)
        for t in range(n):
            end = min(t + lag + 1, n)
            part = one._replace(values=one.values[:end], frames=make_frames(one.system, one.values[:end]))
            if t >= filtered.n_diffuse_steps and one.system.n_times is None and one.inputs is None:
                begun = one.system._replace(
                    initial_state=filtered.a[t].copy(),
                    initial_state_cov=filtered.P[filtered.place[t]].copy(),
                    diffuse_loadings=np.empty((m, 0)),
                )
                window = one.values[t:end]
                part = one._replace(system=begun, values=window, frames=make_frames(begun, window))
                found, here = self._smooth_one(part, form), 0
            else:
                found, here = self._smooth_one(part, form), t
            mean[t], cov[t] = found.mean[here], found.cov[here]
            if t < n - 1 and len(found.lag_one_cov) > here:
                lagged[t] = found.lag_one_cov[here]
            elif t < n - 1:  # nothing later is known
                T = one.system.transition[t if len(one.system.transition) > 1 else 0]
                open_ = np.isinf(cov[t]) & (T != 0).any(axis=0)[:, None]
                lagged[t] = T @ np.where(np.isinf(cov[t]), 0.0, cov[t])
                if open_.any():
                    with np.errstate(invalid="ignore"):
                        lagged[t] = np.nan_to_num(T @ cov[t], nan=0.0, posinf=np.inf, neginf=-np.inf)
        every = np.arange(n)
        return SmoothResult(
            mean,
            float(filtered.steps.sum()),
            filtered.form,
            one.index,
            Repeated(cov, every),
            Repeated(lagged, every[:-1]),
            _no_disturbances,
        )

    def log_joint(self, X: Any, states: Any, lengths: Any = None, *, exog: Any = None) -> float:
        """Log density of the data and of given states together, in nats.

        Parameters
        ----------
        X, lengths, exog
            As in `log_likelihood`.
        states : (n_samples, n_states)
            A state for each row of `X`, in its form. -inf where they are impossible; where a covariance is singular the
            density is that on the directions in which it is not.

        """
        system, observations, series = self._read(X, lengths, exog)
        given = read_observations(states, lengths, n_features=system.n_states)
        if not np.array_equal(given.offsets, observations.offsets):
            raise ValueError("states has other lengths than X: give a state for each row")
        unknown = np.isnan(given.values)
        if unknown.any():
            row, column = (int(i) for i in np.argwhere(unknown)[0])
            raise ValueError(f"states[{row}, {column}] is missing: log_joint needs every state")
        return float(
            sum(
                log_joint_density(one.system, one.values, given.values[a:b])
                for one, (a, b) in zip(series, pairwise(observations.offsets.tolist()), strict=True)
            )
        )


def _determined(filtered: Filtered) -> Array:
    """How many numbers determined a direction, of each diffuse step."""
    places = filtered.place[: filtered.n_diffuse_steps]
    return np.asarray((filtered.kind[places] == 2).sum(axis=1), dtype=np.float64)


def _disturbances(one: Series, form: str, cov: Floats) -> Disturbances:
    """Those of a sequence whose steps were collapsed, from all its numbers."""
    whole = one._replace(frames=make_frames(one.system, one.values))
    return SystemVerbs._smooth_one(whole, form).disturbances(cov)


def _no_disturbances(cov: Floats) -> Disturbances:  # noqa: ARG001
    raise ValueError("fixed-lag smoothing has no disturbances: smooth(X) without lag has them")
