"""How many hidden states? Numbers of components side by side on the same data.

    AIC = 2 p - 2 log L        BIC = log(n) p - 2 log L        p free parameters, n scored steps

More states never fit worse, so that log L alone always wants more. The usual asymptotics do not hold here (with a
state too many, parameters are not identified, and a likelihood-ratio statistic has no chi-squared law); BIC is
consistent all the same (Gassiat and Keribin 2000), and AIC tends to take more states than there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from statespace.foundations.estimator import clone
from statespace.foundations.executors import map_pieces
from statespace.foundations.validation import check_choice, check_integer
from statespace.protocols import Floats, Ints
from statespace.tools.compare import compare
from statespace.tools.table import html_table, text_table

CRITERIA = ("aic", "aicc", "bic", "held_out")


@dataclass(frozen=True, eq=False)
class ComponentSelection:
    """Numbers of components side by side; arrays have one entry a number."""

    components: Ints
    """The numbers that were tried, ascending, shape (n_numbers,)."""
    n_parameters: tuple[int, ...]
    """Free parameters that were estimated."""
    log_likelihood: Floats
    """log L in nats."""
    aic: Floats
    """2 p - 2 log L, p parameters."""
    aicc: Floats
    """aic + 2 p (p + 1) / (n - p - 1); inf where p is too large for n (Hurvich and Tsai 1989)."""
    bic: Floats
    """log(n) p - 2 log L."""
    held_out: Floats | None
    """-mean log p a test step in nats; None without `test`."""
    held_out_error: Floats | None
    """Standard error of the difference of held_out to the best."""
    n_steps: int
    """Scored steps behind log_likelihood."""
    n_test_steps: int | None
    """Scored steps behind held_out."""
    best: dict[str, int]
    """The number that each criterion picks; without held_out where there are no test data, or every loss is inf."""
    criterion: str
    """The criterion that picks `n_components`."""
    models: tuple[Any, ...]
    """The models, each fitted to all the data."""

    @property
    def n_components(self) -> int:
        """The number that the chosen criterion picks."""
        return self.best[self.criterion]

    @property
    def model(self) -> Any:
        """The model with that number, fitted to all the data."""
        return self.models[int(np.flatnonzero(self.components == self.n_components)[0])]

    def to_frame(self) -> Any:
        """A pandas frame, a row a number."""
        try:
            import pandas as pd
        except ImportError:
            raise ImportError('to_frame needs pandas: pip install "statespace-models[frames]"') from None
        names = ["n_parameters", "log_likelihood", "aic", "aicc", "bic"]
        names += [] if self.held_out is None else ["held_out", "held_out_error"]
        index = pd.Index(self.components, name="n_components")
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=index)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        head = ["components", "parameters", "log L", "AIC", "AICc", "BIC"]
        rows = []
        for i, number in enumerate(self.components.tolist()):
            numbers = [self.log_likelihood[i], self.aic[i], self.aicc[i], self.bic[i]]
            rows.append([str(number), str(self.n_parameters[i]), *(f"{value:z.2f}" for value in numbers)])
            if self.held_out is not None and self.held_out_error is not None:
                rows[-1] += [f"{self.held_out[i]:z.4f}", f"{self.held_out_error[i]:z.4f}"]
        return head + ([] if self.held_out is None else ["held-out nats", "s.e."]), rows

    @property
    def _caption(self) -> str:
        picks = ", ".join(f"{criterion} {number}" for criterion, number in self.best.items())
        return f"{self.n_steps} steps; components picked: {picks}"

    def __str__(self) -> str:
        return text_table(*self._cells(), caption=self._caption)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), caption=self._caption)


def select_n_components(
    model: Any,
    X: Any,
    n_components: Iterable[int] = range(1, 6),
    criterion: str = "bic",
    *,
    lengths: Any = None,
    test: Any = None,
    executor: Executor | None = None,
) -> ComponentSelection:
    """Fit clones of a model with several numbers of components, and pick one.

    Parameters
    ----------
    model : estimator with a parameter n_components
        Such as an `HMM`, best with some restarts (n_init): criteria compare maxima, and a fit may end at a lower one.
    X, lengths
        As in the model's `fit`.
    n_components : iterable of int
        The numbers to try.
    criterion : {"bic", "aic", "aicc", "held_out"}
        What picks the number: the least AIC, AICc, BIC or held-out loss.
    test : int or list of sequences, optional
        Held-out data as in `compare`; fitting for `held_out` leaves them out, the other columns use all of `X`.
    executor : concurrent.futures.Executor, optional
        Shares out the fits; threads without it.

    Raises
    ------
    TypeError
        If the model has no parameter n_components.
    ValueError
        If there is no number to try, or "held_out" is asked for without `test`.

    Examples
    --------
    >>> from statespace.hmm import HMM, PoissonEmission
    >>> counts = [1, 0, 2, 1, 0, 9, 8, 11, 9, 10, 1, 0, 1, 2, 0, 12, 9, 8, 10, 11] * 2
    >>> select_n_components(HMM(emission=PoissonEmission(), random_state=0), counts, [1, 2, 3]).n_components
    2

    """
    check_choice("criterion", criterion, CRITERIA)
    if criterion == "held_out" and test is None:
        raise ValueError("criterion='held_out' needs test=, the number of last steps to hold out, or sequences")
    if not hasattr(model, "get_params") or "n_components" not in model.get_params():
        raise TypeError(
            f"model is {type(model).__name__}, which has no parameter n_components: expected such as an HMM"
        )
    if isinstance(n_components, int):
        raise TypeError(
            f"n_components is {n_components}, expected several numbers, such as range(1, {n_components + 1})"
        )
    numbers = sorted({check_integer("n_components", number, 1) for number in n_components})
    if not numbers:
        raise ValueError("n_components is empty: give at least one number")

    def of(number: int) -> Any:
        return clone(model).set_params(n_components=number)

    fitted = map_pieces(_Fit(X, lengths), [of(number) for number in numbers], executor)
    models = tuple(one for one, _ in fitted)
    steps = np.stack([scored for _, scored in fitted])
    n_steps = int(np.count_nonzero(~np.isnan(steps[0])))
    log_likelihood = np.nansum(steps, axis=1)
    n_parameters = tuple(int(one.n_parameters) for one in models)
    prices = np.array([float(count) for count in n_parameters])
    aic = 2 * prices - 2 * log_likelihood
    spare = n_steps - prices - 1
    aicc = np.where(spare > 0, aic + 2 * prices * (prices + 1) / np.where(spare > 0, spare, 1), np.inf)
    bic = np.log(n_steps) * prices - 2 * log_likelihood

    comparison = None
    if test is not None:
        comparison = compare({str(number): of(number) for number in numbers}, _sequences(X, lengths), test=test)
    best = {"aic": numbers[np.argmin(aic)], "aicc": numbers[np.argmin(aicc)], "bic": numbers[np.argmin(bic)]}
    if comparison is not None and np.isfinite(comparison.held_out_nats).any():
        best["held_out"] = numbers[int(np.argmin(comparison.held_out_nats))]
    if criterion not in best:
        raise ValueError("every number of components gives the test data probability 0, so held-out loss picks none")
    return ComponentSelection(
        components=np.array(numbers),
        n_parameters=n_parameters,
        log_likelihood=log_likelihood,
        aic=aic,
        aicc=aicc,
        bic=bic,
        held_out=None if comparison is None else comparison.held_out_nats,
        held_out_error=None if comparison is None else comparison.difference_error,
        n_steps=n_steps,
        n_test_steps=None if comparison is None else comparison.n_test_steps,
        best=best,
        criterion=criterion,
        models=models,
    )


class _Fit:
    """Fit a model, and score the steps of its data; picklable."""

    def __init__(self, X: Any, lengths: Any) -> None:
        self.X, self.lengths = X, lengths

    def __call__(self, model: Any) -> tuple[Any, Floats]:
        model.fit(self.X, self.lengths)
        steps = model.log_likelihood(self.X, self.lengths, by="step")
        return model, np.concatenate(steps if isinstance(steps, list) else [np.asarray(steps)])


def _sequences(X: Any, lengths: Any) -> Any:
    """Flat data as a list of sequences."""
    if lengths is None:
        return X
    ends = np.cumsum(np.asarray(lengths)).tolist()
    rows = X.iloc if hasattr(X, "iloc") else X
    return [rows[a:b] for a, b in pairwise([0, *ends])]
