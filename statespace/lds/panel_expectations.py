"""The expectation step of many sequences of one system: those that show the same entries share their gains."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from statespace.lds.dynamics import make_dynamics
from statespace.lds.expectation_maximisation import Expectations, expect
from statespace.lds.frames import Frames, make_frames
from statespace.lds.panel import cut_frames, join_frames, panel_log_likelihoods, whole_log_likelihoods
from statespace.lds.panel_states import add_gradients, panel_gradient, states_together
from statespace.lds.smoother import Backward
from statespace.lds.system import System
from statespace.protocols import Floats, Ints


def expect_panel(system: System, frames: Frames, offsets: Ints, weights: Floats | None = None) -> Expectations:
    """As `expect`, of sequences end to end.

    Parameters
    ----------
    system : System
        Constant in time.
    frames : Frames
        Those of all sequences end to end.
    offsets : (n_sequences + 1,)
    weights : (n_sequences,), optional

    """
    factors = np.ones(len(offsets) - 1) if weights is None else weights
    used = np.flatnonzero(factors)
    bounds = list(pairwise(offsets.tolist()))
    cut, factors = [cut_frames(frames, *bounds[s]) for s in used.tolist()], factors[used]
    dynamics = make_dynamics(system)
    found = states_together(system, dynamics, cut, True, "auto")
    smoothed = {s: pair[1] for s, pair in enumerate(found) if pair is not None and pair[1] is not None}
    alone = [s for s in range(len(cut)) if s not in smoothed]
    parts = []
    if alone:
        parts.append(expect(system, [cut[s] for s in alone], factors[alone]))
    if smoothed:
        joined, starts = join_frames([cut[s] for s in smoothed])
        own = factors[list(smoothed)]
        gradient = panel_gradient(system, dynamics, joined, starts, own, moments=True)
        every, last = _shared_moments(list(smoothed.values()), own)
        n = len(every) - 1
        parts.append(
            Expectations(
                float(gradient.log_likelihood), gradient, every, every - last, float(last[n, n]), float(every[n, n])
            )
        )
    return _sum(parts)


def panel_log_likelihood(system: System, values: Floats, offsets: Ints, weights: Floats | None = None) -> float:
    """The log-likelihood of sequences end to end of a system that is constant in time, by weights above 0."""
    how = "durbin-koopman", "auto"
    found = whole_log_likelihoods(system, values, offsets, *how)
    if found is None:
        frames = make_frames(system, values)
        found = panel_log_likelihoods(system, make_dynamics(system), frames, offsets, *how)
    return float(found.sum() if weights is None else weights @ found)


def _shared_moments(smoothed: Sequence[Backward], weights: Floats) -> tuple[Floats, Floats]:
    """Weighted sums of E[(a_t, 1) (a_t, 1)^T], over all steps, and of the last one of each sequence."""
    m = smoothed[0].mean.shape[1]
    every, last = np.zeros((m + 1, m + 1)), np.zeros((m + 1, m + 1))
    sharing: dict[int, tuple[Backward, float]] = {}
    for one, weight in zip(smoothed, weights.tolist(), strict=True):
        for sums, mean in ((every, one.mean), (last, one.mean[-1:])):
            sums[:m, :m] += weight * (mean.T @ mean)
            sums[:m, m] += weight * mean.sum(axis=0)
            sums[m, m] += weight * len(mean)
        before = sharing.get(id(one.cov), (one, 0.0))[1]
        sharing[id(one.cov)] = one, before + weight
    for one, weight in sharing.values():
        n = len(one.mean)
        counts = np.bincount(one.place[:n], minlength=len(one.cov)).astype(np.float64)
        used = np.flatnonzero(counts)
        every[:m, :m] += weight * np.tensordot(counts[used], one.cov[used], axes=1)
        last[:m, :m] += weight * one.cov[one.place[n - 1]]
    for sums in (every, last):
        sums[m, :m] = sums[:m, m]
    return every, last


def _sum(parts: Sequence[Expectations]) -> Expectations:
    if len(parts) == 1:
        return parts[0]
    gradient = add_gradients([part.gradient for part in parts])
    return Expectations(
        sum(part.log_likelihood for part in parts),
        gradient,
        *(
            sum((getattr(part, name) for part in parts[1:]), getattr(parts[0], name))
            for name in Expectations._fields[2:]
        ),
    )
