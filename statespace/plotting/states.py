"""The hidden states of a sequence beside what was observed: how probable each is, or the path that was decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.plotting.axes import INK, axes_or_new, finish, plain_frame, plain_text, shortly
from statespace.plotting.series import Series, draw_series, edges, read_series
from statespace.protocols import Floats, Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STATES = ("#2166ac", "#d95f02", "#1b9e77", "#c2579a", "#e6ab02", "#56b4e9", "#7a5230", "#4d4d4d")
"""Distinct in hue and, one after the other, in lightness; legible to every common colour blindness."""
_RIBBON = 0.16
"""Share of the height that the ribbon takes."""


def state_colours(K: int) -> list[Any]:
    """Return a colour for each of K states: of a qualitative palette, of many states from dark to light."""
    if len(_STATES) >= K:
        return list(_STATES[:K])
    from matplotlib import colormaps

    return [colormaps["viridis"](x) for x in np.linspace(0.0, 0.95, K)]


def state_names(names: Sequence[Any] | None, K: int) -> list[str]:
    """Return the names of K states, "state 0", ... where none are given."""
    if names is None:
        return [f"state {k}" for k in range(K)]
    if len(names) != K:
        raise ValueError(f"names has {len(names)} entries, but there are {K} states")
    return [plain_text(name) for name in names]


def state_ribbon(
    model_or_states: Any,
    X: Any,
    ax: Axes | None = None,
    *,
    times: Any = None,
    names: Sequence[Any] | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a sequence, and under it a ribbon whose colours are in proportion to the probabilities of the states.

        height of colour k at step n  =  p(z_n = k | x_1..x_N)

    Parameters
    ----------
    model_or_states : fitted model, (n_samples, n_components) or (n_samples,)
        A model that has `predict_proba`; or the probabilities themselves, such as those of `filter`; or states, -1
        where unknown.
    X : sequence of length n_samples
        One sequence of numbers, rows of numbers, or symbols.
    ax : Axes, optional
        Where to draw; a new figure if None.
    times : sequence of length n_samples, optional
        Numbers or dates, in the place of the sequence's own index.
    names : sequence of length n_components, optional
        What the states are called.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `X` is several sequences, or the states are not as many as its steps.
    TypeError
        If `model_or_states` is neither, or `ax` no Axes.
    """
    series = _series(model_or_states, X, times)
    if hasattr(model_or_states, "predict_proba"):
        probabilities = np.asarray(model_or_states.predict_proba(X), dtype=np.float64)
    else:
        given = _numbers(model_or_states)
        probabilities = given if given.ndim == 2 else _one_hot(_states(given))
    _check_length(series, probabilities)
    K = probabilities.shape[1]
    labels = state_names(names, K)

    ax = axes_or_new(ax, (9.0, 3.0))
    draw_series(ax, series)
    low, high = ax.get_ylim()
    ax.set_ylim(low - (high - low) * (_RIBBON + 0.05) / (1 - _RIBBON - 0.05), high)
    x = np.repeat(edges(series.times), 2)[1:-1]
    sides = ax.get_xaxis_transform()
    tops = np.cumsum(np.column_stack([np.zeros(len(series)), probabilities]), axis=1) * _RIBBON
    for k, colour in enumerate(state_colours(K)):
        between = {"color": colour, "linewidth": 0, "transform": sides, "label": labels[k], "gid": "state", "zorder": 3}
        ax.fill_between(x, np.repeat(tops[:, k], 2), np.repeat(tops[:, k + 1], 2), **between)
    ax.plot([0, 1], [_RIBBON, _RIBBON], color=INK, linewidth=0.6, transform=ax.transAxes, zorder=3)
    if series.symbols is None:
        _hide_ticks_below(ax, low)
    return _framed(ax, series, title)


