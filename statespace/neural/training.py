"""Training: epochs of Adam on mini-batches, or L-BFGS on all data at once, and what came of it.

A part of the data is held out: training stops when its loss has not been less for some epochs, and the best weights are
kept (Prechelt 1998).
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.em import ConvergenceWarning, levels_to_the_caller
from statespace.foundations.validation import check_choice, check_flag, check_integer, check_positive
from statespace.neural.optimizers import Adam, TrainingDivergedError
from statespace.neural.schedules import Schedule
from statespace.protocols import Array, Floats

_GAIN = 1e-4  # nats a scored step: what is less changes nothing that anyone would see
BY_EPOCH = ("loss", "held_out_loss", "gradient_norm", "seconds")
"""What a history has an entry an epoch of."""


class LossGradients(NamedTuple):
    """The loss of a batch, and its derivatives."""

    loss: float
    """Sum over what is scored, in nats."""
    weight: float
    """How much is scored: the mean is loss / weight."""
    gradients: list[Array]
    """Of the mean, by the vector of each part."""


class Objective(Protocol):
    """What is trained: its parts, and the loss of its batches."""

    parts: Sequence[Any]
    """Networks, heads and whatever else has a `vector`."""

    def n_batches(self) -> int:
        """Batches of an epoch."""

    def batches(self, rng: np.random.Generator) -> Iterator[Any]:
        """Those of one epoch, drawn."""

    def gradients(self, batch: Any, rng: np.random.Generator | None) -> LossGradients:
        """Loss and derivatives of one batch; with a generator things drop out."""

    def whole(self) -> Iterator[Any]:
        """Batches that are all data, each sequence whole."""

    def held_out_loss(self) -> float | None:
        """Mean loss of what is held out, in nats; None where nothing is."""


@dataclass(frozen=True)
class History:
    """What happened in a training, an entry an epoch; of L-BFGS, an iteration."""

    loss: Floats
    """Mean loss of what was trained on, with dropout, while the weights changed, in nats; shape (n_epochs,)."""
    held_out_loss: Floats
    """Mean loss of what was held out, after the epoch; NaN where nothing was."""
    gradient_norm: Floats
    """Mean norm of the gradients before they were clipped."""
    seconds: Floats
    """By the clock."""
    best_epoch: int
    """After which the weights are those that were kept, from 0."""
    converged: bool
    """Whether it stopped by itself."""
    reason: str
    """Why it stopped."""

    @property
    def n_epochs(self) -> int:
        """How many there were."""
        return len(self.loss)

    @property
    def still_falling(self) -> bool:
        """Whether it was stopped where the last epoch had the least loss of what was held out."""
        last = self.best_epoch == self.n_epochs - 1
        return last and not self.converged and not np.isnan(self.held_out_loss).all()

    @classmethod
    def of_one(cls, loss: float, norm: float) -> History:
        """Of a single epoch, made by `partial_fit`."""
        by_epoch = {name: np.array([value]) for name, value in zip(BY_EPOCH, (loss, np.nan, norm, np.nan), strict=True)}
        return cls(**by_epoch, best_epoch=0, converged=False, reason="partial_fit goes on where it is called again")

    def after(self, earlier: History | None) -> History:
        """Both, one after the other."""
        if earlier is None:
            return self
        both = {name: np.concatenate([getattr(earlier, name), getattr(self, name)]) for name in BY_EPOCH}
        best = earlier.n_epochs + self.best_epoch
        return History(**both, best_epoch=best, converged=self.converged, reason=self.reason)

    def __repr__(self) -> str:
        last = f", loss {self.loss[self.best_epoch]:.4g}" if len(self.loss) else ""
        return f"<History of {self.n_epochs} epochs, best {self.best_epoch}{last}: {self.reason}>"


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; checked when made."""

    method: str = "adam"
    n_epochs: int = 100
    learning_rate: Any = 1e-2
    decay: str | None = None
    clip: float | None = 1.0
    weight_decay: float = 0.0
    patience: int | None = 10
    progress: bool = False

    def __post_init__(self) -> None:
        check_choice("method", self.method, ("adam", "lbfgs"))
        check_choice("decay", self.decay, (None, "linear", "cosine"))
        check_integer("n_epochs", self.n_epochs, 1)
        check_flag("progress", self.progress)
        if not callable(self.learning_rate):
            check_positive("learning_rate", self.learning_rate)
        elif self.decay is not None:
            raise ValueError("learning_rate is a function of the step and decay is given too: leave one out")
        if self.clip is not None:
            check_positive("clip", self.clip)
        if self.weight_decay:
            check_positive("weight_decay", self.weight_decay)
        if self.patience is not None:
            check_integer("patience", self.patience, 1)

    def adam(self, parts: Sequence[Any], n_steps: int) -> Adam:
        """The optimiser of some parts, for so many steps."""
        rate = self.learning_rate
        if self.decay is not None:
            rate = Schedule(rate, self.decay, steps=max(n_steps, 1))
        return Adam(list(parts), rate, clip=self.clip, weight_decay=self.weight_decay)


