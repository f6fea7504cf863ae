"""The shipped play against the text it was cut from."""

import subprocess
import sys
from pathlib import Path

import pytest

from statespace.datasets import load_romeo_and_juliet

TEXT = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare" / "input.txt"


def test_the_play_is_cut_from_the_text_to_the_letter():
    if not TEXT.is_file():
        pytest.skip("tiny shakespeare is not beside this repository")
    whole, play = TEXT.read_text(encoding="utf-8"), load_romeo_and_juliet()
    assert whole.count(play.text) == 1


def test_speeches_are_the_text_again():
    play = load_romeo_and_juliet()
    written = [f"{speaker}:\n{words}".rstrip("\n") for speaker, words in play.speeches]
    assert "\n\n".join(written) + "\n" == play.text
    assert all(speaker and "\n" not in speaker for speaker, _ in play.speeches)
    assert {"ROMEO", "JULIET", "MERCUTIO"} < {speaker for speaker, _ in play.speeches}


def test_it_is_plain_text_and_says_where_it_is_from():
    play = load_romeo_and_juliet()
    assert play.text.isascii()
    assert "\r" not in play.text
    assert "".join(play.characters) == play.text
    assert len(play) == 61_058
    assert len(set(play.characters)) == 60
    assert play.licence == "public domain"
    for said in ("Source:", "Licence:"):
        assert said in load_romeo_and_juliet.__doc__


def test_it_needs_nothing_but_numpy():
    code = (
        "import sys; from statespace.datasets import load_romeo_and_juliet;"
        "load_romeo_and_juliet(); print({'pandas', 'numba', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
