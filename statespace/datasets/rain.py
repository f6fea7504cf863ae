"""Daily rain: Seattle in millimetres, Alofi in three classes.

A day is wet when its precipitation is above zero; the wet and dry days are the two symbols of the first chains that
anyone fits to weather (Gabriel and Neumann, 1962).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from statespace.datasets.shipped import pandas_or_told, read_rows
from statespace.protocols import Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

ALOFI_LABELS = ("0", "1-5", "6+")


@dataclass(frozen=True, eq=False, repr=False)
class RainSeries:
    """Daily precipitation with its calendar."""

    name: str
    """Where it rained."""
    dates: NDArray[np.datetime64]
    """One a day, without a hole, dtype datetime64[D], shape (n_samples,)."""
    precipitation: Floats
    """Amount of each day in `unit`, shape (n_samples,)."""
    unit: str
    source: str
    licence: str

    @property
    def wet(self) -> NDArray[np.bool_]:
        """Precipitation > 0, shape (n_samples,)."""
        return self.precipitation > 0

    def to_frame(self) -> "pd.DataFrame":
        """Return the amounts as a pandas DataFrame indexed by date, with columns `precipitation` and `wet`."""
        pd = pandas_or_told()
        index = pd.DatetimeIndex(self.dates, name="date", freq="D")
        return pd.DataFrame({"precipitation": self.precipitation, "wet": self.wet}, index=index)

    def __len__(self) -> int:
        return self.precipitation.size

    def __repr__(self) -> str:
        return f"RainSeries({self.name!r}, {len(self)} days, {self.dates[0]} to {self.dates[-1]}, {self.unit})"


@dataclass(frozen=True, eq=False, repr=False)
class RainClasses:
    """Daily precipitation in ordered classes, without dates."""

    name: str
    """Where it rained."""
    codes: Ints
    """Class of each day, 0 .. n_classes - 1 in rising order of rain, shape (n_samples,)."""
    labels: tuple[str, ...]
    """What each code means, in `unit`."""
    unit: str
    source: str
    licence: str

    @property
    def classes(self) -> NDArray[np.str_]:
        """Label of each day, shape (n_samples,)."""
        return np.array(self.labels)[self.codes]

    @property
    def wet(self) -> NDArray[np.bool_]:
        """Any class but the lowest, which is no rain, shape (n_samples,)."""
        return self.codes > 0

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas DataFrame with the ordered categorical column `rain` and the column `wet`."""
        pd = pandas_or_told()
        rain = pd.Categorical.from_codes(self.codes, categories=pd.Index(self.labels), ordered=True)
        return pd.DataFrame({"rain": rain, "wet": self.wet})

    def __len__(self) -> int:
        return self.codes.size

    def __repr__(self) -> str:
        return f"RainClasses({self.name!r}, {len(self)} days, classes {', '.join(self.labels)} {self.unit})"


def load_seattle_rain() -> RainSeries:
    """Daily precipitation in Seattle, 2012-01-01 to 2015-12-31: 1461 days, without a hole.

    Returns
    -------
    RainSeries
        `dates` (1461,) datetime64[D] and `precipitation` (1461,) in millimetres a day; fresh arrays at every call.

    Notes
    -----
    Source: `seattle-weather.csv` of the vega datasets, compiled from the daily summaries of the United States National
    Climatic Data Center (NOAA). Only the dates and the precipitation are kept. Licence: work of the United States
    government, public domain; the compilation is under the MIT licence.

    Examples
    --------
    >>> from statespace.datasets import load_seattle_rain
    >>> rain = load_seattle_rain()
    >>> rain
    RainSeries('Seattle', 1461 days, 2012-01-01 to 2015-12-31, mm)
    >>> int(rain.wet.sum())
    623
    """
    rows = read_rows("seattle_rain.csv")
    return RainSeries(
        name="Seattle",
        dates=np.array([date for date, _ in rows], dtype="datetime64[D]"),
        precipitation=np.array([float(amount) for _, amount in rows]),
        unit="mm",
        source="vega datasets, seattle-weather.csv, from the daily summaries of NOAA's National Climatic Data Center",
        licence="public domain (work of the United States government)",
    )


def load_alofi_rain() -> RainClasses:
    """Daily rain at Alofi, Niue, in three classes: 1096 consecutive days.

    Returns
    -------
    RainClasses
        `codes` (1096,) with 0 for no rain, 1 for 1 to 5 mm, 2 for 6 mm and more; `labels` ("0", "1-5", "6+") in
        millimetres a day; fresh arrays at every call. The source gives no dates.

    Notes
    -----
    Source: P. J. Avery and D. A. Henderson, Fitting Markov chain models to discrete state series such as DNA sequences,
    Applied Statistics 48 (1999), 53-61; the figures as in data `rain` of the R package markovchain. Licence: figures
    published in that article; the R package that carries them is under the MIT licence or GPL-2, by version.

    Examples
    --------
    >>> from statespace.datasets import load_alofi_rain
    >>> rain = load_alofi_rain()
    >>> rain
    RainClasses('Alofi', 1096 days, classes 0, 1-5, 6+ mm)
    >>> rain.classes[:3].tolist()
    ['6+', '1-5', '1-5']
    """
    rows = read_rows("alofi_rain.csv")
    return RainClasses(
        name="Alofi",
        codes=np.array([int(code) - 1 for code, _ in rows], dtype=np.int64),
        labels=ALOFI_LABELS,
        unit="mm",
        source="Avery and Henderson, Applied Statistics 48 (1999), 53-61, as in `rain` of the R package markovchain",
        licence="figures published in Applied Statistics; the R package that carries them is MIT or GPL-2, by version",
    )
