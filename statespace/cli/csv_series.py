"""From the cells of a CSV to a series a chain can be fitted to.

A rain record becomes one number a day, 1 wet, 0 dry, NaN missing, on a calendar without a hole; any other
column becomes what its cells are taken as, symbols, counts or numbers.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from statespace.cli.column_kinds import NUMBER, read_kind
from statespace.cli.csv_dates import looks_like_date, read_dates
from statespace.cli.csv_table import CsvTable, read_table
from statespace.cli.errors import CommandError, listing
from statespace.cli.model_grammar import Kind
from statespace.protocols import Floats

Trace = Literal["wet", "dry", "missing"]

MISSING_NUMBER = frozenset({"", "na", "n/a", "nan", "null", "none", "m", "-", "--", ".", "?"})
MISSING_LABEL = frozenset({"", "na", "n/a", "nan", "null"})
TRACE = frozenset({"t", "tr", "trace"})
DATE_NAMES = frozenset({"date", "day", "datum", "datetime", "timestamp", "time", "fecha", "data", "jour", "tag"})
RAIN_NAMES = re.compile(r"precip|rain|prcp|pluvio|pluie|niederschlag|lluvia|pioggia|chuva|^(rr|rrr|pr|pp|rsk)$", re.I)
RECORD_AMOUNT = 1825.0
"""Millimetres: the most that was ever measured in a day (Foc-Foc, La Reunion, 1966)."""
SAMPLE_CELLS = 1000
DAYS_OF_A_YEAR = 366


@dataclass(frozen=True, eq=False)
class DailyRecord:
    """Wet and dry days on a calendar without a hole."""

    name: str
    column: str | None
    """Where the amounts stood in the file."""
    wet_means: str
    """Which amounts make a day wet."""
    dates: NDArray[np.datetime64] | None
    """One a day, shape (n_days,); None where the file has none."""
    wet: Floats
    """1 wet, 0 dry, NaN missing, shape (n_days,)."""
    notes: tuple[str, ...]
    """What the user should know about how the file was read, a line each."""


@dataclass(frozen=True, eq=False)
class ColumnRecord:
    """One column."""

    name: str
    column: str
    kind: Kind
    """What it holds: "symbols", "counts" or "numbers"."""
    values: Any
    """One a row in the order of time: symbols, None where missing; or numbers, NaN where missing."""
    notes: tuple[str, ...]


def read_rain(
    path: str,
    *,
    column: str | None = None,
    date_column: str | None = None,
    date_format: str | None = None,
    threshold: float | None = None,
    missing: Sequence[str] = (),
    trace: Trace | None = None,
    header: bool | None = None,
) -> DailyRecord:
    """Read the wet and dry days of a CSV file.

    Parameters
    ----------
    path : str
        The file.
    column, date_column : str or None
        Name, or number from 1; None finds the one that is plainly meant.
    date_format : str or None
        A `strptime` format; None finds it from the column.
    threshold : float or None
        A day is wet with this amount or more; None: with any amount above zero.
    missing : sequence of str
        Marks of a missing amount, beside blank, NA, NaN, M and their like.
    trace : {"wet", "dry", "missing"} or None
        What a trace (T) is; None refuses it.
    header : bool or None
        Whether the first line holds names; None decides by its content.

    Raises
    ------
    CommandError
        When the file, a column, a date or an amount cannot be used; the message names the place and the way out.
    """
    table = read_table(path, header)
    dates_at = _find_date_column(table, date_column, date_format)
    amounts_at = _find_rain_column(table, column, dates_at)
    cells = table.cells(amounts_at)
    places = [f"{path}, line {line}" for line in table.lines]
    amounts, traces = _read_amounts(cells, places, missing, refuse_trace=trace is None)
    wet = np.where(amounts > 0 if threshold is None else amounts >= threshold, 1.0, 0.0)
    wet[np.isnan(amounts)] = np.nan
    wet[traces] = {"wet": 1.0, "dry": 0.0, "missing": np.nan, None: np.nan}[trace]
    notes = _suspicious_amounts(cells, amounts, places)
    name, heading = Path(path).name, table.names[amounts_at]
    means = f"{heading} {wet_means(threshold)}"
    if dates_at is None:
        notes.append(f"{path} has no column of dates: its rows are taken for consecutive days")
        return DailyRecord(name, heading, means, None, wet, tuple(notes))
    dates, kept = _dates_of_rows(table.cells(dates_at), np.isnan(wet).tolist(), places, date_format)
    dated = [places[row] for row in kept]
    order, sorting = _order_of_days(dates, dated)
    _check_holes(dates, order, path, dated)
    if sorting:
        notes.append(f"{path}: {sorting}")
    days = np.array(dates, dtype="datetime64[D]")[order]
    calendar = np.arange(days[0], days[-1] + 1)
    filled = np.full(calendar.size, np.nan)
    filled[(days - days[0]).astype(np.int64)] = wet[kept][order]
    return DailyRecord(name, heading, means, calendar, filled, tuple(notes))


def wet_means(threshold: float | None) -> str:
    """Say which amounts are wet: "> 0", or ">= threshold"."""
    return "> 0" if threshold is None else f">= {threshold:g}"


def read_column(
    path: str,
    *,
    kind: Kind | None = None,
    column: str | None = None,
    date_column: str | None = None,
    date_format: str | None = None,
    missing: Sequence[str] = (),
    header: bool | None = None,
) -> ColumnRecord:
    """Read one column of labels, counts or numbers; with `date_column`, on its calendar of days.

    Parameters are those of `read_rain`, and `kind`, what the column holds; None: symbols, unless there are numbers with
    fractions.

    Raises
    ------
    CommandError
        As in `read_rain`, and when the column holds something else.
    """
    table = read_table(path, header)
    at = _find_only_column(table, column, date_column)
    places = [f"{path}, line {line}" for line in table.lines]
    marks = MISSING_LABEL | {mark.strip().casefold() for mark in missing}
    cells = [None if cell.casefold() in marks else cell for cell in table.cells(at)]
    notes = []
    if date_column is not None:
        dates_at = table.find(date_column, "--date-column")
        blank = [cell is None for cell in cells]
        dates, kept = _dates_of_rows(table.cells(dates_at), blank, places, date_format)
        dated = [places[row] for row in kept]
        order, sorting = _order_of_days(dates, dated)
        _check_holes(dates, order, path, dated)
        if sorting:
            notes.append(f"{path}: {sorting}")
        by_day = {dates[place]: cells[kept[place]] for place in order}
        first, last = min(by_day), max(by_day)
        cells = [by_day.get(date.fromordinal(day)) for day in range(first.toordinal(), last.toordinal() + 1)]
    found, values, remarks = read_kind(cells, kind, path, table.names[at])
    return ColumnRecord(Path(path).name, table.names[at], found, values, (*notes, *remarks))


# ------------------------------------------------------------------------------------------------ the plain choices


def _find_date_column(table: CsvTable, wanted: str | None, date_format: str | None) -> int | None:
    """Choose the column of dates: the one named, the only one that looks like dates, or the only such one named so."""
    if wanted is not None:
        return table.find(wanted, "--date-column")

    def is_date(cell: str) -> bool:
        return looks_like_date(cell) if date_format is None else _fits(cell, date_format)

    columns = [column for column in range(len(table.names)) if _share(table, column, is_date) >= 0.5]
    named = [column for column in columns if table.names[column].casefold() in DATE_NAMES]
    if len(columns) == 1 or len(named) == 1:
        return named[0] if named else columns[0]
    if columns:
        raise CommandError(f"{table.path} has several columns of dates: {table.choose(columns, '--date-column')}")
    for column, name in enumerate(table.names):
        if name.casefold() in {"date", "datum", "datetime", "timestamp"} and any(table.cells(column)):
            row = next(row for row, cell in enumerate(table.cells(column)) if cell)
            raise CommandError(
                f"{table.path}, line {table.lines[row]}: {table.rows[row][column]!r} is not a date in a common form: "
                "give its form with --date-format, such as %d.%m.%y"
            )
    return None


def _find_rain_column(table: CsvTable, wanted: str | None, dates_at: int | None) -> int:
    """Choose the column of amounts: the one named, the only one named like rain, or the only one of numbers."""
    if wanted is not None:
        return table.find(wanted, "--column")
    others = [column for column in range(len(table.names)) if column != dates_at]
    named = [column for column in others if RAIN_NAMES.search(table.names[column])]
    numeric = [column for column in others if _share(table, column, _is_amount) >= 0.5]
    # A name decides where it can; among several such names only those that hold numbers count.
    for columns in (named, [column for column in named if column in numeric], [] if named else numeric):
        if len(columns) == 1:
            return columns[0]
    candidates = named or numeric
    if not candidates:
        raise CommandError(
            f"{table.path} has no column of numbers (columns: {listing(table.names)}): name the rain with --column"
        )
    raise CommandError(f"{table.path}: which column is the rain? {table.choose(candidates, '--column')}")


def _find_only_column(table: CsvTable, wanted: str | None, date_column: str | None) -> int:
    if wanted is not None:
        return table.find(wanted, "--column")
    dated = {table.find(date_column, "--date-column")} if date_column is not None else set()
    others = [
        column
        for column in range(len(table.names))
        if column not in dated and _share(table, column, looks_like_date) < 0.5
    ]
    if len(others) == 1:
        return others[0]
    candidates = others or range(len(table.names))
    raise CommandError(f"{table.path}: which column holds the sequence? {table.choose(candidates, '--column')}")


def _share(table: CsvTable, column: int, test: Callable[[str], bool]) -> float:
    """Share of the first cells that pass a test, of those that hold anything."""
    cells = [row[column] for row in table.rows[:SAMPLE_CELLS] if row[column].casefold() not in MISSING_NUMBER]
    return sum(map(test, cells)) / len(cells) if cells else 0.0


def _is_amount(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None or cell.casefold() in TRACE


def _fits(cell: str, date_format: str) -> bool:
    try:
        datetime.strptime(cell, date_format)
    except (ValueError, re.error):
        return False
    return True


# ----------------------------------------------------------------------------------------------------- the amounts


def _read_amounts(
    cells: Sequence[str], places: Sequence[str], missing: Iterable[str], *, refuse_trace: bool
) -> tuple[Floats, NDArray[np.bool_]]:
    """Numbers with NaN where missing, and where the traces are."""
    marks = MISSING_NUMBER | {mark.strip().casefold() for mark in missing}
    marked_values = {float(mark.replace(",", ".")) for mark in missing if NUMBER.fullmatch(mark.strip())}
    amounts = np.full(len(cells), np.nan)
    traces = np.zeros(len(cells), dtype=np.bool_)
    mark_seen: dict[str, str] = {}
    for row, (cell, place) in enumerate(zip(cells, places, strict=True)):
        lower = cell.casefold()
        if lower in marks:
            continue
        if lower in TRACE:
            if refuse_trace:
                raise CommandError(f"{place}: {cell!r} is a trace of rain: count it with --trace wet, dry or missing")
            traces[row] = True
            continue
        if not NUMBER.fullmatch(cell):
            raise CommandError(
                f"{place}: {cell!r} is not an amount: mend it, or add --missing={cell} if it marks a gap"
            )
        for mark in (",", "."):
            if mark in cell:
                mark_seen.setdefault(mark, f"{cell!r} ({place})")
        if len(mark_seen) == 2:
            raise CommandError(f"{mark_seen['.']} and {mark_seen[',']} mix decimal points and commas: write one kind")
        value = float(cell.replace(",", "."))
        if value in marked_values:
            continue
        if value < 0:
            raise CommandError(f"{place}: amount {cell} is negative: add --missing={cell} if it marks a missing day")
        amounts[row] = value
    return amounts, traces


def _suspicious_amounts(cells: Sequence[str], amounts: Floats, places: Sequence[str]) -> list[str]:
    """Note the first amount that no rain can be, which is often the mark of a missing day."""
    beyond = np.flatnonzero(amounts > RECORD_AMOUNT)
    if not beyond.size:
        return []
    row = int(beyond[0])
    return [
        f"{places[row]}: {cells[row]} is more millimetres than ever fell in a day and counts as wet; "
        f"add --missing={cells[row]} if it marks a missing day"
    ]


# ---------------------------------------------------------------------------------------------------- the calendar


def _dates_of_rows(
    cells: Sequence[str], blank: Sequence[bool], places: Sequence[str], date_format: str | None
) -> tuple[list[date], list[int]]:
    """Dates of the rows that have one, and which rows these are; only a row without a value may have none."""
    kept = [row for row, cell in enumerate(cells) if cell or not blank[row]]
    dateless = next((row for row in kept if not cells[row]), None)
    if dateless is not None:
        raise CommandError(f"{places[dateless]}: a value without a date: give it one, or take the line out")
    if not kept:
        raise CommandError(f"{places[0]}: no row has a date: choose another column with --date-column")
    return read_dates([cells[row] for row in kept], [places[row] for row in kept], date_format), kept


def _order_of_days(dates: Sequence[date], places: Sequence[str]) -> tuple[list[int], str | None]:
    """Order that sorts the days, and a note if they were not sorted.

    Raises
    ------
    CommandError
        When a day stands twice, or no two days follow each other.
    """
    first_at: dict[date, int] = {}
    for row, day in enumerate(dates):
        if day in first_at:
            raise CommandError(
                f"{places[row]}: {day} stands twice (first: {places[first_at[day]]}): "
                "leave one row a day, summing the day's amounts"
            )
        first_at[day] = row
    order = sorted(range(len(dates)), key=dates.__getitem__)
    shortest = min(((dates[later] - dates[earlier]).days for earlier, later in pairwise(order)), default=1)
    if shortest > 1:
        raise CommandError(
            f"{places[0]}: the dates are {shortest} days apart or more: give a record with one row a day"
        )
    descent = next((row for row in range(1, len(dates)) if dates[row] < dates[row - 1]), None)
    if descent is None:
        return order, None
    return order, f"the dates are not in order ({dates[descent]} follows {dates[descent - 1]}) and were sorted"


def _check_holes(dates: Sequence[date], order: Sequence[int], path: str, places: Sequence[str]) -> None:
    """Refuse a calendar that would be mostly holes, as one mistyped year makes it.

    Raises
    ------
    CommandError
        When more than half of the days, and more than a year of them, have no row.
    """
    n_days = (dates[order[-1]] - dates[order[0]]).days + 1
    n_absent = n_days - len(dates)
    if n_absent <= DAYS_OF_A_YEAR or 2 * n_absent <= n_days:
        return
    before, after = max(pairwise(order), key=lambda pair: dates[pair[1]] - dates[pair[0]])
    raise CommandError(
        f"{path}: {n_absent:,} of the {n_days:,} days from {dates[order[0]]} to {dates[order[-1]]} have no row; the "
        f"largest hole is between {dates[before]} ({_line(places[before])}) and {dates[after]} "
        f"({_line(places[after])}): mend the date that is mistyped, or give only the rows on one side of the hole"
    )


def _line(place: str) -> str:
    """Return the line of a place whose file has been named."""
    return place.rpartition(", ")[2]
