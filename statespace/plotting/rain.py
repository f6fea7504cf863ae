"""Tomorrow's rain: the forecast of each order, and one figure with the calendar, the comparison and the forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statespace.plotting.axes import (
    ACCENT,
    BLUE,
    FAINT,
    INK,
    axes_or_new,
    finish,
    plain_frame,
    require_matplotlib,
    shortly,
)
from statespace.plotting.calendar import as_days, rain_calendar
from statespace.plotting.comparison import held_out_loss
from statespace.protocols import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# whatever the locale
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def rain_forecast(
    tomorrow: Mapping[Any, tuple[float, float, float]],
    ax: Axes | None = None,
    *,
    best: int | str | None = None,
    title: str | None = None,
) -> Axes:
    """Draw tomorrow's probability of rain by each order, or model, each with its interval.

    Parameters
    ----------
    tomorrow : mapping of order, or name, to (probability, low, high)
        Probabilities and the ends of their intervals, in [0, 1]; low and high NaN for no interval.
    ax : Axes, optional
        Where to draw; a new figure if None.
    best : int or str, optional
        The order, or the name of the model, to mark.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If `tomorrow` is no mapping to three numbers each, or `ax` no Axes.
    ValueError
        If there is no order, a probability does not lie in its interval and in [0, 1], or `best` is none of the orders.
    """
    _check_forecasts(tomorrow)
    if best is not None and best not in tomorrow:
        raise ValueError(f"best is {_kind(tomorrow)} {best}, but the {_kind(tomorrow)}s are {_places(tomorrow)}")
    for order, (p, low, high) in tomorrow.items():
        low, high = (p if np.isnan(low) else low), (p if np.isnan(high) else high)
        if not 0 <= low <= p <= high <= 1:
            raise ValueError(
                f"tomorrow[{order}] is ({p}, {low}, {high}), expected 0 <= low <= probability <= high <= 1"
            )

    ax = axes_or_new(ax, (4.4, 1.1 + 0.42 * len(tomorrow)))
    ax.set_xlim(0, 1)
    ax.grid(axis="x", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    orders = _places(tomorrow)
    for place, order in enumerate(orders):
        p, low, high = tomorrow[order]
        colour = ACCENT if order == best else BLUE
        if not np.isnan([low, high]).any():
            ax.hlines(place, low, high, color=colour, linewidth=5, alpha=0.35, gid="interval")
        ax.plot([p], [place], "o", color=colour, markersize=8 if order == best else 6.5, gid="forecast")
        ax.annotate(
            f"{100 * p:.0f}%",
            (p, place),
            (0, 6),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=colour,
            fontsize="small",
            annotation_clip=False,
        )
    ax.set_ylim(len(orders) - 0.5, -0.75)
    ax.set_yticks(range(len(orders)), [str(order) for order in orders])
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
    ax.set_xlabel("probability of rain tomorrow")
    if _kind(tomorrow) == "order":
        ax.set_ylabel("order")
    plain_frame(ax)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return finish(ax, title)


def _kind(tomorrow: Mapping[Any, Any]) -> str:
    """What the forecasts are of: orders, or models with names."""
    return "model" if any(isinstance(name, str) for name in tomorrow) else "order"


def _places(tomorrow: Mapping[Any, Any]) -> list[Any]:
    """Return orders in their order, names as they come."""
    return sorted(tomorrow) if _kind(tomorrow) == "order" else list(tomorrow)


def _check_forecasts(tomorrow: Any) -> None:
    """Raise unless there is at least one order, with three numbers each."""
    if not isinstance(tomorrow, Mapping):
        raise TypeError(f"tomorrow is {shortly(tomorrow)}, expected a dict {{order: (probability, low, high)}}")
    if not tomorrow:
        raise ValueError("tomorrow is empty, expected {order: (probability, low, high)} for at least one order")
    for order, forecast in tomorrow.items():
        try:
            _p, _low, _high = map(float, forecast)
        except (TypeError, ValueError):
            raise TypeError(
                f"tomorrow[{order!r}] is {shortly(forecast)}, expected three numbers (probability, low, high); low and "
                "high may be nan"
            ) from None


def rain_report(
    dates: Any,
    wet: Any,
    probability: Any,
    *,
    orders: Sequence[int] | Sequence[str],
    losses: Sequence[float] | Floats,
    errors: Sequence[float] | Floats | None = None,
    n_parameters: Sequence[int] | None = None,
    tomorrow: Mapping[Any, tuple[float, float, float]],
    best: int | str | None = None,
    n_days: int | None = 365,
    unit: Literal["nats", "bits"] = "nats",
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw the whole answer to "will it rain tomorrow?": the calendar, the held-out loss of each order, the forecasts.

    Parameters
    ----------
    dates : sequence of length n_samples
        Days, as in `rain_calendar`.
    wet : sequence of length n_samples
        Whether it rained; missing where nobody looked.
    probability : sequence of length n_samples
        Probability of rain given the days before, predicted by the order `best`; NaN where there is none.
    orders : sequence of length n_orders
        The orders that were compared, or the names of models.
    losses : sequence of length n_orders
        Mean held-out loss in nats a step.
    errors : sequence of length n_orders, optional
        Standard error of the difference to the lowest loss, in nats a step.
    n_parameters : sequence of length n_orders, optional
        Free parameters of each order.
    tomorrow : mapping of order to (probability, low, high)
        The forecast of each order for the day after the last, with the ends of its interval.
    best : int or str, optional
        The order, or name, to mark, to compare with and to colour tomorrow by; by default the one with the lowest loss.
    n_days : int, optional
        How many of the last days the calendar shows; None for all.
    unit : {"nats", "bits"}
        Unit of the loss's scale.
    title : str, optional
        By default the answer in words.
    figure : Figure, optional
        Where to draw, an empty figure or subfigure; by default a new one that pyplot does not know of.

    Returns
    -------
    Figure
        With three Axes of its own: calendar, losses, forecasts. Write it with `figure.savefig(path)`.

    Raises
    ------
    TypeError
        If `tomorrow` is no mapping to three numbers each, or `figure` no Figure.
    ValueError
        As `rain_calendar`, `held_out_loss` and `rain_forecast` do, or if `best` has no forecast.
    """
    require_matplotlib()
    _check_forecasts(tomorrow)
    if best is None:
        best = orders[int(np.nanargmin(np.asarray(losses, dtype=np.float64)))]
    if best not in tomorrow:
        kind = _kind(tomorrow)
        raise ValueError(f"tomorrow has no forecast of {kind} {best}, the best: its {kind}s are {_places(tomorrow)}")
    kind = _kind(tomorrow)
    shown = best if isinstance(best, str) else f"order {best}"
    days = as_days(dates)
    day = days.max() + np.timedelta64(1, "D")
    span = (days.max() - days.min()).astype(int) + 1 if n_days is None else n_days
    n_months = span // 30 + 2
    calendar_height, height_below = 0.95 + 0.24 * n_months, max(3.0, 1.0 + 0.36 * len(tomorrow))

    if figure is None:
        from matplotlib.figure import Figure as NewFigure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1)
        figure = NewFigure(figsize=(9.0, calendar_height + height_below + 0.9), layout=layout)
    from matplotlib.figure import FigureBase

    if not isinstance(figure, FigureBase):
        raise TypeError(f"figure is {shortly(figure)}, expected a matplotlib Figure or SubFigure, or None")
    rows = figure.add_gridspec(2, 2, height_ratios=[calendar_height, height_below])
    p = tomorrow[best][0]
    rain_calendar(
        dates,
        wet,
        probability,
        figure.add_subplot(rows[0, :]),
        n_days=n_days,
        tomorrow=p,
        title=f"Each day's forecast by {shown}, and the days that were wet",
    )
    held_out_loss(
        ax=figure.add_subplot(rows[1, 0]),
        losses=losses,
        errors=errors,
        orders=orders,
        n_parameters=n_parameters,
        unit=unit,
        title=f"What each {kind} gains",
    )
    rain_forecast(tomorrow, figure.add_subplot(rows[1, 1]), best=best, title=f"What each {kind} says")
    year, month, number = str(day).split("-")
    when = f"{int(number)} {_MONTHS[int(month) - 1]} {year}"
    figure.suptitle(
        title if title is not None else f"Rain on {when}: {100 * p:.0f}%",
        x=0.01,
        ha="left",
        color=INK,
        fontsize="x-large",
        fontweight="bold",
    )
    return figure
