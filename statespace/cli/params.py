"""`statespace params`: how many free parameters a model has, and how they grow with the order of a chain."""

import argparse
import re
from typing import Any

from statespace.cli.errors import CommandError

MOST_BITS = 14_000
"""Of a count in JSON: Python refuses to write more than 4300 digits."""
MISPRINT = (
    "An order-M chain on K symbols has K^M contexts with K - 1 free probabilities each. The lecture, and the "
    "textbook it follows, print K^(M-1) (K - 1), which contradicts their own K (K - 1) at M = 1."
)

Size = int | bool | str | list[int]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "params",
        help="count the free parameters of a model",
        description="Count the free parameters of a model, part by part. MODEL is iid, markov, mtd, hmm, lds, arma, "
        "var, rnn, lstm, gru, feedforward or attention; or growth, for a table of chains by order.",
        epilog="Examples: statespace params markov n_states=2 order=3 | statespace params hmm --n-components 3 "
        "--emission gaussian --n-features 2 --covariance-type full | statespace params growth --n-states 2 3 10 "
        "--max-order 5",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("model", metavar="MODEL", help="which model")
    parser.add_argument(
        "sizes", nargs=argparse.REMAINDER, metavar="SIZE", help="its sizes, as n_states=2 or as --n-states 2"
    )
    parser.set_defaults(run=run, print_help=parser.print_help)


def run(arguments: argparse.Namespace) -> None:
    """Count, and show the table."""
    words = arguments.sizes
    if "-h" in words or "--help" in words:
        arguments.print_help()
        return
    as_json = arguments.json or "--json" in words
    sizes = parse_sizes([word for word in words if word != "--json"])
    if arguments.model == "growth":
        _growth(sizes, as_json)
    else:
        _count(arguments.model, sizes, as_json)


def parse_sizes(words: list[str]) -> dict[str, Size]:
    """Read n_states=2, --n-states=2, --n-states 2, --n-states 2 3 and --identifiable.

    Raises
    ------
    CommandError
        When a word belongs to no size, or a size is given twice.
    """
    values: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if match := re.fullmatch(r"(?:--)?([A-Za-z][A-Za-z_-]*)=(.*)", word):
            new, value = match[1], [match[2]]
        elif word.startswith("--"):
            new, value = word.removeprefix("--"), []
        elif name:
            values[name].append(word)
            continue
        else:
            raise CommandError(f"{word!r} is not a size: write it like n_states=2 or --n-states 2")
        new = new.replace("-", "_")
        if new in values:
            raise CommandError(f"{new} stands twice: give each size once")
        values[new] = value
        # After name=value the next word begins another size; after --name its values follow.
        name = new if word.startswith("--") and "=" not in word else ""
    return {name: _value(name, texts) for name, texts in values.items()}


def _value(name: str, texts: list[str]) -> Size:
    parts = [part for text in texts for part in text.split(",") if part]
    if not texts:
        return True
    if len(parts) == 1 and not texts[0].endswith(","):
        word = parts[0]
        if re.fullmatch(r"[+-]?[0-9]{1,20}", word):
            return int(word)
        return {"true": True, "false": False}.get(word.lower(), word)
    if parts and all(re.fullmatch(r"[+-]?[0-9]{1,20}", part) for part in parts):
        return [int(part) for part in parts]
    raise CommandError(f"{name} is {' '.join(texts)!r}: give a whole number, a word, or several whole numbers")


def _count(model: str, sizes: dict[str, Size], as_json: bool) -> None:
    from statespace.cli.tables import figures, new_console, show, show_json
    from statespace.foundations.parameter_count import count_parameters

    arguments: dict[str, Any] = dict(sizes)
    try:
        count = count_parameters(model, **arguments)
    except (TypeError, ValueError) as error:
        raise CommandError(str(error)) from error
    note = MISPRINT if model == "markov" else None
    if as_json:
        _refuse_endless([count.total])
        show_json(
            {
                "model": model,
                "sizes": sizes,
                "total": count.total,
                "breakdown": count.breakdown,
                "formula": count.formula,
                "note": note,
            }
        )
        return

    from rich.text import Text

    console = new_console()
    rows = [[part, _digits(number)] for part, number in count.breakdown.items()]
    given = ", ".join(f"{name} = {value}" for name, value in sizes.items())
    show(
        console,
        [
            Text(f"{model}: {given}", style="bold"),
            Text(count.formula),
            *figures(console, ["part", "parameters"], [*rows, ["total", _digits(count.total)]]),
            *([Text(note, style="dim")] if note else []),
        ],
    )


def _growth(sizes: dict[str, Size], as_json: bool) -> None:
    from statespace.cli.tables import figures, new_console, show, show_json
    from statespace.foundations.parameter_count import count_parameters

    unknown = sorted(set(sizes) - {"n_states", "max_order"})
    if unknown:
        raise CommandError(f"growth has no size {unknown[0]}: give --n-states 2 3 10 --max-order 5")
    n_states, max_order = sizes.get("n_states", [2, 3, 10]), sizes.get("max_order", 5)
    alphabets = n_states if isinstance(n_states, list) else [n_states]
    if not all(type(K) is int and K >= 1 for K in alphabets):
        raise CommandError(f"n_states is {n_states!r}: give whole numbers of at least 1")
    if type(max_order) is not int or not 0 <= max_order <= 1000:
        raise CommandError(f"max_order is {max_order!r}: give a whole number from 0 to 1000")
    counts = [[count_parameters("markov", n_states=K, order=M).total for K in alphabets] for M in range(max_order + 1)]
    if as_json:
        _refuse_endless(counts[-1])
        rows = [
            {"order": M, "n_parameters": dict(zip(map(str, alphabets), row, strict=True))}
            for M, row in enumerate(counts)
        ]
        show_json(
            {"model": "markov", "n_states": alphabets, "orders": rows, "formula": "K^M (K - 1)", "note": MISPRINT}
        )
        return

    from rich.text import Text

    console = new_console()
    header = ["order M", *(f"K = {K}" for K in alphabets)]
    cells = [[str(M), *(_digits(count) for count in row)] for M, row in enumerate(counts)]
    title = Text("Free parameters of a Markov chain of order M on K symbols: K^M (K - 1)", style="bold")
    show(console, [title, *figures(console, header, cells), Text(MISPRINT, style="dim")])


def _digits(count: int) -> str:
    """Write a count with thousands separated, or rounded where it is very long."""
    from statespace.foundations.parameter_count import count_text

    text = count_text(count)
    return text if "e" in text else f"{count:,}"


def _refuse_endless(counts: list[int]) -> None:
    if any(count.bit_length() > MOST_BITS for count in counts):
        raise CommandError("the count has more than 4000 digits: give smaller sizes, or leave --json out")
