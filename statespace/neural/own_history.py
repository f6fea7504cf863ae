"""Sequences that predict themselves: what goes into a network at each step, and what it is to have foretold.

    x_n in, as a symbol or as numbers of about the size of 1          x_{n+1} ~ head(h_n)

Numbers go in as (x - location) / scale, counts as the logarithm of 1 + x on that scale; what is missing goes in as 0,
beside a 1 that says so where something was missing in the data that were learnt from.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.observations import Observations, read_observations
from statespace.foundations.sequences import SymbolSequences, read_symbols
from statespace.foundations.validation import check_sample_weight
from statespace.neural.batches import padded_rows
from statespace.neural.encoder import Batch
from statespace.neural.heads import check_law
from statespace.neural.laws import Bernoulli, Categorical, Gaussian, Poisson
from statespace.protocols import Array, Floats, Ints

_LAWS = ("categorical", "bernoulli", "poisson", "gaussian")


class OwnHistory(NamedTuple):
    """Sequences laid end to end, as a network reads and foretells them."""

    sequences: Any
    """As they were read: `offsets`, `layout`."""
    codes: Ints | None
    """Symbols that go in, (n, 1), -1 where missing; None where numbers do."""
    numbers: Array | None
    """Numbers that go in, (n, n_numbers)."""
    targets: Array
    """What is foretold, (n, n_features)."""
    known: Array
    """Where there is something to foretell, (n,)."""

    def batch(self, firsts: Ints, lengths: Ints) -> Batch:
        """Some stretches, padded."""
        codes = None if self.codes is None else padded_rows(self.codes, firsts, lengths)
        numbers = None if self.numbers is None else padded_rows(self.numbers, firsts, lengths)
        return Batch(lengths, codes, numbers)


@dataclass(frozen=True)
class Reader:
    """How the observations of a sequence become inputs."""

    symbols: Array | None = None
    """The alphabet; None of numbers."""
    location: Floats | None = None
    """What is taken off numbers, (n_features,)."""
    scale: Floats | None = None
    """What they are divided by, (n_features,)."""
    logarithmic: bool = False
    """Whether it is the logarithm of 1 + x that goes in."""
    says_missing: bool = False
    """Whether a 1 stands beside a number that is missing."""

    @property
    def n_numbers(self) -> int:
        """Numbers that go in at each step."""
        return 0 if self.location is None else len(self.location) * (1 + self.says_missing)

    def read(self, X: Any, lengths: Any, dtype: Any) -> OwnHistory:
        """Sequences in any supported form."""
        if self.symbols is not None:
            return of_symbols(read_symbols(X, lengths, self.symbols))
        assert self.location is not None
        found = read_observations(X, lengths, n_features=len(self.location))
        return OwnHistory(found, None, self.inputs(found.values, dtype), found.values, _known(found))

    def inputs(self, values: Array, dtype: Any) -> Array:
        """Numbers that go in for observations (n, n_features)."""
        assert self.location is not None
        assert self.scale is not None
        x = np.asarray(values, np.float64)
        gone = np.isnan(x)
        if self.logarithmic:
            x = np.log1p(np.where(gone, 0.0, x))
        x = np.where(gone, 0.0, (x - self.location) / self.scale)
        return (np.concatenate([x, gone], axis=1) if self.says_missing else x).astype(dtype)


def of_symbols(sequences: SymbolSequences) -> OwnHistory:
    """Codes go in, and are foretold."""
    codes = sequences.codes[:, None]
    return OwnHistory(sequences, codes, None, codes, sequences.codes >= 0)


class Learnt(NamedTuple):
    """What there is to know of the data that a model is to be fitted to, before it learns."""

    law: Any
    """The law of an observation; one of the user's own is copied, for it learns too."""
    reader: Reader
    data: OwnHistory


def learn_reader(head: Any, X: Any, lengths: Any, symbols: Any, dtype: Any, sample_weight: Any = None) -> Learnt:
    """The law, how observations are read, and the data read, of what a model is to be fitted to.

    A weight says how often a sequence counts in the mean and the spread of numbers.

    Raises
    ------
    TypeError, ValueError
        Where `head` is no law, or the data are not of its kind.

    """
    if isinstance(head, str) and head not in _LAWS:
        raise ValueError(f"head is {head!r}, expected one of {', '.join(map(repr, _LAWS))}, or a law of your own")
    if not isinstance(head, str):
        check_law(head, "support", "sample")
    support = getattr(head, "support", None)
    if head in ("categorical", "bernoulli") if isinstance(head, str) else support == "categories":
        found = read_symbols(X, lengths, symbols if isinstance(head, str) or symbols is not None else head.symbols)
        alphabet = found.symbols
        if head == "bernoulli" and len(alphabet) != 2:
            raise ValueError(
                f"head is 'bernoulli', and the data have {len(alphabet)} symbols: it is for two; use 'categorical', or "
                "pass symbols= where one of the two was not seen"
            )
        if isinstance(head, str):
            law: Any = (Bernoulli if head == "bernoulli" else Categorical)(alphabet)
        else:
            law = copy.deepcopy(head)
        return Learnt(law, Reader(alphabet), of_symbols(found))
    if symbols is not None:
        raise ValueError(f"symbols is for laws of symbols, and head is {head!r:.40}")
    read = read_observations(X, lengths)
    p = read.values.shape[1]
    if isinstance(head, str):
        law = Poisson(p) if head == "poisson" else Gaussian(p)
    else:
        law = copy.deepcopy(head)
        wanted = getattr(head, "n_features", 1)
        if wanted != p:
            raise ValueError(f"X has {p} columns, and head is a law of {wanted}")
    logarithmic = law.support == "counts"
    x = np.asarray(read.values, np.float64)
    if logarithmic:
        bad = (x < 0) | (x != np.floor(x)) & ~np.isnan(x)
        if bad.any():
            row = int(np.flatnonzero(bad.any(axis=1))[0])
            raise ValueError(f"row {row} of X is {x[row]}: counts are whole numbers of at least 0, NaN where missing")
        x = np.log1p(x)
    each = weights_of(read, sample_weight)
    counts = np.repeat(each, np.diff(read.offsets))[:, None] * ~np.isnan(x)
    mass = counts.sum(axis=0)
    if not mass.all():
        raise ValueError(f"column {int(np.argmin(mass))} of X has no observation: every value is missing")
    location = (counts * np.where(counts > 0, x, 0.0)).sum(axis=0) / mass
    away = np.where(counts > 0, x - location, 0.0)
    spread = np.sqrt((counts * away**2).sum(axis=0) / mass)
    scale = np.where(spread > 1e-12 * np.abs(location), spread, np.maximum(np.abs(location), 1.0))
    reader = Reader(None, location, scale, logarithmic, bool(np.isnan(x).any()))
    data = OwnHistory(read, None, reader.inputs(read.values, dtype), read.values, _known(read))
    return Learnt(law, reader, data)


def weights_of(sequences: Any, sample_weight: Any) -> Floats:
    """How often each sequence counts; once where it is not said."""
    n = len(sequences.offsets) - 1
    weights = check_sample_weight(sample_weight, n)
    return np.ones(n) if weights is None else weights


def _known(read: Observations) -> Array:
    return np.ones(len(read.values), np.bool_) if read.missing is None else ~read.missing
