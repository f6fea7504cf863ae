"""What the command looks like from outside: help without weight, one-line errors, clean endings."""

import io
import json
import os
import subprocess
import sys

import pytest

import statespace
from statespace.cli import rain
from statespace.cli.errors import CommandError, listing
from statespace.cli.main import main

COMMAND = [sys.executable, "-m", "statespace"]


def loaded_by(*words):
    """The heavy packages that a command line imports."""
    code = (
        "import sys; from statespace.cli.main import main; code = main(sys.argv[1:]);"
        "print(code, sorted({'numba', 'numpy', 'scipy', 'rich', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)


@pytest.mark.parametrize("words", [["--help"], ["rain", "--help"], ["params", "-h"], ["compare", "--help"]])
def test_help_imports_nothing_heavy(words):
    done = loaded_by(*words)
    assert done.stderr == "0 []\n"
    assert "usage: statespace" in done.stdout


def test_version_is_that_of_the_package_and_imports_nothing_heavy():
    done = loaded_by("--version")
    assert (done.stdout, done.stderr) == (f"statespace {statespace.__version__}\n", "0 []\n")


def test_help_of_params_behind_the_model_is_help_too(run):
    done = run("params", "markov", "--help")
    assert done.code == 0
    assert "usage: statespace params" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: command"),
        (["snow"], "invalid choice: 'snow'"),
        (["rain", "--depth", "3"], "unrecognized arguments: --depth"),
        (["rain", "--max-order"], "argument --max-order: expected one argument"),
        (["rain", "--max-order", "two"], "argument --max-order: 'two' is not a whole number"),
        (["rain", "--test-last", "1.5"], "argument --test-last: '1.5' is not a whole number"),
        (["rain", "--threshold", "0"], "argument --threshold: '0' is not an amount above 0"),
        (["rain", "--threshold", "-1"], "argument --threshold"),
        (["rain", "--threshold", "nan"], "'nan' is not an amount above 0"),
        (["rain", "--criterion", "taste"], "invalid choice: 'taste'"),
        (["compare"], "the following arguments are required: FILE"),
    ],
)
def test_a_wrong_word_is_answered_with_one_line_that_points_to_the_help(refused, words, message):
    line = refused(*words)
    assert message in line
    assert "--help" in line


def test_options_are_not_abbreviated(refused):
    assert "unrecognized arguments: --max" in refused("rain", "--max", "2")


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (CommandError("no\nway"), 2)])
def test_every_ending_is_one_line_without_a_traceback(monkeypatch, capsys, stop, code):
    def raise_it(record):
        raise stop

    monkeypatch.setattr(rain, "_load", raise_it)
    assert main(["rain"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == {130: "statespace rain: interrupted\n", 2: "statespace rain: no way\n"}[code]


@pytest.mark.skipif(os.name == "nt", reason="pipes end differently on Windows")
def test_a_reader_that_leaves_ends_the_command_silently():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, "params", "growth"], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_a_full_disk_is_answered_with_one_line():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*COMMAND, "params", "growth"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("statespace params: the output cannot be written")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def output(monkeypatch):
    """What a command writes to a stdout of a given encoding, in a given environment."""

    def output(*words, encoding="utf-8", **environment):
        for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        assert main(words) == 0
        sys.stdout.flush()
        return raw.getvalue().decode(encoding)

    return output


def test_piped_output_has_no_colour_codes_and_no_trailing_blanks(output):
    text = output("rain")
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.split("\n"))


def test_colour_is_asked_for_and_forbidden_by_the_environment(output):
    colour = "\x1b[36m"
    assert colour in output("rain", "--units", "0", FORCE_COLOR="1", TERM="xterm-256color")
    assert colour not in output("rain", "--units", "0", FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="1")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_encoding_of_stdout_can_say_it(output, encoding, tmp_path):
    path = tmp_path / "névé ☔.csv"
    path.write_text("день,☔\n" + "".join(f"2012-01-{day:02},{day % 3}\n" for day in range(1, 32)), encoding="utf-8")
    words = ["rain", str(path), "--max-order", "1", "--max-states", "2", "--units", "0"]
    text = output(*words, encoding=encoding)
    assert "chance of rain" in text
    assert ("☔" in text) == ("●" in text) == (encoding == "utf-8")
    assert json.loads(output(*words, "--json", encoding=encoding))["data"]["name"] == "névé ☔.csv"


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_no_figure_is_lost_in_a_narrow_terminal(output, columns):
    text = output("rain", COLUMNS=str(columns))
    assert "…" not in text
    assert max(map(len, text.split("\n"))) <= columns
    for figure in ("-993.696", "-856.568", "-835.792", "-830.272", "-827.248"):
        assert figure in text


def test_the_module_is_the_command():
    done = subprocess.run(
        [*COMMAND, "params", "iid", "n_states=3", "--json"], capture_output=True, text=True, check=True
    )
    assert (json.loads(done.stdout)["total"], done.stderr) == (2, "")


@pytest.mark.parametrize(
    ("words", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")]
)
def test_lists_are_said_as_people_say_them(words, said):
    assert listing(words, "or") == said
