"""The one seam of a hidden Markov model: what an emission must be able to do.

An emission is the law of an observation in each of the K states. Four members suffice, in plain NumPy; whatever else
a model can make use of is looked up by name, and a verb that needs what an emission lacks says so.

| member | what it is for |
|---|---|
| `support` | "categories", "counts", "reals" (taken where it is absent) or "mixed": `compare` asks for it |
| `initialize(X, n_components, rng, weights=None)` | starting values from the data; without it the values it came with |
| `read(X, lengths)` | reads data that are not real numbers |
| `marginalises = True` | `log_likelihood` and `m_step` take rows that are partly NaN |
| `statistics(X, posteriors)`, `maximize(statistics)` | `m_step` in two halves: sums over the data, and the rest |
| `check(n_components)` | refuses parameters that do not fit together |
| `fixed` | parameters held by `fixed=`: name -> True or a mask |
| `log_prior()` | log density, up to a constant, of the priors that `m_step` uses |
| `reorder(order)` | new state k is what was state order[k] |
| `cdf(x)`, `mean()`, `cov()` | P(X <= x), E X and Cov X in each state: intervals, events, moments of forecasts |
| `to_vector()`, `from_vector(v)`, `gradient(X, posteriors)` | free parameters without bounds: `method="lbfgs"` |
| `to_archive()`, `from_archive(header, arrays)` | `save` and `load` |
"""

import copy
from typing import Any, Protocol

import numpy as np

from statespace.protocols import Array, Floats, Ints


class Emission(Protocol):
    """The law of an observation in each state; all that a user has to write."""

    @property
    def n_parameters(self) -> int:
        """Free parameters that `m_step` estimates."""

    def log_likelihood(self, X: Array) -> Floats:
        """Log p(x_n | z_n = k), shape (n_samples, n_components), of observations (n_samples, n_features)."""

    def m_step(self, X: Array, posteriors: Floats) -> None:
        """Set the parameters to maximise sum_n sum_k posteriors[n, k] log p(x_n | z_n = k).

        `posteriors` has shape (n_samples, n_components). A state without posterior mass keeps its parameters.
        """

    def sample(self, states: Ints, rng: np.random.Generator) -> Array:
        """One observation for each of `states` (n,): shape (n,) or (n, n_features)."""


class ByValue:
    """Equal to another of its class with the same values, so that models can be compared by their parameters."""

    __hash__ = None  # type: ignore[assignment]  # its values may change

    def __eq__(self, other: Any) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = vars(self), vars(other)
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)

    def __deepcopy__(
        self, memo: Any
    ) -> Any:  # every fit and every iteration makes one: several times as fast as copy's
        made = type(self).__new__(type(self))
        for name, value in vars(self).items():
            simple = value is None or isinstance(value, str | int | float)
            setattr(made, name, value if simple else copy.deepcopy(value, memo))
        return made


def known_arrays(emission: Any, *names: str) -> dict[str, Array]:
    """Those of the named attributes that have a value, as arrays to save."""
    return {name: np.asarray(value) for name in names if (value := getattr(emission, name)) is not None}
