"""Kernels are compiled once, kept on disk, and never found again by other sources than their own."""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest

import statespace
from statespace.foundations import kernel as kernel_module
from statespace.foundations.kernel import kernel

OUTER = """\
{importing}
from statespace.{inner} import inner

@{decorator}
def outer(x):
    return inner(x) + 1
"""
INNER = """\
{importing}

@{decorator}
def inner(x):
    return {factor} * x
"""
OURS = {"importing": "from statespace.foundations.kernel import kernel", "decorator": "kernel"}
PLAIN = {"importing": "from numba import njit", "decorator": "njit(cache=True)"}
CALL = """\
import json, sys
report = {}
for name in sys.argv[1:]:
    module = __import__("statespace." + name, fromlist=["outer"])
    report[name] = {"value": module.outer(10), "loaded": sum(module.outer.stats.cache_hits.values())}
print(json.dumps(report))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, of kernels that call a kernel of another file: the house's, and numba's own."""
    copy = tmp_path / "site" / "statespace"
    without_caches = shutil.ignore_patterns("__pycache__", "*.csv")
    shutil.copytree(Path(statespace.__file__).parent, copy, ignore=without_caches)
    write_kernels(copy, factor=2)
    return copy


def write_kernels(package, factor):
    for name, decoration in (("ours", OURS), ("plain", PLAIN)):
        inner, outer = package / f"{name}_inner.py", package / f"{name}.py"
        inner.write_text(INNER.format(factor=factor, **decoration))
        if not outer.exists():
            outer.write_text(OUTER.format(inner=inner.stem, **decoration))


def call(package, *names, **environment):
    """The results of the copy's kernels, in a process of its own."""
    clean = {key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", CALL, *names],
        env={**clean, "PYTHONPATH": str(package.parent), **{key: str(value) for key, value in environment.items()}},
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def kept(folder):
    """The files below a folder in which numba keeps kernels."""
    return [path.relative_to(folder) for path in folder.rglob("*.nb[ic]")]


def put_files_in_the_way(package):
    """No folder of the package can hold a cache, whoever runs the tests."""
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").write_text("")


# ---------------------------------------------------------------------------------------------------- on the disk


@pytest.mark.slow
def test_a_kernel_is_compiled_again_after_a_kernel_of_another_file_changed(package):
    (package / ".#editing.py").symlink_to("nobody@nowhere")  # an editor's lock file
    before = call(package, "ours", "plain")
    assert before["ours"]["value"] == before["plain"]["value"] == 21
    write_kernels(package, factor=5)
    after = call(package, "ours", "plain")
    assert after["ours"] == {"value": 51, "loaded": 0}
    assert after["plain"] == {"value": 21, "loaded": 1}  # numba by itself looks at one file: why the house does more


@pytest.mark.slow
def test_two_processes_at_once_fill_one_cache_where_it_is_asked_for(package, tmp_path):
    asked = tmp_path / "asked" / "for"
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        results = list(both.map(lambda _: call(package, "ours", NUMBA_CACHE_DIR=asked), range(2)))
    assert [result["ours"]["value"] for result in results] == [21, 21]
    assert call(package, "ours", NUMBA_CACHE_DIR=asked) == {"ours": {"value": 21, "loaded": 1}}
    assert {path.parts[0] for path in kept(tmp_path)} == {"asked"}


def test_a_package_that_cannot_be_written_to_is_cached_for_the_user(package, tmp_path):
    put_files_in_the_way(package)
    caches = tmp_path / "caches"
    assert call(package, "ours", XDG_CACHE_HOME=caches)["ours"] == {"value": 21, "loaded": 0}
    assert {path.parts[:2] for path in kept(tmp_path)} == {("caches", "statespace")}


@pytest.mark.parametrize("asked", [True, False], ids=["asked for in vain", "nowhere"])
def test_kernels_work_where_no_cache_can_be_written(package, tmp_path, asked):
    (tmp_path / "file").write_text("")
    nowhere = tmp_path / "file" / "below"
    if asked:
        environment = {"NUMBA_CACHE_DIR": nowhere}
    else:
        put_files_in_the_way(package)
        environment = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE"), nowhere)
    assert call(package, "ours", **environment)["ours"] == {"value": 21, "loaded": 0}
    assert kept(tmp_path) == []  # nor in a place of numba's choice, where an upgrade would go unnoticed


# -------------------------------------------------------------------------------------------------- in this process


@pytest.fixture
def base(tmp_path, monkeypatch):
    """The folder that NUMBA_CACHE_DIR names."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def aged(folder, days):
    folder.mkdir()
    (folder / "kernel.nbi").write_text("")
    then = time.time() - days * 24 * 3600
    os.utime(folder, (then, then))
    return folder


def test_folders_unused_for_a_week_are_removed_and_nothing_else(base):
    old = aged(base / "statespace-0123456789abcdef", days=8)
    others = [
        aged(base / "statespace-fedcba9876543210", days=6),
        aged(base / "statespace-thesis", days=800),
        aged(base / "statespace-0123456789abcdef-notes", days=800),
        aged(base / "0123456789abcdef", days=800),
    ]
    folder = kernel_module._cache_folder.__wrapped__()
    assert not old.exists()
    assert all((other / "kernel.nbi").exists() for other in others)
    assert folder is not None
    assert re.fullmatch("statespace-[0-9a-f]{16}", folder.name)
    assert folder.parent == base


def test_a_folder_in_use_counts_as_young(base):
    folder = kernel_module._cache_folder.__wrapped__()
    folder.rmdir()
    aged(folder, days=30)
    assert kernel_module._cache_folder.__wrapped__() == folder
    assert (folder / "kernel.nbi").exists()
    assert time.time() - folder.stat().st_mtime < 3600


def test_the_setting_of_numba_is_as_before_also_after_an_error(base):
    kernel(lambda x: x)
    assert str(base) == numba.config.CACHE_DIR
    with pytest.raises(TypeError):
        kernel(3)
    assert str(base) == numba.config.CACHE_DIR


def test_a_function_that_is_in_no_file_is_compiled_all_the_same():
    namespace = {}
    exec("def double(x):\n    return 2 * x", namespace)
    assert kernel(namespace["double"])(4) == 8


def test_a_kernel_is_documented_divides_like_numpy_and_lets_threads_run():
    @kernel
    def divide(x, y):
        """The quotient."""
        return x / y

    assert divide(1.0, 0.0) == np.inf
    assert np.isnan(divide(0.0, 0.0))  # no flag that takes NaN for granted
    assert divide.__doc__ == "The quotient."
    assert divide.__name__ == "divide"
    assert divide.targetoptions["nogil"]
