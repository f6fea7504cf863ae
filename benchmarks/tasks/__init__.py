"""What networks learn, beside what is asked of them: `python -m benchmarks tasks [--only name] [--write]`.

Each other module of this package is one task, and has a `TASK`; see frame.py.
"""

import importlib
import pkgutil
from collections.abc import Iterator

from benchmarks.report import Table
from benchmarks.tasks.frame import Task, measured


def all_tasks() -> dict[str, Task]:
    """Every task by its name."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {module.TASK.name: module.TASK for module in modules if hasattr(module, "TASK")}


def tables(quick: bool, only: str | None = None) -> Iterator[Table]:
    """A table for each task, or for one."""
    tasks = all_tasks()
    for name in tasks if only is None else [only]:
        yield measured(tasks[name], quick)
