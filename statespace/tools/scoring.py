"""Log-likelihoods by step as the common currency of all models."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.validation import check_integer
from statespace.protocols import Floats


class StepScorer:
    """A scikit-learn scoring callable: mean log-likelihood a step, in nats.

    A conditional chain of order M does not score its first M steps, so that totals of different orders are sums over
    different steps, and cross-validation on totals favours the longest memory, even on coin tosses. Leaving the first
    `skip` steps of every sequence out, `skip` the highest order in the grid, puts all on the same steps.
    """

    def __init__(self, skip: int = 0) -> None:
        self.skip = check_integer("skip", skip)

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:  # noqa: ARG002  # scikit-learn passes it
        """Mean over the scored steps of `X`, one sequence or a list of them; `y` is ignored."""
        steps = np.concatenate([part[self.skip :] for part in steps_by_sequence(estimator, X)])
        scored = steps[~np.isnan(steps)]
        if not scored.size:
            raise ValueError(
                f"no step is scored after the first {self.skip} of each sequence: pass longer ones or a smaller skip"
            )
        return float(scored.mean())

    def __repr__(self) -> str:
        return f"scorer(skip={self.skip})"


def scorer(skip: int = 0) -> StepScorer:
    """Scoring callable for GridSearchCV and cross_val_score: mean nats a step after the first `skip` of each sequence.

    Examples
    --------
    >>> from statespace import MarkovChain, scorer
    >>> coins = [0, 1, 1, 0, 1, 0, 0, 0, 1, 1]
    >>> round(scorer(skip=2)(MarkovChain(order=0).fit(coins), coins), 4)
    -0.6931

    """
    return StepScorer(skip)


def steps_by_sequence(model: Any, X: Any, exog: Any = None) -> list[Floats]:
    """Log p(x_n | x_1..x_{n-1}) of every step that counts, NaN elsewhere, an array for each sequence of `X`.

    Steps of a diffuse start have a log-likelihood, whose convention no other model shares: a model that has
    `scored_steps` says which of its steps count. `exog` are known inputs, of a model that takes them.
    """
    known = {} if exog is None else {"exog": exog}
    steps = model.log_likelihood(X, by="step", **known)
    parts = [np.asarray(part, dtype=np.float64) for part in (steps if isinstance(steps, list) else [steps])]
    if not hasattr(model, "scored_steps"):
        return parts
    scored = model.scored_steps(X, **known)
    return [
        np.where(np.asarray(counts, dtype=bool), part, np.nan)
        for part, counts in zip(parts, scored if isinstance(scored, list) else [scored], strict=True)
    ]
