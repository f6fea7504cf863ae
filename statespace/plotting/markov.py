"""A Markov chain as a heat map of its transition matrix, and the reading of transition probabilities for all pictures.

A picture takes a fitted chain, or any array of transition probabilities: (K, K) with rows "from" and columns "to"; for
order M, (K,) * M + (K,), or one row a context, (K**M, K). A context is the M symbols before the next one, the most
recent last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statespace.plotting.axes import (
    FAINT,
    INK,
    SOFT,
    axes_or_new,
    finish,
    ink_on,
    no_frame,
    plain_text,
    points_per_unit,
    shortly,
)
from statespace.protocols import Floats, Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_COLUMNS_WITH_NUMBERS = 12
_MOST_ROWS_WITH_NUMBERS = 32
_MOST_TICKS = 26


@dataclass(frozen=True)
class TransitionTable:
    """Transition probabilities with the names of their rows and columns."""

    probabilities: Floats
    """P[c, k] = p(x_n = k | context c), shape (n_contexts, n_symbols); a row of NaN for a context never seen."""
    contexts: Ints
    """The symbols of each context, the most recent last, shape (n_contexts, order)."""
    symbols: list[str]
    """The name of each symbol, n_symbols of them."""

    @property
    def order(self) -> int:
        """Length M of a context."""
        return int(self.contexts.shape[1])

    def context_labels(self, separator: str = " ") -> list[str]:
        """Return the names of each context's symbols, joined."""
        return [separator.join(self.symbols[k] for k in context) for context in self.contexts]


def transition_table(model_or_matrix: Any, symbols: Sequence[Any] | None = None) -> TransitionTable:
    """Read transition probabilities from a fitted model or an array.

    Parameters
    ----------
    model_or_matrix : fitted model or array_like
        An object with `transmat_` (and, if it has them, `symbols_` and `contexts_`), or probabilities of shape (K, K),
        (K,) * order + (K,), (K**order, K), or (K,) for order 0.
    symbols : sequence of length K, optional
        Names, in the place of the model's own, or of 0 .. K-1.

    Raises
    ------
    TypeError
        If `model_or_matrix` is a model that was not fitted, or no numbers.
    ValueError
        If the shape fits no order, a row does not sum to 1, or the number of names is wrong.
    """
    model = model_or_matrix if hasattr(model_or_matrix, "transmat_") else None
    if model is None and hasattr(model_or_matrix, "fit"):
        name = type(model_or_matrix).__name__
        raise TypeError(f"{name} has no transmat_: call fit first, or give the matrix itself")
    values = model_or_matrix if model is None else model.transmat_
    try:
        P = np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"model_or_matrix is {shortly(values)}, expected a fitted model, or transition probabilities: numbers of "
            "shape (K, K), or for order M (K,) * M + (K,) or (K**M, K)"
        ) from None
    if P.ndim == 0 or P.size == 0:
        raise ValueError(f"expected a matrix of transition probabilities, got an array of shape {P.shape}")
    K = P.shape[-1]
    hidden = hasattr(model, "startprob_")  # whose symbols are those of the observations, and not of the states
    own = None if hidden else getattr(model, "symbols_", None)
    if model is not None and P.ndim != getattr(model, "order", P.ndim - 1) + 1:  # a row only for contexts that occurred
        code = {symbol: k for k, symbol in enumerate(np.asarray(own).tolist())}
        occurred = np.asarray(model.contexts_).tolist()
        contexts = np.array([[code[x] for x in context] for context in occurred], dtype=np.int64)
    else:
        contexts = _all_contexts(P, K)
    P = _without_guesses(model, P.reshape(-1, K))
    symbols = own if symbols is None else symbols
    names = [plain_text(symbol) for symbol in (range(K) if symbols is None else symbols)]
    if len(names) != K:
        raise ValueError(f"symbols has {len(names)} names, but the matrix has {K} columns")
    table = TransitionTable(P, contexts, names)
    _check_rows(table)
    return table


def _without_guesses(model: Any, P: Floats) -> Floats:
    """Put NaN in rows that stand for no observation and no prior: a chain has the uniform law there."""
    counts = getattr(model, "counts_", None)
    if counts is None or getattr(model, "smoothing", "other") is not None:
        return P
    seen: Any = np.asarray(counts).reshape(P.shape).any(axis=1)
    return np.where(seen[:, None], P, np.nan)


def _all_contexts(P: Floats, K: int) -> Ints:
    """Return the contexts of a dense array in the order of its rows, or say why its shape fits no order."""
    if P.ndim == 2 and P.shape[0] != K:  # one row a context
        order, rows = 0, 1
        while rows < P.shape[0] and K > 1:
            order, rows = order + 1, rows * K
    else:
        order, rows = P.ndim - 1, K ** (P.ndim - 1)
    if P.size != rows * K or (P.ndim != 2 and P.shape != (K,) * P.ndim):
        raise ValueError(f"transmat has shape {P.shape}, expected (K, K), or for order M (K,) * M + (K,) or (K**M, K)")
    return np.array(list(product(range(K), repeat=order)), dtype=np.int64).reshape(rows, order)


