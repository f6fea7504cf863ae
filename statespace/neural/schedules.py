"""Learning rates that change from step to step."""

from __future__ import annotations

import math
from typing import Any

from statespace.foundations.validation import check_choice, check_integer, check_positive


class Schedule:
    """A learning rate for each step: up in a straight line, and then constant or down along a line or a cosine.

    Parameters
    ----------
    learning_rate : float
        The highest.
    decay : {None, "linear", "cosine"}
        How it falls after the warm-up; None: not at all.
    steps : int, optional
        Steps of a training, the warm-up among them; after the last of them the rate stays at its end. Needed with
        `decay`.
    warm_up : int
        Steps in which the rate rises; step n of these has (n + 1) / warm_up of it.
    last : float
        What is left of `learning_rate` at the end, a part of it from 0 to 1.

    Examples
    --------
    >>> schedule = Schedule(0.1, "linear", steps=6, warm_up=2)
    >>> [round(schedule(step), 3) for step in range(7)]
    [0.05, 0.1, 0.1, 0.075, 0.05, 0.025, 0.0]

    References
    ----------
    Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", for the cosine.

    """

    def __init__(
        self,
        learning_rate: float,
        decay: str | None = None,
        *,
        steps: int | None = None,
        warm_up: int = 0,
        last: float = 0.0,
    ) -> None:
        check_choice("decay", decay, (None, "linear", "cosine"))
        self.learning_rate = check_positive("learning_rate", learning_rate)
        self.decay = decay
        self.warm_up = check_integer("warm_up", warm_up)
        if decay is not None and steps is None:
            raise ValueError(f"decay {decay!r} needs steps: how many there will be, the warm-up among them")
        self.steps = None if steps is None else check_integer("steps", steps, 1)
        if self.steps is not None and self.steps <= self.warm_up:
            raise ValueError(f"warm_up is {warm_up} of {steps} steps, so that none is left for what follows it")
        if not 0 <= last <= 1:
            raise ValueError(f"last is {last!r}, expected a part of learning_rate, from 0 to 1")
        self.last = float(last)

    def __call__(self, step: int) -> float:
        """The learning rate of a step, the first of which is 0."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        if self.decay is None or self.steps is None:
            return self.learning_rate
        gone = min((step - self.warm_up) / (self.steps - self.warm_up), 1.0)
        left = 1.0 - gone if self.decay == "linear" else 0.5 + 0.5 * math.cos(math.pi * gone)
        return self.learning_rate * (self.last + (1.0 - self.last) * left)

    def __repr__(self) -> str:
        shown = "" if self.decay is None else f", {self.decay!r}, steps={self.steps}, last={self.last:g}"
        return f"Schedule({self.learning_rate:g}{shown}" + (f", warm_up={self.warm_up})" if self.warm_up else ")")


def as_schedule(learning_rate: Any) -> Any:
    """A schedule, or any function of the step; a number stays as it is."""
    return learning_rate if callable(learning_rate) else Schedule(learning_rate)
