"""Sequences as people have them, as the kernels want them.

A caller hands over one sequence or several, as a list, an array, a pandas or polars Series, a one-column frame, a
(series, time, 1) panel, or several sequences laid end to end with `lengths=`. Symbols are whole numbers or labels of
any kind; None, NaN, pd.NA and masked entries are missing. `read_symbols` turns all of that into codes 0..K-1 (-1 where
missing), and remembers the layout, so that results go out the way the data came in.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.validation import check_lengths
from statespace.protocols import Array, Ints

_TABLE_LIMIT = 1 << 16  # integer symbols below this are looked up in a table, above it sorted
_WHOLE_FLOATS = 2.0**53  # floats beyond it no longer tell neighbouring integers apart


@dataclass(frozen=True)
class Layout:
    """How the data came in: the form of the container, and the index of each sequence."""

    form: Literal["single", "flat", "list"]
    """One sequence; several end to end; a list (or panel) of sequences."""
    indexes: tuple[Any, ...]
    """The pandas index of each sequence, None where it has none."""


@dataclass(frozen=True)
class SymbolSequences:
    """Discrete sequences laid end to end."""

    codes: Ints
    """The place in `symbols` of each observation, -1 where missing, shape (n_samples,)."""
    offsets: Ints
    """Sequence s is codes[offsets[s]:offsets[s + 1]], shape (n_sequences + 1,)."""
    symbols: Array
    """The alphabet in order, shape (n_symbols,)."""
    has_missing: bool
    """Whether any code is -1."""
    layout: Layout
    """How the data came in."""

    @property
    def n_sequences(self) -> int:
        """How many sequences there are."""
        return len(self.offsets) - 1


def read_symbols(X: Any, lengths: Any = None, symbols: Any = None) -> SymbolSequences:
    """Read discrete sequences in any supported form.

    Parameters
    ----------
    X : sequence or sequences of symbols
        See the module's description.
    lengths : (n_sequences,), optional
        Lengths of the sequences laid end to end in a flat `X`.
    symbols : (n_symbols,), optional
        The alphabet. Without it, it is the sorted distinct symbols of `X` (both truth values for booleans, the declared
        categories of a categorical).

    Raises
    ------
    TypeError, ValueError
        Where the container or a symbol is not what it should be; the message names the place and the way out.

    """
    containers, layout = _containers(X, lengths)
    pieces = [_clean(values, name) for values, name in containers]
    kind = _common_kind(pieces, containers)
    alphabet = None if symbols is None else check_symbols(symbols)
    if layout.form == "flat":
        offsets = check_lengths(lengths, len(pieces[0].values))
    else:
        offsets = np.concatenate([[0], np.cumsum([len(piece.values) for piece in pieces])]).astype(np.int64)
    values = pieces[0].values if len(pieces) == 1 else np.concatenate([piece.values for piece in pieces])
    missing = None
    if any(piece.missing is not None for piece in pieces):
        missing = np.concatenate(
            [np.zeros(len(piece.values), np.bool_) if piece.missing is None else piece.missing for piece in pieces]
        )
        if not missing.any():
            missing = None

    def place(row: int) -> str:
        sequence = int(np.searchsorted(offsets, row, side="right")) - 1
        name = containers[sequence if len(containers) > 1 else 0][1]
        return f"{name}[{row - int(offsets[sequence]) if layout.form == 'list' else row}]"

    declared = pieces[0].categories
    if alphabet is None and declared is not None:
        if any(p.categories is None or not np.array_equal(p.categories, declared) for p in pieces):
            raise ValueError("the categories of the sequences differ: give them all the same categories, in one order")
        alphabet = declared
    if alphabet is None and kind == "bool":
        alphabet = np.array([False, True])
    codes, alphabet = _encode(values, missing, kind, alphabet, place)
    return SymbolSequences(codes, offsets, alphabet, missing is not None, layout)


def check_symbols(symbols: Any) -> Array:
    """An alphabet as an array of distinct symbols, in the order given."""
    cleaned = _clean(symbols if isinstance(symbols, np.ndarray) else _values_of(symbols, "symbols")[0], "symbols")
    if cleaned.missing is not None and cleaned.missing.any():
        raise ValueError("symbols holds a missing value: missing observations need no symbol")
    _, counts = np.unique(cleaned.values, return_counts=True)
    if (counts > 1).any():
        seen = cleaned.values.tolist()
        twice = next(symbol for i, symbol in enumerate(seen) if symbol in seen[:i])
        raise ValueError(f"symbols holds {twice!r} twice: every symbol stands once")
    return cleaned.values


def is_frame_like(value: Any) -> bool:
    """Whether `value` is a pandas or polars object, told without importing either."""
    return type(value).__module__.partition(".")[0] in ("pandas", "polars")


# ---------------------------------------------------------------------------------------------------- containers


def _containers(X: Any, lengths: Any) -> tuple[list[tuple[Any, str]], Layout]:
    """One-dimensional pieces, each with the name that messages give it, and the layout."""
    if isinstance(X, str | bytes):
        raise TypeError(f"X is the text {X!r:.30}: pass list(text) for characters, or text.split() for words")
    if isinstance(X, dict | set | frozenset) or not (hasattr(X, "__len__") or hasattr(X, "__array__")):
        raise TypeError(f"X is {type(X).__name__} {X!r:.40}, expected a sequence of symbols, or a list of sequences")
    if isinstance(X, np.ndarray) and X.ndim == 3:
        if X.shape[2] != 1:
            raise ValueError(
                f"X has shape {X.shape}, a panel (series, time, feature) of {X.shape[2]} features; "
                "a Markov chain models one symbol a step: pass X[:, :, j]"
            )
        X = list(X[:, :, 0])
    if _is_list_of_sequences(X):
        if lengths is not None:
            raise ValueError("lengths is for sequences laid end to end in one array; a list of sequences has its own")
        read = [_values_of(item, f"X[{i}]") for i, item in enumerate(X)]
        pieces = [(values, f"X[{i}]") for i, (values, _) in enumerate(read)]
        return pieces, Layout("list", tuple(index for _, index in read))
    values, index = _values_of(X, "X")
    return [(values, "X")], Layout("single" if lengths is None else "flat", (index,))


def _is_list_of_sequences(X: Any) -> bool:
    if is_frame_like(X) or not isinstance(X, list | tuple | np.ndarray):
        return False
    if isinstance(X, np.ndarray) and (X.dtype != object or X.ndim != 1):
        return False
    nested = [_is_container(item) for item in X]
    if any(nested) and not all(nested):
        where = nested.index(not nested[0])
        raise TypeError(
            f"X mixes sequences and single symbols (X[{where}] is {X[where]!r:.40}, X[0] is {X[0]!r:.40}): "
            "pass one sequence of symbols or a list of sequences"
        )
    return bool(nested) and nested[0]


def _is_container(item: Any) -> bool:
    return isinstance(item, list | tuple | np.ndarray) or is_frame_like(item)


def _values_of(X: Any, name: str) -> tuple[Any, Any]:
    """The one-dimensional values of one sequence, and its index."""
    index = None
    if is_frame_like(X):
        if len(getattr(X, "shape", ())) == 2:
            if X.shape[1] != 1:
                columns = ", ".join(map(repr, list(X.columns)[:5]))
                raise ValueError(f"{name} is a frame of {X.shape[1]} columns ({columns}): choose one, as X[column]")
            X = X[X.columns[0]]
        index = getattr(X, "index", None) if type(X).__module__.startswith("pandas") else None
        if hasattr(index, "freq") or type(index).__name__ == "DatetimeIndex":
            from statespace.foundations.calendar import warn_of_holes

            warn_of_holes(index, name)
        values = X
    elif isinstance(X, list | tuple | range):
        values = list(X)
    else:
        values = X if isinstance(X, np.ma.MaskedArray) else np.asarray(X)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            advice = (
                "pass one column, X[:, j], or a list of sequences, list(X)" if values.ndim == 2 else "pass 1-D data"
            )
            raise ValueError(
                f"{name} has shape {values.shape}; a Markov chain models one symbol a step: {advice}"
                if values.ndim
                else f"{name} is the single value {X!r:.40}, expected a sequence of symbols"
            )
    if not len(values):
        raise ValueError(f"{name} is empty: a sequence needs at least one observation")
    return values, index


# ------------------------------------------------------------------------------------------------------- symbols


@dataclass(frozen=True)
class _Cleaned:
    kind: Literal["integer", "bool", "text", "object", "nothing"]
    values: Array
    missing: Array | None = None
    categories: Array | None = None


def _common_kind(pieces: Sequence[_Cleaned], containers: Sequence[tuple[Any, str]]) -> str:
    known = [(piece.kind, name) for piece, (_, name) in zip(pieces, containers, strict=True) if piece.kind != "nothing"]
    if not known:
        raise ValueError("X has no observation: every value is missing")
    first = known[0]
    for kind, name in known:
        if kind != first[0]:
            raise TypeError(f"{first[1]} holds {first[0]} symbols but {name} holds {kind} symbols: use one kind")
    return first[0]


def _clean(values: Any, name: str) -> _Cleaned:
    """One sequence as an array of one kind of symbol, with a mask of what is missing."""
    if is_frame_like(values):
        return _clean_series(values, name)
    if isinstance(values, list):
        return _clean_objects(values, name)
    masked = None
    if isinstance(values, np.ma.MaskedArray):
        masked, values = np.ma.getmaskarray(values), values.data
    kind = values.dtype.kind
    if kind == "b":
        return _Cleaned("bool", values, masked)
    if kind in "iu":
        if kind == "u" and values.dtype.itemsize == 8 and values.size and values.max() > np.iinfo(np.int64).max:
            raise ValueError(f"{name} holds {values.max()}, beyond the largest 64-bit integer")
        return _Cleaned("integer", values, masked)
    if kind == "f":
        return _clean_floats(values, masked, name)
    if kind == "U":
        return _Cleaned("text", values, masked)
    if kind in "OT":
        cleaned = _clean_objects(values.tolist(), name)
        missing = (
            cleaned.missing if masked is None else masked | (False if cleaned.missing is None else cleaned.missing)
        )
        return _Cleaned(cleaned.kind, cleaned.values, missing)
    raise TypeError(f"{name} has dtype {values.dtype}: symbols are whole numbers, booleans or labels")


def _clean_floats(values: Array, masked: Array | None, name: str) -> _Cleaned:
    missing = np.isnan(values) if masked is None else np.isnan(values) | masked
    if missing.all():
        return _Cleaned("nothing", np.zeros(len(values), np.int64), missing)
    whole = np.where(missing, 0.0, values)
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero((whole != np.floor(whole)) | (np.abs(whole) > _WHOLE_FLOATS))
    if wrong.size:
        row = wrong[0]
        raise ValueError(
            f"{name}[{row}] is {values[row]}: symbols are whole numbers or labels; "
            "cut real values into classes first (numpy.digitize), mark missing ones with NaN"
        )
    return _Cleaned("integer", whole.astype(np.int64), missing)


def _clean_series(series: Any, name: str) -> _Cleaned:
    if type(series).__module__.startswith("polars"):
        categories = series.cat.get_categories().to_list() if str(series.dtype).startswith(("Enum", "Categ")) else None
        cleaned = _clean_objects(series.to_list(), name) if series.null_count() else _clean(series.to_numpy(), name)
        if categories is None or not str(series.dtype).startswith("Enum"):
            return cleaned
        return _Cleaned(cleaned.kind, cleaned.values, cleaned.missing, np.array(categories))
    if type(series.dtype).__name__ == "CategoricalDtype":
        declared = _clean(_plain(series.cat.categories), f"the categories of {name}")
        codes = series.cat.codes.to_numpy()
        missing = codes < 0
        return _Cleaned(declared.kind, declared.values[codes], missing if missing.any() else None, declared.values)
    return _clean(_plain(series), name)


def _plain(series: Any) -> Any:
    """A pandas Series or Index as an array or list."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind != "O":
        return series.to_numpy()
    return series.tolist()


