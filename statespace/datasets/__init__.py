"""Small real series shipped with the package, each with its source and licence."""

from statespace.datasets.earthquakes import EarthquakeCounts, load_earthquakes
from statespace.datasets.geyser import Eruptions, load_old_faithful
from statespace.datasets.rain import RainClasses, RainSeries, load_alofi_rain, load_seattle_rain

__all__ = [
    "EarthquakeCounts",
    "Eruptions",
    "RainClasses",
    "RainSeries",
    "load_alofi_rain",
    "load_earthquakes",
    "load_old_faithful",
    "load_seattle_rain",
]
