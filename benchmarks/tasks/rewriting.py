"""What tasks share in which one text becomes another: models with attention and without, and the part that is right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.tasks.frame import MORE, Contender, Outcome, trained
from statespace.neural import SequenceToSequence

Pairs = tuple[list[str], list[str]]

_MODELS: dict[str, dict[str, Any]] = {
    "gru, no attention": {},
    "gru both ways, no attention": {"bidirectional": True},
    "gru, dot": {"attention": "dot"},
    "gru, additive": {"attention": "additive"},
    "gru both ways, general": {"attention": "general", "bidirectional": True},
    "lstm, dot": {"cell": "lstm", "attention": "dot"},
}
_N_EPOCHS = 10


def contenders(train: Pairs, test: Pairs, figure: str, quick: bool) -> Iterator[Contender]:
    """Every model, from three seeds."""
    options = {"tokens": "characters", "decay": "cosine", "held_out": 0, "n_epochs": 1 if quick else _N_EPOCHS}
    for name, own in _MODELS.items():
        yield Contender(name, partial(_rewritten, options | own, train, test, figure), {figure: MORE})


def _rewritten(options: dict[str, Any], train: Pairs, test: Pairs, figure: str, seed: int) -> Outcome:
    model = SequenceToSequence(hidden_size=64, random_state=seed, **options)
    texts, wanted = test
    letters = sorted(set("".join(train[0] + texts)))  # few pairs may not have them all
    fitted, seconds = trained(lambda: model.fit(*train, symbols=letters))
    right = [said == answer for said, answer in zip(fitted.predict(texts), wanted, strict=True)]
    return Outcome({figure: float(np.mean(right))}, seconds)
