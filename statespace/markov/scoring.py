"""Log-likelihoods of sequences under a chain.

A step is scored where its word of M + 1 symbols is complete, and, where the chain says how sequences start, in the
first M steps as long as nothing is missing:

    log p(x_n | x_1..x_{n-1}) = log sum_{rest} pi(x_1..x_n, rest) - log sum_{rest} pi(x_1..x_{n-1}, rest)
"""

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.foundations.sequences import SymbolSequences
from statespace.markov.prediction import ChainLaw, all_contexts
from statespace.markov.smoothing import MatrixLaw
from statespace.markov.start import StartLaw
from statespace.markov.tables import DenseCounts, count_table
from statespace.protocols import Floats, Ints


@kernel
def log_words(x: Ints, offsets: Ints, n_symbols: int, order: int, log_table: Floats, steps: Floats) -> None:
    """The entry of `log_table` for the word that ends at each step; NaN where the word is incomplete."""
    n_contexts = 1
    for _ in range(order):
        n_contexts *= n_symbols
    for s in range(offsets.size - 1):
        known = 0
        context = 0
        for t in range(offsets[s], offsets[s + 1]):
            if x[t] < 0:
                steps[t] = np.nan
                known = 0
                context = 0
                continue
            word = context * n_symbols + x[t]
            if known >= order:
                steps[t] = log_table[word]
                context = word - x[t - order] * n_contexts
            else:
                steps[t] = np.nan
                context = word
            known += 1


def log_likelihood_steps(law: ChainLaw, sequences: SymbolSequences, start: StartLaw | None) -> Floats:
    """Log p(x_n | x_1..x_{n-1}) of every step, NaN where not scored, shape (n_samples,)."""
    steps = np.empty(len(sequences.codes))
    if isinstance(law.transition, MatrixLaw):
        log_words(
            sequences.codes, sequences.offsets, law.n_symbols, law.order, law.transition.log_rows.reshape(-1), steps
        )
    else:
        after = sequences.offsets[1:] + np.arange(sequences.n_sequences)
        contexts = np.delete(all_contexts(law, sequences), after)
        scored = (contexts >= 0) & (sequences.codes >= 0)
        words = np.where(scored, contexts * law.n_symbols + sequences.codes, 0)
        with np.errstate(divide="ignore"):
            steps = np.where(scored, np.log(law.transition.of_words(words)), np.nan)
    if start is not None and law.order:
        rows, places = _start_steps(law, sequences, start)
        steps[places] = rows
    return steps


def total_log_likelihood(law: ChainLaw, sequences: SymbolSequences, start: StartLaw | None) -> float:
    """The sum of all scored steps; every word is looked up once, however often it occurs."""
    table = count_table(sequences, law.order)
    if isinstance(table, DenseCounts) and isinstance(law.transition, MatrixLaw):
        counts, probabilities = table.counts.reshape(-1), law.transition.rows.reshape(-1)
        occurs = counts > 0
        counts, probabilities = counts[occurs], probabilities[occurs]
    else:
        counts, probabilities = table.counts, law.transition.of_words(table.words)  # type: ignore[union-attr]
    with np.errstate(divide="ignore"):
        total = float(counts @ np.log(probabilities))
    if start is not None and law.order:
        total += float(_start_steps(law, sequences, start)[0].sum())
    return total


def _start_steps(law: ChainLaw, sequences: SymbolSequences, start: StartLaw) -> tuple[Floats, Ints]:
    """Log-likelihoods of the first M steps of each sequence, up to its first gap, and where they stand."""
    n_symbols, order = law.n_symbols, law.order
    table = np.zeros(n_symbols**order)
    table[start.contexts] = start.law
    lengths = np.diff(sequences.offsets)
    known = np.ones(sequences.n_sequences, np.bool_)
    prefix = np.zeros(sequences.n_sequences, np.int64)
    before = np.ones(sequences.n_sequences)
    values, places = [], []
    for j in range(order):
        at = np.minimum(sequences.offsets[:-1] + j, len(sequences.codes) - 1)
        known &= (lengths > j) & (sequences.codes[at] >= 0)
        prefix = np.where(known, prefix * n_symbols + sequences.codes[at], 0)
        marginal = table.reshape(n_symbols ** (j + 1), -1).sum(axis=1)[prefix]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(before > 0, np.log(marginal / before), -np.inf)
        values.append(ratio[known])
        places.append(at[known])
        before = marginal
    return np.concatenate(values), np.concatenate(places)
