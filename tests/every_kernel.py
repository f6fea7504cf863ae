"""Runs every kernel of the package as its models do, on data of every kind; `python -m tests.every_kernel OUT.npz`.

Under NUMBA_BOUNDSCHECK=1 a kernel that reads or writes outside an array stops with an IndexError.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pandas as pd
import polars as pl

import statespace
from statespace import MarkovChain, load
from statespace.markov import tables


def kernels() -> dict[str, Any]:
    """Every compiled function of the package by its full name."""
    found = {}
    for module in pkgutil.walk_packages(statespace.__path__, "statespace."):
        if module.name == "statespace.__main__":
            continue
        for value in vars(importlib.import_module(module.name)).values():
            several = value if isinstance(value, dict) else {"": value}
            for key, one in several.items():
                function = getattr(one, "py_func", None)
                if function is not None and function.__module__ == module.name:
                    found[f"{module.name}.{function.__name__}{key}"] = one
    return found


def data(K: int) -> dict[str, Any]:
    """One sequence over 0, ..., K - 1 in every container, read-only, foreign-endian and strided ones among them."""
    x = np.random.default_rng(K).integers(0, K, 400)
    frozen = x.copy()
    frozen.flags.writeable = False
    gaps = x.astype(float)
    gaps[[0, 7, 8, 399]] = np.nan
    return {
        "list": x.tolist(),
        "array": x,
        "read-only": frozen,
        "strided": np.repeat(x, 2)[::2],
        "reversed": x[::-1],
        "big-endian": x.astype(">i8"),
        "bytes": x.astype(np.uint8),
        "floats": gaps.astype(np.float32),
        "gaps": gaps,
        "masked": np.ma.array(x, mask=x == 1),
        "column": x[:, None],
        "pandas": pd.Series(x),
        "frame": pd.DataFrame({"x": x}),
        "polars": pl.Series(x),
        "labels": [f"{k:03d}" for k in x],
        "several": [x[:5], x[5:6], x[6:]],
    }


def run() -> dict[str, np.ndarray]:
    """Numbers that have passed through every kernel."""
    results: dict[str, np.ndarray] = {}
    for K in (2, 3, 20):
        for name, x in data(K).items():
            for order in (0, 1, 2):
                chain = MarkovChain(order, smoothing="witten-bell" if order == 2 else "laplace").fit(x)
                key = f"{K} {name} {order}"
                results[f"{key} counts"] = chain.counts_
                results[f"{key} score"] = np.array(chain.score(x))
                steps = chain.log_likelihood(x, by="step")
                results[f"{key} steps"] = np.concatenate(steps if isinstance(steps, list) else [steps])
                several = chain.predictive(x)
                for i, law in enumerate(several if isinstance(several, list) else [several]):
                    results[f"{key} predictive {i}"] = law.probabilities
                codes = {symbol: code for code, symbol in enumerate(chain.symbols_.tolist())}
                drawn = chain.sample(100, random_state=1)
                results[f"{key} sample"] = np.array([codes[symbol] for symbol in drawn.tolist()])
        weighted = MarkovChain(1).fit(data(K)["several"], sample_weight=[1, 0.5, 2], symbols=range(K))
        results[f"{K} weighted"] = weighted.counts_
        structure = MarkovChain(1, smoothing="laplace", initial="stationary").fit(data(K)["gaps"])
        for method in ("stationary_law", "mean_first_passage_times", "absorption_times", "absorption_probabilities"):
            results[f"{K} {method}"] = getattr(structure, method)()
        results[f"{K} hitting"] = structure.hitting_probabilities(0)
    ruin = MarkovChain.from_matrix([[1, 0, 0, 0], [0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0, 0, 0, 1]])
    for method in ("absorption_probabilities", "absorption_times", "mean_first_passage_times", "stationary_laws"):
        results[f"ruin {method}"] = getattr(ruin, method)()
    results["ruin hitting"] = ruin.hitting_probabilities(0)
    with tempfile.TemporaryDirectory() as folder:
        ruin.save(Path(folder) / "chain")
        results["loaded sample"] = load(Path(folder) / "chain").sample(50, random_state=0)
    results.update(_sparse())
    results.update(_hidden())
    results.update(_side_by_side())
    results.update(_square_roots())
    results.update(_linear_systems())
    results.update(_networks())
    results.update(_attention())
    return results


def _hidden() -> dict[str, np.ndarray]:
    """Hidden states seen through every kind of frames, of transition matrices and of emissions."""
    from statespace import HMM
    from statespace.hmm import (
        CategoricalEmission,
        GaussianEmission,
        GaussianMixtureEmission,
        PoissonEmission,
        backward,
        forward,
        forward_backward,
        sample_posterior,
        viterbi,
    )

    rng = np.random.default_rng(0)
    results: dict[str, np.ndarray] = {}
    x = rng.normal(size=60) + np.repeat([0, 4, 0], 20)
    x[5] = np.nan
    counts = np.where(np.isnan(x), np.nan, np.abs(np.round(x)))
    several = np.column_stack([x, x[::-1], np.roll(x, 7)])[6:-6]
    gappy = several.copy()
    gappy[::5, 1] = np.nan
    vectors = [
        (f"{kind} {make.__name__} {missing}", make(covariance_type=kind), data)
        for make in (GaussianEmission, GaussianMixtureEmission)
        for kind in ("spherical", "diag", "full", "tied")
        for missing, data in (("whole", several), ("gaps", gappy))
    ]
    for name, emission, values in (
        *vectors,
        ("mixture", GaussianMixtureEmission(n_mix=2), several),
        ("categorical", CategoricalEmission(), counts),
        ("poisson", PoissonEmission(), counts),
        ("diag", GaussianEmission(), x),
        ("full", GaussianEmission("full"), np.column_stack([x, x[::-1]])[6:-6]),
    ):
        for K in (2, 9):
            model = HMM(K, emission, random_state=0, tol=0.5).fit(values)
            key = f"hidden {name} {K}"
            results[f"{key} score"] = model.log_likelihood(values, by="sequence")
            results[f"{key} posteriors"] = model.predict_proba(values)
            results[f"{key} filtered"] = model.filter(values).filtered
            results[f"{key} path"] = model.predict(values)
            results[f"{key} draws"] = model.sample_posterior(values, 3, random_state=0)
            results[f"{key} sample"] = model.sample(20, random_state=0)[1]
    for K in (1, 2, 3, 4, 9):
        for scale in (1.0, 500.0):  # the larger one leaves the range of scaled numbers where there are zeros
            table = scale * rng.normal(size=(40, K))
            startprob, transmat = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K)
            left_right = np.triu(transmat) / np.triu(transmat).sum(axis=1, keepdims=True)
            for name, A in (
                ("dense", transmat),
                ("zeros", left_right),
                ("steps", rng.dirichlet(np.ones(K), size=(39, K))),
                ("tiny", np.where(np.eye(K) > 0, 1.0 - 1e-60 * (K - 1), 1e-60)),
            ):
                key = f"recursions {K} {scale} {name}"
                results[f"{key} forward"] = forward(startprob, A, table).filtered
                results[f"{key} backward"] = backward(A, table).beta
                results[f"{key} both"] = forward_backward(startprob, A, table, lengths=[15, 25]).posteriors
                results[f"{key} path"] = viterbi(startprob, A, table).states
                results[f"{key} draws"] = sample_posterior(startprob, A, table, n_draws=2, random_state=0)
    return results


def _side_by_side() -> dict[str, np.ndarray]:
    """Enough data for lanes: many sequences, and one that is cut."""
    from statespace.hmm import recursions
    from statespace.hmm.frames import Frames

    rng = np.random.default_rng(1)
    results = {}
    for K in (3, 9):
        startprob, transmat = rng.dirichlet(np.ones(K)), rng.dirichlet(np.full(K, 3.0), size=K)
        for name, lengths in (("many", rng.integers(1, 60, 40)), ("long", np.array([2500]))):
            offsets = np.concatenate([[0], np.cumsum(lengths)])
            n = int(offsets[-1])
            for kind, frames in (
                ("rows", Frames(rng.normal(size=(5, K)), rng.integers(0, 5, n))),
                ("steps", Frames(rng.normal(size=(n, K)))),
            ):
                key = f"lanes {K} {name} {kind}"
                arguments = startprob, transmat, frames, offsets
                results[f"{key} score"] = recursions.log_likelihoods(*arguments)
                results[f"{key} posteriors"] = recursions.smooth_states(*arguments).posteriors
                found = recursions.expectations(*arguments, np.ones(len(lengths)))
                results[f"{key} transitions"], results[f"{key} sums"] = found.transitions, found.posteriors
    return results


def _square_roots() -> dict[str, np.ndarray]:
    """Filters and smoothers of linear systems in square-root form, hard ones among them."""
    from statespace.lds.dynamics import make_dynamics
    from statespace.lds.frames import make_frames
    from statespace.lds.square_root_filter import filter_square_root
    from statespace.lds.square_root_smoother import smooth_square_root
    from tests.lds.systems import HARD

    results = {}
    for case in HARD:
        system, Y = case()
        arguments = system, make_dynamics(system), make_frames(system, Y)
        results[f"square root {case.__name__} steps"] = filter_square_root(*arguments).steps
        smoothed, _ = smooth_square_root(*arguments)
        for name, values in smoothed._asdict().items():
            results[f"square root {case.__name__} {name}"] = values
    return results


def _linear_systems() -> dict[str, np.ndarray]:
    """Linear systems in covariance form: few states and many, steady and not, known and diffuse starts, panels."""
    from statespace import LinearDynamicalSystem

    rng = np.random.default_rng(0)
    results = {}
    for m, p in ((1, 1), (1, 2), (2, 1), (3, 2), (4, 3), (6, 3), (18, 2)):
        T = 0.9 * np.linalg.qr(rng.normal(size=(m, m)))[0]
        Z, H = rng.normal(size=(p, m)), np.eye(p) + 0.3 * (p > 1)
        Y = rng.normal(size=(5, 120, p))
        gaps = Y[0].copy()
        gaps[50:60] = np.nan
        gaps[5, 0] = np.nan
        for start in ("stationary", "diffuse"):
            model = LinearDynamicalSystem.from_matrices(Z, H, T, np.eye(m), initialization=start)
            for name, X in (("whole", Y[0]), ("gaps", gaps)):
                key = f"linear {m} {p} {start} {name}"
                filtered = model.filter(X, form="covariance")
                results[f"{key} filtered"] = filtered.filtered_cov
                results[f"{key} mean"] = filtered.predicted_mean
                smoothed = model.smooth(X, form="covariance")
                results[f"{key} smoothed"] = smoothed.cov
                results[f"{key} lag"] = smoothed.lag_one_cov
                results[f"{key} noise"] = smoothed.obs_disturbance
                results[f"{key} gradient"] = model.gradient(X, form="covariance").design
                results[f"{key} score"] = np.array(model.log_likelihood(X, form="covariance"))
            frozen = Y.copy()
            frozen.flags.writeable = False
            results[f"linear {m} {p} {start} panel"] = model.log_likelihood(frozen, by="sequence")
            results[f"linear {m} {p} {start} panel gradient"] = model.gradient(frozen).design
            results[f"linear {m} {p} {start} panel states"] = np.array([one.mean for one in model.smooth(frozen)])
            several = [Y[0], Y[1, :50], gaps, gaps, Y[2, :51], gaps, gaps]
            several += [np.where(np.random.default_rng(s).random(Y[0].shape) < 0.2, np.nan, Y[0]) for s in range(5)]
            results[f"linear {m} {p} {start} several"] = model.log_likelihood(several, by="sequence")
            results[f"linear {m} {p} {start} several gradient"] = model.gradient(several).design
            results[f"linear {m} {p} {start} sample"] = model.sample(20, random_state=0)[0]
    # A transition of few entries, one number at a time; states that are known exactly; numbers that others imply
    shift = 0.8 * np.eye(12, k=-1)
    shift[0] = -0.1
    for name, Z, H in (
        ("sparse", rng.normal(size=(1, 12)), np.eye(1)),
        ("exact", np.eye(12)[:4], np.diag([0.0, 1.0, 0.0, 1.0])),
        ("implied", np.outer([1.0, 2.0], np.eye(12)[0]), np.zeros((2, 2))),
    ):
        model = LinearDynamicalSystem.from_matrices(Z, H, shift, np.eye(12), initialization="stationary")
        X = rng.normal(size=(150, len(Z)))
        if name == "implied":
            X[:, 1] = 2 * X[:, 0]
        results[f"linear {name} score"] = np.array(model.log_likelihood(X, form="covariance"))
        results[f"linear {name} smoothed"] = model.smooth(X, form="covariance").cov
        results[f"linear {name} gradient"] = model.gradient(X, form="covariance").design
    return results


def _networks() -> dict[str, np.ndarray]:
    """Recurrent networks of every cell and remedy in both types of numbers: ragged batches, short ones and long."""
    from tests.naive_networks import Network
    from tests.neural.drawn_networks import CELLS, REMEDIES, make_case

    results = {}
    for cell, options in CELLS.items():
        for remedy, more in REMEDIES.items():
            for dtype in (np.float64, np.float32):
                for H, T, lengths in ((3, 4, [4, 0, 2]), (17, 90, [90, 3, 50, 90])):
                    twin = Network(**options, **more, input_size=2, hidden_size=H, num_layers=2, bidirectional=H == 3)
                    case = make_case(twin, len(lengths), T, lengths, dtype)
                    key = f"network {cell} {remedy} {dtype.__name__} {H}"
                    results[f"{key} outputs"], state = case.net(case.X, case.lengths, case.state)
                    found = case.net.gradients(case.X, case.d_outputs, case.lengths, state, grad_state=case.d_state)
                    results.update({f"{key} {name}": values for name, values in found.items()})
                    if not twin.bidirectional:
                        results[f"{key} step"], _ = case.net.step(case.X[:, 0], case.state)
    return results


def _attention() -> dict[str, np.ndarray]:
    """Encoders and decoders with every attention, in both types of numbers: pairs of many lengths, read and learnt."""
    from statespace.neural import SequenceToSequence

    rng = np.random.default_rng(0)
    X = [rng.integers(0, 3, n).tolist() for n in (1, 9, 4, 17, 2)]
    y = [x[:0:-1] for x in X]
    results = {}
    for attention in ("dot", "general", "additive"):
        for dtype in (np.float64, np.float32):
            model = SequenceToSequence("gru", 9, attention=attention, dtype=dtype, held_out=0, random_state=0)
            model.partial_fit(X, y)
            key = f"attention {attention} {dtype.__name__}"
            results[f"{key} log-likelihood"] = model.log_likelihood(X, y, by="sequence")
            results[f"{key} weights"] = np.concatenate([one.reshape(-1) for one in model.attention_weights(X, y)])
            results[f"{key} beam"] = np.array([len(one) for one in model.predict(X, 3)])
    return results


def _sparse() -> dict[str, np.ndarray]:
    limit = tables.DENSE_LIMIT
    results = {}
    try:
        tables.DENSE_LIMIT = 0
        for K in (3, 20):
            for name in ("gaps", "several"):
                x = data(K)[name]
                for weights in (None, [1.0] if name == "gaps" else [1.0, 0.0, 2.0]):
                    chain = MarkovChain(2, smoothing="witten-bell").fit(x, sample_weight=weights, symbols=range(K))
                    key = f"sparse {K} {name} {weights is None}"
                    results[f"{key} counts"] = chain.counts_
                    results[f"{key} sample"] = chain.sample(30, random_state=2)
                    results[f"{key} forecast"] = chain.forecast([0, 1, 2], 4).probabilities
    finally:
        tables.DENSE_LIMIT = limit
    return results


def argument_types() -> dict[str, list[list[str]]]:
    """For every kernel the argument types of each compiled version."""
    return {name: [[str(kind) for kind in types] for types in found.signatures] for name, found in kernels().items()}


def reads_outside_are_noticed() -> bool:
    """Whether a table that is too small stops a kernel; only asked where bounds are checked."""
    from statespace.markov.counting import count_words

    try:
        count_words(np.array([0, 1]), np.array([0, 2]), np.ones(1, np.int64), 2, 1, np.zeros(1, np.int64))
    except IndexError:
        return True
    return False


if __name__ == "__main__":
    np.savez(sys.argv[1], **run())
    checked = bool(numba.config.BOUNDSCHECK)
    report = {"types": argument_types(), "checked": checked, "noticed": checked and reads_outside_are_noticed()}
    sys.stdout.write(json.dumps(report))
