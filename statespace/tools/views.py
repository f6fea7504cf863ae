"""The same steps as several models see them: what to fit, what to score, and whether they speak of the same events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.events import Event
from statespace.foundations.sequence_model import takes_exog
from statespace.foundations.symbols import is_missing
from statespace.foundations.validation import check_integer


class View(NamedTuple):
    """The data as one model sees them."""

    train: Any
    """What to fit."""
    whole: Any
    """What to score."""
    n_test: int | None
    """How many last steps of it are the test, if it is one series."""
    known_train: Any = None
    """Known inputs of what to fit."""
    known: Any = None
    """Known inputs of what to score."""


def with_inputs(models: Mapping[str, Any], views: list[View], exog: Any, test_exog: Any) -> list[View]:
    """The views with the known inputs of the models that take them; see `compare`."""
    if exog is None:
        if test_exog is not None:
            raise TypeError("test_exog is given without exog, the known inputs of X")
        return views
    named = isinstance(exog, Mapping)
    takers = [name for name, model in models.items() if takes_exog(model) and (not named or name in exog)]
    refused = [name for name in exog if name not in takers] if named else []
    if refused:
        unknown = refused[0] not in models
        what = "is no model" if unknown else f"is a {type(models[refused[0]]).__name__}, which takes no known inputs"
        raise ValueError(f"exog has inputs for {refused[0]!r}, which {what}")
    if not takers:
        raise ValueError("exog is given, and none of the models takes known inputs")
    made = []
    for name, view in zip(models, views, strict=True):
        own = (exog[name] if named else exog) if name in takers else None
        if own is None:
            made.append(view)
        elif view.n_test is None:
            held_out = test_exog.get(name) if isinstance(test_exog, Mapping) else test_exog
            if held_out is None:
                raise TypeError(
                    f"test is sequences of their own: give the known inputs of {name!r} for them, test_exog="
                )
            made.append(view._replace(known_train=own, known=held_out))
        elif test_exog is not None:
            raise TypeError(
                f"test={view.n_test} are the last steps of X, whose known inputs exog has: leave out test_exog"
            )
        elif len(own) != len(view.whole):
            raise ValueError(f"exog has {len(own)} rows, X {len(view.whole)}: give one for each, the test steps too")
        else:
            made.append(view._replace(known_train=_without_end(own, view.n_test), known=own))
    return made


def _without_end(rows: Any, n: int) -> Any:
    return rows.iloc[:-n] if hasattr(rows, "iloc") else rows[:-n]


def with_one_more(exog: Any) -> Any:
    """Known inputs with a row for the step after each sequence, of which nothing is asked: the last one again."""
    if exog is None:
        return None
    if _is_many(exog):
        return [with_one_more(part) for part in exog]
    rows = np.asarray(exog)
    return np.concatenate([rows, rows[-1:]])


def views_of(models: Mapping[str, Any], X: Any, test: Any, event: Event | None) -> list[View]:
    """What each model is to be fitted to and scored on; see `compare`."""
    if not isinstance(X, Mapping):
        return [_split(X, test)] * len(models)
    if event is None:
        raise ValueError(
            "X maps models to views of their own, whose probabilities are of different things: pass event= or bins= to "
            "compare the probability of the same events"
        )
    tests = test if isinstance(test, Mapping) else dict.fromkeys(models, test)
    for what, given in (("X", X), ("test", tests)):
        lacking = [name for name in models if name not in given]
        if lacking:
            raise ValueError(f"{what} has no data for {lacking[0]!r}: map every model's name to what it sees")
    if not isinstance(test, Mapping) and isinstance(test, list | tuple):
        raise TypeError("X maps models to views of their own: test must do so too, or be a number of last steps")
    views = [_split(X[name], tests[name]) for name in models]
    for part in ("train", "whole"):
        _check_same_events({name: getattr(view, part) for name, view in zip(models, views, strict=True)}, event)
    return views


def _check_same_events(views: Mapping[str, Any], event: Event) -> None:
    """Refuse views in which something else happens at the same step."""
    outcomes = {
        name: [[None if is_missing(value) else (event(value),) for value in values_of(data)] for data in _listed(view)]
        for name, view in views.items()
    }
    first = next(iter(outcomes))
    for name, sequences in outcomes.items():
        lengths = [[len(part) for part in parts] for parts in (outcomes[first], sequences)]
        if lengths[0] != lengths[1]:
            raise ValueError(
                f"{first!r} sees sequences of {lengths[0]} steps, {name!r} of {lengths[1]}: views are of the same steps"
            )
        for s, pair in enumerate(zip(outcomes[first], sequences, strict=True)):
            for step, (mine, other) in enumerate(zip(*pair, strict=True)):
                if mine is not None and other is not None and mine != other:
                    raise ValueError(
                        f"at step {step} of sequence {s} the event is {mine[0]!r} for {first!r} and {other[0]!r} for "
                        f"{name!r}: each view must tell of every event"
                    )


def _split(X: Any, test: Any) -> View:
    """What to fit, what to score, and how many last steps of it are the test, if it is one series."""
    if isinstance(test, list | tuple):
        if not len(test) or not all(
            hasattr(sequence, "__len__") and not isinstance(sequence, str) for sequence in test
        ):
            raise TypeError("test must be the number of last steps to hold out, or a list of sequences")
        return View(X, list(test), None)
    if hasattr(test, "__len__"):
        raise TypeError(
            f"test is one {type(test).__name__}: pass the number of last steps to hold out, or a list of sequences, "
            "[test] for one"
        )
    n_test = check_integer("test", test, 1)
    if not hasattr(X, "__len__"):
        raise TypeError(
            f"X is {type(X).__name__} {X!r:.40}, expected one series to hold the last {n_test} steps out of"
        )
    if _is_many(X):
        raise ValueError(
            f"test={n_test} holds out the end of one series, and X is several: pass test sequences as a list"
        )
    if len(X) <= n_test:
        raise ValueError(f"test={n_test} leaves nothing to fit of a series of {len(X)} steps")
    return View(_without_end(X, n_test), X, n_test)


def _is_many(X: Any) -> bool:
    """Whether `X` is a list or panel of sequences; an array (n_samples, n_features) is one."""
    if isinstance(X, np.ndarray) and (X.ndim > 2 or X.dtype != object):
        return X.ndim > 2
    return (
        isinstance(X, list | tuple | np.ndarray)
        and len(X) > 0
        and hasattr(X[0], "__len__")
        and not isinstance(X[0], str)
    )


def values_of(data: Any) -> list[Any]:
    """Observations of one sequence; of an array or a frame of one column, one number a step."""
    if len(getattr(data, "shape", ())) == 2:
        data = np.asarray(data)
        data = data[:, 0] if data.shape[1] == 1 else data
    values = data.tolist() if hasattr(data, "tolist") else data.to_list() if hasattr(data, "to_list") else data
    return list(values)


def _listed(data: Any) -> list[Any]:
    """Sequences, or one of them."""
    return list(data) if _is_many(data) else [data]
