"""Series on a calendar: the holes in an index of dates, and the filling of them with missing rows."""

import warnings
from typing import Any

import numpy as np


class CalendarWarning(UserWarning):
    """A series on a calendar is read as if its rows followed each other, and some are not there."""


def regular(series: Any, freq: str | None = None) -> Any:
    """A pandas Series or frame with a row for every step of its calendar, missing where there was none.

    Parameters
    ----------
    series : pandas Series or DataFrame
        Indexed by dates or periods, each once.
    freq : str, optional
        The step as pandas spells it, such as "D"; without it, the shortest step that occurs.

    Raises
    ------
    TypeError
        If there is no calendar index.
    ValueError
        If a date occurs twice, or lies off the steps of `freq`; the message names the first.

    """
    index: Any = getattr(series, "index", None)
    if type(index).__name__ not in ("DatetimeIndex", "PeriodIndex"):
        raise TypeError(
            "regular needs a pandas Series or frame with a DatetimeIndex: series.index = pd.to_datetime(...)"
        )
    import pandas as pd

    if index.hasnans:
        raise ValueError(f"the index has no date at row {int(np.flatnonzero(index.isna())[0])}: drop or date that row")
    if index.has_duplicates:
        raise ValueError(f"the date {index[index.duplicated()][0]} occurs twice: keep one row for each date")
    series = series.sort_index()
    index = series.index
    if isinstance(index, pd.PeriodIndex):
        steps: Any = pd.period_range(index[0], index[-1], freq=freq or index.freq)
    else:
        step = freq or index.freq or (np.diff(index.to_numpy()).min() if len(index) > 1 else "D")
        steps = pd.date_range(
            index[0], index[-1], freq=pd.Timedelta(step) if isinstance(step, np.timedelta64) else step
        )
    off = ~index.isin(steps)
    if off.any():
        raise ValueError(f"the date {index[off][0]} lies off the steps of {freq or 'the shortest step'}: choose freq=")
    return series.reindex(steps)


def warn_of_holes(index: Any, name: str) -> None:
    """Say so when the dates of an index are not evenly spaced, out of order or repeated."""
    if type(index).__name__ != "DatetimeIndex" or len(index) < 2:
        return
    steps = np.diff(index.to_numpy())
    if (steps <= np.timedelta64(0)).any():
        row = int(np.flatnonzero(steps <= np.timedelta64(0))[0]) + 1
        how = "repeats" if steps[row - 1] == np.timedelta64(0) else "comes before"
        raise ValueError(f"the date of {name}[{row}], {index[row]}, {how} the one above it: sort the dates, each once")
    shortest = steps.min()
    holes = np.flatnonzero(steps % shortest != np.timedelta64(0)).size == 0 and (steps > shortest).any()
    if holes and not _is_calendar_step(index):
        row = int(np.flatnonzero(steps > shortest)[0]) + 1
        warnings.warn(
            f"{name} has no rows between {index[row - 1]} and {index[row]}, and read as if they followed each other: "
            "statespace.regular(series, freq) inserts the missing rows",
            CalendarWarning,
            stacklevel=2,
        )


def _is_calendar_step(index: Any) -> bool:
    """Months, quarters, business days: steps of unequal length without a hole."""
    import pandas as pd

    return len(index) >= 3 and pd.infer_freq(index) is not None


def steps_after(index: Any, steps: int, only: bool = False) -> Any:
    """`index` and its next `steps` times (or these alone); None where it does not go on by itself."""
    if index is None:
        return None
    import pandas as pd

    following = _next_times(index, steps)
    if following is None:
        return None
    return following if only else index.append(pd.Index(following))


def _next_times(index: Any, steps: int) -> Any:
    import pandas as pd

    if isinstance(index, pd.PeriodIndex):
        return pd.period_range(index[-1] + 1, periods=steps, freq=index.freq)
    if isinstance(index, pd.DatetimeIndex):
        freq: Any = index.freq or (pd.infer_freq(index) if len(index) >= 3 else None)
        if freq is None and len(index) >= 2:
            freq = pd.Timedelta(np.diff(index.to_numpy()).min())
        return None if freq is None else pd.date_range(index[-1], periods=steps + 1, freq=freq)[1:]
    if isinstance(index, pd.RangeIndex):
        return pd.RangeIndex(index.stop, index.stop + steps * index.step, index.step)
    return None
