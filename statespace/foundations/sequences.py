"""Sequences as people have them, as the kernels want them.

A caller hands over one sequence or several, as a list, an array, a pandas or polars Series, a one-column frame, a
(series, time, 1) panel, or several sequences laid end to end with `lengths=`. Symbols are whole numbers or labels of
any kind; None, NaN, pd.NA and masked entries are missing. `read_symbols` turns all of that into codes 0..K-1 (-1 where
missing), and remembers the layout, so that results go out the way the data came in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np

from statespace.foundations.symbols import (
    CleanedSymbols,
    as_int64,
    clean_symbols,
    encode_symbols,
    is_frame_like,
    is_frame_type,
)
from statespace.foundations.validation import check_lengths
from statespace.protocols import Array, Ints


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
    """The place in `symbols` of each observation, -1 where missing, shape (n_samples,). To be read only: it may be the
    caller's own array."""
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


def read_symbols(
    X: Any, lengths: Any = None, symbols: Any = None, *, name: str = "X", may_be_empty: bool = False
) -> SymbolSequences:
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
    name : str
        What messages call the data.
    may_be_empty : bool
        Whether a sequence of several may have no symbol.

    Raises
    ------
    TypeError, ValueError
        Where the container or a symbol is not what it should be; the message names the place and the way out.

    """
    containers, layout = _containers(X, lengths, name, may_be_empty)
    none = CleanedSymbols("nothing", np.zeros(0, np.int64))
    pieces = [clean_symbols(values, called) if len(values) else none for values, called in containers]
    alphabet = None if symbols is None else check_symbols(symbols)
    kind = _common_kind(pieces, containers, alphabet)
    if layout.form == "flat":
        offsets = check_lengths(lengths, len(pieces[0].values))
    else:
        offsets = np.concatenate([[0], np.cumsum([len(piece.values) for piece in pieces])]).astype(np.int64)
    check_calendars(layout, offsets, [called for _, called in containers])
    values = _end_to_end(pieces, kind)
    missing = None
    if any(piece.missing is not None for piece in pieces):
        missing = np.concatenate(
            [np.zeros(len(piece.values), np.bool_) if piece.missing is None else piece.missing for piece in pieces]
        )
        if not missing.any():
            missing = None

    def place(row: int) -> str:
        sequence = int(np.searchsorted(offsets, row, side="right")) - 1
        called = containers[sequence if len(containers) > 1 else 0][1]
        return f"{called}[{row - int(offsets[sequence]) if layout.form == 'list' else row}]"

    if alphabet is None:
        alphabet = _declared_alphabet(pieces, kind)
    codes, alphabet = encode_symbols(values, missing, kind, alphabet, place)
    return SymbolSequences(codes, offsets, alphabet, missing is not None, layout)


def check_calendars(layout: Layout, offsets: Ints, names: list[str]) -> None:
    """Look at the dates of each sequence by itself: the next one may begin before this one ends."""
    if all(index is None for index in layout.indexes):
        return
    for s, (a, b) in enumerate(pairwise(offsets.tolist())):
        index = layout.indexes[0] if layout.form == "flat" else layout.indexes[s]
        if type(index).__name__ in ("DatetimeIndex", "PeriodIndex"):
            from statespace.foundations.calendar import warn_of_holes

            if layout.form == "flat":
                warn_of_holes(index[a:b], f"X[{a}:{b}]")
            else:
                warn_of_holes(index, names[s])


class LaidOut(Protocol):
    """Data that remember how they came in."""

    @property
    def offsets(self) -> Ints:
        """Where each sequence begins and the last one ends, shape (n_sequences + 1,)."""

    @property
    def layout(self) -> Layout:
        """How the data came in."""


def by_step(steps: Array, sequences: LaidOut) -> Any:
    """Values by step, in the form of the data: an array, a Series with the data's index, or a list of these."""
    layout = sequences.layout
    if layout.form != "list":
        return _with_index(steps, layout.indexes[0])
    parts = np.split(steps, sequences.offsets[1:-1])
    return [_with_index(part, index) for part, index in zip(parts, layout.indexes, strict=True)]


def _with_index(values: Array, index: Any) -> Any:
    if index is None:
        return values
    import pandas as pd

    return pd.Series(values, index=index) if values.ndim == 1 else pd.DataFrame(values, index=index)


def check_symbols(symbols: Any) -> Array:
    """An alphabet as an array of distinct symbols, in the order given; a copy, so that it stays what it is."""
    cleaned = clean_symbols(_values_of(_ordered(symbols, "symbols"), "symbols")[0], "symbols")
    if cleaned.missing is not None and cleaned.missing.any():
        raise ValueError("symbols holds a missing value: missing observations need no symbol")
    if cleaned.kind == "integer" and (cleaned.values < 0).any():
        negative = cleaned.values[cleaned.values < 0][0]
        raise ValueError(f"symbols holds {negative}: symbols are whole numbers from 0 or labels, such as '{negative}'")
    seen = set()
    for symbol in cleaned.values.tolist():
        if symbol in seen:
            raise ValueError(f"symbols holds {symbol!r} twice: every symbol stands once")
        seen.add(symbol)
    return np.array(cleaned.values, dtype=np.int64 if cleaned.kind == "integer" else None)


# ---------------------------------------------------------------------------------------------------- containers


