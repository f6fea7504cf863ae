"""Dates with holes are seen and filled, dates out of order refused, and calendars go on after their last date."""

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import statespace
from statespace import MarkovChain
from statespace.foundations.calendar import CalendarWarning, regular, steps_after, warn_of_holes

STEPS = {
    "h": dt.timedelta(hours=1),
    "15min": dt.timedelta(minutes=15),
    "D": dt.timedelta(days=1),
    "2D": dt.timedelta(days=2),
    "7D": dt.timedelta(days=7),
    "s": dt.timedelta(seconds=1),
}
SATURDAY = dt.datetime(2024, 2, 24, 6)  # working days without a weekend between them would be a calendar of their own


def month(number):
    """The first day of a month, counted from January 2023."""
    return dt.datetime(2023 + number // 12, number % 12 + 1, 1)


def holey(data, first, step):
    """A date for each of the places that are kept: 0 and 1 so that the step shows, and some after."""
    later = data.draw(st.lists(st.integers(2, 30), unique=True, max_size=8))
    places = [0, 1, *sorted(later)]
    return places, [first + place * step for place in places]


# --------------------------------------------------------------------------------------------------------- regular


@pytest.mark.parametrize("named", [True, False], ids=["freq given", "freq seen"])
@pytest.mark.parametrize("freq", STEPS)
@given(data=st.data())
def test_every_step_has_a_row_and_what_was_not_there_is_missing(freq, named, data):
    places, dates = holey(data, SATURDAY, STEPS[freq])
    shuffled = data.draw(st.permutations(range(len(places))))
    series = pd.Series([float(places[i]) for i in shuffled], index=pd.DatetimeIndex([dates[i] for i in shuffled]))
    filled = regular(series, freq) if named else regular(series)
    last = places[-1]
    assert [stamp.to_pydatetime() for stamp in filled.index] == [dates[0] + k * STEPS[freq] for k in range(last + 1)]
    expected = [float(k) if k in places else np.nan for k in range(last + 1)]
    np.testing.assert_array_equal(filled.to_numpy(), expected)


@pytest.mark.parametrize("start", [0, 11])
@given(data=st.data())
def test_months_are_filled_where_their_step_is_named(start, data):
    kept = [0, *sorted(data.draw(st.sets(st.integers(1, 20), min_size=1)))]
    series = pd.Series(kept, index=pd.DatetimeIndex([month(start + k) for k in kept]))
    filled = regular(series, "MS")
    assert [stamp.to_pydatetime() for stamp in filled.index] == [month(start + k) for k in range(kept[-1] + 1)]
    assert filled.dropna().tolist() == kept


def test_month_ends_and_business_days_are_filled_where_their_step_is_named():
    ends = regular(pd.Series([1, 2], index=pd.DatetimeIndex(["2024-01-31", "2024-03-31"])), "ME")
    assert ends.index.strftime("%m-%d").tolist() == ["01-31", "02-29", "03-31"]
    week = regular(pd.Series([1, 2], index=pd.DatetimeIndex(["2024-01-04", "2024-01-09"])), "B")
    assert week.index.strftime("%a").tolist() == ["Thu", "Fri", "Mon", "Tue"]


@pytest.mark.parametrize("freq", ["MS", "ME", "QS", "YS", "B", "W-SUN", "D", "h"])
def test_a_calendar_without_a_hole_stays_as_it_is(freq):
    series = pd.Series(range(9), index=pd.date_range("2024-01-01", periods=9, freq=freq))
    pd.testing.assert_series_equal(regular(series), series)
    read_from_a_file = series.set_axis(pd.DatetimeIndex(series.index.to_numpy()))  # does not know its step
    assert regular(read_from_a_file).tolist() == series.tolist()


def test_periods_are_filled():
    series = pd.Series([1.0, 4.0], index=pd.PeriodIndex(["2024-01", "2024-04"], freq="M"))
    filled = regular(series)
    assert filled.index.astype(str).tolist() == ["2024-01", "2024-02", "2024-03", "2024-04"]
    np.testing.assert_array_equal(filled.to_numpy(), [1, np.nan, np.nan, 4])


def test_a_frame_keeps_its_columns_and_the_callers_stays_as_it_was():
    dates = pd.DatetimeIndex(["2024-01-03", "2024-01-01"], name="day")
    frame = pd.DataFrame({"rain": [0.5, 0.1], "sky": ["grey", "blue"]}, index=dates)
    before = frame.copy()
    filled = regular(frame, "D")
    assert filled.columns.tolist() == ["rain", "sky"]
    assert filled["sky"].isna().tolist() == [False, True, False]
    assert filled["rain"].tolist()[::2] == [0.1, 0.5]
    assert filled.index.name == "day"
    pd.testing.assert_frame_equal(frame, before)


def test_a_filled_series_of_any_kind_is_read_as_a_gap():
    dates = pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05"])
    for values in ([1, 0, 1, 1], ["b", "a", "b", "b"], [True, False, True, True], pd.Categorical(list("baba"))):
        filled = statespace.regular(pd.Series(values, index=dates))
        found = MarkovChain(smoothing="laplace").fit(filled)
        assert found.counts_.sum() == 2  # of four pairs in five days, two are without the gap


def test_one_row_is_regular():
    series = pd.Series([3], index=pd.DatetimeIndex(["2024-01-01 07:00"]))
    assert regular(series).tolist() == [3]


@pytest.mark.parametrize("hours", [False, True], ids=["days", "hours"])
@pytest.mark.parametrize("spring", ["2024-03-29", "2024-10-25"], ids=["to summer time", "from summer time"])
def test_a_change_of_clocks_is_no_hole(spring, hours):
    whole = pd.date_range(spring, periods=96 if hours else 6, freq="h" if hours else "D", tz="Europe/Berlin")
    kept = pd.DatetimeIndex(whole[[0, 1, *range(3, len(whole))]]._with_freq(None))
    series = pd.Series(range(len(kept)), index=kept)
    filled = regular(series)
    assert filled.index.tolist() == whole.tolist()
    assert filled.isna().tolist() == [k == 2 for k in range(len(whole))]


NOT_REGULAR = {
    "list": ([1, 2], TypeError, r"regular needs a pandas Series or frame with a DatetimeIndex: series.index = pd.to_d"),
    "counted rows": (pd.Series([1, 2]), TypeError, "regular needs a pandas Series or frame with a DatetimeIndex"),
    "polars": (pl.Series([1]), TypeError, "regular needs a pandas Series or frame with a DatetimeIndex"),
    "empty": (pd.Series([], index=pd.DatetimeIndex([]), dtype=float), ValueError, "the series is empty: it needs"),
    "no date": (
        pd.Series([1, 2], index=pd.DatetimeIndex(["2024-01-01", None])),
        ValueError,
        "the index has no date at row 1: drop or date that row",
    ),
    "twice": (
        pd.Series([1, 2, 3], index=pd.DatetimeIndex(["2024-01-02", "2024-01-01", "2024-01-02"])),
        ValueError,
        r"the date 2024-01-02 .*occurs twice: keep one row for each date",
    ),
    "off the steps": (
        pd.Series([1, 2, 3], index=pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-04 12:00"])),
        ValueError,
        "the date 2024-01-04 12:00:00 lies off the steps of the shortest step: choose freq=",
    ),
    "months with a hole": (
        pd.Series([1, 2, 3], index=pd.DatetimeIndex(["2024-01-01", "2024-02-01", "2024-04-01"])),
        ValueError,
        "the date 2024-04-01 00:00:00 lies off the steps of the shortest step: choose freq=",
    ),
}


@pytest.mark.parametrize(("series", "error", "message"), NOT_REGULAR.values(), ids=NOT_REGULAR.keys())
def test_what_cannot_be_made_regular_is_refused_with_the_date_and_a_way_out(series, error, message):
    with pytest.raises(error, match=message):
        regular(series)


@pytest.mark.parametrize(
    ("freq", "message"),
    [
        ("D", "the date 2024-01-02 12:00:00 lies off the steps of D: choose freq="),
        ("MS", "the date 2024-01-02 12:00:00 lies off the steps of MS"),
        ("banana", "banana"),
    ],
)
def test_a_step_that_does_not_fit_the_dates_is_refused_by_name(freq, message):
    series = pd.Series([1, 2], index=pd.DatetimeIndex(["2024-01-01", "2024-01-02 12:00"]))
    with pytest.raises(ValueError, match=message):
        regular(series, freq)


# ----------------------------------------------------------------------------------------------------------- holes


@pytest.mark.parametrize("freq", STEPS)
@given(data=st.data())
def test_a_warning_names_the_first_hole_and_regular_silences_it(freq, data):
    places, dates = holey(data, SATURDAY, STEPS[freq])
    index = pd.DatetimeIndex(dates)
    holes = [i for i in range(1, len(places)) if places[i] > places[i - 1] + 1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_holes(index, "X")
    assert len(caught) == (1 if holes else 0)
    if holes:
        message = str(caught[0].message)
        assert caught[0].category is CalendarWarning
        assert f"X has no rows between {index[holes[0] - 1]} and {index[holes[0]]}" in message
        assert "statespace.regular(series, freq)" in message
    warn_of_holes(regular(pd.Series(0, index=index)).index, "X")  # a warning is an error here


@pytest.mark.parametrize("knows_its_step", [True, False])
@pytest.mark.parametrize("freq", ["MS", "ME", "QS", "YS", "B", "W-SUN", "D", "2D", "h"])
def test_a_calendar_without_a_hole_is_silent(freq, knows_its_step):
    index = pd.date_range("2023-11-01", periods=12, freq=freq)
    warn_of_holes(index if knows_its_step else pd.DatetimeIndex(index.to_numpy()), "X")


@pytest.mark.parametrize("hours", [False, True], ids=["days", "hours"])
@pytest.mark.parametrize("change", ["2024-03-29", "2024-10-25"], ids=["to summer time", "from summer time"])
def test_only_a_hole_warns_where_clocks_change(change, hours):
    whole = pd.date_range(change, periods=96 if hours else 6, freq="h" if hours else "D", tz="Europe/Berlin")
    warn_of_holes(whole._with_freq(None), "X")
    with pytest.warns(CalendarWarning, match="X has no rows between"):
        warn_of_holes(whole.delete(2)._with_freq(None), "X")


@pytest.mark.parametrize("freq", ["M", "D", "2D", "Q", "h"])
def test_periods_know_their_step_and_warn_of_every_hole(freq):
    whole = pd.period_range("2024-01-01", periods=6, freq=freq)
    warn_of_holes(whole, "X")
    with pytest.warns(CalendarWarning, match=f"X has no rows between {whole[1]} and {whole[3]}"):
        warn_of_holes(whole.delete(2), "X")
    with pytest.warns(CalendarWarning, match=f"X has no rows between {whole[0]} and {whole[3]}"):
        warn_of_holes(whole[[0, 3]], "X")


@pytest.mark.parametrize("freq", ["M", "D"])
@pytest.mark.parametrize("periods", [True, False])
def test_dates_out_of_order_repeated_or_not_there_are_refused_by_place(periods, freq):
    whole = pd.period_range("2024-01", periods=4, freq=freq)
    index = whole if periods else whole.to_timestamp()
    later = str(index[1])
    with pytest.raises(ValueError, match=rf"date of X\[2\], {later}, comes before the one above it: sort the dates"):
        warn_of_holes(index[[0, 2, 1]], "X")
    with pytest.raises(ValueError, match=rf"date of X\[2\], {later}, repeats the one above it: sort the dates, each"):
        warn_of_holes(index[[0, 1, 1]], "X")
    with pytest.raises(ValueError, match=r"date of X\[1\] is missing \(NaT\): drop or date that row"):
        warn_of_holes(index.insert(1, pd.NaT), "X")


@pytest.mark.parametrize("index", [pd.RangeIndex(0, 9, 3), pd.Index([3, 1, 1]), pd.Index(list("ba")), None])
def test_an_index_that_is_no_calendar_has_no_holes(index):
    warn_of_holes(index, "X")


@pytest.mark.parametrize("index", [pd.DatetimeIndex([]), pd.DatetimeIndex(["2024-01-01"])])
def test_fewer_than_two_dates_have_no_holes(index):
    warn_of_holes(index, "X")


# ------------------------------------------------------------------------------------------------------- steps after


AFTER = {
    "days": (pd.date_range("2024-02-27", periods=2, freq="D"), ["2024-02-29", "2024-03-01"]),
    "days in a zone": (
        pd.date_range("2024-03-29", periods=3, freq="D", tz="Europe/Berlin"),
        ["2024-04-01 00:00:00+02:00", "2024-04-02 00:00:00+02:00"],
    ),
    "hours in a zone": (
        pd.date_range("2024-03-31", periods=2, freq="h", tz="Europe/Berlin"),
        ["2024-03-31 03:00:00+02:00", "2024-03-31 04:00:00+02:00"],
    ),
    "hours": (pd.date_range("2024-02-29 22:00", periods=3, freq="h"), ["2024-03-01 01:00:00", "2024-03-01 02:00:00"]),
    "months": (pd.date_range("2023-11-01", periods=3, freq="MS"), ["2024-02-01", "2024-03-01"]),
    "month ends": (pd.date_range("2023-11-30", periods=3, freq="ME"), ["2024-02-29", "2024-03-31"]),
    "business days": (pd.date_range("2024-01-01", periods=5, freq="B"), ["2024-01-08", "2024-01-09"]),
    "weeks": (pd.date_range("2024-01-07", periods=3, freq="W"), ["2024-01-28", "2024-02-04"]),
}


def spelt(index):
    return [str(stamp).removesuffix(" 00:00:00") for stamp in index]


@pytest.mark.parametrize(("index", "expected"), AFTER.values(), ids=AFTER.keys())
def test_a_calendar_that_knows_its_step_goes_on(index, expected):
    assert spelt(steps_after(index, 2, only=True)) == expected
    longer = steps_after(index, 2)
    assert spelt(longer) == spelt(index) + expected


@pytest.mark.parametrize("name", ["days in a zone", "months", "month ends", "weeks", "hours"])
def test_a_calendar_that_does_not_say_its_step_shows_it(name):
    index, expected = AFTER[name]
    assert spelt(steps_after(index._with_freq(None), 2, only=True)) == expected


def test_a_week_of_business_days_shows_its_step():
    index = pd.date_range("2024-01-04", periods=7, freq="B")._with_freq(None)
    assert spelt(steps_after(index, 2, only=True)) == ["2024-01-15", "2024-01-16"]


def test_two_dates_show_their_step_and_holes_do_not_hide_it():
    assert spelt(steps_after(pd.DatetimeIndex(["2024-01-01", "2024-01-08"]), 1, only=True)) == ["2024-01-15"]
    assert spelt(steps_after(pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-09"]), 1, only=True)) == [
        "2024-01-10"
    ]


@pytest.mark.parametrize(
    "index",
    [
        pd.DatetimeIndex(["2024-01-01"]),
        pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-03 07:00"]),
        pd.DatetimeIndex(["2024-01-01", "2024-02-01", "2024-04-01", "2024-05-01"]),
        pd.Index([2021, 2022, 2023]),
        pd.Index(["mon", "tue"]),
        pd.Index([0.5, 1.0]),
        pd.MultiIndex.from_tuples([(1, 2)]),
        None,
    ],
    ids=["one date", "uneven", "months with a hole", "integers", "text", "floats", "several levels", "none"],
)
def test_an_index_that_does_not_go_on_by_itself_has_no_steps_after(index):
    assert steps_after(index, 2) is None
    assert steps_after(index, 2, only=True) is None


@pytest.mark.parametrize("freq", ["M", "D", "2D", "Q", "h"])
def test_periods_go_on(freq):
    whole = pd.period_range("2024-01-01", periods=5, freq=freq)
    pd.testing.assert_index_equal(steps_after(whole[:3], 2), whole)
    pd.testing.assert_index_equal(steps_after(whole[:3], 2, only=True), whole[3:])


@given(st.integers(-50, 50), st.integers(-7, 7).filter(bool), st.integers(1, 9), st.integers(0, 4), st.integers(0, 6))
def test_counted_rows_go_on_whatever_their_stop(start, step, n, steps, beyond):
    sign = 1 if step > 0 else -1
    index = pd.RangeIndex(start, start + (n - 1) * step + sign * (1 + beyond % abs(step)), step)  # a stop off the steps
    assert len(index) == n
    assert list(steps_after(index, steps)) == [start + k * step for k in range(n + steps)]
    assert list(steps_after(index, steps, only=True)) == [start + (n + k) * step for k in range(steps)]


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2024", periods=3, name="day"),
        pd.period_range("2024", periods=3, freq="D", name="day"),
        pd.RangeIndex(3, name="day"),
    ],
)
def test_the_name_of_the_index_is_kept(index):
    assert steps_after(index, 2).name == "day"
    assert steps_after(index, 2, only=True).name == "day"


def test_a_forecast_is_dated():
    rain = pd.Series(["dry", "wet", "wet", "dry"], index=pd.date_range("2024-02-26", periods=4, name="day"))
    chain = MarkovChain().fit(rain)
    assert spelt(chain.forecast(rain, 2).index) == ["2024-03-01", "2024-03-02"]
    law = chain.predictive(rain)
    assert spelt(law.index) == [*spelt(rain.index), "2024-03-01"]
    assert law.to_frame().index.name == "day"
