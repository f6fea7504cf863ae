"""Results of several sequences that came laid end to end: one result, whose rows are laid end to end too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.foundations.predictive import PredictiveLaw
from statespace.lds.results import Disturbances, FilterResult, Repeated, SmoothResult
from statespace.protocols import Floats


def join_filters(results: Sequence[Any], index: Any) -> FilterResult:
    """One result; what belongs to a sequence as a whole becomes a tuple, one entry a sequence."""
    return FilterResult(
        np.concatenate([one.predicted_mean for one in results]),
        np.concatenate([one.filtered_mean for one in results]),
        float(sum(one.log_likelihood for one in results)),
        np.concatenate([one.log_likelihood_steps for one in results]),
        tuple(one.state for one in results),
        tuple(one.form_used for one in results),
        tuple(one.steady_from for one in results),
        tuple(one.n_diffuse_steps for one in results),
        results[0].treatment,
        index,
        np.concatenate([one.predicted_diffuse_cov for one in results]),
        _end_to_end([one.shared_predicted_cov for one in results]),
        _end_to_end([one.shared_filtered_cov for one in results]),
        _InnovationsOfEach(results),
    )


def join_smooths(results: Sequence[Any], index: Any) -> SmoothResult:
    """One result; `lag_one_cov` has a row less for each sequence."""
    return SmoothResult(
        np.concatenate([one.mean for one in results]),
        float(sum(one.log_likelihood for one in results)),
        tuple(one.form_used for one in results),
        index,
        _end_to_end([one.shared_cov for one in results]),
        _end_to_end([one.shared_lag_one_cov for one in results]),
        _DisturbancesOfEach(results),
    )


def join_laws(laws: Sequence[PredictiveLaw], index: Any) -> PredictiveLaw:
    """One law with the rows of all; it has no index, since rows for the steps after each sequence lie between."""
    del index
    return PredictiveLaw(
        mean=np.concatenate([np.asarray(law.mean) for law in laws]),
        cov=np.concatenate([np.asarray(law.cov) for law in laws]),
    )


def join_draws(paths: Sequence[Floats], index: Any) -> Floats:
    """Draws (n_draws, n_samples, ...) with the steps of all."""
    del index
    return np.concatenate(paths, axis=1)


def _end_to_end(parts: Sequence[Repeated]) -> Repeated:
    tables = np.concatenate([part.table for part in parts])
    if all(part.place is None for part in parts):
        return Repeated(tables)
    firsts = np.cumsum([0, *(len(part.table) for part in parts)])
    places = [
        first + (np.arange(len(part.table)) if part.place is None else part.place)
        for part, first in zip(parts, firsts, strict=False)
    ]
    return Repeated(tables, np.concatenate(places))


@dataclass(frozen=True, eq=False)
class _InnovationsOfEach:
    results: Sequence[FilterResult]

    def __call__(self) -> tuple[Floats, Floats]:
        return (
            np.concatenate([one.innovations for one in self.results]),
            np.concatenate([one.innovation_cov for one in self.results]),
        )


@dataclass(frozen=True, eq=False)
class _DisturbancesOfEach:
    results: Sequence[SmoothResult]

    def __call__(self, cov: Floats) -> Disturbances:
        del cov  # each has its own
        found = [
            (one.obs_disturbance, one.obs_disturbance_cov, one.state_disturbance, one.state_disturbance_cov)
            for one in self.results
        ]
        return Disturbances(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
