"""Which of several starts a fit takes: a few iterations tell, on part of the data if they are long.

Clusters of the values miss states that differ in their variance only, and clusters by the distance from the mean those
that differ in their means; EM seldom finds the way from one to the other.
"""

from __future__ import annotations

import contextlib
import math

import numpy as np

from statespace.foundations.em import ConvergenceMonitor
from statespace.foundations.observations import Observations
from statespace.hmm.baum_welch import Law
from statespace.hmm.evidence import Evidence
from statespace.hmm.restarts import Fit
from statespace.protocols import Array, Floats, Ints

_ITERATIONS = 5  # after which the better start is ahead
_MOST = 20_000  # steps on which they are tried
_CUT = 1_000  # steps of a part of a longer sequence


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
