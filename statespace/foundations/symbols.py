"""The symbols of one sequence: what is missing among them, of which kind they are, and their numbers.

Symbols are whole numbers or labels: text, truth values, whatever can be hashed. `clean_symbols` brings the values of
one sequence to an array of one kind and a mask of what is missing; `encode_symbols` gives them their numbers 0..K-1 in
an alphabet, which is what kernels read.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.protocols import Array, Ints

_TEXT_OF_FLOATS = np.dtype("U32")  # what numpy makes of texts and floats together
_TABLE_LIMIT = 1 << 16  # integer symbols below this are looked up in a table, above it sorted
_WHOLE_FLOATS = 2.0**53  # from here on floats no longer tell neighbouring integers apart


@dataclass(frozen=True)
class CleanedSymbols:
    """One sequence as an array of one kind of symbol."""

    kind: Literal["integer", "bool", "text", "object", "nothing"]
    """What the symbols are; "nothing" where all are missing."""
    values: Array
    """The symbols, shape (n_samples,); anything where missing."""
    missing: Array | None = None
    """What is missing, shape (n_samples,); None where nothing can be."""
    categories: Array | None = None
    """The categories that a categorical declares, shape (n_symbols,)."""


def is_frame_like(value: Any) -> bool:
    """Whether `value` is a pandas or polars object that holds values, told without importing either."""
    return is_frame_type(type(value))  # type: ignore[arg-type]  # a class is hashable


@functools.cache
def is_frame_type(kind: type) -> bool:
    """Whether objects of this type are pandas or polars ones that hold values, so not pd.NA or a Timestamp."""
    return kind.__module__.partition(".")[0] in ("pandas", "polars") and hasattr(kind, "__len__")


# ------------------------------------------------------------------------------------------------------ cleaning


def clean_symbols(values: Any, name: str) -> CleanedSymbols:
    """One sequence, a list, array or Series, as an array of one kind of symbol, with a mask of what is missing."""
    if is_frame_like(values):
        cleaned = _clean_series(values, name)
    elif isinstance(values, list):
        cleaned = _clean_objects(values, name)
    else:
        cleaned = _clean_array(values, name)
    if cleaned.kind != "nothing" and cleaned.missing is not None and cleaned.missing.all():
        return replace(cleaned, kind="nothing", values=np.zeros(len(cleaned.values), np.int64))
    return cleaned


def _clean_array(values: Any, name: str) -> CleanedSymbols:
    masked = None
    if isinstance(values, np.ma.MaskedArray):
        masked, values = np.ma.getmaskarray(values), values.data
    kind = values.dtype.kind
    if kind == "b":
        return CleanedSymbols("bool", values, masked)
    if kind in "iu":
        if kind == "u" and values.dtype.itemsize == 8:
            large = values > np.iinfo(np.int64).max
            large = np.flatnonzero(large if masked is None else large & ~masked)
            if large.size:
                raise ValueError(f"{name}[{large[0]}] is {values[large[0]]}, beyond the largest 64-bit integer")
        return CleanedSymbols("integer", values, masked)
    if kind == "f":
        return _clean_floats(values, masked, name)
    if kind == "U":
        if values.dtype == _TEXT_OF_FLOATS and (values == "nan").any():
            row = int(np.flatnonzero(values == "nan")[0])
            raise ValueError(
                f"{name}[{row}] is the text 'nan', which numpy makes of a missing value among texts: "
                "pass the list itself, or an array of dtype object"
            )
        return CleanedSymbols("text", values, masked)
    if kind in "OT":
        if masked is not None:
            values = values.astype(object)
            values[masked] = None
        return _clean_objects(values.tolist(), name)
    raise _not_symbols(values.dtype, name)


def _not_symbols(dtype: Any, name: str) -> TypeError:
    if dtype.kind in "mM":
        return TypeError(
            f"{name} has dtype {dtype}, dates or durations: put dates in the index of a pandas Series, and symbols in "
            "its values; where dates are labels, convert them with .astype(str)"
        )
    return TypeError(
        f"{name} has dtype {dtype}: symbols are whole numbers, booleans or labels; .astype(str) makes labels of it"
    )


def _clean_floats(values: Array, masked: Array | None, name: str) -> CleanedSymbols:
    if values.dtype.itemsize < 8:
        values = values.astype(np.float64)  # half precision cannot be compared with 2^53
    missing = np.isnan(values) if masked is None else np.isnan(values) | masked
    if missing.all():
        return CleanedSymbols("nothing", np.zeros(len(values), np.int64), missing)
    whole = np.where(missing, 0.0, values)
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero((whole != np.floor(whole)) | (np.abs(whole) >= _WHOLE_FLOATS))
    if wrong.size:
        raise _not_whole(f"{name}[{wrong[0]}]", float(values[wrong[0]]))
    return CleanedSymbols("integer", whole.astype(np.int64), missing)


def _not_whole(place: str, value: float) -> ValueError:
    if value.is_integer():
        return ValueError(f"{place} is {value}: from 2^53 on floats skip whole numbers; pass integers or labels")
    return ValueError(
        f"{place} is {value}: symbols are whole numbers or labels; "
        "cut real values into classes first (numpy.digitize), mark missing ones with NaN"
    )


def _clean_series(series: Any, name: str) -> CleanedSymbols:
    dtype = series.dtype
    if type(series).__module__.startswith("polars"):
        plain = series.to_list() if series.null_count() and not dtype.is_temporal() else series.to_numpy()
        cleaned = clean_symbols(plain, name)
        if type(dtype).__name__ != "Enum":
            return cleaned
        return replace(cleaned, categories=np.array(dtype.categories.to_list(), dtype=np.str_))
    if type(dtype).__name__ == "CategoricalDtype":
        codes = np.asarray(getattr(series, "cat", series).codes)  # a Categorical has them itself, a Series below .cat
        missing = codes < 0
        if not len(dtype.categories):
            return CleanedSymbols("nothing", np.zeros(len(codes), np.int64), missing)
        declared = clean_symbols(_plain(dtype.categories), f"the categories of {name}")
        return CleanedSymbols(
            declared.kind, declared.values[codes], missing if missing.any() else None, declared.values
        )
    if getattr(dtype, "kind", "O") in "mM":  # with a time zone they would come out as objects
        raise _not_symbols(dtype, name)
    return clean_symbols(_plain(series), name)


def _plain(series: Any) -> Any:
    """A pandas Series, Index or array as an array or list."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind != "O":
        return series.to_numpy()
    return series.tolist()


