"""Fits on the command line: what the library warns of becomes a note, and what it refuses the command's one line."""

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from statespace.cli.errors import CommandError
from statespace.foundations.em import ConvergenceWarning

T = TypeVar("T")


def said_plainly(work: Callable[[], T], where: str = "") -> T:
    """Do the work; turn the library's refusal of the data into the command's one line, after `where`."""
    log = logging.getLogger("statespace")
    silence = logging.NullHandler()  # a table of eight models is no place for remarks on each fit
    log.addHandler(silence)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return work()
    except (ValueError, ArithmeticError) as error:  # ArithmeticError: a training that diverged
        raise CommandError(f"{where}{error}") from error
    finally:
        log.removeHandler(silence)


def unfinished(models: Mapping[str, Any]) -> list[str]:
    """Return a note on each fit that was stopped before it converged."""
    notes = []
    for name, model in models.items():
        if hasattr(model, "monitor_") and model.monitor_.reason.startswith("not converged"):
            notes.append(f"the fit of {name} was stopped after {model.monitor_.iter} iterations, before it converged")
        elif hasattr(model, "history_") and model.history_.still_falling:
            notes.append(
                f"the training of {name} was stopped after {model.history_.n_epochs} epochs, while what it was held "
                "against was still better predicted"
            )
    return notes
