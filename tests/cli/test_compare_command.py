"""`statespace compare`: one discrete column, models by a small grammar."""

import itertools
import json
import math
from collections import Counter

import pytest

from statespace.cli.errors import CommandError
from statespace.cli.model_grammar import parse_models
from statespace.datasets import load_alofi_rain


@pytest.fixture
def alofi(file):
    return file("step,rain\n" + "".join(f"{n},{label}\n" for n, label in enumerate(load_alofi_rain().classes)))


def test_figures_are_those_of_counting(run, alofi):
    words = ["compare", alofi, "--column", "rain", "--models", "iid,markov:1", "--test-last", "96", "--json"]
    found = json.loads(run(*words).out, parse_constant=pytest.fail)
    symbols = load_alofi_rain().classes.tolist()
    train, pairs = symbols[:1000], list(itertools.pairwise(symbols))
    of_pair, of_first = Counter(pairs[:999]), Counter(train[:-1])
    share = Counter(train)
    losses = {
        "iid": [-math.log(share[symbol] / 1000) for symbol in symbols[1000:]],
        "markov:1": [-math.log(of_pair[pair] / of_first[pair[0]]) for pair in pairs[999:]],
    }
    assert [model["name"] for model in found["models"]] == ["iid", "markov:1"]
    assert [model["n_parameters"] for model in found["models"]] == [2, 6]
    for model in found["models"]:
        expected = sum(losses[model["name"]]) / 96
        assert model["held_out_nats"] == pytest.approx(expected, rel=1e-12)
        assert model["held_out_bits"] == pytest.approx(expected / math.log(2), rel=1e-12)
    assert found["models"][1]["log_likelihood"] == pytest.approx(
        sum(n * math.log(n / of_first[first]) for (first, _), n in of_pair.items()), rel=1e-12
    )
    assert found["best"] == min(losses, key=lambda name: sum(losses[name]))
    assert found["data"]["symbols"] == ["0", "1-5", "6+"]


def test_labels_and_integers_agree(run, file):
    rain = load_alofi_rain()
    tables = []
    for name, column in (("codes", rain.codes), ("labels", rain.classes)):
        path = file("x\n" + "".join(f"{value}\n" for value in column.tolist()), f"{name}.csv")
        found = json.loads(run("compare", path, "--models", "iid,markov:1-2", "--json").out)
        tables.append([[model[key] for key in ("name", "aic", "held_out_nats")] for model in found["models"]])
    assert tables[0] == tables[1]


def test_the_table_has_a_row_for_each_model_and_marks_the_best(run, alofi):
    text = run("compare", alofi, "--column", "rain", "--smoothing", "witten-bell").out
    lines = [line for line in text.splitlines() if line.startswith((" iid", " markov:"))]
    assert [line.split()[:2] for line in lines] == [
        ["iid", "2"],
        ["markov:1", "6"],
        ["markov:2", "18"],
        ["markov:3", "54"],
        ["markov:4", "162"],
    ]
    losses = [float(line.split()[5].strip("*")) for line in lines]
    assert [line.split()[5].endswith("*") for line in lines] == [loss == min(losses) for loss in losses]
    assert max(map(len, text.split("\n"))) <= 80


def test_missing_symbols_are_gaps_that_nothing_is_counted_across(run, file):
    whole = json.loads(run("compare", file("x\n" + "a\nb\nb\na\n" * 9), "--models", "markov:1", "--json").out)
    gappy = json.loads(run("compare", file("x\n" + "a\nb\n\nb\na\n" * 9), "--models", "markov:1", "--json").out)
    assert gappy["data"]["n_missing"] == 9
    assert gappy["n_train_steps"] + gappy["n_test_steps"] == 1 + 8 * 3 + 1  # ab, then eight times baab, then ba
    assert whole["n_train_steps"] + whole["n_test_steps"] == 9 * 4 - 1


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("iid", [0]),
        ("markov:2", [2]),
        ("markov:1-4", [1, 2, 3, 4]),
        (" iid , markov:0-1,markov:3", [0, 0, 1, 3]),
    ],
)
def test_the_grammar_gives_models_in_the_order_written(text, orders):
    models = parse_models(text, "jeffreys")
    assert [model.order for model in models.values()] == orders
    assert {model.smoothing for model in models.values()} == {"jeffreys"}


def test_the_grammar_gives_hidden_markov_models_by_their_number_of_states():
    models = parse_models("hmm:2-3,iid,hmm:5")
    assert list(models) == ["hmm:2", "hmm:3", "iid", "hmm:5"]
    assert [models[name].n_components for name in ("hmm:2", "hmm:3", "hmm:5")] == [2, 3, 5]


def test_hidden_markov_models_stand_beside_chains(run, alofi):
    words = ["compare", alofi, "--column", "rain", "--models", "markov:1,hmm:1-2", "--test-last", "96", "--json"]
    found = json.loads(run(*words).out, parse_constant=pytest.fail)
    chain, one, two = found["models"]
    assert [model["n_parameters"] for model in (chain, one, two)] == [6, 2, 7]  # 1 + 2 + 2 * 2
    # a single state is the i.i.d. model, on the steps that the chain scores too
    share = Counter(load_alofi_rain().classes.tolist()[:1000])
    losses = [-math.log(share[symbol] / 1000) for symbol in load_alofi_rain().classes.tolist()[1000:]]
    assert one["held_out_nats"] == pytest.approx(sum(losses) / 96, rel=1e-6)
    assert two["log_likelihood"] > one["log_likelihood"]
    assert found["n_train_steps"] == 999


