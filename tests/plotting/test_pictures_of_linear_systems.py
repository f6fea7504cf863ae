"""Pictures drawn from fitted linear dynamical systems, against what the models answer."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from statespace import LinearDynamicalSystem
from statespace import plotting as pictures
from statespace.datasets import load_co2, load_nile
from statespace.lds import LocalLinearTrend, Seasonal, StructuralModel

NILE, AIR = load_nile(), load_co2()
FLOW = NILE.flow.copy()
FLOW[20:40] = np.nan


def axes() -> Any:
    return Figure(figsize=(9, 3)).add_subplot()


def of(ax: Any, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


@pytest.fixture(scope="module")
def level() -> StructuralModel:
    return StructuralModel(level=True).fit(FLOW)


@pytest.fixture(scope="module")
def monthly() -> StructuralModel:
    return (LocalLinearTrend() + Seasonal(12)).fit(AIR.co2[:120])


def test_the_smoothed_level_of_a_model_and_the_filtered_one_of_a_result(level: StructuralModel) -> None:
    ax = pictures.smoothed_states(level, FLOW, axes(), times=NILE.years)
    np.testing.assert_array_equal(of(ax, "mean")[0].get_ydata(), level.smooth(FLOW).mean[:, 0])
    assert [(span.get_x(), span.get_width()) for span in of(ax, "missing")] == [(1890.5, 20.0)]
    ax = pictures.smoothed_states(level.filter(FLOW), FLOW, axes(), times=NILE.years)
    np.testing.assert_array_equal(of(ax, "mean")[0].get_ydata(), level.filter(FLOW).filtered_mean[:, 0])


def test_filtered_states_begin_when_the_data_have_determined_them(monthly: StructuralModel) -> None:
    filtered = monthly.filter(AIR.co2[:120])
    drawn = of(pictures.smoothed_states(filtered, ax=axes()), "mean")[0].get_ydata()
    assert np.isnan(drawn).sum() == filtered.n_diffuse_steps - 1 > 10
    np.testing.assert_array_equal(
        drawn[filtered.n_diffuse_steps - 1 :], filtered.filtered_mean[filtered.n_diffuse_steps - 1 :, 0]
    )


def test_components_of_a_model_with_the_dates_of_a_series(monthly: StructuralModel) -> None:
    pytest.importorskip("pandas")
    series = AIR.to_frame()["co2"].iloc[:120]
    drawn = pictures.components(monthly, series, Figure(), level=0.5)
    parts = monthly.decompose(AIR.co2[:120])
    assert [ax.get_title(loc="left") for ax in drawn] == list(parts.names)
    for ax, name in zip(drawn, parts.names, strict=True):
        np.testing.assert_allclose(of(ax, "mean")[0].get_ydata(), parts.mean[name], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(of(drawn[0], "mean")[0].get_xdata(), series.index.to_numpy())


def test_innovations_of_a_model_without_those_of_the_diffuse_start(monthly: StructuralModel) -> None:
    y = AIR.co2[:120]
    panels = pictures.innovations_diagnostics(monthly, y, Figure(), times=AIR.months[:120])
    drawn = of(panels[0], "innovations")[0].get_ydata()
    filtered = monthly.filter(y)
    v, F = filtered.innovations[:, 0], filtered.innovation_cov[:, 0, 0]
    start = filtered.n_diffuse_steps
    assert np.isnan(drawn[:start]).all()
    np.testing.assert_allclose(drawn[start:], v[start:] / np.sqrt(F[start:]), rtol=1e-9)


def test_a_fan_goes_on_from_a_history_with_gaps(level: StructuralModel) -> None:
    y = FLOW.copy()
    y[-3:] = np.nan
    ax = pictures.forecast_fan(level, y, 10, axes(), times=NILE.years)
    (mean,) = of(ax, "mean")
    np.testing.assert_array_equal(mean.get_xdata(), np.arange(1971, 1981))
    np.testing.assert_array_equal(mean.get_ydata(), level.forecast(y, 10).mean[:, 0])
    np.testing.assert_array_equal(of(ax, "observations")[0].get_ydata(), y)


def test_the_path_of_a_model_in_the_plane() -> None:
    move, kick = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[0.5], [1.0]])
    tracker = LinearDynamicalSystem.from_matrices(
        design=[[1.0, 0, 0, 0], [0, 0, 1.0, 0]],
        obs_cov=np.eye(2),
        transition=np.kron(np.eye(2), move),
        selection=np.kron(np.eye(2), kick),
        state_cov=0.1 * np.eye(2),
    )
    X, _ = tracker.sample(30, random_state=0)
    ax = pictures.smoothed_path(tracker, X, axes(), states=(0, 2))
    np.testing.assert_array_equal(np.column_stack(of(ax, "mean")[0].get_data()), tracker.smooth(X).mean[:, [0, 2]])
    assert len(of(ax, "ellipses")[0].get_paths()) == 30
