"""The question of `statespace rain`, answered once for its table, its JSON and its picture.

Chains of order 0 to max_order, hidden Markov models of 2 to max_states states and two recurrent networks are fitted to
the wet and dry days. Log-likelihood, AIC and BIC are those of maximum likelihood on the steps that every order can
score (networks stop before it, where days at the end of those they learn from are foretold no better); the held-out
loss is that of models which never saw the last `test_last` days.
"""

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from statespace.cli.csv_series import DailyRecord
from statespace.cli.errors import CommandError
from statespace.cli.fitting import said_plainly, unfinished
from statespace.cli.training import check_training
from statespace.protocols import Floats

if TYPE_CHECKING:
    from statespace.markov.chain import MarkovChain
    from statespace.tools.compare import Comparison
    from statespace.tools.selection import OrderSelection

LEVEL = 0.95
SYMBOLS = (0, 1)
MAX_ORDER, MAX_STATES, MAX_UNITS = 16, 8, 256
CELLS = ("gru", "lstm")
DRAWS = (100, 1000)
"""Fewest and most chains drawn for an interval."""
DRAWN_WORK, DRAWN_STEP = 8e6, 200
"""How many contexts may be walked through for it, about a second; a step costs as much as this many, beside its own."""


@dataclass(frozen=True)
class ModelRow:
    """One model's line of the table."""

    name: str
    order: int | None
    """Of a chain."""
    n_states: int | None
    """Of a hidden Markov model."""
    n_units: int | None
    """Of a recurrent network."""
    n_parameters: int
    log_likelihood: float
    """Nats, on the common steps."""
    aic: float
    bic: float
    held_out_nats: float
    """Mean negative log probability of a day of the test part."""
    held_out_error: float
    """Standard error of its difference to the best model's."""
    tomorrow: float
    """Probability that the day after the last is wet."""
    low: float
    high: float
    """Interval of that probability: Jeffreys', or that of chains drawn from the same posterior where one of the last
    days is missing; NaN for other models."""


@dataclass(frozen=True, eq=False)
class RainPrediction:
    """Everything the command says."""

    record: DailyRecord
    rows: tuple[ModelRow, ...]
    """Chains by order, then hidden Markov models by number of states, then networks."""
    n_common_steps: int
    test_last: int
    n_test_steps: int
    """Days among the last `test_last` that every model predicts."""
    selection: "OrderSelection"
    chosen: dict[str, int]
    """Order that each criterion picks among the chains."""
    best: dict[str, str]
    """Name of the model that each criterion picks among all; the likelihood ratio only tells orders apart."""
    row: ModelRow
    """The line of the model that predicts."""
    criterion: str | None
    """What chose it; None where the user did."""
    model: Any
    """That model, fitted to all days."""
    probabilities: Floats
    """Predicted the day before, for every day and tomorrow: probability of rain, shape (n_days + 1,)."""
    notes: tuple[str, ...]
    """What the user should know of the fits."""

    @property
    def tomorrow(self) -> np.datetime64 | None:
        """The day after the last."""
        return None if self.record.dates is None else self.record.dates[-1] + 1


def order_name(order: int) -> str:
    """Return "i.i.d.", "1st order", "2nd order", ..."""
    if order == 0:
        return "i.i.d."
    ending = {1: "st", 2: "nd", 3: "rd"}.get(order % 10 if order % 100 not in (11, 12, 13) else 0, "th")
    return f"{order}{ending} order"


def states_name(n_states: int) -> str:
    """Return the name of a hidden Markov model."""
    return f"{n_states} states"


def network_name(cell: str, n_units: int) -> str:
    """Return the name of a network, "GRU 16"."""
    return f"{cell.upper()} {n_units}"


