"""What the variational models share: attributes of beliefs, the fit, and point estimates for all verbs of an `HMM`."""

from __future__ import annotations

import copy
import logging
import math
from abc import ABC, abstractmethod
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, ClassVar, Self

import numpy as np

from statespace.foundations.archive import Archive
from statespace.foundations.blas import blas_on_one_thread
from statespace.foundations.em import warn_not_converged
from statespace.foundations.estimator import NotFittedError, unchanged_on_failure
from statespace.foundations.executors import map_pieces
from statespace.foundations.probability import generator
from statespace.foundations.stochastic_matrix import check_law, check_stochastic_matrix
from statespace.foundations.validation import check_choice, check_integer, check_sample_weight, check_tolerance
from statespace.hmm.baum_welch import Law
from statespace.hmm.dirichlet import Dirichlet, check_posterior, check_prior
from statespace.hmm.evidence import read_evidence
from statespace.hmm.model import HMM
from statespace.hmm.saving import from_archive, to_archive
from statespace.hmm.starts import known_rows, labelled_order
from statespace.hmm.variational import Belief, VariationalFit, most_promising
from statespace.protocols import Array, Floats, Ints

_log = logging.getLogger("statespace")


class VariationalHMM(HMM, ABC):
    """What variational models share: the fit, and point estimates for all verbs of an `HMM`.

    The verbs act on the means of the posteriors, `startprob_`, `transmat_` and the emission's.
    """

    start = "free"
    fixed = None
    params: str
    init_params: str
    implementation: str
    _names: ClassVar[dict[str, tuple[str, ...]]]
    """Letters, and the parameters of distributions that each stands for."""

    # ------------------------------------------------------------------------------------------- of the emission

    @abstractmethod
    def _reader(self) -> Any:
        """What reads the data: an emission that need not know its parameters."""

    @abstractmethod
    def _first_emissions(
        self,
        reader: Any,
        values: Array,
        offsets: Ints,
        weights: Floats,
        rng: np.random.Generator,
        known: dict[str, Any],
    ) -> list[Any]:
        """What may be believed of the emission where a fit begins; `known` has what starts from its present value."""

    @abstractmethod
    def _emission_belief(self) -> Any:
        """What is believed of the emission at present, checked."""

    @abstractmethod
    def _keep_emission(self, emission: Any) -> None:
        """Show what is believed of the emission as attributes."""

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
        """Learn what to believe of the parameters.

        `monitor_.history` has the lower bound F on log p(X), in nats, which never falls. Parameters, errors and
        warnings are those of `HMM.fit`; a sequence with weight 2 counts as if it were there twice.
        """
        K = check_integer("n_components", self.n_components, 1)
        n_init = check_integer("n_init", self.n_init, 1)
        check_integer("n_iter", self.n_iter)
        check_tolerance("tol", self.tol)
        self._check_letters()
        check_choice("implementation", self.implementation, ("log", "scaling"))
        reader = self._reader()
        evidence = read_evidence(reader, X, lengths, states, K)
        missing = evidence.observations.missing
        if missing is not None and missing.all():
            raise ValueError("X has no observation: every value is missing")
        n_sequences = evidence.observations.n_sequences
        weights = check_sample_weight(sample_weight, n_sequences)
        if weights is None:
            weights = np.ones(n_sequences)
        seeds = generator(self.random_state).integers(2**63, size=n_init)
        # Elsewhere than on threads, only one storey of the work is shared out: restarts, or else pieces of the data
        within = executor if n_init == 1 or isinstance(executor, ThreadPoolExecutor) else None
        fit = VariationalFit(evidence, weights, self.params, within)
        known = self._surviving()
        with blas_on_one_thread():
            starts = [self._begin(reader, fit, np.random.default_rng(seed), i, known) for i, seed in enumerate(seeds)]
            n_observations = evidence.n_observations(weights)
            begun = [(start, self._new_monitor(n_observations, i)) for i, start in enumerate(starts)]
            fitted = map_pieces(fit, begun, None if n_init == 1 else executor)
        best = max(range(n_init), key=lambda number: (*list(fitted[number][1].history)[-1:], -number))
        belief, monitor = fitted[best]
        if monitor.reason.startswith("not converged") and monitor.n_iter > 1:
            warn_not_converged(monitor)
        self._keep(belief)
        self._monitor = monitor
        n_numbers = evidence.observations.values.size
        if n_numbers < self.n_parameters:
            _log.warning(
                "Fitting a model with %d free scalar parameters with only %d data points will result in a degenerate "
                "solution.",
                self.n_parameters,
                n_numbers,
            )
        return self

    def lower_bound(self, X: Any, lengths: Any = None) -> float:
        """F, the lower bound on log p(X) that the present beliefs give, in nats.

        On the data of the fit it compares models: with other numbers of states, or other priors. It is computed with
        the best q(z) for these beliefs, and no iteration is made.
        """
        belief = self._belief()
        law = belief.expected_law()
        evidence = self._read(law, X, lengths)
        totals = np.concatenate([self._totals(law, evidence, piece) for piece in evidence.pieces()])
        return math.fsum(totals) - belief.divergence() if (totals > -math.inf).all() else -math.inf

    def _begin(
        self, reader: Any, fit: VariationalFit, rng: np.random.Generator, number: int, known: dict[str, Any]
    ) -> Belief:
        """Where a fit begins: what survives of the present beliefs, and as much certainty as the data will give.

        Of several starts that the emission has, the first fit takes the most promising, and the others take turns.
        """
        K = self.n_components
        values, offsets, by_row = known_rows(fit.evidence, fit.weights)
        startprob = self._first_rows("startprob", known, np.full((1, K), 1 / K), fit.weights.sum())
        stay = 0.0 if number % 2 else 0.5
        moves = stay * np.eye(K) + (1.0 - stay) * rng.dirichlet(np.ones(K), size=K)
        transmat = self._first_rows("transmat", known, moves, by_row.sum() / K)
        emissions = self._first_emissions(reader, values, offsets, by_row, rng, known)
        by_hand = {name for letter, names in self._attributes().items() if letter not in "st" for name in names}
        if not known.keys() & by_hand:
            emissions = [self._numbered_as_labelled(emission, fit) for emission in emissions]
        beliefs = [Belief(startprob, transmat, emission) for emission in emissions]
        if len(beliefs) > 1 and number == 0:
            return most_promising(beliefs, fit)
        return beliefs[(number - 1) % len(beliefs)]

    def _numbered_as_labelled(self, emission: Any, fit: VariationalFit) -> Any:
        """Number states that come from the data as known labels do, unless priors tell them apart."""
        order = labelled_order(emission, fit.evidence, fit.weights, self.n_components)
        if order is None:
            return emission
        moved = copy.copy(emission)
        moved.reorder(order)
        untouched = all(np.array_equal(a, b) for a, b in zip(moved.prior, emission.prior, strict=True))
        return moved if untouched else emission

    def _first_rows(self, name: str, known: dict[str, Any], law: Floats, count: float) -> Dirichlet:
        """Rows of probabilities: what is known of them, or the prior of the constructor and `count` times a law."""
        shape = law.shape if name != "startprob" else law.shape[1:]
        prior = known.get(f"{name}_prior_")
        if prior is None:
            given = getattr(self, f"{name}_prior")
            prior = as_shape(f"{name}_prior", 1 / law.shape[1] if given is None else given, shape)
        posterior = known.get(f"{name}_posterior_")
        if posterior is None:
            check_prior(f"{name}_prior_", np.atleast_2d(prior))
            likely = np.where(prior > 0, law.reshape(shape), 0.0)
            posterior = prior + count * likely / likely.sum(axis=-1, keepdims=True)
        return self._checked_rows(name, prior, posterior, shape)

    def _checked_rows(self, name: str, prior: Any, posterior: Any, shape: tuple[int, ...]) -> Dirichlet:
        found = []
        for part, value in (("prior", prior), ("posterior", posterior)):
            rows = np.asarray(value, np.float64)
            if rows.shape != shape:
                raise ValueError(f"{name}_{part}_ must have shape {shape}, got {rows.shape}")
            found.append(np.ascontiguousarray(np.atleast_2d(rows)))
        check_prior(f"{name}_prior_", found[0])
        check_posterior(f"{name}_posterior_", found[1], found[0])
        return Dirichlet(*found)

    def _present_rows(self, name: str, shape: tuple[int, ...]) -> Dirichlet:
        """Rows as the attributes have them."""
        self._require(f"{name}_posterior_")
        prior, posterior = (vars(self).get(f"{name}_{part}_") for part in ("prior", "posterior"))
        return self._checked_rows(name, posterior if prior is None else prior, posterior, shape)

    def _require(self, name: str) -> None:
        if name not in vars(self):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X) first, or assign {name}")

    # --------------------------------------------------------------------------------------------------- letters

    def _attributes(self) -> dict[str, tuple[str, ...]]:
        """Names of the attributes that each letter stands for."""
        return {
            letter: tuple(f"{name}_{part}_" for part in ("posterior", "prior") for name in names)
            for letter, names in self._names.items()
        }

    def _check_letters(self) -> None:
        for option in ("params", "init_params"):
            unknown = [letter for letter in getattr(self, option) if letter not in self._names]
            if unknown:
                raise ValueError(
                    f"{option} is {getattr(self, option)!r}, and {unknown[0]!r} stands for nothing: expected letters "
                    "of " + ", ".join(f"{letter} ({names[0]})" for letter, names in self._names.items())
                )

    def _surviving_now(self, name: str) -> Any:
        """An attribute, if the next fit starts from it."""
        letter = next(letter for letter, names in self._attributes().items() if name in names)
        return None if letter in self.init_params else vars(self).get(name)

    def _surviving(self) -> dict[str, Any]:
        """Attributes that a fit starts from; of others that are set it is logged that they will be overwritten."""
        known: dict[str, Any] = {}
        for letter, attributes in self._attributes().items():
            present = [name for name in attributes if name in vars(self)]
            if letter not in self.init_params:
                known |= {name: getattr(self, name) for name in present}
            elif present:
                _log.warning(
                    "Even though the %r attribute is set, it will be overwritten during initialization because "
                    "'init_params' contains %r",
                    present[0],
                    letter,
                )
        return known

    # -------------------------------------------------------------------------------------------- the parameters

    def _belief(self) -> Belief:
        """What is believed at present, checked: it may have been assigned by hand."""
        K = check_integer("n_components", self.n_components, 1)
        return Belief(
            self._present_rows("startprob", (K,)), self._present_rows("transmat", (K, K)), self._emission_belief()
        )

    def _keep(self, belief: Belief) -> None:
        self.startprob_prior_, self.startprob_posterior_ = (rows[0] for rows in belief.startprob)
        self.transmat_prior_, self.transmat_posterior_ = belief.transmat
        self._keep_emission(belief.emission)

    def _law(self) -> Law:
        check_choice("implementation", self.implementation, ("log", "scaling"))
        belief = self._belief()
        return Law(belief.startprob.mean()[0], belief.transmat.mean(), belief.emission.point_estimate())

    @property
    def startprob_(self) -> Floats:
        """Mean of the posterior, shape (n_components,); assigning to it keeps what the posterior counts."""
        mean: Floats = self._present_rows("startprob", (self.n_components,)).mean()[0]
        return mean

    @startprob_.setter
    def startprob_(self, value: Any) -> None:
        self._assign_mean("startprob", value, (self.n_components,))

    @property
    def transmat_(self) -> Floats:
        """Mean of the posterior, shape (n_components, n_components); assigning keeps what the posterior counts."""
        return self._present_rows("transmat", (self.n_components, self.n_components)).mean()

    @transmat_.setter
    def transmat_(self, value: Any) -> None:
        self._assign_mean("transmat", value, (self.n_components, self.n_components))

    def _assign_mean(self, name: str, value: Any, shape: tuple[int, ...]) -> None:
        """Believe laws as strongly as before, or as one observation; what is 0 is impossible from now on."""
        if len(shape) == 1:
            law = check_law(f"{name}_", value, shape[0])
        else:
            law = check_stochastic_matrix(f"{name}_", value, shape=shape)
        before, prior = (vars(self).get(f"{name}_{part}_") for part in ("posterior", "prior"))
        if prior is not None and np.shape(prior) != law.shape:
            raise ValueError(f"{name}_ has shape {law.shape}, expected {np.shape(prior)}, that of {name}_prior_")
        count = 1.0 if before is None else np.sum(before, axis=-1, keepdims=True)
        setattr(self, f"{name}_posterior_", law * count)
        if prior is not None:
            setattr(self, f"{name}_prior_", np.where(law > 0, prior, 0.0))

    @property
    def emission_(self) -> Any:
        """The emission with its point estimates."""
        return self._emission_belief().point_estimate()

    @property
    def n_features(self) -> int | None:
        """How many features, or symbols, there are: as it was set, or as the beliefs have it."""
        given: int | None = vars(self).get("n_features")
        if given is None:
            first = f"{list(self._names.values())[2][0]}_posterior_"
            if first in vars(self):
                return int(np.shape(vars(self)[first])[-1])
            if "n_features" not in self._parameters():
                self._require(first)
        return given

    @n_features.setter
    def n_features(self, n_features: int | None) -> None:
        vars(self)["n_features"] = n_features

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the constructor by name, as they were given."""
        return super().get_params(deep) | {name: vars(self)[name] for name in self._parameters()}

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Array, Ints]:
        """Draw a sequence of observations, (n_samples, n_features), and its states, (n_samples,); see `HMM.sample`."""
        drawn, states = super().sample(n_samples, random_state, currstate)
        return (drawn[:, None] if drawn.ndim == 1 else drawn), states

    def _reorder(self, law: Law, order: Ints) -> Self:  # noqa: ARG002  # the beliefs have more to say than the law
        belief = self._belief()
        emission = copy.copy(belief.emission)
        emission.reorder(order)
        self._keep(
            Belief(
                Dirichlet(*(rows[:, order] for rows in belief.startprob)),
                Dirichlet(*(np.ascontiguousarray(rows[order][:, order]) for rows in belief.transmat)),
                emission,
            )
        )
        return self

    # ------------------------------------------------------------------------------------------------ in and out

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        header, arrays = to_archive(self, self._law(), None)
        kept = {name: np.asarray(value) for name, value in vars(self).items() if name in self._kept()}
        return header, arrays | {f"belief {name}": value for name, value in kept.items()}

    @classmethod
    def _from_archive(cls, archive: Archive) -> Self:
        params, law, _ = from_archive(archive)
        model = cls(**params)
        for name in model._kept():
            if f"belief {name}" in archive.arrays:
                value = archive.arrays[f"belief {name}"]
                setattr(model, name, value if value.ndim else float(value))
        found = model._law()
        if not all(np.array_equal(a, b) for a, b in zip(law[:2], found[:2], strict=True)):
            raise ValueError("startprob and transmat are not the means of what is believed")
        return model

    def _kept(self) -> set[str]:
        """Names of the attributes that hold what was learnt."""
        return {"symbols_"}.union(*self._attributes().values())


def as_shape(name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    """A constructor's argument, a number or an array, as an array of its own of a shape."""
    given = np.asarray(value, np.float64)
    try:
        return np.array(np.broadcast_to(given, shape))
    except ValueError:
        raise ValueError(f"{name} has shape {given.shape}, expected a number or shape {shape}") from None
