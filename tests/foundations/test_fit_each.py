"""Fits of many series, each with its own known inputs."""

import numpy as np
import pandas as pd
import pytest

from statespace import MarkovChain
from statespace.datasets import load_nile
from statespace.lds import StructuralModel

NILE = load_nile().flow
INPUTS = np.sin(np.arange(200.0)).reshape(2, 100, 1)
SERIES = NILE + 200.0 * INPUTS[:, :, 0]
MODEL = StructuralModel(level=True, exog="parameters")


@pytest.mark.parametrize(
    ("X", "exog"),
    [
        (list(SERIES), list(INPUTS)),
        (SERIES[:, :, None], INPUTS),
        (pd.DataFrame(SERIES.T, columns=["a", "b"]), pd.DataFrame(INPUTS[:, :, 0].T, columns=["a", "b"])),
        (pd.DataFrame(SERIES.T), list(INPUTS)),
    ],
    ids=["lists", "panels", "frames", "a frame and a list"],
)
def test_each_series_is_fitted_with_its_own_inputs(X, exog):
    fitted = MODEL.fit_each(X, exog=exog)
    for model, y, x in zip(fitted, SERIES, INPUTS, strict=True):
        np.testing.assert_array_equal(
            model.params_, StructuralModel(level=True, exog="parameters").fit(y, exog=x).params_
        )


def test_a_series_may_have_no_inputs():
    one, other = StructuralModel(level=True).fit_each(list(SERIES), exog=[None, INPUTS[1]])
    np.testing.assert_array_equal(one.params_, StructuralModel(level=True).fit(SERIES[0]).params_)
    np.testing.assert_array_equal(other.params_, StructuralModel(level=True).fit(SERIES[1], exog=INPUTS[1]).params_)


@pytest.mark.parametrize(
    ("exog", "error", "message"),
    [
        (INPUTS[0], TypeError, "exog is one ndarray, and X is 2 series: give a list of inputs"),
        (INPUTS[:1], ValueError, "exog has inputs of 1 series, and X is 2 series"),
        ([INPUTS[0], INPUTS[1][:50]], ValueError, "exog has 50 rows, X 100"),
    ],
)
def test_inputs_that_are_not_one_a_series_are_refused(exog, error, message):
    with pytest.raises(error, match=message):
        MODEL.fit_each(list(SERIES), exog=exog)


def test_frames_of_other_columns_are_refused():
    with pytest.raises(ValueError, match="exog is a frame with other columns than X"):
        MODEL.fit_each(
            pd.DataFrame(SERIES.T, columns=["a", "b"]), exog=pd.DataFrame(INPUTS[:, :, 0].T, columns=["b", "a"])
        )


def test_a_model_without_inputs_says_so():
    with pytest.raises(TypeError, match="a MarkovChain takes no known inputs"):
        MarkovChain().fit_each([[0, 1, 0], [1, 1, 0]], exog=[[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
