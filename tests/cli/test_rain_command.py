"""`statespace rain`: its figures against counting by hand, its JSON against the strictest reader, its refusals."""

import itertools
import json
import math
import re
import sys
from collections import Counter
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from statespace.cli.csv_series import DailyRecord
from statespace.cli.errors import CommandError
from statespace.cli.main import build_parser
from statespace.cli.model_grammar import hidden_markov_model
from statespace.cli.rain_prediction import document, order_name, predict_rain
from statespace.cli.tables import number, percent, plain
from statespace.datasets import load_seattle_rain
from statespace.neural import RecurrentSequenceModel


def strict(text):
    """Read JSON, refusing NaN and infinities."""

    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    return json.loads(text, parse_constant=refuse)


def counts_after(days, order):
    """How often each day followed each context, by hand."""
    return Counter(tuple(days[t - order : t + 1]) for t in range(order, len(days)))


def chance(counts, context):
    wet, dry = counts[(*context, True)], counts[(*context, False)]
    return wet / (wet + dry)


@pytest.fixture(scope="module")
def seattle():
    return load_seattle_rain().wet.tolist()


@pytest.fixture(scope="module")
def answers():
    """What the command has answered about Seattle's rain, by its words."""
    return {}


@pytest.fixture
def answer(run, answers):
    def answer(*words):
        none = (
            [] if "--units" in words else ["--units", "0"]
        )  # networks only where they are asked for: they take a second
        if words not in answers:
            done = run("rain", "--json", *none, *words)
            assert done.code == 0, done.err
            answers[words] = done.out
        return strict(answers[words])

    return answer


def test_seattle_has_the_published_likelihoods_and_choices(answer):
    found = answer()
    likelihoods = [round(row["log_likelihood"], 3) for row in found["orders"]]
    assert likelihoods == [-993.696, -856.568, -835.792, -830.272, -827.248]
    assert [row["n_parameters"] for row in found["orders"]] == [1, 2, 4, 8, 16]
    assert (found["chosen_by"]["bic"], found["chosen_by"]["aic"]) == (2, 3)
    assert found["n_common_steps"] == 1457


def test_information_criteria_follow_from_the_likelihoods(answer):
    for row in answer()["orders"]:
        assert row["aic"] == pytest.approx(2 * row["n_parameters"] - 2 * row["log_likelihood"], rel=1e-12)
        assert row["bic"] == pytest.approx(math.log(1457) * row["n_parameters"] - 2 * row["log_likelihood"], rel=1e-12)


def test_held_out_losses_are_those_of_counting_the_days_before(answer, seattle):
    for row in answer("--test-last", 200, "--max-order", 3)["orders"]:
        order = row["order"]
        counts = counts_after(seattle[:-200], order)
        losses = []
        for t in range(len(seattle) - 200, len(seattle)):
            p = chance(counts, seattle[t - order : t])
            losses.append(-math.log(p if seattle[t] else 1 - p))
        assert row["held_out_nats"] == pytest.approx(sum(losses) / 200, rel=1e-12)


def test_tomorrow_is_the_share_of_wet_days_after_days_like_the_last(answer, seattle):
    found = answer()
    for row in found["orders"]:
        counts = counts_after(seattle, row["order"])
        context = seattle[len(seattle) - row["order"] :]
        wet, dry = counts[(*context, True)], counts[(*context, False)]
        assert row["tomorrow"] == pytest.approx(wet / (wet + dry), rel=1e-12)
        assert [row["low"], row["high"]] == pytest.approx(beta.ppf([0.025, 0.975], wet + 0.5, dry + 0.5), rel=1e-9)
    tomorrow, chosen = found["tomorrow"], found["orders"][2]
    assert (tomorrow["date"], tomorrow["order"], tomorrow["criterion"]) == ("2016-01-01", 2, "bic")
    assert (tomorrow["probability"], tomorrow["low"], tomorrow["high"]) == (
        chosen["tomorrow"],
        chosen["low"],
        chosen["high"],
    )


def test_the_recent_days_were_predicted_from_the_days_before_them(answer, seattle):
    counts = counts_after(seattle, 2)
    recent = answer()["recent"]
    assert [day["date"] for day in recent] == [str(date(2015, 11, 6) + timedelta(days=n)) for n in range(56)]
    assert [day["wet"] for day in recent] == seattle[-56:]
    for day, context in zip(recent, zip(seattle[-58:-2], seattle[-57:-1], strict=True), strict=True):
        assert day["probability"] == pytest.approx(chance(counts, context), rel=1e-12)


