"""A sequence of observations as points of a picture, whatever it holds: numbers in lines, symbols in rows of dots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.foundations.observations import read_observations
from statespace.foundations.sequences import read_symbols
from statespace.plotting.axes import INK, SOFT, plain_text, shortly
from statespace.protocols import Array, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_MARKED = 150
"""Steps of which each gets a marker."""
_LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Series:
    """One sequence with its times."""

    values: Floats
    """Numbers, or places of symbols; NaN where missing, shape (n_samples, n_features)."""
    times: Array
    """Increasing: whole numbers, numbers or datetime64, shape (n_samples,)."""
    symbols: list[str] | None
    """What the places stand for; None for numbers."""
    features: list[str]
    """What the columns are called, n_features of them."""

    def __len__(self) -> int:
        return len(self.values)


def read_series(X: Any, times: Any = None, *, support: str | None = None, symbols: Any = None) -> Series:
    """Read one sequence; its times are `times`, its own index, or 0, 1, 2, ...

    Raises
    ------
    ValueError
        If `X` is several sequences, or `times` are not as many as it has steps, or do not increase.
    TypeError
        If a value is no observation.
    """
    several = len(getattr(X, "shape", ())) == 2 and X.shape[1] > 1  # answers, 0 or 1 each
    if not several and (support == "categories" or (support is None and _is_symbolic(X))):
        found: Any = read_symbols(X, symbols=symbols)
        values = np.where(found.codes < 0, np.nan, found.codes.astype(np.float64))[:, None]
        names = [plain_text(symbol) for symbol in found.symbols.tolist()]
    else:
        found = read_observations(X)
        values, names = np.asarray(found.values, dtype=np.float64), None
    if len(found.offsets) > 2:
        raise ValueError(f"X is {len(found.offsets) - 1} sequences, and a picture has room for one: draw X[0]")
    index = found.layout.indexes[0]
    read = read_times(index if times is None else times, len(values), given=times is not None)
    return Series(values, read, names, feature_names(X, values.shape[1]))


def feature_names(X: Any, n_features: int) -> list[str]:
    """What the columns of the data are called: those of a frame, or of the first of several, by name."""
    first = X[0] if isinstance(X, list | tuple) and len(X) else X
    columns = getattr(first, "columns", None)
    if columns is None or len(columns) != n_features:
        return [f"feature {d}" for d in range(n_features)]
    return [plain_text(column) for column in columns]


def read_times(times: Any, n: int, *, given: bool = True) -> Array:
    """Return `n` increasing times as numbers or datetime64; 0, 1, 2, ... for an index that is no time."""
    if times is None:
        return np.arange(n)
    if hasattr(times, "to_timestamp"):  # a PeriodIndex
        times = times.to_timestamp()
    if getattr(times, "tz", None) is not None:
        times = times.tz_localize(None)
    found = np.asarray(times)
    if found.dtype.kind in "OU":
        try:
            found = found.astype("datetime64[us]")
        except (TypeError, ValueError):
            if given:
                raise TypeError(f"times are {shortly(times)}, expected numbers or dates, one a step") from None
            return np.arange(n)
    if found.shape != (n,):
        raise ValueError(f"times has shape {found.shape}, expected one for each of the {n} steps")
    steps = np.diff(found)
    if not (steps > steps.dtype.type(0)).all():
        if given:
            raise ValueError("times do not increase: sort X by time")
        return np.arange(n)
    return found


def times_ahead(times: Array, steps: int) -> Array:
    """Return the `steps` times after `times`, one last distance apart."""
    unit = np.timedelta64(1, "D") if times.dtype.kind == "M" else 1
    gap = times[-1] - times[-2] if len(times) > 1 else unit
    return np.asarray(times[-1] + gap * np.arange(1, steps + 1))


def edges(times: Array) -> Floats:
    """Return the ends of the step around each time, halfway to its neighbours, in matplotlib's numbers, (n + 1,)."""
    if times.dtype.kind == "M":
        from matplotlib.dates import date2num

        times = np.asarray(date2num(times))
    t = times.astype(np.float64)
    half = np.diff(t) / 2 if len(t) > 1 else np.array([0.5])
    return np.concatenate([[t[0] - half[0]], t[:-1] + half[: len(t) - 1], [t[-1] + half[-1]]])


def draw_series(ax: Axes, series: Series) -> None:
    """Draw the observations: a line for each feature, or a dot a step in the row of its symbol."""
    if series.symbols is not None:
        size = 5.0 if len(series) <= _MOST_MARKED else 2.0
        ax.plot(series.times, series.values[:, 0], "o", color=INK, markersize=size, zorder=4, gid="observations")
        name_symbols(ax, series.symbols)
        return
    n_features = series.values.shape[1]
    for d in range(n_features):
        marked = {"marker": "o", "markersize": 3.5} if len(series) <= _MOST_MARKED else {}
        colour = INK if d == 0 else SOFT
        style: dict[str, Any] = {"linestyle": _LINES[d % len(_LINES)], "linewidth": 1.1, **marked}
        label = None if n_features == 1 else series.features[d]
        values = series.values[:, d]
        if not marked and _alone(values).any():  # a line does not show a step between two that are missing
            style |= {"marker": "o", "markersize": 2.0, "markevery": _alone(values)}
        ax.plot(series.times, values, color=colour, zorder=4, gid="observations", label=label, **style)


def _alone(values: Floats) -> Array:
    """Whether a step is known, and neither the one before nor the one after."""
    missing = np.concatenate([[True], np.isnan(values), [True]])
    return np.asarray(~missing[1:-1] & missing[:-2] & missing[2:])


def name_symbols(ax: Axes, symbols: list[str]) -> None:
    """Label the rows of symbols, with half a row of room at either end."""
    ax.set_yticks(range(len(symbols)), symbols)
    ax.set_ylim(-0.6, len(symbols) - 0.4)


def _is_symbolic(X: Any) -> bool:
    """Whether a sequence holds labels or booleans, and no numbers."""
    if hasattr(X, "dtype"):
        return not (hasattr(X.dtype, "kind") and X.dtype.kind in "iuf")
    return isinstance(X, list | tuple) and any(isinstance(x, str | bool) for x in X[:1])
