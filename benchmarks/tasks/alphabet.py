"""The alphabet: forward, backward, from any letter, and both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from string import ascii_uppercase

from benchmarks.tasks.frame import Contender, Outcome, Task, at_least
from statespace.neural import RecurrentSequenceModel

_LETTERS = list(ascii_uppercase)
_EACH_WAY = {
    "forward": [_LETTERS],
    "backward": [_LETTERS[::-1]],
    "from any letter": [_LETTERS[i:] for i in range(len(_LETTERS))],
    "both ways from any letter": [row[i:] for row in (_LETTERS, _LETTERS[::-1]) for i in range(len(_LETTERS) - 1)],
}


def _contenders(quick: bool) -> Iterator[Contender]:
    for way, rows in _EACH_WAY.items():
        for cell in ("rnn", "gru", "lstm"):
            yield Contender(
                f"{cell}, {way}", partial(_said, cell, rows, 2 if quick else None), {"letters said": at_least(1.0)}
            )


def _said(cell: str, rows: Sequence[list[str]], n_epochs: int | None, seed: int) -> Outcome:
    """The part of all letters that a network says right after the first of each row; of both ways, after two."""
    options = {} if n_epochs is None else {"n_epochs": n_epochs}
    model = RecurrentSequenceModel(cell, 32, held_out=0, random_state=seed, **options).fit(rows)
    n_told = 2 if rows == _EACH_WAY["both ways from any letter"] else 1
    right = total = 0
    for row in rows:
        left = len(row) - n_told
        if left:
            said = model.sample(left, 0, start=row[:n_told], temperature=0)
            right, total = right + sum(a == b for a, b in zip(said, row[n_told:], strict=True)), total + left
    return Outcome({"letters said": right / total})


TASK = Task(
    "alphabet",
    "The alphabet, said to its end",
    "One row of 26 letters forward, one backward, the 26 rows from each letter on, or the 50 rows from each letter "
    "both ways; nothing is held out. A network is told the first letter of a row, of those both ways two, and goes on "
    "by itself, each letter that it says going in as the next: the part of these that is right. 32 hidden units, all "
    "else as it is by default.",
    _contenders,
)
