"""Dates as people write them, beside the form of ISO 8601: pairs for models that turn one sequence into another."""

from __future__ import annotations

import datetime
from typing import Any

from statespace.foundations.probability import generator
from statespace.foundations.validation import check_integer

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FORMS = (
    "{d} {month} {y}",
    "{month} {d}, {y}",
    "{d}{th} of {month} {y}",
    "{day}, {d} {month} {y}",
    "{d} {mon} {y}",
    "{mon} {d} {y}",
    "{day_short} {d} {mon} {y}",
    "{d}.{m}.{y}",
    "{m:02}/{d:02}/{y}",
)
_FIRST, _LAST = datetime.date(1900, 1, 1).toordinal(), datetime.date(2099, 12, 31).toordinal()


def draw_dates(n: int, random_state: Any = None) -> tuple[list[str], list[str]]:
    """Draw dates of the years 1900 to 2099, each in one of nine forms.

    Parameters
    ----------
    n : int
    random_state : None, int, Generator or RandomState

    Returns
    -------
    written, iso : list of str
        Such as "Tuesday, 5 March 2024", and "2024-03-05". With points the day comes first, with slashes the month.

    Examples
    --------
    >>> written, iso = draw_dates(3, random_state=1)
    >>> written
    ['08/21/1994', '14 May 2002', 'January 13, 2051']
    >>> iso
    ['1994-08-21', '2002-05-14', '2051-01-13']

    """
    rng = generator(random_state)
    n = check_integer("n", n)
    days, forms = rng.integers(_FIRST, _LAST + 1, n), rng.integers(len(_FORMS), size=n)
    dates = [datetime.date.fromordinal(int(day)) for day in days]
    written = [_written(date, _FORMS[form]) for date, form in zip(dates, forms.tolist(), strict=True)]
    return written, [date.isoformat() for date in dates]


def _written(date: datetime.date, form: str) -> str:
    day, month = _DAYS[date.weekday()], _MONTHS[date.month - 1]
    teens = date.day in (11, 12, 13)
    th = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10, "th")
    names = {"month": month, "mon": month[:3], "day": day, "day_short": day[:3], "th": th}
    return form.format(d=date.day, m=date.month, y=date.year, **names)
