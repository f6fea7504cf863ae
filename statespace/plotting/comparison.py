"""What each order of a chain, or each model, costs and gains: held-out loss, information criteria, parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statespace.foundations.validation import check_integer
from statespace.plotting.axes import (
    ACCENT,
    BLUE,
    FAINT,
    INK,
    SOFT,
    axes_or_new,
    finish,
    plain_frame,
    plain_text,
    shortly,
)
from statespace.protocols import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LETTERS = 32
"""Of a model's name under an axis."""
_STATES = "number of states"
_WIDEST = 10.0
"""Inches of a figure that has names stand beside each other."""
_PER_NAT = {"nats": 1.0, "bits": 1.0 / float(np.log(2.0))}


def held_out_loss(
    selection: Any = None,
    ax: Axes | None = None,
    *,
    losses: Sequence[float] | Floats | None = None,
    errors: Sequence[float] | Floats | None = None,
    orders: Sequence[int] | Sequence[str] | None = None,
    n_parameters: Sequence[int] | None = None,
    best: int | str | None = None,
    unit: Literal["nats", "bits"] = "nats",
    title: str | None = None,
) -> Axes:
    """Draw held-out loss against order, or model, with what each costs in parameters written below it.

    A bar is one standard error of the difference to the best, to either side, on the same test steps; the best has
    none. An order whose bar reaches the dashed line of the best is not clearly worse than it. An infinite loss, of an
    order that calls impossible what then happened, stands as an infinity sign at the top.

    Parameters
    ----------
    selection : OrderSelection, ComponentSelection or Comparison, optional
        The result of `select_order(..., test=...)`, `select_n_components(..., test=...)` or `compare`; its losses,
        errors, orders (numbers of states, names) and `n_parameters` are used where they are not given below.
    ax : Axes, optional
        Where to draw; a new figure if None.
    losses : sequence of length n_orders, optional
        Mean held-out loss in nats a step, lower is better.
    errors : sequence of length n_orders, optional
        Standard error of the difference to the best, in nats a step; NaN for none.
    orders : sequence of length n_orders, optional
        By default 0, 1, 2, ...; or names of models.
    n_parameters : sequence of length n_orders, optional
        Free parameters of each order.
    best : int or str, optional
        The order, or the name of the model, to mark, the one that `errors` compare with; by default the one with the
        lowest loss.
    unit : {"nats", "bits"}
        Unit of the scale; what is given is always in nats.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If `selection` is something else, or `ax` no Axes.
    ValueError
        If there are no held-out losses, lengths differ, a loss is NaN, an error is negative, or `best` is none of the
        orders.
    """
    if unit not in _PER_NAT:
        raise ValueError(f"unit is {unit!r}, expected 'nats' or 'bits'")
    if selection is not None and not hasattr(selection, "held_out") and not hasattr(selection, "held_out_nats"):
        raise TypeError(
            f"selection is {shortly(selection)}, expected the result of select_order(..., test=...) or compare, "
            "or losses="
        )
    named = orders is not None and any(isinstance(order, str) for order in orders)
    names = _model_names(selection) if orders is None else [str(order) for order in orders] if named else None
    orders = None if named else orders
    if losses is None:
        losses = getattr(selection, "held_out", getattr(selection, "held_out_nats", None))
    if losses is None:
        raise ValueError("there are no held-out losses: give select_order a test part (test=365), or losses= here")
    if errors is None:
        errors = getattr(selection, "held_out_error", getattr(selection, "difference_error", None))
    kind = _kind(selection, names)
    orders = _orders(selection) if orders is None else orders
    n_parameters = getattr(selection, "n_parameters", None) if n_parameters is None else n_parameters

    y = _numbers("losses", losses) * _PER_NAT[unit]
    n = len(y)
    at = [int(order) for order in (range(n) if orders is None else orders)]
    if names is not None:
        _same_length(n, names=names)
    spread = np.zeros(n) if errors is None else np.asarray(errors, dtype=np.float64) * _PER_NAT[unit]
    _same_length(n, orders=at, errors=spread, n_parameters=n_parameters)
    if np.any(spread < 0):
        raise ValueError(f"errors[{int(np.argmin(spread))}] is negative, expected standard errors >= 0")
    shown: list[Any] = at if names is None else names
    best = shown[int(np.argmin(y))] if best is None else best
    if best not in shown:
        kinds = "numbers of states" if kind == _STATES else f"{kind}s"
        raise ValueError(f"best is {kind} {best}, but the {kinds} are {shown}")
    chosen = shown.index(best)
    spread = np.where(np.isfinite(spread), spread, 0.0)

    ax = axes_or_new(ax, _paper(n, names))
    finite = np.isfinite(y)
    low, high = (y - spread)[finite].min(), (y + spread)[finite].max()
    room = (high - low) or 0.1 * abs(high) or 1.0
    ax.set_ylim(low - 0.16 * room, high + (0.08 if finite.all() else 0.22) * room)
    ax.axhline(y[chosen], color=ACCENT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    if names is None:  # orders follow each other; models do not
        ax.plot(at, np.where(finite, y, np.nan), color=FAINT, linewidth=1.5, zorder=1)
    style: dict[str, Any] = {"fmt": "o", "markersize": 6, "capsize": 3, "elinewidth": 1.2, "capthick": 1.2}
    for order, loss, error in zip(at, y, spread, strict=True):
        if not np.isfinite(loss):
            ax.text(order, high + 0.12 * room, "\u221e", color=BLUE, ha="center", va="center", fontsize="large")
        elif order != at[chosen]:
            ax.errorbar(order, loss, yerr=error, color=BLUE, zorder=3, **style)
    ax.plot([at[chosen]], [y[chosen]], "o", color=ACCENT, markersize=8, zorder=4)
    ax.annotate(
        "best",
        (at[chosen], y[chosen]),
        (0, -8),
        textcoords="offset points",
        ha="center",
        va="top",
        color=ACCENT,
        fontsize="small",
    )
    _order_axis(ax, at, n_parameters, names, kind)
    ax.set_ylabel(f"held-out loss ({unit} a step)")
    plain_frame(ax)
    return finish(ax, title)


def information_criteria(
    selection: Any = None,
    ax: Axes | None = None,
    *,
    criteria: Mapping[str, Sequence[float] | Floats] | None = None,
    orders: Sequence[int] | None = None,
    n_parameters: Sequence[int] | None = None,
    title: str | None = None,
) -> Axes:
    """Draw information criteria against order, or model, each as its difference to its own best.

    Zero is best; differences are what a criterion means, its level says nothing. By the usual scale (Burnham and
    Anderson, Model Selection and Multimodel Inference, 2002, section 2.6) more than 10 is no support.

    Parameters
    ----------
    selection : OrderSelection, ComponentSelection or Comparison, optional
        The result of `select_order`, `select_n_components` or `compare`; its `aic`, `bic`, orders (numbers of states,
        names) and `n_parameters` are used where they are not given below.
    ax : Axes, optional
        Where to draw; a new figure if None.
    criteria : mapping of name to sequence of length n_orders, optional
        Criteria on the scale of -2 log-likelihood, lower is better; by default the selection's AIC and BIC. At most
        four.
    orders : sequence of length n_orders, optional
        By default 0, 1, 2, ...
    n_parameters : sequence of length n_orders, optional
        Free parameters of each order.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If `selection` is something else, `criteria` no mapping, or `ax` no Axes.
    ValueError
        If no criteria are given, their lengths differ, or a value is NaN.
    """
    if criteria is None:
        criteria = {key.upper(): getattr(selection, key) for key in ("aic", "bic") if hasattr(selection, key)}
        if selection is not None and (not criteria or any(map(callable, criteria.values()))):
            raise TypeError(
                f"selection is {shortly(selection)}, expected the result of select_order or compare, or criteria="
            )
    if not isinstance(criteria, Mapping):
        raise TypeError(f"criteria is {shortly(criteria)}, expected a dict {{name: one value an order}}")
    if not 1 <= len(criteria) <= 4:
        raise ValueError(f"there are {len(criteria)} criteria to draw, expected 1 to 4: give a selection, or criteria=")
    names = _model_names(selection) if orders is None else None
    kind = _kind(selection, names)
    orders = _orders(selection) if orders is None else orders
    n_parameters = getattr(selection, "n_parameters", None) if n_parameters is None else n_parameters
    curves = {name: _numbers(name, values) for name, values in criteria.items()}
    n = len(next(iter(curves.values())))
    at = [int(order) for order in (range(n) if orders is None else orders)]
    _same_length(n, orders=at, names=names, n_parameters=n_parameters, **curves)

    ax = axes_or_new(ax, _paper(n, names))
    looks = zip((BLUE, ACCENT, INK, SOFT), ("o", "s", "^", "D"), ("-", "--", "-.", ":"), strict=True)
    for (name, values), (colour, marker, line) in zip(curves.items(), looks, strict=False):
        delta = values - values.min()
        delta[~np.isfinite(delta)] = np.nan
        if names is None:  # orders follow each other; models do not
            ax.plot(at, delta, line, color=colour, linewidth=1.5)
        ax.plot(at, delta, marker, color=colour, markersize=6, markerfacecolor="white", label=name)
        least = int(np.nanargmin(delta))
        ax.plot(at[least], 0, marker, color=colour, markersize=8, clip_on=False)
    ax.set_ylim(bottom=-0.06 * ax.get_ylim()[1])
    ax.legend(frameon=False, fontsize="small", title=f"best {kind} filled", title_fontsize="small", loc="best")
    _order_axis(ax, at, n_parameters, names, kind)
    ax.set_ylabel(f"difference to the best {kind}")
    plain_frame(ax)
    return finish(ax, title)


def growth_of_parameters(
    n_states: int | Sequence[int] = (2, 3, 10, 65),
    max_order: int = 6,
    ax: Axes | None = None,
    *,
    n_samples: int | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the price of order: the free parameters K^M (K - 1) of a chain of order M on K symbols, on a log scale.

    Parameters
    ----------
    n_states : int or sequence of int
        Numbers of symbols K >= 2, a line each.
    max_order : int
        Largest order M, at least 1.
    ax : Axes, optional
        Where to draw; a new figure if None.
    n_samples : int, optional
        Length of a series at hand: a line above which there are more parameters than observations.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If a number is no integer, or `ax` no Axes.
    ValueError
        If a number of states is below 2, `max_order` below 1, or `n_samples` below 1.
    """
    from statespace.foundations.parameter_count import count_parameters

    if np.ndim(n_states) == 1:
        sizes = [check_integer(f"n_states[{i}]", K, 2) for i, K in enumerate(n_states)]  # type: ignore[arg-type]
    else:
        sizes = [check_integer("n_states", n_states, 2)]
    if not sizes:
        raise ValueError("n_states is empty, expected numbers of symbols of at least 2")
    max_order = check_integer("max_order", max_order, 1)
    if n_samples is not None:
        n_samples = check_integer("n_samples", n_samples, 1)

    ax = axes_or_new(ax, (5.4, 3.8))
    ax.set_yscale("log")
    orders = range(max_order + 1)
    lines = [[float(count_parameters("markov", n_states=K, order=order).total) for order in orders] for K in sizes]
    for K, line, colour in zip(sizes, lines, _shades(len(sizes)), strict=True):
        ax.plot(orders, line, "o-", color=colour, markersize=5, linewidth=1.6, gid="growth")
        beside: dict[str, Any] = {"textcoords": "offset points", "va": "center", "color": colour, "fontsize": "small"}
        ax.annotate(f"K = {K}", (max_order, line[-1]), (8, 0), **beside)
    if n_samples is not None:
        ax.plot([0, max_order], [n_samples] * 2, color=ACCENT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        where = _clear_place(lines, n_samples)
        above: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": ACCENT, "fontsize": "small"}
        ax.annotate(f"{n_samples:,} observations", (where, n_samples), (0, 3), **above)
    ax.set_xticks(list(orders))
    ax.set_xlabel("order M")
    ax.set_ylabel("free parameters")
    ax.yaxis.grid(True, color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.minorticks_off()
    low, high = ax.get_ylim()
    if high < 1000 * low:  # too few powers of ten to read from
        from matplotlib.ticker import LogLocator

        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
    plain_frame(ax)
    return finish(ax, title)


def _clear_place(lines: list[list[float]], height: float) -> float:
    """Return where along the orders a label at `height` is farthest from the lines."""
    x = np.linspace(0, len(lines[0]) - 1, 200)
    heights = [np.interp(x, range(len(line)), np.log(line)) for line in lines]
    distance = np.abs(np.array(heights) - np.log(2 * height)).min(axis=0)
    half = 35  # of the 200: about half of the label's own width
    return float(x[half + int(np.argmax([distance[i - half : i + half].min() for i in range(half, 200 - half)]))])


def _shades(n: int) -> list[Any]:
    """Return n blues from light to dark; the lightest still stands on white paper."""
    from matplotlib import colormaps

    return [colormaps["Blues"](x) for x in (np.linspace(0.6, 1.0, n) if n > 1 else [0.8])]


def _kind(selection: Any, names: list[str] | None) -> str:
    """What the places of the axis are called."""
    if names is not None:
        return "model"
    return _STATES if hasattr(selection, "components") else "order"


def _orders(selection: Any) -> Any:
    """Return orders, or numbers of states; None where there are none."""
    return getattr(selection, "components", getattr(selection, "orders", None))


def _model_names(selection: Any) -> list[str] | None:
    """Return the names of compared models; None for orders."""
    names = getattr(selection, "names", None)
    return None if names is None else [str(name) for name in names]


def _paper(n: int, names: list[str] | None) -> tuple[float, float]:
    """Return the size of a figure for n orders, or for names that are to stand beside each other, in inches."""
    if names is None:
        return max(4.2, 1.6 + 0.75 * n), 3.4
    longest = min(max(map(len, names), default=0), _MOST_LETTERS)
    beside = 1.6 + max(0.75, 0.085 * longest) * n
    if beside <= _WIDEST:
        return max(4.2, beside), 3.4
    return max(_WIDEST, 2.6 + 0.4 * n), 3.4 + 0.045 * longest  # slanted names hang below


def _order_axis(
    ax: Axes, orders: list[int], n_parameters: Sequence[int] | None, names: list[str] | None, kind: str
) -> None:
    """Write orders, or names, below the axis and, in a second row, what each costs; the rows are named at their left.

    Names too long to stand beside each other are slanted, each with its cost in the same row; very long ones are cut.
    """
    ax.set_xlim(min(orders) - 0.4, max(orders) + 0.4)
    kind = "states" if kind == _STATES else kind
    words = [str(order) for order in orders] if names is None else [plain_text(_cut(name)) for name in names]
    slanted = names is not None and _too_long(ax, words)
    if n_parameters is not None:
        between = "{} ({})" if slanted else "{}\n{}"
        words = [between.format(word, _short(count)) for word, count in zip(words, n_parameters, strict=True)]
    if slanted:
        ax.set_xticks(orders, words, rotation=30, ha="right", rotation_mode="anchor")
    else:
        ax.set_xticks(orders, words)
    if n_parameters is None or slanted:
        ax.set_xlabel(kind if n_parameters is None else f"{kind} (parameters)")
        return
    ax.annotate(
        f"{kind}\nparameters",
        (0, 0),
        (-6, -5.5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="top",
        color=SOFT,
        fontsize="small",
    )


def _cut(name: str) -> str:
    """Shorten a name that would take half of the paper."""
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}\u2026"


def _too_long(ax: Axes, words: list[str]) -> bool:
    """Whether words, of about 5 points a letter, would run into each other under the axis."""
    points = float(72 * ax.bbox.width / ax.figure.dpi)
    return 5 * (max(map(len, words)) + 1) > points / len(words)


def _short(count: int) -> str:
    """Write a count in full up to 99,999 and by two leading digits beyond."""
    if count < 100_000:
        return f"{int(count):,}"
    leading, exponent = f"{float(count):.1e}".split("e+")
    return rf"${leading.removesuffix('.0')}\times10^{{{int(exponent)}}}$"


def _numbers(name: str, values: Sequence[float] | Floats) -> Floats:
    """Return the values as floats; some may be infinitely bad, none unknown or infinitely good."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {shortly(values)}, expected a list of numbers, one an order") from None
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected one value an order")
    bad = np.flatnonzero(~(array > -np.inf))
    if bad.size:
        raise ValueError(f"{name}[{bad[0]}] is {array[bad[0]]}, expected a number: leave that order out")
    if not np.isfinite(array).any():
        raise ValueError(f"{name} are all infinite: each calls something impossible that happened, so smooth it")
    return array


def _same_length(n: int, **columns: Any) -> None:
    """Raise if a column that was given has not n entries."""
    for name, column in columns.items():
        if column is not None and len(column) != n:
            raise ValueError(f"{name} has {len(column)} entries, but there are {n} orders")
