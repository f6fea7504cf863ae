"""Counts as they come in, and the sums over them that an M-step needs; single counts may be missing."""

from typing import Any

import numpy as np

from statespace.foundations.observations import Observations, read_observations
from statespace.protocols import Array, Floats

_LARGEST = 2**53  # above it a float does not hold every whole number


def read_counts(X: Any, lengths: Any, n_features: int | None = None, largest: int = _LARGEST) -> Observations:
    """Whole numbers from 0 to `largest`, shape (n_samples, n_features): int64, or float64 where some are missing.

    Raises
    ------
    TypeError, ValueError
        Where a number is a fraction or outside that range, or the container is not what it should be.

    """
    found = read_observations(X, lengths, n_features=n_features)
    values = found.values
    seen = ~np.isnan(values)
    wrong = seen & ((values < 0) | (values != np.floor(values)) | (values > largest))
    if wrong.any():
        row, column = (int(i[0]) for i in np.nonzero(wrong))
        expected = "a count: a whole number of at least 0, or NaN" if largest > 1 else "0 or 1, False or True, or NaN"
        raise ValueError(f"X[{row}, {column}] is {values[row, column]:g}, expected {expected}")
    if found.partly_missing:
        return found
    counts = np.where(seen, values, 0).astype(np.int64)
    return Observations(counts, found.offsets, found.layout, found.missing)


def seen_and_filled(X: Array) -> tuple[Floats | None, Floats]:
    """Which entries are known, 1 or 0 (None: all), and the entries, 0 where missing, both (n_samples, n_features)."""
    if X.dtype.kind != "f":
        return None, X.astype(np.float64)
    unknown = np.isnan(X)
    if not unknown.any():
        return None, X
    return (~unknown).astype(np.float64), np.where(unknown, 0.0, X)


def mass_and_sums(X: Array, posteriors: Floats) -> tuple[Floats, Floats]:
    """Expected numbers of the known entries, and of their sums, of each state, both (n_components, n_features)."""
    seen, filled = seen_and_filled(X)
    if seen is None:
        mass = np.broadcast_to(posteriors.sum(axis=0)[:, None], (posteriors.shape[1], X.shape[1]))
    else:
        mass = posteriors.T @ seen
    return mass, posteriors.T @ filled


def known_width(parameter: Any) -> int | None:
    """How many features a parameter, one a state and feature, has; (n_components,) is one feature; None: not known."""
    shape = () if parameter is None else np.shape(parameter)
    return None if not shape else 1 if len(shape) == 1 else int(shape[1])
