"""Tagging of sequences: a recurrent network says at each step what that step is."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from statespace.foundations.distributions import categorical_probabilities
from statespace.foundations.estimator import unchanged_on_failure
from statespace.foundations.observations import Observations
from statespace.foundations.validation import check_sample_weight
from statespace.neural.label_rule import accuracy, class_weights, law_of_classes
from statespace.neural.labelled_network import LabelledNetwork
from statespace.neural.labelled_sequences import Texts, codes_of, labels_by_step, read_labels
from statespace.protocols import Array, Floats, Ints


class RecurrentTagger(LabelledNetwork):
    """A label for each step of a sequence (synced many-to-many).

        h_1..h_T from x_1..x_T,  p(y_t = k) = softmax(W h_t + b)

    Parameters
    ----------
    cell, hidden_size, num_layers, reset, leak, skip, remove_short, nonlinearity, learn_start, dropout
        As of `RecurrentSequenceModel`.
    method, n_epochs, batch_size, learning_rate, decay, clip, weight_decay, patience, dtype, progress, random_state
        As of `RecurrentSequenceModel`.
    truncate : int, optional
        Of a network that runs forward only: steps that derivatives go back, as of `RecurrentSequenceModel`; long
        sequences are then read in stretches, side by side. None: each sequence is one row of a batch, whole.
    held_out : float
        The part of the sequences that says when to stop; of fewer sequences than it takes, none.
    bidirectional : bool
        Whether the network also runs from the end of each sequence, so that a label depends on what follows, too.
    class_weight : None, "balanced" or dict
        What a step of each label counts; "balanced": each label as much as all others.
    tokens : {None, "words", "characters"} or TokenFeatures
        What texts are cut into, and what stands beside a word; None: sequences of tokens as they are, or of numbers.
    embedding_size : int or tuple of ints, optional
        Numbers that a token becomes, for each column of its features; as many as there are symbols, up to 64, where it
        is not given.

    Attributes
    ----------
    classes_ : (n_classes,)
        Labels, in order.
    network_, head_ : RecurrentNetwork, Head
    history_ : History
        The training, epoch by epoch.
    vocabulary_ : list of str
        Tokens that are known, where X is text.

    Examples
    --------
    >>> texts = ["the duck swims", "they duck", "the bread swims", "they swim"]
    >>> tags = [["DET", "NOUN", "VERB"], ["PRON", "VERB"], ["DET", "NOUN", "VERB"], ["PRON", "VERB"]]
    >>> model = RecurrentTagger("gru", 8, tokens="words", held_out=0, n_epochs=40, random_state=0).fit(texts, tags)
    >>> model.predict(["the duck", "they duck"])[0].tolist()
    ['DET', 'NOUN']

    """

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int = 64,
        *,
        num_layers: int = 1,
        bidirectional: bool = True,
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

    def _learn_law(
        self, y: Any, found: Texts | Observations, weights: Floats, law: Any = None
    ) -> tuple[Any, Floats, Floats]:
        labels = labels_by_step(y, found.offsets, found.layout)
        if law is None:
            law = law_of_classes(labels)
        codes = codes_of(labels, law.symbols)
        weights = np.where(labels.known, weights, 0.0)
        each = class_weights(self.class_weight, law.symbols, codes, weights)
        return law, codes[:, None], weights * each[np.where(labels.known, codes, 0).astype(np.int64)]

    def _read_y(self, y: Any, offsets: Ints, layout: Any) -> Floats:
        return codes_of(labels_by_step(y, offsets, layout), self.classes_)[:, None]

    @unchanged_on_failure
    def fit(self, X: Any, y: Any, *, lengths: Any = None, sample_weight: Any = None) -> Self:
        """Learn from sequences and their labels.

        Parameters
        ----------
        X : list of sequences
            Of rows of numbers, of tokens, or, with `tokens`, texts. One array is one sequence, or with `lengths`
            several end to end.
        y : list of sequences of labels
            In the form of `X`, one label for each step: whole numbers, truth values or text; None and NaN are left out.
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
            All labels that there will be, in the first call; those of its `y` where they are not given.

        """
        law = None if classes is None else law_of_classes(read_labels(classes, "classes"))
        if law is not None and self.__sklearn_is_fitted__() and not np.array_equal(law.symbols, self.classes_):
            raise ValueError("classes are others than those of the first call: they stay what they were")
        return self._partial_fit(X, y, lengths, sample_weight, law)

    @property
    def classes_(self) -> Array:
        """Labels, shape (n_classes,)."""
        self._require_fitted()
        return np.asarray(self.head_.law.symbols)

    def predict(self, X: Any, *, lengths: Any = None) -> Any:
        """The most probable label of each step, in the form of `X`: of a list of sequences, a list of arrays."""
        scores, inputs = self._scores(X, lengths)
        return self._in_form(self.classes_[scores.argmax(axis=1)], inputs)

    def predict_proba(self, X: Any, *, lengths: Any = None) -> Any:
        """Probabilities of the labels at each step, (n_samples, n_classes), in the form of `X`."""
        scores, inputs = self._scores(X, lengths)
        return self._in_form(categorical_probabilities(scores), inputs)

    def score(self, X: Any, y: Any, *, lengths: Any = None, sample_weight: Any = None) -> float:
        """Accuracy: the share of steps whose label is the most probable one, of all that have a label."""
        scores, inputs = self._scores(X, lengths)
        labels = labels_by_step(y, inputs.offsets, inputs.layout)
        weights = check_sample_weight(sample_weight, len(inputs.lengths))
        by_step = None if weights is None else np.repeat(weights, inputs.lengths)
        return accuracy(labels, self.classes_[scores.argmax(axis=1)], by_step)
