"""All models on one scale: held-out log-likelihood a step, on the same steps.

    held-out nats = -1/n sum over common test steps of log p(x_t | x_1..x_{t-1})         bits = nats / log 2

A step that any model leaves unscored is dropped for all. Densities and probabilities are different units: models of
both kinds are compared through the probability of the same events.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.foundations.estimator import clone
from statespace.foundations.events import Event
from statespace.foundations.predictive import PredictiveLaw
from statespace.foundations.validation import check_integer
from statespace.protocols import Floats, Scored
from statespace.tools.scoring import steps_by_sequence
from statespace.tools.table import html_table, text_table
from statespace.tools.views import View, values_of, views_of, with_inputs, with_one_more

_SHORT_FIT = 0.5  # seconds; a shorter fit is timed once more, so that compiling a kernel does not count


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models side by side; every array has one entry a model, in the order given."""

    names: tuple[str, ...]
    """What the models are called."""
    models: tuple[Any, ...]
    """The fitted clones."""
    n_parameters: tuple[int, ...]
    """Free parameters."""
    log_likelihood: Floats
    """log L of the common steps of the data fitted to, in nats, shape (n_models,)."""
    aic: Floats
    """2 n_parameters - 2 log L."""
    bic: Floats
    """log(n_train_steps) n_parameters - 2 log L."""
    held_out_nats: Floats
    """-mean log p of the common test steps; less is better."""
    held_out_bits: Floats
    """The same in bits."""
    difference: Floats
    """held_out_nats less that of the best."""
    difference_error: Floats
    """Standard error of `difference`: sd of the paired differences by step over the root of their number."""
    fit_seconds: Floats
    """Seconds to fit."""
    n_train_steps: int
    """Common scored steps behind log_likelihood."""
    n_test_steps: int
    """Common scored steps behind held_out_nats."""

    @property
    def best(self) -> str | None:
        """The name of the model with the least held-out loss; None where every loss is infinite."""
        least = int(np.argmin(self.held_out_nats))
        return self.names[least] if np.isfinite(self.held_out_nats[least]) else None

    def to_frame(self) -> Any:
        """A pandas frame, a row a model."""
        try:
            import pandas as pd
        except ImportError:
            raise ImportError('to_frame needs pandas: pip install "statespace-models[frames]"') from None
        columns = ["n_parameters", "log_likelihood", "aic", "bic", "held_out_nats", "held_out_bits", "difference"]
        columns += ["difference_error", "fit_seconds"]
        return pd.DataFrame({name: getattr(self, name) for name in columns}, index=pd.Index(self.names, name="model"))

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        head = ["model", "parameters", "log L", "AIC", "BIC", "held-out nats", "bits", "to best", "s.e.", "fit s"]
        rows = []
        for i, name in enumerate(self.names):
            mark = " *" if name == self.best else ""
            row = [name + mark, str(self.n_parameters[i]), f"{self.log_likelihood[i]:z.2f}", f"{self.aic[i]:z.2f}"]
            row += [f"{self.bic[i]:z.2f}", f"{self.held_out_nats[i]:z.4f}", f"{self.held_out_bits[i]:z.4f}"]
            row += [f"{self.difference[i]:z.4f}", f"{self.difference_error[i]:z.4f}", f"{self.fit_seconds[i]:.3g}"]
            rows.append(row)
        return head, rows

    @property
    def _caption(self) -> str:
        return (
            f"log L, AIC and BIC on {self.n_train_steps} steps, held-out loss a step on {self.n_test_steps}; "
            "* the least held-out loss"
        )

    def __str__(self) -> str:
        return text_table(*self._cells(), caption=self._caption)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), caption=self._caption)


