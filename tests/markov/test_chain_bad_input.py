"""Bad input of every kind, to the chain: each is answered in words that name the place, the value and the way out."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from statespace import MarkovChain
from statespace.foundations.estimator import clone


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": -1}, ValueError, "order is -1, expected an integer of at least 0"),
        ({"order": 1.0}, TypeError, r"order is 1\.0, expected an integer"),
        ({"order": True}, TypeError, "order is True, expected an integer"),
        ({"order": "2"}, TypeError, "order is '2', expected an integer"),
        ({"order": None}, TypeError, "order is None, expected an integer"),
        ({"smoothing": "kneser-ney"}, ValueError, "smoothing is 'kneser-ney', expected one of None, 'laplace'"),
        ({"smoothing": 1}, ValueError, "smoothing is 1, expected one of"),
        ({"alpha": 0.0}, ValueError, r"alpha is 0\.0, expected a positive finite number"),
        ({"alpha": -1}, ValueError, "alpha is -1, expected a positive finite number"),
        ({"alpha": math.inf}, ValueError, "alpha is inf, expected a positive finite number"),
        ({"alpha": math.nan}, ValueError, "alpha is nan, expected a positive finite number"),
        ({"alpha": None}, TypeError, "alpha is None, expected a positive number"),
        ({"alpha": [1, 2]}, TypeError, r"alpha is \[1, 2\], expected a positive number"),
        ({"initial": "uniform"}, ValueError, "initial is 'uniform', expected one of 'conditional', 'free', 'stat"),
        ({"initial": None}, ValueError, "initial is None, expected one of"),
    ],
)
def test_a_parameter_that_is_none_is_named_by_fit(options, error, message):
    chain = MarkovChain(**options)  # storing is all that __init__ does
    assert repr(clone(chain).get_params()) == repr(chain.get_params())
    with pytest.raises(error, match=message):
        chain.fit([0, 1, 1, 0])
    assert not chain.__sklearn_is_fitted__()


WRONG = {
    "empty": ([], ValueError, "X is empty"),
    "empty array": (np.array([]), ValueError, "X is empty"),
    "empty among others": ([[0, 1], []], ValueError, r"X\[1\] is empty"),
    "infinite": ([0.0, 1.0, math.inf], ValueError, r"X\[2\] is inf"),
    "minus infinite": (np.array([0.0, -math.inf]), ValueError, r"X\[1\] is -inf"),
    "negative": ([0, 1, -1], ValueError, r"X\[2\] is -1.*mark missing observations with NaN or None"),
    "negative in a list": ([[0, 1], [0, -3]], ValueError, r"X\[1\]\[1\] is -3"),
    "fraction": ([0, 1, 0.5], ValueError, r"X\[2\] is 0\.5: symbols are whole numbers or labels"),
    "text": ("0110", TypeError, r"X is the text '0110': pass list\(text\)"),
    "nothing": (None, TypeError, "X is NoneType None, expected a sequence of symbols"),
    "number": (3, TypeError, "X is int 3, expected a sequence"),
    "dictionary": ({0: 1}, TypeError, "X is dict"),
    "set": ({0, 1}, TypeError, "X is set"),
    "complex": (np.array([0, 1j]), TypeError, "X has dtype complex128"),
    "dates": (np.array(["2024-01-01"], dtype="datetime64[D]"), TypeError, "X has dtype datetime64"),
    "two features": (np.zeros((5, 2), int), ValueError, r"X has shape \(5, 2\).*pass one column"),
    "panel": (np.zeros((2, 5, 3)), ValueError, r"X has shape \(2, 5, 3\), a panel .* of 3 features"),
    "four axes": (np.zeros((2, 5, 3, 1)), ValueError, r"X has shape \(2, 5, 3, 1\)"),
    "one, True and 1.0": ([1, True, 1.0], TypeError, r"mixes number and bool symbols.*1 == True == 1\.0"),
    "numbers and text": (np.array([0, "a", None], dtype=object), TypeError, "X mixes number and text symbols"),
    "sequences and symbols": ([[0, 1], 1], TypeError, "X mixes sequences and single symbols"),
    "kinds between sequences": ([[0, 1], ["a"]], TypeError, r"X\[0\] holds integer symbols but X\[1\] holds text"),
    "no observation": ([None, math.nan], ValueError, "every value is missing"),
    "all masked": (np.ma.masked_all(3), ValueError, "every value is missing"),
    "unhashable": (np.array([{}, {}], dtype=object), TypeError, "cannot be a symbol"),
    "beyond 64 bits": ([2**63, 1], ValueError, "beyond the largest 64-bit integer"),
    "two columns": (pd.DataFrame({"a": [0, 1], "b": [1, 0]}), ValueError, "a frame of 2 columns"),
}


@pytest.mark.parametrize("name", WRONG)
def test_data_that_are_none_are_named(name):
    X, error, message = WRONG[name]
    fitted = MarkovChain().fit([0, 1, 1, 0])
    with pytest.raises(error, match=re.compile(message, re.DOTALL)):
        MarkovChain().fit(X)
    if name in ("no observation", "all masked"):
        return  # with a known alphabet, a question that has an answer
    for verb in (fitted.score, fitted.predictive, fitted.forecast):
        with pytest.raises((ValueError, TypeError)):
            verb(X)


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([2, 2], ValueError, "lengths sum to 4 but X has 5 rows.*pass a list of sequences"),
        ([6, -1], ValueError, r"lengths\[1\] is -1, expected at least 1"),
        ([5, 0], ValueError, r"lengths\[1\] is 0, expected at least 1"),
        ([2.0, 3.0], TypeError, "lengths must be a list of positive integers"),
        (5, TypeError, "lengths must be a list of positive integers"),
        ([[2, 3]], TypeError, "lengths must be a list of positive integers"),
        ([], TypeError, "lengths must be a list of positive integers"),
        (["dry"] * 5, TypeError, "lengths must be .* a y of labels does not belong here"),  # a y in its place
    ],
)
def test_lengths_that_do_not_fit_are_named(lengths, error, message):
    x = np.array([0, 1, 1, 0, 1])
    for verb in (MarkovChain().fit, MarkovChain().fit(x).score, MarkovChain().fit(x).predictive):
        with pytest.raises(error, match=message):
            verb(x, lengths)


def test_a_list_of_sequences_has_its_own_lengths():
    with pytest.raises(ValueError, match="lengths is for sequences laid end to end"):
        MarkovChain().fit([[0, 1], [1, 0]], [2, 2])


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0], ValueError, r"sample_weight has shape \(1,\), expected \(2,\): one weight for each sequence"),
        ([1, 2, 3], ValueError, r"sample_weight has shape \(3,\), expected \(2,\)"),
        (1.0, ValueError, r"sample_weight has shape \(\), expected \(2,\)"),
        ([[1.0, 2.0]], ValueError, r"sample_weight has shape \(1, 2\)"),
        ([1.0, -1.0], ValueError, r"sample_weight\[1\] is -1\.0, expected a finite number of at least 0"),
        ([math.nan, 1.0], ValueError, r"sample_weight\[0\] is nan"),
        ([math.inf, 1.0], ValueError, r"sample_weight\[0\] is inf"),
        ([0, 0], ValueError, "sample_weight is 0 for every sequence"),
        (["a", "b"], TypeError, r"sample_weight is \['a', 'b'\], expected 2 numbers"),
        ([[1], [1, 2]], TypeError, "sample_weight is .*, expected 2 numbers"),
        ({"a": 1}, TypeError, "sample_weight is {'a': 1}, expected 2 numbers"),
    ],
)
def test_weights_that_do_not_fit_are_named(weights, error, message):
    with pytest.raises(error, match=message):
        MarkovChain().fit([[0, 1, 1], [1, 0]], sample_weight=weights)


def test_weight_only_on_sequences_too_short_leaves_nothing_to_learn_from():
    with pytest.raises(ValueError, match="runs of 2 observations without a gap"):
        MarkovChain().fit([[0, 1, 1], [1]], sample_weight=[0, 1])


@pytest.mark.parametrize("verb", ["score", "log_likelihood", "predictive", "forecast", "aic", "bic"])
def test_a_symbol_that_the_fit_did_not_see_is_named(verb):
    numbers = MarkovChain().fit([0, 1, 1, 0])
    with pytest.raises(ValueError, match=r"X\[2\] is 4, which is not among the 2 symbols 0, 1: fit with symbols="):
        getattr(numbers, verb)([0, 1, 4])
    with pytest.raises(ValueError, match=r"X\[1\]\[0\] is 4, which is not among the 2 symbols"):
        getattr(numbers, verb)([[0, 1], [4]])
    labels = MarkovChain().fit(["dry", "wet", "dry"])
    with pytest.raises(ValueError, match=r"X\[1\] is 'snow', which is not among the 2 symbols 'dry', 'wet'"):
        getattr(labels, verb)(["dry", "snow"])
    with pytest.raises(TypeError, match="convert X to the same kind"):
        getattr(labels, verb)([0, 1])
    with pytest.raises(TypeError, match="convert X to the same kind"):
        getattr(numbers, verb)(["dry"])


def test_a_declared_symbol_may_come_later():
    chain = MarkovChain(smoothing="laplace").fit([0, 1, 1], symbols=[0, 1, 2])
    assert chain.score([2, 2]) == pytest.approx(math.log(1 / 3))
    with pytest.raises(ValueError, match=r"X\[1\] is 1, which is not among the 2 symbols 0, 2"):
        MarkovChain().fit([0, 1], symbols=[0, 2])


@pytest.mark.parametrize(
    ("symbols", "error", "message"),
    [
        ([0, 1, 0], ValueError, "symbols holds 0 twice"),
        ([0, None], ValueError, "symbols holds a missing value"),
        ([-1, 0, 1], ValueError, "symbols holds -1: symbols are whole numbers from 0 or labels"),
        ([], ValueError, "symbols is empty"),
        ([0, 0.5], ValueError, r"symbols\[1\] is 0\.5"),
        (["a", 1], TypeError, "symbols mixes"),
        ({"a": 1}, TypeError, "symbols is dict"),
        (["a", "b"], TypeError, "but the symbols are 'a', 'b': convert X to the same kind"),
    ],
)
def test_an_alphabet_that_is_none_is_refused(symbols, error, message):
    with pytest.raises(error, match=message):
        MarkovChain().fit([0, 1, 1], symbols=symbols)


@pytest.mark.parametrize(
    ("P", "error", "message"),
    [
        ([[0.5, 0.5], [0.0, 0.0]], ValueError, "P row 1 is all zeros, expected a law that sums to 1"),
        ([[0.5, 0.5], [0.9, 0.03]], ValueError, r"P row 1 sums to 0\.93, expected 1 \(tolerance 1e-8\)"),
        ([[0.5, 0.5], [1.5, -0.5]], ValueError, r"P\[1, 1\] is -0\.5, expected a probability"),
        ([[0.5, 0.5], [math.nan, 1]], ValueError, r"P\[1, 0\] is NaN"),
        ([[0.5, 0.5]], ValueError, r"P has shape \(1, 2\)"),
        (np.full((2, 2, 3), 1 / 3), ValueError, r"P has shape \(2, 2, 3\)"),
        ([[1.0], [0.5, 0.5]], ValueError, "P has rows of different lengths"),
        (0.5, ValueError, r"P has shape \(\)"),
        ([], ValueError, "P "),
        ([0.5, 0.6], ValueError, r"P sums to 1\.1, expected 1"),
        ([["a", "b"], ["c", "d"]], TypeError, "P holds .* entries, expected real numbers"),
        (
            [[[[0.5, 0.5], [0.5, 0.5]]] * 2, [[[0.5, 0.5], [0.7, 0.7]]] * 2],
            ValueError,
            r"P row \(1, 0, 1\) sums to 1\.4",
        ),
        (np.ma.array([[0.5, 0.5], [0.5, 0.5]], mask=[[0, 0], [1, 0]]), ValueError, r"P\[1, 0\] is NaN"),
    ],
)
def test_a_matrix_that_is_none_is_refused(P, error, message):
    with pytest.raises(error, match=message):
        MarkovChain.from_matrix(P)


def test_a_matrix_needs_a_symbol_for_every_column():
    with pytest.raises(ValueError, match="3 symbols for a table of 2 columns: give one for each"):
        MarkovChain.from_matrix(np.eye(2), symbols=["a", "b", "c"])
    with pytest.raises(ValueError, match="symbols holds 'a' twice"):
        MarkovChain.from_matrix(np.eye(2), symbols=["a", "a"])


def test_what_is_asked_for_must_exist():
    chain = MarkovChain().fit([0, 1, 1, 0])
    with pytest.raises(ValueError, match="by is 'steps', expected one of 'total', 'sequence', 'step'"):
        chain.log_likelihood([0, 1], by="steps")
    with pytest.raises(ValueError, match="steps is 0, expected an integer of at least 1"):
        chain.forecast([0], 0)
    with pytest.raises(TypeError, match=r"steps is 2\.5, expected an integer"):
        chain.forecast([0], 2.5)
    with pytest.raises(TypeError, match="fit_each needs a list of sequences, got str"):
        chain.fit_each("wet dry")


def test_a_failed_fit_keeps_the_chain_that_was():
    chain = MarkovChain(1, smoothing="laplace").fit(["dry", "wet", "wet"])
    law, symbols = chain.transmat_.copy(), chain.symbols_
    for X, options in (
        ([0, 1, -1], {}),
        (["dry"], {}),
        (["dry", "wet"], {"sample_weight": [-1]}),
        (["dry", "wet"], {"symbols": ["dry"]}),
        (["dry", "wet"], {"lengths": [3]}),
    ):
        with pytest.raises((ValueError, TypeError)):
            chain.fit(X, **options)
        np.testing.assert_array_equal(chain.transmat_, law)
        assert chain.symbols_ is symbols
