"""Markov chains beside NumPy, pandas, PyDTMC and QuantEcon."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from benchmarks.comparison import COMPARED, Call, Peer, compare
from benchmarks.report import Table, duration, verdict
from benchmarks.timing import (
    Timing,
    median_ratio,
    median_seconds,
    median_wall,
    n_cores,
    on_one_core,
    one_core,
    peak_bytes,
    take_turns,
    timed,
    timed_child,
)
from statespace import MarkovChain

_LIMITED = ("what", "CPU", "by the clock", "limit", "holds")
_SLOW = 20_000  # symbols for peers that walk in Python, microseconds a symbol


def tables(quick: bool) -> Iterator[Table]:
    """Every table, as it is measured."""
    n, n_rounds = (20_000, 2) if quick else (10_000_000, 7)
    with one_core():
        yield counting(n, n_rounds)
        yield other_counting(n // 10, n_rounds)
        yield scoring(n // 10, n_rounds)
        yield sampling(n, n_rounds)
    yield threads(n, n_rounds)
    yield memory(n // 10)
    yield starting(quick)
    yield first_answers(quick)


# ------------------------------------------------------------------------------------------------ inside one process


def counting(n: int, n_rounds: int) -> Table:
    """Order 1 on one long sequence of integers, K symbols."""
    table = Table(
        f"Counting: MarkovChain().fit(x), order 1, {n:,} symbols, int64",
        COMPARED,
        "A read pass only adds the symbols up; its bar is 3 such passes for K = 2 and 9 for more symbols.",
    )
    for K in (2, 3, 8, 32, 128):
        x = np.random.default_rng(K).integers(0, K, n)
        _count_beside_peers(table, f"K = {K}", x, K, n_rounds)
    chain = MarkovChain.from_matrix(np.full((3, 3), 0.01) + 0.97 * np.eye(3))
    _count_beside_peers(table, "K = 3, long runs", chain.sample(n, 0), 3, n_rounds)
    return table


def _count_beside_peers(table: Table, case: str, x: np.ndarray, K: int, n_rounds: int) -> None:
    passes = 3 if K == 2 else 9

    def pandas_groupby() -> Call:
        import pandas as pd

        return lambda: pd.DataFrame({"a": x[:-1], "b": x[1:]}).groupby(["a", "b"]).size()

    def pandas_crosstab() -> Call:
        import pandas as pd

        part = x[: len(x) // 10]
        return lambda: pd.crosstab(part[:-1], part[1:])

    def quantecon() -> Call:
        from quantecon.markov import estimate_mc

        return lambda: estimate_mc(x)

    def pydtmc() -> Call:
        from pydtmc import MarkovChain as PyDTMC

        names, walk = list(map(str, range(K))), list(map(str, x[:_SLOW].tolist()))
        return lambda: PyDTMC.fit_sequence("mle", names, walk)

    peers = [
        Peer("read pass, x.sum()", lambda: x.sum, 1 / passes, f"1/{passes}"),
        Peer("read pass, numba", lambda: lambda: _add_up(x), 1 / passes, f"1/{passes}"),
        Peer("numpy.bincount", lambda: lambda: np.bincount(x[:-1] * K + x[1:], minlength=K * K), 2.0, "2"),
        Peer("pandas groupby", pandas_groupby, 10.0, "10"),
        Peer("pandas crosstab", pandas_crosstab, scale=10.0),
        Peer("QuantEcon", quantecon),
    ]
    if K in (2, 8):
        peers.append(Peer("PyDTMC", pydtmc, scale=len(x) / min(_SLOW, len(x))))
    compare(table, case, lambda: MarkovChain().fit(x), peers, n_rounds)


def other_counting(n: int, n_rounds: int) -> Table:
    """A longer memory, many sequences, labels."""
    table = Table(f"Counting: order 2, short sequences, labels, {n:,} symbols", COMPARED)
    for K in (2, 8):
        x = np.random.default_rng(K).integers(0, K, n)
        compare(table, f"order 2, K = {K}", lambda x=x: MarkovChain(2).fit(x), _order_two_peers(x, K), n_rounds)

    length = 50
    flat = np.random.default_rng(5).integers(0, 8, max(n // 10 // length, 2) * length)
    sequences = list(flat.reshape(-1, length))
    lengths = [length] * len(sequences)
    shape = f"{len(sequences)} sequences of {length}, K = 8"
    short = _short_sequence_peers(flat, sequences, length)
    compare(table, f"{shape}, a list", lambda: MarkovChain().fit(sequences), short, n_rounds)
    compare(table, f"{shape}, end to end", lambda: MarkovChain().fit(flat, lengths), short, n_rounds)

    few = flat[:100]
    pairs = Peer("numpy.bincount", lambda: lambda: np.bincount(few[:-1] * 8 + few[1:], minlength=64))
    compare(table, "a single sequence of 100, K = 8", lambda: MarkovChain().fit(few), [pairs], 20 * n_rounds)

    labels = np.array(["dry", "drizzle", "rain", "snow"])[np.random.default_rng(4).integers(0, 4, n)]
    listed = labels.tolist()
    compare(table, "4 labels, an array", lambda: MarkovChain().fit(labels), _label_peers(labels), n_rounds)
    compare(table, "4 labels, a list", lambda: MarkovChain().fit(listed), _label_peers(listed), n_rounds)
    return table


def _order_two_peers(x: np.ndarray, K: int) -> list[Peer]:
    def pandas_groupby() -> Call:
        import pandas as pd

        return lambda: pd.DataFrame({"a": x[:-2], "b": x[1:-1], "c": x[2:]}).groupby(["a", "b", "c"]).size()

    return [
        Peer("read pass, numba", lambda: lambda: _add_up(x)),
        Peer("numpy.bincount", lambda: lambda: np.bincount((x[:-2] * K + x[1:-1]) * K + x[2:], minlength=K**3)),
        Peer("pandas groupby", pandas_groupby),
    ]


def _short_sequence_peers(flat: np.ndarray, sequences: list[np.ndarray], length: int) -> list[Peer]:
    def one_by_one() -> np.ndarray:
        return np.sum([np.bincount(x[:-1] * 8 + x[1:], minlength=64) for x in sequences], axis=0)

    def masked() -> np.ndarray:
        inside = np.ones(len(flat) - 1, np.bool_)
        inside[length - 1 :: length] = False
        return np.bincount((flat[:-1] * 8 + flat[1:])[inside], minlength=64)

    def pandas_groupby() -> Call:
        import pandas as pd

        frame = pd.DataFrame({"sequence": np.repeat(np.arange(len(sequences)), length), "a": flat})
        return lambda: frame.assign(b=frame.groupby("sequence")["a"].shift(-1)).groupby(["a", "b"]).size()

    return [
        Peer("numpy.bincount, one by one", lambda: one_by_one),
        Peer("numpy.bincount, end to end", lambda: masked),
        Peer("pandas groupby", pandas_groupby),
    ]


def _label_peers(labels: Any) -> list[Peer]:
    def numpy_unique() -> np.ndarray:
        _, codes = np.unique(labels, return_inverse=True)
        return np.bincount(codes[:-1] * 4 + codes[1:], minlength=16)

    def pandas_factorize() -> Call:
        import pandas as pd

        def count() -> np.ndarray:
            codes, _ = pd.factorize(np.asarray(labels, dtype=object))
            return np.bincount(codes[:-1] * 4 + codes[1:], minlength=16)

        return count

    return [
        Peer("numpy.unique, bincount", lambda: numpy_unique),
        Peer("pandas.factorize, bincount", pandas_factorize),
    ]


def scoring(n: int, n_rounds: int) -> Table:
    """Log-likelihoods and predictive laws of a fitted chain."""
    table = Table(f"Scoring and prediction, order 1, {n:,} symbols", COMPARED)
    for K in (2, 8):
        x = np.random.default_rng(K).integers(0, K, n)
        chain = MarkovChain().fit(x)
        P = chain.transmat_

        def log_steps(x: np.ndarray = x, P: np.ndarray = P) -> np.ndarray:
            return np.log(P)[x[:-1], x[1:]]

        total = Peer("numpy, log P[x, x'].sum()", lambda f=log_steps: lambda: f().sum())
        steps = Peer("numpy, log P[x, x']", lambda f=log_steps: f)
        laws = Peer("numpy, P[x]", lambda x=x, P=P: lambda: P[x])
        compare(table, f"score, K = {K}", lambda c=chain, x=x: c.score(x), [total], n_rounds)
        by_step = "log_likelihood by step"
        compare(table, f"{by_step}, K = {K}", lambda c=chain, x=x: c.log_likelihood(x, by="step"), [steps], n_rounds)
        compare(table, f"predictive, K = {K}", lambda c=chain, x=x: c.predictive(x), [laws], n_rounds)
    return table


def sampling(n: int, n_rounds: int) -> Table:
    """Draws of a chain, with the limit for two symbols."""
    table = Table(
        f"Sampling: chain.sample({n:,}), order 1",
        COMPARED,
        "For K = 2 the bar is 20 million symbols a second.",
    )
    for K in (2, 8, 32):
        P = np.random.default_rng(K).dirichlet(np.ones(K), size=K)
        chain = MarkovChain.from_matrix(P)

        def quantecon(P: np.ndarray = P) -> Call:
            from quantecon import MarkovChain as QuantEcon

            return lambda: QuantEcon(P).simulate(n, random_state=0)

        def pydtmc(P: np.ndarray = P) -> Call:
            from pydtmc import MarkovChain as PyDTMC

            walker = PyDTMC(P)
            return lambda: walker.simulate(_SLOW // 10, seed=0, output_indices=True)

        uniforms = Peer("numpy, rng.random(n) alone", lambda: lambda: np.random.default_rng(0).random(n))
        peers = [uniforms, Peer("QuantEcon", quantecon), Peer("PyDTMC", pydtmc, scale=n / (_SLOW // 10))]
        ours = compare(table, f"K = {K}", lambda c=chain: c.sample(n, 0), peers, n_rounds)
        if K == 2:
            speed = n / median_seconds(ours) / 1e6
            cells = ("K = 2", duration(median_seconds(ours)), f"{speed:.0f} million symbols a second", "", "")
            table.add(*cells, "20 million", verdict(speed >= 20))
    return table


def threads(n: int, n_rounds: int) -> Table:
    """What the other cores add, by the clock, and what they cost."""
    table = Table(
        f"Threads: MarkovChain().fit(x), {n:,} symbols",
        (
            "case",
            "one core",
            f"{n_cores()} cores",
            "one / all",
            "bar",
            "holds",
            "CPU, one core",
            f"CPU, {n_cores()} cores",
        ),
        "By the clock, and so with all else that the machine did, but for the last two columns. The counting of more "
        "than two\nsymbols is shared out, the pass that finds their range is not; K = 2 is as fast as memory and stays "
        "on one thread.",
    )
    for K in (2, 8, 32):
        x = np.random.default_rng(K).integers(0, K, n)

        def fit(x: np.ndarray = x) -> Timing:
            return timed(lambda: MarkovChain().fit(x))

        timings = take_turns({"one": lambda f=fit: on_one_core(f), "all": fit}, 3 * n_rounds)
        one, every = timings["one"], timings["all"]
        gain = median_wall(one) / median_wall(every)
        cells = [f"K = {K}", duration(median_wall(one)), duration(median_wall(every)), f"{gain:.3g}", "1.7"]
        holds = verdict(gain >= 1.7) if n_cores() == 2 else ""
        table.add(*cells, holds, duration(median_seconds(one)), duration(median_seconds(every)))
    return table


def memory(n: int) -> Table:
    """What a call holds beyond the data, at most."""
    table = Table(
        f"Memory: the most that a call holds beyond the data, bytes a symbol, {n:,} symbols, K = 8",
        ("call", "bytes a symbol"),
    )
    x = np.random.default_rng(0).integers(0, 8, n)
    chain = MarkovChain().fit(x)
    with_gaps = np.where(np.random.default_rng(1).random(n) < 0.01, np.nan, x)
    small = x.astype(np.int8)
    calls: dict[str, Call] = {
        "fit, int64": lambda: MarkovChain().fit(x),
        "fit, order 2, int64": lambda: MarkovChain(2).fit(x),
        "fit, int8": lambda: MarkovChain().fit(small),
        "fit, floats with NaN": lambda: MarkovChain().fit(with_gaps),
        "score, int64": lambda: chain.score(x),
        "log_likelihood by step (8 returned)": lambda: chain.log_likelihood(x, by="step"),
        "predictive (64 returned)": lambda: chain.predictive(x),
        "sample (8 returned)": lambda: chain.sample(n, 0),
        "numpy.bincount(x[:-1] * 8 + x[1:])": lambda: np.bincount(x[:-1] * 8 + x[1:]),
    }
    for name, call in calls.items():
        call()
        table.add(name, f"{peak_bytes(call) / n:.2f}")
    return table


@njit(cache=True)
def _add_up(x: np.ndarray) -> int:
    total = 0
    for i in range(x.size):
        total += x[i]
    return total


# ------------------------------------------------------------------------------------------------ in fresh processes

_BARE = """
import numpy as np
from numba import njit

