"""The embedded Reber grammar: a letter that must be remembered over a walk of any length."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from benchmarks.tasks.frame import LESS, Contender, Outcome, Task, at_most, trained
from statespace import MarkovChain
from statespace.datasets import REBER_SYMBOLS, draw_reber, reber_log_likelihood
from statespace.hmm import CategoricalHMM
from statespace.neural import RecurrentSequenceModel

_FIGURE = "nats a symbol"
_N_STRINGS = 2000


def entropy() -> float:
    """Nats a letter of an embedded string, its first B left out, from the grammar.

    With c_s the expected choices, each of log 2 nats and one letter, on the way from state s of the walk to its end:

        c_0 = 1 + (c_1 + c_2) / 2        c_1 = 1 + (c_1 + c_3) / 2        c_3 = 1 + c_2 / 2
                                         c_2 = 1 + (c_2 + c_4) / 2        c_4 = 1 + c_3 / 2
    """
    # c_2 = 2 + c_4 = 3 + c_3 / 2 = 3 + 1/2 + c_2 / 4
    c_2 = Fraction(7, 2) / (1 - Fraction(1, 4))
    c_3 = 1 + c_2 / 2
    c_1 = 2 + c_3
    c_0 = 1 + (c_1 + c_2) / 2
    # One choice more for the letter around the walk; the letters are B T/P B walk E T/P E
    return float((c_0 + 1) / (c_0 + 5)) * float(np.log(2.0))


def _contenders(quick: bool) -> Iterator[Contender]:
    n = 20 if quick else _N_STRINGS
    train, test = draw_reber(n, random_state=1), draw_reber(n, random_state=2)
    yield Contender("the grammar itself", lambda _: Outcome({_FIGURE: _oracle(test)}), {_FIGURE: LESS}, n_seeds=1)
    for cell in ("lstm", "gru", "rnn"):
        options: dict[str, Any] = {"n_epochs": 1} if quick else {}
        yield Contender(f"{cell}, 16 units", partial(_network, cell, options, train, test), {_FIGURE: at_most(0.45)})
    for order in range(1, 7):
        model = MarkovChain(order, smoothing="witten-bell")
        yield Contender(f"Markov, order {order}", lambda _, model=model: _chain(model, train, test), {_FIGURE: LESS}, 1)
    for n_states in (8, 16, 24, 32):
        yield Contender(f"HMM, {n_states} states", partial(_hmm, n_states, train, test), {_FIGURE: LESS})


def _oracle(test: list[np.ndarray]) -> float:
    return -sum(map(reber_log_likelihood, test)) / _n_scored(test)


def _n_scored(test: list[np.ndarray]) -> int:
    return sum(len(row) - 1 for row in test)


def _loss(model: Any, test: list[np.ndarray]) -> float:
    """Mean nats of all letters but the first of each row."""
    steps = model.log_likelihood(test, by="step")
    return -sum(float(row[1:].sum()) for row in steps) / _n_scored(test)


def _network(cell: str, options: dict[str, Any], train: list[Any], test: list[Any], seed: int) -> Outcome:
    model = RecurrentSequenceModel(cell, 16, random_state=seed, **options)
    fitted, seconds = trained(lambda: model.fit(train, symbols=REBER_SYMBOLS))
    return Outcome({_FIGURE: _loss(fitted, test)}, seconds)


def _chain(model: MarkovChain, train: list[Any], test: list[Any]) -> Outcome:
    """A chain of order M, of rows before which M letters of its own stand, so that all others are scored."""
    M = model.order
    before = np.full(M, "^")

    def led(rows: list[Any]) -> list[Any]:
        return [np.concatenate([before, row]) for row in rows]

    fitted, seconds = trained(lambda: model.fit(led(train), symbols=["^", *REBER_SYMBOLS]))
    steps = fitted.log_likelihood(led(test), by="step")
    return Outcome({_FIGURE: -sum(float(row[M + 1 :].sum()) for row in steps) / _n_scored(test)}, seconds)


def _hmm(n_states: int, train: list[Any], test: list[Any], seed: int) -> Outcome:
    codes = {symbol: i for i, symbol in enumerate(REBER_SYMBOLS)}

    def coded(rows: list[Any]) -> tuple[np.ndarray, list[int]]:
        flat = np.array([codes[letter] for row in rows for letter in row.tolist()])
        return flat[:, None], [len(row) for row in rows]

    model = CategoricalHMM(n_states, n_features=len(codes), n_iter=500, random_state=seed)
    fitted, seconds = trained(lambda: model.fit(*coded(train)))
    X, lengths = coded(test)
    steps = fitted.log_likelihood(X, lengths, by="step")
    first = np.cumsum([0, *lengths[:-1]])
    return Outcome({_FIGURE: -float(np.delete(steps, first).sum()) / _n_scored(test)}, seconds)


TASK = Task(
    "reber",
    "The embedded Reber grammar, held out",
    f"{_N_STRINGS:,} strings to learn from and {_N_STRINGS:,} others that are scored, the first letter of each, always "
    f"B, not; the entropy of the grammar is {entropy():.5f} nats a symbol, and what its own probabilities say of the "
    "strings that are scored stands first. Chains back off after Witten and Bell; all models are from "
    "this package, as they are by default.",
    _contenders,
)
