"""Japanese vowels: who of nine men speaks."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tasks.frame import MORE, Contender, Outcome, SkippedError, Task, at_least, data_file, trained
from statespace.neural import RecurrentClassifier

_FIGURE = "speakers right"

Spoken = tuple[list[Any], list[int]]


def _contenders(quick: bool) -> Iterator[Contender]:
    train, test = _read("TRAIN"), _read("TEST")
    for dropout in (0.2, 0.0):
        for cell in ("gru", "rnn", "lstm"):
            yield Contender(
                f"{cell}, 100 units, {f'dropout {dropout:g}' if dropout else 'no dropout'}",
                partial(_classifier, cell, dropout, 1 if quick else 30, train, test),
                {_FIGURE: at_least(0.97) if dropout and cell != "lstm" else MORE},
                n_seeds=5,
                median=True,
            )


def _read(split: str) -> Spoken:
    """Utterances (n_steps, 12), and who speaks: from sktime, which ships them, or from the folder of data."""
    parts, name = ("datasets", "data", "JapaneseVowels"), f"JapaneseVowels_{split}.ts"
    installed = importlib.util.find_spec("sktime")  # found, and not imported
    folders = [] if installed is None else [Path(p, *parts) for p in installed.submodule_search_locations or ()]
    path = next((folder / name for folder in folders if (folder / name).exists()), None)
    if path is None:
        try:
            path = data_file("japanese_vowels", name)
        except SkippedError as reason:
            raise SkippedError(f"{reason}; or pip install --no-deps sktime, which ships it") from None
    X, y = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *rows, speaker = line.split(":")
            X.append(np.array([[float(v) for v in row.split(",") if v != "?"] for row in rows]).T)
            y.append(int(speaker))
    return X, y


def _classifier(cell: str, dropout: float, n_epochs: int, train: Spoken, test: Spoken, seed: int) -> Outcome:
    options: dict[str, Any] = {"n_epochs": n_epochs, "held_out": 0.0, "learning_rate": 3e-3, "decay": "linear"}
    model = RecurrentClassifier(cell, 100, dropout=dropout, random_state=seed, **options)
    fitted, seconds = trained(lambda: model.fit(*train))
    return Outcome({_FIGURE: fitted.score(*test)}, seconds)


TASK = Task(
    "vowels",
    "Japanese vowels",
    "270 utterances to learn from, 370 that are scored, of 7 to 29 steps of 12 numbers, by nine speakers (Kudo et al. "
    "1999). 30 epochs, with a rate that falls from 0.003 along a line; nothing is held out, and all else is as it is "
    "by default.",
    _contenders,
)
