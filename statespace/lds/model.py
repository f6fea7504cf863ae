"""Linear dynamical systems whose matrices are given, or learnt.

y_t = d + Z a_t + e_t, e_t ~ N(0, H)        a_{t+1} = c + T a_t + R n_t, n_t ~ N(0, Q)        a_1 ~ N(a1, P1)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Self

from statespace.foundations.archive import Archive
from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.em import warn_not_converged
from statespace.foundations.estimator import unchanged_on_failure
from statespace.foundations.executors import map_pieces
from statespace.foundations.observations import read_observations
from statespace.foundations.validation import (
    check_choice,
    check_integer,
    check_sample_weight,
    check_tolerance,
)
from statespace.lds.estimation import ParametricModel
from statespace.lds.fit_starts import FitStarts
from statespace.lds.fitting import Climb
from statespace.lds.free_entries import count_parameters
from statespace.lds.function_parametrisation import FunctionParametrisation
from statespace.lds.initialization import make_system
from statespace.lds.kept_matrices import KeptMatrices
from statespace.lds.known_inputs import objective_of, read_inputs
from statespace.lds.parametrisations import MatrixParametrisation
from statespace.lds.saving import from_archive, to_archive
from statespace.lds.summary import FitRecord, Summarised
from statespace.lds.system import checked_matrices
from statespace.lds.verbs import SystemVerbs
from statespace.protocols import Array


class LinearDynamicalSystem(Summarised, FitStarts, KeptMatrices, SystemVerbs):
    """A linear dynamical system with Gaussian noise.

    Parameters
    ----------
    n_states : int
        Length of the state vector.
    method : {"em", "lbfgs"}
        How to climb: by expectation-maximisation, or by L-BFGS on the exact gradient, which is faster near a maximum.
    covariances : {"full", "diag"}
        Form of the covariances that are estimated.
    initialization : {"free", "known", "stationary", "diffuse", "approximate_diffuse"}, optional
        The law of the first state in `fit`: estimated; as `init` has it; the stationary law of the transition, which
        then is estimated to the maximum of both together; nothing known (of the states that `init["diffuse"]` marks,
        else of all); or N(0, 10^6 I). None: known or diffuse where `init` says so; else stationary where the transition
        at the start is stable; else diffuse where the units of the states are held; else estimated.
    fixed : dict, optional
        What is held at its value in `init`: the name of a matrix -> True, or a mask of entries (True: held).
    init : dict, optional
        Values to begin from by the names of `from_matrices`; the rest is suggested by the data.
    n_iter : int
        The largest number of iterations.
    tol : float, optional
        The fit has converged when an iteration gains less, in nats in total; None: 1e-7 nats an observation, for
        "lbfgs" 1e-10.
    intercepts : bool
        Whether intercepts are estimated; without, they stay 0, or what `init` says.
    stable : bool
        Whether the transition is kept stable (spectral radius below 1).
    exog : {"obs", "state", "both"}
        Where the known inputs enter that `fit(X, exog=...)` is given: the observations, with coefficients `obs_exog_`,
        the states, with `state_exog_`, or both.
    acceleration : {None, "squarem"}
        Whether "em" leaps ahead after every two steps, as far as these say that more of them would go: where noise is
        small, steps are short, and leaps save most of them. The likelihood never falls.
    n_init : int
        Fits from as many starts, of which the best is kept: the first is identified from the data, the others are
        drawn.
    random_state : None, int, Generator or RandomState
        For the starts that are drawn, and for `sample` where it is given none.

    Attributes
    ----------
    design_, obs_cov_, transition_, state_cov_, selection_ : arrays
        Z (n_features, n_states), H, T, Q, R; from `from_matrices` also with a leading time axis.
    obs_intercept_, state_intercept_ : arrays
        d (n_features,) and c (n_states,).
    initial_state_, initial_state_cov_ : (n_states,), (n_states, n_states)
        a1 and P1, 0 for diffuse states.
    diffuse_ : (n_states,) of bool
        States of whose beginning nothing is known.
    stationary_ : (n_states,) of bool
        States that begin with their stationary law, so that their entries of a1 and P1 follow from the other matrices
        and are not read.
    obs_exog_, state_exog_ : (n_features, n_inputs), (n_states, n_inputs) or None
        Coefficients D and B of known inputs x_t: y_t = D x_t + ..., and a_{t+1} = B x_t + ...; None where there are
        none.
    monitor_ : ConvergenceMonitor
        The history of the fit, and why it stopped.

    References
    ----------
    Durbin and Koopman (2012), Time series analysis by state space methods; Bishop (2006), section 13.3.

    Examples
    --------
    The level of the Nile follows a random walk, of which nothing is known at first; its two variances are learnt:

    >>> from statespace import LinearDynamicalSystem
    >>> from statespace.datasets import load_nile
    >>> nile = load_nile().flow
    >>> walk = {"design": [[1.0]], "transition": [[1.0]]}
    >>> model = LinearDynamicalSystem(
    ...     method="lbfgs", initialization="diffuse", init=walk, fixed={"design": True, "transition": True}
    ... ).fit(nile)
    >>> model.obs_cov_.round(0), model.state_cov_.round(0)
    (array([[15099.]]), array([[1469.]]))
    >>> round(model.score(nile), 4)
    -633.4646

    """

    def __init__(
        self,
        n_states: int = 1,
        *,
        method: str = "em",
        covariances: str = "full",
        initialization: str | None = None,
        fixed: dict[str, Any] | None = None,
        init: dict[str, Any] | None = None,
        n_iter: int = 1000,
        tol: float | None = None,
        intercepts: bool = False,
        stable: bool = False,
        exog: str = "obs",
        acceleration: str | None = None,
        n_init: int = 1,
        random_state: Any = None,
    ) -> None:
        self.n_states = n_states
        self.method = method
        self.covariances = covariances
        self.initialization = initialization
        self.fixed = fixed
        self.init = init
        self.n_iter = n_iter
        self.tol = tol
        self.intercepts = intercepts
        self.stable = stable
        self.exog = exog
        self.acceleration = acceleration
        self.n_init = n_init
        self.random_state = random_state

    # ------------------------------------------------------------------------------------------- matrices given

    @classmethod
    def from_matrices(
        cls,
        design: Any,
        obs_cov: Any,
        transition: Any,
        state_cov: Any,
        selection: Any = None,
        obs_intercept: Any = None,
        state_intercept: Any = None,
        initial_state: Any = None,
        initial_state_cov: Any = None,
        diffuse: Any = None,
        initialization: str | None = None,
        *,
        obs_exog: Any = None,
        state_exog: Any = None,
    ) -> Self:
        """A system whose matrices are known; each of the first seven may have a leading time axis.

        Parameters
        ----------
        design : (n_features, n_states)
            Z.
        obs_cov : (n_features, n_features)
            H.
        transition : (n_states, n_states)
            T; with a time axis, transition[t] leads from step t to t + 1.
        state_cov : (n_disturbances, n_disturbances)
            Q.
        selection : (n_states, n_disturbances), optional
            R; the identity where it is not given.
        obs_intercept, state_intercept : (n_features,), (n_states,), optional
            d and c; zeros where they are not given.
        initial_state, initial_state_cov : (n_states,), (n_states, n_states), optional
            What is known of the first state.
        diffuse : (n_states,) of bool, optional
            States of which nothing is known.
        initialization : {"known", "stationary", "diffuse", "approximate_diffuse"}, optional
            Of the states that `diffuse` does not name. None: known where a covariance is given, else stationary if
            the transition is stable, else diffuse.
        obs_exog, state_exog : (n_features, n_inputs), (n_states, n_inputs), optional
            Coefficients D and B of known inputs x_t, which the verbs then ask for as `exog`: y_t = D x_t + ..., and
            a_{t+1} = B x_t + ...

        Raises
        ------
        TypeError, ValueError
            Where a matrix has not the shape that the others ask for, or is no covariance; in words.

        """
        matrices = checked_matrices(design, obs_cov, transition, state_cov, selection, obs_intercept, state_intercept)
        system = make_system(matrices, initial_state, initial_state_cov, diffuse, initialization)
        model = cls(n_states=system.n_states)
        model._learn(system)
        model.obs_exog_, model.state_exog_ = obs_exog, state_exog
        model.obs_exog_, model.state_exog_ = model._inputs()
        return model

    @staticmethod
    def from_function(
        function: Callable[[Any], Any],
        start: Any,
        names: Sequence[str] | None = None,
        jacobian: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> ParametricModel:
        """A model whose matrices are your own function of parameters, to be fitted by maximum likelihood.

        Parameters
        ----------
        function : callable
            From theta, shape (n_parameters,), to a dict of the arguments of `from_matrices`. All of theta is tried:
            use exp for what is positive.
        start : (n_parameters,)
            Where to begin.
        names : list of str, optional
            Of the parameters.
        jacobian : callable, optional
            From theta to a dict of the derivatives of the matrices, with a last axis for the parameters. Without it
            they come from complex steps where the function lets these through, else from central differences.
        **options
            `n_iter`, `tol` and `random_state` of the model.

        """
        return ParametricModel(FunctionParametrisation(function, start, names, jacobian), **options)

    # ------------------------------------------------------------------------------------------------- learning

    @unchanged_on_failure
    def fit(
        self,
        X: Any,
        lengths: Any = None,
        *,
        exog: Any = None,
        sample_weight: Any = None,
        executor: Executor | None = None,
    ) -> Self:
        """Learn the matrices by maximum likelihood.

        Parameters
        ----------
        X : sequence or list of sequences
            Observations, NaN where missing; several sequences share one model.
        lengths : (n_sequences,), optional
            Lengths of the sequences laid end to end in a flat `X`.
        exog : optional
            Known inputs in the form of `X`, a row for each row, shape (n_samples, n_inputs), without gaps; their
            coefficients are estimated.
        sample_weight : (n_sequences,), optional
            A weight for each sequence; 2 is as if it were there twice.
        executor : concurrent.futures.Executor, optional
            Shares out the starts; threads without it.

        Raises
        ------
        TypeError, ValueError
            Where the data or a parameter are not what they should be, or the data no more than the diffuse start takes;
            the model then is as it was before.

        Warns
        -----
        ConvergenceWarning
            If `n_iter` iterations did not suffice.

        """
        check_choice("method", self.method, ("em", "lbfgs"))
        n_init = check_integer("n_init", self.n_init, 1)
        check_integer("n_iter", self.n_iter)
        check_tolerance("tol", self.tol)
        observations = read_observations(X, lengths)
        if observations.missing is not None and observations.missing.all():
            raise ValueError("X has no observation: every value is missing")
        weights = check_sample_weight(sample_weight, observations.n_sequences)
        check_choice("acceleration", self.acceleration, ("squarem", None))
        if self.acceleration is not None and self.method != "em":
            raise ValueError(f"acceleration is {self.acceleration!r}, of method='em', and method is {self.method!r}")
        inputs = read_inputs(exog, observations)
        climb_from = Climb(observations, inputs, weights, self.method, self.n_iter, self.tol, self.acceleration)
        with blas_on_one_thread():
            starts = self._starts(observations, inputs, weights, n_init)
            climb_from.require_evidence(starts[0])
            fitted = map_pieces(climb_from, starts, None if n_init == 1 else executor)
        best = max(fitted, key=lambda found: list(found.monitor.history)[-1:])
        if best.monitor.reason.startswith("not converged") and best.monitor.n_iter > 1:
            warn_not_converged(best.monitor)
        self.monitor_ = best.monitor
        self._learn(best.system)
        self._n_free = count_parameters(best.system, best.free)
        self._fit_data = (best, observations, inputs, weights)
        return self

    # -------------------------------------------------------------------------------------------- the parameters

    @property
    def n_parameters(self) -> int:
        """Parameters that were estimated, without those that do not change the law of the observations.

        Those are a basis of the states, their origin, and covariances that no observation sees; see
        `statespace.count_parameters("lds", ..., identifiable=True)`. 0 where matrices were given.
        """
        self._system()
        return int(getattr(self, "_n_free", 0))

    def _recorded(self) -> FitRecord:
        if not hasattr(self, "_fit_record") and hasattr(self, "_fit_data"):
            found, observations, inputs, weights = self._fit_data
            sizes = None if inputs is None else inputs.sizes
            parametrisation = MatrixParametrisation(found.system, found.free, sizes)
            objective = objective_of(parametrisation, observations, weights, inputs)
            theta = parametrisation.start()
            self._record(objective, theta, objective.value(theta))
        return super()._recorded()

    # ------------------------------------------------------------------------------------------------ in and out

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        self._system()
        return to_archive(self, getattr(self, "_n_free", None))

    @classmethod
    def _from_archive(cls, archive: Archive) -> Self:
        params, learnt, n_free = from_archive(archive)
        model = cls(**params)
        for name, value in learnt.items():
            setattr(model, name, value)
        if n_free is not None:
            model._n_free = n_free
        model._system()
        return model
