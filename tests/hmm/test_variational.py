"""Variational models against what can be computed otherwise: evidence by enumeration, integrals by simulation.

With one state, or with every state known, the approximation is exact, and the lower bound is the log evidence: products
of predictive probabilities, Polya's for symbols and Student's for vectors.
"""

import itertools
import logging
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import logsumexp

from statespace import hmm, load
from statespace.foundations.estimator import NotFittedError, clone
from statespace.hmm.dirichlet import Dirichlet
from statespace.hmm.evidence import read_evidence
from statespace.hmm.normal_wishart import NormalWishart
from statespace.hmm.variational import VariationalFit
from statespace.hmm.variational_gaussian import GaussianBelief

pytestmark = pytest.mark.filterwarnings("ignore::statespace.foundations.em.ConvergenceWarning")

KINDS = ("spherical", "diag", "full", "tied")


# --------------------------------------------------------------------------------------------- evidence, step by step


def log_evidence_of_categories(draws, prior):
    """Of categories drawn one after the other, by Polya's urn."""
    counts, total = np.array(prior, float), 0.0
    for k in draws:
        total += math.log(counts[k] / counts.sum())
        counts[k] += 1
    return total


def log_evidence_of_path(z, lengths, startprob_prior, transmat_prior):
    """Log p(z), the probabilities integrated out."""
    begins = np.cumsum([0, *lengths])[:-1]
    total = log_evidence_of_categories(z[begins], startprob_prior)
    for i, row in enumerate(transmat_prior):
        moves = [z[t + 1] for t in range(len(z) - 1) if z[t] == i and t + 1 not in begins]
        total += log_evidence_of_categories(moves, row)
    return total


def log_evidence_of_symbols(x, z, prior):
    """Log p(x | z) of symbols."""
    return sum(log_evidence_of_categories(x[z == k], row) for k, row in enumerate(prior))


def log_evidence_of_vectors(X, z, kind, prior):
    """Log p(X | z) of vectors, by Student's predictive densities."""
    D = X.shape[1]
    means, beta = prior["means"].copy(), prior["beta"].copy()
    dof, scale = np.array(prior["dof"], float), np.array(prior["scale"], float)
    total = 0.0
    for x, k in zip(X, z, strict=True):
        at = () if kind == "tied" else k
        m, b, nu, S = means[k], beta[k], dof[at], scale[at]
        wider = (b + 1) / b
        if kind in ("full", "tied"):
            df = nu - D + 1
            total += stats.multivariate_t.logpdf(x, m, S * wider / df, df)
        elif kind == "diag":
            total += stats.t.logpdf(x, nu, m, np.sqrt(S * wider / nu)).sum()
        else:
            total += stats.multivariate_t.logpdf(x, m, np.eye(D) * S * wider / nu, D * nu)
        added = b / (b + 1) * np.outer(x - m, x - m)
        scale[at] += {"diag": np.diag(added), "spherical": np.trace(added) / D}.get(kind, added)
        dof[at] += 1
        means[k], beta[k] = (b * m + x) / (b + 1), b + 1
    return total


def log_evidence_of_all_paths(n_samples, n_components, of_path):
    paths = itertools.product(range(n_components), repeat=n_samples)
    return logsumexp([of_path(np.array(path)) for path in paths])


# ------------------------------------------------------------------------------------------------------------ models


def symbols_model(rng, K, n_symbols, **options):
    return hmm.VariationalCategoricalHMM(
        K,
        startprob_prior=rng.uniform(0.2, 2, K),
        transmat_prior=rng.uniform(0.2, 2, (K, K)),
        emissionprob_prior=rng.uniform(0.2, 2, (K, n_symbols)),
        n_features=n_symbols,
        random_state=int(rng.integers(2**31)),
        **options,
    )


def random_spd(rng, n, D):
    roots = rng.normal(size=(n, D, D))
    return roots @ roots.transpose(0, 2, 1) + 0.3 * np.eye(D)


def random_prior(rng, K, D, kind):
    """Means, beta, dof, scale, in the shapes of the attributes."""
    dof = rng.uniform(D, D + 3, K)
    scale = random_spd(rng, K, D)
    shaped = {
        "full": scale,
        "tied": scale[0],
        "diag": np.einsum("kii->ki", scale),
        "spherical": scale[:, 0, 0],
    }[kind]
    return {
        "means": rng.normal(size=(K, D)),
        "beta": rng.uniform(0.1, 2, K),
        "dof": dof[0] if kind == "tied" else dof,
        "scale": shaped,
    }


