"""Pictures of models and data: each function takes `ax=None` and returns the Axes, or `figure=None` for several panels.

Nothing here calls `show`, changes matplotlib's settings, or touches pyplot when an Axes is given; without one, a new
figure is made. matplotlib is imported by the first picture, not by this module; `pip install "statespace-models[plot]"`
brings it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from statespace.plotting.attention import attention_weights
    from statespace.plotting.calendar import rain_calendar
    from statespace.plotting.comparison import growth_of_parameters, held_out_loss, information_criteria
    from statespace.plotting.diagnostics import innovations_diagnostics
    from statespace.plotting.diagrams import graphical_model
    from statespace.plotting.emissions import emission_densities
    from statespace.plotting.fits import likelihood_history
    from statespace.plotting.forecasts import forecast_fan
    from statespace.plotting.graph import transition_graph
    from statespace.plotting.markov import transition_matrix
    from statespace.plotting.networks import gates, gradient_flow, powers
    from statespace.plotting.plane import smoothed_path
    from statespace.plotting.rain import rain_forecast, rain_report
    from statespace.plotting.smoothed import smoothed_states
    from statespace.plotting.states import decoded_states, state_ribbon
    from statespace.plotting.structural import components

_HOME = {
    "attention_weights": "attention",
    "components": "structural",
    "decoded_states": "states",
    "emission_densities": "emissions",
    "forecast_fan": "forecasts",
    "gates": "networks",
    "gradient_flow": "networks",
    "graphical_model": "diagrams",
    "growth_of_parameters": "comparison",
    "held_out_loss": "comparison",
    "information_criteria": "comparison",
    "innovations_diagnostics": "diagnostics",
    "likelihood_history": "fits",
    "powers": "networks",
    "rain_calendar": "calendar",
    "rain_forecast": "rain",
    "rain_report": "rain",
    "smoothed_path": "plane",
    "smoothed_states": "smoothed",
    "state_ribbon": "states",
    "transition_graph": "graph",
    "transition_matrix": "markov",
}

__all__ = [
    "attention_weights",
    "components",
    "decoded_states",
    "emission_densities",
    "forecast_fan",
    "gates",
    "gradient_flow",
    "graphical_model",
    "growth_of_parameters",
    "held_out_loss",
    "information_criteria",
    "innovations_diagnostics",
    "likelihood_history",
    "powers",
    "rain_calendar",
    "rain_forecast",
    "rain_report",
    "smoothed_path",
    "smoothed_states",
    "state_ribbon",
    "transition_graph",
    "transition_matrix",
]


def __getattr__(name: str) -> Any:
    """Import the module of a picture when the picture is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Every public name, imported or not."""
    return sorted(__all__)
