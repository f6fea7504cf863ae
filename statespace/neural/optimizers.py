r"""Adam, with gradients clipped by their norm and weight decay, in place and by hand.

With g the gradient of a loss, b1 and b2 the decays of its moments, t = 1, 2, ... and rate_t the learning rate

    m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
    w = (1 - rate_t decay) w - rate_t / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + epsilon)

and before it, where |g| > clip, all g are multiplied by clip / (|g| + 1e-6); |g| is over all weights together.

Kingma and Ba (2015); Loshchilov and Hutter (2019) for the decay, which no moment sees; Pascanu, Mikolov and Bengio
(2013) for clipping. All as torch has it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from statespace.foundations.validation import check_positive, check_probability
from statespace.neural.schedules import Schedule, as_schedule
from statespace.protocols import Array

_BLOCK = 1 << 16  # numbers that are updated together, so that they stay near
_UNSHARED = 8192  # numbers of a product that BLAS does not share out to threads


class TrainingDivergedError(ArithmeticError):
    """A loss or a gradient was not finite; the weights are the last with which it was.

    Attributes
    ----------
    step : int
        Which step it was, from 0.
    norm : float
        Of the gradient.

    """

    def __init__(self, message: str, step: int, norm: float) -> None:
        super().__init__(message)
        self.step, self.norm = step, norm


def global_norm(gradients: Sequence[Array]) -> float:
    """Euclidean norm of several arrays together; the same to the last bit on any number of threads."""
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for gradient in gradients:
            flat = gradient.reshape(-1)
            for first in range(0, flat.size, _UNSHARED):
                part = flat[first : first + _UNSHARED]
                total += float(np.dot(part, part))
    if math.isinf(total):  # squares beyond the largest float, of numbers that may be below it
        most = max(float(np.abs(gradient).max(initial=0.0)) for gradient in gradients)
        if math.isfinite(most):
            return most * math.sqrt(sum(float(np.square(g.astype(np.float64) / most).sum()) for g in gradients))
    return math.sqrt(total)


def clip_global_norm(gradients: Sequence[Array], most: float) -> float:
    """Multiply arrays in place so that their norm together is at most `most`; the norm before."""
    norm = global_norm(gradients)
    if math.isfinite(norm) and norm > most:
        for gradient in gradients:
            gradient *= most / (norm + 1e-6)
    return norm


class Adam:
    """Adam on the weights of networks and heads, in place.

    Parameters
    ----------
    parts : network, head, flat array, or a list of these
        What is trained: whatever has a `vector` of weights, and `by_name` where it has biases; or a flat array.
    learning_rate : float or function of the step
        A `Schedule` is one.
    beta1, beta2 : float
        How much of the moments is kept at each step.
    epsilon : float
        Added to the root of the second moment.
    weight_decay : float
        Part of the weights that is taken off at each step, times the learning rate.
    decay_biases : bool
        Whether biases decay too.
    clip : float, optional
        The largest norm of a gradient over all weights; None: any.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([3.0, -2.0])
    >>> adam = Adam(w, learning_rate=0.1)
    >>> for _ in range(500):
    ...     norm = adam.step(2 * w, loss=(w**2).sum())
    >>> bool((abs(w) < 1e-6).all())
    True

    """

    def __init__(
        self,
        parts: Any,
        learning_rate: Any = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        clip: float | None = None,
    ) -> None:
        given = list(parts) if isinstance(parts, list | tuple) else [parts]
        self._vectors = [_vector_of(part) for part in given]
        dtypes = {vector.dtype for vector in self._vectors}
        if len(dtypes) != 1:
            raise ValueError(f"the parts have the types {sorted(map(str, dtypes))}, expected one for all")
        (dtype,) = dtypes
        self.schedule: Any = as_schedule(learning_rate)
        self.beta1, self.beta2 = check_probability("beta1", beta1), check_probability("beta2", beta2)
        self.epsilon = check_positive("epsilon", epsilon)
        self.weight_decay = 0.0 if weight_decay == 0 else check_positive("weight_decay", weight_decay)
        self.clip = None if clip is None else check_positive("clip", clip)
        self.n_steps = 0
        """Steps that were taken."""
        self._decays = [
            _without_biases(part, vector, decay_biases) if self.weight_decay else []
            for part, vector in zip(given, self._vectors, strict=True)
        ]
        self._m = [np.zeros_like(vector) for vector in self._vectors]
        self._v = [np.zeros_like(vector) for vector in self._vectors]
        self._before = [vector.copy() for vector in self._vectors]  # the last weights with a finite gradient
        size = min(_BLOCK, max(vector.size for vector in self._vectors))
        self._work, self._scaled = np.empty(size, dtype), np.empty(size, dtype)
        self._most = math.sqrt(float(np.finfo(dtype).max))

    def step(self, gradients: Any, loss: float | None = None) -> float:
        """Go one step down; the norm of the gradient before it was clipped.

        Parameters
        ----------
        gradients : array or list of arrays
            Derivatives of the loss by the vector of each part.
        loss : float, optional
            Looked at, and nothing else.

        Raises
        ------
        TrainingDivergedError
            Where the loss or a gradient is not finite. No step is taken, and the weights are put back to the last with
            which loss and gradient were finite.

        """
        parts = [gradients] if isinstance(gradients, np.ndarray) else list(gradients)
        if len(parts) != len(self._vectors):
            raise ValueError(f"there are {len(parts)} gradients for {len(self._vectors)} parts: give one for each")
        for i, (part, vector) in enumerate(zip(parts, self._vectors, strict=True)):
            if part.shape != vector.shape or part.dtype != vector.dtype:
                raise ValueError(
                    f"gradients[{i}] has shape {part.shape} of {part.dtype}, expected "
                    f"{vector.shape} of {vector.dtype}, as the weights"
                )
        norm = global_norm(parts)
        rate = float(self.schedule(self.n_steps))
        if (loss is not None and not math.isfinite(loss)) or not math.isfinite(norm):
            self._give_up("is not finite", norm, loss, rate)
        factor = self.clip / (norm + 1e-6) if self.clip is not None and norm > self.clip else 1.0
        if norm * factor > self._most:
            self._give_up(f"is so large that its square is no {self._work.dtype}: clip it", norm, loss, rate)
        self.n_steps += 1
        t = self.n_steps
        step_size, correction = rate / (1.0 - self.beta1**t), math.sqrt(1.0 - self.beta2**t)
        for i, (vector, gradient) in enumerate(zip(self._vectors, parts, strict=True)):
            np.copyto(self._before[i], vector)
            for decayed in self._decays[i]:
                decayed *= 1.0 - rate * self.weight_decay
            for first in range(0, vector.size, _BLOCK):
                here = slice(first, first + _BLOCK)
                m, v = self._m[i][here], self._v[i][here]
                self._update(vector[here], gradient[here], m, v, factor, step_size, correction)
        return norm

    def _update(
        self, w: Array, g: Array, m: Array, v: Array, factor: float, step_size: float, correction: float
    ) -> None:
        work, scaled = self._work[: w.size], self._scaled[: w.size]
        if factor != 1.0:
            g = np.multiply(g, factor, out=scaled)
        np.subtract(g, m, out=work)
        work *= 1.0 - self.beta1
        m += work
        np.multiply(g, g, out=work)
        work *= 1.0 - self.beta2
        v *= self.beta2
        v += work
        np.sqrt(v, out=work)
        work += self.epsilon * correction
        np.divide(m, work, out=work)
        work *= step_size * correction
        w -= work

    def _give_up(self, what: str, norm: float, loss: float | None, rate: float) -> None:
        for vector, before in zip(self._vectors, self._before, strict=True):
            np.copyto(vector, before)
        wrong = "loss" if loss is not None and not math.isfinite(loss) else "gradient"
        said = "" if loss is None else f"the loss is {loss:g}, "
        raise TrainingDivergedError(
            f"step {self.n_steps}: the {wrong} {what} ({said}the norm of the gradient {norm:g}, the learning rate "
            f"{rate:g}). The weights are the last good ones; a smaller learning rate"
            + ("" if self.clip else ", or clip=1.0,")
            + " may help, and so may inputs of the size of 1",
            self.n_steps,
            norm,
        )

    # ----------------------------------------------------------------------------------------- to stop and to go on

    def state(self) -> dict[str, Array]:
        """What the next step depends on besides the weights: arrays by name, copies."""
        found: dict[str, Array] = {"n_steps": np.array(self.n_steps)}
        for i, (m, v) in enumerate(zip(self._m, self._v, strict=True)):
            found[f"first_moment_{i}"], found[f"second_moment_{i}"] = m.copy(), v.copy()
        return found

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; the weights are to be those of that moment.

        Raises
        ------
        ValueError
            Where it belongs to other parts; nothing is changed.

        """
        expected = self.state()
        for name, value in expected.items():
            if name not in state or np.shape(state[name]) != value.shape:
                has = f"has shape {np.shape(state[name])}" if name in state else "is missing"
                raise ValueError(f"the state does not fit these parts: {name} {has}, expected shape {value.shape}")
        self.n_steps = int(state["n_steps"])
        for i, (vector, m, v) in enumerate(zip(self._vectors, self._m, self._v, strict=True)):
            m[...], v[...] = state[f"first_moment_{i}"], state[f"second_moment_{i}"]
            np.copyto(self._before[i], vector)

    def __repr__(self) -> str:
        size = sum(vector.size for vector in self._vectors)
        rate = self.schedule if not isinstance(self.schedule, Schedule) or self.schedule.decay else None
        shown = f"{self.schedule.learning_rate:g}" if rate is None else repr(rate)
        return f"<Adam on {size} weights, learning rate {shown}, after {self.n_steps} steps>"


def _vector_of(part: Any) -> Array:
    vector = getattr(part, "vector", part)
    if not isinstance(vector, np.ndarray) or vector.ndim != 1 or vector.dtype not in (np.float32, np.float64):
        raise TypeError(
            f"{part!r:.60} is nothing to train: expected a network, a head, or a flat array of float32 or float64"
        )
    if not vector.flags.writeable:
        raise ValueError("the weights are read-only, and are changed in place: hand over a copy")
    return vector


def _without_biases(part: Any, vector: Array, decay_biases: bool) -> list[Array]:
    """What decays: stretches of the vector."""
    if decay_biases or not hasattr(part, "by_name"):
        return [vector]
    decays = np.ones(len(vector), dtype=np.bool_)
    for name, place in part.by_name(decays).items():
        if name.startswith("bias"):
            place[...] = False
    ends = np.flatnonzero(np.diff(np.concatenate([[False], decays, [False]])))
    return [vector[first:last] for first, last in zip(ends[::2], ends[1::2], strict=True)]