def compare(
    models: Mapping[str, Scored],
    X: Any,
    *,
    test: int | Sequence[Any],
    skip: int | None = None,
    event: Event | None = None,
    bins: Sequence[float] | None = None,
    symbols: Any = None,
    exog: Any = None,
    test_exog: Any = None,
) -> Comparison:
    """Fit clones of the models and compare them on data they have not seen.

    Parameters
    ----------
    models : mapping
        Names and unfitted estimators, of any family, or your own with what `statespace.protocols.Scored` asks.
    X : sequence or list of sequences, or mapping
        What to fit. A mapping from the models' names has each model's own view of the same steps, as a chain sees rainy
        and dry days where another model sees millimetres; they are then compared on the same events.
    test : int or list of sequences
        An int holds out the last `test` steps of the one series `X`: each model is fitted on what is before them and
        predicts them one step at a time, knowing all that came before. Otherwise, other sequences, or a mapping to
        them where X is one.
    skip : int, optional
        Steps at the start of every sequence to leave out.
    event : callable, optional
        A function of an observation; the models are compared by the probability of its value instead of that of the
        observation. Needed where models of symbols stand beside models of real numbers, or models see other views.
    bins : (n_edges,), optional
        Instead of `event`, the interval edges[i - 1] <= x < edges[i] that holds the observation.
    symbols : (n_symbols,), optional
        The alphabet, for models of symbols, where the data fitted to may not show all of it.
    exog : optional
        Known inputs, a row for each step of `X` in its form, for all models that take them; or a mapping from the names
        of the models that are to have them, each to its own.
    test_exog : optional
        Where `test` is sequences, their known inputs: in its form, or such a mapping.

    Returns
    -------
    Comparison
        A table; as text, HTML (in notebooks) and `to_frame()`.

    Raises
    ------
    ValueError
        If the models' densities and probabilities cannot be compared, views are of different events, no step is
        scored by all models, or there are known inputs for a model that takes none.

    Examples
    --------
    >>> from statespace import MarkovChain, compare
    >>> days = ["dry", "dry", "wet", "wet", "wet", "dry"] * 20
    >>> compare({"i.i.d.": MarkovChain(0), "order 2": MarkovChain(2)}, days, test=30).best
    'order 2'

    A chain of rainy days, and the same on classes of rain:

    >>> import numpy as np
    >>> from statespace.datasets import load_seattle_rain
    >>> mm = load_seattle_rain().precipitation
    >>> models = {"rainy": MarkovChain(1), "how rainy": MarkovChain(1)}
    >>> views = {"rainy": mm > 0, "how rainy": np.digitize(mm, [0.1, 5.0])}
    >>> compare(models, views, test=365, event=lambda seen: seen > 0).best
    'how rainy'

    The level of the Nile that moves, and one that a dam has moved once:

    >>> from statespace.datasets import load_nile
    >>> from statespace.lds import Level, StructuralModel
    >>> nile = load_nile()
    >>> models = {"moves": StructuralModel(level=True), "moved once": StructuralModel(level=Level(stochastic=False))}
    >>> dam = (nile.years >= 1899).astype(float)
    >>> compare(models, nile.flow, test=50, exog={"moved once": dam}).best
    'moved once'

    """
    if not isinstance(models, Mapping) or not models:
        raise TypeError("models must map names to unfitted estimators, such as {'order 1': MarkovChain(order=1)}")
    if event is not None and bins is not None:
        raise ValueError("give event= or bins=, not both")
    if event is not None and not callable(event):
        raise TypeError(f"event is {event!r:.40}, expected a function of an observation, such as lambda mm: mm > 0")
    first = 0 if skip is None else check_integer("skip", skip)
    happened = event if bins is None else _Bins(bins)
    views = with_inputs(models, views_of(models, X, test, happened), exog, test_exog)

    if happened is None:
        _check_units({name: model for name, model in models.items() if hasattr(model, "support")})
    fitted, seconds = [], []
    for model, view in zip(models.values(), views, strict=True):
        fresh, took = _timed_fit(model, view, symbols)
        if took < _SHORT_FIT:
            took = min(took, _timed_fit(model, view, symbols)[1])
        fitted.append(fresh)
        seconds.append(took)
    if happened is None:
        _check_units(dict(zip(models, fitted, strict=True)))  # some models know their units only when fitted

    train_steps, test_steps = [], []
    for model, view in zip(fitted, views, strict=True):
        scored = _steps(model, view.whole, happened, view.known)
        if view.n_test is None:
            test_steps.append(np.concatenate([part[first:] for part in scored]))
            seen = _steps(model, view.train, happened, view.known_train)
            train_steps.append(np.concatenate([part[first:] for part in seen]))
        else:
            cut = len(scored[0]) - view.n_test  # the models know nothing of what is after a step
            train_steps.append(scored[0][first:cut])
            test_steps.append(scored[0][max(first, cut) :])
    train_table, test_table = _common(train_steps, "the data fitted to"), _common(test_steps, "the test data")

    n_parameters = tuple(int(model.n_parameters) for model in fitted)
    log_likelihood = train_table.sum(axis=1)
    prices = np.array([float(count) for count in n_parameters])
    loss = -test_table.mean(axis=1)
    best = int(np.argmin(loss))
    with np.errstate(invalid="ignore"):
        gaps = test_table[best] - test_table
        error = gaps.std(axis=1, ddof=1) / np.sqrt(gaps.shape[1]) if gaps.shape[1] > 1 else np.full(len(gaps), np.nan)
        difference = np.where(loss == loss[best], 0.0, loss - loss[best])
    return Comparison(
        names=tuple(map(str, models)),
        models=tuple(fitted),
        n_parameters=n_parameters,
        log_likelihood=log_likelihood,
        aic=2 * prices - 2 * log_likelihood,
        bic=np.log(train_table.shape[1]) * prices - 2 * log_likelihood,
        held_out_nats=loss,
        held_out_bits=loss / np.log(2),
        difference=difference,
        difference_error=error,
        fit_seconds=np.array(seconds),
        n_train_steps=train_table.shape[1],
        n_test_steps=test_table.shape[1],
    )


