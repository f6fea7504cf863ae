"""Words to be written backwards by an encoder and a decoder, with attention and without."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

import numpy as np

from benchmarks.tasks.frame import Contender, Task
from benchmarks.tasks.rewriting import contenders

_N_PAIRS, _N_TEST = 4000, 500


def pairs(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Words of 4 to 15 letters, and the same backwards."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list(ascii_lowercase), rng.integers(4, 16))) for _ in range(n)]
    return words, [word[::-1] for word in words]


def _contenders(quick: bool) -> Iterator[Contender]:
    yield from contenders(pairs(100 if quick else _N_PAIRS, 1), pairs(_N_TEST, 2), "words that are all right", quick)


TASK = Task(
    "reversing",
    "Words, written backwards",
    f"{_N_PAIRS:,} words of 4 to 15 letters to learn from, each letter any of 26, and {_N_TEST} new ones, of which all "
    "letters and the end must be right; the most probable letter each time. Ten epochs with a rate that falls along a "
    "cosine, 64 hidden units, all else as it is by default.",
    _contenders,
)
