"""The shipped series against the figures they were made from, and against what has been published of them."""

import hashlib
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from statespace.datasets import load_co2, load_nile

ROOT = Path(__file__).parents[2]
LOADERS = (load_co2, load_nile)


def test_the_nile_has_the_figures_of_statsmodels():
    nile = load_nile()
    theirs = pytest.importorskip("statsmodels.datasets").nile.load_pandas().data
    np.testing.assert_array_equal(nile.years, theirs["year"])
    np.testing.assert_array_equal(nile.flow, theirs["volume"])


def test_the_nile_has_every_year_once_and_the_published_break():
    nile = load_nile()
    np.testing.assert_array_equal(nile.years, np.arange(1871, 1971))
    early = nile.years < 1899
    # Cobb (1978): mean flow 1098 before the change of 1898, 850 after it
    assert (round(nile.flow[early].mean()), round(nile.flow[~early].mean())) == (1098, 850)


def test_months_are_means_of_the_weeks_of_statsmodels():
    air = load_co2()
    weekly = pytest.importorskip("statsmodels.datasets").co2.load_pandas().data["co2"]
    assert set(weekly.index.day_name()) == {"Saturday"}
    monthly = weekly.resample("MS")
    np.testing.assert_array_equal(air.months, monthly.mean().index.to_numpy().astype("datetime64[M]"))
    np.testing.assert_array_equal(air.weeks, monthly.count())
    np.testing.assert_allclose(air.co2, monthly.mean(), rtol=1e-14)


def test_every_month_is_there_and_those_without_a_week_are_missing():
    air = load_co2()
    np.testing.assert_array_equal(air.months, np.arange("1958-03", "2002-01", dtype="datetime64[M]"))
    np.testing.assert_array_equal(np.isnan(air.co2), air.weeks == 0)
    assert np.isnan(air.co2).sum() == 5


def test_carbon_dioxide_is_within_tenths_of_the_means_that_scripps_made_from_days():
    air = load_co2()
    # 1959 in data `co2` of R, of the SIO mole fraction scale of 1997
    of_days = [315.42, 316.31, 316.50, 317.56, 318.13, 318.00, 316.39, 314.65, 313.68, 313.18, 314.66, 315.43]
    ours = air.co2[air.months.astype("datetime64[Y]") == np.datetime64("1959")]
    np.testing.assert_allclose(ours, of_days, atol=0.4)


@pytest.mark.parametrize("load", LOADERS)
def test_a_series_names_its_source_and_licence_and_how_long_it_is(load):
    series = load()
    assert series.source
    assert series.licence
    assert f"{series.name!r}, {len(series)} " in repr(series)
    assert "Source:" in load.__doc__
    assert "Licence:" in load.__doc__


@pytest.mark.parametrize(("load", "name"), [(load_nile, "flow"), (load_co2, "co2"), (load_co2, "weeks")])
def test_changing_one_copy_leaves_the_next_alone(load, name):
    getattr(load(), name)[:] = 0
    assert getattr(load(), name).any()


def test_frames_carry_years_and_months():
    pytest.importorskip("pandas")
    nile, air = load_nile().to_frame(), load_co2().to_frame()
    assert (nile.index[0], nile.loc[1899, "flow"], nile.index.name) == (1871, 774.0, "year")
    assert list(air.columns) == ["co2", "weeks"]
    assert air.index.freqstr == "MS"
    assert air.loc["1958-03-01", "co2"] == 316.1


@pytest.mark.parametrize("load", LOADERS)
def test_without_pandas_the_line_that_installs_it_is_given(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "statespace-models\[frames\]"'):
        load().to_frame()


def test_the_loaders_need_neither_pandas_nor_numba():
    code = (
        "import sys; from statespace.datasets import load_co2, load_nile;"
        "load_co2(); load_nile(); print({'pandas', 'numba', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_package_that_is_installed_elsewhere_holds_the_figures():
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    builder = hatchling.WheelBuilder(str(ROOT))
    shipped = {Path(file.distribution_path).as_posix(): file.path for file in builder.recurse_included_files()}
    for name in ("nile.csv", "mauna_loa_co2.csv"):
        source = files("statespace.datasets").joinpath("data", name).read_bytes()
        built = Path(shipped[f"statespace/datasets/data/{name}"]).read_bytes()
        assert hashlib.sha256(built).digest() == hashlib.sha256(source).digest()
