"""Carbon dioxide in the air above Mauna Loa: a trend, a season, and months in which nobody measured."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from statespace.datasets.shipped import pandas_or_told, read_rows
from statespace.protocols import Floats, Ints

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class CarbonDioxide:
    """Monthly means of a concentration."""

    name: str
    """What was measured, and where."""
    months: NDArray[np.datetime64]
    """Without a hole, dtype datetime64[M], shape (n_samples,)."""
    co2: Floats
    """Mean of the weeks of each month in `unit`; NaN where no week was measured, shape (n_samples,)."""
    weeks: Ints
    """How many weeks each mean is of, 0 to 5, shape (n_samples,)."""
    unit: str
    source: str
    licence: str

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas DataFrame indexed by the first day of each month, with columns `co2` and `weeks`."""
        pd = pandas_or_told()
        index = pd.DatetimeIndex(self.months.astype("datetime64[D]"), name="month", freq="MS")
        return pd.DataFrame({"co2": self.co2, "weeks": self.weeks}, index=index)

    def __len__(self) -> int:
        return self.co2.size

    def __repr__(self) -> str:
        return f"CarbonDioxide({self.name!r}, {len(self)} months, {self.months[0]} to {self.months[-1]}, {self.unit})"


def load_co2() -> CarbonDioxide:
    """Carbon dioxide at Mauna Loa, Hawaii, March 1958 to December 2001: means of 526 months, 5 of them missing.

    Returns
    -------
    CarbonDioxide
        `months` (526,), `co2` (526,) in parts per million by volume, and `weeks` (526,); fresh arrays at every call.

    Notes
    -----
    Source: C. D. Keeling and T. P. Whorf, Scripps Institution of Oceanography, Atmospheric CO2 concentrations derived
    from air samples at sites in the SIO network, in Trends: a compendium of data on global change, Carbon Dioxide
    Information Analysis Center, Oak Ridge National Laboratory 2004; the weekly means as in data `co2` of statsmodels.
    Licence: public domain.

    A month's value is the plain mean of the weekly means whose Saturday falls into the month, of as many as there are:
    four or five in most months, one in March 1958. June and October 1958, and February to April 1964, have none, and
    are NaN. The means that Scripps and NOAA publish by month are made from days, and differ by some tenths.

    Examples
    --------
    >>> from statespace.datasets import load_co2
    >>> air = load_co2()
    >>> air
    CarbonDioxide('Carbon dioxide at Mauna Loa', 526 months, 1958-03 to 2001-12, ppm)
    >>> air.co2[:5].round(2).tolist()
    [316.1, 317.2, 317.43, nan, 315.62]
    >>> air.months[air.weeks == 0].astype(str).tolist()
    ['1958-06', '1958-10', '1964-02', '1964-03', '1964-04']
    """
    rows = read_rows("mauna_loa_co2.csv")
    weeks = np.array([int(number) for _, number, _ in rows], dtype=np.int64)
    totals = np.array([float(total) for _, _, total in rows])
    return CarbonDioxide(
        name="Carbon dioxide at Mauna Loa",
        months=np.array([month for month, _, _ in rows], dtype="datetime64[M]"),
        co2=np.divide(totals, weeks, out=np.full(len(rows), np.nan), where=weeks > 0),
        weeks=weeks,
        unit="ppm",
        source="Keeling and Whorf (2004), Scripps Institution of Oceanography and Oak Ridge National Laboratory",
        licence="public domain",
    )
