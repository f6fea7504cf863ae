"""`statespace compare`: models of one discrete column, side by side on days or symbols they have not seen."""

import argparse
import sys
from typing import Any

from statespace.cli.errors import CommandError
from statespace.cli.rain import add_file_options, whole

SMOOTHINGS = ("laplace", "jeffreys", "witten-bell")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="compare models of a column of labels or whole numbers",
        description="Fit models to one discrete column of a CSV file, without its last rows,\n"
        "and compare how well they predict these. Rows are steps in the order of the\n"
        "file; with --date-column, days in the order of time.",
        epilog="examples:\n  statespace compare letters.csv --models iid,markov:1-3 --smoothing witten-bell\n"
        "  statespace compare weather.csv --models iid,markov:1-4,hmm:2-4\n"
        "  statespace compare states.csv --date-column day --column state --test-last 90",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # an example stays on its line
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="a CSV file with one row a step")
    add_file_options(parser, what="the sequence")
    parser.add_argument(
        "--models",
        default="iid,markov:1-4",
        metavar="LIST",
        help="such as iid,markov:1-4 (the default) or markov:2,hmm:2-4",
    )
    parser.add_argument("--test-last", type=whole, metavar="ROWS", help="rows held out at the end (default: a quarter)")
    parser.add_argument("--smoothing", choices=SMOOTHINGS, help="of all chains (default: none)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Compare, and show the table."""
    from statespace.cli.csv_series import read_symbols
    from statespace.cli.model_grammar import parse_models

    models = parse_models(arguments.models, arguments.smoothing)
    record = read_symbols(
        arguments.file,
        column=arguments.column,
        date_column=arguments.date_column,
        date_format=arguments.date_format,
        missing=arguments.missing,
        header=False if arguments.no_header else None,
    )
    for note in record.notes:
        print(f"statespace compare: note: {note}", file=sys.stderr)
    n_rows = len(record.symbols)
    test_last = n_rows // 4 if arguments.test_last is None else arguments.test_last
    if not 1 <= test_last < n_rows:
        raise CommandError(f"--test-last is {test_last}, and {record.name} has {n_rows} rows: give 1 to {n_rows - 1}")

    from statespace.cli.fitting import said_plainly, unfinished
    from statespace.cli.training import check_training
    from statespace.foundations.sequences import read_symbols as read_sequences
    from statespace.tools.compare import compare

    where = f"{record.name}, column {record.column!r}"
    orders = {name: getattr(model, "order", 0) for name, model in models.items()}
    longest = max(orders, key=lambda name: orders[name])
    check_training(
        where,
        [symbol is None for symbol in record.symbols],
        test_last,
        order=orders[longest],
        model=longest,
        unit="row",
        remedy="lower the orders in --models",
    )
    alphabet = said_plainly(lambda: read_sequences(record.symbols).symbols, f"{where}: ")  # also of the rows held out
    for model in models.values():
        if hasattr(model, "emission"):
            model.emission.symbols = alphabet
    comparison = said_plainly(
        lambda: compare(models, record.symbols, test=test_last, symbols=alphabet), where=f"{where}: "
    )
    for note in unfinished(dict(zip(comparison.names, comparison.models, strict=True))):
        print(f"statespace compare: note: {note}", file=sys.stderr)
    if arguments.json:
        _show_json(record, test_last, comparison)
    else:
        _show_table(record, test_last, comparison)


def _show_json(record: Any, test_last: int, comparison: Any) -> None:
    from statespace.cli.tables import show_json

    fields = [
        *("n_parameters", "log_likelihood", "aic", "bic"),
        *("held_out_nats", "held_out_bits", "difference", "difference_error", "fit_seconds"),
    ]
    symbols = {symbol for symbol in record.symbols if symbol is not None}
    document = {
        "data": {
            "name": record.name,
            "column": record.column,
            "n_rows": len(record.symbols),
            "n_missing": sum(symbol is None for symbol in record.symbols),
            "symbols": sorted(symbols),
            "notes": record.notes,
        },
        "test_last": test_last,
        "n_train_steps": comparison.n_train_steps,
        "n_test_steps": comparison.n_test_steps,
        "models": [
            {"name": name, **{field: getattr(comparison, field)[row] for field in fields}}
            for row, name in enumerate(comparison.names)
        ],
        "best": comparison.best,
    }
    show_json(document)


def _show_table(record: Any, test_last: int, comparison: Any) -> None:
    from rich.text import Text

    from statespace.cli.tables import counted, figures, new_console, number, show, smoothing_hint

    n_missing = sum(symbol is None for symbol in record.symbols)
    n_symbols = len({symbol for symbol in record.symbols if symbol is not None})
    title = Text.assemble(
        (record.name, "bold"),
        f": column {record.column!r}, {counted(len(record.symbols), 'row')}, {counted(n_symbols, 'symbol')}, "
        f"{n_missing:,} missing",
    )
    header = ["model", "parameters", "log-\nlikelihood", "AIC", "BIC", "held-out\nnats", "to best", "s.e."]
    rows = [
        [
            name,
            f"{comparison.n_parameters[row]:,}",
            number(comparison.log_likelihood[row], 2),
            number(comparison.aic[row], 1),
            number(comparison.bic[row], 1),
            number(comparison.held_out_nats[row], 4),
            number(comparison.difference[row], 4),
            number(comparison.difference_error[row], 4),
        ]
        for row, name in enumerate(comparison.names)
    ]
    best = set() if comparison.best is None else {(comparison.names.index(comparison.best), 5)}
    test = f"the last {counted(test_last, 'row')}"
    if comparison.n_test_steps < test_last:
        test = f"{comparison.n_test_steps:,} of {test}"
    caption = Text(
        f"* lowest. Held-out: loss a step on {test}; the other "
        f"figures are of the {counted(comparison.n_train_steps, 'step')} before that every model predicts.",
        style="dim",
    )
    console = new_console()
    show(console, [title, *figures(console, header, rows, best), caption, *smoothing_hint(comparison.held_out_nats)])
