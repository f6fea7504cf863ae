"""How models are written on the command line, in one place.

    models   = model {"," model}
    model    = "iid" | "level" | "trend" | family ":" sizes
    family   = "markov" | "hmm" | "ar" | "rnn" | "gru" | "lstm"
    sizes    = size | size "-" size

A chain's sizes are its orders, a hidden Markov model's its numbers of states, an autoregression's its lags, and a
network's its hidden units. What a column holds decides which families there are, and what law they give an observation:

    symbols  iid, markov, hmm, rnn, gru, lstm                   probabilities
    counts   iid, hmm, rnn, gru, lstm                           Poisson laws
    numbers  iid, level, trend, ar, hmm, rnn, gru, lstm         normal laws

A new family is one function, from what stands behind the colon to named unfitted estimators, and one line in FAMILIES.
"""

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from statespace.cli.errors import CommandError, listing

Named = dict[str, Any]
Kind = Literal["symbols", "counts", "numbers"]

STARTS, ITERATIONS = 6, 500
"""Fits of a hidden Markov model from as many starts, of which the best is kept; each of at most so many iterations."""
MOST_STATES, MOST_LAGS, MOST_UNITS = 32, 24, 512

WRITTEN: dict[Kind, tuple[str, ...]] = {
    "symbols": ("iid", "markov:2", "markov:1-4", "hmm:2-4", "gru:16"),
    "counts": ("iid", "hmm:2-4", "gru:16"),
    "numbers": ("iid", "level", "trend", "ar:1-3", "hmm:2-4", "gru:16"),
}
"""An example of each form, for messages."""
DEFAULT: dict[Kind, str] = {
    "symbols": "iid,markov:1-4",
    "counts": "iid,hmm:2-3",
    "numbers": "iid,level,ar:1-2,hmm:2-3",
}
"""What is compared where nothing is said."""
HEADS: dict[Kind, str] = {"symbols": "categorical", "counts": "poisson", "numbers": "gaussian"}


class Wanted(NamedTuple):
    """What all models of a command have in common."""

    kind: Kind = "symbols"
    """What the column holds."""
    smoothing: str | None = None
    """Of every model that has one."""
    seed: int = 0
    """Of every model that begins at random."""


def parse_models(text: str, smoothing: str | None = None, kind: Kind = "symbols", seed: int = 0) -> Named:
    """Return unfitted estimators by name, in the order written.

    Parameters
    ----------
    text : str
        Such as "iid,markov:1-4".
    smoothing : str or None
        Of every model that has one.
    kind : {"symbols", "counts", "numbers"}
        What the column holds.
    seed : int
        Of every model that begins at random.

    Raises
    ------
    CommandError
        When a family is unknown or is not for what the column holds, its sizes are malformed, or a model is written
        twice.
    """
    models: Named = {}
    forms, wanted = listing(WRITTEN[kind], "or"), Wanted(kind, smoothing, seed)
    for word in filter(None, (word.strip() for word in text.split(","))):
        family, _, sizes = word.partition(":")
        if family not in FAMILIES:
            raise CommandError(f"--models: {family!r} is not a model: write {forms}, with commas between")
        build, kinds = FAMILIES[family]
        if kind not in kinds:
            raise CommandError(
                f"--models: {family} is a model of {listing(kinds, 'or')}, and the column is read as {kind}: write "
                f"{forms}, or say what the column holds with --as"
            )
        for name, model in build(family, sizes, wanted).items():
            if name in models:
                raise CommandError(f"--models: {name} stands twice: write each model once")
            models[name] = model
    if not models:
        raise CommandError(f"--models is empty: write {forms}, with commas between")
    return models


def _iid(family: str, sizes: str, wanted: Wanted) -> Named:
    _without_sizes(family, sizes)
    if wanted.kind != "symbols":
        return {"iid": hidden_markov_model(1, kind=wanted.kind)}
    from statespace.markov.chain import MarkovChain

    return {"iid": MarkovChain(0, smoothing=wanted.smoothing)}


