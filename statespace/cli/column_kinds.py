"""What the cells of a column are taken as: labels, counts, or numbers."""

import re
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from statespace.cli.errors import CommandError
from statespace.cli.model_grammar import Kind

NUMBER = re.compile(r"[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")
KINDS: tuple[Kind, ...] = get_args(Kind)
_MANY = 32  # whole numbers: hardly so many labels


def read_kind(cells: Sequence[str | None], kind: Kind | None, path: str, column: str) -> tuple[Kind, Any, list[str]]:
    """What a column holds, its values, and what the user should know of the choice.

    Parameters
    ----------
    cells : sequence of str or None
        None where one is missing.
    kind : {"symbols", "counts", "numbers"} or None
        None: symbols, unless there are numbers with fractions.
    path, column : str
        For messages.

    Returns
    -------
    kind, values, notes
        Values are symbols, integers where all are, None where missing; or numbers, NaN where missing.

    Raises
    ------
    CommandError
        When the column holds something else, or nothing.
    """
    where = f"{path}: column {column!r}"
    present = [cell for cell in cells if cell is not None]
    if not present:
        raise CommandError(f"{where} holds only missing values: choose another with --column")
    label = next((cell for cell in present if not NUMBER.fullmatch(cell)), None)
    fraction = None if label is not None else next((cell for cell in present if _whole(cell) is None), None)
    if kind in (None, "symbols") and fraction is None:
        symbols = list(cells) if label is not None else [None if cell is None else _whole(cell) for cell in cells]
        n = len(set(symbols) - {None})
        if kind is None and label is None and n > _MANY:
            return (
                "symbols",
                symbols,
                [
                    f"{where} holds {n} different whole numbers, and they are taken as labels: --as counts or --as "
                    "numbers takes them as amounts"
                ],
            )
        return "symbols", symbols, []
    if kind == "symbols":
        raise CommandError(
            f"{where} holds numbers with fractions, such as {fraction}: labels are words or whole numbers; leave "
            "--as symbols out (for wet and dry days there is `statespace rain`)"
        )
    if label is not None:
        raise CommandError(f"{where} holds {label!r}, which is no number: leave --as {kind} out")
    numbers = np.array([np.nan if cell is None else float(cell.replace(",", ".")) for cell in cells])
    if not np.isfinite(numbers[~np.isnan(numbers)]).all():
        raise CommandError(f"{where} holds numbers beyond what a computer can hold: mend them")
    if kind == "counts" and (fraction is not None or np.nanmin(numbers) < 0):
        wrong = fraction if fraction is not None else f"{np.nanmin(numbers):g}"
        raise CommandError(f"{where} holds {wrong}: counts are whole numbers of at least 0; give --as numbers")
    return kind or "numbers", numbers, []


def _whole(cell: str) -> int | None:
    """Read 3, 3.0 or 3,0 as an integer, and nothing else."""
    try:
        return int(cell)  # exact, however many digits an identifier has
    except ValueError:
        number = float(cell.replace(",", "."))
        return int(number) if number.is_integer() else None
