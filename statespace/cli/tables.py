"""What commands write to stdout: tables that fit the terminal, and JSON without NaN.

Colours and bold are left out when the output is piped or NO_COLOR is set; where the encoding of stdout is not UTF,
plain ASCII stands for everything else.
"""

import json
import math
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.box import SIMPLE, Box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

ASCII_SIMPLE = Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
"""One line under the header, as in SIMPLE."""


def new_console() -> Console:
    """Return a console on the present stdout that takes text as it stands."""
    return Console(highlight=False, markup=False, emoji=False)


def show(console: Console, parts: Iterable[RenderableType]) -> None:
    """Render parts one below the other and write them, replacing what stdout cannot encode."""
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    lines = (line.rstrip(" ") for line in captured.get().splitlines(keepends=False))
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def show_json(document: dict[str, Any]) -> None:
    """Write one JSON document; numbers that JSON does not know (NaN, infinities) are null."""
    sys.stdout.write(json.dumps(plain(document), indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """Turn arrays, tuples and numpy numbers into what JSON has, and numbers that are not finite into None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def figures(
    console: Console,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    best: Collection[tuple[int, int]] = (),
) -> list[RenderableType]:
    """Lay out a table, or a list where the terminal is too narrow for one.

    Parameters
    ----------
    console : Console
        Where it will be shown.
    header : sequence of str
        Names of the columns; the first names the rows.
    rows : sequence of sequence of str
        The cells.
    best : collection of (row, column)
        Cells that are marked, in bold and with a star.
    """
    marked = [
        [Text(cell, style="bold") if (row, column) in best else Text(cell) for column, cell in enumerate(cells)]
        for row, cells in enumerate(rows)
    ]
    starred = {column for _, column in best}
    table = Table(box=ASCII_SIMPLE if ascii_only(console) else SIMPLE, padding=(0, 1, 0, 0), header_style="bold")
    for column, name in enumerate(header):
        table.add_column(
            Text(f"{name} " if column in starred else name), justify="left" if column == 0 else "right", no_wrap=True
        )
    for row, cells in enumerate(marked):
        for column, cell in enumerate(cells):
            if column in starred:
                cell.append("*" if (row, column) in best else " ")
        table.add_row(*cells)
    unbounded = console.options.update(width=100_000)
    if console.measure(table, options=unbounded).maximum <= console.width:
        return [table]
    parts: list[RenderableType] = [Text()]
    names = [name.replace("-\n", "-").replace("\n", " ") for name in header]
    for cells in marked:
        cells[0].stylize("bold")
        parts.append(cells[0])
        for name, cell in zip(names[1:], cells[1:], strict=True):
            parts.append(Text(f"  {name}: ").append(cell))
    return [*parts, Text()]


def ascii_only(console: Console) -> bool:
    """Whether stdout may not know anything beyond ASCII."""
    return console.options.ascii_only


def smoothing_hint(losses: Iterable[float]) -> list[RenderableType]:
    """Say what an infinite loss means, if there is one."""
    if not any(map(math.isinf, losses)):
        return []
    return [Text("inf: something came that the model held impossible; --smoothing jeffreys keeps it possible.")]


def counted(number: int, noun: str) -> str:
    """Return "1 day", "2 days", "1,461 days"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def number(value: float, decimals: int) -> str:
    """Write a figure with thousands separated; a dash where there is none; zero has no sign."""
    return "-" if math.isnan(value) else f"{value:z,.{decimals}f}"


def percent(probability: float | None) -> str:
    """Write a probability in whole per cent, without calling what is possible 0% or certain 100%."""
    if probability is None or math.isnan(probability):
        return "-"
    whole = f"{100 * probability:.0f}"
    if whole == "0" and probability > 0:
        return "<1%"
    if whole == "100" and probability < 1:
        return ">99%"
    return f"{whole}%"
