"""`load`: from a saved file back to a model, by a table of the classes that can be saved."""

import dataclasses
import os
from importlib import import_module
from typing import Any

from statespace.foundations.archive import ArchiveError, UnknownClassError, read_archive

_CLASSES = {
    "ARIMA": "statespace.lds.arima:ARIMA",
    "BernoulliHMM": "statespace.hmm.hmmlearn_names:BernoulliHMM",
    "CategoricalHMM": "statespace.hmm.hmmlearn_names:CategoricalHMM",
    "GMMHMM": "statespace.hmm.hmmlearn_gaussians:GMMHMM",
    "GaussianHMM": "statespace.hmm.hmmlearn_gaussians:GaussianHMM",
    "HMM": "statespace.hmm.model:HMM",
    "LinearDynamicalSystem": "statespace.lds.model:LinearDynamicalSystem",
    "MarkovChain": "statespace.markov.chain:MarkovChain",
    "StructuralModel": "statespace.lds.structural:StructuralModel",
    "RecurrentClassifier": "statespace.neural.classifier:RecurrentClassifier",
    "RecurrentRegressor": "statespace.neural.regressor:RecurrentRegressor",
    "RecurrentTagger": "statespace.neural.tagger:RecurrentTagger",
    "RecurrentSequenceModel": "statespace.neural.sequence_model:RecurrentSequenceModel",
    "SequenceToSequence": "statespace.neural.encoder_decoder:SequenceToSequence",
    "VariationalCategoricalHMM": "statespace.hmm.variational_categorical:VariationalCategoricalHMM",
    "VariationalGaussianHMM": "statespace.hmm.variational_gaussian:VariationalGaussianHMM",
    "MultinomialHMM": "statespace.hmm.hmmlearn_names:MultinomialHMM",
    "PoissonHMM": "statespace.hmm.hmmlearn_names:PoissonHMM",
}


def load(path: str | os.PathLike[str], **user_classes: type) -> Any:
    """Return the model that `save(path)` wrote.

    The file names its class, and nothing in it is run: the class is one of this package's, or one that you hand over.

    Parameters
    ----------
    path : str or path
    **user_classes
        Your own classes by the name they were saved under, as in `load(path, MyModel=MyModel)`, or the class of an
        emission of your own, `load(path, MyEmission=MyEmission)`; one with the name of a class of this package takes
        its place. The class of a model is given the file's `Archive` by its class method `_from_archive`, and returns
        the model.

    Raises
    ------
    ArchiveError
        If the file is foreign, damaged, truncated or newer, or if its class is unknown.
    FileNotFoundError
        If there is no file.
    TypeError
        If what you handed over is no class, or the model's has no `_from_archive`.

    """
    for name, user_class in user_classes.items():
        if not isinstance(user_class, type):
            raise TypeError(
                f"{name}={user_class!r}: expected a class with a class method _from_archive, or an emission's"
            )
    archive = dataclasses.replace(read_archive(path), classes=user_classes)
    if archive.kind in user_classes:
        model_class: Any = user_classes[archive.kind]
        if not callable(getattr(model_class, "_from_archive", None)):
            raise TypeError(
                f"{archive.kind}={model_class!r}: expected a class with a class method _from_archive(archive)"
            )
    elif archive.kind in _CLASSES:
        module, _, name = _CLASSES[archive.kind].partition(":")
        model_class = getattr(import_module(module), name)
    else:
        raise ArchiveError(f"{os.fspath(path)} holds {UnknownClassError('a', archive.kind)}")
    try:
        return model_class._from_archive(archive)
    except UnknownClassError as error:
        raise ArchiveError(f"{os.fspath(path)} holds {error}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ArchiveError(
            f"{os.fspath(path)} holds a {archive.kind} whose contents do not fit together "
            f"({type(error).__name__}: {error}): save the model again"
        ) from error