class _Watch:
    """Keeps the best weights, and says when enough is enough."""

    def __init__(self, objective: Objective, options: TrainingOptions) -> None:
        self.objective, self.options = objective, options
        self.vectors = [part.vector for part in objective.parts]
        self.loss: list[float] = []
        self.held_out: list[float] = []
        self.norms: list[float] = []
        self.seconds: list[float] = []
        self.best, self.best_epoch = math.inf, -1
        self.gained_from, self.gained = math.inf, -1  # the loss held out, and when it last was enough below that
        self.kept: list[Array] = []
        self.clock = time.perf_counter()

    def epoch(self, loss: float, norm: float) -> bool:
        """Note an epoch; whether to go on."""
        held_out = self.objective.held_out_loss()
        self.loss.append(loss)
        self.norms.append(norm)
        now = time.perf_counter()
        self.seconds.append(now - self.clock)
        self.clock = now
        if held_out is None or self.options.patience is None:
            self.held_out.append(math.nan if held_out is None else held_out)
            self.best_epoch = len(self.loss) - 1
            return True
        self.held_out.append(held_out)
        if held_out < self.best:
            self.best, self.best_epoch = held_out, len(self.loss) - 1
            self.kept = [vector.copy() for vector in self.vectors]
        if held_out < self.gained_from - _GAIN:
            self.gained_from, self.gained = held_out, len(self.loss) - 1
        return not self.stalled

    @property
    def stalled(self) -> bool:
        """Whether there has been no gain for so many epochs as one has patience for."""
        patience, watched = self.options.patience, math.isfinite(self.gained_from)
        return patience is not None and watched and len(self.loss) - 1 - self.gained >= patience

    def done(self, converged: bool, reason: str) -> History:
        """Put the best weights back."""
        for vector, kept in zip(self.vectors, self.kept, strict=False):
            vector[...] = kept
        return History(
            np.array(self.loss),
            np.array(self.held_out),
            np.array(self.norms),
            np.array(self.seconds),
            max(self.best_epoch, 0),
            converged,
            reason,
        )

    def stopped_early(self) -> History:
        return self.done(
            True, f"what was held out has not been {_GAIN:g} nats better for {self.options.patience} epochs"
        )


def train(objective: Objective, options: TrainingOptions, rng: np.random.Generator) -> History:
    """Change the parts of an objective, in place, so that its loss becomes less.

    Raises
    ------
    TrainingDivergedError
        Where a loss or a gradient is not finite.

    Warns
    -----
    ConvergenceWarning
        Where the loss of what is held out was still falling, or L-BFGS had not converged.

    """
    found = _by_lbfgs(objective, options) if options.method == "lbfgs" else _by_adam(objective, options, rng)
    falling = options.patience is not None and found.still_falling
    if falling or (options.method == "lbfgs" and not found.converged):
        warnings.warn(
            f"the training stopped after {found.n_epochs} epochs, and its loss was still falling: {found.reason}; "
            "raise n_epochs",
            ConvergenceWarning,
            stacklevel=levels_to_the_caller(),
        )
    return found


def _by_adam(objective: Objective, options: TrainingOptions, rng: np.random.Generator) -> History:
    adam = options.adam(objective.parts, options.n_epochs * objective.n_batches())
    watch = _Watch(objective, options)
    with _bar(options, options.n_epochs) as bar:
        for _ in range(options.n_epochs):
            going = watch.epoch(*one_epoch(objective, adam, rng))
            bar.update(watch)
            if not going:
                return watch.stopped_early()
    return watch.done(False, f"n_epochs={options.n_epochs} were made")


