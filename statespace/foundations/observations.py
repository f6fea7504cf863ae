"""Numerical sequences as people have them, as models of real vectors want them.

One sequence or several: a 1-D array (one feature), an array (n_samples, n_features), a nested list (one 2-D array), a
pandas or polars Series or frame, a (series, time, feature) panel, a list of arrays, or rows laid end to end with
`lengths=`. NaN, None, pd.NA and masked entries are missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.sequences import Layout, check_calendars
from statespace.foundations.symbols import is_frame_like
from statespace.foundations.validation import check_lengths
from statespace.protocols import Array, Ints


@dataclass(frozen=True)
class Observations:
    """Rows laid end to end."""

    values: Array
    """Observations, shape (n_samples, n_features), float64 (NaN where missing) or integers. To be read only: it may be
    the caller's own array."""
    offsets: Ints
    """Sequence s is values[offsets[s]:offsets[s + 1]], shape (n_sequences + 1,)."""
    layout: Layout
    """How the data came in."""
    missing: Array | None = None
    """Rows of which nothing is known, shape (n_samples,); None where every row has something."""
    partly_missing: bool = False
    """Whether some row is known in part."""

    @property
    def n_samples(self) -> int:
        """How many rows there are."""
        return len(self.values)

    @property
    def n_sequences(self) -> int:
        """How many sequences there are."""
        return len(self.offsets) - 1


class EndToEnd(NamedTuple):
    """Rows laid end to end, of which nobody has yet asked whether they are finite."""

    values: Array
    """Shape (n_samples, n_features); it may be the caller's own array."""
    offsets: Ints
    """As of `Observations`."""
    layout: Layout
    """How the data came in."""
    place: Callable[[int], str]
    """What a row is called in messages."""


def read_observations(X: Any, lengths: Any = None, *, n_features: int | None = None, name: str = "X") -> Observations:
    """Read real vectors in any supported form.

    Parameters
    ----------
    X : sequence or sequences of numbers or of rows of numbers
        See the module's description.
    lengths : (n_sequences,), optional
        Lengths of the sequences laid end to end in a flat `X`.
    n_features : int, optional
        How many columns every sequence must have.
    name : str
        What messages call `X`.

    Raises
    ------
    TypeError, ValueError
        Where the container or a number is not what it should be; the message names the place and the way out.

    """
    return mark_missing(*lay_end_to_end(X, lengths, n_features=n_features, name=name))


def lay_end_to_end(X: Any, lengths: Any = None, *, n_features: int | None = None, name: str = "X") -> EndToEnd:
    """As `read_observations`, before missing entries are looked for."""
    several = _is_several(X)
    if several and lengths is not None:
        raise ValueError(
            f"lengths is for sequences laid end to end in one array, and {name} is a list of sequences, which have "
            "their own; a y of labels does not belong here"
        )
    if several:
        plain = _plain_sequences(X, n_features)
        if plain is not None:
            values, offsets = plain
            layout = Layout("list", (None,) * len(X))
        else:
            names = [f"{name}[{i}]" for i in range(len(X))]
            read = [_rows_of(item, called) for item, called in zip(X, names, strict=True)]
            layout = Layout("list", tuple(index for _, index in read))
            widths = [values.shape[1] for values, _ in read]
            for called, width in zip(names, widths, strict=True):
                _check_width(called, width, widths[0] if n_features is None else n_features, n_features is None)
            offsets = np.concatenate([[0], np.cumsum([len(values) for values, _ in read])]).astype(np.int64)
            values = read[0][0] if len(read) == 1 else np.concatenate([values for values, _ in read])
            check_calendars(layout, offsets, names)
    else:
        values, index = _rows_of(X, name)
        _check_width(name, values.shape[1], values.shape[1] if n_features is None else n_features, False)
        layout = Layout("single" if lengths is None else "flat", (index,))
        offsets = np.array([0, len(values)], np.int64) if lengths is None else check_lengths(lengths, len(values))
        check_calendars(layout, offsets, [name])

    def place(row: int) -> str:
        sequence = int(np.searchsorted(offsets, row, side="right")) - 1
        return f"{name}[{sequence}][{row - int(offsets[sequence])}]" if several else f"{name}[{row}]"

    return EndToEnd(values, offsets, layout, place)


