"""What all estimators with a network have in common: their options, checked, and what is built from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from statespace.foundations.estimator import Estimator
from statespace.foundations.probability import generator
from statespace.foundations.validation import check_flag, check_integer, check_share
from statespace.neural.embedding import Embedding
from statespace.neural.encoder import Dropout, Encoder
from statespace.neural.network import RecurrentNetwork
from statespace.neural.training import History, Objective, TrainingOptions, one_epoch
from statespace.protocols import Array, Ints

_MOST_NUMBERS = 64  # of an embedding whose size is not given
_OWN_STREAM = 0x5EED  # what is drawn in training is no function of what the weights began as


class NetworkEstimator(Estimator):
    """Options by the names that all estimators with a network share; each has those of its own besides."""

    cell: str
    hidden_size: int
    num_layers: int
    embedding_size: Any
    reset: str
    leak: float | None
    skip: int | None
    remove_short: bool
    nonlinearity: str
    learn_start: bool
    dropout: Any
    method: str
    n_epochs: int
    batch_size: int
    learning_rate: Any
    decay: str | None
    clip: float | None
    weight_decay: float
    held_out: float
    patience: int | None
    dtype: Any
    progress: bool
    random_state: Any

    history_: History
    _drawing: np.random.Generator
    _adam: dict[str, Array] | None

    def _training_options(self) -> TrainingOptions:
        check_integer("batch_size", self.batch_size, 1)
        if check_share("held_out", self.held_out) == 1:
            raise ValueError("held_out is 1, and nothing would be left to train on")
        return TrainingOptions(
            self.method,
            self.n_epochs,
            self.learning_rate,
            self.decay,
            self.clip,
            self.weight_decay,
            self.patience,
            self.progress,
        )

    def _stepwise_options(self) -> TrainingOptions:
        """Those of `partial_fit`."""
        options = self._training_options()
        if self.method != "adam":
            raise ValueError(f"partial_fit goes on step by step, and method is {self.method!r}: use 'adam'")
        return options

    def _go_over_once(self, objective: Objective, options: TrainingOptions) -> None:
        """One epoch, from where the optimiser and the generator were left."""
        adam = options.adam(objective.parts, self.n_epochs * objective.n_batches())
        if self._adam is not None:
            adam.load_state(self._adam)
        loss, norm = one_epoch(objective, adam, self._drawing)
        self._adam = adam.state()
        self.history_ = History.of_one(loss, norm).after(getattr(self, "history_", None))

    def _generators(self) -> tuple[np.random.Generator, np.random.Generator]:
        """One for the weights at the start, one for what is drawn in training."""
        rng = generator(self.random_state)
        return rng, np.random.default_rng([_OWN_STREAM, int(rng.integers(1 << 63))])

    def _dtype(self) -> Any:
        given = self.dtype
        if given is None:
            return np.float64 if self.method == "lbfgs" else np.float32
        return given

    def _new_network(self, input_size: int, rng: np.random.Generator, bidirectional: bool = False) -> RecurrentNetwork:
        return RecurrentNetwork(
            self.cell,
            input_size,
            self.hidden_size,
            self.num_layers,
            bidirectional,
            reset=self.reset,
            leak=self.leak,
            skip=self.skip,
            remove_short=self.remove_short,
            dtype=self._dtype(),
            random_state=rng,
            nonlinearity=self.nonlinearity,
        )

    def _new_encoder(
        self,
        n_symbols: Sequence[int],
        n_numbers: int,
        rng: np.random.Generator,
        bidirectional: bool = False,
    ) -> Encoder:
        """An encoder of columns of symbols and of numbers."""
        sizes = self._embedding_sizes(n_symbols)
        network = self._new_network(sum(sizes) + n_numbers, rng, bidirectional)
        embeddings = [Embedding(K, size, network.dtype, rng) for K, size in zip(n_symbols, sizes, strict=True)]
        return Encoder(
            network,
            embeddings,
            n_numbers,
            learn_start=check_flag("learn_start", self.learn_start),
            dropout=self._dropout(),
        )

    def _embedding_sizes(self, n_symbols: Sequence[int]) -> list[int]:
        given = self.embedding_size
        if given is None:
            return [min(K, _MOST_NUMBERS) for K in n_symbols]
        if isinstance(given, list | tuple):
            if len(given) != len(n_symbols):
                raise ValueError(f"embedding_size is {given!r}, expected {len(n_symbols)}: one for each column")
            return [check_integer(f"embedding_size[{i}]", size, 1) for i, size in enumerate(given)]
        return [check_integer("embedding_size", given, 1)] * len(n_symbols)

    def _dropout(self) -> Dropout:
        given = self.dropout
        if isinstance(given, tuple | list):
            if len(given) != 3:
                raise ValueError(
                    f"dropout is {given!r}, expected one number, or three: of inputs, between layers, of outputs"
                )
            shares = given
        else:
            shares = (given, given, given)
        for share in shares:
            if check_share("dropout", share) == 1:
                raise ValueError("dropout is 1, and nothing would be left")
        return Dropout(*map(float, shares))


def split(n: int, share: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Places 0, ..., n - 1 to train on, and those to hold out, a share of them, drawn; each in order."""
    drawn = rng.permutation(n)
    n_out = int(share * n)
    return np.sort(drawn[n_out:]), np.sort(drawn[:n_out])


def n_weights(parts: Sequence[Any], missing: bool) -> int:
    """Numbers that were learnt; `missing`: whether embeddings have learnt what is missing too."""
    total = 0
    for part in parts:
        total += part.n_parameters if hasattr(part, "n_parameters") else part.vector.size
        if isinstance(part, Embedding) and not missing:
            total -= part.size
    return total


def vectors(parts: Sequence[Any]) -> list[Array]:
    """The weights of each."""
    return [part.vector for part in parts]
