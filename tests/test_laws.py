"""The laws of all models: kept by every case, and broken by models with the flaw that each law is there to notice.

A new family joins with its lines in CASES.
"""

import functools

import numpy as np
import pytest

from statespace import HMM, MarkovChain
from statespace.hmm import CategoricalEmission, VariationalCategoricalHMM
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


def hidden(n_parameters, n_components, emission, *, K=2, labels=None, **options):
    return Case(
        f"HMM({n_components}, {emission!r}), K={K}",
        functools.partial(HMM, n_components, emission, random_state=0, tol=0.01, **options),
        functools.partial(sequences, K, labels=labels),
        n_parameters,
        rtol=1e-9,
    )


def variational(n_parameters, n_components, *, K=2, labels=None, **options):
    return Case(
        f"VariationalCategoricalHMM({n_components}), K={K}",
        functools.partial(VariationalCategoricalHMM, n_components, random_state=0, tol=0.01, **options),
        functools.partial(sequences, K, labels=labels),
        n_parameters,
        rtol=1e-9,
    )


CASES = [
    variational(1 + 2 + 4, 2, K=3, labels=WORDS),
    variational(2 + 6 + 6, 3, K=3, transmat_prior=0.5, n_init=2),
    hidden(1, 1, CategoricalEmission()),
    hidden(1 + 2 + 4, 2, CategoricalEmission(), K=3, labels=WORDS),
    hidden(2 + 6 + 6, 3, CategoricalEmission(emissionprob_prior=1.5), K=3, transmat_prior=1.2, n_init=2),
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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("name", LAWS)
def test_law(name, case, tmp_path):
    LAWS[name].check(case, tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("name", LAWS)
def test_law_notices_its_flaw(name, case, tmp_path):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        LAWS[name].check(case.with_flaw(LAWS[name].flaw), tmp_path)