def _plain_sequences(X: Any, n_features: int | None) -> tuple[Array, Ints] | None:
    """Rows and offsets of a panel of numbers, which stays where it lies, or of a list of arrays of float64.

    None where something is not as it is in the most common case; then each sequence is looked at by itself.
    """
    if type(X) is np.ndarray and X.ndim == 3 and X.dtype.kind in "fiu":
        S, n, p = X.shape
        if not X.size or n_features not in (None, p):
            return None
        values = np.ascontiguousarray(X, dtype=np.float64).reshape(S * n, p)
        return values, np.arange(0, S * n + 1, n, dtype=np.int64)
    if type(X) not in (list, tuple) or len(X) < 2 or set(map(type, X)) != {np.ndarray}:
        return None
    try:
        lengths = np.fromiter(map(len, X), np.int64, len(X))
        values = np.concatenate(X)
    except (TypeError, ValueError):
        return None
    if values.dtype != np.float64 or values.ndim > 2 or not lengths.all() or not values.size:
        return None
    values = values.reshape(len(values), -1)
    if n_features not in (None, values.shape[1]):
        return None
    offsets = np.zeros(len(X) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return values, offsets


def mark_missing(values: Array, offsets: Ints, layout: Layout, place: Callable[[int], str]) -> Observations:
    """Find missing entries; refuse infinite ones, by place."""
    total = np.add.reduce(values, axis=None)  # one pass finds out whether there is anything to look for
    if math.isfinite(total):
        return Observations(values, offsets, layout)
    infinite = np.isinf(values).any(axis=1)
    if infinite.any():
        row = int(np.flatnonzero(infinite)[0])
        raise ValueError(f"{place(row)} is infinite: numbers are finite, and NaN where missing")
    unknown: Array = np.isnan(values)
    if not unknown.any():  # the sum alone was too large for a float
        return Observations(values, offsets, layout)
    missing = np.asarray(unknown.all(axis=1))
    partly = bool((unknown.any(axis=1) & ~missing).any())
    return Observations(values, offsets, layout, missing if missing.any() else None, partly)


def _is_several(X: Any) -> bool:
    """A list of arrays, frames or 2-D lists is several sequences; a nested list of numbers is one 2-D array."""
    if isinstance(X, np.ndarray):
        return X.ndim == 3 or (X.dtype == object and X.ndim == 1 and len(X) > 0 and _is_sequence(X[0]))
    if not isinstance(X, list | tuple) or not len(X):
        return False
    first = X[0]
    if isinstance(first, np.ndarray) or is_frame_like(first):
        return np.ndim(first) > 0
    return isinstance(first, list | tuple) and len(first) > 0 and _is_sequence(first[0])


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0) or is_frame_like(value)


def _rows_of(X: Any, name: str) -> tuple[Array, Any]:
    """The rows (n_samples, n_features) of one sequence as C-contiguous float64, and its index."""
    if isinstance(X, str | bytes):
        raise TypeError(f"{name} is the text {X!r:.30}, expected numbers")
    if X is None or isinstance(X, dict | set) or not (hasattr(X, "__len__") or hasattr(X, "__array__")):
        raise TypeError(f"{name} is {type(X).__name__} {X!r:.40}, expected an array (n_samples, n_features) of numbers")
    index = getattr(X, "index", None) if is_frame_like(X) and type(X).__module__.startswith("pandas") else None
    values = _as_floats(X, name)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise ValueError(f"{name} has shape {values.shape}, expected (n_samples,) or (n_samples, n_features)")
    if not values.size:
        raise ValueError(f"{name} is empty (shape {values.shape}): a sequence needs at least one observation")
    return values, index


def _as_floats(X: Any, name: str) -> Array:
    if isinstance(X, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(X), np.nan, np.ma.getdata(X).astype(np.float64))
    if type(X) is np.ndarray and X.dtype == np.float64:
        return np.ascontiguousarray(X)
    if is_frame_like(X):
        X = X.to_numpy()  # pd.NA and None come as objects
    try:
        values = np.asarray(X)
    except ValueError:
        raise ValueError(
            f"{name} has rows of different lengths: every observation has the same features, and several sequences "
            "are a list of arrays"
        ) from None
    if values.dtype.kind == "O":
        return _objects_as_floats(values, name)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} holds {values.dtype} data, expected numbers")
    return np.ascontiguousarray(values, dtype=np.float64)


def _objects_as_floats(values: Array, name: str) -> Array:
    from statespace.foundations.symbols import is_missing

    made = np.empty(values.shape)
    for place, value in np.ndenumerate(values):
        if is_missing(value):
            made[place] = np.nan
            continue
        try:
            if isinstance(value, str | bytes):
                raise TypeError
            made[place] = float(value)
        except (TypeError, ValueError):
            where = "".join(f"[{i}]" for i in place)
            raise TypeError(f"{name}{where} is {value!r:.40}, expected a number, or NaN where missing") from None
    return made


def _check_width(name: str, width: int, expected: int, among_themselves: bool) -> None:
    if width != expected:
        columns = f"{width} column{'s' * (width != 1)}"
        than = f"X[0] has {expected}" if among_themselves else f"the model has {expected}"
        raise ValueError(f"{name} has {columns}, {than}: every observation has the same features")