def _markov(_: str, sizes: str, wanted: Wanted) -> Named:
    from statespace.markov.chain import MarkovChain

    orders = _range(sizes)
    if not orders:
        raise CommandError(f"--models: markov:{sizes} has no order: write markov:2, or markov:1-4 for several")
    return {f"markov:{order}": MarkovChain(order, smoothing=wanted.smoothing) for order in orders}


def _hmm(family: str, sizes: str, wanted: Wanted) -> Named:
    numbers = _sizes(family, sizes, "number of states", MOST_STATES, "2", "2-4")
    return {f"hmm:{number}": hidden_markov_model(number, kind=wanted.kind, seed=wanted.seed) for number in numbers}


def _structural(family: str, sizes: str, _: Wanted) -> Named:
    from statespace.lds import StructuralModel

    _without_sizes(family, sizes)
    return {family: StructuralModel(level=True) if family == "level" else StructuralModel(trend="local linear")}


def _autoregression(family: str, sizes: str, _: Wanted) -> Named:
    from statespace.lds import ARIMA

    lags = _sizes(family, sizes, "number of lags", MOST_LAGS, "1", "1-3")
    return {f"ar:{lag}": ARIMA((lag, 0, 0), trend="c") for lag in lags}


def _network(family: str, sizes: str, wanted: Wanted) -> Named:
    numbers = _sizes(family, sizes, "number of hidden units", MOST_UNITS, "16", "15-16")
    return {f"{family}:{number}": network(family, number, kind=wanted.kind, seed=wanted.seed) for number in numbers}


def _without_sizes(family: str, sizes: str) -> None:
    if sizes:
        raise CommandError(f"--models: {family} has no sizes, but has {sizes!r}: write {family}")


def _sizes(family: str, sizes: str, what: str, most: int, one: str, several: str) -> range:
    numbers = _range(sizes)
    if not numbers or not 1 <= numbers[0] <= numbers[-1] <= most:
        raise CommandError(
            f"--models: {family}:{sizes} has no {what} from 1 to {most}: write {family}:{one}, or {family}:{several} "
            "for several"
        )
    return numbers


def _range(sizes: str) -> range:
    """Return the numbers from the first to the last; none where that is not what is written."""
    match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", sizes)
    return range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)


def hidden_markov_model(n_states: int, symbols: Any = None, *, kind: Kind = "symbols", seed: int = 0) -> Any:
    """Return the hidden Markov model that the commands fit: the best of a few starts, always the same."""
    from statespace.hmm import HMM, CategoricalEmission, GaussianEmission, PoissonEmission

    options = {"n_init": STARTS, "n_iter": ITERATIONS, "random_state": seed}
    if kind == "symbols":
        emission = CategoricalEmission()
        emission.symbols = symbols
        return HMM(n_states, emission, method="lbfgs", **options)
    return HMM(n_states, PoissonEmission() if kind == "counts" else GaussianEmission(), **options)


def network(cell: str, hidden_size: int, *, kind: Kind = "symbols", seed: int = 0) -> Any:
    """Return the recurrent network that the commands train, by its defaults."""
    from statespace.neural import RecurrentSequenceModel

    return RecurrentSequenceModel(cell, hidden_size, HEADS[kind], random_state=seed)


_ALL: tuple[Kind, ...] = ("symbols", "counts", "numbers")
FAMILIES: dict[str, tuple[Callable[[str, str, Wanted], Named], tuple[Kind, ...]]] = {
    "iid": (_iid, _ALL),
    "markov": (_markov, ("symbols",)),
    "level": (_structural, ("numbers",)),
    "trend": (_structural, ("numbers",)),
    "ar": (_autoregression, ("numbers",)),
    "hmm": (_hmm, _ALL),
    "rnn": (_network, _ALL),
    "gru": (_network, _ALL),
    "lstm": (_network, _ALL),
}
"""What builds the models of a family, and of what it has some."""
