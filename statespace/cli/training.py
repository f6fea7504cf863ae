"""Whether what is left after holding out the end of a series can teach a chain of some order anything."""

from collections.abc import Sequence

from statespace.cli.errors import CommandError
from statespace.cli.tables import counted


def check_training(
    where: str, missing: Sequence[bool], test_last: int, *, order: int, model: str, unit: str, remedy: str
) -> None:
    """Refuse to fit where no run of `order` + 1 observations is complete, in the words of the command's options.

    Parameters
    ----------
    where : str
        What the data are called.
    missing : sequence of bool
        One a step, of the whole series.
    test_last : int
        Steps held out at the end.
    order : int
        The highest that is fitted.
    model : str
        The name of the model that has it.
    unit : str
        What one step is: "row" or "day".
    remedy : str
        What lowers the order.

    Raises
    ------
    CommandError
        When the steps before the held-out ones are too few or too gappy.
    """
    needed, before = order + 1, len(missing) - test_last
    taught = _end_of_first_run(missing, needed)
    if taught is not None and taught <= before:
        return
    largest = 0 if taught is None else len(missing) - taught
    way_out = f"give --test-last {largest} or less, or {remedy}" if largest else remedy
    raise CommandError(
        f"--test-last is {test_last}, which leaves {counted(before, unit)} of {where} to learn from, and {model} needs "
        f"{counted(needed, unit)} without a gap: {way_out}"
    )


def _end_of_first_run(missing: Sequence[bool], length: int) -> int | None:
    """Return how many steps it takes until `length` of them in a row are there; None where that never comes."""
    run = 0
    for step, gap in enumerate(missing):
        run = 0 if gap else run + 1
        if run == length:
            return step + 1
    return None