def _clean_objects(values: list[Any], name: str) -> CleanedSymbols:
    types = set(map(type, values))
    absent = {kind for kind in types if _is_absent(kind)}
    floats = {kind for kind in types if issubclass(kind, float | np.floating)}
    missing = None
    present = values
    if absent or floats:
        missing = np.array([type(v) in absent or (type(v) in floats and v != v) for v in values], dtype=np.bool_)
        if missing.all():
            return CleanedSymbols("nothing", np.zeros(len(values), np.int64), missing)
        present = [value for value, gone in zip(values, missing.tolist(), strict=True) if not gone]
        types = set(map(type, present))

    def place(i: int) -> str:
        return f"{name}[{i if missing is None else int(np.flatnonzero(~missing)[i])}]"

    families = {kind: _family(kind) for kind in types}
    first = families[type(present[0])]
    if len(set(families.values())) > 1:
        other = next(i for i, value in enumerate(present) if families[type(value)] != first)
        hint = "; in Python 1 == True == 1.0, so they would be one symbol" if "bool" in families.values() else ""
        raise TypeError(
            f"{name} mixes {first} and {families[type(present[other])]} symbols ({place(0)} is {present[0]!r:.40}, "
            f"{place(other)} is {present[other]!r:.40}){hint}: convert them all to one kind"
        )
    kind: Literal["integer", "bool", "text", "object"]
    if first == "number":
        kind, known = "integer", _numbers_to_int64(present, floats & types, place)
    elif first == "bool":
        kind, known = "bool", np.array(present, dtype=np.bool_)
    elif first == "text":
        kind, known = "text", _to_text(present, place)
    else:
        kind, known = "object", _to_objects(present, place)
    if missing is None:
        return CleanedSymbols(kind, known)
    filled: Array = np.full(len(values), known[0], dtype=known.dtype)
    filled[~missing] = known
    return CleanedSymbols(kind, filled, missing)


