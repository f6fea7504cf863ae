"""hmmlearn's letters: which parameters a fit starts anew (`init_params`), and which it estimates (`params`).

| letter | parameter |
|---|---|
| s, t | startprob, transmat |
| e | emissionprob |
| l | lambdas |
| m, c, w | means, covars, weights |
| p | probs |
"""

import logging
from collections.abc import Mapping
from typing import Any

_log = logging.getLogger("statespace")

_LAWS = {"s": "startprob", "t": "transmat"}


def check_letters(name: str, letters: Any, of_emission: Mapping[str, str]) -> None:
    """Refuse letters that stand for nothing."""
    known = _LAWS | dict(of_emission)
    unknown = [letter for letter in letters if letter not in known]
    if unknown:
        meant = ", ".join(f"{letter} ({parameter})" for letter, parameter in known.items())
        raise ValueError(f"{name} is {letters!r}, and {unknown[0]!r} stands for nothing: expected letters of {meant}")


def begun_anew(model: Any, init_params: Any, fixed: Any, of_emission: Mapping[str, str]) -> str:
    """The letters of `init_params` but for those of values that are set and to be held: they keep them."""
    named = fixed if isinstance(fixed, dict) else {}
    held = [
        letter
        for letter, parameter in (_LAWS | dict(of_emission)).items()
        if parameter in named and hasattr(model, f"{parameter}_")
    ]
    return "".join(letter for letter in init_params if letter not in held)


def warn_overwritten(model: Any, init_params: Any, of_emission: Mapping[str, str]) -> None:
    """Log which values that are set a fit is about to overwrite."""
    for letter, parameter in (_LAWS | dict(of_emission)).items():
        if letter in init_params and hasattr(model, f"{parameter}_"):
            _log.warning(
                "Even though the %r attribute is set, it will be overwritten during initialization because "
                "'init_params' contains %r",
                f"{parameter}_",
                letter,
            )


def surviving(init_params: Any, letters: Mapping[str, str]) -> list[str]:
    """Parameters that a fit starts from, where they are set."""
    return [parameter for letter, parameter in letters.items() if letter not in init_params]


def surviving_laws(model: Any, init_params: Any) -> dict[str, Any]:
    """The laws that a fit starts from."""
    return {name: getattr(model, f"{name}_") for name in surviving(init_params, _LAWS) if hasattr(model, f"{name}_")}


def held_parameters(params: Any, of_emission: Mapping[str, str]) -> dict[str, bool]:
    """Parameters that a fit does not estimate, as `fixed` has them."""
    return {parameter: True for letter, parameter in (_LAWS | dict(of_emission)).items() if letter not in params}