@pytest.mark.parametrize(
    ("words", "order", "criterion"),
    [
        ([], 2, "bic"),
        (["--criterion", "aic", "--max-states", "1"], 3, "aic"),
        (["--criterion", "likelihood-ratio"], 3, "likelihood-ratio"),
        (["--order", "1"], 1, None),
        (["--order", "0", "--criterion", "aic"], 0, None),
    ],
)
def test_the_order_that_predicts_is_the_one_asked_for(answer, words, order, criterion):
    tomorrow = answer(*words)["tomorrow"]
    assert (tomorrow["order"], tomorrow["criterion"]) == (order, criterion)


def test_a_threshold_changes_what_is_wet_and_says_so(answer):
    found = answer("--threshold", "10")
    assert found["data"]["wet_means"] == "precipitation >= 10"
    assert found["data"]["n_wet"] == int((load_seattle_rain().precipitation >= 10).sum())


def test_the_same_days_from_a_file_give_the_same_figures(answer, file):
    rain = load_seattle_rain()
    rows = [
        f"{day};{str(amount).replace('.', ',')}" for day, amount in zip(rain.dates, rain.precipitation, strict=True)
    ]
    here, there = answer(), answer(file("\n".join(["Datum;Regen", *rows[::-1]]), "own.csv"), "--column", "Regen")
    assert there["data"].pop("notes")
    assert here["data"].pop("notes") == []
    for found in (here, there):
        for name in ("name", "column", "wet_means"):
            found["data"].pop(name)
    assert here == there


def test_smoothing_touches_predictions_and_never_the_information_criteria(answer):
    plainly, smoothed = answer(), answer("--smoothing", "jeffreys")
    assert [row["aic"] for row in plainly["orders"]] == [row["aic"] for row in smoothed["orders"]]
    assert plainly["orders"][4]["tomorrow"] != smoothed["orders"][4]["tomorrow"]


def test_the_text_says_what_the_json_says(run, answer):
    text, found = run("rain").out, answer()
    lines = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    for row in found["orders"]:
        line = lines[row["name"]]
        for figure in (f"{row['log_likelihood']:.3f}", f"{row['aic']:,.2f}", f"{row['bic']:,.2f}"):
            assert figure in line
        assert f"{row['name']} {100 * row['tomorrow']:.0f}%" in " ".join(text.split())
    assert [name for name, line in lines.items() if re.search(r"1,7[0-9.]+\*", line)] == ["2nd order"]  # lowest BIC
    assert f"Tomorrow, 2016-01-01: {100 * found['tomorrow']['probability']:.0f}% chance of rain" in text
    assert "chosen by BIC" in " ".join(text.split())
    assert "Order picked: BIC 2, AIC 3" in text


def test_the_picture_in_the_terminal_shows_each_day_once(run, seattle):
    text = run("rain").out
    wet = next(line for line in text.splitlines() if line.startswith("wet "))
    assert [mark == "●" for mark in wet.split()[1]] == seattle[-56:]
    chances = next(line for line in text.splitlines() if line.startswith("chance ")).split()[1]
    counts = counts_after(seattle, 2)
    height = {context: chance(counts, context) for context in itertools.product([True, False], repeat=2)}
    contexts = list(zip(seattle[-58:-2], seattle[-57:-1], strict=True))
    for (first, block), (second, other) in itertools.combinations(zip(contexts, chances, strict=True), 2):
        if height[first] >= height[second] + 1 / 8:
            assert block > other  # the block elements rise with their code points


# ----------------------------------------------------------------------------------------------------------- gaps


def record(days, first="2012-01-01"):
    wet = np.array([np.nan if day is None else float(day) for day in days])
    calendar = np.datetime64(first) + np.arange(len(days))
    return DailyRecord("home", "rain", "rain > 0", calendar, wet, ())


gappy = st.lists(st.sampled_from([True, False, True, False, True, False, None]), min_size=30, max_size=120)