def _check_rows(table: TransitionTable) -> None:
    """Raise if a row is no law; a row of NaN is a context that was never seen."""
    P = table.probabilities
    labels = table.context_labels()
    for row in np.flatnonzero(~np.isnan(P).all(axis=1)):
        where = f"transmat row {row} ({labels[row]})" if labels[row] else "transmat"
        if not np.all(P[row] >= 0):
            raise ValueError(f"{where} holds {P[row].min():.4g}, expected probabilities >= 0")
        if abs(P[row].sum() - 1) > 1e-6:
            raise ValueError(f"{where} sums to {P[row].sum():.6g}, expected 1 (tolerance 1e-6)")


def transition_matrix(
    model_or_matrix: Any,
    symbols: Sequence[Any] | None = None,
    ax: Axes | None = None,
    *,
    numbers: bool | None = None,
    colorbar: bool | None = None,
    cmap: str = "Blues",
    title: str | None = None,
) -> Axes:
    """Draw transition probabilities as a heat map: a row for each context ("from"), a column for what follows ("to").

    Colour runs from 0 to 1 in every picture, so that two matrices can be compared by eye. Numbers are rounded to two
    decimals; 0 and 1 stand for exactly 0 and 1. Contexts never seen (a row of NaN) are grey.

    Parameters
    ----------
    model_or_matrix : fitted model or array_like
        An object with `transmat_`, or probabilities of shape (K, K), (K,) * order + (K,) or (K**order, K).
    symbols : sequence of length K, optional
        Names of the symbols, in the place of the model's `symbols_`.
    ax : Axes, optional
        Where to draw; a new figure if None.
    numbers : bool, optional
        Whether to write the probabilities into the cells; by default where they are legible: up to 12 columns and 32
        rows.
    colorbar : bool, optional
        Whether to add a colour bar; by default where there are no numbers.
    cmap : str
        A sequential matplotlib colour map.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If the model was not fitted, the matrix holds no numbers, or `ax` is no Axes.
    ValueError
        If the shape fits no order, a row does not sum to 1, or the number of names is wrong.
    """
    table = transition_table(model_or_matrix, symbols)
    n_rows, n_columns = table.probabilities.shape
    labels = table.context_labels() if table.order else ["any"]
    cell = 0.62 if max(n_rows, n_columns) <= _MOST_COLUMNS_WITH_NUMBERS else 0.34
    margin = 0.09 * max(map(len, labels))
    square = table.order == 1 or n_rows <= 2 * n_columns
    if numbers is None:
        numbers = n_columns <= _MOST_COLUMNS_WITH_NUMBERS and n_rows <= _MOST_ROWS_WITH_NUMBERS
    if colorbar is None:
        colorbar = not numbers
    width, height = min(max(cell * n_columns, 1.6), 6.0), min(max(cell * n_rows, 1.6), 6.0 if square else 8.0)
    ax = axes_or_new(ax, (width + 0.7 + margin + 0.9 * colorbar, height + 0.7))

    from matplotlib import colormaps

    colours = colormaps[cmap].with_extremes(bad=FAINT)
    aspect: Literal["equal", "auto"] = "equal" if square else "auto"
    image = ax.imshow(table.probabilities, cmap=colours, vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
    if max(n_rows, n_columns) <= _MOST_ROWS_WITH_NUMBERS:  # white gaps between cells
        ax.set_xticks(np.arange(n_columns + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(n_rows + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", linewidth=1.5)
    no_frame(ax)
    ax.tick_params(which="minor", length=0)
    ax.xaxis.set_ticks_position("top")
    ax.xaxis.set_label_position("top")
    ax.tick_params(which="both", bottom=False, top=False, left=False)
    _name_ticks(ax, table.symbols, labels)
    ax.set_xlabel("to", color=SOFT)
    ax.set_ylabel("from" if table.order < 2 else "from (most recent last)", color=SOFT)
    if numbers:
        size_of_text = min(10.0, 0.34 * 0.8 * points_per_unit(ax) if square else 10.0)
        for (row, column), p in np.ndenumerate(table.probabilities):
            if not np.isnan(p):
                ax.text(
                    column, row, written(p), ha="center", va="center", color=ink_on(colours(p)), fontsize=size_of_text
                )
    if colorbar:
        beside = ax.inset_axes((1.04, 0.0, 0.035 * (1 if square else 2), 1.0))
        bar = ax.figure.colorbar(image, cax=beside)
        bar.set_label("transition probability", color=SOFT)
        bar.outline.set_visible(False)
        beside.tick_params(color=SOFT, labelcolor=INK, labelsize="small")
    return finish(ax, title)


def _name_ticks(ax: Axes, columns: list[str], rows: list[str]) -> None:
    """Label rows and columns; of many only every n-th, and long column names upright."""
    across = range(0, len(columns), -(-len(columns) // _MOST_TICKS))
    down = range(0, len(rows), -(-len(rows) // _MOST_TICKS))
    upright = max(map(len, columns)) > 1 and sum(len(columns[k]) + 1 for k in across) > 60
    ax.set_xticks(list(across), [columns[k] for k in across], rotation=90 if upright else 0)
    ax.set_yticks(list(down), [rows[c] for c in down])


def written(p: float) -> str:
    """Write a probability with two decimals, without calling a small one 0 or a large one 1."""
    if p in (0.0, 1.0):
        return f"{p:.0f}"
    text = f"{p:.2f}"
    return {"0.00": "<0.01", "1.00": ">0.99"}.get(text, text)
