"""The price of an order: how the number of free parameters grows with M, model by model."""

from dataclasses import dataclass

from statespace.foundations.parameter_count import ParameterCount, count_parameters, count_text, model_sizes

__all__ = [
    "ParameterCount",
    "ParameterGrowth",
    "count_parameters",
    "count_text",
    "model_sizes",
    "parameter_growth",
]

_MOST_ORDERS = 1000
_GROWING = ("iid", "markov", "mtd")


@dataclass(frozen=True)
class ParameterGrowth:
    """Free parameters of models over K symbols, order by order."""

    n_states: int
    """Number of symbols, K."""
    orders: tuple[int, ...]
    """Orders M = 0..max_order."""
    counts: dict[str, tuple[int | None, ...]]
    """For each model, one count an order; None where the model has no such order (a mixture of no lags)."""

    def rows(self) -> list[tuple[int | None, ...]]:
        """Return one tuple an order: the order, then the models' counts as `counts` has them."""
        return [(order, *counts) for order, *counts in zip(self.orders, *self.counts.values(), strict=True)]

    def __str__(self) -> str:
        table = [["order", *self.counts]]
        table += [["-" if cell is None else count_text(cell) for cell in row] for row in self.rows()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


def parameter_growth(n_states: int, max_order: int, models: tuple[str, ...] = ("markov", "mtd")) -> ParameterGrowth:
    """Count the parameters of each model for every order up to `max_order`.

    An order-M chain has K^M (K-1), a mixture transition model K (K-1) + M-1, independent symbols K-1.

    Parameters
    ----------
    n_states : int
        Number of symbols, K.
    max_order : int
        Largest order, 0 or more.
    models : tuple of str
        Of "iid", "markov" and "mtd".

    Raises
    ------
    ValueError
        If a model has no order to grow in, or a number is too small.

    """
    count_parameters("markov", n_states=n_states, order=max_order)  # it judges the two sizes
    if max_order > _MOST_ORDERS:
        raise ValueError(f"max_order is {count_text(max_order)}: a table has up to {_MOST_ORDERS} orders")
    if isinstance(models, str):
        models = (models,)
    counts: dict[str, tuple[int | None, ...]] = {}
    for model in models:
        if model not in _GROWING:
            raise ValueError(f"{model!r} does not grow with an order; models are {', '.join(_GROWING)}")
        counts[model] = tuple(_count(model, n_states, order) for order in range(max_order + 1))
    return ParameterGrowth(n_states, tuple(range(max_order + 1)), counts)


def _count(model: str, n_states: int, order: int) -> int | None:
    if model == "mtd" and order == 0:
        return None
    order_too = {} if model == "iid" else {"order": order}
    return count_parameters(model, n_states=n_states, **order_too).total
