"""How models are written on the command line, in one place.

    models   = model {"," model}
    model    = "iid" | "markov" ":" sizes | "hmm" ":" sizes
    sizes    = size | size "-" size

A chain's sizes are its orders, a hidden Markov model's its numbers of states.

A new family is one function, from what stands behind the colon to named unfitted estimators, and one line in FAMILIES.
"""

import re
from collections.abc import Callable
from typing import Any

from statespace.cli.errors import CommandError, listing

Named = dict[str, Any]

STARTS, ITERATIONS = 6, 500
"""Fits of a hidden Markov model from as many starts, of which the best is kept; each of at most so many iterations."""
MOST_STATES = 32


def parse_models(text: str, smoothing: str | None = None) -> Named:
    """Return unfitted estimators by name, in the order written.

    Parameters
    ----------
    text : str
        Such as "iid,markov:1-4".
    smoothing : str or None
        Of every model that has one.

    Raises
    ------
    CommandError
        When a family is unknown, its sizes are malformed, or a model is written twice.
    """
    models: Named = {}
    for word in filter(None, (word.strip() for word in text.split(","))):
        family, _, sizes = word.partition(":")
        if family not in FAMILIES:
            raise CommandError(
                f"--models: {family!r} is not a model: write {listing(WRITTEN, 'or')}, with commas between"
            )
        for name, model in FAMILIES[family](sizes, smoothing).items():
            if name in models:
                raise CommandError(f"--models: {name} stands twice: write each model once")
            models[name] = model
    if not models:
        raise CommandError(f"--models is empty: write {listing(WRITTEN, 'or')}, with commas between")
    return models


def _iid(sizes: str, smoothing: str | None) -> Named:
    from statespace.markov.chain import MarkovChain

    if sizes:
        raise CommandError(f"--models: iid has no sizes, but has {sizes!r}: write iid")
    return {"iid": MarkovChain(0, smoothing=smoothing)}


def _markov(sizes: str, smoothing: str | None) -> Named:
    from statespace.markov.chain import MarkovChain

    orders = _range(sizes)
    if not orders:
        raise CommandError(f"--models: markov:{sizes} has no order: write markov:2, or markov:1-4 for several")
    return {f"markov:{order}": MarkovChain(order, smoothing=smoothing) for order in orders}


def _hmm(sizes: str, _: str | None) -> Named:
    numbers = _range(sizes)
    if not numbers or not 1 <= numbers[0] <= numbers[-1] <= MOST_STATES:
        raise CommandError(
            f"--models: hmm:{sizes} has no number of states from 1 to {MOST_STATES}: write hmm:2, or hmm:2-4 for "
            "several"
        )
    return {f"hmm:{number}": hidden_markov_model(number) for number in numbers}


def _range(sizes: str) -> range:
    """Return the numbers from the first to the last; none where that is not what is written."""
    match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", sizes)
    return range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)


def hidden_markov_model(n_states: int, symbols: Any = None) -> Any:
    """Return the hidden Markov model of symbols that the commands fit: the best of a few starts, always the same."""
    from statespace.hmm import HMM, CategoricalEmission

    emission = CategoricalEmission()
    emission.symbols = symbols
    return HMM(n_states, emission, method="lbfgs", n_init=STARTS, n_iter=ITERATIONS, random_state=0)


FAMILIES: dict[str, Callable[[str, str | None], Named]] = {"iid": _iid, "markov": _markov, "hmm": _hmm}
WRITTEN = ("iid", "markov:2", "markov:1-4", "hmm:2-4")
"""An example of each form, for messages."""
