"""How long is the memory? Orders of a Markov chain on the same steps.

Order M is fitted and scored on the series without its first max_order - M steps, so that every order predicts the same
steps from complete contexts, its counts are sums of those of the highest order, and the likelihood-ratio statistics

    2 (log L_{M+1} - log L_M)   against chi-squared with K^M (K - 1)^2 degrees of freedom

compare maxima over the same steps. With gaps, each run between them is treated so.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from statespace.foundations.contexts import check_codes_fit
from statespace.foundations.parameter_count import count_parameters
from statespace.foundations.sequences import SymbolSequences, read_symbols
from statespace.foundations.validation import check_choice, check_integer
from statespace.markov.chain import MarkovChain
from statespace.protocols import Floats, Ints
from statespace.tools.compare import compare
from statespace.tools.table import html_table, text_table

CRITERIA = ("aic", "aicc", "bic", "likelihood_ratio", "held_out")
_SIGNIFICANCE = 0.05


@dataclass(frozen=True, eq=False)
class OrderSelection:
    """Orders 0..max_order side by side; arrays have one entry an order."""

    orders: Ints
    """0, 1, ..., max_order, shape (n_orders,)."""
    n_parameters: tuple[int, ...]
    """K^M (K - 1)."""
    log_likelihood: Floats
    """log L of the common steps in nats."""
    aic: Floats
    """2 p - 2 log L, p parameters."""
    aicc: Floats
    """aic + 2 p (p + 1) / (n - p - 1); inf where p is too large for n (Hurvich and Tsai 1989)."""
    bic: Floats
    """log(n) p - 2 log L."""
    likelihood_ratio: Floats
    """2 (log L_{M+1} - log L_M); NaN for the highest order, and with smoothing, which does not maximise log L."""
    degrees_of_freedom: tuple[int, ...]
    """K^M (K - 1)^2 of that test."""
    p_value: Floats
    """P(chi-squared >= likelihood_ratio); NaN where the statistic is."""
    held_out: Floats | None
    """-mean log p a test step in nats; None without `test`."""
    held_out_error: Floats | None
    """Standard error of the difference of held_out to the best."""
    n_steps: int
    """Common steps behind log_likelihood."""
    n_test_steps: int | None
    """Common steps behind held_out."""
    best: dict[str, int]
    """The order that each criterion picks; without those that pick none (no test data, infinite losses, smoothing)."""
    criterion: str
    """The criterion that picks `order`."""
    model: MarkovChain
    """A chain of that order, fitted to all the data."""

    @property
    def order(self) -> int:
        """The order that the chosen criterion picks."""
        return self.best[self.criterion]

    def to_frame(self) -> Any:
        """A pandas frame, a row an order."""
        try:
            import pandas as pd
        except ImportError:
            raise ImportError('to_frame needs pandas: pip install "statespace-models[frames]"') from None
        names = ["n_parameters", "log_likelihood", "aic", "aicc", "bic", "likelihood_ratio", "degrees_of_freedom"]
        names += ["p_value"] if self.held_out is None else ["p_value", "held_out", "held_out_error"]
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=pd.Index(self.orders, name="order"))

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        head = ["order", "parameters", "log L", "AIC", "AICc", "BIC", "LR to next", "df", "p"]
        rows = []
        for M in self.orders.tolist():
            numbers = [self.log_likelihood[M], self.aic[M], self.aicc[M], self.bic[M], self.likelihood_ratio[M]]
            cells = [str(M), str(self.n_parameters[M]), *(f"{number:.2f}" for number in numbers)]
            cells += [str(self.degrees_of_freedom[M]), f"{self.p_value[M]:.3g}"]
            if np.isnan(self.likelihood_ratio[M]):  # nothing to test it against
                cells[-3:] = ["", "", ""]
            rows.append(cells)
            if self.held_out is not None and self.held_out_error is not None:
                rows[-1] += [f"{self.held_out[M]:.4f}", f"{self.held_out_error[M]:.4f}"]
        return head + ([] if self.held_out is None else ["held-out nats", "s.e."]), rows

    @property
    def _caption(self) -> str:
        picks = ", ".join(f"{criterion} {order}" for criterion, order in self.best.items())
        return f"{self.n_steps} steps; orders picked: {picks}"

    def __str__(self) -> str:
        return text_table(*self._cells(), caption=self._caption)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), caption=self._caption)


def select_order(
    X: Any,
    max_order: int,
    criterion: str = "bic",
    *,
    lengths: Any = None,
    smoothing: str | None = None,
    alpha: float = 1.0,
    symbols: Any = None,
    test: Any = None,
) -> OrderSelection:
    """Compare Markov chains of order 0 to `max_order`, and fit the one that `criterion` picks.

    Parameters
    ----------
    X, lengths, symbols
        As in `MarkovChain.fit`.
    max_order : int
        The highest order to try.
    criterion : {"bic", "aic", "aicc", "likelihood_ratio", "held_out"}
        What picks the order: the least AIC, AICc, BIC or held-out loss; or the highest order whose likelihood-ratio
        test against the one below rejects at 5%. That is 5% for each of the max_order tests: on independent data, one
        series in four is given a memory when max_order is 6; BIC is the cautious choice.
    smoothing, alpha
        As in `MarkovChain`.
    test : int or list of sequences, optional
        Held-out data as in `compare`; fitting for `held_out` leaves them out, the other columns use all of `X`.

    Raises
    ------
    ValueError
        If no run of max_order + 1 observations is complete, or "held_out" is asked for without `test`.

    """
    top = check_integer("max_order", max_order)
    check_choice("criterion", criterion, CRITERIA)
    if criterion == "held_out" and test is None:
        raise ValueError("criterion='held_out' needs test=, the number of last steps to hold out, or sequences")
    if criterion == "likelihood_ratio" and smoothing is not None:
        raise ValueError(
            f"criterion='likelihood_ratio' compares maximum likelihoods, and smoothing={smoothing!r} gives none: "
            "use smoothing=None, or another criterion"
        )
    sequences = read_symbols(X, lengths, symbols)
    runs = [run for run in complete_runs(sequences) if len(run) > top]
    if not runs:
        raise ValueError(f"max_order {top} needs a run of {top + 1} observations without a gap, and X has none")
    n_symbols = len(sequences.symbols)
    check_codes_fit(n_symbols, top)  # before the lower orders are fitted in vain
    codes = np.arange(n_symbols)

    def chain(M: int) -> MarkovChain:
        return MarkovChain(M, smoothing=smoothing, alpha=alpha)

    orders = np.arange(top + 1)
    log_likelihood = np.empty(top + 1)
    for M in range(top + 1):
        trimmed = [run[top - M :] for run in runs]
        log_likelihood[M] = chain(M).fit(trimmed, symbols=codes).score(trimmed)
    n_steps = sum(len(run) - top for run in runs)
    n_parameters = tuple(count_parameters("markov", n_states=n_symbols, order=M).total for M in range(top + 1))
    freedom = tuple(n_symbols**M * (n_symbols - 1) ** 2 for M in range(top + 1))
    prices = np.array([float(count) for count in n_parameters])
    aic = 2 * prices - 2 * log_likelihood
    spare = n_steps - prices - 1
    aicc = np.where(spare > 0, aic + 2 * prices * (prices + 1) / np.where(spare > 0, spare, 1), np.inf)
    bic = np.log(n_steps) * prices - 2 * log_likelihood
    ratio = np.append(2 * np.diff(log_likelihood), np.nan) if smoothing is None else np.full(top + 1, np.nan)
    p_value = _chi_squared_tail(ratio, np.array([float(f) for f in freedom]))

    comparison = None
    if test is not None:
        several = lengths is not None and sequences.n_sequences > 1
        held = [sequences.symbols[run] for run in complete_runs(sequences)] if several else X
        comparison = compare({str(M): chain(M) for M in range(top + 1)}, held, test=test, symbols=sequences.symbols)
    rejected = np.flatnonzero(p_value[:-1] < _SIGNIFICANCE)
    best = {"aic": int(np.argmin(aic)), "aicc": int(np.argmin(aicc)), "bic": int(np.argmin(bic))}
    if smoothing is None:
        best["likelihood_ratio"] = int(rejected[-1]) + 1 if rejected.size else 0
    if comparison is not None and np.isfinite(comparison.held_out_nats).any():
        best["held_out"] = int(np.argmin(comparison.held_out_nats))
    if criterion not in best:
        raise ValueError(
            "every order gives the test data probability 0, so held-out loss picks none: use a smoothing, "
            "such as 'jeffreys'"
        )
    return OrderSelection(
        orders=orders,
        n_parameters=n_parameters,
        log_likelihood=log_likelihood,
        aic=aic,
        aicc=aicc,
        bic=bic,
        likelihood_ratio=ratio,
        degrees_of_freedom=freedom,
        p_value=p_value,
        held_out=None if comparison is None else comparison.held_out_nats,
        held_out_error=None if comparison is None else comparison.difference_error,
        n_steps=n_steps,
        n_test_steps=None if comparison is None else comparison.n_test_steps,
        best=best,
        criterion=criterion,
        model=chain(best[criterion]).fit(X, lengths, symbols=sequences.symbols),
    )


def complete_runs(sequences: SymbolSequences) -> list[Ints]:
    """The stretches of each sequence between missing observations."""
    runs = []
    for a, b in pairwise(sequences.offsets):
        codes = sequences.codes[a:b]
        edges = np.flatnonzero(np.concatenate([[True], codes < 0, [True]]))
        runs += [codes[i : j - 1] for i, j in pairwise(edges) if j - i > 1]
    return runs


def _chi_squared_tail(statistic: Floats, freedom: Floats) -> Floats:
    from scipy.special import chdtrc

    tail: Floats = np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), np.maximum(statistic, 0)), 1.0)
    return np.where(np.isnan(statistic), np.nan, tail)
