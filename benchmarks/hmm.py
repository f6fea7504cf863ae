"""Hidden Markov models beside hmmlearn, dynamax and pomegranate."""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.comparison import COMPARED, Call, Peer, compare
from benchmarks.report import Table, duration, verdict
from benchmarks.timing import (
    Timing,
    measured_child,
    median_ratio,
    median_seconds,
    median_wall,
    n_cores,
    on_one_core,
    one_core,
    take_turns,
    timed,
    timed_child,
)
from statespace.hmm import HMM, CategoricalEmission, GaussianEmission, PoissonEmission, forward_backward

_SYMBOLS = 6
_FEATURES = 3
_POMEGRANATE = 2_000  # steps for a peer that takes tens of microseconds for each


class Shape(NamedTuple):
    """How much is asked."""

    K: int
    n: int
    length: int | None = None
    """Of each sequence; None: one sequence."""

    @property
    def name(self) -> str:
        """As a row begins."""
        return f"K = {self.K}, " + (
            f"{self.n:,}" if self.length is None else f"{self.n // self.length} of {self.length}"
        )

    @property
    def lengths(self) -> list[int] | None:
        """For sequences end to end."""
        return None if self.length is None else [self.length] * (self.n // self.length)


_LONG = [Shape(2, 100_000), Shape(8, 100_000), Shape(32, 20_000), Shape(128, 5_000)]
_SHAPES = [*_LONG, Shape(8, 100_000, 50)]

# Of hmmlearn's time to ours, its two implementations; Viterbi is the same in both
_BARS: dict[str, list[tuple[float, ...]]] = {
    "score": [(8.1, 4.0), (49.5, 9.0), (84.0, 9.75), (51.0, 6.8), (84.0, 20.0)],
    "predict_proba": [(10.2, 2.3), (23.8, 3.57), (43.0, 4.76), (48.0, 6.29), (71.0, 7.57)],
    "predict": [(4.7,), (5.1,), (3.9,), (3.1,), (7.0,)],
    "fit": [(11.9, 3.3), (52.5, 7.35), (103.5, 10.8), (71.4, 6.97), (144.0, 20.0)],
    "diag": [(5.4, 2.1), (14.0, 3.1), (31.0, 4.3), (45.0, 4.9)],
    "full": [(5.7, 3.0), (9.4, 3.3), (20.0, 4.9), (42.0, 7.3)],
}
_IMPLEMENTATIONS = ("log", "scaling")


def tables(quick: bool) -> Iterator[Table]:
    """Every table, as it is measured."""
    n_rounds = 1 if quick else 5
    for name in ("hmmlearn", "statespace"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a fit of one iteration is told that it has not converged
    shrink = 100 if quick else 1
    with one_core(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for verb, title in (
            ("score", "Likelihood: score(X)"),
            ("predict_proba", "Smoothing: predict_proba(X)"),
            ("predict", "Most likely path: predict(X)"),
            ("fit", "One iteration of EM: fit(X), n_iter=1"),
        ):
            yield categorical(verb, title, shrink, n_rounds)
        for kind in ("diag", "full"):
            yield gaussian(kind, shrink, n_rounds)
        yield small_calls(3 if quick else 15)
        yield whole_fits(shrink, min(n_rounds, 3))
    yield threads(shrink, 3 * n_rounds)
    yield mapped_file(10_000_000 // shrink, quick)
    yield many_steps(1_000_000 // shrink, 100)
    yield first_answers(quick)


# --------------------------------------------------------------------------------------------------- long and many


def _laws(rng: np.random.Generator, K: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K)


def categorical(verb: str, title: str, shrink: int, n_rounds: int) -> Table:
    """One verb of a model of six symbols."""
    table = Table(f"{title}, categorical, {_SYMBOLS} symbols", COMPARED)
    for shape, bars in zip(_SHAPES, _BARS[verb], strict=True):
        shape = shape._replace(n=max(shape.n // shrink, 2 * (shape.length or 1)))
        rng = np.random.default_rng(shape.K)
        startprob, transmat = _laws(rng, shape.K)
        emissionprob = rng.dirichlet(np.ones(_SYMBOLS), size=shape.K)
        X, lengths = rng.integers(0, _SYMBOLS, (shape.n, 1)), shape.lengths

        def ours(pi=startprob, A=transmat, B=emissionprob, X=X, lengths=lengths) -> Call:
            emission = CategoricalEmission()
            emission.emissionprob = B
            if verb == "fit":
                K = len(pi)
                return lambda: HMM(K, emission, init={"startprob": pi, "transmat": A}, n_iter=1).fit(X, lengths)
            model = HMM(len(pi), emission)
            model.startprob_, model.transmat_, model.emission_ = pi, A, emission
            return lambda: getattr(model, verb)(X, lengths)

        def hmmlearn(implementation: str, pi=startprob, A=transmat, B=emissionprob, X=X, lengths=lengths) -> Call:
            from hmmlearn.hmm import CategoricalHMM

            def made() -> Any:
                model = CategoricalHMM(len(pi), n_iter=1, init_params="", implementation=implementation)
                model.startprob_, model.transmat_, model.emissionprob_, model.n_features = pi, A, B, _SYMBOLS
                return model

            if verb == "fit":
                return lambda: made().fit(X, lengths)
            model = made()
            return lambda: getattr(model, verb)(X, lengths)

        peers = [
            Peer(f"hmmlearn, {implementation}", partial(hmmlearn, implementation), bar, f"{bar:g}")
            for implementation, bar in zip(_IMPLEMENTATIONS, bars, strict=False)
        ]
        data = X.reshape(-1, shape.length or shape.n, 1)
        dynamax = partial(_dynamax_categorical, verb, startprob, transmat, emissionprob, data)
        peers.append(Peer("dynamax", dynamax, 1.0, "1"))
        if verb != "predict" and shape.K == 8:
            part = data[:, :_POMEGRANATE]
            walk = partial(_pomegranate_categorical, verb, startprob, transmat, emissionprob, part)
            peers.append(Peer("pomegranate", walk, scale=data.shape[1] / part.shape[1]))
        compare(table, shape.name, ours(), peers, min(n_rounds, 3) if shape.K == 128 else n_rounds)
    return table


def gaussian(kind: str, shrink: int, n_rounds: int) -> Table:
    """One iteration of EM of Gaussian vectors."""
    table = Table(f"One iteration of EM: fit(X), n_iter=1, Gaussian, {kind}, {_FEATURES} features", COMPARED)
    for shape, bars in zip(_LONG, _BARS[kind], strict=True):
        K, n = shape.K, max(shape.n // shrink, 5 * shape.K)
        rng = np.random.default_rng(K)
        startprob, transmat = _laws(rng, K)
        means = 3 * rng.normal(size=(K, _FEATURES))
        covars = np.ones((K, _FEATURES)) if kind == "diag" else np.tile(np.eye(_FEATURES), (K, 1, 1))
        X = means[rng.integers(0, K, n)] + rng.normal(size=(n, _FEATURES))

        def ours(pi=startprob, A=transmat, means=means, covars=covars, X=X) -> Any:
            emission = GaussianEmission(kind)
            emission.means, emission.covars = means, covars
            return HMM(len(pi), emission, init={"startprob": pi, "transmat": A}, n_iter=1).fit(X)

        def hmmlearn(implementation: str, pi=startprob, A=transmat, means=means, covars=covars, X=X) -> Call:
            from hmmlearn.hmm import GaussianHMM

            def fit() -> Any:
                model = GaussianHMM(len(pi), kind, n_iter=1, init_params="", implementation=implementation)
                model.startprob_, model.transmat_, model.means_, model.covars_ = pi, A, means, covars
                return model.fit(X)

            return fit

        peers = [
            Peer(f"hmmlearn, {implementation}", partial(hmmlearn, implementation), bar, f"{bar:g}")
            for implementation, bar in zip(_IMPLEMENTATIONS, bars, strict=True)
        ]
        dynamax = partial(_dynamax_gaussian, kind, startprob, transmat, means, covars, X[None])
        peers.append(Peer("dynamax", dynamax, 1.0, "1"))
        compare(table, shape._replace(n=n).name, ours, peers, min(n_rounds, 3) if K == 128 else n_rounds)
    return table


def _dynamax_categorical(verb: str, pi: np.ndarray, A: np.ndarray, B: np.ndarray, X: np.ndarray) -> Callable[[], Any]:
    """Compiled for its shapes, in double precision, the data where it wants them."""
    import jax
    from dynamax.hidden_markov_model import CategoricalHMM

    jax.config.update("jax_enable_x64", True)
    model = CategoricalHMM(len(pi), 1, _SYMBOLS)
    known = {"initial_probs": pi, "transition_matrix": A, "emission_probs": B[:, None]}
    params, properties = model.initialize(jax.random.PRNGKey(0), **jax.tree.map(jax.numpy.asarray, known))
    if verb == "fit":
        return _dynamax_iteration(model, params, properties, X)
    asked = {
        "score": model.marginal_log_prob,
        "predict_proba": lambda params, x: model.smoother(params, x).smoothed_probs,
        "predict": model.most_likely_states,
    }[verb]
    compiled = jax.jit(jax.vmap(partial(asked, params)))
    data = jax.numpy.asarray(X)
    return lambda: compiled(data).block_until_ready()


def _dynamax_gaussian(
    kind: str, pi: np.ndarray, A: np.ndarray, means: np.ndarray, covars: np.ndarray, X: np.ndarray
) -> Callable[[], Any]:
    import jax
    from dynamax.hidden_markov_model import DiagonalGaussianHMM, GaussianHMM

    jax.config.update("jax_enable_x64", True)
    known: dict[str, Any] = {"initial_probs": pi, "transition_matrix": A, "emission_means": means}
    if kind == "diag":
        model: Any = DiagonalGaussianHMM(*means.shape)
        known["emission_scale_diags"] = np.sqrt(covars)
    else:
        model = GaussianHMM(*means.shape)
        known["emission_covariances"] = covars
    params, properties = model.initialize(jax.random.PRNGKey(0), **jax.tree.map(jax.numpy.asarray, known))
    return _dynamax_iteration(model, params, properties, X)


def _dynamax_iteration(model: Any, params: Any, properties: Any, X: np.ndarray) -> Callable[[], Any]:
    """E-step and M-step as its fit_em runs them, which compiles them anew in each call."""
    import jax

    state = model.initialize_m_step_state(params, properties)

    @jax.jit
    def iteration(params: Any, state: Any, data: Any) -> Any:
        sums, _ = jax.vmap(partial(model.e_step, params))(data)
        return model.m_step(params, properties, sums, state)

    data = jax.numpy.asarray(X)
    return lambda: jax.block_until_ready(iteration(params, state, data))


def _pomegranate_categorical(
    verb: str, pi: np.ndarray, A: np.ndarray, B: np.ndarray, X: np.ndarray
) -> Callable[[], Any]:
    """In single precision, the only one in which it runs; it has to be told how sequences end."""
    import torch
    from pomegranate.distributions import Categorical
    from pomegranate.hmm import DenseHMM

    data = torch.from_numpy(X)

    def made() -> Any:
        parameters = (torch.tensor(values, dtype=torch.float32) for values in (A, pi, np.full(len(pi), 1e-6)))
        symbols = [Categorical(torch.tensor(row[None], dtype=torch.float32)) for row in B]
        return DenseHMM(symbols, **dict(zip(("edges", "starts", "ends"), parameters, strict=True)), max_iter=1)

    if verb == "fit":

        def iteration() -> None:
            model = made()
            model.summarize(data)
            model.from_summaries()

        return iteration
    model = made()
    return partial({"score": model.log_probability, "predict_proba": model.predict_proba}[verb], data)


# ----------------------------------------------------------------------------------------------------- small calls


def small_calls(n_rounds: int) -> Table:
    """What a call costs where there is hardly anything to do; a turn is twenty calls."""
    table = Table(
        "Small calls: 100 observations, K = 3",
        COMPARED,
        "The bar is that no call is slower than the faster of hmmlearn's implementations.",
    )
    rng = np.random.default_rng(3)
    startprob, transmat = _laws(rng, 3)
    init = {"startprob": startprob, "transmat": transmat}
    means, covars, rates = np.array([[0.0], [3.0], [6.0]]), np.ones((3, 1)), np.array([[1.0], [4.0], [9.0]])
    B = rng.dirichlet(np.ones(_SYMBOLS), size=3)
    cases: list[tuple[str, Any, dict[str, Any], np.ndarray]] = [
        ("Categorical", CategoricalEmission, {"emissionprob": B}, rng.integers(0, _SYMBOLS, (100, 1))),
        ("Gaussian", GaussianEmission, {"means": means, "covars": covars}, 3 * rng.normal(size=(100, 1)) + 3),
        ("Poisson", PoissonEmission, {"lambdas": rates}, rng.poisson(4.0, (100, 1))),
    ]
    verbs = ("score", "score_samples", "predict_proba", "predict", "decode", "sample", "fit, n_iter=1")
    for family, emission_class, values, X in cases:
        emission = emission_class()
        for name, value in values.items():
            setattr(emission, name, value)
        model = HMM(3, emission)
        model.startprob_, model.transmat_, model.emission_ = startprob, transmat, emission

        def refit(emission: Any = emission, X: np.ndarray = X) -> None:
            HMM(3, emission, init=init, n_iter=1).fit(X)

        def hmmlearn(verb: str, implementation: str, family=family, values=values, X=X) -> Call:
            from hmmlearn import hmm

            def made() -> Any:
                peer = getattr(hmm, f"{family}HMM")(3, n_iter=1, init_params="", implementation=implementation)
                peer.startprob_, peer.transmat_ = startprob, transmat
                for name, value in values.items():
                    setattr(peer, f"{name}_", value)
                if family == "Categorical":
                    peer.n_features = _SYMBOLS
                return peer

            if verb.startswith("fit"):
                return _twenty(lambda: made().fit(X))
            return _twenty(_call(made(), verb, X))

        for verb in verbs:
            ours = _twenty(refit if verb.startswith("fit") else _call(model, verb, X))
            peers = [
                Peer(f"hmmlearn, {implementation}", partial(hmmlearn, verb, implementation), 1.0, "1")
                for implementation in _IMPLEMENTATIONS
            ]
            compare(table, f"20 x {verb}, {family}", ours, peers, n_rounds)
    return table


def _call(model: Any, verb: str, X: np.ndarray) -> Call:
    return (lambda: model.sample(100, random_state=0)) if verb == "sample" else lambda: getattr(model, verb)(X)


def _twenty(call: Call) -> Call:
    def calls() -> None:
        for _ in range(20):
            call()

    return calls


# ------------------------------------------------------------------------------------------------------ whole fits


def whole_fits(shrink: int, n_rounds: int) -> Table:
    """From the same start to the same tolerance."""
    table = Table(
        "A whole fit: the same start, until an iteration gains less than 0.01 nats",
        (
            "case",
            "ours",
            "peer",
            "peer's",
            "peer / ours",
            "our iterations",
            "its iterations",
            "our log-likelihood",
            "the peer's",
            "at least as likely",
        ),
        "Maximum likelihood without a prior for both; the log-likelihood is that of each one's own score.",
    )
    n = max(10_000 // shrink, 400)
    for family, K in (("Categorical", 4), ("Gaussian", 4)):
        rng = np.random.default_rng(7)
        states = _walk(0.9 * np.eye(K) + 0.1 / K, n, rng)
        pi, A = np.full(K, 1 / K), 0.7 * np.eye(K) + 0.3 / K
        if family == "Categorical":
            truth = rng.dirichlet(np.full(_SYMBOLS, 0.5), size=K)
            X = (rng.random((n, 1)) > truth.cumsum(axis=1)[states]).sum(axis=1, keepdims=True).clip(0, _SYMBOLS - 1)
            values = {"emissionprob": 0.5 * truth + 0.5 / _SYMBOLS}
        else:
            X = rng.normal(size=(n, 2)) + 2.0 * np.stack([states, states % 2], axis=1)
            values = {
                "means": 1.5 * np.stack([np.arange(K), np.arange(K) % 2], axis=1) + 0.3,
                "covars": np.ones((K, 2)),
            }

        def ours(family=family, K=K, values=values, pi=pi, A=A, X=X) -> Any:
            emission = {"Categorical": CategoricalEmission, "Gaussian": GaussianEmission}[family]()
            for name, value in values.items():
                setattr(emission, name, value)
            return HMM(K, emission, init={"startprob": pi, "transmat": A}, n_iter=1000, tol=0.01).fit(X)

        def hmmlearn(implementation: str, family=family, K=K, values=values, pi=pi, A=A, X=X) -> Any:
            from hmmlearn import hmm

            options: dict[str, Any] = {"n_iter": 1000, "tol": 0.01, "init_params": "", "implementation": implementation}
            if family == "Gaussian":
                options |= {"covars_prior": 0.0, "min_covar": 0.0}
            peer = getattr(hmm, f"{family}HMM")(K, **options)
            peer.startprob_, peer.transmat_ = pi, A
            for name, value in values.items():
                setattr(peer, f"{name}_", value)
            return peer.fit(X)

        _add_fits(table, f"{family}, K = {K}, {n:,}", ours, hmmlearn, X, n_rounds)
    return table


def _walk(A: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    states, bounds = np.zeros(n, np.int64), A.cumsum(axis=1)
    for t, u in enumerate(rng.random(n - 1), 1):
        states[t] = min(int((u > bounds[states[t - 1]]).sum()), len(A) - 1)
    return states


def _add_fits(table: Table, case: str, ours: Call, peer: Callable[[str], Any], X: np.ndarray, n_rounds: int) -> None:
    fitted: dict[str, Any] = {}

    def keep(name: str, call: Call) -> None:
        fitted[name] = call()

    calls = {"ours": partial(keep, "ours", ours)}
    try:
        import hmmlearn  # noqa: F401

        calls |= {name: partial(keep, name, partial(peer, name)) for name in _IMPLEMENTATIONS}
    except ImportError as error:
        table.add(case, "", "hmmlearn", f"skipped: {error.name} is not installed", *[""] * 6)
    timings = take_turns({name: partial(timed, call) for name, call in calls.items()}, n_rounds)
    mine = fitted["ours"]
    for name in calls:
        if name == "ours":
            continue
        theirs = fitted[name]
        reached = mine.score(X), theirs.score(X)
        table.add(
            case,
            duration(median_seconds(timings["ours"])),
            f"hmmlearn, {name}",
            duration(median_seconds(timings[name])),
            f"{median_ratio(timings[name], timings['ours']):.3g}",
            str(mine.monitor_.iter),
            str(theirs.monitor_.iter),
            f"{reached[0]:.4f}",
            f"{reached[1]:.4f}",
            verdict(reached[0] >= reached[1] - 0.01),
        )


# ---------------------------------------------------------------------------------------------- threads and memory


def threads(shrink: int, n_rounds: int) -> Table:
    """What the other cores add, by the clock; and whether the bits are the same."""
    table = Table(
        "Threads",
        ("case", "one core", f"{n_cores()} cores", "one / all", "bar", "holds", "the same bits"),
        "By the clock, and so with all else that the machine did.",
    )
    rng = np.random.default_rng(0)
    n = max(1_000_000 // shrink, 200)
    lengths = [50] * (n // 50)
    startprob, transmat = _laws(rng, 8)
    init = {"startprob": startprob, "transmat": transmat}
    symbols, vectors = rng.integers(0, _SYMBOLS, (n, 1)), rng.normal(size=(n, _FEATURES))
    of_symbols, of_vectors = CategoricalEmission(), GaussianEmission()
    of_symbols.emissionprob = rng.dirichlet(np.ones(_SYMBOLS), size=8)
    of_vectors.means, of_vectors.covars = rng.normal(size=(8, _FEATURES)), np.ones((8, _FEATURES))
    model = HMM(8, of_symbols)
    model.startprob_, model.transmat_, model.emission_ = startprob, transmat, of_symbols

    def fit(emission: Any, X: np.ndarray, lengths: list[int] | None) -> list[np.ndarray]:
        made = HMM(8, emission, init=init, n_iter=1).fit(X, lengths)
        return [made.startprob_, made.transmat_, *(v for v in vars(made.emission_).values() if type(v) is np.ndarray)]

    cases: dict[str, Call] = {
        f"EM, categorical, K = 8, {n // 50} of 50": lambda: fit(of_symbols, symbols, lengths),
        f"EM, categorical, K = 8, {n:,}": lambda: fit(of_symbols, symbols, None),
        f"EM, Gaussian, K = 8, {n // 50} of 50": lambda: fit(of_vectors, vectors, lengths),
        f"EM, Gaussian, K = 8, {n:,}": lambda: fit(of_vectors, vectors, None),
        f"score, K = 8, {n // 50} of 50": lambda: [model.score(symbols, lengths)],
        f"score, K = 8, {n:,}": lambda: [model.score(symbols)],
        f"predict_proba, K = 8, {n // 50} of 50": lambda: [model.predict_proba(symbols, lengths)],
        f"predict, K = 8, {n // 50} of 50": lambda: [model.predict(symbols, lengths)],
    }
    for case, call in cases.items():
        found: dict[str, list[np.ndarray]] = {}

        def run(name: str, call: Call = call, found: dict[str, list[np.ndarray]] = found) -> Timing:
            return timed(lambda: found.update({name: call()}))

        timings = take_turns(
            {"one": lambda r=run: on_one_core(partial(r, "one")), "all": partial(run, "all")}, n_rounds
        )
        one, every = (median_wall(timings[name]) for name in ("one", "all"))
        same = all(np.array_equal(a, b) for a, b in zip(found["one"], found["all"], strict=True))
        holds = verdict(one / every >= 1.7) if n_cores() == 2 else ""
        table.add(case, duration(one), duration(every), f"{one / every:.3g}", "1.7", holds, verdict(same))
    return table


_MAPPED = """
import sys
import time
import numpy as np
X = np.load(sys.argv[1], mmap_mode="r")
pi = np.full(8, 1 / 8)
A = 0.7 * np.eye(8) + 0.3 / 8
B = np.random.default_rng(0).dirichlet(np.ones(6), size=8)
def ours():
    from statespace.hmm import HMM, CategoricalEmission
    emission = CategoricalEmission()
    emission.emissionprob = B
    model = HMM(8, emission, init={"startprob": pi, "transmat": A}, n_iter=1)
    model.startprob_, model.transmat_, model.emission_ = pi, A, emission
    return model
def hmmlearn(implementation):
    from hmmlearn.hmm import CategoricalHMM
    model = CategoricalHMM(8, n_iter=1, init_params="", implementation=implementation)
    model.startprob_, model.transmat_, model.emissionprob_, model.n_features = pi, A, B, 6
    return model
model = ours() if sys.argv[2] == "ours" else hmmlearn(sys.argv[2])
getattr(model, sys.argv[3])(X[:1000])
began = time.process_time()
if sys.argv[4] == "all":
    getattr(model, sys.argv[3])(X)
print(time.process_time() - began)
"""


def mapped_file(n: int, quick: bool) -> Table:
    """A long sequence in a file that is mapped into memory, and the most memory that a process takes for it."""
    table = Table(
        f"A file mapped into memory: {n:,} symbols, int64, {8 * n / 1e6:,.0f} MB, K = 8, one sequence",
        ("call", "CPU", "peak memory", "beyond the first 1,000 symbols", "limit", "holds"),
        "The peak of a process of its own, the pages of the file included, which the system may take back; the limit "
        "is a tenth of\n1 GB for 10^8 observations, and the file itself.",
    )
    limit = max(1e9 / 1e8 * n, 5e7) + 8 * n
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder, "symbols.npy"), Path(folder, "mapped.py")
        np.save(data, np.random.default_rng(0).integers(0, _SYMBOLS, (n, 1)))
        script.write_text(_MAPPED, encoding="utf-8")
        cases = [("ours", "score"), ("ours", "fit"), ("scaling", "score")]
        for who, verb in cases[:1] if quick else cases:
            call = f"{verb}, n_iter=1" if verb == "fit" else verb
            name = call if who == "ours" else f"{call}, hmmlearn, {who}"
            try:
                for much in ("all", "none"):  # what is compiled by the first is cached for the others
                    _, before = measured_child((str(script), str(data), who, verb, much))
                printed, peak = measured_child((str(script), str(data), who, verb, "all"))
            except ModuleNotFoundError as error:
                table.add(name, f"skipped: {error.name} is not installed", *[""] * 4)
                continue
            bar = ("", "") if who != "ours" else (f"{limit / 1e6:,.0f} MB", verdict(peak - before <= limit))
            beyond = f"{(peak - before) / 1e6:,.0f} MB"
            table.add(name, duration(float(printed)), f"{peak / 1e6:,.0f} MB", beyond, *bar)
    return table


# ------------------------------------------------------------------------------------------------------- stability


def many_steps(n: int, K: int) -> Table:
    """What is left of a law after many steps of many states, on a large and on a small scale."""
    table = Table(
        f"Many steps of many states: hmm.forward_backward, {n:,} steps, {K} states",
        ("log-likelihoods", "CPU", "log p(x)", "largest |sum of posteriors - 1|", "limit", "holds"),
        "Normal numbers times a scale as log-likelihoods of the states.",
    )
    for scale in (100.0, 1e-8):
        rng = np.random.default_rng(0)
        A = rng.dirichlet(np.ones(K), size=K)
        log_likelihood = scale * rng.normal(size=(n, K))
        began = time.process_time()
        found = forward_backward(np.full(K, 1 / K), A, log_likelihood)
        seconds = time.process_time() - began
        error = float(np.abs(found.posteriors.sum(axis=1) - 1).max())
        holds = bool(np.isfinite(found.log_likelihood)) and error <= 1e-12
        table.add(
            f"scale {scale:g}",
            duration(seconds),
            f"{found.log_likelihood:.10g}",
            f"{error:.1e}",
            "1e-12",
            verdict(holds),
        )
    return table


# --------------------------------------------------------------------------------------------------- first answers

_COMMON_PATH = """
import numpy as np
from statespace.hmm import HMM, CategoricalEmission, GaussianEmission
rng = np.random.default_rng(0)
for emission, X in (
    (CategoricalEmission(), rng.integers(0, 4, 6000)),
    (GaussianEmission(), rng.normal(size=(6000, 2))),
):
    for K in (2, 3):
        model = HMM(K, emission, random_state=0, n_iter=2, tol=1e9).fit(X)
        model.score(X)
        model.predict(X)
        model.predict_proba(X)
        model.filter(X)
        model.forecast(X, 3)
        model.sample(10, 0)
"""


def first_answers(quick: bool) -> Table:
    """Compiling everything for the first time."""
    table = Table(
        "First answers: fresh processes, kernels compiled or cached",
        ("what", "CPU", "by the clock", "limit", "holds"),
        "Categorical and Gaussian models: fit, score, predict, predict_proba, filter, forecast, sample. Measured once "
        "without cached\nkernels, then with them (median of three).",
    )
    if quick:
        table.add("skipped: takes longer than a trial", "", "", "", "")
        return table
    with tempfile.TemporaryDirectory() as folder:
        cold = timed_child(("-c", _COMMON_PATH), NUMBA_CACHE_DIR=folder)
        warm = [timed_child(("-c", _COMMON_PATH), NUMBA_CACHE_DIR=folder) for _ in range(3)]
    table.add("nothing cached", duration(cold.cpu), duration(cold.wall), "20 s", verdict(cold.cpu <= 20))
    table.add("cached", duration(median_seconds(warm)), duration(median_wall(warm)), "", "")
    return table
