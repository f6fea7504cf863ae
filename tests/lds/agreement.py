"""A model on matrices that are given, and what it has to agree with the dense twin in."""

import numpy as np

from statespace.lds.verbs import SystemVerbs
from tests import naive_lds

TOLERANCE = 1e-9  # of the largest entry of an array
_ROUNDING = 1e-5  # times the tolerance: some roundings of the numbers it is made of, where what is right is nothing
AGREES = 1e-8  # of the size of the data: an implied observation that is as far off is none


class Given(SystemVerbs):
    """The verbs on a system."""

    def __init__(self, system):
        self.system = system

    def _system(self):
        return self.system


def error(found, right, size=0.0):
    """The largest difference, relative to the largest entry (or to a little of `size`); inf where shapes differ."""
    found, right = np.asarray(found, dtype=float), np.asarray(right, dtype=float)
    if found.shape != right.shape:
        return np.inf
    if not found.size:
        return 0.0
    scale = max(np.abs(right).max(), _ROUNDING * size)
    worst = np.abs(found - right).max()
    if np.isnan(worst):
        return np.inf
    return worst / scale if scale > 0 else (0.0 if worst == 0 else np.inf)


def check(found, right, name, size=0.0, tolerance=TOLERANCE):
    worst = error(found, right, size)
    assert worst <= tolerance, f"{name}: {worst:.1e} of the largest entry\nfound {found}\nright {right}"


def is_covariance(C):
    """Symmetric to the last bit, and positive-semidefinite up to rounding of correlations; inf where not known."""
    C = C[np.isfinite(C).all(axis=(1, 2))]
    np.testing.assert_array_equal(C, C.transpose(0, 2, 1))
    variances = np.diagonal(C, axis1=1, axis2=2)
    assert (variances >= 0).all(), variances.min()
    deviations = np.where(variances > 0, np.sqrt(np.maximum(variances, 0)), 1.0)
    if C.size:
        lowest = np.linalg.eigvalsh(C / deviations[:, :, None] / deviations[:, None, :])[:, 0]
        assert (lowest >= -1e-7).all(), lowest.min()


def growth(system, Y, right):
    """The largest entry of a product of transitions between two steps, in units of the deviations of the states.

    Rounding of a state that is known exactly grows by it: nothing that is seen corrects it any more.
    """
    units = np.sqrt(np.abs(np.diagonal(right.predicted_cov, axis1=1, axis2=2)).max(axis=0))
    units = np.where(units > 0, units, np.maximum(np.abs(right.predicted_mean).max(axis=0), 1.0))
    largest, products = 1.0, []
    for t in range(len(Y)):
        T = system.transition[t if len(system.transition) > 1 else 0] * units / units[:, None]
        products = [T @ product for product in products] + [T]
        largest = max(largest, *(np.abs(product).max() for product in products))
    return largest


def sizes(system, Y, right):
    """Of what means and covariances of states are made of."""
    deviation = np.sqrt(max(np.abs(right.predicted_cov).max(initial=0.0), np.abs(system.initial_state_cov).max()))
    seen = np.nanmax(np.abs(Y), initial=0.0) / max(np.abs(system.design).max(), 1e-300)
    mean = max(np.abs(right.predicted_mean).max(initial=0.0), deviation, seen) * growth(system, Y, right)
    return mean, deviation**2


def contradicted(Y, right):
    """Whether implied observations are off: None where it is a matter of rounding."""
    off = np.abs(right.contradiction)
    scale = np.nanmax(np.abs(Y), initial=0.0)
    if (off > 1e-4 * scale).any():
        return True
    return None if (off > 1e-13 * scale).any() else False


