"""Structural time series models: a series as the sum of a trend, seasons, cycles, regressions and noise.

    StructuralModel(trend="local linear", seasonal=12)          LocalLinearTrend() + Seasonal(12)

are the same model. It is estimated by maximum likelihood on the exact gradient; Harvey (1989).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.lds.component import Component
from statespace.lds.components import (
    Autoregressive,
    Cycle,
    Irregular,
    Level,
    LocalLinearTrend,
    Regression,
    Seasonal,
    SmoothTrend,
)
from statespace.lds.composed_model import ComposedModel
from statespace.lds.decomposition import decompose, join_decompositions
from statespace.lds.identification import check_told_apart


class StructuralModel(ComposedModel):
    """A structural time series model of one series, or of several that share its parameters.

    Parts of which no data could tell whose a path is are refused: two levels, a level beside a trend, seasons of which
    one is a multiple of the other.

    Parameters
    ----------
    level : bool or Level
        A level without a slope: True is `Level()`, a random walk.
    trend : {"local linear", "smooth"} or LocalLinearTrend, optional
        A level with a slope, in place of `level`.
    seasonal : int, Seasonal or a list of these, optional
        An int is the period of a dummy seasonal.
    cycle : bool, (shortest, longest), Cycle or a list of these
        True is `Cycle()`; a pair bounds the period, in steps.
    autoregressive : int, Autoregressive or a list of Autoregressive, optional
        An int is the order.
    exog : {"states", "parameters"} or Regression, optional
        How the coefficients of the known inputs are treated, which come with the data as `fit(X, exog=...)`. None:
        "states" where there are inputs.
    irregular : bool or Irregular
        White noise of the observations.
    others : list of Component, optional
        Parts of your own.
    n_iter, tol, random_state
        As in `ParametricModel`.

    Attributes
    ----------
    params_ : (n_parameters,)
        The estimates, as `param_names_` names them.

    """

    def __init__(
        self,
        level: Any = False,
        trend: Any = None,
        seasonal: Any = None,
        cycle: Any = False,
        autoregressive: Any = None,
        exog: Any = None,
        irregular: Any = True,
        others: Any = None,
        *,
        n_iter: int = 500,
        tol: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.level = level
        self.trend = trend
        self.seasonal = seasonal
        self.cycle = cycle
        self.autoregressive = autoregressive
        self.exog = exog
        self.irregular = irregular
        self.others = others
        self.n_iter = n_iter
        self.tol = tol
        self.random_state = random_state

    @classmethod
    def of(cls, *components: Component) -> Self:
        """The model of some parts; what `Level() + Seasonal(12)` gives. An irregular comes with it, once."""
        given: dict[str, Any] = {}
        for component in components:
            if not isinstance(component, Component):
                raise TypeError(f"{component!r:.60} is no part of a structural model, as Level() or Seasonal(12) are")
            word = next((word for kind, word in _WORDS.items() if isinstance(component, kind)), "others")
            if word in _SEVERAL:
                given[word] = [*given.get(word, []), component]
            else:
                given[word] = component
        check_told_apart([component for component in components if not isinstance(component, Irregular)])
        for word in ("seasonal", "cycle", "autoregressive"):
            if len(given.get(word, [])) == 1:
                given[word] = given[word][0]
        if "irregular" in given:
            given["irregular"] = True
        return cls(**given)

    def __add__(self, other: Any) -> Self:
        if not isinstance(other, Component | StructuralModel):
            return NotImplemented
        added = other.components() if isinstance(other, StructuralModel) else [other]
        made = self.of(*self.components(), *added)
        noisy = self.irregular or any(isinstance(part, Irregular) for part in added)
        return made.set_params(n_iter=self.n_iter, tol=self.tol, random_state=self.random_state, irregular=bool(noisy))

    def components(self) -> list[Component]:
        """Its parts, in the order of their states."""
        if isinstance(self.autoregressive, list) and any(_is_whole(order) for order in self.autoregressive):
            raise TypeError(
                f"autoregressive is {self.autoregressive!r:.60}, expected an order, an Autoregressive, or a list of "
                "Autoregressive, one for each of several; lags that are left out are not possible"
            )
        parts = [_part("level", value, Level) for value in _listed(self.level)]
        parts += [_part("trend", value, LocalLinearTrend) for value in _listed(self.trend)]
        parts += [_part("seasonal", value, Seasonal) for value in _listed(self.seasonal)]
        parts += [_part("cycle", value, Cycle) for value in _listed(self.cycle)]
        parts += [_part("autoregressive", value, Autoregressive) for value in _listed(self.autoregressive)]
        parts += [_part("exog", value, Regression) for value in _listed(self.exog)]
        parts += [_part("others", value, Component) for value in _listed(self.others)]
        parts += [_part("irregular", value, Irregular) for value in _listed(self.irregular)]
        check_told_apart(parts)
        return parts

    def decompose(self, X: Any, lengths: Any = None, *, exog: Any = None) -> Any:
        """The parts of a series given all its observations; for a list of series a list, end to end for flat ones.

        Parameters
        ----------
        X, lengths, exog
            As in `fit`.

        Returns
        -------
        Decomposition or list of Decomposition
            Means, variances and intervals of each part.

        """
        _, observations, series = self._read(X, lengths, exog)
        parts = [decompose(self._composition, one.system, self._smooth_one(one, "auto"), one.index) for one in series]
        return self._formed(observations, parts, join_decompositions)


_WORDS: dict[Any, str] = {
    Level: "level",
    LocalLinearTrend: "trend",
    Seasonal: "seasonal",
    Cycle: "cycle",
    Autoregressive: "autoregressive",
    Regression: "exog",
    Irregular: "irregular",
}
_SEVERAL = ("seasonal", "cycle", "autoregressive", "others")
_EXPECTED = {
    "level": "True or a Level (a slope comes with trend='local linear' or 'smooth')",
    "trend": "'local linear', 'smooth' or a LocalLinearTrend",
    "seasonal": "a period, a Seasonal, or a list of these",
    "cycle": "True, a pair (shortest, longest) of periods, a Cycle, or a list of these",
    "autoregressive": "an order, an Autoregressive, or a list of Autoregressive",
    "exog": "'states', 'parameters' or a Regression; the inputs come with the data: fit(X, exog=...)",
    "others": "a list of Component",
    "irregular": "True or False",
}


def _listed(value: Any) -> list[Any]:
    if value is None or value is False:
        return []
    return list(value) if isinstance(value, list) else [value]


def _part(word: str, value: Any, kind: Any) -> Component:
    """A part as it is, or from its short form."""
    if isinstance(value, Component) and isinstance(value, kind):
        return value
    made: Component | None = None
    whole = _is_whole(value)
    if kind is Seasonal and whole:
        made = Seasonal(int(value))
    elif kind is Autoregressive and whole:
        made = Autoregressive(int(value))
    elif kind is Cycle and isinstance(value, tuple) and len(value) == 2:
        made = Cycle(*value)
    elif kind is Regression and isinstance(value, str):
        made = Regression(value)
    elif kind is LocalLinearTrend and isinstance(value, str) and value in ("local linear", "smooth"):
        made = LocalLinearTrend() if value == "local linear" else SmoothTrend()
    elif kind in (Level, Cycle, Irregular) and value is True:
        made = kind()
    if made is None:
        data = "; the data come with fit(X)" if np.ndim(value) else ""
        raise TypeError(f"{word} is {value!r:.60}, expected {_EXPECTED[word]}{data}")
    return made


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
