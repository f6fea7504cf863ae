"""The verbs as Protocols, and the array aliases that every signature uses."""

from collections.abc import Mapping
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


class RecurrentCell(Protocol):
    """A recurrent cell of your own, for `statespace.neural.CustomNetwork`: one step, and its derivative.

    Arrays are (n, size): the rows of a batch that are still running. `weights` are by the names of `initial_weights`.
    A cell whose state is more than what it shows has `states_per_unit`, 2 for an (h, c): the state is then (n,
    states_per_unit * hidden_size), and its first `hidden_size` columns are the output.
    """

    def initial_weights(self, input_size: int, hidden_size: int, rng: np.random.Generator) -> Mapping[str, Any]:
        """Arrays by name. A name that begins with "bias" is left out of weight decay."""

    def step(self, weights: Mapping[str, Array], x: Array, h: Array) -> tuple[Array, Any]:
        """The next state, and whatever `step_back` needs of this step."""

    def step_back(
        self, weights: Mapping[str, Array], kept: Any, d_h: Array, gradients: Mapping[str, Array]
    ) -> tuple[Array, Array]:
        """Derivatives by x and by the state before, from d_h, those by the state after; adds those by weights."""


class HeadLaw(Protocol):
    """A law of your own for `statespace.neural.Head`: what is observed, given scores that a network computes.

    Scores are (n, n_scores), any real numbers; targets are (n, n_features), n_features being 1 where it is not said,
    without rows that are missing. A law that can leave out single features, NaN, says `marginalises = True`. More that
    it may have: `predictive(scores, index)`, a PredictiveLaw; `start(targets, weights)`, the scores (n_scores,) of the
    law of all targets together; `wrong(targets)`, which entries it refuses, and `expected`, what it says then;
    `n_idle_scores`, how many scores say nothing that the others do not, as one of a softmax does.
    """

    support: str
    """What is predicted: "categories", "counts" or "reals"."""
    n_scores: int
    """Numbers that the law of one observation is made of."""

    def log_likelihood(self, scores: Array, targets: Array) -> Array:
        """Log density or log probability of each row, in nats, shape (n,)."""

    def derivatives(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        """The same, and its derivatives by the scores, shape (n, n_scores)."""

    def sample(self, scores: Array, rng: np.random.Generator, temperature: float) -> Array:
        """A draw of each row, (n,) or (n, n_features), from the law to the power of 1 / temperature."""
