"""Series on a calendar: the holes in an index of dates, and the filling of them with missing rows."""

import warnings
from typing import Any

import numpy as np

from statespace.protocols import Ints


class CalendarWarning(UserWarning):
    """A series on a calendar is read as if its rows followed each other, and some are not there."""


def regular(series: Any, freq: str | None = None) -> Any:
    """A pandas Series or frame with a row for every step of its calendar, missing where there was none.

    Parameters
    ----------
    series : pandas Series or DataFrame
        Indexed by dates or periods, each once.
    freq : str, optional
        The step as pandas spells it, such as "D"; without it, that of the index, or the shortest step that occurs.

    Raises
    ------
    TypeError
        If there is no calendar index.
    ValueError
        If there is no row, a date occurs twice, or lies off the steps of `freq`; the message names the first.

    """
    index: Any = getattr(series, "index", None)
    if type(index).__name__ not in ("DatetimeIndex", "PeriodIndex"):
        raise TypeError(
            "regular needs a pandas Series or frame with a DatetimeIndex: series.index = pd.to_datetime(...)"
        )
    import pandas as pd

    if not len(index):
        raise ValueError("the series is empty: it needs at least one row to know where its calendar begins")
    if index.hasnans:
        raise ValueError(f"the index has no date at row {int(np.flatnonzero(index.isna())[0])}: drop or date that row")
    if index.has_duplicates:
        raise ValueError(f"the date {index[index.duplicated()][0]} occurs twice: keep one row for each date")
    series = series.sort_index()
    index = series.index
    if isinstance(index, pd.PeriodIndex):
        steps: Any = pd.period_range(index[0], index[-1], freq=freq or index.freq)
    else:
        steps = pd.date_range(index[0], index[-1], freq=freq or _own_freq(index) or _shortest_step(index) or "D")
    off = ~index.isin(steps)
    if off.any():
        raise ValueError(f"the date {index[off][0]} lies off the steps of {freq or 'the shortest step'}: choose freq=")
    return series.reindex(steps.rename(index.name))


def warn_of_holes(index: Any, name: str) -> None:
    """Say so when rows are missing between the dates of an index; refuse dates out of order, repeated or not there."""
    if type(index).__name__ not in ("DatetimeIndex", "PeriodIndex"):
        return
    if index.hasnans:
        row = int(np.flatnonzero(index.isna())[0])
        raise ValueError(f"the date of {name}[{row}] is missing (NaT): drop or date that row")
    if len(index) < 2:
        return
    steps = _steps(index)
    if (steps <= 0).any():
        row = int(np.flatnonzero(steps <= 0)[0]) + 1
        how = "repeats" if steps[row - 1] == 0 else "comes before"
        raise ValueError(f"the date of {name}[{row}], {index[row]}, {how} the one above it: sort the dates, each once")
    periods = type(index).__name__ == "PeriodIndex"  # knows its step; dates show theirs as the shortest between them
    shortest = index.freq.n if periods else steps.min()
    holes = (steps > shortest).any() and not (steps % shortest).any()
    if holes and (periods or _own_freq(index) is None):
        row = int(np.flatnonzero(steps > shortest)[0]) + 1
        warnings.warn(
            f"{name} has no rows between {index[row - 1]} and {index[row]}, and read as if they followed each other: "
            "statespace.regular(series, freq) inserts the missing rows",
            CalendarWarning,
            stacklevel=2,
        )


def _steps(index: Any) -> Ints:
    """From each date to the next, whole numbers of one unit, shape (n - 1,).

    Days are days on the wall clock, though one of them has 23 hours and one 25 where clocks change; shorter steps are
    those of time itself.
    """
    steps: Ints = np.diff(index.asi8)
    if getattr(index, "tz", None) is None or not steps.size:
        return steps
    if abs(steps).min() < 23 * (np.timedelta64(1, "h") // np.timedelta64(1, index.unit)):
        return steps
    days: Ints = np.diff(index.tz_localize(None).asi8)
    return days


def _own_freq(index: Any) -> Any:
    """The step of dates without a hole, also months, quarters and business days; None where there is none to see."""
    if index.freq is not None or len(index) < 3:
        return index.freq
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas tells of the type that a later version will return
        freq = pd.infer_freq(index)
    return None if freq == "bh" else freq  # "business hours" fit any hours with nights of 17 between them


def _shortest_step(index: Any) -> Any:
    """The shortest step between dates, None where there is none."""
    if len(index) < 2:
        return None
    import pandas as pd

    row = int(np.argmin(_steps(index)))
    wall = index.tz_localize(None)
    days = (wall[row + 1] - wall[row]) / pd.Timedelta(days=1)
    return pd.offsets.Day(int(days)) if days == int(days) else index[row + 1] - index[row]


def steps_after(index: Any, steps: int, only: bool = False) -> Any:
    """`index` and its next `steps` times (or these alone); None where it does not go on by itself."""
    if index is None:
        return None
    following = _next_times(index, steps)
    if following is None:
        return None
    following = following.rename(index.name)
    return following if only else index.append(following)


def _next_times(index: Any, steps: int) -> Any:
    import pandas as pd

    if isinstance(index, pd.PeriodIndex):
        return pd.period_range(index[-1] + 1, periods=steps, freq=index.freq)
    if isinstance(index, pd.DatetimeIndex):
        freq = _own_freq(index)
        if freq is None and len(index) > 1:
            lengths = _steps(index)
            freq = None if (lengths % lengths.min()).any() else _shortest_step(index)
        return None if freq is None else pd.date_range(index[-1], periods=steps + 1, freq=freq)[1:]
    if isinstance(index, pd.RangeIndex):
        after = index.start + len(index) * index.step  # stop need not lie on the steps
        return pd.RangeIndex(after, after + steps * index.step, index.step)
    return None
