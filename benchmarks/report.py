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
`python -m benchmarks lds --write` and `python -m benchmarks neural --write`; not by hand. The peers come with
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


def write_readme(path: Path, family: str, tables: Sequence[Table]) -> None:
    """Write the tables of a family, with date, machine and versions; those of the other families stay."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    measured = f"# {_TITLES[family]}\n\n{date}, {machine()}. {versions(family)}."
    parts = {family: "\n\n".join([measured, *(table.markdown() for table in tables)])}
    if path.exists():
        for part in re.split(r"^(?=# )", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            for name, title in _TITLES.items():
                if part.startswith(f"# {title}\n"):
                    parts.setdefault(name, part.rstrip())
    ordered = [parts[name] for name in _TITLES if name in parts]
    path.write_text("\n\n".join([_HEAD.rstrip(), *ordered]) + "\n", encoding="utf-8")


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
