"""What the models with hmmlearn's names have in common: one spelling for `HMM` and an emission.

A named model keeps its learnt parameters in an emission, and shows them under hmmlearn's names (`means_` is the means
of the emission). Its constructor's arguments that belong to the emission are handed to it at every use, since they may
be set by hand at any time, as its parameters may.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any, ClassVar, Self

import numpy as np

from statespace.foundations.estimator import NotFittedError, unchanged_on_failure
from statespace.foundations.validation import check_choice
from statespace.hmm.baum_welch import Law
from statespace.hmm.letters import (
    begun_anew,
    check_letters,
    held_parameters,
    surviving,
    surviving_laws,
    warn_overwritten,
)
from statespace.hmm.model import HMM
from statespace.protocols import Array, Ints

_ROUNDED = 1.001e-5  # what hmmlearn lets a sum of probabilities differ from 1
_LAWS = ("emissionprob", "weights")


class OfEmission:
    """A learnt parameter that the emission keeps."""

    def __init__(self, parameter: str) -> None:
        self.parameter = parameter

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        if model is None:
            return self
        value = getattr(vars(model).get("_emission"), self.parameter, None)
        if value is None:
            raise NotFittedError(
                f"{type(model).__name__} has no {self.parameter}_ yet: call fit(X) first, or assign it"
            )
        return value

    def __set__(self, model: Any, value: Any) -> None:
        model.set_parameter(self.parameter, value)


class NamedHMM(HMM):
    """Constructor, attributes and behaviour that all models with hmmlearn's names share."""

    _family: ClassVar[Any]
    """The class of the emission."""
    _options: ClassVar[tuple[str, ...]]
    """Arguments of the constructor that are the emission's."""
    _letters: ClassVar[dict[str, str]]
    """hmmlearn's letters of the emission's parameters."""

    def __init__(
        self,
        n_components: int,
        *,
        startprob_prior: Any,
        transmat_prior: Any,
        algorithm: str,
        random_state: Any,
        n_iter: int,
        tol: float | None,
        verbose: bool,
        params: str,
        init_params: str,
        implementation: str,
        start: str,
        fixed: dict[str, Any] | None,
        n_init: int,
        method: str,
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation
        self.start = start
        self.fixed = fixed
        self.n_init = n_init
        self.method = method

    # -------------------------------------------------------------------------------------------------- the emission

    def _emission_options(self) -> dict[str, Any]:
        given = vars(self)
        return {name: given[name] for name in self._options}

    @property
    def emission(self) -> Any:  # of a named model it follows from the arguments
        """A new emission as the constructor's arguments describe it."""
        return self._family(**self._emission_options())

    @property
    def emission_(self) -> Any:
        """The emission with the learnt parameters."""
        if "_emission" not in vars(self):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first")
        for name, value in self._emission_options().items():
            setattr(self._emission, name, value)
        return self._emission

    @emission_.setter
    def emission_(self, emission: Any) -> None:
        self._emission = emission

    @property
    def n_features(self) -> int | None:
        """How many features, or symbols, there are: as it was set, or as the learnt parameters have it."""
        given: int | None = vars(self).get("n_features")
        if given is None:
            try:
                return self._known_width()
            except NotFittedError:
                if "n_features" not in self._parameters():
                    raise
        return given

    @n_features.setter
    def n_features(self, n_features: int | None) -> None:
        vars(self)["n_features"] = n_features

    def _known_width(self) -> int:
        shape = np.shape(OfEmission(next(iter(self._letters.values()))).__get__(self))
        return 1 if len(shape) == 1 else int(shape[-1])

    def set_parameter(self, parameter: str, value: Any) -> None:
        """Set a parameter of the emission, as assigning to the attribute does."""
        if "_emission" not in vars(self):
            self._emission = self.emission
        setattr(self._emission, parameter, made_exact(value) if parameter in _LAWS else np.asarray(value))

    def _new_emission(self) -> Any:
        emission = self.emission
        known = vars(self).get("_emission")
        for name in surviving(self._begun_anew(), self._letters):
            value = getattr(known, name, None)
            if value is not None:
                setattr(emission, name, np.array(value))
        return emission

    def _begun_anew(self) -> str:
        return begun_anew(self, self.init_params, self.fixed, self._letters)

    def _given_laws(self) -> dict[str, Any]:
        return {name: made_exact(law) for name, law in surviving_laws(self, self._begun_anew()).items()}

    def _given_fixed(self) -> dict[str, Any]:
        return super()._given_fixed() | held_parameters(self.params, self._letters)

    # --------------------------------------------------------------------------------------------------------- verbs

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
        """Learn the parameters.

        Those whose letters are not in `init_params`, and those that `fixed` names, start from the values they have.

        Parameters, errors and warnings are those of `HMM.fit`.
        """
        check_letters("params", self.params, self._letters)
        check_letters("init_params", self.init_params, self._letters)
        check_choice("implementation", self.implementation, ("log", "scaling"))
        warn_overwritten(self, self._begun_anew(), self._letters)
        super().fit(X, lengths, states=states, sample_weight=sample_weight, executor=executor)
        self._check_width()
        return self

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Array, Ints]:
        """Draw a sequence of observations, (n_samples, n_features), and its states, (n_samples,); see `HMM.sample`."""
        drawn, states = super().sample(n_samples, random_state, currstate)
        return (drawn[:, None] if drawn.ndim == 1 else drawn), states

    def _law(self) -> Law:
        check_choice("implementation", self.implementation, ("log", "scaling"))
        for name in ("startprob_", "transmat_"):
            if hasattr(self, name):
                setattr(self, name, made_exact(getattr(self, name)))  # lists by hand become arrays
        law = super()._law()
        self._check_width()
        return law

    def _check_width(self) -> None:
        given = vars(self).get("n_features")
        if given is not None and given != self._known_width():
            raise ValueError(f"n_features is {given}, and the parameters of the emission have {self._known_width()}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the constructor by name, as they were given."""
        return super().get_params(deep) | {name: vars(self)[name] for name in self._parameters()}


def made_exact(laws: Any) -> Any:
    """Laws by hand, (..., n), whose sums are 1 but for rounding in some digit, with sums of 1; others as an array."""
    try:
        rows = np.asarray(laws, dtype=np.float64)
    except (TypeError, ValueError):
        return laws
    if not rows.size:
        return rows
    sums = np.add.reduce(rows, axis=-1, keepdims=True)
    off = max(float(sums.max()) - 1.0, 1.0 - float(sums.min()))  # NaN stays, and is refused where laws are checked
    return rows / sums if 1e-12 < off <= _ROUNDED and rows.min() >= 0 else rows
