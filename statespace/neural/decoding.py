r"""From a source to a target: the most probable symbol each time, the best of a beam, or draws.

A beam keeps the `beam` most probable beginnings of each source,

    log p(y_1..y_t | x) = \sum_u log p(y_u | y_1..y_{u-1}, x)

and goes on until no beginning is as probable as the best target that has ended: what is added is never above 0. A
target that is as long as may be ends there, and that it does is counted. A beam of 1 is the most probable symbol each
time; one as wide as there are beginnings and ends of a length finds the most probable of all targets that are no
longer; between these a wider one often finds a better target, and sometimes a worse one.

Graves (2012), "Sequence transduction with recurrent neural networks"; Sutskever, Vinyals and Le (2014).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from statespace.foundations.distributions import categorical_probabilities
from statespace.foundations.probability import draw_columns
from statespace.neural.encoder import Batch, rows_of_state
from statespace.neural.own_history import OwnHistory
from statespace.neural.teacher_forcing import EncoderDecoder, batch_of, chunks
from statespace.neural.trace import NetworkState
from statespace.protocols import Array, Floats, Ints

_ROWS = 256  # beginnings that are run side by side

_Choice = Callable[[Floats], Ints]


class _Writer:
    """Sources that were read, and steps of the decoder."""

    def __init__(self, model: EncoderDecoder, sources: Batch) -> None:
        self._model = model
        run = model.encoder.run(sources)
        self.begun = model.begun(run)
        self._memory = None if model.attention is None else model.attention.remember(run.outputs, sources.lengths)
        self.mark = model.head.law.n_scores - 1
        """The code of begin and end."""

    def step(self, codes: Ints, state: NetworkState, which: Ints) -> tuple[Floats, NetworkState]:
        """Scores of what follows, (n, n_symbols + 1), after codes (n,) that were written for the sources `which`."""
        model, n = self._model, len(codes)
        x = model.decoder.inputs(Batch(np.ones(n, np.int64), codes[:, None, None]))[:, 0]
        outputs, state = model.decoder.network.step(x, state)
        if model.attention is not None:
            assert self._memory is not None
            ones = np.ones(n, np.int64)
            outputs = model.attention.run(outputs[:, None], ones, self._memory, which).outputs[:, 0]
        return model.head.scores(outputs).astype(np.float64), state


def greedy(model: EncoderDecoder, sources: OwnHistory, max_length: int) -> list[Ints]:
    """Codes of a target for each source, the most probable symbol each time."""
    return _one_by_one(model, sources, max_length, lambda scores: scores.argmax(axis=1))


def draw(
    model: EncoderDecoder, sources: OwnHistory, max_length: int, rng: np.random.Generator, temperature: float
) -> list[Ints]:
    """Codes of a target for each source, drawn."""
    return _one_by_one(
        model, sources, max_length, lambda scores: draw_columns(categorical_probabilities(scores, temperature), rng)
    )


def _one_by_one(model: EncoderDecoder, sources: OwnHistory, max_length: int, choose: _Choice) -> list[Ints]:
    lengths = np.diff(sources.sequences.offsets)
    found: list[Ints] = [np.empty(0, np.int64)] * len(lengths)
    for places in chunks(lengths):
        writer = _Writer(model, batch_of(sources, places))
        alive, state = np.arange(len(places)), writer.begun
        codes: Ints = np.full(len(places), writer.mark)
        text: Ints = np.empty((len(places), max_length), np.int64)
        ends: Ints = np.full(len(places), max_length)
        for t in range(max_length):
            scores, state = writer.step(codes, state, alive)
            codes = np.asarray(choose(scores), np.int64)
            goes_on = codes != writer.mark
            ends[alive[~goes_on]] = t
            alive, codes, state = alive[goes_on], codes[goes_on], rows_of_state(state, goes_on)
            if not len(alive):
                break
            text[alive, t] = codes
        for place, row, end in zip(places, text, ends, strict=True):
            found[place] = row[:end].copy()
    return found


def beam_search(model: EncoderDecoder, sources: OwnHistory, max_length: int, beam: int) -> list[Ints]:
    """Codes of the most probable target that a beam finds, for each source."""
    lengths = np.diff(sources.sequences.offsets)
    found: list[Ints] = [np.empty(0, np.int64)] * len(lengths)
    for places in chunks(lengths, max(_ROWS // beam, 1)):
        writer = _Writer(model, batch_of(sources, places))
        for place, codes in zip(places, _best(writer, len(places), max_length, beam), strict=True):
            found[place] = codes
    return found


def _best(writer: _Writer, n: int, max_length: int, beam: int) -> list[Ints]:
    """The best target of each of n sources; beginnings (m,) are ordered by source, and of each by their probability."""
    best, log_best = [np.empty(0, np.int64)] * n, np.full(n, -np.inf)
    which, logs, state = np.arange(n), np.zeros(n), writer.begun
    text: Ints = np.empty((n, 0), np.int64)
    codes: Ints = np.full(n, writer.mark)
    for t in range(max_length + 1):
        scores, state = writer.step(codes, state, which)
        totals = logs[:, None] + _log_softmax(scores)
        if t == max_length:
            totals[:, : writer.mark] = -np.inf
        parents, codes, logs, rank = _most_probable(which, totals, beam)
        ended = codes == writer.mark
        for i in np.flatnonzero(ended & (rank < beam)):
            source = which[parents[i]]
            if logs[i] > log_best[source]:
                best[source], log_best[source] = text[parents[i]].copy(), logs[i]
        # Of what goes on, the first `beam` of each source; of none whose best target is more probable already
        on = ~ended
        on &= np.isfinite(logs)
        parents, codes, logs = parents[on], codes[on], logs[on]
        hopeful = _places(which[parents]) < beam
        hopeful &= _most_of(which[parents], logs, n)[which[parents]] > log_best[which[parents]]
        parents, codes, logs = parents[hopeful], codes[hopeful], logs[hopeful]
        if not len(codes):
            break
        text = np.concatenate([text[parents], codes[:, None]], axis=1)
        which, state = which[parents], rows_of_state(state, parents)
    return best


def _most_probable(which: Ints, totals: Floats, beam: int) -> tuple[Ints, Ints, Floats, Ints]:
    """The 2 beam first continuations of each source: of which beginning, with what, how probable, and their rank.

    Of each source there are at most `beam` ends among them, so that `beam` others are, where there are so many.
    """
    K = totals.shape[1]
    flat = totals.reshape(-1)
    of_source = np.repeat(which, K)
    order = np.lexsort((-flat, of_source))  # stable: of equals the first
    rank = _places(of_source[order])
    chosen = order[rank < 2 * beam]
    return chosen // K, chosen % K, flat[chosen], rank[rank < 2 * beam]


def _places(groups: Ints) -> Ints:
    """The place of each in its group, of groups in order."""
    firsts = np.searchsorted(groups, groups)
    return np.arange(len(groups)) - firsts


def _most_of(groups: Ints, values: Floats, n: int) -> Floats:
    """The largest value of each of n groups."""
    found = np.full(n, -np.inf)
    np.maximum.at(found, groups, values)
    return found


def _log_softmax(scores: Floats) -> Floats:
    shifted: Array = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
