"""The hunt for falls: no fit of any family ever lowers its objective, becomes NaN, or loses a row."""

import logging
import math
import os
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statespace import HMM, ConvergenceWarning
from statespace.hmm import (
    BernoulliEmission,
    CategoricalEmission,
    GaussianEmission,
    GaussianMixtureEmission,
    MultinomialEmission,
    PoissonEmission,
)

KINDS = ("spherical", "diag", "full", "tied")
OF_VECTORS = {"gaussian": KINDS, "mixture": tuple(f"mixture {kind}" for kind in KINDS)}
OTHERS = ("categorical", "poisson", "bernoulli", "multinomial")
FAMILIES = (*OTHERS, *KINDS, *OF_VECTORS["mixture"])
EXAMPLES = int(os.environ.get("MONOTONE_EXAMPLES", "1000"))
"""Random models of each family; MONOTONE_EXAMPLES=20000 hunts for longer."""
DATA = ("plain", "duplicated", "constant", "gaps", "partly", "huge", "tiny", "outlier", "offset", "two values")
PRIORS = {
    "poisson": {"lambdas_prior": 1.5, "lambdas_weight": 0.3},
    "categorical": {"emissionprob_prior": 1.3},
    "multinomial": {"emissionprob_prior": 2.0},
    "bernoulli": {},
    "gaussian": {"means_prior": 0.4, "means_weight": 0.7, "covars_prior": 0.5, "covars_weight": 3.5},
    "mixture": {
        "weights_prior": 1.5,
        "means_prior": 0.4,
        "means_weight": 0.7,
        "covars_prior": 0.5,
        "covars_weight": 3.5,
    },
}


def new_emission(family, with_priors):
    """An emission without parameters."""
    if family in KINDS or family.startswith("mixture"):
        options = PRIORS["gaussian" if family in KINDS else "mixture"] if with_priors else {}
        made = GaussianEmission if family in KINDS else GaussianMixtureEmission
        return made(*([family] if family in KINDS else [2, family.split()[1]]), **options)
    made = {
        "categorical": CategoricalEmission,
        "poisson": PoissonEmission,
        "bernoulli": BernoulliEmission,
        "multinomial": MultinomialEmission,
    }[family]
    return made(**(PRIORS[family] if with_priors else {}))


def new_data(family, data, n, rng):
    """Rows of observations, as awkward as `data` says."""
    if family == "categorical":
        x = rng.integers(0, 4, size=n).astype(float)
    elif family == "poisson":
        x = rng.poisson(3.0, size=(n, 2)).astype(float)
    elif family == "bernoulli":
        x = rng.integers(0, 2, size=(n, 2)).astype(float)
    elif family == "multinomial":
        x = rng.multinomial(6, [0.2, 0.3, 0.5], size=n).astype(float)
    else:
        x = rng.normal(size=(n, 2))
    real = family in KINDS or family.startswith("mixture")
    if data == "duplicated":
        x = np.repeat(x[:1], n, axis=0)
    elif data == "constant" and x.ndim == 2 and family != "multinomial":
        x[:, 1] = x[0, 1]
    elif data == "two values":
        x = x[rng.integers(0, min(n, 2), size=n)]
    elif real and data in ("huge", "tiny"):
        x *= 2.0 ** (60 if data == "huge" else -60)
    elif real and data == "outlier":
        x[rng.integers(n)] *= 1e6
    elif real and data == "offset":
        x += 1e6  # far from every prior
    elif data == "gaps":
        x[rng.random(n) < 0.4] = np.nan
    elif data == "partly" and (real or family == "poisson"):
        x[rng.random(x.shape) < 0.3] = np.nan
    if np.isnan(x).all():
        x[0] = 1.0
    return x


def set_parameters(emission, family, K, x, rng):
    """Set an emission's parameters at random, without a look at what the data would suggest."""
    if family in ("categorical", "multinomial"):
        n_symbols = 4 if family == "categorical" else x.shape[1]
        rows = rng.dirichlet(np.full(n_symbols, rng.choice([0.1, 1.0])), size=K) + 1e-9
        emission.emissionprob = rows / rows.sum(axis=1, keepdims=True)
    elif family == "poisson":
        emission.lambdas = rng.gamma(0.7, 4.0, size=(K, 2)) + 1e-9
    elif family == "bernoulli":
        emission.probs = rng.beta(0.4, 0.4, size=(K, 2)).clip(1e-9, 1 - 1e-9)
    else:
        mixture = family.startswith("mixture")
        kind = family.split()[-1]
        leading = (K, 2) if mixture else (K,)
        where = np.where(np.isnan(x), 0.0, x)
        centre, size = where.mean(axis=0), where.std(axis=0)
        size = np.where(size > 1e-9 * np.abs(centre), size, np.where(centre != 0, np.abs(centre), 1.0))
        size = size * rng.choice([0.03, 1.0, 10.0])
        roots = size[:, None] * rng.normal(size=(*(leading[:-1] if kind == "tied" else leading), 2, 2))
        matrices = roots @ roots.swapaxes(-1, -2) + 0.01 * np.diag(size**2)
        emission.means = centre + size * rng.normal(size=(*leading, 2))
        emission.covars = {
            "full": matrices,
            "tied": matrices,
            "diag": np.einsum("...ii->...i", matrices),
            "spherical": matrices[..., 0, 0],
        }[kind]
        if mixture:
            emission.weights = rng.dirichlet([0.5, 0.5], size=K).clip(1e-9)
            emission.weights /= emission.weights.sum(axis=1, keepdims=True)


