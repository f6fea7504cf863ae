"""The table of growth agrees with the calculator, cell by cell."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.tools.parameters import count_parameters, parameter_growth


@given(K=st.integers(1, 30), max_order=st.integers(0, 12))
def test_every_cell_is_the_count_of_its_order(K, max_order):
    growth = parameter_growth(K, max_order, ("iid", "markov", "mtd"))
    assert growth.orders == tuple(range(max_order + 1))
    for order, iid, markov, mtd in growth.rows():
        assert iid == K - 1
        assert markov == K**order * (K - 1)
        assert mtd == (None if order == 0 else K * (K - 1) + order - 1)


def test_the_default_is_the_chain_beside_the_mixture():
    growth = parameter_growth(3, 2)
    assert list(growth.counts) == ["markov", "mtd"]
    assert growth.counts == {"markov": (2, 6, 18), "mtd": (None, 6, 7)}
    assert growth.n_states == 3


def test_one_model_may_be_named_alone():
    assert parameter_growth(2, 1, "markov").rows() == [(0, 1), (1, 2)]


def test_the_text_has_a_column_a_model_and_a_line_an_order():
    lines = str(parameter_growth(65, 30)).splitlines()
    assert lines[0].split() == ["order", "markov", "mtd"]
    assert lines[1].split() == ["0", "64", "-"]
    assert lines[5].split() == ["4", "1142440000", "4163"]
    assert lines[-1].split() == ["30", f"{Decimal(65**30 * 64):.3e}", "4189"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 3), ValueError, "n_states is 0"),
        ((3, -1), ValueError, "order is -1"),
        ((3, 2.5), TypeError, "order is 2.5"),
        ((3, 10**6), ValueError, "max_order is 1000000: a table has up to 1000"),
        ((3, 2, ("hmm",)), ValueError, "'hmm' does not grow with an order; models are iid, markov, mtd"),
    ],
)
def test_what_makes_no_table_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        parameter_growth(*arguments)


def test_the_calculator_is_here_too():
    assert int(count_parameters("iid", n_states=3)) == 2
