"""What classifiers, taggers and regressors with a network share: learning from sequences whose meaning is told."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from statespace.foundations.archive import Archive, write_archive
from statespace.foundations.observations import Observations
from statespace.foundations.sequences import by_step
from statespace.foundations.validation import check_choice, check_flag, check_integer, check_sample_weight
from statespace.neural.feed_forward import FeedForward
from statespace.neural.heads import Head
from statespace.neural.labelled_objective import Labelled, LabelledObjective, all_scores, log_likelihoods
from statespace.neural.labelled_sequences import InputReader, Inputs, Texts, lay_out
from statespace.neural.network import RecurrentNetwork
from statespace.neural.own_history import Reader
from statespace.neural.pooling import POOLINGS
from statespace.neural.readout import Readout
from statespace.neural.saving import model_from_archive, model_to_archive, take
from statespace.neural.settings import NetworkEstimator, n_weights, split
from statespace.neural.text import UNKNOWN, TokenFeatures, Vocabulary
from statespace.neural.training import train
from statespace.protocols import Array, Floats, Ints


class LabelledNetwork(NetworkEstimator):
    """Learning, log-likelihoods and files; what is said of a sequence is the business of those that derive from it."""

    bidirectional: bool
    tokens: Any
    pooling: str | None = None
    feed_forward: int | None = None
    truncate: int | None = None

    network_: RecurrentNetwork
    head_: Head
    _readout: Readout
    _inputs: InputReader
    _learnt_missing: bool
    _learnt_unknown: list[bool]

    _sklearn_type: str | None = None
    _learn_law: Callable[..., tuple[Any, Floats, Floats]]
    """From y, the sequences and what each target counts: the law of what is said, unless it is given; targets
    (n, n_features); and their weights, (n,)."""
    _read_y: Callable[[Any, Ints, Any], Floats]
    """From y, offsets and layout: targets (n, n_features) of a model that is fitted, NaN where missing."""

    def _pooling(self) -> str | None:
        """How a sequence becomes one vector; None where each step has something said of it."""
        return None

    # ------------------------------------------------------------------------------------------------- learning

    def _fit(self, X: Any, y: Any, lengths: Any, sample_weight: Any) -> Self:
        options = self._training_options()
        rng, drawing = self._generators()
        found, features = lay_out(X, lengths, self.tokens)
        each = self._weights(found, sample_weight)
        law, targets, weights = self._learn_law(y, found, each)
        counted = np.flatnonzero(self._sum_of_each(weights, found.offsets) > 0)
        kept, held_out = split(len(counted), float(self.held_out), drawing)
        kept, held_out = counted[kept], counted[held_out]
        self._begin(law, found, features, kept, rng)
        data = Labelled(self._inputs.read(found, self.network_.dtype), targets, weights)
        objective = self._objective(data, kept, held_out)
        self.head_.start(*self._of_sequences(data, kept))
        self.history_ = train(objective, options, drawing)
        self._settle(data, kept)
        self._drawing, self._adam = drawing, None
        return self

    def _partial_fit(self, X: Any, y: Any, lengths: Any, sample_weight: Any, law: Any = None) -> Self:
        options = self._stepwise_options()
        if self.__sklearn_is_fitted__():
            self._readout = self._readout.copy()
            self.head_, self.network_ = copy.deepcopy(self.head_), self._readout.encoder.network
            self._learnt_unknown = list(self._learnt_unknown)
            found = self._inputs.lay_out(X, lengths)
            _, targets, weights = self._learn_law(y, found, self._weights(found, sample_weight), self.head_.law)
            data = Labelled(self._inputs.read(found, self.network_.dtype), targets, weights)
            kept = np.arange(len(found.offsets) - 1)
        else:
            rng, self._drawing = self._generators()
            found, features = lay_out(X, lengths, self.tokens)
            law, targets, weights = self._learn_law(y, found, self._weights(found, sample_weight), law)
            kept = np.arange(len(found.offsets) - 1)
            self._begin(law, found, features, kept, rng)
            data = Labelled(self._inputs.read(found, self.network_.dtype), targets, weights)
            self.head_.start(*self._of_sequences(data, kept))
            self._adam = None
        objective = self._objective(data, kept, kept[:0])
        self._go_over_once(objective, options)
        self._settle(data, kept)
        return self

    def _weights(self, found: Texts | Observations, sample_weight: Any) -> Floats:
        """How much each target counts before anything is known of it."""
        lengths = np.diff(found.offsets)
        weights = check_sample_weight(sample_weight, len(lengths))
        weights = np.ones(len(lengths)) if weights is None else weights
        return np.repeat(weights, lengths) if self._pooling() is None else weights

    def _sum_of_each(self, values: Floats, offsets: Ints) -> Floats:
        return np.asarray(np.add.reduceat(values, offsets[:-1]) if self._pooling() is None else values)

    def _of_sequences(self, data: Labelled, sequences: Ints) -> tuple[Floats, Floats]:
        """Targets and weights of some sequences."""
        if self._pooling() is not None:
            return data.targets[sequences], data.weights[sequences]
        chosen = np.zeros(len(data.inputs.lengths), np.bool_)
        chosen[sequences] = True
        rows = np.repeat(chosen, data.inputs.lengths)
        return data.targets[rows], data.weights[rows]

    def _begin(
        self,
        law: Any,
        found: Texts | Observations,
        features: TokenFeatures | None,
        sequences: Ints,
        rng: np.random.Generator,
    ) -> None:
        """A network for these sequences, before it has learnt anything."""
        pooling = self._pooling()
        if pooling is not None:
            check_choice("pooling", pooling, POOLINGS)
        kept = copy.deepcopy(features)  # what was learnt with stays what it was
        self._inputs = InputReader.learn(found, kept, sequences)
        both = check_flag("bidirectional", self.bidirectional)
        encoder = self._new_encoder(self._inputs.sizes, self._inputs.n_numbers, rng, both)
        for embedding in encoder.embeddings:
            embedding.table[UNKNOWN] = 0.0
        dropped = 0.0
        if pooling is not None:  # of one vector, not of each that it is made of
            dropped, encoder.dropout = encoder.dropout.outputs, encoder.dropout._replace(outputs=0.0)
        self.network_ = encoder.network
        dtype, layer = self.network_.dtype, None
        if self.feed_forward is not None:
            n_units = check_integer("feed_forward", self.feed_forward, 1)
            layer = FeedForward(self.network_.output_size, n_units, dtype, rng)
        self._readout = Readout(encoder, pooling, layer, dropped)
        self.head_ = Head(law, self._readout.output_size, dtype, rng)
        self._learnt_missing = False
        self._learnt_unknown = [False] * len(encoder.embeddings)

    def _objective(self, data: Labelled, kept: Ints, held_out: Ints) -> LabelledObjective:
        features, truncate = self._inputs.features, None
        if self.truncate is not None:
            steps = check_integer("truncate", self.truncate, 1)
            if self._pooling() is not None:
                raise ValueError(f"truncate is {steps}, and y is said of whole sequences: leave it out")
            if self.bidirectional:
                raise ValueError(f"truncate is {steps}, and the network runs both ways: it needs whole sequences")
            truncate = None if self.method == "lbfgs" else steps
        dropped = 0.0 if features is None or self.method == "lbfgs" else float(features.word_dropout)
        return LabelledObjective(self._readout, self.head_, data, kept, held_out, self.batch_size, truncate, dropped)

    def _settle(self, data: Labelled, sequences: Ints) -> None:
        """Of symbols that are missing or unknown: learnt, or where none was, the mean of what was seen."""
        if data.inputs.codes is None:
            return
        chosen = np.zeros(len(data.inputs.lengths), np.bool_)
        chosen[sequences] = True
        codes = data.inputs.codes[np.repeat(chosen, data.inputs.lengths)]
        self._learnt_missing |= bool((codes < 0).any())
        features = self._inputs.features
        for column, embedding in enumerate(self._readout.encoder.embeddings):
            dropped = column == 0 and features is not None and features.word_dropout > 0
            self._learnt_unknown[column] |= dropped or bool((codes[:, column] == UNKNOWN).any())
            if not self._learnt_missing:
                embedding.settle(codes[:, column])
            if not self._learnt_unknown[column]:
                seen = codes[:, column][codes[:, column] > UNKNOWN]
                counts = np.bincount(seen, minlength=embedding.n_symbols)
                embedding.table[UNKNOWN] = counts @ embedding.table[:-1].astype(np.float64) / max(counts.sum(), 1)

    # -------------------------------------------------------------------------------------------- what was learnt

    @property
    def n_parameters(self) -> int:
        """Numbers that were learnt: embeddings, network, start, feed-forward layer and head."""
        self._require_fitted()
        unknown = sum(
            embedding.size
            for embedding, learnt in zip(self._readout.encoder.embeddings, self._learnt_unknown, strict=True)
            if not learnt
        )
        return n_weights([*self._readout.parts, self.head_], self._learnt_missing) - unknown

    @property
    def vocabulary_(self) -> list[str]:
        """Tokens that are known, the most frequent first."""
        self._require_fitted()
        if self._inputs.vocabulary is None:
            raise AttributeError("a model of numbers has no vocabulary_")
        return list(self._inputs.vocabulary.symbols[0])

    # ------------------------------------------------------------------------------------------------- the verbs

    def log_likelihood(self, X: Any, y: Any, *, lengths: Any = None, by: str = "total") -> Any:
        """Log p(y | X), in nats; densities of targets that are numbers.

        Parameters
        ----------
        X, y, lengths
            As in `fit`.
        by : {"total", "sequence", "step"}
            One number; one a sequence, shape (n_sequences,); or, where each step has a target, one a step, in the form
            in which `X` came, NaN where y is missing.

        """
        synced = self._pooling() is None
        check_choice("by", by, ("total", "sequence", *(("step",) if synced else ())))
        self._require_fitted()
        found = self._inputs.lay_out(X, lengths)
        targets = self._read_y(y, found.offsets, found.layout)
        known: Array = np.asarray(~np.isnan(targets).all(axis=1))
        data = Labelled(self._inputs.read(found, self.network_.dtype), targets, known.astype(np.float64))
        logs = log_likelihoods(self._readout, self.head_, data, np.arange(len(found.offsets) - 1))
        if by == "step":
            return by_step(logs, found)
        counted: Floats = np.where(np.isnan(logs), 0.0, logs)
        if by == "total":
            return float(counted.sum())
        return self._sum_of_each(counted, found.offsets)

    def _scores(self, X: Any, lengths: Any) -> tuple[Floats, Inputs]:
        """Scores of all that is said of sequences, and the sequences."""
        self._require_fitted()
        inputs = self._inputs.read(self._inputs.lay_out(X, lengths), self.network_.dtype)
        return all_scores(self._readout, self.head_, inputs), inputs

    @staticmethod
    def _in_form(values: Array, inputs: Inputs) -> Any:
        """Values by step, in the form of the sequences."""
        return by_step(values, inputs)

    # ------------------------------------------------------------------------------------------------- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file; `statespace.load(path)` reads it back."""
        self._require_fitted()
        header, arrays = self._to_archive()
        write_archive(path, type(self).__name__, header, arrays)

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        readout, inputs = self._readout, self._inputs
        header, arrays = model_to_archive(self, readout.encoder, self.head_, self._drawing, self._adam)
        layer, features, reader = readout.feed_forward, inputs.features, inputs.reader
        header["readout"] = {
            "pooling": readout.pooling,
            "dropout": readout.dropout,
            "feed_forward": None if layer is None else layer.output_size,
        }
        header["features"] = None if features is None else features.get_params()
        header["vocabulary"] = None if inputs.vocabulary is None else inputs.vocabulary.symbols
        header["learnt"] = {"missing": self._learnt_missing, "unknown": list(self._learnt_unknown)}
        if layer is not None:
            arrays["feed_forward_vector"] = layer.vector
        if reader is not None:
            assert reader.location is not None
            assert reader.scale is not None
            header["says_missing"] = reader.says_missing
            arrays |= {"reader_location": reader.location, "reader_scale": reader.scale}
        return header, arrays

    @classmethod
    def _from_archive(cls, archive: Archive) -> Self:
        found = model_from_archive(cls, archive)
        model: Self = found.model
        header, arrays = archive.header, archive.arrays
        made, network = header["readout"], found.encoder.network
        layer = None
        if made["feed_forward"] is not None:
            layer = FeedForward(network.output_size, int(made["feed_forward"]), network.dtype)
            take([layer], [arrays["feed_forward_vector"]])
        features = None if header["features"] is None else TokenFeatures(**header["features"])
        vocabulary = None if header["vocabulary"] is None else Vocabulary(header["vocabulary"])
        reader = None
        if "reader_location" in arrays:
            reader = Reader(
                None, arrays["reader_location"], arrays["reader_scale"], says_missing=bool(header["says_missing"])
            )
        model._inputs = InputReader(features, vocabulary, reader)
        model._readout = Readout(found.encoder, made["pooling"], layer, float(made["dropout"]))
        model.head_, model.network_ = found.head, network
        model._learnt_missing = bool(header["learnt"]["missing"])
        model._learnt_unknown = [bool(learnt) for learnt in header["learnt"]["unknown"]]
        model._drawing, model._adam = found.drawing, found.adam
        return model

    def __sklearn_tags__(self) -> Any:
        """Answer scikit-learn (1.6 and newer)."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.estimator_type = self._sklearn_type
        if self._sklearn_type == "classifier":
            from sklearn.utils import ClassifierTags

            tags.classifier_tags = ClassifierTags()
        if self._sklearn_type == "regressor":
            from sklearn.utils import RegressorTags

            tags.regressor_tags = RegressorTags()
        return tags
