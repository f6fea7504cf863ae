"""Contexts: the last M symbols as one number.

    code(x_{n-M}, ..., x_{n-1}) = x_{n-M} K^(M-1) + ... + x_{n-1}      (the most recent symbol counts least)

so that a table of shape (K,) * M + (K,), flattened, is read at code * K + x_n. A chain of order M is a chain of order 1
over contexts: c -> (c K + x) mod K^M.
"""

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.protocols import Array, Floats, Ints

LARGEST_CODE = 2**63 - 1
_MOST_AXES = 64  # of a numpy array


def check_codes_fit(n_symbols: int, order: int) -> None:
    """Refuse an order whose words of M + 1 symbols cannot be numbered in 64 bits."""
    if n_symbols ** (order + 1) > LARGEST_CODE:
        largest = 0
        while n_symbols ** (largest + 2) <= LARGEST_CODE:
            largest += 1
        raise ValueError(
            f"order {order} over {n_symbols} symbols has {n_symbols}^{order + 1} words of {order + 1} symbols, more "
            f"than 64 bits can number: the largest order is {largest}"
        )
    if order >= _MOST_AXES:
        raise ValueError(
            f"order {order} needs a table of {order + 1} axes, more than an array may have: the largest order is "
            f"{_MOST_AXES - 1}"
        )


@kernel
def context_codes(codes: Ints, offsets: Ints, n_symbols: int, order: int, contexts: Ints) -> None:
    """The context of every position, and of the one after each sequence; -1 where it is incomplete.

    Sequence s fills contexts[offsets[s] + s : offsets[s + 1] + s + 1].
    """
    n_contexts = 1
    for _ in range(order):
        n_contexts *= n_symbols
    for s in range(offsets.size - 1):
        known = 0
        context = 0
        for t in range(offsets[s], offsets[s + 1]):
            contexts[t + s] = context if known >= order else -1
            x = codes[t]
            if x < 0:
                known = 0
                context = 0
            else:
                context = context * n_symbols + x
                if known >= order:
                    context -= codes[t - order] * n_contexts
                known += 1
        contexts[offsets[s + 1] + s] = context if known >= order else -1


def decode_contexts(contexts: Ints, n_symbols: int, order: int) -> Ints:
    """The symbols' codes of each context, oldest first, shape (n_contexts, order)."""
    digits = np.empty((len(contexts), order), np.int64)
    rest = np.array(contexts, dtype=np.int64)
    for j in range(order - 1, -1, -1):
        rest, digits[:, j] = np.divmod(rest, n_symbols)
    return digits


def context_matrix(transmat: Floats) -> Floats:
    """The order-1 chain over contexts that an order-M chain is, shape (K^M, K^M); (1, K) laws become (K, K)."""
    n_symbols, order = transmat.shape[-1], transmat.ndim - 1
    if order == 0:
        return np.tile(transmat, (n_symbols, 1))
    n_contexts = n_symbols**order
    matrix = np.zeros((n_contexts, n_contexts))
    contexts = np.arange(n_contexts)[:, None]
    matrix[contexts, (contexts * n_symbols + np.arange(n_symbols)) % n_contexts] = transmat.reshape(
        n_contexts, n_symbols
    )
    return matrix


def context_symbols(n_symbols: int, order: int, symbols: Array) -> list[tuple[object, ...]]:
    """Every context as a tuple of symbols, oldest first, in the order of their codes."""
    digits = decode_contexts(np.arange(n_symbols**order), n_symbols, order)
    return [tuple(symbols[row].tolist()) for row in digits]
