"""Bands of states: what is drawn where, against the moments they stand for."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy import stats

from statespace.plotting import smoothed_states


def axes() -> Any:
    return Figure(figsize=(9, 3)).add_subplot()


def of(ax: Any, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def result(n: int, m: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n, m, m))
    return SimpleNamespace(mean=rng.normal(size=(n, m)), cov=roots @ roots.transpose(0, 2, 1))


def heights(band: Any, time: float) -> list[float]:
    """Lowest and highest corner of a band at a time."""
    vertices = np.concatenate([path.vertices for path in band.get_paths()])
    at = vertices[np.isclose(vertices[:, 0], time), 1]
    return [float(at.min()), float(at.max())]


@given(st.integers(2, 6), st.integers(1, 3), st.floats(0.1, 0.99), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_bands_are_the_normal_intervals_of_each_state(n: int, m: int, level: float, seed: int) -> None:
    r = result(n, m, seed)
    ax = smoothed_states(r, ax=axes(), states=range(m), level=level)
    for state, (band, line) in enumerate(zip(of(ax, "interval"), of(ax, "mean"), strict=True)):
        np.testing.assert_array_equal(line.get_ydata(), r.mean[:, state])
        for t in range(n):
            expected = stats.norm.interval(level, r.mean[t, state], np.sqrt(r.cov[t, state, state]))
            np.testing.assert_allclose(heights(band, t), expected, rtol=1e-9, atol=1e-12)


def test_observations_are_dots_and_stretches_without_any_are_shaded() -> None:
    x = [1.0, None, None, 2.0, 3.0, None]
    ax = smoothed_states(result(6, 1), x, axes(), times=[1990, 1991, 1992, 1993, 1994, 1995])
    (dots,) = of(ax, "observations")
    np.testing.assert_array_equal(dots.get_xdata(), np.arange(1990, 1996))
    np.testing.assert_array_equal(dots.get_ydata(), [1, np.nan, np.nan, 2, 3, np.nan])
    assert dots.get_linestyle() == "None"
    spans = [(span.get_x(), span.get_x() + span.get_width()) for span in of(ax, "missing")]
    assert spans == [(1990.5, 1992.5), (1994.5, 1995.5)]


def test_a_model_is_drawn_by_what_smooth_returns() -> None:
    r, x = result(4, 2), [1.0, 2.0, 3.0, 4.0]

    class Model:
        def smooth(self, X: Any) -> Any:
            assert X is x
            return r

    ax = smoothed_states(Model(), x, axes(), states=1)
    np.testing.assert_array_equal(of(ax, "mean")[0].get_ydata(), r.mean[:, 1])
    with pytest.raises(TypeError, match="a model smooths what was observed: give X"):
        smoothed_states(Model())
    r = [r, r]
    with pytest.raises(ValueError, match="X is 2 sequences"):
        smoothed_states(Model(), x)


def test_filtered_states_are_left_out_while_they_are_diffuse() -> None:
    r = result(5, 2)
    filtered = SimpleNamespace(filtered_mean=r.mean, filtered_cov=r.cov, n_diffuse_steps=3)
    ax = smoothed_states(filtered, ax=axes())
    drawn = of(ax, "mean")[0].get_ydata()
    np.testing.assert_array_equal(np.isnan(drawn), [True, True, False, False, False])
    vertices = np.concatenate([path.vertices for path in of(ax, "interval")[0].get_paths()])
    assert vertices[:, 0].min() == 2
    assert np.isfinite(vertices).all()


def test_states_are_named_where_there_are_several_or_names() -> None:
    def legend(**options: Any) -> list[str] | None:
        found = smoothed_states(result(3, 2), ax=axes(), **options).get_legend()
        return None if found is None else [text.get_text() for text in found.get_texts()]

    assert legend() is None
    assert legend(states=[1, 0]) == ["state 1", "state 0"]
    assert legend(states=[0, 1], names=["level", "slope"]) == ["level", "slope"]
    assert legend(names=["level"]) == ["level"]


def test_dates_of_an_index_are_the_times() -> None:
    pd = pytest.importorskip("pandas")
    from matplotlib.dates import date2num

    x = pd.Series([1.0, 2.0, 3.0], index=pd.date_range("2015-12-30", periods=3))
    ax = smoothed_states(result(3, 1), x, axes())
    left = date2num(np.datetime64("2015-12-30")) - 0.5
    assert ax.get_xlim() == (left, left + 3)
    r = result(3, 1)
    r.index = x.index
    assert smoothed_states(r, ax=axes()).get_xlim() == (left, left + 3)


def test_what_does_not_fit_together_is_refused_in_words() -> None:
    r = result(3, 2)
    with pytest.raises(ValueError, match=r"states names 2, expected 0\.\.1"):
        smoothed_states(r, states=[0, 2])
    with pytest.raises(ValueError, match="there are states of 3 steps, but X has 2"):
        smoothed_states(r, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"feature is 1, expected 0\.\.0"):
        smoothed_states(r, [1.0, 2.0, 3.0], feature=1)
    with pytest.raises(ValueError, match="names has 1 entries, but there are 2 states"):
        smoothed_states(r, states=[0, 1], names=["level"])
    with pytest.raises(ValueError, match="level"):
        smoothed_states(r, level=1.5)
    with pytest.raises(TypeError, match="model_or_result is 'flow', expected a fitted model with smooth"):
        smoothed_states("flow")
    with pytest.raises(ValueError, match=r"mean has shape \(3,\) and cov \(3,\), expected"):
        smoothed_states(SimpleNamespace(mean=np.zeros(3), cov=np.ones(3)))