def _timed_fit(model: Any, view: View, symbols: Any) -> tuple[Any, float]:
    fresh = clone(model)
    takes = "symbols" in inspect.signature(fresh.fit).parameters and getattr(fresh, "support", "") in ("", "categories")
    known = {"symbols": symbols} if takes and symbols is not None else {}
    if view.known_train is not None:
        known["exog"] = view.known_train
    started = time.perf_counter()
    fresh.fit(view.train, **known)
    return fresh, time.perf_counter() - started


class _Bins:
    """The event of falling into an interval: i where edges[i - 1] <= x < edges[i]."""

    def __init__(self, bins: Sequence[float]) -> None:
        try:
            self.edges = np.array(bins, dtype=np.float64)
        except (TypeError, ValueError):
            self.edges = np.empty(0)
        if self.edges.ndim != 1 or not self.edges.size or not (np.diff(self.edges, prepend=-np.inf) > 0).all():
            raise ValueError(f"bins must be increasing edges, got {bins!r:.60}")

    def __call__(self, observation: Any) -> int:
        try:
            return int(np.searchsorted(self.edges, float(observation), side="right"))
        except (TypeError, ValueError):
            raise TypeError(
                f"bins= needs observations that are numbers, got {observation!r:.40}: pass event=, a function of them"
            ) from None

    def log_probability(self, law: PredictiveLaw, values: Sequence[Any]) -> Floats:
        """Log P of the interval of each value under a law of numbers: its ends are known and need no search."""
        bounds = np.concatenate([[-np.inf], self.edges, [np.inf]])
        at = np.array([self(value) for value in values])
        return law.log_between(bounds[at], bounds[at + 1])


def _check_units(models: Mapping[str, Any]) -> None:
    supports = {name: getattr(model, "support", "mixed") for name, model in models.items()}
    names = list(supports)
    for name in names[1:]:
        discrete = {supports[names[0]], supports[name]} <= {"categories", "counts"}
        if supports[name] != supports[names[0]] and not discrete:
            raise ValueError(
                f"{names[0]!r} gives probabilities or densities of {supports[names[0]]}, {name!r} of {supports[name]}: "
                "these are different units; pass event= or bins= to compare the probability of the same events"
            )


def _steps(model: Any, X: Any, event: Event | None, exog: Any) -> list[Floats]:
    steps = steps_by_sequence(model, X, exog)
    if event is None:
        return steps
    laws = model.predictive(X) if exog is None else model.predictive(X, exog=with_one_more(exog))
    pairs = zip(steps, *((laws, X) if isinstance(laws, list) else ([laws], [X])), strict=True)
    return [_event_steps(scored, law, data, event) for scored, law, data in pairs]


def _event_steps(steps: Floats, law: PredictiveLaw, data: Any, event: Event) -> Floats:
    scored = np.flatnonzero(~np.isnan(steps))
    values = values_of(data)
    found = np.full(len(steps), np.nan)
    law, observed = law[scored], [values[row] for row in scored]
    if isinstance(event, _Bins) and hasattr(law, "log_between"):
        found[scored] = event.log_probability(law, observed)
    else:
        found[scored] = law.log_event(event, observed)
    return found


def _common(steps: Sequence[Floats], what: str) -> Floats:
    """The steps that every model scores, shape (n_models, n_steps)."""
    table = np.stack(list(steps))
    common: Floats = table[:, ~np.isnan(table).any(axis=0)]
    if not common.shape[1]:
        raise ValueError(f"no step of {what} is scored by every model: pass longer sequences or lower orders")
    return common
