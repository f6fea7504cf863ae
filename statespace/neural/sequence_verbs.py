"""What a network that foretells sequences can be asked."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from statespace.foundations.calendar import steps_after
from statespace.foundations.path_mixture import mixture_of_paths
from statespace.foundations.probability import generator
from statespace.foundations.sequence_model import SequenceModel
from statespace.foundations.sequences import by_step
from statespace.foundations.validation import check_choice, check_integer
from statespace.neural.encoder import Batch, Encoder, rows_of_state
from statespace.neural.heads import Head
from statespace.neural.network import RecurrentNetwork
from statespace.neural.own_history import OwnHistory, Reader
from statespace.neural.sequence_runs import last_outputs, log_likelihood_steps, outputs_before_and_after, run_over
from statespace.neural.settings import NetworkEstimator, n_weights
from statespace.neural.trace import NetworkState
from statespace.protocols import Array, Ints


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


class SequenceVerbs(NetworkEstimator, SequenceModel):
    """The verbs of `RecurrentSequenceModel`, on what its `fit` has learnt."""

    head: Any
    network_: RecurrentNetwork
    head_: Head
    _encoder: Encoder
    _reader: Reader
    _learnt_missing: bool

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
        ends = self._after(data, state)
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
        state = self._encoder.initial_state(1) if start is None else self._after(self._read(start, None))
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

    def _after(self, data: OwnHistory, state: Any = None) -> NetworkState:
        """The states after the last step of each sequence, and nothing else."""
        offsets = data.sequences.offsets
        begun = self._state(state, len(offsets) - 1)
        return run_over(self._encoder, data, offsets[:-1], offsets[1:], lambda *_: None, begun)

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
