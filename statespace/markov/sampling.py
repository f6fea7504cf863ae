"""Drawing from a chain of any order."""

import numpy as np

from statespace.foundations.paths import draw_path, draw_thresholds
from statespace.markov.prediction import ChainLaw
from statespace.markov.smoothing import MatrixLaw
from statespace.protocols import Array, Floats, Ints

_BLOCK = 1 << 15  # uniforms drawn at a time, so that they are still in the cache when they are used


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
