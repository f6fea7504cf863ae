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

from statespace.datasets import load_alofi_rain, load_seattle_rain

ROOT = Path(__file__).parents[2]
FIGURES = ROOT.parent / "shared" / "data"


def figures(*name):
    path = FIGURES.joinpath(*name)
    if not path.is_file():
        pytest.skip(f"the original figures {'/'.join(name)} are not beside this repository")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_seattle_has_every_day_of_four_years_once():
    rain = load_seattle_rain()
    assert len(rain) == 1461
    np.testing.assert_array_equal(rain.dates, np.arange("2012-01-01", "2016-01-01", dtype="datetime64[D]"))
    assert rain.precipitation.shape == rain.wet.shape == (1461,)
    assert np.isfinite(rain.precipitation).all()
    assert (rain.precipitation >= 0).all()


def test_seattle_keeps_the_original_figures():
    rain, rows = load_seattle_rain(), figures("rain_seattle", "seattle-weather.csv")
    assert [str(day).replace("-", "/") for day in rain.dates] == [row["date"] for row in rows]
    assert rain.precipitation.tolist() == [float(row["precipitation"]) for row in rows]


def test_alofi_keeps_the_original_figures():
    rain, rows = load_alofi_rain(), figures("rain_alofi", "alofi.csv")
    assert (rain.codes + 1).tolist() == [int(row["code"]) for row in rows]
    assert rain.classes.tolist() == [row["rain"] for row in rows]


def test_alofi_has_the_published_transition_counts():
    rain = load_alofi_rain()
    counts = [[0] * 3 for _ in range(3)]
    for today, tomorrow in itertools.pairwise(rain.codes.tolist()):
        counts[today][tomorrow] += 1
    assert len(rain) == 1096
    assert counts == [[362, 126, 60], [136, 90, 68], [50, 79, 124]]  # Avery and Henderson (1999)


@pytest.mark.parametrize("name", ["seattle_rain.csv", "alofi_rain.csv"])
def test_the_second_column_of_the_shipped_file_agrees_with_the_loader(name):
    text = files("statespace.datasets").joinpath("data", name).read_text(encoding="utf-8")
    first, second = zip(*(line.split(",") for line in text.split()[1:]), strict=True)
    if name == "alofi_rain.csv":
        assert (
            [("0", "1-5", "6+")[int(code) - 1] for code in first] == list(second) == load_alofi_rain().classes.tolist()
        )
    else:
        assert list(first) == [str(day) for day in load_seattle_rain().dates]


@pytest.mark.parametrize(("load", "dry"), [(load_seattle_rain, "0.0"), (load_alofi_rain, "0")])
def test_wet_is_what_is_not_written_as_zero(load, dry):
    rain = load()
    written = rain.classes if load is load_alofi_rain else rain.precipitation.astype(str)
    assert rain.wet.dtype == np.bool_
    assert rain.wet.tolist() == [cell != dry for cell in written.tolist()]


@pytest.mark.parametrize("load", [load_seattle_rain, load_alofi_rain])
def test_a_series_names_its_source_and_licence_and_how_long_it_is(load):
    rain = load()
    assert rain.source
    assert rain.licence
    assert rain.unit == "mm"
    assert f"{rain.name!r}, {len(rain)} days" in repr(rain)
    assert "Source:" in load.__doc__
    assert "Licence:" in load.__doc__


@pytest.mark.parametrize("load", [load_seattle_rain, load_alofi_rain])
def test_changing_one_copy_leaves_the_next_alone(load):
    changed, name = load(), "precipitation" if load is load_seattle_rain else "codes"
    getattr(changed, name)[:] = 0
    assert getattr(load(), name).any()


def test_frames_carry_dates_amounts_and_ordered_classes():
    pytest.importorskip("pandas")
    seattle, alofi = load_seattle_rain().to_frame(), load_alofi_rain().to_frame()
    assert (seattle.loc["2012-01-02", "precipitation"], bool(seattle.loc["2012-01-02", "wet"])) == (10.9, True)
    assert seattle.index.freqstr == "D"
    assert list(alofi["rain"].cat.categories) == ["0", "1-5", "6+"]
    assert alofi["rain"].cat.ordered
    assert (alofi["rain"] > "0").tolist() == alofi["wet"].tolist()


@pytest.mark.parametrize("load", [load_seattle_rain, load_alofi_rain])
def test_without_pandas_the_line_that_installs_it_is_given(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "statespace-models\[frames\]"'):
        load().to_frame()


def test_the_loaders_need_neither_pandas_nor_numba():
    code = (
        "import sys; from statespace.datasets import load_seattle_rain, load_alofi_rain;"
        "load_seattle_rain(); load_alofi_rain(); print({'pandas', 'numba', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_package_that_is_installed_elsewhere_holds_the_figures(tmp_path):
    """What the build copies is what git does not ignore under statespace/: the two files must be part of it."""
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    builder = hatchling.WheelBuilder(str(ROOT))
    shipped = {Path(file.distribution_path).as_posix(): file.path for file in builder.recurse_included_files()}
    for name in ("seattle_rain.csv", "alofi_rain.csv"):
        source = files("statespace.datasets").joinpath("data", name).read_bytes()
        built = Path(shipped[f"statespace/datasets/data/{name}"]).read_bytes()
        assert hashlib.sha256(built).digest() == hashlib.sha256(source).digest()
