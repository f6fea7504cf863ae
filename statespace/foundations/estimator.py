"""scikit-learn's contract for estimators, without scikit-learn.

`__init__` stores its arguments and nothing else; what `fit` learns ends in an underscore. From that alone follow
`get_params` and `set_params`, a short `repr`, `clone`, and all that scikit-learn's `clone`, `GridSearchCV` and
`cross_val_score` ask of an estimator that is fitted on a list of sequences.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E")

_LARGEST_PRINTED = 10  # an array with more elements shows its shape in a repr


class NotFittedError(ValueError, AttributeError):
    """The model was asked for what only `fit` can tell it.

    A ValueError and an AttributeError, as scikit-learn's class of the same name is, so that
    `hasattr(model, "n_parameters")` is False before `fit`.
    """


class Estimator:
    """Base class of all models: parameters by the signature of `__init__`, learnt attributes by their underscore.

    A subclass writes an `__init__` whose every argument is stored under its own name, unchanged, and a `fit` that
    sets attributes ending in `_`, decorated with `unchanged_on_failure`.

    References
    ----------
    Buitinck et al. (2013), API design for machine learning software: experiences from the scikit-learn project.

    """

    @classmethod
    def _parameters(cls) -> dict[str, inspect.Parameter]:
        """Arguments of `__init__` in their order, without `self`."""
        return _arguments(cls)  # type: ignore[arg-type]  # a class is hashable

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name, as they were given.

        Parameters
        ----------
        deep : bool
            Also the parameters of parameters that are estimators themselves, as `outer__inner`.

        """
        params: dict[str, Any] = {}
        for name in self._parameters():
            value = getattr(self, name)
            params[name] = value
            if deep and _has_parameters(value):
                params |= {f"{name}__{inner}": inner_value for inner, inner_value in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, all of them or, where one name is wrong, none.

        Parameters
        ----------
        **params
            `name=value`, or `outer__inner=value` for a parameter of a parameter.

        Raises
        ------
        ValueError
            If a name is not a parameter; the message lists those that are.

        """
        valid = self._parameters()
        inner: dict[str, dict[str, Any]] = {}
        for name in params:
            outer = name.partition("__")[0]
            if outer not in valid:
                raise ValueError(
                    f"{type(self).__name__} has no parameter '{outer}'; its parameters are "
                    + (", ".join(valid) or "none at all")
                )
        with _unchanged(self):
            for name, value in params.items():
                outer, separator, rest = name.partition("__")
                if separator:
                    inner.setdefault(outer, {})[rest] = value
                else:
                    setattr(self, outer, value)
            # After the outer ones, so that inner parameters reach an estimator that came in the same call
            for outer, values in inner.items():
                target = getattr(self, outer)
                if not _has_parameters(target):
                    raise ValueError(
                        f"{type(self).__name__} cannot set '{outer}__{next(iter(values))}': its parameter '{outer}' "
                        f"is {_brief(target)}, which has no parameters of its own"
                    )
                target.set_params(**values)
        return self

    def __repr__(self) -> str:
        given = {  # where a property of that name says more after a fit, as it was given
            name: vars(self).get(name, getattr(self, name, argument.default))
            for name, argument in self._parameters().items()
        }
        shown = [
            f"{name}={_brief(given[name])}"
            for name, argument in self._parameters().items()
            if not _same(given[name], argument.default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_is_fitted__(self) -> bool:
        """Whether any learnt attribute (`name_`) is set."""
        return any(name.endswith("_") and not name.startswith("_") for name in vars(self))

    def _require_fitted(self) -> None:
        """Raise NotFittedError, in words, where `fit` is still to come."""
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first")

    def __sklearn_tags__(self) -> Any:
        """Answer scikit-learn (1.6 and newer): a density model of lists of sequences, with no target.

        Raises
        ------
        ImportError
            If scikit-learn is not installed.

        """
        try:
            from sklearn.utils import InputTags, Tags, TargetTags
        except ImportError as error:
            raise ImportError("scikit-learn's tags need scikit-learn 1.6 or newer: pip install scikit-learn") from error
        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(two_d_array=False, allow_nan=True),
        )


@functools.cache  # a signature takes longer to read than a small fit
def _arguments(cls: type) -> dict[str, inspect.Parameter]:
    if cls.__init__ is object.__init__:  # type: ignore[misc]  # of this very class
        return {}
    arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    for argument in arguments:
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            raise TypeError(
                f"{cls.__name__}.__init__ takes '{argument}': name every argument, parameters are found by name"
            )
    return {argument.name: argument for argument in arguments}


def clone(estimator: E) -> E:
    """Return an unfitted copy: the same class, deep copies of its parameters, nothing that was learnt.

    Parameters
    ----------
    estimator : object with get_params
        One of this package's models, scikit-learn's, or your own.

    Raises
    ------
    TypeError
        If `estimator` has no `get_params`, or is a class instead of an instance.

    """
    if not _has_parameters(estimator):
        hint = "pass an instance, not the class" if isinstance(estimator, type) else "an estimator has get_params"
        raise TypeError(f"cannot clone {estimator!r}: {hint}")
    params = estimator.get_params(deep=False)  # type: ignore[attr-defined]  # checked above
    return type(estimator)(**{name: _copied(value) for name, value in params.items()})


def unchanged_on_failure(fit: Callable[Concatenate[E, P], R]) -> Callable[Concatenate[E, P], R]:
    """Decorate a method such as `fit`: if it raises, the model is left as it was before.

    Attributes are put back, not what they hold: the method binds new arrays to `self`, and never writes into those
    of an earlier fit. A Generator that was passed as `random_state` stays where the failed fit left it.
    """

    @wraps(fit)
    def guarded(self: E, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with _unchanged(self):
            return fit(self, *args, **kwargs)

    return guarded


@contextmanager
def _unchanged(estimator: object) -> Iterator[None]:
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:  # an interrupted fit must not leave half a model either
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _has_parameters(value: object) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _copied(value: Any) -> Any:
    if _has_parameters(value):
        return clone(value)
    if type(value) in (list, tuple, set, frozenset):  # estimators inside lose what they learnt
        return type(value)(_copied(item) for item in value)
    return copy.deepcopy(value)


def _same(value: object, default: object) -> bool:
    """Whether a parameter is still its default, for values whose `==` is an array, NaN or an error."""
    if value is default:
        return True
    if type(value) is not type(default):
        return False
    if isinstance(value, np.ndarray) and isinstance(default, np.ndarray):
        return value.dtype == default.dtype and np.array_equal(value, default, equal_nan=value.dtype.kind in "fc")
    try:
        return bool(value == default) or (value != value and default != default)
    except (TypeError, ValueError):  # a frame, or an object that does not compare
        return False


def _brief(value: object) -> str:
    """`repr` in one line; a large array or frame shows its type and shape."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and not isinstance(value, type):
        if not isinstance(value, np.ndarray | np.generic) or value.size > _LARGEST_PRINTED:
            return f"<{type(value).__name__} of shape {shape}>"
        return " ".join(repr(value).split())
    return repr(value)
