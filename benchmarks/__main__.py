"""`python -m benchmarks markov|hmm|lds|neural [--write] [--quick]`."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import hmm, lds, markov, neural
from benchmarks.report import Table, write_readme

README = Path(__file__).parent / "README.md"
FAMILIES: dict[str, Callable[[bool], Iterator[Table]]] = {
    "hmm": hmm.tables,
    "lds": lds.tables,
    "markov": markov.tables,
    "neural": neural.tables,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one family, print its tables, and write them down if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure statespace beside its peers.")
    parser.add_argument("family", choices=sorted(FAMILIES), help="what to measure")
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    parser.add_argument("--quick", action="store_true", help="a trial on little data, in seconds")
    options = parser.parse_args(arguments)
    if options.write and options.quick:
        parser.error("--quick is a trial, whose figures mean nothing: leave it out to --write")
    tables = []
    for table in FAMILIES[options.family](options.quick):
        print(table.text(), end="\n\n", flush=True)
        tables.append(table)
    if options.write:
        write_readme(README, options.family, tables)
        print(f"wrote {README}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
