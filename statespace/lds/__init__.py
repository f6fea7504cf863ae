"""Linear dynamical systems: Kalman filtering and smoothing, exact gradients, estimation, structural models, ARIMA."""

import importlib
from typing import Any

_HOME = {
    "LinearDynamicalSystem": "model",
    "StructuralModel": "structural",
    "ARIMA": "arima",
    "ParametricModel": "estimation",
    "Component": "component",
    "Level": "components",
    "LocalLinearTrend": "components",
    "SmoothTrend": "components",
    "Seasonal": "components",
    "Cycle": "components",
    "Autoregressive": "components",
    "Regression": "components",
    "Irregular": "components",
    "ArimaProcess": "arima_process",
    "Decomposition": "decomposition",
    "Diagnostics": "diagnostics",
    "FilterResult": "results",
    "SmoothResult": "results",
    "Gradient": "results",
    "State": "results",
}

__all__ = list(_HOME)  # the table above is the list


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'statespace.lds' has no attribute {name!r}")
    return getattr(importlib.import_module(f"statespace.lds.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
