"""Where a fit begins; which of several starts it takes, a few iterations tell, on part of the data if they are long.

Clusters of the values miss states that differ in their variance only, and clusters by the distance from the mean those
that differ in their means; EM seldom finds the way from one to the other.
"""

from __future__ import annotations

import contextlib
import copy
import math
from typing import Any

import numpy as np

from statespace.foundations.em import ConvergenceMonitor
from statespace.foundations.observations import Observations
from statespace.foundations.stationary_start import unique_stationary_law
from statespace.foundations.stochastic_matrix import check_law, check_stochastic_matrix
from statespace.hmm.baum_welch import Law
from statespace.hmm.emissions.emission import same_values
from statespace.hmm.evidence import Evidence
from statespace.hmm.restarts import Fit
from statespace.hmm.state_order import order_of_labels
from statespace.protocols import Array, Floats, Ints

_ITERATIONS = 5  # after which the better start is ahead
_MOST = 20_000  # steps on which they are tried
_CUT = 1_000  # steps of a part of a longer sequence
_UNUSED = np.random.default_rng(0)


class Start:
    """Where fits begin: states that tend to last, or in every other fit any, and the emission's own start.

    Of several starts that the emission has, the first fit takes the most promising, and the others take turns.

    Parameters
    ----------
    n_components : int
    emission : object
        As it was handed over; it stays as it is.
    given : dict
        "startprob" and "transmat" where they are given by hand.
    fixed : dict
        What is held; what is neither law nor the whole emission is the emission's.
    fit : Fit

    """

    def __init__(
        self, n_components: int, emission: Any, given: dict[str, Any], fixed: dict[str, Any], fit: Fit
    ) -> None:
        unknown = given.keys() - {"startprob", "transmat"}
        if unknown:
            raise ValueError(f"init names {sorted(unknown)}, expected startprob or transmat; an emission has its own")
        self.n_components, self.emission, self.given, self.fit = n_components, emission, given, fit
        self.fixed = {name: mask for name, mask in fixed.items() if name not in ("startprob", "transmat", "emission")}

    def __call__(self, seed: int | None, number: int) -> Law:
        """The start of a fit; what is drawn for it follows from the seed."""
        K, given = self.n_components, self.given
        all_given = "transmat" in given and getattr(self.emission, "draws_no_start", False)
        rng = _UNUSED if all_given else np.random.default_rng(seed)
        startprob = given["startprob"] if "startprob" in given else np.full(K, 1 / K)
        if "transmat" in given:
            transmat = given["transmat"]
        else:
            stay = 0.0 if number % 2 else 0.5
            transmat = stay * np.eye(K) + (1.0 - stay) * rng.dirichlet(np.ones(K), size=K)
        startprob, transmat = checked_laws(startprob, transmat, K, "init: startprob", "init: transmat")
        emissions = self._emissions(rng)
        if self.fit.stationary:
            startprob = unique_stationary_law(transmat, "start")
        laws = [Law(startprob, transmat, emission) for emission in emissions]
        if len(laws) > 1 and number == 0:
            return most_promising(laws, self.fit)
        return laws[(number - 1) % len(laws)]

    def _emissions(self, rng: np.random.Generator) -> list[Any]:
        K = self.n_components
        emission = copy.deepcopy(self.emission)
        if hasattr(emission, "fixed"):
            emission.fixed = dict(self.fixed)
        found = [emission]
        if hasattr(emission, "initialize"):
            observations, weights = self.fit.evidence.observations, self.fit.weights
            values, offsets, by_row = observations.values, observations.offsets, None
            if observations.missing is not None or np.maximum.reduce(weights != 1):
                values, offsets, by_row = known_rows(self.fit.evidence, weights)
            if hasattr(emission, "rivals"):
                found += emission.rivals(values, offsets, K, rng, by_row)
            emission.initialize(values, K, rng, by_row)
        for one in found:
            if hasattr(one, "check"):
                one.check(K)
        return [self._numbered_as_labelled(one) for one in found]

    def _numbered_as_labelled(self, emission: Any) -> Any:
        """Number states that come from the data as known labels do; those that are given by hand stay as they are."""
        order = labelled_order(emission, self.fit.evidence, self.fit.weights, self.n_components)
        if order is None:
            return emission
        moved = copy.deepcopy(emission)
        moved.reorder(order)
        given = {name: value for name, value in getattr(self.emission, "__dict__", {}).items() if value is not None}
        untouched = all(same_values(getattr(moved, name), getattr(emission, name)) for name in given)
        return moved if untouched else emission


