from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from statespace import MarkovChain
from statespace.foundations.predictive import Interval, PredictiveLaw
from statespace.plotting import forecast_fan

MEAN, VARIANCE = np.linspace(20.0, 19.0, 5), np.linspace(4.0, 9.0, 5)
LAW = PredictiveLaw(mean=MEAN[:, None], cov=VARIANCE[:, None, None])


def axes() -> Any:
    return Figure(figsize=(9, 3)).add_subplot()


def of(ax: Any, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def test_bands_are_the_intervals_of_the_law_after_the_data() -> None:
    past = np.arange(30.0)
    ax = forecast_fan(LAW, past, ax=axes(), levels=(0.9, 0.5))
    for band, level in zip(of(ax, "interval"), (0.9, 0.5), strict=True):
        low, high = stats.norm.interval(level, MEAN, np.sqrt(VARIANCE))
        vertices = band.get_paths()[0].vertices
        for t in range(5):
            at = vertices[np.isclose(vertices[:, 0], 30 + t + 0.5), 1]
            assert np.isclose(at, low[t]).any()
            assert np.isclose(at, high[t]).any()
    (mean,) = of(ax, "mean")
    np.testing.assert_array_equal(mean.get_xdata(), [30, 31, 32, 33, 34])
    np.testing.assert_array_equal(mean.get_ydata(), MEAN)
    (line,) = of(ax, "observations")
    np.testing.assert_array_equal(line.get_ydata(), past)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["90%", "50%", "mean"]


def test_wider_bands_lie_behind_and_are_lighter() -> None:
    bands = of(forecast_fan(LAW, ax=axes()), "interval")
    shades = [float(band.get_facecolor()[0][:3].sum()) for band in bands]
    assert shades == sorted(shades, reverse=True)
    assert [band.get_zorder() for band in bands] == sorted(band.get_zorder() for band in bands)


def test_times_given_go_on_at_their_last_distance() -> None:
    ax = forecast_fan(LAW, [1.0, 2.0, 4.0], ax=axes(), times=[1990, 2000, 2010])
    np.testing.assert_array_equal(of(ax, "mean")[0].get_xdata(), [2020, 2030, 2040, 2050, 2060])


def test_the_dates_of_a_model_s_forecast_are_those_of_its_law() -> None:
    pd = pytest.importorskip("pandas")
    x = pd.Series(["dry", "wet", "wet", "dry"] * 5, index=pd.date_range("2015-12-12", periods=20))
    ax = forecast_fan(MarkovChain().fit(x), x, 3, axes())
    from matplotlib.dates import date2num

    tiles = of(ax, "probability")
    left = sorted({tile.get_x() + 0.5 for tile in tiles})
    np.testing.assert_allclose(left, date2num(np.arange("2016-01-01", "2016-01-04", dtype="datetime64[D]")))


def test_tiles_are_the_darker_the_more_probable() -> None:
    law = PredictiveLaw(np.array([[0.0, 0.2, 0.8], [0.5, 0.4, 0.1]]), np.array(["a", "b", "c"]))
    ax = forecast_fan(law, ["a", "c", "b"], ax=axes())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    shade = {(t.get_x() + 0.5, t.get_y() + 0.4): sum(t.get_facecolor()[:3]) for t in of(ax, "probability")}
    places = [(3.0 + row, float(k)) for row in range(2) for k in range(3)]
    ranked = sorted(places, key=lambda place: law.probabilities[int(place[0]) - 3, int(place[1])])
    assert sorted(places, key=lambda place: -shade[place]) == ranked


def test_only_the_last_of_a_long_past_are_shown_when_asked() -> None:
    ax = forecast_fan(LAW, np.arange(100.0), ax=axes(), n_history=10)
    np.testing.assert_array_equal(of(ax, "observations")[0].get_xdata(), np.arange(90, 100))


def test_one_of_several_features_is_drawn() -> None:
    mean = np.array([[1.0, 10.0], [2.0, 20.0]])
    law = PredictiveLaw(mean=mean, cov=np.stack([np.eye(2)] * 2))
    ax = forecast_fan(law, [[0.0, 5.0], [0.5, 6.0]], ax=axes(), feature=1)
    np.testing.assert_array_equal(of(ax, "mean")[0].get_ydata(), [10.0, 20.0])
    np.testing.assert_array_equal(of(ax, "observations")[0].get_ydata(), [5.0, 6.0])
    with pytest.raises(ValueError, match=r"feature is 2, expected 0\.\.1"):
        forecast_fan(law, feature=2)


def test_a_gap_breaks_the_line_and_a_step_alone_in_one_is_marked() -> None:
    x = np.arange(200.0)
    x[[20, 22, 50, 198]] = np.nan
    (line,) = of(forecast_fan(LAW, x, ax=axes()), "observations")
    np.testing.assert_array_equal(line.get_ydata(), x)
    assert line.get_marker() == "o"
    np.testing.assert_array_equal(np.flatnonzero(line.get_markevery()), [21, 199])
    (line,) = of(forecast_fan(LAW, np.arange(200.0), ax=axes()), "observations")
    assert line.get_marker() == "None"


def test_months_go_on_by_months() -> None:
    months = np.arange("2001-01", "2002-01", dtype="datetime64[M]")
    ax = forecast_fan(LAW, np.arange(12.0), ax=axes(), times=months)
    ahead = np.arange("2002-01", "2002-06", dtype="datetime64[M]")
    np.testing.assert_array_equal(of(ax, "mean")[0].get_xdata(), ahead)


def test_what_makes_no_forecast_is_refused_in_words() -> None:
    chain = MarkovChain().fit([0, 1, 1, 0, 1])
    with pytest.raises(TypeError, match="goes on from what was observed: give X"):
        forecast_fan(chain)
    with pytest.raises(ValueError, match="X is 2 sequences"):
        forecast_fan(chain, [[0, 1], [1, 0]])
    with pytest.raises(TypeError, match="model_or_law is 3, expected a fitted model with forecast"):
        forecast_fan(3, [0, 1])
    with pytest.raises(ValueError, match="levels"):
        forecast_fan(LAW, levels=[1.5])


class WithoutMean:
    """The law of an emission that tells bounds and no mean; `support` as of answers, yes or no, several a step."""

    support, symbols, index = "categories", None, None

    def __len__(self) -> int:
        return 4

    def interval(self, level: float) -> Any:
        return Interval(np.zeros((4, 3)), np.full((4, 3), level))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def test_a_law_that_has_no_mean_is_drawn_by_its_intervals() -> None:
    ax = forecast_fan(WithoutMean(), np.zeros((5, 3)), ax=axes(), feature=2, levels=[0.25, 0.75])
    assert [float(band.get_paths()[0].vertices[:, 1].max()) for band in of(ax, "interval")] == [0.75, 0.25]
    assert not of(ax, "mean")
