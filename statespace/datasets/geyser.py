"""Eruptions of the Old Faithful geyser: how long each lasted, and how long the wait before it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from statespace.datasets.shipped import pandas_or_told, read_rows
from statespace.protocols import Floats

if TYPE_CHECKING:
    import pandas as pd

LONG = 3.0
"""Minutes from which an eruption counts as long."""


@dataclass(frozen=True, eq=False, repr=False)
class Eruptions:
    """Eruptions in the order of time."""

    name: str
    """Which geyser, and when."""
    waiting: Floats
    """Time before each eruption in `unit`, shape (n_samples,)."""
    duration: Floats
    """How long each lasted in `unit`, shape (n_samples,)."""
    unit: str
    source: str
    licence: str

    @property
    def long(self) -> NDArray[np.bool_]:
        """Duration of 3 minutes or more, shape (n_samples,): no short eruption is followed by another."""
        return self.duration >= LONG

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas DataFrame, a row an eruption, with columns `waiting`, `duration` and `long`."""
        pd = pandas_or_told()
        return pd.DataFrame({"waiting": self.waiting, "duration": self.duration, "long": self.long})

    def __len__(self) -> int:
        return self.duration.size

    def __repr__(self) -> str:
        return f"Eruptions({self.name!r}, {len(self)} eruptions, {self.unit})"


def load_old_faithful() -> Eruptions:
    """Old Faithful, Yellowstone, 1 to 15 August 1985: 299 consecutive eruptions.

    Returns
    -------
    Eruptions
        `waiting` (299,) and `duration` (299,) in minutes, and `long` (299,), duration >= 3; fresh arrays at every call.

    Notes
    -----
    Source: A. Azzalini and A. W. Bowman, A look at some data on the Old Faithful geyser, Applied Statistics 39 (1990),
    357-365; the figures as in data `geyser` of the R package MASS. Licence: figures published in that article; the R
    package that carries them is under GPL-2 or GPL-3.

    Eruptions at night were noted as short, medium or long only: whole durations of 2, 3 and 4 minutes are such codes
    where they are no measurement.

    Examples
    --------
    >>> from statespace.datasets import load_old_faithful
    >>> geyser = load_old_faithful()
    >>> geyser
    Eruptions('Old Faithful, August 1985', 299 eruptions, minutes)
    >>> int(geyser.long.sum())
    194
    """
    rows = read_rows("old_faithful.csv")
    return Eruptions(
        name="Old Faithful, August 1985",
        waiting=np.array([float(waiting) for waiting, _ in rows]),
        duration=np.array([float(duration) for _, duration in rows]),
        unit="minutes",
        source="Azzalini and Bowman, Applied Statistics 39 (1990), 357-365, as in `geyser` of the R package MASS",
        licence="figures published in Applied Statistics; the R package that carries them is GPL-2 or GPL-3",
    )