def vectors_model(rng, K, D, kind, **options):
    prior = random_prior(rng, K, D, kind)
    model = hmm.VariationalGaussianHMM(
        K,
        kind,
        startprob_prior=rng.uniform(0.2, 2, K),
        transmat_prior=rng.uniform(0.2, 2, (K, K)),
        **{f"{name}_prior": value for name, value in prior.items()},
        random_state=int(rng.integers(2**31)),
        **options,
    )
    return model, prior


def falls(monitor):
    """By how much the bound fell at worst, relative to its size."""
    history = np.array(monitor.history)
    return max(0.0, -np.diff(history, prepend=-np.inf).min()) / max(1.0, np.abs(history).max())


# ----------------------------------------------------------------------------------------------- the bound is right


@given(seed=st.integers(0, 2**32), K=st.integers(1, 3), n_symbols=st.integers(1, 4))
@settings(max_examples=40)
def test_with_known_states_the_bound_is_the_evidence_of_symbols(seed, K, n_symbols):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 8, rng.integers(1, 4))
    n = lengths.sum()
    x, z = rng.integers(n_symbols, size=n), rng.integers(K, size=n)
    model = symbols_model(rng, K, n_symbols, n_iter=2).fit(x, lengths, states=z)
    expected = log_evidence_of_path(z, lengths, model.startprob_prior, model.transmat_prior)
    expected += log_evidence_of_symbols(x, z, model.emissionprob_prior)
    assert model.monitor_.history[-1] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32), K=st.integers(1, 3), D=st.integers(1, 3))
@settings(max_examples=25)
def test_with_known_states_the_bound_is_the_evidence_of_vectors(kind, seed, K, D):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    X, z = rng.normal(size=(n, D)) * 3 + 1, rng.integers(K, size=n)
    model, prior = vectors_model(rng, K, D, kind, n_iter=2)
    model.fit(X, states=z)
    expected = log_evidence_of_path(z, [n], model.startprob_prior, model.transmat_prior)
    expected += log_evidence_of_vectors(X, z, kind, prior)
    assert model.monitor_.history[-1] == pytest.approx(expected, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("kind", ["symbols", *KINDS])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=12)
def test_the_bound_is_below_the_evidence_over_all_paths(kind, seed):
    rng = np.random.default_rng(seed)
    K, n, D = 2, int(rng.integers(1, 7)), 2
    if kind == "symbols":
        X = rng.integers(3, size=n)
        model = symbols_model(rng, K, 3)
        of_data = lambda z: log_evidence_of_symbols(X, z, model.emissionprob_prior)  # noqa: E731  # one of two
    else:
        X = rng.normal(size=(n, D)) * 2
        model, prior = vectors_model(rng, K, D, kind)
        of_data = lambda z: log_evidence_of_vectors(X, z, kind, prior)  # noqa: E731
    evidence = log_evidence_of_all_paths(
        n, K, lambda z: log_evidence_of_path(z, [n], model.startprob_prior, model.transmat_prior) + of_data(z)
    )
    model.fit(X)
    assert model.lower_bound(X) <= evidence + 1e-10
    assert model.lower_bound(X) > evidence - 10  # a bound, and not a far one


