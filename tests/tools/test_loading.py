"""From a file to its class: by our table, by the user's keyword, or one clear error."""

import numpy as np
import pytest

from statespace.foundations.archive import ArchiveError, write_archive
from statespace.tools.loading import load


class Toy:
    def __init__(self, archive):
        self.archive = archive

    @classmethod
    def _from_archive(cls, archive):
        return cls(archive)


class Broken:
    @classmethod
    def _from_archive(cls, archive):
        return archive.arrays["of another version"]


@pytest.fixture
def small_file(tmp_path):
    path = tmp_path / "small.model"
    write_archive(path, "Toy", {"order": 2}, {"transmat": np.eye(2)})
    return path


def test_a_user_class_loads_its_own_kind(small_file):
    model = load(small_file, Toy=Toy, Unused=Broken)
    assert isinstance(model, Toy)
    assert model.archive.header == {"order": 2}


def test_a_user_class_takes_the_place_of_ours(tmp_path):
    write_archive(tmp_path / "chain", "MarkovChain", {}, {})
    assert isinstance(load(str(tmp_path / "chain"), MarkovChain=Toy), Toy)


def test_an_unknown_kind_says_how_to_pass_its_class(small_file, tmp_path):
    with pytest.raises(ArchiveError, match=r"small\.model holds a 'Toy'.*load\(path, Toy=Toy\)"):
        load(small_file)
    write_archive(tmp_path / "odd", "os.system('x')", {}, {})
    with pytest.raises(ArchiveError, match=r"load\(path, YourClass=YourClass\)"):
        load(tmp_path / "odd")


def test_contents_that_do_not_fit_the_class_are_one_error(small_file):
    with pytest.raises(ArchiveError, match=r"holds a Toy whose contents do not fit together \(KeyError") as caught:
        load(small_file, Toy=Broken)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("wrong", [Toy(None), "Toy", object, None])
def test_what_is_no_class_for_archives_is_refused(small_file, wrong):
    with pytest.raises(TypeError, match="expected a class with a class method _from_archive"):
        load(small_file, Toy=wrong)


def test_load_gives_the_errors_of_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ArchiveError, match="is not a saved statespace model"):
        load(tmp_path / "text")