def checked_laws(startprob: Any, transmat: Any, K: int, start_name: str, name: str) -> tuple[Floats, Floats]:
    """Both laws as arrays; refused under these names where they are none."""
    return check_law(start_name, startprob, K), check_stochastic_matrix(name, transmat, shape=(K, K))


def labelled_order(emission: Any, evidence: Evidence, weights: Floats, n_components: int) -> Ints | None:
    """The order in which states explain what is labelled with them; None where they do, or nothing tells."""
    if evidence.states is None or not hasattr(emission, "reorder"):
        return None
    observations = evidence.observations
    by_row = np.repeat(weights, np.diff(observations.offsets))
    use = (evidence.states >= 0) & (by_row > 0)
    if observations.missing is not None:
        use &= ~observations.missing
    rows = np.flatnonzero(use)
    rows = rows[:: -(-len(rows) // _MOST) or 1]  # evenly spaced, where they are many
    table = np.asarray(emission.log_likelihood(observations.values[rows])) if len(rows) else np.empty((0, 0))
    if table.shape != (len(rows), n_components) or np.isnan(table).any():  # refused where it is used
        return None
    order = order_of_labels(table, evidence.states[rows], by_row[rows])
    return None if (order == np.arange(n_components)).all() else order


def known_rows(evidence: Evidence, weights: Floats) -> tuple[Array, Ints, Floats]:
    """Rows of which something is known, of sequences that count; their offsets; the weight of each."""
    observations = evidence.observations
    by_row = np.repeat(weights, np.diff(observations.offsets))
    keep = by_row > 0
    if observations.missing is not None:
        keep &= ~observations.missing
    if keep.all():
        return observations.values, observations.offsets, by_row
    before = np.concatenate([[0], np.cumsum(keep)])
    return observations.values[keep], before[observations.offsets], by_row[keep]


def most_promising(laws: list[Law], fit: Fit) -> Law:
    """The law from which EM gets farthest in a few iterations; the first of those that get equally far."""
    part, weights = excerpt(fit.evidence, fit.weights)
    trial = Fit(part, weights, fit.priors, fit.held, method="em", stationary=fit.stationary)
    reached = []
    for law in laws:
        monitor = ConvergenceMonitor(-math.inf, _ITERATIONS, verbose=False)
        with contextlib.suppress(ValueError):  # impossible from here
            trial((law, monitor))
        reached.append(max(monitor.history, default=-math.inf))
    return laws[int(np.argmax(reached))]


def excerpt(evidence: Evidence, weights: Floats) -> tuple[Evidence, Floats]:
    """Parts of the sequences, evenly spaced in an order that does not depend on that of the sequences."""
    observations = evidence.observations
    offsets, values = observations.offsets, observations.values
    n_samples = int(offsets[-1])
    if n_samples <= _MOST:
        return evidence, weights
    numbers = -(-np.diff(offsets) // _CUT)
    of_sequence = np.repeat(np.arange(len(numbers)), numbers)
    place = np.arange(len(of_sequence)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    begins = offsets[of_sequence] + place * _CUT
    ends = np.minimum(begins + _CUT, offsets[of_sequence + 1])
    order = np.lexsort([*values[begins].T, *values[(begins + ends) // 2].T, ends - begins])
    chosen = order[:: -(-n_samples // _MOST)]
    rows = np.concatenate([np.arange(begins[c], ends[c]) for c in chosen])
    missing = None if observations.missing is None else observations.missing[rows]
    part = Evidence(
        Observations(
            np.ascontiguousarray(values[rows]),
            np.concatenate([[0], np.cumsum((ends - begins)[chosen])]),
            observations.layout,
            missing,
        ),
        evidence.distinct,
        None if evidence.rows is None else evidence.rows[rows],
        None if evidence.states is None else evidence.states[rows],
        evidence.n_components,
    )
    return part, weights[of_sequence[chosen]]
