"""A record of wet and dry days as a calendar: one row a month, so that spells of rain read like words in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.plotting.axes import ACCENT, INK, SOFT, axes_or_new, finish, no_frame, points_per_unit
from statespace.protocols import Array, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DAY = np.timedelta64(1, "D")
_BLANK = "#e9ecef"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def rain_calendar(
    dates: Any,
    wet: Any,
    probability: Any,
    ax: Axes | None = None,
    *,
    n_days: int | None = 365,
    tomorrow: float | None = None,
    cmap: str = "Blues",
    title: str | None = None,
) -> Axes:
    """Draw a calendar of days, coloured by the predicted probability of rain, with a dot on days that were wet.

    A row is a month, a column a day of the month. A day with no prediction is grey with a stroke through it; a day that
    was not observed, or that is absent from `dates`, has a cross in the place of the dot.

    Parameters
    ----------
    dates : sequence of length n_samples
        Days: numpy datetime64, datetime.date or datetime, a pandas index or Series, or ISO strings; each once, in any
        order.
    wet : sequence of length n_samples
        Whether it rained: booleans, or 0 and 1; None, NaN, pd.NA or a masked entry where nobody looked.
    probability : sequence of length n_samples
        Predicted probability of rain given the days before; NaN where there is none.
    ax : Axes, optional
        Where to draw; a new figure if None.
    n_days : int, optional
        How many of the last days to show, counted back from the last date; None for all.
    tomorrow : float, optional
        Predicted probability of rain for the day after the last, which is then outlined and labelled.
    cmap : str
        A sequential matplotlib colour map, for probabilities from 0 to 1.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If lengths differ, a date is missing or occurs twice, a probability lies outside [0, 1], or `wet` holds other
        values.
    """
    days, observed, p = _columns(dates, wet, probability)
    if n_days is not None and n_days < 1:
        raise ValueError(f"n_days is {n_days}, expected at least 1, or None for all days")
    if tomorrow is not None and not 0 <= tomorrow <= 1:
        raise ValueError(f"tomorrow is {tomorrow}, expected a probability in [0, 1]")
    last = days[-1]
    first = days[0] if n_days is None else max(days[0], last - (n_days - 1) * _DAY)
    shown = np.arange(first, last + _DAY)
    rained, chance = np.full(len(shown), np.nan), np.full(len(shown), np.nan)
    kept = days >= first
    place = ((days[kept] - first) // _DAY).astype(np.int64)
    rained[place], chance[place] = observed[kept], p[kept]

    end = last if tomorrow is None else last + _DAY
    months = np.arange(first.astype("datetime64[M]"), end.astype("datetime64[M]") + 1)
    # the foot holds the legend, in units of a row
    ax = axes_or_new(ax, (8.4, 0.9 + 0.235 * (len(months) + 1)))

    from matplotlib import colormaps

    colours = colormaps[cmap]
    ax.set_aspect("equal")
    ax.set_xlim(0.4, 31.6)
    ax.set_ylim(len(months) - 0.4, -0.6)
    column, row = _cell(shown, months[0])
    _draw_days(ax, column, row, rained, chance, colours)
    low = tomorrow is not None and _draw_tomorrow(ax, end, months[0], tomorrow, colours)
    no_frame(ax)
    ax.xaxis.set_ticks_position("top")
    ax.tick_params(length=0)
    ax.set_xticks([1, 5, 10, 15, 20, 25, 31])
    ax.set_yticks(range(len(months)), _month_names(months))
    _draw_foot(ax, len(months), rained, chance, colours, 0.6 if low else 0.0)
    return finish(ax, title)


def _columns(dates: Any, wet: Any, probability: Any) -> tuple[Array, Floats, Floats]:
    """Return the three columns as arrays, sorted by day, or say what is wrong with them."""
    days, observed, p = as_days(dates), _flags(wet), _floats("probability", probability)
    if not len(days) == len(observed) == len(p):
        raise ValueError(
            f"dates, wet and probability have {len(days)}, {len(observed)} and {len(p)} entries, expected one a day"
        )
    if not len(days):
        raise ValueError("dates is empty: a calendar needs at least one day")
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero((p < 0) | (p > 1))
    if bad.size:
        raise ValueError(f"probability[{bad[0]}] is {p[bad[0]]}, expected a number in [0, 1], or NaN for no prediction")
    order = np.argsort(days, kind="stable")
    days = days[order]
    twice = np.flatnonzero(days[1:] == days[:-1])
    if twice.size:
        raise ValueError(f"the date {days[twice[0]]} occurs twice, expected one entry a day")
    return days, observed[order], p[order]


def as_days(dates: Any) -> Array:
    """Return dates of any kind as datetime64[D], shape (n_samples,)."""
    if getattr(dates, "tz", None) is not None:  # a pandas index with a time zone: the local date is meant
        dates = dates.tz_localize(None)
    array = np.asarray(dates)
    if array.dtype.kind in "iufb":
        raise ValueError(f"dates holds {array.dtype} values, expected days: datetime64, datetime.date or ISO strings")
    days = np.atleast_1d(array.astype("datetime64[D]"))
    missing = np.flatnonzero(np.isnat(days))
    if missing.size:
        raise ValueError(f"dates[{missing[0]}] is missing, expected a day: leave out rows without a date")
    return days


def _flags(wet: Any) -> Floats:
    """Return wet days as 1, dry days as 0, unknown ones as NaN."""
    flags = _floats("wet", wet)
    bad = np.flatnonzero(~np.isin(flags, (0.0, 1.0)) & ~np.isnan(flags))
    if bad.size:
        raise ValueError(
            f"wet[{bad[0]}] is {flags[bad[0]]:g}, expected True, False or missing: compare amounts first (> 0)"
        )
    return flags


def _floats(name: str, values: Any) -> Floats:
    """Return numbers or booleans as floats, missing ones of every kind as NaN."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    array = np.asarray(values)
    if array.dtype.kind not in "Ob":
        return array.astype(np.float64)
    missing = [x is None or type(x).__name__ == "NAType" for x in array.tolist()]
    try:
        return np.array([np.nan if m else float(x) for x, m in zip(array.tolist(), missing, strict=True)])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds something that is no number: {error}") from error


