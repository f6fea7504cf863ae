"""Hidden Markov models: models with any emission, and the recursions for arrays of your own."""

import importlib
from typing import Any

_HOME = {
    "HMM": "hmm.model",
    "BernoulliEmission": "hmm.emissions.bernoulli",
    "BernoulliHMM": "hmm.hmmlearn_names",
    "CategoricalEmission": "hmm.emissions.categorical",
    "CategoricalHMM": "hmm.hmmlearn_names",
    "ConvergenceMonitor": "foundations.em",
    "ConvergenceWarning": "foundations.em",
    "Emission": "hmm.emissions.emission",
    "GMMHMM": "hmm.hmmlearn_gaussians",
    "GaussianEmission": "hmm.emissions.gaussian",
    "GaussianHMM": "hmm.hmmlearn_gaussians",
    "GaussianMixtureEmission": "hmm.emissions.gaussian_mixture",
    "MultinomialEmission": "hmm.emissions.multinomial",
    "MultinomialHMM": "hmm.hmmlearn_names",
    "PoissonEmission": "hmm.emissions.poisson",
    "VariationalCategoricalHMM": "hmm.variational_categorical",
    "VariationalGaussianHMM": "hmm.variational_gaussian",
    "PoissonHMM": "hmm.hmmlearn_names",
    "backward": "hmm.inference",
    "forward": "hmm.inference",
    "forward_backward": "hmm.inference",
    "sample_posterior": "hmm.inference",
    "viterbi": "hmm.inference",
}

__all__ = list(_HOME)  # the table above is the list


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'statespace.hmm' has no attribute {name!r}")
    return getattr(importlib.import_module(f"statespace.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
