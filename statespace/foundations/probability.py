"""Randomness: one way in for seeds and generators."""

from typing import Any

import numpy as np


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
