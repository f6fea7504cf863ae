"""Dates written in the common ways, read by what the whole column agrees on.

2012-01-05, 2012/01/05 and 20120105 say their order themselves. 05.01.2012 is day first. 05/01/2012 is either: one day
above 12 in the column decides; where there is none, the user has to. A time of day may follow and is left out.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime

from statespace.cli.errors import CommandError

MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
TIME = r"(?:[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[AaPp][Mm])?\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?)?"
SHAPES = {
    shape: re.compile(pattern + TIME, re.ASCII)
    for shape, pattern in {
        "year month day": r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})",
        "yearmonthday": r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
        "two numbers and a year": r"(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<year>\d{4})",
        "day name year": r"(?P<day>\d{1,2})(?P<mark>[-/. ])(?P<name>[A-Za-z]{3,9})\.?(?P=mark)(?P<year>\d{4})",
        "name day year": r"(?P<name>[A-Za-z]{3,9})\.? (?P<day>\d{1,2}),? (?P<year>\d{4})",
    }.items()
}


def looks_like_date(cell: str) -> bool:
    """Whether a cell has the shape of a date in a year from 1600 to 2399 (other eight-digit numbers are numbers)."""
    match = _match(cell)
    return match is not None and 1600 <= int(match[1]["year"]) < 2400


def read_dates(cells: Sequence[str], where: Sequence[str], date_format: str | None = None) -> list[date]:
    """Read a column of dates, all written alike.

    Parameters
    ----------
    cells : sequence of str
        One date each.
    where : sequence of str
        The place of each cell, for messages.
    date_format : str or None
        A `strptime` format; None finds the way of writing from the whole column.

    Raises
    ------
    CommandError
        When a cell is no date, is written in another way than the first, or when day and month cannot be told apart.
    """
    if date_format is not None:
        return [_strptime(cell, place, date_format) for cell, place in zip(cells, where, strict=True)]
    matches = []
    kinds = set()
    for cell, place in zip(cells, where, strict=True):
        found = _match(cell)
        if found is None:
            raise CommandError(f"{place}: {cell!r} is not a date: mend it, or give --date-format, such as %d.%m.%y")
        kinds.add((found[0], found[1].groupdict().get("mark")))
        if len(kinds) > 1:
            raise CommandError(
                f"{place}: {cell!r} is not written like {cells[0]!r} ({where[0]}): write all dates in one way"
            )
        matches.append(found[1])
    if kinds and kinds.pop()[0] == "two numbers and a year":
        day, month = _day_and_month(cells, where, matches)
    else:
        day, month = "day", "month"
    return [_calendar_day(match, day, month, place) for match, place in zip(matches, where, strict=True)]


def _match(cell: str) -> tuple[str, re.Match[str]] | None:
    for shape, pattern in SHAPES.items():
        match = pattern.fullmatch(cell)
        if match and _month_number(match.groupdict().get("name")) is not None:
            return shape, match
    return None


def _month_number(name: str | None) -> int | None:
    """Return 1 to 12 for a month's name or its first letters, 0 where there is no name, None for another word."""
    if name is None:
        return 0
    lower = name.lower()
    return next((index + 1 for index, full in enumerate(MONTH_NAMES) if full.startswith(lower)), None)


def _day_and_month(cells: Sequence[str], where: Sequence[str], matches: list[re.Match[str]]) -> tuple[str, str]:
    """Which of the two numbers is the day: the one that passes 12 somewhere in the column."""
    day_first = next((index for index, match in enumerate(matches) if int(match["one"]) > 12), None)
    month_first = next((index for index, match in enumerate(matches) if int(match["two"]) > 12), None)
    if day_first is not None and month_first is not None:
        raise CommandError(
            f"{where[day_first]}: {cells[day_first]!r} has the day first, but {cells[month_first]!r} "
            f"({where[month_first]}) has the month first: write all dates in one way"
        )
    if day_first is None and month_first is None and matches[0]["mark"] != ".":
        mark = matches[0]["mark"]
        raise CommandError(
            f"{where[0]}: {cells[0]!r} may have the day or the month first, and no other date tells: give "
            f"--date-format %d{mark}%m{mark}%Y or --date-format %m{mark}%d{mark}%Y"
        )
    return ("two", "one") if month_first is not None else ("one", "two")


def _calendar_day(match: re.Match[str], day: str, month: str, place: str) -> date:
    name = match.groupdict().get("name")
    number = int(match[month]) if name is None else _month_number(name)
    try:
        return date(int(match["year"]), number or 0, int(match[day]))
    except ValueError:
        raise CommandError(f"{place}: {match[0]!r} is not a day of the calendar: mend it") from None


def _strptime(cell: str, place: str, date_format: str) -> date:
    try:
        return datetime.strptime(cell, date_format).date()
    except (ValueError, re.error) as error:
        if "%" not in date_format or "bad directive" in str(error) or "stray %" in str(error):
            raise CommandError(f"--date-format {date_format!r} is not a format: write it like %d.%m.%Y") from None
        raise CommandError(f"{place}: {cell!r} does not match --date-format {date_format!r}: mend one") from None
