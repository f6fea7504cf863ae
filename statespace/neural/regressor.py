"""Regression on sequences: a recurrent network, and a Gaussian whose mean and variance it says."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.foundations.estimator import unchanged_on_failure
from statespace.foundations.observations import Observations
from statespace.foundations.validation import check_choice, check_flag, check_sample_weight
from statespace.neural.labelled_network import LabelledNetwork
from statespace.neural.labelled_sequences import Inputs, Texts, read_targets, targets_by_step
from statespace.neural.laws import Gaussian
from statespace.protocols import Array, Floats, Ints


class RecurrentRegressor(LabelledNetwork):
    """Numbers for each sequence (many-to-one), or for each of its steps (synced many-to-many).

        h_1..h_T from x_1..x_T,  y ~ N(m, s^2), m and log s^2 = W v + b

    v is h_t of a step, or one vector of the whole sequence. Where there are several targets, they are independent
    given v.

    Parameters
    ----------
    cell, hidden_size, num_layers, reset, leak, skip, remove_short, nonlinearity, learn_start, dropout
        As of `RecurrentSequenceModel`.
    method, n_epochs, batch_size, learning_rate, decay, clip, weight_decay, patience, dtype, progress, random_state
        As of `RecurrentSequenceModel`.
    truncate : int, optional
        With output "each", of a network that runs forward only: steps that derivatives go back, as of
        `RecurrentSequenceModel`; long sequences are then read in stretches, side by side. None: each sequence is one
        row of a batch, whole.
    held_out : float
        The part of the sequences that says when to stop; of fewer sequences than it takes, none.
    bidirectional : bool
        Whether the network also runs from the end of each sequence.
    output : {"last", "each"}
        Whether y is said after the last step, or at each.
    pooling : {"last", "mean", "max"}
        With output "last": how the outputs become one vector, as of `RecurrentClassifier`.
    feed_forward : int, optional
        Rectified units of a layer between network and Gaussian.
    tokens : {None, "words", "characters"} or TokenFeatures
        What texts are cut into, and what stands beside a word; None: sequences of tokens as they are, or of numbers.
    embedding_size : int or tuple of ints, optional
        Numbers that a token becomes, for each column of its features; as many as there are symbols, up to 64, where it
        is not given.

    Attributes
    ----------
    network_, head_ : RecurrentNetwork, Head
    history_ : History
        The training, epoch by epoch.
    vocabulary_ : list of str
        Tokens that are known, where X is text.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(n, 1)) for n in rng.integers(3, 8, 60)]
    >>> y = [x.mean() for x in X]
    >>> model = RecurrentRegressor("gru", 8, held_out=0, n_epochs=60, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    >>> mean, std = model.predict(X, return_std=True)
    >>> mean.shape, std.shape
    ((60,), (60,))

    """

    _sklearn_type = "regressor"
    _plain: bool

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int = 64,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        output: str = "last",
        pooling: str = "last",
        feed_forward: int | None = None,
        tokens: Any = None,
        embedding_size: Any = None,
        reset: str = "before",
        leak: float | None = None,
        skip: int | None = None,
        remove_short: bool = False,
        nonlinearity: str = "tanh",
        learn_start: bool = True,
        dropout: Any = 0.0,
        method: str = "adam",
        n_epochs: int = 100,
        batch_size: int = 32,
        truncate: int | None = None,
        learning_rate: Any = 1e-2,
        decay: str | None = None,
        clip: float | None = 1.0,
        weight_decay: float = 0.0,
        held_out: float = 0.1,
        patience: int | None = 10,
        dtype: Any = None,
        progress: bool = False,
        random_state: Any = None,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.output = output
        self.pooling = pooling
        self.feed_forward = feed_forward
        self.tokens = tokens
        self.embedding_size = embedding_size
        self.reset = reset
        self.leak = leak
        self.skip = skip
        self.remove_short = remove_short
        self.nonlinearity = nonlinearity
        self.learn_start = learn_start
        self.dropout = dropout
        self.method = method
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.truncate = truncate
        self.learning_rate = learning_rate
        self.decay = decay
        self.clip = clip
        self.weight_decay = weight_decay
        self.held_out = held_out
        self.patience = patience
        self.dtype = dtype
        self.progress = progress
        self.random_state = random_state

    def _pooling(self) -> str | None:
        check_choice("output", self.output, ("last", "each"))
        return None if self.output == "each" else self.pooling

    def _targets(self, y: Any, offsets: Ints, layout: Any) -> tuple[Floats, bool]:
        if self._pooling() is None:
            return targets_by_step(y, offsets, layout)
        found, plain = read_targets(y)
        if len(found) != len(offsets) - 1:
            raise ValueError(
                f"y has {len(found)} entries, and X has {len(offsets) - 1} sequences: one for each is needed; several "
                "sequences are a list, or one array with lengths="
            )
        return found, plain

    def _learn_law(
        self, y: Any, found: Texts | Observations, weights: Floats, law: Any = None
    ) -> tuple[Any, Floats, Floats]:
        if law is None:
            targets, self._plain = self._targets(y, found.offsets, found.layout)
            if np.isnan(targets).all(axis=0).any():
                raise ValueError(f"column {int(np.argmax(np.isnan(targets).all(axis=0)))} of y has no number")
            law = Gaussian(targets.shape[1])
        else:
            targets = self._read_y(y, found.offsets, found.layout)
        return law, targets, np.where(np.isnan(targets).all(axis=1), 0.0, weights)

    def _read_y(self, y: Any, offsets: Ints, layout: Any) -> Floats:
        targets, _ = self._targets(y, offsets, layout)
        wanted = self.head_.law.n_features
        if targets.shape[1] != wanted:
            raise ValueError(f"y has {targets.shape[1]} columns, the model was fitted with {wanted}")
        return targets

    @unchanged_on_failure
    def fit(self, X: Any, y: Any, *, lengths: Any = None, sample_weight: Any = None) -> Self:
        """Learn from sequences and their targets.

        Parameters
        ----------
        X : list of sequences
            Of rows of numbers, of tokens, or, with `tokens`, texts. One array is one sequence, or with `lengths`
            several end to end; a sequence of one step is one-to-one.
        y : (n_sequences,) or (n_sequences, n_targets)
            Numbers; with output "each" one for each step, in the form of `X`. NaN is left out.
        lengths : (n_sequences,), optional
            Of sequences laid end to end.
        sample_weight : (n_sequences,), optional
            How often each sequence counts.

        Raises
        ------
        TrainingDivergedError
            Where the loss or a gradient is not finite; the model stays as it was.

        """
        return self._fit(X, y, lengths, sample_weight)

    @unchanged_on_failure
    def partial_fit(self, X: Any, y: Any, *, lengths: Any = None, sample_weight: Any = None) -> Self:
        """Go over some sequences once, and go on from there the next time: one epoch, and nothing is held out.

        Parameters
        ----------
        X, y, lengths, sample_weight
            As in `fit`. The first call learns the vocabulary and the units of all that is to come.

        """
        return self._partial_fit(X, y, lengths, sample_weight)

    def predict(self, X: Any, *, lengths: Any = None, return_std: bool = False) -> Any:
        """The mean of what is said of each sequence, or, with output "each", of each step, in the form of `X`.

        Parameters
        ----------
        X, lengths
            As in `fit`.
        return_std : bool
            Whether standard deviations are wanted too.

        Returns
        -------
        mean : (n,) or (n, n_targets)
        std : of the same shape
            With `return_std`.

        """
        check_flag("return_std", return_std)
        mean, std, inputs = self._moments(X, lengths)
        if not return_std:
            return self._formed(mean, inputs)
        return self._formed(mean, inputs), self._formed(std, inputs)

    def score(self, X: Any, y: Any, *, lengths: Any = None, sample_weight: Any = None) -> float:
        """R^2, 1 less the share of the variance that the means leave; of several targets, the mean of their R^2."""
        mean, _, inputs = self._moments(X, lengths)
        targets = self._read_y(y, inputs.offsets, inputs.layout)
        weights = check_sample_weight(sample_weight, len(inputs.lengths))
        weights = np.ones(len(inputs.lengths)) if weights is None else weights
        if self._pooling() is None:
            weights = np.repeat(weights, inputs.lengths)
        found = []
        for target, said in zip(targets.T, mean.T, strict=True):
            known = ~np.isnan(target)
            if not known.any():
                raise ValueError("y has a target with no number: there is nothing to score")
            w, t = weights[known], target[known]
            left, all_ = w @ (t - said[known]) ** 2, w @ (t - np.average(t, weights=w)) ** 2
            found.append(1.0 - left / all_ if all_ else float(left == 0))
        return float(np.mean(found))

    def _moments(self, X: Any, lengths: Any) -> tuple[Floats, Floats, Inputs]:
        """Means and standard deviations, (n, n_targets)."""
        scores, inputs = self._scores(X, lengths)
        mean, variances = self.head_.law.moments(scores)
        return mean, np.sqrt(variances), inputs

    def _formed(self, values: Floats, inputs: Inputs) -> Any:
        found: Array = values[:, 0] if self._plain else values
        return self._in_form(found, inputs) if self._pooling() is None else found

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        header, arrays = super()._to_archive()
        return header | {"plain": self._plain}, arrays

    @classmethod
    def _from_archive(cls, archive: Any) -> Self:
        model = super()._from_archive(archive)
        model._plain = bool(archive.header["plain"])
        return model
