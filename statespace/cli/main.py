"""The command `statespace`: its parser, and what every ending looks like from outside.

Exit codes: 0 done; 2 a file, column or value that cannot be used, with one line on stderr; 130 interrupted; 141 the
reader of the output went away. Commands import what they compute with when they run, so that help and errors are quick.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from statespace import __version__
from statespace.cli import compare, params, rain
from statespace.cli.errors import CommandError


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others of the command."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise CommandError(f"{message} (see {self.prog} --help)")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each command stores the function that runs it as `run`."""
    parser = OneLineParser(
        prog="statespace",
        description="Probabilistic models of sequences: predict rain, count parameters, compare models.",
        epilog="Each command has its own help: statespace rain --help",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"statespace {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for command in (rain, params, compare):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str or None
        The arguments; None takes those of the process.
    """
    name = "statespace"
    try:
        arguments = build_parser().parse_args(argv)
        name = f"statespace {arguments.command}"
        arguments.run(arguments)
        sys.stdout.flush()
    except SystemExit as stop:  # --help and --version
        return stop.code if isinstance(stop.code, int) else 0
    except CommandError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _abandon_stdout()
        return 141
    except OSError as error:  # a full disk; files that cannot be read or written have been answered by then
        _abandon_stdout()
        print(f"{name}: the output cannot be written: {error}", file=sys.stderr)
        return 2
    return 0


def _abandon_stdout() -> None:
    """Point stdout nowhere, or the interpreter would complain when it flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