def predict_rain(
    record: DailyRecord,
    *,
    max_order: int = 4,
    max_states: int = 4,
    n_units: int = 16,
    test_last: int | None = None,
    order: int | None = None,
    criterion: str = "bic",
    smoothing: str | None = None,
) -> RainPrediction:
    """Fit the models, compare them, and predict tomorrow.

    Parameters
    ----------
    record : DailyRecord
        The days.
    max_order : int
        Highest order, 0 to 16.
    max_states : int
        Most states of a hidden Markov model, 1 to 8; 1 is none.
    n_units : int
        Hidden units of the networks, at most 256; 0: there are none.
    test_last : int or None
        Days held out; None: 365, or a quarter of a record shorter than two years.
    order : int or None
        The order that predicts; None lets `criterion` choose.
    criterion : {"bic", "aic", "likelihood-ratio", "held-out"}
        What chooses the model.
    smoothing : str or None
        Of the chains that predict; never of the log-likelihoods that AIC and BIC are made of.

    Raises
    ------
    CommandError
        When the record is too short, or shows only wet or only dry days.
    """
    from statespace.cli.model_grammar import hidden_markov_model, network
    from statespace.markov.chain import MarkovChain
    from statespace.tools.compare import compare
    from statespace.tools.selection import select_order

    test_last = _check(record, max_order, max_states, n_units, test_last, order)
    wet = record.wet
    selection = said_plainly(lambda: select_order(wet, max_order, criterion="bic", symbols=SYMBOLS))
    chains = {order_name(m): MarkovChain(m, smoothing=smoothing) for m in range(max_order + 1)}
    hidden = {states_name(K): hidden_markov_model(K, np.array(SYMBOLS)) for K in range(2, max_states + 1)}
    networks = {network_name(cell, n_units): network(cell, n_units) for cell in CELLS if n_units}
    others = hidden | networks
    comparison = said_plainly(lambda: compare(chains | others, wet, test=test_last))
    for chain in chains.values():
        said_plainly(partial(chain.fit, wet, symbols=SYMBOLS))
    for model in others.values():
        said_plainly(partial(model.fit, wet))
    rows = (*_chain_rows(chains, wet, selection, comparison), *_other_rows(others, chains, wet, comparison))
    chosen = {
        "bic": int(selection.best["bic"]),
        "aic": int(selection.best["aic"]),
        "likelihood-ratio": int(selection.best["likelihood_ratio"]),
        "held-out": int(np.argmin(comparison.held_out_nats[: len(chains)])),
    }
    best = {
        "bic": min(rows, key=lambda row: row.bic).name,
        "aic": min(rows, key=lambda row: row.aic).name,
        "likelihood-ratio": order_name(chosen["likelihood-ratio"]),
        "held-out": comparison.names[int(np.argmin(comparison.held_out_nats))],
    }
    predicting = best[criterion] if order is None else order_name(order)
    model = (chains | others)[predicting]
    return RainPrediction(
        record=record,
        rows=rows,
        n_common_steps=int(selection.n_steps),
        test_last=test_last,
        n_test_steps=comparison.n_test_steps,
        selection=selection,
        chosen=chosen,
        best=best,
        row=next(row for row in rows if row.name == predicting),
        criterion=criterion if order is None else None,
        model=model,
        probabilities=_wet_probabilities(model.predictive(wet)),
        notes=tuple(unfinished(others)),
    )


def _chain_rows(
    chains: "dict[str, MarkovChain]", wet: Floats, selection: "OrderSelection", comparison: "Comparison"
) -> list[ModelRow]:
    rows = []
    for m, (name, chain) in enumerate(chains.items()):
        tomorrow = float(_wet_probabilities(chain.forecast(wet, 1))[0])
        rows.append(
            ModelRow(
                name=name,
                order=m,
                n_states=None,
                n_units=None,
                n_parameters=int(selection.n_parameters[m]),
                log_likelihood=float(selection.log_likelihood[m]),
                aic=float(selection.aic[m]),
                bic=float(selection.bic[m]),
                held_out_nats=float(comparison.held_out_nats[m]),
                held_out_error=float(comparison.difference_error[m]),
                tomorrow=tomorrow,
                **_interval(chain, wet, tomorrow),
            )
        )
    return rows