def one_epoch(objective: Objective, adam: Adam, rng: np.random.Generator) -> tuple[float, float]:
    """One pass over all batches: the mean loss on the way, and the mean norm of the gradients."""
    total = weight = norms = 0.0
    n = 0
    for batch in objective.batches(rng):
        found = objective.gradients(batch, rng)
        if not found.weight:
            continue
        norms += adam.step(found.gradients, found.loss / found.weight)
        total, weight, n = total + found.loss, weight + found.weight, n + 1
    if not n:
        raise ValueError("nothing to learn from: every observation is missing")
    return total / weight, norms / n


def _by_lbfgs(objective: Objective, options: TrainingOptions) -> History:
    from scipy.optimize import minimize

    vectors = [part.vector for part in objective.parts]
    decays = _decaying(objective.parts, options.weight_decay)
    watch = _Watch(objective, options)
    latest = [math.nan, math.nan]

    def place(x: Floats) -> None:
        first = 0
        for vector in vectors:
            vector[...] = x[first : first + vector.size]
            first += vector.size

    def value(x: Floats) -> tuple[float, Floats]:
        place(x)
        found = [objective.gradients(batch, None) for batch in objective.whole()]
        weight = sum(one.weight for one in found)
        if not weight:
            raise ValueError("nothing to learn from: every observation is missing")
        loss = sum(one.loss for one in found) / weight
        gradient = np.zeros(len(x))
        for one in found:
            if one.weight:
                gradient += one.weight / weight * np.concatenate(one.gradients, dtype=np.float64)
        loss += 0.5 * float((decays * x) @ x)
        gradient += decays * x
        norm = float(np.linalg.norm(gradient))
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise TrainingDivergedError(
                f"the loss is {loss:g} and the norm of the gradient {norm:g} after {len(watch.loss)} iterations: "
                "method='adam' with clip=1.0 may help, and so may inputs of the size of 1",
                len(watch.loss),
                norm,
            )
        latest[:] = loss, norm
        return loss, gradient

    start = np.concatenate(vectors, dtype=np.float64)
    with _bar(options, options.n_epochs) as bar:

        def each(intermediate_result: Any) -> None:
            place(intermediate_result.x)
            going = watch.epoch(float(intermediate_result.fun), latest[1])
            bar.update(watch)
            if not going:
                raise StopIteration

        settings = {"maxiter": options.n_epochs, "maxfun": 20 * options.n_epochs, "ftol": 1e-10, "gtol": 1e-6}
        with blas_on_one_thread():  # scipy's factors of what it keeps are small and shared out all the same
            found = minimize(value, start, jac=True, method="L-BFGS-B", callback=each, options=settings)
    place(found.x)
    if not watch.loss:
        watch.epoch(float(found.fun), latest[1])
    if watch.stalled:
        return watch.stopped_early()
    why = f"n_epochs={options.n_epochs} iterations were made" if found.status == 1 else str(found.message).lower()
    return watch.done(bool(found.success), why)


def _decaying(parts: Sequence[Any], weight_decay: float) -> Floats:
    """What each weight's square is multiplied by; biases stay."""
    found = []
    for part in parts:
        one = np.full(part.vector.size, float(weight_decay))
        if hasattr(part, "by_name"):
            for name, place in part.by_name(one).items():
                if name.startswith("bias"):
                    place[...] = 0.0
        found.append(one)
    return np.concatenate(found)


class _bar:  # noqa: N801  # used as a function is
    """A progress bar, where one is wanted."""

    def __init__(self, options: TrainingOptions, total: int) -> None:
        self._bar: Any = None
        if options.progress:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                raise ImportError('progress=True needs tqdm: pip install "statespace-models[progress]"') from None
            self._bar = tqdm(total=total, unit="epoch")

    def __enter__(self) -> _bar:
        return self

    def update(self, watch: _Watch) -> None:
        if self._bar is not None:
            shown = {"loss": f"{watch.loss[-1]:.4f}"}
            if not math.isnan(watch.held_out[-1]):
                shown["held out"] = f"{watch.held_out[-1]:.4f}"
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update()

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
