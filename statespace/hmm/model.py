"""Hidden Markov models with any emission.

    p(x, z) = p(z_1) p(x_1 | z_1) prod_n p(z_n | z_{n-1}) p(x_n | z_n)

The model validates, in words, and calls the recursions; what is specific to a kind of observation lies in its emission.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Self

import numpy as np

from statespace.foundations.archive import Archive
from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.em import ConvergenceMonitor, warn_not_converged
from statespace.foundations.estimator import NotFittedError, unchanged_on_failure
from statespace.foundations.executors import map_pieces
from statespace.foundations.probability import generator
from statespace.foundations.stationary_start import unique_stationary_law
from statespace.foundations.stochastic_matrix import check_stochastic_matrix
from statespace.foundations.validation import check_choice, check_integer, check_sample_weight, check_tolerance
from statespace.hmm.baum_welch import Law, Priors
from statespace.hmm.evidence import read_evidence
from statespace.hmm.gradient_fit import check_differentiable
from statespace.hmm.restarts import Fit
from statespace.hmm.saving import from_archive, to_archive
from statespace.hmm.starts import Start, checked_laws
from statespace.hmm.state_order import align_states, order_by, reorder_laws
from statespace.hmm.verbs import HiddenStates
from statespace.protocols import Array, Floats, Ints

_log = logging.getLogger("statespace")


class HMM(HiddenStates):
    """A hidden Markov model of any emission.

    Parameters
    ----------
    n_components : int
        Number of states K.
    emission : object
        The law of an observation in each state: one of `statespace.hmm.emissions`, or your own object with the four
        members of `statespace.hmm.Emission`. It is copied, never changed.
    start : {"free", "stationary"}
        The law of the first state: free, or the stationary law of the transition matrix, which then is estimated to
        the maximum of both together.
    init : dict, optional
        Starting values by name: "startprob" (K,), "transmat" (K, K). Zeros stay zero in every fit, which is how a
        left-right or banded model is made.
    startprob_prior, transmat_prior : float or array
        Parameters of Dirichlet priors; 1 is maximum likelihood.
    fixed : dict, optional
        What is held at its starting value: "startprob", "transmat" or "emission" -> True, or for the first two a mask
        of entries (True: held); the others of a row share what is left. Other names are handed to the emission.
    algorithm : {"viterbi", "map"}
        How `decode` finds states: the path most likely as a whole, or the most likely state of each step.
    method : {"em", "lbfgs"}
        How to climb: by expectation-maximisation, or by L-BFGS on the exact gradient, which needs fewer iterations
        where states overlap much or start="stationary". An emission of your own then needs to_vector, from_vector and
        gradient.
    n_init : int
        Fits from as many starts, of which the best is kept.
    n_iter : int
        The largest number of iterations.
    tol : float, optional
        The fit has converged when an iteration gains less, in nats in total; None: 1e-7 nats an observation.
    verbose : bool
        Print each iteration to standard error.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.

    Attributes
    ----------
    startprob_ : (n_components,)
        p(z_1 = k).
    transmat_ : (n_components, n_components)
        p(z_{n+1} = j | z_n = i).
    emission_ : object
        The emission with its parameters.
    monitor_ : ConvergenceMonitor
        The history of the fit, and why it stopped.

    References
    ----------
    Rabiner (1989); Bishop (2006), section 13.2.

    Examples
    --------
    Two states of counts, and how likely each was at the end:

    >>> from statespace.hmm import HMM, PoissonEmission
    >>> counts = [1, 0, 2, 1, 9, 8, 11, 9, 10, 1, 0, 1, 2, 0, 12, 9]
    >>> model = HMM(2, PoissonEmission(), random_state=0).fit(counts)
    >>> model.emission_.lambdas.round(1).ravel().tolist()
    [0.9, 9.7]
    >>> model.filter(counts).state.round(3).tolist()
    [0.0, 1.0]

    """

    def __init__(
        self,
        n_components: int = 1,
        emission: Any = None,
        *,
        start: str = "free",
        init: dict[str, Any] | None = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        fixed: dict[str, Any] | None = None,
        algorithm: str = "viterbi",
        method: str = "em",
        n_init: int = 1,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.emission = emission
        self.start = start
        self.init = init
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.fixed = fixed
        self.algorithm = algorithm
        self.method = method
        self.n_init = n_init
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state

    # ------------------------------------------------------------------------------------------------- learning

    @unchanged_on_failure
    def fit(
        self,
        X: Any,
        lengths: Any = None,
        *,
        states: Any = None,
        sample_weight: Any = None,
        executor: Executor | None = None,
    ) -> Self:
        """Learn the parameters by maximum likelihood, or maximum a posteriori where there are priors.

        Parameters
        ----------
        X : sequence or list of sequences
            Observations, as the emission reads them; NaN where missing.
        lengths : (n_sequences,), optional
            Lengths of the sequences laid end to end in a flat `X`.
        states : array of int, in the form of X, optional
            States that are known, -1 where they are not; the model's states have the numbers of these labels.
        sample_weight : (n_sequences,), optional
            A weight for each sequence; 2 is as if it were there twice. Only their ratios matter, unless there are
            priors or a `tol` in nats.
        executor : concurrent.futures.Executor, optional
            Shares out the restarts and the pieces of the data; threads without it.

        Raises
        ------
        TypeError, ValueError
            Where the data or a parameter are not what they should be; the model then is as it was before.

        Warns
        -----
        ConvergenceWarning
            If `n_iter` iterations did not suffice.

        """
        K = check_integer("n_components", self.n_components, 1)
        check_choice("start", self.start, ("free", "stationary"))
        check_choice("method", self.method, ("em", "lbfgs"))
        n_init = check_integer("n_init", self.n_init, 1)
        check_integer("n_iter", self.n_iter)
        check_tolerance("tol", self.tol)
        prepared = self._new_emission()
        evidence = read_evidence(prepared, X, lengths, states, K)
        if evidence.observations.missing is not None and evidence.observations.missing.all():
            raise ValueError("X has no observation: every value is missing")
        offsets = evidence.observations.offsets
        weights = check_sample_weight(sample_weight, len(offsets) - 1)
        if weights is None:
            weights = np.ones(len(offsets) - 1)
        priors = self._checked_priors(K)
        held = self._checked_fixed(K)
        seeds = [None] * n_init  # fresh entropy for each
        if self.random_state is not None:
            seeds = generator(self.random_state).integers(2**63, size=n_init).tolist()
        if self.method == "lbfgs" and held.get("emission") is not True:
            check_differentiable(prepared)
        # Elsewhere than on threads, only one storey of the work is shared out: restarts, or else pieces of the data
        within = executor if n_init == 1 or isinstance(executor, ThreadPoolExecutor) else None
        fit = Fit(
            evidence,
            weights,
            priors,
            held,
            method=self.method,
            stationary=self.start == "stationary",
            executor=within,
        )
        with blas_on_one_thread(evidence.n_multiplications):
            start = Start(K, prepared, self._given_laws(), self._given_fixed(), fit)
            starts = [start(seed, number) for number, seed in enumerate(seeds)]
            n_observations = evidence.n_observations(weights)
            begun = [(start, self._new_monitor(n_observations, i)) for i, start in enumerate(starts)]
            fitted = map_pieces(fit, begun, None if n_init == 1 else executor)
        monitors = [found.monitor for found in fitted]
        best = 0
        if n_init > 1:
            best = max(range(n_init), key=lambda number: (*list(monitors[number].history)[-1:], -number))
        monitor = monitors[best]
        if monitor.reason.startswith("not converged") and monitor.n_iter > 1:
            warn_not_converged(monitor)
        self._learn(fitted[best].law)
        self._monitor = monitor
        self._n_free = self._count_free(starts[best], held)
        self._report(fitted[best].mass, evidence.observations.values.size)
        return self

    def _new_emission(self) -> Any:
        if self.emission is None or isinstance(self.emission, type):
            raise TypeError(
                f"emission is {self.emission!r}: hand over an object such as CategoricalEmission(), or your own with "
                "log_likelihood, m_step, sample and n_parameters"
            )
        kind, own = type(self.emission), getattr(self.emission, "__dict__", {})
        lacking = [
            name
            for name in ("log_likelihood", "m_step", "sample", "n_parameters")
            if not (hasattr(kind, name) or name in own)  # a property may have nothing to say before the fit
        ]
        if lacking:
            raise TypeError(f"{type(self.emission).__name__} is no emission: it lacks {', '.join(lacking)}")
        return copy.deepcopy(self.emission)

    @property
    def monitor_(self) -> ConvergenceMonitor:
        """The history of the fit, and why it stopped; one that is assigned watches the fits to come."""
        if not hasattr(self, "_monitor"):
            self._monitor = ConvergenceMonitor(self.tol, self.n_iter, self.verbose)
        return self._monitor

    @monitor_.setter
    def monitor_(self, monitor: ConvergenceMonitor) -> None:
        if not isinstance(monitor, ConvergenceMonitor):
            raise TypeError(
                f"monitor_ is a {type(monitor).__name__}, expected a statespace.hmm.ConvergenceMonitor or a subclass"
            )
        self._monitor = self._assigned_monitor = monitor

    def _new_monitor(self, n_observations: float, number: int) -> ConvergenceMonitor:
        monitor: ConvergenceMonitor
        if not hasattr(self, "_assigned_monitor"):
            monitor = ConvergenceMonitor(self.tol, self.n_iter, self.verbose)
        elif number:
            monitor = copy.deepcopy(self._assigned_monitor)
        else:
            monitor = self._assigned_monitor
        monitor.begin(n_observations)
        return monitor

    def _given_laws(self) -> dict[str, Any]:
        """Starting values of the laws, by name."""
        return dict(self.init or {})

    def _given_fixed(self) -> dict[str, Any]:
        """What is held, by name: True or a mask."""
        if self.fixed is not None and not isinstance(self.fixed, Mapping):
            raise TypeError(
                f"fixed is {self.fixed!r:.60}, expected a dict from names to True or a mask: {{'transmat': True}}"
            )
        return dict(self.fixed or {})

    def _checked_priors(self, K: int) -> Priors:
        made: list[Any] = []
        for name, shape in (("startprob_prior", (K,)), ("transmat_prior", (K, K))):
            given = getattr(self, name)
            if type(given) is float and given == 1.0:
                made.append(given)
                continue
            value = np.asarray(given, dtype=np.float64)
            if value.ndim == 0 and value == 1:
                made.append(value)
                continue
            try:
                np.broadcast_to(value, shape)
            except ValueError:
                raise ValueError(f"{name} has shape {value.shape}, expected a number or shape {shape}") from None
            if not (np.isfinite(value) & (value >= 1)).all():
                raise ValueError(
                    f"{name} is {getattr(self, name)!r:.60}, expected numbers of at least 1, which is no prior: below "
                    "1 the posterior density has no maximum"
                )
            made.append(value)
        return Priors(*made)

    def _checked_fixed(self, K: int) -> dict[str, Any]:
        held = self._given_fixed()
        for name, shape in (("startprob", (K,)), ("transmat", (K, K))):
            if name in held and held[name] is not True:
                mask = np.asarray(held[name])
                if mask.dtype != np.bool_ or mask.shape != shape:
                    raise ValueError(f"fixed[{name!r}] must be True or a boolean mask of shape {shape}")
                held[name] = mask
        others = held.keys() - {"startprob", "transmat", "emission"}
        if others and not hasattr(self.emission, "fixed"):
            raise ValueError(f"fixed names {sorted(others)}, which {type(self.emission).__name__} cannot hold")
        return held

    def _learn(self, law: Law) -> None:
        self.startprob_, self.transmat_, self.emission_ = law

    def _count_free(self, start: Law, held: dict[str, Any]) -> int:
        total = 0
        for name, values in (("startprob", start.startprob[None]), ("transmat", start.transmat)):
            mask = held.get(name)
            if mask is True or (name == "startprob" and self.start == "stationary"):
                continue
            if mask is None and np.minimum.reduce(values, axis=None) > 0:
                total += values.size - len(values)
                continue
            free = values > 0
            if mask is not None:
                free &= ~np.atleast_2d(mask)
            total += int(np.maximum(free.sum(axis=1) - 1, 0).sum())
        return total + (0 if held.get("emission") is True else int(start.emission.n_parameters))

    def _report(self, mass: Floats, n_numbers: int) -> None:
        """Log what a user should know of the fit."""
        if n_numbers < self._n_free:
            _log.warning(
                "Fitting a model with %d free scalar parameters with only %d data points will result in a degenerate "
                "solution.",
                self._n_free,
                n_numbers,
            )
        empty = 1e-10 * np.add.reduce(mass)
        for k in np.flatnonzero(mass <= empty) if np.minimum.reduce(mass) <= empty else ():
            _log.warning("state %d explains no observation: it has kept its last parameters", k)

    # -------------------------------------------------------------------------------------------- the parameters

    def _law(self) -> Law:
        """The present parameters, checked: they may have been assigned by hand."""
        for name in ("startprob_", "transmat_", "emission_"):
            if not hasattr(self, name):
                raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first")
        K = check_integer("n_components", self.n_components, 1)
        startprob, transmat = checked_laws(self.startprob_, self.transmat_, K, "startprob_", "transmat_")
        emission = self.emission_
        if hasattr(emission, "check"):
            emission.check(K)
        return Law(startprob, transmat, emission)

    @property
    def support(self) -> str:
        """What is predicted: "categories", "counts", "reals" or "mixed"."""
        return str(getattr(self.emission, "support", "reals"))

    @property
    def n_parameters(self) -> int:
        """Free parameters that were estimated: what is held, and zeros from the start, do not count."""
        law = self._law()
        if not hasattr(self, "_n_free"):
            return self._count_free(law, {})
        return int(self._n_free)

    def get_stationary_distribution(self) -> Floats:
        """The law of the states in the long run, shape (n_components,).

        Raises
        ------
        ValueError
            If there are several recurrent classes, each with a law of its own.

        """
        if not hasattr(self, "transmat_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first")
        K = check_integer("n_components", self.n_components, 1)
        return unique_stationary_law(check_stochastic_matrix("transmat_", self.transmat_, shape=(K, K)), "transmat_")

    def sort_states(self, by: Any = "mean") -> Self:
        """Number the states anew, in ascending order of a key.

        Parameters
        ----------
        by : {"mean", "stationary", "startprob"}, callable or (n_components,)
            The mean of the emission, a probability of the state, a function of the model, or a number for each state.

        """
        law = self._law()
        keys = {
            "mean": lambda: law.emission.mean(),
            "stationary": self.get_stationary_distribution,
            "startprob": lambda: law.startprob,
        }
        return self._reorder(law, order_by(by, len(law.startprob), keys, self))

    def align_to(self, X: Any, states: Any, lengths: Any = None) -> Self:
        """Number the states anew, so that `predict(X)` agrees with known `states` (-1 where unknown) most often."""
        law = self._law()
        known = read_evidence(law.emission, X, lengths, states, len(law.startprob)).states
        decoded = self.predict(X, lengths)
        decoded = np.concatenate(decoded) if isinstance(decoded, list) else np.asarray(decoded)
        assert known is not None
        return self._reorder(law, align_states(decoded, known, len(law.startprob)))

    def _reorder(self, law: Law, order: Ints) -> Self:
        emission = copy.deepcopy(law.emission)
        if not hasattr(emission, "reorder"):
            raise TypeError(f"{type(emission).__name__} has no reorder(order): its states keep their numbers")
        emission.reorder(order)
        self._learn(Law(*reorder_laws(law.startprob, law.transmat, order), emission))
        return self

    # ------------------------------------------------------------------------------------------------ in and out

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        return to_archive(self, self._law(), self._n_free if hasattr(self, "_n_free") else None)

    @classmethod
    def _from_archive(cls, archive: Archive) -> Self:
        params, law, n_free = from_archive(archive)
        model = cls(**params)
        model._learn(law)
        if n_free is not None:
            model._n_free = n_free
        model._law()
        return model
