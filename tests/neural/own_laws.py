"""A law of a head as a user writes it, in plain NumPy."""

import numpy as np


class Exponential:
    """Waiting times: p(x) = rate exp(-rate x), with the logarithm of the rate as the score."""

    support = "reals"
    n_scores = 1

    def log_likelihood(self, scores, targets):
        return (scores - np.exp(scores) * targets)[:, 0]

    def derivatives(self, scores, targets):
        return self.log_likelihood(scores, targets), 1 - np.exp(scores) * targets

    def sample(self, scores, rng, temperature):
        return rng.exponential(temperature * np.exp(-scores))
