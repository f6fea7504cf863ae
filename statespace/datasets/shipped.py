"""Reading the figures that are shipped inside the package: nothing is downloaded."""

import csv
from importlib.resources import files
from typing import Any


def read_text(name: str) -> str:
    """A shipped file."""
    return files("statespace.datasets").joinpath("data", name).read_text(encoding="utf-8")


def read_rows(name: str) -> list[list[str]]:
    """Rows of a shipped CSV without its header."""
    return list(csv.reader(read_text(name).splitlines()))[1:]


def pandas_or_told() -> Any:
    """Return pandas, or raise with the line that installs it."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError('to_frame needs pandas: pip install "statespace-models[frames]"') from error
    return pd
