"""The rule by which labels are learnt and scored: classes, what each counts, accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.neural.labelled_sequences import Labels
from statespace.neural.laws import Categorical
from statespace.protocols import Array, Floats


def law_of_classes(labels: Labels) -> Categorical:
    """The law of all labels that were seen, in order.

    Raises
    ------
    ValueError
        Where there are fewer than two.

    """
    classes = np.unique(labels.values[labels.known])
    if len(classes) < 2:
        said = f"the one class {classes[0].item()!r}" if len(classes) else "no label"
        raise ValueError(f"y has {said}: at least two are needed, to tell them apart")
    return Categorical(classes)


def log_probabilities(scores: Floats) -> Floats:
    """Logarithms of softmax(scores), row by row."""
    away = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(away - np.log(np.exp(away).sum(axis=1, keepdims=True)))


def accuracy(labels: Labels, predicted: Array, weights: Any = None) -> float:
    """The share of what is labelled that is said right.

    Raises
    ------
    ValueError
        Where nothing is labelled.

    """
    each = np.ones(len(labels.values)) if weights is None else np.asarray(weights, np.float64)
    if each.shape != labels.known.shape:
        raise ValueError(f"sample_weight has shape {each.shape}, expected {labels.known.shape}")
    known = labels.known & (each > 0)
    if not known.any():
        raise ValueError("y has no label: there is nothing to score")
    right = labels.values[known] == predicted[known]
    return float(np.average(right, weights=each[known]))


def class_weights(class_weight: Any, classes: Array, codes: Floats, weights: Floats) -> Floats:
    """What each class counts, (n_classes,).

    Parameters
    ----------
    class_weight : None, "balanced" or dict
    classes : (n_classes,)
    codes : (n,)
        Places of the labels, NaN where missing.
    weights : (n,)
        How often each counts.

    """
    if class_weight is None:
        return np.ones(len(classes))
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight is {class_weight!r}, expected None, 'balanced' or a dict")
        known = ~np.isnan(codes)
        mass = np.bincount(codes[known].astype(np.int64), weights[known], len(classes))
        return np.asarray(mass.sum() / (len(classes) * np.where(mass > 0, mass, np.inf)))
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight is {class_weight!r:.60}, expected None, 'balanced' or a dict of weights")
    found = np.ones(len(classes))
    places: dict[Any, int] = {label: k for k, label in enumerate(classes.tolist())}
    for label, weight in class_weight.items():
        if label not in places:
            raise ValueError(f"class_weight has {label!r:.40}, which is none of the classes")
        value: Any = weight
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= float(value) < np.inf:
            raise ValueError(f"class_weight[{label!r:.40}] is {weight!r}, expected a number of at least 0")
        found[places[label]] = float(value)
    return found
