"""`statespace compare`: one column, models by a small grammar."""

import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest

from statespace.cli.errors import CommandError
from statespace.cli.model_grammar import parse_models
from statespace.datasets import load_alofi_rain, load_earthquakes, load_nile
from statespace.lds import ARIMA, StructuralModel
from statespace.neural import RecurrentSequenceModel


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


def losses_of(found):
    return {model["name"]: model["held_out_nats"] for model in found["models"]}


def test_networks_stand_beside_chains(run, alofi):
    words = ["compare", alofi, "--column", "rain", "--models", "markov:1,gru:3,lstm:2,rnn:2", "--test-last", "96"]
    found = json.loads(run(*words, "--json").out, parse_constant=pytest.fail)
    symbols = load_alofi_rain().classes
    for model, (cell, size) in zip(found["models"][1:], [("gru", 3), ("lstm", 2), ("rnn", 2)], strict=True):
        network = RecurrentSequenceModel(cell, size, random_state=0).fit(symbols[:1000], symbols=np.unique(symbols))
        expected = -np.mean(network.log_likelihood(symbols, by="step")[1000:])
        assert model["held_out_nats"] == pytest.approx(expected, rel=1e-12)
        assert model["n_parameters"] == network.n_parameters
    again, other = (json.loads(run(*words, "--json", "--seed", seed).out) for seed in (0, 1))
    assert losses_of(again) == losses_of(found)
    assert losses_of(other) != losses_of(found)
    assert (found["seed"], other["seed"]) == (0, 1)


def test_numbers_have_linear_systems_hidden_states_and_networks(run, file):
    flow = load_nile().flow.astype(float)
    path = file("year,flow\n" + "".join(f"{1871 + n},{x:g}\n" for n, x in enumerate(flow)))
    words = ["compare", path, "--column", "flow", "--as", "numbers", "--test-last", "25"]
    found = json.loads(run(*words, "--models", "iid,level,ar:1,hmm:2,gru:3", "--json").out, parse_constant=pytest.fail)
    losses = losses_of(found)
    assert list(losses) == ["iid", "level", "ar:1", "hmm:2", "gru:3"]
    assert found["data"]["kind"] == "numbers"
    assert found["data"]["symbols"] is None
    mean, variance = flow[:75].mean(), flow[:75].var()
    expected = np.mean(0.5 * (np.log(2 * np.pi * variance) + (flow[75:] - mean) ** 2 / variance))
    assert losses["iid"] == pytest.approx(expected, rel=1e-3)  # an HMM's variance has a prior
    for name, model in (("level", StructuralModel(level=True)), ("ar:1", ARIMA((1, 0, 0), trend="c"))):
        steps = model.fit(flow[:75]).log_likelihood(flow, by="step")
        assert losses[name] == pytest.approx(-np.mean(steps[75:]), rel=1e-9)
    text = run(*words, "--models", "level").out
    assert "100 rows, numbers from 456 to 1370, 0 missing" in text
    assert "densities, which depend on the unit of the column" in " ".join(text.split())


def test_numbers_with_fractions_need_no_more_to_be_said(run, file):
    path = file("x\n" + "".join(f"{x:.3f}\n" if n != 7 else "\n" for n, x in enumerate(np.sin(np.arange(60)))))
    found = json.loads(run("compare", path, "--json").out, parse_constant=pytest.fail)
    assert list(losses_of(found)) == ["iid", "level", "ar:1", "ar:2", "hmm:2", "hmm:3"]
    assert found["best"] == "ar:2"  # a sine is one
    assert found["data"]["n_missing"] == 1


def test_counts_have_poisson_laws(run, file):
    counts = load_earthquakes().counts
    path = file("count\n" + "".join(f"{x}\n" for x in counts))
    words = ["compare", path, "--as", "counts", "--test-last", "25", "--json"]
    found = json.loads(run(*words, "--models", "iid,hmm:2,gru:3").out, parse_constant=pytest.fail)
    rate = counts[:82].mean()
    expected = np.mean([rate - k * math.log(rate) + math.lgamma(k + 1) for k in counts[82:]])
    assert losses_of(found)["iid"] == pytest.approx(expected, rel=1e-6)
    assert losses_of(found)["hmm:2"] < expected
    assert found["data"]["kind"] == "counts"
    assert list(losses_of(json.loads(run(*words).out))) == ["iid", "hmm:2", "hmm:3"]


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
        ("cnn:3", "'cnn' is not a model: write iid, markov:2, markov:1-4, hmm:2-4 or gru:16"),
        ("gru", "gru: has no number of hidden units from 1 to 512: write gru:16, or gru:15-16"),
        ("lstm:0", "lstm:0 has no number of hidden units"),
        ("rnn:513", "rnn:513 has no number of hidden units"),
        ("gru:4,gru:3-5", "gru:4 stands twice"),
        ("level", "level is a model of numbers, and the column is read as symbols: write iid, .* with --as"),
        ("ar:2", "ar is a model of numbers"),
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
        ("x\n" + "1.5\n2\n" * 20, ["--as", "symbols"], "fractions"),
        ("x\n" + "1.5\n2\n" * 20, ["--models", "markov:1"], "markov is a model of symbols, and the column is read as"),
        ("x\n" + "a\nb\n" * 20, ["--as", "numbers"], "holds 'a', which is no number"),
        ("x\n" + "1\n2\n" * 20, ["--as", "amounts"], "invalid choice: 'amounts'"),
        ("x\n" + "a\nb\n" * 20, ["--seed", "-1"], "--seed is -1: give a whole number of at least 0"),
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
