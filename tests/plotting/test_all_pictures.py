"""What holds for every picture: the Axes, pyplot's state, readable text that stays on the paper."""

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

import statespace.plotting as pictures
from statespace import MarkovChain
from statespace.foundations.predictive import PredictiveLaw
from statespace.hmm import HMM, GaussianEmission
from statespace.neural import powers

DATES = np.arange("2015-01-01", "2016-01-01", dtype="datetime64[D]")
WET = np.arange(365) % 3 == 0
CHANCE = np.linspace(0, 1, 365)
P = np.array([[0.8, 0.2, 0.0], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]])

VALUES = np.where(np.arange(40) // 8 % 2, 3.0, 0.0) + np.sin(np.arange(40))
FITTED = HMM(2, GaussianEmission(), n_iter=1, random_state=0).fit(VALUES)
FAN = PredictiveLaw(mean=np.linspace(2, 1, 8)[:, None], cov=np.linspace(1, 3, 8)[:, None, None])
RESULT = SimpleNamespace(mean=np.column_stack([VALUES, -VALUES]), cov=np.stack([np.diag([0.3, 1.0])] * 40))
FLOW = SimpleNamespace(
    spectral=0.9 ** np.arange(30, -1, -1.0)[None], frobenius=np.ones((1, 31)), lengths=np.array([30])
)
CHAIN = MarkovChain().fit(["dry", "wet", "wet", "dry", "dry", "wet"])

PICTURES: dict[str, Callable[..., Axes]] = {
    "transition_matrix": lambda **k: pictures.transition_matrix(P, ["none", "light", "heavy"], **k),
    "transition_matrix of many": lambda **k: pictures.transition_matrix(np.full((40, 40), 1 / 40), **k),
    "transition_matrix of order 3": lambda **k: pictures.transition_matrix(np.full((2,) * 4, 0.5), ["dry", "wet"], **k),
    "transition_graph": lambda **k: pictures.transition_graph(P, ["none", "light", "heavy"], **k),
    "transition_graph of order 3": lambda **k: pictures.transition_graph(np.full((2,) * 4, 0.5), ["dry", "wet"], **k),
    "held_out_loss": lambda **k: pictures.held_out_loss(
        losses=[0.7, 0.6, 0.59, np.inf], errors=[0.02, 0.01, 0, np.nan], n_parameters=[1, 2, 4, 8], **k
    ),
    "information_criteria": lambda **k: pictures.information_criteria(
        criteria={"AIC": [3, 1, 2], "BIC": [3, 1, 4]}, **k
    ),
    "growth_of_parameters": lambda **k: pictures.growth_of_parameters(n_samples=1461, **k),
    "rain_calendar": lambda **k: pictures.rain_calendar(DATES, WET, CHANCE, tomorrow=0.4, **k),
    "rain_forecast": lambda **k: pictures.rain_forecast({0: (0.4, 0.3, 0.5), 1: (0.2, 0.1, 0.4)}, best=1, **k),
    "graphical_model iid": lambda **k: pictures.graphical_model("iid", **k),
    "graphical_model markov": lambda **k: pictures.graphical_model("markov", 4, n=7, **k),
    "graphical_model hmm": lambda **k: pictures.graphical_model("hmm", 2, **k),
    "transition_graph of states": lambda **k: pictures.transition_graph(FITTED, ["low", "high"], **k),
    "state_ribbon": lambda **k: pictures.state_ribbon(FITTED, VALUES, **k),
    "state_ribbon of symbols": lambda **k: pictures.state_ribbon([0, 1, 1], ["dry", "wet", "wet"], **k),
    "decoded_states": lambda **k: pictures.decoded_states(FITTED, VALUES, times=DATES[:40], **k),
    "emission_densities": lambda **k: pictures.emission_densities(FITTED, VALUES, **k),
    "likelihood_history": lambda **k: pictures.likelihood_history({"a": [-9.0, -4.0], "b": [-5.0, -3.5]}, **k),
    "likelihood_history of gains": lambda **k: pictures.likelihood_history([-9.0, -4.0, -3.9], gains=True, **k),
    "smoothed_states": lambda **k: pictures.smoothed_states(RESULT, VALUES, times=DATES[:40], **k),
    "smoothed_states of two": lambda **k: pictures.smoothed_states(RESULT, states=[0, 1], **k),
    "smoothed_path": lambda **k: pictures.smoothed_path(RESULT, np.column_stack([VALUES, VALUES]), **k),
    "gradient_flow": lambda **k: pictures.gradient_flow(FLOW, **k),
    "gradient_flow of many": lambda **k: pictures.gradient_flow(
        {f"a network with remedy {i}": FLOW for i in range(8)}, **k
    ),
    "powers": lambda **k: pictures.powers({str(w): powers(w, 1.0, 40) for w in (0.9, 1.0, 1.1)}, **k),
    "powers, derivative": lambda **k: pictures.powers(powers(3.0, 1.0, 9, "tanh"), show="derivative", **k),
    "powers in the plane": lambda **k: pictures.powers(powers([[0, -1], [1, 0]], [1, 0], 9), show="plane", **k),
    "attention_weights": lambda **k: pictures.attention_weights(np.eye(10)[::-1], "2024-03-05", "50-30-4202", **k),
    "attention_weights of words": lambda **k: pictures.attention_weights(
        np.full((2, 3), 1 / 3), ["what", "time is", "it"], ["wie", "spät"], **k
    ),
    "attention_weights of many": lambda **k: pictures.attention_weights(np.full((90, 60), 1 / 60), **k),
    "forecast_fan": lambda **k: pictures.forecast_fan(FAN, VALUES, **k),
    "forecast_fan of symbols": lambda **k: pictures.forecast_fan(CHAIN, ["dry", "wet"], 4, **k),
}
every_picture = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)


