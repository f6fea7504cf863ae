"""Sequences that a recurrent network foretells: h_n = f(h_{n-1}, x_n), x_{n+1} ~ head(h_n), from a learnt start."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np

from statespace.foundations.archive import Archive
from statespace.foundations.calendar import steps_after
from statespace.foundations.estimator import unchanged_on_failure
from statespace.foundations.path_mixture import mixture_of_paths
from statespace.foundations.probability import generator
from statespace.foundations.sequence_model import SequenceModel
from statespace.foundations.sequences import by_step
from statespace.foundations.validation import check_choice, check_integer
from statespace.neural.encoder import Batch, Encoder, rows_of_state
from statespace.neural.heads import Head
from statespace.neural.network import RecurrentNetwork
from statespace.neural.own_history import OwnHistory, Reader, learn_reader, weights_of
from statespace.neural.own_objective import OwnObjective
from statespace.neural.saving import model_from_archive, model_to_archive
from statespace.neural.sequence_runs import last_outputs, log_likelihood_steps, outputs_before_and_after
from statespace.neural.settings import NetworkEstimator, n_weights
from statespace.neural.trace import NetworkState
from statespace.neural.training import History, one_epoch, train
from statespace.protocols import Array, Floats, Ints


class NetworkFilterResult(NamedTuple):
    """Where a network stands at each step."""

    filtered: Any
    """h_n of the last layer, given x_1..x_n, shape (n_samples, hidden_size), in the form of the data."""
    predicted: Any
    """h_{n-1}, from which x_n was foretold, the same shape."""
    log_likelihood: float
    """log p(x_1..x_N), given the state it went on from."""
    state: NetworkState
    """States after the last step of each sequence: hand it to the next `filter`, `predictive` or `forecast`."""


class RecurrentSequenceModel(NetworkEstimator, SequenceModel):
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
        Epochs without a better loss of what is held out, after which the training stops; the best weights are kept.
        None: all epochs are made, and the last weights kept.
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

    network_: RecurrentNetwork
    head_: Head
    history_: History
    _encoder: Encoder
    _reader: Reader
    _drawing: np.random.Generator
    _adam: dict[str, Array] | None
    _learnt_missing: bool

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
        options = self._training_options()
        if self.method != "adam":
            raise ValueError(f"partial_fit goes on step by step, and method is {self.method!r}: use 'adam'")
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
        adam = options.adam(objective.parts, self.n_epochs * objective.n_batches())
        if self._adam is not None:
            adam.load_state(self._adam)
        loss, norm = one_epoch(objective, adam, self._drawing)
        self._adam = adam.state()
        self.history_ = History.of_one(loss, norm).after(getattr(self, "history_", None))
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

    # -------------------------------------------------------------------------------------------- what was learnt

    @property
    def n_parameters(self) -> int:
        """Numbers that were learnt: embeddings, network, start and head."""
        self._require_fitted()
        return n_weights([*self._encoder.parts, self.head_], self._learnt_missing)

    @property
    def support(self) -> str:
        """What is foretold: "categories", "counts" or "reals"."""
        head: Any = self.head
        if isinstance(head, str):
            return {"gaussian": "reals", "poisson": "counts"}.get(head, "categories")
        return str(getattr(head, "support", "mixed"))

    @property
    def symbols_(self) -> Array:
        """The alphabet, shape (n_symbols,)."""
        self._require_fitted()
        if self._reader.symbols is None:
            raise AttributeError("a model of numbers has no symbols_")
        return self._reader.symbols

    # ------------------------------------------------------------------------------------------------ the verbs

    def log_likelihood(self, X: Any, lengths: Any = None, by: str = "total") -> Any:
        """Log-likelihood in nats.

        Parameters
        ----------
        X, lengths
            As in `fit`.
        by : {"total", "sequence", "step"}
            One number; one a sequence, shape (n_sequences,); or log p(x_n | x_1..x_{n-1}) of every step, the first too,
            in the form in which `X` came, NaN where the observation is missing.

        """
        check_choice("by", by, ("total", "sequence", "step"))
        data = self._read(X, lengths)
        offsets = data.sequences.offsets
        steps, _ = log_likelihood_steps(self._encoder, self.head_, data, offsets[:-1], offsets[1:])
        if by == "step":
            return by_step(steps, data.sequences)
        known = np.where(np.isnan(steps), 0.0, steps)
        return np.add.reduceat(known, offsets[:-1]) if by == "sequence" else float(known.sum())

    def filter(self, X: Any, lengths: Any = None, *, state: Any = None) -> NetworkFilterResult:
        """Where the network stands at each step, and the state to go on from.

        Parameters
        ----------
        X, lengths
            As in `fit`.
        state : NetworkState, optional
            The `state` of an earlier result: the sequences go on from there.

        """
        data = self._read(X, lengths)
        offsets, begun = data.sequences.offsets, self._state(state, len(data.sequences.offsets) - 1)
        before, after, ends = outputs_before_and_after(self._encoder, data, offsets[:-1], offsets[1:], begun)
        total, scored = 0.0, data.known
        if scored.any():
            total = float(self._log_density(before[scored], data.targets[scored]).sum())
        return NetworkFilterResult(by_step(after, data.sequences), by_step(before, data.sequences), total, ends)

    def predictive(self, X: Any, lengths: Any = None, *, state: Any = None) -> Any:
        """The law of every observation given those before it, and of the one after the last.

        Parameters
        ----------
        X, lengths
            As in `fit`. What is missing goes into the network as such.
        state : NetworkState, optional
            The `state` of an earlier `filter`: the sequences go on from there.

        Returns
        -------
        PredictiveLaw
            n_samples + 1 rows a sequence; for a list of sequences, a list of laws.

        """
        data = self._read(X, lengths)
        offsets, layout = data.sequences.offsets, data.sequences.layout
        begun = self._state(state, len(offsets) - 1)
        before, _, ends = outputs_before_and_after(self._encoder, data, offsets[:-1], offsets[1:], begun)
        last = last_outputs(ends)
        parts = [np.concatenate([before[a:b], last[s : s + 1]]) for s, (a, b) in enumerate(pairwise(offsets.tolist()))]
        if layout.form != "list":
            index = layout.indexes[0] if layout.form == "single" else None
            return self._laws(np.concatenate(parts), steps_after(index, 1, False))
        return [
            self._laws(part, steps_after(index, 1, False)) for part, index in zip(parts, layout.indexes, strict=True)
        ]

    def forecast(
        self,
        X: Any,
        steps: int = 1,
        lengths: Any = None,
        *,
        state: Any = None,
        n_paths: int = 1000,
        random_state: Any = 0,
    ) -> Any:
        """The laws of the next observations; from the second on, the mean of the laws after paths that are drawn.

        Parameters
        ----------
        X, lengths
            What is known, as in `fit`; None where `state` says it all.
        steps : int
            How many observations ahead.
        state : NetworkState, optional
            The `state` of an earlier `filter`, from which X goes on.
        n_paths : int
            Paths that are drawn for each sequence: an error of a probability p is of the size of
            sqrt(p (1 - p) / n_paths).
        random_state : None, int, Generator or RandomState
            Each sequence has the same draws.

        Returns
        -------
        PredictiveLaw
            `steps` rows a sequence; for a list of sequences, a list of laws.

        """
        self._require_fitted()
        n, n_paths = check_integer("steps", steps, 1), check_integer("n_paths", n_paths, 1)
        seed = int(generator(random_state).integers(1 << 63))
        if X is None and state is not None:
            given = self._state(state, int(np.shape(state.h)[-2]))
            laws = [self._ahead(rows_of_state(given, [s]), n, n_paths, seed) for s in range(given.h.shape[-2])]
            return laws[0] if len(laws) == 1 else laws
        data = self._read(X, lengths)
        offsets, layout = data.sequences.offsets, data.sequences.layout
        begun = self._state(state, len(offsets) - 1)
        _, _, ends = outputs_before_and_after(self._encoder, data, offsets[:-1], offsets[1:], begun)
        states = [rows_of_state(ends, [s]) for s in range(len(offsets) - 1)]
        if layout.form == "flat":
            return self._ahead(ends, n, n_paths, seed)
        laws = [
            self._ahead(one, n, n_paths, seed, steps_after(index, n, True))
            for one, index in zip(states, layout.indexes, strict=True)
        ]
        return laws if layout.form == "list" else laws[0]

    def sample(
        self, n_samples: int = 1, random_state: Any = None, *, start: Any = None, temperature: float = 1.0
    ) -> Array:
        """Draw a sequence.

        Parameters
        ----------
        n_samples : int
            How many observations.
        random_state : None, int, Generator or RandomState
            The same int gives the same draws; the model's own where it is None.
        start : sequence, optional
            What came before: the draws go on from it.
        temperature : float
            Draws are from each law to the power of 1 / temperature: 1 is the law, 0 always what is most probable.

        Returns
        -------
        array
            Symbols (n_samples,), or numbers (n_samples, n_features), of one feature (n_samples,).

        """
        self._require_fitted()
        n = check_integer("n_samples", n_samples)
        rng = generator(self.random_state if random_state is None else random_state)
        state = self._encoder.initial_state(1) if start is None else self.filter(start).state
        if state.h.shape[-2] != 1:
            raise ValueError("start holds several sequences: one sequence is drawn, pass one")
        drawn = [self._drawn(state, rng, temperature)] if n else []
        for _ in range(n - 1):
            state = self._stepped(drawn[-1], state)
            drawn.append(self._drawn(state, rng, temperature))
        if not drawn:
            return np.empty(0, self._reader.symbols.dtype) if self._reader.symbols is not None else np.empty(0)
        found = np.concatenate(drawn)
        if self._reader.symbols is not None:
            return np.asarray(self._reader.symbols[found.reshape(-1)])
        return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found

    # ------------------------------------------------------------------------------------------------- inside

    def _read(self, X: Any, lengths: Any) -> OwnHistory:
        self._require_fitted()
        return self._reader.read(X, lengths, self.network_.dtype)

    def _state(self, state: Any, n_sequences: int) -> NetworkState:
        if state is None:
            return self._encoder.initial_state(n_sequences)
        return self.network_.checked_state(state, n_sequences)

    def _log_density(self, outputs: Array, targets: Array) -> Array:
        return np.asarray(self.head_.law.log_likelihood(self.head_.scores(outputs).astype(np.float64), targets))

    def _laws(self, outputs: Array, index: Any = None) -> Any:
        if not hasattr(self.head_.law, "predictive"):
            raise TypeError(
                f"{type(self.head_.law).__name__} has no predictive(scores, index), which gives the laws of what is to "
                "come as a PredictiveLaw: add it to the law of the head"
            )
        return self.head_.law.predictive(self.head_.scores(outputs).astype(np.float64), index)

    def _ahead(self, state: NetworkState, steps: int, n_paths: int, seed: int, index: Any = None) -> Any:
        """Laws of the next steps of each row of a state: row after row, and in a row step after step."""
        n = state.h.shape[-2]
        if steps == 1:
            return self._laws(last_outputs(state), index)
        rows: list[list[Array]] = [[] for _ in range(n)]
        for s in range(n):
            rng = np.random.default_rng(seed)
            paths = rows_of_state(state, np.full(n_paths, s))
            for step in range(steps):
                rows[s].append(last_outputs(paths))
                if step < steps - 1:
                    paths = self._stepped(self._drawn(paths, rng, 1.0), paths)
        outputs = np.concatenate([one for of_row in rows for one in of_row])
        return mixture_of_paths(self._laws(outputs), n_paths, index)

    def _drawn(self, state: NetworkState, rng: np.random.Generator, temperature: float) -> Array:
        return self.head_.sample(last_outputs(state), rng, temperature)

    def _stepped(self, drawn: Array, state: NetworkState) -> NetworkState:
        """The states after observations, one for each row."""
        n = len(drawn)
        lengths: Ints = np.ones(n, np.int64)
        if self._reader.symbols is not None:
            batch = Batch(lengths, codes=np.asarray(drawn, np.int64).reshape(n, 1, 1))
        else:
            numbers = self._reader.inputs(drawn.reshape(n, -1), self.network_.dtype)
            batch = Batch(lengths, numbers=numbers[:, None, :])
        x = self._encoder.inputs(batch)[:, 0]
        return self.network_.step(x, state)[1]

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
