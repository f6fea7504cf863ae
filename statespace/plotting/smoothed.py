"""States of a linear dynamical system, which are numbers: their means given the data, in bands that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.foundations.validation import check_integer, check_probability
from statespace.plotting.axes import BLUE, axes_or_new, finish, plain_frame, shortly
from statespace.plotting.bands import draw_band, draw_dots, shade_missing
from statespace.plotting.series import edges, read_series, read_times
from statespace.plotting.states import state_colours, state_names
from statespace.protocols import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def smoothed_states(
    model_or_result: Any,
    X: Any = None,
    ax: Axes | None = None,
    *,
    states: int | Sequence[int] = 0,
    names: Sequence[Any] | None = None,
    level: float = 0.9,
    times: Any = None,
    feature: int = 0,
    title: str | None = None,
) -> Axes:
    """Draw the mean of a state given all the data in the band that holds it with probability `level`.

        E(a_t | y_1..y_n) +- q sqrt(Var(a_t | y_1..y_n)),      q the normal quantile of (1 + level) / 2

    Observations are dots, on the scale of the state; stretches without any are shaded. Bands are those of each step by
    itself, and of a state: a new observation scatters more widely.

    Parameters
    ----------
    model_or_result : fitted model, SmoothResult or FilterResult
        A model, of which `smooth(X)` is drawn; or a result: with `mean` and `cov`, or with `filtered_mean` and
        `filtered_cov`, of which the steps that still were diffuse are left out.
    X : sequence of length n_samples, optional
        What was observed; may be left out beside a result.
    ax : Axes, optional
        Where to draw; a new figure if None.
    states : int or sequence of int
        Which states, each in a colour of its own.
    names : sequence, optional
        What these states are called; they are named in a legend where there are several, or names.
    level : float
        Probability of the bands, in (0, 1).
    times : sequence of length n_samples, optional
        Numbers or dates, in the place of the data's own index.
    feature : int
        Which feature of X is drawn, of several.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `X` is several sequences or not as long as the states, or there is no such state or feature.
    TypeError
        If `model_or_result` is neither, a model comes without `X`, or `ax` is no Axes.

    """
    mean, cov, index = state_moments(model_or_result, X)
    n, m = mean.shape
    chosen = [states] if isinstance(states, int | np.integer) else list(states)
    for state in chosen:
        if not 0 <= check_integer("states", state) < m:
            raise ValueError(f"states names {state}, expected 0..{m - 1}")
    q = normal_quantile(level)
    seen = None if X is None else read_series(X, times, support="reals")
    if seen is not None and len(seen) != n:
        raise ValueError(f"there are states of {n} steps, but X has {len(seen)}")
    at = read_times(index if times is None else times, n, given=times is not None) if seen is None else seen.times
    labels: list[str | None] = [None]
    if names is not None or len(chosen) > 1:
        labels = [*state_names([f"state {state}" for state in chosen] if names is None else names, len(chosen))]

    if seen is not None and not 0 <= check_integer("feature", feature) < seen.values.shape[1]:
        raise ValueError(f"feature is {feature}, expected 0..{seen.values.shape[1] - 1}")

    ax = axes_or_new(ax, (9.0, 3.0))
    if seen is not None:
        shade_missing(ax, at, seen.values[:, feature])
        draw_dots(ax, at, seen.values[:, feature])
    colours = [BLUE] if len(chosen) == 1 else state_colours(len(chosen))
    for state, colour, label in zip(chosen, colours, labels, strict=True):
        middle, half = mean[:, state], q * np.sqrt(np.maximum(cov[:, state, state], 0.0))
        draw_band(ax, at, middle, middle - half, middle + half, colour=colour, label=label)
    if labels != [None]:
        ax.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False, fontsize="small", borderaxespad=0.2
        )
    ends = edges(at)
    ax.set_xlim(ends[0], ends[-1])
    plain_frame(ax)
    return finish(ax, title)


def state_moments(model_or_result: Any, X: Any) -> tuple[Floats, Floats, Any]:
    """Return means (n, m) and covariances (n, m, m), NaN while they are diffuse, and the index of the data."""
    result = model_or_result
    if hasattr(result, "smooth"):
        if X is None:
            raise TypeError("a model smooths what was observed: give X")
        result = result.smooth(X)
        if isinstance(result, list):
            raise ValueError(f"X is {len(result)} sequences, and a picture has room for one: draw X[0]")
    if isinstance(getattr(result, "form_used", None), tuple):
        raise ValueError("the result is of several sequences laid end to end, and a picture has room for one")
    if hasattr(result, "filtered_mean"):
        mean = np.array(result.filtered_mean, dtype=np.float64)
        cov = np.array(result.filtered_cov, dtype=np.float64)
        mean[: max(result.n_diffuse_steps - 1, 0)] = np.nan  # their covariances are infinite
    elif hasattr(result, "mean") and hasattr(result, "cov"):
        mean, cov = np.asarray(result.mean, dtype=np.float64), np.asarray(result.cov, dtype=np.float64)
    else:
        raise TypeError(
            f"model_or_result is {shortly(model_or_result)}, expected a fitted model with smooth, or what it returned"
        )
    if mean.ndim != 2 or cov.shape != (*mean.shape, mean.shape[1]):
        raise ValueError(
            f"mean has shape {mean.shape} and cov {cov.shape}, expected (n_samples, n_states) and "
            "(n_samples, n_states, n_states) of one sequence"
        )
    return mean, np.where(np.isnan(mean)[:, :, None], np.nan, cov), getattr(result, "index", None)


def normal_quantile(level: float) -> float:
    """Return how many standard deviations either side hold a normal number with probability `level`."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + check_probability("level", level) / 2))
