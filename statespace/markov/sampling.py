"""Drawing from a chain: each symbol is found where a uniform number falls among the cumulative probabilities."""

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.markov.prediction import ChainLaw
from statespace.protocols import Floats, Ints

_BLOCK = 1 << 15  # uniforms drawn at a time, so that they are still in the cache when they are used
_FEW = 16  # symbols up to which counting beats bisection


@kernel
def draw_path(uniforms: Floats, cumulative: Floats, last: Ints, context: int, drawn: Ints) -> int:
    """Draw a symbol for each uniform; returns the context to go on from.

    `cumulative` (n_contexts, n_symbols) holds running sums, `last` the last symbol of positive probability in each
    context: where rounding leaves the sum below a uniform, that one is drawn, never an impossible one.
    """
    n_contexts, n_symbols = cumulative.shape
    for t in range(uniforms.size):
        u = uniforms[t]
        row = cumulative[context]
        k = 0
        if n_symbols <= _FEW:
            for j in range(n_symbols - 1):
                k += u >= row[j]
        else:
            high = n_symbols - 1
            while k < high:
                middle = (k + high) // 2
                if u >= row[middle]:
                    k = middle + 1
                else:
                    high = middle
        k = min(k, last[context])
        drawn[t] = k
        context = context * n_symbols + k
        if n_contexts > n_symbols:
            context %= n_contexts
        elif n_contexts == n_symbols:
            context = k
        else:
            context = 0
    return context


def cumulative_rows(rows: Floats) -> tuple[Floats, Ints]:
    """Running sums of each law, and its last symbol of positive probability."""
    last = rows.shape[1] - 1 - np.argmax(rows[:, ::-1] > 0, axis=1)
    return np.cumsum(rows, axis=1), last.astype(np.int64)


def sample_path(chain: ChainLaw, rows: Floats | None, n_samples: int, context: int, rng: np.random.Generator) -> Ints:
    """Draw `n_samples` symbols that follow `context`; `rows` is the dense table of laws, None where there is none."""
    drawn = np.empty(n_samples, np.int64)
    if rows is None:
        return _sample_sparse(chain, context, rng.random(n_samples), drawn)
    cumulative, last = cumulative_rows(rows)
    uniforms = np.empty(min(n_samples, _BLOCK))
    for start in range(0, n_samples, _BLOCK):
        part = drawn[start : start + _BLOCK]
        rng.random(out=uniforms[: len(part)])
        context = draw_path(uniforms[: len(part)], cumulative, last, context, part)
    return drawn


def _sample_sparse(chain: ChainLaw, context: int, uniforms: Floats, drawn: Ints) -> Ints:
    n_contexts = chain.n_symbols**chain.order
    for t in range(len(drawn)):
        cumulative, last = cumulative_rows(chain.transition.of_contexts(np.array([context])))
        draw_path(uniforms[t : t + 1], cumulative, last, 0, drawn[t : t + 1])
        context = (context * chain.n_symbols + int(drawn[t])) % n_contexts
    return drawn


def draw_start(chain: ChainLaw, rng: np.random.Generator) -> int:
    """A first context, drawn from the start law."""
    cumulative, last = cumulative_rows(chain.start_law[None, :])
    place = min(int(np.searchsorted(cumulative[0], rng.random(), side="right")), int(last[0]))
    return int(chain.start_contexts[place])
