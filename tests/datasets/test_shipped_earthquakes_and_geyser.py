"""The shipped series against the figures they were made from, and against what has been published of them."""

import csv
import hashlib
import itertools
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from statespace.datasets import load_earthquakes, load_old_faithful

ROOT = Path(__file__).parents[2]
FIGURES = ROOT.parent / "shared" / "data"
LOADERS = (load_earthquakes, load_old_faithful)


def figures(*name):
    path = FIGURES.joinpath(*name)
    if not path.is_file():
        pytest.skip(f"the original figures {'/'.join(name)} are not beside this repository")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_earthquakes_keep_the_original_figures():
    quakes, rows = load_earthquakes(), figures("earthquakes", "earthquakes.csv")
    assert quakes.years.tolist() == [int(row["year"]) for row in rows]
    assert quakes.counts.tolist() == [int(row["count"]) for row in rows]


def test_the_geyser_keeps_the_original_figures():
    geyser, rows = load_old_faithful(), figures("old_faithful", "geyser.csv")
    assert geyser.waiting.tolist() == [float(row["waiting"]) for row in rows]
    assert geyser.duration.tolist() == [float(row["duration"]) for row in rows]


def test_earthquakes_have_every_year_once_and_the_published_moments():
    quakes = load_earthquakes()
    np.testing.assert_array_equal(quakes.years, np.arange(1900, 2007))
    assert quakes.counts.shape == (107,)
    # Zucchini and MacDonald (2009), section 1.2: sample mean 19, sample variance 52
    assert (round(quakes.counts.mean()), round(quakes.counts.var(ddof=1))) == (19, 52)


def test_the_geyser_has_the_published_transition_counts():
    geyser = load_old_faithful()
    counts = [[0, 0], [0, 0]]
    for before, after in itertools.pairwise(geyser.long.tolist()):
        counts[before][after] += 1
    assert len(geyser) == geyser.waiting.size == 299
    # Azzalini and Bowman (1990); MacDonald and Zucchini (1997), section 4.2
    assert counts == [[0, 104], [105, 89]]


@pytest.mark.parametrize("load", LOADERS)
def test_a_series_names_its_source_and_licence_and_how_long_it_is(load):
    series = load()
    assert series.source
    assert series.licence
    assert f"{series.name!r}, {len(series)} " in repr(series)
    assert "Source:" in load.__doc__
    assert "Licence:" in load.__doc__


@pytest.mark.parametrize(("load", "name"), [(load_earthquakes, "counts"), (load_old_faithful, "duration")])
def test_changing_one_copy_leaves_the_next_alone(load, name):
    getattr(load(), name)[:] = 0
    assert getattr(load(), name).any()


def test_frames_carry_years_and_minutes():
    pytest.importorskip("pandas")
    quakes, geyser = load_earthquakes().to_frame(), load_old_faithful().to_frame()
    assert (quakes.index[0], quakes.loc[1906, "count"], quakes.index.name) == (1900, 32, "year")
    assert list(geyser.columns) == ["waiting", "duration", "long"]
    assert ((geyser["duration"] >= 3) == geyser["long"]).all()


@pytest.mark.parametrize("load", LOADERS)
def test_without_pandas_the_line_that_installs_it_is_given(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "statespace-models\[frames\]"'):
        load().to_frame()


def test_the_loaders_need_neither_pandas_nor_numba():
    code = (
        "import sys; from statespace.datasets import load_earthquakes, load_old_faithful;"
        "load_earthquakes(); load_old_faithful(); print({'pandas', 'numba', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_package_that_is_installed_elsewhere_holds_the_figures():
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    builder = hatchling.WheelBuilder(str(ROOT))
    shipped = {Path(file.distribution_path).as_posix(): file.path for file in builder.recurse_included_files()}
    for name in ("earthquakes.csv", "old_faithful.csv"):
        source = files("statespace.datasets").joinpath("data", name).read_bytes()
        built = Path(shipped[f"statespace/datasets/data/{name}"]).read_bytes()
        assert hashlib.sha256(built).digest() == hashlib.sha256(source).digest()