def _other_rows(
    others: dict[str, Any], chains: "dict[str, MarkovChain]", wet: Floats, comparison: "Comparison"
) -> list[ModelRow]:
    """Lines of models that score every step, on those that the chain of the highest order can score."""
    common = ~np.isnan(list(chains.values())[-1].log_likelihood(wet, by="step"))
    rows = []
    for number, (name, model) in enumerate(others.items(), start=len(chains)):
        log_likelihood = float(np.asarray(model.log_likelihood(wet, by="step"))[common].sum())
        rows.append(
            ModelRow(
                name=name,
                order=None,
                n_states=getattr(model, "n_components", None),
                n_units=getattr(model, "hidden_size", None),
                n_parameters=model.n_parameters,
                log_likelihood=log_likelihood,
                aic=2 * model.n_parameters - 2 * log_likelihood,
                bic=float(np.log(common.sum())) * model.n_parameters - 2 * log_likelihood,
                held_out_nats=float(comparison.held_out_nats[number]),
                held_out_error=float(comparison.difference_error[number]),
                tomorrow=float(_wet_probabilities(model.forecast(wet, 1))[0]),
                low=float("nan"),
                high=float("nan"),
            )
        )
    return rows


def document(prediction: RainPrediction) -> dict[str, Any]:
    """Return all figures as the JSON document of `--json`."""
    record = prediction.record
    chains, hidden, networks = (_of_kind(prediction.rows, kind) for kind in ("order", "n_states", "n_units"))
    wet, dates = record.wet, record.dates
    selection = prediction.selection
    days = slice(max(wet.size - 56, 0), wet.size)
    return {
        "data": {
            "name": record.name,
            "column": record.column,
            "wet_means": record.wet_means,
            "n_days": wet.size,
            "first_day": _iso(dates, 0),
            "last_day": _iso(dates, -1),
            "n_wet": int(np.sum(wet == 1)),
            "n_dry": int(np.sum(wet == 0)),
            "n_missing": int(np.isnan(wet).sum()),
            "share_wet": float(np.nanmean(wet)),
            "notes": record.notes,
        },
        "n_common_steps": prediction.n_common_steps,
        "test_last": prediction.test_last,
        "n_test_steps": prediction.n_test_steps,
        "orders": chains,
        "hidden": hidden,
        "networks": networks,
        "likelihood_ratio": [
            {
                "order": m,
                "against": m + 1,
                "statistic": selection.likelihood_ratio[m],
                "degrees_of_freedom": selection.degrees_of_freedom[m],
                "p_value": selection.p_value[m],
            }
            for m in range(len(chains) - 1)
        ],
        "chosen_by": {name.replace("-", "_"): order for name, order in prediction.chosen.items()},
        "best_by": {name.replace("-", "_"): model for name, model in prediction.best.items()},
        "tomorrow": {
            "date": None if prediction.tomorrow is None else str(prediction.tomorrow),
            "model": prediction.row.name,
            "order": prediction.row.order,
            "criterion": prediction.criterion,
            "probability": prediction.row.tomorrow,
            "low": prediction.row.low,
            "high": prediction.row.high,
            "level": LEVEL,
        },
        "recent": [
            {
                "date": _iso(dates, day),
                "wet": None if np.isnan(wet[day]) else bool(wet[day]),
                "probability": prediction.probabilities[day],
            }
            for day in range(days.start, days.stop)
        ],
    }


def _of_kind(rows: tuple[ModelRow, ...], kind: str) -> list[dict[str, Any]]:
    """The lines that have such a size, without those of other kinds."""
    found = [asdict(row) for row in rows if getattr(row, kind) is not None]
    return [{k: v for k, v in row.items() if k == kind or k not in ("order", "n_states", "n_units")} for row in found]


