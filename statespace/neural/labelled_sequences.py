"""Sequences as a network reads them that is told what they mean: texts, tokens or numbers, and their labels.

Numbers go in as (x - location) / scale, tokens as codes of a vocabulary; both are learnt from what is trained on, and
not from what is held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.observations import Observations, read_observations
from statespace.foundations.sequences import Layout
from statespace.foundations.symbols import clean_symbols, is_frame_like, is_missing
from statespace.foundations.validation import check_lengths
from statespace.neural.batches import padded_rows
from statespace.neural.encoder import Batch
from statespace.neural.own_history import Reader
from statespace.neural.text import TokenFeatures, Tokens, Vocabulary
from statespace.protocols import Array, Floats, Ints


class Texts(NamedTuple):
    """Tokens laid end to end, a list for each column of features."""

    columns: list[Tokens]
    offsets: Ints
    """Sequence s has the tokens offsets[s], ..., offsets[s + 1] - 1."""
    layout: Layout


class Inputs(NamedTuple):
    """Sequences laid end to end, as a network reads them."""

    offsets: Ints
    """Sequence s has the rows offsets[s], ..., offsets[s + 1] - 1, shape (n_sequences + 1,)."""
    layout: Layout
    """How they came in."""
    codes: Ints | None
    """Symbols, (n, n_columns), -1 where missing; None where numbers go in."""
    numbers: Array | None
    """Numbers, (n, n_numbers)."""

    @property
    def lengths(self) -> Ints:
        """Steps of each sequence."""
        return np.diff(self.offsets)

    def batch(self, firsts: Ints, lengths: Ints) -> Batch:
        """Some stretches, padded."""
        codes = None if self.codes is None else padded_rows(self.codes, firsts, lengths)
        numbers = None if self.numbers is None else padded_rows(self.numbers, firsts, lengths)
        return Batch(lengths, codes, numbers)


@dataclass(frozen=True)
class InputReader:
    """How sequences become inputs."""

    features: TokenFeatures | None = None
    """How text becomes tokens; None of numbers."""
    vocabulary: Vocabulary | None = None
    """The codes of tokens."""
    reader: Reader | None = None
    """Location and scale of numbers."""

    @classmethod
    def learn(cls, found: Texts | Observations, features: TokenFeatures | None, sequences: Ints) -> InputReader:
        """The reader that follows from some of the sequences.

        Raises
        ------
        ValueError
            Where a column of numbers has no observation.

        """
        chosen = np.zeros(len(found.offsets) - 1, np.bool_)
        chosen[sequences] = True
        rows = np.repeat(chosen, np.diff(found.offsets))
        if isinstance(found, Texts):
            assert features is not None
            columns = [[t for t, here in zip(column, rows, strict=True) if here] for column in found.columns]
            return cls(features, Vocabulary.learn(columns, features.min_count))
        x = np.asarray(found.values, np.float64)[rows]
        gone = np.isnan(x)
        if gone.all(axis=0).any():
            raise ValueError(
                f"column {int(np.argmax(gone.all(axis=0)))} of X has no observation: every value is missing"
            )
        location, spread = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
        scale = np.where(spread > 1e-12 * np.abs(location), spread, np.maximum(np.abs(location), 1.0))
        return cls(reader=Reader(None, location, scale, says_missing=bool(gone.any())))

    def read(self, found: Texts | Observations, dtype: Any) -> Inputs:
        """Sequences that were laid end to end, as inputs."""
        if isinstance(found, Texts):
            assert self.vocabulary is not None
            return Inputs(found.offsets, found.layout, self.vocabulary.codes(found.columns), None)
        assert self.reader is not None
        return Inputs(found.offsets, found.layout, None, self.reader.inputs(found.values, dtype))

    def lay_out(self, X: Any, lengths: Any) -> Texts | Observations:
        """Sequences of the kind that was learnt from, laid end to end."""
        if self.features is not None:
            return lay_out_texts(X, lengths, self.features)
        if _holds_text(X):
            raise TypeError("X holds text, and the model was fitted to numbers")
        assert self.reader is not None
        assert self.reader.location is not None
        return read_observations(X, lengths, n_features=len(self.reader.location))

    @property
    def sizes(self) -> list[int]:
        """Symbols of each column."""
        return [] if self.vocabulary is None else self.vocabulary.sizes

    @property
    def n_numbers(self) -> int:
        """Numbers that go in at each step."""
        return 0 if self.reader is None else self.reader.n_numbers


def lay_out(X: Any, lengths: Any, tokens: Any) -> tuple[Texts | Observations, TokenFeatures | None]:
    """Sequences laid end to end, and how text among them becomes tokens.

    Parameters
    ----------
    X : list of texts, of sequences of tokens or of rows of numbers; or one sequence
    lengths : (n_sequences,), optional
        Of sequences laid end to end.
    tokens : {None, "words", "characters"} or TokenFeatures
        As of the estimators.

    """
    if isinstance(tokens, str):
        features: TokenFeatures | None = TokenFeatures(tokens)
    elif tokens is None:
        features = TokenFeatures(lower=False, min_count=1) if _holds_text(X) else None
    elif isinstance(tokens, TokenFeatures):
        features = tokens
    else:
        raise TypeError(f"tokens is {tokens!r:.60}, expected None, 'words', 'characters' or TokenFeatures(...)")
    if features is None:
        return read_observations(X, lengths), None
    features.check()
    return lay_out_texts(X, lengths, features), features


def lay_out_texts(X: Any, lengths: Any, features: TokenFeatures) -> Texts:
    """Texts or sequences of tokens, laid end to end.

    Raises
    ------
    TypeError, ValueError
        Where one is neither; the message names its place.

    """
    if isinstance(X, str):
        raise TypeError(f"X is the one text {X!r:.40}: pass a list of texts, [X]")
    if isinstance(X, bytes | dict | set) or not hasattr(X, "__len__"):
        raise TypeError(f"X is {type(X).__name__} {X!r:.40}, expected a list of texts or of sequences of tokens")
    given = list(X)
    if not given:
        raise ValueError("X is empty: at least one sequence is needed")
    first = next((item for item in given if not is_missing(item)), None)
    nested = not isinstance(first, str) and hasattr(first, "__iter__")
    if nested or (features.tokens is not None and lengths is None):
        if lengths is not None:
            raise ValueError("lengths is for tokens laid end to end in one list, and X is a list of sequences")
        sequences = [features.tokens_of(item, f"X[{s}]") for s, item in enumerate(given)]
        layout = Layout("list", (None,) * len(sequences))
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in sequences])]).astype(np.int64)
        flat = [token for one in sequences for token in one]
    else:
        if lengths is None:
            raise TypeError(
                f"X[0] is the text {given[0]!r:.40}, and tokens is None: say tokens='words' or tokens='characters'; "
                "one sequence of tokens is [X]"
            )
        flat, offsets = features.tokens_of(given, "X"), check_lengths(lengths, len(given))
        layout = Layout("flat", (None,))
    return Texts(features.columns(flat), offsets, layout)


def _holds_text(X: Any) -> bool:
    """Whether the first thing in X that is not missing is text."""
    if isinstance(X, str):
        return True
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if kind in ("f", "i", "u", "b") or not hasattr(X, "__iter__") or (is_frame_like(X) and hasattr(X, "columns")):
        return False
    for item in X:
        if isinstance(item, str):
            return True
        if getattr(getattr(item, "dtype", None), "kind", None) in ("f", "i", "u", "b"):
            return False
        if hasattr(item, "__iter__"):
            for inner in item:
                if isinstance(inner, str):
                    return True
                if not is_missing(inner):
                    return False
        elif not is_missing(item):
            return False
    return False


# ------------------------------------------------------------------------------------------------------- labels


class Labels(NamedTuple):
    """Labels, laid end to end where there is one a step."""

    values: Array
    """Whole numbers, truth values or text, (n,); anything where missing."""
    known: Array
    """Where there is a label, (n,)."""


def read_labels(y: Any, name: str = "y") -> Labels:
    """One label for each sequence, or each step of one.

    Raises
    ------
    TypeError, ValueError
        Where they are no labels; the message names the place.

    """
    if isinstance(y, str | bytes) or not hasattr(y, "__len__"):
        raise TypeError(f"{name} is {y!r:.40}, expected a list of labels")
    values: Any = y if is_frame_like(y) or isinstance(y, np.ndarray) else list(y)
    if is_frame_like(values) and hasattr(values, "columns"):
        if values.shape[1] != 1:
            raise ValueError(f"{name} is a frame of {values.shape[1]} columns, expected one of labels")
        values = values[values.columns[0]]
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise ValueError(f"{name} has shape {values.shape}, expected one label for each")
    if isinstance(values, list) and any(isinstance(value, list | tuple | np.ndarray) for value in values):
        raise ValueError(f"{name} is a list of lists, expected one label for each")
    found = clean_symbols(values, name)
    if found.kind == "object":
        raise TypeError(f"{name} holds {found.values[0]!r:.40}: labels are text, whole numbers or truth values")
    known = np.ones(len(found.values), np.bool_) if found.missing is None else ~found.missing
    return Labels(np.asarray(found.values), known)


def labels_by_step(y: Any, offsets: Ints, layout: Layout) -> Labels:
    """A label for each step of each sequence, in the form of the sequences, laid end to end.

    Raises
    ------
    TypeError, ValueError
        Where lengths differ, or labels are of several kinds.

    """
    parts = [read_labels(part, name) for part, name in each_sequence(y, offsets, layout)]
    kinds = {part.values.dtype.kind.replace("u", "i"): i for i, part in enumerate(parts) if part.known.any()}
    if len(kinds) > 1:
        names = {"i": "whole numbers", "b": "truth values", "U": "text"}
        said = " and ".join(f"{names.get(kind, kind)} (y[{i}])" for kind, i in kinds.items())
        raise TypeError(f"y holds {said}: use one kind of labels")
    kind = next(iter(kinds), "i")
    values = [part.values if part.known.any() else np.zeros(len(part.values), f"{kind}1") for part in parts]
    return Labels(np.concatenate(values), np.concatenate([part.known for part in parts]))


def each_sequence(y: Any, offsets: Ints, layout: Layout) -> list[tuple[Any, str]]:
    """What belongs to each sequence, and what messages call it.

    Raises
    ------
    TypeError, ValueError
        Where there are more or fewer, or one is not as long as its sequence.

    """
    n = len(offsets) - 1
    if isinstance(y, str | bytes) or not hasattr(y, "__len__"):
        raise TypeError(f"y is {y!r:.40}, expected one entry for each step of X")
    if layout.form != "list":
        if len(y) != offsets[-1]:
            raise ValueError(f"y has {len(y)} entries, and X has {offsets[-1]} steps: one for each is needed")
        return [(y, "y")]
    if len(y) != n:
        raise ValueError(f"y has {len(y)} sequences, and X has {n}: one for each is needed")
    found = []
    for s, ((a, b), part) in enumerate(zip(pairwise(offsets.tolist()), y, strict=True)):
        if isinstance(part, str | bytes) or not hasattr(part, "__len__"):
            raise TypeError(f"y[{s}] is {part!r:.40}, expected {b - a} entries: one for each step of X[{s}]")
        if len(part) != b - a:
            raise ValueError(f"y[{s}] has {len(part)} entries, and X[{s}] has {b - a} steps: one for each is needed")
        found.append((part, f"y[{s}]"))
    return found


def codes_of(labels: Labels, classes: Array) -> Floats:
    """Places in the classes of labels, (n,), NaN where missing.

    Raises
    ------
    ValueError
        Where a label is none of them.

    """
    found = np.full(len(labels.values), np.nan)
    known = labels.values[labels.known]
    same = (known.dtype.kind in "iu") == (classes.dtype.kind in "iu") and (known.dtype.kind == "U") == (
        classes.dtype.kind == "U"
    )
    if not len(known):
        return found
    places = np.minimum(np.searchsorted(classes, known), len(classes) - 1) if same else np.zeros(len(known), np.int64)
    wrong = np.flatnonzero(classes[places] != known) if same else np.arange(len(known))
    if len(wrong):
        shown = ", ".join(map(repr, classes[:6].tolist())) + (", ..." if len(classes) > 6 else "")
        raise ValueError(f"y holds {known[wrong[0]].item()!r}, which is none of the classes {shown}")
    found[labels.known] = places
    return found


def read_targets(y: Any, name: str = "y") -> tuple[Floats, bool]:
    """Numbers (n, n_targets), NaN where missing, and whether they came as one number each.

    Raises
    ------
    TypeError, ValueError
        Where they are no numbers, or infinite.

    """
    given = y.to_numpy() if is_frame_like(y) else y
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {y!r:.60}, expected numbers (n,) or (n, n_targets), NaN where missing") from None
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"{name} has shape {values.shape}, expected (n,) or (n, n_targets)")
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values).reshape(len(values), -1).any(axis=1)))
        raise ValueError(f"{name}[{row}] is infinite: targets are finite, and NaN where missing")
    return values.reshape(len(values), -1), values.ndim == 1


def targets_by_step(y: Any, offsets: Ints, layout: Layout) -> tuple[Floats, bool]:
    """The same, for each step of each sequence, laid end to end."""
    parts = [(read_targets(part, name), name) for part, name in each_sequence(y, offsets, layout)]
    (first, plain), _ = parts[0]
    for (values, _), name in parts:
        if values.shape[1] != first.shape[1]:
            raise ValueError(f"{name} has {values.shape[1]} columns, and y[0] has {first.shape[1]}")
    return np.concatenate([values for (values, _), _ in parts]), plain
