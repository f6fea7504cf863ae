"""The adding problem: the sum of two numbers that are marked, far apart, among a hundred."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.tasks.frame import LESS, Contender, Outcome, Task, at_most, trained
from statespace.neural import RecurrentRegressor

_FIGURE, _SECONDS = "mean squared error", "CPU seconds"


def _contenders(quick: bool) -> Iterator[Contender]:
    for cell in ("gru", "lstm", "rnn"):
        asked = cell != "rnn"
        bars = {_FIGURE: at_most(1e-3) if asked else LESS, _SECONDS: at_most(60.0) if asked else LESS}
        yield Contender(f"{cell}, 32 units", partial(_regressor, cell, 100 if quick else 5000), bars)


def _drawn(n: int, rng: np.random.Generator, n_steps: int = 100) -> tuple[Any, Any]:
    """A number at each step, and a 1 beside one of each half of them; their sum."""
    numbers, marks, half = rng.random((n, n_steps)), np.zeros((n, n_steps)), n_steps // 2
    for first in (0, half):
        marks[np.arange(n), rng.integers(first, first + half, n)] = 1.0
    return np.stack([numbers, marks], axis=2), (numbers * marks).sum(axis=1)


def _regressor(cell: str, n: int, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    (X, y), (X_test, y_test) = _drawn(n, rng), _drawn(2000, rng)
    options: dict[str, Any] = {"n_epochs": 10, "held_out": 0.0, "decay": "linear", "random_state": seed}
    fitted, seconds = trained(lambda: RecurrentRegressor(cell, 32, **options).fit(X, y))
    return Outcome({_FIGURE: float(np.mean((fitted.predict(X_test) - y_test) ** 2)), _SECONDS: seconds}, seconds)


TASK = Task(
    "adding",
    "The adding problem, T = 100",
    "5,000 sequences of 100 numbers between 0 and 1 to learn from, and 2,000 others; one number of each half is "
    "marked, and their sum is asked after the last step (Hochreiter and Schmidhuber 1997). Always saying 1 has a mean "
    "squared error of 0.167. 10 epochs, with a rate that falls from 0.01 along a line; nothing is held out, and all "
    "else is as it is by default.",
    _contenders,
)
