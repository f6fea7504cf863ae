"""The laws that every model keeps, whatever its family, each with a flaw that it must notice.

A case is one line: a name, a maker of unfitted models, a maker of data, and how many parameters the model estimates.
`LAWS` maps the name of each law to its check and to a flaw: a change of the model's class that breaks this law, so that
the suite can show of each check that it is able to fail.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from statespace import load
from statespace.foundations.estimator import NotFittedError, clone

VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "score": lambda model, X: model.score(X),
    "log_likelihood": lambda model, X: model.log_likelihood(X, by="step"),
    "predictive": lambda model, X: model.predictive(X),
    "forecast": lambda model, X: model.forecast(X, 2),
    "sample": lambda model, X: model.sample(5, random_state=0),
    "n_parameters": lambda model, X: model.n_parameters,
    "aic": lambda model, X: model.aic(X),
    "bic": lambda model, X: model.bic(X),
    "save": lambda model, X: model.save("/never written"),
}

LATENT_VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "filter": lambda model, X: model.filter(X),
    "smooth": lambda model, X: model.smooth(X),
    "decode": lambda model, X: model.decode(X),
    "predict": lambda model, X: model.predict(X),
    "predict_proba": lambda model, X: model.predict_proba(X),
}


_FITTED: dict[tuple[str, int], Any] = {}  # by the name of the case, and the seed of its data


@dataclasses.dataclass(frozen=True)
class Case:
    """A model to hold the laws against."""

    name: str
    make: Callable[[], Any]
    """A new, unfitted model."""
    data: Callable[[np.random.Generator], list[np.ndarray]]
    """At least three sequences of at least ten observations."""
    n_parameters: int
    """Free parameters of the model fitted on such data, counted by hand."""
    rtol: float = 1e-12
    """How closely two ways to the same number agree; iterative fits need more."""
    classes: dict[str, type] = dataclasses.field(default_factory=dict)
    """What `load` must be handed over to read the model back."""

    def sequences(self, seed: int = 0) -> list[np.ndarray]:
        return self.data(np.random.default_rng(seed))

    def fitted(self, seed: int = 0) -> Any:
        if (self.name, seed) not in _FITTED:
            _FITTED[self.name, seed] = self.make().fit(self.sequences(seed))
        return copy.deepcopy(_FITTED[self.name, seed])

    def with_flaw(self, name: str, flaw: Callable[[type], dict[str, Any]]) -> Case:
        """The same case, its models of a class with some members changed so that a law is broken."""

        def make() -> Any:
            model = self.make()
            kind = type(model)
            model.__class__ = type(kind.__name__, (kind,), flaw(kind))
            return model

        return dataclasses.replace(self, make=make, name=f"{self.name}, which breaks {name}")

    def same(self, actual: Any, desired: Any) -> None:
        np.testing.assert_allclose(actual, desired, rtol=self.rtol, atol=self.rtol)


class Law(NamedTuple):
    check: Callable[[Case, Any], None]
    """Raises AssertionError where the law is broken; takes a case and a folder."""
    flaw: Callable[[type], dict[str, Any]]
    """Members of a subclass that breaks it."""
    of: str
    """The verb that a model must have to be under this law."""

    def concerns(self, case: Case) -> bool:
        return hasattr(type(case.make()), self.of)


LAWS: dict[str, Law] = {}


def law(flaw: Callable[[type], dict[str, Any]], of: str = "fit") -> Callable[[Any], Any]:
    def register(check: Any) -> Any:
        LAWS[check.__name__] = Law(check, flaw, of)
        return check

    return register


def holds(condition: Any, what: str) -> None:
    """A plain assert, also where pytest does not rewrite them and Python runs with -O."""
    if not condition:
        raise AssertionError(what)


def observations(drawn: Any) -> np.ndarray:
    """The X of a sample: all of it, or the first of (X, states)."""
    return drawn[0] if isinstance(drawn, tuple) else drawn


def rows(found: Any) -> np.ndarray:
    """The numbers of a predictive law, a row a step, or of those of several sequences."""
    if isinstance(found, list):
        return np.concatenate([rows(one) for one in found])
    if found.probabilities is not None:
        return found.probabilities
    if hasattr(found, "weights"):
        return found.weights
    return np.concatenate([found.mean, found.cov.reshape(len(found), -1)], axis=1)


def spoiled(found: Any, places: Any = slice(None)) -> Any:
    """The law with some of its rows changed."""
    if isinstance(found, list):
        return [spoiled(one, places) for one in found]
    if hasattr(found, "paths"):
        return dataclasses.replace(found, paths=spoiled(found.paths, places))
    name = dataclasses.fields(found)[0].name
    values = getattr(found, name).copy()
    values[places] = 0.9 * values[places] + 0.07
    return dataclasses.replace(found, **{name: values})


def with_gap(x: np.ndarray, place: int) -> np.ndarray:
    """The sequence with one observation missing."""
    gappy = x.copy() if x.dtype.kind == "f" else x.astype(object)
    gappy[place] = np.nan if x.dtype.kind == "f" else None
    return gappy


# ------------------------------------------------------------------------------------------------------- learning


@law(lambda kind: {"fit": lambda self, X, *args, **kwargs: clone(self)})
def fit_returns_the_model(case: Case, folder: Any) -> None:
    model = case.make()
    holds(model.fit(case.sequences()) is model, "fit returned something else")


@law(
    lambda kind: {
        "fit": lambda self, X, *args, **kwargs: self if self.__sklearn_is_fitted__() else kind.fit(self, X, *args)
    }
)
def a_new_fit_forgets_the_one_before(case: Case, folder: Any) -> None:
    X = case.sequences(1)
    case.same(case.fitted(0).fit(X).score(X), case.fitted(1).score(X))


def _fit_and_reverse(kind: type) -> dict[str, Any]:
    def fit(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        kind.fit(self, X, *args, **kwargs)
        X[0][:] = X[0][::-1].copy()
        return self

    return {"fit": fit}


@law(_fit_and_reverse)
def no_verb_changes_the_data(case: Case, folder: Any) -> None:
    X = case.sequences()
    before = copy.deepcopy(X)
    model = case.make().fit(X)
    for name in ("score", "log_likelihood", "predictive", "forecast"):
        VERBS[name](model, X)
    for name, verb in LATENT_VERBS.items():
        if hasattr(model, name):
            verb(model, X)
    for x, kept in zip(X, before, strict=True):
        np.testing.assert_array_equal(x, kept)


def _keep_the_data(kind: type) -> dict[str, Any]:
    def fit(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        self._data = X
        return kind.fit(self, X, *args, **kwargs)

    return {
        "fit": fit,
        "score": lambda self, X, lengths=None: kind.fit(copy.copy(self), self._data).log_likelihood(X, lengths),
    }


@law(_keep_the_data)
def data_that_change_after_the_fit_do_not_change_the_model(case: Case, folder: Any) -> None:
    X, other = case.sequences(0), case.sequences(1)
    model = case.make().fit(X)
    before = model.score(other)
    holds(np.isfinite(before), "the data of this case do not suffice")
    for x in X:
        x[::2] = x[0]
    case.same(model.score(other), before)


def _forget_first(kind: type) -> dict[str, Any]:
    def fit(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        for name in [name for name in vars(self) if name.endswith("_") or name.startswith("_")]:
            delattr(self, name)
        return kind.fit(self, X, *args, **kwargs)

    return {"fit": fit}


@law(_forget_first)
def a_failed_fit_leaves_the_model_as_it_was(case: Case, folder: Any) -> None:
    X = case.sequences()
    model = case.make().fit(X)
    before = dict(vars(model))
    for wrong in ([], [X[0], X[1][:0]], None, object(), "text", {"x": 1}):
        with pytest.raises((ValueError, TypeError)):
            model.fit(wrong)
        with pytest.raises((ValueError, TypeError)):
            model.fit(np.concatenate(X), lengths=[1])
        holds(vars(model).keys() == before.keys(), f"attributes changed by fit({wrong!r})")
        holds(all(vars(model)[name] is value for name, value in before.items()), f"changed by fit({wrong!r})")
    unfitted = case.make()
    with pytest.raises((ValueError, TypeError)):
        unfitted.fit([])
    holds(not unfitted.__sklearn_is_fitted__(), "fitted by a fit that failed")


@law(lambda kind: {"sample": lambda self, n_samples=1, random_state=None: np.zeros(n_samples)})
def what_is_not_fitted_says_so(case: Case, folder: Any) -> None:
    X = case.sequences()
    latent = [verb for name, verb in LATENT_VERBS.items() if hasattr(type(case.make()), name)]
    for verb in (*VERBS.values(), *latent):
        with pytest.raises(NotFittedError, match=r"not fitted yet: call fit\(X\) first"):
            verb(case.make(), X)


@law(lambda kind: {"n_parameters": property(lambda self: kind.n_parameters.fget(self) + 1)})
def estimated_parameters_are_counted(case: Case, folder: Any) -> None:
    for seed in (0, 1):
        holds(case.fitted(seed).n_parameters == case.n_parameters, "another number of parameters")


@law(lambda kind: {"fit": lambda self, X, *args, sample_weight=None, **kwargs: kind.fit(self, X, *args, **kwargs)})
def an_integer_weight_is_repetition(case: Case, folder: Any) -> None:
    X = case.sequences()
    weights = [3, 0, *[1] * (len(X) - 2)]
    repeated = [x for x, weight in zip(X, weights, strict=True) for _ in range(weight)]
    options = {}
    model = case.make()
    if "symbols" in inspect.signature(type(model).fit).parameters and model.support == "categories":
        options["symbols"] = np.unique(np.concatenate(X))
    weighted = case.make().fit(X, sample_weight=weights, **options)
    case.same(weighted.score(repeated), case.make().fit(repeated, **options).score(repeated))


@law(lambda kind: {"fit_each": lambda self, X, executor=None: kind.fit_each(self, X, executor)[::-1]})
def one_model_a_series_is_a_fit_of_each(case: Case, folder: Any) -> None:
    X = case.sequences()
    models = case.make().fit_each(X)
    holds(len(models) == len(X), "one model for each")
    case.same([m.score(x) for m, x in zip(models, X, strict=True)], [case.make().fit(x).score(x) for x in X])


# -------------------------------------------------------------------------------------------------- log-likelihoods


def _shifted(kind: type, which: str, by_how_much: float) -> dict[str, Any]:
    def log_likelihood(self: Any, X: Any, lengths: Any = None, by: str = "total", **more: Any) -> Any:
        found = kind.log_likelihood(self, X, lengths, by)
        if by != which:
            return found
        return [part + by_how_much for part in found] if isinstance(found, list) else found + by_how_much

    return {"log_likelihood": log_likelihood}


@law(lambda kind: _shifted(kind, "total", 1.0))
def the_total_is_the_sum_of_the_steps(case: Case, folder: Any) -> None:
    model = case.fitted()
    for X in (case.sequences(0), case.sequences(1), [with_gap(x, 4) for x in case.sequences(0)]):
        steps = model.log_likelihood(X, by="step")
        case.same(model.log_likelihood(X), math.fsum(np.nansum(part) for part in steps))


def _reversed_sequences(kind: type) -> dict[str, Any]:
    def log_likelihood(self: Any, X: Any, lengths: Any = None, by: str = "total", **more: Any) -> Any:
        found = kind.log_likelihood(self, X, lengths, by)
        return found[::-1] if by == "sequence" else found

    return {"log_likelihood": log_likelihood}


@law(_reversed_sequences)
def each_sequence_counts_as_it_does_alone(case: Case, folder: Any) -> None:
    model, X = case.fitted(), case.sequences()
    alone = [model.score(x) for x in X]
    case.same(model.log_likelihood(X, by="sequence"), alone)
    case.same(model.log_likelihood(X, by="total"), math.fsum(alone))
    case.same(model.log_likelihood(X[0], by="sequence"), alone[:1])


@law(lambda kind: {"score": lambda self, X, lengths=None: kind.score(self, X, lengths) / 2})
def the_score_is_the_log_likelihood(case: Case, folder: Any) -> None:
    model, X = case.fitted(), case.sequences()
    score = model.score(X)
    holds(isinstance(score, float), f"score is {type(score)}")
    holds(score == model.log_likelihood(X), "score and log_likelihood differ")
    holds(score < 0 or case.make().support not in ("categories", "counts"), "a probability above 1")


@law(lambda kind: {"aic": lambda self, X, lengths=None: kind.aic(self, X, lengths) + self.n_parameters})
def criteria_are_as_akaike_and_schwarz_define_them(case: Case, folder: Any) -> None:
    model, X = case.fitted(), case.sequences()
    n = sum(int((~np.isnan(part)).sum()) for part in model.log_likelihood(X, by="step"))
    k, log_likelihood = case.n_parameters, model.score(X)
    case.same(model.aic(X), 2 * k - 2 * log_likelihood)
    case.same(model.bic(X), k * math.log(n) - 2 * log_likelihood)


def _scored_as_zero(kind: type) -> dict[str, Any]:
    def log_likelihood(self: Any, X: Any, lengths: Any = None, by: str = "total", **more: Any) -> Any:
        found = kind.log_likelihood(self, X, lengths, by)
        return np.nan_to_num(found) if by == "step" else found

    return {"log_likelihood": log_likelihood}


@law(_scored_as_zero)
def a_missing_observation_is_not_scored(case: Case, folder: Any) -> None:
    model, x = case.fitted(), case.sequences()[0]
    place = len(x) - 2
    steps, complete = model.log_likelihood(with_gap(x, place), by="step"), model.log_likelihood(x, by="step")
    holds(np.isnan(steps[place]), "the missing observation was scored")
    np.testing.assert_array_equal(steps[:place], complete[:place])
    holds(np.isfinite(model.score(with_gap(x, place))), "no finite total")


# ------------------------------------------------------------------------------------------------------- prediction


def _sees_the_end(kind: type) -> dict[str, Any]:
    return {"predictive": lambda self, X, lengths=None: spoiled(kind.predictive(self, X, lengths), -1)}


@law(_sees_the_end)
def predictions_of_a_stream_are_those_of_the_whole(case: Case, folder: Any) -> None:
    model = case.fitted()
    complete = case.sequences()[0]
    for x in (complete, with_gap(complete, 0), with_gap(complete, 3)):
        whole = rows(model.predictive(x))
        holds(len(whole) == len(x) + 1, "one law more than observations")
        for n in range(1, len(x) + 1):
            case.same(rows(model.predictive(x[:n]))[-1], whole[n])


@law(lambda kind: _shifted(kind, "step", 0.01))
def steps_are_densities_of_the_predictions(case: Case, folder: Any) -> None:
    model = case.fitted()
    for x in (case.sequences()[0], with_gap(case.sequences()[0], 3)):
        steps = model.log_likelihood(x, by="step")
        densities = model.predictive(x)[: len(x)].log_density(x)
        scored = ~np.isnan(steps)
        holds(scored.any(), "nothing is scored")
        case.same(densities[scored], steps[scored])


@law(lambda kind: {"forecast": lambda self, X, steps=1, lengths=None: spoiled(kind.forecast(self, X, steps, lengths))})
def a_forecast_begins_with_the_last_prediction(case: Case, folder: Any) -> None:
    model = case.fitted()
    for x in (*case.sequences(), with_gap(case.sequences()[0], -1)):
        ahead = model.forecast(x, 3)
        holds(len(ahead) == 3, "one law for each step")
        case.same(rows(ahead)[0], rows(model.predictive(x))[-1])
        case.same(rows(model.forecast(x, 5))[:3], rows(ahead))


def _no_law(found: Any) -> Any:
    """What looks like it, and is none."""
    if hasattr(found, "paths"):
        return dataclasses.replace(found, paths=_no_law(found.paths))
    if hasattr(found, "rates"):
        return dataclasses.replace(found, rates=np.full_like(found.rates, np.nan))
    if found.probabilities is not None:
        return dataclasses.replace(found, probabilities=1.01 * found.probabilities)
    if hasattr(found, "weights"):
        return dataclasses.replace(found, weights=1.01 * found.weights)
    return dataclasses.replace(found, cov=-found.cov)


@law(lambda kind: {"forecast": lambda self, X, steps=1, lengths=None: _no_law(kind.forecast(self, X, steps, lengths))})
def predictions_are_laws(case: Case, folder: Any) -> None:
    model, x = case.fitted(), case.sequences()[0]
    for found in (model.predictive(x), model.forecast(x, 4)):
        holds(np.isfinite(rows(found)).all(), "a law that is not finite")
        if found.probabilities is not None or hasattr(found, "weights"):
            holds((rows(found) >= 0).all(), "a negative probability")
            case.same(rows(found).sum(axis=1), np.ones(len(found)))
        if hasattr(found, "cov") and found.cov is not None:
            spectrum = np.linalg.eigvalsh(found.cov)  # counts of a known total have a direction without variance
            holds((spectrum[:, -1] > 0).all(), "a covariance that is not positive")
            holds((spectrum >= -1e-12 * spectrum[:, -1:]).all(), "a covariance that is not positive")


@law(lambda kind: {"sample": lambda self, n_samples=1, random_state=None: kind.sample(self, n_samples)})
def the_same_seed_draws_the_same_sample(case: Case, folder: Any) -> None:
    model = case.fitted()
    first = observations(model.sample(200, random_state=5))
    holds(len(first) == 200, "another number of observations")
    np.testing.assert_array_equal(first, observations(model.sample(200, random_state=5)))
    np.testing.assert_array_equal(first, observations(model.sample(200, random_state=np.random.default_rng(5))))
    holds((first != observations(model.sample(200, random_state=6))).any(), "every seed draws the same")
    holds(np.isfinite(model.score(first)), "a sample that its own model thinks impossible")


# ------------------------------------------------------------------------------------------------------- containers


def _reversed_lists(kind: type) -> dict[str, Any]:
    def predictive(self: Any, X: Any, lengths: Any = None) -> Any:
        found = kind.predictive(self, X, lengths)
        return found[::-1] if isinstance(found, list) else found

    return {"predictive": predictive}


@law(_reversed_lists)
def a_list_comes_out_as_a_list_in_the_same_order(case: Case, folder: Any) -> None:
    model, X = case.fitted(), case.sequences()
    for verb, of_result in (
        (lambda data: model.log_likelihood(data, by="step"), np.asarray),
        (model.predictive, rows),
        (lambda data: model.forecast(data, 2), rows),
    ):
        found = verb(X)
        holds(isinstance(found, list), f"a {type(found).__name__} for a list")
        holds(len(found) == len(X), "one result for each sequence")
        for one, x in zip(found, X, strict=True):
            np.testing.assert_array_equal(of_result(one), of_result(verb(x)))
    holds(isinstance(model.predictive([X[0]]), list), "a list of one is a list")


@law(
    lambda kind: {
        "log_likelihood": lambda self, X, lengths=None, by="total", **more: kind.log_likelihood(self, X, by=by),
    }
)
def laid_end_to_end_sequences_are_those_of_a_list(case: Case, folder: Any) -> None:
    X = case.sequences()
    flat, lengths = np.concatenate(X), [len(x) for x in X]
    model = case.make().fit(flat, lengths)
    case.same(model.score(X), case.fitted().score(X))
    np.testing.assert_array_equal(
        model.log_likelihood(flat, lengths, by="step"), np.concatenate(model.log_likelihood(X, by="step"))
    )
    np.testing.assert_array_equal(
        model.log_likelihood(flat, lengths, by="sequence"), model.log_likelihood(X, by="sequence")
    )
    case.same(model.score(flat, lengths), model.score(X))
    for verb in (model.predictive, lambda data, lengths=None: model.forecast(data, 3, lengths)):
        np.testing.assert_array_equal(rows(verb(flat, lengths=lengths)), np.concatenate([rows(one) for one in verb(X)]))


@law(
    lambda kind: {
        "log_likelihood": lambda self, X, lengths=None, by="total", **more: np.asarray(
            kind.log_likelihood(self, X, lengths, by)
        )
    }
)
def the_index_of_a_series_comes_back(case: Case, folder: Any) -> None:
    import pandas as pd

    x = case.sequences()[0]
    index = pd.date_range("2024-02-25", periods=len(x), freq="D", name="day")
    frame = pd.Series if x.ndim == 1 else pd.DataFrame
    model, series = case.fitted(), frame(x, index=index)
    steps = model.log_likelihood(series, by="step")
    holds(isinstance(steps, pd.Series), f"steps are a {type(steps).__name__}")
    pd.testing.assert_index_equal(steps.index, index)
    np.testing.assert_array_equal(steps.to_numpy(), model.log_likelihood(x, by="step"))
    longer = pd.date_range("2024-02-25", periods=len(x) + 4, freq="D", name="day")
    pd.testing.assert_index_equal(pd.Index(model.predictive(series).index), longer[: len(x) + 1], check_names=False)
    pd.testing.assert_index_equal(pd.Index(model.forecast(series, 4).index), longer[len(x) :], check_names=False)
    named = model.predictive([series, x])
    holds(named[0].index is not None, "the index of a series in a list is lost")
    holds(named[1].index is None, "an array got an index")


# ---------------------------------------------------------------------------------------------------- hidden states


def _begins_again(kind: type) -> dict[str, Any]:
    def filter_(self: Any, X: Any, lengths: Any = None, *, state: Any = None) -> Any:
        found = kind.filter(self, X, lengths)
        return found if state is None else found._replace(log_likelihood=found.log_likelihood - 0.01)

    return {"filter": filter_}


@law(_begins_again, of="predict_proba")
def a_stream_goes_on_from_its_state(case: Case, folder: Any) -> None:
    model = case.fitted()
    for x in (case.sequences()[0], with_gap(case.sequences()[0], 4)):
        whole = model.filter(x)
        first = model.filter(x[:5])
        rest = model.filter(x[5:], state=first.state)
        case.same(np.concatenate([first.filtered, rest.filtered]), whole.filtered)
        case.same(np.concatenate([first.predicted, rest.predicted]), whole.predicted)
        case.same(first.log_likelihood + rest.log_likelihood, whole.log_likelihood)
        case.same(rest.state, whole.state)
        case.same(rows(model.predictive(x[5:], state=first.state)), rows(model.predictive(x))[5:])
        for ahead in (model.forecast(x[5:], 3, state=first.state), model.forecast(None, 3, state=whole.state)):
            case.same(rows(ahead), rows(model.forecast(x, 3)))


def _shifted_proba(kind: type) -> dict[str, Any]:
    return {"predict_proba": lambda self, X, lengths=None: 0.9 * kind.predict_proba(self, X, lengths)}


@law(_shifted_proba, of="predict_proba")
def smoothing_ends_where_filtering_does(case: Case, folder: Any) -> None:
    model = case.fitted()
    for x in (*case.sequences(), with_gap(case.sequences()[0], 3)):
        filtered, smoothed = model.filter(x), model.smooth(x)
        case.same(smoothed.probabilities[-1], filtered.filtered[-1])
        case.same(model.predict_proba(x), smoothed.probabilities)
        case.same([filtered.log_likelihood, smoothed.log_likelihood], [model.score(x)] * 2)
        for laws in (filtered.filtered, filtered.predicted, smoothed.probabilities):
            holds((laws >= 0).all(), "a negative probability")
            case.same(laws.sum(axis=1), np.ones(len(x)))
        case.same(smoothed.transitions.sum(), len(x) - 1)
        case.same(smoothed.transitions.sum(axis=1), smoothed.probabilities[:-1].sum(axis=0))


def _boasts(kind: type) -> dict[str, Any]:
    def decode(self: Any, X: Any, lengths: Any = None, algorithm: Any = None) -> Any:
        log_prob, states = kind.decode(self, X, lengths, algorithm)
        return log_prob + 0.01, states

    return {"decode": decode}


@law(_boasts, of="decode")
def decoded_states_have_the_probability_they_claim(case: Case, folder: Any) -> None:
    model, X = case.fitted(), case.sequences()
    for x in (*X, with_gap(X[0], 3)):
        log_prob, states = model.decode(x)
        case.same(log_prob, model.log_joint(x, states))
        holds(log_prob <= model.score(x) + 1e-9, "a path more likely than all of them")
        np.testing.assert_array_equal(model.predict(x), states)
        by_step, likely = model.decode(x, algorithm="map")
        case.same(by_step, model.log_joint(x, likely))
        np.testing.assert_array_equal(likely, model.predict_proba(x).argmax(axis=1))
        holds(by_step <= log_prob + 1e-9, "a path more likely than the most likely")
    case.same(model.decode(X)[0], sum(model.decode(x)[0] for x in X))


def _learns_from_gaps(kind: type) -> dict[str, Any]:
    def filter_(self: Any, X: Any, lengths: Any = None, **options: Any) -> Any:
        found = kind.filter(self, X, lengths, **options)
        return found._replace(filtered=0.9 * found.filtered)

    return {"filter": filter_}


@law(_learns_from_gaps, of="predict_proba")
def a_missing_observation_says_nothing_of_the_state(case: Case, folder: Any) -> None:
    model, x = case.fitted(), case.sequences()[0]
    for place in (0, 4, len(x) - 1):
        found = model.filter(with_gap(x, place))
        case.same(found.filtered[place], found.predicted[place])


@law(
    lambda kind: {"predict": lambda self, X, lengths=None: np.concatenate([kind.predict(self, x) for x in X])},
    of="predict",
)
def hidden_states_come_out_as_the_data_went_in(case: Case, folder: Any) -> None:
    model, X = case.fitted(), case.sequences()
    flat, lengths = np.concatenate(X), [len(x) for x in X]
    for verb, of_result in (
        (model.predict, np.asarray),
        (model.predict_proba, np.asarray),
        (lambda data, lengths=None: model.decode(data, lengths)[1], np.asarray),
        (lambda data, lengths=None: model.filter(data, lengths).filtered, np.asarray),
        (lambda data, lengths=None: model.smooth(data, lengths).probabilities, np.asarray),
    ):
        found = verb(X)
        holds(isinstance(found, list), f"a {type(found).__name__} for a list")
        for one, x in zip(found, X, strict=True):
            case.same(of_result(one), of_result(verb(x)))
        case.same(of_result(verb(flat, lengths)), np.concatenate(found))


# -------------------------------------------------------------------------------------------- parameters and files


def _loses_a_parameter(kind: type) -> dict[str, Any]:
    def get_params(self: Any, deep: bool = True) -> dict[str, Any]:
        return dict(list(kind.get_params(self, deep).items())[1:])

    return {"get_params": get_params}


@law(_loses_a_parameter)
def parameters_are_kept_and_cloned(case: Case, folder: Any) -> None:
    model = case.fitted()
    params = model.get_params()
    holds(list(params) == list(inspect.signature(type(model).__init__).parameters)[1:], "not the arguments of __init__")
    twin = clone(model)
    holds(type(twin) is type(model), "a clone of another class")
    holds(not twin.__sklearn_is_fitted__(), "a clone that is fitted")
    holds(twin.get_params() == params, "a clone with other parameters")
    holds(twin.set_params(**params) is twin, "set_params returns the model")
    holds(twin.get_params() == params, "set_params of get_params changed something")
    with pytest.raises(ValueError, match="has no parameter 'no_such_parameter'; its parameters are"):
        twin.set_params(no_such_parameter=1)
    X = case.sequences()
    case.same(twin.fit(X).score(X), model.score(X))


@law(lambda kind: _shifted(kind, "total", 1.0))
def a_saved_model_comes_back(case: Case, folder: Any) -> None:
    model, X = case.fitted(), case.sequences(1)
    path = folder / "model"
    model.save(path)
    again = load(path, **case.classes)
    holds(np.isfinite(model.score(X)), "the data of this case do not suffice")
    holds(again.get_params() == model.get_params(), "other parameters")
    holds(again.score(X) == model.score(X), "another score")
    holds(again.n_parameters == model.n_parameters, "another number of parameters")
    np.testing.assert_array_equal(rows(again.forecast(X[0], 3)), rows(model.forecast(X[0], 3)))
    np.testing.assert_array_equal(
        observations(again.sample(50, random_state=1)), observations(model.sample(50, random_state=1))
    )
