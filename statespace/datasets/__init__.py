"""Small real series shipped with the package, each with its source and licence."""

from statespace.datasets.rain import RainClasses, RainSeries, load_alofi_rain, load_seattle_rain

__all__ = ["RainClasses", "RainSeries", "load_alofi_rain", "load_seattle_rain"]
