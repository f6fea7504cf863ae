"""Probabilistic models of sequences: one vocabulary, one scale, fast on a CPU.

`import statespace` loads nothing else; each public name is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from statespace import datasets, hmm, lds, markov, plotting
    from statespace.foundations.calendar import regular
    from statespace.foundations.em import ConvergenceWarning
    from statespace.foundations.parameter_count import ParameterCount, count_parameters
    from statespace.foundations.predictive import PredictiveLaw
    from statespace.hmm.model import HMM
    from statespace.lds.model import LinearDynamicalSystem
    from statespace.markov.chain import MarkovChain
    from statespace.tools.compare import Comparison, compare
    from statespace.tools.component_selection import ComponentSelection, select_n_components
    from statespace.tools.loading import load
    from statespace.tools.scoring import scorer
    from statespace.tools.selection import OrderSelection, select_order

_HOME = {
    "HMM": "statespace.hmm.model",
    "ConvergenceWarning": "statespace.foundations.em",
    "Comparison": "statespace.tools.compare",
    "ComponentSelection": "statespace.tools.component_selection",
    "LinearDynamicalSystem": "statespace.lds.model",
    "MarkovChain": "statespace.markov.chain",
    "OrderSelection": "statespace.tools.selection",
    "ParameterCount": "statespace.foundations.parameter_count",
    "PredictiveLaw": "statespace.foundations.predictive",
    "compare": "statespace.tools.compare",
    "count_parameters": "statespace.foundations.parameter_count",
    "load": "statespace.tools.loading",
    "regular": "statespace.foundations.calendar",
    "scorer": "statespace.tools.scoring",
    "select_n_components": "statespace.tools.component_selection",
    "select_order": "statespace.tools.selection",
}
_PACKAGES = ("datasets", "hmm", "lds", "markov", "neural", "plotting")

__all__ = [  # noqa: RUF022  # models, tools, packages
    "HMM",
    "LinearDynamicalSystem",
    "MarkovChain",
    "PredictiveLaw",
    "ConvergenceWarning",
    "Comparison",
    "ComponentSelection",
    "OrderSelection",
    "ParameterCount",
    "compare",
    "count_parameters",
    "load",
    "regular",
    "scorer",
    "select_n_components",
    "select_order",
    "datasets",
    "hmm",
    "lds",
    "markov",
    "neural",
    "plotting",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _PACKAGES:
        value = importlib.import_module(f"statespace.{name}")
    else:
        raise AttributeError(f"module 'statespace' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
