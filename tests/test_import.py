"""`import statespace` is light, offers all that it names, and nothing that a test runner would take for a test."""

import importlib
import importlib.metadata
import json
import pkgutil
import statistics
import subprocess
import sys
import types

import pytest

import statespace

HEAVY = ("numpy", "numba", "llvmlite", "scipy", "pandas", "polars", "matplotlib", "sklearn", "rich", "tqdm")


def python(code):
    """What a fresh interpreter prints as JSON."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_the_import_loads_no_other_package():
    loaded = python("import statespace, sys, json; print(json.dumps(sorted(sys.modules)))")
    assert [name for name in loaded if name.partition(".")[0] in HEAVY] == []
    assert [name for name in loaded if name.startswith("statespace.")] == []


def test_the_import_takes_no_longer_than_that_of_numpy():
    code = "import time, json; t = time.process_time(); import {}; print(json.dumps(time.process_time() - t))"
    seconds = {"numpy": [], "statespace": []}
    for _ in range(5):
        for name, taken in seconds.items():
            taken.append(python(code.format(name)))
    assert statistics.median(seconds["statespace"]) <= 1.5 * statistics.median(seconds["numpy"])


def test_a_name_loads_only_what_it_needs():
    code = "import statespace, sys, json; statespace.count_parameters; print(json.dumps(sorted(sys.modules)))"
    assert [name for name in python(code) if name.partition(".")[0] in HEAVY] == []


@pytest.mark.parametrize("name", statespace.__all__)
def test_every_name_it_offers_is_there_and_stays_the_same(name):
    value = getattr(statespace, name)
    assert getattr(statespace, name) is value
    home = getattr(value, "__module__", None) or getattr(value, "__name__", None) or "statespace"
    assert home.startswith("statespace") or isinstance(value, str)


def test_all_and_dir_and_the_homes_of_the_names_agree():
    assert len(set(statespace.__all__)) == len(statespace.__all__)
    assert dir(statespace) == sorted(statespace.__all__)
    assert {*statespace._HOME, *statespace._PACKAGES, "__version__"} == set(statespace.__all__)


def test_a_star_import_brings_them_all():
    namespace = {}
    exec("from statespace import *", namespace)
    assert set(statespace.__all__) <= set(namespace)


def test_an_unknown_name_is_an_attribute_error_as_of_any_module():
    with pytest.raises(AttributeError, match="module 'statespace' has no attribute 'MarkovChian'"):
        statespace.MarkovChian  # noqa: B018  # the look-up is what is tested
    with pytest.raises(ImportError, match="cannot import name 'MarkovChian' from 'statespace'"):
        exec("from statespace import MarkovChian")


MODULES = [
    "statespace",
    *(
        module.name
        for module in pkgutil.walk_packages(statespace.__path__, "statespace.")
        if not module.name.endswith("__main__")  # importing it runs the command line
    ),
]


@pytest.mark.parametrize("module", MODULES)
def test_no_public_name_looks_like_a_test(module):
    loaded = importlib.import_module(module)
    names = {*vars(loaded), *getattr(loaded, "__all__", ())}
    for value in list(vars(loaded).values()):
        if isinstance(value, type) and value.__module__.startswith("statespace"):
            names |= set(dir(value))
    assert [name for name in names if name.startswith(("test_", "Test"))] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is_for(module):
    assert (importlib.import_module(module).__doc__ or "").strip()


def test_the_version_is_that_of_the_installed_package():
    assert statespace.__version__ == importlib.metadata.version("statespace-models")


@pytest.mark.parametrize("family", ["hmm", "lds", "markov", "neural"])
def test_no_module_hides_a_name_of_its_family(family):
    # A submodule becomes an attribute of its package when it is imported, and would take the place of a function
    package = importlib.import_module(f"statespace.{family}")
    modules = [module.name for module in pkgutil.iter_modules(package.__path__)]
    assert not set(modules) & set(package.__all__)
    for name in modules:
        importlib.import_module(f"statespace.{family}.{name}")
    for name in package.__all__:
        assert not isinstance(getattr(package, name), types.ModuleType)
