r"""Laws that are not known but believed: a Dirichlet distribution for each row of probabilities.

    p(theta) = Dir(theta; a)        q(theta) = Dir(theta; a + counts)
    E_q log theta_j = psi(a_j) - psi(\sum_j a_j)

A zero of the prior says that its probability is 0, for certain: the distribution is that of the others.

References
----------
Beal (2003), Variational algorithms for approximate Bayesian inference, chapter 3 and appendix A.

"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statespace.protocols import Array, Floats


class Dirichlet(NamedTuple):
    """Rows of probabilities before the data, and after."""

    prior: Floats
    """Shape (n_rows, n)."""
    posterior: Floats
    """The same shape, 0 exactly where the prior is."""

    def mean(self) -> Floats:
        """E theta under the posterior, shape (n_rows, n)."""
        means: Floats = self.posterior / self.posterior.sum(axis=1, keepdims=True)
        return means

    def log_expectation(self) -> Floats:
        """E log theta under the posterior, -inf where the prior is 0, shape (n_rows, n)."""
        return _log_expectation(self.posterior)

    def divergence(self) -> float:
        """KL(posterior || prior), summed over rows, in nats."""
        from scipy.special import gammaln

        q, p, slopes = self.posterior, self.prior, _log_expectation(self.posterior)
        totals = gammaln(q.sum(axis=1)) - gammaln(p.sum(axis=1))
        possible = p > 0
        if not possible.all():
            q, p, slopes = q[possible], p[possible], slopes[possible]
        return float(totals.sum() + (gammaln(p) - gammaln(q) + (q - p) * slopes).sum())

    def after(self, counts: Floats) -> Dirichlet:
        """The same prior, after expected counts, shape (n_rows, n)."""
        return Dirichlet(self.prior, np.where(self.prior > 0, self.prior + counts, 0.0))


def _log_expectation(concentration: Floats) -> Floats:
    from scipy.special import digamma

    found: Floats = digamma(concentration) - digamma(concentration.sum(axis=1, keepdims=True))
    return found  # digamma(0) is -inf


def check_prior(name: str, value: Array) -> None:
    """Refuse parameters of Dirichlet distributions, (n_rows, n), that are none."""
    if not (np.isfinite(value) & (value >= 0)).all() or not (value.sum(axis=1) > 0).all():
        raise ValueError(
            f"{name} is {value.tolist()!r:.80}, expected positive numbers, or 0 for what is impossible, and a positive "
            "one in each row"
        )


def check_posterior(name: str, value: Array, prior: Array) -> None:
    """Refuse a posterior that is no Dirichlet distribution on the entries that the prior has."""
    if not (np.isfinite(value) & (value >= 0)).all():
        raise ValueError(f"{name} is {value.tolist()!r:.80}, expected finite numbers that are not negative")
    apart = np.argwhere((value > 0) != (prior > 0))
    if apart.size:
        at = tuple(apart[0].tolist())
        raise ValueError(
            f"{name}: row {at[0]} has {value[at]:g} at {at[1]} where its prior has {prior[at]:g}: both are 0, or none"
        )
