"""`statespace rain`: whether it rains tomorrow, and how much of the past the answer needs."""

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statespace.cli.errors import CommandError, listing

if TYPE_CHECKING:
    from statespace.cli.csv_series import DailyRecord
    from statespace.cli.rain_prediction import RainPrediction

CRITERIA = ("bic", "aic", "likelihood-ratio", "held-out")
SMOOTHINGS = ("laplace", "jeffreys")
FILE_OPTIONS = ("column", "date_column", "date_format", "no_header", "missing", "trace")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "rain",
        help="predict tomorrow's rain with chains of order 0 to M, hidden states and networks",
        description="Fit Markov chains of order 0 to M, hidden Markov models of 2 to K states and two\n"
        "recurrent networks, GRU and LSTM, to wet and dry days, show what each costs and\n"
        "gains, and predict tomorrow.\n"
        "Without FILE: Seattle, 2012 to 2015.",
        epilog="examples:\n  statespace rain station.csv --column PRCP --missing=-9999 --trace wet\n"
        "  statespace rain rain.csv --threshold 1 --criterion aic --plot rain.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # an example stays on its line
        allow_abbrev=False,
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="a CSV file with one row a day")
    add_file_options(parser, what="the amounts of rain")
    parser.add_argument(
        "--trace",
        choices=("wet", "dry", "missing"),
        help="what a trace of rain (T) counts as; without this option a trace is refused",
    )
    parser.add_argument("--threshold", type=amount, metavar="MM", help="wet is this much or more (default: above 0)")
    parser.add_argument("--test-last", type=whole, metavar="DAYS", help="days held out at the end (default: 365)")
    parser.add_argument("--max-order", type=whole, default=4, metavar="M", help="highest order (default: 4)")
    parser.add_argument(
        "--max-states", type=whole, default=4, metavar="K", help="most hidden states (default: 4; 1 leaves them out)"
    )
    parser.add_argument(
        "--units", type=whole, default=16, metavar="H", help="hidden units of the networks (default: 16; 0: none)"
    )
    parser.add_argument("--order", type=whole, metavar="M", help="predict with this order, whatever the criteria say")
    parser.add_argument("--criterion", choices=CRITERIA, default="bic", help="what chooses the model (default: bic)")
    parser.add_argument("--smoothing", choices=SMOOTHINGS, help="smooth the predicted probabilities (default: no)")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the picture to a file")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.set_defaults(run=run)


def add_file_options(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the options that say how a CSV file is read."""
    parser.add_argument("--column", metavar="NAME", help=f"column of {what}, by name or number")
    parser.add_argument("--date-column", metavar="NAME", help="column of the dates, by name or number")
    parser.add_argument("--date-format", metavar="FORMAT", help="how dates are written, such as %%d/%%m/%%Y")
    parser.add_argument("--no-header", action="store_true", help="the first line holds data, not names")
    parser.add_argument(
        "--missing",
        action="append",
        default=[],
        metavar="MARK",
        help="a mark of missing values beside blank, NA and NaN, with an equals sign, as --missing=-9999; may be "
        "repeated",
    )


def whole(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def amount(text: str) -> float:
    """Read a threshold: a positive number of millimetres."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf):
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount above 0")
    return value


def run(arguments: argparse.Namespace) -> None:
    """Predict, and show the result."""
    if arguments.plot is not None:
        _check_plot(arguments.plot)
    record = _load(arguments)
    if arguments.plot is not None and record.dates is None:
        raise CommandError("--plot draws a calendar and needs dates: name their column with --date-column")
    for note in record.notes:
        print(f"statespace rain: note: {note}", file=sys.stderr)

    from statespace.cli.rain_prediction import document, predict_rain

    prediction = predict_rain(
        record,
        max_order=arguments.max_order,
        max_states=arguments.max_states,
        n_units=arguments.units,
        test_last=arguments.test_last,
        order=arguments.order,
        criterion=arguments.criterion,
        smoothing=arguments.smoothing,
    )
    for note in prediction.notes:
        print(f"statespace rain: note: {note}", file=sys.stderr)
    if arguments.plot is not None:
        _plot(prediction, arguments.plot)
    if arguments.json:
        from statespace.cli.tables import show_json

        show_json(document(prediction))
    else:
        from statespace.cli.rain_view import show_prediction

        show_prediction(prediction, picture=arguments.plot)


def _load(arguments: argparse.Namespace) -> "DailyRecord":
    if arguments.file is None:
        given = [f"--{name.replace('_', '-')}" for name in FILE_OPTIONS if getattr(arguments, name)]
        if given:
            raise CommandError(f"{listing(given)} without a FILE: name the CSV file to read")
        return seattle(arguments.threshold)

    from statespace.cli.csv_series import read_rain

    return read_rain(
        arguments.file,
        column=arguments.column,
        date_column=arguments.date_column,
        date_format=arguments.date_format,
        threshold=arguments.threshold,
        missing=arguments.missing,
        trace=arguments.trace,
        header=False if arguments.no_header else None,
    )


def seattle(threshold: float | None = None) -> "DailyRecord":
    """Return the shipped record as the command uses it."""
    from statespace.cli.csv_series import DailyRecord, wet_means
    from statespace.datasets import load_seattle_rain

    rain = load_seattle_rain()
    wet = rain.wet if threshold is None else rain.precipitation >= threshold
    means = f"precipitation {wet_means(threshold)}"
    return DailyRecord(rain.name, "precipitation", means, rain.dates, wet.astype(float), ())


def _check_plot(path: str) -> None:
    """Refuse before the work what would only fail after it."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise CommandError('--plot needs matplotlib: pip install "statespace-models[plot]"')
    if not Path(path).parent.is_dir():
        raise CommandError(f"--plot {path}: the folder {str(Path(path).parent)!r} does not exist: create it first")


def _plot(prediction: "RainPrediction", path: str) -> None:
    from statespace.cli.tables import percent
    from statespace.plotting import rain_report

    rows, record = prediction.rows, prediction.record
    only_chains = all(row.order is not None for row in rows)
    names: dict[str, Any] = {row.name: row.order if only_chains and row.order is not None else row.name for row in rows}
    figure = rain_report(
        record.dates,
        record.wet,
        prediction.probabilities[:-1],
        orders=list(names.values()),
        losses=[row.held_out_nats for row in rows],
        errors=[row.held_out_error for row in rows],
        n_parameters=[row.n_parameters for row in rows],
        tomorrow={names[row.name]: (row.tomorrow, row.low, row.high) for row in rows},
        best=names[prediction.row.name],
        n_days=min(365, record.wet.size),
        title=f"{record.name}, {prediction.tomorrow}: {percent(prediction.row.tomorrow)} chance of rain",
    )
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:  # ValueError: an ending that no format has
        raise CommandError(f"--plot {path} cannot be written: {error}") from None
