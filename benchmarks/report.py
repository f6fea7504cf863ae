"""Tables of measurements, as text and as benchmarks/README.md."""

import datetime
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.timing import n_cores
from statespace.tools.table import text_table

_HEAD = """\
# How fast, beside the peers

Written by `python -m benchmarks markov --write`, `python -m benchmarks hmm --write`,
`python -m benchmarks lds --write`, `python -m benchmarks neural --write` and
`python -m benchmarks tasks --write`; not by hand. The peers come with
`pip install -e ".[peers]"`, `pip install torch==2.13.0`,
`pip install --no-deps PyDTMC` and `pip install dynamax pomegranate statsmodels pykalman filterpy simdkalman`.

- Everything in a table was measured in the same run, the contenders taking turns; times are medians of the CPU time of
  the process, on one core unless the table says otherwise, so that other work on the machine counts little. Take the
  ratios with you, not the times.
- A ratio is the peer's time by ours: 2 is twice as fast as the peer, 0.5 half as fast. Ours is always the public API,
  validation and all.
- A bar is what the package sets itself; where it is missed, the table says **no**.
- A peer too slow for the full length was measured on fewer observations, and its time is scaled up.
"""

_TITLES = {
    "markov": "Markov chains",
    "hmm": "Hidden Markov models",
    "lds": "Linear dynamical systems",
    "neural": "Recurrent networks",
    "tasks": "What networks learn",
}

_SAID = {
    "tasks": """\
Each model is trained from several seeds, on one core; what counts is the best of them, or the median where the table
says so. CPU is that of one training, the median of the seeds. A table says itself when it was measured. Data that are
not shipped with the package are in a folder `shared/data` beside the repository, or where `--data` says."""
}

_PACKAGES = {
    "markov": ("statespace-models", "numpy", "numba", "scipy", "pandas", "quantecon", "PyDTMC"),
    "hmm": ("statespace-models", "numpy", "numba", "scipy", "hmmlearn", "dynamax", "jax", "pomegranate", "torch"),
    "lds": (
        "statespace-models",
        "numpy",
        "numba",
        "scipy",
        "statsmodels",
        "pykalman",
        "filterpy",
        "simdkalman",
        "dynamax",
        "jax",
    ),
    "neural": ("statespace-models", "numpy", "numba", "torch"),
    "tasks": ("statespace-models", "numpy", "numba"),
}


@dataclass
class Table:
    """One table, row by row."""

    title: str
    head: tuple[str, ...]
    note: str = ""
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Append a row."""
        self.rows.append(cells)

    def text(self) -> str:
        """For a terminal."""
        return f"{self.title}\n{text_table(self.head, self.rows, self.note)}"

    def markdown(self) -> str:
        """For the README."""
        lines = [f"## {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines += ["| " + " | ".join(self.head) + " |", "|---" + "|---:" * (len(self.head) - 1) + "|"]
        lines += ["| " + " | ".join("**no**" if cell == "no" else cell for cell in row) + " |" for row in self.rows]
        return "\n".join(lines)


def write_readme(path: Path, family: str, tables: Sequence[Table], others_stay: bool = False) -> None:
    """Write the tables of a family, with date, machine and versions; those of the other families stay.

    With `others_stay` so do tables of the family with other titles. The tables of tasks say for themselves when and
    with what they were measured.
    """
    written = (
        {part.partition("\n")[0]: part for part in _parts(path.read_text(encoding="utf-8"), "# ")}
        if path.exists()
        else {}
    )
    head = f"# {_TITLES[family]}"
    sections = [table.markdown() for table in tables]
    if others_stay and head in written:
        sections = _merged([part.rstrip() for part in _parts(written[head], "## ")[1:]], sections)
    said = _SAID[family] if family in _SAID else f"{measured_with(family)}."
    written[head] = "\n\n".join([f"{head}\n\n{said}", *sections])
    ordered = [written[f"# {title}"].rstrip() for title in _TITLES.values() if f"# {title}" in written]
    path.write_text("\n\n".join([_HEAD.rstrip(), *ordered]) + "\n", encoding="utf-8")


def _parts(text: str, mark: str) -> list[str]:
    """A text cut before each heading."""
    return re.split(rf"^(?={mark})", text, flags=re.MULTILINE)


def _merged(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """Sections in their order; new ones take the place of those with the same heading, or follow."""
    fresh = {section.partition("\n")[0]: section for section in now}
    found = [fresh.pop(section.partition("\n")[0], section) for section in before]
    return [*found, *fresh.values()]


def measured_with(family: str) -> str:
    """When, where and with what."""
    return f"{datetime.datetime.now(datetime.UTC).date().isoformat()}, {machine()}. {versions(family)}"


def machine() -> str:
    """Processor, cores that this process may use, and how busy they were."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        models = [
            line for line in information.read_text(encoding="utf-8").splitlines() if line.startswith("model name")
        ]
        name = models[0].partition(":")[2].strip() if models else name
    load = f", load average {os.getloadavg()[1]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {n_cores()} cores, {platform.system()}{load}"


def versions(family: str) -> str:
    """Python and the packages that are installed."""
    found = [f"Python {platform.python_version()}"]
    for package in _PACKAGES[family]:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


def duration(seconds: float) -> str:
    """Three figures, in the unit that suits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def verdict(holds: bool) -> str:
    """How a row says whether its bar holds."""
    return "yes" if holds else "no"