def _iso(dates: NDArray[np.datetime64] | None, day: int) -> str | None:
    return None if dates is None else str(dates[day])


def _check(
    record: DailyRecord, max_order: int, max_states: int, n_units: int, test_last: int | None, order: int | None
) -> int:
    """Refuse what cannot be fitted, and return the number of days held out."""
    if not 0 <= max_order <= MAX_ORDER:
        raise CommandError(f"--max-order is {max_order}: give 0 to {MAX_ORDER}")
    if not 1 <= max_states <= MAX_STATES:
        raise CommandError(f"--max-states is {max_states}: give 1, for no hidden Markov model, to {MAX_STATES}")
    if not 0 <= n_units <= MAX_UNITS:
        raise CommandError(f"--units is {n_units}: give 0, for no network, to {MAX_UNITS}")
    if order is not None and not 0 <= order <= max_order:
        raise CommandError(f"--order is {order}: give 0 to {max_order}, or raise --max-order")
    n_days, n_known = record.wet.size, int(np.sum(~np.isnan(record.wet)))
    if n_known == 0:
        raise CommandError(f"{record.name} holds no amount, only missing values: choose another --column")
    n_wet = int(np.nansum(record.wet))
    if n_wet in (0, n_known):
        kind, change = ("dry", "lower") if n_wet == 0 else ("wet", "raise")
        raise CommandError(
            f"{record.name}: all of its {n_known} days are {kind}: {change} --threshold to tell days apart"
        )
    longest = n_days - max_order - 2
    if longest < 1:
        raise CommandError(f"{record.name} has {n_days} days, too few for order {max_order}: lower --max-order")
    if test_last is None:
        test_last = min(365 if n_days >= 730 else max(n_days // 4, 1), longest)
    if not 1 <= test_last <= longest:
        raise CommandError(f"--test-last is {test_last}, and {record.name} has {n_days} days: give 1 to {longest}")
    before = record.wet[: n_days - test_last]
    if not (np.any(before == 0) and np.any(before == 1)):
        raise CommandError(
            f"{record.name}: the days before the last {test_last} are not both wet and dry, and teach nothing: "
            "give a smaller --test-last"
        )
    check_training(
        record.name,
        np.isnan(record.wet).tolist(),
        test_last,
        order=max_order,
        model=order_name(max_order),
        unit="day",
        remedy="lower --max-order",
    )
    return test_last


def _wet_probabilities(law: Any) -> Floats:
    column = law.symbols.tolist().index(1)
    probabilities: Floats = law.probabilities[:, column]
    return probabilities


def _interval(chain: "MarkovChain", wet: Floats, tomorrow: float) -> dict[str, float]:
    """How sure the counts are of tomorrow: exact where the last days are known, of drawn chains where they are not."""
    context = wet[wet.size - chain.order :]
    if not np.isnan(context).any():
        low, high = chain.confidence_intervals(LEVEL)
        cell = (*(int(day) for day in context), 1)
        return {"low": float(low[cell]), "high": float(high[cell])}
    from statespace.markov.intervals import forecast_interval

    unknown = wet.size - int(np.flatnonzero(~np.isnan(wet))[-1])  # steps from the last known day to tomorrow
    n_draws = int(np.clip(DRAWN_WORK / (unknown * (DRAWN_STEP + 2**chain.order)), *DRAWS))
    drawn_low, drawn_high = forecast_interval(chain, wet, 1, LEVEL, n_draws=n_draws, random_state=0)
    wet_at = chain.symbols_.tolist().index(1)
    # As in the exact interval, a bound gives way to an estimate of 0 or 1, which no drawn chain reaches.
    return {
        "low": min(float(drawn_low[0, wet_at]), tomorrow),
        "high": max(float(drawn_high[0, wet_at]), tomorrow),
    }
