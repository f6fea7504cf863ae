"""Hidden Markov models with any emission.

    p(x, z) = p(z_1) p(x_1 | z_1) prod_n p(z_n | z_{n-1}) p(x_n | z_n)

The model validates, in words, and calls the recursions; what is specific to a kind of observation lies in its emission.
"""

from __future__ import annotations

import copy
import logging
import math
from concurrent.futures import Executor
from itertools import pairwise
from typing import Any, Self

import numpy as np

from statespace.foundations.archive import Archive
from statespace.foundations.calendar import steps_after
from statespace.foundations.em import ConvergenceMonitor, maximize, warn_not_converged
from statespace.foundations.estimator import NotFittedError, unchanged_on_failure
from statespace.foundations.executors import map_pieces
from statespace.foundations.paths import draw_path, draw_thresholds
from statespace.foundations.predictive import PredictiveLaw
from statespace.foundations.probability import generator
from statespace.foundations.sequence_model import SequenceModel
from statespace.foundations.sequences import by_step
from statespace.foundations.stochastic_matrix import check_law, check_stochastic_matrix, stationary_law
from statespace.foundations.validation import check_choice, check_integer, check_sample_weight
from statespace.hmm.baum_welch import Law, Priors, expect, improve
from statespace.hmm.evidence import Evidence, Piece, read_evidence
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

_log = logging.getLogger("statespace")