def _containers(X: Any, lengths: Any, name: str, may_be_empty: bool) -> tuple[list[tuple[Any, str]], Layout]:
    """One-dimensional pieces, each with the name that messages give it, and the layout."""
    X = _ordered(X, name)
    if isinstance(X, np.ndarray) and X.ndim == 3:
        if X.shape[2] != 1:
            raise ValueError(
                f"{name} has shape {X.shape}, a panel (series, time, feature) of {X.shape[2]} features; "
                f"a sequence of symbols has one a step: pass {name}[:, :, j]"
            )
        X = list(X[:, :, 0])
    if _is_list_of_sequences(X, name):
        if lengths is not None:
            raise ValueError(
                f"lengths is for sequences laid end to end in one array, and {name} is a list of sequences, which have "
                "their own; a y of labels does not belong here"
            )
        read = [_values_of(item, f"{name}[{i}]", may_be_empty) for i, item in enumerate(X)]
        pieces = [(values, f"{name}[{i}]") for i, (values, _) in enumerate(read)]
        return pieces, Layout("list", tuple(index for _, index in read))
    values, index = _values_of(X, name)
    return [(values, name)], Layout("single" if lengths is None else "flat", (index,))


def _ordered(X: Any, name: str) -> Any:
    """`X` as an array, list, tuple, range or frame; refused where it has no order or no length."""
    if isinstance(X, str | bytes):
        raise TypeError(f"{name} is the text {X!r:.30}: pass list(text) for characters, or text.split() for words")
    if isinstance(X, np.ndarray | list | tuple | range) or is_frame_like(X):
        return X
    if isinstance(X, Mapping | Set) or not (hasattr(X, "__len__") or hasattr(X, "__array__")):
        expected = "a sequence of symbols" + (", or a list of sequences" if name in ("X", "y") else "")
        raise TypeError(f"{name} is {type(X).__name__} {X!r:.40}, expected {expected}")
    return np.asarray(X) if hasattr(X, "__array__") else list(X)


def _is_list_of_sequences(X: Any, name: str) -> bool:
    if not isinstance(X, list | tuple | np.ndarray):
        return False
    if isinstance(X, np.ndarray) and (X.dtype != object or X.ndim != 1):
        return False
    kinds = set(map(type, X))
    nested = {kind for kind in kinds if _is_sequence_type(kind)}
    if isinstance(X, np.ndarray):
        nested.discard(tuple)  # whoever makes an array of tuples means labels
    if nested and nested != kinds:
        first = type(X[0]) in nested
        where = next(i for i, item in enumerate(X) if (type(item) in nested) != first)
        raise TypeError(
            f"{name} mixes sequences and single symbols ({name}[{where}] is {X[where]!r:.40}, {name}[0] is "
            f"{X[0]!r:.40}): pass one sequence of symbols or a list of sequences"
        )
    return bool(nested)


def _is_sequence_type(kind: type) -> bool:
    if kind is np.ma.core.MaskedConstant:  # an array to numpy, a missing observation to us
        return False
    return issubclass(kind, list | tuple | range | np.ndarray) or is_frame_type(kind)  # type: ignore[arg-type]  # a class is hashable


def _values_of(X: Any, name: str, may_be_empty: bool = False) -> tuple[Any, Any]:
    """The one-dimensional values of one sequence, and its index."""
    index = None
    if is_frame_like(X):
        if len(getattr(X, "shape", ())) == 2:
            if X.shape[1] != 1:
                columns = ", ".join(map(repr, list(X.columns)[:5]))
                raise ValueError(f"{name} is a frame of {X.shape[1]} columns ({columns}): choose one, as X[column]")
            X = X[X.columns[0]]
        index = getattr(X, "index", None) if type(X).__module__.startswith("pandas") else None
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
                f"{name} has shape {values.shape}; a sequence of symbols has one a step: {advice}"
                if values.ndim
                else f"{name} is the single value {X!r:.40}, expected a sequence of symbols"
            )
    if not len(values):
        if may_be_empty:
            return [], index
        raise ValueError(f"{name} is empty: a sequence needs at least one observation")
    return values, index


# -------------------------------------------------------------------------------------------- several as one


def _common_kind(pieces: Sequence[CleanedSymbols], containers: Sequence[tuple[Any, str]], alphabet: Any) -> str:
    known = [(piece.kind, name) for piece, (_, name) in zip(pieces, containers, strict=True) if piece.kind != "nothing"]
    if not known:
        if alphabet is None:
            raise ValueError("X has no observation: every value is missing")
        return "nothing"
    first = known[0]
    for kind, name in known:
        if kind != first[0]:
            raise TypeError(f"{first[1]} holds {first[0]} symbols but {name} holds {kind} symbols: use one kind")
    return first[0]


def _end_to_end(pieces: Sequence[CleanedSymbols], kind: str) -> Array:
    if len(pieces) == 1:
        return pieces[0].values
    if kind in ("integer", "nothing"):  # numpy would join int64 and uint64 to floats
        return np.concatenate([as_int64(piece.values) for piece in pieces])
    known = next(piece.values.dtype for piece in pieces if piece.kind == kind)
    return np.concatenate(
        [np.zeros(len(piece.values), known) if piece.kind == "nothing" else piece.values for piece in pieces]
    )


def _declared_alphabet(pieces: Sequence[CleanedSymbols], kind: str) -> Array | None:
    """What the data themselves say of their alphabet: the categories of categoricals, both truth values."""
    declared = next((piece.categories for piece in pieces if piece.categories is not None), None)
    if declared is None:
        return np.array([False, True]) if kind == "bool" else None
    for piece in pieces:
        if piece.kind == "nothing" if piece.categories is None else np.array_equal(piece.categories, declared):
            continue
        raise ValueError("the categories of the sequences differ: give them all the same categories, in one order")
    return np.array(declared, dtype=np.int64 if kind == "integer" else None)