@given(seed=st.integers(0, 2**32), K=st.integers(1, 3), n_symbols=st.integers(2, 3))
@settings(max_examples=15, deadline=None)
def test_the_bound_of_any_belief_is_what_its_definition_says(seed, K, n_symbols):
    """E_q log p(x, z, theta) - E_q log q over all paths, in 30 digits; the divergences are those of mpmath's gammas."""
    rng = np.random.default_rng(seed)
    x = rng.integers(n_symbols, size=4)
    model = symbols_model(rng, K, n_symbols)
    tables = []
    for name, shape in (("startprob", (1, K)), ("transmat", (K, K)), ("emissionprob", (K, n_symbols))):
        posterior = rng.uniform(0.05, 5, shape)
        prior = np.reshape(getattr(model, f"{name}_prior"), shape)
        shown = (lambda rows: rows[0]) if name == "startprob" else (lambda rows: rows)
        setattr(model, f"{name}_prior_", shown(prior))
        setattr(model, f"{name}_posterior_", shown(posterior))
        tables.append((prior, posterior))
    with mpmath.workdps(30):
        psi = [[[mpmath.digamma(a) - mpmath.digamma(mpmath.fsum(row)) for a in row] for row in q] for _, q in tables]
        weights = []
        for z in itertools.product(range(K), repeat=len(x)):
            log_weight = psi[0][0][z[0]] + mpmath.fsum(psi[2][z[t]][x[t]] for t in range(len(x)))
            log_weight += mpmath.fsum(psi[1][z[t]][z[t + 1]] for t in range(len(x) - 1))
            weights.append(log_weight)
        Z = mpmath.fsum(mpmath.exp(w) for w in weights)
        q = [mpmath.exp(w) / Z for w in weights]
        expected = mpmath.fsum(p * (w - mpmath.log(p)) for p, w in zip(q, weights, strict=True))
        for (prior, posterior), slopes in zip(tables, psi, strict=True):
            for a, b, slope in zip(posterior, prior, slopes, strict=True):
                log_q = mpmath.loggamma(mpmath.fsum(a)) - mpmath.fsum(mpmath.loggamma(v) for v in a)
                log_p = mpmath.loggamma(mpmath.fsum(b)) - mpmath.fsum(mpmath.loggamma(v) for v in b)
                expected -= log_q - log_p + mpmath.fsum((u - v) * s for u, v, s in zip(a, b, slope, strict=True))
    assert model.lower_bound(x) == pytest.approx(float(expected), rel=1e-12, abs=1e-12)


def draws_of_precisions(law, kind, n, rng):
    """Matrices (n, K or 1, D, D) out of a normal-Wishart distribution."""
    D = law.means.shape[1]
    parts = []
    for nu, S in zip(law.dof, law.scale, strict=True):
        if kind in ("full", "tied"):
            parts.append(stats.wishart(nu, np.linalg.inv(S)).rvs(n, random_state=rng).reshape(n, D, D))
        else:
            shape, rate = (nu * D / 2, S * D / 2) if kind == "spherical" else (nu / 2, S / 2)
            single = stats.gamma(shape, scale=1 / rate).rvs((n, np.size(S)), random_state=rng)
            parts.append(np.broadcast_to(single, (n, D))[:, :, None] * np.eye(D))
    return np.stack(parts, axis=1)


def log_density_of_precisions(Lambda, law, kind):
    """Log density of each draw, (n,)."""
    D = law.means.shape[1]
    total = 0.0
    for k, (nu, S) in enumerate(zip(law.dof, law.scale, strict=True)):
        if kind in ("full", "tied"):
            total = total + stats.wishart(nu, np.linalg.inv(S)).logpdf(
                np.moveaxis(Lambda[:, k], 0, -1).reshape(D, D, -1)
            )
        else:
            values = Lambda[:, k, :1, 0] if kind == "spherical" else np.einsum("nii->ni", Lambda[:, k])
            shape, rate = (nu * D / 2, S * D / 2) if kind == "spherical" else (nu / 2, S / 2)
            total = total + stats.gamma(shape, scale=1 / rate).logpdf(values).sum(axis=1)
    return total


def flat(prior, kind):
    """A NormalWishart of attributes."""
    grouped = {
        name: np.asarray(v)[None] if kind == "tied" and name in ("dof", "scale") else v for name, v in prior.items()
    }
    return NormalWishart(**grouped)


