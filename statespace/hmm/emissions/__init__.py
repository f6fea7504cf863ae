"""Families of emissions: the law of an observation in each state, one file a family."""

from statespace.hmm.emissions.bernoulli import BernoulliEmission
from statespace.hmm.emissions.categorical import CategoricalEmission
from statespace.hmm.emissions.emission import Emission
from statespace.hmm.emissions.gaussian import GaussianEmission
from statespace.hmm.emissions.gaussian_mixture import GaussianMixtureEmission
from statespace.hmm.emissions.multinomial import MultinomialEmission
from statespace.hmm.emissions.poisson import PoissonEmission

__all__ = [
    "BernoulliEmission",
    "CategoricalEmission",
    "Emission",
    "GaussianEmission",
    "GaussianMixtureEmission",
    "MultinomialEmission",
    "PoissonEmission",
]
