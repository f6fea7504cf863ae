"""What holds for every emission with priors, held entries and coordinates, checked without knowing the family."""

import copy

import numpy as np


def objective(emission, X, posteriors):
    """What an M-step maximises: the expected log-likelihood, and the log density of the prior."""
    found = emission.log_likelihood(X)
    return np.where(posteriors > 0, posteriors * np.where(posteriors > 0, found, 0.0), 0.0).sum() + emission.log_prior()


def assert_gradient_is_the_derivative(emission, X, posteriors):
    """`gradient` and `prior_gradient` against central differences of the objective in the coordinates."""
    v = emission.to_vector()
    emission.from_vector(v)
    slope = emission.gradient(X, posteriors) + emission.prior_gradient()
    assert slope.shape == v.shape

    def at(moved):
        other = copy.deepcopy(emission)
        other.from_vector(moved)
        return objective(other, X, posteriors)

    step = 1e-5
    for i in range(len(v)):
        unit = step * np.eye(len(v))[i]
        difference = (at(v + unit) - at(v - unit)) / (2 * step)
        scale = 1 + np.abs(slope).max() + abs(at(v)) * 1e-3
        assert abs(difference - slope[i]) < 2e-6 * scale, (i, difference, slope[i])


def assert_m_step_cannot_be_beaten(emission, X, posteriors, rng):
    """No move of the coordinates from the result of the M-step raises the objective; the M-step never lowers it."""
    before = objective(emission, X, posteriors)
    emission.m_step(X, posteriors)
    best = objective(emission, X, posteriors)
    slack = 1e-9 * (1 + abs(best))
    assert best >= before - slack
    v = emission.to_vector()
    for size in (1e-3, 0.1, 1.0):
        for _ in range(5):
            rival = copy.deepcopy(emission)
            rival.from_vector(v + size * rng.standard_normal(len(v)))
            assert objective(rival, X, posteriors) <= best + slack


def assert_archive_keeps_everything(emission):
    """Saved and loaded, an emission equals what it was."""
    assert type(emission).from_archive(*emission.to_archive()) == emission


def brute_force_score(model, X):
    """Log-likelihood of one sequence by summing over all paths of states."""
    from itertools import product

    K, n = model.n_components, len(X)
    b = np.exp(model.emission_.log_likelihood(X))
    total = 0.0
    for path in product(range(K), repeat=n):
        p = model.startprob_[path[0]] * b[0, path[0]]
        for t in range(1, n):
            p *= model.transmat_[path[t - 1], path[t]] * b[t, path[t]]
        total += p
    return np.log(total)
