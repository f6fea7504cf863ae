"""The copying problem: what was read is to be said again after a delay, letter by letter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.tasks.frame import MORE, Contender, Outcome, Task, at_least, trained
from statespace.neural import RecurrentTagger

_LETTERS, _N_LETTERS, _DELAY = list("ABCDEFGH"), 10, 20
_N_ROWS, _N_TEST, _N_EPOCHS = 20_000, 1000, 12
_SYMBOL, _ROW = "letters that are right", "rows that are all right"


def rows(n: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What is read, and what is to be said: letters, blanks, the mark to begin and blanks; blanks, and the letters."""
    drawn = np.random.default_rng(seed).choice(_LETTERS, (n, _N_LETTERS))
    read = np.full((n, 2 * _N_LETTERS + _DELAY), " ")
    said = read.copy()
    read[:, :_N_LETTERS], said[:, -_N_LETTERS:] = drawn, drawn
    read[:, _N_LETTERS + _DELAY] = ">"
    return list(read), list(said)


def _contenders(quick: bool) -> Iterator[Contender]:
    train, test = rows(200 if quick else _N_ROWS, 1), rows(_N_TEST, 2)
    for cell in ("gru", "lstm"):
        options: dict[str, Any] = {"n_epochs": 1 if quick else _N_EPOCHS, "decay": "cosine", "held_out": 0}
        run = partial(_told_again, cell, options, train, test)
        yield Contender(f"{cell}, 100 units", run, {_SYMBOL: at_least(0.99), _ROW: MORE})


def _told_again(cell: str, options: dict[str, Any], train: Any, test: Any, seed: int) -> Outcome:
    model = RecurrentTagger(cell, 100, bidirectional=False, tokens=None, random_state=seed, **options)
    fitted, seconds = trained(lambda: model.fit(*_as_numbers(train)))
    read, said = _as_numbers(test)
    right = np.array(fitted.predict(read)) == np.array(said)
    return Outcome({_SYMBOL: float(right[:, -_N_LETTERS:].mean()), _ROW: float(right.all(axis=1).mean())}, seconds)


def _as_numbers(pairs: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Each letter as a 1 among zeros."""
    read, said = pairs
    signs = np.array([*_LETTERS, " ", ">"])
    return [(row[:, None] == signs).astype(float) for row in read], said


TASK = Task(
    "copying",
    "Copy of ten letters over a delay of twenty",
    f"Ten of eight letters, {_DELAY} blanks, a mark at which the last ten steps begin, and then the letters are to be "
    "said again in their order; before, blanks (Hochreiter and Schmidhuber 1997; Arjovsky, Shah and Bengio 2016). A "
    f"tagger that runs forward only, {_N_ROWS:,} rows to learn from, {_N_EPOCHS} epochs with a rate that falls along a "
    f"cosine, all else as it is by default; the part of the letters of {_N_TEST:,} new rows that are right: an eighth "
    "is by chance.",
    _contenders,
)