@njit(cache=True)
def add_up(x):
    total = 0
    for i in range(x.size):
        total += x[i]
    return total

add_up(np.array([0, 1, 1, 0, 1]))
"""

_FIRST_FIT = """
import numpy as np
from statespace import MarkovChain
MarkovChain().fit(np.array([0, 1, 1, 0, 1]))
"""

_COMMON_PATH = """
from statespace import MarkovChain
x = [0, 1, 1, 0, 1, 2, 0, 1]
chain = MarkovChain().fit(x)
chain.score(x)
chain.log_likelihood(x, by="step")
chain.predictive(x)
chain.forecast(x, 3)
chain.sample(10, 0)
MarkovChain(2).fit(x)
"""


def starting(quick: bool) -> Table:
    """Import and first call beside what cannot be avoided."""
    table = Table(
        "Starting: a fresh process, its start included",
        COMPARED,
        "The bar of the import is 1.5 times that of NumPy; of the first call, with kernels cached, 1.3 times that of a "
        "bare script that calls one cached kernel.",
    )
    with tempfile.TemporaryDirectory() as folder:
        bare, fit = Path(folder, "bare.py"), Path(folder, "fit.py")
        bare.write_text(_BARE, encoding="utf-8")
        fit.write_text(_FIRST_FIT, encoding="utf-8")

        def run(*arguments: str) -> Callable[[], Timing]:
            return lambda: timed_child(arguments, NUMBA_CACHE_DIR=folder)

        names = {
            "python -c pass": run("-c", "pass"),
            "import numpy": run("-c", "import numpy"),
            "import statespace": run("-c", "import statespace"),
            "from statespace import MarkovChain": run("-c", "from statespace import MarkovChain"),
            "a first fit": run(str(fit)),
            "a bare script with one kernel": run(str(bare)),
            "import numba, scipy.special": run("-c", "import numba, scipy.special"),
        }
        timings = take_turns(names, 1 if quick else 9, warm_up=not quick)
    for ours, peer, most, text in [
        ("import statespace", "import numpy", 1.5, "1/1.5"),
        ("import statespace", "python -c pass", None, ""),
        ("from statespace import MarkovChain", "import numpy", None, ""),
        ("a first fit", "a bare script with one kernel", 1.3, "1/1.3"),
        ("a first fit", "import numba, scipy.special", None, ""),
    ]:
        ratio = median_ratio(timings[peer], timings[ours])
        times = [duration(median_seconds(timings[name])) for name in (ours, peer)]
        table.add(
            ours, times[0], peer, times[1], f"{ratio:.3g}", text, "" if most is None else verdict(ratio >= 1 / most)
        )
    return table


def first_answers(quick: bool) -> Table:
    """Compiling everything for the first time, and the command line."""
    table = Table(
        "First answers: fresh processes, kernels compiled or cached",
        _LIMITED,
        "Measured once without cached kernels, then with them (median of three).",
    )
    if quick:
        table.add("skipped: takes longer than a trial", "", "", "", "")
        return table
    for what, arguments, limits in [
        ("fit, score, predictive, forecast, sample", ("-c", _COMMON_PATH), (20.0, None)),
        ("statespace rain", ("-m", "statespace", "rain"), (10.0, 3.0)),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            cold = timed_child(arguments, NUMBA_CACHE_DIR=folder)
            warm = [timed_child(arguments, NUMBA_CACHE_DIR=folder) for _ in range(3)]
        for state, timings, limit in [("nothing cached", [cold], limits[0]), ("cached", warm, limits[1])]:
            seconds = median_seconds(timings)
            cells = [f"{what}, {state}", duration(seconds), duration(median_wall(timings))]
            table.add(*cells, *("", "") if limit is None else (f"{limit:g} s", verdict(seconds <= limit)))
    return table
