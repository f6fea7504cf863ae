"""Small real series shipped with the package, each with its source and licence, and sequences that are drawn."""

from statespace.datasets.carbon_dioxide import CarbonDioxide, load_co2
from statespace.datasets.dates import draw_dates
from statespace.datasets.earthquakes import EarthquakeCounts, load_earthquakes
from statespace.datasets.geyser import Eruptions, load_old_faithful
from statespace.datasets.nile import AnnualFlow, load_nile
from statespace.datasets.play import Play, load_romeo_and_juliet
from statespace.datasets.rain import RainClasses, RainSeries, load_alofi_rain, load_seattle_rain
from statespace.datasets.reber import REBER_SYMBOLS, draw_reber, reber_log_likelihood

__all__ = [
    "REBER_SYMBOLS",
    "AnnualFlow",
    "CarbonDioxide",
    "EarthquakeCounts",
    "Eruptions",
    "Play",
    "RainClasses",
    "RainSeries",
    "draw_dates",
    "draw_reber",
    "load_alofi_rain",
    "load_co2",
    "load_earthquakes",
    "load_nile",
    "load_old_faithful",
    "load_romeo_and_juliet",
    "load_seattle_rain",
    "reber_log_likelihood",
]
