"""`statespace compare`: models of one column, side by side on rows that they have not seen."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from statespace.cli.errors import CommandError
from statespace.cli.rain import add_file_options, whole

if TYPE_CHECKING:
    from statespace.cli.csv_series import ColumnRecord

SMOOTHINGS = ("laplace", "jeffreys", "witten-bell")
KINDS = ("symbols", "counts", "numbers")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="compare models of a column of labels, counts or numbers",
        description="Fit models to one column of a CSV file, without its last rows, and compare how\n"
        "well they predict these. Rows are steps in the order of the file; with\n"
        "--date-column, days in the order of time.\n\n"
        "Labels:  iid, markov:1-4 (orders), hmm:2-4 (hidden states), rnn:16, gru:16,\n"
        "         lstm:16 (networks, hidden units)\n"
        "Counts:  iid, hmm, rnn, gru, lstm (Poisson laws)\n"
        "Numbers: iid, level, trend, ar:1-3 (linear systems: a local level, a local\n"
        "         linear trend, autoregressions), hmm, rnn, gru, lstm (normal laws)",
        epilog="examples:\n  statespace compare letters.csv --models iid,markov:1-3 --smoothing witten-bell\n"
        "  statespace compare weather.csv --models iid,markov:1-4,hmm:2-4,gru:16,lstm:16\n"
        "  statespace compare flow.csv --column flow --as numbers --models level,gru:16\n"
        "  statespace compare states.csv --date-column day --column state --test-last 90",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # an example stays on its line
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="a CSV file with one row a step")
    add_file_options(parser, what="the series")
    parser.add_argument(
        "--as",
        dest="kind",
        choices=KINDS,
        help="what the column holds (default: symbols, unless there are numbers with fractions)",
    )
    parser.add_argument(
        "--models",
        metavar="LIST",
        help="such as markov:2,hmm:2-4 (default: iid,markov:1-4 of symbols, iid,hmm:2-3 of counts, "
        "iid,level,ar:1-2,hmm:2-3 of numbers)",
    )
    parser.add_argument("--seed", type=whole, default=0, help="of models that begin at random (default: 0)")
    parser.add_argument("--test-last", type=whole, metavar="ROWS", help="rows held out at the end (default: a quarter)")
    parser.add_argument("--smoothing", choices=SMOOTHINGS, help="of all chains (default: none)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Compare, and show the table."""
    from statespace.cli.csv_series import read_column
    from statespace.cli.model_grammar import DEFAULT, parse_models

    if arguments.seed < 0:
        raise CommandError(f"--seed is {arguments.seed}: give a whole number of at least 0")
    record = read_column(
        arguments.file,
        kind=arguments.kind,
        column=arguments.column,
        date_column=arguments.date_column,
        date_format=arguments.date_format,
        missing=arguments.missing,
        header=False if arguments.no_header else None,
    )
    words = DEFAULT[record.kind] if arguments.models is None else arguments.models
    models = parse_models(words, arguments.smoothing, record.kind, arguments.seed)
    for note in record.notes:
        print(f"statespace compare: note: {note}", file=sys.stderr)
    n_rows = len(record.values)
    test_last = n_rows // 4 if arguments.test_last is None else arguments.test_last
    if not 1 <= test_last < n_rows:
        raise CommandError(f"--test-last is {test_last}, and {record.name} has {n_rows} rows: give 1 to {n_rows - 1}")

    from statespace.cli.fitting import said_plainly, unfinished
    from statespace.cli.training import check_training
    from statespace.foundations.sequences import read_symbols
    from statespace.tools.compare import compare

    where = f"{record.name}, column {record.column!r}"
    orders = {name: model.order if name.startswith("markov") else 0 for name, model in models.items()}
    longest = max(orders, key=lambda name: orders[name])
    check_training(
        where,
        missing_rows(record),
        test_last,
        order=orders[longest],
        model=longest,
        unit="row",
        remedy="lower the orders in --models",
    )
    alphabet = None
    if record.kind == "symbols":
        alphabet = said_plainly(lambda: read_symbols(record.values).symbols, f"{where}: ")  # also of rows held out
        for model in models.values():
            if hasattr(model, "emission"):
                model.emission.symbols = alphabet
    comparison = said_plainly(
        lambda: compare(models, record.values, test=test_last, symbols=alphabet), where=f"{where}: "
    )
    for note in unfinished(dict(zip(comparison.names, comparison.models, strict=True))):
        print(f"statespace compare: note: {note}", file=sys.stderr)
    if arguments.json:
        _show_json(record, test_last, arguments.seed, comparison)
    else:
        _show_table(record, test_last, comparison)


def missing_rows(record: "ColumnRecord") -> list[bool]:
    """Which rows are missing."""
    return [value is None or value != value for value in record.values]  # NaN is not itself


def _show_json(record: "ColumnRecord", test_last: int, seed: int, comparison: Any) -> None:
    from statespace.cli.tables import show_json

    fields = [
        *("n_parameters", "log_likelihood", "aic", "bic"),
        *("held_out_nats", "held_out_bits", "difference", "difference_error", "fit_seconds"),
    ]
    document = {
        "data": {
            "name": record.name,
            "column": record.column,
            "kind": record.kind,
            "n_rows": len(record.values),
            "n_missing": sum(missing_rows(record)),
            "symbols": sorted(set(record.values) - {None}) if record.kind == "symbols" else None,
            "notes": record.notes,
        },
        "test_last": test_last,
        "seed": seed,
        "n_train_steps": comparison.n_train_steps,
        "n_test_steps": comparison.n_test_steps,
        "models": [
            {"name": name, **{field: getattr(comparison, field)[row] for field in fields}}
            for row, name in enumerate(comparison.names)
        ],
        "best": comparison.best,
    }
    show_json(document)


def _show_table(record: "ColumnRecord", test_last: int, comparison: Any) -> None:
    import numpy as np
    from rich.text import Text

    from statespace.cli.tables import counted, figures, new_console, number, show, smoothing_hint

    if record.kind == "symbols":
        holds = counted(len(set(record.values) - {None}), "symbol")
    else:
        holds = f"{record.kind} from {np.nanmin(record.values):.6g} to {np.nanmax(record.values):.6g}"
    title = Text.assemble(
        (record.name, "bold"),
        f": column {record.column!r}, {counted(len(record.values), 'row')}, {holds}, "
        f"{sum(missing_rows(record)):,} missing",
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
        f"figures are of the {counted(comparison.n_train_steps, 'step')} before that every model predicts."
        + (" All are of densities, which depend on the unit of the column." if record.kind == "numbers" else ""),
        style="dim",
    )
    console = new_console()
    show(console, [title, *figures(console, header, rows, best), caption, *smoothing_hint(comparison.held_out_nats)])