def _clean_objects(values: list[Any], name: str) -> _Cleaned:
    types = set(map(type, values))
    if types <= {int}:
        return _Cleaned("integer", _to_int64(values, name))
    if types <= {str}:
        return _Cleaned("text", np.array(values))
    missing = np.fromiter(map(_is_missing, values), np.bool_, len(values))
    if missing.all():
        return _Cleaned("nothing", np.zeros(len(values), np.int64), missing)
    present = [value for value, absent in zip(values, missing.tolist(), strict=True) if not absent]
    where = np.flatnonzero(~missing)
    families = [_family(value, f"{name}[{where[i]}]") for i, value in enumerate(present)]
    if len(set(families)) > 1:
        other = next(i for i, family in enumerate(families) if family != families[0])
        hint = "; in Python 1 == True == 1.0, so they would be one symbol" if "bool" in set(families) else ""
        raise TypeError(
            f"{name} mixes {families[0]} and {families[other]} symbols ({name}[{where[0]}] is {present[0]!r}, "
            f"{name}[{where[other]}] is {present[other]!r}){hint}: convert them all to one kind"
        )
    family = families[0]
    if family == "number":
        if all(isinstance(value, int | np.integer) for value in present):
            filled = np.zeros(len(values), np.int64)
            filled[~missing] = _to_int64(present, name)
            return _Cleaned("integer", filled, missing)
        return _clean_floats(
            np.array([math.nan if m else float(v) for v, m in zip(values, missing, strict=True)]), None, name
        )
    if family in ("bool", "text"):
        filled_objects = [
            present[0] if absent else value for value, absent in zip(values, missing.tolist(), strict=True)
        ]
        return _Cleaned("bool" if family == "bool" else "text", np.array(filled_objects), missing)
    objects = np.empty(len(values), dtype=object)
    for i, (value, absent) in enumerate(zip(values, missing.tolist(), strict=True)):
        objects[i] = present[0] if absent else value
    return _Cleaned("object", objects, missing)