def _cell(days: Array, first_month: Any) -> tuple[Floats, Floats]:
    """Return the column (day of the month) and the row (months since the first) of each day."""
    month = days.astype("datetime64[M]")
    return (days - month.astype("datetime64[D]")) / _DAY + 1.0, (month - first_month).astype(np.float64)


def _squares(column: Floats, row: Floats, side: float = 0.9) -> Floats:
    """Return the corners of a square around each cell's centre, shape (n_days, 4, 2)."""
    corners = side / 2 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    return np.column_stack([column, row])[:, None, :] + corners


def _draw_days(ax: Axes, column: Floats, row: Floats, rained: Floats, chance: Floats, colours: Any) -> None:
    """Draw the square of every day, the dots of wet ones, the signs of what is missing."""
    from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection

    known = ~np.isnan(chance)
    faces = [colours(p) if k else _BLANK for p, k in zip(chance, known, strict=True)]
    ax.add_collection(PolyCollection(list(_squares(column, row)), facecolors=faces, edgecolors="none", gid="days"))
    centres = np.column_stack([column, row])
    stroke = np.array([[-0.4, 0.4], [0.4, -0.4]])
    ax.add_collection(
        LineCollection(centres[~known, None] + stroke, colors=SOFT, linewidths=0.7, alpha=0.6, gid="no prediction")
    )
    # ink with a white rim is one sign on every blue; a dot in black here and white there would look like two
    wet = rained == 1
    dots = EllipseCollection(
        np.full(wet.sum(), 0.36),
        np.full(wet.sum(), 0.36),
        np.zeros(wet.sum()),
        units="xy",
        offsets=centres[wet],
        offset_transform=ax.transData,
        facecolors=INK,
        edgecolors="white",
        linewidths=min(0.9, 0.05 * points_per_unit(ax)),
        gid="wet",
    )
    ax.add_collection(dots)
    crosses = centres[np.isnan(rained), None, None] + np.array([[(-0.2, -0.2), (0.2, 0.2)], [(-0.2, 0.2), (0.2, -0.2)]])
    for colour, width, gid in (("white", 2.6, "rim"), (INK, 1.3, "not observed")):
        ax.add_collection(LineCollection(crosses.reshape(-1, 2, 2), colors=colour, linewidths=width, gid=gid))


