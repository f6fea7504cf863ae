"""What holds for every picture of several panels, and what each of them draws."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats

from statespace import plotting as pictures
from statespace.plotting.diagnostics import autocorrelations

N = 60
Z = np.random.default_rng(3).standard_normal(N)
MONTHS = np.arange("1958-03", "1963-03", dtype="datetime64[M]")


class Parts:
    """Gaussian components, as `decompose` returns them."""

    def __init__(self, **parts: tuple[Any, float]) -> None:
        self.mean = {name: mean for name, (mean, _) in parts.items()}
        self.deviation = {name: deviation for name, (_, deviation) in parts.items()}

    def interval(self, name: str, level: float) -> Any:
        return stats.norm.interval(level, self.mean[name], self.deviation[name])


class Model:
    """A model that has these answers to these observations."""

    def __init__(self, seen: Any, **answers: Any) -> None:
        for verb, answer in answers.items():
            setattr(self, verb, lambda X, answer=answer: answer if X is seen else pytest.fail("of other observations"))


PARTS = Parts(level=(np.linspace(315, 320, N), 0.3), seasonal=(np.sin(np.arange(N) / 2), 0.2))
X = PARTS.mean["level"] + PARTS.mean["seasonal"] + 0.1 * Z

GATES = {"l0": {name: np.abs(np.sin(np.arange(60.0))).reshape(1, 20, 3) for name in ("r", "z", "n", "h")}}

PICTURES: dict[str, tuple[int, Callable[..., Any]]] = {
    "components": (2, lambda **k: pictures.components(PARTS, X, times=MONTHS, **k)),
    "gates": (5, lambda **k: pictures.gates(GATES, np.zeros((20, 2)), **k)),
    "innovations_diagnostics": (4, lambda **k: pictures.innovations_diagnostics(Z, times=MONTHS, **k)),
}
every_picture = pytest.mark.parametrize(("n_panels", "draw"), PICTURES.values(), ids=PICTURES)


def of(ax: Any, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


@every_picture
def test_draws_on_the_figure_it_was_given_and_leaves_pyplot_alone(n_panels: int, draw: Callable[..., Any]) -> None:
    mine = plt.figure().add_subplot()
    other = Figure()
    axes = draw(figure=other)
    assert axes == other.axes
    assert len(axes) == n_panels
    assert plt.get_fignums() == [mine.figure.number]  # type: ignore[union-attr]
    assert plt.gca() is mine
    assert not mine.has_data()


@every_picture
def test_makes_one_figure_without_one(n_panels: int, draw: Callable[..., Any]) -> None:
    axes = draw()
    assert plt.get_fignums() == [axes[0].figure.number]
    assert len(axes) == n_panels


@every_picture
def test_draws_in_a_subfigure_beside_another(n_panels: int, draw: Callable[..., Any]) -> None:
    left, right = Figure(figsize=(16, 6)).subfigures(1, 2)
    assert len(draw(figure=right)) == n_panels
    assert not left.axes


@every_picture
def test_title_is_optional(n_panels: int, draw: Callable[..., Any]) -> None:
    assert draw(figure=Figure())[0].figure.get_suptitle() == ""
    assert draw(figure=Figure(), title="Nile")[0].figure.get_suptitle() == "Nile"


@every_picture
def test_text_is_readable_and_stays_on_the_paper(
    n_panels: int,
    draw: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figure = draw(title="A title")[0].figure
    drawn: list[tuple[Text, Any]] = []
    draw_text = Text.draw

    def record(text: Text, renderer: Any, *rest: Any, **options: Any) -> None:
        draw_text(text, renderer, *rest, **options)
        if text.get_text() and text.get_visible():
            drawn.append((text, text.get_window_extent(renderer)))

    figure.draw_without_rendering()
    monkeypatch.setattr(Text, "draw", record)
    figure.canvas.draw()
    assert drawn
    for text, box in drawn:
        assert text.get_fontsize() >= 7, text
        assert box.x0 >= figure.bbox.x0 - 1, text
        assert box.y0 >= figure.bbox.y0 - 1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y1 <= figure.bbox.y1 + 1, text


@every_picture
def test_what_is_no_figure_is_refused(n_panels: int, draw: Callable[..., Any]) -> None:
    for wrong, said in ((3, "3"), (Figure().add_subplot(), "of type Axes")):
        with pytest.raises(TypeError, match=f"figure is {said}, expected a matplotlib Figure"):
            draw(figure=wrong)


# ------------------------------------------------------------------------------------------------------- components


def test_a_component_is_drawn_by_its_mean_and_interval() -> None:
    axes = pictures.components(PARTS, level=0.5, figure=Figure())
    for ax, (name, mean) in zip(axes, PARTS.mean.items(), strict=True):
        assert ax.get_title(loc="left") == name
        np.testing.assert_array_equal(of(ax, "mean")[0].get_ydata(), mean)
        vertices = of(ax, "interval")[0].get_paths()[0].vertices
        low, high = PARTS.interval(name, 0.5)
        for t in range(N):
            at = vertices[np.isclose(vertices[:, 0], t), 1]
            np.testing.assert_allclose([at.min(), at.max()], [low[t], high[t]], rtol=1e-12)


def test_observations_lie_on_the_first_component_and_gaps_are_shaded_in_all() -> None:
    x = X.copy()
    x[[5, 6, 20]] = np.nan
    first, second = pictures.components(Model(x, decompose=PARTS), x, Figure(), times=MONTHS)
    np.testing.assert_array_equal(of(first, "observations")[0].get_ydata(), x)
    assert not of(second, "observations")
    assert [len(of(ax, "missing")) for ax in (first, second)] == [2, 2]


def test_components_are_chosen_and_ordered_by_name() -> None:
    axes = pictures.components(PARTS, figure=Figure(), names=["seasonal", "level"])
    assert [ax.get_title(loc="left") for ax in axes] == ["seasonal", "level"]
    with pytest.raises(ValueError, match=r"names is \['cycle'\], but the components are \['level', 'seasonal'\]"):
        pictures.components(PARTS, names=["cycle"])


def test_what_is_no_decomposition_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match="model_or_decomposition is 3, expected a fitted model with decompose"):
        pictures.components(3)
    with pytest.raises(TypeError, match="model_or_decomposition is of type dict"):
        pictures.components({"level": [1.0, 2.0]})
    with pytest.raises(TypeError, match="a model takes apart what was observed: give X"):
        pictures.components(Model(X, decompose=PARTS))
    with pytest.raises(ValueError, match="X is 2 sequences"):
        pictures.components(Model(X, decompose=[PARTS, PARTS]), X)
    with pytest.raises(ValueError, match="the decomposition has no components"):
        pictures.components(Parts())
    with pytest.raises(ValueError, match="the components have 60 steps, but X has 2"):
        pictures.components(PARTS, [1.0, 2.0])
    with pytest.raises(ValueError, match="level"):
        pictures.components(PARTS, level=2.0)


# ------------------------------------------------------------------------------------------------------ innovations


def test_each_panel_shows_the_innovations() -> None:
    z = Z.copy()
    z[[0, 30, 31]] = np.nan
    over_time, histogram, quantiles, correlogram = pictures.innovations_diagnostics(z, figure=Figure(), n_lags=7)
    np.testing.assert_array_equal(of(over_time, "innovations")[0].get_ydata(), z)
    bars = of(histogram, "histogram")
    assert sum(bar.get_width() * bar.get_height() for bar in bars) == pytest.approx(1.0)
    x, density = of(histogram, "density")[0].get_data()
    np.testing.assert_allclose(density, stats.norm.pdf(x))
    places, found = of(quantiles, "quantiles")[0].get_data()
    np.testing.assert_array_equal(found, np.sort(z[~np.isnan(z)]))
    np.testing.assert_allclose(stats.norm.cdf(places), np.arange(1, 58) / 58)
    lags = np.concatenate([dots.get_xdata() for dots in of(correlogram, "correlations")])
    np.testing.assert_array_equal(np.sort(lags), np.arange(1, 8))


def test_the_band_of_quantiles_holds_each_sorted_draw_with_95_percent() -> None:
    draws = np.sort(np.random.default_rng(0).standard_normal((4000, 20)), axis=1)
    band = of(pictures.innovations_diagnostics(draws[0], figure=Figure())[2], "band")[0].get_paths()[0].vertices
    places = stats.norm.ppf(np.arange(1, 21) / 21)
    for i, place in enumerate(places):
        low, high = (pick(band[np.isclose(band[:, 0], place), 1]) for pick in (np.min, np.max))
        # 4000 draws: the share has a standard error of 0.0034
        assert np.mean((low <= draws[:, i]) & (draws[:, i] <= high)) == pytest.approx(0.95, abs=0.017)


@given(st.integers(5, 40), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_correlations_are_the_classical_ones_where_nothing_is_missing(n: int, seed: int) -> None:
    acf = pytest.importorskip("statsmodels.tsa.stattools").acf
    z = np.random.default_rng(seed).standard_normal(n)
    r, half = autocorrelations(z, n - 1)
    np.testing.assert_allclose(r, acf(z, nlags=n - 1, fft=False)[1:], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(half, 1.959964 * np.sqrt(n - np.arange(1, n)) / n, rtol=1e-6)


def test_bands_of_correlations_hold_95_percent_of_those_of_white_noise_with_gaps() -> None:
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(400):
        z = rng.standard_normal(120)
        z[rng.random(120) < 0.3] = np.nan
        r, half = autocorrelations(z, 10)
        inside.append(np.abs(r) <= half)
    # 400 x 10 nearly independent correlations: a standard error of 0.0034
    assert np.mean(inside) == pytest.approx(0.95, abs=0.017)


def test_lags_without_a_pair_have_no_correlation() -> None:
    z = np.array([1.0, np.nan, 2.0, np.nan, -1.0, np.nan])
    r, half = autocorrelations(z, 3)
    np.testing.assert_array_equal(np.isnan(r), [True, False, True])
    np.testing.assert_array_equal(np.isnan(half), [True, False, True])
    pictures.innovations_diagnostics(z, figure=Figure())


def test_missing_steps_at_either_end_change_no_correlation() -> None:
    around = np.concatenate([np.full(13, np.nan), Z, [np.nan]])
    for found, expected in zip(autocorrelations(around, 20), autocorrelations(Z, 20), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_model_is_drawn_by_its_diagnostics_feature_by_feature() -> None:
    two = [SimpleNamespace(innovations=sign * Z, ljung_box=None) for sign in (1, -1)]
    x = np.column_stack([Z, Z])
    for what, seen in ((two, None), (Model(x, diagnostics=two), x)):
        axes = pictures.innovations_diagnostics(what, seen, Figure(), feature=1)
        np.testing.assert_array_equal(of(axes[0], "innovations")[0].get_ydata(), -Z)
    axes = pictures.innovations_diagnostics(Model(X, diagnostics=two[0]), X, Figure(), times=MONTHS)
    np.testing.assert_array_equal(of(axes[0], "innovations")[0].get_xdata(), MONTHS)


def test_what_are_no_innovations_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="innovations are 2 numbers that are not missing, expected at least 3"):
        pictures.innovations_diagnostics([1.0, np.nan, 2.0])
    with pytest.raises(ValueError, match=r"feature is 1, expected 0\.\.0"):
        pictures.innovations_diagnostics(Z, feature=1)
    with pytest.raises(ValueError, match=r"n_lags is 60, expected 1\.\.59"):
        pictures.innovations_diagnostics(Z, n_lags=60)
    with pytest.raises(TypeError, match="a model has innovations of what was observed: give X"):
        pictures.innovations_diagnostics(Model(X, diagnostics=None))
    with pytest.raises(TypeError, match="the innovations of a FilterResult are not standardised"):
        pictures.innovations_diagnostics(SimpleNamespace(innovations=Z, innovation_cov=Z))
    with pytest.raises(ValueError, match="there are innovations of 60 steps, but X has 2"):
        pictures.innovations_diagnostics(Z, [1.0, 2.0])