def new_problem(family, K, n, data, with_priors, seed):
    """A model with starting values, masks and zeros drawn at random, and what to fit it to."""
    rng = np.random.default_rng(seed)
    x = new_data(family, data, n, rng)
    transmat = rng.dirichlet(np.full(K, rng.choice([0.05, 1.0])), size=K)  # some states are hardly ever reached
    transmat = np.maximum(transmat, 1e-12)
    if K > 1 and rng.random() < 0.3:  # left-right, whose last state is never left
        transmat = np.triu(transmat)
    transmat /= transmat.sum(axis=1, keepdims=True)
    start = "free" if rng.random() < 0.8 or (np.tril(transmat, -1) == 0).all() else "stationary"
    init = {"transmat": transmat} if rng.random() < 0.7 else {}
    fixed = {}
    if rng.random() < 0.3:
        fixed["transmat"] = rng.random((K, K)) < 0.3
    if rng.random() < 0.2 and start == "free":
        fixed["startprob"] = rng.random(K) < 0.4
    emission = new_emission(family, with_priors)
    if rng.random() < 0.85:
        set_parameters(emission, family, K, x, rng)
    prior = 1.0 + with_priors * rng.random()
    method = "lbfgs" if rng.random() < 0.1 else "em"
    model = HMM(
        K,
        emission,
        start=start,
        init=init,
        fixed=fixed,
        startprob_prior=prior,
        transmat_prior=prior,
        method=method,
        n_iter=int(rng.integers(2, 9)),
        tol=-math.inf,
        random_state=seed,
    )
    lengths = None
    if n > 2 and rng.random() < 0.6:
        cut = int(rng.integers(1, n))
        lengths = [cut, n - cut]
    weights = rng.choice([0.5, 1.0, 2.5], size=1 if lengths is None else 2) if rng.random() < 0.4 else None
    states = np.where(rng.random(n) < 0.3, rng.integers(0, K, size=n), -1) if rng.random() < 0.15 else None
    if np.shape(init.get("transmat")) and (init["transmat"] == 0).any():
        states = None  # labels can contradict zeros
    return model, x, lengths, weights, states


def check_fit(model, x, lengths, weights, states):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it runs to the end, on purpose
        model.fit(x, lengths, sample_weight=weights, states=states)
    history = np.array(model.monitor_.history)
    assert np.isfinite(history).all()
    assert (np.diff(history) >= -1e-8 * np.maximum(1.0, np.abs(history[:-1]))).all()
    assert "fell" not in model.monitor_.reason
    for values in (model.startprob_, model.transmat_, *model.emission_.to_archive()[1].values()):
        assert np.isfinite(np.asarray(values, float)).all()
    np.testing.assert_allclose(model.startprob_.sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(model.transmat_.sum(axis=1), 1.0, rtol=1e-12)
    assert min(model.startprob_.min(), model.transmat_.min()) >= 0
    for name in ("emissionprob", "weights"):
        rows = getattr(model.emission_, name, None)
        if rows is not None:
            np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-12)
    model.emission_.check(model.n_components)
    assert np.isfinite(model.score(x, lengths))
    posteriors = model.predict_proba(x, lengths)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0, rtol=1e-10)


@pytest.mark.parametrize("family", [*OTHERS, *OF_VECTORS])
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_fit_falls_becomes_nan_or_loses_a_row(family, data):
    check_fit(
        *new_problem(
            data.draw(st.sampled_from(OF_VECTORS.get(family, (family,)))),
            data.draw(st.integers(1, 5), "states"),
            data.draw(st.integers(1, 12), "observations"),
            data.draw(st.sampled_from(DATA)),
            data.draw(st.booleans(), "priors"),
            data.draw(st.integers(0, 2**32 - 1), "seed"),
        )
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_state_that_dies_keeps_its_parameters_and_is_reported(family, caplog):
    rng = np.random.default_rng(0)
    x = new_data(family, "plain", 30, rng)
    transmat = np.array([[0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [0.2, 0.3, 0.5]])
    model = HMM(
        3,
        new_emission(family, False),
        init={"startprob": [0.5, 0.5, 0.0], "transmat": transmat},
        n_iter=5,
        tol=-math.inf,
        random_state=0,
    )
    with caplog.at_level(logging.WARNING, "statespace"):
        check_fit(model, x, None, None, None)
    assert "state 2 explains no observation: it has kept its last parameters" in caplog.text
    np.testing.assert_array_equal(model.transmat_[2], transmat[2])
