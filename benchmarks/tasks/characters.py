"""Characters of tiny shakespeare: what a network learns in 100 seconds, beside chains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.tasks.frame import LESS, Contender, Outcome, Task, at_most, data_file, trained
from benchmarks.tasks.kneser_ney import kneser_ney
from statespace import MarkovChain
from statespace.neural import RecurrentSequenceModel

_FIGURE = "bits a character"
_SECONDS = "CPU seconds of training"
_EPOCHS = 8


def _contenders(quick: bool) -> Iterator[Contender]:
    text = list(data_file("tinyshakespeare", "input.txt").read_text(encoding="utf-8"))
    if quick:
        text = text[:20_000]
    cut = len(text) - len(text) // 10
    train, test, symbols = np.array(text[:cut]), np.array(text[cut:]), sorted(set(text))
    for order in range(1, 7):
        model = MarkovChain(order, smoothing="witten-bell")
        yield Contender(
            f"Markov, order {order}, Witten-Bell",
            lambda _, m=model: _chain(m, train, test, symbols),
            {_FIGURE: LESS},
            1,
        )
    for order in (4, 6):
        run = partial(_counted, order, train, test, symbols)
        yield Contender(f"Markov, order {order}, Kneser-Ney, by hand", run, {_FIGURE: LESS}, n_seeds=1)
    for cell in ("gru", "lstm"):
        run = partial(_network, cell, 1 if quick else _EPOCHS, train, test, symbols)
        yield Contender(f"{cell}, 128 units", run, {_FIGURE: at_most(2.35), _SECONDS: at_most(100.0)})


def _bits(steps: np.ndarray) -> float:
    return -float(np.nanmean(steps)) / math.log(2.0)


def _chain(model: Any, train: np.ndarray, test: np.ndarray, symbols: list[str]) -> Outcome:
    fitted, seconds = trained(lambda: model.fit(train, symbols=symbols))
    return Outcome({_FIGURE: _bits(fitted.log_likelihood(test, by="step"))}, seconds)


def _counted(order: int, train: np.ndarray, test: np.ndarray, symbols: list[str], _: int) -> Outcome:
    p, seconds = trained(lambda: kneser_ney("".join(train), order, len(symbols)))
    text = "".join([*train[len(train) - order :], *test])
    logs = [math.log2(p(text[i : i + order], text[i + order])) for i in range(len(test))]
    return Outcome({_FIGURE: -sum(logs) / len(logs)}, seconds)


def _network(cell: str, n_epochs: int, train: np.ndarray, test: np.ndarray, symbols: list[str], seed: int) -> Outcome:
    model = RecurrentSequenceModel(cell, 128, n_epochs=n_epochs, decay="cosine", held_out=0, random_state=seed)
    fitted, seconds = trained(lambda: model.fit(train, symbols=symbols))
    return Outcome({_FIGURE: _bits(fitted.log_likelihood(test, by="step")), _SECONDS: seconds}, seconds)


TASK = Task(
    "characters",
    "Characters of tiny shakespeare, the last tenth held out",
    "A million characters, 65 different ones, to learn from, and 111,539 that are scored. The networks go over them "
    f"{_EPOCHS} times, with a rate that falls along a cosine, and hold nothing out of what they learn from; all else "
    "is as it is by default. Kneser-Ney smoothing is no part of this package: kneser_ney.py counts by hand.",
    _contenders,
)
