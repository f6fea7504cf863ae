"""Randomness: one way in for seeds and generators."""

from typing import Any

import numpy as np

from statespace.protocols import Floats, Ints


def generator(random_state: Any = None) -> np.random.Generator:
    """Return the generator that a `random_state` argument means; the argument itself is never replaced.

    Parameters
    ----------
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        None: fresh entropy, whatever `numpy.random.seed` was told. An int: the same draws every time. A Generator:
        itself, so that its stream goes on. A RandomState: a Generator seeded with the next draws of its stream,
        which goes on too.

    Raises
    ------
    TypeError
        If it is anything else, a bool among them.
    ValueError
        If an int is negative.

    """
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**32, size=4, dtype=np.uint32))
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ValueError(f"random_state is {random_state}: a seed must not be negative")
        return np.random.default_rng(int(random_state))
    raise TypeError(
        f"random_state is {random_state!r} ({type(random_state).__name__}): expected None, an int, "
        "a numpy.random.Generator or a numpy.random.RandomState"
    )


def draw_columns(probabilities: Floats, rng: np.random.Generator) -> Ints:
    """A column drawn from the law in each row, shape (n,); never one of probability 0, whatever rounding does."""
    cumulative = np.cumsum(probabilities, axis=1)
    drawn = (rng.random((len(probabilities), 1)) * cumulative[:, -1:] >= cumulative).sum(axis=1)
    last = probabilities.shape[1] - 1 - np.argmax(probabilities[:, ::-1] > 0, axis=1)
    columns: Ints = np.minimum(drawn, last)
    return columns