class HMM(SequenceModel):
    """A hidden Markov model of any emission, fitted by Baum-Welch.

    Parameters
    ----------
    n_components : int
        Number of states K.
    emission : object
        The law of an observation in each state: one of `statespace.hmm.emissions`, or your own object with the four
        members of `statespace.hmm.Emission`. It is copied, never changed.
    init : dict, optional
        Starting values by name: "startprob" (K,), "transmat" (K, K). Zeros stay zero in every fit, which is how a
        left-right or banded model is made.
    startprob_prior, transmat_prior : float or array
        Parameters of Dirichlet priors; 1 is maximum likelihood.
    fixed : dict, optional
        What is held at its starting value: "startprob", "transmat" or "emission" -> True, or for the first two a mask
        of entries (True: held); the others of a row share what is left. Other names are handed to the emission.
    algorithm : {"viterbi", "map"}
        How `decode` finds states: the path most likely as a whole, or the most likely state of each step.
    n_init : int
        Fits from as many starts, of which the best is kept.
    n_iter : int
        The largest number of iterations.
    tol : float, optional
        The fit has converged when an iteration gains less, in nats in total; None: 1e-7 nats an observation.
    verbose : bool
        Print each iteration to standard error.
    random_state : None, int, Generator or RandomState
        For starting values, and for `sample` where it is given none.

    Attributes
    ----------
    startprob_ : (n_components,)
        p(z_1 = k).
    transmat_ : (n_components, n_components)
        p(z_{n+1} = j | z_n = i).
    emission_ : object
        The emission with its parameters.
    monitor_ : ConvergenceMonitor
        The history of the fit, and why it stopped.

    References
    ----------
    Rabiner (1989); Bishop (2006), section 13.2.

    Examples
    --------
    Two states of counts, and how likely each was at the end:

    >>> from statespace.hmm import HMM, PoissonEmission
    >>> counts = [1, 0, 2, 1, 9, 8, 11, 9, 10, 1, 0, 1, 2, 0, 12, 9]
    >>> model = HMM(2, PoissonEmission(), random_state=0).fit(counts)
    >>> model.emission_.lambdas.round(1).ravel().tolist()
    [0.9, 9.7]
    >>> model.filter(counts).state.round(3).tolist()
    [0.0, 1.0]

    """

    def __init__(
        self,
        n_components: int = 1,
        emission: Any = None,
        *,
        init: dict[str, Any] | None = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        fixed: dict[str, Any] | None = None,
        algorithm: str = "viterbi",
        n_init: int = 1,
        n_iter: int = 200,
        tol: float | None = None,
        verbose: bool = False,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.emission = emission
        self.init = init
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.fixed = fixed
        self.algorithm = algorithm
        self.n_init = n_init
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state

    # ------------------------------------------------------------------------------------------------- learning

    @unchanged_on_failure
    def fit(
        self,
        X: Any,
        lengths: Any = None,
        *,
        states: Any = None,
        sample_weight: Any = None,
        executor: Executor | None = None,
    ) -> Self:
        """Learn the parameters by Baum-Welch.

        Parameters
        ----------
        X : sequence or list of sequences
            Observations, as the emission reads them; NaN where missing.
        lengths : (n_sequences,), optional
            Lengths of the sequences laid end to end in a flat `X`.
        states : array of int, in the form of X, optional
            States that are known, -1 where they are not.
        sample_weight : (n_sequences,), optional
            A weight for each sequence; 2 is as if it were there twice.
        executor : concurrent.futures.Executor, optional
            Shares out the restarts and the pieces of the data; threads without it.

        Raises
        ------
        TypeError, ValueError
            Where the data or a parameter are not what they should be; the model then is as it was before.

        Warns
        -----
        ConvergenceWarning
            If `n_iter` iterations did not suffice.

        """
        K = check_integer("n_components", self.n_components, 1)
        n_init = check_integer("n_init", self.n_init, 1)
        check_integer("n_iter", self.n_iter, 1)
        prepared = self._new_emission()
        evidence = read_evidence(prepared, X, lengths, states, K)
        if evidence.observations.missing is not None and evidence.observations.missing.all():
            raise ValueError("X has no observation: every value is missing")
        offsets = evidence.observations.offsets
        weights = check_sample_weight(sample_weight, len(offsets) - 1)
        if weights is None:
            weights = np.ones(len(offsets) - 1)
        priors = self._checked_priors(K)
        held = self._checked_fixed(K)
        rng = generator(self.random_state)
        seeds = rng.integers(2**63, size=n_init)
        starts = [self._start(prepared, evidence, weights, np.random.default_rng(seed)) for seed in seeds]
        monitors = [self._new_monitor(evidence) for _ in starts]

        masses = [np.ones(K)] * n_init

        def fit_from(number: int) -> Law:
            def step(law: Law) -> Any:
                expected = expect(law, evidence, weights, executor)
                masses[number] = expected.mass
                objective = expected.log_likelihood + priors.log_density(law)
                if hasattr(law.emission, "log_prior"):
                    objective += law.emission.log_prior()
                return objective, lambda: improve(law, expected, priors, held)

            return maximize(step, starts[number], monitors[number], warn=False)

        laws = map_pieces(fit_from, range(n_init))
        best = max(range(n_init), key=lambda number: (monitors[number].history[-1], -number))
        monitor = monitors[best]
        if monitor.reason.startswith("not converged") and monitor.n_iter > 1:
            warn_not_converged(monitor)
        self._learn(laws[best])
        self.monitor_ = monitor
        self._n_free = self._count_free(starts[best], held)
        self._report(masses[best], evidence.observations.values.size)
        return self

    def _new_emission(self) -> Any:
        if self.emission is None or isinstance(self.emission, type):
            raise TypeError(
                f"emission is {self.emission!r}: hand over an object such as CategoricalEmission(), or your own with "
                "log_likelihood, m_step, sample and n_parameters"
            )
        lacking = [
            name
            for name in ("log_likelihood", "m_step", "sample", "n_parameters")
            if name not in dir(self.emission)  # a property may have nothing to say before the fit
        ]
        if lacking:
            raise TypeError(f"{type(self.emission).__name__} is no emission: it lacks {', '.join(lacking)}")
        return copy.deepcopy(self.emission)

    def _new_monitor(self, evidence: Evidence) -> ConvergenceMonitor:
        monitor = ConvergenceMonitor(self.tol, self.n_iter, self.verbose)
        missing = evidence.observations.missing
        monitor.begin(evidence.observations.n_samples - (0 if missing is None else int(missing.sum())))
        return monitor

    def _checked_priors(self, K: int) -> Priors:
        made = []
        for name, shape in (("startprob_prior", (K,)), ("transmat_prior", (K, K))):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            try:
                np.broadcast_to(value, shape)
            except ValueError:
                raise ValueError(f"{name} has shape {value.shape}, expected a number or shape {shape}") from None
            if not (np.isfinite(value) & (value >= 1)).all():
                raise ValueError(
                    f"{name} is {getattr(self, name)!r:.60}, expected numbers of at least 1, which is no prior: below "
                    "1 the posterior density has no maximum"
                )
            made.append(value)
        return Priors(*made)

    def _checked_fixed(self, K: int) -> dict[str, Any]:
        held = dict(self.fixed or {})
        for name, shape in (("startprob", (K,)), ("transmat", (K, K))):
            if name in held and held[name] is not True:
                mask = np.asarray(held[name])
                if mask.dtype != np.bool_ or mask.shape != shape:
                    raise ValueError(f"fixed[{name!r}] must be True or a boolean mask of shape {shape}")
                held[name] = mask
        others = held.keys() - {"startprob", "transmat", "emission"}
        if others and not hasattr(self.emission, "fixed"):
            raise ValueError(f"fixed names {sorted(others)}, which {type(self.emission).__name__} cannot hold")
        return held

    def _start(self, prepared: Any, evidence: Evidence, weights: Floats, rng: np.random.Generator) -> Law:
        """Where a fit begins: states that tend to last, and the emission's own start."""
        K = self.n_components
        given = self.init or {}
        unknown = given.keys() - {"startprob", "transmat"}
        if unknown:
            raise ValueError(f"init names {sorted(unknown)}, expected startprob or transmat; an emission has its own")
        startprob = given.get("startprob", np.full(K, 1 / K))
        transmat = given.get("transmat", 0.5 * np.eye(K) + 0.5 * rng.dirichlet(np.ones(K), size=K))
        startprob, transmat = _checked_laws(startprob, transmat, K, "init: startprob", "init: transmat")
        emission = copy.deepcopy(prepared)
        if hasattr(emission, "fixed"):
            emission.fixed = {
                name: mask
                for name, mask in (self.fixed or {}).items()
                if name not in ("startprob", "transmat", "emission")
            }
        if hasattr(emission, "initialize"):
            observations = evidence.observations
            values = observations.values
            by_row = np.repeat(weights, np.diff(observations.offsets))
            if observations.missing is not None:
                values, by_row = values[~observations.missing], by_row[~observations.missing]
            emission.initialize(values, K, rng, by_row)
        if hasattr(emission, "check"):
            emission.check(K)
        return Law(startprob, transmat, emission)

    def _learn(self, law: Law) -> None:
        self.startprob_, self.transmat_, self.emission_ = law

    def _count_free(self, start: Law, held: dict[str, Any]) -> int:
        total = 0
        for name, values in (("startprob", start.startprob[None]), ("transmat", start.transmat)):
            mask = held.get(name)
            if mask is True:
                continue
            free = values > 0
            if mask is not None:
                free &= ~np.atleast_2d(mask)
            total += int(np.maximum(free.sum(axis=1) - 1, 0).sum())
        return total + (0 if held.get("emission") is True else int(start.emission.n_parameters))

    def _report(self, mass: Floats, n_numbers: int) -> None:
        """Log what a user should know of the fit."""
        if n_numbers < self._n_free:
            _log.warning(
                "Fitting a model with %d free scalar parameters with only %d data points will result in a degenerate "
                "solution.",
                self._n_free,
                n_numbers,
            )
        for k in np.flatnonzero(mass <= 1e-10 * mass.sum()):
            _log.warning("state %d explains no observation: it has kept its last parameters", k)

    # -------------------------------------------------------------------------------------------- the parameters

    def _law(self) -> Law:
        """The present parameters, checked: they may have been assigned by hand."""
        for name in ("startprob_", "transmat_", "emission_"):
            if not hasattr(self, name):
                raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first")
        K = check_integer("n_components", self.n_components, 1)
        startprob, transmat = _checked_laws(self.startprob_, self.transmat_, K, "startprob_", "transmat_")
        if hasattr(self.emission_, "check"):
            self.emission_.check(K)
        return Law(startprob, transmat, self.emission_)

    @property
    def support(self) -> str:
        """What is predicted: "categories", "counts", "reals" or "mixed"."""
        return str(getattr(self.emission, "support", "reals"))

    @property
    def n_parameters(self) -> int:
        """Free parameters that were estimated: what is held, and zeros from the start, do not count."""
        law = self._law()
        if not hasattr(self, "_n_free"):
            return self._count_free(law, {})
        return int(self._n_free)

    def get_stationary_distribution(self) -> Floats:
        """The law of the states in the long run, shape (n_components,)."""
        return stationary_law(self._law().transmat)

    # ------------------------------------------------------------------------------------------------ the verbs

    def _read(self, law: Law, X: Any, lengths: Any) -> Evidence:
        return read_evidence(law.emission, X, lengths)

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
        totals = np.concatenate(
            [
                log_likelihoods(
                    law.startprob, law.transmat, evidence.frames(law.emission, piece), evidence.offsets(piece)
                )
                for piece in evidence.pieces()
            ]
        )
        return totals if by == "sequence" else float(math.fsum(totals) if (totals > -math.inf).all() else -math.inf)

    def _filtered(self, law: Law, evidence: Evidence) -> tuple[Floats, Floats, Floats]:
        found = [
            filter_states(law.startprob, law.transmat, evidence.frames(law.emission, piece), evidence.offsets(piece))
            for piece in evidence.pieces()
        ]
        filtered, predicted, steps = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return filtered, predicted, steps

    def score_samples(self, X: Any, lengths: Any = None) -> tuple[float, Any]:
        """Log-likelihood in nats, and p(z_n = k | x) of every step, shape (n_samples, n_components)."""
        law = self._law()
        evidence = self._read(law, X, lengths)
        found = [
            smooth_states(law.startprob, law.transmat, evidence.frames(law.emission, piece), evidence.offsets(piece))
            for piece in evidence.pieces()
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
        K, n_sequences = len(law.startprob), evidence.observations.n_sequences
        if state is None:
            filtered, predicted, steps = self._filtered(law, evidence)
        else:
            before = np.asarray(state, dtype=np.float64)
            if before.shape != (n_sequences, K) and not (before.shape == (K,) and n_sequences == 1):
                raise ValueError(
                    f"state has shape {before.shape}, expected the state of an earlier filter of {n_sequences} "
                    f"sequences, ({n_sequences}, {K})"
                )
            found = []
            for s, known in enumerate(before.reshape(n_sequences, K)):
                check_law(f"state[{s}]", known, K)
                a, b = evidence.observations.offsets[s : s + 2]
                frames = evidence.frames(law.emission, Piece(s, s + 1))
                ahead = np.ascontiguousarray(known @ law.transmat)
                found.append(filter_states(ahead, law.transmat, frames, np.array([0, b - a])))
            filtered, predicted, steps = (np.concatenate(parts) for parts in zip(*found, strict=True))
        last = filtered[evidence.observations.offsets[1:] - 1]
        observations = evidence.observations
        return FilterResult(
            by_step(filtered, observations),
            by_step(predicted, observations),
            float(steps.sum()),
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
        paths = [
            most_likely_paths(law.startprob, law.transmat, evidence.frames(law.emission, p), evidence.offsets(p))
            for p in evidence.pieces()
        ]
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

    def predictive(self, X: Any, lengths: Any = None) -> Any:
        """The law of every observation given those before it, and of the one after the last.

        Returns
        -------
        PredictiveLaw
            n_samples + 1 rows a sequence; for a list of sequences, a list of laws.

        """
        law = self._law()
        evidence = self._read(law, X, lengths)
        filtered, predicted, _ = self._filtered(law, evidence)
        parts = []
        for a, b in pairwise(evidence.observations.offsets.tolist()):
            parts.append(np.concatenate([predicted[a:b], filtered[b - 1 : b] @ law.transmat]))
        return self._laws(law, evidence, parts, 1, ahead_only=False)

    def forecast(self, X: Any, steps: int = 1, lengths: Any = None) -> Any:
        """The laws of the next observations.

        Parameters
        ----------
        X, lengths
            What is known, as in `fit`.
        steps : int
            How many observations ahead.

        Returns
        -------
        PredictiveLaw
            `steps` rows a sequence; for a list of sequences, a list of laws.

        """
        law = self._law()
        n = check_integer("steps", steps, 1)
        evidence = self._read(law, X, lengths)
        filtered = self._filtered(law, evidence)[0]
        parts = []
        for last in evidence.observations.offsets[1:].tolist():
            ahead = [filtered[last - 1] @ law.transmat]
            while len(ahead) < n:
                ahead.append(ahead[-1] @ law.transmat)
            parts.append(np.array(ahead))
        return self._laws(law, evidence, parts, n, ahead_only=True)

    def _laws(self, law: Law, evidence: Evidence, weights: list[Floats], ahead: int, *, ahead_only: bool) -> Any:
        layout = evidence.observations.layout
        if layout.form != "list":
            index = layout.indexes[0] if layout.form == "single" else None
            return self._emission_law(law, np.concatenate(weights), steps_after(index, ahead, ahead_only))
        return [
            self._emission_law(law, part, steps_after(index, ahead, ahead_only))
            for part, index in zip(weights, layout.indexes, strict=True)
        ]

    def _emission_law(self, law: Law, weights: Floats, index: Any) -> PredictiveLaw:
        weights = weights / weights.sum(axis=1, keepdims=True)
        if hasattr(law.emission, "law"):
            found: PredictiveLaw = law.emission.law(weights, index)
            return found
        raise TypeError(
            f"{type(law.emission).__name__} has no law(weights, index) that says what it predicts of an observation "
            "when the states have these probabilities"
        )

    # ------------------------------------------------------------------------------------------------ in and out

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        law = self._law()
        header: dict[str, Any] = {"params": {}, "n_free": self.n_parameters}
        arrays = {"startprob": law.startprob, "transmat": law.transmat}
        for name, emission in (("learnt", law.emission), ("given", self.emission)):
            if not hasattr(emission, "to_archive"):
                raise TypeError(
                    f"{type(emission).__name__} has no to_archive() -> (header, arrays): it cannot be saved"
                )
            options, values = emission.to_archive()
            header[name] = {"class": type(emission).__name__, "options": options}
            arrays |= {f"{name}_{key}": value for key, value in values.items()}
        for name in self._parameters():
            if name != "emission":
                header["params"][name] = _as_json(getattr(self, name))
        return header, arrays

    @classmethod
    def _from_archive(cls, archive: Archive) -> Self:
        from statespace.hmm import emissions

        header, arrays = archive.header, archive.arrays
        found = {}
        for name in ("learnt", "given"):
            kind = header[name]["class"]
            if kind not in emissions.__all__:
                raise ValueError(f"an emission {kind!r} that statespace does not have")
            values = {key.removeprefix(f"{name}_"): a for key, a in arrays.items() if key.startswith(f"{name}_")}
            found[name] = getattr(emissions, kind).from_archive(header[name]["options"], values)
        params = {name: _from_json(value) for name, value in header["params"].items()}
        model = cls(emission=found["given"], **params)
        model._learn(Law(arrays["startprob"], arrays["transmat"], found["learnt"]))
        model._n_free = header["n_free"]
        model._law()
        return model


def _as_json(value: Any) -> Any:
    """A parameter as JSON has it; a generator is not kept."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, dict):
        return {"dict": {name: _as_json(inner) for name, inner in value.items()}}
    if isinstance(value, np.random.Generator | np.random.RandomState):
        return None
    if isinstance(value, list | tuple):
        return _as_json(np.asarray(value))
    return value.item() if isinstance(value, np.generic) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], dtype=value["dtype"])
    if isinstance(value, dict):
        return {name: _from_json(inner) for name, inner in value["dict"].items()}
    return value


def _checked_laws(startprob: Any, transmat: Any, K: int, start_name: str, name: str) -> tuple[Floats, Floats]:
    return check_law(start_name, startprob, K), check_stochastic_matrix(name, transmat, shape=(K, K))
