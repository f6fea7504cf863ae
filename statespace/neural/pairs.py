"""Pairs of a sequence that is read and one that is written, as an encoder and a decoder see them.

    read        x_1 ... x_S                     symbols, or numbers
    given       begin y_1 ... y_T               what goes into the decoder
    wanted      y_1 ... y_T end                 what it is to foretell

Begin and end are one code, K of the K symbols of what is written: neither goes where the other does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.sequences import SymbolSequences, read_symbols
from statespace.foundations.symbols import is_frame_like
from statespace.foundations.validation import check_choice
from statespace.neural.batches import padded_rows
from statespace.neural.encoder import Batch
from statespace.neural.own_history import OwnHistory, Reader, learn_reader
from statespace.protocols import Array, Ints


class Written(NamedTuple):
    """Sequences that are written, laid end to end, each with one step for its end."""

    given: Ints
    """What goes in, (n, 1)."""
    wanted: Ints
    """What is to be foretold, (n,)."""
    offsets: Ints
    """Where each begins, (n_pairs + 1,)."""

    @property
    def lengths(self) -> Ints:
        """Steps of each, the end among them, (n_pairs,)."""
        return np.diff(self.offsets)

    def batch(self, which: Ints) -> tuple[Batch, Ints, Array]:
        """Some of them, padded: what goes in, what is wanted (B, T), and which of it counts (B, T)."""
        firsts, lengths = self.offsets[which], self.lengths[which]
        wanted = padded_rows(self.wanted, firsts, lengths)
        inside = np.arange(wanted.shape[1])[None, :] < lengths[:, None]
        return Batch(lengths, padded_rows(self.given, firsts, lengths)), wanted, inside


def written(codes: Ints, offsets: Ints, n_symbols: int) -> Written:
    """From codes laid end to end."""
    n = len(offsets) - 1
    ends = offsets[1:] + np.arange(n)  # with a place more for each
    is_end = np.zeros(len(codes) + n, np.bool_)
    is_end[ends] = True
    wanted = np.full(len(is_end), n_symbols, np.int64)
    wanted[~is_end] = codes
    given = np.full(len(is_end), n_symbols, np.int64)
    given[1:] = wanted[:-1]  # the end of one is where the next begins
    return Written(given[:, None], wanted, np.concatenate([[0], ends + 1]).astype(np.int64))


@dataclass(frozen=True)
class PairReader:
    """How sources and targets are read."""

    sources: Reader
    tokens: str | None
    """What a text is cut into."""
    single: bool
    """Whether sources are single symbols or single rows of numbers."""
    symbols: Array
    """Of the targets, (n_symbols,)."""
    as_arrays: bool
    """Whether targets came as arrays, and go out so."""

    def read_sources(self, X: Any, dtype: Any) -> OwnHistory:
        """Sources in the form in which the model was fitted to them."""
        several, single = _sources(X, self.tokens, self.sources.symbols is None)
        if single != self.single:
            one, many = "single symbols or rows", "sequences"
            has, wants = (one, many) if single else (many, one)
            raise ValueError(f"X has {has}, and the model was fitted to {wants}: one source alone is [source]")
        return self.sources.read(several, None, dtype)

    def read_targets(self, y: Any, n_pairs: int) -> Written:
        """Targets of as many sources."""
        found = _targets(y, self.tokens, self.symbols, n_pairs)
        return written(found.codes, found.offsets, len(self.symbols))

    def target(self, codes: Any) -> Any:
        """A target as the targets came in: a list, an array, or text."""
        found = self.symbols[np.asarray(codes, np.int64)]
        if self.tokens is not None:
            return ("" if self.tokens == "characters" else " ").join(map(str, found.tolist()))
        return found if self.as_arrays else found.tolist()


def learn_pairs(
    X: Any, y: Any, kind: str, tokens: str | None, symbols: Any, target_symbols: Any, dtype: Any
) -> tuple[PairReader, OwnHistory, Written]:
    """How pairs are read, and the pairs read, of what a model is to be fitted to.

    Raises
    ------
    TypeError, ValueError
        Where they are no pairs of sequences.

    """
    check_choice("source", kind, ("symbols", "numbers"))
    check_choice("tokens", tokens, (None, "characters", "words"))
    if tokens is not None and kind == "numbers":
        raise ValueError("tokens is for text, and source is 'numbers': leave one out")
    several, single = _sources(X, tokens, kind == "numbers")
    law = "gaussian" if kind == "numbers" else "categorical"
    _, reader, sources = learn_reader(law, several, None, symbols, dtype)
    targets = _targets(y, tokens, target_symbols, len(sources.sequences.offsets) - 1)
    as_arrays = all(isinstance(one, np.ndarray) for one in y)
    pairs = PairReader(reader, tokens, single, targets.symbols, as_arrays)
    return pairs, sources, written(targets.codes, targets.offsets, len(targets.symbols))


def cut(text: Any, tokens: str | None) -> Any:
    """A text as its characters or its words; anything else as it is."""
    if tokens is None or not isinstance(text, str):
        return text
    return list(text) if tokens == "characters" else text.split()


def _sources(X: Any, tokens: str | None, numbers: bool) -> tuple[Any, bool]:
    """A list of sequences; whether each was a single symbol, or one row of numbers."""
    if isinstance(X, str | bytes):
        raise TypeError(f"X is the text {X!r:.40}: pass a list of sources, a sequence each, such as [list(text)]")
    if not hasattr(X, "__len__"):
        raise TypeError(f"X is {type(X).__name__} {X!r:.40}, expected a list of sources, a sequence each")
    if not len(X):
        raise ValueError("X is empty: there is no source")
    if numbers:
        if is_frame_like(X) or np.ndim(X[0]) == 0:
            X = np.asarray(X, np.float64)
        if isinstance(X, np.ndarray) and X.ndim in (1, 2) and X.dtype != object:
            return list(np.ascontiguousarray(X).reshape(len(X), 1, -1)), True
        return [one if is_frame_like(one) else np.asarray(one) for one in X], False
    if tokens is not None:
        return [cut(one, tokens) for one in X], False
    several = list(X)
    for i, one in enumerate(several):
        if getattr(one, "dtype", np.dtype(np.int64)).kind == "f":
            raise TypeError(f"X[{i}] is {one!r:.40}, numbers that are not whole: say source='numbers', or label them")
    if not any(map(_is_sequence, several)):
        return [[one] for one in several], True
    return several, False


def _is_sequence(value: Any) -> bool:
    return not isinstance(value, str | bytes) and hasattr(value, "__len__")


def _targets(y: Any, tokens: str | None, symbols: Any, n_pairs: int) -> SymbolSequences:
    if isinstance(y, str | bytes) or not hasattr(y, "__len__"):
        raise TypeError(f"y is {y!r:.40}, expected a list of targets, a sequence for each source")
    if len(y) != n_pairs:
        raise ValueError(f"y has {len(y)} targets and X {n_pairs} sources: one for each")
    several = [cut(one, tokens) for one in y]
    for i, one in enumerate(several):
        if isinstance(one, str | bytes) or not hasattr(one, "__len__"):
            hint = ": pass list(text), or say tokens='characters'" if isinstance(one, str) else ""
            raise TypeError(f"y[{i}] is {one!r:.40}, expected a sequence of symbols{hint}")
    if symbols is None and not any(map(len, several)):
        raise ValueError("y has no symbol: every target is empty")
    found = read_symbols(several, None, symbols, name="y", may_be_empty=True)
    if found.has_missing:
        row = int(np.flatnonzero(found.codes < 0)[0])
        i = int(np.searchsorted(found.offsets, row, side="right")) - 1
        raise ValueError(f"y[{i}][{row - int(found.offsets[i])}] is missing: what is to be written is known")
    return found