def test_hidden_markov_models_know_the_symbols_of_the_rows_held_out(run, file):
    path = file("x\n" + "a\nb\nb\n" * 20 + "c\n")
    found = json.loads(run("compare", path, "--models", "hmm:2", "--test-last", "1", "--json").out)
    assert found["data"]["symbols"] == ["a", "b", "c"]
    assert found["models"][0]["held_out_nats"] is None or found["models"][0]["held_out_nats"] > 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rnn:3", "'rnn' is not a model: write iid, markov:2, markov:1-4 or hmm:2-4"),
        ("Markov:1", "'Markov' is not a model"),
        ("", "--models is empty"),
        (",,", "--models is empty"),
        ("markov", "markov: has no order"),
        ("markov:x", "markov:x has no order: write markov:2"),
        ("markov:4-1", "markov:4-1 has no order"),
        ("markov:-1", "has no order"),
        ("iid:2", "iid has no sizes"),
        ("markov:1-3,markov:2", "markov:2 stands twice"),
        ("hmm", "hmm: has no number of states from 1 to 32: write hmm:2"),
        ("hmm:0-2", "hmm:0-2 has no number of states"),
        ("hmm:3-2", "hmm:3-2 has no number of states"),
        ("hmm:2-33", "hmm:2-33 has no number of states"),
        ("hmm:2,hmm:1-3", "hmm:2 stands twice"),
    ],
)
def test_a_model_that_the_grammar_does_not_know_is_answered(text, message):
    with pytest.raises(CommandError, match=message):
        parse_models(text)


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        ("x\n" + "a\nb\n" * 20, ["--test-last", "40"], "--test-last is 40, and data.csv has 40 rows: give 1 to 39"),
        ("x\n" + "a\nb\n" * 20, ["--test-last", "0"], "--test-last is 0"),
        ("x\na\n", [], "--test-last is 0, and data.csv has 1 row"),
        ("x\n" + "a\nb\n" * 20, ["--models", "markov:60"], "markov:60 needs 61 rows without a gap: lower the orders"),
        ("x\n" + "a\nb\n" * 150, ["--test-last", "299"], "--test-last is 299, which leaves 1 row of data.csv"),
        (
            "x\n" + "a\nb\n" * 150,
            ["--test-last", "299"],
            "markov:4 needs 5 rows without a gap: give --test-last 295 or",
        ),
        ("x\na\n\nb\n\n" + "a\nb\n" * 9, ["--models", "markov:1", "--test-last", "18"], "give --test-last 16 or less"),
        ("", [], "data.csv is empty: give a CSV file with a row for each observation"),
        ("x\n", [], "no rows: give a row for each observation"),
        ("a,a\nx,y\nu,v\n", [], "columns 1 and 2 the same, 'a': choose by number with --column 1 or 2, or rename one"),
        ("x\n" + "a\nb\n" * 20, ["--column", "y"], "no column 'y'"),
        ("x\n" + "1.5\n2\n" * 20, [], "fractions"),
    ],
)
def test_data_that_cannot_be_used_are_answered(refused, file, content, words, message):
    assert message in refused("compare", file(content), *words)


def test_a_symbol_that_only_held_out_rows_show_costs_infinity_where_nothing_smooths(run, file):
    path = file("x\n" + "a\nb\n" * 20 + "c\n")
    words = ["compare", path, "--models", "iid,markov:1", "--test-last", "1"]
    assert run(*words).out.count("*") == 1  # that of the legend: no model is the best
    found = json.loads(run(*words, "--smoothing", "jeffreys", "--json").out)
    assert all(model["held_out_nats"] > 0 for model in found["models"])


def test_a_file_without_names_needs_to_say_so_when_it_holds_labels(run, file):
    path = file("a\nb\n" * 20)
    assert json.loads(run("compare", path, "--no-header", "--json").out)["data"]["n_rows"] == 40
    assert json.loads(run("compare", path, "--json").out)["data"]["n_rows"] == 39


@pytest.mark.parametrize("test_last", range(1, 12))
@pytest.mark.parametrize("order", range(5))
def test_a_test_part_is_refused_exactly_where_nothing_is_left_to_learn_from(run, file, test_last, order):
    symbols = ["a", "", "b", "a", "", "b", "b", "a", "a", "b", "a", "b"]
    path = file("x\n" + "\n".join(symbols) + "\n")
    learnt = ["" not in symbols[end - order - 1 : end] for end in range(order + 1, len(symbols) - test_last + 1)]
    done = run("compare", path, "--models", f"markov:{order}", "--smoothing", "jeffreys", "--test-last", test_last)
    assert ("--test-last is" in done.err) == (not any(learnt))
