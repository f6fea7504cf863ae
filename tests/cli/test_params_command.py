"""`statespace params`: the calculator in words, and the growth of chains."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.cli.params import parse_sizes


@pytest.mark.parametrize(
    "words",
    [
        ["n_states=2", "order=3"],
        ["--n-states", "2", "--order", "3"],
        ["--n-states=2", "--order=3"],
        ["--n_states", "2", "order=3"],
        ["n-states=2", "order=3"],
    ],
)
def test_sizes_are_read_in_every_spelling(words):
    assert parse_sizes(words) == {"n_states": 2, "order": 3}


@given(
    st.dictionaries(
        st.sampled_from(["n_states", "order", "biases", "layer_sizes", "emission", "identifiable", "p"]),
        st.one_of(
            st.integers(-99, 10**19),
            st.booleans(),
            st.sampled_from(["gaussian", "full", "per_lag"]),
            st.lists(st.integers(0, 999), min_size=2, max_size=5),
        ),
    ),
    st.randoms(use_true_random=False),
)
def test_what_is_written_is_read_back(sizes, random):
    words = []
    for name, value in sizes.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        option = "--" + name.replace("_", "-")
        forms = [[f"{name}={text}"], [f"{option}={text}"], [option, text]]
        forms += [[option, *map(str, value)]] if isinstance(value, list) else []
        forms += [[option]] if value is True else []
        words += random.choice(forms)
    assert parse_sizes(words) == sizes


@pytest.mark.parametrize("flag", ["--json", None])
def test_a_chain_of_order_3_on_2_symbols_has_8_parameters(run, flag):
    done = run("params", "markov", "--n-states", "2", "--order", "3", *filter(None, [flag]))
    assert done.code == 0, done.err
    if flag:
        found = json.loads(done.out)
        assert (found["total"], sum(found["breakdown"].values()), found["sizes"]) == (8, 8, {"n_states": 2, "order": 3})
        assert "K^(M-1)" in found["note"]
    else:
        assert done.out.split("\n")[0] == "markov: n_states = 2, order = 3"
        assert "total" in done.out
        assert " 8\n" in done.out
        assert "contradicts" in done.out


def test_json_may_be_asked_for_before_the_model(run):
    assert json.loads(run("params", "--json", "iid", "n_states=5").out)["total"] == 4


def test_growth_is_that_of_the_formula(run):
    found = json.loads(run("params", "growth", "--n-states", "2", "3", "10", "--max-order", "5", "--json").out)
    assert [row["order"] for row in found["orders"]] == [0, 1, 2, 3, 4, 5]
    for row in found["orders"]:
        assert row["n_parameters"] == {str(K): K ** row["order"] * (K - 1) for K in (2, 3, 10)}
    assert "contradicts" in found["note"]


def test_growth_fits_a_terminal_however_long_the_numbers(run):
    text = run("params", "growth", "--n-states", "65", "--max-order", "40").out
    assert "1.0" not in text.split("40")[0]
    assert "e+" in text
    assert max(map(len, text.split("\n"))) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["params"], "required: MODEL"),
        (["params", "foo"], "no model 'foo'"),
        (["params", "markov"], "n_states"),
        (["params", "markov", "2"], "'2' is not a size: write it like n_states=2"),
        (["params", "markov", "n_states=2", "n_states=3", "order=1"], "n_states stands twice"),
        (["params", "markov", "n_states=2", "order=1", "depth=3"], "depth"),
        (["params", "markov", "n_states=two", "order=1"], "n_states"),
        (["params", "markov", "n_states=2", "order=-1"], "order"),
        (["params", "markov", "n_states=2", "order=1.5"], "order"),
        (["params", "markov", "n_states=2,x", "order=1"], "n_states is '2,x'"),
        (["params", "markov", "n_states=2", "order=99999", "--json"], "more than 4000 digits"),
        (["params", "growth", "--n-states", "0"], "n_states is 0: give whole numbers of at least 1"),
        (["params", "growth", "--max-order", "1001"], "max_order is 1001: give a whole number from 0 to 1000"),
        (["params", "growth", "--max-order", "a"], "max_order is 'a'"),
        (["params", "growth", "--order", "3"], "growth has no size order"),
    ],
)
def test_a_size_that_cannot_be_used_is_answered(refused, words, message):
    assert message in refused(*words)
