"""The laws of all models: kept by every case, and broken by models with the flaw that each law is there to notice.

A new family joins with its lines in CASES.
"""

import functools

import numpy as np
import pytest

from statespace import HMM, MarkovChain, hmm
from statespace.hmm import CategoricalEmission, GaussianEmission, GaussianMixtureEmission, PoissonEmission
from statespace.lds.model import LinearDynamicalSystem
from statespace.neural import RecurrentSequenceModel
from tests.laws import LAWS, Case

WORDS = np.array(["dry", "drizzle", "wet"])


def sequences(K, rng, labels=None):
    """Four sequences of a chain that likes to stay, every symbol in the first three."""
    drawn = []
    for n in (12, 18, 30, 25):
        x = np.empty(n, np.int64)
        x[0] = rng.integers(K)
        for t in range(1, n):
            x[t] = x[t - 1] if rng.random() < 0.5 else min(rng.integers(K), rng.integers(K))
        x[rng.permutation(n - 3)[:K] + 1] = np.arange(K)
        drawn.append(x if labels is None else labels[x])
    return drawn


def chain(n_parameters, *args, K=2, labels=None, **options):
    spelled = [*map(str, args), *(f"{name}={value}" for name, value in options.items())]
    return Case(
        f"MarkovChain({', '.join(spelled)}), K={K}{'' if labels is None else ' labels'}",
        functools.partial(MarkovChain, *args, **options),
        functools.partial(sequences, K, labels=labels),
        n_parameters,
    )


