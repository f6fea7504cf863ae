"""Models that are made of parts, fitted by maximum likelihood: what structural models and ARIMA share."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from statespace.foundations.archive import Archive, UnknownClassError
from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.estimator import unchanged_on_failure
from statespace.foundations.observations import Observations
from statespace.lds.arima_process import ArimaProcess
from statespace.lds.component import Component
from statespace.lds.components import PARTS, Regression
from statespace.lds.composition import Composition
from statespace.lds.diagnostics import Diagnostics, diagnostics
from statespace.lds.dynamics import Dynamics
from statespace.lds.estimation import ParametricModel
from statespace.lds.known_inputs import check_independent, read_inputs
from statespace.lds.objective import Objective
from statespace.lds.reading import Inputs, Series
from statespace.lds.results import Gradient
from statespace.lds.system import System
from statespace.protocols import Array, Floats

_PARTS: dict[str, type[Component]] = {**PARTS, ArimaProcess.__name__: ArimaProcess}


class ComposedModel(ParametricModel):
    """A model of one series, or of several with the same parameters, by its parts.

    What its parts are, a subclass says; what they need of known inputs comes with the data.
    """

    _composition: Composition
    _exog_names: tuple[str, ...] | None

    def components(self) -> list[Component]:
        """Its parts, in the order of their states."""
        raise AttributeError("components")

    def _regression(self) -> Regression:
        """How known inputs are treated where no part says so."""
        return Regression()

    @unchanged_on_failure
    def fit(self, X: Any, lengths: Any = None, *, exog: Any = None, sample_weight: Any = None) -> Self:
        """Learn the parameters by maximum likelihood.

        Parameters
        ----------
        X : sequence or list of sequences
            Observations of one feature, NaN where missing.
        lengths : (n_sequences,), optional
            Lengths of the sequences laid end to end in a flat `X`.
        exog : (n_samples, n_inputs) or a list of these, optional
            Known inputs, a row for each observation: in the form of `X`, or of all sequences end to end; the columns
            of a frame give them their names.
        sample_weight : (n_sequences,), optional
            A weight for each sequence.

        Raises
        ------
        TypeError, ValueError
            Where the data or the parts are not what they should be, or the data no more than the diffuse start takes;
            the model then is as it was before.

        Warns
        -----
        ConvergenceWarning
            If `n_iter` iterations did not suffice.

        """
        with blas_on_one_thread():
            return super().fit(X, lengths, exog=exog, sample_weight=sample_weight)

    def _make_parametrisation(self, observations: Observations, exog: Any) -> Composition:
        width = observations.values.shape[1]
        if width != 1:
            raise ValueError(
                f"X has {width} columns, and {type(self).__name__} is a model of one feature: fit one, X[:, 0], or a "
                "model of each, fit_each(list of series)"
            )
        components = self.components()
        if exog is None:
            return Composition(components)
        known = read_inputs(exog, observations)
        assert known is not None
        check_independent(known, beside_constant=any(component.holds_constant for component in components))
        if not any(component.takes_exog for component in components):
            at = next((k for k, part in enumerate(components) if part.name == "irregular"), len(components))
            components.insert(at, self._regression())
        return Composition(components, known.values, _column_names(exog, known.values.shape[1]))

    def _remember(self, objective: Objective, theta: Floats, value: float) -> None:
        made = objective.parametrisation
        assert isinstance(made, Composition)
        self._exog_names = made.exog_names if made.exog is not None else None
        super()._remember(objective, theta, value)
        if self._exog_names is None:
            self._composition = made
        else:
            self._set_system(made.components)

    def _set_system(self, components: list[Component]) -> None:
        """The system of the parameters as it is without inputs, which come in with the data."""
        names = self._exog_names
        nothing = None if names is None else np.zeros((1, len(names)))
        self._composition = Composition(components, nothing, names or ())
        self._fitted_system = self._composition.system_of(self.params_)

    # --------------------------------------------------------------------------------------------- known inputs

    def _inputs(self) -> Inputs:
        if getattr(self, "_exog_names", None) is None:
            return Inputs(None, None)
        number, part = self._regression_part()
        if part.n_states:
            return Inputs(np.zeros((1, part.n_states)), None)
        return Inputs(self.params_[self._composition.own_values(number)][None], None)

    def _regression_part(self) -> tuple[int, Component]:
        return next((number, part) for number, part in enumerate(self._composition.components) if part.takes_exog)

    def _moved(self, system: System, shared: Dynamics, inputs: Floats | None) -> tuple[System, Dynamics]:
        if inputs is not None:
            number, part = self._regression_part()
            if part.n_states:
                design = np.repeat(system.design, len(inputs), axis=0)
                design[:, 0, self._composition.states[number]] = inputs
                return system._replace(design=design), shared
        return super()._moved(system, shared, inputs)

    def _coefficients_are_states(self) -> bool:
        return getattr(self, "_exog_names", None) is not None and self._regression_part()[1].n_states > 0

    def _by_inputs(self, one: Series, found: Gradient, r: Floats) -> Gradient:
        return found if self._coefficients_are_states() else super()._by_inputs(one, found, r)

    def _given_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = super()._given_shapes()
        if self._coefficients_are_states():
            del shapes["design"]  # a row of inputs a step
        return shapes

    # ---------------------------------------------------------------------------------------------- diagnostics

    def diagnostics(
        self, X: Any, lengths: Any = None, *, exog: Any = None, lags: Any = None, n_parameters: int = 0
    ) -> Any:
        """Tests of the standardised innovations: whether they look like white noise.

        Parameters
        ----------
        X, lengths, exog
            As in `fit`.
        lags, n_parameters
            As in `statespace.lds.diagnostics.diagnostics`.

        Returns
        -------
        Diagnostics or list of Diagnostics
            One for one sequence; of several, flat ones too, each has tests of its own.

        """
        several, filtered = self._filter_each(X, lengths, exog)
        found: list[Diagnostics] = [diagnostics(one, lags, n_parameters)[0] for one in filtered]
        return found if several else found[0]

    # --------------------------------------------------------------------------------------------------- saving

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        params = {name: _as_json(value, name) for name, value in self.get_params(deep=False).items()}
        names = None if self._exog_names is None else list(self._exog_names)
        return {"params": params, "exog_names": names}, {"params": self.params_, "theta": self.theta_}

    @classmethod
    def _from_archive(cls, archive: Archive) -> Self:
        model = cls(**{name: _from_json(value, archive) for name, value in archive.header["params"].items()})
        names = archive.header["exog_names"]
        model._exog_names = None if names is None else tuple(str(name) for name in names)
        components = model.components()
        if names is not None and not any(component.takes_exog for component in components):
            at = next((k for k, part in enumerate(components) if part.name == "irregular"), len(components))
            components.insert(at, model._regression())
        model.params_, model.theta_ = archive.arrays["params"], archive.arrays["theta"]
        model._set_system(components)
        model.param_names_ = list(model._composition.names)
        if len(model.params_) != len(model.param_names_):
            raise ValueError(f"{len(model.params_)} numbers for {len(model.param_names_)} parameters")
        return model


def _column_names(exog: Any, width: int) -> tuple[str, ...]:
    if isinstance(exog, list | tuple) and len(exog) and np.ndim(exog[0]):
        exog = exog[0]
    names = getattr(exog, "columns", None)
    if names is None and getattr(exog, "name", None) is not None:
        names = [exog.name]
    made = tuple(str(name) for name in names) if names is not None else ()
    return made if len(made) == width == len(set(made)) else tuple(f"x{number}" for number in range(1, width + 1))


def _as_json(value: Any, name: str) -> Any:
    """A parameter as JSON has it; a generator is not kept."""
    if isinstance(value, Component):
        fields = {word: _as_json(inner, word) for word, inner in value.settings().items()}
        return {"part": type(value).__name__, "settings": fields}
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [_as_json(inner, name) for inner in value]}
    if isinstance(value, np.random.Generator | np.random.RandomState):
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{name} is {value!r:.60}, which a file cannot keep")


def _from_json(value: Any, archive: Archive) -> Any:
    if not isinstance(value, dict):
        return value
    if "part" in value:
        kind = archive.classes.get(value["part"], _PARTS.get(value["part"]))
        if kind is None or not issubclass(kind, Component):
            raise UnknownClassError("a part", str(value["part"]))
        return kind(**{word: _from_json(inner, archive) for word, inner in value["settings"].items()})
    if "float" in value:
        return float(value["float"])
    inner = [_from_json(one, archive) for one in (value["list"] if "list" in value else value["tuple"])]
    return inner if "list" in value else tuple(inner)