def _draw_tomorrow(ax: Axes, day: Any, first_month: Any, p: float, colours: Any) -> bool:
    """Draw the day after the last, outlined, its probability beside it; return whether that had to stand below."""
    from matplotlib.collections import PolyCollection

    (column,), (row,) = _cell(np.array([day]), first_month)
    square = list(_squares(np.array([column]), np.array([row]), 1.0))
    ax.add_collection(
        PolyCollection(square, facecolors=[colours(p)], edgecolors=ACCENT, linewidths=2, zorder=3, gid="tomorrow")
    )
    near_the_edge = column > 24  # no room at the right: write it below
    ax.annotate(
        f"tomorrow {100 * p:.0f}%",
        (column + (0.5 if near_the_edge else 0.75), row + (0.65 if near_the_edge else 0)),
        ha="right" if near_the_edge else "left",
        va="top" if near_the_edge else "center",
        color=ACCENT,
        fontsize="medium",
        annotation_clip=False,
    )
    return bool(near_the_edge)


def _month_names(months: Array) -> list[str]:
    """Return "2015 Jan" for the first month and each January, "Feb" for the others."""
    names = []
    for i, month in enumerate(months):
        year, number = str(month).split("-")
        name = _MONTHS[int(number) - 1]
        names.append(f"{year}  {name}" if i == 0 or number == "01" else name)
    return names


def _draw_foot(ax: Axes, n_rows: int, rained: Floats, chance: Floats, colours: Any, lower: float) -> None:
    """Explain the signs at the left below the calendar, the colours at the right; `lower` by so many rows."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D

    size = 0.34 * points_per_unit(ax)
    signs = [Line2D([], [], linestyle="", marker="o", markersize=size, color=INK, label="wet day")]
    if np.isnan(rained).any():
        signs.append(Line2D([], [], linestyle="", marker="x", markersize=size, color=INK, label="not observed"))
    if np.isnan(chance).any():
        signs.append(
            Line2D(
                [],
                [],
                linestyle="",
                marker=[(-1, -1), (1, 1)],
                markersize=1.8 * size,
                color=SOFT,
                label="no prediction",
            )
        )
    ax.legend(
        handles=signs,
        loc="upper left",
        bbox_to_anchor=(0, -(0.4 + lower) / n_rows),
        ncols=len(signs),
        frameon=False,
        fontsize="small",
        labelcolor=INK,
        borderaxespad=0,
        borderpad=0.1,
        handletextpad=0.2,
        columnspacing=1.2,
    )
    foot = ax.inset_axes((0.715, -(1.05 + lower) / n_rows, 0.28, 0.5 / n_rows))
    bar = ax.figure.colorbar(ScalarMappable(Normalize(0, 1), colours), cax=foot, orientation="horizontal")
    bar.outline.set_visible(False)
    foot.set_xticks([0, 0.5, 1], ["0", "50%", "100%"])
    foot.tick_params(length=0, labelcolor=INK, labelsize="small", pad=2)
    foot.text(
        -0.03,
        0.5,
        "predicted probability of rain",
        transform=foot.transAxes,
        ha="right",
        va="center",
        color=INK,
        fontsize="small",
    )