@pytest.mark.parametrize("kind", KINDS)
def test_expectations_and_divergences_of_gaussian_beliefs_are_those_of_draws(kind):
    rng = np.random.default_rng(5)
    K, D, n = 2, 2, 10_000
    q, p = (flat(random_prior(rng, K, D, kind), kind) for _ in range(2))
    belief = GaussianBelief(kind, p, q)
    Lambda = draws_of_precisions(q, kind, n, rng)
    ratio = log_density_of_precisions(Lambda, q, kind) - log_density_of_precisions(Lambda, p, kind)
    x = np.array([[0.3, -1.2]])
    log_likelihood = np.empty((n, K))
    for k in range(K):
        L = Lambda[:, 0 if kind == "tied" else k]
        roots = np.linalg.cholesky(np.linalg.inv(L))
        noise = np.einsum("nij,nj->ni", roots, rng.standard_normal((n, D)))
        mu = q.means[k] + noise / np.sqrt(q.beta[k])
        log_det = np.linalg.slogdet(L)[1]

        def log_normal(away, scale, L=L, log_det=log_det):
            quadratic = np.einsum("ni,nij,nj->n", away, L, away)
            return 0.5 * (D * np.log(scale) + log_det - D * np.log(2 * np.pi) - scale * quadratic)

        ratio = ratio + log_normal(mu - q.means[k], q.beta[k]) - log_normal(mu - p.means[k], p.beta[k])
        log_likelihood[:, k] = log_normal(x - mu, 1.0)
    for draws, found in (
        (ratio, belief.divergence()),
        *zip(log_likelihood.T, belief.log_likelihood(x)[0], strict=True),
    ):
        error = draws.std() / math.sqrt(n)
        assert abs(draws.mean() - found) < 4.5 * error
        assert error < 0.1 * max(1.0, abs(found))


# --------------------------------------------------------------------------------------------------- the fit is right


@given(
    seed=st.integers(0, 2**32),
    K=st.integers(1, 5),
    n_symbols=st.integers(1, 4),
    params=st.sampled_from(["ste", "te", "se", "st", "e"]),
    gaps=st.booleans(),
)
@settings(max_examples=1000)
def test_the_bound_never_falls_with_symbols(seed, K, n_symbols, params, gaps):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 15, rng.integers(1, 4))
    x = rng.integers(n_symbols, size=lengths.sum()).astype(float)
    if gaps:
        x[1:][rng.random(len(x) - 1) < 0.3] = np.nan
    model = symbols_model(rng, K, n_symbols, params=params, n_iter=30 if seed % 8 == 0 else 6, tol=0)
    model.fit(x, lengths, sample_weight=rng.uniform(0.1, 3, len(lengths)))
    assert falls(model.monitor_) < 1e-12
    for name in ("startprob", "transmat", "emissionprob"):
        assert (getattr(model, f"{name}_posterior_") >= getattr(model, f"{name}_prior_")).all()


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=st.integers(0, 2**32),
    K=st.integers(1, 4),
    D=st.integers(1, 3),
    params=st.sampled_from(["stmc", "stm", "stc", "mc", "m", "c"]),
    flaw=st.sampled_from(["none", "gaps", "holes", "constant", "duplicates"]),
    default=st.booleans(),
)
@settings(max_examples=1000 // len(KINDS))  # a thousand models of the family
def test_the_bound_never_falls_with_vectors(kind, seed, K, D, params, flaw, default):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(int(rng.integers(1, 25)), D)) * rng.uniform(0.1, 5, D) + rng.normal(size=D)
    X[len(X) // 2 :] += 5
    if flaw == "gaps":
        X[1:][rng.random(len(X) - 1) < 0.3] = np.nan
    elif flaw == "holes":
        X[1:][rng.random((len(X) - 1, D)) < 0.3] = np.nan
    elif flaw == "constant":
        X[:, 0] = 3.0
    elif flaw == "duplicates":
        X[1::2] = X[0]
    model, _ = vectors_model(rng, K, D, kind, params=params, n_iter=30 if seed % 8 == 0 else 6, tol=0)
    if default:
        model = hmm.VariationalGaussianHMM(
            K, kind, params=params, n_iter=30 if seed % 8 == 0 else 6, tol=0, random_state=seed % 1000
        )
    model.fit(X)
    assert falls(model.monitor_) < 1e-11
    assert np.isfinite(model.score(X))


@pytest.mark.parametrize("kind", KINDS)
def test_no_belief_nearby_is_better(kind):
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(size=(30, 2)), rng.normal(size=(20, 2)) + 3])
    model, _ = vectors_model(rng, 2, 2, kind, n_iter=2000, tol=1e-12)
    best = model.fit(X).lower_bound(X)
    for name in ("startprob", "transmat", "means", "beta", "dof", "scale"):
        found = getattr(model, f"{name}_posterior_")
        for _ in range(3):
            moved = found * (1 + 0.02 * rng.choice([-1, 1]) * rng.uniform(0.5, 1))
            setattr(model, f"{name}_posterior_", moved)
            assert model.lower_bound(X) < best
        setattr(model, f"{name}_posterior_", found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("c", [2.0**-9, 1024.0, 0.003])
def test_units_of_the_data_change_nothing_but_the_units(kind, c):
    rng = np.random.default_rng(8)
    X = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) * 3 + 4])
    fitted, scaled = (hmm.VariationalGaussianHMM(3, kind, random_state=1).fit(data) for data in (X, c * X))
    difference = X.size * math.log(c)
    assert scaled.lower_bound(c * X) + difference == pytest.approx(fitted.lower_bound(X), rel=1e-9)
    assert scaled.score(c * X) + difference == pytest.approx(fitted.score(X), rel=1e-9)
    np.testing.assert_allclose(scaled.means_, c * fitted.means_, rtol=1e-6)
    np.testing.assert_array_equal(scaled.predict(c * X), fitted.predict(X))


