"""The command line called in this process, as `run("rain", "--json")`."""

from collections import namedtuple

import pytest

from statespace.cli.main import main

Done = namedtuple("Done", "code out err")


@pytest.fixture
def run(capsys):
    def run(*words):
        code = main([str(word) for word in words])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(run):
    """Run a command that must end with one line on stderr, exit code 2 and nothing on stdout; return the line."""

    def refused(*words):
        done = run(*words)
        assert done.code == 2, done
        assert done.out == ""
        assert done.err.count("\n") == 1
        assert done.err.startswith("statespace")
        return done.err

    return refused


@pytest.fixture
def file(tmp_path):
    def file(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return file
