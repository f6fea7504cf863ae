"""Tasks: models that are trained from several seeds, the figures that they reach, and those that are asked for."""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.report import Table, duration, measured_with, verdict
from benchmarks.timing import ROOT, one_core
from statespace.foundations.em import ConvergenceWarning

DATA = "STATESPACE_DATA"
"""The environment variable that names the folder of data that the package does not ship; else ../shared/data."""

_HEAD = ("model", "figure", "asked", "reached", "from each seed", "CPU", "holds")


class SkippedError(Exception):
    """Says why a task, or a model of it, is not measured."""


class Bar(NamedTuple):
    """What is asked of a figure."""

    limit: float
    at_most: bool

    def holds(self, value: float) -> bool:
        """Whether a value is as good as asked."""
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.limit:g}"


def at_most(limit: float) -> Bar:
    """Less is better, and this is asked."""
    return Bar(limit, True)


def at_least(limit: float) -> Bar:
    """More is better, and this is asked."""
    return Bar(limit, False)


LESS = at_most(math.inf)
"""Less is better; nothing is asked."""
MORE = at_least(-math.inf)
"""More is better; nothing is asked."""


class Outcome(NamedTuple):
    """What came of one training."""

    figures: Mapping[str, float]
    """By what they are called; units in the name."""
    seconds: float | None = None
    """CPU time of the training; None: of all that `Contender.run` did."""


@dataclass(frozen=True)
class Contender:
    """A model that is trained for a task."""

    model: str
    """What it is called."""
    run: Callable[[int], Outcome]
    """Train from a seed, and measure."""
    bars: Mapping[str, Bar]
    """What is asked of each figure; LESS or MORE where nothing is."""
    n_seeds: int = 3
    """Seeds 0, 1, ...; 1 of what draws nothing."""
    median: bool = False
    """Whether the median of the seeds is what counts; otherwise the best does."""


@dataclass(frozen=True)
class Task:
    """Something to be learnt."""

    name: str
    """As `--only` has it."""
    title: str
    """Of the table."""
    note: str
    """What is learnt from what, and what the figures are."""
    contenders: Callable[[bool], Iterable[Contender]]
    """Of `quick`, a trial in seconds; may raise SkippedError."""


def measured(task: Task, quick: bool) -> Table:
    """Train all models of a task, on one core, and write down what they reach."""
    table = Table(task.title, _HEAD, f"`--only {task.name}`. {task.note} {measured_with('tasks')}.")
    with one_core():
        if not quick:
            _compile(task)
        try:
            for contender in task.contenders(quick):
                _measure(table, contender, quick)
        except (SkippedError, ModuleNotFoundError) as reason:
            table.add("all models", *[""] * 4, "", f"skipped: {reason}")
    return table


def _compile(task: Task) -> None:
    """Try everything on little, so that no compiler is measured."""
    with contextlib.suppress(SkippedError, ModuleNotFoundError):
        for contender in task.contenders(True):
            with contextlib.suppress(SkippedError, ModuleNotFoundError):
                trained(lambda run=contender.run: run(0))


def _measure(table: Table, contender: Contender, quick: bool) -> None:
    found: list[Outcome] = []
    try:
        for seed in range(1 if quick else contender.n_seeds):
            outcome, seconds = trained(lambda seed=seed: contender.run(seed))
            found.append(outcome if outcome.seconds is not None else outcome._replace(seconds=seconds))
    except (SkippedError, ModuleNotFoundError) as reason:
        table.add(contender.model, *[""] * 4, "", f"skipped: {reason}")
        return
    seconds = duration(statistics.median(outcome.seconds or 0.0 for outcome in found))
    for i, (figure, bar) in enumerate(contender.bars.items()):
        values = [outcome.figures[figure] for outcome in found]
        reached = statistics.median(values) if contender.median else (min if bar.at_most else max)(values)
        asked = math.isfinite(bar.limit)
        each = ", ".join(f"{value:.4g}" for value in values) if len(values) > 1 else ""
        table.add(
            contender.model if i == 0 else "",
            figure,
            str(bar) + (", median" if contender.median else "") if asked else "",
            f"{reached:.4g}",
            each,
            seconds if i == 0 else "",
            verdict(bar.holds(reached)) if asked else "",
        )


def trained(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and its CPU seconds; a training that made all its epochs is no news here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        began = time.process_time()
        found = call()
        return found, time.process_time() - began


def data_file(*parts: str) -> Path:
    """A file in the folder of data that the package does not ship.

    Raises
    ------
    SkippedError
        If it is not there.

    """
    given = os.environ.get(DATA)
    path = Path(given or ROOT.parent / "shared" / "data", *parts)
    if not path.is_file():
        where = "in the folder of data" if given else "beside this repository, and --data does not say where"
        raise SkippedError(f"{'/'.join(parts)} is not {where}")
    return path