def test_a_sequence_of_weight_two_counts_twice():
    rng = np.random.default_rng(2)
    a, b = rng.integers(3, size=20), rng.integers(3, size=15)
    weighted = hmm.VariationalCategoricalHMM(2, n_iter=10, tol=0, random_state=0).fit([a, b], sample_weight=[2, 1])
    repeated = hmm.VariationalCategoricalHMM(2, n_iter=10, tol=0, random_state=0).fit([a, a, b])
    np.testing.assert_allclose(weighted.monitor_.history, repeated.monitor_.history, rtol=1e-12)
    np.testing.assert_allclose(weighted.emissionprob_posterior_, repeated.emissionprob_posterior_, rtol=1e-9)


def test_a_zero_of_the_prior_stays_zero():
    rng = np.random.default_rng(4)
    prior = np.triu(np.ones((3, 3)))
    x = np.concatenate([rng.integers(2, size=20), 2 + rng.integers(2, size=20)])
    model = hmm.VariationalCategoricalHMM(3, startprob_prior=[1, 0, 0], transmat_prior=prior, random_state=0).fit(x)
    assert model.startprob_.tolist() == [1, 0, 0]
    assert (model.transmat_[prior == 0] == 0).all()
    assert (np.diff(model.predict(x)) >= 0).all()
    assert falls(model.monitor_) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_missing_rows_and_entries_keep_the_bound_below_the_evidence(kind):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(6, 2)) * 2
    model, prior = vectors_model(rng, 1, 2, kind)
    gappy = X.copy()
    gappy[2] = np.nan
    known = np.delete(np.arange(6), 2)
    evidence = log_evidence_of_vectors(X[known], np.zeros(5, int), kind, prior)
    assert model.fit(gappy).lower_bound(gappy) == pytest.approx(evidence, rel=1e-12)
    if kind != "diag":
        return
    gappy[4, 1] = np.nan  # features are independent: each has the evidence of its own entries
    evidence = 0.0
    for d in range(2):
        entries = X[[0, 1, 3, 4, 5][:5]][:, [d]] if d == 0 else X[[0, 1, 3, 5]][:, [d]]
        of_feature = {name: value[:, [d]] if np.ndim(value) == 2 else value for name, value in prior.items()}
        evidence += log_evidence_of_vectors(entries, np.zeros(len(entries), int), kind, of_feature)
    bound = model.fit(gappy).lower_bound(gappy)
    assert evidence - 1 < bound < evidence


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_that_is_missing_costs_little_of_the_evidence(kind):
    """The evidence is the integral over all that the entry may have been."""
    rng = np.random.default_rng(12)
    X = rng.normal(size=(7, 2)) @ [[1.0, 0.8], [0.0, 1.0]]
    model, prior = vectors_model(rng, 1, 2, kind)

    def density(entry):
        whole = X.copy()
        whole[3, 1] = entry
        return math.exp(log_evidence_of_vectors(whole, np.zeros(7, int), kind, prior))

    evidence = math.log(integrate.quad(density, -60, 60, points=[-5, 0, 5], limit=200)[0])
    X[3, 1] = np.nan
    bound = model.fit(X).lower_bound(X)
    assert evidence - 0.3 < bound < evidence