def check_filter(system, Y, form="auto", right=None, tolerance=TOLERANCE):
    """Every field of the result of `filter`."""
    right = naive_lds.dense(system, Y) if right is None else right
    found = Given(system).filter(Y, form=form)
    mean, cov = sizes(system, Y, right)
    assert found.n_diffuse_steps == right.n_diffuse_steps
    for name, size in (
        ("predicted_mean", mean),
        ("filtered_mean", mean),
        ("predicted_cov", cov),
        ("filtered_cov", cov),
    ):
        check(getattr(found, name), getattr(right, name), name, size, tolerance)
    steps = right.n_diffuse_steps
    check(found.predicted_diffuse_cov[:steps], right.predicted_diffuse_cov[:steps], "diffuse", 0.0, tolerance)
    assert found.predicted_diffuse_cov.shape == (steps + 1, *right.predicted_cov.shape[1:])
    np.testing.assert_array_equal(np.isnan(found.innovations), np.isnan(Y))
    seen = ~np.isnan(Y)
    scale = np.nanmax(np.abs(Y), initial=0.0)
    check(found.innovations[seen], right.innovations[seen], "innovations", scale, tolerance)
    check_innovation_cov(found.innovation_cov, right, system, cov, tolerance)
    off = contradicted(Y, right)
    if off is False:
        check(found.log_likelihood, right.log_likelihood, "log_likelihood", len(Y), tolerance)
        check(found.log_likelihood_steps, right.log_likelihood_steps, "log_likelihood_steps", 1.0, tolerance)
        model = Given(system)
        check(model.log_likelihood(Y, form=form), right.log_likelihood, "without the rest", len(Y), tolerance)
        kfas = model.log_likelihood(Y, form=form, convention="kfas")
        check(kfas, right.log_likelihood_kfas, "kfas", len(Y), tolerance)
    elif off:
        assert found.log_likelihood == -np.inf
        assert Given(system).log_likelihood(Y, form=form) == -np.inf
    return found, right


def check_innovation_cov(found, right, system, size, tolerance):
    """Infinite where something diffuse is seen; the rest as the twin has it."""
    infinite = np.diagonal(right.innovation_diffuse_cov, axis1=1, axis2=2) > 0
    np.testing.assert_array_equal(np.isinf(np.diagonal(found, axis1=1, axis2=2)), infinite)
    known = ~(infinite[:, :, None] | infinite[:, None, :])
    size = np.abs(right.innovation_cov).max(initial=0.0)
    check(np.where(known, found, 0.0), np.where(known, right.innovation_cov, 0.0), "innovation_cov", size, tolerance)


def check_smoother(system, Y, form="auto", right=None, tolerance=TOLERANCE):
    """Every field of the result of `smooth`; what the data do not determine is infinite."""
    right = naive_lds.dense(system, Y) if right is None else right
    found = Given(system).smooth(Y, form=form)
    mean, cov = sizes(system, Y, right)
    check(found.mean, right.mean, "mean", mean, tolerance)
    infinite = np.diagonal(right.diffuse_cov, axis1=1, axis2=2) > 0
    np.testing.assert_array_equal(np.isinf(np.diagonal(found.cov, axis1=1, axis2=2)), infinite)
    known = ~(infinite[:, :, None] | infinite[:, None, :])
    check(np.where(known, found.cov, 0.0), np.where(known, right.cov, 0.0), "cov", cov, tolerance)
    lagged = ~(infinite[1:, :, None] | infinite[:-1, None, :])
    pair = np.where(lagged, found.lag_one_cov, 0.0), np.where(lagged, right.lag_one_cov, 0.0)
    check(*pair, "lag_one_cov", cov, tolerance)
    moves = np.abs(right.mean).max(initial=0.0) / max(np.abs(system.selection).max(initial=0.0), 1e-300)
    for name, C, made_of in (
        ("obs_disturbance", system.obs_cov, 0.0),
        ("state_disturbance", system.state_cov, moves),
    ):
        size = np.abs(C).max(initial=0.0)
        made_of = max(np.sqrt(size), made_of if size else 0.0)
        check(getattr(found, name), getattr(right, name), name, made_of, tolerance)
        check(getattr(found, f"{name}_cov"), getattr(right, f"{name}_cov"), f"{name}_cov", size, tolerance)
    if contradicted(Y, right) is False:
        check(found.log_likelihood, right.log_likelihood, "log_likelihood", len(Y), tolerance)
    return found, right
