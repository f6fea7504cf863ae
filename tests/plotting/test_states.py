"""Ribbons and bands of states: what is drawn where, against the probabilities and paths they stand for."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import same_color, to_rgb
from matplotlib.figure import Figure

from statespace import hmm, plotting
from statespace.datasets import load_earthquakes
from statespace.hmm import HMM, CategoricalEmission, PoissonEmission
from statespace.plotting import decoded_states, state_ribbon
from statespace.plotting.states import state_colours

COUNTS = load_earthquakes().counts


@pytest.fixture(scope="module")
def model() -> Any:
    return HMM(3, PoissonEmission(), random_state=0).fit(COUNTS).sort_states()


def axes() -> Any:
    return Figure(figsize=(9, 3)).add_subplot()


def of(ax: Any, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def heights(ax: Any, n: int) -> Any:
    """Height of each colour of a ribbon in the middle of each step, as a share of the ribbon."""
    found = np.zeros((n, len(of(ax, "state"))))
    for k, area in enumerate(of(ax, "state")):
        vertices = area.get_paths()[0].vertices
        for t in range(n):
            at = vertices[(vertices[:, 0] == t - 0.5) | (vertices[:, 0] == t + 0.5)]
            # every border belongs to two steps: of its corners those are wanted that this step's both borders have
            left = set(at[at[:, 0] == t - 0.5, 1].tolist())
            right = set(at[at[:, 0] == t + 0.5, 1].tolist())
            both = sorted(left & right)
            found[t, k] = both[-1] - both[0]
    return found / found.sum(axis=1, keepdims=True)


@given(st.integers(1, 4), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_the_ribbon_is_in_proportion_to_the_probabilities(K: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(K), size=n)
    ax = state_ribbon(p, rng.normal(size=n), axes())
    np.testing.assert_allclose(heights(ax, n), p, atol=1e-9)


def test_a_model_is_drawn_by_its_posterior_probabilities(model: Any) -> None:
    drawn, direct = state_ribbon(model, COUNTS, axes()), state_ribbon(model.predict_proba(COUNTS), COUNTS, axes())
    for a, b in zip(of(drawn, "state"), of(direct, "state"), strict=True):
        np.testing.assert_array_equal(a.get_paths()[0].vertices, b.get_paths()[0].vertices)


def test_the_ribbon_lies_below_the_data(model: Any) -> None:
    ax = state_ribbon(model, COUNTS, axes())
    (line,) = of(ax, "observations")
    lowest = ax.transAxes.inverted().transform(ax.transData.transform((0, float(np.min(line.get_ydata())))))[1]
    top = max(area.get_paths()[0].vertices[:, 1].max() for area in of(ax, "state"))
    assert top < lowest
    assert ax.get_yticks().min() >= 0


def test_bands_are_the_runs_of_the_decoded_path(model: Any) -> None:
    years = load_earthquakes().years
    ax = decoded_states(model, COUNTS, axes(), times=years)
    path = np.asarray(model.predict(COUNTS))
    seen = np.full(len(years), -1)
    colours = state_colours(3)
    for band in of(ax, "state"):
        left, width = band.get_x(), band.get_width()
        inside = (years > left) & (years < left + width)
        assert (seen[inside] == -1).all()
        seen[inside] = next(k for k in range(3) if same_color(band.get_facecolor()[:3], to_rgb(colours[k])))
    np.testing.assert_array_equal(seen, path)
    assert len(of(ax, "state")) == 1 + np.count_nonzero(np.diff(path))


def test_the_mean_of_each_state_crosses_its_bands(model: Any) -> None:
    ax = decoded_states(model, COUNTS, axes())
    levels = {round(float(segment[0][1]), 9) for lines in of(ax, "mean") for segment in lines.get_segments()}
    assert levels == {round(float(rate), 9) for rate in model.emission_.lambdas[:, 0]}
    assert not of(decoded_states(model.predict(COUNTS), COUNTS, axes()), "mean")


def test_unknown_states_have_no_band() -> None:
    ax = decoded_states([-1, 0, 0, 1, -1], [3.0, 1.0, 1.0, 2.0, 2.0], axes())
    assert [(b.get_x(), b.get_width()) for b in of(ax, "state")] == [(0.5, 2.0), (2.5, 1.0)]


def test_symbols_have_rows_with_their_names() -> None:
    x = ["dry", "wet", "wet", None, "dry", "dry"] * 5
    fitted = HMM(2, CategoricalEmission(), n_iter=1, random_state=0).fit(x)
    for draw in (state_ribbon, decoded_states):
        ax = draw(fitted, x, axes())
        assert [text.get_text() for text in ax.get_yticklabels()] == ["dry", "wet"]
        (dots,) = of(ax, "observations")
        np.testing.assert_array_equal(dots.get_ydata(), [0, 1, 1, np.nan, 0, 0] * 5)


def test_dates_of_an_index_are_the_times(model: Any) -> None:
    pd = pytest.importorskip("pandas")
    x = pd.Series(COUNTS, index=pd.date_range("1900-01-01", periods=107, freq="YS"))
    from matplotlib.dates import num2date

    for draw in (state_ribbon, decoded_states):
        left, right = (num2date(end).year for end in draw(model, x, axes()).get_xlim())
        assert (left, right) == (1899, 2006)


def test_times_may_be_dates_of_any_kind() -> None:
    pd = pytest.importorskip("pandas")
    from matplotlib.dates import date2num

    days = [date(2015, 12, 30) + timedelta(days=n) for n in range(3)]
    ends = date2num(days[0]) - 0.5, date2num(days[-1]) + 0.5
    stamps = pd.DatetimeIndex(days)
    for times in (days, [str(day) for day in days], np.array(days, "M8[D]"), stamps, stamps.to_period("D")):
        assert decoded_states([0, 0, 1], [1.0, 2.0, 3.0], axes(), times=times).get_xlim() == ends
    series = pd.Series([1.0, 2.0, 3.0], index=stamps.tz_localize("Europe/Berlin"))
    assert decoded_states([0, 0, 1], series, axes()).get_xlim() == ends
    named = pd.Series([1.0, 2.0, 3.0], index=["a", "b", "c"])
    assert decoded_states([0, 0, 1], named, axes()).get_xlim() == (-0.5, 2.5)


def test_states_are_named_in_the_legend(model: Any) -> None:
    for draw in (state_ribbon, decoded_states):
        ax = draw(model, COUNTS, axes(), names=["quiet", "usual", "active"])
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["quiet", "usual", "active"]


@pytest.mark.parametrize("K", [1, 3, 8, 9, 20])
def test_every_state_has_a_colour_of_its_own(K: int) -> None:
    assert len({to_rgb(colour) for colour in state_colours(K)}) == K


def test_what_does_not_fit_together_is_refused_in_words(model: Any) -> None:
    with pytest.raises(ValueError, match="X is 2 sequences, and a picture has room for one"):
        state_ribbon(model, [COUNTS, COUNTS])
    with pytest.raises(ValueError, match="there are states of 3 steps, but X has 4"):
        decoded_states([0, 1, 0], [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="names has 2 entries, but there are 3 states"):
        state_ribbon(model, COUNTS, names=["a", "b"])
    with pytest.raises(ValueError, match="states are not whole numbers"):
        decoded_states([0.5, 1.0], [1.0, 2.0])
    with pytest.raises(TypeError, match="model_or_states is 'rain', expected a fitted model"):
        state_ribbon("rain", COUNTS)
    with pytest.raises(ValueError, match=r"times has shape \(2,\), expected one for each of the 107 steps"):
        state_ribbon(model, COUNTS, times=[1900, 1901])
    with pytest.raises(TypeError, match="times are of type list, expected numbers or dates, one a step"):
        state_ribbon([0, 0], [1.0, 2.0], times=["soon", "later"])
    with pytest.raises(ValueError, match="times do not increase"):
        state_ribbon([0, 0], [1.0, 2.0], times=[2, 1])


def test_columns_of_a_frame_keep_their_names():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    weather = pd.DataFrame(rng.normal(size=(40, 2)), columns=["temperature", "$wind"])
    model = hmm.GaussianHMM(2, random_state=0, tol=1.0).fit(weather)
    for draw in (plotting.state_ribbon, plotting.decoded_states):
        said = [text.get_text() for text in draw(model, weather).get_legend().get_texts()]
        assert said[:2] == ["temperature", r"\$wind"]
    ax = plotting.emission_densities(model, [weather[:20], weather[20:]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("temperature", r"\$wind")
    assert plotting.forecast_fan(model, weather, feature=1).get_ylabel() == r"\$wind"
    assert plotting.state_ribbon(model, weather.to_numpy()).get_legend().get_texts()[1].get_text() == "feature 1"
