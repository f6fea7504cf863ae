"""Markov chains of any order: the next symbol depends on the last M.

    p(x_1, ..., x_N) = p(x_1, ..., x_M) prod_{n > M} p(x_n | x_{n-M}, ..., x_{n-1})

Order 0 is the i.i.d. model. Bishop (2006), section 13.1.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

import numpy as np

from statespace.foundations.archive import Archive
from statespace.foundations.calendar import steps_after
from statespace.foundations.contexts import check_codes_fit, decode_contexts
from statespace.foundations.estimator import NotFittedError, unchanged_on_failure
from statespace.foundations.parameter_count import count_parameters
from statespace.foundations.predictive import Interval, PredictiveLaw
from statespace.foundations.probability import generator
from statespace.foundations.sequence_model import SequenceModel
from statespace.foundations.sequences import SymbolSequences, by_step, check_symbols, read_symbols
from statespace.foundations.stochastic_matrix import check_law, check_stochastic_matrix
from statespace.foundations.symbols import is_frame_like
from statespace.foundations.validation import check_choice, check_integer, check_positive, check_sample_weight
from statespace.markov.chain_structure import ChainStructure
from statespace.markov.prediction import ChainLaw, all_contexts, forecast_laws, predict_next
from statespace.markov.sampling import draw_start, sample_path
from statespace.markov.scoring import log_likelihood_steps, total_log_likelihood
from statespace.markov.smoothing import SMOOTHINGS, MatrixLaw, TransitionLaw, estimate
from statespace.markov.start import INITIALS, StartLaw, fit_start
from statespace.markov.tables import DenseCounts, SparseCounts, Tables, count_table, is_dense
from statespace.protocols import Array, Floats


class MarkovChain(ChainStructure, SequenceModel):
    """A Markov chain of order M on K symbols.

    Parameters
    ----------
    order : int
        How many symbols of the past matter, M; 0 is the i.i.d. model.
    smoothing : {None, "laplace", "dirichlet", "jeffreys", "witten-bell"}
        None: relative frequencies, the maximum-likelihood estimate; a context that never occurred has the uniform law.
        "laplace" and "dirichlet" add `alpha` to every count, "jeffreys" 1/2; "witten-bell" backs off to shorter
        contexts.
    alpha : float
        What "laplace" and "dirichlet" add.
    initial : {"conditional", "free", "stationary"}
        What is said of the first M symbols of a sequence. "conditional": nothing, they are not scored. "free": a law of
        its own, estimated from the starts of the sequences. "stationary": the chain's stationary law; with no smoothing
        the transitions then maximise the likelihood with these starts included.

    Attributes
    ----------
    symbols_ : (n_symbols,)
        The alphabet.
    transmat_ : (n_symbols,) * order + (n_symbols,)
        p(x_n | x_{n-M}, ..., x_{n-1}), the last axis x_n. Where K^(M+1) passes 2^22: (n_contexts, n_symbols), a row for
        each of `contexts_`, the contexts that occurred.
    counts_ : the shape of transmat_
        How often each symbol followed each context; weighted where `sample_weight` was given.
    initial_ : (n_symbols,) * order, or (n_contexts,)
        Law of the first M symbols; where `initial="conditional"`, the frequencies of the contexts, from which `sample`
        starts and `predictive` sums over what it does not know.

    Notes
    -----
    The chain has K^M (K - 1) free parameters, K^(M+1) - 1 with a free initial law. (The lecture, and the textbook it
    follows, print K^(M-1) (K - 1), which contradicts their own K (K - 1) at M = 1.)

    Examples
    --------
    >>> chain = MarkovChain().fit(["dry", "wet", "wet", "dry", "dry", "dry", "wet"])
    >>> chain.transmat_.tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    >>> chain.n_parameters
    2

    """

    support = "categories"

    def __init__(
        self, order: int = 1, *, smoothing: str | None = None, alpha: float = 1.0, initial: str = "conditional"
    ) -> None:
        self.order = order
        self.smoothing = smoothing
        self.alpha = alpha
        self.initial = initial

    # ------------------------------------------------------------------------------------------------- learning

    @unchanged_on_failure
    def fit(self, X: Any, lengths: Any = None, *, symbols: Any = None, sample_weight: Any = None) -> Self:
        """Estimate the transition laws from one sequence or several.

        Parameters
        ----------
        X : sequence or sequences of symbols
            One sequence, a list of sequences, or several end to end with `lengths`. Whole numbers or labels; None and
            NaN are missing, and no transition across a missing observation is counted.
        lengths : (n_sequences,), optional
            Lengths of the sequences laid end to end in `X`.
        symbols : (n_symbols,), optional
            The alphabet, where `X` may not show all of it.
        sample_weight : (n_sequences,), optional
            How much each sequence counts.

        Raises
        ------
        ValueError, TypeError
            If an argument or a symbol is not what it should be, or no run of order + 1 observations is complete.

        """
        order = check_integer("order", self.order)
        check_choice("smoothing", self.smoothing, SMOOTHINGS)
        check_choice("initial", self.initial, INITIALS)
        alpha = check_positive("alpha", self.alpha)
        sequences = read_symbols(X, lengths, symbols)
        check_codes_fit(len(sequences.symbols), order)
        weights = check_sample_weight(sample_weight, sequences.n_sequences)
        shorter = range(order) if self.smoothing == "witten-bell" else ()
        tables = Tables(
            count_table(sequences, order, weights), tuple(count_table(sequences, m, weights) for m in shorter)
        )
        if not tables.longest.counts.any():
            raise ValueError(
                f"order {order} learns from runs of {order + 1} observations without a gap, and X has none: "
                "lower the order or pass longer sequences"
            )
        law = estimate(tables, self.smoothing, alpha)
        if isinstance(tables.longest, DenseCounts):
            law = MatrixLaw(law.of_contexts(np.arange(len(sequences.symbols) ** order)))
        elif self.initial != "conditional":
            raise ValueError(
                f"initial={self.initial!r} needs a table of all {len(sequences.symbols)}^{order + 1} words, too "
                "large: use initial='conditional' or a lower order"
            )
        added = {None: 0.0, "jeffreys": 0.5, "witten-bell": 0.0}.get(self.smoothing, alpha)
        law, start = fit_start(
            self.initial, sequences, tables.longest, law, order, weights, added if self.smoothing else None
        )
        return self._learn(sequences.symbols, order, law, start, tables)

    def _learn(self, symbols: Array, order: int, law: Any, start: StartLaw, tables: Tables | None) -> Self:
        self.symbols_ = symbols
        self._tables = tables
        self._start = start
        self._law = ChainLaw(len(symbols), order, law, start.contexts, start.law)
        self._learnt_with = self.get_params()  # set_params speaks of the next fit
        return self

    @classmethod
    def from_matrix(cls, P: Any, symbols: Any = None, *, initial: Any = "conditional") -> Self:
        """A chain with known transition laws.

        Parameters
        ----------
        P : (n_symbols,) * order + (n_symbols,)
            Transition probabilities, the last axis the next symbol; one law for order 0. A pandas frame brings its
            symbols along.
        symbols : (n_symbols,), optional
            The alphabet; 0, 1, ... without it.
        initial : {"conditional", "stationary"} or (n_symbols,) * order
            As in the class, or the law of the first `order` symbols.

        """
        if is_frame_like(P) and len(P.shape) == 2 and hasattr(P, "index"):
            if list(P.index) != list(P.columns):
                raise ValueError(
                    f"the rows of P are {list(P.index)[:6]}, its columns {list(P.columns)[:6]}: "
                    "put the same symbols in the same order on both"
                )
            symbols = list(P.columns) if symbols is None else symbols
        try:
            shape = np.shape(P)
        except ValueError:  # ragged, which the check of a matrix puts in words
            shape = ()
        transmat = check_law("P", P, shape[0]) if len(shape) == 1 else check_stochastic_matrix("P", P)
        n_symbols, order = transmat.shape[-1], transmat.ndim - 1
        alphabet = np.arange(n_symbols) if symbols is None else check_symbols(symbols)
        if len(alphabet) != n_symbols:
            raise ValueError(f"{len(alphabet)} symbols for a table of {n_symbols} columns: give one for each")
        if not is_dense(n_symbols, order):
            raise ValueError(f"P has {n_symbols}^{order + 1} entries, more than a dense table may have")
        chain = cls(order, initial=initial if isinstance(initial, str) else "free")
        if isinstance(initial, str):
            check_choice("initial", initial, ("conditional", "stationary"))
        start = StartLaw.of_matrix(transmat, initial)
        return chain._learn(alphabet, order, MatrixLaw(transmat.reshape(-1, n_symbols)), start, None)

    # ------------------------------------------------------------------------------------------- what was learnt

    def _fitted(self) -> ChainLaw:
        self._require_fitted()
        return self._law

    @property
    def n_symbols_(self) -> int:
        """K, the size of the alphabet."""
        return self._fitted().n_symbols

    def _shaped(self, rows: Array) -> Array:
        law = self._fitted()
        return rows.reshape((law.n_symbols,) * (law.order + 1)) if self._is_dense else rows

    @property
    def _is_dense(self) -> bool:
        return isinstance(self._fitted().transition, MatrixLaw)

    @property
    def transmat_(self) -> Floats:
        """Transition laws, shape (n_symbols,) * order + (n_symbols,), or (n_contexts, n_symbols) where sparse."""
        transition = self._fitted().transition
        if isinstance(transition, MatrixLaw):
            return self._shaped(transition.rows)
        return transition.of_contexts(self._counted().contexts)

    @property
    def counts_(self) -> Array:
        """Counts behind `transmat_`, the same shape."""
        table = self._counted(dense_too=True)
        return self._shaped(table.counts if isinstance(table, DenseCounts) else table.rows(table.contexts))

    @property
    def contexts_(self) -> Array:
        """The contexts that occurred, oldest symbol first, shape (n_contexts, order); only for sparse tables."""
        law = self._fitted()
        found: Array = self.symbols_[decode_contexts(self._counted().contexts, law.n_symbols, law.order)]
        return found

    def _counted(self, dense_too: bool = False) -> Any:
        self._require_fitted()
        table = None if self._tables is None else self._tables.longest
        if table is None:
            raise NotFittedError("this chain was made from a matrix: it has no counts until fit(X)")
        if isinstance(table, DenseCounts) and not dense_too:
            raise AttributeError(
                "contexts_ exists where the table is sparse; here transmat_ has a row for every context"
            )
        return table

    @property
    def initial_(self) -> Floats:
        """Law of the first `order` symbols, shape (n_symbols,) * order, or (n_contexts,) where sparse."""
        law = self._fitted()
        if not self._is_dense:
            return law.start_law
        table = np.zeros(law.n_symbols**law.order)
        table[law.start_contexts] = law.start_law
        return table.reshape((law.n_symbols,) * law.order)

    @property
    def n_parameters(self) -> int:
        """Free parameters: K^M (K - 1), K^(M+1) - 1 with a free initial law."""
        law = self._fitted()
        initial = self._learnt_with["initial"]
        return int(count_parameters("markov", n_states=law.n_symbols, order=law.order, initial=initial))

    def confidence_intervals(self, level: float = 0.95) -> Interval:
        """Jeffreys intervals of the transition probabilities, two arrays of the shape of `transmat_`."""
        from statespace.markov.intervals import transition_intervals

        return transition_intervals(self.counts_, level)

    # ------------------------------------------------------------------------------------------------ the verbs

    def log_likelihood(self, X: Any, lengths: Any = None, by: str = "total") -> Any:
        """Log-likelihood in nats.

        Parameters
        ----------
        X, lengths
            As in `fit`.
        by : {"total", "sequence", "step"}
            One number; one a sequence, shape (n_sequences,); or log p(x_n | x_1..x_{n-1}) of every step, in the form in
            which `X` came, NaN where nothing is scored: at a missing observation, where one of the last M is missing,
            and in the first M steps of a conditional chain.

        Returns
        -------
        float or array
            -inf where an observation is impossible; 0 where no step is scored.

        """
        check_choice("by", by, ("total", "sequence", "step"))
        law = self._fitted()
        sequences = self._read(X, lengths)
        start = self._start if self._learnt_with["initial"] != "conditional" else None
        if by == "total":
            return total_log_likelihood(law, sequences, start)
        steps = log_likelihood_steps(law, sequences, start)
        if by == "sequence":
            return np.add.reduceat(np.where(np.isnan(steps), 0.0, steps), sequences.offsets[:-1])
        return by_step(steps, sequences)

    def predictive(self, X: Any, lengths: Any = None) -> Any:
        """The law of every observation given those before it, and of the one after the last.

        Where the context is not fully known (the first `order` steps, and after missing observations) the law sums over
        what it may be; the start of a conditional chain is then taken to be a usual moment (`initial_`).

        Returns
        -------
        PredictiveLaw
            n_samples + 1 rows a sequence; for a list of sequences, a list of laws. Rows are NaN where a sparse chain
            could be in too many contexts to sum over.

        """
        law = self._fitted()
        sequences = self._read(X, lengths)
        laws = predict_next(law, sequences)
        shifted = sequences.offsets + np.arange(len(sequences.offsets))
        return self._laws(sequences, [laws[a:b] for a, b in pairwise(shifted.tolist())], 1)

    def forecast(self, X: Any, steps: int = 1, lengths: Any = None) -> Any:
        """The exact laws of the next observations, summed over the paths between.

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

        Raises
        ------
        ValueError
            If a sparse chain can be in too many contexts by then.

        """
        law = self._fitted()
        n_steps = check_integer("steps", steps, 1)
        sequences = self._read(X, lengths)
        contexts = all_contexts(law, sequences)
        laws = []
        for s in range(sequences.n_sequences):
            a, b = int(sequences.offsets[s]), int(sequences.offsets[s + 1])
            laws.append(forecast_laws(law, sequences.codes[a:b], contexts[a + s : b + s + 1], n_steps))
        return self._laws(sequences, laws, n_steps, ahead_only=True)

    def sample(self, n_samples: int = 1, random_state: Any = None, *, start: Any = None) -> Array:
        """Draw a sequence.

        Parameters
        ----------
        n_samples : int
            How many symbols.
        random_state : None, int, Generator or RandomState
            The same int gives the same symbols.
        start : sequence of symbols, optional
            What has been seen before, at least `order` symbols; without it the first `order` symbols are drawn from
            `initial_`.

        Returns
        -------
        array
            Symbols, shape (n_samples,).

        """
        law = self._fitted()
        n = check_integer("n_samples", n_samples)
        rng = generator(random_state)
        first = np.empty(0, np.int64)
        if start is None:
            context = draw_start(law, rng)
            first = decode_contexts(np.array([context]), law.n_symbols, law.order)[0]
        else:
            seen = self._read(start, None)
            context = int(all_contexts(law, seen)[-1])
            if context < 0 or seen.n_sequences > 1:
                raise ValueError(
                    f"start must be one sequence that ends with {law.order} known symbols, the context of a chain of "
                    f"order {law.order}"
                )
        drawn = np.empty(n, self.symbols_.dtype)
        drawn[: len(first)] = self.symbols_[first[:n]]
        sample_path(law, self.symbols_, context, drawn[len(first) :], rng)
        return drawn

    # ----------------------------------------------------------------------------------------------- in and out

    def _read(self, X: Any, lengths: Any) -> SymbolSequences:
        return read_symbols(X, lengths, self.symbols_)

    def _laws(self, sequences: SymbolSequences, laws: list[Floats], ahead: int, ahead_only: bool = False) -> Any:
        made = []
        for s, law in enumerate(laws):
            index = sequences.layout.indexes[s] if sequences.layout.form != "flat" else None
            made.append(PredictiveLaw(law, self.symbols_, index=steps_after(index, ahead, ahead_only)))
        if sequences.layout.form == "list":
            return made
        return made[0] if len(made) == 1 else PredictiveLaw(np.concatenate(laws), self.symbols_)

    def _to_archive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        law = self._fitted()
        if self.symbols_.dtype.kind == "O":
            raise TypeError(f"symbols such as {self.symbols_[0]!r} cannot be saved: use strings or numbers")
        params = {
            name: value.item() if isinstance(value, np.generic) else value for name, value in self._learnt_with.items()
        }
        header = {"params": params, "order": law.order, "counted": self._tables is not None}
        arrays = {"symbols": self.symbols_, "start_contexts": law.start_contexts, "start_law": law.start_law}
        if isinstance(law.transition, MatrixLaw):
            arrays["rows"] = law.transition.rows
        for table in () if self._tables is None else (*self._tables.shorter, self._tables.longest):
            if isinstance(table, SparseCounts):
                arrays[f"words_{table.order}"] = table.words
            arrays[f"counts_{table.order}"] = table.counts
        return header, arrays

    @classmethod
    def _from_archive(cls, archive: Archive) -> Self:
        header, arrays = archive.header, archive.arrays
        chain = cls(**header["params"])
        symbols, order = arrays["symbols"], header["order"]

        def table(m: int) -> DenseCounts | SparseCounts:
            if f"words_{m}" in arrays:
                return SparseCounts(arrays[f"words_{m}"], arrays[f"counts_{m}"], len(symbols), m)
            return DenseCounts(arrays[f"counts_{m}"], len(symbols), m)

        tables = None
        if header["counted"]:
            tables = Tables(table(order), tuple(table(m) for m in range(order) if f"counts_{m}" in arrays))
        law: TransitionLaw
        if "rows" in arrays:
            law = MatrixLaw(arrays["rows"])
        elif tables is not None:
            law = estimate(tables, chain.smoothing, chain.alpha)
        else:
            raise ValueError("neither a table of laws nor counts")
        return chain._learn(symbols, order, law, StartLaw(arrays["start_contexts"], arrays["start_law"]), tables)
