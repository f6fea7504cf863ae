"""Running parity: whether the ones so far are odd in number, at each step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.tasks.frame import MORE, Contender, Outcome, Task, at_least, trained
from statespace.neural import RecurrentTagger

_SHORT, _LONG = "steps right, T = 50", "steps right, T = 500"


def _contenders(quick: bool) -> Iterator[Contender]:
    for cell in ("lstm", "gru", "rnn"):
        bar = at_least(1.0) if cell == "lstm" else MORE
        yield Contender(f"{cell}, 16 units", partial(_tagger, cell, 40 if quick else 2000), {_SHORT: bar, _LONG: bar})


def _drawn(n: int, n_steps: int, rng: np.random.Generator) -> tuple[Any, Any]:
    bits = rng.integers(0, 2, (n, n_steps))
    return bits[:, :, None].astype(float), list(np.cumsum(bits, axis=1) % 2)


def _tagger(cell: str, n: int, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    train, short, long = _drawn(n, 50, rng), _drawn(500, 50, rng), _drawn(200, 500, rng)
    options: dict[str, Any] = {"n_epochs": 30, "held_out": 0.05, "patience": 4, "random_state": seed}
    model = RecurrentTagger(cell, 16, bidirectional=False, **options)
    fitted, seconds = trained(lambda: model.fit(*train))
    return Outcome({_SHORT: fitted.score(*short), _LONG: fitted.score(*long)}, seconds)


TASK = Task(
    "parity",
    "Running parity",
    "2,000 sequences of 50 bits to learn from; at each step, whether the ones so far are odd in number. Scored are "
    "500 others of 50 bits, and 200 of 500. At most 30 epochs; all else is as it is by default.",
    _contenders,
)
