"""`python -m benchmarks markov|hmm|lds|neural|tasks [--write] [--quick]`."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import hmm, lds, markov, neural, tasks
from benchmarks.report import Table, write_readme
from benchmarks.tasks.frame import DATA

README = Path(__file__).parent / "README.md"
FAMILIES: dict[str, Callable[[bool], Iterator[Table]]] = {
    "hmm": hmm.tables,
    "lds": lds.tables,
    "markov": markov.tables,
    "neural": neural.tables,
    "tasks": tasks.tables,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one family, print its tables, and write them down if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure statespace beside its peers.")
    parser.add_argument("family", choices=sorted(FAMILIES), help="what to measure")
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    parser.add_argument("--quick", action="store_true", help="a trial on little data, in seconds")
    parser.add_argument("--only", help="of tasks: the one to measure; the others stay as they are written")
    parser.add_argument("--data", help=f"of tasks: the folder of data that are not shipped; else {DATA}")
    options = parser.parse_args(arguments)
    if options.only is not None:
        if options.family != "tasks":
            parser.error(f"--only is one of the tasks: leave it out of {options.family}")
        if options.only not in tasks.all_tasks():
            parser.error(f"--only is {options.only!r}, expected one of {', '.join(tasks.all_tasks())}")
    if options.data is not None:
        os.environ[DATA] = options.data
    if options.write and options.quick:
        parser.error("--quick is a trial, whose figures mean nothing: leave it out to --write")
    tables = []
    measured = FAMILIES[options.family]
    for table in measured(options.quick) if options.only is None else tasks.tables(options.quick, options.only):
        print(table.text(), end="\n\n", flush=True)
        tables.append(table)
    if options.write:
        write_readme(README, options.family, tables, others_stay=options.only is not None)
        print(f"wrote {README}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
