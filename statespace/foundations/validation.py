"""Checks that every model shares, each answered in words: what was wrong, the value, where, and what to do."""

import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from statespace.protocols import Floats, Ints


def check_integer(name: str, value: Any, minimum: int = 0) -> int:
    """`value` as an int of at least `minimum`; a bool or a fraction is refused."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, expected an integer of at least {minimum}") from None
    if number < minimum:
        raise ValueError(f"{name} is {number}, expected an integer of at least {minimum}")
    return number


def check_positive(name: str, value: Any) -> float:
    """`value` as a finite float above zero."""
    number = _as_float(value)
    if number is None:
        raise TypeError(f"{name} is {value!r}, expected a positive number")
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} is {value!r}, expected a positive finite number")
    return number


def check_probability(name: str, value: Any) -> float:
    """`value` as a float strictly between 0 and 1."""
    number = _as_float(value)
    if number is None:
        raise TypeError(f"{name} is {value!r}, expected a number between 0 and 1")
    if not 0 < number < 1:
        raise ValueError(f"{name} is {value!r}, expected a number between 0 and 1")
    return number


def check_share(name: str, value: Any) -> float:
    """`value` as a float from 0 to 1, both among them."""
    number = _as_float(value)
    if number is None:
        raise TypeError(f"{name} is {value!r}, expected a number from 0 to 1")
    if not 0 <= number <= 1:
        raise ValueError(f"{name} is {value!r}, expected a number from 0 to 1")
    return number


def check_flag(name: str, value: Any) -> bool:
    """`value` as a bool; what only counts as one is refused."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}, expected True or False")
    return bool(value)


def _as_float(value: Any) -> float | None:
    """A number as a float, infinite where it is too large for one; None for all else, also for "1" and True."""
    if isinstance(value, str | bytes | bool | np.bool_) or np.ndim(value):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


def check_tolerance(name: str, value: Any) -> None:
    """Refuse a `value` that no gain can be compared with; None and numbers, negative and infinite ones too, pass."""
    if value is None:
        return
    number = _as_float(value)
    if number is None:
        raise TypeError(f"{name} is {value!r}, expected a number of nats, or None")
    if math.isnan(number):
        raise ValueError(f"{name} is {value!r}, expected a number of nats, or None")


def check_choice(name: str, value: Any, choices: Iterable[str | None]) -> None:
    """Refuse a `value` that is not among the named choices."""
    allowed = list(choices)
    if not ((value is None or isinstance(value, str)) and value in allowed):
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, allowed))}")


def check_lengths(lengths: Any, n_samples: int) -> Ints:
    """Offsets (n_sequences + 1,) of the sequences that `lengths` cuts `n_samples` rows into."""
    try:
        values = np.asarray(lengths)
    except ValueError:
        values = np.empty(0, dtype=object)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iu":
        raise TypeError(
            "lengths must be a list of positive integers, one for each sequence laid end to end in X "
            f"(got {lengths!r:.80}); a y of labels does not belong here"
        )
    if len(values) == n_samples > 1 and (values != 1).any():
        raise TypeError(
            f"lengths has a number for each of the {n_samples} rows of X, as a target y has: labels to learn from are "
            "a keyword, y= or, of a hidden Markov model, states=, and lengths holds the length of each sequence laid "
            "end to end in X"
        )
    short = np.flatnonzero(values < 1)
    if short.size:
        raise ValueError(f"lengths[{short[0]}] is {values[short[0]]}, expected at least 1: leave empty sequences out")
    ends = np.cumsum(values)
    total = int(ends[-1])
    if values.max() > n_samples or total != n_samples:
        total = sum(values.tolist())  # Python's integers: a sum that wraps round 2^64 must not pass
    if total != n_samples:
        raise ValueError(
            f"lengths sum to {total} but X has {n_samples} rows; where X was cut for cross-validation, "
            "pass a list of sequences instead of X with lengths"
        )
    return np.concatenate([[0], ends]).astype(np.int64)


def check_sample_weight(sample_weight: Any, n_sequences: int) -> Floats | None:
    """Weights of the sequences, shape (n_sequences,), finite and not negative; None where none are given."""
    if sample_weight is None:
        return None
    try:
        weights = np.array(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"sample_weight is {sample_weight!r:.60}, expected {n_sequences} numbers: one weight for each sequence"
        ) from None
    if weights.shape != (n_sequences,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}, expected ({n_sequences},): one weight for each sequence"
        )
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if wrong.size:
        raise ValueError(f"sample_weight[{wrong[0]}] is {weights[wrong[0]]}, expected a finite number of at least 0")
    if not weights.any():
        raise ValueError("sample_weight is 0 for every sequence: there is nothing left to learn from")
    return weights
