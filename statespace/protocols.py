"""The verbs as Protocols, and the array aliases that every signature uses."""

from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


class Scored(Protocol):
    """What `compare` asks of a model, one of this package's or your own; parameters as scikit-learn has them.

    A model some of whose log-likelihoods are not to be counted has besides `scored_steps(X)`, a truth value a step in
    the form of X: those of linear dynamical systems leave the diffuse start out.
    """

    support: str
    """What it predicts: "categories", "counts" or "reals"; another word where it is none of these."""

    @property
    def n_parameters(self) -> int:
        """Free parameters, once fitted."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Arguments of `__init__`, so that an unfitted copy can be made."""

    def fit(self, X: Any) -> Self:
        """Learn from one sequence or a list of them."""

    def log_likelihood(self, X: Any, *, by: str) -> Any:
        """With by="step", log p(x_n | x_1..x_{n-1}) of every step, NaN where not scored; a list for a list."""


class Predicting(Scored, Protocol):
    """What `compare` asks besides where `event=` or `bins=` is given."""

    def predictive(self, X: Any) -> Any:
        """The PredictiveLaw of every step and of the next; a list for a list."""