def _to_int64(values: list[Any], name: str) -> Ints:
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        row = next(i for i, value in enumerate(values) if abs(int(value)) > np.iinfo(np.int64).max)
        raise ValueError(f"{name}[{row}] is {values[row]}, beyond the largest 64-bit integer") from None


def _is_missing(value: Any) -> bool:
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def _family(value: Any, place: str) -> str:
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, int | float | np.integer | np.floating):
        return "number"
    if isinstance(value, str):
        return "text"
    try:
        hash(value)
    except TypeError:
        raise TypeError(f"{place} is {value!r:.40}, which cannot be a symbol: use numbers or labels") from None
    return type(value).__name__


# ------------------------------------------------------------------------------------------------------ encoding


def _encode(values: Array, missing: Array | None, kind: str, alphabet: Array | None, place: Any) -> tuple[Ints, Array]:
    """Codes of the values in the alphabet, which is made of what is observed where none is given."""
    if alphabet is not None and kind in ("integer", "bool") and alphabet.dtype.kind in "biu":
        return _encode_integers(_as_int64(values), missing, alphabet, place)
    if alphabet is None and kind == "integer":
        return _encode_integers(_as_int64(values), missing, None, place)
    observed = values if missing is None else values[~missing]
    if alphabet is None:
        alphabet = np.unique(observed) if kind == "text" else _sorted_objects(observed)
    elif alphabet.dtype.kind != {"integer": "i", "bool": "b", "text": "U"}.get(kind, "O"):
        raise TypeError(
            f"{place(0)} is {values[0]!r:.40}, but the symbols are {_listed(alphabet)}: convert X to the same kind"
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


def _as_int64(values: Array) -> Ints:
    """Writable, contiguous, native int64: the one type that kernels are compiled for."""
    return np.require(values, dtype=np.int64, requirements=["C", "W", "A"])


def _encode_integers(values: Ints, missing: Array | None, alphabet: Array | None, place: Any) -> tuple[Ints, Array]:
    if missing is not None:
        values = np.where(missing, values[int(np.flatnonzero(~missing)[0])], values)
    low, high = smallest_and_largest(values)
    if low < 0 and (alphabet is None or not (alphabet < 0).any()):
        row = int(np.flatnonzero(values < 0)[0])
        raise ValueError(
            f"{place(row)} is {values[row]}: symbols are whole numbers from 0 or labels; "
            "mark missing observations with NaN or None"
        )
    if alphabet is None:
        alphabet = _observed_integers(values, high)
    whole = alphabet.astype(np.int64)
    if low >= 0 and high < len(whole) and np.array_equal(whole, np.arange(len(whole))):
        codes = values
    elif low >= 0 and high < _TABLE_LIMIT and int(whole.max()) < _TABLE_LIMIT and whole.min() >= 0:
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
    alphabet = np.empty(len(distinct), dtype=object)
    alphabet[:] = distinct
    return alphabet


def _unseen(place: str, value: Any, alphabet: Array) -> ValueError:
    shown = value.item() if isinstance(value, np.generic) else value
    return ValueError(
        f"{place} is {shown!r}, which is not among the {len(alphabet)} symbols {_listed(alphabet)}: "
        "fit with symbols=[...] to declare all that may come, or mark it as missing (NaN, None)"
    )


def _listed(alphabet: Array) -> str:
    names = [repr(symbol) for symbol in alphabet[:6].tolist()]
    return ", ".join(names) + (", ..." if len(alphabet) > 6 else "")
