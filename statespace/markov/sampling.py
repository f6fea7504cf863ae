"""Drawing from a chain: each symbol is found where a uniform number falls among the cumulative probabilities."""

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.markov.prediction import ChainLaw
from statespace.markov.smoothing import MatrixLaw
from statespace.protocols import Array, Floats, Ints

_BLOCK = 1 << 15  # uniforms drawn at a time, so that they are still in the cache when they are used
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


def sample_path(chain: ChainLaw, symbols: Array, context: int, drawn: Array, rng: np.random.Generator) -> None:
    """Fill `drawn` with symbols that follow `context`; block by block, so that only the result needs fresh memory."""
    uniforms = np.empty(min(len(drawn), _BLOCK))
    codes = np.empty(len(uniforms), np.int64)
    thresholds = draw_thresholds(chain.transition.rows) if isinstance(chain.transition, MatrixLaw) else None
    for start in range(0, len(drawn), _BLOCK):
        part = drawn[start : start + _BLOCK]
        u, k = uniforms[: len(part)], codes[: len(part)]
        rng.random(out=u)
        context = draw_path(u, thresholds, context, k) if thresholds is not None else _draw_sparse(chain, context, u, k)
        np.take(symbols, k, out=part, mode="clip")  # without it, numpy would check every code, in a copy


def _draw_sparse(chain: ChainLaw, context: int, uniforms: Floats, drawn: Ints) -> int:
    """As draw_path, with the law of each context made when it is reached."""
    n_contexts = chain.n_symbols**chain.order
    thresholds: dict[int, Floats] = {}
    for t in range(len(drawn)):
        if context not in thresholds:
            thresholds[context] = draw_thresholds(chain.transition.of_contexts(np.array([context])))
        draw_path(uniforms[t : t + 1], thresholds[context], 0, drawn[t : t + 1])
        context = (context * chain.n_symbols + int(drawn[t])) % n_contexts
    return context


def draw_start(chain: ChainLaw, rng: np.random.Generator) -> int:
    """A first context, drawn from the start law."""
    place = np.searchsorted(draw_thresholds(chain.start_law[None, :])[0], rng.random(), side="right")
    return int(chain.start_contexts[place])