def is_missing(value: Any) -> bool:
    """Whether one observation is missing: None, NaN, pd.NA or masked."""
    return _is_absent(type(value)) or (isinstance(value, float | np.floating) and bool(value != value))


def _is_absent(kind: type) -> bool:
    return kind in (type(None), np.ma.core.MaskedConstant) or kind.__name__ in ("NAType", "NaTType")


def _family(kind: type) -> str:
    if issubclass(kind, bool | np.bool_):
        return "bool"
    if issubclass(kind, int | float | np.integer | np.floating):
        return "number"
    if issubclass(kind, str):
        return "text"
    return kind.__name__


def _numbers_to_int64(values: list[Any], floats: set[type], place: Callable[[int], str]) -> Ints:
    """Whole numbers, of which some may be floats: those are checked by themselves, so that integers stay exact."""
    if floats:
        for i, value in enumerate(values):
            if type(value) in floats and not (float(value).is_integer() and abs(value) < _WHOLE_FLOATS):
                raise _not_whole(place(i), float(value))
        values = [int(value) for value in values]
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        row = next(i for i, value in enumerate(values) if not -(2**63) <= int(value) < 2**63)
        raise ValueError(f"{place(row)} is {_shown(values[row])}, beyond the largest 64-bit integer") from None


def _to_text(values: list[Any], place: Callable[[int], str]) -> Array:
    if "\0" in "".join(values):
        row = next((i for i, value in enumerate(values) if value.endswith("\0")), None)
        if row is not None:
            raise ValueError(
                f"{place(row)} is {values[row]!r:.40}, which ends with a NUL character, and numpy drops those from "
                "text: replace it, or pass numbers such as ord(character)"
            )
    return np.array(values)


def _to_objects(values: list[Any], place: Callable[[int], str]) -> Array:
    for i, value in enumerate(values):
        if isinstance(value, complex | np.complexfloating):
            raise TypeError(f"{place(i)} is {value!r}, a complex number: symbols are whole numbers or labels")
        try:
            hash(value)
        except TypeError:
            raise TypeError(f"{place(i)} is {value!r:.40}, which cannot be a symbol: use numbers or labels") from None
    return np.fromiter(values, dtype=object, count=len(values))  # np.array would look into tuples


# ------------------------------------------------------------------------------------------------------ encoding


def encode_symbols(
    values: Array, missing: Array | None, kind: str, alphabet: Array | None, place: Callable[[int], str]
) -> tuple[Ints, Array]:
    """Codes of the values in the alphabet, which is made of what is observed where none is given.

    `place` names a row in messages.
    """
    if kind == "nothing" and alphabet is not None:
        return np.full(len(values), -1, np.int64), alphabet
    if alphabet is not None and kind in ("integer", "bool") and alphabet.dtype.kind in "biu":
        return _encode_integers(as_int64(values), missing, alphabet, place)
    if alphabet is None and kind == "integer":
        return _encode_integers(as_int64(values), missing, None, place)
    observed = values if missing is None else values[~missing]
    if alphabet is None:
        alphabet = np.unique(observed) if kind == "text" else _sorted_objects(observed)
    elif alphabet.dtype.kind != {"integer": "i", "bool": "b", "text": "U"}.get(kind, "O"):
        row = 0 if missing is None else int(np.flatnonzero(~missing)[0])
        raise TypeError(
            f"{place(row)} is {_shown(values[row])}, but the symbols are {_listed(alphabet)}: "
            "convert X to the same kind"
        )
    if kind == "text":
        order = np.argsort(alphabet)
        at = np.minimum(np.searchsorted(alphabet[order], values), len(alphabet) - 1)
        codes = order[at].astype(np.int64)
        wrong = alphabet[codes] != values
    else:
        table = {symbol: code for code, symbol in enumerate(alphabet.tolist())}
        codes = np.fromiter((table.get(value, -1) for value in values.tolist()), np.int64, len(values))
        wrong = codes < 0
    if missing is not None:
        codes[missing] = -1
        wrong &= ~missing
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise _unseen(place(row), values[row], alphabet)
    return codes, alphabet