def decoded_states(
    model_or_states: Any,
    X: Any,
    ax: Axes | None = None,
    *,
    times: Any = None,
    names: Sequence[Any] | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a sequence on bands in the colours of its states, and the mean of each state across its bands.

    Parameters
    ----------
    model_or_states : fitted model or (n_samples,)
        A model, of which `predict(X)` is drawn; or states, -1 where unknown.
    X : sequence of length n_samples
        One sequence of numbers, rows of numbers, or symbols.
    ax : Axes, optional
        Where to draw; a new figure if None.
    times : sequence of length n_samples, optional
        Numbers or dates, in the place of the sequence's own index.
    names : sequence of length n_components, optional
        What the states are called.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `X` is several sequences, or the states are not as many as its steps.
    TypeError
        If `model_or_states` is neither, or `ax` no Axes.
    """
    series = _series(model_or_states, X, times)
    fitted = hasattr(model_or_states, "predict")
    states = _states(_numbers(model_or_states.predict(X) if fitted else model_or_states))
    _check_length(series, states)
    K = int(np.shape(model_or_states.startprob_)[0]) if fitted else int(states.max(initial=0)) + 1
    labels = state_names(names, K)
    means = _levels(model_or_states, series)

    ax = axes_or_new(ax, (9.0, 3.0))
    draw_series(ax, series)
    ends = edges(series.times)
    starts = np.flatnonzero(np.diff(states, prepend=states[0] - 1))
    colours = state_colours(K)
    for first, last in zip(starts, [*starts[1:], len(states)], strict=True):
        k = int(states[first])
        if k < 0:
            continue
        ax.axvspan(ends[first], ends[last], color=colours[k], alpha=0.28, linewidth=0, zorder=1, gid="state")
        if means is not None:
            ax.hlines(means[k], ends[first], ends[last], color=colours[k], linewidth=2.2, zorder=3, gid="mean")
    for k in np.unique(states[states >= 0]).tolist():
        ax.fill_between([], [], color=colours[k], alpha=0.6, linewidth=0, label=labels[k])
    return _framed(ax, series, title)


def _series(model: Any, X: Any, times: Any) -> Series:
    """Read X as the model does; by what it holds where there is no model."""
    symbols = getattr(getattr(model, "emission_", None), "symbols", None)
    return read_series(X, times, support=getattr(model, "support", None), symbols=symbols)


def _numbers(states: Any) -> Floats:
    if hasattr(states, "fit"):
        raise TypeError(f"{type(states).__name__} has no states to draw: give a model with predict and predict_proba")
    try:
        found = np.asarray(states, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim not in (1, 2) or not found.size:
        raise TypeError(
            f"model_or_states is {shortly(states)}, expected a fitted model, probabilities (n_samples, n_components) "
            "or states (n_samples,)"
        )
    return found


def _states(values: Floats) -> Ints:
    if values.ndim != 1 or not (np.isfinite(values) & (values >= -1) & (values == np.floor(values))).all():
        raise ValueError("states are not whole numbers from 0, or -1 where unknown, one a step")
    return values.astype(np.int64)


def _one_hot(states: Ints) -> Floats:
    """Probabilities that are certain of known states; nothing where the state is unknown."""
    found: Floats = (states[:, None] == np.arange(int(states.max(initial=0)) + 1)).astype(np.float64)
    return found


def _check_length(series: Series, states: Any) -> None:
    if len(states) != len(series):
        raise ValueError(f"there are states of {len(states)} steps, but X has {len(series)}")


def _levels(model: Any, series: Series) -> Floats | None:
    """The mean of the observation in each state, where it is one number."""
    emission: Any = getattr(model, "emission_", None)
    if series.symbols is not None or series.values.shape[1] != 1 or not hasattr(emission, "mean"):
        return None
    found = np.asarray(emission.mean(), dtype=np.float64)
    return found[:, 0] if found.ndim == 2 else found


def _hide_ticks_below(ax: Axes, low: float) -> None:
    """Keep numbers off the part of the scale that the ribbon takes."""
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= ax.get_ylim()[1]])


def _framed(ax: Axes, series: Series, title: str | None) -> Axes:
    ends = edges(series.times)
    ax.set_xlim(ends[0], ends[-1])
    plain_frame(ax)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False, fontsize="small", borderaxespad=0.2)
    return finish(ax, title)
