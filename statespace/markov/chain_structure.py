"""What a fitted chain says about where it goes: the functions of structure.py as methods, in the chain's own symbols.

A chain of order M is a chain of order 1 over its contexts, so the states here are the symbols for order 0 and 1, and
the tuples of the last M symbols (oldest first) beyond; `states_` lists them in the order of every result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.foundations.contexts import context_matrix, context_symbols
from statespace.markov import structure
from statespace.markov.prediction import ChainLaw
from statespace.protocols import Array, Floats

_MOST_STATES = 1 << 12


@dataclass(frozen=True)
class StateClass:
    """States that can all be reached from each other."""

    members: tuple[Hashable, ...]
    """The states, in the order of `states_`."""
    recurrent: bool
    """Whether the chain stays in the class once it is there."""
    period: int
    """gcd of the lengths of the cycles in the class; 0 where there is none."""


class ChainStructure:
    """Methods of a chain that read its transition matrix over contexts."""

    symbols_: Array
    _fitted: Callable[[], ChainLaw]

    @property
    def states_(self) -> list[Hashable]:
        """The symbols, or for orders above 1 the contexts as tuples."""
        order = self._table().ndim - 1
        if order <= 1:
            found: list[Hashable] = self.symbols_.tolist()
            return found
        return list(context_symbols(len(self.symbols_), order, self.symbols_))

    def context_matrix(self) -> Floats:
        """The chain as one of order 1 over `states_`, shape (n_states, n_states)."""
        return context_matrix(self._table())

    def communicating_classes(self) -> list[StateClass]:
        """States grouped by mutual reachability, in the order of their first members."""
        states = self.states_
        return [
            StateClass(tuple(states[i] for i in found.members), found.recurrent, found.period)
            for found in structure.communicating_classes(self.context_matrix())
        ]

    def is_irreducible(self) -> bool:
        """Whether every state can be reached from every other."""
        return structure.is_irreducible(self.context_matrix())

    def is_aperiodic(self) -> bool:
        """Whether every recurrent class has period 1."""
        return structure.is_aperiodic(self.context_matrix())

    def recurrent_states(self) -> list[Hashable]:
        """States to which the chain returns for ever."""
        return self._named(structure.recurrent_states(self.context_matrix()))

    def transient_states(self) -> list[Hashable]:
        """States that the chain leaves for good."""
        return self._named(structure.transient_states(self.context_matrix()))

    def absorbing_states(self) -> list[Hashable]:
        """States that are never left."""
        return self._named(structure.absorbing_states(self.context_matrix()))

    def absorption_probabilities(self) -> Floats:
        """Probability of ending in each recurrent class, shape (n_states, n_recurrent_classes)."""
        return structure.absorption_probabilities(self.context_matrix())

    def absorption_times(self) -> Floats:
        """Expected steps until the chain is in a recurrent class, shape (n_states,)."""
        return structure.absorption_times(self.context_matrix())

    def stationary_law(self) -> Floats:
        """The stationary law of symbols, or of contexts: shape (n_symbols,) * max(order, 1).

        Raises
        ------
        ValueError
            If there are several recurrent classes: `stationary_laws` has one law for each.

        """
        laws = self.stationary_laws()
        if len(laws) > 1:
            raise ValueError(f"the chain has {len(laws)} recurrent classes: stationary_laws() has a law for each")
        law: Floats = laws[0].reshape((len(self.symbols_),) * max(self._table().ndim - 1, 1))
        return law

    def stationary_laws(self) -> Floats:
        """One stationary law for each recurrent class, shape (n_recurrent_classes, n_states)."""
        return structure.stationary_laws(self.context_matrix())

    def hitting_probabilities(self, *targets: Hashable) -> Floats:
        """Probability that the chain is ever in one of the target states, from each state, shape (n_states,).

        For orders above 1 a symbol stands for all contexts that end with it.
        """
        states = self.states_
        symbols = self.symbols_.tolist()
        if self._table().ndim > 2:
            ending = [state for state in states for target in targets if target in symbols and state[-1] == target]  # type: ignore[index]
            targets = (*ending, *(target for target in targets if target not in symbols))
        unknown = [target for target in targets if target not in states]
        if unknown or not targets:
            what = f"{unknown[0]!r} is not a state" if unknown else "no target given"
            raise ValueError(f"{what}; the states are {', '.join(map(repr, states[:6]))}{', ...' * (len(states) > 6)}")
        return structure.hitting_probabilities(self.context_matrix(), [states.index(target) for target in targets])

    def mean_first_passage_times(self) -> Floats:
        """Expected steps from each state to each other, mean recurrence times on the diagonal; (n_states, n_states)."""
        return structure.mean_first_passage_times(self.context_matrix())

    def mean_recurrence_times(self) -> Floats:
        """Expected steps until each state comes back, inf for transient states; shape (n_states,)."""
        return structure.mean_recurrence_times(self.context_matrix())

    def expected_run_lengths(self) -> Floats:
        """Expected length of a run of each symbol, shape (n_symbols,).

        1 / (1 - P_kk) up to order 1. Beyond, the mean over the runs of a stationary sequence,
        p(x_n = k) / p(x_n = k, x_{n-1} != k); NaN for a symbol without stationary probability.
        """
        table = self._table()
        if table.ndim <= 2:
            return structure.expected_run_lengths(self.context_matrix())
        law = self.stationary_law()
        pairs = law.sum(axis=tuple(range(law.ndim - 2)))
        symbol = pairs.sum(axis=0)
        entered = pairs.sum(axis=0) - np.diag(pairs)
        with np.errstate(divide="ignore", invalid="ignore"):
            lengths: Floats = symbol / entered
        return lengths

    def entropy_rate(self) -> float:
        """Long-run average of -log p(x_n | the past), in nats a step.

        On data from this chain no model has a smaller held-out loss, but for chance.
        """
        return structure.entropy_rate(self.context_matrix())

    def n_step_matrix(self, n: int) -> Floats:
        """Transition probabilities of n steps over `states_`, shape (n_states, n_states)."""
        return structure.n_step_matrix(self.context_matrix(), n)

    def _named(self, numbers: Any) -> list[Hashable]:
        states = self.states_
        return [states[i] for i in numbers.tolist()]

    def _table(self) -> Floats:
        law = self._fitted()
        n_symbols, order = law.n_symbols, law.order
        if n_symbols ** max(order, 1) > _MOST_STATES:
            raise ValueError(
                f"order {order} over {n_symbols} symbols has too many contexts to study as a matrix (more than "
                f"{_MOST_STATES}): fit a lower order"
            )
        rows = law.transition.of_contexts(np.arange(n_symbols**order))
        return rows.reshape((n_symbols,) * (order + 1))