def test_a_long_sequence_is_fitted_block_by_block(monkeypatch):
    rng = np.random.default_rng(7)
    x = np.repeat(rng.integers(3, size=60), 5)
    whole = hmm.VariationalCategoricalHMM(3, random_state=0, n_iter=8, tol=0).fit(x)
    monkeypatch.setattr("statespace.hmm.evidence._MOST_NUMBERS", 100)
    monkeypatch.setattr("statespace.hmm.blocks.BLOCK", 32)
    cut = hmm.VariationalCategoricalHMM(3, random_state=0, n_iter=8, tol=0).fit(x)
    np.testing.assert_allclose(cut.monitor_.history, whole.monitor_.history, rtol=1e-12)
    np.testing.assert_allclose(cut.transmat_posterior_, whole.transmat_posterior_, rtol=1e-9)
    assert cut.lower_bound(x) == pytest.approx(whole.lower_bound(x), rel=1e-12)


def test_what_processes_are_given_can_be_pickled():
    rng = np.random.default_rng(0)
    model, _ = vectors_model(rng, 2, 2, "full")
    X = rng.normal(size=(20, 2))
    model.fit(X)
    evidence = read_evidence(model._emission_belief(), X, None, None, 2)
    fit = pickle.loads(pickle.dumps(VariationalFit(evidence, np.ones(1), "stmc")))
    belief, monitor = fit(pickle.loads(pickle.dumps((model._belief(), hmm.ConvergenceMonitor(None, 1, False)))))
    assert monitor.history[0] == model.lower_bound(X)
    assert belief.emission.posterior.means.shape == (2, 2)


def test_more_starts_are_never_worse_and_the_executor_changes_no_bit():
    rng = np.random.default_rng(9)
    x = rng.integers(4, size=120)
    one = hmm.VariationalCategoricalHMM(4, random_state=3, tol=1e-6, n_iter=500).fit(x)
    many = hmm.VariationalCategoricalHMM(4, random_state=3, tol=1e-6, n_iter=500, n_init=6).fit(x)
    with ThreadPoolExecutor(2) as executor:
        shared = clone(many).fit(x, executor=executor)
    assert many.monitor_.history[-1] >= one.monitor_.history[-1]
    np.testing.assert_array_equal(many.emissionprob_posterior_, shared.emissionprob_posterior_)


# --------------------------------------------------------------------------------------------------- the model is whole


def fitted(kind, **options):
    rng = np.random.default_rng(1)
    if kind == "symbols":
        X = np.repeat(["a", "c", "b", "a"], 12)[rng.permutation(48) // 8 * 8 % 48]
        return hmm.VariationalCategoricalHMM(3, random_state=2, **options).fit(X), X
    X = np.concatenate([rng.normal(size=(25, 2)), rng.normal(size=(25, 2)) + 4])
    return hmm.VariationalGaussianHMM(3, kind, random_state=2, **options).fit(X), X


def all_beliefs(model):
    return {name: value for name, value in vars(model).items() if name.endswith(("_prior_", "_posterior_"))}


@pytest.mark.parametrize("kind", ["symbols", *KINDS])
def test_verbs_act_on_the_means_of_the_posteriors(kind):
    model, X = fitted(kind)
    if kind == "symbols":
        plain = hmm.CategoricalHMM(3, symbols=model.symbols_)
        plain.emissionprob_ = model.emissionprob_posterior_ / model.emissionprob_posterior_.sum(axis=1, keepdims=True)
    else:
        plain = hmm.GaussianHMM(3, kind)
        plain.means_ = model.means_posterior_
        dof = np.asarray(model.dof_posterior_)
        plain.covars_ = model.scale_posterior_ / dof.reshape(
            dof.shape + (1,) * (np.ndim(model.scale_posterior_) - dof.ndim)
        )
        np.testing.assert_allclose(model.covars_, plain.covars_, rtol=1e-13)
    plain.startprob_ = model.startprob_posterior_ / model.startprob_posterior_.sum()
    plain.transmat_ = model.transmat_posterior_ / model.transmat_posterior_.sum(axis=1, keepdims=True)
    assert model.score(X) == pytest.approx(plain.score(X), rel=1e-12)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X), atol=1e-12)
    drawn, states = model.sample(7, random_state=0)
    again, same = plain.sample(7, random_state=0)
    np.testing.assert_array_equal(states, same)
    np.testing.assert_array_equal(drawn, again)
    ours, theirs = model.forecast(X, 2), plain.forecast(X, 2)
    for part in ("probabilities", "mean", "cov"):
        if getattr(theirs, part) is not None:
            np.testing.assert_allclose(getattr(ours, part), getattr(theirs, part), rtol=1e-10, atol=1e-12)
    assert model.n_parameters == plain.n_parameters
    assert model.support == plain.support


