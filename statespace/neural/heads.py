"""From the outputs of a network to the law of an observation: an affine layer, and a law given its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.affine import AffineMap
from statespace.foundations.executors import map_pieces, sum_in_order
from statespace.foundations.predictive import PredictiveLaw
from statespace.foundations.probability import generator
from statespace.foundations.validation import check_integer
from statespace.protocols import Array, Floats, HeadLaw, Ints

_AT_ONCE = 1 << 15  # scores that are computed together, so that they stay near
_PIECES = 8  # parts of a batch, each of which can have a thread of its own


class HeadGradients(NamedTuple):
    """The log-likelihood of a batch, and its derivatives."""

    log_likelihood: float
    """Sum of weights[i] log p(targets[i] | outputs[i]) over what is not missing, in nats."""
    outputs: Array
    """By the outputs of the network, in their shape; 0 where a target is missing."""
    vector: Array
    """By the weights of the head, in the order of `Head.vector`."""


class Head:
    """Scores W h + b of the outputs h of a network, and the law that they are the scores of.

    Parameters
    ----------
    law : Categorical, Bernoulli, Poisson, Gaussian, or an object of your own
        See `statespace.protocols.HeadLaw`.
    input_size : int
        Numbers that a network gives at each step, its `output_size`.
    dtype : float32 or float64
        That of the network.
    random_state : None, int, Generator or RandomState
        For the initial W, uniform between -1 / sqrt(input_size) and 1 / sqrt(input_size); b begins as 0.

    Attributes
    ----------
    vector : (n_scores * (input_size + 1),)
        All weights, to be changed in place.

    Examples
    --------
    >>> import numpy as np
    >>> from statespace.neural import Categorical
    >>> head = Head(Categorical(["dry", "wet"]), input_size=3, dtype=np.float64, random_state=0)
    >>> outputs, targets = np.random.default_rng(0).normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, np.nan])
    >>> head.start(targets)  # three wet days of five, and half a day of each, but for what W adds
    >>> head.predictive(np.zeros((1, 3))).probability("wet").round(3)
    array([0.583])
    >>> found = head.gradients(outputs, targets)
    >>> found.outputs.shape, found.vector.shape
    ((6, 3), (8,))
    >>> bool(np.isclose(found.log_likelihood, np.nansum(head.log_likelihood(outputs, targets))))
    True

    """

    def __init__(self, law: HeadLaw, input_size: int, dtype: Any = np.float32, random_state: Any = None) -> None:
        self.law: Any = law
        self.input_size = check_integer("input_size", input_size, 1)
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(f"dtype is {self.dtype}, expected float32 or float64")
        check_law(law)
        self._n_scores = check_integer("n_scores", law.n_scores, 1)
        self._n_idle = check_integer("n_idle_scores", getattr(law, "n_idle_scores", 0), 0)
        self._n_features = check_integer("n_features", getattr(law, "n_features", 1), 1)
        self.vector: Array = np.zeros((self.input_size + 1) * self._n_scores, self.dtype)
        bound = 1.0 / math.sqrt(self.input_size)
        self.weights["weight"].T[...] = generator(random_state).uniform(
            -bound, bound, (self.input_size, self._n_scores)
        )

    @property
    def n_parameters(self) -> int:
        """Free parameters: weights, but for those of scores that the law does not need.

        Only differences of a categorical law's K scores count, so that it has (K - 1) (input_size + 1).
        """
        return (self._n_scores - self._n_idle) * (self.input_size + 1)

    @property
    def support(self) -> str:
        """What is predicted: "categories", "counts" or "reals"."""
        return str(self.law.support)

    # ------------------------------------------------------------------------------------------------- the weights

    def by_name(self, vector: Array) -> dict[str, Array]:
        """Parts of a vector as long as all weights: "weight" (n_scores, input_size) and "bias" (n_scores,), views."""
        cut = self.input_size * self._n_scores
        return {"weight": vector[:cut].reshape(self.input_size, -1).T, "bias": vector[cut:]}

    @property
    def weights(self) -> Mapping[str, Array]:
        """Weights by name, as torch's Linear has them: views, to be changed in place."""
        return MappingProxyType(self.by_name(self.vector))

    def load_weights(self, weights: Any) -> None:
        """Take weights from a mapping with the names and shapes of `weights`.

        Raises
        ------
        TypeError, ValueError
            Where a name is missing or unknown, or an array has another shape or is not finite; nothing is changed.

        """
        own = self.weights
        if not isinstance(weights, Mapping) or weights.keys() != own.keys():
            has = ", ".join(map(str, weights)) if isinstance(weights, Mapping) else type(weights).__name__
            raise TypeError(f"the weights are {has:.60}, expected a mapping with weight and bias")
        given = {name: np.asarray(value) for name, value in weights.items()}
        for name, value in given.items():
            if value.shape != own[name].shape or value.dtype.kind not in "fiu" or not np.isfinite(value).all():
                raise ValueError(
                    f"{name} has shape {value.shape} of {value.dtype}, expected {own[name].shape}, finite real numbers"
                )
        for name, value in given.items():
            own[name][...] = value

    def start(self, targets: Any, weights: Any = None) -> None:
        """Begin at the law that all targets have together: it is what b alone says, where the outputs are 0.

        A Gaussian's `location` and `scale` are set here too. Where no target counts, b is 0.
        """
        begin = getattr(self.law, "start", None)
        values, each, _ = self._counted(targets, weights, None)
        if (each < 0).any():
            raise ValueError(f"weights holds {each[each < 0][0]}: to start from, they say how often a target counts")
        found = np.zeros(self._n_scores) if begin is None or not len(values) else np.asarray(begin(values, each))
        self.weights["bias"][...] = found

    # ------------------------------------------------------------------------------------------------- log-likelihood

    def log_likelihood(self, outputs: Any, targets: Any, weights: Any = None) -> Floats:
        """Log p(target | output) of each, in nats.

        Parameters
        ----------
        outputs : (..., input_size)
            Of a network: (n, input_size), or (batch, time, input_size).
        targets : (...) or (..., n_features)
            Places of symbols, counts, numbers; NaN where missing.
        weights : (...), optional
            Where they are 0, such as beyond the length of a row, neither outputs nor targets are read.

        Returns
        -------
        (...)
            NaN where there is no target, or a weight of 0; of targets known in part, the density of what is known.

        """
        rows, lead = self._rows(outputs)
        values, _, places = self._counted(targets, weights, lead)
        layer, found = self._layer(), np.full(len(rows), np.nan)

        def of(part: slice) -> None:
            where = _span(places[part])
            found[where] = self.law.log_likelihood(layer(rows[where]), values[part])

        map_pieces(of, [part for group in self._groups(len(places)) for part in group])
        return found.reshape(lead)

    def gradients(self, outputs: Any, targets: Any, weights: Any = None, *, outputs_too: bool = True) -> HeadGradients:
        """The log-likelihood of all targets, and its derivatives.

        Parameters
        ----------
        outputs, targets
            As of `log_likelihood`.
        weights : (...), optional
            What each log-likelihood is multiplied by, 1 if not given; -1 / n gives the derivatives of a mean loss.
            Where they are 0, neither outputs nor targets are read.
        outputs_too : bool
            Whether the derivatives by the outputs are wanted; otherwise they are 0.

        """
        rows, lead = self._rows(outputs)
        values, each, places = self._counted(targets, weights, lead)
        layer, K = self._layer(), self._n_scores
        d_outputs = np.zeros(rows.shape, self.dtype)

        def of(group: list[slice]) -> tuple[float, Array]:
            total, d_layer = 0.0, layer.zeros()
            for part in group:
                where = _span(places[part])
                x = rows[where]
                logs, slopes = self.law.derivatives(layer(x), values[part])
                total += float(np.dot(np.asarray(logs, np.float64), each[part]))
                d_scores = np.zeros((len(x), layer.padded), self.dtype)
                with np.errstate(over="ignore"):
                    np.multiply(slopes, each[part, None].astype(slopes.dtype), out=d_scores[:, :K], casting="same_kind")
                layer.add_derivatives(x, d_scores, d_layer)
                if outputs_too:
                    d_outputs[where] = layer.back(d_scores)
            return total, d_layer

        groups = self._groups(len(places))
        total, d_layer = sum_in_order(map_pieces(of, groups)) if groups else (0.0, layer.zeros())
        vector = d_layer[: self.input_size + 1, :K].reshape(-1)  # b follows W in both
        return HeadGradients(total, d_outputs.reshape(*lead, self.input_size), vector)

    def _groups(self, n: int) -> list[list[slice]]:
        """What is computed one after the other, and what at the same time: both whatever the number of threads."""
        size = min(max(_AT_ONCE // self._n_scores, 128), 1024)
        parts = [slice(first, min(first + size, n)) for first in range(0, n, size)]
        each = -(-len(parts) // _PIECES)
        return [parts[first : first + each] for first in range(0, len(parts), each)] if parts else []

    def _layer(self) -> AffineMap:
        cut = self.input_size * self._n_scores
        return AffineMap(self.vector[:cut].reshape(self.input_size, -1), self.vector[cut:])

    # --------------------------------------------------------------------------------------------------- what follows

    def scores(self, outputs: Any) -> Array:
        """W h + b, shape (..., n_scores)."""
        rows, lead = self._rows(outputs)
        return np.ascontiguousarray(self._layer()(rows)).reshape(*lead, self._n_scores)

    def sample(self, outputs: Any, random_state: Any = None, temperature: float = 1.0) -> Array:
        """A draw for each output, (...) places of symbols or (..., n_features) numbers.

        Draws are from the law to the power of 1 / temperature: 1 is the law itself, 0 always its most probable value.
        """
        if isinstance(temperature, bool | str) or np.ndim(temperature) or not 0 <= temperature < math.inf:
            raise ValueError(f"temperature is {temperature!r}, expected a number of at least 0; 1 is the law itself")
        rows, lead = self._rows(outputs)
        drawn = np.asarray(self.law.sample(self._layer()(rows), generator(random_state), float(temperature)))
        return drawn.reshape(lead + drawn.shape[1:])

    def predictive(self, outputs: Any, index: Any = None) -> PredictiveLaw:
        """The laws of what is predicted, one for each of the outputs (n, input_size)."""
        rows, lead = self._rows(outputs)
        if len(lead) != 1:
            raise ValueError(f"outputs has shape {np.shape(outputs)}, expected (n, {self.input_size}): a law a row")
        found: PredictiveLaw = self.law.predictive(self._layer()(rows), index)
        return found

    # -------------------------------------------------------------------------------------------------- what comes in

    def _rows(self, outputs: Any) -> tuple[Array, tuple[int, ...]]:
        """Outputs (n, input_size), and the shape before the last."""
        given = np.asarray(outputs)
        if given.ndim < 1 or given.shape[-1] != self.input_size or given.dtype.kind not in "fiu":
            raise ValueError(
                f"outputs has shape {given.shape} of {given.dtype}, expected (..., {self.input_size}), real numbers"
            )
        rows = np.require(given.reshape(-1, self.input_size), self.dtype, ["C", "W"])
        return rows, given.shape[:-1]

    def _counted(self, targets: Any, weights: Any, lead: tuple[int, ...] | None) -> tuple[Array, Floats, Ints]:
        """Targets (n, n_features) that count, their weights, and which of all they are; checked."""
        given, D = np.asarray(targets), self._n_features
        if given.dtype.kind not in "fiub":
            raise TypeError(
                f"targets are {given.dtype}, expected numbers: {getattr(self.law, 'expected', 'NaN if missing')}"
            )
        shape = lead
        if shape is None:
            shape = given.shape if D == 1 and given.shape[-1:] != (1,) else given.shape[:-1]
        if given.shape != (*shape, D) and not (D == 1 and given.shape == shape):
            wanted = f"{shape} or {(*shape, 1)}" if D == 1 else str((*shape, D))
            raise ValueError(f"targets has shape {given.shape}, expected {wanted}: one for each output")
        values = given.reshape(-1, D)
        each = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
        if each.size != len(values) or (weights is not None and each.shape != shape):
            raise ValueError(f"weights has shape {np.shape(weights)}, expected {shape}: one for each target")
        each = each.reshape(-1)
        if not np.isfinite(each).all():
            raise ValueError(
                f"weights holds {each[~np.isfinite(each)][0]}, expected finite numbers; 0 leaves a row out"
            )
        counts = each != 0
        if values.dtype.kind == "f":
            unknown = np.isnan(values)
            counts &= ~unknown.all(axis=1)
            if D > 1 and not getattr(self.law, "marginalises", False) and unknown[counts].any():
                raise ValueError(
                    f"targets has rows that are missing in part, and {type(self.law).__name__} does not say that it "
                    "can leave out single features (marginalises = True): make the whole row NaN, or fill it"
                )
        places = np.flatnonzero(counts)
        if len(places) < len(values):
            values, each = values[places], each[places]
        if hasattr(self.law, "wrong"):
            bad = np.argwhere(self.law.wrong(values))
            if len(bad):
                i, d = (int(k) for k in bad[0])
                place = [*map(int, np.unravel_index(places[i], shape)), *([d] if D > 1 else [])]
                raise ValueError(
                    f"targets[{', '.join(map(str, place))}] is {values[i, d]:g}, expected {self.law.expected}"
                )
        return values, each, places


def _span(places: Ints) -> slice | Ints:
    """Ascending places, as a slice where they follow each other."""
    first, n = int(places[0]), len(places)
    return slice(first, first + n) if int(places[-1]) - first + 1 == n else places


def check_law(law: Any, *more: str) -> None:
    """Refuse what lacks a member that each law has, or one of those named."""
    lacking = [name for name in ("n_scores", "log_likelihood", "derivatives", *more) if not hasattr(law, name)]
    if lacking:
        raise TypeError(f"{law!r:.60} is no law of a head: it has no {' and no '.join(lacking)}")
