"""What a chain expects next, also where its context is not fully known.

While the last M symbols are known, the law of the next is a row of the table. At the start of a sequence, after a
missing observation and beyond the last one, the context itself has a law b, a belief:

    law of the next symbol     p(k) = sum_c b(c) p(k | c)
    after seeing k             b'((c K + k) mod K^M) ~ b(c) p(k | c)        summed over k where nothing was seen
    in the first M steps       b = law of the first M symbols, given those of them that were seen

Only contexts with b(c) > 0 are kept, so that a belief is short where little is unknown.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.contexts import context_codes
from statespace.foundations.sequences import SymbolSequences
from statespace.markov.smoothing import TransitionLaw
from statespace.protocols import Array, Floats, Ints

BELIEF_LIMIT = 1 << 22  # contexts times symbols that a belief may spread over: all of a dense table


class BeliefTooWideError(ValueError):
    """The unknown symbols leave more contexts possible than fit in memory."""


class ChainLaw(NamedTuple):
    """All that prediction needs of a fitted chain."""

    n_symbols: int
    """K."""
    order: int
    """M."""
    transition: TransitionLaw
    """p(k | c)."""
    start_contexts: Ints
    """Contexts that the first M symbols can form, shape (n_starts,)."""
    start_law: Floats
    """Their probabilities, shape (n_starts,)."""


class Belief:
    """A law of contexts at one moment of a sequence."""

    def __init__(self, chain: ChainLaw, contexts: Ints | None = None, law: Floats | None = None) -> None:
        self._chain = chain
        self._contexts: Ints = chain.start_contexts if contexts is None else contexts
        self._law: Floats = chain.start_law if law is None else law
        self._step = 0 if contexts is None else chain.order  # below the order, a position among the first M symbols

    @property
    def next_law(self) -> Floats:
        """The law of the next symbol, shape (n_symbols,)."""
        if self._step < self._chain.order:
            law: Any = np.bincount(self._start_symbols(), weights=self._law, minlength=self._chain.n_symbols)
        else:
            law = self._law @ self._rows()
        total: Floats = law / law.sum()
        return total

    def advance(self, symbol: int) -> None:
        """Move on by one step on which `symbol` was seen; -1 where nothing was."""
        chain = self._chain
        if self._step < chain.order:
            if symbol >= 0:
                self._condition(self._start_symbols() == symbol)
        else:
            n_contexts = chain.n_symbols**chain.order
            following: Ints = (self._contexts[:, None] * chain.n_symbols + np.arange(chain.n_symbols)) % n_contexts
            joint: Floats = self._law[:, None] * self._rows()
            if symbol >= 0:
                following, joint = following[:, symbol], joint[:, symbol]
                if not joint.any():  # the model thought it impossible: every context stays as likely as it was
                    joint = self._law
            self._contexts, places = np.unique(following.reshape(-1), return_inverse=True)
            merged: Any = np.bincount(places.reshape(-1), weights=joint.reshape(-1))
            self._law = merged
            self._condition(self._law > 0)
        self._step += 1

    def _rows(self) -> Floats:
        if len(self._contexts) * self._chain.n_symbols > BELIEF_LIMIT:
            raise BeliefTooWideError(
                f"{len(self._contexts)} contexts of order {self._chain.order} over {self._chain.n_symbols} symbols are "
                "possible: forecast fewer steps, fit a lower order, or average over sample(..., start=...)"
            )
        return self._chain.transition.of_contexts(self._contexts)

    def _start_symbols(self) -> Ints:
        power = self._chain.n_symbols ** (self._chain.order - 1 - self._step)
        symbols: Ints = self._contexts // power % self._chain.n_symbols
        return symbols

    def _condition(self, consistent: Array) -> None:
        if not consistent.any():  # no start is like this one: nothing is learnt from it
            return
        self._contexts, law = self._contexts[consistent], self._law[consistent]
        self._law = law / law.sum() if law.any() else np.full(len(law), 1 / len(law))


def predict_next(chain: ChainLaw, sequences: SymbolSequences) -> Floats:
    """The law of every symbol given those before it, and of the one after each sequence, (n_samples + n_sequences, K).

    NaN where so much is unknown that the belief is too wide.
    """
    contexts = all_contexts(chain, sequences)
    laws = chain.transition.of_contexts(np.maximum(contexts, 0))
    incomplete = np.flatnonzero(contexts < 0)
    for s in np.unique(np.searchsorted(sequences.offsets + np.arange(len(sequences.offsets)), incomplete, "right") - 1):
        first, last = int(sequences.offsets[s]), int(sequences.offsets[s + 1])
        here = slice(first + s, last + s + 1)
        _predict_incomplete(chain, sequences.codes[first:last], contexts[here], laws[here])
    return laws


def all_contexts(chain: ChainLaw, sequences: SymbolSequences) -> Ints:
    """The context of every position and of the one after each sequence, -1 where incomplete."""
    contexts = np.empty(len(sequences.codes) + sequences.n_sequences, np.int64)
    context_codes(sequences.codes, sequences.offsets, chain.n_symbols, chain.order, contexts)
    return contexts


def _predict_incomplete(chain: ChainLaw, codes: Ints, contexts: Ints, laws: Floats) -> None:
    """Fill the rows of one sequence whose context is incomplete."""
    belief: Belief | None = None
    for t in np.flatnonzero(contexts < 0).tolist():
        if t == 0:
            belief = Belief(chain)
        elif contexts[t - 1] >= 0:  # the first step after a gap
            belief = Belief(chain, contexts[t - 1 : t], np.ones(1))
            belief.advance(int(codes[t - 1]))
        elif belief is not None:
            belief = _advanced(belief, int(codes[t - 1]))
        laws[t] = np.nan
        if belief is not None:
            try:
                laws[t] = belief.next_law
            except BeliefTooWideError:
                belief = None


def _advanced(belief: Belief, symbol: int) -> Belief | None:
    try:
        belief.advance(symbol)
    except BeliefTooWideError:
        return None
    return belief


def forecast_laws(chain: ChainLaw, codes: Ints, contexts: Ints, steps: int) -> Floats:
    """The exact laws of the next steps after one sequence, shape (steps, K).

    `contexts` has one entry more than `codes`: that of the next step.
    """
    known = np.flatnonzero(contexts >= 0)
    start = int(known[-1]) if known.size else 0
    belief = Belief(chain, contexts[start : start + 1], np.ones(1)) if known.size else Belief(chain)
    for symbol in codes[start:].tolist():
        belief.advance(symbol)
    laws = np.empty((steps, chain.n_symbols))
    for h in range(steps):
        if h:
            belief.advance(-1)
        laws[h] = belief.next_law
    return laws
