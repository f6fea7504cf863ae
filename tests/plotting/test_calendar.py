import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import Collection
from matplotlib.figure import Figure

from statespace.plotting import rain_calendar

DAYS = np.arange("2015-12-01", "2016-03-05", dtype="datetime64[D]")  # across a year's end and a leap day
N = len(DAYS)


def axes() -> Any:
    return Figure(figsize=(9, 4)).add_subplot()


def part(ax: Any, gid: str) -> Collection:
    (found,) = [c for c in ax.collections if c.get_gid() == gid]
    assert isinstance(found, Collection)
    return found


def centres(ax: Any, gid: str) -> list[tuple[float, float]]:
    return [tuple(np.round(path.vertices[:4].mean(axis=0), 6)) for path in part(ax, gid).get_paths()]  # type: ignore[misc,union-attr]


def cell(day: datetime.date, first: datetime.date) -> tuple[int, int]:
    return day.day, 12 * (day.year - first.year) + day.month - first.month


@given(
    start=st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)), n=st.integers(1, 90), seed=st.integers(0, 9)
)
@settings(max_examples=15)
def test_each_day_stands_once_in_its_row_and_column(start: datetime.date, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = [start + datetime.timedelta(i) for i in range(n)]
    wet = rng.random(n) < 0.5
    ax = rain_calendar(days, wet, rng.random(n), axes())
    assert centres(ax, "days") == [cell(day, start) for day in days]
    dots = [tuple(map(int, at)) for at in part(ax, "wet").get_offsets()]
    assert dots == [cell(day, start) for day, rained in zip(days, wet, strict=True) if rained]


def test_colour_is_the_probability_on_a_scale_from_0_to_1() -> None:
    from matplotlib import colormaps

    p = np.linspace(0, 1, N)
    faces = part(rain_calendar(DAYS, np.zeros(N), p, axes(), cmap="cividis"), "days").get_facecolor()
    np.testing.assert_allclose(faces, colormaps["cividis"](p))


def test_last_days_are_shown_counted_from_the_last_date() -> None:
    ax = rain_calendar(DAYS, np.ones(N), np.full(N, 0.5), axes(), n_days=10)
    assert centres(ax, "days") == [cell(d, datetime.date(2016, 2, 1)) for d in DAYS[-10:].tolist()]
    year = np.arange("2014-01-01", "2016-01-01", dtype="datetime64[D]")
    for options, expected in (({}, 365), ({"n_days": None}, 730), ({"n_days": 10_000}, 730)):
        ax = rain_calendar(year, np.ones(730), np.ones(730), axes(), **options)  # type: ignore[arg-type]
        assert len(centres(ax, "days")) == expected


def test_days_that_are_absent_or_unknown_are_crossed_and_those_without_prediction_struck() -> None:
    keep = np.ones(N, dtype=bool)
    keep[[5, 6]] = False  # absent: neither observed nor predicted
    wet = np.ones(N)
    wet[10] = np.nan
    p = np.full(N, 0.5)
    p[[20, 21, 22]] = np.nan
    ax = rain_calendar(DAYS[keep], wet[keep], p[keep], axes())
    assert len(centres(ax, "days")) == N
    assert len(part(ax, "not observed").get_paths()) == 2 * 3  # two strokes a cross
    assert len(part(ax, "no prediction").get_paths()) == 2 + 3
    assert len(part(ax, "wet").get_offsets()) == N - 3
    grey = {tuple(c) for c in part(ax, "days").get_facecolor()[[5, 6, 20, 21, 22]]}  # type: ignore[index]
    assert len(grey) == 1
    assert grey.isdisjoint({tuple(part(ax, "days").get_facecolor()[0])})  # type: ignore[index]
    legend = ax.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["wet day", "not observed", "no prediction"]


def test_legend_explains_only_what_is_drawn() -> None:
    legend = rain_calendar(DAYS, np.ones(N), np.ones(N), axes()).get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["wet day"]


@pytest.mark.parametrize(
    ("last", "place"),
    [("2015-12-31", (1, 1)), ("2016-02-28", (29, 0)), ("2015-02-28", (1, 1)), ("2015-06-10", (11, 0))],
)
def test_tomorrow_is_the_day_after_the_last(last: str, place: tuple[int, int]) -> None:
    ax = rain_calendar([last], [True], [0.5], axes(), tomorrow=0.426)
    assert centres(ax, "tomorrow") == [place]
    assert "tomorrow 43%" in [t.get_text() for t in ax.texts]
    assert not [c for c in rain_calendar([last], [True], [0.5], axes()).collections if c.get_gid() == "tomorrow"]


WET = np.arange(N) % 2 == 0


@pytest.mark.parametrize(
    "dates",
    [
        DAYS.astype("datetime64[ns]"),
        DAYS.tolist(),
        [datetime.datetime.combine(d, datetime.time(9)) for d in DAYS.tolist()],
        DAYS.astype(str).tolist(),
        pd.DatetimeIndex(DAYS),
        pd.DatetimeIndex(DAYS).tz_localize("Pacific/Niue"),
        pd.Series(pd.DatetimeIndex(DAYS)),
        pl.Series(DAYS.tolist()),
    ],
    ids=["ns", "date", "datetime", "text", "index", "index with zone", "series", "polars"],
)
def test_dates_of_every_kind_are_one_calendar(dates: Any) -> None:
    ax = rain_calendar(dates, WET, np.full(N, 0.5), axes())
    assert centres(ax, "days") == [cell(d, datetime.date(2015, 12, 1)) for d in DAYS.tolist()]


@pytest.mark.parametrize(
    "wet",
    [
        [True, None, False],
        [1, np.nan, 0],
        np.array([1.0, np.nan, 0.0]),
        np.ma.masked_array([1, 1, 0], [False, True, False]),
        pd.Series([True, None, False], dtype="boolean"),
        pd.array([1, None, 0], dtype="Int64"),
        pl.Series([True, None, False]),
    ],
    ids=["list", "floats in a list", "floats", "masked", "boolean", "Int64", "polars"],
)
def test_missing_observations_of_every_kind_are_missing(wet: Any) -> None:
    ax = rain_calendar(DAYS[:3], wet, [0.5] * 3, axes())
    assert len(part(ax, "not observed").get_paths()) == 2
    assert [tuple(at) for at in part(ax, "wet").get_offsets()] == [(1, 0)]


def test_order_of_the_rows_does_not_matter() -> None:
    p = np.linspace(0, 1, N)
    there, back = rain_calendar(DAYS, WET, p, axes()), rain_calendar(DAYS[::-1], WET[::-1], p[::-1], axes())
    np.testing.assert_array_equal(part(there, "days").get_facecolor(), part(back, "days").get_facecolor())
    np.testing.assert_array_equal(part(there, "wet").get_offsets(), part(back, "wet").get_offsets())


def test_bad_columns_are_refused_with_the_place() -> None:
    with pytest.raises(ValueError, match="2, 1 and 2 entries"):
        rain_calendar(DAYS[:2], [1], [0.5, 0.5])
    with pytest.raises(ValueError, match="dates is empty"):
        rain_calendar(DAYS[:0], [], [])
    with pytest.raises(ValueError, match=r"probability\[1\] is 1\.5"):
        rain_calendar(DAYS[:2], [1, 0], [0.5, 1.5])
    with pytest.raises(ValueError, match=r"wet\[1\] is 3\.2, expected True, False or missing"):
        rain_calendar(DAYS[:2], [0, 3.2], [0.5, 0.5])
    with pytest.raises(ValueError, match="wet holds something that is no number"):
        rain_calendar(DAYS[:2], np.array(["wet", "dry"], dtype=object), [0.5, 0.5])
    with pytest.raises(ValueError, match="2015-12-01 occurs twice"):
        rain_calendar(DAYS[[0, 1, 0]], [1, 1, 1], [0.5] * 3)
    with pytest.raises(ValueError, match=r"dates\[1\] is missing"):
        rain_calendar([DAYS[0], np.datetime64("NaT")], [1, 1], [0.5] * 2)
    with pytest.raises(ValueError, match="dates holds int64 values, expected days"):
        rain_calendar([0, 1], [1, 1], [0.5] * 2)
    with pytest.raises(ValueError, match="n_days is 0"):
        rain_calendar(DAYS, WET, np.full(N, 0.5), n_days=0)
    with pytest.raises(ValueError, match="tomorrow is 43"):
        rain_calendar(DAYS, WET, np.full(N, 0.5), tomorrow=43)
