"""Numbers for sequences and for their steps."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from statespace.neural import RecurrentRegressor

pytestmark = pytest.mark.filterwarnings("ignore:the training stopped")


def sums(n=150, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(k, 1)) for k in rng.integers(2, 8, n)]
    return X, np.array([[100 + 20 * x.sum(), 1e-3 * x[0, 0]] for x in X])


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_several_targets_in_any_units_are_learnt(pooling):
    X, y = sums()
    model = RecurrentRegressor("gru", 12, pooling=pooling, held_out=0, n_epochs=100, batch_size=16, random_state=0)
    model.fit(X, y)
    assert model.score(*sums(seed=1)) > 0.9
    assert model.predict(X).shape == (150, 2)


def test_each_step_has_a_number_of_its_own():
    X, _ = sums()
    y = [np.cumsum(x) for x in X]
    model = RecurrentRegressor("gru", 12, output="each", held_out=0, n_epochs=60, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert [p.shape for p in model.predict(X)] == [one.shape for one in y]
    series = pd.Series(X[0][:, 0], index=pd.date_range("2024-01-01", periods=len(X[0])))
    pd.testing.assert_index_equal(model.predict(series).index, series.index)


def test_the_spread_is_that_of_the_noise():
    rng = np.random.default_rng(0)
    x = rng.choice([0.0, 1.0], 2000)
    y = 5 + rng.normal(size=2000) * np.where(x > 0, 3.0, 0.5)
    model = RecurrentRegressor("gru", 4, held_out=0, n_epochs=30, random_state=0, decay="linear")
    model.fit(x[:, None], y, lengths=np.ones(2000, int))
    mean, std = model.predict(np.array([[0.0], [1.0]]), lengths=[1, 1], return_std=True)
    np.testing.assert_allclose(mean, 5, atol=0.25)
    np.testing.assert_allclose(std, [0.5, 3.0], rtol=0.1)


def test_the_log_likelihood_is_that_of_the_normal_law_and_the_score_is_r_squared():
    X, y = sums(30)
    model = RecurrentRegressor("lstm", 4, held_out=0, n_epochs=3, random_state=0).fit(X, y)
    X, y = sums(30, seed=2)
    mean, std = model.predict(X, return_std=True)
    logs = stats.norm.logpdf(y, mean, std).sum(axis=1)
    np.testing.assert_allclose(model.log_likelihood(X, y, by="sequence"), logs, rtol=1e-9)
    assert model.score(X, y) == pytest.approx(r2_score(y, mean), rel=1e-12)
    weights = np.random.default_rng(0).uniform(0, 2, 30)
    expected = r2_score(y, mean, sample_weight=weights)
    assert model.score(X, y, sample_weight=weights) == pytest.approx(expected, rel=1e-12)
    y[:, 1] = np.nan
    part = stats.norm.logpdf(y[:, 0], mean[:, 0], std[:, 0])
    np.testing.assert_allclose(model.log_likelihood(X, y, by="sequence"), part, rtol=1e-9)


def test_units_change_nothing_but_the_units():
    X, y = sums(40)
    models = [
        RecurrentRegressor("gru", 5, held_out=0, n_epochs=4, random_state=0, dtype=np.float64).fit(
            [scale * x - 3 for x in X], shift + scale * y
        )
        for scale, shift in ((1.0, 0.0), (2.0**20, 2.0**19))
    ]
    mean = models[0].predict([x - 3 for x in X])
    np.testing.assert_allclose(models[1].predict([2.0**20 * x - 3 for x in X]), 2.0**19 + 2.0**20 * mean, rtol=1e-6)


def test_targets_keep_their_number():
    X, y = sums(10)
    model = RecurrentRegressor("gru", 2, held_out=0, n_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="y has 1 columns, the model was fitted with 2"):
        model.score(X, y[:, 0])
    with pytest.raises(ValueError, match="there is nothing to score"):
        model.score(X, np.full_like(y, np.nan))
    with pytest.raises(ValueError, match="output is 'all', expected one of 'last', 'each'"):
        RecurrentRegressor("gru", 2, output="all").fit(X, y)
    with pytest.raises(TypeError, match="return_std is 1, expected True or False"):
        model.predict(X, return_std=1)


def test_one_long_series_is_read_in_stretches_side_by_side():
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    y = np.convolve(x, [1.0, 0.5, 0.25])[:3000]
    options = {"output": "each", "held_out": 0, "n_epochs": 6, "random_state": 0}
    cut = RecurrentRegressor("gru", 12, truncate=20, **options).fit(x, y)
    whole = RecurrentRegressor("gru", 12, **options).fit(x, y)
    assert cut.score(x, y) > 0.95
    assert cut.score(x, y) > whole.score(x, y) + 0.2  # six steps are few
    with pytest.raises(ValueError, match="truncate is 5, and the network runs both ways"):
        RecurrentRegressor(bidirectional=True, output="each", truncate=5).fit(x, y)
    with pytest.raises(ValueError, match="truncate is 5, and y is said of whole sequences"):
        RecurrentRegressor(truncate=5).fit(x, [1.0])
