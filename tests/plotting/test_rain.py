from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from statespace.plotting import rain_forecast, rain_report

DAYS = np.arange("2015-11-01", "2016-01-01", dtype="datetime64[D]")
TOMORROW = {0: (0.44, 0.41, 0.47), 1: (0.24, 0.2, 0.28), 2: (0.18, 0.14, 0.22)}


def report(**changes: Any) -> Figure:
    arguments: dict[str, Any] = {
        "orders": [0, 1, 2],
        "losses": [0.67, 0.6, 0.59],
        "errors": [0.02, 0.01, 0.0],
        "n_parameters": [1, 2, 4],
        "tomorrow": TOMORROW,
    }
    return rain_report(DAYS, np.arange(61) % 2, np.full(61, 0.3), **(arguments | changes))


def axes() -> Any:
    return Figure().add_subplot()


def test_report_is_three_pictures_on_a_figure_that_pyplot_does_not_know() -> None:
    figure = report()
    assert len(figure.axes) == 3
    assert plt.get_fignums() == []
    file = BytesIO()
    figure.savefig(file, format="png", dpi=50)
    assert file.getvalue().startswith(b"\x89PNG")


def test_report_marks_the_best_order_and_colours_tomorrow_by_it() -> None:
    for figure, percent in ((report(), "18%"), (report(best=1), "24%")):
        assert figure.get_suptitle() == f"Rain on 1 January 2016: {percent}"
        assert f"tomorrow {percent}" in [t.get_text() for t in figure.axes[0].texts]
    assert report(title="Alofi").get_suptitle() == "Alofi"
    assert report(title="").get_suptitle() == ""


def test_report_can_be_drawn_on_a_figure_at_hand() -> None:
    mine = plt.figure(figsize=(8, 9))
    assert report(figure=mine) is mine
    assert len(mine.axes) == 3


def test_report_refuses_a_best_order_without_forecast() -> None:
    with pytest.raises(ValueError, match=r"no forecast of order 2, the best: its orders are \[0, 1\]"):
        report(tomorrow={0: TOMORROW[0], 1: TOMORROW[1]})


def test_report_of_many_years_still_fits_its_paper() -> None:
    days = np.arange("2012-01-01", "2016-01-01", dtype="datetime64[D]")
    figure = rain_report(
        days, np.ones(1461), np.full(1461, 0.5), orders=[0], losses=[0.7], tomorrow={0: (0.5, 0.4, 0.6)}, n_days=None
    )
    figure.draw_without_rendering()
    calendar, losses, _ = figure.axes
    assert calendar.get_window_extent().y0 > losses.get_window_extent().y1
    assert calendar.get_window_extent().width > 0.7 * figure.bbox.width  # not squeezed by its 49 rows


def test_forecasts_stand_at_their_probabilities_with_their_intervals() -> None:
    ax = rain_forecast(TOMORROW, axes(), best=2)
    points = [tuple(map(float, np.ravel(line.get_data()))) for line in ax.lines if line.get_gid() == "forecast"]
    assert points == [(p, place) for place, (p, _, _) in TOMORROW.items()]
    intervals = [c.get_segments()[0] for c in ax.collections if c.get_gid() == "interval"]  # type: ignore[attr-defined]
    assert [(a, b) for (a, _), (b, _) in intervals] == [(low, high) for _, low, high in TOMORROW.values()]
    assert [t.get_text() for t in ax.texts] == ["44%", "24%", "18%"]
    assert ax.get_xlim() == (0, 1)


def test_forecast_without_interval_is_a_point() -> None:
    ax = rain_forecast({1: (0.3, np.nan, np.nan)}, axes())
    assert not [c for c in ax.collections if c.get_gid() == "interval"]


def test_bad_forecasts_are_refused_with_their_order() -> None:
    with pytest.raises(ValueError, match="tomorrow is empty"):
        rain_forecast({})
    with pytest.raises(TypeError, match="tomorrow is of type list, expected a dict"):
        rain_forecast([1, 2])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"tomorrow\[1\] is 0\.5, expected three numbers"):
        rain_forecast({1: 0.5})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="tomorrow is of type list"):
        report(tomorrow=[1, 2])
    with pytest.raises(TypeError, match="figure is 3, expected a matplotlib Figure"):
        report(figure=3)
    with pytest.raises(ValueError, match=r"tomorrow\[1\] is \(0\.5, 0\.6, 0\.7\)"):
        rain_forecast({1: (0.5, 0.6, 0.7)})
    with pytest.raises(ValueError, match=r"tomorrow\[0\] is \(43"):
        rain_forecast({0: (43, 40, 46)})
    with pytest.raises(ValueError, match=r"tomorrow\[0\] is \(nan"):
        rain_forecast({0: (np.nan, np.nan, np.nan)})
    with pytest.raises(ValueError, match=r"best is order 5, but the orders are \[0, 1, 2\]"):
        rain_forecast(TOMORROW, best=5)


def test_report_of_models_names_them_in_the_order_given() -> None:
    names = ["i.i.d.", "2nd order", "3 states"]
    tomorrow = dict(zip(names, [(0.44, 0.41, 0.47), (0.18, 0.14, 0.22), (0.25, np.nan, np.nan)], strict=True))
    figure = report(orders=names, tomorrow=tomorrow, best="2nd order")
    assert figure.axes[0].get_title(loc="left") == "Each day's forecast by 2nd order, and the days that were wet"
    assert [text.get_text() for text in figure.axes[2].get_yticklabels()] == names
    assert [title.get_title(loc="left") for title in figure.axes[1:]] == [
        "What each model gains",
        "What each model says",
    ]
    with pytest.raises(ValueError, match=r"no forecast of model 9 states, the best: its models are \['i\.i\.d\.'"):
        report(orders=names, tomorrow=tomorrow, best="9 states")