@every_picture
def test_returns_the_axes_it_was_given_and_leaves_pyplot_alone(draw: Callable[..., Axes]) -> None:
    mine = plt.figure().add_subplot()
    other = Figure().add_subplot()
    figures = plt.get_fignums()
    assert draw(ax=other) is other
    assert plt.get_fignums() == figures
    assert plt.gca() is mine
    assert not mine.has_data()


@every_picture
def test_makes_one_figure_without_axes(draw: Callable[..., Axes]) -> None:
    ax = draw()
    assert plt.get_fignums() == [ax.figure.number]  # type: ignore[union-attr]


@every_picture
def test_title_is_optional(draw: Callable[..., Axes]) -> None:
    ax = Figure().add_subplot()
    assert draw(ax=ax).get_title(loc="left") == ""
    assert draw(ax=ax, title="Alofi").get_title(loc="left") == "Alofi"


@every_picture
def test_text_is_readable_and_stays_on_the_paper(draw: Callable[..., Axes], monkeypatch: pytest.MonkeyPatch) -> None:
    figure = draw(title="A title").get_figure(root=True)
    assert isinstance(figure, Figure)
    drawn: list[tuple[Text, Any]] = []
    draw_text = Text.draw

    def record(text: Text, renderer: Any, *rest: Any, **options: Any) -> None:
        draw_text(text, renderer, *rest, **options)
        if text.get_text() and text.get_visible():
            drawn.append((text, text.get_window_extent(renderer)))

    figure.draw_without_rendering()  # lays the parts out
    monkeypatch.setattr(Text, "draw", record)
    figure.canvas.draw()
    assert drawn
    paper = figure.bbox
    for text, box in drawn:
        assert text.get_fontsize() >= 7, text
        assert box.x0 >= paper.x0 - 1, text
        assert box.y0 >= paper.y0 - 1, text
        assert box.x1 <= paper.x1 + 1, text
        assert box.y1 <= paper.y1 + 1, text


@every_picture
def test_drawing_in_a_subfigure_works(draw: Callable[..., Axes]) -> None:
    figure = Figure(figsize=(10, 5))
    ax = figure.subfigures(1, 2)[1].add_subplot()
    assert draw(ax=ax) is ax


@every_picture
@pytest.mark.parametrize(("wrong", "said"), [(3, "3"), (np.array([None, None]), "of type ndarray")])
def test_what_is_no_axes_is_refused(draw: Callable[..., Axes], wrong: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"ax is {said}, expected a matplotlib Axes"):
        draw(ax=wrong)


def test_importing_the_pictures_imports_no_matplotlib() -> None:
    code = "import sys, statespace.plotting as p; p.transition_matrix; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_absent_matplotlib_is_answered_with_the_line_that_installs_it() -> None:
    code = """
import sys
sys.modules["matplotlib"] = None
from statespace.plotting import graphical_model, rain_report
for draw in (graphical_model, lambda: rain_report([], [], [], orders=[], losses=[], tomorrow={})):
    try:
        draw()
    except ModuleNotFoundError as error:
        assert 'pip install "statespace-models[plot]"' in str(error), error
    else:
        raise SystemExit("nothing was raised")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_others_are_not() -> None:
    assert set(pictures.__all__) <= set(dir(pictures))
    assert all(callable(getattr(pictures, name)) for name in pictures.__all__)
    with pytest.raises(AttributeError, match="no_such_picture"):
        _ = pictures.no_such_picture