def counts(rng):
    """Four sequences of counts that are small for a while, and then large."""
    return [rng.poisson(np.where(np.arange(n) // 4 % 2, 12.0, 2.0)) for n in (12, 18, 30, 25)]


def reals(n_features, rng):
    """Four sequences of real vectors that move between two places; of one feature, without a second axis."""
    drawn = [rng.normal(size=(n, n_features)) + 3 * (np.arange(n) // 4 % 2)[:, None] for n in (12, 18, 30, 25)]
    return [x[:, 0] for x in drawn] if n_features == 1 else drawn


def amounts(rng):
    """Four sequences of amounts of rain, many of them 0."""
    return [np.maximum(x - 1, 0.0) for x in reals(1, rng)]


class ZeroInflatedExponential:
    """An emission as a user writes it, with the members of docs/own-emission.md."""

    support = "reals"

    def __init__(self, dry, scale):
        self.dry, self.scale = np.array(dry), np.array(scale)

    def __repr__(self):
        return "<ZeroInflatedExponential>"

    n_parameters = property(lambda self: 2 * len(self.dry))

    def __eq__(self, other):
        return all(np.array_equal(value, vars(other)[name]) for name, value in vars(self).items())

    def log_likelihood(self, X):
        wet = np.log1p(-self.dry) - np.log(self.scale) - X / self.scale
        return np.where(X == 0, np.log(self.dry), wet)

    def m_step(self, X, posteriors):
        wet = ((X > 0).T @ posteriors)[0]
        self.dry, self.scale = 1 - wet / posteriors.sum(axis=0), (X.T @ posteriors)[0] / wet

    def sample(self, states, rng):
        return np.where(rng.random(len(states)) < self.dry[states], 0.0, rng.exponential(self.scale[states]))

    def cdf(self, x):
        return np.where(x < 0, 0.0, 1 - (1 - self.dry) * np.exp(-x / self.scale))

    def mean(self):
        return (1 - self.dry) * self.scale

    def cov(self):
        return (1 - self.dry**2) * self.scale**2


def starting(emission, **values):
    """The emission with starting values, so that repeated data start from where weighted data do."""
    for name, value in values.items():
        setattr(emission, name, np.array(value, float))
    return emission


def hidden(n_parameters, n_components, emission, *, data=None, K=2, labels=None, classes=None, **options):
    return Case(
        f"HMM({n_components}, {emission!r}{''.join(f', {name}={value}' for name, value in options.items())})"
        + (f", K={K}" if data is None else ""),
        functools.partial(HMM, n_components, emission, random_state=0, tol=0.01, **options),
        data or functools.partial(sequences, K, labels=labels),
        n_parameters,
        rtol=1e-9,
        classes=classes or {},
    )


def answers(n_features, rng):
    """Four sequences of yes and no, mostly yes for a while and then mostly no."""
    drawn = []
    for n in (12, 18, 30, 25):
        x = (rng.random((n, n_features)) < np.where(np.arange(n) // 4 % 2, 0.8, 0.3)[:, None]).astype(int)
        x[:2] = [[0], [1]]
        drawn.append(x[:, 0] if n_features == 1 else x)
    return drawn


def trials(rng):
    """Four sequences of what came of five trials of three kinds."""
    likely, unlikely = [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]
    drawn = []
    for n in (12, 18, 30, 25):
        steps = np.arange(n) // 4 % 2
        drawn.append(np.where(steps[:, None], rng.multinomial(5, likely, n), rng.multinomial(5, unlikely, n)))
    return drawn


def named(n_parameters, name, n_components, *args, data, **options):
    return Case(
        f"{name}({', '.join(map(str, (n_components, *args)))}{', ...' * bool(options)})",
        functools.partial(getattr(hmm, name), n_components, *args, random_state=0, tol=0.01, **options),
        data,
        n_parameters,
        rtol=1e-9,
    )


def linear(n_parameters, n_states, n_features, **options):
    """Starting values are given, so that repeated data start from where weighted data do."""
    init = {
        "design": (np.eye(n_features, n_states) + 0.1).tolist(),
        "transition": (0.5 * np.eye(n_states)).tolist(),
        "state_cov": np.eye(n_states).tolist(),
        "obs_cov": np.eye(n_features).tolist(),
    }
    return Case(
        f"LinearDynamicalSystem({n_states}{''.join(f', {name}={value!r}' for name, value in options.items())}), "
        f"{n_features} features",
        functools.partial(LinearDynamicalSystem, n_states, init=init, random_state=0, tol=0.1, **options),
        functools.partial(reals, n_features),
        n_parameters,
        rtol=1e-8,
    )


def network(n_parameters, cell, hidden_size, head="categorical", *, data=None, K=2, labels=None, **options):
    """A few iterations of L-BFGS on all data: repeated data lead where weighted data do."""
    return Case(
        f"RecurrentSequenceModel({cell!r}, {hidden_size}, {head!r}"
        f"{''.join(f', {name}={value!r}' for name, value in options.items())})" + (f", K={K}" if data is None else ""),
        functools.partial(
            RecurrentSequenceModel,
            cell,
            hidden_size,
            head,
            method="lbfgs",
            n_epochs=5,
            held_out=0,
            random_state=0,
            **options,
        ),
        data or functools.partial(sequences, K, labels=labels),
        n_parameters,
        rtol=1e-8,
    )


TWO = [[-0.5, -0.5], [3.0, 3.0]]
CASES = [
    hidden(1, 1, CategoricalEmission()),
    hidden(1 + 2 + 4, 2, CategoricalEmission(), K=3, labels=WORDS),
    hidden(2 + 6 + 6, 3, CategoricalEmission(emissionprob_prior=1.5), K=3, transmat_prior=1.2, n_init=2),
    hidden(1, 1, PoissonEmission(), data=counts),
    hidden(1 + 2 + 2, 2, starting(PoissonEmission(), lambdas=[[1.0], [9.0]]), data=counts),
    hidden(2 + 2, 2, starting(PoissonEmission(), lambdas=[[1.0], [9.0]]), data=counts, start="stationary"),
    hidden(2, 1, GaussianEmission(), data=functools.partial(reals, 1)),
    hidden(
        1 + 2 + 4 + 6,
        2,
        starting(GaussianEmission("full"), means=TWO, covars=[np.eye(2)] * 2),
        data=functools.partial(reals, 2),
    ),
    hidden(
        1 + 2 + 4 + 3,
        2,
        starting(GaussianEmission("tied"), means=TWO, covars=np.eye(2)),
        data=functools.partial(reals, 2),
    ),
    hidden(
        1 + 2 + 2 + 4 + 4,
        2,
        starting(
            GaussianMixtureEmission(2, "spherical"),
            weights=[[0.5, 0.5]] * 2,
            means=[[[-1.0], [1.0]], [[2.0], [4.0]]],
            covars=np.ones((2, 2)),
        ),
        data=functools.partial(reals, 1),
    ),
    hidden(
        1 + 2 + 4,
        2,
        ZeroInflatedExponential([0.8, 0.2], [1.0, 3.0]),
        data=amounts,
        classes={"ZeroInflatedExponential": ZeroInflatedExponential},
    ),
    hidden(
        1 + 2 + 4,
        2,
        starting(hmm.BernoulliEmission(), probs=[[0.2, 0.3], [0.7, 0.6]]),
        data=functools.partial(answers, 2),
    ),
    hidden(
        1 + 2 + 4,
        2,
        starting(hmm.MultinomialEmission(), emissionprob=[[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]),
        data=trials,
    ),
    named(2, "CategoricalHMM", 1, data=functools.partial(sequences, 3)),
    named(1, "PoissonHMM", 1, data=counts),
    named(5, "GaussianHMM", 1, "full", data=functools.partial(reals, 2)),
    named(2, "GMMHMM", 1, 1, data=functools.partial(reals, 1)),
    named(2, "MultinomialHMM", 1, data=trials),
    named(1, "BernoulliHMM", 1, data=functools.partial(answers, 1)),
    named(1 + 2 + 4, "VariationalCategoricalHMM", 2, data=functools.partial(sequences, 3, labels=WORDS)),
    named(
        2 + 6 + 6, "VariationalCategoricalHMM", 3, data=functools.partial(sequences, 3), transmat_prior=0.5, n_init=2
    ),
    named(5, "VariationalGaussianHMM", 1, "full", data=functools.partial(reals, 2)),
    named(2, "VariationalGaussianHMM", 1, "tied", data=functools.partial(reals, 1)),
    linear(1 + 1 + 1 + 1 - 1, 1, 1),
    linear(1 + 1 + 1 + 1 + 1 + 1 - 1, 1, 1, initialization="free"),
    linear(4 + 4 + 2 + 2 + 2 + 2 - 3 - 2, 2, 2, covariances="diag", initialization="stationary", intercepts=True),
    linear(4 + 4 + 3 + 3 - 4, 2, 2, method="lbfgs", initialization="stationary"),
    # embeddings; gates of inputs, of states, and twice their biases; start; head
    network(3 * 3 + 3 * 2 * (3 + 2 + 2) + 2 + 2 * (2 + 1), "gru", 2, K=3, labels=WORDS),
    network(
        2 * 1 + 2 * (2 * (1 + 2 + 2) + 2 * (2 + 2 + 2)) + (2 + 1),
        "gated_leaky",
        2,
        "bernoulli",
        num_layers=2,
        embedding_size=1,
        learn_start=False,
    ),
    network(4 * 2 * (1 + 2 + 2) + 2 * 2 + 2 * (2 + 1), "lstm", 2, "gaussian", data=functools.partial(reals, 1)),
    network(3 * (2 + 3 + 3 + 2) + 2 * 3 + 4 * (3 + 1), "rnn", 3, "gaussian", data=functools.partial(reals, 2), skip=2),
    network(2 * (1 + 2 + 2) + 2 + (2 + 1), "rnn", 2, "poisson", data=counts),
    chain(1, 0),
    chain(2, 0, K=3, smoothing="laplace"),
    chain(2, 1),
    chain(6, 1, K=3, labels=WORDS),
    chain(6, 1, K=3, smoothing="jeffreys"),
    chain(3, 1, initial="free", smoothing="laplace"),
    chain(6, 1, K=3, initial="stationary", smoothing="dirichlet", alpha=0.3),
    chain(4, 2, smoothing="laplace"),
    chain(26, 2, K=3, labels=WORDS, initial="free", smoothing="laplace"),
    chain(18, 2, K=3, labels=WORDS, smoothing="witten-bell"),
    chain(8, 3, initial="stationary", smoothing="jeffreys"),
    chain(54, 3, K=3, smoothing="witten-bell"),
]


UNDER = [
    pytest.param(name, case, id=f"{name}-{case.name}")
    for name, law in LAWS.items()
    for case in CASES
    if law.concerns(case)
]


def test_cases_are_told_apart_by_their_names():
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("laws")


FEW = pytest.mark.filterwarnings("ignore:the training stopped after 5 epochs")  # of a network's, to be quick


@FEW
@pytest.mark.parametrize(("name", "case"), UNDER)
def test_law(name, case, folder):
    LAWS[name].check(case, folder)


@FEW
@pytest.mark.parametrize(("name", "case"), UNDER)
def test_law_notices_its_flaw(name, case, folder):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        LAWS[name].check(case.with_flaw(name, LAWS[name].flaw), folder)
