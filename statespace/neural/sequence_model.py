"""Sequences that a recurrent network foretells: h_n = f(h_{n-1}, x_n), x_{n+1} ~ head(h_n), from a learnt start."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from statespace.foundations.archive import Archive
from statespace.foundations.estimator import unchanged_on_failure
from statespace.foundations.validation import check_integer
from statespace.neural.heads import Head
from statespace.neural.own_history import OwnHistory, Reader, learn_reader, weights_of
from statespace.neural.own_objective import OwnObjective
from statespace.neural.saving import model_from_archive, model_to_archive
from statespace.neural.sequence_verbs import SequenceVerbs
from statespace.neural.training import train
from statespace.protocols import Array, Floats


class RecurrentSequenceModel(SequenceVerbs):
    """A recurrent network that foretells each observation of a sequence from those before it.

    The first observation is foretold too, from a start that is learnt. Log-likelihoods are on one scale with those of
    chains, hidden Markov models and linear dynamical systems.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn", "gated_leaky"}
    hidden_size : int
        Units of a layer.
    head : {"categorical", "bernoulli", "poisson", "gaussian"} or HeadLaw
        The law of an observation: of symbols, of two symbols, of counts, of real numbers (mean and variance).
    num_layers, reset, leak, skip, remove_short, nonlinearity
        As of `RecurrentNetwork`.
    embedding_size : int, optional
        Numbers that a symbol becomes; as many as there are symbols, up to 64, where it is not given.
    learn_start : bool
        Whether the state before the first observation is learnt; otherwise it is zeros.
    dropout : float or (float, float, float)
        Of inputs, between layers, before the head.
    method : {"adam", "lbfgs"}
        Mini-batches, or all data at once, for small networks and data.
    n_epochs : int
        Passes over the data at most; of L-BFGS, iterations.
    batch_size : int
        Sequences side by side; of long ones, stretches.
    truncate : int, optional
        Steps that derivatives go back; the state is carried on all the same. None: to the start of each sequence.
    learning_rate, decay, clip, weight_decay
        As of `Adam` and `Schedule`; `decay` goes down to 0 over `n_epochs`. With L-BFGS `weight_decay` / 2 times the
        sum of squares is added to the mean loss.
    held_out : float
        The part of the sequences that says when to stop. Where there are too few of them it is the end of each, 20
        steps in all at least, or a quarter of what is shorter than 80. Its loss is that of the whole sequences, but
        that with `truncate` what came more than 16 `truncate` steps before is forgotten.
    patience : int, optional
        Epochs in which the loss of what is held out has not become 1e-4 nats less, after which the training stops; the
        best weights are kept. None: all epochs are made, and the last weights kept.
    dtype : float32 or float64, optional
        float32 where it is not given, and float64 with L-BFGS.
    progress : bool
        Show a progress bar.
    random_state : None, int, Generator or RandomState

    Attributes
    ----------
    network_, head_ : RecurrentNetwork, Head
    history_ : History
        The training, epoch by epoch.
    symbols_ : (n_symbols,)
        The alphabet, of laws of symbols.

    Examples
    --------
    >>> import numpy as np
    >>> letters = list("abcdefgh" * 12)
    >>> model = RecurrentSequenceModel("gru", 12, held_out=0, n_epochs=60, random_state=0).fit(letters)
    >>> "".join(model.forecast(list("cde"), 4).symbols[model.forecast(list("cde"), 4).probabilities.argmax(axis=1)])
    'fgha'

    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int = 64,
        head: Any = "categorical",
        *,
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
        truncate: int | None = 64,
        learning_rate: Any = 5e-3,
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
        self.head = head
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

    # ------------------------------------------------------------------------------------------------- learning

    @unchanged_on_failure
    def fit(self, X: Any, lengths: Any = None, *, symbols: Any = None, sample_weight: Any = None) -> Self:
        """Learn from one sequence or several.

        Parameters
        ----------
        X : sequence or sequences
            Symbols, counts or numbers, as the head has them; None and NaN are missing.
        lengths : (n_sequences,), optional
            Of sequences laid end to end.
        symbols : (n_symbols,), optional
            The alphabet, where the data may not show all of it.
        sample_weight : (n_sequences,), optional
            How often each sequence counts.

        Raises
        ------
        TrainingDivergedError
            Where the loss or a gradient is not finite; the model stays as it was.

        """
        options = self._training_options()
        rng, drawing = self._generators()
        data, weights = self._begin(X, lengths, symbols, sample_weight, rng)
        objective = self._objective(data, weights, self.held_out, drawing)
        self.head_.start(data.targets, objective.weights)
        self.history_ = train(objective, options, drawing)
        self._settle(data)
        self._drawing, self._adam = drawing, None
        return self

    @unchanged_on_failure
    def partial_fit(self, X: Any, lengths: Any = None, *, symbols: Any = None, sample_weight: Any = None) -> Self:
        """Go over some data once, and go on from there the next time: one epoch, and nothing is held out.

        The first call learns the alphabet, or the units, of all that is to come: pass `symbols` where the data may not
        show all of them.
        """
        options = self._stepwise_options()
        new = not self.__sklearn_is_fitted__()
        if new:
            rng, self._drawing = self._generators()
            data, weights = self._begin(X, lengths, symbols, sample_weight, rng)
            self._adam = None
        else:
            data = self._reader.read(X, lengths, self.network_.dtype)
            weights = weights_of(data.sequences, sample_weight)
            self._drawing = copy.deepcopy(self._drawing)
            self._encoder = self._encoder.copy()
            self.head_ = copy.deepcopy(self.head_)
            self.network_ = self._encoder.network
        objective = self._objective(data, weights, 0.0, self._drawing)
        if new:
            self.head_.start(data.targets, objective.weights)
        self._go_over_once(objective, options)
        self._settle(data)
        return self

    def _begin(
        self, X: Any, lengths: Any, symbols: Any, sample_weight: Any, rng: np.random.Generator
    ) -> tuple[OwnHistory, Floats]:
        """A network for these data, before it has learnt anything; the data, and what each sequence counts."""
        law, self._reader, data = learn_reader(self.head, X, lengths, symbols, self._dtype(), sample_weight)
        weights = weights_of(data.sequences, sample_weight)
        if self.truncate is not None:
            check_integer("truncate", self.truncate, 1)
        n_symbols = [] if self._reader.symbols is None else [len(self._reader.symbols)]
        self._encoder = self._new_encoder(n_symbols, self._reader.n_numbers, rng)
        self.network_ = self._encoder.network
        self.head_ = Head(law, self.network_.output_size, self.network_.dtype, rng)
        self._learnt_missing = False
        return data, weights

    def _objective(self, data: OwnHistory, weights: Floats, held_out: float, rng: np.random.Generator) -> OwnObjective:
        truncate = None if self.method == "lbfgs" else self.truncate
        return OwnObjective(self._encoder, self.head_, data, weights, self.batch_size, truncate, float(held_out), rng)

    def _settle(self, data: OwnHistory) -> None:
        """Of what is missing: learnt, or where nothing was, the mean of what was seen."""
        if data.codes is not None:
            self._learnt_missing |= bool((data.codes < 0).any())
            if not self._learnt_missing:
                self._encoder.embeddings[0].settle(data.codes)

    # ------------------------------------------------------------------------------------------------- files

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        header, arrays = model_to_archive(self, self._encoder, self.head_, self._drawing, self._adam)
        reader = self._reader
        header["reader"] = {"logarithmic": reader.logarithmic, "says_missing": reader.says_missing}
        header["learnt_missing"] = self._learnt_missing
        for name in ("symbols", "location", "scale"):
            value = getattr(reader, name)
            if value is not None:
                arrays[f"reader_{name}"] = value
        return header, arrays

    @classmethod
    def _from_archive(cls, archive: Archive) -> Self:
        found = model_from_archive(cls, archive)
        model: Self = found.model
        arrays = archive.arrays
        model._reader = Reader(
            arrays.get("reader_symbols"),
            arrays.get("reader_location"),
            arrays.get("reader_scale"),
            bool(archive.header["reader"]["logarithmic"]),
            bool(archive.header["reader"]["says_missing"]),
        )
        model._encoder, model.head_, model.network_ = found.encoder, found.head, found.encoder.network
        model._learnt_missing = bool(archive.header["learnt_missing"])
        model._drawing, model._adam = found.drawing, found.adam
        return model