@given(gappy, st.integers(0, 2))
def test_gaps_are_never_counted_across(days, order):
    days = [True, True, True, False, True, False, False, False, True, True, False, True, *days, True, False, True, True]
    found = predict_rain(record(days), max_order=2, max_states=1, n_units=0, test_last=5, order=order)
    runs = [list(run) for there, run in itertools.groupby(days, lambda day: day is not None) if there]
    counts = sum((counts_after(run, order) for run in runs), Counter())
    assert found.row.tomorrow == pytest.approx(chance(counts, days[len(days) - order :]), rel=1e-12)
    assert found.n_common_steps == sum(max(len(run) - 2, 0) for run in runs)
    strict(json.dumps(plain(document(found)), allow_nan=False))


def test_after_a_missing_day_tomorrow_sums_over_what_it_may_have_been():
    days = [True, True, True, False, True, False, False, False, True, True, False] * 4 + [True, None]
    found = predict_rain(record(days), max_order=1, max_states=1, n_units=0, test_last=8, order=1)
    p = {day: chance(counts_after(days[:-1], 1), [day]) for day in (True, False)}
    assert found.row.tomorrow == pytest.approx(p[True] * p[True] + (1 - p[True]) * p[False], rel=1e-12)


def test_after_a_missing_day_the_interval_is_that_of_chains_drawn_from_the_posterior():
    days = [True, True, True, False, True, False, False, False, True, True, False] * 4 + [True, None]
    found = predict_rain(record(days), max_order=1, max_states=1, n_units=0, test_last=8, order=1)
    counts, draw = counts_after(days[:-1], 1), np.random.default_rng(1)
    after = {day: draw.beta(counts[day, True] + 0.5, counts[day, False] + 0.5, size=200_000) for day in (True, False)}
    wet = after[True] * after[True] + (1 - after[True]) * after[False]
    # the standard error of the 2.5% quantile of 1000 draws is 0.06 / density there, about 0.006
    assert [found.row.low, found.row.high] == pytest.approx(np.quantile(wet, [0.025, 0.975]), abs=0.03)
    shown = plain(document(found))
    assert shown["tomorrow"]["low"] == shown["orders"][1]["low"] == found.row.low


@settings(max_examples=20)  # a thousand chains are drawn in each
@given(gappy, st.integers(0, 8))
def test_every_forecast_has_an_interval_around_it_however_many_days_are_missing(days, n_missing):
    days = [True, True, False, True, False, False, *days, True, False, False, True, True, *[None] * n_missing]
    for row in predict_rain(record(days), max_order=2, max_states=1, n_units=0, test_last=n_missing + 2).rows:
        assert 0 <= row.low <= row.tomorrow <= row.high <= 1


def test_the_interval_is_written_and_drawn_where_the_last_day_is_missing(run, file, tmp_path):
    pytest.importorskip("matplotlib")
    start = date(2012, 1, 1)
    days = [0, 0, 1, 1, 0, 1] * 12 + ["NA"]
    path = file("date,rain\n" + "".join(f"{start + timedelta(days=n)},{day}\n" for n, day in enumerate(days)))
    words = ["--max-order", "1", "--max-states", "1", "--order", "1"]
    done = run("rain", path, *words, "--plot", tmp_path / "out.svg")
    assert done.code == 0, done.err
    assert "95% interval" in " ".join(done.out.split())
    assert (tmp_path / "out.svg").read_text().count('id="interval"') == 2


def test_an_impossible_day_is_null_in_json_and_inf_with_a_hint_in_words(run, file):
    days = [0, 0, 1] * 12 + [0, 1, 0]
    start = date(2012, 1, 1)
    path = file("date,rain\n" + "".join(f"{start + timedelta(days=n)},{day}\n" for n, day in enumerate(days)))
    words = ["rain", path, "--max-order", "2", "--max-states", "1", "--units", "0", "--test-last", "4"]
    assert strict(run(*words, "--json").out)["orders"][2]["held_out_nats"] is None
    text = run(*words).out
    assert "inf" in text
    assert "--smoothing jeffreys" in text
    assert "inf" not in run(*words, "--smoothing", "jeffreys").out


# --------------------------------------------------------------------------------------------------- hidden states


