"""What an encoder and a decoder can be asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.probability import generator
from statespace.foundations.validation import check_choice, check_integer
from statespace.neural.decoding import beam_search, draw, greedy
from statespace.neural.own_history import OwnHistory
from statespace.neural.pairs import PairReader, Written, written
from statespace.neural.settings import NetworkEstimator, n_weights
from statespace.neural.teacher_forcing import EncoderDecoder, batch_of, chunks, log_likelihood_steps
from statespace.protocols import Array

_LONGEST = 2  # how many times as long as the longest target that was learnt from


class PairVerbs(NetworkEstimator):
    """The verbs of `SequenceToSequence`, on what its `fit` has learnt."""

    _model: EncoderDecoder
    _pairs: PairReader
    _longest: int
    _learnt_missing: bool

    # -------------------------------------------------------------------------------------------- what was learnt

    @property
    def n_parameters(self) -> int:
        """Numbers that were learnt."""
        self._require_fitted()
        of_encoder = n_weights(self._model.encoder.parts, self._learnt_missing)
        others = self._model.parts[len(self._model.encoder.parts) :]
        return of_encoder + n_weights(others, False)  # of targets nothing is missing

    @property
    def symbols_(self) -> Array:
        """The alphabet of the sources, shape (n_symbols,)."""
        self._require_fitted()
        if self._pairs.sources.symbols is None:
            raise AttributeError("a model that reads numbers has no symbols_")
        return self._pairs.sources.symbols

    @property
    def target_symbols_(self) -> Array:
        """The alphabet of the targets, shape (n_target_symbols,)."""
        self._require_fitted()
        return self._pairs.symbols

    # ------------------------------------------------------------------------------------------------ the verbs

    def log_likelihood(self, X: Any, y: Any, by: str = "total") -> Any:
        """Log p(y | x) of given targets, in nats.

        Parameters
        ----------
        X, y
            As in `fit`.
        by : {"total", "sequence", "step"}
            One number; one a pair, shape (n_pairs,); or, for each pair, an array of log p(y_t | y_1..y_{t-1}, x), one
            longer than the target: the last says that it ends there.

        """
        check_choice("by", by, ("total", "sequence", "step"))
        sources, targets = self._read(X, y)
        steps = log_likelihood_steps(self._model, sources, targets)
        if by == "step":
            return steps
        found = np.array([float(one.sum()) for one in steps])
        return found if by == "sequence" else float(found.sum())

    def score(self, X: Any, y: Any) -> float:
        """Total log-likelihood of given targets, in nats."""
        return float(self.log_likelihood(X, y))

    def predict(self, X: Any, beam: int = 1, max_length: int | None = None) -> list[Any]:
        """A target for each source.

        Parameters
        ----------
        X
            As in `fit`.
        beam : int
            How many beginnings of each target are kept: 1 is the most probable symbol each time. A wider beam mostly
            finds a more probable target, but it may miss one that a narrow beam finds.
        max_length : int, optional
            Where a target ends at the latest; twice the length of the longest that was learnt from, if not given.

        Returns
        -------
        list
            Lists of symbols, arrays or texts, as the targets came in.

        """
        n_beams = check_integer("beam", beam, 1)
        sources, longest = self._read_sources(X), self._max_length(max_length)
        if n_beams == 1:
            found = greedy(self._model, sources, longest)
        else:
            found = beam_search(self._model, sources, longest, n_beams)
        return [self._pairs.target(codes) for codes in found]

    def sample(
        self, X: Any, random_state: Any = None, *, temperature: float = 1.0, max_length: int | None = None
    ) -> list[Any]:
        """Draw a target for each source.

        Parameters
        ----------
        X
            As in `fit`.
        random_state : None, int, Generator or RandomState
            The same int gives the same draws; the model's own where it is None.
        temperature : float
            Draws are from each law to the power of 1 / temperature: 1 is the law, 0 always what is most probable.
        max_length : int, optional
            As of `predict`.

        """
        sources, longest = self._read_sources(X), self._max_length(max_length)
        if isinstance(temperature, bool | str) or np.ndim(temperature) or not 0 <= temperature < np.inf:
            raise ValueError(f"temperature is {temperature!r}, expected a number of at least 0; 1 is the law itself")
        rng = generator(self.random_state if random_state is None else random_state)
        return [self._pairs.target(codes) for codes in draw(self._model, sources, longest, rng, float(temperature))]

    def attention_weights(self, X: Any, y: Any = None) -> list[Array]:
        """Where the decoder looked.

        Parameters
        ----------
        X, y
            As in `fit`; targets are those of `predict` where they are not given.

        Returns
        -------
        list of (target length, source length)
            For each pair the weights a_ts of the steps of the source with which each symbol of the target was foretold;
            rows sum to 1.

        """
        self._require_fitted()
        model = self._model
        if model.attention is None:
            raise ValueError("attention is None, and this model looks at nothing: fit one with attention='dot'")
        if y is None:
            sources = self._read_sources(X)
            codes = greedy(model, sources, self._max_length(None))
            offsets = np.concatenate([[0], np.cumsum([len(one) for one in codes])]).astype(np.int64)
            targets = written(np.concatenate(codes), offsets, len(self._pairs.symbols))
        else:
            sources, targets = self._read(X, y)
        lengths = np.diff(sources.sequences.offsets)
        found: list[Array] = [np.empty((0, 0))] * len(lengths)
        for places in chunks(lengths + targets.lengths):
            look = model.run(batch_of(sources, places), targets.batch(places)[0]).look
            assert look is not None
            for place, weights in zip(places, look.weights, strict=True):
                found[place] = weights[: targets.lengths[place] - 1, : lengths[place]].copy()
        return found

    # ------------------------------------------------------------------------------------------------- inside

    def _read_sources(self, X: Any) -> OwnHistory:
        self._require_fitted()
        return self._pairs.read_sources(X, self._model.decoder.network.dtype)

    def _read(self, X: Any, y: Any) -> tuple[OwnHistory, Written]:
        sources = self._read_sources(X)
        return sources, self._pairs.read_targets(y, len(sources.sequences.offsets) - 1)

    def _max_length(self, given: int | None) -> int:
        if given is None:
            return max(_LONGEST * self._longest, 1)
        return check_integer("max_length", given, 1)
