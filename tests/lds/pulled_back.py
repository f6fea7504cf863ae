"""Whether a chain rule is right: a random linear function of a system's matrices, by differences and by pullback."""

import numpy as np

from statespace.lds.results import Gradient

_SYMMETRIC = ("obs_cov", "state_cov", "initial_state_cov")


def random_gradient(system, rng):
    """Derivatives of a random linear function of all matrices."""
    found = {}
    for name in Gradient._fields[:9]:
        G = rng.standard_normal(getattr(system, name).shape)
        found[name] = G + np.swapaxes(G, -1, -2) if name in _SYMMETRIC else G
    return Gradient(**found, log_likelihood=0.0)


def differences(function, theta, step=1e-3):
    """The gradient of a function by central differences, twice extrapolated."""
    found = np.empty(len(theta))
    for k in range(len(theta)):
        e = np.eye(len(theta))[k]

        def central(h, e=e):
            return (function(theta + h * e) - function(theta - h * e)) / (2 * h)

        first, second, third = central(step), central(step / 2), central(step / 4)
        found[k] = (16 * (4 * third - second) - (4 * second - first)) / 45
    return found


def chain_rule_error(composition, theta, seed=0):
    """The largest error of a pullback relative to the largest derivative."""
    gradient = random_gradient(composition.system(theta), np.random.default_rng(seed))

    def value(at):
        system = composition.system(at)
        return sum((getattr(gradient, name) * getattr(system, name)).sum() for name in Gradient._fields[:9])

    expected = differences(value, theta)
    pulled = composition.pullback(theta, gradient)
    return np.abs(pulled - expected).max() / max(np.abs(expected).max(), 1e-300)