@pytest.mark.parametrize("kind", ["symbols", *KINDS])
def test_a_saved_model_comes_back_with_its_beliefs(kind, tmp_path):
    model, X = fitted(kind)
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert type(back) is type(model)
    assert back.get_params().keys() == model.get_params().keys()
    for name, value in all_beliefs(model).items():
        np.testing.assert_array_equal(getattr(back, name), value)
        assert type(getattr(back, name)) is type(value)
    assert back.lower_bound(X) == model.lower_bound(X)
    assert back.score(X) == model.score(X)


@pytest.mark.parametrize("kind", ["symbols", *KINDS])
def test_states_with_new_numbers_are_the_same_states(kind):
    model, X = fitted(kind)
    before = model.lower_bound(X), model.score(X), model.predict(X)
    order = np.array([2, 0, 1])
    model.sort_states(np.argsort(order).astype(float))
    assert model.lower_bound(X) == pytest.approx(before[0], rel=1e-12)
    assert model.score(X) == pytest.approx(before[1], rel=1e-12)
    np.testing.assert_array_equal(order[model.predict(X)], before[2])
    model.align_to(X, before[2])
    np.testing.assert_array_equal(model.predict(X), before[2])


@pytest.mark.parametrize("kind", ["symbols", *KINDS])
def test_a_fit_goes_on_from_what_init_params_leaves(kind):
    whole, X = fitted(kind, n_iter=6, tol=0)
    part, _ = fitted(kind, n_iter=3, tol=0)
    part.init_params = ""
    part.fit(X)
    for name, value in all_beliefs(whole).items():
        np.testing.assert_allclose(getattr(part, name), value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["symbols", *KINDS])
def test_params_leaves_the_other_beliefs_as_they_were(kind):
    model, X = fitted(kind)
    before = all_beliefs(model)
    model.init_params, model.params = "", "t"
    model.fit(X[::-1])
    for name, value in all_beliefs(model).items():
        assert np.array_equal(value, before[name]) == (name != "transmat_posterior_")


def test_means_by_hand_are_believed_as_strongly_as_before():
    model, X = fitted("full")
    counts = model.transmat_posterior_.sum(axis=1)
    model.transmat_ = np.full((3, 3), 1 / 3)
    np.testing.assert_allclose(model.transmat_posterior_.sum(axis=1), counts)
    np.testing.assert_allclose(model.transmat_, 1 / 3)
    for kind in KINDS:
        other, _ = fitted(kind)
        shown = other.covars_
        other.covars_ = shown
        np.testing.assert_allclose(other.covars_, shown, rtol=1e-14)
    dof = model.dof_posterior_.copy()
    model.covars_ = np.tile(np.eye(2), (3, 1, 1))
    np.testing.assert_allclose(model.covars_, np.tile(np.eye(2), (3, 1, 1)))
    np.testing.assert_array_equal(model.dof_posterior_, dof)
    assert np.isfinite(model.score(X))


def test_parameters_by_hand_make_a_model_without_a_fit():
    model = hmm.VariationalCategoricalHMM(2)
    model.startprob_ = [0.6, 0.4]
    model.transmat_ = [[0.7, 0.3], [0.4, 0.6]]
    model.emissionprob_ = [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]
    assert math.exp(model.score([[0], [1], [2]])) == pytest.approx(0.033612, rel=1e-12)
    assert model.predict([[0], [1], [2]]).tolist() == [1, 0, 0]


def test_what_will_be_overwritten_is_logged(caplog):
    model, X = fitted("full")
    with caplog.at_level(logging.WARNING, logger="statespace"):
        model.fit(X)
    assert sum("'means_posterior_' attribute is set, it will be overwritten" in r.message for r in caplog.records) == 1


