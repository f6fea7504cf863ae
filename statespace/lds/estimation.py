"""Maximum likelihood on the exact gradient, for any parametrisation of the matrices.

The gradient costs one filter and one smoother pass, whatever the number of parameters. Koopman and Shephard (1992) for
the score.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.em import warn_not_converged
from statespace.foundations.estimator import NotFittedError, unchanged_on_failure
from statespace.foundations.observations import Observations, read_observations
from statespace.foundations.validation import check_integer, check_sample_weight, check_tolerance
from statespace.lds.ascent import climb, gradient_monitor
from statespace.lds.objective import Objective
from statespace.lds.parametrisations import Parametrisation
from statespace.lds.summary import Summarised
from statespace.lds.system import System
from statespace.lds.verbs import SystemVerbs
from statespace.protocols import Floats


class ParametricModel(Summarised, SystemVerbs):
    """A linear dynamical system whose matrices are functions of a few parameters, fitted by maximum likelihood.

    Parameters
    ----------
    parametrisation : object
        From coordinates to matrices and back: see `statespace.lds.parametrisations.Parametrisation`.
    n_iter : int
        The largest number of iterations.
    tol : float, optional
        The fit has converged when an iteration gains less, in nats in total; None: 1e-10 nats an observation.
    random_state : None, int, Generator or RandomState
        For `sample` and `simulate_smoother`.

    Attributes
    ----------
    params_ : (n_parameters,)
        The estimates, as `param_names_` names them.
    param_names_ : list of str
    monitor_ : ConvergenceMonitor
        The history of the fit, and why it stopped.

    Examples
    --------
    A function of your own, here of the logarithms of two variances, and how sure they are:

    >>> import numpy as np
    >>> from statespace import LinearDynamicalSystem
    >>> from statespace.datasets import load_nile
    >>> def random_walk_and_noise(theta):
    ...     noise, walk = np.exp(theta)
    ...     return {"design": [[1.0]], "obs_cov": [[noise]], "transition": [[1.0]], "state_cov": [[walk]]}
    >>> model = LinearDynamicalSystem.from_function(random_walk_and_noise, [9.0, 9.0], ["log noise", "log walk"])
    >>> print(model.fit(load_nile().flow).summary())  # doctest: +ELLIPSIS
    ParametricModel: 99 steps, log-likelihood -633.4646, aic 1270.9291, bic 1276.1194
    converged: ...
    parameter      estimate    std. error         z               0.95 interval
    log noise       9.6223...      0.20833...    46.18...       9.214...       10.030...
    log walk        7.2924...      0.8714...     8.36...       5.584...       9.000...
    standard errors: observed

    """

    def __init__(
        self, parametrisation: Any = None, *, n_iter: int = 500, tol: float | None = None, random_state: Any = None
    ) -> None:
        self.parametrisation = parametrisation
        self.n_iter = n_iter
        self.tol = tol
        self.random_state = random_state

    def _make_parametrisation(self, observations: Observations, exog: Any) -> Parametrisation:
        """The parametrisation for these data; subclasses make their own."""
        del observations
        if exog is not None:
            raise ValueError(f"this {type(self).__name__} takes no exog")
        lacking = [name for name in ("names", "start", "system", "pullback") if not hasattr(self.parametrisation, name)]
        if lacking:
            raise TypeError(
                f"parametrisation is {self.parametrisation!r:.60}, expected an object with names, start, system and "
                f"pullback: it lacks {', '.join(lacking)}"
            )
        made: Parametrisation = self.parametrisation
        return made

    @unchanged_on_failure
    def fit(self, X: Any, lengths: Any = None, *, exog: Any = None, sample_weight: Any = None) -> Self:
        """Learn the parameters by maximum likelihood.

        Parameters
        ----------
        X : sequence or list of sequences
            Observations, NaN where missing.
        lengths : (n_sequences,), optional
            Lengths of the sequences laid end to end in a flat `X`.
        exog : optional
            Known inputs, for the models that take them.
        sample_weight : (n_sequences,), optional
            A weight for each sequence; 2 is as if it were there twice.

        Raises
        ------
        TypeError, ValueError
            Where the data are not what they should be, or are no more than the diffuse start takes; the model then is
            as it was before.

        Warns
        -----
        ConvergenceWarning
            If `n_iter` iterations did not suffice.

        """
        check_integer("n_iter", self.n_iter)
        check_tolerance("tol", self.tol)
        observations = read_observations(X, lengths)
        weights = check_sample_weight(sample_weight, observations.n_sequences)
        parametrisation = self._make_parametrisation(observations, exog)
        objective = Objective(parametrisation, observations, weights)
        if not objective.n_observed:
            raise ValueError("X has no observation: every value is missing")
        monitor = gradient_monitor(self.tol, self.n_iter, objective.n_observed)
        with blas_on_one_thread():
            start = np.array(parametrisation.start(observations), dtype=np.float64)
            objective.require_evidence(start)
            theta, value = climb(objective, start, monitor)
        if monitor.reason.startswith("not converged") and monitor.n_iter > 1:
            warn_not_converged(monitor)
        self.monitor_ = monitor
        self._remember(objective, theta, value)
        return self

    def _remember(self, objective: Objective, theta: Floats, value: float) -> None:
        """Keep what a fit has found."""
        self.theta_ = theta
        self.params_ = objective.natural(theta)
        self.param_names_ = list(objective.parametrisation.names)
        self._fitted_system = objective.parametrisation.system(theta)
        self._record(objective, theta, value)

    def _system(self) -> System:
        """The system of the estimates."""
        if not hasattr(self, "_fitted_system"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first")
        return self._fitted_system

    def _to_archive(self) -> Any:
        """A function is code, which no file keeps; subclasses that are made of settings write these."""
        raise TypeError(
            f"a {type(self).__name__} holds code of yours, which no file keeps: save its params_, or its matrices as a "
            "LinearDynamicalSystem.from_matrices(...); or pickle it, if the function belongs to a module"
        )

    @property
    def n_parameters(self) -> int:
        """Parameters that were estimated."""
        if not hasattr(self, "theta_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first")
        return len(self.theta_)
