"""How many free parameters a model has: the price of an order, a state, a layer.

    chain of order M over K symbols    K^M (K-1)        one law, of K-1 free probabilities, for each of K^M contexts
    ... with a free initial law        K^(M+1) - 1      K^M - 1 more for the first M symbols: one free law of M+1
    mixture transition model           K (K-1) + M-1    one matrix for all lags, and the lags' weights

The lecture, and the textbook it follows (Bishop 2006, section 13.1), print K^(M-1) (K-1) for order M. That contradicts
their own K (K-1) for M = 1: the exponent is M, since there are K^M contexts.

Counts are of free parameters: a probability that follows from the others is none, nor is a symmetric entry. Integers
are exact at any size. Raftery (1985) for the mixture; Durbin and Koopman (2012) for the linear dynamical system.
"""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from statespace.foundations.parameter_formulas import MODELS, count_text

__all__ = ["ParameterCount", "count_parameters", "count_text", "model_sizes"]


@dataclass(frozen=True)
class ParameterCount:
    """The number of free parameters, and how it comes about."""

    total: int
    """Sum of the breakdown."""
    breakdown: dict[str, int] = field(hash=False)
    """Count of each part; of an identifiable count, what is taken off is negative."""
    formula: str
    """In symbols, in numbers, and the total: "K^M (K-1) = 3^2 * 2 = 18"."""

    def __int__(self) -> int:
        return self.total

    def __str__(self) -> str:
        width = max((len(name) for name in self.breakdown), default=0)
        parts = [f"  {name:<{width}}  {count_text(count)}" for name, count in self.breakdown.items()]
        noun = "free parameter" if self.total == 1 else "free parameters"
        return "\n".join([f"{count_text(self.total)} {noun}: {self.formula}", *parts])


def count_parameters(model: str, **sizes: Any) -> ParameterCount:
    """Count the free parameters of a model of given sizes.

    Parameters
    ----------
    model : str
        "iid", "markov", "mtd", "hmm", "lds", "arma", "var", "rnn", "lstm", "gru", "feedforward" or "attention".
    **sizes
        What `model_sizes` says that the model takes; the function of the model's name in `parameter_formulas` says
        what each one is.

    Raises
    ------
    ValueError
        If there is no such model, or a size is impossible; the message names it.
    TypeError
        If a size is missing, is not one of the model's, or is not a whole number.

    """
    if not isinstance(model, str):
        raise TypeError(
            f"model is {model!r}, expected a name such as 'markov'; a fitted model counts itself: model.n_parameters"
        )
    takes = model_sizes()
    if model not in takes:
        raise ValueError(f"there is no model {model!r} to count; there are {', '.join(takes)}")
    try:
        inspect.signature(MODELS[model]).bind(**sizes)
    except TypeError as error:
        raise TypeError(f"{model!r}: {error}; it takes {takes[model]}") from None
    terms = MODELS[model](**sizes)
    total = sum(term.value for term in terms)
    sides = [_sum([term.symbols for term in terms]), _sum([term.numbers for term in terms]), count_text(total)]
    return ParameterCount(total, {term.name: term.value for term in terms}, " = ".join(side for side in sides if side))


def model_sizes() -> dict[str, str]:
    """Return what each model takes, as text: {"markov": "n_states, order, initial='conditional'", ...}."""
    described = {}
    for model, function in MODELS.items():
        arguments = inspect.signature(function).parameters.values()
        described[model] = ", ".join(
            argument.name if argument.default is argument.empty else f"{argument.name}={argument.default!r}"
            for argument in arguments
        )
    return described


def _sum(terms: Iterable[str]) -> str:
    return " + ".join(terms).replace("+ -", "- ")
