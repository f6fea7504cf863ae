"""The law of the first M symbols of a sequence, in the three ways a chain can have one.

conditional   not part of the model; the frequencies of contexts stand in where one is needed
free          the frequencies of the sequences' first contexts
stationary    the chain's own stationary law
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from statespace.foundations.contexts import context_matrix
from statespace.foundations.sequences import SymbolSequences
from statespace.foundations.stochastic_matrix import check_law
from statespace.markov.smoothing import MatrixLaw, TransitionLaw
from statespace.markov.tables import DenseCounts, SparseCounts
from statespace.protocols import Array, Floats, Ints

_FEW_CONTEXTS = 1 << 10  # whose long-run law is solved for; beyond, many steps come close enough for a usual moment
_MOST_STEPS = 200
_STILL = 1e-12
INITIALS = ("conditional", "free", "stationary")


class StartLaw(NamedTuple):
    """A law of the first M symbols, on the contexts that they can form."""

    contexts: Ints
    """Contexts of positive probability, shape (n_starts,)."""
    law: Floats
    """Their probabilities, shape (n_starts,)."""

    @classmethod
    def of_table(cls, law: Floats) -> Self:
        """From the probabilities of all contexts, shape (K^M,)."""
        contexts = np.flatnonzero(law > 0)
        return cls(contexts, law[contexts] / law[contexts].sum())

    @classmethod
    def of_matrix(cls, transmat: Floats, initial: Any) -> Self:
        """For a chain of known matrix: a given law, the stationary law, or its limit from a uniform start."""
        n_contexts = transmat.shape[-1] ** (transmat.ndim - 1)
        if not isinstance(initial, str):
            shape = transmat.shape[:-1]
            given = np.array(initial, dtype=np.float64)
            if given.shape != shape:
                raise ValueError(f"initial has shape {given.shape}, expected {shape}: a law of the first symbols")
            return cls.of_table(check_law("initial", given.reshape(-1), n_contexts))
        if transmat.ndim == 1:
            return cls.of_table(np.ones(1))
        if initial == "stationary":
            from statespace.foundations.stationary_start import unique_stationary_law

            return cls.of_table(unique_stationary_law(transmat))
        if n_contexts > _FEW_CONTEXTS:
            return cls.of_table(_law_after_many_steps(transmat))
        from statespace.markov.structure import limiting_law

        return cls.of_table(limiting_law(context_matrix(transmat), np.full(n_contexts, 1 / n_contexts)))


def _law_after_many_steps(transmat: Floats) -> Floats:
    """The limit again, by steps of (I + P) / 2: it has the same limit, and no period."""
    n_symbols, n_contexts = transmat.shape[-1], transmat.size // transmat.shape[-1]
    rows = transmat.reshape(n_contexts, n_symbols)
    law = np.full(n_contexts, 1 / n_contexts)
    for _ in range(_MOST_STEPS):
        # The context after c and k is c without its oldest symbol, the first axis, and with k
        following = (law[:, None] * rows).reshape(n_symbols, -1).sum(axis=0)
        moved = (law + following) / 2
        if np.abs(moved - law).sum() < _STILL:
            break
        law = moved
    return law


def context_frequencies(table: DenseCounts | SparseCounts) -> StartLaw:
    """How often each context was followed by a symbol."""
    contexts = table.contexts if isinstance(table, SparseCounts) else np.arange(len(table.counts))
    totals = table.context_totals(contexts)
    seen = totals > 0
    return StartLaw(contexts[seen], totals[seen] / totals.sum())


def fit_start(
    initial: str,
    sequences: SymbolSequences,
    table: DenseCounts | SparseCounts,
    law: TransitionLaw,
    order: int,
    weights: Floats | None,
    added: float | None,
) -> tuple[TransitionLaw, StartLaw]:
    """The transition law, and the start law that `initial` names.

    `added` is what smoothing adds to counts, None without smoothing; only then do stationary starts move the
    transitions.
    """
    if initial == "conditional" or order == 0 or not isinstance(table, DenseCounts):
        return law, context_frequencies(table)
    n_symbols = len(sequences.symbols)
    starts, owners = first_contexts(sequences, order)
    each = np.ones(len(starts)) if weights is None else weights[owners]
    if initial == "free":
        totals = np.bincount(starts, weights=each, minlength=n_symbols**order) + (added or 0.0)
        if not totals.any():
            raise ValueError(
                f"initial='free' learns from the first {order} observations of each sequence, and none of X starts "
                f"with {order} in a row: use initial='conditional'"
            )
        return law, StartLaw.of_table(totals / totals.sum())
    from statespace.foundations.stationary_start import unique_stationary_law
    from statespace.markov.stationary_fit import maximise_with_stationary_start

    shape = (n_symbols,) * (order + 1)
    if added is None and len(starts):
        transmat = maximise_with_stationary_start(table.counts.reshape(shape), starts, each)
    else:
        transmat = law.of_contexts(np.arange(n_symbols**order)).reshape(shape)
    return MatrixLaw(transmat.reshape(-1, n_symbols)), StartLaw.of_table(unique_stationary_law(transmat))


def first_contexts(sequences: SymbolSequences, order: int) -> tuple[Ints, Ints]:
    """The contexts that sequences start with where their first `order` observations are known, and which these are."""
    n_symbols = len(sequences.symbols)
    long_enough = np.flatnonzero(np.diff(sequences.offsets) >= order)
    first: Array = sequences.codes[sequences.offsets[long_enough][:, None] + np.arange(order)]
    known = (first >= 0).all(axis=1)
    powers = n_symbols ** np.arange(order - 1, -1, -1)
    return first[known] @ powers, long_enough[known]
