r"""Which entries of the matrices a fit estimates, and how many parameters that makes.

Not every entry that is estimated is a parameter of the law of the observations. A change of basis a -> S a, an origin
of the states, and, with more states than the data can see, a part of the covariances move the entries and leave the
law as it was:

    S = I + E:   dZ = -Z E,  dT = E T - T E,  dQ = E Q + Q E^T,  da1 = E a1,  dP1 = E P1 + P1 E^T,  dc = E c
    origin s:    dd = -Z s,  dc = (I - T) s,  da1 = s
    D Z^T = 0:   dP1 = D,    dQ = D - T D T^T,    dH = 0

Those of them that leave what is held alone are taken off the count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from statespace.lds.system import COEFFICIENTS, System
from statespace.protocols import Array, Floats

COVARIANCES = ("obs_cov", "state_cov", "initial_state_cov")
ESTIMATED = (
    "design",
    "obs_intercept",
    "obs_cov",
    "transition",
    "state_intercept",
    "state_cov",
    "initial_state",
    "initial_state_cov",
)
"""The matrices that a fit can estimate, in the order of their coordinates."""


class FreeEntries(NamedTuple):
    """What is estimated, and below what no covariance may fall."""

    masks: dict[str, Array]
    """Of each matrix (without time axis), True where an entry is estimated; symmetric for covariances. Coefficients of
    known inputs are there where there are inputs."""
    floors: dict[str, Floats]
    """Of each covariance, the least variances, shape (size,): free parts are nowhere below the diagonal matrix."""
    initialization: str
    """"known", "free" (its free entries are estimated), "stationary" or "diffuse"."""
    stable: bool
    """Whether the transition is to be stable."""

    @property
    def matrices(self) -> tuple[str, ...]:
        """The matrices of which entries may be estimated, in the order of their coordinates."""
        return (*ESTIMATED, *(name for name in COEFFICIENTS if name in self.masks))

    def any(self, name: str) -> bool:
        """Whether an entry of the matrix is estimated."""
        return name in self.masks and bool(self.masks[name].any())


def free_entries(
    system: System,
    *,
    covariances: str,
    initialization: str,
    fixed: Mapping[str, Any] | None,
    intercepts: bool,
    stable: bool,
    floors: dict[str, Floats],
) -> FreeEntries:
    """Read `fixed` and the options of a model.

    Parameters
    ----------
    system : System
        Starting values, constant in time.
    covariances : {"full", "diag"}
    initialization : {"known", "free", "stationary", "diffuse"}
    fixed : dict, optional
        From names of matrices to True or a mask of what is held.
    intercepts, stable : bool
    floors : dict

    Raises
    ------
    TypeError, ValueError
        Where a name or a mask is not one, in words, and where the likelihood has no maximum.

    """
    if not isinstance(fixed, Mapping | None):
        raise TypeError(f"fixed is {fixed!r:.60}, expected a dict from names to True or a mask: {{'transition': True}}")
    given = dict(fixed or {})
    inputs = [name for name in COEFFICIENTS if getattr(system, name) is not None]
    unknown = given.keys() - {*ESTIMATED, *inputs, "selection"}
    if unknown:
        raise ValueError(f"fixed names {sorted(unknown)}; it can hold {', '.join([*ESTIMATED, *inputs])}")
    given.pop("selection", None)  # it is never estimated
    masks: dict[str, Array] = {}
    for name in (*ESTIMATED, *inputs):
        shape = _constant(system, name).shape
        free: Array = np.ones(shape, dtype=bool)
        if name in COVARIANCES and covariances == "diag":
            free = np.eye(shape[0], dtype=bool)
        if name in ("obs_intercept", "state_intercept") and not intercepts:
            free[...] = False
        if name.startswith("initial") and initialization != "free":
            free[...] = False
        if name in given:
            free &= ~_held(name, given[name], shape)
        masks[name] = free
    if stable and masks["transition"].any() and not masks["transition"].all():
        raise ValueError("stable=True asks for a transition that is wholly free, and fixed holds some of its entries")
    if system.n_diffuse:
        _check_scale(system, masks)
    return FreeEntries(masks, floors, initialization, stable)


def _held(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    if value is True:
        return np.ones(shape, dtype=bool)
    mask: Any = np.asarray(value)
    if mask.dtype != np.bool_ or mask.shape not in (shape, ()):
        raise ValueError(f"fixed[{name!r}] must be True or a boolean mask of shape {shape}, True where it is held")
    mask = np.asarray(np.broadcast_to(mask, shape))
    if name in COVARIANCES and not np.array_equal(mask, mask.T):
        raise ValueError(f"fixed[{name!r}] is not symmetric, as a mask of a covariance is")
    return np.asarray(mask)


def states_without_unit(system: System, masks: dict[str, Array]) -> Array:
    """States whose unit nothing says that is held, shape (n_states,), bool."""
    T, Z = system.transition[0], system.design[0]
    held = (~masks["design"] & (Z != 0)).any(axis=0) | ~np.diagonal(_state_mask(system, masks))
    off = ~masks["transition"] & (T != 0) & ~np.eye(len(T), dtype=bool)
    held = held | off.any(axis=0) | off.any(axis=1)
    return np.asarray(~held)


def _check_scale(system: System, masks: dict[str, Array]) -> None:
    """A diffuse likelihood depends on the unit of a diffuse state: it has no maximum where nothing says the unit."""
    loose = system.diffuse_loadings.any(axis=1) & states_without_unit(system, masks)
    if loose.any():
        raise ValueError(
            f"state {int(np.argmax(loose))} is diffuse, and neither its column of the design nor its variance is held: "
            "the likelihood then grows without bound as its unit changes. Hold one of them (fixed=), or use "
            "initialization='free' or 'stationary'"
        )


def _state_mask(system: System, masks: dict[str, Array]) -> Array:
    """Which entries of R Q R^T are free, shape (n_states, n_states)."""
    used = system.selection[0] != 0
    return np.asarray((used.astype(int) @ masks["state_cov"].astype(int) @ used.T.astype(int)) > 0)


def blocks(name: str, cov: Floats, free: Array) -> list[Array]:
    """Sets of rows of a covariance that free entries join, or held ones that are not 0; held variances come first.

    Raises
    ------
    ValueError
        If a covariance of two variances that are held is free.

    """
    joined = free | (cov != 0)
    left, found = set(np.flatnonzero(free.any(axis=0)).tolist()), []
    while left:
        block: set[int] = set()
        grown = {min(left)}
        while grown:
            block |= grown
            grown = {int(j) for i in grown for j in np.flatnonzero(joined[i])} - block
        left -= block
        found.append(np.array(sorted(block, key=lambda row: (bool(free[row, row]), row))))
    held = ~np.diagonal(free)
    if (free & held & held[:, None]).any():
        i, j = (int(k) for k in np.argwhere(free & held & held[:, None])[0])
        raise ValueError(
            f"fixed holds the variances {i} and {j} of the {name} and leaves their covariance free: method='em' "
            "estimates it, method='lbfgs' and standard errors ask that it is held too, or one of the variances free"
        )
    return found


def count_parameters(system: System, free: FreeEntries) -> int:
    """Parameters of the law of the observations that were estimated."""
    names = free.matrices
    entries = np.concatenate([_entries(name, free.masks[name]) for name in names])
    total = int(entries.sum())
    moves = _idle_moves(system, names, stationary=free.initialization == "stationary")
    if not total or not len(moves):
        return total
    scale = np.abs(moves).max(axis=0)
    moves = moves / np.where(scale > 0, scale, 1.0)
    of_free = _rank(moves) - _rank(moves[:, ~entries])  # moves that leave what is held alone, and change something
    return total - of_free


def _entries(name: str, matrix: Array) -> Array:
    """A matrix or mask as a vector, a pair of a covariance once."""
    return matrix[np.tril_indices(len(matrix))] if name in COVARIANCES else matrix.ravel()


def _idle_moves(system: System, names: tuple[str, ...], *, stationary: bool) -> Floats:
    """Changes of all entries (n_moves, n_entries) that leave the law of the observations as it is."""
    Z, T, c, V = system.design[0], system.transition[0], system.state_intercept[0], system.disturbance_cov[0]
    a1, P1 = system.initial_state, system.initial_state_cov
    m = len(T)
    if not np.array_equal(system.selection[0], np.eye(m)):  # a change of basis would move the selection, which is held
        return np.zeros((0, 0))
    diffuse = np.asarray(system.diffuse_loadings.any(axis=1))
    zero = {name: np.zeros_like(_constant(system, name)) for name in names}
    moves = []
    for E in _generators(diffuse):
        of_basis = {
            "design": -Z @ E,
            "transition": E @ T - T @ E,
            "state_cov": E @ V + V @ E.T,
            "state_intercept": E @ c,
        }
        if "state_exog" in zero:
            of_basis["state_exog"] = E @ _constant(system, "state_exog")
        moves.append(zero | of_basis | {"initial_state": E @ a1, "initial_state_cov": E @ P1 + P1 @ E.T})
    moves += [zero | {"obs_intercept": -Z @ s, "state_intercept": s - T @ s, "initial_state": s} for s in np.eye(m)]
    kernel = _null_space(Z)
    for i in range(kernel.shape[1]):
        for j in range(i + 1):
            D = np.outer(kernel[:, i], kernel[:, j])
            D = D + D.T
            moves.append(zero | {"state_cov": D - T @ D @ T.T, "initial_state_cov": D})
    for move in moves:
        known = np.zeros(m) if stationary else np.where(diffuse, 0.0, 1.0)
        move["initial_state"] = move["initial_state"] * known
        move["initial_state_cov"] = move["initial_state_cov"] * np.outer(known, known)
    return np.array([np.concatenate([_entries(name, move[name]) for name in names]) for move in moves])


def _generators(diffuse: Array) -> list[Floats]:
    """Changes of basis that keep diffuse states apart from the others, and the volume of their span."""
    m = len(diffuse)
    found, first = [], np.flatnonzero(diffuse)[:1]
    for i in range(m):
        for j in range(m):
            if diffuse[j] and (not diffuse[i] or i == j == first[0]):
                continue
            E = np.zeros((m, m))
            E[i, j] = 1.0
            if i == j and diffuse[i]:
                E[first[0], first[0]] = -1.0
            found.append(E)
    return found


def _constant(system: System, name: str) -> Floats:
    value: Floats = getattr(system, name)
    return value if name.startswith("initial") or name in COEFFICIENTS else value[0]


def _null_space(A: Floats) -> Floats:
    _, s, Vt = np.linalg.svd(A)
    rank = int((s > 1e-10 * s.max(initial=0.0)).sum())
    return np.asarray(Vt[rank:].T)


def _rank(A: Floats) -> int:
    if not A.size:
        return 0
    s = np.linalg.svd(A, compute_uv=False)
    return int((s > 1e-9 * s.max(initial=0.0)).sum())
