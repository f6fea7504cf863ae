"""Drawing a path of a chain: each symbol is found where a uniform number falls among the cumulative probabilities."""

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.protocols import Floats, Ints

_FEW = 16  # symbols up to which counting beats bisection


@kernel
def draw_path(uniforms: Floats, thresholds: Floats, context: int, drawn: Ints) -> int:
    """Draw a symbol for each uniform; returns the context to go on from.

    The symbol is the number of thresholds (`draw_thresholds`) of its context that the uniform reaches.
    """
    n_contexts, n_symbols = thresholds.shape
    if n_contexts == 2 and n_symbols == 2:
        # Both draws are made before it is known which one counts: nothing waits for the last symbol but the choice
        after_first, after_second = thresholds[0, 0], thresholds[1, 0]
        for t in range(uniforms.size):
            u = uniforms[t]
            if_first = int(u >= after_first)
            if_second = int(u >= after_second)
            context = if_second if context else if_first
            drawn[t] = context
        return context
    for t in range(uniforms.size):
        u = uniforms[t]
        k = 0
        if n_symbols <= _FEW:
            for j in range(n_symbols - 1):
                k += u >= thresholds[context, j]
        else:
            high = n_symbols - 1
            while k < high:
                middle = (k + high) // 2
                if u >= thresholds[context, middle]:
                    k = middle + 1
                else:
                    high = middle
        drawn[t] = k
        context = k if n_contexts == n_symbols else (context * n_symbols + k) % n_contexts
    return context


def draw_thresholds(rows: Floats) -> Floats:
    """Running sums of each law, infinite from its last symbol of positive probability on.

    Where rounding leaves the sum below a uniform, that symbol is drawn, and never an impossible one after it.
    """
    last = rows.shape[1] - 1 - np.argmax(rows[:, ::-1] > 0, axis=1)
    thresholds: Floats = np.where(np.arange(rows.shape[1]) < last[:, None], np.cumsum(rows, axis=1), np.inf)
    return thresholds
