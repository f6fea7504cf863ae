"""Dates as people write them to be made those of ISO 8601 by an encoder and a decoder, with attention and without."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.tasks.frame import Contender, Task
from benchmarks.tasks.rewriting import contenders
from statespace.datasets import draw_dates

_N_PAIRS, _N_TEST = 4000, 500


def _contenders(quick: bool) -> Iterator[Contender]:
    train, test = draw_dates(100 if quick else _N_PAIRS, random_state=1), draw_dates(_N_TEST, random_state=2)
    yield from contenders(train, test, "dates that are right", quick)


TASK = Task(
    "dates",
    "Dates, made those of ISO 8601",
    f"{_N_PAIRS:,} dates of the years 1900 to 2099 to learn from, in nine forms such as Tuesday, 5 March 2024, to be "
    f"written 2024-03-05, and {_N_TEST} new ones, of which all must be right; the most probable character each time. "
    "Ten epochs with a rate that falls along a cosine, 64 hidden units, all else as it is by default.",
    _contenders,
)
