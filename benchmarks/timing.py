"""Times that can be compared: in one run, taking turns, on one core, in process CPU time.

On a machine that others use too, the wall clock measures them as well, and long calls more than short ones. What is
compared is therefore the CPU time that a call took on one core, in rounds in which every contender has one turn; a
ratio is the median of the rounds' ratios. Short calls are repeated within a turn: a single one of a millisecond, after
another library's turn, would measure caches that are cold and threads of that library that still wait for work.
"""

import contextlib
import os
import re
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from statespace.foundations.blas import blas_on_one_thread

ROOT = Path(__file__).parent.parent


class Timing(NamedTuple):
    """Seconds of one call."""

    cpu: float
    """Of all threads together."""
    wall: float
    """By the clock."""


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core, where the system lets it choose; threads are then not used.

    Nor are those of BLAS, which wait for more work for some milliseconds, and would do so in the next contender's turn.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with blas_on_one_thread():
            yield
    finally:
        os.sched_setaffinity(0, cores)


def on_one_core(call: Callable[[], Timing]) -> Timing:
    """Measure in a thread of its own, kept on one core, so that the caller is not moved."""

    def measure() -> Timing:
        with one_core():
            return call()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(measure).result()


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def timed(call: Callable[[], Any], at_least: float = 0.0) -> Timing:
    """Seconds of one call in this process: the mean of so many in a row that they take `at_least` seconds of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    n_calls, used = 0, 0.0
    while not n_calls or used < at_least:
        call()
        n_calls, used = n_calls + 1, time.process_time() - cpu
    return Timing(used / n_calls, (time.perf_counter() - wall) / n_calls)


def take_turns(
    calls: Mapping[str, Callable[[], Timing]], n_rounds: int, warm_up: bool = True
) -> dict[str, list[Timing]]:
    """Timings of every contender, one a round, after a first turn that does not count."""
    for call in calls.values() if warm_up else ():
        call()
    timings: dict[str, list[Timing]] = {name: [] for name in calls}
    for _ in range(n_rounds):
        for name, call in calls.items():
            timings[name].append(call())
    return timings


def median_seconds(timings: Sequence[Timing]) -> float:
    """Median CPU time."""
    return statistics.median(timing.cpu for timing in timings)


def median_wall(timings: Sequence[Timing]) -> float:
    """Median time by the clock."""
    return statistics.median(timing.wall for timing in timings)


def median_ratio(peer: Sequence[Timing], ours: Sequence[Timing]) -> float:
    """Median over the rounds of peer time / our time."""
    return statistics.median(p.cpu / max(o.cpu, 1e-9) for p, o in zip(peer, ours, strict=True))


def timed_child(arguments: Sequence[str], **environment: str) -> Timing:
    """Seconds of one fresh Python process, its start included."""

    def children() -> float:
        try:
            import resource
        except ImportError:  # Windows does not say what children used
            return time.perf_counter()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    cpu, wall = children(), time.perf_counter()
    _run_child(arguments, environment)
    return Timing(children() - cpu, time.perf_counter() - wall)


_PEAK = """
import pathlib, re, runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
status = pathlib.Path("/proc/self/status")
if status.exists():  # getrusage would count what the process was before it began this program
    print(1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", status.read_text())[1]))
else:
    try:
        import resource
    except ImportError:  # Windows does not say
        print("nan")
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(peak if sys.platform == "darwin" else 1024 * peak)
"""


def measured_child(arguments: Sequence[str], **environment: str) -> tuple[str, float]:
    """What a script prints in a fresh Python process, and the most memory that the process had, in bytes.

    Raises
    ------
    ModuleNotFoundError
        If the script does: what it measures is not installed.

    """
    lines = _run_child(("-c", _PEAK, *arguments), environment).splitlines()
    return "\n".join(lines[:-1]), float(lines[-1])


def _run_child(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        missing = re.search(r"^ModuleNotFoundError: .*'(\w+)", done.stderr, re.MULTILINE)
        if missing:
            raise ModuleNotFoundError(missing.group(0), name=missing.group(1))
        raise RuntimeError(f"python {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def peak_bytes(call: Callable[[], Any]) -> int:
    """The most memory that a call held beyond what was there before, result included."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
