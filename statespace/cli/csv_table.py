"""A CSV file as a grid of text: encoding, delimiter, header.

The delimiter is the first of tab, semicolon, bar and comma that cuts every line into the same number of fields, two or
more; the comma comes last because it may be a decimal mark. Where none does, it is the first that cuts the first line,
and the lines that do not follow are named. Lines that begin with # are comments.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from statespace.cli.errors import CommandError, listing

DELIMITERS = ("\t", ";", "|", ",")
SAMPLE_LINES = 1000
NUMBER_LIKE = re.compile(r"[+-]?[0-9][0-9.,:/ TZ+-]*")
"""A number, a date or a time: what no header holds."""


@dataclass(frozen=True)
class CsvTable:
    """Cells of a file, stripped of surrounding space."""

    path: str
    names: tuple[str, ...]
    """Header, or "1", "2", ... in a file without one."""
    rows: list[list[str]]
    """As many cells as names in each."""
    lines: list[int]
    """Line in the file of each row, for messages."""

    def cells(self, column: int) -> list[str]:
        """Text of one column, top to bottom."""
        return [row[column] for row in self.rows]

    def find(self, wanted: str, option: str) -> int:
        """Index of the column that the user names, by its header (any case) or its number counted from 1.

        Raises
        ------
        CommandError
            When no column, or more than one, has this name.
        """
        for same in (wanted.__eq__, lambda name: name.casefold() == wanted.strip().casefold()):
            found = [index for index, name in enumerate(self.names) if same(name)]
            if len(found) == 1:
                return found[0]
            if found:
                numbers = listing((str(index + 1) for index in found), "or")
                raise CommandError(f"{self.path} has {len(found)} columns {wanted!r}: choose with {option} {numbers}")
        if wanted.isdecimal() and 1 <= int(wanted) <= len(self.names):
            return int(wanted) - 1
        raise CommandError(f"{self.path} has no column {wanted!r}: choose with {option} among {listing(self.names)}")

    def choose(self, columns: Sequence[int], option: str) -> str:
        """Say how the user chooses among columns: by name, or by number where the header gives two the same name."""
        same = [index for index in columns if [self.names[other] for other in columns].count(self.names[index]) > 1]
        if not same:
            return f"choose with {option} {listing((self.names[index] for index in columns), 'or')}"
        name = self.names[same[0]]
        twins = listing(str(index + 1) for index in same if self.names[index] == name)
        numbers = listing((str(index + 1) for index in columns), "or")
        return (
            f"the header names columns {twins} the same, {name!r}: choose by number with {option} {numbers}, "
            "or rename one"
        )


def read_table(path: str, header: bool | None = None) -> CsvTable:
    """Read a delimited text file.

    Parameters
    ----------
    path : str
        The file; UTF-8 with or without byte order mark, UTF-16 with one, or Windows-1252.
    header : bool or None
        Whether the first line holds names; None decides by whether it holds a number or a date.

    Raises
    ------
    CommandError
        When the file is missing, unreadable, empty, not text, or ragged.
    """
    text = _decode(path, _read_bytes(path))
    records = _split(path, text)
    if not records:
        raise CommandError(f"{path} is empty: give a CSV file with a row for each observation")
    if header is None:
        header = not any(NUMBER_LIKE.fullmatch(cell) for cell in records[0][1])
    width = _trimmed_width(records[0][1]) or 1
    names = tuple(cell or str(index + 1) for index, cell in enumerate(records[0][1][:width]))
    if header:
        records = records[1:]
    else:
        width = max(_trimmed_width(cells) for _, cells in records)
        names = tuple(str(index + 1) for index in range(width))
    if not records:
        raise CommandError(f"{path} has a header ({listing(names)}) but no rows: give a row for each observation")
    for line, cells in records:
        if _trimmed_width(cells) > width:
            raise CommandError(
                f"{path}, line {line}: {_trimmed_width(cells)} fields, but the first line has {width}; "
                "mend the line, or remove what stands above the header"
            )
    rows = [(cells + [""] * width)[:width] for _, cells in records]
    return CsvTable(path=path, names=names, rows=rows, lines=[line for line, _ in records])


def _read_bytes(path: str) -> bytes:
    file = Path(path)
    try:
        if file.is_dir():
            raise CommandError(f"{path} is a folder: give a CSV file")
        return file.read_bytes()
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist: give the path of a CSV file") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"{path!r} cannot be read ({reason}): give a readable CSV file") from None


def _decode(path: str, raw: bytes) -> str:
    encodings = ("utf-16",) if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not re.search(r"[\x00-\x08\x0e-\x1f]", text):
            return text
    raise CommandError(f"{path} is not text: save it as CSV in UTF-8")


def _split(path: str, text: str) -> list[tuple[int, list[str]]]:
    """Cut the text into records, each with the number of its line."""
    lines = list(io.StringIO(text, newline=""))
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    candidates = [delimiter for delimiter in DELIMITERS if delimiter in first]
    try:
        for delimiter in candidates:
            widths = {len(cells) for _, cells in islice(_records(lines, delimiter), SAMPLE_LINES)}
            if len(widths) == 1 and widths.pop() >= 2:
                break
        else:
            delimiter = candidates[0] if candidates else ","
        # In a file of one column a blank line can only be a missing value; elsewhere it is layout.
        records = list(_records(lines, delimiter, keep_blank=not candidates))
    except csv.Error as error:
        raise CommandError(f"{path} is not a CSV file ({error}): save it as CSV in UTF-8") from None
    while records and not any(records[-1][1]):
        records.pop()
    while records and not any(records[0][1]):
        records.pop(0)
    return records


def _records(lines: Iterable[str], delimiter: str, keep_blank: bool = False) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter)
    for cells in reader:
        if cells and cells[0].startswith("#"):
            continue
        if cells or keep_blank:
            yield reader.line_num, [cell.strip() for cell in cells] or [""]


def _trimmed_width(cells: Sequence[str]) -> int:
    """Fields of a line without the empty ones at its end, which spreadsheets leave behind."""
    return max((index + 1 for index, cell in enumerate(cells) if cell), default=0)
