"""Recurrent networks beside torch, one thread each."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.comparison import COMPARED, Call, Peer, compare
from benchmarks.report import Table, duration, verdict
from benchmarks.timing import one_core
from statespace.neural import RecurrentNetwork

# (batch, steps, inputs, hidden); the bars of each cell, forward and with all weight gradients, float32 and float64:
# 0.9 of the ratio of the best prototype, at least 1
_SHAPES = [(1, 1000, 8, 16), (32, 100, 16, 32), (32, 100, 64, 128), (64, 100, 128, 256), (16, 50, 256, 512)]
_MEASURED = {
    "float32": {
        "rnn": [(37, 122), (4.4, 6.8), (1.46, 1.83), (1.17, 1.22), (0.94, 1.25)],
        "lstm": [(2.7, 3.2), (1.64, 1.48), (1.22, 1.25), (1.09, 1.26), (1.10, 1.34)],
        "gru": [(56, 221), (2.8, 4.6), (1.33, 1.73), (1.25, 1.31), (1.01, 1.38)],
    },
    "float64": {
        "rnn": [(30, 91), (3.1, 5.4), (1.50, 1.64), (1.21, 1.34), (1.12, 1.52)],
        "lstm": [(32, 132), (2.4, 4.0), (1.23, 1.66), (1.19, 1.45), (1.15, 1.57)],
        "gru": [(42, 151), (2.5, 4.6), (1.31, 1.68), (1.23, 1.44), (1.18, 1.55)],
    },
}


def tables(quick: bool) -> Iterator[Table]:
    """Every table, as it is measured."""
    n_rounds = 1 if quick else 5
    with one_core():
        for dtype in ("float32", "float64"):
            yield whole_rows(dtype, quick, n_rounds)
        yield steps(n_rounds)
    yield threads(quick, n_rounds)


def _bar(measured: float) -> float:
    return max(0.9 * measured, 1.0)


def _torch(cell: str, shape: tuple[int, int, int, int], dtype: str) -> Any:
    import torch

    torch.set_num_threads(1)
    made = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    torch.manual_seed(0)
    return made(shape[2], shape[3], batch_first=True, dtype=getattr(torch, dtype))


def _data(shape: tuple[int, int, int, int], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    B, T, n_inputs, H = shape
    rng = np.random.default_rng(0)
    return rng.normal(size=(B, T, n_inputs)).astype(dtype), rng.normal(size=(B, T, H)).astype(dtype)


def _network(cell: str, shape: tuple[int, int, int, int], dtype: str) -> RecurrentNetwork:
    reset = "after" if cell == "gru" else "before"
    return RecurrentNetwork(cell, shape[2], shape[3], reset=reset, dtype=dtype, random_state=0)


def whole_rows(dtype: str, quick: bool, n_rounds: int) -> Table:
    """Outputs alone, and with the derivatives by all weights."""
    table = Table(
        f"{dtype}: (batch, steps, inputs, hidden)",
        COMPARED,
        '"fwd" are the outputs, `net(X)`; "fb" the outputs and the derivatives by all weights, '
        "`net.trace(X).gradient_vector(grad)`. The GRU has torch's reset, after the product.",
    )
    for number, shape in enumerate(_SHAPES):
        if quick:
            shape = (min(shape[0], 4), 10, *shape[2:])
        X, grad = _data(shape, dtype)
        for cell, measured in _MEASURED[dtype].items():
            net = _network(cell, shape, dtype)
            forward, both = (_bar(ratio) for ratio in measured[number])
            case = f"{cell} {', '.join(map(str, shape))}"
            peer = Peer("torch", partial(_torch_forward, cell, shape, dtype, X), forward, f"{forward:.3g}")
            compare(table, f"{case} fwd", partial(net, X), [peer], n_rounds)
            peer = Peer("torch", partial(_torch_both, cell, shape, dtype, X, grad), both, f"{both:.3g}")

            def ours(net=net, X=X, grad=grad) -> None:
                net.trace(X).gradient_vector(grad)

            compare(table, f"{case} fb", ours, [peer], n_rounds)
    return table


def _torch_forward(cell: str, shape: tuple[int, int, int, int], dtype: str, X: np.ndarray) -> Call:
    import torch

    model, x = _torch(cell, shape, dtype), torch.from_numpy(X)

    def run() -> Any:
        with torch.no_grad():
            return model(x)

    return run


def _torch_both(cell: str, shape: tuple[int, int, int, int], dtype: str, X: np.ndarray, grad: np.ndarray) -> Call:
    import torch

    model, x, by = _torch(cell, shape, dtype), torch.from_numpy(X), torch.from_numpy(grad)

    def run() -> None:
        model.zero_grad()
        model(x)[0].backward(by)

    return run


def steps(n_rounds: int) -> Table:
    """One step of a stream."""
    table = Table(
        "One step of a stream: batch 1, 32 inputs, 32 hidden, float32", COMPARED, "Ours with all checks: `net.step`."
    )
    x = np.random.default_rng(0).normal(size=32).astype(np.float32)
    for cell in ("rnn", "lstm", "gru"):
        net = _network(cell, (1, 1, 32, 32), "float32")
        _, state = net.step(x)
        compare(
            table, cell, partial(net.step, x, state), [Peer("torch", partial(_torch_cell, cell, x), 5.0, "5")], n_rounds
        )
    return table


def _torch_cell(cell: str, x: np.ndarray) -> Call:
    import torch

    torch.set_num_threads(1)
    model = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}[cell](32, 32)
    given, h = torch.from_numpy(x)[None], torch.zeros(1, 32)
    state = (h, h) if cell == "lstm" else h

    def run() -> Any:
        with torch.no_grad():
            return model(given, state)

    return run


def threads(quick: bool, n_rounds: int) -> Table:
    """The same on one core and on two, by the clock."""
    table = Table(
        "Two threads, by the clock",
        ("case", "one core", "two cores", "gain", "bar", "holds"),
        "lstm, outputs and derivatives, float32; a piece of 32 rows is one thread's.",
    )
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        return table
    for shape in ((64, 20, 64, 128), (64, 100, 128, 256)):
        if quick:
            shape = (64, 5, 16, 32)
        X, grad = _data(shape, "float32")
        net = _network("lstm", shape, "float32")

        def call(net=net, X=X, grad=grad) -> float:
            began = time.perf_counter()
            net.trace(X).gradient_vector(grad)
            return time.perf_counter() - began

        call()
        alone, both = [], []
        for _ in range(max(n_rounds, 2)):
            with one_core():
                alone.append(call())
            both.append(call())
        one, two = float(np.median(alone)), float(np.median(both))
        gain = one / two
        table.add(", ".join(map(str, shape)), duration(one), duration(two), f"{gain:.3g}", "1.5", verdict(gain >= 1.5))
    return table
