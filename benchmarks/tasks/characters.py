"""Characters of tiny shakespeare: what a network learns in 100 seconds, beside chains."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.tasks.frame import LESS, Contender, Outcome, Task, at_most, data_file, trained
from statespace import MarkovChain
from statespace.neural import RecurrentSequenceModel

_FIGURE = "bits a character"
_SECONDS = 100.0


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
    for cell in ("gru", "lstm"):
        run = partial(_network, cell, 1.0 if quick else _SECONDS, train, test, symbols)
        yield Contender(f"{cell}, 128 units", run, {_FIGURE: at_most(2.35)})


def _bits(steps: np.ndarray) -> float:
    return -float(np.nanmean(steps)) / math.log(2.0)


def _chain(model: Any, train: np.ndarray, test: np.ndarray, symbols: list[str]) -> Outcome:
    fitted, seconds = trained(lambda: model.fit(train, symbols=symbols))
    return Outcome({_FIGURE: _bits(fitted.log_likelihood(test, by="step"))}, seconds)


def _network(cell: str, budget: float, train: np.ndarray, test: np.ndarray, symbols: list[str], seed: int) -> Outcome:
    """As many epochs as there is time for, by the time of a first one."""
    options: dict[str, Any] = {"decay": "cosine", "held_out": 0.0, "random_state": seed}
    began = time.process_time()
    RecurrentSequenceModel(cell, 128, **options).partial_fit(train, symbols=symbols)
    n_epochs = max(int(budget / (time.process_time() - began)), 1)
    model = RecurrentSequenceModel(cell, 128, n_epochs=n_epochs, **options)
    fitted, seconds = trained(lambda: model.fit(train, symbols=symbols))
    return Outcome({_FIGURE: _bits(fitted.log_likelihood(test, by="step"))}, seconds)


TASK = Task(
    "characters",
    "Characters of tiny shakespeare, the last tenth held out",
    "A million characters, 65 different ones, to learn from, and 111,539 that are scored. The networks make as many "
    f"epochs as {_SECONDS:g} s have room for, with a rate that falls along a cosine; all else is as it is by default.",
    _contenders,
)
