"""The benchmarks run, say what they skipped and what they lost, and write what they measured."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _repository(monkeypatch):
    if not (ROOT / "benchmarks" / "__main__.py").exists():
        pytest.skip("the benchmarks are part of the repository, not of the package")
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.mark.parametrize(
    ("family", "absent", "titles", "beside"),
    [
        (
            "markov",
            ("pandas", "quantecon", "pydtmc"),
            ("Counting", "Scoring and prediction", "Sampling", "Threads", "Memory", "Starting", "First answers"),
            "numpy.bincount",
        ),
        pytest.param(
            "hmm",
            ("dynamax|jax", "pomegranate|torch"),
            (
                "Likelihood",
                "Smoothing",
                "Most likely path",
                "One iteration of EM",
                "Small calls",
                "A whole fit",
                "Threads",
            ),
            "hmmlearn, scaling",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_trial_measures_everything_and_says_which_peer_is_absent(family, absent, titles, beside, monkeypatch, capsys):
    from benchmarks import __main__ as command

    for peer in absent:
        monkeypatch.setitem(sys.modules, peer.split("|")[0], None)
    readme = command.README
    before = readme.read_bytes() if readme.exists() else None
    assert command.main([family, "--quick"]) == 0
    printed = "\n" + capsys.readouterr().out
    for title in titles:
        assert any(f"\n{title}{mark}" in printed for mark in (": ", ", ", "\n"))
    for peer in absent:  # what it stands on may not be installed either
        assert re.search(rf"skipped: ({peer}) is not installed", printed)
    assert beside in printed
    assert (readme.read_bytes() if readme.exists() else None) == before


def test_a_trial_is_not_written(capsys):
    from benchmarks.__main__ import main

    with pytest.raises(SystemExit) as stopped:
        main(["markov", "--quick", "--write"])
    assert stopped.value.code == 2
    assert "--quick is a trial" in capsys.readouterr().err


def test_losses_stand_in_the_table():
    from benchmarks.comparison import Peer, compare
    from benchmarks.report import Table

    table = Table("", ("",) * 7)
    work = np.arange(2000)
    peers = [
        Peer("won", lambda: lambda: np.sort(work), 0.0, "0"),
        Peer("lost", lambda: lambda: np.sort(work), 1e9, "1e9"),
        Peer("no bar", lambda: lambda: np.sort(work)),
    ]
    compare(table, "case", lambda: np.sort(work), peers, 3)
    assert [(row[2], row[5], row[6]) for row in table.rows] == [
        ("won", "0", "yes"),
        ("lost", "1e9", "no"),
        ("no bar", "", ""),
    ]
    assert all(float(row[4]) > 0 for row in table.rows)
    assert "**no**" in table.markdown()


def test_a_ratio_is_peer_time_by_ours_round_by_round():
    from benchmarks.timing import Timing, median_ratio, median_seconds, take_turns

    turns = iter(range(100))
    timings = take_turns({"a": lambda: Timing(next(turns), 0.0), "b": lambda: Timing(next(turns), 0.0)}, 3)
    assert [timing.cpu for timing in timings["a"]] == [2, 4, 6]  # 0 and 1 warmed up
    assert [timing.cpu for timing in timings["b"]] == [3, 5, 7]
    assert median_seconds(timings["b"]) == 5
    assert median_ratio(timings["b"], timings["a"]) == pytest.approx(5 / 4)  # of 3/2, 5/4 and 7/6


def test_memory_counts_what_a_call_holds_at_most():
    from benchmarks.timing import peak_bytes

    assert 8e6 <= peak_bytes(lambda: np.zeros(1_000_000)[:1].copy()) < 8.1e6
    assert peak_bytes(lambda: None) < 1e4


def test_the_most_memory_of_a_process_is_that_of_its_arrays(tmp_path):
    from benchmarks.timing import measured_child

    script = tmp_path / "script.py"
    script.write_text("import sys, numpy\nprint(numpy.ones(int(sys.argv[1])).sum())\n", encoding="utf-8")
    (_, before), (printed, peak) = measured_child((str(script), "1")), measured_child((str(script), "10_000_000"))
    assert float(printed) == 1e7
    assert 7e7 < peak - before < 9e7
    script.write_text("import not_installed.at_all\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError) as raised:
        measured_child((str(script),))
    assert raised.value.name == "not_installed"


def test_the_readme_says_when_where_and_with_what_for_each_family(tmp_path):
    from benchmarks.report import Table, write_readme

    path = tmp_path / "README.md"
    for family, title in (("hmm", "Fitting"), ("markov", "Old"), ("markov", "Counting")):
        table = Table(title, ("case", "holds"), "A note.")
        table.add("K = 2", "no")
        write_readme(path, family, [table])
    written = path.read_text(encoding="utf-8")
    for said in (f"numpy {np.__version__}", "Python 3.", " cores, "):
        assert written.count(said) == 2
    for command in ("markov", "hmm"):
        assert f"`python -m benchmarks {command} --write`" in written.split("not by hand")[0]
    assert [line for line in written.splitlines() if line.startswith("# ")] == [
        "# How fast, beside the peers",
        "# Markov chains",
        "# Hidden Markov models",
    ]
    for title in ("Counting", "Fitting"):
        assert f"## {title}\n\nA note.\n\n| case | holds |\n|---|---:|\n| K = 2 | **no** |\n" in written
    assert "## Old" not in written


def test_a_task_that_is_measured_alone_leaves_the_others_as_they_were(tmp_path):
    from benchmarks.report import Table, write_readme

    def table(title, cell):
        found = Table(title, ("model", "holds"))
        found.add("gru", cell)
        return found

    path = tmp_path / "README.md"
    write_readme(path, "tasks", [table("One", "1"), table("Two", "2")])
    write_readme(path, "markov", [table("Counting", "5")])
    write_readme(path, "tasks", [table("Two", "3"), table("Three", "4")], others_stay=True)
    written = path.read_text(encoding="utf-8")
    assert [line for line in written.splitlines() if line.startswith(("## ", "| gru"))] == [
        "## Counting",
        "| gru | 5 |",
        "## One",
        "| gru | 1 |",
        "## Two",
        "| gru | 3 |",
        "## Three",
        "| gru | 4 |",
    ]
    write_readme(path, "tasks", [table("Two", "6")])
    assert "## One" not in path.read_text(encoding="utf-8")


def test_a_task_counts_the_best_seed_or_the_median_and_says_what_it_skips():
    from benchmarks.tasks.frame import LESS, Contender, Outcome, SkippedError, Task, at_least, at_most, measured

    def absent(_):
        raise SkippedError("no data")

    def run(seed):
        return Outcome({"loss": float([3, 1, 2][seed]), "right": float([5, 7, 6][seed])}, seconds=seed)

    contenders = [
        Contender("best", run, {"loss": at_most(1), "right": at_least(7.5)}),
        Contender("median", run, {"loss": at_most(1.5), "right": at_least(6)}, median=True),
        Contender("nothing asked", run, {"loss": LESS}, n_seeds=1),
        Contender("absent", absent, {"loss": LESS}),
    ]
    rows = measured(Task("name", "Title", "Note.", lambda _: contenders), False).rows
    assert [(row[0], row[1], row[3], row[4], row[5], row[6]) for row in rows] == [
        ("best", "loss", "1", "3, 1, 2", "1 s", "yes"),
        ("", "right", "7", "5, 7, 6", "", "no"),
        ("median", "loss", "2", "3, 1, 2", "1 s", "no"),
        ("", "right", "6", "5, 7, 6", "", "yes"),
        ("nothing asked", "loss", "3", "", "0 ns", ""),
        ("absent", "", "", "", "", "skipped: no data"),
    ]


def test_the_entropy_of_the_grammar_is_what_its_strings_have_on_average():
    from benchmarks.tasks.reber import entropy
    from statespace.datasets import draw_reber, reber_log_likelihood

    rows = draw_reber(20_000, random_state=0)
    n = sum(len(row) - 1 for row in rows)
    assert entropy() == pytest.approx(0.44109, abs=5e-6)  # Cleeremans' grammar, in the literature's figures
    assert -sum(map(reber_log_likelihood, rows)) / n == pytest.approx(entropy(), abs=0.002)


def test_what_is_no_task_is_refused(capsys):
    from benchmarks.__main__ import main

    for words, said in (
        (["tasks", "--only", "nothing"], "expected one of adding"),
        (["hmm", "--only", "reber"], "leave it out"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert said in capsys.readouterr().err


def test_a_trial_of_a_task_prints_its_table_and_says_what_data_are_absent(capsys, monkeypatch, tmp_path):
    from benchmarks import __main__ as command
    from benchmarks.tasks.frame import DATA

    monkeypatch.setenv(DATA, "")
    for name in ("alphabet", "characters"):
        assert command.main(["tasks", "--only", name, "--quick", "--data", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"gru, backward +letters said +>= 1 ", printed)
    assert re.search(r"skipped: tinyshakespeare/input.txt is not in the folder of data", printed)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_laws_of_kneser_ney_sum_to_one_and_back_off_to_what_was_seen(order):
    from benchmarks.tasks.kneser_ney import kneser_ney

    text = "abracadabra, simsalabim, abrakadabra"
    p = kneser_ney(text, order, 30)
    alphabet = [*set(text), *"0123456789ABCDEFGHIJ"][:30]
    for past in ("abra", "zzzz", "sims"):
        assert sum(p(past[len(past) - order :], symbol) for symbol in alphabet) == pytest.approx(1.0)
    if order == 3:
        assert p("bra", "c") > p("bra", "s") > 0
