"""Major earthquakes of the world, counted by year: the series on which Poisson hidden Markov models are taught."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from statespace.datasets.shipped import pandas_or_told, read_rows
from statespace.protocols import Ints

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class EarthquakeCounts:
    """Numbers of earthquakes a year."""

    name: str
    """What was counted, and where."""
    years: Ints
    """Without a hole, shape (n_samples,)."""
    counts: Ints
    """Earthquakes of each year, shape (n_samples,)."""
    unit: str
    source: str
    licence: str

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas DataFrame indexed by year, with the column `count`."""
        pd = pandas_or_told()
        return pd.DataFrame({"count": self.counts}, index=pd.Index(self.years, name="year"))

    def __len__(self) -> int:
        return self.counts.size

    def __repr__(self) -> str:
        return f"EarthquakeCounts({self.name!r}, {len(self)} years, {self.years[0]} to {self.years[-1]}, {self.unit})"


def load_earthquakes() -> EarthquakeCounts:
    """Earthquakes of magnitude 7 and more in the world, a year, 1900 to 2006: 107 years, without a hole.

    Returns
    -------
    EarthquakeCounts
        `years` (107,) and `counts` (107,); fresh arrays at every call.

    Notes
    -----
    Source: United States Geological Survey; printed as table 1.1 of W. Zucchini and I. L. MacDonald, Hidden Markov
    Models for Time Series, Chapman and Hall 2009. Licence: work of the United States government, public domain.

    The counts vary more than a Poisson law allows (mean 19.4, variance 51.6), and neighbours are alike: a hidden state,
    quiet or active, explains both.

    Examples
    --------
    >>> from statespace.datasets import load_earthquakes
    >>> quakes = load_earthquakes()
    >>> quakes
    EarthquakeCounts('Earthquakes of magnitude 7 and more', 107 years, 1900 to 2006, a year)
    >>> quakes.counts[:5].tolist()
    [13, 14, 8, 10, 16]
    """
    rows = read_rows("earthquakes.csv")
    return EarthquakeCounts(
        name="Earthquakes of magnitude 7 and more",
        years=np.array([int(year) for year, _ in rows], dtype=np.int64),
        counts=np.array([int(count) for _, count in rows], dtype=np.int64),
        unit="a year",
        source="United States Geological Survey, as in Zucchini and MacDonald (2009), table 1.1",
        licence="public domain (work of the United States government)",
    )
