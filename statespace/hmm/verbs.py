"""What a hidden Markov model can be asked, once its parameters are known.

Each verb reads the data, has the emission turn them into log-likelihoods, and calls one of the recursions.
"""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import numpy as np

from statespace.foundations.calendar import steps_after
from statespace.foundations.executors import map_pieces
from statespace.foundations.paths import draw_path, draw_thresholds
from statespace.foundations.probability import generator
from statespace.foundations.sequence_model import SequenceModel
from statespace.foundations.sequences import by_step
from statespace.foundations.validation import check_choice, check_integer
from statespace.hmm.baum_welch import Law
from statespace.hmm.blocks import log_likelihood_by_blocks
from statespace.hmm.evidence import Evidence, Piece, read_evidence, shifted
from statespace.hmm.prediction import check_states, observation_law, states_ahead
from statespace.hmm.recursions import (
    expectations,
    filter_states,
    log_likelihoods,
    most_likely_paths,
    sample_paths,
    smooth_states,
)
from statespace.hmm.results import FilterResult, SmoothResult
from statespace.protocols import Array, Floats, Ints


class HiddenStates(SequenceModel):
    """The verbs, on the law that a subclass brings."""

    algorithm: str
    random_state: Any

    def _law(self) -> Law:
        """The present parameters, checked."""
        raise AttributeError("_law")

    def _read(self, law: Law, X: Any, lengths: Any) -> Evidence:
        return read_evidence(law.emission, X, lengths, None, len(law.startprob))

    def log_likelihood(self, X: Any, lengths: Any = None, by: str = "total") -> Any:
        """Log-likelihood in nats.

        Parameters
        ----------
        X, lengths
            As in `fit`.
        by : {"total", "sequence", "step"}
            One number; one a sequence, shape (n_sequences,); or log p(x_n | x_1..x_{n-1}) of every step, in the form in
            which `X` came, NaN where the observation is missing.

        """
        check_choice("by", by, ("total", "sequence", "step"))
        law = self._law()
        evidence = self._read(law, X, lengths)
        if by == "step":
            steps = self._filtered(law, evidence)[2]
            if evidence.observations.missing is not None:
                steps[evidence.observations.missing] = np.nan
            return by_step(steps, evidence.observations)
        totals = np.concatenate([self._totals(law, evidence, piece) for piece in evidence.parts()])
        return totals if by == "sequence" else float(totals.sum())

    def _totals(self, law: Law, evidence: Evidence, piece: Piece) -> Floats:
        """Log-likelihood of each sequence of a piece."""
        if evidence.is_long(piece, law.transmat):
            steps = evidence.steps(piece)
            total = log_likelihood_by_blocks(
                law.startprob,
                law.transmat,
                lambda cut: evidence.frames_of(law.emission, shifted(cut, steps.start)),
                steps.stop - steps.start,
            )
            if not math.isnan(total):
                return np.array([total])
        return log_likelihoods(
            law.startprob, law.transmat, evidence.frames(law.emission, piece), evidence.offsets(piece)
        )

    def _filtered(self, law: Law, evidence: Evidence, state: Any = None) -> tuple[Floats, Floats, Floats]:
        """Filtered and predicted states, and the log-likelihood of each step; from the start, or from known states."""
        if state is None:
            pieces = evidence.pieces()
            starts = [law.startprob] * len(pieces)
        else:
            n_sequences = evidence.observations.n_sequences
            pieces = [Piece(s, s + 1) for s in range(n_sequences)]
            starts = list(check_states(state, n_sequences, len(law.startprob)) @ law.transmat)
        found = [
            filter_states(start, law.transmat, evidence.frames(law.emission, piece), evidence.offsets(piece))
            for start, piece in zip(starts, pieces, strict=True)
        ]
        filtered, predicted, steps = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return filtered, predicted, steps

    def score_samples(self, X: Any, lengths: Any = None) -> tuple[float, Any]:
        """Log-likelihood in nats, and p(z_n = k | x) of every step, shape (n_samples, n_components)."""
        law = self._law()
        evidence = self._read(law, X, lengths)
        found = [
            smooth_states(law.startprob, law.transmat, evidence.frames(law.emission, piece), evidence.offsets(piece))
            for piece in evidence.parts()
        ]
        posteriors = found[0].posteriors if len(found) == 1 else np.concatenate([part.posteriors for part in found])
        total = float(sum(part.log_likelihood.sum() for part in found))
        return total, by_step(posteriors, evidence.observations)

    def predict_proba(self, X: Any, lengths: Any = None) -> Any:
        """p(z_n = k | x_1..x_N) of every step, shape (n_samples, n_components)."""
        return self.score_samples(X, lengths)[1]

    def smooth(self, X: Any, lengths: Any = None) -> SmoothResult:
        """What all the data say of the states, and of the transitions between them."""
        law = self._law()
        evidence = self._read(law, X, lengths)
        total, probabilities = self.score_samples(X, lengths)
        transitions = sum(
            expectations(
                law.startprob,
                law.transmat,
                evidence.frames(law.emission, piece),
                evidence.offsets(piece),
                np.ones(piece.last - piece.first),
            ).transitions
            for piece in evidence.pieces()
        )
        return SmoothResult(probabilities, np.asarray(transitions), total)

    def filter(self, X: Any, lengths: Any = None, *, state: Any = None) -> FilterResult:
        """What the past and the present say of the state at each step.

        Parameters
        ----------
        X, lengths
            As in `fit`.
        state : (n_components,) or (n_sequences, n_components), optional
            The `state` of an earlier result: the sequences go on from there.

        """
        law = self._law()
        evidence = self._read(law, X, lengths)
        filtered, predicted, steps = self._filtered(law, evidence, state)
        last = filtered[evidence.observations.offsets[1:] - 1]
        observations = evidence.observations
        return FilterResult(
            by_step(filtered, observations),
            by_step(predicted, observations),
            float(np.nansum(steps)),  # what follows an impossible observation is NaN
            last if observations.layout.form != "single" else last[0],
        )

    def decode(self, X: Any, lengths: Any = None, algorithm: str | None = None) -> tuple[float, Any]:
        """The most likely states, and the joint log-probability of them and the data.

        Parameters
        ----------
        X, lengths
            As in `fit`.
        algorithm : {"viterbi", "map"}, optional
            "viterbi": the path that is most likely as a whole; "map": the most likely state of each step. The model's
            own where it is not given.

        Returns
        -------
        log_prob : float
            log p(x, z) of the states that are returned.
        states : array of int
            In the form of the data, shape (n_samples,).

        """
        algorithm = algorithm or self.algorithm
        check_choice("algorithm", algorithm, ("viterbi", "map"))
        law = self._law()
        evidence = self._read(law, X, lengths)
        if algorithm == "map":
            found = [
                smooth_states(law.startprob, law.transmat, evidence.frames(law.emission, p), evidence.offsets(p))
                for p in evidence.pieces()
            ]
            best = np.concatenate([np.nan_to_num(part.posteriors).argmax(axis=1) for part in found])
            return self._log_joint(law, evidence, best), by_step(best, evidence.observations)
        paths = map_pieces(
            lambda p: most_likely_paths(
                law.startprob, law.transmat, evidence.frames(law.emission, p), evidence.offsets(p)
            ),
            evidence.parts(),
        )
        total = float(sum(totals.sum() for _, totals in paths))
        states = paths[0][0] if len(paths) == 1 else np.concatenate([path for path, _ in paths])
        return total, by_step(states, evidence.observations)

    def predict(self, X: Any, lengths: Any = None) -> Any:
        """The most likely states, shape (n_samples,); see `decode`."""
        return self.decode(X, lengths)[1]

    def log_joint(self, X: Any, states: Any, lengths: Any = None) -> float:
        """Log p(X, Z) of the data and given states, one for each observation."""
        law = self._law()
        labels = read_evidence(law.emission, X, lengths, states, len(law.startprob)).states
        assert labels is not None
        if (labels < 0).any():
            raise ValueError(f"states[{int(np.argmax(labels < 0))}] is -1: log_joint needs every state")
        return self._log_joint(law, self._read(law, X, lengths), labels)

    def _log_joint(self, law: Law, evidence: Evidence, states: Ints) -> float:
        total = 0.0
        with np.errstate(divide="ignore"):
            log_start, log_transmat = np.log(law.startprob), np.log(law.transmat)
        for piece in evidence.pieces():
            frames = evidence.frames(law.emission, piece)
            path = states[evidence.steps(piece)]
            rows = np.arange(len(path)) if frames.rows is None else frames.rows
            total += float(frames.table[rows, path].sum())
            for a, b in pairwise(evidence.offsets(piece).tolist()):
                total += float(log_start[path[a]] + log_transmat[path[a : b - 1], path[a + 1 : b]].sum())
        return total

    def sample_posterior(self, X: Any, n_draws: int = 1, lengths: Any = None, random_state: Any = None) -> Ints:
        """Paths of states drawn from p(z | x), shape (n_draws, n_samples)."""
        law = self._law()
        evidence = self._read(law, X, lengths)
        draws = check_integer("n_draws", n_draws, 1)
        rng = generator(self.random_state if random_state is None else random_state)
        parts = []
        for piece in evidence.pieces():
            frames, offsets = evidence.frames(law.emission, piece), evidence.offsets(piece)
            uniforms = rng.random((draws, int(offsets[-1])))
            parts.append(sample_paths(law.startprob, law.transmat, frames, offsets, uniforms))
        return np.concatenate(parts, axis=1)

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Array, Ints]:
        """Draw a sequence of observations and its states.

        Parameters
        ----------
        n_samples : int
            How many steps.
        random_state : None, int, Generator or RandomState
            The same int gives the same draws; the model's own where it is None.
        currstate : int, optional
            The state of the first observation.

        Returns
        -------
        X : array
            Observations, shape (n_samples, n_features), or (n_samples,) symbols.
        states : array of int
            Shape (n_samples,).

        """
        law = self._law()
        n, K = check_integer("n_samples", n_samples), len(law.startprob)
        rng = generator(self.random_state if random_state is None else random_state)
        startprob = law.startprob
        if currstate is not None:
            if check_integer("currstate", currstate) >= K:
                raise ValueError(f"currstate is {currstate}, expected a state 0..{K - 1}")
            startprob = np.zeros(K)
            startprob[currstate] = 1.0
        states = np.empty(n, np.int64)
        if n:
            states[0] = int((rng.random() >= draw_thresholds(startprob[None])[0]).sum())
            draw_path(rng.random(n - 1), draw_thresholds(law.transmat), int(states[0]), states[1:])
        drawn = law.emission.sample(states, rng)
        symbols = getattr(law.emission, "symbols", None)
        return (drawn if symbols is None else symbols[drawn]), states

    def predictive(self, X: Any, lengths: Any = None, *, state: Any = None) -> Any:
        """The law of every observation given those before it, and of the one after the last.

        Parameters
        ----------
        X, lengths
            As in `fit`.
        state : (n_components,) or (n_sequences, n_components), optional
            The `state` of an earlier `filter`: the sequences go on from there.

        Returns
        -------
        PredictiveLaw
            n_samples + 1 rows a sequence; for a list of sequences, a list of laws.

        """
        law = self._law()
        evidence = self._read(law, X, lengths)
        filtered, predicted, _ = self._filtered(law, evidence, state)
        parts = []
        for a, b in pairwise(evidence.observations.offsets.tolist()):
            parts.append(np.concatenate([predicted[a:b], filtered[b - 1 : b] @ law.transmat]))
        return self._laws(law, evidence, parts, 1, ahead_only=False)

    def forecast(self, X: Any, steps: int = 1, lengths: Any = None, *, state: Any = None) -> Any:
        """The laws of the next observations.

        Parameters
        ----------
        X, lengths
            What is known, as in `fit`; None where `state` says it all.
        steps : int
            How many observations ahead.
        state : (n_components,) or (n_sequences, n_components), optional
            The `state` of an earlier `filter`, from which X goes on.

        Returns
        -------
        PredictiveLaw
            `steps` rows a sequence; for a list of sequences, a list of laws.

        """
        law = self._law()
        n = check_integer("steps", steps, 1)
        if X is None and state is not None:
            known = np.atleast_2d(np.asarray(state, np.float64))
            ahead = [states_ahead(one, law.transmat, n) for one in check_states(known, len(known), len(law.startprob))]
            emission = copy.deepcopy(law.emission)
            laws = [observation_law(emission, weights) for weights in ahead]
            return laws[0] if np.ndim(state) == 1 else laws
        evidence = self._read(law, X, lengths)
        filtered = self._filtered(law, evidence, state)[0]
        parts = [states_ahead(filtered[end - 1], law.transmat, n) for end in evidence.observations.offsets[1:].tolist()]
        return self._laws(law, evidence, parts, n, ahead_only=True)

    def _laws(self, law: Law, evidence: Evidence, weights: list[Floats], ahead: int, *, ahead_only: bool) -> Any:
        layout = evidence.observations.layout
        emission = copy.deepcopy(law.emission)  # a law stays what it is, whatever becomes of the model
        if layout.form != "list":
            index = layout.indexes[0] if layout.form == "single" else None
            return observation_law(emission, np.concatenate(weights), steps_after(index, ahead, ahead_only))
        return [
            observation_law(emission, part, steps_after(index, ahead, ahead_only))
            for part, index in zip(weights, layout.indexes, strict=True)
        ]
