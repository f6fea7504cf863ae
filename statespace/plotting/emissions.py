"""What each state of a hidden Markov model looks like: the law of an observation in it, beside the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statespace.foundations.observations import read_observations
from statespace.foundations.sequences import read_symbols
from statespace.foundations.validation import check_integer
from statespace.plotting.axes import FAINT, INK, SOFT, axes_or_new, finish, plain_frame, plain_text
from statespace.plotting.series import feature_names
from statespace.plotting.states import state_colours, state_names
from statespace.protocols import Array, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GRID = 512
_MOST_ATOMS = 3
_DRAWN = 4000
"""Observations drawn from each state where there are no data to show the range."""


def emission_densities(
    model: Any,
    X: Any = None,
    ax: Axes | None = None,
    *,
    feature: int | None = None,
    weighted: bool | None = None,
    names: Sequence[Any] | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the law of an observation in each state: bars for symbols, stems for counts, curves for numbers.

    Two features of numbers are drawn as ellipses that hold 50% and 95% of a Gaussian with the state's mean and
    covariance; several counts or answers by their means. A value that has a probability of its own, as no rain has
    among millimetres, is left out of curves and histogram and named in the legend.

    Parameters
    ----------
    model : fitted model
        A hidden Markov model of any emission; of a user's own, `log_likelihood` is asked on a grid.
    X : sequence or sequences, optional
        Data to draw behind: the share of each symbol or count, a histogram, or points.
    ax : Axes, optional
        Where to draw; a new figure if None.
    feature : int, optional
        Which feature, of several; needed for curves of more than two.
    weighted : bool, optional
        Whether each law is multiplied by the share of its state, so that they add up to what is drawn behind, and
        their sum is drawn too; by default where there are data. The share is that in the data, or in the long run.
    names : sequence of length n_components, optional
        What the states are called.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If the model has not been fitted, has no emission, or `ax` is no Axes.
    ValueError
        If `feature` is none of the features, or must be given.
    """
    emission = getattr(model, "emission_", None)
    if emission is None:
        name = type(model).__name__
        raise TypeError(f"{name} has no emission_: give a hidden Markov model after fit, or with parameters set")
    K = len(model.startprob_)
    labels = state_names(names, K)
    support = getattr(emission, "support", "reals")
    data, seen = (None, None) if X is None else _data(emission, X, support)
    weighted = X is not None if weighted is None else weighted
    weights = _shares(model, X, seen) if weighted else np.ones(K)
    n_features = _n_features(emission, data)
    features = feature_names(X, n_features)
    if n_features == 2 and feature is None and support == "reals" and hasattr(emission, "cov"):
        ax = axes_or_new(ax, (5.0, 4.4))
        _draw_ellipses(ax, emission, data, labels)
        ax.set(xlabel=features[0], ylabel=features[1])
        return _framed(ax, title)
    if n_features > 1 and feature is None and support != "reals" and hasattr(emission, "mean"):
        ax = axes_or_new(ax, (5.6, 3.4))
        _draw_means(ax, emission, data, labels)
        _write_words(ax, [str(d) for d in range(n_features)] if features[0] == "feature 0" else features)
        return _framed(ax, title, room_above=True)
    if n_features > 1 and feature is None:
        raise ValueError(f"the model has {n_features} features: say which one to draw, feature=0..{n_features - 1}")
    d = check_integer("feature", 0 if feature is None else feature)
    if d >= n_features:
        raise ValueError(f"feature is {d}, expected 0..{n_features - 1}")

    ax = axes_or_new(ax, (5.6, 3.4))
    if support == "categories":
        _draw_bars(ax, emission, data, weights, labels, weighted, (d, n_features))
    elif _is_of_counts(emission):
        _draw_stems(ax, emission, data, weights, labels, weighted, (d, n_features))
    else:
        _draw_curves(ax, emission, data, weights, labels, weighted, (d, n_features))
    if n_features > 1:
        ax.set_xlabel(features[d])
    return _framed(ax, title, room_above=support == "categories")


def _data(emission: Any, X: Any, support: str) -> tuple[Array, Array]:
    """Observations with something in them, (n_seen, n_features), codes of symbols; and which steps these are."""
    read = getattr(emission, "read", None)
    if read is not None:
        found: Any = read(X, None)
        values, missing = np.asarray(found.values), found.missing
    elif support == "categories":
        symbols = read_symbols(X)
        values, missing = symbols.codes[:, None], symbols.codes < 0
    else:
        found = read_observations(X)
        values, missing = np.asarray(found.values), found.missing
    seen = np.ones(len(values), np.bool_) if missing is None else ~missing
    return values[seen], seen


def _shares(model: Any, X: Any, seen: Array | None) -> Floats:
    """The share of each state: the mean posterior probability of the steps seen, or the stationary law, (K,)."""
    if seen is None:
        return np.asarray(model.get_stationary_distribution())
    found = model.predict_proba(X)
    posteriors = np.concatenate([np.asarray(part) for part in found]) if isinstance(found, list) else np.asarray(found)
    shares: Floats = posteriors[seen].mean(axis=0)
    return shares


