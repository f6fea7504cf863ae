"""Variational models against hmmlearn's, from the same beliefs; and where it is wrong.

hmmlearn leaves the constant of the Gaussian density out of its bound, n_features log(2 pi) / 2 for each observation,
and with 'diag' and 'spherical' covariances takes the expectations of whole Wishart matrices.
"""

import math

import numpy as np
import pytest

from statespace import hmm

vhmm = pytest.importorskip("hmmlearn.vhmm", reason="the test extra installs hmmlearn")
pytestmark = pytest.mark.filterwarnings("ignore::statespace.foundations.em.ConvergenceWarning")
N_ITER = 12


def beliefs(rng, K, *, n_symbols=0, D=0, kind=None):
    """Every attribute of a model, prior and posterior."""
    found = {}
    for part, most in (("prior", 2), ("posterior", 20)):
        found[f"startprob_{part}_"] = rng.uniform(0.5, most, K)
        found[f"transmat_{part}_"] = rng.uniform(0.5, most, (K, K))
        if n_symbols:
            found[f"emissionprob_{part}_"] = rng.uniform(0.5, most, (K, n_symbols))
            continue
        roots = rng.normal(size=(K, D, D))
        scale = roots @ roots.transpose(0, 2, 1) + np.eye(D)
        dof = rng.uniform(D, D + most, K)
        found[f"means_{part}_"] = rng.normal(size=(K, D)) * 2
        found[f"beta_{part}_"] = rng.uniform(0.1, most, K)
        found[f"dof_{part}_"] = float(dof[0]) if kind == "tied" else dof
        found[f"scale_{part}_"] = {
            "full": scale,
            "tied": scale[0],
            "diag": np.einsum("kii->ki", scale),
            "spherical": scale[:, 0, 0],
        }[kind]
    return found


def both(name, given, *args, **options):
    """Our model and theirs with the same beliefs."""
    made = []
    for module in (hmm, vhmm):
        model = getattr(module, name)(*args, n_iter=N_ITER, tol=0, init_params="", **options)
        for attribute, value in given.items():
            setattr(model, attribute, np.array(value) if np.ndim(value) else value)
        made.append(model)
    return made


def assert_same_beliefs(ours, theirs, given, rtol=1e-9):
    for name in given:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=rtol, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("implementation", ["log", "scaling"])
def test_symbols_lead_to_the_beliefs_and_bounds_of_hmmlearn(implementation):
    rng = np.random.default_rng(0)
    given = beliefs(rng, 3, n_symbols=4)
    X, lengths = rng.integers(4, size=(90, 1)), [40, 1, 49]
    ours, theirs = both("VariationalCategoricalHMM", given, 3, n_features=4, implementation=implementation)
    ours.fit(X, lengths)
    theirs.fit(X, lengths)
    assert_same_beliefs(ours, theirs, given)
    np.testing.assert_allclose(ours.monitor_.history, theirs.monitor_.history, rtol=1e-10)
    assert ours.score(X, lengths) == pytest.approx(theirs.score(X, lengths), rel=1e-10)
    np.testing.assert_array_equal(ours.predict(X, lengths), theirs.predict(X, lengths))


@pytest.mark.parametrize(
    ("kind", "D"), [("full", 1), ("full", 3), ("tied", 1), ("tied", 2), ("diag", 1), ("spherical", 1)]
)
def test_vectors_lead_to_the_beliefs_of_hmmlearn_and_to_its_bound_without_the_constant(kind, D):
    rng = np.random.default_rng(1)
    given = beliefs(rng, 3, D=D, kind=kind)
    X, lengths = rng.normal(size=(80, D)) * 2, [30, 50]
    X[40:] += 3
    ours, theirs = both("VariationalGaussianHMM", given, 3, kind)
    ours.fit(X, lengths)
    theirs.fit(X, lengths)
    assert_same_beliefs(ours, theirs, given, rtol=1e-8)
    lacking = 0.5 * X.size * math.log(2 * math.pi)
    np.testing.assert_allclose(ours.monitor_.history, np.array(theirs.monitor_.history) - lacking, rtol=1e-10)
    np.testing.assert_allclose(ours.covars_, theirs.covars_, rtol=1e-8)
    assert ours.score(X, lengths) == pytest.approx(theirs.score(X, lengths), rel=1e-9)


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_without_correlations_hmmlearn_expects_other_logarithms(kind):
    """Of its models with one state; ours has Student's evidence there (tests/hmm/test_variational.py)."""
    rng = np.random.default_rng(2)
    given = beliefs(rng, 1, D=2, kind=kind)
    X = rng.normal(size=(30, 2))
    ours, theirs = both("VariationalGaussianHMM", given, 1, kind)
    theirs.fit(X)
    ours.fit(X)
    assert_same_beliefs(ours, theirs, given)
    lacking = 0.5 * X.size * math.log(2 * math.pi)
    assert abs(theirs.monitor_.history[-1] - lacking - ours.monitor_.history[-1]) > 0.1


def test_with_means_held_hmmlearns_bound_falls_and_ours_does_not():
    rng = np.random.default_rng(0)
    given = beliefs(rng, 2, D=1, kind="full")
    X = rng.normal(size=(40, 1)) + 3
    ours, theirs = both("VariationalGaussianHMM", given, 2, "full", params="stc")
    ours.fit(X)
    theirs.fit(X)
    assert np.diff(ours.monitor_.history).min() > -1e-10
    assert np.diff(theirs.monitor_.history).min() < -1e-3
    np.testing.assert_array_equal(ours.means_posterior_, given["means_posterior_"])


def test_hmmlearns_defaults_follow_the_units_of_the_data_and_ours_do_not():
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(size=(60, 1)), rng.normal(size=(60, 1)) + 4])
    changes = {}
    for name, module in (("ours", hmm), ("theirs", vhmm)):
        totals = []
        for c in (1.0, 2.0**-10):
            model = module.VariationalGaussianHMM(2, random_state=0).fit(c * X)
            totals.append(model.score(c * X) + X.size * math.log(c))
        changes[name] = abs(totals[1] - totals[0])
    assert changes["ours"] < 1e-9 < 1.0 < changes["theirs"]
