r"""Tables of probabilities: what emissions of symbols and of counts of categories have in common.

    emissionprob[k, d] \propto counts[k, d] + emissionprob_prior[k, d] - 1

is the M-step from expected counts; zeros and held entries stay as they are, and the others of their row share the rest.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from statespace.foundations.free_rows import FreeRows
from statespace.foundations.stochastic_matrix import check_stochastic_matrix
from statespace.hmm.baum_welch import share
from statespace.hmm.emissions.emission import ByValue, archived, check_masks, from_archived, reordered_masks
from statespace.protocols import Array, Floats, Ints

_LEAST = 1e-300  # a free probability is not 0, or it would be free no longer


class ProbabilityTable(ByValue):
    """An emission whose parameters are a law over columns in each state."""

    _archived: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]]
    """Names of the options, and of what is learnt."""
    emissionprob_prior: Any
    emissionprob: Any
    fixed: dict[str, Any]

    def __repr__(self) -> str:
        shape = "" if self.emissionprob is None else f" of {'x'.join(map(str, np.shape(self.emissionprob)))}"
        return f"<{type(self).__name__}{shape}>"

    @property
    def n_components(self) -> int:
        """How many states have a law."""
        return len(self.emissionprob)

    @property
    def draws_no_start(self) -> bool:
        """Whether there is nothing to draw for a start."""
        return self.emissionprob is not None

    @property
    def n_parameters(self) -> int:
        """Probabilities that are free: neither zero nor held, less one a state."""
        if not self.fixed and np.minimum.reduce(self.emissionprob, axis=None) > 0:
            return int(self.emissionprob.size - len(self.emissionprob))
        return int(np.maximum(self._space().free.sum(axis=1) - 1, 0).sum())

    def _space(self) -> FreeRows:
        return FreeRows(self.emissionprob, self.fixed.get("emissionprob"))

    def _pseudo_counts(self) -> Floats:
        """What the prior adds to the counts, shape (n_components, n_columns)."""
        if type(self.emissionprob_prior) is float and self.emissionprob_prior == 1.0:
            return np.zeros(self.emissionprob.shape)
        prior = np.asarray(self.emissionprob_prior, np.float64)
        try:
            counts: Floats = np.broadcast_to(prior, self.emissionprob.shape) - 1.0
        except ValueError:
            raise ValueError(
                f"emissionprob_prior has shape {prior.shape}, expected a number or shape {self.emissionprob.shape}"
            ) from None
        if not (np.isfinite(counts) & (counts >= 0)).all():
            raise ValueError(
                f"emissionprob_prior is {self.emissionprob_prior!r:.60}, expected numbers of at least 1, which is none"
            )
        return counts

    def check(self, n_components: int) -> None:
        """Refuse an emissionprob that is no law in each row, and a prior and masks that do not fit it."""
        if self.emissionprob is None:
            raise ValueError("emissionprob is not known yet: fit the model, or assign emissionprob before it is used")
        rows = np.asarray(self.emissionprob)
        if rows.ndim != 2 or len(rows) != n_components:
            raise ValueError(
                f"emissionprob has shape {rows.shape}: it must have shape (n_components, n_features), with "
                f"n_components = {n_components}"
            )
        self.emissionprob = check_stochastic_matrix("emissionprob", rows, shape=rows.shape)
        self._pseudo_counts()
        check_masks(self.fixed, {"emissionprob": rows.shape})

    def maximize(self, statistics: tuple[Floats]) -> None:
        """Set the probabilities in proportion to the counts, with those that the prior adds."""
        counts = statistics[0] + self._pseudo_counts()
        self.emissionprob = share(self.emissionprob, counts, self.fixed.get("emissionprob"))

    def log_prior(self) -> float:
        """Log density of the Dirichlet prior, up to a constant."""
        counts = self._pseudo_counts()
        seen = self.emissionprob > 0
        return float((counts[seen] * np.log(self.emissionprob[seen])).sum()) if counts.any() else 0.0

    def to_vector(self) -> Floats:
        """Logarithms of the probabilities that are free, (p,); one of each row is redundant."""
        return self._space().to_vector()

    def from_vector(self, v: Floats) -> None:
        """Set the free probabilities in proportion to exponentials."""
        space = self._space()
        rows = space.rows(np.asarray(v, np.float64))
        self.emissionprob = np.where(space.free, np.maximum(rows, _LEAST), rows)

    def _slope(self, counts: Floats) -> Floats:
        """Gradient of sum counts log emissionprob in the logarithms, (p,)."""
        return self._space().gradient(self.emissionprob, counts)

    def prior_gradient(self) -> Floats:
        """Gradient of `log_prior` in the logarithms, (p,)."""
        return self._slope(self._pseudo_counts())

    def reorder(self, order: Ints) -> None:
        """State k becomes what was state order[k]."""
        self.emissionprob = np.ascontiguousarray(self.emissionprob[order])
        self.fixed = reordered_masks(self.fixed, order)

    def to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Options and arrays from which `from_archive` makes the same emission."""
        return archived(self, *self._archived)

    @classmethod
    def from_archive(cls, header: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return the emission that `to_archive` described."""
        return from_archived(cls, header, arrays, cls._archived[1])
