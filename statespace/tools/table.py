"""Small tables as plain text and as HTML."""

from collections.abc import Sequence
from html import escape


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Columns aligned, the first to the left and the others to the right."""
    widths = [max(len(row[j]) for row in [head, *rows]) for j in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join([cells[0].ljust(widths[0]), *rest]).rstrip()

    body = [line(head), "-" * (sum(widths) + 2 * (len(widths) - 1)), *map(line, rows)]
    return "\n".join([*body, caption] if caption else body)


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table for notebooks."""

    def cells(row: Sequence[str], tag: str) -> str:
        aligned = ["left"] + ["right"] * (len(row) - 1)
        made = [f'<{tag} style="text-align:{a}">{escape(c)}</{tag}>' for a, c in zip(aligned, row, strict=True)]
        return f"<tr>{''.join(made)}</tr>"

    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(cells(row, "td") for row in rows)
    return f"<table>{title}<thead>{cells(head, 'th')}</thead><tbody>{body}</tbody></table>"