def _n_features(emission: Any, data: Array | None) -> int:
    shape = np.shape(data if data is not None else emission.sample(np.zeros(1, np.int64), np.random.default_rng(0)))
    return int(shape[1]) if len(shape) == 2 else 1


def _is_of_counts(emission: Any) -> bool:
    """Whether the values are counts, be it given their total."""
    from statespace.hmm.emissions import MultinomialEmission

    return getattr(emission, "support", "reals") == "counts" or isinstance(emission, MultinomialEmission)


def _density(emission: Any, points: Floats, place: tuple[int, int]) -> Floats:
    """The law of one feature at `points`, the others marginalised where there are any, (n_points, n_components)."""
    d, n_features = place
    if n_features > 1 and not getattr(emission, "marginalises", False):
        if _is_of_counts(emission) and hasattr(emission, "cdf"):
            edges = np.append(points[:1] - 1, points)[:, None]
            return np.diff(np.asarray(emission.cdf(edges, d)), axis=0)
        raise ValueError(
            f"{type(emission).__name__} has {n_features} features and cannot leave one out: its law of a single "
            "feature is not known"
        )
    X = np.full((len(points), n_features), np.nan)
    X[:, d] = points
    density: Floats = np.exp(np.asarray(emission.log_likelihood(X)))
    return density


def _drawn(emission: Any, K: int, d: int) -> Floats:
    """Observations that the model itself makes, to see the range."""
    found = np.asarray(emission.sample(np.repeat(np.arange(K), _DRAWN), np.random.default_rng(0)), dtype=np.float64)
    return found if found.ndim == 1 else found[:, d]


def _draw_bars(
    ax: Axes,
    emission: Any,
    data: Array | None,
    weights: Floats,
    labels: list[str],
    weighted: bool,
    place: tuple[int, int],
) -> None:
    K, symbols = len(weights), getattr(emission, "symbols", None)
    codes = None if data is None else data[:, place[0]]
    if symbols is None:
        seen = _drawn(emission, K, place[0]) if codes is None else codes
        symbols = np.arange(int(np.nanmax(seen)) + 1)
    n = len(symbols)
    with np.errstate(divide="ignore"):
        if place[1] == 1:  # codes of symbols are whole numbers
            laws = np.exp(np.asarray(emission.log_likelihood(np.arange(n)[:, None])))
        else:
            laws = _density(emission, np.arange(n, dtype=np.float64), place)
    laws = laws * weights
    if codes is not None:
        known = codes[~np.isnan(codes)].astype(np.int64)
        share = np.bincount(known, minlength=n) / len(known)
        ax.bar(range(n), share, width=0.92, color=FAINT, zorder=1, label="data", gid="data")
    _draw_groups(ax, laws, labels)
    if weighted:
        ax.plot(range(n), laws.sum(axis=1), "D", color=INK, markersize=5, zorder=4, label="sum", gid="sum")
    _write_words(ax, [plain_text(symbol) for symbol in np.asarray(symbols).tolist()])
    ax.set_ylabel("probability")


def _draw_means(ax: Axes, emission: Any, data: Array | None, labels: list[str]) -> None:
    """Draw the mean of each feature in each state; of all data behind."""
    means = np.asarray(emission.mean()).T
    n = len(means)
    if data is not None:
        ax.bar(range(n), np.nanmean(data, axis=0), width=0.92, color=FAINT, zorder=1, label="data", gid="data")
    _draw_groups(ax, means, labels)
    ax.set_xlabel("feature")
    ax.set_ylabel("mean")


def _write_words(ax: Axes, words: list[str]) -> None:
    """Write what each group of bars stands for below it."""
    ax.set_xticks(range(len(words)), words, rotation=90 if sum(map(len, words)) + len(words) > 60 else 0)


def _draw_groups(ax: Axes, heights: Floats, labels: list[str]) -> None:
    """Draw a bar for each state at 0, 1, 2, ..., side by side; heights (n_places, n_components)."""
    n, K = heights.shape
    width = 0.8 / K
    for k, colour in enumerate(state_colours(K)):
        at = np.arange(n) + (k - (K - 1) / 2) * width
        ax.bar(at, heights[:, k], width=0.92 * width, color=colour, zorder=2, label=labels[k], gid="state")


def _draw_stems(
    ax: Axes,
    emission: Any,
    data: Array | None,
    weights: Floats,
    labels: list[str],
    weighted: bool,
    place: tuple[int, int],
) -> None:
    K = len(weights)
    seen = _drawn(emission, K, place[0]) if data is None else data[:, place[0]]
    counts = np.arange(int(np.nanmax(seen)) + 2)
    laws = _density(emission, counts.astype(np.float64), place) * weights
    if data is not None:
        known = seen[~np.isnan(seen)].astype(np.int64)
        share = np.bincount(known, minlength=len(counts)) / len(known)
        ax.bar(counts, share, width=0.92, color=FAINT, zorder=1, label="data", gid="data")
    for k, colour in enumerate(state_colours(K)):
        at = counts + (k - (K - 1) / 2) * 0.8 / K
        ax.vlines(at, 0, laws[:, k], color=colour, linewidth=1.4, zorder=2, gid="state")
        ax.plot(at, laws[:, k], "o", color=colour, markersize=3.2, zorder=3, label=labels[k])
    if weighted:
        ax.plot(counts, laws.sum(axis=1), color=INK, linewidth=1.1, zorder=4, label="sum", gid="sum")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("probability")
    ax.set_xlabel("count")


