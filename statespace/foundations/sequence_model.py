"""What every model of sequences does the same way, once it can give log-likelihoods by step."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Self

import numpy as np

from statespace.foundations.archive import write_archive
from statespace.foundations.estimator import Estimator, clone
from statespace.foundations.executors import map_pieces
from statespace.protocols import Array


class SequenceModel(Estimator):
    """Verbs on top of `log_likelihood`, `n_parameters` and `fit`, which each family brings."""

    fit: Callable[..., Self]
    log_likelihood: Callable[..., Any]
    _to_archive: Callable[[], tuple[dict[str, Any], dict[str, Array]]]

    @property
    def n_parameters(self) -> int:
        """Free parameters that were estimated."""
        raise AttributeError("n_parameters")

    def score(self, X: Any, lengths: Any = None) -> float:
        """Total log-likelihood of `X` in nats."""
        return float(self.log_likelihood(X, lengths))

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Akaike's information criterion, 2 n_parameters - 2 log L; less is better (Akaike 1974)."""
        return 2 * self.n_parameters - 2 * self.score(X, lengths)

    def bic(self, X: Any, lengths: Any = None) -> float:
        """Schwarz's criterion, log(n) n_parameters - 2 log L, n the number of scored steps (Schwarz 1978)."""
        if hasattr(self, "scored_steps"):  # a diffuse step has a log-likelihood, and is none of those that are counted
            scored = self.scored_steps(X, lengths)
            n_steps = sum(int(np.count_nonzero(part)) for part in (scored if isinstance(scored, list) else [scored]))
        else:
            steps = self.log_likelihood(X, lengths, by="step")
            parts = steps if isinstance(steps, list) else [steps]
            n_steps = sum(int(np.count_nonzero(~np.isnan(part))) for part in parts)
        if not n_steps:
            raise ValueError(
                "no step of X is scored, so bic has no n: the sequences are shorter than the model's context"
            )
        return math.log(n_steps) * self.n_parameters - 2 * self.score(X, lengths)

    def fit_each(
        self, X: Any, executor: Executor | None = None, *, exog: Any = None, progress: bool = False
    ) -> list[Self]:
        """One fitted model for each series.

        Parameters
        ----------
        X : list of sequences, panel (series, time, feature) or frame
            A frame has a series a column.
        executor : concurrent.futures.Executor, optional
            Shares out the work; threads without it.
        exog : list or panel (series, time, input), optional
            Known inputs of each series, None for one that has none, for models whose `fit` takes them; of a frame `X`
            also a frame with the same columns, an input each.
        progress : bool
            Show a progress bar.

        Raises
        ------
        TypeError, ValueError
            Where there are not as many `exog` as series, or the model takes none; and what `fit` raises.

        """
        if isinstance(X, str | bytes) or not hasattr(X, "__iter__"):
            raise TypeError(f"fit_each needs a list of sequences, got {type(X).__name__}")
        series = [X[column] for column in X.columns] if hasattr(X, "columns") else list(X)
        if exog is not None:
            series = list(zip(series, self._inputs_of_each(X, exog, len(series)), strict=True))
        fit_one = _FitOne(self, known=exog is not None)
        if not progress:
            return map_pieces(fit_one, series, executor)
        try:
            from tqdm.auto import tqdm
        except ImportError:
            raise ImportError('progress=True needs tqdm: pip install "statespace-models[progress]"') from None
        with tqdm(total=len(series), unit="series") as bar:
            return map_pieces(fit_one, series, executor, done=bar.update)

    def _inputs_of_each(self, X: Any, exog: Any, n: int) -> list[Any]:
        if not takes_exog(self):
            raise TypeError(f"exog is given, and a {type(self).__name__} takes no known inputs")
        if hasattr(exog, "columns") and hasattr(X, "columns"):
            if list(exog.columns) != list(X.columns):
                raise ValueError(
                    "exog is a frame with other columns than X: give one input for each series, or a list of inputs"
                )
            return [exog[column] for column in exog.columns]
        if not (isinstance(exog, list | tuple) or (isinstance(exog, np.ndarray) and exog.ndim == 3)):
            raise TypeError(
                f"exog is one {type(exog).__name__}, and X is {n} series: give a list of inputs, one for each series, "
                "or a panel (series, time, input)"
            )
        if len(exog) != n:
            raise ValueError(f"exog has inputs of {len(exog)} series, and X is {n} series")
        return list(exog)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file; `statespace.load(path)` reads it back."""
        self._require_fitted()
        header, arrays = self._to_archive()
        write_archive(path, type(self).__name__, header, arrays)


class _FitOne:
    """Picklable, so that processes can do it too."""

    def __init__(self, model: SequenceModel, known: bool) -> None:
        self._model, self._known = model, known

    def __call__(self, series: Any) -> Any:
        if not self._known:
            return clone(self._model).fit(series)
        X, exog = series
        return clone(self._model).fit(X, exog=exog)


def takes_exog(model: Any) -> bool:
    """Whether a model's `fit` takes known inputs, `exog`."""
    return "exog" in inspect.signature(model.fit).parameters
