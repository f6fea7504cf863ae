"""Tasks of sequences that are labelled: what they draw and read is what they say, and each runs, or says why not."""

import csv

import numpy as np
import pytest

from benchmarks.tasks import adding, intents, parity, tags, vowels
from benchmarks.tasks.frame import DATA, measured

SHOWN = {"intents": intents.TASK, "tags": tags.TASK, "vowels": vowels.TASK}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA, str(tmp_path))
    monkeypatch.setattr(vowels.importlib.util, "find_spec", lambda _: None)
    return tmp_path


def test_parity_is_that_of_the_ones_so_far():
    X, y = parity._drawn(20, 30, np.random.default_rng(0))
    for bits, said in zip(X[:, :, 0], y, strict=True):
        assert [sum(bits[: t + 1]) % 2 for t in range(30)] == said.tolist()


def test_the_sum_is_that_of_the_two_that_are_marked_one_in_each_half():
    X, y = adding._drawn(50, np.random.default_rng(0))
    for rows, said in zip(X, y, strict=True):
        marked = np.flatnonzero(rows[:, 1])
        assert len(marked) == 2
        assert marked[0] < 50 <= marked[1]
        assert said == pytest.approx(rows[marked, 0].sum(), rel=1e-12)


@pytest.mark.parametrize("task", [parity.TASK, adding.TASK], ids=lambda task: task.name)
def test_what_draws_its_data_runs_in_seconds(task):
    rows = measured(task, quick=True).rows
    assert len([row for row in rows if row[0]]) == 3
    assert all(float(row[3]) >= 0 for row in rows)


@pytest.mark.parametrize("name", SHOWN)
def test_without_its_data_a_task_says_so(name, folder):
    ((model, *_, said),) = measured(SHOWN[name], quick=True).rows
    assert model == "all models"
    assert said.startswith("skipped: ")
    assert "is not in the folder of data" in said


def test_intents_are_read_by_their_columns(folder):
    (folder / "intents_clinc150").mkdir()
    with (folder / "intents_clinc150" / "clinc150.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "intent", "text"])
        writer.writerows([["train", "time" if n < 50 else "oos", "what time, is it"] for n in range(100)])
        writer.writerows([["val", "time", "is it time"], ["val", "oos", "no"]])
    rows = measured(intents.TASK, quick=True).rows
    assert len([row for row in rows if row[0]]) == 3
    assert {float(row[3]) for row in rows} <= {0.0, 1.0}  # one is scored, and one asked


def test_tags_are_read_word_by_word_and_the_most_frequent_is_counted(folder):
    (folder / "ud_ewt").mkdir()
    sentences = ["He|PRON had|AUX to|PART wait|VERB", "the|DET duck|NOUN ||PUNCT"] * 60
    for split in ("train", "dev"):
        (folder / "ud_ewt" / f"ewt_{split}.txt").write_text("\n".join(sentences), encoding="utf-8")
    assert tags._read(folder / "ud_ewt" / "ewt_dev.txt")[0][1] == ["the", "duck", "|"]
    rows = measured(tags.TASK, quick=True).rows
    assert rows[0][:4] == ("most frequent tag of the word", "words of dev right", "", "1")
    assert len([row for row in rows if row[0]]) == 4


def test_vowels_are_read_with_their_steps_as_rows(folder):
    (folder / "japanese_vowels").mkdir()
    text = "#a note\n@data\n" + "\n".join(f"{k},1,2:3,{k},5:{k}" for k in (1, 2) * 6)
    for split in ("TRAIN", "TEST"):
        (folder / "japanese_vowels" / f"JapaneseVowels_{split}.ts").write_text(text, encoding="utf-8")
    X, y = vowels._read("TRAIN")
    np.testing.assert_array_equal(X[1], [[2, 3], [1, 2], [2, 5]])
    assert y[:2] == [1, 2]
    assert len(measured(vowels.TASK, quick=True).rows) == 6