def _draw_curves(
    ax: Axes,
    emission: Any,
    data: Array | None,
    weights: Floats,
    labels: list[str],
    weighted: bool,
    place: tuple[int, int],
) -> None:
    K = len(weights)
    seen = _drawn(emission, K, place[0]) if data is None else data[:, place[0]]
    seen = seen[~np.isnan(seen)]
    atoms = _atoms(emission, seen, place)
    for atom in atoms:
        shares = _density(emission, np.array([atom]), place)[0]
        labels = [f"{label}, {share:.0%} at {atom:g}" for label, share in zip(labels, shares, strict=True)]
    rest = seen[~np.isin(seen, atoms)]
    low, high = float(rest.min()), float(rest.max())
    if data is not None:
        room = 0.05 * (high - low)
        low, high = (low - room if low - room > 0 or low < 0 else min(low, 0.0)), high + room
        heights, borders = np.histogram(rest, bins="fd")
        label = "data" + "".join(f", {np.mean(seen == atom):.0%} at {atom:g}" for atom in atoms)
        density = heights / (len(seen) * np.diff(borders))
        ax.bar(borders[:-1], density, np.diff(borders), align="edge", color=FAINT, zorder=1, label=label, gid="data")
    # between the points of a grid, and so never at an end
    ends = np.linspace(low, high if high > low else low + 1.0, _GRID + 1)
    points = (ends[:-1] + ends[1:]) / 2
    laws = _density(emission, points, place) * weights
    for k, colour in enumerate(state_colours(K)):
        ax.fill_between(points, laws[:, k], color=colour, alpha=0.18, linewidth=0, zorder=2)
        ax.plot(points, laws[:, k], color=colour, linewidth=1.8, zorder=3, label=labels[k], gid="state")
    if weighted:
        dashed: dict[str, Any] = {"color": INK, "linewidth": 1.0, "linestyle": (0, (4, 2)), "zorder": 4}
        ax.plot(points, laws.sum(axis=1), label="sum", gid="sum", **dashed)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("density")
    ax.set_xlabel("value")


def _atoms(emission: Any, seen: Floats, place: tuple[int, int]) -> list[float]:
    """Return values that come again and again, and at which the law of some state jumps away from both its sides."""
    values, counts = np.unique(seen, return_counts=True)
    often = np.flatnonzero(counts > max(0.02 * len(seen), 1))
    often = often[np.argsort(-counts[often])][:_MOST_ATOMS]
    step = 1e-9 * float(np.ptp(seen) or 1.0)
    found = []
    for value in values[often].tolist():
        left, here, right = _density(emission, np.array([value - step, value, value + step]), place)
        if (np.abs(here - right) > 1e-3 * np.maximum(here, right)).any() and (
            np.abs(here - left) > 1e-3 * np.maximum(here, left)
        ).any():
            found.append(value)
    return found


def _draw_ellipses(ax: Axes, emission: Any, data: Array | None, labels: list[str]) -> None:
    from matplotlib.patches import Ellipse

    means, covs = np.asarray(emission.mean()), np.asarray(emission.cov())
    if data is not None:
        ax.plot(data[:, 0], data[:, 1], "o", color=SOFT, alpha=0.5, markersize=2.5, zorder=1, gid="data", label="data")
    for mean, cov, colour, label in zip(means, covs, state_colours(len(means)), labels, strict=True):
        variances, directions = np.linalg.eigh(cov)
        angle = float(np.degrees(np.arctan2(directions[1, 1], directions[0, 1])))
        for level in (0.5, 0.95):
            minor, major = 2 * np.sqrt(np.maximum(variances, 0.0) * -2 * np.log1p(-level))
            look: dict[str, Any] = {"edgecolor": colour, "facecolor": "none", "linewidth": 1.8, "zorder": 3}
            ax.add_patch(Ellipse(tuple(mean), major, minor, angle=angle, gid="state", **look))
        ax.plot(*mean, "X", color=colour, markersize=8, markeredgecolor="white", zorder=4, label=label)
    ax.autoscale_view()


def _framed(ax: Axes, title: str | None, *, room_above: bool = False) -> Axes:
    """Frame and legend; bars leave no corner free, so that theirs stands in rows of four above them."""
    plain_frame(ax)
    look: dict[str, Any] = {"framealpha": 0.8, "edgecolor": "none", "fontsize": "small"}
    if room_above:
        rows = -(-len(ax.get_legend_handles_labels()[1]) // 4)
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + (0.06 + 0.08 * rows) * (high - low))
        look |= {"loc": "upper right", "ncols": 4, "columnspacing": 1.2}
    ax.legend(**look)
    return finish(ax, title)
