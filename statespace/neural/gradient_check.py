"""Derivatives held to differences, entry by entry.

With f_k for f(w + k e)

    (8 (f_1 - f_-1) - (f_2 - f_-2)) / 12 e        (f_1 - f_-1) / 2 e

The first leaves out terms of e^4 and is taken with a wide step, so that little is lost to rounding either; the second,
with a narrow one, seldom meets a kink. The nearer of the two counts: what is right differs from it by some 1e-11 of the
largest derivative, and what is wrong is near neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from statespace.foundations.probability import generator
from statespace.neural.trace import NetworkState
from statespace.protocols import Array

_EPSILON = float(np.finfo(np.float64).eps)
_WIDE, _NARROW = _EPSILON ** (1 / 5), _EPSILON ** (1 / 3)


def check_gradients(
    net: Any, X: Any, lengths: Any = None, *, n_entries: int = 12, tolerance: float = 1e-6, random_state: Any = 0
) -> dict[str, float]:
    """Hold every derivative that a network gives to differences of what it computes.

    Parameters
    ----------
    net : RecurrentNetwork or CustomNetwork
        Of float64. Its weights are moved, and put back.
    X, lengths
        As in a call.
    n_entries : int
        How many entries of each weight are tried, drawn at random.
    tolerance : float
        The largest difference, as a part of the largest derivative by that weight.
    random_state : None, int, Generator or RandomState

    Returns
    -------
    dict
        The largest difference found for each weight, for the inputs "x" and the state before, "h0" and "c0".

    Raises
    ------
    AssertionError
        Which weight is wrong, where, and what its derivative should be. Where a network meets a kink, such as that of a
        relu, differences may be wrong too: try other X.

    """
    if net.dtype != np.float64:
        raise ValueError(f"the network is {net.dtype}, in which differences say little: make it with dtype=np.float64")
    rng = generator(random_state)
    x = np.array(X, np.float64)
    if lengths is not None and x.ndim == 3:
        x[np.arange(x.shape[1])[None, :] >= np.asarray(lengths)[:, None]] = 0.0
    outputs, end = net(x, lengths)
    start = _like(end, 0.5, rng)
    towards = rng.normal(size=outputs.shape)
    at_end = _like(end, 1.0, rng)

    def loss() -> float:
        found, last = net(x, lengths, start)
        parts = [(towards, found), *((a, b) for a, b in zip(at_end, last, strict=True) if b is not None)]
        return float(sum((a * b).sum() for a, b in parts))

    slopes = net.gradients(x, towards, lengths, start, grad_state=at_end)
    places = {**net.weights, "x": x, "h0": start.h, **({} if start.c is None else {"c0": start.c})}
    return _compared(loss, places, slopes, rng, n_entries, tolerance)


def _like(state: NetworkState, size: float, rng: np.random.Generator) -> NetworkState:
    h = size * rng.normal(size=state.h.shape)
    return NetworkState(h, None if state.c is None else size * rng.normal(size=state.c.shape))


def check_head_gradients(
    head: Any, outputs: Any, targets: Any, *, n_entries: int = 12, tolerance: float = 1e-6, random_state: Any = 0
) -> dict[str, float]:
    """The same for a head, of float64: derivatives by "weight", "bias" and "outputs"; as `check_gradients`."""
    if head.dtype != np.float64:
        raise ValueError(f"the head is {head.dtype}, in which differences say little: make it with dtype=np.float64")
    x = np.array(outputs, np.float64)
    found = head.gradients(x, targets)

    def log_likelihood() -> float:
        return float(np.nansum(head.log_likelihood(x, targets)))

    slopes = {**head.by_name(found.vector), "outputs": found.outputs}
    places = {**head.weights, "outputs": x}
    return _compared(log_likelihood, places, slopes, generator(random_state), n_entries, tolerance)


def _compared(
    function: Callable[[], float],
    places: Mapping[str, Array],
    slopes: Mapping[str, Array],
    rng: np.random.Generator,
    n_entries: int,
    tolerance: float,
) -> dict[str, float]:
    largest: dict[str, float] = {}
    wrong = []
    rounding = abs(function()) * _EPSILON / _WIDE
    for name, place in places.items():
        given = np.asarray(slopes[name])
        if given.shape != place.shape:
            raise AssertionError(f"the derivative by {name} has shape {given.shape}, expected {place.shape}")
        entries = rng.choice(place.size, min(place.size, n_entries), replace=False)
        at = [tuple(int(i) for i in np.unravel_index(entry, place.shape)) for entry in entries]
        chosen = np.array([given[entry] for entry in at])
        differences = np.array([_differences(function, place, entry) for entry in at]).reshape(-1, 2)
        nearest = np.abs(differences - chosen[:, None]).argmin(axis=1)
        differences = differences[np.arange(len(at)), nearest]
        size = max(np.abs(given).max(initial=0.0), np.abs(differences).max(initial=0.0), rounding / tolerance)
        away = np.abs(chosen - differences) / (size if size > 0 else 1.0)
        away[~np.isfinite(away)] = np.inf
        largest[name] = float(away.max(initial=0.0))
        if largest[name] > tolerance:
            i = int(away.argmax())
            shown = f"{name}[{', '.join(map(str, at[i]))}]"
            wrong.append(f"by {shown} it is {chosen[i]:.6g}, and differences say {differences[i]:.6g}")
    if wrong:
        raise AssertionError("a derivative is wrong: " + "; ".join(wrong))
    return largest


def _differences(function: Callable[[], float], place: Array, entry: tuple[int, ...]) -> tuple[float, float]:
    """Derivative by an entry, with a wide and with a narrow step."""
    kept = place[entry]
    size = max(1.0, abs(float(kept)))

    def at(step: float) -> float:
        place[entry] = kept + step
        return function()

    wide, narrow = _WIDE * size, _NARROW * size
    first = (8 * (at(wide) - at(-wide)) - (at(2 * wide) - at(-2 * wide))) / (12 * wide)
    second = (at(narrow) - at(-narrow)) / (2 * narrow)
    place[entry] = kept
    return first, second
