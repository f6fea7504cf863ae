"""Sequences that become other sequences: an encoder reads, a decoder writes, with attention or without."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np

from statespace.foundations.archive import Archive, write_archive
from statespace.foundations.estimator import unchanged_on_failure
from statespace.foundations.validation import check_choice, check_flag, check_sample_weight
from statespace.neural.attention import KINDS, Attention
from statespace.neural.bridge import Bridge
from statespace.neural.embedding import Embedding
from statespace.neural.encoder import Dropout, Encoder
from statespace.neural.heads import Head
from statespace.neural.laws import Categorical
from statespace.neural.own_history import OwnHistory, Reader
from statespace.neural.pair_verbs import PairVerbs
from statespace.neural.pairs import PairReader, Written, learn_pairs
from statespace.neural.saving import encoder_from, encoder_header, model_from_archive, model_to_archive, take
from statespace.neural.teacher_forcing import EncoderDecoder, PairObjective
from statespace.neural.training import train
from statespace.protocols import Array


class SequenceToSequence(PairVerbs):
    """A recurrent network that reads a sequence, and one that writes another: of another length, in other symbols.

    Many-to-many where sources are sequences; one-to-many where they are single symbols, or single rows of numbers. That
    a target ends is learnt too, by a mark that the model adds and takes away by itself.

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn", "gated_leaky"}
        Of both networks.
    hidden_size : int
        Units of a layer.
    attention : {None, "dot", "general", "additive"}
        None: the decoder knows of the source what the encoder's last state holds, and no more. Otherwise it looks, at
        each step, at all outputs of the encoder m_s, by scores h_t . m_s ("dot"), h_t . W m_s ("general", and "dot" too
        where the encoder is bidirectional, since m_s then has twice as many numbers as h_t) or
        v . tanh(W_q h_t + W_k m_s + b) ("additive").
    bidirectional : bool
        Whether the encoder runs both ways; an affine map then leads from its last states to the decoder's first.
    source : {"symbols", "numbers"}
        What is read.
    tokens : {None, "characters", "words"}
        Sources and targets are texts, cut into characters or, at blanks, into words; targets go out as texts.
    num_layers, reset, leak, skip, remove_short, nonlinearity
        As of `RecurrentNetwork`, of both networks.
    embedding_size : int or (int, int), optional
        Numbers that a symbol becomes, one of sources and of targets; as many as there are symbols, up to 64, where it
        is not given.
    learn_start : bool
        Whether the state in which the encoder begins is learnt; otherwise it is zeros.
    dropout : float or (float, float, float)
        Of inputs, between layers, before the head.
    method, n_epochs, learning_rate, decay, clip, weight_decay, patience, dtype, progress, random_state
        As of `RecurrentSequenceModel`.
    batch_size : int
        Pairs side by side.
    held_out : float
        The part of the pairs that says when to stop.

    Attributes
    ----------
    history_ : History
        The training, epoch by epoch.
    symbols_, target_symbols_ : (n_symbols,), (n_target_symbols,)
        The alphabets; there is no `symbols_` where numbers are read.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.choice(list("abc"), rng.integers(1, 5)).tolist() for _ in range(300)]
    >>> y = [x[::-1] for x in X]
    >>> model = SequenceToSequence("gru", 24, attention="dot", n_epochs=40, held_out=0, random_state=0).fit(X, y)
    >>> model.predict([list("abac"), list("cb")])
    [['c', 'a', 'b', 'a'], ['b', 'c']]
    >>> model.attention_weights([list("cb")])[0].argmax(axis=1)  # the last is looked at first
    array([1, 0])

    References
    ----------
    Sutskever, Vinyals and Le (2014); Cho et al. (2014) for encoders and decoders. Luong, Pham and Manning (2015);
    Bahdanau, Cho and Bengio (2015) for attention.

    """

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int = 64,
        *,
        attention: str | None = None,
        bidirectional: bool = False,
        source: str = "symbols",
        tokens: str | None = None,
        num_layers: int = 1,
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
        self.attention = attention
        self.bidirectional = bidirectional
        self.source = source
        self.tokens = tokens
        self.num_layers = num_layers
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

    # ------------------------------------------------------------------------------------------------- learning

    @unchanged_on_failure
    def fit(
        self, X: Any, y: Any, *, symbols: Any = None, target_symbols: Any = None, sample_weight: Any = None
    ) -> Self:
        """Learn from pairs.

        Parameters
        ----------
        X : list of sequences
            Sources: of symbols, where None is missing; or of numbers, arrays (n_samples, n_features), where NaN is. Or
            single symbols, or an array (n_pairs, n_features): sources of one step.
        y : list of sequences
            Targets, of symbols; one may be empty.
        symbols, target_symbols : (n_symbols,), optional
            The alphabets, where the data may not show all of them.
        sample_weight : (n_pairs,), optional
            How often each pair counts.

        Raises
        ------
        TrainingDivergedError
            Where the loss or a gradient is not finite; the model stays as it was.

        """
        options = self._training_options()
        rng, drawing = self._generators()
        sources, targets = self._begin(X, y, symbols, target_symbols, rng)
        objective = self._objective(sources, targets, sample_weight, self.held_out, drawing)
        self._start_head(targets, objective.weights)
        self.history_ = train(objective, options, drawing)
        self._settle(sources, targets)
        self._drawing, self._adam = drawing, None
        return self

    @unchanged_on_failure
    def partial_fit(
        self, X: Any, y: Any, *, symbols: Any = None, target_symbols: Any = None, sample_weight: Any = None
    ) -> Self:
        """Go over some pairs once, and go on from there the next time: one epoch, and nothing is held out.

        The first call learns the alphabets of all that is to come: pass `symbols` and `target_symbols` where the pairs
        may not show all of them.
        """
        options = self._stepwise_options()
        if not self.__sklearn_is_fitted__():
            rng, self._drawing = self._generators()
            sources, targets = self._begin(X, y, symbols, target_symbols, rng)
            self._start_head(targets, np.ones(len(targets.lengths)))
            self._adam = None
        else:
            sources, targets = self._read(X, y)
            self._model = self._model.copy()
        objective = self._objective(sources, targets, sample_weight, 0.0, self._drawing)
        self._go_over_once(objective, options)
        self._settle(sources, targets)
        return self

    def _begin(
        self, X: Any, y: Any, symbols: Any, target_symbols: Any, rng: np.random.Generator
    ) -> tuple[OwnHistory, Written]:
        """Networks for these pairs, before they have learnt anything."""
        check_choice("attention", self.attention, (None, *KINDS))
        both_ways = check_flag("bidirectional", self.bidirectional)
        self._pairs, sources, targets = learn_pairs(
            X, y, self.source, self.tokens, symbols, target_symbols, self._dtype()
        )
        read, K = self._pairs.sources, len(self._pairs.symbols)
        inputs, layers, outputs = self._dropout()
        n_symbols = [*([] if read.symbols is None else [len(read.symbols)]), K + 1]
        *of_source, of_target = (
            Embedding(n, size, self._dtype(), rng)
            for n, size in zip(n_symbols, self._embedding_sizes(n_symbols), strict=True)
        )
        size = sum(embedding.size for embedding in of_source) + read.n_numbers
        encoder = Encoder(
            self._new_network(size, rng, both_ways),
            of_source,
            read.n_numbers,
            learn_start=check_flag("learn_start", self.learn_start),
            dropout=Dropout(inputs, layers),
        )
        decoder = Encoder(self._new_network(of_target.size, rng), [of_target], dropout=Dropout(inputs, layers))
        H, dtype = decoder.network.output_size, decoder.network.dtype
        has_cells = encoder.network.initial_state(1).c is not None
        bridge = Bridge(self.num_layers, H, has_cells, dtype) if both_ways else None
        attention = None
        if self.attention is not None:
            kind = "general" if self.attention == "dot" and both_ways else self.attention
            attention = Attention(kind, H, encoder.network.output_size, dtype, rng)
        head = Head(Categorical(K + 1), H, dtype, rng)
        self._model = EncoderDecoder(encoder, bridge, decoder, attention, head, outputs)
        self._learnt_missing, self._longest = False, 0
        return sources, targets

    def _objective(
        self, sources: OwnHistory, targets: Written, sample_weight: Any, held_out: float, rng: np.random.Generator
    ) -> PairObjective:
        n = len(targets.lengths)
        weights = check_sample_weight(sample_weight, n)
        weights = np.ones(n) if weights is None else weights
        return PairObjective(self._model, sources, targets, weights, self.batch_size, float(held_out), rng)

    def _start_head(self, targets: Written, weights: Array) -> None:
        self._model.head.start(targets.wanted, np.repeat(weights, targets.lengths))

    def _settle(self, sources: OwnHistory, targets: Written) -> None:
        self._longest = max(self._longest, int(targets.lengths.max()) - 1)
        if sources.codes is not None:
            self._learnt_missing |= bool((sources.codes < 0).any())
            if not self._learnt_missing:
                self._model.encoder.embeddings[0].settle(sources.codes)

    # ------------------------------------------------------------------------------------------------- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file; `statespace.load(path)` reads it back."""
        self._require_fitted()
        header, arrays = self._to_archive()
        write_archive(path, type(self).__name__, header, arrays)

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        model, pairs = self._model, self._pairs
        header, arrays = model_to_archive(self, model.encoder, model.head, self._drawing, self._adam)
        header["decoder"] = encoder_header(model.decoder)
        arrays |= {f"decoder_{i}": part.vector for i, part in enumerate(model.decoder.parts)}
        for name, part in (("bridge", model.bridge), ("attention", model.attention)):
            if part is not None:
                arrays[name] = part.vector
        header["attention"] = None if model.attention is None else model.attention.kind
        header["dropout"], header["longest"] = model.dropout, self._longest
        header["learnt_missing"] = self._learnt_missing
        header["pairs"] = {
            "tokens": pairs.tokens,
            "single": pairs.single,
            "as_arrays": pairs.as_arrays,
            "says_missing": pairs.sources.says_missing,
        }
        arrays["target_symbols"] = pairs.symbols
        for name in ("symbols", "location", "scale"):
            value = getattr(pairs.sources, name)
            if value is not None:
                arrays[f"source_{name}"] = value
        return header, arrays

    @classmethod
    def _from_archive(cls, archive: Archive) -> Self:
        loaded = model_from_archive(cls, archive)
        header, arrays = archive.header, archive.arrays
        model: Self = loaded.model
        encoder = loaded.encoder
        of_decoder = [arrays[f"decoder_{i}"] for i in range(header["decoder"]["n_parts"])]
        decoder = encoder_from(header["decoder"], of_decoder)
        network = decoder.network
        bridge = attention = None
        if "bridge" in arrays:
            has_cells = network.initial_state(1).c is not None
            bridge = Bridge(network.num_layers, network.hidden_size, has_cells, network.dtype)
            take([bridge], [arrays["bridge"]])
        if header["attention"] is not None:
            attention = Attention(
                header["attention"], network.output_size, encoder.network.output_size, network.dtype, 0
            )
            take([attention], [arrays["attention"]])
        model._model = EncoderDecoder(encoder, bridge, decoder, attention, loaded.head, float(header["dropout"]))
        pairs = header["pairs"]
        reader = Reader(
            arrays.get("source_symbols"),
            arrays.get("source_location"),
            arrays.get("source_scale"),
            False,
            bool(pairs["says_missing"]),
        )
        model._pairs = PairReader(
            reader, pairs["tokens"], bool(pairs["single"]), arrays["target_symbols"], bool(pairs["as_arrays"])
        )
        model._longest, model._learnt_missing = int(header["longest"]), bool(header["learnt_missing"])
        model._drawing, model._adam = loaded.drawing, loaded.adam
        return model
