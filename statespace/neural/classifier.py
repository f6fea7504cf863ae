"""Classification of sequences: a recurrent network reads all of one, a feed-forward classifier says what it is."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.foundations.distributions import categorical_probabilities
from statespace.foundations.estimator import unchanged_on_failure
from statespace.foundations.observations import Observations
from statespace.neural.label_rule import accuracy, class_weights, law_of_classes, log_probabilities
from statespace.neural.labelled_network import LabelledNetwork
from statespace.neural.labelled_sequences import Texts, codes_of, read_labels
from statespace.neural.laws import Categorical
from statespace.protocols import Array, Floats, Ints


class RecurrentClassifier(LabelledNetwork):
    """A class for each sequence (many-to-one): a recurrent network, and a feed-forward classifier on top of it.

        h_1..h_T from x_1..x_T,  v = h_T, or their mean or maximum,  p(k) = softmax(W v + b)

    Parameters
    ----------
    cell, hidden_size, num_layers, reset, leak, skip, remove_short, nonlinearity, learn_start, dropout
        As of `RecurrentSequenceModel`.
    method, n_epochs, batch_size, learning_rate, decay, clip, weight_decay, patience, dtype, progress, random_state
        As of `RecurrentSequenceModel`; each sequence is one row of a batch, whole.
    held_out : float
        The part of the sequences that says when to stop; of fewer sequences than it takes, none.
    bidirectional : bool
        Whether the network also runs from the end of each sequence.
    pooling : {"last", "mean", "max"}
        How the outputs become one vector: the last of what runs forward beside the first of what runs back, the mean,
        or the largest of each unit.
    feed_forward : int, optional
        Rectified units of a layer between that vector and the classifier.
    class_weight : None, "balanced" or dict
        What a sequence of each class counts; "balanced": each class as much as all others.
    tokens : {None, "words", "characters"} or TokenFeatures
        What texts are cut into, and what stands beside a word; None: sequences of tokens as they are, or of numbers.
    embedding_size : int or tuple of ints, optional
        Numbers that a token becomes, for each column of its features; as many as there are symbols, up to 64, where it
        is not given.

    Attributes
    ----------
    classes_ : (n_classes,)
        What a sequence can be, in order.
    network_, head_ : RecurrentNetwork, Head
    history_ : History
        The training, epoch by epoch.
    vocabulary_ : list of str
        Tokens that are known, where X is text.

    Examples
    --------
    >>> texts = ["what time is it", "what is the time", "is it time", "set an alarm", "wake me up", "an alarm at six"]
    >>> model = RecurrentClassifier("gru", 8, tokens="words", held_out=0, n_epochs=40, random_state=0)
    >>> model = model.fit(texts, ["time", "time", "time", "alarm", "alarm", "alarm"])
    >>> model.predict(["the time is what", "set me an alarm"]).tolist()
    ['time', 'alarm']

    """

    _sklearn_type = "classifier"

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int = 64,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
        feed_forward: int | None = None,
        class_weight: Any = None,
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
        self.pooling = pooling
        self.feed_forward = feed_forward
        self.class_weight = class_weight
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
        return self.pooling

    def _learn_law(
        self, y: Any, found: Texts | Observations, weights: Floats, law: Any = None
    ) -> tuple[Any, Floats, Floats]:
        labels = read_labels(y)
        self._check_number(labels.values, found.offsets)
        if law is None:
            law = law_of_classes(labels)
        codes = codes_of(labels, law.symbols)
        weights = np.where(labels.known, weights, 0.0)
        each = class_weights(self.class_weight, law.symbols, codes, weights)
        return law, codes[:, None], weights * each[np.where(labels.known, codes, 0).astype(np.int64)]

    def _read_y(self, y: Any, offsets: Ints, _: Any) -> Floats:
        labels = read_labels(y)
        self._check_number(labels.values, offsets)
        return codes_of(labels, self.classes_)[:, None]

    @staticmethod
    def _check_number(values: Array, offsets: Ints) -> None:
        if len(values) != len(offsets) - 1:
            raise ValueError(
                f"y has {len(values)} labels, and X has {len(offsets) - 1} sequences: one for each is needed; several "
                "sequences are a list, or one array with lengths="
            )

    @unchanged_on_failure
    def fit(self, X: Any, y: Any, *, lengths: Any = None, sample_weight: Any = None) -> Self:
        """Learn from sequences and their classes.

        Parameters
        ----------
        X : list of sequences
            Of rows of numbers, of tokens, or, with `tokens`, texts. One array is one sequence, or with `lengths`
            several end to end; a sequence of one step is one-to-one.
        y : (n_sequences,)
            Whole numbers, truth values or text; None and NaN are left out.
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
    def partial_fit(
        self, X: Any, y: Any, *, classes: Any = None, lengths: Any = None, sample_weight: Any = None
    ) -> Self:
        """Go over some sequences once, and go on from there the next time: one epoch, and nothing is held out.

        Parameters
        ----------
        X, y, lengths, sample_weight
            As in `fit`. The first call learns the vocabulary, or the units, of all that is to come.
        classes : (n_classes,), optional
            All classes that there will be, in the first call; those of its `y` where they are not given.

        """
        return self._partial_fit(X, y, lengths, sample_weight, self._law_of(classes))

    def _law_of(self, classes: Any) -> Categorical | None:
        if classes is None:
            return None
        law = law_of_classes(read_labels(classes, "classes"))
        if self.__sklearn_is_fitted__() and not np.array_equal(law.symbols, self.classes_):
            raise ValueError("classes are others than those of the first call: they stay what they were")
        return law

    @property
    def classes_(self) -> Array:
        """What a sequence can be, shape (n_classes,)."""
        self._require_fitted()
        return np.asarray(self.head_.law.symbols)

    def predict(self, X: Any, *, lengths: Any = None) -> Array:
        """The most probable class of each sequence, shape (n_sequences,)."""
        scores, _ = self._scores(X, lengths)
        return np.asarray(self.classes_[scores.argmax(axis=1)])

    def predict_proba(self, X: Any, *, lengths: Any = None) -> Floats:
        """Probabilities of the classes, shape (n_sequences, n_classes)."""
        return categorical_probabilities(self._scores(X, lengths)[0])

    def predict_log_proba(self, X: Any, *, lengths: Any = None) -> Floats:
        """Their logarithms, precise where they are small."""
        return log_probabilities(self._scores(X, lengths)[0])

    def score(self, X: Any, y: Any, *, lengths: Any = None, sample_weight: Any = None) -> float:
        """Accuracy: the share of sequences whose class is the most probable one."""
        labels = read_labels(y)
        predicted = self.predict(X, lengths=lengths)
        if len(labels.values) != len(predicted):
            raise ValueError(f"y has {len(labels.values)} labels, and X has {len(predicted)} sequences")
        return accuracy(labels, predicted, sample_weight)
