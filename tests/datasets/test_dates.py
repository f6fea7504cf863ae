"""Dates that are drawn: each can be read back, forms and days are spread, and a seed says all."""

import datetime
import re

from statespace.datasets import draw_dates

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def read(text):
    """A date in any of the forms, by its parts."""
    if "." in text:
        d, m, y = map(int, text.split("."))
    elif "/" in text:
        m, d, y = map(int, text.split("/"))
    else:
        words = re.findall(r"[A-Za-z]+", text)
        m = next(_MONTHS.index(word[:3].lower()) + 1 for word in words if word[:3].lower() in _MONTHS)
        d, y = map(int, re.findall(r"\d+", text))
    date = datetime.date(y, m, d)
    named = [word[:3].lower() for word in re.findall(r"[A-Za-z]+", text) if word[:3].lower() in _DAYS]
    assert all(_DAYS.index(day) == date.weekday() for day in named)
    return date


def test_what_is_written_is_the_date_that_stands_beside_it():
    written, iso = draw_dates(3000, random_state=0)
    assert [read(text).isoformat() for text in written] == iso
    assert {len(one) for one in iso} == {10}


def test_every_form_month_and_day_is_drawn():
    written, iso = draw_dates(3000, random_state=0)
    shapes = {re.sub(r"[A-Za-z]{4,}", "word", re.sub(r"\d+", "0", text)) for text in written}
    assert {"0.0.0", "0/0/0", "0 word 0", "word 0, 0", "word, 0 word 0"} <= shapes
    assert {int(one[5:7]) for one in iso} == set(range(1, 13))
    assert {int(one[8:]) for one in iso} == set(range(1, 32))
    ends = {re.search(r"\d+(st|nd|rd|th)", text)[0] for text in written if " of " in text}
    assert {"1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "31st"} <= ends


def test_a_seed_says_all_and_nothing_may_be_drawn():
    assert draw_dates(20, random_state=4) == draw_dates(20, random_state=4)
    assert draw_dates(20, random_state=4) != draw_dates(20, random_state=5)
    assert draw_dates(0) == ([], [])