def test_hidden_states_are_judged_on_the_same_days_by_the_same_scale(answer, seattle):
    found = answer("--max-order", 2, "--max-states", 3, "--test-last", 200)
    wet = np.array(seattle, dtype=float)
    train, hidden = wet[:-200], {}
    for row in found["hidden"]:
        K = row["n_states"]
        assert row["name"] == f"{K} states"
        # pi, A and the chance of rain in each state; a first state that is known is no less a free parameter
        assert row["n_parameters"] == (K - 1) + K * (K - 1) + K
        hidden[K] = hidden_markov_model(K, np.array([0, 1])).fit(train)
        steps = forward_by_hand(hidden[K], wet)
        assert row["held_out_nats"] == pytest.approx(-steps[-200:].mean(), rel=1e-9)
        whole = hidden_markov_model(K, np.array([0, 1])).fit(wet)
        assert row["log_likelihood"] == pytest.approx(forward_by_hand(whole, wet)[2:].sum(), rel=1e-9)
        assert row["aic"] == pytest.approx(2 * row["n_parameters"] - 2 * row["log_likelihood"], rel=1e-12)
        assert row["bic"] == pytest.approx(math.log(1459) * row["n_parameters"] - 2 * row["log_likelihood"], rel=1e-12)
        assert row["tomorrow"] == pytest.approx(1 - math.exp(forward_by_hand(whole, np.append(wet, 0.0))[-1]), rel=1e-9)
        assert (row["low"], row["high"]) == (None, None)


def forward_by_hand(model, wet):
    """Log p(x_n | x_1..x_{n-1}) of every day, by the definition."""
    state, steps = model.startprob_, []
    for day in wet:
        joint = state * model.emission_.emissionprob[:, int(day)]
        steps.append(math.log(joint.sum()))
        state = joint / joint.sum() @ model.transmat_
    return np.array(steps)


def test_each_criterion_picks_among_all_models_what_is_lowest(answer):
    found = answer("--max-order", 3, "--max-states", 3)
    rows = found["orders"] + found["hidden"]
    assert [row["name"] for row in rows] == ["i.i.d.", "1st order", "2nd order", "3rd order", "2 states", "3 states"]
    for criterion, key in (("bic", "bic"), ("aic", "aic"), ("held_out", "held_out_nats")):
        assert found["best_by"][criterion] == min(rows, key=lambda row: row[key])["name"]
    for criterion in ("bic", "aic", "held-out"):
        tomorrow = answer("--criterion", criterion, "--max-order", 3, "--max-states", 3)["tomorrow"]
        assert tomorrow["model"] == found["best_by"][criterion.replace("-", "_")]
        chosen = next(row for row in rows if row["name"] == tomorrow["model"])
        assert tomorrow["probability"] == chosen["tomorrow"]
        assert tomorrow["order"] == chosen.get("order")


def test_hidden_states_predict_in_words_and_in_the_picture(run, tmp_path):
    pytest.importorskip("matplotlib")
    words = [
        "rain",
        "--max-order",
        "1",
        "--max-states",
        "2",
        "--units",
        "0",
        "--criterion",
        "aic",
        "--plot",
        tmp_path / "out.png",
    ]
    text = " ".join(run(*words).out.split())
    assert "chance of rain (2 states, chosen by AIC)" in text
    assert "Of all models: BIC 2 states, AIC 2 states, held-out loss 2 states" in text
    assert (tmp_path / "out.png").stat().st_size > 0


@settings(max_examples=10, deadline=None)
@given(gappy, st.integers(0, 3))
def test_hidden_states_take_gaps_and_short_records_as_they_come(days, n_missing):
    days = [True, True, False, True, False, False, *days, True, False, False, True, True, *[None] * n_missing]
    found = predict_rain(record(days), max_order=1, max_states=3, n_units=0, test_last=n_missing + 2)
    strict(json.dumps(plain(document(found)), allow_nan=False))
    for row in found.rows:
        assert 0 <= row.tomorrow <= 1
        assert row.log_likelihood <= 0


# -------------------------------------------------------------------------------------------------------- networks