def as_int64(values: Array) -> Ints:
    """Writable, contiguous, native int64: the one type that kernels are compiled for."""
    if values.dtype == np.int64 and values.flags.carray:
        return values
    return np.require(values, dtype=np.int64, requirements=["C", "W", "A"])


def _encode_integers(
    values: Ints, missing: Array | None, alphabet: Array | None, place: Callable[[int], str]
) -> tuple[Ints, Array]:
    if missing is not None:
        values = np.where(missing, values[int(np.flatnonzero(~missing)[0])], values)
    low, high = smallest_and_largest(values)
    if low < 0:
        row = int(np.flatnonzero(values < 0)[0])
        raise ValueError(
            f"{place(row)} is {values[row]}: symbols are whole numbers from 0 or labels; "
            "mark missing observations with NaN or None"
        )
    if alphabet is None:
        alphabet = _observed_integers(values, high)
    whole = alphabet.astype(np.int64)
    if high < len(whole) and np.array_equal(whole, np.arange(len(whole))):
        codes = values
    elif high < _TABLE_LIMIT and int(whole.max()) < _TABLE_LIMIT and whole.min() >= 0:
        table = np.full(max(high, int(whole.max())) + 1, -1, np.int64)
        table[whole] = np.arange(len(whole))
        codes = table[values]
    else:
        order = np.argsort(whole)
        at = np.minimum(np.searchsorted(whole[order], values), len(whole) - 1)
        codes = order[at].astype(np.int64)
        codes[whole[codes] != values] = -1
    if codes is not values and (wrong := np.flatnonzero(codes < 0)).size:
        raise _unseen(place(int(wrong[0])), values[wrong[0]], alphabet)
    if missing is not None:
        codes = np.where(missing, -1, codes)
    return codes, alphabet


def _observed_integers(values: Ints, high: int) -> Ints:
    if high < _TABLE_LIMIT:
        seen = np.zeros(high + 1, np.bool_)
        mark_seen(values, seen)
        return np.flatnonzero(seen).astype(np.int64)
    return np.unique(values)


@kernel
def smallest_and_largest(values: Ints) -> tuple[int, int]:
    """The range of the values, in one pass."""
    low = values[0]
    high = values[0]
    for i in range(values.size):
        low = min(low, values[i])
        high = max(high, values[i])
    return low, high


@kernel
def mark_seen(values: Ints, seen: Array) -> None:
    """Mark the values that occur; stops as soon as all have been seen."""
    left = seen.size
    for i in range(values.size):
        if not seen[values[i]]:
            seen[values[i]] = True
            left -= 1
            if left == 0:
                return


def _sorted_objects(values: Iterable[Any]) -> Array:
    distinct = list(dict.fromkeys(values))
    with contextlib.suppress(TypeError):  # symbols without an order keep that of their first appearance
        distinct.sort()
    return np.fromiter(distinct, dtype=object, count=len(distinct))


def _unseen(place: str, value: Any, alphabet: Array) -> ValueError:
    return ValueError(
        f"{place} is {_shown(value)}, which is not among the {len(alphabet)} symbols {_listed(alphabet)}: "
        "fit with symbols=[...] to declare all that may come, or mark it as missing (NaN, None)"
    )


def _shown(value: Any) -> str:
    return f"{value.item() if isinstance(value, np.generic) else value!r:.40}"


def _listed(alphabet: Array) -> str:
    names = [repr(symbol) for symbol in alphabet[:6].tolist()]
    return ", ".join(names) + (", ..." if len(alphabet) > 6 else "")
