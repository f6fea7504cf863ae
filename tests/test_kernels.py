"""All kernels together: no index outside an array, and one compiled version for each dtype."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import every_kernel


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Results and report of every kernel compiled with bounds checks, in a process and a cache of its own."""
    folder = tmp_path_factory.mktemp("kernels")
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.every_kernel", str(folder / "results.npz")],
        env=environment,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "results.npz") as results:
        return dict(results), json.loads(done.stdout)


@pytest.mark.slow
def test_no_kernel_reads_or_writes_outside_its_arrays(checked):
    results, report = checked
    assert report["checked"]
    assert report["noticed"]  # bounds checks are really on
    expected = every_kernel.run()
    assert results.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(results[name], values, rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.slow
def test_every_kernel_was_run(checked):
    never = [name for name, versions in checked[1]["types"].items() if not versions]
    assert not never, f"tests/every_kernel.py does not run {', '.join(never)}"


@pytest.mark.slow
def test_every_kernel_has_one_compiled_version_for_each_dtype(checked):
    # Layout, writability and byte order are the models' business: a second version would be compiled on a user's time
    types = checked[1]["types"]
    assert len(types) > 8
    for name, versions in types.items():
        dtypes = [tuple(re.sub(r"Array\((\w+), \d+, .*\)|array\((\w+), .*\)", r"\1\2", t) for t in v) for v in versions]
        assert len(set(dtypes)) == len(versions), f"{name} was compiled for {versions}"
        assert all("readonly" not in kind and "array" not in kind for version in dtypes for kind in version)