@pytest.mark.filterwarnings("ignore:the training stopped after 100 epochs")
def test_networks_are_judged_on_the_same_days_by_the_same_scale(answer, seattle):
    found = answer("--max-order", 2, "--max-states", 1, "--test-last", 200, "--units", 3)
    wet = np.array(seattle, dtype=float)
    for row, cell in zip(found["networks"], ("gru", "lstm"), strict=True):
        assert (row["name"], row["n_units"]) == (f"{cell.upper()} 3", 3)
        before = RecurrentSequenceModel(cell, 3, random_state=0).fit(wet[:-200])
        steps = before.log_likelihood(wet, by="step")
        assert row["held_out_nats"] == pytest.approx(-steps[-200:].mean(), rel=1e-9)
        whole = RecurrentSequenceModel(cell, 3, random_state=0).fit(wet)
        assert row["log_likelihood"] == pytest.approx(whole.log_likelihood(wet, by="step")[2:].sum(), rel=1e-9)
        assert row["n_parameters"] == whole.n_parameters
        assert row["aic"] == pytest.approx(2 * row["n_parameters"] - 2 * row["log_likelihood"], rel=1e-12)
        assert row["tomorrow"] == pytest.approx(whole.forecast(wet, 1).probability(1)[0], rel=1e-12)
        assert (row["low"], row["high"]) == (None, None)


def test_networks_remember_as_much_of_the_rain_as_hidden_states_do(answer):
    found = answer("--units", 16)
    networks, orders = ([row["held_out_nats"] for row in found[kind]] for kind in ("networks", "orders"))
    assert max(networks) < min(orders)


def test_a_network_predicts_where_it_is_the_best(run):
    done = run("rain", "--max-order", "1", "--max-states", "1", "--criterion", "held-out")
    text = " ".join(done.out.split())
    assert re.search(r"chance of rain \((GRU|LSTM) 16, chosen by held-out loss\)", text)
    assert "GRU 16" in text.partition("By model:")[2]


@settings(max_examples=5, deadline=None)
@given(gappy, st.integers(0, 3))
def test_networks_take_gaps_and_short_records_as_they_come(days, n_missing):
    days = [True, True, False, True, False, False, *days, True, False, False, True, True, *[None] * n_missing]
    found = predict_rain(record(days), max_order=1, max_states=1, n_units=2, test_last=n_missing + 2)
    strict(json.dumps(plain(document(found)), allow_nan=False))
    for row in found.rows[2:]:
        assert 0 <= row.tomorrow <= 1
        assert row.log_likelihood <= 0


