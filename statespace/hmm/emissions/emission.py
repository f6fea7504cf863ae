"""The one seam of a hidden Markov model: what an emission must be able to do.

An emission is the law of an observation in each of the K states. Four members suffice, in plain NumPy; whatever else
a model can make use of is looked up by name, and a verb that needs what an emission lacks says so.

| member | what it is for |
|---|---|
| `support` | "categories", "counts", "reals" (taken where it is absent) or "mixed": `compare` asks for it |
| `initialize(X, n_components, rng, weights=None)` | starting values from the data; without it the values it came with |
| `rivals(X, offsets, n_components, rng, weights)` | other starts, of which a fit takes the most promising |
| `read(X, lengths)` | reads data that are not real numbers |
| `marginalises = True` | `log_likelihood` and `m_step` take rows that are partly NaN |
| `draws_no_start` | True where `initialize` and `rivals` would make no use of `rng` |
| `statistics(X, posteriors)`, `maximize(statistics)` | `m_step` in two halves: sums over the data, and the rest |
| `check(n_components)` | refuses parameters that do not fit together |
| `fixed` | parameters held by `fixed=`: name -> True or a mask |
| `log_prior()` | log density, up to a constant, of the priors that `m_step` uses |
| `reorder(order)` | new state k is what was state order[k] |
| `cdf(x)` | P(X <= x) in each state, (n, n_components) for x (n, 1): intervals, events and `cdf` of forecasts |
| `cdf(x, feature)` | of several features, that of one of them: intervals of each |
| `sf(x)` | P(X > x), where 1 - cdf would be rounded to 0: events far out |
| `mean()`, `cov()` | E X (n_components, n_features) and Cov X in each state: moments of forecasts, order of states |
| `law(weights, index)` | a PredictiveLaw to take the place of the mixture of the states' laws |
| `to_vector()`, `from_vector(v)`, `gradient(X, posteriors)` | free parameters without bounds: `method="lbfgs"` |
| `prior_gradient()` | then also the gradient of `log_prior` |
| `to_archive()`, `from_archive(header, arrays)` | `save` and `load` where attributes are more than numbers and arrays |
"""

import copy
from typing import Any, Protocol, TypeVar

import numpy as np

from statespace.protocols import Array, Floats, Ints

E = TypeVar("E")


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
        return mine.keys() == theirs.keys() and all(same_values(mine[name], theirs[name]) for name in mine)

    def __deepcopy__(
        self, memo: Any
    ) -> Any:  # every fit and every iteration makes one: several times as fast as copy's
        made = type(self).__new__(type(self))
        values = vars(made)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and not value.dtype.hasobject:
                values[name] = value.copy()
            elif value is None or isinstance(value, str | int | float):
                values[name] = value
            elif type(value) is dict and not value:
                values[name] = {}
            else:
                values[name] = copy.deepcopy(value, memo)
        return made


def same_values(mine: Any, theirs: Any) -> bool:
    """Whether two attributes of emissions, arrays or dicts of masks, hold the same."""
    if isinstance(mine, dict):
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)
    return bool(np.array_equal(mine, theirs))


# ---------------------------------------------------------------------------------------------------------------- masks


def check_masks(fixed: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse names that are no parameter, and what is neither True nor a mask of the parameter's shape."""
    for name, held in fixed.items():
        if name not in shapes:
            raise ValueError(f"fixed names {name!r}, expected {', '.join(shapes)}, or of a model startprob, transmat")
        if held is not True and (np.asarray(held).dtype != np.bool_ or np.shape(held) != shapes[name]):
            raise ValueError(
                f"fixed[{name!r}] must be True or a boolean mask of shape {shapes[name]}, got shape {np.shape(held)}"
            )


def reordered_masks(fixed: dict[str, Any], order: Ints, whole: tuple[str, ...] = ()) -> dict[str, Any]:
    """Masks for states in a new order; those in `whole` belong to all states together."""
    return {name: mask if mask is True or name in whole else np.asarray(mask)[order] for name, mask in fixed.items()}


# ---------------------------------------------------------------------------------------------------------------- files


def archived(
    emission: Any, options: tuple[str, ...], learnt: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return options and what is held whole for the header of a file, and arrays to go beside it."""
    header: dict[str, Any] = {"fixed": [name for name, mask in emission.fixed.items() if mask is True]}
    arrays = {name: np.asarray(value) for name in learnt if (value := getattr(emission, name)) is not None}
    for name in options:
        value = getattr(emission, name)
        if value is None or isinstance(value, str | int):
            header[name] = value
        elif np.ndim(value) == 0:
            header[name] = float(value)
        else:
            arrays[f"option {name}"] = np.asarray(value)
    arrays |= {f"fixed {name}": np.asarray(mask) for name, mask in emission.fixed.items() if mask is not True}
    return header, arrays


def from_archived(cls: type[E], header: dict[str, Any], arrays: dict[str, Array], learnt: tuple[str, ...]) -> E:
    """Return the emission that `archived` described."""
    made: Any = cls(**{name: value for name, value in header.items() if name != "fixed"}, **_named("option ", arrays))
    for name in learnt:
        setattr(made, name, arrays.get(name))
    made.fixed = dict.fromkeys(header["fixed"], True) | _named("fixed ", arrays)
    return made  # type: ignore[no-any-return]


def _named(prefix: str, arrays: dict[str, Array]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
