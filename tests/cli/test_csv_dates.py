"""Dates in every common way of writing, told apart by the whole column."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.cli.csv_dates import looks_like_date, read_dates
from statespace.cli.errors import CommandError

WRITERS = {
    "ISO": lambda d: d.isoformat(),
    "slashes": lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    "slashes, not padded": lambda d: f"{d.year}/{d.month}/{d.day}",
    "points, year first": lambda d: f"{d.year}.{d.month:02}.{d.day:02}",
    "compact": lambda d: f"{d.year}{d.month:02}{d.day:02}",
    "points": lambda d: f"{d.day:02}.{d.month:02}.{d.year}",
    "day first": lambda d: f"{d.day:02}/{d.month:02}/{d.year}",
    "day first, not padded": lambda d: f"{d.day}/{d.month}/{d.year}",
    "month first": lambda d: f"{d.month:02}/{d.day:02}/{d.year}",
    "dashes, day first": lambda d: f"{d.day}-{d.month}-{d.year}",
    "dashes, month first": lambda d: f"{d.month}-{d.day}-{d.year}",
    "month's name": lambda d: d.strftime("%d %b %Y"),
    "dashes, month's name": lambda d: d.strftime("%d-%b-%Y"),
    "long name, month first": lambda d: d.strftime("%B %d, %Y"),
}
TIMES = ["", " 00:00", "T00:00:00", " 12:30:05", "T12:00:00Z", "T12:00:00.000+02:00", " 12:00:00 AM"]

columns = st.lists(st.dates(date(1800, 1, 1), date(2200, 12, 31)), min_size=1, max_size=20)


def places(cells):
    return [f"line {row + 2}" for row in range(len(cells))]


@given(columns, st.sampled_from(sorted(WRITERS)), st.sampled_from(TIMES))
def test_a_column_is_read_as_it_was_written(days, way, time):
    days = [*days, date(2001, 2, 17)]  # a day above 12, which tells day from month
    cells = [WRITERS[way](day) + time for day in days]
    assert all(looks_like_date(cell) for cell in cells)
    assert read_dates(cells, places(cells)) == days


@given(columns, st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%y%j", "%d.%m.%y"]))
def test_a_given_format_decides(days, date_format):
    days = [
        day.replace(year=1970 + day.year % 68) for day in days if (day.month, day.day) != (2, 29)
    ]  # what %y can say
    cells = [day.strftime(date_format) for day in days]
    assert read_dates(cells, places(cells), date_format) == days


@pytest.mark.parametrize(("mark", "hint"), [("/", r"%d/%m/%Y or --date-format %m/%d/%Y"), ("-", "%d-%m-%Y")])
def test_twelve_days_of_january_do_not_tell_day_from_month(mark, hint):
    cells = [f"01{mark}{day:02}{mark}2012" for day in range(1, 13)]
    with pytest.raises(
        CommandError, match=rf"line 2: '01{mark}01{mark}2012' may have the day or the month first.*{hint}"
    ):
        read_dates(cells, places(cells))


def test_points_are_day_first_where_nothing_tells():
    assert read_dates(["05.01.2012"], ["line 2"]) == [date(2012, 1, 5)]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["13/01/2012", "01/14/2012"], r"line 2: '13/01/2012' has the day first, but '01/14/2012' \(line 3\)"),
        (["2012-01-01", "02.01.2012"], r"line 3: '02.01.2012' is not written like '2012-01-01' \(line 2\)"),
        (["13/01/2012", "14-01-2012"], "line 3: '14-01-2012' is not written like"),
        (["2012-02-28", "2012-02-30"], "line 3: '2012-02-30' is not a day of the calendar"),
        (["31.04.2012"], "line 2: '31.04.2012' is not a day"),
        (["20121301"], "line 2: '20121301' is not a day"),
        (["0000-01-01"], "line 2: '0000-01-01' is not a day"),
        (["2012-01-01", "Week 2"], r"line 3: 'Week 2' is not a date: mend it, or give --date-format"),
        (["2012-01-01", ""], "line 3: '' is not a date"),
        (["01.02.12"], "line 2: '01.02.12' is not a date"),
        (["3 Jxn 2012"], "line 2: '3 Jxn 2012' is not a date"),
        (["٢٠١٢-٠١-٠١"], "is not a date"),
    ],
)
def test_what_is_no_date_is_named_with_its_line(cells, message):
    with pytest.raises(CommandError, match=message):
        read_dates(cells, places(cells))


@pytest.mark.parametrize(
    ("date_format", "message"),
    [
        ("%d/%m/%Y", "line 2: '2012-01-01' does not match --date-format '%d/%m/%Y'"),
        ("dd/mm/yyyy", "'dd/mm/yyyy' is not a format: write it like %d.%m.%Y"),
        ("%Y-%m-%", "is not a format"),
        ("%Y-%Q-%d", "is not a format"),
    ],
)
def test_a_format_that_does_not_fit_is_answered(date_format, message):
    with pytest.raises(CommandError, match=message):
        read_dates(["2012-01-01"], ["line 2"], date_format)


@given(st.dates(date(1600, 1, 2), date(2399, 12, 30)))
def test_the_day_after_is_read_as_the_day_after(day):
    later = day + timedelta(days=1)
    first, second = read_dates([day.isoformat(), later.isoformat()], ["", ""])
    assert second - first == timedelta(days=1)


@pytest.mark.parametrize("cell", ["", "3", "0.5", "20129999999", "99999999", "12345678", "1.2.3", "rain", "M"])
def test_numbers_and_words_do_not_look_like_dates(cell):
    assert not looks_like_date(cell)
