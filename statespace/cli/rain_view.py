"""How `statespace rain` looks in a terminal: the table of models, tomorrow, and the last eight weeks."""

import math
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, RenderableType
from rich.text import Text

from statespace.cli.tables import ascii_only, counted, figures, new_console, number, percent, show, smoothing_hint

if TYPE_CHECKING:
    from statespace.cli.rain_prediction import RainPrediction

WEEKS = 8
BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "0123456789"
LABEL = 8
"""Columns that the words left of the picture take."""


def show_prediction(prediction: "RainPrediction", picture: str | None = None) -> None:
    """Print everything; `picture` is the file that was drawn, if any."""
    console = new_console()
    parts: list[RenderableType] = [
        *_data(prediction),
        *_table(console, prediction),
        Text(),
        _criteria(prediction),
        Text(),
        *_tomorrow(prediction),
        Text(),
        *_weeks(console, prediction),
    ]
    if picture is not None:
        parts += [Text(), Text(f"Picture: {picture}")]
    show(console, parts)


def _data(prediction: "RainPrediction") -> list[RenderableType]:
    record = prediction.record
    wet = record.wet
    n_missing = int(np.isnan(wet).sum())
    days = counted(wet.size, "day")
    if record.dates is not None:
        days += f", {record.dates[0]} to {record.dates[-1]}"
    gaps = "no gap" if n_missing == 0 else f"{n_missing:,} missing"
    return [
        Text.assemble((record.name, "bold"), f": {days}, {gaps}"),
        Text(f"{np.nanmean(wet):.1%} of the days were wet ({record.wet_means})"),
    ]


def _table(console: Console, prediction: "RainPrediction") -> list[RenderableType]:
    rows = prediction.rows
    columns = {
        "parameters": [f"{row.n_parameters:,}" for row in rows],
        "log-likelihood": [number(row.log_likelihood, 3) for row in rows],
        "AIC": [number(row.aic, 2) for row in rows],
        "BIC": [number(row.bic, 2) for row in rows],
        "held-out\nnats a day": [number(row.held_out_nats, 4) for row in rows],
    }
    at = {row.name: number for number, row in enumerate(rows)}
    best = {(at[prediction.best[name]], column) for name, column in (("aic", 3), ("bic", 4), ("held-out", 5))}
    cells = [[row.name, *(column[m] for column in columns.values())] for m, row in enumerate(rows)]
    test = f"the last {counted(prediction.test_last, 'day')}"
    if prediction.n_test_steps < prediction.test_last:
        test = f"{prediction.n_test_steps:,} of {test}"
    return [
        *figures(console, ["model", *columns], cells, best),
        Text(
            f"* lowest. Log-likelihood, AIC and BIC: {counted(prediction.n_common_steps, 'day')} that every order "
            "predicts. "
            f"Held-out: {test}, predicted by models fitted to the days before.",
            style="dim",
        ),
        *smoothing_hint(row.held_out_nats for row in rows),
    ]


def _criteria(prediction: "RainPrediction") -> Text:
    picks = ", ".join(f"{_spelt(criterion)} {order}" for criterion, order in prediction.chosen.items())
    text = Text(f"Order picked: {picks}")
    if any(row.order is None for row in prediction.rows):
        best = ", ".join(
            f"{_spelt(criterion)} {name}"
            for criterion, name in prediction.best.items()
            if criterion != "likelihood-ratio"
        )
        text.append(f"\nOf all models: {best}")
    return text


def _tomorrow(prediction: "RainPrediction") -> list[RenderableType]:
    row = prediction.row
    day = "The next day" if prediction.tomorrow is None else f"Tomorrow, {prediction.tomorrow}"
    text = Text(f"{day}: ").append(f"{percent(row.tomorrow)} chance of rain", style="bold")
    if not math.isnan(row.low):
        text.append(f", 95% interval {percent(row.low)} to {percent(row.high)}")
    chosen = "as asked" if prediction.criterion is None else f"chosen by {_spelt(prediction.criterion)}"
    text.append(f" ({row.name}, {chosen})")
    by_model = ", ".join(f"{row.name} {percent(row.tomorrow)}" for row in prediction.rows)
    return [text, Text(f"By model: {by_model}", style="dim")]


def _spelt(criterion: str) -> str:
    return {"likelihood-ratio": "likelihood ratio", "held-out": "held-out loss"}.get(criterion, criterion.upper())


def _weeks(console: Console, prediction: "RainPrediction") -> list[RenderableType]:
    """Draw the last weeks, a column a day: the chance seen the day before above what came."""
    wet, dates = prediction.record.wet, prediction.record.dates
    room = max(console.width - LABEL, 7)
    n_days = min(7 * WEEKS, room // 7 * 7, wet.size)
    blocks = ASCII_BLOCKS if ascii_only(console) else BLOCKS
    marks = {1.0: "#", 0.0: "."} if ascii_only(console) else {1.0: "●", 0.0: "·"}
    start = wet.size - n_days
    chances = prediction.probabilities[start : wet.size]
    chance = "".join("?" if math.isnan(p) else blocks[min(int(p * len(blocks)), len(blocks) - 1)] for p in chances)
    came = "".join(marks.get(day, "?") for day in wet[start:].tolist())
    tenths = " in tenths" if ascii_only(console) else ""
    lines = [
        Text(
            f"The last {counted(n_days, 'day')}: chance of rain seen the day before{tenths}, and the days that were wet"
        ),
        Text("chance  ").append(chance, style="cyan"),
        Text("wet     ").append(came, style="blue"),
    ]
    if dates is not None:
        axis = [" "] * n_days
        for day in range(0, n_days - 5, 14):
            axis[day : day + 6] = f"{dates[start + day].item():%d %b}".ljust(6)
        lines.append(Text(" " * LABEL + "".join(axis), style="dim"))
    return list(lines)