def test_the_divergence_of_few_and_of_many_counts_is_exact():
    q, p = np.array([[1e-3, 2e5, 0.0]]), np.array([[5e-4, 0.1, 0.0]])
    a, b = (mpmath.mpf(float(v)) for v in q[0, :2])
    u, v = (mpmath.mpf(float(w)) for w in p[0, :2])
    with mpmath.workdps(40):
        log_beta = lambda s, t: mpmath.loggamma(s) + mpmath.loggamma(t) - mpmath.loggamma(s + t)  # noqa: E731
        exact = log_beta(u, v) - log_beta(a, b) + (a - u) * mpmath.digamma(a) + (b - v) * mpmath.digamma(b)
        exact += (u - a + v - b) * mpmath.digamma(a + b)
    largest_term = math.lgamma(2e5)
    assert Dirichlet(p, q).divergence() == pytest.approx(float(exact), abs=4 * np.finfo(float).eps * largest_term)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("startprob_posterior_", [1.0, 1.0], r"startprob_posterior_ must have shape \(3,\)"),
        ("transmat_prior_", np.zeros((3, 3)), "transmat_prior_ is .*, and a positive one in each row"),
        ("transmat_posterior_", np.eye(3), "row 0 has 0 at 1 where its prior has 0.33"),
        ("means_posterior_", np.full((3, 2), np.nan), "means_posterior_ must be finite"),
        ("beta_posterior_", [1.0, 0.0, 1.0], "beta_posterior_ is 0, expected a finite number above 0"),
        (
            "dof_posterior_",
            [5.0, 1.0, 5.0],
            r"dof_posterior_ is 1, expected a finite number above 1 \(n_features - 1\)",
        ),
        ("scale_posterior_", np.tile([[1.0, 2.0], [2.0, 1.0]], (3, 1, 1)), "scale_posterior_: .*positive-definite"),
    ],
)
def test_beliefs_that_are_none_are_refused_by_name(name, value, message):
    model, X = fitted("full")
    setattr(model, name, value)
    with pytest.raises(ValueError, match=message):
        model.score(X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transmat_prior": -1.0}, "transmat_prior_ is .*expected positive numbers"),
        ({"startprob_prior": [1.0, 2.0]}, r"startprob_prior has shape \(2,\), expected a number or shape \(3,\)"),
        ({"beta_prior": 0}, "beta_prior_ is 0"),
        ({"dof_prior": 1}, r"dof_prior_ is 1, expected a finite number above 1 \(n_features - 1\)"),
        ({"scale_prior": -1}, "scale_prior_: "),
        ({"params": "x"}, "params is 'x', and 'x' stands for nothing: expected letters of s"),
        ({"covariance_type": "round"}, "covariance_type is 'round'"),
        ({"implementation": "slow"}, "implementation is 'slow'"),
    ],
)
def test_options_that_make_no_prior_are_refused_and_leave_the_model(options, message):
    model, X = fitted("full")
    before = all_beliefs(model)
    model.set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert all(np.array_equal(value, before[name]) for name, value in all_beliefs(model).items())


def test_a_model_that_is_not_fitted_says_so():
    with pytest.raises(NotFittedError, match=r"is not fitted yet: call fit\(X\) first, or assign startprob_posterior_"):
        hmm.VariationalGaussianHMM(2).score([[1.0], [2.0]])
    assert not hasattr(hmm.VariationalCategoricalHMM(2), "startprob_")


def test_laws_of_another_shape_are_not_assigned():
    model = hmm.VariationalCategoricalHMM(2, random_state=0).fit([0, 1, 2, 1, 0, 2])
    with pytest.raises(ValueError, match="emissionprob_ has shape"):
        model.emissionprob_ = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("name", "shape"), [("startprob", (3,)), ("transmat", (3, 3)), ("transmat", (4, 3)), ("emissionprob", (3, 3))]
)
@pytest.mark.parametrize("part", ["prior", "posterior"])
def test_a_fit_does_not_begin_with_beliefs_of_another_shape(name, shape, part):
    model = hmm.VariationalCategoricalHMM(4, n_iter=1, random_state=0, init_params="")
    setattr(model, f"{name}_{part}_", np.full(shape, 0.5))
    other = {"prior": "posterior", "posterior": "prior"}[part]
    setattr(model, f"{name}_{other}_", np.full((4,) if name == "startprob" else (4, 4 - (name[0] == "e")), 0.5))
    with pytest.raises(ValueError, match=rf"{name}_{part}_ must have shape \(4,"):
        model.fit(np.arange(60) % 3)
