"""The annual flow of the Nile: the series on which the local level model is taught."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from statespace.datasets.shipped import pandas_or_told, read_rows
from statespace.protocols import Floats, Ints

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class AnnualFlow:
    """What flowed past in each year."""

    name: str
    """Which river, and where."""
    years: Ints
    """Without a hole, shape (n_samples,)."""
    flow: Floats
    """Volume of each year in `unit`, shape (n_samples,)."""
    unit: str
    source: str
    licence: str

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas DataFrame indexed by year, with the column `flow`."""
        pd = pandas_or_told()
        return pd.DataFrame({"flow": self.flow}, index=pd.Index(self.years, name="year"))

    def __len__(self) -> int:
        return self.flow.size

    def __repr__(self) -> str:
        return f"AnnualFlow({self.name!r}, {len(self)} years, {self.years[0]} to {self.years[-1]}, {self.unit})"


def load_nile() -> AnnualFlow:
    """Annual flow of the Nile at Aswan, 1871 to 1970: 100 years, without a hole.

    Returns
    -------
    AnnualFlow
        `years` (100,) and `flow` (100,) in 10^8 cubic metres; fresh arrays at every call.

    Notes
    -----
    Source: G. W. Cobb, The problem of the Nile: conditional solution to a changepoint problem, Biometrika 65 (1978),
    243-251; the figures as in data `nile` of statsmodels and `Nile` of R. Licence: public domain.

    From 1899 on the river carries about a quarter less. J. Durbin and S. J. Koopman, Time Series Analysis by State
    Space Methods, 2nd edition, Oxford 2012, chapter 2, work through the local level model on this series: variances
    15099 of a year about the level and 1469.1 of the level's step.

    Examples
    --------
    >>> from statespace.datasets import load_nile
    >>> nile = load_nile()
    >>> nile
    AnnualFlow('Nile at Aswan', 100 years, 1871 to 1970, 10^8 cubic metres)
    >>> nile.flow[:5].tolist()
    [1120.0, 1160.0, 963.0, 1210.0, 1160.0]
    """
    rows = read_rows("nile.csv")
    return AnnualFlow(
        name="Nile at Aswan",
        years=np.array([int(year) for year, _ in rows], dtype=np.int64),
        flow=np.array([float(flow) for _, flow in rows]),
        unit="10^8 cubic metres",
        source="Cobb, Biometrika 65 (1978), 243-251",
        licence="public domain",
    )
