"""What a linear dynamical system says of its states: filter, smoother, and the density of given states."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from statespace.foundations.observations import read_observations
from statespace.foundations.validation import check_choice, check_integer
from statespace.lds.disturbances import Innovations, OfCovariance, OfSquareRoot
from statespace.lds.draws_and_forecasts import DrawsAndForecasts
from statespace.lds.filtered import Filtered, initial_state, last_step
from statespace.lds.filtering import is_constant
from statespace.lds.flat_results import join_filters, join_smooths
from statespace.lds.frames import make_frames
from statespace.lds.likelihood import FORMS, filtered_in
from statespace.lds.one_state import is_one_state, smooth_one_state
from statespace.lds.panel_states import states_together
from statespace.lds.reading import Series, alike
from statespace.lds.results import Disturbances, FilterResult, Repeated, SmoothResult, State
from statespace.lds.simulation import log_joint_density
from statespace.lds.smoother import Backward
from statespace.lds.smoothing import is_lost, pass_backwards
from statespace.lds.square_root_smoother import smooth_square_root
from statespace.lds.system import last_matrices
from statespace.protocols import Floats

MEMORIES = ("full", "last")


class StateVerbs(DrawsAndForecasts):
    """The verbs of states, on the system that a subclass brings."""

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


def _disturbances(one: Series, form: str, cov: Floats) -> Disturbances:
    """Those of a sequence whose steps were collapsed, from all its numbers."""
    whole = one._replace(frames=make_frames(one.system, one.values))
    return StateVerbs._smooth_one(whole, form).disturbances(cov)


def _no_disturbances(cov: Floats) -> Disturbances:  # noqa: ARG001
    raise ValueError("fixed-lag smoothing has no disturbances: smooth(X) without lag has them")
