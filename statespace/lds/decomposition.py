r"""A series as the sum of its parts, with what is uncertain about each.

    y_t = sum_k Z_k a_{k,t} + e_t,      E(Z_k a_{k,t} | y_1..y_n),   Var(Z_k a_{k,t} | y_1..y_n)

from the smoothed states: given all observations. Where an observation is there, the means of the parts sum to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.foundations.predictive import Interval
from statespace.foundations.validation import check_probability
from statespace.lds.composition import Composition
from statespace.lds.results import SmoothResult
from statespace.lds.system import System
from statespace.protocols import Floats


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Parts of one series by name; those of `further` are not among the summands."""

    mean: Mapping[str, Floats]
    """E(part_t | y_1..y_n) of each part, shape (n,)."""
    variance: Mapping[str, Floats]
    """Var(part_t | y_1..y_n) of each part, shape (n,)."""
    further: tuple[str, ...] = ()
    """Names of paths that describe a part and are no summand of the observations: a trend's slope."""
    index: Any = None
    """The index that the series came with."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all paths."""
        return tuple(self.mean)

    def interval(self, name: str, level: float = 0.95) -> Interval:
        """Bounds of a part, each of shape (n,), between which it lies with probability `level`, step by step."""
        from scipy.special import ndtri

        if name not in self.mean:
            raise KeyError(f"there is no part {name!r}; there are {', '.join(self.mean)}")
        width = float(ndtri(0.5 + 0.5 * check_probability("level", level))) * np.sqrt(self.variance[name])
        return Interval(self.mean[name] - width, self.mean[name] + width)

    def to_frame(self, level: float = 0.95) -> Any:
        """A pandas frame: of each part `name`, `name_low` and `name_high`.

        Raises
        ------
        ImportError
            If pandas is not installed.

        """
        try:
            import pandas
        except ImportError:
            raise ImportError('to_frame needs pandas: pip install "statespace-models[frames]"') from None
        columns: dict[str, Floats] = {}
        for name, mean in self.mean.items():
            low, high = self.interval(name, level)
            columns |= {name: mean, f"{name}_low": low, f"{name}_high": high}
        return pandas.DataFrame(columns, index=self.index)


def decompose(composition: Composition, system: System, smoothed: SmoothResult, index: Any = None) -> Decomposition:
    """The parts of a series.

    Parameters
    ----------
    composition : Composition
    system : System
        Of the composition, at some parameters.
    smoothed : SmoothResult
        Of the system and the series.
    index : optional
        Of the series.

    """
    n = len(smoothed.mean)
    mean: dict[str, Floats] = {}
    variance: dict[str, Floats] = {}
    further: list[str] = []
    for number, (name, component) in enumerate(zip(composition.part_names, composition.components, strict=True)):
        states = composition.states[number]
        a, P = smoothed.mean[:, states], smoothed.cov[:, states, states]
        if component.n_states:
            design = system.design[:n, 0, states]
            mean[name], variance[name] = _weighted(design, a, P)
        elif component.takes_exog:  # coefficients that are parameters are taken for known
            mean[name], variance[name] = system.obs_intercept[:n, 0], np.zeros(n)
        for word, weights in component.further.items():
            path = word if word not in mean else f"{word}.{name}"
            mean[path], variance[path] = _weighted(np.asarray(weights)[None], a, P)
            further.append(path)
    if system.obs_cov.any():
        mean["irregular"] = smoothed.obs_disturbance[:, 0]
        variance["irregular"] = smoothed.obs_disturbance_cov[:, 0, 0]
    return Decomposition(mean, variance, tuple(further), index)


def join_decompositions(parts: Sequence[Decomposition], index: Any) -> Decomposition:
    """The parts of several series whose rows lie end to end."""
    first = parts[0]
    mean, variance = (
        {name: np.concatenate([getattr(one, field)[name] for one in parts]) for name in first.mean}
        for field in ("mean", "variance")
    )
    return Decomposition(mean, variance, first.further, index)


def _weighted(design: Floats, a: Floats, P: Floats) -> tuple[Floats, Floats]:
    rows = np.broadcast_to(design, a.shape)
    return np.einsum("ti,ti->t", rows, a), np.maximum(np.einsum("ti,tij,tj->t", rows, P, rows), 0.0)