# -------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.csv"], "nowhere.csv does not exist"),
        (["--column", "rain"], "--column without a FILE"),
        (["--missing=-9", "--trace", "wet"], "--missing and --trace without a FILE"),
        (["--max-order", "-1"], "--max-order is -1: give 0 to 16"),
        (["--max-order", "17"], "--max-order is 17: give 0 to 16"),
        (["--order", "5"], "--order is 5: give 0 to 4, or raise --max-order"),
        (["--order", "-1"], "--order is -1"),
        (["--max-states", "0"], "--max-states is 0: give 1, for no hidden Markov model, to 8"),
        (["--max-states", "9"], "--max-states is 9"),
        (["--units", "-1"], "--units is -1: give 0, for no network, to 256"),
        (["--units", "257"], "--units is 257"),
        (["--test-last", "0"], "--test-last is 0, and Seattle has 1461 days"),
        (["--test-last", "1461"], "--test-last is 1461, and Seattle has 1461 days"),
        (["--test-last", "-3"], "--test-last is -3"),
        (["--threshold", "1000"], "all of its 1461 days are dry: lower --threshold"),
        (["--plot", "/no/such/folder/out.png"], "the folder '/no/such/folder' does not exist"),
        (["--plot", "out.tacky", "--max-order", "0"], "--plot out.tacky cannot be written"),
    ],
)
def test_a_value_that_cannot_be_used_is_answered(refused, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused("rain", *words)


@pytest.mark.parametrize(
    ("days", "words", "message"),
    [
        ([1] * 40, [], "all of its 40 days are wet: raise --threshold"),
        ([0] * 40, [], "all of its 40 days are dry"),
        (["NA"] * 40, [], "holds no amount, only missing values"),
        ([0, 1, 0], [], "has 3 days, too few for order 4: lower --max-order"),
        ([0] * 30 + [1] * 10, ["--test-last", "12"], "the days before the last 12 are not both wet and dry"),
        ([0, 1, "NA"] * 20, ["--max-order", "2"], "without a gap"),
        ([0, "NA", 1, "NA"] * 8 + [0, 1, 0, 1, 0], ["--max-order", "2", "--test-last", "4"], "--test-last 2 or less"),
        ([0, 1, -9999], [], "line 4: amount -9999 is negative: add --missing=-9999"),
        ([0, 1, "T"], [], "line 4: 'T' is a trace of rain"),
    ],
)
def test_a_record_that_teaches_nothing_is_answered(refused, file, days, words, message):
    start = date(2012, 1, 1)
    rows = "".join(f"{start + timedelta(days=n)},{day}\n" for n, day in enumerate(days))
    assert message in refused("rain", file("date,rain\n" + rows), *words)


def test_notes_go_to_stderr_and_leave_json_alone(run, file):
    rows = [f"2012-{1 + n // 28:02}-{1 + n % 28:02},{n % 2 * (n % 3)}" for n in range(28)]
    done = run("rain", file("date,rain\n" + "\n".join(rows[::-1])), "--json", "--max-order", "1", "--units", "0")
    assert done.err.startswith("statespace rain: note: ")
    assert strict(done.out)["data"]["notes"][0] in done.err


@pytest.mark.parametrize("n_days", [1, 10, 60, 364, 365, 729, 730])
def test_without_being_told_at_most_a_year_and_never_half_of_the_record_is_held_out(n_days):
    days = [True, False, False, True, True, True, False, False] + [n % 5 < 2 for n in range(n_days)]
    found = predict_rain(record(days), max_order=1, max_states=1, n_units=0)
    assert 1 <= found.test_last <= 365
    assert found.test_last <= len(days) / 2


def test_without_days_to_hold_out_a_short_record_is_refused_in_words():
    with pytest.raises(CommandError, match="too few"):
        predict_rain(record([True, False]), max_order=0)


# ------------------------------------------------------------------------------------------------------ the picture


def test_the_picture_is_written_and_named(run, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "out.png"
    done = run("rain", "--plot", path, "--max-order", "2", "--max-states", "2")
    assert done.code == 0, done.err
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "out.png" in done.out


def test_with_json_the_picture_is_written_and_not_named(run, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "out.svg"
    strict(run("rain", "--plot", path, "--max-order", "1", "--max-states", "1", "--units", "0", "--json").out)
    assert path.stat().st_size > 0


def test_without_matplotlib_the_line_that_installs_it_is_given(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert 'pip install "statespace-models[plot]"' in refused("rain", "--plot", "out.png")


def test_a_picture_without_dates_is_refused(refused, file):
    assert "needs dates" in refused("rain", file("rain\n" + "0\n1\n" * 30), "--plot", "out.png")


# --------------------------------------------------------------------------------------------------------- spelling


@pytest.mark.parametrize(
    ("order", "name"),
    [
        *[(0, "i.i.d."), (1, "1st order"), (2, "2nd order"), (3, "3rd order"), (4, "4th order"), (11, "11th order")],
        *[(12, "12th order"), (13, "13th order"), (21, "21st order"), (22, "22nd order"), (111, "111th order")],
    ],
)
def test_orders_are_spelt_as_in_english(order, name):
    assert order_name(order) == name


@given(st.floats(-1e-3, 1e-3), st.integers(0, 6))
def test_zero_has_no_sign(value, decimals):
    said = number(value, decimals)
    assert said.startswith("-") == (float(said) < 0)
    assert abs(float(said) - value) <= 0.5 * 10**-decimals + 1e-12


@pytest.mark.parametrize("command", ["rain", "compare"])
def test_the_help_ends_with_examples_that_the_command_understands(run, command):
    text = run(command, "--help").out
    assert max(map(len, text.splitlines())) <= 80
    examples = text.rpartition("examples:\n")[2].strip().splitlines()
    assert len(examples) == {"rain": 2, "compare": 4}[command]
    for example in examples:
        arguments = build_parser().parse_args(example.split()[1:])
        assert arguments.command == command


def test_the_help_says_how_marks_and_traces_are_given(run):
    said = " ".join(run("rain", "--help").out.split())
    assert "with an equals sign, as --missing=-9999" in said
    assert "without this option a trace is refused" in said


@given(st.floats(0, 1))
def test_only_what_is_impossible_or_certain_is_called_so(probability):
    said = percent(probability)
    assert (said == "0%") == (probability == 0)
    assert (said == "100%") == (probability == 1)
    assert abs(float(said.strip("<>%")) - 100 * probability) <= 1
