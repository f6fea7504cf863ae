"""Text as symbols: the words or characters of an utterance, a vocabulary, and columns beside a word of how it is spelt.

A word that was seen less often than `min_count` is the unknown word, in training too, so that its vector is learnt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from statespace.foundations.estimator import Estimator
from statespace.foundations.symbols import is_missing
from statespace.foundations.validation import check_choice, check_flag, check_integer, check_share
from statespace.protocols import Ints

Tokens = list[str | None]

UNKNOWN = 0
"""The code of what a vocabulary does not hold, in every column; -1 is what is missing."""

_WORD = re.compile(r"\d+(?:[.,:]\d+)+|\w+(?:['’]\w+)*|[^\w\s]")
_RUNS = re.compile(r"(.)\1+", re.DOTALL)


def words(text: str, lower: bool = True) -> list[str]:
    """Words of an utterance; each mark of punctuation is one, and an apostrophe inside a word belongs to it.

    Examples
    --------
    >>> words("What's the time, 10:30?")
    ["what's", 'the', 'time', ',', '10:30', '?']

    """
    return _WORD.findall(text.lower() if lower else text)


def characters(text: str, lower: bool = True) -> list[str]:
    """Characters of an utterance, blanks too.

    Examples
    --------
    >>> characters("No 5")
    ['n', 'o', ' ', '5']

    """
    return list(text.lower() if lower else text)


def word_shape(word: str) -> str:
    """How a word is written: X for capitals, x for small letters, d for digits, each run once, other marks themselves.

    Examples
    --------
    >>> [word_shape(word) for word in ("Duck", "iPhone", "U.S.", "1984", "3rd", "...")]
    ['Xx', 'xXx', 'X.X.', 'd', 'dx', '.']

    """
    kinds = "".join(
        "d" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else "_" if c.isspace() else c for c in word
    )
    return _RUNS.sub(r"\1", kinds)


class TokenFeatures(Estimator):
    """How text becomes columns of symbols, each of which has an embedding of its own.

    Parameters
    ----------
    tokens : {None, "words", "characters"}
        What an utterance, a str, is cut into; None: sequences are lists of tokens already. Those are left as they
        are with each of the three.
    lower : bool
        Whether words are compared without their capitals; `shape` sees these all the same.
    min_count : int
        Words, suffixes and shapes seen less often are unknown ones.
    suffix : int, optional
        A column of the last so many characters, small ones with `lower`.
    shape : bool
        A column of how the word is written, as `word_shape` has it.
    word_dropout : float
        Probability with which a word, not its suffix or shape, is taken for the unknown one in training, so that
        what stands around it counts (Iyyer et al. 2015).

    Examples
    --------
    >>> features = TokenFeatures("words", suffix=2, shape=True)
    >>> features.columns(features.tokens_of("The ducks duck"))
    [['the', 'ducks', 'duck'], ['he', 'ks', 'ck'], ['Xx', 'x', 'x']]

    """

    def __init__(
        self,
        tokens: str | None = None,
        *,
        lower: bool = True,
        min_count: int = 2,
        suffix: int | None = None,
        shape: bool = False,
        word_dropout: float = 0.0,
    ) -> None:
        self.tokens = tokens
        self.lower = lower
        self.min_count = min_count
        self.suffix = suffix
        self.shape = shape
        self.word_dropout = word_dropout

    def check(self) -> None:
        """Refuse, in words, what is no option."""
        check_choice("tokens", self.tokens, (None, "words", "characters"))
        check_flag("lower", self.lower)
        check_flag("shape", self.shape)
        check_integer("min_count", self.min_count, 1)
        if self.suffix is not None:
            check_integer("suffix", self.suffix, 1)
        if check_share("word_dropout", self.word_dropout) == 1:
            raise ValueError("word_dropout is 1, and no word would be left")

    def tokens_of(self, sequence: Any, name: str = "X[0]") -> Tokens:
        """Tokens of an utterance or of a list of tokens, None where missing.

        Raises
        ------
        TypeError, ValueError
            Where it holds no token, or something that is none; `name` is what messages call it.

        """
        if isinstance(sequence, str):
            if self.tokens is None:
                raise TypeError(
                    f"{name} is the text {sequence!r:.40}, and tokens is None: say tokens='words' or "
                    "tokens='characters'; one sequence of tokens is a list of lists, [X]"
                )
            found: Tokens = list((words if self.tokens == "words" else characters)(sequence, lower=False))
        else:
            if isinstance(sequence, bytes | dict | set) or not hasattr(sequence, "__iter__"):
                raise TypeError(f"{name} is {sequence!r:.40}, expected a text, or a list of tokens")
            found = [self._token(token, f"{name}[{i}]") for i, token in enumerate(sequence)]
        if not found:
            raise ValueError(f"{name} is {sequence!r:.40}, which has no token: a sequence needs at least one")
        return found

    @staticmethod
    def _token(token: Any, place: str) -> str | None:
        if isinstance(token, str):
            return str(token)
        if is_missing(token):
            return None
        if isinstance(token, int | np.integer | np.bool_):
            return str(token)
        raise TypeError(f"{place} is {token!r:.40}, expected a token: text, or None where missing")

    def columns(self, tokens: Tokens) -> list[Tokens]:
        """The word, and what stands beside it, of each token."""
        plain: Tokens = [None if t is None else t.lower() for t in tokens] if self.lower else list(tokens)
        found = [plain]
        if self.suffix is not None:
            n = self.suffix
            found.append([None if t is None else t[-n:] for t in plain])
        if self.shape:
            found.append([None if t is None else word_shape(t) for t in tokens])
        return found


class Vocabulary:
    """The symbols of each column, and their codes: 0 is all that is unknown, -1 what is missing.

    Parameters
    ----------
    symbols : list of lists of str
        Of each column; the first has the code 1.

    Examples
    --------
    >>> vocabulary = Vocabulary.learn([["to", "be", "or", "not", "to", "be"]], min_count=2)
    >>> vocabulary.symbols, vocabulary.codes([["to", "duck", None]]).tolist()
    ([['be', 'to']], [[2], [0], [-1]])

    """

    def __init__(self, symbols: Sequence[Sequence[str]]) -> None:
        self.symbols = [list(column) for column in symbols]
        self._codes: list[dict[str | None, int]] = [
            {None: -1} | {symbol: k + 1 for k, symbol in enumerate(column)} for column in self.symbols
        ]

    @classmethod
    def learn(cls, columns: Sequence[Tokens], min_count: int = 1) -> Vocabulary:
        """All symbols that stand in a column at least so often, the most frequent first."""
        found = []
        for column in columns:
            counts = Counter(symbol for symbol in column if symbol is not None)
            kept = [symbol for symbol, n in counts.items() if n >= min_count]
            found.append(sorted(kept, key=lambda symbol: (-counts[symbol], symbol)))
        return cls(found)

    @property
    def sizes(self) -> list[int]:
        """Codes of each column, the unknown one among them."""
        return [len(column) + 1 for column in self.symbols]

    def codes(self, columns: Sequence[Tokens]) -> Ints:
        """Codes of columns of symbols, (n, n_columns)."""
        found = np.empty((len(columns[0]), len(columns)), np.int64)
        for c, (column, codes) in enumerate(zip(columns, self._codes, strict=True)):
            found[:, c] = [codes.get(symbol, UNKNOWN) for symbol in column]
        return found
