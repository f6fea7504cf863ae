"""Intents of CLINC150: which of 150 things is asked for, or none of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.tasks.frame import MORE, Contender, Outcome, Task, at_least, data_file, trained
from statespace.neural import RecurrentClassifier

_FIGURE = "right of 3,000 in scope"
_TIME = "'what time is it' is `time`"
_MODELS: dict[str, dict[str, Any]] = {
    "gru, 128 units, dropout 0.3": {"dropout": 0.3},
    "gru, 128 units, no dropout": {"dropout": 0.0},
    "lstm, 128 units, dropout 0.3": {"cell": "lstm", "dropout": 0.3},
}
_ASKED = "gru, 128 units, dropout 0.3"


def _contenders(quick: bool) -> Iterator[Contender]:
    with data_file("intents_clinc150", "clinc150.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    train = [(row["text"], row["intent"]) for row in rows if row["split"] == "train"]
    test = [(row["text"], row["intent"]) for row in rows if row["split"] == "val" and row["intent"] != "oos"]
    if quick:
        train = train[::50]
    for model, options in _MODELS.items():
        asked = model == _ASKED
        bars = {_FIGURE: at_least(0.87) if asked else MORE, _TIME: at_least(1.0) if asked else MORE}
        yield Contender(model, partial(_classifier, options, 1 if quick else 15, train, test), bars)


def _classifier(
    options: dict[str, Any], n_epochs: int, train: list[tuple[str, str]], test: list[tuple[str, str]], seed: int
) -> Outcome:
    settings = {"cell": "gru", "tokens": "words", "embedding_size": 128, "n_epochs": n_epochs, "held_out": 0.0}
    settings |= {"learning_rate": 2e-3, "decay": "linear", "random_state": seed} | options
    model = RecurrentClassifier(hidden_size=128, **settings)
    X, y = map(list, zip(*train, strict=True))
    fitted, seconds = trained(lambda: model.fit(X, y))
    said = fitted.predict(["what time is it"])[0]
    return Outcome({_FIGURE: fitted.score(*map(list, zip(*test, strict=True))), _TIME: float(said == "time")}, seconds)


TASK = Task(
    "intents",
    "Intents of CLINC150",
    "15,100 utterances to learn from, 100 of each intent and 100 of none of them, 151 outputs; scored are the 3,000 "
    "of the validation split that have an intent. Words and marks of punctuation, those seen once being the unknown "
    "word, as 128 numbers each; 15 epochs, with a rate that falls from 0.002 along a line; nothing is held out, and "
    "all else is as it is by default.",
    _contenders,
)
